"""This module is the proof that the rendered Redis keeps what it is given: within its memory, and in prod for good.

What concerns its clients, their passwords and their waiting for it, is proven where the agents run.
"""

import dataclasses
import os
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from ai_interviewer import DEV, PROD, AiInterviewer
from conftest import Manifests, read_manifests, requires, try_each
from environments import EVERY, SETTINGS
from log_pipeline import Pipeline
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Availability,
    Budget,
    Compute,
    Ephemeral,
    ExistingSecrets,
    Namespace,
    NamespaceSettings,
    Persistent,
    Phase,
    Redis,
    RedisSettings,
    RedisUser,
    Repair,
    Secret,
    SecretSettings,
    read_script,
)
from mcpmesh_k8s.kubernetes.manifest import each
from mesh_harness import (
    LOCALHOST,
    SECRETS,
    InventedSecrets,
    Loopback,
    Manifest,
    Pod,
    eventually,
    find,
    free_port,
    is_open,
    probe,
)
from processes import REDIS, START, serving, start_beside_redis, start_redis
from programs import ROOT
from reading import objects_of
from redis_client import ask_redis, redis_cli

PASSWORD = SECRETS[REDIS, "operator-password"]
EXPORTER_PASSWORD = SECRETS[REDIS, "exporter-password"]
UNITS = {"Mi": 2**20, "Gi": 2**30}
STREAM = "mesh:trace"


@contextmanager
def running(
    manifests: Sequence[Manifest], folder: Path, *, stop: signal.Signals = signal.SIGTERM
) -> Generator[Pod, None, None]:
    """The rendered Redis, on the data in this folder."""
    port = free_port()
    with serving(start_redis(manifests, folder, port), lambda: ask_at(port, "PING") == "PONG", stop=stop) as pod:
        yield pod


def ask_at(port: int, *command: str) -> object:
    """The answer to a command; a text when it is an error."""
    return ask_redis(port, PASSWORD, *command)


def ask(redis: Pod, *command: str) -> object:
    """The answer to a command; a text when it is an error."""
    return ask_at(redis.ports["redis"], *command)


pytestmark = requires("redis")


@pytest.fixture(scope="module", params=EVERY)
def rendered(request: pytest.FixtureRequest, manifests: Manifests) -> Sequence[Manifest]:
    """The manifests of an environment."""
    return manifests(request.param)


@pytest.fixture(scope="module")
def redis(rendered: Sequence[Manifest], tmp_path_factory: pytest.TempPathFactory) -> Generator[Pod, None, None]:
    """The Redis of an environment."""
    with running(rendered, tmp_path_factory.mktemp("redis")) as pod:
        yield pod


def test_what_it_holds_is_bounded_below_the_memory_of_its_container(redis: Pod) -> None:
    limit = redis.spec["resources"]["limits"]["memory"]
    answer = ask(redis, "CONFIG", "GET", "maxmemory")
    assert isinstance(answer, dict)
    # A quarter at least is left for what it does not count: copies while it rewrites its file, and buffers.
    assert 0 < int(answer["maxmemory"]) <= int(limit[:-2]) * UNITS[limit[-2:]] * 3 // 4


def test_what_is_too_much_is_refused_and_nothing_is_lost(redis: Pod) -> None:
    memory = ask(redis, "CONFIG", "GET", "maxmemory")
    assert isinstance(memory, dict)
    value = "x" * 2**16
    written = 0
    try:
        # The real bound is the same, and later.
        (used,) = (line for line in str(ask(redis, "INFO", "memory")).splitlines() if line.startswith("used_memory:"))
        assert ask(redis, "CONFIG", "SET", "maxmemory", str(int(used.partition(":")[2]) + 2**20)) == "OK"
        while (answer := ask(redis, "SET", f"kept:{written}", value, "EX", "3600")) == "OK" and written < 32:
            written += 1
        assert "OOM command not allowed" in str(answer)
        assert written
        assert ask(redis, "DBSIZE") == written
        assert [ask(redis, "GET", f"kept:{number}") for number in range(written)] == [value] * written
    finally:
        ask(redis, "CONFIG", "SET", "maxmemory", memory["maxmemory"])
        ask(redis, "FLUSHALL")


def test_how_bad_each_line_of_its_log_is_can_be_read(redis: Pod, rendered: Sequence[Manifest]) -> None:
    lines = Pipeline.of(rendered).read("redis", "redis", redis.output)
    assert {line.level for line in lines} <= {"info", "warn"}
    assert "info" in {line.level for line in lines if "Ready to accept connections" in line.text}


