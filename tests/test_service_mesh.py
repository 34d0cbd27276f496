"""This module is the proof of service meshes: exactly the paths that there were, through the mesh's tunnel.

Who may talk to whom is the table of `test_reachability`, which is written by hand. Policies of the network see the port
of the tunnel alone. What is behind it is read from the mesh's own policies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import openings
import test_reachability as reach
from ai_interviewer import PROD, AiInterviewer, EnvironmentSettings
from conftest import Manifest, close
from encrypted import AMBIENT, LINKERD
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Budget,
    Compute,
    Container,
    External,
    HttpGet,
    Image,
    IstioAmbient,
    Linkerd,
    Namespace,
    NamespacePods,
    NamespaceSettings,
    NoProbes,
    Phase,
    Platform,
    PodExtras,
    Port,
    Probes,
    SettingError,
    Transit,
    TreeError,
    User,
    Workload,
    WorkloadSettings,
)
from mcpmesh_k8s.kubernetes.manifest import at, each, name_of
from mesh_harness import find
from openings import HOSTS, Opening, openings_of
from reading import objects_of
from test_reachability import ALLOWED, NAMESPACE, OTHERS, assert_exactly, openings_in

Rendered = list[Manifest]
LINKERDS = ("Server", "AuthorizationPolicy", "MeshTLSAuthentication", "NetworkAuthentication")
HBONE, INBOUND = 15008, 4143
PROBES = "probes of the kubelet"
OUTSIDE = {*OTHERS, *HOSTS, PROBES}
PREFIX = "ai-interviewer-"


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ports of meshes are asked for too, by the address that Istio gives the kubelet's probes."""
    monkeypatch.setattr(reach, "PORTS", (*reach.PORTS, HBONE, INBOUND, 4191, 8086))
    monkeypatch.setattr(openings, "HOSTS", {**HOSTS, PROBES: "169.254.7.127"})


def rendered(settings: EnvironmentSettings, folder: Path) -> Rendered:
    return objects_of(AiInterviewer(settings, outdir=folder))


@pytest.fixture(scope="module")
def ambient(in_transit: dict[str, Rendered]) -> Rendered:
    """Production in Istio's ambient mode."""
    return in_transit[AMBIENT.name]


@pytest.fixture(scope="module")
def linkerd(in_transit: dict[str, Rendered]) -> Rendered:
    """Production in Linkerd."""
    return in_transit[LINKERD.name]


def inside(openings: set[Opening]) -> set[Opening]:
    """Those between two pods of the application."""
    return {one for one in openings if not {one[0], one[1]} & OUTSIDE}


PLAIN = openings_of(ALLOWED["prod"])


def through(port: int, *, instead: bool = True) -> set[Opening]:
    """The same paths, those of the application through a tunnel."""
    tunnelled: set[Opening] = {(source, target, port, "TCP") for source, target, *_ in inside(PLAIN)}
    return tunnelled | (PLAIN - inside(PLAIN) if instead else PLAIN)


def table(openings: set[Opening]) -> str:
    return "\n".join(f"{source} -> {target} {port}" for source, target, port, _ in sorted(openings))


# --- Istio ---


def probed(manifests: Sequence[Manifest]) -> set[Opening]:
    """The ports that the kubelet asks."""
    found: set[Opening] = set()
    for manifest in manifests:
        for container in each(manifest, "spec", "template", "spec", "containers"):
            numbers = {port["name"]: port["containerPort"] for port in each(container, "ports")}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                for how in ("httpGet", "tcpSocket"):
                    if name := at(container, kind, how).get("port"):
                        port: Any = numbers[name]
                        found.add((PROBES, name_of(manifest).removeprefix(PREFIX), port, "TCP"))
    return found


def test_paths_are_the_tunnels_of_the_same_pairs_and_probes_come_in_where_they_ask(ambient: Rendered) -> None:
    found = openings_in(ambient)
    asked = probed(ambient)
    assert ("probes of the kubelet", "grafana", 3000, "TCP") in asked
    assert_exactly(found - asked, table(through(HBONE)))
    assert asked <= found


V4, V6 = "169.254.7.127/32", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128"


