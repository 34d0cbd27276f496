"""This module is what becomes pending when something is stopped, written out by hand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that is stopped.

    Args:
        what: What happens, for people.
        stops: What is stopped, by its name in the stack.
        alerts: What becomes pending and nothing else: the alert, and whom it is about.
        killed: Whether it has no time to say so.
    """

    what: str
    stops: str
    alerts: frozenset[tuple[str, str]]
    killed: bool = False


FAULTS: tuple[Fault, ...] = ()
