"""This module is the escape hatch: one change of a rendered object that no setting says, with its reason."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal

from .api import Struct, k8s
from .errors import SettingError
from .manifest import Manifest, name_of, title
from .names import once, one_line
from .values import dataclass

_API_MINOR = 27
"""The API that manifests are written with is that of Kubernetes 1.27, the oldest supported."""

_POINTER = re.compile(r"(/([^~/]|~[01])*)+")
_PATHS = "A path has two ends. Open it with connects_to(...) or accepts_from(...)."
_NO_KINDS = {"NetworkPolicy": _PATHS, "CiliumNetworkPolicy": _PATHS}
_IDENTITY = "It is the object's identity: another would be another object. Give another name or scope instead."
_SELECTS = "It says which pods are meant, and the API server takes no change of it. Leave it."
_FOUND_BY = "Commands and people find the object by it. Leave it."
_KEPT = {
    ("apiVersion",): _IDENTITY,
    ("kind",): _IDENTITY,
    ("metadata", "name"): _IDENTITY,
    ("metadata", "namespace"): _IDENTITY,
    ("metadata", "labels", "app.kubernetes.io/name"): _FOUND_BY,
    ("metadata", "labels", "app.kubernetes.io/part-of"): _FOUND_BY,
    ("metadata", "labels", "app.kubernetes.io/managed-by"): _FOUND_BY,
    ("metadata", "annotations", "argocd.argoproj.io/sync-wave"): "The phase says when it is applied. Give another one.",
    ("spec", "selector"): _SELECTS,
    ("spec", "template", "metadata", "labels", "app.kubernetes.io/name"): _SELECTS,
}
"""What no patch may touch, and what to do instead."""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One change of an object that a component renders, in the terms of JSON Patch (RFC 6902).

    It is for what no setting says. The checks of the whole tree see the result. A patch that meets nothing, that adds
    what is there, or that changes nothing stops the synthesis: it must not outlive its reason unnoticed.
    ``Application.patches`` lists them all.

    Example: ``Patch(kind="Deployment", operation="add", path="/spec/template/spec/dnsPolicy", value="Default",
    because="It asks the node's own resolver.")``

    Args:
        kind: The kind of the object, such as ``Deployment``. Policies are not patched: connections say them.
        name: The object's full name; needed where the component renders several of the kind.
        operation: ``add`` a field that is not there, or an entry of a list; ``replace`` or ``remove`` what is there.
        since: The version of Kubernetes that brought the field, such as ``1.30``, where that is newer than the API that
            manifests are written with (1.27). An older cluster leaves it out without a word.
        path: Where, as a JSON pointer (RFC 6901): ``~1`` stands for ``/`` in a key, ``-`` for the end of a list.
            Identity and selectors cannot be changed.
        value: What is added, or put in its place: text, a number, True or False, a list or a mapping.
        because: Why no setting does, in one line.
    """

    kind: str
    name: str = ""
    operation: Literal["add", "replace", "remove"]
    since: str = ""
    path: str
    value: str | int | float | bool | Sequence[object] | Mapping[str, object] | None = field(default=None, hash=False)
    because: str

    def __post_init__(self) -> None:
        """Refuse what is no change, what may not be changed, and a change without a reason."""
        where = f"Patch of {self.kind} {self.path}"
        one_line(f"{where} because", self.because, "Say in one line why no setting does.")
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", self.kind):
            raise SettingError("Patch.kind", self.kind, "Give a kind of object, such as 'Deployment'.")
        if self.kind in _NO_KINDS:
            raise SettingError("Patch.kind", self.kind, _NO_KINDS[self.kind])
        if self.operation not in ("add", "replace", "remove"):
            raise SettingError("Patch.operation", self.operation, "Give 'add', 'replace' or 'remove'.")
        minor = re.fullmatch(r"1\.(\d+)", self.since)
        if self.since and (minor is None or int(minor[1]) <= _API_MINOR):
            raise SettingError(
                "Patch.since", self.since, f"Leave it out, or give a version after 1.{_API_MINOR}, such as '1.30'."
            )
        if not _POINTER.fullmatch(self.path):
            raise SettingError("Patch.path", self.path, "Give a JSON pointer, such as '/spec/template/spec/dnsPolicy'.")
        for kept, instead in _KEPT.items():
            shared = min(len(kept), len(self.steps))
            if kept[:shared] == self.steps[:shared]:
                raise SettingError("Patch.path", self.path, instead if len(self.steps) >= len(kept) else _SMALLER)
        if (self.operation == "remove") is (self.value is not None):
            raise SettingError(
                f"{where} value", self.value, "Give a value to add or to replace with, and none to remove."
            )
        object.__setattr__(self, "value", _plain(f"{where} value", self.value))

    @property
    def steps(self) -> tuple[str, ...]:
        """The keys of the path."""
        return tuple(step.replace("~1", "/").replace("~0", "~") for step in self.path.split("/")[1:])

    def applied_to(self, manifest: Manifest) -> Manifest:
        """The object with the change; the one given stays as it is.

        Raises:
            SettingError: The path meets nothing, there is something already, or nothing would change.
        """
        where = f"Patch of {title(manifest)}"
        patched = copy.deepcopy(_mapping(manifest))
        *parents, last = self.steps
        holder: object = patched
        for number, step in enumerate(parents, 1):
            holder = _entry(holder, step)
            if holder is _NOTHING:
                raise SettingError(where, self.path, f"There is no /{'/'.join(self.steps[:number])}. {_known(patched)}")
        present = _entry(holder, last)
        if self.operation != "add" and present is _NOTHING:
            raise SettingError(where, self.path, f"There is nothing to {self.operation}. {_known(holder)}")
        if self.operation == "replace" and present == self.value:
            raise SettingError(where, self.path, "It has this value without the patch. Take the patch out.")
        if isinstance(holder, dict):
            if self.operation == "add" and present is not _NOTHING:
                raise SettingError(where, self.path, f"It is {present!r} already. Replace it, or take the patch out.")
            if self.operation == "remove":
                del holder[last]
            else:
                holder[last] = copy.deepcopy(self.value)
        elif isinstance(holder, list):
            self._change_list(where, holder, last)
        else:
            raise SettingError(where, self.path, f"What it would be put into is {holder!r}, which holds nothing.")
        return patched

    def _change_list(self, where: str, entries: list[object], last: str) -> None:
        at_end = last == "-" or last == str(len(entries))
        if self.operation == "add":
            if not at_end and _entry(entries, last) is _NOTHING:
                raise SettingError(where, self.path, f"Give '-' for the end, or a place from 0 to {len(entries)}.")
            entries.insert(len(entries) if at_end else int(last), copy.deepcopy(self.value))
        elif self.operation == "replace":
            entries[int(last)] = copy.deepcopy(self.value)
        else:
            del entries[int(last)]


