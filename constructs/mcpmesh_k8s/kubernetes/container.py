"""This module is containers, and the one place that hardens them to the restricted Pod Security Standard."""

from __future__ import annotations

from .api import k8s
from .endpoint import Port
from .errors import SettingError
from .image import Image
from .names import dns_label, once, one_line
from .probe import HttpGet, NoProbes, Probes, TcpSocket
from .quantity import Amount, Compute
from .signals import line_pattern
from .storage import Volume
from .values import dataclass
from .variable import Variable, told

_UNTIL_QUIET = """\
sleep "$0"
left="$1"
while [ "$left" -gt 0 ] && grep -Eq "$2" /proc/net/tcp /proc/net/tcp6; do
  sleep 1
  left=$((left - 1))
done
"""


@dataclass(frozen=True, kw_only=True)
class User:
    """The numeric user and group of an image's process.

    A name such as ``mcp-mesh`` in an image is not enough: the kubelet cannot tell that it is not root.

    Args:
        uid: User id, not 0.
        gid: Group id; it also owns the pod's volumes (fsGroup). 0 is the root group, which has no privilege of
            its own: some images, such as Grafana's, keep their files in it.
        volume_gid: The group of the volumes, when it is not the process's own group.
    """

    uid: int
    gid: int
    volume_gid: int = 0

    def __post_init__(self) -> None:
        """Refuse root."""
        if self.uid < 1 or self.gid < 0 or self.volume_gid < 0:
            raise SettingError("User", (self.uid, self.gid), "Give a user above 0: root is never needed.")
        if max(self.uid, self.gid, self.volume_gid) >= 2**31:
            raise SettingError("User", (self.uid, self.gid), "Kubernetes takes numbers below 2147483648.")
        if self.volume_gid == 0:
            object.__setattr__(self, "volume_gid", self.gid or self.uid)


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container of a pod.

    Args:
        name: Its name in the pod.
        image: Its image.
        user: The user it runs as.
        compute: Its CPU, memory and disk.
        command: Replaces the image's entrypoint.
        args: Replaces the image's arguments.
        ports: What it serves.
        variables: Its environment, in order: ``$(NAME)`` stands for a variable given before.
        probes: How the kubelet asks after it. Every container of a service says so, its sidecars too, or why nobody
            does, by ``NoProbes``. What ends by itself, in a task or before the others, is not asked.
        volumes: What is mounted.
        working_directory: Where the process starts; the image's own unless given.
        pre_stop_seconds: Seconds to sleep before SIGTERM, so that Services and gateways stop sending first.
            The image needs a ``sleep``.
        quiet_seconds: Seconds to wait after that, at most, until nobody is connected to its ports any more: for a
            program that cuts what is under way when it gets SIGTERM. The image needs ``sh`` and ``grep``, too.
        writable_root_because: Why this image must write to its root file system. Empty, as it should be,
            keeps the root read-only.
        log_pattern: How the level of a line of its log is found, where that is neither JSON nor logfmt: a regular
            expression (RE2) with a group ``level``, such as ``^(?P<level>[A-Z]+):``. What collects logs reads it.
    """

    name: str
    image: Image
    user: User
    compute: Compute
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    variables: tuple[Variable, ...] = ()
    probes: Probes | NoProbes | None = None
    volumes: tuple[Volume, ...] = ()
    working_directory: str = ""
    pre_stop_seconds: int = 0
    quiet_seconds: int = 0
    writable_root_because: str = ""
    log_pattern: str = ""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself inside one container."""
        where = f"Container {self.name!r}"
        dns_label("Container.name", self.name)
        once(f"{where} port name", [port.name for port in self.ports])
        once(f"{where} port", [port.container for port in self.ports])
        once(f"{where} Service port", [port.number for port in self.ports])
        once(f"{where} variable", [variable.name for variable in self.variables])
        once(f"{where} volume name", [volume.name for volume in self.volumes])
        once(f"{where} mount path", [volume.mount_path for volume in self.volumes])
        if self.command and not self.command[0]:
            raise SettingError(f"{where} command", self.command, "Begin with a program.")
        for word in (*self.command, *self.args):
            told(f"{where} command and args", word)
        if self.writable_root_because:
            one_line(f"{where} writable_root_because", self.writable_root_because, "Say why, in one line.")
        if self.working_directory and not (
            self.working_directory.startswith("/") and self.working_directory.isprintable()
        ):
            raise SettingError(
                f"{where} working_directory", self.working_directory, "Give a whole path, with '/' first."
            )
        names = {port.name for port in self.ports}
        for probe in self.asked.all if self.asked else ():
            if isinstance(probe.check, (HttpGet, TcpSocket)) and probe.check.port not in names:
                known = f"Give one of its ports: {', '.join(sorted(names))}." if names else "Give it ports=(Port(…),)."
                raise SettingError(f"{where} probe port", probe.check.port, known)
        for field in ("pre_stop_seconds", "quiet_seconds"):
            if getattr(self, field) < 0:
                raise SettingError(f"{where} {field}", getattr(self, field), "Give 0 or more.")
        if self.quiet_seconds and not self.ports:
            raise SettingError(f"{where} quiet_seconds", self.quiet_seconds, "It has no ports. Give 0.")
        if self.log_pattern:
            line_pattern(f"{where} log_pattern", self.log_pattern)

    @property
    def asked(self) -> Probes | None:
        """How the kubelet asks after it, if at all."""
        return self.probes if isinstance(self.probes, Probes) else None

    @property
    def requests(self) -> Amount:
        """What it is promised."""
        return self.compute.requests + self._volumes

    @property
    def limits(self) -> Amount:
        """What it may use at most."""
        return self.compute.limits + self._volumes

    @property
    def _before_the_signal(self) -> list[str]:
        """What a stop begins with. The API has an action ``sleep`` of its own from Kubernetes 1.30 on alone."""
        if not self.quiet_seconds:
            return ["sleep", str(self.pre_stop_seconds)] if self.pre_stop_seconds else []
        ports = "|".join(f"{port.container:04X}" for port in self.ports)
        # The end of the local address, the remote one, and the state: established.
        connected = f":({ports}) [0-9A-F]+:[0-9A-F]+ 01 "
        return ["sh", "-c", _UNTIL_QUIET, str(self.pre_stop_seconds), str(self.quiet_seconds), connected]

    @property
    def _volumes(self) -> Amount:
        """Of its node's disk: its volumes that lie there. The kubelet adds up the same."""
        return Amount(disk=sum(volume.disk for volume in self.volumes))

    def render(self, image_pull_policy: str = "", *, assigns_users: bool = False) -> k8s.Container:
        """The container as the API has it, hardened.

        Args:
            image_pull_policy: When its image is pulled; what Kubernetes takes for the tag unless given.
            assigns_users: Whether the cluster says whom it runs as.
        """
        probes = self.asked
        requests, limits = (
            {name: k8s.Quantity.from_string(text) for name, text in amount.resources.items()}
            for amount in (self.requests, self.limits)
        )
        return k8s.Container(
            name=self.name,
            image=self.image.reference,
            image_pull_policy=image_pull_policy or None,
            command=list(self.command) or None,
            args=list(self.args) or None,
            working_dir=self.working_directory or None,
            env=[variable.render() for variable in self.variables] or None,
            ports=[
                k8s.ContainerPort(name=port.name, container_port=port.container, protocol="TCP") for port in self.ports
            ]
            or None,
            startup_probe=probes.startup.render(probes.hung_grace_seconds) if probes else None,
            readiness_probe=probes.readiness.render() if probes else None,
            liveness_probe=probes.liveness.render(probes.hung_grace_seconds) if probes else None,
            resources=k8s.ResourceRequirements(requests=requests, limits=limits),
            lifecycle=k8s.Lifecycle(pre_stop=k8s.LifecycleHandler(exec=k8s.ExecAction(command=self._before_the_signal)))
            if self._before_the_signal
            else None,
            volume_mounts=[volume.mount() for volume in self.volumes] or None,
            security_context=harden(self, assigns_users=assigns_users),
        )


