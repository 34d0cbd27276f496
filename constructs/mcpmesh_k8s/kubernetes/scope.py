"""This module is what components stand in: an application's settings, its phases, and the list of what it holds."""

from __future__ import annotations

import atexit
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from constructs import Construct

from ._jsii import cdk8s, create
from .api_access import ApiServer
from .errors import SettingError, refusals
from .labels import own_labels
from .names import dns_label, dns_subdomain
from .network import PolicyKind
from .platforms import Platform
from .reloader import Reloader
from .storage_class import EncryptedStorageClass
from .transit import PlainTransit, Transit
from .values import dataclass

C = TypeVar("C", bound=Construct)


@dataclass(frozen=True, kw_only=True)
class PodTemplatePath:
    """Where a custom resource holds a template of pods, so that they are checked as all are.

    Args:
        kind: Its kind, such as ``Rollout``.
        path: The fields that lead to the template, such as ``spec.template``.
    """

    kind: str
    path: str = "spec.template"

    def __post_init__(self) -> None:
        """Refuse a path that leads nowhere."""
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", self.kind):
            raise SettingError("PodTemplatePath.kind", self.kind, "Give a kind, such as 'Rollout'.")
        if not re.fullmatch(r"[a-z]\w*(\.[a-z]\w*)*", self.path):
            raise SettingError("PodTemplatePath.path", self.path, "Give fields, such as 'spec.template'.")


@dataclass(frozen=True, kw_only=True)
class ScopeSettings:
    """What the objects of an application have in common.

    Args:
        name: The application's name: the prefix of every object's name and the label ``part-of``.
        namespace: The namespace; the application's name unless given. It is the application's own: quota, limits and
            default deny hold for every pod there, and are made of this application alone. What others run there is a
            `Guest`.
        labels: Labels of all its objects and pods, as ``(key, value)``, such as who pays for them. Those of one
            workload are in its `PodExtras`.
        image_pull_secret: The name of an existing Secret with the credentials of a private image registry.
        cluster_domain: The DNS suffix of Services; ``cluster.local`` wherever nobody changed it.
        policies: With which objects policies are written. Cilium's need a cluster that runs Cilium.
        platform: What the cluster gives pods that others do not; see ``platforms``.
        pod_templates: Where custom resources, made with plain cdk8s, hold templates of pods. Those of Kubernetes' own
            kinds are known.
        api_server: Where the cluster's API server is, for the few pods that may ask it.
        transit: How what pods say to each other is kept from others: `PlainTransit`, `IstioAmbient`, `Linkerd` or
            `StoreTls`.
        storage_class: The class of every claim that names none, or an `EncryptedStorageClass`, which is then rendered;
            the cluster's default unless given.
        reloader: What restarts workloads when a Secret changes; nothing unless given, and `rotate` does it.
    """

    name: str
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    image_pull_secret: str = ""
    cluster_domain: str = "cluster.local"
    policies: PolicyKind = PolicyKind.KUBERNETES
    platform: Platform = Platform()
    pod_templates: tuple[PodTemplatePath, ...] = ()
    api_server: ApiServer = ApiServer()
    transit: Transit = PlainTransit()
    storage_class: str | EncryptedStorageClass = ""
    reloader: Reloader | None = None

    def __post_init__(self) -> None:
        """Check the names."""
        dns_label("ApplicationSettings.name", self.name)
        own_labels("ApplicationSettings.labels", self.labels)
        if not self.namespace:
            object.__setattr__(self, "namespace", self.name)
        dns_label("ApplicationSettings.namespace", self.namespace)
        if self.namespace == "default" or self.namespace.startswith("kube-"):
            raise SettingError(
                "ApplicationSettings.namespace",
                self.namespace,
                "It is the cluster's own: quota, default deny and the restricted standard would hold for what it runs "
                "there. Give one of the application's own.",
            )
        if self.name[0].isdigit():
            raise SettingError("ApplicationSettings.name", self.name, "Begin with a letter: a Service's name must.")
        if self.image_pull_secret:
            dns_subdomain("ApplicationSettings.image_pull_secret", self.image_pull_secret)
        dns_subdomain("ApplicationSettings.cluster_domain", self.cluster_domain)
        if isinstance(self.storage_class, str) and self.storage_class:
            dns_subdomain("ApplicationSettings.storage_class", self.storage_class)

    def problems(self, application: ApplicationScope) -> Iterable[str]:
        """What is wrong with the whole that every application need not know of, one sentence each."""
        return ()

    @property
    def service_domain(self) -> str:
        """What follows a Service's name in its full DNS name: ``<namespace>.svc.<cluster domain>``."""
        return f"{self.namespace}.svc.{self.cluster_domain}"


class Ground(Protocol):
    """What an application stands on: it knows how much room there is."""

    def may_surge(self, name: str) -> bool:
        """Whether a new pod of a component has room beside the old ones, while everything is rolled out."""
        ...


_unwritten: dict[int, Path] = {}
"""The folders of applications that nobody wrote or looked at."""


