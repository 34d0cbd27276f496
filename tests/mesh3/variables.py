"""This module is what the proofs about variables share: how one is changed, and what fails then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mesh3.expected import Variable
from mesh3.stack import Place


def changed(variable: Variable) -> dict[str, Any]:
    """How one is started that lacks a variable, or has another value of it."""
    if variable.instead is None:
        return {"without": [variable.name]}
    return {"variables": {variable.name: variable.instead}}


def failing(checks: Mapping[str, Callable[[], bool]]) -> set[str]:
    """What does not hold."""
    failed = set[str]()
    for name, check in checks.items():
        try:
            well = check()
        except (AssertionError, OSError, KeyError, ValueError):
            well = False
        if not well:
            failed.add(name)
    return failed


def compare(variable: Variable, failed: set[str], place: Place) -> None:
    """What failed is what is expected."""
    expects = set(variable.fails)
    assert failed >= expects if variable.more else failed == expects, place.pod.output
