"""A claim that became too small grows, with the data in it and the pod that uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ai_interviewer import AiInterviewer
from cluster.api import Object
from cluster.environment import APPLY, Deployed, as_text, eventually, read_folder, workload_of
from cluster.known import fails_today
from mcpmesh_k8s.kubernetes.quantity import bytes_text, in_bytes


def test_a_claim_grows_as_check_upgrade_advises(expendable: Deployed, request: pytest.FixtureRequest) -> None:
    """The advice: grow each claim with kubectl patch, delete the StatefulSet and keep its pods, deploy."""
    fails_today(
        request, "Our own quota is the exact sum of all claims, and refuses it; so does the largest claim's limit."
    )
    refused = [
        done.stderr
        for name, size in sizes(expendable).items()
        if (done := expendable.kubectl(*patch(name, doubled(size)))).returncode
    ]
    assert refused == []


def test_a_claim_grows_once_the_quota_and_the_limits_of_the_new_rendering_are_applied(
    expendable: Deployed, tmp_path: Path
) -> None:
    settings = expendable.settings
    larger = replace(
        settings,
        postgres=replace(settings.postgres, size=doubled(settings.postgres.size)),
        minio=replace(settings.minio, size=doubled(settings.minio.size)),
    )
    AiInterviewer(larger, outdir=tmp_path / "larger").synth()
    rendered = read_folder(tmp_path / "larger")
    templates = {
        f"{template['metadata']['name']}-{one['metadata']['name']}-0": template
        for one in rendered
        if one["kind"] == "StatefulSet"
        for template in one["spec"].get("volumeClaimTemplates", ())
    }
    before = sizes(expendable)
    wanted = {name: str(one["spec"]["resources"]["requests"]["storage"]) for name, one in templates.items()}
    grown = {name: size for name, size in wanted.items() if size != before[name]}
    assert len(grown) == 2
    pods = running(expendable)

    # In the order of the advice, with the quota and the limits first.
    bounds = [one for one in rendered if one["kind"] in ("ResourceQuota", "LimitRange")]
    expendable.do(*APPLY, "--filename=-", stdin=as_text(bounds))
    for name, size in grown.items():
        expendable.do(*patch(name, size))
    eventually(
        lambda: sizes(expendable, "status", "capacity") == {**before, **grown},
        30,
        lambda: str(sizes(expendable, "status", "capacity")),
    )
    for one in rendered:
        if one["kind"] == "StatefulSet":
            expendable.do("delete", "statefulset", one["metadata"]["name"], "--cascade=orphan")
    expendable.do(*APPLY, "--filename", tmp_path / "larger")
    expendable.settle()
    # The new StatefulSets took over the pods that ran. What Postgres may write follows from its claim, so it is told
    # of more. And a pod that is made from now on finds its claim.
    told = {name: uid for name, uid in running(expendable).items() if pods[name] != uid}
    assert told.keys() == {"ai-interviewer-postgres-0"}
    expendable.do("rollout", "restart", "statefulsets")
    expendable.settle()
    assert sizes(expendable) == {**before, **grown}


def doubled(size: str) -> str:
    return bytes_text(2 * in_bytes("size", size))


def patch(name: str, size: str) -> tuple[str, ...]:
    body = f'{{"spec":{{"resources":{{"requests":{{"storage":"{size}"}}}}}}}}'
    return ("patch", "persistentvolumeclaim", name, f"--patch={body}")


def sizes(deployed: Deployed, *path: str) -> dict[str, str]:
    """The size of each claim: what is asked for, or what a path leads to."""
    return {
        one["metadata"]["name"]: str(inside(one, path or ("spec", "resources", "requests"))["storage"])
        for one in deployed.look("persistentvolumeclaims")
    }


def inside(document: Object, path: tuple[str, ...]) -> Mapping[str, object]:
    for word in path:
        document = document[word]
    return document


def running(deployed: Deployed) -> dict[str, str]:
    """The pods of the StatefulSets, each with what tells it from another of its name."""
    names = {one["metadata"]["name"] for one in deployed.look("statefulsets")}
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in deployed.pods() if workload_of(pod) in names}
