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
    Bucket,
    BucketSettings,
    Dashboards,
    Exposure,
    Gateway,
    Grafana,
    IssuedKey,
    LoadTest,
    Mesh,
    MeshRelease,
    Minio,
    ModelProvider,
    Namespace,
    NamespaceSettings,
    NewSecret,
    Phase,
    Postgres,
    PriorityClass,
    PriorityClassSettings,
    RandomKey,
    Redis,
    Registry,
    Secret,
    SecretSettings,
    SettingError,
    SmokeTest,
    SmokeTestSettings,
    Tempo,
    images,
)

from .routes import to_mesh, to_people
from .services import ANTHROPIC, BUCKET, OPENAI, RESUMES
from .settings import EnvironmentSettings

NAME = "ai-interviewer"
MESH = Mesh(release=MeshRelease.V0_5)
"""What its agents are written for, as the plan says."""
ARGOCD = "argocd"
"""The folder of what ArgoCD is told, beside those of the environments."""
PROJECT = ArgoCdProjectSettings(
    repo_url="https://git.example.com/ai-interviewer/deployment.git", description="The AI Interviewer"
)


PHASES = ("foundation", "mesh", "services", "access", "observability")
"""What is applied after what."""

PRIORITIES = (
    PriorityClassSettings(
        name="data", value=100_000, description="Stores: everything else needs them.", survives_a_node=True
    ),
    PriorityClassSettings(
        name="entry", value=50_000, description="The gateway: without it nobody gets in.", survives_a_node=True
    ),
    PriorityClassSettings(
        name="mesh", value=40_000, description="Registry and agents: one of each kind.", survives_a_node=True
    ),
    # All pods of a Deployment have one priority, so a first backend cannot come before an agent and a fifth one after
    # it. With all of them after the agents, none is without an agent because of a backend too many.
    PriorityClassSettings(
        name="backend", value=30_000, description="The backend, of which one is enough.", survives_a_node=True
    ),
    PriorityClassSettings(name="observability", value=10_000, description="What nobody needs for an interview."),
    # Below what has no class: whoever adds a pod need not make room for what runs for a minute at night.
    PriorityClassSettings(name="backups", value=-10_000, description="Runs of a schedule, which may wait for room."),
)
"""The order in which pods get room when the nodes are full."""

UPLOADS = BucketSettings(image=images.MINIO_CLIENT, bucket=BUCKET, public_prefix=RESUMES, priority_class="data")
ANTHROPIC_KEY = IssuedKey(key="api-key", issued_by="Anthropic, console.anthropic.com")
COOKIES = IssuedKey(key="cookies", issued_by="people who signed in: the cookies of a browser, a line for each person")
INTERVIEW = Path(__file__).with_name("_interview_load.py")
"""The interview that a load test walks through."""
OPENAI_KEY = IssuedKey(key="api-key", issued_by="OpenAI, platform.openai.com")


def _settings(environment: EnvironmentSettings) -> ApplicationSettings:
    return ApplicationSettings(
        name=NAME,
        namespace=environment.namespace,
        image_pull_secret=environment.image_pull_secret,
        mesh=MESH,
        api_server=environment.api_server,
        reloader=environment.reloader,
        policies=environment.policies,
        platform=environment.platform,
        transit=environment.transit,
        storage_class=environment.storage_class,
    )


def add_tests(
    scope: Phase, environment: EnvironmentSettings, gateway: Gateway, registry: Registry, secret: NewSecret
) -> None:
    """What is run after each deployment: whether all is well, and where it is wanted, how much is borne."""
    SmokeTest(scope, SmokeTestSettings(image=images.PYTHON_RUNTIME_0_5, priority_class="mesh"), gateway, registry)
    if environment.load_test:
        # Where people sign in, somebody who did says as whom the test comes.
        cookies = secret("load-test", COOKIES).key("cookies") if gateway.login.pages else None
        LoadTest(scope, environment.load_test, gateway, INTERVIEW, cookies)


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
        super().__init__(_settings(environment), outdir=outdir)
        foundation, mesh, services, access, observability = (Phase(self, name) for name in PHASES)

        def secret(name: str, *keys: str | IssuedKey | RandomKey) -> Secret:
            return Secret(foundation, SecretSettings(name=name, keys=keys, source=environment.secrets))

        # Services.
        Namespace(foundation, NamespaceSettings(budget=environment.budget, dns=environment.dns))
        for priority in PRIORITIES:
            PriorityClass(foundation, priority)
        postgres = Postgres(foundation, environment.postgres, secret("postgres", *environment.postgres.secret_keys))
        redis = Redis(foundation, environment.redis, secret("redis", *environment.redis.secret_keys_of(MESH)))
        minio = Minio(foundation, environment.minio, secret("minio", *environment.minio.secret_keys))
        Bucket(foundation, UPLOADS, minio)
        for part in environment.backup_secrets:
            secret(part.secret, *part.secret_keys)
        trace_keys = environment.tempo.secret_keys
        tempo = Tempo(foundation, environment.tempo, secret("tempo", *trace_keys) if trace_keys else None, minio)
        registry = Registry(mesh, environment.registry)
        backend = Api(services, environment.backend)
        agents = {settings.name: Agent(services, settings) for settings in environment.agents}
        grafana = Grafana(observability, environment.grafana, secret("grafana", *environment.grafana.secret_keys))
        environment.metrics.create(observability, secret)
        environment.logs.create(observability, secret)
        Dashboards(observability, environment.dashboards)

        # Routes.
        login = environment.login.create(access, secret)
        reached = [*to_people(environment, backend, grafana), *to_mesh(environment, registry, agents)]
        gateway = Gateway(access, environment.gateway, reached, login)
        Exposure(access, environment.exposure, gateway)
        add_tests(access, environment, gateway, registry, secret)

        # Connections: who dials whom, where it follows from nothing else. What a client needs to start, it waits for.
        registry.connects_to(postgres.database("mcpmesh", role="mcpmesh"), redis, wait=True)
        registry.connects_to(tempo.collector)
        backend.connects_to(postgres.database("ai_interviewer", role="backend"), redis.user("backend"), wait=True)
        backend.connects_to(registry, minio, *agents.values())
        claude, openai = agents["claude-llm-agent"], agents["openai-llm-agent"]
        agents["pdf-extractor"].connects_to(redis, wait=True)
        agents["pdf-extractor"].connects_to(registry, minio.anonymous, claude, openai)
        interviews = postgres.database("ai_interviewer", role="interview_agent")
        agents["interview-agent"].connects_to(interviews, redis.user("default"), wait=True)
        agents["interview-agent"].connects_to(registry, claude, openai)
        claude.connects_to(redis, wait=True)
        claude.connects_to(registry, openai)
        ModelProvider(services, ANTHROPIC, secret("claude", ANTHROPIC_KEY).key("api-key")).serve(claude)
        openai.connects_to(redis, wait=True)
        openai.connects_to(registry)
        ModelProvider(services, OPENAI, secret("openai", OPENAI_KEY).key("api-key")).serve(openai)


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
