"""This module is the clusters that the environments are planned for: their machines, and what runs there besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A node of a cluster.

    Args:
        name: Its name.
        cpu: What pods may request.
        memory: What pods may request.
        zone: Where it stands.
    """

    name: str
    cpu: str
    memory: str
    zone: str


@dataclass(frozen=True, kw_only=True)
class SystemPods:
    """What the system itself runs.

    Args:
        name: Its name.
        cpu: What each pod requests.
        memory: What each pod requests.
        replicas: How many there are; one on every node unless given.
    """

    name: str
    cpu: str
    memory: str
    replicas: int | None = None


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster as an environment is planned for it.

    Args:
        machines: Its nodes.
        system: What runs there besides, 1.1 CPU in all.
    """

    machines: tuple[Machine, ...]
    system: tuple[SystemPods, ...]

    @property
    def system_pods(self) -> int:
        """How many pods the system runs."""
        return sum(len(self.machines) if pods.replicas is None else pods.replicas for pods in self.system)


PLANNED: Mapping[str, Cluster] = {
    "dev": Cluster(
        machines=(Machine(name="minikube", cpu="4", memory="8Gi", zone="here"),),
        system=(
            SystemPods(name="control-plane", cpu="650m", memory="200Mi", replicas=1),
            SystemPods(name="coredns", cpu="100m", memory="70Mi", replicas=1),
            SystemPods(name="network", cpu="250m", memory="64Mi"),
            SystemPods(name="ingress-nginx", cpu="100m", memory="90Mi", replicas=1),
        ),
    ),
    "prod": Cluster(
        machines=tuple(
            Machine(name=f"node-{zone}", cpu="2700m", memory="5632Mi", zone=f"zone-{zone}") for zone in ("a", "b", "c")
        ),
        system=(
            SystemPods(name="network", cpu="200m", memory="64Mi"),
            SystemPods(name="coredns", cpu="100m", memory="70Mi", replicas=2),
            SystemPods(name="ingress-nginx", cpu="100m", memory="90Mi", replicas=1),
            SystemPods(name="metrics-server", cpu="100m", memory="200Mi", replicas=1),
            SystemPods(name="external-secrets", cpu="100m", memory="128Mi", replicas=1),
        ),
    ),
}
"""The cluster of each environment, by the environment's name."""
