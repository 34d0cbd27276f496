"""This module is Tempo's configuration: only what Tempo 2.8 knows, bounded, and tied to what the application runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_interviewer import DEV, PROD, EnvironmentSettings
from ai_interviewer.application import AiInterviewer
from conftest import Manifests
from environments import EVERY
from mcpmesh_k8s import (
    AddressRange,
    Claim,
    Compute,
    External,
    InClusterPrometheus,
    Internet,
    NoMetrics,
    Phase,
    S3Storage,
    Scratch,
    SettingError,
    SpanMetrics,
    Tempo,
    TempoSettings,
    TraceLimits,
    images,
)
from mesh_harness import Manifest, find
from reading import objects_of
from test_alerts import RUNBOOK_PAGES
from watched import rules_in

# Every field that is rendered, as the structs of grafana/tempo v2.8.4 name them: it refuses any other when it starts.
# cmd/tempo/app/config.go, modules/{distributor,ingester,generator,overrides}, tempodb/backend/s3/config.go.
KNOWN: dict[str, Any] = {
    "stream_over_http_enabled": bool,
    "server": {"http_listen_port": int, "grpc_listen_port": int, "log_level": str},
    "distributor": {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": str}, "http": {"endpoint": str}}}},
    },
    "ingester": {"max_block_duration": str},
    "compactor": {"compaction": {"block_retention": str}},
    "storage": {
        "trace": {
            "backend": str,
            "wal": {"path": str},
            "local": {"path": str},
            "s3": {"bucket": str, "endpoint": str, "insecure": bool, "region": str},
        }
    },
    "overrides": {
        "defaults": {
            "ingestion": {"rate_limit_bytes": int, "burst_size_bytes": int, "max_traces_per_user": int},
            "metrics_generator": {"processors": list, "max_active_series": int},
        }
    },
    "metrics_generator": {
        "metrics_ingestion_time_range_slack": str,
        "registry": {"collection_interval": str},
        "processor": {
            "service_graphs": {"histogram_buckets": list},
            "span_metrics": {"histogram_buckets": list, "dimensions": list, "filter_policies": list},
        },
        "storage": {"path": str, "remote_write_flush_deadline": str, "remote_write": list},
    },
    "usage_report": {"reporting_enabled": bool},
}
S3 = External(name="managed S3", hosts=("s3.eu-central-1.amazonaws.com",), peer=Internet())
KEYS = {"AWS_ACCESS_KEY_ID": "access-key", "AWS_SECRET_ACCESS_KEY": "secret-key"}


def configuration(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """What Tempo is told."""
    told = yaml.safe_load(find(manifests, "ConfigMap", "ai-interviewer-tempo")["data"]["tempo.yaml"])
    assert isinstance(told, dict)
    return told


def unknown(told: Mapping[str, Any], known: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """What Tempo does not know, or not as this."""
    for key, value in told.items():
        expected = known.get(key)
        if isinstance(expected, dict):
            yield from unknown(value, expected, f"{where}{key}.")
        elif expected is None or type(value) is not expected:
            yield f"{where}{key}: {value!r}"


def rendered(environment: EnvironmentSettings, folder: Path) -> Sequence[Manifest]:
    return objects_of(AiInterviewer(environment, outdir=folder / environment.name))


def policy(manifests: Sequence[Manifest], name: str) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Who may come in, and where it may go, among pods of the application, with the ports."""
    spec = find(manifests, "NetworkPolicy", f"ai-interviewer-{name}")["spec"]

    def pods(rules: list[dict[str, Any]], side: str) -> set[tuple[str, int]]:
        return {
            (peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"].removeprefix("ai-interviewer-"), port["port"])
            for rule in rules
            for peer in rule[side]
            if "podSelector" in peer
            for port in rule["ports"]
        }

    return pods(spec.get("ingress", []), "from"), pods(spec.get("egress", []), "to")


def environment_of(manifests: Sequence[Manifest], name: str) -> dict[str, Any]:
    """The variables of a workload's main container."""
    kinds = [m for m in manifests if m["kind"] in ("Deployment", "Job") and m["metadata"]["name"].endswith(name)]
    (pod,) = (m["spec"]["template"]["spec"] for m in kinds)
    return {
        variable["name"]: variable.get("value") or variable["valueFrom"]["secretKeyRef"]
        for variable in pod["containers"][0].get("env", [])
    }


@pytest.mark.parametrize("environment", EVERY)
def test_tempo_is_told_only_what_it_knows(manifests: Manifests, environment: str) -> None:
    assert not list(unknown(configuration(manifests(environment)), KNOWN))


@pytest.mark.parametrize("environment", EVERY)
def test_what_it_counts_goes_to_the_application_s_prometheus_with_examples(
    manifests: Manifests, environment: str
) -> None:
    told = configuration(manifests(environment))["metrics_generator"]
    service = find(manifests(environment), "Service", "ai-interviewer-prometheus")
    (port,) = (port["port"] for port in service["spec"]["ports"])
    url = f"http://{service['metadata']['name']}:{port}/api/v1/write"
    assert told["storage"]["remote_write"] == [{"url": url, "send_exemplars": True}]
    args = find(manifests(environment), "Deployment", "ai-interviewer-prometheus")["spec"]["template"]["spec"]
    given = args["containers"][0]["args"]
    assert {"--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage"} <= set(given)
    # What it writes lies where it may write.
    assert told["storage"]["path"].startswith("/var/tempo/")
    arriving, leaving = policy(manifests(environment), "tempo")
    assert leaving == {("prometheus", 9090)}
    assert arriving == {("registry", 4317), ("grafana", 3200), ("prometheus", 3200)}
    assert ("tempo", 9090) in policy(manifests(environment), "prometheus")[0]


def test_it_is_bounded_by_its_settings(tmp_path: Path) -> None:
    limits = TraceLimits(megabytes_per_second=3, burst_megabytes=9, live_traces=77)
    tempo = replace(DEV.tempo, limits=limits, span_metrics=SpanMetrics(series=123))
    told = configuration(rendered(replace(DEV, tempo=tempo), tmp_path))["overrides"]["defaults"]
    assert told == {
        "ingestion": {"rate_limit_bytes": 3_000_000, "burst_size_bytes": 9_000_000, "max_traces_per_user": 77},
        "metrics_generator": {"processors": ["service-graphs", "span-metrics"], "max_active_series": 123},
    }


@pytest.mark.parametrize(
    "environment",
    [replace(DEV, metrics=NoMetrics()), replace(DEV, tempo=replace(DEV.tempo, span_metrics=None))],
    ids=["without a Prometheus", "told not to"],
)
def test_nothing_is_counted_where_nobody_takes_it(environment: EnvironmentSettings, tmp_path: Path) -> None:
    made = rendered(environment, tmp_path)
    told = configuration(made)
    assert "metrics_generator" not in told
    assert "metrics_generator" not in told["overrides"]["defaults"]
    assert policy(made, "tempo")[1] == set()
    assert not {"CallsFailing", "SpansNotCounted"} & {rule["alert"] for rule in rules_in(made)}
    # What is left is bounded as before.
    assert told["overrides"]["defaults"]["ingestion"]["max_traces_per_user"] == 2000


def test_a_span_that_is_named_by_a_path_is_not_counted_and_work_is() -> None:
    without = re.compile(SpanMetrics().without)
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert without.search(f"{method} /api/interviews/7")
    for name in ("score", "process_with_llm", "GET_ANSWER", "get answer", "proxy_call_wrapper"):
        assert not without.search(name)


def test_calls_of_models_are_within_the_buckets() -> None:
    """A call may take 300 seconds, the timeout of the longest route."""
    assert SpanMetrics().buckets[-1] == 300
    assert len(SpanMetrics().buckets) < 20


# Where traces lie.


def test_a_bucket_of_minio_is_made_with_a_user_of_its_own(tmp_path: Path) -> None:
    storage = S3Storage(bucket="traces", waiting=Claim(mount_path="/var/tempo", size="2Gi"))
    made = rendered(replace(PROD, tempo=replace(PROD.tempo, storage=storage, retention_hours=24 * 90)), tmp_path)
    told = configuration(made)
    assert not list(unknown(told, KNOWN))
    assert told["compactor"]["compaction"]["block_retention"] == "2160h"
    assert told["storage"]["trace"] == {
        "backend": "s3",
        "s3": {"bucket": "traces", "endpoint": "ai-interviewer-minio:9000", "insecure": True},
        "wal": {"path": "/var/tempo/wal"},
    }
    keys = environment_of(made, "-tempo")
    assert keys == {name: {"name": "ai-interviewer-tempo", "key": key} for name, key in KEYS.items()}
    # The task that makes the bucket is given the same keys: no other client has them.
    task = environment_of(made, "-tempo-bucket")
    assert task["BUCKET"] == "traces"
    for name, key in (("MINIO_ACCESS_KEY", "access-key"), ("MINIO_SECRET_KEY", "secret-key")):
        assert task[name] == {"name": "ai-interviewer-tempo", "key": key}
        assert environment_of(made, "-minio-bucket")[name] == {"name": "ai-interviewer-minio", "key": key}
    assert policy(made, "tempo")[1] == {("prometheus", 9090), ("minio", 9000)}
    assert policy(made, "tempo-bucket")[1] == {("minio", 9000)}
    assert {("tempo", 9000), ("tempo-bucket", 9000)} <= policy(made, "minio")[0]
    secret = find(made, "ExternalSecret", "ai-interviewer-tempo")
    assert [entry["secretKey"] for entry in secret["spec"]["data"]] == ["access-key", "secret-key"]
    (claim,) = (m for m in made if m["kind"] == "PersistentVolumeClaim" and "tempo" in m["metadata"]["name"])
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"


def test_a_bucket_outside_is_reached_by_tls_and_nothing_is_made(tmp_path: Path) -> None:
    peer = AddressRange(cidr="203.0.113.0/24")
    storage = S3Storage(bucket="acme-traces", outside=replace(S3, peer=peer), region="eu-central-1")
    made = rendered(replace(PROD, tempo=replace(PROD.tempo, storage=storage)), tmp_path)
    told = configuration(made)
    assert not list(unknown(told, KNOWN))
    assert told["storage"]["trace"]["s3"] == {
        "bucket": "acme-traces",
        "endpoint": "s3.eu-central-1.amazonaws.com:443",
        "insecure": False,
        "region": "eu-central-1",
    }
    assert not [m for m in made if m["metadata"]["name"] == "ai-interviewer-tempo-bucket"]
    assert policy(made, "tempo")[1] == {("prometheus", 9090)}
    egress = find(made, "NetworkPolicy", "ai-interviewer-tempo")["spec"]["egress"]
    blocks = [
        (peer["ipBlock"]["cidr"], [port["port"] for port in rule["ports"]])
        for rule in egress
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    assert blocks == [("203.0.113.0/24", [443])]
    assert environment_of(made, "-tempo").keys() == KEYS.keys()


def test_who_keeps_traces_on_a_disk_has_no_keys(manifests: Manifests) -> None:
    assert PROD.tempo.secret_keys == ()
    assert not environment_of(manifests("prod"), "-tempo")


def test_a_bucket_without_its_keys_or_without_a_server_is_refused() -> None:
    phase = Phase(AiInterviewer(DEV, outdir="dist/dev"), "more")
    settings = TempoSettings(
        image=images.TEMPO, compute=Compute(cpu="1", memory="1Gi"), storage=S3Storage(), name="others"
    )
    with pytest.raises(SettingError, match=r"secret.*Give a Secret that holds TempoSettings\.secret_keys"):
        Tempo(phase, settings)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: S3Storage(bucket="Traces"), "Give 3 to 63 of a-z"),
        (lambda: S3Storage(outside=replace(S3, hosts=())), "Give External.hosts"),
        (lambda: S3Storage(tls=False), "tls and region are of an S3 outside"),
        (lambda: S3Storage(region="eu-central-1"), "tls and region are of an S3 outside"),
        (lambda: S3Storage(waiting=Scratch(name="data", mount_path="/data", size="1Gi")), "Mount it at /var/tempo"),
        (lambda: S3Storage(waiting=Scratch(name="d", mount_path="/var/tempo", size="64Mi")), "Give at least 256Mi"),
        (lambda: TraceLimits(megabytes_per_second=0), "Give 1 to 1000000000"),
        (lambda: TraceLimits(burst_megabytes=0), "Give 1 to 1000000000"),
        (lambda: TraceLimits(live_traces=-1), "Give 1 to 1000000000"),
        (lambda: SpanMetrics(buckets=()), "Give seconds above 0"),
        (lambda: SpanMetrics(buckets=(1.0, 0.5)), "Give seconds above 0"),
        (lambda: SpanMetrics(buckets=(0.0, 0.5)), "Give seconds above 0"),
        (lambda: SpanMetrics(dimensions=("a b",)), "Give names of attributes"),
        (lambda: SpanMetrics(without="("), "Give a regular expression"),
        (lambda: SpanMetrics(series=9), "Give 100 to 1000000000"),
    ],
)
def test_what_tempo_would_not_work_with_is_refused(wrong: Any, words: str) -> None:
    with pytest.raises(SettingError, match=re.escape(words)):
        wrong()


