"""This module is what the tests of the control plane share: a cluster for each environment, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.capture import CaptureManager

from ai_interviewer import ENVIRONMENTS, EnvironmentSettings
from cluster.environment import Deployed, Say, named, running
from go_programs import CONTROL_PLANE


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Say:
    """Tells people how far it is, although what tests print is captured."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert isinstance(capture, CaptureManager)

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n  {line}", end="", flush=True)

    return write


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder with the programs of a control plane."""
    assert CONTROL_PLANE.link.exists(), f"{CONTROL_PLANE.link} is not there: make test-cluster builds it"
    return CONTROL_PLANE.link


@pytest.fixture(scope="session", params=ENVIRONMENTS, ids=named)
def cluster(
    request: pytest.FixtureRequest, built: Path, say: Say, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """A cluster as an environment is planned for, with nothing deployed."""
    settings: EnvironmentSettings = request.param
    with running(settings, built, tmp_path_factory.mktemp(settings.name), say) as deployed:
        yield deployed


@pytest.fixture
def deployed(cluster: Deployed) -> Deployed:
    """An environment as it is rendered, to look at."""
    if not cluster.as_rendered:
        cluster.deploy()
    return cluster


@pytest.fixture
def expendable(deployed: Deployed) -> Iterator[Deployed]:
    """An environment as it is rendered, to do things to. The next test gets another."""
    deployed.as_rendered = False
    yield deployed
    deployed.require_sound()
