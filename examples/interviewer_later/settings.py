"""This module is what the later AI Interviewer is made of: its services as values, and who it reaches outside."""

from mcpmesh_k8s import (
    AgentSettings,
    Api,
    ApiSettings,
    ApplicationSettings,
    Audience,
    Availability,
    BucketSettings,
    Budget,
    BuiltImage,
    Compute,
    ContentSecurityPolicy,
    Database,
    External,
    ExternalSecrets,
    GatewaySettings,
    Google,
    Grafana,
    GrafanaSettings,
    Image,
    IngressExposure,
    Internet,
    IssuedKey,
    Mesh,
    MeshRelease,
    MinioSettings,
    Nodes,
    OAuth2ProxySettings,
    Persistent,
    PostgresSettings,
    RateLimit,
    RedisSettings,
    RedisUser,
    RegistrySettings,
    Replicas,
    RoleConnections,
    Route,
    Secret,
    SmokeTestSettings,
    SystemPods,
    TempoSettings,
    Tls,
    Traefik,
    images,
    variables,
)

MESH = Mesh(release=MeshRelease.V0_5)
APPLICATION = ApplicationSettings(name="interviewer", mesh=MESH, image_pull_secret="registry-credentials")
SECRETS = ExternalSecrets(store="interviewer", prefix="interviewer/prod")
PHASES = ("foundation", "mesh", "services", "access")
HOST = "interviews.example.com"
BUDGET = Budget(
    cpu="8",
    memory="16Gi",
    nodes=(Nodes(count=3, cpu="2700m", memory="5632Mi", ephemeral_storage="40Gi", zones=3),),
    system=(SystemPods(name="network", cpu="200m", memory="64Mi"),),
)
SMALL = Compute(cpu="50m", memory="128Mi", cpu_limit="500m", memory_limit="512Mi")
AGENT = Compute(cpu="100m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi")
PAIR = Availability(scale=Replicas(count=2), min_available=1, spread=True)


def image(name: str) -> Image:
    """An image of the application."""
    return Image(repository=f"registry.example.com/interviewer/{name}", tag="2.0.0")


# Stores. Each agent has a role, and a schema of its role's name: its code makes that where it is missing.

AGENTS_WITH_TABLES = ("user_agent", "application_agent", "job_agent", "interview_agent")
POSTGRES = PostgresSettings(
    image=images.POSTGRES,
    compute=Compute(cpu="500m", memory="1Gi", cpu_limit="1"),
    size="20Gi",
    databases=(
        Database(name="mcpmesh", roles=("mcpmesh",)),
        Database(name="ai_interviewer", roles=AGENTS_WITH_TABLES),
    ),
    connections=(RoleConnections(role="mcpmesh", most=25),),
)
REDIS = RedisSettings(
    image=images.REDIS,
    compute=Compute(cpu="100m", memory="512Mi"),
    storage=Persistent(size="5Gi"),
    users=(
        RedisUser(
            name="default",
            keys=(
                *("user_profile:*", "application:*", "interview_session:*", "interview_question:*"),
                *("interview_evaluation:*", "interview_finalization_lock"),
            ),
            commands=("get", "set", "setex", "del", "exists"),
            without_password_because="The caches of user-agent, application-agent and interview-agent give none.",
        ),
    ),
)
MINIO = MinioSettings(image=images.MINIO, compute=Compute(cpu="250m", memory="512Mi", cpu_limit="1"), size="20Gi")
UPLOADS = BucketSettings(image=images.MINIO_CLIENT, bucket="ai-interviewer-uploads", public_prefix="resumes/")
TEMPO = TempoSettings(image=images.TEMPO, compute=SMALL)
REGISTRY = RegistrySettings(image=images.REGISTRY_0_5, compute=SMALL)
GRAFANA = GrafanaSettings(image=images.GRAFANA, compute=Compute(cpu="50m", memory="256Mi", memory_limit="512Mi"))

# The API and the agents, each at the port of its image.

