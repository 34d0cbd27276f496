"""This module is the one thing that is done to PromQL: it is confined to a namespace, for a Prometheus of many."""

from __future__ import annotations

import re

_TEXT = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`"""
_TOKEN = re.compile(
    rf"""(?P<text>{_TEXT})
    | (?P<selector>\{{(?:{_TEXT}|[^}}"'`])*\}})
    | (?P<range>\[[^\]]*\])
    | (?P<labels>\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\))
    | (?P<number>\d[\w.]*)
    | (?P<name>[A-Za-z_:][\w:]*)
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_AGGREGATORS = "avg bottomk count count_values group max min quantile stddev stdvar sum topk"
_OPERATORS = "and or unless bool offset atan2 inf nan group_left group_right"
_WORDS = {*_AGGREGATORS.split(), *_OPERATORS.split()}


def confined(expression: str, namespace: str) -> str:
    """The expression with each of its selectors confined to the series of a namespace.

    Args:
        expression: The PromQL, of one namespace so far.
        namespace: The namespace, in the label ``namespace`` of every series.
    """
    matcher = f'namespace="{namespace}"'
    written: list[str] = []
    for token in _TOKEN.finditer(expression):
        rest = expression[token.end() :].lstrip()
        if token["selector"]:
            given = token[0][1:-1].strip()
            written.append(f"{{{matcher}, {given}}}" if given else f"{{{matcher}}}")
            continue
        written.append(token[0])
        if token["name"] and token["name"].lower() not in _WORDS and not rest.startswith(("(", "{")):
            written.append(f"{{{matcher}}}")
    return "".join(written)
