"""This module is the role of a store: what a component says that keeps data, so that commands can move them.

A component becomes a `Store` by one method, ``mover``, which gives a `Mover` for one end of a move. The commands find
stores in the tree and know none by name, so a new one is one class, and nothing else changes.

A move of data goes through these steps, each of them for all stores before the next begins: ``discard`` (what an
earlier move left), ``check`` (nothing is changed), ``stage`` (beside what is there), ``swap``, and ``discard`` again.
Each can stop anywhere, and all of it can be repeated.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from pathlib import Path
from typing import IO, ClassVar, Protocol, TypeVar, runtime_checkable

from .errors import OperationError
from .pod import Pod
from .values import dataclass

T = TypeVar("T")

_INCLUDE = re.compile(r'^\. "?\./(?P<name>[\w-]+\.sh)"?\n', re.MULTILINE)


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
        count: Its rows, keys or objects; a sequence's last value. -1 where there is nothing to count.
        checksum: The same for the same content, whatever its order; empty where there is none.
    """

    what: str
    count: int
    checksum: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was compared.

    Args:
        what: A table, a sequence, keys, objects.
        exported: What the export holds.
        found: What the target holds.
        checksum: The first letters of the target's checksum, where there is one.
        ok: Whether they are the same, or differ by no more than they may.
    """

    what: str
    exported: int
    found: int
    checksum: str
    ok: bool

    @staticmethod
    def of(exported: Count, found: Count, *, prefix: str = "", may_lapse: bool = False) -> Row:
        """A row for two counts.

        Args:
            exported: What the export holds.
            found: What the target holds.
            prefix: What to put before its name.
            may_lapse: Whether there may be fewer by now.
        """
        if may_lapse:
            same = found.count <= exported.count
        else:
            same = (found.count, found.checksum) == (exported.count, exported.checksum)
        return Row(
            what=prefix + exported.what,
            exported=exported.count,
            found=found.count,
            checksum=found.checksum[:12],
            ok=same,
        )

    @staticmethod
    def each(exported: Sequence[Count], found: Sequence[Count], *, prefix: str = "") -> list[Row]:
        """A row for whatever stands in one of two inventories, by its name."""
        left, right = {count.what: count for count in exported}, {count.what: count for count in found}
        return [
            Row.of(
                left.get(what, Count(what=what, count=-1)), right.get(what, Count(what=what, count=-1)), prefix=prefix
            )
            for what in sorted(left.keys() | right.keys())
        ]


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who owns, in the target, what belonged to the source's superuser in a schema of a database.

    Args:
        database: The database.
        schema: The schema; ``""`` is the large objects.
        role: One of the database's roles.
    """

    database: str
    schema: str
    role: str


@dataclass(frozen=True, kw_only=True)
class Server:
    """The server of a store.

    Args:
        service: Its name in the Compose file.
        workload: What runs it in the cluster, as kubectl names it, such as ``statefulset/shop-postgres``.
        container: The container in its pod.
        port: The port that it listens on; 0 for none.
    """

    service: str
    workload: str
    container: str
    port: int = 0

    @staticmethod
    def of(pod: Pod) -> Server:
        """The server that runs in the main container of a pod, on its main port."""
        return Server(
            service=pod.name,
            workload=pod.reference,
            container=pod.container.name,
            port=pod.main_port.container if pod.ports else 0,
        )


