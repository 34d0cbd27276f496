"""This module is the role of a keeper: a component whose program checks values of Secrets, and must be told a new one.

A component becomes a `Keeper` by one method, ``rotation``. The command that rotates finds keepers in the tree and knows
none by name. It calls, in this order: ``admit``, then the value goes into the Secret and its readers begin to restart,
``replace``, and once they run with the new value ``dismiss``. Each can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from .store import Side
from .values import dataclass
from .variable import SecretKey


@dataclass(kw_only=True)
class Rotation:
    """How a program takes a new value of one of its keys: unless a subclass knows more, it is told when it restarts.

    Args:
        side: Where the program runs.
        keys: The keys of the Secret that change together, such as a user's name and password.
        meanwhile: What those who use the key must bear, in words.
        restarts: Whether the program's own pod reads the key when it starts, and so must be restarted.
    """

    side: Side
    keys: tuple[str, ...]
    meanwhile: str
    restarts: bool = False

    @property
    def programs(self) -> Mapping[str, str]:
        """The programs that must be on this machine, and for each what to do where it is missing."""
        return {}

    def admit(self, new: Mapping[str, str]) -> None:
        """Let the new value in beside the old one; at least see that the program answers. The Secret has the old one.

        Raises:
            OperationError: The program does not answer, or refuses.
        """

    def replace(self, new: Mapping[str, str]) -> None:
        """Put the new value in the place of the old one. The Secret has it, and its readers begin to restart.

        Raises:
            OperationError: The program does not answer, or refuses.
        """

    def dismiss(self, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Let in who has the new value, and nobody else. All readers have it.

        Raises:
            OperationError: The program does not answer, or refuses.
        """


@runtime_checkable
class Keeper(Protocol):
    """A component whose program checks values of Secrets."""

    def rotation(self, key: SecretKey, side: Side) -> Rotation | None:
        """How it takes a new value of this key; None where it does not check it.

        Raises:
            OperationError: The value cannot change; the message says what to do instead.
        """
        ...
