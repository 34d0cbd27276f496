"""This module is what was rendered, read back: what is deployed is what was reviewed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import yaml

from mcpmesh_k8s.kubernetes import at, name_of

from .programs import OperationError

if TYPE_CHECKING:
    from mcpmesh_k8s.kubernetes import Manifest

HOOK = "argocd.argoproj.io/hook"
WAVE = "argocd.argoproj.io/sync-wave"

APPLY = ("--server-side", "--force-conflicts", "--field-manager=mcpmesh-k8s")
"""What is rendered is ours, whoever changed it. What a controller owns, such as an autoscaler's replicas, is not
rendered."""


@dataclass(frozen=True, kw_only=True)
class RenderedPhase:
    """The objects of one phase, in the order they are applied.

    Args:
        name: The phase's number and name.
        objects: Its objects.
    """

    name: str
    objects: tuple[Manifest, ...]

    def runs_later(self, manifest: Manifest) -> bool:
        """Whether one of its hooks waits for all phases."""
        wave = str(at(manifest, "metadata", "annotations").get(WAVE, ""))
        later = wave.isdecimal() and int(wave) > int(self.name.partition("-")[0])
        return later or hook_of(manifest) == "PostSync"

    def of(self, *kinds: str) -> tuple[Manifest, ...]:
        """Its objects of some kinds."""
        return tuple(manifest for manifest in self.objects if manifest["kind"] in kinds)


def read_phases(directory: Path) -> tuple[RenderedPhase, ...]:
    """All phases of a folder of ``dist/``.

    Raises:
        OperationError: Nothing was rendered there, or what lies there are no manifests.
    """
    paths = sorted(directory.glob("*.k8s.yaml"))
    if not paths:
        raise OperationError(f"{directory} holds no manifests. Write them: make synth")
    return tuple(
        RenderedPhase(
            name=path.name.removesuffix(".k8s.yaml"),
            objects=tuple(_read(path)),
        )
        for path in paths
    )


def _read(path: Path) -> Iterator[Manifest]:
    try:
        documents = load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeError) as error:
        said = " ".join(str(error).split())
        raise OperationError(f"{path} cannot be read ({said}). Write it anew: make synth") from None
    for document in documents:
        if not (at(document).get("apiVersion") and at(document).get("kind") and at(document, "metadata").get("name")):
            raise OperationError(f"{path} holds what is no manifest: {str(document)[:60]!r}. Write it anew: make synth")
        yield cast("Manifest", document)


def require_current(directory: Path, phases: Sequence[RenderedPhase], manifests: Iterable[Manifest]) -> None:
    """Refuse what is not what the sources give: it is old, of another environment, or was changed by hand.

    Args:
        directory: Where it lies.
        phases: What lies there.
        manifests: What the sources give.

    Raises:
        OperationError: It is something else.
    """
    there = [manifest for phase in phases for manifest in phase.objects]
    wanted = list(manifests)
    if there != wanted:
        found, given = ({reference(one): one for one in objects} for objects in (there, wanted))
        others = [name for name in {**given, **found} if found.get(name) != given.get(name)]
        more = f" and {len(others) - 3} more" if others[3:] else ""
        raise OperationError(
            f"{directory} is not what the sources give: {', '.join(others[:3]) or 'the order of its objects'}{more}. "
            "Write it, and read what changes: make synth"
        )


def load(text: str) -> list[object]:
    """The documents of a YAML text."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(text, loader) if document is not None]


def hook_of(manifest: Manifest) -> str:
    """The ArgoCD hook that an object is, such as ``Sync`` or ``PostSync``; empty for an object that stays."""
    return str(at(manifest, "metadata", "annotations").get(HOOK, ""))


def reference(manifest: Manifest) -> str:
    """An object as kubectl names it, such as ``deployment/shop-backend``."""
    return f"{str(manifest['kind']).lower()}/{name_of(manifest)}"


def as_list(manifests: Iterable[Manifest]) -> str:
    """Objects as one text that kubectl reads."""
    items: Sequence[Manifest] = list(manifests)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
