"""This module is the proof of stores that speak TLS: on real servers, with the variables that the pods are given.

A CA that the tests make signs what cert-manager would be asked for. Names of Services are those of the cluster, their
address is this machine's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import pytest
import yaml
from cryptography import x509

from ai_interviewer import PROD, AiInterviewer
from backup_harness import BackupPod
from conftest import Manifest, close, grid, requires
from encrypted import ALL, STORE_TLS, Authority, write_secret
from mcpmesh_k8s import (
    Agent,
    Application,
    ApplicationSettings,
    CertManager,
    Claim,
    ExistingSecrets,
    Mesh,
    MeshRelease,
    Minio,
    Phase,
    PrometheusOperator,
    Redis,
    S3Storage,
    Secret,
    SecretSettings,
    SettingError,
    Side,
    StoreTls,
    TlsClient,
    TreeError,
    read_script,
)
from mcpmesh_k8s import Server as ServerOf
from mcpmesh_k8s.kubernetes.manifest import at, each, name_of
from mcpmesh_k8s.services import redis as redis_module
from mesh_harness import (
    LOCALHOST,
    SECRETS,
    Loopback,
    Pod,
    container_of,
    eventually,
    find,
    free_port,
    is_open,
    pod_environment,
    probe,
    start_pod,
)
from processes import REDIS, START, Account, serving, start_redis
from programs import ROOT
from test_postgres_runtime import POSTGRES, PREFIX, Server, starting
from test_postgres_runtime import SECRETS as HOSTILE
from test_stores import Folder
from watching_harness import running_server

SERVER = "etc/tls/server"
MINIO = f"{PREFIX}minio"


@pytest.fixture(scope="module")
def rendered(in_transit: dict[str, list[Manifest]]) -> Sequence[Manifest]:
    """Production whose stores speak TLS, as if all of its clients could."""
    return in_transit[STORE_TLS.name]


def names_of(manifests: Sequence[Manifest], server: str) -> list[str]:
    """What cert-manager is asked for."""
    return list(find(manifests, "Certificate", f"{server}-tls")["spec"]["dnsNames"])


# --- what is rendered ---


def test_each_store_has_its_certificate_and_nobody_but_its_server_mounts_the_key(rendered: Sequence[Manifest]) -> None:
    mounts: dict[str, dict[str, set[tuple[str, ...]]]] = {}
    for manifest in rendered:
        pod = at(manifest, "spec", "jobTemplate", "spec", "template", "spec") or at(
            manifest, "spec", "template", "spec"
        )
        for volume in each(pod, "volumes"):
            secret = at(volume, "secret")
            if str(secret.get("secretName", "")).endswith("-tls"):
                keys = tuple(str(item["key"]) for item in each(secret, "items"))
                pods = mounts.setdefault(str(secret["secretName"]), {})
                pods.setdefault(name_of(manifest).removeprefix(PREFIX), set()).add(keys)
    servers = {f"{PREFIX}{name}-tls": name for name in ("postgres", "redis", "minio")}
    assert {name_of(m) for m in rendered if m["kind"] == "Certificate"} == set(servers)
    for name, server in servers.items():
        # Its sidecars are clients of it.
        assert mounts[name].pop(server) - {("ca.crt",)} == {("tls.crt", "tls.key", "ca.crt")}
        assert all(keys == {("ca.crt",)} for keys in mounts[name].values())
    assert {name: set(clients) for name, clients in mounts.items()} == {
        f"{POSTGRES}-tls": {
            *("postgres-databases", "postgres-backup", "registry", "backend", "interview-agent", "blackbox"),
        },
        f"{REDIS}-tls": {
            *("redis-backup", "registry", "backend", "interview-agent", "pdf-extractor"),
            *("claude-llm-agent", "openai-llm-agent", "blackbox"),
        },
        f"{MINIO}-tls": {"minio-backup", "minio-bucket", "backend", "pdf-extractor", "prometheus", "blackbox"},
    }


@pytest.mark.parametrize("server", ["postgres", "redis", "minio"])
def test_a_server_is_known_by_each_name_that_its_clients_dial(rendered: Sequence[Manifest], server: str) -> None:
    full = PREFIX + server
    assert {full, f"{full}.ai-interviewer.svc.cluster.local", "localhost"} <= set(names_of(rendered, full))
    # Nobody is told a plain address of a store any more.
    text = "\n".join(
        f"{variable['name']}={variable.get('value', '')}"
        for manifest in rendered
        for container in each(manifest, "spec", "template", "spec", "containers")
        for variable in each(container, "env")
    )
    assert not re.search(r"redis://|http://\S*minio|sslmode=(?!verify-full)|PGSSLMODE=(?!verify-full)", text)
    assert "rediss://" in text
    assert "sslmode=verify-full" in text


def test_minio_speaks_tls_with_what_it_calls_its_files_and_is_asked_so(rendered: Sequence[Manifest]) -> None:
    server = find(rendered, "StatefulSet", MINIO)
    container = container_of(server, "minio")
    assert container["args"][-3:] == ["--certs-dir", "/etc/tls/server", "--json"]
    assert {at(container, name, "httpGet")["scheme"] for name in ("readinessProbe", "livenessProbe")} == {"HTTPS"}
    (volume,) = (v for v in server["spec"]["template"]["spec"]["volumes"] if v["name"] == "tls")
    assert [item["path"] for item in volume["secret"]["items"]] == ["public.crt", "private.key", "CAs/ca.crt"]
    for kind, name in (("Job", "minio-bucket"), ("CronJob", "minio-backup")):
        job = find(rendered, kind, PREFIX + name)
        pod = at(job["spec"], "jobTemplate", "spec") or job["spec"]
        (main,) = each(pod, "template", "spec", "containers")
        variables = {str(one["name"]): one.get("value") for one in each(main, "env")}
        assert str(variables["MC_HOST_store"]).startswith("https://$(")
        assert variables["SSL_CERT_FILE"] == "/etc/tls/minio/ca.crt"
    backend = container_of(find(rendered, "Deployment", f"{PREFIX}backend"), "backend")
    told = {one["name"]: one.get("value") for one in backend["env"]}
    assert told["MINIO_URL"] == f"https://{MINIO}:9000"
    assert told["MINIO_CA_FILE"] == "/etc/tls/minio/ca.crt"


def test_prometheus_asks_minio_by_https_and_knows_it(rendered: Sequence[Manifest]) -> None:
    text = find(rendered, "ConfigMap", f"{PREFIX}prometheus")["data"]["prometheus.yaml"]
    assert "ca_file: /etc/tls/minio/ca.crt" in text
    assert f"server_name: {MINIO}" in text
    assert text.count("scheme: https") == 3  # and the kubelet twice


# --- who is refused ---


REFUSED = {
    "the backend, of PostgreSQL": (("postgres",), "backend", POSTGRES, "POSTGRES"),
    "the backend, of MinIO": (("minio",), "backend", MINIO, "S3"),
    "the backend, of Redis": (("redis",), "backend", REDIS, "REDIS"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_client_that_speaks_no_tls_is_refused_by_its_name(case: str) -> None:
    stores, client, server, name = REFUSED[case]
    transit = StoreTls(certificates=CertManager(issuer="ca"), stores=stores)
    with pytest.raises(SettingError) as refused:
        AiInterviewer(replace(PROD, transit=transit), outdir="unused")
    assert (refused.value.where, refused.value.given) == (f"{PREFIX}{client} connects_to", server)
    assert f"tls=(TlsClient.{name},)" in refused.value.instead


def test_the_interview_agent_is_refused_where_the_backend_could() -> None:
    """Its code gives host, port and password to its client, and nothing of TLS."""
    transit = StoreTls(certificates=CertManager(issuer="ca"), stores=("redis",))
    settings = replace(PROD, transit=transit, backend=replace(PROD.backend, tls=ALL))
    with pytest.raises(SettingError, match="interview-agent connects_to: 'ai-interviewer-redis'"):
        AiInterviewer(settings, outdir="unused")


def test_stores_that_are_not_named_stay_plain_and_a_name_of_none_is_refused() -> None:
    able = replace(STORE_TLS, transit=StoreTls(certificates=CertManager(issuer="ca"), stores=("redis",)))
    whole = AiInterviewer(able, outdir="unused").manifests()
    assert [name_of(m) for group in whole.values() for m in group if m["kind"] == "Certificate"] == [f"{REDIS}-tls"]
    wrong = replace(STORE_TLS, transit=StoreTls(certificates=CertManager(issuer="ca"), stores=("rediss",)))
    with pytest.raises(TreeError, match=r"StoreTls.stores has 'rediss', and no store of that name speaks TLS"):
        AiInterviewer(wrong, outdir="unused").manifests()


def test_a_store_that_speaks_no_tls_is_refused_where_all_are_said_to() -> None:
    transit = StoreTls(certificates=CertManager(issuer="ca"))
    application = Application(ApplicationSettings(name="shop", transit=transit), outdir="unused")
    scope = Phase(application, "all")
    close(scope)
    Folder(scope, "papers")
    with pytest.raises(TreeError, match="shop-papers is a store that speaks no TLS, and StoreTls is said of all"):
        application.manifests()


# --- PostgreSQL ---


@dataclass(frozen=True, kw_only=True)
class Encrypted:
    """A server that speaks TLS.

    Args:
        server: The server, whose address is this machine's.
        authority: Who signs its certificates.
        names: What these are good for.
        folder: Where its pod has them.
        known: Where a client has the CA.
        account: Whom it runs as.
    """

    server: Server
    authority: Authority
    names: Sequence[str]
    folder: Path
    known: Path
    account: Account

    def client(self, name: str, **variables: str) -> dict[str, str]:
        """What the pods of a client are given to log in with; the name of the server stays."""
        manifest = find(self.server.manifests, "Deployment", PREFIX + name)
        given = pod_environment(manifest, name, secrets=HOSTILE, loopback=Loopback())
        url = given["DATABASE_URL"].replace(":5432/", f":{self.server.port}/")
        assert "/etc/tls/postgres/ca.crt" in url
        url = url.replace("/etc/tls/postgres/ca.crt", str(self.known))
        return {"url": url, "PGPASSWORD": given["PGPASSWORD"], "PGHOSTADDR": LOCALHOST, **variables}

    def renew(self, names: Sequence[str] = ()) -> None:
        """What the kubelet shows after cert-manager has renewed the certificate."""
        write_secret(self.folder, self.authority.make(names or self.names), self.account)

    def shown(self, known: Path | None = None) -> bytes:
        """The certificate that a new connection is shown."""
        context = ssl.create_default_context(cafile=str(known or self.known))
        with socket.create_connection((LOCALHOST, self.server.port), timeout=START) as plain:
            # The request for TLS, by which a client begins.
            plain.sendall(struct.pack("!ii", 8, 80877103))
            assert plain.recv(1) == b"S"
            with context.wrap_socket(plain, server_hostname=POSTGRES) as connection:
                certificate = connection.getpeercert(binary_form=True)
                assert certificate
                return certificate


@pytest.fixture(scope="module")
def postgres(rendered: Sequence[Manifest], needs_postgresql: Path) -> Generator[Encrypted]:
    """The rendered server, after the rendered task has logged in as each client."""
    account, authority, names = Account.unprivileged(), Authority(), names_of(rendered, POSTGRES)
    with account.folder(of_data=True) as root:
        write_secret(root / SERVER, authority.make(names), account)
        known = root / "ca.crt"
        known.write_bytes(authority.make(names)["ca.crt"])
        with starting(rendered, account, root, free_port(), f"listen_addresses={LOCALHOST}") as server:
            # The task verifies the server too: by its Service's name, and its CA.
            server.bring(PGHOST=POSTGRES, PGHOSTADDR=LOCALHOST, PGSSLROOTCERT=str(known))
            yield Encrypted(
                server=server,
                authority=authority,
                names=names,
                folder=root / SERVER,
                known=known,
                account=account,
            )


def test_a_client_comes_in_by_the_variables_of_its_pod_and_is_encrypted(postgres: Encrypted) -> None:
    asked = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    for client in ("registry", "backend", "interview-agent"):
        assert postgres.server.ask(asked, **postgres.client(client)) == ["t|TLSv1.3"]
    assert postgres.server.ask("SHOW ssl_min_protocol_version") == ["TLSv1.2"]
    assert set(postgres.server.probes().values()) == {"exit 0"}


def test_who_speaks_plainly_is_refused(postgres: Encrypted) -> None:
    given = postgres.client("registry")
    given["url"] = given["url"].replace("verify-full", "disable")
    said = postgres.server.psql("SELECT 1", **given)
    assert said.returncode == 2
    assert "pg_hba.conf rejects connection" in said.stderr
    assert "no encryption" in said.stderr


def test_a_server_of_another_ca_and_one_of_another_name_are_refused(postgres: Encrypted, tmp_path: Path) -> None:
    given = postgres.client("registry")
    other = tmp_path / "ca.crt"
    other.write_bytes(Authority("another CA").make(["x"])["ca.crt"])
    said = postgres.server.psql("SELECT 1", **{**given, "url": given["url"].replace(str(postgres.known), str(other))})
    assert (said.returncode, "certificate verify failed" in said.stderr) == (2, True), said.stderr
    # Whoever answers at this name has a certificate of the same CA, and for another.
    url = given["url"].replace(f"@{POSTGRES}:", "@other-postgres:")
    said = postgres.server.psql("SELECT 1", **{**given, "url": url})
    assert said.returncode == 2
    assert f'server certificate for "{POSTGRES}"' in said.stderr
    assert 'does not match host name "other-postgres"' in said.stderr


def test_a_renewed_certificate_is_read_by_the_next_probe_and_no_session_ends(postgres: Encrypted) -> None:
    postgres.server.probes()
    first = postgres.shown()
    given = postgres.client("registry")
    session = subprocess.Popen(
        ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password", given.pop("url")],
        env={**postgres.server.pod.environment, **given},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert session.stdin
    assert session.stdout
    with session:
        session.stdin.write("SELECT 'before';\n")
        session.stdin.flush()
        assert session.stdout.readline() == "before\n"
        postgres.renew()
        assert postgres.shown() == first
        assert postgres.server.probes()["readinessProbe"] == "exit 0"
        for _ in range(50):
            if postgres.shown() != first:
                break
        assert postgres.shown() != first
        session.stdin.write("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid();\n")
        session.stdin.close()
        assert session.stdout.read() == "t\n"
    assert postgres.server.ask("SELECT 1", **postgres.client("registry")) == ["1"]


def test_a_renewed_certificate_that_is_broken_leaves_the_old_one(postgres: Encrypted) -> None:
    postgres.server.probes()
    first = postgres.shown()
    broken = postgres.authority.make(postgres.names) | {"tls.key": b"no key\n"}
    write_secret(postgres.folder, broken, postgres.account)
    try:
        assert postgres.server.probes()["readinessProbe"] == "exit 0"
        assert postgres.server.ask("SELECT 1", **postgres.client("registry")) == ["1"]
        assert postgres.shown() == first
    finally:
        postgres.renew()
        postgres.server.probes()


# --- both ---


@pytest.mark.parametrize(
    ("scripts", "program", "question"),
    [("postgres_files", "psql", ["true"]), ("redis_files", "redis-cli", [])],
    ids=["PostgreSQL", "Redis"],
)
def test_a_server_that_is_asked_before_it_answers_is_ready_when_it_does(
    scripts: str, program: str, question: list[str]
) -> None:
    """A probe comes while it starts. What that has begun to write is in nobody's way, who is not root either."""
    account = Account.unprivileged()
    with account.folder() as folder:
        shutil.copytree(Path(redis_module.__file__).parent / scripts, folder / "scripts")
        write_secret(folder / "secret", Authority().make(["localhost"]), account)
        client = folder / program
        client.write_text(f"#!/bin/sh\ntest -e {folder}/up\n")
        client.chmod(0o755)
        ready = [*account.command, "sh", "ready.sh", f"{folder}/secret", f"{folder}/last", *question]

        def asked() -> int:
            path = {"PATH": f"{folder}:{os.environ['PATH']}"}
            return subprocess.run(ready, cwd=folder / "scripts", env=path, timeout=START).returncode

        asked()
        assert not (folder / "last").exists()
        (folder / "up").touch()
        assert asked() == 0
        assert (folder / "last").read_bytes() == (folder / "secret/tls.crt").read_bytes()


