"""What hangs is started again, or somebody is told: by the probes and the alerts as they are rendered.

That it is so when the programs run is ``failures/test_failures.py``: ``make test-failures``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from conftest import Manifests
from environments import EVERY, WITH_LOGIN
from failures.expected import FAILURES
from mesh_harness import Manifest, container_of, find
from programs import ROOT
from watching_harness import PREFIX

UNSEEN = {
    # Its health depends on others, and whoever takes connections is left alone.
    ("backend", "backend"): {"PodNotReady", "ServiceNotAnswering"},
    # They show by what they do not tell.
    ("postgres", "exporter"): {"TargetDown"},
    ("redis", "exporter"): {"TargetDown"},
    # It shows by what it does not do.
    ("redis", "trim-traces"): {"TraceStreamLong"},
}
"""The containers whose liveness does not see that they hang, by the workload, and what tells people instead."""

WAITED_FOR = ("redis", "postgres", "registry")
"""Whom agents wait for without an end."""


def running(manifests: Sequence[Manifest]) -> list[Manifest]:
    """What runs for good."""
    return [one for one in manifests if one["kind"] in ("Deployment", "StatefulSet")]


def pod_of(manifest: Manifest) -> Any:
    """What a workload says of its pods."""
    return manifest["spec"]["template"]["spec"]


def containers(manifests: Sequence[Manifest]) -> Iterator[tuple[str, Any]]:
    """Every container that runs for good, with the name of its workload."""
    for manifest in running(manifests):
        for container in pod_of(manifest)["containers"]:
            yield manifest["metadata"]["name"].removeprefix(PREFIX), container


@pytest.mark.parametrize("environment", EVERY)
def test_whoever_hangs_is_seen_by_his_liveness_or_people_are_told(manifests: Manifests, environment: str) -> None:
    rendered = manifests(environment)
    unseen = {
        (workload, container["name"])
        for workload, container in containers(rendered)
        if not {"httpGet", "exec"} & container.get("livenessProbe", {}).keys()
    }
    assert unseen <= UNSEEN.keys()
    assert {alert for who in unseen for alert in UNSEEN[who]} <= alerts(rendered)


def test_what_does_not_come_back_by_itself_is_told(manifests: Manifests) -> None:
    rendered = manifests(WITH_LOGIN[0])
    for failure in FAILURES:
        assert bool(failure.alerts) is bool(failure.by_hand or failure.untraced), failure.name
        assert set(failure.alerts) <= alerts(rendered)
        pages = [(ROOT / f"docs/runbooks/{alert}.md").read_text(encoding="utf-8") for alert in failure.alerts]
        for name in failure.untraced:
            assert any(f"TARGET={name}" in page and "do not trace" in page for page in pages), name
        assert all(UNSEEN[name, name] == {*failure.alerts} for name in failure.hangs if failure.by_hand)


def alerts(manifests: Sequence[Manifest]) -> set[str]:
    """The names of all that Prometheus is told to watch for."""
    rules = find(manifests, "ConfigMap", f"{PREFIX}prometheus")["data"]["rules__alerts.yaml"]
    return set(re.findall(r"- alert: (\w+)", rules))


@pytest.mark.parametrize("environment", EVERY)
def test_whom_agents_wait_for_is_killed_before_the_agents_are_taken_for_dead(
    manifests: Manifests, environment: str
) -> None:
    rendered = manifests(environment)
    agent = container_of(find(rendered, "Deployment", f"{PREFIX}pdf-extractor"), "pdf-extractor")["livenessProbe"]
    soonest = (agent["failureThreshold"] - 1) * agent["periodSeconds"] + agent["timeoutSeconds"]
    assert soonest == 43
    for name in WAITED_FOR:
        (container,) = (one for _, one in containers(rendered) if one["name"] == name)
        probe = container["livenessProbe"]
        latest = probe["failureThreshold"] * probe["periodSeconds"] + probe["timeoutSeconds"]
        assert latest + probe["terminationGracePeriodSeconds"] < soonest, name


@pytest.mark.parametrize("environment", EVERY)
def test_who_hangs_is_not_given_the_time_of_those_who_finish(manifests: Manifests, environment: str) -> None:
    graces = {
        one["metadata"]["name"]: pod_of(one)["terminationGracePeriodSeconds"] for one in running(manifests(environment))
    }
    for workload, container in containers(manifests(environment)):
        for kind in ("startupProbe", "livenessProbe"):
            grace = container.get(kind, {}).get("terminationGracePeriodSeconds", graces[PREFIX + workload])
            assert grace <= 120, (workload, container["name"], kind)
