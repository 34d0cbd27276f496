"""An agent in a company's cluster without the internet: `python company.py` writes dist/company."""

from dataclasses import replace

from mcpmesh_k8s import (
    AddressRange,
    Agent,
    AgentSettings,
    Application,
    ApplicationSettings,
    Budget,
    BuiltImage,
    Compute,
    ExistingConfigMap,
    ExistingSecrets,
    External,
    Image,
    IssuedKey,
    Listener,
    ModelProvider,
    ModelProviderSettings,
    ModelVendor,
    Namespace,
    NamespaceSettings,
    Phase,
    Pod,
    PodExtras,
    Redis,
    RedisExporter,
    RedisSettings,
    Registry,
    RegistrySettings,
    Scratch,
    Secret,
    SecretSettings,
    Workload,
    images,
    variables,
)

MIRROR = "registry.acme.example.com"
SMALL = Compute(cpu="100m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi")
PROXY_HOST = "proxy.acme.example.com"
PROXY = Listener(peer=AddressRange(cidr="10.9.1.0/24"), port=3128)


def mirrored(image: Image) -> Image:
    """The same image from the company's own registry, where others' keep their path."""
    host, _, path = image.repository.partition("/")
    return replace(image, repository=f"{MIRROR}/{path if '.' in host else image.repository}")


# The role in the cloud is bound to the agent's own account. Of Google and Azure the annotation is another.
ROLE = ("eks.amazonaws.com/role-arn", "arn:aws:iam::123456789012:role/company-scribe")
SCRIBE = AgentSettings(
    name="scribe",
    code=BuiltImage(image=Image(repository=f"{MIRROR}/acme/scribe", tag="2.0.1")),
    compute=SMALL,
    module="scribe",
    extras=PodExtras(account_annotations=(ROLE,)),
)
REDIS = RedisSettings(
    image=mirrored(images.REDIS), compute=SMALL, exporter=RedisExporter(image=mirrored(images.REDIS_EXPORTER))
)
# For a trial, the registry keeps its list of agents as long as its pod.
ROOM = PodExtras(volumes=(Scratch(name="data", mount_path="/data"),))

company = Application(
    ApplicationSettings(
        name="company", labels=(("acme.example.com/cost-centre", "4711"),), image_pull_secret="registry-credentials"
    ),
    outdir="dist/company",
)
foundation, mesh, services = (Phase(company, name) for name in ("foundation", "mesh", "services"))


def secret(name: str, *keys: str | IssuedKey) -> Secret:
    """A Secret that exists in the cluster."""
    return Secret(foundation, SecretSettings(name=name, keys=keys, source=ExistingSecrets()))


Namespace(foundation, NamespaceSettings(budget=Budget(cpu="2", memory="4Gi")))
redis = Redis(foundation, REDIS, secret("redis", *REDIS.secret_keys))
registry = Registry(mesh, RegistrySettings(image=mirrored(images.REGISTRY), compute=SMALL, extras=ROOM))
scribe = Agent(services, SCRIBE)
registry.connects_to(redis, wait=True)
scribe.connects_to(redis, registry)

# The model's API is dialled by the proxy, so that is where the policy leads.
model = ModelProviderSettings(name="anthropic", vendor=ModelVendor.ANTHROPIC, peer=(PROXY,))
ModelProvider(services, model, secret("claude", IssuedKey(key="api-key", issued_by="Anthropic")).key("api-key")).serve(
    scribe
)
# Programs take everything that is not named for the proxy's, the short names of Services too.
inside = (*(workload.full_name for workload in company.find_all(Workload)), ".svc", ".cluster.local", "localhost")
scribe.connects_to(
    External(
        name="the company's proxy",
        hosts=(PROXY_HOST,),
        port=PROXY.port,
        peer=PROXY.peer,
        introduction=variables({"HTTPS_PROXY": f"http://{PROXY_HOST}:{PROXY.port}", "NO_PROXY": ",".join(inside)}),
    )
)

# The company's CA, in every pod, and what reads it there: Go, Python's requests and Node, each by another name.
CA = ExistingConfigMap(name="company-ca", mount_path="/etc/company-ca", config_map="company-ca", keys=("ca.crt",))
READ_BY = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
for pod in company.find_all(Pod):
    pod.add_volume(CA)
scribe.add_variables(variables(dict.fromkeys(READ_BY, f"{CA.mount_path}/ca.crt")))

# An image that is not from there would never be pulled.
elsewhere = {
    container.image.repository
    for pod in company.find_all(Pod)
    for container in (*pod.containers, *pod.init_containers)
    if not container.image.repository.startswith(f"{MIRROR}/")
}
if elsewhere:
    raise SystemExit(f"mirror these, too: {', '.join(sorted(elsewhere))}")
company.synth()
