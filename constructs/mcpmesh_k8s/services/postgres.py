"""This module is PostgreSQL: databases and a role for each client, tuned to the memory it has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from constructs import Construct

from mcpmesh_k8s.images import POSTGRES_EXPORTER
from mcpmesh_k8s.kubernetes import (
    Alert,
    Certificate,
    Claim,
    Compute,
    Container,
    Exec,
    File,
    Files,
    Image,
    MetricsEndpoint,
    PodExtras,
    Port,
    Probe,
    Probes,
    Readiness,
    Scratch,
    Secret,
    SecretKey,
    Server,
    SettingError,
    Severity,
    Side,
    StatefulWorkload,
    Target,
    TaskOptions,
    TcpSocket,
    TlsClient,
    User,
    WorkloadOptions,
    WorkloadSettings,
    client_files,
    dataclass,
    in_bytes,
    once,
    read_script,
    store_certificate,
    variables,
)

from ._postgres_mover import PostgresMover
from ._rotations import PostgresRotation
from .backup import Backup, BackupProgram, StoreBackup
from .postgres_databases import (
    BACKUP,
    EXPORTER,
    SUPERUSER,
    USER,
    Database,
    PostgresDatabases,
    encryption,
    encryption_query,
    role_key,
    roles_of,
)

_PREFIX = re.compile(r"[A-Z][A-Z0-9_]*_")
_DATA = "/var/lib/postgresql/data"
_CONFIG = "/etc/postgresql"
_FILES = Path(__file__).with_name("postgres_files")
_MEBIBYTE = 2**20
_MAX_CONNECTIONS, _LEAST_CONNECTIONS = 100, 10
_OF_SUPERUSER = 3  # superuser_reserved_connections
_OF_EXPORTER, _OF_BACKUP = 5, 4  # said by the SQL that makes their roles, too
_AUTOVACUUM_WORKERS = 3
_OWN_PROCESSES = 8  # the postmaster, checkpointer, writers, launchers, and one for a command of the operator's
_PROCESS = 5  # MiB that a process takes for itself before it sorts; measured by the tests
_LEAST_WORK = 2  # MiB; with less, most sorts go to disk
_SHARED_REST = 16  # MiB of shared memory beside the buffers and what grows with them
_LEAST_DISK = 512  # MiB


@dataclass(frozen=True, kw_only=True)
class PostgresExporter:
    """What tells a collector of metrics how PostgreSQL is: a sidecar, whose role sees statistics and reads no table.

    The statistics hold the statements that clients run at the moment, and so what is written into them.

    Args:
        image: The image.
        compute: CPU and memory.
        database: The database that it enters, and whose tables it counts: a server tells of the tables of one at a
            time. The first of the server's unless given.
    """

    image: Image = POSTGRES_EXPORTER
    compute: Compute = Compute(cpu="10m", memory="32Mi", cpu_limit="100m", memory_limit="64Mi")
    database: str = ""


@dataclass(frozen=True, kw_only=True)
class RoleConnections:
    """How many sessions a role may have at once.

    Args:
        role: The role.
        most: How many, all of its client's pods together.
    """

    role: str
    most: int

    def __post_init__(self) -> None:
        """Refuse a limit with which nobody comes in."""
        if self.most < 1:
            raise SettingError(f"RoleConnections.most of {self.role!r}", self.most, "Give 1 or more.")


@dataclass(frozen=True, kw_only=True)
class PostgresSettings(WorkloadOptions):
    """A PostgreSQL server.

    Args:
        image: The image.
        compute: CPU and memory; the server's buffers follow from the memory limit.
        size: How much storage is claimed.
        storage_class: The storage class; that of ``ApplicationSettings.storage_class`` unless given.
        databases: What it holds. A task brings the server to it at each deployment, and never drops anything.
        connections: How many sessions a role may have at once. The other roles share the rest equally: of those that
            the server takes, 3 are kept for its superuser, 5 for the exporter and 4 for backups.
        databases_extras: What is added to the pods of that task. Unless given, they may run where the server may, and
            their image is pulled as the server's is.
        backup: How it is backed up; not at all with ``None``. Its Secret then needs no key for that.
        exporter: Its metrics; none with ``None``, and its Secret needs one key less.
        name: The short name. The task's is ``<name>-databases``.
    """

    image: Image
    compute: Compute
    size: str
    storage_class: str = ""
    databases: tuple[Database, ...]
    connections: tuple[RoleConnections, ...] = ()
    databases_extras: PodExtras | None = None
    backup: Backup | None = None
    exporter: PostgresExporter | None = PostgresExporter()
    name: str = "postgres"

    def __post_init__(self) -> None:
        """Refuse a database that is named twice, and sizes that cannot work."""
        super().__post_init__()
        names = [database.name for database in self.databases]
        if not names:
            raise SettingError(
                "PostgresSettings.databases", self.databases, "Nobody could come in. Give Database(name=…, roles=(…,))."
            )
        once("PostgresSettings.databases", names)
        once("PostgresSettings.connections", [one.role for one in self.connections])
        roles = roles_of(self.databases)
        for one in self.connections:
            if one.role not in roles:
                raise SettingError(
                    "PostgresSettings.connections", one.role, f"Give one of the roles: {', '.join(roles)}."
                )
        _ = self.connection_limits
        if self.exporter and self.exporter.database and self.exporter.database not in names:
            raise SettingError(
                "PostgresExporter.database", self.exporter.database, f"Give one of the server's: {', '.join(names)}."
            )

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The keys its Secret must hold: the superuser's password, and one for each role, of whatever kind."""
        others = [*([EXPORTER] if self.exporter else []), *([BACKUP] if self.backup else [])]
        return ("password", *(role_key(role) for role in (*roles_of(self.databases), *others)))

    @property
    def connection_limits(self) -> Mapping[str, int]:
        """How many sessions each role may have at once, so that nobody takes the connections of another.

        Raises:
            SettingError: The server does not take so many.
        """
        taken = Sizing.of(self.compute, self.size).connections
        reserve = _OF_SUPERUSER + (_OF_EXPORTER if self.exporter else 0) + (_OF_BACKUP if self.backup else 0)
        given = {one.role: one.most for one in self.connections}
        others = [role for role in roles_of(self.databases) if role not in given]
        left = taken - reserve - sum(given.values())
        if left < len(others):
            raise SettingError(
                "PostgresSettings.connections",
                f"{sum(given.values())} and {len(others)} roles without a number",
                f"With {self.compute.memory_limit} of memory the server takes {taken}, and {reserve} are kept for its "
                f"superuser, the exporter and backups. Give {taken - reserve} in all at most, or more memory.",
            )
        return {role: given.get(role) or left // len(others) for role in roles_of(self.databases)}

    @property
    def counted_database(self) -> str:
        """The database whose tables the exporter counts; none where there is no exporter."""
        if not self.exporter:
            return ""
        names = [self.exporter.database, *(database.name for database in self.databases), SUPERUSER]
        return next(filter(None, names))


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
        self.certificate = store_certificate(
            scope, settings.name, services=(f"{settings.name}-pods",), local=settings.exporter is not None
        )
        """The certificate that it shows, where the application says that its stores speak TLS."""
        ready = Exec(command=_IS_READY)
        if self.certificate:
            ready = Exec(command=("/bin/sh", f"{_CONFIG}/ready.sh", Certificate.FOLDER, "/tmp/tls.crt", *_IS_READY))
        claim = Claim(mount_path=_DATA, size=settings.size, storage_class=settings.storage_class)
        # A folder below the mount point: the volume's root holds lost+found.
        place = variables({"PGDATA": f"{_DATA}/pgdata"})
        # Alive is who says anything, such as that he still recovers. One that hangs takes connections.
        alive = Exec(command=("/bin/sh", "-c", '"$@" --timeout=2; [ $? -lt 2 ]', "alive", *_IS_READY))
        # The image would make the files in their place, and take those of a first start that was cut short for whole.
        first_start = Container(
            name="first-start",
            image=settings.image,
            user=USER,
            compute=settings.compute,
            command=("/bin/sh", "-c", read_script(_FILES / "first-start.sh")),
            variables=(
                *place,
                *variables(
                    {
                        "POSTGRES_PASSWORD": secret.key("password"),
                        "POSTGRES_INITDB_ARGS": "--data-checksums --encoding=UTF8 --locale=C",
                    }
                ),
            ),
            volumes=(claim,),
        )
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="database",
                one_at_a_time="It is one server, and two would know nothing of each other's data.",
                availability=settings.availability,
                extras=settings.extras,
                init_containers=(first_start,),
                # A fast shutdown ends sessions at once and then writes a checkpoint.
                termination_grace_seconds=60,
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    args=("-c", f"config_file={_CONFIG}/postgresql.conf"),
                    log_pattern=_LOG,
                    ports=(
                        Port(
                            name="postgres",
                            number=5432,
                            scheme="postgresql",
                            tls=TlsClient.POSTGRES if self.certificate else None,
                        ),
                    ),
                    variables=place,
                    probes=replace(
                        Probes.of(ready, liveness=alive, startup_seconds=300, hung_grace_seconds=10),
                        # Agents wait for the registry, which waits for it, and are taken for dead after 43 seconds.
                        liveness=Probe(check=alive, period_seconds=5, failure_threshold=5),
                    ),
                    volumes=(
                        claim,
                        Scratch(name="run", mount_path="/var/run/postgresql", size="16Mi"),
                        Scratch(),
                        Files(
                            mount_path=_CONFIG,
                            files=(
                                File(
                                    path="postgresql.conf",
                                    content=configuration(
                                        settings.compute, settings.size, encrypted=self.certificate is not None
                                    ),
                                ),
                                File(
                                    path="pg_hba.conf",
                                    content=access(settings, "hostssl" if self.certificate else "host"),
                                ),
                                *(
                                    [File(path="ready.sh", content=read_script(_FILES / "ready.sh"))]
                                    if self.certificate
                                    else []
                                ),
                            ),
                        ),
                        *([self.certificate.files()] if self.certificate else []),
                    ),
                ),
                sidecars=(_exporter(settings, settings.exporter, secret, self.certificate),)
                if settings.exporter
                else (),
                metrics=(MetricsEndpoint(),) if settings.exporter else (),
            ),
        )
        options = TaskOptions(
            name=f"{settings.name}-databases",
            # Whoever waits for a database waits for it.
            priority_class=settings.availability.priority_class,
            extras=settings.databases_extras
            or PodExtras(
                placement=settings.extras.placement,
                image_pull_policy=settings.extras.image_pull_policy,
                image_pull_secrets=settings.extras.image_pull_secrets,
            ),
        )
        self.task = PostgresDatabases(
            scope,
            self,
            options,
            settings.databases,
            settings.connection_limits,
            secret,
            exporter=settings.counted_database,
            backed_up=settings.backup is not None,
            certificate=self.certificate,
        )
        """What brings the server to ``settings.databases``."""
        self.backup = (
            StoreBackup(scope, self, "postgres", settings.backup, self._backup_program()) if settings.backup else None
        )
        """What backs it up, where something does."""

    def _backup_program(self) -> BackupProgram:
        """Dumps in custom format, each of one snapshot, and the roles without their passwords: the Secret has those."""
        endpoint = self.endpoint("postgres")
        scripts = ("take.sh", "try.sh", "dump.sh", "inventory.sh")
        names = " ".join(database.name for database in self.settings.databases)
        return BackupProgram(
            image=self.settings.image,
            user=USER,
            files=(
                *(File(path=name, content=read_script(_FILES / name)) for name in scripts),
                *(
                    File(path=name, content=(_FILES / name).read_text(encoding="utf-8"))
                    for name in ("inventory.sql", "state.sql")
                ),
            ),
            variables=variables(
                {
                    "DATABASES": names,
                    "PGHOST": endpoint.host,
                    "PGPORT": str(endpoint.port),
                    "PGCONNECT_TIMEOUT": "5",
                    **encryption(self.certificate),
                    "POSTGRES_USER": BACKUP,
                    "PGPASSWORD": self.secret.key(role_key(BACKUP)),
                }
            ),
            volumes=client_files(self.certificate),
        )

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What its exporter shows."""
        return self._alerts() if self.settings.exporter else ()

    def _alerts(self) -> tuple[Alert, ...]:
        job = f'job="{self.name}"'
        connections = Sizing.of(self.settings.compute, self.settings.size).connections
        return (
            Alert(
                name="PostgresUnreachable",
                # Where PostgreSQL takes connections and says nothing, its exporter waits until Prometheus gives it up.
                expression=(
                    f"pg_up{{{job}}} == 0 or (up{{{job}}} == 0 and on (instance, pod) "
                    f"scrape_duration_seconds{{{job}}} > 4)"
                ),
                for_minutes=3,
                severity=Severity.PAGE,
                summary="PostgreSQL does not answer",
                description="The registry and whoever keeps data need it. Its exporter has had no answer.",
            ),
            Alert(
                name="PostgresConnectionsNearLimit",
                expression=f"sum by (pod) (pg_stat_database_numbackends{{{job}}}) / {connections} > 0.8",
                for_minutes=5,
                severity=Severity.TICKET,
                summary="PostgreSQL has almost all the connections it takes",
                description="{{ $value | humanizePercentage }} of its connections are open. Then it refuses more.",
            ),
            Alert(
                name="PostgresWraparound",
                # It begins to freeze at 200 million, and stops taking writes at 2,100 million.
                expression=f"pg_database_wraparound_age_datfrozenxid_seconds{{{job}}} > 500e6",
                for_minutes=60,
                severity=Severity.TICKET,
                summary="Database {{ $labels.datname }} is not vacuumed",
                description="Its oldest transaction is {{ $value | humanize }} old. At 2.1G it takes no more writes.",
            ),
            Alert(
                name="PostgresDeadlocks",
                expression=f"increase(pg_stat_database_deadlocks{{{job}}}[1h]) > 5",
                for_minutes=5,
                severity=Severity.TICKET,
                summary="Transactions of {{ $labels.datname }} lock each other out",
                description="{{ $value | printf `%.0f` }} were ended within an hour, and their clients saw an error.",
            ),
            Alert(
                name="PostgresTransactionLong",
                # Autovacuum may be long at work. What idles in a transaction is ended after five minutes.
                expression=(
                    "max by (pod, datname, usename) (pg_stat_activity_max_tx_duration"
                    f'{{{job}, backend_type!~"autovacuum.*"}}) > 1800'
                ),
                for_minutes=5,
                severity=Severity.TICKET,
                summary="A transaction of {{ $labels.usename }} in {{ $labels.datname }} does not end",
                description="It has run for {{ $value | humanizeDuration }}: it holds locks, and keeps dead rows.",
            ),
        )

    def mover(self, side: Side) -> PostgresMover:
        """How its databases move: each is dumped in one snapshot, and restored beside the old one."""
        databases = {database.name: database.roles for database in self.settings.databases}
        return PostgresMover(side=side, server=Server.of(self), databases=databases)

    def rotation(self, key: SecretKey, side: Side) -> PostgresRotation | None:
        """How a role gets another password: it has one at a time."""
        roles = (*roles_of(self.settings.databases), EXPORTER, BACKUP)
        keys = {"password": SUPERUSER, **{role_key(role): role for role in roles}}
        if key.secret != self.secret.full_name or key.key not in keys:
            return None
        role = keys[key.key]
        waits = (
            "from the change until a client's new pods are ready, its old ones open no new session; the open ones go on"
        )
        meanwhile = {
            SUPERUSER: "no client has it",
            EXPORTER: "the exporter beside the server logs in with it, so PostgreSQL restarts: all sessions end",
            BACKUP: "a backup that runs meanwhile may fail, and the next one reads the new value",
        }
        return PostgresRotation(
            side=side,
            keys=(key.key,),
            meanwhile=meanwhile.get(role, waits),
            restarts=role == EXPORTER,
            server=Server.of(self),
            role=role,
        )

    @property
    def target(self) -> Target:
        """Nobody is let in who does not say as whom.

        Raises:
            SettingError: Whenever it is asked for.
        """
        first = self.settings.databases[0]
        raise SettingError(
            "connects_to",
            self.full_name,
            f"Say to which database and as whom: {self.name}.database({first.name!r}, role={first.roles[0]!r}).",
        )

    def database(self, name: str, *, role: str, prefix: str = "") -> Target:
        """A database, as the client that has a role in it sees it.

        The client is introduced by ``POSTGRES_HOST``, ``_PORT``, ``_DB``, ``_USER`` and ``_PASSWORD``, and by
        ``DATABASE_URL``. The URL carries no password, because programs log it; every libpq-like driver takes it
        from ``PGPASSWORD``.

        Args:
            name: Which of its databases.
            role: As whom the client logs in.
            prefix: What the variables begin with, such as ``AUDIT_``: for a client of several databases, of which one
                has none. ``PGPASSWORD`` is that one's; the others' passwords are in ``AUDIT_POSTGRES_PASSWORD``.

        Raises:
            SettingError: There is no such database, the role has no part in it, or the prefix is none.
        """
        if prefix and not _PREFIX.fullmatch(prefix):
            raise SettingError(
                f"{self.full_name} prefix", prefix, "Give capitals and '_' at the end, such as 'AUDIT_'."
            )
        database = next((database for database in self.settings.databases if database.name == name), None)
        if database is None:
            known = ", ".join(database.name for database in self.settings.databases)
            raise SettingError(f"{self.full_name} database", name, f"Give one of its databases: {known}.")
        if role not in database.logins:
            raise SettingError(
                f"{self.full_name} role",
                role,
                f"Give one of its roles: {', '.join(database.logins)}; or name it in Database({name!r}), among roles=… "
                "or, where it only reads, readers=….",
            )
        endpoint = self.endpoint("postgres")
        password = self.secret.key(role_key(role))
        url = f"postgresql://{role}@{endpoint.authority}/{name}?{encryption_query(self.certificate)}"
        mounted = client_files(self.certificate)
        introduction: dict[str, str | SecretKey] = {
            f"{prefix}POSTGRES_HOST": endpoint.host,
            f"{prefix}POSTGRES_PORT": str(endpoint.port),
            f"{prefix}POSTGRES_DB": name,
            f"{prefix}POSTGRES_USER": role,
            f"{prefix}POSTGRES_PASSWORD": password,
            **({} if prefix else {"PGPASSWORD": password}),
            **(encryption(self.certificate) if self.certificate and not prefix else {}),
            f"{prefix}DATABASE_URL": url,
        }
        return Target(
            workload=self,
            port="postgres",
            introduction=variables(introduction),
            # A login, and not only an answer: a server may be there before its databases are.
            readiness=Readiness(
                command=("psql", "--no-psqlrc", "--no-password", "--command=SELECT 1", url),
                variables=variables({"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "4"}),
                what=f"database {name} for role {role}",
                advice=f"{self.task.reference} makes both: its log says why it has not, and a deployment runs it again",
                volumes=mounted,
            ),
            volumes=mounted,
        )


def _exporter(
    settings: PostgresSettings, exporter: PostgresExporter, secret: Secret, certificate: Certificate | None
) -> Container:
    """The sidecar. Its role is made by the task, so at a first start it waits for that."""
    return Container(
        name=EXPORTER,
        image=exporter.image,
        user=User(uid=65534, gid=65534),
        compute=exporter.compute,
        args=("--collector.database_wraparound", "--log.format=json"),
        ports=(Port(name="metrics", number=9187),),
        variables=variables(
            {
                # Without the password: what it cannot parse, it logs.
                "DATA_SOURCE_NAME": (
                    f"postgresql://{EXPORTER}@localhost:5432/{settings.counted_database}"
                    f"?{encryption_query(certificate)}"
                ),
                "PGPASSWORD": secret.key(role_key(EXPORTER)),
            }
        ),
        probes=Probes.of(TcpSocket(port="metrics")),
        volumes=client_files(certificate),
    )


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


_IS_READY = ("pg_isready", "--host=127.0.0.1", f"--username={SUPERUSER}", "--dbname=postgres")
# The server writes JSON to files alone, which nobody else can read. So what stands before a message is logfmt, and the
# message is text.
_LOG_PREFIX = 'time="%m" pid=%p state=%e %quser="%u" database="%d" '
_LOG = r'^time="[^"]*" pid=\d+ state=\w{5} (user="[^"]*" database="[^"]*" )?(?P<level>[A-Z]+[1-5]?):  '


def access(settings: PostgresSettings, host: str) -> str:
    """``pg_hba.conf``: who comes in, into which databases; the first line that fits counts.

    Who is in the container is the superuser without a password. From elsewhere each role comes into its own databases,
    by SCRAM, whatever privileges it has or was given in others. The superuser comes from elsewhere into what the task
    of the databases looks after, and nowhere else.

    Args:
        settings: The databases, and who else there is.
        host: What lets in from elsewhere: ``host``, or ``hostssl`` where the server has a certificate. Who comes
            without TLS then meets the line that rejects.
    """
    names = [database.name for database in settings.databases]
    let_in = [
        *(([database.name], database.logins) for database in settings.databases),
        *([([settings.counted_database], (EXPORTER,))] if settings.exporter else []),
        ([SUPERUSER, *names], (SUPERUSER, *([BACKUP] if settings.backup else []))),
    ]
    lines = [f"{host} {_quoted(where)} {_quoted(who)} all scram-sha-256" for where, who in let_in]
    ours = [f"local all {SUPERUSER} trust", "local all all reject", *lines]
    return "".join(f"{line}\n" for line in (*ours, "host all all all reject", "host replication all all reject"))


def _quoted(names: Sequence[str]) -> str:
    """Names for ``pg_hba.conf``, where some words mean more without quotes."""
    return ",".join(f'"{name}"' for name in names)


def configuration(compute: Compute, size: str, *, encrypted: bool = False) -> str:
    """``postgresql.conf`` for the memory and the claim that the server has: see ``Sizing``.

    The sum holds when each session sorts or hashes once at a time and one session maintains by hand. Nothing is shared
    with helper processes: a container has 64 MB of ``/dev/shm``, and a server of few CPUs gains nothing by them.
    """
    sizing = Sizing.of(compute, size)
    memory = in_bytes("memory", compute.memory_limit) // _MEBIBYTE
    settings = {
        "hba_file": f"'{_CONFIG}/pg_hba.conf'",
        "listen_addresses": "'*'",
        "max_connections": sizing.connections,
        "superuser_reserved_connections": _OF_SUPERUSER,
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
        "log_line_prefix": f"'{_LOG_PREFIX}'",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        **(_ENCRYPTED if encrypted else {}),
    }
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


_ENCRYPTED = {
    "ssl": "on",
    "ssl_cert_file": f"'{Certificate.FOLDER}/tls.crt'",
    "ssl_key_file": f"'{Certificate.FOLDER}/tls.key'",
    "ssl_min_protocol_version": "'TLSv1.2'",
}


def _size(mebibytes: int) -> str:
    """A size as PostgreSQL itself says it."""
    return f"{mebibytes // 1024}GB" if mebibytes % 1024 == 0 else f"{mebibytes}MB"
