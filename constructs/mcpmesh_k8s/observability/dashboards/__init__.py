"""This module is the dashboards of an application: what there is to see of it, for Grafana."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

__all__ = ["dashboards", "rendered"]


def dashboards(application: ApplicationScope, sources: set[str]) -> Iterator[Dashboard]:
    """The dashboards of an application, in the order people look at them.

    Args:
        application: With all of its components.
        sources: The uids of the data sources that Grafana has. No panel needs another.
    """
    seen = Seen(application)
    made = [overview(seen)]
    if seen.gateways:
        made.append(gateway(seen))
    made.append(calls(seen))
    if seen.agents:
        made.append(agents(seen))
    if seen.models:
        made.append(models(seen))
    made += [stores(seen), budget(seen), logs(seen), alerts(seen)]
    for dashboard in made:
        left = dashboard.only(sources)
        if left.rows:
            yield left


def rendered(dashboard: Dashboard) -> str:
    """A dashboard as JSON. Grafana's builder is imported now: it takes a twentieth of a synthesis."""
    write: Callable[[Dashboard], str] = import_module(f"{__name__}.rendering").rendered
    return write(dashboard)
