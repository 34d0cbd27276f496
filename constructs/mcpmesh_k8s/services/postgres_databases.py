"""This module is the databases of a PostgreSQL server, and the task that brings the server to what is said of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Certificate,
    Compute,
    Container,
    File,
    Files,
    Secret,
    SettingError,
    StatefulWorkload,
    Target,
    Task,
    TaskOptions,
    TaskSettings,
    TlsClient,
    User,
    Variable,
    client_files,
    dataclass,
    once,
    read_script,
    variables,
)

USER = User(uid=70, gid=70)
"""The user ``postgres`` of the alpine images (docker-library/postgres)."""

DATABASES_FILE = "databases.json"
"""The file of the task's ConfigMap that says which databases there shall be, and who may use them."""

SUPERUSER = "postgres"

BACKUP = "backup"
"""The role that backs up: it reads everything. The SQL of ``postgres_files`` says it too."""

EXPORTER = "exporter"
"""The role that reads statistics, and the sidecar that has it. The SQL of ``postgres_files`` says it too."""

_FILES = Path(__file__).with_name("postgres_files")
_FOLDER = "/etc/postgres-databases"
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_EXTENSION = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
# Servers of earlier versions have a group ``clients``.
_TAKEN = (SUPERUSER, EXPORTER, BACKUP, "clients", "template0", "template1", "public")


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database and the roles that may use it.

    With one role, the database belongs to it. With several, each has a schema of its own name, and none can read
    another's. A role that kept its tables in the schema ``public`` when others came goes on there.

    Args:
        name: Its name.
        roles: The roles that keep data there, one for each client. A role may have a part in several databases.
        readers: The roles that read all of it, what the others will make too, and change nothing.
        extensions: Extensions that the image has, such as ``pgcrypto``. They lie in the schema ``public``.
    """

    name: str
    roles: tuple[str, ...]
    readers: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that SQL would not take unquoted, and those that the server has already."""
        for name in (self.name, *self.logins):
            if not _IDENTIFIER.fullmatch(name) or name.startswith("pg_"):
                raise SettingError("Database", name, "Give lower-case letters, digits and '_', such as 'mcpmesh'.")
            if name in _TAKEN:
                raise SettingError("Database", name, "The server has that itself. Give another name.")
        if not self.roles:
            raise SettingError(f"Database {self.name!r} roles", self.roles, "Give at least one role.")
        once(f"Database {self.name!r} role", list(self.logins))
        once(f"Database {self.name!r} extension", list(self.extensions))
        for extension in self.extensions:
            if not _EXTENSION.fullmatch(extension):
                raise SettingError(f"Database {self.name!r} extensions", extension, "Give a name such as 'pgcrypto'.")

    @property
    def logins(self) -> tuple[str, ...]:
        """All who come in: its roles, and its readers."""
        return (*self.roles, *self.readers)


def roles_of(databases: Sequence[Database]) -> list[str]:
    """Every role, once, in the order they are named."""
    return list(dict.fromkeys(role for database in databases for role in database.logins))


def role_key(role: str) -> str:
    """The key of a role's password in the server's Secret."""
    return f"{role.replace('_', '-')}-password"


def encryption(certificate: Certificate | None) -> dict[str, str]:
    """How libpq, and what is written after it, is told to verify the server, or to speak plainly."""
    if certificate is None:
        return {"PGSSLMODE": "disable"}
    return {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": certificate.authority_file}


def encryption_query(certificate: Certificate | None) -> str:
    """The same in a URL."""
    return "&".join(f"{name.removeprefix('PG').lower()}={value}" for name, value in encryption(certificate).items())


class PostgresDatabases(Task):
    """The task that brings roles, databases, grants and extensions to what the settings say. It never drops anything.

    It runs at each deployment, and is the only pod beside the server's that has the superuser's password. It finds
    done what is done, and goes on where another run was cut short. ``Postgres`` makes it.

    Args:
        scope: Where the server stands.
        server: The server. It is connected.
        options: The task's name, how important it is, and what is added to its pods.
        databases: What the server shall hold.
        limits: How many sessions each role may have at once.
        secret: The server's Secret.
        exporter: The database that the exporter enters; none where there is no exporter.
        backed_up: Whether there shall be a role that backs up.
        certificate: What the server shows, where it speaks TLS.
    """

    def __init__(
        self,
        scope: Construct,
        server: StatefulWorkload,
        options: TaskOptions,
        databases: tuple[Database, ...],
        limits: Mapping[str, int],
        secret: Secret,
        *,
        exporter: str,
        backed_up: bool,
        certificate: Certificate | None = None,
    ) -> None:
        endpoint = server.endpoint("postgres")
        roles = (*roles_of(databases), *([EXPORTER] if exporter else []), *([BACKUP] if backed_up else []))
        passwords = tuple(Variable(name=f"{role.upper()}_PASSWORD", value=secret.key(role_key(role))) for role in roles)
        read = any(database.readers for database in databases)
        optional = {"readers.sql": read, "exporter.sql": bool(exporter), "backup.sql": backed_up}
        sql = ("databases.sql", "schemas.sql", *(name for name, wanted in optional.items() if wanted))
        super().__init__(
            scope,
            TaskSettings(
                name=options.name,
                component="database",
                priority_class=options.priority_class,
                extras=options.extras,
                tls=(TlsClient.POSTGRES,),
                container=Container(
                    name=options.name,
                    image=server.container.image,
                    user=USER,
                    compute=Compute(cpu="50m", memory="64Mi", cpu_limit="200m", memory_limit="64Mi"),
                    command=("/bin/sh", f"{_FOLDER}/databases.sh"),
                    variables=(
                        *variables(
                            {
                                "PGPASSWORD": secret.key("password"),
                                "PGCONNECT_TIMEOUT": "5",
                                **encryption(certificate),
                                # What to name when a password is refused.
                                "SERVER": server.reference,
                                "SECRET_NAME": secret.full_name,
                            }
                        ),
                        *(variables({"EXPORTER_DATABASE": exporter}) if exporter else ()),
                        *passwords,
                    ),
                    volumes=(
                        Files(
                            mount_path=_FOLDER,
                            files=(
                                File(path="databases.sh", content=read_script(_FILES / "databases.sh")),
                                *(File(path=name, content=_sql(name)) for name in sql),
                                File(path=DATABASES_FILE, content=_as_json(databases)),
                                File(path="limits.json", content=f"{json.dumps(limits)}\n"),
                            ),
                        ),
                        *client_files(certificate),
                    ),
                ),
                # It waits for the server itself. What it cannot mend fails at once, and the pod is kept with its log.
                retries=0,
            ),
        )
        introduction = variables({"PGHOST": endpoint.host, "PGPORT": str(endpoint.port)})
        self.connects_to(Target(workload=server, port="postgres", introduction=introduction))


def _sql(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")


def _as_json(databases: Sequence[Database]) -> str:
    """One line a database, so that a diff shows which has changed."""
    # Most databases have no readers. What others are made of stays as it was.
    values = ({k: v for k, v in asdict(database).items() if v or k != "readers"} for database in databases)
    lines = map(json.dumps, values)
    return "[\n" + ",\n".join(f"  {line}" for line in lines) + "\n]\n"
