"""This module is the cluster that an application must fit in: how much of it, its nodes, and what the system keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from .errors import SettingError
from .labels import label_pairs
from .names import once
from .packing import Room
from .quantity import Amount, in_bytes, millicores
from .values import dataclass

_MOST_NODES = 5000
"""Kubernetes' own bound."""


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Nodes of one size. ``kubectl describe nodes`` says it, as ``Allocatable``.

    Args:
        count: How many there are.
        cpu: What pods may request of each: its capacity, less what the kubelet reserves.
        memory: What pods may request of each.
        ephemeral_storage: What pods may request of each one's disk.
        pods: How many pods each takes. 110 is the kubelet's default.
        zones: Over how many zones they are spread, evenly. Where there are several, a whole zone may be lost at once;
            with one, a node.
        labels: Labels that all of them carry, as ``(key, value)``, for pods whose ``node_selector`` asks for them.
    """

    count: int
    cpu: str
    memory: str
    ephemeral_storage: str
    pods: int = 110
    zones: int = 1
    labels: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse nodes that there cannot be."""
        if not 1 <= self.count <= _MOST_NODES:
            raise SettingError("Nodes.count", self.count, f"Give 1 to {_MOST_NODES}: Kubernetes bears no more.")
        if self.pods < 1:
            raise SettingError("Nodes.pods", self.pods, "Give 1 or more, such as 110.")
        if not 1 <= self.zones <= self.count:
            raise SettingError("Nodes.zones", self.zones, f"Give 1 to {self.count}: a zone has a node or more.")
        label_pairs("Nodes.labels", self.labels)
        _ = self.amount

    @property
    def amount(self) -> Amount:
        """What one of them has for pods."""
        return Amount(
            cpu=millicores("Nodes.cpu", self.cpu),
            memory=in_bytes("Nodes.memory", self.memory),
            disk=in_bytes("Nodes.ephemeral_storage", self.ephemeral_storage),
        )

    def __str__(self) -> str:
        zones = f" in {self.zones} zones" if self.zones > 1 else ""
        return f"{self.count} of {self.amount}{zones}"


@dataclass(frozen=True, kw_only=True)
class SystemPods:
    """Pods that run besides, and come first: those of the system, of the network, of operators.

    Args:
        name: What they are.
        cpu: What each requests.
        memory: What each requests.
        count: How many there are; one on every node (a DaemonSet) unless given.
    """

    name: str
    cpu: str
    memory: str
    count: int | None = None

    def __post_init__(self) -> None:
        """Refuse pods that there cannot be."""
        if self.count is not None and self.count < 1:
            raise SettingError(
                f"SystemPods.count of {self.name!r}", self.count, "Give 1 or more, or None for all nodes."
            )
        _ = self.amount

    @property
    def amount(self) -> Amount:
        """What each requests."""
        return Amount(
            cpu=millicores(f"SystemPods.cpu of {self.name!r}", self.cpu),
            memory=in_bytes(f"SystemPods.memory of {self.name!r}", self.memory),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.amount}{' on each node' if self.count is None else f' × {self.count}'}"


@dataclass(frozen=True, kw_only=True)
class FreeNode:
    """A node as the application finds it.

    Args:
        room: What it has for pods.
        labels: Its labels.
        domain: What is lost with it: it alone, or its zone.
    """

    room: Room
    labels: frozenset[tuple[str, str]]
    domain: str


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The cluster that the application must fit in.

    Args:
        cpu: Cores for all requests together, such as ``"4"``.
        memory: Memory for all requests together, such as ``"8Gi"``.
        nodes: Its nodes. Where they are given, it is proven that every pod finds room on one: at steady state, while
            everything is rolled out, and when any one node is lost, or any one zone of several. A cluster that adds
            nodes by itself has none to give: the sum alone is then checked.
        system: What runs there besides.
    """

    cpu: str
    memory: str
    nodes: tuple[Nodes, ...] = ()
    system: tuple[SystemPods, ...] = ()

    def __post_init__(self) -> None:
        """Check the quantities."""
        _ = self.amount
        once("Budget.system name", [pods.name for pods in self.system])
        for place in self.places:
            if min(place.room.amount.cpu, place.room.amount.memory, place.room.pods) < 0:
                raise SettingError("Budget.system", self.system, "It leaves nothing of a node. Give larger nodes.")

    @property
    def amount(self) -> Amount:
        """What all requests together may be."""
        return Amount(cpu=millicores("Budget.cpu", self.cpu), memory=in_bytes("Budget.memory", self.memory))

    @property
    def places(self) -> tuple[FreeNode, ...]:
        """Every node, less what the system has on each."""
        everywhere = [pods.amount for pods in self.system if pods.count is None]
        taken = sum(everywhere, Amount())
        return tuple(
            FreeNode(
                room=Room(amount=nodes.amount - taken, pods=nodes.pods - len(everywhere)),
                labels=frozenset(nodes.labels),
                domain=f"zone {number % nodes.zones}" if nodes.zones > 1 else f"node {index} {number}",
            )
            for index, nodes in enumerate(self.nodes)
            for number in range(nodes.count)
        )

    @property
    def guests(self) -> Mapping[Amount, int]:
        """The system's pods that may be on any node: how many request how much."""
        found = Counter[Amount]()
        for pods in self.system:
            found[pods.amount] += pods.count or 0
        return +found
