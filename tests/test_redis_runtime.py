"""This module is the proof that the rendered Redis keeps what it is given: within its memory, and in prod for good.

What concerns its clients, their passwords and their waiting for it, is proven where the agents run.
"""

import dataclasses
import json
import signal
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import Manifests, requires
from environments import EVERY, SETTINGS
from mcpmesh_k8s import Ephemeral
from mesh_harness import SECRETS, Loopback, Manifest, Pod, eventually, find, free_port, is_open, probe
from processes import REDIS, START, redis_cli, serving, start_beside_redis, start_redis

PASSWORD = SECRETS[REDIS, "password"]
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
    answer = redis_cli(port, PASSWORD, *command)
    try:
        return json.loads(answer)
    except json.JSONDecodeError:
        return answer


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


def test_its_probe_fails_with_another_password(redis: Pod) -> None:
    question = redis.spec["readinessProbe"]
    assert probe(question, redis) == "exit 0"
    mistaken = dataclasses.replace(redis, environment={**redis.environment, "REDISCLI_AUTH": "wrong"})
    assert probe(question, mistaken) == "exit 1"


def test_its_password_is_in_no_command_line_and_in_a_file_of_its_own(redis: Pod) -> None:
    (file,) = redis.log.parent.rglob("password.conf")
    assert PASSWORD in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    command = Path(f"/proc/{redis.process.pid}/cmdline").read_text()
    assert command.startswith("redis-server")
    assert PASSWORD not in command + redis.output


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


def test_without_a_password_it_does_not_start(rendered: Sequence[Manifest], tmp_path: Path) -> None:
    port = free_port()
    with start_redis(rendered, tmp_path, port, secrets={(REDIS, "password"): ""}) as pod:
        assert pod.process.wait(START) != 0
        assert "REDIS_PASSWORD: is not set" in pod.output
        assert not is_open(port)


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
        assert pod.process.poll() is None
        assert pod.terminate(5) == 0
