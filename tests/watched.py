"""This module is an application with everything that an alert may be about, and its rules as rendered."""

from __future__ import annotations

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
from reading import documents_of, read_manifests

RUNBOOKS = "https://runbooks.example/"


def watched(outdir: Path) -> dict[str, dict[str, Any]]:
    """The rules of an application whose every part is watched, by the names of alerts."""
    assert isinstance(PROD.metrics, InClusterPrometheus)
    metrics = replace(PROD.metrics, prometheus=replace(PROD.metrics.prometheus, runbooks=RUNBOOKS))
    with_everything(metrics, outdir)
    return {rule["alert"]: rule for rule in rules(outdir)}


def operated_rules(outdir: Path) -> dict[str, dict[str, Any]]:
    """The rules of an application that a Prometheus of the cluster watches, by the names of alerts."""
    metrics = PrometheusOperator(
        monitors=MonitorsSettings(runbooks=RUNBOOKS), blackbox=BlackboxSettings(public_address=PublicAddress())
    )
    with_everything(metrics, outdir)
    (found,) = (each["spec"] for each in objects(outdir) if each["kind"] == "PrometheusRule")
    return {rule["alert"]: rule for group in found["groups"] for rule in group["rules"]}


def with_everything(metrics: MetricsSettings, outdir: Path) -> None:
    """Write production with everything that an alert may be about: backups that are tried, too."""
    assert PROD.minio.backup
    minio = replace(PROD.minio, backup=replace(PROD.minio.backup, drill=RestoreDrill()))
    AiInterviewer(replace(PROD, minio=minio, metrics=metrics), outdir=outdir).synth()


def rules(outdir: Path) -> list[dict[str, Any]]:
    """Every rule that Prometheus is given."""
    files = (each["data"].items() for each in objects(outdir) if each["kind"] == "ConfigMap")
    texts = [text for file in files for key, text in file if key.endswith("alerts.yaml")]
    return [rule for text in texts for one in documents_of(text) for group in one["groups"] for rule in group["rules"]]


def objects(outdir: Path) -> list[dict[str, Any]]:
    """All objects in a folder."""
    return [dict(manifest) for manifest in read_manifests(outdir)]