def test_its_probe_fails_with_another_password(redis: Pod) -> None:
    question = redis.spec["readinessProbe"]
    assert probe(question, redis) == "exit 0"
    mistaken = dataclasses.replace(redis, environment={**redis.environment, "REDISCLI_AUTH": "wrong"})
    assert probe(question, mistaken) == "exit 1"


def test_its_password_is_in_no_command_line_and_in_a_file_of_its_own(redis: Pod) -> None:
    (file,) = redis.log.parent.rglob("users.conf")
    assert PASSWORD in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    command = Path(f"/proc/{redis.process.pid}/cmdline").read_text()
    assert command.startswith("redis-server")
    assert PASSWORD not in command + redis.output


def ask_as(redis: Pod, user: str, *command: str) -> str:
    """What a user is told, or why it is refused."""
    return redis_cli(redis.ports["redis"], SECRETS[REDIS, f"{user}-password"], *command, user=user)


def ask_as_exporter(redis: Pod, *command: str, password: str = EXPORTER_PASSWORD) -> str:
    """What the user of the exporter is told, or why it is refused."""
    return redis_cli(redis.ports["redis"], password, *command, user="exporter")


@pytest.fixture
def traced(redis: Pod) -> Generator[Pod, None, None]:
    """The Redis with a stream of traces that is read, a stream that is none of its business, and a value."""
    for stream in (STREAM, "another"):
        ask(redis, "XGROUP", "CREATE", stream, "readers", "0", "MKSTREAM")
        ask(redis, "XADD", stream, "1-0", "said", "in an interview")
    assert ask(redis, "SET", "session", "in an interview") == "OK"
    yield redis
    ask(redis, "FLUSHALL")


EXPORTER_IS_TOLD = [
    ("PING", "PONG"),
    ("INFO", "used_memory:"),
    (f"XINFO STREAM {STREAM}", '"length":1'),
    (f"XINFO GROUPS {STREAM}", '"name":"readers"'),
    ("LATENCY LATEST", r"^\[\]"),
    ("SLOWLOG LEN", r"^\d+"),
]


def test_the_exporter_may_ask_what_its_metrics_are_made_of(traced: Pod) -> None:
    def may(command: str, told: str) -> None:
        answer = ask_as_exporter(traced, *command.split())
        assert re.search(told, answer)
        assert not answer.startswith("error:")

    try_each((command, partial(may, command, told)) for command, told in EXPORTER_IS_TOLD)


EXPORTER_IS_REFUSED = [
    ("GET session", "no permissions to run the 'get' command"),
    ("SET session x", "no permissions to run the 'set' command"),
    ("KEYS *", "no permissions to run the 'keys' command"),
    ("SCAN 0", "no permissions to run the 'scan' command"),
    ("CONFIG GET requirepass", "no permissions to run the 'config|get' command"),
    (f"XRANGE {STREAM} - +", "no permissions to run the 'xrange' command"),
    ("CLIENT LIST", "no permissions to run the 'client|list' command"),
    ("SLOWLOG GET", "no permissions to run the 'slowlog|get' command"),
    ("ACL LIST", "no permissions to run the 'acl|list' command"),
    ("FLUSHALL", "no permissions to run the 'flushall' command"),
    ("XINFO STREAM another", "permissions to access"),
    ("XINFO GROUPS another", "permissions to access"),
]


def test_the_exporter_is_refused_all_else(traced: Pod) -> None:
    def refused(command: str, why: str) -> None:
        answer = ask_as_exporter(traced, *command.split())
        assert "NOPERM" in answer
        assert why in answer
        assert "in an interview" not in answer
        assert ask(traced, "GET", "session") == "in an interview"

    try_each((command, partial(refused, command, why)) for command, why in EXPORTER_IS_REFUSED)


@pytest.mark.parametrize("password", ["", PASSWORD, "wrong"], ids=["none", "that of the clients", "a wrong one"])
def test_nobody_is_the_exporter_without_its_own_password(redis: Pod, password: str) -> None:
    answer = ask_as_exporter(redis, "INFO", password=password)
    assert "used_memory:" not in answer
    assert re.search("WRONGPASS|NOAUTH", answer)


