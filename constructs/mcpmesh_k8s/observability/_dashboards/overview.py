"""This module is the dashboard that Grafana opens with: whether all is well, and where to look."""

from __future__ import annotations

from .calls import calls_by_service, failed_calls, seconds_by_service
from .parts import ANSWERS, Bars, Dashboard, Figure, Graph, Lines, Logs, Metric, Panel, Row, Steps
from .seen import EVERY, Seen, job, quantile, ratio

READY = (
    'count(sum by (pod) (kube_pod_status_ready{condition=~"false|unknown"}) == 1 '
    'and on (pod) kube_pod_status_phase{phase=~"Pending|Running|Unknown"} == 1) or vector(0)'
)


def overview(seen: Seen) -> Dashboard:
    """Whether all is well."""
    return Dashboard(
        name="overview",
        title="Overview",
        about="Whether all is well, and where to look if not.",
        rows=(
            Row(title="Now", panels=tuple(_now(seen))),
            Row(title="People and agents", panels=tuple(_work(seen))),
            Row(title="Room", panels=tuple(_room(seen))),
            Row(title="What went wrong", panels=(*_errors(), failed_calls())),
        ),
    )


def _now(seen: Seen) -> list[Panel]:
    panels: list[Panel] = [
        Figure(
            title="Pages",
            about="Alerts that call somebody at once. The dashboard Alerts says which.",
            of=Metric(ask='count(ALERTS{alertstate="firing", severity="page"}) or vector(0)'),
            steps=Steps(red=1),
        ),
        Figure(
            title="Tickets",
            about="Alerts that wait for a working day.",
            of=Metric(ask='count(ALERTS{alertstate="firing", severity="ticket"}) or vector(0)'),
            steps=Steps(yellow=1),
        ),
    ]
    if seen.checks and seen.agents:
        panels.append(
            Figure(
                title=f"Agents, of {len(seen.agents)}",
                about="The registry knows that many, and takes them for healthy.",
                of=Metric(ask='sum(probe_success{component="agent"})'),
                steps=Steps(red=len(seen.agents), little_is_bad=True),
            )
        )
    if seen.objects:
        panels.append(
            Figure(
                title="Pods not ready",
                about="They wait, find no node, or fail their probe.",
                of=Metric(ask=READY),
                steps=Steps(yellow=1),
            )
        )
    if seen.gateways:
        requests = f'gateway_http_requests_total{{{job(seen.gateways)}, status!="1xx"}}'
        failed = f'gateway_http_requests_total{{{job(seen.gateways)}, status="5xx"}}'
        allowed = round(1 - seen.gateways[0].settings.objective.answered, 6)
        panels += [
            Figure(title="Requests", of=Metric(ask=f"sum(rate({requests}[{EVERY}]))"), unit="reqps"),
            Figure(
                title="Failed requests",
                about="Those that were answered with 5xx. Yellow: more than the objective allows in the long run.",
                of=Metric(ask=ratio(f"sum(rate({failed}[{EVERY}]))", f"sum(rate({requests}[{EVERY}]))")),
                unit="percentunit",
                steps=Steps(yellow=allowed, red=round(10 * allowed, 6)),
                none="none",
            ),
        ]
    return panels


def _work(seen: Seen) -> list[Panel]:
    panels: list[Panel] = []
    if seen.gateways:
        requests = f"gateway_http_requests_total{{{job(seen.gateways)}}}"
        buckets = f"gateway_http_request_duration_seconds_bucket{{{job(seen.gateways)}}}"
        panels += [
            Graph(
                title="Requests by their answer",
                unit="reqps",
                of=(Metric(ask=f"sum by (status) (rate({requests}[{EVERY}]))", legend="{{status}}"),),
                stacked=True,
                colours=ANSWERS,
                width=12,
            ),
            Graph(
                title="95 % of requests within",
                about="By the service that answered.",
                unit="s",
                of=(Metric(ask=quantile(0.95, buckets, "exported_service"), legend="{{exported_service}}"),),
                width=12,
            ),
        ]
    if seen.span_metrics:
        panels += [calls_by_service(width=12), seconds_by_service(width=12)]
    return panels


def _room(seen: Seen) -> list[Panel]:
    panels: list[Panel] = []
    if seen.objects:
        panels.append(quota())
    if seen.kubelets:
        panels += [memory_by_workload(seen), claims()]
    return panels


def quota() -> Bars:
    """How much of the namespace's quota is taken."""
    return Bars(
        title="Quota that is taken",
        about="Of what the namespace may have, how much its pods have asked for. A rollout needs some of the rest.",
        unit="percentunit",
        of=Metric(
            ask='kube_resourcequota{type="used"} / ignoring (type) (kube_resourcequota{type="hard"} > 0)',
            legend="{{resource}}",
        ),
        steps=Steps(yellow=0.9, red=0.98),
    )


def memory_by_workload(seen: Seen, pods: str = "", width: int = 8) -> Graph:
    """How much memory is in use, by these pods."""
    used = seen.by_workload(
        f'sum by (pod) (container_memory_working_set_bytes{{container!=""{", " * bool(pods)}{pods}}})'
    )
    return Graph(
        title="Memory in use",
        unit="bytes",
        of=(Metric(ask=f"sum by (workload) ({used})", legend="{{workload}}"),),
        stacked=True,
        width=width,
    )


def claims() -> Bars:
    """How full claims are."""
    return Bars(
        title="Claims that fill up",
        about="How much of each claim is used.",
        unit="percentunit",
        of=Metric(
            ask=(
                "max by (persistentvolumeclaim) (kubelet_volume_stats_used_bytes / kubelet_volume_stats_capacity_bytes)"
            ),
            legend="{{persistentvolumeclaim}}",
        ),
        steps=Steps(yellow=0.7, red=0.9),
    )


def _errors() -> list[Panel]:
    wrong = 'level=~"error|critical"'
    return [
        Graph(
            title="Errors in the logs",
            unit="short",
            of=(Logs(ask=f'sum by (app) (count_over_time({{app=~".+", {wrong}}}[$__auto]))', legend="{{app}}"),),
            stacked=True,
            bars=True,
        ),
        Lines(title="The newest errors", of=Logs(ask=f'{{app=~".+", {wrong}}}'), width=16),
    ]
