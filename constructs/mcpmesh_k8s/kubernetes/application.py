"""This module is the cdk8s App of one environment: it renders, checks and writes the whole application."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from constructs import Construct

from ._jsii import ApiObjects, cdk8s
from .api import to_json
from .checks import problems_of
from .errors import SettingError, TreeError
from .names import dns_label

if TYPE_CHECKING:
    from .component import Component, Manifest
    from .pod import Pod
    from .secret import SecretEntry


@dataclass(frozen=True, kw_only=True)
class ApplicationSettings:
    """What the objects of an application have in common.

    Args:
        name: The application's name: the prefix of every object's name and the label ``part-of``.
        namespace: The namespace; the application's name unless given.
        image_pull_secret: The name of an existing Secret with the credentials of a private image registry.
        cluster_domain: The DNS suffix of Services; ``cluster.local`` wherever nobody changed it.
    """

    name: str
    namespace: str = ""
    image_pull_secret: str = ""
    cluster_domain: str = "cluster.local"

    def __post_init__(self) -> None:
        """Check the names."""
        dns_label("ApplicationSettings.name", self.name)
        if not self.namespace:
            object.__setattr__(self, "namespace", self.name)
        dns_label("ApplicationSettings.namespace", self.namespace)


class Application(cdk8s.App):
    """One environment of an application: a cdk8s App that writes all of its files or none.

    Args:
        settings: Name and namespace.
        outdir: The folder that holds this environment, and nothing else, such as ``dist/dev``.
    """

    def __init__(self, settings: ApplicationSettings, *, outdir: str | Path) -> None:
        self.settings = settings
        self.directory = Path(outdir)
        self._staging = self.directory.with_name(f".{self.directory.name}.new")
        self._components: dict[str, Component] = {}
        self._rendered: dict[str, list[Manifest]] | None = None
        self._problems: tuple[str, ...] = ()
        self._phases: list[Phase] = []
        super().__init__(outdir=str(self._staging))

    @staticmethod
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

    def register(self, component: Component, id: str) -> None:
        """Take a component up in the application.

        Raises:
            SettingError: Its name is taken, or the application was rendered already.
        """
        self.require_open(f"{type(component).__name__} {component.name!r}")
        if id in self._components:
            raise SettingError(
                f"{type(component).__name__} name",
                component.name,
                f"A {type(self._components[id]).__name__} has this name already: give each its own.",
            )
        self._components[id] = component

    def prefixed(self, name: str) -> str:
        """The name of an object of this application."""
        return f"{self.settings.name}-{name}"

    def require_open(self, what: str) -> None:
        """Refuse a change after the manifests were made."""
        if self._rendered is not None:
            raise SettingError(what, "a change after rendering", "Make it before synth() or manifests().")

    def add_phase(self, phase: Phase) -> int:
        """Take a phase up, and return its number."""
        self._phases.append(phase)
        return len(self._phases) - 1

    @property
    def phases(self) -> Sequence[Phase]:
        """All phases, in the order they are applied."""
        return tuple(self._phases)

    @property
    def components(self) -> Sequence[Component]:
        """All components, in the order they were made."""
        return tuple(self._components.values())

    @property
    def pods(self) -> Sequence[Pod]:
        """All components that run pods."""
        from .pod import Pod

        return tuple(component for component in self.components if isinstance(component, Pod))

    def secret_keys(self) -> tuple[SecretEntry, ...]:
        """Every key of every Secret: where its value comes from, its variable of a ``.env`` file, and who reads it."""
        from .secret import Secret, SecretEntry, SecretKey

        readers: dict[SecretKey, dict[str, None]] = {}
        for pod in self.pods:
            for container in (*pod.containers, *pod.init_containers):
                for variable in container.variables:
                    if isinstance(variable.value, SecretKey):
                        readers.setdefault(variable.value, {})[pod.name] = None
        return tuple(
            SecretEntry(
                reference=(reference := secret.key(origin.key)),
                origin=origin,
                variable=secret.variable(origin.key),
                readers=tuple(readers.get(reference, ())),
            )
            for secret in self.components
            if isinstance(secret, Secret)
            for origin in secret.settings.origins
        )

    def manifests(self) -> dict[str, list[Manifest]]:
        """All manifests by phase, checked as a whole.

        Objects made with plain cdk8s in the same charts are included. After this call nothing can be added.

        Raises:
            TreeError: The application is not consistent; the message lists every problem.
        """
        if self._rendered is None:
            rendered: dict[str, list[Manifest]] = {}
            for phase in self._phases:
                entries = [
                    (component.path, object_id(component, manifest), in_wave(component.wave, manifest))
                    for component in self.components
                    if component.phase is phase
                    for manifest in written(component)
                ]
                others = ApiObjects.add(phase, entries, {WAVE: str(phase.number)})
                rendered[phase.name] = others + [manifest for _, _, manifest in entries]
            self._rendered = rendered
            self._problems = problems_of(self, [manifest for group in rendered.values() for manifest in group])
        if self._problems:
            raise TreeError(f"{self.settings.name} in {self.directory}", self._problems)
        return self._rendered

    def synth(self) -> None:
        """Write the environment, all of it or nothing.

        Raises:
            TreeError: The application is not consistent.
            SettingError: The folder cannot be written.
        """
        synthesize([self])

    def stage(self) -> None:
        """Write the files beside their place."""
        self.discard()
        try:
            self._staging.mkdir(parents=True)
        except OSError as error:
            raise SettingError("outdir", str(self.directory), f"Give a folder that can be written: {error}.") from None
        super().synth()

    def discard(self) -> None:
        """Remove what was staged."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def publish(self) -> None:
        """Put the staged files in their place and remove the earlier ones."""
        with tempfile.TemporaryDirectory(prefix=f".{self.directory.name}.", dir=self.directory.parent) as old:
            if self.directory.exists():
                self.directory.rename(Path(old) / "old")
            self._staging.rename(self.directory)


