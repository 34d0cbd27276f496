"""This module is the proof of who may stop or fail while people go on: replicas, and what rules a registry."""

from __future__ import annotations

import re
import time

import pytest

from conftest import requires
from mesh3.people import People, stop_as_the_kubelet
from mesh3.stack import ADMIN, Mesh, Place, ask
from mesh3.whole import mesh as mesh  # fixtures
from mesh3.whole import pods as pods
from mesh_harness import LOCALHOST, eventually
from policy_evaluator import Cluster, Host, namespaces_of, pods_of, policies_of
from policy_evaluator import Pod as Workload
from processes import START
from watching_harness import PREFIX

pytestmark = requires("postgresql", "redis", "mesh3", "mesh_registry")


_ON_A_CLOSED_CONNECTION = re.compile(r"HTTP call failed: (Server disconnected without sending a response\.)?['\"]")
"""What the runtime says of it: the end of the connection, or, without a word, its reset."""


def _calls(place: Place) -> list[int]:
    """How many calls it has begun, and how many it has ended."""
    return [place.pod.output.count(f"a call {what}") for what in ("begins", "ends")]


@pytest.mark.parametrize("name", ["stock", "prices", "web"])
def test_nobody_notices_that_one_of_two_pods_is_stopped(mesh: Mesh, pods: dict[str, Place], name: str) -> None:
    """But for a call that is sent on a kept connection while the pod closes it: the runtime does not send it again.

    The pod has not begun that one, and each caller has one under way.
    """
    before = pods[name]
    second = mesh.ready(name)
    mesh.service(name).leads_to(before.address, second.address)
    earlier = _calls(before)
    # Others must have heard of it, and have connections to both.
    with People(mesh) as people:
        assert eventually(lambda: len(people.answers) > 40, START), people.troubles
        stop_as_the_kubelet(mesh, before, second)
        asked = len(people.answers)
        assert eventually(lambda: len(people.answers) > asked + 40, START), people.troubles
        # Until each has told the registry once more that it is there, and has been told who else is.
        time.sleep(6)
    pods[name] = second
    assert [trouble for trouble in people.troubles if not _ON_A_CLOSED_CONNECTION.search(trouble)] == []
    assert len(people.troubles) <= people.count
    if name != "web":
        answered = sum(bool(re.search(rf"at {before.address}\b", answer)) for answer in people.answers)
        assert answered
        assert [now - then for now, then in zip(_calls(before), earlier, strict=True)] == [answered, answered]


def test_a_registry_of_two_is_killed_and_nobody_notices(mesh: Mesh, pods: dict[str, Place]) -> None:
    first, second = pods["registry"], mesh.start_registry(reaches_agents=True)
    mesh.registry.leads_to(first.address, second.address)
    assert eventually(lambda: second.ask("/agents").json()["agents"] is not None, START)
    with People(mesh) as people:
        time.sleep(6)
        first.pod.process.kill()
        first.pod.process.wait()
        # Until the kubelet has seen it, some connections are refused.
        time.sleep(3)
        mesh.registry.leads_to(second.address)
        pods["registry"] = second
        late = mesh.running("stock")
        # Longer than it takes to have one for dead who says nothing.
        time.sleep(25)
    assert people.troubles == []
    listed = second.ask("/agents").json()["agents"]
    assert {"stock", "prices", "web"} == {
        agent["id"].partition("-")[0] for agent in listed if agent["status"] == "healthy"
    }
    pods["stock"].pod.process.kill()
    pods["stock"] = late


def test_what_rules_a_registry_is_on_a_port_of_its_own_that_nobody_may_open(mesh: Mesh, pods: dict[str, Place]) -> None:
    registry = pods["registry"]
    asked = {("POST", "/admin/drain"), ("GET", "/admin/drain"), ("POST", "/admin/rotate"), ("GET", "/admin/entities")}
    assert {registry.ask(path, method=method).status for method, path in asked} == {404}
    assert ask(LOCALHOST, registry.admin, "/admin/drain", method="POST").json()["draining"] is True
    assert ask(LOCALHOST, registry.admin, "/admin/drain", method="DELETE").json()["draining"] is False

    rendered = {one["name"]: one.get("value") for one in registry.pod.spec["env"]}
    (port,) = (port["containerPort"] for port in registry.pod.spec["ports"])
    cluster = Cluster(namespaces=namespaces_of(mesh.manifests), policies=policies_of(mesh.manifests))
    everybody = pods_of(mesh.manifests)
    (itself,) = (pod for pod in everybody if pod.labels["app.kubernetes.io/name"] == f"{PREFIX}registry")
    outside = [Host(name="a node", ip="10.0.0.9"), Host(name="somebody", ip="203.0.113.9")]
    anyone: list[Workload | Host] = [*everybody, *outside]
    assert any(cluster.allows(one, itself, port) for one in everybody)
    assert not any(cluster.allows(one, itself, int(rendered[ADMIN])) for one in anyone)
