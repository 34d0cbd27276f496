"""This module is probes: how the kubelet asks whether a container has started, is ready and is alive."""

from __future__ import annotations

from typing import Literal

from .api import k8s
from .errors import SettingError
from .names import one_line, url_path
from .values import dataclass
from .variable import told


@dataclass(frozen=True, kw_only=True)
class HttpGet:
    """A GET that must answer 200 to 399.

    Args:
        path: The path asked for.
        port: The name of the port.
        scheme: ``HTTPS`` for a server that speaks no other. The kubelet takes any certificate.
    """

    path: str
    port: str = "http"
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"

    def __post_init__(self) -> None:
        """Refuse a path that is not one, and a scheme that the kubelet does not speak."""
        url_path("HttpGet.path", self.path)
        if self.scheme not in ("HTTP", "HTTPS"):
            raise SettingError("HttpGet.scheme", self.scheme, "Give 'HTTP' or 'HTTPS'.")


@dataclass(frozen=True, kw_only=True)
class TcpSocket:
    """A connection that must open.

    Args:
        port: The name of the port.
    """

    port: str = "http"


@dataclass(frozen=True, kw_only=True)
class Exec:
    """A command in the container that must end with 0."""

    command: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a command that is none."""
        if not self.command:
            raise SettingError("Exec.command", self.command, "Give a program and its arguments.")
        for word in self.command:
            told("Exec.command", word)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One question, how often it is asked, and how many failures in a row count.

    Args:
        check: What is asked.
        period_seconds: Seconds between two questions.
        timeout_seconds: Seconds after which no answer is a failure.
        failure_threshold: Failures in a row until the kubelet acts.
    """

    check: HttpGet | TcpSocket | Exec
    period_seconds: int = 10
    timeout_seconds: int = 3
    failure_threshold: int = 3

    def __post_init__(self) -> None:
        """Refuse what the API server would refuse, and a timeout that outlasts the period."""
        for field in ("period_seconds", "timeout_seconds", "failure_threshold"):
            if getattr(self, field) < 1:
                raise SettingError(f"Probe.{field}", getattr(self, field), "Give 1 or more.")
        if self.timeout_seconds > self.period_seconds:
            raise SettingError(
                "Probe.timeout_seconds",
                self.timeout_seconds,
                f"Give at most the period, {self.period_seconds}.",
            )

    def render(self, grace_seconds: int | None = None) -> k8s.Probe:
        """The probe as the API has it.

        Args:
            grace_seconds: Seconds from the start of the stop, where this probe calls for it, until the container is
                killed; as long as any other stop unless given.
        """
        check = self.check
        return k8s.Probe(
            http_get=k8s.HttpGetAction(
                path=check.path,
                port=k8s.IntOrString.from_string(check.port),
                scheme="HTTPS" if check.scheme == "HTTPS" else None,
            )
            if isinstance(check, HttpGet)
            else None,
            tcp_socket=k8s.TcpSocketAction(port=k8s.IntOrString.from_string(check.port))
            if isinstance(check, TcpSocket)
            else None,
            exec=k8s.ExecAction(command=list(check.command)) if isinstance(check, Exec) else None,
            period_seconds=self.period_seconds,
            timeout_seconds=self.timeout_seconds,
            failure_threshold=self.failure_threshold,
            termination_grace_period_seconds=grace_seconds,
        )


@dataclass(frozen=True, kw_only=True)
class Probes:
    """The three questions of a container.

    Args:
        startup: Asked first; the other two wait for it. It gives a slow start its time without making
            liveness slow.
        readiness: Whether the Service sends requests here.
        liveness: Whether the container must be restarted. It must not depend on other services: restarting
            a client does not mend its server.
        hung_grace_seconds: Seconds from the start of the stop until a container is killed that did not start, or is
            not alive. As long as any other stop unless given. Give it where a stop waits for long answers: one that
            hangs gives none, and would hang for as long once more.
    """

    startup: Probe
    readiness: Probe
    liveness: Probe
    hung_grace_seconds: int | None = None

    def __post_init__(self) -> None:
        """Refuse what the API server would refuse."""
        if self.hung_grace_seconds is not None and self.hung_grace_seconds < 1:
            raise SettingError("Probes.hung_grace_seconds", self.hung_grace_seconds, "Give 1 or more.")

    @property
    def all(self) -> tuple[Probe, Probe, Probe]:
        """Each of them."""
        return (self.startup, self.readiness, self.liveness)

    @classmethod
    def of(
        cls,
        readiness: HttpGet | TcpSocket | Exec,
        *,
        liveness: HttpGet | TcpSocket | Exec | None = None,
        startup_seconds: int = 60,
        timeout_seconds: int = 3,
        hung_grace_seconds: int | None = None,
    ) -> Probes:
        """The usual profile.

        Args:
            readiness: What tells that the container can serve; asked every 10 seconds.
            liveness: What tells that it is alive; the same question unless given. Asked every 20 seconds.
            startup_seconds: How long a start may take; the question is asked every 5 seconds.
            timeout_seconds: Seconds after which no answer is a failure.
            hung_grace_seconds: Seconds from the start of the stop until a container is killed that has hung; as long
                as any other stop unless given.
        """
        alive = liveness or readiness
        return cls(
            startup=Probe(
                check=alive,
                period_seconds=5,
                timeout_seconds=timeout_seconds,
                failure_threshold=-(-startup_seconds // 5),
            ),
            readiness=Probe(check=readiness, period_seconds=10, timeout_seconds=timeout_seconds),
            liveness=Probe(check=alive, period_seconds=20, timeout_seconds=timeout_seconds),
            hung_grace_seconds=hung_grace_seconds,
        )


@dataclass(frozen=True, kw_only=True)
class NoProbes:
    """Nobody asks after a container: a Service leads there as soon as its process runs, and nobody sees that it hangs.

    Args:
        because: Why, as a sentence.
    """

    because: str

    def __post_init__(self) -> None:
        """Refuse no reason."""
        one_line("NoProbes.because", self.because, "Say why, as a sentence.")
