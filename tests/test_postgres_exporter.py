"""This module is the proof that the exporter beside PostgreSQL sees statistics and no table, and what it then tells.

The role is asked as it stands in the rendered sidecar. What it tells is read from the real exporter.
"""

from __future__ import annotations

import re
import subprocess
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ai_interviewer import DEV, AiInterviewer
from mcpmesh_k8s import PostgresExporter, SettingError
from mesh_harness import (
    LOCALHOST,
    Loopback,
    Manifest,
    Pod,
    eventually,
    find,
    free_port,
    pod_environment,
    probe,
    start_pod,
)
from processes import START, serving
from programs import ROOT
from reading import objects_of
from test_postgres_databases import INSUFFICIENT_PRIVILEGE
from test_postgres_runtime import (
    DATABASES,
    POSTGRES,
    PROBES,
    SECRETS,
    Server,
    account,
    server,
)
from watched import rules

__all__ = ["account", "server"]

ROLE = "exporter"
PASSWORD = SECRETS[POSTGRES, "exporter-password"]


def given(server: Server, *, port: int = 0) -> dict[str, str]:
    """The variables of the sidecar, its address mapped to this server."""
    manifest = find(server.manifests, "StatefulSet", POSTGRES)
    loopback = Loopback(services={"localhost:5432": port or server.port})
    return pod_environment(manifest, ROLE, secrets=SECRETS, loopback=loopback)


def as_exporter(server: Server, database: str = "") -> dict[str, str]:
    """How the sidecar logs in, into another database where one is named."""
    variables = given(server)
    url = variables["DATA_SOURCE_NAME"]
    url = re.sub(r"/\w+\?", f"/{database}?", url) if database else url
    return {"url": url, "PGPASSWORD": variables["PGPASSWORD"]}


# Its role.


def test_it_enters_the_database_of_the_registry_and_no_other(server: Server) -> None:
    assert server.ask("SELECT current_user, current_database()", **as_exporter(server)) == [f"{ROLE}|mcpmesh"]
    refused = set[str]()
    for database in server.ask("SELECT datname FROM pg_database WHERE datallowconn"):
        done = server.psql("SELECT", **as_exporter(server, database))
        if done.returncode != 0:
            assert (
                f'pg_hba.conf rejects connection for host "127.0.0.1", user "{ROLE}", database "{database}"'
                in done.stderr
            )
            refused.add(database)
    assert refused == {"postgres", "template1", *DATABASES} - {"mcpmesh"}
    enters = (
        f"SELECT datname FROM pg_database WHERE has_database_privilege('{ROLE}', datname, 'CONNECT') AND datallowconn"
    )
    assert server.ask(enters) == ["mcpmesh"], "Even if it were let in."


@pytest.mark.parametrize("password", ["wrong", SECRETS[POSTGRES, "password"], ""], ids=["wrong", "superuser's", "none"])
def test_without_its_own_password_it_is_refused(server: Server, password: str) -> None:
    done = server.psql("SELECT", **{**as_exporter(server), "PGPASSWORD": password})
    assert done.returncode != 0
    assert "password" in done.stderr


def test_it_sees_the_statistics_of_everybody(server: Server) -> None:
    me = as_exporter(server)
    with sleeping(server):
        others = "SELECT query FROM pg_stat_activity WHERE application_name = 'sleeping'"
        assert server.ask(others, **me) == ["SELECT pg_sleep(30)"]
    assert server.ask("SELECT pg_database_size('ai_interviewer') > 0", **me) == ["t"]


@pytest.fixture
def private(server: Server) -> Generator[str, None, None]:
    """A table of the registry's with what nobody else shall read."""
    me = server.client("registry")
    server.ask("CREATE TABLE private (note text)", "INSERT INTO private VALUES ('of the mesh')", **me)
    yield "public.private"
    server.ask("DROP TABLE public.private", **me)


