"""This module is Tempo: the store of the mesh's traces."""

from __future__ import annotations

import math
import re

from constructs import Construct

from mcpmesh_k8s.images import MINIO_CLIENT
from mcpmesh_k8s.kubernetes import (
    Alert,
    Claim,
    Compute,
    Container,
    External,
    File,
    Files,
    HttpGet,
    Image,
    IssuedKey,
    MetricsEndpoint,
    Port,
    Probes,
    Scratch,
    Secret,
    SettingError,
    Severity,
    Target,
    TlsClient,
    User,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    bracketed,
    bytes_text,
    dataclass,
    in_bytes,
    variables,
    yaml_text,
)

from .bucket_name import bucket_name
from .data_source import DataSource, SourceKind, TakesSamples
from .minio import Bucket, BucketSettings, Minio

USER = User(uid=10001, gid=10001)
"""The user of the image (grafana/tempo, cmd/tempo/Dockerfile)."""

_DATA = "/var/tempo"
_HOURLY = 32 * 2**20
_LEAST_WAITING = 256 * 2**20
_MOST = 10**9
"""Far above what a Tempo bears, and below where its own numbers end: 32 bits of series, 64 of bytes."""
_ATTRIBUTE = re.compile(r"[A-Za-z_][\w.-]*")

Configuration = dict[str, object]
"""A part of Tempo's YAML."""


@dataclass(frozen=True, kw_only=True)
class S3Storage:
    """Traces as objects in a bucket: of the application's MinIO, or of an S3 outside.

    MinIO's bucket is made, with a user who can use it and nothing else. One outside must exist.

    Args:
        bucket: The bucket's name.
        outside: Where an S3 outside is: its first host and its port are dialled. The application's MinIO unless given.
        tls: Whether the S3 outside speaks TLS.
        region: Its region, where it asks for one, such as ``eu-central-1``.
        waiting: Where traces lie until they are objects, some minutes: a claim, or scratch space, whose last minutes
            are lost with the pod; 256Mi at least, mounted at ``/var/tempo``.
    """

    bucket: str = "traces"
    outside: External | None = None
    tls: bool = True
    region: str = ""
    waiting: Claim | Scratch = Scratch(name="data", mount_path=_DATA, size="1Gi")

    def __post_init__(self) -> None:
        """Refuse a bucket that cannot be, an S3 without a name, and no room to wait."""
        bucket_name("S3Storage.bucket", self.bucket)
        if self.outside and not self.outside.hosts:
            raise SettingError("S3Storage.outside", self.outside, "Give External.hosts, such as ('s3.example.com',).")
        if not self.outside and not (self.tls and not self.region):
            raise SettingError("S3Storage", (self.tls, self.region), "tls and region are of an S3 outside. Give that.")
        if self.waiting.mount_path != _DATA:
            raise SettingError("S3Storage.waiting", self.waiting.mount_path, f"Mount it at {_DATA}.")
        if in_bytes("S3Storage.waiting size", self.waiting.size) < _LEAST_WAITING:
            raise SettingError("S3Storage.waiting size", self.waiting.size, "Give at least 256Mi.")


@dataclass(frozen=True, kw_only=True)
class TraceLimits:
    """What Tempo takes at most. What is beyond is refused, and ``SpansRefused`` says so.

    Args:
        megabytes_per_second: Spans a second, in megabytes: a span has some 1 kB, so 1 is a thousand spans.
        burst_megabytes: How much may come at once beyond that.
        live_traces: How many traces may be under way. Each takes memory until it has been quiet for ten seconds.
    """

    megabytes_per_second: int = 1
    burst_megabytes: int = 4
    live_traces: int = 2_000

    def __post_init__(self) -> None:
        """Refuse limits that let nothing in."""
        for field in ("megabytes_per_second", "burst_megabytes", "live_traces"):
            if not 1 <= getattr(self, field) <= _MOST:
                raise SettingError(f"TraceLimits.{field}", getattr(self, field), f"Give 1 to {_MOST}.")


