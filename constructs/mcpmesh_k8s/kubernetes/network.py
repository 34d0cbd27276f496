"""This module is who may talk to whom: peers, where they listen, externals, the cluster's DNS, and policies of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .api import ApiObjectMetadata, cilium, k8s
from .choice import Choice
from .endpoint import port_number
from .errors import SettingError
from .labels import label_pairs
from .manifest import Manifest
from .names import dns_label, one_line
from .storage import Volume
from .values import dataclass
from .variable import Variable

PRIVATE_RANGES = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
)
"""What is not the internet: private, shared, link-local (with the cloud's metadata address), loopback, multicast
and reserved addresses, and the IPv6 ranges that are translated to IPv4 ones (the IANA special-purpose registries)."""


_SERVICE = re.compile(r"[a-z0-9-]+\.(?P<namespace>[a-z0-9-]+)\.svc(\.|$)")
"""The name of a Service, with its namespace."""

_PART = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_PART}(\.{_PART})*")
"""A host as it is dialled: some have an underscore."""


class PolicyKind(Choice):
    """With which objects the policies are written."""

    KUBERNETES = "NetworkPolicy", "NetworkPolicy alone, for any network plugin that enforces it."
    CILIUM = "CiliumNetworkPolicy", "The same, and beside it a CiliumNetworkPolicy for what only Cilium can tell apart."


@dataclass(frozen=True, kw_only=True)
class NamespacePods:
    """Pods of another namespace.

    Args:
        namespace: The namespace's name.
        labels: The labels its pods must carry, as ``(key, value)``; any pod unless given.
    """

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check the namespace and the labels."""
        dns_label("NamespacePods.namespace", self.namespace)
        label_pairs("NamespacePods.labels", self.labels)

    @property
    def title(self) -> str:
        """What people call it: the namespace."""
        return self.namespace

    def render(self) -> list[k8s.NetworkPolicyPeer]:
        """The peer as the API has it."""
        return [
            k8s.NetworkPolicyPeer(
                namespace_selector=k8s.LabelSelector(match_labels={"kubernetes.io/metadata.name": self.namespace}),
                pod_selector=k8s.LabelSelector(match_labels=dict(self.labels)) if self.labels else None,
            )
        ]


def _network(where: str, text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise SettingError(where, text, f"Give a network such as '203.0.113.0/24': {error}.") from None
    # The API server wants the length, and knows no zone of an address.
    if "/" not in text or "%" in text:
        raise SettingError(
            where,
            text,
            f"Give a network with its length: {str(network).split('%')[0].split('/')[0]}/{network.prefixlen}.",
        )
    return network


@dataclass(frozen=True, kw_only=True)
class AddressRange:
    """Addresses outside the cluster, without some of them.

    Whether a range covers pods and nodes as well depends on the network plugin: with Cilium it never does. Nodes are a
    `HostNetwork`.

    Args:
        cidr: The range, such as ``203.0.113.7/32``.
        without: Ranges inside it that are left out.
    """

    cidr: str
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the API server would refuse."""
        whole = _network("AddressRange.cidr", self.cidr)
        for text in self.without:
            part = _network("AddressRange.without", text)
            # As numbers, since the standard library does not compare IPv4 with IPv6.
            inside = part.version == whole.version and whole.network_address <= part.network_address  # type: ignore[operator]
            inside = inside and part.broadcast_address <= whole.broadcast_address  # type: ignore[operator]
            if not inside or part == whole:
                raise SettingError("AddressRange.without", text, f"Give a range inside {self.cidr}, smaller than it.")

    def covers(self, address: str) -> bool:
        """Whether an address is in it."""
        one = ipaddress.ip_address(address)
        return one in ipaddress.ip_network(self.cidr) and not any(
            one in ipaddress.ip_network(part) for part in self.without
        )

    @property
    def title(self) -> str:
        """What people call it: the range."""
        return self.cidr

    def render(self) -> list[k8s.NetworkPolicyPeer]:
        """The peer as the API has it."""
        block = k8s.IpBlock(cidr=self.cidr, except_=list(self.without) or None)
        return [k8s.NetworkPolicyPeer(ip_block=block)]


@dataclass(frozen=True, kw_only=True)
class Internet:
    """Every public address: ``0.0.0.0/0`` and ``::/0`` without the ranges of ``PRIVATE_RANGES``.

    Args:
        cluster_ranges: Public addresses that the cluster itself uses for pods, Services or nodes.
    """

    cluster_ranges: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no range."""
        for text in self.cluster_ranges:
            _network("Internet.cluster_ranges", text)

    @property
    def title(self) -> str:
        """What people call it."""
        return "the internet"

    def ranges(self) -> tuple[AddressRange, AddressRange]:
        """One range for IPv4 and one for IPv6."""
        left_out = PRIVATE_RANGES + self.cluster_ranges
        return (
            AddressRange(cidr="0.0.0.0/0", without=tuple(text for text in left_out if ":" not in text)),
            AddressRange(cidr="::/0", without=tuple(text for text in left_out if ":" in text)),
        )

    def render(self) -> list[k8s.NetworkPolicyPeer]:
        """The peers as the API has them."""
        return [peer for part in self.ranges() for peer in part.render()]


@dataclass(frozen=True, kw_only=True)
class HostNetwork:
    """What runs on the network of the nodes themselves: a controller with ``hostNetwork``, a DNS cache on each node.

    Args:
        ranges: The nodes' addresses, IPv4 and IPv6, such as ``10.0.0.0/24``; or one address that is on every node.
            With ``PolicyKind.CILIUM`` none is needed: Cilium knows its nodes, and lets every one of them in.
    """

    ranges: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no range."""
        for text in self.ranges:
            _network("HostNetwork.ranges", text)

    @property
    def title(self) -> str:
        """What people call it."""
        return "the nodes"

    def render(self) -> list[k8s.NetworkPolicyPeer]:
        """The peers as the API has them."""
        return [k8s.NetworkPolicyPeer(ip_block=k8s.IpBlock(cidr=text)) for text in self.ranges]


class CiliumEntity(Choice):
    """Whom Cilium knows by a name. Only with ``PolicyKind.CILIUM``."""

    HOST = "host", "The node that the pod runs on."
    REMOTE_NODE = "remote-node", "Every other node."
    KUBE_APISERVER = "kube-apiserver", "The API server, wherever it runs."
    INGRESS = "ingress", "Cilium's own Ingress controller and Gateways."
    WORLD = "world", "Everything outside the cluster. Private networks and the cloud's metadata address are part of it."

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.value} of Cilium"

    def render(self) -> list[k8s.NetworkPolicyPeer]:
        """Nothing: a NetworkPolicy cannot say it."""
        return []


Peer = NamespacePods | AddressRange | Internet | HostNetwork | CiliumEntity
"""Who stands at the other end of a path that leaves the application."""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A peer and the port that it listens on itself.

    Policies see a connection after a Service has translated it: the port is the pod's, such as 8443 behind 443.

    Args:
        peer: Who listens.
        port: Its own port.
    """

    peer: Peer
    port: int

    def __post_init__(self) -> None:
        """Check the port."""
        port_number("Listener.port", self.port)

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.peer.title} on {self.port}"


@dataclass(frozen=True, kw_only=True)
class External:
    """A target that we do not run: an API on the internet, a managed database.

    Args:
        name: What people call it; it appears in the topology.
        hosts: Its host names, when variables name them. That of a Service, ``name.namespace.svc…``, is in the namespace
            of its peer.
        port: The TCP port that clients dial.
        peer: Where it is, as far as a policy can say; it listens on ``port``. Where it listens on another port than
            clients dial, or is in several places, each as a `Listener`.
        introduction: The variables by which a client finds it.
        volumes: What a client mounts to know it, such as the CA of its certificate: `Files` with the PEM that its
            provider publishes, or an `ExistingConfigMap`. The introduction names the file.
    """

    name: str
    hosts: tuple[str, ...] = ()
    port: int = 443
    peer: Peer | tuple[Listener, ...]
    introduction: tuple[Variable, ...] = ()
    volumes: tuple[Volume, ...] = ()

    def __post_init__(self) -> None:
        """Refuse one without a name or a place, and check the port."""
        one_line("External.name", self.name, "Say what people call it, in one line.")
        for host in self.hosts:
            # An address of IPv6 stands here as in a URL, or without its brackets.
            if not _HOST.fullmatch(host) and not is_address(host.strip("[]")):
                raise SettingError(
                    f"External.hosts of {self.name!r}",
                    host,
                    "Give host names in lower case, such as 'api.example.com', or addresses: without scheme, port, "
                    "path and last dot. The port is `port`.",
                )
        port_number(f"External.port of {self.name!r}", self.port)
        if self.peer == ():
            raise SettingError(f"External.peer of {self.name!r}", self.peer, "Give a peer, or Listeners.")
        named = [one.peer.namespace for one in self.listeners if isinstance(one.peer, NamespacePods)]
        for host in self.hosts:
            service = _SERVICE.match(host)
            if named and service and service["namespace"] not in named:
                raise SettingError(
                    f"External.peer of {self.name!r}",
                    ", ".join(named),
                    f"{host} is a Service of another namespace. Mend it, or give "
                    f"NamespacePods(namespace={service['namespace']!r}).",
                )
            if all(isinstance(one.peer, Internet) for one in self.listeners):
                self._require_public(host, service["namespace"] if service else "")

    def _require_public(self, host: str, namespace: str) -> None:
        """Refuse what is inside where a policy would lead to the internet alone."""
        instead = f"NamespacePods(namespace={namespace!r})" if namespace else ""
        if is_address(plain := host.strip("[]")) and not any(one.covers(plain) for one in Internet().ranges()):
            instead = f"AddressRange(cidr={str(ipaddress.ip_network(plain))!r})"
        if instead:
            raise SettingError(
                f"External.peer of {self.name!r}",
                "Internet()",
                f"{host} is not on the internet, and no policy would lead there. Give {instead}.",
            )

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Where it listens."""
        return self.peer if isinstance(self.peer, tuple) else (Listener(peer=self.peer, port=self.port),)


def _system_pods(label: str) -> NamespacePods:
    return NamespacePods(namespace="kube-system", labels=(("k8s-app", label),))


KUBE_DNS = Listener(peer=_system_pods("kube-dns"), port=53)
"""The pods of CoreDNS and of kube-dns: both carry this label."""

NODE_LOCAL_PODS = Listener(
    peer=NamespacePods(namespace="kube-system", labels=(("k8s-app", "node-local-dns"),)), port=53
)
"""The pods of NodeLocal DNSCache where the network plugin redirects to them: Cilium, and GKE's Dataplane V2."""

NODE_LOCAL_ADDRESS = "169.254.20.10"
"""Where NodeLocal DNSCache listens on every node, unless it was installed otherwise."""


@dataclass(frozen=True, kw_only=True)
class Dns:
    """Who answers DNS in the cluster: every pod may ask it, by UDP and by TCP.

    ``Dns.kube_dns()``, ``node_local()``, ``openshift()``, ``gke()`` and ``cilium()`` are what clusters have.

    Args:
        servers: Who answers, with the port that it listens on itself.
        proxied: Whether Cilium reads the questions, as ``toFQDNs`` of a policy of your own needs it. Any may be asked.
    """

    servers: tuple[Listener, ...]
    proxied: bool = False

    def __post_init__(self) -> None:
        """Refuse a cluster where nothing resolves."""
        if not self.servers:
            raise SettingError("Dns.servers", self.servers, "Nothing resolves without. Give one, or Dns.kube_dns().")

    @classmethod
    def kube_dns(cls) -> Dns:
        """CoreDNS or kube-dns in ``kube-system``: most clusters, EKS, AKS, k3s and minikube among them."""
        return cls(servers=(KUBE_DNS,))

    @classmethod
    def node_local(cls, *, service_address: str = "", addresses: tuple[str, ...] = (NODE_LOCAL_ADDRESS,)) -> Dns:
        """NodeLocal DNSCache on the network of each node, and kube-dns while a node's cache is away.

        Args:
            service_address: The cluster IP of the Service ``kube-dns``, at which the cache answers too. It is what
                pods ask unless kube-proxy runs with IPVS.
            addresses: Where it listens on every node.
        """
        given = tuple(filter(None, (*addresses, service_address)))
        for address in given:
            _address("Dns.node_local", address)
        cache = HostNetwork(ranges=tuple(str(ipaddress.ip_network(address)) for address in given))
        return cls(servers=(Listener(peer=cache, port=53), KUBE_DNS))

    @classmethod
    def openshift(cls) -> Dns:
        """OpenShift: its pods listen on 5353, behind a Service on 53."""
        labels = (("dns.operator.openshift.io/daemonset-dns", "default"),)
        return cls(servers=(Listener(peer=NamespacePods(namespace="openshift-dns", labels=labels), port=5353),))

    @classmethod
    def gke(cls, *, service_address: str = "") -> Dns:
        """GKE, whichever it was made with: kube-dns, NodeLocal DNSCache, or Cloud DNS.

        NodeLocal DNSCache is on the network of the nodes, or with Dataplane V2 in pods. Cloud DNS answers at the
        address of the metadata server: its port 53 is opened, and not the port 80 of the metadata.

        Args:
            service_address: The cluster IP of the Service ``kube-dns``.
        """
        local = cls.node_local(service_address=service_address)
        cloud = AddressRange(cidr="169.254.169.254/32")
        return cls(servers=(*local.servers, NODE_LOCAL_PODS, Listener(peer=cloud, port=53)))

    @classmethod
    def cilium(cls) -> Dns:
        """kube-dns, or NodeLocal DNSCache by a local redirect policy, with questions that Cilium reads."""
        return cls(servers=(KUBE_DNS, NODE_LOCAL_PODS), proxied=True)


def is_address(text: str) -> bool:
    """Whether it is an address of IPv4 or IPv6, and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _address(where: str, text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise SettingError(where, text, f"Give an address such as {NODE_LOCAL_ADDRESS!r}: {error}.") from None


def require_sayable(where: str, peer: Peer, kind: PolicyKind) -> None:
    """Refuse a peer that the policies of this cluster cannot name.

    Raises:
        SettingError: It is one that only Cilium knows, or a host network without addresses.
    """
    if kind is PolicyKind.CILIUM:
        return
    instead = "or say ApplicationSettings(policies=PolicyKind.CILIUM) where the cluster runs Cilium."
    if isinstance(peer, CiliumEntity):
        raise SettingError(
            where,
            peer.title,
            f"A NetworkPolicy cannot say it. Give HostNetwork(ranges=…) or AddressRange(cidr=…), {instead}",
        )
    if peer == HostNetwork():
        raise SettingError(where, peer.title, f"A NetworkPolicy needs addresses. Give the nodes' ranges, {instead}")


def needs_cilium(peer: Peer, kind: PolicyKind) -> bool:
    """Whether a CiliumNetworkPolicy names a peer, where the cluster has them: for Cilium a node is no address."""
    return kind is PolicyKind.CILIUM and isinstance(peer, HostNetwork | CiliumEntity)


TCP = ("TCP",)
DNS_PROTOCOLS = ("UDP", "TCP")


def policy_ports(numbers: Iterable[int], protocols: Sequence[str] = TCP) -> list[k8s.NetworkPolicyPort]:
    """Ports of a rule, in order."""
    return [
        k8s.NetworkPolicyPort(port=k8s.IntOrString.from_number(number), protocol=protocol)
        for number in sorted(set(numbers))
        for protocol in protocols
    ]


def pods_peer(selector: dict[str, str]) -> k8s.NetworkPolicyPeer:
    """The pods of this namespace that carry a label."""
    return k8s.NetworkPolicyPeer(pod_selector=k8s.LabelSelector(match_labels=selector))


def ingress_rule(peers: Sequence[k8s.NetworkPolicyPeer], numbers: Iterable[int]) -> k8s.NetworkPolicyIngressRule:
    """Who may come in, and to which ports."""
    return k8s.NetworkPolicyIngressRule(from_=list(peers), ports=policy_ports(numbers))


def egress_rule(
    peers: Sequence[k8s.NetworkPolicyPeer], numbers: Iterable[int], protocols: Sequence[str] = TCP
) -> k8s.NetworkPolicyEgressRule:
    """Who may be dialled, and on which ports."""
    return k8s.NetworkPolicyEgressRule(to=list(peers), ports=policy_ports(numbers, protocols))


def pod_policies(
    metadata: k8s.ObjectMeta,
    selector: Mapping[str, str],
    kind: PolicyKind,
    *,
    incoming: Sequence[tuple[Peer, int]],
    outgoing: Sequence[Listener],
    clients: Sequence[k8s.NetworkPolicyIngressRule] = (),
    targets: Sequence[k8s.NetworkPolicyEgressRule] = (),
) -> list[Manifest]:
    """The policy that closes pods in both directions but for what is said, and Cilium's where a peer needs that.

    Args:
        metadata: Its name, namespace and labels.
        selector: The labels of the pods that it is about.
        kind: With which objects this cluster's policies are written.
        incoming: Who may come in from outside the application, each with the port of the pods.
        outgoing: Who may be dialled outside it.
        clients: Who may come in of the application.
        targets: Who may be dialled of it.
    """
    ingress = [ingress_rule(peer.render(), [number]) for peer, number in incoming if not needs_cilium(peer, kind)]
    egress = [
        egress_rule(listener.peer.render(), [listener.port])
        for listener in outgoing
        if not needs_cilium(listener.peer, kind)
    ]
    return [
        k8s.KubeNetworkPolicy.manifest(
            metadata=metadata,
            spec=k8s.NetworkPolicySpec(
                pod_selector=k8s.LabelSelector(match_labels=dict(selector)),
                policy_types=["Ingress", "Egress"],
                ingress=[*clients, *ingress] or None,
                egress=[*targets, *egress] or None,
            ),
        ),
        *cilium_policy(
            ApiObjectMetadata(name=metadata.name, namespace=metadata.namespace, labels=metadata.labels),
            selector,
            incoming=[(peer, number) for peer, number in incoming if needs_cilium(peer, kind)],
            outgoing=[listener for listener in outgoing if needs_cilium(listener.peer, kind)],
        ),
    ]


def cilium_policy(
    metadata: ApiObjectMetadata,
    selector: Mapping[str, str],
    *,
    incoming: Sequence[tuple[Peer, int]] = (),
    outgoing: Sequence[Listener] = (),
    dns: Dns | None = None,
) -> list[Manifest]:
    """The CiliumNetworkPolicy beside a NetworkPolicy; none where there is nothing to say.

    Args:
        metadata: Its name.
        selector: The labels of the pods that it is about; all of the namespace when empty.
        incoming: Who may come in, each with the port of the pods.
        outgoing: Who may be dialled.
        dns: The cluster's DNS, when that is who is dialled.
    """
    if not (incoming or outgoing):
        return []
    return [
        cilium.CiliumNetworkPolicy.manifest(
            metadata=metadata,
            spec=cilium.CiliumNetworkPolicySpec(
                endpoint_selector=cilium.CiliumNetworkPolicySpecEndpointSelector(match_labels=dict(selector) or None),
                ingress=[_cilium_ingress(peer, number) for peer, number in incoming] or None,
                egress=[_cilium_egress(listener, dns) for listener in outgoing] or None,
            ),
        )
    ]


def _cilium_ingress(peer: Peer, number: int) -> cilium.CiliumNetworkPolicySpecIngress:
    port = cilium.CiliumNetworkPolicySpecIngressToPortsPorts(
        port=str(number), protocol=cilium.CiliumNetworkPolicySpecIngressToPortsPortsProtocol.TCP
    )
    return cilium.CiliumNetworkPolicySpecIngress(
        from_endpoints=[
            cilium.CiliumNetworkPolicySpecIngressFromEndpoints(match_labels=labels) for labels in _endpoints(peer)
        ]
        or None,
        from_cidr_set=[
            cilium.CiliumNetworkPolicySpecIngressFromCidrSet(cidr=one.cidr, except_=list(one.without) or None)
            for one in _ranges(peer)
        ]
        or None,
        from_entities=[cilium.CiliumNetworkPolicySpecIngressFromEntities[name] for name in _entities(peer)] or None,
        to_ports=[cilium.CiliumNetworkPolicySpecIngressToPorts(ports=[port])],
    )


def _cilium_egress(listener: Listener, dns: Dns | None) -> cilium.CiliumNetworkPolicySpecEgress:
    peer = listener.peer
    anything = [cilium.CiliumNetworkPolicySpecEgressToPortsRulesDns(match_pattern="*")]
    ports = [
        cilium.CiliumNetworkPolicySpecEgressToPortsPorts(
            port=str(listener.port), protocol=cilium.CiliumNetworkPolicySpecEgressToPortsPortsProtocol[protocol]
        )
        for protocol in (DNS_PROTOCOLS if dns else TCP)
    ]
    rules = cilium.CiliumNetworkPolicySpecEgressToPortsRules(dns=anything) if dns and dns.proxied else None
    return cilium.CiliumNetworkPolicySpecEgress(
        to_endpoints=[
            cilium.CiliumNetworkPolicySpecEgressToEndpoints(match_labels=labels) for labels in _endpoints(peer)
        ]
        or None,
        to_cidr_set=[
            cilium.CiliumNetworkPolicySpecEgressToCidrSet(cidr=one.cidr, except_=list(one.without) or None)
            for one in _ranges(peer)
        ]
        or None,
        to_entities=[cilium.CiliumNetworkPolicySpecEgressToEntities[name] for name in _entities(peer)] or None,
        to_ports=[cilium.CiliumNetworkPolicySpecEgressToPorts(ports=ports, rules=rules)],
    )


# Each peer is one of three: what Cilium selects by labels, by addresses, or by a name of its own.


def _endpoints(peer: Peer) -> Iterator[dict[str, str]]:
    if isinstance(peer, NamespacePods):
        labels = {f"k8s:{key}": value for key, value in peer.labels}
        yield {"k8s:io.kubernetes.pod.namespace": peer.namespace, **labels}


def _ranges(peer: Peer) -> Iterator[AddressRange]:
    if isinstance(peer, AddressRange):
        yield peer
    elif isinstance(peer, Internet):
        yield from peer.ranges()


def _entities(peer: Peer) -> Iterator[str]:
    """The members' names in the API."""
    every_node = (CiliumEntity.HOST, CiliumEntity.REMOTE_NODE)
    entities = every_node if isinstance(peer, HostNetwork) else (peer,) if isinstance(peer, CiliumEntity) else ()
    yield from (entity.name.replace("_", "_HYPHEN_") for entity in entities)
