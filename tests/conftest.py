"""This module is what all tests share: what is rendered, and what a skipped test says."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import yaml

from mcpmesh_k8s import Budget, Namespace, NamespaceSettings, Phase

ROOT = Path(__file__).parent.parent
IN_CI = os.environ.get("CI") == "true"

Manifest = dict[str, object]
Manifests = Callable[[str], list[Manifest]]


@pytest.fixture(scope="session")
def manifests() -> Manifests:
    """All objects of an environment, as they lie in dist/: what is deployed is what is tested."""
    read: dict[str, list[Manifest]] = {}

    def of(environment: str) -> list[Manifest]:
        if environment not in read:
            read[environment] = read_manifests(ROOT / "dist" / environment)
        return read[environment]

    return of


@pytest.fixture(scope="session")
def behind_gateway_api(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """All objects of production with an HTTPRoute in place of the Ingress."""
    from ai_interviewer import AiInterviewer
    from gateway_api import BEHIND_GATEWAY_API

    folder = tmp_path_factory.mktemp("gateway-api") / "dist"
    AiInterviewer(BEHIND_GATEWAY_API, outdir=folder).synth()
    return read_manifests(folder)


@pytest.fixture(scope="session")
def for_many_clusters(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """All objects of production with sealed values, and of ArgoCD that deploys it to many clusters."""
    from ai_interviewer import AiInterviewer, ArgoCd
    from many_clusters import MANY_CLUSTERS
    from mcpmesh_k8s import synthesize

    folder = tmp_path_factory.mktemp("many-clusters")
    deployed = AiInterviewer(MANY_CLUSTERS, outdir=folder / MANY_CLUSTERS.name)
    synthesize([deployed, ArgoCd([deployed], outdir=folder / "argocd")])
    return [*read_manifests(folder / MANY_CLUSTERS.name), *read_manifests(folder / "argocd")]


def ground(phase: Phase) -> None:
    """The namespace that an application needs before it may run pods, with room for whatever a test adds."""
    Namespace(phase, NamespaceSettings(budget=Budget(cpu="1000", memory="1000Gi")))


def read_manifests(folder: Path) -> list[Manifest]:
    """All objects of a folder's YAML files, in the order they are applied."""
    files = sorted(folder.glob("*.yaml"))
    assert files, f"{folder} holds no YAML: run `make synth`"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for path in files for document in yaml.load_all(path.read_text(encoding="utf-8"), loader)]


def require_program(name: str, package: str, *places: str) -> str:
    """The path of a program, or a skip that says how to get it."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *places]))
    if found is None:
        pytest.skip(f"{name} is not installed: `apt-get install {package}`")
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one: everything it needs is installed there."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report
