"""This module is what any pod may be given beside what its program needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from .container import Container
from .endpoint import Port
from .errors import SettingError
from .labels import own_annotations, own_labels
from .names import dns_subdomain, once
from .patch import Patch, once_each
from .placement import Placement
from .signals import MetricsEndpoint
from .storage import Volume
from .values import dataclass


@dataclass(frozen=True, kw_only=True)
class PodExtras:
    """What is added to a pod, and to the object that runs it. Every workload and every task takes it.

    Added containers are hardened as all are, counted by quota and budget, and held to the pod's policy. Example:
    ``RedisSettings(..., extras=PodExtras(pod_annotations=(("example.com/scrape", "true"),)))``.

    Args:
        labels: Labels of all its objects, as ``(key, value)``. Those that select are the library's own.
        annotations: Annotations of the Deployment, StatefulSet or Job.
        pod_labels: Labels of its pods.
        pod_annotations: Annotations of its pods.
        account_annotations: Annotations of its ServiceAccount, by which a cloud knows it:
            ``(("eks.amazonaws.com/role-arn", "arn:aws:iam::…:role/…"),)``. Whoever asks that cloud connects to it, too.
        placement: Where its pods may run.
        sidecars: Containers beside the main one, such as an exporter of metrics. Their ports are served as well.
        init_containers: Containers that run one after the other, when what the pod waits for is there, and before its
            containers start.
        volumes: What is mounted into the main container. A sidecar mounts what it needs itself; a volume of the same
            name is the same volume.
        ports: More ports of the main container. Nobody may reach them unless a connection says so:
            ``client.connects_to(Target(workload=..., port="metrics"))`` or ``accepts_from(peer, "metrics")``.
        metrics: Where more metrics are served, such as on a sidecar's port.
        image_pull_policy: When images of all its containers are pulled; ``IfNotPresent`` is what Kubernetes takes for
            an exact tag.
        image_pull_secrets: The names of existing Secrets with the credentials of more image registries, beside that of
            the application.
        patches: Changes that no setting says, each with its reason.
    """

    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    pod_labels: tuple[tuple[str, str], ...] = ()
    pod_annotations: tuple[tuple[str, str], ...] = ()
    account_annotations: tuple[tuple[str, str], ...] = ()
    placement: Placement = Placement()
    sidecars: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    ports: tuple[Port, ...] = ()
    metrics: tuple[MetricsEndpoint, ...] = ()
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = ""
    image_pull_secrets: tuple[str, ...] = ()
    patches: tuple[Patch, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the API server would refuse, and what is the library's own."""
        own_labels("PodExtras.labels", self.labels)
        own_annotations("PodExtras.annotations", self.annotations)
        own_labels("PodExtras.pod_labels", self.pod_labels)
        own_annotations("PodExtras.pod_annotations", self.pod_annotations)
        own_annotations("PodExtras.account_annotations", self.account_annotations)
        if self.image_pull_policy not in ("", "Always", "IfNotPresent", "Never"):
            raise SettingError(
                "PodExtras.image_pull_policy", self.image_pull_policy, "Give 'Always', 'IfNotPresent' or 'Never'."
            )
        for name in self.image_pull_secrets:
            dns_subdomain("PodExtras.image_pull_secrets", name)
        once("PodExtras.image_pull_secrets", self.image_pull_secrets)
        require_ending("PodExtras.init_containers", self.init_containers)
        once_each("PodExtras.patches", self.patches)


def require_ending(where: str, containers: Sequence[Container]) -> None:
    """Refuse init containers with what only those have that go on.

    Raises:
        SettingError: One of them serves, is probed, or waits before it ends.
    """
    for container in containers:
        for what, given in (
            ("ports", container.ports),
            ("probes", container.asked),
            ("pre_stop_seconds", container.pre_stop_seconds),
            ("quiet_seconds", container.quiet_seconds),
        ):
            if given:
                raise SettingError(
                    f"{where} {container.name!r} {what}",
                    given,
                    "It ends before the pod serves, and Kubernetes takes none there. Leave it out.",
                )
