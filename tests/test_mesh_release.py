"""This module is what a line of MCP Mesh decides, said once for an application."""

from pathlib import Path
from typing import Any

import pytest

from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    Api,
    ApiSettings,
    Application,
    ApplicationSettings,
    BuiltImage,
    Compute,
    Image,
    Mesh,
    MeshRelease,
    Phase,
    Registry,
    RegistrySettings,
    images,
)
from mcpmesh_k8s.kubernetes.api import to_json

SMALL = Compute(cpu="100m", memory="128Mi")
CODE = BuiltImage(image=Image(repository="acme/prices", tag="1.4.2"))


def probes_of(mesh: Mesh | None, folder: Path) -> dict[str, dict[str, str]]:
    """What each program is asked by each of its probes: the path, or ``tcp``."""
    settings = ApplicationSettings(name="shop", mesh=mesh) if mesh else ApplicationSettings(name="shop")
    application = Application(settings, outdir=folder / "shop")
    phase = Phase(application, "all")
    registry = Registry(phase, RegistrySettings(image=images.REGISTRY, compute=SMALL))
    agent = Agent(phase, AgentSettings(name="prices", code=CODE, compute=SMALL, module="prices"))
    api = Api(phase, ApiSettings(name="web", code=CODE, compute=SMALL, module="web"))
    asked: dict[str, dict[str, str]] = {}
    for workload in (agent, api):
        workload.connects_to(registry)
        deployment: Any = to_json(workload.controller())
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        asked[workload.name] = {
            name: container[f"{name}Probe"].get("httpGet", {}).get("path", "tcp")
            for name in ("startup", "readiness", "liveness")
        }
    return asked


@pytest.mark.parametrize("mesh", [None, Mesh(release=MeshRelease.V3)], ids=["unless given", "given"])
def test_of_3_a_start_is_over_when_the_code_says_so(mesh: Mesh | None, tmp_path: Path) -> None:
    """``/startupz`` is the user's startup check, of APIs too; neither of the others asks for anybody else."""
    of_3 = {"startup": "/startupz", "readiness": "/ready", "liveness": "/livez"}
    assert probes_of(mesh, tmp_path) == {"prices": of_3, "web": of_3}


def test_of_0_5_all_answers_are_static_and_an_api_has_its_own(tmp_path: Path) -> None:
    """0.5 has no ``/startupz``, and adds nothing to an API service."""
    assert probes_of(Mesh(release=MeshRelease.V0_5), tmp_path) == {
        "prices": {"startup": "/livez", "readiness": "/ready", "liveness": "/livez"},
        "web": {"startup": "tcp", "readiness": "/health", "liveness": "tcp"},
    }
