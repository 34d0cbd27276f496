"""This module is the way back: everything in the cluster that writes is stopped, and Docker Compose takes over."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcpmesh_k8s.checks import at, each, name_of
from mcpmesh_k8s.minio import Minio
from mcpmesh_k8s.postgres import Postgres
from mcpmesh_k8s.redis import Redis
from mcpmesh_k8s.workload import Workload

from .environment import Environment
from .programs import Kubectl, OperationError, require, stream
from .terminal import show

COMPOSE_FILES = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "docker-compose/docker-compose.yml",
)
"""Where a checkout may keep its Compose file."""

DRAIN = 400
"""Seconds until every client has stopped: the longest call takes 300, and pods are given 30 more."""


@dataclass(frozen=True, kw_only=True)
class Compose:
    """The Docker Compose stack of a checkout.

    Args:
        file: Its Compose file.
    """

    file: Path

    @classmethod
    def of(cls, checkout: Path) -> Compose:
        """The stack of a checkout.

        Raises:
            OperationError: It has no Compose file.
        """
        for name in COMPOSE_FILES:
            if (checkout / name).is_file():
                return cls(file=checkout / name)
        raise OperationError(
            f"{checkout} has no Compose file ({', '.join(COMPOSE_FILES)}). APP_DIR names the checkout."
        )

    def command(self, *arguments: str) -> list[str]:
        """A whole command line. Compose reads the ``.env`` beside its file."""
        return ["docker", "compose", "--file", str(self.file), *arguments]

    def do(self, *arguments: str) -> None:
        """Run a command in people's sight; an ``OperationError`` when it fails."""
        if stream(self.command(*arguments)):
            raise OperationError(f"docker compose {' '.join(arguments)} failed: see above.")


def clients_of(environment: Environment) -> list[str]:
    """The full names of all workloads that may write to a store, in the order they were made."""
    stores = (Postgres, Redis, Minio)
    return [
        pod.full_name
        for pod in environment.application.pods
        if isinstance(pod, Workload) and not isinstance(pod, stores)
    ]


def stop_clients(environment: Environment, kubectl: Kubectl, pause: float = 3) -> None:
    """Scale everything but the stores to zero, and wait until no such pod is left.

    Raises:
        OperationError: Pods are still there after the time they are given.
    """
    names = clients_of(environment)
    kubectl.do("scale", "--replicas=0", *(f"deployment/{name}" for name in names))
    selector = f"--selector=app.kubernetes.io/name in ({','.join(names)})"
    give_up = time.monotonic() + DRAIN
    while left := running(kubectl, selector):
        if time.monotonic() > give_up:
            raise OperationError(f"These pods do not stop: {', '.join(left)}. make k8s-describe-failing")
        show(f"waiting for {len(left)} pods to end: {', '.join(left)}")
        time.sleep(pause)
    show("No client of the stores runs any more. The stores do, with all data.")


def running(kubectl: Kubectl, selector: str) -> list[str]:
    """The pods that a selector finds and that have not ended."""
    found = json.loads(kubectl.output("get", "pods", selector, "--output=json"))
    return [
        name_of(pod) for pod in each(found, "items") if at(pod, "status").get("phase") not in ("Succeeded", "Failed")
    ]


def start_compose(compose: Compose, services: Sequence[str] = ()) -> None:
    """Start the Compose stack, or some of its services, and wait until their health checks pass."""
    require("docker")
    compose.do("up", "--detach", "--wait", "--wait-timeout=300", *services)
