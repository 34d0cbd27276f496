"""This module is what forces the order and the pauses of a roll-out from MCP Mesh 0.5.3 to 3: what those of 0.5 do."""

from __future__ import annotations

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import requires
from mcpmesh_k8s import MeshRelease
from mesh3.people import stop_as_the_kubelet
from mesh3.stack import Mesh, Place
from mesh3.taken_over import taken_over
from mesh_harness import eventually
from processes import START

pytestmark = requires("postgresql", "redis", "mesh", "mesh3", "mesh_registry")


@pytest.fixture(scope="module")
def mesh(needs_mesh: Path, needs_mesh3: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mesh, None, None]:
    """What is started of it is of 0.5."""
    with taken_over(tmp_path_factory.mktemp("mesh"), needs_mesh3) as mesh:
        mesh.begin_with(MeshRelease.V0_5, needs_mesh)
        yield mesh


@pytest.fixture(scope="module")
def pods(mesh: Mesh) -> dict[str, Place]:
    """Who is led to, by the short names; a test that stops one puts another in its place."""
    return {name: mesh.running(name) for name in ("stock", "prices", "web")}


def test_one_of_3_cannot_call_one_of_0_5(
    mesh: Mesh, pods: dict[str, Place], needs_mesh: Path, needs_mesh3: Path
) -> None:
    """It says to which trace a call belongs among the arguments, which a tool of 0.5 refuses."""
    assert eventually(mesh.works, 2 * START), pods["web"].pod.output
    mesh.begin_with(MeshRelease.V3, needs_mesh3)
    web = mesh.ready("web")
    mesh.begin_with(MeshRelease.V0_5, needs_mesh)
    answer = web.ask("/price?item=apples", seconds=60)
    assert (answer.status, "Unexpected keyword argument" in answer.text) == (500, True), answer
    assert "_trace_id" in answer.text
    web.pod.terminate(10)


@pytest.mark.parametrize("name", ["stock", "prices", "web"])
def test_one_of_0_5_is_not_told_to_stop_before_its_calls_have_ended(
    mesh: Mesh, pods: dict[str, Place], name: str
) -> None:
    """A call that outlasts the pause before it is answered, whoever of those that it goes through is stopped."""
    assert eventually(mesh.works, 2 * START), pods["web"].pod.output
    old, new = pods[name], mesh.ready(name)
    with ThreadPoolExecutor() as people:
        call = people.submit(mesh.says, seconds=8)
        time.sleep(1)
        took = stop_as_the_kubelet(mesh, old, new)
        # Not before it was answered, and no longer than that.
        assert 6 < took < 14, old.pod.output
        assert call.result().status == 200, old.pod.output
    pods[name] = new
    assert mesh.says().status == 200


def test_one_of_0_5_cuts_what_is_under_way_when_it_is_told_to_stop(mesh: Mesh, pods: dict[str, Place]) -> None:
    """Its runtime takes SIGTERM from the server, and ends the process: so no grace period helps, only a later word."""
    assert eventually(mesh.works, 2 * START), pods["web"].pod.output
    with ThreadPoolExecutor() as people:
        call = people.submit(mesh.says, seconds=8)
        time.sleep(1)
        assert pods["web"].pod.terminate(6) == 0
        assert call.result().status != 200
    pods["web"] = mesh.running("web")
