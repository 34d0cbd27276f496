"""This module is where jsii is started: it is imported before anything of cdk8s.

jsii runs Node; which one, ``mcpmesh_k8s_node`` says.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import gzip
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import types
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
from jsii import _kernel  # noqa: E402
from jsii._kernel.providers import process as _process  # noqa: E402


def _popen(command: list[str], *, env: dict[str, str], stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    """Start Node, whatever a person has set for a Node of their own.

    It takes a TMPDIR as it is, where Python looks for one that can be written to. Ctrl-C goes to everyone of the
    terminal's group. It is Python's to answer: Node ends when Python does, whatever ends that.
    """
    told = {name: value for name, value in env.items() if name != "NODE_OPTIONS"} | {"TMPDIR": tempfile.gettempdir()}
    home = env.get("HOME", os.path.expanduser("~"))  # noqa: PTH111 - a Path fails for a user whom nobody knows
    if not env.get("JSII_RUNTIME_PACKAGE_CACHE_ROOT") and not _can_keep(home):
        told.setdefault("JSII_RUNTIME_PACKAGE_CACHE", "disabled")
    return subprocess.Popen(command, env=told, stdin=stdin, stdout=stdout, stderr=stderr, process_group=0)


def _can_keep(home: str) -> bool:
    """Whether jsii can keep below a home what it has unpacked. It ends where that is not so, instead of going without.

    Its rule: nobody but the user and root may change what it keeps. Each folder on the way there counts.
    """
    if not Path(home).is_absolute():
        return True  # it takes the temporary folder
    place = "Library/Caches/com.amazonaws.jsii" if sys.platform == "darwin" else ".cache/aws/jsii"
    try:
        kept = (Path(home).resolve() / place / "package-cache").resolve()
        for folder in reversed((kept, *kept.parents)):
            if not folder.exists():
                folder.mkdir(0o700)
            found = folder.stat()
            others_write = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
            if others_write or found.st_uid not in (0, os.getuid()):
                return False
        return kept.stat().st_uid == os.getuid() and os.access(kept, os.W_OK)
    except (OSError, RuntimeError):  # a file system that is full or read-only; links that lead round and round
        return False


class _Node(_process._NodeProcess):  # pyright: ignore[reportPrivateUsage]
    """The Node that jsii runs. Where it does not start, jsii prints two tracebacks that say nothing of it."""

    def start(self) -> None:
        """Start it, or end with a sentence: without it nothing can be imported."""
        try:
            super().start()  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            node = os.environ.get("JSII_NODE", "node")
            why = str(error) if isinstance(error, OSError) else "it ended at once; what it says is above"
            raise SystemExit(f"error: cdk8s needs Node, and {node} does not start: {why}") from None
        except KeyboardInterrupt:
            # jsii may not have said yet that it is stopped at the end. Python cannot end while a thread reads of it.
            self.stop()
            raise

    def stop(self) -> None:
        """Say farewell; one that has ended already hears nothing."""
        with contextlib.suppress(AttributeError, BrokenPipeError):
            super().stop()


_process.__dict__["subprocess"] = types.SimpleNamespace(**{**vars(subprocess), "Popen": _popen})
_process.__dict__["_NodeProcess"] = _Node
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
    # With the time in it jsii would keep it anew each time, and none is left of it in 2106.
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, text in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data := text.encode())
            tar.addfile(entry, io.BytesIO(data))
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    return path


def _found_once(find: Callable[[type, object], list[object]]) -> Callable[[type, object], list[object]]:
    """What a class overrides of cdk8s, which is the same for each of its objects: jsii looks for it at each anew."""
    found: dict[tuple[type, type], list[object]] = {}

    def overrides(declared: type, made: object) -> list[object]:
        key = declared, type(made)
        if key not in found:
            found[key] = find(declared, made)
        return found[key]

    return overrides


_kernel.__dict__["_get_overides"] = _found_once(_kernel.__dict__["_get_overides"])


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
