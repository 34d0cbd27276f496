"""This module is properties of everything that is rendered: the reasons behind the snapshots."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import facets
from ai_interviewer import ENVIRONMENTS, PROD, AiInterviewer
from conftest import Manifest, Manifests, read_manifests
from environments import EVERY, OWN, SHARED, STAGING, WITH_MESH, said_of
from mcpmesh_k8s import Audience, RateLimit, Registry, Route, SettingError, Workload
from mcpmesh_k8s.kubernetes.manifest import at, containers_of, each, name_of

EVERY_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
# The numeric user and group of each image: facts of the images, not of our code.
USERS = {
    "postgres": "70:70",
    "redis:": "999:1000",
    "minio/minio": "1000:1000",
    "minio/mc": "1000:1000",
    "grafana/tempo": "10001:10001",
    "grafana/grafana": "472:0",
    "mcpmesh/registry": "1001:1001",
    "mcpmesh/python-runtime": "999:999",
    "openresty/openresty": "65534:65534",
    "oauth2-proxy/oauth2-proxy": "65532:65532",
    "ai-interviewer": "999:999",
    "oliver006/redis_exporter": "59000:59000",
    "prometheuscommunity/postgres-exporter": "65534:65534",
    "prom/prometheus": "65534:65534",
    "prom/alertmanager": "65534:65534",
    "prom/blackbox-exporter": "65534:65534",
    "kube-state-metrics/kube-state-metrics": "65534:65534",
    "grafana/loki": "10001:10001",
    "grafana/alloy": "473:473",
}
UNITS = {"": 1.0, "m": 0.001, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}


# CPU and memory (GiB) of the cluster that each environment has.
CLUSTERS = {
    "dev": (4, 8),
    "prod": (8, 16),
}
MESH = {
    "/api/registry/agents", "/mcp/pdf-extractor", "/mcp/interview-agent", "/mcp/claude-llm-agent",
    "/mcp/openai-llm-agent",
}  # fmt: skip


@pytest.fixture(params=EVERY)
def rendered(request: pytest.FixtureRequest, manifests: Manifests) -> list[Manifest]:
    return manifests(str(request.param))


def amount(text: object) -> float:
    match = re.fullmatch(r"([\d.]+)(\D*)", str(text))
    assert match, text
    return float(match[1]) * UNITS[match[2]]


def total(rendered: list[Manifest], what: str, most: bool) -> float:
    """All requests of the environment, at the autoscaler's bound."""
    bound = "maxReplicas" if most else "minReplicas"
    scaled = {
        at(manifest, "spec", "scaleTargetRef").get("name"): at(manifest, "spec")[bound]
        for manifest in rendered
        if manifest["kind"] == "HorizontalPodAutoscaler"
    }
    result = 0.0
    for _, manifest, template in facets.workloads(rendered):
        pods = int(str(scaled.get(name_of(manifest), at(manifest, "spec").get("replicas", 1))))
        running = sum(amount(at(c, "resources", "requests")[what]) for c in each(template, "spec", "containers"))
        starting = [amount(at(c, "resources", "requests")[what]) for c in each(template, "spec", "initContainers")]
        result += pods * max([running, *starting])
    return result


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from strings(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from strings(entry)


def logins(rendered: list[Manifest]) -> list[Mapping[str, object]]:
    """The containers that sign people in: none where everyone is the developer."""
    return [container for name, container in facets.containers(rendered) if name == "oauth2-proxy/oauth2-proxy"]


def test_nothing_may_escalate(rendered: list[Manifest]) -> None:
    for name, container in facets.containers(rendered):
        context = dict(at(container, "securityContext"))
        user = f"{context.pop('runAsUser')}:{context.pop('runAsGroup')}"
        assert context == EVERY_CONTAINER, name
        image = str(container["image"])
        # The longest: the repository of an exporter holds the name of what it is for.
        known = max((repository for repository in USERS if f"/{image}".partition(f"/{repository}")[1]), key=len)
        assert USERS[known] == user, f"{name} runs {image} as {user}"


# Who may read the cluster's API, and what: (scope, groups, resources, verbs). Nobody else has a token.
READERS = {
    "prometheus": {
        ("Role", "", "pods", "list watch"),
        ("ClusterRole", "", "nodes", "list watch"),
        ("ClusterRole", "", "nodes/metrics", "get"),
    },
    "kube-state-metrics": {
        ("Role", "", "pods persistentvolumeclaims resourcequotas", "list watch"),
        ("Role", "apps", "deployments statefulsets", "list watch"),
        ("Role", "autoscaling", "horizontalpodautoscalers", "list watch"),
        ("Role", "batch", "cronjobs jobs", "list watch"),
    },
    "alloy": {
        ("Role", "", "pods", "get list watch"),
        ("Role", "", "pods/log", "get"),
    },
}


def test_only_who_is_in_the_table_may_read_the_api_and_no_more(rendered: list[Manifest]) -> None:
    rules: dict[tuple[str, str], set[tuple[str, str, str, str]]] = {}
    for manifest in rendered:
        kind = str(manifest["kind"])
        if kind in ("Role", "ClusterRole"):
            found = rules.setdefault((kind, name_of(manifest)), set())
            for rule in each(manifest, "rules"):
                groups, resources, verbs = (" ".join(strings(rule[of])) for of in ("apiGroups", "resources", "verbs"))
                found.add((kind, groups, resources, verbs))
    granted: dict[str, set[tuple[str, str, str, str]]] = {}
    used = set()
    for manifest in rendered:
        if str(manifest["kind"]) in ("RoleBinding", "ClusterRoleBinding"):
            (subject,) = each(manifest, "subjects")
            assert (subject["kind"], subject["namespace"]) == ("ServiceAccount", "ai-interviewer")
            role = (str(at(manifest, "roleRef")["kind"]), str(at(manifest, "roleRef")["name"]))
            used.add(role)
            name = str(subject["name"]).removeprefix("ai-interviewer-")
            granted.setdefault(name, set()).update(rules[role])
    assert granted == READERS
    assert used == rules.keys(), "a role is bound to nobody"


def test_a_token_is_in_the_main_container_of_those_alone(rendered: list[Manifest]) -> None:
    for service, _, template in facets.workloads(rendered):
        tokens = {str(v["name"]) for v in each(template, "spec", "volumes") if "projected" in v}
        holders = {
            str(container["name"])
            for container in containers_of(template)
            if tokens & {str(mount["name"]) for mount in each(container, "volumeMounts")}
        }
        assert holders == ({service} if service in READERS else set()), service


def test_no_pod_has_a_token_service_links_or_the_hosts_namespaces(rendered: list[Manifest]) -> None:
    for service, _, template in facets.workloads(rendered):
        spec = at(template, "spec")
        assert spec["automountServiceAccountToken"] is False, service
        assert spec["enableServiceLinks"] is False, service
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), service
        assert at(spec, "securityContext")["runAsNonRoot"] is True, service
        assert spec["serviceAccountName"] == f"ai-interviewer-{service}", "an identity is shared"
    for manifest in rendered:
        if manifest["kind"] == "ServiceAccount":
            assert manifest["automountServiceAccountToken"] is False, name_of(manifest)
    assert "Secret" not in {str(manifest["kind"]) for manifest in rendered}


