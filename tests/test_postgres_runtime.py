"""This module is the proof that the rendered PostgreSQL runs: its settings, its databases, and who gets into which.

A server is made as the image makes it: ``initdb``, a first start that listens on its socket only and runs the init
script, then the start that serves. Only places are translated: folders, the address and the port.
"""

import json
import shlex
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import Manifests
from environments import EVERY
from mesh_harness import (
    LOCALHOST,
    InventedSecrets,
    Loopback,
    Manifest,
    Pod,
    container_of,
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
INIT = "/docker-entrypoint-initdb.d"
SCRIPT = "10-databases.sh"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")

DATABASES = {"mcpmesh", "ai_interviewer"}
CLIENTS = {  # the role and the database of each
    "registry": ("mcpmesh", "mcpmesh"),
    "backend": ("backend", "ai_interviewer"),
    "interview-agent": ("interview_agent", "ai_interviewer"),
}
PASSWORDS = ("MCPMESH_PASSWORD", "BACKEND_PASSWORD", "INTERVIEW_AGENT_PASSWORD")


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

    def run_init_script(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the init script as the image does: as a program, with the variables of the container."""
        environment = {**self.pod.environment, "POSTGRES_USER": "postgres", **variables}
        script = self.mounts[INIT] / SCRIPT
        return subprocess.run([script], env=environment, capture_output=True, text=True, timeout=START)

    def probes(self) -> dict[str, str]:
        """What each probe of the manifest answers."""
        return {kind: probe(self.pod.spec[kind], self.pod) for kind in PROBES}

    def wait(self, client: str, *, seconds: float) -> bool:
        """Whether the init container of a client that waits for PostgreSQL lets its pod start in this time."""
        manifest = find(self.manifests, "Deployment", PREFIX + client)
        loopback = Loopback(services={f"{POSTGRES}:5432": self.port})
        environment = pod_environment(manifest, "wait-for-postgres", secrets=SECRETS, loopback=loopback)
        words = [loopback.address(word) for word in container_of(manifest, "wait-for-postgres")["command"]]
        try:
            done = subprocess.run(words, env=environment, capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


@contextmanager
def starting(
    manifests: Sequence[Manifest], account: Account, folder: Path, port: int, *overrides: str
) -> Generator[Server, None, None]:
    """The server on the data in this folder, which are made when there are none.

    Args:
        overrides: Settings, as ``name=value``, beside those that are places.
    """
    manifest = find(manifests, "StatefulSet", POSTGRES)
    mounts = mounted(manifests, manifest, "postgres", root=folder, loopback=Loopback())
    volumes = {volume["name"]: volume for volume in manifest["spec"]["template"]["spec"]["volumes"]}
    (mounts[INIT] / SCRIPT).chmod(volumes["init"]["configMap"]["defaultMode"] | 0o200)  # written again by the next
    account.own(mounts[DATA], mounts[SOCKET])

    loopback = Loopback(ports={5432: port}, mounts=mounts)
    environment = pod_environment(manifest, "postgres", secrets=SECRETS, loopback=loopback)
    environment["PGDATA"] = loopback.command(environment["PGDATA"])
    # Where its programs look for it unless told otherwise.
    environment |= {"PGHOST": str(mounts[SOCKET]), "PGPORT": str(port)}
    if not Path(environment["PGDATA"]).exists():
        create_data(account, folder, environment)
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


def create_data(account: Account, folder: Path, environment: Mapping[str, str]) -> None:
    """What the image does on empty storage."""
    password = folder / "password"
    password.write_text(environment["POSTGRES_PASSWORD"])
    arguments = [*shlex.split(environment["POSTGRES_INITDB_ARGS"]), "--no-sync"]
    subprocess.run(
        [*account.command, "initdb", "--username=postgres", f"--pwfile={password}", *arguments],
        env=dict(environment),
        cwd=folder,
        capture_output=True,
        check=True,
    )
    # The image trusts its own loopback, too; but a client comes from another pod.
    access = Path(environment["PGDATA"]) / "pg_hba.conf"
    access.write_text("local all all trust\nhost all all all scram-sha-256\n")


@pytest.fixture(scope="module")
def account(needs_postgresql: Path) -> Account:
    """Whom PostgreSQL runs as, for it refuses to be root."""
    return Account.unprivileged()


@pytest.fixture(scope="module", params=EVERY)
def server(request: pytest.FixtureRequest, manifests: Manifests, account: Account) -> Generator[Server, None, None]:
    """The server of an environment, with its databases."""
    rendered, port = manifests(request.param), free_port()
    with account.folder() as folder:
        with starting(rendered, account, folder, port, "listen_addresses=") as first:
            done = first.run_init_script()
            assert done.returncode == 0, done.stderr
        with starting(rendered, account, folder, port, f"listen_addresses={LOCALHOST}") as served:
            yield served


@pytest.fixture
def first_start(manifests: Manifests, account: Account) -> Generator[Server, None, None]:
    """A server on its first start, before its init script."""
    # Each statement is logged as if it had been a slow one.
    overrides = ("listen_addresses=", "log_min_duration_statement=0")
    with (
        account.folder() as folder,
        starting(manifests("dev"), account, folder, free_port(), *overrides) as started,
    ):
        yield started


@pytest.mark.parametrize("environment", EVERY)
def test_the_clients_are_all_that_are_given_a_database(manifests: Manifests, environment: str) -> None:
    given = {json.dumps(m["metadata"]) for m in manifests(environment) if '"DATABASE_URL"' in json.dumps(m)}
    assert {json.loads(metadata)["name"] for metadata in given} == {PREFIX + client for client in CLIENTS}


def test_its_probes_succeed(server: Server) -> None:
    assert server.probes() == {"startupProbe": "open", "readinessProbe": "exit 0", "livenessProbe": "open"}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_waits_for_it_starts(server: Server, client: str) -> None:
    assert server.wait(client, seconds=START)


def test_no_one_starts_while_its_databases_are_being_made(first_start: Server) -> None:
    assert first_start.probes() == {"startupProbe": "closed", "readinessProbe": "exit 2", "livenessProbe": "closed"}
    assert not first_start.wait("registry", seconds=1)


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
            assert "permission denied for database" in done.stderr
            refused.add(database)
    assert refused == {"postgres", "template1", *DATABASES} - {own}


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
    assert server.ask(f"SELECT rolname FROM pg_roles WHERE {privileges}") == ["postgres"]
    roles = ", ".join(f"'{role}'" for role, _ in CLIENTS.values())
    assert not server.ask(f"SELECT roleid::regrole FROM pg_auth_members WHERE member::regrole::text IN ({roles})")


def test_the_interview_agent_may_ask_again_for_the_schema_it_has(server: Server) -> None:
    me = server.client("interview-agent")
    server.ask("CREATE SCHEMA IF NOT EXISTS interview_agent", **me)
    server.ask("CREATE TABLE interview_agent.asked (); DROP TABLE interview_agent.asked", **me)


def test_no_password_is_logged_even_when_the_init_script_fails(first_start: Server) -> None:
    first_start.ask("CREATE ROLE interview_agent")
    done = first_start.run_init_script()
    assert done.returncode != 0
    assert 'role "interview_agent" already exists' in done.stderr
    assert first_start.ask("SELECT datname FROM pg_database WHERE datname = 'mcpmesh'"), "It failed at once."
    assert "statement: CREATE ROLE interview_agent" in first_start.pod.output, "Nothing is logged."
    for output in (first_start.pod.output, done.stdout, done.stderr):
        assert IN_EVERY_PASSWORD not in output


def test_without_a_password_the_init_script_makes_nothing(first_start: Server) -> None:
    everything = "SELECT rolname FROM pg_roles UNION SELECT datname FROM pg_database"
    before = first_start.ask(everything)
    assert before
    for name in PASSWORDS:
        assert IN_EVERY_PASSWORD in first_start.pod.environment[name]
        done = first_start.run_init_script(**{name: ""})
        assert done.returncode != 0
        assert f"{name}: is not set" in done.stderr
        assert first_start.ask(everything) == before
