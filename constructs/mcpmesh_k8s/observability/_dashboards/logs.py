"""This module is the dashboard of logs: by workload, by level, and all of one request."""

from __future__ import annotations

from .parts import LEVELS, Choose, Dashboard, Graph, Lines, Logs, Row, Type
from .seen import Seen, names_of


def logs(seen: Seen) -> Dashboard:
    """What programs say."""
    chosen = '{app=~"$workload", level=~"$level"}'
    found = f'{chosen} | request_id=~"$request" |~ `(?i)$text`'
    return Dashboard(
        name="logs",
        title="Logs",
        about="What programs say: by workload and level, or all that belongs to one request.",
        inputs=(
            Choose(name="workload", label="Workload", values=names_of(seen.pods)),
            Choose(name="level", label="Level", values=tuple(level for level, _ in LEVELS)),
            Type(name="request", label="Request's id", value=".*"),
            Type(name="text", label="With", value=""),
        ),
        hours=1,
        rows=(
            Row(
                title="How much",
                panels=(
                    Graph(
                        title="Lines by workload",
                        of=(Logs(ask=f"sum by (app) (count_over_time({chosen}[$__auto]))", legend="{{app}}"),),
                        stacked=True,
                        bars=True,
                        width=12,
                    ),
                    Graph(
                        title="Lines by level",
                        of=(Logs(ask=f"sum by (level) (count_over_time({chosen}[$__auto]))", legend="{{level}}"),),
                        stacked=True,
                        bars=True,
                        colours=LEVELS,
                        width=12,
                    ),
                ),
            ),
            Row(
                title="Lines",
                panels=(
                    Lines(
                        title="Lines that match",
                        about="With the id of a request from the gateway's log, those of all services about it.",
                        of=Logs(ask=found),
                        width=24,
                        height=18,
                    ),
                ),
            ),
        ),
    )
