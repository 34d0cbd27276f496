"""This module is what an environment of the AI Interviewer must say."""

from __future__ import annotations

from dataclasses import dataclass

from mcpmesh_k8s import (
    AgentSettings,
    ApiSettings,
    ArgoCdSettings,
    Budget,
    GatewayApiExposure,
    GatewaySettings,
    GrafanaSettings,
    Image,
    IngressExposure,
    LoginSettings,
    MinioSettings,
    PostgresSettings,
    RateLimit,
    RedisSettings,
    RegistrySettings,
    SecretSource,
    SettingError,
    TempoSettings,
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
        secrets: Where the values of Secrets come from.
        image_pull_secret: The Secret with the credentials of the image registry; none where images are local.
        postgres: Database server.
        redis: Cache and store.
        minio: Object storage.
        tempo: Traces.
        registry: MCP Mesh registry.
        backend: REST API.
        pdf_extractor: Agent that reads résumés.
        interview_agent: Agent that leads interviews.
        claude_llm_agent: Agent in front of Anthropic's API.
        openai_llm_agent: Agent in front of OpenAI's API.
        gateway: The way in.
        routes_to_mesh: Whether the gateway also serves the plan's health checks of registry and agents, which ask
            for no password.
        page_rate: How often one client may ask for pages, each of which loads many files.
        call_rate: How often one client may call the API: a program, or a page that waits for a model, is one request.
        login: Who vouches for people.
        exposure: How people reach the gateway.
        grafana: Dashboards.
    """

    name: str
    cluster: Minikube | SharedCluster
    argocd: ArgoCdSettings
    budget: Budget
    secrets: SecretSource
    image_pull_secret: str = ""
    postgres: PostgresSettings
    redis: RedisSettings
    minio: MinioSettings
    tempo: TempoSettings
    registry: RegistrySettings
    backend: ApiSettings
    pdf_extractor: AgentSettings
    interview_agent: AgentSettings
    claude_llm_agent: AgentSettings
    openai_llm_agent: AgentSettings
    gateway: GatewaySettings
    routes_to_mesh: bool = False
    page_rate: RateLimit = RateLimit(per_second=50, burst=200)
    call_rate: RateLimit = RateLimit(per_second=20, burst=60)
    login: LoginSettings
    exposure: IngressExposure | GatewayApiExposure
    grafana: GrafanaSettings

    @property
    def agents(self) -> tuple[AgentSettings, ...]:
        """All agents."""
        return (self.pdf_extractor, self.interview_agent, self.claude_llm_agent, self.openai_llm_agent)


def built(service: str, *, version: str, registry: str = "") -> Image:
    """An image that is built from the application's own Dockerfiles.

    Args:
        service: The service, such as ``fastapi``.
        version: The version it was tagged with.
        registry: Where it was pushed; nowhere for a cluster that uses the local Docker daemon.
    """
    if registry.endswith("/"):
        raise SettingError("registry", registry, "Give it without the slash at the end.")
    return Image(repository=f"{registry}/ai-interviewer-{service}".lstrip("/"), tag=version)
