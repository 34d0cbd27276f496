"""This module is the dashboard of room: what workloads use, beside what they asked for and what there is."""

from __future__ import annotations

from .overview import claims, memory_by_workload, quota
from .parts import Choose, Column, Dashboard, Graph, Metric, Panel, Row, Steps, Table
from .seen import EVERY, Seen, names_of, ratio

_THERE = 'kube_pod_status_phase{phase=~"Pending|Running"} == 1'
"""A pod that has ended has no room any more."""


def budget(seen: Seen) -> Dashboard:
    """What is used of what was asked for."""
    return Dashboard(
        name="budget",
        title="Room",
        about="CPU, memory and storage that workloads use, beside what they asked for, may use, and what there is.",
        inputs=(Choose(name="workload", label="Workload", values=names_of(seen.pods)),),
        rows=(
            Row(title="All of it", panels=tuple(_whole(seen))),
            Row(title="By workload", panels=_workloads(seen) if seen.objects and seen.kubelets else ()),
            Row(title="CPU", panels=_cpu(seen) if seen.kubelets else ()),
            Row(title="Memory", panels=_memory(seen) if seen.kubelets else ()),
            Row(title="Storage", panels=_storage() if seen.kubelets else ()),
            Row(title="Pods", panels=_pods(seen) if seen.objects else ()),
        ),
    )


def _asked(kind: str, resource: str, pods: str = "") -> str:
    """What the containers of pods that are there asked for, or may use."""
    more = f", {pods}" if pods else ""
    return f'(kube_pod_container_resource_{kind}{{resource="{resource}"{more}}} and on (pod) {_THERE})'


def _used_cpu(pods: str = "") -> str:
    more = f", {pods}" if pods else ""
    return f'sum by (pod) (rate(container_cpu_usage_seconds_total{{container!=""{more}}}[{EVERY}]))'


def _used_memory(pods: str = "") -> str:
    more = f", {pods}" if pods else ""
    return f'sum by (pod) (container_memory_working_set_bytes{{container!=""{more}}})'


def _whole(seen: Seen) -> list[Panel]:
    panels: list[Panel] = [quota()] if seen.objects else []
    for title, unit, resource, used in (
        ("CPU", "short", "cpu", _used_cpu()),
        ("Memory", "bytes", "memory", _used_memory()),
    ):
        of: list[Metric] = []
        if seen.kubelets:
            of.append(Metric(ask=f"sum({used})", legend="used"))
        if seen.objects:
            hard = f'max(kube_resourcequota{{resource="requests.{resource}", type="hard"}})'
            of.append(Metric(ask=f"sum{_asked('requests', resource)}", legend="asked for"))
            of.append(Metric(ask=hard, legend="the namespace may ask for", limit=True))
        if of:
            panels.append(Graph(title=title, about="In cores." * (unit == "short"), unit=unit, of=tuple(of)))
    return panels


def _workloads(seen: Seen) -> tuple[Panel, ...]:
    pods = seen.pods_of("$workload")

    def each(ask: str) -> str:
        return f"sum by (workload) ({seen.by_workload(ask)})"

    cpu, memory = each(_used_cpu(pods)), each(_used_memory(pods))
    asked = {
        (kind, resource): each(_asked(kind, resource, pods))
        for kind in ("requests", "limits")
        for resource in ("cpu", "memory")
    }
    near = Steps(yellow=0.75, red=0.9)
    return (
        Table(
            title="Used, asked for, and at most",
            about="CPU in cores. At its CPU limit a container is slowed down, at its memory limit it is killed.",
            keys=(("workload", "Workload"),),
            columns=(
                Column(title="CPU", of=Metric(ask=cpu)),
                Column(title="CPU asked for", of=Metric(ask=asked["requests", "cpu"])),
                Column(
                    title="Of its CPU limit",
                    unit="percentunit",
                    of=Metric(ask=ratio(cpu, asked["limits", "cpu"])),
                    steps=near,
                ),
                Column(title="Memory", unit="bytes", of=Metric(ask=memory)),
                Column(title="Memory asked for", unit="bytes", of=Metric(ask=asked["requests", "memory"])),
                Column(
                    title="Of its memory limit",
                    unit="percentunit",
                    of=Metric(ask=ratio(memory, asked["limits", "memory"])),
                    steps=near,
                ),
            ),
            sort="Of its memory limit",
            width=24,
            height=14,
        ),
    )


def _cpu(seen: Seen) -> tuple[Panel, ...]:
    pods = seen.pods_of("$workload")
    cpu = seen.by_workload(_used_cpu(pods))
    slowed, periods = (
        f"sum by (workload) ({seen.by_workload(f'sum by (pod) (rate({metric}{{{pods}}}[{EVERY}]))')})"
        for metric in ("container_cpu_cfs_throttled_periods_total", "container_cpu_cfs_periods_total")
    )
    return (
        Graph(
            title="CPU in use",
            about="In cores.",
            of=(Metric(ask=f"sum by (workload) ({cpu})", legend="{{workload}}"),),
            stacked=True,
            width=12,
        ),
        Graph(
            title="Slowed down",
            about="How often a container stood still because it had used up its limit.",
            unit="percentunit",
            of=(Metric(ask=ratio(slowed, periods), legend="{{workload}}"),),
            width=12,
        ),
    )


def _memory(seen: Seen) -> tuple[Panel, ...]:
    pods = seen.pods_of("$workload")
    killed = seen.by_workload(f"sum by (pod) (increase(container_oom_events_total{{{pods}}}[1h]))")
    return (
        memory_by_workload(seen, pods, 12),
        Graph(
            title="Killed for their memory within an hour",
            of=(Metric(ask=f"sum by (workload) ({killed})", legend="{{workload}}"),),
            width=12,
        ),
    )


def _storage() -> tuple[Panel, ...]:
    left = "predict_linear(kubelet_volume_stats_available_bytes[6h], 3 * 24 * 3600)"
    return (
        claims(),
        Graph(
            title="Free in three days",
            about="As claims fill up now. At zero it is full.",
            unit="bytes",
            of=(Metric(ask=f"max by (persistentvolumeclaim) ({left})", legend="{{persistentvolumeclaim}}"),),
            width=16,
        ),
    )


def _pods(seen: Seen) -> tuple[Panel, ...]:
    pods = seen.pods_of("$workload")
    running = seen.by_workload(f'kube_pod_status_phase{{phase="Running", {pods}}}')
    restarts = seen.by_workload(f"sum by (pod) (increase(kube_pod_container_status_restarts_total{{{pods}}}[1h]))")
    name = "horizontalpodautoscaler"
    return (
        Graph(
            title="Running pods",
            of=(Metric(ask=f"sum by (workload) ({running})", legend="{{workload}}"),),
            stacked=True,
        ),
        Graph(
            title="Restarts within an hour",
            of=(Metric(ask=f"sum by (workload) ({restarts})", legend="{{workload}}"),),
        ),
        Graph(
            title="Autoscalers",
            about="At the dashed line they add no more.",
            of=(
                Metric(
                    ask=f"max by ({name}) (kube_horizontalpodautoscaler_status_current_replicas)",
                    legend=f"{{{{{name}}}}}",
                ),
                Metric(
                    ask=f"max by ({name}) (kube_horizontalpodautoscaler_spec_max_replicas)",
                    legend=f"{{{{{name}}}}} at most",
                    limit=True,
                ),
            ),
        ),
    )
