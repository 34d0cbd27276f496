"""This module is the proof of what each probe is told in every state, and that no state of others ends a pod."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from conftest import requires
from failures.kubelet import signal_all
from mesh3.expected import BEGINNINGS, NOTHING, STATES, STOPPING, WELL, Answers, State
from mesh3.stack import Mesh, Place
from mesh3.whole import mesh as mesh  # fixtures
from mesh3.whole import pods as pods
from mesh_harness import eventually
from processes import START

pytestmark = requires("postgresql", "redis", "mesh3", "mesh_registry")


@contextmanager
def in_state(mesh: Mesh, registry: Place, state: State) -> Generator[None, None, None]:
    """While this is so; who is away has said so, for connections to it are refused."""
    who, _, how = state.name.removeprefix("the ").partition(" ")
    with ExitStack() as after:
        match who, how:
            case "registry", "is away" | "hangs":
                signal_all(registry.pod.process.pid, signal.SIGSTOP)
                after.callback(signal_all, registry.pod.process.pid, signal.SIGCONT)
                if how == "is away":
                    mesh.registry.leads_to()
                    after.callback(mesh.registry.leads_to, registry.address)
            case _, "is away":
                mesh.stores[who].off()
                after.callback(mesh.stores[who].on)
            case _, "hangs":
                after.enter_context(mesh.stores[who].hanging())
            case _:
                pass
        yield


def told(place: Place) -> Answers:
    """What its probes are told, within the seconds that are rendered."""
    said = ["nothing" if one.startswith("no answer") else one for one in place.probes().values()]
    return (said[0], said[1], said[2])


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_what_probes_are_told_and_whether_calls_go_on(mesh: Mesh, pods: dict[str, Place], state: State) -> None:
    assert eventually(mesh.works, START)
    with in_state(mesh, pods["registry"], state):
        # Agents notice at their next heartbeat, after five seconds.
        until = time.monotonic() + (0 if state is STATES[0] else 7)
        while True:
            assert mesh.works() == state.called
            seen = {name: told(pods[name]) for name in ("registry", "stock", "prices", "web")}
            assert seen == {
                "registry": state.registry,
                "stock": state.agent,
                "prices": state.agent,
                "web": state.api,
            }
            if time.monotonic() > until:
                break
            time.sleep(0.5)


def test_all_of_it_has_outlived_that(mesh: Mesh, pods: dict[str, Place]) -> None:
    assert {name: place.pod.process.poll() for name, place in pods.items()} == dict.fromkeys(pods)
    assert eventually(lambda: {"healthy"} == {agent["status"] for agent in mesh.agents()}, START), mesh.agents()
    before = len(mesh.traces())
    assert eventually(lambda: mesh.works() and len(mesh.traces()) > before, START), "no trace arrives any more"


@pytest.mark.parametrize("state", BEGINNINGS, ids=lambda state: state.name)
def test_what_probes_are_told_of_one_that_begins(mesh: Mesh, pods: dict[str, Place], state: State) -> None:
    """Whether it becomes ready does not depend on others."""
    variables = {"CONFIGURED": "no"} if state.agent != WELL else {}
    with in_state(mesh, pods["registry"], state):
        agent, api = mesh.start("stock", variables=variables), mesh.start("web")
        assert eventually(lambda: (told(agent), told(api)) == (state.agent, state.api), START), (told(agent), told(api))
    for place in (agent, api):
        place.pod.process.kill()


@pytest.mark.parametrize("name", ["stock", "web"])
def test_one_that_stops_ends_the_call_and_says_nothing_to_probes(mesh: Mesh, pods: dict[str, Place], name: str) -> None:
    assert eventually(mesh.works, START)
    with ThreadPoolExecutor() as people:
        call = people.submit(mesh.says, seconds=4)
        time.sleep(1)
        pods[name].pod.process.terminate()
        assert eventually(lambda: told(pods[name]) == NOTHING, 2)
        assert not call.done()
        assert {"stock": STOPPING.agent, "web": STOPPING.api}[name] == told(pods[name])
        assert call.result().status == 200
    pods[name] = mesh.running(name)
