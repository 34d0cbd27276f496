"""This module is the proof that no setting is dead: each field of each value changes what is rendered, or refuses it.

``CASES`` has an entry for every class of values: a value, where an application uses it, and for each field another
value for it. Classes and fields are found by introspection, so that a new one without a case fails by its name.
"""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

import mcpmesh_k8s
from another_login import AnsweredBy
from conftest import at_each, close, grid, try_each
from mcpmesh_k8s import (
    AddressRange,
    Affinity,
    Age,
    Agent,
    AgentSettings,
    Alert,
    Alertmanager,
    AlertmanagerSettings,
    Alloy,
    AlloySettings,
    Amount,
    Api,
    ApiAccess,
    ApiRule,
    ApiServer,
    ApiSettings,
    Application,
    ApplicationSettings,
    ArgoCdApplication,
    ArgoCdProject,
    ArgoCdProjectSettings,
    ArgoCdSettings,
    Audience,
    Automated,
    Autoscaling,
    Availability,
    AwsEbs,
    AzureDisk,
    Backup,
    BackupProgram,
    Blackbox,
    BlackboxSettings,
    Bucket,
    BucketSettings,
    Budget,
    BuiltImage,
    Certificate,
    CertificateSettings,
    CertManager,
    Claim,
    ClaimTarget,
    ClusterName,
    ClusterSelector,
    ClusterServer,
    Component,
    Compute,
    ConfigMapKey,
    ConfigMapProjection,
    Container,
    Content,
    Count,
    Csi,
    Dashboards,
    DashboardsSettings,
    Database,
    DataSource,
    DevIdentity,
    Dns,
    Dns01,
    DownwardApiProjection,
    EncryptedStorageClass,
    Endpoint,
    Ephemeral,
    Exec,
    ExistingCertificates,
    ExistingClaim,
    ExistingConfigMap,
    ExistingSecret,
    ExistingSecrets,
    Exposure,
    External,
    ExternalSecrets,
    File,
    Files,
    Gateway,
    GatewayApiExposure,
    GatewaySettings,
    GcePd,
    GitHub,
    Google,
    Grafana,
    GrafanaSettings,
    Guest,
    GuestSettings,
    Hook,
    HostNetwork,
    Http01,
    HttpCheck,
    HttpGet,
    IdentityHeaders,
    Image,
    InClusterLoki,
    InClusterPrometheus,
    IngressExposure,
    IngressNginx,
    Internet,
    IssuedKey,
    IstioAmbient,
    Java,
    KeyForm,
    Kubelet,
    KubeStateMetrics,
    KubeStateMetricsSettings,
    LabelSelectorRequirement,
    Limits,
    Linkerd,
    Listener,
    LoadTest,
    LoadTestSettings,
    LogDestination,
    Login,
    LoginPages,
    Loki,
    LokiSettings,
    Longhorn,
    Manifest,
    Manual,
    MediaStore,
    Mesh,
    MeshDashboard,
    MeshDashboardSettings,
    MeshRelease,
    MeshSettings,
    MeshTls,
    MetricsEndpoint,
    Minio,
    MinioSettings,
    ModelProvider,
    ModelProviderSettings,
    ModelVendor,
    MonitorsSettings,
    MountedSource,
    Namespace,
    NamespacePods,
    NamespaceSettings,
    NodeAffinity,
    Nodes,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    NoLogin,
    NoLogs,
    NoMetrics,
    NoProbes,
    NoTls,
    OAuth2Proxy,
    OAuth2ProxySettings,
    Objective,
    OpenIdConnect,
    OtherController,
    Owner,
    PagerDuty,
    Part,
    Patch,
    Persistent,
    Person,
    Phase,
    Place,
    Placement,
    PlainTransit,
    Platform,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    PodExtras,
    PodOptions,
    PodSecurityException,
    PodSettings,
    PodTemplatePath,
    PolicyKind,
    Port,
    Postgres,
    PostgresExporter,
    PostgresSettings,
    PreferredSchedulingTerm,
    PriorityClass,
    PriorityClassSettings,
    Probe,
    Probes,
    Projected,
    Projection,
    Prometheus,
    PrometheusOperator,
    PrometheusSettings,
    PublicAddress,
    Python,
    Question,
    RandomKey,
    RateLimit,
    Readiness,
    Redis,
    RedisExporter,
    RedisSettings,
    RedisUser,
    Registry,
    RegistrySettings,
    Reloader,
    Repair,
    Replicas,
    RequestCount,
    RequestRate,
    RequestRules,
    RestoreDrill,
    Retention,
    RoleConnections,
    Rotation,
    Route,
    Row,
    Runtime,
    S3Media,
    S3Storage,
    S3Target,
    Schedule,
    Scratch,
    SealedSecrets,
    SealedValue,
    Secret,
    SecretEntry,
    SecretFiles,
    SecretKey,
    SecretProjection,
    SecretSettings,
    Server,
    ServiceAccountTokenProjection,
    SettingError,
    Severity,
    Share,
    ShippedLogs,
    Slack,
    SmokeTest,
    SmokeTestSettings,
    SourceKind,
    SpanMetrics,
    StoreBackup,
    StoreTls,
    SystemPods,
    Target,
    Task,
    TaskOptions,
    TaskSettings,
    TcpSocket,
    Tempo,
    TempoSettings,
    Tls,
    TlsClient,
    Toleration,
    TraceLimits,
    Traefik,
    Transit,
    TreeError,
    TypeScript,
    UpdateMode,
    User,
    Variable,
    VerticalScaling,
    Volume,
    Webhook,
    WeightedPodAffinityTerm,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    images,
    topology,
    variables,
)
from registry_room import ROOM

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from constructs import Construct

PACKAGE = Path(mcpmesh_k8s.__file__).parent
SHOP = ApplicationSettings(name="shop")
PLENTY = Budget(cpu="100", memory="100Gi")
FAST = (("disk", "fast"),)
NODES = Nodes(count=4, cpu="240m", memory="1Gi", ephemeral_storage="1Gi", labels=FAST)
IMAGE = Image(repository="acme/shop", tag="1.2.3")
TAKEN, TRIED = (File(path=path, content="exit 1") for path in ("take.sh", "try.sh"))
OTHER_IMAGE = Image(repository="acme/shop", tag="1.2.4")
SMALL = Compute(cpu="100m", memory="64Mi", cpu_limit="200m", memory_limit="128Mi")
LARGE = Compute(cpu="200m", memory="128Mi", cpu_limit="400m", memory_limit="256Mi")
MAIN = Container(
    name="main",
    image=IMAGE,
    user=User(uid=1000, gid=1000),
    compute=SMALL,
    ports=(Port(number=8000), Port(name="admin", number=8001)),
    probes=NoProbes(because="No test starts it."),
)
SIDECAR = replace(MAIN, name="sidecar", ports=())
HOST_PORT = "/spec/template/spec/containers/0/ports/0/hostPort"
MORE = PodExtras(labels=(("example.com/team", "shop"),))
OPEN = TcpSocket()
PROBE = Probe(check=OPEN)
HINT = variables({"HINT": "hint"})
STORE = ExternalSecrets(store="vault", prefix="shop")
PARTNER = External(
    name="partner",
    hosts=("api.example.com",),
    peer=Internet(),
    introduction=variables({"PARTNER_URL": "https://api.example.com"}),
)


W = TypeVar("W", bound=Pod)


DISK_SETS = "/subscriptions/1/resourceGroups/shop/providers/Microsoft.Compute/diskEncryptionSets"


