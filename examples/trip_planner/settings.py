"""This module is what the trip planner is made of: its services as values, and who it reaches that it does not run."""

from pathlib import Path

from mcpmesh_k8s import (
    AddressRange,
    AgentSettings,
    Api,
    ApiSettings,
    ApplicationSettings,
    ArgoCdProjectSettings,
    ArgoCdSettings,
    Audience,
    Availability,
    Budget,
    BuiltImage,
    ClusterName,
    Compute,
    Container,
    ContentSecurityPolicy,
    Database,
    ExistingClaim,
    ExistingConfigMap,
    ExistingSecret,
    External,
    ExternalSecrets,
    File,
    Files,
    GatewaySettings,
    HttpGet,
    Image,
    IngressExposure,
    Internet,
    Manual,
    MeshDashboard,
    MeshDashboardSettings,
    NamespacePods,
    Nodes,
    OAuth2ProxySettings,
    OpenIdConnect,
    Persistent,
    Placement,
    PodExtras,
    Port,
    PostgresSettings,
    Probes,
    RateLimit,
    RedisSettings,
    RegistrySettings,
    Replicas,
    Route,
    Schedule,
    Scratch,
    Secret,
    SecretKey,
    SmokeTestSettings,
    SystemPods,
    TaskSettings,
    Tls,
    Toleration,
    Traefik,
    TypeScript,
    User,
    images,
    variables,
)

APPLICATION = ApplicationSettings(name="trip-planner", image_pull_secret="registry-credentials")
SECRETS = ExternalSecrets(store="travel", prefix="trip-planner/prod")
PHASES = ("foundation", "mesh", "services", "access")
HOST = "trips.example.com"
POOL = ("acme.example.com/pool", "compute")
BUDGET = Budget(
    cpu="12",
    memory="24Gi",
    nodes=(
        Nodes(count=3, cpu="3", memory="6Gi", ephemeral_storage="60Gi", zones=3),
        Nodes(count=3, cpu="4", memory="8Gi", ephemeral_storage="60Gi", zones=3, labels=(POOL,)),
    ),
    system=(SystemPods(name="network", cpu="200m", memory="64Mi"),),
)
SMALL = Compute(cpu="100m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi")
PAIR = Availability(scale=Replicas(count=2), min_available=1, spread=True)
COST = (("acme.example.com/cost-centre", "travel"),)


def image(name: str) -> Image:
    """An image of ours."""
    return Image(repository=f"registry.example.com/travel/{name}", tag="2.3.1")


def code(name: str) -> BuiltImage:
    """What runs an agent of ours."""
    return BuiltImage(image=image(name))


# The mesh, with stores of its own.

POSTGRES = PostgresSettings(
    image=images.POSTGRES,
    compute=SMALL,
    size="5Gi",
    databases=(Database(name="mesh", roles=("mesh",), readers=("dashboard",)),),
)
REDIS = RedisSettings(image=images.REDIS, compute=SMALL, storage=Persistent(size="4Gi"), dashboard=True)
REGISTRY = RegistrySettings(image=images.REGISTRY, compute=SMALL, availability=PAIR)
DASHBOARD = MeshDashboardSettings()

# The API, and what works behind it.