_SMALLER = "It holds the object's identity or selector, which stay. Give the path of the one field that is meant."
_NOTHING = object()


def _plain(where: str, value: object) -> object:
    """The value as JSON has it, a copy that nobody else holds."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(where, inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_plain(where, inner) for inner in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return value
    raise SettingError(where, value, "Give text, a number, True or False, a list or a mapping with text as keys.")


def _mapping(manifest: Manifest) -> dict[str, object]:
    return dict(manifest)


def _entry(holder: object, step: str) -> object:
    """What is at a step, or ``_NOTHING``."""
    if isinstance(holder, Mapping):
        return holder.get(step, _NOTHING)
    if isinstance(holder, Sequence) and not isinstance(holder, str) and re.fullmatch(r"0|[1-9]\d*", step):
        return holder[int(step)] if int(step) < len(holder) else _NOTHING
    return _NOTHING


def _known(holder: object) -> str:
    if isinstance(holder, Mapping):
        return f"There are: {', '.join(map(str, holder))}."
    return f"There are {len(holder)} entries." if isinstance(holder, Sequence) else ""


@functools.cache
def _structs() -> dict[tuple[str, str], type[Struct]]:
    """What an object of each kind of Kubernetes is made of."""
    found = [each for each in vars(k8s).values() if isinstance(each, type) and issubclass(each, Struct)]
    return {kind: each for each in found if (kind := each.kind_of())}


def misfits(manifest: Manifest) -> list[str]:
    """What of an object the API of Kubernetes does not have. Nothing is said of custom resources."""
    struct = _structs().get((str(manifest["apiVersion"]), str(manifest["kind"])))
    return list(struct.misfits(manifest)) if struct else []


def once_each(where: str, patches: Sequence[Patch]) -> None:
    """Refuse two patches of one place: the second would hide the first."""
    once(where, [f"{patch.kind} {patch.name}{patch.path}" for patch in patches if not patch.path.endswith("/-")])


def patched(owner: str, manifests: Sequence[Manifest], patches: Sequence[Patch]) -> tuple[list[Manifest], list[str]]:
    """The objects of a component with its patches, and a sentence for each patch that cannot be.

    Args:
        owner: The component's full name.
        manifests: Its objects.
        patches: Its patches, in the order they are applied.
    """
    changed, refused = list(manifests), list[str]()
    for patch in patches:
        meant = [
            index
            for index, manifest in enumerate(changed)
            if manifest["kind"] == patch.kind and patch.name in ("", name_of(manifest))
        ]
        if len(meant) != 1:
            found = ", ".join(title(manifest) for manifest in manifests)
            wanted = f"{patch.kind} {patch.name}".strip()
            instead = "Give the name of one" if meant else "Give one that there is"
            refused.append(f"Patch of {owner}: {wanted!r} was given. {instead}: {found}.")
            continue
        try:
            present = changed[meant[0]]
            changed[meant[0]] = made = patch.applied_to(present)
        except SettingError as error:
            refused.append(str(error))
            continue
        unknown = [] if patch.since else set(misfits(made)) - set(misfits(present))
        refused += [
            f"Patch of {title(made)}: {patch.path!r} was given. {each} Mend it, or say in since which version of "
            "Kubernetes brought it."
            for each in sorted(unknown)
        ]
    return changed, refused
