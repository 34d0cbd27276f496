"""This module is an application with everything that an alert may be about, and its rules as rendered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

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
    documents = [one for path in sorted(outdir.glob("*.yaml")) for one in yaml.safe_load_all(path.read_text("utf-8"))]
    (found,) = (document["spec"] for document in documents if document and document["kind"] == "PrometheusRule")
    return {rule["alert"]: rule for group in found["groups"] for rule in group["rules"]}


def with_everything(metrics: MetricsSettings, outdir: Path) -> None:
    """Write production with everything that an alert may be about: backups that are tried, too."""
    assert PROD.minio.backup
    minio = replace(PROD.minio, backup=replace(PROD.minio.backup, drill=RestoreDrill()))
    AiInterviewer(replace(PROD, minio=minio, metrics=metrics), outdir=outdir).synth()


def rules(outdir: Path) -> list[dict[str, Any]]:
    """Every rule that Prometheus is given."""
    found: list[dict[str, Any]] = []
    for path in sorted(outdir.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document and document["kind"] == "ConfigMap":
                for key, text in document["data"].items():
                    if key.endswith("alerts.yaml"):
                        found += [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    return found
