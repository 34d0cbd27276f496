"""This module is exposure: how people reach the gateway from outside, by an Ingress or by the Gateway API."""

from __future__ import annotations

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    ApiObjectMetadata,
    Component,
    Compute,
    Guest,
    GuestSettings,
    Manifest,
    NamespacePods,
    Peer,
    SettingError,
    dataclass,
    dns_label,
    dns_subdomain,
    gateway_api,
    k8s,
    own_annotations,
    place_of,
)

from .gateway import Gateway


@dataclass(frozen=True, kw_only=True)
class NoTls:
    """Plain HTTP, for a cluster on one's own machine."""


@dataclass(frozen=True, kw_only=True)
class Http01:
    """The issuer asks cert-manager to answer at the host itself, by a pod of cert-manager's in this namespace.

    It lives for minutes, each time that a certificate is made. Its label, port and sizes are those of cert-manager.

    Args:
        node_port: Whether its Service is a NodePort, as cert-manager makes it unless the issuer's solver says
            ``serviceType: ClusterIP``. The policy lets in the ingress controller alone in either case.
        compute: CPU and memory of the pod, where cert-manager was told others. It says no disk: the LimitRange does.
    """

    node_port: bool = True
    compute: Compute = Compute(cpu="10m", memory="64Mi", cpu_limit="100m", memory_limit="64Mi")


@dataclass(frozen=True, kw_only=True)
class Dns01:
    """The issuer asks cert-manager to write a record into the DNS: nothing of it runs in this namespace."""


@dataclass(frozen=True, kw_only=True)
class Tls:
    """HTTPS that ends at the ingress controller.

    Args:
        secret: The Secret that holds certificate and key. It is made outside the application.
        cluster_issuer: The cert-manager ClusterIssuer that makes it; none when the Secret exists already.
        challenge: How that issuer proves that the host is ours.
    """

    secret: str
    cluster_issuer: str = ""
    challenge: Http01 | Dns01 = Http01()

    def __post_init__(self) -> None:
        """Check the names."""
        dns_subdomain("Tls.secret", self.secret)
        if self.cluster_issuer:
            dns_subdomain("Tls.cluster_issuer", self.cluster_issuer)


@dataclass(frozen=True, kw_only=True)
class _ByClass:
    """A controller, which is known by its IngressClass."""

    ingress_class: str

    def __post_init__(self) -> None:
        """Refuse what no IngressClass can be called."""
        dns_subdomain(f"{type(self).__name__}.ingress_class", self.ingress_class)


@dataclass(frozen=True, kw_only=True)
class IngressNginx(_ByClass):
    """The controller ingress-nginx. It is retired: for clusters that still run it.

    Args:
        ingress_class: Its class.
        peer: Where it is: nothing else outside the application may reach the gateway.
        head_kb: The longest line of a request's head that it lets in, in KiB. It is the figure after ``4`` in
            ``large-client-header-buffers`` of its ConfigMap, which no Ingress can change.
    """

    ingress_class: str = "nginx"
    peer: Peer | tuple[Peer, ...] = NamespacePods(namespace="ingress-nginx")
    head_kb: int = 8

    def annotations(self, gateway: Gateway, tls: Tls | NoTls) -> dict[str, str]:
        """What it must let through: by itself it stops at 1 MB, 60 seconds and heads of 4 KiB, and collects bodies.

        Raises:
            SettingError: The gateway takes longer heads than the controller lets in.
        """
        head_kb = gateway.settings.limits.head_kb
        if head_kb > self.head_kb:
            raise SettingError(
                "Limits.head_kb",
                head_kb,
                f"ingress-nginx lets in {self.head_kb}. Give at most that, or say in its ConfigMap "
                f'large-client-header-buffers: "4 {head_kb}k" and here IngressNginx(head_kb={head_kb}).',
            )
        timeout = str(gateway.longest_timeout)
        prefix = "nginx.ingress.kubernetes.io"
        return {
            f"{prefix}/proxy-body-size": f"{gateway.largest_body_mb}m",
            f"{prefix}/proxy-read-timeout": timeout,
            f"{prefix}/proxy-send-timeout": timeout,
            f"{prefix}/proxy-request-buffering": "off",
            f"{prefix}/proxy-buffer-size": f"{head_kb}k",
            f"{prefix}/ssl-redirect": str(isinstance(tls, Tls)).lower(),
        }


