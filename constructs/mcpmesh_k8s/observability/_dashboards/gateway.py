"""This module is the dashboard of the way in: what people ask for, what they get, and who they are."""

from __future__ import annotations

from mcpmesh_k8s.access import Question

from .parts import ANSWERS, Dashboard, Figure, Graph, Lines, Logs, Metric, Panel, Row, Steps
from .seen import EVERY, Seen, job, quantile, ratio


def gateway(seen: Seen) -> Dashboard:
    """How the gateway and the login serve people."""
    return Dashboard(
        name="gateway",
        title="Gateway",
        about="What people ask for, how it is answered, how long it takes, and how they sign in.",
        rows=(
            Row(title="Objective", panels=_objective(seen)),
            Row(title="Requests", panels=_requests(seen)),
            Row(title="Problems", panels=_problems(seen)),
            Row(title="Login", panels=tuple(_login(seen))),
            Row(title="What went wrong", panels=_lines(seen)),
        ),
    )


def _objective(seen: Seen) -> tuple[Panel, ...]:
    objective = seen.gateways[0].settings.objective
    selector = job(seen.gateways)
    requests = f'gateway_http_requests_total{{{selector}, status!="1xx"}}'
    failed = f'gateway_http_requests_total{{{selector}, status="5xx"}}'
    buckets = f"gateway_http_request_duration_seconds_bucket{{{selector}}}"
    # Prometheus 3 says 1.0 where others say 1.
    bound = f"{objective.within_seconds:g}".replace(".", "[.]") + "([.]0)?"
    fast = f'gateway_http_request_duration_seconds_bucket{{{selector}, le=~"{bound}"}}'
    every = f"gateway_http_request_duration_seconds_count{{{selector}}}"
    answered, in_time = round(1 - objective.answered, 6), round(1 - objective.fast, 6)
    return (
        Figure(title="Requests", unit="reqps", of=Metric(ask=f"sum(rate({requests}[{EVERY}]))"), width=6),
        Figure(
            title="Failed within a day",
            about=f"The objective allows {100 * answered:.3g} %.",
            unit="percentunit",
            of=Metric(ask=ratio(f"sum(rate({failed}[24h]))", f"sum(rate({requests}[24h]))")),
            steps=Steps(yellow=answered, red=round(2 * answered, 6)),
            none="none",
            width=6,
        ),
        Figure(
            title="Slow within a day",
            about=f"Longer than {objective.within_seconds:g} seconds. The objective allows {100 * in_time:.3g} %.",
            unit="percentunit",
            of=Metric(ask=f"1 - {ratio(f'sum(rate({fast}[24h]))', f'sum(rate({every}[24h]))')}"),
            steps=Steps(yellow=in_time, red=round(2 * in_time, 6)),
            none="none",
            width=6,
        ),
        Figure(title="95 % within", unit="s", of=Metric(ask=quantile(0.95, buckets)), width=6),
    )


def _requests(seen: Seen) -> tuple[Panel, ...]:
    selector = job(seen.gateways)
    requests = f"gateway_http_requests_total{{{selector}}}"
    failed = f'gateway_http_requests_total{{{selector}, status="5xx"}}'
    buckets = f"gateway_http_request_duration_seconds_bucket{{{selector}}}"
    objective = seen.gateways[0].settings.objective
    return (
        Graph(
            title="By route",
            unit="reqps",
            of=(Metric(ask=f"sum by (route) (rate({requests}[{EVERY}]))", legend="{{route}}"),),
            stacked=True,
        ),
        Graph(
            title="By answer",
            about="1xx are WebSockets that ended.",
            unit="reqps",
            of=(Metric(ask=f"sum by (status) (rate({requests}[{EVERY}]))", legend="{{status}}"),),
            stacked=True,
            colours=ANSWERS,
        ),
        Graph(
            title="Failed, by route",
            unit="percentunit",
            of=(
                Metric(
                    ask=ratio(
                        f"sum by (route) (rate({failed}[{EVERY}]))", f"sum by (route) (rate({requests}[{EVERY}]))"
                    ),
                    legend="{{route}}",
                ),
            ),
        ),
        Graph(
            title="95 % within, by route",
            unit="s",
            of=(
                Metric(ask=quantile(0.95, buckets, "route"), legend="{{route}}"),
                Metric(ask=f"vector({objective.within_seconds:g})", legend="objective", limit=True),
            ),
            width=12,
        ),
        Graph(
            title="How long a request takes",
            unit="s",
            of=(
                Metric(ask=quantile(0.5, buckets), legend="half within"),
                Metric(ask=quantile(0.95, buckets), legend="95 % within"),
                Metric(ask=quantile(0.99, buckets), legend="99 % within"),
            ),
            width=12,
        ),
    )


def _problems(seen: Seen) -> tuple[Panel, ...]:
    selector = job(seen.gateways)

    def each(metric: str, label: str) -> tuple[Metric, ...]:
        return (Metric(ask=f"sum by ({label}) (rate({metric}{{{selector}}}[{EVERY}])) > 0", legend=f"{{{{{label}}}}}"),)

    return (
        Graph(
            title="Services that gave no answer",
            unit="reqps",
            of=each("gateway_upstream_errors_total", "exported_service"),
        ),
        Graph(
            title="Problems",
            about="By the words with which they begin in the gateway's log.",
            unit="reqps",
            of=each("gateway_problems_total", "problem"),
        ),
        Graph(
            title="Turned away with 429",
            about="By what was counted: the person, the address, or connections at once.",
            unit="reqps",
            of=each("gateway_limited_total", "by"),
        ),
        Graph(
            title="Connections",
            of=(Metric(ask=f"sum by (state) (gateway_connections{{{selector}}})", legend="{{state}}"),),
            width=24,
            height=6,
        ),
    )


def _login(seen: Seen) -> list[Panel]:
    panels: list[Panel] = []
    asked = [gateway for gateway in seen.gateways if isinstance(gateway.login.vouching, Question)]
    if asked:
        selector = job(tuple(asked))
        panels += [
            Graph(
                title="The login's word",
                about="What it said when the gateway asked who somebody is. Nobody: not signed in.",
                unit="reqps",
                of=(
                    Metric(
                        ask=f"sum by (result) (rate(gateway_login_asked_total{{{selector}}}[{EVERY}]))",
                        legend="{{result}}",
                    ),
                    Metric(
                        ask=f"sum(rate(gateway_login_remembered_total{{{selector}}}[{EVERY}]))", legend="remembered"
                    ),
                ),
            )
        ]
    if seen.logins:
        selector = job(seen.logins)
        panels += [
            Graph(
                title="What the login answers",
                about="By status. 202: signed in, 401: not signed in, 302: on the way to or from the provider.",
                unit="reqps",
                of=(
                    Metric(
                        ask=f"sum by (code) (rate(oauth2_proxy_requests_total{{{selector}}}[{EVERY}]))",
                        legend="{{code}}",
                    ),
                ),
            ),
            Graph(
                title="How long the login takes",
                unit="s",
                of=(
                    Metric(
                        ask=quantile(0.95, f"oauth2_proxy_response_duration_seconds_bucket{{{selector}}}"),
                        legend="95 % within",
                    ),
                ),
            ),
        ]
    return panels


def _lines(seen: Seen) -> tuple[Panel, ...]:
    app = "|".join(gateway.name for gateway in seen.gateways)
    return (
        Lines(
            title="Failed requests",
            about="A line has the request's id: the dashboard Logs finds the others of it.",
            of=Logs(ask=f'{{app=~"{app}"}} | json | status >= 500'),
            width=24,
            height=6,
        ),
    )
