"""The real kubectl reads what we render as we mean it, and its commands do to an API server what operations rely on.

There is no cluster: kubectl deploys to a server of the tests on loopback. What a real one would make of the objects
is proven elsewhere, by the schemas.
"""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cdk8s
import pytest
import yaml

from conftest import Manifests, grid
from environments import EVERY
from kubernetes_api import RESOURCES, KubernetesApi, Manifest, kubeconfig
from mcpmesh_k8s import Application, ApplicationSettings, Phase, TreeError
from mcpmesh_k8s.operations.cli import main
from plain_cdk8s import k8s
from test_operations import OPERATED

pytestmark = pytest.mark.usefixtures("commands_are_made_once")

ROOT = Path(__file__).parent.parent
NAMESPACE = "ai-interviewer"
# It takes a comma for the end of a path: dist/ is named from where it lies.
APPLY = ("apply", "--server-side", "--field-manager=tests", "--filename")
DIFF = ("diff", "--server-side", "--field-manager=tests", "--filename")
BACKEND = "deployment/ai-interviewer-backend"
FOUNDATION = "dist/dev/0000-foundation.k8s.yaml"
"""The phase that Redis is in."""
SERVICES = "dist/dev/0002-services.k8s.yaml"
"""The phase that the backend is in."""

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with KubernetesApi() as server:
        yield server


