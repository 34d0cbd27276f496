"""This module is the proof that what was backed up comes back: written, backed up, lost, restored and compared.

The backups are made by the rendered tasks on real servers, and restored by the operator's command. `kubectl` executes
on this machine what it is asked to execute beside a server or in the pod that reads.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ai_interviewer import PROD
from ai_interviewer.__main__ import operated
from backup_harness import BackupPod, Cluster
from conftest import Manifests
from mcpmesh_k8s.operations import Minikube
from mcpmesh_k8s.operations.cli import main
from mesh_harness import LOCALHOST, Manifest, free_port
from processes import Account
from test_postgres_backup import fill, task
from test_postgres_databases import comparable
from test_postgres_runtime import Server, account, starting

__all__ = ["account"]

TRIAL = operated(replace(PROD, name="trial", cluster=Minikube(profile="trial")))
"""Production on a cluster of one's own, in which nothing but the replacement of data wants consent."""

TABLES = {"mcpmesh": ("public.agents",), "ai_interviewer": ('backend."it\'s ""here"" too"', "backend.own")}
KINDS = (
    """CREATE SCHEMA "It's Mine" """,
    "CREATE TYPE mood AS ENUM ('sad', 'ok')",
    "CREATE DOMAIN positive AS int CHECK (value > 0)",
    """CREATE TABLE "It's Mine"."T-1 x" (id bigint GENERATED ALWAYS AS IDENTITY, m mood, p positive,
        g int GENERATED ALWAYS AS (p * 2) STORED, j jsonb, a text[], r int4range, EXCLUDE USING gist (r WITH &&))""",
    """INSERT INTO "It's Mine"."T-1 x" (m, p, j, a, r)
        VALUES ('ok', 3, '{"a": [1, null]}', '{a,NULL,"b c"}', '[1,4)')""",
    "CREATE TABLE negative (n int)",
    "INSERT INTO negative VALUES (-1), (1)",
    "ALTER TABLE negative ADD CONSTRAINT positive CHECK (n > 0) NOT VALID",
    "CREATE TABLE child (more int) INHERITS (negative)",
    "CREATE TABLE parent (k int, v text) PARTITION BY RANGE (k)",
    "CREATE TABLE parent_1 PARTITION OF parent FOR VALUES FROM (0) TO (10)",
    r"INSERT INTO parent VALUES (1, 'x'), (2, E'tab\there\nnew\\')",
    "CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM parent",
    "CREATE VIEW seen WITH (security_barrier) AS SELECT * FROM parent",
    "CREATE TABLE named (what regclass, who regrole)",
    "INSERT INTO named VALUES ('parent', 'interview_agent')",
    "CREATE FUNCTION next(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i + 1'",
    "CREATE INDEX by_next ON parent_1 (next(k))",
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'",
    "CREATE TABLE guarded AS SELECT 1 AS x",
    "CREATE TRIGGER no BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION refuse()",
    'CREATE SEQUENCE "Seq-Q" START 7',
    "CREATE UNLOGGED TABLE unlogged AS SELECT 5 AS x",
    "CREATE TABLE nothing ()",
    "INSERT INTO nothing DEFAULT VALUES",
    r"""CREATE TABLE odd AS SELECT 0.1::float8 AS f, 1e-30::real AS g, 'NaN'::numeric AS n,
        'infinity'::timestamptz AS t, '1 mon 2 days'::interval AS i, 12.34::money AS m, '\x00ff'::bytea AS b,
        '0001-01-01 BC'::date AS d""",
    "CREATE STATISTICS together ON k, v FROM parent",
    "ALTER DEFAULT PRIVILEGES FOR ROLE backend GRANT SELECT ON TABLES TO interview_agent",
    "CREATE TABLE long AS SELECT n, repeat(md5(n::text), 8) AS t FROM generate_series(1, 4000) AS n",
)
"""What a database may hold besides."""

Operate = Callable[..., tuple[int, str]]