# What each client does, as its source has it: the runtime (http_wrapper.py, redis_metadata_publisher.py), the registry
# (consumer.go, ent_handlers.go), the backend (redis_client.py) and the interview-agent (main.py).
RUNTIME = (
    "PING",
    f"XADD {STREAM} * said x",
    f"XINFO STREAM {STREAM}",
    "SETEX session:1:echo 3600 10.0.0.1",
    "GET session:1:echo",
)
ALLOWED = {
    "mesh": RUNTIME,
    "registry": (
        "PING",
        f"XGROUP CREATE {STREAM} mcp-mesh-registry-processors 0 MKSTREAM",
        f"XREADGROUP GROUP readers me COUNT 100 STREAMS {STREAM} >",
        f"XACK {STREAM} readers 1-0",
        f"XINFO STREAM {STREAM}",
        f"XINFO GROUPS {STREAM}",
    ),
    "trimmer": (f"XTRIM {STREAM} MAXLEN ~ 1000",),
    "backend": (
        *RUNTIME,
        "SET user:a@example.com x",
        "GET user:a@example.com",
        "SETEX user_interview:a@example.com 60 x",
        "DEL user_role_lookup:a@example.com:1",
        "SET interview_expire_lock:1 locked EX 60 NX",
        "SADD roles:index 1",
        "SMEMBERS roles:index",
        "SREM roles:index 1",
        "SCAN 0 MATCH interview_session:* COUNT 100",
        "GET interview_session:1",
    ),
    "default": (*RUNTIME, "SET interview_session:1 x", "GET interview_session:1", "INFO"),
}
NO_COMMAND = "no permissions to run the '{}' command"
NO_KEY = "permissions to access "
"""Of one of the keys, says Redis 7.0, and those after it: of a key."""
REFUSED = {
    "mesh": {
        "KEYS session:*": NO_COMMAND.format("keys"),
        "SCAN 0": NO_COMMAND.format("scan"),
        "GET user:a@example.com": NO_KEY,
        "GET interview_session:1": NO_KEY,
        "SET session:1 x": NO_COMMAND.format("set"),
        "SETEX user:a@example.com 60 x": NO_KEY,
        "DEL session:1": NO_COMMAND.format("del"),
        "XADD another * said x": NO_KEY,
        f"XRANGE {STREAM} - +": NO_COMMAND.format("xrange"),
        f"DEL {STREAM}": NO_COMMAND.format("del"),
    },
    "registry": {
        f"XADD {STREAM} * said x": NO_COMMAND.format("xadd"),
        f"XTRIM {STREAM} MAXLEN 0": NO_COMMAND.format("xtrim"),
        "XREADGROUP GROUP readers me STREAMS another >": NO_KEY,
        "GET user:a@example.com": NO_COMMAND.format("get"),
        f"XGROUP DESTROY {STREAM} readers": NO_COMMAND.format("xgroup|destroy"),
    },
    "trimmer": {
        "XTRIM another MAXLEN 0": NO_KEY,
        f"XLEN {STREAM}": NO_COMMAND.format("xlen"),
        f"XREAD STREAMS {STREAM} 0": NO_COMMAND.format("xread"),
        "PING": NO_COMMAND.format("ping"),
    },
    "backend": {
        "SET another x": NO_KEY,
        "DEL session:1": NO_KEY,
        "SET session:1 x": NO_KEY,
        f"DEL {STREAM}": NO_KEY,
        "KEYS *": NO_COMMAND.format("keys"),
        "INFO": NO_COMMAND.format("info"),
        "EVAL return 0": NO_COMMAND.format("eval"),
    },
    "default": {
        "GET user:a@example.com": NO_KEY,
        "SET roles:1 x": NO_KEY,
        "DEL interview_session:1": NO_COMMAND.format("del"),
        "SCAN 0": NO_COMMAND.format("scan"),
    },
}
RULES = (
    *("ACL LIST", "CONFIG GET dir", "FLUSHALL", "FLUSHDB", "SHUTDOWN", "REPLICAOF NO ONE", "FUNCTION LIST", "SAVE"),
    *("CLIENT LIST", "MONITOR", "SWAPDB 0 1", "MODULE LIST", "SYNC", "PUBLISH a b", "SUBSCRIBE a", "SELECT 1"),
)


def test_these_are_all_users_that_the_application_has(redis: Pod) -> None:
    users = ask(redis, "ACL", "USERS")
    assert isinstance(users, list)
    assert {"operator", "exporter", *ALLOWED} <= set(users) <= {"operator", "exporter", "backup", *ALLOWED}


@pytest.mark.parametrize("user", ALLOWED)
def test_each_client_may_do_what_it_does(traced: Pod, user: str) -> None:
    """One after the other, as it does it."""

    def may(command: str) -> None:
        answer = ask_as(traced, user, *command.split())
        assert not answer.startswith("error:"), answer

    try_each((command, partial(may, command)) for command in ALLOWED[user])