API = ApiSettings(
    name="api",
    code=code("api"),
    compute=SMALL,
    module="uvicorn",
    args=("main:app", "--host", "0.0.0.0", "--port", "8080"),
    # A page may wait for as long as its route, and a stop waits for it.
    termination_grace_seconds=330,
    availability=PAIR,
    extras=PodExtras(labels=COST, pod_labels=COST),
)
# The geocoder answers the planner on its own loopback, with maps that its image brings. All containers of a pod are
# told to stop at once: it waits until the planner's jobs are over.
JOBS_SECONDS = 300
MAPS = Scratch(name="maps", mount_path="/var/maps", size="2Gi")
GEOCODER_USER = User(uid=10001, gid=10001)
GEOCODER = Container(
    name="geocoder",
    image=image("geocoder"),
    user=GEOCODER_USER,
    compute=Compute(cpu="100m", memory="256Mi"),
    args=("--maps", MAPS.mount_path),
    ports=(Port(name="geocode", number=9000),),
    probes=Probes.of(HttpGet(path="/health", port="geocode")),
    volumes=(MAPS,),
    pre_stop_seconds=JOBS_SECONDS + 10,
)
UNPACK_MAPS = Container(
    name="unpack-maps",
    image=image("geocoder"),
    user=GEOCODER_USER,
    compute=Compute(cpu="100m", memory="256Mi"),
    command=("unpack-maps", MAPS.mount_path),
    volumes=(MAPS,),
)
AGENTS = (
    # The heavy one: three pods, apart from each other, on nodes that are there for it.
    AgentSettings(
        name="planner",
        code=code("planner"),
        compute=Compute(cpu="1", memory="2Gi", cpu_limit="2", memory_limit="3Gi"),
        module="planner",
        jobs_grace_seconds=JOBS_SECONDS,
        variables=variables({"GEOCODER_URL": "http://localhost:9000"}),
        availability=Availability(scale=Replicas(count=3), min_available=2, spread=True),
        extras=PodExtras(
            labels=COST,
            pod_labels=COST,
            pod_annotations=(("acme.example.com/owner", "planning"),),
            placement=Placement(
                node_selector=(POOL,), tolerations=(Toleration(key=POOL[0], value=POOL[1], effect="NoSchedule"),)
            ),
            volumes=(ExistingConfigMap(mount_path="/etc/airports", config_map="airports", keys=("airports.csv",)),),
            init_containers=(UNPACK_MAPS,),
            sidecars=(GEOCODER,),
        ),
    ),
    AgentSettings(name="profiles", code=code("profiles"), compute=SMALL, module="profiles", port=8091),
    AgentSettings(
        name="fares", code=code("fares"), compute=SMALL, runtime=TypeScript(entry="dist/index.js"), port=8092
    ),
    # The partner knows it by a certificate, which the company's own controller puts into a Secret.
    AgentSettings(
        name="booking",
        code=code("booking"),
        compute=SMALL,
        runtime=TypeScript(entry="dist/index.js"),
        port=8093,
        extras=PodExtras(
            volumes=(ExistingSecret(mount_path="/etc/partner", secret="partner-client", keys=("tls.crt", "tls.key")),)
        ),
    ),
    AgentSettings(name="claude", code=code("claude"), compute=SMALL, module="claude_provider", port=8094),
)
REPORT = TaskSettings(
    name="report",
    schedule=Schedule(cron="15 3 * * *", time_zone="Europe/Berlin"),
    deadline_seconds=1800,
    retries=2,
    container=Container(
        name="report",
        image=image("report"),
        user=User(uid=1000, gid=1000),
        compute=SMALL,
        args=("--to", "/reports"),
        volumes=(
            Scratch(),
            ExistingClaim(mount_path="/reports", claim="reports", size="20Gi", access_mode="ReadWriteMany"),
        ),
    ),
)

# Who it reaches and does not run.

DATABASE_HOST = "trips.c3k1.eu-central-1.rds.example.com"
CACHE_HOST = "trips.cache.example.com"
PARTNER_HOST = "api.partner.example.com"
FORECAST_HOST = "weather-forecast.weather.svc.cluster.local"
SUBNET = AddressRange(cidr="10.40.8.0/24")


# Who dials it knows it by its provider's CA, and by its name. What made it for us put the password into a Secret.
DATABASE_CA = Files(
    name="postgres-ca",
    mount_path="/etc/postgres-ca",
    files=(File(path="ca.pem", content=Path(__file__).with_name("postgres-ca.pem").read_text(encoding="utf-8")),),
)
DATABASE = External(
    name="managed PostgreSQL",
    hosts=(DATABASE_HOST,),
    port=5432,
    peer=SUBNET,
    introduction=variables(
        {
            "DATABASE_URL": f"postgresql://profiles@{DATABASE_HOST}:5432/profiles",
            "PGPASSWORD": SecretKey(secret="profiles-database", key="password", existing=True),
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": f"{DATABASE_CA.mount_path}/ca.pem",
        }
    ),
    volumes=(DATABASE_CA,),
)


