"""This module is the way in from outside: the Ingress in front of the gateway."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._k8s import k8s
from .component import Component, Manifest
from .errors import SettingError
from .gateway import Gateway
from .names import dns_label
from .network import NamespacePods

if TYPE_CHECKING:
    from constructs import Construct

_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")


@dataclass(frozen=True, kw_only=True)
class NoTls:
    """Plain HTTP, for a cluster on one's own machine."""


@dataclass(frozen=True, kw_only=True)
class Tls:
    """HTTPS that ends at the ingress controller.

    Args:
        secret: The Secret that holds certificate and key. It is made outside the application.
        cluster_issuer: The cert-manager ClusterIssuer that makes it; none when the Secret exists already.
    """

    secret: str
    cluster_issuer: str = ""

    def __post_init__(self) -> None:
        """Check the names."""
        dns_label("Tls.secret", self.secret)
        if self.cluster_issuer:
            dns_label("Tls.cluster_issuer", self.cluster_issuer)


@dataclass(frozen=True, kw_only=True)
class IngressSettings:
    """Where the application appears.

    Args:
        host: The host name people type.
        ingress_class: The class of the controller.
        controller: The controller's pods: the only ones that may reach the gateway.
        tls: HTTPS or not.
        annotations: More annotations for the controller, as ``(key, value)``; they win over derived ones.
    """

    host: str
    ingress_class: str = "nginx"
    controller: NamespacePods = NamespacePods(namespace="ingress-nginx")
    tls: Tls | NoTls
    annotations: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check the host."""
        if not _HOST.fullmatch(self.host):
            raise SettingError("IngressSettings.host", self.host, "Give a DNS name, such as 'shop.example.com'.")


class Ingress(Component):
    """The single entry point: every path of the host goes to the gateway, which knows the routes.

    Args:
        scope: A Phase.
        settings: Host, class and TLS.
        gateway: The gateway behind it.
    """

    def __init__(self, scope: Construct, settings: IngressSettings, gateway: Gateway) -> None:
        super().__init__(scope, "ingress", "ingress", "ingress")
        self.settings = settings
        self.gateway = gateway
        gateway.accepts_from(settings.controller)

    def limits(self) -> dict[str, str]:
        """What ingress-nginx must let through: by itself it stops at 1 MB and 60 seconds."""
        routes = self.gateway.routes
        if self.settings.ingress_class != "nginx" or not routes:
            return {}
        timeout = str(max(route.timeout_seconds for route in routes))
        return {
            "nginx.ingress.kubernetes.io/proxy-body-size": f"{max(route.body_mb for route in routes)}m",
            "nginx.ingress.kubernetes.io/proxy-read-timeout": timeout,
            "nginx.ingress.kubernetes.io/proxy-send-timeout": timeout,
        }

    def manifests(self) -> list[Manifest]:
        """The Ingress."""
        settings = self.settings
        annotations = {**self.limits(), **dict(settings.annotations)}
        if isinstance(settings.tls, Tls) and settings.tls.cluster_issuer:
            annotations["cert-manager.io/cluster-issuer"] = settings.tls.cluster_issuer
        backend = k8s.IngressServiceBackend(
            name=self.gateway.full_name, port=k8s.ServiceBackendPort(name=self.gateway.ports[0].name)
        )
        return [
            k8s.KubeIngress.manifest(
                metadata=self.metadata(self.application.settings.name, annotations=annotations),
                spec=k8s.IngressSpec(
                    ingress_class_name=settings.ingress_class,
                    tls=[k8s.IngressTls(hosts=[settings.host], secret_name=settings.tls.secret)]
                    if isinstance(settings.tls, Tls)
                    else None,
                    rules=[
                        k8s.IngressRule(
                            host=settings.host,
                            http=k8s.HttpIngressRuleValue(
                                paths=[
                                    k8s.HttpIngressPath(
                                        path="/",
                                        path_type="Prefix",
                                        backend=k8s.IngressBackend(service=backend),
                                    )
                                ]
                            ),
                        )
                    ],
                ),
            )
        ]
