"""This module is which MCP Mesh an application runs: said once, and asked by everything that belongs to the mesh."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from constructs import Construct

from mcpmesh_k8s import images
from mcpmesh_k8s.kubernetes import (
    ApplicationScope,
    Choice,
    HttpGet,
    Image,
    PodSettings,
    Probes,
    ScopeSettings,
    SettingError,
    StoreTls,
    TcpSocket,
    Transit,
    Variable,
    Workload,
    dataclass,
    settings_of,
)

from .language import Runtime
from .mesh_tls import HttpsClient, MeshTls

P = TypeVar("P", bound=PodSettings)

_OF_THE_MESH = re.compile(r"(?:^|/)mcpmesh/(?:registry|ui|[a-z]+-runtime)$")
"""The images of MCP Mesh, wherever they were copied to. One that was built on them has a version of its own."""


class MeshRelease(Choice):
    """A line of MCP Mesh. All of one mesh is of one line: registry, agents, and the API services that call them."""

    V0_5 = "0.5", "0.5.3. What an application stays on that is not moved yet."
    V3 = "3", "3.6 and later."

    @property
    def asks_user_checks(self) -> bool:
        """Whether the runtime has probes that answer as the code's own checks say, and serves them for APIs too."""
        return self is not MeshRelease.V0_5

    def has(self, image: Image) -> bool:
        """Whether an image can be of this line: one of MCP Mesh says so by its tag, and another may always be."""
        tag = re.match(r"v?(\d+)\.(\d+)", image.tag)
        if not (_OF_THE_MESH.search(image.repository) and tag):
            return True
        major, minor = int(tag[1]), int(tag[2])
        return (major, minor) == (0, 5) if self is MeshRelease.V0_5 else major == 3 and minor >= 6

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

    @property
    def dials_redis_by_tls(self) -> bool:
        """Whether the runtime speaks TLS to Redis: the core of 3.x is built without, and would lose traces silently."""
        return self is MeshRelease.V0_5

    @property
    def cuts_calls(self) -> bool:
        """Whether every runtime ends the process at SIGTERM whatever is under way: it takes the signal from the server.

        Of 3.x it depends on the language.
        """
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

    def api_probes(self, readiness_path: str, startup_seconds: int, *, own: bool = False) -> Probes:
        """The probes of an API service.

        Args:
            readiness_path: What answers 200 when it can serve; the release's own unless given.
            startup_seconds: How long a start may take.
            own: Whether nothing answers beside what the code does itself.
        """
        of_the_mesh = self.asks_user_checks and not own
        usual = Probes.of(
            HttpGet(path=readiness_path or self.api_readiness_path),
            # The code's own health may ask for other services, as that of 0.5 does: a restart mends none of those.
            liveness=HttpGet(path="/livez") if of_the_mesh else TcpSocket(),
            startup_seconds=startup_seconds,
        )
        return _beginning_with_the_users_check(usual) if of_the_mesh else usual

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
    return replace(probes, startup=replace(probes.startup, check=HttpGet(path="/startupz")))


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

    def problems(self, application: ApplicationScope) -> Iterable[str]:
        """Where one mesh is of two lines: what a registry keeps and agents say differs between them."""
        release = self.mesh.release
        return (
            f"{workload.full_name} runs {container.image.reference}, and the mesh of this application is MCP Mesh "
            f"{release.value}: give an image of that, or ApplicationSettings(mesh=Mesh(release=…)) for all of it."
            for workload in application.find_all(Workload)
            for container in (workload.container, *workload.sidecars)
            if not release.has(container.image)
        )


def mesh_of(scope: Construct) -> Mesh:
    """The mesh of the application that a scope stands in."""
    settings = settings_of(scope)
    return settings.mesh if isinstance(settings, ApplicationSettings) else Mesh()


def traces_lost(full_name: str, release: MeshRelease, given: Sequence[Variable], transit: Transit) -> Iterator[str]:
    """What is wrong where a runtime is to write spans to a Redis that it cannot reach.

    Args:
        full_name: The workload.
        release: Which line of MCP Mesh it is of.
        given: Its variables.
        transit: How the application keeps from others what its pods say.
    """
    texts = {one.name: one.value for one in given}
    traced = texts.get("MCP_MESH_DISTRIBUTED_TRACING_ENABLED") == "true"
    if not traced or release.dials_redis_by_tls:
        return
    url = texts.get("REDIS_URL", "")
    if not isinstance(url, str):
        # What it begins with, nobody sees here.
        if isinstance(transit, StoreTls) and not transit.stores:
            yield (
                f"{full_name} has its REDIS_URL from {url}, and all stores are said to speak TLS, which the runtime of "
                f"MCP Mesh {release.value} does not to Redis: all spans would be lost, and its log alone would say so. "
                "Name those that do in StoreTls.stores, if that Redis speaks none, or give tracing=False."
            )
    elif url.lower().startswith("rediss://"):
        yield (
            f"{full_name} has a REDIS_URL with TLS, which the runtime of MCP Mesh {release.value} is not built with: "
            "all spans would be lost, and its log alone would say so. Give it a Redis without TLS, such as Redis(...) "
            "inside, or tracing=False."
        )
