"""This module is what a line of MCP Mesh decides, said once for an application."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    Api,
    ApiSettings,
    Application,
    ApplicationSettings,
    Availability,
    Budget,
    BuiltImage,
    Compute,
    Container,
    Database,
    ExistingCertificates,
    ExistingSecrets,
    External,
    Image,
    Internet,
    Java,
    Mesh,
    MeshRelease,
    Namespace,
    NamespaceSettings,
    NoProbes,
    Phase,
    PodExtras,
    Port,
    Postgres,
    PostgresSettings,
    Python,
    Redis,
    RedisSettings,
    RedisUser,
    Registry,
    RegistrySettings,
    Replicas,
    RoleConnections,
    Runtime,
    Secret,
    SecretFiles,
    SecretKey,
    SecretSettings,
    SettingError,
    StoreTls,
    Tempo,
    TempoSettings,
    TreeError,
    TypeScript,
    User,
    Variable,
    Workload,
    WorkloadSettings,
    images,
    topology,
    variables,
)
from mcpmesh_k8s.kubernetes.api import to_json
from mcpmesh_k8s.services.mesh_variables import READ, MeshProgram
from registry_room import ROOM

SMALL = Compute(cpu="100m", memory="256Mi")
CODE = BuiltImage(image=Image(repository="acme/prices", tag="1.4.2"))
V0_5, V3 = MeshRelease.V0_5, MeshRelease.V3
REGISTRY = RegistrySettings(image=images.REGISTRY, compute=SMALL, extras=ROOM)
REDIS = RedisSettings(
    image=images.REDIS, compute=SMALL, users=(RedisUser(name="web", keys=("cart:*",), commands=("get",)),)
)
POSTGRES = PostgresSettings(
    image=images.POSTGRES,
    compute=Compute(cpu="1", memory="2Gi"),
    size="5Gi",
    databases=(Database(name="mesh", roles=("mesh",)),),
)


class Shop:
    """A mesh with two agents and an API, on a line of MCP Mesh."""

    def __init__(self, folder: Path, release: MeshRelease, registry: RegistrySettings | None = None) -> None:
        mesh = Mesh(release=release)
        self.application = Application(ApplicationSettings(name="shop", mesh=mesh), outdir=folder / "shop")
        self.phase = phase = Phase(self.application, "all")
        Namespace(phase, NamespaceSettings(budget=Budget(cpu="8", memory="16Gi")))
        self.redis = Redis(phase, REDIS, self.secret("redis", REDIS.secret_keys_of(mesh)))
        self.tempo = Tempo(phase, TempoSettings(image=images.TEMPO, compute=SMALL))
        older = replace(REGISTRY, image=images.REGISTRY_0_5)
        self.registry = Registry(phase, registry or (REGISTRY if release is V3 else older))
        self.web = Api(phase, ApiSettings(name="web", code=CODE, compute=SMALL, module="web"))
        self.prices = Agent(phase, AgentSettings(name="prices", code=CODE, compute=SMALL, module="prices"))
        self.stock = Agent(phase, AgentSettings(name="stock", code=CODE, compute=SMALL, module="stock"))
        self.registry.connects_to(self.redis)
        self.registry.connects_to(self.tempo)
        for client in (self.web, self.prices, self.stock):
            client.connects_to(self.registry, self.redis.user("web") if client is self.web else self.redis)

    def whole(self) -> Mapping[str, object]:
        """All of it."""
        return self.application.manifests()

    def problems(self) -> str:
        """What is wrong with the whole; nothing when it can be written."""
        try:
            self.whole()
        except TreeError as error:
            return str(error)
        return ""

    def secret(self, name: str, keys: Sequence[str]) -> Secret:
        """A Secret that exists."""
        return Secret(self.phase, SecretSettings(name=name, keys=tuple(keys), source=ExistingSecrets()))

    def add_postgres(self, settings: PostgresSettings = POSTGRES) -> None:
        """Connect the registry to a database."""
        postgres = Postgres(self.phase, settings, self.secret("postgres", POSTGRES.secret_keys))
        self.registry.connects_to(postgres.database("mesh", role="mesh"))

    def rendered(self, kind: str, name: str) -> Any:
        """One object, as it is written."""
        (phase,) = self.whole().values()
        every: Any = phase
        (found,) = (one for one in every if one["kind"] == kind and one["metadata"]["name"] == f"shop-{name}")
        return found

    def environment(self, name: str) -> Mapping[str, object]:
        """The variables of a service's main container."""
        container, *_ = self.rendered("Deployment", name)["spec"]["template"]["spec"]["containers"]
        return {one["name"]: one.get("value") for one in container["env"]}

    def paths_of(self, name: str) -> set[tuple[str, int]]:
        """Who may be dialled by a service inside the application, on which ports."""
        return {
            (peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"], port["port"])
            for rule in self.rendered("NetworkPolicy", name)["spec"].get("egress", [])
            for peer in rule["to"]
            for port in rule["ports"]
            if "podSelector" in peer
        }

    def callers_of(self, name: str) -> set[str]:
        """Who may dial a service inside the application."""
        return {
            peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
            for rule in self.rendered("NetworkPolicy", name)["spec"].get("ingress", [])
            for peer in rule["from"]
        }


def probes_of(mesh: Mesh | None, folder: Path) -> dict[str, dict[str, str]]:
    """What each program is asked by each of its probes: the path, or ``tcp``."""
    settings = ApplicationSettings(name="shop", mesh=mesh) if mesh else ApplicationSettings(name="shop")
    application = Application(settings, outdir=folder / "shop")
    phase = Phase(application, "all")
    registry = Registry(phase, RegistrySettings(image=images.REGISTRY, compute=SMALL))
    agent = Agent(phase, AgentSettings(name="prices", code=CODE, compute=SMALL, module="prices"))
    api = Api(phase, ApiSettings(name="web", code=CODE, compute=SMALL, module="web"))
    asked: dict[str, dict[str, str]] = {}
    for workload in (agent, api):
        workload.connects_to(registry)
        deployment: Any = to_json(workload.controller())
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        asked[workload.name] = {
            name: container[f"{name}Probe"].get("httpGet", {}).get("path", "tcp")
            for name in ("startup", "readiness", "liveness")
        }
    return asked


@pytest.mark.parametrize("mesh", [None, Mesh(release=V3)], ids=["unless given", "given"])
def test_of_3_a_start_is_over_when_the_code_says_so(mesh: Mesh | None, tmp_path: Path) -> None:
    """``/startupz`` is the user's startup check, of APIs too; neither of the others asks for anybody else."""
    of_3 = {"startup": "/startupz", "readiness": "/ready", "liveness": "/livez"}
    assert probes_of(mesh, tmp_path) == {"prices": of_3, "web": of_3}


def test_of_0_5_all_answers_are_static_and_an_api_has_its_own(tmp_path: Path) -> None:
    """0.5 has no ``/startupz``, and adds nothing to an API service."""
    assert probes_of(Mesh(release=MeshRelease.V0_5), tmp_path) == {
        "prices": {"startup": "/livez", "readiness": "/ready", "liveness": "/livez"},
        "web": {"startup": "tcp", "readiness": "/health", "liveness": "tcp"},
    }


@pytest.mark.parametrize(
    ("runtime", "lacking"),
    [
        (Python(module="prices"), set[str]()),
        # Of src/runtime/typescript and src/runtime/java of v3.6.0: they register when they are started, and trace or do
        # not, and that is all.
        (
            TypeScript(entry="dist/index.js"),
            {"ENABLED", "DEBOUNCE_DELAY", "TELEMETRY_ENABLED", "REDIS_TRACE_PUBLISHING", "SERVER_STARTUP_TIMEOUT"},
        ),
        (
            Java(jar="prices.jar"),
            {"ENABLED", "DEBOUNCE_DELAY", "TELEMETRY_ENABLED", "REDIS_TRACE_PUBLISHING", "SERVER_STARTUP_TIMEOUT"},
        ),
    ],
    ids=["Python", "TypeScript", "Java"],
)
def test_a_runtime_is_told_only_what_it_reads(tmp_path: Path, runtime: Runtime, lacking: set[str]) -> None:
    shop = Shop(tmp_path, V3)
    settings = AgentSettings(
        name="late", code=CODE, compute=Compute(cpu="1", memory="1Gi"), runtime=runtime, startup_seconds=60
    )
    Agent(shop.phase, settings).connects_to(shop.registry, shop.redis)
    told = {name.removeprefix("MCP_MESH_") for name in shop.environment("late") if name.startswith("MCP_MESH_")}
    always = {"NAMESPACE", "HTTP_HOST", "HTTP_PORT", "AGENT_NAME", "LOG_LEVEL", "DISTRIBUTED_TRACING_ENABLED"}
    assert always | {"REGISTRY_URL"} <= told
    assert not told & lacking
    assert lacking or {"ENABLED", "DEBOUNCE_DELAY", "TELEMETRY_ENABLED", "REDIS_TRACE_PUBLISHING"} <= told


# --- the registry ---


def test_of_3_a_registry_has_a_port_of_its_own_for_what_rules_it_which_nobody_can_be_let_in_to(tmp_path: Path) -> None:
    """Without it ``/admin/drain`` lies beside what every agent asks, and asks for no password."""
    shop = Shop(tmp_path, V3)
    assert shop.environment("registry")["MCP_MESH_ADMIN_PORT"] == "8001"
    (container,) = shop.rendered("Deployment", "registry")["spec"]["template"]["spec"]["containers"]
    assert [port["containerPort"] for port in container["ports"]] == [8000]
    assert [port["port"] for port in shop.rendered("Service", "registry")["spec"]["ports"]] == [8000]
    rules = shop.rendered("NetworkPolicy", "registry")["spec"]["ingress"]
    assert {port["port"] for rule in rules for port in rule["ports"]} == {8000}
    opened = PodExtras(ports=(Port(name="admin", number=80, container=8001),))
    with pytest.raises(SettingError, match="may stop all jobs"):
        Shop(tmp_path / "opened", V3, replace(REGISTRY, extras=opened))


def test_each_release_of_the_registry_is_told_what_it_reads(tmp_path: Path) -> None:
    before, now = (Shop(tmp_path / each.name, each).environment("registry") for each in (V0_5, V3))
    assert {name: now[name] for name in now.keys() - before.keys()} == {
        "MCP_MESH_ADMIN_PORT": "8001",
        "MCP_MESH_TRACE_RETENTION": "24h",
        "TEMPO_URL": "http://shop-tempo:3200",
    }
    assert not before.keys() - now.keys()
    kept = Shop(tmp_path / "kept", V3, replace(REGISTRY, trace_retention_hours=2))
    assert kept.environment("registry")["MCP_MESH_TRACE_RETENTION"] == "2h"


def test_of_3_who_passes_traces_on_may_ask_for_them_too(tmp_path: Path) -> None:
    """``/trace/{id}`` fetches them from Tempo's own port. 0.5 keeps them in memory."""
    tempo = {release: Shop(tmp_path / release.name, release).paths_of("registry") for release in (V0_5, V3)}
    assert {port for name, port in tempo[V0_5] if name == "shop-tempo"} == {4317}
    assert {port for name, port in tempo[V3] if name == "shop-tempo"} == {4317, 3200}


def test_of_3_clients_are_told_where_the_registry_is_once(tmp_path: Path) -> None:
    names = {
        release: {name for name in Shop(tmp_path / release.name, release).environment("prices") if "REGISTRY" in name}
        for release in (V0_5, V3)
    }
    assert names[V3] == {"MCP_MESH_REGISTRY_URL"}
    assert names[V0_5] == names[V3] | {"MCP_MESH_REGISTRY_HOST", "MCP_MESH_REGISTRY_PORT"}


def test_of_3_several_registries_may_share_a_postgresql_and_of_0_5_one_alone(tmp_path: Path) -> None:
    several = Availability(scale=Replicas(count=3), min_available=2, spread=True)
    shop = Shop(tmp_path / "3", V3, replace(REGISTRY, availability=several))
    shop.add_postgres()
    spec = shop.rendered("Deployment", "registry")["spec"]
    assert spec["replicas"] == 3
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert len(spec["template"]["spec"]["topologySpreadConstraints"]) == 2
    assert shop.rendered("PodDisruptionBudget", "registry")["spec"]["minAvailable"] == 2
    with pytest.raises(SettingError, match="two would migrate them at once"):
        Shop(tmp_path / "0.5", V0_5, replace(REGISTRY, availability=several))
    alone = Shop(tmp_path / "alone", V3, replace(REGISTRY, availability=several))
    with pytest.raises(TreeError, match=r"shop-registry has no PostgreSQL.* registry.connects_to\(postgres.database"):
        alone.application.manifests()
    file = Shop(
        tmp_path / "file",
        V3,
        replace(REGISTRY, availability=several, variables=(Variable(name="DATABASE_URL", value="/data/x.db"),)),
    )
    with pytest.raises(TreeError, match="each of its 3 pods would know agents of its own"):
        file.application.manifests()


@pytest.mark.parametrize(
    ("release", "count", "most", "pool"),
    [
        (V0_5, 1, 25, None),
        (V0_5, 1, 20, "20"),
        (V3, 1, 50, None),
        (V3, 1, 25, "12"),
        (V3, 3, 40, "10"),
        (V3, 1, 3, "1"),
        (V3, 3, 100 - 3 - 5, "23"),
    ],
)
def test_pods_of_a_registry_take_no_more_connections_than_their_role_has(
    tmp_path: Path, release: MeshRelease, count: int, most: int, pool: str | None
) -> None:
    """Each takes 25 unless told. Of 3, during a rollout, there is one more; of 0.5 one ends before the next."""
    image = images.REGISTRY if release is V3 else images.REGISTRY_0_5
    several = Availability(scale=Replicas(count=count))
    shop = Shop(tmp_path, release, replace(REGISTRY, image=image, availability=several))
    shop.add_postgres(replace(POSTGRES, connections=(RoleConnections(role="mesh", most=most),)))
    assert shop.environment("registry").get("DB_MAX_OPEN_CONNECTIONS") == pool


def test_a_registry_whose_pods_would_have_too_few_connections_is_named(tmp_path: Path) -> None:
    settings = replace(REGISTRY, availability=Availability(scale=Replicas(count=3)))
    shop = Shop(tmp_path, V3, settings)
    shop.add_postgres(replace(POSTGRES, connections=(RoleConnections(role="mesh", most=3),)))
    said = "has up to 4 pods, and its role in PostgreSQL fewer connections: give RoleConnections(most=4) or more"
    assert said in shop.problems()
    given = replace(settings, variables=(Variable(name="DB_MAX_OPEN_CONNECTIONS", value="7"),))
    shop = Shop(tmp_path / "given", V3, given)
    shop.add_postgres(replace(POSTGRES, connections=(RoleConnections(role="mesh", most=40),)))
    assert shop.environment("registry")["DB_MAX_OPEN_CONNECTIONS"] == "7"


def test_one_registry_of_3_makes_way_when_the_next_is_ready_and_of_0_5_before(tmp_path: Path) -> None:
    strategies = {
        release: Shop(tmp_path / release.name, release).rendered("Deployment", "registry")["spec"]["strategy"]["type"]
        for release in (V0_5, V3)
    }
    assert strategies == {V0_5: "Recreate", V3: "RollingUpdate"}


def test_what_is_said_of_many_rows_is_true_of_the_release(tmp_path: Path) -> None:
    """A registry of 3 deletes what is gone after an hour, unless told otherwise."""
    said = {}
    for release in (V0_5, V3):
        shop = Shop(tmp_path / release.name, release)
        shop.add_postgres()
        (said[release],) = (one.description for one in shop.registry.alerts if one.name == "RegistryRowsGrow")
    assert "None is ever deleted" in said[V0_5]
    assert "None" not in said[V3]
    assert "deleted after an hour" in said[V3]


def test_a_registry_may_know_a_server_of_others_by_its_ca(tmp_path: Path) -> None:
    """As docs/mesh.md has it."""
    files = SecretFiles(name="collector", mount_path="/etc/collector", secret="shop-collector")
    told = variables({"TELEMETRY_TLS_CA": "/etc/collector/ca.crt"})
    shop = Shop(tmp_path, V3, replace(REGISTRY, variables=told, extras=PodExtras(volumes=(files, *ROOM.volumes))))
    shop.secret("collector", ("ca.crt",))
    assert shop.environment("registry")["TELEMETRY_TLS_CA"] == "/etc/collector/ca.crt"
    container, *_ = shop.rendered("Deployment", "registry")["spec"]["template"]["spec"]["containers"]
    assert "/etc/collector" in {mount["mountPath"] for mount in container["volumeMounts"]}


# --- from the registry to agents ---


def test_a_registry_calls_nobody_unless_it_is_told_to(tmp_path: Path) -> None:
    """Whoever reaches the registry, as all agents do, would reach all others through it."""
    shop = Shop(tmp_path, V3)
    assert {name for name, _ in shop.paths_of("registry")} == {"shop-redis", "shop-tempo"}
    assert shop.callers_of("prices") == set()


def test_a_registry_that_may_call_agents_reaches_each_that_connects_to_it_and_no_api(tmp_path: Path) -> None:
    shop = Shop(tmp_path, V3, replace(REGISTRY, calls_agents=True))
    # By hand already, and one that is another registry's.
    shop.registry.connects_to(shop.stock)
    lonely = Agent(shop.phase, AgentSettings(name="lonely", code=CODE, compute=SMALL, module="lonely"))
    elsewhere = Variable(name="MCP_MESH_REGISTRY_URL", value="http://mesh.example.com:8000")
    lonely.connects_to(
        External(name="mesh", hosts=("mesh.example.com",), port=8000, peer=Internet(), introduction=(elsewhere,))
    )
    reached = {path for path in shop.paths_of("registry") if path[0] not in ("shop-redis", "shop-tempo")}
    assert reached == {("shop-prices", 8090), ("shop-stock", 8090)}
    assert shop.callers_of("prices") == shop.callers_of("stock") == {"shop-registry"}
    assert shop.callers_of("web") == shop.callers_of("lonely") == set()
    assert "  registry -->|8090| prices" in topology(shop.application).splitlines()


def test_some_agents_alone_are_called_where_they_are_named(tmp_path: Path) -> None:
    shop = Shop(tmp_path, V3)
    shop.registry.connects_to(shop.prices)
    assert ("shop-prices", 8090) in shop.paths_of("registry")
    assert shop.callers_of("stock") == set()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"calls_agents": True}, "A registry of 0.5 calls nobody"),
        ({"trace_retention_hours": 48}, "A registry of 0.5 drops no span"),
    ],
)
def test_what_0_5_cannot_do_is_refused_there(tmp_path: Path, changed: Mapping[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        Shop(tmp_path, V0_5, replace(REGISTRY, **changed))


# --- traces in Redis ---


def test_of_3_who_writes_a_span_cuts_the_stream_and_nobody_else_trims_it(tmp_path: Path) -> None:
    before, now = (Shop(tmp_path / each.name, each) for each in (V0_5, V3))

    def containers(shop: Shop) -> list[str]:
        return [one["name"] for one in shop.rendered("Deployment", "redis")["spec"]["template"]["spec"]["containers"]]

    assert containers(before) == ["redis", "trim-traces", "exporter"]
    assert containers(now) == ["redis", "exporter"]
    name = "MCP_MESH_TRACE_STREAM_MAXLEN"
    assert {service: now.environment(service).get(name) for service in ("prices", "web", "registry")} == {
        "prices": "10000",
        "web": "10000",
        "registry": None,
    }
    assert not any(name in before.environment(service) for service in ("prices", "web", "registry"))


def test_each_release_has_the_users_that_it_needs_and_passwords_for_no_others() -> None:
    before, now = (REDIS.secret_keys_of(Mesh(release=each)) for each in (V0_5, V3))
    kept = {f"{user}-password" for user in ("operator", "mesh", "registry", "exporter", "web")}
    assert set(now) == kept
    assert set(before) == kept | {"trimmer-password"}
    assert REDIS.secret_keys == now, "what an application has that says nothing"


def test_a_secret_without_what_a_release_needs_is_refused_with_what_to_give(tmp_path: Path) -> None:
    application = Application(ApplicationSettings(name="shop", mesh=Mesh(release=V0_5)), outdir=tmp_path / "shop")
    phase = Phase(application, "all")
    held = SecretSettings(name="redis", keys=REDIS.secret_keys, source=ExistingSecrets())
    with pytest.raises(SettingError, match=r"lacks trimmer-password.*secret_keys_of\(mesh\)"):
        Redis(phase, REDIS, Secret(phase, held))


def test_only_the_registry_that_bounds_the_stream_may_cut_it(tmp_path: Path) -> None:
    rights = {release: REDIS.rights_in(release) for release in (V0_5, V3)}
    assert [user for user, may in rights[V3].items() if "+xtrim" in may] == ["registry"]
    assert [user for user, may in rights[V0_5].items() if "+xtrim" in may] == ["trimmer"]
    assert rights[V3]["mesh"] == rights[V0_5]["mesh"]


# --- what is of another line ---


@pytest.mark.parametrize(
    ("release", "image", "said"),
    [
        (
            V3,
            images.REGISTRY_0_5,
            "shop-registry runs mcpmesh/registry:0.5.3, and the mesh of this application is MCP Mesh 3",
        ),
        (
            V0_5,
            images.REGISTRY,
            "shop-registry runs mcpmesh/registry:3.8.0, and the mesh of this application is MCP Mesh 0.5",
        ),
        (
            V3,
            Image(repository="registry.example.com/mcpmesh/registry", tag="3.5.2"),
            "runs registry.example.com/mcpmesh/",
        ),
        (V3, Image(repository="mcpmesh/registry", tag="v2.1.0"), "runs mcpmesh/registry:v2.1.0"),
        (V3, Image(repository="mcpmesh/registry", tag="3.6.0"), ""),
        (V3, Image(repository="acme/registry", tag="0.5.3"), ""),
    ],
)
def test_an_image_of_another_line_is_named_with_the_mesh(
    tmp_path: Path, release: MeshRelease, image: Image, said: str
) -> None:
    """One of MCP Mesh says of which line it is by its tag. One of somebody's own has a version of its own."""
    problems = Shop(tmp_path, release, replace(REGISTRY, image=image)).problems()
    assert said in problems
    assert bool(said) == bool(problems)


@pytest.mark.parametrize("name", ["mcpmesh/python-runtime", "mcpmesh/typescript-runtime", "mcpmesh/java-runtime"])
def test_a_runtime_of_another_line_is_named_too_and_the_dashboard(tmp_path: Path, name: str) -> None:
    shop = Shop(tmp_path, V3)
    code = BuiltImage(image=Image(repository=name, tag="1.4.0"))
    Agent(shop.phase, AgentSettings(name="old", code=code, compute=SMALL, module="old")).connects_to(shop.registry)
    container = Container(
        name="ui",
        image=Image(repository="mcpmesh/ui", tag="2.0.0"),
        user=User(uid=1000, gid=1000),
        compute=SMALL,
        probes=NoProbes(because="No test starts it."),
    )
    Workload(shop.phase, WorkloadSettings(name="ui", container=container))
    # As a sidecar it is of the mesh just as well.
    beside = PodExtras(sidecars=(replace(container, name="beside"),))
    settings = AgentSettings(name="pair", code=CODE, compute=SMALL, module="pair", extras=beside)
    Agent(shop.phase, settings).connects_to(shop.registry)
    problems = shop.problems()
    assert "shop-pair runs mcpmesh/ui:2.0.0" in problems
    assert f"shop-old runs {name}:1.4.0" in problems
    assert "shop-ui runs mcpmesh/ui:2.0.0" in problems


# --- variables ---


@pytest.mark.parametrize(
    ("release", "name", "said"),
    [
        (V3, "MCP_MESH_AUTH_TOKEN", "does not read: 0.5 does. Leave it out."),
        (V3, "MCP_MESH_REGISTRY_HOST", "0.5 does. Leave it out, or give MCP_MESH_REGISTRY_URL."),
        (V3, "MCP_MESH_SETTLE_TIMEOT", "does not read: give MCP_MESH_SETTLE_TIMEOUT."),
        (V3, "MCP_MESH_ADMIN_PORT", "does not read: give it to the registry."),
        (V3, "MCP_MESH_EVERYTHING", "leave it out; what the code itself reads needs another name."),
        (V3, "MCP_MESH_SETTLE_TIMEOUT", ""),
        (V3, "MCP_MASH_ANYTHING", ""),
        (V0_5, "MCP_MESH_SETTLE_TIMEOUT", "does not read: 3 does. Leave it out."),
        (V0_5, "MCP_MESH_TRACE_STREAM_MAXLEN", "does not read: 3 does. Leave it out."),
        (V0_5, "MCP_MESH_AUTH_TOKEN", ""),
    ],
)
def test_a_variable_that_the_release_does_not_read_is_named_with_what_to_do(
    tmp_path: Path, release: MeshRelease, name: str, said: str
) -> None:
    shop = Shop(tmp_path, release)
    given = (Variable(name=name, value=shop.secret("late", ("value",)).key("value")),)
    settings = AgentSettings(name="late", code=CODE, compute=SMALL, module="late", variables=given)
    Agent(shop.phase, settings).connects_to(shop.registry, shop.redis)
    problems = shop.problems()
    assert said in problems
    assert (f"shop-late has {name}, which the Python runtime of MCP Mesh {release.value} does" in problems) == bool(
        said
    )
    assert bool(said) == bool(problems)


@pytest.mark.parametrize(
    ("release", "name", "said"),
    [
        (V3, "MCP_MESH_SWEEP_INTERVAL", ""),
        (V0_5, "MCP_MESH_SWEEP_INTERVAL", "does not read: 3 does. Leave it out."),
        (V3, "MCP_MESH_RETENTOIN", "does not read: give MCP_MESH_RETENTION."),
        (V3, "MCP_MESH_SETTLE_TIMEOUT", "give it to the Python runtime or the TypeScript runtime or the Java runtime."),
    ],
)
def test_so_is_one_of_the_registry(tmp_path: Path, release: MeshRelease, name: str, said: str) -> None:
    image = images.REGISTRY if release is V3 else images.REGISTRY_0_5
    settings = replace(REGISTRY, image=image, variables=(Variable(name=name, value="1"),))
    problems = Shop(tmp_path, release, settings).problems()
    assert said in problems
    assert bool(said) == bool(problems)


def test_a_redis_with_tls_is_one_that_a_runtime_of_3_cannot_write_spans_to(tmp_path: Path) -> None:
    """Its core is built without: spans would be lost, and a line of its log is all that says so."""
    url = Variable(name="REDIS_URL", value="rediss://cache.example.com:6380/0")
    cache = External(name="cache", hosts=("cache.example.com",), port=6380, peer=Internet(), introduction=(url,))

    def said(release: MeshRelease, *, tracing: bool = True) -> str:
        shop = Shop(tmp_path / f"{release.name}{tracing}", release)
        settings = AgentSettings(name="late", code=CODE, compute=SMALL, module="late", tracing=tracing)
        Agent(shop.phase, settings).connects_to(shop.registry, cache)
        return shop.problems()

    assert "shop-late has a REDIS_URL with TLS, which the runtime of MCP Mesh 3 is not built with" in said(V3)
    assert said(V3, tracing=False) == ""
    assert said(V0_5) == ""


@pytest.mark.parametrize("stores", [(), ("postgres",)])
def test_of_a_url_that_nobody_sees_the_application_says_whether_it_is_of_tls(
    tmp_path: Path, stores: tuple[str, ...]
) -> None:
    """Whose stores all speak TLS has no other Redis than that."""
    url = Variable(name="REDIS_URL", value=SecretKey(secret="cache", key="url", existing=True))
    cache = External(name="cache", hosts=("cache.example.com",), port=6380, peer=Internet(), introduction=(url,))
    transit = StoreTls(certificates=ExistingCertificates(), stores=stores)

    def said(release: MeshRelease, *, tracing: bool = True) -> str:
        settings = ApplicationSettings(name="shop", mesh=Mesh(release=release), transit=transit)
        application = Application(settings, outdir=tmp_path / f"{release.name}{tracing}")
        agent = AgentSettings(name="late", code=CODE, compute=SMALL, module="late", tracing=tracing)
        Agent(Phase(application, "all"), agent).connects_to(cache)
        with pytest.raises(TreeError) as caught:
            application.manifests()
        return str(caught.value)

    expected = "shop-late has its REDIS_URL from <cache/url>, and all stores are said to speak TLS"
    assert (expected in said(V3)) is (not stores)
    assert "REDIS_URL" not in said(V3, tracing=False)
    assert "REDIS_URL" not in said(V0_5)


def named_in(runtime: Path) -> set[str]:
    """The names of the mesh in the sources of a Python runtime, by the folder of its Python."""
    (packages,) = runtime.parent.glob("lib/*/site-packages")
    files = [file for part in ("mesh", "_mcp_mesh") for file in (packages / part).rglob("*.py")]
    texts = [file.read_text() for file in files if "tests" not in file.parts]
    return {name for text in texts for name in re.findall(r"[\"'](MCP_MESH_[A-Z0-9_]+)[\"']", text)}


def test_the_python_runtime_of_3_reads_what_is_said_of_it(needs_mesh3: Path) -> None:
    """Every name in its sources, and what its core of Rust has, where one text follows the other."""
    found, read = named_in(needs_mesh3), READ[V3][MeshProgram.PYTHON]
    (core,) = needs_mesh3.parent.glob("lib/*/site-packages/mcp_mesh_core/*.so")
    text = core.read_bytes()
    assert {name for name in read - found if name.encode() not in text} == set()
    assert found <= read


def test_the_python_runtime_of_0_5_reads_what_is_said_of_it(needs_mesh: Path) -> None:
    """Every name in its sources, and no other but those that examples of it read."""
    found, read = named_in(needs_mesh), READ[V0_5][MeshProgram.PYTHON]
    assert read - found == {"MCP_MESH_REGISTRY_HOST", "MCP_MESH_REGISTRY_PORT"}
    assert found <= read


@pytest.mark.parametrize(
    ("program", "file", "linked"),
    [
        (MeshProgram.REGISTRY, "mcp-mesh-registry", set[str]()),
        # What it has of the registry's packages, and does not run.
        (
            MeshProgram.DASHBOARD,
            "meshui",
            {
                "MCP_MESH_JOB_STALE_TIMEOUT",
                "MCP_MESH_PROPAGATE_HEADERS",
                "MCP_MESH_PROXY_TIMEOUT",
                "MCP_MESH_SWEEP_INTERVAL",
            },
        ),
    ],
)
def test_programs_of_3_read_what_is_said_of_them(
    needs_mesh_registry: Path, program: MeshProgram, file: str, linked: set[str]
) -> None:
    """Go keeps its texts one after the other: each name is in it, and each that is in it begins with a name."""
    found = set(re.findall(rb"MCP_MESH_[A-Z][A-Z0-9_]+", needs_mesh_registry.with_name(file).read_bytes()))
    read = READ[V3][program]
    # One that is read as a prefix: MCP_MESH_REGISTRY_TLS of _CA, _CERT, _KEY and _SKIP_VERIFY.
    missing = {name for name in read if name.encode() not in b" ".join(found)}
    assert {re.sub("_(CA|CERT|KEY|SKIP_VERIFY)$", "", name) for name in missing} <= {"MCP_MESH_REGISTRY_TLS"}
    known = read | linked | {"MCP_MESH_REGISTRY_TLS"}
    assert not {text.decode() for text in found if not text.decode().startswith(tuple(known))}


def test_who_registers_does_not_come_before_the_registry(tmp_path: Path) -> None:
    """An upgrade brings up the registry first, with its tables, then who may say what is new."""
    application = Application(ApplicationSettings(name="shop"), outdir=tmp_path / "shop")
    early, late = (Phase(application, name) for name in ("early", "late"))
    Namespace(early, NamespaceSettings(budget=Budget(cpu="8", memory="16Gi")))
    agent = Agent(early, AgentSettings(name="prices", code=CODE, compute=SMALL, module="prices"))
    agent.connects_to(Registry(late, REGISTRY))
    with pytest.raises(TreeError, match="shop-prices of phase early comes before its registry"):
        application.manifests()
