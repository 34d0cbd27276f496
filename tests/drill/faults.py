"""This module is what becomes pending when something is stopped, written out by hand."""

from __future__ import annotations

from dataclasses import dataclass

Pending = frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that is stopped.

    Args:
        what: What happens, for people.
        stops: What is stopped, by its name in the stack.
        alerts: What becomes pending and nothing else: the alert, and whom it is about.
        killed: Whether it has no time to say so.
        asked: How many people come while it lasts, whom the gateway must ask the login about.
    """

    what: str
    stops: str
    alerts: Pending
    killed: bool = False
    asked: int = 0


FAULTS = (
    Fault(what="Redis is stopped", stops="redis", alerts=frozenset({("RedisUnreachable", "redis")})),
    Fault(
        what="PostgreSQL is stopped, so the registry does not answer",
        stops="postgres",
        alerts=frozenset({("PostgresUnreachable", "postgres"), ("ServiceNotAnswering", "registry")}),
    ),
    Fault(what="the registry is stopped", stops="registry", alerts=frozenset({("ServiceNotAnswering", "registry")})),
    Fault(
        what="an agent is killed",
        stops="pdf-extractor",
        alerts=frozenset({("AgentNotInMesh", "pdf-extractor"), ("TargetDown", "pdf-extractor")}),
        killed=True,
    ),
    Fault(what="the backend is stopped", stops="backend", alerts=frozenset({("ServiceNotAnswering", "backend")})),
    Fault(
        what="the kubelet of a node is silent",
        stops="node-1",
        alerts=frozenset({("NodeLost", "kubelet"), ("TargetDown", "kubelet"), ("TargetDown", "cadvisor")}),
    ),
    Fault(
        what="the exporter of Redis is stopped",
        stops="redis exporter",
        alerts=frozenset({("TargetDown", "redis")}),
    ),
    Fault(
        what="the exporter of PostgreSQL is stopped",
        stops="postgres exporter",
        alerts=frozenset({("TargetDown", "postgres")}),
    ),
    Fault(
        what="nobody answers at the public address",
        stops="public address",
        alerts=frozenset({("PublicAddressUnreachable", "public-address")}),
    ),
    Fault(what="the blackbox exporter is stopped", stops="blackbox", alerts=frozenset({("TargetDown", "blackbox")})),
    Fault(what="Alertmanager is stopped", stops="alertmanager", alerts=frozenset({("TargetDown", "alertmanager")})),
    Fault(
        what="the login is stopped while people come",
        stops="login",
        alerts=frozenset({("TargetDown", "oauth2-proxy"), ("LoginNotAnswering", "")}),
        asked=7,
    ),
)
