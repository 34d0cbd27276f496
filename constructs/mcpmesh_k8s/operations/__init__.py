"""This module is how an environment is operated: the commands behind `make k8s-…`, for any application."""

from .cli import main
from .environment import Environment, Minikube, SharedCluster

__all__ = ["Environment", "Minikube", "SharedCluster", "main"]
