"""This module is what the tests of the control plane share: a cluster for each environment, each with a worker."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.capture import CaptureManager
from xdist.scheduler import LoadScopeScheduling

from ai_interviewer import ENVIRONMENTS, EnvironmentSettings
from cluster.environment import Deployed, Say, named, running
from go_programs import CONTROL_PLANE


def environment_of(nodeid: str) -> str:
    """Whose cluster a test is about."""
    found = re.search(rf"[\[-]({'|'.join(map(named, ENVIRONMENTS))})[-\]]", nodeid)
    assert found, f"{nodeid} is of no environment"
    return found[1]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config) -> object:
    """A worker gets all tests of an environment. The groups of xdist itself need what pytest 9.2 no longer has."""
    scheduler = LoadScopeScheduling(config)
    scheduler._split_scope = environment_of
    return scheduler


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One for each environment: it works and waits by turns."""
    return len(ENVIRONMENTS)


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Say:
    """Tells people how far it is, although what tests print is captured."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert isinstance(capture, CaptureManager)

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n  {line}", end="", file=sys.stderr, flush=True)  # that of a worker is that of people, too

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
