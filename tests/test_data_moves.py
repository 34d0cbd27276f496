"""This module is the proof that data move between the Compose stack and the cluster, both ways, whole or not at all.

Both ends are real PostgreSQL and Redis servers; the cluster's are made by the rendered script and configuration.
"""

import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from ai_interviewer import DEV, PROD, AiInterviewer
from conftest import Manifests, require_program
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
from mcpmesh_k8s.operations import bucket_data, postgres_data, redis_data
from mcpmesh_k8s.operations.data import (
    ClusterSide,
    ComposeSide,
    Owner,
    Server,
    Stores,
    export_data,
    import_data,
    stores_of,
    verify_data,
)
from mcpmesh_k8s.operations.programs import Kubectl, OperationError
from processes import Account

STORES = stores_of(AiInterviewer(PROD, outdir="unused"))
SCRIPTS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": text
    for module in (bucket_data, postgres_data, redis_data)
    for name, text in sorted(vars(module).items())
    if isinstance(text, str) and "set -eu" in text and name not in ("_PSQL", "_STAGED")
}

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
INSERT INTO identity (note) VALUES (E'tab\there'), (E'line\nbreak'), (E'\\.'), ('back\slash'), (NULL), (''), ('żółć 🦆');
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
        "for i = 1, 2000 do redis.call('SET', 'user:' .. i, 'v\\0\\255' .. i) end "
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


def rows(end: End, database: str, order: str, table: str) -> list[str]:
    return end.sql(database, f"SELECT t::text FROM {table} AS t ORDER BY {order};")


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
    (end.objects / "attributes.json").write_text(json.dumps(attributes))


def present(end: End) -> dict[str, object]:
    """What an end holds, as far as a failed move could change it."""
    databases = end.sql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1;")
    state: dict[str, object] = {
        "databases": databases,
        "roles": end.sql("postgres", "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid ORDER BY 1;"),
        "redis": end.redis("EVAL", DIGEST, "0"),
        "objects": objects(end),
        "replication": [line for line in str(end.redis("INFO", "replication")).split() if line.startswith("role:")],
        "files": sorted(path.name for path in (end.objects.parent).glob("*redis/*")),
    }
    for database in databases:
        dump = ["pg_dump", f"--username={end.superuser}", database]
        text = subprocess.run(dump, env=dict(end.postgres), capture_output=True, check=True).stdout
        state[database] = hashlib.sha256(text).hexdigest()
    return state


@pytest.fixture(scope="module")
def account() -> Generator[Account, None, None]:
    """Whom PostgreSQL runs as, for it refuses to be root; its programs are on the path."""
    programs = "/usr/lib/postgresql/15/bin"
    for name in ("postgres", "initdb", "psql", "pg_dump", "pg_restore"):
        require_program(name, "postgresql-15", programs)
    for name in ("redis-server", "redis-cli", "redis-check-rdb"):
        require_program(name, "redis-server")
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.getuid())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", programs, prepend=os.pathsep)
        yield Account(user.pw_uid, user.pw_gid)


@pytest.fixture(scope="module")
def stage(
    manifests: Manifests, account: Account, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Stage, None, None]:
    """Both ends; the Compose stack is full, the cluster as it is after its first start."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch, staged(manifests("prod"), account, folder) as both:
        patch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)
        both.compose.sql("mcpmesh", REGISTRY)
        both.compose.sql("ai_interviewer", APPLICATION)
        fill_redis(both.compose)
        fill_objects(both.compose)
        yield both


def compose_of(stage: Stage) -> ComposeSide:
    return ComposeSide.of(stage.folder / "checkout")


CLUSTER = ClusterSide(kubectl=Kubectl(context=CONTEXT, namespace=NAMESPACE))


@pytest.fixture(scope="module")
def exported(stage: Stage) -> Path:
    """An export of the Compose stack."""
    folder = stage.folder / "exported"
    export_data(compose_of(stage), STORES, folder)
    return folder


def test_smoke(stage: Stage, exported: Path) -> None:
    print((exported / "manifest.json").read_text()[:3000])
    import_data(CLUSTER, STORES, exported)
    verify_data(CLUSTER, STORES, exported)
