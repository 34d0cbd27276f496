"""This module is the proof that the task of PostgreSQL brings the real server to what the settings say."""

import copy
import os
import re
import shutil
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import pytest

from ai_interviewer import DEV, AiInterviewer
from conftest import Manifests, read_manifests
from mcpmesh_k8s import Database, Postgres, SettingError, Target
from mcpmesh_k8s.operations.upgrade import breaking_changes, notes_on
from mesh_harness import LOCALHOST, InventedSecrets, Loopback, Manifest, find, pod_environment
from processes import Account
from reading import objects_of
from test_postgres_runtime import (
    CLIENTS,
    DATABASES,
    IN_EVERY_PASSWORD,
    KEYS,
    POSTGRES,
    PROBES,
    SECRETS,
    TASK,
    Server,
    account,
    first_start_,
    new_server,
)
from test_postgres_runtime import first_start as begin_files

__all__ = ["account", "first_start_"]

CHANGES = re.compile(r"\s*(CREATE|ALTER|GRANT|REVOKE|COMMIT)\b")
PLACES = re.compile(r"TEMPORARY TABLE")
INSUFFICIENT_PRIVILEGE = "42501"
DONE = "roles and databases are what the settings say"


class OtherSecrets(InventedSecrets):
    """The passwords of the tests, but for one key."""

    def __init__(self, key: str, value: str) -> None:
        self._other = (POSTGRES, key), value

    def __missing__(self, name_and_key: tuple[str, str]) -> str:
        """The other one, or that of all tests."""
        return self._other[1] if name_and_key == self._other[0] else SECRETS[name_and_key]


