"""This module is the proof that Redis is backed up by the rendered task, on the real server, and comes back."""

import hashlib
import json
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from backup_harness import BackupPod, Cluster, copy_claim, drilled, seal
from conftest import at_each, requires
from mesh_harness import LOCALHOST, SECRETS, Manifest, Pod, free_port
from processes import REDIS, serving, start_redis
from redis_client import ask_redis, redis_cli
from test_restore import Operate, operate

__all__ = ["operate"]

PASSWORD = SECRETS[REDIS, "operator-password"]
pytestmark = requires("redis")


@pytest.fixture(scope="module")
def rendered() -> Sequence[Manifest]:
    """Production, whose newest backup is tried."""
    return drilled()


def ask(redis: Pod, *command: str) -> object:
    """The answer to a command."""
    return ask_redis(redis.ports["redis"], PASSWORD, *command)


@contextmanager
def running(rendered: Sequence[Manifest], folder: Path) -> Generator[Pod]:
    """The rendered Redis, which is empty."""
    port = free_port()
    with serving(start_redis(rendered, folder, port), lambda: "PONG" in redis_cli(port, PASSWORD, "PING")) as pod:
        # By default it waits five seconds for more replicas before it sends a dump.
        ask(pod, "CONFIG", "SET", "repl-diskless-sync-delay", "0")
        yield pod


@pytest.fixture
def redis(rendered: Sequence[Manifest], tmp_path: Path) -> Generator[Pod]:
    """The rendered Redis, with values of some types."""
    with running(rendered, tmp_path / "redis") as pod:
        users = {f"user:{number}": "x" * number for number in range(50)}
        assert ask(pod, "MSET", *(word for pair in users.items() for word in pair)) == "OK"
        ask(pod, "SET", "session:a", "in an interview", "PXAT", "4000000000123")
        ask(pod, "XADD", "mesh:trace", "1-0", "said", "hello")
        ask(pod, "XGROUP", "CREATE", "mesh:trace", "readers", "0")
        ask(pod, "HSET", "hash", "field", "value")
        yield pod


def task(rendered: Sequence[Manifest], redis: Pod, folder: Path) -> BackupPod:
    """The task, with an empty claim."""
    where = {"REDIS_HOST": LOCALHOST, "REDIS_PORT": str(redis.ports["redis"])}
    return BackupPod(
        manifests=rendered, name="ai-interviewer-redis-backup", root=folder, secrets=SECRETS, variables=where
    )


@pytest.fixture
def pod(rendered: Sequence[Manifest], redis: Pod, tmp_path: Path) -> BackupPod:
    """The task, with an empty claim."""
    return task(rendered, redis, tmp_path / "pod")


def content(redis: Pod) -> dict[str, object]:
    """Every key, as the server would give it to another, and when it ends."""
    keys = ask(redis, "KEYS", "*")
    assert isinstance(keys, list)
    # The last ten bytes of what DUMP gives are a version and a checksum of the rest.
    digest = "return redis.sha1hex(redis.call('DUMP', KEYS[1]))"
    return {key: (ask(redis, "EVAL", digest, "1", key), ask(redis, "PEXPIRETIME", key)) for key in keys}


