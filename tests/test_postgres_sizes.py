"""This module is the proof that what PostgreSQL may ask of memory, shared memory and disk fits into its pod."""

import re
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import Manifests, grid
from environments import EVERY, SHARED
from mcpmesh_k8s import Compute, Database, PostgresSettings, SettingError, images
from mcpmesh_k8s.services.postgres import configuration
from mesh_harness import free_port
from processes import Account
from test_postgres_runtime import CONFIG, Server, account, starting

__all__ = ["account"]

MEBIBYTE = 2**20
UNITS = {"MB": MEBIBYTE, "GB": 2**30, "Mi": MEBIBYTE, "Gi": 2**30}
PROCESS = 5 * MEBIBYTE
"""What a session takes beside its sorts, see the test that measures it."""


def in_bytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w+)", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


def settings_of(text: str) -> dict[str, str]:
    return dict(line.split(" = ") for line in text.splitlines())


@pytest.mark.parametrize("size", ["512Mi", "1Gi", "10Gi", "500Gi"])
@pytest.mark.parametrize("memory", ["256Mi", "300Mi", "512Mi", "1Gi", "2Gi", "16Gi"])
def test_whatever_its_sizes_are_all_that_it_may_ask_for_fits(memory: str, size: str) -> None:
    """The sum of PostgreSQL's documentation: buffers, then what each process may take, for all of them at once."""
    settings = settings_of(configuration(Compute(cpu="1", memory=memory), size))
    bytes_of = {name: in_bytes(value) for name, value in settings.items() if value[-2:] in UNITS}
    sessions = int(settings["max_connections"]) * (
        PROCESS + bytes_of["work_mem"] * int(settings["hash_mem_multiplier"])
    )
    workers = int(settings["autovacuum_max_workers"]) * (PROCESS + bytes_of["autovacuum_work_mem"])
    shared = bytes_of["shared_buffers"] * 17 // 16 + 16 * MEBIBYTE
    whole = shared + sessions + workers + bytes_of["maintenance_work_mem"] + 8 * PROCESS
    assert whole <= in_bytes(memory)
    assert whole > in_bytes(memory) * (0.5 if memory == "16Gi" else 0.8), "It leaves unused what it was given."
    disk = 2 * bytes_of["max_wal_size"] + 2 * bytes_of["temp_file_limit"]
    assert disk <= in_bytes(size) // 2, "Half of the claim is for data."
    assert bytes_of["max_slot_wal_keep_size"] <= bytes_of["max_wal_size"]
    assert [settings[name] for name in settings if name.startswith("max_parallel")] == ["0", "0", "0"]
    assert settings["jit"] == "off"


@pytest.mark.parametrize(("memory", "size"), [("128Mi", "10Gi"), ("1Gi", "100Mi")])
def test_what_cannot_work_is_refused(memory: str, size: str) -> None:
    databases = (Database(name="a", roles=("a",)),)
    with pytest.raises(SettingError, match="Give at least"):
        PostgresSettings(image=images.POSTGRES, compute=Compute(cpu="1", memory=memory), size=size, databases=databases)


@pytest.fixture(scope="module", params=grid(EVERY, short=SHARED))
def server(request: pytest.FixtureRequest, manifests: Manifests, account: Account) -> Generator[Server, None, None]:
    """The server of an environment. What processes share are files."""
    overrides = ("listen_addresses=", "dynamic_shared_memory_type=mmap")
    with (
        account.folder(of_data=True) as folder,
        starting(manifests(request.param), account, folder, free_port(), *overrides) as started,
    ):
        yield started


