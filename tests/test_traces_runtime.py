"""This module is the proof that what Tempo counts answers the questions of the docs: asked of a real Prometheus.

It is started as rendered. What Tempo would post to it is posted by hand, in the form of Prometheus' remote write.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Manifests
from mcpmesh_k8s import SpanMetrics
from mesh_harness import LOCALHOST, eventually, find, free_port
from processes import START
from programs import ROOT

TRACE = "0af7651916cd43dd8448eb211c80319c"
MINUTES = 15
WORK = {
    # Agent, function: calls a minute that end well, and that fail; each takes three seconds.
    ("interview-agent", "score"): (30, 10),
    ("interview-agent", "proxy_call_wrapper"): (30, 10),
    ("pdf-extractor", "extract"): (12, 0),
    ("claude-llm-agent", "process_with_claude"): (24, 0),
    ("openai-llm-agent", "process_with_openai"): (6, 0),
}


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def part(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def labels(field: int, of: Mapping[str, str]) -> bytes:
    pairs = sorted(of.items())
    return b"".join(part(field, part(1, name.encode()) + part(2, value.encode())) for name, value in pairs)


def sample(value: float, at: int) -> bytes:
    return part(2, varint(1 << 3 | 1) + struct.pack("<d", value) + varint(2 << 3) + varint(at))


def example(value: float, at: int, of: Mapping[str, str]) -> bytes:
    return part(3, labels(1, of) + varint(2 << 3 | 1) + struct.pack("<d", value) + varint(3 << 3) + varint(at))


def packed(text: bytes) -> bytes:
    """As snappy, without compressing: its length, and literals of up to 64 KiB."""
    pieces = [text[start : start + 65536] for start in range(0, len(text), 65536)]
    return varint(len(text)) + b"".join(b"\xf4" + struct.pack("<H", len(piece) - 1) + piece for piece in pieces)


def counted(now: int) -> Generator[bytes, None, None]:
    """Every series that Tempo 2.8.4 makes of this work (modules/generator/processor/spanmetrics), a sample a minute."""
    times = [now - 60_000 * minute for minute in range(MINUTES, -1, -1)]
    for (service, name), ends in WORK.items():
        for status, each in zip(("STATUS_CODE_OK", "STATUS_CODE_ERROR"), ends, strict=True):
            if not each:
                continue
            of = {
                "service": service,
                "span_name": name,
                "span_kind": "SPAN_KIND_INTERNAL",
                "status_code": status,
                "__metrics_gen_instance": "tempo-1",
            }
            rising = b"".join(sample(number * each, at) for number, at in enumerate(times))
            nothing = b"".join(sample(0, at) for at in times)
            seen = example(3.0, now, {"trace_id": TRACE})
            yield part(1, labels(1, of | {"__name__": "traces_spanmetrics_calls_total"}) + rising)
            for bound in (*(str(bucket) for bucket in SpanMetrics().buckets), "+Inf"):
                bucket = of | {"__name__": "traces_spanmetrics_latency_bucket", "le": bound}
                within = float(bound.replace("+", "")) >= 3
                yield part(1, labels(1, bucket) + (rising + seen if within else nothing))


class Server:
    """A Prometheus on loopback."""

    def __init__(self, port: int) -> None:
        self.url = f"http://{LOCALHOST}:{port}"

    def ready(self) -> bool:
        try:
            return bool(urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200)
        except OSError:
            return False

    def write(self, path: str, body: bytes) -> int:
        headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        request = urllib.request.Request(f"{self.url}{path}", body, headers, method="POST")
        return int(urllib.request.urlopen(request, timeout=30).status)

    def get(self, path: str, **asked: str) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(asked)}"
        return json.load(urllib.request.urlopen(url, timeout=30))["data"]

    def ask(self, query: str) -> dict[tuple[str, ...], float]:
        """The values, by those labels that are there."""
        found = self.get("query", query=query)["result"]
        return {
            tuple(one["metric"].get(name, "") for name in ("service", "span_name")): float(one["value"][1])
            for one in found
        }


@pytest.fixture(scope="module")
def server(
    manifests: Manifests, needs_prometheus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server, None, None]:
    """The rendered Prometheus, and in it what Tempo posts where it is told to."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "prometheus.yaml").write_text("global: {scrape_interval: 30s}\n")
    pod = find(manifests("prod"), "Deployment", "ai-interviewer-prometheus")["spec"]["template"]["spec"]
    moved = {"--config.file": folder / "prometheus.yaml", "--storage.tsdb.path": folder / "data"}
    args = []
    for argument in pod["containers"][0]["args"]:
        name, _, _ = argument.partition("=")
        args.append(f"{name}={moved[name]}" if name in moved else argument)
    command = [str(needs_prometheus.with_name("prometheus")), *args, f"--web.listen-address={LOCALHOST}:{port}"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            running = Server(port)
            eventually(lambda: running.ready() or process.poll() is not None, START)
            assert process.poll() is None, (folder / "log").read_text()
            told = yaml.safe_load(find(manifests("prod"), "ConfigMap", "ai-interviewer-tempo")["data"]["tempo.yaml"])
            (receiver,) = told["metrics_generator"]["storage"]["remote_write"]
            path = urllib.parse.urlsplit(receiver["url"]).path
            assert running.write(path, packed(b"".join(counted(int(time.time() * 1000))))) == 204
            yield running
        finally:
            process.terminate()


def questions() -> dict[str, str]:
    """The PromQL of the docs, by what it asks."""
    page = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| question \| PromQL \|\n(.*?)\n\n", page, re.M | re.S)
    return dict(re.findall(r"^\| ([a-z].*?) \| `(.*)` \|$", table, re.M))


def about(value: float) -> Any:
    return pytest.approx(value, rel=0.1)


ANSWERS: dict[str, dict[tuple[str, str], Any]] = {
    # A quarter fails.
    "which share of interviews' processing fails": {("", ""): about(0.25)},
    # Three seconds lie in the bucket of 2.5 to 5.
    "within which time do 95 of 100 calls of each tool end": {name: about(4.875) for name in WORK},
    "how often are models called": {
        ("claude-llm-agent", "process_with_claude"): about(24 / 60),
        ("openai-llm-agent", "process_with_openai"): about(6 / 60),
    },
}


@pytest.mark.parametrize("question", ANSWERS)
def test_the_docs_questions_have_answers(server: Server, question: str) -> None:
    assert set(questions()) == set(ANSWERS)
    assert server.ask(questions()[question]) == ANSWERS[question]


def test_the_alert_sees_which_work_fails(server: Server, manifests: Manifests) -> None:
    files = find(manifests("prod"), "ConfigMap", "ai-interviewer-prometheus")["data"]
    (text,) = (text for name, text in files.items() if name.endswith("alerts.yaml"))
    rules = {rule["alert"]: rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]}
    failing = {("interview-agent", "score"): about(0.25), ("interview-agent", "proxy_call_wrapper"): about(0.25)}
    assert server.ask(rules["CallsFailing"]["expr"]) == failing


