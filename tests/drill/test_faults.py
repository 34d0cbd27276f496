"""This module is the proof that what is rendered watches: on real programs, each of which is stopped in turn.

Everything that Prometheus shall ask answers, every rule finds what it asks for, and for each fault exactly the alerts
of the table become pending, and go when it is over. What is asked each half minute is asked each second here, and
nothing else is changed: each alert waits as long as it says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from conftest import Manifests, requires
from drill.faults import FAULTS, Fault
from drill.stack import Stack, watched_stack
from mcpmesh_k8s import OpenIdConnect
from mesh_harness import Manifest, eventually, find
from test_login_runtime import ISSUER, render
from watching_harness import PREFIX, RunningPrometheus, rendered_jobs, running_prometheus

pytestmark = requires("nginx", "postgresql", "redis", "mesh", "oauth2_proxy", "watching", "mesh_registry")
SOON = 60.0
"""Seconds within which a fault is seen: a registry waits 20 until it takes an agent for gone."""

STILL = 4.0
"""Seconds for which nothing else may become pending then: four questions to everything."""

CALM = {("Watchdog", ""): "firing"}


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory, manifests: Manifests) -> Sequence[Manifest]:
    """Production, with a provider that can be played: what is watched is the same."""
    rendered = render(tmp_path_factory.mktemp("prod"), OpenIdConnect(issuer=ISSUER))
    for name in ("prometheus", "blackbox", "alertmanager"):
        told = find(manifests("prod"), "ConfigMap", PREFIX + name)["data"]
        assert find(rendered, "ConfigMap", PREFIX + name)["data"] == told
    return rendered


@pytest.fixture(scope="module")
def stack(
    production: Sequence[Manifest], needs_mesh: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Stack, None, None]:
    folder = tmp_path_factory.mktemp("stack")
    with watched_stack(production, folder, needs_mesh, "http://127.0.0.1:9/") as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(
    production: Sequence[Manifest], stack: Stack, needs_watching: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[RunningPrometheus, None, None]:
    folder = tmp_path_factory.mktemp("prometheus")
    with running_prometheus(production, folder, [str(needs_watching)], stack.places) as running:
        yield running


def test_every_target_comes_up(production: Sequence[Manifest], prometheus: RunningPrometheus) -> None:
    wanted = set(rendered_jobs(production))
    assert eventually(lambda: set(prometheus.up()) == wanted and all_up(prometheus), SOON), prometheus.up()


def all_up(prometheus: RunningPrometheus) -> bool:
    return all(said == "" for targets in prometheus.up().values() for said in targets)


def test_all_is_calm(prometheus: RunningPrometheus) -> None:
    assert eventually(lambda: prometheus.alerts() == CALM, SOON), prometheus.alerts()
