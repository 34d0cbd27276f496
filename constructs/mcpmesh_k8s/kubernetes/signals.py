"""This module is what a component says to whoever watches it.

Where its metrics are, what should wake people, and how its log is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .choice import Choice
from .errors import SettingError
from .names import dns_label, dns_subdomain

_METRICS_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
_ALERT = re.compile(r"[A-Z][A-Za-z0-9]*")
_NOT_RE2 = re.compile(r"\(\?(=|!|<=|<!|P=|\()|\\[1-9]")
"""Looking ahead or back, conditions, and references to a group: Python has them, and RE2 does not."""


@dataclass(frozen=True, kw_only=True)
class MetricsEndpoint:
    """Where a pod serves metrics in the text format of Prometheus.

    Stated once, with the workload: what collects them, the policies that let it, and the docs follow from it.

    Args:
        port: The name of the port that serves them.
        path: The path below which they are.
        interval_seconds: Seconds between two questions; what the collector is set to unless given. Give more where
            an answer is dear.
        honor_labels: Whether the labels inside win over those of the pod: for exporters that speak of others.
        certificate: The Secret whose ``ca.crt`` signed the certificate of its workload's Service, where the port speaks
            TLS; plain HTTP unless given.
    """

    port: str = "metrics"
    path: str = "/metrics"
    interval_seconds: int = 0
    honor_labels: bool = False
    certificate: str = ""

    def __post_init__(self) -> None:
        """Refuse what no collector could ask for."""
        dns_label("MetricsEndpoint.port", self.port, 15)
        if not _METRICS_PATH.fullmatch(self.path):
            raise SettingError("MetricsEndpoint.path", self.path, "Give a path without a query, such as '/metrics'.")
        if self.certificate:
            dns_subdomain("MetricsEndpoint.certificate", self.certificate)
        if self.interval_seconds and not 5 <= self.interval_seconds <= 120:
            raise SettingError("MetricsEndpoint.interval_seconds", self.interval_seconds, "Give 5 to 120, or nothing.")


class Severity(Choice):
    """What an alert asks of people."""

    PAGE = "page", "Somebody looks at once, at night too: people are hurt by it, or will be within the hour."
    TICKET = "ticket", "Somebody looks on the next working day."
    NONE = "none", "Nobody looks: it is there for other programs, as the watchdog is."


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A rule by which Prometheus calls people.

    Every alert has a page in ``docs/runbooks/``, named as it is, that says what it means and what to do.

    Args:
        name: Its name, in words written together: ``RedisUnreachable``.
        expression: The PromQL that is true for whom it is about. Its labels reach the people.
        for_minutes: Minutes that it must be true without a break.
        severity: What it asks of people.
        summary: One line: what is wrong. ``{{ $labels.pod }}`` stands for a label.
        description: What it means, and a figure: ``{{ $value }}``.
    """

    name: str
    expression: str
    for_minutes: int
    severity: Severity
    summary: str
    description: str

    def __post_init__(self) -> None:
        """Refuse what would leave people without a word."""
        if not _ALERT.fullmatch(self.name):
            raise SettingError("Alert.name", self.name, "Give words written together, such as 'RedisUnreachable'.")
        if self.for_minutes < 0:
            raise SettingError(f"Alert {self.name} for_minutes", self.for_minutes, "Give 0 or more.")
        for field in ("expression", "summary", "description"):
            if not str(getattr(self, field)).strip():
                raise SettingError(f"Alert {self.name} {field}", "", "Say something.")


def line_pattern(where: str, pattern: str) -> None:
    """Refuse a regular expression that RE2 does not read, or that finds no level."""
    instead = r"Give a regular expression of RE2 with a group of this name, such as '^\[(?P<level>[A-Z]+)\]'."
    try:
        groups = re.compile(pattern).groupindex
    except re.error:
        raise SettingError(where, pattern, instead) from None
    if list(groups) != ["level"] or _NOT_RE2.search(pattern):
        raise SettingError(where, pattern, instead)
