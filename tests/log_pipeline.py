"""This module reads the configuration of Alloy as rendered, and does to lines what its stages do.

Alloy cannot run in the tests. What is here is written after its documentation, and was compared with its own stages
over all of ``log_samples.yaml``. Whatever the configuration has that is not known here is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mesh_harness import Manifest

Value: TypeAlias = "str | float | list[Value] | dict[str, Value] | Reference"

_TOKEN = re.compile(
    r"""\s+|//[^\n]*|(?P<name>[A-Za-z_][\w.]*)|(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>\d+(?:\.\d+)?)"""
    r"""|(?P<sign>[{}\[\]=,])"""
)


@dataclass(frozen=True)
class Reference:
    """A name that stands for what another part gives."""

    name: str


@dataclass
class Block:
    """A part of the configuration, or of one."""

    kind: str
    label: str = ""
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    blocks: list[Block] = field(default_factory=list["Block"])

    def text(self, name: str) -> str:
        """A value that is a text."""
        value = self.values[name]
        assert isinstance(value, str), (self.kind, name, value)
        return value

    def texts(self, name: str) -> dict[str, str]:
        """A value that is an object of texts. An empty one stands for its name."""
        value = self.values[name]
        assert isinstance(value, dict)
        return {key: text or key for key, text in value.items() if isinstance(text, str)}

    def names(self, name: str) -> list[str]:
        """A value that is a list of texts, or of references."""
        value = self.values[name]
        assert isinstance(value, list), (self.kind, name, value)
        return [one.name if isinstance(one, Reference) else str(one) for one in value]

    def every(self) -> Iterator[Block]:
        """It, and all that is inside."""
        yield self
        for block in self.blocks:
            yield from block.every()


def parse(text: str) -> Block:
    """The configuration, as a block that holds all."""
    tokens = list(_tokens(text))
    position = 0

    def take(expected: str = "") -> str:
        nonlocal position
        kind, token = tokens[position]
        assert not expected or expected in (kind, token), f"{token!r} in the place of {expected!r}"
        position += 1
        return token

    def value() -> Value:
        kind, token = tokens[position]
        if kind == "string":
            return _unquoted(take())
        if kind == "number":
            return float(take())
        if kind == "name":
            return Reference(take())
        if take() == "[":
            items: list[Value] = []
            while tokens[position][1] != "]":
                items.append(value())
                if tokens[position][1] != "]":
                    take(",")
            take("]")
            return items
        assert token == "{", token
        held: dict[str, Value] = {}
        while tokens[position][1] != "}":
            name = take("name")
            take("=")
            held[name] = value()
            if tokens[position][1] != "}":
                take(",")
        take("}")
        return held

    def body(block: Block) -> Block:
        while tokens[position][1] not in ("}", ""):
            name = take("name")
            if tokens[position][1] == "=":
                take()
                assert name not in block.values, f"{name} is there twice"
                block.values[name] = value()
                continue
            label = _unquoted(take()) if tokens[position][0] == "string" else ""
            take("{")
            block.blocks.append(body(Block(name, label)))
            take("}")
        return block

    whole = body(Block(""))
    assert position == len(tokens) - 1, tokens[position]
    return whole


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        assert found, f"Alloy does not read {text[at : at + 30]!r}"
        at = found.end()
        if found.lastgroup:
            yield found.lastgroup, found[0]
    yield "end", ""


def _unquoted(token: str) -> str:
    return token[1:-1] if token.startswith("`") else str(json.loads(token))


@dataclass
class Line:
    """A line on its way."""

    text: str
    labels: dict[str, str]
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    extracted: dict[str, object] = field(default_factory=dict[str, object])
    metrics: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def level(self) -> str:
        """Its label of this name."""
        return self.labels.get("level", "")


@dataclass(frozen=True)
class Pipeline:
    """What becomes of lines."""

    stages: Sequence[Block]

    @staticmethod
    def of(manifests: Sequence[Manifest]) -> Pipeline:
        """That of an environment."""
        parts = parse(configuration(manifests)).blocks
        (process,) = (part for part in parts if part.kind == "loki.process")
        return Pipeline(process.blocks)

    def read(self, app: str, container: str, text: str) -> list[Line]:
        """What is stored of what a container logs."""
        labels = {"app": app, "pod": f"{app}-1", "container": container, "job": "loki.source.kubernetes.pods"}
        return _run(self.stages, [Line(line, dict(labels)) for line in text.splitlines()])


def configuration(manifests: Sequence[Manifest]) -> str:
    """Alloy's configuration."""
    (text,) = (m["data"]["config.alloy"] for m in manifests if "config.alloy" in m.get("data", ()))
    assert isinstance(text, str)
    return text


def _run(stages: Sequence[Block], lines: list[Line]) -> list[Line]:
    for line in lines:
        line.extracted.update(line.labels)
    for stage in stages:
        lines = STAGES[stage.kind](stage, lines)
    return lines


