"""This module is upgrade safety: what of a change a live cluster would refuse, or lose, named before it is deployed.

``breaking_changes`` compares two lists of manifests. ``python -m mcpmesh_k8s.operations.upgrade --base REF`` compares
what a revision rendered, as it is committed, with what lies in ``dist`` now.

The rules follow the API server's own validation of updates. Beyond it they know what it accepts and what loses data,
addresses or pods all the same. Whatever is not named here may change: images, variables, resources, annotations.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer
import yaml

from mcpmesh_k8s.kubernetes import (
    SCALERS,
    Manifest,
    Objects,
    SettingError,
    at,
    beyond_the_quota,
    bytes_text,
    containers_of,
    each,
    in_bytes,
    name_of,
    scaled_by,
)
from mcpmesh_k8s.services import BACKUP_PLACE, DATABASES_FILE

from .cli import run
from .programs import OperationError, captured, output, succeeds
from .rendered import hook_of, load
from .terminal import is_fancy, show

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job")
_REFUSED = "The API server refuses it: the field cannot be changed."

# What may not change, by kind, with what the API server puts where nothing is given. `spec` fields of a StatefulSet
# and of a claim are the other way round: all but a few.
_FROZEN: Mapping[str, Mapping[str, object]] = {
    "Deployment": {"spec.selector": None},
    "DaemonSet": {"spec.selector": None},
    "PriorityClass": {"value": 0, "preemptionPolicy": "PreemptLowerPriority"},
    "StorageClass": {
        "provisioner": None,
        "parameters": None,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    },
    "RoleBinding": {"roleRef": None},
    "ClusterRoleBinding": {"roleRef": None},
    "ResourceQuota": {"spec.scopes": None},
    "Secret": {"type": "Opaque"},
}
_FROZEN_OF_JOB: Mapping[str, object] = {
    "spec.backoffLimitPerIndex": None,
    "spec.completionMode": "NonIndexed",
    "spec.completions": None,
    "spec.managedBy": None,
    "spec.podFailurePolicy": None,
    "spec.selector": None,
    "spec.successPolicy": None,
    "spec.template": None,
}
_MUTABLE_OF_STATEFUL_SET = {
    "minReadySeconds",
    "ordinals",
    "persistentVolumeClaimRetentionPolicy",
    "replicas",
    "revisionHistoryLimit",
    "template",
    "updateStrategy",
}
_DEFAULTS_OF_STATEFUL_SET = {"podManagementPolicy": "OrderedReady", "serviceName": ""}
_MAKE_WAY = (
    "Allow this: a deployment raises the quota, grows the claims and makes the StatefulSet again around its pods. "
    "Where ArgoCD deploys, make k8s-make-way does so before the sync."
)
_TRAILER = "Allow-break"
# The first major version of a registry that can be drained.
_DRAINS = 3
_FILLERS = ("ExternalSecret", "SealedSecret")
# What a project allows since controllers make it, and what nobody deletes for being gone.
_LEFT_TO_OTHERS = {"Job", "Namespace", "PersistentVolumeClaim", "Pod", "ReplicaSet"}
_SCRATCH = "emptyDir"
_READ_ONLY = {"configMap", "downwardAPI", "projected", "secret"}
# Types of a Service. Each can be reached in every way that the one before it can.
_REACH = {"ExternalName": 0, "ClusterIP": 1, "NodePort": 2, "LoadBalancer": 3}
# The version that a tag begins with, and a release that is named by its date.
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")
_REGISTRY = re.compile(r"(?:^|/)mcpmesh/registry[:@]")
_DATED = re.compile(r"RELEASE\.(\d{4})-(\d{2})-(\d{2})T(\d{2})-(\d{2})-(\d{2})Z")


@dataclass(frozen=True, kw_only=True)
class BreakingChange:
    """A change that a live cluster refuses, or by which data, addresses or pods are lost.

    Args:
        kind: The object's kind.
        name: The object's name.
        field: What of it changes; ``gone`` when it is no longer there.
        change: What it was and what it is.
        why: What happens when it is deployed.
        instead: What to do instead.
    """

    kind: str
    name: str
    field: str
    change: str
    why: str
    instead: str

    @property
    def title(self) -> str:
        """The object as people name it."""
        return f"{self.kind} {self.name}"

    @property
    def allowance(self) -> str:
        """The name by which the change is allowed: ``StatefulSet/shop-store:volumeClaimTemplates``."""
        return f"{self.kind}/{self.name}:{self.field}"


@dataclass(frozen=True, kw_only=True)
class EnvironmentChange:
    """What becomes of an environment, which is a folder of manifests.

    Args:
        environment: Its name.
        is_new: Whether the base has not rendered it.
        breaking: What would break, those left out that are allowed.
        allowed: What would break, and is allowed.
        notes: What happens beside it that is good to know before.
    """

    environment: str
    is_new: bool
    breaking: tuple[BreakingChange, ...]
    allowed: tuple[BreakingChange, ...]
    notes: tuple[str, ...] = ()


def breaking_changes(before: Sequence[Manifest], after: Sequence[Manifest]) -> tuple[BreakingChange, ...]:
    """What breaks in a cluster that runs some manifests when it is given others.

    Args:
        before: All objects of an environment, as the cluster has them.
        after: All objects of the same environment, as it shall have them.

    Returns:
        What breaks, in the order of the rules. Empty when nothing does.
    """
    comparison = _Comparison(before, after)
    return tuple(change for rule in _RULES for change in rule(comparison))


def notes_on(before: Sequence[Manifest], after: Sequence[Manifest]) -> tuple[str, ...]:
    """What happens in a cluster that runs some manifests when it is given others, and breaks nothing.

    Args:
        before: All objects of an environment, as the cluster has them.
        after: All objects of the same environment, as it shall have them.
    """
    comparison = _Comparison(before, after)
    return tuple(note for notes in _NOTES for note in notes(comparison))


class _Comparison:
    """The objects of before and after, paired."""

    def __init__(self, before: Sequence[Manifest], after: Sequence[Manifest]) -> None:
        self.before = {_identity(manifest): manifest for manifest in before}
        self.after = {_identity(manifest): manifest for manifest in after}
        # What lies in a namespace that is gone is lost with it: the namespace alone is named.
        self._lost = {name for kind, _, name in self.before.keys() - self.after.keys() if kind == "Namespace"}

    def kept(self, *kinds: str) -> Iterator[tuple[Manifest, Manifest]]:
        """The objects of some kinds that are in both."""
        for identity, old in self.before.items():
            if identity[0] in kinds and identity in self.after:
                yield old, self.after[identity]

    def gone(self, *kinds: str) -> Iterator[Manifest]:
        """The objects of some kinds that are no longer there."""
        for identity, old in self.before.items():
            if identity[0] in kinds and identity not in self.after and identity[1] not in self._lost:
                yield old


def _identity(manifest: Manifest) -> tuple[str, str, str]:
    return str(manifest["kind"]), str(at(manifest, "metadata").get("namespace", "")), name_of(manifest)


def _broken(manifest: Manifest, field: str, change: str, why: str, instead: str) -> BreakingChange:
    kind = str(manifest["kind"])
    return BreakingChange(kind=kind, name=name_of(manifest), field=field, change=change, why=why, instead=instead)


def _value(manifest: Manifest, path: str, default: object = None) -> object:
    """The value at a path with dots, or what stands in its place where there is none."""
    *parents, last = path.split(".")
    value = at(manifest, *parents).get(last)
    return default if value is None else value


def _leaves(value: object, path: str = "") -> dict[str, object]:
    """The values in a value, by their paths. Entries of a list go by their names where they have some."""
    inner: dict[str, object] = {}
    if isinstance(value, Mapping):
        inner = {f"{path}.{key}".lstrip("."): entry for key, entry in value.items()}
    elif isinstance(value, list) and all(isinstance(entry, Mapping) for entry in value):
        names = [str(entry.get("name") or name_of(entry) or index) for index, entry in enumerate(value)]
        inner = {f"{path}[{name}]": entry for name, entry in zip(names, value, strict=True)}
    if not inner:
        return {} if value in (None, {}, []) else {path: value}
    return {at: leaf for key, entry in inner.items() for at, leaf in _leaves(entry, key).items()}


def _difference(old: object, new: object, *, secret: bool = False) -> str:
    """What differs between two values, three places at most, and never the values of a Secret."""
    before, after = _leaves(old), _leaves(new)
    places = [path for path in dict.fromkeys([*before, *after]) if before.get(path) != after.get(path)]
    shown = [
        f"{path} changed".lstrip()
        if secret
        else f"{f'{path}: ' if path else ''}{_short(before.get(path))} → {_short(after.get(path))}"
        for path in places[:3]
    ]
    more = [f"{len(places) - 3} more"] if len(places) > 3 else []
    return "; ".join(shown + more) or f"{_short(old)} → {_short(new)}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _frozen(
    old: Manifest, new: Manifest, fields: Mapping[str, object], instead: str, why: str = _REFUSED
) -> Iterator[BreakingChange]:
    for path, default in fields.items():
        was, now = _value(old, path, default), _value(new, path, default)
        if was != now:
            yield _broken(old, path.removeprefix("spec."), _difference(was, now), why, instead)


def _namespaces(objects: _Comparison) -> Iterator[BreakingChange]:
    for old in objects.gone("Namespace"):
        yield _broken(
            old,
            "gone",
            "it is no longer rendered",
            "A namespace cannot be renamed. Whoever deletes it deletes everything in it, claims and their data too.",
            "Keep its name. To move, deploy the new one beside it, move the data, then remove the old one.",
        )


def _kinds(objects: _Comparison) -> Iterator[BreakingChange]:
    """Two kinds of workload under one name are two sets of pods, for both select the same labels."""
    for old in objects.gone(*_WORKLOADS):
        _, namespace, name = _identity(old)
        for kind in _WORKLOADS:
            if (kind, namespace, name) in objects.after.keys() - objects.before.keys():
                yield _broken(
                    old,
                    "kind",
                    f"{old['kind']} → {kind}",
                    "A kind cannot be changed. The old object stays until it is deleted, its pods beside the new ones.",
                    f"Delete the {old['kind']} before this is deployed, or give the {kind} a new name.",
                )
    for identity, old in objects.before.items():
        groups = [
            str(manifest["apiVersion"]).rpartition("/")[0] for manifest in (old, objects.after.get(identity, old))
        ]
        if groups[0] != groups[1]:
            yield _broken(
                old,
                "apiVersion",
                f"{old['apiVersion']} → {objects.after[identity]['apiVersion']}",
                "An object of another API group is another object. The old one stays beside it until it is deleted.",
                "Delete the old object once the new one works, and allow this.",
            )


def _frozen_fields(objects: _Comparison) -> Iterator[BreakingChange]:
    instead = "Keep the value, or give the object a new name and remove the old one once nothing refers to it."
    for old, new in objects.kept(*_FROZEN):
        yield from _frozen(old, new, _FROZEN[str(old["kind"])], instead)


def _frozen_contents(objects: _Comparison) -> Iterator[BreakingChange]:
    for old, new in objects.kept("ConfigMap", "Secret"):
        if old.get("immutable") is True:
            for field in ("immutable", "data", "binaryData", "stringData"):
                if old.get(field) != new.get(field):
                    change = _difference(old.get(field), new.get(field), secret=field != "immutable")
                    instead = "Give it a new name, such as one that ends in a checksum, and refer to that."
                    yield _broken(old, field, change, "The API server refuses it: the object is immutable.", instead)


def _jobs(objects: _Comparison) -> Iterator[BreakingChange]:
    for old, new in objects.kept("Job"):
        annotations = at(new, "metadata", "annotations")
        options = str(annotations.get("argocd.argoproj.io/sync-options", "")).replace(" ", "").split(",")
        if not hook_of(new) and not {"Force=true", "Replace=true"} <= set(options):
            instead = "Make it an ArgoCD hook that replaces its predecessor, or delete the Job before this is deployed."
            yield from _frozen(old, new, _FROZEN_OF_JOB, instead)


def _stateful_sets(objects: _Comparison) -> Iterator[BreakingChange]:
    for old, new in objects.kept("StatefulSet"):
        fields = sorted((at(old, "spec").keys() | at(new, "spec").keys()) - _MUTABLE_OF_STATEFUL_SET)
        for field in fields:
            default = _DEFAULTS_OF_STATEFUL_SET.get(field)
            was, now = _value(old, f"spec.{field}", default), _value(new, f"spec.{field}", default)
            instead = (
                "Keep it, or delete the StatefulSet with --cascade=orphan, which keeps pods and claims, then deploy."
            )
            if field == "podManagementPolicy":
                instead = _MAKE_WAY
            if field == "volumeClaimTemplates":
                was, now = ({name_of(claim): _claim(claim) for claim in each(x, "spec", field)} for x in (old, new))
                instead = f"Keep the templates, unless a claim shall grow. {_MAKE_WAY}"
            if was != now:
                yield _broken(old, field, _difference(was, now), _REFUSED, instead)
    for old in objects.gone("StatefulSet"):
        if at(old, "spec").get("volumeClaimTemplates"):
            yield _broken(
                old,
                "gone",
                "it is no longer rendered",
                "Its claims carry its name. They stay behind with their data, and nothing uses them.",
                "Keep its name, or move the data first.",
            )


def _claim(manifest: Manifest) -> dict[str, object]:
    """A claim with what the API server adds, and its size in canonical form."""
    spec = {"volumeMode": "Filesystem", **at(manifest, "spec")}
    resources = at(spec, "resources")
    requests = {
        key: bytes_text(size) if (size := _bytes(value)) else value for key, value in at(resources, "requests").items()
    }
    metadata = {key: value for key, value in at(manifest, "metadata").items() if key != "name" and value}
    return {"metadata": metadata, "spec": {**spec, "resources": {**resources, "requests": requests}}}


def _bytes(size: object) -> int:
    """A size as a number, or 0 when it is written in a way that we cannot read."""
    try:
        return in_bytes("size", str(size))
    except SettingError:
        return 0


def _claims(objects: _Comparison) -> Iterator[BreakingChange]:
    kind = "PersistentVolumeClaim"
    for old in objects.gone(kind):
        yield _broken(
            old,
            "gone",
            "it is no longer rendered",
            "A claim cannot be renamed. Its data stay behind, or are lost when it is deleted.",
            "Keep it under its name, or move the data first.",
        )
    for old, new in objects.kept(kind):
        was, now = (at(_claim(manifest), "spec") for manifest in (old, new))
        # A volume may be named once, and a class of attributes may change.
        for field in sorted((was.keys() | now.keys()) - {"resources", "volumeAttributesClassName"}):
            if was.get(field) != now.get(field) and not (field == "volumeName" and not was.get(field)):
                change = _difference(was.get(field), now.get(field))
                yield _broken(old, field, change, _REFUSED, "Keep it, or make a new claim and move the data.")
        sizes = [at(spec, "resources", "requests").get("storage") for spec in (was, now)]
        if sizes[0] != sizes[1] and not 0 < _bytes(sizes[0]) < _bytes(sizes[1]):
            why = "The API server refuses it: a claim can grow, and never shrink."
            instead = "Keep the size, or make a new claim and move the data."
            yield _broken(old, "storage", _difference(*sizes), why, instead)


def _pod_template(manifest: Manifest) -> Mapping[str, object]:
    path = ("spec", "jobTemplate", "spec") if manifest["kind"] == "CronJob" else ("spec",)
    return at(manifest, *path, "template")


def _sources(manifest: Manifest) -> dict[str, str]:
    """What is behind each volume of a workload's pods: "" where nothing can be stored."""
    claims = [name_of(claim) for claim in each(manifest, "spec", "volumeClaimTemplates")]
    sources = {name: f"claim template {name}" for name in claims}
    for volume in each(_pod_template(manifest), "spec", "volumes"):
        kind = next((key for key in volume if key != "name"), _SCRATCH)
        claim = at(volume, "persistentVolumeClaim").get("claimName")
        source = f"claim {claim}" if claim else f"{kind} {json.dumps(volume.get(kind), sort_keys=True)}"
        sources[str(volume.get("name"))] = "" if kind in _READ_ONLY else kind if kind == _SCRATCH else source
    return sources


