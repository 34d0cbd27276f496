"""This module is the certificates of servers: who makes them, for which names, and how they are mounted."""

from __future__ import annotations

from typing import ClassVar

from constructs import Construct

from .api import ApiObjectMetadata, cert_manager
from .component import GROUND_WAVE, Component
from .issuer import CertificateSource, CertManager
from .manifest import Manifest
from .names import dns_label, once
from .quantity import duration_text, seconds
from .scope import settings_of
from .storage import SecretFiles
from .transit import StoreTls
from .values import dataclass

_LONGEST_NAME = 64
"""Characters of the longest name of a Certificate that cert-manager makes requests of."""


@dataclass(frozen=True, kw_only=True)
class CertificateSettings:
    """The certificate of one server.

    Args:
        workload: The short name of the workload whose Services it is good for.
        source: Who makes it.
        services: The short names of more Services, such as ``postgres-pods``, the headless one of a StatefulWorkload:
            its pods have names of their own there.
        local: Whether other containers of the pod dial the server: it is good for ``localhost`` then.
        client: Whether the server shows it too when it is a client itself.
    """

    workload: str
    source: CertificateSource
    services: tuple[str, ...] = ()
    local: bool = False
    client: bool = False

    def __post_init__(self) -> None:
        """Check the names."""
        dns_label("CertificateSettings.workload", self.workload)
        for name in self.services:
            dns_label("CertificateSettings.services", name)
        once("CertificateSettings.services", (self.workload, *self.services))


class Certificate(Component):
    """The certificate of a workload, in a Secret of its own.

    It is there before what mounts it: in the first wave, in which ArgoCD waits for it.

    Args:
        scope: A Phase, best that of the workload.
        settings: Whose, and who makes it.
    """

    FOLDER: ClassVar[str] = "/etc/tls/server"
    """Where a server finds its own, in every pod of the library."""

    KEYS: ClassVar[tuple[str, ...]] = ("tls.crt", "tls.key", "ca.crt")
    """What its Secret holds: the certificate with those between it and the CA, its key, and the CA's own."""

    def __init__(self, scope: Construct, settings: CertificateSettings) -> None:
        super().__init__(scope, f"certificate-{settings.workload}", f"{settings.workload}-tls")
        dns_label(f"Certificate of {settings.workload!r}", self.full_name, _LONGEST_NAME - 1)
        self.settings = settings

    @property
    def wave(self) -> int:
        """Before everything that reads it."""
        return GROUND_WAVE

    @property
    def secret(self) -> str:
        """The name of its Secret."""
        return self.full_name

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which clients may dial: of each Service in every length, and of the pods behind others."""
        suffixes = (f".{self.namespace}", f".{self.namespace}.svc", f".{self.application.settings.service_domain}")
        own = self.application.prefixed(self.settings.workload)
        others = [self.application.prefixed(name) for name in self.settings.services]
        names = [f"{service}{suffix}" for service in (own, *others) for suffix in ("", *suffixes)]
        names += [f"*.{service}{suffix}" for service in others for suffix in suffixes]
        return (*names, *(("localhost",) if self.settings.local else ()))

    def files(
        self,
        mount_path: str = FOLDER,
        *,
        name: str = "tls",
        paths: tuple[str, str, str] = ("tls.crt", "tls.key", "ca.crt"),
    ) -> SecretFiles:
        """The volume of the server: ``tls.crt``, ``tls.key`` and ``ca.crt``, which follow each renewal.

        Its files belong to root and to the pod's group, which may read them. PostgreSQL takes a key that is so.

        Args:
            mount_path: The folder that they appear in.
            name: The volume's name in the pod.
            paths: What the program calls the three.
        """
        return SecretFiles(name=name, mount_path=mount_path, secret=self.secret, keys=self.KEYS, paths=paths)

    @property
    def authority(self) -> SecretFiles:
        """The volume of a client: ``ca.crt`` alone, by which it knows the server."""
        return authority(self.settings.workload, self.secret)

    @property
    def authority_file(self) -> str:
        """Where a client finds it."""
        return f"{self.authority.mount_path}/ca.crt"

    def manifests(self) -> list[Manifest]:
        """The Certificate, or nothing where the Secret exists already."""
        source = self.settings.source
        if not isinstance(source, CertManager):
            return []
        usages = cert_manager.CertificateSpecUsages
        key = cert_manager.CertificateSpecPrivateKey(
            algorithm=cert_manager.CertificateSpecPrivateKeyAlgorithm.ECDSA,
            size=256,
            encoding=cert_manager.CertificateSpecPrivateKeyEncoding.PKCS8,
            rotation_policy=cert_manager.CertificateSpecPrivateKeyRotationPolicy.ALWAYS,
        )
        return [
            cert_manager.Certificate.manifest(
                metadata=ApiObjectMetadata(name=self.full_name, namespace=self.namespace, labels=self.labels()),
                spec=cert_manager.CertificateSpec(
                    secret_name=self.secret,
                    secret_template=cert_manager.CertificateSpecSecretTemplate(labels=self.labels()),
                    dns_names=list(self.names),
                    usages=[
                        usages.DIGITAL_SIGNATURE,
                        usages.SERVER_AUTH,
                        *([usages.CLIENT_AUTH] if self.settings.client else []),
                    ],
                    duration=duration_text(seconds("CertManager.duration", source.duration)),
                    renew_before=duration_text(source.renewed_before),
                    revision_history_limit=1,
                    private_key=key,
                    issuer_ref=cert_manager.CertificateSpecIssuerRef(
                        name=source.issuer, kind=source.kind, group="cert-manager.io"
                    ),
                ),
            )
        ]


def authority(workload: str, secret: str) -> SecretFiles:
    """The volume with the certificate of a CA alone.

    Args:
        workload: The short name of the workload whose certificate it signed.
        secret: The Secret of that.
    """
    return SecretFiles(name=f"{workload}-ca", mount_path=f"/etc/tls/{workload}", secret=secret, keys=("ca.crt",))


def store_certificate(
    scope: Construct, store: str, *, services: tuple[str, ...] = (), local: bool = False
) -> Certificate | None:
    """The certificate of a store, where the application says that its stores speak TLS.

    Args:
        scope: Where the store stands.
        store: Its short name.
        services: The short names of more of its Services.
        local: Whether other containers of its pod dial it.
    """
    transit = settings_of(scope).transit
    if not (isinstance(transit, StoreTls) and transit.covers(store)):
        return None
    return Certificate(
        scope, CertificateSettings(workload=store, source=transit.certificates, services=services, local=local)
    )


def client_files(certificate: Certificate | None) -> tuple[SecretFiles, ...]:
    """The volumes by which a client knows a server: that with its CA, or none where it shows no certificate."""
    return (certificate.authority,) if certificate else ()