@pytest.mark.parametrize("user", REFUSED)
def test_each_client_is_refused_what_is_not_its_own(traced: Pod, user: str) -> None:
    def refused(command: str, why: str) -> None:
        answer = ask_as(traced, user, *command.split())
        assert "NOPERM" in answer
        assert why in answer
        assert "in an interview" not in answer

    try_each((command, partial(refused, command, why)) for command, why in REFUSED[user].items())


@pytest.mark.parametrize("user", ALLOWED)
def test_no_client_rules_the_server(traced: Pod, user: str) -> None:
    def refused(command: str) -> None:
        name = command.split()[0].lower()
        assert re.search(rf"NOPERM.* '{name}(\|[a-z]+)?' command", ask_as(traced, user, *command.split()))

    try_each((command, partial(refused, command)) for command in RULES)


# As MONITOR shows of agents 3.8.0 and of two registries 3.7.1 within six minutes. What one of them does for another
# that is gone is as its source has it (consumer.go of v3.6.0).
ALLOWED_OF_3 = {
    "mesh": ("PING", f"XADD {STREAM} MAXLEN ~ 10000 * said x", "SETEX session:1:echo 3600 10.0.0.1"),
    "registry": (
        *ALLOWED["registry"],
        f"XTRIM {STREAM} MINID ~ 1",
        f"XPENDING {STREAM} readers IDLE 1000 - + 10",
        f"XCLAIM {STREAM} readers me 1000 1-0",
        f"XINFO CONSUMERS {STREAM} readers",
        f"XGROUP DELCONSUMER {STREAM} readers gone",
    ),
}
REFUSED_OF_3 = {
    "mesh": (f"XTRIM {STREAM} MAXLEN 0", f"XREADGROUP GROUP readers me STREAMS {STREAM} >"),
    "registry": (f"XADD {STREAM} * said x", f"DEL {STREAM}", "XTRIM another MAXLEN 0", f"XREVRANGE {STREAM} + -"),
}


@pytest.fixture(scope="module")
def redis_of_3(tmp_path_factory: pytest.TempPathFactory) -> Generator[Pod, None, None]:
    """The Redis of an application on MCP Mesh 3, with a stream that is read."""
    folder = tmp_path_factory.mktemp("redis-of-3")
    phase, settings, secret = parts(folder, dataclasses.replace(SETTINGS["dev"].redis, users=()))
    Redis(phase, settings, secret)
    phase.application.synth()
    with running(read_manifests(folder / "named"), folder / "redis") as pod:
        ask(pod, "XGROUP", "CREATE", STREAM, "readers", "0", "MKSTREAM")
        ask(pod, "XADD", STREAM, "1-0", "said", "in an interview")
        yield pod


def test_of_3_nobody_is_there_whose_only_work_is_to_trim(redis_of_3: Pod) -> None:
    users = ask(redis_of_3, "ACL", "USERS")
    assert isinstance(users, list)
    assert set(users) - {"backup", "default"} == {"operator", "exporter", *ALLOWED_OF_3}


@pytest.mark.parametrize("user", ALLOWED_OF_3)
def test_of_3_each_client_may_do_what_it_does(redis_of_3: Pod, user: str) -> None:
    def may(command: str) -> None:
        answer = ask_as(redis_of_3, user, *command.split())
        assert "NOPERM" not in answer, answer

    try_each((command, partial(may, command)) for command in ALLOWED_OF_3[user])


@pytest.mark.parametrize("user", REFUSED_OF_3)
def test_of_3_each_client_is_refused_what_is_not_its_own(redis_of_3: Pod, user: str) -> None:
    def refused(command: str) -> None:
        assert "NOPERM" in ask_as(redis_of_3, user, *command.split())

    try_each((command, partial(refused, command)) for command in REFUSED_OF_3[user])


@pytest.mark.parametrize("user", [*ALLOWED, "operator", "exporter"])
def test_nobody_comes_in_with_the_password_of_another(redis: Pod, user: str) -> None:
    other = "mesh" if user != "mesh" else "backend"
    for password in (SECRETS[REDIS, f"{other}-password"], "wrong"):
        assert "WRONGPASS" in redis_cli(redis.ports["redis"], password, "PING", user=user)


