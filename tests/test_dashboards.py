"""This module is the proof of the dashboards: Grafana's builder takes them, and a real Prometheus answers every panel.

What Prometheus holds is ``recorded/``: names and labels as programs print them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as Model

from ai_interviewer import ENVIRONMENTS, PROD, AiInterviewer
from conftest import requires
from mcpmesh_k8s import (
    Agent,
    Component,
    DashboardsSettings,
    DataSource,
    External,
    File,
    InClusterPrometheus,
    Manifest,
    MeshRelease,
    NamespacePods,
    NoLogs,
    NoMetrics,
    PrometheusOperator,
    SettingError,
    SourceKind,
)
from mcpmesh_k8s.observability._dashboards import ABOUT, made, rendered
from mcpmesh_k8s.observability._dashboards.rendering import full
from pictures import PICTURES, digest
from programs import ROOT
from queries import errors
from recorded_metrics import Store, recorded_store
from watched import rules

ALL = ("prometheus", "tempo", "loki")
Json = dict[str, Any]
Manifests = list[Mapping[str, Any]]


@dataclass(frozen=True)
class Whole:
    """An application with everything that a dashboard may be about."""

    application: AiInterviewer
    manifests: Manifests
    dashboards: dict[str, Json]
    rules: list[Json]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Production."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    application = AiInterviewer(PROD, outdir=folder)
    application.synth()
    manifests = [one for phase in application.manifests().values() for one in phase]
    return Whole(application, manifests, mounted(manifests), rules(folder))


@pytest.fixture(scope="module")
def store(
    whole: Whole, needs_prometheus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Store, None, None]:
    """What Prometheus knows of it."""
    agents = [agent.name for agent in whole.application.find_all(Agent)]
    # A value each other minute is enough for an answer, and takes half as long as what pictures are drawn of.
    with recorded_store(whole.manifests, agents, tmp_path_factory.mktemp("store"), step=120) as running:
        yield running


def mounted(manifests: Manifests) -> dict[str, Json]:
    """The dashboards of ConfigMaps that Grafana mounts where its provider looks, by their file."""
    maps = {one["metadata"]["name"]: one["data"] for one in manifests if one["kind"] == "ConfigMap"}
    (pod,) = (
        one["spec"]["template"]["spec"]
        for one in manifests
        if one["kind"] == "Deployment" and one["metadata"]["name"].endswith("-grafana")
    )
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume.get("configMap", {}).get("name") for volume in pod["volumes"]}
    return {
        f"{mount['mountPath']}/{name}": json.loads(text)
        for mount in container["volumeMounts"]
        if mount["mountPath"].startswith("/etc/mcpmesh-dashboards/")
        for name, text in maps[volumes[mount["name"]]].items()
    }


def panels(dashboard: Json) -> Iterator[Json]:
    """Its panels, without the headings."""
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def every_panel(dashboards: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """All panels, each with how a failure names it."""
    for dashboard in dashboards.values():
        for panel in panels(dashboard):
            yield f"{dashboard['title']}: {panel['title']}", panel


VALUES = {
    "$__rate_interval": "4m",
    "$__range": "2h",
    "$__auto": "1m",
    "$slow": "5s",
    "$request": ".*",
    "$text": "",
    "$agent": ".*",
    "$service": ".*",
    "$workload": ".*",
    "$level": ".*",
}


def asked(text: str) -> str:
    """A question as Grafana would ask it, with everything chosen."""
    for name, value in VALUES.items():
        text = text.replace(name, value)
    return text


# Prometheus answers.


def test_every_question_to_prometheus_is_answered(whole: Whole, store: Store) -> None:
    questions = [
        (title, asked(target["expr"]))
        for title, panel in every_panel(whole.dashboards)
        for target in panel["targets"]
        if panel["datasource"]["uid"] == "prometheus"
    ]
    assert len(questions) > 100
    assert [f"{title}: {question}" for title, question in questions if not store.course(question)] == []


def test_agents_that_say_nothing_themselves_are_counted_by_the_cluster(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of 3.x, which answer 404 on their metrics: no panel of theirs is empty."""
    monkeypatch.setattr(MeshRelease, "agents_have_metrics", property(lambda _: False))
    application = AiInterviewer(PROD, outdir=tmp_path / "out")
    (agents,) = (json.loads(rendered(one)) for one in made(application, ALL) if one.name == "agents")
    questions = [
        asked(target["expr"])
        for panel in panels(agents)
        for target in panel["targets"]
        if panel["datasource"]["uid"] == "prometheus"
    ]
    assert [question for question in questions if "mcp_mesh_" in question or not store.course(question)] == []
    (running,) = (panel for panel in panels(agents) if panel["title"] == "Running")
    counts = [
        {one["metric"]["agent"]: one["value"][1] for one in store.now(asked(target["expr"]))}
        for target in running["targets"]
    ]
    assert counts == [{"backend": "3"}] * 2, "the one Deployment of the recording"