def of_grafana(manifests: Manifests) -> dict[str, Any]:
    files = find(manifests("prod"), "ConfigMap", "ai-interviewer-grafana-provisioning")["data"]
    sources = yaml.safe_load(files["datasources__mcp-mesh.yaml"])["datasources"]
    return {source["uid"]: source["jsonData"] for source in sources}


def test_a_span_leads_to_what_is_counted_of_its_service(server: Server, manifests: Manifests) -> None:
    told = of_grafana(manifests)["tempo"]["tracesToMetrics"]
    (tag,) = told["tags"]
    assert tag["key"] == "service.name"
    tags = f'{tag["value"]}="interview-agent"'
    for query in told["queries"]:
        answers = server.ask(query["query"].replace("$$__tags", tags))
        assert set(answers) == {("", "score"), ("", "proxy_call_wrapper")}, query


def test_an_example_leads_to_its_trace(server: Server, manifests: Manifests) -> None:
    (destination,) = of_grafana(manifests)["prometheus"]["exemplarTraceIdDestinations"]
    now = time.time()
    asked = {"query": "traces_spanmetrics_latency_bucket", "start": str(now - 3600), "end": str(now + 60)}
    found = server.get("query_exemplars", **asked)
    assert {one["labels"][destination["name"]] for series in found for one in series["exemplars"]} == {TRACE}