def _each(change: Callable[[Block, Line], None]) -> Callable[[Block, list[Line]], list[Line]]:
    def run(stage: Block, lines: list[Line]) -> list[Line]:
        for line in lines:
            change(stage, line)
        return lines

    return run


def _multiline(stage: Block, lines: list[Line]) -> list[Line]:
    first = re.compile(stage.text("firstline"))
    joined: list[Line] = []
    for line in lines:
        if not first.search(line.text) and joined:
            joined[-1].text += f"\n{line.text}"
        else:
            joined.append(line)
    return joined


def _replace(stage: Block, line: Line) -> None:
    def changed(found: re.Match[str]) -> str:
        start, end = (place - found.start() for place in found.span(1))
        return found[0][:start] + stage.text("replace") + found[0][end:]

    assert re.compile(stage.text("expression")).groups == 1
    line.text = re.sub(stage.text("expression"), changed, line.text)


def _match(stage: Block, lines: list[Line]) -> list[Line]:
    matches = selector(stage.text("selector"))
    return [read for line in lines for read in (_run(stage.blocks, [line]) if matches(line) else [line])]


def selector(text: str) -> Callable[[Line], bool]:
    """Whether a selector with filters of the line takes a line."""
    quoted = r'"((?:[^"\\]|\\.)*)"'
    matcher, line_filter = rf"(\w+)(=~|!~|!=|=){quoted}", rf"(\|~|!~) ?{quoted}"
    whole = re.fullmatch(r"\{(.*?[^\\])\}((?: (?:\|~|!~).*)?)", text)
    assert whole, text
    matchers, filters = re.findall(matcher, whole[1]), re.findall(line_filter, whole[2])
    assert text == (
        "{"
        + ", ".join(f'{name}{sign}"{value}"' for name, sign, value in matchers)
        + "}"
        + "".join(f' {sign} "{value}"' for sign, value in filters)
    ), text

    def holds(sign: str, value: str, given: str) -> bool:
        value = str(json.loads(f'"{value}"'))
        found = re.fullmatch(value, given) is not None if "~" in sign else value == given
        return found != sign.startswith("!")

    def takes(line: Line) -> bool:
        return all(holds(sign, value, line.labels.get(name, "")) for name, sign, value in matchers) and all(
            bool(re.search(str(json.loads(f'"{value}"')), line.text)) == (sign == "|~") for sign, value in filters
        )

    return takes


def _json(stage: Block, line: Line) -> None:
    try:
        data = json.loads(line.text)
    except ValueError:
        return
    if isinstance(data, dict):
        for name, expression in stage.texts("expressions").items():
            # JMESPath: the first that is neither empty, nor false, nor missing.
            found = [data.get(key) for key in expression.split(" || ")]
            line.extracted[name] = next((one for one in found if one not in (None, "", False, [], {})), found[-1])


def _logfmt(stage: Block, line: Line) -> None:
    wanted = {key: name for name, key in stage.texts("mapping").items()}
    rest = line.text
    while pair := re.match(r'[\x00- ]*([^\x00- ="]+)(?:=("(?:[^"\\]|\\.)*"|[^\x00- ="]*))?(?=[\x00- ]|$)', rest):
        key, value = pair[1], pair[2] or ""
        rest = rest[pair.end() :]
        if key in wanted:
            line.extracted[wanted[key]] = json.loads(value) if value.startswith('"') else value


def _regex(stage: Block, line: Line) -> None:
    if found := re.search(stage.text("expression"), line.text):
        line.extracted.update({name: text or "" for name, text in found.groupdict().items()})


def _known(stage: Block, line: Line) -> dict[str, str]:
    """What was found for the names of a stage. What is nothing is left out."""
    found = {name: line.extracted.get(source) for name, source in stage.texts("values").items()}
    return {name: str(value) for name, value in found.items() if value is not None}


def _labels(stage: Block, line: Line) -> None:
    line.labels.update(_known(stage, line))


def _static_labels(stage: Block, line: Line) -> None:
    line.labels.update(stage.texts("values"))


def _label_drop(stage: Block, line: Line) -> None:
    for name in stage.names("values"):
        line.labels.pop(name, None)


def _structured_metadata(stage: Block, line: Line) -> None:
    line.metadata.update(_known(stage, line))


def _metrics(stage: Block, line: Line) -> None:
    for gauge in stage.blocks:
        assert (gauge.kind, gauge.text("action")) == ("metric.gauge", "set")
        line.metrics[gauge.text("prefix") + gauge.text("name")] = float(str(line.extracted[gauge.text("source")]))


STAGES: dict[str, Callable[[Block, list[Line]], list[Line]]] = {
    "stage.match": _match,
    "stage.multiline": _multiline,
    "stage.json": _each(_json),
    "stage.logfmt": _each(_logfmt),
    "stage.regex": _each(_regex),
    "stage.replace": _each(_replace),
    "stage.labels": _each(_labels),
    "stage.static_labels": _each(_static_labels),
    "stage.label_drop": _each(_label_drop),
    "stage.structured_metadata": _each(_structured_metadata),
    "stage.metrics": _each(_metrics),
}
