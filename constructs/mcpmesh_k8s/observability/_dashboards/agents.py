"""This module is the dashboards of agents: all of them, and those that stand before an API outside."""

from __future__ import annotations

from .calls import CALLS, ERROR, OWN, SECONDS, calls_by_service, failed_calls, failing_by_service, seconds_by_service
from .parts import (
    GREEN,
    RED,
    Choose,
    Column,
    Dashboard,
    Figure,
    Graph,
    Lines,
    Logs,
    Metric,
    Panel,
    Row,
    Spans,
    States,
    Steps,
    Table,
    Traces,
    Word,
)
from .seen import EVERY, Seen, names_of, quantile, ratio

_KNOWN = (Word(value=1, text="in the mesh", colour=GREEN), Word(value=0, text="missing", colour=RED))


def agents(seen: Seen) -> Dashboard:
    """Whether agents are in the mesh, and how their tools do."""
    chosen = f'service=~"$agent", {OWN}'
    return Dashboard(
        name="agents",
        title="Agents",
        about="Whether agents are in the mesh, how often their tools are called, how long they take and what fails.",
        inputs=(Choose(name="agent", label="Agent", values=names_of(seen.agents), only=True),),
        rows=(
            Row(title="In the mesh", panels=tuple(_registered(seen))),
            *((Row(title="Calls", panels=(*_calls(chosen), tools(chosen))),) if seen.span_metrics else ()),
            Row(title="Pods", panels=tuple(_pods(seen))),
            Row(
                title="What went wrong",
                panels=(errors_of("$agent"), failed_calls('resource.service.name =~ "$agent" && ', width=12)),
            ),
        ),
    )


def _registered(seen: Seen) -> list[Panel]:
    panels: list[Panel] = []
    if seen.checks:
        panels.append(
            States(
                title="Known to the registry",
                about="The registry was asked whether it knows the agent, and takes it for healthy.",
                of=Metric(ask='min by (check) (probe_success{component="agent", check=~"$agent"})', legend="{{check}}"),
                words=_KNOWN,
                width=16,
            )
        )
    # Those of a later mesh say nothing themselves.
    if any(agent.metrics for agent in seen.agents):
        panels.append(
            Table(
                title="Running",
                about="What the agents' own runtime says.",
                keys=(("agent", "Agent"),),
                columns=(
                    Column(title="Pods", of=Metric(ask='sum by (agent) (mcp_mesh_up{service=~"$agent"})')),
                    Column(
                        title="MCP servers",
                        of=Metric(ask='max by (agent) (mcp_mesh_wrappers_total{service=~"$agent"})'),
                    ),
                ),
            )
        )
    elif seen.objects:
        panels.append(_available(seen))
    return panels


def _available(seen: Seen) -> Table:
    prefix = seen.application.prefixed("")

    def of(metric: str) -> Metric:
        counted = (
            f'label_replace({metric}{{deployment=~"{prefix}$agent"}}, "agent", "$1", "deployment", "{prefix}(.+)")'
        )
        return Metric(ask=f"sum by (agent) ({counted})")

    return Table(
        title="Running",
        about="How many of an agent's pods are ready, and how many there shall be.",
        keys=(("agent", "Agent"),),
        columns=(
            Column(title="Pods", of=of("kube_deployment_status_replicas_available")),
            Column(title="Wanted", of=of("kube_deployment_spec_replicas")),
        ),
    )


def _calls(chosen: str) -> tuple[Panel, ...]:
    return calls_by_service(chosen), failing_by_service(chosen), seconds_by_service(chosen)


def tools(chosen: str, height: int = 9) -> Table:
    """Each tool: how often it is called, what fails, and how long it takes."""
    by = "service, span_name"
    every = f"sum by ({by}) (increase({CALLS}{{{chosen}}}[$__range]))"
    failed = f"sum by ({by}) (increase({CALLS}{{{chosen}, {ERROR}}}[$__range]))"

    def within(share: float) -> Metric:
        buckets = f"sum by (le, {by}) (rate({SECONDS}_bucket{{{chosen}}}[$__range]))"
        return Metric(ask=f"histogram_quantile({share:g}, {buckets})")

    return Table(
        title="Tools",
        about="In the chosen time.",
        keys=(("service", "Agent"), ("span_name", "Tool")),
        columns=(
            Column(title="Calls", of=Metric(ask=f"{every} > 0")),
            Column(
                title="Failed",
                unit="percentunit",
                of=Metric(ask=ratio(failed, every)),
                steps=Steps(yellow=0.02, red=0.1),
            ),
            Column(title="Half within", unit="s", of=within(0.5)),
            Column(title="95 % within", unit="s", of=within(0.95)),
        ),
        width=24,
        height=height,
    )


