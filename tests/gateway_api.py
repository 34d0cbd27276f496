"""This module is production behind the Gateway API: an HTTPRoute is proven with it, since no environment has one."""

from __future__ import annotations

from dataclasses import replace

from ai_interviewer import PROD
from mcpmesh_k8s import GatewayApiExposure, NamespacePods

BEHIND_GATEWAY_API = replace(
    PROD,
    name="gateway-api",
    exposure=GatewayApiExposure(
        parent="shared", parent_namespace="edge", section="https", pods=NamespacePods(namespace="edge")
    ),
)
