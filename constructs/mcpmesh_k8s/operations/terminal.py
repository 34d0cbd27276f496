"""This module is what people see: lines, tables, and questions whose answers are not shown."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence


def show(line: str = "") -> None:
    """Print a line at once, so that it comes before what the next program prints."""
    print(line, flush=True)


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below a head, in columns as wide as they need."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, tuple("-" * width for width in widths), *rows):
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin.isatty()


def ask_secret(question: str) -> str:
    """The answer to a question, which nobody sees."""
    return getpass.getpass(f"{question}: ").strip()