def test_every_label_that_a_panel_names_is_there(whole: Whole, store: Store) -> None:
    missing: list[str] = []
    for title, panel in every_panel(whole.dashboards):
        if panel["datasource"]["uid"] != "prometheus":
            continue
        steps = {step["id"]: step["options"] for step in panel.get("transformations", ())}
        renamed: dict[str, str] = steps.get("organize", {}).get("renameByName", {})
        keys = {label for label in renamed if not label.startswith("Value")}
        for target in panel["targets"]:
            found = store.course(asked(target["expr"]))
            named = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
            missing += [f"{title}: {label} of {one['metric']}" for one in found for label in named - set(one["metric"])]
            if panel["type"] == "table":
                shown = {label for one in store.now(asked(target["expr"])) for label in one["metric"]}
                # An alert is about a pod, a check or a claim: none has all.
                missing += [f"{title}: {label}" for label in keys - shown if title != "Alerts: What is wrong"]
                missing += [f"{title}: {label} is not shown" for label in shown - keys]
    assert missing == []


def test_what_every_rule_is_about_is_there(whole: Whole, store: Store) -> None:
    asked_for = {selector for rule in whole.rules for selector in selectors(rule["expr"])}
    assert len(asked_for) > 40
    assert sorted(one for one in asked_for if not store.course(one)) == []


def test_selectors_of_an_expression_are_found() -> None:
    expression = (
        'sum by (job, pod) (rate(a_total{x="y)"}[5m])) / on (pod) group_left max(b) > bool 0.5 '
        'unless on () c{le=~"1([.]0)?"} == 0 or absent(up{job="d"}) and vector(1) offset 5m'
    )
    assert list(selectors(expression)) == ['a_total{x="y)"}', "b", 'c{le=~"1([.]0)?"}', 'up{job="d"}']


_TOKENS = re.compile(
    r"""\[[^\]]*\]                                              # a range
    | \b(?:by|without|on|ignoring|group_left|group_right)\b\s*(?:\([^)]*\))?
    | \b(?:and|or|unless|bool|offset\s+\w+)\b
    | "(?:[^"\\]|\\.)*"
    | (?P<function>[a-zA-Z_]\w*)\s*(?=\(|\bby\b|\bwithout\b)
    | (?P<series>[a-zA-Z_:][\w:]*(?:\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\})?|\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\})
    | [\d.]+(?:e\d+)?
    """,
    re.VERBOSE,
)


def selectors(expression: str) -> Iterator[str]:
    """The series that an expression is about."""
    return (found["series"] for found in _TOKENS.finditer(expression) if found["series"])


# Loki and Tempo understand.


@requires("grammars")
def test_every_question_to_loki_and_tempo_can_be_read(whole: Whole) -> None:
    targets = [
        (panel["datasource"]["uid"], target)
        for _, panel in every_panel(whole.dashboards)
        for target in panel["targets"]
    ]
    logs = [asked(target["expr"]) for uid, target in targets if uid == "loki"]
    traces = [asked(target["query"]) for _, target in targets if "query" in target]
    assert len(logs) >= 6
    assert len(traces) >= 6
    assert errors("logql", logs) == {}
    assert errors("traceql", traces) == {}


