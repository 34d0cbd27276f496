"""This module is how what pods say is kept from others: not at all, by a service mesh, or by the stores themselves."""

from __future__ import annotations

from .choice import Choice
from .issuer import CertificateSource
from .names import dns_label, dns_subdomain, once
from .quantity import Compute
from .values import dataclass


class TlsClient(Choice):
    """To which stores a program speaks TLS, as the variables of its connections tell it to."""

    POSTGRES = (
        "postgres",
        "It reads `sslmode=verify-full` and `sslrootcert` in a URL of PostgreSQL, or `PGSSLMODE` and `PGSSLROOTCERT`.",
    )
    REDIS = (
        "redis",
        "It takes a URL that begins with `rediss://`, and the CA that is named there, or in `REDIS_CA_FILE`.",
    )
    S3 = "s3", "It takes an address of S3 that begins with `https://`, `MINIO_URL`, and the CA in `MINIO_CA_FILE`."


@dataclass(frozen=True, kw_only=True)
class PlainTransit:
    """Nothing is encrypted between pods but what the network plugin encrypts itself, as Cilium can by WireGuard."""


@dataclass(frozen=True, kw_only=True)
class IstioAmbient:
    """Istio's ambient mode: a proxy of each node carries what pods of the mesh say to each other, by mutual TLS.

    It needs Istio 1.24 or newer with ``profile=ambient``. No container is added. Policies of the network see port 15008
    alone, so an AuthorizationPolicy says beside them which of a pod's ports each client may reach.

    Args:
        strict: Whether what is not encrypted is refused. Give ``False`` for the first deployment of an application that
            runs: then both pass, until every pod is in the mesh.
        meshed: The namespaces outside the application whose pods are in the mesh too, such as that of the ingress
            controller. Whoever comes from elsewhere comes unencrypted, to the ports alone that it is let in to.
        trust_domain: What the mesh's identities begin with.
    """

    strict: bool = True
    meshed: tuple[str, ...] = ()
    trust_domain: str = "cluster.local"

    def __post_init__(self) -> None:
        """Check the names."""
        _namespaces("IstioAmbient.meshed", self.meshed)
        dns_subdomain("IstioAmbient.trust_domain", self.trust_domain)


@dataclass(frozen=True, kw_only=True)
class Linkerd:
    """Linkerd: a proxy in each pod carries what pods of the mesh say to each other, by mutual TLS.

    It needs Linkerd 2.19 or newer with its CNI plugin, since its own init container is more than the restricted Pod
    Security Standard allows, and Kubernetes 1.29 or newer, whose sidecars start before init containers and let Jobs
    end. Policies of the network see port 4143 alone, so Servers and AuthorizationPolicies say beside them which of a
    pod's ports each client may reach.

    Args:
        strict: Whether what is not encrypted is refused. Give ``False`` for the first deployment of an application that
            runs: then both pass, until every pod has its proxy.
        meshed: The namespaces outside the application whose pods are in the mesh too, such as that of the ingress
            controller. Whoever comes from elsewhere comes unencrypted, to the ports alone that it is let in to.
        proxy: CPU, memory and disk of each proxy. Quota and budget count it with its pod.
        namespace: Where Linkerd runs.
        trust_domain: What the mesh's identities end with.
    """

    strict: bool = True
    meshed: tuple[str, ...] = ()
    proxy: Compute = Compute(cpu="10m", memory="32Mi", cpu_limit="200m", memory_limit="128Mi")
    namespace: str = "linkerd"
    trust_domain: str = "cluster.local"

    def __post_init__(self) -> None:
        """Check the names."""
        _namespaces("Linkerd.meshed", self.meshed)
        dns_label("Linkerd.namespace", self.namespace)
        dns_subdomain("Linkerd.trust_domain", self.trust_domain)


@dataclass(frozen=True, kw_only=True)
class StoreTls:
    """The stores speak TLS and nothing else, with certificates of their own, and every client verifies them.

    PostgreSQL, Redis and MinIO do. A client that does not is refused by its name: what it can is said with it, as
    ``tls``. Agents, the registry and everything else between pods stay as they are.

    Args:
        certificates: Who makes the certificates, one for each store.
        stores: The short names of the stores that speak TLS; all unless given. The others stay plain.
    """

    certificates: CertificateSource
    stores: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        for name in self.stores:
            dns_label("StoreTls.stores", name)
        once("StoreTls.stores", self.stores)

    def covers(self, store: str) -> bool:
        """Whether a store speaks TLS."""
        return not self.stores or store in self.stores


Transit = PlainTransit | IstioAmbient | Linkerd | StoreTls
"""How what pods say to each other is kept from others."""


def _namespaces(where: str, names: tuple[str, ...]) -> None:
    for name in names:
        dns_label(where, name)
    once(where, names)