def cache(secret: Secret) -> External:
    """The managed Redis, of the code's own: the mesh's runtime has one in the cluster, since it speaks no TLS to it."""
    return External(
        name="managed Redis",
        hosts=(CACHE_HOST,),
        port=6380,
        peer=SUBNET,
        introduction=variables(
            {
                "CACHE_PASSWORD": secret.key("password"),
                "CACHE_URL": f"rediss://fares:$(CACHE_PASSWORD)@{CACHE_HOST}:6380/0",
            }
        ),
    )


def partner(secret: Secret) -> External:
    """The API that books, on a port of its own."""
    return External(
        name="partner API",
        hosts=(PARTNER_HOST,),
        port=8443,
        peer=Internet(),
        introduction=variables(
            {"PARTNER_URL": f"https://{PARTNER_HOST}:8443", "PARTNER_API_KEY": secret.key("api-key")}
        ),
    )


def anthropic(secret: Secret) -> External:
    """The model's provider, with the key that its one client needs."""
    return External(
        name="Anthropic API",
        hosts=("api.anthropic.com",),
        peer=Internet(),
        introduction=variables({"ANTHROPIC_API_KEY": secret.key("api-key")}),
    )


FORECAST = NamespacePods(namespace="weather", labels=(("app.kubernetes.io/name", "weather-forecast"),))
WEATHER = External(name="the weather team's forecast", hosts=(FORECAST_HOST,), port=8090, peer=FORECAST)
"""The agent of another team, which lets our planner in. It registers with our registry."""

# The way in.

GATEWAY = GatewaySettings(
    image=images.OPENRESTY,
    compute=SMALL,
    host=HOST,
    aliases=("www.trips.example.com",),
    administrators=("travel-admins@example.com",),
    availability=PAIR,
)
LOGIN = OAuth2ProxySettings(
    image=images.OAUTH2_PROXY,
    compute=Compute(cpu="50m", memory="64Mi", cpu_limit="200m", memory_limit="128Mi"),
    host=HOST,
    provider=OpenIdConnect(issuer="https://login.example.com/realms/travel"),
    email_domains=("*",),
    availability=PAIR,
)
EXPOSURES = (
    IngressExposure(controller=Traefik(), tls=Tls(secret="trips-tls", cluster_issuer="letsencrypt")),
    # The same by the company's own network, whose controller has a certificate of the company's.
    IngressExposure(
        controller=Traefik(ingress_class="internal", peer=NamespacePods(namespace="traefik-internal")),
        tls=Tls(secret="trips-internal-tls"),
        name="internal",
    ),
)
SMOKE_TEST = SmokeTestSettings(image=images.PYTHON_RUNTIME)


def routes(api: Api, dashboard: MeshDashboard) -> list[Route]:
    """Who may use what."""
    pages = RateLimit(per_second=50, burst=200)
    return [
        Route(path="/", to=api, audience=Audience.SIGNED_IN, hand_over_identity=True, rate=pages, timeout_seconds=300),
        Route(path="/health", to=api, audience=Audience.PUBLIC, content_security_policy=ContentSecurityPolicy.DATA),
        Route(
            path="/mesh/",
            to=dashboard,
            audience=Audience.ADMINISTRATOR,
            rate=pages,
            buffering=False,
            timeout_seconds=300,
        ),
    ]


# ArgoCD deploys one folder to two clusters, each at a revision of its own.

ARGOCD = ApplicationSettings(name="trip-planner", namespace="argocd")
PROJECT = ArgoCdProjectSettings(repo_url="https://git.example.com/travel/trip-planner.git", description="Trips")
CLUSTERS = (
    ArgoCdSettings(
        name="europe",
        target_revision="v2.3.1",
        path="dist/trip-planner",
        destination=ClusterName(name="europe"),
        sync=Manual(),
    ),
    ArgoCdSettings(
        name="america",
        target_revision="v2.3.0",
        path="dist/trip-planner",
        destination=ClusterName(name="america"),
        sync=Manual(),
    ),
)