FORBIDDEN = (
    "SELECT * FROM {}",
    "TABLE {}",
    "COPY {} TO STDOUT",
    "INSERT INTO {} VALUES ('x')",
    "UPDATE {} SET note = ''",
    "DELETE FROM {}",
    "TRUNCATE {}",
    "BEGIN; LOCK {}",
    "DROP TABLE {}",
    "CREATE TABLE public.mine ()",
    "CREATE TEMPORARY TABLE mine ()",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "ALTER ROLE mcpmesh PASSWORD 'mine'",
    "GRANT pg_read_all_data TO exporter",
    "SET ROLE mcpmesh",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_reload_conf()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    "ALTER SYSTEM SET log_statement = 'all'",
    "CHECKPOINT",
)


def test_it_is_refused_every_table_and_every_change(server: Server, private: str) -> None:
    # In one session, for a program takes longer to start than to ask: how each statement ended.
    turns = [(statement.format(private), r"\echo ended: :SQLSTATE", "ROLLBACK") for statement in FORBIDDEN]
    with sleeping(server):  # for the one that would end it
        done = server.psql(*(part for turn in turns for part in turn), **as_exporter(server))
    ended = [f"{statement} ended: {INSUFFICIENT_PRIVILEGE}" for statement in FORBIDDEN]
    said = done.stdout.splitlines()
    assert [f"{statement} {line}" for statement, line in zip(FORBIDDEN, said, strict=True)] == ended
    assert server.ask(f"SELECT note FROM {private}", **server.client("registry")) == ["of the mesh"]


@contextmanager
def sleeping(server: Server, **me: str) -> Generator[None, None, None]:
    """A session that is open meanwhile; the superuser's unless given."""
    url = me.pop("url", "postgresql:///postgres?user=postgres")
    variables = {**server.pod.environment, **me, "PGAPPNAME": "sleeping"}
    before = sessions(server)
    with subprocess.Popen(
        ["psql", "--no-psqlrc", "--no-password", "--command=SELECT pg_sleep(30)", url],
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as asleep:
        try:
            assert eventually(lambda: sessions(server) > before, START)
            yield
        finally:
            asleep.kill()
            # The server notices by itself when it has something to say.
            server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sleeping'")
    assert eventually(lambda: sessions(server) == 0, START)


def sessions(server: Server) -> int:
    (found,) = server.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sleeping'")
    return int(found)


def test_however_often_it_comes_it_takes_five_sessions_and_leaves_the_others_to_clients(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(sleeping(server, **as_exporter(server)))
        done = server.psql("SELECT", **as_exporter(server))
        assert 'too many connections for role "exporter"' in done.stderr
        assert server.ask("SELECT 1", **server.client("registry")) == ["1"]


def test_a_role_that_was_given_more_is_brought_back(server: Server) -> None:
    server.ask(
        "ALTER ROLE exporter SUPERUSER CONNECTION LIMIT -1",
        "GRANT pg_read_all_data, backend TO exporter",
        "GRANT CONNECT ON DATABASE ai_interviewer TO exporter",
        "GRANT CREATE ON DATABASE mcpmesh TO exporter",
    )
    said = server.bring()
    for line in (
        "role exporter: may log in, five times at once, and rules nothing",
        "role exporter: no member of pg_read_all_data any more",
        "role exporter: no member of backend any more",
        "database ai_interviewer: closed to exporter",
        "database mcpmesh: closed to exporter",
        "database mcpmesh: CONNECT granted to exporter",
    ):
        assert line in said.splitlines()
    member_of = "SELECT roleid::regrole FROM pg_auth_members WHERE member = 'exporter'::regrole"
    assert server.ask("SELECT rolsuper, rolconnlimit FROM pg_roles WHERE rolname = 'exporter'", member_of) == [
        "f|5",
        "pg_monitor",
    ]
    assert server.ask("SELECT has_database_privilege('exporter', 'ai_interviewer', 'CONNECT')") == ["f"]
    assert server.ask("SELECT 1", **as_exporter(server)) == ["1"]
    assert server.bring() == "roles and databases are what the settings say\n"


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Manifest]:
    """Dev with a PostgreSQL that nobody measures."""
    folder = tmp_path_factory.mktemp("without") / "dist"
    return objects_of(AiInterviewer(replace(DEV, postgres=replace(DEV.postgres, exporter=None)), outdir=folder))


def test_a_server_from_before_gets_the_role_by_a_deployment(server: Server, without: Sequence[Manifest]) -> None:
    role = "SELECT rolname FROM pg_roles WHERE rolname = 'exporter'"
    server.ask("DROP OWNED BY exporter", "DROP ROLE exporter", url="postgresql:///mcpmesh?user=postgres")
    assert "exporter" not in server.bring(manifests=without)
    assert not server.ask(role)
    said = server.bring().splitlines()
    assert {"role exporter: made", "role exporter: sees statistics"} < set(said)
    assert f"role exporter: its password is now that of {POSTGRES}, key exporter-password" in said
    assert server.ask(role) == ["exporter"]


def test_without_an_exporter_there_is_no_key_no_port_and_no_alert(without: Sequence[Manifest], tmp_path: Path) -> None:
    settings = replace(DEV.postgres, exporter=None)
    assert "exporter-password" not in settings.secret_keys
    stateful_set = find(without, "StatefulSet", POSTGRES)
    assert [c["name"] for c in stateful_set["spec"]["template"]["spec"]["containers"]] == ["postgres"]
    (policy,) = (m for m in without if m["kind"] == "NetworkPolicy" and m["metadata"]["name"] == POSTGRES)
    assert [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]] == [5432]
    assert not [m for m in without if "pg_" in str(m.get("data", {}).get("rules__alerts.yaml", ""))]


