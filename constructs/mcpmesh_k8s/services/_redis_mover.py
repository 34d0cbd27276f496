"""This module is how Redis moves: a dump without a trace in the source, and into the target as a replica's master."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import ClassVar, cast

from mcpmesh_k8s.kubernetes import (
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

DUMP = "dump.rdb"

STAGED_PORT = 16379
"""Where a second server listens, on the loopback of the pod, while the first one copies from it."""

_FILES = Path(__file__).with_name("redis_files")
_OVERHEAD = 32 * 2**20  # of a second process and of the copy's buffers


@dataclass(frozen=True, kw_only=True)
class RedisDump:
    """What a dump of Redis holds.

    Args:
        keys: All keys, of all databases.
        expiring: Those of them that expire.
        memory: Bytes that they took in the memory of the source.
    """

    keys: int
    expiring: int
    memory: int

    @staticmethod
    def of(part: Part) -> RedisDump:
        """What an export says of it.

        Raises:
            OperationError: It is damaged.
        """
        return part.read(
            lambda facts: RedisDump(**{one.name: int(cast("int", facts[one.name])) for one in fields(RedisDump)})
        )

    @property
    def lasting(self) -> int:
        """The keys that never expire."""
        return self.keys - self.expiring


@dataclass(kw_only=True)
class RedisMover(Mover):
    """How the data of one Redis move.

    Args:
        side: Where it runs.
        server: Its server.
        memory: Bytes that its container may use in the cluster.
        disk: Bytes that its volume holds in the cluster.
    """

    kind: ClassVar[str] = "redis"

    side: Side
    server: Server
    memory: int
    disk: int

    def _run(self, doing: str, name: str, *arguments: str) -> str:
        return self.side.run(self.server, doing, read_script(_FILES / f"{name}.sh"), *arguments)

    def _state(self) -> dict[str, str]:
        lines = self._run("asking what is there", "state").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def _dump(self, path: Path) -> RedisDump:
        with path.open("xb") as dump:
            self.side.run(self.server, "dumping", read_script(_FILES / "export.sh"), stdout=dump)
        return self.read_dump(path, trim=True)

    def read_dump(self, path: Path, *, trim: bool = False) -> RedisDump:
        """What a dump holds, once all of it was read and its checksum was found right.

        Args:
            path: The dump.
            trim: Cut off the mark that a server may put behind a dump when it does not know its size in advance.

        Raises:
            OperationError: It is damaged, or longer than it should be.
        """
        with path.open("rb") as dump:
            check = read_script(_FILES / "check.sh")
            said = self.side.run(self.server, f"reading the whole dump {path.name}", check, stdin=dump)

        def number(pattern: str) -> int:
            found = re.search(pattern, said)
            if not found:
                raise OperationError(f"redis-check-rdb says too little of {path}: no {pattern!r}.")
            return int(found[1])

        size, end = path.stat().st_size, number(r"\[offset (\d+)\] \\o/ RDB looks OK")
        if size == end + 40 and trim:
            os.truncate(path, end)
        elif size != end:
            raise OperationError(f"{path} has {size} bytes, and the dump in it ends after {end}. Export again.")
        return RedisDump(
            keys=number(r"(\d+) keys read"), expiring=number(r"(\d+) expires"), memory=number(r"used-mem = '(\d+)'")
        )

    def present(self) -> str:
        """How many keys it has."""
        keys = sum(keys for keys, _ in _keyspace(self._run("counting", "keyspace")).values())
        return f"{keys} keys" if keys else ""

    def export(self, place: Place) -> Part:
        """Write a dump."""
        dumped = self._dump(place.folder / DUMP)
        self.side.say(f"{self.server.service}: dumped, and read back; {dumped.keys} keys")
        return Part(kind=self.kind, version=self._state()["redis_version"], facts=asdict(dumped))

    def check(self, part: Part, place: Place, owners: Sequence[Owner]) -> None:
        """Refuse a dump that cannot be read, and a server without the memory or disk for it."""
        exported = RedisDump.of(part)
        service, target = self.server.service, self.side
        if self.read_dump(place.folder / DUMP) != exported:
            raise OperationError(f"{place.folder / DUMP} holds something else than the manifest says. Export again.")
        state = self._state()
        if state["role"] != "master":
            raise OperationError(f"{service} of {target} is a replica. Redis of an application is its own master.")
        maximum = int(state["maxmemory"])
        if maximum and exported.memory > maximum:
            raise OperationError(
                f"{service} of {target} may hold {maximum} bytes, and the dump takes {exported.memory}."
                " Give it more memory."
            )
        # The dump and the append-only file made of it lie on the disk together.
        disk = 2 * (place.folder / DUMP).stat().st_size
        free = int(state["disk_free"]) * 1024
        if target.rendered:
            free = min(free, self.disk - int(state["disk_used"]) * 1024)
            needed = int(state["used_memory"]) + 2 * exported.memory + _OVERHEAD
            if needed > self.memory:
                raise OperationError(
                    f"{service} of {target} has {self.memory} bytes of memory. While it copies, {needed} are needed:"
                    " raise its memory limit for the import."
                )
        if disk > free:
            raise OperationError(f"{service} of {target} has {free} bytes of disk free, and {disk} are needed.")

    def stage(self, part: Part, place: Place) -> list[Row]:
        """Start a second server on the dump, beside the first, compare it, and keep what the first holds."""
        exported, path = RedisDump.of(part), place.folder / DUMP
        with path.open("rb") as dump:
            said = self.side.run(
                self.server,
                "loading the dump beside",
                read_script(_FILES / "stage.sh"),
                str(STAGED_PORT),
                place.files[DUMP].sha256,
                stdin=dump,
            )
        lasting = sum(keys - expiring for keys, expiring in _keyspace(said).values())
        if lasting != exported.lasting:
            raise OperationError(
                f"The dump of {self.server.service} was loaded with {lasting} keys that stay; {exported.lasting} were"
                " exported."
            )
        kept = self._keep(place.before)
        self.side.say(f"{self.server.service}: loaded beside the present one, which is kept in {kept}")
        return []

    def _keep(self, before: Path) -> Path:
        """Keep what the target holds, under the next free number."""
        before.mkdir(exist_ok=True)
        number = 1
        while (path := before / f"{self.server.service}-{number}.rdb").exists():
            number += 1
        try:
            self._dump(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def swap(self, part: Part) -> list[Row]:
        """Let the target copy everything from the second server. Keys that expire may have done so."""
        said = self._run("copying from the server beside", "swap", str(STAGED_PORT))
        source, _, copy = said.replace("\r", "").partition("\n\n")
        staged, live = _keyspace(source), _keyspace(copy)
        rows = list[Row]()
        for database in sorted(staged.keys() | live.keys()):
            left, right = staged.get(database, (0, 0)), live.get(database, (0, 0))
            what = f"{self.server.service} {database}, keys that"
            rows.append(_row(f"{what} stay", left[0] - left[1], right[0] - right[1]))
            rows.append(_row(f"{what} expire", left[1], right[1], may_lapse=True))
        self.side.say(f"{self.server.service}: in place")
        return rows

    def count(self, part: Part, place: Place) -> list[Row]:
        """Compare how many keys never expire."""
        found = _keyspace(self._run("counting", "keyspace"))
        lasting = sum(keys - expiring for keys, expiring in found.values())
        return [_row(f"{self.server.service}, keys that stay", RedisDump.of(part).lasting, lasting)]

    def discard(self) -> None:
        """Stop the second server and remove its files, wherever an import stopped."""
        self._run("cleaning up", "discard", str(STAGED_PORT))


def _row(what: str, exported: int, found: int, *, may_lapse: bool = False) -> Row:
    return Row.of(Count(what=what, count=exported), Count(what=what, count=found), may_lapse=may_lapse)


def _keyspace(text: str) -> Mapping[str, tuple[int, int]]:
    """Keys, and those of them that expire, for each database that has some."""
    found = re.findall(r"^(db\d+):keys=(\d+),expires=(\d+)", text, re.MULTILINE)
    return {database: (int(keys), int(expiring)) for database, keys, expiring in found}
