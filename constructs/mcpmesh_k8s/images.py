"""This module is the third-party images the services were written for, each pinned to one version.

An environment may name another version. The user, paths and probes of a service are those of these images.
"""

from __future__ import annotations

from mcpmesh_k8s.kubernetes import Image

POSTGRES = Image(
    repository="postgres",
    tag="15.19-alpine3.24",
    exact_because="PostgreSQL has two-part versions: 15.19 is a release, and alpine3.24 its base",
)
REDIS = Image(repository="redis", tag="7.4.11-alpine3.21")
MINIO = Image(repository="minio/minio", tag="RELEASE.2025-09-07T16-13-09Z")
MINIO_CLIENT = Image(repository="minio/mc", tag="RELEASE.2025-08-13T08-35-41Z")
TEMPO = Image(repository="grafana/tempo", tag="2.8.4")
GRAFANA = Image(repository="grafana/grafana", tag="11.4.8")
OPENRESTY = Image(repository="openresty/openresty", tag="1.31.1.1-3-alpine")
REGISTRY = Image(repository="mcpmesh/registry", tag="0.5.3")
PYTHON_RUNTIME = Image(repository="mcpmesh/python-runtime", tag="0.5.3")
OAUTH2_PROXY = Image(repository="quay.io/oauth2-proxy/oauth2-proxy", tag="v7.15.6")
