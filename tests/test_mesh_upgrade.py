"""This module is the way from MCP Mesh 0.5 to 3, walked: what is rendered, and what becomes of the registry's database.

The database is that of a registry 0.5.3, as it was recorded. The registry that takes it over is real.
`make test-mesh` has agents of 0.5.3 beside it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from conftest import read_manifests
from mcpmesh_k8s import Mesh as MeshChoice
from mcpmesh_k8s import MeshRelease
from mcpmesh_k8s.operations.upgrade import breaking_changes
from mesh3 import application
from mesh3.stack import Mesh
from mesh_harness import Manifest, eventually
from processes import START

RECORDED = Path(__file__).parent / "mesh3/registry-0.5.3.sql"
AGENTS = {"stock-817842f6", "prices-f3d6b303", "web-api-5750ce27"}
"""Whom the registry of 0.5.3 knew."""

DATABASE = "postgresql:///mcpmesh?user=postgres"


@pytest.fixture
def mesh(needs_postgresql: Path, needs_mesh_registry: Path, tmp_path: Path) -> Generator[Mesh, None, None]:
    """PostgreSQL with the database of a registry 0.5.3, which belongs to the role that the registry logs in as."""
    with ExitStack() as stack:
        mesh = Mesh(stack, tmp_path, tmp_path, MeshRelease.V0_5)
        stack.callback(mesh.stores["PostgreSQL"].off)
        mesh.stores["PostgreSQL"].on()
        load(mesh)
        mesh.begin_with(MeshRelease.V3, tmp_path)
        yield mesh


def load(mesh: Mesh) -> None:
    """The recorded database, as its registry made it."""
    owned = f"SET ROLE mcpmesh; SET search_path = public;\n{RECORDED.read_text()}"
    done = mesh.postgres.psql(owned, url=DATABASE)
    assert done.returncode == 0, done.stderr


def dump(mesh: Mesh) -> str:
    """All of the database, as a backup has it."""
    words = ["pg_dump", "--username=postgres", "--no-owner", "--no-privileges", "--inserts", "mcpmesh"]
    done = subprocess.run(words, env=dict(mesh.postgres.pod.environment), capture_output=True, text=True, check=True)
    # Each has a key of its own against a psql that is led astray.
    return re.sub(r"\\(un)?restrict \w+", "", done.stdout)


def columns(mesh: Mesh) -> set[tuple[str, str]]:
    """Every column, by its table."""
    asked = "SELECT table_name || ' ' || column_name FROM information_schema.columns WHERE table_schema = 'public'"
    found = {(line.split()[0], line.split()[1]) for line in mesh.postgres.ask(asked, url=DATABASE)}
    assert found
    return found


def test_a_registry_of_3_takes_the_database_over_and_loses_nothing(mesh: Mesh) -> None:
    before = columns(mesh)
    # What was recorded is older than the hour after which it sweeps.
    registry = mesh.start_registry(variables={"MCP_MESH_RETENTION": "87600h"})
    listed = registry.ask("/agents").json()["agents"]
    assert {agent["id"] for agent in listed} == AGENTS
    # They say nothing any more.
    assert eventually(lambda: "unhealthy" in registry.ask("/agents").text, START)
    assert {agent["endpoint"] for agent in listed} == {
        "http://ai-interviewer-stock:8090",
        "http://ai-interviewer-prices:8090",
        "http://ai-interviewer-web:8080",
    }
    after = columns(mesh)
    assert after > before, "it drops what 0.5 had"
    assert {table for table, _ in after - before} >= {"jobs", "job_events", "agents", "capabilities"}


def test_what_0_5_left_behind_is_swept_when_it_has_been_silent_for_long(mesh: Mesh) -> None:
    """After an hour, unless set otherwise. So nothing need be deleted by hand."""
    registry = mesh.start_registry(variables={"MCP_MESH_RETENTION": "1s", "MCP_MESH_SWEEP_INTERVAL": "1s"})
    assert eventually(lambda: not registry.ask("/agents").json()["agents"], START), registry.pod.output
    assert mesh.postgres.ask("SELECT count(*) FROM capabilities", url=DATABASE) == ["0"]


def test_the_way_back_is_the_backup_from_before(mesh: Mesh) -> None:
    """The database alone is no way back: its new columns hold what 0.5 drops at its start."""
    before = dump(mesh)
    mesh.start_registry().pod.terminate(10)
    assert dump(mesh) != before
    mesh.postgres.ask("DROP DATABASE mcpmesh", "CREATE DATABASE mcpmesh OWNER mcpmesh")
    load(mesh)
    assert dump(mesh) == before


def identity(manifest: Manifest) -> tuple[str, str]:
    """Which object it is."""
    return manifest["kind"], manifest["metadata"]["name"]


def test_no_object_is_refused_replaced_or_lost(tmp_path: Path) -> None:
    """What is rendered for 3 is applied over what is rendered for 0.5."""
    rendered = []
    for release in (MeshRelease.V0_5, MeshRelease.V3):
        application.write(tmp_path / release.value, MeshChoice(release=release))
        rendered.append(read_manifests(tmp_path / release.value))
    assert breaking_changes(*rendered) == ()
    of_0_5, of_3 = ({identity(one) for one in manifests} for manifests in rendered)
    assert of_0_5 == of_3