class Between:
    """Someone between the task and the server, who reads the statements, and kills the task before one of them."""

    def __init__(self, server: int, stop_before: int = 0) -> None:
        self.statements: list[str] = []
        self.kill: Callable[[], None] = lambda: None
        self._server, self._stop_before, self._lock = server, stop_before, threading.Lock()
        self._listener = socket.create_server((LOCALHOST, 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((LOCALHOST, self._server))
                for target, arguments in ((self._forth, (client, server)), (self._back, (server, client))):
                    threading.Thread(target=target, args=arguments, daemon=True).start()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError), client, server:
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, struct.error), client, server, client.makefile("rb") as stream:
            head = stream.read(4)
            server.sendall(head + stream.read(struct.unpack("!i", head)[0] - 4))
            while kind := stream.read(1):
                head = stream.read(4)
                body = stream.read(struct.unpack("!i", head)[0] - 4)
                statement = body[:-1].decode()
                if kind == b"Q" and CHANGES.match(statement) and not PLACES.search(statement):
                    with self._lock:
                        self.statements.append(statement)
                        if len(self.statements) == self._stop_before:
                            self.kill()
                            break
                server.sendall(kind + head + body)
            # The other thread waits for an answer, and would keep the session.
            server.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let nobody in any more."""
        self._listener.close()


def cut_short(server: Server, before: int) -> tuple[list[str], str]:
    """Run the task, kill it before it sends its n-th change; the changes it meant to make, and what it said."""
    between = Between(server.port, before)
    try:
        task = server.task(port=between.port)
        between.kill = lambda: os.killpg(task.pid, signal.SIGKILL)
        said, _ = task.communicate(timeout=30)
        assert task.returncode == (-signal.SIGKILL if before else 0)
        return between.statements, said
    finally:
        between.close()


def comparable(text: str) -> list[str]:
    """Each password has a salt of its own, rights stand in the order they were given, and for ever is said or not."""
    return sorted(re.sub(r"SCRAM-SHA-256\$[^']+| VALID UNTIL 'infinity'", "", text).splitlines())


def require_clients(server: Server) -> None:
    """Refuse a server into which a client cannot log in, or in which it cannot keep a table."""
    for client, (role, database) in CLIENTS.items():
        me = server.client(client)
        asked = ("SELECT current_user, current_database()", "CREATE TABLE kept (); DROP TABLE kept")
        assert server.ask(*asked, **me) == [f"{role}|{database}"]


def forget(server: Server) -> None:
    """Take away what the task made, by hand."""
    server.ask(
        "GRANT CONNECT ON DATABASE postgres, template1 TO PUBLIC",
        *(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in DATABASES),
        *(f"DROP ROLE IF EXISTS {role}" for role in (*KEYS, "exporter")),
    )


class Given(TypedDict):
    """What the task is given instead of what lies in dist/."""

    manifests: Sequence[Manifest]


def read(folder: Path) -> Sequence[Manifest]:
    """What was rendered there."""
    return read_manifests(folder)


def given(*databases: Database) -> Given:
    """Dev with other databases."""
    settings = replace(DEV, postgres=replace(DEV.postgres, databases=databases))
    return {"manifests": objects_of(AiInterviewer(settings, outdir="unused"))}


MESH, OWN = DEV.postgres.databases


def test_it_says_what_it_makes_and_cut_short_anywhere_it_is_made_whole_by_the_next_run(
    first_start: Server, long: bool
) -> None:
    whole, told = cut_short(first_start, 0)
    said = told.splitlines()
    assert said[0] == "role backend: made"
    assert {"database mcpmesh: made", "database ai_interviewer: schema backend made"} < set(said)
    assert f"role backend: its password is now that of {POSTGRES}, key backend-password" in said
    assert said[-1] == DONE
    before = first_start.everything()
    assert "CREATE DATABASE mcpmesh" in before
    assert "PASSWORD 'SCRAM-SHA-256$" in before
    assert first_start.bring() == f"{DONE}\n"
    assert first_start.everything() == before
    require_clients(first_start)
    wanted = comparable(before)
    assert len(whole) > 20
    kinds = [statement.split()[:2] for statement in whole]
    # Of several statements of one kind in a row the first is enough, but for databases: each is a transaction.
    points = [
        (number, statement)
        for number, statement in enumerate(whole, start=1)
        if kinds[number - 1] != kinds[number - 2] or kinds[number - 1] == ["CREATE", "DATABASE"]
    ]
    short = [max(point for point in points if point[1].startswith("CREATE DATABASE"))]  # one of two is there
    for number, statement in points if long else short:
        forget(first_start)
        assert cut_short(first_start, number)[0][-1].split()[:3] == statement.split()[:3]
        first_start.bring()
        assert comparable(first_start.everything()) == wanted, f"cut before {statement}"
    require_clients(first_start)


def test_files_whose_making_was_killed_at_any_time_are_made_anew(
    manifests: Manifests, account: Account, long: bool
) -> None:
    """The image made them in their place, and took half of them for a server."""
    rendered = manifests("dev")
    with account.folder(of_data=True) as folder:
        data = folder / "data"
        data.mkdir()
        account.own(data)
        places = Loopback(mounts={"/var/lib/postgresql/data": data})
        unfinished, kills = data / "pgdata.unfinished", 0
        signs = ["PG_VERSION", "postgresql.conf", "global/pg_control", "base/1/PG_VERSION", "base/4/PG_VERSION"]
        if not long:
            signs = signs[2:3]
        for sign in signs:
            process = begin_files(rendered, account, folder, places)
            while process.poll() is None and not (unfinished / sign).exists():
                time.sleep(0.001)
            kills += process.poll() is None
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            assert not (data / "pgdata").exists(), sign
            assert unfinished.exists()
        assert kills == len(signs)
        assert begin_files(rendered, account, folder, places).wait(30) == 0
        assert [path.name for path in data.iterdir()] == ["pgdata"]
        before = (data / "pgdata/global/pg_control").read_bytes()
        assert begin_files(rendered, account, folder, places).wait(30) == 0
        assert (data / "pgdata/global/pg_control").read_bytes() == before


def test_what_is_no_servers_is_left_alone(manifests: Manifests, account: Account) -> None:
    with account.folder(of_data=True) as folder:
        (folder / "pgdata").mkdir()
        (folder / "pgdata/letter").write_text("of somebody")
        account.own(folder / "pgdata")
        places = Loopback(mounts={"/var/lib/postgresql/data": folder})
        assert begin_files(manifests("dev"), account, folder, places).wait(30) == 1
        assert (folder / "pgdata/letter").read_text() == "of somebody"
        assert "holds something that is no server's, and is left alone" in (folder / "first-start.log").read_text()


def test_what_an_earlier_first_start_left_half_made_is_made_whole_and_two_runs_at_once_do_no_harm(
    first_start: Server, long: bool
) -> None:
    """A script made all of it on empty storage once: cut short, it left the first database and no role."""
    first_start.ask(
        "CREATE ROLE mcpmesh LOGIN PASSWORD 'of before'",
        "CREATE DATABASE mcpmesh OWNER mcpmesh",
    )
    for again in range(2 if long else 1):
        if again:
            forget(first_start)
        tasks = [first_start.task() for _ in range(2)]
        said = [task.communicate(timeout=60)[0] for task in tasks]
        assert [task.returncode for task in tasks] == [0, 0], said
        require_clients(first_start)


@pytest.fixture(scope="module", name="brought")
def brought_(manifests: Manifests, account: Account) -> Generator[Server, None, None]:
    """The server of dev with its databases. What a test has it add, it leaves to the next."""
    with new_server(manifests("dev"), account, brought=True) as server:
        yield server


def test_a_role_and_a_database_that_come_later_are_made_while_the_server_runs(brought: Server) -> None:
    pid = brought.pod.process.pid
    brought.ask("CREATE TABLE kept (); INSERT INTO kept DEFAULT VALUES", **brought.client("backend"))
    later = given(
        MESH,
        replace(OWN, roles=(*OWN.roles, "reports")),
        Database(name="audit", roles=("backend", "reports"), extensions=("pgcrypto",)),
    )
    assert "role reports: made" in brought.bring(**later)
    own, url = SECRETS[POSTGRES, "reports-password"], f"postgresql://reports@{LOCALHOST}:{brought.port}"
    for database in ("ai_interviewer", "audit"):
        assert brought.ask("SELECT current_schema()", url=f"{url}/{database}", PGPASSWORD=own) == ["reports"]
    digest = "SELECT encode(public.digest('', 'md5'), 'hex')"
    assert brought.ask(digest, url=f"{url}/audit", PGPASSWORD=own) == ["d41d8cd98f00b204e9800998ecf8427e"]
    assert brought.ask("SELECT count(*) FROM kept", **brought.client("backend")) == ["1"]
    assert brought.pod.process.pid == pid
    assert brought.pod.process.poll() is None
    # The server's own pod has no key that a role may lack. It is restarted once, to let the role in.
    before, after = (
        copy.deepcopy(find(objects, "StatefulSet", POSTGRES)) for objects in (brought.manifests, later["manifests"])
    )
    for stateful in (before, after):
        stateful["spec"]["template"]["metadata"]["annotations"].pop("checksum/config")
    assert before == after


def test_what_is_no_longer_named_stays_and_its_role_is_kept_out(brought: Server) -> None:
    more = given(MESH, OWN, Database(name="audit", roles=("backend", "reports")))
    brought.bring(**more)
    reports = {
        "url": f"postgresql://reports@{LOCALHOST}:{brought.port}/audit",
        "PGPASSWORD": SECRETS[POSTGRES, "reports-password"],
    }
    brought.ask("CREATE TABLE kept AS SELECT 7 AS n", **reports)
    # A role that loses its part in a database.
    brought.bring(**given(MESH, OWN, Database(name="audit", roles=("reports",))))
    me = brought.client("backend")
    refusal = 'pg_hba.conf rejects connection for host "127.0.0.1", user "{}", database "audit"'
    done = brought.psql("SELECT", url=me["url"].replace("/ai_interviewer?", "/audit?"), PGPASSWORD=me["PGPASSWORD"])
    assert refusal.format("backend") in done.stderr
    assert brought.ask("SELECT has_database_privilege('backend', 'audit', 'CONNECT')") == ["f"]
    # A database, and the role that is in no other.
    *changed, last = brought.bring().splitlines()
    assert last == DONE
    assert all(line.endswith("times at once") for line in changed), changed
    assert refusal.format("reports") in brought.psql("SELECT", **reports).stderr
    brought.bring(**more)
    assert brought.ask("SELECT n FROM kept", **reports) == ["7"]


def test_a_role_that_was_alone_keeps_its_tables_when_others_come(brought: Server) -> None:
    """In a schema of its own it would make its tables again, and find them empty."""
    me = brought.client("registry")
    brought.ask("CREATE TABLE kept AS SELECT 7 AS n", **me)
    brought.bring(**given(replace(MESH, roles=("mcpmesh", "reports")), OWN))
    brought.ask("CREATE TABLE IF NOT EXISTS kept (n int)", **me)
    assert brought.ask("SELECT n FROM kept", **me) == ["7"]
    other = {"url": me["url"].replace("mcpmesh@", "reports@"), "PGPASSWORD": SECRETS[POSTGRES, "reports-password"]}
    brought.ask("CREATE TABLE kept ()", **other)
    done = brought.psql("SELECT n FROM public.kept", **other)
    assert "permission denied for schema public" in done.stderr
    assert "must be owner of database" in brought.psql("ALTER DATABASE mcpmesh SET work_mem = '1GB'", **me).stderr


def test_a_reader_reads_what_is_there_and_what_comes_and_changes_nothing(brought: Server) -> None:
    keeper = brought.client("registry")
    brought.ask(
        "CREATE TABLE before AS SELECT 1 AS n", "CREATE SCHEMA own", "CREATE TABLE own.before (n int)", **keeper
    )
    read_by = given(replace(MESH, readers=("looker",)), replace(OWN, readers=("watcher",)))
    said = brought.bring(**read_by)
    assert "role looker: made" in said
    assert brought.bring(**read_by) == f"{DONE}\n"
    brought.ask(
        "CREATE TABLE after AS SELECT 2 AS n",
        "CREATE VIEW seen AS SELECT n FROM after",
        "CREATE SCHEMA later",
        "CREATE TABLE later.after (n int)",
        **keeper,
    )
    reader = {
        "url": f"postgresql://looker@{LOCALHOST}:{brought.port}/mcpmesh",
        "PGPASSWORD": SECRETS[POSTGRES, "looker-password"],
    }
    assert brought.ask("SELECT n FROM before UNION SELECT n FROM seen ORDER BY n", **reader) == ["1", "2"]
    assert brought.ask("SELECT count(*) FROM own.before, later.after", **reader) == ["0"]

    def changes() -> list[str]:
        """What it may do beside reading."""
        tried = (
            *("INSERT INTO after VALUES (3)", "UPDATE before SET n = 3", "DELETE FROM after", "TRUNCATE after"),
            *("DROP TABLE before", "CREATE TABLE mine ()", "CREATE SCHEMA mine", "CREATE TEMPORARY TABLE mine ()"),
        )
        # In one session, for a program takes longer to start than to ask: how each statement ended.
        turns = [("BEGIN", statement, r"\echo :SQLSTATE", "ROLLBACK") for statement in tried]
        done = brought.psql(*(part for turn in turns for part in turn), **reader)
        answers = dict(zip(tried, done.stdout.split(), strict=True))
        assert set(answers.values()) <= {"00000", INSUFFICIENT_PRIVILEGE}, answers
        return [statement for statement, state in answers.items() if state == "00000"]

    assert changes() == []
    # What somebody gave it is taken away, and what somebody took is given back.
    url = "postgresql:///mcpmesh?user=postgres"
    brought.ask("GRANT ALL ON after TO looker", "GRANT CREATE ON SCHEMA public TO looker", url=url)
    brought.ask("GRANT ALL ON DATABASE mcpmesh TO looker", "REVOKE ALL ON before FROM looker", url=url)
    assert len(changes()) == 6
    healed = brought.bring(**read_by)
    assert "database mcpmesh: TRUNCATE on after taken from looker" in healed
    assert changes() == []
    assert brought.ask("SELECT n FROM before", **reader) == ["1"]
    # It is nobody elsewhere, and of several roles it reads each one's.
    other = reader["url"].replace("/mcpmesh", "/ai_interviewer")
    said = brought.psql("SELECT", **{**reader, "url": other}).stderr
    assert 'pg_hba.conf rejects connection for host "127.0.0.1", user "looker", database "ai_interviewer"' in said
    assert brought.ask("SELECT has_database_privilege('looker', 'ai_interviewer', 'CONNECT')") == ["f"]
    brought.ask("CREATE TABLE seven AS SELECT 7 AS n", **brought.client("backend"))
    watcher = {"url": other.replace("looker", "watcher"), "PGPASSWORD": SECRETS[POSTGRES, "watcher-password"]}
    assert brought.ask("SELECT n FROM backend.seven", **watcher) == ["7"]
    # Whoever is named no more is not let in.
    brought.let_in_as(brought.manifests)
    said = brought.psql("SELECT", **reader).stderr
    assert 'pg_hba.conf rejects connection for host "127.0.0.1", user "looker", database "mcpmesh"' in said


def test_a_client_that_waits_says_which_database_and_role_it_lacks_and_what_to_do(brought: Server) -> None:
    assert brought.probes() == dict.fromkeys(PROBES, "exit 0")
    advice = f"(job/{TASK} makes both: its log says why it has not, and a deployment runs it again)"
    where = f"waiting for 127.0.0.1:{brought.port}, database ai_interviewer for role backend: "

    def line() -> str:
        started, said = brought.wait("backend", seconds=1)
        assert not started
        return said.splitlines()[0]

    brought.ask("ALTER ROLE backend RENAME TO nobody")
    said = line()
    assert said.startswith(where)
    assert 'password authentication failed for user "backend"' in said, "So is refused who is not there."
    assert said.endswith(advice)
    brought.ask("ALTER ROLE nobody RENAME TO backend")
    brought.ask("ALTER DATABASE ai_interviewer RENAME TO elsewhere")
    assert 'FATAL:  database "ai_interviewer" does not exist' in line()
    brought.bring()
    assert brought.wait("backend", seconds=30)[0]


RULES, TOLD = "may log in, and rules nothing", f"its password is now that of {POSTGRES}, key"
# What somebody changes by hand: in which database, how, and what the task says of it. One run heals those of a group.
# Of two groups, because the second is about what the first takes away.
BROKEN: tuple[dict[str, tuple[str, str, str]], ...] = (
    {
        "a right to enter": (
            "postgres",
            "REVOKE CONNECT ON DATABASE ai_interviewer FROM backend",
            "database ai_interviewer: CONNECT granted to backend",
        ),
        "every right": (
            "postgres",
            "REVOKE ALL ON DATABASE mcpmesh FROM mcpmesh; REVOKE ALL ON DATABASE ai_interviewer FROM interview_agent",
            "database mcpmesh: TEMPORARY granted to mcpmesh",
        ),
        "the door open": (
            "postgres",
            "GRANT CONNECT ON DATABASE ai_interviewer, postgres, template1 TO PUBLIC",
            "database template1: closed to who is not named",
        ),
        "a way into another's database": (
            "postgres",
            "GRANT CONNECT ON DATABASE mcpmesh TO backend",
            "database mcpmesh: closed to backend",
        ),
        "the schema of all": (
            "ai_interviewer",
            "GRANT ALL ON SCHEMA public TO PUBLIC",
            "database ai_interviewer: schema public closed to who is not named",
        ),
        "no right in its own schema": (
            "ai_interviewer",
            "REVOKE ALL ON SCHEMA backend FROM backend",
            "database ai_interviewer: USAGE on schema backend granted to backend",
        ),
        "a schema that is gone": (
            "ai_interviewer",
            "DROP SCHEMA interview_agent",
            "database ai_interviewer: schema interview_agent made",
        ),
        "a login that is closed": ("postgres", "ALTER ROLE backend NOLOGIN", f"role backend: {RULES}"),
        "a password that has run out": (
            "postgres",
            "ALTER ROLE interview_agent VALID UNTIL '2020-01-01'",
            f"role interview_agent: {RULES}",
        ),
        "powers": (
            "postgres",
            "ALTER ROLE mcpmesh SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS",
            f"role mcpmesh: {RULES}",
        ),
        "all connections": (
            "postgres",
            "ALTER ROLE backend CONNECTION LIMIT -1",
            "role backend: may log in 20 times at once",
        ),
        "another password": (
            "postgres",
            "ALTER ROLE backend PASSWORD 'of somebody'",
            f"role backend: {TOLD} backend-password",
        ),
        "no password": (
            "postgres",
            "ALTER ROLE interview_agent PASSWORD NULL",
            f"role interview_agent: {TOLD} interview-agent-password",
        ),
        "a password that is not of SCRAM": (
            "postgres",
            "SET password_encryption = 'md5'; ALTER ROLE mcpmesh PASSWORD 'x'",
            f"role mcpmesh: {TOLD} mcpmesh-password",
        ),
    },
    {
        "another's schema": (
            "ai_interviewer",
            "ALTER SCHEMA backend OWNER TO postgres",
            "database ai_interviewer: schema backend belongs to backend",
        ),
        "another's database": (
            "postgres",
            "ALTER DATABASE mcpmesh OWNER TO backend",
            "database mcpmesh: belongs to mcpmesh",
        ),
    },
)


@pytest.fixture(scope="module")
def made(manifests: Manifests, account: Account) -> Generator[tuple[Server, list[str]], None, None]:
    """The server of dev with its databases, and what they are."""
    with new_server(manifests("dev"), account, brought=True) as server:
        yield server, comparable(server.everything())


def test_what_was_changed_by_hand_is_healed(made: tuple[Server, list[str]]) -> None:
    server, before = made
    for group in BROKEN:
        for database, statements, _ in group.values():
            server.ask(*statements.split("; "), url=f"postgresql:///{database}?user=postgres")
        said = server.bring().splitlines()
        assert [what for what, (_, _, line) in group.items() if line not in said] == [], said
        assert comparable(server.everything()) == before
        require_clients(server)


def test_after_every_healing_nothing_is_left_to_do(made: tuple[Server, list[str]]) -> None:
    server, _ = made
    assert server.bring() == f"{DONE}\n"


def test_a_new_password_in_the_secret_reaches_the_server_and_nobody_else(
    made: tuple[Server, list[str]], tmp_path: Path
) -> None:
    """It is in no argument, in nothing that the task says, and not in the log of the server, as no other is.

    Each psql tells its arguments to a file before it becomes the real one; the server logs each statement.
    """
    server, _ = made
    real = shutil.which("psql")
    tmp_path.chmod(0o755)
    tell = tmp_path / "psql"
    tell.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/arguments\nexec {real} "$@"\n')
    tell.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    new = (IN_EVERY_PASSWORD + "-'\"$HOME\\%:@/#?&`!*;$(id) " * 20)[:200]
    server.ask(*(f"ALTER ROLE {role} PASSWORD NULL" for role in (*KEYS, "exporter")))
    said = server.bring(PATH=path, secrets=OtherSecrets("backend-password", new))
    assert said.count(TOLD) == len(KEYS) + 1
    me = server.client("backend")
    assert server.psql("SELECT", **me).returncode != 0
    assert server.psql("SELECT", url=me["url"], PGPASSWORD=new).returncode == 0
    said += server.fails(PATH=path, secrets=OtherSecrets("backend-password", f"{new}\n"))
    arguments = (tmp_path / "arguments").read_text()
    assert "\\password backend" in arguments
    server.ask("SELECT 'logged'")
    log = server.pod.output
    assert "SELECT 'logged'" in log, "Nothing is logged."
    assert 'password authentication failed for user "backend"' in log
    for text in (said, arguments, log):
        assert IN_EVERY_PASSWORD not in text
        assert "SCRAM-SHA-256$" not in text
    server.bring()
    require_clients(server)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("", f"error: key backend-password of {POSTGRES} is empty: give it a value, then deploy again"),
        (
            "x\n",
            f"error: key backend-password of {POSTGRES} holds a line break: give it a value without, then deploy again",
        ),
    ],
    ids=["empty", "a line break"],
)
def test_a_password_that_is_none_is_refused_by_its_name(
    made: tuple[Server, list[str]], value: str, sentence: str
) -> None:
    server, _ = made
    assert server.fails(secrets=OtherSecrets("backend-password", value)) == f"{sentence}\n"
    require_clients(server)


def test_a_wrong_password_of_the_superuser_is_one_clear_sentence(made: tuple[Server, list[str]]) -> None:
    server, _ = made
    said = server.fails(secrets=OtherSecrets("password", "a wrong one"))
    assert said == (
        f"error: the server refuses the password of postgres that is in {POSTGRES}, key password. Who changes it must "
        f"tell the server too: kubectl exec -it statefulset/{POSTGRES} -- psql --username=postgres "
        "--command='\\password postgres'\n"
    )


def test_an_extension_that_the_image_lacks_is_named(made: tuple[Server, list[str]]) -> None:
    server, _ = made
    wrong = given(replace(MESH, extensions=("no_such_thing",)), OWN)
    said = server.fails(**wrong)
    assert "no_such_thing" in said
    assert said.endswith("error: database mcpmesh is not as it should be: see above\n")


def test_it_waits_for_a_server_that_is_not_there_yet_and_says_why(made: tuple[Server, list[str]]) -> None:
    server, _ = made
    with socket.socket() as closed:
        closed.bind((LOCALHOST, 0))
        task = server.task(port=closed.getsockname()[1])
        assert task.stdout is not None
        line = task.stdout.readline()
        assert line.startswith("waiting for 127.0.0.1:")
        assert "Connection refused" in line
        os.killpg(task.pid, signal.SIGKILL)
        task.communicate()


@contextmanager
def refused(sentence: str) -> Generator[None]:
    with pytest.raises(SettingError, match=sentence):
        yield


def test_names_that_the_server_has_itself_are_refused() -> None:
    for name in ("postgres", "template1", "public"):
        with refused("The server has that itself"):
            Database(name=name, roles=("a",))
        with refused("The server has that itself"):
            Database(name="a", roles=(name,))
        with refused("The server has that itself"):
            Database(name="a", roles=("a",), readers=(name,))
    with refused("Database 'a' role: 'b' was given"):
        Database(name="a", roles=("a", "b"), readers=("b",))
    with refused("'pgcrypto'"):
        Database(name="a", roles=("a",), extensions=("PgCrypto",))


def test_one_client_uses_two_databases_of_one_server(brought: Server, tmp_path: Path) -> None:
    databases = (MESH, OWN, Database(name="audit", roles=("backend", "auditor")))
    application = AiInterviewer(
        replace(DEV, postgres=replace(DEV.postgres, databases=databases)), outdir=tmp_path / "two"
    )
    (postgres,) = application.find_all(Postgres)
    backend = next(pod for pod in application.pods if pod.name == "backend")
    with refused("'ai-interviewer-postgres' was given. Its port 'postgres' is connected already"):
        backend.connects_to(Target(workload=postgres))
    with refused("'audit' was given. Give capitals"):
        postgres.database("audit", role="backend", prefix="audit")
    with refused("variable: 'POSTGRES_HOST' was given"):
        backend.connects_to(postgres.database("audit", role="auditor"))
    backend.connects_to(postgres.database("audit", role="auditor", prefix="AUDIT_"), wait=True)
    application.synth()
    rendered = read(tmp_path / "two")
    brought.bring(manifests=rendered)
    deployment = find(rendered, "Deployment", "ai-interviewer-backend")
    waits = [container["name"] for container in deployment["spec"]["template"]["spec"]["initContainers"]]
    assert waits == ["wait-for-postgres", "wait-for-redis", "wait-for-postgres-2"]
    loopback = Loopback(services={f"{POSTGRES}:5432": brought.port})
    given = pod_environment(deployment, "backend", secrets=SECRETS, loopback=loopback)
    for prefix, password, who in (
        ("", "PGPASSWORD", "backend|ai_interviewer"),
        ("AUDIT_", "AUDIT_POSTGRES_PASSWORD", "auditor|audit"),
    ):
        url = given[f"{prefix}DATABASE_URL"]
        asked = brought.ask("SELECT current_user, current_database()", url=url, PGPASSWORD=given[password])
        assert asked == [who]
    (policy,) = (
        m for m in rendered if m["kind"] == "NetworkPolicy" and m["metadata"]["name"] == "ai-interviewer-backend"
    )
    peers = [rule["to"][0]["podSelector"]["matchLabels"] for rule in policy["spec"]["egress"]]
    assert peers.count({"app.kubernetes.io/name": POSTGRES}) == 1


def test_check_upgrade_says_what_becomes_of_databases_and_roles() -> None:
    def rendered(*databases: Database) -> Sequence[Manifest]:
        return given(*databases)["manifests"]

    audit = Database(name="audit", roles=("backend",), readers=("auditor",))
    before, after = rendered(MESH, OWN), rendered(MESH, OWN, audit)
    assert breaking_changes(before, after) == ()
    assert notes_on(before, after) == (
        f"database audit is new: job/{TASK} makes it at the deployment",
        f"role auditor is new: job/{TASK} makes it at the deployment",
        f"Secret {POSTGRES} is asked for more than before: give it auditor-password first, or what asks does not start",
    )
    gone = breaking_changes(after, before)
    assert [change.allowance for change in gone] == [
        f"ConfigMap/{TASK}:databases.audit",
        f"ConfigMap/{TASK}:roles.auditor",
    ]
    assert "It stays, with its data" in gone[0].why
    assert "Nobody is let in as it any more" in gone[1].why
    assert "REASSIGN OWNED BY auditor TO" in gone[1].instead
    (shut,) = breaking_changes(rendered(MESH, replace(OWN, roles=("backend", "interview_agent", "mcpmesh"))), before)
    assert shut.allowance == f"ConfigMap/{TASK}:databases.ai_interviewer.roles.mcpmesh"
    assert "kept out of the database" in shut.why