class Shop:
    """A small application, with a place for every kind of value. Two services and a PriorityClass are there before."""

    def __init__(self, settings: ApplicationSettings = SHOP) -> None:
        self.phase = Phase(Application(settings, outdir="unused"), "all")
        close(self.phase)
        self.web = self.runs(MAIN, "web")
        self.api = self.runs(MAIN, "api")
        PriorityClass(self.phase, PriorityClassSettings(name="urgent", value=1, description="First."))

    def runs(self, container: Container, name: str = "extra") -> Workload:
        return Workload(self.phase, WorkloadSettings(name=name, container=container))

    def mounts(self, volume: Volume) -> Workload:
        return self.runs(replace(MAIN, volumes=(volume,)))

    def projects(self, source: Projection) -> Workload:
        self.secret("one", "first", "second")
        self.secret("two", "first")
        return self.mounts(Projected(mount_path="/projected", sources=(source,)))

    def shows_keys(self, secret: SecretFiles) -> Workload:
        self.secret("one", "first", "second")
        self.secret("two", "first")
        return self.mounts(secret)

    def adds(self, extras: PodExtras) -> Workload:
        return Workload(self.phase, replace(SERVICE, extras=extras))

    def places(self, placement: Placement) -> Workload:
        return self.adds(PodExtras(placement=placement))

    def is_drawn_to(self, affinity: Affinity) -> Workload:
        return self.places(Placement(affinity=affinity))

    def runs_on(self, requirement: NodeSelectorRequirement) -> Workload:
        term = NodeSelectorTerm(match_expressions=(requirement,))
        return self.is_drawn_to(Affinity(node_affinity=NodeAffinity(required=(term,))))

    def runs_beside(self, term: PodAffinityTerm) -> Workload:
        return self.is_drawn_to(Affinity(pod_affinity=PodAffinity(required=(term,))))

    def patches(self, patch: Patch) -> Workload:
        return self.adds(PodExtras(patches=(patch,)))

    def excepts(self, exception: PodSecurityException) -> Namespace:
        """Two workloads that are not restricted, of which one is named already."""
        for name in ("host", "other"):
            port = Patch(kind="Deployment", operation="add", path=HOST_PORT, value=8000, because="It is a test.")
            workload = self.runs(MAIN, name)
            workload.patch(port)
        known = replace(exception, workload="shop-other", level="privileged")
        return Namespace(self.phase, NamespaceSettings(budget=PLENTY, exceptions=(known, exception)))

    def asks(self, check: HttpGet | TcpSocket | Exec) -> Workload:
        return self.runs(replace(MAIN, probes=Probes.of(check)))

    def knows(self, *values: Variable) -> Workload:
        return self.runs(replace(MAIN, variables=values))

    def admits(self, peer: NamespacePods | AddressRange | Internet | HostNetwork) -> Workload:
        self.web.accepts_from(peer)
        return self.web

    def dials(self, target: Target | External) -> Workload:
        client = self.runs(MAIN)
        client.connects_to(target, wait=isinstance(target, Target))
        return client

    def serves(self, port: Port) -> Workload:
        server = self.runs(replace(MAIN, ports=(port,)), "server")
        return self.dials(
            Target(
                workload=server,
                port=port.name,
                introduction=variables({"SERVER_URL": server.endpoint(port.name).url}),
                readiness=Readiness(command=("true",)),
            )
        )

    def runs_code(self, code: BuiltImage | MountedSource) -> Agent:
        return self.meshed(Agent(self.phase, replace(AGENT, code=code)))

    def meshed(self, workload: W) -> W:
        """A workload of the mesh, with its registry."""
        workload.connects_to(
            Registry(self.phase, RegistrySettings(image=IMAGE, compute=SMALL, name="mesh", extras=ROOM))
        )
        return workload

    def runs_agent(self, settings: AgentSettings) -> Agent:
        agent = self.meshed(Agent(self.phase, settings))
        self.web.connects_to(agent)
        return agent

    def runs_in(self, runtime: Runtime) -> Agent:
        """An agent with room for any runtime."""
        roomy = Compute(cpu="100m", memory="128Mi", memory_limit="512Mi")
        return self.runs_agent(replace(AGENT, module="", runtime=runtime, compute=roomy))

    def routes(self, route: Route) -> Gateway:
        return Gateway(self.phase, GATEWAY, [route], DEVELOPER)

    def serves_people(self, workload: Workload) -> Gateway:
        route = Route(path="/", to=workload, audience=Audience.SIGNED_IN, rate=RateLimit(), hand_over_identity=True)
        return self.routes(route)

    def believes(self, headers: IdentityHeaders) -> Gateway:
        return self.serves_people(Workload(self.phase, replace(SERVICE, identity_headers=headers)))

    def is_for_everyone(self, login: NoLogin) -> Gateway:
        return Gateway(self.phase, GATEWAY, [Route(path="/", to=self.web, audience=Audience.PUBLIC)], login)

    def vouches(self, identity: DevIdentity) -> Gateway:
        route = Route(path="/", to=self.web, audience=Audience.SIGNED_IN, rate=RateLimit())
        return Gateway(self.phase, GATEWAY, [route], identity)

    def asks_login(self, question: Question) -> Gateway:
        return self.signs_in(AnsweredBy(vouching=question))

    def shows(self, pages: LoginPages) -> Gateway:
        return self.signs_in(AnsweredBy(vouching=Person(email="me@example.com", name="Me"), pages=pages))

    def signs_in(self, login: Login, host: str = "shop.example.com") -> Gateway:
        route = Route(path="/", to=self.web, audience=Audience.SIGNED_IN, rate=RateLimit())
        return Gateway(self.phase, replace(PUBLIC_GATEWAY, host=host), [route], login)

    def login(self, settings: OAuth2ProxySettings) -> OAuth2Proxy:
        return OAuth2Proxy(self.phase, settings, self.secret("oauth2-proxy", *settings.secret_keys))

    def asks_whose(self, provider: GitHub | Google | OpenIdConnect) -> OAuth2Proxy:
        return self.login(replace(LOGIN, provider=provider))

    def gateway(self, settings: GatewaySettings) -> Gateway:
        login = self.login(replace(LOGIN, host=settings.host))
        return Gateway(
            self.phase, settings, [Route(path="/", to=self.web, audience=Audience.SIGNED_IN, rate=RateLimit())], login
        )

    def asks_api(self, access: ApiAccess) -> Workload:
        return Workload(self.phase, replace(SERVICE, name="reader", api_access=access))

    def tells(self, settings: AlertmanagerSettings) -> Alertmanager:
        return Alertmanager(self.phase, settings, self.secret("alertmanager", *settings.secret_keys))

    def checks(self, settings: BlackboxSettings, check: HttpCheck) -> Component:
        Signalling(self.phase, checks=(check,))
        return self.watched(Blackbox(self.phase, settings))

    def collects(self, logs: InClusterLoki | ShippedLogs | NoLogs) -> Workload:
        logs.create(self.phase, self.secret)
        return self.web

    def sends(self, destination: LogDestination) -> Alloy:
        return Alloy(self.phase, AlloySettings(), destination)

    def checks_outside(self, settings: BlackboxSettings) -> Component:
        """Beside a service, the address of an Ingress with a certificate."""
        self.opens(INGRESS)
        return self.checks(settings, HttpCheck(name="web", target=Target(workload=self.web), path="/"))

    def measures(self, metrics: InClusterPrometheus | PrometheusOperator | NoMetrics) -> Workload:
        metrics.create(self.phase, self.secret)
        return self.web

    def scales(self, scale: RequestRate) -> Component:
        """A service behind a gateway whose requests are counted."""
        web = Workload(self.phase, replace(SERVICE, name="scaled", availability=Availability(scale=scale)))
        Gateway(self.phase, GATEWAY, [Route(path="/", to=web, audience=Audience.PUBLIC)], DEVELOPER)
        return self.watched(web)

    def counts(self, count: RequestCount) -> Component:
        scale = RequestRate(minimum=1, maximum=2, per_pod=5.0)
        web = Workload(self.phase, replace(SERVICE, name="scaled", availability=Availability(scale=scale)))
        web.count_requests(count)
        return web

    def watched(self, component: Component) -> Component:
        Prometheus(self.phase, PrometheusSettings(kubelet=None))
        return component

    def registry(self, settings: RegistrySettings) -> Component:
        database = Database(name="mesh", roles=("mesh",))
        given = PostgresSettings(image=images.POSTGRES, compute=LARGE, size="1Gi", databases=(database,))
        postgres = Postgres(self.phase, given, self.secret("postgres", *given.secret_keys))
        registry = Registry(self.phase, settings)
        registry.connects_to(postgres.database("mesh", role="mesh"))
        Agent(self.phase, AGENT).connects_to(registry)
        return self.watched(registry)

    def shows_mesh(self, settings: MeshDashboardSettings) -> MeshDashboard:
        database = Database(name="mesh", roles=("mesh",), readers=("dashboard",))
        postgres = self.postgres(replace(POSTGRES, databases=(database,)))
        dashboard = MeshDashboard(self.phase, settings)
        dashboard.connects_to(postgres.database("mesh", role="dashboard"))
        return self.meshed(dashboard)

    def serves_models(self, settings: ModelProviderSettings) -> Agent:
        provider = ModelProvider(self.phase, settings, self.secret("models", "api-key").key("api-key"))
        agent = self.runs_agent(AGENT)
        provider.serve(agent)
        return agent

    def secret(self, name: str, *keys: str | IssuedKey | RandomKey) -> Secret:
        return Secret(self.phase, SecretSettings(name=name, keys=keys, source=ExistingSecrets()))

    def postgres(self, settings: PostgresSettings) -> Postgres:
        return Postgres(self.phase, settings, self.secret("postgres", *settings.secret_keys))

    def traced(self, settings: RedisSettings) -> Redis:
        """With a client, which writes spans."""
        redis = self.redis(settings)
        self.web.connects_to(redis)
        return redis

    def redis(self, settings: RedisSettings) -> Redis:
        return Redis(self.phase, settings, self.secret("redis", *settings.secret_keys))

    def backs_up(self, backup: Backup) -> Redis:
        if isinstance(backup.target, S3Target):
            self.secret(backup.target.secret, *backup.target.secret_keys)
        if backup.encryption:
            self.secret(backup.encryption.secret, *backup.encryption.secret_keys)
        return self.redis(replace(REDIS, backup=backup))

    def minio(self, settings: MinioSettings) -> Minio:
        return Minio(self.phase, settings, self.secret("minio", *settings.secret_keys))

    def grafana(self, settings: GrafanaSettings) -> Grafana:
        return Grafana(self.phase, settings, self.secret("grafana", *settings.secret_keys))

    def dashboards(self, settings: DashboardsSettings) -> Grafana:
        """In a Grafana, which mounts them."""
        Dashboards(self.phase, settings)
        return self.grafana(replace(GRAFANA, data_sources=(METRICS_OUTSIDE,)))

    def shows_what(self, source: DataSource) -> Grafana:
        """A Grafana that asks it, and a Prometheus of others, if that is another one."""
        others = () if source.kind is SourceKind.PROMETHEUS else (METRICS_OUTSIDE,)
        return self.grafana(replace(GRAFANA, data_sources=(source, *others)))

    def traces(self, settings: TempoSettings) -> Component:
        keys = settings.secret_keys
        minio = self.minio(MINIO)
        return self.watched(Tempo(self.phase, settings, self.secret("traces", *keys) if keys else None, minio))

    def opens(self, settings: IngressExposure | GatewayApiExposure, *, https: bool = True) -> Exposure:
        gateway = self.gateway(PUBLIC_GATEWAY) if https else self.vouches(DEVELOPER)
        return Exposure(self.phase, settings, gateway)

    def is_proven(self, challenge: Http01 | Dns01) -> Exposure:
        self.fits(PLENTY)
        tls = Tls(secret="shop-tls", cluster_issuer="letsencrypt", challenge=challenge)
        return self.opens(replace(INGRESS, tls=tls))

    def has(self, settings: GuestSettings) -> Guest:
        self.fits(PLENTY)
        return Guest(self.phase, settings)

    def fits(self, budget: Budget) -> Namespace:
        return Namespace(self.phase, NamespaceSettings(budget=budget))

    def stands_on(self, nodes: Nodes, *system: SystemPods) -> Namespace:
        """On some nodes, with three pods that ask for their label, two of which must stay up."""
        extras = PodExtras(placement=Placement(node_selector=FAST))
        kept = Availability(scale=Replicas(count=3), min_available=2)
        Workload(self.phase, WorkloadSettings(name="kept", container=SIDECAR, extras=extras, availability=kept))
        return self.fits(replace(PLENTY, nodes=(nodes,), system=system))

    def ranks(self, settings: PriorityClassSettings) -> PriorityClass:
        """Two pods of a class, of which the smaller half of the nodes has room for one."""
        for name in ("first", "second"):
            container = replace(SIDECAR, compute=replace(SMALL, cpu="240m", cpu_limit="240m"))
            availability = Availability(priority_class=settings.name)
            Workload(self.phase, WorkloadSettings(name=name, container=container, availability=availability))
        self.fits(replace(PLENTY, nodes=(replace(NODES, count=2, cpu="450m"),)))
        return PriorityClass(self.phase, settings)

    def reserves(self, amount: Amount) -> Namespace:
        Measured(self.phase, amount)
        return self.fits(PLENTY)

    def tests(self, settings: SmokeTestSettings) -> SmokeTest:
        registry = Registry(self.phase, RegistrySettings(image=IMAGE, compute=SMALL, extras=ROOM))
        routes = [Route(path=path, to=self.web, audience=Audience.PUBLIC) for path in ("/health", "/ready")]
        return SmokeTest(self.phase, settings, Gateway(self.phase, GATEWAY, routes, DEVELOPER), registry)

    def is_deployed(self, settings: ArgoCdSettings, project: ArgoCdProjectSettings | None = None) -> ArgoCdApplication:
        argocd = Phase(Application(ApplicationSettings(name="shop", namespace="argocd"), outdir="argocd"), "all")
        return ArgoCdApplication(
            argocd, settings, ArgoCdProject(argocd, project or PROJECT), Application.of(self.phase)
        )

    def hides(self, source: ExistingSecrets | ExternalSecrets | SealedSecrets) -> Secret:
        return Secret(self.phase, replace(SECRET, source=source))

    def verifies(self, client: W, tls: tuple[TlsClient, ...]) -> W:
        """A client of servers that speak TLS alone, of each kind that it is said to verify."""
        for one in tls:
            port = Port(number=8000, tls=one)
            client.connects_to(self.runs(replace(MAIN, ports=(port,)), f"encrypted-{one.value}"))
        return client

    def claims(self, storage_class: EncryptedStorageClass) -> Component:
        """A claim of a class that is the application's own."""
        shop = Shop(replace(SHOP, storage_class=storage_class))
        Namespace(shop.phase, NamespaceSettings(budget=PLENTY))
        return shop.redis(replace(REDIS, storage=Persistent(size="1Gi")))

    def is_kept(self, transit: Transit) -> Component:
        """A namespace with a service that others of it and of outside reach, as a way of transit has it."""
        shop = Shop(replace(SHOP, transit=transit))
        Namespace(shop.phase, NamespaceSettings(budget=PLENTY))
        shop.api.connects_to(shop.web)
        shop.web.accepts_from(NamespacePods(namespace="edge"), "admin")
        return shop.web

    def is_stored(self, transit: StoreTls) -> Component:
        """Two stores and no client."""
        shop = Shop(replace(SHOP, transit=transit))
        shop.postgres(replace(POSTGRES, exporter=None))
        return shop.redis(REDIS)

    def is_known_by(self, source: CertManager | ExistingCertificates) -> Certificate:
        return Certificate(self.phase, CertificateSettings(workload="web", source=source))

    def keeps(self, key: IssuedKey | RandomKey) -> Secret:
        return Secret(self.phase, replace(SECRET, keys=(key,)))

    def reads(self, key: SecretKey) -> Workload:
        self.secret("one", "first", "second")
        self.secret("two", "first")
        return self.knows(Variable(name="VALUE", value=key))


