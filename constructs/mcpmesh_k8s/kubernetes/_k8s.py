"""This module is the Kubernetes API that manifests are written with: the L1 classes of cdk8s-plus-27.

Type checkers see ``cdk8s_plus_27.k8s`` itself, so a misspelled field or a value of the wrong type fails
``make check``. Python builds the same manifests as plain dictionaries: constructing the real classes and
loading their module takes longer than the rest of a synthesis together. ``tests/test_k8s.py`` renders both
environments with the real classes too and compares, and every manifest is validated against the schemas of Kubernetes.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdk8s import ApiObjectMetadata
    from cdk8s_plus_27 import k8s

    from imports.com import bitnami
    from imports.io import argoproj, external_secrets
    from imports.io.k8s.networking import gateway as gateway_api
else:
    # Kinds by the name of their L1 class: group and version as plus-27 writes them.
    _KUBERNETES = {
        "KubeConfigMap": ("v1", "ConfigMap"),
        "KubeDeployment": ("apps/v1", "Deployment"),
        "KubeHorizontalPodAutoscalerV2": ("autoscaling/v2", "HorizontalPodAutoscaler"),
        "KubeIngress": ("networking.k8s.io/v1", "Ingress"),
        "KubeJob": ("batch/v1", "Job"),
        "KubeLimitRange": ("v1", "LimitRange"),
        "KubeNamespace": ("v1", "Namespace"),
        "KubeNetworkPolicy": ("networking.k8s.io/v1", "NetworkPolicy"),
        "KubePersistentVolumeClaim": ("v1", "PersistentVolumeClaim"),
        "KubePodDisruptionBudget": ("policy/v1", "PodDisruptionBudget"),
        "KubePriorityClass": ("scheduling.k8s.io/v1", "PriorityClass"),
        "KubeResourceQuota": ("v1", "ResourceQuota"),
        "KubeService": ("v1", "Service"),
        "KubeServiceAccount": ("v1", "ServiceAccount"),
        "KubeStatefulSet": ("apps/v1", "StatefulSet"),
    }
    _GATEWAY_API = {"HttpRoute": ("gateway.networking.k8s.io/v1", "HTTPRoute")}
    _EXTERNAL_SECRETS = {"ExternalSecret": ("external-secrets.io/v1", "ExternalSecret")}
    _SEALED_SECRETS = {"SealedSecret": ("bitnami.com/v1alpha1", "SealedSecret")}
    _ARGO_CD = {name: ("argoproj.io/v1alpha1", name) for name in ("AppProject", "Application", "ApplicationSet")}

    @functools.cache
    def _json_name(python_name: str) -> str:
        """The field of the manifest for a keyword of the L1 class: ``run_as_user`` becomes ``runAsUser``."""
        name = re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), python_name.rstrip("_"))
        return {"clusterIp": "clusterIP", "downwardApi": "downwardAPI", "repoUrl": "repoURL"}.get(name, name)

    def _struct(**fields: object) -> dict[str, object]:
        return {_json_name(name): value for name, value in fields.items() if value is not None}

    def _value(value: object) -> object:
        return value

    class _Kind:
        def __init__(self, api_version: str, kind: str) -> None:
            self._identity = {"apiVersion": api_version, "kind": kind}

        def manifest(self, **fields: object) -> dict[str, object]:
            return {**self._identity, **_struct(**fields)}

    class _Name:
        """A struct when it is called, an enumeration when a member is asked for."""

        def __call__(self, **fields: object) -> dict[str, object]:
            return _struct(**fields)

        def __getattr__(self, member: str) -> str:
            return "".join(part.capitalize() for part in member.split("_"))

    class _Quantity:
        from_string = from_number = staticmethod(_value)

    class _Api:
        Quantity = IntOrString = _Quantity

        def __init__(self, kinds: dict[str, tuple[str, str]]) -> None:
            for name, identity in kinds.items():
                setattr(self, name, _Kind(*identity))

        def __getattr__(self, name: str) -> _Name:
            return _Name()

    k8s = _Api(_KUBERNETES)
    argoproj = _Api(_ARGO_CD)
    bitnami = _Api(_SEALED_SECRETS)
    external_secrets = _Api(_EXTERNAL_SECRETS)
    gateway_api = _Api(_GATEWAY_API)
    ApiObjectMetadata = _struct

__all__ = ["ApiObjectMetadata", "argoproj", "bitnami", "external_secrets", "gateway_api", "k8s"]
