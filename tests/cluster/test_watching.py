"""What collects metrics may read what it asks for, asks for all that it may read, and may read nothing else."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.api import Api, ApiError, Object
from cluster.environment import AUTOSCALED, CONTROLLERS, Deployed, eventually
from go_programs import WATCHING
from mesh_harness import LOCALHOST, find, free_port
from watching_harness import PREFIX, RECORDED, Json, Places, RunningPrometheus, running_prometheus, running_server

NAMESPACE = "ai-interviewer"
KSM, PROMETHEUS = "kube-state-metrics", "prometheus"
READS = {  # by the ServiceAccount: verb, API group, resource
    KSM: {
        (verb, group, resource)
        for verb in ("list", "watch")
        for group, resource in (
            *(("", "pods"), ("", "persistentvolumeclaims"), ("", "resourcequotas")),
            *(("apps", "deployments"), ("apps", "statefulsets"), ("autoscaling", "horizontalpodautoscalers")),
            *(("batch", "cronjobs"), ("batch", "jobs")),
        )
    },
    PROMETHEUS: {(verb, "", resource) for verb in ("list", "watch") for resource in ("pods", "nodes")},
}
OF_KUBELETS = ("get", "", "nodes/metrics")
"""What is asked of a kubelet, which asks the API server whether it may."""

LISTS_FIRST = ("env", "KUBE_FEATURE_WatchListClient=false")
"""As with an API server of before 1.34: a newer one gives a list as the beginning of a watch."""

START = 20.0
RECORDING = RECORDED / "kube-state-metrics.prom"
AUTOSCALE = [one.name for one in AUTOSCALED]


@contextmanager
def kube_state_metrics(deployed: Deployed, folder: Path) -> Generator[int]:
    """The rendered kube-state-metrics with the token of its ServiceAccount: the port of its metrics."""
    plane = deployed.control_plane
    kubeconfig = plane.kubeconfig("kube-state-metrics", token=plane.token_of(NAMESPACE, PREFIX + KSM))
    port, telemetry = free_port(), free_port()
    told = (f"--host={LOCALHOST}", f"--telemetry-host={LOCALHOST}", f"--kubeconfig={kubeconfig}")
    with running_server(
        deployed.manifests(),
        KSM,
        KSM,
        folder,
        [*LISTS_FIRST, str(WATCHING.link / KSM), *told],
        ports={8080: port, 8081: telemetry},
        ready=lambda: metrics_of(port).count("\nkube_pod_info{") > 0,
    ):
        yield port


def metrics_of(port: int) -> str:
    """What is told to Prometheus."""
    try:
        with urllib.request.urlopen(f"http://{LOCALHOST}:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


@contextmanager
def prometheus(deployed: Deployed, folder: Path) -> Generator[RunningPrometheus]:
    """The rendered Prometheus, which finds what to ask by the API, with the token of its ServiceAccount."""
    plane = deployed.control_plane
    token = folder / "token"
    token.write_text(plane.token_of(NAMESPACE, PREFIX + PROMETHEUS))
    nowhere = f"{LOCALHOST}:{free_port()}"

    def change(job: Json) -> None:
        for discovery in job.get("kubernetes_sd_configs", ()):
            discovery["api_server"] = plane.api.url
            discovery["authorization"] = {"credentials_file": str(token)}
            discovery["tls_config"] = {"ca_file": str(plane.authority)}
            # The addresses of its pods are those of no machine.
            job["relabel_configs"].append({"target_label": "__address__", "replacement": nowhere})

    root = folder / "prometheus"
    with running_prometheus(
        deployed.manifests(),
        root,
        [*LISTS_FIRST, str(WATCHING.link / PROMETHEUS)],
        Places(),
        interval="5s",
        change=change,
    ) as running:
        yield running


def asked(deployed: Deployed, account: str) -> set[tuple[str, str, str]]:
    """What an account has asked of the API; everything must have been allowed, and in the application's namespace."""
    found = set[tuple[str, str, str]]()
    for event in deployed.control_plane.asked_by(NAMESPACE, PREFIX + account):
        assert event["responseStatus"]["code"] == 200, event
        reference: Object | None = event.get("objectRef")
        # What every client may ask, such as /version.
        if reference is not None:
            assert reference.get("namespace", "") in (NAMESPACE, ""), event
            assert reference.get("namespace") or reference["resource"] == "nodes", event
            found.add((event["verb"], reference.get("apiGroup", ""), reference["resource"]))
    return found


