"""This module is PostgreSQL: databases and a role for each client, tuned to the memory it has."""

from __future__ import annotations

import re

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Claim,
    Compute,
    Container,
    Exec,
    File,
    Files,
    Image,
    Port,
    Probes,
    Readiness,
    Scratch,
    Secret,
    Server,
    SettingError,
    Side,
    StatefulWorkload,
    Target,
    TcpSocket,
    User,
    Variable,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    in_bytes,
    once,
    variables,
)

from ._postgres_mover import PostgresMover

USER = User(uid=70, gid=70)
"""The user ``postgres`` of the alpine images (docker-library/postgres)."""

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_DATA = "/var/lib/postgresql/data"
_CONFIG = "/etc/postgresql"
_MEBIBYTE = 2**20
_MAX_CONNECTIONS, _LEAST_CONNECTIONS = 100, 10
_AUTOVACUUM_WORKERS = 3
_OWN_PROCESSES = 8  # the postmaster, checkpointer, writers, launchers, and one for a command of the operator's
_PROCESS = 5  # MiB that a process takes for itself before it sorts; measured by the tests
_LEAST_WORK = 2  # MiB; with less, most sorts go to disk
_SHARED_REST = 16  # MiB of shared memory beside the buffers and what grows with them
_LEAST_DISK = 512  # MiB


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database and the roles that may use it.

    With one role, the database belongs to it. With several, each has a schema of its own name, and none can read
    another's.

    Args:
        name: Its name.
        roles: The roles that may connect, one for each client.
    """

    name: str
    roles: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse names that SQL would not take unquoted."""
        for name in (self.name, *self.roles):
            if not _IDENTIFIER.fullmatch(name) or name.startswith("pg_"):
                raise SettingError("Database", name, "Give lower-case letters, digits and '_', such as 'mcpmesh'.")
        if not self.roles:
            raise SettingError(f"Database {self.name!r} roles", self.roles, "Give at least one role.")
        once(f"Database {self.name!r} role", list(self.roles))


@dataclass(frozen=True, kw_only=True)
class PostgresSettings(WorkloadOptions):
    """A PostgreSQL server.

    Args:
        image: The image.
        compute: CPU and memory; the server's buffers follow from the memory limit.
        size: How much storage is claimed.
        storage_class: The storage class; the cluster's default unless given.
        databases: What it holds. They are created when the storage is empty, and only then.
        name: The short name.
    """

    image: Image
    compute: Compute
    size: str
    storage_class: str = ""
    databases: tuple[Database, ...]
    name: str = "postgres"

    def __post_init__(self) -> None:
        """Refuse a database or role that is named twice, since a role has one password, and sizes that cannot work."""
        super().__post_init__()
        Sizing.of(self.compute, self.size)
        once("PostgresSettings.databases", [database.name for database in self.databases])
        once("PostgresSettings role", [role for database in self.databases for role in database.roles])

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The keys its Secret must hold: the superuser's password and one for each role."""
        roles = [role for database in self.databases for role in database.roles]
        return ("password", *(role_key(role) for role in roles))


def role_key(role: str) -> str:
    """The key of a role's password in the server's Secret."""
    return f"{role.replace('_', '-')}-password"