BACKEND = ApiSettings(
    name="backend",
    code=BuiltImage(image=image("backend"), working_directory="/app/backend"),
    compute=Compute(cpu="250m", memory="512Mi", cpu_limit="1", memory_limit="1Gi"),
    module="uvicorn",
    args=("main:app", "--host", "0.0.0.0", "--port", "8080"),
    variables=variables({"DEV_MODE": "false"}),
    scratch="512Mi",
    availability=PAIR,
)
PORTS = {
    "user-agent": 8097,
    "application-agent": 8096,
    "job-agent": 8095,
    "interview-agent": 8090,
    "file-agent": 8098,
    "pdf-extractor": 8090,
    "claude-llm-agent": 8090,
    "openai-llm-agent": 8090,
}
MODULES = {"pdf-extractor": "pdf_extractor_agent"}
AGENTS = tuple(
    AgentSettings(
        name=name,
        code=BuiltImage(image=image(name)),
        compute=AGENT,
        module=MODULES.get(name, name.replace("-", "_")),
        port=port,
        # The pdf-extractor reads résumés there, and leaves behind what it cannot read.
        scratch="512Mi" if name == "pdf-extractor" else "",
    )
    for name, port in PORTS.items()
)

# Who it reaches outside.

ANTHROPIC_KEY = IssuedKey(key="api-key", issued_by="Anthropic, console.anthropic.com")
OPENAI_KEY = IssuedKey(key="api-key", issued_by="OpenAI, platform.openai.com")
RECAPTCHA_KEYS = (
    IssuedKey(key="site-key", issued_by="Google, www.google.com/recaptcha/admin"),
    IssuedKey(key="secret-key", issued_by="Google, www.google.com/recaptcha/admin"),
)


def recaptcha(secret: Secret) -> External:
    """What tells people from programs, which the backend asks."""
    return External(
        name="reCAPTCHA",
        hosts=("www.google.com",),
        peer=Internet(),
        introduction=variables(
            {"RECAPTCHA_SITE_KEY": secret.key("site-key"), "RECAPTCHA_SECRET_KEY": secret.key("secret-key")}
        ),
    )


def model(name: str, variable: str, secret: Secret) -> External:
    """The API of a model's provider, with the key that its one client needs."""
    return External(
        name=f"{name} API",
        hosts=(f"api.{name}.com",),
        peer=Internet(),
        introduction=variables({variable: secret.key("api-key")}),
    )


# The way in.

GATEWAY = GatewaySettings(
    image=images.OPENRESTY,
    compute=SMALL,
    host=HOST,
    administrators=("admin@example.com",),
    availability=PAIR,
)
LOGIN = OAuth2ProxySettings(
    image=images.OAUTH2_PROXY,
    compute=Compute(cpu="50m", memory="64Mi", cpu_limit="200m", memory_limit="128Mi"),
    host=HOST,
    provider=Google(),
    email_domains=("*",),
    availability=PAIR,
)
EXPOSURE = IngressExposure(controller=Traefik(), tls=Tls(secret="interviews-tls", cluster_issuer="letsencrypt"))
SMOKE_TEST = SmokeTestSettings(image=images.PYTHON_RUNTIME_0_5)


def routes(backend: Api, grafana: Grafana) -> list[Route]:
    """Who may use what."""
    pages, calls = RateLimit(per_second=50, burst=200), RateLimit(per_second=20, burst=60)
    data = ContentSecurityPolicy.DATA
    return [
        Route(path="/", to=backend, audience=Audience.SIGNED_IN, hand_over_identity=True, rate=pages),
        Route(
            path="/api/",
            to=backend,
            audience=Audience.SIGNED_IN,
            hand_over_identity=True,
            body_mb=55,
            timeout_seconds=300,
            rate=calls,
            content_security_policy=data,
        ),
        # Who looks for a job has not signed in yet.
        Route(path="/api/jobs/", to=backend, audience=Audience.PUBLIC, rate=calls, content_security_policy=data),
        Route(path="/health", to=backend, audience=Audience.PUBLIC, content_security_policy=data),
        Route(
            path="/grafana/",
            to=grafana,
            audience=Audience.ADMINISTRATOR,
            hand_over_identity=True,
            cookies=True,
            rate=pages,
            websocket=True,
            content_security_policy=ContentSecurityPolicy.GRAFANA,
        ),
    ]