class Measured(Workload):
    """A service that says itself how much it requests."""

    def __init__(self, scope: Construct, amount: Amount) -> None:
        self._amount = amount
        super().__init__(scope, WorkloadSettings(name="measured", container=MAIN))

    @property
    def requests(self) -> Amount:
        return self._amount


class Signalling(Workload):
    """A service with alerts and checks of its own."""

    def __init__(self, scope: Construct, *, alerts: tuple[Alert, ...] = (), checks: tuple[HttpCheck, ...] = ()) -> None:
        self._alerts = alerts
        self._checks = checks
        super().__init__(scope, WorkloadSettings(name="signalling", container=MAIN))

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return self._alerts

    @property
    def http_checks(self) -> tuple[HttpCheck, ...]:
        return self._checks


def sealed(letter: bytes, *, rsa: int = 512, rest: int = 24) -> str:
    """A ciphertext as kubeseal makes it: the length of the session key, the key, and the value with its tag."""
    return base64.b64encode(rsa.to_bytes(2, "big") + letter * (rsa + rest)).decode()


AGENT = AgentSettings(name="bot", code=BuiltImage(image=IMAGE), compute=SMALL, module="bot")
DEVELOPER = DevIdentity(email="developer@example.com")
DEPLOYED = ArgoCdSettings(target_revision="main", path="dist/unused", destination=ClusterServer())
TWO = Availability(scale=Replicas(count=2))
URGENT = Availability(priority_class="urgent")
GATEWAY = GatewaySettings(image=IMAGE, compute=SMALL, host="shop.local", https=False)
PUBLIC_GATEWAY = replace(GATEWAY, host="shop.example.com", https=True, availability=TWO)
LOCUST_FILE = Path(__file__).parent.parent / "constructs/ai_interviewer/_interview_load.py"
INGRESS = IngressExposure(controller=Traefik(), tls=Tls(secret="shop-tls"))
LOGIN = OAuth2ProxySettings(
    image=IMAGE,
    compute=SMALL,
    host="shop.example.com",
    provider=Google(),
    email_domains=("example.com",),
    availability=TWO,
)
PODS = ApiRule(resources=("pods",))
READING = ApiAccess(because="It is a test.", rules=(PODS,))
TOLD = AlertmanagerSettings(page=PagerDuty(), ticket=Slack(channel="#shop"))
LOGS = LogDestination(url="https://logs.example.com/loki/api/v1/push", reached=PARTNER)
ELSEWHERE = AddressRange(cidr="203.0.113.7/32")
MINIO = MinioSettings(image=images.MINIO, compute=SMALL, size="2Gi")
POSTGRES = PostgresSettings(
    image=images.POSTGRES,
    compute=Compute(cpu="100m", memory="256Mi"),
    size="1Gi",
    databases=(Database(name="shop", roles=("shop",)),),
)
TWO_ROLES = replace(POSTGRES, compute=LARGE, databases=(Database(name="shop", roles=("shop", "audit")),))
PROJECT = ArgoCdProjectSettings(repo_url="https://git.example.com/shop.git")
REDIS = RedisSettings(image=images.REDIS, compute=SMALL)
CARTS = RedisUser(name="carts", keys=("cart:*",), commands=("get", "set"))
MEDIA = S3Media(host="s3.example.com", bucket="shop-media")
MODELS = ModelProviderSettings(name="models", vendor=ModelVendor.OPENAI)
MESH_TLS = MeshTls(certificates=CertManager(issuer="mesh-ca"))
NIGHTLY = Backup(target=ClaimTarget(size="1Gi"))
SEALED_TO = Age(recipients=("age1qhjjyqga2x7ke3tr7yzw2myccp42yfxtfedr3xenrhkq8mfhuyuq6rljy0",), image=IMAGE)
ELSEWHERE_KEPT = S3Target(host="s3.example.com", bucket="backups")
SEALED = SealedValue(secret="token", key="token", ciphertext=sealed(b"a"))
SECRET = SecretSettings(name="token", keys=("token",), source=STORE)
SHOWN = SecretFiles(mount_path="/keys", secret="shop-one")
SERVICE = WorkloadSettings(name="extra", container=MAIN)
ON_SSD = NodeSelectorRequirement(key="disk", values=("ssd",))
ON_SSD_ONLY = NodeSelectorTerm(match_expressions=(ON_SSD,))
ON_HDD_ONLY = NodeSelectorTerm(match_expressions=(replace(ON_SSD, values=("hdd",)),))
BY_WEB = PodAffinityTerm(match_labels=(("app.kubernetes.io/name", "shop-web"),))
BY_API = PodAffinityTerm(match_labels=(("app.kubernetes.io/name", "shop-api"),))
TEMPO = TempoSettings(image=images.TEMPO, compute=SMALL)
S3_OUTSIDE = External(name="managed S3", hosts=("s3.example.com",), peer=Internet())
GRAFANA = GrafanaSettings(image=images.GRAFANA, compute=SMALL)
MONITORING = External(name="metrics", port=9090, peer=NamespacePods(namespace="monitoring"))
METRICS_OUTSIDE = DataSource(kind=SourceKind.PROMETHEUS, at=MONITORING, url="http://metrics.monitoring:9090")


@dataclass(frozen=True)
class Case:
    """A value of a class, what an application becomes with it, and for each field another value for it."""

    value: Callable[[Shop], DataclassInstance]
    render: Callable[[dict[str, object]], list[Manifest]]
    changes: dict[str, object]


@dataclass(frozen=True)
class Refused:
    """A value with which there is no application, and the words that say so."""

    value: object
    words: str


@dataclass(frozen=True)
class Given:
    """A value that is allowed only where another field has another value, too."""

    value: object
    others: dict[str, object]


Value = TypeVar("Value", bound="DataclassInstance")


def case_of(value: Callable[[Shop], Value], use: Callable[[Shop, Value], Component], /, **changes: object) -> Case:
    """A case whose value refers to a part of the application; so do changes that are functions."""

    def render(given: dict[str, object]) -> list[Manifest]:
        shop = Shop()
        there = {name: part(shop) if callable(part) else part for name, part in given.items()}
        application = Application.of(use(shop, replace(value(shop), **there)))
        return [manifest for phase in application.manifests().values() for manifest in phase]

    return Case(value, render, changes)


def case(value: Value, use: Callable[[Shop, Value], Component], /, **changes: object) -> Case:
    """A case whose value stands alone."""
    return case_of(lambda _: value, use, **changes)


OF_THE_MESH: dict[str, object] = {
    "runtime": Refused(Python(module="bot"), "Give one of both"),
    "startup_seconds": 240,
    "settle_seconds": 5,
    "call_seconds": 60,
    "tool_workers": 4,
}
"""Other values for what agents and API services have in common."""

