"""This module is the rules for names: Kubernetes labels, prefixes and lengths."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .errors import SettingError

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")

MAX_KEY = 253
"""Longest key of a ConfigMap or a Secret."""
_KEY = re.compile(rf"[-._a-zA-Z0-9]{{1,{MAX_KEY}}}")

MAX_LABEL = 63
"""Longest DNS label, and so the longest Service name (RFC 1123)."""

MAX_SUBDOMAIN = 253
"""Longest DNS name, and so the longest name of most objects (RFC 1123)."""

MAX_STATEFUL_SET = 52
"""Longest StatefulSet name: its pods carry the label ``controller-revision-hash``, name, dash and ten characters."""


def dns_label(where: str, name: str, longest: int = MAX_LABEL) -> str:
    """Return the name when it is a DNS label that fits, else raise a SettingError."""
    if not _LABEL.fullmatch(name):
        raise SettingError(
            where,
            name,
            "Give a DNS label: lower-case letters, digits and inner dashes, such as 'pdf-extractor'.",
        )
    if len(name) > longest:
        raise SettingError(where, name, f"It has {len(name)} characters; give at most {longest}.")
    return name


def dns_subdomain(where: str, name: str) -> str:
    """Return the name when it is a DNS name, as most objects have one, else raise a SettingError."""
    if len(name) > MAX_SUBDOMAIN or not _SUBDOMAIN.fullmatch(name):
        raise SettingError(
            where,
            name,
            f"Give a DNS name: labels of lower-case letters, digits and inner dashes with dots between them, at most "
            f"{MAX_SUBDOMAIN} characters.",
        )
    return name


def data_key(where: str, key: str) -> str:
    """Return the key when a ConfigMap or a Secret can have it, else raise a SettingError."""
    if not _KEY.fullmatch(key) or key in (".", "..") or key.startswith(".."):
        raise SettingError(where, key, f"Give letters, digits, '-', '_', '.', at most {MAX_KEY} characters.")
    return key


def once(where: str, values: Sequence[str | int]) -> None:
    """Refuse a value that is given twice."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise SettingError(where, value, "It is given twice. Give each one its own.")


def one_line(where: str, text: str, advice: str) -> None:
    """Refuse what says nothing to people, or is more than a line."""
    if not text.strip() or not text.isprintable():
        raise SettingError(where, text, advice)


def url_path(where: str, path: str) -> None:
    """Refuse what no client asks for as it stands."""
    if not path.startswith("/") or not path.isprintable() or " " in path:
        raise SettingError(where, path, "Give a path without blanks, such as '/health'.")