def _pods(seen: Seen) -> list[Panel]:
    panels: list[Panel] = []
    pods = seen.pods_of("$agent")
    if seen.kubelets:
        cpu = seen.by_workload(
            f'sum by (pod) (rate(container_cpu_usage_seconds_total{{container!="", {pods}}}[{EVERY}]))'
        )
        memory = seen.by_workload(f'sum by (pod) (container_memory_working_set_bytes{{container!="", {pods}}})')
        panels += [
            Graph(
                title="CPU",
                about="In cores.",
                of=(Metric(ask=f"sum by (workload) ({cpu})", legend="{{workload}}"),),
            ),
            Graph(
                title="Memory",
                unit="bytes",
                of=(Metric(ask=f"sum by (workload) ({memory})", legend="{{workload}}"),),
            ),
        ]
    if seen.objects:
        restarts = seen.by_workload(f"sum by (pod) (increase(kube_pod_container_status_restarts_total{{{pods}}}[1h]))")
        panels.append(
            Graph(
                title="Restarts within an hour",
                of=(Metric(ask=f"sum by (workload) ({restarts})", legend="{{workload}}"),),
            )
        )
    return panels


def errors_of(app: str, width: int = 12) -> Lines:
    """What they log as errors."""
    wrong = 'level=~"error|critical"'
    return Lines(title="Errors in the logs", of=Logs(ask=f'{{app=~"{app}", {wrong}}}'), width=width, height=7)


def models(seen: Seen) -> Dashboard:
    """How calls of models do."""
    names = "|".join(seen.models)
    chosen = f'service=~"{names}", {OWN}'
    whom = "; ".join(f"{agent} calls {' and '.join(outside)}" for agent, outside in seen.models.items())
    counted: tuple[Row, ...] = ()
    if seen.span_metrics:
        counted = (
            Row(title="Calls", panels=tuple(_model_calls(chosen))),
            Row(title="Tools", panels=(tools(chosen, 6),)),
        )
    return Dashboard(
        name="models",
        title="Model calls",
        about=f"The agents that stand before an API outside: {whom}.",
        rows=(
            *counted,
            Row(
                title="What went wrong",
                panels=(
                    errors_of(names),
                    failed_calls(f'resource.service.name =~ "{names}" && ', width=12),
                    Traces(
                        title="Calls of more than thirty seconds",
                        of=Spans(ask=f'{{ resource.service.name =~ "{names}" && duration > 30s }}'),
                        width=24,
                        height=6,
                    ),
                ),
            ),
        ),
    )


def _model_calls(chosen: str) -> list[Panel]:
    buckets = f"{SECONDS}_bucket{{{chosen}}}"
    return [
        calls_by_service(chosen),
        failing_by_service(chosen),
        Graph(
            title="Under way",
            about="How many calls wait for a model at once, on average: what a provider's limits are about.",
            of=(Metric(ask=f"sum by (service) (rate({SECONDS}_sum{{{chosen}}}[{EVERY}]))", legend="{{service}}"),),
        ),
        Graph(
            title="How long a call takes",
            unit="s",
            of=(
                Metric(ask=quantile(0.5, buckets), legend="half within"),
                Metric(ask=quantile(0.95, buckets), legend="95 % within", exemplars=True),
                Metric(ask=quantile(0.99, buckets), legend="99 % within"),
            ),
            width=16,
        ),
        Figure(
            title="Calls within a day",
            of=Metric(ask=f"sum(increase({CALLS}{{{chosen}}}[24h]))"),
            decimals=0,
            width=8,
            height=8,
        ),
    ]
