"""This module is the proof that what is rendered watches: on real programs, each of which is stopped in turn.

Everything that Prometheus shall ask answers, every rule finds what it asks for, and for each fault exactly the alerts
of the table become pending, and go when it is over. What is asked each half minute is asked each two seconds here,
and nothing else is changed: each alert waits as long as it says.
"""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest

from conftest import Manifests, requires
from drill.faults import FAULTS, Fault
from drill.stack import Stack, watched_stack
from environments import EVERY, WITH_LOGIN
from gateway_harness import StubUpstream
from mcpmesh_k8s import OpenIdConnect
from mesh_harness import LOCALHOST, Manifest, eventually, find
from programs import ROOT
from test_login_runtime import ISSUER, render
from watching_harness import PREFIX, Json, RunningPrometheus, rendered_jobs, running_prometheus

pytestmark = requires(
    *("nginx", "postgresql", "postgres_exporter", "redis", "mesh", "oauth2_proxy", "watching", "mesh_registry")
)
PROD = WITH_LOGIN[0]
SOON = 90.0
"""Seconds within which a fault is seen: a registry waits 20 until it takes an agent for gone."""

STILL = 6.0
"""Seconds for which nothing else may become pending then: three questions to everything."""

CALM = {("Watchdog", ""): "firing"}


@pytest.fixture(scope="module")
def production(manifests: Manifests) -> Sequence[Manifest]:
    """Production, with a provider that can be played: what is watched is the same."""
    rendered = render(OpenIdConnect(issuer=ISSUER))
    for name in ("prometheus", "blackbox", "alertmanager"):
        told = find(manifests(PROD), "ConfigMap", PREFIX + name)["data"]
        assert find(rendered, "ConfigMap", PREFIX + name)["data"] == told
    return rendered


@pytest.fixture(scope="module")
def stack(
    production: Sequence[Manifest], needs_mesh: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Stack, None, None]:
    folder = tmp_path_factory.mktemp("stack")
    with StubUpstream("people") as people:
        told = f"http://{LOCALHOST}:{people.port}/"
        with watched_stack(production, folder, needs_mesh, told) as running:
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


