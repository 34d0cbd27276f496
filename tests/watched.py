"""This module is an application with everything that an alert may be about, and its rules as rendered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ai_interviewer import PROD
from ai_interviewer.application import AiInterviewer
from mcpmesh_k8s import (
    BlackboxSettings,
    InClusterPrometheus,
    MetricsSettings,
    MonitorsSettings,
    PrometheusOperator,
    PublicAddress,
    RestoreDrill,
)
from reading import documents_of, objects_of, read_manifests

RUNBOOKS = "https://runbooks.example/"


def watched() -> dict[str, dict[str, Any]]:
    """The rules of an application whose every part is watched, by the names of alerts."""
    assert isinstance(PROD.metrics, InClusterPrometheus)
    metrics = replace(PROD.metrics, prometheus=replace(PROD.metrics.prometheus, runbooks=RUNBOOKS))
    return {rule["alert"]: rule for rule in rules_in(with_everything(metrics))}


def operated_rules() -> dict[str, dict[str, Any]]:
    """The rules of an application that a Prometheus of the cluster watches, by the names of alerts."""
    metrics = PrometheusOperator(
        monitors=MonitorsSettings(runbooks=RUNBOOKS), blackbox=BlackboxSettings(public_address=PublicAddress())
    )
    (found,) = (each["spec"] for each in with_everything(metrics) if each["kind"] == "PrometheusRule")
    return {rule["alert"]: rule for group in found["groups"] for rule in group["rules"]}


def with_everything(metrics: MetricsSettings) -> list[Any]:
    """Production with everything that an alert may be about: backups that are tried, too."""
    assert PROD.minio.backup
    minio = replace(PROD.minio, backup=replace(PROD.minio.backup, drill=RestoreDrill()))
    return list(objects_of(AiInterviewer(replace(PROD, minio=minio, metrics=metrics), outdir="unused")))


def rules(outdir: Path) -> list[dict[str, Any]]:
    """Every rule that Prometheus is given, by the manifests of a folder."""
    return rules_in(read_manifests(outdir))


def rules_in(manifests: Iterable[Any]) -> list[dict[str, Any]]:
    """Every rule that Prometheus is given."""
    files = (each["data"].items() for each in manifests if each["kind"] == "ConfigMap")
    texts = [text for file in files for key, text in file if key.endswith("alerts.yaml")]
    return [rule for text in texts for one in documents_of(text) for group in one["groups"] for rule in group["rules"]]
