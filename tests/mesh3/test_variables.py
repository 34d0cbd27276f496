"""This module is the proof that each rendered variable is read: without it, or with another value, something fails.

Those of the registry are in ``test_registry_variables.py``, which nobody here need wait for.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, partial
from typing import Any

import pytest

from conftest import requires
from drill.stack import ALL_SECRETS
from mesh3 import expected
from mesh3.expected import FOR_THE_CODE, UNREAD, VARIABLES, Variable
from mesh3.stack import Mesh, Place
from mesh3.variables import changed, compare, failing
from mesh3.whole import mesh as mesh  # fixtures
from mesh3.whole import pods as pods
from mesh_harness import eventually
from processes import REDIS, START
from watching_harness import PREFIX

pytestmark = requires("postgresql", "redis", "mesh3", "mesh_registry")
WORKLOADS = {"agent": "stock", "caller": "prices", "api": "web", "registry": "registry"}
OTHERS = {"agent": {"MCP_MESH_API_NAME"}, "api": {"MCP_MESH_AGENT_NAME"}, "registry": set[str]()}
"""What one of the others is told: the runtime of an API service is that of an agent."""

PRINTED = "the code of the agent begins.*TLS mode"


@pytest.fixture(scope="module")
def begun(mesh: Mesh, pods: dict[str, Place]) -> dict[Variable | str, Place]:
    """For each variable who lacks it, and for each kind who lacks none."""
    given: dict[Variable | str, tuple[str, dict[str, Any]]] = {
        one: (WORKLOADS[one.of], changed(one)) for one in VARIABLES if one.of != "registry"
    }
    given |= {kind: (WORKLOADS[kind], {}) for kind in ("agent", "caller", "api")}
    # How long one pauses is seen where none starts beside it.
    alone = {one for one in given if isinstance(one, Variable) and one.fails == (expected.PAUSES,)}
    assert alone
    places: dict[Variable | str, Place] = {}
    for together in (given.keys() - alone, alone):
        waiting = {one: mesh.start(name, **change) for one, (name, change) in given.items() if one in together}
        places |= waiting
        # Who never will be, began before others that are.
        assert eventually(partial(all_are_there, mesh, waiting), 2 * START), list(waiting)
    return places


def all_are_there(mesh: Mesh, waiting: dict[Variable | str, Place]) -> bool:
    """Whether all that are waited for are there; who is, is no longer waited for."""
    for one in [one for one, place in waiting.items() if is_there(mesh, one, place)]:
        del waiting[one]
    return not waiting


def is_there(mesh: Mesh, one: Variable | str, place: Place) -> bool:
    """Whether it is ready and registered, as far as it ever is; not all at once are asked again and again."""
    time.sleep(0.1)
    if isinstance(one, Variable) and one.more:
        return "Starting agent '" in place.pod.output  # it may take any port
    never = set(one.fails) if isinstance(one, Variable) else set[str]()
    ready = expected.ANSWERS in never or place.probes()["readiness"] == "200"
    if not ready or not (expected.REGISTERED in never or row(mesh, place)):
        return False
    # Who calls others has heard of them.
    return place.name != "prices" or call(place)


def pause(output: str) -> float:
    """Seconds between the end of its code and the start of the mesh, as its log has them."""
    (loaded,) = re.findall(r"T([\d:.]+)Z.*TLS mode", output)[:1]
    (began,) = re.findall(r"T([\d:.]+)Z.*Starting agent '", output)[:1]
    form = "%H:%M:%S.%f"
    return (datetime.strptime(began, form) - datetime.strptime(loaded, form)).total_seconds()


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
    said = cache(lambda: written(mesh, place))
    agent = {
        expected.ANSWERS: lambda: call(place),
        expected.TRACED: lambda: '"function_name" "stock"' in said(),
        expected.CUT: lambda: '"MAXLEN" "~" "10000"' in said(),
        expected.IN_NAMESPACE: lambda: '"agent_namespace" "default"' in said(),
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
