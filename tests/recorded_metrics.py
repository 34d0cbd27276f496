"""This module is an application's metrics in a real Prometheus, as clusters would have them: what dashboards show.

Names and labels are those that programs print, in ``recorded/*.prom``; each file says whose. Which pods there are, and
what Prometheus adds to their metrics, is read from what is rendered. Values go up and down by a fixed rule, so that a
picture is the same each time.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

import yaml

from mesh_harness import LOCALHOST, eventually, free_port
from processes import START as BEGIN
from programs import ROOT

RECORDED = ROOT / "tests/recorded"
END = int(datetime(2026, 1, 15, 12, tzinfo=UTC).timestamp())
HOURS, STEP = 3, 60
START = END - HOURS * 3600
NODES = ("node-a", "node-b", "node-c")

Labels = dict[str, str]
Manifests = Sequence[Mapping[str, Any]]

OUTAGE = (START + 96 * 60, START + 109 * 60)
"""When the pdf-extractor was away."""

FIRED: tuple[tuple[Labels, tuple[int, int]], ...] = (
    ({"alertname": "Watchdog", "severity": "none", "alertstate": "firing"}, (START, END)),
    (
        {
            "alertname": "AgentNotInMesh",
            "severity": "page",
            "alertstate": "pending",
            "check": "pdf-extractor",
            "component": "agent",
            "service": "pdf-extractor",
            "job": "check-pdf-extractor",
        },
        (OUTAGE[0], OUTAGE[0] + 300),
    ),
    (
        {
            "alertname": "AgentNotInMesh",
            "severity": "page",
            "alertstate": "firing",
            "check": "pdf-extractor",
            "component": "agent",
            "service": "pdf-extractor",
            "job": "check-pdf-extractor",
        },
        (OUTAGE[0] + 300, OUTAGE[1]),
    ),
    (
        {
            "alertname": "ClaimFillingUp",
            "severity": "ticket",
            "alertstate": "firing",
            "job": "kubelet",
            "persistentvolumeclaim": "ai-interviewer-prometheus-data",
        },
        (START + 70 * 60, END),
    ),
    (
        {
            "alertname": "ContainerNearMemoryLimit",
            "severity": "ticket",
            "alertstate": "pending",
            "pod": "ai-interviewer-openai-llm-agent-7d9f8b6c5d-x2x4z",
            "container": "openai-llm-agent",
        },
        (END - 8 * 60, END),
    ),
)
"""What fired, and when: Prometheus would write it down itself."""


@dataclass(frozen=True)
class Container:
    """A container of a pod that runs, with what it asks for and may use."""

    pod: str
    workload: str
    name: str
    image: str
    cpu: float
    memory: float
    most_cpu: float
    most_memory: float

    @property
    def node(self) -> str:
        """Where it runs."""
        return NODES[zlib.crc32(self.pod.encode()) % len(NODES)]

    def words(self, namespace: str) -> Labels:
        """What stands for its own words in ``recorded/``."""
        share = zlib.crc32(f"{self.workload} {self.name}".encode()) % 1000 / 1000
        cpu = min(self.cpu * (0.15 + 0.6 * share), self.most_cpu * 0.9)
        memory = min(self.memory * (0.45 + 0.5 * share), self.most_memory * 0.93)
        uid = f"{zlib.crc32(self.pod.encode()):08x}"
        return {
            "namespace": namespace,
            "pod": self.pod,
            "container": self.name,
            "uid": uid,
            "image": self.image,
            "node": self.node,
            "cpu": f"{self.cpu:g}",
            "memory": f"{self.memory:.0f}",
            "most_cpu": f"{self.most_cpu:g}",
            "most_memory": f"{self.most_memory:.0f}",
            "cpu_seconds": f"{cpu * 600:.4f}",
            "used": f"{memory:.0f}",
            "slowed": f"{max(0.0, share - 0.6) * 900:.1f}",
        }


def amount(text: str) -> float:
    """A quantity of Kubernetes as a number."""
    units = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    number, unit = re.fullmatch(r"([0-9.]+)(\D*)", text).groups()  # type: ignore[union-attr]
    return float(number) * units.get(unit, 1)


def containers(manifests: Manifests) -> Iterator[Container]:
    """Every container of every pod that is always there."""
    safe = "bcdfghjklmnpqrstvwxz2456789"

    def end(text: str, length: int) -> str:
        number = zlib.crc32(text.encode()) * 7919
        return "".join(safe[number // len(safe) ** place % len(safe)] for place in range(length))

    for manifest in manifests:
        if manifest["kind"] not in ("Deployment", "StatefulSet"):
            continue
        name = manifest["metadata"]["name"]
        # Where an autoscaler decides, there are as many as it has at least.
        for number in range(manifest["spec"].get("replicas", 3)):
            pod = f"{name}-{number}" if manifest["kind"] == "StatefulSet" else ""
            pod = pod or f"{name}-{end(name, 10)}-{end(f'{name}{number}', 5)}"
            template = manifest["spec"]["template"]["spec"]
            beside = [one for one in template.get("initContainers", []) if one.get("restartPolicy") == "Always"]
            for container in (*template["containers"], *beside):
                asked, most = container["resources"]["requests"], container["resources"]["limits"]
                yield Container(
                    pod=pod,
                    workload=name,
                    name=container["name"],
                    image=container["image"],
                    cpu=amount(asked["cpu"]),
                    memory=amount(asked["memory"]),
                    most_cpu=amount(most["cpu"]),
                    most_memory=amount(most["memory"]),
                )


_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Series:
    """A series: what it is called, and how it goes."""

    name: str
    labels: Labels
    value: float
    grows: bool
    parts: tuple[tuple[float, int], ...] = ()
    """Of a bucket: what it and each bucket below it adds, with what makes it go its own way."""

    def course(self, step: int) -> Iterator[tuple[int, float]]:
        """Its values, by the times at which it has one."""
        times = range(START, END + 1, step)
        if self.name == "ALERTS":
            spans = [span for labels, span in FIRED if labels == self.labels]
            return ((time, 1.0) for time in times if any(since <= time <= until for since, until in spans))
        value = self._value()
        return ((time, value(time)) for time in times)

    def _value(self) -> Callable[[int], float]:
        recorded = self.value
        if self.name == "probe_success" and self.labels.get("check") == "pdf-extractor":
            return lambda time: float(not OUTAGE[0] <= time < OUTAGE[1])
        if self.name in ("probe_ssl_earliest_cert_expiry", "probe_ssl_last_chain_expiry_timestamp_seconds"):
            return lambda _: END + 60 * 86400.0
        if recorded > 1e12:  # an identifier of Redis, milliseconds: as far behind as the recorded one
            return lambda time: time * 1000 - (_NEWEST - recorded) % 60_000
        if self.name in ("kubelet_volume_stats_used_bytes", "kubelet_volume_stats_available_bytes"):
            drift = 0.004 / 3600 * (1 if "used" in self.name else -1)
            return lambda time: recorded * (1 + drift * (time - END))
        if self.name == "kube_pod_container_status_restarts_total" and self.labels["container"] == "pdf-extractor":
            return lambda time: float(time >= OUTAGE[1])
        seed = seed_of(self.name, self.labels)
        if self.grows:
            each = [(part / 600, *swing(own)) for part, own in self.parts or ((recorded, seed),)]
            return lambda time: sum(
                rate * (time - START + 600 + 0.45 * (first - math.cos(turn * (time - START) + phase)) / turn)
                for rate, phase, turn, first in each
            )
        phase, turn, _ = swing(seed)
        if (recorded.is_integer() and abs(recorded) <= 12) or _FIXED.search(self.name):
            return lambda _: recorded
        return lambda time: recorded * (1 + 0.09 * math.sin(turn * time + phase) + 0.03 * math.sin(5.3 * turn * time))


def seed_of(name: str, labels: Labels) -> int:
    """What makes a series go its own way."""
    return zlib.crc32(f"{name}{sorted(labels.items())}".encode())


def swing(seed: int) -> tuple[float, float, float]:
    """Where in its swing something begins, how fast it turns, and where that was ten minutes before."""
    phase, turn = seed % 628 / 100, 2 * math.pi / (2400 + seed % 2400)
    return phase, turn, math.cos(phase - 600 * turn)


_NEWEST = 1.796027162466e12 + 900
_FIXED = re.compile("max|limit|requests|capacity|total_bytes|hard|quota|replicas|_up$|size_bytes|object_total")


def read(file: str, words: Mapping[str, str]) -> Iterator[Series]:
    """The series of a recorded file, its ``$words`` filled in."""
    text = (RECORDED / file).read_text(encoding="utf-8")
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    below: list[tuple[float, int]] = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, told, value = _SAMPLE.fullmatch(Template(line).substitute(words)).groups()  # type: ignore[union-attr]
        labels: Labels = dict(_LABEL.findall(told or ""))
        kind = kinds.get(name) or kinds[re.sub("_(bucket|sum|count)$", "", name)]
        # The buckets of a histogram stand together, the smallest first, and its count after them.
        if name.endswith("_bucket"):
            below.append((max(0.0, float(value) - sum(part for part, _ in below)), seed_of(name, labels)))
        parts = tuple(below) if name.endswith(("_bucket", "_count")) else ()
        yield Series(name, labels, float(value), kind in ("counter", "histogram"), parts)
        if name.endswith("_count"):
            below.clear()


def file_of(job: str, pod: str) -> str:
    """Which recorded file is what a job finds; none where nothing was recorded."""
    if job.startswith("check-"):
        return "probe.prom"
    return next((name for name in (f"{job}.prom", f"{pod}.prom") if (RECORDED / name).exists()), "")


def scraped(manifests: Manifests, agents: Iterable[str]) -> Iterator[Series]:
    """Every series that Prometheus would have, with the labels that its rendered configuration adds."""
    told = configuration(manifests)
    running = list(containers(manifests))
    namespace = next(one["metadata"]["name"] for one in manifests if one["kind"] == "Namespace")
    pods = {container.pod: container for container in reversed(running)}
    each = [container.words(namespace) for container in running]
    for job in told["scrape_configs"]:
        name = job["job_name"]
        targets: list[Labels] = [
            {"instance": static["targets"][0], **static.get("labels", {})} for static in job.get("static_configs", ())
        ]
        for found in job.get("kubernetes_sd_configs", ()):
            if found["role"] == "node":
                targets += [{"instance": node, "node": node} for node in NODES]
                continue
            (whose,) = {
                rule["regex"].partition(";")[0] for rule in job["relabel_configs"] if rule.get("action") == "keep"
            }
            added = [rule for rule in job["relabel_configs"] if "action" not in rule]
            for pod, container in pods.items():
                if container.workload == whose:
                    meta = {"pod_name": pod, "pod_node_name": container.node}
                    words = {f"__meta_kubernetes_{word}": value for word, value in meta.items()}
                    targets.append({rule["target_label"]: said(rule, words) for rule in added})
        for target in targets:
            own = {"job": name, **target}
            yield Series("up", own, 1.0, grows=False)
            yield Series("scrape_duration_seconds", own, 0.01, grows=False)
            file = "agent.prom" if name in agents else file_of(name, own.get("service", ""))
            if not file:
                continue
            filled = [{"namespace": namespace, **own}]
            if name in ("kube-state-metrics", "cadvisor"):
                here = [one for one in each if name != "cadvisor" or one["node"] == own["node"]]
                filled = [{**own, **one} for one in here]
            elif name == "kubelet" and own["node"] != NODES[0]:
                continue  # a claim is mounted on one node
            seen = set[tuple[str, ...]]()
            for own_words in filled:
                for series in read(file, own_words):
                    labels = attached(series.labels, own, honor=job.get("honor_labels", False))
                    key = (series.name, *sorted(f"{label}={value}" for label, value in labels.items()))
                    if key not in seen:
                        seen.add(key)
                        yield replace(series, labels=labels)
    yield from read("spans.prom", {})
    yield from (Series("ALERTS", labels, 1.0, grows=False) for labels, _ in FIRED)


def said(rule: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """What a rule of relabelling sets."""
    return str(rule["replacement"]) if "replacement" in rule else words[rule["source_labels"][0]]


def attached(labels: Labels, target: Labels, *, honor: bool) -> Labels:
    """The labels of a series, as Prometheus makes them of its own and of those of its target."""
    if honor:
        return {**target, **{label: value for label, value in labels.items() if value}}
    moved = {f"exported_{label}" if label in target else label: value for label, value in labels.items() if value}
    return {**moved, **target}


def configuration(manifests: Manifests) -> dict[str, Any]:
    """What Prometheus is told."""
    (text,) = (
        one["data"]["prometheus.yaml"]
        for one in manifests
        if one["kind"] == "ConfigMap" and "prometheus.yaml" in one["data"]
    )
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@dataclass(frozen=True)
class Store:
    """A Prometheus that holds them, and how many seconds lie between two values."""

    port: int
    step: int

    def _ask(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        url = f"http://{LOCALHOST}:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None
        result: list[dict[str, Any]] = found["data"]["result"]
        return result

    def now(self, ask: str, time: int = END) -> list[dict[str, Any]]:
        """The answer at a time, the last one unless given."""
        return self._ask("query", query=ask, time=str(time))

    def course(self, ask: str, *, step: int = 0, since: int = START + 600) -> list[dict[str, Any]]:
        """The answer over time."""
        return self._ask("query_range", query=ask, start=str(since), end=str(END), step=str(step or self.step))


@contextmanager
def recorded_store(
    manifests: Manifests, agents: Iterable[str], folder: Path, step: int = STEP
) -> Generator[Store, None, None]:
    """A real Prometheus that holds the recorded metrics of an application.

    Args:
        manifests: All that is rendered.
        agents: The jobs that are agents.
        folder: Where it keeps them.
        step: How many seconds lie between two values.
    """
    prometheus, promtool = shutil.which("prometheus"), shutil.which("promtool")
    assert prometheus, "prometheus was not asked for"
    assert promtool, "prometheus was not asked for"
    text = folder / "metrics.txt"
    with text.open("w", encoding="utf-8") as file:
        for series in scraped(manifests, agents):
            labels = ",".join(f'{label}="{value}"' for label, value in series.labels.items())
            name = f"{series.name}{{{labels}}}"
            file.writelines(f"{name} {value:.14g} {time}\n" for time, value in series.course(step))
        file.write("# EOF\n")
    data = folder / "data"
    made = subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    told = folder / "prometheus.yaml"
    told.write_text("{}\n")
    port = free_port()
    arguments = (
        f"--config.file={told}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={LOCALHOST}:{port}",
    )
    log = folder / "output.txt"
    with log.open("wb") as output:
        process = subprocess.Popen([prometheus, *arguments], stdout=output, stderr=output)
    try:
        ready = eventually(lambda: answers(f"http://{LOCALHOST}:{port}/-/ready"), BEGIN)
        assert ready, log.read_text(errors="replace")
        yield Store(port, step)
    finally:
        process.terminate()
        process.wait(BEGIN)


def answers(url: str) -> bool:
    """Whether something answers there, and is content."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False
