"""This module tries every alert with promtool: each fires at its minute and not before, and is quiet just below.

``alerts/*.yaml`` says for each alert which series make it fire, from which minute on (``since``), at which minute it
does (``at``), and what people then read; and which series, just below, leave everybody alone.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ai_interviewer import PROD, AiInterviewer
from conftest import at_each
from mcpmesh_k8s import (
    Alertmanager,
    AlertmanagerSettings,
    External,
    InClusterPrometheus,
    Internet,
    NamespacePods,
    PagerDuty,
    Severity,
    Webhook,
)
from mcpmesh_k8s.observability.alertmanager import configuration
from programs import ROOT
from reading import documents_of
from watched import RUNBOOKS, operated_rules, watched

CASES: dict[str, dict[str, Any]] = {}
for _path in sorted((ROOT / "tests/alerts").glob("*.yaml")):
    for _name, _case in documents_of(_path.read_text(encoding="utf-8"))[0].items():
        assert _name not in CASES, _name
        for _values in (
            *_case["fires"].get("series", {}).values(),
            *(_case.get("quiet") or {}).get("series", {}).values(),
        ):
            assert isinstance(_values, str), f"{_name}: quote {_values}, which YAML takes for a number."
        CASES[_name] = _case


@pytest.fixture(scope="module")
def rules() -> dict[str, dict[str, Any]]:
    """The rules of an application with everything."""
    return watched()


def minutes(text: str) -> int:
    """Minutes, as ``5m`` says them."""
    return int(text.removesuffix("m"))


def test_every_alert_is_seen_to_fire_and_to_stay_quiet(rules: dict[str, dict[str, Any]]) -> None:
    assert sorted(CASES) == sorted(rules)
    # What always fires has no threshold to stay below.
    assert [name for name, case in CASES.items() if not case.get("quiet")] == ["Watchdog"]
    for name, case in CASES.items():
        fires = case["fires"]
        since = minutes(fires.get("since", "0m"))
        assert (name, f"{minutes(fires['at']) - since}m") == (name, rules[name]["for"])
        assert (name, case["severity"]) == (name, rules[name]["labels"]["severity"])


def of_promtool(name: str, case: dict[str, Any]) -> list[dict[str, Any]]:
    """An alert's tests, as promtool takes them."""

    def at(when: str, *expected: dict[str, Any]) -> dict[str, Any]:
        return {"eval_time": when, "alertname": name, "exp_alerts": list(expected)}

    def tests(of: dict[str, Any], *seen: dict[str, Any]) -> dict[str, Any]:
        series = [{"series": series, "values": values} for series, values in of.get("series", {}).items()]
        return {"interval": of.get("interval", "1m"), "input_series": series, "alert_rule_test": list(seen)}

    fires, quiet = case["fires"], case.get("quiet")
    labels = {label: value for label, value in fires.get("labels", {}).items() if label != "__name__"}
    told = {
        "exp_labels": {"severity": case["severity"], **labels},
        "exp_annotations": {
            "summary": fires["summary"],
            "description": fires["description"],
            "runbook_url": f"{RUNBOOKS}{name}.md",
        },
    }
    before = [at(f"{minutes(fires['at']) - 1}m")] if minutes(fires["at"]) else []
    return [tests(fires, *before, at(fires["at"], told)), *([tests(quiet, at(quiet["at"]))] if quiet else [])]


