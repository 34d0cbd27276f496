"""This module reads the queries of logs and traces that people are shown, with Grafana's own grammars."""

from __future__ import annotations

import re
from typing import Literal

import pytest

from conftest import requires
from programs import ROOT
from queries import errors

pytestmark = requires("grammars")

Language = Literal["logql", "traceql"]


@pytest.mark.parametrize(
    ("language", "sound", "broken"),
    [
        ("logql", '{app="nginx-gateway"} | json | status >= 500', '{app="nginx-gateway" | json'),
        ("logql", '{app="$app"} |= `$text` | request_id=`x`', "{app=$app}"),
        ("logql", 'sum by (app) (rate({level="error"}[5m]))', 'sum by app (rate({level="error"}[5m]))'),
        ("traceql", '{ resource.service.name = "x" && status = error }', "{ status = }"),
        ("traceql", "{} | rate() by (resource.service.name)", "{} | rate("),
    ],
)
def test_a_query_is_read_and_a_broken_one_is_told_with_its_place(language: Language, sound: str, broken: str) -> None:
    told = errors(language, [sound, broken])
    assert list(told) == [broken]
    assert told[broken].startswith("at ")


@pytest.mark.parametrize("language", ["logql", "traceql"])
def test_every_query_of_the_docs_can_be_read(language: Language) -> None:
    shown = {
        query: path.name
        for path in sorted((ROOT / "docs").rglob("*.md"))
        for block in re.findall(
            rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
        for query in filter(None, map(str.strip, block.split("\n\n")))
    }
    assert errors(language, shown) == {}
