"""This module is the proof that each variable of the registry is read, as ``test_variables.py`` is of all others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import requires
from mesh3 import expected
from mesh3.expected import VARIABLES, Variable
from mesh3.stack import Mesh, Place
from mesh3.variables import changed, compare, failing
from mesh3.whole import mesh as mesh  # fixtures
from mesh3.whole import pods as pods
from mesh_harness import eventually
from processes import START
from watching_harness import Recorded

pytestmark = requires("postgresql", "redis", "mesh3", "mesh_registry")
REGISTRY = ("mcp-mesh-registry",)
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def tempo(mesh: Mesh, pods: dict[str, Place]) -> Generator[Recorded, None, None]:
    """What is asked for traces. The registry that was there is gone, so that none but the tried one reads spans."""
    pods["registry"].pod.process.kill()
    with Recorded({f"/api/traces/{TRACE}": json.dumps({"batches": []})}, port=mesh.tempo_port) as recorded:
        yield recorded


def of_registry(mesh: Mesh, place: Place, tempo: Recorded) -> dict[str, Callable[[], bool]]:
    """What must hold of a registry."""
    starts = eventually(lambda: place.ask("/health").status == 200 or place.pod.process.poll() is not None, START)
    mesh.registry.leads_to(place.address)

    def passes_on() -> bool:
        before = len(mesh.traces())
        return eventually(lambda: mesh.works() and len(mesh.traces()) > before, 5)

    def fetches() -> bool:
        before = len(tempo.asked)
        place.ask(f"/trace/{TRACE}")
        return len(tempo.asked) > before

    def is_modest() -> bool:
        """While nobody can read agents, whoever asks for them has a session."""
        with ThreadPoolExecutor(41) as people:
            lock = "BEGIN; LOCK TABLE agents; SELECT pg_sleep(2); COMMIT"
            people.submit(mesh.postgres.psql, lock, url="postgresql:///mcpmesh?user=postgres")
            time.sleep(0.5)
            for _ in range(40):
                people.submit(place.ask, "/agents")
            time.sleep(1)
            (count,) = mesh.postgres.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = 'mcpmesh'")
        return int(count) <= int(rendered)

    (rendered,) = (one["value"] for one in place.pod.spec["env"] if one["name"] == "DB_MAX_OPEN_CONNECTIONS")
    return {
        expected.STARTS: lambda: starts and place.pod.process.poll() is None,
        # Those that another one has been told of. It comes early: soon they tell this one too.
        expected.SHARED: lambda: (
            "prices" in {agent["id"].partition("-")[0] for agent in place.ask("/agents").json()["agents"] or []}
        ),
        expected.MODEST: is_modest,
        expected.PASSED_ON: passes_on,
        expected.FETCHED: fetches,
        expected.RULED: lambda: place.ask("/admin/drain").status == 404,
        expected.PATIENT: lambda: "(timeout: 20s" in place.pod.output,
        expected.KEEPS: lambda: "24h" in place.pod.output,
        expected.SAYS: lambda: " INFO " in place.pod.output,
    }


def test_with_all_of_them_all_holds_of_a_registry(mesh: Mesh, tempo: Recorded) -> None:
    place = mesh.start("registry", entrypoint=REGISTRY)
    with place.pod:
        assert failing(of_registry(mesh, place, tempo)) == set(), place.pod.output


@pytest.mark.parametrize(
    "variable",
    [one for one in VARIABLES if one.of == "registry"],
    ids=lambda one: f"{one.name} {one.instead or 'missing'}",
)
def test_without_one_of_them_something_fails_of_a_registry(mesh: Mesh, tempo: Recorded, variable: Variable) -> None:
    place = mesh.start("registry", entrypoint=REGISTRY, **changed(variable))
    with place.pod:
        compare(variable, failing(of_registry(mesh, place, tempo)), place)
