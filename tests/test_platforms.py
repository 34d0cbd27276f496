"""This module is other clusters: what is rendered for each platform, and the real programs as they would run there."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from ai_interviewer import DEV, PROD, AiInterviewer, EnvironmentSettings
from conftest import ROOT, Manifests, close, grid, read_manifests, requires
from gateway_harness import LOGIN, PREFIX, running_gateway
from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    Application,
    ApplicationSettings,
    Audience,
    BuiltImage,
    Compute,
    Container,
    DevIdentity,
    Gateway,
    GatewaySettings,
    NoProbes,
    Phase,
    Placement,
    Platform,
    PodExtras,
    Port,
    Route,
    SettingError,
    TreeError,
    User,
    Workload,
    WorkloadSettings,
    images,
    platforms,
)
from mesh_harness import (
    LOCALHOST,
    SECRETS,
    Loopback,
    Manifest,
    Pod,
    container_of,
    find,
    free_port,
    is_open,
    pod_environment,
    start_pod,
)
from networks import lack, needs_root, own_network
from processes import REDIS, START, Account, serving, start_redis
from reading import objects_of
from redis_client import redis_cli
from test_postgres_runtime import Server, starting

IPV6 = "::1"
BOTH = Platform(ip_families=("IPv4", "IPv6"))
IPV6_ALONE = Platform(ip_families=("IPv6",))


class Assigned(Account):
    """A user whom a cluster picked: nobody knows the number, and volumes belong to a group, as the kubelet does it."""

    def own(self, *paths: Path | int) -> None:
        """Let the group write folders, and hand over what is no folder."""
        for path in paths:
            if isinstance(path, Path) and path.is_dir() and os.geteuid() == 0:
                os.chown(path, 0, self.gid)
                path.chmod(0o2775)
            else:
                super().own(path)


ASSIGNED = Assigned(1000680000, 0)
"""Whom OpenShift runs a pod as, under its SCC restricted-v2: the group is root's."""

SMALL = Compute(cpu="100m", memory="128Mi")
PRICES = AgentSettings(name="prices", code=BuiltImage(image=images.PYTHON_RUNTIME), compute=SMALL, module="prices")


@cache
def rendered(platform: Platform, environment: EnvironmentSettings = PROD) -> Sequence[Manifest]:
    """What an environment is on a platform."""
    backend = environment.backend
    host = backend.args.index("--host") + 1
    changed = replace(
        environment,
        platform=platform,
        backend=replace(backend, args=(*backend.args[:host], platform.every_host, *backend.args[host + 1 :])),
    )
    return objects_of(AiInterviewer(changed, outdir="unused"))


def shop(platform: Platform) -> tuple[Application, Phase]:
    application = Application(ApplicationSettings(name="shop", platform=platform), outdir="unused")
    return application, Phase(application, "all")


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> Iterator[Manifest]:
    return (m for m in manifests if m["kind"] in kinds)


def pods(manifests: Sequence[Manifest]) -> Iterator[Manifest]:
    return (m["spec"]["template"]["spec"] for m in of_kind(manifests, "Deployment", "StatefulSet", "Job"))


# --- what is rendered ---


def test_where_the_cluster_assigns_users_nothing_names_one() -> None:
    found = list(pods(rendered(platforms.OPENSHIFT)))
    assert len(found) == len(list(pods(read_manifests(ROOT / "dist/prod"))))
    for pod in found:
        for context in (pod, *pod["containers"], *pod.get("initContainers", [])):
            security = context["securityContext"]
            assert security["runAsNonRoot"] is True
            assert not {"runAsUser", "runAsGroup", "fsGroup"} & security.keys()


def test_elsewhere_everything_names_one(manifests: Manifests) -> None:
    for pod in pods(manifests("prod")):
        assert {"runAsUser", "runAsGroup", "fsGroup"} <= pod["securityContext"].keys()
        assert all({"runAsUser", "runAsGroup"} <= c["securityContext"].keys() for c in pod["containers"])


def families(manifests: Sequence[Manifest]) -> dict[str, tuple[object, object]]:
    """What each Service says of families of addresses."""
    return {
        m["metadata"]["name"].removeprefix(PREFIX): (m["spec"].get("ipFamilyPolicy"), m["spec"].get("ipFamilies"))
        for m in of_kind(manifests, "Service")
    }


def test_with_one_family_a_service_has_what_the_cluster_has(manifests: Manifests) -> None:
    assert set(families(manifests("prod")).values()) == {(None, None)}


