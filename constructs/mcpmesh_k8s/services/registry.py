"""This module is the MCP Mesh registry: agents tell it what they can do, and learn from it who can do the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from constructs import Construct

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
    Probe,
    Probes,
    SettingError,
    Severity,
    Target,
    TlsClient,
    User,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    variables,
)

from .postgres import Postgres
from .redis import STREAM, Redis
from .tempo import Tempo

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
        most_rows: Rows of one of its tables above which people are told. A row is never deleted, and each start of
            an agent makes one: 100,000 are years of it, and a list that still takes no second.
        name: The short name.
    """

    image: Image
    compute: Compute
    log_level: str = "INFO"
    unhealthy_after_seconds: int = 20
    most_rows: int = 100_000
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
        if self.most_rows < 1:
            raise SettingError("RegistrySettings.most_rows", self.most_rows, "Give 1 or more.")


class Registry(Workload):
    """The registry, one replica: it migrates its database schema when it starts.

    It needs a database and Redis: ``registry.connects_to(postgres.database(...), redis, wait=True)``. Without Redis
    at its start, tracing is off until it is restarted.

    Args:
        scope: A Phase.
        settings: Image and compute.
    """

    def __init__(self, scope: Construct, settings: RegistrySettings) -> None:
        self.settings = settings
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                availability=settings.availability,
                extras=settings.extras,
                component="registry",
                # lib/pq verifies as libpq does, and its client of Redis by the CAs that Go knows.
                tls=(TlsClient.POSTGRES, TlsClient.REDIS),
                one_at_a_time="It migrates its tables when it starts, and two would migrate them at once.",
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    args=("--host", "0.0.0.0", "--port", "8000"),
                    ports=(Port(number=8000),),
                    variables=variables(
                        {
                            "MCP_MESH_LOG_LEVEL": settings.log_level,
                            "DEFAULT_TIMEOUT_THRESHOLD": str(settings.unhealthy_after_seconds),
                        }
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
        )

    def connects_to(self, *targets: Pod | Target | External, wait: bool = False) -> None:
        """Open a path to each target; to Redis as the user that reads traces."""
        super().connects_to(*(one.traces if isinstance(one, Redis) else one for one in targets), wait=wait)

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
                description="It has {{ $value | humanize }} rows. None is ever deleted, and lists get slower.",
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
    def http_checks(self) -> tuple[HttpCheck, ...]:
        """Whether it answers with what is in its database: its own ``/health`` says nothing of that."""
        return (HttpCheck(name=self.name, target=Target(workload=self), path="/agents"),)

    @property
    def target(self) -> Target:
        """The registry's API.

        ``MCP_MESH_REGISTRY_URL`` is what the mesh runtime reads; ``_HOST`` and ``_PORT`` are what older examples
        name.
        """
        endpoint = self.endpoint()
        return Target(
            workload=self,
            introduction=variables(
                {
                    "MCP_MESH_REGISTRY_URL": endpoint.url,
                    "MCP_MESH_REGISTRY_HOST": endpoint.host,
                    "MCP_MESH_REGISTRY_PORT": str(endpoint.port),
                }
            ),
        )
