"""This module is the proof of who restarts, who recovers by itself and who must not, when programs end or hang.

The real programs run with the rendered commands, variables and probes, under what plays the kubelet. Its clock runs
faster than that of a cluster, and so do those of the mesh. Programs start as fast as they do.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import requires
from failures.expected import AGENTS, FAILURES, PACE, Failure
from failures.kubelet import Container
from failures.stack import GATEWAY, SIDECARS, Kubelet, Running
from gateway_harness import LOGIN
from mcpmesh_k8s import OpenIdConnect
from mesh_harness import eventually
from programs import ROOT
from test_login_runtime import ISSUER, render

pytestmark = requires(
    "nginx", "postgresql", "redis", "mesh", "oauth2_proxy", "mesh_registry", "watching", "postgres_exporter"
)
SOON = 90.0
"""Seconds within which something happens that will, on a busy machine."""

STORES = ("redis", "postgres")
FOR_REDIS = AGENTS - {"interview-agent"}
FOR_BOTH = frozenset({"registry", "interview-agent", "backend"})
"""Who waits for Redis alone, and who for PostgreSQL too."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """What was seen while everything started, stores last.

    Args:
        early: Who began while neither store was there.
        with_redis: Who began while PostgreSQL was not there.
        running: The application.
    """

    early: frozenset[str]
    with_redis: frozenset[str]
    running: Running


def begun(containers: Mapping[str, Container]) -> frozenset[str]:
    """Who has begun."""
    trouble = {name: one.trouble for name, one in containers.items() if one.trouble}
    assert not trouble, trouble
    return frozenset(name for name, one in containers.items() if one.begun)


def start_store(containers: Mapping[str, Container], store: str) -> None:
    """Start a store, and what is beside it in its pod."""
    for name in (store, *(one for one, of in SIDECARS.items() if of == store)):
        containers[name].start()


@pytest.fixture(scope="module")
def start(needs_mesh: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Start, None, None]:
    """Everything, started in the worst order."""
    rendered = render(OpenIdConnect(issuer=ISSUER))
    with ExitStack() as stack:
        kubelet = Kubelet(stack, rendered, tmp_path_factory.mktemp("stack"), needs_mesh, PACE)
        containers = kubelet.containers
        for name in containers.keys() - {*STORES, *SIDECARS}:
            containers[name].start()
        waiting = {**dict.fromkeys(FOR_REDIS, "wait-for-redis"), **dict.fromkeys(FOR_BOTH, "wait-for-postgres")}
        assert eventually(
            lambda: all("waiting for" in containers[name].waiting_log(wait) for name, wait in waiting.items()), SOON
        )
        assert eventually(lambda: begun(containers) >= {LOGIN, GATEWAY}, SOON)
        early = begun(containers)
        start_store(containers, "redis")
        assert eventually(lambda: begun(containers) >= FOR_REDIS, SOON)
        with_redis = begun(containers)
        start_store(containers, "postgres")
        assert eventually(lambda: begun(containers) == containers.keys(), SOON), begun(containers)
        running = kubelet.running()
        assert eventually(running.well, SOON), running.works()
        yield Start(early=early, with_redis=with_redis, running=running)


def test_whoever_needs_a_store_waits_for_it_and_starts_by_itself_when_it_is_there(start: Start) -> None:
    assert start.early == {LOGIN, GATEWAY}
    assert start.with_redis - SIDECARS.keys() == {LOGIN, GATEWAY, "redis", *FOR_REDIS}
    assert {name: one.restarts for name, one in start.running.containers.items() if one.restarts} == {}


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_who_restarts_and_whether_all_works_again(start: Start, failure: Failure) -> None:
    running, containers = start.running, start.running.containers
    assert eventually(running.well, SOON), running.works()
    for one in containers.values():
        one.calm()
    struck = (*failure.ends, *failure.hangs)
    began = time.monotonic()
    for number, name in enumerate(failure.ends):
        containers[name].kill(0 if number else failure.pause)
    for name in failure.hangs:
        containers[name].hang()
    away = set[str]()

    def well() -> bool:
        works = running.works()
        away.update(name for name, does in works.items() if not does)
        back = all(containers[name].restarts for name in struck)
        return back and all(works.values()) and all(one.ready for one in containers.values())

    if failure.by_hand:
        # Longer than a liveness takes to fail.
        assert not eventually(well, 70 / PACE)
        assert not any(containers[name].restarts for name in struck)
        for name in struck:
            containers[name].wake()
        assert eventually(running.well, SOON), running.works()
        seconds = 0.0
    else:
        assert eventually(well, failure.within), (running.works(), seen(containers))
        last = max(one.at for name in containers for one in containers[name].restarts)
        # Until the last one is started again it is the kubelet's clock that counts.
        seconds = (last - began) * PACE + (time.monotonic() - last)
    untraced = running.untraced()
    assert set(seen(containers)) == (set() if failure.by_hand else {*struck})
    assert away <= failure.away
    assert seconds <= failure.within
    measured(failure, seconds, away)
    for name in untraced:
        containers[name].kill()
    assert untraced == failure.untraced


def seen(containers: Mapping[str, Container]) -> dict[str, list[str]]:
    """Who was started again, and why."""
    return {name: [restart.why for restart in one.restarts] for name, one in containers.items() if one.restarts}


@pytest.mark.parametrize("name", [GATEWAY, "backend"])
def test_a_stop_lets_the_requests_under_way_finish(start: Start, name: str) -> None:
    running, container = start.running, start.running.containers[name]
    assert eventually(running.well, SOON), running.works()
    answers = list[int]()
    asked = time.monotonic()
    people = [
        threading.Thread(target=lambda: answers.append(running.get("/api/slowly?seconds=4", SOON))) for _ in range(8)
    ]
    for one in people:
        one.start()
    time.sleep(1)
    stopped = container.delete()
    for one in people:
        one.join()
    assert answers == [200] * 8
    # It waited for them, and was not killed.
    grace: float = container.program.manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert time.monotonic() - asked > 3
    assert 2 < stopped < grace / PACE
    assert eventually(running.well, SOON), running.works()


def measured(failure: Failure, seconds: float, away: set[str]) -> None:
    """Keep what was seen, for `make failures` to put into the docs."""
    file = ROOT / "build/failures.json"
    kept: dict[str, object] = json.loads(file.read_text()) if file.exists() else {}
    row = {"seconds": round(seconds), "away": sorted(away)}
    file.write_text(json.dumps({**kept, failure.name: row}, indent=2) + "\n")
