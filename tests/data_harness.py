"""This module is both ends of a move of data, on this machine: real PostgreSQL and Redis, and a bucket in a folder.

`kubectl` and `docker` are stand-ins on the path. What they are asked to execute beside a server they do execute, with
the variables that its container has: the command lines are the real ones. Only places are translated.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mesh_harness import LOCALHOST, SECRETS, Manifest, free_port
from processes import REDIS, Account, serving, start_redis
from redis_client import ask_redis
from test_postgres_runtime import POSTGRES, kept, starting
from test_postgres_runtime import SECRETS as PASSWORDS

CONTEXT, NAMESPACE = "proof", "ai-interviewer"
COMPOSE_ROOT, CLUSTER_ROOT = ("compose-root", "compose-root-password"), ("cluster-root", "cluster-root-password")
BUCKET = "ai-interviewer-uploads"

# They start some thousand times: a shell is there in an eighth of the time that Python takes, and most of Python's time
# is what it imports.
STAND_IN = """\
#!/bin/sh
# Stands in for kubectl and docker: executes beside a server what it is asked to.
here=${0%/*} program=${0##*/}
printf '%s\\0' $# "$program" "$@" >>"$here/log"
if [ -e "$here/fault.told" ]; then
    { read -r failing; read -r how; read -r text; } <"$here/fault.told"
    if [ "$program" = "$failing" ]; then
        case "$*" in *"$text"*)
            rm "$here/fault.told"
            [ "$how" != interrupt ] || kill -INT "$PPID"
            echo "error: injected" >&2
            exit 1 ;;
        esac
    fi
fi
. "$here/$program.sh"
echo "error: $program $*" >&2
exit 1
"""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a stand-in for kubectl or docker knows.

    Args:
        prefix: What every command line begins with.
        exec: How a server is meant, by its name.
        environments: The variables of each server's container.
        ports: Ports that stand for others.
        minio: The port of MinIO.
        listing: How it may be asked for what runs.
        running: What it says to that.
    """

    prefix: Sequence[str]
    exec: Mapping[str, Sequence[str]]
    environments: Mapping[str, Mapping[str, str]]
    ports: Mapping[str, str]
    minio: str
    listing: Sequence[str]
    running: str

    def to_shell(self) -> str:
        """The end of its program."""
        quoted = shlex.quote
        listing, prefix = "|".join(map(quoted, self.listing)), " ".join(self.prefix)
        local = "".join(f"{quoted(word)}) word={quoted(port)} ;; " for word, port in self.ports.items())
        translate = f'for word; do shift; case "$word" in {local}esac; set -- "$@" "$word"; done'
        lines = [
            f'case "$*" in {quoted(prefix)}" "*) shift {len(self.prefix)} ;; *) set -- no "$@" ;; esac',
            'case "$*" in',
            f'{listing}) printf "%s\\n" {quoted(self.running)}; exit ;;',
            f'"port minio 9000") echo 0.0.0.0:{self.minio}; exit ;;',
            '"port-forward statefulset/ai-interviewer-minio :9000 --address=127.0.0.1")',
            f'echo "Forwarding from 127.0.0.1:{self.minio} -> 9000"; exec sleep 600 ;;',
        ]
        for name, words in self.exec.items():
            environment = shlex.join(f"{key}={value}" for key, value in self.environments[name].items())
            lines += [
                f'{quoted(" ".join(words))}" "*)',
                f'shift {len(words)}; {translate}; cd "$here"; exec env -i {environment} "$@" ;;',
            ]
        return "\n".join([*lines, "esac", ""])


