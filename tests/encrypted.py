"""This module is the environments in which what pods say is encrypted, and a CA that makes certificates."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ai_interviewer import PROD
from mcpmesh_k8s import CertManager, IstioAmbient, Linkerd, StoreTls, TlsClient
from processes import Account

ALL = tuple(TlsClient)
STORE_TLS = replace(
    PROD,
    name="store-tls",
    transit=StoreTls(certificates=CertManager(issuer="ai-interviewer-ca")),
    # As if all of the application's clients could.
    backend=replace(PROD.backend, tls=ALL),
    agents=tuple(replace(agent, tls=ALL) for agent in PROD.agents),
)
AMBIENT = replace(PROD, name="ambient", transit=IstioAmbient())
# The proxies of all pods together need room of their own.
LINKERD = replace(
    PROD,
    name="linkerd",
    transit=Linkerd(),
    budget=replace(
        PROD.budget,
        cpu="12",
        memory="24Gi",
        nodes=tuple(replace(one, count=one.count + 2) for one in PROD.budget.nodes),
    ),
)
ENCRYPTED = {settings.name: settings for settings in (STORE_TLS, AMBIENT, LINKERD)}


class Authority:
    """A CA of its own. Each certificate that it makes is another."""

    def __init__(self, name: str = "a CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key, [x509.BasicConstraints(ca=True, path_length=None)])
        self._between = b""
        self._known = self.certificate

    def renewed(self) -> Authority:
        """The same CA, with the same key and another certificate."""
        again = copy(self)
        again.certificate = again._sign(again._name, again._key, [x509.BasicConstraints(ca=True, path_length=None)])
        again._known = again.certificate
        return again

    def intermediate(self) -> Authority:
        """A CA that this one has signed, and that clients know by this one."""
        below = Authority("a CA between")
        below.certificate = self._sign(below._name, below._key, [x509.BasicConstraints(ca=True, path_length=0)])
        below._between = below.certificate.public_bytes(serialization.Encoding.PEM)
        below._known = self.certificate
        return below

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extensions: Sequence[x509.ExtensionType]
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .issuer_name(self._name)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
        )
        extended = with_extensions(builder, subject, key.public_key(), self._key.public_key(), extensions)
        return extended.sign(self._key, hashes.SHA256())

    def make(self, names: Sequence[str]) -> dict[str, bytes]:
        """What cert-manager writes into a Secret for these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        made = self._sign(x509.Name([]), key, [x509.BasicConstraints(ca=False, path_length=None), usage, alternatives])
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return {
            "tls.crt": made.public_bytes(serialization.Encoding.PEM) + self._between,
            "tls.key": key.private_bytes(serialization.Encoding.PEM, *form),
            "ca.crt": self._known.public_bytes(serialization.Encoding.PEM),
        }


def with_extensions(
    builder: x509.CertificateBuilder,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    above: ec.EllipticCurvePublicKey,
    extensions: Sequence[x509.ExtensionType],
) -> x509.CertificateBuilder:
    """A certificate with its extensions, and with those that cert-manager adds, which Python asks for since 3.13."""
    own, issuer = map(x509.SubjectKeyIdentifier.from_public_key, (key, above))
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=any(isinstance(one, x509.BasicConstraints) and one.ca for one in extensions),
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    critical = (x509.BasicConstraints, x509.KeyUsage, *(() if subject.rdns else (x509.SubjectAlternativeName,)))
    for extension in (*extensions, own, x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), usage):
        builder = builder.add_extension(extension, critical=isinstance(extension, critical))
    return builder.subject_name(subject).public_key(key)


def write_secret(folder: Path, values: dict[str, bytes], account: Account | None = None) -> None:
    """Show a Secret in a folder as the kubelet does: new files beside the old ones, and all of them change at once.

    They are root's and the group's, which may read them, where root runs the tests.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.glob("..2*")))
    place = folder / f"..2026_{number}"
    place.mkdir()
    for name, data in values.items():
        path = place / name
        path.write_bytes(data)
        path.chmod(0o440 if os.geteuid() == 0 else 0o400)
        if account and os.geteuid() == 0:
            os.chown(path, 0, account.gid)
    link = folder / "..data_tmp"
    link.symlink_to(place.name)
    link.replace(folder / "..data")
    for name in values:
        shown = folder / name
        if not shown.is_symlink():
            shown.symlink_to(f"..data/{name}")
