"""This module is links: a service that builds them learns from the gateway where people reach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from conftest import Manifests, close
from environments import EVERY, said_of
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Audience,
    Compute,
    Container,
    DevIdentity,
    Gateway,
    GatewaySettings,
    NoProbes,
    Phase,
    Port,
    Route,
    SettingError,
    TreeError,
    User,
    Workload,
    WorkloadSettings,
    images,
    variables,
)
from mcpmesh_k8s.kubernetes.manifest import at, containers_of, each, name_of

COMPUTE = Compute(cpu="100m", memory="64Mi")
GRAFANA = {
    "dev": "http://ai-interviewer.local/grafana/",
    "prod": "https://ai-interviewer.example.com/grafana/",
}


def variables_of(manifests: Sequence[Mapping[str, object]], name: str) -> dict[str, object]:
    """The variables of a Deployment's main container."""
    (deployment,) = (m for m in manifests if m["kind"] == "Deployment" and name_of(m) == name)
    container = next(iter(containers_of(at(deployment, "spec", "template"))))
    return {str(variable["name"]): variable.get("value") for variable in each(container, "env")}


@pytest.mark.parametrize("environment", EVERY)
def test_grafana_s_links_lead_to_the_public_address(manifests: Manifests, environment: str) -> None:
    told = variables_of(manifests(environment), "ai-interviewer-grafana")
    line = f'"{environment}": "https://<its host>/grafana/",'
    assert told["GF_SERVER_ROOT_URL"] == said_of(environment, GRAFANA, "tests/test_public_address.py, GRAFANA", line)
    assert told["GF_SERVER_SERVE_FROM_SUB_PATH"] == "true"
    (ini,) = (
        text
        for manifest in manifests(environment)
        if manifest["kind"] == "ConfigMap"
        for text in at(manifest, "data").values()
        if "[server]" in str(text)
    )
    assert "root_url" not in str(ini)
    assert "localhost" not in str(ini)


def links(folder: Path, *paths: str, variable: str = "LINKS", **values: str) -> tuple[Application, Workload]:
    """An application with one service behind a gateway."""
    application = Application(ApplicationSettings(name="shop"), outdir=folder / "shop")
    phase = Phase(application, "services")
    close(phase)
    container = Container(
        name="web",
        image=images.REGISTRY,
        user=User(uid=1, gid=1),
        compute=COMPUTE,
        ports=(Port(number=8000),),
        variables=variables(values),
        probes=NoProbes(because="No test starts it."),
    )
    web = Workload(phase, WorkloadSettings(name="web", container=container, public_url_variable=variable))
    gateway(phase, web, *paths)
    return application, web


def gateway(phase: Phase, web: Workload, *paths: str, name: str = "nginx-gateway") -> Gateway:
    return Gateway(
        phase,
        GatewaySettings(image=images.OPENRESTY, compute=COMPUTE, host="shop.local", https=False, name=name),
        [Route(path=path, to=web, audience=Audience.PUBLIC) for path in paths],
        DevIdentity(email="me@example.com"),
    )


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (("/",), "http://shop.local/"),
        (("/shop/",), "http://shop.local/shop/"),
        (("/shop/api/", "/health", "/shop/"), "http://shop.local/shop/"),
        (("/health",), None),
    ],
)
def test_a_service_is_told_the_path_that_all_others_are_below(
    tmp_path: Path, paths: tuple[str, ...], told: str | None
) -> None:
    application, _ = links(tmp_path, *paths)
    (group,) = application.manifests().values()
    assert variables_of(group, "shop-web").get("LINKS") == told


def test_a_service_that_builds_no_links_is_told_nothing(tmp_path: Path) -> None:
    application, _ = links(tmp_path, "/", variable="")
    (group,) = application.manifests().values()
    assert not variables_of(group, "shop-web")


def test_a_link_leads_to_one_place(tmp_path: Path) -> None:
    _, web = links(tmp_path, "/")
    with pytest.raises(SettingError, match=r"It is served at http://shop\.local/ already"):
        gateway(web.phase, web, "/shop/", name="other")


def test_a_call_to_one_s_own_public_address_is_refused(tmp_path: Path) -> None:
    application, _ = links(tmp_path, "/", API="http://shop.local/api/")
    with pytest.raises(TreeError) as caught:
        application.manifests()
    assert (
        "shop-web has API=http://shop.local/api/, but no path to shop.local: that is this application's own address. "
        "Dial a service inside: connects_to(...)." in str(caught.value)
    )
