"""This module is the AI Interviewer's own services: what is true of them in every environment."""

from __future__ import annotations

from dataclasses import replace

from mcpmesh_k8s import (
    AgentSettings,
    ApiSettings,
    Availability,
    Backup,
    BuiltImage,
    ClaimTarget,
    Compute,
    Database,
    ModelProviderSettings,
    ModelVendor,
    Platform,
    RedisUser,
    RoleConnections,
    Schedule,
    TlsClient,
    VerticalScaling,
    variables,
)

from .settings import Release

_MOST_CLUSTERS = Platform()

BUCKET = "ai-interviewer-uploads"
"""The bucket's name is written into the backend."""

RESUMES = "resumes/"
"""The pdf-extractor reads résumés below this prefix without signing its requests."""

DATA = Availability(priority_class="data")
MESH = Availability(priority_class="mesh")
OBSERVABILITY = Availability(priority_class="observability")
"""Single pods, each with its place in the order of ``application.PRIORITIES``."""

DATABASES = (
    Database(name="mcpmesh", roles=("mcpmesh",)),
    Database(name="ai_interviewer", roles=("backend", "interview_agent")),
)
"""The registry's database, and the application's own with a role for each service that connects."""
CONNECTIONS = (RoleConnections(role="mcpmesh", most=25),)
"""As many sessions as the registry's pool takes (its DB_MAX_OPEN_CONNECTIONS)."""

REDIS_USERS = (
    RedisUser(
        name="backend",
        keys=(
            *("user:*", "roles:*", "user_interview:*", "user_role_lookup:*"),
            *("interview_session:*", "interview_expire_lock:*"),
        ),
        commands=("get", "set", "setex", "del", "scan", "sadd", "srem", "smembers"),
    ),
    # The interview-agent gives a password and no name.
    RedisUser(name="default", keys=("interview_session:*",), commands=("get", "set", "info")),
)
"""Which keys of Redis are whose."""


def backup(size: str, *, at: str, least_percent: int = 50) -> Backup:
    """Backups of a store each night, on a claim of this size. They give way to everything else."""
    return Backup(
        target=ClaimTarget(size=size),
        schedule=Schedule(cron=at),
        least_percent=least_percent,
        priority_class="backups",
    )


def backend(
    release: Release,
    *,
    compute: Compute,
    availability: Availability,
    dev_mode: bool = False,
    platform: Platform = _MOST_CLUSTERS,
) -> ApiSettings:
    """The REST API.

    Each replica finalizes interviews every 30 seconds without a lock, so two can score one interview twice; see the
    environments guide (docs/environments.md) before scaling further.
    """
    return ApiSettings(
        name="backend",
        code=BuiltImage(
            image=release.image("fastapi"), working_directory="/app/backend", dockerfile="backend/Dockerfile"
        ),
        compute=compute,
        module="uvicorn",
        args=("main:app", "--host", platform.every_host, "--port", "8080"),
        variables=variables(
            {
                "API_PORT": "8080",
                "BUCKET_NAME": BUCKET,
                "DEV_MODE": str(dev_mode).lower(),
            }
        ),
        # Uploads of more than 1 MB are kept in /tmp while they are read; the PDF limit is 50 MB.
        scratch="512Mi",
        availability=availability,
    )


def agents(release: Release, *, compute: Compute, vertical: VerticalScaling | None = None) -> tuple[AgentSettings, ...]:
    """Every agent. Whom each talks to is said in ``application.py``.

    Args:
        release: Which of their images.
        compute: CPU and memory of each.
        vertical: Whether what each requests follows what it uses: the plan scales agents so, and the backend by pods.
    """
    availability = replace(MESH, vertical=vertical)
    return (
        # It reads résumés, and leaves a file behind when it cannot read one.
        AgentSettings(
            name="pdf-extractor",
            code=BuiltImage(image=release.image("pdf-extractor"), dockerfile="services/pdf_extractor_agent/Dockerfile"),
            compute=compute,
            availability=availability,
            module="pdf_extractor_agent",
            tls=(TlsClient.REDIS,),
            variables=variables({"AGENT_NAME": "pdf-extractor", "HTTP_PORT": "8090"}),
            scratch="512Mi",
            url_variable="PDF_EXTRACTOR_URL",
        ),
        # It leads interviews.
        AgentSettings(
            name="interview-agent",
            code=BuiltImage(image=release.image("interview-agent"), dockerfile="services/interview_agent/Dockerfile"),
            compute=compute,
            availability=availability,
            module="interview_agent",
            url_variable="INTERVIEW_AGENT_URL",
        ),
        # It stands in front of Anthropic's API.
        AgentSettings(
            name="claude-llm-agent",
            code=BuiltImage(image=release.image("claude-llm-agent"), dockerfile="services/claude_llm_agent/Dockerfile"),
            compute=compute,
            availability=availability,
            module="claude_llm_agent",
            # Of Redis only the runtime is a client, in these and in the pdf-extractor.
            tls=(TlsClient.REDIS,),
            variables=variables(
                {
                    "CLAUDE_MODEL": "claude-3-5-sonnet-20241022",
                    "CLAUDE_MAX_TOKENS": "8000",
                    "CLAUDE_TEMPERATURE": "0.7",
                }
            ),
        ),
        # It stands in front of OpenAI's API.
        AgentSettings(
            name="openai-llm-agent",
            code=BuiltImage(image=release.image("openai-llm-agent"), dockerfile="services/openai_llm_agent/Dockerfile"),
            compute=compute,
            availability=availability,
            module="openai_llm_agent",
            tls=(TlsClient.REDIS,),
            variables=variables(
                {
                    "OPENAI_MODEL": "gpt-4o",
                    "OPENAI_MAX_TOKENS": "4000",
                    "OPENAI_TEMPERATURE": "0.7",
                }
            ),
        ),
    )


ANTHROPIC = ModelProviderSettings(name="anthropic", vendor=ModelVendor.ANTHROPIC, key_variable="CLAUDE_API_KEY")
OPENAI = ModelProviderSettings(name="openai", vendor=ModelVendor.OPENAI)
"""The models that two of the agents stand in front of."""
