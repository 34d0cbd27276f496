"""This module is the programs of a Kubernetes control plane: built from their Go modules once, and kept.

They lie in the user's cache, outside the checkout, in a folder that is named after everything they are made of. So the
next run takes them from there, in another checkout too. ``build/control-plane`` leads there.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

MODULE = Path(__file__).resolve().parent / "control_plane"
LINK = MODULE.parent.parent.parent / "build" / "control-plane"
"""Where the programs of this checkout are found."""

KUBERNETES = "k8s.io/kubernetes"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": f"{KUBERNETES}/cmd/kube-apiserver",
    "kube-controller-manager": f"{KUBERNETES}/cmd/kube-controller-manager",
    "kube-scheduler": f"{KUBERNETES}/cmd/kube-scheduler",
    "kubectl": f"{KUBERNETES}/cmd/kubectl",
}
"""The Go package of each program."""

_BUILD = ("build", "-trimpath", "-ldflags")
_VERSION = "k8s.io/component-base/version"
_SILENCE = 30.0
"""Seconds after which people would wonder whether anything happens."""


class BuildError(Exception):
    """The programs cannot be built. The message says what to do."""


def programs(go: str) -> Path:
    """The folder with all programs; they are built when they are not there.

    Args:
        go: Go, 1.25 or newer.

    Raises:
        BuildError: The build fails.
    """
    folder = cache() / _checksum(go)
    if all((folder / name).exists() for name in PACKAGES):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, and moved there when it is whole: two runs at once do no harm.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="building-") as unfinished:
        built = Path(unfinished, "programs")
        built.mkdir()
        _build(go, built)
        with suppress(OSError):  # another was faster
            built.rename(folder)
    return folder


def cache() -> Path:
    """The folder below which every build has its own."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcpmesh-k8s" / "control-plane"


def version(go: str) -> str:
    """The version of Kubernetes that the module asks for, such as ``v1.34.4``."""
    module = json.loads(_output(go, "list", "-m", "-json", KUBERNETES))
    return str(module["Version"])


def _checksum(go: str) -> str:
    made_of = [(MODULE / name).read_bytes() for name in ("go.mod", "go.sum")]
    made_of += [_output(go, "env", "GOVERSION", "GOOS", "GOARCH").encode(), repr((PACKAGES, _BUILD)).encode()]
    return hashlib.sha256(b"\0".join(made_of)).hexdigest()[:16]


def _build(go: str, folder: Path) -> None:
    number = version(go)
    major, minor, _ = number.removeprefix("v").split(".")
    facts = {"gitVersion": number, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(["-s -w", *(f"-X {_VERSION}.{name}={value}" for name, value in facts.items())])
    begun = time.monotonic()
    for name, package in PACKAGES.items():
        print(f"building {name} ({number if package.startswith(KUBERNETES) else 'as pinned'})", flush=True)
        command = ["nice", go, *_BUILD, flags, "-o", str(folder / name), package]
        environment = {**os.environ, "CGO_ENABLED": "0"}
        if _in_sight(command, environment):
            raise BuildError(f"{package} could not be built: see above. It wants Go 1.25 or newer, and its modules.")
    print(f"built in {time.monotonic() - begun:.0f} seconds", flush=True)


def _in_sight(command: list[str], environment: dict[str, str]) -> int:
    """Run a command that says nothing for minutes, and say that it goes on."""
    begun = time.monotonic()
    with subprocess.Popen(command, cwd=MODULE, env=environment) as process:
        while True:
            try:
                return process.wait(_SILENCE)
            except subprocess.TimeoutExpired:
                print(f"  for {time.monotonic() - begun:.0f} seconds so far", flush=True)


def _output(go: str, *arguments: str) -> str:
    done = subprocess.run([go, *arguments], cwd=MODULE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"`go {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


def main() -> None:
    """Build what is not there, in people's sight."""
    try:
        folder = programs(sys.argv[1])
    except BuildError as error:
        sys.exit(str(error))
    LINK.parent.mkdir(exist_ok=True)
    LINK.unlink(missing_ok=True)
    LINK.symlink_to(folder)
    print(f"the control plane: {folder}")


if __name__ == "__main__":
    main()
