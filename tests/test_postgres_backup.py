"""This module is the proof that PostgreSQL is backed up by the rendered task, on the real server."""

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from backup_harness import BackupPod
from conftest import Manifests
from mesh_harness import LOCALHOST, Manifest, free_port
from processes import Account
from test_postgres_runtime import SECRETS, Server, account, starting

__all__ = ["account"]

NAME = "ai-interviewer-postgres-backup"
QUOTED = 'table backend."it\'s ""here"" too"'
URL = "postgresql:///{database}?user={role}"


@pytest.fixture(scope="module")
def rendered(manifests: Manifests) -> Sequence[Manifest]:
    """Production, which is backed up."""
    return manifests("prod")


@pytest.fixture(scope="module")
def server(rendered: Sequence[Manifest], account: Account) -> Generator[Server, None, None]:
    """The server, with something in both databases."""
    with (
        account.folder(of_data=True) as folder,
        starting(rendered, account, folder, free_port(), f"listen_addresses={LOCALHOST}") as served,
    ):
        served.bring()
        fill(served)
        yield served


def fill(server: Server) -> None:
    """Put something in: rows, a sequence, rows that only their owner sees, and a name that has to be quoted."""
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
        "CREATE POLICY own ON own USING (who = 'me')",
        "ALTER TABLE own NO FORCE ROW LEVEL SECURITY",
        "INSERT INTO own VALUES ('me'), ('you')",
        "ALTER TABLE own FORCE ROW LEVEL SECURITY",
        **server.client("backend"),
    )


@pytest.fixture
def pod(rendered: Sequence[Manifest], server: Server, tmp_path: Path) -> BackupPod:
    """The task, with an empty claim."""
    return BackupPod(
        manifests=rendered,
        name=NAME,
        root=tmp_path,
        secrets=SECRETS,
        variables={"PGHOST": LOCALHOST, "PGPORT": str(server.port)},
    )


def test_a_backup_is_complete_and_says_what_is_in_it(pod: BackupPod) -> None:
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
    assert manifest["taken"]["version"].startswith("15.")
    counts = {row[1]: row[2] for row in manifest["taken"]["facts"]["inventory"]["ai_interviewer"] if row[0] == "count"}
    assert counts == {QUOTED: 2, "table backend.own": 2, "large objects": 0}
    assert "role" in (pod.backups / name / "data/globals.sql").read_text().lower()
    assert "SCRAM" not in "".join(
        (pod.backups / name / "data" / file).read_text() for file in ("globals.sql", "roles.json")
    )
