"""This module is what Grafana asks: a kind of store, and where it is. Each store says so itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from mcpmesh_k8s.kubernetes import Choice, External, File, SettingError, Target, dataclass


class SourceKind(Choice):
    """A kind of store. Its value is also the uid by which dashboards name it, and Grafana has one of each."""

    PROMETHEUS = "prometheus", "Metrics, in PromQL."
    TEMPO = "tempo", "Traces, in TraceQL."
    LOKI = "loki", "Logs, in LogQL."
    ALERTMANAGER = "alertmanager", "Alerts and silences, of Prometheus' own Alertmanager."


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Something that Grafana asks.

    Args:
        kind: What it is.
        at: Where it is. Grafana is connected to it.
        url: Its address. A port of a workload says it itself; an External needs one.
        interval_seconds: Seconds between two samples of it, where it keeps samples: no graph is finer.
        counted: Whether Tempo writes what it counts of its spans to the Prometheus that Grafana asks.
    """

    kind: SourceKind
    at: Target | External
    url: str = ""
    interval_seconds: int = 0
    counted: bool = False

    def __post_init__(self) -> None:
        """Refuse what Grafana could not ask, and fill in the address."""
        where = f"DataSource.url of {self.kind.value!r}"
        if isinstance(self.at, Target) and not self.url:
            object.__setattr__(self, "url", self.at.endpoint.url)
        if not self.url.startswith(("http://", "https://")):
            raise SettingError(where, self.url, "Give where it answers, such as 'https://metrics.example.com'.")
        # Grafana would take the rest for a variable of its own environment.
        if "$" in self.url or not self.url.isprintable() or " " in self.url:
            raise SettingError(where, self.url, "Give an address without '$' and blanks.")
        if self.interval_seconds < 0:
            raise SettingError(
                f"DataSource.interval_seconds of {self.kind.value!r}", self.interval_seconds, "Give 0 or more."
            )


@runtime_checkable
class HasDataSource(Protocol):
    """What Grafana asks, of any kind: a Grafana of the same application finds it by itself."""

    @property
    def data_source(self) -> DataSource:
        """What it is, and where."""
        ...


@runtime_checkable
class HasDashboards(Protocol):
    """What has dashboards for the Grafana of the same application, which finds it by itself."""

    def dashboards(self, sources: Sequence[SourceKind]) -> Sequence[File]:
        """Its dashboards, each a JSON file. Grafana opens with the first that there is.

        Args:
            sources: What can be asked. A panel that asks another would be empty.
        """
        ...


@runtime_checkable
class TakesSamples(Protocol):
    """What samples can be written to by Prometheus' remote write."""

    @property
    def remote_write_url(self) -> str:
        """The address that samples are posted to, on its main port."""
        ...
