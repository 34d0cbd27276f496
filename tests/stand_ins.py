"""This module is programs that stand in for docker, kubectl, minikube, sudo and mc: they record, and answer as told.

A call that no answer was given for fails, so that a test knows every program that is run and every argument.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# It starts some thousand times, and a shell that starts nothing does so in a tenth of the time of a Python. Nothing
# but it may be on PATH, so it asks for the others by `command -p`, and for `cat` only where there is something to read.
_PROGRAM = """\
#!/bin/sh
folder=${0%/*} program=${0##*/} line="$*" number=
exec 3>"$folder/stdin.$$"
if [ -t 0 ] || [ /dev/stdin -ef /dev/null ]; then :
elif [ -s /dev/stdin ]; then command -p cat >&3
elif IFS= read -r first; then printf '%s\\n' "$first" >&3; command -p cat >&3
else printf %s "$first" >&3
fi
exec 3>&-
printf '%s\\0' "$program" "$$" "${DOCKER_HOST+set}" "${DOCKER_HOST-}" "$#" "$@" >>"$folder/calls"
given() { read -r times <"$folder/given.$1"; [ "${#times}" -lt "$2" ]; }
. "$folder/answers"
[ -n "$number" ] || { printf '%s\\n' "unexpected call: $program $line" >&2; exit 1; }
"answer_$number" "$@"
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
        self._answers = 0
        folder.mkdir()
        for program in programs:
            (folder / program).write_text(_PROGRAM)
            (folder / program).chmod(0o755)
        (folder / "answers").touch()

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
            pattern: A regular expression that the arguments, with blanks between them, must contain: see `globs`.
            stdout: What it prints.
            stderr: What it complains.
            status: Its exit status.
            seconds: How long it takes.
            times: How often it answers so; always unless given.
            copies: Files that it copies, by the numbers of the arguments that name them.
        """
        number = self._answers
        asked = "|".join(f"{program}:{glob}" for glob in globs(pattern))
        then = f"number={number}"
        steps = [f"printf %s {shlex.quote(stdout)}", f"printf %s {shlex.quote(stderr)} >&2"]
        if times is not None:
            (self.folder / f"given.{number}").touch()
            then = f"if given {number} {times}; then {then}; fi"
            steps.insert(0, f'printf x >>"$folder/given.{number}"')
        steps += [f'command -p cp "${{{source + 1}}}" "${{{target + 1}}}"' for source, target in copies]
        if seconds:
            assert status == 0, "it becomes a `sleep`, so that whoever stops it stops all of it"
            steps.append(f"PATH=/usr/bin:/bin exec sleep {seconds}")
        with (self.folder / "answers").open("a") as answers:
            answers.write(f"case $program:$line in {asked}) {then};; esac\n")
            answers.write("\n".join([f"answer_{number}() {{", *steps, f"exit {status}", "}", ""]))
        self._answers += 1

    @property
    def calls(self) -> list[Call]:
        """Every call, in its order."""
        path, calls = self.folder / "calls", list[Call]()
        words = iter(path.read_text().split("\0")[:-1] if path.exists() else ())
        for program in words:
            process, is_set, docker, count = (next(words) for _ in range(4))
            arguments = [next(words) for _ in range(int(count))]
            stdin = (self.folder / f"stdin.{process}").read_text()
            environment = {"DOCKER_HOST": docker} if is_set else {}
            calls.append(Call(program, arguments, stdin, environment))
        return calls

    def lines(self, program: str = "") -> list[str]:
        """The command lines of one program, or of all."""
        return [call.line for call in self.calls if program in ("", call.program)]


@cache
def globs(pattern: str) -> list[str]:
    """What contains a regular expression, as patterns of a shell: it compares by them itself, and starts no program.

    Of regular expressions it may have `^` at the beginning, `$` at the end, `.*`, choices such as `(a|b)`, and a
    backslash before what is meant as it is. Any other dot is one.
    """
    found = [""]
    for choice, every, meant, plain in re.findall(r"\(([^()]*)\)|(\.\*)|\\(\W)|(.)", pattern.strip("^$")):
        assert not plain or plain not in "*+?[](){}^$|\\", f"a shell has no {plain}: {pattern}"
        parts = ["*"] if every else map(shlex.quote, choice.split("|") if choice else (meant or plain))
        found = [begun + part for part in parts for begun in found]
    before, after = ("" if pattern.startswith("^") else "*"), ("" if pattern.endswith("$") else "*")
    return [f"{before}{one}{after}" for one in found]
