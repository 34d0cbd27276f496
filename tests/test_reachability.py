"""This module is the proof of who may talk to whom: everything else is closed, in both directions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from ai_interviewer import PROD, AiInterviewer
from conftest import Manifest, Manifests, read_manifests
from environments import EVERY, STAGING, said_of
from mcpmesh_k8s import MetricsSettings, NoMetrics, PrometheusOperator
from policy_evaluator import (
    JSON,
    Cluster,
    ContainerPort,
    Host,
    Namespace,
    Pod,
    Protocol,
    namespaces_of,
    pods_of,
    policies_of,
)

NAMESPACE = "ai-interviewer"
Opening = tuple[str, str, int, Protocol]

# Who may talk to whom, on which port of the pod. It is written out here and nowhere derived.
EVERYWHERE = """
ingress-controller -> nginx-gateway 8080
nginx-gateway      -> backend 8080, grafana 3000
backend            -> registry 8000, postgres 5432, redis 6379, minio 9000
backend            -> pdf-extractor 8090, interview-agent 8090, claude-llm-agent 8090, openai-llm-agent 8090
pdf-extractor      -> registry 8000, redis 6379, minio 9000, claude-llm-agent 8090, openai-llm-agent 8090
interview-agent    -> registry 8000, redis 6379, postgres 5432, claude-llm-agent 8090, openai-llm-agent 8090
claude-llm-agent   -> registry 8000, redis 6379, openai-llm-agent 8090, internet 443, internet-v6 443
openai-llm-agent   -> registry 8000, redis 6379, internet 443, internet-v6 443
registry           -> postgres 5432, redis 6379, tempo 4317
tempo              -> prometheus 9090
grafana            -> tempo 3200, prometheus 9090, loki 3100
minio-bucket       -> minio 9000
postgres-databases -> postgres 5432
smoke-test         -> nginx-gateway 8080, registry 8000
prometheus         -> postgres 9187, redis 9121, minio 9000, tempo 3200, grafana 3000
prometheus         -> kube-state-metrics 8080, blackbox 9115, nginx-gateway 9145
prometheus         -> pdf-extractor 8090, interview-agent 8090, claude-llm-agent 8090, openai-llm-agent 8090
prometheus         -> loki 3100, alloy 12345
blackbox           -> registry 8000, backend 8080
alloy              -> loki 3100
"""
# Where nodes and the API server are is not known: private addresses, and with them pods of other namespaces, on those
# ports alone.
OTHERS = ("impostor", "ingress-controller", "kube-dns", "metrics", "collector", "neighbour")
TO_THE_CLUSTER = "".join(
    f"{reader} -> {host} {port}\n"
    for host in ("private network", "office network", "home network", "API server", "metadata over IPv6", *OTHERS)
    for reader, ports in {
        "prometheus": (443, 6443, 8443, 10250),
        "kube-state-metrics": (443, 6443, 8443),
        "alloy": (443, 6443, 8443),
    }.items()
    for port in ports
)
TELLS_PEOPLE = """
prometheus   -> alertmanager 9093
grafana      -> alertmanager 9093
alertmanager -> internet 443, internet-v6 443
"""
BACKS_UP = """
postgres-backup -> postgres 5432
redis-backup    -> redis 6379
minio-backup    -> minio 9000
"""
TO_THE_MESH = """
nginx-gateway -> registry 8000
nginx-gateway -> pdf-extractor 8090, interview-agent 8090, claude-llm-agent 8090, openai-llm-agent 8090
"""
ASKS_OUTSIDE = """
blackbox -> internet 443, internet-v6 443, ingress-controller 443, ingress-controller 8443
"""
SIGN_IN = """
nginx-gateway -> oauth2-proxy 4180
oauth2-proxy  -> internet 443, internet-v6 443
prometheus    -> oauth2-proxy 44180
"""
ALLOWED = {
    "dev": EVERYWHERE + TO_THE_CLUSTER + TO_THE_MESH,
    "prod": EVERYWHERE + TO_THE_CLUSTER + SIGN_IN + TELLS_PEOPLE + ASKS_OUTSIDE + BACKS_UP,
}

HOSTS = {
    "internet": "8.8.8.8",
    "internet-v6": "2606:4700:4700::1111",
    "metadata of the cloud": "169.254.169.254",
    "metadata over IPv6": "fd00:ec2::254",
    "private network": "10.20.30.40",
    "office network": "172.16.5.5",
    "home network": "192.168.1.1",
    "carrier network": "100.64.0.1",
    "loopback": "127.0.0.1",
    "link-local IPv6": "fe80::1",
    "translated IPv6": "64:ff9b::a9fe:a9fe",
    "API server": "10.96.0.1",
}
PORTS = (
    22,
    53,
    80,
    443,
    2019,
    3000,
    3100,
    3200,
    4180,
    4317,
    4318,
    5432,
    6379,
    6443,
    8000,
    8080,
    8081,
    8090,
    8443,
    9000,
    9001,
    9090,
    9093,
    9095,
    9115,
    9121,
    9145,
    9187,
    10250,
    12345,
    44180,
)


def openings_of(table: str) -> set[Opening]:
    """The table's rows as single openings."""
    found: set[Opening] = set()
    for line in filter(None, table.splitlines()):
        source, _, targets = line.partition("->")
        for target in targets.split(","):
            name, _, port = target.strip().rpartition(" ")
            found.add((source.strip(), name, int(port), "TCP"))
    return found


