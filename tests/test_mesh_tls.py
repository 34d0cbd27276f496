"""This module is the proof of the mesh's mutual TLS: who has a certificate of its CA is served, and nobody else.

The programs are real: registry and dashboard of a later MCP Mesh, and agents of 3.x on the runtime of PyPI. They run
with what is rendered for their pods, but for places; certificates are made here, as an issuer would make them. All of
it has a network of its own, since they listen on every address.
"""

import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from conftest import read_manifests, requires
from encrypted import with_extensions
from gateway_harness import PREFIX
from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    Api,
    ApiSettings,
    Application,
    ApplicationSettings,
    Audience,
    Blackbox,
    BlackboxSettings,
    Budget,
    BuiltImage,
    CertManager,
    Compute,
    ExistingCertificates,
    External,
    Image,
    Internet,
    Java,
    Mesh,
    MeshDashboard,
    MeshDashboardSettings,
    MeshRelease,
    MeshTls,
    Namespace,
    NamespacePods,
    NamespaceSettings,
    Phase,
    RateLimit,
    Registry,
    RegistrySettings,
    Reloader,
    Route,
    SettingError,
    TreeError,
    TypeScript,
    Workload,
    images,
    variables,
)
from mcpmesh_k8s.delivery import _smoke_program
from mcpmesh_k8s.operations import health
from mesh_harness import (
    LOCALHOST,
    SECRETS,
    Loopback,
    Manifest,
    Pod,
    container_of,
    eventually,
    find,
    free_port,
    is_open,
    mounted,
    pod_environment,
    probe,
    start_pod,
)
from networks import needs_root, own_network
from processes import START, serving
from registry_room import ROOM

if TYPE_CHECKING:
    from mcpmesh_k8s.operations.environment import Environment
    from mcpmesh_k8s.operations.programs import Kubectl

CODE = Path(__file__).with_name("mesh3") / "code"
SMALL = Compute(cpu="100m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi")
BUILT = BuiltImage(image=Image(repository="acme/prices", tag="1.4.2"))
ISSUED = MeshTls(certificates=CertManager(issuer="mesh-ca"))
FOLDER = "/etc/tls/server"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
PORTS = {"registry": 8000, "stock": 8090, "prices": 8090, "web": 8080}
DASHBOARD = "mesh-dashboard"


def application(folder: Path, tls: MeshTls | None = ISSUED, reloader: Reloader | None = None) -> Application:
    """A registry, two agents of which one asks the other, an API service that asks that, and who looks after them."""
    settings = ApplicationSettings(name=PREFIX.strip("-"), mesh=Mesh(tls=tls), reloader=reloader)
    made = Application(settings, outdir=folder)
    phase = Phase(made, "mesh")
    Namespace(phase, NamespaceSettings(budget=Budget(cpu="4", memory="8Gi")))
    wanted = RegistrySettings(image=images.REGISTRY, compute=SMALL, calls_agents=True, extras=ROOM)
    registry = Registry(phase, wanted)
    stock, prices = (
        Agent(phase, AgentSettings(name=name, code=BUILT, compute=SMALL, module=name, debounce_seconds=1))
        for name in ("stock", "prices")
    )
    arguments = ("web:app", "--host", "0.0.0.0", "--port", "8080")
    web = Api(
        phase,
        ApiSettings(name="web", code=BUILT, compute=SMALL, module="uvicorn", args=arguments, debounce_seconds=1),
    )
    for client in (stock, prices, web):
        client.connects_to(registry)
    prices.connects_to(stock)
    web.connects_to(prices)
    Blackbox(phase, BlackboxSettings())
    dashboard = MeshDashboard(phase, MeshDashboardSettings())
    database = variables({"DATABASE_URL": "postgresql://dashboard@db.example.com/mesh"})
    elsewhere = External(name="the database", hosts=("db.example.com",), peer=Internet(), introduction=database)
    dashboard.connects_to(registry, elsewhere)
    return made