def _mounts(manifest: Manifest) -> dict[str, set[tuple[str, str]]]:
    """Where each container of a workload mounts what, and which folder of it where it is not all."""
    sources = _sources(manifest)
    mounts: dict[str, set[tuple[str, str]]] = {}
    for container in containers_of(_pod_template(manifest)):
        places = mounts.setdefault(str(container.get("name")), set())
        for mount in each(container, "volumeMounts"):
            source, folder = sources.get(str(mount.get("name")), ""), str(mount.get("subPath", ""))
            places.add((str(mount.get("mountPath")), f"{source}/{folder}" if folder and source != _SCRATCH else source))
    return mounts


def _volumes(objects: _Comparison) -> Iterator[BreakingChange]:
    """What a workload has stored is where it was mounted, and nowhere else."""
    for old, new in objects.kept("Deployment", "StatefulSet", "DaemonSet", "CronJob"):
        mounts, now_mounts = _mounts(old), _mounts(new)
        everywhere = {place for places in now_mounts.values() for place in places}
        # Where a container has another name now, whoever mounts the same has taken its place.
        lost = {
            (path, source): now_mounts.get(name, everywhere)
            for name, places in mounts.items()
            for path, source in places - now_mounts.get(name, everywhere)
        }
        for (path, source), after in sorted(lost.items()):
            now = sorted(other for where, other in after if where == path and other)
            stored = source not in ("", _SCRATCH)
            if stored or (source == _SCRATCH and now):
                change = f"{source} → {', '.join(now) or 'nothing'}"
                why = "What was stored there is not moved: the workload starts without it."
                yield _broken(old, path, change, why, "Keep the volume, or move what it holds and allow this.")


