"""This module is what Ctrl-C does while modules are imported, which takes a second: a word, and no traceback.

Whoever has imported them answers it as they like. What else nobody catches is told as before.
"""

from __future__ import annotations

import sys
from types import TracebackType

_before = sys.excepthook


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt) and _imports(trace):
        print("stopped", file=sys.stderr)
    else:
        _before(kind, error, trace)


def _imports(trace: TracebackType | None) -> bool:
    """Whether a module was being imported."""
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
            return True
        trace = trace.tb_next
    return False


sys.excepthook = _told
