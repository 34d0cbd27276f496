"""This module is the proof of the certificates of servers: what cert-manager is asked for, and where it is mounted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from conftest import close
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Certificate,
    CertificateSettings,
    CertManager,
    Compute,
    Container,
    ExistingCertificates,
    HttpGet,
    Image,
    Manifest,
    NoProbes,
    Phase,
    Port,
    Probes,
    SettingError,
    TreeError,
    User,
    Volume,
    Workload,
    WorkloadSettings,
)
from mcpmesh_k8s.kubernetes.manifest import at, each
from mcpmesh_k8s.operations.programs import OperationError
from mcpmesh_k8s.operations.secrets import certificates_made_by_hand, require_secrets

if TYPE_CHECKING:
    from mcpmesh_k8s.operations.environment import Environment
    from mcpmesh_k8s.operations.programs import Kubectl

MAIN = Container(
    name="main",
    image=Image(repository="acme/shop", tag="1.2.3"),
    user=User(uid=70, gid=70),
    compute=Compute(cpu="100m", memory="64Mi"),
    ports=(Port(number=8000),),
    probes=NoProbes(because="No test starts it."),
)
BY_CA = CertificateSettings(workload="db", source=CertManager(issuer="shop-ca"))


def phase() -> Phase:
    made = Phase(Application(ApplicationSettings(name="shop", namespace="trade"), outdir="unused"), "all")
    close(made)
    return made


def runs(scope: Phase, *volumes: Volume, probes: Probes | None = None) -> Workload:
    container = Container(
        name=MAIN.name, image=MAIN.image, user=MAIN.user, compute=MAIN.compute, ports=MAIN.ports, volumes=volumes,
        probes=probes or NoProbes(because="No test starts it."),
    )  # fmt: skip
    return Workload(scope, WorkloadSettings(name="db", container=container))


def rendered(scope: Phase, kind: str) -> list[Manifest]:
    manifests = Application.of(scope).manifests()["all"]
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def test_a_certificate_is_good_for_every_name_of_its_services_and_comes_before_the_pods() -> None:
    scope = phase()
    Certificate(
        scope,
        CertificateSettings(
            workload="db", source=CertManager(issuer="shop-ca"), services=("db-pods",), local=True, client=True
        ),
    )
    [certificate] = rendered(scope, "Certificate")
    assert certificate["apiVersion"] == "cert-manager.io/v1"
    assert at(certificate, "metadata")["annotations"] == {"argocd.argoproj.io/sync-wave": "-1"}
    assert certificate["spec"] == {
        "secretName": "shop-db-tls",
        "secretTemplate": {"labels": at(certificate, "metadata")["labels"]},
        "dnsNames": [
            "shop-db",
            "shop-db.trade",
            "shop-db.trade.svc",
            "shop-db.trade.svc.cluster.local",
            "shop-db-pods",
            "shop-db-pods.trade",
            "shop-db-pods.trade.svc",
            "shop-db-pods.trade.svc.cluster.local",
            "*.shop-db-pods.trade",
            "*.shop-db-pods.trade.svc",
            "*.shop-db-pods.trade.svc.cluster.local",
            "localhost",
        ],
        "usages": ["digital signature", "server auth", "client auth"],
        "duration": "2160h0m0s",
        "renewBefore": "720h0m0s",
        "revisionHistoryLimit": 1,
        "privateKey": {"algorithm": "ECDSA", "size": 256, "encoding": "PKCS8", "rotationPolicy": "Always"},
        "issuerRef": {"name": "shop-ca", "kind": "ClusterIssuer", "group": "cert-manager.io"},
    }


def test_a_certificate_of_someone_else_is_not_rendered_and_mounted_the_same() -> None:
    for source in (CertManager(issuer="shop-ca", kind="Issuer"), ExistingCertificates()):
        scope = phase()
        certificate = Certificate(scope, CertificateSettings(workload="db", source=source))
        runs(scope, certificate.files("/tls"), certificate.authority)
        [deployment] = rendered(scope, "Deployment")
        pod = at(deployment, "spec", "template", "spec")
        assert list(each(pod, "volumes")) == [
            {
                "name": "tls",
                "secret": {
                    "secretName": "shop-db-tls",
                    # Of root and the pod's group: PostgreSQL takes no key that others may read.
                    "defaultMode": 0o440,
                    "items": [{"key": key, "path": key} for key in ("tls.crt", "tls.key", "ca.crt")],
                },
            },
            {
                "name": "db-ca",
                "secret": {
                    "secretName": "shop-db-tls",
                    "defaultMode": 0o440,
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                },
            },
        ]
        assert at(pod, "securityContext")["fsGroup"] == 70
        assert bool(rendered(scope, "Certificate")) is isinstance(source, CertManager)


def test_a_certificate_that_nobody_makes_is_refused_where_it_is_mounted() -> None:
    other = phase()
    certificate = Certificate(other, BY_CA)
    scope = phase()
    runs(scope, certificate.authority)
    with pytest.raises(TreeError, match="mounts Secret 'shop-db-tls', which nothing provides"):
        Application.of(scope).manifests()


def test_a_deployment_asks_for_the_certificates_that_nothing_makes() -> None:
    scope = phase()
    Certificate(scope, BY_CA)
    Certificate(scope, CertificateSettings(workload="cache", source=ExistingCertificates()))
    assert certificates_made_by_hand(Application.of(scope).components) == ["shop-cache-tls"]
    assert Application.of(scope).secret_keys() == ()


@dataclass
class Cluster:
    """kubectl, of a namespace with one Secret."""

    keys: str
    namespace: str = "trade"

    def output(self, *arguments: str) -> str:
        assert arguments[:2] == ("get", "secrets")
        return f"{self.keys}\nanother token\n"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("shop-cache-tls ca.crt tls.crt tls.key", ""),
        # What `kubectl create secret tls` makes.
        (
            "shop-cache-tls tls.crt tls.key",
            r"no shop-cache-tls/ca\.crt in namespace trade: pods that mount it would not",
        ),
        ("shop-cache ca.crt tls.crt tls.key", r"no Secret shop-cache-tls in namespace trade"),
    ],
)
def test_a_certificate_of_someone_else_is_deployed_to_whole_or_not_at_all(keys: str, said: str) -> None:
    scope = phase()
    Certificate(scope, CertificateSettings(workload="cache", source=ExistingCertificates()))
    made = cast("Environment", SimpleNamespace(application=Application.of(scope), name="prod"))
    with pytest.raises(OperationError, match=said) if said else nullcontext():
        require_secrets(made, cast("Kubectl", Cluster(keys)), [])


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "an issuer of no name": (lambda: CertManager(issuer="Shop CA"), "CertManager.issuer"),
    "no time": (lambda: CertManager(issuer="ca", duration="90d"), "Give '30s', '5m' or '1h'"),
    "a late renewal": (lambda: CertManager(issuer="ca", renew_before="239m"), "Give '4h' or more, and less than 2160h"),
    "a renewal before the certificate": (
        lambda: CertManager(issuer="ca", duration="5h", renew_before="5h"),
        "less than 5h",
    ),
    "a Service twice": (
        lambda: CertificateSettings(workload="db", source=ExistingCertificates(), services=("db",)),
        "given twice",
    ),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_cert_manager_would_refuse_is_refused(wrong: str) -> None:
    make, said = REFUSED[wrong]
    with pytest.raises(SettingError, match=said):
        make()


def test_a_probe_asks_by_https_where_it_is_told_to() -> None:
    scope = phase()
    runs(scope, probes=Probes.of(HttpGet(path="/ready", scheme="HTTPS"), liveness=HttpGet(path="/livez")))
    [deployment] = rendered(scope, "Deployment")
    [container] = each(deployment, "spec", "template", "spec", "containers")
    assert at(container, "readinessProbe")["httpGet"] == {"path": "/ready", "port": "http", "scheme": "HTTPS"}
    # The API server's own default is left out, as everywhere.
    assert at(container, "livenessProbe")["httpGet"] == {"path": "/livez", "port": "http"}
    with pytest.raises(SettingError, match="Give 'HTTP' or 'HTTPS'"):
        HttpGet(path="/", scheme="https")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
