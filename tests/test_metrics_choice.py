"""This module is who collects metrics: a Prometheus of our own, one of the cluster by its operator, or nobody."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from ai_interviewer import DEV, PROD, AiInterviewer
from conftest import Manifest, Manifests, at_each
from mcpmesh_k8s import (
    BlackboxSettings,
    CiliumEntity,
    Compute,
    KubeStateMetricsSettings,
    MetricsEndpoint,
    MetricsSettings,
    MonitorsSettings,
    NamespacePods,
    NoMetrics,
    PodExtras,
    PolicyKind,
    PrometheusOperator,
    PublicAddress,
    SettingError,
)
from mcpmesh_k8s.observability.promql import confined
from reading import objects_of
from test_schemas import CUSTOM, VERSIONS, is_custom

pytestmark = pytest.mark.usefixtures("schemas_are_read_once")

NAMESPACE = "ai-interviewer"
OPERATOR = PrometheusOperator(
    monitors=MonitorsSettings(labels=(("release", "stack"),), interval_seconds=15),
    blackbox=BlackboxSettings(public_address=PublicAddress()),
    priority_class="observability",
)
CHOICES: dict[str, MetricsSettings] = {"operator": OPERATOR, "none": NoMetrics()}
KINDS = ("PodMonitor", "Probe", "PrometheusRule")

# What is asked, and at which port: the workload, the port's name, the path, and what the job is called.
ASKED = {
    ("postgres", "metrics", "/metrics", "postgres"),
    ("redis", "metrics", "/metrics", "redis"),
    ("minio", "api", "/minio/v2/metrics/cluster", "minio"),
    ("tempo", "http", "/metrics", "tempo"),
    ("grafana", "http", "/metrics", "grafana"),
    ("loki", "http", "/metrics", "loki"),
    ("alloy", "http", "/metrics", "alloy"),
    ("blackbox", "http", "/metrics", "blackbox"),
    ("nginx-gateway", "metrics", "/metrics", "nginx-gateway"),
    ("oauth2-proxy", "metrics", "/metrics", "oauth2-proxy"),
    *((agent.name, "http", "/metrics", agent.name) for agent in PROD.agents),
}


def rendered(folder: Path, metrics: MetricsSettings) -> list[Manifest]:
    """Production, with another choice."""
    return objects_of(AiInterviewer(replace(PROD, metrics=metrics), outdir=folder))


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Manifest]]:
    """Production with each of the choices that are not its own."""
    return {name: rendered(tmp_path_factory.mktemp(name) / "dist", metrics) for name, metrics in CHOICES.items()}


@pytest.fixture(scope="module")
def operated(chosen: Mapping[str, list[Manifest]]) -> list[Any]:
    """Production with a Prometheus of the cluster."""
    return chosen["operator"]


def of_kind(manifests: Sequence[Any], kind: str) -> list[Any]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_object_is_valid(chosen: Mapping[str, list[Manifest]], choice: str) -> None:
    for manifest in chosen[choice]:
        if is_custom(manifest):
            jsonschema.validate(manifest, CUSTOM[str(manifest["apiVersion"]), str(manifest["kind"])])
        else:
            kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


def test_where_nobody_collects_nothing_of_it_is_there(chosen: Mapping[str, list[Manifest]]) -> None:
    names = {str(manifest["metadata"]["name"]) for manifest in chosen["none"]}  # type: ignore[index]
    assert not {f"{NAMESPACE}-{name}" for name in ("prometheus", "blackbox", "kube-state-metrics")} & names
    kinds = {str(manifest["kind"]) for manifest in chosen["none"]}
    assert not kinds & {*KINDS, "ClusterRole"}
    # Alloy reads logs, whoever collects metrics.
    assert [manifest["metadata"]["name"] for manifest in of_kind(chosen["none"], "Role")] == [f"{NAMESPACE}-alloy"]


def test_the_cluster_s_prometheus_needs_no_right_of_ours_and_no_server(operated: list[Any]) -> None:
    names = {manifest["metadata"]["name"] for manifest in operated}
    assert f"{NAMESPACE}-prometheus" not in names
    assert f"{NAMESPACE}-alertmanager" not in names
    assert not {manifest["kind"] for manifest in operated} & {"ClusterRole", "ServiceMonitor"}
    assert [manifest["metadata"]["name"] for manifest in of_kind(operated, "Role")] == [f"{NAMESPACE}-alloy"]


def test_each_metrics_endpoint_has_one_monitor_that_the_operator_selects(operated: list[Any]) -> None:
    found = []
    for monitor in of_kind(operated, "PodMonitor"):
        assert monitor["metadata"]["labels"]["release"] == "stack"
        assert monitor["metadata"]["namespace"] == NAMESPACE
        assert "namespaceSelector" not in monitor["spec"]
        (selected,) = monitor["spec"]["selector"]["matchLabels"].items()
        assert selected[0] == "app.kubernetes.io/name"
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        job = monitor["metadata"]["name"].removeprefix(f"{NAMESPACE}-")
        found.append((selected[1].removeprefix(f"{NAMESPACE}-"), endpoint["port"], endpoint["path"], job))
    assert len(found) == len(set(found))
    assert set(found) == ASKED
    # Each of them is a port that a container of that workload has.
    for workload, port, *_ in found:
        (template,) = (
            manifest["spec"]["template"]["spec"]
            for manifest in operated
            if manifest["kind"] in ("Deployment", "StatefulSet")
            and manifest["metadata"]["name"] == f"{NAMESPACE}-{workload}"
        )
        assert port in {p["name"] for c in template["containers"] for p in c.get("ports", ())}


def relabelled(steps: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> dict[str, str] | None:
    """What Prometheus makes of labels, as its documentation says; nothing where the target is left out."""
    now = dict(labels)
    for step in steps:
        joined = ";".join(now.get(label, "") for label in step.get("source_labels", ()))
        regex, action = re.compile(step.get("regex", "(.*)")), step.get("action", "replace")
        matched = regex.fullmatch(joined)
        if action == "labeldrop":
            now = {label: value for label, value in now.items() if not regex.fullmatch(label)}
        elif action in ("keep", "drop"):
            if (matched is None) == (action == "keep"):
                return None
        else:
            assert action == "replace"
            assert matched
            now[step["target_label"]] = step.get("replacement", "$1").replace("$1", matched.group(matched.re.groups))
    return {label: value for label, value in now.items() if not label.startswith("__")}


@pytest.fixture(scope="module")
def own_jobs(manifests: Manifests) -> dict[str, Any]:
    """The jobs of production's own Prometheus, by their names."""
    texts = [m["data"] for m in of_kind(manifests(PROD.name), "ConfigMap") if "prometheus.yaml" in m["data"]]
    return {job["job_name"]: job for job in yaml.safe_load(texts[0]["prometheus.yaml"])["scrape_configs"]}