def test_a_backup_is_a_dump_that_was_read_back(pod: BackupPod) -> None:
    said = pod.run()
    (name,) = pod.names
    assert f"event=backup store=redis name={name} bytes=" in said
    (manifest,) = pod.listed()
    taken = manifest["taken"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", taken["version"])
    assert (taken["facts"]["keys"], taken["facts"]["expiring"]) == (53, 1)
    assert (pod.backups / name / "data/dump.rdb").read_bytes()[:5] == b"REDIS"


def beside(redis: Pod) -> list[str]:
    """The dumps that lie beside the append-only file."""
    return [path.name for path in redis.log.parent.rglob("*.rdb") if path.parent.name != "appendonlydir"]


def test_nothing_of_it_lies_beside_the_server(pod: BackupPod, redis: Pod) -> None:
    pod.run()
    assert beside(redis) == []


def as_backup(redis: Pod, *command: str) -> str:
    """What the user of the backup is told, or why it is refused."""
    password = SECRETS[REDIS, "backup-password"]
    return redis_cli(redis.ports["redis"], password, *command, user="backup")


@at_each(
    "command",
    [
        ("GET", "session:a"),
        ("SET", "session:a", "mine"),
        ("DEL", "session:a"),
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("DUMP", "session:a"),
        ("CONFIG", "GET", "*"),
        ("CONFIG", "SET", "dir", "/tmp"),
        ("ACL", "LIST"),
        ("INFO",),
        ("BGSAVE",),
        ("SAVE",),
        ("SHUTDOWN",),
        ("REPLICAOF", "127.0.0.1", "1"),
        ("EVAL", "return 1", "0"),
        ("SUBSCRIBE", "all"),
        ("MONITOR",),
        ("CLIENT", "LIST"),
        ("SELECT", "1"),
    ],
)
def test_its_user_is_refused_everything_but_the_dump(redis: Pod, command: tuple[str, ...]) -> None:
    assert f"no permissions to run the '{command[0].lower()}" in as_backup(redis, *command)


def test_each_command_that_its_user_may_give_is_needed(redis: Pod, pod: BackupPod) -> None:
    """But PSYNC, which says the same as SYNC: a later redis-cli may ask so."""
    ask(redis, "ACL", "SETUSER", "backup", "-psync")
    pod.run()
    take = pod.mounts["/etc/backup"] / "take.sh"
    assert "left=60\n" in take.read_text()
    pod.script("take.sh", take.read_text().replace("left=60\n", "left=2\n"))
    for missing in ("-sync", "-ping"):
        ask(redis, "ACL", "SETUSER", "backup", "+sync", "+ping", missing)
        pod.forget()
        # Nobody waits for a server that never says PONG: the next test shows that it is asked for long.
        said = pod.run({"PATH": impatient(pod)}, status=1)
        assert "no permissions to run" in said or "does not answer" in said
    # Without REPLCONF the server writes the dump beside its data, and sends that.
    ask(redis, "ACL", "SETUSER", "backup", "+ping", "-replconf")
    assert beside(redis) == []
    pod.forget()
    pod.run()
    assert beside(redis) == ["dump.rdb"]


def impatient(pod: BackupPod) -> str:
    """A path on which nobody sleeps."""
    folder = pod.root / "impatient"
    folder.mkdir(exist_ok=True)
    (folder / "sleep").write_text("#!/bin/sh\n")
    (folder / "sleep").chmod(0o755)
    _, environment = pod.command(pod.containers[-1])
    return f"{folder}:{environment['PATH']}"


def test_a_server_that_is_away_is_told(pod: BackupPod) -> None:
    nobody = str(free_port())
    said = pod.run({"REDIS_PORT": nobody, "PATH": impatient(pod)}, status=1)
    assert f"error: {LOCALHOST}:{nobody} does not answer: Could not connect to Redis" in said
    assert pod.names == []


@pytest.fixture
def drill(rendered: Sequence[Manifest], pod: BackupPod, tmp_path: Path) -> BackupPod:
    """The drill of what the task wrote."""
    found = BackupPod(manifests=rendered, name="ai-interviewer-redis-drill", root=tmp_path / "drill", secrets=SECRETS)
    pod.run()
    copy_claim(pod, found)
    return found


def test_a_drill_starts_a_server_on_the_newest(drill: BackupPod) -> None:
    said = drill.run()
    assert "a server started on the dump has 53 keys, of 53" in said
    assert f"event=drill store=redis name={drill.names[0]} bytes=" in said
    assert "event=drill" in drill.run()


@pytest.mark.parametrize("how", ["truncated", "another byte"])
def test_a_drill_refuses_a_dump_that_no_server_takes(drill: BackupPod, how: str) -> None:
    """Even where the checksums are those of the damaged file."""
    folder = drill.backups / drill.names[0]
    dump = folder / "data/dump.rdb"
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-20] if how == "truncated" else whole[:-30] + b"\xff" + whole[-29:])
    assert "dump.rdb is not what was written" in drill.run(status=1)
    seal(folder)
    said = drill.run(status=1)
    assert f"error: the backup {drill.names[0]} of redis cannot be restored: see above" in said


def test_what_was_lost_comes_back_to_the_byte(
    rendered: Sequence[Manifest], redis: Pod, pod: BackupPod, tmp_path: Path, operate: Operate
) -> None:
    before = content(redis)
    pod.run()
    ask(redis, "SET", "after the backup", "lost")
    with running(rendered, tmp_path / "another") as other:
        cluster = Cluster(tmp_path / "bin")
        cluster.executes("deployment/ai-interviewer-redis", "redis", other.environment, other.log.parent)
        cluster.reads(pod)
        command = ("restore", "trial", "--store=redis", "--from=newest", f"--data={tmp_path / 'restored'}")
        status, said = operate(*command)
        assert status == 0, said
        assert content(other) == before
        # A second time it is not empty.
        ask(other, "SET", "after the restore", "kept beside")
        status, said = operate(*command)
        assert (status, "redis is not empty: 54 keys. It is kept" in said) == (1, True), said
        status, said = operate(*command, "--confirm=trial")
        assert status == 0, said
        assert content(other) == before
        kept = sorted((tmp_path / "restored.before").iterdir())
        assert [path.name for path in kept] == ["redis-1.rdb", "redis-2.rdb"]
        assert b"after the restore" in kept[-1].read_bytes()


