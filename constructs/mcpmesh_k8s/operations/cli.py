"""This module is the command line of an application: `python -m NAME COMMAND ENV`, which `make k8s-…` calls.

Exit statuses: 0 done, 1 the cluster, this machine or what was found says no, 2 wrong usage, 3 a change without consent,
130 stopped by Ctrl-C, 141 nobody reads what is printed any more.
"""

from __future__ import annotations

import functools
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperGroup

from mcpmesh_k8s.kubernetes import SettingError, TreeError

from .commands import COMMANDS
from .environment import Environment, check_environments
from .makefile import make_variable, makefile
from .programs import ConsentError, OperationError, UsageError
from .terminal import UnreadError, is_fancy, show, show_error

NO, USAGE, NO_CONSENT, STOPPED, UNREAD = 1, 2, 3, 130, 141
"""How a command ends when it cannot go on, was misused, lacks consent, after Ctrl-C, and when nobody reads it."""

STATUSES = (
    "Exit status: 0 done, 1 the cluster says no, 2 wrong usage, 3 a change without consent, 130 stopped by Ctrl-C, "
    "141 nobody reads the output."
)


class GroupedCommands(TyperGroup):
    """Commands whose plain help has the groups that the one for terminals has."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each group."""
        for group in dict.fromkeys(one.group for one in COMMANDS):
            with formatter.section(group):
                formatter.write_dl(
                    [(one.name, summary(one.function.__doc__)) for one in COMMANDS if one.group == group]
                )


def summary(text: str | None) -> str:
    """The first line of a docstring."""
    return (text or "").strip().partition("\n")[0]


def command_line(program: str, environments: Sequence[Environment]) -> typer.Typer:
    """The command line of an application.

    Args:
        program: What people type. A shell can complete it when it is one word.
        environments: Every environment that can be operated.
    """
    names = ", ".join(one.name for one in environments)
    app = typer.Typer(
        cls=GroupedCommands,
        help=f"Operate the environments: {names}.",
        epilog=STATUSES,
        rich_markup_mode="rich" if is_fancy() else None,
        add_completion=" " not in program,
    )
    for one in COMMANDS:
        examples = "; ".join(f"{program} {one.name} {example}" for example in one.examples)
        app.command(one.name, rich_help_panel=one.group, epilog=f"For example: {examples}")(guarded(one.function))

    @app.command("makefile", hidden=True)
    def _() -> None:
        """Print the make targets of these commands."""
        show(makefile(environments).rstrip("\n"))

    return app


def guarded(function: Callable[..., None]) -> Callable[..., None]:
    """A command for Typer, which takes every broken pipe for the one that the command itself prints to."""

    @functools.wraps(function)
    def call(*arguments: object, **named: object) -> None:
        try:
            function(*arguments, **named)
        except BrokenPipeError as error:
            raise OperationError(f"A program ended before it had read all that it was given: {error}") from None

    return call


def main(program: str, environments: Sequence[Environment], arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status.

    Args:
        program: What people type, for the help.
        environments: Every environment that can be operated.
        arguments: The command line; the process's own unless given.
    """
    try:
        check_environments(environments)
    except SettingError as error:
        show_error(str(error))
        return NO
    return run(command_line(program, environments), program, arguments, environments)


def run(
    app: typer.Typer,
    program: str,
    arguments: Sequence[str] | None = None,
    environments: Sequence[Environment] | None = None,
) -> int:
    """Run a command line, and return its exit status. What goes wrong is told in one line.

    Args:
        app: The command line.
        program: What people type.
        arguments: What they typed; the process's own unless given.
        environments: What the operator's commands find in their context; none for another command line.
    """
    typed = sys.argv[1:] if arguments is None else list(arguments)
    for shown in (sys.stdout, sys.stderr):
        # A sign that a terminal does not know is no reason to stop half way.
        if isinstance(shown, io.TextIOWrapper):
            shown.reconfigure(errors="backslashreplace")
    try:
        status = typer.main.get_command(app).main(
            typed or ["--help"], prog_name=program, standalone_mode=False, obj=environments
        )
        sys.stdout.flush()
    except KeyboardInterrupt:  # before Typer looks for it
        status = STOPPED
    except typer.TyperException as error:
        message = " ".join(error.format_message().split()).replace("Value error, ", "")
        show_error(message if environments is None else with_make_variable(message))
        return error.exit_code
    except OperationError as error:
        show_error(str(error))
        return USAGE if isinstance(error, UsageError) else NO_CONSENT if isinstance(error, ConsentError) else NO
    except (UnreadError, BrokenPipeError, SystemExit):  # the last is Typer's way, when nobody reads its help
        # What is still to be written would fail once more when Python ends.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except (SettingError, TreeError, OSError, UnicodeError) as error:
        show_error(str(error))
        return NO
    if status == STOPPED:
        print("stopped", file=sys.stderr)
    if not typed:
        return USAGE
    return status if isinstance(status, int) else 0


def with_make_variable(message: str) -> str:
    """A message; about an option, with the make variable that stands for it."""
    options = re.findall(r"'--([a-z-]+)'", re.split(r"[:.] ", message)[0])
    return f"{message} (make: {make_variable(options[0])}=…)" if options else message
