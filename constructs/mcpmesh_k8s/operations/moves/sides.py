"""This module is where the data lie: the stores of an application, in the Compose stack and in the cluster."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from abc import abstractmethod
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from typing import IO

from mcpmesh_k8s.kubernetes import (
    Application,
    Objects,
    OperationError,
    Server,
    Store,
    Target,
    Task,
    Workload,
    at,
    each,
    name_of,
)
from mcpmesh_k8s.kubernetes import Side as AnySide
from mcpmesh_k8s.operations.programs import Kubectl, output, read_object
from mcpmesh_k8s.operations.rendered import reference
from mcpmesh_k8s.operations.terminal import show

_FILES = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "docker-compose/docker-compose.yml",
)
_CLAIM = "persistentVolumeClaim"
_AS_LONG_AS_IT_TAKES = 12 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Stores:
    """Everything that keeps data of an application, and who uses it.

    Args:
        stores: What can be moved, in the order it was made.
        left_out: What keeps a claim and cannot be moved, as ``statefulset/shop-qdrant``.
        clients: What uses a store in the cluster, as ``deployment/shop-registry``.
    """

    stores: tuple[Store, ...]
    left_out: tuple[str, ...]
    clients: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what can be moved."""
        return tuple(store.name for store in self.stores)


def stores_of(application: Application) -> Stores:
    """The stores of an application, read from its tree.

    Raises:
        TreeError: The application is not consistent.
    """
    stores = tuple(component for component in application.components if isinstance(component, Store))
    servers = [pod for pod in application.pods if isinstance(pod, Store)]
    clients = [pod for pod in application.pods if isinstance(pod, Workload | Task) and not isinstance(pod, Store)]
    return Stores(
        stores=stores,
        left_out=_left_out(application, {server.reference for server in servers}),
        clients=tuple(
            client.reference
            for client in clients
            if any(
                isinstance(target, Target) and target.workload in servers and not target.watched
                for target in client.connections
            )
        ),
    )


def _left_out(application: Application, moved: set[str]) -> tuple[str, ...]:
    """Whatever keeps a claim and is not moved, objects of plain cdk8s too, each as kubectl names it."""
    objects = Objects([manifest for group in application.manifests().values() for manifest in group])
    keepers, mounted = list[str](), set[str]()
    for manifest, template in objects.pods:
        volumes = each(template, "spec", "volumes")
        claims = [str(at(volume, _CLAIM)["claimName"]) for volume in volumes if _CLAIM in volume]
        mounted |= set(claims)
        if claims or any(each(manifest, "spec", "volumeClaimTemplates")):
            keepers.append(reference(manifest))
    keepers += [reference(claim) for claim in objects.of("PersistentVolumeClaim") if name_of(claim) not in mounted]
    return tuple(keeper for keeper in keepers if keeper not in moved)


class _Side(AnySide):
    """What both sides have in common: how a script is run beside a server."""

    @abstractmethod
    def command(self, server: Server, *arguments: str) -> list[str]:
        """The command line that runs a program beside a server."""

    def say(self, line: str) -> None:
        """Tell people."""
        show(line)

    def local(self, command: Sequence[str], *, variables: Mapping[str, str] | None = None) -> str:
        """What a program of this machine prints."""
        return output(command, variables=variables, timeout=_AS_LONG_AS_IT_TAKES)

    def run(
        self,
        server: Server,
        doing: str,
        script: str,
        *arguments: str,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        heading: bool = False,
    ) -> str:
        """Run a shell script beside a server, and return what it prints: see ``Side.run``."""
        command = self.command(server, "sh", "-c", script, server.service, *arguments)
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
                    f"{doing}, {server.service} of {self}: failed with status {process.returncode}: {_last_word(said)}"
                )
        return head.decode()


@dataclass(frozen=True, kw_only=True)
class ComposeSide(_Side):
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

    @property
    def rendered(self) -> bool:
        """Its servers are not those of the tree."""
        return False

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
        return sorted(set(running) - set(stores.names))

    def stopping(self, clients: Sequence[str]) -> str:
        """The command that stops clients."""
        return shlex.join(self.compose("stop", *clients))

    @contextmanager
    def address(self, server: Server) -> Generator[str, None, None]:
        """Where a server is reached from this machine, as ``host:port``."""
        published = output(self.compose("port", server.service, str(server.port))).strip()
        yield f"127.0.0.1:{published.rpartition(':')[2]}"


@dataclass(frozen=True, kw_only=True)
class ClusterSide(_Side):
    """The application in a cluster.

    Args:
        kubectl: How the cluster is reached.
    """

    kubectl: Kubectl

    @property
    def program(self) -> str:
        """What it is asked with."""
        return "kubectl"

    @property
    def rendered(self) -> bool:
        """Its servers are those of the tree."""
        return True

    def __str__(self) -> str:
        return f"cluster ({self.kubectl.context}, namespace {self.kubectl.namespace})"

    def command(self, server: Server, *arguments: str) -> list[str]:
        """The command line that runs a program beside a server."""
        return self.kubectl.command("exec", "-i", server.workload, "--container", server.container, "--", *arguments)

    def running_clients(self, stores: Stores) -> list[str]:
        """Every client of a store that has pods."""
        kinds = sorted({client.partition("/")[0] + "s" for client in stores.clients})
        if not kinds:
            return []
        get = ("get", ",".join(kinds), "--output", "json")
        running = list[str]()
        for item in each(read_object(self.kubectl.command(*get), self.kubectl.output(*get)), "items"):
            client, status = f"{str(item['kind']).lower()}/{at(item, 'metadata')['name']}", at(item, "status")
            if client not in stores.clients:
                continue
            if item["kind"] == "CronJob":
                running += ["job/" + str(job["name"]) for job in each(status, "active")]
            # A Job counts the pods that have not ended.
            elif status.get("active" if item["kind"] == "Job" else "replicas", 0):
                running.append(client)
        return sorted(running)

    def stopping(self, clients: Sequence[str]) -> str:
        """The command that stops clients."""
        jobs = [client for client in clients if client.startswith("job/")]
        scaled = [client for client in clients if client not in jobs]
        commands = [self.kubectl.command("scale", "--replicas=0", *scaled)] if scaled else []
        commands += [self.kubectl.command("delete", *jobs)] if jobs else []
        return " && ".join(shlex.join(command) for command in commands)

    @contextmanager
    def address(self, server: Server) -> Generator[str, None, None]:
        """Where a server is reached from this machine, as ``host:port``, while kubectl forwards a port to it."""
        with self.kubectl.forwarded(server.workload, server.port) as port:
            yield f"127.0.0.1:{port}"


Side = ComposeSide | ClusterSide
"""Where data come from, or go to."""


def _last_word(said: IO[bytes]) -> str:
    """The line that tells most: the last that speaks of an error, else the last. kubectl adds one of its own."""
    said.seek(0)
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("command terminated with exit code")]
    errors = [line for line in lines if re.search(r"\berror\b|\bERR\b", line, re.IGNORECASE)]
    return (errors or lines or ["no word"])[-1]