@pytest.mark.parametrize(
    ("platform", "sources"),
    [(Platform(), [V4]), (Platform(ip_families=("IPv4", "IPv6")), [V4, V6]), (Platform(ip_families=("IPv6",)), [V6])],
)
def test_probes_come_from_an_address_of_each_family(platform: Platform, sources: list[str]) -> None:
    scope = shop(IstioAmbient(), platform=platform)
    runs(scope, PodExtras(), probes=Probes.of(HttpGet(path="/ready")))
    policy = find(Application.of(scope).manifests()["all"], "NetworkPolicy", "shop-web")
    (rule,) = each(policy, "spec", "ingress")
    assert [at(peer, "ipBlock")["cidr"] for peer in each(rule, "from")] == sources


def authorized(manifests: Sequence[Manifest]) -> set[Opening]:
    """Who may reach which port of whom through the tunnel, as the proxies are told."""
    found: set[Opening] = set()
    for manifest in manifests:
        if manifest["kind"] != "AuthorizationPolicy":
            continue
        spec = at(manifest, "spec")
        assert spec["action"] == "ALLOW"
        labels: Mapping[str, Any] = at(spec, "selector", "matchLabels")
        for rule in each(spec, "rules"):
            [source], [operation] = each(rule, "from"), each(rule, "to")
            who: Mapping[str, Any] = at(source, "source")
            for port in at(operation, "operation")["ports"]:  # type: ignore[attr-defined]
                for principal in who.get("principals", ()):
                    identity = re.fullmatch(rf"cluster\.local/ns/{NAMESPACE}/sa/{PREFIX}(.+)", principal)
                    assert identity
                    target = labels["app.kubernetes.io/name"].removeprefix(PREFIX)
                    found.add((identity[1], target, int(port), "TCP"))
    return found


def test_behind_the_tunnel_each_client_reaches_its_port_and_no_other(ambient: Rendered) -> None:
    assert authorized(ambient) == inside(PLAIN)


def test_nothing_is_taken_plain_but_from_who_is_outside_the_mesh(ambient: Rendered) -> None:
    label = at(find(ambient, "Namespace", NAMESPACE), "metadata", "labels")["istio.io/dataplane-mode"]
    assert label == "ambient"
    modes = {name_of(m).removeprefix(PREFIX): m["spec"] for m in ambient if m["kind"] == "PeerAuthentication"}
    assert modes.pop("service-mesh") == {"mtls": {"mode": "STRICT"}}
    # The ingress controller, and who proves to a certificate's issuer that the host is ours.
    gateway = {
        "selector": {"matchLabels": {"app.kubernetes.io/name": f"{PREFIX}nginx-gateway"}},
        "mtls": {"mode": "STRICT"},
        "portLevelMtls": {"8080": {"mode": "PERMISSIVE"}},
    }
    solver = {
        "selector": {"matchLabels": {"acme.cert-manager.io/http01-solver": "true"}},
        "mtls": {"mode": "STRICT"},
        "portLevelMtls": {"8089": {"mode": "PERMISSIVE"}},
    }
    assert modes == {"nginx-gateway": gateway, "http01-solver": solver}
    # Who has no identity would be refused by what allows the others, unless that names nobody's too.
    nobody = {
        (name_of(m).removeprefix(PREFIX), str(at(to, "operation")["ports"]))
        for m in ambient
        if m["kind"] == "AuthorizationPolicy"
        for rule in each(m, "spec", "rules")
        for source, to in zip(each(rule, "from"), each(rule, "to"), strict=True)
        if at(source, "source").get("notPrincipals") == ["*"]
    }
    assert nobody == {("nginx-gateway", "['8080']"), ("http01-solver", "['8089']")}


