"""This module is who makes the certificates of servers. What one says is in ``certificate``."""

from __future__ import annotations

from typing import Literal

from .errors import SettingError
from .names import dns_subdomain
from .quantity import seconds
from .values import dataclass

_LAST_MOMENT = 4 * 3600
"""Seconds before the end at which it must be renewed. cert-manager takes 300, in which nobody could mend anything."""


@dataclass(frozen=True, kw_only=True)
class CertManager:
    """cert-manager makes the certificates, writes them into Secrets and renews them (cert-manager.io/v1).

    The names of Services are nobody's on the internet: the issuer must be a CA of your own, such as cert-manager's
    ``CA`` or ``Vault``. It must say its certificate (``ca.crt`` in the Secret), or clients could not know it.

    Args:
        issuer: The issuer's name. It is made outside the application.
        kind: ``ClusterIssuer``, or ``Issuer`` for one in the namespace. Whoever may make a Certificate in any namespace
            has a ClusterIssuer sign any name, yours too, unless an approver of cert-manager's forbids it.
        duration: How long a certificate is good for: ``2160h``, 90 days, as cert-manager takes it unless given.
        renew_before: How long before its end another is made: ``720h``, a third of that. When half of it has passed, or
            14 days before the end, an alert says that it was not.
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
        if not _LAST_MOMENT <= self.renewed_before < whole:
            raise SettingError(
                "CertManager.renew_before", self.renew_before, f"Give '4h' or more, and less than {self.duration}."
            )

    @property
    def renewed_before(self) -> int:
        """How long before its end another is made, in seconds."""
        return seconds("CertManager.renew_before", self.renew_before)


@dataclass(frozen=True, kw_only=True)
class ExistingCertificates:
    """The certificates lie in the cluster already: someone makes and renews them.

    Each is a Secret of type ``kubernetes.io/tls`` with ``ca.crt`` beside ``tls.crt`` and ``tls.key``. Its name is that
    of the workload with ``-tls``, such as ``shop-postgres-tls``.
    """


CertificateSource = CertManager | ExistingCertificates
"""Who makes certificates."""
