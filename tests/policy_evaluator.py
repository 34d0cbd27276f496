"""An evaluator of Kubernetes network policies: may this pod open that connection?

It answers from manifests alone, with the semantics of networking.k8s.io/v1, and in a cluster with Cilium of
cilium.io/v2 beside it, so that a test can say who may talk to whom instead of what the YAML looks like.
Whatever it does not understand it refuses with a `ManifestError`: an evaluator that skips what it cannot read
proves nothing.

    cluster = Cluster(namespaces=namespaces_of(manifests), policies=policies_of(manifests))
    assert not cluster.allows(stranger, backend, 8080)

A `Pod` stands for every replica of its workload, so a pod that calls its equal calls another replica, not
itself. Labels that only a controller adds (`job-name`, `pod-template-hash`) are not there. Ports are those
of pods, after a Service has translated its own. A node is a `Host` like any other, though a real one always
reaches the pods that it runs. For Cilium a pod, a node or its own ingress is no address, whatever its IP.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Literal, TypeAlias, TypeVar

__all__ = [
    "JSON",
    "Cluster",
    "ContainerPort",
    "Host",
    "Labels",
    "Manifest",
    "ManifestError",
    "Namespace",
    "Pod",
    "Policy",
    "Protocol",
    "namespaces_of",
    "pods_of",
    "policies_of",
]

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
Manifest: TypeAlias = Mapping[str, JSON]
Labels: TypeAlias = Mapping[str, str]
Protocol = Literal["TCP", "UDP", "SCTP"]
Direction = Literal["Ingress", "Egress"]
Choice = TypeVar("Choice", bound=str)

PROTOCOLS: tuple[Protocol, ...] = ("TCP", "UDP", "SCTP")
DIRECTIONS: tuple[Direction, ...] = ("Ingress", "Egress")
PORTS = range(1, 65536)
CILIUM = "CiliumNetworkPolicy"
ENTITIES = ("host", "ingress", "kube-apiserver", "remote-node", "world")
NAMESPACE_NAME = "kubernetes.io/metadata.name"  # the label that every namespace carries by itself
TEMPLATE = ("spec", "template")
POD_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "CronJob": ("spec", "jobTemplate", *TEMPLATE),
    **dict.fromkeys(["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"], TEMPLATE),
}


class ManifestError(ValueError):
    """Something that this evaluator cannot judge honestly."""


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A namespace; the label with its name need not be given."""

    name: str
    labels: Labels = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class ContainerPort:
    number: int
    name: str | None = None
    protocol: Protocol = "TCP"


@dataclass(frozen=True, kw_only=True)
class Pod:
    """The pods of one workload. If an IP is given, an ipBlock around it matches too, as in some clusters."""

    name: str
    namespace: str
    labels: Labels = field(default_factory=dict[str, str])
    ports: tuple[ContainerPort, ...] = ()
    ip: str | None = None

    def __post_init__(self) -> None:
        if self.ip is not None:
            ip_address(self.ip)


@dataclass(frozen=True, kw_only=True)
class Host:
    """An address that no policy governs; with `entities`, what Cilium knows it as, such as `remote-node`."""

    name: str
    ip: str
    entities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ip_address(self.ip)


