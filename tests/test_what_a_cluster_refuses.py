"""What an API server, a kubelet or a program of the application would refuse or misread is refused when it is given.

Each was accepted once, and the API server of Kubernetes 1.34, containerd's grammar of names, nginx or the registry
itself said no to what was rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import at_each
from mcpmesh_k8s import (
    AddressRange,
    Agent,
    AgentSettings,
    Alertmanager,
    ApiSettings,
    Application,
    ApplicationSettings,
    Audience,
    Availability,
    Backup,
    BackupProgram,
    Bucket,
    BucketSettings,
    Budget,
    BuiltImage,
    CertManager,
    Claim,
    ClaimTarget,
    Component,
    Compute,
    ConfigMapKey,
    ConfigMapProjection,
    Container,
    Csi,
    Dashboards,
    DashboardsSettings,
    Database,
    DevIdentity,
    DownwardApiProjection,
    Exec,
    ExistingConfigMap,
    ExistingSecrets,
    Exposure,
    External,
    ExternalSecrets,
    File,
    Files,
    Gateway,
    GatewayApiExposure,
    GatewaySettings,
    GitHub,
    Google,
    Grafana,
    HostNetwork,
    HttpGet,
    IdentityHeaders,
    Image,
    IngressExposure,
    IngressNginx,
    Internet,
    IssuedKey,
    Limits,
    LogDestination,
    Longhorn,
    Manifest,
    Mesh,
    MeshRelease,
    Minio,
    MinioSettings,
    ModelProvider,
    ModelProviderSettings,
    ModelVendor,
    MonitorsSettings,
    Namespace,
    NamespacePods,
    NamespaceSettings,
    Nodes,
    NoLogin,
    NoProbes,
    OAuth2Proxy,
    OAuth2ProxySettings,
    OtherController,
    Phase,
    PodExtras,
    Port,
    Postgres,
    PostgresSettings,
    Probe,
    Projected,
    PrometheusSettings,
    RandomKey,
    RateLimit,
    Readiness,
    Redis,
    RedisSettings,
    Registry,
    RegistrySettings,
    Replicas,
    RestoreDrill,
    Route,
    S3Media,
    S3Storage,
    S3Target,
    Schedule,
    Scratch,
    Secret,
    SecretFiles,
    SecretKey,
    SecretSettings,
    ServiceAccountTokenProjection,
    SettingError,
    ShippedLogs,
    SpanMetrics,
    StatefulWorkload,
    StoreBackup,
    Target,
    TcpSocket,
    Tls,
    TraceLimits,
    Traefik,
    TreeError,
    User,
    Variable,
    Workload,
    WorkloadSettings,
    images,
    synthesize,
    variables,
)
from mcpmesh_k8s.kubernetes.api import to_json
from registry_room import ROOM
from test_settings import GRAFANA, LOGIN, MINIO, POSTGRES, REDIS, TOLD

SMALL = Compute(cpu="100m", memory="256Mi")
PODS = NamespacePods(namespace="haproxy")


def dialled(host: str) -> External:
    """An API of others."""
    return External(name="API", hosts=(host,), peer=Internet())


def gateway_at(host: str) -> GatewaySettings:
    """A gateway that people reach by a name."""
    return GatewaySettings(image=images.OPENRESTY, compute=SMALL, host=host)


CODE = BuiltImage(image=Image(repository="acme/prices", tag="1.4.2"))
PRICES = AgentSettings(name="prices", code=CODE, compute=SMALL, module="prices")
WEB = Container(name="web", image=CODE.image, user=User(uid=1000, gid=1000), compute=SMALL)
ASKED = replace(WEB, probes=NoProbes(because="It is none of this test."))

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "an address that is no network": (
        lambda: AddressRange(cidr="203.0.113.7"),
        "Give a network with its length: 203.0.113.7/32.",
    ),
    "one of IPv6": (lambda: AddressRange(cidr="2001:db8::1"), "2001:db8::1/128"),
    "one that is left out": (
        lambda: AddressRange(cidr="10.0.0.0/8", without=("10.1.2.3",)),
        "AddressRange.without: '10.1.2.3'",
    ),
    "a node without a length": (lambda: HostNetwork(ranges=("10.0.0.7",)), "HostNetwork.ranges: '10.0.0.7'"),
    "an address with a zone": (lambda: AddressRange(cidr="fe80::%eth0/64"), "fe80::/64"),
    "a class that is none": (lambda: OtherController(ingress_class="", peer=PODS), "OtherController.ingress_class: ''"),
    "a class in capitals": (lambda: Traefik(ingress_class="Traefik"), "Traefik.ingress_class: 'Traefik'"),
    "a class with a space": (lambda: IngressNginx(ingress_class="nginx internal"), "IngressNginx.ingress_class"),
    "a listener that is none": (
        lambda: GatewayApiExposure(parent="shared", parent_namespace="infra", section="HTTPS", peer=PODS),
        "GatewayApiExposure.section: 'HTTPS'",
    ),
    "a million CPUs for a thousandth": (
        lambda: Compute(cpu="1", memory="1Gi", cpu_limit="500M"),
        "'m' is a thousandth",
    ),
    "a part of an image that begins with a dash": (
        lambda: Image(repository="acme/-prices", tag="1.0.0"),
        "Image.repository",
    ),
    "two dots in an image": (lambda: Image(repository="acme/a..b", tag="1.0.0"), "Image.repository"),
    "a port in the middle of an image": (lambda: Image(repository="a/b:5000/c", tag="1.0.0"), "Image.repository"),
    "a long image": (lambda: Image(repository="acme/" + "x" * 251, tag="1.0.0"), "at most 255"),
    "a file whose name is no key": (
        lambda: File(path="x" * 254, content=""),
        "it has 254 characters; give at most 253",
    ),
    "a file whose name has two lines": (lambda: File(path="a\nb", content=""), "File.path"),
    "a Secret that cannot be": (lambda: SecretKey(secret="Not A Name", key="uri", existing=True), "SecretKey.secret"),
    "a key of a Secret that cannot be": (
        lambda: SecretKey(secret="shop-app", key="a/b", existing=True),
        "SecretKey.key",
    ),
    "a ConfigMap that cannot be": (lambda: ConfigMapKey(config_map="Regions", key="home"), "ConfigMapKey.config_map"),
    "a key of a ConfigMap that cannot be": (lambda: ConfigMapKey(config_map="regions", key=""), "ConfigMapKey.key"),
    "a key that leads out of its folder": (lambda: ConfigMapKey(config_map="regions", key="..x"), "ConfigMapKey.key"),
    "the cluster's own namespace": (
        lambda: ApplicationSettings(name="shop", namespace="kube-system"),
        "It is the cluster's own",
    ),
    "the namespace of those that name none": (lambda: ApplicationSettings(name="default"), "namespace: 'default'"),
    "an annotation that is none": (
        lambda: IngressExposure(controller=Traefik(), tls=Tls(secret="x"), annotations=(("a key", "value"),)),
        "IngressExposure.annotations key: 'a key'",
    ),
    "a backup without its script": (
        lambda: BackupProgram(image=Image(repository="acme/x", tag="1.0.0"), user=User(uid=1, gid=1), files=()),
        "Give File(path='take.sh', content=…)",
    ),
    "an external of two lines": (lambda: External(name="a\nb", peer=Internet()), "External.name"),
    "an external without a name": (lambda: External(name=" ", peer=Internet()), "External.name"),
    "a URL for a host": (lambda: dialled("https://api.example.com"), "External.hosts of 'API'"),
    "a host with its port": (lambda: dialled("api.example.com:8443"), "The port is `port`"),
    "a host with its last dot": (lambda: dialled("api.example.com."), "last dot"),
    "a host in capitals": (lambda: dialled("API.example.com"), "in lower case"),
    "a host that is too long": (lambda: dialled(f"{'x' * 64}.example.com"), "External.hosts of 'API'"),
    "one whose parts are not": (lambda: dialled(".".join(["abcdefg"] * 40)), "External.hosts of 'API'"),
    "a Service that would be on the internet": (
        lambda: dialled("vllm.models.svc.cluster.local"),
        "External.peer of 'API': 'Internet()' was given. vllm.models.svc.cluster.local is not on the internet, and no "
        "policy would lead there. Give NamespacePods(namespace='models').",
    ),
    "a private address that would be there": (
        lambda: dialled("10.1.2.3"),
        "10.1.2.3 is not on the internet, and no policy would lead there. Give AddressRange(cidr='10.1.2.3/32').",
    ),
    "one of IPv6 that would": (lambda: dialled("[fd00::7]"), "Give AddressRange(cidr='fd00::7/128')."),
    "a model on a port that is none": (
        lambda: ModelProviderSettings(name="vllm", vendor=ModelVendor.OPENAI, base_url="http://vllm.models:99999/v1"),
        "Give a URL that can be: Port out of range",
    ),
    "an address that people would type": (lambda: gateway_at("10.0.0.1"), "GatewaySettings.host: '10.0.0.1'"),
    "a name that is too long": (lambda: gateway_at(".".join(["abcdefg"] * 40)), "GatewaySettings.host"),
    "a part of it that is": (lambda: gateway_at(f"{'x' * 64}.example.com"), "GatewaySettings.host"),
    "a bucket with two dots": (lambda: BucketSettings(image=images.MINIO_CLIENT, bucket="a..b"), "single '.'"),
    "a bucket with a dot and a dash": (lambda: S3Media(host="s3.example.com", bucket="a.-b"), "S3Media.bucket: 'a.-b'"),
    "a bucket that is an address": (lambda: S3Storage(bucket="10.0.0.1"), "S3Storage.bucket: '10.0.0.1'"),
    "one of backups": (lambda: S3Target(host="s3.example.com", bucket="A"), "S3Target.bucket: 'A'"),
    "an organization with its address": (
        lambda: GitHub(organization="https://github.com/acme"),
        "Give its name as in github.com/<name>",
    ),
    "a folder of the kernel": (lambda: Scratch(mount_path="/proc/acme"), "Scratch.mount_path of 'tmp': '/proc/acme'"),
    "a label that no pod has": (
        lambda: DownwardApiProjection(path="app", field_path="metadata.labels['my app']"),
        "DownwardApiProjection.field_path: 'my app'",
    ),
    "a file where another has a folder": (
        lambda: Files(mount_path="/etc/x", files=(File(path="a", content="1"), File(path="a/b", content="2"))),
        "It is a folder, too, by 'a/b'",
    ),
    "the same of a Secret": (
        lambda: SecretFiles(mount_path="/etc/x", secret="s", keys=("a", "b"), paths=("a", "a/b/c")),
        "It is a folder, too, by 'a/b/c'",
    ),
    "the same of several sources": (
        lambda: Projected(
            mount_path="/etc/x",
            sources=(
                ConfigMapProjection(config_map="c", keys=("a",)),
                ServiceAccountTokenProjection(audience="v", path="a/b"),
            ),
        ),
        "It is a folder, too, by 'a/b'",
    ),
    "a file that is a folder": (lambda: File(path="conf/", content=""), "File.path: 'conf/'"),
    "a server of no database": (
        lambda: PostgresSettings(image=images.POSTGRES, compute=SMALL, size="5Gi", databases=()),
        "PostgresSettings.databases: ()",
    ),
    "a number of seconds that is cut to another": (
        lambda: Probe(check=TcpSocket(), period_seconds=2**31).render(),
        "k8s.Probe.period_seconds: 2147483648 was given. Give a value of type int below 2147483648.",
    ),
    "a variable that cannot be": (
        lambda: replace(PRICES, url_variable="prices-url"),
        "prices url_variable: 'prices-url' was given. Give letters, digits and '_'",
    ),
    "one for the address that people type": (
        lambda: WorkloadSettings(name="web", container=ASKED, public_url_variable="public url"),
        "web public_url_variable: 'public url'",
    ),
    "a variable that ends in its middle": (
        lambda: Variable(name="HINT", value="a\0b"),
        "Variable.value of HINT: 'HINT=a\\x00b' was given. Leave the NUL out",
    ),
    "an argument that does": (lambda: replace(WEB, args=("--a", "\0")), "Container 'web' command and args: '\\x00'"),
    "a command that does": (lambda: replace(WEB, command=("sh\0",)), "Container 'web' command and args"),
    "a question of the kubelet that does": (lambda: Exec(command=("a\0",)), "Exec.command: 'a\\x00'"),
    "one of who waits": (lambda: Readiness(command=("a",), advice="\0"), "Readiness: '\\x00'"),
    "a variable that Linux does not take": (
        lambda: Variable(name="HINT", value="ä" * 65534),
        "Variable.value of HINT: '131073 bytes' was given. Linux takes 131071 at most.",
    ),
    "an argument that it does not take": (lambda: replace(WEB, args=("x" * 131072,)), "'131072 bytes' was given."),
    "a folder of two lines": (lambda: replace(WEB, working_directory="/a\n"), "Container 'web' working_directory"),
    "a path that nobody asks for": (lambda: HttpGet(path="/health\n"), "HttpGet.path: '/health\\n' was given."),
    "a path with a blank": (lambda: HttpGet(path="/my health"), "Give a path without blanks"),
    "a reason of blanks for a root that is written": (
        lambda: replace(WEB, writable_root_because=" "),
        "Container 'web' writable_root_because: ' '",
    ),
    "one for a tag that moves": (
        lambda: Image(repository="acme/x", tag="latest", exact_because="\n"),
        "Image.exact_because of acme/x",
    ),
    "one for keys that anybody sees": (
        lambda: S3Target(host="s3.example.com", bucket="backups", http_because=" "),
        "S3Target.http_because: ' '",
    ),
    "one for nobody who asks": (lambda: NoProbes(because="It is\nso."), "NoProbes.because"),
    "a place in a store of two lines": (
        lambda: ExternalSecrets(store="vault", prefix="shop\n"),
        "ExternalSecrets.prefix: 'shop\\n'",
    ),
    "a name in it": (
        lambda: SecretSettings(name="x", keys=("a",), source=ExistingSecrets(), remote_key=" "),
        "SecretSettings.remote_key of 'x'",
    ),
    "a zone that the machine alone has": (
        lambda: Schedule(cron="0 3 * * *", time_zone="posix/Europe/Berlin"),
        "Schedule.time_zone: 'posix/Europe/Berlin'",
    ),
    "one with leap seconds": (
        lambda: Schedule(cron="0 3 * * *", time_zone="right/Etc/UTC"),
        "Schedule.time_zone: 'right/Etc/UTC'",
    ),
    "the machine's own": (lambda: Schedule(cron="0 3 * * *", time_zone="localtime"), "Schedule.time_zone: 'localtime'"),
    "an hour in the digits of others": (lambda: Schedule(cron="0 \u0663 * * *"), "Schedule.cron hour"),
    "CPU in the digits of others": (lambda: Compute(cpu="\u0663", memory="1Gi"), "Compute.cpu"),
    "more bytes than anybody counts": (lambda: Claim(size="8Ei"), "Claim.size of 'data': '8Ei' was given. Give less"),
    "samples of a thousand years": (
        lambda: PrometheusSettings(retention_days=365_000),
        "PrometheusSettings.retention_days: 365000 was given. Give at most 36500, which is 100 years.",
    ),
    "a certificate of a thousand years": (
        lambda: CertManager(issuer="ca", duration="8760000h"),
        "Give at most '876000h', which is 100 years.",
    ),
    "more connections than nginx takes": (
        lambda: Limits(connections=65536),
        "Limits.connections: 65536 was given. Give 1 to 65535.",
    ),
    "more workers than it starts": (
        lambda: replace(gateway_at("shop.example.com"), workers=1025),
        "GatewaySettings.workers: 1025 was given. Give 1 to 1024.",
    ),
    "more requests than it counts": (lambda: RateLimit(per_second=10**12), "at most 1000000000 of each"),
    "more nodes than a cluster has": (
        lambda: Nodes(count=5001, cpu="4", memory="8Gi", ephemeral_storage="20Gi"),
        "Nodes.count: 5001 was given. Give 1 to 5000",
    ),
    "more copies than Longhorn makes": (lambda: Longhorn(secret="key", replicas=21), "Longhorn.replicas: 21"),
    "more spans than Tempo counts": (
        lambda: TraceLimits(megabytes_per_second=10**13),
        "TraceLimits.megabytes_per_second: 10000000000000 was given. Give 1 to 1000000000.",
    ),
    "more series than it does": (lambda: SpanMetrics(series=2**32), "SpanMetrics.series: 4294967296"),
    "durations without an end": (lambda: SpanMetrics(buckets=(1.0, float("inf"))), "SpanMetrics.buckets: (1.0, inf)"),
    "durations that are no numbers": (lambda: SpanMetrics(buckets=(float("nan"),)), "SpanMetrics.buckets: (nan,)"),
    "a driver that is too long": (lambda: Csi(mount_path="/csi", driver="x" * 64), "Csi.driver"),
    "a store of logs without an address": (
        lambda: LogDestination(url="logs.example.com", reached=dialled("logs.example.com")),
        "LogDestination.url: 'logs.example.com'",
    ),
    "a name that ends before its password": (
        lambda: ShippedLogs(url="https://logs.example.com/push", username="a:b"),
        "ShippedLogs.username: 'a:b'",
    ),
    "a tenant of two lines": (
        lambda: ShippedLogs(url="https://logs.example.com/push", tenant="a\n"),
        "ShippedLogs.tenant: 'a\\n'",
    ),
    "an answer that comes before it is asked for": (
        lambda: WorkloadSettings(name="web", container=ASKED, answer_seconds=-1),
        "web answer_seconds: -1",
    ),
    "a namespace of the mesh that is none": (
        lambda: replace(PRICES, mesh_namespace="My Team"),
        "prices mesh_namespace",
    ),
}


@at_each(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_what_the_cluster_would_not_take_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(SettingError) as refusal:
        make()
    assert said in str(refusal.value)


TAKEN: dict[str, Callable[[], object]] = {
    "a Secret that is named by its host": lambda: Tls(secret="shop.example.com-tls", cluster_issuer="letsencrypt.prod"),
    "a store with a dot": lambda: ExternalSecrets(store="vault.team", prefix="shop"),
    "a registry with a port": lambda: Image(repository="registry.example.com:5000/acme/a__b--c.d", tag="1.0.0"),
    "a registry of one's own machine": lambda: Image(repository="localhost:5000/prices", tag="1.0.0"),
    "an address of IPv6 for a host": lambda: dialled("2001:db8::7"),
    "one address": lambda: AddressRange(cidr="203.0.113.7/32"),
    "a public address": lambda: dialled("8.8.8.8"),
    "a Service that nodes lead to": lambda: External(
        name="API", hosts=("kubernetes.default.svc",), peer=HostNetwork(ranges=("10.0.0.0/24",))
    ),
    "a host with an underscore": lambda: dialled("_dmarc.example.com"),
    "a host of one part": lambda: dialled("vault"),
    "a gateway at the longest part": lambda: gateway_at(f"{'x' * 63}.example.com"),
    "a gateway whose name has digits": lambda: gateway_at("1.2.3.4.nip.io"),
    "a bucket with a dot": lambda: BucketSettings(image=images.MINIO_CLIENT, bucket="media.example.com"),
    "an organization": lambda: GitHub(organization="acme-2"),
    "files in folders": lambda: Files(
        mount_path="/etc/x", files=(File(path="a/b", content="1"), File(path="a/c", content="2"))
    ),
    "a variable of all kinds of text": lambda: Variable(name="HINT", value="Gr\u00fc\u00df\n\t\u4f60\u597d \U0001f44b"),
    "the longest variable": lambda: Variable(name="HINT", value="x" * 131066),
    "a zone that is a rule": lambda: Schedule(cron="0 3 * * *", time_zone="EST5EDT"),
    "a zone of three parts": lambda: Schedule(cron="0 3 * * *", time_zone="America/Argentina/Buenos_Aires"),
    "samples of a hundred years": lambda: PrometheusSettings(retention_days=36500),
    "a claim of petabytes": lambda: Claim(size="2Pi"),
    "the most that nginx takes": lambda: Limits(connections=65535),
    "a store of logs without a name": lambda: ShippedLogs(url="https://logs.example.com/push", tenant="team-a"),
    "a label with a prefix": lambda: DownwardApiProjection(
        path="app", field_path="metadata.labels['app.kubernetes.io/name']"
    ),
}


@at_each("make", TAKEN.values(), ids=TAKEN)
def test_what_it_takes_is_accepted(make: Callable[[], object]) -> None:
    assert make() == make()


# --- a gateway ---


class Shop:
    """A service that people reach, in a namespace that is closed."""

    def __init__(self, folder: Path, mesh: Mesh = Mesh()) -> None:  # noqa: B008
        self.application = Application(ApplicationSettings(name="shop", mesh=mesh), outdir=folder / "shop")
        self.phase = Phase(self.application, "all")
        Namespace(self.phase, NamespaceSettings(budget=Budget(cpu="8", memory="16Gi")))

    def container(self, name: str) -> Container:
        """A program that serves."""
        image, user = Image(repository="acme/web", tag="1.4.2"), User(uid=1000, gid=1000)
        return Container(
            name=name,
            image=image,
            user=user,
            compute=SMALL,
            ports=(Port(number=8000),),
            probes=NoProbes(because="No test starts it."),
        )

    def web(self, **told: str | SecretKey | ConfigMapKey) -> Workload:
        """A service with variables."""
        container = replace(self.container("web"), variables=variables(told))
        return Workload(self.phase, WorkloadSettings(name="web", container=container))

    def gateway(self, *routes: Route, administrators: tuple[str, ...] = ()) -> Gateway:
        """A gateway before which nobody signs in."""
        settings = GatewaySettings(
            image=images.OPENRESTY, compute=SMALL, host="shop.example.com", administrators=administrators
        )
        return Gateway(self.phase, settings, routes, NoLogin())

    def problems(self) -> str:
        """What is wrong with the whole; nothing when it can be written."""
        try:
            self.application.manifests()
        except TreeError as error:
            return str(error)
        return ""


@pytest.mark.parametrize("audience", [Audience.SIGNED_IN, Audience.ADMINISTRATOR])
def test_without_a_login_nothing_is_for_those_who_are_known(tmp_path: Path, audience: Audience) -> None:
    shop = Shop(tmp_path)
    route = Route(path="/", to=shop.web(), audience=audience, rate=RateLimit())
    with pytest.raises(SettingError, match=r"Route '/' audience: .*Give Audience.PUBLIC, or a login"):
        shop.gateway(route)


def test_without_a_login_nobody_is_an_administrator(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    with pytest.raises(SettingError, match=r"GatewaySettings.administrators: .*none of them is ever known"):
        shop.gateway(Route(path="/", to=shop.web(), audience=Audience.PUBLIC), administrators=("me@example.com",))


@pytest.mark.parametrize("audience", [Audience.SIGNED_IN, Audience.ADMINISTRATOR])
def test_what_a_client_writes_in_authorization_is_told_on_no_route_on_which_people_are_known(
    tmp_path: Path, audience: Audience
) -> None:
    web = Shop(tmp_path).web()
    with pytest.raises(SettingError, match=r"Route '/api/' authorization: True .*Give Audience.PUBLIC"):
        Route(path="/api/", to=web, audience=audience, rate=RateLimit(), authorization=True)


@pytest.mark.parametrize("headers", [None, IdentityHeaders(administrator="owner", other="guest")])
def test_who_believes_a_gateway_s_token_is_told_no_token_of_a_client(
    tmp_path: Path, headers: IdentityHeaders | None
) -> None:
    """By another gateway, too: the backend cannot tell them apart. What reads headers does not read a token."""
    shop = Shop(tmp_path)
    container = shop.container("web")
    web = Workload(shop.phase, WorkloadSettings(name="web", container=container, identity_headers=headers))
    known = Route(path="/", to=web, audience=Audience.SIGNED_IN, rate=RateLimit(), hand_over_identity=True)
    settings = GatewaySettings(image=images.OPENRESTY, compute=SMALL, host="shop.local", name="staff", https=False)
    Gateway(shop.phase, settings, [known], DevIdentity(email="me@example.com"))
    shop.gateway(Route(path="/v1/", to=web, audience=Audience.PUBLIC, authorization=True))
    said = (
        "shop-nginx-gateway tells shop-web at '/v1/' what a client writes in Authorization. It believes what a gateway"
    )
    assert (said in shop.problems()) is (headers is None)


def test_a_gateway_without_routes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"Gateway routes: .*Nothing would be served"):
        Shop(tmp_path).gateway()


@pytest.mark.parametrize("path", ["/.", "/./", "/a/./b", "/a/.."])
def test_a_path_that_nginx_never_sees_is_refused(tmp_path: Path, path: str) -> None:
    """It takes such parts out before it looks for a location."""
    shop = Shop(tmp_path)
    with pytest.raises(SettingError, match=r"Route.path"):
        Route(path=path, to=shop.web(), audience=Audience.PUBLIC)


def test_what_nobody_waits_for_or_sends_is_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    page = Route(path="/", to=shop.web(), audience=Audience.PUBLIC)
    with pytest.raises(SettingError, match=r"timeout_seconds: 1000000000000 .*at most 86400"):
        replace(page, timeout_seconds=10**12)
    with pytest.raises(SettingError, match=r"body_mb: 1000000000000 .*at most 1048576"):
        replace(page, body_mb=10**12)


def test_a_host_leads_to_one_gateway_behind_one_controller(tmp_path: Path) -> None:
    """Two Ingresses of one class would both claim it: one is refused by the controller, or either is taken."""
    shop = Shop(tmp_path)
    route = Route(path="/", to=shop.web(), audience=Audience.PUBLIC)
    first = shop.gateway(route)
    second = Gateway(shop.phase, replace(first.settings, name="second"), (route,), NoLogin())
    public = IngressExposure(controller=Traefik(), tls=Tls(secret="shop-tls"))
    Exposure(shop.phase, public, first)
    inside = Traefik(ingress_class="internal", peer=NamespacePods(namespace="traefik-internal"))
    Exposure(shop.phase, replace(public, controller=inside, name="internal"), second)
    with pytest.raises(SettingError, match=r"shop.example.com leads to shop-nginx-gateway there already"):
        Exposure(shop.phase, replace(public, name="again"), second)


def test_a_route_leads_to_what_speaks_http(tmp_path: Path) -> None:
    """A browser that is passed on to PostgreSQL gets nothing."""
    shop = Shop(tmp_path)
    container = replace(shop.container("queue"), ports=(Port(name="amqp", number=5672, scheme="amqp"),))
    queue = Workload(shop.phase, WorkloadSettings(name="queue", container=container))
    with pytest.raises(SettingError, match=r"Route '/' to: 'shop-queue' was given. It speaks amqp"):
        Route(path="/", to=queue, audience=Audience.PUBLIC)


def test_a_route_for_administrators_has_some(tmp_path: Path) -> None:
    """Everyone would be answered with 403."""
    shop = Shop(tmp_path)

    def secret(name: str, *keys: str | IssuedKey | RandomKey) -> Secret:
        return Secret(shop.phase, SecretSettings(name=name, keys=keys, source=ExistingSecrets()))

    settings = OAuth2ProxySettings(
        image=images.OAUTH2_PROXY, compute=SMALL, host="shop.example.com", provider=Google(), email_domains=("*",)
    )
    login = settings.create(shop.phase, secret)
    route = Route(path="/admin/", to=shop.web(), audience=Audience.ADMINISTRATOR, rate=RateLimit())
    with pytest.raises(SettingError, match=r"administrators: \(\) was given. Nobody could use '/admin/'"):
        Gateway(shop.phase, gateway_at("shop.example.com"), [route], login)
    named = replace(gateway_at("shop.example.com"), administrators=("me@example.com",))
    Gateway(shop.phase, named, [route], login)


def test_a_class_is_not_what_it_makes(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    route = Route(path="/", to=shop.web(), audience=Audience.PUBLIC)
    with pytest.raises(SettingError, match=r"Gateway: login: .* Give a Login, not the class NoLogin"):
        Gateway(shop.phase, gateway_at("shop.example.com"), [route], NoLogin)  # type: ignore[arg-type]  # pyright: ignore


def test_what_nobody_uses_is_named(tmp_path: Path) -> None:
    """A key that reaches no agent, and dashboards that nothing shows: each a line that was forgotten."""
    shop = Shop(tmp_path)
    key = SecretKey(secret="shop-claude", key="api-key", existing=True)
    ModelProvider(shop.phase, ModelProviderSettings(name="claude", vendor=ModelVendor.ANTHROPIC), key)
    Dashboards(shop.phase, DashboardsSettings())
    problems = shop.problems()
    assert "shop-claude serves nobody, so its key and the way to it reach none: say to whom, claude.serve(" in problems
    assert "shop-dashboards are shown by a Grafana of the application, and it has none: add Grafana(" in problems


# --- an API service ---


LISTENS = ("main:app", "--host", "0.0.0.0", "--port", "8080")


@pytest.mark.parametrize(
    ("args", "port", "said"),
    [
        (LISTENS, 8080, ""),
        (("main:app", "--host=::", "--port=9000"), 9000, ""),
        (("main:app", "--uds", "/tmp/app.sock"), 8080, ""),
        (LISTENS, 9000, "api port: 9000 was given. By its arguments it listens on 8080."),
        (("main:app", "--host", "0.0.0.0"), 8080, "it listens on 8000"),
        (("main:app", "--port", "8080"), 8080, "It would listen for its own pod alone"),
        (("main:app", "--host", "localhost", "--port", "8080"), 8080, "It would listen for its own pod alone"),
    ],
)
def test_an_api_listens_where_it_is_asked(args: tuple[str, ...], port: int, said: str) -> None:
    """Its pods would never be ready: uvicorn listens on 127.0.0.1:8000 unless it is told."""
    made = "nothing is said"
    try:
        ApiSettings(name="api", code=CODE, compute=SMALL, module="uvicorn", args=args, port=port)
    except SettingError as error:
        made = str(error)
    assert (said or "nothing is said") in made


def test_what_listens_by_its_own_code_is_believed() -> None:
    ApiSettings(name="api", code=CODE, compute=SMALL, module="api", port=9000)
    told = variables({"UVICORN_HOST": "0.0.0.0", "UVICORN_PORT": "9000"})
    ApiSettings(name="api", code=CODE, compute=SMALL, module="uvicorn", args=("a:b",), port=9000, variables=told)


# --- stores ---


def test_who_connects_to_a_bucket_is_its_user(tmp_path: Path) -> None:
    shop = Shop(tmp_path)

    def secret(name: str, *keys: str) -> Secret:
        return Secret(shop.phase, SecretSettings(name=name, keys=keys, source=ExistingSecrets()))

    settings = MinioSettings(image=images.MINIO, compute=SMALL, size="5Gi")
    minio = Minio(shop.phase, settings, secret("minio", *settings.secret_keys))
    keys = secret("media", "access-key", "secret-key")
    bucket = Bucket(shop.phase, BucketSettings(image=images.MINIO_CLIENT, bucket="media"), minio, keys)
    web = shop.web()
    web.connects_to(bucket)
    told = {one.name: one.value for one in web.variables}
    assert told["MINIO_HOST"] == "shop-minio:9000"
    assert told["MINIO_ACCESS_KEY"] == SecretKey(secret="shop-media", key="access-key")
    assert [target.workload for target in web.connections if isinstance(target, Target)] == [minio]
    assert not shop.problems()


def test_a_client_of_postgresql_says_as_whom(tmp_path: Path) -> None:
    """Else it would have a path, and nobody to be."""
    shop = Shop(tmp_path)
    databases = (Database(name="orders", roles=("clerk",)),)
    settings = PostgresSettings(image=images.POSTGRES, compute=SMALL, size="5Gi", databases=databases)
    held = Secret(shop.phase, SecretSettings(name="postgres", keys=settings.secret_keys, source=ExistingSecrets()))
    postgres = Postgres(shop.phase, settings, held)
    with pytest.raises(SettingError, match=r"Say to which .* postgres.database\('orders', role='clerk'\)"):
        shop.web().connects_to(postgres)


def test_a_store_of_secrets_without_folders_is_asked_for_the_name_alone(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    source = ExternalSecrets(store="vault", prefix="")
    (made,) = Secret(shop.phase, SecretSettings(name="web", keys=("token",), source=source)).manifests()
    rendered: Any = to_json(made)
    assert rendered["spec"]["data"][0]["remoteRef"]["key"] == "web"


# --- a namespace ---


def in_namespace(folder: Path, name: str, namespace: str) -> Application:
    """An application that says what its namespace has room for."""
    made = Application(ApplicationSettings(name=name, namespace=namespace), outdir=folder)
    phase = Phase(made, "all")
    Namespace(phase, NamespaceSettings(budget=Budget(cpu="1", memory="1Gi")))
    return made


def test_two_applications_have_no_namespace_together(tmp_path: Path) -> None:
    """The quota of each counts the pods of both, and has room for its own alone: the API server refused the rest."""
    team = [in_namespace(tmp_path / name, name, "team") for name in ("hub", "spoke")]
    with pytest.raises(SettingError, match=r"namespace of spoke: 'team' was given. It is that of hub, too"):
        synthesize(team)
    assert not list(tmp_path.iterdir())
    synthesize([in_namespace(tmp_path / "dev", "hub", "hub"), in_namespace(tmp_path / "prod", "hub", "hub")])


def test_labels_of_all_are_labels(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"ApplicationSettings.labels key: 'cost centre' was given"):
        ApplicationSettings(name="shop", labels=(("cost centre", "4711"),))
    with pytest.raises(SettingError, match=r"ApplicationSettings.labels key: 'app.kubernetes.io/name' was given. Sele"):
        ApplicationSettings(name="shop", labels=(("app.kubernetes.io/name", "shop"),))


# --- variables that others made ---


def test_a_variable_may_come_from_a_config_map_of_others(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    web = shop.web(REGION=ConfigMapKey(config_map="cluster-facts", key="region"))
    rendered: Any = to_json(web.container.render())
    assert rendered["env"] == [
        {"name": "REGION", "valueFrom": {"configMapKeyRef": {"name": "cluster-facts", "key": "region"}}}
    ]
    assert not shop.problems()


def test_a_key_that_a_config_map_of_the_application_does_not_hold_is_named(tmp_path: Path) -> None:
    """It would keep the container from starting."""
    shop = Shop(tmp_path)
    shop.gateway(Route(path="/", to=shop.web(), audience=Audience.PUBLIC))
    key = ConfigMapKey(config_map="shop-nginx-gateway", key="nginx.config")
    mounted = ExistingConfigMap(mount_path="/etc/gateway", config_map="shop-nginx-gateway", keys=("location.config",))
    container = replace(shop.container("reader"), variables=variables({"TEXT": key}), volumes=(mounted,))
    Workload(shop.phase, WorkloadSettings(name="reader", container=container))
    held = "which holds gateway.json, gateway.lua, location.conf, metrics.lua, nginx.conf: mend the key."
    problems = shop.problems()
    assert f"reads TEXT from key 'nginx.config' of ConfigMap 'shop-nginx-gateway', {held}" in problems
    assert f"mounts key 'location.config' of ConfigMap 'shop-nginx-gateway', {held}" in problems


# --- constructs ---


def test_a_role_that_is_no_label_is_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    with pytest.raises(SettingError, match="Workload component: 'a store' was given"):
        Workload(shop.phase, WorkloadSettings(name="web", component="a store", container=shop.container("web")))


def test_a_construct_that_does_not_begin_with_its_base_is_told_so(tmp_path: Path) -> None:
    """jsii answers with an attribute that is not there."""

    class Store(StatefulWorkload):
        def __init__(self, scope: Phase) -> None:
            self.kept_in = scope.name

    with pytest.raises(SettingError, match=r"Store.__init__: 'no call of super\(\).__init__' was given. Call it first"):
        Store(Shop(tmp_path).phase)


def test_objects_that_are_no_list_are_refused(tmp_path: Path) -> None:
    class Nothing(Component):
        def manifests(self) -> list[Manifest]:
            return None  # type: ignore[return-value]

    class Silent(Component):
        pass

    shop = Shop(tmp_path)
    Nothing(shop.phase, "nothing", "nothing")
    with pytest.raises(SettingError, match=r"Nothing.manifests of 'nothing': None was given. Give a list of objects"):
        shop.application.manifests()
    shop = Shop(tmp_path)
    Silent(shop.phase, "silent", "silent")
    with pytest.raises(SettingError, match=r"Silent.manifests: 'nothing' was given. Say which objects it renders"):
        shop.application.manifests()


def test_a_drill_without_its_script_is_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    image, user = Image(repository="acme/store", tag="1.0.0"), User(uid=1000, gid=1000)
    program = BackupProgram(image=image, user=user, files=(File(path="take.sh", content="exit 0"),))
    nightly = Backup(target=ClaimTarget(size="1Gi"))
    web = shop.web()
    StoreBackup(shop.phase, web, "http", nightly, program)
    with pytest.raises(SettingError, match=r"BackupProgram.files: \['take.sh'\] was given. Give File\(path='try.sh'"):
        StoreBackup(shop.phase, web, "http", replace(nightly, drill=RestoreDrill()), program)


def test_what_is_of_another_application_is_refused_where_it_is_given(tmp_path: Path) -> None:
    shop, other = Shop(tmp_path / "one"), Shop(tmp_path / "other")
    theirs = other.gateway(Route(path="/", to=other.web(), audience=Audience.PUBLIC))
    with pytest.raises(SettingError, match=r"Exposure: gateway: .*It is of another application"):
        Exposure(shop.phase, IngressExposure(controller=Traefik(), tls=Tls(secret="shop-tls")), theirs)
    key = SecretKey(secret="shop-claude", key="api-key", existing=True)
    models = ModelProvider(shop.phase, ModelProviderSettings(name="claude", vendor=ModelVendor.ANTHROPIC), key)
    code = BuiltImage(image=Image(repository="acme/prices", tag="1.4.2"))
    agent = Agent(other.phase, AgentSettings(name="prices", code=code, compute=SMALL, module="prices"))
    with pytest.raises(SettingError, match=r"claude serve: 'shop-prices' was given. It is of another application"):
        models.serve(agent)


TAKES_A_SECRET: dict[str, tuple[tuple[str | IssuedKey | RandomKey, ...], Callable[[Phase, Secret], object]]] = {
    "Postgres": (POSTGRES.secret_keys, lambda phase, secret: Postgres(phase, POSTGRES, secret)),
    "Redis": (REDIS.secret_keys, lambda phase, secret: Redis(phase, REDIS, secret)),
    "Minio": (MINIO.secret_keys, lambda phase, secret: Minio(phase, MINIO, secret)),
    "Grafana": (GRAFANA.secret_keys, lambda phase, secret: Grafana(phase, GRAFANA, secret)),
    "OAuth2Proxy": (LOGIN.secret_keys, lambda phase, secret: OAuth2Proxy(phase, LOGIN, secret)),
    "Alertmanager": (TOLD.secret_keys, lambda phase, secret: Alertmanager(phase, TOLD, secret)),
}


@pytest.mark.parametrize("kind", TAKES_A_SECRET)
def test_a_secret_of_another_application_is_refused_though_it_has_the_same_name(tmp_path: Path, kind: str) -> None:
    """A copy of production's Secret has the name that this one would have: what is rendered shows no difference."""
    keys, make = TAKES_A_SECRET[kind]
    shop, other = Shop(tmp_path / "one"), Shop(tmp_path / "other")
    settings = SecretSettings(name="kept", keys=keys, source=ExistingSecrets())
    theirs = Secret(other.phase, settings)
    with pytest.raises(SettingError, match=rf"{kind}: secret: 'shop-kept' was given. It is of another application"):
        make(shop.phase, theirs)
    assert make(other.phase, theirs)


