"""This module is enumerations whose members say what they mean, to ``help()`` and to editors too."""

from __future__ import annotations

from enum import Enum


class Choice(Enum):
    """An enumeration of texts. A member is a value and what it means: ``SYNC = "Sync", "With the others."``."""

    _value_: str

    def __new__(cls, value: str, meaning: str) -> Choice:
        """Make a member, documented."""
        member = object.__new__(cls)
        member._value_ = value
        member.__doc__ = meaning
        return member
