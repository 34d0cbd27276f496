"""This module is the certificates of servers: who makes them, for which names, and how they are mounted."""

from __future__ import annotations

from typing import ClassVar, Literal

from constructs import Construct

from .api import ApiObjectMetadata, cert_manager
from .component import GROUND_WAVE, Component
from .errors import SettingError
from .manifest import Manifest
from .names import dns_label, dns_subdomain, once
from .quantity import duration_text, seconds
from .storage import SecretFiles
from .values import dataclass

_SHORTEST = 3600
"""Seconds that cert-manager takes as the shortest life of a certificate."""
_LAST_MOMENT = 300
"""Seconds before the end at which cert-manager renews at the latest."""
_LONGEST_NAME = 64
"""Characters of the longest name of a Certificate that cert-manager makes requests of."""


@dataclass(frozen=True, kw_only=True)
class CertManager:
    """cert-manager makes the certificates, writes them into Secrets and renews them (cert-manager.io/v1).

    The names of Services are nobody's on the internet: the issuer must be a CA of your own, such as cert-manager's
    ``CA`` or ``Vault``. It must say its certificate (``ca.crt`` in the Secret), or clients could not know it.

    Args:
        issuer: The issuer's name. It is made outside the application.
        kind: ``ClusterIssuer``, or ``Issuer`` for one in the namespace.
        duration: How long a certificate is good for: ``2160h``, 90 days, as cert-manager takes it unless given.
        renew_before: How long before its end another is made: ``720h``, a third of that.
    """

    issuer: str
    kind: Literal["ClusterIssuer", "Issuer"] = "ClusterIssuer"
    duration: str = "2160h"
    renew_before: str = "720h"

    def __post_init__(self) -> None:
        """Refuse what cert-manager would refuse."""
        dns_subdomain("CertManager.issuer", self.issuer)
        if self.kind not in ("ClusterIssuer", "Issuer"):
            raise SettingError("CertManager.kind", self.kind, "Give 'ClusterIssuer' or 'Issuer'.")
        whole = seconds("CertManager.duration", self.duration)
        before = seconds("CertManager.renew_before", self.renew_before)
        if whole < _SHORTEST:
            raise SettingError("CertManager.duration", self.duration, "cert-manager takes '1h' or more.")
        if not _LAST_MOMENT <= before < whole:
            raise SettingError(
                "CertManager.renew_before", self.renew_before, f"Give '5m' or more, and less than {self.duration}."
            )


@dataclass(frozen=True, kw_only=True)
class ExistingCertificates:
    """The certificates lie in the cluster already: someone makes and renews them.

    Each is a Secret of type ``kubernetes.io/tls`` with ``ca.crt`` beside ``tls.crt`` and ``tls.key``. Its name is that
    of the workload with ``-tls``, such as ``shop-postgres-tls``.
    """


CertificateSource = CertManager | ExistingCertificates
"""Who makes certificates."""


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

    def files(self, mount_path: str, *, name: str = "tls") -> SecretFiles:
        """The volume of the server: ``tls.crt``, ``tls.key`` and ``ca.crt``, which follow each renewal.

        Its files belong to root and to the pod's group, which may read them. PostgreSQL takes a key that is so.

        Args:
            mount_path: The folder that they appear in.
            name: The volume's name in the pod.
        """
        return SecretFiles(name=name, mount_path=mount_path, secret=self.secret, keys=self.KEYS)

    def authority(self, mount_path: str, *, name: str = "") -> SecretFiles:
        """The volume of a client: ``ca.crt`` alone, by which it knows the server.

        Args:
            mount_path: The folder that it appears in.
            name: The volume's name in the pod; ``<workload>-ca`` unless given.
        """
        return SecretFiles(
            name=name or f"{self.settings.workload}-ca", mount_path=mount_path, secret=self.secret, keys=("ca.crt",)
        )

    def manifests(self) -> list[Manifest]:
        """The Certificate, or nothing where the Secret exists already."""
        source = self.settings.source
        if isinstance(source, ExistingCertificates):
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
                    renew_before=duration_text(seconds("CertManager.renew_before", source.renew_before)),
                    revision_history_limit=1,
                    private_key=key,
                    issuer_ref=cert_manager.CertificateSpecIssuerRef(
                        name=source.issuer, kind=source.kind, group="cert-manager.io"
                    ),
                ),
            )
        ]
