"""This module is how large a service is: how many pods, by which measure, and how much each may ask for."""

from __future__ import annotations

from typing import Literal, NamedTuple

from .api import ApiObjectMetadata, k8s, keda, vertical
from .choice import Choice
from .container import Container
from .errors import SettingError
from .manifest import Manifest, at
from .names import once
from .network import NamespacePods, Peer
from .quantity import Amount
from .values import dataclass

SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")
"""Kinds that set how many pods of an object run."""

KEDA = NamespacePods(namespace="keda", labels=(("app", "keda-operator"),))
"""KEDA's operator, as its chart and its manifests install it."""


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """A fixed number of pods.

    Args:
        count: How many.
    """

    count: int = 1

    def __post_init__(self) -> None:
        """Refuse a count that runs nothing."""
        if self.count < 1:
            raise SettingError("Replicas.count", self.count, "Give 1 or more.")

    @property
    def replicas(self) -> int | None:
        """What the object that runs them says."""
        return self.count

    @property
    def least(self) -> int:
        """How many always run."""
        return self.count

    @property
    def most(self) -> int:
        """How many run at most."""
        return self.count


@dataclass(frozen=True, kw_only=True)
class Autoscaling:
    """A number of pods that follows the load (HorizontalPodAutoscaler).

    Args:
        minimum: How many always run.
        maximum: How many run at most.
        cpu_percent: The average use of the requested CPU that the autoscaler aims at. 70 leaves room for the
            half minute until a new pod is ready.
    """

    minimum: int
    maximum: int
    cpu_percent: int = 70

    def __post_init__(self) -> None:
        """Refuse bounds that contradict each other."""
        where = type(self).__name__
        if self.minimum < 1:
            raise SettingError(f"{where}.minimum", self.minimum, "Give 1 or more.")
        if self.maximum < self.minimum:
            raise SettingError(f"{where}.maximum", self.maximum, f"Give at least the minimum, {self.minimum}.")
        if not 1 <= self.cpu_percent <= 100:
            raise SettingError(f"{where}.cpu_percent", self.cpu_percent, "Give 1 to 100.")

    @property
    def replicas(self) -> int | None:
        """What the object that runs them says: nothing, for the autoscaler does."""
        return None

    @property
    def least(self) -> int:
        """How many always run."""
        return self.minimum

    @property
    def most(self) -> int:
        """How many run at most."""
        return self.maximum


@dataclass(frozen=True, kw_only=True)
class RequestRate(Autoscaling):
    """A number of pods that follows the requests a second that a gateway passes on, and the CPU (ScaledObject of KEDA).

    The measure that asks for more pods decides. KEDA asks the application's own Prometheus, which a policy lets it
    reach. While that does not answer, pods are still added by their CPU, and none is taken away.

    Why KEDA, and not the custom metrics API? That API has one adapter for the whole cluster, whose rules and whose one
    Prometheus lie outside the application. A ScaledObject says both itself.

    Args:
        per_pod: Requests a second that one pod serves with time to spare. A load test finds it.
        keda: KEDA's operator, which asks. On AKS it is ``NamespacePods(namespace="kube-system", …)``.
    """

    per_pod: float
    keda: Peer = KEDA

    def __post_init__(self) -> None:
        """Refuse a rate that no number of pods would serve."""
        super().__post_init__()
        if not 0.01 <= self.per_pod < 1_000_000:
            raise SettingError("RequestRate.per_pod", self.per_pod, "Give requests a second, such as 20 or 0.5.")


@dataclass(frozen=True, kw_only=True)
class RequestCount:
    """Where the requests to a service are counted.

    Args:
        server: The URL of a Prometheus.
        query: How many came a second, as PromQL with one value.
    """

    server: str
    query: str


class UpdateMode(Choice):
    """What becomes of the sizes that a VerticalPodAutoscaler recommends."""

    OFF = "Off", "People read them, and change the settings."
    INITIAL = "Initial", "A new pod requests them."
    RECREATE = "Recreate", "Pods that request something else are evicted, and requested anew."


@dataclass(frozen=True, kw_only=True)
class VerticalScaling:
    """Sizes that follow what pods use (VerticalPodAutoscaler). Limits stay as they are set.

    Where it changes requests, each may grow up to its limit, and budget, quota and nodes are reckoned with that.

    Args:
        mode: What becomes of what it recommends.
        resources: What it recommends.
    """

    mode: UpdateMode = UpdateMode.OFF
    resources: tuple[Literal["cpu", "memory"], ...] = ("cpu", "memory")

    def __post_init__(self) -> None:
        """Refuse one that watches nothing."""
        once("VerticalScaling.resources", list(self.resources))
        if not self.resources:
            raise SettingError("VerticalScaling.resources", self.resources, "Give 'cpu', 'memory' or both.")

    @property
    def changes(self) -> bool:
        """Whether it changes what pods request."""
        return self.mode is not UpdateMode.OFF

    def largest(self, container: Container) -> Amount:
        """The most that it lets a container request."""
        asked, most = container.requests, container.limits
        return Amount(
            cpu=most.cpu if "cpu" in self.resources else asked.cpu,
            memory=most.memory if "memory" in self.resources else asked.memory,
            disk=asked.disk,
        )


