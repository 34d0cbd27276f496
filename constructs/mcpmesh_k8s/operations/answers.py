"""This module is what the commands answer to a script, as JSON: ``--json``.

``docs/answers.schema.json`` is the schema of these classes. A field is added now and then; none changes its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Service:
    """A workload or a task, as it runs.

    Args:
        name: Its short name, such as ``backend``.
        kind: What controls its pods: ``Deployment``, ``StatefulSet``, ``Job`` or ``CronJob``.
        wanted: Pods that there should be.
        ready: Pods that are ready; of a Job those that succeeded, of a CronJob 1 unless its last run did not.
        restarts: How often containers of its pods were started again.
        created: When its youngest pod was made, in UTC, such as ``2026-01-31T12:00:00Z``; empty without pods.
        image: The image of its main container, as the cluster has it; empty when the cluster has none.
        wrong: What is wrong with it; empty when it is well.
    """

    name: str
    kind: str
    wanted: int
    ready: int
    restarts: int
    created: str
    image: str
    wrong: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """What runs.

    Args:
        environment: The environment's name.
        context: The kubectl context that was asked.
        namespace: The namespace.
        services: What is rendered, in the order it is deployed, then what is no longer rendered.
    """

    environment: str
    context: str
    namespace: str
    services: tuple[Service, ...]


@dataclass(frozen=True, kw_only=True)
class ShownWorkload:
    """A workload or a task, as the typed application says.

    Args:
        name: Its short name.
        image: The image of its main container.
        ports: The ports of its containers.
        dockerfile: The Dockerfile it is built from, below the application's checkout; empty when it is not built.
    """

    name: str
    image: str
    ports: tuple[int, ...]
    dockerfile: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the typed application says.

    Args:
        environment: The environment's name.
        workloads: Its workloads and tasks, in the order they are deployed.
    """

    environment: str
    workloads: tuple[ShownWorkload, ...]


@dataclass(frozen=True, kw_only=True)
class Address:
    """A path that people can reach.

    Args:
        path: The path; with a slash at its end it is all below it.
        service: The workload that answers.
        audience: Who may use it: ``public``, ``signed-in`` or ``administrator``.
        url: Where it is.
    """

    path: str
    service: str
    audience: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the application is reached.

    Args:
        environment: The environment's name.
        addresses: Every route of every gateway.
    """

    environment: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Args:
        check: What was checked.
        passed: Whether it is as it must be.
        found: What was found.
    """

    check: str
    passed: bool
    found: str


@dataclass(frozen=True, kw_only=True)
class Health:
    """What all checks found.

    Args:
        environment: The environment's name.
        passed: Whether all passed. If not, the exit status is 1.
        findings: What each check found.
    """

    environment: str
    passed: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class HeldKey:
    """A key of a Secret in the cluster. No value is ever told.

    Args:
        secret: The Secret.
        key: The key in it.
        variable: The variable of a ``.env`` file.
        origin: Where its value is from, such as ``made up``.
        readers: The workloads that read it.
    """

    secret: str
    key: str
    variable: str
    origin: str
    readers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StoredKey:
    """A value that a store of secrets must hold.

    Args:
        key: The key in the store.
        property: The property of it.
        origin: Who issues it, or how it is made up.
        readers: The workloads that read it.
    """

    key: str
    property: str
    origin: str
    readers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What the Secrets of an environment hold, and where it is from.

    Args:
        environment: The environment's name.
        keys: The keys that are put into the cluster from here.
        stored: The keys that an operator copies from a store.
    """

    environment: str
    keys: tuple[HeldKey, ...]
    stored: tuple[StoredKey, ...]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Something of an export, and how much of it was found.

    Args:
        what: A table, a sequence, keys, objects.
        exported: How many the export holds; -1 when it holds no such thing.
        found: How many there are; -1 when there is no such thing.
        checksum: The first letters of the checksum of what was found; empty where there is none.
        same: Whether they are the same.
    """

    what: str
    exported: int
    found: int
    checksum: str
    same: bool


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a comparison with an export found.

    Args:
        environment: The environment's name.
        folder: The folder of the export.
        same: Whether all is the same. If not, the exit status is 1.
        compared: Everything that was compared.
    """

    environment: str
    folder: str
    same: bool
    compared: tuple[Compared, ...]


ANSWERS = {
    "status": Status,
    "show": Shown,
    "urls": Addresses,
    "test-health": Health,
    "test-mcp-tools": Health,
    "secrets": Secrets,
    "verify-data": Verification,
}
"""What each command that takes ``--json`` answers."""
