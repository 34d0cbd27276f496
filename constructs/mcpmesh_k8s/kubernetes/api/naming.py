"""This module is names: those of JSON for those of Python, and the nearest for one that does not exist.

It imports nothing of the library: the generator runs it, too.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable


@functools.cache
def json_name(name: str) -> str:
    """The field of JSON for a keyword of Python, where it follows from it: ``run_as_user`` becomes ``runAsUser``."""
    first, *others = name.rstrip("_").split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def nearest(name: str, known: Iterable[str]) -> str:
    """What to give in the place of a name that does not exist, as a sentence."""
    # ``runAsUser`` and ``external_ips`` are meant for ``run_as_user`` and ``external_i_ps``.
    plain = {each.replace("_", "").lower(): each for each in sorted(known)}
    found = difflib.get_close_matches(name.replace("_", "").lower(), plain, n=1)
    if found:
        return f"Did you mean {plain[found[0]]!r}?"
    return f"Give one of: {', '.join(sorted(plain.values()))}." if 0 < len(plain) < 50 else "No name is near to it."