def _images(objects: _Comparison) -> Iterator[BreakingChange]:
    """A program that keeps data goes up within a major version. Any other way, the data may be of no use to it."""
    for old, new in objects.kept("Deployment", "StatefulSet", "DaemonSet"):
        images = {
            str(container.get("name")): str(container.get("image")) for container in containers_of(_pod_template(new))
        }
        sources = _sources(old)
        for container in containers_of(_pod_template(old)):
            mounted = {sources.get(str(mount.get("name")), "") for mount in each(container, "volumeMounts")}
            was, now = str(container.get("image")), images.get(str(container.get("name")))
            if now is not None and mounted - {"", _SCRATCH} and (why := _incompatible(was, now)):
                yield _broken(
                    old,
                    "image",
                    f"{was} → {now}",
                    why,
                    "Read the program's notes on upgrades, back up its data, convert or restore them, then allow this.",
                )


def _registries(objects: _Comparison) -> Iterator[BreakingChange]:
    """A registry brings the tables of its database to what it knows when it starts, and drops what it does not."""
    for old, was, now in _versions_of_registries(objects):
        if now < was:
            yield _broken(
                old,
                "image",
                f"{'.'.join(map(str, was))} → {'.'.join(map(str, now))}",
                "An older registry drops the columns that it does not know, with what a newer one has written there.",
                "Keep the newer one, or stop it and restore its database as it was backed up before the way up. Then "
                "allow this.",
            )


