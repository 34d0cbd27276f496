"""This module is the Pod Security Standards: what a pod must be, and must not be, whoever rendered it.

It says of a manifest what the admission of a namespace says of a pod (kubernetes.io, Pod Security Standards, as of
Kubernetes 1.34), before there is a cluster to ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from .errors import SettingError
from .manifest import at, each
from .names import dns_subdomain, one_line
from .values import dataclass

Level = Literal["restricted", "baseline", "privileged"]
"""How much a pod may do: what it needs to run, what is known to be harmless, or anything."""

LEVELS: tuple[Level, ...] = ("privileged", "baseline", "restricted")
"""From the widest to the narrowest."""

_BASELINE_CAPABILITIES = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
    *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}
_RESTRICTED_CAPABILITIES = {"NET_BIND_SERVICE"}
_SELINUX_TYPES = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_SYSCTLS = {
    *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports"),
    *("net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout"),
    *("net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time"),
    *("net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem"),
}
_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
}
_PROFILES = {"RuntimeDefault", "Localhost"}
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


@dataclass(frozen=True, kw_only=True)
class PodSecurityException:
    """One workload that may do more than the restricted standard allows, with its reason.

    Admission works on whole namespaces, so the namespace enforces the widest level of its exceptions. The checks hold
    every other pod to the restricted one all the same.

    Args:
        workload: The full name of the Deployment, StatefulSet or other object that runs the pod.
        level: What it needs: ``baseline``, or ``privileged`` for anything.
        because: Why it cannot do with less, in one line.
    """

    workload: str
    level: Literal["baseline", "privileged"]
    because: str

    def __post_init__(self) -> None:
        """Refuse an exception of nothing, and one without a reason."""
        dns_subdomain("PodSecurityException.workload", self.workload)
        if self.level not in ("baseline", "privileged"):
            raise SettingError("PodSecurityException.level", self.level, "Give 'baseline' or 'privileged'.")
        one_line("PodSecurityException.because", self.because, "Say in one line why less will not do.")


def violations(template: Mapping[str, object], level: Level) -> Iterator[str]:
    """What a pod does that a level does not allow, each as what is wrong and where.

    Args:
        template: The pod, or a template of one: its metadata and spec.
        level: The level that it must hold.
    """
    if level != "privileged":
        yield from _beyond_baseline(template)
    if level == "restricted":
        yield from _beyond_restricted(template)


def _containers(template: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in each(template, "spec", kind):
            yield f"container {container.get('name')}", container


def _contexts(template: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Every security context: that of the pod, and that of each container."""
    yield "the pod", at(template, "spec", "securityContext")
    for where, container in _containers(template):
        yield where, at(container, "securityContext")


def _list(value: Mapping[str, object], key: str) -> Sequence[object]:
    found = value.get(key)
    return found if isinstance(found, Sequence) else ()


def _beyond_baseline(template: Mapping[str, object]) -> Iterator[str]:
    spec = at(template, "spec")
    yield from (f"{field} is true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field))
    for volume in each(spec, "volumes"):
        if "hostPath" in volume:
            yield f"volume {volume.get('name')} is a hostPath"
    for sysctl in each(spec, "securityContext", "sysctls"):
        if sysctl.get("name") not in _SYSCTLS:
            yield f"sysctl {sysctl.get('name')} is set"
    for key, profile in at(template, "metadata", "annotations").items():
        if key.startswith(_APPARMOR) and not str(profile).startswith(("runtime/default", "localhost/")):
            yield f"annotation {key} is {profile}"
    for where, context in _contexts(template):
        if at(context, "windowsOptions").get("hostProcess"):
            yield f"{where} is a hostProcess"
        if "type" in (labels := at(context, "seLinuxOptions")) and labels["type"] not in _SELINUX_TYPES:
            yield f"{where} has seLinuxOptions.type {labels['type']}"
        yield from (f"{where} has seLinuxOptions.{field}" for field in ("user", "role") if labels.get(field))
        for field in ("seccompProfile", "appArmorProfile"):
            profile = at(context, field).get("type")
            if profile is not None and profile not in _PROFILES:
                yield f"{where} has {field} {profile}"
    for where, container in _containers(template):
        context = at(container, "securityContext")
        if context.get("privileged"):
            yield f"{where} is privileged"
        if context.get("procMount") not in (None, "", "Default"):
            yield f"{where} has procMount {context['procMount']}"
        added = set(map(str, _list(at(context, "capabilities"), "add"))) - _BASELINE_CAPABILITIES
        yield from (f"{where} adds capability {name}" for name in sorted(added))
        yield from (
            f"{where} has hostPort {port['hostPort']}" for port in each(container, "ports") if port.get("hostPort")
        )
        yield from (f"{where} has a host in {place}" for place in _hosts_asked(container))


def _hosts_asked(container: Mapping[str, object]) -> Iterator[str]:
    """Probes and hooks that make the kubelet dial another host than the pod."""
    handlers = [(kind, at(container, kind)) for kind in ("livenessProbe", "readinessProbe", "startupProbe")]
    handlers += [(f"lifecycle.{kind}", at(container, "lifecycle", kind)) for kind in ("postStart", "preStop")]
    for place, handler in handlers:
        if any(at(handler, kind).get("host") for kind in ("httpGet", "tcpSocket")):
            yield place


def _beyond_restricted(template: Mapping[str, object]) -> Iterator[str]:
    spec = at(template, "spec")
    whole = at(spec, "securityContext")
    for volume in each(spec, "volumes"):
        for kind in sorted(set(volume) - {"name", "hostPath"} - _VOLUMES):
            yield f"volume {volume.get('name')} is of kind {kind}"
    for where, context in _contexts(template):
        if context.get("runAsUser") == 0:
            yield f"{where} has runAsUser 0"
    for where, container in _containers(template):
        context = at(container, "securityContext")
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{where} lacks allowPrivilegeEscalation: false"
        if context.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True:
            yield f"{where} lacks runAsNonRoot: true"
        if not (at(context, "seccompProfile") or at(whole, "seccompProfile")).get("type"):
            yield f"{where} lacks seccompProfile.type: RuntimeDefault"
        capabilities = at(context, "capabilities")
        if "ALL" not in _list(capabilities, "drop"):
            yield f"{where} lacks capabilities.drop: [ALL]"
        added = set(map(str, _list(capabilities, "add"))) & _BASELINE_CAPABILITIES - _RESTRICTED_CAPABILITIES
        yield from (f"{where} adds capability {name}" for name in sorted(added))