def horizontal_autoscaler(metadata: k8s.ObjectMeta, kind: str, name: str, scale: Autoscaling) -> Manifest:
    """The HorizontalPodAutoscaler of an object."""
    return k8s.KubeHorizontalPodAutoscalerV2.manifest(
        metadata=metadata,
        spec=k8s.HorizontalPodAutoscalerSpecV2(
            scale_target_ref=k8s.CrossVersionObjectReferenceV2(api_version="apps/v1", kind=kind, name=name),
            min_replicas=scale.minimum,
            max_replicas=scale.maximum,
            metrics=[
                k8s.MetricSpecV2(
                    type="Resource",
                    resource=k8s.ResourceMetricSourceV2(
                        name="cpu",
                        target=k8s.MetricTargetV2(type="Utilization", average_utilization=scale.cpu_percent),
                    ),
                )
            ],
        ),
    )


def scaled_object(
    metadata: ApiObjectMetadata, kind: str, name: str, scale: RequestRate, counted: RequestCount
) -> Manifest:
    """The ScaledObject of an object: by requests and by CPU."""
    by_requests = keda.ScaledObjectSpecTriggers(
        type="prometheus",
        metric_type=keda.ScaledObjectSpecTriggersMetricType.AVERAGE_VALUE,
        metadata={
            "serverAddress": counted.server,
            "query": counted.query,
            "threshold": f"{scale.per_pod:g}",
            # A gateway that is not seen is not one without requests.
            "ignoreNullValues": "false",
        },
    )
    by_cpu = keda.ScaledObjectSpecTriggers(
        type="cpu",
        metric_type=keda.ScaledObjectSpecTriggersMetricType.UTILIZATION,
        metadata={"value": str(scale.cpu_percent)},
    )
    return keda.ScaledObject.manifest(
        metadata=metadata,
        spec=keda.ScaledObjectSpec(
            scale_target_ref=keda.ScaledObjectSpecScaleTargetRef(api_version="apps/v1", kind=kind, name=name),
            min_replica_count=scale.minimum,
            max_replica_count=scale.maximum,
            triggers=[by_requests, by_cpu],
        ),
    )


def vertical_autoscaler(
    metadata: ApiObjectMetadata, kind: str, name: str, scaling: VerticalScaling, pods: int, *containers: Container
) -> Manifest:
    """The VerticalPodAutoscaler of an object: of its own containers, and of none that others add to its pods."""
    resource = vertical.VerticalPodAutoscalerSpecResourcePolicyContainerPoliciesControlledResources
    values = vertical.VerticalPodAutoscalerSpecResourcePolicyContainerPoliciesControlledValues
    off = vertical.VerticalPodAutoscalerSpecResourcePolicyContainerPoliciesMode.OFF
    policy = vertical.VerticalPodAutoscalerSpecResourcePolicyContainerPolicies
    own = [
        policy(
            container_name=container.name,
            controlled_resources=[resource[one.upper()] for one in scaling.resources],
            controlled_values=values.REQUESTS_ONLY,
            max_allowed={
                key: text for key, text in scaling.largest(container).resources.items() if key in scaling.resources
            }
            # What is only read may say that a limit is too low.
            if scaling.changes
            else None,
        )
        for container in containers
    ]
    return vertical.VerticalPodAutoscaler.manifest(
        metadata=metadata,
        spec=vertical.VerticalPodAutoscalerSpec(
            target_ref=vertical.VerticalPodAutoscalerSpecTargetRef(api_version="apps/v1", kind=kind, name=name),
            update_policy=vertical.VerticalPodAutoscalerSpecUpdatePolicy(
                update_mode=vertical.VerticalPodAutoscalerSpecUpdatePolicyUpdateMode[scaling.mode.name],
                # It would not evict the only pod of a service.
                min_replicas=pods if scaling.mode is UpdateMode.RECREATE else None,
            ),
            resource_policy=vertical.VerticalPodAutoscalerSpecResourcePolicy(
                container_policies=[*own, policy(container_name="*", mode=off)]
            ),
        ),
    )


class Scaled(NamedTuple):
    """What an object of one of `SCALERS` scales: by its kind and its name, and between which counts."""

    kind: str
    name: str
    minimum: int
    maximum: int


def scaled_by(manifest: Manifest) -> Scaled:
    """What a scaler scales."""
    spec = at(manifest, "spec")
    reference = at(spec, "scaleTargetRef")
    suffix = "Count" if manifest["kind"] == "ScaledObject" else "s"
    # Where nothing is said, KEDA runs none to a hundred, and Kubernetes one at least.
    least, most = spec.get(f"minReplica{suffix}"), spec.get(f"maxReplica{suffix}", 100)
    return Scaled(
        kind=str(reference.get("kind", "Deployment")),
        name=str(reference.get("name")),
        minimum=int(str(least)) if least is not None else int(suffix == "s"),
        maximum=int(str(most)),
    )
