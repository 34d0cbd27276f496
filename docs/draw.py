"""This module draws each dashboard as Grafana would show it, from its own definition, into ``pictures/``.

A real Prometheus that holds recorded metrics answers the panels; lines and traces are those of ``recorded/lines.yaml``.
A picture says what it was drawn from: a test compares that with what is rendered.
"""

from __future__ import annotations

import io
import json
import math
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle
from PIL import Image, PngImagePlugin

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "constructs"), str(ROOT / "tests")]

from ai_interviewer import PROD, AiInterviewer  # noqa: E402
from mcpmesh_k8s import Agent  # noqa: E402
from mcpmesh_k8s.observability._dashboards import made, rendered  # noqa: E402
from pictures import PICTURES, digest  # noqa: E402
from recorded_metrics import END, RECORDED, START, Store, recorded_store  # noqa: E402

DRAWN_FROM = "drawn-from"

PAGE, PANEL, EDGE, TEXT, FAINT, GRID = "#111217", "#181b1f", "#2c3235", "#ccccdc", "#8e8e99", "#2a2d33"
COLOURS = {"green": "#73bf69", "yellow": "#fade2a", "red": "#f2495c", "blue": "#5794f2", "purple": "#b877d9"}
PALETTE = (
    *("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#37872d", "#fa6400", "#c4162a"),
    *("#1f60c4", "#8f3bb8", "#96d98d", "#ffee52", "#c0d8ff", "#ffb357", "#ff7383", "#ca95e5"),
)
LEVELS = {"critical": "#b877d9", "error": "#f2495c", "warn": "#fade2a", "info": "#73bf69", "debug": "#5794f2"}
COLUMN, ROW, GAP, HEAD = 50, 30, 8, 92
SINCE = START + 600

Json = dict[str, Any]


# What is asked.

_ASKED = {"$__rate_interval": "4m", "$__range": "2h"}


def asked(text: str, inputs: Mapping[str, str]) -> str:
    """A question as Grafana would ask it."""
    for name, value in {**_ASKED, **inputs}.items():
        text = text.replace(name, value)
    return text


def inputs_of(dashboard: Json) -> dict[str, str]:
    """What stands for the inputs of a dashboard, as it is opened: all, and what is written in its fields."""
    found = dashboard["templating"].get("list", [])
    return {f"${item['name']}": item.get("allValue", item["current"].get("value", "")) for item in found}


def named(target: Json, labels: Mapping[str, str]) -> str:
    """What a series is called."""
    legend = target.get("legendFormat", "")
    if not legend:
        return ", ".join(labels.values()) or "Value"
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


