"""This module is how databases move: dumped in one snapshot, restored beside the old ones, compared, then swapped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcpmesh_k8s.services import Database

from .export import Count, DatabaseExport, Manifest
from .programs import OperationError
from .stores import ComposeSide, Side, Stores, run

ROLES = "postgres/roles.json"

_STAND_IN = "stands in for the superuser of the source of an import"

# The superuser is the one of the container; who is in it needs no password.
_PSQL = """\
set -eu
superuser="${POSTGRES_USER:-postgres}"
ask() {
  psql --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 --no-password --username="$superuser" "$@"
}
"""

_STAND_INS = (
    "SELECT format('{statement}', rolname) FROM pg_roles"
    f" WHERE shobj_description(oid, 'pg_authid') = '{_STAND_IN}' \\gexec\n"
)

# One line of JSON for each table, sequence and owner. A checksum is a sum over rows, so their order does not matter,
# and what rows look like as text depends on nothing that the two servers may have set differently.
_INVENTORY = """\
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL statement_timeout = 0;
SET LOCAL search_path = pg_catalog;
SET LOCAL row_security = off;
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL timezone = 'UTC';
SET LOCAL lc_monetary = 'C';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SELECT json_build_array('size', pg_database_size(current_database()));
SELECT format(
  'SELECT json_build_array(%L, %L, count(*), '
    'coalesce(sum((''x'' || left(md5(ROW(t.*)::text), 15))::bit(60)::bigint), 0)::text) FROM ONLY %I.%I AS t',
  'count', 'table ' || format('%I.%I', nspname, relname), nspname, relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE relkind = 'r' AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
ORDER BY nspname, relname \\gexec
SELECT format(
  'SELECT json_build_array(%L, %L, last_value, CASE WHEN is_called THEN ''called'' ELSE ''not called'' END) FROM %I.%I',
  'count', 'sequence ' || format('%I.%I', nspname, relname), nspname, relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE relkind = 'S' AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
ORDER BY nspname, relname \\gexec
SELECT json_build_array('count', 'large objects', count(*),
  coalesce(sum(('x' || left(md5(oid::text::bytea || lo_get(oid)), 15))::bit(60)::bigint), 0)::text)
FROM pg_largeobject_metadata;
SELECT DISTINCT json_build_array('owner', nspname, pg_get_userbyid(o.owner))::text
FROM (
  SELECT 'pg_class'::regclass, oid, relnamespace, relowner FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
  UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace, proowner FROM pg_proc
  UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace, typowner FROM pg_type
  UNION ALL SELECT 'pg_namespace'::regclass, oid, oid, nspowner FROM pg_namespace
) AS o (class, oid, schema, owner) JOIN pg_namespace n ON n.oid = o.schema
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = o.class AND objid = o.oid AND deptype = 'e')
UNION SELECT json_build_array('owner', '', pg_get_userbyid(lomowner))::text FROM pg_largeobject_metadata
ORDER BY 1;
"""

# psql counts in the snapshot that pg_dump reads, then stays until it is done. It does not look at how a program
# ended, so that one ends it.
DUMP = (
    _PSQL
    + """\
export DATABASE="$1" SUPERUSER="$superuser"
ask --dbname="$1" <<'SQL'
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SELECT pg_export_snapshot() AS snapshot \\gset
"""
    + _INVENTORY
    + """\
\\echo
\\setenv SNAPSHOT :snapshot
\\! pg_dump --format=custom --snapshot="$SNAPSHOT" --lock-wait-timeout=60s --no-password \
--username="$SUPERUSER" --dbname="$DATABASE" || kill "$PPID"
COMMIT;
SQL
"""
)
"""``$1`` is a database: prints its inventory, an empty line and its dump."""

INVENTORY = (
    _PSQL
    + """\
ask --dbname="$1" <<'SQL'
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
"""
    + _INVENTORY
    + """\
COMMIT;
SQL
"""
)
"""``$1`` is a database: prints its inventory."""

STATE = (
    _PSQL
    + """\
df -P -k "$PGDATA" | tail -n 1
ask --dbname=postgres <<'SQL'
SELECT json_build_object(
  'version', current_setting('server_version'),
  'superuser', current_user,
  'databases', (SELECT json_agg(datname ORDER BY datname) FROM pg_database WHERE NOT datistemplate),
  'roles', (
    SELECT json_agg(json_build_object('name', rolname, 'superuser', rolsuper, 'inherit', rolinherit, 'login',
      rolcanlogin, 'member_of', ARRAY(
        SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1
      )) ORDER BY rolname)
    FROM pg_roles r WHERE rolname !~ '^pg_'
  ),
  'sessions', (
    SELECT coalesce(json_agg(json_build_object('database', datname, 'role', usename, 'client',
      coalesce(nullif(application_name, ''), host(client_addr), 'the socket')) ORDER BY pid), '[]')
    FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname IS NOT NULL
  )
);
SQL
"""
)
"""Prints the free space, and as JSON who and what is there."""

READ_ARCHIVE = "exec pg_restore --exit-on-error --file=/dev/null"
"""Reads a whole archive from its input, and drops what it says."""

MAKE_ROLES = (
    _PSQL
    + """\
ask --dbname=postgres --set=roles="$1" --set=members="$2" --set=superusers="$3" <<'SQL'
BEGIN;
SELECT format('CREATE ROLE %I NOLOGIN %s', r ->> 'name', CASE WHEN (r ->> 'inherit')::bool THEN 'INHERIT' ELSE
  'NOINHERIT' END) FROM json_array_elements(:'roles') AS r \\gexec
SELECT format('GRANT %I TO %I', m ->> 0, m ->> 1) FROM json_array_elements(:'members') AS m \\gexec
SELECT format('CREATE ROLE %I NOLOGIN', s) FROM json_array_elements_text(:'superusers') AS s \\gexec
"""
    + f"SELECT format('COMMENT ON ROLE %I IS %L', s, '{_STAND_IN}')"
    + """ FROM json_array_elements_text(:'superusers') AS s \\gexec
COMMIT;
SQL
"""
)
"""``$1`` to ``$3``, as JSON: roles, (group, member), and superusers of the source to stand in for."""

RESTORE = (
    _PSQL
    + """\
ask --dbname=postgres --command="CREATE DATABASE \\"$1_import\\" TEMPLATE template0" \
  --command="REVOKE ALL ON DATABASE \\"$1_import\\" FROM PUBLIC"
exec pg_restore --exit-on-error --single-transaction --no-password --username="$superuser" --dbname="$1_import"
"""
)
"""``$1`` is a database: restores the archive on its input beside it."""

# Objects of the source's superuser go to a role of the target. What an extension brought stays the superuser's, and
# a sequence of a column follows its table. In the cluster nobody may use the schema public unless it is granted.
SETTLE = (
    _PSQL
    + """\
database="$1"
shift
while [ $# -gt 0 ]; do
  ask --dbname="${database}_import" --single-transaction --set=schema="$1" --set=old="$2" --set=new="$3" <<'SQL'
SELECT format('ALTER %s %s OWNER TO %I', CASE i.type
  WHEN 'statistics object' THEN 'STATISTICS' WHEN 'function' THEN 'ROUTINE' WHEN 'procedure' THEN 'ROUTINE'
  WHEN 'aggregate' THEN 'ROUTINE' ELSE i.type END, i.identity, :'new')
FROM pg_shdepend s, pg_identify_object(s.classid, s.objid, s.objsubid) AS i
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND s.deptype = 'o'
  AND s.refclassid = 'pg_authid'::regclass AND s.refobjid = (SELECT oid FROM pg_authid WHERE rolname = :'old')
  AND (i.type <> 'default acl' AND i.schema = quote_ident(:'schema')
    OR i.type = 'schema' AND i.identity = quote_ident(:'schema') OR i.type = 'large object' AND :'schema' = '')
  AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = s.classid AND d.objid = s.objid AND (d.deptype = 'e'
      OR d.deptype IN ('a', 'i') AND i.type = 'sequence' AND d.refclassid = 'pg_class'::regclass)
  ) \\gexec
SELECT format('GRANT USAGE, CREATE ON SCHEMA public TO %I', :'new') WHERE :'schema' = 'public' \\gexec
SQL
  shift 3
done
ask --dbname="${database}_import" --single-transaction <<'SQL'
"""
    + _STAND_INS.format(statement="REASSIGN OWNED BY %1$I TO CURRENT_USER; DROP OWNED BY %1$I")
    + """\
SQL
"""
)
"""``$1`` is a database; then schema, old owner and new owner, as often as needed. Stand-ins are left with nothing."""

# Who may enter a database, and what the schema public is for, is the target's to say and not the dump's.
TAKE_RIGHTS = (
    _PSQL
    + """\
rights="$(ask --dbname="$1" --set=new="$1_import" <<'SQL'
SELECT format('ALTER DATABASE %I OWNER TO %I;', :'new', pg_get_userbyid(datdba))
FROM pg_database WHERE datname = current_database();
SELECT format('GRANT %s ON DATABASE %I TO %s%s;', privilege_type, :'new',
  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
  CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname = current_database();
SELECT 'REVOKE ALL ON SCHEMA public FROM PUBLIC;' FROM pg_namespace WHERE nspname = 'public';
SELECT format('GRANT %s ON SCHEMA public TO %s%s;', privilege_type,
  CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
  CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) WHERE nspname = 'public';
SELECT format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I;', nspname, rolname)
FROM pg_namespace JOIN pg_roles r ON r.oid = nspowner
WHERE NOT rolsuper AND nspname <> 'public' AND nspname !~ '^pg_' AND nspname <> 'information_schema';
SQL
)"
printf '%s\\n' "$rights" | ask --dbname="$1_import" --single-transaction
"""
)
"""``$1`` is a database: what was restored beside it gets its owner and its grants."""

DISCARD = (
    _PSQL
    + """\
for database in "$@"; do
  ask --dbname=postgres --command="DROP DATABASE IF EXISTS \\"${database}_import\\" WITH (FORCE)"
done
ask --dbname=postgres <<'SQL'
"""
    + _STAND_INS.format(statement="DROP ROLE %I")
    + """\
SQL
"""
)
"""Drops what was restored beside the databases that are its arguments, then the stand-ins."""

EXECUTE = _PSQL + 'ask --dbname=postgres --single-transaction --command="$1"\n'
"""Executes ``$1`` in one transaction."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who owns, in the target, what belonged to the source's superuser in a schema.

    Args:
        database: The database.
        schema: The schema; ``""`` is the large objects.
        role: One of the database's roles.
    """

    database: str
    schema: str
    role: str


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


def _state(side: Side, stores: Stores) -> _State:
    disk, answer = run(side, stores.postgres, "asking what is there", STATE).strip().split("\n")
    given = json.loads(answer)
    roles = {role["name"]: _Role(**role) for role in given.pop("roles")}
    return _State(free=int(disk.split()[3]) * 1024, roles=roles, **given)


def dump_of(database: str) -> str:
    """The path of a database's dump in an export."""
    return f"postgres/{database}.dump"


def export_databases(
    side: Side, stores: Stores, folder: Path, show: Callable[[str], None]
) -> tuple[dict[str, DatabaseExport], str]:
    """Write roles and databases below a folder. The source is only read.

    Returns:
        What each dump holds, by database, and the version of the server.

    Raises:
        OperationError: A database could not be dumped, or its dump cannot be read.
    """
    state = _state(side, stores)
    wanted = [database.name for database in stores.databases]
    for missing in sorted(set(wanted) - set(state.databases)):
        show(f"database {missing}: {side} has none, so it is left out")
    if not set(wanted) & set(state.databases):
        raise OperationError(f"{side} has none of the databases {', '.join(wanted)}.")
    (folder / "postgres").mkdir()
    roles = [{**vars(role)} for role in state.roles.values()]
    (folder / ROLES).write_text(json.dumps(roles, indent=2) + "\n", encoding="utf-8")
    exported = dict[str, DatabaseExport]()
    for name in wanted:
        if name not in state.databases:
            continue
        with (folder / dump_of(name)).open("xb") as archive:
            lines = run(
                side, stores.postgres, f"dumping database {name}", DUMP, name, stdout=archive, heading=True
            ).splitlines()
        exported[name] = _inventory(lines)
        _read_archive(side, stores, folder, name)
        show(f"database {name}: dumped, and read back; {len(exported[name].counts)} tables, sequences and the like")
    return exported, state.version


def _inventory(lines: Sequence[str]) -> DatabaseExport:
    facts = [json.loads(line) for line in lines]
    return DatabaseExport(
        size=next(fact[1] for fact in facts if fact[0] == "size"),
        counts=tuple(Count(what=fact[1], count=fact[2], checksum=fact[3]) for fact in facts if fact[0] == "count"),
        owners=tuple((fact[1], fact[2]) for fact in facts if fact[0] == "owner"),
    )


def _read_archive(side: Side, stores: Stores, folder: Path, database: str) -> None:
    with (folder / dump_of(database)).open("rb") as archive:
        run(side, stores.postgres, f"reading the whole dump of {database}", READ_ARCHIVE, stdin=archive)


def counts_of(side: Side, stores: Stores, database: str) -> tuple[Count, ...]:
    """The tables, sequences and large objects of a database, as they are now."""
    lines = run(side, stores.postgres, f"counting database {database}", INVENTORY, database).splitlines()
    return _inventory(lines).counts


def plan_databases(
    target: Side, stores: Stores, folder: Path, manifest: Manifest, owners: Sequence[Owner]
) -> DatabasePlan:
    """Check everything that an import needs, and decide what it will do. Nothing is changed.

    Raises:
        OperationError: A dump cannot be read, sessions are open, the storage is too full, a database is missing, or
            nobody is named for what belonged to the source's superuser.
    """
    for name in manifest.databases:
        _read_archive(target, stores, folder, name)
    state = _state(target, stores)
    databases = {database.name: database for database in stores.databases}
    open_sessions = sorted(
        f"{session['client']} ({session['role']} in {session['database']})"
        for session in state.sessions
        if session["database"] in manifest.databases
    )
    if open_sessions:
        raise OperationError(f"Sessions are open: {', '.join(open_sessions)}. Stop these clients, then repeat.")
    # The write-ahead log of what is restored lies on the same disk, and a full disk stops the server.
    needed = 2 * sum(database.size for database in manifest.databases.values())
    if needed > state.free:
        raise OperationError(f"PostgreSQL of {target} has {state.free} bytes free, and {needed} are needed.")
    for name in manifest.databases:
        if name not in databases:
            raise OperationError(f"The export holds a database {name}, which this application has not.")
        if name not in state.databases and not isinstance(target, ComposeSide):
            raise OperationError(f"{target} has no database {name}. It is made when the storage is empty.")

    source = {role["name"]: _Role(**role) for role in json.loads((folder / ROLES).read_text(encoding="utf-8"))}
    superusers = {role.name for role in source.values() if role.superuser}
    problems = list[str]()
    mapped = dict[str, tuple[tuple[str, str, str], ...]]()
    named = {(owner.database, owner.schema): owner.role for owner in owners}
    for owner in owners:
        if owner.role not in state.roles:
            problems.append(f"{owner} names a role that {target} has not")
    for name, database in manifest.databases.items():
        pairs = list[tuple[str, str, str]]()
        for schema, old in database.owners:
            if old not in superusers or old == state.superuser:
                continue
            new = named.get((name, schema)) or _heir(target, databases[name], schema, state.superuser)
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
    owning = {old for database in manifest.databases.values() for _, old in database.owners}
    return DatabasePlan(
        new_roles=new_roles,
        members=members,
        stand_ins=tuple(sorted((superusers & owning) - state.roles.keys())),
        owners=mapped,
        old={name: _free_name(name, state.databases) for name in manifest.databases if name in state.databases},
    )


def _heir(target: Side, database: Database, schema: str, superuser: str) -> str:
    """Who owns what belonged to the source's superuser, unless it is said; nobody when it cannot be known."""
    if isinstance(target, ComposeSide):
        return superuser
    if len(database.roles) == 1:
        return database.roles[0]
    return schema if schema in database.roles else ""


def _free_name(database: str, taken: Sequence[str]) -> str:
    number = 1
    while f"{database}_before_{number}" in taken:
        number += 1
    return f"{database}_before_{number}"


def restore_databases(
    target: Side, stores: Stores, folder: Path, manifest: Manifest, plan: DatabasePlan, show: Callable[[str], None]
) -> dict[str, tuple[Count, ...]]:
    """Restore every dump beside the database it will replace.

    Returns:
        What is in each, by the name of the database.

    Raises:
        OperationError: A dump could not be restored.
    """
    server = stores.postgres
    roles = [{"name": name, "inherit": inherit} for name, inherit in plan.new_roles.items()]
    run(
        target,
        server,
        "making roles",
        MAKE_ROLES,
        *(json.dumps(given) for given in (roles, plan.members, plan.stand_ins)),
    )
    for name in plan.new_roles:
        show(f"role {name}: made, and may not log in until it is given a password: ALTER ROLE … LOGIN PASSWORD …")
    found = dict[str, tuple[Count, ...]]()
    for name in manifest.databases:
        with (folder / dump_of(name)).open("rb") as archive:
            run(target, server, f"restoring database {name}", RESTORE, name, stdin=archive)
        arguments = [word for triple in plan.owners[name] for word in triple]
        run(target, server, f"handing over database {name}", SETTLE, name, *arguments)
        if name in plan.old:
            run(target, server, f"granting rights on database {name}", TAKE_RIGHTS, name)
        found[name] = counts_of(target, stores, f"{name}_import")
        show(f"database {name}: restored beside the present one")
    return found


def swap_databases(
    target: Side, stores: Stores, manifest: Manifest, plan: DatabasePlan, show: Callable[[str], None]
) -> None:
    """Put what was restored in the place of the present databases: all of them, or none.

    Raises:
        OperationError: A session is open.
    """
    discard_databases(target, stores, [])
    renames = [f'ALTER DATABASE "{name}" RENAME TO "{kept}"' for name, kept in plan.old.items()]
    renames += [f'ALTER DATABASE "{name}_import" RENAME TO "{name}"' for name in manifest.databases]
    run(target, stores.postgres, "swapping the databases", EXECUTE, ";".join(renames))
    for name in manifest.databases:
        kept = plan.old.get(name)
        show(f"database {name}: in place" + (f'; the one before is {kept}: DROP DATABASE "{kept}"' if kept else ""))


def discard_databases(target: Side, stores: Stores, databases: Sequence[str]) -> None:
    """Drop what an import left that did not come to its end."""
    run(target, stores.postgres, "dropping what was restored", DISCARD, *databases)
