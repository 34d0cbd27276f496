"""This module is the production environment: a cluster of 8 CPU and 16 GiB over several nodes and zones."""

from __future__ import annotations

from mcpmesh_k8s import (
    AlertmanagerSettings,
    ArgoCdSettings,
    Autoscaling,
    Availability,
    BlackboxSettings,
    Budget,
    Claim,
    ClusterName,
    Compute,
    ExternalSecrets,
    GatewaySettings,
    Google,
    GrafanaSettings,
    InClusterLoki,
    InClusterPrometheus,
    IngressExposure,
    IngressNginx,
    LokiSettings,
    Manual,
    MinioSettings,
    Nodes,
    OAuth2ProxySettings,
    Persistent,
    PostgresSettings,
    PrometheusSettings,
    PublicAddress,
    RedisSettings,
    RegistrySettings,
    Replicas,
    SystemPods,
    TempoSettings,
    Tls,
    VerticalScaling,
    Webhook,
    images,
)
from mcpmesh_k8s.operations import SharedCluster

from . import services
from .settings import EnvironmentSettings, Release

CONTEXT = "ai-interviewer-prod"
HOST = "ai-interviewer.example.com"
RELEASE = Release(version="1.0.0", registry="registry.example.com/ai-interviewer")
SMALL = Compute(cpu="50m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi")
AGENT = Compute(cpu="200m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi")
ENTRY = Availability(scale=Replicas(count=2), min_available=1, spread=True, priority_class="entry")

PROD = EnvironmentSettings(
    name="prod",
    cluster=SharedCluster(context=CONTEXT),
    argocd=ArgoCdSettings(
        target_revision="main", path="dist/prod", destination=ClusterName(name="production"), sync=Manual()
    ),
    budget=Budget(
        cpu="8",
        memory="16Gi",
        # The plan's 8 CPU and 16 GiB as three nodes, a zone each. One may be lost.
        nodes=(Nodes(count=3, cpu="2700m", memory="5632Mi", ephemeral_storage="40Gi", zones=3),),
        # What the manifests of CoreDNS, ingress-nginx and metrics-server request; of the others, what is usual. That of
        # the VerticalPodAutoscaler requests 500Mi, for far more pods: docs/scaling.md says what to give it.
        system=(
            SystemPods(name="network", cpu="200m", memory="64Mi"),
            SystemPods(name="coredns", cpu="100m", memory="70Mi", count=2),
            SystemPods(name="ingress-nginx", cpu="100m", memory="90Mi", count=1),
            SystemPods(name="metrics-server", cpu="100m", memory="200Mi", count=1),
            SystemPods(name="external-secrets", cpu="50m", memory="128Mi", count=1),
            SystemPods(name="vpa-recommender", cpu="50m", memory="128Mi", count=1),
        ),
    ),
    secrets=ExternalSecrets(store="ai-interviewer", prefix="ai-interviewer/prod"),
    image_pull_secret="registry-credentials",
    postgres=PostgresSettings(
        image=images.POSTGRES,
        compute=Compute(cpu="1500m", memory="2Gi", cpu_limit="2"),
        size="10Gi",
        databases=services.DATABASES,
        connections=services.CONNECTIONS,
        availability=services.DATA,
        backup=services.backup("20Gi", at="30 2 * * *"),
    ),
    redis=RedisSettings(
        image=images.REDIS,
        users=services.REDIS_USERS,
        compute=Compute(cpu="200m", memory="512Mi"),
        storage=Persistent(size="5Gi"),
        availability=services.DATA,
        # Most of it are sessions, which end.
        backup=services.backup("5Gi", at="0 2 * * *", least_percent=10),
    ),
    minio=MinioSettings(
        image=images.MINIO,
        compute=Compute(cpu="500m", memory="1Gi", cpu_limit="1"),
        size="20Gi",
        availability=services.DATA,
        backup=services.backup("50Gi", at="0 3 * * *"),
    ),
    tempo=TempoSettings(
        image=images.TEMPO,
        compute=SMALL,
        storage=Claim(mount_path="/var/tempo", size="10Gi"),
        availability=services.OBSERVABILITY,
        retention_hours=72,
    ),
    registry=RegistrySettings(image=images.REGISTRY_0_5, compute=SMALL, availability=services.MESH),
    backend=services.backend(
        RELEASE,
        compute=Compute(cpu="500m", memory="512Mi", cpu_limit="1", memory_limit="1Gi"),
        availability=Availability(
            scale=Autoscaling(minimum=3, maximum=5), min_available=1, spread=True, priority_class="backend"
        ),
    ),
    agents=services.agents(RELEASE, compute=AGENT, vertical=VerticalScaling()),
    gateway=GatewaySettings(
        image=images.OPENRESTY,
        compute=SMALL,
        host=HOST,
        administrators=("admin@example.com",),
        availability=ENTRY,
    ),
    login=OAuth2ProxySettings(
        image=images.OAUTH2_PROXY,
        compute=Compute(cpu="50m", memory="64Mi", cpu_limit="200m", memory_limit="128Mi"),
        host=HOST,
        provider=Google(),
        email_domains=("example.com",),
        availability=ENTRY,
    ),
    exposure=IngressExposure(
        controller=IngressNginx(),
        tls=Tls(secret="ai-interviewer-tls", cluster_issuer="letsencrypt"),
    ),
    metrics=InClusterPrometheus(
        priority_class=services.OBSERVABILITY.priority_class,
        prometheus=PrometheusSettings(
            storage=Claim(mount_path="/prometheus", size="10Gi"),
            runbooks="https://git.example.com/ai-interviewer/deployment/blob/main/docs/runbooks",
        ),
        blackbox=BlackboxSettings(public_address=PublicAddress()),
        alertmanager=AlertmanagerSettings(page=Webhook(), ticket=Webhook(), watchdog=Webhook()),
    ),
    logs=InClusterLoki(
        priority_class=services.OBSERVABILITY.priority_class,
        loki=LokiSettings(storage=Claim(mount_path="/loki", size="10Gi"), retention_days=7, rate_kib=48),
    ),
    grafana=GrafanaSettings(
        image=images.GRAFANA,
        compute=SMALL,
        storage=Claim(mount_path="/var/lib/grafana", size="1Gi"),
        availability=services.OBSERVABILITY,
    ),
)
"""Production."""
