"""This module is what most tests of MCP Mesh 3 begin with: the whole application, for each file of tests."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mesh3.stack import Mesh, Place


@pytest.fixture(scope="module")
def mesh(needs_mesh3: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mesh, None, None]:
    with ExitStack() as stack:
        yield Mesh(stack, tmp_path_factory.mktemp("mesh"), needs_mesh3)


@pytest.fixture(scope="module")
def pods(mesh: Mesh) -> dict[str, Place]:
    return mesh.whole()