CASES: dict[type[DataclassInstance], Case] = {
    AddressRange: case(
        AddressRange(cidr="203.0.113.0/24"), Shop.admits, cidr="198.51.100.0/24", without=("203.0.113.7/32",)
    ),
    AgentSettings: case(
        AGENT,
        lambda shop, settings: shop.verifies(shop.runs_agent(settings), settings.tls),
        tls=(TlsClient.POSTGRES,),
        name="helper",
        code=BuiltImage(image=OTHER_IMAGE),
        compute=LARGE,
        module="helper",
        args=("--fast",),
        variables=HINT,
        scratch="65Mi",
        log_level="DEBUG",
        tracing=False,
        debounce_seconds=6,
        mesh_namespace="other",
        termination_grace_seconds=31,
        url_variable="BOT_URL",
        port=8091,
        jobs_grace_seconds=60,
        **OF_THE_MESH,
        availability=URGENT,
        extras=MORE,
    ),
    Amount: case(Amount(cpu=100, memory=2**26, disk=2**27), Shop.reserves, cpu=101, memory=2**27, disk=2**28),
    ApiSettings: case(
        ApiSettings(name="front", code=BuiltImage(image=IMAGE), compute=SMALL, module="front", availability=TWO),
        lambda shop, settings: shop.serves_people(shop.verifies(shop.meshed(Api(shop.phase, settings)), settings.tls)),
        tls=(TlsClient.POSTGRES,),
        name="back",
        code=BuiltImage(image=OTHER_IMAGE),
        compute=LARGE,
        module="back",
        args=("--fast",),
        variables=HINT,
        scratch="65Mi",
        log_level="DEBUG",
        tracing=False,
        debounce_seconds=6,
        mesh_namespace="other",
        termination_grace_seconds=31,
        **OF_THE_MESH,
        port=8081,
        readiness_path="/healthy",
        public_url_variable="SHOP_URL",
        availability=Availability(scale=Replicas(count=3)),
        extras=MORE,
    ),
    Python: case(Python(module="bot"), Shop.runs_in, module="helper", args=("--fast",)),
    TypeScript: case(
        TypeScript(entry="dist/index.js"), Shop.runs_in, entry="src/index.ts", args=("--fast",), heap_percent=61
    ),
    Java: case(Java(jar="target/bot.jar"), Shop.runs_in, jar="target/helper.jar", args=("--fast",), heap_percent=61),
    ApplicationSettings: case_of(
        lambda _: SHOP,
        lambda _, settings: (
            shop := Shop(settings),
            shop.runs(replace(MAIN, volumes=(Claim(size="1Gi"),)), "claims"),
            shop.asks_api(READING),
            shop.routes(
                Route(path="/", to=shop.admits(HostNetwork(ranges=("10.0.0.0/24",))), audience=Audience.PUBLIC)
            ),
            shop.runs_agent(AGENT),
            shop.knows(Variable(name="TOKEN", value=shop.secret("one", "first").key("first"))),
            Namespace(shop.phase, NamespaceSettings(budget=PLENTY)),
        )[3],
        api_server=ApiServer(ports=(6443,)),
        name="store",
        namespace="store",
        image_pull_secret="registry",
        labels=(("example.com/cost-centre", "4711"),),
        cluster_domain="example.internal",
        policies=PolicyKind.CILIUM,
        transit=IstioAmbient(),
        storage_class="fast",
        platform=Platform(assigns_users=True),
        mesh=Mesh(release=MeshRelease.V0_5),
        reloader=Reloader(),
    ),
    ArgoCdProjectSettings: case(
        PROJECT,
        lambda shop, settings: shop.is_deployed(DEPLOYED, settings),
        repo_url="git@git.example.com:shop.git",
        description="The shop",
    ),
    ArgoCdSettings: case(
        DEPLOYED,
        Shop.is_deployed,
        target_revision="v1.2.3",
        path="manifests/unused",
        destination=ClusterName(name="production"),
        sync=Automated(),
        name="europe",
    ),
    Automated: case(
        Automated(),
        lambda shop, sync: shop.is_deployed(replace(DEPLOYED, sync=sync)),
        prune=False,
        self_heal=False,
    ),
    Availability: case(
        Availability(scale=Replicas(count=3)),
        lambda shop, availability: Workload(shop.phase, replace(SERVICE, availability=availability)),
        scale=Replicas(count=4),
        vertical=VerticalScaling(),
        min_available=1,
        spread=True,
        priority_class="urgent",
    ),
    Autoscaling: case(
        Autoscaling(minimum=2, maximum=4),
        lambda shop, scale: Workload(shop.phase, replace(SERVICE, availability=Availability(scale=scale))),
        minimum=3,
        maximum=5,
        cpu_percent=71,
    ),
    RequestRate: case(
        RequestRate(minimum=1, maximum=2, per_pod=5.0),
        Shop.scales,
        minimum=2,
        maximum=3,
        cpu_percent=71,
        per_pod=6.5,
        keda=NamespacePods(namespace="kube-system"),
    ),
    RequestCount: case(
        RequestCount(server="http://prometheus.monitoring:9090", query="up"),
        Shop.counts,
        server="http://prometheus.observability:9090",
        query="down",
    ),
    VerticalScaling: case(
        VerticalScaling(),
        lambda shop, vertical: Workload(shop.phase, replace(SERVICE, availability=Availability(vertical=vertical))),
        mode=UpdateMode.INITIAL,
        resources=("memory",),
    ),
    BucketSettings: case(
        BucketSettings(image=images.MINIO_CLIENT, bucket="uploads"),
        lambda shop, settings: Bucket(shop.phase, settings, shop.minio(MINIO)),
        image=OTHER_IMAGE,
        bucket="downloads",
        public_prefix="public/",
        name="make-bucket",
        extras=MORE,
        priority_class="urgent",
    ),
    Budget: case(
        Budget(cpu="1", memory="1Gi"),
        Shop.fits,
        cpu=Refused("100m", "Budget.cpu"),
        memory=Refused("64Mi", "Budget.memory"),
        nodes=Refused((replace(NODES, count=1, cpu="150m"),), "shop-api may run 1 pods"),
        # It leaves room for one new pod in the place of two.
        system=Given(
            (SystemPods(name="dns", cpu="50m", memory="1Mi"),), {"nodes": (replace(NODES, count=1, cpu="400m"),)}
        ),
    ),
    BuiltImage: case(BuiltImage(image=IMAGE), Shop.runs_code, image=OTHER_IMAGE, working_directory="/app/shop"),
    Claim: case(Claim(size="1Gi"), Shop.mounts, name="files", mount_path="/files", size="2Gi", storage_class="fast"),
    ClusterName: case(
        ClusterName(name="production"),
        lambda shop, cluster: shop.is_deployed(replace(DEPLOYED, destination=cluster)),
        name="staging",
    ),
    ClusterSelector: case(
        ClusterSelector(labels=(("environment", "prod"),)),
        lambda shop, clusters: shop.is_deployed(replace(DEPLOYED, destination=clusters)),
        labels=(("environment", "prod"), ("region", "eu")),
    ),
    ClusterServer: case(
        ClusterServer(),
        lambda shop, cluster: shop.is_deployed(replace(DEPLOYED, destination=cluster)),
        server="https://10.1.2.3:6443",
    ),
    Compute: case(
        SMALL,
        lambda shop, compute: shop.runs(replace(MAIN, compute=compute)),
        cpu="101m",
        memory="65Mi",
        cpu_limit="201m",
        memory_limit="129Mi",
        ephemeral_storage="64Mi",
    ),
    Container: case(
        MAIN,
        lambda shop, container: (shop.sends(LOGS), shop.runs(container))[1],
        name="other",
        image=OTHER_IMAGE,
        user=User(uid=1001, gid=1001),
        compute=LARGE,
        command=("serve",),
        args=("--fast",),
        ports=(Port(number=8002),),
        variables=HINT,
        probes=Probes.of(OPEN),
        volumes=(Scratch(),),
        working_directory="/app",
        pre_stop_seconds=5,
        quiet_seconds=9,
        writable_root_because="It writes its pid file to /.",
        log_pattern="^(?P<level>[A-Z]+) ",
    ),
    Database: case(
        Database(name="shop", roles=("shop",)),
        lambda shop, database: shop.postgres(replace(POSTGRES, databases=(database,))),
        name="store",
        roles=("shop", "report"),
        readers=("report",),
        extensions=("pgcrypto",),
    ),
    DevIdentity: case(DEVELOPER, Shop.vouches, email="other@example.com", name="Somebody"),
    Endpoint: case(
        Endpoint(scheme="https", host="api.example.com", port=443),
        lambda shop, endpoint: shop.dials(
            replace(
                PARTNER,
                hosts=("api.example.com", "api.example.net"),
                introduction=variables({"PARTNER_URL": endpoint.url}),
            )
        ),
        scheme="wss",
        host="api.example.net",
        port=Refused(8443, "its External says port 443"),
    ),
    Dns: case(
        Dns.kube_dns(),
        lambda shop, dns: Namespace(shop.phase, NamespaceSettings(budget=PLENTY, dns=dns)),
        servers=Dns.openshift().servers,
        proxied=Refused(True, "Only Cilium reads questions"),
    ),
    Ephemeral: case(Ephemeral(), lambda shop, storage: shop.redis(replace(REDIS, storage=storage)), size="257Mi"),
    Exec: case(Exec(command=("true",)), Shop.asks, command=("healthy",)),
    ExistingSecrets: case(ExistingSecrets(), Shop.hides),
    ExistingCertificates: case(ExistingCertificates(), Shop.is_known_by),
    CertManager: case(
        CertManager(issuer="ca"), Shop.is_known_by, issuer="other", kind="Issuer", duration="2161h", renew_before="5h"
    ),
    EncryptedStorageClass: case(
        EncryptedStorageClass(driver=AwsEbs()), Shop.claims, driver=AwsEbs(type="io2"), keep=False, name="sealed"
    ),
    AwsEbs: case(
        AwsEbs(),
        lambda shop, driver: shop.claims(EncryptedStorageClass(driver=driver)),
        kms_key="arn:aws:kms:eu-central-1:123456789012:key/1234",
        type="io2",
    ),
    GcePd: case(
        GcePd(kms_key="projects/shop/locations/europe-west3/keyRings/shop/cryptoKeys/disks"),
        lambda shop, driver: shop.claims(EncryptedStorageClass(driver=driver)),
        kms_key="projects/shop/locations/europe-west3/keyRings/shop/cryptoKeys/others",
        type="pd-ssd",
    ),
    AzureDisk: case(
        AzureDisk(encryption_set=f"{DISK_SETS}/one"),
        lambda shop, driver: shop.claims(EncryptedStorageClass(driver=driver)),
        encryption_set=f"{DISK_SETS}/two",
        sku="StandardSSD_LRS",
    ),
    Longhorn: case(
        Longhorn(secret="passphrase"),
        lambda shop, driver: shop.claims(EncryptedStorageClass(driver=driver)),
        secret="other",
        namespace="storage",
        replicas=2,
    ),
    PlainTransit: case(PlainTransit(), Shop.is_kept),
    IstioAmbient: case(IstioAmbient(), Shop.is_kept, strict=False, meshed=("edge",), trust_domain="shop.example.com"),
    Linkerd: case(
        Linkerd(),
        Shop.is_kept,
        strict=False,
        meshed=("edge",),
        proxy=Compute(cpu="20m", memory="32Mi"),
        namespace="mesh",
        trust_domain="shop.example.com",
    ),
    StoreTls: case(
        StoreTls(certificates=CertManager(issuer="ca")),
        Shop.is_stored,
        certificates=CertManager(issuer="other"),
        stores=("redis",),
    ),
    CertificateSettings: case(
        CertificateSettings(workload="web", source=CertManager(issuer="ca")),
        lambda shop, settings: Certificate(shop.phase, settings),
        workload="api",
        source=CertManager(issuer="other"),
        services=("web-pods",),
        local=True,
        client=True,
    ),
    External: case(
        PARTNER,
        Shop.dials,
        hosts=Refused((), "no path to api.example.com"),
        port=Refused(8443, "its External says port 8443"),
        peer=AddressRange(cidr="203.0.113.7/32"),
        introduction=HINT,
        volumes=(Files(name="partner-ca", mount_path="/partner", files=(File(path="ca.pem", content="CA"),)),),
    ),
    ExternalSecrets: case(
        STORE,
        Shop.hides,
        store="safe",
        store_kind="SecretStore",
        prefix="store",
        refresh_interval="5m",
    ),
    File: case(
        File(path="shop.conf", content="colour = blue"),
        lambda shop, file: shop.mounts(Files(mount_path="/etc/shop", files=(file,))),
        path="conf/shop.conf",
        content="colour = green",
    ),
    Files: case(
        Files(mount_path="/etc/shop", files=(File(path="shop.conf", content="colour = blue"),)),
        Shop.mounts,
        name="extra",
        mount_path="/etc/store",
        files=(File(path="store.conf", content="colour = blue"),),
        executable=True,
    ),
    GatewayApiExposure: case(
        GatewayApiExposure(parent="shared", parent_namespace="edge", peer=NamespacePods(namespace="edge")),
        Shop.opens,
        parent="other",
        parent_namespace="outside",
        section="https",
        https=Refused(False, "GatewaySettings.https"),
        peer=NamespacePods(namespace="envoy"),
        name="internal",
    ),
    GatewaySettings: case(
        PUBLIC_GATEWAY,
        lambda shop, settings: shop.watched(shop.gateway(settings)),
        image=OTHER_IMAGE,
        compute=LARGE,
        host="store.example.com",
        aliases=("www.shop.example.com",),
        https=Refused(False, "GatewaySettings.https"),
        administrators=("owner@example.com",),
        limits=Limits(connections=99),
        availability=Availability(scale=Replicas(count=3)),
        objective=Objective(answered=0.99),
        workers=3,
        name="gateway",
        extras=MORE,
    ),
    GitHub: case(GitHub(), Shop.asks_whose, organization="acme"),
    Google: case(Google(), Shop.asks_whose),
    DashboardsSettings: case(DashboardsSettings(), Shop.dashboards, without=("overview",)),
    GrafanaSettings: case(
        GRAFANA,
        Shop.grafana,
        data_sources=(METRICS_OUTSIDE,),
        image=OTHER_IMAGE,
        compute=LARGE,
        storage=Claim(mount_path="/var/lib/grafana", size="1Gi"),
        dashboards=(File(path="dashboards/sales.json", content="{}"),),
        name="dashboards",
        availability=URGENT,
        extras=MORE,
    ),
    HttpGet: case(HttpGet(path="/health"), Shop.asks, path="/ready", port="admin", scheme="HTTPS"),
    Image: case(
        Image(repository="acme/shop", tag="1.2-alpine", exact_because="It has two-part versions."),
        lambda shop, image: shop.runs(replace(MAIN, image=image)),
        repository="acme/store",
        tag="1.3-alpine",
        digest="sha256:" + 64 * "a",
        exact_because=Refused("", "This tag moves"),
    ),
    IngressExposure: case(
        INGRESS,
        Shop.opens,
        controller=IngressNginx(),
        tls=Tls(secret="store-tls"),
        annotations=(("example.com/timeout", "60"),),
        name="internal",
    ),
    IngressNginx: case(
        IngressNginx(),
        lambda shop, controller: shop.opens(replace(INGRESS, controller=controller)),
        ingress_class="public",
        peer=NamespacePods(namespace="edge"),
        head_kb=Refused(7, "large-client-header-buffers"),
    ),
    HostNetwork: case(HostNetwork(ranges=("10.0.0.0/24",)), Shop.admits, ranges=("10.0.1.0/24",)),
    Internet: case(Internet(), Shop.admits, cluster_ranges=("203.0.113.0/24",)),
    IssuedKey: case(IssuedKey(key="token", issued_by="Acme"), Shop.keeps, key="key"),
    Limits: case(
        Limits(),
        lambda shop, limits: shop.gateway(replace(PUBLIC_GATEWAY, limits=limits)),
        connections=99,
        sign_in=RateLimit(per_second=6, burst=20),
        head_kb=9,
    ),
    Listener: case(
        Listener(peer=Internet(), port=443),
        lambda shop, listener: shop.dials(replace(PARTNER, peer=(listener,))),
        peer=AddressRange(cidr="203.0.113.7/32"),
        port=8443,
    ),
    LoginPages: case_of(
        lambda shop: LoginPages(
            to=shop.api,
            paths=("/oauth2/in", "/oauth2/back"),
            start="/oauth2/in",
            callback="/oauth2/in",
            content_security_policy="default-src 'self'",
        ),
        Shop.shows,
        to=lambda shop: shop.web,
        paths=("/oauth2/in", "/oauth2/out"),
        start="/oauth2/in/now",
        callback="/oauth2/back",
        content_security_policy="default-src 'none'",
        timeout_seconds=31,
    ),
    Manual: case(Manual(), lambda shop, sync: shop.is_deployed(replace(DEPLOYED, sync=sync))),
    Mesh: case(
        Mesh(),
        lambda _, mesh: Shop(ApplicationSettings(name="shop", mesh=mesh)).runs_agent(AGENT),
        release=MeshRelease.V0_5,
        tls=MESH_TLS,
    ),
    MeshTls: case(
        MESH_TLS,
        lambda _, tls: Shop(ApplicationSettings(name="shop", mesh=Mesh(tls=tls))).runs_agent(AGENT),
        certificates=ExistingCertificates(),
        reloader=True,
    ),
    MeshDashboardSettings: case(
        MeshDashboardSettings(),
        Shop.shows_mesh,
        image=OTHER_IMAGE,
        compute=LARGE,
        log_level="DEBUG",
        name="mesh-ui",
        availability=URGENT,
        extras=MORE,
    ),
    MediaStore: case(
        MediaStore(),
        lambda shop, store: shop.dials(store.in_s3(MEDIA)),
        prefix="pictures/",
    ),
    S3Media: case(
        MEDIA,
        lambda shop, bucket: shop.dials(MediaStore().in_s3(bucket)),
        host="s3.example.org",
        bucket="pictures",
        region="eu-central-1",
        peer=NamespacePods(namespace="storage"),
    ),
    ModelProviderSettings: case(
        MODELS,
        Shop.serves_models,
        vendor=ModelVendor.ANTHROPIC,
        base_url="https://models.example.com/v1",
        peer=NamespacePods(namespace="models"),
        key_variable="MODEL_KEY",
    ),
    MinioSettings: case(
        MINIO,
        Shop.minio,
        image=OTHER_IMAGE,
        compute=LARGE,
        size="3Gi",
        storage_class="fast",
        backup=NIGHTLY,
        client=Given(OTHER_IMAGE, {"backup": NIGHTLY}),
        name="objects",
        availability=URGENT,
        extras=MORE,
    ),
    MountedSource: case(
        MountedSource(image=IMAGE, folder=PACKAGE / "services" / "postgres_files"),
        Shop.runs_code,
        image=OTHER_IMAGE,
        folder=PACKAGE / "kubernetes" / "_api_objects",
    ),
    NamespacePods: case(
        NamespacePods(namespace="monitoring"), Shop.admits, namespace="logging", labels=(("app", "prometheus"),)
    ),
    NamespaceSettings: case(
        NamespaceSettings(budget=PLENTY),
        lambda shop, settings: Namespace(shop.phase, settings),
        exceptions=Refused(
            (PodSecurityException(workload="shop-web", level="baseline", because="It is a test."),), "is restricted"
        ),
        budget=Refused(Budget(cpu="100m", memory="100Gi"), "Budget.cpu"),
        dns=Dns.openshift(),
    ),
    Nodes: case(
        NODES,
        Shop.stands_on,
        count=Refused(2, "shop-kept may run 3 pods"),
        cpu=Refused("120m", "shop-kept may run 3 pods"),
        memory=Refused("100Mi", "shop-kept may run 3 pods"),
        ephemeral_storage=Refused("200Mi", "shop-kept may run 3 pods"),
        pods=Refused(1, "shop-kept may run 3 pods"),
        zones=Refused(2, "shop-kept must keep 2 of its pods"),
        labels=Refused((), "no node of Budget.nodes has that"),
    ),
    NoLogin: case(NoLogin(), lambda shop, login: shop.is_for_everyone(login)),
    NoTls: case(NoTls(), lambda shop, tls: shop.opens(replace(INGRESS, tls=tls), https=False)),
    OAuth2ProxySettings: case(
        LOGIN,
        lambda shop, settings: shop.signs_in(shop.login(settings), host=settings.host),
        image=OTHER_IMAGE,
        compute=LARGE,
        host="store.example.com",
        provider=GitHub(),
        email_domains=("*",),
        session_hours=13,
        remembered_seconds=6,
        availability=Availability(scale=Replicas(count=3)),
        name="login",
        extras=MORE,
    ),
    OpenIdConnect: case(
        OpenIdConnect(issuer="https://id.example.com/shop"),
        Shop.asks_whose,
        issuer="https://id.example.com/store",
        peer=AddressRange(cidr="203.0.113.7/32"),
    ),
    OtherController: case(
        OtherController(ingress_class="alb", peer=AddressRange(cidr="10.0.0.0/16")),
        lambda shop, controller: shop.opens(replace(INGRESS, controller=controller)),
        ingress_class="cilium",
        peer=(AddressRange(cidr="10.0.0.0/16"), AddressRange(cidr="fd00:10::/64")),
    ),
    Person: case(
        Person(email="me@example.com", name="Me"),
        lambda shop, person: shop.signs_in(AnsweredBy(vouching=person)),
        email="you@example.com",
        name="You",
    ),
    Persistent: case(
        Persistent(size="1Gi"),
        lambda shop, storage: shop.redis(replace(REDIS, storage=storage)),
        size="2Gi",
        storage_class="fast",
        repair=Repair.CUT_OFF,
    ),
    Platform: case(
        Platform(),
        lambda _, platform: Shop(replace(SHOP, platform=platform)).web,
        assigns_users=True,
        ip_families=("IPv4", "IPv6"),
        architecture="arm64",
    ),
    RequestRules: case(
        RequestRules(cpu="50m", memory="52Mi", least_memory_per_cpu="1Mi", most_memory_per_cpu="64Gi"),
        lambda _, rules: Shop(replace(SHOP, platform=Platform(requests=rules))).web,
    ),
    PodTemplatePath: case(
        PodTemplatePath(kind="Rollout"), lambda _, path: Shop(replace(SHOP, pod_templates=(path,))).web
    ),
    Port: case(
        Port(number=8080),
        Shop.serves,
        name="grpc",
        number=9090,
        container=9090,
        scheme="grpc",
        tls=Refused(TlsClient.S3, "That speaks TLS alone"),
    ),
    PostgresSettings: case(
        POSTGRES,
        Shop.postgres,
        image=OTHER_IMAGE,
        compute=LARGE,
        size="2Gi",
        storage_class="fast",
        databases=(Database(name="store", roles=("store",)),),
        connections=(RoleConnections(role="shop", most=2),),
        databases_extras=MORE,
        backup=Given(NIGHTLY, {"compute": Compute(cpu="100m", memory="512Mi")}),
        exporter=None,
        name="database",
        availability=URGENT,
        extras=MORE,
    ),
    PriorityClassSettings: case(
        PriorityClassSettings(name="high", value=10, description="The shop."),
        Shop.ranks,
        name="higher",
        value=11,
        description="The store.",
        survives_a_node=Refused(True, "must keep 1 of its pods"),
    ),
    Objective: case(
        Objective(),
        lambda shop, objective: shop.watched(shop.gateway(replace(PUBLIC_GATEWAY, objective=objective))),
        answered=0.99,
        fast=0.9,
        within_seconds=5.0,
    ),
    Probe: case(
        PROBE,
        lambda shop, probe: shop.runs(replace(MAIN, probes=Probes(startup=probe, readiness=probe, liveness=probe))),
        check=HttpGet(path="/"),
        period_seconds=11,
        timeout_seconds=4,
        failure_threshold=4,
    ),
    NoProbes: case(
        NoProbes(because="No test starts it."),
        lambda shop, probes: shop.runs(replace(MAIN, probes=probes)),
    ),
    Probes: case(
        Probes(startup=PROBE, readiness=PROBE, liveness=PROBE),
        lambda shop, probes: shop.runs(replace(MAIN, probes=probes)),
        startup=replace(PROBE, period_seconds=11),
        readiness=replace(PROBE, period_seconds=11),
        liveness=replace(PROBE, period_seconds=11),
        hung_grace_seconds=20,
    ),
    Question: case_of(
        lambda shop: Question(to=shop.api, path="/verify", email="X-Email", subject="X-Id", name="X-Name"),
        Shop.asks_login,
        to=lambda shop: shop.web,
        path="/auth",
        email="X-Mail",
        subject="X-Subject",
        name="X-Called",
        tries=1,
        remembered_seconds=6,
    ),
    RandomKey: case(RandomKey(key="token"), Shop.keeps, key="key"),
    RateLimit: case(
        RateLimit(),
        lambda shop, rate: shop.routes(Route(path="/", to=shop.web, audience=Audience.PUBLIC, rate=rate)),
        per_second=21,
        burst=41,
    ),
    Readiness: case(
        Readiness(command=("ready",)),
        lambda shop, readiness: shop.dials(Target(workload=shop.web, readiness=readiness)),
        command=("ready", "--now"),
        variables=HINT,
        what="a shop",
        advice="open it",
        volumes=(Scratch(),),
    ),
    RedisSettings: case(
        REDIS,
        Shop.traced,
        image=OTHER_IMAGE,
        compute=LARGE,
        storage=Persistent(size="1Gi"),
        trace_length=10_001,
        exporter=None,
        backup=NIGHTLY,
        dashboard=True,
        users=(CARTS,),
        name="cache",
        availability=URGENT,
        extras=MORE,
    ),
    Reloader: case(
        Reloader(), lambda _, reloader: Shop(ApplicationSettings(name="shop", reloader=reloader)).shows_keys(SHOWN)
    ),
    RegistrySettings: case(
        RegistrySettings(image=images.REGISTRY, compute=SMALL),
        Shop.registry,
        image=OTHER_IMAGE,
        compute=LARGE,
        log_level="DEBUG",
        unhealthy_after_seconds=21,
        most_rows=100_001,
        trace_retention_hours=2,
        calls_agents=True,
        variables=HINT,
        name="mesh",
        availability=URGENT,
        extras=MORE,
    ),
    Replicas: case(
        Replicas(count=1),
        lambda shop, scale: Workload(shop.phase, replace(SERVICE, availability=Availability(scale=scale))),
        count=2,
    ),
    Route: case_of(
        lambda shop: Route(path="/shop", to=shop.web, audience=Audience.SIGNED_IN, rate=RateLimit()),
        Shop.routes,
        path="/store",
        to=lambda shop: shop.api,
        audience=Audience.ADMINISTRATOR,
        hand_over_identity=True,
        authorization=Refused(True, "Give Audience.PUBLIC"),
        cookies=True,
        upstream_path="/store",
        body_mb=2,
        timeout_seconds=59,
        rate=RateLimit(per_second=21),
        buffering=False,
        websocket=True,
        content_security_policy="default-src 'none'",
    ),
    Scratch: case(Scratch(), Shop.mounts, name="cache", mount_path="/cache", size="65Mi"),
    SealedSecrets: case(SealedSecrets(values=(SEALED,)), Shop.hides, values=Refused((), "kubeseal --raw")),
    SealedValue: case(
        SEALED,
        lambda shop, value: shop.hides(SealedSecrets(values=(value,))),
        secret=Refused("other", "kubeseal --raw"),
        key=Refused("other", "It has no such key"),
        ciphertext=sealed(b"b"),
    ),
    ConfigMapKey: case(
        ConfigMapKey(config_map="regions", key="home"),
        lambda shop, value: shop.knows(Variable(name="VALUE", value=value)),
        config_map="places",
        key="away",
    ),
    SecretKey: case(
        SecretKey(secret="shop-one", key="first"),
        Shop.reads,
        secret="shop-two",
        key="second",
        existing=Refused(True, "said to be made by others"),
    ),
    SecretSettings: case(
        SECRET,
        lambda shop, settings: Secret(shop.phase, settings),
        name="key",
        keys=("token", "key"),
        source=ExistingSecrets(),
        remote_key="tokens",
    ),
    SmokeTestSettings: case(
        SmokeTestSettings(image=IMAGE),
        Shop.tests,
        image=OTHER_IMAGE,
        path="/ready",
        deadline_seconds=301,
        compute=LARGE,
        name="check",
        extras=MORE,
        priority_class="urgent",
    ),
    LoadTestSettings: case(
        LoadTestSettings(image=IMAGE),
        lambda shop, settings: LoadTest(shop.phase, settings, shop.gateway(PUBLIC_GATEWAY), LOCUST_FILE),
        image=OTHER_IMAGE,
        users=11,
        users_per_second=2,
        seconds=121,
        most_errors=0.02,
        most_milliseconds=500,
        variables=(Variable(name="LOAD_ANSWERS", value="3"),),
        compute=LARGE,
        name="many",
        extras=MORE,
        priority_class="urgent",
    ),
    SystemPods: case(
        SystemPods(name="dns", cpu="10m", memory="10Mi"),
        lambda shop, pods: shop.stands_on(NODES, pods),
        cpu=Refused("200m", "shop-kept may run 3 pods"),
        memory=Refused("1000Mi", "shop-kept may run 3 pods"),
        # On one node in the place of all, it leaves room for one more new pod.
        count=Given(1, {"cpu": "20m"}),
    ),
    Target: case_of(
        lambda shop: Target(workload=shop.web, readiness=Readiness(command=("ready",))),
        Shop.dials,
        workload=lambda shop: shop.api,
        port="admin",
        introduction=HINT,
        readiness=Readiness(command=("ready", "--now")),
        volumes=(Scratch(),),
    ),
    TaskSettings: case(
        TaskSettings(name="clean", container=SIDECAR),
        lambda shop, settings: shop.verifies(Task(shop.phase, settings), settings.tls),
        tls=(TlsClient.REDIS,),
        metrics=Refused((MetricsEndpoint(),), "metrics"),
        api_access=READING,
        name="tidy",
        container=replace(SIDECAR, image=OTHER_IMAGE),
        sidecars=(replace(SIDECAR, name="other"),),
        init_containers=(replace(SIDECAR, name="first"),),
        component="housekeeping",
        termination_grace_seconds=31,
        priority_class="urgent",
        deadline_seconds=601,
        retries=7,
        keep_seconds=3601,
        hook=Hook.AFTER_ALL,
        schedule=Schedule(cron="0 3 * * *"),
        extras=MORE,
    ),
    TcpSocket: case(OPEN, Shop.asks, port="admin"),
    TempoSettings: case(
        TEMPO,
        Shop.traces,
        image=OTHER_IMAGE,
        compute=LARGE,
        storage=Claim(mount_path="/var/tempo", size="1Gi"),
        retention_hours=25,
        limits=TraceLimits(live_traces=1),
        span_metrics=None,
        name="traces",
        availability=URGENT,
        extras=MORE,
    ),
    S3Storage: case(
        S3Storage(),
        lambda shop, storage: shop.traces(replace(TEMPO, storage=storage)),
        bucket="spans",
        outside=S3_OUTSIDE,
        tls=Given(False, {"outside": S3_OUTSIDE}),
        region=Given("eu-central-1", {"outside": S3_OUTSIDE}),
        waiting=Claim(mount_path="/var/tempo", size="256Mi"),
    ),
    SpanMetrics: case(
        SpanMetrics(),
        lambda shop, counted: shop.traces(replace(TEMPO, span_metrics=counted)),
        buckets=(1.0, 2.0),
        dimensions=("mcp.runtime",),
        without="^heartbeat$",
        series=100,
    ),
    TraceLimits: case(
        TraceLimits(),
        lambda shop, limits: shop.traces(replace(TEMPO, limits=limits)),
        megabytes_per_second=2,
        burst_megabytes=5,
        live_traces=1,
    ),
    DataSource: case(
        METRICS_OUTSIDE,
        Shop.shows_what,
        kind=SourceKind.LOKI,
        at=replace(MONITORING, port=9091),
        url="https://others.example.com",
        interval_seconds=15,
        counted=Given(True, {"kind": SourceKind.TEMPO}),
    ),
    IdentityHeaders: case(
        IdentityHeaders(administrator="Admin", other="Viewer"),
        Shop.believes,
        administrator="owner",
        other="guest",
        variables=HINT,
    ),
    Tls: case(
        Tls(secret="shop-tls"),
        lambda shop, tls: shop.opens(replace(INGRESS, tls=tls)),
        secret="store-tls",
        cluster_issuer="letsencrypt",
        challenge=Given(Dns01(), {"cluster_issuer": "letsencrypt"}),
    ),
    Http01: case(
        Http01(),
        lambda shop, challenge: shop.is_proven(challenge),
        node_port=False,
        compute=Compute(cpu="20m", memory="64Mi"),
    ),
    Dns01: case(Dns01(), lambda shop, challenge: shop.is_proven(challenge)),
    GuestSettings: case(
        GuestSettings(
            name="backup",
            labels=(("app", "backup"),),
            compute=SMALL,
            port=9000,
            accepts=(NamespacePods(namespace="monitoring"),),
        ),
        Shop.has,
        name="agent",
        labels=(("app", "agent"),),
        compute=Compute(cpu="200m", memory="64Mi"),
        pods=2,
        port=9001,
        accepts=(NamespacePods(namespace="logging"),),
        reaches=(PARTNER,),
        node_ports=1,
    ),
    Traefik: case(
        Traefik(),
        lambda shop, controller: shop.opens(replace(INGRESS, controller=controller)),
        ingress_class="public",
        peer=NamespacePods(namespace="edge"),
    ),
    User: case(
        User(uid=1000, gid=1000),
        lambda shop, user: shop.runs(replace(MAIN, user=user)),
        uid=1001,
        gid=1001,
        volume_gid=1001,
    ),
    Variable: case(
        Variable(name="COLOUR", value="blue"), lambda shop, variable: shop.knows(variable), name="PAINT", value="green"
    ),
    WorkloadSettings: case(
        SERVICE,
        lambda shop, settings: shop.watched(
            shop.serves_people(shop.verifies(Workload(shop.phase, settings), settings.tls))
        ),
        tls=(TlsClient.REDIS,),
        metrics=(MetricsEndpoint(port="http"),),
        api_access=READING,
        name="other",
        container=replace(MAIN, image=OTHER_IMAGE),
        sidecars=(SIDECAR,),
        init_containers=(replace(SIDECAR, name="first"),),
        component="helper",
        termination_grace_seconds=31,
        availability=TWO,
        one_at_a_time=True,
        public_url_variable="SHOP_URL",
        identity_headers=IdentityHeaders(administrator="Admin", other="Viewer"),
        administrators_only=Refused("It shows all.", "It shows all. Give Audience.ADMINISTRATOR."),
        extras=MORE,
    ),
    Affinity: case(
        Affinity(),
        Shop.is_drawn_to,
        node_affinity=NodeAffinity(required=(ON_SSD_ONLY,)),
        pod_affinity=PodAffinity(required=(BY_WEB,)),
        pod_anti_affinity=PodAntiAffinity(required=(BY_WEB,)),
    ),
    ConfigMapProjection: case(
        ConfigMapProjection(config_map="theme"), Shop.projects, config_map="colours", keys=("blue",)
    ),
    Csi: case(
        Csi(mount_path="/csi", driver="csi.example.com"),
        Shop.mounts,
        name="store",
        mount_path="/store",
        driver="csi.example.net",
        attributes=(("class", "shop"),),
        read_only=False,
    ),
    DownwardApiProjection: case(
        DownwardApiProjection(path="labels", field_path="metadata.labels"),
        Shop.projects,
        path="annotations",
        field_path="metadata.annotations",
    ),
    ExistingClaim: case(
        ExistingClaim(mount_path="/data", claim="archive", size="1Gi"),
        lambda shop, claim: (shop.mounts(claim), shop.fits(PLENTY))[1],
        name="archive",
        mount_path="/archive",
        claim="attic",
        size="2Gi",
        access_mode="ReadOnlyMany",
    ),
    ExistingConfigMap: case(
        ExistingConfigMap(mount_path="/theme", config_map="theme"),
        Shop.mounts,
        name="colours",
        mount_path="/colours",
        config_map="colours",
        keys=("blue",),
    ),
    ExistingSecret: case(
        ExistingSecret(mount_path="/keys", secret="keys"),
        Shop.mounts,
        name="partner",
        mount_path="/partner",
        secret="partner",
        keys=("tls.key",),
    ),
    LabelSelectorRequirement: case(
        LabelSelectorRequirement(key="colour", operator="Exists"),
        lambda shop, requirement: shop.runs_beside(replace(BY_WEB, match_expressions=(requirement,))),
        key="paint",
        operator="DoesNotExist",
        values=Given(("blue",), {"operator": "In", "values": ("green",)}),
    ),
    NodeAffinity: case(
        NodeAffinity(),
        lambda shop, affinity: shop.is_drawn_to(Affinity(node_affinity=affinity)),
        required=(ON_SSD_ONLY,),
        preferred=(PreferredSchedulingTerm(weight=1, preference=ON_SSD_ONLY),),
    ),
    NodeSelectorRequirement: case(ON_SSD, Shop.runs_on, key="storage", operator="NotIn", values=("hdd",)),
    NodeSelectorTerm: case(
        ON_SSD_ONLY,
        lambda shop, term: shop.is_drawn_to(Affinity(node_affinity=NodeAffinity(required=(term,)))),
        match_expressions=ON_HDD_ONLY.match_expressions,
    ),
    Patch: case(
        Patch(kind="Service", operation="replace", path="/spec/ports/0/port", value=81, because="It is a test."),
        Shop.patches,
        kind=Refused("Deployment", "There is no /spec/ports"),
        name=Refused("shop-other", "Give one that there is"),
        operation=Refused("add", "It is 8000 already"),
        since=Refused("1.27", "Leave it out"),
        path="/spec/ports/1/port",
        value=82,
    ),
    Placement: case(
        Placement(),
        Shop.places,
        node_selector=(("disk", "ssd"),),
        tolerations=(Toleration(key="dedicated", value="shop"),),
        affinity=Affinity(pod_affinity=PodAffinity(required=(BY_WEB,))),
        runtime_class="gvisor",
    ),
    PodAffinity: case(
        PodAffinity(),
        lambda shop, affinity: shop.is_drawn_to(Affinity(pod_affinity=affinity)),
        required=(BY_WEB,),
        preferred=(WeightedPodAffinityTerm(weight=1, pod_affinity_term=BY_WEB),),
    ),
    PodAffinityTerm: case(
        BY_WEB,
        Shop.runs_beside,
        match_labels=BY_API.match_labels,
        match_expressions=(LabelSelectorRequirement(key="colour", operator="Exists"),),
        topology_key="topology.kubernetes.io/zone",
        namespaces=("shop",),
    ),
    PodAntiAffinity: case(
        PodAntiAffinity(),
        lambda shop, affinity: shop.is_drawn_to(Affinity(pod_anti_affinity=affinity)),
        required=(BY_WEB,),
        preferred=(WeightedPodAffinityTerm(weight=1, pod_affinity_term=BY_WEB),),
    ),
    PodExtras: case(
        PodExtras(),
        lambda shop, extras: shop.watched(shop.adds(extras)),
        metrics=(MetricsEndpoint(port="http"),),
        labels=(("team", "shop"),),
        annotations=(("example.com/note", "first"),),
        pod_labels=(("team", "shop"),),
        pod_annotations=(("example.com/note", "first"),),
        account_annotations=(("example.com/role", "reader"),),
        placement=Placement(runtime_class="gvisor"),
        sidecars=(SIDECAR,),
        init_containers=(replace(SIDECAR, name="first"),),
        volumes=(Scratch(),),
        ports=(Port(name="metrics", number=9100),),
        image_pull_policy="Always",
        image_pull_secrets=("registry",),
        patches=(
            Patch(
                kind="Deployment",
                operation="add",
                path="/spec/template/spec/dnsPolicy",
                value="Default",
                because="It is a test.",
            ),
        ),
    ),
    PodSecurityException: case(
        PodSecurityException(workload="shop-host", level="privileged", because="It is a test."),
        Shop.excepts,
        workload=Refused("shop-extra", "no pod is run by it"),
        level=Refused("baseline", "has hostPort 8000"),
    ),
    PreferredSchedulingTerm: case(
        PreferredSchedulingTerm(weight=1, preference=ON_SSD_ONLY),
        lambda shop, term: shop.is_drawn_to(Affinity(node_affinity=NodeAffinity(preferred=(term,)))),
        weight=2,
        preference=ON_HDD_ONLY,
    ),
    Projected: case(
        Projected(mount_path="/all", sources=(ConfigMapProjection(config_map="theme"),)),
        Shop.mounts,
        name="all",
        mount_path="/everything",
        sources=(ServiceAccountTokenProjection(audience="vault"),),
    ),
    SecretFiles: case(
        SHOWN,
        Shop.shows_keys,
        name="keys",
        mount_path="/secrets",
        secret="shop-two",
        keys=("first",),
        paths=Given(("one.key",), {"keys": ("first",)}),
    ),
    SecretProjection: case(SecretProjection(secret="shop-one"), Shop.projects, secret="shop-two", keys=("first",)),
    ServiceAccountTokenProjection: case(
        ServiceAccountTokenProjection(audience="vault"),
        Shop.projects,
        audience="cloud",
        path="vault-token",
        expiration_seconds=601,
    ),
    Toleration: case(
        Toleration(key="dedicated", effect="NoExecute"),
        lambda shop, toleration: shop.places(Placement(tolerations=(toleration,))),
        key="reserved",
        operator="Exists",
        value="shop",
        effect="NoSchedule",
        toleration_seconds=60,
    ),
    WeightedPodAffinityTerm: case(
        WeightedPodAffinityTerm(weight=1, pod_affinity_term=BY_WEB),
        lambda shop, term: shop.is_drawn_to(Affinity(pod_affinity=PodAffinity(preferred=(term,)))),
        weight=2,
        pod_affinity_term=BY_API,
    ),
    Alert: case(
        Alert(
            name="ShopClosed",
            expression="shop_open == 0",
            for_minutes=5,
            severity=Severity.PAGE,
            summary="The shop is closed",
            description="Nobody can buy.",
        ),
        lambda shop, alert: shop.watched(Signalling(shop.phase, alerts=(alert,))),
        name="StoreClosed",
        expression="store_open == 0",
        for_minutes=6,
        severity=Severity.TICKET,
        summary="The store is closed",
        description="Nobody can sell.",
    ),
    AlertmanagerSettings: case(
        TOLD,
        Shop.tells,
        page=Webhook(),
        ticket=Webhook(),
        watchdog=Webhook(),
        image=OTHER_IMAGE,
        compute=LARGE,
        storage=Claim(mount_path="/alertmanager", size="1Gi"),
        wait_seconds=61,
        repeat_hours=13,
        name="alarms",
        availability=URGENT,
        extras=MORE,
    ),
    AlloySettings: case(
        AlloySettings(),
        lambda shop, settings: Alloy(shop.phase, settings, LOGS),
        image=OTHER_IMAGE,
        compute=LARGE,
        name="collector",
        availability=URGENT,
        extras=MORE,
    ),
    ApiAccess: case(
        READING,
        Shop.asks_api,
        because="It is another test.",
        rules=(ApiRule(resources=("services",)),),
        cluster_rules=(ApiRule(resources=("nodes",)),),
    ),
    ApiRule: case(
        PODS,
        lambda shop, rule: shop.asks_api(replace(READING, rules=(rule,))),
        resources=("services",),
        groups=("apps",),
        verbs=("get",),
    ),
    ApiServer: case(
        ApiServer(),
        lambda _, server: Shop(replace(SHOP, api_server=server)).asks_api(READING),
        peers=(ELSEWHERE,),
        ports=(6443,),
    ),
    BlackboxSettings: case_of(
        lambda _: BlackboxSettings(),
        lambda shop, settings: shop.checks_outside(settings),
        image=OTHER_IMAGE,
        compute=LARGE,
        public_address=PublicAddress(),
        timeout_seconds=6,
        name="prober",
        availability=URGENT,
        extras=MORE,
    ),
    HttpCheck: case_of(
        lambda shop: HttpCheck(name="web", target=Target(workload=shop.web), path="/health"),
        lambda shop, check: shop.checks(BlackboxSettings(), check),
        name="shop",
        target=lambda shop: Target(workload=shop.api),
        path="/ready",
        condition="body.open",
    ),
    InClusterLoki: case(
        InClusterLoki(),
        Shop.collects,
        loki=LokiSettings(retention_days=3),
        alloy=AlloySettings(name="collector"),
        priority_class="urgent",
    ),
    InClusterPrometheus: case(
        InClusterPrometheus(),
        Shop.measures,
        prometheus=PrometheusSettings(retention_days=16),
        kube_state_metrics=None,
        blackbox=None,
        alertmanager=TOLD,
        priority_class="urgent",
    ),
    KubeStateMetricsSettings: case(
        KubeStateMetricsSettings(),
        lambda shop, settings: shop.watched(KubeStateMetrics(shop.phase, settings)),
        image=OTHER_IMAGE,
        compute=LARGE,
        name="objects",
        availability=URGENT,
        extras=MORE,
    ),
    Kubelet: case(
        Kubelet(),
        lambda shop, kubelet: Prometheus(shop.phase, PrometheusSettings(kubelet=kubelet)),
        nodes=(ELSEWHERE,),
    ),
    LogDestination: case_of(
        lambda shop: replace(LOGS, secret=shop.secret("logs", "password")),
        Shop.sends,
        url="https://logs.example.net/loki/api/v1/push",
        reached=lambda shop: Target(workload=shop.web),
        username="shop",
        secret=None,
        tenant="shop",
        namespace_label=True,
    ),
    LokiSettings: case(
        LokiSettings(),
        lambda shop, settings: Loki(shop.phase, settings),
        image=OTHER_IMAGE,
        compute=LARGE,
        storage=Claim(mount_path="/loki", size="2Gi"),
        retention_days=3,
        rate_kib=17,
        name="lines",
        availability=URGENT,
        extras=MORE,
    ),
    MetricsEndpoint: case(
        MetricsEndpoint(port="http"),
        lambda shop, endpoint: shop.watched(shop.adds(PodExtras(metrics=(endpoint,)))),
        port="admin",
        path="/figures",
        interval_seconds=60,
        honor_labels=True,
        certificate=Refused("shop-web-tls", "which nothing provides"),
    ),
    MonitorsSettings: case(
        MonitorsSettings(),
        lambda shop, settings: shop.measures(PrometheusOperator(monitors=settings)),
        labels=(("release", "stack"),),
        prometheus=ELSEWHERE,
        interval_seconds=60,
        runbooks="https://example.com/runbooks",
        cluster_metrics=False,
    ),
    NoLogs: case(NoLogs(), Shop.collects),
    NoMetrics: case(NoMetrics(), Shop.measures),
    PagerDuty: case(PagerDuty(), lambda shop, page: shop.tells(replace(TOLD, page=page)), peer=ELSEWHERE),
    PostgresExporter: case(
        PostgresExporter(),
        lambda shop, exporter: shop.postgres(
            replace(POSTGRES, exporter=exporter, databases=(*POSTGRES.databases, Database(name="store", roles=("a",))))
        ),
        image=OTHER_IMAGE,
        compute=LARGE,
        database="store",
    ),
    PrometheusOperator: case(
        PrometheusOperator(),
        Shop.measures,
        monitors=MonitorsSettings(interval_seconds=60),
        kube_state_metrics=KubeStateMetricsSettings(),
        blackbox=None,
        priority_class="urgent",
    ),
    PublicAddress: case(
        PublicAddress(),
        lambda shop, address: shop.checks_outside(BlackboxSettings(public_address=address)),
        listeners=(Listener(peer=ELSEWHERE, port=443),),
    ),
    PrometheusSettings: case(
        PrometheusSettings(),
        lambda shop, settings: Prometheus(shop.phase, settings),
        image=OTHER_IMAGE,
        compute=LARGE,
        storage=Claim(mount_path="/prometheus", size="1Gi"),
        retention_days=16,
        interval_seconds=60,
        runbooks="https://example.com/runbooks",
        kubelet=None,
        name="figures",
        availability=URGENT,
        extras=MORE,
    ),
    ShippedLogs: case(
        ShippedLogs(url=LOGS.url),
        Shop.collects,
        url="https://logs.example.net/loki/api/v1/push",
        peer=ELSEWHERE,
        username="shop",
        tenant="shop",
        alloy=AlloySettings(name="collector"),
        priority_class="urgent",
    ),
    RoleConnections: case(
        RoleConnections(role="shop", most=2),
        lambda shop, one: shop.postgres(replace(TWO_ROLES, connections=(one,))),
        role="audit",
        most=1,
    ),
    RedisUser: case(
        CARTS,
        lambda shop, user: shop.redis(replace(REDIS, users=(user,))),
        name="default",
        keys=("cart:?",),
        commands=("get",),
        without_password_because=Given("It is a test.", {"name": "default"}),
    ),
    RedisExporter: case(
        RedisExporter(),
        lambda shop, exporter: shop.redis(replace(REDIS, exporter=exporter)),
        image=OTHER_IMAGE,
        compute=LARGE,
    ),
    Age: case(
        SEALED_TO,
        lambda shop, age: shop.backs_up(replace(NIGHTLY, encryption=age, drill=RestoreDrill())),
        recipients=("age1dhtsrykwu8y20955233xklcz7jkmh72umvnh8hezn6svqct4g9ls0rcdk4",),
        image=OTHER_IMAGE,
        program="/bin/age",
        secret="opens-backups",
    ),
    Backup: case(
        NIGHTLY,
        Shop.backs_up,
        target=ClaimTarget(size="2Gi"),
        schedule=Schedule(cron="31 2 * * *"),
        compute=LARGE,
        deadline_seconds=601,
        least_percent=0,
        encryption=SEALED_TO,
        drill=RestoreDrill(),
        priority_class="urgent",
        extras=MORE,
    ),
    BackupProgram: case(
        BackupProgram(image=IMAGE, user=User(uid=1000, gid=1000), files=(TAKEN, TRIED)),
        lambda shop, program: StoreBackup(
            shop.phase, shop.web, "http", replace(NIGHTLY, drill=RestoreDrill()), program
        ),
        image=OTHER_IMAGE,
        user=User(uid=1001, gid=1001),
        files=(TAKEN, replace(TRIED, content="exit 2")),
        variables=HINT,
        trial=HINT,
        volumes=(Scratch(name="more", mount_path="/more"),),
    ),
    ClaimTarget: case(
        ClaimTarget(size="1Gi"),
        lambda shop, target: shop.backs_up(replace(NIGHTLY, target=target)),
        size="2Gi",
        storage_class="fast",
        retention=Retention(daily=8),
    ),
    RestoreDrill: case(
        RestoreDrill(),
        lambda shop, drill: shop.backs_up(replace(NIGHTLY, drill=drill)),
        schedule=Schedule(cron="0 5 * * 0"),
        scratch="3Gi",
        compute=LARGE,
        deadline_seconds=601,
    ),
    Retention: case(
        Retention(),
        lambda shop, retention: shop.backs_up(Backup(target=ClaimTarget(size="1Gi", retention=retention))),
        daily=8,
        weekly=5,
        monthly=7,
    ),
    S3Target: case(
        ELSEWHERE_KEPT,
        lambda shop, target: shop.backs_up(replace(NIGHTLY, target=target)),
        host="s3.example.org",
        port=8443,
        peer=ELSEWHERE,
        bucket="more-backups",
        prefix="prod/",
        secret="bucket",
        scratch="3Gi",
        image=OTHER_IMAGE,
        http_because="It is a test.",
    ),
    Schedule: case(
        Schedule(cron="30 2 * * *"),
        lambda shop, schedule: Task(shop.phase, TaskSettings(name="clean", container=SIDECAR, schedule=schedule)),
        cron="31 2 * * *",
        time_zone="Europe/Berlin",
        starting_deadline_seconds=3601,
        keep_succeeded=2,
        keep_failed=2,
    ),
    Slack: case(
        Slack(channel="#shop"),
        lambda shop, ticket: shop.tells(replace(TOLD, ticket=ticket)),
        channel="#store",
        peer=ELSEWHERE,
    ),
    Webhook: case(Webhook(), lambda shop, page: shop.tells(replace(TOLD, page=page)), peer=ELSEWHERE, port=8443),
}

