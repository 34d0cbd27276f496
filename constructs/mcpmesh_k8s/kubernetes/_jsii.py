"""This module is where jsii is started: it is imported before anything of cdk8s.

jsii runs Node; which one, ``mcpmesh_k8s_node`` says.
"""

from __future__ import annotations

import atexit
import functools
import gc
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import types
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from constructs import Construct


if "jsii" in sys.modules and "JSII_NODE" not in os.environ:
    print(
        "mcpmesh_k8s: cdk8s runs the Node of this machine, for it was imported before; "
        "import mcpmesh_k8s first for Node 24.",
        file=sys.stderr,
    )
import mcpmesh_k8s_node as mcpmesh_k8s_node

# Importing jsii and cdk8s makes some hundred thousand long-lived objects. Collecting garbage meanwhile finds
# none and costs a tenth of a synthesis.
_collecting = gc.isenabled()
gc.disable()
import jsii  # noqa: E402
from jsii._kernel.providers import process as _process  # noqa: E402

# Ctrl-C goes to everyone of the terminal's group. It is Python's to answer: jsii cannot say farewell to a Node that has
# already ended, and prints a traceback. Node ends when Python does, whatever ends that.
_process.__dict__["subprocess"] = types.SimpleNamespace(
    **{**vars(subprocess), "Popen": functools.partial(subprocess.Popen, process_group=0)}
)
try:
    import cdk8s
except (AttributeError, OSError, RuntimeError) as error:
    cause: BaseException = error
    while cause.__context__:
        cause = cause.__context__
    raise ImportError(
        f"mcpmesh_k8s: cdk8s works by Node, which did not run: {cause}. "
        f"Is there room in the temporary folder, which TMPDIR names or is {tempfile.gettempdir()}?"
    ) from None

_process.__dict__["subprocess"] = subprocess

gc.freeze()
if _collecting:
    gc.enable()

_MODULE = "mcpmesh-k8s-api-objects"
_VERSION = "1.0.0"


def _tarball() -> Path:
    """The JavaScript beside this file as the tarball that jsii loads: the same bytes every time."""
    sources = Path(__file__).with_name("_api_objects")
    package = {"name": _MODULE, "version": _VERSION, "main": "index.js", "jsii": {"outdir": "."}}
    contents = {
        "package/.jsii": (sources / "assembly.json").read_text(encoding="utf-8"),
        "package/index.js": (sources / "index.js").read_text(encoding="utf-8"),
        "package/package.json": json.dumps(package),
    }
    path = Path(tempfile.mkdtemp(prefix="mcpmesh-k8s-")) / "api-objects.tgz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, text in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data := text.encode())
            tar.addfile(entry, io.BytesIO(data))
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    return path


def create(construct: Construct, *given: object) -> None:
    """Do what the constructor of a construct's class in cdk8s does, once it has compared what it is given.

    jsii compares by ``typeguard``, whose import takes a tenth of a synthesis. What ours are given is compared already.
    """
    jsii.create(type(construct), construct, list(given))


class ApiObjects(metaclass=jsii.JSIIMeta, jsii_type=f"{_MODULE}.ApiObjects"):
    """Creates cdk8s ApiObjects, many in one call.

    jsii makes a round trip of about a millisecond for each object made from Python. One call for a chart makes
    the same ApiObjects, at the same construct paths, some twenty times faster.
    """

    _loaded = False

    @classmethod
    def add(
        cls,
        chart: Construct,
        manifests: Sequence[tuple[str, str, Mapping[str, object]]],
        annotations: Mapping[str, Mapping[str, str]],
    ) -> list[Mapping[str, object]]:
        """Add manifests to a chart, each as ``(component id, object id, manifest)``.

        ApiObjects that were in the chart before, those made with plain cdk8s, get the annotations that they lack: those
        of their kind, or those of ``""``.

        Returns:
            Their manifests.
        """
        if not cls._loaded:
            jsii.kernel.load(_MODULE, _VERSION, str(_tarball()))
            cls._loaded = True
        others = jsii.sinvoke(cls, "add", [chart, json.dumps(manifests), json.dumps(annotations)])
        return list(json.loads(str(others)))


__all__ = ["ApiObjects", "cdk8s"]
