"""This module is production behind the Gateway API of Cilium: what no environment has is proven with it."""

from __future__ import annotations

from dataclasses import replace

from ai_interviewer import PROD
from mcpmesh_k8s import CiliumEntity, Dns, GatewayApiExposure, NamespacePods, PolicyKind

BEHIND_GATEWAY_API = replace(
    PROD,
    name="gateway-api",
    policies=PolicyKind.CILIUM,
    dns=Dns.cilium(),
    exposure=GatewayApiExposure(
        parent="shared",
        parent_namespace="edge",
        section="https",
        peer=(NamespacePods(namespace="edge"), CiliumEntity.INGRESS),
    ),
)
