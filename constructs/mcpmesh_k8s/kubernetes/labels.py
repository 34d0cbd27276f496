"""This module is labels and annotations: how Kubernetes wants them, and which belong to the library."""

from __future__ import annotations

import re

from .errors import SettingError
from .names import MAX_LABEL, dns_subdomain, once

ANNOTATIONS_LIMIT = 256 * 1024
"""Most bytes that all annotations of an object may have together, keys and values (the API server's own limit)."""

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_NAME_RULE = f"letters, digits, '-', '_' and '.', a letter or digit at both ends, at most {MAX_LABEL} characters"

_OWN_LABELS = re.compile(
    r"app\.kubernetes\.io/.*|(batch|apps|statefulset)\.kubernetes\.io/.*"
    r"|pod-template-hash|controller-revision-hash|controller-uid|job-name"
)
_OWN_ANNOTATIONS = re.compile(
    r"argocd\.argoproj\.io/(sync-wave|hook|hook-delete-policy)|checksum/config"
    r"|kubectl\.kubernetes\.io/last-applied-configuration"
)


def label_key(where: str, key: str) -> None:
    """Refuse what is no key of a label or annotation: ``name``, or ``prefix/name`` with a DNS name as prefix."""
    prefix, slash, name = key.rpartition("/")
    if slash:
        dns_subdomain(where, prefix)
    if len(name) > MAX_LABEL or not _NAME.fullmatch(name):
        raise SettingError(where, key, f"Give a name of {_NAME_RULE}; a DNS name and '/' may stand before it.")


def label_value(where: str, value: str) -> None:
    """Refuse what is no value of a label."""
    if len(value) > MAX_LABEL or (value and not _NAME.fullmatch(value)):
        raise SettingError(where, value, f"Give {_NAME_RULE}, or nothing.")


def label_pairs(where: str, labels: tuple[tuple[str, str], ...]) -> None:
    """Refuse labels that the API server would refuse, and a key that is given twice."""
    for key, value in labels:
        label_key(f"{where} key", key)
        label_value(f"{where} value of {key!r}", value)
    once(f"{where} key", [key for key, _ in labels])


def own_labels(where: str, labels: tuple[tuple[str, str], ...]) -> None:
    """Refuse labels that cannot be added to an object: those that the library or Kubernetes gives it."""
    label_pairs(where, labels)
    for key, _ in labels:
        if _OWN_LABELS.fullmatch(key):
            raise SettingError(
                f"{where} key", key, "Selectors, the library or a controller rely on it. Give a key of your own."
            )


def own_annotations(where: str, annotations: tuple[tuple[str, str], ...]) -> None:
    """Refuse annotations that the API server would refuse, and those that the library gives."""
    for key, _ in annotations:
        label_key(f"{where} key", key)
        if _OWN_ANNOTATIONS.fullmatch(key):
            raise SettingError(f"{where} key", key, "The library says it by itself. Give a key of your own.")
    once(f"{where} key", [key for key, _ in annotations])
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations)
    if size > ANNOTATIONS_LIMIT:
        raise SettingError(where, f"{size} bytes", f"An object holds at most {ANNOTATIONS_LIMIT} of them.")
