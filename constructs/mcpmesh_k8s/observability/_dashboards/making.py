"""This module is the list of dashboards, and how they become what Grafana reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from importlib import import_module

from mcpmesh_k8s.kubernetes import ApplicationScope

from .agents import agents, models
from .alerts import alerts
from .budget import budget
from .calls import calls
from .gateway import gateway
from .logs import logs
from .overview import overview
from .parts import Dashboard
from .seen import Seen
from .stores import stores

ABOUT: dict[str, tuple[Callable[[Seen], Dashboard], Callable[[Seen], object]]] = {
    "overview": (overview, lambda _: True),
    "gateway": (gateway, lambda seen: seen.gateways),
    "calls": (calls, lambda seen: seen.agents),
    "agents": (agents, lambda seen: seen.agents),
    "models": (models, lambda seen: seen.models),
    "stores": (stores, lambda _: True),
    "budget": (budget, lambda _: True),
    "logs": (logs, lambda _: True),
    "alerts": (alerts, lambda _: True),
}
"""The dashboards by their names, in the order people look at them, each with whether there is what it is about."""


def made(application: ApplicationScope, sources: Collection[str], without: Collection[str] = ()) -> Iterator[Dashboard]:
    """The dashboards of an application, as far as there is something to see.

    Args:
        application: With all of its components.
        sources: The uids of the data sources that Grafana has. No panel needs another.
        without: The names of those that are left out.
    """
    seen = Seen(application)
    for name, (make, is_there) in ABOUT.items():
        if name not in without and is_there(seen):
            dashboard = make(seen).only(set(sources))
            if seen.confined:
                dashboard = dashboard.confined(application.settings.namespace)
            if dashboard.rows:
                yield dashboard


def rendered(dashboard: Dashboard) -> str:
    """A dashboard as JSON. Grafana's builder is imported now: it takes a twentieth of a synthesis."""
    write: Callable[[Dashboard], str] = import_module("mcpmesh_k8s.observability._dashboards.rendering").rendered
    return write(dashboard)