@pytest.fixture
def kubectl(api: KubernetesApi, tmp_path: Path, needs_kubectl: Path) -> Kubectl:
    """kubectl with three contexts: the server's, one where nobody listens, and that of another server."""
    environment = kubeconfig(tmp_path, {"minikube": api.url, "nobody": "http://127.0.0.1:1"}, current="minikube")

    def run(*arguments: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        command = [needs_kubectl, "--namespace", NAMESPACE, *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    return run


def succeed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def exact(value: object) -> str:
    """A value as text in which 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True, indent=1)


def sent(api: KubernetesApi) -> list[Manifest]:
    return [request.body for request in api.requests if request.applies and "dryRun" not in request.query]


def test_the_server_tells_a_newer_client_when_that_was_all_that_is_there(api: KubernetesApi) -> None:
    """Such a kubectl lists nothing, and waits for ever for the end of what a watch begins with."""
    api.hold([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}], manager="tests")
    with urllib.request.urlopen(f"{api.url}/api/v1/namespaces?watch=1&sendInitialEvents=true", timeout=10) as watch:
        first, second = (json.loads(watch.readline()) for _ in range(2))
    assert (first["type"], second["type"], second["object"]["apiVersion"]) == ("ADDED", "BOOKMARK", "v1")
    assert second["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


# --- what kubectl reads ---


# That it sends all of dev, what the tests of operations begin with shows below.
@pytest.mark.parametrize("environment", grid(EVERY, short=["prod"]))
def test_kubectl_sends_what_lies_in_dist_and_a_second_time_nothing_changes(
    environment: str, api: KubernetesApi, kubectl: Kubectl, manifests: Manifests
) -> None:
    folder = f"dist/{environment}"
    succeed(kubectl(*APPLY, folder))
    assert exact(sent(api)) == exact(manifests(environment))
    first = api.objects
    assert len(first) == len(manifests(environment))
    assert "serverside-applied" in succeed(kubectl(*APPLY, folder))
    assert len(sent(api)) == 2 * len(first)
    assert api.objects == first
    assert succeed(kubectl(*DIFF, folder)) == ""


TRAPS: dict[str, str] = {
    "answer": "yes",
    "answer-in-short": "n",
    "base-60": "12:30:00",
    "binary": "0b11",
    "colon": "a: b",
    "comment": "a # b",
    "date": "2024-01-01",
    "empty": "",
    "exponent": "1e3",
    "hexadecimal": "0x1F",
    "infinity": ".inf",
    "lines": "a\n  b\n\n",
    "no-number": "1_000",
    "nothing": "~",
    "null": "null",
    "octal": "0755",
    "on": "on",
    "quotes": "'\"\\n",
    "spaces": "  a  ",
    "tab": "\ta",
    "true": "true",
    "unicode": "é → 中 😀",
    "zero": "-0",
}


def test_a_text_that_looks_like_something_else_stays_that_text(
    api: KubernetesApi, kubectl: Kubectl, tmp_path: Path
) -> None:
    """Three readers agree with what was meant: YAML has as many opinions on `yes` as it has versions."""
    app = cdk8s.App(outdir=str(tmp_path / "out"))
    chart = cdk8s.Chart(app, "traps")
    k8s.KubeNamespace(chart, "namespace", metadata=k8s.ObjectMeta(name=NAMESPACE))
    k8s.KubeConfigMap(chart, "traps", metadata=k8s.ObjectMeta(name="traps", annotations=TRAPS), data=TRAPS)
    k8s.KubeNetworkPolicy(
        chart,
        "empty",
        metadata=k8s.ObjectMeta(name="empty"),
        spec=k8s.NetworkPolicySpec(pod_selector=k8s.LabelSelector()),
    )
    app.synth()
    (path,) = (tmp_path / "out").iterdir()
    succeed(kubectl(*APPLY, path))
    _, traps, policy = sent(api)
    assert traps["data"] == TRAPS
    assert traps["metadata"]["annotations"] == TRAPS
    assert policy["spec"] == {"podSelector": {}}
    # kubectl fills in the namespace where a manifest leaves it out.
    for manifest in (traps, policy):
        assert manifest["metadata"].pop("namespace") == NAMESPACE
    assert exact(sent(api)) == exact(list(yaml.safe_load_all(path.read_text(encoding="utf-8"))))


MISREAD = ("0o17", "-0o7_0", "0O17", "0B11", "0X1F", "a\x7fb", "a\x85b", "a\u2028b", "\ta\n", "\t\na", "\n\ta")


def test_a_text_that_kubectl_would_misread_is_refused_before_it_is_written(
    api: KubernetesApi, kubectl: Kubectl, tmp_path: Path
) -> None:
    """The YAML writer of cdk8s leaves it as it is. When it no longer does, the first half fails: drop the check."""
    plain = cdk8s.App(outdir=str(tmp_path / "plain"))
    texts = {"well": "as it is", **{f"text-{number}": text for number, text in enumerate(MISREAD)}}
    for name, text in texts.items():
        metadata = k8s.ObjectMeta(name=name, annotations={"text": text})
        k8s.KubeNamespace(cdk8s.Chart(plain, name), name, metadata=metadata)
    plain.synth()
    kubectl(*APPLY, tmp_path / "plain")  # it reads each file, and names those that it cannot read
    arrived = {namespace["metadata"]["name"]: namespace["metadata"]["annotations"]["text"] for namespace in sent(api)}
    assert {name: text for name, text in texts.items() if arrived.get(name) == text} == {"well": "as it is"}

    for number, text in enumerate(MISREAD):
        application = Application(ApplicationSettings(name="shop"), outdir=tmp_path / f"shop-{number}")
        phase = Phase(application, "all")
        k8s.KubeConfigMap(phase, "text", metadata=k8s.ObjectMeta(name="text", namespace="shop"), data={"text": text})
        with pytest.raises(TreeError, match=r"ConfigMap text has '.*' in data\.text, which kubectl would not read"):
            application.synth()


def test_of_a_change_kubectl_shows_the_change_and_sends_it(
    deployed: KubernetesApi, kubectl: Kubectl, tmp_path: Path
) -> None:
    path = tmp_path / "services.yaml"
    text = (ROOT / SERVICES).read_text()
    path.write_text(text.replace("ai-interviewer-fastapi:1.0.0", "ai-interviewer-fastapi:1.0.1"))
    shown = kubectl(*DIFF, path)
    assert shown.returncode == 1
    changes = [line for line in shown.stdout.splitlines() if line.startswith(("+ ", "- ")) and "eneration" not in line]
    assert [line.split()[-1] for line in changes] == ["ai-interviewer-fastapi:1.0.0", "ai-interviewer-fastapi:1.0.1"]
    succeed(kubectl(*APPLY, path))
    containers = deployed.objects["Deployment", NAMESPACE, "ai-interviewer-backend"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert containers[0]["image"] == "ai-interviewer-fastapi:1.0.1"


# --- what operations rely on ---


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory, manifests: Manifests, needs_kubectl: Path) -> KubernetesApi:
    """A server to which kubectl deployed dev."""
    with KubernetesApi() as server:
        environment = kubeconfig(tmp_path_factory.mktemp("dev"), {"minikube": server.url}, current="minikube")
        command: Sequence[str | Path] = [needs_kubectl, "--namespace", NAMESPACE, *APPLY, "dist/dev"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=60)
    assert exact(sent(server)) == exact(manifests("dev"))
    return server


@pytest.fixture
def deployed(dev: KubernetesApi, api: KubernetesApi) -> KubernetesApi:
    """A server of a test's own, to which dev is deployed."""
    api.hold_what(dev)
    return api


def test_what_is_there_can_be_read_and_selected(deployed: KubernetesApi, kubectl: Kubectl) -> None:
    listed = json.loads(succeed(kubectl("get", "deployments", "--output=json")))["items"]
    names = {name for kind, _, name in deployed.objects if kind == "Deployment"}
    assert {item["metadata"]["name"] for item in listed} == names
    assert len(names) > 5
    label = "app.kubernetes.io/name=ai-interviewer-backend"
    text = succeed(kubectl("get", "deployments,services", "--selector", label, "--output=name"))
    assert text.split() == ["deployment.apps/ai-interviewer-backend", "service/ai-interviewer-backend"]
    missing = kubectl("get", "deployment", "nothing")
    assert missing.returncode == 1
    assert "not found" in missing.stderr


def test_a_rollout_is_waited_for_until_it_is_done(deployed: KubernetesApi, kubectl: Kubectl) -> None:
    assert "successfully rolled out" in succeed(kubectl("rollout", "status", BACKEND, "--timeout=20s"))
    for name in ("postgres", "minio"):
        assert "complete" in succeed(
            kubectl("rollout", "status", f"statefulset/ai-interviewer-{name}", "--timeout=20s")
        )
    deployed.statuses["Deployment", "ai-interviewer-backend"] = {"observedGeneration": 1, "updatedReplicas": 1}
    stuck = kubectl("rollout", "status", BACKEND, "--timeout=1s")
    assert stuck.returncode == 1
    assert "Waiting for deployment" in stuck.stdout


def test_a_job_is_waited_for_and_deleted_and_made_again(deployed: KubernetesApi, kubectl: Kubectl) -> None:
    job = "job/ai-interviewer-minio-bucket"
    key = ("Job", NAMESPACE, "ai-interviewer-minio-bucket")
    wait = ("wait", "--for=condition=complete", job, "--timeout")
    assert "condition met" in succeed(kubectl(*wait, "20s"))
    deployed.statuses[key[0], key[2]] = {"active": 1}
    assert kubectl(*wait, "1s").returncode == 1
    before = deployed.objects[key]["metadata"]["uid"]
    assert "deleted" in succeed(kubectl("delete", job, "--timeout=20s"))
    assert key not in deployed.objects
    assert succeed(kubectl("delete", job, "--ignore-not-found")) == ""
    succeed(kubectl(*APPLY, FOUNDATION))
    assert deployed.objects[key]["metadata"]["uid"] != before


def test_pods_are_replaced_by_a_restart(deployed: KubernetesApi, kubectl: Kubectl) -> None:
    key = ("Deployment", NAMESPACE, "ai-interviewer-backend")
    before = deployed.objects[key]["spec"]["template"]
    succeed(kubectl("rollout", "restart", BACKEND))
    after = deployed.objects[key]["spec"]["template"]
    assert "annotations" not in before["metadata"]
    assert after["metadata"]["annotations"].keys() == {"kubectl.kubernetes.io/restartedAt"}
    # Who applies again leaves alone what is not his.
    succeed(kubectl(*APPLY, SERVICES))
    assert deployed.objects[key]["spec"]["template"] == after


def test_whoever_scaled_by_hand_is_in_the_way_until_he_is_forced_out(deployed: KubernetesApi, kubectl: Kubectl) -> None:
    """The count is then kubectl's, and to apply another is a conflict: a way back has to force it."""
    key = ("Deployment", NAMESPACE, "ai-interviewer-backend")
    assert deployed.objects[key]["spec"]["replicas"] == 2
    succeed(kubectl("scale", BACKEND, "--replicas=0"))
    assert deployed.objects[key]["spec"]["replicas"] == 0
    refused = kubectl(*APPLY, SERVICES)
    assert refused.returncode == 1
    assert ".spec.replicas" in refused.stderr
    succeed(kubectl(*APPLY, SERVICES, "--force-conflicts"))
    assert deployed.objects[key]["spec"]["replicas"] == 2


# --- the operator's commands ---

PREREQUISITES = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: example.com/disk
"""


def test_the_operators_commands_deploy_dev_from_nothing_and_bring_back_what_was_scaled_away(
    api: KubernetesApi,
    kubectl: Kubectl,
    manifests: Manifests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    long: bool,
) -> None:
    """What each command tells kubectl, the tests of operations show: unless all is to be tried, the first is enough."""
    environment = kubeconfig(tmp_path, {"kind": api.url, "nobody": "http://127.0.0.1:1"}, current="nobody")
    values = tmp_path / ".env"
    values.touch(0o600)
    values.write_text("CLAUDE_API_KEY=one-of-a-test\nOPENAI_API_KEY=another-of-a-test\n")
    (tmp_path / "cluster.yaml").write_text(PREREQUISITES)

    def operate(command: str, *more: str) -> str:
        capfd.readouterr()
        status = main("python -m ai_interviewer", OPERATED, [command, "dev", "--context=kind", *more])
        said = capfd.readouterr()
        assert "of-a-test" not in said.out + said.err
        assert status == 0, said.out + said.err
        return said.out

    monkeypatch.chdir(ROOT)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    succeed(kubectl("--context=kind", *APPLY, tmp_path / "cluster.yaml"))
    operate("setup", "--confirm=dev", f"--env-file={values}")
    secrets = {name: secret["data"] for (kind, _, name), secret in api.objects.items() if kind == "Secret"}
    assert base64.b64decode(secrets["ai-interviewer-claude"]["api-key"]).decode() == "one-of-a-test"
    if not long:
        return
    before = len(sent(api))
    operate("deploy", "--confirm=dev")
    applied = sorted(map(exact, sent(api)[before:]))
    assert applied == sorted(map(exact, manifests("dev")))
    assert "dev is as rendered" in operate("diff")

    backend = ("Deployment", NAMESPACE, "ai-interviewer-backend")
    deployed = api.objects[backend]["spec"]
    succeed(kubectl("--context=kind", "scale", BACKEND, "--replicas=0"))
    operate("deploy", "--confirm=dev")
    assert api.objects[backend]["spec"] == deployed
    assert {name: api.objects["Secret", NAMESPACE, name]["data"] for name in secrets} == secrets


# --- what goes wrong ---


def test_an_object_that_is_refused_is_named_and_the_others_are_applied(api: KubernetesApi, kubectl: Kubectl) -> None:
    api.refuse("Deployment", "ai-interviewer-redis", 403, "exceeded quota: ai-interviewer")
    refused = kubectl(*APPLY, FOUNDATION)
    assert refused.returncode == 1
    assert "exceeded quota: ai-interviewer" in refused.stderr
    given = [(m["kind"], m["metadata"]["name"]) for m in yaml.safe_load_all((ROOT / FOUNDATION).read_text())]
    assert given[-1] != ("Deployment", "ai-interviewer-redis")
    assert set(given) - {(kind, name) for kind, _, name in api.objects} == {("Deployment", "ai-interviewer-redis")}
    api.mend()
    succeed(kubectl(*APPLY, FOUNDATION))


def test_a_server_that_does_not_answer_is_given_up(api: KubernetesApi, kubectl: Kubectl) -> None:
    api.hang("Namespace", NAMESPACE)
    given_up = kubectl("--request-timeout=1s", *APPLY, FOUNDATION)
    assert given_up.returncode == 1
    assert "imeout" in given_up.stderr or "deadline" in given_up.stderr
    assert ("Namespace", "", NAMESPACE) not in api.objects


def test_nothing_goes_to_another_cluster_than_the_one_that_is_named(api: KubernetesApi, kubectl: Kubectl) -> None:
    with_nobody = kubectl("--context=nobody", *APPLY, FOUNDATION)
    assert with_nobody.returncode == 1
    assert "refused" in with_nobody.stderr
    unknown = kubectl("--context=elsewhere", *APPLY, FOUNDATION)
    assert "context" in unknown.stderr
    assert "does not exist" in unknown.stderr
    assert api.requests == []


def test_nothing_is_stored_in_a_namespace_that_is_not_there(api: KubernetesApi, kubectl: Kubectl) -> None:
    refused = kubectl(*APPLY, "dist/dev/0001-mesh.k8s.yaml")
    assert f'namespaces "{NAMESPACE}" not found' in refused.stderr
    assert api.objects == {}


def test_a_kind_that_the_cluster_does_not_know_is_named(tmp_path: Path, needs_kubectl: Path) -> None:
    with KubernetesApi({version: kinds for version, kinds in RESOURCES.items() if "external" not in version}) as api:
        environment = kubeconfig(tmp_path, {"bare": api.url}, current="bare")
        command: Sequence[str | Path] = [needs_kubectl, *APPLY, "dist/prod/0000-foundation.k8s.yaml"]
        refused = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert refused.returncode == 1
    assert 'no matches for kind "ExternalSecret" in version "external-secrets.io/v1"' in refused.stderr
