"""This module is how what was rendered is read: by libyaml where PyYAML has it, in a tenth of the time."""

from __future__ import annotations

import json
import pickle
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from mcpmesh_k8s import Application

Manifest = dict[str, object]


def read_manifests(folder: Path) -> list[Manifest]:
    """All objects of a folder's YAML files, in the order they are applied."""
    files = sorted(folder.glob("*.yaml"))
    assert files, f"{folder} holds no YAML: run `make synth`"
    return [document for path in files for document in documents_of(path.read_text(encoding="utf-8"))]


def documents_of(text: str) -> list[Any]:
    """The documents of a YAML text, anew each time: whoever changes them changes nothing for others."""
    found: list[Any] = pickle.loads(_read_once(text))
    return found


@cache
def _read_once(text: str) -> bytes:
    """What lies in dist/ is read by many: from a pickle it takes a tenth of the time."""
    return pickle.dumps(list(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))))


def objects_of(application: Application) -> list[Manifest]:
    """All objects of an application as its files would hold them. None is written: it takes Node long to write YAML."""
    found: list[Manifest] = json.loads(json.dumps([one for phase in application.manifests().values() for one in phase]))
    return found