def granted(deployed: Deployed, account: str) -> set[tuple[str, str, str]]:
    """What the rendered Role and ClusterRole of an account grant."""
    return {
        (verb, group, resource)
        for one in deployed.manifests()
        if one["kind"] in ("Role", "ClusterRole") and one["metadata"]["name"].endswith(PREFIX + account)
        for rule in one["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_kube_state_metrics_asks_for_all_that_its_role_grants_and_gets_it(deployed: Deployed, tmp_path: Path) -> None:
    with kube_state_metrics(deployed, tmp_path) as port:
        eventually(lambda: asked(deployed, KSM) >= READS[KSM], START, lambda: str(asked(deployed, KSM)))
        told = metrics_of(port)
    assert asked(deployed, KSM) == READS[KSM] == granted(deployed, KSM)
    # Of each kind something is told, and of no other namespace: the system has pods too.
    for kind in ("pod", "deployment", "statefulset", "job", "persistentvolumeclaim", "resourcequota"):
        assert f"\nkube_{kind}_" in told.replace("\nkube_resourcequota{", "\nkube_resourcequota_{"), kind
    assert 'namespace="kube-system"' not in told
    pods = {line.partition('pod="')[2].partition('"')[0] for line in told.splitlines() if line[:14] == "kube_pod_info{"}
    assert pods == {pod["metadata"]["name"] for pod in deployed.pods()}


def test_what_stands_for_kube_state_metrics_elsewhere_says_what_the_rules_read_as_it_does(
    deployed: Deployed, tmp_path: Path
) -> None:
    rules = find(deployed.manifests(), "ConfigMap", f"{PREFIX}prometheus")["data"]["rules__alerts.yaml"]
    with kube_state_metrics(deployed, tmp_path) as port:
        lines = metrics_of(port).splitlines(keepends=True)
    read = [line for line in lines if re.search(rf"\b{name_of(line)}\b", rules)]
    now = tmp_path / RECORDING.name
    now.write_text("".join(read))
    recorded = {name_of(line) for line in RECORDING.read_text().splitlines()} if RECORDING.exists() else set[str]()
    of_all = {name for name in recorded if "horizontalpodautoscaler" not in name or deployed.settings.name in AUTOSCALE}
    assert of_all == {name_of(line) for line in read}, f"cp {now} {RECORDING}"


def name_of(line: str) -> str:
    """The name of the metric of a line."""
    return re.split(r"[{ ]", line, maxsplit=1)[0] if not line.startswith("#") else "#"


def test_prometheus_finds_every_pod_that_has_metrics_and_asks_for_no_more_than_it_may_read(
    deployed: Deployed, tmp_path: Path
) -> None:
    wanted = Counter(
        {
            one["metadata"]["name"].removeprefix(PREFIX): one["spec"].get("replicas", 0)
            for one in deployed.look(",".join(kind.lower() + "s" for kind in CONTROLLERS))
        }
    )
    with prometheus(deployed, tmp_path) as running:
        nodes = len(deployed.machines.nodes)
        eventually(lambda: len(running.up().get("kubelet", ())) == nodes, START, lambda: str(running.up()))
        found = {job: len(targets) for job, targets in running.up().items() if not job.startswith("check-")}
        scraped = running.ask("targets", state="active")["activeTargets"]
        assert asked(deployed, PROMETHEUS) == READS[PROMETHEUS]
        assert granted(deployed, PROMETHEUS) == {*READS[PROMETHEUS], OF_KUBELETS}
    assert found.pop("kubelet") == found.pop("cadvisor") == nodes
    assert found.pop("prometheus") == 1
    # A target for each pod, and none without.
    assert found == {job: wanted[job] for job in found}
    assert set(wanted) - set(found) == WITHOUT_METRICS
    of_pods = [target for target in scraped if "__meta_kubernetes_pod_name" in target["discoveredLabels"]]
    for target in of_pods:
        discovered = target["discoveredLabels"]
        assert target["labels"]["instance"] == discovered["__meta_kubernetes_pod_name"]
        if target["labels"]["job"] != KSM:
            assert target["labels"]["node"] == discovered["__meta_kubernetes_pod_node_name"] != ""
            assert target["labels"]["service"] == target["labels"]["job"]


WITHOUT_METRICS = {"registry", "backend", "prometheus"}
"""What Prometheus does not find by the API: itself, and those that are checked and have no metrics."""


@pytest.mark.parametrize("account", [KSM, PROMETHEUS])
def test_who_collects_may_read_nothing_else(deployed: Deployed, account: str) -> None:
    api = Api(
        url=deployed.control_plane.api.url,
        token=deployed.control_plane.token_of(NAMESPACE, PREFIX + account),
        authority=deployed.control_plane.authority,
    )
    own = f"/api/v1/namespaces/{NAMESPACE}"
    assert api.list(f"{own}/pods")
    refused = [
        *(f"{own}/{plural}" for plural in ("secrets", "configmaps", "serviceaccounts", "events", "endpoints")),
        *("/api/v1/pods", "/api/v1/secrets", "/api/v1/namespaces/kube-system/pods", "/api/v1/namespaces/default/pods"),
        *("/api/v1/namespaces", "/api/v1/persistentvolumes", "/apis/apps/v1/deployments"),
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        *(["/api/v1/nodes"] if account == KSM else []),
    ]
    for path in refused:
        with pytest.raises(ApiError, match="403") as error:
            api.list(path)
        assert error.value.status == 403
    some = deployed.pods()[0]["metadata"]["name"]
    for path in (f"{own}/pods/{some}", f"{own}/pods/{some}/log", f"{own}/secrets/{PREFIX}redis"):
        with pytest.raises(ApiError) as error:
            api.get(path)
        assert error.value.status == 403, path
    with pytest.raises(ApiError) as error:
        api.delete(f"{own}/pods/{some}")
    assert error.value.status == 403


def test_a_kubelet_is_told_that_prometheus_may_read_its_metrics_and_nothing_else(deployed: Deployed) -> None:
    def may(account: str, verb: str, subresource: str) -> bool:
        attributes = {"verb": verb, "resource": "nodes", "subresource": subresource, "name": "node-0"}
        review = deployed.control_plane.api.create(
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": f"system:serviceaccount:{NAMESPACE}:{PREFIX}{account}",
                    "groups": ["system:serviceaccounts", "system:authenticated"],
                    "resourceAttributes": attributes,
                },
            },
        )
        return bool(review["status"]["allowed"])

    assert may(PROMETHEUS, "get", "metrics")
    others = [("get", "proxy"), ("create", "proxy"), ("get", "log"), ("get", "stats"), ("get", "configz")]
    assert not [one for one in others if may(PROMETHEUS, *one)]
    assert not may(KSM, "get", "metrics")