def _versions_of_registries(objects: _Comparison) -> Iterator[tuple[Manifest, tuple[int, ...], tuple[int, ...]]]:
    """Every registry of MCP Mesh that stays, with the minor version that it was and is."""
    for old, new in objects.kept("Deployment"):
        images = [
            [str(container.get("image")) for container in containers_of(_pod_template(manifest))]
            for manifest in (old, new)
        ]
        was, now = (next((image for image in found if _REGISTRY.search(image)), "") for found in images)
        versions = _program(was)[1][:2], _program(now)[1][:2]
        if all(versions):
            yield old, *versions


def _incompatible(was: str, now: str) -> str:
    """Why data of one image may be of no use to another, or nothing."""
    (old_program, old), (new_program, new) = _program(was), _program(now)
    if old_program != new_program:
        return "Another program would read the data that this one has written."
    if old and new and new < old:
        return "An older version may not read the data that a newer one has written."
    if old and new and len(old) < _DATED.groups and old[0] != new[0]:
        return "A new major version may not read the data that the old one has written."
    return ""


def _program(image: str) -> tuple[str, tuple[int, ...]]:
    """The last part of an image's name, and the version that its tag says, if any."""
    program, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    match = _DATED.match(tag) or _VERSION.match(tag)
    return program, tuple(int(number) for group in match.groups() for number in group.split(".")) if match else ()


def _replicas(objects: _Comparison) -> Iterator[BreakingChange]:
    for old, new in objects.kept("Deployment", "StatefulSet"):
        was = _value(old, "spec.replicas", 1)
        if was not in (0, 1) and _value(new, "spec.replicas") is None:
            yield _broken(
                old,
                "replicas",
                f"{was} → nothing",
                "A count that is no longer applied falls to 1, until an autoscaler raises it again.",
                "Hand the count over first: apply only the object's name and spec.replicas with another "
                "--field-manager. Then deploy and allow this.",
            )


def _scalers(objects: _Comparison) -> Iterator[BreakingChange]:
    """A scaler of another kind takes over what one scales. KEDA refuses that while the other is there."""
    new = {
        scaled_by(manifest)[:2]: manifest
        for identity, manifest in objects.after.items()
        if identity[0] in SCALERS and identity not in objects.before
    }
    for old in objects.gone(*SCALERS):
        other = new.get(scaled_by(old)[:2])
        if other is not None and other["kind"] != old["kind"]:
            yield _broken(
                old,
                "kind",
                f"{old['kind']} → {other['kind']}",
                "Two that scale one workload undo what the other does, and KEDA refuses to be the second.",
                f"Delete the {old['kind']} before this is deployed: its pods stay. Then allow this.",
            )


