"""This module is how a bucket moves: mirrored by mc on this machine, each object compared."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .export import Content, Count, Manifest, files_of, private
from .programs import OperationError, output
from .stores import Side, Stores, run

_KEYS = """\
set -eu
printf '%s\\n%s\\n' "${MINIO_ROOT_USER:?is not set}" "${MINIO_ROOT_PASSWORD:?is not set}"
"""
_ALIAS = "store"
_HOURS = 12 * 3600.0


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

    def __init__(self, authority: str, keys: tuple[str, str], settings: Path, bucket: str) -> None:
        user, password = keys
        if set("".join(keys)) & set(":@/"):
            raise OperationError(
                "A root key of MinIO holds ':', '@' or '/', which mc cannot be given. Change it first."
            )
        self._variables = {
            f"MC_HOST_{_ALIAS}": f"http://{user}:{password}@{authority}",
            "MC_CONFIG_DIR": str(settings),
        }
        self.bucket = bucket
        self.place = f"{_ALIAS}/{bucket}"

    def __call__(self, *arguments: str) -> str:
        return output(["mc", "--quiet", *arguments], variables=self._variables, timeout=_HOURS)

    def objects(self) -> dict[str, StoredObject]:
        """All objects by name; none when there is no bucket."""
        buckets = [json.loads(line)["key"].rstrip("/") for line in self("ls", "--json", _ALIAS).splitlines()]
        # Asked for what is stored with nothing, it fails.
        if self.bucket not in buckets or not self("ls", "--json", "--recursive", self.place).strip():
            return {}
        found = dict[str, StoredObject]()
        for line in self("stat", "--json", "--recursive", self.place).splitlines():
            said = json.loads(line)
            if said.get("type") != "file":
                continue
            name = str(said["name"]).removeprefix(f"{_ALIAS}/").removeprefix(f"{self.bucket}/")
            found[name] = StoredObject(
                size=said["size"], etag=said.get("etag", ""), attributes=_attributes(said.get("metadata") or {})
            )
        return found

    def mirror(self, folder: Path) -> None:
        """Copy the bucket into a folder."""
        folder.mkdir(parents=True)
        with private():
            self("mirror", self.place, str(folder))


def _attributes(metadata: Mapping[str, str]) -> dict[str, str]:
    kept = ("content-type", "content-disposition", "content-language", "cache-control", "content-encoding")
    return {
        name: value
        for name, value in sorted(metadata.items())
        if name.lower() in kept or (name.lower().startswith("x-amz-meta-") and not name.lower().endswith("-mc-attrs"))
    }


@contextmanager
def _client(side: Side, stores: Stores) -> Generator[_Client, None, None]:
    # Those of the running server: what a Secret holds now may not be what the server was started with.
    user, password = run(side, stores.minio, "reading its keys", _KEYS).splitlines()
    with tempfile.TemporaryDirectory(prefix="mc-") as settings, side.address(stores.minio) as authority:
        yield _Client(authority, (user, password), Path(settings), stores.bucket)


def place_of(bucket: str) -> str:
    """The folder of a bucket in an export."""
    return f"minio/{bucket}"


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


def export_bucket(
    side: Side, stores: Stores, folder: Path, show: Callable[[str], None]
) -> tuple[dict[str, Mapping[str, str]], str]:
    """Write all objects below a folder.

    Returns:
        The attributes of each object by its name, and the version of mc.

    Raises:
        OperationError: An object is missing in the copy or differs, or has a name that no file can have.
    """
    place = folder / place_of(stores.bucket)
    with _client(side, stores) as mc:
        stored = mc.objects()
        if stored:
            mc.mirror(place)
        else:
            place.mkdir(parents=True)
    there = set(files_of(place))
    wrong = [name for name in sorted(stored) if name not in there or _differs(place / name, stored[name])]
    wrong += sorted(there - stored.keys())
    if wrong:
        raise OperationError(
            f"Bucket {stores.bucket}: {', '.join(wrong[:5])}: not the same in the copy. If nothing was written"
            " meanwhile, these names cannot be those of files."
        )
    show(f"bucket {stores.bucket}: copied; {len(stored)} objects")
    return {name: dict(found.attributes) for name, found in stored.items()}, output(["mc", "--version"]).split("\n")[0]


def check_bucket(target: Side, stores: Stores, folder: Path, manifest: Manifest, show: Callable[[str], None]) -> None:
    """Refuse an import that would have to overwrite an object. Nothing is changed.

    Raises:
        OperationError: The target holds other objects under the same names, or the export is of another bucket.
    """
    if manifest.bucket != stores.bucket:
        raise OperationError(f"The export is of bucket {manifest.bucket}, and this application's is {stores.bucket}.")
    with _client(target, stores) as mc:
        stored = mc.objects()
    place = folder / place_of(stores.bucket)
    other = [name for name in sorted(stored.keys() & manifest.objects) if _differs(place / name, stored[name])]
    if other:
        raise OperationError(
            f"Bucket {stores.bucket} of {target} has other objects of the same name: {', '.join(other[:5])}"
            f"{' and more' if other[5:] else ''}. Nothing is overwritten: rename or remove them there, then repeat."
        )
    own = stored.keys() - manifest.objects.keys()
    if own:
        show(f"bucket {stores.bucket}: {len(own)} objects that are only in {target} stay")


def import_bucket(target: Side, stores: Stores, folder: Path, manifest: Manifest, show: Callable[[str], None]) -> Count:
    """Copy all objects that the target lacks, and read all of them back.

    Returns:
        What was found of the exported objects.

    Raises:
        OperationError: An object is not what was exported.
    """
    place = folder / place_of(stores.bucket)
    with _client(target, stores) as mc:
        mc("mb", "--ignore-existing", mc.place)
        mc("mirror", str(place), mc.place)
        stored = mc.objects()
        for name, attributes in manifest.objects.items():
            if attributes and name in stored and stored[name].attributes != attributes:
                said = ";".join(f"{key}={value}" for key, value in attributes.items())
                mc("cp", "--attr", said, str(place / name), f"{mc.place}/{name}")
    show(f"bucket {stores.bucket}: copied")
    return count_bucket(target, stores, folder.parent, manifest, show)


def exported_objects(manifest: Manifest) -> Count:
    """How many objects were exported, and a checksum of their names and contents."""
    return _count(_exported(manifest))


def _exported(manifest: Manifest) -> dict[str, Content]:
    prefix = f"{place_of(manifest.bucket)}/"
    return {name.removeprefix(prefix): content for name, content in manifest.files.items() if name.startswith(prefix)}


def _count(contents: Mapping[str, Content]) -> Count:
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(json.dumps([name, contents[name].sha256]).encode())
    return Count(what="objects", count=len(contents), checksum=digest.hexdigest())


def count_bucket(side: Side, stores: Stores, beside: Path, manifest: Manifest, show: Callable[[str], None]) -> Count:
    """How many of the exported objects a bucket holds, each of them read, and a checksum.

    Args:
        side: Where the bucket is.
        stores: Its name.
        beside: A folder with room for all objects, for as long as this takes.
        manifest: Which objects are meant; others of the bucket are left out.
        show: Gets a line for each object that is missing or not the same.
    """
    exported, found = _exported(manifest), dict[str, Content]()
    with tempfile.TemporaryDirectory(prefix=".read-back-", dir=beside) as name, _client(side, stores) as mc:
        copy = Path(name) / "objects"
        if mc.objects():
            mc.mirror(copy)
            found = {path: Content.of(copy / path) for path in files_of(copy) if path in exported}
    for path in sorted(exported):
        if found.get(path) != exported[path]:
            show(f"object {path}: {'not what was exported' if path in found else 'missing'}")
    return _count(found)