def allowed(environment: str, found: set[Opening]) -> str:
    """What the table allows an environment; a failure with the line to add when it says nothing."""
    parts = {
        "TO_THE_CLUSTER": TO_THE_CLUSTER,
        "TO_THE_MESH": TO_THE_MESH,
        "SIGN_IN": SIGN_IN,
        "TELLS_PEOPLE": TELLS_PEOPLE,
        "ASKS_OUTSIDE": ASKS_OUTSIDE,
        "BACKS_UP": BACKS_UP,
    }
    open_ = ["EVERYWHERE", *(name for name, part in parts.items() if openings_of(part) & found)]
    line = f'"{environment}": {" + ".join(open_)},'
    return said_of(environment, ALLOWED, "tests/test_reachability.py, ALLOWED", line)


@pytest.fixture(params=EVERY)
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def openings_in(manifests: list[Manifest]) -> set[Opening]:
    """Every opening that what is rendered leaves; the port of each pod is asked for."""
    rendered = cast("list[dict[str, JSON]]", manifests)
    cluster = Cluster(
        namespaces=[
            *namespaces_of(rendered),
            *(Namespace(name=name) for name in ("ingress-nginx", "kube-system", "default", "monitoring")),
        ],
        policies=policies_of(rendered),
    )
    # Every pod has an address in the pod network, so that a rule for addresses that covers it would show.
    inside = {
        pod.name.removeprefix("ai-interviewer-"): replace(pod, ip=f"10.244.0.{index}")
        for index, pod in enumerate(pods_of(rendered), start=1)
    }
    stranger = Pod(name="stranger", namespace=NAMESPACE, labels={"app": "stranger"}, ip="10.244.0.200")
    impostor = Pod(
        name="impostor",
        namespace="default",
        labels={"app.kubernetes.io/name": "ai-interviewer-nginx-gateway", "k8s-app": "kube-dns"},
        ip="10.244.0.201",
    )
    dns = Pod(
        name="kube-dns",
        namespace="kube-system",
        labels={"k8s-app": "kube-dns"},
        ports=(ContainerPort(number=53, name="dns", protocol="UDP"),),
        ip="10.244.0.202",
    )
    metrics = Pod(name="metrics", namespace="kube-system", labels={"k8s-app": "metrics"}, ip="10.244.0.203")
    controller = Pod(
        name="controller",
        namespace="ingress-nginx",
        labels={"app.kubernetes.io/name": "ingress-nginx"},
        ip="10.244.0.204",
    )
    collector = Pod(
        name="collector", namespace="monitoring", labels={"app.kubernetes.io/name": "prometheus"}, ip="10.244.0.205"
    )
    neighbour = Pod(
        name="neighbour", namespace="monitoring", labels={"app.kubernetes.io/name": "node-exporter"}, ip="10.244.0.206"
    )
    ends: dict[str, Pod | Host] = {
        **inside,
        "stranger": stranger,
        "impostor": impostor,
        "kube-dns": dns,
        "metrics": metrics,
        "ingress-controller": controller,
        "collector": collector,
        "neighbour": neighbour,
        **{name: Host(name=name, ip=ip) for name, ip in HOSTS.items()},
    }
    ours = {name for name, end in ends.items() if isinstance(end, Pod) and end.namespace == NAMESPACE}
    protocols: tuple[Protocol, ...] = ("TCP", "UDP")
    served = {port.number for pod in inside.values() for port in pod.ports}
    assert served <= set(PORTS), "a port that a pod serves is not asked for"
    return {
        (source, target, port, protocol)
        for source in ends
        for target in ends
        if source != target and (source in ours or target in ours)
        for port in PORTS
        for protocol in protocols
        if cluster.allows(ends[source], ends[target], port, protocol)
    }


