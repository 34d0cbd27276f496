"""This module is how databases move: dumped in one snapshot, restored beside the old ones, compared, then swapped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, ClassVar, cast

from mcpmesh_k8s.kubernetes import (
    Count,
    Mover,
    OperationError,
    Owner,
    Part,
    Place,
    Row,
    Server,
    SettingError,
    Side,
    dataclass,
    read_script,
)

ROLES = "roles.json"

_FILES = Path(__file__).with_name("postgres_files")
_MARK = "stands in for the superuser of the source of an import"
_LONGEST_DATABASE = 63 - len("_before_999")


@dataclass(frozen=True, kw_only=True)
class DatabaseDump:
    """What a dump of a database holds.

    Args:
        size: Bytes of the database on disk.
        counts: Its tables, sequences and large objects, in the snapshot of the dump.
        owners: Who owns something in which schema: (schema, role). Large objects have the schema ``""``.
    """

    size: int
    counts: tuple[Count, ...]
    owners: tuple[tuple[str, str], ...]

    @staticmethod
    def each(part: Part) -> dict[str, DatabaseDump]:
        """The databases of an export, by name.

        Raises:
            OperationError: What it says of them is damaged.
        """
        return part.read(
            lambda facts: {
                name: DatabaseDump(
                    size=int(given["size"]),
                    counts=tuple(Count(**count) for count in given["counts"]),
                    owners=tuple((schema, role) for schema, role in given["owners"]),
                )
                for name, given in cast("Mapping[str, Any]", facts["databases"]).items()
            }
        )


@dataclass(frozen=True, kw_only=True)
class DatabasePlan:
    """What an import will do, decided before it does anything.

    Args:
        new_roles: Roles that the target lacks, and whether they inherit.
        members: Memberships that it lacks: (group, member).
        stand_ins: Superusers of the source that it lacks and that own something.
        owners: For each database, (schema, old owner, new owner).
        old: Databases that it has, and the name that each will be kept under.
    """

    new_roles: Mapping[str, bool]
    members: tuple[tuple[str, str], ...]
    stand_ins: tuple[str, ...]
    owners: Mapping[str, tuple[tuple[str, str, str], ...]]
    old: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Role:
    name: str
    superuser: bool
    inherit: bool
    login: bool
    member_of: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class _State:
    free: int
    version: str
    superuser: str
    databases: Sequence[str]
    roles: Mapping[str, _Role]
    sessions: Sequence[Mapping[str, str]]


@dataclass(kw_only=True)
class PostgresMover(Mover):
    """How the databases of one PostgreSQL server move.

    Args:
        side: Where it runs.
        server: Its server.
        databases: Its databases, each with the roles that use it in the cluster.

    Raises:
        SettingError: A name is too long for what an import puts behind it: PostgreSQL would cut it without a word.
    """

    kind: ClassVar[str] = "postgres"

    side: Side
    server: Server
    databases: Mapping[str, tuple[str, ...]]
    _plan: DatabasePlan | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Check the names."""
        for name in self.databases:
            if len(name) > _LONGEST_DATABASE:
                raise SettingError("Database.name", name, f"Give at most {_LONGEST_DATABASE} characters.")

    def _run(self, doing: str, name: str, *arguments: str) -> str:
        return self.side.run(self.server, doing, read_script(_FILES / f"{name}.sh"), *arguments)

    def _state(self) -> _State:
        disk, answer = self._run("asking what is there", "state", _sql("state")).strip().split("\n")
        given = json.loads(answer)
        roles = {role["name"]: _Role(**role) for role in given.pop("roles")}
        return _State(free=int(disk.split()[3]) * 1024, roles=roles, **given)

    def takes(self, owner: Owner) -> bool:
        """Whether it has the database."""
        return owner.database in self.databases

    def part(self, version: str, facts: Mapping[str, object]) -> Part:
        """A backup has the inventory line by line."""
        counted = Part(kind=self.kind, version=version, facts=facts).read(
            lambda given: {
                name: asdict(_inventory(lines))
                for name, lines in cast("Mapping[str, Sequence[Sequence[Any]]]", given["inventory"]).items()
            }
        )
        return Part(kind=self.kind, version=version, facts={"databases": counted})

    def present(self) -> str:
        """The tables, sequences and views of its databases."""
        there = [name for name in self.databases if name in self._state().databases]
        counts = {name: int(self._run(f"looking into database {name}", "occupied", name)) for name in there}
        return ", ".join(f"{count} tables and sequences in database {name}" for name, count in counts.items() if count)

    def export(self, place: Place) -> Part:
        """Write the roles, and a dump of each database."""
        state = self._state()
        for missing in sorted(self.databases.keys() - set(state.databases)):
            self.side.say(f"database {missing}: {self.side} has none, so it is left out")
        if self.databases and not self.databases.keys() & set(state.databases):
            raise OperationError(f"{self.side} has none of the databases {', '.join(self.databases)}.")
        roles = [{**vars(role)} for role in state.roles.values()]
        (place.folder / ROLES).write_text(json.dumps(roles, indent=2) + "\n", encoding="utf-8")
        exported = dict[str, object]()
        for name in self.databases:
            if name not in state.databases:
                continue
            with (place.folder / _dump_of(name)).open("xb") as archive:
                lines = self.side.run(
                    self.server,
                    f"dumping database {name}",
                    read_script(_FILES / "dump.sh"),
                    name,
                    _sql("inventory"),
                    stdout=archive,
                    heading=True,
                ).splitlines()
            dumped = _inventory(map(json.loads, lines))
            exported[name] = asdict(dumped)
            self._read_archive(place, name)
            self.side.say(
                f"database {name}: dumped, and read back; {len(dumped.counts)} tables, sequences and the like"
            )
        return Part(kind=self.kind, version=state.version, facts={"databases": exported})

    def _read_archive(self, place: Place, database: str) -> None:
        with (place.folder / _dump_of(database)).open("rb") as archive:
            script = read_script(_FILES / "read-archive.sh")
            self.side.run(self.server, f"reading the whole dump of {database}", script, stdin=archive)

    def _counts_of(self, database: str) -> tuple[Count, ...]:
        """The tables, sequences and large objects of a database, as they are now."""
        lines = self._run(f"counting database {database}", "inventory", database, _sql("inventory")).splitlines()
        return _inventory(map(json.loads, lines)).counts

    def count(self, part: Part, place: Place) -> list[Row]:
        """Compare every table, sequence and large object."""
        return [
            row
            for name, database in DatabaseDump.each(part).items()
            for row in Row.each(database.counts, self._counts_of(name), prefix=f"{name}: ")
        ]

    def check(self, part: Part, place: Place, owners: Sequence[Owner]) -> None:
        """Read every dump, look for sessions and room, and decide who shall own what."""
        exported = DatabaseDump.each(part)
        for name in exported:
            if name not in self.databases:
                raise OperationError(f"The export holds a database {name}, which this application has not.")
        for name in exported:
            self._read_archive(place, name)
        state = self._state()
        open_sessions = sorted(
            f"{session['client']} ({session['role']} in {session['database']})"
            for session in state.sessions
            if session["database"] in exported
        )
        if open_sessions:
            raise OperationError(f"Sessions are open: {', '.join(open_sessions)}. Stop these clients, then repeat.")
        # The write-ahead log of what is restored lies on the same disk, and a full disk stops the server.
        needed = 2 * sum(database.size for database in exported.values())
        if needed > state.free:
            raise OperationError(
                f"{self.server.service} of {self.side} has {state.free} bytes free, and {needed} are needed."
            )
        for name in exported:
            if name not in state.databases and self.side.rendered:
                raise OperationError(
                    f"{self.side} has no database {name}. The task of {self.server.service} makes it: deploy."
                )
        source = {
            role["name"]: _Role(**role) for role in json.loads((place.folder / ROLES).read_text(encoding="utf-8"))
        }
        self._plan = self._planned(exported, source, state, owners)

    def _planned(
        self,
        exported: Mapping[str, DatabaseDump],
        source: Mapping[str, _Role],
        state: _State,
        owners: Sequence[Owner],
    ) -> DatabasePlan:
        superusers = {role.name for role in source.values() if role.superuser}
        problems = list[str]()
        mapped = dict[str, tuple[tuple[str, str, str], ...]]()
        named = {(owner.database, owner.schema): owner.role for owner in owners}
        for owner in owners:
            if owner.role not in state.roles:
                problems.append(f"{owner} names a role that {self.side} has not")
        for name, database in exported.items():
            pairs = list[tuple[str, str, str]]()
            for schema, old in database.owners:
                if old not in superusers or old == state.superuser:
                    continue
                new = named.get((name, schema)) or self._heir(name, schema, state.superuser)
                if not new:
                    what = f"schema {schema}" if schema else "large objects"
                    problems.append(f"{what} of database {name} belonged to the superuser {old}")
                elif new != old:
                    pairs.append((schema, old, new))
            mapped[name] = tuple(pairs)
        if problems:
            raise OperationError(
                f"Who shall own what is unknown: {'; '.join(problems)}. Name one of the database's roles for each:"
                ' OWNERS="<database>:<schema>:<role> …".'
            )
        new_roles = {
            role.name: role.inherit for role in source.values() if not role.superuser and role.name not in state.roles
        }
        members = tuple(
            (group, role.name)
            for role in source.values()
            for group in role.member_of
            if {group, role.name} & new_roles.keys()
            and {group, role.name} <= new_roles.keys() | state.roles.keys()
            # A superuser needs no membership. Predefined roles, which reach beyond the data, are none of these.
            and not {group, role.name} & superusers
        )
        owning = {old for database in exported.values() for _, old in database.owners}
        return DatabasePlan(
            new_roles=new_roles,
            members=members,
            stand_ins=tuple(sorted((superusers & owning) - state.roles.keys())),
            owners=mapped,
            old={name: _free_name(name, state.databases) for name in exported if name in state.databases},
        )

    def _heir(self, database: str, schema: str, superuser: str) -> str:
        """Who owns what belonged to the source's superuser, unless it is said; nobody when it cannot be known."""
        if not self.side.rendered:
            return superuser
        roles = self.databases[database]
        if len(roles) == 1:
            return roles[0]
        return schema if schema in roles else ""

    def _decided(self) -> DatabasePlan:
        assert self._plan is not None, "check() comes first"
        return self._plan

    def stage(self, part: Part, place: Place) -> list[Row]:
        """Restore every dump beside the database it will replace, and compare what is in it."""
        plan = self._decided()
        roles = [{"name": name, "inherit": inherit} for name, inherit in plan.new_roles.items()]
        told = (json.dumps(given) for given in (roles, plan.members, plan.stand_ins))
        self._run("making roles", "make-roles", _sql("make-roles"), *told, _MARK)
        for name in plan.new_roles:
            self.side.say(
                f"role {name}: made, and may not log in until it is given a password: ALTER ROLE … LOGIN PASSWORD …"
            )
        rows = list[Row]()
        for name, database in DatabaseDump.each(part).items():
            with (place.folder / _dump_of(name)).open("rb") as archive:
                script = read_script(_FILES / "restore.sh")
                self.side.run(self.server, f"restoring database {name}", script, name, stdin=archive)
            triples = (word for triple in plan.owners[name] for word in triple)
            self._run(f"handing over database {name}", "hand-over", name, _sql("hand-over"), _MARK, *triples)
            if name in plan.old:
                self._run(f"granting rights on database {name}", "take-rights", name, _sql("take-rights"))
            rows += Row.each(database.counts, self._counts_of(f"{name}_import"), prefix=f"{name}: ")
            self.side.say(f"database {name}: restored beside the present one")
        return rows

    def swap(self, part: Part) -> list[Row]:
        """Put what was restored in the place of the present databases: all of them, or none."""
        plan, names = self._decided(), list(DatabaseDump.each(part))
        self._run("dropping the stand-ins", "discard", _MARK)
        renames = [f'ALTER DATABASE "{name}" RENAME TO "{kept}"' for name, kept in plan.old.items()]
        renames += [f'ALTER DATABASE "{name}_import" RENAME TO "{name}"' for name in names]
        if renames:
            self._run("swapping the databases", "execute", ";".join([_sql("end-exporter"), *renames]))
        for name in names:
            kept = plan.old.get(name)
            self.side.say(
                f"database {name}: in place" + (f'; the one before is {kept}: DROP DATABASE "{kept}"' if kept else "")
            )
        return []

    def discard(self) -> None:
        """Drop what an import left that did not come to its end."""
        self._run("dropping what was restored", "discard", _MARK, *self.databases)


def _sql(name: str) -> str:
    return (_FILES / f"{name}.sql").read_text(encoding="utf-8")


def _dump_of(database: str) -> str:
    return f"{database}.dump"


def _free_name(database: str, taken: Sequence[str]) -> str:
    number = 1
    while f"{database}_before_{number}" in taken:
        number += 1
    return f"{database}_before_{number}"


def _inventory(lines: Iterable[Sequence[Any]]) -> DatabaseDump:
    facts = list(lines)
    return DatabaseDump(
        size=next(fact[1] for fact in facts if fact[0] == "size"),
        counts=tuple(Count(what=fact[1], count=fact[2], checksum=fact[3]) for fact in facts if fact[0] == "count"),
        owners=tuple((fact[1], fact[2]) for fact in facts if fact[0] == "owner"),
    )
