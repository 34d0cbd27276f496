"""This module is the proof that the mesh's dashboard shows what there is below its path, and can change nothing.

The programs are real: the registry and the dashboard of a later MCP Mesh, PostgreSQL, Redis and the gateway, each with
what is rendered for its pod. The dashboard listens on every address, so all of it has a network of its own.
"""

import http.client
import json
import re
import subprocess
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from conftest import Manifests, read_manifests, requires
from gateway_harness import PREFIX, RunningGateway, running_gateway
from log_pipeline import Pipeline
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Audience,
    Availability,
    Budget,
    CertManager,
    Compute,
    Database,
    ExistingSecrets,
    Gateway,
    GatewaySettings,
    Google,
    Mesh,
    MeshDashboard,
    MeshDashboardSettings,
    MeshRelease,
    Namespace,
    NamespaceSettings,
    OAuth2Proxy,
    OAuth2ProxySettings,
    Phase,
    PlainTransit,
    Postgres,
    PostgresSettings,
    RateLimit,
    Redis,
    RedisSettings,
    Registry,
    RegistrySettings,
    Replicas,
    Route,
    Secret,
    SecretSettings,
    SettingError,
    StoreTls,
    Tempo,
    TempoSettings,
    Transit,
    TreeError,
    images,
)
from mesh_harness import (
    LOCALHOST,
    InventedSecrets,
    Loopback,
    Manifest,
    Pod,
    container_of,
    eventually,
    find,
    free_port,
    is_open,
    pod_environment,
    probe,
    start_pod,
)
from networks import needs_root, own_network
from processes import START, Account, serving, start_redis
from redis_client import redis_cli
from test_postgres_runtime import POSTGRES, PROBES, Server, new_server
from test_postgres_runtime import SECRETS as HOSTILE
from watching_harness import answers, start_registry

NAME = f"{PREFIX}mesh-dashboard"
PATH = "/ops/mesh/"
BASE = "/ops/mesh"
HOST = "shop.example.com"
SMALL = Compute(cpu="100m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi")
POSTGRES_SETTINGS = PostgresSettings(
    image=images.POSTGRES,
    compute=SMALL,
    size="5Gi",
    databases=(Database(name="mesh", roles=("mesh",), readers=("dashboard",)),),
)
REDIS_SETTINGS = RedisSettings(image=images.REDIS, compute=SMALL, dashboard=True)


class Parts:
    """An application with a dashboard, wired as its docstring says."""

    def __init__(
        self,
        folder: Path,
        *,
        postgres: PostgresSettings = POSTGRES_SETTINGS,
        redis: RedisSettings = REDIS_SETTINGS,
        mesh: Mesh = Mesh(),  # noqa: B008
        transit: Transit = PlainTransit(),  # noqa: B008
        hours: int = 24,
    ) -> None:
        settings = ApplicationSettings(name=PREFIX.strip("-"), mesh=mesh, transit=transit)
        self.application = Application(settings, outdir=folder)
        self.phase, self.later = Phase(self.application, "mesh"), Phase(self.application, "access")
        Namespace(self.phase, NamespaceSettings(budget=Budget(cpu="4", memory="8Gi")))
        self.postgres = Postgres(self.phase, postgres, self.secret("postgres", *postgres.secret_keys))
        self.redis = Redis(self.phase, redis, self.secret("redis", *redis.secret_keys_of(mesh)))
        self.tempo = Tempo(self.phase, TempoSettings(image=images.TEMPO, compute=SMALL))
        self.registry = Registry(
            self.phase, RegistrySettings(image=images.REGISTRY, compute=SMALL, trace_retention_hours=hours)
        )
        self.registry.connects_to(self.postgres.database("mesh", role="mesh"), self.redis, wait=True)
        self.dashboard = MeshDashboard(self.later, MeshDashboardSettings())

    def secret(self, name: str, *keys: str) -> Secret:
        source = ExistingSecrets()
        return Secret(self.phase, SecretSettings(name=name, keys=keys, source=source))

    def wired(self) -> "Parts":
        self.dashboard.connects_to(self.postgres.database("mesh", role="dashboard"), wait=True)
        self.dashboard.connects_to(self.registry, self.redis, self.tempo)
        return self

    def route(self, path: str = PATH, audience: Audience = Audience.ADMINISTRATOR) -> Route:
        rate = RateLimit(per_second=50, burst=200)
        return Route(path=path, to=self.dashboard, audience=audience, rate=rate, buffering=False, timeout_seconds=300)

    def served(self, path: str = PATH) -> "Parts":
        login = OAuth2ProxySettings(
            image=images.OAUTH2_PROXY, compute=SMALL, host=HOST, provider=Google(), email_domains=("example.com",)
        )
        settings = GatewaySettings(
            image=images.OPENRESTY, compute=SMALL, host=HOST, administrators=("admin@example.com",)
        )
        keys = login.secret_keys
        vouching = OAuth2Proxy(
            self.later,
            login,
            Secret(self.later, SecretSettings(name="oauth2-proxy", keys=keys, source=ExistingSecrets())),
        )
        Gateway(self.later, settings, [self.route(path)], vouching)
        return self


