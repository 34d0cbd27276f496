"""This module is the cdk8s App of one environment: it renders, checks and writes the whole application."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from constructs import IConstruct

from ._jsii import ApiObjects
from .api import to_json
from .checks import problems_of
from .component import Component
from .errors import SettingError, TreeError
from .manifest import Manifest
from .patch import Patch, patched
from .pod import Pod
from .scope import ApplicationScope, ScopeSettings
from .secret import SecretEntry, secret_entries


class Application(ApplicationScope):
    """One environment of an application: a cdk8s App that writes all of its files or none.

    Args:
        settings: Name and namespace.
        outdir: The folder that holds this environment, and nothing else, such as ``dist/dev``.

    Raises:
        SettingError: The folder has no name of its own, or the program runs inside it.
    """

    def __init__(self, settings: ScopeSettings, *, outdir: str | Path) -> None:
        directory = own_folder(Path(outdir))
        self._staging = directory.with_name(f".{directory.name}.new")
        self._rendered: dict[str, list[Manifest]] = {}
        self._problems: tuple[str, ...] = ()
        super().__init__(settings, directory=directory, staging=self._staging)

    @classmethod
    def of(cls, c: IConstruct) -> Application:
        """The application that a construct stands in.

        Raises:
            SettingError: The construct is not inside a Phase of an Application.
        """
        root = c.node.root
        if not isinstance(root, Application):
            raise SettingError("Application.of", type(c).__name__, "Give a construct inside an Application.")
        return root

    @property
    def components(self) -> Sequence[Component]:
        """All components, in the order they were made."""
        self.look()
        return self.find_all(Component)

    @property
    def pods(self) -> Sequence[Pod]:
        """All components that run pods."""
        self.look()
        return self.find_all(Pod)

    @property
    def patches(self) -> tuple[tuple[Component, Patch], ...]:
        """Every change that no setting says, each with the component whose object it changes."""
        return tuple((component, patch) for component in self.components for patch in component.patches)

    def secret_keys(self) -> tuple[SecretEntry, ...]:
        """Every key of every Secret: where its value comes from, its variable of a ``.env`` file, and who reads it."""
        self.look()
        return secret_entries(self)

    def manifests(self) -> dict[str, list[Manifest]]:
        """All manifests by phase, checked as a whole.

        Objects made with plain cdk8s in the same charts are included. After this call nothing can be added.

        Raises:
            TreeError: The application is not consistent; the message lists every problem.
        """
        self.look()
        if not self._closed:
            rendered: dict[str, list[Manifest]] = {}
            refused: list[str] = []
            self.settle()
            components, last = self.components, self.last_waves[1]
            for phase in self.phases:
                entries: list[tuple[str, str, Manifest]] = []
                for component in (component for component in components if component.phase is phase):
                    made = [
                        in_wave(last if manifest["kind"] in UNSTEADY else component.wave, manifest)
                        for manifest in written(component)
                    ]
                    made, problems = patched(component.full_name, made, component.patches)
                    refused += problems
                    entries += [(component.path, object_id(component, manifest), manifest) for manifest in made]
                waves = {kind: {WAVE: str(last)} for kind in UNSTEADY}
                others = ApiObjects.add(phase, entries, {"": {WAVE: str(phase.number)}, **waves})
                rendered[phase.name] = others + [manifest for _, _, manifest in entries]
            self._rendered = rendered
            self._closed = True
            everything = [manifest for group in rendered.values() for manifest in group]
            self._problems = (*refused, *problems_of(self, everything))
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

    def require_own_files(self) -> None:
        """Refuse a folder that holds what no earlier synthesis of this application wrote: it would be lost.

        Raises:
            SettingError: It holds something else, or is no folder.
        """
        if not self.directory.exists():
            return
        advice = "Give a folder of its own, such as 'dist/dev'."
        if not self.directory.is_dir():
            raise SettingError("outdir", str(self.directory), f"It is a file. {advice}")
        entries = sorted(self.directory.iterdir())
        strangers = [entry.name for entry in entries if entry.is_symlink() or not entry.is_file()]
        strangers += [entry.name for entry in entries if not _WRITTEN.fullmatch(entry.name)]
        if not strangers:
            owners = {entry.name: _owners(entry) for entry in entries}
            phases = {phase.file for phase in self.phases}
            ours = any(self.settings.name in found for found in owners.values()) or set(owners) <= phases
            strangers = [name for name, found in owners.items() if found - {self.settings.name} or not ours]
        if strangers:
            raise SettingError(
                "outdir",
                str(self.directory),
                f"It holds {strangers[0]}, which no synthesis of {self.settings.name} wrote, and which would be lost. "
                f"{advice}",
            )

    def stage(self) -> None:
        """Write the files beside their place."""
        self.discard()
        try:
            self._staging.mkdir(parents=True)
            super().synth()
        except (OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not _OF_NODE.match(str(error)):
                raise
            raise SettingError("outdir", str(self.directory), f"Give a folder that can be written: {error}.") from None

    def discard(self) -> None:
        """Remove what was staged."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def publish(self) -> None:
        """Put the staged files in their place and remove the earlier ones."""
        with tempfile.TemporaryDirectory(prefix=f".{self.directory.name}.", dir=self.directory.parent) as old:
            # A link is kept: what it leads to is replaced.
            place = self.directory.resolve() if self.directory.is_symlink() else self.directory
            if place.exists():
                place.rename(Path(old) / "old")
            self._staging.rename(place)