def test_with_both_a_service_has_both_and_an_agent_that_of_its_runtime() -> None:
    found = families(rendered(BOTH))
    agents = {agent.name for agent in PROD.agents}
    assert len(agents) == 4
    assert {name: found[name] for name in agents} == dict.fromkeys(agents, ("SingleStack", ["IPv4"]))
    assert {found[name] for name in found.keys() - agents} == {("PreferDualStack", None)}


@pytest.mark.parametrize("families", [("IPv6",), ("IPv6", "IPv4")])
def test_an_agent_is_refused_where_the_kubelet_would_ask_it_by_ipv6(families: tuple[platforms.IpFamily, ...]) -> None:
    _, phase = shop(Platform(ip_families=families))
    with pytest.raises(SettingError, match=r"shop-prices listens on IPv4 alone.*Give \('IPv4', 'IPv6'\)"):
        Agent(phase, PRICES)


def test_the_policies_let_nobody_into_the_world_by_one_family_alone(manifests: Manifests) -> None:
    for environment in ("dev", "prod"):
        for policy in of_kind(manifests(environment), "NetworkPolicy"):
            for rule in policy["spec"].get("egress", []):
                cidrs = {peer["ipBlock"]["cidr"] for peer in rule.get("to", []) if "ipBlock" in peer}
                assert ("0.0.0.0/0" in cidrs) == ("::/0" in cidrs), policy["metadata"]["name"]


def test_what_listens_on_ipv4_alone_is_told_of(tmp_path: Path) -> None:
    application = AiInterviewer(replace(PROD, platform=BOTH), outdir=tmp_path / "prod")
    with pytest.raises(
        TreeError, match=r"backend listens on 0\.0\.0\.0, which is IPv4 alone, while pods have IPv4 and IPv6: give ''"
    ):
        application.manifests()


def test_pods_run_where_their_images_can() -> None:
    found = list(pods(rendered(Platform(architecture="arm64"))))
    assert found
    for pod in found:
        assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64"}


def test_of_two_kinds_of_nodes_the_pods_own_word_counts() -> None:
    application, phase = shop(Platform(architecture="arm64"))
    application.look()
    own = PodExtras(placement=Placement(node_selector=(("kubernetes.io/arch", "amd64"), ("disk", "fast"))))
    workload = Workload(
        phase,
        WorkloadSettings(
            name="web",
            extras=own,
            container=Container(
                name="web",
                image=images.REDIS,
                user=User(uid=1, gid=1),
                compute=SMALL,
                probes=NoProbes(because="No test starts it."),
            ),
        ),
    )
    spec = workload.pod_template().spec
    assert spec
    assert spec.node_selector == {"kubernetes.io/arch": "amd64", "disk": "fast"}


@pytest.mark.parametrize("environment", [DEV, PROD], ids=["dev", "prod"])
def test_autopilot_takes_every_environment_as_it_is(environment: EnvironmentSettings) -> None:
    assert rendered(platforms.AUTOPILOT, environment)


@pytest.mark.parametrize(
    ("cpu", "memory", "advice"),
    [
        ("40m", "64Mi", "at least 50m of CPU"),
        ("50m", "51Mi", "at least 52Mi of memory"),
        ("1", "1000Mi", "at least 1Gi of memory for each CPU"),
        ("100m", "700Mi", "at most 6656Mi of memory for each CPU, so more CPU"),
    ],
)
def test_what_autopilot_would_change_is_refused(cpu: str, memory: str, advice: str) -> None:
    application, phase = shop(platforms.AUTOPILOT)
    Workload(
        phase,
        WorkloadSettings(
            name="web",
            container=Container(
                name="web",
                image=images.REDIS,
                user=User(uid=1, gid=1),
                compute=Compute(cpu=cpu, memory=memory),
                probes=NoProbes(because="No test starts it."),
            ),
        ),
    )
    with pytest.raises(TreeError, match=rf"Deployment shop-web asks for .*, which the cluster would change.*{advice}"):
        application.manifests()


@pytest.mark.parametrize(("families", "problem"), [((), "Give"), (("IPv4", "IPv4"), "twice")])
def test_a_cluster_has_addresses(families: tuple[platforms.IpFamily, ...], problem: str) -> None:
    with pytest.raises(SettingError, match=rf"Platform\.ip_families.*{problem}"):
        Platform(ip_families=families)


# --- the real programs, in networks of their own: they listen where they are told to ---

