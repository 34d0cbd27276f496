"""This module is the development environment: a cluster on one machine, 4 CPU and 8 GiB."""

from __future__ import annotations

from mcpmesh_k8s import (
    AlloySettings,
    ArgoCdSettings,
    Automated,
    Availability,
    Budget,
    ClusterServer,
    Compute,
    DevIdentity,
    Ephemeral,
    ExistingSecrets,
    GatewaySettings,
    GrafanaSettings,
    InClusterLoki,
    InClusterPrometheus,
    IngressExposure,
    IngressNginx,
    LokiSettings,
    MinioSettings,
    Nodes,
    NoTls,
    PostgresSettings,
    PrometheusSettings,
    RedisSettings,
    RegistrySettings,
    Replicas,
    SystemPods,
    TempoSettings,
    images,
)
from mcpmesh_k8s.operations import Minikube

from . import services
from .settings import EnvironmentSettings, Release

RELEASE = Release(version="1.0.0")
SMALL = Compute(cpu="50m", memory="128Mi", cpu_limit="250m", memory_limit="256Mi")
AGENT = Compute(cpu="100m", memory="128Mi", cpu_limit="500m", memory_limit="512Mi")

DEV = EnvironmentSettings(
    name="dev",
    cluster=Minikube(),
    argocd=ArgoCdSettings(
        target_revision="main", path="dist/dev", destination=ClusterServer(), sync=Automated(prune=True, self_heal=True)
    ),
    budget=Budget(
        cpu="4",
        memory="8Gi",
        # A minikube keeps nothing of its machine for itself. Of its disk, 20 GB, it keeps a tenth.
        nodes=(Nodes(count=1, cpu="4", memory="8Gi", ephemeral_storage="16Gi"),),
        # What the manifests of kubeadm, CoreDNS, Calico and ingress-nginx request.
        system=(
            SystemPods(name="control-plane", cpu="650m", memory="200Mi", count=1),
            SystemPods(name="coredns", cpu="100m", memory="70Mi", count=1),
            SystemPods(name="network", cpu="250m", memory="64Mi"),
            SystemPods(name="ingress-nginx", cpu="100m", memory="90Mi", count=1),
        ),
    ),
    secrets=ExistingSecrets(),
    postgres=PostgresSettings(
        image=images.POSTGRES,
        compute=Compute(cpu="1", memory="1Gi"),
        size="10Gi",
        databases=services.DATABASES,
        connections=services.CONNECTIONS,
        availability=services.DATA,
    ),
    redis=RedisSettings(
        image=images.REDIS,
        users=services.REDIS_USERS,
        compute=Compute(cpu="100m", memory="256Mi"),
        storage=Ephemeral(),
        availability=services.DATA,
    ),
    minio=MinioSettings(
        image=images.MINIO,
        # The plan's figure is the limit: as a request it would leave no room for an agent more.
        compute=Compute(cpu="250m", memory="512Mi", cpu_limit="500m"),
        size="20Gi",
        availability=services.DATA,
    ),
    tempo=TempoSettings(image=images.TEMPO, compute=SMALL, availability=services.OBSERVABILITY),
    registry=RegistrySettings(image=images.REGISTRY_0_5, compute=SMALL, availability=services.MESH),
    backend=services.backend(
        RELEASE,
        compute=Compute(cpu="200m", memory="256Mi", cpu_limit="1", memory_limit="1Gi"),
        availability=Availability(scale=Replicas(count=2), min_available=1, priority_class="backend"),
        dev_mode=True,
    ),
    agents=services.agents(RELEASE, compute=AGENT),
    gateway=GatewaySettings(
        image=images.OPENRESTY,
        compute=SMALL,
        host="ai-interviewer.local",
        https=False,
        availability=Availability(priority_class="entry"),
    ),
    routes_to_mesh=True,
    login=DevIdentity(email="developer@example.com"),
    exposure=IngressExposure(controller=IngressNginx(), tls=NoTls()),
    metrics=InClusterPrometheus(
        priority_class=services.OBSERVABILITY.priority_class,
        prometheus=PrometheusSettings(
            compute=Compute(cpu="50m", memory="256Mi", cpu_limit="250m", memory_limit="384Mi"), retention_days=2
        ),
    ),
    logs=InClusterLoki(
        priority_class=services.OBSERVABILITY.priority_class,
        loki=LokiSettings(compute=Compute(cpu="25m", memory="160Mi", cpu_limit="250m", memory_limit="320Mi")),
        alloy=AlloySettings(compute=Compute(cpu="10m", memory="96Mi", cpu_limit="100m", memory_limit="192Mi")),
    ),
    grafana=GrafanaSettings(image=images.GRAFANA, compute=SMALL, availability=services.OBSERVABILITY),
)
"""Development."""
