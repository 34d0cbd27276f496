"""This module is who may talk to whom: targets, externals, peers, and the policies made of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from .api import k8s
from .endpoint import port_number
from .errors import SettingError
from .labels import label_pairs
from .names import dns_label
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
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise SettingError(where, text, f"Give a network such as '203.0.113.0/24': {error}.") from None


@dataclass(frozen=True, kw_only=True)
class AddressRange:
    """Addresses outside the cluster, without some of them.

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
        return "internet"

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


Peer = NamespacePods | AddressRange | Internet
"""Who stands at the other end of a path that leaves the application."""


@dataclass(frozen=True, kw_only=True)
class External:
    """A target that we do not run: an API on the internet, a managed database.

    Args:
        name: What people call it; it appears in the topology.
        hosts: Its host names, when variables name them.
        port: Its TCP port.
        peer: Where it is, as far as a policy can say.
        introduction: The variables by which a client finds it.
    """

    name: str
    hosts: tuple[str, ...] = ()
    port: int = 443
    peer: Peer
    introduction: tuple[Variable, ...] = ()

    def __post_init__(self) -> None:
        """Check the port."""
        port_number(f"External.port of {self.name!r}", self.port)


def policy_ports(numbers: Iterable[int]) -> list[k8s.NetworkPolicyPort]:
    """TCP ports of a rule, in order."""
    return [
        k8s.NetworkPolicyPort(port=k8s.IntOrString.from_number(number), protocol="TCP")
        for number in sorted(set(numbers))
    ]


def pods_peer(selector: dict[str, str]) -> k8s.NetworkPolicyPeer:
    """The pods of this namespace that carry a label."""
    return k8s.NetworkPolicyPeer(pod_selector=k8s.LabelSelector(match_labels=selector))


def ingress_rule(peers: Sequence[k8s.NetworkPolicyPeer], numbers: Iterable[int]) -> k8s.NetworkPolicyIngressRule:
    """Who may come in, and to which ports."""
    return k8s.NetworkPolicyIngressRule(from_=list(peers), ports=policy_ports(numbers))


def egress_rule(peers: Sequence[k8s.NetworkPolicyPeer], numbers: Iterable[int]) -> k8s.NetworkPolicyEgressRule:
    """Who may be dialled, and on which ports."""
    return k8s.NetworkPolicyEgressRule(to=list(peers), ports=policy_ports(numbers))
