"""This module is how a picture of a dashboard is tied to what it was drawn from, without anything that draws."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from programs import ROOT

PICTURES = ROOT / "docs/pictures"


def digest(dashboard: dict[str, Any]) -> str:
    """What is drawn of a dashboard: its panels, where they are and what they ask."""
    kept = ("title", "type", "gridPos", "targets", "fieldConfig", "transformations")
    panels = [{key: panel.get(key) for key in kept} for panel in dashboard["panels"]]
    return hashlib.sha256(json.dumps([dashboard["title"], panels], sort_keys=True).encode()).hexdigest()
