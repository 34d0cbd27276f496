"""This module is programs that stand in for docker, kubectl, minikube, sudo and mc: they record, and answer as told.

A call that no answer was given for fails, so that a test knows every program that is run and every argument.
"""

from __future__ import annotations

import re
import sys
from ast import literal_eval
from dataclasses import dataclass
from pathlib import Path

# It starts some thousand times, and most of that is what it imports.
_PROGRAM = """\
#!{python} -IS
import os, re, sys
folder = os.path.dirname(os.path.abspath(__file__))
program, arguments = os.path.basename(__file__), sys.argv[1:]
with open(folder + "/answers") as file:
    answers = eval(file.read())
line = " ".join(arguments)
text = "" if sys.stdin.isatty() else sys.stdin.read()
seen = {{name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ}}
with open(folder + "/calls", "a") as file:
    file.write(repr(dict(program=program, arguments=arguments, stdin=text, environment=seen)) + "\\n")
for answer in answers:
    if answer["program"] == program and re.search(answer["pattern"], line):
        times = answer.get("times")
        if times is not None:
            if times == 0:
                continue
            answer["times"] = times - 1
            with open(folder + "/answers", "w") as file:
                file.write(repr(answers))
        sys.stdout.write(answer["stdout"])
        sys.stdout.flush()
        sys.stderr.write(answer["stderr"])
        for source, target in answer["copies"]:
            with open(arguments[source]) as old, open(arguments[target], "w") as new:
                new.write(old.read())
        if answer["seconds"]:
            import time
            time.sleep(answer["seconds"])
        sys.exit(answer["status"])
sys.exit("unexpected call: " + program + " " + line)
"""


@dataclass(frozen=True)
class Call:
    """One call of a program."""

    program: str
    arguments: list[str]
    stdin: str
    environment: dict[str, str]

    @property
    def line(self) -> str:
        return " ".join([self.program, *self.arguments])


class StandIns:
    """Programs in a folder that a test puts on PATH.

    Args:
        folder: The folder, which is made.
        programs: The programs that are there. The others are missing.
    """

    def __init__(self, folder: Path, *programs: str) -> None:
        self.folder = folder
        self._answers: list[dict[str, object]] = []
        folder.mkdir()
        for program in programs:
            (folder / program).write_text(_PROGRAM.format(python=sys.executable))
            (folder / program).chmod(0o755)
        self._write()

    def answer(
        self,
        program: str,
        pattern: str,
        stdout: str = "",
        *,
        stderr: str = "",
        status: int = 0,
        seconds: float = 0,
        times: int | None = None,
        copies: tuple[tuple[int, int], ...] = (),
    ) -> None:
        """Answer calls whose arguments match. The answer that was given last wins.

        Args:
            program: Which program.
            pattern: A regular expression that the arguments, with blanks between them, must contain.
            stdout: What it prints.
            stderr: What it complains.
            status: Its exit status.
            seconds: How long it takes.
            times: How often it answers so; always unless given.
            copies: Files that it copies, by the numbers of the arguments that name them.
        """
        re.compile(pattern)
        new = {"program": program, "pattern": pattern, "stdout": stdout, "stderr": stderr, "status": status}
        self._answers.insert(0, {**new, "seconds": seconds, "times": times, "copies": copies})
        self._write()

    def _write(self) -> None:
        (self.folder / "answers").write_text(repr(self._answers))

    @property
    def calls(self) -> list[Call]:
        """Every call, in its order."""
        path = self.folder / "calls"
        return [Call(**literal_eval(line)) for line in path.read_text().splitlines()] if path.exists() else []

    def lines(self, program: str = "") -> list[str]:
        """The command lines of one program, or of all."""
        return [call.line for call in self.calls if program in ("", call.program)]
