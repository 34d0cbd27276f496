"""This module is other clusters: who answers DNS there, who stands at the other end, and on which port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from ai_interviewer import PROD, AiInterviewer
from conftest import Manifest, read_manifests
from mcpmesh_k8s import (
    AddressRange,
    Application,
    ApplicationSettings,
    Budget,
    CiliumEntity,
    Compute,
    Container,
    Dns,
    External,
    HostNetwork,
    IngressExposure,
    Internet,
    Listener,
    Namespace,
    NamespacePods,
    NamespaceSettings,
    NoProbes,
    OAuth2ProxySettings,
    OpenIdConnect,
    OtherController,
    Peer,
    Phase,
    PolicyKind,
    Port,
    SettingError,
    Tls,
    User,
    Workload,
    WorkloadSettings,
    images,
)
from policy_evaluator import JSON, Cluster, Host, Pod, Protocol, namespaces_of, pods_of, policies_of
from policy_evaluator import Namespace as ClusterNamespace
from reading import objects_of

CILIUM = PolicyKind.CILIUM
KUBERNETES = PolicyKind.KUBERNETES
Change = Callable[[Workload], None]


def shop(
    folder: Path, *, dns: Dns | None = None, policies: PolicyKind = KUBERNETES, change: Change = lambda _: None
) -> list[Manifest]:
    """What an application with one service renders."""
    application = Application(ApplicationSettings(name="shop", policies=policies), outdir=folder / "shop")
    phase = Phase(application, "services")
    budget = Budget(cpu="4", memory="8Gi")
    Namespace(phase, NamespaceSettings(budget=budget, dns=dns) if dns else NamespaceSettings(budget=budget))
    container = Container(
        name="web",
        image=images.REGISTRY,
        user=User(uid=1, gid=1),
        compute=Compute(cpu="1", memory="1Gi"),
        ports=(Port(number=80, container=8080),),
        probes=NoProbes(because="No test starts it."),
    )
    change(Workload(phase, WorkloadSettings(name="web", container=container)))
    application.synth()
    return read_manifests(folder / "shop")


def world_of(manifests: list[Manifest], policies: PolicyKind = KUBERNETES) -> Cluster:
    """The cluster that they are in."""
    rendered = cast("list[dict[str, JSON]]", manifests)
    others = ("kube-system", "openshift-dns", "edge", "keycloak")
    return Cluster(
        namespaces=[*namespaces_of(rendered), *(ClusterNamespace(name=name) for name in others)],
        policies=policies_of(rendered),
        cilium=policies is CILIUM,
    )


def world(manifests: list[Manifest], policies: PolicyKind = KUBERNETES) -> tuple[Cluster, Pod]:
    """The cluster that they are in, and the pods of the service."""
    (web,) = pods_of(cast("list[dict[str, JSON]]", manifests))
    return world_of(manifests, policies), web


# Who answers DNS in clusters as they are, each with the port of its own. It is written out here and nowhere derived.
KUBE_DNS = (Pod(name="kube-dns", namespace="kube-system", labels={"k8s-app": "kube-dns"}, ip="10.244.0.2"), 53)
OPENSHIFT = (
    Pod(
        name="dns-default",
        namespace="openshift-dns",
        labels={"dns.operator.openshift.io/daemonset-dns": "default"},
        ip="10.128.0.5",
    ),
    5353,
)
NODE_LOCAL = (Host(name="node-local-dns", ip="169.254.20.10", entities=("host",)), 53)
NODE_LOCAL_AT_SERVICE = (Host(name="node-local-dns at kube-dns", ip="10.96.0.10", entities=("host",)), 53)
NODE_LOCAL_V6 = (Host(name="node-local-dns v6", ip="fd00:20::10", entities=("host",)), 53)
NODE_LOCAL_POD = (
    Pod(name="node-local-dns pods", namespace="kube-system", labels={"k8s-app": "node-local-dns"}, ip="10.244.0.3"),
    53,
)
CLOUD_DNS = (Host(name="cloud-dns", ip="169.254.169.254"), 53)
EVERY_DNS = (
    KUBE_DNS,
    OPENSHIFT,
    NODE_LOCAL,
    NODE_LOCAL_AT_SERVICE,
    NODE_LOCAL_V6,
    NODE_LOCAL_POD,
    CLOUD_DNS,
)
ANSWERING = {
    "nothing said": (None, KUBERNETES, [KUBE_DNS]),
    "kube-dns": (Dns.kube_dns(), KUBERNETES, [KUBE_DNS]),
    "NodeLocal": (Dns.node_local(), KUBERNETES, [NODE_LOCAL, KUBE_DNS]),
    "NodeLocal, kube-proxy with iptables": (
        Dns.node_local(service_address="10.96.0.10"),
        KUBERNETES,
        [NODE_LOCAL, NODE_LOCAL_AT_SERVICE, KUBE_DNS],
    ),
    "NodeLocal, IPv6": (Dns.node_local(addresses=("fd00:20::10",)), KUBERNETES, [NODE_LOCAL_V6, KUBE_DNS]),
    # For Cilium they are all the node.
    "NodeLocal, Cilium": (Dns.node_local(), CILIUM, [NODE_LOCAL, NODE_LOCAL_AT_SERVICE, NODE_LOCAL_V6, KUBE_DNS]),
    "OpenShift": (Dns.openshift(), KUBERNETES, [OPENSHIFT]),
    "GKE": (Dns.gke(), KUBERNETES, [KUBE_DNS, NODE_LOCAL, NODE_LOCAL_POD, CLOUD_DNS]),
    "Cilium": (Dns.cilium(), CILIUM, [KUBE_DNS, NODE_LOCAL_POD]),
    "one's own": (
        Dns(servers=(Listener(peer=AddressRange(cidr="169.254.169.254/32"), port=53),)),
        CILIUM,
        [CLOUD_DNS],
    ),
}
PROTOCOLS: tuple[Protocol, ...] = ("TCP", "UDP")


@pytest.mark.parametrize(("dns", "policies", "answering"), ANSWERING.values(), ids=ANSWERING)
def test_every_pod_may_ask_the_cluster_s_dns_and_nothing_else_beside_it(
    tmp_path: Path, dns: Dns | None, policies: PolicyKind, answering: list[tuple[Pod | Host, int]]
) -> None:
    cluster, web = world(shop(tmp_path, dns=dns, policies=policies), policies)
    beside = Pod(name="metrics", namespace="kube-system", labels={"k8s-app": "metrics"}, ip="10.244.0.9")
    ends = [*(end for end, _ in EVERY_DNS), beside, Host(name="internet", ip="203.0.113.9")]
    for asking in (web, Pod(name="stranger", namespace="shop")):
        opened = {
            (end.name, port, protocol)
            for end in ends
            for port in (53, 80, 443, 5353, 8053, 9153)
            for protocol in PROTOCOLS
            if cluster.allows(asking, end, port, protocol)
        }
        assert opened == {(end.name, port, protocol) for end, port in answering for protocol in PROTOCOLS}


def test_cilium_reads_the_questions_where_it_is_asked_to(tmp_path: Path) -> None:
    rendered = shop(tmp_path, dns=Dns.cilium(), policies=CILIUM)
    named = [(str(m["kind"]), m["metadata"]["name"]) for m in rendered if m["kind"] != "LimitRange"]  # type: ignore[index]
    assert ("NetworkPolicy", "shop-allow-dns") not in named
    (policy,) = (manifest for manifest in rendered if manifest["kind"] == "CiliumNetworkPolicy")
    assert policy["spec"]["endpointSelector"] == {}  # type: ignore[index]
    for rule in policy["spec"]["egress"]:  # type: ignore[index]
        (ports,) = rule["toPorts"]
        assert ports["rules"] == {"dns": [{"matchPattern": "*"}]}


# Peers. A node is a host network, a control plane too.
NODE = Host(name="a node", ip="10.0.0.7", entities=("remote-node",))
NODE_V6 = Host(name="a node v6", ip="fd00:10::7", entities=("remote-node",))
OWN_NODE = Host(name="the own node", ip="10.0.0.8", entities=("host",))
CONTROL_PLANE = Host(name="a control plane", ip="10.0.0.9", entities=("kube-apiserver", "remote-node"))
MANAGED = Host(name="a managed API server", ip="192.0.2.10", entities=("kube-apiserver",))
CILIUM_INGRESS = Host(name="Cilium's ingress", ip="10.0.1.1", entities=("ingress",))
BALANCER = Host(name="a load balancer", ip="198.51.100.20")
BALANCER_V6 = Host(name="a load balancer v6", ip="2001:db8::20")
NEIGHBOUR = Host(name="its neighbour", ip="198.51.100.200")
METADATA = Host(name="metadata", ip="169.254.169.254")
EDGE = Pod(name="a controller", namespace="edge", labels={"app": "edge"}, ip="10.244.1.1")
KEYCLOAK = Pod(name="keycloak", namespace="keycloak", labels={"app": "keycloak"}, ip="10.244.1.2")
ENDS = (
    *(NODE, NODE_V6, OWN_NODE, CONTROL_PLANE, MANAGED, CILIUM_INGRESS, BALANCER, BALANCER_V6, NEIGHBOUR, METADATA),
    *(EDGE, KEYCLOAK),
)
OUTSIDE = [BALANCER, BALANCER_V6, NEIGHBOUR]
NODES = [NODE, OWN_NODE, CONTROL_PLANE]
RANGE = AddressRange(cidr="198.51.100.0/24", without=("198.51.100.128/25",))
PEERS: dict[str, tuple[Peer, PolicyKind, list[Pod | Host]]] = {
    "pods": (NamespacePods(namespace="edge"), KUBERNETES, [EDGE]),
    "pods with Cilium": (NamespacePods(namespace="edge", labels=(("app", "edge"),)), CILIUM, [EDGE]),
    "a range": (RANGE, KUBERNETES, [BALANCER]),
    "a range with Cilium": (RANGE, CILIUM, [BALANCER]),
    "an IPv6 range": (AddressRange(cidr="2001:db8::/64"), KUBERNETES, [BALANCER_V6]),
    "the nodes": (HostNetwork(ranges=("10.0.0.0/24", "fd00:10::/64")), KUBERNETES, [*NODES, NODE_V6]),
    "the nodes with Cilium": (HostNetwork(), CILIUM, [*NODES, NODE_V6]),
    "the nodes' range with Cilium": (AddressRange(cidr="10.0.0.0/24"), CILIUM, []),
    "the own node": (CiliumEntity.HOST, CILIUM, [OWN_NODE]),
    "other nodes": (CiliumEntity.REMOTE_NODE, CILIUM, [NODE, NODE_V6, CONTROL_PLANE]),
    "the API server": (CiliumEntity.KUBE_APISERVER, CILIUM, [CONTROL_PLANE, MANAGED]),
    "Cilium's ingress": (CiliumEntity.INGRESS, CILIUM, [CILIUM_INGRESS]),
    "the world": (CiliumEntity.WORLD, CILIUM, [*OUTSIDE, METADATA]),
    "the internet": (Internet(), KUBERNETES, [*OUTSIDE, MANAGED]),
    "the internet with Cilium": (Internet(), CILIUM, [*OUTSIDE, MANAGED]),
}


@pytest.mark.parametrize(("peer", "policies", "meant"), PEERS.values(), ids=PEERS)
def test_a_peer_of_any_kind_comes_in_and_is_dialled(
    tmp_path: Path, peer: Peer, policies: PolicyKind, meant: list[Pod | Host]
) -> None:
    def open_both_ways(web: Workload) -> None:
        web.accepts_from(peer)
        # Clients dial 443, and whoever listens there listens on 8443.
        web.connects_to(External(name="the other end", peer=(Listener(peer=peer, port=8443),)))

    cluster, web = world(shop(tmp_path, policies=policies, change=open_both_ways), policies)
    names = {end.name for end in meant}
    ports = (80, 443, 8080, 8443)
    incoming = {(end.name, port) for end in ENDS for port in ports if cluster.allows(end, web, port)}
    outgoing = {(end.name, port) for end in ENDS for port in ports if cluster.allows(web, end, port)}
    assert incoming == {(name, 8080) for name in names}
    assert outgoing == {(name, 8443) for name in names}


def test_one_external_listens_in_several_places_each_with_a_port_of_its_own(tmp_path: Path) -> None:
    def connect(web: Workload) -> None:
        web.connects_to(
            External(
                name="the provider",
                peer=(
                    Listener(peer=RANGE, port=443),
                    Listener(peer=NamespacePods(namespace="edge"), port=8443),
                ),
            )
        )

    cluster, web = world(shop(tmp_path, change=connect))
    opened = {(end.name, port) for end in ENDS for port in (443, 8443) if cluster.allows(web, end, port)}
    assert opened == {("a load balancer", 443), ("a controller", 8443)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda web: web.accepts_from(CiliumEntity.INGRESS),
            "shop-web accepts_from: 'ingress of Cilium' was given. A NetworkPolicy cannot say it. Give HostNetwork",
        ),
        (
            lambda web: web.connects_to(External(name="API", port=6443, peer=CiliumEntity.KUBE_APISERVER)),
            "shop-web connects_to 'API': 'kube-apiserver of Cilium' was given.",
        ),
        (
            lambda web: web.accepts_from(HostNetwork()),
            "A NetworkPolicy needs addresses. Give the nodes' ranges, or say ApplicationSettings(policies=",
        ),
    ],
)
def test_what_no_policy_of_the_cluster_can_say_is_refused(tmp_path: Path, change: Change, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        shop(tmp_path, change=change)
    assert message in str(caught.value)
    shop(tmp_path, policies=CILIUM, change=change)


@pytest.mark.parametrize(
    ("dns", "message"),
    [
        (Dns.cilium(), "Dns.proxied: True was given. Only Cilium reads questions"),
        (Dns(servers=(Listener(peer=CiliumEntity.HOST, port=53),)), "Dns.servers: 'host of Cilium' was given."),
    ],
)
def test_dns_that_only_cilium_can_say_is_refused_without(tmp_path: Path, dns: Dns, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        shop(tmp_path, dns=dns)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Dns(servers=()), "Dns.servers: () was given. Nothing resolves without."),
        (lambda: Dns.node_local(addresses=("169.254.20.10/32",)), "Dns.node_local: '169.254.20.10/32' was given."),
        (lambda: Dns.gke(service_address="kube-dns"), "Dns.node_local: 'kube-dns' was given. Give an address such as"),
        (lambda: HostNetwork(ranges=("10.0.0.1/24",)), "HostNetwork.ranges: '10.0.0.1/24' was given."),
        (lambda: Listener(peer=Internet(), port=0), "Listener.port: 0 was given."),
        (lambda: External(name="API", peer=()), "External.peer of 'API': () was given. Give a peer, or Listeners."),
    ],
)
def test_a_value_that_cannot_be_is_refused(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        wrong()
    assert message in str(caught.value)


def of(name: str, manifests: list[Manifest]) -> Pod:
    """The pods of one workload."""
    rendered = cast("list[dict[str, JSON]]", manifests)
    return next(pod for pod in pods_of(rendered) if pod.name == f"ai-interviewer-{name}")


def test_a_provider_inside_the_cluster_is_reached_at_its_own_port(tmp_path: Path) -> None:
    # Its host leads to the ingress controller of the same cluster, which a Service translates to 8443.
    provider = OpenIdConnect(
        issuer="https://id.example.com/realms/shop",
        peer=(
            Listener(peer=NamespacePods(namespace="keycloak"), port=8443),
            Listener(peer=NamespacePods(namespace="edge"), port=8443),
        ),
    )
    assert isinstance(PROD.login, OAuth2ProxySettings)
    rendered = objects_of(
        AiInterviewer(replace(PROD, login=replace(PROD.login, provider=provider)), outdir=tmp_path / "shop")
    )
    cluster = world_of(rendered)
    login = of("oauth2-proxy", rendered)
    ports = (443, 8443)
    opened = {(end.name, port) for end in ENDS for port in ports if cluster.allows(login, end, port)}
    assert opened == {("keycloak", 8443), ("a controller", 8443)}


@pytest.mark.parametrize(
    ("peer", "admitted"),
    [
        # A load balancer of the cloud, in the addresses of the network or in its own, and of both families.
        ((RANGE, AddressRange(cidr="2001:db8::/64")), {"a load balancer", "a load balancer v6"}),
        # A controller on the network of its nodes.
        (HostNetwork(ranges=("10.0.0.0/29",)), {"a node"}),
        (NamespacePods(namespace="edge"), {"a controller"}),
    ],
)
def test_whoever_stands_before_the_gateway_reaches_it_and_nobody_else_does(
    tmp_path: Path, peer: Peer | tuple[Peer, ...], admitted: set[str]
) -> None:
    exposure = IngressExposure(controller=OtherController(ingress_class="cloud", peer=peer), tls=Tls(secret="tls"))
    rendered = objects_of(AiInterviewer(replace(PROD, exposure=exposure), outdir=tmp_path / "shop"))
    cluster = world_of(rendered)
    gateway = of("nginx-gateway", rendered)
    assert {end.name for end in ENDS if cluster.allows(end, gateway, 8080)} == admitted
    (ingress,) = (manifest for manifest in rendered if manifest["kind"] == "Ingress")
    assert ingress["spec"]["ingressClassName"] == "cloud"  # type: ignore[index]


def test_a_gateway_that_nobody_stands_before_is_refused(tmp_path: Path) -> None:
    exposure = IngressExposure(controller=OtherController(ingress_class="cloud", peer=()), tls=Tls(secret="tls"))
    with pytest.raises(SettingError, match=r"Exposure peer: \(\) was given. Nobody would reach the gateway."):
        AiInterviewer(replace(PROD, exposure=exposure), outdir=tmp_path / "shop")
