"""This module is how an application of a test closes its namespace, as every one must that runs pods."""

from __future__ import annotations

from mcpmesh_k8s import Component, Manifest, Phase, k8s


class Closed(Component):
    """A policy for all pods that lets nothing pass, without the quota of a Namespace."""

    def __init__(self, phase: Phase) -> None:
        super().__init__(phase, "closed", "closed")

    def manifests(self) -> list[Manifest]:
        return [
            k8s.KubeNetworkPolicy.manifest(
                metadata=k8s.ObjectMeta(name="closed", namespace=self.namespace),
                spec=k8s.NetworkPolicySpec(pod_selector=k8s.LabelSelector(), policy_types=["Ingress", "Egress"]),
            )
        ]
