"""This module is who makes the certificates of servers. What one says is in ``certificate``."""

from __future__ import annotations

from typing import Literal

from .errors import SettingError
from .names import dns_subdomain
from .quantity import seconds
from .values import dataclass

_SHORTEST = 3600
"""Seconds that cert-manager takes as the shortest life of a certificate."""
_LAST_MOMENT = 300
"""Seconds before the end at which cert-manager renews at the latest."""


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
