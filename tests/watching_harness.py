"""This module is what watches the application, on loopback: Prometheus, Alertmanager and exporters, as rendered.

What is rendered is taken as it stands. Addresses become local ones, and what Prometheus would hear from the API it is
told in its configuration, with the same meta labels: so the relabelling is the rendered one.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from mesh_harness import (
    LOCALHOST,
    SECRETS,
    Loopback,
    Manifest,
    Pod,
    Secrets,
    find,
    free_port,
    mounted,
    pod_environment,
    start_pod,
)
from processes import serving
from programs import ROOT

PREFIX = "ai-interviewer-"
NAMESPACE = "ai-interviewer"
RECORDED = ROOT / "tests/recorded-runs"
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
OFTEN = "2s"
"""How often Prometheus asks and judges here. It waits as long for an answer: on a busy machine one second is short."""

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PodPort:
    """A port of a rendered pod, as Prometheus' discovery finds it."""

    workload: str
    container: str
    name: str
    number: int

    def labels(self, node: str) -> dict[str, str]:
        """What discovery says of it."""
        meta = "__meta_kubernetes_pod_"
        return {
            "__meta_kubernetes_namespace": NAMESPACE,
            f"{meta}name": f"{self.workload}-0",
            f"{meta}phase": "Running",
            f"{meta}node_name": node,
            f"{meta}label_app_kubernetes_io_name": self.workload,
            f"{meta}container_name": self.container,
            f"{meta}container_port_name": self.name,
            f"{meta}container_port_number": str(self.number),
        }


def pod_ports(manifests: Sequence[Manifest]) -> Iterator[PodPort]:
    """Every port of every pod that runs for good."""
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "StatefulSet"):
            pod = manifest["spec"]["template"]
            workload = pod["metadata"]["labels"]["app.kubernetes.io/name"]
            for container in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]:
                for port in container.get("ports", []):
                    yield PodPort(
                        workload=workload, container=container["name"], name=port["name"], number=port["containerPort"]
                    )


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where everything lies that Prometheus asks.

    Args:
        pods: The local port of a pod's port, by workload and number. Nobody answers for the others.
        services: Ports of Services, as ``host:port``, and the local port behind each.
        nodes: The local port of each node's kubelet.
        outside: The local port of each host that is asked by its public name.
    """

    pods: Mapping[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    services: Mapping[str, int] = field(default_factory=dict[str, int])
    nodes: Mapping[str, int] = field(default_factory=dict[str, int])
    outside: Mapping[str, int] = field(default_factory=dict[str, int])


def discovered(manifests: Sequence[Manifest], role: str, places: Places, nowhere: int) -> list[Json]:
    """What discovery of a role finds, as a configuration says it."""
    nodes = sorted(places.nodes)
    if role == "node":
        return [
            {"targets": [f"{LOCALHOST}:{port}"], "labels": {"__meta_kubernetes_node_name": node, "instance": node}}
            for node, port in places.nodes.items()
        ]
    assert role == "pod"
    found = list[Json]()
    for number, port in enumerate(pod_ports(manifests)):
        local = places.pods.get((port.workload, port.number), nowhere)
        found.append({"targets": [f"{LOCALHOST}:{local}"], "labels": port.labels(nodes[number % len(nodes)])})
    return found


def rendered_jobs(manifests: Sequence[Manifest]) -> list[str]:
    """The jobs of the rendered Prometheus, in their order."""
    told = yaml.safe_load(find(manifests, "ConfigMap", f"{PREFIX}prometheus")["data"]["prometheus.yaml"])
    return [job["job_name"] for job in told["scrape_configs"]]


@dataclass(frozen=True, kw_only=True)
class RunningPrometheus:
    """A Prometheus that runs."""

    pod: Pod
    port: int

    def ask(self, path: str, **query: str) -> Any:
        """The data of an answer of its API.

        Raises:
            AssertionError: It does not know what to say.
        """
        url = f"http://{LOCALHOST}:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query or path}: {error.read().decode()}") from error

    def query(self, expression: str) -> list[Json]:
        """What an expression gives now: series, each with its value."""
        result: list[Json] = self.ask("query", query=expression)["result"]
        return result

    def up(self) -> dict[str, list[str]]:
        """Whether the targets of each job answer, by the name of the job: nothing for those that do, else why not."""
        found: dict[str, list[str]] = {}
        for target in self.ask("targets", state="active")["activeTargets"]:
            said = "" if target["health"] == "up" else f"{target['health']} {target['lastError']}"
            found.setdefault(target["labels"]["job"], []).append(said)
        return found

    def alerts(self) -> dict[tuple[str, str], str]:
        """What is pending or fires, by the alert's name and whom it is about, and which of both."""
        return {
            (alert["labels"]["alertname"], whom(alert["labels"])): alert["state"]
            for alert in self.ask("alerts")["alerts"]
        }

    def rules(self) -> list[Json]:
        """All rules, as it has them."""
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]


def whom(labels: Mapping[str, str]) -> str:
    """Whom an alert is about."""
    return next((labels[name] for name in ("check", "job", "workload", "pod") if name in labels), "")


Change = Callable[[Json], None]


