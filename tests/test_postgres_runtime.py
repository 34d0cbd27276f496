"""This module is the proof that the rendered PostgreSQL runs: its settings, its databases, and who gets into which.

A server is made by the rendered init container, and then the rendered task runs. Only places are translated:
folders, the address and the port.
"""

import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import KEPT, Manifests, grid
from environments import EVERY, SHARED
from log_pipeline import Pipeline
from mesh_harness import (
    LOCALHOST,
    InventedSecrets,
    Loopback,
    Manifest,
    Pod,
    Secrets,
    container_of,
    eventually,
    find,
    free_port,
    mounted,
    pod_environment,
    probe,
    start_pod,
)
from processes import START, Account, serving

PREFIX = "ai-interviewer-"
POSTGRES = f"{PREFIX}postgres"
DATA, SOCKET, CONFIG = "/var/lib/postgresql/data", "/var/run/postgresql", "/etc/postgresql"
TASK = f"{POSTGRES}-databases"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")

DATABASES = {"mcpmesh", "ai_interviewer"}
CLIENTS = {  # the role and the database of each
    "registry": ("mcpmesh", "mcpmesh"),
    "backend": ("backend", "ai_interviewer"),
    "interview-agent": ("interview_agent", "ai_interviewer"),
}
KEYS = {role: f"{role.replace('_', '-')}-password" for role, _ in CLIENTS.values()}


class HostileSecrets(InventedSecrets):
    """Passwords with everything that a shell or SQL could trip over."""

    def __missing__(self, name_and_key: tuple[str, str]) -> str:
        """Invent it."""
        return f"""it's "{super().__missing__(name_and_key)}" \\ $HOME `id` :password %s;--"""


SECRETS = HostileSecrets()
SUPERUSER = "postgresql:///postgres?user=postgres"
IN_EVERY_PASSWORD = f"invented.{POSTGRES}."