def test_the_exporter_counts_the_tables_of_a_database_that_there_is() -> None:
    chosen = replace(DEV.postgres, exporter=PostgresExporter(database="ai_interviewer"))
    assert chosen.counted_database == "ai_interviewer"
    with pytest.raises(SettingError, match=r"PostgresExporter\.database.*interviews.*mcpmesh, ai_interviewer"):
        replace(DEV.postgres, exporter=PostgresExporter(database="interviews"))


def test_rows_of_the_registry_are_watched_where_the_exporter_counts_them(tmp_path: Path) -> None:
    def alerts(database: str) -> list[str]:
        postgres = replace(DEV.postgres, exporter=PostgresExporter(database=database))
        folder = tmp_path / (database or "first")
        AiInterviewer(replace(DEV, postgres=postgres), outdir=folder).synth()
        return [rule["expr"] for rule in rules(folder) if rule["alert"] == "RegistryRowsGrow"]

    assert alerts("") == ['pg_stat_user_tables_n_live_tup{job="postgres", datname="mcpmesh"} > 100000']
    assert alerts("ai_interviewer") == []


# What it tells.

Samples = Mapping[str, Sequence[Mapping[str, str]]]


@contextmanager
def exporting(server: Server, folder: Path, *, port: int = 0) -> Generator[Pod, None, None]:
    """The real exporter as its sidecar would run; beside another port than the server's, where one is named."""
    local = free_port()
    manifest = find(server.manifests, "StatefulSet", POSTGRES)
    folder.mkdir(parents=True, exist_ok=True)
    pod = start_pod(
        manifest,
        ROLE,
        environment=given(server, port=port),
        loopback=Loopback(ports={9187: local}),
        root=folder,
        entrypoint=["postgres_exporter", f"--web.listen-address={LOCALHOST}:{local}"],
    )
    with serving(pod, lambda: probe(pod.spec["readinessProbe"], pod) == "open"):
        yield pod


