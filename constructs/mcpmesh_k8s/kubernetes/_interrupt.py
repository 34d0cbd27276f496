"""This module is how Ctrl-C ends a program that is still being imported: with a word, and not with a traceback."""

from __future__ import annotations

import sys
from types import TracebackType

_otherwise = sys.excepthook


def _is_imported(traceback: TracebackType | None) -> bool:
    """Whether it happened while a module was looked for or run, other than the program's own."""
    begun = traceback
    while traceback:
        code = traceback.tb_frame.f_code
        if code.co_filename.startswith("<frozen importlib") or (code.co_name == "<module>" and traceback is not begun):
            return True
        traceback = traceback.tb_next
    return False


def _say(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt) and _is_imported(traceback):
        print("stopped", file=sys.stderr)
    else:
        _otherwise(kind, error, traceback)


sys.excepthook = _say
