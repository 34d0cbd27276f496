"""This module is an export: a folder with all data of an application, and a manifest that says what must be in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .programs import OperationError

FORMAT = 1
"""The version of the folder's layout."""

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file must hold.

    Args:
        size: Bytes.
        sha256: The checksum, in hex.
    """

    size: int
    sha256: str

    @staticmethod
    def of(path: Path) -> Content:
        """What a file holds."""
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
            return Content(size=file.tell(), sha256=digest.hexdigest())


@dataclass(frozen=True, kw_only=True, order=True)
class Count:
    """How much of something there is, and a checksum of it.

    Args:
        what: A table, a sequence, the keys of a Redis, the objects of a bucket.
        count: Its rows, keys or objects; a sequence's last value.
        checksum: The same for the same content, whatever its order; empty where there is none.
    """

    what: str
    count: int
    checksum: str = ""


@dataclass(frozen=True, kw_only=True)
class DatabaseExport:
    """What a dump of a database holds.

    Args:
        size: Bytes of the database on disk.
        counts: Its tables, sequences and large objects, in the snapshot of the dump.
        owners: Who owns something in which schema: (schema, role). Large objects have the schema ``""``.
    """

    size: int
    counts: tuple[Count, ...]
    owners: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class RedisExport:
    """What a dump of Redis holds.

    Args:
        keys: All keys, of all databases.
        expiring: Those of them that expire.
        memory: Bytes that they took in the memory of the source.
    """

    keys: int
    expiring: int
    memory: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an export must hold.

    Args:
        format: The version of the layout.
        source: Where it comes from.
        made: When, in UTC.
        versions: The version of each program that wrote a part.
        files: All files but the manifest, by their path in the folder.
        databases: Each database, by its name.
        redis: Redis.
        bucket: The bucket's name.
        objects: What was stored with each object beside its content, such as ``Content-Type``, by its name.
    """

    format: int
    source: str
    made: str
    versions: Mapping[str, str]
    files: Mapping[str, Content]
    databases: Mapping[str, DatabaseExport]
    redis: RedisExport
    bucket: str
    objects: Mapping[str, Mapping[str, str]]

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
        if not isinstance(given, dict) or given.get("format") != FORMAT:
            raise OperationError(
                f"{folder / MANIFEST} has another format than {FORMAT}. Export again with this version."
            )
        try:
            manifest = Manifest(
                format=FORMAT,
                source=given["source"],
                made=given["made"],
                versions=given["versions"],
                files={name: Content(**content) for name, content in given["files"].items()},
                databases={
                    name: DatabaseExport(
                        size=database["size"],
                        counts=tuple(Count(**count) for count in database["counts"]),
                        owners=tuple((schema, role) for schema, role in database["owners"]),
                    )
                    for name, database in given["databases"].items()
                },
                redis=RedisExport(**given["redis"]),
                bucket=given["bucket"],
                objects=given["objects"],
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