def judge(promtool: Path, folder: Path, tests: dict[str, list[dict[str, Any]]], rules: dict[str, Any]) -> None:
    """One run for all alerts. Each has a file of its own, so promtool says which it is about, and its rule alone."""
    for name, of_alert in tests.items():
        rule = {"groups": [{"name": "all", "rules": [rules[name]]}]}
        (folder / f"{name}-rule.yaml").write_text(json.dumps(rule))
        told = {"rule_files": [f"{name}-rule.yaml"], "evaluation_interval": "1m", "tests": of_alert}
        (folder / f"{name}.yaml").write_text(json.dumps(told))
    ran = subprocess.run(
        [str(promtool), "test", "rules", *(f"{name}.yaml" for name in tests)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("SUCCESS") == len(tests) > 5


def test_alerts_fire_at_their_minute_and_not_before(
    rules: dict[str, dict[str, Any]],
    operated: dict[str, dict[str, Any]],
    tmp_path: Path,
    needs_prometheus: Path,
    long: bool,
) -> None:
    """Unless all are to be tried, those that a Prometheus of the cluster has too are tried as it has them, below."""
    tried = {name: of_promtool(name, case) for name, case in CASES.items() if long or name not in operated}
    judge(needs_prometheus, tmp_path, tried, rules)


OPERATED = "ai-interviewer"
"""The namespace, of many that a Prometheus of the cluster knows."""

OF_OUR_OWN = {"Watchdog", "PrometheusNotWorking", "AlertsNotSent", "NodeLost", "SpansNotCounted"}
"""What is about Prometheus, Alertmanager and nodes, which are the cluster's then; and Tempo writes to our own alone."""


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The rules of an application that a Prometheus of the cluster watches."""
    return operated_rules()


def test_a_prometheus_of_the_cluster_has_all_rules_but_those_about_itself(
    rules: dict[str, dict[str, Any]], operated: dict[str, dict[str, Any]]
) -> None:
    assert set(rules) - set(operated) == {
        name for name in rules if name in OF_OUR_OWN or "traces_" in rules[name]["expr"]
    }
    assert not set(operated) - set(rules)
    for name, rule in operated.items():
        assert rule["labels"] == {**rules[name]["labels"], "namespace": OPERATED}
        assert {key: rule[key] for key in ("for", "annotations")} == {
            key: rules[name][key] for key in ("for", "annotations")
        }


def in_namespace(case: dict[str, Any], namespace: str) -> dict[str, Any]:
    """A case whose series are of a namespace, in a Prometheus of many."""

    def marked(series: str) -> str:
        name, _, labels = series.partition("{")
        return f'{name}{{namespace="{namespace}"{", " + labels if labels.strip("} ") else "}"}'

    def of(part: dict[str, Any]) -> dict[str, Any]:
        series = {marked(text): values for text, values in part.get("series", {}).items()}
        return {**part, "series": series, "labels": {**part.get("labels", {}), "namespace": OPERATED}}

    quiet = case.get("quiet")
    return {**case, "fires": of(case["fires"]), "quiet": of(quiet) if quiet else None}


def test_a_prometheus_of_many_namespaces_judges_this_one_alone(
    operated: dict[str, dict[str, Any]], tmp_path: Path, needs_prometheus: Path
) -> None:
    """The cases of our own Prometheus are those of this one; and what happens elsewhere calls nobody."""
    tests: dict[str, list[dict[str, Any]]] = {}
    for name in operated:
        tests[name] = of_promtool(name, in_namespace(CASES[name], OPERATED))
        elsewhere = in_namespace(CASES[name], "another")
        # What is missing here is missing, whatever is there.
        if name != "TargetMissing":
            (first, *_) = of_promtool(name, elsewhere)
            told = [{**test, "exp_alerts": []} for test in first["alert_rule_test"]]
            tests[name].append({**first, "alert_rule_test": told})
    judge(needs_prometheus, tmp_path, tests, operated)


RUNBOOK_PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs/runbooks").glob("*.md")}


def test_every_alert_has_its_runbook_and_every_runbook_its_alert(rules: dict[str, dict[str, Any]]) -> None:
    assert sorted(RUNBOOK_PAGES) == sorted(rules)


@cache
def workloads() -> set[str]:
    """The short names of what runs in production."""
    kinds = re.compile(r"^kind: (?:Deployment|StatefulSet)\nmetadata:\n(?:  .*\n)*?  name: ai-interviewer-(.+)$", re.M)
    return {name for path in (ROOT / "dist/prod").glob("*.yaml") for name in kinds.findall(path.read_text("utf-8"))}


@at_each("name", sorted(RUNBOOK_PAGES))
def test_a_runbook_says_what_how_and_when_with_commands_that_there_are(name: str) -> None:
    page = RUNBOOK_PAGES[name]
    assert page.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)", page, re.MULTILINE) == ["What it means", "Look", "Do", "Escalate"]
    known = set(re.findall(r"^(k8s-[a-z-]+):", (ROOT / "k8s.mk").read_text(encoding="utf-8"), re.MULTILINE))
    running = workloads()
    for target in re.findall(r"make (k8s-[a-z0-9-]+)", page):
        assert target in known or target.removeprefix("k8s-logs-") in running, target
    assert set(re.findall(r"TARGET=([a-z0-9-]+)", page)) <= running
    assert set(re.findall(r"\]\(([^)]+)\.md\)", page)) <= set(RUNBOOK_PAGES)


def told_of(alerts: list[dict[str, str]]) -> dict[tuple[str, tuple[str, ...]], list[str]]:
    """Who is told of which alerts, group by group, as Alertmanager's documentation says: written anew for this test."""
    told = configuration(AlertmanagerSettings(page=Webhook(), ticket=Webhook()))

    def matches(matchers: list[str], alert: dict[str, str]) -> bool:
        for matcher in matchers:
            label, sign, value = re.fullmatch(r'(\w+)(=|!=)"(.*)"', matcher).groups()  # type: ignore[union-attr]
            if (alert.get(label, "") == value) != (sign == "="):
                return False
        return True

    def silent(alert: dict[str, str]) -> bool:
        return any(
            matches(rule["target_matchers"], alert)
            and any(
                matches(rule["source_matchers"], other)
                and other is not alert
                and all(other.get(label, "") == alert.get(label, "") for label in rule["equal"])
                for other in alerts
            )
            for rule in told["inhibit_rules"]  # type: ignore[attr-defined]
        )

    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    top: dict[str, Any] = told["route"]  # type: ignore[assignment]
    for alert in alerts:
        if not silent(alert):
            route = next((route for route in top["routes"] if matches(route["matchers"], alert)), top)
            by = tuple(alert.get(label, "") for label in route.get("group_by", top["group_by"]))
            groups.setdefault((route["receiver"], by), []).append(alert["alertname"])
    return groups


def test_the_loss_of_a_node_is_one_page_and_no_ticket_about_what_was_on_it() -> None:
    page, ticket = Severity.PAGE.value, Severity.TICKET.value
    lost = [
        {"alertname": "NodeLost", "severity": page, "node": "b", "job": "kubelet"},
        {"alertname": "WorkloadUnavailable", "severity": page, "workload": "redis"},
        {"alertname": "ServiceNotAnswering", "severity": page, "service": "registry", "check": "registry"},
        {"alertname": "AgentNotInMesh", "severity": page, "service": "one", "check": "one"},
        {"alertname": "TargetDown", "severity": ticket, "node": "b", "pod": "redis-1", "service": "redis"},
        {"alertname": "TargetDown", "severity": ticket, "node": "b", "job": "cadvisor"},
    ]
    assert told_of(lost) == {
        ("page", (page,)): ["NodeLost", "WorkloadUnavailable", "ServiceNotAnswering", "AgentNotInMesh"]
    }
    # What is on another node is still told.
    other = {"alertname": "TargetDown", "severity": ticket, "node": "c", "pod": "tempo-1"}
    assert ("ticket", ("TargetDown",)) in told_of([*lost, other])


def test_a_page_about_a_service_needs_no_ticket_and_a_ticket_of_another_stays() -> None:
    unreachable = {"alertname": "RedisUnreachable", "severity": "page", "pod": "redis-1", "service": "redis"}
    clients = {"alertname": "RedisConnectionsNearLimit", "severity": "ticket", "pod": "redis-1", "service": "redis"}
    job = {"alertname": "JobFailed", "severity": "ticket", "job_name": "bucket"}
    assert told_of([unreachable, clients, job]) == {
        ("page", ("page",)): ["RedisUnreachable"],
        ("ticket", ("JobFailed",)): ["JobFailed"],
    }


def test_receivers_behind_one_peer_are_one_connection_that_names_them_all(tmp_path: Path) -> None:
    assert isinstance(PROD.metrics, InClusterPrometheus)
    chat = NamespacePods(namespace="chat", labels=(("app", "chat"),))
    told = AlertmanagerSettings(
        page=PagerDuty(), ticket=Webhook(peer=chat, port=8080), watchdog=Webhook(peer=Internet(), port=443)
    )
    application = AiInterviewer(replace(PROD, metrics=replace(PROD.metrics, alertmanager=told)), outdir=tmp_path)
    (alertmanager,) = application.find_all(Alertmanager)
    reached = [(one.name, one.port, one.peer) for one in alertmanager.connections if isinstance(one, External)]
    assert reached == [("receiver page/watchdog", 443, Internet()), ("receiver ticket", 8080, chat)]
