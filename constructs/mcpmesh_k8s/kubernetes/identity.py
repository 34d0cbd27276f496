"""This module is how a program is told who asks: by headers that a gateway sets and no client can."""

from __future__ import annotations

import re

from .errors import SettingError
from .values import dataclass
from .variable import Variable

EMAIL_HEADER = "X-Auth-Request-Email"
NAME_HEADER = "X-Auth-Request-Name"
ROLE_HEADER = "X-Auth-Request-Role"
"""What a gateway tells of a person: the address, the name, and whether they administrate."""


@dataclass(frozen=True, kw_only=True)
class IdentityHeaders:
    """A program that believes headers: `X-Auth-Request-Email`, `-Name` and `-Role`.

    Whoever is let in by a policy could send them. So it believes them only where a gateway says who asks.

    Args:
        administrator: What the program calls an administrator, in the header of the role.
        other: What it calls anyone else.
        variables: What makes the program believe the headers. A gateway that sends them sets it.
    """

    administrator: str
    other: str
    variables: tuple[Variable, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no word."""
        for field in ("administrator", "other"):
            if not re.fullmatch(r"[A-Za-z][\w-]*", getattr(self, field)):
                raise SettingError(f"IdentityHeaders.{field}", getattr(self, field), "Give a word, such as 'Admin'.")
