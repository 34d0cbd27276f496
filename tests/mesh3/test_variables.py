"""This module is the proof that each rendered variable is read: without it, or with another value, something fails."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import requires
from drill.stack import ALL_SECRETS
from mesh3 import expected
from mesh3.expected import FOR_THE_CODE, UNREAD, VARIABLES, Variable
from mesh3.stack import Mesh, Place
from mesh_harness import eventually
from processes import REDIS, START
from watching_harness import PREFIX, Recorded

pytestmark = requires("postgresql", "redis", "mesh3", "mesh_registry")
WORKLOADS = {"agent": "stock", "caller": "prices", "api": "web", "registry": "registry"}
OTHERS = {"agent": {"MCP_MESH_API_NAME"}, "api": {"MCP_MESH_AGENT_NAME"}, "registry": set[str]()}
"""What one of the others is told: the runtime of an API service is that of an agent."""

PRINTED = "the code of the agent begins.*TLS mode"
REGISTRY = ("mcp-mesh-registry",)
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def mesh(needs_mesh3: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mesh, None, None]:
    with ExitStack() as stack:
        yield Mesh(stack, tmp_path_factory.mktemp("mesh"), needs_mesh3)


@pytest.fixture(scope="module")
def pods(mesh: Mesh) -> dict[str, Place]:
    return mesh.whole()


@pytest.fixture(scope="module")
def begun(mesh: Mesh, pods: dict[str, Place]) -> dict[Variable | str, Place]:
    """For each variable who lacks it, and for each kind who lacks none."""
    places: dict[Variable | str, Place] = {
        one: mesh.start(WORKLOADS[one.of], **changed(one)) for one in VARIABLES if one.of != "registry"
    }
    places |= {kind: mesh.start(WORKLOADS[kind]) for kind in ("agent", "caller", "api")}
    # One may never be, or elsewhere.
    waiting = dict(places)

    def all_are() -> bool:
        for one in [one for one, place in waiting.items() if is_ready(place)]:
            del waiting[one]
        return not waiting

    eventually(all_are, 40)
    return places


def is_ready(place: Place) -> bool:
    """Whether it is; not all at once are asked again and again."""
    time.sleep(0.1)
    return place.probes()["readiness"] == "200"


def pause(output: str) -> float:
    """Seconds between the end of its code and the start of the mesh, as its log has them."""
    (loaded,) = re.findall(r"T([\d:.]+)Z.*TLS mode", output)[:1]
    (began,) = re.findall(r"T([\d:.]+)Z.*Starting agent '", output)[:1]
    form = "%H:%M:%S.%f"
    return (datetime.strptime(began, form) - datetime.strptime(loaded, form)).total_seconds()


def changed(variable: Variable) -> dict[str, Any]:
    """How one is started that lacks a variable, or has another value of it."""
    if variable.instead is None:
        return {"without": [variable.name]}
    return {"variables": {variable.name: variable.instead}}


def row(mesh: Mesh, place: Place) -> Mapping[str, str]:
    """What the registry says of it; nothing where it does not know it."""
    known = re.findall(r"Heartbeat successful for agent '([^']+)'", place.pod.output)
    return next((agent for agent in mesh.agents() if agent["id"] in known[:1]), {})


def written(mesh: Mesh, place: Place) -> str:
    """What Redis is told while the agent does something."""
    words = ["redis-cli", "-p", str(mesh.redis_port), "--user", "operator", "--no-auth-warning", "monitor"]
    environment = {"REDISCLI_AUTH": ALL_SECRETS[REDIS, "operator-password"]}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout
        assert "OK" in monitor.stdout.readline()
        called = call(place)
        time.sleep(1.5)
        monitor.kill()
        said = monitor.stdout.read()
    assert called
    return "\n".join(line for line in said.splitlines() if '"XADD"' in line)


def call(place: Place) -> bool:
    """Whether its tool answers."""
    name = {"stock": "stock", "prices": "price"}[place.name]
    body = {"name": name, "arguments": {"item": "apples"}}
    said = place.ask("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": body})
    return "7 apples" in said.text


def endpoint(mesh: Mesh, place: Place) -> tuple[str, str]:
    """The host and the port that others are told."""
    host, _, port = row(mesh, place)["endpoint"].removeprefix("http://").partition(":")
    return host, port


def holds(mesh: Mesh, place: Place) -> dict[str, Callable[[], bool]]:
    """What must hold of an agent, of one that calls others, or of an API service."""
    if place.name == "prices":
        return {expected.CALLS_TRACED: lambda: '"function_name" "proxy_call_wrapper"' in written(mesh, place)}
    port = str(place.pod.spec["ports"][0]["containerPort"])
    agent = {
        expected.ANSWERS: lambda: call(place),
        expected.TRACED: lambda: '"function_name" "stock"' in written(mesh, place),
        expected.CUT: lambda: '"MAXLEN" "~" "10000"' in written(mesh, place),
        expected.IN_NAMESPACE: lambda: '"agent_namespace" "default"' in written(mesh, place),
        expected.PRINTS: lambda: re.search(PRINTED, place.pod.output, re.DOTALL) is not None,
        expected.PAUSES: lambda: pause(place.pod.output) > 4.5,
    }
    return {
        expected.REGISTERED: lambda: bool(row(mesh, place)),
        expected.BY_NAME: lambda: row(mesh, place)["id"].startswith(f"{place.name}-"),
        expected.AT_HOST: lambda: endpoint(mesh, place)[0] == PREFIX + place.name,
        expected.AT_PORT: lambda: endpoint(mesh, place)[1] == port,
        expected.SAYS: lambda: "INFO     🔧 Starting MCP Mesh runtime" in place.pod.output,
        expected.WRITES_NOTHING: lambda: not any(place.pod.log.parent.rglob("__pycache__")),
        **(agent if place.name == "stock" else {}),
    }


def failing(checks: Mapping[str, Callable[[], bool]]) -> set[str]:
    """What does not hold."""
    failed = set[str]()
    for name, check in checks.items():
        try:
            well = check()
        except (AssertionError, OSError, KeyError, ValueError):
            well = False
        if not well:
            failed.add(name)
    return failed


def compare(variable: Variable, failed: set[str], place: Place) -> None:
    """What failed is what is expected."""
    expects = set(variable.fails)
    assert failed >= expects if variable.more else failed == expects, place.pod.output


def test_every_variable_that_is_rendered_is_tried_or_named(mesh: Mesh) -> None:
    tried = {(one.of, one.name) for one in VARIABLES}
    for kind in ("agent", "api", "registry"):
        rendered = {one["name"] for one in mesh.container(WORKLOADS[kind])["env"]}
        read = {name for of, name in tried if of == kind or "registry" not in (of, kind)} - OTHERS[kind]
        assert rendered - read == set(UNREAD if kind == "registry" else FOR_THE_CODE), kind


@pytest.mark.parametrize("kind", ["agent", "caller", "api"])
def test_with_all_of_them_all_holds(mesh: Mesh, begun: dict[Variable | str, Place], kind: str) -> None:
    assert failing(holds(mesh, begun[kind])) == set()


@pytest.mark.parametrize(
    "variable",
    [one for one in VARIABLES if one.of != "registry"],
    ids=lambda one: f"{one.of} {one.name} {one.instead or 'missing'}",
)
def test_without_one_of_them_something_fails(
    mesh: Mesh, begun: dict[Variable | str, Place], variable: Variable
) -> None:
    compare(variable, failing(holds(mesh, begun[variable])), begun[variable])


# --- the registry ---


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