@atexit.register
def _say_what_was_not_written() -> None:
    """A program that forgets ``synth()`` ends well and writes nothing. One that failed has said so already."""
    if _unwritten and not refusals and not hasattr(sys, "last_type"):
        folders = sorted({str(folder) for folder in _unwritten.values()})
        more = f" and {len(folders) - 3} more" if folders[3:] else ""
        print(f"mcpmesh_k8s: {', '.join(folders[:3])}{more} not written: call synth().", file=sys.stderr)


class ApplicationScope(cdk8s.App):
    """What components see of their application: its settings, its phases, and each other.

    Args:
        settings: Name and namespace.
        directory: The folder that is written.
        staging: Where it is written first.
    """

    def __init__(self, settings: ScopeSettings, *, directory: Path, staging: Path) -> None:
        self.settings = settings
        self.directory = directory
        self._registered: dict[str, Construct] = {}
        self._unsettled: list[Callable[[], None]] = []
        self._phases: list[Phase] = []
        self._closed = False
        self.changes = 0
        """How often something was changed: what was found out before may no longer be so."""
        self.ground: Ground | None = None
        """Its namespace, when it has one."""
        _unwritten[id(self)] = directory
        # Whole: Node, which writes it, may have been started in another folder.
        create(self, {"outdir": str(staging.absolute())})

    def look(self) -> None:
        """Say that the application is looked at: a program that ends without writing it has not forgotten to."""
        _unwritten.pop(id(self), None)

    def register(self, construct: Construct, id: str, name: str, settle: Callable[[], None]) -> None:
        """Take a component up in the application.

        Args:
            construct: The component.
            id: Its id, unique in the application.
            name: What people call it.
            settle: What it does when all others are there.

        Raises:
            SettingError: Its name is taken, or the application was rendered already.
        """
        kind = type(construct).__name__
        self.require_open(f"{kind} {name!r}")
        if id in self._registered:
            raise SettingError(
                f"{kind} name",
                name,
                f"Another {type(self._registered[id]).__name__} has this name already: give each its own.",
            )
        self._registered[id] = construct
        self._unsettled.append(settle)

    def settle(self) -> None:
        """Let every component do what depends on all others: each once, in the order they were made."""
        while self._unsettled:
            self._unsettled.pop(0)()

    def find_all(self, kind: type[C]) -> tuple[C, ...]:
        """Every component of a kind, in the order they were made: ``find_all(Agent)``."""
        return tuple(construct for construct in self._registered.values() if isinstance(construct, kind))

    def prefixed(self, name: str) -> str:
        """The name of an object of this application."""
        return f"{self.settings.name}-{name}"

    def cluster_wide(self, name: str) -> str:
        """The name of an object that lies in no namespace: another one of this application may be in the cluster."""
        return f"{self.settings.namespace}-{name}"

    @property
    def storage_class(self) -> str:
        """The class of claims that name none; the cluster's default when empty."""
        given = self.settings.storage_class
        return given if isinstance(given, str) else self.cluster_wide(given.name)

    def require_open(self, what: str) -> None:
        """Refuse a change after the manifests were made."""
        if self._closed:
            raise SettingError(what, "a change after rendering", "Make it before synth() or manifests().")
        self.changes += 1

    def add_phase(self, phase: Phase) -> int:
        """Take a phase up, and return its number."""
        if any(phase.name == other.name for other in self._phases):
            raise SettingError("Phase name", phase.name, "Another phase has this name already: give each its own.")
        self._phases.append(phase)
        return len(self._phases) - 1

    @property
    def last_waves(self) -> tuple[int, int]:
        """The sync waves after all phases: of tasks that look at the whole, and of what no wave may wait for."""
        return len(self._phases), len(self._phases) + 1

    @property
    def phases(self) -> Sequence[Phase]:
        """All phases, in the order they are applied."""
        return tuple(self._phases)


class Phase(cdk8s.Chart):
    """A chart of an application. Phases are written, applied and synced in the order they are made.

    Args:
        application: The application.
        name: The phase's name; its file is ``<number>-<name>.k8s.yaml``.
    """

    def __init__(self, application: ApplicationScope, name: str) -> None:
        # The number orders the files. A dependency between charts would too, and cdk8s turns it into one between
        # every two of their objects, which takes longer than writing them.
        self.name = name
        self.number = application.add_phase(self)
        construct_id = f"{self.number:04}-{dns_label('Phase name', name)}"
        self.file = f"{construct_id}.k8s.yaml"
        create(self, application, construct_id)
        self.application = application


def place_of(scope: Construct) -> tuple[Phase, str]:
    """The phase that a scope stands in, and the scope's path inside it.

    Raises:
        SettingError: The scope is not inside a Phase of an Application.
    """
    if isinstance(scope, Phase):
        return scope, ""
    path: list[str] = []
    for construct in reversed(scope.node.scopes):
        if isinstance(construct, Phase):
            return construct, "".join(f"{id}/" for id in reversed(path))
        path.append(construct.node.id)
    raise SettingError("scope", type(scope).__name__, "Give a Phase of an Application, or a construct inside one.")


def settings_of(scope: Construct) -> ScopeSettings:
    """The settings of the application that a scope stands in, for what is needed before a component is made."""
    return place_of(scope)[0].application.settings