def test_an_ingress_controller_in_the_mesh_comes_by_the_tunnel_too(tmp_path: Path) -> None:
    settings = replace(AMBIENT, transit=IstioAmbient(meshed=("ingress-nginx",)))
    manifests = rendered(settings, tmp_path / "dist")
    found = openings_in(manifests)
    into = {one for one in found if one[0] == "ingress-controller" and one[1] == "nginx-gateway"}
    assert into == {("ingress-controller", "nginx-gateway", HBONE, "TCP")}
    assert [name_of(m) for m in manifests if m["kind"] == "PeerAuthentication"] == [f"{PREFIX}service-mesh"]
    rules = find(manifests, "AuthorizationPolicy", f"{PREFIX}nginx-gateway")["spec"]["rules"]
    assert {
        "from": [{"source": {"namespaces": ["ingress-nginx"]}}],
        "to": [{"operation": {"ports": ["8080"]}}],
    } in rules


def test_before_all_pods_are_in_the_mesh_both_ways_are_open(tmp_path: Path) -> None:
    manifests = rendered(replace(AMBIENT, transit=IstioAmbient(strict=False)), tmp_path / "dist")
    assert_exactly(openings_in(manifests) - probed(manifests), table(through(HBONE, instead=False)))
    assert not authorized(manifests)
    modes = [m["spec"] for m in manifests if m["kind"] == "PeerAuthentication"]
    assert modes == [{"mtls": {"mode": "PERMISSIVE"}}]


# --- Linkerd ---


