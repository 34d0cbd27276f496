"""This module is both ends of a move of data, on this machine: real PostgreSQL and Redis, and a bucket in a folder.

`kubectl` and `docker` are stand-ins on the path. What they are asked to execute beside a server they do execute, with
the variables that its container has: the command lines are the real ones. Only places are translated.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from ast import literal_eval
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mesh_harness import LOCALHOST, SECRETS, Manifest, free_port
from processes import REDIS, Account, serving, start_redis
from test_postgres_runtime import starting

CONTEXT, NAMESPACE = "proof", "ai-interviewer"
COMPOSE_ROOT, CLUSTER_ROOT = ("compose-root", "compose-root-password"), ("cluster-root", "cluster-root-password")
BUCKET = "ai-interviewer-uploads"

# Both stand-ins start some thousand times, and most of that is what they import.
STAND_IN = f"""\
#!{sys.executable} -IS
# Stands in for kubectl and docker: executes beside a server what it is asked to.
import os, sys
here, program = os.path.split(__file__)
words = sys.argv[1:]
def read(name):
    with open(here + "/" + name) as file:
        return eval(file.read())
with open(here + "/log", "a") as log:
    log.write(repr([program, *words]) + "\\n")
side = read(program + ".told")
if os.path.exists(here + "/fault.told"):
    what = read("fault.told")
    if what["program"] == program and what["text"] in " ".join(words):
        os.unlink(here + "/fault.told")
        if what["how"] == "interrupt":
            os.kill(os.getppid(), {int(signal.SIGINT)})
        sys.exit("error: injected")
prefix = side["prefix"]
assert words[: len(prefix)] == prefix, words
words = words[len(prefix) :]
if words[0] == "exec":
    server = next(name for name, given in side["servers"].items() if words[: len(given["exec"])] == given["exec"])
    given = side["servers"][server]
    command = [side["ports"].get(word, word) for word in words[len(given["exec"]) :]]
    os.chdir(here)
    os.execvpe(command[0], command, given["environment"])
elif words in (side["listing"], ["get", "deployments,jobs", "--output", "json"]):
    print(side["running"])
elif words[:1] == ["port"]:
    assert words == ["port", "minio", "9000"], words
    print("0.0.0.0:" + side["minio"])
elif words[:1] == ["port-forward"]:
    assert words[1:] == ["statefulset/ai-interviewer-minio", ":9000", "--address=127.0.0.1"], words
    print("Forwarding from 127.0.0.1:" + side["minio"] + " -> 9000", flush=True)
    import signal
    signal.pause()
else:
    sys.exit(f"error: {{words}}")
"""

MC = f"""\
#!{sys.executable} -IS
# Stands in for mc: a server is a folder, a bucket a folder in it, and attributes lie beside.
import hashlib, json, os, pathlib, re, sys
here = pathlib.Path(__file__).parent
words = sys.argv[1:]
with (here / "log").open("a") as log:
    log.write(repr(["mc", *words]) + "\\n")
if words == ["--version"]:
    sys.exit(print("mc version stand-in"))
fault = here / "fault.told"
if fault.exists():
    what = eval(fault.read_text())
    if what["program"] == "mc" and what["text"] in " ".join(words):
        fault.unlink()
        sys.exit("error: injected")
user, password, authority = re.fullmatch("http://(.+?):(.+)@(.+)", os.environ["MC_HOST_store"]).groups()
(pathlib.Path(os.environ["MC_CONFIG_DIR"]) / "config.json").write_text("{{}}")
server = eval((here / "mc.told").read_text())[authority]
assert [user, password] == server["keys"]
root = pathlib.Path(server["root"])
assert words.pop(0) == "--quiet"
def place(word):
    return root / word.removeprefix("store").lstrip("/") if word.partition("/")[0] == "store" else pathlib.Path(word)
def attributes(path):
    beside = root / "attributes.json"
    return (json.loads(beside.read_text()) if beside.exists() else {{}}), str(path.relative_to(root)), beside
def put(source, path, given):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source.read_bytes())
    if path.is_relative_to(root):
        all, name, beside = attributes(path)
        guessed = "application/pdf" if name.endswith(".pdf") else "application/octet-stream"
        all[name] = {{"Content-Type": guessed}} | given
        beside.write_text(json.dumps(all))
def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())
match words:
    case ["ls", "--json", "store"]:
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            print(json.dumps({{"key": folder.name + "/"}}))
    case ["ls", "--json", "--recursive", bucket]:
        for path in files(place(bucket)):
            print(json.dumps({{"key": str(path.relative_to(place(bucket)))}}))
    case ["stat", "--json", "--recursive", bucket]:
        if not files(place(bucket)):
            sys.exit("error: Object does not exist")
        for path in files(place(bucket)):
            print(json.dumps({{
                "name": str(path.relative_to(root)), "type": "file", "size": path.stat().st_size,
                "etag": hashlib.md5(path.read_bytes()).hexdigest(),
                "metadata": attributes(path)[0].get(attributes(path)[1], {{}}),
            }}))
    case ["mirror", source, target]:
        for path in files(place(source)):
            to = place(target) / path.relative_to(place(source))
            if to.exists():
                if to.stat().st_size != path.stat().st_size:
                    sys.exit("error: Overwrite not allowed")
                continue
            put(path, to, {{}})
    case ["mb", "--ignore-existing", bucket]:
        place(bucket).mkdir(parents=True, exist_ok=True)
    case ["cp", "--attr", given, source, target]:
        put(place(source), place(target), dict(pair.split("=", 1) for pair in given.split(";")))
    case _:
        sys.exit(f"error: {{words}}")
