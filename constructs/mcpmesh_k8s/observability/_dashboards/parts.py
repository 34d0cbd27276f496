"""This module is what a dashboard is made of: rows of panels, each with what it asks and how it shows the answer.

It knows no Grafana: ``rendering`` turns it into what Grafana reads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from mcpmesh_k8s.observability.promql import confined

METRICS = "prometheus"
TRACES = "tempo"
LOGS = "loki"
"""The data sources, by the uid under which Grafana knows them."""

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A question to Prometheus.

    Args:
        ask: The PromQL.
        legend: What a series is called; ``{{label}}`` stands for a label.
        limit: Whether it is a limit, drawn as a dashed line.
        exemplars: Whether single calls are marked, each a way to its trace.
    """

    ask: str
    legend: str = ""
    limit: bool = False
    exemplars: bool = False
    source = METRICS

    def confined(self, namespace: str) -> Metric:
        """The same, asked of a Prometheus of many namespaces."""
        return replace(self, ask=confined(self.ask, namespace))


@dataclass(frozen=True, kw_only=True)
class Logs:
    """A question to Loki: LogQL, whose answer is lines or a number of lines."""

    ask: str
    legend: str = ""
    source = LOGS


@dataclass(frozen=True, kw_only=True)
class Spans:
    """A question to Tempo: TraceQL. The newest traces answer."""

    ask: str
    source = TRACES


Question = Metric | Logs | Spans


@dataclass(frozen=True, kw_only=True)
class Steps:
    """From which value on it is yellow, and red; the other way round where little is bad."""

    yellow: float | None = None
    red: float | None = None
    little_is_bad: bool = False


@dataclass(frozen=True, kw_only=True)
class Word:
    """What a value means."""

    value: int
    text: str
    colour: str


ANSWERS = (("1xx", "#8e8e8e"), ("2xx", GREEN), ("3xx", BLUE), ("4xx", YELLOW), ("5xx", RED))
LEVELS = (("critical", "purple"), ("error", RED), ("warn", YELLOW), ("info", GREEN), ("debug", BLUE))
SEVERITIES = (("page", RED), ("ticket", YELLOW))
"""The colours of what is good and bad."""

UP = (Word(value=1, text="up", colour=GREEN), Word(value=0, text="down", colour=RED))


@dataclass(frozen=True, kw_only=True)
class Panel(ABC):
    """One picture of a dashboard.

    Args:
        title: What is seen.
        about: What the title does not say.
        unit: Grafana's name of the unit, such as ``s``, ``bytes``, ``reqps``, ``percentunit``.
        width: Of the 24 columns.
        height: In rows of 30 pixels.
    """

    title: str
    about: str = ""
    unit: str = "short"
    width: int = 8
    height: int = 8

    @property
    @abstractmethod
    def questions(self) -> tuple[Question, ...]:
        """What it asks."""

    def confined(self, namespace: str) -> Panel:
        """The same, asked of a Prometheus of many namespaces."""
        del namespace
        return self

    @property
    def sources(self) -> set[str]:
        """The data sources without which it is empty."""
        return {question.source for question in self.questions}


@dataclass(frozen=True, kw_only=True)
class Graph(Panel):
    """Values over time.

    Args:
        of: What is drawn.
        stacked: Whether the series lie on each other.
        most: Where the scale ends, where that is known.
        bars: Whether each value is a bar: for counts of lines.
        colours: Of series that have one everywhere, by their names.
    """

    of: tuple[Metric | Logs, ...]
    stacked: bool = False
    most: float | None = None
    bars: bool = False
    colours: tuple[tuple[str, str], ...] = ()

    @property
    def questions(self) -> tuple[Question, ...]:
        """What is drawn."""
        return self.of

    def confined(self, namespace: str) -> Graph:
        """Confined, as far as it asks Prometheus."""
        asked = (one.confined(namespace) if isinstance(one, Metric) else one for one in self.of)
        return replace(self, of=tuple(asked))