def test_what_is_mounted_is_scratch_with_a_limit_files_or_a_claim(rendered: list[Manifest]) -> None:
    for service, _, template in facets.workloads(rendered):
        for volume in each(template, "spec", "volumes"):
            kind = set(volume) - {"name"}
            allowed = {"emptyDir", "configMap", "persistentVolumeClaim"}
            # A token for the API, and the URLs that alerts are sent to, which Alertmanager reads from files alone.
            allowed |= {"projected"} if service in READERS else {"secret"} if service == "alertmanager" else set()
            assert kind <= allowed, f"{service}: {kind}"
            if "emptyDir" in volume:
                assert amount(at(volume, "emptyDir")["sizeLimit"]) > 0, service


def test_every_container_has_requests_and_limits_in_canonical_form(rendered: list[Manifest]) -> None:
    for name, container in facets.containers(rendered):
        for what in ("cpu", "memory", "ephemeral-storage"):
            asked, most = (at(container, "resources", part)[what] for part in ("requests", "limits"))
            assert 0 < amount(asked) <= amount(most), name
            for text in (str(asked), str(most)):
                assert not re.fullmatch(r"\d*000m|\d+\.\d+.*", text), f"{name}: {text} is written back otherwise"


def test_every_container_may_fill_its_scratch_and_its_log_before_it_is_evicted(rendered: list[Manifest]) -> None:
    """The kubelet keeps 5 files of 10Mi of a container's log, and as much of the one that it restarted."""
    for service, _, template in facets.workloads(rendered):
        sizes = {
            str(volume["name"]): amount(at(volume, "emptyDir")["sizeLimit"])
            for volume in each(template, "spec", "volumes")
            if "emptyDir" in volume and at(volume, "emptyDir").get("medium") != "Memory"
        }
        for container in containers_of(template):
            disk = {amount(at(container, "resources", part)["ephemeral-storage"]) for part in ("requests", "limits")}
            mounted = [sizes.get(str(mount["name"]), 0) for mount in each(container, "volumeMounts")]
            assert min(disk) >= 2 * 5 * amount("10Mi") + sum(mounted), f"{service}/{container['name']}"
            assert len(disk) == 1, "a node never promises more disk than it has"