"""


@dataclass
class End:
    """One end of a move: its servers, and the folder of its bucket."""

    program: str
    postgres: Mapping[str, str]
    redis_port: int
    redis_password: str
    objects: Path
    superuser: str
    running: str

    def sql(self, database: str, *statements: str, role: str = "") -> list[str]:
        """Run statements, as the superuser unless a role is given."""
        options = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
        done = subprocess.run(
            ["psql", *options, f"--username={role or self.superuser}", f"--dbname={database}", "--file=-"],
            input="\n".join(statements),
            env=dict(self.postgres),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def redis(self, *command: str) -> object:
        """Ask Redis."""
        return ask_redis(self.redis_port, self.redis_password, *command)


def ask_redis(port: int, password: str, *command: str) -> object:
    """The answer to a command; a text when it is an error."""
    done = subprocess.run(
        ["redis-cli", "-h", LOCALHOST, "-p", str(port), "--json", *command],
        env={"REDISCLI_AUTH": password} if password else {},
        capture_output=True,
        text=True,
        timeout=20,
    )
    try:
        answer: object = json.loads(done.stdout)
    except json.JSONDecodeError:
        return done.stdout + done.stderr
    return answer


@contextmanager
def compose_postgres(account: Account, folder: Path) -> Generator[dict[str, str], None, None]:
    """PostgreSQL as the Compose stack has it: the superuser is called mcpmesh, and both databases are its own."""
    port, data = free_port(), folder / "pgdata"
    environment = {
        "PATH": os.environ["PATH"],
        "PGDATA": str(data),
        "PGHOST": str(folder),
        "PGPORT": str(port),
        "POSTGRES_USER": "mcpmesh",
        "POSTGRES_PASSWORD": "mcpmesh123",
        "POSTGRES_DB": "mcpmesh",
    }
    subprocess.run(
        [
            *account.command,
            "initdb",
            "--username=mcpmesh",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        env=environment,
        cwd=folder,
        capture_output=True,
        check=True,
    )
    settings = (f"unix_socket_directories={folder}", "listen_addresses=", "fsync=off", "autovacuum=off", "jit=off")
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(
            [*account.command, "postgres", *(f"--{setting}" for setting in settings)],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(300):
            ready = ["pg_isready", "--quiet", "--timeout=1", "--dbname=postgres"]
            if subprocess.run(ready, env=environment).returncode == 0:
                break
            assert process.poll() is None, (folder / "postgres.log").read_text()
        make = ["psql", "--username=mcpmesh", "--dbname=postgres"]
        for name in ("mcpmesh", "ai_interviewer"):
            subprocess.run(
                [*make, f"--command=CREATE DATABASE {name}"], env=environment, check=True, capture_output=True
            )
        yield environment
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: nothing of it is needed again
        process.wait(20)


@contextmanager
def compose_redis(folder: Path) -> Generator[int, None, None]:
    """Redis as the Compose stack has it: without a password, with an append-only file."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", LOCALHOST, "--dir", str(folder), "--appendonly", "yes"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
    try:
        for _ in range(300):
            if ask_redis(port, "", "PING") == "PONG":
                break
        yield port
    finally:
        process.terminate()
        process.wait(20)


def wrapped_redis_cli(folder: Path, port: int) -> str:
    """A path on which redis-cli dials this port where it would dial 6379."""
    folder.mkdir()
    script = folder / "redis-cli"
    script.write_text(f'#!/bin/sh\nexec {shutil.which("redis-cli")} -p {port} "$@"\n')
    script.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@dataclass
