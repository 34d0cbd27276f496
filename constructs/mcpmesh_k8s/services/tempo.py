"""This module is Tempo: the store of the mesh's traces."""

from __future__ import annotations

from constructs import Construct

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
    variables,
)

USER = User(uid=10001, gid=10001)
"""The user of the image (grafana/tempo, cmd/tempo/Dockerfile)."""

_DATA = "/var/tempo"
_HOURLY = 32 * 2**20

# The registry speaks OTLP over gRPC. Tempo's defaults listen on loopback only. It must not report home, since no
# policy lets it out.
_CONFIGURATION = """\
stream_over_http_enabled: true
server:
  http_listen_port: 3200
  grpc_listen_port: 9095
  log_level: info
distributor:
  receivers:
    otlp:
      protocols:
        grpc:
          endpoint: 0.0.0.0:4317
        http:
          endpoint: 0.0.0.0:4318
ingester:
  max_block_duration: 5m
compactor:
  compaction:
    block_retention: {retention_hours}h
storage:
  trace:
    backend: local
    wal:
      path: {data}/wal
    local:
      path: {data}/blocks
usage_report:
  reporting_enabled: false
"""


@dataclass(frozen=True, kw_only=True)
class TempoSettings(WorkloadOptions):
    """A Tempo server.

    Args:
        image: The image.
        compute: CPU and memory.
        storage: Where traces lie: a claim, or scratch space that is lost with the pod; mounted at ``/var/tempo``.
        retention_hours: Hours after which a trace is deleted. The storage must hold 32Mi for each: 16Mi is some five
            spans of 1 KiB a second, and blocks lie beside the one that they were merged into
            (``compacted_block_retention``). Where more is traced, give more.
        name: The short name.
    """

    image: Image
    compute: Compute
    storage: Claim | Scratch = Scratch(name="data", mount_path=_DATA, size="1Gi")
    retention_hours: int = 24
    name: str = "tempo"

    def __post_init__(self) -> None:
        """Refuse storage that Tempo would not use."""
        super().__post_init__()
        if self.storage.mount_path != _DATA:
            raise SettingError("TempoSettings.storage", self.storage.mount_path, f"Mount it at {_DATA}.")
        if self.retention_hours < 1:
            raise SettingError("TempoSettings.retention_hours", self.retention_hours, "Give 1 or more.")
        needed = self.retention_hours * _HOURLY
        if needed > in_bytes("TempoSettings.storage size", self.storage.size):
            raise SettingError(
                "TempoSettings.storage size",
                self.storage.size,
                f"For {self.retention_hours} hours of traces give {bytes_text(needed)} or more, or keep them for less.",
            )


class Tempo(Workload):
    """Tempo in one process, with local storage.

    Args:
        scope: A Phase.
        settings: Image, storage and retention.
    """

    def __init__(self, scope: Construct, settings: TempoSettings) -> None:
        self.settings = settings
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                availability=settings.availability,
                extras=settings.extras,
                component="tracing",
                metrics=(MetricsEndpoint(port="http"),),
                one_at_a_time="It is one store of traces, and blocks of one are unknown to another.",
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    args=("-config.file=/etc/tempo/tempo.yaml",),
                    ports=(
                        Port(number=3200),
                        Port(name="otlp-grpc", number=4317),
                        Port(name="otlp-http", number=4318),
                    ),
                    # Ready only after about fifteen seconds, by design.
                    probes=Probes.of(HttpGet(path="/ready"), liveness=HttpGet(path="/status/version")),
                    volumes=(
                        settings.storage,
                        Scratch(),
                        Files(
                            mount_path="/etc/tempo",
                            files=(
                                File(
                                    path="tempo.yaml",
                                    content=_CONFIGURATION.format(retention_hours=settings.retention_hours, data=_DATA),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
        )

    @property
    def span_metrics(self) -> bool:
        """Whether it counts spans, and writes that to a Prometheus."""
        return False

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Whether it takes what it is sent, and what spans say of calls."""
        return (*self._of_intake(), *(_OF_SPANS if self.span_metrics else ()))

    def _of_intake(self) -> tuple[Alert, ...]:
        job = f'job="{self.name}"'
        return (
            Alert(
                name="SpansRefused",
                expression=(
                    f"sum by (pod) (rate(tempo_receiver_refused_spans{{{job}}}[5m])) > 0 "
                    f"or sum by (pod) (rate(tempo_discarded_spans_total{{{job}}}[5m])) > 0"
                ),
                for_minutes=15,
                severity=Severity.TICKET,
                summary="Tempo refuses or drops spans",
                description="{{ $value | humanize }} a second are lost: traces have holes.",
            ),
        )

    @property
    def collector(self) -> Target:
        """Where traces are sent: OTLP over gRPC, introduced as the mesh registry reads it."""
        return Target(
            workload=self,
            port="otlp-grpc",
            introduction=variables(
                {
                    "MCP_MESH_DISTRIBUTED_TRACING_ENABLED": "true",
                    "TRACE_EXPORTER_TYPE": "otlp",
                    # Host and port without a scheme: that is how the registry wants it.
                    "TELEMETRY_ENDPOINT": self.endpoint("otlp-grpc").authority,
                    "TELEMETRY_PROTOCOL": "grpc",
                }
            ),
        )


_OF_SPANS = (
    Alert(
        name="CallsFailing",
        # A few calls at night are no ratio: at least five must have failed.
        expression=(
            'sum by (service, span_name) (rate(traces_spanmetrics_calls_total{status_code="STATUS_CODE_ERROR"}[10m])) '
            "/ sum by (service, span_name) (rate(traces_spanmetrics_calls_total[10m])) > 0.1 "
            "and sum by (service, span_name) "
            '(increase(traces_spanmetrics_calls_total{status_code="STATUS_CODE_ERROR"}[10m])) > 5'
        ),
        for_minutes=5,
        severity=Severity.PAGE,
        summary="{{ $labels.span_name }} of {{ $labels.service }} fails",
        description="{{ $value | humanizePercentage }} of its calls within ten minutes ended in an error.",
    ),
)
"""What counted spans show: which work of an agent fails."""