ONLY_READ = {
    (Target, "watched"): "who only watches a store is no client of it, for the operator's commands",
    (IssuedKey, "issued_by"): "people read it in the table of Secrets and when they are asked for the value",
    (S3Target, "issued_by"): "people read it as they read IssuedKey.issued_by (test_bucket_backup.py)",
    (RandomKey, "form"): "it is how the value is made, and no value is rendered",
    (WorkloadSettings, "answer_seconds"): "it says what is checked (test_languages.py)",
    (BuiltImage, "dockerfile"): "the operator's commands build it (test_operations.py)",
    (BuiltImage, "build_context"): "the operator's commands build in it (test_operations.py)",
    (Patch, "because"): "people read it where patches are listed (test_extras.py)",
    (PodSecurityException, "because"): "people read it where exceptions are listed (test_extras.py)",
    (NoProbes, "because"): "people read it where exceptions are listed (test_extras.py)",
    (ApplicationSettings, "pod_templates"): "it says what is checked (test_tree.py)",
    (PodTemplatePath, "kind"): "it says what is checked (test_tree.py)",
    (PodTemplatePath, "path"): "it says what is checked (test_tree.py)",
    (SystemPods, "name"): "people read it, and no pod of the system is ours",
    (WorkloadSettings, "ipv4_only"): "it says which Service another platform gives it (test_platforms.py)",
    (Platform, "requests"): "it says what is checked (test_platforms.py)",
    (RequestRules, "cpu"): "it says what is checked (test_platforms.py)",
    (RequestRules, "memory"): "it says what is checked (test_platforms.py)",
    (RequestRules, "least_memory_per_cpu"): "it says what is checked (test_platforms.py)",
    (RequestRules, "most_memory_per_cpu"): "it says what is checked (test_platforms.py)",
    (External, "name"): "people read it in the topology and in refusals, and Kubernetes has no place for it",
    (ModelProviderSettings, "name"): "people read it in the topology and in refusals, as that of an External",
}
"""Fields that change no manifest, each with the reason; a test shows what they do change."""