def assert_exactly(found: set[Opening], table: str) -> None:
    """Refuse an opening that the table lacks, and one that only the table has. Every pod may ask the DNS."""
    openings = openings_of(table)
    pods = {source for source, *_ in openings} | {target for _, target, *_ in openings}
    ours = {"stranger", *pods - {*OTHERS, *HOSTS}}
    protocols: tuple[Protocol, ...] = ("TCP", "UDP")
    names: set[Opening] = {(pod, "kube-dns", 53, protocol) for pod in ours for protocol in protocols}
    expected = openings | names
    assert found == expected, f"too open: {sorted(found - expected)}; too closed: {sorted(expected - found)}"


def test_exactly_the_openings_of_the_table_exist(manifests: Manifests, environment: str) -> None:
    found = openings_in(manifests(environment))
    assert_exactly(found, allowed(environment, found))


def test_routes_to_the_mesh_open_no_more_in_a_shared_cluster_than_elsewhere(tmp_path: Path) -> None:
    AiInterviewer(STAGING, outdir=tmp_path / "staging").synth()
    assert_exactly(
        openings_in(read_manifests(tmp_path / "staging")),
        EVERYWHERE + TO_THE_CLUSTER + TO_THE_MESH + SIGN_IN + TELLS_PEOPLE + ASKS_OUTSIDE + BACKS_UP,
    )


_OWN = ("prometheus", "blackbox", "kube-state-metrics")
WITHOUT_OWN = "\n".join(
    re.sub(r",? prometheus 9090", "", line)
    for line in (EVERYWHERE + SIGN_IN + TO_THE_CLUSTER + BACKS_UP).splitlines()
    if not line.startswith(_OWN) and not re.search(r"-> prometheus 9090$", line)
)
ASKED_BY_THE_CLUSTER = """
collector -> postgres 9187, redis 9121, minio 9000, tempo 3200, grafana 3000, blackbox 9115
collector -> nginx-gateway 9145, oauth2-proxy 44180, loki 3100, alloy 12345
collector -> pdf-extractor 8090, interview-agent 8090, claude-llm-agent 8090, openai-llm-agent 8090
blackbox  -> registry 8000, backend 8080
"""


@pytest.mark.parametrize(
    ("metrics", "table"),
    [(NoMetrics(), WITHOUT_OWN), (PrometheusOperator(), WITHOUT_OWN + ASKED_BY_THE_CLUSTER)],
    ids=["none", "operator"],
)
def test_who_collects_elsewhere_is_let_into_what_has_metrics_and_who_does_not_opens_nothing(
    tmp_path: Path, metrics: MetricsSettings, table: str
) -> None:
    AiInterviewer(replace(PROD, metrics=metrics), outdir=tmp_path / "dist").synth()
    assert_exactly(openings_in(read_manifests(tmp_path / "dist")), table)


def test_every_pod_is_selected_by_a_policy_of_its_own_in_both_directions(
    manifests: Manifests, environment: str
) -> None:
    rendered = cast("list[dict[str, JSON]]", manifests(environment))
    policies = policies_of(rendered)
    for pod in pods_of(rendered):
        for direction in ("Ingress", "Egress"):
            governing = [policy.name for policy in policies if policy.governs(pod, direction)]
            assert pod.name in governing, f"{pod.name} has no policy of its own for {direction}"
            assert "ai-interviewer-default-deny" in governing
