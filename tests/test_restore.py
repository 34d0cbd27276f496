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
    manifests: Manifests, account: Account, tmp_path: Path, operate: Operate
) -> None:
    rendered, export, again = manifests("prod"), tmp_path / "restored", tmp_path / "again"
    with served(rendered, account) as server:
        fill(server)
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
        status, said = operate(*command, f"--data={again}", "--confirm=trial")
        assert status == 0, said
        assert content(server) == before
        kept = "postgresql:///mcpmesh_before_2?user=postgres"
        assert server.ask("SELECT note FROM agents ORDER BY id DESC LIMIT 1", url=kept) == ["after the backup"]