@dataclass(frozen=True, kw_only=True)
class Server:
    """A PostgreSQL that runs as its pod would."""

    manifests: Sequence[Manifest]
    pod: Pod
    mounts: Mapping[str, Path]
    port: int

    def psql(self, *sql: str, url: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run statements as the client that has this URL and these variables; as the superuser unless given."""
        options = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password")
        return subprocess.run(
            ["psql", *options, *(f"--command={statement}" for statement in sql), url or SUPERUSER],
            env={**self.pod.environment, **variables},
            capture_output=True,
            text=True,
            timeout=START,
        )

    def ask(self, *sql: str, url: str = "", **variables: str) -> list[str]:
        """The lines of the answer, or of all answers."""
        done = self.psql(*sql, url=url, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def client(self, name: str) -> dict[str, str]:
        """What the pods of a client are given to log in with, its address mapped to this server."""
        manifest = find(self.manifests, "Deployment", PREFIX + name)
        loopback = Loopback(services={f"{POSTGRES}:5432": self.port})
        variables = pod_environment(manifest, name, secrets=SECRETS, loopback=loopback)
        return {"url": variables["DATABASE_URL"], "PGPASSWORD": variables["PGPASSWORD"]}

    def task(
        self, *, manifests: Sequence[Manifest] = (), port: int = 0, secrets: Secrets = SECRETS, **variables: str
    ) -> subprocess.Popen[str]:
        """Start the task as its pod would, without a terminal.

        Args:
            manifests: Others than those of the server.
            port: Another than the server's, such as that of one who listens in between.
        """
        rendered = manifests or self.manifests
        self.let_in_as(rendered)
        job = find(rendered, "Job", TASK)
        folder = self.mounts[CONFIG].parents[1] / f"task-{uuid.uuid4().hex}"
        mounts = mounted(rendered, job, "postgres-databases", root=folder, loopback=Loopback())
        environment = pod_environment(job, "postgres-databases", secrets=secrets, loopback=Loopback())
        assert (environment["PGHOST"], environment["PGPORT"]) == (POSTGRES, "5432")
        places = Loopback(mounts=mounts)
        return subprocess.Popen(
            [places.command(word) for word in container_of(job, "postgres-databases")["command"]],
            env={**environment, "PGHOST": LOCALHOST, "PGPORT": str(port or self.port), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def let_in_as(self, manifests: Sequence[Manifest]) -> None:
        """Let in whom these manifests let in. The pod would be restarted for that; here the file is read anew."""
        (wanted,) = (m["data"]["pg_hba.conf"] for m in manifests if "pg_hba.conf" in (m.get("data") or {}))
        place = self.mounts[CONFIG] / "pg_hba.conf"
        if place.read_text() != wanted:
            (before,) = self.ask("SELECT pg_conf_load_time()")
            place.write_text(wanted)
            self.ask("SELECT pg_reload_conf()")
            assert eventually(lambda: self.ask("SELECT pg_conf_load_time()") != [before], START)

    def bring(self, **options: Any) -> str:
        """Run the task to its good end, and return what it says."""
        said, _ = (task := self.task(**options)).communicate(timeout=START)
        assert task.returncode == 0, said
        return said

    def fails(self, **options: Any) -> str:
        """Run the task to its bad end, and return what it says."""
        said, _ = (task := self.task(**options)).communicate(timeout=START)
        assert task.returncode == 1, said
        return said

    def everything(self) -> str:
        """All roles with their passwords, and all databases with their owners, schemas and grants."""
        dump = [
            ("pg_dumpall", "--globals-only"),
            *(("pg_dump", "--schema-only", "--create", name) for name in DATABASES),
        ]
        texts = [
            subprocess.run(
                [*words, "--username=postgres"],
                env=dict(self.pod.environment),
                capture_output=True,
                text=True,
                check=True,
                timeout=START,
            ).stdout
            for words in dump
        ]
        # Each dump has a key of its own against a psql that is led astray.
        return re.sub(r"\\(un)?restrict \w+", "", "".join(texts))

    def probes(self) -> dict[str, str]:
        """What each probe of the manifest answers."""
        return {kind: probe(self.pod.spec[kind], self.pod) for kind in PROBES}

    def wait(self, client: str, *, seconds: float) -> tuple[bool, str]:
        """Whether the init container of a client that waits lets its pod start in this time, and its log."""
        manifest = find(self.manifests, "Deployment", PREFIX + client)
        loopback = Loopback(services={f"{POSTGRES}:5432": self.port})
        environment = pod_environment(manifest, "wait-for-postgres", secrets=SECRETS, loopback=loopback)
        words = [loopback.address(word) for word in container_of(manifest, "wait-for-postgres")["command"]]
        try:
            done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired as late:
            return False, (late.stdout or b"").decode()
        return done.returncode == 0, done.stdout


@contextmanager
def starting(
    manifests: Sequence[Manifest], account: Account, folder: Path, port: int, *overrides: str, brought: bool = False
) -> Generator[Server, None, None]:
    """The server on the data in this folder, which are made when there are none.

    Args:
        overrides: Settings, as ``name=value``, beside those that are places.
        brought: Whether the task has run: for who asks of a server with its databases, and not of the task.
    """
    manifest = find(manifests, "StatefulSet", POSTGRES)
    mounts = mounted(manifests, manifest, "postgres", root=folder, loopback=Loopback())
    account.own(mounts[DATA], mounts[SOCKET])

    loopback = Loopback(ports={5432: port}, mounts=mounts)
    environment = pod_environment(manifest, "postgres", secrets=SECRETS, loopback=loopback)
    environment["PGDATA"] = loopback.command(environment["PGDATA"])
    # Where its programs look for it unless told otherwise.
    environment |= {"PGHOST": str(mounts[SOCKET]), "PGPORT": str(port)}
    if any(mounts[DATA].iterdir()):  # what the pod does on every start
        assert first_start(manifests, account, folder, loopback).wait(START) == 0, first_start_log(folder)
    else:
        subprocess.run(["cp", "-a", f"{data_of(manifests, account, brought=brought)}/.", mounts[DATA]], check=True)
    # Not waiting for the disk is the one thing that is not as in the pod: it takes most of the time.
    settings = (f"unix_socket_directories={SOCKET}", "fsync=off", *overrides)
    pod = start_pod(
        manifest,
        "postgres",
        environment=environment,
        loopback=loopback,
        root=folder,
        entrypoint=[*account.command, "postgres", *(f"--{setting}" for setting in settings)],
    )
    server = Server(manifests=manifests, pod=pod, mounts=mounts, port=port)
    with serving(pod, lambda: server.psql("SELECT").returncode == 0, stop=signal.SIGINT):
        yield server


def first_start(
    manifests: Sequence[Manifest], account: Account, folder: Path, loopback: Loopback
) -> subprocess.Popen[bytes]:
    """The init container that makes the files of a server, as a process of its own group."""
    manifest = find(manifests, "StatefulSet", POSTGRES)
    environment = pod_environment(manifest, "first-start", secrets=SECRETS, loopback=loopback)
    environment["PGDATA"] = loopback.command(environment["PGDATA"])
    environment["POSTGRES_INITDB_ARGS"] += " --no-sync"
    command = [*account.command, *container_of(manifest, "first-start")["command"]]
    with (folder / "first-start.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def kept(account: Account, on: object, make: Callable[[Path], Path]) -> Path:
    """The data of a new server, by all that they depend on: made by the first of all workers that asks.

    A copy is there in a tenth of the time that making them takes.

    Args:
        make: Makes them below a folder of its own, and says where.
    """
    key = hashlib.sha256(json.dumps([on, account.uid, account.gid]).encode()).hexdigest()
    place = Path(os.environ[KEPT]) / key
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            with account.folder(of_data=True) as folder:
                subprocess.run(["mv", make(folder), place], check=True)
    return place


def data_of(manifests: Sequence[Manifest], account: Account, *, brought: bool) -> Path:
    """The data of a new server as it is rendered, with its databases or without."""
    containers = [(find(manifests, "StatefulSet", POSTGRES), "first-start")]
    if brought:
        containers.append((find(manifests, "Job", TASK), TASK.removeprefix(PREFIX)))
    on = [what_it_starts(manifests, *each) for each in containers]
    return kept(account, on, partial(made, manifests, account, brought=brought))


def what_it_starts(manifests: Sequence[Manifest], manifest: Manifest, name: str) -> Sequence[Any]:
    """A container, whatever it may take, and every file that it is given."""
    container = {key: value for key, value in container_of(manifest, name).items() if key != "resources"}
    volumes = {each["name"]: each for each in manifest["spec"]["template"]["spec"].get("volumes", [])}
    named = [volumes[mount["name"]] for mount in container["volumeMounts"] if mount["name"] in volumes]
    maps = [volume["configMap"]["name"] for volume in named if "configMap" in volume]
    return [container, *(find(manifests, "ConfigMap", name)["data"] for name in maps)]


def made(manifests: Sequence[Manifest], account: Account, folder: Path, *, brought: bool) -> Path:
    """Make what is kept, below this folder."""
    if brought:
        with starting(manifests, account, folder, free_port(), f"listen_addresses={LOCALHOST}") as server:
            server.bring()
        return server.mounts[DATA]
    manifest = find(manifests, "StatefulSet", POSTGRES)
    mounts = mounted(manifests, manifest, "postgres", root=folder, loopback=Loopback())
    account.own(mounts[DATA])
    assert first_start(manifests, account, folder, Loopback(mounts=mounts)).wait(START) == 0, first_start_log(folder)
    return mounts[DATA]


def first_start_log(folder: Path) -> str:
    return (folder / "first-start.log").read_text()


@pytest.fixture(scope="module")
def account(needs_postgresql: Path) -> Account:
    """Whom PostgreSQL runs as, for it refuses to be root."""
    return Account.unprivileged()


@contextmanager
def new_server(
    rendered: Sequence[Manifest], account: Account, *, brought: bool = False
) -> Generator[Server, None, None]:
    """A server before the task has run, or after. Each statement is logged as if it had been a slow one."""
    overrides = (f"listen_addresses={LOCALHOST}", "log_min_duration_statement=0")
    with (
        account.folder(of_data=True) as folder,
        starting(rendered, account, folder, free_port(), *overrides, brought=brought) as started,
    ):
        yield started


# The server of an own cluster is what tests of the task start.
@pytest.fixture(scope="module", params=grid(EVERY, short=SHARED))
def server(request: pytest.FixtureRequest, manifests: Manifests, account: Account) -> Generator[Server, None, None]:
    """The server of an environment, with its databases."""
    rendered = manifests(request.param)
    overrides = (f"listen_addresses={LOCALHOST}",)
    with (
        account.folder(of_data=True) as folder,
        starting(rendered, account, folder, free_port(), *overrides, brought=True) as served,
    ):
        yield served


@pytest.fixture(name="first_start")
def first_start_(manifests: Manifests, account: Account) -> Generator[Server, None, None]:
    """The server of dev, before its task has run."""
    with new_server(manifests("dev"), account) as started:
        yield started


@pytest.fixture
def brought(manifests: Manifests, account: Account) -> Generator[Server, None, None]:
    """The server of dev, after its task has run."""
    with new_server(manifests("dev"), account, brought=True) as started:
        yield started


@pytest.mark.parametrize("environment", EVERY)
def test_the_clients_are_all_that_are_given_a_database(manifests: Manifests, environment: str) -> None:
    given = {json.dumps(m["metadata"]) for m in manifests(environment) if '"DATABASE_URL"' in json.dumps(m)}
    assert {json.loads(metadata)["name"] for metadata in given} == {PREFIX + client for client in CLIENTS}


def test_its_probes_succeed(server: Server) -> None:
    assert server.probes() == dict.fromkeys(PROBES, "exit 0")


def test_how_bad_each_line_of_its_log_is_can_be_read(server: Server) -> None:
    assert server.psql("SELECT 1\n  FROM nowhere").returncode == 1
    assert server.psql("DO $$ BEGIN RAISE WARNING 'level=critical'; END $$").returncode == 0
    lines = Pipeline.of(server.manifests).read("postgres", "postgres", server.pod.output)
    levels = {line.level for line in lines if line.text.startswith("time=")}
    assert levels == {"info", "warn", "error"}, server.pod.output
    (failed,) = (line for line in lines if 'relation "nowhere" does not exist' in line.text)
    assert (failed.level, 'user="postgres" database="' in failed.text) == ("error", True)
    # A statement of several lines is one.
    assert any(line.text.endswith("STATEMENT:  SELECT 1\n\t  FROM nowhere") for line in lines)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_waits_for_it_starts(server: Server, client: str) -> None:
    started, said = server.wait(client, seconds=START)
    assert started
    role, database = CLIENTS[client]
    assert said == f"127.0.0.1:{server.port}, database {database} for role {role} is ready\n"


def test_its_settings_are_those_of_the_file(server: Server) -> None:
    lines = (server.mounts[CONFIG] / "postgresql.conf").read_text().splitlines()
    settings = {name: value.strip("'") for name, value in (line.split(" = ") for line in lines)}
    del settings["listen_addresses"]  # overridden here
    assert settings
    asked = server.ask(*(f"SHOW {name}" for name in settings))
    assert dict(zip(settings, asked, strict=True)) == settings


def test_its_buffers_are_a_quarter_of_the_memory_it_may_use(server: Server) -> None:
    limit = server.pod.spec["resources"]["limits"]["memory"].replace("Gi", " GB")
    assert server.ask(f"SELECT pg_size_bytes(current_setting('shared_buffers')) * 4 = pg_size_bytes('{limit}')") == [
        "t"
    ]


def test_damaged_data_are_noticed(server: Server) -> None:
    assert server.ask("SHOW data_checksums") == ["on"]


def test_both_databases_are_there(server: Server) -> None:
    own = "SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')"
    assert set(server.ask(own)) == DATABASES


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_logs_in_with_what_its_pod_is_given_and_keeps_a_table(server: Server, client: str) -> None:
    me = server.client(client)
    assert server.ask("SELECT current_user, current_database()", **me) == ["|".join(CLIENTS[client])]
    server.ask("CREATE TABLE kept (note text); INSERT INTO kept VALUES ('kept')", **me)
    assert server.ask("SELECT note FROM kept", **me) == ["kept"]
    server.ask("DROP TABLE kept", **me)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("password", ["wrong", SECRETS[POSTGRES, "password"], ""], ids=["wrong", "superuser's", "none"])
def test_without_its_own_password_a_client_is_refused(server: Server, client: str, password: str) -> None:
    done = server.psql("SELECT", **{**server.client(client), "PGPASSWORD": password})
    assert done.returncode != 0
    assert "password" in done.stderr


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_enters_its_own_database_and_no_other(server: Server, client: str) -> None:
    me, (_, own) = server.client(client), CLIENTS[client]
    refused = set[str]()
    for database in server.ask("SELECT datname FROM pg_database WHERE datallowconn"):
        done = server.psql("SELECT", **{**me, "url": me["url"].replace(f"/{own}?", f"/{database}?")})
        if done.returncode != 0:
            assert f'pg_hba.conf rejects connection for host "{LOCALHOST}", user "{CLIENTS[client][0]}"' in done.stderr
            refused.add(database)
    assert refused == {"postgres", "template1", *DATABASES} - {own}


def test_who_owns_a_database_lets_nobody_else_in(server: Server) -> None:
    """It may grant that, and the grant is worth nothing."""
    owner, other = server.client("registry"), server.client("backend")
    server.ask("GRANT CONNECT ON DATABASE mcpmesh TO backend", **owner)
    try:
        done = server.psql("SELECT", **{**other, "url": other["url"].replace("/ai_interviewer?", "/mcpmesh?")})
        assert 'pg_hba.conf rejects connection for host "127.0.0.1", user "backend", database "mcpmesh"' in done.stderr
    finally:
        server.ask("REVOKE CONNECT ON DATABASE mcpmesh FROM backend", **owner)


@pytest.mark.parametrize(("role", "into"), [("postgres", {"postgres", *DATABASES}), ("exporter", {"mcpmesh"})])
def test_who_looks_after_the_server_enters_from_outside_what_it_looks_after(
    server: Server, role: str, into: set[str]
) -> None:
    key = "password" if role == "postgres" else f"{role}-password"
    server.ask("CREATE DATABASE of_somebody")
    try:
        entered = set[str]()
        for database in (*DATABASES, "postgres", "template1", "of_somebody"):
            url = f"postgresql://{role}@{LOCALHOST}:{server.port}/{database}"
            done = server.psql("SELECT", url=url, PGPASSWORD=SECRETS[POSTGRES, key])
            entered |= {database} if done.returncode == 0 else set()
            assert done.returncode == 0 or "pg_hba.conf rejects connection" in done.stderr
        assert entered == into
    finally:
        server.ask("DROP DATABASE of_somebody")


def test_who_may_make_roles_is_as_strong_as_the_superuser(server: Server) -> None:
    """So a role with CREATEROLE in its place would take nothing from whoever has its password. It is so until 16."""
    server.ask("CREATE ROLE maker CREATEROLE CREATEDB LOGIN")
    may = "GRANT pg_execute_server_program TO maker"
    try:
        if int(server.ask("SHOW server_version_num")[0]) >= 160000:
            assert "permission denied to grant role" in server.psql("SET SESSION AUTHORIZATION maker", may).stderr
            return
        server.ask(
            "SET SESSION AUTHORIZATION maker",
            may,
            # From inside the container everybody is let in who says that he is the superuser.
            f"COPY (SELECT 'ALTER ROLE maker SUPERUSER') TO PROGRAM 'psql -U postgres -h {server.mounts[SOCKET]}'",
        )
        assert server.ask("SELECT rolsuper FROM pg_roles WHERE rolname = 'maker'") == ["t"]
    finally:
        server.ask("DROP ROLE maker")


@pytest.mark.parametrize(("owner", "other"), [("backend", "interview-agent"), ("interview-agent", "backend")])
def test_clients_of_one_database_cannot_touch_each_others_tables(server: Server, owner: str, other: str) -> None:
    table = f"{CLIENTS[owner][0]}.private"
    server.ask(f"CREATE TABLE {table} (note text)", **server.client(owner))
    for statement in (
        "SELECT * FROM {}",
        "INSERT INTO {} VALUES ('x')",
        "DROP TABLE {}",
        "GRANT SELECT ON {} TO PUBLIC",
    ):
        done = server.psql(statement.format(table), **server.client(other))
        assert "permission denied for schema" in done.stderr
    server.ask(f"DROP TABLE {table}", **server.client(owner))


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_rules_over_nothing_but_its_own(server: Server, client: str) -> None:
    statements = (
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "ALTER ROLE postgres PASSWORD 'mine'",
        "ALTER SYSTEM SET log_statement = 'all'",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
    )
    done = server.psql(*statements, **server.client(client))
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
    assert len(errors) == len(statements)
    assert all("permission denied" in error or "must be" in error for error in errors), errors


def test_no_client_has_a_privilege_or_is_a_member_of_a_role_that_has(server: Server) -> None:
    privileges = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
    backed_up = any(m["kind"] == "CronJob" for m in server.manifests)
    # Who backs up reads every row: it is no client, and has no other (test_postgres_backup.py).
    backup = ["backup"] if backed_up else []
    assert server.ask(f"SELECT rolname FROM pg_roles WHERE {privileges} ORDER BY 1") == [*backup, "postgres"]
    roles = ", ".join(f"'{role}'" for role, _ in CLIENTS.values())
    groups = f"SELECT DISTINCT roleid::regrole FROM pg_auth_members WHERE member::regrole::text IN ({roles})"
    assert server.ask(groups) == []


MADE_BY_HAND = ("chief SUPERUSER LOGIN PASSWORD 'x'", "guest LOGIN PASSWORD 'x'")


@pytest.fixture
def by_hand(server: Server) -> Generator[Server, None, None]:
    """The server, and roles that somebody made by hand, with every right to enter."""
    server.ask(*(f"CREATE ROLE {role}" for role in MADE_BY_HAND), "GRANT CONNECT ON DATABASE mcpmesh TO guest")
    yield server
    server.ask("REVOKE ALL ON DATABASE mcpmesh FROM guest", "DROP ROLE chief, guest")


@pytest.mark.parametrize(
    ("role", "database", "options", "why"),
    [
        ("chief", "postgres", "", 'pg_hba.conf rejects connection for host "127.0.0.1", user "chief"'),
        ("guest", "mcpmesh", "", 'pg_hba.conf rejects connection for host "127.0.0.1", user "guest"'),
        ("nobody", "mcpmesh", "", 'pg_hba.conf rejects connection for host "127.0.0.1", user "nobody"'),
        ("postgres", "postgres", "", 'password authentication failed for user "postgres"'),
        ("backend", "mcpmesh", "replication=true", "pg_hba.conf rejects replication connection"),
        ("postgres", "mcpmesh", "replication=true", "pg_hba.conf rejects replication connection"),
        ("exporter", "mcpmesh", "", 'password authentication failed for user "exporter"'),
    ],
)
def test_who_is_not_named_is_refused_from_outside(
    by_hand: Server, role: str, database: str, options: str, why: str
) -> None:
    url = f"postgresql://{role}@{LOCALHOST}:{by_hand.port}/{database}?{options}"
    done = by_hand.psql("SELECT 1", url=url, PGPASSWORD="x")
    assert done.returncode != 0
    assert re.search(why, done.stderr), done.stderr


@pytest.mark.parametrize("role", ["backend", "exporter", "chief"])
def test_inside_the_container_there_is_the_superuser_and_nobody_else(by_hand: Server, role: str) -> None:
    done = by_hand.psql("SELECT 1", url=f"postgresql:///postgres?user={role}")
    assert f'pg_hba.conf rejects connection for host "[local]", user "{role}"' in done.stderr


def test_a_password_that_is_kept_as_md5_lets_nobody_in(server: Server) -> None:
    me = server.client("backend")
    server.ask("SET password_encryption = 'md5'; ALTER ROLE backend PASSWORD 'x'")
    assert server.ask("SELECT rolpassword LIKE 'md5%' FROM pg_authid WHERE rolname = 'backend'") == ["t"]
    done = server.psql("SELECT 1", url=me["url"], PGPASSWORD="x")
    assert 'password authentication failed for user "backend"' in done.stderr
    assert 'User "backend" does not have a valid SCRAM secret.' in server.pod.output
    server.bring()
    assert server.ask("SELECT 1", **me) == ["1"]


def test_all_sessions_that_roles_may_have_are_no_more_than_the_server_takes(server: Server) -> None:
    limits = server.ask("SELECT rolname, rolconnlimit FROM pg_roles WHERE rolcanlogin AND NOT rolsuper")
    by_role = {role: int(most) for role, _, most in (line.partition("|") for line in limits)}
    assert set(by_role) >= {role for role, _ in CLIENTS.values()}
    assert min(by_role.values()) >= 1
    (reserved,), (taken,) = server.ask("SHOW superuser_reserved_connections"), server.ask("SHOW max_connections")
    assert sum(by_role.values()) + int(reserved) <= int(taken)
    # The pool of a registry takes 25 unless it is told otherwise (its configuration, DB_MAX_OPEN_CONNECTIONS).
    assert by_role["mcpmesh"] >= 25


def test_a_role_that_has_all_its_sessions_gets_no_more(server: Server) -> None:
    me = server.client("backend")
    server.ask("ALTER ROLE backend CONNECTION LIMIT 0")
    assert 'too many connections for role "backend"' in server.psql("SELECT 1", **me).stderr
    assert server.ask("SELECT 1", **server.client("interview-agent")) == ["1"]
    assert "times at once" in server.bring()
    assert server.ask("SELECT 1", **me) == ["1"]


def test_the_interview_agent_may_ask_again_for_the_schema_it_has(server: Server) -> None:
    me = server.client("interview-agent")
    server.ask("CREATE SCHEMA IF NOT EXISTS interview_agent", **me)
    server.ask("CREATE TABLE interview_agent.asked (); DROP TABLE interview_agent.asked", **me)
