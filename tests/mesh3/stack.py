"""This module is an application of MCP Mesh 3.x on loopback: real programs, with what is rendered for them."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from shutil import copy
from typing import Any

from conftest import read_manifests
from drill.stack import ALL_SECRETS, Switch
from mcpmesh_k8s import Mesh as MeshChoice
from mcpmesh_k8s import MeshRelease
from mesh3 import application
from mesh3.network import Network, Proxy, Service
from mesh_harness import (
    LOCALHOST,
    Loopback,
    Manifest,
    Pod,
    container_of,
    eventually,
    find,
    free_port,
    pod_environment,
    probe,
    start_pod,
)
from processes import REDIS, START, Account, serving, start_redis
from redis_client import redis_cli
from test_postgres_runtime import starting
from watching_harness import PREFIX

CODE = Path(__file__).with_name("code")
ADMIN = "MCP_MESH_ADMIN_PORT"
PROBES = ("startup", "readiness", "liveness")
PORTS = {"registry": 8000, "stock": 8090, "prices": 8090, "web": 8080}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What somebody was told: the status, 0 for nothing at all, and the text."""

    status: int
    text: str

    def json(self) -> Any:
        """What it says."""
        return json.loads(self.text)


def ask(address: str, port: int, path: str, body: object = None, *, method: str = "", seconds: float = 10) -> Answer:
    """Ask by HTTP, with JSON where there is something to tell."""
    content = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(f"http://{address}:{port}{path}", content, headers, method=method or None)
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return Answer(status=answer.status, text=answer.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(status=error.code, text=error.read().decode())
    except (OSError, HTTPException) as error:
        return Answer(status=0, text=repr(error))


@dataclass(frozen=True, kw_only=True)
class Place:
    """A pod that runs, and where.

    Args:
        name: The short name of its workload.
        pod: What runs.
        address: Its own.
        admin: The port that rules it here, where it is a registry: that one it opens on every address.
    """

    name: str
    pod: Pod
    address: str
    admin: int

    def ask(self, path: str, body: object = None, *, method: str = "", port: int = 0, seconds: float = 10) -> Answer:
        """Ask this very pod."""
        return ask(self.address, port or PORTS[self.name], path, body, method=method, seconds=seconds)

    def probes(self, timeout: float = 0) -> dict[str, str]:
        """What each of its probes is told now.

        Args:
            timeout: Seconds that it waits for an answer; what is rendered unless given.
        """
        more = {"timeoutSeconds": timeout} if timeout else {}
        return {kind: probe({**self.pod.spec[f"{kind}Probe"], **more}, self.pod) for kind in PROBES}


class Mesh:
    """The application: what runs, where, and how one more of it is started.

    Args:
        stack: Ends what is started.
        folder: Where everything lies.
        runtime: The folder of the Python that has the mesh's runtime.
        release: Which mesh it is.
    """

    def __init__(self, stack: ExitStack, folder: Path, runtime: Path, release: MeshRelease = MeshRelease.V3) -> None:
        self.stack, self.folder = stack, folder
        self.begin_with(release, runtime)
        self.network = Network(folder / "services")
        stack.callback(self.network.close)
        self.redis_port, self.postgres_port, self.otlp_port, self.tempo_port = (free_port() for _ in range(4))
        self.services = {
            PREFIX + name: Service(self.network, self.network.address(), number, number, PREFIX + name)
            for name, number in PORTS.items()
            if name != "registry"
        }
        self.registry = Service(self.network, LOCALHOST, free_port(), PORTS["registry"])
        self.proxy = Proxy(self.network, self.services)
        self.stores = {"PostgreSQL": Switch(self._postgres), "Redis": Switch(self._redis)}
        self._account = Account.unprivileged()
        self._keep = stack.enter_context(self._account.folder(of_data=True))
        self._started = 0

    def begin_with(self, release: MeshRelease, runtime: Path) -> None:
        """From here on what is started is of this mesh, with this runtime."""
        self.runtime = runtime
        written = self.folder / f"dist-{release.value}"
        application.write(written, MeshChoice(release=release))
        self.manifests: Sequence[Manifest] = read_manifests(written)

    def service(self, name: str) -> Service:
        """A Service, by the short name."""
        return self.registry if name == "registry" else self.services[PREFIX + name]

    def manifest(self, name: str) -> Manifest:
        """The rendered workload."""
        return find(self.manifests, "Deployment", PREFIX + name)

    def container(self, name: str) -> Manifest:
        """The rendered container of a workload."""
        return container_of(self.manifest(name), name)

    def start(
        self,
        name: str,
        *,
        without: Collection[str] = (),
        variables: Mapping[str, str] | None = None,
        reaches_agents: bool = False,
        entrypoint: Sequence[str] = (),
    ) -> Place:
        """One more pod, with an address of its own. Nobody is led to it yet.

        Args:
            without: Variables that its manifest shall not have.
            variables: What it has beside them.
            reaches_agents: Whether it may call agents, where it is a registry.
        """
        address = self.network.address()
        rendered: Manifest = json.loads(json.dumps(self.manifest(name)).replace('"0.0.0.0"', f'"{address}"'))
        places = {
            "redis:6379": self.redis_port,
            "postgres:5432": self.postgres_port,
            "tempo:4317": self.otlp_port,
            "tempo:3200": self.tempo_port,
        }
        if name != "registry":
            places["registry:8000"] = self.registry.port
        numbers = [port["containerPort"] for port in container_of(rendered, name)["ports"]]
        loopback = Loopback(
            services={PREFIX + at: port for at, port in places.items()},
            ports={number: number for number in numbers},
            host=address,
        )
        environment = pod_environment(rendered, name, secrets=ALL_SECRETS, loopback=loopback, without=without)
        environment |= {
            "PATH": f"{self.runtime}:{environment['PATH']}",
            "POD_ADDRESS": address,
            "POD_SERVICES": str(self.network.names),
            "HTTP_PROXY": f"http://{self.proxy.address}:{self.proxy.port}" if reaches_agents else "",
            **(variables or {}),
        }
        admin = 0
        if ADMIN in environment:
            admin = free_port()
            environment[ADMIN] = str(admin)
        self._started += 1
        root = self.folder / f"{name}-{self._started}"
        root.mkdir()
        for file in CODE.glob("*.py"):
            copy(file, root)
        pod = start_pod(rendered, name, environment=environment, loopback=loopback, root=root, entrypoint=[*entrypoint])
        return Place(name=name, pod=self.stack.enter_context(pod), address=address, admin=admin)

    @contextmanager
    def _postgres(self) -> Generator[Pod, None, None]:
        listening = f"listen_addresses={LOCALHOST}"
        given = (self.manifests, self._account, self._keep, self.postgres_port, listening)
        with starting(*given, brought=True) as self.postgres:
            yield self.postgres.pod

    @contextmanager
    def _redis(self) -> Generator[Pod, None, None]:
        started = start_redis(self.manifests, self.folder / "redis", self.redis_port)
        with serving(started, lambda: "PONG" in self.ask_redis("PING")) as pod:
            yield pod

    def start_stores(self) -> None:
        """PostgreSQL with its databases, Redis, and who takes traces."""
        for store in self.stores.values():
            self.stack.callback(store.off)
            store.on()
        self._otlp = self.folder / "otlp.txt"
        with self._otlp.open("wb") as output:
            taker = subprocess.Popen(
                [self.runtime / "python", CODE / "otlp.py", f"{LOCALHOST}:{self.otlp_port}"],
                stdout=output,
                stderr=output,
            )
        self.stack.callback(taker.wait)
        self.stack.callback(taker.kill)

    def start_registry(self, **given: Any) -> Place:
        """A replica of the registry, from when it answers; nobody is led to it yet."""
        place = self.start("registry", entrypoint=("mcp-mesh-registry",), **given)
        assert eventually(lambda: place.ask("/health").status == 200, START), place.pod.output
        return place

    def ask_redis(self, *command: str) -> str:
        """What Redis says to its operator."""
        return redis_cli(self.redis_port, ALL_SECRETS[REDIS, "operator-password"], *command)

    def traces(self) -> list[list[str]]:
        """Each span that has arrived where traces go: its service, name and trace."""
        lines = self._otlp.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("[")]

    def agents(self) -> list[dict[str, Any]]:
        """What the registry says of whom it knows."""
        return ask(self.registry.address, self.registry.port, "/agents").json()["agents"] or []

    def ready(self, name: str, **given: Any) -> Place:
        """One more pod, from when it is ready."""
        place = self.start(name, **given)
        assert eventually(lambda: place.probes()["readiness"] == "200", START), place.pod.output
        return place

    def running(self, name: str, **given: Any) -> Place:
        """One more pod that all are led to when it is ready."""
        place = self.ready(name, **given)
        self.service(name).leads_to(place.address)
        return place

    def says(self, item: str = "apples", seconds: float = 0) -> Answer:
        """What somebody is told who asks the API service."""
        service = self.service("web")
        return ask(service.address, service.port, f"/price?item={item}&seconds={seconds}", seconds=60)

    def whole(self) -> dict[str, Place]:
        """All of it, from when it works: by the short names."""
        self.start_stores()
        registry = self.start_registry(reaches_agents=True)
        self.registry.leads_to(registry.address)
        places = {name: self.start(name) for name in ("stock", "prices", "web")}
        for name, place in places.items():
            self.service(name).leads_to(place.address)
        assert eventually(self.works, 2 * START), {name: place.pod.output for name, place in places.items()}
        return {"registry": registry, **places}

    def works(self) -> bool:
        """Whether a call goes through all of it: an agent that does not know the next one yet says so with 200, too."""
        answer = self.says()
        return answer.status == 200 and "7 apples" in answer.text