def rendered_in(folder: Path, tls: MeshTls | None = ISSUED) -> Sequence[Manifest]:
    """What is rendered of it."""
    application(folder, tls).synth()
    return read_manifests(folder)


def main_of(rendered: Sequence[Manifest], name: str) -> Manifest:
    """The only container of a Deployment."""
    (container,) = find(rendered, "Deployment", PREFIX + name)["spec"]["template"]["spec"]["containers"]
    return container  # type: ignore[no-any-return]


def variables_of(rendered: Sequence[Manifest], name: str) -> dict[str, str]:
    """Its variables that are texts."""
    return {one["name"]: one["value"] for one in main_of(rendered, name)["env"] if "value" in one}


# What is rendered.


def test_without_it_nothing_speaks_tls(tmp_path: Path) -> None:
    rendered = rendered_in(tmp_path / "dist", tls=None)
    assert "TLS" not in json.dumps(rendered)
    assert "https://" not in json.dumps(rendered)


def test_each_program_has_a_certificate_of_its_own_good_for_its_service(tmp_path: Path) -> None:
    rendered = rendered_in(tmp_path / "dist")
    certificates = {m["metadata"]["name"]: m["spec"] for m in rendered if m["kind"] == "Certificate"}
    assert set(certificates) == {f"{PREFIX}{name}-tls" for name in (*PORTS, "blackbox", DASHBOARD)}
    for name in PORTS:
        spec = certificates[f"{PREFIX}{name}-tls"]
        assert spec["secretName"] == f"{PREFIX}{name}-tls"
        # What others dial, and the container itself.
        assert {PREFIX + name, "localhost"} < set(spec["dnsNames"])
        assert {"server auth", "client auth"} < set(spec["usages"])
        (volume,) = (
            one["secret"]
            for one in find(rendered, "Deployment", PREFIX + name)["spec"]["template"]["spec"]["volumes"]
            if "secret" in one
        )
        assert volume["secretName"] == f"{PREFIX}{name}-tls"
        assert [item["path"] for item in volume["items"]] == ["tls.crt", "tls.key", "ca.pem"]
        assert volume["defaultMode"] == 0o440
        (mount,) = (one for one in main_of(rendered, name)["volumeMounts"] if one["mountPath"] == FOLDER)
        assert mount["readOnly"]
        told = variables_of(rendered, name)
        assert {told[f"MCP_MESH_TLS_{one}"] for one in ("CERT", "KEY", "CA")} == {
            f"{FOLDER}/{file}" for file in ("tls.crt", "tls.key", "ca.pem")
        }
        assert told["MCP_MESH_TLS_MODE"] == "strict"
        if name != "registry":
            assert told["MCP_MESH_REGISTRY_URL"] == f"https://{PREFIX}registry:8000"
    told = variables_of(rendered, DASHBOARD)
    assert {told[f"MCP_MESH_REGISTRY_TLS_{one}"] for one in ("CERT", "KEY", "CA")} == {
        f"{FOLDER}/{file}" for file in ("tls.crt", "tls.key", "ca.pem")
    }
    told = variables_of(rendered, "registry")
    assert (told["MCP_MESH_TRUST_BACKEND"], told["MCP_MESH_TRUST_DIR"]) == ("filestore", FOLDER)


def test_given_secrets_are_named_and_made_by_nobody(tmp_path: Path) -> None:
    rendered = rendered_in(tmp_path / "dist", tls=MeshTls(certificates=ExistingCertificates()))
    assert not [m for m in rendered if m["kind"] == "Certificate"]
    assert f"{PREFIX}prices-tls" in json.dumps(find(rendered, "Deployment", f"{PREFIX}prices"))


