"""This module is more than one way in: another name of a host, another host, another controller before a gateway."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Audience,
    Budget,
    Compute,
    Container,
    DevIdentity,
    Exposure,
    Gateway,
    GatewayApiExposure,
    GatewaySettings,
    IngressExposure,
    IngressNginx,
    Namespace,
    NamespacePods,
    NamespaceSettings,
    NoProbes,
    NoTls,
    Phase,
    Port,
    Route,
    SettingError,
    User,
    Workload,
    WorkloadSettings,
    images,
)
from policy_evaluator import Cluster, Pod, namespaces_of, pods_of, policies_of
from policy_evaluator import Namespace as Place

SMALL = Compute(cpu="50m", memory="64Mi")
INTERNAL = IngressNginx(ingress_class="internal", peer=NamespacePods(namespace="internal"))


def service(phase: Phase, name: str) -> Workload:
    container = Container(
        name=name,
        image=images.REGISTRY,
        user=User(uid=1, gid=1),
        compute=SMALL,
        ports=(Port(number=8000),),
        probes=NoProbes(because="No test starts it."),
    )
    return Workload(phase, WorkloadSettings(name=name, container=container))


def gateway(phase: Phase, to: Workload, host: str, *aliases: str, name: str = "gateway") -> Gateway:
    settings = GatewaySettings(
        image=images.OPENRESTY, compute=SMALL, host=host, aliases=aliases, https=False, name=name
    )
    login = DevIdentity(email="me@example.com")
    return Gateway(phase, settings, [Route(path="/", to=to, audience=Audience.PUBLIC)], login)


@pytest.fixture
def shop(tmp_path: Path) -> Phase:
    phase = Phase(Application(ApplicationSettings(name="shop"), outdir=tmp_path / "shop"), "all")
    Namespace(phase, NamespaceSettings(budget=Budget(cpu="8", memory="8Gi")))
    return phase


def rendered(phase: Phase) -> Sequence[Any]:
    application = Application.of(phase)
    (group,) = application.manifests().values()
    return group


def open_shop(shop: Phase) -> None:
    """Its host and two more names by two controllers, and the office's host by a third."""
    front = gateway(shop, service(shop, "web"), "shop.local", "www.shop.local", "shop.test")
    office = gateway(shop, service(shop, "office"), "office.local", name="office-gateway")
    Exposure(shop, IngressExposure(controller=IngressNginx(), tls=NoTls()), front)
    Exposure(shop, IngressExposure(controller=INTERNAL, tls=NoTls(), name="internal"), front)
    envoy = NamespacePods(namespace="envoy")
    Exposure(
        shop,
        GatewayApiExposure(parent="edge", parent_namespace="envoy", https=False, peer=envoy, name="back-office"),
        office,
    )


def test_each_way_in_serves_all_names_of_its_gateway_and_no_other_s(shop: Phase) -> None:
    open_shop(shop)
    names = ["shop.local", "www.shop.local", "shop.test"]
    ways: dict[str, tuple[list[str], set[str]]] = {}
    for manifest in rendered(shop):
        if manifest["kind"] == "Ingress":
            rules = manifest["spec"]["rules"]
            backends = {path["backend"]["service"]["name"] for rule in rules for path in rule["http"]["paths"]}
            ways[manifest["metadata"]["name"]] = ([rule["host"] for rule in rules], backends)
        elif manifest["kind"] == "HTTPRoute":
            backends = {ref["name"] for rule in manifest["spec"]["rules"] for ref in rule["backendRefs"]}
            ways[manifest["metadata"]["name"]] = (manifest["spec"]["hostnames"], backends)
    assert ways == {
        "shop": (names, {"shop-gateway"}),
        "shop-internal": (names, {"shop-gateway"}),
        "shop-back-office": (["office.local"], {"shop-office-gateway"}),
    }


def test_each_controller_reaches_the_gateways_that_it_serves_and_nothing_else(shop: Phase) -> None:
    open_shop(shop)
    manifests = rendered(shop)
    controllers = ("ingress-nginx", "internal", "envoy")
    cluster = Cluster(
        namespaces=[*namespaces_of(manifests), *(Place(name=name, labels={}) for name in controllers)],
        policies=policies_of(manifests),
    )
    ours = {pod.labels["app.kubernetes.io/name"]: pod for pod in pods_of(manifests)}
    reached = {
        (controller, name)
        for controller in controllers
        for name, pod in ours.items()
        for port in (8000, 8080)
        if cluster.allows(Pod(name="controller", namespace=controller, labels={}), pod, port)
    }
    assert reached == {
        ("ingress-nginx", "shop-gateway"),
        ("internal", "shop-gateway"),
        ("envoy", "shop-office-gateway"),
    }


def test_a_second_way_in_needs_a_name(shop: Phase) -> None:
    front = gateway(shop, service(shop, "web"), "shop.local")
    settings = IngressExposure(controller=IngressNginx(), tls=NoTls())
    Exposure(shop, settings, front)
    with pytest.raises(SettingError, match=r"IngressExposure\.name: '' was given\. .* Give this one a name"):
        Exposure(shop, settings, front)


@pytest.mark.parametrize(
    ("aliases", "told"),
    [
        (("www",), "GatewaySettings.aliases: 'www'"),
        (("shop.local",), "GatewaySettings.aliases"),
        (("www.shop.local", "www.shop.local"), "GatewaySettings.aliases"),
    ],
)
def test_a_name_is_a_dns_name_and_said_once(aliases: tuple[str, ...], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        GatewaySettings(image=images.OPENRESTY, compute=SMALL, host="shop.local", aliases=aliases)
