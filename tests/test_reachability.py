"""This module is the proof of who may talk to whom: everything else is closed, in both directions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

import openings
from ai_interviewer import PROD, AiInterviewer
from conftest import Manifest, Manifests, read_manifests
from environments import EVERY, STAGING, said_of
from mcpmesh_k8s import MetricsSettings, NoMetrics, PrometheusOperator
from openings import Opening, openings_of
from policy_evaluator import JSON, Pod, pods_of, policies_of
from reading import objects_of

NAMESPACE = "ai-interviewer"

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


IN_OTHER_NAMESPACES = tuple(
    Pod(name=name, namespace=namespace, labels=labels, ip=f"10.244.0.{number}")
    for number, (name, namespace, labels) in enumerate(
        (
            (
                "impostor",
                "default",
                {"app.kubernetes.io/name": "ai-interviewer-nginx-gateway", "k8s-app": "kube-dns"},
            ),
            ("metrics", "kube-system", {"k8s-app": "metrics"}),
            ("ingress-controller", "ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
            ("collector", "monitoring", {"app.kubernetes.io/name": "prometheus"}),
            ("neighbour", "monitoring", {"app.kubernetes.io/name": "node-exporter"}),
        ),
        start=203,
    )
)


def openings_in(manifests: list[Manifest]) -> set[Opening]:
    """Every opening that what is rendered leaves; the port of each pod is asked for."""
    return openings.openings_in(manifests, {NAMESPACE: "ai-interviewer-"}, IN_OTHER_NAMESPACES, PORTS)


def assert_exactly(found: set[Opening], table: str) -> None:
    """Refuse an opening that the table lacks, and one that only the table has. Every pod may ask the DNS."""
    openings.assert_exactly(found, table, outside=OTHERS, strangers=["stranger"])


def test_exactly_the_openings_of_the_table_exist(manifests: Manifests, environment: str) -> None:
    found = openings_in(manifests(environment))
    assert_exactly(found, allowed(environment, found))


def test_routes_to_the_mesh_open_no_more_in_a_shared_cluster_than_elsewhere(tmp_path: Path) -> None:
    assert_exactly(
        openings_in(objects_of(AiInterviewer(STAGING, outdir=tmp_path / "staging"))),
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
