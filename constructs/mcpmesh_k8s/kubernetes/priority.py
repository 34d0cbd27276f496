"""This module is priorities: who gets room first when the cluster is full."""

from __future__ import annotations

from dataclasses import dataclass

from constructs import Construct

from .api import k8s
from .component import GROUND_WAVE, Component
from .errors import SettingError
from .manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class PriorityClassSettings:
    """How important pods are when the cluster is full.

    Args:
        name: Its name, without the namespace's prefix.
        value: Higher comes first. 0 is the default of pods without a class; system classes start at 2 billion.
        description: What it is for.
        survives_a_node: Whether its workloads keep the least number of their pods (``Availability.min_available``, or
            one) when any one node is lost. Where the budget says which nodes there are, the synthesis proves it, and
            refuses what cannot be kept.
    """

    name: str
    value: int
    description: str
    survives_a_node: bool = False

    def __post_init__(self) -> None:
        """Refuse what the API server would refuse."""
        if not -(10**9) <= self.value <= 10**9:
            raise SettingError(f"PriorityClass {self.name!r} value", self.value, "Give at most 1000000000.")


class PriorityClass(Component):
    """A PriorityClass of the application. It is an object of the whole cluster, so its name begins with the namespace.

    Args:
        scope: A Phase.
        settings: Name and value.
    """

    def __init__(self, scope: Construct, settings: PriorityClassSettings) -> None:
        super().__init__(scope, f"priority-{settings.name}", settings.name)
        self.settings = settings

    @property
    def wave(self) -> int:
        """Before everything that names it: a pod of an unknown class is refused."""
        return GROUND_WAVE

    def manifests(self) -> list[Manifest]:
        """The PriorityClass."""
        return [
            k8s.KubePriorityClass.manifest(
                metadata=self.metadata(self.application.cluster_wide(self.name), namespaced=False),
                value=self.settings.value,
                description=self.settings.description,
                preemption_policy="PreemptLowerPriority",
                global_default=False,
            )
        ]