End: TypeAlias = Pod | Host


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A connection as one of its ends sees it: `peer` is the other end, `target` the end that listens."""

    cilium: bool
    peer: End
    namespace_labels: Labels  # of the peer
    target: End
    port: int | None  # none: one of all
    protocol: Protocol


Selector: TypeAlias = Callable[[Labels], bool]
Rule: TypeAlias = Callable[[Attempt], bool]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A NetworkPolicy; `rules` has no entry for a direction that it does not govern."""

    kind: str = "NetworkPolicy"
    name: str
    namespace: str
    selects: Selector
    rules: Mapping[Direction, Sequence[Rule]]

    def governs(self, end: End, direction: Direction) -> bool:
        if isinstance(end, Host) or end.namespace != self.namespace:
            return False
        return direction in self.rules and self.selects(end.labels)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    namespaces: Sequence[Namespace]
    policies: Sequence[Policy]
    cilium: bool = False
    # What governs an end, which is asked again for each port: the end itself keeps its id from being another's.
    _governing: dict[tuple[int, Direction], tuple[End, list[Policy]]] = field(
        default_factory=dict[tuple[int, Direction], "tuple[End, list[Policy]]"], init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        names = [it.name for it in self.namespaces] + [f"{it.kind} {it.namespace}/{it.name}" for it in self.policies]
        if foreign := [it.name for it in self.policies if it.kind == CILIUM and not self.cilium]:
            raise ManifestError(f"{', '.join(foreign)}: only Cilium reads this; give Cluster(cilium=True)")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ManifestError(f"{', '.join(twice)}: given twice, but a cluster keeps one; remove the other")

    def allows(self, source: End, destination: End, port: int, protocol: Protocol = "TCP") -> bool:
        """Whether the egress of `source` and the ingress of `destination` both permit the connection."""
        if port not in PORTS or protocol not in PROTOCOLS:
            raise ManifestError(f"{port}/{protocol}: give a port from 1 to 65535 and TCP, UDP or SCTP")

        return self._both(source, destination, port, protocol)

    def meet(self, source: End, destination: End) -> bool:
        """Whether there may be a port at which they connect: where not, no port has to be tried."""
        return self._both(source, destination, None, "TCP")

    def _both(self, source: End, destination: End, port: int | None, protocol: Protocol) -> bool:
        def attempt(peer: End) -> Attempt:
            labels = self._namespace_labels(peer)
            return Attempt(
                cilium=self.cilium,
                peer=peer,
                namespace_labels=labels,
                target=destination,
                port=port,
                protocol=protocol,
            )

        return self._permits(source, "Egress", attempt(destination)) and self._permits(
            destination, "Ingress", attempt(source)
        )

    def _permits(self, end: End, direction: Direction, attempt: Attempt) -> bool:
        if (id(end), direction) not in self._governing:
            governing = [policy for policy in self.policies if policy.governs(end, direction)]
            self._governing[id(end), direction] = end, governing
        _, governing = self._governing[id(end), direction]
        return not governing or any(rule(attempt) for policy in governing for rule in policy.rules[direction])

    def _namespace_labels(self, end: End) -> Labels:
        if isinstance(end, Host):
            return {}
        for namespace in self.namespaces:
            if namespace.name == end.namespace:
                return {**namespace.labels, NAMESPACE_NAME: namespace.name}
        raise ManifestError(f"{end.name}: namespace {end.namespace} is unknown; give it to the Cluster")


def namespaces_of(manifests: Iterable[Manifest]) -> list[Namespace]:
    return [
        Namespace(name=it["metadata"]["name"].text(), labels=it["metadata"]["labels"].labels())
        for kind, it in _objects(manifests)
        if kind == "Namespace"
    ]


def pods_of(manifests: Iterable[Manifest]) -> list[Pod]:
    """One pod for each pod template, with the name of its object; pods of an operator are not seen."""
    return [_pod(it, POD_TEMPLATES[kind]) for kind, it in _objects(manifests) if kind in POD_TEMPLATES]


def policies_of(manifests: Iterable[Manifest]) -> list[Policy]:
    """Every NetworkPolicy and CiliumNetworkPolicy. One of another API, such as Calico's, is refused."""
    return [
        _cilium_policy(it) if kind == CILIUM else _policy(it)
        for kind, it in _objects(manifests)
        if kind.endswith("NetworkPolicy")
    ]


@dataclass(frozen=True, kw_only=True)
class _Node:
    """A value in a manifest and the path to it, for the error message. A null is the same as no value."""

    path: str
    value: JSON

    def __getitem__(self, name: str) -> "_Node":
        return _Node(path=f"{self.path}.{name}", value=self.mapping().get(name))

    @property
    def given(self) -> bool:
        return self.value is not None

    def refused(self, instead: str) -> ManifestError:
        return ManifestError(f"{self.path} is {self.value!r}; give {instead}")

    def mapping(self) -> dict[str, JSON]:
        value = {} if self.value is None else self.value
        if not isinstance(value, dict):
            raise self.refused("a mapping")
        return value

    def only(self, *known: str) -> None:
        for name in self.mapping():
            if name not in known:
                raise ManifestError(f"{self.path} has an unknown field {name}; give only {', '.join(known)}")

    def items(self) -> list["_Node"]:
        value = [] if self.value is None else self.value
        if not isinstance(value, list) or None in value:
            raise self.refused("a list without nulls")
        return [_Node(path=f"{self.path}[{index}]", value=item) for index, item in enumerate(value)]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.refused("a string")
        return self.value

    def labels(self) -> dict[str, str]:
        return {key: self[key].text() for key in self.mapping()}

    def port(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value not in PORTS:
            raise self.refused("a port from 1 to 65535")
        return self.value

    def protocol(self) -> Protocol:
        return self.choice(PROTOCOLS) if self.given else "TCP"

    def choice(self, choices: Sequence[Choice]) -> Choice:
        for choice in choices:
            if choice == self.value:
                return choice
        raise self.refused(f"one of {', '.join(choices)}")

    def network(self) -> IPv4Network | IPv6Network:
        try:
            return ip_network(self.text())
        except ValueError as error:
            raise self.refused("a network such as 10.0.0.0/8, with no bit of a host") from error


def _objects(manifests: Iterable[Manifest]) -> Iterator[tuple[str, _Node]]:
    for manifest in manifests:
        it = _Node(path="manifest", value=dict(manifest))
        if it["items"].given:
            raise it["items"].refused("each object as a manifest of its own")
        kind, name = it["kind"].text(), it["metadata"]["name"].text()
        yield kind, _Node(path=f"{kind} {name}", value=it.value)


def _pod(node: _Node, template: Sequence[str]) -> Pod:
    pod = node
    for step in template:
        pod = pod[step]
    spec = pod["spec"]
    if spec["hostNetwork"].value:
        raise spec["hostNetwork"].refused("false: no policy governs a pod on the network of its node")
    sidecars = [it for it in spec["initContainers"].items() if it["restartPolicy"].value == "Always"]
    containers = [*spec["containers"].items(), *sidecars]
    return Pod(
        name=node["metadata"]["name"].text(),
        namespace=node["metadata"]["namespace"].text(),
        labels=pod["metadata"]["labels"].labels(),
        ports=tuple(_container_port(port) for container in containers for port in container["ports"].items()),
    )


def _container_port(node: _Node) -> ContainerPort:
    node.only("name", "containerPort", "protocol")
    return ContainerPort(
        number=node["containerPort"].port(),
        name=node["name"].text() if node["name"].given else None,
        protocol=node["protocol"].protocol(),
    )


def _policy(node: _Node) -> Policy:
    node["apiVersion"].choice(["networking.k8s.io/v1"])
    node.only("apiVersion", "kind", "metadata", "spec")
    name, namespace, spec = node["metadata"]["name"], node["metadata"]["namespace"].text(), node["spec"]
    spec.only("podSelector", "policyTypes", "ingress", "egress")
    if not spec["podSelector"].given:
        raise spec["podSelector"].refused("a selector, or {} for every pod")
    rules: dict[Direction, list[Rule]] = {
        "Ingress": [_rule(it, "from", namespace) for it in spec["ingress"].items()],
        "Egress": [_rule(it, "to", namespace) for it in spec["egress"].items()],
    }
    stated: list[Direction] = [it.choice(DIRECTIONS) for it in spec["policyTypes"].items()]
    implied: list[Direction] = [it for it in DIRECTIONS if it == "Ingress" or rules[it]]
    return Policy(
        name=name.text(),
        namespace=namespace,
        selects=_selector(spec["podSelector"]),
        rules={direction: rules[direction] for direction in stated or implied},
    )


def _selector(node: _Node) -> Selector:
    node.only("matchLabels", "matchExpressions")
    equal = node["matchLabels"].labels()
    expressions = [_expression(it) for it in node["matchExpressions"].items()]
    return lambda labels: equal.items() <= labels.items() and all(holds(labels) for holds in expressions)


def _expression(node: _Node) -> Selector:
    node.only("key", "operator", "values")
    key, values = node["key"].text(), {it.text() for it in node["values"].items()}
    operator = node["operator"].choice(["In", "NotIn", "Exists", "DoesNotExist"])
    if (operator in ("In", "NotIn")) != bool(values):
        raise node["values"].refused("values to In and NotIn, and none to Exists and DoesNotExist")
    meanings: dict[str, Selector] = {
        "In": lambda labels: labels.get(key) in values,
        "NotIn": lambda labels: labels.get(key) not in values,
        "Exists": lambda labels: key in labels,
        "DoesNotExist": lambda labels: key not in labels,
    }
    return meanings[operator]


def _rule(node: _Node, direction: str, namespace: str) -> Rule:
    node.only(direction, "ports")
    peers = [_peer(it, namespace) for it in node[direction].items()]
    ports = [_port(it) for it in node["ports"].items()]
    # Ports first: of many that are tried most fail here, and an address takes longer to look at.
    return lambda attempt: (
        (not ports or any(opens(attempt) for opens in ports))
        and (not peers or any(admits(attempt) for admits in peers))
    )


def _peer(node: _Node, namespace: str) -> Rule:
    node.only("podSelector", "namespaceSelector", "ipBlock")
    if node["ipBlock"].given == (node["podSelector"].given or node["namespaceSelector"].given):
        raise node.refused("either an ipBlock or selectors")
    if node["ipBlock"].given:
        return _address(node["ipBlock"])
    pods, namespaces = _selector(node["podSelector"]), _selector(node["namespaceSelector"])
    anywhere = node["namespaceSelector"].given
    return lambda attempt: (
        isinstance(attempt.peer, Pod)
        and pods(attempt.peer.labels)
        and (namespaces(attempt.namespace_labels) if anywhere else attempt.peer.namespace == namespace)
    )


address_of = cache(ip_address)


def _address(node: _Node) -> Rule:
    node.only("cidr", "except")
    network, holes = node["cidr"].network(), [it.network() for it in node["except"].items()]
    if any(it.network_address not in network or it.prefixlen <= network.prefixlen for it in holes):
        raise node["except"].refused(f"smaller networks inside {network}")

    def admits(attempt: Attempt) -> bool:
        address = address_of(attempt.peer.ip) if attempt.peer.ip is not None else None
        if attempt.cilium and not _outside(attempt.peer):
            return False
        return address is not None and address in network and not any(address in it for it in holes)

    return admits


def _port(node: _Node) -> Rule:
    node.only("protocol", "port", "endPort")
    protocol, port, end = node["protocol"].protocol(), node["port"], node["endPort"]
    if end.given and (not isinstance(port.value, int) or end.port() < port.port()):
        raise end.refused("a number no smaller than that of port")
    if isinstance(port.value, str):
        return _named_port(port, protocol)
    numbers = range(port.port(), (end if end.given else port).port() + 1) if port.given else PORTS
    return lambda attempt: attempt.port is None or (attempt.protocol == protocol and attempt.port in numbers)


def _named_port(node: _Node, protocol: Protocol) -> Rule:
    name = node.text()
    if not any(letter.isalpha() for letter in name):
        raise node.refused("a number without quotes, or a name")
    return lambda attempt: (
        attempt.port is None
        or (
            isinstance(attempt.target, Pod)
            and attempt.protocol == protocol
            and ContainerPort(number=attempt.port, name=name, protocol=protocol) in attempt.target.ports
        )
    )


def _outside(end: End) -> bool:
    """Whether Cilium takes an end for an address: an API server that is no node is one too."""
    return isinstance(end, Host) and set(end.entities) <= {"kube-apiserver"}


def _cilium_policy(node: _Node) -> Policy:
    node["apiVersion"].choice(["cilium.io/v2"])
    node.only("apiVersion", "kind", "metadata", "spec")
    spec = node["spec"]
    spec.only("endpointSelector", "ingress", "egress")
    if not spec["endpointSelector"].given:
        raise spec["endpointSelector"].refused("a selector, or {} for every pod")
    namespace = node["metadata"]["namespace"].text()
    rules: dict[Direction, list[Rule]] = {
        "Ingress": [_cilium_rule(it, "from", namespace) for it in spec["ingress"].items()],
        "Egress": [_cilium_rule(it, "to", namespace) for it in spec["egress"].items()],
    }
    return Policy(
        kind=CILIUM,
        name=node["metadata"]["name"].text(),
        namespace=namespace,
        selects=_cilium_selector(spec["endpointSelector"]),
        rules={direction: found for direction, found in rules.items() if found},
    )


def _cilium_selector(node: _Node) -> Selector:
    node.only("matchLabels")
    equal = {key.removeprefix("k8s:"): value for key, value in node["matchLabels"].labels().items()}
    return lambda labels: equal.items() <= labels.items()


def _cilium_rule(node: _Node, way: str, namespace: str) -> Rule:
    """A rule names peers of one kind: Cilium refuses, or at times misreads, one that mixes them."""
    endpoints, ranges, entities = node[f"{way}Endpoints"], node[f"{way}CIDRSet"], node[f"{way}Entities"]
    node.only(f"{way}Endpoints", f"{way}CIDRSet", f"{way}Entities", "toPorts")
    if sum(bool(it.items()) for it in (endpoints, ranges, entities)) != 1:
        raise node.refused("peers of one kind")
    peers = [
        *(_cilium_pods(it, namespace) for it in endpoints.items()),
        *(_address(it) for it in ranges.items()),
        *(_entity(it) for it in entities.items()),
    ]
    ports = [opens for it in node["toPorts"].items() for opens in _cilium_ports(it)]
    return lambda attempt: (
        any(admits(attempt) for admits in peers) and (not ports or any(opens(attempt) for opens in ports))
    )


def _cilium_pods(node: _Node, namespace: str) -> Rule:
    node.only("matchLabels")
    labels = {key.removeprefix("k8s:"): value for key, value in node["matchLabels"].labels().items()}
    where = labels.pop("io.kubernetes.pod.namespace", namespace)
    return lambda attempt: (
        isinstance(attempt.peer, Pod)
        and attempt.peer.namespace == where
        and labels.items() <= attempt.peer.labels.items()
    )


def _entity(node: _Node) -> Rule:
    name = node.choice(ENTITIES)
    return lambda attempt: (
        isinstance(attempt.peer, Host)
        and (name in attempt.peer.entities or (name == "world" and not attempt.peer.entities))
    )


def _cilium_ports(node: _Node) -> Iterator[Rule]:
    node.only("ports", "rules")
    node["rules"].only("dns")
    for it in node["rules"]["dns"].items():
        it.only("matchPattern")
        it["matchPattern"].choice(["*"])
    for it in node["ports"].items():
        it.only("port", "protocol")
        number = _Node(path=it["port"].path, value=int(it["port"].text())).port()
        protocol = it["protocol"].protocol()
        yield lambda attempt, number=number, protocol=protocol: (  # type: ignore[misc]
            attempt.port is None or (attempt.protocol == protocol and attempt.port == number)
        )
