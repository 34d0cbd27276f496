"""This module is what a service mesh asks of the objects of an application: labels, ports, identities, room."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from .api import ApiObjectMetadata, istio, k8s
from .errors import SettingError
from .manifest import Manifest
from .network import NamespacePods, Peer, egress_rule, ingress_rule
from .quantity import Amount
from .transit import IstioAmbient, Linkerd, Transit

_ISTIO = (15001, 15006, 15008, 15053)
_LINKERD = (4140, 4143, 4190, 4191)
_HBONE, _INBOUND = 15008, 4143
_PROBES = "169.254.7.127/32"
"""The address that Istio gives the kubelet's questions on their way into a pod of the mesh."""
_CONTROL = {"destination": (8086, 8090), "identity": (8080,)}
"""Whom Linkerd's proxies dial: who says where others are and who may come in, and who gives them certificates."""
_OF_A_MESH = ("istio.io/dataplane-mode", "sidecar.istio.io/", "ambient.istio.io/", "linkerd.io/")


def require_unsaid(where: str, names: Iterable[str], transit: Transit) -> None:
    """Refuse labels and annotations by which a pod would leave the mesh, or enter it in another way.

    Raises:
        SettingError: One of them is a mesh's.
    """
    for name in names if isinstance(transit, IstioAmbient | Linkerd) else ():
        if any(part in name for part in _OF_A_MESH):
            raise SettingError(
                where, name, f"ApplicationSettings.transit says who is in the mesh: {type(transit).__name__}(…)."
            )


def require_free(where: str, ports: Iterable[int], transit: Transit) -> None:
    """Refuse ports of a pod that the proxy takes for itself.

    Raises:
        SettingError: One is taken.
    """
    taken = _ISTIO if isinstance(transit, IstioAmbient) else _LINKERD if isinstance(transit, Linkerd) else ()
    for port in ports:
        if port in taken:
            raise SettingError(where, port, f"{type(transit).__name__} listens there in every pod. Give another.")


def proxy(transit: Transit) -> tuple[Amount, Amount]:
    """What the proxy in each pod requests, and may use at most; nothing where there is none."""
    return (transit.proxy.requests, transit.proxy.limits) if isinstance(transit, Linkerd) else (Amount(), Amount())


def comes_plain(transit: Transit, peer: Peer) -> bool:
    """Whether somebody outside the application is outside its mesh too."""
    meshed = transit.meshed if isinstance(transit, IstioAmbient | Linkerd) else ()
    return not (isinstance(peer, NamespacePods) and peer.namespace in meshed)


def carried(transit: Transit, ports: Iterable[int], plain: Collection[int] = ()) -> list[int]:
    """The ports of a path between two pods, as a policy of the network sees them.

    Args:
        transit: How it is carried.
        ports: The ports that are dialled.
        plain: The ports of the target that its proxy leaves alone.
    """
    if not isinstance(transit, IstioAmbient | Linkerd):
        return list(ports)
    own = set(ports)
    tunnelled = own if isinstance(transit, IstioAmbient) else own - set(plain)
    tunnel = {_HBONE if isinstance(transit, IstioAmbient) else _INBOUND} if tunnelled else set[int]()
    return sorted(tunnel | (own - tunnelled if transit.strict else own))


def path_of(transit: Transit, peer: Peer, port: int) -> list[int]:
    """The ports of a path that somebody outside the application is at the other end of."""
    return [port] if comes_plain(transit, peer) else carried(transit, [port])


def namespace_labels(transit: Transit) -> dict[str, str]:
    """By which the pods of a namespace are in the mesh."""
    return {"istio.io/dataplane-mode": "ambient"} if isinstance(transit, IstioAmbient) else {}


def namespace_policies(transit: Transit, metadata: k8s.ObjectMeta) -> list[Manifest]:
    """What all pods have in common: that they take nothing plain, and that proxies reach who they take orders from."""
    if isinstance(transit, IstioAmbient):
        modes = istio.PeerAuthenticationSpecMtlsMode
        mode = modes.STRICT if transit.strict else modes.PERMISSIVE
        return [
            istio.PeerAuthentication.manifest(
                metadata=_of(metadata),
                spec=istio.PeerAuthenticationSpec(mtls=istio.PeerAuthenticationSpecMtls(mode=mode)),
            )
        ]
    if isinstance(transit, Linkerd):
        rules = [
            egress_rule(
                NamespacePods(
                    namespace=transit.namespace, labels=(("linkerd.io/control-plane-component", name),)
                ).render(),
                ports,
            )
            for name, ports in _CONTROL.items()
        ]
        return [
            k8s.KubeNetworkPolicy.manifest(
                metadata=metadata,
                spec=k8s.NetworkPolicySpec(pod_selector=k8s.LabelSelector(), policy_types=["Egress"], egress=rules),
            )
        ]
    return []


