"""This module is what every construct of the library shares: a place in the application, a name and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from constructs import Construct

from ._jsii import create
from .api import k8s
from .errors import SettingError
from .labels import label_value
from .manifest import Manifest
from .names import dns_label
from .patch import Patch, once_each
from .scope import place_of
from .signals import Alert

NAME_LABEL = "app.kubernetes.io/name"
"""The one label that selects. The others describe, and may change without replacing an object."""

GROUND_WAVE = -1
"""The sync wave of what everything else stands on: the namespace, priorities and Secrets. It is before all phases."""


class _Unmade:
    """What jsii finds in a construct that ``Component.__init__`` did not make: that sets it on the instance."""

    def __get__(self, instance: object, owner: type) -> object:
        if instance is None:
            return self
        raise SettingError(
            f"{owner.__name__}.__init__", "no call of super().__init__", "Call it first, with the scope and the rest."
        )


class Component(Construct):
    """A construct that renders manifests into the chart it stands in.

    Connections and references are added after construction, so the manifests are made when the application is
    synthesized, by ``manifests()``.

    Args:
        scope: A Phase, or any construct inside one.
        id: The construct id, unique in the scope.
        name: The short name; objects carry it with the application's prefix.
        component: The role of the objects, as the label ``app.kubernetes.io/component``.
    """

    __jsii_ref__ = _Unmade()

    def __init__(self, scope: Construct, id: str, name: str, component: str = "") -> None:
        self.phase, inside = place_of(scope)
        self.application = self.phase.application
        self.path = inside + id
        self.name = name
        self.full_name = dns_label(f"{type(self).__name__} name", self.application.prefixed(name))
        label_value(f"{type(self).__name__} component", component)
        self.component = component
        self._patches: tuple[Patch, ...] = ()
        self.application.register(self, id, name, self.settle)
        create(self, scope, id)

    @property
    def namespace(self) -> str:
        """The namespace that the objects lie in."""
        return self.application.settings.namespace

    @property
    def wave(self) -> int:
        """The ArgoCD sync wave of its objects: the number of its phase.

        ArgoCD starts a wave when everything of the one before is healthy.
        """
        return self.phase.number

    @property
    def selector(self) -> dict[str, str]:
        """The label that selects this component's pods, in Services, policies and budgets alike."""
        return {NAME_LABEL: self.full_name}

    def labels(self) -> dict[str, str]:
        """The labels of its objects."""
        labels = {
            **self.selector,
            "app.kubernetes.io/part-of": self.application.settings.name,
            "app.kubernetes.io/managed-by": "cdk8s",
            **dict(self.application.settings.labels),
        }
        return labels | ({"app.kubernetes.io/component": self.component} if self.component else {})

    def metadata(
        self, name: str = "", *, annotations: Mapping[str, str] | None = None, namespaced: bool = True
    ) -> k8s.ObjectMeta:
        """Name, namespace and labels of one of its objects; the component's own name unless given."""
        return k8s.ObjectMeta(
            name=name or self.full_name,
            namespace=self.namespace if namespaced else None,
            labels=self.labels(),
            annotations=dict(annotations) if annotations else None,
        )

    def patch(self, *patches: Patch) -> None:
        """Change one of its objects in a way that no setting says. The application applies and lists the changes.

        Raises:
            SettingError: Two patches are about the same place.
        """
        self.application.require_open(self.full_name)
        together = (*self._patches, *patches)
        once_each(f"{self.full_name} patch", together)
        self._patches = together

    @property
    def patches(self) -> tuple[Patch, ...]:
        """The changes of its objects that no setting says, in the order they are applied."""
        return self._patches

    def settle(self) -> None:
        """Do what depends on all other components, before anything is rendered. Connections may still be made."""

    @property
    def alerts(self) -> Sequence[Alert]:
        """What should wake people about it. What watches the application makes rules of them."""
        return ()

    def problems(self) -> Sequence[str]:
        """What is wrong with it in the tree as it stands, one sentence each; a subclass may say more."""
        return ()

    def manifests(self) -> list[Manifest]:
        """The objects that this component renders, in the order they are written, without its patches."""
        raise SettingError(f"{type(self).__name__}.manifests", "nothing", "Say which objects it renders, in a list.")
