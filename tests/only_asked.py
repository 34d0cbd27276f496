"""This module is what keeps a test from programs that it did not ask for, on every machine, whatever that one has.

A test asks by a fixture, `needs_nginx`, or by `requires("nginx")`. Only what it asks for is on its PATH, beside what
every machine has. Whatever else the process of the tests would start fails the test. So none can fail on a machine
that lacks a program for want of asking: it is skipped there.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from programs import BASE, BINARIES, PLACES, PROGRAMS, ROOT, Found, find, look_up, matches

STARTS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn"})


class OnlyAsked:
    """What may be started while a test runs.

    Args:
        nothing: As on a machine that has none of the programs.
    """

    def __init__(self, *, nothing: bool = False) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="mcpmesh-programs-")
        self._folder = Path(self._place.name)
        self._folder.chmod(0o755)  # servers run as others
        self.found: Mapping[str, Found | None] = {
            program.name: None if nothing else find(program) for program in PROGRAMS
        }
        base = {name: Path(path) for name in BASE if (path := look_up(name, PLACES))}
        self._base = self._link("base", base)
        self._links = {name: self._link(name, found.commands) for name, found in self.found.items() if found}
        # Whose a path is: by the file, whatever it is called there, or by a folder that holds nothing else.
        # Of two programs that have a command of one name, either may be the one that was asked for.
        self._owners: dict[Path, set[str]] = {}
        for program in PROGRAMS:
            folders = [match for pattern in program.folders for match in matches(pattern)]
            paths = [folder for folder in folders if folder != BINARIES]
            for folder in (*folders, *map(Path, PLACES)):
                paths += [(folder / command).resolve() for command in program.commands]
            for owned in paths:
                self._owners.setdefault(owned, set()).add(program.name)
        chosen = [Path(node) for node in (os.environ.get("JSII_NODE"),) if node]
        self._everywhere = {path.resolve() for path in (Path(sys.executable), *base.values(), *chosen)}
        self._own = [ROOT, Path(tempfile.gettempdir()).resolve()]
        if sys.prefix != sys.base_prefix:
            self._own.append(Path(sys.prefix).resolve())
        self._asked: frozenset[str] | None = None
        self._begun = False

    def _link(self, name: str, commands: Mapping[str, Path]) -> Path:
        """A folder that holds these commands and no others."""
        folder = self._folder / name
        folder.mkdir()
        for command, path in commands.items():
            (folder / command).symlink_to(path)
        return folder

    def path(self, name: str) -> Path:
        """Where a program lies that was found: its first command, or its folder when it has none."""
        found = self.found[name]
        assert found is not None, f"{name} is not here"
        return found.path

    def begin(self, asked: Iterable[str]) -> None:
        """From here on these programs may be started, and are on PATH, after what fixtures have put there."""
        self._asked = frozenset(asked)
        before = os.environ["PATH"].split(os.pathsep) if self._begun else []
        others = [folder for folder in before if not Path(folder).is_relative_to(self._folder)]
        ours = [self._links[name] for name in sorted(self._asked) if name in self._links]
        os.environ["PATH"] = os.pathsep.join(map(str, (*others, *ours, self._base)))
        self._begun = True

    def end(self) -> None:
        """The test is over."""
        self._asked = None

    def close(self) -> None:
        """Remove the folders."""
        self._place.cleanup()

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        """See `sys.addaudithook`. Between tests everything may be started: pytest and its plug-ins do."""
        if event not in STARTS or self._asked is None:
            return
        if event == "subprocess.Popen":
            executable, _, folder, environment = arguments
        else:
            (executable, _, environment), folder = arguments, None
        path = started(executable, folder, environment)
        if path is None or path.parent == self._base:
            return
        resolved = path.resolve()
        owners = self._owners.get(resolved) or self._owners.get(path.parent, set())
        if owners & self._asked:
            return
        if owners:
            asking = " or ".join(f'@requires("{owner}")' for owner in sorted(owners))
            pytest.fail(f"{path} is started, which was not asked for: {asking}, or its fixture")
        if resolved in self._everywhere or any(p.is_relative_to(own) for p in (path, resolved) for own in self._own):
            return
        pytest.fail(f"{path} is started, which tests/programs.py does not list")


def started(executable: object, folder: object, environment: object) -> Path | None:
    """The file that the system would start; none when there is no such file."""
    assert isinstance(executable, (str, bytes, os.PathLike))
    assert folder is None or isinstance(folder, (str, bytes, os.PathLike))
    assert environment is None or isinstance(environment, Mapping)
    name = os.fsdecode(executable)
    if os.sep in name:
        return Path(os.path.normpath(Path(os.fsdecode(folder or Path.cwd())) / name))
    found = look_up(name, os.get_exec_path(environment))
    return Path(found) if found else None