def harden(container: Container, *, assigns_users: bool = False) -> k8s.SecurityContext:
    """The security context of every container: restricted, and a read-only root file system.

    It is the restricted Pod Security Standard (numeric non-root user, no privilege escalation, no capability,
    the runtime's seccomp profile) and more: nothing but named volumes can be written. Where the cluster assigns users,
    none is named: the numeric user is then the cluster's.
    """
    return k8s.SecurityContext(
        run_as_non_root=True,
        run_as_user=None if assigns_users else container.user.uid,
        run_as_group=None if assigns_users else container.user.gid,
        allow_privilege_escalation=False,
        privileged=False,
        read_only_root_filesystem=not container.writable_root_because,
        capabilities=k8s.Capabilities(drop=["ALL"]),
        seccomp_profile=k8s.SeccompProfile(type="RuntimeDefault"),
    )


def harden_pod(user: User, *, assigns_users: bool = False) -> k8s.PodSecurityContext:
    """The security context of every pod: the same for whatever container is added, and the volumes' group."""
    return k8s.PodSecurityContext(
        run_as_non_root=True,
        run_as_user=None if assigns_users else user.uid,
        run_as_group=None if assigns_users else user.gid,
        fs_group=None if assigns_users else user.volume_gid,
        fs_group_change_policy="OnRootMismatch",
        seccomp_profile=k8s.SeccompProfile(type="RuntimeDefault"),
    )
