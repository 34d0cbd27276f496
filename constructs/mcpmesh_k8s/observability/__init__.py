"""This module is how an application is watched: metrics, logs, dashboards, alerts."""

from mcpmesh_k8s.kubernetes import refuse_wrong_types

from .alertmanager import Alertmanager, AlertmanagerSettings, PagerDuty, Receiver, Slack, Webhook
from .alloy import Alloy, AlloySettings, LogDestination
from .blackbox import Blackbox, BlackboxSettings, PublicAddress
from .dashboards import Dashboards, DashboardsSettings
from .kube_state_metrics import KubeStateMetrics, KubeStateMetricsSettings
from .logs import InClusterLoki, LogsSettings, NoLogs, ShippedLogs
from .loki import Loki, LokiSettings
from .metrics import InClusterPrometheus, MetricsSettings, NoMetrics, PrometheusOperator
from .monitors import Monitors, MonitorsSettings
from .prometheus import Kubelet, Prometheus, PrometheusSettings

__all__ = [
    "Alertmanager",
    "AlertmanagerSettings",
    "Alloy",
    "AlloySettings",
    "Blackbox",
    "BlackboxSettings",
    "Dashboards",
    "DashboardsSettings",
    "InClusterLoki",
    "InClusterPrometheus",
    "KubeStateMetrics",
    "KubeStateMetricsSettings",
    "Kubelet",
    "LogDestination",
    "LogsSettings",
    "Loki",
    "LokiSettings",
    "MetricsSettings",
    "Monitors",
    "MonitorsSettings",
    "NoLogs",
    "NoMetrics",
    "PagerDuty",
    "Prometheus",
    "PrometheusOperator",
    "PrometheusSettings",
    "PublicAddress",
    "Receiver",
    "ShippedLogs",
    "Slack",
    "Webhook",
]

refuse_wrong_types(globals(), __all__)
