"""This module is the kubelet of the tests: it runs rendered containers as local processes and probes them.

What the manifest says is taken as it stands. Only what a machine cannot have is translated, by a `Loopback`:
addresses of Services and ports of the container become ports of 127.0.0.1, and mounted paths become folders.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from answering import Answering

Manifest = Mapping[str, Any]
Secrets = Mapping[tuple[str, str], str]  # by (name, key)

LOCALHOST = "127.0.0.1"
PORT_VARIABLE = "MCP_MESH_HTTP_PORT"


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition comes true within this time; it is asked at least once."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def free_port() -> int:
    """A port on loopback that nobody listens on, and that the system gives to no one else for a minute.

    It has just closed a connection there, so that only a server that asks for this very port gets it.
    """
    with socket.socket() as server, socket.socket() as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((LOCALHOST, 0))
        server.listen(1)
        client.connect(server.getsockname())
        server.accept()[0].close()
        return int(server.getsockname()[1])


def is_open(port: int, host: str = LOCALHOST) -> bool:
    """Whether someone accepts connections on this port of loopback."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as client:
        client.settimeout(1)
        return client.connect_ex((host, port)) == 0


def find(manifests: Sequence[Manifest], kind: str, name: str) -> Manifest:
    """The one manifest of this kind and name."""
    (found,) = (m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)
    return found


def container_of(manifest: Manifest, name: str) -> Manifest:
    """A container of a workload, init containers included."""
    pod = manifest["spec"]["template"]["spec"]
    (found,) = (c for c in [*pod["containers"], *pod.get("initContainers", [])] if c["name"] == name)
    return dict(found)


class InventedSecrets(dict[tuple[str, str], str]):
    """A value for any key of a Secret, the same each time and different from every other."""

    def __missing__(self, name_and_key: tuple[str, str]) -> str:
        """Invent it."""
        return "invented." + ".".join(name_and_key)


SECRETS = InventedSecrets()


