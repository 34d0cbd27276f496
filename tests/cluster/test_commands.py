"""The operator's commands do with a real API server and the real kubectl what they say."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from ai_interviewer import ENVIRONMENTS
from cluster.api import Object
from cluster.environment import (
    APPLY,
    CONTEXT,
    CONTROLLERS,
    ROOT,
    Deployed,
    as_text,
    eventually,
    named,
    workload_of,
)
from mcpmesh_k8s.kubernetes.quantity import millicores
from mcpmesh_k8s.operations import Minikube

VALUE = "one-of-a-test"
PREFIX = "ai-interviewer-"
KEPT = ("--old-file=synth", "--old-file=dist-check", "--old-file=.venv/.ready")
"""What is rendered and installed stays as it is."""

OF_ONES_OWN = [one for one in ENVIRONMENTS if isinstance(one.cluster, Minikube)]

Done = subprocess.CompletedProcess[str]


def make(deployed: Deployed, target: str, *given: str) -> Done:
    """Run a make target for an environment, as its operator would for a cluster that is no minikube."""
    settings = deployed.settings
    environment = () if target.endswith(f"-{settings.name}") else (f"ENV={settings.name}",)
    context = (f"CONTEXT={CONTEXT}",) if isinstance(settings.cluster, Minikube) else ()
    # Of the make that runs these tests, nothing is handed on.
    variables = {key: value for key, value in deployed.variables.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *KEPT, target, *environment, *context, *given],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def consent(deployed: Deployed) -> str:
    return f"CONFIRM={deployed.settings.name}"


def values(folder: Path) -> str:
    """A file with all that is issued by others."""
    path = folder / ".env"
    path.touch(0o600)
    names = re.findall(r"^([A-Z_]+)=$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert names
    path.write_text("".join(f"{name}={VALUE}\n" for name in names))
    return f"ENV_FILE={path}"


def succeed(done: Done) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_environment_is_deployed_from_nothing_taken_away_and_deployed_again(
    cluster: Deployed, tmp_path: Path
) -> None:
    name = cluster.settings.name
    cluster.forget_namespace()
    said = succeed(make(cluster, "k8s-setup", consent(cluster), values(tmp_path)))
    assert VALUE not in said
    for secret in by_hand(cluster.manifests()):
        cluster.do("create", "secret", "generic", secret, "--from-literal=.dockerconfigjson={}")
    succeed(make(cluster, f"k8s-deploy-{name}", consent(cluster)))
    cluster.settle()
    assert len(cluster.look("--filename", cluster.rendered)) == len(cluster.manifests())
    assert f"{name} is as rendered" in succeed(make(cluster, "k8s-diff"))
    kept = {one["metadata"]["uid"] for one in cluster.look("persistentvolumeclaims,secrets")}
    cluster.say(f"{name}: deployed by command")

    succeed(make(cluster, "k8s-clean", consent(cluster)))
    eventually(lambda: cluster.pods() == [], 30, lambda: str(cluster.pods()))
    assert cluster.look("deployments,statefulsets,services,networkpolicies,ingresses,configmaps") == own_of_the_cluster(
        cluster
    )
    assert kept <= {one["metadata"]["uid"] for one in cluster.look("persistentvolumeclaims,secrets")}

    succeed(make(cluster, f"k8s-deploy-{name}", consent(cluster)))
    cluster.settle()
    assert kept <= {one["metadata"]["uid"] for one in cluster.look("persistentvolumeclaims,secrets")}


def own_of_the_cluster(cluster: Deployed) -> list[Object]:
    """What each namespace has from the cluster itself."""
    return cluster.look("configmaps", "--field-selector=metadata.name=kube-root-ca.crt")


def by_hand(manifests: list[Object]) -> set[str]:
    """The Secrets with which images are pulled."""
    return {
        str(reference["name"])
        for one in manifests
        if one["kind"] == "ServiceAccount"
        for reference in one.get("imagePullSecrets", ())
    }


def test_a_change_without_consent_is_refused(deployed: Deployed) -> None:
    before = {pod["metadata"]["uid"] for pod in deployed.pods()}
    refused = make(deployed, "k8s-restart")
    assert refused.returncode == 2
    assert f"CONFIRM={deployed.settings.name}" in refused.stderr
    assert {pod["metadata"]["uid"] for pod in deployed.pods()} == before


def test_the_status_counts_the_pods_of_every_workload_and_says_which_is_wrong(expendable: Deployed) -> None:
    wanted = {one["metadata"]["name"]: one["spec"]["replicas"] for one in expendable.look("deployments,statefulsets")}
    shown = services(expendable)
    assert {name: shown[short(name)]["wanted"] for name in wanted} == wanted
    assert {name: shown[short(name)]["ready"] for name in wanted} == wanted
    assert [name for name, service in shown.items() if service["wrong"]] == []
    (broken,) = break_one(expendable)
    wrong = {name: service["wrong"] for name, service in services(expendable).items() if service["wrong"]}
    assert [broken.startswith(f"{PREFIX}{name}-") for name in wrong] == [True]
    assert "ErrImagePull" in next(iter(wrong.values()))


def services(deployed: Deployed) -> dict[str, Object]:
    """What the status says of each service."""
    said: Object = json.loads(succeed(make(deployed, "k8s-status", "JSON=1")))
    return {str(service["name"]): service for service in said["services"]}


def test_the_logs_of_every_container_are_shown(deployed: Deployed) -> None:
    shown = succeed(make(deployed, "k8s-logs"))
    for pod in deployed.pods():
        for container in pod["spec"]["containers"]:
            assert f"[pod/{pod['metadata']['name']}/{container['name']}] this is {container['name']}" in shown


def test_a_restart_replaces_the_pods_that_are_meant_and_no_others(expendable: Deployed) -> None:
    meant = {
        one["metadata"]["name"]
        for one in expendable.manifests()
        if one["kind"] in CONTROLLERS and one["metadata"]["labels"]["app.kubernetes.io/component"] == "agent"
    }
    assert meant
    before = running(expendable)
    succeed(make(expendable, "k8s-restart", consent(expendable), f"TARGET={' '.join(map(short, meant))}"))
    expendable.settle()
    after = running(expendable)
    assert before.keys() == after.keys()
    assert {name for name, pods in before.items() if not pods & after[name]} == meant
    assert {name for name, pods in before.items() if pods == after[name]} == before.keys() - meant


def running(deployed: Deployed) -> dict[str, set[str]]:
    """The pods of each workload, each by what tells it from another of its name."""
    found: dict[str, set[str]] = {}
    for pod in deployed.pods():
        if pod["status"]["phase"] == "Running":
            found.setdefault(workload_of(pod), set()).add(pod["metadata"]["uid"])
    return found


def short(name: str) -> str:
    """The short name of a workload, as commands take it."""
    return name.removeprefix(PREFIX)


def test_what_fails_is_described_by_its_pod_its_reason_and_its_events_and_nothing_else_is(expendable: Deployed) -> None:
    broken = break_one(expendable)
    (name,) = broken
    shown = succeed(make(expendable, "k8s-describe-failing"))
    assert f"--- pod {name}: " in shown
    assert re.search(rf"Warning +Failed +pod/{name} +.*ErrImagePull", shown)
    for pod in expendable.pods():
        if pod["metadata"]["name"] != name:
            assert f"--- pod {pod['metadata']['name']}" not in shown


def test_what_fails_is_not_looked_for_among_pods_that_are_gone(expendable: Deployed) -> None:
    (gone,) = break_one(expendable)
    assert gone in expendable.do("get", "events")
    expendable.do(*APPLY, "--filename", expendable.rendered)
    expendable.settle()
    assert gone not in {pod["metadata"]["name"] for pod in expendable.pods()}
    assert gone not in succeed(make(expendable, "k8s-describe-failing"))


@pytest.mark.parametrize("cluster", OF_ONES_OWN, indirect=True, ids=named)
def test_a_cluster_without_its_ingress_class_is_refused_with_advice_that_helps(
    expendable: Deployed, tmp_path: Path
) -> None:
    (ingress_class,) = expendable.look("ingressclasses")
    expendable.do("delete", "ingressclass", ingress_class["metadata"]["name"])
    try:
        refused = make(expendable, "k8s-setup", consent(expendable), values(tmp_path))
    finally:
        made = {**ingress_class, "metadata": {"name": ingress_class["metadata"]["name"]}}
        expendable.do("apply", "--server-side", "--filename=-", stdin=as_text([made]))
    assert refused.returncode == 2
    assert "IngressClass" in refused.stderr
    assert "make k8s-setup" not in refused.stderr


def break_one(deployed: Deployed) -> list[str]:
    """Deploy the smallest workload with an image that no registry has, and return the pods that wait for it."""
    one = min((one for one in deployed.manifests() if one["kind"] == "Deployment"), key=cpu_of)
    container = one["spec"]["template"]["spec"]["containers"][0]
    container["image"] = f"{container['image'].rpartition(':')[0]}:does-not-exist"
    deployed.machines.missing_images.add(container["image"])
    deployed.do(*APPLY, "--filename=-", stdin=as_text([one]))

    def waiting() -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in deployed.pods()
            for status in pod["status"].get("containerStatuses", ())
            if status["image"] in deployed.machines.missing_images
        ]

    eventually(lambda: bool(waiting()), 60, lambda: str(deployed.unready()))
    return waiting()


def cpu_of(workload: Object) -> int:
    return millicores("cpu", workload["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