class Side(ABC):
    """One end of a move, as a store sees it: where its server runs, and how it is reached."""

    @property
    @abstractmethod
    def rendered(self) -> bool:
        """Whether its servers are those of the tree, with its databases, roles, memory and storage.

        Those of a Compose stack are not.
        """

    @abstractmethod
    def run(
        self,
        server: Server,
        doing: str,
        script: str,
        *arguments: str,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        heading: bool = False,
    ) -> str:
        """Run a shell script beside a server, with its container's environment, and return what it prints.

        Args:
            server: Whose container.
            doing: What it does, for the error: "reading the roles".
            script: For a POSIX shell.
            arguments: Its ``$1`` and so on; never a secret.
            stdin: An open file that it reads.
            stdout: An open file for what it prints.
            heading: The lines up to the first empty one are returned, and only the rest goes to the file.

        Raises:
            OperationError: It failed; the message ends with what it said.
        """

    @abstractmethod
    def address(self, server: Server) -> AbstractContextManager[str]:
        """Where a server is reached from this machine, as ``host:port``, while the block runs."""

    @abstractmethod
    def local(self, command: Sequence[str], *, variables: Mapping[str, str] | None = None) -> str:
        """What a program of this machine prints. It may take as long as data take.

        Args:
            command: Program and arguments; never a secret.
            variables: Environment variables beside our own: the way for a secret.

        Raises:
            OperationError: It is missing or fails; the message ends with what it said last.
        """

    @abstractmethod
    def say(self, line: str) -> None:
        """Tell people."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What an export says of one store.

    Args:
        kind: The kind of its mover: data of one kind do not go into another.
        version: The version of the program that wrote it.
        facts: What the mover needs to know of it again, as JSON has it: texts, numbers, lists, mappings, None.
    """

    kind: str
    version: str
    facts: Mapping[str, object] = field(default_factory=dict[str, object])

    def read(self, parse: Callable[[Mapping[str, object]], T]) -> T:
        """What a function makes of the facts.

        Raises:
            OperationError: It met something that is missing or of another type: the export is damaged.
        """
        try:
            return parse(self.facts)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise OperationError(
                f"What the manifest says of a part of kind {self.kind} is damaged ({error!r}). Export again."
            ) from None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the data of one store lie on this machine.

    Args:
        folder: The store's own folder in an export. An export writes below it, and nothing else does.
        files: What must be in each of its files, by its path in the folder. They were compared already. Empty while
            it is written.
        beside: A folder with room for as much again, for as long as a step takes.
        before: A folder in which a target may keep what it held. It may have to be made, and is never cleaned up.
    """

    folder: Path
    files: Mapping[str, Content] = field(default_factory=dict[str, Content])
    beside: Path
    before: Path


class Mover(ABC):
    """How the data of one store move, at one end. It is made anew for each command, and may remember between steps.

    Whatever cannot go on is an ``OperationError`` of one line: what is wrong, and what to do.
    """

    kind: ClassVar[str]
    """What its exports are of, such as ``postgres``. Another layout needs another name."""

    programs: ClassVar[Mapping[str, str]] = {}
    """The programs that must be on this machine, and for each what to do where it is missing."""

    def takes(self, owner: Owner) -> bool:
        """Whether it has the database that an owner is named for."""
        return False

    def part(self, version: str, facts: Mapping[str, object]) -> Part:
        """What an export would say of the data of a backup, whose files are those of an export.

        Args:
            version: The version of the program, as the backup says it.
            facts: What the backup's ``take.sh`` printed.
        """
        return Part(kind=self.kind, version=version, facts=facts)

    def present(self) -> str:
        """What is there now, in words; nothing where it is empty. Nothing is changed.

        Raises:
            OperationError: It could not be read.
        """
        return "data, as far as is known"

    @abstractmethod
    def export(self, place: Place) -> Part:
        """Write all data below the folder, and read them back. The source is only read.

        Raises:
            OperationError: A part could not be written, or cannot be read.
        """

    @abstractmethod
    def check(self, part: Part, place: Place, owners: Sequence[Owner]) -> None:
        """Check everything that an import needs, and decide what it will do. Nothing is changed.

        Raises:
            OperationError: Something is damaged, in use, too small or unknown.
        """

    @abstractmethod
    def stage(self, part: Part, place: Place) -> Sequence[Row]:
        """Load the data beside what is there, and compare them. What is there is used on.

        Raises:
            OperationError: They could not be loaded.
        """

    @abstractmethod
    def swap(self, part: Part) -> Sequence[Row]:
        """Put what was staged in the place of what is there.

        Returns:
            What could only be compared now.

        Raises:
            OperationError: It could not.
        """

    @abstractmethod
    def count(self, part: Part, place: Place) -> Sequence[Row]:
        """Compare what is there now with the export. Nothing is changed.

        Raises:
            OperationError: It could not be read.
        """

    @abstractmethod
    def discard(self) -> None:
        """Remove what a move left beside the data, wherever it stopped. There may be nothing.

        Raises:
            OperationError: It could not.
        """


@runtime_checkable
class Store(Protocol):
    """A component that keeps data, and says how they move."""

    @property
    def name(self) -> str:
        """Its short name, unique in the application. Its part of an export has it."""
        ...

    def mover(self, side: Side) -> Mover:
        """How its data move, at this end."""
        ...


def read_script(path: Path) -> str:
    """A shell script from a file, to be run where that file is not: ``. ./name.sh`` is replaced by the file named.

    Args:
        path: The script. Files that it names lie beside it.
    """
    text = path.read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda found: read_script(path.with_name(found["name"])), text)