def test_everything_that_serves_is_probed(rendered: list[Manifest]) -> None:
    served = 0
    for name, container in facets.containers(rendered):
        if "ports" in container:
            served += 1
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys(), name
    # The login is a service of its own where people sign in, and Alertmanager where people are told.
    told = sum(name == "alertmanager/alertmanager" for name, _ in facets.containers(rendered))
    assert served == 19 + told + len(logins(rendered))


def test_everything_that_goes_on_is_probed_but_what_is_named(rendered: list[Manifest]) -> None:
    unasked = {
        f"{service}/{container['name']}"
        for service, manifest, template in facets.workloads(rendered)
        if manifest["kind"] in ("Deployment", "StatefulSet")
        for container in each(template, "spec", "containers")
        if not {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    }
    assert unasked == {"redis/trim-traces"}


def test_the_exporter_of_redis_sends_its_password_to_no_address_that_it_is_asked_about(
    rendered: list[Manifest],
) -> None:
    (exporter,) = (container for name, container in facets.containers(rendered) if name == "redis/exporter")
    assert "--disable-scrape-endpoint" in set(strings(exporter["args"]))


@pytest.mark.parametrize("environment", EVERY)
def test_everything_fits_the_plans_cluster(manifests: Manifests, environment: str) -> None:
    rendered = manifests(environment)
    line = f'"{environment}": (<CPU>, <memory in GiB>),'
    cpu, memory = said_of(environment, CLUSTERS, "tests/test_properties.py, CLUSTERS", line)
    assert total(rendered, "cpu", most=True) <= cpu
    assert total(rendered, "memory", most=True) <= memory * 2**30


def test_the_quota_leaves_room_for_a_rollout_of_everything(rendered: list[Manifest]) -> None:
    (quota,) = (at(manifest, "spec", "hard") for manifest in rendered if manifest["kind"] == "ResourceQuota")
    surge = 0.0
    for _, manifest, template in facets.workloads(rendered):
        strategy = at(manifest, "spec", "strategy")
        if strategy.get("type") == "RollingUpdate":
            # One more pod in any case: where an old one goes first, it counts until it has ended.
            extra = int(str(at(strategy, "rollingUpdate")["maxSurge"]))
            extra += int(str(at(strategy, "rollingUpdate")["maxUnavailable"]))
            assert extra == 1
            surge += extra * sum(
                amount(at(container, "resources", "requests")["cpu"])
                for container in each(template, "spec", "containers")
            )
    needed = total(rendered, "cpu", most=True) + surge
    issued = [at(manifest, "metadata", "annotations") for manifest in rendered if manifest["kind"] == "Ingress"]
    # The solver that cert-manager starts when it makes a certificate.
    needed += 0.01 * sum("cert-manager.io/cluster-issuer" in annotations for annotations in issued)
    assert surge > 0
    assert amount(quota["requests.cpu"]) == pytest.approx(needed)


def test_the_limit_range_admits_every_container_and_no_larger_one(rendered: list[Manifest]) -> None:
    (limits,) = (list(each(manifest, "spec", "limits")) for manifest in rendered if manifest["kind"] == "LimitRange")
    (most,) = (at(limit, "max") for limit in limits if limit["type"] == "Container")
    for what in ("cpu", "memory", "ephemeral-storage"):
        largest = max(amount(at(c, "resources", "limits")[what]) for _, c in facets.containers(rendered))
        assert amount(most[what]) == largest


def test_nothing_goes_beyond_what_the_library_allows() -> None:
    """A patch, a pod that is less than restricted, a writable root: each would be listed here with its reason."""
    for settings in ENVIRONMENTS:
        exceptions = facets.exceptions(AiInterviewer(settings, outdir="unused"))
        assert list(exceptions) == ["no probes of redis/trim-traces"], settings.name


def test_the_namespace_enforces_the_restricted_standard(rendered: list[Manifest]) -> None:
    (labels,) = (at(manifest, "metadata", "labels") for manifest in rendered if manifest["kind"] == "Namespace")
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_a_key_of_a_language_model_reaches_only_its_agent(rendered: list[Manifest]) -> None:
    readers: dict[str, set[str]] = {}
    for name, container in facets.containers(rendered):
        for variable in each(container, "env"):
            secret = at(variable, "valueFrom", "secretKeyRef").get("name")
            if secret in ("ai-interviewer-claude", "ai-interviewer-openai"):
                readers.setdefault(str(secret), set()).add(name)
    assert readers == {
        "ai-interviewer-claude": {"claude-llm-agent/claude-llm-agent"},
        "ai-interviewer-openai": {"openai-llm-agent/openai-llm-agent"},
    }


@pytest.mark.parametrize("environment", SHARED)
def test_only_the_login_gets_its_credentials_and_nothing_beyond_them(manifests: Manifests, environment: str) -> None:
    readers: dict[str, set[str]] = {}
    for name, container in facets.containers(manifests(environment)):
        for variable in each(container, "env"):
            secret = at(variable, "valueFrom", "secretKeyRef")
            if name == "oauth2-proxy/oauth2-proxy" or secret.get("name") == "ai-interviewer-oauth2-proxy":
                readers.setdefault(name, set()).update({f"{secret['name']}/{secret['key']}"} if secret else set())
    credentials = {f"ai-interviewer-oauth2-proxy/{key}" for key in ("client-id", "client-secret", "cookie-secret")}
    assert readers == {"oauth2-proxy/oauth2-proxy": credentials}


@pytest.mark.parametrize("environment", SHARED)
def test_the_logins_cookie_is_for_one_host_over_https_and_out_of_reach_of_scripts(
    manifests: Manifests, environment: str
) -> None:
    (login,) = logins(manifests(environment))
    said = {str(variable["name"]): variable.get("value") for variable in each(login, "env")}
    cookie = {name: value for name, value in said.items() if "_COOKIE_" in name and value is not None}
    assert cookie == {
        # Browsers take a cookie of such a name only when it is secure, for "/", and without a domain.
        "OAUTH2_PROXY_COOKIE_NAME": "__Host-login",
        "OAUTH2_PROXY_COOKIE_SECURE": "true",
        "OAUTH2_PROXY_COOKIE_HTTPONLY": "true",
        "OAUTH2_PROXY_COOKIE_SAMESITE": "lax",
        "OAUTH2_PROXY_COOKIE_EXPIRE": "12h",
        "OAUTH2_PROXY_SESSION_COOKIE_MINIMAL": "true",
        # A cookie for each try, the one that is begun and four before it: one cookie was undone by the next window.
        "OAUTH2_PROXY_COOKIE_CSRF_PER_REQUEST": "true",
        "OAUTH2_PROXY_COOKIE_CSRF_PER_REQUEST_LIMIT": "4",
    }
    assert said["OAUTH2_PROXY_SESSION_STORE_TYPE"] == "cookie", "a session would be lost with its pod"
    assert str(said["OAUTH2_PROXY_REDIRECT_URL"]).startswith("https://")
    assert said["OAUTH2_PROXY_EMAIL_DOMAINS"] != "*", "anyone with an account could sign in"


@pytest.mark.parametrize("environment", EVERY)
def test_in_a_shared_cluster_nobody_is_let_in_without_a_login(manifests: Manifests, environment: str) -> None:
    everyone = any("developer@example.com" in text for m in manifests(environment) for text in strings(m))
    assert everyone is (environment in OWN)


def gateway_files(rendered: list[Manifest]) -> Mapping[str, object]:
    """The files of the gateway, by their names."""
    (files,) = (
        at(manifest, "data")
        for manifest in rendered
        if manifest["kind"] == "ConfigMap" and name_of(manifest).startswith("ai-interviewer-nginx-gateway")
    )
    return files


def assert_only_who_may_passes(files: Mapping[str, object], *, mesh: bool) -> None:
    settings = json.loads(str(files["gateway.json"]))
    # What passes requests on, passes all of them by way of Lua.
    assert {"rewrite_by_lua_block { gateway.pass() }", "access_by_lua_block { gateway.authorize() }"} <= set(
        str(files["location.conf"]).splitlines()
    )
    pattern = r'^ {8}location (?:= )?"(\S+)" \{\n(.*?)^ {8}\}'
    locations = re.findall(pattern, str(files["nginx.conf"]), re.MULTILINE | re.DOTALL)
    assert str(files["nginx.conf"]).count("proxy_pass") == len(locations)
    for path, body in locations:
        assert f'set $route "{path}";' in body, path
        assert "include /etc/gateway/location.conf;" in body, path
    audiences = {path: settings["routes"][path]["audience"] for path, _ in locations if "/oauth2/" not in path}
    assert audiences == {
        "/": "signed-in",
        "/api/": "signed-in",
        "/static/": "public",
        "/health": "public",
        "/grafana/": "administrator",
        # Registry and agents ask for no password of their own.
        **dict.fromkeys(MESH if mesh else (), "administrator"),
    }


def assert_the_login_is_asked(files: Mapping[str, object]) -> None:
    settings = json.loads(str(files["gateway.json"]))
    assert settings["login"]["host"].startswith("ai-interviewer-oauth2-proxy.")
    assert "person" not in settings


@pytest.mark.parametrize("environment", EVERY)
def test_the_gateway_asks_for_every_route_but_the_public_ones(manifests: Manifests, environment: str) -> None:
    assert_only_who_may_passes(gateway_files(manifests(environment)), mesh=environment in WITH_MESH)


@pytest.mark.parametrize("environment", SHARED)
def test_in_a_shared_cluster_it_is_the_login_that_is_asked(manifests: Manifests, environment: str) -> None:
    assert_the_login_is_asked(gateway_files(manifests(environment)))


def test_routes_to_the_mesh_are_for_administrators_in_a_shared_cluster_too(tmp_path: Path) -> None:
    AiInterviewer(STAGING, outdir=tmp_path / "staging").synth()
    files = gateway_files(read_manifests(tmp_path / "staging"))
    assert_only_who_may_passes(files, mesh=True)
    assert_the_login_is_asked(files)


ASKS_ITSELF = {"minio", "grafana"}
"""Whoever comes says who it is by a password, or by what a gateway says."""
FOR_PEOPLE = {"backend", "pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent"}
"""What it is for, or may be: to whom its code shows what, the code decides."""
THE_WAY_IN = {"nginx-gateway", "oauth2-proxy"}
NO_HTTP = {"postgres", "redis"}
"""What a gateway has no word for."""


def test_who_asks_for_no_password_can_be_shown_to_administrators_alone(tmp_path: Path) -> None:
    def refusal(workload: Workload, audience: Audience) -> str:
        try:
            Route(path="/seen", to=workload, audience=audience, rate=RateLimit())
        except SettingError as error:
            return str(error)
        return ""

    everyone = [one for one in AiInterviewer(PROD, outdir=tmp_path).find_all(Workload) if one.name not in NO_HTTP]
    for audience in (Audience.PUBLIC, Audience.SIGNED_IN):
        said = {workload.name: refusal(workload, audience) for workload in everyone}
        assert {name for name, text in said.items() if not text} == ASKS_ITSELF | FOR_PEOPLE | THE_WAY_IN
        assert all("It asks nobody who they are" in text for text in said.values() if text)
    assert not any(refusal(workload, Audience.ADMINISTRATOR) for workload in everyone)


@pytest.mark.parametrize(
    ("path", "upstream"),
    [("/trace/status", ""), ("/trace/info", ""), ("/seen", "/trace/info"), ("/trace/", ""), ("/", "")],
)
def test_what_shows_the_password_of_redis_is_shown_to_nobody(tmp_path: Path, path: str, upstream: str) -> None:
    """Where the registry has traces, it says by which URL it reads them."""
    (registry,) = AiInterviewer(PROD, outdir=tmp_path).find_all(Registry)
    with pytest.raises(SettingError, match=r"It shows the password of Redis\."):
        Route(path=path, to=registry, audience=Audience.ADMINISTRATOR, upstream_path=upstream, rate=RateLimit())


def test_no_pod_knows_its_own_address(rendered: list[Manifest]) -> None:
    for name, container in facets.containers(rendered):
        assert "POD_IP" not in {variable["name"] for variable in each(container, "env")}, name


def test_the_plans_variables_are_there(rendered: list[Manifest]) -> None:
    variables = facets.environment(rendered)
    planned = {
        "MCP_MESH_REGISTRY_HOST": "ai-interviewer-registry",
        "MCP_MESH_REGISTRY_PORT": "8000",
        # What the runtime reads in place of the two.
        "MCP_MESH_REGISTRY_URL": "http://ai-interviewer-registry:8000",
    }
    backend = {
        **planned,
        "REDIS_URL": "redis://backend:$(REDIS_PASSWORD)@ai-interviewer-redis:6379/0",
        "POSTGRES_HOST": "ai-interviewer-postgres",
        "REDIS_HOST": "ai-interviewer-redis",
        "MINIO_ENDPOINT": "ai-interviewer-minio:9000",
        "MINIO_HOST": "ai-interviewer-minio:9000",
        "MCP_MESH_HTTP_HOST": "ai-interviewer-backend",
    }
    found = variables["backend/backend"]
    assert isinstance(found, dict)
    assert backend.items() <= found.items()
    for agent in ("pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent"):
        found = variables[f"{agent}/{agent}"]
        assert isinstance(found, dict)
        expected = {**planned, "MCP_MESH_HTTP_PORT": "8090", "MCP_MESH_HTTP_HOST": f"ai-interviewer-{agent}"}
        assert expected.items() <= found.items(), agent


def test_variables_refer_only_to_those_before_them(rendered: list[Manifest]) -> None:
    references = 0
    for name, container in facets.containers(rendered):
        known: set[object] = set()
        for variable in each(container, "env"):
            for reference in re.findall(r"\$\((\w+)\)", str(variable.get("value", ""))):
                assert reference in known, f"{name}: {variable['name']} refers to {reference}, which comes later"
                references += 1
            known.add(variable["name"])
    assert references > 0


def test_a_changed_file_replaces_the_pods_that_read_it(rendered: list[Manifest]) -> None:
    for service, _, template in facets.workloads(rendered):
        reads = any("configMap" in volume for volume in each(template, "spec", "volumes"))
        annotations = at(template, "metadata", "annotations")
        assert ("checksum/config" in annotations) is reads, service


def test_selectors_carry_one_label_that_never_changes(rendered: list[Manifest]) -> None:
    for manifest in rendered:
        if manifest["kind"] in ("Deployment", "StatefulSet"):
            selector = at(manifest, "spec", "selector", "matchLabels")
            assert selector == {"app.kubernetes.io/name": name_of(manifest)}


def test_what_holds_data_or_writes_alone_is_never_run_twice(rendered: list[Manifest]) -> None:
    alone = {"postgres", "redis", "minio", "tempo", "registry"}
    for service, manifest, template in facets.workloads(rendered):
        claims = any("persistentVolumeClaim" in volume for volume in each(template, "spec", "volumes"))
        if manifest["kind"] == "Deployment" and (service in alone or claims):
            assert at(manifest, "spec")["replicas"] == 1, service
            assert at(manifest, "spec", "strategy")["type"] == "Recreate", service


def test_a_claim_template_is_written_as_the_api_server_writes_it_back(rendered: list[Manifest]) -> None:
    templates = [claim for manifest in rendered for claim in each(manifest, "spec", "volumeClaimTemplates")]
    assert len(templates) == 2
    for claim in templates:
        assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
        assert at(claim, "spec")["volumeMode"] == "Filesystem"


def test_an_autoscaled_deployment_and_no_other_leaves_its_replicas_to_the_autoscaler(rendered: list[Manifest]) -> None:
    scaled = {
        at(manifest, "spec", "scaleTargetRef")["name"]
        for manifest in rendered
        if manifest["kind"] == "HorizontalPodAutoscaler"
    }
    left = {name_of(m) for m in rendered if m["kind"] == "Deployment" and "replicas" not in at(m, "spec")}
    assert left == scaled


@pytest.mark.parametrize("environment", SHARED)
def test_in_a_shared_cluster_the_backend_follows_the_load(manifests: Manifests, environment: str) -> None:
    scalers = [m for m in manifests(environment) if m["kind"] == "HorizontalPodAutoscaler"]
    assert [name_of(scaler) for scaler in scalers] == ["ai-interviewer-backend"]


def test_no_budget_blocks_a_drain(rendered: list[Manifest]) -> None:
    pods = {name: row["pods"] for name, row in facets.resources(rendered).items() if isinstance(row, dict)}
    for manifest in rendered:
        if manifest["kind"] == "PodDisruptionBudget":
            always = int(str(pods[facets.short(name_of(manifest))]).split()[0])
            assert 0 < int(str(at(manifest, "spec")["minAvailable"])) < always
            assert at(manifest, "spec")["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_the_new_pods_of_a_rollout_are_spread_among_themselves(rendered: list[Manifest]) -> None:
    """Counted with those that they replace, both gateways may end on one node."""
    spread = [
        constraint
        for manifest in rendered
        if manifest["kind"] == "Deployment"
        for constraint in each(manifest, "spec", "template", "spec", "topologySpreadConstraints")
    ]
    assert all(constraint["matchLabelKeys"] == ["pod-template-hash"] for constraint in spread)


def test_behind_the_gateway_api_only_the_gateway_is_exposed_and_only_to_its_controller(
    behind_gateway_api: list[Manifest],
) -> None:
    (route,) = (manifest for manifest in behind_gateway_api if manifest["kind"] == "HTTPRoute")
    (rule,) = each(route, "spec", "rules")
    assert list(each(rule, "backendRefs")) == [{"name": "ai-interviewer-nginx-gateway", "port": 80}]
    assert "filters" not in rule
    assert not [manifest for manifest in behind_gateway_api if manifest["kind"] == "Ingress"]
    assert facets.connections(behind_gateway_api)["nginx-gateway"] == {
        "ingress": ["smoke-test 8080", "prometheus 9145", "any pod in edge 8080"],
        "egress": ["backend 8080", "grafana 3000", "oauth2-proxy 4180"],
    }


def test_only_the_gateway_is_exposed(rendered: list[Manifest]) -> None:
    backends = {
        str(at(path, "backend", "service")["name"])
        for manifest in rendered
        if manifest["kind"] == "Ingress"
        for rule in each(manifest, "spec", "rules")
        for path in each(rule, "http", "paths")
    }
    assert backends == {"ai-interviewer-nginx-gateway"}
    assert {at(m, "spec")["type"] for m in rendered if m["kind"] == "Service"} == {"ClusterIP"}


def test_every_object_is_named_labelled_and_in_its_namespace(rendered: list[Manifest]) -> None:
    for manifest in rendered:
        metadata = at(manifest, "metadata")
        assert name_of(manifest).startswith("ai-interviewer"), manifest["kind"]
        assert at(metadata, "labels")["app.kubernetes.io/part-of"] == "ai-interviewer"
        cluster_wide = manifest["kind"] in ("Namespace", "PriorityClass", "ClusterRole", "ClusterRoleBinding")
        assert metadata.get("namespace") == (None if cluster_wide else "ai-interviewer"), name_of(manifest)


def test_a_program_that_waits_is_the_targets_own(rendered: list[Manifest]) -> None:
    split = [(*name.split("/"), container["image"]) for name, container in facets.containers(rendered)]
    images = {service: image for service, container, image in split if container == service}
    waits = 0
    for name, container in facets.containers(rendered):
        _, _, target = str(container["name"]).partition("wait-for-")
        if target:
            waits += 1
            assert container["image"] == images[target], name
    assert waits == 9


def test_no_text_holds_a_password(rendered: list[Manifest]) -> None:
    for manifest in rendered:
        for text in strings(manifest):
            assert not re.search(r"://[^/\s:@]*:[^$@\s/][^@\s/]*@", text), name_of(manifest)
            assert "PRIVATE KEY" not in text
