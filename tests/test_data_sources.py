"""This module is Grafana's data sources: those that there are, each tied to the others, and nothing that dangles."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from constructs import Construct

from conftest import Manifests, close, read_manifests, requires
from environments import EVERY
from mcpmesh_k8s import (
    Alertmanager,
    AlertmanagerSettings,
    Application,
    ApplicationSettings,
    Compute,
    Container,
    DataSource,
    ExistingSecrets,
    External,
    Grafana,
    GrafanaSettings,
    NamespacePods,
    NoProbes,
    Phase,
    Port,
    Prometheus,
    PrometheusSettings,
    Secret,
    SecretSettings,
    SettingError,
    SourceKind,
    Target,
    Tempo,
    TempoSettings,
    User,
    Webhook,
    Workload,
    WorkloadSettings,
    images,
)
from mcpmesh_k8s.kubernetes.manifest import at, each, name_of
from mesh_harness import Manifest, find
from queries import errors

SMALL = Compute(cpu="100m", memory="256Mi")
GRAFANA = GrafanaSettings(image=images.GRAFANA, compute=SMALL)
OUTSIDE = External(name="monitoring", port=9090, peer=NamespacePods(namespace="monitoring"))
# What Grafana 11.4 reads of `jsonData`, by the type of data source (packages/grafana-data, its datasource plugins, and
# its provisioning docs). It ignores any other, and says nothing.
KNOWN = {
    "prometheus": {
        "httpMethod", "prometheusType", "timeInterval", "alertmanagerUid", "exemplarTraceIdDestinations", "manageAlerts"
    },
    "tempo": {"nodeGraph", "tracesToLogsV2", "tracesToMetrics", "serviceMap"},
    "loki": {"manageAlerts", "derivedFields"},
    "alertmanager": {"implementation", "handleGrafanaManagedAlerts"},
}  # fmt: skip


class Loki(Workload):
    """A store of logs, of one line more than a workload."""

    @property
    def data_source(self) -> DataSource:
        return DataSource(kind=SourceKind.LOKI, at=Target(workload=self))


def loki(phase: Construct, name: str = "loki") -> Loki:
    container = Container(
        name=name,
        image=images.LOKI,
        user=User(uid=1, gid=1),
        compute=SMALL,
        ports=(Port(number=3100),),
        probes=NoProbes(because="No test starts it."),
    )
    return Loki(phase, WorkloadSettings(name=name, container=container))


def tempo(phase: Construct) -> Tempo:
    return Tempo(phase, TempoSettings(image=images.TEMPO, compute=SMALL))


def prometheus(phase: Construct) -> Prometheus:
    return Prometheus(phase, PrometheusSettings(interval_seconds=15, kubelet=None))


def alertmanager(phase: Construct) -> Alertmanager:
    given = AlertmanagerSettings(page=Webhook(), ticket=Webhook())
    return Alertmanager(phase, given, secret(phase, "alertmanager", "page", "ticket"))


def secret(phase: Construct, name: str, *keys: str) -> Secret:
    return Secret(phase, SecretSettings(name=name, keys=keys, source=ExistingSecrets()))


MAKERS = {"prometheus": prometheus, "tempo": tempo, "loki": loki, "alertmanager": alertmanager}


def rendered(folder: Path, kinds: Sequence[str], settings: GrafanaSettings = GRAFANA) -> Sequence[Manifest]:
    """An application that runs these, after its Grafana."""
    application = Application(ApplicationSettings(name="shop"), outdir=folder / "shop")
    phase = Phase(application, "all")
    Grafana(phase, settings, secret(phase, "grafana", *settings.secret_keys))
    for kind in kinds:
        MAKERS[kind](phase)
    close(phase)
    application.synth()
    return read_manifests(folder / "shop")


def provisioned(manifests: Sequence[Manifest], application: str) -> dict[str, dict[str, Any]]:
    """What Grafana is told, by uid."""
    files = find(manifests, "ConfigMap", f"{application}-grafana-provisioning")["data"]
    told = yaml.safe_load(files["datasources__mcp-mesh.yaml"])
    assert (told["apiVersion"], sorted(told)) == (1, ["apiVersion", "datasources", "deleteDatasources"])
    sources = {source["uid"]: source for source in told["datasources"]}
    # What is not there is deleted, and nothing that is.
    gone = {entry["name"].lower() for entry in told["deleteDatasources"]}
    assert gone | set(sources) == set(KNOWN)
    assert not gone & set(sources)
    return sources


def uids(told: object) -> Iterator[str]:
    """Every data source that is referred to."""
    if isinstance(told, dict):
        for key, value in told.items():
            if key in ("datasourceUid", "alertmanagerUid"):
                yield value
            yield from uids(value)
    elif isinstance(told, list):
        for value in told:
            yield from uids(value)


def ties(sources: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    return {uid: set(uids(source["jsonData"])) for uid, source in sources.items()}


def egress(manifests: Sequence[Manifest], application: str) -> set[tuple[str, int]]:
    spec = find(manifests, "NetworkPolicy", f"{application}-grafana")["spec"]
    return {
        (peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"].removeprefix(f"{application}-"), port["port"])
        for rule in spec.get("egress", [])
        for peer in rule["to"]
        if "podSelector" in peer and "namespaceSelector" not in peer
        for port in rule["ports"]
    }


@pytest.mark.parametrize("environment", EVERY)
def test_every_data_source_is_there_and_reached_and_nothing_dangles(manifests: Manifests, environment: str) -> None:
    made = manifests(environment)
    sources = provisioned(made, "ai-interviewer")
    assert {"prometheus", "tempo"} <= set(sources)
    services = {name_of(m): list(each(at(m, "spec"), "ports")) for m in made if m["kind"] == "Service"}
    for uid, source in sources.items():
        assert (source["type"], source["access"], source["editable"]) == (uid, "proxy", False)
        assert set(source["jsonData"]) <= KNOWN[uid]
        host, port = re.fullmatch(r"http://([a-z-]+):(\d+)", source["url"]).groups()  # type: ignore[union-attr]
        assert int(port) in {found["port"] for found in services[host]}
        assert (host.removeprefix("ai-interviewer-"), int(port)) in egress(made, "ai-interviewer")
    assert set(uids(list(sources.values()))) <= set(sources)
    assert [uid for uid, source in sources.items() if source["isDefault"]] == ["prometheus"]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((), {}),
        (("tempo",), {"tempo": set()}),
        (("prometheus",), {"prometheus": set()}),
        (("prometheus", "tempo"), {"prometheus": {"tempo"}, "tempo": {"prometheus"}}),
        (("loki",), {"loki": {"loki"}}),
        (("tempo", "loki"), {"tempo": {"loki"}, "loki": {"loki", "tempo"}}),
        (("alertmanager",), {"alertmanager": set()}),
        (
            ("alertmanager", "loki", "tempo", "prometheus"),
            {
                "prometheus": {"tempo", "alertmanager"},
                "tempo": {"loki", "prometheus"},
                "loki": {"loki", "tempo"},
                "alertmanager": set(),
            },
        ),
    ],
)
def test_each_is_tied_to_those_that_there_are(
    tmp_path: Path, kinds: Sequence[str], expected: dict[str, set[str]]
) -> None:
    made = rendered(tmp_path, kinds)
    sources = provisioned(made, "shop")
    assert ties(sources) == expected
    assert all(set(source["jsonData"]) <= KNOWN[uid] for uid, source in sources.items())
    ports = {"prometheus": 9090, "tempo": 3200, "loki": 3100, "alertmanager": 9093}
    assert egress(made, "shop") == {(kind, ports[kind]) for kind in kinds}
    first = next((kind for kind in ("prometheus", "tempo", "loki") if kind in kinds), None)
    assert [uid for uid, source in sources.items() if source["isDefault"]] == ([first] if first else [])


def test_what_each_is_told_of_the_others(tmp_path: Path) -> None:
    sources = provisioned(rendered(tmp_path, ("alertmanager", "loki", "tempo", "prometheus")), "shop")
    told = {uid: source["jsonData"] for uid, source in sources.items()}
    assert told["prometheus"]["exemplarTraceIdDestinations"] == [{"name": "trace_id", "datasourceUid": "tempo"}]
    assert told["prometheus"]["timeInterval"] == "15s"
    assert told["tempo"]["tracesToLogsV2"]["tags"] == [{"key": "service.name", "value": "app"}]
    assert told["tempo"]["tracesToMetrics"]["tags"] == [{"key": "service.name", "value": "service"}]
    assert told["tempo"]["serviceMap"] == {"datasourceUid": "prometheus"}
    assert told["alertmanager"] == {"implementation": "prometheus", "handleGrafanaManagedAlerts": False}
    request, trace = told["loki"]["derivedFields"]
    assert (request["matcherType"], request["matcherRegex"]) == ("label", "request_id")
    # Grafana puts variables of its environment in place of a single '$'.
    assert request["url"] == '{app=~".+"} | request_id=`$${__value.raw}`'
    assert trace["url"] == "$${__value.raw}"
    assert "$" not in json.dumps(told).replace("$$", "")


@pytest.mark.parametrize(
    "line",
    [
        'level=info trace_id=0af7651916cd43dd8448eb211c80319c msg="done"',
        '{"traceId":"0af7651916cd43dd8448eb211c80319c"}',
        "traceID: 0af7651916cd43dd8448eb211c80319c",
        "{'trace_id': '0af7651916cd43dd8448eb211c80319c'}",
    ],
)
def test_the_id_of_a_trace_is_found_in_a_line(tmp_path: Path, line: str) -> None:
    sources = provisioned(rendered(tmp_path, ("tempo", "loki")), "shop")
    pattern = sources["loki"]["jsonData"]["derivedFields"][1]["matcherRegex"]
    found = re.search(pattern, line)
    assert found is not None
    assert found[1] == "0af7651916cd43dd8448eb211c80319c"
    # Tempo takes hexadecimal digits alone, so one with dashes would lead nowhere.
    assert not re.search(pattern, "trace_id=1322f09d-baee-4241-a45d-a4ee78dc199f parent=none")


@pytest.mark.parametrize("environment", EVERY)
def test_grafana_ties_logs_by_the_labels_that_alloy_sets(manifests: Manifests, environment: str) -> None:
    sources = provisioned(manifests(environment), "ai-interviewer")
    text = find(manifests(environment), "ConfigMap", "ai-interviewer-alloy")["data"]["config.alloy"]
    (tag,) = sources["tempo"]["jsonData"]["tracesToLogsV2"]["tags"]
    assert tag["value"] in re.findall(r'target_label *= "(\w+)"', text)
    (kept,) = re.findall(r"stage\.structured_metadata \{ values = \{(.*?)\}", text)
    assert sources["loki"]["jsonData"]["derivedFields"][0]["matcherRegex"] in re.findall(r"(\w+) = ", kept)


@requires("grammars")
def test_grafana_s_own_grammar_reads_what_a_request_leads_to(tmp_path: Path) -> None:
    request = provisioned(rendered(tmp_path, ("loki",)), "shop")["loki"]["jsonData"]["derivedFields"][0]
    assert errors("logql", [request["url"].replace("$${__value.raw}", "0af7651916cd43dd")]) == {}


def test_promtool_reads_what_a_span_leads_to(tmp_path: Path, needs_prometheus: Path) -> None:
    sources = provisioned(rendered(tmp_path, ("tempo", "prometheus")), "shop")
    queries = [query["query"] for query in sources["tempo"]["jsonData"]["tracesToMetrics"]["queries"]]
    assert len(queries) == 3
    rules = [
        {"record": f"of:span{number}", "expr": query.replace("$$__tags", 'service="interview-agent"')}
        for number, query in enumerate(queries)
    ]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "of", "rules": rules}]}))
    run = [str(needs_prometheus), "check", "rules", "rules.yaml"]
    ran = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_what_others_run_is_asked_too(tmp_path: Path) -> None:
    outside = DataSource(kind=SourceKind.PROMETHEUS, at=OUTSIDE, url="http://metrics.monitoring:9090")
    made = rendered(tmp_path, ("tempo",), replace(GRAFANA, data_sources=(outside,)))
    sources = provisioned(made, "shop")
    assert sources["prometheus"]["url"] == "http://metrics.monitoring:9090"
    # Tempo counts nothing for it, so nothing leads there.
    assert ties(sources) == {"prometheus": set(), "tempo": set()}
    egress = find(made, "NetworkPolicy", "shop-grafana")["spec"]["egress"]
    assert {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
    } in [peer for rule in egress for peer in rule["to"]]  # fmt: skip


def test_two_of_a_kind_are_refused(tmp_path: Path) -> None:
    outside = DataSource(kind=SourceKind.LOKI, at=replace(OUTSIDE, port=3100), url="http://loki.logs:3100")
    words = "There is one at http://shop-loki:3100, and one at http://loki.logs:3100. Give one of each kind."
    with pytest.raises(SettingError, match=re.escape(words)):
        rendered(tmp_path, ("loki",), replace(GRAFANA, data_sources=(outside,)))


@pytest.mark.parametrize("url", ["", "metrics:9090", "http://metrics/$HOME", "http://a b", "http://a\nb"])
def test_an_address_that_grafana_would_not_ask_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match=r"DataSource\.url of 'prometheus'"):
        DataSource(kind=SourceKind.PROMETHEUS, at=OUTSIDE, url=url)
    with pytest.raises(SettingError, match="Give 0 or more"):
        DataSource(kind=SourceKind.PROMETHEUS, at=OUTSIDE, url="http://metrics:9090", interval_seconds=-1)
