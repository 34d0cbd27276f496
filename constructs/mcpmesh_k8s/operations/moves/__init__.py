"""This module is how all data of an application move, between the Compose stack and the cluster, both ways.

An export is a folder. Nothing in the source is changed. An import checks the whole folder and the target first, then
brings everything beside what is there, compares it, and swaps at the end. Each can be repeated after it stopped
anywhere. How the data of one store move, the store says itself: see ``Store`` and ``Mover``.
"""

from mcpmesh_k8s.kubernetes import Owner, Row, Server

from .export import Manifest
from .moves import (
    compare_data,
    export_data,
    import_data,
    require_programs,
    require_same,
    show_left_out,
    show_rows,
    verify_data,
)
from .sides import ClusterSide, ComposeSide, Side, Stores, stores_of

__all__ = [
    "ClusterSide",
    "ComposeSide",
    "Manifest",
    "Owner",
    "Row",
    "Server",
    "Side",
    "Stores",
    "compare_data",
    "export_data",
    "import_data",
    "require_programs",
    "require_same",
    "show_left_out",
    "show_rows",
    "stores_of",
    "verify_data",
]