def test_a_new_password_is_good_beside_the_old_until_that_is_taken_away(redis: Pod) -> None:
    script = read_script(ROOT / "constructs/mcpmesh_k8s/services/redis_files/password.sh")
    old, new = SECRETS[REDIS, "backend-password"], "the-new-one"

    def tell(password: str, *only: str) -> None:
        done = subprocess.run(
            ["sh", "-c", script, "password", "backend", *only],
            env=redis.environment,
            input=password,
            capture_output=True,
            text=True,
            timeout=START,
        )
        assert (done.returncode, done.stdout) == (0, "OK\n"), done.stderr

    def lets_in(password: str) -> bool:
        return redis_cli(redis.ports["redis"], password, "PING", user="backend") == '"PONG"\n'

    rights = ask(redis, "ACL", "GETUSER", "backend")
    assert (lets_in(old), lets_in(new)) == (True, False)
    with socket.create_connection((LOCALHOST, redis.ports["redis"])) as open_, open_.makefile("rb") as answers:
        open_.sendall(f"AUTH backend {old}\r\nPING\r\n".encode())
        assert (answers.readline(), answers.readline()) == (b"+OK\r\n", b"+PONG\r\n")
        tell(new)
        assert (lets_in(old), lets_in(new)) == (True, True)
        tell(new, "only")
        assert (lets_in(old), lets_in(new)) == (False, True)
        open_.sendall(b"PING\r\n")
        assert answers.readline() == b"+PONG\r\n"
    tell(old, "only")
    assert ask(redis, "ACL", "GETUSER", "backend") == rights


def test_without_a_password_nobody_is_told_anything(redis: Pod) -> None:
    assert "NOAUTH" in redis_cli(redis.ports["redis"], "", "PING", user="")


def test_where_no_client_is_without_a_name_a_password_alone_is_no_way_in(tmp_path: Path) -> None:
    redis = dataclasses.replace(DEV.redis, users=())
    Redis(*parts(tmp_path, redis)).application.synth()
    with running(read_manifests(tmp_path / "named"), tmp_path) as pod:
        assert ask(pod, "PING") == "PONG"
        for user in ("operator", "mesh"):
            answer = redis_cli(pod.ports["redis"], SECRETS[REDIS, f"{user}-password"], "PING", user="")
            assert "WRONGPASS" in answer


def parts(tmp_path: Path, settings: RedisSettings) -> tuple[Phase, RedisSettings, Secret]:
    """What a Redis alone is made of."""
    phase = Phase(Application(ApplicationSettings(name="ai-interviewer"), outdir=tmp_path / "named"), "foundation")
    Namespace(phase, NamespaceSettings(budget=Budget(cpu="2", memory="4Gi")))
    names = SecretSettings(name="redis", keys=settings.secret_keys, source=ExistingSecrets())
    return phase, dataclasses.replace(settings, availability=Availability()), Secret(phase, names)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL], ids=["restart", "crash"])
@pytest.mark.parametrize(
    ("environment", "kept"),
    [(name, None if isinstance(SETTINGS[name].redis.storage, Ephemeral) else "kept") for name in EVERY],
)
def test_data_outlive_the_process_where_they_lie_on_a_claim(
    manifests: Manifests, tmp_path: Path, environment: str, kept: str | None, stop: signal.Signals
) -> None:
    with running(manifests(environment), tmp_path, stop=stop) as pod:
        assert ask(pod, "SET", "key", "kept") == "OK"
    with running(manifests(environment), tmp_path) as pod:
        assert ask(pod, "GET", "key") == kept


def test_under_heavy_writing_its_file_takes_no_more_than_a_claim_holds(tmp_path: Path, long: bool) -> None:
    """What it may hold is written over and over, at 60 MB a second, and the file anew again and again."""
    memory, size = 64 * 2**20, 278 * 2**20
    redis = dataclasses.replace(
        PROD.redis, compute=Compute(cpu="200m", memory="64Mi"), storage=Persistent(size="278Mi")
    )
    AiInterviewer(dataclasses.replace(PROD, redis=redis), outdir=tmp_path / "small").synth()
    value, peak = os.urandom(60_000), 0  # with what Redis adds it fills 64 KiB
    keys = memory * 2 // 3 // 2**16 * 9 // 10
    with running(read_manifests(tmp_path / "small"), tmp_path) as pod:
        with socket.create_connection((LOCALHOST, pod.ports["redis"])) as client, client.makefile("rb") as answers:
            client.sendall(f"AUTH operator {PASSWORD}\r\n".encode())
            assert answers.readline() == b"+OK\r\n"
            for number in range((8 if long else 5) * keys):
                key = str(number % keys).encode()
                head = b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n" % (len(key), key, len(value))
                client.sendall(head + value + b"\r\n")
                assert answers.readline() == b"+OK\r\n"
                if number % 20 == 0:
                    time.sleep(0.02)
                    with suppress(FileNotFoundError):
                        peak = max(peak, sum(one.stat().st_size for one in (tmp_path / "data").rglob("*")))
        rewrites = re.search(r"aof_rewrites:(\d+)", str(ask(pod, "INFO", "persistence")))
    assert rewrites
    assert int(rewrites[1]) > 1
    assert keys * 2**16 * 2 < peak < size


