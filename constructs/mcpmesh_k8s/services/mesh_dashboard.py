"""This module is the dashboard of MCP Mesh: its agents, who calls whom, traces and jobs as they happen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from constructs import Construct

from mcpmesh_k8s.images import MESH_UI
from mcpmesh_k8s.kubernetes import (
    Alert,
    Compute,
    Container,
    External,
    HttpCheck,
    HttpGet,
    Image,
    Pod,
    Port,
    Probes,
    Scratch,
    SettingError,
    Target,
    TlsClient,
    User,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    variables,
)

from .mesh import mesh_of
from .mesh_tls import DASHBOARD
from .mesh_variables import MeshProgram, unread
from .postgres import Postgres
from .redis import Redis
from .registry import LOG_LEVELS, Registry
from .tempo import Tempo

USER = User(uid=1000, gid=1000)
"""The user ``mcp-mesh`` of the image (mcp-mesh, packaging/docker)."""

_RETENTION = "MCP_MESH_TRACE_RETENTION"
_BASE_PATH = re.compile(r"[A-Za-z0-9/_-]*")
"""What the program takes as a base path."""


@dataclass(frozen=True, kw_only=True)
class MeshDashboardSettings(WorkloadOptions):
    """A dashboard of the mesh. It is not Grafana, whose dashboards are ``Dashboards``.

    Args:
        image: The image.
        compute: CPU and memory. It keeps the last 200 traces in memory.
        log_level: DEBUG, INFO, WARNING, ERROR or CRITICAL.
        name: The short name.
    """

    image: Image = MESH_UI
    compute: Compute = Compute(cpu="50m", memory="64Mi", cpu_limit="200m", memory_limit="256Mi")
    log_level: str = "INFO"
    name: str = "mesh-dashboard"

    def __post_init__(self) -> None:
        """Refuse a level that there is not."""
        super().__post_init__()
        if self.log_level not in LOG_LEVELS:
            raise SettingError(
                "MeshDashboardSettings.log_level", self.log_level, f"Give one of {', '.join(LOG_LEVELS)}."
            )


class MeshDashboard(Workload):
    """The mesh's own dashboard, one replica: it shows, and changes nothing.

    It asks nobody who they are, so its routes are for administrators. A gateway tells it below which path it is served,
    by ``Route(path="/mesh/", to=dashboard, audience=Audience.ADMINISTRATOR, buffering=False, …)``: events are streams.

    It needs the registry, and its database as a reader (``Database(readers=…)``); Redis and Tempo for traces:
    ``dashboard.connects_to(postgres.database("mesh", role="dashboard"), wait=True)`` and
    ``dashboard.connects_to(registry, redis, tempo)``. What it waits for is the registry's tables: else it would try to
    make them, and end.

    Args:
        scope: A Phase, after that of the registry.
        settings: Image and compute.

    Raises:
        SettingError: The application's mesh has none.
    """

    def __init__(self, scope: Construct, settings: MeshDashboardSettings) -> None:
        self.settings = settings
        mesh, release = mesh_of(scope), mesh_of(scope).release
        if not release.has_dashboard:
            raise SettingError(
                "MeshDashboard", release, "It has none. Give Mesh(release=MeshRelease.V3), or leave it out."
            )
        super().__init__(
            scope,
            mesh.secured(
                scope,
                WorkloadSettings(
                    name=settings.name,
                    component="mesh-dashboard",
                    # As the registry: lib/pq verifies as libpq does, and its client of Redis by the CAs that Go knows.
                    tls=(TlsClient.POSTGRES, TlsClient.REDIS),
                    availability=settings.availability,
                    extras=settings.extras,
                    one_at_a_time="Two would share the traces: each entry of the stream is given to one of them.",
                    administrators_only="It asks nobody who they are, and shows every agent and every call.",
                    container=Container(
                        name=settings.name,
                        image=settings.image,
                        user=USER,
                        compute=settings.compute,
                        args=("--port", "3080"),
                        ports=(Port(number=3080),),
                        variables=variables({"MCP_MESH_LOG_LEVEL": settings.log_level}),
                        probes=_probes(""),
                        volumes=(Scratch(),),
                        log_pattern=r"^\d{4}-\d\d-\d\d [\d:]{8} (?P<level>[A-Z]+) ",
                    ),
                ),
                DASHBOARD,
            ),
        )

    def connects_to(self, *targets: Pod | Target | External, wait: bool = False) -> None:
        """Open a path to each target; to Redis as who reads the traces, to Tempo as who asks for one.

        Raises:
            SettingError: It would log in to a database as a role that writes.
        """
        super().connects_to(*map(self._seen, targets), wait=wait)

    def _seen(self, given: Pod | Target | External) -> Target | External | Pod:
        if isinstance(given, Redis):
            return given.dashboard
        if isinstance(given, Tempo):
            return given.queries
        if isinstance(given, Target) and isinstance(given.workload, Postgres):
            return self._reading(given, given.workload)
        return given

    def _reading(self, target: Target, postgres: Postgres) -> Target:
        """The database, there when the registry has made its tables."""
        named = {variable.name: variable.value for variable in target.introduction}
        database, role, readiness = named.get("POSTGRES_DB"), str(named.get("POSTGRES_USER")), target.readiness
        if any(one.name == database and role in one.roles for one in postgres.settings.databases):
            raise SettingError(
                f"{self.full_name} connects_to", role, f"It only reads: give Database(name={database!r}, readers=…)."
            )
        if readiness is None:
            return target
        return replace(
            target,
            readiness=replace(
                readiness,
                command=tuple(_TABLES if word.startswith("--command=") else word for word in readiness.command),
                what=f"the registry's tables in database {database}, for role {role}",
                advice="the registry makes them when it starts",
            ),
        )

    def serve_at(self, url: str) -> None:
        """Tell it where people reach it: below which path it is, and its probes too.

        Raises:
            SettingError: It is told twice, or its path is one that the program does not take.
        """
        path = urlsplit(url).path
        if self.public_url:
            raise SettingError(f"{self.full_name} path", path, f"It is at {self.public_url} already. Give one gateway.")
        if not _BASE_PATH.fullmatch(path):
            raise SettingError(f"{self.full_name} path", path, "Give a route of letters, digits and '/_-'.")
        super().serve_at(url)
        self.container = replace(self.container, probes=_probes(self._base_path))
        self._main = None

    @property
    def _base_path(self) -> str:
        return urlsplit(self.public_url).path.rstrip("/")

    def settle(self) -> None:
        """Tell it its path, and what is the registry's to say; without Redis it reads no traces."""
        # The image has another path unless told.
        self.add_variables(variables({"MCP_MESH_UI_BASE_PATH": self._base_path or "/"}))
        reached = [target.workload for target in self.connections if isinstance(target, Target)]
        if not any(isinstance(workload, Redis) for workload in reached) and not self._given("REDIS_URL"):
            self.add_variables(variables({"MCP_MESH_DISTRIBUTED_TRACING_ENABLED": "false"}))
        # It trims the stream as the registry does, so that this goes on while the registry is away.
        self.add_variables(
            [
                variable
                for registry in reached
                if isinstance(registry, Registry)
                for variable in registry.variables
                if variable.name == _RETENTION
            ]
        )

    def _given(self, name: str) -> bool:
        return any(variable.name == name for variable in self.variables)

    def problems(self) -> Sequence[str]:
        """What it cannot do without, and what it is told and does not read."""
        release = mesh_of(self).release
        return (*self._lacking(), *unread(self.full_name, release, MeshProgram.DASHBOARD, self.variables))

    def _lacking(self) -> Iterator[str]:
        for name, instead in (
            ("MCP_MESH_REGISTRY_URL", "connects_to(registry)"),
            ("DATABASE_URL", 'connects_to(postgres.database(…, role="dashboard"), wait=True)'),
        ):
            if not self._given(name):
                yield f"{self.full_name} has no {name}: {self.name}.{instead}, or give it by an External."

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """That its certificate may end, where the mesh speaks TLS: it shows it to the mesh alone."""
        tls = mesh_of(self).tls
        return tls.alerts_of(self) if tls else ()

    @property
    def http_checks(self) -> tuple[HttpCheck, ...]:
        """Whether it answers."""
        return (HttpCheck(name=self.name, target=Target(workload=self), path=_health(self._base_path)),)


_TABLES = "--command=SELECT FROM agents, jobs LIMIT 0"


def _health(base_path: str) -> str:
    return f"{base_path}/api/ui-health"


def _probes(base_path: str) -> Probes:
    """It answers once it has found its database, for as long as it serves; of others it says nothing."""
    return Probes.of(HttpGet(path=_health(base_path)))
