"""This module is the proof that what watches runs as it is rendered: Prometheus, the blackbox exporter, Alertmanager.

With everything that they ask, on real programs too, it is ``drill/test_faults.py``: ``make test-watching``.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conftest import Manifests, grid, requires
from environments import EVERY, SHARED, WITH_LOGIN
from gateway_harness import Answer, StubUpstream
from mcpmesh_k8s import images
from mesh_harness import LOCALHOST, SECRETS, Loopback, eventually, find, free_port
from processes import START
from programs import ROOT
from test_mesh_runtime import start_agent
from test_smoke_runtime import listed
from watching_harness import (
    PREFIX,
    Json,
    Places,
    RunningPrometheus,
    answers,
    running_prometheus,
    running_server,
    start_registry,
)

PROD = WITH_LOGIN[0]
PINNED = {  # the module of each program, and the image that is pinned
    "github.com/prometheus/prometheus": images.PROMETHEUS,
    "github.com/prometheus/alertmanager": images.ALERTMANAGER,
    "github.com/prometheus/blackbox_exporter": images.BLACKBOX_EXPORTER,
    "k8s.io/kube-state-metrics/v2": images.KUBE_STATE_METRICS,
    "github.com/oliver006/redis_exporter": images.REDIS_EXPORTER,
}
NEAREST = {"github.com/oliver006/redis_exporter": "v1.88.0"}
"""What Go's proxy has in the place of the version that is pinned."""


def test_what_is_built_for_the_tests_is_what_is_pinned_or_the_nearest_that_there_is() -> None:
    modules = (ROOT / "tests/watching_programs/go.mod").read_text(encoding="utf-8")
    built = {module: re.findall(rf"^\t{re.escape(module)} (v\S+)", modules, re.MULTILINE) for module in PINNED}
    # Prometheus 3.13.5 is the Go module 0.313.5.
    wanted = {module: re.sub(r"^v3\.(\d+)\.", r"v0.3\1.", image.tag) for module, image in PINNED.items()}
    assert built == {module: [version] for module, version in {**wanted, **NEAREST}.items()}


# Prometheus.


@requires("watching")
@pytest.mark.parametrize("environment", grid(EVERY, short=SHARED))
def test_prometheus_takes_its_configuration_and_every_rule_of_it(
    manifests: Manifests, environment: str, needs_watching: Path, tmp_path: Path
) -> None:
    rendered = manifests(environment)
    places = Places(nodes={"node-0": free_port()})
    with running_prometheus(rendered, tmp_path, [str(needs_watching)], places) as prometheus:
        assert eventually(lambda: {rule["health"] for rule in prometheus.rules()} == {"ok"}, START)
        text = find(rendered, "ConfigMap", f"{PREFIX}prometheus")["data"]["rules__alerts.yaml"]
        assert sorted(rule["name"] for rule in prometheus.rules()) == sorted(re.findall(r"- alert: (\w+)", text))
        only_when_asked(prometheus)


def only_when_asked(prometheus: RunningPrometheus) -> None:
    """Nobody stops it, loads another configuration into it, or deletes samples, by asking for it."""
    for path in ("/-/quit", "/-/reload", "/api/v1/admin/tsdb/delete_series?match[]=up"):
        request = urllib.request.Request(f"http://{LOCALHOST}:{prometheus.port}{path}", method="POST")
        with pytest.raises(OSError, match=r"403|500"):
            urllib.request.urlopen(request, timeout=START)


# The blackbox exporter.


