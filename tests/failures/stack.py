"""This module is the application on loopback under a kubelet: real programs as rendered, which end and hang at will."""

from __future__ import annotations

import json
import signal
import urllib.request
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from drill.stack import ALL_SECRETS, Programs, local_ports
from failures.kubelet import Container, Program
from gateway_harness import LOGIN, RunningGateway, running_gateway
from mcpmesh_k8s.services.redis import STREAM
from mesh_harness import (
    LOCALHOST,
    SECRETS,
    Loopback,
    Manifest,
    Pod,
    eventually,
    find,
    pod_environment,
    start_pod,
)
from processes import REDIS, Account, start_beside_redis
from redis_client import redis_cli
from test_login_runtime import ALICE, Browser, Provided, Way, provider
from test_mesh_runtime import AGENTS
from watching_harness import PREFIX

GATEWAY = "nginx-gateway"
SIDECARS = {"trim-traces": "redis", "exporter of redis": "redis", "exporter of postgres": "postgres"}
"""Containers beside those of a workload. Each is started again alone, and what is beside it runs on."""
SAMPLE = Path(__file__).parents[1] / "mesh/backend_app"
PATIENCE = 2.0
"""Seconds that a caller waits for an answer here."""

READS = 60.0
"""Seconds until a registry has read what is there: after an outage of Redis it takes its time to ask again."""

CLOCKS = {  # what else counts seconds, and what it counts by itself
    "MCP_MESH_HEALTH_INTERVAL": 5,
    "HEALTH_CHECK_INTERVAL": 10,
    "DEFAULT_TIMEOUT_THRESHOLD": 20,
}


def hurried(manifests: Sequence[Manifest], pace: float) -> list[Manifest]:
    """The manifests, where agents and registry count their seconds as fast as the kubelet does."""
    hurrying = deepcopy(list(manifests))
    for manifest in hurrying:
        if manifest["kind"] == "Deployment":
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                if container["name"] in ("registry", *AGENTS):
                    told = CLOCKS | {
                        one["name"]: int(one["value"]) for one in container["env"] if one["name"] in CLOCKS
                    }
                    container["env"] = [
                        *(one for one in container["env"] if one["name"] not in CLOCKS),
                        *({"name": name, "value": str(max(round(of / pace), 1))} for name, of in told.items()),
                    ]
    return hurrying


