"""This module is the schemas: every object is one that the API server of each supported version would take."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import jsonschema
import kubernetes_validate
import pytest
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from conftest import ROOT, Manifest, Manifests, grid
from environments import EVERY
from mcpmesh_k8s.kubernetes import RequestCount, RequestRate
from mcpmesh_k8s.kubernetes.api import ApiObjectMetadata, monitoring
from mcpmesh_k8s.kubernetes.scaling import scaled_object
from reading import documents_of

pytestmark = pytest.mark.usefixtures("schemas_are_read_once")

OLDEST = 27
NEWEST = int(str(kubernetes_validate.latest_version()).split(".")[1])
VERSIONS = [f"1.{minor}" for minor in range(OLDEST, NEWEST + 1)]


def custom_schemas() -> dict[tuple[str, str], dict[str, object]]:
    """The schemas of the custom resources, by apiVersion and kind."""
    found: dict[tuple[str, str], dict[str, object]] = {}
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        for definition in documents_of(path.read_text(encoding="utf-8")):
            spec = definition["spec"]
            for version in spec["versions"]:
                identity = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                found[identity] = closed(version["schema"]["openAPIV3Schema"])
    return found


def closed(schema: dict[str, object]) -> dict[str, object]:
    """The schema, refusing fields that it does not name. The API server would drop them without a word."""
    result = copy.deepcopy(schema)
    properties = result.get("properties")
    if isinstance(properties, dict):
        result["properties"] = {
            name: value if name == "metadata" else closed(value) for name, value in properties.items()
        }
        result.setdefault("additionalProperties", False)
    if isinstance(result.get("items"), dict):
        result["items"] = closed(result["items"])  # type: ignore[arg-type]
    return result


CUSTOM = custom_schemas()


@cache
def schema_of(api_version: str, kind: str) -> Validator:
    """The schema of a custom resource, which is looked at itself once: `jsonschema.validate` does so each time."""
    schema = CUSTOM[api_version, kind]
    made = validator_for(schema)
    made.check_schema(schema)
    return made(schema)


def check_custom(manifest: Manifest) -> None:
    """Refuse an object that the schema of its kind does not take."""
    schema_of(str(manifest["apiVersion"]), str(manifest["kind"])).validate(cast("Any", manifest))


MONITORING = "monitoring.coreos.com/v1"


def monitors() -> list[Manifest]:
    """One object of each kind of the Prometheus Operator, with most of its fields."""
    metadata = ApiObjectMetadata(name="shop")
    return [
        monitoring.ServiceMonitor.manifest(
            metadata=metadata,
            spec=monitoring.ServiceMonitorSpec(
                selector=monitoring.ServiceMonitorSpecSelector(match_labels={"app": "shop"}),
                namespace_selector=monitoring.ServiceMonitorSpecNamespaceSelector(match_names=["shop"]),
                endpoints=[
                    monitoring.ServiceMonitorSpecEndpoints(
                        port="metrics",
                        path="/metrics",
                        interval="1m30s",
                        scrape_timeout="10s",
                        scheme=monitoring.ServiceMonitorSpecEndpointsScheme.HTTPS,
                        honor_labels=True,
                        params={"match": ["up", "down"]},
                        relabelings=[
                            monitoring.ServiceMonitorSpecEndpointsRelabelings(
                                source_labels=["pod", "node"], separator="/", target_label="place", replacement="$1"
                            )
                        ],
                        metric_relabelings=[
                            monitoring.ServiceMonitorSpecEndpointsMetricRelabelings(
                                regex="go_.*",
                                modulus=2,
                                action=monitoring.ServiceMonitorSpecEndpointsMetricRelabelingsAction.DROP,
                            )
                        ],
                    )
                ],
            ),
        ),
        monitoring.PodMonitor.manifest(
            metadata=metadata,
            spec=monitoring.PodMonitorSpec(
                selector=monitoring.PodMonitorSpecSelector(
                    match_expressions=[
                        monitoring.PodMonitorSpecSelectorMatchExpressions(key="app", operator="In", values=["shop"])
                    ]
                ),
                namespace_selector=monitoring.PodMonitorSpecNamespaceSelector(any=True),
                pod_metrics_endpoints=[monitoring.PodMonitorSpecPodMetricsEndpoints(port="metrics", interval="30s")],
            ),
        ),
        monitoring.Probe.manifest(
            metadata=metadata,
            spec=monitoring.ProbeSpec(
                job_name="probes",
                prober=monitoring.ProbeSpecProber(url="blackbox-exporter:9115", path="/probe"),
                module="http",
                targets=monitoring.ProbeSpecTargets(
                    static_config=monitoring.ProbeSpecTargetsStaticConfig(
                        static=["http://shop:8080/health"], labels={"team": "shop"}
                    )
                ),
                interval="1m",
                scrape_timeout="20s",
            ),
        ),
        monitoring.PrometheusRule.manifest(
            metadata=metadata,
            spec=monitoring.PrometheusRuleSpec(
                groups=[
                    monitoring.PrometheusRuleSpecGroups(
                        name="shop",
                        interval="1m",
                        rules=[
                            monitoring.PrometheusRuleSpecGroupsRules(
                                alert="ShopIsDown",
                                expr=monitoring.PrometheusRuleSpecGroupsRulesExpr.from_string("up == 0"),
                                for_="5m",
                                keep_firing_for="10m",
                                labels={"severity": "critical"},
                                annotations={"summary": "It is down."},
                            ),
                            monitoring.PrometheusRuleSpecGroupsRules(
                                record="shop:one", expr=monitoring.PrometheusRuleSpecGroupsRulesExpr.from_number(1)
                            ),
                        ],
                    )
                ]
            ),
        ),
    ]


BY_REQUESTS: Manifest = dict(
    scaled_object(
        ApiObjectMetadata(name="shop"),
        "Deployment",
        "shop",
        RequestRate(minimum=1, maximum=2, per_pod=0.5),
        RequestCount(server="http://prometheus:9090", query="up"),
    )
)


def is_custom(manifest: Manifest) -> bool:
    return (str(manifest["apiVersion"]), str(manifest["kind"])) in CUSTOM


@pytest.mark.parametrize("version", grid(VERSIONS, short=(VERSIONS[0], VERSIONS[-1])))
@pytest.mark.parametrize("environment", EVERY)
def test_every_object_is_valid_in_every_version(manifests: Manifests, environment: str, version: str) -> None:
    objects = [manifest for manifest in manifests(environment) if not is_custom(manifest)]
    assert len(objects) > 60
    for manifest in objects:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_every_custom_resource_is_valid(
    manifests: Manifests,
    behind_gateway_api: list[Manifest],
    for_many_clusters: list[Manifest],
    in_transit: Mapping[str, Sequence[Manifest]],
) -> None:
    there = (*manifests("prod"), *manifests("argocd"), *behind_gateway_api, *for_many_clusters)
    there = (*there, *(manifest for group in in_transit.values() for manifest in group))
    rendered = (*there, *monitors(), BY_REQUESTS)
    objects = [manifest for manifest in rendered if is_custom(manifest)]
    kinds = {(str(manifest["apiVersion"]), str(manifest["kind"])) for manifest in objects}
    assert kinds == set(CUSTOM), "a schema that nothing is proven with"
    for manifest in objects:
        check_custom(manifest)


def test_a_misspelled_field_is_refused_in_every_kind_of_schema(
    manifests: Manifests, behind_gateway_api: list[Manifest], for_many_clusters: list[Manifest]
) -> None:
    service = copy.deepcopy(next(m for m in manifests("dev") if m["kind"] == "Service"))
    service["spec"]["selektor"] = {}  # type: ignore[index]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, VERSIONS[-1], strict=True)
    secret = copy.deepcopy(next(m for m in manifests("prod") if m["kind"] == "ExternalSecret"))
    secret["spec"]["data"][0]["remoteRef"]["propertee"] = "x"  # type: ignore[index]
    with pytest.raises(jsonschema.ValidationError):
        check_custom(secret)
    route = copy.deepcopy(next(m for m in behind_gateway_api if m["kind"] == "HTTPRoute"))
    route["spec"]["rules"][0]["backendRefs"][0]["prot"] = 80  # type: ignore[index]
    with pytest.raises(jsonschema.ValidationError):
        check_custom(route)
    policy = copy.deepcopy(next(m for m in behind_gateway_api if m["kind"] == "CiliumNetworkPolicy"))
    policy["spec"]["egress"][0]["toPort"] = []  # type: ignore[index]
    with pytest.raises(jsonschema.ValidationError):
        check_custom(policy)
    application = copy.deepcopy(next(m for m in manifests("argocd") if m["kind"] == "Application"))
    application["spec"]["source"]["repoUrl"] = "x"  # type: ignore[index]
    with pytest.raises(jsonschema.ValidationError):
        check_custom(application)
    sealed = copy.deepcopy(next(m for m in for_many_clusters if m["kind"] == "SealedSecret"))
    sealed["spec"]["template"]["data"] = {}  # type: ignore[index]
    with pytest.raises(jsonschema.ValidationError):
        check_custom(sealed)


# What the operator's own definitions, of its version 0.93, take and refuse.
RULE: Mapping[str, object] = {"expr": "up == 0"}
SELECTED: Mapping[str, object] = {"selector": {}}
TIMES = ["", "0", "30s", "1m30s", "1y2w3d4h5m6s7ms", "90s", "00s"]
NO_TIMES = ["30", "1.5m", "5 m", "30s1m", "1M", "-5m", "5m ", "1µs"]
ACTIONS = [
    *("replace", "keep", "drop", "hashmod", "labelmap", "labeldrop"),
    *("labelkeep", "lowercase", "uppercase", "keepequal", "dropequal"),
    *("Replace", "Keep", "Drop", "HashMod", "LabelMap", "LabelDrop"),
    *("LabelKeep", "Lowercase", "Uppercase", "KeepEqual", "DropEqual"),
]


def rules(**rule: object) -> dict[str, object]:
    return {"groups": [{"name": "shop", "rules": [{**RULE, **rule}]}]}


def service_endpoint(**endpoint: object) -> dict[str, object]:
    return {**SELECTED, "endpoints": [endpoint]}


def pod_endpoint(**endpoint: object) -> dict[str, object]:
    return {**SELECTED, "podMetricsEndpoints": [endpoint]}


def everywhere(field: str, values: Sequence[object]) -> list[tuple[str, Mapping[str, object]]]:
    """A field of both kinds of endpoint, with each of some values."""
    return [
        pair
        for value in values
        for pair in (
            ("ServiceMonitor", service_endpoint(**{field: value})),
            ("PodMonitor", pod_endpoint(**{field: value})),
        )
    ]


TAKEN: list[tuple[str, Mapping[str, object]]] = [
    ("ServiceMonitor", {**SELECTED, "endpoints": []}),
    ("ServiceMonitor", service_endpoint()),
    ("PodMonitor", {**SELECTED}),
    ("PodMonitor", pod_endpoint()),
    ("Probe", {}),
    ("Probe", {"prober": {"url": "x"}, "targets": {}}),
    ("PrometheusRule", {}),
    ("PrometheusRule", {"groups": [{"name": "shop"}]}),
    ("PrometheusRule", rules()),
    ("PrometheusRule", rules(expr=1)),
    *(("PrometheusRule", rules(**{"for": time})) for time in TIMES),
    *(("PrometheusRule", rules(keep_firing_for=time)) for time in TIMES if time),
    *(("PrometheusRule", {"groups": [{"name": "shop", "interval": time}]}) for time in TIMES),
    *(("Probe", {field: time}) for field in ("interval", "scrapeTimeout") for time in TIMES),
    *everywhere("interval", TIMES),
    *everywhere("scrapeTimeout", TIMES),
    *everywhere("scheme", ["http", "https", "HTTP", "HTTPS"]),
    *everywhere("params", [{}, {"match[]": []}, {"match[]": ["x", "y"]}]),
    *everywhere("relabelings", [[{"action": action, "modulus": 0}] for action in ACTIONS]),
    *everywhere("metricRelabelings", [[{"action": action}] for action in ACTIONS]),
    *(("Probe", {"prober": {"url": "x", "scheme": scheme}}) for scheme in ("http", "https", "HTTP", "HTTPS")),
]
REFUSED: list[tuple[str, Mapping[str, object]]] = [
    ("ServiceMonitor", {**SELECTED}),
    ("ServiceMonitor", {"endpoints": []}),
    ("PodMonitor", {}),
    ("PodMonitor", {"selector": {"matchExpressions": [{"key": "app"}]}}),
    ("PodMonitor", {"selector": {"matchLabels": {"app": 1}}}),
    ("PodMonitor", {**SELECTED, "namespaceSelector": {"any": "true"}}),
    ("Probe", {"prober": {}}),
    ("Probe", {"prober": {"url": ""}}),
    ("Probe", {"prober": {"url": "x", "scheme": "Https"}}),
    ("Probe", {"targets": {"staticConfig": {"static": "http://shop"}}}),
    ("PrometheusRule", {"groups": [{}]}),
    ("PrometheusRule", {"groups": [{"name": ""}]}),
    ("PrometheusRule", {"groups": [{"name": "shop", "rules": [{"alert": "X"}]}]}),
    ("PrometheusRule", rules(expr=1.5)),
    ("PrometheusRule", rules(expr=True)),
    ("PrometheusRule", rules(keep_firing_for="")),
    ("PrometheusRule", rules(labels={"severity": 1})),
    *(("PrometheusRule", rules(**{field: time})) for field in ("for", "keep_firing_for") for time in NO_TIMES),
    *(("PrometheusRule", {"groups": [{"name": "shop", "interval": time}]}) for time in NO_TIMES),
    *(("Probe", {field: time}) for field in ("interval", "scrapeTimeout") for time in NO_TIMES),
    *everywhere("interval", NO_TIMES),
    *everywhere("scrapeTimeout", NO_TIMES),
    *everywhere("scheme", ["Http", "ftp", ""]),
    *everywhere("params", [{"match[]": "x"}, []]),
    *everywhere("relabelings", [[{"action": "Labelmap"}], [{"modulus": -1}], [{"sourceLabels": "x"}], {}]),
    *everywhere("metricRelabelings", [[{"action": "delete"}], [{"modulus": 1.5}]]),
]


def monitor(kind: str, spec: Mapping[str, object]) -> Manifest:
    return {"apiVersion": MONITORING, "kind": kind, "metadata": {"name": "shop"}, "spec": spec}


def test_what_the_prometheus_operator_takes_is_taken() -> None:
    for kind, spec in TAKEN:
        check_custom(monitor(kind, spec))


def test_what_the_prometheus_operator_refuses_is_refused() -> None:
    for kind, spec in REFUSED:
        with pytest.raises(jsonschema.ValidationError):
            check_custom(monitor(kind, spec))


def test_the_template_of_an_application_set_is_an_application(for_many_clusters: list[Manifest]) -> None:
    (many,) = (manifest for manifest in for_many_clusters if manifest["kind"] == "ApplicationSet")
    template: Any = many["spec"]["template"]  # type: ignore[index]
    schema_of(str(many["apiVersion"]), "Application").validate(template)


def test_the_oldest_supported_version_is_the_one_of_cdk8s_plus() -> None:
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert f"cdk8s-plus-{OLDEST}==" in pins
    assert Path(str(kubernetes_validate.__file__)).exists()
    assert len(VERSIONS) >= 10


def test_what_encrypts_transit_is_valid(in_transit: Mapping[str, Sequence[Manifest]]) -> None:
    for manifests in in_transit.values():
        for manifest in manifests:
            if not is_custom(manifest):
                kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)
