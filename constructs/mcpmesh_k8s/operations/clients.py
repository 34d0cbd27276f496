"""This module is the clients of the stores: stopped before data move, and started again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence

from mcpmesh_k8s.kubernetes import Pod, Store, Task, Workload, name_of

from .environment import Environment
from .moves import ComposeSide, Stores
from .pods import there
from .programs import Kubectl, OperationError, stream
from .terminal import progress, show

SLACK = 70
"""Seconds that a pod may take to be gone, beside those until it is killed."""


def clients_of(environment: Environment) -> list[Workload]:
    """All workloads that may write to a store, in the order they were made."""
    return [pod for pod in environment.application.pods if isinstance(pod, Workload) and not isinstance(pod, Store)]


def stop_clients(environment: Environment, kubectl: Kubectl, pause: float = 3) -> None:
    """Scale everything but the stores to zero, and wait until no such pod is left.

    A task that runs ends by itself. None starts by its schedule.

    Raises:
        OperationError: Pods are still there after the time they are given.
    """
    clients = clients_of(environment)
    tasks = [pod for pod in environment.application.pods if isinstance(pod, Task)]
    suspend(environment, kubectl, True)
    if clients:
        kubectl.do("scale", "--replicas=0", *(client.reference for client in clients))
    if not (clients or tasks):
        return
    with progress("the clients of the stores end"):
        wait_for_ends(kubectl, (*clients, *tasks), lambda _: True, pause)
    show("No client of the stores runs any more. The stores do, with all data.")


def start_clients(environment: Environment, kubectl: Kubectl) -> None:
    """Scale everything back to what is rendered, in the order of the phases; an autoscaler goes on from there."""
    for client in clients_of(environment):
        kubectl.do("scale", f"--replicas={client.availability.scale.least}", client.reference)
    suspend(environment, kubectl, False)


def suspend(environment: Environment, kubectl: Kubectl, stopped: bool) -> None:
    """Let no task with a schedule start by itself, or let them again."""
    patch = json.dumps({"spec": {"suspend": stopped}})
    for task in environment.application.find_all(Task):
        if task.schedule:
            kubectl.do("patch", task.reference, "--type=merge", f"--patch={patch}")


def stop_compose(compose: ComposeSide, stores: Stores) -> None:
    """Start the stores of the Compose stack, and stop everything else of it.

    Raises:
        OperationError: Docker cannot.
    """
    start_compose(compose, stores.names)
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


def wait_for_ends(
    kubectl: Kubectl, owners: Sequence[Pod], which: Callable[[Mapping[str, object]], bool], pause: float = 3
) -> None:
    """Wait until pods of these are gone: each has the time that it is given to end what is under way.

    Args:
        kubectl: Where they run.
        owners: What they are pods of.
        which: Whether a pod is waited for.
        pause: Seconds between two looks.

    Raises:
        OperationError: Pods are still there after that time.
    """
    give_up = time.monotonic() + max(owner.grace_seconds for owner in owners) + SLACK
    while left := [name_of(pod) for pod in there(kubectl, owners) if which(pod)]:
        if time.monotonic() > give_up:
            raise OperationError(f"These pods do not stop: {', '.join(left)}. make k8s-describe-failing")
        show(f"waiting for {len(left)} pods to end: {', '.join(left)}")
        time.sleep(pause)