def synthesize(applications: Sequence[Application]) -> None:
    """Write several environments, all of them or none.

    Every environment is rendered and checked, then all are written beside their place, then put there. A failure
    before the last step leaves what was there untouched.

    Raises:
        TreeError: An application is not consistent.
        SettingError: A folder cannot be written.
    """
    for application in applications:
        application.manifests()
    try:
        for application in applications:
            application.stage()
        for application in applications:
            application.publish()
    finally:
        for application in applications:
            application.discard()


class Phase(cdk8s.Chart):
    """A chart of an application. Phases are written, applied and synced in the order they are made.

    Args:
        application: The application.
        name: The phase's name; its file is ``<number>-<name>.k8s.yaml``.
    """

    def __init__(self, application: Application, name: str) -> None:
        # The number orders the files. A dependency between charts would too, and cdk8s turns it into one between
        # every two of their objects, which takes longer than writing them.
        self.number = application.add_phase(self)
        super().__init__(application, f"{self.number:04}-{dns_label('Phase name', name)}")
        self.application = application
        self.name = name


def written(component: Component) -> list[Manifest]:
    """The manifests of a component as JSON has them: a manifest written by hand may hold structs.

    Raises:
        SettingError: Something is no object of Kubernetes.
    """
    found: list[Manifest] = []
    for manifest in component.manifests():
        rendered = to_json(manifest)
        if not (isinstance(rendered, dict) and isinstance(rendered.get("metadata"), dict) and "kind" in rendered):
            raise SettingError(
                f"{type(component).__name__}.manifests of {component.name!r}",
                manifest,
                "Give objects with apiVersion, kind and metadata, such as k8s.KubeConfigMap.manifest(metadata=…).",
            )
        found.append(rendered)
    return found


WAVE = "argocd.argoproj.io/sync-wave"


def in_wave(wave: int, manifest: Manifest) -> Manifest:
    """The manifest with its ArgoCD sync wave, which nobody but ArgoCD reads."""
    metadata = manifest["metadata"]
    assert isinstance(metadata, Mapping)
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), WAVE: str(wave)}}}


def object_id(component: Component, manifest: Manifest) -> str:
    """The construct id of an object inside its component: kind, and name where it is not the component's own."""
    metadata = manifest["metadata"]
    name = metadata["name"] if isinstance(metadata, dict) else ""
    kind = str(manifest["kind"])
    return kind if name == component.full_name else f"{kind}-{name}"