def told(pod: Pod) -> tuple[Samples, Mapping[str, float]]:
    """The labels of each series, and the values of those that have none, and of how each collector did."""
    with urllib.request.urlopen(f"http://{LOCALHOST}:{pod.ports['metrics']}/metrics", timeout=START) as answer:
        text = answer.read().decode()
    found: dict[str, list[Mapping[str, str]]] = {}
    values: dict[str, float] = {}
    # As Prometheus reads it: the parser of prometheus-client gives counters other names.
    for name, written, value in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", text, re.MULTILINE):
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', written))
        found.setdefault(name, []).append(labels)
        if not set(labels) - {"collector"}:
            values[name + labels.get("collector", "")] = float(value)
    return found, values


def test_every_metric_and_label_of_an_alert_is_one_that_it_tells(
    server: Server, tmp_path: Path, needs_postgres_exporter: Path
) -> None:
    server.ask("CREATE TABLE IF NOT EXISTS agents (); INSERT INTO agents DEFAULT VALUES", **server.client("registry"))
    with exporting(server, tmp_path / "exporter") as pod:
        found, values = told(pod)
        assert values["pg_up"] == 1, pod.output
        # Each of its collectors has had what it asked for.
        assert min(values[name] for name in values if name.startswith("pg_scrape_collector_success")) == 1, pod.output
        assert {kind: probe(pod.spec[kind], pod) for kind in PROBES} == dict.fromkeys(PROBES, "open")
        assert PASSWORD not in pod.output
        assert resident(pod) < 32 * 2**20
    asked = expressions(server)
    assert len(asked) == 6
    of_prometheus = {"job", "pod", "node", "service", "instance"}
    for alert, expression in asked.items():
        for name, selector in re.findall(r"\b(pg_\w+)\{([^}]*)\}", expression):
            labels = dict(re.findall(r'(\w+)!?[=~]+"([^"]*)"', selector))
            by = {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(", ")}
            wanted = (set(labels) | by) - of_prometheus
            assert any(wanted <= set(series) for series in found.get(name, [])), (alert, name)
    runbooks = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/runbooks").glob("*.md"))
    assert set(re.findall(r"\bpg_\w+(?=\{)", runbooks)) <= set(found)
    rows = [series for series in found["pg_stat_user_tables_n_live_tup"] if series["datname"] == "mcpmesh"]
    assert "agents" in {series["relname"] for series in rows}


def expressions(server: Server) -> dict[str, str]:
    """The expressions about PostgreSQL, by their alerts, as rendered."""
    texts = [m["data"].get("rules__alerts.yaml", "groups: []") for m in server.manifests if m["kind"] == "ConfigMap"]
    judged = [rule for text in texts for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule["expr"] for rule in judged if "pg_" in rule["expr"]}


def resident(pod: Pod) -> int:
    """Bytes of memory that it has."""
    status = Path(f"/proc/{pod.process.pid}/status").read_text()
    (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.M)
    return int(kilobytes) * 1024


def test_it_says_that_the_server_is_away_and_that_it_is_back(
    server: Server, tmp_path: Path, needs_postgres_exporter: Path
) -> None:
    def up(pod: Pod) -> float:
        return told(pod)[1]["pg_up"]

    with exporting(server, tmp_path / "nobody", port=free_port()) as pod:
        assert up(pod) == 0
    with exporting(server, tmp_path / "exporter") as pod:
        assert up(pod) == 1
        # The import of data ends its sessions; it comes back by itself.
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'exporter'"
        assert server.ask(ended) == ["1"]
        assert eventually(lambda: up(pod) == 1, START)
        # So it does where its role cannot come in, as before the task has run, and then can.
        server.ask(f"ALTER ROLE {ROLE} NOLOGIN", ended)
        try:
            assert up(pod) == 0
        finally:
            server.ask(f"ALTER ROLE {ROLE} LOGIN")
        assert eventually(lambda: up(pod) == 1, START)