EXTENDED: set[type[DataclassInstance]] = {
    PodOptions,
    PodSettings,
    WorkloadOptions,
    TaskOptions,
    MeshSettings,
    Runtime,  # type: ignore[type-abstract]
    Volume,  # type: ignore[type-abstract]
}
"""Classes that only others extend: their fields are shown by those."""

ANSWERS: set[type[DataclassInstance]] = {SecretEntry, Share}
"""Classes that are returned and never given."""

MOVED: set[type[DataclassInstance]] = {Content, Count, Owner, Part, Place, Rotation, Row, Server}
"""Classes that moves of data know, and nothing that is rendered (test_stores.py, test_data_moves.py)."""

CLASSES: list[type[DataclassInstance]] = [
    found
    for found in (getattr(mcpmesh_k8s, name) for name in mcpmesh_k8s.__all__)
    if isinstance(found, type) and is_dataclass(found)
]
GIVEN = [cls for cls in CLASSES if cls not in EXTENDED | ANSWERS | MOVED]


def the_case(cls: type[DataclassInstance]) -> Case:
    assert cls in CASES, f"say in CASES where an application uses a {cls.__name__}"
    return CASES[cls]


@cache
def usual(cls: type[DataclassInstance]) -> list[Manifest]:
    """What an application becomes with the case's own value."""
    return the_case(cls).render({})