# --- a damaged append-only file ---

KEYS = {f"key:{number}": f"value of {number}" for number in range(40)}
DAMAGE = b"what a bad disk gives"


def with_repair(tmp_path: Path, repair: Repair) -> Sequence[Manifest]:
    """Production with a way to repair its Redis."""
    storage = Persistent(size="5Gi", repair=repair)
    settings = dataclasses.replace(PROD, redis=dataclasses.replace(PROD.redis, storage=storage))
    return objects_of(AiInterviewer(settings, outdir=tmp_path / repair.value))


def run_repair(rendered: Sequence[Manifest], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The init container that repairs, on the data in this folder."""
    (container,) = find(rendered, "Deployment", REDIS)["spec"]["template"]["spec"]["initContainers"]
    places = Loopback(mounts={mount["mountPath"]: folder / "data" for mount in container["volumeMounts"]})
    words = [*container["command"][:3], *map(places.command, container["command"][3:])]
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=START)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def crashed(manifests: Manifests, tmp_path: Path) -> Path:
    """A folder in which production's Redis wrote a base and a file of later commands, and crashed."""
    with running(manifests("prod"), tmp_path, stop=signal.SIGKILL) as pod:
        for number, (key, value) in enumerate(KEYS.items()):
            if number == len(KEYS) // 2:
                ask(pod, "BGREWRITEAOF")
                assert eventually(lambda: "aof_rewrite_in_progress:0" in str(ask(pod, "INFO", "persistence")), START)
            assert ask(pod, "SET", key, value) == "OK"
        assert eventually(lambda: "aof_pending_bio_fsync:0" in str(ask(pod, "INFO", "persistence")), START)
    return tmp_path


def damage(folder: Path, pattern: str, *, cut: int = 0) -> Path:
    """Cut bytes off the end of a file, or else overwrite some in its middle."""
    (file,) = (folder / "data" / "appendonlydir").glob(pattern)
    whole = file.read_bytes()
    assert len(whole) > 400
    middle = len(whole) // 2
    file.write_bytes(whole[:-cut] if cut else whole[:middle] + DAMAGE + whole[middle + len(DAMAGE) :])
    return file


def require_ended(manifests: Sequence[Manifest], folder: Path) -> str:
    """What Redis says when it ends at its start."""
    with start_redis(manifests, folder, free_port()) as pod:
        assert pod.process.wait(START) != 0
        return pod.output


def held(manifests: Sequence[Manifest], folder: Path) -> tuple[dict[str, str], str]:
    """What Redis holds when it starts on a folder, and its log."""
    with running(manifests, folder) as pod:
        found = {key: ask(pod, "GET", key) for key in KEYS}
        return {key: str(value) for key, value in found.items() if value is not None}, pod.output


def test_a_command_that_was_cut_short_by_a_crash_is_dropped_and_the_log_says_so(
    manifests: Manifests, crashed: Path
) -> None:
    damage(crashed, "*.incr.aof", cut=5)
    found, log = held(manifests("prod"), crashed)
    assert list(found) == list(KEYS)[:-1]
    assert "Truncating the AOF" in log


def test_a_file_that_is_damaged_in_its_middle_is_cut_off_there_once_that_is_asked_for_and_kept_whole_beside(
    manifests: Manifests, crashed: Path, tmp_path: Path
) -> None:
    damage(crashed, "*.incr.aof")
    before = contents(crashed / "data/appendonlydir")
    for _ in range(2):  # it restarts for ever
        assert "Bad file format reading the append only file" in require_ended(manifests("prod"), crashed)
    assert contents(crashed / "data/appendonlydir") == before
    rendered = with_repair(tmp_path, Repair.CUT_OFF)
    done = run_repair(rendered, crashed)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"is kept in {crashed}/data/damaged-1\n")
    assert contents(crashed / "data/damaged-1") == before
    found, _ = held(rendered, crashed)
    assert len(KEYS) // 2 < len(found) < len(KEYS)
    assert found == dict(list(KEYS.items())[: len(found)])
    # Once more, and nothing happens.
    assert run_repair(rendered, crashed).stdout == "the append-only file is sound: nothing to repair\n"
    assert sorted(path.name for path in (crashed / "data").iterdir()) == ["appendonlydir", "damaged-1"]