@pytest.fixture(scope="module")
def monitors(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the operator is told to ask, of everything that there may be."""
    everything = replace(OPERATOR, kube_state_metrics=KubeStateMetricsSettings())
    return of_kind(rendered(tmp_path_factory.mktemp("everything") / "dist", everything), "PodMonitor")


@at_each("phase", ["Running", "Pending", "Failed"])
def test_series_are_called_as_in_a_prometheus_of_our_own(
    monitors: list[Any], own_jobs: dict[str, Any], phase: str
) -> None:
    """The operator adds labels of its own before: namespace, container, endpoint, pod, and a job of two parts."""
    assert len(monitors) == len(ASKED) + 1
    for monitor in monitors:
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        steps = [{re.sub("([A-Z])", r"_\1", k).lower(): v for k, v in step.items()} for step in endpoint["relabelings"]]
        name = monitor["metadata"]["name"]
        meta = {
            "__meta_kubernetes_pod_name": f"{name}-0",
            "__meta_kubernetes_pod_node_name": "node-1",
            "__meta_kubernetes_pod_phase": phase,
            "__meta_kubernetes_pod_container_port_name": endpoint["port"],
            "__meta_kubernetes_pod_label_app_kubernetes_io_name": monitor["spec"]["selector"]["matchLabels"][
                "app.kubernetes.io/name"
            ],
        }
        added = {"container": "c", "endpoint": endpoint["port"], "pod": f"{name}-0", "job": f"{NAMESPACE}/{name}"}
        job = own_jobs[name.removeprefix(f"{NAMESPACE}-")]
        ours = relabelled(job["relabel_configs"], {**meta, "job": job["job_name"]})
        theirs = relabelled(steps, {**meta, **added, "namespace": NAMESPACE})
        assert (ours is None) == (phase != "Running")
        assert theirs == (ours and {**ours, "namespace": NAMESPACE})
        assert endpoint.get("honorLabels", False) == job.get("honor_labels", False)
        assert endpoint["path"] == job["metrics_path"]


def test_each_check_is_one_probe_that_asks_the_same(operated: list[Any], own_jobs: dict[str, Any]) -> None:
    checks = {name: job for name, job in own_jobs.items() if name.startswith("check-")}
    probes = {probe["spec"]["jobName"]: probe for probe in of_kind(operated, "Probe")}
    assert {"check-registry", "check-backend", "check-public-address"} < set(probes)
    assert set(probes) == set(checks)
    for name, probe in probes.items():
        spec, (static,) = probe["spec"], checks[name]["static_configs"]
        assert probe["metadata"]["labels"]["release"] == "stack"
        # From another namespace a Service has its whole name.
        assert spec["prober"] == {"url": "ai-interviewer-blackbox.ai-interviewer.svc.cluster.local:9115"}
        assert [spec["module"]] == checks[name]["params"]["module"]
        given = spec["targets"]["staticConfig"]
        assert given["static"] == checks[name]["params"]["target"]
        assert given["labels"] == {**static["labels"], "namespace": NAMESPACE}


def test_the_interval_is_the_setting_s_unless_an_endpoint_gives_one(tmp_path: Path) -> None:
    seldom = PodExtras(metrics=(MetricsEndpoint(port="http", interval_seconds=60),))
    environment = replace(PROD, metrics=OPERATOR, registry=replace(PROD.registry, extras=seldom))
    operated: list[Any] = objects_of(AiInterviewer(environment, outdir=tmp_path))
    asked = {m["metadata"]["name"]: m["spec"]["podMetricsEndpoints"][0] for m in of_kind(operated, "PodMonitor")}
    own = {name: endpoint["interval"] for name, endpoint in asked.items() if endpoint["interval"] != "15s"}
    assert own == {f"{NAMESPACE}-registry": "60s"}
    assert {probe["spec"]["interval"] for probe in of_kind(operated, "Probe")} == {"15s"}


def test_a_prometheus_without_metrics_of_the_cluster_gets_no_rule_about_them(
    operated: list[Any], tmp_path: Path
) -> None:
    def alerts(manifests: Sequence[Any]) -> set[str]:
        (rules,) = of_kind(manifests, "PrometheusRule")
        return {rule["alert"] for group in rules["spec"]["groups"] for rule in group["rules"]}

    of_objects, of_kubelets = {"PodCrashLooping", "JobFailed"}, {"ClaimAlmostFull", "ContainerNearCpuLimit"}
    alone = replace(OPERATOR, monitors=replace(OPERATOR.monitors, cluster_metrics=False))
    assert of_objects | of_kubelets <= alerts(operated)
    assert not (of_objects | of_kubelets) & alerts(rendered(tmp_path / "without", alone))
    own = alerts(rendered(tmp_path / "own", replace(alone, kube_state_metrics=KubeStateMetricsSettings())))
    assert of_objects <= own
    assert not of_kubelets & own


def test_groups_of_rules_have_names_of_their_own(operated: list[Any]) -> None:
    (rules,) = of_kind(operated, "PrometheusRule")
    groups = [group["name"] for group in rules["spec"]["groups"]]
    assert len(groups) == len(set(groups)) > 5
    assert rules["metadata"]["labels"]["release"] == "stack"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: MonitorsSettings(labels=(("release", "two words"),)), "MonitorsSettings.labels value of 'release'"),
        (lambda: MonitorsSettings(labels=(("app.kubernetes.io/name", "x"),)), "Give a key of your own"),
        (lambda: MonitorsSettings(prometheus=()), "MonitorsSettings.prometheus.*Give its pods"),
        (lambda: MonitorsSettings(interval_seconds=600), "MonitorsSettings.interval_seconds.*600.*5 to 120"),
    ],
)
def test_what_cannot_be_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        wrong()


def test_who_asks_may_be_in_several_places_and_what_no_policy_can_say_is_refused(tmp_path: Path) -> None:
    here, there = (NamespacePods(namespace=name) for name in ("here", "there"))
    both = replace(OPERATOR, monitors=replace(OPERATOR.monitors, prometheus=(here, there)))
    policies = of_kind(rendered(tmp_path / "both", both), "NetworkPolicy")
    (redis,) = (p for p in policies if p["metadata"]["name"] == f"{NAMESPACE}-redis")
    asking = [rule for rule in redis["spec"]["ingress"] if rule["ports"] == [{"port": 9121, "protocol": "TCP"}]]
    names = [
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for rule in asking
        for peer in rule["from"]
    ]
    assert names == ["here", "there"]
    nodes = replace(OPERATOR, monitors=replace(OPERATOR.monitors, prometheus=CiliumEntity.HOST))
    with pytest.raises(SettingError, match="A NetworkPolicy cannot say it"):
        rendered(tmp_path / "nodes", nodes)
    AiInterviewer(replace(PROD, metrics=nodes, policies=PolicyKind.CILIUM), outdir=tmp_path / "cilium").manifests()


# Confining.


@at_each(
    ("expression", "expected"),
    [
        ("up", 'up{namespace="a"}'),
        ("up == 0", 'up{namespace="a"} == 0'),
        ('up{job="x"}', 'up{namespace="a", job="x"}'),
        ("up{}", 'up{namespace="a"}'),
        ("{__name__=~'a{1,2}'}", "{namespace=\"a\", __name__=~'a{1,2}'}"),
        ("vector(1)", "vector(1)"),
        ("sum by (pod, le) (rate(a_total[5m]))", 'sum by (pod, le) (rate(a_total{namespace="a"}[5m]))'),
        ("sum(a) by (pod)", 'sum(a{namespace="a"}) by (pod)'),
        ("a / on (pod) group_left (node) b", 'a{namespace="a"} / on (pod) group_left (node) b{namespace="a"}'),
        ("a - on (x) group_right b", 'a{namespace="a"} - on (x) group_right b{namespace="a"}'),
        ("a unless on () b offset 5m", 'a{namespace="a"} unless on () b{namespace="a"} offset 5m'),
        ("time() - a > 14 * 24 * 3600", 'time() - a{namespace="a"} > 14 * 24 * 3600'),
        (
            "a > 500e6 and predict_linear(b[6h], 3) < 0",
            'a{namespace="a"} > 500e6 and predict_linear(b{namespace="a"}[6h], 3) < 0',
        ),
        ('label_replace(a > 0, "w", "$1", "d", "(.+)")', 'label_replace(a{namespace="a"} > 0, "w", "$1", "d", "(.+)")'),
        ("max_over_time(a[1h:5m])", 'max_over_time(a{namespace="a"}[1h:5m])'),
        ("a:b:c > bool 1", 'a:b:c{namespace="a"} > bool 1'),
        ("topk(5, a)", 'topk(5, a{namespace="a"})'),
    ],
)
def test_each_selector_is_confined_to_the_namespace_and_nothing_else_is_changed(expression: str, expected: str) -> None:
    assert confined(expression, "a") == expected


# The public address.


def blackbox_of(manifests: Sequence[Any]) -> Any:
    (found,) = (m["data"]["blackbox.yaml"] for m in of_kind(manifests, "ConfigMap") if "blackbox.yaml" in m["data"])
    return yaml.safe_load(found)["modules"]


def test_the_public_address_is_asked_for_what_the_gateway_answers_itself_and_only_over_tls(operated: list[Any]) -> None:
    module = blackbox_of(operated)["public-address"]["http"]
    assert module["fail_if_not_ssl"] is True
    assert module["follow_redirects"] is False
    (probe,) = (p for p in of_kind(operated, "Probe") if p["spec"]["module"] == "public-address")
    assert probe["spec"]["targets"]["staticConfig"]["static"] == ["https://ai-interviewer.example.com/-/healthy"]


def test_an_address_without_a_certificate_is_not_asked(tmp_path: Path) -> None:
    """Dev has none, whatever is said of the check."""
    metrics = replace(DEV.metrics, blackbox=BlackboxSettings(public_address=PublicAddress()))  # type: ignore[type-var]
    small = Compute(cpu="10m", memory="64Mi")
    manifests = objects_of(
        AiInterviewer(replace(DEV, metrics=metrics, grafana=replace(DEV.grafana, compute=small)), outdir=tmp_path)
    )
    assert "public-address" not in blackbox_of(manifests)
    assert "probe_ssl_earliest_cert_expiry" not in str(manifests)
    (policy,) = (p for p in of_kind(manifests, "NetworkPolicy") if p["metadata"]["name"] == f"{NAMESPACE}-blackbox")
    assert "ipBlock" not in str(policy)


def test_without_the_check_no_way_leads_outside_and_there_is_no_rule(tmp_path: Path) -> None:
    manifests = rendered(tmp_path / "dist", replace(OPERATOR, blackbox=BlackboxSettings()))
    (policy,) = (p for p in of_kind(manifests, "NetworkPolicy") if p["metadata"]["name"] == f"{NAMESPACE}-blackbox")
    assert "ipBlock" not in str(policy)
    (rules,) = of_kind(manifests, "PrometheusRule")
    alerts = {rule["alert"] for group in rules["spec"]["groups"] for rule in group["rules"]}
    assert "ServiceNotAnswering" in alerts
    assert not {"PublicAddressUnreachable", "CertificateExpiring", "CertificateExpired"} & alerts