@pytest.fixture
def operate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Operate:
    """Run a command."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        capfd.readouterr()
        status = main("operate", [TRIAL], list(arguments))
        monkeypatch.undo()
        out, err = capfd.readouterr()
        return status, out + err

    return run


@contextmanager
def served(rendered: Sequence[Manifest], account: Account) -> Generator[Server]:
    """A new PostgreSQL with its databases and roles."""
    with (
        account.folder(of_data=True) as folder,
        starting(rendered, account, folder, free_port(), f"listen_addresses={LOCALHOST}", brought=True) as server,
    ):
        yield server


def content(server: Server) -> dict[str, list[str]]:
    """Every row of every table, and who owns and may do what."""
    rows = {
        table: server.ask(f"COPY (TABLE {table}) TO STDOUT", url=f"postgresql:///{database}?user=postgres")
        for database, tables in TABLES.items()
        for table in tables
    }
    return {**rows, "all that is not rows": comparable(server.everything())}


def connect(folder: Path, server: Server, pod: BackupPod) -> Cluster:
    """A kubectl that reaches this server and these backups."""
    cluster = Cluster(folder / "bin")
    cluster.executes("statefulset/ai-interviewer-postgres", "postgres", server.pod.environment, folder)
    cluster.reads(pod)
    return cluster


def test_what_was_lost_comes_back_to_the_byte_and_what_is_there_is_replaced_with_consent_alone_and_kept(
    manifests: Manifests, account: Account, tmp_path: Path, operate: Operate, long: bool
) -> None:
    """With --long it is replaced too: that of Redis always is, in its own module."""
    rendered, export, again = manifests("prod"), tmp_path / "restored", tmp_path / "again"
    with served(rendered, account) as server:
        fill(server)
        server.ask(*KINDS, **server.client("backend"))
        server.ask("CREATE EXTENSION hstore", url="postgresql:///ai_interviewer?user=postgres")
        before = content(server)
        pod = task(rendered, server, tmp_path / "pod")
        pod.run()
    with served(rendered, account) as server:
        cluster = connect(tmp_path, server, pod)
        (name,) = pod.names
        status, said = operate("restore", "trial", "--store=postgres")
        assert (status, name in said) == (0, True), said
        command = ("restore", "trial", "--store=postgres", "--from=newest")
        status, said = operate(*command, f"--data={export}")
        assert status == 0, said
        assert content(server) == before
        # The pod that read is gone again, and so it was before everything was stopped.
        lines = [line.partition("ai-interviewer ")[2] for line in cluster.others.lines("kubectl")]
        asked = [line for line in lines if line.split(" ")[0] in ("apply", "create", "scale", "patch", "delete")]
        (stopped, *_) = [number for number, line in enumerate(asked) if line.startswith("patch")]
        readers = [line.split(" ")[2] for line in asked if line.startswith("delete pod ai-interviewer-postgres-")]
        assert asked[stopped - 1].startswith(f"delete pod {readers[1]} ")
        # Each had a pod of its own: two people may read at once. Only one of them may bring data in.
        assert len(set(readers)) == len(readers) == 2
        assert [line.split(" ")[0] for line in asked if "filename=- " in f"{line} " and "create" in line] == ["create"]
        assert asked[-2].startswith("patch")
        assert asked[-1] == "delete configmap ai-interviewer-data-move --ignore-not-found"

        server.ask("INSERT INTO agents (note) VALUES ('after the backup')", **server.client("registry"))
        status, said = operate(*command, f"--data={again}")
        assert status != 0
        assert "postgres is not empty: 2 tables and sequences in database mcpmesh" in said
        assert "CONFIRM=trial" in said
        assert not again.exists()
        if not long:
            return
        status, said = operate(*command, f"--data={again}", "--confirm=trial")
        assert status == 0, said
        assert content(server) == before
        kept = "postgresql:///mcpmesh_before_2?user=postgres"
        assert server.ask("SELECT note FROM agents ORDER BY id DESC LIMIT 1", url=kept) == ["after the backup"]
