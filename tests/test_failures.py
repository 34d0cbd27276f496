"""What hangs is started again, or somebody is told: by the probes and the alerts as they are rendered.

That it is so when the programs run is ``failures/test_failures.py``: ``make test-failures``.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import Manifests
from environments import EVERY, WITH_LOGIN
from failures.expected import FAILURES
from mesh_harness import LOCALHOST, Loopback, Manifest, Pod, before_the_signal, container_of, find
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


LONGEST = 300
"""Seconds that an agent may take for a résumé."""


@pytest.mark.parametrize("environment", EVERY)
def test_whatever_cuts_its_calls_when_it_is_told_to_stop_is_told_when_they_have_ended(
    manifests: Manifests, environment: str
) -> None:
    """All that import the runtime of MCP Mesh 0.5.3: the backend and the agents."""
    seen = set[str]()
    for manifest in running(manifests(environment)):
        if manifest["metadata"]["labels"].get("app.kubernetes.io/component") not in ("agent", "api"):
            continue
        pod = pod_of(manifest)
        (container,) = pod["containers"]
        (port,) = container["ports"]
        shell, _, _, pause, most, connected = container["lifecycle"]["preStop"]["exec"]["command"]
        # Those who send requests to it know by then that it is to end, and it is killed after it was told.
        assert (shell, int(pause)) == ("sh", 10)
        assert int(most) >= LONGEST
        assert int(pause) + int(most) + 10 <= pod["terminationGracePeriodSeconds"]
        assert int(connected[2:6], 16) == port["containerPort"]
        seen.add(manifest["metadata"]["name"].removeprefix(PREFIX))
    assert seen == {"backend", "pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent"}


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_a_stop_waits_for_whoever_is_connected_and_for_nobody_else(
    manifests: Manifests, tmp_path: Path, family: socket.AddressFamily
) -> None:
    rendered = find(manifests(EVERY[0]), "Deployment", f"{PREFIX}backend")
    spec = container_of(rendered, "backend")
    with socket.socket(family) as server, socket.socket(family) as other:
        for one in (server, other):
            # One that listens on every address of both families sees IPv4 as IPv6.
            one.bind(("127.0.0.1" if family is socket.AF_INET else "::", 0))
            one.listen()
        mine, others = server.getsockname()[1], other.getsockname()[1]
        pod = Pod(
            name="backend",
            spec=spec,
            process=subprocess.Popen(["true"]),
            environment={},
            loopback=Loopback(ports={8080: mine}),
            log=tmp_path / "log",
        )
        pod.process.wait()
        command = before_the_signal(pod, 100)
        # It listens, is a client itself, somebody is connected elsewhere, and somebody was.
        with socket.create_connection((LOCALHOST, others)), socket.create_connection((LOCALHOST, mine)) as past:
            server.accept()[0].close()
            past.close()
            assert took(command) < 1
        with socket.create_connection((LOCALHOST, mine)) as person:
            assert 2.5 < took(command) < 8, "as long as is given, three seconds here"
            call, _ = server.accept()
            with subprocess.Popen(before_the_signal(pod, 5)) as waiting:
                time.sleep(2.5)
                assert waiting.poll() is None
                person.close()
                call.close()
                assert waiting.wait(4) == 0


def took(command: Sequence[str]) -> float:
    """The seconds until a command has ended well."""
    began = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - began


@pytest.mark.parametrize("environment", EVERY)
def test_no_rollout_is_given_up_while_a_pod_ends_what_is_under_way(manifests: Manifests, environment: str) -> None:
    """What finds no room until another has ended is tried again after pauses that double: within twice that time."""
    for manifest in running(manifests(environment)):
        if manifest["kind"] == "Deployment":
            deadline = manifest["spec"].get("progressDeadlineSeconds", 600)
            assert deadline >= 2 * pod_of(manifest)["terminationGracePeriodSeconds"], manifest["metadata"]["name"]
