"""The health verification tells a healthy application from a sick one, through the real gateway."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ai_interviewer import DEV, PROD
from ai_interviewer.__main__ import operated
from conftest import ROOT, Manifests, requires
from gateway_harness import Answer, RunningGateway, running_gateway
from mcpmesh_k8s.operations import health
from mcpmesh_k8s.operations.answers import Finding
from mcpmesh_k8s.operations.programs import Kubectl, OperationError
from mesh_harness import eventually, is_open
from processes import START
from stand_ins import StandIns
from test_mesh_runtime import running_agent
from test_mesh_runtime import runtime as runtime  # a fixture

AGENTS = ("pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent")
KUBECTL = Kubectl(context="minikube", namespace="ai-interviewer")
RUNNING = {"metadata": {"name": "backend-1"}, "status": {"phase": "Running"}}
TOOLS = {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "extract"}, {"name": "analyze"}]}}

Verify = Callable[[], tuple[bool, dict[str, str]]]


def listed(*agents: tuple[str, str]) -> Answer:
    """What the registry answers to ``GET /agents``."""
    rows = [{"id": f"{name}-1", "name": name, "status": state} for name, state in agents]
    return Answer(body=json.dumps({"agents": rows, "count": len(rows)}).encode())


@pytest.fixture(scope="module")
def started(manifests: Manifests, needs_nginx: Path) -> Generator[RunningGateway]:
    """The gateway of dev."""
    with running_gateway(manifests("dev")) as gateway:
        yield gateway


@pytest.fixture
def gateway(started: RunningGateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunningGateway:
    """The gateway, with a healthy application behind it and a kubectl that knows one running pod."""
    started.forget()
    event = f"event: message\r\ndata: {json.dumps(TOOLS)}\r\n\r\n"
    for name in AGENTS:
        started.upstreams[name].answer = lambda _: Answer(
            headers={"Content-Type": "text/event-stream"}, body=event.encode()
        )
    started.upstreams["registry"].answer = lambda _: listed(*((name, "healthy") for name in AGENTS))
    programs = StandIns(tmp_path / "bin", "kubectl")
    programs.answer("kubectl", "get pods --output=json", json.dumps({"items": [RUNNING]}))
    monkeypatch.setenv("PATH", str(programs.folder))
    monkeypatch.chdir(ROOT)
    return started


def all_passed(findings: Sequence[Finding]) -> bool:
    """Whether all passed, after they were shown as the command does."""
    health.show_findings(findings)
    return all(finding.passed for finding in findings)


def rows(text: str) -> dict[str, str]:
    """The table that was shown: each check, and what stands beside it."""
    lines = text.splitlines()[2:-1]
    return {line[: line.index("  ")]: " ".join(line[line.index("  ") :].split()) for line in lines}


@pytest.fixture
def verify(gateway: RunningGateway, capsys: pytest.CaptureFixture[str]) -> Verify:
    """``make k8s-test-health`` by the gateway's own address."""

    def run() -> tuple[bool, dict[str, str]]:
        well = all_passed(health.health_of(operated(DEV), KUBECTL, f"127.0.0.1:{gateway.port}"))
        return well, rows(capsys.readouterr().out)

    return run


def test_a_healthy_application_passes(verify: Verify, gateway: RunningGateway) -> None:
    passed, table = verify()
    assert passed
    assert table == {
        "nginx-gateway": "ok http://ai-interviewer.local/health answers 200",
        "pods": "ok 1 in order",
        **{f"registry lists {name}": "ok healthy" for name in AGENTS},
    }
    assert [request.target for request in gateway.arrived["backend"]] == ["/health"]
    assert [request.target for request in gateway.arrived["registry"]] == ["/agents"]


def test_a_backend_that_is_not_well_fails(verify: Verify, gateway: RunningGateway) -> None:
    gateway.upstreams["backend"].answer = lambda _: Answer(status=503, body=b"redis is away")
    passed, table = verify()
    assert not passed
    assert table["nginx-gateway"].startswith("FAILED http://ai-interviewer.local/health answers 503")


@pytest.mark.parametrize(
    ("state", "found"),
    [("unhealthy", "FAILED unhealthy"), (None, "FAILED not listed"), ("degraded", "FAILED degraded")],
)
def test_an_agent_that_is_not_healthy_fails(
    verify: Verify, gateway: RunningGateway, state: str | None, found: str
) -> None:
    others = [(name, "healthy") for name in AGENTS if name != "pdf-extractor"]
    sick = [("pdf-extractor", state)] if state else []
    gateway.upstreams["registry"].answer = lambda _: listed(*others, *sick)
    passed, table = verify()
    assert not passed
    assert table["registry lists pdf-extractor"] == found
    assert table["registry lists interview-agent"] == "ok healthy"


def test_the_row_that_a_restart_left_behind_does_not_count(verify: Verify, gateway: RunningGateway) -> None:
    both = [(name, state) for name in AGENTS for state in ("healthy", "unhealthy")]
    gateway.upstreams["registry"].answer = lambda _: listed(*both)
    assert verify()[0]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"agents": null}'])
def test_a_registry_that_talks_nonsense_fails(verify: Verify, gateway: RunningGateway, body: bytes) -> None:
    gateway.upstreams["registry"].answer = lambda _: Answer(body=body)
    assert not verify()[0]


