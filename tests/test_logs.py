"""This module is the proof of what becomes of logs: who collects them, what is found in a line, what they may take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_interviewer import PROD, AiInterviewer
from conftest import Manifests, at_each, read_manifests, requires
from environments import EVERY
from log_pipeline import Pipeline, Reference, configuration, parse
from mcpmesh_k8s import (
    AddressRange,
    Claim,
    Compute,
    Container,
    Image,
    InClusterLoki,
    LogsSettings,
    LokiSettings,
    NoLogs,
    NoProbes,
    Phase,
    SettingError,
    ShippedLogs,
    User,
    Workload,
    WorkloadSettings,
)
from mesh_harness import Manifest
from programs import ROOT
from queries import errors
from reading import documents_of, objects_of

SAMPLES: dict[str, list[dict[str, Any]]] = documents_of((ROOT / "tests/log_samples.yaml").read_text("utf-8"))[0]
WEB = Container(
    name="web",
    image=Image(repository="acme/web", tag="1.2.3"),
    user=User(uid=1000, gid=1000),
    compute=Compute(cpu="10m", memory="16Mi"),
    probes=NoProbes(because="No test starts it."),
)
LINES = [(app, sample) for app, samples in SAMPLES.items() for sample in samples]


@at_each(("app", "sample"), LINES, ids=[f"{app}: {sample['line'][:40]}" for app, sample in LINES])
def test_of_a_line_the_level_and_the_request_are_found(manifests: Manifests, app: str, sample: dict[str, Any]) -> None:
    (stored,) = Pipeline.of(manifests("prod")).read(app, sample.get("container", app), sample["line"])
    assert stored.level == sample["level"]
    identifiers = ("request_id", "trace_id")
    found = {name: text for name, text in stored.metadata.items() if text}
    assert found == {name: sample[name] for name in identifiers if name in sample}
    assert stored.text == sample.get("stored", sample["line"])
    assert stored.labels.keys() == {"app", "pod", "container"} | ({"level"} if sample["level"] else set())


@pytest.fixture(scope="module", params=EVERY)
def rendered(request: pytest.FixtureRequest, manifests: Manifests) -> Sequence[Manifest]:
    """The manifests of an environment."""
    return manifests(request.param)


def test_every_form_that_a_program_has_of_its_own_is_that_of_a_line_here(rendered: Sequence[Manifest]) -> None:
    patterns = [
        block.text("expression") for block in parse(configuration(rendered)).every() if block.kind == "stage.regex"
    ]
    assert len(patterns) >= 6
    for pattern in patterns:
        assert any(re.search(pattern, sample["line"]) for _, sample in LINES), pattern


# The components of Alloy that are used: what each must be given and may be, and what others may take of it
# (docs/sources/reference/components of grafana/alloy).
COMPONENTS = {
    "logging": ({"level", "format"}, set[str](), set[str]()),
    "discovery.kubernetes": ({"role"}, {"namespaces"}, {"targets"}),
    "discovery.relabel": ({"targets"}, {"rule"}, {"output"}),
    "loki.source.kubernetes": ({"targets", "forward_to"}, set[str](), set[str]()),
    "loki.process": ({"forward_to"}, {"stage"}, {"receiver"}),
    "loki.write": (set[str](), {"endpoint"}, {"receiver"}),
}


def check_structure(text: str) -> None:
    """Every part is one that there is, has what it must have, and takes of others what they give."""
    parts = parse(text).blocks
    given = {f"{part.kind}.{part.label}.{name}" for part in parts for name in COMPONENTS[part.kind][2]}
    assert len({(part.kind, part.label) for part in parts}) == len(parts)
    taken = set[str]()
    for part in parts:
        needed, blocks, _ = COMPONENTS[part.kind]
        assert needed <= part.values.keys() <= needed | {"external_labels"}, part.kind
        assert {block.kind.partition(".")[0] for block in part.blocks} == blocks, part.kind
        for value in part.values.values():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, Reference):
                    assert one.name in given, one
                    taken.add(one.name)
    # Nothing ends on the way.
    assert taken == given


def test_the_configuration_hangs_together(rendered: Sequence[Manifest]) -> None:
    check_structure(configuration(rendered))


@requires("grammars")
def test_every_selector_is_logql(rendered: Sequence[Manifest]) -> None:
    selectors = [
        block.text("selector") for block in parse(configuration(rendered)).every() if "selector" in block.values
    ]
    assert len(selectors) > 10
    assert errors("logql", selectors) == {}


def test_it_reads_this_namespace_and_not_itself(rendered: Sequence[Manifest]) -> None:
    (namespace,) = {m["metadata"]["namespace"] for m in rendered if m["kind"] == "Deployment"}
    parts = {part.kind: part for part in parse(configuration(rendered)).blocks}
    (where,) = parts["discovery.kubernetes"].blocks
    assert where.names("names") == [namespace]
    (dropped,) = (rule for rule in parts["discovery.relabel"].blocks if rule.values.get("action") == "drop")
    assert re.fullmatch(dropped.text("regex"), "ai-interviewer-alloy")
    labels = {rule.text("target_label"): rule for rule in parts["discovery.relabel"].blocks if rule is not dropped}
    assert labels.keys() == {"app", "pod", "container"}
    found = re.fullmatch(labels["app"].text("regex"), "ai-interviewer-redis")
    assert found
    assert found[1] == "redis"
    of_others = re.fullmatch(labels["app"].text("regex"), "a-pod-of-others")
    assert of_others
    assert of_others[1] == "a-pod-of-others"


def deployment(manifests: Sequence[Manifest], name: str) -> dict[str, Any]:
    """The container of one of its Deployments."""
    (found,) = (m for m in manifests if m["kind"] == "Deployment" and m["metadata"]["name"] == f"ai-interviewer-{name}")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def test_alloy_reports_nothing_home_and_shows_nobody_its_configuration(rendered: Sequence[Manifest]) -> None:
    args = deployment(rendered, "alloy")["args"]
    assert args[:2] == ["run", "/etc/alloy/config.alloy"]
    assert {
        "--disable-reporting",
        "--server.http.disable-support-bundle=true",
        "--server.http.enable-pprof=false",
    } <= set(args)
    assert not any("cluster" in argument or "stability" in argument for argument in args)


def loki_yaml(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """Loki's configuration."""
    (text,) = (m["data"]["loki.yaml"] for m in manifests if "loki.yaml" in m.get("data", ()))
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def test_loki_is_bounded_by_its_storage_and_its_memory(rendered: Sequence[Manifest]) -> None:
    told, container = loki_yaml(rendered), deployment(rendered, "loki")
    limits = told["limits_config"]
    days = int(limits["retention_period"].removesuffix("h")) / 24
    assert days == int(days) >= 1
    # Beyond it nothing is asked for, and nothing comes in.
    assert limits["max_query_lookback"] == limits["reject_old_samples_max_age"] == limits["retention_period"]
    assert told["compactor"]["retention_enabled"]
    # Loki does not start with retention and no store for deletions.
    assert (
        told["compactor"]["delete_request_store"] == told["schema_config"]["configs"][0]["object_store"] == "filesystem"
    )
    assert told["schema_config"]["configs"][0]["index"]["period"] == "24h"
    gibibytes = limits["ingestion_rate_mb"] / 1024 * 86400 * (days + 1) / 4
    assert gibibytes < storage_of(rendered, "ai-interviewer-loki")
    memory = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
    assert int(told["ingester"]["wal"]["replay_memory_ceiling"].removesuffix("MB")) <= memory / 2
    assert told["chunk_store_config"]["chunk_cache_config"]["embedded_cache"]["max_size_mb"] <= memory / 10
    (limit,) = (one["value"] for one in container["env"] if one["name"] == "GOMEMLIMIT")
    assert memory * 0.8 < int(limit.removesuffix("MiB")) < memory


