"""This module is the roll-out from MCP Mesh 0.5.3 to 3 while people go on asking: agents of both beside each other.

The stores begin as they are rendered for 0.5, with the database of a registry 0.5.3. Then what is rendered for 3 takes
the place of one workload after the other, in the order of the page.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from conftest import requires
from mcpmesh_k8s import MeshRelease
from mesh3.people import People, stop_as_the_kubelet
from mesh3.stack import Mesh, Place
from mesh_harness import eventually
from processes import START
from test_mesh_upgrade import load

pytestmark = requires("postgresql", "redis", "mesh", "mesh3", "mesh_registry")


@pytest.fixture(scope="module")
def mesh(needs_mesh: Path, needs_mesh3: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mesh, None, None]:
    """The stores as they were, and a registry of 3 that has taken their database over."""
    with ExitStack() as stack:
        mesh = Mesh(stack, tmp_path_factory.mktemp("mesh"), needs_mesh3, MeshRelease.V0_5)
        mesh.start_stores()
        load(mesh)
        mesh.begin_with(MeshRelease.V3, needs_mesh3)
        mesh.registry.leads_to(mesh.start_registry(reaches_agents=True).address)
        yield mesh


def healthy(mesh: Mesh) -> dict[str, str]:
    """Who is healthy, by the beginning of the name, and where others are told to find them."""
    return {one["id"].partition("-")[0]: one["endpoint"] for one in mesh.agents() if one["status"] == "healthy"}


def test_those_of_0_5_roll_to_3_whoever_is_asked_first_and_no_call_is_lost(
    mesh: Mesh, needs_mesh: Path, needs_mesh3: Path
) -> None:
    mesh.begin_with(MeshRelease.V0_5, needs_mesh)
    pods: dict[str, Place] = {name: mesh.start(name) for name in ("stock", "prices", "web")}
    for name, place in pods.items():
        mesh.service(name).leads_to(place.address)
    assert eventually(mesh.works, 2 * START), {name: place.pod.output for name, place in pods.items()}
    where = {name: f"http://ai-interviewer-{name}:{8080 if name == 'web' else 8090}" for name in pods}
    assert healthy(mesh) == where
    # What those of 0.5 write to the stream, the registry of 3 passes on.
    assert eventually(lambda: "stock" in {name for _, name, _ in mesh.traces()}, START), mesh.traces()

    def go_on(people: People, more: int) -> bool:
        until = len(people.answers) + more
        return eventually(lambda: len(people.answers) > until, START)

    with People(mesh) as people:
        assert go_on(people, 20), people.troubles
        mesh.begin_with(MeshRelease.V3, needs_mesh3)
        for name in ("stock", "prices", "web"):
            new = mesh.ready(name)
            mesh.service(name).leads_to(pods[name].address, new.address)
            # 0.5 cuts what is under way when it is told to stop: so it is told as late as in a cluster.
            stop_as_the_kubelet(mesh, pods[name], new, pace=1)
            pods[name] = new
            assert go_on(people, 40), people.troubles
    assert people.troubles == []
    assert all("7 apples" in answer for answer in people.answers), people.answers
    assert healthy(mesh) == where
    for place in pods.values():
        place.pod.terminate(10)


def test_one_of_3_cannot_call_one_of_0_5(mesh: Mesh, needs_mesh: Path, needs_mesh3: Path) -> None:
    """It says to which trace a call belongs among the arguments, which a tool of 0.5 refuses."""
    mesh.begin_with(MeshRelease.V0_5, needs_mesh)
    pods = {name: mesh.running(name) for name in ("stock", "prices", "web")}
    assert eventually(mesh.works, 2 * START), pods["web"].pod.output
    mesh.begin_with(MeshRelease.V3, needs_mesh3)
    web = mesh.ready("web")
    answer = web.ask("/price?item=apples", seconds=60)
    assert (answer.status, "Unexpected keyword argument" in answer.text) == (500, True), answer
    assert "_trace_id" in answer.text
    pods["web"].pod.terminate(10)


def test_one_of_0_5_cuts_what_is_under_way_when_it_is_told_to_stop(mesh: Mesh, needs_mesh: Path) -> None:
    """Its runtime takes SIGTERM from the server, and ends the process: so no grace period helps, only a later word."""
    mesh.begin_with(MeshRelease.V0_5, needs_mesh)
    pods = {name: mesh.running(name) for name in ("stock", "prices", "web")}
    assert eventually(mesh.works, 2 * START), pods["web"].pod.output
    with ThreadPoolExecutor() as people:
        call = people.submit(mesh.says, seconds=8)
        time.sleep(1)
        assert pods["web"].pod.terminate(6) == 0
        assert call.result().status != 200


@pytest.mark.parametrize("name", ["stock", "prices", "web"])
def test_one_of_0_5_is_not_told_to_stop_before_its_calls_have_ended(mesh: Mesh, needs_mesh: Path, name: str) -> None:
    """A call that outlasts the pause before it is answered, whoever of those that it goes through is stopped."""
    mesh.begin_with(MeshRelease.V0_5, needs_mesh)
    pods = {one: mesh.running(one) for one in ("stock", "prices", "web")}
    assert eventually(mesh.works, 2 * START), pods["web"].pod.output
    new = mesh.ready(name)
    with ThreadPoolExecutor() as people:
        call = people.submit(mesh.says, seconds=8)
        time.sleep(1)
        took = stop_as_the_kubelet(mesh, pods[name], new)
        # Not before it was answered, and no longer than that.
        assert 6 < took < 14, pods[name].pod.output
        assert call.result().status == 200, pods[name].pod.output
    assert mesh.says().status == 200