# --- Redis ---


@dataclass(frozen=True, kw_only=True)
class EncryptedRedis:
    """The rendered Redis, which speaks TLS."""

    pod: Pod
    authority: Authority
    names: Sequence[str]
    folder: Path
    known: Path

    @property
    def port(self) -> int:
        return self.pod.ports["redis"]

    def variables(self, client: str, manifests: Sequence[Manifest]) -> Mapping[str, str]:
        """What the pods of a client are given."""
        return pod_environment(
            find(manifests, "Deployment", PREFIX + client), client, secrets=SECRETS, loopback=Loopback()
        )

    @contextmanager
    def connected(self, known: Path | None = None, name: str = REDIS) -> Generator[ssl.SSLSocket]:
        """A connection of a client that verifies the server."""
        context = ssl.create_default_context(cafile=str(known or self.known))
        with (
            socket.create_connection((LOCALHOST, self.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            yield connection

    def shown(self, known: Path | None = None) -> bytes:
        """The certificate that a new connection is shown."""
        with self.connected(known) as connection:
            certificate = connection.getpeercert(binary_form=True)
            assert certificate
            return certificate

    def probe(self, kind: str) -> str:
        return probe(self.pod.spec[kind], self.pod)


def say(connection: ssl.SSLSocket, *words: str) -> str:
    """The first line of the answer to an inline command."""
    connection.sendall((" ".join(words) + "\r\n").encode())
    return connection.recv(4096).decode().partition("\r\n")[0]


@pytest.fixture(scope="module")
def redis(
    rendered: Sequence[Manifest], needs_redis: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[EncryptedRedis]:
    """The rendered Redis."""
    root, authority, names = tmp_path_factory.mktemp("redis"), Authority(), names_of(rendered, REDIS)
    write_secret(root / SERVER, authority.make(names))
    known = root / "ca.crt"
    known.write_bytes(authority.make(names)["ca.crt"])
    pod = start_redis(rendered, root, free_port())
    with serving(pod, lambda: probe(pod.spec["readinessProbe"], pod) == "exit 0"):
        yield EncryptedRedis(pod=pod, authority=authority, names=names, folder=root / SERVER, known=known)


def test_redis_takes_who_verifies_it_and_no_plain_connection(redis: EncryptedRedis, tmp_path: Path) -> None:
    password = SECRETS[REDIS, "operator-password"]
    with redis.connected() as connection:
        assert connection.version() == "TLSv1.3"
        assert say(connection, "AUTH", "operator", password) == "+OK"
    assert [redis.probe(kind) for kind in ("startupProbe", "readinessProbe", "livenessProbe")] == ["exit 0"] * 3
    with socket.create_connection((LOCALHOST, redis.port), timeout=10) as plain:
        plain.sendall(b"PING\r\n")
        # It takes the words for those of TLS, and ends.
        with suppress(ConnectionResetError):
            assert b"PONG" not in plain.recv(100)
    other = tmp_path / "ca.crt"
    other.write_bytes(Authority("another CA").make(["x"])["ca.crt"])
    with pytest.raises(ssl.SSLCertVerificationError), redis.connected(other):
        pass
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"), redis.connected(name="other-redis"):
        pass


def test_redis_reads_a_renewed_certificate_at_the_next_probe_and_no_connection_ends(redis: EncryptedRedis) -> None:
    redis.probe("readinessProbe")
    first = redis.shown()
    with redis.connected() as connection:
        assert say(connection, "AUTH", "operator", SECRETS[REDIS, "operator-password"]) == "+OK"
        write_secret(redis.folder, redis.authority.make(redis.names))
        assert redis.shown() == first
        assert redis.probe("readinessProbe") == "exit 0"
        assert redis.shown() != first
        assert say(connection, "PING") == "+PONG"
    assert redis.probe("livenessProbe") == "exit 0"


def test_redis_is_alive_while_its_ca_is_renewed_too(redis: EncryptedRedis) -> None:
    another = Authority("another CA")
    write_secret(redis.folder, another.make(redis.names))
    try:
        assert [redis.probe(kind) for kind in ("livenessProbe", "readinessProbe")] == ["exit 0"] * 2
        with pytest.raises(ssl.SSLCertVerificationError):
            redis.shown()
    finally:
        write_secret(redis.folder, redis.authority.make(redis.names))
        redis.probe("readinessProbe")
    assert redis.shown()


def test_what_trims_waits_and_backs_up_knows_redis_by_its_ca(
    redis: EncryptedRedis, rendered: Sequence[Manifest], tmp_path: Path
) -> None:
    """Their commands as rendered, with the CA and then with another."""
    foreign = tmp_path / "foreign.crt"
    foreign.write_bytes(Authority("another CA").make(["x"])["ca.crt"])
    agent = find(rendered, "Deployment", f"{PREFIX}pdf-extractor")
    wait = container_of(agent, "wait-for-redis")["command"][4:]
    environment = pod_environment(agent, "wait-for-redis", secrets=SECRETS, loopback=Loopback())
    trim = container_of(find(rendered, "Deployment", REDIS), "trim-traces")["command"][2].partition("redis-cli ")[2]
    assert trim.startswith("--tls --cacert /etc/tls/redis/ca.crt --user trimmer")
    for ca, ready in ((redis.known, True), (foreign, False)):
        places = Loopback(services={f"{REDIS}:6379": redis.port}, mounts={"/etc/tls/redis/ca.crt": ca})
        words = [places.command(word) for word in wait]
        assert "--tls" in words
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=START)
        assert (done.stdout == "PONG\n") is ready, done.stderr
    backup = BackupPod(
        manifests=rendered,
        name=f"{REDIS}-backup",
        root=tmp_path / "backup",
        secrets=SECRETS,
        variables={"REDIS_HOST": LOCALHOST, "REDIS_PORT": str(redis.port)},
    )
    write_secret(backup.mounts["/etc/tls/redis"], {"ca.crt": redis.known.read_bytes()})
    with redis.connected() as connection:
        assert say(connection, "AUTH", "operator", SECRETS[REDIS, "operator-password"]) == "+OK"
        assert say(connection, "SET", "user:1", "kept") == "+OK"
        assert say(connection, "CONFIG", "SET", "repl-diskless-sync-delay", "0") == "+OK"
    assert "event=backup store=redis" in backup.run()


CHANGES: dict[str, tuple[Callable[[Authority], Authority], tuple[str, ...]]] = {
    "a new certificate of its key": (Authority.renewed, ("old", "new")),
    "an intermediate under it": (Authority.intermediate, ("old", "new")),
    "another, and both are known": (lambda _: Authority("another CA"), ("both",)),
}
"""How a CA may change, and which files of a client know servers of the old one and of the new one."""


@pytest.mark.parametrize("change", grid(CHANGES, short=("another, and both are known",)))
def test_a_ca_may_change_and_nobody_is_refused(
    postgres: Encrypted, redis: EncryptedRedis, rendered: Sequence[Manifest], tmp_path: Path, change: str
) -> None:
    changed, knowing = CHANGES[change]
    agent = find(rendered, "Deployment", f"{PREFIX}pdf-extractor")
    wait = container_of(agent, "wait-for-redis")["command"][4:]
    variables = pod_environment(agent, "wait-for-redis", secrets=SECRETS, loopback=Loopback())
    known = {name: tmp_path / f"{name}.crt" for name in ("old", "new", "both")}

    def psql() -> None:
        for name in knowing:
            given = postgres.client("registry")
            given["url"] = given["url"].replace(str(postgres.known), str(known[name]))
            assert postgres.server.ask("SELECT 1", **given) == ["1"]

    def redis_cli() -> None:
        for name in knowing:
            places = Loopback(services={f"{REDIS}:6379": redis.port}, mounts={"/etc/tls/redis/ca.crt": known[name]})
            words = [places.command(word) for word in wait]
            done = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=START)
            assert done.stdout == "PONG\n", done.stderr
            assert redis.shown(known[name])

    def meet(server: Encrypted | EncryptedRedis, dial: Callable[[], None], ask: Callable[[], object]) -> None:
        """A client dials the server as it was, and as it is after the change."""
        before, after = server.shown(), changed(server.authority)
        made = after.make(server.names)
        known["old"].write_bytes(server.known.read_bytes())
        known["new"].write_bytes(made["ca.crt"])
        known["both"].write_bytes(server.known.read_bytes() + made["ca.crt"])
        dial()
        account = server.account if isinstance(server, Encrypted) else None
        write_secret(server.folder, made, account)
        try:
            assert eventually(lambda: bool(ask()) and server.shown(known["both"]) != before, START)
            dial()
        finally:
            write_secret(server.folder, server.authority.make(server.names), account)
            assert eventually(lambda: bool(ask()) and is_shown(server), START)

    def is_shown(server: Encrypted | EncryptedRedis) -> bool:
        # Of the CA that all other tests know.
        with suppress(ssl.SSLCertVerificationError):
            return bool(server.shown())
        return False

    meet(postgres, psql, postgres.server.probes)
    meet(redis, redis_cli, lambda: redis.probe("readinessProbe"))


CLIENT = """
import os, socket, sys
real = socket.getaddrinfo
# The names of Services are answered by the cluster's DNS.
socket.getaddrinfo = lambda host, port, *more, **named: real(
    "127.0.0.1" if host == "ai-interviewer-redis" else host, port, *more, **named
)
import redis
client = redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
try:
    print(client.ping(), client.xadd("mesh:trace", {"said": "hello"}) is not None)
except Exception as error:
    print(type(error).__name__, error)
"""


@requires("mesh")
def test_the_client_of_the_meshs_runtime_takes_its_url_as_it_is_rendered(
    redis: EncryptedRedis, rendered: Sequence[Manifest], tmp_path: Path
) -> None:
    url = redis.variables("pdf-extractor", rendered)["REDIS_URL"]
    assert url.startswith(f"rediss://mesh:{SECRETS[REDIS, 'mesh-password']}@{REDIS}:6379/0?ssl_ca_certs=")
    foreign = tmp_path / "foreign.crt"
    foreign.write_bytes(Authority("another CA").make(["x"])["ca.crt"])
    for ca, expected in ((redis.known, "True True"), (foreign, "certificate verify failed")):
        told = url.replace(":6379/", f":{redis.port}/").replace("/etc/tls/redis/ca.crt", str(ca))
        done = subprocess.run(
            [ROOT / ".venv-mesh/bin/python", "-c", CLIENT],
            env={"REDIS_URL": told},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert expected in done.stdout, done.stdout + done.stderr
    # A program of Go names no CA in its URL.
    registry = redis.variables("registry", rendered)
    assert registry["REDIS_URL"] == f"rediss://registry:{SECRETS[REDIS, 'registry-password']}@{REDIS}:6379/0"
    assert registry["SSL_CERT_FILE"] == registry["REDIS_CA_FILE"] == "/etc/tls/redis/ca.crt"


def test_every_client_that_can_be_said_is_one_of_a_store() -> None:
    assert {client.value for client in TlsClient} == {"postgres", "redis", "s3"}


# --- programs of Go ---


@requires("postgres_exporter")
def test_the_exporter_of_postgresql_verifies_it_as_its_own_localhost(
    postgres: Encrypted, rendered: Sequence[Manifest], tmp_path: Path
) -> None:
    manifest, port = find(rendered, "StatefulSet", POSTGRES), free_port()
    environment = pod_environment(manifest, "exporter", secrets=HOSTILE, loopback=Loopback())
    assert environment["DATA_SOURCE_NAME"].startswith("postgresql://exporter@localhost:5432/")
    for ca, reached in ((postgres.known, "1"), (postgres.folder / "no.crt", "0")):
        places = Loopback(
            services={"localhost:5432": postgres.server.port},
            ports={9187: port},
            mounts={"/etc/tls/postgres/ca.crt": ca},
        )
        told = environment["DATA_SOURCE_NAME"].replace(":5432/", f":{postgres.server.port}/")
        variables = {**environment, "DATA_SOURCE_NAME": places.command(told)}
        pod = start_pod(
            manifest,
            "exporter",
            environment=variables,
            loopback=Loopback(ports={9187: port}),
            root=tmp_path,
            entrypoint=[str(ROOT / "build/bin/postgres_exporter"), f"--web.listen-address={LOCALHOST}:{port}"],
        )
        with serving(pod, lambda: is_open(port)), urllib.request.urlopen(f"http://{LOCALHOST}:{port}/metrics") as told_:
            assert f"\npg_up {reached}\n" in told_.read().decode()


@requires("mesh_registry")
def test_a_real_registry_is_a_client_of_both_by_the_variables_of_its_pod(
    postgres: Encrypted, redis: EncryptedRedis, rendered: Sequence[Manifest], tmp_path: Path
) -> None:
    """It dials the name that is good on this machine too. The CAs are those of both servers."""
    everywhere = json.dumps(find(rendered, "Deployment", f"{PREFIX}registry"))
    manifest, port = json.loads(everywhere.replace('"0.0.0.0"', f'"{LOCALHOST}"')), free_port()
    environment = pod_environment(manifest, "registry", secrets=SECRETS, loopback=Loopback())
    variables = {
        **environment,
        "DATABASE_URL": environment["DATABASE_URL"]
        .replace(f"{POSTGRES}:5432", f"localhost:{postgres.server.port}")
        .replace("/etc/tls/postgres/ca.crt", str(postgres.known)),
        "PGSSLROOTCERT": str(postgres.known),
        "PGPASSWORD": HOSTILE[POSTGRES, "mcpmesh-password"],
        "REDIS_URL": environment["REDIS_URL"].replace(f"{REDIS}:6379", f"localhost:{redis.port}"),
        "SSL_CERT_FILE": str(redis.known),
        "MCP_MESH_DISTRIBUTED_TRACING_ENABLED": "true",
    }
    pod = start_pod(
        manifest,
        "registry",
        environment=variables,
        loopback=Loopback(ports={8000: port}),
        root=tmp_path,
        entrypoint=[str(ROOT / "build/mesh-registry/node_modules/@mcpmesh/cli-linux-x64/bin/mcp-mesh-registry")],
    )
    with serving(pod, lambda: is_open(port)):
        with urllib.request.urlopen(f"http://{LOCALHOST}:{port}/agents") as answer:
            assert answer.status == 200
        sessions = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'mcpmesh'"
        assert postgres.server.ask(sessions) == ["t"]
        with redis.connected() as connection:
            assert say(connection, "AUTH", "operator", SECRETS[REDIS, "operator-password"]) == "+OK"
            # It reads the stream by a group of its own, which it makes when it is connected.
            assert eventually(lambda: say(connection, "XINFO", "GROUPS", "mesh:trace").startswith("*1"), START)


def test_an_agent_of_3_x_is_refused_that_would_lose_its_traces() -> None:
    for release, refused in ((MeshRelease.V0_5, False), (MeshRelease.V3, True)):
        scope = Phase(Application(ApplicationSettings(name="shop", mesh=Mesh(release=release)), outdir="unused"), "all")
        settings = replace(STORE_TLS.agents[0], tls=(TlsClient.REDIS,))
        if refused:
            with pytest.raises(SettingError, match=r"pdf-extractor tls: .* speaks no TLS to Redis"):
                Agent(scope, settings)
        else:
            Agent(scope, settings)


def test_an_agent_of_3_x_is_not_told_to_say_what_it_cannot_do() -> None:
    transit = StoreTls(certificates=CertManager(issuer="ca"))
    application = Application(ApplicationSettings(name="shop", transit=transit), outdir="unused")
    scope = Phase(application, "all")
    settings = replace(STORE_TLS.redis, backup=None)
    keys = SecretSettings(name="redis", keys=settings.secret_keys, source=ExistingSecrets())
    redis = Redis(scope, settings, Secret(scope, keys))
    with pytest.raises(SettingError) as refused:
        Agent(scope, replace(STORE_TLS.agents[0], tls=())).connects_to(redis)
    assert str(refused.value).endswith(
        "shop-pdf-extractor cannot: name other stores in StoreTls.stores, or give IstioAmbient()."
    )


# --- what is moved, and backed up ---


def run(pod: Pod, script: str, *arguments: str, given: bytes = b"") -> str:
    """Run a script beside a server, as the commands do."""
    path = Path(redis_module.__file__).with_name("redis_files") / script
    done = subprocess.run(
        ["sh", "-c", read_script(path), script, *arguments],
        env=dict(pod.environment),
        input=given,
        capture_output=True,
        timeout=START,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="replace")


def test_keys_move_and_passwords_change_beside_a_redis_that_speaks_tls(redis: EncryptedRedis) -> None:
    """The second server of a move is plain, on the loopback of the pod, and the first one copies from it."""
    operator = SECRETS[REDIS, "operator-password"]
    with redis.connected() as connection:
        assert say(connection, "AUTH", "operator", operator) == "+OK"
        assert say(connection, "CONFIG", "SET", "repl-diskless-sync-delay", "0") == "+OK"
        assert say(connection, "FLUSHALL") == "+OK"
        assert say(connection, "SET", "user:moved", "here") == "+OK"
        path = Path(redis_module.__file__).with_name("redis_files") / "export.sh"
        dump = subprocess.run(
            ["sh", "-c", read_script(path)], env=dict(redis.pod.environment), capture_output=True, timeout=START
        ).stdout
        assert dump.startswith(b"REDIS")
        assert say(connection, "FLUSHALL") == "+OK"
        port = str(free_port())
        assert "db0:keys=1" in run(redis.pod, "stage.sh", port, hashlib.sha256(dump).hexdigest(), given=dump)
        run(redis.pod, "swap.sh", port)
        run(redis.pod, "discard.sh", port)
        assert say(connection, "EXISTS", "user:moved") == ":1"
        assert "db0:keys=1" in run(redis.pod, "keyspace.sh")
        run(redis.pod, "password.sh", "backend", given=b"another-password")
        assert say(connection, "AUTH", "backend", "another-password") == "+OK"


def test_postgresql_is_backed_up_by_tls(postgres: Encrypted, rendered: Sequence[Manifest], tmp_path: Path) -> None:
    variables = {"PGHOSTADDR": LOCALHOST, "PGPORT": str(postgres.server.port)}
    pods = [
        BackupPod(
            manifests=rendered,
            name=f"{POSTGRES}-backup",
            root=tmp_path / name,
            secrets=HOSTILE,
            variables={**variables, "PGSSLROOTCERT": str(ca)},
        )
        for name, ca in (("known", postgres.known), ("foreign", tmp_path / "foreign.crt"))
    ]
    (tmp_path / "foreign.crt").write_bytes(Authority("another CA").make(["x"])["ca.crt"])
    assert "event=backup store=postgres" in pods[0].run()
    words, environment = pods[1].command(pods[1].containers[0])
    assert environment["PGSSLMODE"] == "verify-full"
    said = subprocess.run(
        ["psql", "--no-psqlrc", "--dbname=postgres", "--username=backup", "--command=SELECT 1"],
        env={**environment, **pods[1].variables},
        capture_output=True,
        text=True,
        timeout=START,
    )
    assert "certificate verify failed" in said.stderr, words


# --- what is watched, and stored ---


@requires("watching")
def test_until_when_a_certificate_is_good_is_measured_where_clients_meet_it(
    postgres: Encrypted, redis: EncryptedRedis, rendered: Sequence[Manifest], tmp_path: Path, needs_watching: Path
) -> None:
    """By the real exporter, with the names and CAs that are rendered. PostgreSQL's log says nothing of it."""
    told = yaml.safe_load(find(rendered, "ConfigMap", f"{PREFIX}prometheus")["data"]["prometheus.yaml"])
    jobs = {job["job_name"]: job for job in told["scrape_configs"]}
    places = {f"{POSTGRES}:5432": postgres.server.port, f"{REDIS}:6379": redis.port, f"{MINIO}:9000": 0}
    names = ("postgres", "redis", "minio")
    assert [jobs[f"check-{name}-tls"]["params"]["target"] for name in names] == [[place] for place in places]
    foreign = tmp_path / "foreign.crt"
    foreign.write_bytes(Authority("another CA").make(["x"])["ca.crt"])
    servers = {"postgres": (postgres.server.port, postgres.shown()), "redis": (redis.port, redis.shown())}
    log = postgres.server.pod.output
    for known, believed in (({"postgres": postgres.known, "redis": redis.known}, True), ({}, False)):
        root, port = tmp_path / f"blackbox-{believed}", free_port()
        files = {name: f"/etc/tls/{name}/ca.crt" for name in names}
        with running_server(
            rendered,
            "blackbox",
            "blackbox",
            root,
            [str(needs_watching.with_name("blackbox_exporter")), f"--web.listen-address={LOCALHOST}:{port}"],
            ports={9115: port},
            ready=lambda port=port: is_open(port),  # type: ignore[misc]
            files={path: known.get(name, foreign).read_text() for name, path in files.items()},
            # DNS is the cluster's: the exporter takes the name that it verifies from the target, an address here.
            changes={f"{root}{at}": f"{root}{at}\n        server_name: {PREFIX}{name}" for name, at in files.items()},
        ):
            for name, (server, shown) in servers.items():
                url = f"http://{LOCALHOST}:{port}/probe?module={name}-tls&target={LOCALHOST}:{server}"
                with urllib.request.urlopen(url, timeout=START) as answer:
                    said = dict(line.split() for line in answer.read().decode().splitlines() if line.count(" ") == 1)
                assert said["probe_success"] == str(int(believed))
                if believed:
                    leaf = x509.load_der_x509_certificate(shown).not_valid_after_utc.timestamp()
                    ca = x509.load_pem_x509_certificate(known[name].read_bytes()).not_valid_after_utc.timestamp()
                    # Redis shows its CA beside it, which is as good.
                    assert float(said["probe_ssl_earliest_cert_expiry"]) == (
                        leaf if name == "postgres" else min(leaf, ca)
                    )
                    assert float(said["probe_ssl_last_chain_expiry_timestamp_seconds"]) == min(leaf, ca)
            if believed:
                assert "FATAL" not in postgres.server.pod.output.removeprefix(log)


def test_a_prometheus_of_an_operator_is_told_the_ca_and_the_name() -> None:
    settings = replace(STORE_TLS, metrics=PrometheusOperator())
    objects = [m for group in AiInterviewer(settings, outdir="unused").manifests().values() for m in group]
    (endpoint,) = each(find(objects, "PodMonitor", MINIO), "spec", "podMetricsEndpoints")
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"] == {"ca": {"secret": {"name": f"{MINIO}-tls", "key": "ca.crt"}}, "serverName": MINIO}
    (plain,) = each(find(objects, "PodMonitor", REDIS), "spec", "podMetricsEndpoints")
    assert not {"scheme", "tlsConfig"} & plain.keys()
    asked = find(objects, "Probe", f"{PREFIX}check-redis-tls")["spec"]
    assert (asked["module"], asked["targets"]["staticConfig"]["static"]) == ("redis-tls", [f"{REDIS}:6379"])
    assert asked["targets"]["staticConfig"]["labels"]["component"] == "certificate"


def test_traces_in_minio_go_there_by_tls() -> None:
    storage = S3Storage(bucket="traces", waiting=Claim(mount_path="/var/tempo", size="2Gi"))
    settings = replace(STORE_TLS, tempo=replace(PROD.tempo, storage=storage))
    objects = [m for group in AiInterviewer(settings, outdir="unused").manifests().values() for m in group]
    told = yaml.safe_load(find(objects, "ConfigMap", f"{PREFIX}tempo")["data"]["tempo.yaml"])
    assert told["storage"]["trace"]["s3"] == {
        "bucket": "traces",
        "endpoint": f"{MINIO}:9000",
        "insecure": False,
        "tls_ca_path": "/etc/tls/minio/ca.crt",
    }
    mounts = container_of(find(objects, "Deployment", f"{PREFIX}tempo"), "tempo")["volumeMounts"]
    assert "/etc/tls/minio" in [mount["mountPath"] for mount in mounts]


class Beside(Side):
    """A server that is rendered, or one of a Compose stack, and a machine that only writes down what is asked of it."""

    def __init__(self, *, rendered: bool) -> None:
        self._rendered = rendered
        self.asked: list[dict[str, str]] = []

    @property
    def rendered(self) -> bool:
        return self._rendered

    def run(
        self,
        server: ServerOf,
        doing: str,
        script: str,
        *arguments: str,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        heading: bool = False,
    ) -> str:
        return "the CA" if arguments == ("/etc/tls/server/CAs/ca.crt",) else "root\npassword\n"

    @contextmanager
    def address(self, server: ServerOf) -> Generator[str]:
        yield f"{LOCALHOST}:9000"

    def local(self, command: Sequence[str], *, variables: Mapping[str, str] | None = None) -> str:
        assert variables
        known = variables.get("SSL_CERT_FILE")
        text = Path(known).read_text() if known else ""
        self.asked.append({"address": variables["MC_HOST_store"], "knows": text})
        return ""

    def say(self, line: str) -> None:
        raise AssertionError(line)


def test_objects_move_by_https_where_minio_speaks_it_and_by_a_name_of_its_certificate() -> None:
    application = AiInterviewer(STORE_TLS, outdir="unused")
    (minio,) = application.find_all(Minio)
    asked = []
    for rendered in (True, False):
        side = Beside(rendered=rendered)
        minio.mover(side).present()
        asked += side.asked[:1]
    # A stack of Compose is as it was.
    assert asked == [
        {"address": "https://root:password@localhost:9000", "knows": "the CA"},
        {"address": f"http://root:password@{LOCALHOST}:9000", "knows": ""},
    ]