# --- a registry ---


REGISTRY = RegistrySettings(image=images.REGISTRY, compute=SMALL)
TWO = Availability(scale=Replicas(count=2))


def told(url: str, extras: PodExtras = PodExtras()) -> RegistrySettings:  # noqa: B008
    """A registry with a DATABASE_URL."""
    return replace(REGISTRY, variables=variables({"DATABASE_URL": url}), extras=extras)


HOST = "db.example.com"


@pytest.mark.parametrize(("release", "image"), [("V0_5", images.REGISTRY_0_5), ("V3", images.REGISTRY)])
def test_a_registry_has_a_database_or_room_for_a_file(tmp_path: Path, release: str, image: Image) -> None:
    """Its image says /data/mcp_mesh_registry.db, and its root is read-only: it ended when it started."""
    shop = Shop(tmp_path, Mesh(release=MeshRelease[release]))
    Registry(shop.phase, replace(REGISTRY, image=image))
    assert (
        "shop-registry has no PostgreSQL, and no room for the file '/data/mcp_mesh_registry.db' that it would keep "
        "instead: connect it, registry.connects_to(postgres.database(…))"
    ) in shop.problems()


ELSEWHERE = PodExtras(volumes=(Scratch(name="data", mount_path="/var/data"),))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (replace(REGISTRY, extras=ROOM), ""),
        (replace(REGISTRY, extras=ELSEWHERE), "no room for the file"),
        (told("/var/mesh.db", ROOM), "no room for the file '/var/mesh.db'"),
        (told("/data/mesh.db", ROOM), ""),
        (told("mysql://mesh@db/mesh"), "no PostgreSQL"),
        (replace(REGISTRY, extras=ROOM, availability=TWO), "would know agents of its own"),
    ],
    ids=["room", "elsewhere", "another file", "that file", "another kind", "two with room"],
)
def test_what_a_registry_keeps_decides_what_it_needs(tmp_path: Path, settings: RegistrySettings, said: str) -> None:
    shop = Shop(tmp_path)
    Registry(shop.phase, settings)
    problems = shop.problems()
    assert said in problems
    assert bool(said) == bool(problems)