def selectors(node: object) -> Iterator[Json]:
    """Every selector of an expression that Prometheus has parsed."""
    if isinstance(node, dict):
        if node.get("type") in ("vectorSelector", "matrixSelector"):
            yield node
        for inner in node.values():
            yield from selectors(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from selectors(inner)


def test_every_rule_is_evaluated_without_an_error_and_finds_what_it_asks_for(
    prometheus: RunningPrometheus, stack: Stack
) -> None:
    # The login counts from its first question on.
    come(stack, 1)
    assert eventually(lambda: bool(prometheus.query("oauth2_proxy_requests_total")), SOON)
    assert missed(prometheus) == ABSENT


@pytest.mark.parametrize("environment", [name for name in EVERY if name != PROD])
def test_another_environment_is_watched_by_its_own_configuration_too(
    manifests: Manifests, stack: Stack, environment: str, needs_watching: Path, tmp_path: Path
) -> None:
    """Its servers are called and labelled alike: it asks those of production."""
    rendered = manifests(environment)
    wanted = set(rendered_jobs(rendered))
    with running_prometheus(rendered, tmp_path, [str(needs_watching)], stack.places) as running:
        assert eventually(lambda: set(running.up()) == wanted and all_up(running), SOON), running.up()
        # Where nobody is told of alerts, none is dropped; where no public address is asked, there is no certificate.
        lacking = {
            "prometheus_notifications_dropped_total": "alertmanager",
            "probe_ssl_earliest_cert_expiry": "check-public-address",
            "probe_ssl_last_chain_expiry_timestamp_seconds": "check-public-address",
        }
        assert missed(running) <= ABSENT | {metric for metric, job in lacking.items() if job not in wanted}
        assert eventually(lambda: running.alerts() == CALM, SOON), running.alerts()


def missed(prometheus: RunningPrometheus) -> set[str]:
    """The metrics that rules ask for and nobody has told."""
    assert eventually(lambda: {rule["health"] for rule in prometheus.rules()} == {"ok"}, SOON), [
        rule for rule in prometheus.rules() if rule["health"] != "ok"
    ]
    absent = set[str]()
    for rule in prometheus.rules():
        found = list(selectors(prometheus.ask("parse_query", query=rule["query"])))
        assert found or rule["name"] == "Watchdog", rule["name"]
        for selector in found:
            matchers = selector["matchers"]
            # A value may be that of a bad day. What it is a value of must be there.
            labels = [matcher for matcher in matchers if matcher["name"] not in ("__name__", "job")]
            kept = [matcher for matcher in matchers if matcher not in labels]
            there = [f"{matcher['name']}{matcher['type']}{json.dumps(matcher['value'])}" for matcher in kept]
            there += [f'{matcher["name"]}!=""' for matcher in labels]
            if not prometheus.query(f"count({{{','.join(there)}}})"):
                absent.add(selector["name"] or next(m["value"] for m in matchers if m["name"] == "__name__"))
    return absent


ABSENT = {
    # Only when a container waits, was ended, or a Job has failed.
    "kube_pod_(init_)?container_status_waiting_reason",
    "kube_pod_container_status_last_terminated_reason",
    "kube_job_failed",
    # Only once a schedule has run to its end.
    "kube_cronjob_status_last_successful_time",
    # Only for an hour after a backup was made.
    "backup_bytes",
    # Tempo writes it, which is not there.
    "traces_spanmetrics_calls_total",
}
"""What rules ask for and a calm application does not say."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.stops)
def test_a_fault_makes_its_alerts_pending_and_no_others(
    prometheus: RunningPrometheus, stack: Stack, fault: Fault
) -> None:
    assert eventually(lambda: prometheus.alerts() == CALM, SOON), prometheus.alerts()
    expected = {**CALM, **dict.fromkeys(fault.alerts, "pending")}
    switch = stack.switches[fault.stops]
    began = time.monotonic()
    (switch.kill if fault.killed else switch.off)()
    try:
        come(stack, fault.asked)
        assert eventually(lambda: prometheus.alerts() == expected, SOON), prometheus.alerts()
        seconds = time.monotonic() - began
        assert not eventually(lambda: prometheus.alerts() != expected, STILL), prometheus.alerts()
    finally:
        switch.on()
    # So many that those who were not let in are few.
    come(stack, fault.asked * 20)
    assert eventually(lambda: prometheus.alerts() == CALM, SOON), prometheus.alerts()
    assert eventually(lambda: all_up(prometheus), SOON), prometheus.up()
    measured(fault, seconds)


def test_the_exporter_of_redis_tells_that_it_hangs_before_prometheus_gives_it_up(stack: Stack) -> None:
    """Otherwise only the exporter would be missed, and nobody be called."""
    url = f"http://{LOCALHOST}:{stack.places.pods[f'{PREFIX}redis', 9121]}/metrics"
    with stack.switches["redis"].hanging(), urllib.request.urlopen(url, timeout=SCRAPE) as answer:
        assert "\nredis_up 0\n" in answer.read().decode()


def test_where_postgresql_hangs_prometheus_waits_in_vain_and_that_is_told(stack: Stack) -> None:
    """By how long it waited: of an exporter that is away it hears so at once."""
    url = f"http://{LOCALHOST}:{stack.places.pods[f'{PREFIX}postgres', 9187]}/metrics"
    with stack.switches["postgres"].hanging(), pytest.raises(TimeoutError):
        urllib.request.urlopen(url, timeout=WAITED)


WAITED = 4.0
"""Seconds that the rule of ``PostgresUnreachable`` reckons with."""

SCRAPE = 10.0
"""Seconds that Prometheus waits for an answer, unless it is told otherwise."""


def come(stack: Stack, people: int) -> None:
    """People come whom the gateway has not seen."""
    for _ in range(people):
        stack.gateway.request("GET", "/api/x", headers=[("Cookie", f"__Host-login={uuid.uuid4().hex}")])


def measured(fault: Fault, seconds: float) -> None:
    """Keep how long it took: `cp build/drill.json tests/drill/measured.json` puts it into the docs."""
    file = ROOT / "build/drill.json"
    kept: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**kept, fault.stops: round(seconds)}, indent=2) + "\n")
