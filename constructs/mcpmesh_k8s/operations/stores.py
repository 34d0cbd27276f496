"""This module is where the data lie: the stores of an application, in the Compose stack and in the cluster."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from typing import IO, TypeVar

from mcpmesh_k8s.kubernetes import Application, Component, SettingError, StatefulWorkload, Target, Workload, in_bytes
from mcpmesh_k8s.services import Bucket, Database, Minio, Postgres, Redis

from .programs import Kubectl, OperationError, output

_FILES = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "docker-compose/docker-compose.yml",
)
_LONGEST_DATABASE = 63 - len("_before_999")

C = TypeVar("C", bound=Component)


@dataclass(frozen=True, kw_only=True)
class Server:
    """The server of a store.

    Args:
        service: Its name in the Compose file.
        workload: What runs it in the cluster, as kubectl names it, such as ``statefulset/shop-postgres``.
        container: The container in its pod.
        port: The port that it listens on.
    """

    service: str
    workload: str
    container: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Stores:
    """Everything that holds data of an application, and who uses it.

    Args:
        postgres: The PostgreSQL server.
        databases: Its databases, each with the roles that use it in the cluster.
        redis: The Redis server.
        redis_memory: Bytes that its container may use in the cluster.
        redis_disk: Bytes that its volume holds in the cluster.
        minio: The MinIO server.
        bucket: The bucket.
        clients: What connects to a store in the cluster, as ``deployment/shop-registry``.
    """

    postgres: Server
    databases: tuple[Database, ...]
    redis: Server
    redis_memory: int
    redis_disk: int
    minio: Server
    bucket: str
    clients: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse names that are too long for what an import puts behind them: PostgreSQL cuts them silently."""
        for database in self.databases:
            if len(database.name) > _LONGEST_DATABASE:
                raise SettingError("Stores.databases", database.name, f"Give at most {_LONGEST_DATABASE} characters.")


def stores_of(application: Application) -> Stores:
    """The stores of an application, read from its tree.

    Raises:
        SettingError: It has none, or several, of Postgres, Redis, Minio and Bucket.
    """
    postgres, redis, minio = _one(application, Postgres), _one(application, Redis), _one(application, Minio)
    stores = (postgres, redis, minio)
    return Stores(
        postgres=_server(postgres, "postgres"),
        databases=postgres.settings.databases,
        redis=_server(redis, "redis"),
        redis_memory=in_bytes("memory", redis.settings.compute.memory_limit),
        redis_disk=in_bytes("storage", redis.settings.storage.size),
        minio=_server(minio, "api"),
        bucket=_one(application, Bucket).settings.bucket,
        clients=tuple(
            _named(pod)
            for pod in application.pods
            if isinstance(pod, Workload)
            and any(isinstance(target, Target) and target.workload in stores for target in pod.connections)
        ),
    )


def _one(application: Application, kind: type[C]) -> C:
    found = [component for component in application.components if isinstance(component, kind)]
    if len(found) != 1:
        names = [component.name for component in found]
        raise SettingError(f"{kind.__name__} of {application.settings.name}", names, "Data are moved for exactly one.")
    return found[0]


def _named(workload: Workload) -> str:
    return f"{'statefulset' if isinstance(workload, StatefulWorkload) else 'deployment'}/{workload.full_name}"


def _server(workload: Workload, port: str) -> Server:
    return Server(
        service=workload.name,
        workload=_named(workload),
        container=workload.container.name,
        port=workload.port(port).container,
    )


