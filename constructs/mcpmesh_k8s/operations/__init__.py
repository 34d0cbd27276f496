"""This module is how an environment is operated: the commands behind `make k8s-…`, for any application.

``mcpmesh_k8s.operations.cli`` is the command line. It is not imported here: who only says where an environment runs
waits for none of it.
"""

from .environment import Environment, Minikube, SharedCluster, check_environments

__all__ = ["Environment", "Minikube", "SharedCluster", "check_environments"]
