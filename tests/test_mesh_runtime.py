"""This module is the proof that what we render runs: every agent on the real mcp-mesh, with a real Redis.

Each agent starts as its pod would, with the variables, command and probes of dist/dev and a sample package in
place of its code. It has a Redis of its own, rendered too, and a stand-in for the registry.
"""

import json
import shutil
import time
import urllib.request
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import Manifests, grid
from log_pipeline import Pipeline
from mesh_harness import (
    LOCALHOST,
    SECRETS,
    Loopback,
    Manifest,
    Pod,
    Secrets,
    StandInRegistry,
    container_of,
    eventually,
    expand,
    find,
    free_port,
    is_open,
    pod_environment,
    probe,
    start_pod,
)
from processes import REDIS, START, start_beside_redis, start_redis
from redis_client import redis_cli

SAMPLE = Path(__file__).parent / "mesh/agent_app/sample_agent"
AGENTS = {  # and the package that each one's image holds
    "pdf-extractor": "pdf_extractor_agent",
    "interview-agent": "interview_agent",
    "claude-llm-agent": "claude_llm_agent",
    "openai-llm-agent": "openai_llm_agent",
}
FIRST = "pdf-extractor"
STARTED = (FIRST, "interview-agent")
"""Those that are started unless all are: one for each user of Redis that agents have."""
each_agent = pytest.mark.parametrize("name", grid(AGENTS, short=STARTED))
PREFIX = "ai-interviewer-"
REGISTRY = f"{PREFIX}registry"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
PASSWORD = SECRETS[REDIS, "operator-password"]


@pytest.fixture(scope="module")
def dev(manifests: Manifests, needs_redis: Path) -> Sequence[Manifest]:
    """The manifests of dev, where there is a Redis to run them."""
    return manifests("dev")


