"""This module is the API that manifests are written with: Kubernetes, and the custom resources that the library writes.

``k8s`` holds the structs of Kubernetes, by the names that they have in ``cdk8s_plus_27.k8s``, and its kinds:
``k8s.KubeConfigMap.manifest(metadata=k8s.ObjectMeta(name="shop"))`` is a manifest. The others hold custom resources.
They are made of the same descriptions as the L1 classes of cdk8s, and are Python alone. A struct is what its type says.
A name, a field or a value that the API does not have is refused at once.
"""

from . import (
    argoproj,
    bitnami,
    cert_manager,
    cilium,
    external_secrets,
    gateway_api,
    istio,
    k8s,
    keda,
    linkerd,
    monitoring,
    vertical,
)
from .metadata import ApiObjectMetadata
from .struct import IntOrString, Kind, Quantity, Struct, to_json

__all__ = [
    "ApiObjectMetadata",
    "IntOrString",
    "Kind",
    "Quantity",
    "Struct",
    "argoproj",
    "bitnami",
    "cert_manager",
    "cilium",
    "external_secrets",
    "gateway_api",
    "istio",
    "k8s",
    "keda",
    "linkerd",
    "monitoring",
    "to_json",
    "vertical",
]