# Grafana takes them.


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda environment: environment.name)
def test_every_panel_asks_a_data_source_that_grafana_has(environment: Any, tmp_path: Path) -> None:
    application = AiInterviewer(environment, outdir=tmp_path / "out")
    manifests: Manifests = [one for phase in application.manifests().values() for one in phase]
    maps = [one["data"] for one in manifests if one["kind"] == "ConfigMap"]
    (told,) = (data["datasources__mcp-mesh.yaml"] for data in maps if "datasources__mcp-mesh.yaml" in data)
    uids = set(re.findall(r"^ *uid: (\w+)$", told, re.MULTILINE))
    named = {(one["type"], one["uid"]) for _, panel in every_panel(mounted(manifests)) for one in sources(panel)}
    assert named
    assert {uid for _, uid in named} <= uids
    assert {kind for kind, uid in named if kind != uid} == set()


def sources(value: Any) -> Iterator[Json]:
    """Every reference to a data source, wherever it is."""
    if isinstance(value, dict):
        if "datasource" in value:
            yield value["datasource"]
        for inner in value.values():
            yield from sources(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from sources(inner)


def test_grafanas_builder_reads_what_is_mounted_and_knows_all_of_it(whole: Whole) -> None:
    """What is left out comes back as it was: Grafana takes it for that anyhow."""
    register_default_plugins()
    for dashboard in made(whole.application, ALL):
        short, long = (Model.from_json(json.loads(write(dashboard))) for write in (rendered, full))
        read = json.loads(JSONEncoder().encode(short))
        assert read == json.loads(JSONEncoder().encode(long))
        assert set(keys(json.loads(rendered(dashboard)))) <= set(keys(read))


def keys(value: Any, at: str = "") -> Iterator[str]:
    """Where there is something, as paths."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield f"{at}/{key}"
        yield from keys(one, f"{at}/{key}")


def test_grafana_opens_with_the_overview(whole: Whole) -> None:
    (pod,) = (
        one["spec"]["template"]["spec"]["containers"][0]
        for one in whole.manifests
        if one["kind"] == "Deployment" and one["metadata"]["name"].endswith("-grafana")
    )
    variables = {variable["name"]: variable.get("value") for variable in pod["env"]}
    first = whole.dashboards[variables["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]]
    assert (first["uid"], first["title"]) == ("mcp-mesh-overview", "Overview")


def test_names_are_for_ever(whole: Whole) -> None:
    """People keep links to them."""
    assert {dashboard["uid"]: dashboard["title"] for dashboard in whole.dashboards.values()} == {
        "mcp-mesh-overview": "Overview",
        "mcp-mesh-gateway": "Gateway",
        "mcp-mesh-calls": "A call's path",
        "mcp-mesh-agents": "Agents",
        "mcp-mesh-models": "Model calls",
        "mcp-mesh-stores": "Data stores",
        "mcp-mesh-budget": "Room",
        "mcp-mesh-logs": "Logs",
        "mcp-mesh-alerts": "Alerts",
    }


def test_panels_lie_side_by_side_and_say_what_they_show(whole: Whole) -> None:
    for dashboard in whole.dashboards.values():
        taken = Counter(
            (x, y)
            for panel in dashboard["panels"]
            for place in [panel["gridPos"]]
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
        assert max(taken.values()) == 1
        assert max(x for x, _ in taken) <= 23
        numbers = [panel["id"] for panel in dashboard["panels"]]
        assert numbers == list(range(1, len(numbers) + 1))
        assert dashboard["description"]
        assert not dashboard["editable"]
    for title, panel in every_panel(whole.dashboards):
        assert panel["title"], title
        if panel["type"] in ("timeseries", "stat", "bargauge"):
            assert panel["fieldConfig"]["defaults"]["unit"], title


def test_what_can_be_chosen_is_used_and_what_is_used_can_be_chosen(whole: Whole) -> None:
    own = {"__rate_interval", "__range", "__auto", "__all", "1"}
    for dashboard in whole.dashboards.values():
        offered = {variable["name"] for variable in dashboard["templating"].get("list", ())}
        text = json.dumps([panel["targets"] for panel in panels(dashboard)])
        assert set(re.findall(r"\$(\w+)", text)) - own == offered, dashboard["title"]


def test_the_same_tree_gives_the_same_bytes(whole: Whole, tmp_path: Path) -> None:
    again = AiInterviewer(PROD, outdir=tmp_path / "out")
    first, second = ([rendered(one) for one in made(each, ALL)] for each in (whole.application, again))
    assert first == second


# Only what is there is shown.


def sources_of(application: AiInterviewer, *there: str) -> set[str]:
    """The data sources that dashboards ask when there are these."""
    found = {one["uid"] for dashboard in made(application, there) for one in sources(json.loads(rendered(dashboard)))}
    return {str(uid) for uid in found}


THERE = ((), ("tempo",), ("prometheus",), ("loki",), ("loki", "tempo"), ("prometheus", "loki"))


@pytest.mark.parametrize("there", THERE)
def test_no_panel_asks_a_source_that_is_not_there(whole: Whole, there: tuple[str, ...]) -> None:
    assert sources_of(whole.application, *there) == set(there)


def test_without_metrics_and_logs_the_traces_are_left(tmp_path: Path) -> None:
    application = AiInterviewer(replace(PROD, metrics=NoMetrics(), logs=NoLogs()), outdir=tmp_path / "out")
    manifests: Manifests = [one for phase in application.manifests().values() for one in phase]
    found = mounted(manifests)
    assert {one["title"] for one in found.values()} == {"Overview", "A call's path", "Agents", "Model calls"}
    assert {panel["type"] for _, panel in every_panel(found)} == {"table"}


def test_without_kubelets_nothing_is_shown_of_what_only_they_know(tmp_path: Path) -> None:
    assert isinstance(PROD.metrics, InClusterPrometheus)
    metrics = replace(
        PROD.metrics,
        kube_state_metrics=None,
        blackbox=None,
        prometheus=replace(PROD.metrics.prometheus, kubelet=None),
    )
    application = AiInterviewer(replace(PROD, metrics=metrics), outdir=tmp_path / "out")
    text = "".join(rendered(one) for one in made(application, ALL))
    assert not re.findall(r"container_\w+_total|kubelet_\w+|kube_\w+|probe_\w+", text)
    assert "redis_memory_used_bytes" in text


def test_a_prometheus_of_the_cluster_is_asked_about_this_namespace_alone(tmp_path: Path) -> None:
    cluster = External(name="the cluster's Prometheus", port=9090, peer=NamespacePods(namespace="monitoring"))
    asked_for = DataSource(kind=SourceKind.PROMETHEUS, at=cluster, url="http://prometheus.monitoring:9090")
    environment = replace(PROD, metrics=PrometheusOperator(), grafana=replace(PROD.grafana, data_sources=(asked_for,)))
    application = AiInterviewer(environment, outdir=tmp_path / "out")
    manifests: Manifests = [one for phase in application.manifests().values() for one in phase]
    shown = [panel for _, panel in every_panel(mounted(manifests)) if panel["datasource"]["uid"] == "prometheus"]
    expressions = [asked(target["expr"]) for panel in shown for target in panel["targets"]]
    found = [one for text in expressions for one in selectors(text)]
    assert len(found) > 100
    assert [one for one in found if 'namespace="ai-interviewer"' not in one] == []
    # It knows of pods and kubelets, as a cluster's does.
    assert {"kube_resourcequota", "container_memory_working_set_bytes"} <= {one.partition("{")[0] for one in found}


def test_dashboards_of_ones_own_are_where_grafana_looks(tmp_path: Path) -> None:
    own = File(path="dashboards/sales.json", content="{}")
    environment = replace(
        PROD, grafana=replace(PROD.grafana, dashboards=(own,)), dashboards=DashboardsSettings(without=tuple(ABOUT))
    )
    application = AiInterviewer(environment, outdir=tmp_path / "out")
    manifests: Manifests = [one for phase in application.manifests().values() for one in phase]
    maps = [one["data"] for one in manifests if one["kind"] == "ConfigMap"]
    (told,) = (data["dashboards__mcp-mesh.yaml"] for data in maps if "dashboards__mcp-mesh.yaml" in data)
    assert [provider["options"]["path"] for provider in yaml.safe_load(told)["providers"]] == [
        "/etc/mcpmesh/dashboards"
    ]
    assert mounted(manifests) == {}


def test_dashboards_can_be_left_out_by_their_names(tmp_path: Path) -> None:
    settings = DashboardsSettings(without=("models", "logs"))
    application = AiInterviewer(replace(PROD, dashboards=settings), outdir=tmp_path / "out")
    manifests: Manifests = [one for phase in application.manifests().values() for one in phase]
    titles = {one["title"] for one in mounted(manifests).values()}
    assert "Agents" in titles
    assert not titles & {"Model calls", "Logs"}
    with pytest.raises(SettingError, match=r"'model' was given. Give some of overview, gateway"):
        DashboardsSettings(without=("model",))


def test_a_component_brings_its_own(tmp_path: Path) -> None:
    class Sales(Component):
        """What somebody else sells."""

        def dashboards(self, sources: tuple[SourceKind, ...]) -> tuple[File, ...]:
            content = {"uid": "sales", "asks": [one.value for one in sources]}
            return (File(path="sales.json", content=json.dumps(content)),)

        def manifests(self) -> list[Manifest]:
            return []

    application = AiInterviewer(PROD, outdir=tmp_path / "out")
    Sales(application.phases[-1], "sales", "sales")
    manifests: Manifests = [one for phase in application.manifests().values() for one in phase]
    own = mounted(manifests)["/etc/mcpmesh-dashboards/sales/sales.json"]
    assert own == {"uid": "sales", "asks": ["prometheus", "tempo", "loki", "alertmanager"]}


def test_what_no_config_map_holds_is_refused(tmp_path: Path) -> None:
    class Huge(Component):
        """More than anybody reads."""

        def dashboards(self, sources: tuple[SourceKind, ...]) -> tuple[File, ...]:
            del sources
            return (File(path="huge.json", content=" " * 2**20),)

        def manifests(self) -> list[Manifest]:
            return []

    application = AiInterviewer(PROD, outdir=tmp_path / "out")
    Huge(application.phases[-1], "huge", "huge")
    with pytest.raises(SettingError, match=r"dashboard 'huge': '\d+ bytes' was given. A ConfigMap holds at most 1 MiB"):
        application.manifests()


def test_forty_agents_are_far_from_the_limit(tmp_path: Path) -> None:
    one = replace(PROD.agents[1], url_variable="")
    many = tuple(replace(one, name=f"a-rather-long-name-of-agent-{number}") for number in range(40))
    application = AiInterviewer(replace(PROD, agents=(*PROD.agents, *many)), outdir=tmp_path / "out")
    sizes = {one.name: len(rendered(one).encode()) for one in made(application, ALL)}
    assert max(sizes.values()) < 64 * 1024, sizes


def test_nothing_in_them_is_named_after_this_application() -> None:
    """They serve any: names come from the tree."""
    sources = (ROOT / "constructs/mcpmesh_k8s/observability/_dashboards").glob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    assert text
    assert not re.findall(r"(?i)interview|claude|openai|resume|pdf", text)


# Pictures.


def drawn_from(picture: Path) -> str:
    """What a picture says it was drawn from: a text beside its pixels."""
    (found,) = re.findall(rb"tEXtdrawn-from\0([0-9a-f]{64})", picture.read_bytes())
    return str(found.decode())


def test_each_dashboard_has_its_picture_and_it_is_current(whole: Whole) -> None:
    shown = {f"dashboard-{Path(path).stem}.png": dashboard for path, dashboard in whole.dashboards.items()}
    assert {path.name for path in PICTURES.glob("dashboard-*.png")} == set(shown)
    old = [name for name, dashboard in shown.items() if drawn_from(PICTURES / name) != digest(dashboard)]
    assert old == [], "they are drawn anew by `make pictures`"


def test_the_docs_show_all_of_them() -> None:
    text = (PICTURES.parent / "dashboards.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\(pictures/(.*?)\)", text)) == sorted(path.name for path in PICTURES.glob("*.png"))
