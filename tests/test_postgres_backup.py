"""This module is the proof that PostgreSQL is backed up by the rendered task, on the real server."""

import os
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from backup_harness import BackupPod, copy_claim, drilled, seal
from mesh_harness import LOCALHOST, Manifest, free_port
from processes import Account
from test_postgres_runtime import SECRETS, Server, account, starting

__all__ = ["account"]

NAME = "ai-interviewer-postgres-backup"
QUOTED = 'table backend."it\'s ""here"" too"'


@pytest.fixture(scope="module")
def rendered() -> Sequence[Manifest]:
    """Production, whose newest backup is tried."""
    return drilled()


@pytest.fixture(scope="module")
def server(rendered: Sequence[Manifest], account: Account) -> Generator[Server, None, None]:
    """The server, with something in both databases."""
    with (
        account.folder(of_data=True) as folder,
        starting(rendered, account, folder, free_port(), f"listen_addresses={LOCALHOST}", brought=True) as served,
    ):
        fill(served)
        yield served


def fill(server: Server) -> None:
    """Put something in: rows, a sequence, rows that only one role sees, and a name that has to be quoted."""
    server.ask(
        "CREATE TABLE agents (id serial PRIMARY KEY, note text)",
        "INSERT INTO agents (note) SELECT 'said ' || n FROM generate_series(1, 500) AS n",
        **server.client("registry"),
    )
    server.ask(
        """CREATE TABLE "it's ""here"" too" (at timestamptz, amount numeric, data bytea)""",
        """INSERT INTO "it's ""here"" too" VALUES ('2026-11-30 02:30:00+01', 1.50, '\\x00ff'), (NULL, NULL, NULL)""",
        "CREATE TABLE own (who text)",
        "ALTER TABLE own ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE own FORCE ROW LEVEL SECURITY",
        "CREATE POLICY own ON own TO backend USING (who = 'me')",
        "ALTER TABLE own NO FORCE ROW LEVEL SECURITY",
        "INSERT INTO own VALUES ('me'), ('you')",
        "ALTER TABLE own FORCE ROW LEVEL SECURITY",
        **server.client("backend"),
    )


def task(rendered: Sequence[Manifest], server: Server, folder: Path) -> BackupPod:
    """The task, with an empty claim."""
    where = {"PGHOST": LOCALHOST, "PGPORT": str(server.port)}
    return BackupPod(manifests=rendered, name=NAME, root=folder, secrets=SECRETS, variables=where)


@pytest.fixture
def pod(rendered: Sequence[Manifest], server: Server, tmp_path: Path) -> BackupPod:
    """It, for one test."""
    return task(rendered, server, tmp_path)


def test_a_backup_is_complete_and_says_what_is_in_it(pod: BackupPod, server: Server) -> None:
    said = pod.run()
    (name,) = pod.names
    assert f"event=backup store=postgres name={name} bytes=" in said
    (manifest,) = pod.listed()
    files = sorted(path.name for path in (pod.backups / name / "data").iterdir())
    assert files == [
        "ai_interviewer.counts",
        "ai_interviewer.dump",
        "globals.sql",
        "mcpmesh.counts",
        "mcpmesh.dump",
        "roles.json",
    ]
    assert (manifest["format"], manifest["store"], manifest["name"], manifest["files"]) == (1, "postgres", name, 6)
    assert manifest["bytes"] == sum((pod.backups / name / "data" / file).stat().st_size for file in files)
    assert manifest["taken"]["version"] == server.ask("SHOW server_version")[0]
    counts = {row[1]: row[2] for row in manifest["taken"]["facts"]["inventory"]["ai_interviewer"] if row[0] == "count"}
    assert counts == {QUOTED: 2, "table backend.own": 2, "large objects": 0}
    assert "role" in (pod.backups / name / "data/globals.sql").read_text().lower()
    assert "SCRAM" not in "".join(
        (pod.backups / name / "data" / file).read_text() for file in ("globals.sql", "roles.json")
    )


def as_backup(server: Server, *sql: str, database: str = "ai_interviewer") -> str:
    """What the role of the backup is told, or why it is refused."""
    url = f"postgresql://backup@{LOCALHOST}:{server.port}/{database}?sslmode=disable"
    done = server.psql(*sql, url=url, PGPASSWORD=SECRETS["ai-interviewer-postgres", "backup-password"])
    return (done.stdout + done.stderr).strip()