# The way of a span: drawn in the docs, open in the policies, watched by alerts.


def test_the_way_of_a_span_is_drawn_as_it_is_and_watched(manifests: Manifests) -> None:
    page = (Path(__file__).parent.parent / "docs/observability.md").read_text(encoding="utf-8")
    (drawn,) = re.findall(r"## Traces\n.*?```mermaid\n(.*?)```", page, re.S)
    ports = {
        ("pdf-extractor", "redis"): 6379,
        ("registry", "redis"): 6379,
        ("registry", "tempo"): 4317,
        ("tempo", "prometheus"): 9090,
        ("grafana", "tempo"): 3200,
        ("grafana", "prometheus"): 9090,
    }
    arrows = re.findall(r"^  (\w+) -->\|.*?\| (\w+)$", drawn, re.M)
    assert {(one.replace("agents", "pdf-extractor"), other) for one, other in arrows} == set(ports)
    for (one, other), port in ports.items():
        assert (other, port) in policy(manifests("prod"), one)[1]
    watched = {"TraceStreamLong", "TracesNotRead", "SpansNotArriving", "SpansRefused", "TracesNotStored"}
    watched |= {"SpansNotCounted"}
    assert watched <= set(RUNBOOK_PAGES)
    assert all(f"runbooks/{name}.md" in page for name in watched)


def test_who_has_no_exporter_of_redis_is_not_told_of_spans_that_do_not_arrive(tmp_path: Path) -> None:
    def alerts(environment: EnvironmentSettings) -> set[str]:
        made = objects_of(AiInterviewer(environment, outdir=tmp_path / environment.name))
        return {rule["alert"] for rule in rules_in(made)}

    assert isinstance(DEV.metrics, InClusterPrometheus)
    assert "SpansNotArriving" in alerts(DEV)
    assert "SpansNotArriving" not in alerts(replace(DEV, redis=replace(DEV.redis, exporter=None)))
