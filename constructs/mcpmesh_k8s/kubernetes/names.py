"""This module is the rules for names: Kubernetes labels, prefixes and lengths."""

from __future__ import annotations

import re

from .errors import SettingError

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")

MAX_LABEL = 63
"""Longest DNS label, and so the longest Service name (RFC 1123)."""

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