def test_its_role_reads_all_rows_and_can_do_nothing_else(server: Server) -> None:
    assert as_backup(server, "SELECT count(*) FROM backend.own") == "2"
    refused = {
        "INSERT INTO backend.own VALUES ('them')": "permission denied for table own",
        "UPDATE backend.own SET who = 'them'": "permission denied for table own",
        "DELETE FROM backend.own": "permission denied for table own",
        "TRUNCATE backend.own": "permission denied for table own",
        "DROP TABLE backend.own": "must be owner of table own",
        "CREATE TABLE backend.mine ()": "permission denied for schema backend",
        "CREATE TABLE public.mine ()": "permission denied for schema public",
        "CREATE TEMPORARY TABLE mine ()": "permission denied to create temporary tables",
        "CREATE SCHEMA mine": "permission denied for database ai_interviewer",
        "CREATE DATABASE mine": "permission denied to create database",
        "CREATE ROLE mine": "permission denied to create role",
        "SELECT pg_read_file('/etc/passwd')": "permission denied for function pg_read_file",
        "SET ROLE postgres": 'permission denied to set role "postgres"',
    }
    # In one session, for a program takes longer to start than to ask: each statement has an error of its own.
    lines = [line for line in as_backup(server, *refused).splitlines() if line.startswith("ERROR:")]
    said = [line.removeprefix("ERROR:  ")[: len(word)] for line, word in zip(lines, refused.values(), strict=True)]
    assert said == [*refused.values()]
    # In the words of 15, and in those after it.
    assert "privileges of the" in as_backup(server, "COPY backend.own TO PROGRAM 'cat'")
    # Who reads all reads what the server keeps of passwords: no password, and of 48 random digits none can be guessed.
    assert as_backup(server, "SELECT rolpassword FROM pg_authid").startswith("SCRAM-SHA-256$")


def test_a_large_object_of_somebody_else_is_refused_by_name(pod: BackupPod, server: Server) -> None:
    """It would take a superuser: a backup that silently lacks one is none."""
    client = server.client("backend")
    server.ask("SELECT lo_from_bytea(4711, 'large')", **client)
    try:
        said = pod.run(status=1)
        assert "permission denied for large object 4711" in said
        assert pod.names == []
    finally:
        server.ask("SELECT lo_unlink(4711)", **client)


def test_a_server_that_is_away_is_waited_for_and_then_told(pod: BackupPod, tmp_path: Path) -> None:
    """Five minutes, of which nobody waits here."""
    patient = tmp_path / "patient"
    patient.mkdir()
    (patient / "sleep").write_text(f"#!/bin/sh\necho slept >>{tmp_path}/slept\n")
    (patient / "sleep").chmod(0o755)
    nobody = str(free_port())
    said = pod.run({"PGPORT": nobody, "PATH": f"{patient}:{os.environ['PATH']}"}, status=1)
    assert f"error: {LOCALHOST}:{nobody} takes nobody in: psql: error: connection to server" in said
    assert (tmp_path / "slept").read_text().count("slept") == 59
    assert pod.names == []


@pytest.fixture(scope="module")
def taken(rendered: Sequence[Manifest], server: Server, tmp_path_factory: pytest.TempPathFactory) -> BackupPod:
    """The task, with a backup in its claim."""
    pod = task(rendered, server, tmp_path_factory.mktemp("taken"))
    pod.run()
    return pod


@pytest.fixture
def drill(rendered: Sequence[Manifest], taken: BackupPod, account: Account) -> Generator[BackupPod]:
    """The drill of what the task wrote, as whoever may start a PostgreSQL."""
    with account.folder(of_data=True) as folder:
        found = BackupPod(
            manifests=rendered,
            name="ai-interviewer-postgres-drill",
            root=folder / "drill",
            secrets=SECRETS,
            account=account,
        )
        copy_claim(taken, found)
        yield found


def test_a_drill_restores_the_newest_and_then_tells_what_is_not_as_it_was_counted(drill: BackupPod) -> None:
    """The second finds nothing of the first one's server. The counts are changed before it, and the checksums with
    them, as if rows were missing from the dump.
    """
    said = drill.run()
    assert "database ai_interviewer: restored; 3 tables, sequences and the like are the same" in said
    assert "database mcpmesh: restored; 3 tables, sequences and the like are the same" in said
    (name,) = drill.names
    assert f"event=drill store=postgres name={name} bytes=" in said
    folder = drill.backups / name
    counts = folder / "data/mcpmesh.counts"
    counts.write_text(counts.read_text().replace(", 500,", ", 501,"))
    seal(folder)
    said = drill.run(status=1)
    assert "error: database mcpmesh does not hold what was counted" in said
    assert f"error: the backup {name} of postgres cannot be restored: see above" in said


@pytest.mark.parametrize("how", ["truncated", "another", "missing", "of another store"])
def test_a_drill_refuses_a_file_that_is_not_what_was_written(drill: BackupPod, how: str) -> None:
    (name,) = drill.names
    dump = drill.backups / name / "data/mcpmesh.dump"
    if how == "truncated":
        dump.write_bytes(dump.read_bytes()[:-1])
    elif how == "another":
        dump.write_bytes(dump.read_bytes()[:-1] + b"x")
    elif how == "missing":
        dump.unlink()
    else:
        manifest = drill.backups / name / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"store":"postgres"', '"store":"other"'))
    said = drill.run(status=1)
    expected = {
        "missing": "mcpmesh.dump is missing",
        "of another store": "has no backup of postgres",
    }
    assert expected.get(how, "mcpmesh.dump is not what was written") in said