NETWORKS = {  # the families of the platform, whether the kernel has IPv6, and where it is asked
    "IPv4": (Platform(), True, LOCALHOST),
    "IPv4 on a kernel without IPv6": (Platform(), False, LOCALHOST),
    "IPv6 of both": (BOTH, True, IPV6),
    "IPv4 of both": (BOTH, True, LOCALHOST),
}
BOTH_ENDS = (NETWORKS["IPv4 on a kernel without IPv6"], NETWORKS["IPv6 of both"])
"""The fewest families and the most. Who listens there does so where there are others beside, and is asked by IPv4."""
networks = pytest.mark.parametrize(("platform", "ipv6", "at"), grid(NETWORKS.values(), short=BOTH_ENDS), ids=NETWORKS)


@requires("nginx")
@networks
def test_the_gateway_is_there_and_finds_its_services(platform: Platform, ipv6: bool, at: str) -> None:
    manifests = rendered(platform)

    def ask() -> None:
        with running_gateway(manifests, alone_at=at, limited=False) as gateway:
            gateway.sign_in()
            assert gateway.request("GET", "/api/jobs").body == b"backend"
            assert is_open(gateway.pod.ports["metrics"], at)

    with own_network(ipv6=ipv6) as inside:
        inside(ask)


@requires("nginx")
def test_a_gateway_for_ipv6_does_not_start_on_a_kernel_without() -> None:
    """Why it is a setting: no way of listening is right on every node."""
    manifests = rendered(BOTH)

    def ask() -> None:
        with (
            pytest.raises(AssertionError, match="Address family not supported"),
            running_gateway(manifests, alone_at=LOCALHOST),
        ):
            pass

    with own_network(ipv6=False) as inside:
        inside(ask)


@requires("redis")
@networks
def test_redis_is_there(manifests: Manifests, platform: Platform, ipv6: bool, at: str, tmp_path: Path) -> None:
    def ask() -> None:
        with serving(start_redis(manifests("prod"), tmp_path, 6379, alone=True), lambda: is_open(6379, at)):
            assert redis_cli(6379, SECRETS[REDIS, "operator-password"], "PING", host=at) == '"PONG"\n'

    with own_network(ipv6=ipv6) as inside:
        inside(ask)


@requires("nginx")
def test_the_gateway_of_a_cluster_with_ipv6_alone_listens_nowhere_else(tmp_path: Path) -> None:
    application = Application(ApplicationSettings(name="ai-interviewer", platform=IPV6_ALONE), outdir=tmp_path / "shop")
    phase = Phase(application, "access")
    user = User(uid=1000, gid=1000)
    container = Container(
        name="backend",
        image=images.REDIS,
        user=user,
        compute=SMALL,
        ports=(Port(number=8000),),
        probes=NoProbes(because="No test starts it."),
    )
    backend = Workload(phase, WorkloadSettings(name="backend", container=container))
    settings = GatewaySettings(image=images.OPENRESTY, compute=SMALL, host="shop.local", https=False)
    routes = [Route(path="/", to=backend, audience=Audience.PUBLIC)]
    Gateway(phase, settings, routes, DevIdentity(email="me@example.com"))
    close(phase)
    application.synth()

    def ask() -> None:
        with running_gateway(read_manifests(tmp_path / "shop"), alone_at=IPV6) as gateway:
            assert gateway.request("GET", "/").body == b"backend"
            assert is_open(gateway.pod.ports["metrics"], IPV6)
            assert not is_open(gateway.port, LOCALHOST)
            assert not is_open(gateway.pod.ports["metrics"], LOCALHOST)

    with own_network() as inside:
        inside(ask)


def postgres_is_there(server: Server, at: str) -> None:
    """A client logs in with the password it is given, from the network."""
    me = server.client("backend")
    url = me["url"].replace("127.0.0.1", f"[{at}]" if ":" in at else at)
    assert server.ask("SELECT current_user", **{**me, "url": url}) == ["backend"]


@requires("postgresql")
@networks
def test_postgres_is_there(manifests: Manifests, platform: Platform, ipv6: bool, at: str) -> None:
    account = Account.unprivileged()

    def ask() -> None:
        with account.folder(of_data=True) as folder, starting(manifests("prod"), account, folder, 5432) as server:
            password = server.client("backend")["PGPASSWORD"].replace("'", "''")
            server.ask(
                f"CREATE ROLE backend LOGIN PASSWORD '{password}'",
                "CREATE ROLE clients ROLE backend",
                "CREATE DATABASE ai_interviewer",
            )
            postgres_is_there(server, at)

    with own_network(ipv6=ipv6) as inside:
        inside(ask)


