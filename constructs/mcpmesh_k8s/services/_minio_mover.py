"""This module is how buckets move: mirrored by mc on this machine, each object compared."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar, cast

from mcpmesh_k8s.kubernetes import (
    Content,
    Count,
    Mover,
    OperationError,
    Owner,
    Part,
    Place,
    Row,
    Server,
    Side,
    dataclass,
    read_script,
)

_FILES = Path(__file__).with_name("minio_files")
_ALIAS = "store"
_CA = "ca.crt"

MC = {"mc": "Install mc, the client of MinIO: it copies the objects of buckets, and makes users."}
"""What must be on this machine."""


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object of a bucket.

    Args:
        size: Bytes.
        etag: What the server calls its content: its MD5, unless it was uploaded in parts.
        attributes: What is stored with it beside its content, such as ``Content-Type``.
    """

    size: int
    etag: str
    attributes: Mapping[str, str]


class _Client:
    """mc with the keys of a server in its environment, and settings of its own that do not stay."""

    def __init__(self, side: Side, url: str, keys: tuple[str, str], settings: Path) -> None:
        user, password = keys
        if set("".join(keys)) & set(":@/"):
            raise OperationError(
                "A root key of MinIO holds ':', '@' or '/', which mc cannot be given. Change it first."
            )
        self._side = side
        self._variables = {
            f"MC_HOST_{_ALIAS}": url.replace("://", f"://{user}:{password}@"),
            "MC_CONFIG_DIR": str(settings),
        }
        if url.startswith("https:"):
            self._variables["SSL_CERT_FILE"] = str(settings / _CA)

    def __call__(self, *arguments: str) -> str:
        return self.run("mc", "--quiet", *arguments)

    def run(self, *command: str, **variables: str) -> str:
        """Run a program that calls mc, or mc itself, with these variables more: the way for a secret."""
        return self._side.local(command, variables={**self._variables, **variables})

    def place(self, bucket: str) -> str:
        """How mc names a bucket."""
        return f"{_ALIAS}/{bucket}"

    def buckets(self) -> list[str]:
        """All buckets of the server."""
        return [json.loads(line)["key"].rstrip("/") for line in self("ls", "--json", _ALIAS).splitlines()]

    def objects(self, bucket: str) -> dict[str, StoredObject]:
        """All objects by name; none when there is no bucket."""
        # Asked for what is stored with nothing, it fails.
        if bucket not in self.buckets() or not self("ls", "--json", "--recursive", self.place(bucket)).strip():
            return {}
        found = dict[str, StoredObject]()
        for line in self("stat", "--json", "--recursive", self.place(bucket)).splitlines():
            said = json.loads(line)
            if said.get("type") != "file":
                continue
            name = str(said["name"]).removeprefix(f"{_ALIAS}/").removeprefix(f"{bucket}/")
            found[name] = StoredObject(
                size=said["size"], etag=said.get("etag", ""), attributes=_attributes(said.get("metadata") or {})
            )
        return found

    def mirror(self, bucket: str, folder: Path) -> None:
        """Copy a bucket into a folder."""
        folder.mkdir(parents=True)
        self("mirror", self.place(bucket), str(folder))


@contextmanager
def minio_client(side: Side, server: Server, authority: str) -> Generator[_Client]:
    """The client of this machine as the root of a server, while the block runs.

    Args:
        side: Where the server runs.
        server: The server.
        authority: The file of its CA; empty where it speaks plain HTTP.
    """
    user, password = side.run(server, "reading its keys", read_script(_FILES / "keys.sh")).splitlines()
    with tempfile.TemporaryDirectory(prefix="mc-") as settings, side.address(server) as address:
        url = f"http://{address}"
        if authority and side.rendered:
            known = side.run(server, "reading its CA", 'cat "$1"', authority)
            (Path(settings) / _CA).write_text(known, encoding="utf-8")
            # A name of its certificate: its address here is that of no server.
            url = f"https://localhost:{address.rpartition(':')[2]}"
        yield _Client(side, url, (user, password), Path(settings))


def _attributes(metadata: Mapping[str, str]) -> dict[str, str]:
    kept = ("content-type", "content-disposition", "content-language", "cache-control", "content-encoding")
    return {
        name: value
        for name, value in sorted(metadata.items())
        if name.lower() in kept or (name.lower().startswith("x-amz-meta-") and not name.lower().endswith("-mc-attrs"))
    }


def _differs(path: Path, stored: StoredObject) -> bool:
    """Whether a file is other than an object, as far as the server's word goes."""
    if path.stat().st_size != stored.size:
        return True
    if len(stored.etag) != 32:
        return False
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest() != stored.etag