class Stage:
    """Both ends, and the stand-ins between them."""

    compose: End
    cluster: End
    folder: Path

    def tell(self) -> None:
        """Let the stand-ins know what is where."""
        ports = {"9000": str(free_port()), "16379": str(free_port())}
        servers: dict[str, object] = {}
        authorities: dict[str, object] = {}
        for end, keys in ((self.compose, COMPOSE_ROOT), (self.cluster, CLUSTER_ROOT)):
            minio = str(free_port())
            authorities[f"{LOCALHOST}:{minio}"] = {"keys": list(keys), "root": str(end.objects)}
            path = wrapped_redis_cli(self.folder / f"path-{end.program}", end.redis_port)
            password = {"REDISCLI_AUTH": end.redis_password} if end.redis_password else {}
            environments: dict[str, dict[str, str]] = {
                "postgres": dict(end.postgres),
                "redis": {"PATH": path, **password},
                "minio": {"PATH": os.environ["PATH"], "MINIO_ROOT_USER": keys[0], "MINIO_ROOT_PASSWORD": keys[1]},
            }
            if end is self.compose:
                prefix = ["compose", "--file", str(self.folder / "checkout/docker-compose/docker-compose.yml")]
                words = {name: ["exec", "-T", name] for name in environments}
                listing = ["ps", "--services", "--status", "running"]
            else:
                prefix = ["--context", CONTEXT, "--namespace", NAMESPACE]
                kinds = {"postgres": "statefulset", "redis": "deployment", "minio": "statefulset"}
                words = {
                    name: ["exec", "-i", f"{kind}/ai-interviewer-{name}", "--container", name, "--"]
                    for name, kind in kinds.items()
                }
                listing = []
            servers = {
                name: {"exec": words[name], "environment": environment} for name, environment in environments.items()
            }
            told = {
                "prefix": prefix,
                "servers": servers,
                "ports": ports,
                "minio": minio,
                "listing": listing,
                "running": end.running,
            }
            (self.folder / "bin" / f"{end.program}.told").write_text(repr(told))
        (self.folder / "bin" / "mc.told").write_text(repr(authorities))

    def run_clients(self, end: End, running: str) -> None:
        """Let clients run at one end, as its program would list them."""
        file = self.folder / "bin" / f"{end.program}.told"
        file.write_text(repr({**literal_eval(file.read_text()), "running": running}))

    def use_programs(self, end: End, path: str) -> None:
        """Let the containers of PostgreSQL at one end find their programs on another path."""
        file = self.folder / "bin" / f"{end.program}.told"
        told = literal_eval(file.read_text())
        told["servers"]["postgres"]["environment"]["PATH"] = path
        file.write_text(repr(told))

    def fail(self, program: str, text: str, how: str = "status") -> None:
        """Let the next call with this text fail."""
        fault = {"program": program, "text": text, "how": how}
        (self.folder / "bin" / "fault.told").write_text(repr(fault))

    @property
    def failed(self) -> bool:
        """Whether the call that shall fail was made."""
        return not (self.folder / "bin" / "fault.told").exists()

    @property
    def calls(self) -> list[list[str]]:
        """Every command line so far."""
        return [literal_eval(line) for line in (self.folder / "bin" / "log").read_text().splitlines()]


IDLE_COMPOSE, IDLE_CLUSTER = "postgres\nredis\nminio\n", json.dumps({"items": []})


@contextmanager
def staged(rendered: Sequence[Manifest], account: Account, folder: Path) -> Generator[Stage, None, None]:
    """A Compose stack and a cluster whose servers are the rendered ones, both empty, on this path."""
    programs = folder / "bin"
    programs.mkdir()
    for name, text in (("kubectl", STAND_IN), ("docker", STAND_IN), ("mc", MC)):
        (programs / name).write_text(textwrap.dedent(text))
        (programs / name).chmod(0o755)
    (folder / "checkout/docker-compose").mkdir(parents=True)
    (folder / "checkout/docker-compose/docker-compose.yml").write_text("services: {}\n")
    for name in ("compose-objects", "cluster-objects", "compose-redis", "cluster-redis"):
        (folder / name).mkdir()
    (folder / "cluster-objects" / BUCKET).mkdir()
    password = SECRETS[REDIS, "password"]
    cluster_port = free_port()
    with (
        account.folder() as compose_folder,
        account.folder() as cluster_folder,
        compose_postgres(account, compose_folder) as compose_environment,
        compose_redis(folder / "compose-redis") as compose_port,
        cluster_postgres(rendered, account, cluster_folder) as cluster_environment,
        serving(
            start_redis(rendered, folder / "cluster-redis", cluster_port),
            lambda: ask_redis(cluster_port, password, "PING") == "PONG",
        ),
    ):
        stage = Stage(
            compose=End(
                program="docker",
                postgres=compose_environment,
                redis_port=compose_port,
                redis_password="",
                objects=folder / "compose-objects",
                superuser="mcpmesh",
                running=IDLE_COMPOSE,
            ),
            cluster=End(
                program="kubectl",
                postgres=cluster_environment,
                redis_port=cluster_port,
                redis_password=password,
                objects=folder / "cluster-objects",
                superuser="postgres",
                running=IDLE_CLUSTER,
            ),
            folder=folder,
        )
        for end in (stage.compose, stage.cluster):
            # By default it waits five seconds for more replicas before it sends a dump.
            end.redis("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        stage.tell()
        yield stage


@contextmanager
def cluster_postgres(
    rendered: Sequence[Manifest], account: Account, folder: Path
) -> Generator[dict[str, str], None, None]:
    """The rendered PostgreSQL with its databases."""
    port = free_port()
    overrides = (f"listen_addresses={LOCALHOST}", "autovacuum=off", "jit=off")
    with starting(rendered, account, folder, port, *overrides) as server:
        server.bring()
        yield dict(server.pod.environment)
