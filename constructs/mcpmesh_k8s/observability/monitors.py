"""This module is what a Prometheus of the cluster is told by its operator: monitors, probes and rules."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Alert,
    ApiObjectMetadata,
    Component,
    Manifest,
    MetricsEndpoint,
    NamespacePods,
    Peer,
    Pod,
    SettingError,
    dataclass,
    monitoring,
    own_labels,
)

from .alerts import OF_CONTAINERS, OF_OBJECTS, of_targets
from .blackbox import Blackbox
from .kube_state_metrics import KubeStateMetrics
from .prometheus import Relabeling, annotations_of, job_name, relabelings, require_interval
from .promql import confined


@dataclass(frozen=True, kw_only=True)
class MonitorsSettings:
    """How a Prometheus of the cluster, which its operator runs, learns of an application.

    Args:
        labels: The labels by which it selects monitors and rules, as ``(key, value)``: those of ``podMonitorSelector``,
            ``probeSelector`` and ``ruleSelector`` of its ``Prometheus``. With the chart ``kube-prometheus-stack``
            that is ``("release", "<the chart's release>")``. None where it selects all.
        prometheus: Its pods, as a policy sees them. They reach the ports of metrics, and nothing else.
        interval_seconds: Seconds between two questions to a target.
        runbooks: The URL below which people find the page of an alert, ``<name>.md``.
        cluster_metrics: Whether it asks kubelets and a kube-state-metrics of the whole cluster, as the chart has it:
            then there are rules about the application's pods, containers and claims too.
    """

    labels: tuple[tuple[str, str], ...] = ()
    prometheus: Peer | tuple[Peer, ...] = NamespacePods(
        namespace="monitoring", labels=(("app.kubernetes.io/name", "prometheus"),)
    )
    interval_seconds: int = 30
    runbooks: str = "docs/runbooks"
    cluster_metrics: bool = True

    def __post_init__(self) -> None:
        """Refuse labels that are none, and a Prometheus that nobody lets in."""
        own_labels("MonitorsSettings.labels", self.labels)
        if not self.peers:
            raise SettingError("MonitorsSettings.prometheus", self.prometheus, "Nobody would ask. Give its pods.")
        require_interval("MonitorsSettings.interval_seconds", self.interval_seconds)

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Its pods, wherever they are."""
        return self.prometheus if isinstance(self.prometheus, tuple) else (self.prometheus,)


