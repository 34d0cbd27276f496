"""This module is how a dashboard is written for Grafana: by Grafana's own typed builder, the release for ours."""

from __future__ import annotations

import json
from string import ascii_uppercase

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    logs,
    loki,
    prometheus,
    stat,
    statetimeline,
    table,
    tempo,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shown
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.tempo import SearchTableType

from .parts import (
    LOGS,
    METRICS,
    TRACES,
    Bars,
    Choose,
    Column,
    Dashboard,
    Figure,
    Graph,
    Lines,
    Logs,
    Metric,
    Panel,
    Spans,
    States,
    Steps,
    Table,
    Traces,
    Type,
    Word,
)

TAG = "mcp-mesh"
"""What all dashboards are tagged with: at the head of each is a list of the others."""

_WIDTH = 110
_DEFAULTS: dict[str, object] = {
    "auto": False,
    "auto_count": 30,
    "auto_min": "10s",
    "fiscalYearStartMonth": 0,
    "footer": {"show": False, "reducer": [], "countRows": False},
    "frameIndex": 0,
    "justifyMode": "auto",
    "maxVizHeight": 300,
    "minVizHeight": 16,
    "minVizWidth": 8,
    "namePlacement": "auto",
    "orientation": "auto",
    "overrides": [],
    "percentChangeColorMode": "standard",
    "repeatDirection": "h",
    "showPercentChange": False,
    "showTypeIcons": False,
    "showUnfilled": True,
    "sizing": "auto",
    "skipUrlSync": False,
    "textMode": "auto",
    "transparent": False,
    "valueMode": "color",
    "wideLayout": True,
}
"""What the builder says of everything, and Grafana takes it for anyhow."""

_Made = bargauge.Panel | logs.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel


def full(dashboard: Dashboard) -> str:
    """A dashboard as the builder writes it."""
    return JSONEncoder().encode(_dashboard(dashboard).build())


def rendered(dashboard: Dashboard) -> str:
    """A dashboard as JSON: the same bytes each time, without what goes without saying."""
    return _text(json.loads(full(dashboard))) + "\n"