@pytest.fixture(scope="module")
def runtime(needs_mesh: Path, needs_redis: Path) -> Path:
    """The folder of the Python that has mcp-mesh."""
    return needs_mesh


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A running agent, and the two servers that it needs."""

    pod: Pod
    service: Manifest
    registry: StandInRegistry
    redis_port: int

    @property
    def port(self) -> int:
        """The local port behind the Service."""
        port = self.service["spec"]["ports"][0]
        return self.pod.ports[port["targetPort"]]


def address(manifests: Sequence[Manifest], service: str) -> str:
    """Where clients in the cluster find a Service: ``host:port``."""
    port = find(manifests, "Service", service)["spec"]["ports"][0]
    return f"{service}:{port['port']}"


def start_agent(
    manifest: Manifest, name: str, root: Path, runtime: Path, loopback: Loopback, without: Collection[str] = ()
) -> Pod:
    """An agent, started as its manifest says, but for some variables."""
    environment = pod_environment(manifest, name, secrets=SECRETS, loopback=loopback, without=without)
    environment["PATH"] = f"{runtime}:{environment['PATH']}"
    shutil.copytree(SAMPLE, root / "app" / AGENTS[name], dirs_exist_ok=True)
    return start_pod(
        manifest, name, environment=environment, loopback=loopback, root=root / "app", entrypoint=["python"]
    )


@contextmanager
def running_agent(
    manifests: Sequence[Manifest], name: str, root: Path, runtime: Path, without: Collection[str] = ()
) -> Generator[Agent, None, None]:
    """An agent with servers of its own, started as its manifest says, but for some variables."""
    manifest = find(manifests, "Deployment", PREFIX + name)
    spec = container_of(manifest, name)
    with ExitStack() as stack:
        registry = stack.enter_context(StandInRegistry())
        redis_port = free_port()
        redis = stack.enter_context(start_redis(manifests, root / "redis", redis_port))
        assert eventually(lambda: is_open(redis_port), START), redis.output
        loopback = Loopback(
            services={address(manifests, REGISTRY): registry.port, address(manifests, REDIS): redis_port},
            ports={port["containerPort"]: free_port() for port in spec["ports"]},
        )
        pod = stack.enter_context(start_agent(manifest, name, root, runtime, loopback, without))
        service = find(manifests, "Service", PREFIX + name)
        yield Agent(pod=pod, service=service, registry=registry, redis_port=redis_port)


def registered(agent: Agent, seconds: float) -> Mapping[str, Any]:
    """What the registry was told of the agent."""
    assert eventually(lambda: bool(agent.registry.agents), seconds), agent.pod.output
    (told,) = agent.registry.agents.values()
    return told


def check_name(agent: Agent, seconds: float) -> None:
    """The agent is in the registry under its name."""
    assert registered(agent, seconds)["agent_id"].startswith(f"{agent.pod.name}-")


def check_host(agent: Agent, seconds: float) -> None:
    """It is there at the host of its Service."""
    assert registered(agent, seconds)["http_host"] == agent.service["metadata"]["name"]


def check_port(agent: Agent, seconds: float) -> None:
    """It is there at the port of its Service."""
    port = agent.service["spec"]["ports"][0]
    assert registered(agent, seconds)["http_port"] == agent.port == agent.pod.ports[port["port"]]


def check_registration(agent: Agent, seconds: float) -> None:
    """The agent is in the registry, under its name, at the host and the port of its Service."""
    for check in (check_name, check_host, check_port):
        check(agent, seconds)


def check_probes(agent: Agent, seconds: float) -> None:
    """Every probe of the manifest answers 200."""

    def answers() -> dict[str, str]:
        return {kind: probe(agent.pod.spec[kind], agent.pod) for kind in PROBES}

    assert eventually(lambda: set(answers().values()) == {"200"}, seconds), (answers(), agent.pod.output)


def call_tool(agent: Agent, text: str, seconds: float, **headers: str) -> None:
    """The agent's tool says what it is told, through POST /mcp."""
    call = {"name": "echo", "arguments": {"text": text}}
    request = urllib.request.Request(
        f"http://{LOCALHOST}:{agent.port}/mcp",
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).encode(),
        {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers},
    )
    with urllib.request.urlopen(request, timeout=max(seconds, 10)) as reply:
        assert text in reply.read().decode()


def check_traces(agent: Agent, seconds: float) -> None:
    """A tool called through POST /mcp leaves a trace in the agent's Redis."""
    call_tool(agent, "said through the mesh", seconds)
    traces = redis_cli(agent.redis_port, PASSWORD, "XRANGE", "mesh:trace", "-", "+")
    assert '"function_name","echo"' in traces, agent.pod.output


def check_departure(agent: Agent, seconds: float) -> None:
    """SIGTERM takes the agent out of the registry and ends it with 0."""
    known = list(agent.registry.agents)
    assert agent.pod.terminate(max(seconds, 10)) == 0, agent.pod.output
    assert agent.registry.departed == known != []


Check = Callable[[Agent, float], None]
CHECKS: tuple[Check, ...] = (check_name, check_host, check_port, check_probes, check_traces, check_departure)

# What no longer holds when a variable is missing from the manifest.
NEEDED: Mapping[str, set[Check]] = {
    "MCP_MESH_REGISTRY_URL": {check_name, check_host, check_port, check_departure},
    "MCP_MESH_AGENT_NAME": {check_name},
    "MCP_MESH_HTTP_HOST": {check_host},
    "MCP_MESH_HTTP_PORT": {check_port, check_probes, check_traces},
    "REDIS_URL": {check_traces},
    "MCP_MESH_DISTRIBUTED_TRACING_ENABLED": {check_traces},
}
# Variables that one agent lacks together, where no check fails for two of them: what fails says which is missing.
TOGETHER: Sequence[tuple[str, ...]] = (
    ("MCP_MESH_AGENT_NAME", "MCP_MESH_HTTP_HOST", "REDIS_URL"),
    ("MCP_MESH_REGISTRY_URL", "MCP_MESH_DISTRIBUTED_TRACING_ENABLED"),
    ("MCP_MESH_HTTP_PORT",),
)
LACKING = ["+".join(names) for names in TOGETHER]
TRIED = LACKING[:1]
"""Without which ones an agent is started unless all are tried: it takes two seconds of a processor to start."""


