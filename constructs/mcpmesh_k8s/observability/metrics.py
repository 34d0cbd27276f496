"""This module is the choice of who collects an application's metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from constructs import Construct

from mcpmesh_k8s.access import NewSecret

from ._ranks import ranked
from .alertmanager import Alertmanager, AlertmanagerSettings
from .blackbox import Blackbox, BlackboxSettings
from .kube_state_metrics import KubeStateMetrics, KubeStateMetricsSettings
from .monitors import Monitors, MonitorsSettings
from .prometheus import Prometheus, PrometheusSettings


class MetricsSettings(Protocol):
    """The settings of who collects the metrics, of any kind."""

    def create(self, scope: Construct, secret: NewSecret) -> Prometheus | None:
        """Make what collects them.

        Args:
            scope: A Phase, for what it runs.
            secret: Makes the Secret that it reads.

        Returns:
            The Prometheus that can be asked, where one runs here.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class InClusterPrometheus:
    """A Prometheus in the application's namespace. It needs nothing that the cluster does not have.

    Args:
        prometheus: The server.
        kube_state_metrics: What says how Deployments, Jobs, claims and pods are; none with ``None``.
        blackbox: What checks those that have no metrics; none with ``None``.
        alertmanager: Who is told of alerts; without, they are seen in Grafana alone.
        priority_class: The name of a PriorityClass of the application for all of these; each may name another.
    """

    prometheus: PrometheusSettings = PrometheusSettings()
    kube_state_metrics: KubeStateMetricsSettings | None = KubeStateMetricsSettings()
    blackbox: BlackboxSettings | None = BlackboxSettings()
    alertmanager: AlertmanagerSettings | None = None
    priority_class: str = ""

    def create(self, scope: Construct, secret: NewSecret) -> Prometheus:
        """Prometheus, and what it asks."""
        if self.alertmanager:
            told = ranked(self.alertmanager, self.priority_class)
            Alertmanager(scope, told, secret(told.name, *told.secret_keys))
        if self.kube_state_metrics:
            KubeStateMetrics(scope, ranked(self.kube_state_metrics, self.priority_class))
        if self.blackbox:
            Blackbox(scope, ranked(self.blackbox, self.priority_class))
        return Prometheus(scope, ranked(self.prometheus, self.priority_class))


@dataclass(frozen=True, kw_only=True)
class PrometheusOperator:
    """A Prometheus that the cluster has, run by its operator. It is told by custom resources, and let in by policies.

    Alertmanager, dashboards and retention are that of the cluster too.

    Args:
        monitors: What the operator selects by, and who asks.
        kube_state_metrics: One of the application's own, for a cluster whose Prometheus asks none.
        blackbox: What checks those that have no metrics; none with ``None``.
        priority_class: The name of a PriorityClass of the application for all of these; each may name another.
    """

    monitors: MonitorsSettings = MonitorsSettings()
    kube_state_metrics: KubeStateMetricsSettings | None = None
    blackbox: BlackboxSettings | None = BlackboxSettings()
    priority_class: str = ""

    def create(self, scope: Construct, secret: NewSecret) -> None:
        """What the operator reads, and what is asked beside."""
        if self.kube_state_metrics:
            KubeStateMetrics(scope, ranked(self.kube_state_metrics, self.priority_class))
        if self.blackbox:
            Blackbox(scope, ranked(self.blackbox, self.priority_class))
        Monitors(scope, self.monitors)


@dataclass(frozen=True, kw_only=True)
class NoMetrics:
    """Nobody collects metrics, so nobody is called either, and dashboards show traces alone."""

    def create(self, scope: Construct, secret: NewSecret) -> None:
        """Nothing."""
