"""This module is guests: pods that another controller, or a person, starts in the namespace of the application."""

from __future__ import annotations

from constructs import Construct

from .component import Component
from .endpoint import port_number
from .errors import SettingError
from .labels import label_pairs
from .manifest import Manifest
from .names import dns_label
from .network import External, Peer, pod_policies, require_sayable
from .quantity import Amount, Compute
from .service_mesh import path_of, pod_policies_of
from .transit import IstioAmbient
from .values import dataclass


@dataclass(frozen=True, kw_only=True)
class GuestSettings:
    """Pods that somebody else starts in the namespace, and that come and go.

    Default deny closes them, and the quota has no room for them, unless they are said.

    Args:
        name: What people call them; their policy carries it.
        labels: The labels by which they are known, as ``(key, value)``.
        compute: CPU, memory and disk of each pod, all its containers together.
        pods: How many there are at a time.
        port: The port that they listen on; none unless given.
        accepts: Who may come in there from outside the application.
        reaches: What they may dial beside the DNS.
        node_ports: How many NodePorts their Services take.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    compute: Compute
    pods: int = 1
    port: int = 0
    accepts: tuple[Peer, ...] = ()
    reaches: tuple[External, ...] = ()
    node_ports: int = 0

    def __post_init__(self) -> None:
        """Refuse guests that nobody could tell from others, and numbers that cannot be."""
        dns_label("GuestSettings.name", self.name)
        label_pairs("GuestSettings.labels", self.labels)
        where = f"GuestSettings of {self.name!r}"
        if not self.labels:
            raise SettingError(f"{where} labels", self.labels, "Their policy would be about every pod. Give a label.")
        if self.port or self.accepts:
            port_number(f"{where} port", self.port)
        if self.pods < 1 or self.node_ports < 0:
            raise SettingError(f"{where} pods", (self.pods, self.node_ports), "Give 1 pod or more, and 0 NodePorts.")


class Guest(Component):
    """Room and paths for guests: their share of the quota, and a policy. Pod Security holds for them as for all.

    They are no part of the steady state, so the budget does not count them.

    Args:
        scope: A Phase, or a construct inside one.
        settings: Who they are.

    Raises:
        SettingError: No policy of this cluster can say who comes in or is dialled.
    """

    def __init__(self, scope: Construct, settings: GuestSettings) -> None:
        super().__init__(scope, settings.name, settings.name, "guest")
        self.settings = settings
        dialled = [listener.peer for external in settings.reaches for listener in external.listeners]
        for peer in (*settings.accepts, *dialled):
            require_sayable(f"GuestSettings of {settings.name!r}", peer, self.application.settings.policies)

    @property
    def requests(self) -> Amount:
        """What all of them request."""
        return self.settings.compute.requests * self.settings.pods

    @property
    def limits(self) -> Amount:
        """The most that all of them may use."""
        return self.settings.compute.limits * self.settings.pods

    def manifests(self) -> list[Manifest]:
        """Their policy."""
        settings, transit = self.settings, self.application.settings.transit
        peers = [(peer, settings.port) for peer in settings.accepts]
        return [
            *pod_policies(
                self.metadata(),
                dict(settings.labels),
                self.application.settings.policies,
                incoming=[(peer, number) for peer, port in peers for number in path_of(transit, peer, port)],
                outgoing=[listener for external in settings.reaches for listener in external.listeners],
            ),
            # Ambient is a whole namespace's. A proxy of Linkerd comes with an annotation, which guests do not have.
            *(
                pod_policies_of(transit, self.metadata(), dict(settings.labels), {}, peers)
                if isinstance(transit, IstioAmbient)
                else ()
            ),
        ]