@pytest.fixture(scope="module")
def blackbox(
    manifests: Manifests, needs_watching: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[int, None, None]:
    """The blackbox exporter of production, on a port."""
    port = free_port()
    with running_server(
        manifests(PROD),
        "blackbox",
        "blackbox",
        tmp_path_factory.mktemp("blackbox"),
        [str(needs_watching.with_name("blackbox_exporter")), f"--web.listen-address={LOCALHOST}:{port}"],
        ports={9115: port},
        ready=lambda: answers(port, "/-/healthy"),
    ):
        yield port


def asks(blackbox: int, check: str, target: int) -> bool:
    """Whether a check of the registry succeeds."""
    url = f"http://{LOCALHOST}:{blackbox}/probe?module={check}&target=http://{LOCALHOST}:{target}/agents"
    with urllib.request.urlopen(url, timeout=START) as answer:
        (value,) = re.findall(r"^probe_success (\d)$", answer.read().decode(), re.MULTILINE)
    return bool(value == "1")


OF_AN_AGENT: Mapping[str, tuple[Answer, bool]] = {
    "healthy": (listed(pdf_extractor="healthy", interview_agent="unhealthy"), True),
    "healthy after an earlier start": (listed(pdf_extractor="unhealthy healthy"), True),
    "unhealthy": (listed(pdf_extractor="unhealthy", interview_agent="healthy"), False),
    "degraded": (listed(pdf_extractor="degraded"), False),
    "missing": (listed(interview_agent="healthy"), False),
    "one whose name begins alike": (listed(pdf_extractor_2="healthy"), False),
    "one whose name ends alike": (listed(my_pdf_extractor="healthy"), False),
    "nobody": (Answer(body=b'{"agents": [], "count": 0}'), False),
    "nobody, as later registries say it": (Answer(body=b'{"agents": null, "count": 0}'), False),
    "one without a status beside it": (
        Answer(body=b'{"agents": [{"id": "odd"}, {"id": "pdf-extractor-0a1b2c3d", "name": "x", "status": "healthy"}]}'),
        True,
    ),
    "a page": (Answer(body=b"<html>"), False),
    "an error": (Answer(status=500, body=listed(pdf_extractor="healthy").body), False),
    "nothing": (Answer(status=0), False),
}
"""What a registry says, and whether the check of ``pdf-extractor`` succeeds."""


@requires("watching")
@pytest.mark.parametrize("said", OF_AN_AGENT)
def test_the_check_of_an_agent_succeeds_when_the_registry_knows_it_and_takes_it_for_healthy(
    blackbox: int, said: str
) -> None:
    answer, succeeds = OF_AN_AGENT[said]
    with StubUpstream("registry") as registry:
        registry.answer = lambda _: answer
        assert asks(blackbox, "pdf-extractor", registry.port) is succeeds
        (request,) = registry.requests
        assert (request.method, request.target) == ("GET", "/agents")
        # The registry itself is well as long as it answers.
        assert asks(blackbox, "registry", registry.port) is (answer.status == 200)


@requires("watching", "mesh_registry", "mesh", "redis")
def test_a_real_agent_is_found_in_a_real_registry_until_it_leaves(
    manifests: Manifests, blackbox: int, needs_mesh: Path, tmp_path: Path
) -> None:
    rendered = list(manifests(PROD))
    registry, agent = free_port(), free_port()
    services = {f"{PREFIX}registry:8000": registry}
    database = str(tmp_path / "registry.db")
    with start_registry(rendered, tmp_path / "registry", registry, services, SECRETS, database) as pod:
        assert eventually(lambda: answers(registry, "/agents"), START), pod.output
        assert asks(blackbox, "registry", registry)
        assert not asks(blackbox, "pdf-extractor", registry)
        loopback = Loopback(services=services, ports={8090: agent})
        manifest = find(rendered, "Deployment", f"{PREFIX}pdf-extractor")
        with start_agent(manifest, "pdf-extractor", tmp_path, needs_mesh, loopback) as started:
            assert eventually(lambda: asks(blackbox, "pdf-extractor", registry), START), started.output
            assert not asks(blackbox, "interview-agent", registry)
            assert started.terminate(START) == 0
        assert not asks(blackbox, "pdf-extractor", registry)
        assert asks(blackbox, "registry", registry)


# Alertmanager.

WAIT = 2
"""Seconds for which the first alert of a group waits for others, in the place of a minute."""

AGAIN = 3
"""Seconds until a group is told what has changed, in the place of five minutes."""

PAGE, TICKET = "page", "ticket"
LOST = [
    {"alertname": "NodeLost", "severity": PAGE, "job": "kubelet", "node": "b", "instance": "b"},
    {"alertname": "WorkloadUnavailable", "severity": PAGE, "workload": "ai-interviewer-redis"},
    {"alertname": "WorkloadUnavailable", "severity": PAGE, "workload": "ai-interviewer-registry"},
    {"alertname": "ServiceNotAnswering", "severity": PAGE, "check": "registry", "service": "registry"},
    {"alertname": "GatewayErrorsFast", "severity": PAGE},
    {"alertname": "TargetDown", "severity": TICKET, "job": "kubelet", "node": "b", "instance": "b"},
    {"alertname": "TargetDown", "severity": TICKET, "job": "cadvisor", "node": "b", "instance": "b"},
    {"alertname": "TargetDown", "severity": TICKET, "job": "redis", "node": "b", "pod": "redis-1", "service": "redis"},
    {"alertname": "TargetDown", "severity": TICKET, "job": "tempo", "node": "b", "pod": "tempo-1", "service": "tempo"},
    {"alertname": "PodNotReady", "severity": TICKET, "node": "b", "pod": "ai-interviewer-postgres-0"},
]
"""What fires when a node is lost with Redis, the registry and others on it, labelled as the rules label it."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """An Alertmanager, and whom it tells.

    Args:
        port: Its port.
        people: Who is told, by the name of the receiver.
        since: Since when everything fires.
    """

    port: int
    people: Mapping[str, StubUpstream]
    since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def say(self, *alerts: Mapping[str, str], over: bool = False) -> None:
        """Say what fires, as Prometheus does."""
        now = datetime.now(UTC)
        body = [
            {
                "labels": labels,
                "annotations": {"summary": labels["alertname"]},
                "startsAt": self.since.isoformat(),
                "endsAt": (now + timedelta(minutes=0 if over else 5)).isoformat(),
            }
            for labels in alerts
        ]
        request = urllib.request.Request(
            f"http://{LOCALHOST}:{self.port}/api/v2/alerts",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=START) as answer:
            assert answer.status == 200

    def messages(self, receiver: str) -> list[Json]:
        """The messages that a receiver got."""
        return [json.loads(request.body) for request in self.people[receiver].requests]

    def names(self, receiver: str) -> list[list[str]]:
        """The alerts of each message."""
        return [sorted(alert["labels"]["alertname"] for alert in said["alerts"]) for said in self.messages(receiver)]


@pytest.fixture
def told(manifests: Manifests, needs_watching: Path, tmp_path: Path) -> Generator[Told, None, None]:
    """The Alertmanager of production, which waits seconds where it is told to wait minutes."""
    port = free_port()
    with StubUpstream("page") as page, StubUpstream("ticket") as ticket, StubUpstream("watchdog") as watchdog:
        people: dict[str, StubUpstream] = {"page": page, "ticket": ticket, "watchdog": watchdog}
        with running_server(
            manifests(PROD),
            "alertmanager",
            "alertmanager",
            tmp_path,
            [str(needs_watching.with_name("alertmanager")), f"--web.listen-address={LOCALHOST}:{port}"],
            ports={9093: port},
            files={
                f"/etc/alertmanager-secrets/{name}": f"http://{LOCALHOST}:{one.port}/" for name, one in people.items()
            },
            changes={"group_wait: 60s": f"group_wait: {WAIT}s", "group_interval: 5m": f"group_interval: {AGAIN}s"},
            ready=lambda: answers(port, "/-/ready"),
        ):
            yield Told(port=port, people=people)


@requires("watching")
def test_the_loss_of_a_node_is_one_page_and_its_end_another_message(told: Told, manifests: Manifests) -> None:
    rules = find(manifests(PROD), "ConfigMap", f"{PREFIX}prometheus")["data"]["rules__alerts.yaml"]
    for alert in LOST:
        assert re.search(
            rf"- alert: {alert['alertname']}\n(?:(?!- alert).*\n)*?    +severity: {alert['severity']}", rules
        )
    told.say({"alertname": "Watchdog", "severity": "none"})
    told.say(*LOST[:4])
    time.sleep(WAIT / 2)
    told.say(*LOST)
    assert eventually(lambda: bool(told.messages("page")), START)
    time.sleep(AGAIN)
    pages = sorted(alert["alertname"] for alert in LOST if alert["severity"] == PAGE)
    assert told.names("page") == [pages]
    assert told.names("ticket") == []
    assert told.names("watchdog")[0] == ["Watchdog"]
    # What is on another node is told all the same.
    told.say({"alertname": "TargetDown", "severity": TICKET, "node": "c", "pod": "grafana-1", "service": "grafana"})
    assert eventually(lambda: told.names("ticket") == [["TargetDown"]], START), told.names("ticket")
    told.say(*LOST, over=True)
    assert eventually(lambda: len(told.messages("page")) == 2, START)
    assert [said["status"] for said in told.messages("page")] == ["firing", "resolved"]


@requires("watching")
def test_amtool_takes_the_configuration_and_sends_each_severity_where_it_belongs(
    manifests: Manifests, needs_watching: Path, tmp_path: Path
) -> None:
    file = tmp_path / "alertmanager.yaml"
    file.write_text(find(manifests(PROD), "ConfigMap", f"{PREFIX}alertmanager")["data"]["alertmanager.yaml"])

    def amtool(*words: str) -> str:
        command = [str(needs_watching.with_name("amtool")), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "SUCCESS" in amtool("check-config", str(file))
    for labels, receiver in (
        (("severity=page", "alertname=RedisUnreachable"), "page"),
        (("severity=ticket", "alertname=JobFailed"), "ticket"),
        (("severity=none", "alertname=Watchdog"), "watchdog"),
    ):
        assert amtool("config", "routes", "test", f"--config.file={file}", *labels).strip() == receiver
