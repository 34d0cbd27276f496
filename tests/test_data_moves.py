"""This module is the proof that data move between the Compose stack and the cluster, both ways, whole or not at all.

Both ends are real PostgreSQL and Redis servers; the cluster's are made by the rendered script and configuration.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from ast import literal_eval
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

import mcpmesh_k8s
from ai_interviewer import DEV, PROD, AiInterviewer
from conftest import Manifests, grid, requires
from data_harness import (
    BUCKET,
    CLUSTER_ROOT,
    COMPOSE_ROOT,
    CONTEXT,
    IDLE_CLUSTER,
    IDLE_COMPOSE,
    NAMESPACE,
    End,
    Stage,
    staged,
)
from mcpmesh_k8s import Application, ApplicationSettings, Mover, SettingError, Store, read_script
from mcpmesh_k8s import Side as AnySide
from mcpmesh_k8s.operations.moves import (
    ClusterSide,
    ComposeSide,
    Manifest,
    Owner,
    Server,
    Side,
    Stores,
    export_data,
    import_data,
    stores_of,
    verify_data,
)
from mcpmesh_k8s.operations.moves.export import new_folder
from mcpmesh_k8s.operations.programs import Kubectl, OperationError
from mcpmesh_k8s.services._minio_mover import MinioMover
from mcpmesh_k8s.services._postgres_mover import PostgresMover
from mcpmesh_k8s.services._redis_mover import RedisMover
from mesh_harness import LOCALHOST, eventually, free_port
from processes import Account
from redis_client import ask_redis

SCRIPTS = sorted(Path(mcpmesh_k8s.__file__).parent.glob("services/*_files/*.sh"))

REGISTRY = r"""
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'very happy');
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE TABLE agents (id serial PRIMARY KEY, name citext UNIQUE, seen timestamptz, load double precision, raw bytea,
  info jsonb, tags text[], feels mood, n small, twice int GENERATED ALWAYS AS (n * 2) STORED);
INSERT INTO agents (name, seen, load, raw, info, tags, feels, n)
SELECT 'Agent ' || i, 'epoch'::timestamptz + i * interval '1.000001 s', i / 7.0, decode('00ff0a5c', 'hex'),
  jsonb_build_object('i', i), ARRAY['a,b', NULL, 'c"\d'], 'very happy', i % 100 FROM generate_series(1, 3000) i;
CREATE TABLE identity (id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 10), note text);
INSERT INTO identity (note)
VALUES (E'tab\there'), (E'line\nbreak'), (E'\\.'), ('back\slash'), (NULL), (''), ('żółć 🦆');
CREATE TABLE "We ird ""Näme"" 🦆" ("co l" text, t text, "select" int);
INSERT INTO "We ird ""Näme"" 🦆" VALUES ('x', 'y', 1), ('x', 'y', 1);
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE parted (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (10) TO (1000);
INSERT INTO parted SELECT i, 'v' || i FROM generate_series(0, 40) i;
CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 3);
CREATE SEQUENCE untouched START 42; CREATE SEQUENCE counted; SELECT setval('counted', 9007199254740993);
CREATE VIEW lively AS SELECT * FROM agents WHERE load > 1;
CREATE MATERIALIZED VIEW counts AS SELECT count(*) FROM agents;
CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER bump BEFORE INSERT ON identity FOR EACH ROW EXECUTE FUNCTION bump();
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE AGGREGATE every_row(*) (SFUNC = int8inc, STYPE = bigint, INITCOND = '0');
CREATE FUNCTION same(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same);
CREATE STATISTICS related ON name, n FROM agents;
SELECT lo_from_bytea(7001, decode(repeat('00ff10', 100000), 'hex'));
SELECT lo_from_bytea(7002, '');
"""
APPLICATION = r"""
CREATE ROLE "reporting Tëam"; CREATE ROLE analyst LOGIN PASSWORD 'analyst-password' NOINHERIT IN ROLE "reporting Tëam";
CREATE ROLE hermit CREATEROLE LOGIN; GRANT pg_read_all_data TO hermit;
CREATE SCHEMA interview_agent; CREATE SCHEMA backend; CREATE SCHEMA team AUTHORIZATION "reporting Tëam";
CREATE TABLE interview_agent.interviews (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), answer text);
INSERT INTO interview_agent.interviews (answer) SELECT repeat(i::text, 40) FROM generate_series(1, 500) i;
CREATE TABLE interview_agent.scores (id serial, interview uuid REFERENCES interview_agent.interviews, score numeric);
INSERT INTO interview_agent.scores (interview, score) SELECT id, 'NaN' FROM interview_agent.interviews LIMIT 3;
CREATE TABLE backend.users (id int PRIMARY KEY, email text);
INSERT INTO backend.users VALUES (1, 'someone@example.com');
CREATE TABLE team.reports (id int); ALTER TABLE team.reports OWNER TO "reporting Tëam";
INSERT INTO team.reports VALUES (1), (2);
GRANT USAGE ON SCHEMA interview_agent TO "reporting Tëam";
GRANT SELECT ON interview_agent.interviews TO "reporting Tëam";
GRANT UPDATE (answer) ON interview_agent.interviews TO analyst WITH GRANT OPTION;
"""


def fill_redis(end: End) -> None:
    """Every type of value, in several databases, with and without an end."""
    fill = (
        "redis.call('SELECT', 0) "
        "for i = 1, 500 do redis.call('SET', 'user:' .. i, 'v\\0\\255' .. i) end "
        "redis.call('SET', 'nul\\0\\n key', string.char(0, 255, 13, 10)) redis.call('SET', 'number', 42) "
        "redis.call('SET', 'long', string.rep('ab', 50000)) "
        "for i = 1, 600 do redis.call('RPUSH', 'list', 'e' .. i) redis.call('SADD', 'set', 'm' .. i) "
        "redis.call('ZADD', 'sorted', i / 3, 'm' .. i) redis.call('HSET', 'hash', 'f' .. i, 'v' .. i) end "
        "redis.call('SADD', 'integers', 1, 2, 3) redis.call('HSET', 'small', 'f', 'v') "
        "redis.call('PFADD', 'log', 'a', 'b') redis.call('SETBIT', 'bits', 99, 1) "
        "for i = 1, 300 do redis.call('XADD', 'mesh:trace', i .. '-0', 'n', i) end "
        "redis.call('XGROUP', 'CREATE', 'mesh:trace', 'readers', '0') "
        "redis.call('XREADGROUP', 'GROUP', 'readers', 'someone', 'COUNT', 5, 'STREAMS', 'mesh:trace', '>') "
        "redis.call('XACK', 'mesh:trace', 'readers', '1-0') "
        "redis.call('SET', 'session:a', 'x', 'PXAT', 4000000000123) "
        "redis.call('HSET', 'expiring', 'f', 'v') redis.call('PEXPIREAT', 'expiring', 4000000000456) "
        "redis.call('SELECT', 3) redis.call('SET', 'in three', '3') "
        "redis.call('SELECT', 15) redis.call('SET', 'in fifteen', '15', 'PXAT', 4000000000789) "
        "return 'OK'"
    )
    assert end.redis("EVAL", fill, "0") == "OK"
    code = "#!lua name=mine\nredis.register_function('mine', function() return 7 end)"
    assert end.redis("FUNCTION", "LOAD", "REPLACE", code) == "mine"


DIGEST = """
local lines = {}
for database = 0, 15 do
  redis.call('SELECT', database)
  for _, key in ipairs(redis.call('KEYS', '*')) do
    local kind = redis.call('TYPE', key).ok
    local value
    if kind == 'string' then value = {redis.call('GET', key)}
    elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
    elseif kind == 'set' then value = redis.call('SMEMBERS', key) table.sort(value)
    elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    elseif kind == 'hash' then
      value = {}
      local all = redis.call('HGETALL', key)
      for i = 1, #all, 2 do value[#value + 1] = all[i] .. '=' .. all[i + 1] end
      table.sort(value)
    else
      value = {cjson.encode(redis.call('XRANGE', key, '-', '+')),
        cjson.encode(redis.call('XPENDING', key, 'readers', '-', '+', 100, 'someone')[1][1]),
        tostring(#redis.call('XPENDING', key, 'readers', '-', '+', 100))}
    end
    lines[#lines + 1] = table.concat({database, key, kind, redis.call('PEXPIRETIME', key),
      redis.sha1hex(table.concat(value, '|'))}, ' ')
  end
end
table.sort(lines)
redis.call('SELECT', 0)
return redis.sha1hex(table.concat(lines, ';')) .. ' ' .. #lines
"""


def redis_content(end: End) -> object:
    """A digest of every key, its type, value and end, and of the functions."""
    return end.redis("EVAL", DIGEST, "0"), end.redis("FCALL", "mine", "0")


def objects(end: End) -> dict[str, bytes]:
    folder = end.objects / BUCKET
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def fill_objects(end: End) -> None:
    folder = end.objects / BUCKET
    (folder / "resumes/someone@example.com").mkdir(parents=True, exist_ok=True)
    (folder / "resumes/someone@example.com/one.pdf").write_bytes(b"%PDF\0\xff" * 1000)
    (folder / "resumes/żółć & ' \" name.pdf").write_bytes(b"second")
    (folder / "empty.bin").write_bytes(b"")
    attributes = {
        f"{BUCKET}/resumes/someone@example.com/one.pdf": {"Content-Type": "application/pdf", "X-Amz-Meta-Who": "me"},
        f"{BUCKET}/resumes/żółć & ' \" name.pdf": {"Content-Type": "application/pdf"},
        f"{BUCKET}/empty.bin": {"Content-Type": "text/plain"},
    }
    (end.objects / "attributes").write_text(repr(attributes))


TRANSACTIONS = "SELECT pg_snapshot_xmax(pg_current_snapshot());"
"""How many transactions ever changed something on a server, in any of its databases. Who only reads adds none."""


def untouched(end: End) -> dict[str, object]:
    """What an end holds. It is the same when nothing was changed in between, not even back again."""
    return {
        "transactions": end.sql("postgres", TRANSACTIONS),
        "redis": end.redis("EVAL", DIGEST, "0"),
        "objects": objects(end),
        "replication": [line for line in str(end.redis("INFO", "replication")).split() if line.startswith("role:")],
        "files": sorted(str(path) for path in end.objects.parent.glob("*-redis/**/*")),
    }


def present(end: End) -> dict[str, object]:
    """What an end holds, as far as a failed move could change it."""
    databases = end.sql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1;")
    state: dict[str, object] = {
        "databases": databases,
        "roles": end.sql("postgres", "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid ORDER BY 1;"),
        "redis": end.redis("EVAL", DIGEST, "0"),
        "objects": objects(end),
        "replication": [line for line in str(end.redis("INFO", "replication")).split() if line.startswith("role:")],
        "files": sorted(str(path) for path in end.objects.parent.glob("*-redis/**/*")),
    }
    for database in databases:
        if "_before_" in database:
            continue
        dump = ["pg_dump", f"--username={end.superuser}", database]
        text = subprocess.run(dump, env=dict(end.postgres), capture_output=True, check=True).stdout
        # Newer versions of pg_dump write a random word at the start and at the end.
        lines = [line for line in text.splitlines() if not line.startswith((b"\\restrict", b"\\unrestrict"))]
        state[database] = hashlib.sha256(b"\n".join(lines)).hexdigest()
    return state


@pytest.fixture(scope="module")
def account(needs_postgresql: Path, needs_redis: Path) -> Account:
    """Whom PostgreSQL runs as, for it refuses to be root."""
    return Account.unprivileged()


@pytest.fixture(scope="module")
def stage(
    manifests: Manifests, account: Account, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Stage, None, None]:
    """Both ends; the Compose stack is full, the cluster as it is after its first start."""
    folder = tmp_path_factory.mktemp("data")
    with staged(manifests("prod"), account, folder) as both:
        both.compose.sql("mcpmesh", REGISTRY)
        both.compose.sql("ai_interviewer", APPLICATION)
        fill_redis(both.compose)
        fill_objects(both.compose)
        yield both


@contextmanager
def on_path(stage: Stage) -> Generator[None]:
    """The stand-ins come first on PATH, which each test begins with anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(stage.folder / "bin"), prepend=os.pathsep)
        yield