@dataclass(frozen=True, kw_only=True)
class Traefik(_ByClass):
    """The controller Traefik.

    It bounds neither body nor answer, and a head at 1 MiB. Its entry point's ``readTimeout`` (60 seconds by default)
    bounds how long an upload may take.

    Args:
        ingress_class: Its class.
        peer: Where it is: nothing else outside the application may reach the gateway.
    """

    ingress_class: str = "traefik"
    peer: Peer | tuple[Peer, ...] = NamespacePods(namespace="traefik")

    def annotations(self, gateway: Gateway, tls: Tls | NoTls) -> dict[str, str]:
        """Which of its entry points serve the host. The gateway itself sends plain requests to HTTPS."""
        del gateway
        if isinstance(tls, NoTls):
            return {"traefik.ingress.kubernetes.io/router.entrypoints": "web"}
        return {"traefik.ingress.kubernetes.io/router.entrypoints": "web,websecure"}


@dataclass(frozen=True, kw_only=True)
class OtherController(_ByClass):
    """Any other controller of Ingresses, such as a cloud's load balancer or Cilium's own.

    What it must be told beyond the Ingress, such as how large a body may be, is in ``IngressExposure.annotations``.

    Args:
        ingress_class: Its class.
        peer: From where it dials the gateway's pods: nothing else outside the application may reach them.
    """

    ingress_class: str
    peer: Peer | tuple[Peer, ...]

    def annotations(self, gateway: Gateway, tls: Tls | NoTls) -> dict[str, str]:
        """None: it is not known what it reads."""
        del gateway, tls
        return {}


