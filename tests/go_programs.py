"""This module is programs that tests start and nobody packages: built from their Go modules once, and kept.

They lie in the user's cache, outside the checkout, in a folder that is named after everything they are made of. So the
next run takes them from there, in another checkout too. A link in ``build/`` leads there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parent

_BUILD = ("build", "-trimpath", "-ldflags")
_SILENCE = 30.0
"""Seconds after which people would wonder whether anything happens."""


class BuildError(Exception):
    """The programs cannot be built. The message says what to do."""


@dataclass(frozen=True, kw_only=True)
class GoPrograms:
    """Programs that one Go module names the versions of.

    Args:
        name: The folder of ``build/`` and of the cache.
        module: The folder with ``go.mod`` and ``go.sum``.
        packages: The Go package of each program.
        tags: What Go is told to leave out of them.
        lacking: What a released module lacks that Go wants to embed, by the module: files, which are made without
            content.
        versioned: A module whose version its programs are told, as Kubernetes' are.
    """

    name: str
    module: Path
    packages: Mapping[str, str]
    tags: tuple[str, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    versioned: str = ""

    @property
    def link(self) -> Path:
        """Where the programs of this checkout are found."""
        return TESTS.parent / "build" / self.name

    def folder(self, go: str) -> Path:
        """The folder with all programs; they are built when they are not there.

        Args:
            go: Go, as new as the module asks for.

        Raises:
            BuildError: The build fails.
        """
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcpmesh-k8s" / self.name
        folder = cache / self._checksum(go)
        if all((folder / name).exists() for name in self.packages):
            return folder
        cache.mkdir(parents=True, exist_ok=True)
        # Beside its place, and moved there when it is whole: two runs at once do no harm.
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as unfinished:
            built = Path(unfinished, "programs")
            built.mkdir()
            self._build(go, built)
            with suppress(OSError):  # another was faster
                built.rename(folder)
        return folder

    def version(self, go: str, module: str) -> str:
        """The version of a module, such as ``v1.34.4``."""
        return str(json.loads(self._output(go, "list", "-m", "-json", module))["Version"])

    def _checksum(self, go: str) -> str:
        made_of = [(self.module / name).read_bytes() for name in ("go.mod", "go.sum")]
        settings = (self.packages, _BUILD, *([self.tags, self.lacking] if self.tags or self.lacking else []))
        made_of += [self._output(go, "env", "GOVERSION", "GOOS", "GOARCH").encode(), repr(settings).encode()]
        return hashlib.sha256(b"\0".join(made_of)).hexdigest()[:16]

    def _build(self, go: str, folder: Path) -> None:
        flags = ["-s -w"]
        if self.versioned:
            number = self.version(go, self.versioned)
            major, minor, _ = number.removeprefix("v").split(".")
            facts = {"gitVersion": number, "gitMajor": major, "gitMinor": minor}
            flags += [f"-X k8s.io/component-base/version.{name}={value}" for name, value in facts.items()]
        options = [f"-tags={','.join(self.tags)}"] if self.tags else []
        options += self._completed(go, folder.parent)
        begun = time.monotonic()
        for name, package in self.packages.items():
            print(f"building {name}", flush=True)
            command = ["nice", go, *_BUILD, " ".join(flags), *options, "-o", str(folder / name), package]
            if self._in_sight(command):
                raise BuildError(f"{package} could not be built: see above. It wants a new Go, and its modules.")
        print(f"built in {time.monotonic() - begun:.0f} seconds", flush=True)

    def _completed(self, go: str, folder: Path) -> list[str]:
        """How Go takes copies of the modules that lack something, with empty files in its place."""
        if not self.lacking:
            return []
        told = folder / "go.mod"
        for name in ("go.mod", "go.sum"):
            shutil.copy(self.module / name, folder / name)
        for module, files in self.lacking.items():
            released = json.loads(self._output(go, "mod", "download", "-json", module))["Dir"]
            copy = folder / Path(module).name
            shutil.copytree(released, copy, copy_function=shutil.copyfile)
            for at in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
                at.chmod(0o755)
            for file in files:
                (copy / file).parent.mkdir(parents=True, exist_ok=True)
                (copy / file).touch()
            self._output(go, "mod", "edit", f"-replace={module}={copy}", str(told))
        return [f"-modfile={told}"]

    def _in_sight(self, command: list[str]) -> int:
        """Run a command that says nothing for minutes, and say that it goes on."""
        begun = time.monotonic()
        with subprocess.Popen(command, cwd=self.module, env={**os.environ, "CGO_ENABLED": "0"}) as process:
            while True:
                try:
                    return process.wait(_SILENCE)
                except subprocess.TimeoutExpired:
                    print(f"  for {time.monotonic() - begun:.0f} seconds so far", flush=True)

    def _output(self, go: str, *arguments: str) -> str:
        done = subprocess.run([go, *arguments], cwd=self.module, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"`go {' '.join(arguments)}` failed: {done.stdout}{done.stderr.strip()}")
        return done.stdout


KUBERNETES = "k8s.io/kubernetes"
CONTROL_PLANE = GoPrograms(
    name="control-plane",
    module=TESTS / "cluster/control_plane",
    packages={
        "etcd": "go.etcd.io/etcd/server/v3",
        "kube-apiserver": f"{KUBERNETES}/cmd/kube-apiserver",
        "kube-controller-manager": f"{KUBERNETES}/cmd/kube-controller-manager",
        "kube-scheduler": f"{KUBERNETES}/cmd/kube-scheduler",
        "kubectl": f"{KUBERNETES}/cmd/kubectl",
    },
    versioned=KUBERNETES,
)
WATCHING = GoPrograms(
    name="watching",
    module=TESTS / "watching_programs",
    packages={
        "prometheus": "github.com/prometheus/prometheus/cmd/prometheus",
        "alertmanager": "github.com/prometheus/alertmanager/cmd/alertmanager",
        "amtool": "github.com/prometheus/alertmanager/cmd/amtool",
        "blackbox_exporter": "github.com/prometheus/blackbox_exporter",
        "kube-state-metrics": "k8s.io/kube-state-metrics/v2",
        "redis_exporter": "github.com/oliver006/redis_exporter",
    },
    # Of all the clouds that Prometheus can ask for targets, ours asks Kubernetes alone.
    tags=("remove_all_sd", "enable_kubernetes_sd"),
    # Its web pages are made by Node, and are not in the module.
    lacking={"github.com/prometheus/alertmanager": ("ui/app/dist/index.html",)},
)


def main() -> None:
    """Build what is not there, in people's sight: ``go_programs.py GO NAME``."""
    go, name = sys.argv[1:]
    (programs,) = (one for one in (CONTROL_PLANE, WATCHING) if one.name == name)
    try:
        folder = programs.folder(go)
    except BuildError as error:
        sys.exit(str(error))
    programs.link.parent.mkdir(exist_ok=True)
    programs.link.unlink(missing_ok=True)
    programs.link.symlink_to(folder)
    print(f"{name}: {folder}")


if __name__ == "__main__":
    main()