def _services(objects: _Comparison) -> Iterator[BreakingChange]:
    """A Service is an address. It is lost with its name, its type, its kind of address or the pods behind it."""
    for old in objects.gone("Service"):
        yield _broken(
            old,
            "gone",
            "it is no longer rendered",
            "Whoever dials its name gets no answer once it is deleted.",
            "Keep it, beside a new name if need be, until nobody dials it any more.",
        )
    pods = [at(manifest, "spec", "template", "metadata", "labels") for manifest in objects.before.values()]
    for old, new in objects.kept("Service"):
        types = [str(_value(manifest, "spec.type", "ClusterIP")) for manifest in (old, new)]
        was, now = (str(_value(manifest, "spec.clusterIP", "")) for manifest in (old, new))
        if _REACH.get(types[1], 0) < _REACH.get(types[0], 0):
            why = "The address that clients have used is lost."
            yield _broken(old, "type", " → ".join(types), why, "Add a Service of the new type beside it.")
        elif "ExternalName" not in types and (now != was if now else was == "None"):
            instead = "Keep it, or add a Service with another name."
            yield _broken(old, "clusterIP", _difference(was or None, now or None), _REFUSED, instead)
        selector, chosen = at(old, "spec", "selector"), at(new, "spec", "selector")
        found = bool(chosen) and any(chosen.items() <= labels.items() for labels in pods)
        if selector != chosen and not found and types[1] != "ExternalName":
            why = "No pod that runs now carries it, so nobody answers until new pods are ready."
            instead = "Deploy pods that carry both first, then change the selector."
            yield _broken(old, "selector", _difference(selector, chosen), why, instead)


def _external_secrets(objects: _Comparison) -> Iterator[BreakingChange]:
    why = "The Secret of the old name is deleted, and pods that read it cannot start again."
    for old in objects.gone("ExternalSecret", "SealedSecret"):
        yield _broken(old, "gone", "it is no longer rendered", why, "Keep it until no pod reads its Secret any more.")
    for old, new in objects.kept("ExternalSecret"):
        was, now = (_value(manifest, "spec.target.name", name_of(manifest)) for manifest in (old, new))
        if was != now:
            instead = "Add another ExternalSecret for the new name, and remove this one once no pod reads it."
            yield _broken(old, "target", _difference(was, now), why, instead)


def _applications(objects: _Comparison) -> Iterator[BreakingChange]:
    """What ArgoCD is told to deploy goes with the Application, or to where it is then told."""
    for old in objects.gone("Application", "ApplicationSet"):
        why = "Whoever deletes it may delete all that it has deployed."
        instead = "Keep its name, or take it out by hand with --cascade=orphan, and then allow this."
        yield _broken(old, "gone", "it is no longer rendered", why, instead)
    for old, new in objects.kept("Application"):
        was, now = (at(manifest, "spec", "destination") for manifest in (old, new))
        if was != now:
            why = "All of it is made anew there. What it has deployed stays behind with its data, or is deleted."
            instead = "Add an Application for the new place, move the data, then take this one out."
            yield _broken(old, "destination", _difference(was, now), why, instead)


def _projects(objects: _Comparison) -> Iterator[BreakingChange]:
    """ArgoCD looks at no object of a kind that the project does not allow, so it deletes none either."""
    for old, new in objects.kept("AppProject"):
        for scope in ("clusterResourceWhitelist", "namespaceResourceWhitelist"):
            was, now = (
                {(str(one.get("group")), str(one.get("kind"))) for one in each(manifest, "spec", scope)}
                for manifest in (old, new)
            )
            for group, kind in sorted(was - now):
                if kind not in _LEFT_TO_OTHERS:
                    yield _broken(
                        old,
                        f"kinds.{kind}",
                        f"{kind}{f' of {group}' * bool(group)} is no longer allowed",
                        "ArgoCD does not see what is deployed of it any more, and deletes none of it: all works on.",
                        f"Allow this, and once all is synced delete by hand what is left: kubectl get {kind.lower()}.",
                    )


def _told_argocd(objects: _Comparison) -> Iterator[str]:
    """ArgoCD deploys what it is told to, and nobody deploys what it is told."""
    changed = [
        f"{identity[0]} {identity[2]}"
        for identity, new in objects.after.items()
        if identity[0] in ("AppProject", "Application", "ApplicationSet") and objects.before.get(identity) != new
    ]
    if changed:
        yield f"{', '.join(changed)}: apply this before the sync, or ArgoCD goes by what it was told last"


def _quotas(objects: _Comparison) -> Iterator[BreakingChange]:
    """A quota below what runs ends no pod, and lets none in."""
    # As many pods as there are at least, and none that comes before another goes.
    least = {scaled_by(one)[:2]: scaled_by(one).minimum for one in objects.before.values() if one["kind"] in SCALERS}
    running = [
        {
            **one,
            "spec": {
                **at(one, "spec"),
                "replicas": least.get((str(one["kind"]), name_of(one)), _value(one, "spec.replicas", 1)),
                "strategy": {"type": "Recreate"},
            },
        }
        for one in objects.before.values()
        if one["kind"] in ("Deployment", "StatefulSet")
    ]
    for old, new in objects.kept("ResourceQuota"):
        if at(old, "spec", "hard") != at(new, "spec", "hard") and _exceed(running, new):
            yield _broken(
                old,
                "hard",
                _difference(_value(old, "spec.hard"), _value(new, "spec.hard")),
                "What runs takes more than that. No pod is let in until enough has ended, and ArgoCD deletes last.",
                "Allow this, and delete by hand what goes, or scale it down, as soon as the quota is deployed.",
            )


