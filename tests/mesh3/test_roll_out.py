"""This module is the roll-out from MCP Mesh 0.5.3 to 3 while people go on asking: agents of both beside each other.

The stores begin as they are rendered for 0.5, with the database of a registry 0.5.3. Then what is rendered for 3 takes
the place of one workload after the other, in the order of the page.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import requires
from mcpmesh_k8s import MeshRelease
from mesh3.people import People, stop_as_the_kubelet
from mesh3.stack import Mesh, Place
from mesh3.taken_over import taken_over
from mesh_harness import eventually
from processes import START

pytestmark = requires("postgresql", "redis", "mesh", "mesh3", "mesh_registry")


@pytest.fixture(scope="module")
def mesh(needs_mesh: Path, needs_mesh3: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mesh, None, None]:
    with taken_over(tmp_path_factory.mktemp("mesh"), needs_mesh3) as mesh:
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
