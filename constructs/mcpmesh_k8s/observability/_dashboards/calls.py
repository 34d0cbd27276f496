"""This module is the dashboard of a call's path: from service to service, and how its spans come here."""

from __future__ import annotations

from .parts import Choose, Dashboard, Figure, Graph, Metric, Panel, Row, Spans, Steps, Traces, Type
from .seen import EVERY, Seen, job, names_of, quantile, ratio

CALLS = "traces_spanmetrics_calls_total"
SECONDS = "traces_spanmetrics_latency"
ERROR = 'status_code="STATUS_CODE_ERROR"'
OWN, OTHERS = 'span_name!="proxy_call_wrapper"', 'span_name="proxy_call_wrapper"'
"""A service's own work, and its calls of others' tools, which are timed there once more."""


def calls(seen: Seen) -> Dashboard:
    """Where a call goes, how long each service takes, and where it fails."""
    chosen = f'service=~"$service", {OWN}'
    return Dashboard(
        name="calls",
        title="A call's path",
        about="Where calls go, how long each service takes for them, and where they fail.",
        inputs=(
            Choose(name="service", label="Service", values=names_of(seen.agents)),
            Type(name="slow", label="Slow means", value="5s"),
        ),
        rows=(
            *((Row(title="Calls", panels=tuple(_counted(chosen))),) if seen.span_metrics else ()),
            *((Row(title="By service", panels=_by_service(chosen)),) if seen.span_metrics else ()),
            Row(title="Traces", panels=_traces()),
            Row(title="How spans come here: agent, Redis, registry, Tempo", panels=tuple(_way(seen))),
        ),
    )


def _counted(chosen: str) -> list[Panel]:
    every, failed = f"sum(rate({CALLS}{{{chosen}}}[{EVERY}]))", f"sum(rate({CALLS}{{{chosen}, {ERROR}}}[{EVERY}]))"
    buckets = f"{SECONDS}_bucket{{{chosen}}}"
    return [
        Figure(title="Calls", unit="reqps", of=Metric(ask=every), width=5),
        failing(f"({failed} or vector(0))", every),
        Figure(title="Half of them within", unit="s", of=Metric(ask=quantile(0.5, buckets)), width=5),
        Figure(title="95 % within", unit="s", of=Metric(ask=quantile(0.95, buckets)), width=5),
        Figure(
            title="Under way",
            about="How many calls were being worked on at once, on average.",
            of=Metric(ask=f"sum(rate({SECONDS}_sum{{{chosen}}}[{EVERY}]))"),
            decimals=1,
        ),
    ]


def failing(failed: str, every: str) -> Figure:
    """How many of the calls fail."""
    return Figure(
        title="Failing",
        about="Calls whose span ended in an error.",
        unit="percentunit",
        of=Metric(ask=ratio(failed, every)),
        steps=Steps(yellow=0.02, red=0.1),
        none="no calls",
        width=5,
    )


def calls_by_service(chosen: str = OWN, width: int = 8) -> Graph:
    """How many calls each service answers."""
    return Graph(
        title="Calls by service",
        unit="reqps",
        of=(Metric(ask=f"sum by (service) (rate({CALLS}{{{chosen}}}[{EVERY}]))", legend="{{service}}"),),
        width=width,
    )


def failing_by_service(chosen: str = OWN, width: int = 8) -> Graph:
    """How many of them fail."""
    failed = f"sum by (service) (rate({CALLS}{{{chosen}, {ERROR}}}[{EVERY}]))"
    every = f"sum by (service) (rate({CALLS}{{{chosen}}}[{EVERY}]))"
    return Graph(
        title="Failing by service",
        about="Of the calls that each service answers.",
        unit="percentunit",
        of=(Metric(ask=ratio(failed, every), legend="{{service}}"),),
        width=width,
    )


def seconds_by_service(chosen: str = OWN, width: int = 8) -> Graph:
    """How long they take."""
    return Graph(
        title="95 % of calls within",
        about="A point is one call: it leads to its trace.",
        unit="s",
        of=(
            Metric(
                ask=quantile(0.95, f"{SECONDS}_bucket{{{chosen}}}", "service"), legend="{{service}}", exemplars=True
            ),
        ),
        width=width,
    )


def _by_service(chosen: str) -> tuple[Panel, ...]:
    return (
        calls_by_service(chosen, 12),
        failing_by_service(chosen, 12),
        seconds_by_service(chosen, 12),
        Graph(
            title="Calls of others' tools",
            about="By who calls. Whom it calls, its spans do not say: its traces do.",
            unit="reqps",
            of=(
                Metric(
                    ask=f'sum by (service) (rate({CALLS}{{{OTHERS}, service=~"$service"}}[{EVERY}]))',
                    legend="{{service}}",
                ),
            ),
            width=12,
        ),
    )


def failed_calls(selector: str = "", *, width: int = 24) -> Traces:
    """The newest traces with an error."""
    return Traces(title="Failed calls", of=Spans(ask=f"{{ {selector}status = error }}"), width=width, height=7)


def _traces() -> tuple[Panel, ...]:
    chosen = 'resource.service.name =~ "$service"'
    return (
        failed_calls(f"{chosen} && ", width=12),
        Traces(
            title="Slow calls",
            about="Longer than what is typed above. A language model takes seconds.",
            of=Spans(ask=f"{{ {chosen} && duration > $slow }}"),
            width=12,
            height=7,
        ),
        Traces(title="The newest calls", about="A row opens its trace.", of=Spans(ask=f"{{ {chosen} }}"), width=24),
    )


def _way(seen: Seen) -> list[Panel]:
    panels: list[Panel] = []
    if seen.redises:
        selector = job(seen.redises)
        longest = max(redis.settings.trace_length for redis in seen.redises)
        behind = (
            f"(redis_stream_last_generated_id{{{selector}}} - on (instance, stream) group_right "
            f"redis_stream_group_last_delivered_id{{{selector}}}) / 1000"
        )
        panels += [
            Graph(
                title="Spans in the stream",
                about="Agents write them to Redis, which keeps the newest. The dashed line is what it is trimmed to.",
                of=(
                    Metric(ask=f"redis_stream_length{{{selector}}}", legend="{{stream}}"),
                    Metric(ask=f"vector({longest})", legend="trimmed to", limit=True),
                ),
            ),
            Graph(
                title="The registry is behind by",
                about="Age of the newest span that it has not read. What is trimmed before that is lost.",
                unit="s",
                of=(Metric(ask=behind, legend="{{group}}"),),
            ),
        ]
    if seen.tempos:
        selector = job(seen.tempos)
        panels.append(
            Graph(
                title="Spans that Tempo takes",
                about="And those that it refuses or drops: traces have holes then.",
                unit="cps",
                of=(
                    Metric(
                        ask=f"sum(rate(tempo_distributor_spans_received_total{{{selector}}}[{EVERY}]))", legend="taken"
                    ),
                    Metric(
                        ask=(
                            f"(sum(rate(tempo_receiver_refused_spans{{{selector}}}[{EVERY}])) or vector(0)) "
                            f"+ (sum(rate(tempo_discarded_spans_total{{{selector}}}[{EVERY}])) or vector(0))"
                        ),
                        legend="lost",
                    ),
                ),
            )
        )
    return panels
