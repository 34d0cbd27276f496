"""This module is an environment as it is operated: where it runs, and what its typed tree says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from mcpmesh_k8s.access import Gateway
from mcpmesh_k8s.kubernetes import Image, SettingError, dataclass, dns_label
from mcpmesh_k8s.services import Agent, Api, BuiltImage

if TYPE_CHECKING:
    from mcpmesh_k8s.kubernetes import Application


@dataclass(frozen=True, kw_only=True)
class Minikube:
    """A cluster of one's own, on this machine: images are built into it, and nothing has to be confirmed.

    Args:
        profile: The minikube profile, which is the name of its context too.
        addons: The addons that the application needs.
        start: How to start it. The network plugin must enforce policies, which minikube's own does not.
    """

    profile: str = "minikube"
    addons: tuple[str, ...] = ("ingress", "metrics-server")
    start: str = "minikube start --cni=calico --cpus=4 --memory=8g"

    @property
    def context(self) -> str:
        """The context of the kubeconfig."""
        return self.profile


@dataclass(frozen=True, kw_only=True)
class SharedCluster:
    """A cluster that others use: a change must be confirmed by the environment's name, and images are pushed.

    Args:
        context: The context of the kubeconfig.
    """

    context: str


class Named(Protocol):
    """What has the name of an environment, and a cluster: its settings, or what is operated."""

    @property
    def name(self) -> str:
        """The folder below ``dist/``, and the word that confirms a change."""
        ...

    @property
    def cluster(self) -> Minikube | SharedCluster:
        """Where it runs."""
        ...


def check_environments(environments: Sequence[Named]) -> None:
    """Refuse environments that would be taken for one another.

    Args:
        environments: All of an application.

    Raises:
        SettingError: A name is none, is taken, or two of them have one cluster.
    """
    names: set[str] = set()
    contexts: dict[str, str] = {}
    for environment in environments:
        name, context = environment.name, environment.cluster.context
        where = f"name of the environment {name!r}"
        dns_label(where, name)
        if name in names:
            raise SettingError(where, name, "Another environment is called so. Give each a name of its own.")
        if context in contexts:
            raise SettingError(
                f"cluster of the environment {name!r}",
                context,
                f"That is the cluster of {contexts[context]!r}, and each would replace the other. Give it its own.",
            )
        names.add(name)
        contexts[context] = name


@dataclass(frozen=True, kw_only=True)
class Build:
    """An image that is built from the application's checkout.

    Args:
        workload: The short name of the workload that runs it.
        image: The image.
        dockerfile: Its Dockerfile, below the checkout.
        build_context: What Docker may copy from, below the checkout.
    """

    workload: str
    image: Image
    dockerfile: str
    build_context: str


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An environment that can be operated.

    Args:
        name: The folder below ``dist/``, and the word that confirms a change.
        cluster: Where it runs.
        make: Makes the application. It is looked at, and never written.
    """

    name: str
    cluster: Minikube | SharedCluster
    make: Callable[[], Application]

    @cached_property
    def application(self) -> Application:
        """The typed tree."""
        application = self.make()
        application.look()
        return application

    @property
    def namespace(self) -> str:
        """The namespace that everything lies in."""
        return self.application.settings.namespace

    @property
    def selector(self) -> str:
        """The label that all objects of the application carry."""
        return f"app.kubernetes.io/part-of={self.application.settings.name}"

    @property
    def gateways(self) -> tuple[Gateway, ...]:
        """The ways in."""
        return tuple(component for component in self.application.components if isinstance(component, Gateway))

    @property
    def agents(self) -> tuple[Agent, ...]:
        """The agents, in the order they were made."""
        return tuple(component for component in self.application.components if isinstance(component, Agent))

    @property
    def builds(self) -> tuple[Build, ...]:
        """The images that are built from the application's own Dockerfiles."""
        return tuple(
            Build(
                workload=component.name,
                image=component.settings.code.image,
                dockerfile=component.settings.code.dockerfile,
                build_context=component.settings.code.build_context,
            )
            for component in self.application.components
            if isinstance(component, Agent | Api)
            and isinstance(component.settings.code, BuiltImage)
            and component.settings.code.dockerfile
        )
