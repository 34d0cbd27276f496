"""This module is what commands begin with: the environment, the right cluster, and consent where it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from . import cluster, secrets
from .environment import Environment, Minikube
from .moves import Stores, stores_of
from .programs import Kubectl, UsageError, output, require
from .rendered import RenderedPhase, read_phases, require_current
from .terminal import show


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Who works on one environment.

    Args:
        environment: Which environment.
        environments: All of them: one must not be taken for another.
        context: Another kubectl context than the environment's own.
        confirm: The word that confirms a change.
    """

    environment: Environment
    environments: Sequence[Environment]
    context: str = ""
    confirm: str = ""

    def look(self) -> Kubectl:
        """kubectl, to look at things."""
        return self.answering(self.chosen())

    def change(self) -> Kubectl:
        """kubectl, to change things: with consent."""
        return self.answering(self.consented())

    def chosen(self) -> Kubectl:
        """Kubectl for the right cluster, which was not asked yet."""
        return cluster.choose_context(self.environment, self.context, self.environments)

    def consented(self) -> Kubectl:
        """kubectl, once there is consent."""
        kubectl = self.chosen()
        cluster.require_consent(self.environment, kubectl, self.confirm)
        return kubectl

    def answering(self, kubectl: Kubectl) -> Kubectl:
        """kubectl, once the cluster answers."""
        cluster.require_answer(self.environment, kubectl)
        show(f"context {kubectl.context}, namespace {kubectl.namespace}")
        return kubectl

    def in_namespace(self, kubectl: Kubectl) -> Kubectl:
        """kubectl, once the namespace is there."""
        cluster.require_namespace(self.environment, kubectl)
        return kubectl

    @property
    def phases(self) -> tuple[RenderedPhase, ...]:
        """What was rendered, which is what the sources give."""
        application = self.environment.application
        phases = read_phases(application.directory)
        require_current(application.directory, phases, chain.from_iterable(application.manifests().values()))
        return phases

    @property
    def stores(self) -> Stores:
        """What holds the data."""
        return stores_of(self.environment.application)

    @property
    def secret_names(self) -> list[str]:
        """The Secrets that are made from here."""
        return list(dict.fromkeys(entry.reference.secret for entry in secrets.own_entries(self.environment)))

    @property
    def minikube(self) -> Minikube | None:
        """The minikube of the settings; none when another context was given."""
        minikube = self.environment.cluster
        return minikube if isinstance(minikube, Minikube) and self.context in ("", minikube.context) else None

    def minikube_address(self) -> str:
        """The address of minikube.

        Raises:
            UsageError: It is another cluster.
        """
        if not self.minikube:
            raise UsageError("Only minikube tells its address. Give ADDRESS=<the ingress controller's>.")
        require("minikube")
        return output(["minikube", "--profile", self.minikube.profile, "ip"]).strip()

    def checkout(self, given: Path | None) -> Path:
        """The application's checkout: beside this one unless another was given."""
        return given or Path("..", self.environment.application.settings.name)

    def require_values(self, kubectl: Kubectl, env_file: Path) -> None:
        """Refuse to begin when a value of a Secret is nowhere."""
        present = secrets.keys_in_cluster(kubectl, self.secret_names)
        secrets.require_values(self.environment, present, secrets.read_env_file(env_file))