@dataclass(frozen=True, kw_only=True)
class SpanMetrics:
    """Metrics that are counted from spans: how often, how long and with which end each kind of work is done.

    They are written to the application's own Prometheus, with the trace of an example, and not at all without one.

    Args:
        buckets: The seconds by which durations are counted. A call of a model takes up to minutes.
        dimensions: Attributes of spans that become labels, beside service, name, kind and status. Of the mesh's, all
            that are not the same as one of these are different in each call, or in each pod.
        without: Which spans are not counted, by their names, as a regular expression. A service of FastAPI names one
            for each path that is asked for, so they never end; the gateway counts those.
        series: How many series there may be. A kind of work takes some twenty. New ones beyond are left out, and
            ``SpansNotCounted`` says so.
    """

    buckets: tuple[float, ...] = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
    dimensions: tuple[str, ...] = ()
    without: str = "^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) "
    series: int = 10_000

    def __post_init__(self) -> None:
        """Refuse what Tempo would not start with, or would count nothing with."""
        if (
            not all(map(math.isfinite, self.buckets))
            or not self.buckets
            or list(self.buckets) != sorted(set(self.buckets))
            or self.buckets[0] <= 0
        ):
            raise SettingError("SpanMetrics.buckets", self.buckets, "Give seconds above 0, each more than the last.")
        for name in self.dimensions:
            if not _ATTRIBUTE.fullmatch(name):
                raise SettingError("SpanMetrics.dimensions", name, "Give names of attributes, such as 'mcp.runtime'.")
        try:
            re.compile(self.without)
        except re.error as error:
            raise SettingError("SpanMetrics.without", self.without, f"Give a regular expression: {error}.") from None
        if not 100 <= self.series <= _MOST:
            raise SettingError("SpanMetrics.series", self.series, f"Give 100 to {_MOST}.")


@dataclass(frozen=True, kw_only=True)
class TempoSettings(WorkloadOptions):
    """A Tempo server.

    Args:
        image: The image.
        compute: CPU and memory.
        storage: Where traces lie: a claim, scratch space that is lost with the pod (both mounted at ``/var/tempo``),
            or a bucket.
        retention_hours: Hours after which a trace is deleted. A claim or scratch space must hold 32Mi for each: 16Mi
            is some five spans of 1 KiB a second, and blocks lie beside the one that they were merged into
            (``compacted_block_retention``). Where more is traced, give more.
        limits: What it takes at most.
        span_metrics: What it counts; nothing with ``None``.
        name: The short name.
    """

    image: Image
    compute: Compute
    storage: Claim | Scratch | S3Storage = Scratch(name="data", mount_path=_DATA, size="1Gi")
    retention_hours: int = 24
    limits: TraceLimits = TraceLimits()
    span_metrics: SpanMetrics | None = SpanMetrics()
    name: str = "tempo"

    def __post_init__(self) -> None:
        """Refuse storage that Tempo would not use."""
        super().__post_init__()
        if self.retention_hours < 1:
            raise SettingError("TempoSettings.retention_hours", self.retention_hours, "Give 1 or more.")
        if isinstance(self.storage, S3Storage):
            return
        if self.storage.mount_path != _DATA:
            raise SettingError("TempoSettings.storage", self.storage.mount_path, f"Mount it at {_DATA}.")
        needed = self.retention_hours * _HOURLY
        if needed > in_bytes("TempoSettings.storage size", self.storage.size):
            raise SettingError(
                "TempoSettings.storage size",
                self.storage.size,
                f"For {self.retention_hours} hours of traces give {bytes_text(needed)} or more, or keep them for less.",
            )

    @property
    def disk(self) -> Claim | Scratch:
        """What is mounted: where traces lie, or wait until they are objects."""
        return self.storage.waiting if isinstance(self.storage, S3Storage) else self.storage

    @property
    def secret_keys(self) -> tuple[str | IssuedKey, ...]:
        """The keys its Secret must hold: those of the bucket's user; none, and no Secret, without a bucket."""
        if not isinstance(self.storage, S3Storage):
            return ()
        if not self.storage.outside:
            return ("access-key", "secret-key")
        issuer = f"Whoever runs {self.storage.outside.name}, for the bucket {self.storage.bucket}"
        return tuple(IssuedKey(key=key, issued_by=issuer) for key in ("access-key", "secret-key"))