def storage_of(manifests: Sequence[Manifest], name: str) -> float:
    """GiB of a Deployment's data: of its claim, or of its scratch space."""
    claims = [
        m["spec"]["resources"]["requests"]["storage"]
        for m in manifests
        if (m["kind"], m["metadata"]["name"]) == ("PersistentVolumeClaim", name)
    ]
    scratch = [
        volume["emptyDir"]["sizeLimit"]
        for m in manifests
        if (m["kind"], m["metadata"]["name"]) == ("Deployment", name)
        for volume in m["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "data" and "emptyDir" in volume
    ]
    (size,) = (*claims, *scratch)
    return float(size.removesuffix("Gi"))


def test_loki_talks_to_nobody_but_itself(rendered: Sequence[Manifest]) -> None:
    told = loki_yaml(rendered)
    assert told["analytics"] == {"reporting_enabled": False}
    assert told["common"]["ring"] == {"kvstore": {"store": "inmemory"}}
    assert told["common"]["instance_addr"] == told["server"]["grpc_listen_address"] == "127.0.0.1"


# Elsewhere, or nowhere


def with_logs(logs: LogsSettings, folder: Path) -> Sequence[Manifest]:
    """Production, with another choice."""
    return objects_of(AiInterviewer(replace(PROD, logs=logs), outdir=folder))


def named(manifests: Sequence[Manifest], name: str) -> list[Manifest]:
    """The objects of a component."""
    return [m for m in manifests if m["metadata"]["name"].startswith(f"ai-interviewer-{name}")]


PUSH = "https://logs.example.com:8443/loki/api/v1/push"


@pytest.mark.parametrize(
    ("username", "signs_in"),
    [
        ("", {"bearer_token_file": "/etc/alloy-secrets/password"}),
        ("41", {"basic_auth": ("41", "/etc/alloy-secrets/password")}),
    ],
)
def test_lines_are_sent_elsewhere_with_a_password_from_a_secret(
    tmp_path: Path, username: str, signs_in: dict[str, object]
) -> None:
    shipped = ShippedLogs(url=PUSH, peer=AddressRange(cidr="192.0.2.7/32"), username=username, tenant="interviews")
    rendered = with_logs(shipped, tmp_path)
    assert not named(rendered, "loki")
    check_structure(configuration(rendered))
    (write,) = (part for part in parse(configuration(rendered)).blocks if part.kind == "loki.write")
    # Where lines of others are, too, the namespace tells them apart.
    assert write.texts("external_labels") == {"namespace": "ai-interviewer"}
    (endpoint,) = write.blocks
    assert (endpoint.text("url"), endpoint.text("tenant_id")) == (PUSH, "interviews")
    found: dict[str, object] = {
        block.kind: (block.text("username"), block.text("password_file")) for block in endpoint.blocks
    }
    found |= {name: value for name, value in endpoint.values.items() if name not in ("url", "tenant_id")}
    assert found == signs_in
    own = named(rendered, "alloy")
    (policy,) = (m for m in own if m["kind"] == "NetworkPolicy")
    reached = [(rule["to"], rule["ports"]) for rule in policy["spec"]["egress"]]
    assert ([{"ipBlock": {"cidr": "192.0.2.7/32"}}], [{"port": 8443, "protocol": "TCP"}]) in reached
    (pod,) = (m["spec"]["template"]["spec"] for m in own if m["kind"] == "Deployment")
    secrets = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    assert secrets["password"]["secretName"] == "ai-interviewer-alloy"
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["password"] == "/etc/alloy-secrets"
    # Production's Secrets are fetched from a store.
    assert any(m["kind"] == "ExternalSecret" for m in own)


def test_where_others_collect_nothing_of_ours_does(tmp_path: Path) -> None:
    rendered = with_logs(NoLogs(), tmp_path)
    assert not named(rendered, "loki") + named(rendered, "alloy")
    assert "pods/log" not in str(rendered)


@pytest.mark.parametrize(
    "url",
    [
        "http://logs.example.com/loki/api/v1/push",
        "https://me:s3cr3t@logs.example.com/loki/api/v1/push",
        "https:///loki/api/v1/push",
        "https://logs.example.com:x/push",
        "https://logs.example.com/a b",
        "logs.example.com",
    ],
)
def test_an_address_that_would_show_the_password_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match=r"ShippedLogs\.url"):
        ShippedLogs(url=url)


