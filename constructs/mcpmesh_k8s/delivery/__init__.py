"""This module is what happens around a deployment: what ArgoCD is told, and the tests after each sync."""

from mcpmesh_k8s.kubernetes import refuse_wrong_types

from .argocd import (
    ArgoCdApplication,
    ArgoCdProject,
    ArgoCdProjectSettings,
    ArgoCdSettings,
    Automated,
    ClusterName,
    ClusterSelector,
    ClusterServer,
    Destination,
    Manual,
)
from .load_test import LoadTest, LoadTestSettings
from .smoke_test import SmokeTest, SmokeTestSettings

__all__ = [
    "ArgoCdApplication",
    "ArgoCdProject",
    "ArgoCdProjectSettings",
    "ArgoCdSettings",
    "Automated",
    "ClusterName",
    "ClusterSelector",
    "ClusterServer",
    "Destination",
    "LoadTest",
    "LoadTestSettings",
    "Manual",
    "SmokeTest",
    "SmokeTestSettings",
]

refuse_wrong_types(globals(), __all__)
