"""This module is an application with everything that an alert may be about, and its rules as rendered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ai_interviewer import PROD
from ai_interviewer.application import AiInterviewer
from mcpmesh_k8s import (
    Api,
    ApiSettings,
    Application,
    ApplicationSettings,
    BlackboxSettings,
    Budget,
    BuiltImage,
    CertManager,
    Compute,
    Image,
    InClusterPrometheus,
    Mesh,
    MeshTls,
    MetricsSettings,
    MonitorsSettings,
    Namespace,
    NamespaceSettings,
    Phase,
    PrometheusOperator,
    PublicAddress,
    Registry,
    RegistrySettings,
    RestoreDrill,
    Secret,
    images,
)
from reading import documents_of, objects_of, read_manifests
from registry_room import ROOM

RUNBOOKS = "https://runbooks.example/"


def meshed(metrics: MetricsSettings) -> list[Any]:
    """A mesh of 3.x that speaks TLS, and its API service."""
    mesh = Mesh(tls=MeshTls(certificates=CertManager(issuer="mesh-ca")))
    application = Application(ApplicationSettings(name="ai-interviewer", mesh=mesh), outdir="unused")
    phase = Phase(application, "all")
    Namespace(phase, NamespaceSettings(budget=Budget(cpu="20", memory="40Gi")))
    small = Compute(cpu="100m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi")
    registry = Registry(phase, RegistrySettings(image=images.REGISTRY, compute=small, extras=ROOM))
    code = BuiltImage(image=Image(repository="acme/web", tag="1.4.2"))
    Api(phase, ApiSettings(name="web", code=code, compute=small, module="web")).connects_to(registry)
    metrics.create(phase, _no_secret)
    return list(objects_of(application))


def _no_secret(name: str, /, *keys: object) -> Secret:
    raise AssertionError((name, *keys))


def watched() -> dict[str, dict[str, Any]]:
    """The rules of an application whose every part is watched, by the names of alerts."""
    assert isinstance(PROD.metrics, InClusterPrometheus)
    metrics = replace(PROD.metrics, prometheus=replace(PROD.metrics.prometheus, runbooks=RUNBOOKS))
    alone = InClusterPrometheus(prometheus=metrics.prometheus)
    return of_both(rules_in(with_everything(metrics)), rules_in(meshed(alone)))


def operated_rules() -> dict[str, dict[str, Any]]:
    """The rules of an application that a Prometheus of the cluster watches, by the names of alerts."""
    metrics = PrometheusOperator(
        monitors=MonitorsSettings(runbooks=RUNBOOKS), blackbox=BlackboxSettings(public_address=PublicAddress())
    )
    return of_both(_of_operator(with_everything(metrics)), _of_operator(meshed(metrics)))


def _of_operator(manifests: Iterable[Any]) -> list[dict[str, Any]]:
    (found,) = (each["spec"] for each in manifests if each["kind"] == "PrometheusRule")
    return [rule for group in found["groups"] for rule in group["rules"]]


def of_both(rules: Iterable[dict[str, Any]], more: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rules by the names of alerts: what both applications have is production's."""
    found = {rule["alert"]: rule for rule in rules}
    return found | {rule["alert"]: rule for rule in more if rule["alert"] not in found}


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