@pytest.fixture(scope="module")
def agents(
    dev: Sequence[Manifest], runtime: Path, tmp_path_factory: pytest.TempPathFactory, long: bool
) -> Iterator[Mapping[str, Agent]]:
    """Every agent by its name, and the first one without some variables by their names."""
    starts: dict[str, tuple[str, Collection[str]]] = {name: (name, ()) for name in (AGENTS if long else STARTED)}
    lacking = zip(LACKING, TOGETHER, strict=True)
    starts |= {key: (FIRST, names) for key, names in lacking if long or key in TRIED}
    with ExitStack() as stack:
        yield {
            key: stack.enter_context(running_agent(dev, name, tmp_path_factory.mktemp(key), runtime, without))
            for key, (name, without) in starts.items()
        }


@each_agent
def test_an_agent_registers_the_host_and_port_of_its_service(agents: Mapping[str, Agent], name: str) -> None:
    check_registration(agents[name], START)


@each_agent
def test_an_agent_answers_each_of_its_probes(agents: Mapping[str, Agent], name: str) -> None:
    check_probes(agents[name], START)


@each_agent
def test_a_tool_call_leaves_a_trace_in_redis(agents: Mapping[str, Agent], name: str) -> None:
    check_traces(agents[name], START)


@each_agent
def test_how_bad_each_line_of_its_log_is_can_be_read(
    agents: Mapping[str, Agent], dev: Sequence[Manifest], name: str
) -> None:
    check_registration(agents[name], START)
    lines = Pipeline.of(dev).read(name, name, agents[name].pod.output)
    for level, word in (("info", "INFO"), ("warn", "WARNING")):
        assert {line.level for line in lines if line.text.startswith(word)} == {level}, agents[name].pod.output
    # Some lines are printed, and not logged.
    assert sum(not line.level for line in lines) < len(lines) / 5, agents[name].pod.output


@each_agent
def test_the_password_that_an_agent_logs_is_not_stored(
    agents: Mapping[str, Agent], dev: Sequence[Manifest], name: str
) -> None:
    check_registration(agents[name], START)
    password = agents[name].pod.environment["REDIS_PASSWORD"]
    assert password in agents[name].pod.output
    stored = "\n".join(line.text for line in Pipeline.of(dev).read(name, name, agents[name].pod.output))
    assert password not in stored
    user = agents[name].pod.environment["REDIS_USERNAME"]
    assert f"redis://{user}:***@127.0.0.1:" in stored


@each_agent
def test_an_agent_remembers_sessions_and_shows_those_of_nobody(agents: Mapping[str, Agent], name: str) -> None:
    agent = agents[name]
    check_registration(agent, START)
    assert agent.pod.environment["REDIS_USERNAME"] == ("default" if name == "interview-agent" else "mesh")
    assert "Redis session storage connected" in agent.pod.output
    call_tool(agent, "once", START, **{"X-Session-ID": "mine"})
    assert redis_cli(agent.redis_port, PASSWORD, "KEYS", "session:mine*") != "[]\n", agent.pod.output
    with urllib.request.urlopen(f"http://{LOCALHOST}:{agent.port}/metadata", timeout=START) as reply:
        told = json.load(reply)
    assert told["session_affinity"]["total_sessions"] == 0
    assert "mine" not in json.dumps(told)
    assert "falling back to memory" not in agent.pod.output


@each_agent
def test_sigterm_takes_an_agent_out_of_the_registry(agents: Mapping[str, Agent], name: str) -> None:
    # It ends the agent that the tests above share, so it comes after them.
    check_departure(agents[name], START)