class Tempo(Workload):
    """Tempo in one process.

    What it counts, it writes to the Prometheus that the application runs, if any. It finds that by itself.

    Args:
        scope: A Phase.
        settings: Image, storage and retention.
        secret: A Secret that holds ``settings.secret_keys``, where there are any.
        minio: The application's MinIO, for a bucket of it.
    """

    def __init__(
        self, scope: Construct, settings: TempoSettings, secret: Secret | None = None, minio: Minio | None = None
    ) -> None:
        self.settings = settings
        storage = settings.storage
        where = f"Tempo {settings.name!r} {{}}"
        keys = {}
        if isinstance(storage, S3Storage):
            if not secret:
                raise SettingError(where.format("secret"), None, "Give a Secret that holds TempoSettings.secret_keys.")
            if not (minio or storage.outside):
                raise SettingError(where.format("minio"), None, "Give the application's MinIO, or S3Storage.outside.")
            keys = {"AWS_ACCESS_KEY_ID": secret.key("access-key"), "AWS_SECRET_ACCESS_KEY": secret.key("secret-key")}
        self.minio = None if not isinstance(storage, S3Storage) or storage.outside else minio
        """The MinIO of the application that its traces lie in, if they do."""
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                availability=settings.availability,
                extras=settings.extras,
                component="tracing",
                administrators_only="It asks nobody who they are, and holds every call.",
                tls=(TlsClient.S3,),
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
                    variables=variables(keys),
                    # Ready only after about fifteen seconds, by design.
                    probes=Probes.of(HttpGet(path="/ready"), liveness=HttpGet(path="/status/version")),
                    volumes=(settings.disk, Scratch()),
                ),
            ),
        )
        if isinstance(storage, S3Storage) and storage.outside:
            self.connects_to(storage.outside)
        if isinstance(storage, S3Storage) and self.minio:
            self.connects_to(Target(workload=self.minio, port="api", volumes=self.minio.anonymous.volumes))
            made = BucketSettings(
                name=f"{settings.name}-bucket",
                image=MINIO_CLIENT,
                bucket=storage.bucket,
                priority_class=settings.availability.priority_class,
            )
            # It ends until the bucket is there, and starts again.
            Bucket(scope, made, self.minio, secret)

    def settle(self) -> None:
        """Write what it counts to the application's Prometheus, if there is one."""
        receiver = self._receiver()
        if receiver:
            self.connects_to(Target(workload=receiver[0]))
        text = yaml_text(self._configuration(receiver[1] if receiver else ""))
        self.add_volume(Files(mount_path="/etc/tempo", files=(File(path="tempo.yaml", content=text),)))

    def _receiver(self) -> tuple[Workload, str] | None:
        """Who takes what it counts, and at which address: the first Prometheus of the application."""
        found = (pod for pod in self.application.find_all(Workload) if self.settings.span_metrics)
        return next(((pod, pod.remote_write_url) for pod in found if isinstance(pod, TakesSamples)), None)

    def _configuration(self, receiver: str) -> Configuration:
        """What Tempo is told. Its defaults listen on loopback only, and report home, where no policy lets it."""
        settings, limits, counted = self.settings, self.settings.limits, self.settings.span_metrics
        taken: Configuration = {
            "ingestion": {
                "rate_limit_bytes": limits.megabytes_per_second * 1_000_000,
                "burst_size_bytes": limits.burst_megabytes * 1_000_000,
                "max_traces_per_user": limits.live_traces,
            }
        }
        if counted and receiver:
            taken["metrics_generator"] = {
                "processors": ["service-graphs", "span-metrics"],
                "max_active_series": counted.series,
            }
        return {
            "stream_over_http_enabled": True,
            "server": {"http_listen_port": 3200, "grpc_listen_port": 9095, "log_level": "info"},
            "distributor": {
                "receivers": {
                    "otlp": {"protocols": {"grpc": {"endpoint": "0.0.0.0:4317"}, "http": {"endpoint": "0.0.0.0:4318"}}}
                }
            },
            "ingester": {"max_block_duration": "5m"},
            "compactor": {"compaction": {"block_retention": f"{settings.retention_hours}h"}},
            "storage": {"trace": {**self._blocks(), "wal": {"path": f"{_DATA}/wal"}}},
            "overrides": {"defaults": taken},
            **({"metrics_generator": _generator(counted, receiver)} if counted and receiver else {}),
            "usage_report": {"reporting_enabled": False},
        }

    def _blocks(self) -> Configuration:
        """Where finished traces lie."""
        storage = self.settings.storage
        if not isinstance(storage, S3Storage):
            return {"backend": "local", "local": {"path": f"{_DATA}/blocks"}}
        if storage.outside:
            endpoint, insecure = f"{bracketed(storage.outside.hosts[0])}:{storage.outside.port}", not storage.tls
        else:
            assert self.minio
            endpoint, insecure = self.minio.endpoint("api").authority, self.minio.certificate is None
        told: Configuration = {"bucket": storage.bucket, "endpoint": endpoint, "insecure": insecure}
        if self.minio and self.minio.certificate:
            told["tls_ca_path"] = self.minio.certificate.authority_file
        return {"backend": "s3", "s3": told | ({"region": storage.region} if storage.region else {})}

    @property
    def span_metrics(self) -> bool:
        """Whether it counts spans: it is told to, and the application has a Prometheus."""
        return self._receiver() is not None

    @property
    def data_source(self) -> DataSource:
        """Its traces, as Grafana asks for them."""
        return DataSource(kind=SourceKind.TEMPO, at=Target(workload=self), counted=self.span_metrics)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Whether it takes and keeps what it is sent, and what spans say of calls."""
        job = f'job="{self.name}"'
        return (*_of_intake(job), *((_of_counting(job), *_OF_SPANS) if self.span_metrics else ()))

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

    @property
    def queries(self) -> Target:
        """Who is asked for traces, introduced as the mesh registry reads it."""
        return Target(workload=self, introduction=variables({"TEMPO_URL": self.endpoint().url}))


def _generator(counted: SpanMetrics, receiver: str) -> Configuration:
    """How spans are counted, and who is told."""
    exclude: Configuration = {"match_type": "regex", "attributes": [{"key": "name", "value": counted.without}]}
    return {
        # As late as the registry may be behind before people are told: see TracesNotRead.
        "metrics_ingestion_time_range_slack": "5m",
        "registry": {"collection_interval": "30s"},
        "processor": {
            "service_graphs": {"histogram_buckets": list(counted.buckets)},
            "span_metrics": {
                "histogram_buckets": list(counted.buckets),
                **({"dimensions": list(counted.dimensions)} if counted.dimensions else {}),
                **({"filter_policies": [{"exclude": exclude}]} if counted.without else {}),
            },
        },
        "storage": {
            "path": f"{_DATA}/generator/wal",
            # Less than the grace period of a pod.
            "remote_write_flush_deadline": "10s",
            "remote_write": [{"url": receiver, "send_exemplars": True}],
        },
    }


def _of_intake(job: str) -> tuple[Alert, ...]:
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
        Alert(
            name="TracesNotStored",
            expression=" or ".join(
                f"sum by (pod) (increase({failures}{{{job}}}[15m])) > 0"
                for failures in (
                    "tempo_ingester_failed_flushes_total",
                    "tempodb_blocklist_poll_errors_total",
                    "tempodb_compaction_errors_total",
                    "tempodb_retention_errors_total",
                )
            ),
            for_minutes=15,
            severity=Severity.TICKET,
            summary="Tempo cannot write, read or delete traces",
            description="Its storage has failed {{ $value | humanize }} times within fifteen minutes.",
        ),
    )


def _of_counting(job: str) -> Alert:
    return Alert(
        name="SpansNotCounted",
        expression=(
            f"sum by (pod) (rate(tempo_metrics_generator_registry_series_limited_total{{{job}}}[5m])) > 0 "
            f"or sum by (pod) (rate(prometheus_remote_storage_samples_failed_total{{{job}}}[5m])) > 0"
        ),
        for_minutes=15,
        severity=Severity.TICKET,
        summary="Not all work is counted from its spans",
        description="{{ $value | humanize }} series or samples a second are left out: CallsFailing may be silent.",
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
