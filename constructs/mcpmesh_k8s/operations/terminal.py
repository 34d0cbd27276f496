"""This module is what people see: lines, tables, progress, and questions whose answers are not shown.

At a terminal, tables have lines and colours, and what takes long shows that it goes on. Elsewhere, with ``NO_COLOR`` or
with ``TERM=dumb``, all of it is plain lines. What a script reads stands alone on the standard output.
"""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_STYLES = {"ok": "green", "yes": "green", "FAILED": "bold red", "NO": "bold red"}
"""The colours of words that are the whole of a cell."""


class UnreadError(Exception):
    """Nobody reads any more what a command prints."""


@dataclass
class _Screen:
    """What holds for all that is shown while a command runs."""

    only_data: bool = False
    live: Progress | None = None


_screen = _Screen()


def is_fancy(file: TextIO | None = None) -> bool:
    """Whether colours and moving lines are welcome: at a terminal that can, unless ``NO_COLOR`` is set.

    Args:
        file: Where they would be shown; the standard output unless given.
    """
    return (
        (file or sys.stdout).isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    )


def show(line: str = "") -> None:
    """Print a line at once, so that it comes before what the next program prints."""
    if _screen.live:
        _screen.live.console.print(Text(line), soft_wrap=True)
    else:
        _print(line, messages())


def _print(text: str, file: TextIO) -> None:
    try:
        print(text, flush=True, file=file)
    except BrokenPipeError:
        raise UnreadError from None


def show_error(line: str) -> None:
    """Print a line about what went wrong, where it is not taken for an answer."""
    if is_fancy(sys.stderr):
        Console(stderr=True).print(Text("error:", style="bold red"), Text(line), soft_wrap=True)
    else:
        print(f"error: {line}", flush=True, file=sys.stderr)


def messages() -> TextIO:
    """Where words for people go: not between the data that a script reads."""
    return sys.stderr if _screen.only_data else sys.stdout


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, bad: str = "") -> None:
    """Print rows below a head, in columns as wide as they need.

    Args:
        head: The name of each column.
        rows: The cells of each row.
        bad: The column in which every word is bad news.
    """
    if is_fancy(messages()):
        table = Table(box=box.ROUNDED, header_style="bold")
        for name in head:
            table.add_column(name, style="red" if name == bad else "", overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
        (_screen.live.console if _screen.live else Console(file=messages())).print(table)
        return
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, tuple("-" * width for width in widths), *rows):
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_data(answer: DataclassInstance) -> None:
    """Print an answer as JSON, for a script."""
    _print(json.dumps(dataclasses.asdict(answer), indent=2, ensure_ascii=False), sys.stdout)


@contextmanager
def only_data() -> Generator[None]:
    """Keep the standard output for data: words for people, of programs that are called too, go to the other one."""
    before, _screen.only_data = _screen.only_data, True
    try:
        yield
    finally:
        _screen.only_data = before


class Steps:
    """The steps of something that takes long."""

    def __init__(self, live: Progress | None, what: str, total: int | None) -> None:
        self._live = live
        self._begun = False
        self._task = live.add_task(what, total=total) if live else None

    def step(self, what: str) -> None:
        """Say which one begins. The one before has ended."""
        if self._live is not None and self._task is not None:
            self._live.update(self._task, description=what, advance=int(self._begun))
        self._begun = True

    def end(self) -> None:
        """Take it from the screen."""
        if self._live is not None and self._task is not None:
            self._live.remove_task(self._task)


@contextmanager
def progress(what: str, total: int | None = None) -> Generator[Steps]:
    """Show at a terminal, while the block runs, that it goes on, and for how long it has. Elsewhere lines do that.

    Args:
        what: What goes on.
        total: How many steps it has, where that is known.
    """
    outer = _screen.live
    if outer is None and is_fancy(messages()):
        _screen.live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(file=messages()),
            transient=True,
        )
        _screen.live.start()
    steps = Steps(_screen.live, what, total)
    try:
        yield steps
    finally:
        steps.end()
        if outer is None and _screen.live is not None:
            _screen.live.stop()
            _screen.live = None


def is_live() -> bool:
    """Whether lines move at the moment, so that another program must not print between them."""
    return _screen.live is not None


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin.isatty()


def ask_secret(question: str) -> str:
    """The answer to a question, which nobody sees; empty when there is none."""
    try:
        return getpass.getpass(f"{question}: ").strip()
    except EOFError:
        return ""
