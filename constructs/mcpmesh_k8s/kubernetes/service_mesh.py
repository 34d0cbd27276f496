"""This module is what a service mesh asks of the objects of an application: labels, ports, identities, room."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from .api import ApiObjectMetadata, istio, k8s, linkerd
from .errors import SettingError
from .manifest import Manifest
from .network import NamespacePods, Peer, egress_rule, ingress_rule
from .platforms import IpFamily
from .quantity import Amount
from .transit import IstioAmbient, Linkerd, Transit

_ISTIO = (15001, 15006, 15008, 15053)
_LINKERD = (4140, 4143, 4190, 4191)
_HBONE, _INBOUND = 15008, 4143
_PROBES = {"IPv4": "169.254.7.127/32", "IPv6": "fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128"}
"""The addresses that Istio gives the kubelet's questions on their way into a pod of the mesh."""
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


def carried(transit: Transit, ports: Iterable[int]) -> list[int]:
    """The ports of a path between two pods, as a policy of the network sees them.

    Args:
        transit: How it is carried.
        ports: The ports that are dialled.
    """
    if not isinstance(transit, IstioAmbient | Linkerd):
        return list(ports)
    tunnel = _HBONE if isinstance(transit, IstioAmbient) else _INBOUND
    return [tunnel] if transit.strict else sorted({tunnel, *ports})


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


def probe_rules(
    transit: Transit, ports: Sequence[int], families: Sequence[IpFamily]
) -> list[k8s.NetworkPolicyIngressRule]:
    """What lets the kubelet ask, where its address is not the node's.

    Args:
        transit: How paths are carried.
        ports: The ports that it asks.
        families: The addresses that pods have.
    """
    if not (ports and isinstance(transit, IstioAmbient)):
        return []
    peers = [k8s.NetworkPolicyPeer(ip_block=k8s.IpBlock(cidr=_PROBES[family])) for family in families]
    return [ingress_rule(peers, ports)]


def pod_policies_of(
    transit: Transit,
    metadata: k8s.ObjectMeta,
    selector: Mapping[str, str],
    clients: Mapping[int, Collection[str]],
    peers: Sequence[tuple[Peer, int]],
    opaque: Collection[int] = (),
) -> list[Manifest]:
    """Who may reach which of a pod's ports through the tunnel, which policies of the network cannot tell apart.

    Args:
        transit: How paths are carried.
        metadata: Name, namespace and labels of the pod's objects.
        selector: The labels of the pods.
        clients: The ServiceAccounts of the clients of each port.
        peers: Who comes in from outside the application, and to which port.
        opaque: The ports that speak no HTTP.
    """
    if not (clients or peers):
        return []
    plain = {port for peer, port in peers if comes_plain(transit, peer)}
    meshed = dict[int, set[str]]()
    for peer, port in peers:
        if isinstance(peer, NamespacePods) and not comes_plain(transit, peer):
            meshed.setdefault(port, set()).add(peer.namespace)
    if isinstance(transit, IstioAmbient) and transit.strict:
        return _of_istio(transit, metadata, selector, clients, meshed, plain)
    if isinstance(transit, Linkerd) and transit.strict:
        admitted = sorted({*clients, *meshed, *plain})
        return [
            made
            for port in admitted
            for made in _of_linkerd(
                transit,
                k8s.ObjectMeta(name=f"{metadata.name}-{port}", namespace=metadata.namespace, labels=metadata.labels),
                _server(selector, port, opaque=port in opaque),
                [
                    *(f"{name}.{metadata.namespace}" for name in sorted(clients.get(port, ()))),
                    *(f"*.{name}" for name in sorted(meshed.get(port, ()))),
                ],
                plain=port in plain,
            )
        ]
    return []


