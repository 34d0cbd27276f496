"""This module is the blackbox exporter: it asks what has no metrics of its own whether it works."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from constructs import Construct

from mcpmesh_k8s.access import Exposure
from mcpmesh_k8s.images import BLACKBOX_EXPORTER
from mcpmesh_k8s.kubernetes import (
    Alert,
    Certificate,
    CertManager,
    Component,
    Compute,
    Container,
    External,
    File,
    Files,
    HttpCheck,
    HttpGet,
    Image,
    Internet,
    Listener,
    MetricsEndpoint,
    Pod,
    Port,
    Probes,
    SettingError,
    Target,
    TlsClient,
    User,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    settings_of,
    yaml_text,
)
from mcpmesh_k8s.services import TLS_FILES, mesh_of

from .alerts import OF_ADDRESSES, OF_CHECKS, of_certificates

USER = User(uid=65534, gid=65534)
"""The user ``nobody``: the image names none (prometheus/blackbox_exporter, Dockerfile)."""

_ETC = "/etc/blackbox"

Configuration = dict[str, object]
"""A mapping of a configuration file."""

_SSL_REQUEST = b"\x00\x00\x00\x09\x04\xd2\x16/"
"""How PostgreSQL is asked for TLS. The exporter ends what it sends with a newline, which is the ninth byte."""


@dataclass(frozen=True, kw_only=True)
class TlsCheck:
    """Until when a server's certificate is good, and whether its clients believe it: the server is only greeted.

    Args:
        certificate: The certificate.
        target: The server, and its port.
    """

    certificate: Certificate
    target: Target

    @property
    def name(self) -> str:
        """What it is called: as the certificate."""
        return self.certificate.name

    @property
    def url(self) -> str:
        """Where it is asked."""
        return self.target.endpoint.authority


@dataclass(frozen=True, kw_only=True)
class PublicAddress:
    """A check of the address that people use, by HTTPS and with its certificate, through DNS and what stands before.

    It opens a way out of the cluster for the pod that asks. A policy cannot name a host, so the way is to every address
    that may be it.

    Args:
        listeners: Where the address is, as a policy sees it. Unless given: the internet on 443, and who stands before
            the gateway on 443 and 8443. Many clusters lead their own pods straight there, and a policy then sees the
            pods of the controller with their own port, which those are.
    """

    listeners: tuple[Listener, ...] = ()

    def of(self, exposure: Exposure) -> External:
        """The address, of an exposure."""
        before = [Listener(peer=peer, port=port) for peer in exposure.peers for port in (443, 8443)]
        listeners = self.listeners or tuple(dict.fromkeys((Listener(peer=Internet(), port=443), *before)))
        return External(name="the public address", hosts=(exposure.gateway.settings.host,), peer=listeners)


@dataclass(frozen=True, kw_only=True)
class BlackboxSettings(WorkloadOptions):
    """A blackbox exporter.

    Args:
        image: The image.
        compute: CPU and memory.
        public_address: Whether it asks at the address that people use, too, where that has a certificate.
        timeout_seconds: Seconds after which a check has failed.
        name: The short name.
    """

    image: Image = BLACKBOX_EXPORTER
    compute: Compute = Compute(cpu="10m", memory="32Mi", cpu_limit="100m", memory_limit="64Mi")
    public_address: PublicAddress | None = None
    timeout_seconds: int = 5
    name: str = "blackbox"

    def __post_init__(self) -> None:
        """Refuse a time that no check can keep."""
        super().__post_init__()
        if not 1 <= self.timeout_seconds <= 30:
            raise SettingError("BlackboxSettings.timeout_seconds", self.timeout_seconds, "Give 1 to 30.")


class Blackbox(Workload):
    """The blackbox exporter: it reaches what the checks of all components ask, and nothing else.

    Args:
        scope: A Phase.
        settings: Image and compute.
    """

    def __init__(self, scope: Construct, settings: BlackboxSettings) -> None:
        self.settings = settings
        # The registry of a mesh that speaks TLS demands a certificate.
        super().__init__(
            scope,
            mesh_of(scope).secured(
                scope,
                WorkloadSettings(
                    name=settings.name,
                    availability=settings.availability,
                    extras=settings.extras,
                    component="metrics",
                    administrators_only="It asks nobody who they are, and asks others for whoever comes.",
                    metrics=(MetricsEndpoint(port="http"),),
                    container=Container(
                        name=settings.name,
                        image=settings.image,
                        user=USER,
                        compute=settings_of(scope).platform.raised(settings.compute),
                        args=(f"--config.file={_ETC}/blackbox.yaml", "--log.format=json"),
                        ports=(Port(number=9115),),
                        probes=Probes.of(HttpGet(path="/-/healthy")),
                    ),
                ),
                (),
            ),
        )

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What its checks show."""
        checks = [check for _, check in self.all_checks]
        outside = any(isinstance(check.target, External) for check in checks)
        shown = {check.name: check.certificate.settings.source for check in checks if isinstance(check, TlsCheck)}
        renewed = {name: source.renewed_before for name, source in shown.items() if isinstance(source, CertManager)}
        certified = of_certificates(renewed) if outside or shown else ()
        return (*OF_CHECKS, *(OF_ADDRESSES if outside else ()), *certified)

    @property
    def all_checks(self) -> tuple[tuple[Component, HttpCheck | TlsCheck], ...]:
        """The checks of all components, each with whom it is about."""
        inside = [(pod, check) for pod in self.application.find_all(Pod) for check in pod.http_checks]
        return (*inside, *self._public_checks(), *self._tls_checks())

    def _tls_checks(self) -> Iterator[tuple[Component, TlsCheck]]:
        """One for each certificate that a server shows. Those that only clients show are asked for by nobody."""
        certificates = self._certificates
        for pod in self.application.find_all(Pod):
            port = next((port for port in pod.ports if port.tls or port.scheme == "https"), None)
            if port and pod.name in certificates:
                yield pod, TlsCheck(certificate=certificates[pod.name], target=Target(workload=pod, port=port.name))

    @property
    def _certificates(self) -> dict[str, Certificate]:
        """By the name of whose they are."""
        return {one.settings.workload: one for one in self.application.find_all(Certificate)}

    def _public_checks(self) -> Iterator[tuple[Component, HttpCheck]]:
        for exposure in self.application.find_all(Exposure) if self.settings.public_address else ():
            if exposure.settings.https and self.settings.public_address:
                target = self.settings.public_address.of(exposure)
                name = "-".join(filter(None, ("public-address", exposure.settings.name)))
                yield exposure, HttpCheck(name=name, target=target, path=exposure.gateway.health_path)

    def settle(self) -> None:
        """Connect to everything that a check asks."""
        checks = [check for _, check in self.all_checks]
        names = [check.name for check in checks]
        for name in names:
            if names.count(name) > 1:
                raise SettingError("HttpCheck.name", name, "Two checks have it. Give each its own.")
        reached: dict[tuple[str, str], Target | External] = {}
        for target in (check.target for check in checks):
            if isinstance(target, Target):
                key = target.workload.full_name, target.port
                reached.setdefault(key, Target(workload=target.workload, port=target.port, watched=True))
            else:
                reached.setdefault((target.name, ""), replace(target, introduction=(), volumes=()))
        self.connects_to(*reached.values())
        modules = {check.name: self._module(check) for check in checks}
        text = yaml_text({"modules": modules or {"http": {"prober": "http"}}})
        for check in checks:
            if isinstance(check, TlsCheck):
                self.add_volume(check.certificate.authority)
        self.add_volume(Files(mount_path=_ETC, files=(File(path="blackbox.yaml", content=text),)))

    def _module(self, check: HttpCheck | TlsCheck) -> Configuration:
        if isinstance(check, TlsCheck):
            return self._tls_module(check)
        http: Configuration = {"method": "GET", "follow_redirects": False}
        if isinstance(check.target, External):
            http["fail_if_not_ssl"] = True
            # A host outside may have addresses of both families, and only those of the cluster's are reached.
            family = self.application.settings.platform.ip_families[0]
            http["preferred_ip_protocol"] = "ip4" if family == "IPv4" else "ip6"
        elif check.target.endpoint.scheme == "https":
            http["tls_config"] = self._known(check.target.workload)
        if check.condition:
            http["fail_if_body_json_not_matches_cel"] = check.condition
        return {"prober": "http", "timeout": f"{self.settings.timeout_seconds}s", "http": http}

    def _tls_module(self, check: TlsCheck) -> Configuration:
        told = self._known(check.target.workload)
        tcp: Configuration = {"tls": True, "tls_config": told}
        if check.target.workload.port(check.target.port).tls is TlsClient.POSTGRES:
            asked = [{"send": _SSL_REQUEST}, {"expect_bytes": "S"}, {"starttls": True}]
            tcp = {"query_response": asked, "tls_config": told}
        return {"prober": "tcp", "timeout": f"{self.settings.timeout_seconds}s", "tcp": tcp}

    def _known(self, pod: Pod) -> Configuration:
        """By whose certificate it knows a server, and its own, which it shows to who wants one."""
        certificate = self._certificates.get(pod.name)
        told: Configuration = {"ca_file": certificate.authority_file} if certificate else {}
        return told | ({"cert_file": TLS_FILES["CERT"], "key_file": TLS_FILES["KEY"]} if mesh_of(self).tls else {})

    def job_of(self, check: HttpCheck | TlsCheck) -> str:
        """The job of a check."""
        return f"check-{check.name}"

    def labels_of(self, owner: Component, check: HttpCheck | TlsCheck) -> dict[str, str]:
        """The labels of a check's series, beside those of every job."""
        component = "certificate" if isinstance(check, TlsCheck) else owner.component
        return {"check": check.name, "component": component, "service": owner.name}

    def scrape_jobs(self) -> list[Configuration]:
        """How Prometheus asks it: a job for each check, with the check's name in the label ``check``."""
        return [
            {
                "job_name": self.job_of(check),
                "metrics_path": "/probe",
                "params": {"module": [check.name], "target": [check.url]},
                "static_configs": [{"targets": [self.endpoint().authority], "labels": self.labels_of(owner, check)}],
            }
            for owner, check in self.all_checks
        ]