Course = list[tuple[float, float]]
RECORDS: Json = yaml.safe_load((RECORDED / "lines.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Asking:
    """A store that is asked with what is chosen at a dashboard's head."""

    store: Store
    inputs: Mapping[str, str]

    def question(self, text: str) -> str:
        """A question as Grafana would ask it."""
        return asked(text, self.inputs)


def courses(panel: Json, asking: Asking) -> Iterator[tuple[Json, str, Course]]:
    """The series of a panel: the question, the name, and the values over time."""
    for target in panel["targets"]:
        question = asking.question(target["expr"])
        if panel["datasource"]["uid"] == "loki":
            yield from ((target, name, course) for name, course in counted(question))
            continue
        found = asking.store.course(question)
        for one in sorted(found, key=lambda series: sorted(series["metric"].items())):
            yield target, named(target, one["metric"]), [(float(at), float(value)) for at, value in one["values"]]


def counted(question: str) -> Iterator[tuple[str, Course]]:
    """How many lines there were, by workload or level."""
    (by,) = re.findall(r"by \((\w+)\)", question)
    wanted = re.findall(r'level=~"([^"]*)"', question)
    sums: dict[str, list[float]] = {}
    times = range(SINCE, END, 120)
    for app, levels in RECORDS["rates"].items():
        for level, rate in levels.items():
            if wanted and not re.fullmatch(wanted[0], level):
                continue
            values = sums.setdefault(app if by == "app" else level, [0.0] * len(times))
            for place, time in enumerate(times):
                luck = zlib.crc32(f"{app}{level}{time}".encode()) % 1000 / 1000
                values[place] += round(rate * 2 * (0.5 + luck)) if rate >= 1 else float(luck < rate / 2)
    yield from ((name, list(zip(map(float, times), values, strict=True))) for name, values in sorted(sums.items()))


# How values are written.


def scaled(value: float, steps: Sequence[tuple[float, str]], digits: int = 3) -> str:
    """A value with the unit that suits it."""
    size, unit = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    number = f"{value / size:.{digits}g}"
    if "e" in number:
        number = f"{value / size:.0f}"
    return f"{number}{unit}"


_BYTES = ((2**40, " TiB"), (2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B"))
_THOUSANDS = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"), (1, ""))
_SECONDS = ((86400, " day"), (3600, " hour"), (60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs"))
_RATES = ((1e9, " GB/s"), (1e6, " MB/s"), (1e3, " kB/s"), (1, " B/s"))


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """A value as Grafana writes it."""
    if math.isnan(value):
        return "NaN"
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    if value == 0:
        return {"s": "0 s", "bytes": "0 B", "Bps": "0 B/s"}.get(unit, "0") + _SUFFIX.get(unit, "")
    if unit == "s":
        return scaled(value, _SECONDS)
    if unit == "bytes":
        return scaled(value, _BYTES)
    if unit == "Bps":
        return scaled(value, _RATES)
    if decimals is not None and abs(value) < 1000:
        return f"{value:.{decimals}f}{_SUFFIX.get(unit, '')}"
    return scaled(value, _THOUSANDS) + _SUFFIX.get(unit, "")


_SUFFIX = {"reqps": " req/s", "ops": " ops/s", "cps": " c/s"}


def coloured(value: float, steps: Sequence[Json]) -> str:
    """The colour of the step that a value has reached."""
    reached = [step for step in steps if step["value"] is None or value >= step["value"]]
    return painted(reached[-1]["color"])


def painted(colour: str) -> str:
    """A colour of Grafana, by its name."""
    return COLOURS.get(colour, colour)


def clock(time: float) -> str:
    """The time of day."""
    return datetime.fromtimestamp(time, UTC).strftime("%H:%M")


# A page of pixels, its origin at the top left.


class Page:
    """A picture."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor=PAGE)
        self.canvas = FigureCanvasAgg(self.figure)
        self.sheet = self.axes(0, 0, width, height)
        self.sheet.set_xlim(0, width)
        self.sheet.set_ylim(height, 0)
        self.sheet.axis("off")

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        """A place to draw in."""
        place = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(place, facecolor="none")

    def box(
        self, x: float, y: float, width: float, height: float, colour: str, edge: str = "none", round: float = 2
    ) -> None:
        """A rectangle."""
        shape = f"round,pad=0,rounding_size={round}"
        self.sheet.add_patch(
            FancyBboxPatch((x, y), width, height, boxstyle=shape, facecolor=colour, edgecolor=edge, linewidth=0.8)
        )

    def text(self, x: float, y: float, text: str, size: float = 8, colour: str = TEXT, **more: Any) -> Any:
        """A line of text."""
        return self.sheet.text(x, y, text, fontsize=size, color=colour, va="center", parse_math=False, **more)

    def wide(self, text: str, size: float = 8, **more: Any) -> float:
        """How wide a text is."""
        key = (text, size, tuple(more.items()))
        if key not in _WIDE:
            drawn = self.text(0, 0, text, size, **more)
            _WIDE[key] = drawn.get_window_extent(self.canvas.get_renderer()).width  # type: ignore[no-untyped-call]
            drawn.remove()
        return _WIDE[key]

    def fitting(self, text: str, room: float, size: float = 8, **more: Any) -> str:
        """As much of a text as there is room for."""
        if self.wide(text, size, **more) <= room:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.wide(text[:middle] + "…", size, **more) <= room else (low, middle - 1)
        return text[:low] + "…"

    def png(self, drawn_from: str) -> bytes:
        """The picture, in few colours, with what it was drawn from."""
        self.canvas.draw()  # type: ignore[no-untyped-call]
        pixels = self.canvas.buffer_rgba()  # type: ignore[no-untyped-call]
        image = Image.frombuffer("RGBA", self.canvas.get_width_height(), bytes(pixels))
        few = image.convert("RGB").quantize(255, dither=Image.Dither.NONE)
        about = PngImagePlugin.PngInfo()
        about.add_text(DRAWN_FROM, drawn_from)
        file = io.BytesIO()
        few.save(file, "PNG", optimize=True, pnginfo=about)
        return file.getvalue()


_WIDE: dict[object, float] = {}
Place = tuple[float, float, float, float]


def draw(dashboard: Json, store: Store) -> bytes:
    """A dashboard as a picture."""
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    inputs = dashboard["templating"].get("list", [])
    asking = Asking(store, inputs_of(dashboard))
    head = HEAD if inputs else HEAD - 40
    page = Page(24 * COLUMN + 3 * GAP, head + bottom * (ROW + GAP) + GAP)
    heading(page, dashboard, inputs)
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        x, y = 2 * GAP + grid["x"] * COLUMN, head + grid["y"] * (ROW + GAP)
        width, height = grid["w"] * COLUMN - GAP, grid["h"] * (ROW + GAP) - GAP
        if panel["type"] == "row":
            page.text(x + 4, y + ROW / 2, f"⌄  {panel['title']}", 10, fontweight="bold")
            continue
        page.box(x, y, width, height, PANEL, EDGE)
        title = page.fitting(panel["title"], width - 44, 8.5, fontweight="bold")
        page.text(x + 9, y + 15, title, 8.5, fontweight="bold")
        if panel.get("description"):
            left = x + 15 + page.wide(title, 8.5, fontweight="bold")
            page.sheet.add_patch(Circle((left + 5, y + 15), 5, facecolor="none", edgecolor=FAINT, linewidth=0.8))
            page.text(left + 5, y + 15.5, "i", 6, FAINT, ha="center")
        KINDS[kind(panel)](page, panel, asking, (x + 8, y + 28, width - 16, height - 34))
    return page.png(digest(dashboard))


def kind(panel: Json) -> str:
    """How a panel is drawn."""
    return "traces" if panel["type"] == "table" and panel["datasource"]["uid"] == "tempo" else str(panel["type"])


def heading(page: Page, dashboard: Json, inputs: Sequence[Json]) -> None:
    """The line at the top, and what can be chosen."""
    page.box(-4, -4, page.width + 8, 46, PANEL, EDGE)
    x = 16.0
    for word, colour in (
        ("Home", FAINT),
        (">", FAINT),
        ("Dashboards", FAINT),
        (">", FAINT),
        (dashboard["title"], TEXT),
    ):
        bold = {"fontweight": "bold"} if colour == TEXT else {}
        page.text(x, 21, word, 10, colour, **bold)
        x += page.wide(word, 10, **bold) + 9
    right = page.width - 16.0
    day = datetime.fromtimestamp(END, UTC).strftime("%Y-%m-%d")
    for label in (f"⟳  {dashboard['refresh']}", f"{day} {clock(SINCE)} to {clock(END)}", "Dashboards  ⌄"):
        wide = page.wide(label, 8.5) + 20
        right -= wide
        page.box(right, 9, wide - 6, 24, "#22252b", EDGE)
        page.text(right + 7, 21, label, 8.5)
    x = 16.0
    for item in inputs:
        label, chosen = str(item["label"]), str(item["current"]["text"] or " ")
        for word, colour, back in (
            (label, "#6e9fff", "#22252b"),
            (f"{chosen}  ⌄" if item["type"] == "custom" else chosen, TEXT, PANEL),
        ):
            wide = max(page.wide(word, 8.5) + 18, 60)
            page.box(x, 52, wide, 26, back, EDGE)
            page.text(x + 8, 65, word, 8.5, colour)
            x += wide
        x += 10


def spread(low: float, high: float, unit: str) -> list[float]:
    """Where lines across are: at round values."""
    if high <= low:
        high = low + 1
    base = 2.0 if unit == "bytes" else 10.0
    rough = (high - low) / 4
    if unit == "bytes":
        step = base ** math.ceil(math.log2(rough))
    else:
        power = 10 ** math.floor(math.log10(rough))
        step = next(power * size for size in (1, 2, 2.5, 5, 10) if power * size >= rough)
    first = math.ceil(low / step)
    return [step * place for place in range(first, math.floor(high / step + 1e-9) + 1)]


def graph(page: Page, panel: Json, asking: Asking, place: Place) -> None:
    """Values over time, with their names below."""
    x, y, width, height = place
    found = list(courses(panel, asking))
    defaults = panel["fieldConfig"]["defaults"]
    unit, custom = defaults.get("unit", "short"), defaults["custom"]
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    overrides = panel["fieldConfig"].get("overrides", ())
    limits = {one["matcher"]["options"] for one in overrides if one["matcher"]["id"] == "byFrameRefID"}
    fixed = {
        one["matcher"]["options"]: told["value"]["fixedColor"]
        for one in overrides
        for told in one["properties"]
        if told["id"] == "color"
    }
    colours: dict[int, str] = {}
    for index, (target, name, _) in enumerate(found):
        colour = fixed.get(target["refId"] if target["refId"] in limits else name, PALETTE[index % len(PALETTE)])
        colours[index] = painted(colour)
    lines = legend(page, [(name, colours[index]) for index, (_, name, _) in enumerate(found)], width, height)
    below = 15 * len(lines) + 4
    for line, entries in enumerate(lines):
        across = x + 2
        for name, colour in entries:
            at = y + height - below + 12 + 15 * line
            page.sheet.plot([across, across + 11], [at, at], color=colour, linewidth=2.4, solid_capstyle="butt")
            page.text(across + 16, at, name, 7.5, TEXT)
            across += page.wide(name, 7.5) + 28
    totals: dict[float, float] = {}
    series: list[tuple[int, Course, list[float]]] = []
    for index, (target, _, course) in enumerate(found):
        if target["refId"] in limits or not stacked:
            series.append((index, course, [0.0] * len(course)))
            continue
        ground = [totals.get(time, 0.0) for time, _ in course]
        for (time, value), low in zip(course, ground, strict=True):
            totals[time] = low + value
        series.append((index, course, ground))
    tops = [value + low for _, course, ground in series for (_, value), low in zip(course, ground, strict=True)]
    most = defaults.get("max") or max([value for value in tops if math.isfinite(value)], default=1) * 1.08 or 1
    marks = spread(0, most, unit)
    labels = [written(mark, unit) for mark in marks]
    margin = max([page.wide(label, 7.5) for label in labels], default=10) + 10
    axes = page.axes(x + margin, y + 4, width - margin - 6, height - below - 26)
    axes.set_xlim(SINCE, END)
    axes.set_ylim(0, most)
    axes.set_yticks(marks, labels)
    times = range(SINCE - SINCE % 1800 + 1800, END, 1800 if width > 300 else 3600)
    axes.set_xticks(list(times), [clock(time) for time in times])
    axes.tick_params(colors=FAINT, labelsize=7.5, length=0, pad=4)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    for index, course, ground in series:
        when = [one for one, _ in course]
        upper = [value + low for (_, value), low in zip(course, ground, strict=True)]
        limit = found[index][0]["refId"] in limits
        if custom.get("drawStyle") == "bars":
            axes.bar(when, [value for _, value in course], 92, bottom=ground, color=colours[index], linewidth=0)
            continue
        if not limit:
            axes.fill_between(when, ground, upper, color=colours[index], alpha=custom["fillOpacity"] / 100, linewidth=0)
        axes.plot(when, upper, color=colours[index], linewidth=1.2, linestyle=(0, (5, 4)) if limit else "-")


def legend(page: Page, entries: list[tuple[str, str]], width: float, height: float) -> list[list[tuple[str, str]]]:
    """The names of series in lines, as many as there is room for."""
    lines: list[list[tuple[str, str]]] = [[]]
    left = width
    for name, colour in entries:
        short = page.fitting(name, width - 30, 7.5)
        wide = page.wide(short, 7.5) + 28
        if wide > left and lines[-1]:
            lines.append([])
            left = width
        lines[-1].append((short, colour))
        left -= wide
    return lines[: max(1, min(3, int(height / 70)))]


def figure(page: Page, panel: Json, asking: Asking, place: Place) -> None:
    """The last value, large."""
    x, y, width, height = place
    defaults, found = panel["fieldConfig"]["defaults"], list(courses(panel, asking))
    if not found:
        page.text(x + width / 2, y + height / 2, defaults.get("noValue", "No data"), 18, FAINT, ha="center")
        return
    _, _, course = found[0]
    value = course[-1][1]
    colour = coloured(value, defaults["thresholds"]["steps"])
    shown = written(value, defaults.get("unit", "short"), defaults.get("decimals"))
    for mapping in defaults.get("mappings", ()):
        word = mapping["options"].get(f"{value:g}")
        if word:
            shown, colour = word["text"], painted(word["color"])
    flat = panel["options"]["graphMode"] == "none"
    if not flat:
        axes = page.axes(x - 7, y + height * 0.6, width + 14, height * 0.4 + 5)
        values = [one for _, one in course if math.isfinite(one)]
        low, high = min(values), max(values)
        axes.set_ylim(low - (high - low or 1) * 0.1, high + (high - low or 1) * 0.15)
        axes.set_xlim(course[0][0], course[-1][0])
        axes.axis("off")
        at = [time for time, _ in course]
        axes.fill_between(at, axes.get_ylim()[0], [one for _, one in course], color=colour, alpha=0.18, linewidth=0)
        axes.plot(at, [one for _, one in course], color=colour, linewidth=1)
    size = next(size for size in range(26, 8, -1) if page.wide(shown, size) <= width - 10)
    page.text(x + width / 2, y + height * (0.5 if flat else 0.36), shown, size, colour, ha="center", zorder=5)


def bars(page: Page, panel: Json, asking: Asking, place: Place) -> None:
    """The last value of each series, as a bar."""
    x, y, width, height = place
    defaults = panel["fieldConfig"]["defaults"]
    found = [(name, course[-1][1]) for _, name, course in courses(panel, asking)]
    room = height / max(len(found), 1)
    names = {name: page.fitting(name, width * 0.42, 7.5) for name, _ in found}
    margin = max([page.wide(name, 7.5) for name in names.values()], default=0) + 8
    for place_of, (name, value) in enumerate(found):
        top, thick = y + place_of * room + room * 0.12, min(room * 0.76, 26)
        colour = coloured(value, defaults["thresholds"]["steps"])
        page.text(x + margin - 8, top + thick / 2, names[name], 7.5, ha="right")
        whole = width - margin - 66
        page.box(x + margin, top, whole, thick, "#22252b")
        page.box(x + margin, top, max(2, whole * min(1, value / defaults["max"])), thick, colour)
        page.text(x + width - 4, top + thick / 2, written(value, defaults["unit"]), 9, colour, ha="right")


def stretches(course: Course) -> Iterator[tuple[float, float, float]]:
    """From when until when a value was the same."""
    begin, last, value = course[0][0], course[0][0], course[0][1]
    for time, now in course[1:]:
        if now != value or time - last > 60:
            yield begin, last + 60, value
            begin, value = time, now
        last = time
    yield begin, last + 60, value


def states(page: Page, panel: Json, asking: Asking, place: Place) -> None:
    """Which state each series was in."""
    x, y, width, height = place
    words = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    found = [(name, course) for _, name, course in courses(panel, asking)]
    names = {name: page.fitting(name, width * 0.3, 7.5) for name, _ in found}
    margin = max([page.wide(name, 7.5) for name in names.values()], default=0) + 10
    whole, room = width - margin - 4, (height - 40) / max(len(found), 1)
    thick = min(room * 0.7, 34)

    def across_of(time: float) -> float:
        return x + margin + whole * (min(time, END) - SINCE) / (END - SINCE)

    for place_of, (name, course) in enumerate(found):
        top = y + place_of * room + (room - thick) / 2
        page.text(x + margin - 10, top + thick / 2, names[name], 7.5, ha="right")
        for begin, end, value in stretches(course):
            colour = words[f"{value:g}"]["color"]
            left, wide = across_of(begin), across_of(end) - across_of(begin)
            colour = painted(colour)
            page.sheet.add_patch(Rectangle((left, top), wide, thick, facecolor=colour, linewidth=0, alpha=0.85))
    for time in range(SINCE - SINCE % 1800 + 1800, END, 1800):
        left = x + margin + whole * (time - SINCE) / (END - SINCE)
        page.text(left, y + height - 30, clock(time), 7.5, FAINT, ha="center")
    across = x + 2
    for word in words.values():
        page.box(across, y + height - 15, 10, 10, painted(word["color"]))
        page.text(across + 15, y + height - 10, word["text"], 7.5)
        across += page.wide(word["text"], 7.5) + 30


Cell = tuple[str, str]


def rows_of(
    page: Page, place: Place, head: Sequence[str], rows: Sequence[Sequence[Cell]], wide: Sequence[float]
) -> None:
    """A table, as many rows as there is room for."""
    x, y, width, height = place
    lefts = [x + 4 + width * sum(wide[:index]) / sum(wide) for index in range(len(wide))]
    rooms = [width * one / sum(wide) - 10 for one in wide]
    for left, room, title in zip(lefts, rooms, head, strict=True):
        page.text(left, y + 9, page.fitting(title, room, 7.5, fontweight="bold"), 7.5, "#6e9fff", fontweight="bold")
    for number, row in enumerate(rows[: int((height - 20) / 21)]):
        top = y + 20 + number * 21
        page.sheet.plot([x, x + width], [top, top], color=GRID, linewidth=0.8)
        for left, room, (text, colour) in zip(lefts, rooms, row, strict=True):
            page.text(left, top + 11, page.fitting(text, room, 8), 8, colour)


def table(page: Page, panel: Json, asking: Asking, place: Place) -> None:
    """What is so now."""
    steps = {step["id"]: step["options"] for step in panel["transformations"]}
    renamed: dict[str, str] = steps["organize"]["renameByName"]
    keys = [label for label in renamed if not label.startswith("Value")]
    overrides = {
        one["matcher"]["options"]: {told["id"]: told["value"] for told in one["properties"]}
        for one in panel["fieldConfig"]["overrides"]
    }
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for target in panel["targets"]:
        value_of = f"Value #{target['refId']}" if len(panel["targets"]) > 1 else "Value"
        for one in asking.store.now(asking.question(target["expr"])):
            row = found.setdefault(tuple(one["metric"].get(key, "") for key in keys), {})
            row[renamed[value_of]] = float(one["value"][1])
    columns = [title for key, title in renamed.items() if key.startswith("Value")]
    first = panel["options"]["sortBy"][0]["displayName"]
    ordered = sorted(found.items(), key=lambda item: (-item[1].get(first, -1), item[0]))
    shown: list[list[Cell]] = []
    for names, values in ordered:
        cells: list[Cell] = [(name, TEXT) for name in names]
        for column in columns:
            told = overrides[column]
            value = values.get(column)
            colour = (
                coloured(value, told["thresholds"]["steps"]) if value is not None and "thresholds" in told else TEXT
            )
            cells.append(("" if value is None else written(value, told["unit"]), colour))
        shown.append(cells)
    rows_of(page, place, list(renamed.values()), shown, [1.6] * len(keys) + [1.0] * len(columns))


def traces(page: Page, panel: Json, asking: Asking, place: Place) -> None:
    """The newest traces that match, as far as their question is one of ours."""
    question = asking.question(panel["targets"][0]["query"])
    longer = re.search(r"duration > (\d+)s", question)
    service = re.search(r'service\.name =~ "([^"]*)"', question)
    shown: list[list[Cell]] = []
    for trace, since, name, span, seconds, failed in RECORDS["traces"]:
        if ("status = error" in question and not failed) or (longer and seconds <= int(longer[1])):
            continue
        if service and not re.fullmatch(service[1], name):
            continue
        at = datetime.fromtimestamp(END - since, UTC).strftime("%Y-%m-%d %H:%M:%S")
        shown.append([(trace, "#6e9fff"), (at, TEXT), (name, TEXT), (span, TEXT), (written(seconds, "s"), TEXT)])
    rows_of(page, place, ("Trace ID", "Start time", "Service", "Name", "Duration"), shown, (1.5, 1.4, 1.3, 1.3, 0.8))


def lines(page: Page, panel: Json, asking: Asking, place: Place) -> None:
    """The newest lines that match, as far as their question is one of ours."""
    x, y, width, height = place
    question = asking.question(panel["targets"][0]["expr"])
    app, level = re.search(r'app=~"([^"]*)"', question), re.search(r'level=~"([^"]*)"', question)
    down = y + 8
    for since, name, how, _, text in RECORDS["lines"]:
        if (app and not re.fullmatch(app[1], name)) or (level and not re.fullmatch(level[1], how)):
            continue
        if "status >= 500" in question and '"status":5' not in text:
            continue
        if down > y + height - 6:
            break
        at = datetime.fromtimestamp(END - since, UTC).strftime("%H:%M:%S")
        page.sheet.add_patch(Rectangle((x, down - 7), 3, 14, facecolor=LEVELS[how], linewidth=0))
        page.text(x + 9, down, at, 7.5, FAINT, family="monospace")
        page.text(x + 72, down, page.fitting(text, width - 76, 7.5, family="monospace"), 7.5, family="monospace")
        down += 19


KINDS: dict[str, Callable[[Page, Json, Asking, Place], None]] = {
    "timeseries": graph,
    "stat": figure,
    "bargauge": bars,
    "state-timeline": states,
    "table": table,
    "traces": traces,
    "logs": lines,
}


def main() -> None:
    """Draw all of them, as production has them."""
    mpl.rcParams["font.family"] = "DejaVu Sans"
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        application = AiInterviewer(PROD, outdir=Path(folder) / "out")
        manifests = [one for phase in application.manifests().values() for one in phase]
        agents = [agent.name for agent in application.find_all(Agent)]
        shown = list(made(application, ("prometheus", "tempo", "loki")))
        with recorded_store(manifests, agents, Path(folder)) as store:
            for dashboard in shown:
                path = PICTURES / f"dashboard-{dashboard.name}.png"
                path.write_bytes(draw(json.loads(rendered(dashboard)), store))
                print(f"wrote {path.relative_to(ROOT)}")
    names = {f"dashboard-{dashboard.name}.png" for dashboard in shown}
    for path in PICTURES.glob("dashboard-*.png"):
        if path.name not in names:
            path.unlink()


if __name__ == "__main__":
    main()
