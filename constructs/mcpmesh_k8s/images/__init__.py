"""This module is the third-party images the services were written for, each pinned to one version.

An environment may name another version. The user, paths and probes of a service are those of these images. ``PINS``
says of each who chose its line, when and where its newest patch was looked up, and what is known against it.
"""

from __future__ import annotations

from . import pins
from .digests import DIGESTS, DIGESTS_FILE, digests_of, pinned
from .pins import PINS, Advisory, Pin, Standing

POSTGRES = pinned(pins.POSTGRES, DIGESTS)
REDIS = pinned(pins.REDIS, DIGESTS)
MINIO = pinned(pins.MINIO, DIGESTS)
MINIO_CLIENT = pinned(pins.MINIO_CLIENT, DIGESTS)
TEMPO = pinned(pins.TEMPO, DIGESTS)
GRAFANA = pinned(pins.GRAFANA, DIGESTS)
OPENRESTY = pinned(pins.OPENRESTY, DIGESTS)
REGISTRY = pinned(pins.REGISTRY, DIGESTS)
PYTHON_RUNTIME = pinned(pins.PYTHON_RUNTIME, DIGESTS)
TYPESCRIPT_RUNTIME = pinned(pins.TYPESCRIPT_RUNTIME, DIGESTS)
JAVA_RUNTIME = pinned(pins.JAVA_RUNTIME, DIGESTS)
MESH_UI = pinned(pins.MESH_UI, DIGESTS)
REGISTRY_0_5 = pinned(pins.REGISTRY_0_5, DIGESTS)
PYTHON_RUNTIME_0_5 = pinned(pins.PYTHON_RUNTIME_0_5, DIGESTS)
OAUTH2_PROXY = pinned(pins.OAUTH2_PROXY, DIGESTS)
PROMETHEUS = pinned(pins.PROMETHEUS, DIGESTS)
ALERTMANAGER = pinned(pins.ALERTMANAGER, DIGESTS)
KUBE_STATE_METRICS = pinned(pins.KUBE_STATE_METRICS, DIGESTS)
BLACKBOX_EXPORTER = pinned(pins.BLACKBOX_EXPORTER, DIGESTS)
POSTGRES_EXPORTER = pinned(pins.POSTGRES_EXPORTER, DIGESTS)
REDIS_EXPORTER = pinned(pins.REDIS_EXPORTER, DIGESTS)
LOKI = pinned(pins.LOKI, DIGESTS)
ALLOY = pinned(pins.ALLOY, DIGESTS)
LOCUST = pinned(pins.LOCUST, DIGESTS)

__all__ = [
    "ALERTMANAGER",
    "ALLOY",
    "BLACKBOX_EXPORTER",
    "DIGESTS",
    "DIGESTS_FILE",
    "GRAFANA",
    "JAVA_RUNTIME",
    "KUBE_STATE_METRICS",
    "LOCUST",
    "LOKI",
    "MESH_UI",
    "MINIO",
    "MINIO_CLIENT",
    "OAUTH2_PROXY",
    "OPENRESTY",
    "PINS",
    "POSTGRES",
    "POSTGRES_EXPORTER",
    "PROMETHEUS",
    "PYTHON_RUNTIME",
    "PYTHON_RUNTIME_0_5",
    "REDIS",
    "REDIS_EXPORTER",
    "REGISTRY",
    "REGISTRY_0_5",
    "TEMPO",
    "TYPESCRIPT_RUNTIME",
    "Advisory",
    "Pin",
    "Standing",
    "digests_of",
    "pinned",
]
