"""This module is the errors of the library: a wrong setting, a wrong tree, and a command that cannot go on."""

from __future__ import annotations

refusals: list[str] = []
"""Where something was refused since Python began: then nobody is told once more that nothing was written."""


class SettingError(ValueError):
    """A setting that cannot be deployed, refused when it is given.

    The message says what was given, where, and what to give instead.

    Args:
        where: The setting, as its owner and field, such as ``Image.tag``.
        given: The value that was refused.
        instead: What to give instead, as a full sentence.
    """

    def __init__(self, where: str, given: object, instead: str) -> None:
        self.where = where
        self.given = given
        self.instead = instead
        super().__init__(f"{where}: {given!r} was given. {instead}")
        refusals.append(where)


class TreeError(ValueError):
    """Everything that is wrong with an application as a whole, found before a file is written.

    Args:
        application: The application's name and output directory.
        problems: One sentence for each problem, each with what to do.
    """

    def __init__(self, application: str, problems: tuple[str, ...]) -> None:
        self.problems = problems
        listing = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{application} was not written; {len(problems)} to mend:\n{listing}")
        refusals.append(application)


class OperationError(Exception):
    """A command cannot go on. The message is one line: what is wrong, and what to do."""