def own_memory(pid: int) -> int:
    """Bytes that a process has for itself."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


HEAVY = {
    "a sort": "SET enable_indexscan = off; SELECT count(*) FROM (SELECT n, t FROM big ORDER BY t, n OFFSET 0) AS s",
    "a hash join": "SET enable_sort = off; SELECT count(*) FROM big a JOIN big b ON a.t = b.t AND a.n = b.n",
    "a hash aggregate": "SET enable_sort = off; SELECT count(*) FROM (SELECT t, count(*) FROM big GROUP BY t) AS s",
    "many tables": "SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON "
    "t.oid = a.atttypid JOIN pg_proc p ON p.oid = t.typinput",
}


@pytest.fixture(scope="module")
def filled(server: Server) -> Server:
    server.ask("CREATE TABLE big AS SELECT n, md5(n::text) AS t FROM generate_series(1, 200000) AS n; ANALYZE big")
    server.ask("CREATE INDEX ON big (n); CREATE INDEX ON big (t)")
    return server


@pytest.mark.parametrize("what", HEAVY)
def test_a_session_takes_no_more_than_it_is_counted_with(filled: Server, what: str) -> None:
    options = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", "postgres", "--username"]
    statements = f"SELECT pg_backend_pid();\n{HEAVY[what]};\nSELECT pg_sleep(0.2);\n"
    work = in_bytes(settings_of((filled.mounts[CONFIG] / "postgresql.conf").read_text())["work_mem"])
    with subprocess.Popen(
        [*options, "postgres"],
        env=dict(filled.pod.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        session.stdin.write(statements)
        session.stdin.close()
        pid, peak = int(session.stdout.readline()), 0
        while session.poll() is None:
            try:
                peak = max(peak, own_memory(pid))
            except (FileNotFoundError, ProcessLookupError):  # of one that has ended, or that ends
                break
            time.sleep(0.005)
    assert session.returncode == 0
    assert MEBIBYTE < peak <= PROCESS + work, f"{peak / MEBIBYTE:.1f} MiB"


def test_shared_memory_is_what_it_is_counted_with(server: Server) -> None:
    (whole, buffers) = server.ask(
        "SELECT pg_size_bytes(current_setting('shared_memory_size'))",
        "SELECT pg_size_bytes(current_setting('shared_buffers'))",
    )
    assert int(whole) <= int(buffers) * 17 // 16 + 16 * MEBIBYTE


def test_one_session_does_not_fill_the_disk(filled: Server) -> None:
    assert filled.psql("SET temp_file_limit = '1GB'", HEAVY["a sort"]).returncode == 0
    done = filled.psql("SET temp_file_limit = '2MB'", HEAVY["a sort"])
    # 18 puts the name in quotes.
    assert re.search('temporary file size exceeds "?temp_file_limit', done.stderr), done.stderr
    refused = filled.psql("SET ROLE pg_monitor; SET temp_file_limit = '1TB'")
    assert "permission denied to set parameter" in refused.stderr, "A client cannot lift it."


CRAMPED = 4 * MEBIBYTE
"""Of shared memory: a container has 64 MB of /dev/shm, and tables a hundred times as large."""


def most_shared_memory(server: Server, *statements: str) -> int:
    """The bytes that statements share between processes, at their peak."""
    segments = Path(server.pod.environment["PGDATA"]) / "pg_dynshmem"

    def shared() -> Iterator[int]:
        for segment in segments.iterdir():
            with suppress(FileNotFoundError):
                yield segment.stat().st_size

    with ThreadPoolExecutor(1) as other:
        asked = other.submit(server.psql, *statements)
        peak = 0
        while not asked.done():
            peak = max(peak, sum(shared()))
            time.sleep(0.002)
    done = asked.result()
    assert (done.returncode, done.stderr) == (0, ""), statements
    return peak


def test_heavy_statements_need_no_shared_memory_of_the_container(filled: Server) -> None:
    """As files, which anybody can measure, where the container has /dev/shm, which only root can make small.

    It is the last to ask of the table, for it takes rows away.
    """
    heavy: Mapping[str, tuple[str, ...]] = {
        "VACUUM": ("DELETE FROM big WHERE n % 2 = 0", "VACUUM (INDEX_CLEANUP ON) big"),
        "an index": ("CREATE INDEX ON big (t, n)",),
        "a join": ("SET parallel_setup_cost = 0", HEAVY["a hash join"]),
        "a parallel VACUUM": ("DELETE FROM big WHERE n % 3 = 0", "VACUUM (PARALLEL 2) big"),
    }
    for what, statements in heavy.items():
        assert most_shared_memory(filled, *statements) <= CRAMPED, what
    several = ("SET max_parallel_workers_per_gather = 2", "SET parallel_setup_cost = 0", "SET work_mem = '64MB'")
    wrong = (*several, HEAVY["a hash join"])
    assert most_shared_memory(filled, *wrong) > CRAMPED, "Nothing here would have been too large."