@contextmanager
def login(manifests: Sequence[Manifest], account: Account) -> Generator[None, None, None]:
    """The rendered oauth2-proxy, where it is told to listen."""
    manifest = find(manifests, "Deployment", PREFIX + LOGIN)
    secrets = {(PREFIX + LOGIN, key): "0123456789abcdef" for key in ("client-id", "client-secret", "cookie-secret")}
    environment = pod_environment(manifest, LOGIN, secrets=secrets, loopback=Loopback())
    with account.folder() as folder:
        program = Path(shutil.copy(str(shutil.which("oauth2-proxy")), folder))
        pod = start_pod(
            manifest,
            LOGIN,
            environment=environment,
            loopback=Loopback(),
            root=folder,
            before=account.command,
            entrypoint=[str(program)],
        )
        with serving(pod, lambda: is_open(4180)):
            yield


def status(at: str, port: int, path: str) -> int:
    """What an address of loopback answers."""
    with urllib.request.urlopen(f"http://{f'[{at}]' if ':' in at else at}:{port}{path}", timeout=START) as answer:
        return int(answer.status)


@requires("oauth2_proxy")
@networks
def test_the_login_is_there(manifests: Manifests, platform: Platform, ipv6: bool, at: str) -> None:
    def ask() -> None:
        with login(manifests("prod"), Account.unprivileged()):
            assert status(at, 4180, "/ping") == 200

    with own_network(ipv6=ipv6) as inside:
        inside(ask)


@contextmanager
def of_python(
    manifests: Sequence[Manifest], name: str, source: str, path: Path, account: Account
) -> Generator[Pod, None, None]:
    """A rendered service of Python that runs this source as its module, where it is told to listen.

    Args:
        path: The folder of its Python.
    """
    manifest = find(manifests, "Deployment", PREFIX + name)
    spec = container_of(manifest, name)
    (port,) = (port["containerPort"] for port in spec["ports"])
    away = {
        f"{m['metadata']['name']}:{p['port']}": 9 for m in of_kind(manifests, "Service") for p in m["spec"]["ports"]
    }
    environment = pod_environment(manifest, name, secrets=SECRETS, loopback=Loopback(services=away))
    environment["PATH"] = f"{path}:{environment['PATH']}"
    module = spec["args"][2] if spec["args"][1] == "uvicorn" else spec["args"][1]
    with account.folder() as folder:
        (folder / f"{module.partition(':')[0]}.py").write_text(source)
        loopback = Loopback(ports={port: port})
        pod = start_pod(manifest, name, environment=environment, loopback=loopback, root=folder, before=account.command)
        with serving(pod, lambda: is_open(port)):
            yield pod


BACKEND = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})
"""
AGENT = """
import mesh
from fastmcp import FastMCP

app = FastMCP("Agent")

@app.tool()
@mesh.tool(capability="echo")
def echo(text: str) -> str:
    return text

@mesh.agent(name="agent", auto_run=True)
class Agent:
    pass
"""
ROOT_USER = Account(0, 0)
"""Who may read the Python of whoever runs the tests."""


@pytest.fixture
def runtime(needs_mesh: Path) -> Path:
    """The folder of the Python that has mcp-mesh, and uvicorn with it."""
    return needs_mesh


@networks
def test_the_backend_is_there(platform: Platform, ipv6: bool, at: str, runtime: Path) -> None:
    manifests = rendered(platform)

    def ask() -> None:
        with of_python(manifests, "backend", BACKEND, runtime, ROOT_USER):
            assert status(at, 8080, "/") == 200

    with own_network(ipv6=ipv6) as inside:
        inside(ask)


@pytest.mark.long  # one that an assigned user runs, below, is asked the same
@pytest.mark.parametrize("ipv6", [True, False])
def test_an_agent_is_there_by_ipv4_and_not_by_ipv6(manifests: Manifests, ipv6: bool, runtime: Path) -> None:
    """What its Service says of it. The day this fails, the runtime listens on both."""

    def ask() -> None:
        with of_python(manifests("prod"), "pdf-extractor", AGENT, runtime, ROOT_USER):
            assert status(LOCALHOST, 8090, "/ready") == 200
            assert not ipv6 or not is_open(8090, IPV6)

    with own_network(ipv6=ipv6) as inside:
        inside(ask)


# --- the real programs as users whom nobody knows, on volumes that a group may write ---


@pytest.fixture
def on_openshift() -> Sequence[Manifest]:
    """Production, where the cluster assigns users."""
    return rendered(platforms.OPENSHIFT)


def as_assigned(*words: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What a command answers that runs beside the program, as the same user."""
    words = (*ASSIGNED.command, *words)
    return subprocess.run(words, env=dict(environment), capture_output=True, text=True, timeout=START, cwd="/")


def runs_as(pod: Pod) -> str:
    """The user and group of the process."""
    lines = Path(f"/proc/{pod.process.pid}/status").read_text().splitlines()
    return " ".join(line.split()[1] for line in lines if line.startswith(("Uid:", "Gid:")))


