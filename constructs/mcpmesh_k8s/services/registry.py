"""This module is the MCP Mesh registry: agents tell it what they can do, and learn from it who can do the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Alert,
    Compute,
    ConfigMapKey,
    Container,
    External,
    HttpCheck,
    HttpGet,
    Image,
    Pod,
    Port,
    Probe,
    Probes,
    SecretKey,
    SettingError,
    Severity,
    Target,
    TlsClient,
    User,
    Variable,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    variables,
)

from .mesh import MeshRelease, mesh_of
from .mesh_tls import REGISTRY, HttpsClient
from .mesh_variables import MeshProgram, unread
from .postgres import Postgres
from .redis import STREAM, Redis
from .tempo import Tempo

_TRACE_RETENTION = 24
"""Hours, as the registry itself has it (src/core/registry/tracing)."""

_POOL, _POOLED = 25, "DB_MAX_OPEN_CONNECTIONS"
"""How many connections to its database a pod takes at most unless told (src/core/config). It works with one."""

_SQLITE = "/data/mcp_mesh_registry.db"
"""What its image has as ``DATABASE_URL`` (mcp-mesh, packaging/docker)."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""What registry and runtime take; in capitals, as the application's code wants them."""

USER = User(uid=1001, gid=1001)
"""The user ``mcp-mesh`` of the image (mcp-mesh, packaging/docker)."""


@dataclass(frozen=True, kw_only=True)
class RegistrySettings(WorkloadOptions):
    """A registry.

    Args:
        image: The image.
        compute: CPU and memory.
        log_level: DEBUG, INFO, WARNING, ERROR or CRITICAL.
        unhealthy_after_seconds: Seconds without a heartbeat after which an agent is unhealthy (an agent sends one
            every 5).
        most_rows: Rows of one of its tables above which people are told. Each start of an agent makes one, and of 0.5
            none is ever deleted: 100,000 are years of it, and a list that still takes no second.
        trace_retention_hours: Hours after which it drops a span from the stream of traces in Redis, which it has passed
            on long before. 0.5 drops none.
        calls_agents: Whether it may call the agents that connect to it: then what cancels a job reaches who works on
            it at once, and ``meshctl call`` works. Unless given, who works on a cancelled job goes on to its end, and
            what he reports is refused. It is off because whoever reaches the registry, as every agent does, then
            reaches the tools of all others through it, ``/proxy/…/mcp``, without a password and whatever policies say.
            For some agents alone, connect it: ``registry.connects_to(planner)``. 0.5 calls nobody.
        variables: What it reads beside what is set here, such as ``MCP_MESH_JOB_STALE_TIMEOUT``.
        name: The short name.
    """

    image: Image
    compute: Compute
    log_level: str = "INFO"
    unhealthy_after_seconds: int = 20
    most_rows: int = 100_000
    trace_retention_hours: int = _TRACE_RETENTION
    calls_agents: bool = False
    variables: tuple[Variable, ...] = ()
    name: str = "registry"

    def __post_init__(self) -> None:
        """Refuse what the registry would refuse, and a time within which no heartbeat can come."""
        super().__post_init__()
        if self.log_level not in LOG_LEVELS:
            raise SettingError("RegistrySettings.log_level", self.log_level, f"Give one of {', '.join(LOG_LEVELS)}.")
        if self.unhealthy_after_seconds <= 5:
            raise SettingError(
                "RegistrySettings.unhealthy_after_seconds", self.unhealthy_after_seconds, "Give above 5."
            )
        for field in ("most_rows", "trace_retention_hours"):
            if getattr(self, field) < 1:
                raise SettingError(f"RegistrySettings.{field}", getattr(self, field), "Give 1 or more.")

    def require_known_to(self, release: MeshRelease) -> None:
        """Refuse what a line of MCP Mesh has not, or could not keep from others.

        Raises:
            SettingError: Something is set that means nothing there.
        """
        if self.calls_agents and not release.calls_agents:
            raise SettingError(
                "RegistrySettings.calls_agents", True, f"A registry of {release.value} calls nobody. Leave it out."
            )
        if self.trace_retention_hours != _TRACE_RETENTION and not release.bounds_traces:
            raise SettingError(
                "RegistrySettings.trace_retention_hours",
                self.trace_retention_hours,
                f"A registry of {release.value} drops no span. Leave it out, and give RedisSettings.trace_length.",
            )
        for port in self.extras.ports:
            if port.container == release.admin_port:
                raise SettingError(
                    "RegistrySettings.extras ports",
                    port.container,
                    "Whoever reaches it may stop all jobs, without a password. Leave it out: make k8s-drain reaches it "
                    "without a Service.",
                )