@dataclass(frozen=True, kw_only=True)
class IngressExposure:
    """An Ingress.

    Args:
        controller: The controller that the cluster runs.
        tls: HTTPS or not.
        annotations: More annotations, as ``(key, value)``; they win over derived ones.
        name: The short name; an application's only one needs none, and is called as the application is.
    """

    controller: IngressNginx | Traefik | OtherController
    tls: Tls | NoTls
    annotations: tuple[tuple[str, str], ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        """Check the name and the annotations."""
        own_annotations("IngressExposure.annotations", self.annotations)
        if self.name:
            dns_label("IngressExposure.name", self.name)

    @property
    def front(self) -> str:
        """Who leads people on: a host has one way there."""
        return f"Ingress {self.controller.ingress_class}"

    @property
    def https(self) -> bool:
        """Whether people reach the host by HTTPS."""
        return isinstance(self.tls, Tls)

    @property
    def peer(self) -> Peer | tuple[Peer, ...]:
        """The only ones outside the application that may reach the gateway."""
        return self.controller.peer


@dataclass(frozen=True, kw_only=True)
class GatewayApiExposure:
    """An HTTPRoute on a Gateway that someone else runs, with its certificate (gateway.networking.k8s.io/v1).

    Args:
        parent: The Gateway's name.
        parent_namespace: The Gateway's namespace.
        section: The Gateway's listener; all of them unless given.
        https: Whether that listener speaks HTTPS.
        peer: From where its controller dials: nothing else outside the application may reach the gateway.
        name: The short name; an application's only one needs none, and is called as the application is.
    """

    parent: str
    parent_namespace: str
    section: str = ""
    https: bool = True
    peer: Peer | tuple[Peer, ...]
    name: str = ""

    def __post_init__(self) -> None:
        """Check the names."""
        dns_subdomain("GatewayApiExposure.parent", self.parent)
        dns_label("GatewayApiExposure.parent_namespace", self.parent_namespace)
        if self.section:
            dns_subdomain("GatewayApiExposure.section", self.section)
        if self.name:
            dns_label("GatewayApiExposure.name", self.name)

    @property
    def front(self) -> str:
        """Who leads people on: a host has one way there."""
        return f"Gateway {self.parent_namespace}/{self.parent}/{self.section}"


class Exposure(Component):
    """A way in: every path of a gateway's hosts goes to the gateway, which knows the routes.

    Another host with routes of its own is another gateway, with an exposure of its own. One gateway may have two, such
    as of the controller for the company's network and of that for everybody.

    Args:
        scope: A Phase.
        settings: By Ingress or by the Gateway API.
        gateway: The gateway behind it. Nothing else is ever exposed.

    Raises:
        SettingError: The gateway is told that people come by HTTPS and the exposure is not, or the other way round; or
            nothing stands before it that a policy of this cluster can say.
    """

    settings: IngressExposure | GatewayApiExposure
    gateway: Gateway

    def __init__(self, scope: Construct, settings: IngressExposure | GatewayApiExposure, gateway: Gateway) -> None:
        name = settings.name or "exposure"
        if not settings.name and any(
            not one.settings.name for one in place_of(scope)[0].application.find_all(Exposure)
        ):
            raise SettingError(
                f"{type(settings).__name__}.name",
                settings.name,
                "The application has an exposure without a name already. Give this one a name, such as 'internal'.",
            )
        for other in place_of(scope)[0].application.find_all(Exposure):
            shared = sorted({*gateway.settings.hosts} & {*other.gateway.settings.hosts})
            if shared and other.settings.front == settings.front:
                raise SettingError(
                    "Exposure gateway",
                    gateway.full_name,
                    f"{shared[0]} leads to {other.gateway.full_name} there already. Give another host, or another "
                    "controller.",
                )
        super().__init__(scope, name, name, "exposure")
        self.settings = settings
        self.gateway = gateway
        if settings.https is not gateway.settings.https:
            raise SettingError(
                "GatewaySettings.https", gateway.settings.https, f"The exposure says {settings.https}: give the same."
            )
        self.peers = settings.peer if isinstance(settings.peer, tuple) else (settings.peer,)
        """The only ones outside the application that may reach the gateway."""
        if not self.peers:
            raise SettingError(
                "Exposure peer", self.peers, "Nobody would reach the gateway. Give who stands before it."
            )
        for peer in self.peers:
            gateway.accepts_from(peer)
        tls = settings.tls if isinstance(settings, IngressExposure) else NoTls()
        if isinstance(tls, Tls) and tls.cluster_issuer and isinstance(tls.challenge, Http01):
            Guest(
                scope,
                GuestSettings(
                    name=f"http01-solver-{settings.name}" if settings.name else "http01-solver",
                    labels=(("acme.cert-manager.io/http01-solver", "true"),),
                    compute=tls.challenge.compute,
                    port=8089,
                    accepts=self.peers,
                    node_ports=int(tls.challenge.node_port),
                ),
            )

    @property
    def _object_name(self) -> str:
        return self.full_name if self.settings.name else self.application.settings.name

    def manifests(self) -> list[Manifest]:
        """The Ingress, or the HTTPRoute."""
        return [
            self.ingress(self.settings) if isinstance(self.settings, IngressExposure) else self.route(self.settings)
        ]

    def ingress(self, settings: IngressExposure) -> Manifest:
        """The Ingress."""
        tls, hosts = settings.tls, self.gateway.settings.hosts
        annotations = settings.controller.annotations(self.gateway, tls) | dict(settings.annotations)
        if isinstance(tls, Tls) and tls.cluster_issuer:
            annotations["cert-manager.io/cluster-issuer"] = tls.cluster_issuer
        service = k8s.IngressServiceBackend(
            name=self.gateway.full_name, port=k8s.ServiceBackendPort(name=self.gateway.main_port.name)
        )
        path = k8s.HttpIngressPath(path="/", path_type="Prefix", backend=k8s.IngressBackend(service=service))
        return k8s.KubeIngress.manifest(
            metadata=self.metadata(self._object_name, annotations=annotations),
            spec=k8s.IngressSpec(
                ingress_class_name=settings.controller.ingress_class,
                tls=[k8s.IngressTls(hosts=list(hosts), secret_name=tls.secret)] if isinstance(tls, Tls) else None,
                rules=[k8s.IngressRule(host=host, http=k8s.HttpIngressRuleValue(paths=[path])) for host in hosts],
            ),
        )

    def route(self, settings: GatewayApiExposure) -> Manifest:
        """The HTTPRoute."""
        return gateway_api.HttpRoute.manifest(
            metadata=ApiObjectMetadata(name=self._object_name, namespace=self.namespace, labels=self.labels()),
            spec=gateway_api.HttpRouteSpec(
                hostnames=list(self.gateway.settings.hosts),
                parent_refs=[
                    gateway_api.HttpRouteSpecParentRefs(
                        name=settings.parent,
                        namespace=settings.parent_namespace,
                        section_name=settings.section or None,
                    )
                ],
                rules=[
                    gateway_api.HttpRouteSpecRules(
                        backend_refs=[
                            gateway_api.HttpRouteSpecRulesBackendRefs(
                                name=self.gateway.full_name, port=self.gateway.main_port.number
                            )
                        ],
                        # No limit on the whole of a request: the gateway bounds silence, and streams go on.
                        timeouts=gateway_api.HttpRouteSpecRulesTimeouts(request="0s"),
                    )
                ],
            ),
        )
