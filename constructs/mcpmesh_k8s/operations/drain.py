"""This module is the drain of a mesh: no job is begun any more, and those that run end, before its registry goes away.

A registry remembers in memory that it is drained, each pod for itself, and a new pod does not know of it. So every pod
is told, by the port that no Service has: kubectl leads to it, and who may forward ports of this pod may drain it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mcpmesh_k8s.kubernetes import at, name_of
from mcpmesh_k8s.services import Registry

from .environment import Environment
from .health import ask, expect_ok
from .pods import is_leaving, there
from .programs import Kubectl, OperationError, UsageError
from .terminal import progress, show

_PATH = "/admin/drain"


@dataclass(frozen=True, kw_only=True)
class State:
    """What a pod of a registry says of itself.

    Args:
        draining: Whether it gives no job to anybody.
        jobs: How many jobs somebody works on, in the whole mesh.
    """

    draining: bool
    jobs: int


def registries_of(environment: Environment) -> tuple[Registry, ...]:
    """The registries that can be drained.

    Raises:
        UsageError: There is none.
    """
    found = tuple(one for one in environment.application.components if isinstance(one, Registry))
    if not found:
        raise UsageError(f"{environment.name} has no registry.")
    for registry in found:
        if not registry.release.admin_port:
            raise UsageError(
                f"{registry.full_name} is of MCP Mesh {registry.release.value}, which knows no jobs: there is nothing "
                "to drain."
            )
    return found


def drain(environment: Environment, kubectl: Kubectl, seconds: float, pause: float = 3) -> None:
    """Have no registry give a job to anybody, and wait until nobody works on one.

    Args:
        environment: The environment.
        kubectl: Where it runs.
        seconds: How long jobs may take to end.
        pause: Seconds between two looks.

    Raises:
        UsageError: No registry can be drained.
        OperationError: Jobs run longer. They go on, and the registries stay drained.
    """
    registries = registries_of(environment)
    give_up = time.monotonic() + seconds
    with progress("jobs end"):
        while jobs := max(_told(kubectl, registry, _drained) for registry in registries):
            if time.monotonic() > give_up:
                raise OperationError(
                    f"{jobs} jobs still run after {seconds:g} seconds. They go on, and no other is begun: wait again, "
                    "or make k8s-undrain."
                )
            show(f"waiting for {jobs} jobs to end")
            time.sleep(pause)
    show("No job runs, and none is begun: upgrade now. A pod of the registry that begins anew gives jobs again.")


def undrain(environment: Environment, kubectl: Kubectl) -> None:
    """Have every registry give jobs again.

    Raises:
        UsageError: No registry can be drained.
    """
    for registry in registries_of(environment):
        _told(kubectl, registry, _undrained)
    show("Jobs are begun again.")


def _told(kubectl: Kubectl, registry: Registry, tell: Callable[[str, str], State]) -> int:
    """Tell something to every pod of a registry. How many jobs somebody works on, as the last one says.

    Raises:
        OperationError: None of its pods runs, or one does not answer.
    """
    pods = [name_of(pod) for pod in there(kubectl, [registry]) if runs(pod)]
    if not pods:
        raise OperationError(f"No pod of {registry.full_name} runs: make k8s-status")
    jobs = 0
    for pod in pods:
        with kubectl.forwarded(f"pod/{pod}", registry.release.admin_port) as port:
            jobs = tell(pod, f"http://{pod}:{port}{_PATH}").jobs
    return jobs


def runs(pod: Mapping[str, object]) -> bool:
    """Whether a pod can be told something."""
    return at(pod, "status").get("phase") == "Running" and not is_leaving(pod)


def _drained(pod: str, url: str) -> State:
    """The state of a pod, which is drained now."""
    state = _state(pod, url, "GET")
    if not state.draining:
        _state(pod, url, "POST")
        show(f"{pod} gives no job to anybody")
        # What that counted may be without a job that it gave meanwhile.
        state = _state(pod, url, "GET")
    return state


def _undrained(pod: str, url: str) -> State:
    """The state of a pod, which gives jobs again. Each is said: the next one may not answer."""
    state = _state(pod, url, "DELETE")
    show(f"{pod} gives jobs again")
    return state


def _state(pod: str, url: str, method: str) -> State:
    body = expect_ok(url, ask(url, address="127.0.0.1", method=method))
    try:
        said = json.loads(body)
        return State(draining=bool(said["draining"]), jobs=int(said["live_claims"]))
    except (ValueError, KeyError, TypeError):
        raise OperationError(f"{pod} does not say whether it is drained: {body[:60]!r}") from None