@pytest.fixture(autouse=True)
def stand_ins(request: pytest.FixtureRequest) -> Generator[None]:
    """Every test that has both ends finds the stand-ins."""
    if "stage" not in request.fixturenames:
        yield
        return
    with on_path(request.getfixturevalue("stage")):
        yield


@cache
def all_stores() -> Stores:
    """The stores of production."""
    return stores_of(AiInterviewer(PROD, outdir="unused"))


def store_called(name: str) -> Store:
    """A store of the tree."""
    (found,) = (store for store in all_stores().stores if store.name == name)
    return found


def only(name: str) -> Stores:
    """One of them, for what the others have no part in: to move them all starts some hundred programs."""
    return replace(all_stores(), stores=(store_called(name),))


@dataclass(frozen=True)
class Partial:
    """A PostgreSQL with one of the databases. Two of them are the same server here."""

    name: str
    database: str

    def mover(self, side: AnySide) -> Mover:
        whole = store_called("postgres").mover(side)
        assert isinstance(whole, PostgresMover)
        return replace(whole, databases={self.database: whole.databases[self.database]})


def only_interviews() -> Stores:
    """The databases without that of the registry."""
    return replace(all_stores(), stores=(Partial("postgres", "ai_interviewer"),))


@contextmanager
def alone(stage: Stage, name: str) -> Generator[Stores]:
    """One of them, in a stack of which nothing else runs."""
    stage.run_clients(stage.compose, f"{name}\n")
    try:
        yield only(name)
    finally:
        stage.run_clients(stage.compose, IDLE_COMPOSE)


def compose_of(stage: Stage) -> ComposeSide:
    return ComposeSide.of(stage.folder / "checkout")


CLUSTER = ClusterSide(kubectl=Kubectl(context=CONTEXT, namespace=NAMESPACE))
SERVER = Server(service="store", workload="statefulset/shop-store", container="store")


@dataclass(frozen=True, kw_only=True)
class Taken:
    """An export of the Compose stack, and what that held before and after."""

    folder: Path
    before: Mapping[str, object]
    after: Mapping[str, object]


@pytest.fixture(scope="module")
def taken(stage: Stage) -> Taken:
    """It is made where a killed one has left something."""

    def state() -> dict[str, object]:
        persistence = str(stage.compose.redis("INFO", "persistence")).splitlines()
        kept = ("rdb_changes_since_last_save:", "rdb_last_save_time:", "aof_current_size:", "aof_base_size:")
        return {
            **present(stage.compose),
            "transactions": stage.compose.sql("postgres", TRANSACTIONS),
            "redis persistence": [line for line in persistence if line.startswith(kept)],
        }

    folder = stage.folder / "exported"
    (stage.folder / ".exported.new/postgres").mkdir(parents=True)
    # Redis writes its file a moment later while the disk is busy.
    assert eventually(lambda: "aof_buffer_length:0" in str(stage.compose.redis("INFO", "persistence")), 20)
    before = state()
    with on_path(stage):
        export_data(compose_of(stage), all_stores(), folder)
    return Taken(folder=folder, before=before, after=state())


