"""This module is guests: what other controllers and people start in the namespace has room, and the paths it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from ai_interviewer import PROD, AiInterviewer
from conftest import Manifest, Manifests, close, read_manifests
from mcpmesh_k8s import (
    AddressRange,
    Application,
    ApplicationSettings,
    CiliumEntity,
    Compute,
    Container,
    Dns01,
    External,
    Guest,
    GuestSettings,
    Http01,
    IngressExposure,
    IngressNginx,
    NamespacePods,
    NoProbes,
    Phase,
    PolicyKind,
    SettingError,
    Tls,
    TreeError,
    User,
    Workload,
    WorkloadSettings,
    images,
)
from mcpmesh_k8s.kubernetes.manifest import at
from mcpmesh_k8s.kubernetes.pod_security import violations
from mcpmesh_k8s.kubernetes.quantity import in_bytes
from policy_evaluator import JSON, Cluster, Host, Namespace, Pod, namespaces_of, pods_of, policies_of
from reading import objects_of

NAMESPACE = "ai-interviewer"
CONTROLLER = Pod(name="controller", namespace="ingress-nginx", labels={"app.kubernetes.io/name": "ingress-nginx"})
# As cert-manager makes it, for each challenge.
SOLVER = Pod(
    name="cm-acme-http-solver-x2x4z",
    namespace=NAMESPACE,
    labels={
        "acme.cert-manager.io/http-domain": "1234567890",
        "acme.cert-manager.io/http-token": "987654321",
        "acme.cert-manager.io/http01-solver": "true",
    },
)
SOLVER_TEMPLATE: Mapping[str, object] = {
    "metadata": {"labels": SOLVER.labels},
    "spec": {
        "restartPolicy": "OnFailure",
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "acmesolver",
                "resources": {
                    "requests": {"cpu": "10m", "memory": "64Mi"},
                    "limits": {"cpu": "100m", "memory": "64Mi"},
                },
                "ports": [{"name": "http", "containerPort": 8089}],
                "securityContext": {
                    "readOnlyRootFilesystem": True,
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}
DEBUG_POD = Pod(name="debug", namespace=NAMESPACE, labels={"run": "debug"})
INTERNET = Host(name="internet", ip="203.0.113.9")


def cluster_of(manifests: list[Manifest], *, cilium: bool = False) -> Cluster:
    rendered = cast("list[dict[str, JSON]]", manifests)
    others = ("ingress-nginx", "kube-system", "cert-manager")
    return Cluster(
        namespaces=[*namespaces_of(rendered), *(Namespace(name=name) for name in others)],
        policies=policies_of(rendered),
        cilium=cilium,
    )


def with_tls(folder: Path, tls: Tls) -> list[Manifest]:
    exposure = IngressExposure(controller=IngressNginx(), tls=tls)
    return objects_of(AiInterviewer(replace(PROD, exposure=exposure), outdir=folder / "prod"))


def hard(manifests: list[Manifest]) -> dict[str, str]:
    (quota,) = (manifest for manifest in manifests if manifest["kind"] == "ResourceQuota")
    return {key: str(value) for key, value in at(quota, "spec", "hard").items()}


def millis(text: str) -> int:
    return int(text.removesuffix("m")) if text.endswith("m") else int(text) * 1000


def test_the_ingress_controller_reaches_the_solver_and_nobody_else_does(tmp_path: Path) -> None:
    prod = with_tls(tmp_path, Tls(secret="tls", cluster_issuer="letsencrypt"))
    cluster = cluster_of(prod)
    assert cluster.allows(CONTROLLER, SOLVER, 8089)
    ours = pods_of(cast("list[dict[str, JSON]]", prod))
    manager = Pod(name="cert-manager", namespace="cert-manager")
    others: list[Pod | Host] = [*ours, manager, DEBUG_POD, INTERNET]
    for end in others:
        assert not cluster.allows(end, SOLVER, 8089), end.name
        assert not any(cluster.allows(SOLVER, end, port) for port in (80, 443, 5432, 6379, 8080)), end.name
    assert not cluster.allows(CONTROLLER, SOLVER, 8080)
    gateway = next(pod for pod in ours if pod.name == "ai-interviewer-nginx-gateway")
    assert cluster.allows(CONTROLLER, gateway, 8080)
    assert not cluster.allows(CONTROLLER, gateway, 8089)


def test_the_quota_has_room_for_the_solver_and_its_service(tmp_path: Path) -> None:
    issuer = Tls(secret="tls", cluster_issuer="letsencrypt")
    room = hard(with_tls(tmp_path / "1", issuer))
    none = hard(with_tls(tmp_path / "2", replace(issuer, challenge=Dns01())))
    inside = hard(with_tls(tmp_path / "3", replace(issuer, challenge=Http01(node_port=False))))
    assert int(room["pods"]) - int(none["pods"]) == 1
    assert millis(room["requests.cpu"]) - millis(none["requests.cpu"]) == 10
    assert millis(room["limits.cpu"]) - millis(none["limits.cpu"]) == 100
    for kind in ("requests.memory", "limits.memory"):
        assert in_bytes(kind, room[kind]) - in_bytes(kind, none[kind]) == 64 * 2**20
    assert [one["services.nodeports"] for one in (room, none, inside)] == ["1", "0", "0"]
    assert room["services.loadbalancers"] == "0"


def test_the_solver_is_restricted_and_fits_the_limit_range(manifests: Manifests) -> None:
    assert list(violations(SOLVER_TEMPLATE, "restricted")) == []
    (limits,) = (manifest for manifest in manifests("prod") if manifest["kind"] == "LimitRange")
    (container,) = (one for one in at(limits, "spec")["limits"] if one["type"] == "Container")  # type: ignore[attr-defined]
    assert millis(str(container["max"]["cpu"])) >= 100
    assert "min" not in container


@pytest.mark.parametrize("tls", [Tls(secret="tls"), Tls(secret="tls", cluster_issuer="ca", challenge=Dns01())])
def test_where_nothing_of_cert_manager_runs_here_nothing_is_opened(tmp_path: Path, tls: Tls) -> None:
    assert not cluster_of(with_tls(tmp_path, tls)).allows(CONTROLLER, SOLVER, 8089)


def test_a_pod_that_somebody_starts_by_hand_is_closed(manifests: Manifests) -> None:
    prod = manifests("prod")
    cluster = cluster_of(prod)
    others: list[Pod | Host] = [*pods_of(cast("list[dict[str, JSON]]", prod)), INTERNET]
    for pod in others:
        for port in (80, 443, 5432, 6379, 8000, 8080, 9000):
            assert not cluster.allows(DEBUG_POD, pod, port)
            assert not cluster.allows(pod, DEBUG_POD, port)


COMPUTE = Compute(cpu="100m", memory="64Mi")
VAULT = External(name="vault", peer=AddressRange(cidr="203.0.113.0/24"))
BACKUP = GuestSettings(
    name="backup",
    labels=(("app", "backup"),),
    compute=COMPUTE,
    port=9000,
    accepts=(NamespacePods(namespace="cert-manager"),),
    reaches=(VAULT,),
)


def guest(folder: Path, settings: GuestSettings, policies: PolicyKind = PolicyKind.KUBERNETES) -> list[Manifest]:
    application = Application(ApplicationSettings(name=NAMESPACE, policies=policies), outdir=folder / "shop")
    phase = Phase(application, "all")
    close(phase)
    container = Container(
        name="web",
        image=images.REGISTRY,
        user=User(uid=1, gid=1),
        compute=COMPUTE,
        probes=NoProbes(because="No test starts it."),
    )
    Workload(phase, WorkloadSettings(name="web", container=container))
    Guest(phase, settings)
    application.synth()
    found: list[Manifest] = [{"kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {}}}]
    return found + read_manifests(folder / "shop")


def test_a_guest_of_one_s_own_has_its_paths(tmp_path: Path) -> None:
    cluster = cluster_of(guest(tmp_path, BACKUP))
    agent = Pod(name="agent", namespace=NAMESPACE, labels={"app": "backup", "job": "1"})
    manager = Pod(name="manager", namespace="cert-manager")
    assert cluster.allows(agent, INTERNET, 443)
    assert not cluster.allows(agent, INTERNET, 80)
    assert cluster.allows(manager, agent, 9000)
    assert not cluster.allows(manager, agent, 9001)
    assert not cluster.allows(CONTROLLER, agent, 9000)


def test_a_guest_may_meet_whom_only_cilium_can_tell_apart(tmp_path: Path) -> None:
    known = replace(
        BACKUP, accepts=(CiliumEntity.INGRESS,), reaches=(replace(VAULT, peer=CiliumEntity.KUBE_APISERVER, port=6443),)
    )
    with pytest.raises(SettingError, match="GuestSettings of 'backup': 'ingress of Cilium' was given"):
        guest(tmp_path, known)
    cluster = cluster_of(guest(tmp_path, known, PolicyKind.CILIUM), cilium=True)
    agent = Pod(name="agent", namespace=NAMESPACE, labels={"app": "backup"})
    assert cluster.allows(Host(name="ingress", ip="10.0.0.1", entities=("ingress",)), agent, 9000)
    assert cluster.allows(agent, Host(name="api", ip="10.0.0.2", entities=("kube-apiserver",)), 6443)
    assert not cluster.allows(agent, INTERNET, 6443)


def test_a_guest_with_the_labels_of_our_own_pods_is_refused(tmp_path: Path) -> None:
    wrong = replace(BACKUP, labels=(("app.kubernetes.io/name", "ai-interviewer-web"),))
    with pytest.raises(TreeError, match="which pods of this application carry: what it may, they would too"):
        guest(tmp_path, wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ()}, "GuestSettings of 'backup' labels: () was given. Their policy would be about every pod."),
        ({"port": 0}, "GuestSettings of 'backup' port: 0 was given."),
        ({"pods": 0}, "GuestSettings of 'backup' pods: (0, 0) was given."),
        ({"node_ports": -1}, "GuestSettings of 'backup' pods: (1, -1) was given."),
    ],
)
def test_a_guest_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        replace(BACKUP, **changes)  # type: ignore[arg-type]
    assert message in str(caught.value)