@contextmanager
def running_prometheus(
    manifests: Sequence[Manifest],
    root: Path,
    entrypoint: Sequence[str],
    places: Places,
    *,
    interval: str = OFTEN,
    change: Change | None = None,
) -> Generator[RunningPrometheus, None, None]:
    """The rendered Prometheus with its rendered configuration, which asks and judges more often.

    Args:
        entrypoint: The program.
        interval: How often it does, in the place of what is rendered.
        change: Changes a job before it is told, in the place of making it a static one.
    """
    manifest = find(manifests, "Deployment", f"{PREFIX}prometheus")
    port, nowhere = free_port(), free_port()
    loopback = Loopback(services=places.services, ports={9090: port})
    mounts = mounted(manifests, manifest, "prometheus", root=root, loopback=loopback)
    (mounts[TOKEN] / "token").write_text("a-token")
    file = mounts["/etc/prometheus"] / "prometheus.yaml"
    told = yaml.safe_load(file.read_text())
    told["global"] |= {"scrape_interval": interval, "evaluation_interval": interval, "scrape_timeout": interval}
    for job in told["scrape_configs"]:
        job.pop("scrape_interval", None)
        for host, local in places.outside.items():
            for number, target in enumerate(job.get("params", {}).get("target", ())):
                job["params"]["target"][number] = target.replace(f"//{host}/", f"//{LOCALHOST}:{local}/")
        if change:
            change(job)
            continue
        for discovery in job.pop("kubernetes_sd_configs", []):
            job["static_configs"] = discovered(manifests, discovery["role"], places, nowhere)
    file.write_text(yaml.safe_dump(told, sort_keys=False))
    pod = start_pod(
        manifest,
        "prometheus",
        environment=pod_environment(manifest, "prometheus", secrets=SECRETS, loopback=loopback),
        loopback=Loopback(ports=loopback.ports, mounts=mounts),
        root=root,
        entrypoint=[*entrypoint, f"--web.listen-address={LOCALHOST}:{port}"],
    )
    with serving(pod, lambda: answers(port, "/-/ready")):
        yield RunningPrometheus(pod=pod, port=port)


@contextmanager
def running_server(
    manifests: Sequence[Manifest],
    workload: str,
    container: str,
    root: Path,
    entrypoint: Sequence[str],
    *,
    ports: Mapping[int, int],
    ready: Callable[[], bool],
    services: Mapping[str, int] | None = None,
    files: Mapping[str, str] | None = None,
    changes: Mapping[str, str] | None = None,
    secrets: Secrets = SECRETS,
) -> Generator[Pod, None, None]:
    """A rendered container of a program that says by its flags where it listens.

    Args:
        entrypoint: The program, and where it listens.
        ports: The local port for each that its arguments name.
        ready: Whether it answers.
        services: Ports of Services that it asks, and the local ones.
        files: Files of mounted Secrets, by their path in the container.
        changes: What stands in its files for what is rendered.
    """
    (manifest,) = (
        one
        for one in manifests
        if one["kind"] in ("Deployment", "StatefulSet") and one["metadata"]["name"] == PREFIX + workload
    )
    root.mkdir(parents=True, exist_ok=True)
    loopback = Loopback(services=services or {}, ports=ports)
    mounts = mounted(manifests, manifest, container, root=root, loopback=loopback)
    for path, text in (files or {}).items():
        (file,) = (at / path.removeprefix(f"{mount}/") for mount, at in mounts.items() if path.startswith(f"{mount}/"))
        file.write_text(text)
    for old, new in (changes or {}).items():
        files_with = [file for file in root.rglob("*.yaml") if old in file.read_text()]
        assert files_with, old
        for file in files_with:
            file.write_text(file.read_text().replace(old, new))
    pod = start_pod(
        manifest,
        container,
        environment=pod_environment(manifest, container, secrets=secrets, loopback=loopback),
        loopback=Loopback(services=services or {}, ports=ports, mounts=mounts),
        root=root,
        entrypoint=entrypoint,
    )
    with serving(pod, ready):
        yield pod


def start_registry(
    manifests: Sequence[Manifest],
    root: Path,
    port: int,
    services: Mapping[str, int],
    secrets: Secrets,
    database: str = "",
) -> Pod:
    """The rendered registry with its rendered variables. The program is that of a later MCP Mesh.

    Args:
        database: The file of a database in the place of the rendered one.
    """
    rendered = find(manifests, "Deployment", f"{PREFIX}registry")
    manifest: Manifest = json.loads(json.dumps(rendered).replace('"0.0.0.0"', f'"{LOCALHOST}"'))
    loopback = Loopback(services=services, ports={8000: port})
    environment = pod_environment(manifest, "registry", secrets=secrets, loopback=loopback)
    if database:
        environment["DATABASE_URL"] = database
    root.mkdir(exist_ok=True)
    return start_pod(
        manifest, "registry", environment=environment, loopback=loopback, root=root, entrypoint=["mcp-mesh-registry"]
    )


def answers(port: int, path: str) -> bool:
    """Whether a server of loopback says 200."""
    try:
        with urllib.request.urlopen(f"http://{LOCALHOST}:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Recorded:
    """A server that tells the metrics of a recording: it stands for a program that is not on this machine.

    Args:
        texts: What it tells, by the path. ``$grows`` stands for a number that does.
        context: With what it speaks TLS; it does not unless given.
        port: Its port of loopback; any unless given.
    """

    def __init__(self, texts: Mapping[str, str], context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.asked: list[tuple[str, str]] = []
        recorded = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                recorded.asked.append((self.path, self.headers["Authorization"] or ""))
                content = texts.get(self.path, "").replace("$grows", str(int(time.time()))).encode()
                self.send_response(200 if content else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((LOCALHOST, port), Handler)
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def recording(name: str) -> str:
    """What a program once told, as if it had been told now: what was made then is no older."""
    told = (RECORDED / f"{name}.prom").read_text(encoding="utf-8")
    return re.sub(r"^(kube_cronjob_created\{.*\}) \S+$", rf"\1 {time.time():.0f}", told, flags=re.MULTILINE)