@dataclass(frozen=True, kw_only=True)
class ComposeSide:
    """The Compose stack. Its services for the stores must run.

    Args:
        file: The Compose file. Its folder gives the project its name, unless ``project`` does.
        project: The name of the Compose project.
    """

    file: Path
    project: str = ""

    @staticmethod
    def of(checkout: Path) -> ComposeSide:
        """The stack of a checkout of the application.

        Raises:
            OperationError: It holds no Compose file.
        """
        for name in _FILES:
            if (checkout / name).is_file():
                return ComposeSide(file=checkout / name)
        raise OperationError(f"{checkout} holds no Compose file. Give the folder that has one of {', '.join(_FILES)}.")

    @property
    def program(self) -> str:
        """What it is asked with."""
        return "docker"

    def __str__(self) -> str:
        return f"Compose ({self.file})"

    def compose(self, *arguments: str) -> list[str]:
        """The whole command line of ``docker compose``."""
        project = ["--project-name", self.project] if self.project else []
        return ["docker", "compose", "--file", str(self.file), *project, *arguments]

    def command(self, server: Server, *arguments: str) -> list[str]:
        """The command line that runs a program beside a server."""
        return self.compose("exec", "-T", server.service, *arguments)

    def running_clients(self, stores: Stores) -> list[str]:
        """Everything of the stack that runs and is no store."""
        running = output(self.compose("ps", "--services", "--status", "running")).split()
        return sorted(set(running) - {stores.postgres.service, stores.redis.service, stores.minio.service})

    def stopping(self, clients: Sequence[str]) -> str:
        """The command that stops clients."""
        return shlex.join(self.compose("stop", *clients))

    @contextmanager
    def address(self, server: Server) -> Generator[str, None, None]:
        """Where a server is reached from this machine, as ``host:port``."""
        published = output(self.compose("port", server.service, str(server.port))).strip()
        yield f"127.0.0.1:{published.rpartition(':')[2]}"


@dataclass(frozen=True, kw_only=True)
class ClusterSide:
    """The application in a cluster.

    Args:
        kubectl: How the cluster is reached.
    """

    kubectl: Kubectl

    @property
    def program(self) -> str:
        """What it is asked with."""
        return "kubectl"

    def __str__(self) -> str:
        return f"cluster ({self.kubectl.context}, namespace {self.kubectl.namespace})"

    def command(self, server: Server, *arguments: str) -> list[str]:
        """The command line that runs a program beside a server."""
        return self.kubectl.command("exec", "-i", server.workload, "--container", server.container, "--", *arguments)

    def running_clients(self, stores: Stores) -> list[str]:
        """Every client of a store that has pods."""
        listed = json.loads(self.kubectl.output("get", "deployments,statefulsets", "--output", "json"))
        running = {
            f"{item['kind'].lower()}/{item['metadata']['name']}"
            for item in listed["items"]
            if item.get("status", {}).get("replicas", 0)
        }
        return sorted(running & set(stores.clients))

    def stopping(self, clients: Sequence[str]) -> str:
        """The command that stops clients."""
        return shlex.join(self.kubectl.command("scale", "--replicas=0", *clients))

    @contextmanager
    def address(self, server: Server) -> Generator[str, None, None]:
        """Where a server is reached from this machine, as ``host:port``, while kubectl forwards a port to it."""
        with self.kubectl.forwarded(server.workload, server.port) as port:
            yield f"127.0.0.1:{port}"


Side = ComposeSide | ClusterSide
"""Where data come from, or go to."""


def run(
    side: Side,
    server: Server,
    doing: str,
    script: str,
    *arguments: str,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    heading: bool = False,
) -> str:
    """Run a shell script beside a server, and return what it prints.

    Args:
        side: Compose or cluster.
        server: Whose container.
        doing: What it does, for the error: "reading the roles".
        script: For a POSIX shell.
        arguments: Its ``$1`` and so on; never a secret.
        stdin: An open file that it reads.
        stdout: An open file for what it prints.
        heading: The lines up to the first empty one are returned, and only the rest goes to the file.

    Raises:
        OperationError: It failed; the message ends with what it said.
    """
    command = side.command(server, "sh", "-c", script, server.service, *arguments)
    head = b""
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(
            command, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        ) as process:
            assert process.stdout is not None
            try:
                if stdout is None:
                    head = process.stdout.read()
                else:
                    if heading:
                        for line in iter(process.stdout.readline, b""):
                            if line == b"\n":
                                break
                            head += line
                    copyfileobj(process.stdout, stdout)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise OperationError(
                f"{doing}, {server.service} of {side}: failed with status {process.returncode}: {_last_word(said)}"
            )
    return head.decode()


def _last_word(said: IO[bytes]) -> str:
    """The line that tells most: the last that speaks of an error, else the last. kubectl adds one of its own."""
    said.seek(0)
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("command terminated with exit code")]
    errors = [line for line in lines if re.search(r"\berror\b|\bERR\b", line, re.IGNORECASE)]
    return (errors or lines or ["no word"])[-1]
