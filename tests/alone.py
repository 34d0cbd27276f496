"""This module is what lets one at a time set this folder up: it waits for another, and then becomes the command.

It needs nothing but Python. Two makes that begin at once, each for want of the same environment, would each remove what
the other one makes. The lock ends with the last program that the command has started.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Sequence
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "build/set-up.lock"
HELD = "SET_UP_ALONE"
"""The variable by which the Makefile knows that it has the lock."""


def main(command: Sequence[str]) -> None:
    """Become the command, once nobody else has the lock."""
    try:
        LOCK.parent.mkdir(exist_ok=True)
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        sys.exit(f"What make installs comes into this folder, and it cannot be written to: {error}. Copy it elsewhere.")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("--- waits: another make sets up this folder", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        pass  # a file system without locks
    os.set_inheritable(lock, True)
    os.environ[HELD] = "yes"
    os.execvp(command[0], list(command))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
