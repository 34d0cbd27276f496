"""This module is how a value of a Secret changes and reaches all who read it, in an order that keeps them running."""

from __future__ import annotations

import base64
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from mcpmesh_k8s.kubernetes import (
    ExternalSecrets,
    IssuedKey,
    Keeper,
    Pod,
    Rotation,
    SealedSecrets,
    Secret,
    SecretEntry,
    Store,
    Workload,
    at,
    each,
)

from .clients import wait_for_ends
from .deploy import begin_restart, wait_for
from .environment import Environment
from .moves import ClusterSide
from .pods import is_leaving
from .programs import Kubectl, OperationError, UsageError, require
from .secrets import new_value, put_values
from .terminal import progress, show

SYNC = 120
"""Seconds that the External Secrets Operator may take to fetch a value anew."""


def rotate(environment: Environment, kubectl: Kubectl, name: str, key: str, *, present: bool, pause: float = 1) -> None:
    """Give a key of a Secret another value, and bring it to the program that checks it and to all who read it.

    Args:
        environment: Whose Secret.
        kubectl: The cluster.
        name: The Secret, by its short name.
        key: The key.
        present: Whether the value that the Secret has by now is the new one.
        pause: Seconds between two looks at the operator that fetches.

    Raises:
        UsageError: There is no such Secret or key.
        OperationError: The value cannot change from here, or a step failed. All of it can be given again.
    """
    secret = secret_of(environment, name, key)
    keeper, rotation = rotation_of(environment, kubectl, secret, key)
    keys = rotation.keys if rotation else (key,)
    held = {entry.reference: entry for entry in environment.application.secret_keys()}
    entries = [held[secret.key(one)] for one in keys]
    readers = readers_of(environment, entries, keeper if rotation and not rotation.restarts else None)
    if keeper and keeper in readers and isinstance(keeper, Store) and not keeper.claims:
        raise OperationError(
            f"{keeper.name} would have to restart, and its data lie in its pod: they would be lost. Give the value by "
            f"make k8s-secrets REPLACE={secret.variable(key)}; it holds from the next start on."
        )
    source = secret.settings.source
    if isinstance(source, SealedSecrets) and not present:
        commands = "; ".join(secret.seal_command(one) for one in keys)
        raise OperationError(
            f"{secret.full_name} is sealed in the repository. Put what this prints into the settings: {commands}. Then "
            "deploy, and give this command again with PRESENT=1."
        )
    if rotation:
        require(others=rotation.programs)
    old = values_of(kubectl, secret.full_name, keys)
    if rotation:
        show(f"{secret.full_name}, {' and '.join(keys)}: {rotation.meanwhile}")
    if present:
        new = old
    elif isinstance(source, ExternalSecrets):
        new = fetched(kubectl, secret, keys, old, pause)
    else:
        new = {entry.reference.key: new_value(entry) for entry in entries}
    if any(not value or "\n" in value for value in new.values()):
        raise OperationError(
            f"The new value for {' or '.join(keys)} of {secret.full_name} is empty, or has several lines."
        )
    if rotation:
        rotation.admit(new)
    if new != old and not isinstance(source, ExternalSecrets):
        put_values(kubectl, secret.full_name, new)
    with _finished_later(secret, key):
        # New pods wait for a password that is not yet valid, and the old ones serve meanwhile.
        begun = begin_restart(environment, kubectl, [reader.name for reader in readers]) if readers else []
        if rotation:
            rotation.replace(new)
        wait_for(environment, kubectl, (), begun)
        if rotation:
            if readers:
                # A pod of before ends what is under way with the old value.
                wait_for_ends(kubectl, readers, is_leaving, pause)
            rotation.dismiss(old, new)
    report(entries, [reader.name for reader in readers])


@contextmanager
def _finished_later(secret: Secret, key: str) -> Generator[None]:
    """Say how the rest is done, where it stops after the Secret has the new value."""
    try:
        yield
    except BaseException:
        show(
            f"{secret.full_name} has the new value, and not everybody knows it yet. To finish: make k8s-rotate "
            f"NAME={secret.name} KEY={key} PRESENT=1"
        )
        raise