def _exceed(running: Sequence[Manifest], quota: Manifest) -> bool:
    """Whether pods take more than a quota has; no where that is written in a way that we cannot read."""
    try:
        return any(beyond_the_quota(Objects([quota, *running])))
    except ValueError:
        return False


def _hosts(objects: _Comparison) -> Iterator[BreakingChange]:
    """A host that disappears is an address that people have. Who serves it may change."""
    served = {host for manifest in objects.after.values() for host in _hosts_of(manifest)}
    for old in objects.before.values():
        for host in _hosts_of(old):
            if host not in served:
                why = "People who have this address reach nothing there."
                instead = "Serve it beside the new one, and send people on from there."
                yield _broken(old, host, f"{host} → {', '.join(sorted(served)) or 'nothing'}", why, instead)


def _hosts_of(manifest: Manifest) -> list[str]:
    if manifest["kind"] == "Ingress":
        return list(dict.fromkeys(str(rule.get("host", "*")) for rule in each(manifest, "spec", "rules")))
    hostnames = at(manifest, "spec").get("hostnames") if manifest["kind"] == "HTTPRoute" else None
    return [str(name) for name in hostnames] if isinstance(hostnames, list) else []


def _entries_of(objects: Mapping[tuple[str, str, str], Manifest]) -> dict[str, set[str]]:
    """Through which controllers each host is reached."""
    found: dict[str, set[str]] = {}
    for manifest in objects.values():
        if manifest["kind"] == "Ingress":
            named = _value(manifest, "spec.ingressClassName")
            entries = [f"Ingresses of {f'class {named}' if named else 'the default class'}"]
        else:
            entries = [f"gateway {one.get('name')}" for one in each(manifest, "spec", "parentRefs")]
        for host in _hosts_of(manifest):
            found.setdefault(host, set()).update(entries)
    return found


def _moved_hosts(objects: _Comparison) -> Iterator[str]:
    """A host that another controller serves has another address."""
    before, after = _entries_of(objects.before), _entries_of(objects.after)
    for host in before.keys() & after.keys():
        if before[host] - after[host]:
            was, now = (", ".join(sorted(entries[host])) for entries in (before, after))
            yield f"{host} moves from {was} to {now}: when that answers, point the name in DNS to its address"


def _databases_of(manifest: Manifest) -> dict[str, list[str]]:
    """The databases that a ConfigMap names for the task of a server, each with all who enter; none for any other."""
    try:
        named = json.loads(str(at(manifest, "data").get(DATABASES_FILE, "[]")))
        return {database["name"]: [*database["roles"], *database.get("readers", [])] for database in named}
    except (ValueError, TypeError, KeyError):
        return {}


