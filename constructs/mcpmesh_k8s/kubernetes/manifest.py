"""This module is how manifests are read: what is at a path, and which objects run pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

Manifest = Mapping[str, object]
"""A Kubernetes object as JSON has it."""

_TEMPLATES = {
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Deployment": ("spec", "template"),
    "Job": ("spec", "template"),
    "Pod": (),
    "PodTemplate": ("template",),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
}
"""Where the pod is in an object of each kind that runs pods."""

_PROVIDED_BY_CLUSTER = {"ConfigMap": {"kube-root-ca.crt"}, "ServiceAccount": {"default"}}


class Objects:
    """Manifests, found by kind, name and label without going through all of them each time."""

    def __init__(self, manifests: Sequence[Manifest], custom: Mapping[str, Sequence[str]] | None = None) -> None:
        self.all = manifests
        self._by_kind: dict[str, list[Manifest]] = {}
        for manifest in manifests:
            self._by_kind.setdefault(str(manifest["kind"]), []).append(manifest)
        self._names = {(kind, name_of(manifest)) for kind, found in self._by_kind.items() for manifest in found}
        templates = {**_TEMPLATES, **(custom or {})}
        self.pods = [(manifest, at(manifest, *path)) for kind, path in templates.items() for manifest in self.of(kind)]
        self._by_label: dict[tuple[str, object], set[int]] = {}
        for index, (_, template) in enumerate(self.pods):
            for label in at(template, "metadata", "labels").items():
                self._by_label.setdefault(label, set()).add(index)

    def of(self, *kinds: str) -> list[Manifest]:
        """All objects of some kinds."""
        return [manifest for kind in kinds for manifest in self._by_kind.get(kind, [])]

    def has(self, kind: str, name: str) -> bool:
        """Whether the application or the cluster provides an object."""
        return (kind, name) in self._names or name in _PROVIDED_BY_CLUSTER.get(kind, ())

    def selected(self, selector: Mapping[str, object]) -> list[Manifest]:
        """The pod templates that carry every label of a selector."""
        found = [self._by_label.get(label, set()) for label in selector.items()]
        return [self.pods[index][1] for index in sorted(set.intersection(*found))] if found else []


def _is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether it is one. To ask of a class that is abstract takes long, and almost all are dictionaries or nothing."""
    return type(value) is dict or (value is not None and isinstance(value, Mapping))


def at(value: object, *path: str) -> Mapping[str, object]:
    """The mapping at a path, empty where there is none."""
    for key in path:
        value = value.get(key) if _is_mapping(value) else None
    return value if _is_mapping(value) else {}


def each(value: object, *path: str) -> Iterator[Mapping[str, object]]:
    """The mappings of the list at a path, none where there is no list."""
    *parents, last = path
    entries = at(value, *parents).get(last)
    if entries is not None and isinstance(entries, (list, Sequence)):
        yield from (entry for entry in entries if _is_mapping(entry))


def name_of(manifest: Manifest) -> str:
    """An object's name."""
    return str(at(manifest, "metadata").get("name", ""))


def title(manifest: Manifest) -> str:
    """An object as people name it."""
    return f"{manifest['kind']} {name_of(manifest)}"


def containers_of(template: Manifest) -> list[Mapping[str, object]]:
    """All containers of a pod template."""
    return [*each(template, "spec", "initContainers"), *each(template, "spec", "containers")]


def template_of(manifest: Manifest) -> Mapping[str, object]:
    """The pod of an object that runs pods: its metadata and spec. Empty for any other object."""
    path = _TEMPLATES.get(str(manifest["kind"]))
    return {} if path is None else at(manifest, *path)