@dataclass(frozen=True, kw_only=True)
class Loopback:
    """What the names of a cluster are on this machine.

    Args:
        services: Ports of Services, as ``host:port``, and the local port behind each.
        ports: The container's own ports, and the local port for each.
        mounts: Mounted paths, and the local folder or file for each.
        host: Where the container's ports are.
    """

    services: Mapping[str, int] = field(default_factory=dict[str, int])
    ports: Mapping[int, int] = field(default_factory=dict[int, int])
    mounts: Mapping[str, Path] = field(default_factory=dict[str, Path])
    host: str = LOCALHOST

    def address(self, text: str) -> str:
        """With local addresses. A port that the Service does not have stays: nobody answers there."""
        for service, port in self.services.items():
            if text == service.partition(":")[0]:
                return LOCALHOST
            text = re.sub(rf"(?<![\w.-]){re.escape(service)}(?!\d)", f"{LOCALHOST}:{port}", text)
        return text

    def command(self, text: str) -> str:
        """The text of a command or a configuration file, with local addresses, ports and paths."""
        text = self.address(text)
        for service, port in self.services.items():
            text = re.sub(rf"(?<![\w.:]){service.partition(':')[2]}(?![\w.])", str(port), text)
        for number, port in self.ports.items():
            text = re.sub(rf"(?<![\w.]){number}(?![\w.])", str(port), text)
        # All at once: a local path may contain a mounted one.
        paths = "|".join(map(re.escape, sorted(self.mounts, key=len, reverse=True))) or "(?!)"
        return re.sub(rf"(?<![\w./-])({paths})(?![\w.-])", lambda path: str(self.mounts[path[1]]), text)


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` as the kubelet does: an unknown name stays, and ``$$`` is a dollar."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else environment.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", value, text)


def pod_environment(
    manifest: Manifest, container: str, *, secrets: Secrets, loopback: Loopback, without: Collection[str] = ()
) -> dict[str, str]:
    """The variables of a container, resolved from its ``env`` as the kubelet does, and nothing else but PATH.

    Args:
        without: Variables to leave out, as if the manifest did not have them.

    Raises:
        LookupError: A key of a Secret that is not given, or a variable to leave out that is not there.
        ValueError: A source of values that this harness does not know.
    """
    fields = {
        "metadata.name": manifest["metadata"]["name"] + "-0",
        "metadata.namespace": manifest["metadata"]["namespace"],
    }
    spec = container_of(manifest, container)
    if "envFrom" in spec:
        raise ValueError(f"envFrom of container {container} cannot be resolved.")
    variables = [v for v in spec.get("env", []) if v["name"] not in without]
    if len(variables) + len(without) != len(spec.get("env", [])):
        raise LookupError(f"Container {container} lacks a variable of {without}.")
    resolved: dict[str, str] = {}
    for variable in variables:
        match variable.get("valueFrom"):
            case None:
                resolved[variable["name"]] = expand(variable.get("value", ""), resolved)
            case {"secretKeyRef": {"name": name, "key": key}}:
                resolved[variable["name"]] = secrets[name, key]
            case {"fieldRef": {"fieldPath": path}}:
                resolved[variable["name"]] = fields[path]
            case other:
                raise ValueError(f"Variable {variable['name']} of container {container}: {other}")
    local = {name: loopback.address(value) for name, value in resolved.items()}
    if local.get(PORT_VARIABLE, "").isdecimal():
        port = int(local[PORT_VARIABLE])
        local[PORT_VARIABLE] = str(loopback.ports.get(port, port))
    return {"PATH": os.environ["PATH"], **local}


def mounted(
    manifests: Sequence[Manifest], manifest: Manifest, container: str, *, root: Path, loopback: Loopback
) -> dict[str, Path]:
    """Make the volumes of a container below root: where each mounted path lies.

    The files of a ConfigMap are written with local addresses, ports and paths.
    """
    volumes = {v["name"]: v for v in manifest["spec"]["template"]["spec"].get("volumes", [])}
    volumes |= {v["metadata"]["name"]: v for v in manifest["spec"].get("volumeClaimTemplates", [])}
    mounts = container_of(manifest, container).get("volumeMounts", [])
    paths = {mount["mountPath"]: root / mount["mountPath"].strip("/") for mount in mounts}
    translation = Loopback(services=loopback.services, ports=loopback.ports, mounts=paths)
    for mount in mounts:
        path, volume = paths[mount["mountPath"]], volumes[mount["name"]]
        path.mkdir(parents=True, exist_ok=True)
        if "configMap" in volume:
            data = find(manifests, "ConfigMap", volume["configMap"]["name"])["data"]
            for item in volume["configMap"].get("items") or [{"key": key, "path": key} for key in data]:
                file = path / item["path"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(translation.command(data[item["key"]]))
    return paths


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A container that runs as a process of this machine; at the end of a ``with`` nothing of it is left."""

    name: str
    spec: Manifest
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    loopback: Loopback
    log: Path

    @property
    def output(self) -> str:
        """What the process has written so far."""
        return self.log.read_text(errors="replace")

    @property
    def ports(self) -> dict[str | int, int]:
        """The local port for each port of the container, by number and by name."""
        local = self.loopback.ports
        return {
            **local,
            **{port["name"]: local[port["containerPort"]] for port in self.spec.get("ports", [])},
        }

    def terminate(self, seconds: float) -> int | None:
        """Send SIGTERM. The exit code, or None when the process is still there after this time."""
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def __enter__(self) -> "Pod":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


def start_pod(
    manifest: Manifest,
    container: str,
    *,
    environment: Mapping[str, str],
    loopback: Loopback,
    root: Path,
    entrypoint: Sequence[str] = (),
    before: Sequence[str] = (),
) -> Pod:
    """Start a container's command, in the folder root.

    Args:
        entrypoint: What the image starts when the manifest gives no command.
        before: What starts the command as somebody else.
    """
    spec = container_of(manifest, container)
    command = [*before, *spec.get("command", entrypoint), *spec.get("args", [])]
    log = root / "output.txt"
    log.write_bytes(b"")
    with log.open("ab") as output:  # a process that opens /dev/stdout itself overwrites nothing
        process = subprocess.Popen(
            [loopback.command(expand(word, environment)) for word in command],
            cwd=root,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Pod(name=container, spec=spec, process=process, environment=environment, loopback=loopback, log=log)


def probe(question: Manifest, pod: Pod) -> str:
    """Ask a probe as the kubelet does: the HTTP status, ``open`` or ``exit 0``, else what went wrong."""
    timeout: float = question.get("timeoutSeconds", 1)
    try:
        if "httpGet" in question:
            get = question["httpGet"]
            scheme: str = get.get("scheme", "HTTP").lower()
            url = f"{scheme}://{pod.loopback.host}:{pod.ports[get['port']]}{get['path']}"
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                return str(answer.status)
        if "tcpSocket" in question:
            return "open" if is_open(pod.ports[question["tcpSocket"]["port"]], pod.loopback.host) else "closed"
        words = [pod.loopback.command(word) for word in question["exec"]["command"]]
        done = subprocess.run(words, env=dict(pod.environment), capture_output=True, timeout=timeout)
        return f"exit {done.returncode}"
    except urllib.error.HTTPError as error:
        return str(error.code)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no answer: {error}"


def before_the_signal(pod: Pod, pace: float = 1) -> list[str]:
    """What the kubelet runs in a pod before SIGTERM, as it is on this machine; nothing where nothing is rendered.

    A pod has a network of its own, and none of its connections has another local address.

    Args:
        pace: How many times as fast as in a cluster the kubelet's clock runs.
    """
    words = pod.spec.get("lifecycle", {}).get("preStop", {"exec": {"command": []}})["exec"]["command"]
    if len(words) < 3:
        return [str(float(word) / pace) if word.isdecimal() else word for word in words]
    *script, pause, most, connected = words
    address = socket.inet_aton(pod.loopback.host)[::-1].hex().upper()
    (ports,) = re.findall(r":\(([0-9A-F|]+)\) ", connected)
    local = "|".join(f"{pod.loopback.ports[int(port, 16)]:04X}" for port in ports.split("|"))
    here = connected.replace(f":({ports}) ", f"{address}:({local}) ")
    return [*script, str(float(pause) / pace), str(round(int(most) / pace)), here]


def listed(agent: Mapping[str, Any]) -> Mapping[str, Any]:
    """A registration as the registry lists it: the fields of AgentInfo in its API of 0.5.3."""
    return {
        "id": agent["agent_id"],
        "name": agent["name"],
        "agent_type": agent["agent_type"],
        "status": "healthy",
        "endpoint": f"http://{agent['http_host']}:{agent['http_port']}",
        "capabilities": [],
        "total_dependencies": 0,
        "dependencies_resolved": 0,
    }


class StandInRegistry:
    """The mesh registry's endpoints on a port of loopback. It records which agents register and leave."""

    def __init__(self) -> None:
        self.agents: dict[str, dict[str, Any]] = {}
        self.departed: list[str] = []
        registry = self

        def now() -> str:
            return datetime.now(UTC).isoformat()

        class Handler(BaseHTTPRequestHandler):
            def reply(self, status: int, body: Mapping[str, Any] | None = None) -> None:
                content = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                agents = [listed(agent) for agent in registry.agents.values()]
                if self.path == "/health":
                    self.reply(200, {"status": "healthy"})
                elif self.path == "/agents":
                    self.reply(200, {"agents": agents, "count": len(agents), "timestamp": now()})
                else:
                    self.reply(404)

            def do_HEAD(self) -> None:
                self.reply(200 if self.path in [f"/heartbeat/{agent}" for agent in registry.agents] else 410)

            def do_POST(self) -> None:
                agent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != "/heartbeat":
                    return self.reply(404)
                registry.agents[agent["agent_id"]] = agent
                accepted = {"status": "success", "message": "registered", "timestamp": now()}
                return self.reply(200, {**accepted, "agent_id": agent["agent_id"], "dependencies_resolved": {}})

            def do_DELETE(self) -> None:
                folder, _, agent = self.path.rpartition("/")
                if folder != "/agents" or registry.agents.pop(agent, None) is None:
                    return self.reply(404)
                registry.departed.append(agent)
                return self.reply(204)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((LOCALHOST, 0), Handler)
        self.port = int(self._server.server_address[1])
        self._answering = Answering(self._server)

    def __enter__(self) -> "StandInRegistry":
        return self

    def __exit__(self, *_: object) -> None:
        self._answering.close()
