"""This module is room for a registry of the tests that has no PostgreSQL: it keeps a file, and is refused without."""

from mcpmesh_k8s import PodExtras, Scratch

ROOM = PodExtras(volumes=(Scratch(name="data", mount_path="/data"),))