def probe_rules(transit: Transit, ports: Sequence[int]) -> list[k8s.NetworkPolicyIngressRule]:
    """What lets the kubelet ask, where its address is not the node's."""
    if not (ports and isinstance(transit, IstioAmbient)):
        return []
    return [
        ingress_rule([k8s.NetworkPolicyPeer(ip_block=k8s.IpBlock(cidr=_PROBES))], ports),
    ]


def pod_policies_of(
    transit: Transit,
    metadata: k8s.ObjectMeta,
    selector: Mapping[str, str],
    clients: Mapping[int, Collection[str]],
    peers: Sequence[tuple[Peer, int]],
) -> list[Manifest]:
    """Who may reach which of a pod's ports through the tunnel, which policies of the network cannot tell apart.

    Args:
        transit: How paths are carried.
        metadata: Name, namespace and labels of the pod's objects.
        selector: The labels of the pods.
        clients: The ServiceAccounts of the clients of each port.
        peers: Who comes in from outside the application, and to which port.
    """
    if not (isinstance(transit, IstioAmbient) and transit.strict and (clients or peers)):
        return []
    namespace = metadata.namespace
    plain = sorted({port for peer, port in peers if comes_plain(transit, peer)})
    identity = f"{transit.trust_domain}/ns/{namespace}/sa"
    source = istio.AuthorizationPolicySpecRulesFromSource
    rules = [
        _rule(source(principals=[f"{identity}/{name}" for name in sorted(names)]), port)
        for port, names in sorted(clients.items())
    ]
    others = [(peer, port) for peer, port in peers if not comes_plain(transit, peer)]
    meshed = sorted({(peer.namespace, port) for peer, port in others if isinstance(peer, NamespacePods)})
    rules += [_rule(source(namespaces=[name]), port) for name, port in meshed]
    # Who has no identity: from where it may come, the policy of the network says.
    rules += [_rule(source(not_principals=["*"]), port) for port in plain]
    made: list[Manifest] = [
        istio.AuthorizationPolicy.manifest(
            metadata=_of(metadata),
            spec=istio.AuthorizationPolicySpec(
                selector=istio.AuthorizationPolicySpecSelector(match_labels=selector),
                action=istio.AuthorizationPolicySpecAction.ALLOW,
                rules=rules,
            ),
        )
    ]
    if plain:
        either = istio.PeerAuthenticationSpecPortLevelMtlsMode.PERMISSIVE
        made.append(
            istio.PeerAuthentication.manifest(
                metadata=_of(metadata),
                spec=istio.PeerAuthenticationSpec(
                    selector=istio.PeerAuthenticationSpecSelector(match_labels=selector),
                    mtls=istio.PeerAuthenticationSpecMtls(mode=istio.PeerAuthenticationSpecMtlsMode.STRICT),
                    port_level_mtls={
                        str(port): istio.PeerAuthenticationSpecPortLevelMtls(mode=either) for port in plain
                    },
                ),
            )
        )
    return made


def _rule(source: istio.AuthorizationPolicySpecRulesFromSource, port: int) -> istio.AuthorizationPolicySpecRules:
    return istio.AuthorizationPolicySpecRules(
        from_=[istio.AuthorizationPolicySpecRulesFrom(source=source)],
        to=[
            istio.AuthorizationPolicySpecRulesTo(
                operation=istio.AuthorizationPolicySpecRulesToOperation(ports=[str(port)])
            )
        ],
    )


def _of(metadata: k8s.ObjectMeta) -> ApiObjectMetadata:
    return ApiObjectMetadata(name=metadata.name, namespace=metadata.namespace, labels=metadata.labels)


def pod_annotations(transit: Transit, opaque: Sequence[int], plain: Sequence[int]) -> dict[str, str]:
    """By which a pod gets its proxy, and that is told what it carries.

    Args:
        transit: How paths are carried.
        opaque: The ports of the pod that speak no HTTP.
        plain: Those that the proxy leaves alone.
    """
    if not isinstance(transit, Linkerd):
        return {}
    config = "config.linkerd.io"
    requests, limits = (amount.resources for amount in proxy(transit))
    said = {
        "linkerd.io/inject": "enabled",
        "config.beta.linkerd.io/proxy-enable-native-sidecar": "true",
        f"{config}/default-inbound-policy": "all-authenticated" if transit.strict else "all-unauthenticated",
        **{f"{config}/proxy-{name}-request": amount for name, amount in requests.items()},
        **{f"{config}/proxy-{name}-limit": amount for name, amount in limits.items()},
    }
    if plain:
        said[f"{config}/skip-inbound-ports"] = ",".join(map(str, plain))
    return said | service_annotations(transit, opaque)


def service_annotations(transit: Transit, opaque: Sequence[int]) -> dict[str, str]:
    """Which ports speak no HTTP: a proxy would wait for words of it."""
    if not (opaque and isinstance(transit, Linkerd)):
        return {}
    return {"config.linkerd.io/opaque-ports": ",".join(map(str, opaque))}
