"""This module is Loki: the store of an application's logs."""

from __future__ import annotations

from constructs import Construct

from mcpmesh_k8s.images import LOKI
from mcpmesh_k8s.kubernetes import (
    Alert,
    Claim,
    Compute,
    Container,
    File,
    Files,
    HttpGet,
    Image,
    MetricsEndpoint,
    Port,
    Probes,
    Scratch,
    SettingError,
    Severity,
    Target,
    User,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    bytes_text,
    dataclass,
    in_bytes,
    settings_of,
    variables,
)
from mcpmesh_k8s.services import DataSource, SourceKind

USER = User(uid=10001, gid=10001)
"""The user of the image (grafana/loki, cmd/loki/Dockerfile)."""

_DATA = "/loki"
_ETC = "/etc/loki"
_DAY = 24 * 60 * 60
_MEBIBYTE = 2**20
_SMALLER = 4
"""By how much lines shrink. With Loki's own settings, gzip by 256 KiB, the gateway's shrink to a seventh and those of
agents to a fifth; the rest is for the index, and for chunks that are closed before they are full."""
_BESIDE = 128 * _MEBIBYTE
"""The write-ahead log and its checkpoint."""

# Loki's defaults look for other instances, report home, listen for them on all addresses, and keep 100 MB of cache.
_CONFIGURATION = """\
auth_enabled: false
server:
  http_listen_port: 3100
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: 9095
  log_format: json
  log_level: warn
common:
  instance_addr: 127.0.0.1
  path_prefix: {data}
  replication_factor: 1
  ring:
    kvstore:
      store: inmemory
  storage:
    filesystem:
      chunks_directory: {data}/chunks
      rules_directory: {data}/rules
schema_config:
  configs:
    - from: "2024-01-01"
      store: tsdb
      object_store: filesystem
      schema: v13
      index:
        prefix: index_
        period: 24h
ingester:
  wal:
    replay_memory_ceiling: {half_memory}MB
chunk_store_config:
  chunk_cache_config:
    embedded_cache:
      enabled: true
      max_size_mb: {cache}
limits_config:
  retention_period: {hours}h
  max_query_lookback: {hours}h
  reject_old_samples_max_age: {hours}h
  ingestion_rate_mb: {rate_mb}
  ingestion_burst_size_mb: {burst_mb}
  max_line_size_truncate: true
  volume_enabled: true
compactor:
  working_directory: {data}/compactor
  retention_enabled: true
  delete_request_store: filesystem
analytics:
  reporting_enabled: false
"""


@dataclass(frozen=True, kw_only=True)
class LokiSettings(WorkloadOptions):
    """A Loki server.

    Args:
        image: The image.
        compute: CPU and memory.
        storage: Where logs lie: a claim, or scratch space that is lost with the pod; mounted at ``/loki``. It must hold
            what comes within the retention, and the day after which it is gone for sure: a line takes a quarter of
            itself.
        retention_days: Days after which a line is deleted.
        rate_kib: KiB of lines that are taken each second, on average. 16 are some 45 requests a second of the gateway.
            What comes beside that, and beside 16 MiB at once, waits at its source.
        name: The short name.
    """

    image: Image = LOKI
    compute: Compute = Compute(cpu="50m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi")
    storage: Claim | Scratch = Scratch(name="data", mount_path=_DATA, size="2Gi")
    retention_days: int = 2
    rate_kib: int = 16
    name: str = "loki"

    def __post_init__(self) -> None:
        """Refuse storage that Loki would not use, or that would be full before anything is deleted."""
        super().__post_init__()
        if self.storage.mount_path != _DATA:
            raise SettingError("LokiSettings.storage", self.storage.mount_path, f"Mount it at {_DATA}.")
        if self.retention_days < 1:
            raise SettingError("LokiSettings.retention_days", self.retention_days, "Give 1 or more.")
        if self.rate_kib < 1:
            raise SettingError("LokiSettings.rate_kib", self.rate_kib, "Give 1 or more.")
        needed = (self.retention_days + 1) * _DAY * self.rate_kib * 1024 // _SMALLER + _BESIDE
        if needed > in_bytes("LokiSettings.storage size", self.storage.size):
            raise SettingError(
                "LokiSettings.storage size",
                self.storage.size,
                f"For {self.retention_days} days of logs, {self.rate_kib} KiB a second, give "
                f"{bytes_text(-(-needed // _MEBIBYTE) * _MEBIBYTE)} or more, or keep them for less.",
            )