def test_storage_that_would_be_full_before_anything_is_deleted_is_refused() -> None:
    # 64 KiB a second for eight days are 42.2 GiB of lines, a quarter of which lies on the disk.
    enough = Claim(mount_path="/loki", size="11Gi")
    LokiSettings(storage=enough, retention_days=7, rate_kib=64)
    with pytest.raises(SettingError, match="give 10928Mi or more") as refused:
        LokiSettings(storage=replace(enough, size="10Gi"), retention_days=7, rate_kib=64)
    assert "10Gi" in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"storage": Claim(mount_path="/data", size="10Gi")},
            "LokiSettings.storage: '/data' was given. Mount it at /loki",
        ),
        ({"retention_days": 0}, "LokiSettings.retention_days: 0 was given. Give 1 or more"),
        ({"rate_kib": 0}, "LokiSettings.rate_kib: 0 was given. Give 1 or more"),
    ],
)
def test_a_loki_that_would_keep_nothing_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=re.escape(words)):
        replace(InClusterLoki().loki, **wrong)


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]+",
        "^(?P<severity>[A-Z]+)",
        "^(?P<level>[A-Z]+) (?P<app>.*)",
        "^(?P<level>[A-Z]+",
        "^(?=x)(?P<level>[A-Z]+)",
        "^(?P<level>[A-Z]+)(?!x)",
        r"^(x)(?P<level>[A-Z]+)\1",
    ],
)
def test_a_form_that_names_no_level_or_that_alloy_does_not_read_is_refused(pattern: str) -> None:
    with pytest.raises(SettingError, match="Container 'web' log_pattern"):
        replace(WEB, log_pattern=pattern)


def test_a_form_with_any_sign_is_read_as_it_was_given(tmp_path: Path) -> None:
    """Quotes, backslashes and backquotes mean something to Alloy, and to LogQL."""
    pattern = r"""^`"\t{2}' (?P<level>\w+)"""
    application = AiInterviewer(PROD, outdir=tmp_path)
    Workload(Phase(application, "more"), WorkloadSettings(name="web", container=replace(WEB, log_pattern=pattern)))
    application.synth()
    (read,) = Pipeline.of(read_manifests(tmp_path)).read("web", "web", "`\"\t\t' WARNING x")
    assert read.level == "warn"
