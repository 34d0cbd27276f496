"""This module is production for many clusters, with sealed values: both are proven with it, no environment has them."""

from __future__ import annotations

import base64
from dataclasses import replace

from ai_interviewer import PROD, AiInterviewer
from gateway_api import BEHIND_GATEWAY_API
from mcpmesh_k8s import ArgoCdSettings, Automated, ClusterSelector, SealedSecrets, SealedValue


def ciphertext(plain: str, *, rsa: int = 512, tag: int = 16) -> str:
    """The form of a value that kubeseal sealed: the length of the session key, the key, the value and its tag."""
    return base64.b64encode(rsa.to_bytes(2, "big") + b"k" * rsa + plain.encode() + b"t" * tag).decode()


SEALED = SealedSecrets(
    values=tuple(
        SealedValue(
            secret=entry.reference.secret.removeprefix("ai-interviewer-"),
            key=entry.reference.key,
            ciphertext=ciphertext(entry.variable),
        )
        for entry in AiInterviewer(PROD, outdir="unused").secret_keys()
    )
)

MANY_CLUSTERS = replace(
    PROD,
    name="many-clusters",
    secrets=SEALED,
    argocd=ArgoCdSettings(
        target_revision="v1.0.0",
        path="dist/many-clusters",
        destination=ClusterSelector(labels=(("environment", "prod"),)),
        sync=Automated(prune=False),
    ),
)

OTHERWISE = replace(
    MANY_CLUSTERS,
    policies=BEHIND_GATEWAY_API.policies,
    dns=BEHIND_GATEWAY_API.dns,
    exposure=BEHIND_GATEWAY_API.exposure,
)
"""The same behind a Gateway of others: all that production might choose otherwise, where each thing takes long."""