class Loki(Workload):
    """Loki in one process, with local storage. It asks nobody for a password: policies say who reaches it.

    Args:
        scope: A Phase.
        settings: Image, storage, retention and rate.
    """

    def __init__(self, scope: Construct, settings: LokiSettings) -> None:
        self.settings = settings
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                availability=settings.availability,
                extras=settings.extras,
                component="logs",
                administrators_only="It asks nobody who they are, and holds what every program said.",
                metrics=(MetricsEndpoint(port="http"),),
                one_at_a_time="It is one store of logs, with one writer.",
                # It writes down what it holds in memory.
                termination_grace_seconds=60,
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings_of(scope).platform.raised(settings.compute),
                    args=(f"-config.file={_ETC}/loki.yaml",),
                    ports=(Port(number=3100),),
                    variables=variables({"GOMEMLIMIT": f"{_memory(settings) * 9 // 10}MiB"}),
                    # Ready only after about fifteen seconds, by design, and when the write-ahead log is read.
                    probes=Probes.of(
                        HttpGet(path="/ready"),
                        liveness=HttpGet(path="/loki/api/v1/status/buildinfo"),
                        startup_seconds=300,
                    ),
                    volumes=(
                        settings.storage,
                        Files(mount_path=_ETC, files=(File(path="loki.yaml", content=configuration(settings)),)),
                    ),
                ),
            ),
        )

    @property
    def push_url(self) -> str:
        """Where lines are sent."""
        return f"{self.endpoint().url}/loki/api/v1/push"

    @property
    def data_source(self) -> DataSource:
        """What is stored, as Grafana asks for it."""
        return DataSource(kind=SourceKind.LOKI, at=Target(workload=self))

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Whether it stores what comes, and takes it."""
        job = f'job="{self.name}"'
        return (
            Alert(
                name="LokiNotStoring",
                expression=(
                    f"rate(loki_ingester_chunks_flush_failures_total{{{job}}}[5m]) > 0 "
                    f"or rate(loki_ingester_wal_disk_full_failures_total{{{job}}}[5m]) > 0 "
                    f'or increase(loki_compactor_apply_retention_operation_total{{{job}, status="failure"}}[1h]) > 0'
                ),
                for_minutes=15,
                severity=Severity.TICKET,
                summary="Loki cannot store logs, or delete old ones",
                description="What it cannot write is lost with the pod, and what it cannot delete fills its storage.",
            ),
            Alert(
                name="LogsRefused",
                # What is read a second time, after a restart, is too old, and is there already.
                expression=(
                    f"sum by (service, reason) (rate(loki_discarded_samples_total{{{job}, "
                    'reason!~"too_far_behind|out_of_order|greater_than_max_sample_age"}[5m])) > 0'
                ),
                for_minutes=15,
                severity=Severity.TICKET,
                summary="Loki refuses lines: {{ $labels.reason }}",
                description="It has refused {{ $value | humanize }} lines a second for fifteen minutes.",
            ),
        )


def configuration(settings: LokiSettings) -> str:
    """``loki.yaml``: bounded by its memory and its storage."""
    memory = _memory(settings)
    return _CONFIGURATION.format(
        data=_DATA,
        hours=settings.retention_days * 24,
        half_memory=memory // 2,
        cache=max(1, memory // 16),
        rate_mb=settings.rate_kib / 1024,
        burst_mb=_BURST_MB,
    )


_BURST_MB = 16
"""A pod that starts to collect sends what lies there already."""


def _memory(settings: LokiSettings) -> int:
    return in_bytes("memory", settings.compute.memory_limit) // _MEBIBYTE
