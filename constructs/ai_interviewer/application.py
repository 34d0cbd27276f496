"""This module is the AI Interviewer wired up: its services by phase, its routes, and who connects to whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mcpmesh_k8s import (
    Agent,
    Api,
    Application,
    ApplicationSettings,
    ArgoCdApplication,
    ArgoCdProject,
    ArgoCdProjectSettings,
    Audience,
    Bucket,
    BucketSettings,
    Exposure,
    External,
    Gateway,
    Grafana,
    Internet,
    IssuedKey,
    Login,
    Minio,
    Namespace,
    NamespaceSettings,
    OAuth2Proxy,
    OAuth2ProxySettings,
    Phase,
    Postgres,
    PriorityClass,
    PriorityClassSettings,
    RandomKey,
    RateLimit,
    Redis,
    Registry,
    Route,
    Secret,
    SecretKey,
    SecretSettings,
    SettingError,
    SmokeTest,
    SmokeTestSettings,
    Tempo,
    images,
    variables,
)
from mcpmesh_k8s.access.routes import DATA, GRAFANA

from .services import BUCKET, RESUMES
from .settings import EnvironmentSettings

NAME = "ai-interviewer"
ARGOCD = "argocd"
"""The folder of what ArgoCD is told, beside those of the environments."""
PROJECT = ArgoCdProjectSettings(
    repo_url="https://git.example.com/ai-interviewer/deployment.git", description="The AI Interviewer"
)


class AiInterviewer(Application):
    """The whole application in one environment.

    Args:
        environment: The environment's settings.
        outdir: The folder that is written.

    Raises:
        SettingError: The environment has a name that is taken.
    """

    def __init__(self, environment: EnvironmentSettings, *, outdir: str | Path) -> None:
        if environment.name == ARGOCD:
            raise SettingError(
                "EnvironmentSettings.name", ARGOCD, f"dist/{ARGOCD} holds what ArgoCD is told. Give it another name."
            )
        self.environment = environment
        super().__init__(ApplicationSettings(name=NAME, image_pull_secret=environment.image_pull_secret), outdir=outdir)
        foundation = Phase(self, "foundation")
        mesh = Phase(self, "mesh")
        services = Phase(self, "services")
        access = Phase(self, "access")
        observability = Phase(self, "observability")

        def secret(name: str, *keys: str | IssuedKey | RandomKey) -> Secret:
            return Secret(foundation, SecretSettings(name=name, keys=keys, source=environment.secrets))

        Namespace(foundation, NamespaceSettings(budget=environment.budget))
        for settings in PRIORITIES:
            PriorityClass(foundation, settings)
        postgres = Postgres(foundation, environment.postgres, secret("postgres", *environment.postgres.secret_keys))
        redis = Redis(foundation, environment.redis, secret("redis", *environment.redis.secret_keys))
        minio = Minio(foundation, environment.minio, secret("minio", *environment.minio.secret_keys))
        Bucket(
            foundation,
            BucketSettings(image=images.MINIO_CLIENT, bucket=BUCKET, public_prefix=RESUMES),
            minio,
        )
        tempo = Tempo(foundation, environment.tempo)

        registry = Registry(mesh, environment.registry)

        backend = Api(services, environment.backend)
        pdf_extractor = Agent(services, environment.pdf_extractor)
        interview_agent = Agent(services, environment.interview_agent)
        claude = Agent(services, environment.claude_llm_agent)
        openai = Agent(services, environment.openai_llm_agent)
        agents = (pdf_extractor, interview_agent, claude, openai)

        grafana = Grafana(
            observability, environment.grafana, secret("grafana", *environment.grafana.secret_keys), tempo
        )

        login: Login
        if isinstance(environment.login, OAuth2ProxySettings):
            keys = environment.login.secret_keys
            login = OAuth2Proxy(access, environment.login, secret("oauth2-proxy", *keys))
        else:
            login = environment.login
        # A page loads many files; a program or a model's answer is one request.
        page, call = RateLimit(per_second=50, burst=200), RateLimit(per_second=20, burst=60)
        everyone, signed_in, administrator = Audience.PUBLIC, Audience.SIGNED_IN, Audience.ADMINISTRATOR
        routes = [
            Route(path="/", to=backend, audience=signed_in, hand_over_identity=True, rate=page),
            Route(
                path="/api/",
                to=backend,
                audience=signed_in,
                hand_over_identity=True,
                body_mb=55,  # the PDF limit is 50 MB, and forms are a little larger than their files
                timeout_seconds=300,
                rate=call,
                content_security_policy=DATA,
            ),
            Route(path="/static/", to=backend, audience=everyone),
            Route(path="/health", to=backend, audience=everyone, content_security_policy=DATA),
            Route(
                path="/grafana/",
                to=grafana,
                audience=administrator,
                cookies=True,
                rate=page,
                websocket=True,
                content_security_policy=GRAFANA,
            ),
        ]
        if environment.routes_to_mesh:
            routes.append(
                Route(
                    path="/api/registry/agents",
                    to=registry,
                    audience=administrator,
                    upstream_path="/agents",
                    rate=call,
                    content_security_policy=DATA,
                )
            )
            routes += [
                Route(
                    path=f"/mcp/{agent.name}",
                    to=agent,
                    audience=administrator,
                    upstream_path="/mcp",
                    timeout_seconds=300,
                    rate=call,
                    buffering=False,
                    content_security_policy=DATA,
                )
                for agent in agents
            ]
        gateway = Gateway(access, environment.gateway, routes, login)
        Exposure(access, environment.exposure, gateway)
        SmokeTest(access, SmokeTestSettings(image=images.PYTHON_RUNTIME), gateway, registry)

        # Who connects to whom. The gateway's connections are its routes, the bucket task's its server, Grafana's its
        # data source, and the smoke test's what it asks. What a client cannot be without when it starts, it waits for.
        registry.connects_to(postgres.database("mcpmesh", role="mcpmesh"), redis, wait=True)
        registry.connects_to(tempo.collector)
        backend.connects_to(postgres.database("ai_interviewer", role="backend"), redis, wait=True)
        backend.connects_to(registry, minio, *agents)
        pdf_extractor.connects_to(redis, wait=True)
        pdf_extractor.connects_to(registry, minio.anonymous, claude, openai)
        interview_agent.connects_to(postgres.database("ai_interviewer", role="interview_agent"), redis, wait=True)
        interview_agent.connects_to(registry, claude, openai)
        claude.connects_to(redis, wait=True)
        claude_key = IssuedKey(key="api-key", issued_by="Anthropic, console.anthropic.com")
        claude.connects_to(
            registry, openai, llm("anthropic", "CLAUDE_API_KEY", secret("claude", claude_key).key("api-key"))
        )
        openai.connects_to(redis, wait=True)
        openai_key = IssuedKey(key="api-key", issued_by="OpenAI, platform.openai.com")
        openai.connects_to(registry, llm("openai", "OPENAI_API_KEY", secret("openai", openai_key).key("api-key")))


class ArgoCd(Application):
    """What ArgoCD is told: the project, and an Application for each environment.

    Args:
        environments: What is deployed.
        outdir: The folder that is written.
    """

    def __init__(self, environments: Sequence[AiInterviewer], *, outdir: str | Path) -> None:
        super().__init__(ApplicationSettings(name=NAME, namespace="argocd"), outdir=outdir)
        applications = Phase(self, "applications")
        project = ArgoCdProject(applications, PROJECT)
        for deployed in environments:
            ArgoCdApplication(applications, deployed.environment.argocd, project, deployed)


PRIORITIES = (
    PriorityClassSettings(name="data", value=100_000, description="Stores: everything else needs them."),
    PriorityClassSettings(name="entry", value=50_000, description="The gateway: without it nobody gets in."),
)


def llm(name: str, variable: str, key: SecretKey) -> External:
    """The API of a language model on the internet, with the key that its client needs."""
    return External(
        name=f"{name} API",
        hosts=(f"api.{name}.com",),
        port=443,
        peer=Internet(),
        introduction=variables({variable: key}),
    )