@cache
def value_of(cls: type[DataclassInstance]) -> DataclassInstance:
    return the_case(cls).value(Shop())


def fields_of(cls: type[DataclassInstance]) -> list[str]:
    """Those that an application gives."""
    return [field.name for field in fields(cls) if (cls, field.name) not in ONLY_READ]


@at_each("cls", GIVEN, (cls.__name__ for cls in GIVEN))
def test_every_field_has_another_value_to_be_tried_with(cls: type[DataclassInstance]) -> None:
    missing = set(fields_of(cls)) - set(the_case(cls).changes)
    assert not missing, f"say in CASES which other value of {cls.__name__} changes what is rendered: {missing}"


@pytest.mark.parametrize("cls", grid(GIVEN, short=GIVEN[::2]))
def test_every_field_changes_what_is_rendered_or_refuses_it(cls: type[DataclassInstance]) -> None:
    case = the_case(cls)

    def changes(field: str) -> None:
        change = case.changes[field]
        if isinstance(change, Refused):
            assert usual(cls), "nothing is rendered in any case"
            with pytest.raises((SettingError, TreeError), match=re.escape(change.words)):
                case.render({field: change.value})
        elif isinstance(change, Given):
            assert case.render({**change.others, field: change.value}) != case.render(change.others)
        else:
            assert case.render({field: change}) != usual(cls)

    try_each((f"{cls.__name__}.{name}", partial(changes, name)) for name in fields_of(cls))


