"""The cluster takes ArgoCD's own objects, and no wave of a sync fails by the health of what is in it."""

from __future__ import annotations

import pytest

from cluster.api import Object
from cluster.environment import APPLY, AUTOSCALED, ROOT, Deployed, Done, as_text, eventually, named, over_and_over, read

FOLDER = "argocd"
WAVE = "argocd.argoproj.io/sync-wave"
HOOK = "argocd.argoproj.io/hook"
PHASES = ("PreSync", "Sync", "PostSync")
DEGRADED = {
    ("autoscaling/v2", "horizontalpodautoscalers"): ("FailedGet", "FailedUpdate", "InvalidSelector"),
    ("policy/v1", "poddisruptionbudgets"): ("",),
}
"""How the reasons begin for which ArgoCD calls an object Degraded. Of an autoscaler: as of 2026, argo-cd's pull request
26274. Of a budget any, as it was in 2.13; later ones bear too few pods."""


@pytest.fixture(scope="session")
def applied(cluster: Deployed) -> Done:
    """What kubectl says when ArgoCD's objects are applied. They do not stay: commands make way for an ArgoCD."""
    (namespace,) = {one["metadata"]["namespace"] for one in read(FOLDER)}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    cluster.do("apply", "--server-side", "--filename=-", stdin=as_text([made]))
    return cluster.kubectl(*APPLY, "--dry-run=server", "--namespace", namespace, "--filename", ROOT / "dist" / FOLDER)


def test_argocds_objects_are_taken_with_strict_validation(applied: Done) -> None:
    assert applied.returncode == 0, applied.stderr
    assert len(applied.stdout.splitlines()) == len(read(FOLDER))


def test_argocds_objects_are_taken_without_a_warning(applied: Done) -> None:
    assert applied.stderr == ""


@pytest.mark.parametrize("cluster", AUTOSCALED, indirect=True, ids=named)
def test_no_wave_waits_for_an_object_that_is_degraded_at_first(cluster: Deployed) -> None:
    """Else the sync fails, however soon that passes. No annotation keeps a wave from waiting for one of its objects."""
    degraded: set[tuple[str, str]] = set()
    cluster.machines.measuring = False  # as in a cluster, where it takes a while until it is known what new pods use
    try:
        with over_and_over(lambda: degraded.update(degraded_now(cluster))):
            cluster.deploy()
    finally:
        cluster.machines.measuring = True
    cluster.machines.measure()
    eventually(lambda: not degraded_now(cluster), 30, lambda: f"it does not pass: {degraded_now(cluster)}")
    last = max(step_of(one) for one in cluster.manifests())
    steps = {(f"{one['kind']}s".lower(), one["metadata"]["name"]): step_of(one) for one in cluster.manifests()}
    assert {kind for kind, _ in degraded} == {kind for _, kind in DEGRADED}
    assert {identity: steps[identity] for identity in degraded if steps[identity] < last} == {}


def degraded_now(deployed: Deployed) -> set[tuple[str, str]]:
    return {
        (kind, one["metadata"]["name"])
        for (version, kind), reasons in DEGRADED.items()
        for one in deployed.control_plane.api.list(f"/apis/{version}/namespaces/{deployed.namespace}/{kind}")
        for condition in one.get("status", {}).get("conditions", ())
        if condition["status"] == "False" and condition["reason"].startswith(reasons)
    }


def step_of(manifest: Object) -> tuple[int, int]:
    """When an object is applied: in which phase of a sync, and in which wave of it."""
    annotations = manifest["metadata"].get("annotations", {})
    return PHASES.index(annotations.get(HOOK, "Sync")), int(annotations.get(WAVE, 0))