def _of_istio(
    transit: IstioAmbient,
    metadata: k8s.ObjectMeta,
    selector: Mapping[str, str],
    clients: Mapping[int, Collection[str]],
    meshed: Mapping[int, Collection[str]],
    plain: Collection[int],
) -> list[Manifest]:
    identity = f"{transit.trust_domain}/ns/{metadata.namespace}/sa"
    source = istio.AuthorizationPolicySpecRulesFromSource
    rules = [
        _rule(source(principals=[f"{identity}/{name}" for name in sorted(names)]), port)
        for port, names in sorted(clients.items())
    ]
    rules += [_rule(source(namespaces=sorted(names)), port) for port, names in sorted(meshed.items())]
    # Who has no identity: from where it may come, the policy of the network says.
    rules += [_rule(source(not_principals=["*"]), port) for port in sorted(plain)]
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
                        str(port): istio.PeerAuthenticationSpecPortLevelMtls(mode=either) for port in sorted(plain)
                    },
                ),
            )
        )
    return made


def _server(selector: Mapping[str, str], port: int, *, opaque: bool) -> linkerd.ServerSpec:
    return linkerd.ServerSpec(
        pod_selector=linkerd.ServerSpecPodSelector(match_labels=selector),
        port=port,
        proxy_protocol=linkerd.ServerSpecProxyProtocol.OPAQUE if opaque else None,
    )


def _of_linkerd(
    transit: Linkerd, metadata: k8s.ObjectMeta, server: linkerd.ServerSpec, names: Sequence[str], *, plain: bool
) -> list[Manifest]:
    """A port, and who may reach it: by an identity, and where somebody comes from outside the mesh, by none."""
    domain = f"serviceaccount.identity.{transit.namespace}.{transit.trust_domain}"
    made: list[Manifest] = [linkerd.Server.manifest(metadata=_of(metadata), spec=server)]
    target = linkerd.AuthorizationPolicySpecTargetRef(
        group="policy.linkerd.io", kind="Server", name=metadata.name or ""
    )
    who: list[tuple[str, Manifest]] = []
    if names:
        known = linkerd.MeshTlsAuthenticationSpec(identities=[f"{name}.{domain}" for name in names])
        who.append(("", linkerd.MeshTlsAuthentication.manifest(metadata=_of(metadata), spec=known)))
    if plain:
        # From where it may come, the policy of the network says.
        anywhere = linkerd.NetworkAuthenticationSpec(
            networks=[linkerd.NetworkAuthenticationSpecNetworks(cidr=cidr) for cidr in ("0.0.0.0/0", "::/0")]
        )
        who.append(("-plain", linkerd.NetworkAuthentication.manifest(metadata=_of(metadata), spec=anywhere)))
    for suffix, authentication in who:
        reference = linkerd.AuthorizationPolicySpecRequiredAuthenticationRefs(
            group="policy.linkerd.io", kind=str(authentication["kind"]), name=metadata.name or ""
        )
        made += [
            authentication,
            linkerd.AuthorizationPolicy.manifest(
                metadata=ApiObjectMetadata(
                    name=f"{metadata.name}{suffix}", namespace=metadata.namespace, labels=metadata.labels
                ),
                spec=linkerd.AuthorizationPolicySpec(target_ref=target, required_authentication_refs=[reference]),
            ),
        ]
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


def pod_annotations(transit: Transit, opaque: Sequence[int]) -> dict[str, str]:
    """By which a pod gets its proxy, and that is told what it carries.

    Args:
        transit: How paths are carried.
        opaque: The ports of the pod that speak no HTTP.
    """
    if not isinstance(transit, Linkerd):
        return {}
    config = "config.linkerd.io"
    requests, limits = (amount.resources for amount in proxy(transit))
    return {
        "linkerd.io/inject": "enabled",
        "config.beta.linkerd.io/proxy-enable-native-sidecar": "true",
        # What no Server is about: nothing but the kubelet's questions.
        f"{config}/default-inbound-policy": "deny" if transit.strict else "all-unauthenticated",
        **{f"{config}/proxy-{name}-request": amount for name, amount in requests.items()},
        **{f"{config}/proxy-{name}-limit": amount for name, amount in limits.items()},
        **service_annotations(transit, opaque),
    }


def service_annotations(transit: Transit, opaque: Sequence[int]) -> dict[str, str]:
    """Which ports speak no HTTP: a proxy would wait for words of it."""
    if not (opaque and isinstance(transit, Linkerd)):
        return {}
    return {"config.linkerd.io/opaque-ports": ",".join(map(str, opaque))}
