"""This module is whose turn it is: of two commands that change data or keys of an application at once, one is refused.

Each move stops the clients, removes what an earlier one has left, and puts data in the place of others. Of two
rotations of one key the Secret would have the value of one, and the server that of the other. A ConfigMap says who is
at it: whoever makes it first. It goes when the command ends. That of a process of this machine that was killed is taken
over.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from mcpmesh_k8s.kubernetes import at

from .environment import Environment
from .programs import Kubectl, OperationError


@contextmanager
def turn(environment: Environment, kubectl: Kubectl, doing: str) -> Generator[None]:
    """Be the only one that changes data or keys, while the block runs.

    Args:
        environment: Whose.
        kubectl: Where they are.
        doing: The command.

    Raises:
        OperationError: Another one is at it.
    """
    name = _name(environment)
    said = {
        "by": _here(),
        "process": f"{os.getpid()}",
        "doing": doing,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    made = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": said})
    if not _made(kubectl, made):
        require_nobody(environment, kubectl)
        kubectl.output("delete", "configmap", name, "--ignore-not-found")
        if not _made(kubectl, made):
            require_nobody(environment, kubectl)
    try:
        yield
    finally:
        with suppress(OperationError):  # a cluster that is away: what went wrong before is the thing to know
            kubectl.output("delete", "configmap", name, "--ignore-not-found")


def require_nobody(environment: Environment, kubectl: Kubectl) -> None:
    """Refuse to begin while another command changes data or keys.

    Raises:
        OperationError: It does, as far as can be seen from here.
    """
    if other := who_is_at_it(environment, kubectl):
        raise OperationError(other)


def who_is_at_it(environment: Environment, kubectl: Kubectl) -> str:
    """Who changes data or keys since when, and what ends that where it was killed; empty when nobody does."""
    name = _name(environment)
    other = at(kubectl.read("configmap", name, "--ignore-not-found"), "data")
    if not other or (other.get("by") == _here() and not _runs(str(other.get("process")))):
        return ""
    by = f"{other.get('by')}, process {other.get('process')}, since {other.get('since')}"
    return (
        f"{other.get('doing')} of {environment.name} is at work ({by}), and changes its data or keys. Wait for it. "
        f"Where it was killed: {' '.join(kubectl.command('delete', 'configmap', name))}"
    )


def _name(environment: Environment) -> str:
    return environment.application.prefixed("data-move")


def _here() -> str:
    """Who works on which machine."""
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):  # a user whom nobody knows
        return platform.node()


def _made(kubectl: Kubectl, manifest: str) -> bool:
    """Whether it was made now; another one is there otherwise."""
    try:
        kubectl.output("create", "--filename=-", stdin=manifest)
    except OperationError as error:
        if "AlreadyExists" not in str(error):
            raise
        return False
    return True


def _runs(process: str) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except OSError:
        return True
    return True
