"""This module is the proof of the smoke test: its program as it is rendered, on the real gateway and a real agent.

It runs on Python, asks the rendered gateway on nginx before stub services, and a stub of the registry; once, the
registry's stand-in with an agent on the real mesh runtime.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ai_interviewer import DEV, AiInterviewer
from conftest import Manifests, grid
from environments import EVERY
from gateway_harness import Answer, RunningGateway, StubUpstream, running_gateway
from mcpmesh_k8s import Agent, Phase, Redis, Registry
from mesh_harness import SECRETS, Loopback, Manifest, container_of, find, free_port, pod_environment
from processes import START
from test_mesh_runtime import check_registration, running_agent
from test_mesh_runtime import runtime as runtime  # a fixture

JOB = "ai-interviewer-smoke-test"
NAME = "smoke-test"
AGENTS = ("pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent")
GATEWAY = "ai-interviewer-nginx-gateway:80"
REGISTRY = "ai-interviewer-registry:8000"
SHORT = 2.0
"""Seconds that a test gives a smoke test that must fail: one round, and no second."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a smoke test ended, and what it printed."""

    code: int
    output: str
    seconds: float

    @property
    def table(self) -> dict[str, str]:
        """The last table: what is said of each check."""
        last = self.output.split("\nafter ")[-1].partition("\n")[2].partition("\n\n")[0]
        return {name.strip(): said.strip() for name, _, said in (line.partition("  ") for line in last.splitlines())}

    def __post_init__(self) -> None:
        object.__setattr__(self, "output", "\n" + self.output)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where the smoke test finds what it asks."""

    manifests: list[Manifest]
    gateway: int
    registry: int
    folder: Path
    changed: Mapping[str, str] = field(default_factory=dict[str, str])

    def start(self, **changed: str) -> subprocess.Popen[str]:
        """The Job's container, with its own command and files, but for addresses and what is changed."""
        job = find(self.manifests, "Job", JOB)
        spec = container_of(job, NAME)
        loopback = Loopback(services={GATEWAY: self.gateway, REGISTRY: self.registry})
        environment = pod_environment(job, NAME, secrets=SECRETS, loopback=loopback)
        assert changed.keys() <= environment.keys()
        (mount,) = spec["volumeMounts"]
        for name, text in find(self.manifests, "ConfigMap", JOB)["data"].items():
            (self.folder / name).write_text(text)
        program, *arguments = [word.replace(mount["mountPath"], str(self.folder)) for word in spec["command"]]
        assert program == "python"
        # -I: nothing but the standard library, as in an image that holds no package.
        command = [sys.executable, "-I", "-S", *arguments]
        return subprocess.Popen(
            command,
            env={**environment, **changed},
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def test(self, *, seconds: float = SHORT, **changed: str) -> Verdict:
        """The smoke test from its start to its end."""
        began = time.monotonic()
        with self.start(DEADLINE_SECONDS=str(seconds), **changed) as process:
            try:
                output, _ = process.communicate(timeout=seconds + START)
            finally:
                process.kill()
        return Verdict(code=process.returncode, output=output, seconds=time.monotonic() - began)


def listed(**statuses: str) -> Answer:
    """The registry's answer: agents by the start of their id, with ``_`` for ``-``."""
    agents = [
        {
            "id": f"{name.replace('_', '-')}-{index:08x}",
            "name": f"{name.replace('_', '-')}-{index:08x}",
            "agent_type": "mcp_agent",
            "status": status,
            "endpoint": "http://somewhere:8090",
            "capabilities": [],
            "total_dependencies": 0,
            "dependencies_resolved": 0,
        }
        for name, said in statuses.items()
        for index, status in enumerate(said.split())
    ]
    body = {"agents": agents, "count": len(agents), "timestamp": "2025-01-01T00:00:00Z"}
    return Answer(headers={"Content-Type": "application/json"}, body=json.dumps(body).encode())


HEALTHY = {name.replace("-", "_"): "healthy" for name in AGENTS}
WELL = {"gateway /health": "ok", "registry /agents": "ok", **{f"agent {name}": "ok" for name in AGENTS}}


# That of dev finds a real agent below.
@pytest.fixture(scope="module", params=grid(EVERY, short=["prod"]))
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def gateway(environment: str, manifests: Manifests, needs_nginx: Path) -> Iterator[RunningGateway]:
    with running_gateway(manifests(environment)) as running:
        yield running


@pytest.fixture
def cluster(environment: str, gateway: RunningGateway, manifests: Manifests, tmp_path: Path) -> Cluster:
    """Everything is well."""
    gateway.forget()
    registry = gateway.upstreams["registry"]
    registry.answer = lambda _: listed(**HEALTHY)
    return Cluster(
        manifests=list(manifests(environment)), gateway=gateway.port, registry=registry.port, folder=tmp_path
    )


def test_it_succeeds_at_once_when_all_is_well(cluster: Cluster, gateway: RunningGateway) -> None:
    verdict = cluster.test(seconds=60)
    assert verdict.code == 0, verdict.output
    assert verdict.table == WELL
    assert verdict.output.endswith("all is well\n")
    assert verdict.seconds < 10
    # Through the gateway and to the service behind it, as a public request of the gateway's own host.
    (request,) = gateway.upstreams["backend"].requests
    assert (request.method, request.target, request.headers["Host"]) == ("GET", "/health", gateway.host)
    assert "Authorization" not in request.headers
    assert [request.target for request in gateway.upstreams["registry"].requests] == ["/agents"]


def test_an_agent_that_is_missing_fails_it_by_name(cluster: Cluster, gateway: RunningGateway) -> None:
    known = {name: said for name, said in HEALTHY.items() if name != "claude_llm_agent"}
    gateway.upstreams["registry"].answer = lambda _: listed(**known, pdf="healthy", claude_llm="healthy")
    verdict = cluster.test()
    assert verdict.code == 1
    assert verdict.table == WELL | {"agent claude-llm-agent": "it is not registered"}
    assert verdict.output.endswith("failed: agent claude-llm-agent\n")


@pytest.mark.parametrize("status", ["unhealthy", "degraded", "offline", "unhealthy unhealthy"])
def test_an_agent_that_is_not_healthy_fails_it(cluster: Cluster, gateway: RunningGateway, status: str) -> None:
    gateway.upstreams["registry"].answer = lambda _: listed(**HEALTHY | {"interview_agent": status})
    verdict = cluster.test()
    assert verdict.code == 1
    assert verdict.table == WELL | {"agent interview-agent": f"it is {status.split()[0]}"}


def test_earlier_starts_of_an_agent_that_lives_do_no_harm(cluster: Cluster, gateway: RunningGateway) -> None:
    gateway.upstreams["registry"].answer = lambda _: listed(
        **HEALTHY | {"interview_agent": "unhealthy unhealthy healthy unhealthy"}
    )
    assert cluster.test().code == 0


def test_an_agent_whose_name_only_starts_alike_is_another(cluster: Cluster, gateway: RunningGateway) -> None:
    alike = {name: said for name, said in HEALTHY.items() if name != "interview_agent"}
    gateway.upstreams["registry"].answer = lambda _: listed(**alike, interview_agent_2="healthy")
    assert cluster.test().table["agent interview-agent"] == "it is not registered"


@pytest.mark.parametrize("status", [500, 503, 404, 204])
def test_a_service_behind_the_gateway_that_is_not_well_fails_it(
    cluster: Cluster, gateway: RunningGateway, status: int
) -> None:
    gateway.upstreams["backend"].answer = lambda _: Answer(status=status)
    verdict = cluster.test()
    assert verdict.code == 1
    assert verdict.table == WELL | {"gateway /health": f"it answered {status}"}


def test_a_gateway_that_is_down_fails_it(cluster: Cluster, gateway: RunningGateway) -> None:
    down = Cluster(manifests=cluster.manifests, gateway=free_port(), registry=cluster.registry, folder=cluster.folder)
    verdict = down.test()
    assert verdict.code == 1
    assert verdict.table["gateway /health"].startswith("no answer: ")
    assert verdict.table | {"gateway /health": "ok"} == WELL
    assert not gateway.upstreams["backend"].requests


def test_another_host_is_refused_by_the_gateway_and_so_by_the_test(cluster: Cluster) -> None:
    verdict = cluster.test(GATEWAY_HOST="other.example.com")
    assert (verdict.code, verdict.table["gateway /health"]) == (1, "it answered 421")


def test_in_production_a_plain_request_would_be_sent_to_https_which_it_does_not_follow(
    cluster: Cluster, gateway: RunningGateway
) -> None:
    in_production = "oauth2-proxy" in gateway.upstreams
    verdict = cluster.test(GATEWAY_SCHEME="http")
    assert verdict.code == int(in_production)
    assert verdict.table["gateway /health"] == ("it answered 308" if in_production else "ok")


def test_a_registry_that_is_down_fails_it_for_every_agent(cluster: Cluster) -> None:
    down = Cluster(manifests=cluster.manifests, gateway=cluster.gateway, registry=free_port(), folder=cluster.folder)
    verdict = down.test()
    assert verdict.code == 1
    assert verdict.table["registry /agents"].startswith("no answer: ")
    assert {said for name, said in verdict.table.items() if name.startswith("agent ")} == {"not known"}
    assert verdict.table["gateway /health"] == "ok"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(status=500), "it answered 500"),
        (Answer(status=0), "no answer: "),
        (Answer(body=b"<html>"), "its answer is no list of agents"),
        (Answer(body=b"[]"), "its answer is no list of agents"),
        (Answer(body=b'{"agents": 7}'), "its answer is no list of agents"),
        (Answer(body=b"\xff\xfe"), "its answer is no list of agents"),
    ],
    ids=["an error", "nothing", "a page", "a list", "a number", "bytes"],
)
def test_a_registry_that_answers_something_else_fails_it(
    cluster: Cluster, gateway: RunningGateway, answer: Answer, said: str
) -> None:
    gateway.upstreams["registry"].answer = lambda _: answer
    verdict = cluster.test()
    assert verdict.code == 1
    assert verdict.table["registry /agents"].startswith(said), verdict.output
    assert "Traceback" not in verdict.output


