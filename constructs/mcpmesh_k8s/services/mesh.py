"""This module is which MCP Mesh an application runs: said once, and asked by everything that belongs to the mesh."""

from __future__ import annotations

from typing import TypeVar

from constructs import Construct

from mcpmesh_k8s import images
from mcpmesh_k8s.kubernetes import (
    Choice,
    HttpGet,
    Image,
    PodSettings,
    Probe,
    Probes,
    ScopeSettings,
    SettingError,
    TcpSocket,
    Variable,
    dataclass,
    settings_of,
)

from .language import Runtime
from .mesh_tls import HttpsClient, MeshTls

P = TypeVar("P", bound=PodSettings)


class MeshRelease(Choice):
    """A line of MCP Mesh. All of one mesh is of one line: registry, agents, and the API services that call them."""

    V0_5 = "0.5", "0.5.3. What an application stays on that is not moved yet."
    V3 = "3", "3.6 and later."

    @property
    def asks_user_checks(self) -> bool:
        """Whether the runtime has probes that answer as the code's own checks say, and serves them for APIs too."""
        return self is not MeshRelease.V0_5

    @property
    def has_every_language(self) -> bool:
        """Whether there are runtimes for TypeScript and Java beside that for Python."""
        return self is not MeshRelease.V0_5

    @property
    def reads_call_settings(self) -> bool:
        """Whether the runtime reads how long it waits for others and how many tools run at once, and has jobs."""
        return self is not MeshRelease.V0_5

    @property
    def agents_have_metrics(self) -> bool:
        """Whether an agent answers on ``/metrics``: of 3.8, what serves ``/mcp`` stands before it, and answers 404."""
        return self is MeshRelease.V0_5

    def runtime_image(self, runtime: Runtime) -> Image:
        """The plain runtime of a language."""
        return images.PYTHON_RUNTIME_0_5 if self is MeshRelease.V0_5 else runtime.image

    @property
    def speaks_tls(self) -> bool:
        """Whether its programs can show each other certificates."""
        return self is not MeshRelease.V0_5

    @property
    def has_dashboard(self) -> bool:
        """Whether it has a dashboard of its own."""
        return self is not MeshRelease.V0_5

    def agent_probes(self, startup_seconds: int) -> Probes:
        """The probes of an agent. None of them asks for other services: a restart of it mends none of those."""
        usual = Probes.of(HttpGet(path="/ready"), liveness=HttpGet(path="/livez"), startup_seconds=startup_seconds)
        return _beginning_with_the_users_check(usual) if self.asks_user_checks else usual

    def api_probes(self, readiness_path: str, startup_seconds: int) -> Probes:
        """The probes of an API service.

        Args:
            readiness_path: What answers 200 when it can serve; the release's own unless given.
            startup_seconds: How long a start may take.
        """
        usual = Probes.of(
            HttpGet(path=readiness_path or self.api_readiness_path),
            # Of 0.5, whose health is the code's own, and may ask for other services: a restart mends none of those.
            liveness=HttpGet(path="/livez") if self.asks_user_checks else TcpSocket(),
            startup_seconds=startup_seconds,
            hung_grace_seconds=30,
        )
        return _beginning_with_the_users_check(usual) if self.asks_user_checks else usual

    @property
    def api_readiness_path(self) -> str:
        """What an API service answers on with 200 when it can serve, unless it says otherwise."""
        return "/ready" if self.asks_user_checks else "/health"

    # The registry.

    @property
    def admin_port(self) -> int:
        """The port of a registry's own for what rules it, such as draining: 0 where nothing rules it.

        It asks for no password. Without a port of its own, it would be served beside what every agent may ask.
        """
        return 0 if self is MeshRelease.V0_5 else 8001

    @property
    def alone(self) -> str:
        """Why only one registry may run; empty where several may, on one PostgreSQL."""
        if self is MeshRelease.V0_5:
            return "It migrates its tables when it starts, and two would migrate them at once."
        return ""

    @property
    def calls_agents(self) -> bool:
        """Whether a registry can call agents: it cancels their jobs, and passes on what ``meshctl`` asks them."""
        return self is not MeshRelease.V0_5

    @property
    def forgets_agents(self) -> bool:
        """Whether a registry deletes the rows of agents that are gone."""
        return self is not MeshRelease.V0_5

    @property
    def answers_for_traces(self) -> bool:
        """Whether a registry fetches a trace from Tempo for who asks for it."""
        return self is not MeshRelease.V0_5

    # Traces in Redis.

    @property
    def bounds_traces(self) -> bool:
        """Whether who writes a span cuts the stream to its length, and a registry drops what is old.

        Else it grows for ever, and somebody else must trim it.
        """
        return self is not MeshRelease.V0_5

    # What a client of a registry is told.

    @property
    def names_host_and_port(self) -> bool:
        """Whether clients are told the registry's host and port too, which no runtime reads, and older code may."""
        return self is MeshRelease.V0_5


def _beginning_with_the_users_check(probes: Probes) -> Probes:
    """The same, but a start is over when the code's ``startup_check`` says so: one without has none, and passes."""
    return Probes(
        startup=Probe(
            check=HttpGet(path="/startupz"),
            period_seconds=probes.startup.period_seconds,
            timeout_seconds=probes.startup.timeout_seconds,
            failure_threshold=probes.startup.failure_threshold,
        ),
        readiness=probes.readiness,
        liveness=probes.liveness,
        hung_grace_seconds=probes.hung_grace_seconds,
    )


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """The mesh of an application.

    Args:
        release: Which line of MCP Mesh it is.
        tls: How its programs show each other who they are, and keep what they say from others; not at all unless given.
            0.5 cannot. A service mesh, ``ApplicationSettings.transit``, is the other way, for everything.
    """

    release: MeshRelease = MeshRelease.V3
    tls: MeshTls | None = None

    def __post_init__(self) -> None:
        """Refuse what the release has not."""
        if self.tls and not self.release.speaks_tls:
            raise SettingError("Mesh.tls", self.tls, f"{self.release.value} speaks none. Give MeshRelease.V3, or None.")

    def secured(
        self, scope: Construct, settings: P, told: tuple[Variable, ...], serves: HttpsClient | None = None
    ) -> P:
        """A pod of the mesh: with a certificate of its own, where the mesh speaks TLS.

        Args:
            scope: Where it stands.
            settings: The pod.
            told: What tells its program so.
            serves: With what its container asks itself, where it demands a certificate of whoever calls it.
        """
        return self.tls.given_to(scope, settings, told, serves) if self.tls else settings


@dataclass(frozen=True, kw_only=True)
class ApplicationSettings(ScopeSettings):
    """What the objects of an application have in common, and which mesh it is.

    Args:
        mesh: Which MCP Mesh runs.
    """

    mesh: Mesh = Mesh()


def mesh_of(scope: Construct) -> Mesh:
    """The mesh of the application that a scope stands in."""
    settings = settings_of(scope)
    return settings.mesh if isinstance(settings, ApplicationSettings) else Mesh()