def _files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@dataclass(kw_only=True)
class MinioMover(Mover):
    """How the buckets of one MinIO move.

    Args:
        side: Where it runs.
        server: Its server.
        buckets: The buckets that the application made.
        authority: Where the rendered server has the CA of its certificate; empty where it speaks no TLS.
    """

    kind: ClassVar[str] = "minio"
    programs: ClassVar[Mapping[str, str]] = MC

    side: Side
    server: Server
    buckets: tuple[str, ...]
    authority: str = ""

    def _client(self) -> AbstractContextManager[_Client]:
        return minio_client(self.side, self.server, self.authority)

    def part(self, version: str, facts: Mapping[str, object]) -> Part:
        """A backup has what mc says of each object."""
        objects = Part(kind=self.kind, version=version, facts=facts).read(
            lambda given: {
                bucket: {
                    str(said["name"]).removeprefix(f"{_ALIAS}/").removeprefix(f"{bucket}/"): _attributes(
                        said.get("metadata") or {}
                    )
                    for said in lines
                    if said.get("type") == "file"
                }
                for bucket, lines in cast("Mapping[str, Sequence[Mapping[str, Any]]]", given["buckets"]).items()
            }
        )
        return Part(kind=self.kind, version=version, facts=dict(objects))

    def present(self) -> str:
        """How many objects its buckets have."""
        with self._client() as mc:
            counts = {bucket: len(mc.objects(bucket)) for bucket in self.buckets}
        return ", ".join(f"{count} objects in bucket {bucket}" for bucket, count in counts.items() if count)

    def export(self, place: Place) -> Part:
        """Mirror each bucket into a folder of its name."""
        facts = dict[str, object]()
        with self._client() as mc:
            for other in sorted(set(mc.buckets()) - set(self.buckets)):
                self.side.say(f"bucket {other}: not one of this application's, so it is left out")
            for bucket in self.buckets:
                facts[bucket] = self._export(mc, bucket, place.folder / bucket)
        version = self.side.local(["mc", "--version"]).split("\n")[0]
        return Part(kind=self.kind, version=version, facts=facts)

    def _export(self, mc: _Client, bucket: str, folder: Path) -> Mapping[str, Mapping[str, str]]:
        stored = mc.objects(bucket)
        if stored:
            mc.mirror(bucket, folder)
        else:
            folder.mkdir(parents=True)
        there = set(_files_of(folder))
        wrong = [name for name in sorted(stored) if name not in there or _differs(folder / name, stored[name])]
        wrong += sorted(there - stored.keys())
        if wrong:
            raise OperationError(
                f"Bucket {bucket}: {', '.join(wrong[:5])}: not the same in the copy. If nothing was written"
                " meanwhile, these names cannot be those of files."
            )
        self.side.say(f"bucket {bucket}: copied; {len(stored)} objects")
        return {name: dict(found.attributes) for name, found in stored.items()}

    def check(self, part: Part, place: Place, owners: Sequence[Owner]) -> None:
        """Refuse an import that would have to overwrite an object, or that has another bucket."""
        exported = _exported(part)
        unknown = sorted(exported.keys() - set(self.buckets))
        if unknown:
            raise OperationError(
                f"The export is of bucket {', '.join(unknown)}, and this application's is"
                f" {', '.join(self.buckets) or 'none'}."
            )
        with self._client() as mc:
            for bucket, objects in exported.items():
                stored = mc.objects(bucket)
                folder = place.folder / bucket
                other = [name for name in sorted(stored.keys() & objects) if _differs(folder / name, stored[name])]
                if other:
                    raise OperationError(
                        f"Bucket {bucket} of {self.side} has other objects of the same name: {', '.join(other[:5])}"
                        f"{' and more' if other[5:] else ''}. Nothing is overwritten: rename or remove them there,"
                        " then repeat."
                    )
                own = stored.keys() - objects.keys()
                if own:
                    self.side.say(f"bucket {bucket}: {len(own)} objects that are only in {self.side} stay")

    def stage(self, part: Part, place: Place) -> list[Row]:
        """Copy all objects that the target lacks, and read all of them back. Nothing is overwritten or removed."""
        with self._client() as mc:
            for bucket, objects in _exported(part).items():
                folder = place.folder / bucket
                mc("mb", "--ignore-existing", mc.place(bucket))
                mc("mirror", str(folder), mc.place(bucket))
                stored = mc.objects(bucket)
                for name, attributes in objects.items():
                    if attributes and name in stored and stored[name].attributes != attributes:
                        said = ";".join(f"{key}={value}" for key, value in attributes.items())
                        mc("cp", "--attr", said, str(folder / name), f"{mc.place(bucket)}/{name}")
                self.side.say(f"bucket {bucket}: copied")
        return self.count(part, place)

    def swap(self, part: Part) -> list[Row]:
        """Nothing is left to do: objects that came beside those that were there are in place."""
        return []

    def count(self, part: Part, place: Place) -> list[Row]:
        """Read each of the exported objects, and compare them; others of the bucket are left out."""
        rows = list[Row]()
        for bucket in _exported(part):
            prefix = f"{bucket}/"
            exported = {
                name.removeprefix(prefix): content for name, content in place.files.items() if name.startswith(prefix)
            }
            found = dict[str, Content]()
            with tempfile.TemporaryDirectory(prefix=".read-back-", dir=place.beside) as name, self._client() as mc:
                copy = Path(name) / "objects"
                if mc.objects(bucket):
                    mc.mirror(bucket, copy)
                    found = {path: Content.of(copy / path) for path in _files_of(copy) if path in exported}
            for path in sorted(exported):
                if found.get(path) != exported[path]:
                    self.side.say(f"object {path}: {'not what was exported' if path in found else 'missing'}")
            rows.append(Row.of(_count(exported), _count(found), prefix=f"bucket {bucket}, "))
        return rows

    def discard(self) -> None:
        """Nothing lies beside the objects."""


def _exported(part: Part) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Each bucket of an export, with what was stored with each object beside its content."""
    return part.read(
        lambda facts: {
            bucket: {
                name: {str(key): str(value) for key, value in attributes.items()}
                for name, attributes in cast("Mapping[str, Mapping[str, str]]", objects).items()
            }
            for bucket, objects in facts.items()
        }
    )


def _count(contents: Mapping[str, Content]) -> Count:
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(json.dumps([name, contents[name].sha256]).encode())
    return Count(what="objects", count=len(contents), checksum=digest.hexdigest())
