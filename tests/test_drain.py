"""This module is the drain of a mesh: every pod of its registry is told, and jobs that run are waited for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Availability,
    Compute,
    Mesh,
    MeshRelease,
    Phase,
    Registry,
    RegistrySettings,
    Replicas,
    images,
)
from mcpmesh_k8s.operations import Environment, Minikube
from mcpmesh_k8s.operations.cli import main
from test_operations import Result, Workplace
from test_operations import workplace as workplace  # a fixture

SMALL = Compute(cpu="100m", memory="128Mi")


class AdminPort(BaseHTTPRequestHandler):
    """What a pod of a registry serves on the port of its own: 8001 of 3.7.1, asked by GET, POST and DELETE."""

    draining = False
    jobs: list[int]
    """How many run, each time that it is asked; the last for ever."""
    asked: list[str]
    begins_anew_at = 0
    """Before which question it began anew, and forgot: never unless given."""
    says = ""
    """What it says in the place of an answer."""

    def answer(self) -> None:
        """Say it as the registry does."""
        kind = type(self)
        kind.asked.append(f"{self.command} {self.path}")
        if len(kind.asked) == kind.begins_anew_at:
            kind.draining = False
        kind.draining = {"GET": kind.draining, "POST": True, "DELETE": False}[self.command]
        jobs = kind.jobs.pop(0) if kind.jobs[1:] else kind.jobs[0]
        body = (kind.says or json.dumps({"draining": kind.draining, "live_claims": jobs})).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_DELETE(self) -> None:
        self.answer()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


Pods = Callable[..., Sequence[type[AdminPort]]]


@pytest.fixture
def pods(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Generator[Pods]:
    """Pods of the registry in the cluster, each behind a port that kubectl forwards."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    with ExitStack() as stack:

        def start(*jobs: Sequence[int]) -> Sequence[type[AdminPort]]:
            kinds = [type("OfPod", (AdminPort,), {"jobs": list(each), "asked": []}) for each in jobs]
            items: list[object] = [pod(f"registry-{number}") for number in range(len(jobs))]
            items += [pod("registry-ends", deletionTimestamp="2026-01-31T12:00:00Z"), pod("registry-waits", "Pending")]
            workplace.stand_ins.answer(
                "kubectl",
                r"get pods --selector=app.kubernetes.io/name in \(ai-interviewer-registry\) --output=json$",
                json.dumps({"items": items}),
            )
            for number, kind in enumerate(kinds):
                server = stack.enter_context(HTTPServer(("127.0.0.1", 0), kind))
                threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
                stack.callback(server.shutdown)
                line = f"Forwarding from 127.0.0.1:{server.server_address[1]} -> 8001\n"
                workplace.stand_ins.answer(
                    "kubectl", f"port-forward pod/registry-{number} :8001 --address=127.0.0.1", line, seconds=60
                )
            return kinds

        yield start


def pod(name: str, phase: str = "Running", **metadata: str) -> dict[str, object]:
    """A pod as kubectl gets it."""
    return {"metadata": {"name": name, **metadata}, "status": {"phase": phase}}


@pytest.fixture
def operate(workplace: Workplace, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command for an application with a registry, or with none."""

    def run(*arguments: str, release: MeshRelease | None = MeshRelease.V3) -> Result:
        def make() -> Application:
            mesh = Mesh(release=release or MeshRelease.V3)
            application = Application(ApplicationSettings(name="ai-interviewer", mesh=mesh), outdir=tmp_path / "dist")
            phase = Phase(application, "mesh")
            if release:
                several = Availability(scale=Replicas(count=2 if release is MeshRelease.V3 else 1))
                settings = RegistrySettings(image=images.REGISTRY, compute=SMALL, availability=several)
                Registry(phase, settings)
            return application

        capfd.readouterr()
        status = main("operate", [Environment(name="dev", cluster=Minikube(), make=make)], arguments)
        out, err = capfd.readouterr()
        return Result(status=status, out=out, err=err)

    return run


def test_every_pod_of_the_registry_is_told_and_jobs_that_run_are_waited_for(
    operate: Callable[..., Result], pods: Pods
) -> None:
    """Each remembers it for itself. They are reached by the port that no Service has."""
    first, second = pods([2, 2, 2, 1, 0], [2, 2, 2, 1, 0])
    result = operate("drain", "dev")
    assert result.status == 0, result.err
    for kind in (first, second):
        # Asked before and after it is told, for it counts before it takes no more.
        assert kind.asked[:3] == ["GET /admin/drain", "POST /admin/drain", "GET /admin/drain"]
        assert kind.asked[3:] == ["GET /admin/drain"] * 2
        assert kind.draining
    assert "registry-0 gives no job to anybody\nregistry-1 gives no job to anybody" in result.out
    assert "waiting for 2 jobs to end\nwaiting for 1 jobs to end\n" in result.out
    assert result.out.count("waiting for") == 2
    assert "No job runs, and none is begun: upgrade now." in result.out


def test_a_pod_that_began_anew_meanwhile_is_told_again(operate: Callable[..., Result], pods: Pods) -> None:
    (kind,) = pods([1, 1, 1, 1, 1, 0])
    kind.begins_anew_at = 4
    assert operate("drain", "dev").status == 0
    assert [question.partition(" ")[0] for question in kind.asked] == ["GET", "POST", "GET", "GET", "POST", "GET"]


def test_jobs_that_run_for_longer_go_on_and_the_registry_stays_drained(
    operate: Callable[..., Result], pods: Pods
) -> None:
    (kind,) = pods([3])
    result = operate("drain", "dev", "--seconds", "0")
    assert result.status == 1
    assert "3 jobs still run after 0 seconds. They go on, and no other is begun" in result.err
    assert kind.draining


def test_jobs_begin_again_once_that_is_said(operate: Callable[..., Result], pods: Pods) -> None:
    kinds = pods([0], [0])
    for kind in kinds:
        kind.draining = True
    result = operate("undrain", "dev")
    assert result.status == 0, result.err
    assert [kind.asked for kind in kinds] == [["DELETE /admin/drain"]] * 2
    assert result.out.count(" gives jobs again\n") == 2
    assert not any(kind.draining for kind in kinds)


def test_without_a_pod_of_the_registry_nothing_is_drained(operate: Callable[..., Result], pods: Pods) -> None:
    pods()
    result = operate("drain", "dev")
    assert result.status == 1
    assert "No pod of ai-interviewer-registry runs" in result.err


@pytest.mark.parametrize("command", ["drain", "undrain"])
@pytest.mark.parametrize(
    ("release", "said"),
    [(MeshRelease.V0_5, "is of MCP Mesh 0.5, which knows no jobs"), (None, "dev has no registry")],
)
def test_what_cannot_be_drained_is_refused_before_the_cluster_is_asked(
    operate: Callable[..., Result], workplace: Workplace, command: str, release: MeshRelease | None, said: str
) -> None:
    result = operate(command, "dev", release=release)
    assert result.status == 2
    assert said in result.err
    assert workplace.stand_ins.lines() == []


def test_an_answer_that_is_none_ends_it(operate: Callable[..., Result], pods: Pods) -> None:
    """Such as that of a registry whose admin port is another program's."""
    (kind,) = pods([0])
    kind.says = "ok"
    result = operate("drain", "dev")
    assert result.status == 1
    assert "registry-0 does not say whether it is drained: 'ok'" in result.err