@dataclass(frozen=True, kw_only=True)
class Figure(Panel):
    """The last value as a large figure, or one for each series.

    Args:
        of: What it shows.
        steps: When it is bad.
        words: What values mean.
        line: Whether its course is drawn below it.
        none: What stands there when nothing answers.
        decimals: Digits after the point; as many as fit unless given.
    """

    of: Metric
    steps: Steps = Steps()
    words: tuple[Word, ...] = ()
    line: bool = True
    none: str = ""
    decimals: int | None = None
    width: int = 4
    height: int = 4

    @property
    def questions(self) -> tuple[Question, ...]:
        """The one."""
        return (self.of,)

    def confined(self, namespace: str) -> Figure:
        """Confined."""
        return replace(self, of=self.of.confined(namespace))


@dataclass(frozen=True, kw_only=True)
class Bars(Panel):
    """The last value of each series as a bar of what it may be."""

    of: Metric
    steps: Steps = Steps()
    most: float = 1

    @property
    def questions(self) -> tuple[Question, ...]:
        """The one."""
        return (self.of,)

    def confined(self, namespace: str) -> Bars:
        """Confined."""
        return replace(self, of=self.of.confined(namespace))


@dataclass(frozen=True, kw_only=True)
class States(Panel):
    """Which state each series was in, over time."""

    of: Metric
    words: tuple[Word, ...] = UP

    @property
    def questions(self) -> tuple[Question, ...]:
        """The one."""
        return (self.of,)

    def confined(self, namespace: str) -> States:
        """Confined."""
        return replace(self, of=self.of.confined(namespace))


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table."""

    title: str
    of: Metric
    unit: str = "short"
    steps: Steps | None = None


@dataclass(frozen=True, kw_only=True)
class Table(Panel):
    """What is so now, a row for each.

    Args:
        keys: The labels that tell rows apart, and how their columns are called.
        columns: The others.
        sort: The column by which it is sorted, the most first; the first unless given.
    """

    keys: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    sort: str = ""

    @property
    def questions(self) -> tuple[Question, ...]:
        """One for each column."""
        return tuple(column.of for column in self.columns)

    def confined(self, namespace: str) -> Table:
        """Confined."""
        return replace(
            self, columns=tuple(replace(column, of=column.of.confined(namespace)) for column in self.columns)
        )


@dataclass(frozen=True, kw_only=True)
class Traces(Panel):
    """The newest traces that match. A row opens its trace."""

    of: Spans

    @property
    def questions(self) -> tuple[Question, ...]:
        """The one."""
        return (self.of,)


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """Lines of the log, the newest first."""

    of: Logs

    @property
    def questions(self) -> tuple[Question, ...]:
        """The one."""
        return (self.of,)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Panels under one heading; those that do not fit beside each other go below."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class Choose:
    """A list at the head of a dashboard from which people choose what they look at: all of it at first.

    Args:
        name: How questions name it, ``$name``.
        label: What people read.
        values: What can be chosen.
        only: Whether all of it is these values and no others.
    """

    name: str
    label: str
    values: tuple[str, ...]
    only: bool = False


@dataclass(frozen=True, kw_only=True)
class Type:
    """A field at the head of a dashboard into which people type."""

    name: str
    label: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """A dashboard.

    Args:
        name: Its uid is ``mcp-mesh-<name>``, for ever: links lead to it.
        title: What it is called.
        about: One sentence: what question it answers.
        rows: What it shows.
        inputs: What people choose at its head.
        hours: How much time it shows at first.
    """

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]
    inputs: tuple[Choose | Type, ...] = ()
    hours: int = 6

    @property
    def uid(self) -> str:
        """By what Grafana knows it."""
        return f"mcp-mesh-{self.name}"

    def confined(self, namespace: str) -> Dashboard:
        """The same, asked of a Prometheus of many namespaces."""
        rows = tuple(
            Row(title=row.title, panels=tuple(panel.confined(namespace) for panel in row.panels)) for row in self.rows
        )
        return replace(self, rows=rows)

    def only(self, sources: set[str]) -> Dashboard:
        """What is left of it when there are these data sources alone."""
        rows = tuple(
            Row(title=row.title, panels=panels)
            for row in self.rows
            if (panels := tuple(panel for panel in row.panels if panel.sources <= sources))
        )
        asked = " ".join(question.ask for row in rows for panel in row.panels for question in panel.questions)
        inputs = tuple(item for item in self.inputs if f"${item.name}" in asked)
        return replace(self, rows=rows, inputs=inputs)