MC = f"""\
#!/bin/sh
"exec" "{sys.executable}" "-IS" "$0" "$@"
# Stands in for mc: a server is a folder, a bucket a folder in it, and attributes lie beside.
import os, sys
here = os.path.dirname(__file__)
words = sys.argv[1:]
def read(path):
    with open(path) as file:
        return eval(file.read())
with open(here + "/log", "a") as log:
    log.write("".join(word + "\\0" for word in (str(len(words)), "mc", *words)))
if words == ["--version"]:
    sys.exit(print("mc version stand-in"))
if os.path.exists(here + "/fault.told"):
    with open(here + "/fault.told") as file:
        failing, _, text = file.read().splitlines()
    if failing == "mc" and text in " ".join(words):
        os.unlink(here + "/fault.told")
        sys.exit("error: injected")
credentials, authority = os.environ["MC_HOST_store"].removeprefix("http://").rsplit("@", 1)
open(os.environ["MC_CONFIG_DIR"] + "/config.json", "w").close()
server = read(here + "/mc.told")[authority]
assert credentials.split(":", 1) == server["keys"]
root = server["root"]
attributes = root + "/attributes"
assert words.pop(0) == "--quiet"
def place(word):
    store, _, name = word.partition("/")
    return (root + "/" + name).rstrip("/") if store == "store" else word
def put(source, path, given):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(source, "rb") as old, open(path, "wb") as new:
        new.write(old.read())
    if path.startswith(root + "/"):
        all = read(attributes) if os.path.exists(attributes) else {{}}
        guessed = "application/pdf" if path.endswith(".pdf") else "application/octet-stream"
        all[path.removeprefix(root + "/")] = {{"Content-Type": guessed}} | given
        with open(attributes, "w") as file:
            file.write(repr(all))
def files(folder):
    return sorted(at + "/" + name for at, _, names in os.walk(folder) for name in names)
def json(value):
    if isinstance(value, dict):
        return "{{" + ", ".join(json(name) + ": " + json(one) for name, one in value.items()) + "}}"
    return str(value) if isinstance(value, int) else '"' + value.replace("\\\\", "\\\\\\\\").replace('"', '\\\\"') + '"'
match words:
    case ["ls", "--json", "store"]:
        for name in sorted(os.listdir(root)):
            if os.path.isdir(root + "/" + name):
                print(json({{"key": name + "/"}}))
    case ["ls", "--json", "--recursive", bucket]:
        for path in files(place(bucket)):
            print(json({{"key": path.removeprefix(place(bucket) + "/")}}))
    case ["stat", "--json", "--recursive", bucket]:
        from _md5 import md5  # hashlib takes longer
        if not files(place(bucket)):
            sys.exit("error: Object does not exist")
        all = read(attributes) if os.path.exists(attributes) else {{}}
        for path in files(place(bucket)):
            name = path.removeprefix(root + "/")
            with open(path, "rb") as file:
                content = file.read()
            print(json({{
                "name": name, "type": "file", "size": len(content), "etag": md5(content).hexdigest(),
                "metadata": all.get(name, {{}}),
            }}))
    case ["mirror", source, target]:
        for path in files(place(source)):
            to = place(target) + path.removeprefix(place(source))
            if os.path.exists(to):
                if os.path.getsize(to) != os.path.getsize(path):
                    sys.exit("error: Overwrite not allowed")
                continue
            put(path, to, {{}})
    case ["mb", "--ignore-existing", bucket]:
        os.makedirs(place(bucket), exist_ok=True)
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
        """Run statements, as the superuser unless a role is given: nobody else comes in by the socket."""
        options = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
        done = subprocess.run(
            ["psql", *options, f"--username={self.superuser}", f"--dbname={database}", "--file=-"],
            input="\n".join([*([f"SET SESSION AUTHORIZATION {role};"] if role else []), *statements]),
            env=dict(self.postgres),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def from_outside(self, role: str) -> dict[str, str]:
        """What a role of the cluster logs in with."""
        return {**self.postgres, "PGHOST": LOCALHOST, "PGPASSWORD": PASSWORDS[POSTGRES, f"{role}-password"]}

    def redis(self, *command: str) -> object:
        """Ask Redis. A server without a password knows no users."""
        return ask_redis(self.redis_port, self.redis_password, *command, user="operator" if self.redis_password else "")


def compose_data(account: Account, folder: Path) -> Path:
    """Make the data of the PostgreSQL of the Compose stack."""
    data, log = folder / "pgdata", folder / "log"
    environment = {"PATH": os.environ["PATH"], "PGDATA": str(data)}
    how = ("--username=mcpmesh", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
    make = "".join(f"CREATE DATABASE {name};\n" for name in ("mcpmesh", "ai_interviewer"))
    with log.open("wb") as said:
        for words, asked in ((("initdb", *how), ""), (("postgres", "--single", "-F", "postgres"), make)):
            command = [*account.command, *words]
            subprocess.run(
                command, input=asked.encode(), env=environment, cwd=folder, stdout=said, stderr=said, check=True
            )
    return data


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
    subprocess.run(["cp", "-a", kept(account, "compose", partial(compose_data, account)), data], check=True)
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
            if ask_redis(port, "", "PING", user="") == "PONG":
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
    _told: dict[str, Told] = field(default_factory=dict[str, Told])

    def tell(self) -> None:
        """Let the stand-ins know what is where."""
        ports = {"9000": str(free_port()), "16379": str(free_port())}
        authorities: dict[str, object] = {}
        for end, keys in ((self.compose, COMPOSE_ROOT), (self.cluster, CLUSTER_ROOT)):
            minio = str(free_port())
            authorities[f"{LOCALHOST}:{minio}"] = {"keys": list(keys), "root": str(end.objects)}
            path = wrapped_redis_cli(self.folder / f"path-{end.program}", end.redis_port)
            password = {"REDISCLI_USER": "operator", "REDISCLI_AUTH": end.redis_password} if end.redis_password else {}
            environments: dict[str, dict[str, str]] = {
                "postgres": dict(end.postgres),
                "redis": {"PATH": path, **password},
                "minio": {"PATH": os.environ["PATH"], "MINIO_ROOT_USER": keys[0], "MINIO_ROOT_PASSWORD": keys[1]},
            }
            if end is self.compose:
                prefix = ["compose", "--file", str(self.folder / "checkout/docker-compose/docker-compose.yml")]
                words = {name: ["exec", "-T", name] for name in environments}
                listing = ["ps --services --status running"]
            else:
                prefix = ["--context", CONTEXT, "--namespace", NAMESPACE]
                kinds = {"postgres": "statefulset", "redis": "deployment", "minio": "statefulset"}
                words = {
                    name: ["exec", "-i", f"{kind}/ai-interviewer-{name}", "--container", name, "--"]
                    for name, kind in kinds.items()
                }
                listing = [f"get {kinds} --output json" for kinds in ("deployments,jobs", "cronjobs,deployments,jobs")]
            self._tell(
                end,
                Told(
                    prefix=prefix,
                    exec=words,
                    environments=environments,
                    ports=ports,
                    minio=minio,
                    listing=listing,
                    running=end.running,
                ),
            )
        (self.folder / "bin" / "mc.told").write_text(repr(authorities))

    def _tell(self, end: End, told: Told) -> None:
        self._told[end.program] = told
        (self.folder / "bin" / f"{end.program}.sh").write_text(told.to_shell())

    def run_clients(self, end: End, running: str) -> None:
        """Let clients run at one end, as its program would list them."""
        self._tell(end, replace(self._told[end.program], running=running))

    def use_programs(self, end: End, path: str) -> None:
        """Let the containers of PostgreSQL at one end find their programs on another path."""
        told = self._told[end.program]
        environments = {**told.environments, "postgres": {**told.environments["postgres"], "PATH": path}}
        self._tell(end, replace(told, environments=environments))

    def fail(self, program: str, text: str, how: str = "status") -> None:
        """Let the next call with this text fail."""
        (self.folder / "bin" / "fault.told").write_text(f"{program}\n{how}\n{text}\n")

    @property
    def failed(self) -> bool:
        """Whether the call that shall fail was made."""
        return not (self.folder / "bin" / "fault.told").exists()

    @property
    def calls(self) -> list[list[str]]:
        """Every command line so far."""
        words = iter((self.folder / "bin" / "log").read_text().split("\0")[:-1])
        return [[next(words) for _ in range(int(count) + 1)] for count in words]


IDLE_COMPOSE, IDLE_CLUSTER = "postgres\nredis\nminio\n", json.dumps({"items": []})


@contextmanager
def staged(
    rendered: Sequence[Manifest], account: Account, folder: Path, *, postgres: bool = True
) -> Generator[Stage, None, None]:
    """A Compose stack and a cluster whose servers are the rendered ones, both empty, on this path.

    Args:
        postgres: Whether they have a PostgreSQL.
    """
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
    password = SECRETS[REDIS, "operator-password"]
    cluster_port = free_port()
    with (
        ExitStack() as databases,
        compose_redis(folder / "compose-redis") as compose_port,
        serving(
            start_redis(rendered, folder / "cluster-redis", cluster_port),
            lambda: ask_redis(cluster_port, password, "PING") == "PONG",
        ),
    ):
        compose_environment, cluster_environment = dict[str, str](), dict[str, str]()
        if postgres:
            folders = [databases.enter_context(account.folder(of_data=True)) for _ in range(2)]
            compose_environment = databases.enter_context(compose_postgres(account, folders[0]))
            cluster_environment = databases.enter_context(cluster_postgres(rendered, account, folders[1]))
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
    with starting(rendered, account, folder, port, *overrides, brought=True) as server:
        yield dict(server.pod.environment)