def test_the_address_of_a_database_may_come_whole_from_a_secret(tmp_path: Path) -> None:
    """As operators of PostgreSQL write it: several registries may share what nobody sees here."""
    shop = Shop(tmp_path)
    url = SecretKey(secret="shop-db-app", key="uri", existing=True)
    database = External(
        name="PostgreSQL", hosts=(HOST,), port=5432, peer=Internet(), introduction=variables({"DATABASE_URL": url})
    )
    Registry(shop.phase, replace(REGISTRY, availability=TWO)).connects_to(database)
    assert not shop.problems()


@pytest.mark.parametrize(("tracing", "connected"), [(True, False), (False, False), (True, True)])
def test_an_agent_whose_registry_reads_spans_writes_them_there_or_says_that_it_does_not(
    tmp_path: Path, tracing: bool, connected: bool
) -> None:
    shop = Shop(tmp_path)
    settings = RedisSettings(image=images.REDIS, compute=SMALL)
    keys = SecretSettings(name="redis", keys=settings.secret_keys, source=ExistingSecrets())
    redis = Redis(shop.phase, settings, Secret(shop.phase, keys))
    registry = Registry(shop.phase, replace(REGISTRY, extras=ROOM))
    registry.connects_to(redis)
    code = BuiltImage(image=Image(repository="acme/prices", tag="1.4.2"))
    agent = Agent(shop.phase, AgentSettings(name="prices", code=code, compute=SMALL, module="prices", tracing=tracing))
    agent.connects_to(registry, *((redis,) if connected else ()))
    said = "shop-prices writes spans to the Redis of its mesh, and is not connected to it"
    assert (said in shop.problems()) is (tracing and not connected)


def test_who_cannot_be_waited_for_is_connected_in_a_call_of_its_own(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    web = shop.web()
    with pytest.raises(SettingError, match=r"web.connects_to\(registry\), and let the program try until"):
        web.connects_to(Registry(shop.phase, replace(REGISTRY, extras=ROOM)), wait=True)


def test_a_tuple_of_another_length_is_not_told_that_it_is_no_tuple() -> None:
    with pytest.raises(SettingError) as refusal:
        MonitorsSettings(labels=(("release",),))  # type: ignore[arg-type]
    assert str(refusal.value).endswith("Give a tuple of text, text, not 1 of them.")