def test_a_registry_that_knows_nobody_says_null(cluster: Cluster, gateway: RunningGateway) -> None:
    """Its list of no agents is null, as Go writes it: what is missing is the agents, and not the registry."""
    gateway.upstreams["registry"].answer = lambda _: Answer(body=b'{"agents": null}')
    verdict = cluster.test()
    assert verdict.code == 1
    assert verdict.table["registry /agents"] == "ok"
    assert {said for name, said in verdict.table.items() if name.startswith("agent ")} == {"it is not registered"}


def test_entries_that_are_no_agents_are_left_out(cluster: Cluster, gateway: RunningGateway) -> None:
    body = json.loads(listed(**HEALTHY).body)
    body["agents"] += [None, 7, "pdf-extractor", {}, {"id": None, "status": "unhealthy"}]
    gateway.upstreams["registry"].answer = lambda _: Answer(body=json.dumps(body).encode())
    assert cluster.test().code == 0


@contextmanager
def silent() -> Generator[StubUpstream, None, None]:
    """A server that takes requests and never answers, until the test is over."""
    over = threading.Event()

    def wait(_: object) -> Answer:
        over.wait(60)
        return Answer(status=0)

    with StubUpstream("silent") as upstream:
        upstream.answer = wait
        try:
            yield upstream
        finally:
            over.set()