def secret_of(environment: Environment, name: str, key: str) -> Secret:
    """The Secret of this name, which has this key.

    Raises:
        UsageError: There is none.
    """
    secrets = environment.application.find_all(Secret)
    secret = next((one for one in secrets if name in (one.name, one.full_name)), None)
    if secret is None:
        raise UsageError(f"There is no Secret {name!r}, only: {', '.join(one.name for one in secrets)}.")
    if key not in secret.settings.key_names:
        raise UsageError(f"{secret.full_name} has no key {key!r}, only: {', '.join(secret.settings.key_names)}.")
    return secret


def rotation_of(
    environment: Environment, kubectl: Kubectl, secret: Secret, key: str
) -> tuple[Pod | None, Rotation | None]:
    """Who checks the value of a key, and how that program takes another; nobody where all who know it only read it."""
    side = ClusterSide(kubectl=kubectl)
    for pod in environment.application.pods:
        if isinstance(pod, Keeper) and (rotation := pod.rotation(secret.key(key), side)):
            return pod, rotation
    return None, None


def readers_of(environment: Environment, entries: Sequence[SecretEntry], spared: Pod | None) -> list[Workload]:
    """The workloads that read keys and must be restarted, in the order they were made.

    What runs as a task reads them when it runs next.
    """
    names = {reader for entry in entries for reader in entry.readers}
    pods = environment.application.pods
    return [pod for pod in pods if isinstance(pod, Workload) and pod.name in names and pod is not spared]


def values_of(kubectl: Kubectl, name: str, keys: Sequence[str]) -> dict[str, str]:
    """What a Secret holds. It is never shown.

    Raises:
        OperationError: There is no such Secret, or it lacks a key.
    """
    data: Mapping[str, object] = at(kubectl.read("secret", name), "data")
    missing = [key for key in keys if key not in data]
    if missing:
        raise OperationError(f"{name} has no {', '.join(missing)} yet. Make it first: make k8s-secrets")
    return {key: base64.b64decode(str(data[key])).decode() for key in keys}


def fetched(
    kubectl: Kubectl, secret: Secret, keys: Sequence[str], old: Mapping[str, str], pause: float
) -> dict[str, str]:
    """The values once the External Secrets Operator has fetched them anew.

    Raises:
        OperationError: It does not, or the store has no other value than before.
    """
    name = f"externalsecret/{secret.full_name}"
    before = at(kubectl.read(name), "status").get("refreshTime")
    kubectl.output("annotate", name, f"force-sync={time.time_ns()}", "--overwrite")
    give_up = time.monotonic() + SYNC
    with progress(f"{name} is fetched"):
        while True:
            status = at(kubectl.read(name), "status")
            conditions = list(each(status, "conditions"))
            ready = [one for one in conditions if one.get("type") == "Ready"]
            if status.get("refreshTime") != before and any(one.get("status") == "True" for one in ready):
                break
            if time.monotonic() > give_up:
                said = "; ".join(str(one.get("message", one.get("reason"))) for one in ready) or "nothing"
                raise OperationError(f"{name} was not fetched within {SYNC} seconds. The operator says: {said}.")
            time.sleep(pause)
    new = values_of(kubectl, secret.full_name, keys)
    if new == old:
        raise OperationError(
            f"The store has no other value for {' or '.join(keys)} of {secret.remote_key}. Change it there, then give "
            "this again; where the Secret had it before, with PRESENT=1."
        )
    return new


def report(entries: Sequence[SecretEntry], restarted: Sequence[str]) -> None:
    """Say who has the new value, and what is left to do."""
    readers = dict.fromkeys(reader for entry in entries for reader in entry.readers)
    show(f"restarted: {', '.join(restarted) or 'nobody'}")
    later = [name for name in readers if name not in restarted]
    if later:
        show(f"read it when they start or run next: {', '.join(later)}")
    for entry in entries:
        if isinstance(entry.origin, IssuedKey):
            show(f"The old value is valid until it is revoked: {entry.origin.issued_by}")