def test_linkerd_opens_its_tunnel_where_a_path_is_and_its_control_plane(linkerd: Rendered) -> None:
    assert_exactly(openings_in(linkerd), table(through(INBOUND)))
    (policy,) = (m for m in linkerd if m["kind"] == "NetworkPolicy" and name_of(m) == f"{PREFIX}service-mesh")
    opened = {
        (
            rule["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            rule["to"][0]["podSelector"]["matchLabels"]["linkerd.io/control-plane-component"],
            tuple(port["port"] for port in rule["ports"]),
        )
        for rule in policy["spec"]["egress"]  # type: ignore[index]
    }
    assert opened == {("linkerd", "destination", (8086, 8090)), ("linkerd", "identity", (8080,))}


def test_behind_linkerds_tunnel_each_client_reaches_its_port_and_no_other(linkerd: Rendered) -> None:
    """As its proxies read it: what no Server is about is denied, and a Server admits whom its policies name."""
    kinds: dict[str, dict[str, Any]] = {
        kind: {name_of(m): m["spec"] for m in linkerd if m["kind"] == kind} for kind in LINKERDS
    }
    # 2.19 warns of the older ones, and will drop them.
    assert {m["apiVersion"] for m in linkerd if m["kind"] == "Server"} == {"policy.linkerd.io/v1beta3"}
    found: set[Opening] = set()
    plain = set[tuple[str, int]]()
    for name, spec in kinds["AuthorizationPolicy"].items():
        assert spec["targetRef"] == {
            "group": "policy.linkerd.io",
            "kind": "Server",
            "name": name.removesuffix("-plain"),
        }
        server = kinds["Server"][spec["targetRef"]["name"]]
        target = server["podSelector"]["matchLabels"]["app.kubernetes.io/name"].removeprefix(PREFIX)
        (who,) = spec["requiredAuthenticationRefs"]
        authentication = kinds[who["kind"]][who["name"]]
        if who["kind"] == "NetworkAuthentication":
            assert authentication == {"networks": [{"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}]}
            plain.add((target, server["port"]))
            continue
        for identity in authentication["identities"]:
            client = re.fullmatch(
                rf"{PREFIX}(.+)\.{NAMESPACE}\.serviceaccount\.identity\.linkerd\.cluster\.local", identity
            )
            assert client
            found.add((client[1], target, server["port"], "TCP"))
    assert found == inside(PLAIN)
    # Whom the policy of the network lets in from outside the mesh.
    assert plain == {("nginx-gateway", 8080)}
    opaque = {name for name, spec in kinds["Server"].items() if spec.get("proxyProtocol") == "opaque"}
    assert opaque == {f"{PREFIX}postgres-5432", f"{PREFIX}redis-6379"}


def test_an_ingress_controller_in_linkerd_comes_by_the_tunnel_and_by_its_identity(tmp_path: Path) -> None:
    settings = replace(
        LINKERD, transit=Linkerd(meshed=("ingress-nginx",), namespace="mesh", trust_domain="example.com")
    )
    manifests = rendered(settings, tmp_path / "dist")
    into = {one for one in openings_in(manifests) if one[:2] == ("ingress-controller", "nginx-gateway")}
    assert into == {("ingress-controller", "nginx-gateway", INBOUND, "TCP")}
    known = find(manifests, "MeshTLSAuthentication", f"{PREFIX}nginx-gateway-8080")["spec"]["identities"]
    assert "*.ingress-nginx.serviceaccount.identity.mesh.example.com" in known
    assert not [m for m in manifests if m["kind"] == "NetworkAuthentication"]


def templates(manifests: Sequence[Manifest]) -> dict[str, Mapping[str, Any]]:
    """The annotations of every pod."""
    found: dict[str, Mapping[str, Any]] = {}
    for manifest in manifests:
        template = at(manifest, "spec", "jobTemplate", "spec", "template") or at(manifest, "spec", "template")
        if template:
            found[name_of(manifest).removeprefix(PREFIX)] = at(template, "metadata", "annotations")
    return found


def test_every_pod_gets_a_proxy_of_its_size_that_takes_nothing_plain(linkerd: Rendered) -> None:
    found = templates(linkerd)
    usual = {
        "linkerd.io/inject": "enabled",
        "config.beta.linkerd.io/proxy-enable-native-sidecar": "true",
        "config.linkerd.io/default-inbound-policy": "deny",
        "config.linkerd.io/proxy-cpu-request": "10m",
        "config.linkerd.io/proxy-cpu-limit": "200m",
        "config.linkerd.io/proxy-memory-request": "32Mi",
        "config.linkerd.io/proxy-memory-limit": "128Mi",
        "config.linkerd.io/proxy-ephemeral-storage-request": "128Mi",
        "config.linkerd.io/proxy-ephemeral-storage-limit": "128Mi",
    }
    assert {"minio-backup", "postgres", "smoke-test"} <= set(found)
    for said in found.values():
        assert usual.items() <= said.items()
    more = {name: {key: value for key, value in said.items() if "-ports" in key} for name, said in found.items()}
    assert {name: said for name, said in more.items() if said} == {
        "postgres": {"config.linkerd.io/opaque-ports": "5432"},
        "redis": {"config.linkerd.io/opaque-ports": "6379"},
    }
    for name in ("postgres", "postgres-pods", "redis"):
        service = find(linkerd, "Service", PREFIX + name)
        assert at(service, "metadata", "annotations")["config.linkerd.io/opaque-ports"] in ("5432", "6379")


def test_the_quota_has_room_for_the_proxies(linkerd: Rendered) -> None:
    whole = AiInterviewer(replace(LINKERD, transit=Linkerd(proxy=Compute(cpu="11m", memory="32Mi"))), outdir="unused")
    (more,) = (m for group in whole.manifests().values() for m in group if m["kind"] == "ResourceQuota")
    cpu = [
        int(str(at(quota, "spec", "hard")["requests.cpu"]).removesuffix("m"))
        for quota in (find(linkerd, "ResourceQuota", "ai-interviewer"), more)
    ]
    # One for each pod that there may be, but the guest, whom others bring.
    assert cpu[1] - cpu[0] == int(str(at(more, "spec", "hard")["pods"])) - 1
    (limits,) = (m["spec"] for m in linkerd if m["kind"] == "LimitRange")
    assert at(limits["limits"][0], "max")["memory"] == "2Gi"  # type: ignore[index]


def test_before_all_pods_have_a_proxy_both_ways_are_open(tmp_path: Path) -> None:
    manifests = rendered(replace(LINKERD, transit=Linkerd(strict=False)), tmp_path / "dist")
    assert_exactly(openings_in(manifests), table(through(INBOUND, instead=False)))
    assert not [m for m in manifests if m["kind"] in ("Server", "AuthorizationPolicy")]
    assert {said["config.linkerd.io/default-inbound-policy"] for said in templates(manifests).values()} == {
        "all-unauthenticated"
    }


# --- what is refused ---


def shop(transit: Transit, *, platform: Platform | None = None) -> Phase:
    settings = ApplicationSettings(name="shop", transit=transit, platform=platform or Platform())
    scope = Phase(Application(settings, outdir="unused"), "all")
    Namespace(scope, NamespaceSettings(budget=Budget(cpu="4", memory="8Gi")))
    return scope


def runs(scope: Phase, extras: PodExtras, port: int = 8000, probes: Probes | None = None) -> Workload:
    container = Container(
        name="main",
        image=Image(repository="acme/shop", tag="1.2.3"),
        user=User(uid=1000, gid=1000),
        compute=Compute(cpu="100m", memory="64Mi"),
        ports=(Port(number=port),),
        probes=probes or NoProbes(because="No test starts it."),
    )
    return Workload(scope, WorkloadSettings(name="web", container=container, extras=extras))


MESHES = (IstioAmbient(), Linkerd())
OF_A_MESH = {
    "out of ambient": PodExtras(pod_labels=(("istio.io/dataplane-mode", "none"),)),
    "a sidecar of Istio": PodExtras(pod_annotations=(("sidecar.istio.io/inject", "true"),)),
    "out of Linkerd": PodExtras(pod_annotations=(("linkerd.io/inject", "disabled"),)),
    "past Linkerd": PodExtras(pod_annotations=(("config.linkerd.io/skip-outbound-ports", "5432"),)),
}


@pytest.mark.parametrize("transit", MESHES, ids=["ambient", "linkerd"])
@pytest.mark.parametrize("case", OF_A_MESH)
def test_what_would_take_a_pod_out_of_the_mesh_is_refused_by_its_name(case: str, transit: Transit) -> None:
    with pytest.raises(SettingError, match=r"shop-web pod_(labels|annotations): '.*ApplicationSettings\.transit says"):
        runs(shop(transit), OF_A_MESH[case])
    # Where there is no mesh it is anybody's.
    runs(shop(ApplicationSettings(name="shop").transit), OF_A_MESH[case])


@pytest.mark.parametrize(("transit", "port"), [(IstioAmbient(), 15008), (Linkerd(), 4191)])
def test_a_port_of_the_proxy_is_refused(transit: Transit, port: int) -> None:
    with pytest.raises(SettingError, match=f"shop-web port: {port} was given. {type(transit).__name__} listens there"):
        runs(shop(transit), PodExtras(), port=port)


@pytest.mark.parametrize("transit", MESHES, ids=["ambient", "linkerd"])
def test_a_namespace_that_nothing_brings_into_the_mesh_is_refused(transit: Transit) -> None:
    """Its policies would let tunnels through alone, and no pod of it would speak by one."""
    scope = Phase(Application(ApplicationSettings(name="shop", transit=transit), outdir="unused"), "all")
    close(scope)
    runs(scope, PodExtras())
    with pytest.raises(
        TreeError, match=f"transit is {type(transit).__name__}, and nothing brings the namespace into it"
    ):
        Application.of(scope).manifests()


def test_linkerd_is_refused_where_the_cluster_says_as_whom_pods_run() -> None:
    settings = replace(LINKERD, platform=Platform(assigns_users=True))
    with pytest.raises(SettingError, match=r"ApplicationSettings.transit: 'Linkerd' was given. Its proxies run as"):
        AiInterviewer(settings, outdir="unused")


def test_production_has_no_room_for_linkerds_proxies_and_says_so() -> None:
    with pytest.raises((SettingError, TreeError), match="the nodes have room for"):
        AiInterviewer(replace(PROD, transit=Linkerd()), outdir="unused").manifests()


@pytest.mark.parametrize(
    ("transit", "port"),
    [(IstioAmbient(meshed=("vault",)), HBONE), (Linkerd(meshed=("vault",)), INBOUND), (IstioAmbient(), 8200)],
)
def test_who_is_dialled_outside_is_reached_by_the_tunnel_where_he_is_in_the_mesh(transit: Transit, port: int) -> None:
    scope = shop(transit)
    runs(scope, PodExtras()).connects_to(External(name="Vault", port=8200, peer=NamespacePods(namespace="vault")))
    policy = find(Application.of(scope).manifests()["all"], "NetworkPolicy", "shop-web")
    assert [one["port"] for rule in each(policy, "spec", "egress") for one in each(rule, "ports")] == [port]