def test_what_never_answers_is_given_up_at_the_deadline(cluster: Cluster) -> None:
    with silent() as one, silent() as other:
        hanging = Cluster(manifests=cluster.manifests, gateway=one.port, registry=other.port, folder=cluster.folder)
        verdict = hanging.test(seconds=2)
    assert verdict.code == 1
    assert verdict.table["gateway /health"] == "no answer: timed out"
    assert verdict.table["registry /agents"] == "no answer: timed out"
    assert verdict.seconds < 2 + 2, "one answer may not take longer than all have"


def test_it_asks_again_until_all_is_well(cluster: Cluster, gateway: RunningGateway) -> None:
    registry, backend = gateway.upstreams["registry"], gateway.upstreams["backend"]
    registry.answer = lambda _: listed(**HEALTHY) if len(registry.requests) > 2 else listed()
    backend.answer = lambda _: Answer(status=503 if len(backend.requests) == 1 else 200)
    verdict = cluster.test(seconds=60)
    assert verdict.code == 0, verdict.output
    assert verdict.output.count("\nafter ") == 3, "a table for each change"
    assert len(registry.requests) == 3


def test_the_deadline_of_the_job_is_after_the_programs_own(manifests: Manifests) -> None:
    for environment in EVERY:
        job = find(manifests(environment), "Job", JOB)
        (said,) = (v["value"] for v in container_of(job, NAME)["env"] if v["name"] == "DEADLINE_SECONDS")
        # What the Job's deadline ends is deleted, with the reasons that it printed.
        assert int(said) + 120 <= job["spec"]["activeDeadlineSeconds"]
        assert job["spec"]["backoffLimit"] == 0
        assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never", "its log would go with the pod"


