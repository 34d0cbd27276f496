"""This module is what an environment of the AI Interviewer must say."""

from __future__ import annotations

from dataclasses import dataclass

from mcpmesh_k8s import (
    Age,
    AgentSettings,
    ApiServer,
    ApiSettings,
    ArgoCdSettings,
    Budget,
    DashboardsSettings,
    Dns,
    EncryptedStorageClass,
    GatewayApiExposure,
    GatewaySettings,
    GrafanaSettings,
    Image,
    IngressExposure,
    LoadTestSettings,
    LoginSettings,
    LogsSettings,
    MetricsSettings,
    MinioSettings,
    PlainTransit,
    Platform,
    PolicyKind,
    PostgresSettings,
    RateLimit,
    RedisSettings,
    RegistrySettings,
    Reloader,
    S3Target,
    SecretSource,
    SettingError,
    TempoSettings,
    Transit,
)
from mcpmesh_k8s.operations import Minikube, SharedCluster


@dataclass(frozen=True, kw_only=True)
class EnvironmentSettings:
    """One environment, as plain values. A difference between two environments is a difference between two of these.

    Args:
        name: The folder below ``dist/``.
        cluster: Where the operator's commands find it.
        argocd: How ArgoCD deploys it.
        budget: The cluster it must fit in.
        dns: Who answers DNS in the cluster.
        policies: Whether the cluster runs Cilium, and policies may name whom only Cilium can tell apart.
        transit: How what pods say to each other is kept from others.
        storage_class: The class of every claim that names none, or one of encrypted volumes.
        namespace: The namespace; the application's name unless given.
        platform: What the cluster gives pods that others do not.
        secrets: Where the values of Secrets come from.
        image_pull_secret: The Secret with the credentials of the image registry; none where images are local.
        postgres: Database server.
        redis: Cache and store.
        minio: Object storage.
        tempo: Traces.
        registry: MCP Mesh registry.
        backend: REST API.
        agents: Every agent.
        gateway: The way in.
        routes_to_mesh: Whether the gateway also serves the plan's health checks of registry and agents, which ask
            for no password themselves: to administrators.
        page_rate: How often one client may ask for pages, each of which loads many files.
        call_rate: How often one client may call the API: a program, or a page that waits for a model, is one request.
        login: Who vouches for people.
        exposure: How people reach the gateway.
        metrics: Who collects the metrics.
        logs: What becomes of the logs.
        grafana: What shows all of it.
        dashboards: Which dashboards there are.
        api_server: Where the cluster's API server is, for what collects metrics and logs.
        reloader: What restarts workloads when a Secret that they read changes; nothing unless given.
        load_test: People who interview themselves after each deployment, as many at once; none unless given. It writes
            interviews and asks the models: it is for a rehearsal, and never for production.
    """

    name: str
    cluster: Minikube | SharedCluster
    argocd: ArgoCdSettings
    budget: Budget
    dns: Dns = Dns.kube_dns()
    policies: PolicyKind = PolicyKind.KUBERNETES
    transit: Transit = PlainTransit()
    storage_class: str | EncryptedStorageClass = ""
    namespace: str = ""
    platform: Platform = Platform()
    secrets: SecretSource
    image_pull_secret: str = ""
    postgres: PostgresSettings
    redis: RedisSettings
    minio: MinioSettings
    tempo: TempoSettings
    registry: RegistrySettings
    backend: ApiSettings
    agents: tuple[AgentSettings, ...]
    gateway: GatewaySettings
    routes_to_mesh: bool = False
    page_rate: RateLimit = RateLimit(per_second=50, burst=200)
    call_rate: RateLimit = RateLimit(per_second=20, burst=60)
    login: LoginSettings
    exposure: IngressExposure | GatewayApiExposure
    metrics: MetricsSettings
    logs: LogsSettings
    grafana: GrafanaSettings
    dashboards: DashboardsSettings = DashboardsSettings()
    api_server: ApiServer = ApiServer()
    reloader: Reloader | None = None
    load_test: LoadTestSettings | None = None

    @property
    def backup_secrets(self) -> tuple[S3Target | Age, ...]:
        """What of the backups has a Secret of its own, each Secret once: buckets, and what opens them."""
        backups = [store.backup for store in (self.postgres, self.redis, self.minio) if store.backup]
        parts = (part for backup in backups for part in (backup.target, backup.encryption))
        return tuple({part.secret: part for part in parts if isinstance(part, S3Target | Age)}.values())


@dataclass(frozen=True, kw_only=True)
class Release:
    """Which images run, of those that are built from the application's own Dockerfiles.

    Args:
        version: The version they were tagged with.
        registry: Where they were pushed; nowhere for a cluster that uses the local Docker daemon.
    """

    version: str
    registry: str = ""

    def __post_init__(self) -> None:
        """Refuse a registry that would make a path with two slashes."""
        if self.registry.endswith("/"):
            raise SettingError("Release.registry", self.registry, "Give it without the slash at the end.")

    def image(self, service: str) -> Image:
        """The image of a service, such as ``fastapi``."""
        return Image(repository=f"{self.registry}/ai-interviewer-{service}".lstrip("/"), tag=self.version)
