"""This module is the proof of who may stop or fail while people go on: replicas, jobs, and what rules them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import requires
from failures.kubelet import Container, Program
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Compute,
    Phase,
    Registry,
    RegistrySettings,
    images,
)
from mcpmesh_k8s.operations import Environment, Minikube, drain
from mcpmesh_k8s.operations.programs import Kubectl, OperationError
from mesh3.application import NAME
from mesh3.people import PACE, People, stop_as_the_kubelet
from mesh3.stack import ADMIN, Mesh, Place, ask
from mesh_harness import LOCALHOST, Pod, eventually
from policy_evaluator import Cluster, Host, namespaces_of, pods_of, policies_of
from policy_evaluator import Pod as Workload
from processes import START
from watching_harness import PREFIX

pytestmark = requires("postgresql", "redis", "mesh3", "mesh_registry")


@pytest.fixture(scope="module")
def mesh(needs_mesh3: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mesh, None, None]:
    with ExitStack() as stack:
        yield Mesh(stack, tmp_path_factory.mktemp("mesh"), needs_mesh3)


@pytest.fixture(scope="module")
def pods(mesh: Mesh) -> dict[str, Place]:
    return mesh.whole()


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


@pytest.mark.parametrize("reaches", [True, False], ids=["it may call agents", "it may not"])
def test_cancel_reaches_a_job(mesh: Mesh, pods: dict[str, Place], reaches: bool) -> None:
    """At once where the registry may call agents; else never: what the agent tells of it is refused, and it goes on."""
    registry = pods["registry"] if reaches else mesh.start_registry()
    mesh.registry.leads_to(registry.address)
    told = {"capability": "count", "submitted_payload": {"item": "apples"}, "submitted_by": "people"}
    worker = pods["stock"]
    before = worker.pod.output.count("counting begins")
    job = registry.ask("/jobs", told).json()["id"]
    # It asks for work every five seconds.
    assert eventually(lambda: worker.pod.output.count("counting begins") > before, START), worker.pod.output
    stopped = worker.pod.output.count("counting was cancelled")
    answer = registry.ask(f"/jobs/{job}/cancel", {"reason": "enough"})
    assert (answer.status, answer.json()["status"]) == (200, "cancelled")
    if reaches:
        assert eventually(lambda: worker.pod.output.count("counting was cancelled") > stopped, 5), worker.pod.output
    else:
        assert eventually(lambda: worker.pod.output.count("rejected deltas") > 1, START), worker.pod.output
        assert worker.pod.output.count("counting was cancelled") == stopped
    assert registry.ask(f"/jobs/{job}").json()["status"] == "cancelled"
    mesh.registry.leads_to(pods["registry"].address)


@dataclass(frozen=True, kw_only=True)
class Forwarding(Kubectl):
    """A kubectl for one pod of the registry, the port of which leads to this one.

    Args:
        port: The port.
    """

    port: int

    def output(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """The pod."""
        return json.dumps({"items": [{"metadata": {"name": "registry-0"}, "status": {"phase": "Running"}}]})

    @contextmanager
    def forwarded(self, target: str, port: int) -> Generator[int]:
        """Where it is."""
        assert (target, port) == ("pod/registry-0", 8001)
        yield self.port


def test_a_drain_is_over_when_jobs_are_and_none_is_begun_until_it_is_undone(
    mesh: Mesh, pods: dict[str, Place], tmp_path: Path
) -> None:
    registry, worker = pods["registry"], pods["stock"]
    kubectl = Forwarding(context="", namespace="", port=registry.admin)

    def make() -> Application:
        application = Application(ApplicationSettings(name=NAME), outdir=tmp_path / "dist")
        settings = RegistrySettings(image=images.REGISTRY, compute=Compute(cpu="100m", memory="64Mi"))
        Registry(Phase(application, "mesh"), settings)
        return application

    environment = Environment(name="dev", cluster=Minikube(), make=make)
    told = {"capability": "count", "submitted_payload": {"item": "apples"}, "submitted_by": "people"}

    def begun() -> int:
        return worker.pod.output.count("counting begins")

    before = begun()
    job = registry.ask("/jobs", told).json()["id"]
    assert eventually(lambda: begun() == before + 1, START), worker.pod.output
    with pytest.raises(OperationError, match="1 jobs still run after 1 seconds"):
        drain.drain(environment, kubectl, 1, 0.2)
    second = registry.ask("/jobs", told).json()["id"]
    assert registry.ask(f"/jobs/{job}/cancel", {}).status == 200
    drain.drain(environment, kubectl, 10, 0.2)
    # It asks for work every five seconds.
    time.sleep(6)
    assert begun() == before + 1, "the second is not begun"
    drain.undrain(environment, kubectl)
    assert eventually(lambda: begun() == before + 2, START), worker.pod.output
    assert registry.ask(f"/jobs/{second}/cancel", {}).status == 200


def test_a_stop_waits_for_a_call_and_for_no_job(mesh: Mesh, pods: dict[str, Place]) -> None:
    """What is left undone nobody does until its lease has ended: so a pod with jobs is to be told later, or drained."""
    worker = pods["stock"]
    before = worker.pod.output.count("counting begins")
    told = {"capability": "count", "submitted_payload": {"item": "apples"}, "submitted_by": "people"}
    job = pods["registry"].ask("/jobs", told).json()["id"]
    assert eventually(lambda: worker.pod.output.count("counting begins") > before, START), worker.pod.output
    with ThreadPoolExecutor() as people:
        call = people.submit(mesh.says, seconds=4)
        time.sleep(1)
        began = time.monotonic()
        assert worker.pod.terminate(START) is not None
        took = time.monotonic() - began
        assert call.result().status == 200
    assert 1 < took < 15, "as long as the call, and no longer: its grace is far longer, and a job takes a minute"
    assert "counting was cancelled" not in worker.pod.output.rpartition("counting begins")[2]
    left = pods["registry"].ask(f"/jobs/{job}").json()
    assert (left["status"], left["lease_expires_at"] > time.time() + 60) == ("working", True)
    pods["stock"] = mesh.running("stock")


def test_one_whose_check_of_a_start_fails_is_never_ready_and_is_started_again(
    mesh: Mesh, pods: dict[str, Place]
) -> None:
    """The registry lists it all the same: whoever is one of several is not asked, for no Service leads there."""
    places = list[Place]()

    def begin() -> Pod:
        places.append(mesh.start("stock", variables={"CONFIGURED": "no"}))
        return places[0].pod

    container = Container(Program(manifest=mesh.manifest("stock"), container="stock", begin=begin), PACE)
    mesh.stack.callback(container.close)
    container.start()
    assert eventually(lambda: container.begun and places[0].probes()["readiness"] == "200", START)
    assert eventually(lambda: bool(container.restarts), 130 / PACE + START)
    assert container.restarts[0].why == "startupProbe"
    assert not container.ready
    container.close()
    assert container.trouble is None
