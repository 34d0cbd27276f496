"""This module is the proof of the larger examples: what holds of the AI Interviewer holds of them, and who may talk."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import kubernetes_validate
import pytest

import interviewer_later.application
import test_properties
import trip_planner.application
import trip_planner.settings
from conftest import ROOT, Manifest, read_manifests
from facets import exceptions
from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    Application,
    ApplicationSettings,
    BuiltImage,
    Compute,
    Image,
    NamespacePods,
    Phase,
    Registry,
    RegistrySettings,
    TreeError,
    images,
    synthesize,
)
from mcpmesh_k8s.kubernetes.manifest import at, containers_of, each, name_of, template_of
from openings import HOSTS, Opening, assert_exactly, openings_in
from policy_evaluator import JSON, Host, Pod, pods_of, policies_of

pytestmark = pytest.mark.usefixtures("schemas_are_read_once")

EXAMPLES = ROOT / "examples"

# Who may talk to whom, on which port of the pod. It is written out here and nowhere derived.
TRIP_PLANNER = """
traefik            -> nginx-gateway 8080
traefik-internal   -> nginx-gateway 8080
nginx-gateway      -> api 8080, mesh-dashboard 3080, oauth2-proxy 4180
oauth2-proxy       -> internet 443, internet-v6 443
api                -> registry 8000, redis 6379, planner 8090
planner            -> registry 8000, redis 6379, profiles 8091, fares 8092, booking 8093, claude 8094, forecast 8090
profiles           -> registry 8000, redis 6379, managed stores 5432
fares              -> registry 8000, redis 6379, managed stores 6380
booking            -> registry 8000, redis 6379, internet 8443, internet-v6 8443
claude             -> registry 8000, redis 6379, internet 443, internet-v6 443
forecast           -> registry 8000
registry           -> postgres 5432, redis 6379
mesh-dashboard     -> postgres 5432, registry 8000, redis 6379
postgres-databases -> postgres 5432
report             -> managed stores 5432
smoke-test         -> nginx-gateway 8080, registry 8000
"""
INTERVIEWER = """
traefik            -> nginx-gateway 8080
nginx-gateway      -> backend 8080, grafana 3000, oauth2-proxy 4180
oauth2-proxy       -> internet 443, internet-v6 443
backend            -> registry 8000, redis 6379, minio 9000, internet 443, internet-v6 443
backend            -> user-agent 8097, application-agent 8096, job-agent 8095, interview-agent 8090, file-agent 8098
user-agent         -> registry 8000, redis 6379, postgres 5432, application-agent 8096, pdf-extractor 8090
application-agent  -> registry 8000, redis 6379, postgres 5432, user-agent 8097, job-agent 8095
application-agent  -> claude-llm-agent 8090, openai-llm-agent 8090
job-agent          -> registry 8000, redis 6379, postgres 5432, interview-agent 8090
job-agent          -> claude-llm-agent 8090, openai-llm-agent 8090
interview-agent    -> registry 8000, redis 6379, postgres 5432, application-agent 8096, job-agent 8095
interview-agent    -> claude-llm-agent 8090, openai-llm-agent 8090
file-agent         -> registry 8000, redis 6379
pdf-extractor      -> registry 8000, redis 6379, minio 9000, user-agent 8097
pdf-extractor      -> claude-llm-agent 8090, openai-llm-agent 8090
claude-llm-agent   -> registry 8000, redis 6379, internet 443, internet-v6 443
openai-llm-agent   -> registry 8000, redis 6379, internet 443, internet-v6 443
registry           -> postgres 5432, redis 6379, tempo 4317
grafana            -> tempo 3200
minio-bucket       -> minio 9000
postgres-databases -> postgres 5432
smoke-test         -> nginx-gateway 8080, registry 8000
"""
COMPANY = """
scribe             -> registry 8000, redis 6379, the company's proxy 3128
registry           -> redis 6379
"""
PORTS = (
    *(
        53,
        80,
        443,
        3000,
        3080,
        3128,
        3200,
        4180,
        4317,
        4318,
        5432,
        6379,
        6380,
        8000,
        8001,
        8080,
        8443,
        9000,
        9001,
        9095,
    ),
    *(9121, 9145, 9187, 44180, *range(8090, 8099)),
)
OTHERS: dict[str, Pod | Host] = {
    "traefik": Pod(name="traefik", namespace="traefik", labels={"app": "traefik"}, ip="10.244.1.1"),
    "traefik-internal": Pod(name="traefik-internal", namespace="traefik-internal", ip="10.244.1.2"),
    # In the namespace of each side, by the name of the other side's; and of the right name in a wrong namespace.
    "impostor": Pod(
        name="impostor",
        namespace="default",
        labels={"app.kubernetes.io/name": "weather-forecast", "k8s-app": "kube-dns"},
        ip="10.244.1.3",
    ),
    "another planner": Pod(
        name="another planner",
        namespace="default",
        labels={"app.kubernetes.io/name": "trip-planner-planner"},
        ip="10.244.1.4",
    ),
    "managed stores": Host(name="managed stores", ip="10.40.8.20"),
    "the company's proxy": Host(name="the company's proxy", ip="10.9.1.7"),
}


# The numeric user and group of each image of these applications: facts of the images.
USERS = {
    "registry.example.com/travel": "999:999",
    "registry.example.com/travel/geocoder": "10001:10001",
    "registry.example.com/travel/report": "1000:1000",
    "registry.example.com/weather": "999:999",
    "registry.acme.example.com/acme": "999:999",
    "registry.example.com/interviewer": "999:999",
    "mcpmesh/ui": "1000:1000",
}


class Rendered:
    """An example as it was written: its objects, and what it was made of."""

    def __init__(self, application: Application, folder: Path) -> None:
        self.application = application
        self.manifests = read_manifests(folder)
        self.bytes = {path.name: path.read_bytes() for path in folder.glob("*.yaml")}


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rendered, list[Manifest]]:
    """The trip planner, and what ArgoCD is told."""
    folder = tmp_path_factory.mktemp("trips")
    whole = trip_planner.application.trip_planner(str(folder / "trip-planner"))
    synthesize([whole, trip_planner.application.argocd(whole, str(folder / "argocd"))])
    return Rendered(whole, folder / "trip-planner"), read_manifests(folder / "argocd")


def program(name: str, folder: Path) -> Rendered:
    """An example of one file, which writes where it is started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = runpy.run_path(str(EXAMPLES / f"{name}.py"))[name]
    assert isinstance(made, Application)
    return Rendered(made, folder / "dist" / name)


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """The other team's application."""
    return program("weather", tmp_path_factory.mktemp("weather"))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """The agent in a company's cluster."""
    return program("company", tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def interviews(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """The later AI Interviewer."""
    folder = tmp_path_factory.mktemp("interviews") / "interviewer"
    whole = interviewer_later.application.interviewer(str(folder))
    whole.synth()
    return Rendered(whole, folder)


@pytest.fixture(params=["trip planner", "weather", "interviewer", "company"])
def rendered(request: pytest.FixtureRequest) -> Rendered:
    name = {"trip planner": "trips", "weather": "weather", "interviewer": "interviews", "company": "company"}[
        request.param
    ]
    made = request.getfixturevalue(name)
    found = made[0] if isinstance(made, tuple) else made
    assert isinstance(found, Rendered)
    return found


def container(manifests: Sequence[Manifest], workload: str, name: str = "") -> Mapping[str, object]:
    """A container of a workload; the one that is called as the workload is unless named."""
    (template,) = (template_of(one) for one in manifests if name_of(one) == workload and template_of(one))
    wanted = name or workload.partition("-")[2]
    return next(one for one in containers_of(template) if str(one["name"]) in (wanted, wanted.partition("-")[2]))


def environment(manifests: Sequence[Manifest], workload: str) -> dict[str, object]:
    """Its variables: values, and of Secrets their name and key."""
    found: dict[str, object] = {}
    for one in each(container(manifests, workload), "env"):
        reference = at(one, "valueFrom", "secretKeyRef")
        found[str(one["name"])] = f"{reference['name']}/{reference['key']}" if reference else one["value"]
    return found


def readers(manifests: Sequence[Manifest], secret: str) -> set[str]:
    """The containers that read anything of a Secret, or mount it."""
    found = set()
    for manifest in manifests:
        template = template_of(manifest)
        volumes = {str(v["name"]) for v in each(template, "spec", "volumes") if secret in str(v.get("secret", ""))}
        for one in containers_of(template):
            told = any(at(v, "valueFrom", "secretKeyRef").get("name") == secret for v in each(one, "env"))
            if told or volumes & {str(mount["name"]) for mount in each(one, "volumeMounts")}:
                found.add(str(one["name"]))
    return found


# --- what holds of both ---


@pytest.mark.parametrize("folder", ["trip_planner", "interviewer_later"])
def test_the_wiring_is_under_sixty_lines(folder: str) -> None:
    assert len((EXAMPLES / folder / "application.py").read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.parametrize("path", ["trip_planner", "interviewer_later", "weather.py", "company.py"])
def test_only_what_is_public_is_used(path: str) -> None:
    files = [EXAMPLES / path] if path.endswith(".py") else sorted((EXAMPLES / path).glob("*.py"))
    imported = {
        name
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else ["." * node.level + (node.module or "")]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert "mcpmesh_k8s" in imported
    assert imported <= {"mcpmesh_k8s", "dataclasses", "pathlib", "."}


def test_every_object_is_one_that_a_cluster_takes(rendered: Rendered) -> None:
    for manifest in rendered.manifests:
        if "." not in str(manifest["apiVersion"]).partition("/")[0] or "k8s.io" in str(manifest["apiVersion"]):
            kubernetes_validate.validate(manifest, "1.34", strict=True)


@pytest.mark.parametrize(
    "holds",
    [
        test_properties.test_nothing_may_escalate,
        test_properties.test_every_container_has_requests_and_limits_in_canonical_form,
        test_properties.test_every_container_may_fill_its_scratch_and_its_log_before_it_is_evicted,
        test_properties.test_the_quota_leaves_room_for_a_rollout_of_everything,
        test_properties.test_the_limit_range_admits_every_container_and_no_larger_one,
        test_properties.test_the_namespace_enforces_the_restricted_standard,
    ],
)
def test_what_holds_of_the_ai_interviewer_holds(
    rendered: Rendered, holds: Callable[[list[Manifest]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_properties, "USERS", {**test_properties.USERS, **USERS})
    holds(rendered.manifests)


def test_no_pod_has_a_token_or_an_identity_that_is_shared_and_nothing_is_an_exception(rendered: Rendered) -> None:
    pods = [(name_of(one), template_of(one)) for one in rendered.manifests if template_of(one)]
    assert pods
    for name, template in pods:
        spec = at(template, "spec")
        assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == (name, False)
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert not {"Secret", "Role", "ClusterRole"} & {str(one["kind"]) for one in rendered.manifests}
    # The sidecar of Redis that trims traces for MCP Mesh 0.5.
    assert not exceptions(rendered.application).keys() - {"no probes of redis/trim-traces"}


def test_everything_that_serves_is_probed(rendered: Rendered) -> None:
    serving = [one for manifest in rendered.manifests for one in containers_of(template_of(manifest)) if "ports" in one]
    assert serving
    for one in serving:
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= one.keys(), one["name"]


def test_every_pod_is_governed_by_a_policy_of_its_own_and_by_the_one_that_closes_all(rendered: Rendered) -> None:
    manifests = cast("list[dict[str, JSON]]", rendered.manifests)
    policies = policies_of(manifests)
    for pod in pods_of(manifests):
        for direction in ("Ingress", "Egress"):
            governing = {policy.name for policy in policies if policy.governs(pod, direction)}
            assert {pod.name, f"{rendered.application.settings.name}-default-deny"} <= governing


def test_it_is_written_the_same_twice(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    name = rendered.application.settings.name
    again = tmp_path / "dist" / name
    monkeypatch.chdir(tmp_path)
    if name in ("weather", "company"):
        program(name, tmp_path)
    else:
        made = {
            "trip-planner": trip_planner.application.trip_planner,
            "interviewer": interviewer_later.application.interviewer,
        }
        made[name](str(again)).synth()
    assert {path.name: path.read_bytes() for path in again.glob("*.yaml")} == rendered.bytes


# --- who reaches whom ---


def assert_open(found: set[Opening], table: str, strangers: Sequence[str]) -> None:
    assert_exactly(found, table, outside=OTHERS, strangers=strangers)


def test_exactly_the_openings_of_the_table_exist_between_two_teams(
    trips: tuple[Rendered, list[Manifest]], weather: Rendered
) -> None:
    applications = {"trip-planner": "trip-planner-", "weather": "weather-"}
    found = openings_in([*trips[0].manifests, *weather.manifests], applications, OTHERS.values(), PORTS)
    assert_open(found, TRIP_PLANNER, ["stranger in trip-planner", "stranger in weather"])


def test_exactly_the_openings_of_the_table_exist_in_the_later_interviewer(interviews: Rendered) -> None:
    found = openings_in(interviews.manifests, {"interviewer": "interviewer-"}, OTHERS.values(), PORTS)
    assert_open(found, INTERVIEWER, ["stranger"])


def test_exactly_the_openings_of_the_table_exist_in_the_companys_cluster(company: Rendered) -> None:
    found = openings_in(company.manifests, {"company": "company-"}, OTHERS.values(), PORTS)
    assert_open(found, COMPANY, ["stranger"])


# --- a company's cluster ---


def test_every_image_is_from_the_companys_own_registry(company: Rendered) -> None:
    images = [str(one["image"]) for manifest in company.manifests for one in containers_of(template_of(manifest) or {})]
    assert len(images) == 5
    assert all(image.startswith("registry.acme.example.com/") for image in images), images


def test_every_object_and_every_pod_says_who_pays_for_it(company: Rendered) -> None:
    cost = ("acme.example.com/cost-centre", "4711")
    for manifest in company.manifests:
        assert cost in at(manifest, "metadata", "labels").items(), name_of(manifest)
        template = template_of(manifest)
        if template:
            assert cost in at(template, "metadata", "labels").items(), name_of(manifest)
            # What selects stays as it is: another selector is another object.
            assert set(at(manifest, "spec", "selector", "matchLabels")) == {"app.kubernetes.io/name"}


def test_every_pod_has_the_companys_authority_and_the_scribe_reads_it(company: Rendered) -> None:
    for manifest in company.manifests:
        template = template_of(manifest)
        if template:
            main, *_ = each(template, "spec", "containers")
            assert "/etc/company-ca" in [one["mountPath"] for one in each(main, "volumeMounts")], name_of(manifest)
    told = environment(company.manifests, "company-scribe")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        assert told[name] == "/etc/company-ca/ca.crt"


def test_nothing_inside_is_asked_of_the_proxy(company: Rendered) -> None:
    told = environment(company.manifests, "company-scribe")
    assert told["HTTPS_PROXY"] == "http://proxy.acme.example.com:3128"
    inside = str(told["NO_PROXY"]).split(",")
    services = {name_of(manifest) for manifest in company.manifests if manifest["kind"] == "Service"}
    assert services == {"company-redis", "company-registry", "company-scribe"}
    assert services < set(inside)


def test_the_scribes_account_has_a_role_in_the_cloud_and_no_other_has(company: Rendered) -> None:
    key = "eks.amazonaws.com/role-arn"
    roles = {
        name_of(one): at(one, "metadata", "annotations").get(key)
        for one in company.manifests
        if one["kind"] == "ServiceAccount"
    }
    assert {name for name, role in roles.items() if role} == {"company-scribe"}
    assert roles["company-scribe"] == "arn:aws:iam::123456789012:role/company-scribe"


def test_all_but_the_namespace_is_found_by_a_label(rendered: Rendered) -> None:
    """Who may not change namespaces applies the rest: `kubectl apply --selector app.kubernetes.io/name`."""
    named = "app.kubernetes.io/name"
    without = [one["kind"] for one in rendered.manifests if named not in at(one, "metadata", "labels")]
    assert without == ["Namespace"]


# --- the trip planner ---


def test_the_heavy_agent_is_three_pods_apart_on_nodes_of_their_own(trips: tuple[Rendered, list[Manifest]]) -> None:
    manifests = trips[0].manifests
    (deployment,) = (one for one in manifests if (one["kind"], name_of(one)) == ("Deployment", "trip-planner-planner"))
    spec = at(deployment, "spec", "template", "spec")
    assert at(deployment, "spec")["replicas"] == 3
    assert {one["topologyKey"] for one in each(spec, "topologySpreadConstraints")} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    (disruption,) = (
        at(one, "spec")
        for one in manifests
        if (one["kind"], name_of(one)) == ("PodDisruptionBudget", "trip-planner-planner")
    )
    assert disruption["minAvailable"] == 2
    assert spec["nodeSelector"] == {"acme.example.com/pool": "compute"}
    assert [one["key"] for one in each(spec, "tolerations")] == ["acme.example.com/pool"]
    assert at(deployment, "metadata", "labels")["acme.example.com/cost-centre"] == "travel"
    assert at(deployment, "spec", "template", "metadata", "annotations")["acme.example.com/owner"] == "planning"
    assert [one["name"] for one in each(spec, "containers")] == ["planner", "geocoder"]
    assert [one["name"] for one in each(spec, "initContainers")] == ["unpack-maps"]
    mounted = {str(one["mountPath"]) for one in each(container(manifests, "trip-planner-planner"), "volumeMounts")}
    assert "/etc/airports" in mounted
    # Its jobs may go on for five minutes before a pod is stopped, which then has as long as others. What they need
    # stays with them.
    assert spec["terminationGracePeriodSeconds"] == 350
    sleeps = [list_of(at(one, "lifecycle", "preStop", "exec")) for one in each(spec, "containers")]
    assert sleeps == [["sleep", "300"], ["sleep", "310"]]


def test_managed_stores_are_known_by_their_certificates(trips: tuple[Rendered, list[Manifest]]) -> None:
    manifests = trips[0].manifests
    told = environment(manifests, "trip-planner-profiles")
    assert told["PGSSLMODE"] == "verify-full"
    assert told["PGPASSWORD"] == "profiles-database/password"
    file = str(told["PGSSLROOTCERT"])
    mounts = {str(one["mountPath"]): one for one in each(container(manifests, "trip-planner-profiles"), "volumeMounts")}
    assert mounts[file.rpartition("/")[0]]["readOnly"] is True
    (authority,) = (
        one for one in manifests if (one["kind"], name_of(one)) == ("ConfigMap", "trip-planner-profiles-postgres-ca")
    )
    assert str(at(authority, "data")["ca.pem"]).startswith("-----BEGIN CERTIFICATE-----")
    told = environment(manifests, "trip-planner-fares")
    assert told["CACHE_URL"] == "rediss://fares:$(CACHE_PASSWORD)@trips.cache.example.com:6380/0"
    # The mesh's own: its runtime speaks no TLS to Redis.
    assert str(told["REDIS_URL"]).startswith("redis://mesh:$(REDIS_PASSWORD)@trip-planner-redis:6379/")


def test_each_key_reaches_who_needs_it_and_nobody_else(trips: tuple[Rendered, list[Manifest]]) -> None:
    manifests = trips[0].manifests
    expected = {
        "trip-planner-anthropic": {"claude"},
        "trip-planner-partner": {"booking"},
        "partner-client": {"booking"},
        "trip-planner-cache": {"fares"},
        "profiles-database": {"profiles", "report"},
        "trip-planner-oauth2-proxy": {"oauth2-proxy"},
    }
    assert {secret: readers(manifests, secret) for secret in expected} == expected


def test_secrets_of_others_are_not_among_those_that_the_operator_is_asked_for(
    trips: tuple[Rendered, list[Manifest]],
) -> None:
    assert {entry.reference.secret for entry in trips[0].application.secret_keys()} == {
        f"trip-planner-{name}" for name in ("postgres", "redis", "cache", "partner", "anthropic", "oauth2-proxy")
    }


def test_there_is_no_room_for_the_heavy_agent_on_smaller_nodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    others, pool = trip_planner.settings.BUDGET.nodes
    smaller = replace(trip_planner.settings.BUDGET, nodes=(others, replace(pool, memory="3Gi")))
    monkeypatch.setattr(trip_planner.settings, "BUDGET", smaller)
    with pytest.raises(TreeError, match=r"trip-planner-planner may run 3 pods .* the nodes have room for"):
        trip_planner.application.trip_planner(str(tmp_path / "small")).manifests()


def test_agents_of_two_languages_are_started_each_in_its_way(trips: tuple[Rendered, list[Manifest]]) -> None:
    agents = {
        name: " ".join(str(word) for word in list_of(container(trips[0].manifests, f"trip-planner-{name}")))
        for name in ("planner", "profiles", "fares", "booking", "claude")
    }
    assert agents["planner"] == "python -m planner"
    assert agents["profiles"] == "python -m profiles"
    assert agents["claude"] == "python -m claude_provider"
    for name in ("fares", "booking"):
        assert re.fullmatch(r"node --max-old-space-size=\d+ --max-semi-space-size=16 dist/index.js", agents[name])


def list_of(one: Mapping[str, object]) -> list[object]:
    """Its command and its arguments."""
    command, args = one.get("command"), one.get("args")
    return [*(command if isinstance(command, list) else []), *(args if isinstance(args, list) else [])]


def test_an_agent_says_how_another_namespace_reaches_it(
    trips: tuple[Rendered, list[Manifest]], weather: Rendered
) -> None:
    told = environment(weather.manifests, "weather-forecast")
    assert told["MCP_MESH_HTTP_HOST"] == "weather-forecast.weather.svc.cluster.local"
    assert told["MCP_MESH_HTTP_HOST"] == trip_planner.settings.FORECAST_HOST
    registry = "http://trip-planner-registry.trip-planner.svc.cluster.local:8000"
    assert told["MCP_MESH_REGISTRY_URL"] == registry
    assert environment(trips[0].manifests, "trip-planner-planner")["MCP_MESH_HTTP_HOST"] == "trip-planner-planner"


@pytest.mark.parametrize(
    ("caller", "host"), [("shop", "shop-forecast"), ("trips", "shop-forecast.shop.svc.example.org")]
)
def test_an_agent_that_lets_another_namespace_in_gives_its_whole_name(tmp_path: Path, caller: str, host: str) -> None:
    whole = Application(ApplicationSettings(name="shop", cluster_domain="example.org"), outdir=tmp_path / "shop")
    phase = Phase(whole, "services")
    compute = Compute(cpu="100m", memory="256Mi")
    image = Image(repository="acme/forecast", tag="1.0.0")
    agent = Agent(
        phase, AgentSettings(name="forecast", code=BuiltImage(image=image), compute=compute, module="forecast")
    )
    agent.connects_to(Registry(phase, RegistrySettings(image=images.REGISTRY, compute=compute)))
    agent.accepts_from(NamespacePods(namespace=caller))
    assert agent in whole.pods
    whole.settle()
    assert [one.value for one in agent.variables if one.name == "MCP_MESH_HTTP_HOST"] == [host]
    (container, *_) = agent.containers
    assert host in {str(one.value) for one in container.variables}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_where_the_mesh_speaks_tls_a_registry_of_others_does_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = (EXAMPLES / "weather.py").read_text(encoding="utf-8")
    tls = 'mcpmesh.MeshTls(certificates=mcpmesh.CertManager(issuer="mesh", kind="ClusterIssuer"))'
    encrypted = source.replace('(name="weather")', f'(name="weather", mesh=mcpmesh.Mesh(tls={tls}))')
    assert encrypted != source
    program = compile(encrypted.replace("http://", f"{scheme}://"), "weather.py", "exec")
    if scheme == "http":
        with pytest.raises(TreeError, match=r"weather-forecast has MCP_MESH_REGISTRY_URL=http://.*: give https://"):
            exec(program, {})
    else:
        exec(program, {})
        (made,) = (one for one in read_manifests(tmp_path / "dist" / "weather") if one["kind"] == "Certificate")
        names = at(made, "spec")["dnsNames"]
        assert isinstance(names, list)
        assert trip_planner.settings.FORECAST_HOST in names


def test_people_come_by_two_hosts_and_two_ways_in(trips: tuple[Rendered, list[Manifest]]) -> None:
    ingresses = {name_of(one): one for one in trips[0].manifests if one["kind"] == "Ingress"}
    assert {name: at(one, "spec")["ingressClassName"] for name, one in ingresses.items()} == {
        "trip-planner": "traefik",
        "trip-planner-internal": "internal",
    }
    for one in ingresses.values():
        assert [rule["host"] for rule in each(one, "spec", "rules")] == ["trips.example.com", "www.trips.example.com"]
    secrets = {name: [tls["secretName"] for tls in each(one, "spec", "tls")] for name, one in ingresses.items()}
    assert secrets == {"trip-planner": ["trips-tls"], "trip-planner-internal": ["trips-internal-tls"]}


def test_the_report_is_written_each_night_to_a_claim_of_others(trips: tuple[Rendered, list[Manifest]]) -> None:
    (report,) = (one for one in trips[0].manifests if one["kind"] == "CronJob")
    spec = at(report, "spec")
    assert (spec["schedule"], spec["timeZone"]) == ("15 3 * * *", "Europe/Berlin")
    volumes = each(spec, "jobTemplate", "spec", "template", "spec", "volumes")
    assert [at(one, "persistentVolumeClaim")["claimName"] for one in volumes if "persistentVolumeClaim" in one] == [
        "reports"
    ]
    assert "PersistentVolumeClaim" not in {str(one["kind"]) for one in trips[0].manifests if name_of(one) == "reports"}


def test_argocd_deploys_one_folder_to_two_clusters(trips: tuple[Rendered, list[Manifest]]) -> None:
    deployed = {name_of(one): at(one, "spec") for one in trips[1] if one["kind"] == "Application"}
    assert {
        name: (at(spec, "destination")["name"], at(spec, "source")["path"], at(spec, "source")["targetRevision"])
        for name, spec in deployed.items()
    } == {
        "trip-planner-europe": ("europe", "dist/trip-planner", "v2.3.1"),
        "trip-planner-america": ("america", "dist/trip-planner", "v2.3.0"),
    }


# --- the later AI Interviewer ---


def test_each_agent_listens_where_its_image_does(interviews: Rendered) -> None:
    ports = {
        name_of(one).removeprefix("interviewer-"): [port["port"] for port in each(one, "spec", "ports")]
        for one in interviews.manifests
        if one["kind"] == "Service" and at(one, "metadata", "labels").get("app.kubernetes.io/component") == "agent"
    }
    assert ports == {
        "user-agent": [8097],
        "application-agent": [8096],
        "job-agent": [8095],
        "interview-agent": [8090],
        "file-agent": [8098],
        "pdf-extractor": [8090],
        "claude-llm-agent": [8090],
        "openai-llm-agent": [8090],
    }
    for name, (port,) in ports.items():
        told = environment(interviews.manifests, f"interviewer-{name}")
        assert (told["MCP_MESH_HTTP_HOST"], told["MCP_MESH_HTTP_PORT"]) == (f"interviewer-{name}", str(port))


@pytest.mark.parametrize(
    ("agent", "role"),
    [
        ("user-agent", "user_agent"),
        ("application-agent", "application_agent"),
        ("job-agent", "job_agent"),
        ("interview-agent", "interview_agent"),
        ("file-agent", ""),
        ("pdf-extractor", ""),
        ("backend", ""),
    ],
)
def test_who_keeps_tables_logs_in_as_a_role_of_its_own(interviews: Rendered, agent: str, role: str) -> None:
    told = environment(interviews.manifests, f"interviewer-{agent}")
    if not role:
        assert not {"DATABASE_URL", "POSTGRES_HOST", "PGPASSWORD"} & told.keys()
        return
    assert str(told["DATABASE_URL"]).startswith(f"postgresql://{role}@interviewer-postgres:5432/ai_interviewer")
    assert (told["POSTGRES_DB"], told["POSTGRES_USER"]) == ("ai_interviewer", role)
    password = f"interviewer-postgres/{role.replace('_', '-')}-password"
    assert told["PGPASSWORD"] == told["POSTGRES_PASSWORD"] == password


@pytest.mark.parametrize("agent", ["user-agent", "application-agent", "interview-agent"])
def test_code_that_gives_redis_no_password_is_given_none_and_the_runtime_has_its_own(
    interviews: Rendered, agent: str
) -> None:
    told = environment(interviews.manifests, f"interviewer-{agent}")
    assert {name: value for name, value in told.items() if name.startswith("REDIS_")} == {
        "REDIS_HOST": "interviewer-redis",
        "REDIS_PORT": "6379",
        "REDIS_DB": "0",
        "REDIS_URL": "redis://mesh:$(MESH_REDIS_PASSWORD)@interviewer-redis:6379/0",
    }
    assert told["MESH_REDIS_PASSWORD"] == "interviewer-redis/mesh-password"


def test_the_backend_is_told_what_its_code_reads_and_of_postgresql_nothing(interviews: Rendered) -> None:
    told = environment(interviews.manifests, "interviewer-backend")
    assert {
        "LOG_LEVEL": "INFO",
        "DEV_MODE": "false",
        "RECAPTCHA_SITE_KEY": "interviewer-recaptcha/site-key",
        "RECAPTCHA_SECRET_KEY": "interviewer-recaptcha/secret-key",
        "MINIO_HOST": "interviewer-minio:9000",
        "MCP_MESH_REGISTRY_URL": "http://interviewer-registry:8000",
        "MCP_MESH_HTTP_PORT": "8080",
    }.items() <= told.items()
    assert str(told["MINIO_ACCESS_KEY"]).startswith("interviewer-minio/")
    assert str(told["MINIO_SECRET_KEY"]).startswith("interviewer-minio/")


def test_the_keys_of_others_reach_who_asks_them_and_nobody_else(interviews: Rendered) -> None:
    expected = {
        "interviewer-claude": {"claude-llm-agent"},
        "interviewer-openai": {"openai-llm-agent"},
        "interviewer-recaptcha": {"backend"},
    }
    assert {secret: readers(interviews.manifests, secret) for secret in expected} == expected
    told = environment(interviews.manifests, "interviewer-backend")
    assert not {"CLAUDE_API_KEY", "OPENAI_API_KEY"} & told.keys()


def test_nobody_is_a_host_of_the_outside() -> None:
    assert not OTHERS.keys() & HOSTS.keys()
