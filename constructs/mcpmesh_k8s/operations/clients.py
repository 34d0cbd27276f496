"""This module is the clients of the stores: stopped before data move, and started again."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from mcpmesh_k8s.kubernetes import Replicas, Workload, at, each, name_of
from mcpmesh_k8s.services import Minio, Postgres, Redis

from .environment import Environment
from .programs import Kubectl, OperationError, stream
from .stores import ComposeSide, Stores
from .terminal import progress, show

DRAIN = 400
"""Seconds until every client has stopped: the longest call takes 300, and pods are given 30 more."""


def clients_of(environment: Environment) -> list[Workload]:
    """All workloads that may write to a store, in the order they were made."""
    stores = (Postgres, Redis, Minio)
    return [pod for pod in environment.application.pods if isinstance(pod, Workload) and not isinstance(pod, stores)]


def stop_clients(environment: Environment, kubectl: Kubectl, pause: float = 3) -> None:
    """Scale everything but the stores to zero, and wait until no such pod is left.

    Raises:
        OperationError: Pods are still there after the time they are given.
    """
    names = [client.full_name for client in clients_of(environment)]
    kubectl.do("scale", "--replicas=0", *(f"deployment/{name}" for name in names))
    selector = f"--selector=app.kubernetes.io/name in ({','.join(names)})"
    give_up = time.monotonic() + DRAIN
    with progress("the clients of the stores end"):
        while left := running(kubectl, selector):
            if time.monotonic() > give_up:
                raise OperationError(f"These pods do not stop: {', '.join(left)}. make k8s-describe-failing")
            show(f"waiting for {len(left)} pods to end: {', '.join(left)}")
            time.sleep(pause)
    show("No client of the stores runs any more. The stores do, with all data.")


def start_clients(environment: Environment, kubectl: Kubectl) -> None:
    """Scale everything back to what is rendered, in the order of the phases; an autoscaler goes on from there."""
    for client in clients_of(environment):
        scale = client.availability.scale
        count = scale.count if isinstance(scale, Replicas) else scale.minimum
        kubectl.do("scale", f"--replicas={count}", f"deployment/{client.full_name}")


def stop_compose(compose: ComposeSide, stores: Stores) -> None:
    """Start the stores of the Compose stack, and stop everything else of it.

    Raises:
        OperationError: Docker cannot.
    """
    names = [server.service for server in (stores.postgres, stores.redis, stores.minio)]
    start_compose(compose, names)
    others = compose.running_clients(stores)
    if others and stream(compose.compose("stop", *others)):
        raise OperationError("docker compose stop failed: see above.")


def start_compose(compose: ComposeSide, services: Sequence[str] = ()) -> None:
    """Start the Compose stack, or some of its services, and wait until their health checks pass.

    Raises:
        OperationError: Docker cannot, or a health check does not pass.
    """
    with progress("docker compose up"):
        failed = stream(compose.compose("up", "--detach", "--wait", "--wait-timeout", "300", *services))
    if failed:
        raise OperationError("docker compose up failed: see above.")


def running(kubectl: Kubectl, selector: str) -> list[str]:
    """The pods that a selector finds and that have not ended."""
    found = json.loads(kubectl.output("get", "pods", selector, "--output=json"))
    return [
        name_of(pod) for pod in each(found, "items") if at(pod, "status").get("phase") not in ("Succeeded", "Failed")
    ]
