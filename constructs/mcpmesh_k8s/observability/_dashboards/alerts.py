"""This module is the dashboard of alerts: what is wrong now, what was, and whether people are told."""

from __future__ import annotations

from mcpmesh_k8s.kubernetes import Component

from .parts import (
    GREEN,
    RED,
    SEVERITIES,
    Column,
    Dashboard,
    Figure,
    Graph,
    Metric,
    Panel,
    Row,
    States,
    Steps,
    Table,
    Word,
)
from .seen import EVERY, Seen, job

_ON = (Word(value=1, text="firing", colour=RED),)
_ANSWERS = (Word(value=1, text="answers", colour=GREEN), Word(value=0, text="does not", colour=RED))


def alerts(seen: Seen) -> Dashboard:
    """What fires."""
    rules = sum(len(component.alerts) for component in seen.application.find_all(Component))
    return Dashboard(
        name="alerts",
        title="Alerts",
        about=f"What is wrong now, what was, and whether people are told. {rules} rules are judged.",
        hours=24,
        rows=(
            Row(title="Now", panels=_now()),
            Row(title="Then", panels=_then()),
            Row(title="What is asked from outside", panels=_checks() if seen.checks else ()),
            Row(title="Whether people are told", panels=tuple(_told(seen))),
        ),
    )


def _now() -> tuple[Panel, ...]:
    severities = (("page", Steps(red=1)), ("ticket", Steps(yellow=1)))
    shown = "alertname, severity, alertstate, service, pod, check, persistentvolumeclaim"
    return (
        *(
            Figure(
                title=title,
                of=Metric(ask=f'count(ALERTS{{alertstate="firing", severity="{severity}"}}) or vector(0)'),
                steps=steps,
            )
            for title, (severity, steps) in zip(("Pages", "Tickets"), severities, strict=True)
        ),
        Figure(
            title="Pending",
            about="True, but not yet for as long as they must be.",
            of=Metric(ask='count(ALERTS{alertstate="pending"}) or vector(0)'),
            steps=Steps(yellow=1),
        ),
        Figure(
            title="Watchdog",
            about="It fires always: without it nothing is judged.",
            of=Metric(ask='max(ALERTS{alertname="Watchdog", alertstate="firing"})'),
            words=(Word(value=1, text="on", colour=GREEN),),
            none="silent",
            line=False,
        ),
        Figure(
            title="Silent targets",
            about="Pods, nodes and checks that Prometheus asks in vain.",
            of=Metric(ask="count(up == 0) or vector(0)"),
            steps=Steps(yellow=1),
        ),
        Figure(title="Targets", of=Metric(ask="count(up)"), line=False),
        Table(
            title="What is wrong",
            about="Each has a page in docs/runbooks/, named as it is.",
            keys=(
                ("alertname", "Alert"),
                ("severity", "Severity"),
                ("alertstate", "State"),
                ("service", "Service"),
                ("pod", "Pod"),
                ("check", "Check"),
                ("persistentvolumeclaim", "Claim"),
            ),
            columns=(
                Column(
                    title="Count",
                    of=Metric(ask=f'count by ({shown}) (ALERTS{{alertname!="Watchdog"}})'),
                ),
            ),
            width=24,
            height=7,
        ),
    )


def _then() -> tuple[Panel, ...]:
    return (
        States(
            title="What fired",
            of=Metric(
                ask='max by (alertname) (ALERTS{alertname!="Watchdog", alertstate="firing"})', legend="{{alertname}}"
            ),
            words=_ON,
            width=16,
        ),
        Graph(
            title="How much fired",
            of=(
                Metric(
                    ask='count by (severity) (ALERTS{alertname!="Watchdog", alertstate="firing"})',
                    legend="{{severity}}",
                ),
            ),
            stacked=True,
            colours=SEVERITIES,
        ),
    )


def _checks() -> tuple[Panel, ...]:
    return (
        States(
            title="Checks",
            of=Metric(ask="min by (check) (probe_success)", legend="{{check}}"),
            words=_ANSWERS,
            width=12,
        ),
        Graph(
            title="How long an answer takes",
            unit="s",
            of=(Metric(ask="max by (check) (probe_duration_seconds)", legend="{{check}}"),),
            width=12,
        ),
    )


def _told(seen: Seen) -> list[Panel]:
    panels: list[Panel] = [
        Graph(
            title="Rules that could not be judged",
            unit="ops",
            of=(Metric(ask=f"sum(rate(prometheus_rule_evaluation_failures_total[{EVERY}]))", legend="failures"),),
            width=12,
        )
    ]
    if seen.alertmanagers:
        selector = job(seen.alertmanagers)
        sent, failed = (
            f"sum by (integration) (rate(alertmanager_notifications_{word}{{{selector}}}[{EVERY}])) > 0"
            for word in ("total", "failed_total")
        )
        panels.append(
            Graph(
                title="Messages to people",
                unit="ops",
                of=(
                    Metric(ask=sent, legend="{{integration}}"),
                    Metric(ask=failed, legend="{{integration}} failed", limit=True),
                ),
                width=12,
            )
        )
    return panels