def test_a_gateway_that_is_away_fails_with_its_address(
    gateway: RunningGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_address[1]
    assert not all_passed(health.health_of(operated(DEV), KUBECTL, f"127.0.0.1:{port}"))
    table = rows(capsys.readouterr().out)
    assert table["nginx-gateway"].startswith("FAILED http://ai-interviewer.local/health gives no answer: [Errno 111]")


def test_a_host_without_an_address_is_told_with_the_way_to_one() -> None:
    with pytest.raises(OperationError, match=r"ai-interviewer\.invalid has no address here: make k8s-ingress-hosts"):
        health.ask("http://ai-interviewer.invalid/health")


def test_a_gateway_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.3)
    with (
        HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent,
        pytest.raises(OperationError, match="gives no answer: timed out"),
    ):
        health.ask("http://shop.local/health", address=f"127.0.0.1:{silent.server_address[1]}")


def test_of_3_an_agent_is_known_by_the_name_that_it_was_given_whatever_its_code_says() -> None:
    """The id has eight digits behind that, and another for each start. Names that only begin so are others'."""
    agents = [
        {"id": "planner-0a1b2c3d", "name": "The planner", "status": "healthy"},
        {"id": "planner-for-two-4e5f6a7b", "name": "planner-for-two", "status": "unhealthy"},
    ]
    assert health.parse_agents(json.dumps({"agents": agents})) == [
        ("The planner", "healthy"),
        ("planner", "healthy"),
        ("planner-for-two", "unhealthy"),
    ]
    # Where there is none, a registry of 3.x says null.
    assert health.parse_agents('{"agents": null}') == []


def test_each_agent_names_its_tools_through_its_own_route(
    gateway: RunningGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    assert all_passed(health.tools_of_agents(operated(DEV), KUBECTL, f"127.0.0.1:{gateway.port}"))
    assert rows(capsys.readouterr().out) == dict.fromkeys(AGENTS, "ok analyze, extract")
    for name in AGENTS:
        (request,) = gateway.arrived[name]
        assert (request.method, request.target) == ("POST", "/mcp")
        assert json.loads(request.body) == {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Answer(body=json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601}}).encode()), "It names no tool"),
        (Answer(body=b'{"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}'), "It names no tool"),
        (Answer(body=b"nonsense"), "The answer is no JSON-RPC"),
        (Answer(status=406, body=b"Not Acceptable"), "answers 406"),
        (Answer(status=0), "answers 502"),
    ],
)
def test_an_agent_without_tools_fails(
    gateway: RunningGateway, capsys: pytest.CaptureFixture[str], answer: Answer, found: str
) -> None:
    gateway.upstreams["interview-agent"].answer = lambda _: answer
    assert not all_passed(health.tools_of_agents(operated(DEV), KUBECTL, f"127.0.0.1:{gateway.port}"))
    table = rows(capsys.readouterr().out)
    assert table["interview-agent"].startswith("FAILED")
    assert found in table["interview-agent"]
    assert table["pdf-extractor"] == "ok analyze, extract"


class Forwarded(BaseHTTPRequestHandler):
    """A service at the other end of ``kubectl port-forward``."""

    def do_GET(self) -> None:
        self.reply(listed(*((name, "healthy") for name in AGENTS)).body)

    def do_POST(self) -> None:
        self.reply(json.dumps(TOOLS).encode())

    def reply(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def forwarding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[StandIns]:
    """A kubectl that forwards every port to one service."""
    with HTTPServer(("127.0.0.1", 0), Forwarded) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        programs = StandIns(tmp_path / "bin", "kubectl")
        line = f"Forwarding from 127.0.0.1:{server.server_address[1]} -> 8000\n"
        programs.answer("kubectl", " port-forward ", line, seconds=60)
        monkeypatch.setenv("PATH", str(programs.folder))
        monkeypatch.chdir(ROOT)
        yield programs
        server.shutdown()


def test_in_production_registry_and_agents_are_reached_through_kubectl(
    forwarding: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gateway of production has no route to them."""
    assert all_passed(health.tools_of_agents(operated(PROD), KUBECTL, ""))
    assert all(finding.passed for finding in health.registry_lists(operated(PROD), KUBECTL, ""))
    assert [line.partition("port-forward ")[2] for line in forwarding.lines()] == [
        *(f"service/ai-interviewer-{name} :8090 --address=127.0.0.1" for name in AGENTS),
        "service/ai-interviewer-registry :8000 --address=127.0.0.1",
    ]


def test_a_forward_that_is_refused_fails_with_kubectls_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = StandIns(tmp_path / "bin", "kubectl")
    programs.answer("kubectl", " port-forward ", stderr="error: services is forbidden\n", status=1)
    monkeypatch.setenv("PATH", str(programs.folder))
    monkeypatch.chdir(ROOT)
    assert not all_passed(health.tools_of_agents(operated(PROD), KUBECTL, ""))
    assert (
        "No port is forwarded to service/ai-interviewer-pdf-extractor: error: services is forbidden"
        in capsys.readouterr().out
    )


@requires("nginx")
def test_an_agent_on_the_real_runtime_names_its_tools_through_the_real_gateway(
    manifests: Manifests, runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    environment = operated(DEV)
    (name, *_) = AGENTS
    (workload,) = (agent for agent in environment.agents if agent.name == name)
    with running_agent(list(manifests("dev")), name, tmp_path, runtime) as agent:
        assert eventually(lambda: is_open(agent.port), START), agent.pod.output
        with running_gateway(manifests("dev"), real={name: agent.port}) as gateway:
            address = f"127.0.0.1:{gateway.port}"
            assert health.tools_of(environment, KUBECTL, workload, address) == "echo"
            assert gateway.arrived == {}, "a stub answered"
