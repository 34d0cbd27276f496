"""This module is the proof that agents are data: a fifth one is added in a copy, as CONTRIBUTING.md says."""

from __future__ import annotations

import filecmp
import inspect
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import facets
from ai_interviewer import AiInterviewer
from conftest import ROOT, Manifest, Manifests, read_manifests
from environments import EVERY, OWN, WITH_MESH
from mcpmesh_k8s.kubernetes.manifest import at, each, name_of

SETTINGS, CONNECTIONS = "constructs/ai_interviewer/services.py", "constructs/ai_interviewer/application.py"


def steps() -> list[str]:
    """The lines that CONTRIBUTING.md adds, one text a file."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Add an agent\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    return [
        textwrap.dedent(step) for step in re.findall(r"^ *```python\n(.*?)^ *```$", section, re.MULTILINE | re.DOTALL)
    ]


def insert(file: Path, added: str, before: str) -> None:
    """Add lines before a place that is there once, indented as a part of what ends there."""
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"the end of what is added to is not found in {file.name}"
    file.write_text(text.replace(before, textwrap.indent(added, " " * 8) + before), encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with a fifth agent, and what it renders."""
    folder = tmp_path_factory.mktemp("copy")
    for part in ("constructs", "imports"):
        # What is compiled already comes along: to do it again takes as long as to render.
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("*.egg-info"))
    shutil.copy(ROOT / "main.py", folder)
    settings, connections = steps()
    insert(folder / SETTINGS, f"{settings.rstrip()},\n", "    )\n\n\nANTHROPIC = ")
    insert(folder / CONNECTIONS, connections, "\n\nclass ArgoCd(")
    result = subprocess.run(
        [sys.executable, "main.py"], cwd=folder, env={**os.environ}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return folder


def different(left: Path, right: Path) -> list[str]:
    """Every file of the copy that is not as it was."""
    names = [path.relative_to(right) for path in right.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    same, _, _ = filecmp.cmpfiles(left, right, names, shallow=False)
    return sorted({str(name) for name in names} - {str(name) for name in same})


def test_a_fifth_agent_is_one_value_and_its_connections_in_two_files(copy: Path) -> None:
    changed = [name for part in ("constructs", "imports") for name in different(ROOT / part, copy / part)]
    assert changed == [name.removeprefix("constructs/") for name in sorted((SETTINGS, CONNECTIONS))]


@pytest.mark.parametrize("environment", EVERY)
def test_the_fifth_agent_runs_in_every_environment(copy: Path, manifests: Manifests, environment: str) -> None:
    before, after = manifests(environment), read_manifests(copy / "dist" / environment)
    assert kinds_and_names(after) - kinds_and_names(before) == {
        (kind, "ai-interviewer-file-agent") for kind in ("ServiceAccount", "Deployment", "Service", "NetworkPolicy")
    }
    assert kinds_and_names(before) <= kinds_and_names(after)
    (deployment,) = (m for m in after if (m["kind"], name_of(m)) == ("Deployment", "ai-interviewer-file-agent"))
    (container,) = each(deployment, "spec", "template", "spec", "containers")
    registry = "" if environment in OWN else "registry.example.com/ai-interviewer/"
    assert container["image"] == f"{registry}ai-interviewer-file-agent:1.0.0"
    assert at(container, "resources", "requests")["cpu"] == ("100m" if environment in OWN else "200m")


@pytest.mark.parametrize("environment", EVERY)
def test_the_fifth_agent_is_connected_as_it_is_said_and_no_further(copy: Path, environment: str) -> None:
    rows = facets.connections(read_manifests(copy / "dist" / environment))
    clients = ["backend 8090", *(["nginx-gateway 8090"] if environment in WITH_MESH else []), "prometheus 8090"]
    assert rows["file-agent"] == {"ingress": clients, "egress": ["redis 6379", "registry 8000"]}


def kinds_and_names(manifests: list[Manifest]) -> set[tuple[str, str]]:
    return {(str(manifest["kind"]), name_of(manifest)) for manifest in manifests}


def test_services_routes_and_connections_are_on_one_screen() -> None:
    lines = inspect.getsource(AiInterviewer.__init__).splitlines()
    assert len(lines) <= 60
    parts = [line.strip().rstrip(".").partition(":")[0] for line in lines if line.startswith("        # ")]
    assert [part for part in parts if part in ("# Services", "# Routes", "# Connections")] == [
        "# Services",
        "# Routes",
        "# Connections",
    ]
