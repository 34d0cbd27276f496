"""This module is the first step from MCP Mesh 0.5.3 to 3: the registry of 3 has taken over what the one of 0.5 left."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mcpmesh_k8s import MeshRelease
from mesh3.stack import Mesh
from test_mesh_upgrade import load


@contextmanager
def taken_over(folder: Path, runtime: Path) -> Generator[Mesh, None, None]:
    """The stores as they are rendered for 0.5, and a registry of 3 that has taken their database over."""
    with ExitStack() as stack:
        mesh = Mesh(stack, folder, runtime, MeshRelease.V0_5)
        mesh.start_stores()
        load(mesh)
        mesh.begin_with(MeshRelease.V3, runtime)
        mesh.registry.leads_to(mesh.start_registry(reaches_agents=True).address)
        yield mesh
