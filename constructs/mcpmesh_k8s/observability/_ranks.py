"""This module is how parts that are created together get one priority, unless a part has its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from mcpmesh_k8s.kubernetes import WorkloadOptions

S = TypeVar("S", bound=WorkloadOptions)


def ranked(settings: S, priority_class: str) -> S:
    """The same settings, with this priority where they name none."""
    availability = settings.availability
    if availability.priority_class or not priority_class:
        return settings
    return replace(settings, availability=replace(availability, priority_class=priority_class))
