"""This module is kube-state-metrics: what the API says of the namespace's objects, as metrics."""

from __future__ import annotations

from dataclasses import dataclass

from constructs import Construct

from mcpmesh_k8s.images import KUBE_STATE_METRICS
from mcpmesh_k8s.kubernetes import (
    Alert,
    ApiAccess,
    ApiRule,
    Compute,
    Container,
    HttpGet,
    Image,
    MetricsEndpoint,
    Port,
    Probes,
    User,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    settings_of,
)

from .alerts import OF_OBJECTS

USER = User(uid=65534, gid=65534)
"""The user ``nobody`` of the image (kubernetes/kube-state-metrics, Dockerfile)."""

_RULES = (
    ApiRule(resources=("pods", "persistentvolumeclaims", "resourcequotas"), verbs=("list", "watch")),
    ApiRule(groups=("apps",), resources=("deployments", "statefulsets"), verbs=("list", "watch")),
    ApiRule(groups=("autoscaling",), resources=("horizontalpodautoscalers",), verbs=("list", "watch")),
    ApiRule(groups=("batch",), resources=("cronjobs", "jobs"), verbs=("list", "watch")),
)
"""What alerts and dashboards read, and nothing else: of Secrets and ConfigMaps, not even the names."""


@dataclass(frozen=True, kw_only=True)
class KubeStateMetricsSettings(WorkloadOptions):
    """A kube-state-metrics for one namespace.

    Args:
        image: The image.
        compute: CPU and memory.
        name: The short name.
    """

    image: Image = KUBE_STATE_METRICS
    compute: Compute = Compute(cpu="10m", memory="48Mi", cpu_limit="100m", memory_limit="96Mi")
    name: str = "kube-state-metrics"


class KubeStateMetrics(Workload):
    """kube-state-metrics, confined to the application's namespace by its Role and by what it is told.

    Args:
        scope: A Phase.
        settings: Image and compute.
    """

    def __init__(self, scope: Construct, settings: KubeStateMetricsSettings) -> None:
        self.settings = settings
        resources = sorted(resource for rule in _RULES for resource in rule.resources)
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                availability=settings.availability,
                extras=settings.extras,
                component="metrics",
                administrators_only="It asks nobody who they are, and shows every object.",
                api_access=ApiAccess(because="It says in metrics how the application's objects are.", rules=_RULES),
                metrics=(MetricsEndpoint(port="http", honor_labels=True),),
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings_of(scope).platform.raised(settings.compute),
                    args=(
                        "--port=8080",
                        "--telemetry-port=8081",
                        f"--namespaces={settings_of(scope).namespace}",
                        f"--resources={','.join(resources)}",
                    ),
                    ports=(Port(number=8080), Port(name="telemetry", number=8081)),
                    log_pattern=r"^(?P<level>[IWEF])\d{4} ",
                    probes=Probes.of(HttpGet(path="/readyz", port="telemetry"), liveness=HttpGet(path="/healthz")),
                ),
            ),
        )

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What it shows."""
        return OF_OBJECTS