def test_a_base_that_is_damaged_is_put_aside_once_that_is_asked_for(
    manifests: Manifests, crashed: Path, tmp_path: Path
) -> None:
    damage(crashed, "*.base.rdb")
    before = contents(crashed / "data/appendonlydir")
    require_ended(manifests("prod"), crashed)
    done = run_repair(with_repair(tmp_path, Repair.CUT_OFF), crashed)
    assert done.returncode == 1
    assert "the damage is elsewhere; nothing was changed" in done.stderr
    assert [path.name for path in (crashed / "data").iterdir()] == ["appendonlydir"]
    assert contents(crashed / "data/appendonlydir") == before
    rendered = with_repair(tmp_path, Repair.PUT_ASIDE)
    done = run_repair(rendered, crashed)
    assert done.stdout.endswith(
        f"the damaged append-only file is now {crashed}/data/damaged-1, and the server begins empty\n"
    )
    assert held(rendered, crashed)[0] == {}
    assert contents(crashed / "data/damaged-1") == before
    assert run_repair(rendered, crashed).returncode == 0


def test_without_room_for_a_copy_nothing_is_repaired(crashed: Path, tmp_path: Path) -> None:
    damage(crashed, "*.incr.aof")
    before = contents(crashed / "data/appendonlydir")
    full = tmp_path / "full"
    full.mkdir()
    (full / "cp").write_text('#!/bin/sh\nmkdir "$3"; echo "No space left on device" >&2; exit 1\n')
    (full / "cp").chmod(0o755)
    done = run_repair(with_repair(tmp_path, Repair.CUT_OFF), crashed, PATH=f"{full}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "there is no room for a copy, so nothing was changed" in done.stderr
    assert [path.name for path in (crashed / "data").iterdir()] == ["appendonlydir"]
    assert contents(crashed / "data/appendonlydir") == before


def test_a_first_start_has_nothing_to_repair(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert run_repair(with_repair(tmp_path, Repair.CUT_OFF), tmp_path).returncode == 0
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("user", ["operator", "default", "exporter"])
def test_without_a_password_it_does_not_start(rendered: Sequence[Manifest], tmp_path: Path, user: str) -> None:
    port = free_port()
    given = InventedSecrets({(REDIS, f"{user}-password"): ""})
    with start_redis(rendered, tmp_path, port, secrets=given) as pod:
        assert pod.process.wait(START) != 0
        assert f"{user.upper()}_PASSWORD: is not set" in pod.output
        assert not is_open(port)


@pytest.mark.parametrize("value", ["two words", "from-a-file\n", "nopass\nuser other on nopass", 'a"quote', "an'other"])
def test_with_a_password_that_its_file_cannot_hold_it_says_which_and_does_not_start(
    rendered: Sequence[Manifest], tmp_path: Path, value: str
) -> None:
    given = InventedSecrets({(REDIS, "exporter-password"): value})
    with start_redis(rendered, tmp_path, free_port(), secrets=given) as pod:
        assert pod.process.wait(START) != 0
        assert pod.output == (
            "error: exporter-password holds a space, a line break or a quote, which would end it: give another\n"
        )


def test_any_other_sign_may_be_in_a_password_and_two_hundred_of_them(
    rendered: Sequence[Manifest], tmp_path: Path
) -> None:
    value = ("$\\%:@/#?&!*<>(){}[]|;~^`=+,.-_" * 8)[:200]
    port, given = free_port(), InventedSecrets({(REDIS, "operator-password"): value})
    with serving(
        start_redis(rendered, tmp_path, port, secrets=given), lambda: ask_redis(port, value, "PING") == "PONG"
    ):
        assert ask_redis(port, value[:-1], "PING") != "PONG"


@contextmanager
def trimming(manifests: Sequence[Manifest], folder: Path, port: int) -> Generator[Pod, None, None]:
    """The sidecar that keeps the stream of traces short."""
    manifest = find(manifests, "Deployment", REDIS)
    with start_beside_redis(manifest, "trim-traces", folder, port, loopback=Loopback()) as pod:
        yield pod


def test_of_the_traces_the_newest_stay_and_other_streams_are_left_alone(
    redis: Pod, rendered: Sequence[Manifest], tmp_path: Path
) -> None:
    fill = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], i .. '-0', 'n', i) end"
    for stream in (STREAM, "another"):
        ask(redis, "EVAL", fill, "1", stream, "12000")
    with trimming(rendered, tmp_path, redis.ports["redis"]) as pod:
        # Redis removes whole nodes of 100 entries.
        assert eventually(lambda: ask(redis, "XLEN", STREAM) in range(10_000, 10_100), START), pod.output
    assert ask(redis, "XRANGE", STREAM, "12000-0", "+") == [["12000-0", ["n", "12000"]]]
    assert ask(redis, "XLEN", "another") == 12_000
    ask(redis, "FLUSHALL")


