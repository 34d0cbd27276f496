"""This module is the mutual TLS of the mesh: registry, agents and who calls them show each other certificates.

The programs do it themselves, as their variables say. A server takes nobody without a certificate of the mesh's CA, not
even the kubelet, so probes are commands that show the container's own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Alert,
    Certificate,
    CertificateSettings,
    CertificateSource,
    CertManager,
    Choice,
    Container,
    Exec,
    HttpGet,
    Pod,
    PodSettings,
    Probe,
    Probes,
    Severity,
    TcpSocket,
    Variable,
    dataclass,
    variables,
)

TLS_FILES = {name: f"{Certificate.FOLDER}/{file}" for name, file in (("CERT", "tls.crt"), ("KEY", "tls.key"))}
TLS_FILES["CA"] = f"{Certificate.FOLDER}/ca.pem"
"""Where each pod of the mesh finds its own. The registry trusts what ends with ``.pem`` in a folder."""

SHOWN = variables({f"MCP_MESH_TLS_{name}": file for name, file in TLS_FILES.items()})
"""What tells a program which certificate it shows, and whom it believes."""

RUNTIME = (*variables({"MCP_MESH_TLS_MODE": "strict"}), *SHOWN)
"""The same of the mesh's programs, which also demand one then."""

REGISTRY = (*RUNTIME, *variables({"MCP_MESH_TRUST_BACKEND": "filestore", "MCP_MESH_TRUST_DIR": Certificate.FOLDER}))
"""The same of a registry: it is told besides where the CAs are whose certificates it takes."""

DASHBOARD = variables({f"MCP_MESH_REGISTRY_TLS_{name}": file for name, file in TLS_FILES.items()})
"""The same of the mesh's dashboard, which calls the registry alone."""

_RELOAD = "secret.reloader.stakater.com/reload"
"""The annotation by which Reloader is told of a Secret."""

P = TypeVar("P", bound=PodSettings)


class HttpsClient(Choice):
    """With what a container asks by HTTPS, showing its certificate: what its image has."""

    CURL = "curl", "The runtimes of agents, in every language."
    WGET = "wget", "The registry."

    def asks(self, port: int, path: str, seconds: int, *more: str) -> tuple[str, ...]:
        """The command that ends with 0 when the answer is good, and prints it.

        Args:
            port: A port of the container's own.
            path: The path.
            seconds: When it gives up.
            more: More arguments, such as what is posted.
        """
        certificate, key, ca = TLS_FILES["CERT"], TLS_FILES["KEY"], TLS_FILES["CA"]
        url = f"https://localhost:{port}{path}"
        if self is HttpsClient.CURL:
            files = ("--cacert", ca, "--cert", certificate, "--key", key)
            how = ("--fail", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(seconds))
            return ("curl", *how, *files, *more, url)
        wget = ("wget", "--quiet", "--output-document=-", "--no-proxy", "--tries=1", f"--timeout={seconds}")
        return (*wget, f"--ca-certificate={ca}", f"--certificate={certificate}", f"--private-key={key}", *more, url)


@dataclass(frozen=True, kw_only=True)
class MeshTls:
    """The programs of the mesh speak TLS to each other, each with a certificate that the other demands.

    Whoever has none of the CA's is refused: by the registry with 403, by an agent before it says anything. API services
    show theirs when they call agents, and serve people as before.

    Args:
        certificates: Who makes the certificates, one for each registry, agent, API service, and who looks after them.
        reloader: Whether Stakater's Reloader runs in the cluster: it rolls out what mounts a Secret that was renewed.
            Programs read their certificate when they start. Without, whoever keeps an old one until it ends fails its
            probes then, and is restarted with the new one.
    """

    certificates: CertificateSource
    reloader: bool = False

    def given_to(
        self, scope: Construct, settings: P, told: tuple[Variable, ...], serves: HttpsClient | None = None
    ) -> P:
        """A pod with a certificate of its own, which it shows when it calls others of the mesh.

        Args:
            scope: Where it stands.
            settings: The pod.
            told: What tells its program so.
            serves: With what its container asks itself, where it also demands one of whoever calls it.
        """
        certificate = Certificate(
            scope,
            CertificateSettings(workload=settings.name, source=self.certificates, local=True, client=True),
        )
        container, extras = settings.container, settings.extras
        container = replace(
            container,
            variables=(*container.variables, *told),
            volumes=(*container.volumes, certificate.files(paths=("tls.crt", "tls.key", "ca.pem"))),
        )
        if serves:
            container = _demanding(container, serves)
        if self.reloader:
            extras = replace(extras, annotations=(*extras.annotations, (_RELOAD, certificate.secret)))
        return replace(settings, container=container, extras=extras)

    def alerts_of(self, pod: Pod) -> tuple[Alert, ...]:
        """That a program may show a certificate that ends, where nobody can ask to see it.

        What it has read when it started was good for as long as others are renewed before. Of certificates that
        somebody else makes, that is not known.

        Args:
            pod: One that serves without a certificate, and shows it as a client alone.
        """
        source = self.certificates
        if self.reloader or pod.application.settings.reloader or not isinstance(source, CertManager):
            return ()
        started = f'kube_pod_container_state_started{{pod=~"{pod.full_name}-.+", container="{pod.container.name}"}}'
        left = min(48 * 3600, source.renewed_before // 4)
        return (
            Alert(
                name="CertificateReadLongAgo",
                expression=f"max by (pod) ({started}) + {source.renewed_before} - time() < {left}",
                for_minutes=60,
                severity=Severity.TICKET,
                summary="{{ $labels.pod }} may show a certificate that ends",
                description="It has read it when it started: in {{ $value | humanizeDuration }} it may have ended.",
            ),
        )


def _demanding(container: Container, client: HttpsClient) -> Container:
    """A server that speaks TLS alone, and demands a certificate of its probes, too."""
    ports = tuple(replace(port, scheme="https") if port.scheme == "http" else port for port in container.ports)
    probes, numbers = container.asked, {port.name: port.container for port in ports}

    def asked(probe: Probe) -> Probe:
        check: HttpGet | TcpSocket | Exec = probe.check
        if isinstance(check, HttpGet):
            # It ends before the kubelet gives up, so that it can say why.
            check = Exec(command=client.asks(numbers[check.port], check.path, max(1, probe.timeout_seconds - 1)))
        return replace(probe, check=check)

    if probes:
        probes = Probes(
            startup=asked(probes.startup),
            readiness=asked(probes.readiness),
            liveness=asked(probes.liveness),
            hung_grace_seconds=probes.hung_grace_seconds,
        )
    return replace(container, ports=ports, probes=probes or container.probes)
