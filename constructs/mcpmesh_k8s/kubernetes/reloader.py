"""This module is what restarts workloads by itself when a Secret that they read changes."""

from __future__ import annotations

from .values import dataclass


@dataclass(frozen=True, kw_only=True)
class Reloader:
    """Stakater's Reloader, which the cluster must run, restarts what reads a Secret that changed.

    Stores are left alone: they hold the passwords of all their clients, and a restart would end every session. What
    changes in a ConfigMap rolls its pods already. Beside ArgoCD it must run with ``--reload-strategy=annotations``: its
    own way adds a variable to the pods, which ArgoCD would take out again.
    """

    @property
    def annotation(self) -> tuple[str, str]:
        """What it looks for on a Deployment or StatefulSet: Secrets alone, whatever their names."""
        return ("secret.reloader.stakater.com/auto", "true")