def test_functions_and_other_databases_come_back_too(
    rendered: Sequence[Manifest], redis: Pod, pod: BackupPod, tmp_path: Path, operate: Operate
) -> None:
    ask(redis, "FUNCTION", "LOAD", "#!lua name=ours\nredis.register_function('one', function() return 1 end)")
    ask(redis, "EVAL", "redis.call('SELECT', 3); redis.call('ZADD', 'elsewhere', 1, 'a')", "0")
    pod.run()
    with running(rendered, tmp_path / "another") as other:
        cluster = Cluster(tmp_path / "bin")
        cluster.executes("deployment/ai-interviewer-redis", "redis", other.environment, other.log.parent)
        cluster.reads(pod)
        status, said = operate("restore", "trial", "--store=redis", "--from=newest", f"--data={tmp_path / 'restored'}")
        assert status == 0, said
        assert ask(other, "FCALL", "one", "0") == 1
        assert ask(other, "EVAL", "redis.call('SELECT', 3); return redis.call('KEYS', '*')", "0") == ["elsewhere"]


def test_of_an_empty_server_there_is_a_backup_that_can_be_restored(
    rendered: Sequence[Manifest], tmp_path: Path
) -> None:
    with running(rendered, tmp_path / "redis") as redis:
        pod = task(rendered, redis, tmp_path / "pod")
        pod.run()
    assert pod.listed()[0]["taken"]["facts"]["keys"] == 0
    drill = BackupPod(manifests=rendered, name="ai-interviewer-redis-drill", root=tmp_path / "drill", secrets=SECRETS)
    copy_claim(pod, drill)
    assert "a server started on the dump has 0 keys, of 0" in drill.run()


def test_a_file_that_changed_on_its_way_is_refused(
    redis: Pod, pod: BackupPod, tmp_path: Path, operate: Operate
) -> None:
    pod.run()
    dump = pod.backups / pod.names[0] / "data/dump.rdb"
    before, whole = content(redis), dump.read_bytes()
    cluster = Cluster(tmp_path / "bin")
    cluster.executes("deployment/ai-interviewer-redis", "redis", redis.environment, redis.log.parent)
    cluster.reads(pod)
    command = ("restore", "trial", "--store=redis", "--from=newest", "--confirm=trial", f"--data={tmp_path / 'it'}")
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), whole + b"more"):
        dump.write_bytes(damaged)
        status, said = operate(*command)
        assert status == 1
        assert "dump.rdb is not what was written" in said or "could not be read" in said
        assert not (tmp_path / "it").exists()
    dump.write_bytes(whole)
    sums = pod.backups / pod.names[0] / "sums"
    sums.write_text(sums.read_text().replace(hashlib.sha256(whole).hexdigest(), "0" * 64))
    status, said = operate(*command)
    assert (status, "the list of its files is not that of its manifest" in said) == (1, True)
    # Who may write backups changes the manifest too.
    (pod.backups / "stolen").write_bytes(b"mine")
    forged = {
        f"{hashlib.sha256(b'mine').hexdigest()} 4 ../../stolen": "has a file '../../stolen', which would be written",
        f"{hashlib.sha256(b'mine').hexdigest()} 4": "has no list of files",
        f"{hashlib.sha256(b'mine').hexdigest()} four dump.rdb": "has no list of files",
    }
    manifest = pod.backups / pod.names[0] / "manifest.json"
    kept = json.loads(manifest.read_text())
    for line, refused in forged.items():
        sums.write_text(f"{line}\n")
        kept["sums"] = hashlib.sha256(sums.read_bytes()).hexdigest()
        manifest.write_text(json.dumps(kept, separators=(",", ":")) + "\n")
        status, said = operate(*command)
        assert (status, refused in said) == (1, True), said
        assert not (tmp_path / "it").exists()
        assert not (tmp_path / "stolen").exists()
    assert content(redis) == before
    assert "patch" not in "".join(cluster.others.lines("kubectl")), "nobody was stopped for it"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--from=newest",), "Say which store it is a backup of: STORE=<its name>."),
        (("--store=tempo",), "There are no backups of 'tempo', only: postgres, redis, minio."),
        (
            ("--store=redis", "--from=20010101T000000Z", "--confirm=trial"),
            "There is no backup 20010101T000000Z of redis",
        ),
    ],
)
def test_what_there_is_not_is_said(
    redis: Pod, pod: BackupPod, tmp_path: Path, operate: Operate, given: tuple[str, ...], said: str
) -> None:
    cluster = Cluster(tmp_path / "bin")
    cluster.executes("deployment/ai-interviewer-redis", "redis", redis.environment, redis.log.parent)
    cluster.reads(pod)
    status, text = operate("restore", "trial", *given)
    assert status != 0
    assert said in text