class Postgres(StatefulWorkload):
    """PostgreSQL 15 as a StatefulSet.

    Args:
        scope: A Phase.
        settings: Image, memory, storage and databases.
        secret: A Secret that holds ``settings.secret_keys``.
    """

    def __init__(self, scope: Construct, settings: PostgresSettings, secret: Secret) -> None:
        self.settings = settings
        self.secret = secret
        roles = [role for database in settings.databases for role in database.roles]
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="database",
                availability=settings.availability,
                extras=settings.extras,
                # A fast shutdown ends sessions at once and then writes a checkpoint.
                termination_grace_seconds=60,
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    args=("-c", f"config_file={_CONFIG}/postgresql.conf"),
                    ports=(Port(name="postgres", number=5432, scheme="postgresql"),),
                    variables=(
                        *variables(
                            {
                                "POSTGRES_PASSWORD": secret.key("password"),
                                "POSTGRES_INITDB_ARGS": "--data-checksums --encoding=UTF8 --locale=C",
                                # A folder below the mount point: the volume's root holds lost+found.
                                "PGDATA": f"{_DATA}/pgdata",
                            }
                        ),
                        *(Variable(name=password_variable(role), value=secret.key(role_key(role))) for role in roles),
                    ),
                    # While the first start creates the databases, the server listens on its socket only.
                    probes=Probes.of(
                        Exec(
                            command=(
                                "pg_isready",
                                "--host=127.0.0.1",
                                "--username=postgres",
                                "--dbname=postgres",
                            )
                        ),
                        liveness=TcpSocket(port="postgres"),
                        startup_seconds=300,
                    ),
                    volumes=(
                        Claim(mount_path=_DATA, size=settings.size, storage_class=settings.storage_class),
                        Scratch(name="run", mount_path="/var/run/postgresql", size="16Mi"),
                        Scratch(),
                        Files(
                            mount_path=_CONFIG,
                            files=(
                                File(path="postgresql.conf", content=configuration(settings.compute, settings.size)),
                            ),
                        ),
                        Files(
                            name="init",
                            mount_path="/docker-entrypoint-initdb.d",
                            files=(File(path="10-databases.sh", content=init_script(settings.databases)),),
                            executable=True,
                        ),
                    ),
                ),
            ),
        )

    def mover(self, side: Side) -> PostgresMover:
        """How its databases move: each is dumped in one snapshot, and restored beside the old one."""
        databases = {database.name: database.roles for database in self.settings.databases}
        return PostgresMover(side=side, server=Server.of(self), databases=databases)

    def database(self, name: str, *, role: str) -> Target:
        """A database, as the client that has a role in it sees it.

        The client is introduced by ``POSTGRES_HOST``, ``_PORT``, ``_DB``, ``_USER`` and ``_PASSWORD``, and by
        ``DATABASE_URL``. The URL carries no password, because programs log it; every libpq-like driver takes it
        from ``PGPASSWORD``.

        Raises:
            SettingError: There is no such database, or the role has no part in it.
        """
        database = next((database for database in self.settings.databases if database.name == name), None)
        if database is None:
            known = ", ".join(database.name for database in self.settings.databases)
            raise SettingError(f"{self.full_name} database", name, f"Give one of its databases: {known}.")
        if role not in database.roles:
            raise SettingError(f"{self.full_name} role", role, f"Give one of its roles: {', '.join(database.roles)}.")
        endpoint = self.endpoint("postgres")
        password = self.secret.key(role_key(role))
        url = f"postgresql://{role}@{endpoint.authority}/{name}?sslmode=disable"
        return Target(
            workload=self,
            port="postgres",
            introduction=variables(
                {
                    "POSTGRES_HOST": endpoint.host,
                    "POSTGRES_PORT": str(endpoint.port),
                    "POSTGRES_DB": name,
                    "POSTGRES_USER": role,
                    "POSTGRES_PASSWORD": password,
                    "PGPASSWORD": password,
                    "DATABASE_URL": url,
                }
            ),
            # A login, and not only an answer: a first start that was cut short leaves a server without databases.
            readiness=Readiness(
                command=("psql", "--no-psqlrc", "--command=SELECT 1", url),
                variables=variables({"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "4"}),
            ),
        )


def password_variable(role: str) -> str:
    """The variable by which the init script finds a role's password."""
    return f"{role.upper()}_PASSWORD"


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """What a server may ask of its pod, in MiB, so that all of it together fits.

    Args:
        shared_buffers: A quarter of the memory, as PostgreSQL's documentation advises for a server of its own.
        connections: How many sessions: 100, or as many as fit with 2 MiB of ``work_mem`` each.
        work: What one sort or hash of a session may take before it goes to disk.
        maintenance: What one session may take for an index or a VACUUM.
        autovacuum: What each autovacuum worker may take.
        wal: About how much write-ahead log lies on the claim between two checkpoints; under load twice as much.
        temporary: What the temporary files of one session may take on the claim.
    """

    shared_buffers: int
    connections: int
    work: int
    maintenance: int
    autovacuum: int
    wal: int
    temporary: int

    @staticmethod
    def of(compute: Compute, size: str) -> Sizing:
        """The sizes for a memory limit and a claim.

        Raises:
            SettingError: One of them is too small for a server.
        """
        memory = in_bytes("memory", compute.memory_limit) // _MEBIBYTE
        disk = in_bytes("PostgresSettings.size", size) // _MEBIBYTE
        shared, maintenance, autovacuum = memory // 4, max(16, memory // 16), max(8, memory // 32)
        fixed = shared + -(-shared // 16) + _SHARED_REST + maintenance + _AUTOVACUUM_WORKERS * autovacuum
        left = memory - fixed - (_AUTOVACUUM_WORKERS + _OWN_PROCESSES) * _PROCESS
        connections = min(_MAX_CONNECTIONS, left // (_PROCESS + _LEAST_WORK))
        if connections < _LEAST_CONNECTIONS:
            raise SettingError("PostgresSettings.compute memory", compute.memory_limit, "Give at least 256Mi.")
        if disk < _LEAST_DISK:
            raise SettingError("PostgresSettings.size", size, f"Give at least {_LEAST_DISK}Mi.")
        return Sizing(
            shared_buffers=shared,
            connections=connections,
            work=left // connections - _PROCESS,
            maintenance=maintenance,
            autovacuum=autovacuum,
            wal=min(1024, disk // 8),
            temporary=disk // 8,
        )


def configuration(compute: Compute, size: str) -> str:
    """``postgresql.conf`` for the memory and the claim that the server has: see ``Sizing``.

    The sum holds when each session sorts or hashes once at a time and one session maintains by hand. Nothing is shared
    with helper processes: a container has 64 MB of ``/dev/shm``, and a server of few CPUs gains nothing by them.
    """
    sizing = Sizing.of(compute, size)
    memory = in_bytes("memory", compute.memory_limit) // _MEBIBYTE
    settings = {
        "listen_addresses": "'*'",
        "max_connections": sizing.connections,
        "shared_buffers": _size(sizing.shared_buffers),
        "effective_cache_size": _size(memory * 3 // 4),
        "maintenance_work_mem": _size(sizing.maintenance),
        "autovacuum_work_mem": _size(sizing.autovacuum),
        "autovacuum_max_workers": _AUTOVACUUM_WORKERS,
        "work_mem": _size(sizing.work),
        # A hash may take no more than a sort.
        "hash_mem_multiplier": 1,
        "temp_buffers": "1MB",
        # Compiled queries take memory that nothing bounds.
        "jit": "off",
        # Parallel queries and maintenance share memory in /dev/shm, which a container has 64 MB of.
        "max_parallel_workers": 0,
        "max_parallel_workers_per_gather": 0,
        "max_parallel_maintenance_workers": 0,
        # Log, and what sessions sort on disk, lie on the claim beside the data.
        "max_wal_size": _size(sizing.wal),
        "max_slot_wal_keep_size": _size(sizing.wal),
        "temp_file_limit": _size(sizing.temporary),
        "checkpoint_completion_target": 0.9,
        "random_page_cost": 1.1,
        "password_encryption": "'scram-sha-256'",
        "idle_in_transaction_session_timeout": "'5min'",
        "log_min_duration_statement": "'1s'",
        "log_lock_waits": "on",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
    }
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


def _size(mebibytes: int) -> str:
    """A size as PostgreSQL itself says it."""
    return f"{mebibytes // 1024}GB" if mebibytes % 1024 == 0 else f"{mebibytes}MB"


def init_script(databases: tuple[Database, ...]) -> str:
    """The script that the image runs once, on empty storage: databases, roles, and nothing for the public."""
    parts = []
    for database in databases:
        owner = f" OWNER {database.roles[0]}" if len(database.roles) == 1 else ""
        roles = "".join(
            f"\\getenv password {password_variable(role)}\nCREATE ROLE {role} LOGIN PASSWORD :'password';\n"
            for role in database.roles
        )
        grants = "".join(
            f"GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {database.name} TO {role};\n" for role in database.roles
        )
        schemas = (
            "".join(f"CREATE SCHEMA {role} AUTHORIZATION {role};\n" for role in database.roles)
            if len(database.roles) > 1
            else ""
        )
        parts.append(
            f"{roles}CREATE DATABASE {database.name}{owner};\n"
            f"REVOKE ALL ON DATABASE {database.name} FROM PUBLIC;\n{grants}"
            f"\\connect {database.name}\nREVOKE ALL ON SCHEMA public FROM PUBLIC;\n{schemas}\\connect postgres\n"
        )
    required = "".join(
        f': "${{{password_variable(role)}:?is not set}}"\n' for database in databases for role in database.roles
    )
    sql = "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;\n" + "".join(parts)
    return (
        "#!/bin/sh\n"
        "# Runs once, when the storage is empty. psql reads the passwords from the environment, so that no command\n"
        "# line shows them, and the server logs no statement, be it wrong or slow.\n"
        "set -eu\n"
        f"{required}"
        "export PGOPTIONS='-c log_statement=none -c log_min_error_statement=panic -c log_min_duration_statement=-1'\n"
        "psql --no-psqlrc --set=ON_ERROR_STOP=1 --username=\"${POSTGRES_USER:-postgres}\" --dbname=postgres <<'SQL'\n"
        f"{sql}SQL\n"
    )