def test_where_reloader_runs_it_is_told_of_each_secret(tmp_path: Path) -> None:
    rendered = rendered_in(tmp_path / "dist", tls=replace(ISSUED, reloader=True))
    for name in PORTS:
        annotations = find(rendered, "Deployment", PREFIX + name)["metadata"]["annotations"]
        assert annotations["secret.reloader.stakater.com/reload"] == f"{PREFIX}{name}-tls"


def test_that_a_certificate_is_about_to_end_is_said(tmp_path: Path) -> None:
    names = {"CertificateExpiring", "CertificateExpired"}
    for tls in (ISSUED, None):
        (blackbox,) = application(tmp_path / ("with" if tls else "without"), tls).find_all(Blackbox)
        assert names & {alert.name for alert in blackbox.alerts} == (names if tls else set())


LONG_AGO = "CertificateReadLongAgo"


@pytest.mark.parametrize(
    ("tls", "reloader", "ends"),
    [
        (ISSUED, None, "+ 2592000 - time() < 172800"),
        (MeshTls(certificates=CertManager(issuer="mesh-ca", renew_before="100h")), None, "+ 360000 - time() < 90000"),
        # It is restarted when its certificate is renewed.
        (replace(ISSUED, reloader=True), None, ""),
        (ISSUED, Reloader(), ""),
        # When those are renewed, nobody knows.
        (MeshTls(certificates=ExistingCertificates()), None, ""),
        (None, None, ""),
    ],
)
def test_who_shows_a_certificate_that_nobody_sees_is_not_to_run_for_too_long(
    tmp_path: Path, tls: MeshTls | None, reloader: Reloader | None, ends: str
) -> None:
    made = application(tmp_path / "dist", tls, reloader)
    told = {one.name: [a.expression for a in one.alerts if a.name == LONG_AGO] for one in made.find_all(Workload)}
    # Of the others it is seen what they show.
    assert {name for name, found in told.items() if found} == ({"web", DASHBOARD} if ends else set())
    for name, found in told.items():
        for expression in found:
            assert expression == (
                "max by (pod) (kube_pod_container_state_started"
                f'{{pod=~"{PREFIX}{name}-.+", container="{name}"}}) {ends}'
            )


def test_a_probe_that_asks_by_a_command_says_why_before_it_is_given_up(tmp_path: Path) -> None:
    """The kubelet gives up after three seconds, and tells nobody what the program said."""
    rendered = rendered_in(tmp_path / "with")
    for name, limit in (("registry", "--timeout=2"), ("prices", "--max-time 2")):
        for kind in PROBES:
            asked = main_of(rendered, name)[kind]
            assert limit in " ".join(asked["exec"]["command"])
            assert asked["timeoutSeconds"] == 3
    # One that hangs finishes nothing: it is killed as soon as without TLS.
    plain = rendered_in(tmp_path / "without", tls=None)
    for kind in PROBES:
        grace = [main_of(each, "registry")[kind].get("terminationGracePeriodSeconds") for each in (rendered, plain)]
        assert grace == [None if kind == "readinessProbe" else 10] * 2


def test_an_api_service_serves_people_as_before(tmp_path: Path) -> None:
    with_it, without = rendered_in(tmp_path / "with"), rendered_in(tmp_path / "without", tls=None)
    for kind in PROBES:
        assert main_of(with_it, "web")[kind] == main_of(without, "web")[kind]
        assert "httpGet" in main_of(without, "prices")[kind]
        assert "exec" in main_of(with_it, "prices")[kind]


