"""This module is the application on loopback, watched: real programs as they are rendered. Each can be stopped.

What this machine does not have is played: MinIO, Tempo, Loki, Alloy, Grafana, kube-state-metrics and the kubelets say
what was recorded, the services behind the gateway are stubs, and so is what stands at the public address.
"""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cluster.kubelet import tls
from gateway_harness import LOGIN, RunningGateway, StubUpstream, running_gateway
from mesh_harness import (
    LOCALHOST,
    SECRETS,
    InventedSecrets,
    Loopback,
    Manifest,
    Pod,
    find,
    free_port,
)
from processes import REDIS, Account, serving, start_redis
from redis_client import redis_cli
from test_login_runtime import Provided, login, provider
from test_mesh_runtime import AGENTS, start_agent
from test_postgres_runtime import POSTGRES, starting
from test_postgres_runtime import SECRETS as POSTGRES_SECRETS
from watching_harness import (
    PREFIX,
    Places,
    Recorded,
    answers,
    pod_ports,
    recording,
    running_server,
    start_registry,
)

NODES = ("node-0", "node-1", "node-2")
PLAYED = {"minio": (9000, "/minio/v2/metrics/cluster")} | {
    name: (port, "/metrics") for name, port in (("tempo", 3200), ("grafana", 3000), ("loki", 3100), ("alloy", 12345))
}
KSM = "kube-state-metrics"
PLENTY = 90
"""Days for which a certificate is valid that worries nobody."""


class AllSecrets(InventedSecrets):
    """Those of PostgreSQL as its own tests invent them, and the others."""

    def __missing__(self, name_and_key: tuple[str, str]) -> str:
        """Take it from there."""
        return (POSTGRES_SECRETS if name_and_key[0] == POSTGRES else SECRETS)[name_and_key]


ALL_SECRETS = AllSecrets()


class Switch:
    """Something that runs, and can be stopped and started again.

    Args:
        run: Runs it, on the same port and the same data each time.
    """

    def __init__(self, run: Callable[[], AbstractContextManager[object]]) -> None:
        self._run = run
        self._stack = ExitStack()
        self._running: object = None

    def on(self) -> None:
        """Start it, and wait until it answers."""
        self._running = self._stack.enter_context(self._run())

    def off(self) -> None:
        """Stop it as a pod is stopped that is deleted."""
        self._stack.close()

    def kill(self) -> None:
        """End it, so that it has no time to say so to anyone."""
        assert isinstance(self._running, Pod)
        os.killpg(self._running.process.pid, signal.SIGKILL)
        self.off()

    @contextmanager
    def hanging(self) -> Generator[None, None, None]:
        """It takes connections, and says nothing."""
        assert isinstance(self._running, Pod)
        server = self._running.process.pid
        # PostgreSQL's own processes are in groups of their own.
        others = [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]
        try:
            for pid in (server, *others):
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in (*others, server):
                os.kill(pid, signal.SIGCONT)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The application, watched.

    Args:
        places: Where Prometheus finds everything.
        switches: What can be stopped, by its name.
        gateway: The gateway, behind which are stubs.
        registry: The port of the registry.
    """

    places: Places
    switches: Mapping[str, Switch]
    gateway: RunningGateway
    registry: int

    def agents(self) -> dict[str, str]:
        """What the registry says of each agent, by the beginning of its name."""
        with urllib.request.urlopen(f"http://{LOCALHOST}:{self.registry}/agents", timeout=5) as answer:
            listed = json.load(answer)["agents"] or []
        return {agent["id"].rpartition("-")[0]: agent["status"] for agent in listed}


EXPORTERS = {"redis": (9121, 6379), "postgres": (9187, 5432)}
"""The port of the exporter beside a store, and the one that it asks."""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """Programs of the application, each on the same port and the same data whenever it is started.

    Args:
        folder: Where each has a folder of its own.
        keep: Where PostgreSQL has its data.
        runtime: The folder of the Python that has mcp-mesh.
        pods: The local port of each port of a pod, by the workload's name and the number.
        services: Ports of Services, as ``host:port``, and the local ones.
    """

    manifests: Sequence[Manifest]
    folder: Path
    keep: Path
    runtime: Path
    account: Account
    pods: Mapping[tuple[str, int], int]
    services: Mapping[str, int]

    @contextmanager
    def redis(self) -> Generator[Pod, None, None]:
        """It, from when it answers."""
        port = self.pods["redis", 6379]
        pong = "PONG"
        started = start_redis(self.manifests, self.folder / "redis", port)
        with serving(started, lambda: pong in redis_cli(port, SECRETS[REDIS, "operator-password"], "PING")) as pod:
            yield pod

    @contextmanager
    def postgres(self) -> Generator[Pod, None, None]:
        """It, from when its task has brought it to its databases."""
        overrides = f"listen_addresses={LOCALHOST}"
        with starting(self.manifests, self.account, self.keep, self.pods["postgres", 5432], overrides) as server:
            server.bring()
            yield server.pod

    def exporter(self, workload: str) -> AbstractContextManager[Pod]:
        """The exporter beside a store, from when it answers."""
        number, asks = EXPORTERS[workload]
        port = self.pods[workload, number]
        return running_server(
            self.manifests,
            workload,
            "exporter",
            self.folder / f"{workload}-exporter",
            [f"{workload}_exporter", f"--web.listen-address={LOCALHOST}:{port}"],
            ports={asks: self.pods[workload, asks], number: port},
            services={f"localhost:{asks}": self.pods[workload, asks]},
            ready=lambda: answers(port, "/metrics"),
            secrets=ALL_SECRETS,
        )

    @contextmanager
    def registry(self) -> Generator[Pod, None, None]:
        """It, from when it answers."""
        port = self.pods["registry", 8000]
        started = start_registry(self.manifests, self.folder / "registry", port, self.services, ALL_SECRETS)
        with serving(started, lambda: answers(port, "/agents")) as pod:
            yield pod

    @contextmanager
    def agent(self, name: str) -> Generator[Pod, None, None]:
        """One, from its beginning: they take long to start, most of it waiting, and nobody waits for them here."""
        loopback = Loopback(services=self.services, ports={8090: self.pods[name, 8090]})
        manifest = find(self.manifests, "Deployment", PREFIX + name)
        with start_agent(manifest, name, self.folder / name, self.runtime, loopback) as pod:
            yield pod

    @contextmanager
    def login(self, provided: Provided) -> Generator[Pod, None, None]:
        """The login, from when it answers."""
        ports = (self.pods[LOGIN, 4180], self.pods[LOGIN, 44180])
        with login(self.manifests, provided, ports[0], metrics=ports[1]) as pod:
            yield pod


def local_ports(manifests: Sequence[Manifest]) -> dict[tuple[str, int], int]:
    """A local port for each port of a pod, by the workload's name and the number."""
    return {(port.workload.removeprefix(PREFIX), port.number): free_port() for port in pod_ports(manifests)}