def ask(port: int, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> str:
    """The body of a good answer, or else nothing."""
    request = urllib.request.Request(f"http://{LOCALHOST}:{port}{path}", body or None, dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return str(answer.read().decode())
    except (OSError, HTTPException):
        return ""


@dataclass(frozen=True, kw_only=True)
class Running:
    """The application, and who looks after it.

    Args:
        containers: By the name of the workload.
        programs: How each is started.
        gateway: The gateway, when it has been started.
        cookie: That of somebody who has signed in.
        asking: Where questions are asked beside each other.
    """

    containers: Mapping[str, Container]
    programs: Programs
    gateway: RunningGateway
    cookie: str
    asking: ThreadPoolExecutor

    def get(self, target: str, seconds: float = PATIENCE) -> int:
        """The status that somebody gets who has signed in, and whom the gateway does not remember; else 0."""
        connection = HTTPConnection(LOCALHOST, self.gateway.port, timeout=seconds)
        cookie = f"__Host-login={self.cookie}; visit={uuid.uuid4().hex}"
        headers = {"Host": self.gateway.host, "X-Forwarded-Proto": "https", "Cookie": cookie}
        try:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()

    def calls(self, agent: str) -> bool:
        """Whether an agent does what it is called for."""
        call = {"name": "echo", "arguments": {"text": "said"}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        return "said" in ask(self.programs.pods[agent, 8090], "/mcp", json.dumps(body).encode(), headers)

    def agents(self) -> dict[str, str]:
        """What the registry says of each agent, by the name, and of its last start."""
        said = ask(self.programs.pods["registry", 8000], "/agents")
        listed = (json.loads(said)["agents"] if said else []) or []
        found: dict[str, str] = {}
        for agent in listed:
            name = agent["id"].rpartition("-")[0]
            if found.get(name) != "healthy":
                found[name] = agent["status"]
        return found

    def redis(self, *command: str) -> str:
        """What Redis says to a command."""
        try:
            return redis_cli(self.programs.pods["redis", 6379], SECRETS[REDIS, "operator-password"], *command)
        except OSError:
            return ""

    def works(self) -> dict[str, bool]:
        """What works, each as somebody sees who uses it."""
        questions: dict[str, Callable[[], bool]] = {
            "the gateway": lambda: self.get("/api/interviews") == 200,
            "the mesh": lambda: {name: self.agents().get(name) for name in AGENTS} == dict.fromkeys(AGENTS, "healthy"),
            **{name: partial(self.calls, name) for name in AGENTS},
        }
        asked = {name: self.asking.submit(question) for name, question in questions.items()}
        return {name: answer.result() for name, answer in asked.items()}

    def untraced(self) -> set[str]:
        """Whose calls leave no trace, and whether the registry has not read those that are there."""
        silent = {name for name in AGENTS if not self.is_traced(name)}
        if not eventually(lambda: self.last_trace() == self.read_trace(), READS):
            silent.add("registry")
        return silent

    def is_traced(self, agent: str) -> bool:
        """Whether a call of an agent leaves a trace."""
        before = self.last_trace()
        assert self.calls(agent), agent
        return eventually(lambda: self.last_trace() != before, PATIENCE)

    def last_trace(self) -> str:
        """The last entry of the stream."""
        return str(json.loads(self.redis("XINFO", "STREAM", STREAM))["last-generated-id"])

    def read_trace(self) -> str:
        """The last entry that the registry has been given."""
        (group,) = json.loads(self.redis("XINFO", "GROUPS", STREAM))
        return str(group["last-delivered-id"])

    def well(self) -> bool:
        """Whether all works, and everything is ready."""
        return all(one.ready for one in self.containers.values()) and all(self.works().values())


def signed_in(gateway: RunningGateway, login: Pod, provided: Provided) -> str:
    """The cookie of somebody who has signed in."""
    browser = Browser(way=Way(gateways=(gateway,), logins=(login,), provider=provided))
    assert browser.sign_in(ALICE).status == 302
    return browser.cookies["__Host-login"]


class Kubelet:
    """It, and the programs that it is to run, before any of them runs.

    Attributes:
        containers: By the name of the workload.
    """

    def __init__(
        self, stack: ExitStack, manifests: Sequence[Manifest], folder: Path, runtime: Path, pace: float
    ) -> None:
        manifests = hurried(manifests, pace)
        self.stack = stack
        account = Account.unprivileged()
        pods = local_ports(manifests)
        services = {
            f"{PREFIX}{name}:{number}": pods[name, number]
            for name, number in (("redis", 6379), ("postgres", 5432), ("registry", 8000), ("tempo", 4317))
        }
        self.programs = Programs(
            manifests=manifests,
            folder=folder,
            keep=stack.enter_context(account.folder(of_data=True)),
            runtime=runtime,
            account=account,
            pods=pods,
            services=services,
        )
        self.provided = stack.enter_context(provider(folder))
        self.gateways: list[RunningGateway] = []
        entered = stack.enter_context
        begins: dict[str, Callable[[], Pod]] = {
            "postgres": lambda: entered(self.programs.postgres()),
            "redis": lambda: entered(self.programs.redis()),
            "registry": lambda: entered(self.programs.registry()),
            **{name: partial(lambda name: entered(self.programs.agent(name)), name) for name in AGENTS},
            "backend": lambda: entered(self._backend()),
            LOGIN: lambda: entered(self.programs.login(self.provided)),
            GATEWAY: lambda: entered(self._gateway()),
            "trim-traces": lambda: entered(self._trimmer()),
            "exporter of redis": lambda: entered(self.programs.exporter("redis")),
            "exporter of postgres": lambda: entered(self.programs.exporter("postgres")),
        }
        signals = {"postgres": signal.SIGINT, GATEWAY: signal.SIGQUIT}
        self.containers = {
            name: Container(
                Program(
                    manifest=self._manifest(name),
                    container=name.partition(" ")[0],
                    begin=begin,
                    inits=self._inits(name),
                    stop=signals.get(name, signal.SIGTERM),
                ),
                pace,
            )
            for name, begin in begins.items()
        }
        for container in self.containers.values():
            stack.callback(container.close)

    def _manifest(self, name: str) -> Manifest:
        workload = SIDECARS.get(name, name)
        kind = "StatefulSet" if workload == "postgres" else "Deployment"
        return find(self.programs.manifests, kind, PREFIX + workload)

    def _inits(self, name: str) -> dict[str, Callable[[], Pod]]:
        """Those that wait for others. What PostgreSQL does before its first start is part of starting it."""
        manifest = self._manifest(name)
        if name in SIDECARS:
            return {}
        waits = [init["name"] for init in manifest["spec"]["template"]["spec"].get("initContainers", [])]
        return {wait: partial(self._wait, name, wait) for wait in waits if wait.startswith("wait-for-")}

    def _trimmer(self) -> Pod:
        programs = self.programs
        manifest, port = self._manifest("trim-traces"), programs.pods["redis", 6379]
        loopback = Loopback(services=programs.services)
        folder = programs.folder / "trim-traces"
        return start_beside_redis(manifest, "trim-traces", folder, port, loopback=loopback, secrets=ALL_SECRETS)

    def _wait(self, name: str, wait: str) -> Pod:
        programs = self.programs
        return start_beside_redis(
            self._manifest(name),
            wait,
            programs.folder / f"{name}-{wait}",
            programs.pods["redis", 6379],
            loopback=Loopback(services=programs.services),
            secrets=ALL_SECRETS,
        )

    @contextmanager
    def _backend(self) -> Generator[Pod, None, None]:
        """What stands in for the backend, on the rendered command."""
        programs = self.programs
        rendered: Manifest = json.loads(json.dumps(self._manifest("backend")).replace('"0.0.0.0"', f'"{LOCALHOST}"'))
        loopback = Loopback(services=programs.services, ports={8080: programs.pods["backend", 8080]})
        environment = pod_environment(rendered, "backend", secrets=ALL_SECRETS, loopback=loopback)
        environment["PATH"] = f"{programs.runtime}:{environment['PATH']}"
        root = programs.folder / "backend"
        root.mkdir()
        (root / "main.py").write_text((SAMPLE / "main.py").read_text())
        with start_pod(rendered, "backend", environment=environment, loopback=loopback, root=root) as pod:
            yield pod

    @contextmanager
    def _gateway(self) -> Generator[Pod, None, None]:
        pods = self.programs.pods
        real = {LOGIN: pods[LOGIN, 4180], "backend": pods["backend", 8080]}
        with running_gateway(self.programs.manifests, real=real, limited=False) as gateway:
            self.gateways.append(gateway)
            yield gateway.pod

    def running(self) -> Running:
        """The application, when everything has begun."""
        (gateway,) = self.gateways
        return Running(
            containers=self.containers,
            programs=self.programs,
            gateway=gateway,
            cookie=signed_in(gateway, self.containers[LOGIN].pod, self.provided),
            asking=self.stack.enter_context(ThreadPoolExecutor(8)),
        )
