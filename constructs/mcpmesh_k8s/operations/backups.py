"""This module is backups as an operator sees them: what there is, and one of them as an export on this machine.

A backup holds what an export holds of one store. So once it is fetched, it is brought in as any export is.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import IO, cast

from mcpmesh_k8s.kubernetes import Content, OperationError, Store, at, each, name_of
from mcpmesh_k8s.services import BACKUP_SCRIPTS, StoreBackup

from .environment import Environment
from .moves import ClusterSide, Manifest, Stores
from .moves.export import FORMAT, new_folder
from .programs import Kubectl, UsageError, output
from .terminal import progress, show

NEWEST = "newest"
"""What is given for the name of the last backup."""

TAKEN = ".taken"
"""The file of an encrypted backup with its version and facts."""

READING = 6 * 3600
"""Seconds after which a pod that reads ends by itself."""

READER = {"mcpmesh-k8s/reads": "backups"}
"""The label of a pod that reads."""


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A backup that there is.

    Args:
        store: What it is of.
        name: Its moment, in UTC.
        size: Bytes of all its files.
        files: How many.
        seconds: How long it took.
        sums: The checksum of the list of its files.
        version: The version of the program that it was made of.
        facts: What the store's mover needs to know of it.
        sealed: Whether it is encrypted. Version and facts are in one of its files then.
    """

    store: str
    name: str
    size: int
    files: int
    seconds: int
    sums: str
    version: str
    facts: dict[str, object]
    sealed: bool = False

    @property
    def made(self) -> str:
        """When it was made, as people read it."""
        return datetime.strptime(self.name, "%Y%m%dT%H%M%SZ").strftime("%Y-%m-%d %H:%M:%S UTC")

    @staticmethod
    def of(line: str) -> Backup:
        """What a manifest says.

        Raises:
            OperationError: It is damaged.
        """
        try:
            given = json.loads(line)
            sealed = "plain" in given
            version, facts = ("", {}) if sealed else (given["taken"]["version"], given["taken"]["facts"])
            return Backup(
                store=str(given["store"]),
                name=str(given["name"]),
                size=int(given["bytes"]),
                files=int(given["files"]),
                seconds=int(given["seconds"]),
                # What is compared is what comes: of an encrypted one, what was encrypted.
                sums=str(given["plain" if sealed else "sums"]),
                version=str(version),
                facts=dict(facts),
                sealed=sealed,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OperationError(f"A manifest of a backup is damaged ({error!r}): {line[:80]}") from None


def backups_of(environment: Environment) -> dict[str, StoreBackup]:
    """What backs up a store, by the store's name."""
    found = environment.application.find_all(StoreBackup)
    return {backup.store.name: backup for backup in found if isinstance(backup.store, Store)}


def chosen(environment: Environment, store: str) -> StoreBackup:
    """What backs up the store of this name.

    Raises:
        UsageError: There is no such store, or nothing backs it up.
    """
    known = backups_of(environment)
    if store not in known:
        has = f"only: {', '.join(known)}" if known else "and no store of this environment has any"
        raise UsageError(f"There are no backups of {store!r}, {has}.")
    return known[store]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A pod that reads the backups of a store. It has the identity and the volumes of the one that makes them.

    Args:
        kubectl: How the cluster is reached.
        backup: What makes them.
        pod: The pod, as kubectl names it.
        container: The container in it.
    """

    kubectl: Kubectl
    backup: StoreBackup
    pod: str
    container: str

    def _command(self, script: str, *words: str) -> list[str]:
        run = ("/bin/sh", f"{BACKUP_SCRIPTS}/{script}.sh", *words)
        return self.kubectl.command("exec", "-i", self.pod, "--container", self.container, "--", *run)

    def backups(self) -> list[Backup]:
        """What there is, the oldest first."""
        listed = output(self._command("list"), timeout=600)
        return sorted((Backup.of(line) for line in listed.splitlines() if line), key=lambda found: found.name)

    def find(self, name: str) -> Backup:
        """The backup of this name, or the newest.

        Raises:
            OperationError: There is none.
        """
        there = self.backups()
        for backup in reversed(there):
            if name in (NEWEST, backup.name):
                return backup
        names = ", ".join(backup.name for backup in there[-5:]) or "there is none at all"
        raise OperationError(f"There is no backup {name} of {self.backup.store.name}, only: {names}.")

    def fetch(self, backup: Backup, folder: Path) -> dict[str, Content]:
        """Write its files below a folder, and return what is in each.

        Raises:
            OperationError: A file is not what was written, or something is missing.
        """
        with tempfile.TemporaryFile() as said:
            with subprocess.Popen(
                self._command("read", backup.name), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
            ) as process:
                assert process.stdout is not None
                try:
                    files = dict(_received(process.stdout, backup, folder))
                    rest = process.stdout.read(1)
                except BaseException:
                    process.kill()
                    raise
            if process.returncode or rest:
                said.seek(0)
                word = said.read().decode(errors="replace").strip().splitlines() or ["no word"]
                raise OperationError(f"The backup {backup.name} could not be read: {word[-1]}")
        return files


def _entry(line: bytes, backup: Backup) -> tuple[str, int, str]:
    """Checksum, size and path of a file, of a line of the list."""
    try:
        checksum, size, path = line.decode().rstrip("\n").split(" ", 2)
        return checksum, int(size), path
    except ValueError:
        raise OperationError(f"The backup {backup.name} has no list of files: {line[:60]!r}") from None


def _received(stream: IO[bytes], backup: Backup, folder: Path) -> Iterator[tuple[str, Content]]:
    """Each file that comes, once it was found to be what the manifest says."""
    lines = list[bytes]()
    while (line := stream.readline()) not in (b"\n", b""):
        lines.append(line)
    if hashlib.sha256(b"".join(lines)).hexdigest() != backup.sums:
        raise OperationError(f"The backup {backup.name} is damaged: the list of its files is not that of its manifest.")
    for line in lines:
        checksum, size, path = _entry(line, backup)
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise OperationError(f"The backup {backup.name} has a file {path!r}, which would be written elsewhere.")
        content = Content(size=size, sha256=checksum)
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            left = content.size
            while left and (chunk := stream.read(min(left, 2**20))):
                file.write(chunk)
                left -= len(chunk)
        if Content.of(place) != content:
            raise OperationError(f"The backup {backup.name} is damaged: {path} is not what was written.")
        yield path, content


@contextmanager
def reading(environment: Environment, kubectl: Kubectl, backup: StoreBackup) -> Generator[Reader]:
    """A pod that reads the backups of a store, while the block runs.

    Raises:
        OperationError: It does not start.
    """
    rendered = next(
        manifest
        for group in environment.application.manifests().values()
        for manifest in group
        if (manifest["kind"], name_of(manifest)) == (backup.kind, backup.full_name)
    )
    template = at(rendered, "spec", "jobTemplate", "spec", "template")
    container = dict(next(iter(each(template, "spec", "containers"))))
    wait = {"command": ["/bin/sh", "-c", f"trap 'exit 0' TERM; sleep {READING} & wait $!"]}
    spec = {key: value for key, value in at(template, "spec").items() if key != "initContainers"}
    if identity := backup.opened_by:
        # The one that backs up cannot read what it wrote: this one is given what opens it, and the program.
        spec["initContainers"] = [one for one in each(template, "spec", "initContainers") if one["name"] == "age"]
        secret = {"secretName": identity.secret, "defaultMode": 0o440}
        spec["volumes"] = [*each(template, "spec", "volumes"), {"name": identity.name, "secret": secret}]
        mount = {"name": identity.name, "mountPath": identity.mount_path, "readOnly": True}
        container["volumeMounts"] = [*each(container, "volumeMounts"), mount]
        told = {"name": "AGE_IDENTITY", "value": f"{identity.mount_path}/{identity.keys[0]}"}
        container["env"] = [*each(container, "env"), told]
    # Each has its own: two people may look at once.
    name = f"{backup.full_name}-reader-{token_hex(4)}"
    labels = at(at(template, "metadata"), "labels")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {**labels, **READER}},
        "spec": {**spec, "activeDeadlineSeconds": READING, "containers": [{**container, **wait}]},
    }
    # Those whose command was killed have ended since by themselves.
    ended = [f"--selector={key}={value}" for key, value in READER.items()] + ["--field-selector=status.phase=Failed"]
    kubectl.output("delete", "pods", *ended, "--ignore-not-found", timeout=180)
    try:
        kubectl.output("apply", "--filename=-", stdin=json.dumps(pod))
        with progress(f"pod/{name} starts"):
            kubectl.output("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=300s", timeout=330)
        yield Reader(kubectl=kubectl, backup=backup, pod=f"pod/{name}", container=str(container["name"]))
    finally:
        kubectl.output("delete", "pod", name, "--ignore-not-found", "--wait", timeout=180)


def fetch(side: ClusterSide, reader: Reader, backup: Backup, folder: Path) -> None:
    """Make an export of a backup. One that was fetched before is taken as it is, once all of it was found right.

    Raises:
        OperationError: The folder holds something else, or the backup is damaged.
    """
    source = f"backup {backup.name} of {backup.store}, {side}"
    if folder.exists():
        if Manifest.read(folder).source != source:
            raise OperationError(f"{folder} exists, and is not the {source}. Name another folder with DATA=.")
        show(f"{folder} has it already")
        return
    store = cast("Store", reader.backup.store)
    with new_folder(folder) as staging, progress(f"fetch of {backup.size} bytes"):
        (staging / backup.store).mkdir(parents=True)
        files = reader.fetch(backup, staging / backup.store)
        if backup.sealed:
            backup = _opened(backup, staging / backup.store / TAKEN)
            del files[TAKEN]
        Manifest(
            format=FORMAT,
            source=source,
            made=backup.made,
            files={f"{backup.store}/{path}": content for path, content in files.items()},
            stores={backup.store: store.mover(side).part(backup.version, backup.facts)},
        ).write(staging)
    show(f"fetched to {folder}; it holds personal data, and only you can read it: delete it when all is well")


def _opened(backup: Backup, taken: Path) -> Backup:
    """An encrypted backup with what it says of itself.

    Raises:
        OperationError: That is damaged.
    """
    try:
        given = json.loads(taken.read_text(encoding="utf-8"))
        opened = replace(backup, version=str(given["version"]), facts=dict(given["facts"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise OperationError(f"The backup {backup.name} does not say what it is of ({error!r}).") from None
    taken.unlink()
    return opened


def only(stores: Stores, name: str) -> Stores:
    """One of the stores."""
    return Stores(
        stores=tuple(store for store in stores.stores if store.name == name), left_out=(), clients=stores.clients
    )


def rows_of(backups: Sequence[Backup]) -> list[tuple[str, ...]]:
    """What people see of backups, the newest first."""
    return [
        (one.store, one.name, one.made, f"{one.size}", f"{one.files}", f"{one.seconds} s")
        for one in sorted(backups, key=lambda found: (found.store, found.name), reverse=True)
    ]