@contextmanager
def watched_stack(
    manifests: Sequence[Manifest], folder: Path, runtime: Path, alertmanager_told: str
) -> Generator[Stack, None, None]:
    """The whole of it.

    Args:
        runtime: The folder of the Python that has mcp-mesh.
        alertmanager_told: The URL that Alertmanager sends everything to.
    """
    account = Account.unprivileged()
    pods = local_ports(manifests)
    services = {
        f"{PREFIX}{name}:{number}": pods[name, number]
        for name, number in (
            *(("redis", 6379), ("postgres", 5432), ("registry", 8000), ("backend", 8080), ("tempo", 4317)),
            *(("blackbox", 9115), ("alertmanager", 9093)),
        )
    }
    nodes = {node: free_port() for node in NODES}
    switches = dict[str, Switch]()
    with ExitStack() as stack:
        keep = stack.enter_context(account.folder(of_data=True))

        programs = Programs(
            manifests=manifests,
            folder=folder,
            keep=keep,
            runtime=runtime,
            account=account,
            pods=pods,
            services=services,
        )

        def add(name: str, run: Callable[[], AbstractContextManager[object]]) -> Switch:
            switches[name] = switch = Switch(run)
            stack.callback(switch.off)
            switch.on()
            return switch

        def server(
            workload: str, *program: str, number: int, **files: str
        ) -> Callable[[], AbstractContextManager[Pod]]:
            port = pods[workload, number]
            return lambda: running_server(
                manifests,
                workload,
                workload,
                folder / workload,
                [*program, f"--web.listen-address={LOCALHOST}:{port}"],
                ports={number: port},
                services=services,
                files={f"/etc/alertmanager-secrets/{name}": text for name, text in files.items()},
                ready=lambda: answers(port, "/-/healthy"),
            )

        add("redis", programs.redis)
        add("postgres", programs.postgres)
        add("redis exporter", lambda: programs.exporter("redis"))
        add("postgres exporter", lambda: programs.exporter("postgres"))
        add("backend", lambda: StubUpstream("backend", LOCALHOST, pods["backend", 8080]))
        add("registry", programs.registry)
        provided = stack.enter_context(provider(folder))
        add("login", lambda: programs.login(provided))
        gateway = stack.enter_context(running_gateway(manifests, real={LOGIN: pods[LOGIN, 4180]}, limited=False))
        authority = folder / "authority.pem"
        outside = partial(Recorded, {"/-/healthy": "ok"}, tls(PLENTY, authority), free_port())
        add("public address", outside)
        knows = ("env", f"SSL_CERT_FILE={authority}")
        add("blackbox", server("blackbox", *knows, "blackbox_exporter", number=9115))
        told = dict.fromkeys(("page", "ticket", "watchdog"), alertmanager_told)
        add("alertmanager", server("alertmanager", "alertmanager", number=9093, **told))
        for name, (number, path) in PLAYED.items():
            stack.enter_context(Recorded({path: recording(name)}, port=pods[name, number]))
        stack.enter_context(Recorded({"/metrics": recording(KSM)}, port=pods[KSM, 8080]))
        kubelet = {"/metrics": recording("kubelet"), "/metrics/cadvisor": recording("cadvisor")}
        for node, port in nodes.items():
            add(node, partial(Recorded, kubelet, tls(), port))
        for name in AGENTS:
            add(name, partial(programs.agent, name))
        places = Places(
            pods={
                **{(f"{PREFIX}{name}", number): port for (name, number), port in pods.items()},
                (f"{PREFIX}nginx-gateway", 9145): gateway.pod.ports["metrics"],
            },
            services=services,
            nodes=nodes,
            outside={gateway.host: outside.args[2]},
        )
        yield Stack(places=places, switches=switches, gateway=gateway, registry=pods["registry", 8000])
