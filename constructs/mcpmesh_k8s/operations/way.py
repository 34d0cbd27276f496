"""This module is what stands in the way of a deployment: a claim that grows, and what a StatefulSet cannot change.

Quota and limits follow from what is rendered, so a claim can only grow when they have. A StatefulSet changes neither
the templates of its claims nor how it manages its pods. One that is deleted without its pods leaves them running, with
their claims, and the one that is made in its place takes them over.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcpmesh_k8s.kubernetes import Objects, at, bytes_text, each, in_bytes, name_of

from .programs import Kubectl, OperationError
from .rendered import APPLY, RenderedPhase, as_list, reference
from .terminal import progress, show

if TYPE_CHECKING:
    from mcpmesh_k8s.kubernetes import Manifest

_BOUNDS = ("ResourceQuota", "LimitRange")
_CLAIM = "persistentvolumeclaim"
QUOTA_SECONDS = 30
"""Seconds that the cluster may take until a changed quota counts."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """What must be done before the manifests can be applied.

    Args:
        bounds: Quota and limits, which must count before a claim can grow or come.
        grown: The claims that grow, as name, size of now and size of then.
        new: The claims that come, and that the quota of now may refuse.
        renewed: The StatefulSets that are deleted without their pods and made again, each with what changes.
        crowded: Why the new quota has no room for the claims; empty where it has.
    """

    bounds: tuple[Manifest, ...]
    grown: tuple[tuple[str, str, str], ...]
    new: tuple[str, ...]
    renewed: tuple[tuple[str, str], ...]
    crowded: str = ""

    @property
    def refused(self) -> frozenset[str]:
        """The objects that the cluster as it is now would refuse, as kubectl names them."""
        claims = [name for name, _, _ in self.grown] + list(self.new)
        return frozenset([*(f"{_CLAIM}/{name}" for name in claims), *(name for name, _ in self.renewed)])

    def show(self) -> None:
        """Say what will be done."""
        for name, was, now in self.grown:
            show(f"{_CLAIM}/{name} grows: {was} → {now}")
        for name in self.new:
            show(f"{_CLAIM}/{name} is new")
        for name, change in self.renewed:
            show(f"{name} is made again around its pods, which run on: {change}")
        if self.crowded:
            show(self.crowded)


def way_for(kubectl: Kubectl, phases: Sequence[RenderedPhase]) -> Way:
    """What must be done before the manifests can be applied to the cluster as it is."""
    found = kubectl.read("statefulsets,persistentvolumeclaims")
    there = {reference(item): item for item in each(found, "items")}
    every = [manifest for phase in phases for manifest in phase.of("StatefulSet")]
    sets = [manifest for manifest in every if reference(manifest) in there]
    wanted = {
        f"{name_of(template)}-{name_of(manifest)}-{number}": template
        for manifest in every
        for number in range(int(str(at(manifest, "spec").get("replicas", 1))))
        for template in each(manifest, "spec", "volumeClaimTemplates")
    }
    rendered = {name_of(claim): claim for phase in phases for claim in phase.of("PersistentVolumeClaim")}
    present = {name: there[f"{_CLAIM}/{name}"] for name in (*wanted, *rendered) if f"{_CLAIM}/{name}" in there}
    grown = tuple(
        (name, _size(claim), _size(larger))
        for name, claim in present.items()
        if _bytes(claim) < _bytes(larger := (wanted | rendered)[name])
    )
    # At the first deployment, too: a quota that does not count yet refuses every claim.
    new = tuple(name for name in rendered if name not in present)
    # A claim outlives what it was made for, and does not shrink: the cluster counts what is there.
    live = {name_of(item): item for item in there.values() if item.get("kind") == "PersistentVolumeClaim"}
    sizes = {name: _bytes(claim) for name, claim in live.items()}
    for name, claim in (wanted | rendered).items():
        sizes[name] = max(sizes.get(name, 0), _bytes(claim))
    return Way(
        crowded=_crowded(phases, sizes, sorted(live.keys() - wanted.keys() - rendered.keys() - _mounted(phases)))
        if grown or new
        else "",
        bounds=tuple(manifest for phase in phases for manifest in phase.of(*_BOUNDS)) if grown or new else (),
        grown=grown,
        new=new,
        renewed=tuple(
            (reference(manifest), change)
            for manifest in sets
            if (change := _renewal(there[reference(manifest)], manifest))
        ),
    )


def _mounted(phases: Sequence[RenderedPhase]) -> set[str]:
    """The claims that pods mount by name: those that were there before among them."""
    pods = Objects([manifest for phase in phases for manifest in phase.objects]).pods
    volumes = (volume for _, template in pods for volume in each(template, "spec", "volumes"))
    return {str(at(volume, "persistentVolumeClaim").get("claimName")) for volume in volumes}


def _crowded(phases: Sequence[RenderedPhase], sizes: Mapping[str, int], others: Sequence[str]) -> str:
    total = sum(sizes.values())
    for quota in (manifest for phase in phases for manifest in phase.of("ResourceQuota")):
        room = in_bytes("requests.storage", str(at(quota, "spec", "hard").get("requests.storage", f"{total}")))
        if total > room and others:
            return (
                f"All claims together are {bytes_text(total)}, and the quota that is rendered has {bytes_text(room)}: "
                f"nothing is rendered any more of {', '.join(others)}. Delete what nobody needs, or mount it as an "
                "ExistingClaim, which the quota counts."
            )
    return ""


def _renewal(old: Manifest, new: Manifest) -> str:
    """What a StatefulSet refuses and its successor may have; empty when there is nothing, or more than that."""
    specs = at(old, "spec"), at(new, "spec")
    before, after = ({name_of(one): one for one in each(spec, "volumeClaimTemplates")} for spec in specs)
    kept = all(specs[0].get(field) == specs[1].get(field) for field in ("selector", "serviceName"))
    # Its pods stay, so their claims must be what the new templates say once they have grown.
    if not kept or before.keys() != after.keys():
        return ""
    if any(_class(one) != _class(after[name]) or _bytes(one) > _bytes(after[name]) for name, one in before.items()):
        return ""
    policies = [str(spec.get("podManagementPolicy", "OrderedReady")) for spec in specs]
    sizes = [(name, _size(before[name]), _size(after[name])) for name in before]
    changes = [f"podManagementPolicy: {' → '.join(policies)}"] if policies[0] != policies[1] else []
    return "; ".join(changes + [f"{name}: {was} → {now}" for name, was, now in sizes if was != now])


def _class(claim: Manifest) -> tuple[object, object]:
    spec = at(claim, "spec")
    return spec.get("storageClassName"), spec.get("accessModes")


def _size(claim: Mapping[str, object]) -> str:
    return str(at(claim, "spec", "resources", "requests").get("storage", "0"))


def _bytes(claim: Mapping[str, object]) -> int:
    return in_bytes("size of a claim", _size(claim))


def clear(kubectl: Kubectl, way: Way) -> None:
    """Grow claims, and delete StatefulSets without their pods. It can be repeated, wherever it stopped.

    Raises:
        OperationError: The cluster refuses it, such as a class of storage that cannot grow, or would: the quota has no
            room. Nothing is changed then.
    """
    if way.crowded:
        raise OperationError(way.crowded)
    if way.bounds:
        kubectl.do("apply", *APPLY, "--filename=-", stdin=as_list(way.bounds))
        for bound in way.bounds:
            if bound["kind"] == "ResourceQuota":
                _await_quota(kubectl, bound)
    for name, _, size in way.grown:
        grow = json.dumps({"spec": {"resources": {"requests": {"storage": size}}}})
        kubectl.do("patch", _CLAIM, name, f"--patch={grow}")
    for name, _ in way.renewed:
        kubectl.do("delete", name, "--cascade=orphan", "--wait")


def _await_quota(kubectl: Kubectl, quota: Manifest, pause: float = 0.5) -> None:
    """Wait until the cluster counts by a quota: what is admitted is compared with its status."""
    give_up = time.monotonic() + QUOTA_SECONDS
    with progress("the new quota counts"):
        while time.monotonic() < give_up:
            live = kubectl.read("resourcequota", name_of(quota))
            if at(live, "status", "hard") == at(live, "spec", "hard"):
                return
            time.sleep(pause)
    raise OperationError(f"{reference(quota)} does not count yet, {QUOTA_SECONDS} seconds after it was changed.")