def test_what_would_not_work_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"Mesh\.tls: .*0\.5 speaks none\. Give MeshRelease\.V3"):
        Mesh(release=MeshRelease.V0_5, tls=ISSUED)
    made = application(tmp_path / "dist")
    (phase,) = made.phases
    for one in (*made.find_all(Registry), *made.find_all(Agent)):
        with pytest.raises(SettingError, match=r"It speaks TLS alone, and the gateway does not"):
            Route(path="/agents", to=one, audience=Audience.ADMINISTRATOR, rate=RateLimit())
    for runtime in (TypeScript(entry="dist/index.js"), Java(jar="app.jar")):
        settings = ApiSettings(name="other", code=BUILT, compute=SMALL, runtime=runtime)
        with pytest.raises(SettingError, match=r"other runtime: .*would demand a certificate of people, too"):
            Api(phase, settings)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_registry_of_others_speaks_tls_too(tmp_path: Path, scheme: str) -> None:
    made = application(tmp_path / "dist")
    (phase,) = made.phases
    url = f"{scheme}://registry.mesh:8000"
    theirs = External(
        name="the registry of others",
        hosts=("registry.mesh",),
        port=8000,
        peer=NamespacePods(namespace="mesh"),
        introduction=variables({"MCP_MESH_REGISTRY_URL": url}),
    )
    Agent(phase, AgentSettings(name="guest", code=BUILT, compute=SMALL, module="guest")).connects_to(theirs)
    if scheme == "https":
        made.manifests()
        return
    with pytest.raises(TreeError, match=f"guest has MCP_MESH_REGISTRY_URL={url}, and .* speaks TLS: give https://"):
        made.manifests()


# The real programs.


