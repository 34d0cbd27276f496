"""This module is roots of their own for programs of the tests: what a container's image and volumes would be.

It is started in place of the program, as root, and needs nothing but Python. It makes a root out of folders of this
machine, none of which can be written to but those that are given a size, becomes somebody else, and starts the program.
"""

import ctypes
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 32, 4096, 16384, 1 << 18
_PR_SET_NO_NEW_PRIVS = 38
_FAILED = 125

SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc")
"""What an image begins with: the machine's own programs and libraries."""


@dataclass(frozen=True, kw_only=True)
class OwnRoot:
    """What a program sees.

    Args:
        folders: Folders of the image, and where each lies on this machine. They can be read.
        links: Names of the image that stand for others.
        writable: Folders that can be written to, each with its size in bytes.
        executable: Whether programs and libraries can be loaded from those.
        uid: Whom it runs as, and in which group.
    """

    folders: Mapping[str, str] = field(default_factory=dict[str, str])
    links: Mapping[str, str] = field(default_factory=dict[str, str])
    writable: Mapping[str, int] = field(default_factory=dict[str, int])
    executable: bool = True
    uid: int = 999

    def before(self, root: Path, working_directory: str) -> tuple[str, ...]:
        """What to put before a command: it starts in a folder of the image.

        Args:
            root: An empty folder.
            working_directory: Where the program starts.
        """
        root.mkdir(parents=True, exist_ok=True)
        return (sys.executable, __file__, json.dumps([asdict(self), str(root), working_directory]))


class _Libc:
    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def check(self, name: str, *arguments: object) -> None:
        if getattr(self._libc, name)(*arguments) != 0:
            raise OSError(ctypes.get_errno(), f"{name} {arguments}: {os.strerror(ctypes.get_errno())}")

    def mount(self, source: str, target: str, kind: str, flags: int, options: str = "") -> None:
        self.check("mount", source.encode(), target.encode(), kind.encode(), flags, options.encode())

    def bind(self, source: str, target: Path) -> None:
        """Show a folder or a file of this machine, which cannot be written to."""
        if Path(source).is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        self.mount(source, str(target), "", _MS_BIND)
        self.mount("", str(target), "", _MS_BIND | _MS_REMOUNT | _MS_RDONLY)


def enter(own: OwnRoot, root: Path, working_directory: str) -> None:
    """Make the root, go there, and become somebody else."""
    libc = _Libc()
    libc.check("unshare", _CLONE_NEWNS)
    libc.mount("none", "/", "", _MS_REC | _MS_PRIVATE)
    libc.mount("tmpfs", str(root), "tmpfs", 0, "mode=755")
    for path in SYSTEM:
        if Path(path).is_symlink():
            (root / path[1:]).symlink_to(Path(path).readlink())
        elif Path(path).is_dir():
            libc.bind(path, root / path[1:])
    # What was installed on this machine by hand is not of the image.
    local = root / "usr/local"
    libc.mount("tmpfs", str(local), "tmpfs", 0, "mode=755")
    for path, source in own.folders.items():
        libc.bind(source, root / path[1:])
    for path, target in own.links.items():
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / path[1:]).symlink_to(target)
    for path in ("null", "zero", "random", "urandom"):
        libc.bind(f"/dev/{path}", root / "dev" / path)
    (root / "proc").mkdir()
    libc.mount("/proc", str(root / "proc"), "", _MS_BIND | _MS_REC)
    (root / "tmp").mkdir()
    flags = _MS_NOSUID | _MS_NODEV | (0 if own.executable else _MS_NOEXEC)
    for path, size in own.writable.items():
        (root / path[1:]).mkdir(parents=True, exist_ok=True)
        libc.mount("tmpfs", str(root / path[1:]), "tmpfs", flags, f"size={size},mode=1777")
    libc.mount("", str(local), "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
    libc.mount("", str(root), "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
    os.chroot(root)
    os.chdir(working_directory)
    os.setgroups([])
    os.setresgid(own.uid, own.uid, own.uid)
    os.setresuid(own.uid, own.uid, own.uid)
    libc.check("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def main(description: str, command: list[str]) -> None:
    """Become the program."""
    own, root, working_directory = json.loads(description)
    try:
        enter(OwnRoot(**own), Path(root), working_directory)
        os.execvp(command[0], command)
    except OSError as error:
        print(f"own_root: {error}", file=sys.stderr)
        sys.exit(_FAILED)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
