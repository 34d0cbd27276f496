"""This module is the proof of the dashboards: Grafana's builder takes them, and a real Prometheus answers every panel.

What Prometheus holds is ``recorded/``: names and labels as programs print them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ai_interviewer import PROD, AiInterviewer
from mcpmesh_k8s import Agent, MetricsEndpoint, PodExtras, Port, Tempo
from mcpmesh_k8s.observability.dashboards import made, rendered
from recorded_metrics import Store, recorded_store

ALL = {"prometheus", "tempo", "loki"}
Json = dict[str, Any]
Manifests = list[Mapping[str, Any]]


@dataclass(frozen=True)
class Whole:
    """An application with everything that a dashboard may be about."""

    application: AiInterviewer
    manifests: Manifests
    dashboards: dict[str, Json]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Generator[Whole, None, None]:
    """Production, with counted spans and an exporter beside PostgreSQL."""
    measured = PodExtras(ports=(Port(name="metrics", number=9999),), metrics=(MetricsEndpoint(),))
    environment = replace(PROD, postgres=replace(PROD.postgres, extras=measured))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tempo, "span_metrics", True)
        application = AiInterviewer(environment, outdir=tmp_path_factory.mktemp("whole") / "out")
        manifests = [one for phase in application.manifests().values() for one in phase]
        made = {one.uid: json.loads(rendered(one)) for one in made(application, ALL)}
        yield Whole(application, manifests, made)


@pytest.fixture(scope="module")
def store(
    whole: Whole, needs_prometheus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Store, None, None]:
    """What Prometheus knows of it."""
    agents = [agent.name for agent in whole.application.find_all(Agent)]
    with recorded_store(whole.manifests, agents, tmp_path_factory.mktemp("store")) as running:
        yield running


def panels(dashboard: Json) -> Iterator[Json]:
    """Its panels, without the headings."""
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def asked(text: str) -> str:
    """A question as Grafana would ask it, with everything chosen."""
    for name, value in {
        "$__rate_interval": "4m",
        "$__range": "2h",
        "$__auto": "1m",
        "$slow": "5s",
        "$request": ".*",
        "$text": "",
    }.items():
        text = text.replace(name, value)
    return re.sub(r"\$(agent|service|workload|level)\b", ".*", text)


def test_every_question_to_prometheus_is_answered(whole: Whole, store: Store) -> None:
    silent = [
        f"{uid}: {panel['title']}: {asked(target['expr'])}"
        for uid, dashboard in whole.dashboards.items()
        for panel in panels(dashboard)
        for target in panel["targets"]
        if target.get("expr") and panel["datasource"]["uid"] == "prometheus"
        if not store.now(asked(target["expr"]))
    ]
    assert silent == []
