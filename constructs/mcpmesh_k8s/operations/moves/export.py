"""This module is an export: a folder with the data of an application, and a manifest that says what must be in it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mcpmesh_k8s.kubernetes import Content, OperationError, Part, Place

FORMAT = 2
"""The version of the folder's layout: a folder for each store, and a manifest."""

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an export must hold.

    Args:
        format: The version of the layout.
        source: Where it comes from.
        made: When, in UTC.
        files: All files but the manifest, by their path in the folder.
        stores: What it holds of each store, by the store's name, which is the name of its folder too.
        left_out: What keeps data in the source and cannot be exported.
    """

    format: int
    source: str
    made: str
    files: Mapping[str, Content]
    stores: Mapping[str, Part]
    left_out: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Write it into the folder that it describes."""
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @staticmethod
    def read(folder: Path) -> Manifest:
        """The manifest of a folder, once every file was found to be what it says.

        Raises:
            OperationError: The folder is no complete export, or a file was changed.
        """
        try:
            given = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise OperationError(f"{folder} is no export: it has no {MANIFEST}.") from None
        except ValueError as error:
            raise OperationError(f"{folder / MANIFEST} is damaged ({error}). Export again.") from None
        found = given.get("format") if isinstance(given, dict) else None
        if found != FORMAT:
            raise OperationError(
                f"{folder / MANIFEST} has format {found!r}, and this version reads {FORMAT}. Export again with this"
                " version, or import it with the version that wrote it."
            )
        try:
            manifest = Manifest(
                format=FORMAT,
                source=given["source"],
                made=given["made"],
                files={name: Content(**content) for name, content in given["files"].items()},
                stores={
                    name: Part(kind=part["kind"], version=part["version"], facts=dict(part["facts"]))
                    for name, part in given["stores"].items()
                },
                left_out=tuple(given["left_out"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise OperationError(f"{folder / MANIFEST} is damaged ({error!r}). Export again.") from None
        manifest.check_files(folder)
        return manifest

    def check_files(self, folder: Path) -> None:
        """Refuse a folder in which a file is missing, added or other than it was.

        Raises:
            OperationError: So it is; the first such files are named.
        """
        there = set(files_of(folder)) - {MANIFEST}
        wrong = [f"{name} is missing" for name in sorted(self.files.keys() - there)]
        wrong += [f"{name} was added" for name in sorted(there - self.files.keys())]
        wrong += [
            f"{name} is not what was exported"
            for name in sorted(there & self.files.keys())
            if Content.of(folder / name) != self.files[name]
        ]
        if wrong:
            raise OperationError(f"{folder}: {'; '.join(wrong[:5])}{' and more' if wrong[5:] else ''}. Export again.")

    def place(self, folder: Path, store: str) -> Place:
        """Where the part of a store lies in the folder that this describes."""
        prefix = f"{store}/"
        files = {name.removeprefix(prefix): self.files[name] for name in self.files if name.startswith(prefix)}
        return place_of(folder, store, files)


def place_of(folder: Path, store: str, files: Mapping[str, Content]) -> Place:
    """Where the part of a store lies in an export."""
    return Place(
        folder=folder / store, files=files, beside=folder.parent, before=folder.with_name(f"{folder.name}.before")
    )


def files_of(folder: Path) -> list[str]:
    """The paths of all files in a folder, without what is no file."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@contextmanager
def private() -> Generator[None, None, None]:
    """Whatever is written here, by programs that are called too, is for its owner alone: it is personal data."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def new_folder(folder: Path) -> Generator[Path, None, None]:
    """A folder beside, for its owner alone, which takes this name when the block ends well, and else is removed.

    Raises:
        OperationError: Another command writes it at the same time, or has made it meanwhile.
    """
    staging = folder.with_name(f".{folder.name}.new")
    with private():
        staging.mkdir(parents=True, exist_ok=True)
        staging.chmod(0o700)
        descriptor = os.open(staging, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OperationError(f"Another command writes {folder} at this moment. Name another folder.") from None
            except OSError:
                pass  # a file system without locks
            try:
                # What one left that was killed.
                for path in staging.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                yield staging
                if folder.exists():
                    raise OperationError(f"{folder} was made meanwhile. Name another folder.")
                staging.rename(folder)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        finally:
            os.close(descriptor)