@needs_root
@requires("nginx")
def test_an_assigned_user_serves_the_gateway(on_openshift: Sequence[Manifest]) -> None:
    with running_gateway(on_openshift, account=ASSIGNED) as gateway:
        gateway.sign_in()
        assert gateway.request("GET", "/api/jobs").body == b"backend"
        assert runs_as(gateway.pod) == "1000680000 0"


@needs_root
@requires("redis")
def test_an_assigned_user_keeps_what_redis_is_given(on_openshift: Sequence[Manifest]) -> None:
    password = SECRETS[REDIS, "operator-password"]
    with ASSIGNED.folder() as folder:
        for given, found in (("SET", '"OK"\n'), ("GET", '"kept"\n')):
            port = free_port()
            value = ("kept",) if given == "SET" else ()
            pod = start_redis(on_openshift, folder, port, account=ASSIGNED)
            with serving(pod, lambda port=port: redis_cli(port, password, "PING") == '"PONG"\n'):  # type: ignore[misc]
                assert redis_cli(port, password, given, "key", *value) == found
                assert runs_as(pod) == "1000680000 0"


@needs_root
@requires("postgresql")
def test_an_assigned_user_serves_postgres(on_openshift: Sequence[Manifest], manifests: Manifests) -> None:
    maker, port = Account.unprivileged(), free_port()
    with ASSIGNED.folder() as folder:
        # initdb alone wants to know its user by name. The image knows a way, and so does the runtime of OpenShift.
        # The data are those of elsewhere: they were made already, for other tests.
        with starting(manifests("prod"), maker, folder, port, f"listen_addresses={LOCALHOST}", brought=True) as first:
            data = Path(first.pod.environment["PGDATA"])
        for path in (data, *data.rglob("*")):
            os.chown(path, ASSIGNED.uid, ASSIGNED.gid)
        with starting(on_openshift, ASSIGNED, folder, port, f"listen_addresses={LOCALHOST}") as server:
            assert runs_as(server.pod) == "1000680000 0"
            assert set(server.probes().values()) <= {"exit 0", "open"}
            me = server.client("backend")
            words = ("psql", "--no-psqlrc", "--command=SELECT 1", me.pop("url"))
            done = as_assigned(*words, environment={**server.pod.environment, **me})
            assert done.returncode == 0, done.stderr


@needs_root
@requires("postgresql")
def test_only_initdb_wants_a_name_for_its_user() -> None:
    with ASSIGNED.folder() as folder:
        made = as_assigned("initdb", f"--pgdata={folder}/data", environment=os.environ)
        assert "could not look up effective user ID 1000680000" in made.stderr


@needs_root
@requires("oauth2_proxy")
def test_an_assigned_user_serves_the_login(on_openshift: Sequence[Manifest]) -> None:
    def ask() -> None:
        with login(on_openshift, ASSIGNED):
            assert status(LOCALHOST, 4180, "/ready") == 200

    with own_network() as inside:
        inside(ask)


def is_for_everyone(path: Path) -> bool:
    """Whether others may enter the folders that lead there."""
    return all(parent.stat().st_mode & 0o5 == 0o5 for parent in path.parents)


def for_everyone(runtime: Path, folder: Path) -> Path:
    """The folder of a Python with the modules of this one, that others may start too."""
    real = (runtime / "python").resolve()
    (modules,) = runtime.parent.glob("lib/*/site-packages")
    if not is_for_everyone(modules):
        lack(f"{modules} is for its owner alone, as all in a home of root is")
    if is_for_everyone(real):
        return runtime
    system = Path("/usr/bin", real.name)
    if not system.exists():
        lack(f"{real} is for its owner alone, and there is no {system}")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(modules))} exec {system} "$@"\n')
    python.chmod(0o755)
    return folder


@needs_root
@pytest.mark.parametrize(("name", "source"), [("backend", BACKEND), ("pdf-extractor", AGENT)])
def test_an_assigned_user_serves_what_is_of_python(
    on_openshift: Sequence[Manifest], name: str, source: str, runtime: Path
) -> None:
    with own_network() as inside, ASSIGNED.folder() as folder:
        path = for_everyone(runtime, folder)

        def ask() -> None:
            with of_python(on_openshift, name, source, path, ASSIGNED) as pod:
                (port,) = pod.loopback.ports
                assert status(LOCALHOST, port, "/" if name == "backend" else "/ready") == 200
                assert not is_open(port, IPV6)
                assert runs_as(pod) == "1000680000 0"

        inside(ask)
