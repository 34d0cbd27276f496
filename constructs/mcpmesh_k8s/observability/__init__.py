"""This module is how an application is watched: metrics, logs, dashboards, alerts."""

from mcpmesh_k8s.kubernetes import refuse_wrong_types

from .alertmanager import Alertmanager, AlertmanagerSettings, PagerDuty, Receiver, Slack, Webhook
from .blackbox import Blackbox, BlackboxSettings, PublicAddress
from .kube_state_metrics import KubeStateMetrics, KubeStateMetricsSettings
from .metrics import InClusterPrometheus, MetricsSettings, NoMetrics, PrometheusOperator
from .monitors import Monitors, MonitorsSettings
from .prometheus import Kubelet, Prometheus, PrometheusSettings

__all__ = [
    "Alertmanager",
    "AlertmanagerSettings",
    "Blackbox",
    "BlackboxSettings",
    "InClusterPrometheus",
    "KubeStateMetrics",
    "KubeStateMetricsSettings",
    "Kubelet",
    "MetricsSettings",
    "Monitors",
    "MonitorsSettings",
    "NoMetrics",
    "PagerDuty",
    "Prometheus",
    "PrometheusOperator",
    "PrometheusSettings",
    "PublicAddress",
    "Receiver",
    "Slack",
    "Webhook",
]

refuse_wrong_types(globals(), __all__)