@pytest.fixture(scope="module")
def exported(taken: Taken) -> Path:
    """An export of the Compose stack."""
    return taken.folder


@pytest.fixture(scope="module")
def imported(stage: Stage, exported: Path) -> Path:
    """The export of the Compose stack, after it was imported into the cluster."""
    with on_path(stage):
        assert all(row.ok for row in import_data(CLUSTER, all_stores(), exported))
    return exported


# --- what an export is ---


def test_the_source_is_as_it_was_before(taken: Taken) -> None:
    assert taken.after == taken.before


def test_what_a_killed_export_left_is_in_nobodys_way(taken: Taken) -> None:
    assert list(taken.folder.parent.glob(".*.new")) == []


def test_an_export_holds_what_the_manifest_says_and_is_for_its_owner_alone(stage: Stage, exported: Path) -> None:
    manifest = json.loads((exported / "manifest.json").read_text())
    files = {str(path.relative_to(exported)): path for path in exported.rglob("*") if path.is_file()}
    del files["manifest.json"]
    sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert {name: content["sha256"] for name, content in manifest["files"].items()} == sums
    assert {name: content["size"] for name, content in manifest["files"].items()} == {
        name: path.stat().st_size for name, path in files.items()
    }
    assert set(sums) >= {
        "postgres/mcpmesh.dump",
        "postgres/ai_interviewer.dump",
        "postgres/roles.json",
        "redis/dump.rdb",
    }
    redis, databases = (manifest["stores"][name]["facts"] for name in ("redis", "postgres"))
    assert (redis["keys"], redis["expiring"]) == (516, 3)
    tables = {count["what"]: count["count"] for count in databases["databases"]["mcpmesh"]["counts"]}
    assert tables["table public.agents"] == 3000
    assert tables["sequence public.identity_id_seq"] == 160
    for path in [exported, *exported.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_no_secret_is_in_a_command_line_or_in_an_export(
    stage: Stage, imported: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    verify_data(CLUSTER, all_stores(), imported)
    secrets = [*COMPOSE_ROOT, *CLUSTER_ROOT, stage.cluster.redis_password, "mcpmesh123", "analyst-password", "SCRAM"]
    written = [path.read_bytes() for path in imported.rglob("*") if path.is_file()]
    texts = [json.dumps(stage.calls), *capfd.readouterr(), *(content.decode("latin1") for content in written)]
    assert len(stage.calls) > 30
    for secret in secrets:
        assert secret
        assert [text for text in texts if secret in text] == []


def test_mc_keeps_no_settings(stage: Stage, imported: Path) -> None:
    assert list(Path(os.environ.get("TMPDIR", "/tmp")).glob("mc-*/config.json")) == []
    assert list(stage.folder.glob(".read-back-*")) == []


def test_an_export_is_never_overwritten(stage: Stage, exported: Path) -> None:
    before = (exported / "manifest.json").stat()
    with pytest.raises(OperationError, match="never overwritten"):
        export_data(compose_of(stage), all_stores(), exported)
    assert (exported / "manifest.json").stat() == before


EXPORT_STEPS = {
    "what is there": ("docker", "rolcanlogin"),
    "the dump of a database": ("docker", "pg_export_snapshot"),
    "its reading": ("docker", "--file=/dev/null"),
    "the dump of Redis": ("docker", "--rdb"),
    "its check": ("docker", "redis-check-rdb"),
    "the keys of MinIO": ("docker", "MINIO_ROOT_USER"),
    "the list of objects": ("mc", "stat"),
    "the objects": ("mc", "mirror"),
}


@pytest.mark.parametrize("step", grid(EXPORT_STEPS, short=("the dump of a database", "the objects")))
def test_an_export_that_fails_leaves_nothing(stage: Stage, step: str, tmp_path: Path) -> None:
    stage.fail(*EXPORT_STEPS[step])
    with pytest.raises(OperationError, match="injected"):
        export_data(compose_of(stage), all_stores(), tmp_path / "out")
    assert stage.failed
    assert list(tmp_path.iterdir()) == []


def test_of_two_commands_that_write_one_folder_at_once_the_second_is_refused_and_spoils_nothing(
    tmp_path: Path,
) -> None:
    with new_folder(tmp_path / "out") as one:
        (one / "dump").write_text("personal data")
        refused = pytest.raises(OperationError, match=r"Another command writes .*/out at this moment\. Name another")
        with refused, new_folder(tmp_path / "out"):
            pass
        with new_folder(tmp_path / "other"):
            pass
    assert (tmp_path / "out/dump").read_text() == "personal data"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("tail", ["exit 1", "exit 0"])
def test_half_a_dump_is_no_export(stage: Stage, tmp_path: Path, tail: str) -> None:
    whole = shutil.which("pg_dump")
    (tmp_path / "pg_dump").write_text(f'#!/bin/sh\n{whole} "$@" | head -c 20000\n{tail}\n')
    (tmp_path / "pg_dump").chmod(0o755)
    path = stage.compose.postgres["PATH"]
    stage.use_programs(stage.compose, f"{tmp_path}:{path}")
    try:
        with pytest.raises(OperationError, match="dumping database" if tail == "exit 1" else "reading the whole dump"):
            export_data(compose_of(stage), all_stores(), tmp_path / "out")
    finally:
        stage.use_programs(stage.compose, path)
    assert not (tmp_path / "out").exists()


def test_counts_are_those_of_the_dump_while_the_source_is_written_to(stage: Stage, tmp_path: Path) -> None:
    """The writer is let in between the counts and the dump."""
    stage.compose.sql("mcpmesh", "CREATE TABLE busy (id int); INSERT INTO busy VALUES (1), (2);")
    whole = shutil.which("pg_dump")
    write = "psql --quiet --username=mcpmesh --dbname=mcpmesh --command='INSERT INTO busy VALUES (3)' >/dev/null"
    (tmp_path / "pg_dump").write_text(f'#!/bin/sh\n{write}\nexec {whole} "$@"\n')
    (tmp_path / "pg_dump").chmod(0o755)
    path = stage.compose.postgres["PATH"]
    stage.use_programs(stage.compose, f"{tmp_path}:{path}")
    try:
        export_data(compose_of(stage), only("postgres"), tmp_path / "out", live=True)
    finally:
        stage.use_programs(stage.compose, path)
        written = stage.compose.sql("mcpmesh", "SELECT count(*) FROM busy; DROP TABLE busy;")
    assert int(written[0]) > 2, "Nobody wrote."
    facts = json.loads((tmp_path / "out/manifest.json").read_text())["stores"]["postgres"]["facts"]
    counts = facts["databases"]["mcpmesh"]["counts"]
    (busy,) = (count["count"] for count in counts if count["what"] == "table public.busy")
    data = ["pg_restore", "--data-only", "--table=busy", "--file=-", str(tmp_path / "out/postgres/mcpmesh.dump")]
    text = subprocess.run(data, capture_output=True, text=True, check=True).stdout
    dumped = text.partition("COPY ")[2].partition("\n")[2].partition("\\.")[0].split()
    assert len(dumped) == busy


@pytest.mark.parametrize("where", ["compose", "cluster"])
def test_data_do_not_move_while_clients_run_unless_it_is_said(
    stage: Stage, exported: Path, where: str, tmp_path: Path
) -> None:
    items = [
        {"kind": "Deployment", "metadata": {"name": "ai-interviewer-backend"}, "status": {"replicas": 2}},
        {"kind": "Deployment", "metadata": {"name": "ai-interviewer-registry"}, "status": {}},
        {"kind": "Deployment", "metadata": {"name": "ai-interviewer-tempo"}, "status": {"replicas": 1}},
    ]
    running = {"compose": IDLE_COMPOSE + "fastapi\n", "cluster": json.dumps({"items": items})}[where]
    named = {"compose": "fastapi", "cluster": "deployment/ai-interviewer-backend"}[where]
    stopping = {"compose": "docker compose --file .* stop", "cluster": "kubectl .* scale --replicas=0"}[where]
    end, idle = {
        "compose": (stage.compose, IDLE_COMPOSE),
        "cluster": (stage.cluster, IDLE_CLUSTER),
    }[where]
    sides: dict[str, Side] = {"compose": compose_of(stage), "cluster": CLUSTER}
    side = sides[where]
    stage.run_clients(end, running)
    try:
        before = untouched(end)
        for move in (
            lambda: export_data(side, all_stores(), tmp_path / "out"),
            lambda: import_data(side, all_stores(), exported),
        ):
            with pytest.raises(
                OperationError, match=rf"These clients run in .*: {named}\. Stop them: {stopping} {named}$"
            ):
                move()
        assert untouched(end) == before
        export_data(side, only("redis"), tmp_path / "out", live=True)
    finally:
        stage.run_clients(end, idle)
    assert (tmp_path / "out/manifest.json").exists()


# --- what is refused before the target is touched ---


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size * 2 // 3)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)


def agree(folder: Path) -> None:
    """Let the manifest say what the files are now."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


RESUME = f"minio/{BUCKET}/resumes/someone@example.com/one.pdf"
PARTS = ("postgres/mcpmesh.dump", "postgres/ai_interviewer.dump", "postgres/roles.json", "redis/dump.rdb", RESUME)


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink], ids=["truncated", "a bit flipped", "missing"])
@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_export_is_refused_before_anything_else(
    stage: Stage, exported: Path, tmp_path: Path, part: str, damage: object
) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    assert callable(damage)
    damage(folder / part)
    calls = len(stage.calls)
    with pytest.raises(OperationError, match=rf"{Path(part).name} is (missing|not what was exported)\. Export again"):
        import_data(CLUSTER, all_stores(), folder)
    assert len(stage.calls) == calls


def test_a_file_that_was_added_is_refused(exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    (folder / f"minio/{BUCKET}/more.pdf").write_bytes(b"")
    with pytest.raises(OperationError, match=r"more\.pdf was added"):
        import_data(CLUSTER, all_stores(), folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 3}', '{"format": 2}', '{"format": 2, "files": 3}']
)
def test_a_manifest_that_is_none_is_refused(exported: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(OperationError, match="Export again"):
        import_data(CLUSTER, all_stores(), tmp_path)
    with pytest.raises(OperationError, match="no export"):
        import_data(CLUSTER, all_stores(), tmp_path / "elsewhere")


DAMAGED_FACTS: tuple[dict[str, object], ...] = (
    {},
    {"keys": "many", "databases": {"mcpmesh": []}},
    {"databases": 3, "keys": None},
)


@pytest.mark.parametrize(
    ("part", "damage"),
    grid(
        [(part, damage) for part in ("postgres/mcpmesh.dump", "redis/dump.rdb") for damage in (truncate, flip)],
        short=(("postgres/mcpmesh.dump", truncate), ("redis/dump.rdb", flip)),
    ),
)
def test_damage_from_before_the_manifest_is_found_before_the_target_is_touched(
    stage: Stage, exported: Path, tmp_path: Path, part: str, damage: object
) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    assert callable(damage)
    damage(folder / part)
    agree(folder)
    before = untouched(stage.cluster)
    with pytest.raises(OperationError, match=r"reading the whole dump .* failed"):
        import_data(CLUSTER, all_stores(), folder)
    assert untouched(stage.cluster) == before


@pytest.mark.parametrize("store", ["postgres", "redis"])
@pytest.mark.parametrize("facts", grid(DAMAGED_FACTS, short=DAMAGED_FACTS[1:2]))
def test_facts_that_are_damaged_are_refused_before_the_target_is_touched(
    stage: Stage, exported: Path, tmp_path: Path, store: str, facts: object
) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["stores"][store]["facts"] = facts
    (folder / "manifest.json").write_text(json.dumps(manifest))
    before = untouched(stage.cluster)
    with pytest.raises(OperationError, match=rf"part of kind {store} is damaged .*\. Export again"):
        import_data(CLUSTER, all_stores(), folder)
    assert untouched(stage.cluster) == before


def test_something_behind_a_dump_of_redis_is_refused(stage: Stage, exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    with (folder / "redis/dump.rdb").open("ab") as dump:
        dump.write(b"x" * 40)
    agree(folder)
    with pytest.raises(OperationError, match="bytes, and the dump in it ends after"):
        import_data(CLUSTER, all_stores(), folder)


@dataclass(frozen=True)
class Cramped:
    """A Redis with less room than the tree gives it."""

    store: Store
    what: str
    size: int

    @property
    def name(self) -> str:
        return self.store.name

    def mover(self, side: AnySide) -> Mover:
        mover = self.store.mover(side)
        assert isinstance(mover, RedisMover)
        return replace(mover, memory=self.size) if self.what == "memory" else replace(mover, disk=self.size)


@pytest.mark.parametrize("what", ["memory", "disk"])
def test_a_redis_without_room_for_both_is_not_touched(stage: Stage, exported: Path, what: str) -> None:
    before = untouched(stage.cluster)
    size = {"memory": 32 * 2**20, "disk": 2**16}[what]
    redis = store_called("redis")
    small = replace(
        all_stores(), stores=tuple(Cramped(one, what, size) if one is redis else one for one in all_stores().stores)
    )
    with pytest.raises(OperationError, match="are needed"):
        import_data(CLUSTER, small, exported)
    assert untouched(stage.cluster) == before


def test_more_than_redis_may_hold_is_refused(stage: Stage, exported: Path) -> None:
    before = untouched(stage.cluster)
    (_, maximum), *_ = (stage.cluster.redis("CONFIG", "GET", "maxmemory") or {}).items()  # type: ignore[attr-defined]
    try:
        stage.cluster.redis("CONFIG", "SET", "maxmemory", "1mb")
        with pytest.raises(OperationError, match="may hold 1048576 bytes"):
            import_data(CLUSTER, all_stores(), exported)
    finally:
        stage.cluster.redis("CONFIG", "SET", "maxmemory", maximum)
    assert untouched(stage.cluster) == before


def test_more_than_the_disk_of_postgres_holds_is_refused(stage: Stage, exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["stores"]["postgres"]["facts"]["databases"]["mcpmesh"]["size"] = 2**60
    (folder / "manifest.json").write_text(json.dumps(manifest))
    before = untouched(stage.cluster)
    with pytest.raises(OperationError, match=r"bytes free, and \d+ are needed"):
        import_data(CLUSTER, all_stores(), folder)
    assert untouched(stage.cluster) == before


def test_open_sessions_are_named_and_nothing_is_touched(stage: Stage, exported: Path) -> None:
    environment = {**stage.cluster.from_outside("mcpmesh"), "PGAPPNAME": "the registry"}
    command = ["psql", "--username=mcpmesh", "--dbname=mcpmesh", "--command=SELECT pg_sleep(60)"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL):
        try:
            sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'the registry' AND query <> '';"
            while stage.cluster.sql("postgres", sessions) == ["0"]:
                time.sleep(0.05)
            before = untouched(stage.cluster)
            with pytest.raises(OperationError, match=r"Sessions are open: the registry \(mcpmesh in mcpmesh\)"):
                import_data(CLUSTER, all_stores(), exported)
            assert untouched(stage.cluster) == before
        finally:
            # The server notices no sooner that its client is gone.
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'the registry';"
            stage.cluster.sql("postgres", end)


def test_an_object_of_the_same_name_is_never_overwritten(stage: Stage, exported: Path) -> None:
    file = stage.cluster.objects / BUCKET / "empty.bin"
    kept = file.read_bytes() if file.exists() else None
    file.write_bytes(b"another")
    try:
        before = untouched(stage.cluster)
        with pytest.raises(OperationError, match=r"other objects of the same name: empty\.bin\."):
            import_data(CLUSTER, all_stores(), exported)
        assert untouched(stage.cluster) == before
    finally:
        file.unlink() if kept is None else file.write_bytes(kept)


# --- what arrives ---

TABLES = {
    "mcpmesh": {
        "agents": "id",
        "identity": "id",
        '"We ird ""Näme"" 🦆"': "1",
        "nothing": "1",
        "parted": "k",
        "parent": "a",
        "child": "a",
        "lively": "id",
        "counts": "1",
    },
    "ai_interviewer": {
        "interview_agent.interviews": "id",
        "interview_agent.scores": "id",
        "backend.users": "id",
        "team.reports": "id",
    },
}


def rows(end: End, database: str) -> dict[str, list[str]]:
    """The rows of each table. They are asked for all at once: a program takes longer to start than to ask."""
    asked = [
        f"SELECT '{name}'; SELECT t::text FROM {name} AS t ORDER BY {by};" for name, by in TABLES[database].items()
    ]
    found = dict[str, list[str]]()
    for line in end.sql(database, *asked):
        if line in TABLES[database]:  # the text of a row stands in brackets, and no name does
            found[line] = []
        else:
            found[[*found][-1]].append(line)
    assert found.keys() == TABLES[database].keys()
    return found


def same_rows(left: End, right: End) -> None:
    for database in TABLES:
        found = rows(right, database)
        assert found == rows(left, database)
        assert all(found.values())
    for number in (7001, 7002):
        (content,) = right.sql("mcpmesh", f"SELECT lo_get({number});")
        assert content == (r"\x" + "00ff10" * 100000 if number == 7001 else r"\x")


def test_every_row_and_every_large_object_arrives(stage: Stage, imported: Path) -> None:
    same_rows(stage.compose, stage.cluster)


def test_what_is_counted_on_goes_on_where_it_was(stage: Stage, imported: Path) -> None:
    asked = """BEGIN;
        INSERT INTO agents (name) VALUES ('next') RETURNING id;
        INSERT INTO identity (note) VALUES ('next') RETURNING id;
        SELECT nextval('untouched'); SELECT nextval('counted'); SELECT total(n), every_row(*) FROM agents WHERE id < 3;
        SELECT 1 === 1; SELECT name FROM agents WHERE name = 'AGENT 7';
        ROLLBACK; SELECT setval('untouched', 42, false); SELECT setval('counted', 9007199254740993);
        SELECT setval('agents_id_seq', 3000); SELECT setval('identity_id_seq', 160);"""
    answers = stage.cluster.sql("mcpmesh", asked, role="mcpmesh")
    assert answers[:7] == ["3001", "170", "42", "9007199254740994", "3|2", "t", "Agent 7"]


def test_each_service_owns_what_it_had_and_sees_nothing_else(stage: Stage, imported: Path) -> None:
    owners = """SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION SELECT proowner::regrole FROM pg_proc WHERE proname IN ('bump', 'total', 'every_row', 'same')
        UNION SELECT typowner::regrole FROM pg_type WHERE typname IN ('mood', 'small')
        UNION SELECT oprowner::regrole FROM pg_operator WHERE oprname = '==='
        UNION SELECT stxowner::regrole FROM pg_statistic_ext
        UNION SELECT lomowner::regrole FROM pg_largeobject_metadata;"""
    assert stage.cluster.sql("mcpmesh", owners) == ["mcpmesh"]
    schemas = "SELECT nspname, nspowner::regrole FROM pg_namespace WHERE nspname !~ '^(pg_|information)' ORDER BY 1;"
    assert stage.cluster.sql("ai_interviewer", schemas) == [
        "backend|backend",
        "interview_agent|interview_agent",
        "public|pg_database_owner",
        'team|"reporting Tëam"',
    ]
    write = "BEGIN; UPDATE {0} SET id = id; CREATE TABLE {1}.mine (); SELECT count(*) FROM {0}; ROLLBACK;"
    assert stage.cluster.sql(
        "ai_interviewer", write.format("interview_agent.interviews", "interview_agent"), role="interview_agent"
    ) == ["500"]
    assert stage.cluster.sql("ai_interviewer", write.format("backend.users", "backend"), role="backend") == ["1"]
    for role, table in (("backend", "interview_agent.interviews"), ("interview_agent", "backend.users")):
        with pytest.raises(AssertionError, match="permission denied for schema"):
            stage.cluster.sql("ai_interviewer", f"SELECT * FROM {table};", role=role)


def test_the_rights_on_a_database_are_those_that_the_target_gives(stage: Stage, imported: Path) -> None:
    asked = """SELECT datname, datdba::regrole, datacl FROM pg_database
        WHERE datname IN ('ai_interviewer', 'mcpmesh') ORDER BY 1;"""
    kept = asked.replace("'ai_interviewer', 'mcpmesh'", "'ai_interviewer_before_1', 'mcpmesh_before_1'")
    found = [line.split("|", 1) for line in stage.cluster.sql("postgres", asked)]
    first = [line.split("|", 1) for line in stage.cluster.sql("postgres", kept)]
    assert [(name, sorted(rest.strip("{}").split(","))) for name, rest in found] == [
        (name.removesuffix("_before_1"), sorted(rest.strip("{}").split(","))) for name, rest in first
    ]
    for database in ("ai_interviewer", "mcpmesh"):
        public = """SELECT has_database_privilege('hermit', current_database(), 'CONNECT, TEMPORARY'),
            has_schema_privilege('hermit', 'public', 'USAGE, CREATE');"""
        assert stage.cluster.sql(database, public) == ["f|f"]


def test_roles_arrive_with_members_and_grants_but_cannot_log_in_and_rule_nothing(stage: Stage, imported: Path) -> None:
    asked = """SELECT rolname, rolcanlogin, rolinherit, rolcreaterole, rolpassword IS NULL FROM pg_authid
        WHERE rolname IN ('analyst', 'hermit', 'reporting Tëam') ORDER BY 1;"""
    assert stage.cluster.sql("postgres", asked) == ["analyst|f|f|f|t", "hermit|f|t|f|t", "reporting Tëam|f|t|f|t"]
    members = (
        "SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE member::regrole::text IN ({}) ORDER BY 1;"
    )
    assert stage.cluster.sql("postgres", members.format("'analyst', 'hermit'")) == ['"reporting Tëam"|analyst']
    grants = """SELECT has_table_privilege('reporting Tëam', 'interview_agent.interviews', 'SELECT'),
        has_column_privilege('analyst', 'interview_agent.interviews', 'answer', 'UPDATE WITH GRANT OPTION'),
        has_column_privilege('analyst', 'interview_agent.interviews', 'id', 'UPDATE');"""
    assert stage.cluster.sql("ai_interviewer", grants) == ["t|t|f"]


def test_the_roles_of_the_target_keep_their_passwords(stage: Stage, imported: Path) -> None:
    asked = "SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword LIKE 'SCRAM%' ORDER BY 1;"
    assert stage.cluster.sql("postgres", asked) == [
        *("backend", "backup", "exporter", "interview_agent", "mcpmesh", "postgres")
    ]


def test_every_key_arrives_with_its_type_and_its_end(stage: Stage, imported: Path) -> None:
    assert redis_content(stage.cluster) == redis_content(stage.compose)
    assert str(redis_content(stage.cluster)).endswith("516', 7)")
    assert stage.cluster.redis("PEXPIRETIME", "session:a") == 4000000000123
    assert stage.cluster.redis("GET", "nul\0\n key".replace("\0", "")) is None  # the one before has a null byte
    groups = stage.cluster.redis("XINFO", "GROUPS", "mesh:trace")
    assert isinstance(groups, list)
    assert [(group["name"], group["pending"], group["last-delivered-id"]) for group in groups] == [
        ("readers", 4, "5-0")
    ]


def test_redis_is_its_own_master_again_and_nothing_stays_beside_it(stage: Stage, imported: Path) -> None:
    replication = str(stage.cluster.redis("INFO", "replication"))
    assert "role:master" in replication
    assert "connected_slaves:0" in replication
    assert sorted(path.name for path in (stage.folder / "cluster-redis/data").iterdir()) == ["appendonlydir"]
    assert stage.cluster.redis("SET", "number", "42") == "OK"
    assert stage.cluster.redis("CONFIG", "GET", "repl-diskless-load") == {"repl-diskless-load": "disabled"}


def test_in_prod_what_redis_got_outlives_it(stage: Stage, imported: Path, tmp_path: Path) -> None:
    """A second server starts on a copy of its files."""
    shutil.copytree(stage.folder / "cluster-redis/data", tmp_path / "data")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", LOCALHOST, "--dir", str(tmp_path / "data")]
    with subprocess.Popen([*command, "--appendonly", "yes"], stdout=subprocess.DEVNULL) as process:
        try:
            assert eventually(lambda: ask_redis(port, "", "PING", user="") == "PONG", 20)
            assert ask_redis(port, "", "EVAL", DIGEST, "0", user="") == stage.compose.redis("EVAL", DIGEST, "0")
        finally:
            process.terminate()


def test_every_object_arrives_with_what_is_stored_beside_it(stage: Stage, imported: Path) -> None:
    assert objects(stage.cluster) == objects(stage.compose)
    assert len(objects(stage.cluster)) == 3
    attributes = [literal_eval((end.objects / "attributes").read_text()) for end in (stage.cluster, stage.compose)]
    assert attributes[0] == attributes[1]


def test_keys_that_expire_before_they_arrive_are_no_difference(stage: Stage, tmp_path: Path) -> None:
    stage.compose.redis("SET", "short", "lived", "PX", "3000")
    export_data(compose_of(stage), only("redis"), tmp_path / "out", live=True)
    assert json.loads((tmp_path / "out/manifest.json").read_text())["stores"]["redis"]["facts"]["expiring"] == 4
    assert eventually(lambda: stage.compose.redis("EXISTS", "short") == 0, 10)
    import_data(CLUSTER, only("redis"), tmp_path / "out")
    assert stage.cluster.redis("EXISTS", "short") == 0


# --- a step that fails ---

IMPORT_STEPS = {
    "cleaning up": ("kubectl", "DROP DATABASE IF EXISTS"),
    "the roles": ("kubectl", "json_array_elements"),
    "the restore": ("kubectl", "--single-transaction --no-password"),
    "the owners": ("kubectl", "pg_shdepend"),
    "the rights": ("kubectl", "aclexplode"),
    "the count": ("kubectl", "mcpmesh_import"),
    "the second Redis": ("kubectl", "--dbfilename"),
    "keeping what was": ("kubectl", "--rdb"),
    "the objects": ("mc", "mirror"),
    "their attributes": ("mc", "cp"),
    "the swap": ("kubectl", "RENAME TO"),
}
"""In their order: what one left is in the way of the next import, which must get further before it fails. That of the
next test gets to its end."""


@pytest.mark.parametrize(
    ("step", "how"),
    grid(
        [("the restore", "interrupt"), ("the swap", "interrupt"), *((step, "status") for step in IMPORT_STEPS)],
        short={("the swap", "interrupt")},
    ),
)
def test_an_import_that_fails_leaves_databases_and_redis_as_they_were(
    stage: Stage, imported: Path, step: str, how: str
) -> None:
    program, text = IMPORT_STEPS[step]
    shutil.rmtree(stage.cluster.objects / BUCKET)
    (stage.cluster.objects / BUCKET).mkdir()
    stage.cluster.redis("SET", "of the target", step)
    stage.cluster.sql("mcpmesh", "CREATE TABLE IF NOT EXISTS of_the_target ();")
    before = present(stage.cluster)
    stage.fail(program, text, how)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        with pytest.raises((OperationError, KeyboardInterrupt)) as failure:
            import_data(CLUSTER, all_stores(), imported)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert stage.failed
    assert failure.type is (OperationError if how == "status" else KeyboardInterrupt)
    after = present(stage.cluster)
    for left in (before, after):
        del left["objects"]  # none is taken away, and some may have come
    assert after == before


def test_an_import_is_repeated_cleans_up_after_a_killed_one_keeps_what_was_there_and_ends_the_exporter_s_session(
    stage: Stage, imported: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The killed one left a restored database with a session, a role, files, and a second Redis that runs."""
    cluster = stage.cluster
    cluster.redis("SET", "of the target", "yes")
    cluster.sql("postgres", "CREATE DATABASE mcpmesh_import;")
    cluster.sql(
        "postgres",
        "CREATE ROLE ghost; COMMENT ON ROLE ghost IS 'stands in for the superuser of the source of an import';",
    )
    cluster.sql("mcpmesh_import", "CREATE TABLE t (); ALTER TABLE t OWNER TO ghost;")
    manifest = Manifest.read(imported)
    store_called("redis").mover(CLUSTER).stage(manifest.stores["redis"], manifest.place(imported, "redis"))
    cluster.redis("SET", "mine", "before")
    own = cluster.objects / BUCKET / "own.bin"
    own.write_bytes(b"own")
    sleep = ["psql", "--command=SELECT pg_sleep(60)"]
    exporter = {**cluster.from_outside("exporter"), "PGAPPNAME": "collects"}
    with (
        asleep([*sleep, "--username=postgres", "--dbname=mcpmesh_import"], dict(cluster.postgres)),
        asleep([*sleep, "--username=exporter", "--dbname=mcpmesh"], exporter) as session,
    ):
        try:
            there = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'collects' AND query <> '';"
            while cluster.sql("postgres", there) == ["0"]:
                time.sleep(0.05)
            assert all(row.ok for row in import_data(CLUSTER, all_stores(), imported))
            _, said = session.communicate(timeout=10)
            assert own.read_bytes() == b"own"
        finally:
            session.kill()
            own.unlink()
    assert cluster.sql("postgres", "SELECT datname FROM pg_database WHERE datname LIKE '%import';") == []
    assert cluster.sql("postgres", "SELECT rolname FROM pg_roles WHERE rolname = 'ghost';") == []
    assert sorted(path.name for path in (stage.folder / "cluster-redis/data").iterdir()) == ["appendonlydir"]
    assert cluster.redis("GET", "of the target") is None
    same_rows(stage.compose, cluster)
    assert objects(cluster) == objects(stage.compose)

    # The exporter is no client: its session ends by itself, and whom it finds instead has let it in.
    assert b"terminating connection due to administrator command" in said
    enters = "SELECT has_database_privilege('exporter', 'mcpmesh', 'CONNECT');"
    assert cluster.sql("postgres", enters) == ["t"]

    # What Redis held is kept beside the export, and objects of the target stay.
    assert "1 objects that are only in" in capfd.readouterr().out
    assert cluster.redis("GET", "mine") is None
    kept = sorted((imported.parent / f"{imported.name}.before").glob("redis-*.rdb"))
    assert len(kept) > 1
    newest = max(kept, key=lambda path: int(path.stem.partition("-")[2]))
    assert stat.S_IMODE(newest.stat().st_mode) == 0o600
    port = free_port()
    shutil.copy(newest, tmp_path / "dump.rdb")
    command = ["redis-server", "--port", str(port), "--bind", LOCALHOST, "--dir", str(tmp_path), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            assert eventually(lambda: ask_redis(port, "", "GET", "mine", user="") == "before", 20)
        finally:
            process.terminate()


def asleep(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A session that is open until somebody ends it."""
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def test_a_redis_that_does_not_copy_is_its_own_master_again_and_the_import_can_be_repeated(
    stage: Stage, imported: Path, tmp_path: Path, long: bool
) -> None:
    """With --long the databases move too: they are swapped by then, and are swapped once more."""
    stores, folder = (all_stores(), imported) if long else (only("redis"), tmp_path / "out")
    if not long:
        export_data(compose_of(stage), stores, folder, live=True)
    stage.fail("kubectl", "REPLICAOF")
    with pytest.raises(OperationError, match="copying from the server beside"):
        import_data(CLUSTER, stores, folder)
    assert "role:master" in str(stage.cluster.redis("INFO", "replication"))
    import_data(CLUSTER, stores, folder)
    assert redis_content(stage.cluster) == redis_content(stage.compose)


def test_a_difference_is_found(stage: Stage, imported: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stage.cluster.sql("mcpmesh", "UPDATE identity SET note = 'other' WHERE id = 110;")
    stage.cluster.redis("DEL", "number")
    (stage.cluster.objects / BUCKET / "empty.bin").write_bytes(b"x")
    capfd.readouterr()
    try:
        with pytest.raises(OperationError, match=r"Not the same as exported: .*identity.*redis.*objects"):
            verify_data(CLUSTER, all_stores(), imported)
    finally:
        stage.cluster.sql("mcpmesh", r"UPDATE identity SET note = E'line\nbreak' WHERE id = 110;")
        stage.cluster.redis("SET", "number", "42")
        (stage.cluster.objects / BUCKET / "empty.bin").write_bytes(b"")
    lines = capfd.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("object ")] == ["object empty.bin: not what was exported"]
    wrong = [line.split("  ")[0] for line in lines if line.endswith("NO")]
    assert wrong == ["mcpmesh: table public.identity", "redis, keys that stay", f"bucket {BUCKET}, objects"]


# --- two servers of one kind ---


def test_two_servers_of_one_kind_move_each_their_own(stage: Stage, imported: Path, tmp_path: Path) -> None:
    two = (Partial("registry", "mcpmesh"), Partial("interviews", "ai_interviewer"))
    stores = replace(all_stores(), stores=two)
    export_data(compose_of(stage), stores, tmp_path / "out", live=True)
    parts = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.dump")}
    assert parts == {"registry/mcpmesh.dump", "interviews/ai_interviewer.dump"}
    compared = import_data(CLUSTER, stores, tmp_path / "out")
    assert {row.what for row in compared} >= {
        "registry, mcpmesh: table public.agents",
        "interviews, ai_interviewer: table backend.users",
    }
    same_rows(stage.compose, stage.cluster)


# --- the way back, and who owns what ---


def test_everything_comes_back_to_compose(stage: Stage, imported: Path, tmp_path: Path) -> None:
    """As after a rollback: what was written in the cluster is there, and the stack's own role can use it."""
    stage.cluster.sql("mcpmesh", "INSERT INTO agents (name) VALUES ('from the cluster');", role="mcpmesh")
    stage.cluster.sql("ai_interviewer", "CREATE TABLE backend.later (n int);", role="backend")
    stage.cluster.sql("ai_interviewer", "CREATE TABLE public.of_the_superuser (n int);")
    stage.cluster.redis("SET", "from the cluster", "yes")
    file = stage.cluster.objects / BUCKET / "resumes/new.pdf"
    file.write_bytes(b"new")
    stage.cluster.sql("mcpmesh", "REFRESH MATERIALIZED VIEW counts;")
    export_data(CLUSTER, all_stores(), tmp_path / "back")
    assert all(row.ok for row in import_data(compose_of(stage), all_stores(), tmp_path / "back"))
    verify_data(compose_of(stage), all_stores(), tmp_path / "back")
    same_rows(stage.cluster, stage.compose)
    assert redis_content(stage.compose) == redis_content(stage.cluster)
    assert objects(stage.compose) == objects(stage.cluster)
    added = "SELECT name FROM agents WHERE id = 3001; SELECT note FROM identity WHERE id = 110;"
    assert stage.compose.sql("mcpmesh", added)[0] == "from the cluster"
    owners = """SELECT relname, relowner::regrole FROM pg_class
        WHERE relname IN ('later', 'of_the_superuser', 'reports') ORDER BY 1;"""
    assert stage.compose.sql("ai_interviewer", owners) == [
        "later|backend",
        "of_the_superuser|mcpmesh",
        'reports|"reporting Tëam"',
    ]
    roles = "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname IN ('postgres', 'backend') ORDER BY 1;"
    assert stage.compose.sql("postgres", roles) == ["backend|f"]
    databases = "SELECT datname FROM pg_database WHERE datname LIKE '%before%' ORDER BY 1;"
    assert stage.compose.sql("postgres", databases) == ["ai_interviewer_before_1", "mcpmesh_before_1"]
    (rights,) = stage.compose.sql("postgres", "SELECT datacl FROM pg_database WHERE datname = 'mcpmesh';")
    assert sorted(rights.strip("{}").split(",")) == ["=Tc/mcpmesh", "mcpmesh=CTc/mcpmesh"]


def test_a_schema_without_an_heir_must_be_given_one(stage: Stage, tmp_path: Path) -> None:
    made = "CREATE SCHEMA user_agent; CREATE TABLE user_agent.users (id serial); CREATE TABLE public.open (id serial);"
    stage.compose.sql("ai_interviewer", made)
    try:
        export_data(compose_of(stage), only_interviews(), tmp_path / "out", live=True)
    finally:
        stage.compose.sql("ai_interviewer", "DROP SCHEMA user_agent CASCADE; DROP TABLE public.open;")
    before = untouched(stage.cluster)
    with pytest.raises(
        OperationError, match="schema user_agent of database ai_interviewer belonged to the superuser mcpmesh"
    ):
        import_data(CLUSTER, only_interviews(), tmp_path / "out")
    wrong = Owner(database="ai_interviewer", schema="user_agent", role="nobody")
    with pytest.raises(OperationError, match="nobody"):
        import_data(CLUSTER, only_interviews(), tmp_path / "out", owners=(wrong,))
    assert untouched(stage.cluster) == before
    heir = Owner(database="ai_interviewer", schema="user_agent", role="backend")
    with pytest.raises(OperationError, match="unknown: schema public of database ai_interviewer"):
        import_data(CLUSTER, only_interviews(), tmp_path / "out", owners=(heir,))
    public = Owner(database="ai_interviewer", schema="public", role="backend")
    import_data(CLUSTER, only_interviews(), tmp_path / "out", owners=(heir, public))
    for table in ("user_agent.users", "public.open"):
        insert = f"INSERT INTO {table} DEFAULT VALUES RETURNING id; DROP TABLE {table};"
        assert stage.cluster.sql("ai_interviewer", insert, role="backend") == ["1"]
        with pytest.raises(AssertionError, match="permission denied for schema"):
            stage.cluster.sql("ai_interviewer", f"SELECT * FROM {table};", role="interview_agent")


def test_an_older_stack_has_no_database_for_the_application(
    stage: Stage, imported: Path, tmp_path: Path, long: bool
) -> None:
    """With --long it first has one that is empty."""
    database = "ai_interviewer"
    with alone(stage, "postgres") as postgres:
        if long:
            stage.compose.sql("postgres", f"DROP DATABASE {database};", f"CREATE DATABASE {database};")
            export_data(compose_of(stage), only_interviews(), tmp_path / "empty")
            import_data(CLUSTER, only_interviews(), tmp_path / "empty")
        else:
            stage.cluster.sql(database, "DROP TABLE backend.users CASCADE;")
        # The stack had nothing in this database; here each role has its schema.
        stage.cluster.sql(database, "CREATE TABLE backend.users (id int);", role="backend")
        stage.compose.sql("postgres", f"DROP DATABASE {database};")
        export_data(compose_of(stage), postgres, tmp_path / "older")
        import_data(CLUSTER, postgres, tmp_path / "older")
        assert stage.cluster.sql(database, "SELECT count(*) FROM backend.users;", role="backend") == ["0"]
        export_data(CLUSTER, only_interviews(), tmp_path / "back")
        import_data(compose_of(stage), only_interviews(), tmp_path / "back")
        owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'users';"
        assert stage.compose.sql(database, owner) == ["backend"]


def test_in_dev(manifests: Manifests, account: Account, tmp_path: Path, long: bool) -> None:
    """Redis in dev writes no file. With --long all else of dev moves too."""
    with pytest.MonkeyPatch.context() as patch, staged(manifests("dev"), account, tmp_path, postgres=long) as both:
        patch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
        stores = stores_of(AiInterviewer(DEV, outdir="unused"))
        if long:
            both.compose.sql("mcpmesh", "CREATE TABLE agents (id int); INSERT INTO agents VALUES (1);")
        else:
            stores = replace(stores, stores=tuple(store for store in stores.stores if store.name == "redis"))
            both.run_clients(both.compose, "redis\n")
        fill_redis(both.compose)
        export_data(compose_of(both), stores, tmp_path / "out")
        import_data(CLUSTER, stores, tmp_path / "out")
        assert redis_content(both.cluster) == redis_content(both.compose)
        assert list((tmp_path / "cluster-redis/data").iterdir()) == []
        if long:
            assert both.cluster.sql("mcpmesh", "SELECT * FROM agents;", role="mcpmesh") == ["1"]
        both.cluster.redis("FLUSHALL")
        export_data(CLUSTER, stores, tmp_path / "back")
        import_data(compose_of(both), stores, tmp_path / "back")
        assert both.compose.redis("DBSIZE") == 0


# --- what it is told ---


def test_the_stores_are_those_of_the_tree() -> None:
    postgres, redis, minio = (store.mover(CLUSTER) for store in all_stores().stores)
    assert isinstance(postgres, PostgresMover)
    assert isinstance(redis, RedisMover)
    assert isinstance(minio, MinioMover)
    assert postgres.server == Server(
        service="postgres", workload="statefulset/ai-interviewer-postgres", container="postgres", port=5432
    )
    assert redis.server == Server(
        service="redis", workload="deployment/ai-interviewer-redis", container="redis", port=6379
    )
    assert minio.server == Server(
        service="minio", workload="statefulset/ai-interviewer-minio", container="minio", port=9000
    )
    assert minio.buckets == (BUCKET,)
    assert postgres.databases == {
        "mcpmesh": ("mcpmesh",),
        "ai_interviewer": ("backend", "interview_agent"),
    }
    assert (redis.memory, redis.disk) == (512 * 2**20, 5 * 2**30)
    names = ("registry", "backend", "pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent")
    deployments = tuple(f"deployment/ai-interviewer-{name}" for name in names)
    jobs = ("job/ai-interviewer-postgres-databases", "job/ai-interviewer-minio-bucket")
    backups = tuple(f"cronjob/ai-interviewer-{name}-backup" for name in ("postgres", "redis", "minio"))
    assert sorted(all_stores().clients) == sorted((*jobs, *backups, *deployments))
    # Traces, dashboards, metrics and logs: what keeps a claim and is no store is named.
    watching = ("tempo", "grafana", "prometheus", "loki")
    # So are backups: they stay where they are.
    assert set(all_stores().left_out) == {*backups, *(f"deployment/ai-interviewer-{name}" for name in watching)}
    assert stores_of(AiInterviewer(DEV, outdir="unused")).left_out == ()


def test_an_application_without_a_store_has_no_data_to_move(tmp_path: Path) -> None:
    stores = stores_of(Application(ApplicationSettings(name="shop"), outdir="unused"))
    for move in (export_data, import_data, verify_data):
        with pytest.raises(OperationError, match="has no store whose data can be moved"):
            move(CLUSTER, stores, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_postgres_would_cut_is_refused() -> None:
    with pytest.raises(SettingError, match="at most 52 characters"):
        PostgresMover(side=CLUSTER, server=SERVER, databases={"d" * 53: ("r",)})


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["docker-compose/docker-compose.yml"], "docker-compose/docker-compose.yml"),
        (["docker-compose.yml"], "docker-compose.yml"),
        (["docker-compose/docker-compose.yml", "compose.yaml"], "compose.yaml"),
    ],
)
def test_the_compose_file_of_a_checkout_is_found(tmp_path: Path, files: list[str], found: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert ComposeSide.of(tmp_path) == ComposeSide(file=tmp_path / found)
    with pytest.raises(OperationError, match="holds no Compose file"):
        ComposeSide.of(tmp_path / "elsewhere")


def test_a_compose_project_of_another_name_is_meant() -> None:
    side = ComposeSide(file=Path("compose.yaml"), project="mine")
    assert side.command(replace(SERVER, service="redis"), "true") == [
        *("docker", "compose", "--file", "compose.yaml", "--project-name", "mine", "exec", "-T", "redis", "true")
    ]


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperationError, match="kubectl, mc not found on PATH"):
        export_data(CLUSTER, all_stores(), tmp_path / "out")


@requires("shellcheck")
def test_every_script_is_sound_for_any_posix_shell(tmp_path: Path) -> None:
    """As it is run: with the scripts that it names in their place. One shellcheck reads all: it takes long to start."""
    for script in SCRIPTS:
        text = read_script(script)
        assert "set -eu" in text, script
        assert ". ./" not in text, script
        (tmp_path / f"{script.parent.name}-{script.name}").write_text(text, encoding="utf-8")
    texts = sorted(tmp_path.iterdir())
    assert len(texts) == len(SCRIPTS)
    done = subprocess.run(["shellcheck", "--shell=sh", *texts], capture_output=True, text=True)
    assert done.stdout == ""
    assert done.returncode == 0


def test_no_mover_holds_a_script_in_its_text() -> None:
    assert len(SCRIPTS) > 15
    for module in Path(mcpmesh_k8s.__file__).parent.glob("services/_*_mover.py"):
        text = module.read_text(encoding="utf-8")
        assert re.findall(r"set -eu|SELECT |BEGIN;|#!/bin/sh", text) == [], module.name