def test_its_path_probes_and_variables_follow_from_the_route(tmp_path: Path) -> None:
    Parts(tmp_path / "shop", hours=7).wired().served().application.synth()
    rendered = read_manifests(tmp_path / "shop")
    deployment = find(rendered, "Deployment", NAME)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["MCP_MESH_UI_BASE_PATH"] == BASE
    assert environment["MCP_MESH_REGISTRY_URL"] == f"http://{PREFIX}registry:8000"
    assert environment["TEMPO_URL"] == f"http://{PREFIX}tempo:3200"
    # It trims the stream beside the registry, which is told so: else it would do so by a day of its own.
    assert environment["MCP_MESH_TRACE_RETENTION"] == "7h"
    assert environment["REDIS_USERNAME"] == environment["POSTGRES_USER"] == "dashboard"
    assert {container[name]["httpGet"]["path"] for name in PROBES} == {f"{BASE}/api/ui-health"}
    assert (container["securityContext"]["runAsUser"], container["securityContext"]["runAsGroup"]) == (1000, 1000)
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    # What a dashboard may reach, and who reaches it.
    policy = find(rendered, "NetworkPolicy", NAME)["spec"]
    reached = [
        (rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"], rule["ports"][0]["port"])
        for rule in policy["egress"]
    ]
    assert reached == [
        (f"{PREFIX}postgres", 5432),
        (f"{PREFIX}redis", 6379),
        (f"{PREFIX}registry", 8000),
        (f"{PREFIX}tempo", 3200),
    ]
    (client,) = policy["ingress"]
    assert client["from"][0]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": f"{PREFIX}nginx-gateway"}


def test_without_a_gateway_it_serves_at_the_root_whatever_its_image_says(tmp_path: Path) -> None:
    Parts(tmp_path / "shop").wired().application.synth()
    (container,) = find(read_manifests(tmp_path / "shop"), "Deployment", NAME)["spec"]["template"]["spec"]["containers"]
    assert {"name": "MCP_MESH_UI_BASE_PATH", "value": "/"} in container["env"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/api/ui-health"


def test_without_redis_it_reads_no_traces_of_a_server_that_is_not_there(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "shop", redis=replace(REDIS_SETTINGS, dashboard=False))
    parts.dashboard.connects_to(parts.registry, parts.postgres.database("mesh", role="dashboard"))
    parts.application.synth()
    (container,) = find(read_manifests(tmp_path / "shop"), "Deployment", NAME)["spec"]["template"]["spec"]["containers"]
    assert {"name": "MCP_MESH_DISTRIBUTED_TRACING_ENABLED", "value": "false"} in container["env"]


def test_where_stores_speak_tls_it_knows_them_and_so_does_who_waits(tmp_path: Path) -> None:
    tls = StoreTls(certificates=CertManager(issuer="stores-ca"))
    Parts(tmp_path / "shop", transit=tls).wired().application.synth()
    spec = find(read_manifests(tmp_path / "shop"), "Deployment", NAME)["spec"]["template"]["spec"]
    (container,), (wait,) = spec["containers"], spec["initContainers"]
    known = {"mountPath": "/etc/tls/postgres", "name": "postgres-ca", "readOnly": True}
    assert known in container["volumeMounts"]
    assert known in wait["volumeMounts"]
    assert "--command=SELECT FROM agents, jobs LIMIT 0" in wait["command"]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["REDIS_URL"].startswith("rediss://dashboard:")
    assert "?" not in environment["REDIS_URL"]
    assert environment["SSL_CERT_FILE"] == "/etc/tls/redis/ca.crt"
    assert "sslmode=verify-full" in environment["DATABASE_URL"]


def test_what_it_cannot_be_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"MeshDashboard: .* It has none. Give Mesh"):
        Parts(tmp_path / "old", mesh=Mesh(release=MeshRelease.V0_5))
    parts = Parts(tmp_path / "shop")
    with pytest.raises(SettingError, match=r"'mesh' was given. It only reads: give Database"):
        parts.dashboard.connects_to(parts.postgres.database("mesh", role="mesh"))
    with pytest.raises(SettingError, match=r"audience: .* It asks nobody who they are.*Audience.ADMINISTRATOR"):
        parts.route(audience=Audience.SIGNED_IN)
    with pytest.raises(SettingError, match=r"path: '/mesh.v1/' was given. Give a route of letters"):
        parts.served("/mesh.v1/")
    with pytest.raises(SettingError, match="Two would share the traces"):
        MeshDashboard(
            parts.later,
            MeshDashboardSettings(name="second", availability=Availability(scale=Replicas(count=2))),
        )
    unread = Parts(tmp_path / "unread", redis=replace(REDIS_SETTINGS, dashboard=False))
    with pytest.raises(SettingError, match=r"user: 'dashboard' was given. Give RedisSettings"):
        unread.wired()
    with pytest.raises(TreeError, match="mesh-dashboard has no MCP_MESH_REGISTRY_URL"):
        Parts(tmp_path / "alone").application.synth()


class Secrets(InventedSecrets):
    """Of PostgreSQL those that are hostile: no URL carries them."""

    def __missing__(self, name_and_key: tuple[str, str]) -> str:
        return HOSTILE[name_and_key] if name_and_key[0] == POSTGRES else super().__missing__(name_and_key)


SECRETS = Secrets()


@dataclass
class Running:
    """The real programs, in a network of their own."""

    rendered: Sequence[Manifest]
    account: Account
    root: Path
    postgres: Server
    redis: int
    stack: ExitStack
    registry: int = 0
    dashboard: Pod | None = None

    @property
    def services(self) -> dict[str, int]:
        return {
            f"{PREFIX}postgres:5432": self.postgres.port,
            f"{PREFIX}redis:6379": self.redis,
            f"{PREFIX}registry:8000": self.registry,
        }

    def of_pod(self, container: str, loopback: Loopback) -> dict[str, str]:
        return pod_environment(find(self.rendered, "Deployment", NAME), container, secrets=SECRETS, loopback=loopback)

    def waits(self, seconds: float) -> tuple[bool, str]:
        """Whether what the dashboard waits for is there within this time, and what is said meanwhile."""
        manifest = find(self.rendered, "Deployment", NAME)
        loopback = Loopback(services=self.services)
        words = [loopback.address(word) for word in container_of(manifest, "wait-for-postgres")["command"]]
        environment = self.of_pod("wait-for-postgres", loopback)
        try:
            done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired as late:
            return False, (late.stdout or b"").decode()
        return done.returncode == 0, done.stdout

    def start_registry(self) -> None:
        self.registry = free_port()
        pod = start_registry(self.rendered, self.root / "registry", self.registry, self.services, SECRETS)
        self.stack.enter_context(serving(pod, lambda: answers(self.registry, "/health")))

    def start_dashboard(self) -> Pod:
        port = free_port()
        loopback = Loopback(services=self.services, ports={3080: port})
        folder = self.root / "dashboard"
        folder.mkdir()
        pod = start_pod(
            find(self.rendered, "Deployment", NAME),
            "mesh-dashboard",
            environment=self.of_pod("mesh-dashboard", loopback),
            loopback=loopback,
            root=folder,
            entrypoint=["meshui"],
        )
        self.dashboard = self.stack.enter_context(serving(pod, lambda: is_open(port)))
        return self.dashboard

    def gateway(self, dashboard: Pod) -> RunningGateway:
        real = {"mesh-dashboard": dashboard.ports["http"]}
        return self.stack.enter_context(running_gateway(self.rendered, real=real))

    def ask_redis(self, *command: str, user: str = "operator") -> str:
        return redis_cli(self.redis, SECRETS[f"{PREFIX}redis", f"{user}-password"], *command, user=user)


@contextmanager
def running(folder: Path) -> Generator[Running, None, None]:
    """PostgreSQL with its databases, and Redis: what is there before the mesh."""
    Parts(folder / "dist").wired().served().application.synth()
    rendered = read_manifests(folder / "dist")
    account = Account.unprivileged()
    with ExitStack() as stack:
        postgres = stack.enter_context(new_server(rendered, account, brought=True))
        root = stack.enter_context(account.folder())
        redis = free_port()
        pod = start_redis(rendered, root / "redis", redis, secrets=SECRETS, account=account)
        there = Running(rendered, account, root, postgres, redis, stack)
        stack.enter_context(serving(pod, lambda: "PONG" in there.ask_redis("PING")))
        yield there


def first_events(gateway: RunningGateway, path: str, events: int) -> list[str]:
    """The kinds of the first events of a stream that goes on, each as it comes."""
    connection = http.client.HTTPConnection(gateway.at, gateway.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": gateway.host, "X-Forwarded-Proto": "https"})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
        kinds = list[str]()
        while len(kinds) < events:
            line = answer.readline().decode()
            assert line, "The stream ended."
            if line.startswith("event: "):
                kinds.append(line.removeprefix("event: ").strip())
        return kinds
    finally:
        connection.close()


@needs_root
@requires("postgresql", "redis", "nginx", "mesh_registry")
def test_the_real_one_shows_the_mesh_to_administrators_and_can_write_nothing(
    tmp_path: Path, manifests: Manifests
) -> None:
    def check() -> None:
        with running(tmp_path) as mesh:
            # Before the registry has made its tables it is not started: it would try to make them, and end.
            started, said = mesh.waits(2)
            assert not started
            assert said.startswith(
                f"waiting for {LOCALHOST}:{mesh.postgres.port}, the registry's tables in database mesh"
            )
            assert "(the registry makes them when it starts)" in said
            mesh.start_registry()
            assert mesh.waits(10)[0]
            span = (
                "trace_id",
                "t1",
                "span_id",
                "s1",
                "agent_name",
                "prices",
                "operation",
                "quote",
                "success",
                "true",
                "duration_ms",
                "1",
                "start_time",
                "1",
                "end_time",
                "2",
            )
            mesh.ask_redis("ACL", "LOG", "RESET")
            dashboard = mesh.start_dashboard()
            assert {kind: probe(dashboard.spec[kind], dashboard) for kind in PROBES} == dict.fromkeys(PROBES, "200")
            gateway = mesh.gateway(dashboard)

            # Nobody but an administrator sees it.
            gateway.sign_in("alice@example.com")
            assert gateway.request("GET", PATH).status == 403
            gateway.sign_in("admin@example.com")
            page = gateway.request("GET", PATH)
            assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
            assert f'<base href="{BASE}/" />' in page.body.decode()
            scripts = re.findall(r'(?:src|href)="\./(assets/[^"]+)"', page.body.decode())
            assert len(scripts) == 2
            for script in scripts:
                loaded = gateway.request("GET", f"{PATH}{script}")
                assert (loaded.status, "text/html" in loaded.headers["Content-Type"]) == (200, False)
            assert gateway.request("GET", f"{PATH}traffic").status == 200
            listed = json.loads(gateway.request("GET", f"{PATH}api/agents").body)
            assert (listed["count"], listed["agents"]) == (0, None)
            for asked in ("api/events/history", "api/schemas", "api/jobs", "api/trace/recent"):
                assert gateway.request("GET", f"{PATH}{asked}").status == 200, asked

            # What happens is seen as it happens.
            assert first_events(gateway, f"{PATH}api/traces/live", 1) == ["connected"]
            mesh.ask_redis("XADD", "mesh:trace", "*", *span, user="mesh")
            assert first_events(gateway, f"{PATH}api/events", 2) == ["connected", "trace_activity"]

            def seen() -> list[str]:
                stats = json.loads(gateway.request("GET", f"{PATH}api/trace/agent-stats").body)
                return [one["agent_name"] for one in stats["agents"]]

            assert eventually(lambda: seen() == ["prices"], START)

            # It does what it may in Redis, and asks for nothing else.
            # From 7.2 on the server notes that clients tell it their version, and go on when they may not.
            assert {one["object"] for one in json.loads(mesh.ask_redis("ACL", "LOG"))} <= {"client|setinfo"}
            (group,) = (
                one
                for one in json.loads(mesh.ask_redis("XINFO", "GROUPS", "mesh:trace"))
                if one["name"] == "mcp-mesh-ui-dashboard"
            )
            assert (group["entries-read"], group["pending"]) == (1, 0)

            # Its role reads the registry's tables, and writes to none.
            me = mesh.of_pod("mesh-dashboard", Loopback(services=mesh.services))
            as_it = {"url": me["DATABASE_URL"], "PGPASSWORD": me["PGPASSWORD"]}
            assert mesh.postgres.ask("SELECT count(*) FROM agents", **as_it) == ["0"]
            tables = mesh.postgres.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", **as_it)
            assert {"agents", "jobs", "registry_events"} < set(tables)
            for table in tables:
                for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"DROP TABLE {table}"):
                    refused = mesh.postgres.psql(statement, **as_it).stderr
                    assert "permission denied" in refused or "must be owner" in refused, statement

            # Its log has the password of Redis, and what is kept of it has not.
            password = SECRETS[f"{PREFIX}redis", "dashboard-password"]
            assert password in dashboard.output
            kept = Pipeline.of(manifests("prod")).read("mesh-dashboard", "mesh-dashboard", dashboard.output)
            assert kept
            assert all(password not in line.text for line in kept)
            assert dashboard.terminate(10) == 0

    with own_network() as inside:
        inside(check)


@needs_root
@requires("redis")
def test_what_it_does_once_a_minute_in_redis_it_may_and_what_others_do_it_may_not(tmp_path: Path) -> None:
    """It takes over what a dashboard before it left unread, and removes what is left of that one."""
    Parts(tmp_path / "dist").wired().served().application.synth()
    rendered, account, port = read_manifests(tmp_path / "dist"), Account.unprivileged(), free_port()
    password = SECRETS[f"{PREFIX}redis", "operator-password"]
    with account.folder() as root:
        pod = start_redis(rendered, root / "redis", port, secrets=SECRETS, account=account)
        with serving(pod, lambda: "PONG" in redis_cli(port, password, "PING")):

            def may(*command: str) -> bool:
                said = redis_cli(port, password, "ACL", "DRYRUN", "dashboard", *command)
                assert said.startswith('"'), said
                return bool(json.loads(said) == "OK")

            stream, group = "mesh:trace", "mcp-mesh-ui-dashboard"
            done = (
                ("XPENDING", stream, group, "IDLE", "1000", "-", "+", "10"),
                ("XCLAIM", stream, group, "ui", "1000", "1-1"),
                ("XGROUP", "DELCONSUMER", stream, group, "ui-before"),
                ("XINFO", "CONSUMERS", stream, group),
                ("XTRIM", stream, "MINID", "~", "1"),
                ("XREVRANGE", stream, "+", "-", "COUNT", "10"),
            )
            assert [command for command in done if not may(*command)] == []
            never = (
                ("XADD", stream, "*", "a", "b"),
                ("DEL", stream),
                ("XGROUP", "DESTROY", stream, "mcp-mesh-registry-processors"),
                ("GET", "session:1"),
                ("KEYS", "*"),
                ("CONFIG", "GET", "*"),
                ("XREADGROUP", "GROUP", group, "ui", "STREAMS", "another", ">"),
            )
            assert [command for command in never if may(*command)] == []