@pytest.mark.parametrize("cls", grid(GIVEN, short=GIVEN[::20]))
def test_equal_values_render_equal_manifests(cls: type[DataclassInstance]) -> None:
    """Without it, any change would seem to change something."""
    assert the_case(cls).render({}) == usual(cls)


def test_no_case_is_left_of_a_class_or_a_field_that_is_gone() -> None:
    known = {(cls, field.name) for cls in CLASSES for field in fields(cls)}
    assert {(cls, field) for cls, case in CASES.items() for field in case.changes} | set(ONLY_READ) <= known
    assert set(CASES) | EXTENDED | ANSWERS | MOVED == set(CLASSES)


def test_a_class_without_a_case_is_the_base_of_those_that_have_one() -> None:
    for base in EXTENDED:
        assert any(base in cls.__mro__ for cls in CASES), base


def test_where_a_value_comes_from_is_told_with_the_key() -> None:
    origins = (
        IssuedKey(key="token", issued_by="Acme"),
        IssuedKey(key="token", issued_by="Acme, console.example.com"),
        RandomKey(key="token"),
        RandomKey(key="token", form=KeyForm.URL_SAFE_BASE64),
    )
    for origin in origins:
        (entry,) = Application.of(Shop().keeps(origin)).secret_keys()
        assert entry.origin == origin


def test_the_name_of_an_external_is_in_the_topology_and_in_refusals() -> None:
    for name in ("partner", "supplier"):
        external = replace(PARTNER, name=name)
        client = Shop().dials(external)
        assert f"extra -->|443| outside-{name}\n" in topology(client.application)
        with pytest.raises(SettingError, match=f"'{name}' was given"):
            client.connects_to(external)


# --- values ---


def for_each_value(holds: Callable[[DataclassInstance], object]) -> None:
    """Try the value of every case."""
    try_each((cls.__name__, lambda cls=cls: holds(value_of(cls))) for cls in GIVEN)  # type: ignore[misc]


def test_a_value_is_of_the_class_that_its_case_is_about() -> None:
    assert [cls for cls in GIVEN if type(value_of(cls)) is not cls] == []


def test_no_field_can_be_assigned() -> None:
    def is_frozen(value: DataclassInstance) -> None:
        for name in [*(field.name for field in fields(value)), "another"]:
            with pytest.raises(FrozenInstanceError):
                setattr(value, name, None)

    for_each_value(is_frozen)


def test_no_time_is_longer_than_a_program_counts() -> None:
    """A unit at the end of a field's name says that it is one. Programs of Go end after 292 years."""
    years = {"seconds": 31_536_000, "minutes": 525_600, "hours": 8760, "days": 365}

    def ends(value: DataclassInstance) -> None:
        for field in fields(value):
            unit = years.get(field.name.rpartition("_")[2])
            if unit and isinstance(getattr(value, field.name), int):
                with pytest.raises(SettingError, match=str(292 * unit)):
                    replace(value, **{field.name: 292 * unit})

    for_each_value(ends)


def test_fields_are_given_by_name() -> None:
    assert [(cls, field.name) for cls in GIVEN for field in fields(cls) if not field.kw_only] == []


def test_equal_fields_make_equal_values_with_equal_hashes() -> None:
    def equals(value: DataclassInstance) -> None:
        again = replace(value)
        assert again is not value
        assert again == value
        assert hash(again) == hash(value)

    for_each_value(equals)


def test_a_value_with_any_other_field_is_another_value() -> None:
    def differs(value: DataclassInstance) -> None:
        for field in fields(value):
            other = copy.copy(value)
            object.__setattr__(other, field.name, object())
            assert other != value, field.name

    for_each_value(differs)


def test_a_value_prints_its_class_and_all_of_its_fields() -> None:
    def prints(value: DataclassInstance) -> None:
        shown = repr(value)
        assert shown.isprintable()
        assert shown.startswith(f"{type(value).__name__}(")
        for field in fields(value):
            assert f"{field.name}={getattr(value, field.name)!r}" in shown

    for_each_value(prints)
