"""This module is the proof that what we render runs on MCP Mesh 3: real registry, agents and API, with real stores."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from conftest import requires
from mesh3.stack import Mesh, Place
from mesh_harness import eventually
from processes import START
from watching_harness import PREFIX

pytestmark = requires("postgresql", "redis", "mesh3", "mesh_registry")


@pytest.fixture(scope="module")
def mesh(needs_mesh3: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mesh, None, None]:
    """The application, without agents."""
    with ExitStack() as stack:
        mesh = Mesh(stack, tmp_path_factory.mktemp("mesh"), needs_mesh3)
        mesh.start_stores()
        mesh.registry.leads_to(mesh.start_registry().address)
        yield mesh


@pytest.fixture(scope="module")
def first_answers() -> dict[tuple[str, str], list[str]]:
    """What the probes of each pod were told while it started, by its name and the probe: each that was new."""
    return {}


@pytest.fixture(scope="module")
def pods(mesh: Mesh, first_answers: dict[tuple[str, str], list[str]]) -> dict[str, Place]:
    """An API service and two agents, from when they are ready."""
    places = {name: mesh.start(name) for name in ("stock", "prices", "web")}

    def ready() -> bool:
        for name, place in places.items():
            for kind, said in place.probes().items():
                seen = first_answers.setdefault((name, kind), [])
                if (told := "" if said.startswith("no answer") else said) not in seen[-1:]:
                    seen.append(told)
        return all(seen[-1] == "200" for seen in first_answers.values())

    assert eventually(ready, START), first_answers
    for name, place in places.items():
        mesh.service(name).leads_to(place.address)
    return places


def test_each_registers_under_the_name_of_its_service(mesh: Mesh, pods: dict[str, Place]) -> None:
    assert eventually(lambda: len(mesh.agents()) == len(pods), START)
    told = {agent["id"].partition("-")[0]: agent for agent in mesh.agents()}
    assert {name: agent["endpoint"] for name, agent in told.items()} == {
        "stock": f"http://{PREFIX}stock:8090",
        "prices": f"http://{PREFIX}prices:8090",
        "web": f"http://{PREFIX}web:8080",
    }
    assert {agent["status"] for agent in told.values()} == {"healthy"}


def test_while_it_starts_it_is_alive_and_not_ready(
    pods: dict[str, Place], first_answers: dict[tuple[str, str], list[str]]
) -> None:
    """An agent serves before it has registered. An API service has no probes of the mesh before that."""
    agent = {"startup": ["", "200"], "readiness": ["", "503", "200"], "liveness": ["", "200"]}
    web = {kind: ["", "404", "200"] for kind in agent}
    # It is there for a moment between the two, or is not seen.
    first_answers["web", "readiness"] = [said for said in first_answers["web", "readiness"] if said != "503"]
    assert first_answers == {
        (name, kind): answers
        for name, of in (("stock", agent), ("prices", agent), ("web", web))
        for kind, answers in of.items()
    }


def test_a_call_goes_by_an_agent_to_another_one(mesh: Mesh, pods: dict[str, Place]) -> None:
    answer = mesh.says("apples")
    assert answer.status == 200, answer
    assert answer.json() == {
        "said": f"apples costs 3 at {pods['prices'].address}, there are 7 apples at {pods['stock'].address}"
    }


def test_a_call_is_one_trace_in_the_stream_and_where_traces_go(mesh: Mesh, pods: dict[str, Place]) -> None:
    assert mesh.says("pears").status == 200
    functions = {"price", "stock", "proxy_call_wrapper"}

    def whole() -> bool:
        traces = {trace for _, _, trace in mesh.traces()}
        return any({name for _, name, of in mesh.traces() if of == trace} >= functions for trace in traces)

    assert eventually(whole, START), mesh.traces()
    stream = mesh.ask_redis("XRANGE", "mesh:trace", "-", "+")
    assert all(trace in stream for _, _, trace in mesh.traces())


def test_sigterm_takes_an_agent_out_at_once_and_an_api_service_when_it_has_been_silent(
    mesh: Mesh, pods: dict[str, Place]
) -> None:
    # It ends what the tests above share, so it comes after them.
    for place in pods.values():
        # uvicorn ends by the signal itself, once it has stopped.
        ended = -signal.SIGTERM if place.name == "web" else 0
        assert place.pod.terminate(10) == ended, place.pod.output

    def states() -> dict[str, str]:
        return {agent["id"].partition("-")[0]: agent["status"] for agent in mesh.agents()}

    assert states() == {"stock": "unhealthy", "prices": "unhealthy", "web": "healthy"}