class Monitors(Component):
    """A PodMonitor for each ``MetricsEndpoint``, a Probe for each check, and a PrometheusRule of all alerts.

    Series have the labels that they have in a Prometheus of the application's own, and ``namespace``. Rules are the
    same, each confined to the namespace.

    Args:
        scope: A Phase.
        settings: What the operator selects by, and who asks.
    """

    def __init__(self, scope: Construct, settings: MonitorsSettings) -> None:
        self.settings = settings
        super().__init__(scope, "monitors", "monitors", "metrics")

    def settle(self) -> None:
        """Let Prometheus into everything that has metrics."""
        for pod in self._pods:
            for port in dict.fromkeys(endpoint.port for endpoint in pod.metrics):
                for peer in self.settings.peers:
                    if (peer, port) not in pod.accepted:
                        pod.accepts_from(peer, port)

    @property
    def alerts(self) -> Sequence[Alert]:
        """What shows that a target is away; and what a Prometheus of the whole cluster knows of the application."""
        jobs = tuple(job_name(pod, endpoint) for pod in self._pods for endpoint in pod.metrics)
        known = self.settings.cluster_metrics
        objects = OF_OBJECTS if known and not self.application.find_all(KubeStateMetrics) else ()
        return (*(of_targets(jobs) if jobs else ()), *objects, *(OF_CONTAINERS if known else ()))

    @property
    def _pods(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.application.find_all(Pod) if pod.metrics)

    def labels(self) -> dict[str, str]:
        """The labels of its objects, with those that the operator selects by."""
        return super().labels() | dict(self.settings.labels)

    def manifests(self) -> list[Manifest]:
        """All that the operator reads."""
        monitors = [self._monitor(pod, endpoint) for pod in self._pods for endpoint in pod.metrics]
        probes = [probe for blackbox in self.application.find_all(Blackbox) for probe in self._probes(blackbox)]
        rules = self._rules()
        return [*monitors, *probes, *([rules] if rules else [])]

    def _named(self, name: str) -> ApiObjectMetadata:
        return ApiObjectMetadata(name=self.application.prefixed(name), namespace=self.namespace, labels=self.labels())

    def _seconds(self, seconds: int = 0) -> str:
        return f"{seconds or self.settings.interval_seconds}s"

    def _monitor(self, pod: Pod, endpoint: MetricsEndpoint) -> Manifest:
        # The operator adds these of its own accord, and who speaks of others would be taken for whom it speaks of.
        added = "container|endpoint|pod" if endpoint.honor_labels else "container|endpoint"
        job = job_name(pod, endpoint)
        steps = (
            Relabeling(target_label="job", replacement=job),
            Relabeling(regex=added, action="labeldrop"),
            *relabelings(pod, endpoint),
        )
        return monitoring.PodMonitor.manifest(
            metadata=self._named(job),
            spec=monitoring.PodMonitorSpec(
                selector=monitoring.PodMonitorSpecSelector(match_labels=pod.selector),
                pod_metrics_endpoints=[
                    monitoring.PodMonitorSpecPodMetricsEndpoints(
                        port=endpoint.port,
                        path=endpoint.path,
                        interval=self._seconds(endpoint.interval_seconds),
                        honor_labels=endpoint.honor_labels or None,
                        scheme=_HTTPS if endpoint.certificate else None,
                        tls_config=_verifying(pod, endpoint),
                        relabelings=[_step(step) for step in steps],
                    )
                ],
            ),
        )

    def _probes(self, blackbox: Blackbox) -> list[Manifest]:
        host = f"{blackbox.full_name}.{self.application.settings.service_domain}:{blackbox.main_port.number}"
        return [
            monitoring.Probe.manifest(
                metadata=self._named(blackbox.job_of(check)),
                spec=monitoring.ProbeSpec(
                    job_name=blackbox.job_of(check),
                    interval=self._seconds(),
                    module=check.name,
                    prober=monitoring.ProbeSpecProber(url=host),
                    targets=monitoring.ProbeSpecTargets(
                        static_config=monitoring.ProbeSpecTargetsStaticConfig(
                            static=[check.url], labels={"namespace": self.namespace, **blackbox.labels_of(owner, check)}
                        )
                    ),
                ),
            )
            for owner, check in blackbox.all_checks
        ]

    def _rules(self) -> Manifest | None:
        groups = [
            monitoring.PrometheusRuleSpecGroups(name=component.name, rules=[self._rule(alert) for alert in alerts])
            for component in self.application.find_all(Component)
            if (alerts := component.alerts)
        ]
        if not groups:
            return None
        return monitoring.PrometheusRule.manifest(
            metadata=self._named("alerts"), spec=monitoring.PrometheusRuleSpec(groups=groups)
        )

    def _rule(self, alert: Alert) -> monitoring.PrometheusRuleSpecGroupsRules:
        expression = confined(alert.expression, self.namespace)
        return monitoring.PrometheusRuleSpecGroupsRules(
            alert=alert.name,
            expr=monitoring.PrometheusRuleSpecGroupsRulesExpr.from_string(expression),
            for_=f"{alert.for_minutes}m",
            # Some lose it in a sum, and receivers may be chosen by it.
            labels={"severity": alert.severity.value, "namespace": self.namespace},
            annotations=annotations_of(alert, self.settings.runbooks),
        )


_HTTPS = monitoring.PodMonitorSpecPodMetricsEndpointsScheme.HTTPS


def _verifying(pod: Pod, endpoint: MetricsEndpoint) -> monitoring.PodMonitorSpecPodMetricsEndpointsTlsConfig | None:
    """By which CA a server is known, where it speaks TLS: its address is a pod's, its names are the Service's."""
    if not endpoint.certificate:
        return None
    return monitoring.PodMonitorSpecPodMetricsEndpointsTlsConfig(
        ca=monitoring.PodMonitorSpecPodMetricsEndpointsTlsConfigCa(
            secret=monitoring.PodMonitorSpecPodMetricsEndpointsTlsConfigCaSecret(
                name=endpoint.certificate, key="ca.crt"
            )
        ),
        server_name=pod.full_name,
    )


def _step(step: Relabeling) -> monitoring.PodMonitorSpecPodMetricsEndpointsRelabelings:
    actions = monitoring.PodMonitorSpecPodMetricsEndpointsRelabelingsAction
    return monitoring.PodMonitorSpecPodMetricsEndpointsRelabelings(
        source_labels=list(step.source_labels) or None,
        regex=step.regex or None,
        action=actions[step.action.upper()] if step.action else None,
        target_label=step.target_label or None,
        replacement=step.replacement or None,
    )
