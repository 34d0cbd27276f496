"""This module is the Pod Security Standards, control by control, as kubernetes.io lists them.

Each control is tried with one value that breaks it, on a pod that is restricted otherwise.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from conftest import Manifest, Manifests
from environments import EVERY
from mcpmesh_k8s.kubernetes.manifest import name_of, template_of
from mcpmesh_k8s.kubernetes.pod_security import violations

RESTRICTED: Manifest = {
    "metadata": {},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {"name": "c", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
        ],
    },
}
CONTEXT = "spec.containers.0.securityContext"

BASELINE: list[tuple[str, object, str]] = [
    ("spec.hostNetwork", True, "hostNetwork is true"),
    ("spec.hostPID", True, "hostPID is true"),
    ("spec.hostIPC", True, "hostIPC is true"),
    ("spec.volumes", [{"name": "v", "hostPath": {"path": "/"}}], "volume v is a hostPath"),
    ("spec.securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}], "sysctl kernel.msgmax is set"),
    ("spec.securityContext.windowsOptions", {"hostProcess": True}, "the pod is a hostProcess"),
    ("spec.securityContext.seLinuxOptions", {"type": "spc_t"}, "the pod has seLinuxOptions.type spc_t"),
    ("spec.securityContext.seLinuxOptions", {"user": "system_u"}, "the pod has seLinuxOptions.user"),
    ("spec.securityContext.seccompProfile", {"type": "Unconfined"}, "the pod has seccompProfile Unconfined"),
    ("spec.securityContext.appArmorProfile", {"type": "Unconfined"}, "the pod has appArmorProfile Unconfined"),
    (
        "metadata.annotations",
        {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"},
        "annotation container.apparmor.security.beta.kubernetes.io/c is unconfined",
    ),
    (f"{CONTEXT}.privileged", True, "container c is privileged"),
    (f"{CONTEXT}.procMount", "Unmasked", "container c has procMount Unmasked"),
    (f"{CONTEXT}.windowsOptions", {"hostProcess": True}, "container c is a hostProcess"),
    (f"{CONTEXT}.seLinuxOptions", {"role": "r"}, "container c has seLinuxOptions.role"),
    (f"{CONTEXT}.seccompProfile", {"type": "Unconfined"}, "container c has seccompProfile Unconfined"),
    (f"{CONTEXT}.capabilities.add", ["SYS_ADMIN"], "container c adds capability SYS_ADMIN"),
    ("spec.containers.0.ports", [{"containerPort": 80, "hostPort": 80}], "container c has hostPort 80"),
    (
        "spec.containers.0.livenessProbe",
        {"httpGet": {"host": "169.254.169.254", "port": 80}},
        "container c has a host in livenessProbe",
    ),
    (
        "spec.containers.0.lifecycle",
        {"preStop": {"tcpSocket": {"host": "10.0.0.1", "port": 80}}},
        "container c has a host in lifecycle.preStop",
    ),
]
ONLY_RESTRICTED: list[tuple[str, object, str]] = [
    ("spec.volumes", [{"name": "v", "nfs": {"server": "s", "path": "/"}}], "volume v is of kind nfs"),
    ("spec.securityContext.runAsUser", 0, "the pod has runAsUser 0"),
    (f"{CONTEXT}.runAsUser", 0, "container c has runAsUser 0"),
    ("spec.securityContext.runAsNonRoot", None, "container c lacks runAsNonRoot: true"),
    (f"{CONTEXT}.runAsNonRoot", False, "container c lacks runAsNonRoot: true"),
    (f"{CONTEXT}.allowPrivilegeEscalation", None, "container c lacks allowPrivilegeEscalation: false"),
    ("spec.securityContext.seccompProfile", None, "container c lacks seccompProfile.type: RuntimeDefault"),
    (f"{CONTEXT}.capabilities.drop", ["KILL"], "container c lacks capabilities.drop: [ALL]"),
    (f"{CONTEXT}.capabilities.add", ["CHOWN"], "container c adds capability CHOWN"),
]
ALLOWED: list[tuple[str, object]] = [
    (f"{CONTEXT}.capabilities.add", ["NET_BIND_SERVICE"]),
    (f"{CONTEXT}.seccompProfile", {"type": "Localhost", "localhostProfile": "p.json"}),
    ("spec.securityContext.appArmorProfile", {"type": "RuntimeDefault"}),
    ("spec.securityContext.seLinuxOptions", {"type": "container_t", "level": "s0:c1"}),
    ("spec.securityContext.sysctls", [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]),
    ("metadata.annotations", {"container.apparmor.security.beta.kubernetes.io/c": "runtime/default"}),
    ("spec.containers.0.livenessProbe", {"httpGet": {"port": 80}}),
    *(
        ("spec.volumes", [{"name": "v", kind: {}}])
        for kind in (
            *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"),
            *("projected", "secret"),
        )
    ),
]


def with_(path: str, value: object) -> Manifest:
    """The restricted pod with another value at a path, or without one."""
    pod = copy.deepcopy(RESTRICTED)
    *parents, last = path.split(".")
    holder: Any = pod
    for step in parents:
        holder = holder[int(step)] if isinstance(holder, list) else holder.setdefault(step, {})
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return pod


def ids(rows: list[tuple[str, object, str]]) -> list[str]:
    return [f"{path}-{value}" for path, value, _ in rows]


def test_a_restricted_pod_holds_every_level() -> None:
    assert [list(violations(RESTRICTED, level)) for level in ("restricted", "baseline", "privileged")] == [[], [], []]


@pytest.mark.parametrize(("path", "value", "found"), BASELINE, ids=ids(BASELINE))
def test_what_the_baseline_forbids_the_restricted_standard_forbids_too(path: str, value: object, found: str) -> None:
    pod = with_(path, value)
    assert list(violations(pod, "baseline")) == [found]
    assert list(violations(pod, "restricted")) == [found]
    assert list(violations(pod, "privileged")) == []


@pytest.mark.parametrize(("path", "value", "found"), ONLY_RESTRICTED, ids=ids(ONLY_RESTRICTED))
def test_what_only_the_restricted_standard_forbids(path: str, value: object, found: str) -> None:
    pod = with_(path, value)
    assert list(violations(pod, "restricted")) == [found]
    assert list(violations(pod, "baseline")) == []


@pytest.mark.parametrize(("path", "value"), ALLOWED, ids=[f"{path}-{value}" for path, value in ALLOWED])
def test_what_the_restricted_standard_allows(path: str, value: object) -> None:
    assert list(violations(with_(path, value), "restricted")) == []


@pytest.mark.parametrize("kind", ["initContainers", "ephemeralContainers"])
def test_other_containers_are_held_to_it_as_well(kind: str) -> None:
    pod = with_(f"spec.{kind}", [{"name": "other", "securityContext": {"privileged": True}}])
    assert list(violations(pod, "baseline")) == ["container other is privileged"]
    assert "container other lacks allowPrivilegeEscalation: false" in list(violations(pod, "restricted"))


@pytest.mark.parametrize("environment", EVERY)
def test_every_pod_of_the_environment_is_restricted(manifests: Manifests, environment: str) -> None:
    running = [
        (name_of(manifest), template) for manifest in manifests(environment) if (template := template_of(manifest))
    ]
    assert len(running) > 12
    assert [(name, found) for name, template in running for found in violations(template, "restricted")] == []