class Registry(Workload):
    """The registry, which migrates its database's schema when it starts.

    It needs a database and Redis: ``registry.connects_to(postgres.database(...), redis, wait=True)``. Without Redis at
    its start, 0.5 passes on no trace until it is restarted. Without PostgreSQL it keeps a file, for which it must be
    given room: a ``Scratch`` at ``/data``.

    Of 3 there may be several, on one PostgreSQL: ``availability=Availability(scale=Replicas(count=2), …)``.

    Args:
        scope: A Phase.
        settings: Image and compute.
    """

    def __init__(self, scope: Construct, settings: RegistrySettings) -> None:
        self.settings = settings
        self.release = mesh_of(scope).release
        """Which MCP Mesh it is."""
        settings.require_known_to(self.release)
        super().__init__(
            scope,
            mesh_of(scope).secured(
                scope,
                WorkloadSettings(
                    name=settings.name,
                    availability=settings.availability,
                    extras=settings.extras,
                    component="registry",
                    administrators_only="It asks nobody who they are, and takes whoever registers for an agent.",
                    # lib/pq verifies as libpq does, and its client of Redis by the CAs that Go knows.
                    tls=(TlsClient.POSTGRES, TlsClient.REDIS),
                    one_at_a_time=self.release.alone,
                    container=Container(
                        name=settings.name,
                        image=settings.image,
                        user=USER,
                        compute=settings.compute,
                        args=("--host", "0.0.0.0", "--port", "8000"),
                        # The port that rules it is none of these: no Service has it, and no policy can open it.
                        ports=(Port(number=8000),),
                        variables=(
                            *variables(
                                {
                                    "MCP_MESH_LOG_LEVEL": settings.log_level,
                                    "DEFAULT_TIMEOUT_THRESHOLD": str(settings.unhealthy_after_seconds),
                                }
                            ),
                            *_of_release(settings, self.release),
                            *settings.variables,
                        ),
                        # An agent waits for a registry that hangs, and says nothing meanwhile: it is to be gone before
                        # the agents are taken for dead too, which takes 43 seconds.
                        probes=replace(
                            Probes.of(HttpGet(path="/health"), hung_grace_seconds=10),
                            liveness=Probe(check=HttpGet(path="/health"), period_seconds=5),
                        ),
                        pre_stop_seconds=5,
                        log_pattern=r"^\[(?P<level>[A-Z]+)\] ",
                    ),
                ),
                REGISTRY,
                HttpsClient.WGET,
            ),
        )

    def connects_to(self, *targets: Pod | Target | External, wait: bool = False) -> None:
        """Open a path to each target; to Redis as the user that reads traces, to Tempo as who sends them.

        Where it answers for traces too, who takes them is also who is asked for them.
        """
        targets = tuple(one.collector if isinstance(one, Tempo) else one for one in targets)
        super().connects_to(*(one.traces if isinstance(one, Redis) else one for one in targets), wait=wait)
        for target in targets if self.release.answers_for_traces else ():
            if isinstance(target, Target) and isinstance(target.workload, Tempo):
                super().connects_to(target.workload.queries)

    def call(self, agent: Pod) -> None:
        """Open a path to an agent that connects to it, where it calls them; the agent says so itself."""
        reached = (target.workload for target in self.connections if isinstance(target, Target))
        if self.settings.calls_agents and agent not in reached:
            self.connects_to(Target(workload=agent))

    def settle(self) -> None:
        """Let its pods, with the one more of a rollout, take as many connections together as their role may."""
        each = min(self._pools(), default=_POOL)
        if 0 < each < _POOL and not any(one.name == _POOLED for one in self.variables):
            self.add_variables(variables({_POOLED: str(each)}))

    def _pools(self) -> Iterator[int]:
        """How many connections one of its pods may take, of each server of the application that is its database."""
        for target in self.connections:
            if isinstance(target, Target) and isinstance(target.workload, Postgres):
                role = next((one.value for one in target.introduction if one.name == "POSTGRES_USER"), "")
                most = target.workload.settings.connection_limits.get(str(role), _POOL)
                yield most // (self.steady_pods + int(self.may_surge))

    def problems(self) -> Sequence[str]:
        """What it is told and does not read, several that do not share a database, or have too little of it."""
        return (
            *unread(self.full_name, self.release, MeshProgram.REGISTRY, self.variables),
            *self._kept(),
            *self._apart(),
            *self._crowded(),
        )

    def _crowded(self) -> Sequence[str]:
        pods = self.steady_pods + int(self.may_surge)
        return [
            f"{self.full_name} has up to {pods} pods, and its role in PostgreSQL fewer connections: give "
            f"RoleConnections(most={pods}) or more, or fewer pods."
            for each in self._pools()
            if not each
        ]

    @property
    def _database(self) -> str | SecretKey | ConfigMapKey:
        return next((one.value for one in self.variables if one.name == "DATABASE_URL"), _SQLITE)

    @property
    def _has_postgres(self) -> bool:
        # What an address is that comes from a Secret, nobody sees here.
        return not isinstance(self._database, str) or self._database.startswith(("postgres://", "postgresql://"))

    def _kept(self) -> Sequence[str]:
        """Anything but PostgreSQL is a file of SQLite to it: without room for that it ends when it starts."""
        if self._has_postgres:
            return ()
        file = PurePosixPath(str(self._database))
        rooms = (PurePosixPath(one.mount_path) for one in self.container.volumes if not one.only_read)
        if any(file.is_relative_to(room) for room in rooms):
            return ()
        return (
            f"{self.full_name} has no PostgreSQL, and no room for the file {str(file)!r} that it would keep instead: "
            f"connect it, {self.name}.connects_to(postgres.database(…)), or an External that brings DATABASE_URL. For "
            "a trial, where the list of agents may be lost with the pod, give "
            f'extras=PodExtras(volumes=(Scratch(name="data", mount_path={str(file.parent)!r}),)).',
        )

    def _apart(self) -> Sequence[str]:
        if self.availability.scale.most == 1 or self._has_postgres:
            return ()
        return (
            f"{self.full_name} has no PostgreSQL, so each of its {self.availability.scale.most} pods would know agents "
            f"of its own: connect it, {self.name}.connects_to(postgres.database(…)), or give Replicas(count=1).",
        )

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """How its tables grow, where its database's exporter counts them, and whether it passes traces on."""
        return (*self._of_rows(), *self._of_traces())

    def _of_traces(self) -> Iterator[Alert]:
        """What agents write to Redis, and Tempo gets nothing of, where both are watched."""
        reached = [target.workload for target in self.connections if isinstance(target, Target)]
        redis = next((pod for pod in reached if isinstance(pod, Redis) and pod.metrics), None)
        tempo = next((pod for pod in reached if isinstance(pod, Tempo) and pod.metrics), None)
        if redis and tempo:
            written = f'redis_stream_entries_added_total{{job="{redis.name}", stream="{STREAM}"}}'
            arrived = f'tempo_distributor_spans_received_total{{job="{tempo.name}"}}'
            yield Alert(
                name="SpansNotArriving",
                # The registry starts without tracing where it does not find Redis, and says nothing more.
                expression=f"sum(increase({written}[15m])) > 20 unless on () sum(increase({arrived}[15m])) > 0",
                for_minutes=15,
                severity=Severity.TICKET,
                summary="No span arrives at Tempo",
                description="Agents wrote {{ $value | humanize }} within fifteen minutes. The registry passes none on.",
            )

    def _of_rows(self) -> tuple[Alert, ...]:
        gone = "None is ever deleted"
        if self.release.forgets_agents:
            gone = "Those of what is gone are deleted after an hour, so that fails, or there is so much"
        return tuple(
            Alert(
                name="RegistryRowsGrow",
                expression=(
                    f'pg_stat_user_tables_n_live_tup{{job="{server.name}", datname="{database}"}} '
                    f"> {self.settings.most_rows}"
                ),
                for_minutes=60,
                severity=Severity.TICKET,
                summary="The registry's table {{ $labels.relname }} grows",
                description=f"It has {{{{ $value | humanize }}}} rows. {gone}, and lists get slower.",
            )
            for server, database in self._counted()
        )

    def _counted(self) -> Iterator[tuple[Postgres, str]]:
        for target in self.connections:
            if isinstance(target, Target) and isinstance(target.workload, Postgres):
                counted = target.workload.settings.counted_database
                if any((variable.name, variable.value) == ("POSTGRES_DB", counted) for variable in target.introduction):
                    yield target.workload, counted

    @property
    def unshown(self) -> Mapping[str, str]:
        """What it says of its traces, where it has any: the URL of Redis is in it."""
        return dict.fromkeys(("/trace/status", "/trace/info"), "It shows the password of Redis.")

    @property
    def http_checks(self) -> tuple[HttpCheck, ...]:
        """Whether it answers with what is in its database: its own ``/health`` says nothing of that."""
        return (HttpCheck(name=self.name, target=Target(workload=self), path="/agents"),)

    @property
    def target(self) -> Target:
        """The registry's API.

        ``MCP_MESH_REGISTRY_URL`` is what the mesh runtime reads; ``_HOST`` and ``_PORT`` are what examples of 0.5
        name.
        """
        endpoint = self.endpoint()
        older = {"MCP_MESH_REGISTRY_HOST": endpoint.host, "MCP_MESH_REGISTRY_PORT": str(endpoint.port)}
        told = {"MCP_MESH_REGISTRY_URL": endpoint.url} | (older if self.release.names_host_and_port else {})
        return Target(workload=self, introduction=variables(told))


def _of_release(settings: RegistrySettings, release: MeshRelease) -> tuple[Variable, ...]:
    """What only a registry of some releases reads."""
    told: dict[str, str] = {}
    if release.admin_port:
        told["MCP_MESH_ADMIN_PORT"] = str(release.admin_port)
    if release.bounds_traces:
        told["MCP_MESH_TRACE_RETENTION"] = f"{settings.trace_retention_hours}h"
    return variables(told)