def test_each_variable_is_missing_once_and_no_check_fails_for_two() -> None:
    assert sorted(name for names in TOGETHER for name in names) == sorted(NEEDED)
    for names in TOGETHER:
        assert len(set[Check]().union(*(NEEDED[name] for name in names))) == sum(len(NEEDED[name]) for name in names)


@pytest.mark.parametrize("lacking", grid(LACKING, short=TRIED))
def test_without_a_variable_the_proof_fails(agents: Mapping[str, Agent], lacking: str) -> None:
    agent = agents[lacking]
    assert eventually(lambda: bool(agent.registry.agents) or is_open(agent.port), START), agent.pod.output
    failed = set[Check]()
    for check in CHECKS:
        try:
            check(agent, 0.5)
        except (AssertionError, OSError):
            failed.add(check)
    assert failed == set[Check]().union(*(NEEDED[name] for name in lacking.split("+")))


def test_redis_answers_its_probes_and_obeys_its_rules(dev: Sequence[Manifest], tmp_path: Path) -> None:
    port = free_port()
    with start_redis(dev, tmp_path, port) as redis:
        assert eventually(lambda: is_open(port), START), redis.output
        answers = {kind: probe(redis.spec[kind], redis) for kind in PROBES}
        assert set(answers.values()) <= {"open", "exit 0"}, answers
        assert "maxmemory_policy:noeviction" in redis_cli(port, PASSWORD, "INFO", "memory")
        assert "PONG" in redis_cli(port, PASSWORD, "PING")
        assert "WRONGPASS" in redis_cli(port, "wrong", "PING")
        assert "NOAUTH" in redis_cli(port, "", "PING")
        assert redis.terminate(10) == 0, redis.output


def test_an_agent_waits_until_redis_lets_it_in(dev: Sequence[Manifest], tmp_path: Path) -> None:
    port = free_port()
    loopback = Loopback(services={address(dev, REDIS): port})
    with ExitStack() as stack:

        def start(agent: str, folder: str, secrets: Secrets) -> Pod:
            manifest = find(dev, "Deployment", PREFIX + agent)
            root = tmp_path / folder
            return stack.enter_context(
                start_beside_redis(manifest, "wait-for-redis", root, port, loopback=loopback, secrets=secrets)
            )

        waiting = [start(agent, agent, SECRETS) for agent in AGENTS]
        locked_out = start(FIRST, "locked-out", {(REDIS, "mesh-password"): "wrong"})
        time.sleep(1)
        assert [pod.process.poll() for pod in waiting] == [None] * len(AGENTS)
        stack.enter_context(start_redis(dev, tmp_path / "redis", port))
        assert [pod.process.wait(START) for pod in waiting] == [0] * len(AGENTS)
        assert locked_out.process.poll() is None, locked_out.output


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("redis://:$(PASSWORD)@host", "redis://:secret@host"),
        ("$(UNKNOWN)/$(PASSWORD)", "$(UNKNOWN)/secret"),
        ("$$(PASSWORD)", "$(PASSWORD)"),
        ("$PASSWORD $(PASSWORD", "$PASSWORD $(PASSWORD"),
    ],
)
def test_variables_are_expanded_as_the_kubelet_does(text: str, expanded: str) -> None:
    assert expand(text, {"PASSWORD": "secret"}) == expanded


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("redis://:x@redis:6379/0", "redis://:x@127.0.0.1:40000/0"),
        ("redis", "127.0.0.1"),
        ("redis:6380", "redis:6380"),
        ("my-redis:6379", "my-redis:6379"),
        ("redis-2:6379", "redis-2:6379"),
    ],
)
def test_only_the_ports_of_a_service_become_local(address: str, local: str) -> None:
    assert Loopback(services={"redis:6379": 40000}).address(address) == local
