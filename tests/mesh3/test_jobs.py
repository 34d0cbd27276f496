"""This module is the proof of what becomes of jobs and calls when somebody stops: a job, a registry, a pod, a start."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
from mesh3.people import PACE
from mesh3.stack import Mesh, Place
from mesh3.whole import mesh as mesh  # fixtures
from mesh3.whole import pods as pods
from mesh_harness import Pod, eventually
from processes import START

pytestmark = requires("postgresql", "redis", "mesh3", "mesh_registry")


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