def test_the_sidecar_outlives_a_redis_that_is_away_and_ends_at_once_when_asked_to(
    rendered: Sequence[Manifest], tmp_path: Path
) -> None:
    with trimming(rendered, tmp_path, free_port()) as pod:
        assert eventually(lambda: f"trim of {STREAM} failed" in pod.output, START)
        lines = Pipeline.of(rendered).read("redis", "trim-traces", pod.output)
        assert {line.level for line in lines if "trim of" in line.text} == {"error"}
        assert pod.process.poll() is None
        assert pod.terminate(5) == 0


OPEN = RedisUser(
    name="default",
    keys=("user_profile:*", "interview_finalization_lock"),
    commands=("get", "set", "setex", "del", "exists"),
    without_password_because="Its code gives none.",
)


@pytest.fixture(scope="module")
def half_open_manifests(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Manifest]:
    """An environment where the code of a client gives Redis no password."""
    folder = tmp_path_factory.mktemp("half-open")
    users = (*(user for user in DEV.redis.users if user.name != "default"), OPEN)
    whole = AiInterviewer(
        dataclasses.replace(DEV, redis=dataclasses.replace(DEV.redis, users=users)), outdir=folder / "dist"
    )
    whole.synth()
    return read_manifests(folder / "dist")


@pytest.fixture(scope="module")
def half_open(
    half_open_manifests: Sequence[Manifest], tmp_path_factory: pytest.TempPathFactory
) -> Generator[Pod, None, None]:
    """Its Redis."""
    with running(half_open_manifests, tmp_path_factory.mktemp("half-open-redis")) as pod:
        yield pod


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("PING", '"PONG"'),
        ("SET user_profile:1 x", '"OK"'),
        ("SETEX user_profile:2 60 x", '"OK"'),
        ("GET user_profile:2", '"x"'),
        ("EXISTS user_profile:2", "1"),
        ("SET interview_finalization_lock me NX EX 60", '"OK"'),
        ("DEL interview_finalization_lock", "1"),
        ("GET user:1", NO_KEY),
        ("GET session:1", NO_KEY),
        ("SETEX session:1 60 me", NO_KEY),
        ("KEYS *", "no permissions to run the 'keys' command"),
        (f"XADD {STREAM} * a b", "no permissions to run the 'xadd' command"),
        ("CONFIG GET *", "no permissions to run the 'config|get' command"),
        ("ACL LIST", "no permissions to run the 'acl|list' command"),
    ],
)
def test_who_gives_no_password_has_the_keys_that_are_said_and_no_others(
    half_open: Pod, command: str, told: str
) -> None:
    assert told in redis_cli(half_open.ports["redis"], "", *command.split(), user="")


def test_others_still_need_their_passwords_where_somebody_needs_none(half_open: Pod) -> None:
    port = half_open.ports["redis"]
    add = ("XADD", STREAM, "*", "said", "x")
    assert not redis_cli(port, SECRETS[REDIS, "mesh-password"], *add, user="mesh").startswith("error:")
    # Who is refused is still who gives none.
    for user in ("mesh", "operator"):
        assert "the 'xadd' command" in redis_cli(port, "wrong", *add, user=user)
    assert "DEFAULT_PASSWORD" not in half_open.environment


def test_who_waits_with_a_wrong_password_waits_where_somebody_needs_none(
    half_open: Pod, half_open_manifests: Sequence[Manifest]
) -> None:
    agent = find(half_open_manifests, "Deployment", "ai-interviewer-pdf-extractor")
    (waiting,) = each(agent, "spec", "template", "spec", "initContainers")
    command = waiting["command"]
    assert isinstance(command, list)
    assert command[4:] == ["redis-cli", "--user", "mesh", "-e", "-h", REDIS, "-p", "6379", "acl", "whoami"]
    for password, code in ((SECRETS[REDIS, "mesh-password"], 0), ("wrong", 1)):
        asked = [*command[4:9], LOCALHOST, "-p", str(half_open.ports["redis"]), *command[12:]]
        environment = {**os.environ, "REDISCLI_AUTH": password}
        assert subprocess.run(asked, env=environment, check=False, capture_output=True).returncode == code
