"""This module is what all tests share: what is rendered, and what a skipped test says."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
IN_CI = os.environ.get("CI") == "true"

Manifest = dict[str, object]


@pytest.fixture(scope="session")
def manifests() -> Callable[[str], list[Manifest]]:
    """All objects of an environment, as they lie in dist/: what is deployed is what is tested."""
    read: dict[str, list[Manifest]] = {}

    def of(environment: str) -> list[Manifest]:
        if environment not in read:
            files = sorted((ROOT / "dist" / environment).glob("*.yaml"))
            assert files, f"dist/{environment} is empty: run `make synth`"
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            read[environment] = [
                document for path in files for document in yaml.load_all(path.read_text(encoding="utf-8"), loader)
            ]
        return read[environment]

    return of


def require_program(name: str, package: str, *places: str) -> str:
    """The path of a program, or a skip that says how to get it."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *places]))
    if found is None:
        pytest.skip(f"{name} is not installed: `apt-get install {package}`")
    return found


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI a skipped test is a failed one: everything it needs is installed there."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