def test_it_asks_for_every_agent_that_is_deployed(manifests: Manifests) -> None:
    for environment in EVERY:
        rendered = manifests(environment)
        (said,) = (v["value"] for v in container_of(find(rendered, "Job", JOB), NAME)["env"] if v["name"] == "AGENTS")
        registered = [
            variable["value"]
            for manifest in rendered
            if manifest["kind"] == "Deployment"
            for container in manifest["spec"]["template"]["spec"]["containers"]  # type: ignore[index]
            for variable in container.get("env", [])
            if variable["name"] == "MCP_MESH_AGENT_NAME"
        ]
        assert said.split(",") == registered == list(AGENTS)


def test_it_asks_for_an_agent_that_was_made_after_it(tmp_path: Path) -> None:
    whole = AiInterviewer(DEV, outdir=tmp_path / "dev")
    (registry,), (redis,) = whole.find_all(Registry), whole.find_all(Redis)
    Agent(Phase(whole, "more"), replace(DEV.agents[0], name="late")).connects_to(registry, redis)
    rendered = [dict(manifest) for group in whole.manifests().values() for manifest in group]
    (said,) = (v["value"] for v in container_of(find(rendered, "Job", JOB), NAME)["env"] if v["name"] == "AGENTS")
    assert said.split(",") == [*AGENTS, "late"]


def test_a_real_agent_is_found_by_its_name(
    manifests: Manifests,
    runtime: Path,
    tmp_path: Path,
) -> None:
    name = AGENTS[0]
    with ExitStack() as stack:
        agent = stack.enter_context(running_agent(list(manifests("dev")), name, tmp_path / "agent", runtime))
        backend = stack.enter_context(StubUpstream("gateway"))
        folder = tmp_path / "test"
        folder.mkdir()
        cluster = Cluster(
            manifests=list(manifests("dev")), gateway=backend.port, registry=agent.registry.port, folder=folder
        )
        check_registration(agent, START)
        assert cluster.test(AGENTS=name).code == 0
        alone = cluster.test(AGENTS=f"{name},{AGENTS[1]}")
        assert (alone.code, alone.table[f"agent {AGENTS[1]}"]) == (1, "it is not registered")
        # An agent that leaves is told by the registry, and so by the test.
        assert agent.pod.terminate(START) == 0
        assert cluster.test(AGENTS=name).table[f"agent {name}"] == "it is not registered"