def _text(value: object, indent: str = "") -> str:
    """JSON whose objects and lists are one line each where they fit into one: short, and fit for a review."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if _DEFAULTS.get(key, ...) != item}
        parts = [f"{json.dumps(key)}: {_text(item, indent + '  ')}" for key, item in kept.items()]
        ends = "{}"
    elif isinstance(value, list):
        parts, ends = [_text(item, indent + "  ") for item in value], "[]"
    else:
        return json.dumps(value, ensure_ascii=False)
    line = f"{ends[0]}{', '.join(parts)}{ends[1]}"
    if "\n" not in line and len(indent) + len(line) <= _WIDTH:
        return line
    inner = f",\n{indent}  ".join(parts)
    return f"{ends[0]}\n{indent}  {inner}\n{indent}{ends[1]}"


def _dashboard(dashboard: Dashboard) -> build.Dashboard:
    made = (
        build.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.about)
        .tags([TAG])
        .readonly()
        .time(f"now-{dashboard.hours}h", "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(
            build.DashboardLink("Dashboards")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
        )
    )
    for item in dashboard.inputs:
        made.with_variable(_choice(item) if isinstance(item, Choose) else _field(item))
    number, top = 0, 0
    for row in dashboard.rows:
        number += 1
        made.with_row(build.Row(row.title).id(number).grid_pos(model.GridPos(x=0, y=top, w=24, h=1)))
        top += 1
        left = tallest = 0
        for panel in row.panels:
            number += 1
            if left + panel.width > 24:
                left, top, tallest = 0, top + tallest, 0
            drawn = _drawn(panel).id(number).title(panel.title)
            if panel.about:
                drawn.description(panel.about)
            made.with_panel(drawn.grid_pos(model.GridPos(x=left, y=top, w=panel.width, h=panel.height)))
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return made


def _choice(item: Choose) -> Builder[model.VariableModel]:
    listed = build.CustomVariable(item.name).label(item.label).values(",".join(item.values))
    everyone = f"({'|'.join(item.values)})" if item.only else ".*"
    current = model.VariableOption(selected=True, text="All", value="$__all")
    return listed.multi(True).include_all(True).all_value(everyone).current(current)


def _field(item: Type) -> Builder[model.VariableModel]:
    current = model.VariableOption(selected=True, text=item.value, value=item.value)
    return build.TextBoxVariable(item.name).label(item.label).default_value(item.value).current(current)


def _source(uid: str) -> model.DataSourceRef:
    """The data source. The uid of each is the name of its kind."""
    return model.DataSourceRef(type_val=uid, uid=uid)


def _drawn(panel: Panel) -> _Made:
    match panel:
        case Graph():
            return _graph(panel)
        case Figure():
            return _figure(panel)
        case Bars():
            return _bars(panel)
        case States():
            return _states(panel)
        case Table():
            return _table(panel)
        case Traces():
            return _traces(panel)
        case Lines():
            return _lines(panel)
        case _:
            raise TypeError(f"{type(panel).__name__} is no panel that can be drawn")


def _metric(metric: Metric, reference: str) -> prometheus.Dataquery:
    asked = prometheus.Dataquery().expr(metric.ask).ref_id(reference)
    if metric.legend:
        asked.legend_format(metric.legend)
    return asked.exemplar(True) if metric.exemplars else asked


def _query(question: Metric | Logs, reference: str) -> prometheus.Dataquery | loki.Dataquery:
    if isinstance(question, Metric):
        return _metric(question, reference).range()
    asked = loki.Dataquery().expr(question.ask).ref_id(reference).query_type("range")
    return asked.legend_format(question.legend) if question.legend else asked


def _graph(panel: Graph) -> timeseries.Panel:
    made = timeseries.Panel().datasource(_source(panel.of[0].source)).unit(panel.unit).min(0)
    made.line_width(1).fill_opacity(60 if panel.stacked or panel.bars else 8).show_points(shown.VisibilityMode.NEVER)
    made.legend(
        common.VizLegendOptions()
        .display_mode(shown.LegendDisplayMode.LIST)
        .placement(shown.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    made.tooltip(common.VizTooltipOptions().mode(shown.TooltipDisplayMode.MULTI).sort(shown.SortOrder.DESCENDING))
    if panel.most is not None:
        made.max(panel.most)
    if panel.bars:
        made.draw_style(shown.GraphDrawStyle.BARS)
    if panel.stacked:
        made.stacking(common.StackingConfig().mode(shown.StackingMode.NORMAL).group("A"))
    for reference, question in zip(ascii_uppercase, panel.of, strict=False):
        made.with_target(_query(question, reference))
        if isinstance(question, Metric) and question.limit:
            made.override_by_query(reference, _LIMIT)
    for name, colour in panel.colours:
        fixed = {"fixedColor": colour, "mode": "fixed"}
        made.override_by_name(name, [model.DynamicConfigValue(id_val="color", value=fixed)])
    return made


_LIMIT = [
    model.DynamicConfigValue(id_val="custom.lineStyle", value={"dash": [8, 6], "fill": "dash"}),
    model.DynamicConfigValue(id_val="custom.fillOpacity", value=0),
    model.DynamicConfigValue(id_val="custom.stacking", value={"group": "A", "mode": "none"}),
    model.DynamicConfigValue(id_val="color", value={"fixedColor": "red", "mode": "fixed"}),
]
"""How a limit is drawn."""


def _figure(panel: Figure) -> stat.Panel:
    made = stat.Panel().datasource(_source(METRICS)).unit(panel.unit).with_target(_metric(panel.of, "A").range())
    made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    made.graph_mode(shown.BigValueGraphMode.AREA if panel.line else shown.BigValueGraphMode.NONE)
    made.color_mode(shown.BigValueColorMode.VALUE).thresholds(_steps(panel.steps))
    if panel.decimals is not None:
        made.decimals(panel.decimals)
    if panel.none:
        made.no_value(panel.none)
    return made.mappings([_words(panel.words)]) if panel.words else made


def _steps(steps: Steps) -> build.ThresholdsConfig:
    if steps.little_is_bad:
        levels = [(steps.red, "green" if steps.yellow is None else "yellow"), (steps.yellow, "green")]
    else:
        levels = [(steps.yellow, "yellow"), (steps.red, "red")]
    first = model.Threshold(value=None, color="red" if steps.little_is_bad else "green")
    others = [model.Threshold(value=value, color=colour) for value, colour in levels if value is not None]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps([first, *others])


def _words(words: tuple[Word, ...]) -> model.ValueMapping:
    return model.ValueMap(
        options={
            str(word.value): model.ValueMappingResult(text=word.text, color=word.colour, index=place)
            for place, word in enumerate(words)
        }
    )


def _bars(panel: Bars) -> bargauge.Panel:
    made = bargauge.Panel().datasource(_source(METRICS)).unit(panel.unit).min(0).max(panel.most)
    made.orientation(shown.VizOrientation.HORIZONTAL).display_mode(shown.BarGaugeDisplayMode.BASIC)
    made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    return made.thresholds(_steps(panel.steps)).with_target(_metric(panel.of, "A").range())


def _states(panel: States) -> statetimeline.Panel:
    made = statetimeline.Panel().datasource(_source(METRICS)).with_target(_metric(panel.of, "A").range())
    made.color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)).merge_values(True).row_height(0.8)
    made.show_value(shown.VisibilityMode.NEVER).fill_opacity(80)
    return made.mappings([_words(panel.words)]).thresholds(_steps(Steps()))


def _table(panel: Table) -> table.Panel:
    made = table.Panel().datasource(_source(METRICS)).show_header(True).cell_height(shown.TableCellHeight.SM)
    names = dict(panel.keys)
    for reference, column in zip(ascii_uppercase, panel.columns, strict=False):
        made.with_target(_metric(column.of, reference).instant().format(PromQueryFormat.TABLE))
        names["Value" if len(panel.columns) == 1 else f"Value #{reference}"] = column.title
        made.override_by_name(column.title, _of_column(column))
    order = {name: place for place, name in enumerate(names)}
    organize = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names}
    if len(panel.columns) > 1:
        made.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    made.with_transformation(model.DataTransformerConfig(id_val="organize", options=organize))
    first = panel.sort or next(iter(panel.columns)).title
    return made.sort_by([common.TableSortByFieldState().display_name(first).desc(True)])


def _of_column(column: Column) -> list[model.DynamicConfigValue]:
    told = [model.DynamicConfigValue(id_val="unit", value=column.unit)]
    if column.steps:
        told.append(model.DynamicConfigValue(id_val="thresholds", value=_steps(column.steps).build()))
        told.append(model.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}))
    return told


def _spans(spans: Spans) -> tempo.TempoQuery:
    asked = tempo.TempoQuery().query(spans.ask).ref_id("A").query_type("traceql")
    return asked.limit(50).table_type(SearchTableType.TRACES)


def _traces(panel: Traces) -> table.Panel:
    made = table.Panel().datasource(_source(TRACES)).with_target(_spans(panel.of))
    return made.show_header(True).cell_height(shown.TableCellHeight.SM)


def _lines(panel: Lines) -> logs.Panel:
    asked = loki.Dataquery().expr(panel.of.ask).ref_id("A").query_type("range").max_lines(500)
    made = logs.Panel().datasource(_source(LOGS)).with_target(asked).show_time(True).wrap_log_message(True)
    made.enable_log_details(True).sort_order(shown.LogsSortOrder.DESCENDING)
    return made.dedup_strategy(shown.LogsDedupStrategy.NONE).prettify_log_message(False)