@dataclass
class Issuer:
    """A CA, which makes certificates as cert-manager would."""

    name: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = self._signed(subject, subject, self.key.public_key(), timedelta(days=1), constraints)

    def _signed(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePublicKey,
        lasts: timedelta,
        *extensions: x509.ExtensionType,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .issuer_name(issuer)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + lasts)
        )
        extended = with_extensions(builder, subject, key, self.key.public_key(), extensions)
        return extended.sign(self.key, hashes.SHA256())

    def write(self, folder: Path, names: Sequence[str], lasts: timedelta = timedelta(hours=1)) -> Path:
        """The three files of a Secret of cert-manager, as they are mounted; it is good for 127.0.0.1 besides."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [*map(x509.DNSName, names), x509.IPAddress(ip_address(LOCALHOST))]
        signed = self._signed(
            x509.Name([]),
            self.certificate.subject,
            key.public_key(),
            lasts,
            x509.BasicConstraints(ca=False, path_length=None),
            x509.SubjectAlternativeName(alternatives),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        )
        folder.mkdir(parents=True, exist_ok=True)
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        (folder / "tls.crt").write_bytes(signed.public_bytes(pem))
        (folder / "tls.key").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        (folder / "ca.pem").write_bytes(self.certificate.public_bytes(pem))
        return folder


def answer(url: str, certificate: Path | None, *, authority: Path | None = None) -> int:
    """The status of an answer to whoever shows this certificate, or none; 0 for no answer at all."""
    context = ssl.create_default_context(cafile=(authority or certificate or Path()) / "ca.pem")
    if certificate:
        context.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, HTTPException):
        return 0


@dataclass
class Running:
    """The mesh, in a network of its own."""

    rendered: Sequence[Manifest]
    root: Path
    runtime: Path
    stack: ExitStack
    issuer: Issuer = field(default_factory=lambda: Issuer("the mesh"))
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PORTS})

    def url(self, name: str, path: str = "", scheme: str = "https") -> str:
        return f"{scheme}://{LOCALHOST}:{self.ports[name]}{path}"

    def names_of(self, name: str) -> Sequence[str]:
        names: Sequence[str] = find(self.rendered, "Certificate", f"{PREFIX}{name}-tls")["spec"]["dnsNames"]
        return names

    def start(
        self,
        name: str,
        *,
        issuer: Issuer | None = None,
        lasts: timedelta = timedelta(hours=1),
        folder: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> tuple[Pod, Path]:
        """A pod with what is rendered for it, and the folder of its certificate."""
        manifest = find(self.rendered, "Deployment", PREFIX + name)
        root = self.root / (folder or name)
        root.mkdir()
        number = container_of(manifest, name)["ports"][0]["containerPort"]
        self.ports.setdefault(name, free_port())
        services = {f"{PREFIX}{other}:{number}": self.ports[other] for other, number in PORTS.items()}
        loopback = Loopback(services=services, ports={number: self.ports[name]})
        mounts = mounted(self.rendered, manifest, name, root=root, loopback=loopback)
        files = (issuer or self.issuer).write(mounts[FOLDER], self.names_of(name), lasts)
        # Whoever shows a certificate of another CA believes the others nevertheless.
        (files / "ca.pem").write_bytes(self.issuer.certificate.public_bytes(serialization.Encoding.PEM))
        loopback = replace(loopback, mounts=mounts)
        environment = {
            one: loopback.command(value) if value.startswith(FOLDER) else value
            for one, value in pod_environment(manifest, name, secrets=SECRETS, loopback=loopback).items()
        }
        environment |= {
            "PATH": f"{self.runtime}:{environment['PATH']}",
            "PYTHONPATH": str(CODE),
            "POD_ADDRESS": LOCALHOST,
            "POD_SERVICES": str(self.root / "services"),
            **(variables or {}),
        }
        pod = start_pod(
            manifest,
            name,
            environment=environment,
            loopback=loopback,
            root=root,
            entrypoint=["meshui" if name == DASHBOARD else "mcp-mesh-registry"],
        )
        return self.stack.enter_context(pod), files

    def start_registry(self, **given: Any) -> tuple[Pod, Path]:
        """The registry, with a file in the place of PostgreSQL, from when it answers."""
        own = {
            "DATABASE_URL": str(self.root / "registry.db"),
            "MCP_MESH_ADMIN_PORT": str(free_port()),
            "MCP_MESH_DISTRIBUTED_TRACING_ENABLED": "false",
        }
        pod, files = self.start("registry", variables=own, **given)
        assert eventually(lambda: probe(pod.spec["readinessProbe"], pod) == "exit 0", START), pod.output
        return pod, files

    def agents(self, certificate: Path) -> dict[str, str]:
        """Whom the registry knows, and how they are."""
        environment = {
            "AGENTS": "stock,prices",
            "MCP_MESH_REGISTRY_URL": self.url("registry"),
            **{
                f"MCP_MESH_TLS_{name}": str(certificate / file)
                for name, file in (("CERT", "tls.crt"), ("KEY", "tls.key"), ("CA", "ca.pem"))
            },
        }
        return _smoke_program.agents(environment, time.monotonic() + 5)


@contextmanager
def running(folder: Path, runtime: Path) -> Generator[Running, None, None]:
    """What is rendered, before anything of it runs."""
    with ExitStack() as stack:
        root = folder / "pods"
        root.mkdir()
        yield Running(rendered_in(folder / "dist"), root, runtime, stack)


@needs_root
@requires("mesh_registry", "watching", "curl", "wget")
def test_who_has_a_certificate_of_the_ca_is_served_and_nobody_else(tmp_path: Path, needs_mesh3: Path) -> None:
    def check() -> None:
        with running(tmp_path, needs_mesh3) as mesh:
            registry, of_registry = mesh.start_registry()
            pods = {name: mesh.start(name) for name in ("stock", "prices", "web")}
            own, stranger = pods["prices"][1], Issuer("somebody else").write(tmp_path / "stranger", ["localhost"])

            # A call goes through all of it: from people by plain HTTP, and then from each to the next by mutual TLS.
            def said() -> str:
                try:
                    url = mesh.url("web", "/price?item=apples", "http")
                    with urllib.request.urlopen(url, timeout=10) as response:
                        return str(json.loads(response.read())["said"])
                except OSError:
                    return ""

            assert eventually(lambda: "there are 7 apples" in said(), 2 * START), {
                name: pod.output for name, (pod, _) in pods.items()
            }
            assert eventually(lambda: not any(mesh.agents(own).values()), START), mesh.agents(own)

            # Each probe is told what it should be, by the command that is rendered.
            for pod in (registry, pods["stock"][0], pods["prices"][0]):
                assert {kind: probe(pod.spec[kind], pod) for kind in PROBES} == dict.fromkeys(PROBES, "exit 0")
            web = pods["web"][0]
            assert {kind: probe(web.spec[kind], web) for kind in PROBES} == dict.fromkeys(PROBES, "200")

            # The registry, whatever it is asked for.
            for path in ("/health", "/agents", "/", "/trace/status"):
                url = mesh.url("registry", path)
                assert answer(url, own) == 200, path
                assert answer(url, None, authority=own) == 403, path
                assert answer(url, stranger, authority=own) == 403, path
                assert answer(url, stranger) == 0, "It is no server of that CA."
                with pytest.raises(urllib.error.HTTPError, match="400"):
                    urllib.request.urlopen(mesh.url("registry", path, "http"), timeout=5)
            # An agent says nothing at all.
            for path in ("/livez", "/ready", "/mcp"):
                url = mesh.url("prices", path)
                assert answer(url, of_registry) in (200, 405, 406), path
                assert answer(url, None, authority=own) == 0, path
                assert answer(url, stranger, authority=own) == 0, path
            # From the registry to an agent.
            call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
            proxied = mesh.url("registry", f"/proxy/{LOCALHOST}:{mesh.ports['stock']}/mcp")
            listed = subprocess.run(
                [
                    *("curl", "--silent", "--header", "Content-Type: application/json"),
                    *("--header", "Accept: application/json, text/event-stream", "--data", call),
                    *("--cacert", own / "ca.pem", "--cert", own / "tls.crt", "--key", own / "tls.key", proxied),
                ],
                capture_output=True,
                text=True,
                timeout=START,
            )
            assert '"name":"stock"' in listed.stdout.replace(" ", "")

            # An operator asks in their own pods.
            made = application(tmp_path / "operated")
            agents = list(made.find_all(Agent))
            operated = cast("Environment", SimpleNamespace(application=made, agents=agents, gateways=()))
            inside = cast("Kubectl", InPods({"registry": registry, **{name: pod for name, (pod, _) in pods.items()}}))
            assert {one.check: one.passed for one in health.registry_lists(operated, inside, "")} == {
                "registry lists stock": True,
                "registry lists prices": True,
            }
            assert "stock" in health.tools_of(operated, inside, agents[0], "")

            # Who looks after them shows a certificate too.
            dashboard, _ = mesh.start(DASHBOARD, variables={"DATABASE_URL": str(mesh.root / "registry.db")})
            shown = mesh.url(DASHBOARD, "/api/agents", "http")

            def count() -> int:
                try:
                    with urllib.request.urlopen(shown, timeout=5) as response:
                        return int(json.loads(response.read())["count"])
                except OSError:
                    return 0

            assert eventually(lambda: count() == 3, START), dashboard.output
            assert "it answered 403" in str(mesh.agents(stranger)) or "no answer" in str(mesh.agents(stranger))
            checked = check_by_blackbox(mesh, of_registry)
            servers = ("registry", "stock", "prices")
            assert checked == dict.fromkeys((*servers, *(f"{name}-tls" for name in servers)), True)
            assert check_by_blackbox(mesh, stranger, authority=of_registry)["registry"] is False
            assert not any(check_by_blackbox(mesh, of_registry, authority=stranger).values())

    with own_network() as inside:
        inside(check)


@dataclass
class InPods:
    """kubectl, of which nothing is used but ``exec``."""

    pods: Mapping[str, Pod]

    def output(self, *arguments: str) -> str:
        """What a command says that runs in a container."""
        does, _, container, _, *command = arguments
        assert does == "exec"
        pod = self.pods[container.removeprefix("--container=")]
        words = [pod.loopback.command(word) for word in command]
        done = subprocess.run(words, env=dict(pod.environment), capture_output=True, text=True, timeout=START)
        assert done.returncode == 0, done.stderr
        return done.stdout


def check_by_blackbox(mesh: Running, certificate: Path, authority: Path | None = None) -> dict[str, bool]:
    """What the real exporter says of each check of registry and agents, with what is rendered for it.

    Args:
        certificate: What it shows.
        authority: Whom it believes; the CA of what it shows unless given.
    """
    manifest = find(mesh.rendered, "Deployment", f"{PREFIX}blackbox")
    root = mesh.root / f"blackbox-{free_port()}"
    root.mkdir()
    mounts = mounted(mesh.rendered, manifest, "blackbox", root=root, loopback=Loopback())
    for file in ("tls.crt", "tls.key"):
        (mounts[FOLDER] / file).write_bytes((certificate / file).read_bytes())
    for name in mesh.ports.keys() - {"web", DASHBOARD}:
        (mounts[f"/etc/tls/{name}"] / "ca.crt").write_bytes(((authority or certificate) / "ca.pem").read_bytes())
    modules = yaml.safe_load((mounts["/etc/blackbox"] / "blackbox.yaml").read_text())["modules"]
    port = free_port()
    loopback = Loopback(ports={9115: port}, mounts=mounts)
    environment = pod_environment(manifest, "blackbox", secrets=SECRETS, loopback=loopback)
    pod = start_pod(
        manifest,
        "blackbox",
        environment=environment,
        loopback=loopback,
        root=root,
        entrypoint=["blackbox_exporter", f"--web.listen-address={LOCALHOST}:{port}"],
    )
    with serving(pod, lambda: is_open(port)):
        found = dict[str, bool]()
        for name in modules.keys() - {"web", DASHBOARD}:
            server = name.removesuffix("-tls")
            target = mesh.url("registry", "/agents") if server == name else f"{LOCALHOST}:{mesh.ports[server]}"
            asked = f"http://{LOCALHOST}:{port}/probe?module={name}&target={target}"
            with urllib.request.urlopen(asked, timeout=10) as response:
                text = response.read()
                found[name] = b"probe_success 1" in text
                assert not found[name] or b"\nprobe_ssl_earliest_cert_expiry 1" in text
        return found


@needs_root
@pytest.mark.long  # that who shows a certificate of another CA is refused, is asked above
@requires("mesh_registry", "wget")
def test_an_agent_of_another_ca_is_never_known(tmp_path: Path, needs_mesh3: Path) -> None:
    def check() -> None:
        with running(tmp_path, needs_mesh3) as mesh:
            registry, own = mesh.start_registry()
            stock, _ = mesh.start("stock", issuer=Issuer("somebody else"))
            assert eventually(lambda: "certificate verification failed" in registry.output, START), stock.output
            time.sleep(1)
            assert mesh.agents(own)["agent stock"] == "it is not registered"

    with own_network() as inside:
        inside(check)


@needs_root
@requires("mesh_registry", "wget")
def test_who_kept_an_old_certificate_is_restarted_when_it_has_ended(tmp_path: Path) -> None:
    """Programs read theirs when they start: the kubelet brings another, and the probe says when it is needed."""

    def check() -> None:
        with running(tmp_path, tmp_path) as mesh:
            registry, files = mesh.start_registry(lasts=timedelta(seconds=6))
            liveness = registry.spec["livenessProbe"]
            mesh.issuer.write(files, mesh.names_of("registry"))  # renewed
            assert probe(liveness, registry) == "exit 0"
            time.sleep(4)  # to ask all the while, twenty times a second, takes longer than the registry
            assert eventually(lambda: probe(liveness, registry) != "exit 0", START)
            assert registry.process.poll() is None
            registry.terminate(5)
            again, files = mesh.start_registry(folder="again")
            assert probe(liveness, again) == "exit 0"

    with own_network() as inside:
        inside(check)