def _roles_of(databases: Mapping[str, Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(role for roles in databases.values() for role in roles))


def _new_databases(objects: _Comparison) -> Iterator[str]:
    """Each database and role that comes."""
    for old, new in objects.kept("ConfigMap"):
        before, after = _databases_of(old), _databases_of(new)
        for what in (
            *(f"database {name}" for name in after if name not in before),
            *(f"role {role}" for role in _roles_of(after) if role not in _roles_of(before)),
        ):
            if before:
                yield f"{what} is new: job/{name_of(old)} makes it at the deployment"


def _newer_registries(objects: _Comparison) -> Iterator[str]:
    """What to do before a registry goes up."""
    for old, was, now in _versions_of_registries(objects):
        if was < now:
            yield (
                f"{name_of(old)} goes from {'.'.join(map(str, was))} to {'.'.join(map(str, now))}, and changes its "
                "tables for good: back up its database"
                f"{', and let jobs end: make k8s-drain' if was[0] >= _DRAINS else ''}"
            )


def _keys_read(objects: Mapping[tuple[str, str, str], Manifest]) -> dict[str, set[str]]:
    """The keys without which pods do not start or a Secret is not fetched, by Secret."""
    found: dict[str, set[str]] = {}
    for manifest in objects.values():
        if manifest["kind"] == "ExternalSecret":
            found[_made_by(manifest)] = {str(one.get("secretKey")) for one in each(manifest, "spec", "data")}
    for _, template in Objects(list(objects.values())).pods:
        references = [
            at(variable, "valueFrom", "secretKeyRef")
            for container in containers_of(template)
            for variable in each(container, "env")
        ]
        references += [
            {"name": secret.get("secretName"), "key": item.get("key"), "optional": secret.get("optional")}
            for volume in each(template, "spec", "volumes")
            for secret in [at(volume, "secret")]
            for item in each(secret, "items")
        ]
        for reference in references:
            if reference and not reference.get("optional"):
                found.setdefault(str(reference["name"]), set()).add(str(reference["key"]))
    return found


def _made(objects: Mapping[tuple[str, str, str], Manifest], *kinds: str) -> set[str]:
    """The Secrets that objects of some kinds make."""
    return {_made_by(manifest) for manifest in objects.values() if manifest["kind"] in kinds}


def _made_by(manifest: Manifest) -> str:
    return str(
        at(manifest, "spec", "target").get("name") or at(manifest, "spec").get("secretName") or name_of(manifest)
    )


def _new_keys(objects: _Comparison) -> Iterator[str]:
    """A key that nothing read before, and that comes with no manifest."""
    before, after = _keys_read(objects.before), _keys_read(objects.after)
    for secret in sorted(after.keys() - _made(objects.after, "Secret", "SealedSecret", "Certificate")):
        keys = ", ".join(sorted(after[secret] - before.get(secret, set())))
        if keys:
            yield f"Secret {secret} is asked for more than before: give it {keys} first, or what asks does not start"


def _filled_elsewhere(objects: _Comparison) -> Iterator[str]:
    """A Secret that is there, and whose values come from elsewhere from now on."""
    by_hand = _keys_read(objects.before).keys() - _made(objects.before, "Secret", *_FILLERS, "Certificate")
    for identity, new in objects.after.items():
        secret = _made_by(new)
        if identity[0] in _FILLERS and identity not in objects.before and secret in by_hand:
            first = (
                "put the values that are in use into its store first"
                if identity[0] == "ExternalSecret"
                else f"kubectl annotate secret {secret} sealedsecrets.bitnami.com/managed=true first"
            )
            yield f"Secret {secret} was made by hand, and {identity[0]} {name_of(new)} takes it over: {first}"
    for old, new in objects.kept("ExternalSecret"):
        was, now = (
            {
                str(one.get("secretKey")): (at(manifest, "spec", "secretStoreRef"), at(one, "remoteRef"))
                for one in each(manifest, "spec", "data")
            }
            for manifest in (old, new)
        )
        if moved := sorted(key for key in was.keys() & now.keys() if was[key] != now[key]):
            yield (
                f"Secret {_made_by(new)} takes {', '.join(moved)} from another place in its store: put the values that "
                "are in use there first, since no server is told of others"
            )


def _backups(objects: _Comparison) -> Iterator[str]:
    """What becomes of the backups that there are."""
    for old, new in objects.kept("CronJob"):
        was, now = (
            {
                str(variable.get("name")): str(variable.get("value", ""))
                for container in containers_of(_pod_template(manifest))
                for variable in each(container, "env")
            }
            for manifest in (old, new)
        )
        if fewer := [
            f"{name.removeprefix('KEEP_').lower()} {was[name]} → {now[name]}"
            for name in ("KEEP_DAILY", "KEEP_WEEKLY", "KEEP_MONTHLY")
            if name in was.keys() & now.keys() and int(now[name]) < int(was[name])
        ]:
            yield f"{name_of(old)} keeps less ({', '.join(fewer)}): its next run removes the others"
        if "LEAST_PERCENT" in was and (place := was.get(BACKUP_PLACE)) and place != now.get(BACKUP_PLACE):
            yield f"{name_of(old)} writes elsewhere: make k8s-restore no longer lists what is in {place}"
        if lost := set(was.get("AGE_TO", "").split()) - set(now.get("AGE_TO", "").split()) - {"--recipient"}:
            what = (
                "leave its identity in the Secret, a line beside the new one, until no backup to it is left"
                if "AGE_TO" in now
                else "what it has encrypted, make k8s-restore opens from a revision that still does"
            )
            yield f"{name_of(old)} no longer encrypts to {', '.join(sorted(lost))}: {what}"


def _databases(objects: _Comparison) -> Iterator[BreakingChange]:
    """The task of a server drops nothing, so what is no longer named is still there, and nobody looks after it."""
    gone = "it is no longer named"
    for old, new in objects.kept("ConfigMap"):
        before, after = _databases_of(old), _databases_of(new)
        for name, roles in before.items() if after else ():
            if name not in after:
                why = "It stays, with its data. Nobody is let in any more, and neither export nor backup holds it."
                instead = "Export it before, and drop it by hand when nobody needs it: DROP DATABASE. Then allow this."
                yield _broken(old, f"databases.{name}", gone, why, instead)
            for role in sorted(set(roles) - set(after.get(name, roles))):
                if role in _roles_of(after):
                    why = "It is kept out of the database from now on. What it owns there stays."
                    instead = "Move what it owns to another role first: REASSIGN OWNED BY. Then allow this."
                    yield _broken(old, f"databases.{name}.roles.{role}", gone, why, instead)
        for role in _roles_of(before) if after else ():
            if role not in _roles_of(after):
                why = "It stays with what it owns, which another role may not read. Nobody is let in as it any more."
                instead = f"Give what it owns to another first: REASSIGN OWNED BY {role} TO …. Then allow this."
                yield _broken(old, f"roles.{role}", gone, why, instead)


_RULES: tuple[Callable[[_Comparison], Iterator[BreakingChange]], ...] = (
    _namespaces,
    _kinds,
    _frozen_fields,
    _frozen_contents,
    _jobs,
    _stateful_sets,
    _claims,
    _databases,
    _volumes,
    _images,
    _registries,
    _replicas,
    _scalers,
    _services,
    _external_secrets,
    _applications,
    _projects,
    _quotas,
    _hosts,
)
_NOTES: tuple[Callable[[_Comparison], Iterator[str]], ...] = (
    _new_databases,
    _newer_registries,
    _new_keys,
    _filled_elsewhere,
    _backups,
    _moved_hosts,
    _told_argocd,
)


def compare(base: str, *, dist: Path = Path("dist"), allow: Sequence[str] = ()) -> tuple[EnvironmentChange, ...]:
    """Compare what a revision has rendered with what is rendered now.

    The revision is read from git as it is committed; no file of the working tree is touched.

    Args:
        base: A branch, tag or commit, whose manifests the cluster runs.
        dist: The folder that holds a folder of manifests for each environment.
        allow: Changes that shall be let through, each by its ``allowance``. Those that a commit since the base names
            in a line ``Allow-break: …`` at the end of its message are let through too.

    Returns:
        Every environment of either side, by name.

    Raises:
        OperationError: git or the folder is missing, the revision is unknown or has rendered nothing, a file is no
            YAML, or a change is allowed that is none.
    """
    folder = dist.resolve()
    if not any(folder.rglob("*.yaml")):
        raise OperationError(f"{dist} holds no manifests: run `make synth`.")
    before, agreed = _committed(base, folder)
    after = _present(folder)
    found = {
        name: breaking_changes(before[name], after[name]) if name in after else (_gone(name),)
        for name in sorted(before)
    }
    unused = set(allow) - {change.allowance for changes in found.values() for change in changes}
    if unused:
        raise OperationError(
            f"Nothing has to be allowed as {', '.join(sorted(unused))}: take it out, or mend its name."
        )
    allowed = {*allow, *agreed}
    return tuple(
        EnvironmentChange(
            environment=name,
            is_new=name not in before,
            breaking=tuple(change for change in found.get(name, ()) if change.allowance not in allowed),
            allowed=tuple(change for change in found.get(name, ()) if change.allowance in allowed),
            notes=notes_on(before.get(name, ()), after.get(name, ())),
        )
        for name in sorted(before.keys() | after.keys())
    )


def _gone(environment: str) -> BreakingChange:
    return BreakingChange(
        kind="Environment",
        name=environment,
        field="gone",
        change="it is no longer rendered",
        why="Whoever prunes what is no longer rendered, as ArgoCD may, deletes all of it.",
        instead="Take it out of the cluster by hand first, its data saved, and then allow this.",
    )


def _present(folder: Path) -> dict[str, list[Manifest]]:
    texts = dict[str, str]()
    for path in sorted(folder.rglob("*.yaml")):
        try:
            texts[path.relative_to(folder).as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeError as error:
            raise OperationError(f"{path} is no text in UTF-8 ({error}). Write it anew: make synth") from None
    return _environments(f"{folder}/", texts)


def _committed(base: str, folder: Path) -> tuple[dict[str, list[Manifest]], list[str]]:
    """The manifests of a revision, and what the commits since then allow."""
    # In CI the clone may belong to someone else, which git refuses unless it is told.
    git = ["git", "-c", "safe.directory=*", "-C", str(folder.parent)]
    if not succeeds([*git, "rev-parse", "--git-dir"]):
        raise OperationError(f"{folder.parent} is no clone of a git repository: there is nothing to compare with.")
    if not succeeds([*git, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}"]):
        raise OperationError(f"{base!r} is no revision here: name a branch, tag or commit, and fetch it if need be.")
    listed = output([*git, "ls-tree", "-r", "-z", "--name-only", base, "--", folder.name]).split("\0")
    names = [name for name in listed if name.endswith(".yaml")]
    if not names:
        raise OperationError(f"{base} has no manifests in {folder.name}: name a revision that has rendered some.")
    texts = {name: captured([*git, "show", f"{base}:./{name}"]).stdout for name in names}
    agreed = output([*git, "log", f"--format=%(trailers:key={_TRAILER},valueonly)", f"{base}..HEAD"]).split()
    files = {PurePosixPath(name).relative_to(folder.name).as_posix(): text for name, text in texts.items()}
    return _environments(f"{base}:{folder.name}/", files), agreed


def _environments(where: str, files: Mapping[str, str]) -> dict[str, list[Manifest]]:
    """The manifests of each environment. Those that lie in no folder are of one that has no name but ``.``."""
    environments: dict[str, list[Manifest]] = {}
    for path, text in sorted(files.items()):
        manifests = environments.setdefault(path.rpartition("/")[0] or ".", [])
        try:
            documents = load(text)
        except yaml.YAMLError as error:
            raise OperationError(f"{where}{path} is no YAML: {str(error).splitlines()[0]}.") from None
        for document in documents:
            if not isinstance(document, dict) or not {"apiVersion", "kind"} <= document.keys():
                raise OperationError(f"{where}{path} holds something that is no Kubernetes object.")
            manifests.append(document)
    return environments


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print what was found.

    Args:
        arguments: Those of the command line unless given.

    Returns:
        0 when nothing breaks, 1 when something does or cannot be compared, 2 when the command was misused.
    """
    app = typer.Typer(add_completion=False, rich_markup_mode="rich" if is_fancy() else None)
    app.command()(_compare)
    return run(app, "python -m mcpmesh_k8s.operations.upgrade", arguments)


def _compare(
    base: Annotated[str, typer.Option("--base", metavar="REF", help="Branch, tag or commit that the cluster runs.")],
    dist: Annotated[Path, typer.Option("--dist", metavar="FOLDER", help="The folder of the environments.")] = Path(
        "dist"
    ),
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="CHANGE", help="A change to let through. May be repeated.", show_default=False),
    ] = None,
) -> int:
    """Show what a cluster that runs a revision would refuse or lose."""
    environments = compare(base, dist=dist, allow=allow or ())
    for environment in environments:
        show(_report(environment, base))
    return 1 if any(environment.breaking for environment in environments) else 0


def _report(found: EnvironmentChange, base: str) -> str:
    allowed = "".join(
        [f"\n  allowed: {change.allowance}" for change in found.allowed] + [f"\n  note: {note}" for note in found.notes]
    )
    if found.is_new:
        return f"{found.environment}: new since {base}"
    if not found.breaking:
        nothing = f"nothing{' else' * bool(found.allowed)}"
        return f"{found.environment}: {nothing} that a cluster at {base} refuses or loses{allowed}"
    lines = [f"{found.environment}: {len(found.breaking)} that a cluster at {base} refuses or loses{allowed}"]
    for change in found.breaking:
        lines += [
            f"  {change.title}, {change.field}",
            f"    changes  {change.change}",
            f"    why      {change.why}",
            f"    instead  {change.instead}",
            f"    allow    {change.allowance}",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