_OF_NODE = re.compile(r"(Error: )?E[A-Z]{3,}: ")
"""How Node says by way of jsii what its file system refused: ``Error: ENOSPC: no space left on device, write``."""

_WRITTEN = re.compile(r"\d{4}-[a-z0-9-]+\.k8s\.yaml")
"""How the files of phases are named."""


def _owners(file: Path) -> set[str]:
    """The applications whose objects a file holds."""
    text = file.read_text(encoding="utf-8", errors="replace")
    return set(re.findall(r"^ +app\.kubernetes\.io/part-of: \"?([a-z0-9-]+)\"?$", text, re.MULTILINE))


def own_folder(outdir: Path) -> Path:
    """The folder, when it can be one of its own.

    Raises:
        SettingError: It has no name, or the program runs inside it.
    """
    try:
        whole, here = outdir.absolute().resolve(), Path.cwd()
        with suppress(FileNotFoundError, NotADirectoryError):
            outdir.stat()
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingError("outdir", str(outdir), f"Give a folder that can be: {error}.") from None
    if outdir.parts[:1] and outdir.parts[0].startswith("~"):
        raise SettingError("outdir", str(outdir), "The home folder is Path.home(): '~' would be a folder of this name.")
    if outdir.name.strip() in ("", "..") or whole in (here, *here.parents, Path.home().resolve()):
        raise SettingError("outdir", str(outdir), "Give a folder of its own, such as 'dist/dev'.")
    return outdir


def _require_apart(applications: Sequence[Application]) -> None:
    for index, application in enumerate(applications):
        for other in applications[:index]:
            one, two = other.directory.absolute().resolve(), application.directory.absolute().resolve()
            if one == two or one in two.parents or two in one.parents:
                raise SettingError(
                    "outdir",
                    str(application.directory),
                    f"Another application is written to {other.directory}. Give each a folder of its own.",
                )


def _require_grounds(applications: Sequence[Application]) -> None:
    """Refuse two applications that each say what a namespace has room for: both quotas would count the pods of both.

    Environments of one application may have one name: each is in a cluster of its own.
    """
    owners: dict[str, str] = {}
    for application in applications:
        namespace, name = application.settings.namespace, application.settings.name
        if application.ground and owners.setdefault(namespace, name) != name:
            raise SettingError(
                f"ApplicationSettings.namespace of {name}",
                namespace,
                f"It is that of {owners[namespace]}, too, and the quota of each would count the pods of both. Give "
                "each its own. Where they are in different clusters, write each by its own synth().",
            )


def synthesize(applications: Sequence[Application]) -> None:
    """Write several environments, all of them or none.

    Every environment is rendered and checked, then all are written beside their place, then put there. A failure
    before the last step leaves what was there untouched.

    Raises:
        TreeError: An application is not consistent.
        SettingError: A folder cannot be written, two applications share one or a namespace, or it holds what none of
            them wrote.
    """
    for application in applications:
        application.look()
    _require_apart(applications)
    _require_grounds(applications)
    for application in applications:
        application.manifests()
    for application in applications:
        application.require_own_files()
    try:
        for application in applications:
            application.stage()
        for application in applications:
            application.publish()
    finally:
        for application in applications:
            application.discard()


def written(component: Component) -> list[Manifest]:
    """The manifests of a component as JSON has them: those that are written by hand may hold structs.

    Raises:
        SettingError: Something is no object of Kubernetes.
    """
    where = f"{type(component).__name__}.manifests of {component.name!r}"
    found: list[Manifest] = []
    for manifest in _listed(where, component.manifests()):
        try:
            rendered = to_json(manifest)
        except SettingError as error:
            raise SettingError(where, error.given, error.instead) from None
        if not (
            isinstance(rendered, dict)
            and {"apiVersion", "kind", "metadata"} <= rendered.keys()
            and isinstance(rendered["metadata"], dict)
            and "name" in rendered["metadata"]
        ):
            raise SettingError(where, manifest, "Give objects such as k8s.KubeConfigMap.manifest(metadata=…, data=…).")
        found.append(rendered)
    return found


def _listed(where: str, rendered: object) -> Sequence[object]:
    """What a component of somebody's own gives as its objects."""
    if not isinstance(rendered, list | tuple):
        raise SettingError(where, rendered, "Give a list of objects; an empty one where it renders none.")
    return cast("Sequence[object]", rendered)


WAVE = "argocd.argoproj.io/sync-wave"

UNSTEADY = (
    "HorizontalPodAutoscaler",
    "HTTPRoute",
    "Ingress",
    "PodDisruptionBudget",
    "ScaledObject",
    "VerticalPodAutoscaler",
)
"""Kinds that ArgoCD takes for degraded until something else has come, or that may never become healthy: autoscalers
until their pods are measured, budgets until their pods are ready, the way in until its controller publishes an address.
A wave that holds one fails by that, or has no end. ArgoCD looks at each but the last, so there they are."""


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
