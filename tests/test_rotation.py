"""This module is the proof that a changed value reaches who checks it and who reads it, and whom that costs what.

The command is the real one, and so is kubectl, before an API server of the tests. What it would execute beside a
server is executed beside a real Redis or PostgreSQL. Clients call them all the time, as their pods would.
"""

import base64
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ai_interviewer import DEV, PROD, AiInterviewer
from conftest import Manifests, grid
from kubernetes_api import KubernetesApi, kubeconfig
from many_clusters import ciphertext
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Compute,
    Container,
    Image,
    NoProbes,
    Phase,
    Rotation,
    SealedSecrets,
    SealedValue,
    Secret,
    SecretSettings,
    User,
    Workload,
    WorkloadSettings,
    variables,
)
from mcpmesh_k8s.operations import Environment, SharedCluster
from mcpmesh_k8s.operations import rotation as command
from mcpmesh_k8s.operations.cli import main
from mcpmesh_k8s.operations.programs import Kubectl, OperationError
from mesh_harness import LOCALHOST, Manifest, Secrets, eventually, free_port
from mesh_harness import SECRETS as INVENTED
from processes import Account, serving, start_redis
from redis_client import redis_cli
from test_operations import OPERATED
from test_postgres_runtime import POSTGRES, Server, starting
from test_postgres_runtime import SECRETS as PASSWORDS

pytestmark = pytest.mark.usefixtures("commands_are_made_once")

NAMESPACE, PREFIX = "ai-interviewer", "ai-interviewer-"
CONTEXTS = {"dev": "kind", "prod": PROD.cluster.context}
REDIS, MINIO, GRAFANA = f"{PREFIX}redis", f"{PREFIX}minio", f"{PREFIX}grafana"
CONTROLLERS = ("Deployment", "StatefulSet")

KUBECTL = """\
#!/bin/sh
# kubectl, but what it would execute beside a server is executed here, with the variables that the container has.
# What every command asks first, whether it has the right cluster, is no matter of the rotation: it is answered, unless
# a test is about it. Each kubectl takes a twentieth of a second, and a sixth less where it collects no garbage.
export GOGC=off
here=${0%/*}
printf '%s\\n' "$*" >>"$here/log"
[ -e "$here/asks" ] || case "$*" in
  "config get-contexts --output=name") echo CONTEXT; exit ;;
  "config view --minify --context CONTEXT --output=json") exec cat "$KUBECONFIG" ;;
  *" get --raw=/readyz --request-timeout=10s") echo ok; exit ;;
  *" get namespace NAMESPACE --ignore-not-found --output=json") exec cat "$here/namespace" ;;
esac
case " $* " in
  *" exec -i "*)
    until [ "$1" = exec ]; do shift; done
    place=$3
    until [ "$1" = -- ]; do shift; done
    shift
    . "$here/beside-${place##*/}"
    ;;
  *" port-forward "*)
    echo "Forwarding from 127.0.0.1:9000 -> 9000"
    exec sleep 600
    ;;
esac
exec PROGRAM "$@"
"""


@dataclass
class Cluster:
    """A cluster in which an environment is deployed, and an operator's machine before it."""

    api: KubernetesApi
    environment: str
    folder: Path
    capfd: pytest.CaptureFixture[str]

    @property
    def log(self) -> str:
        """Every command line so far."""
        path = self.folder / "bin/log"
        return path.read_text() if path.exists() else ""

    def asks_for_all(self) -> None:
        """Let kubectl itself say which cluster this is."""
        (self.folder / "bin/asks").touch()

    def beside(self, workload: str, variables: Mapping[str, str]) -> None:
        """Say what is executed beside a server: what is asked, with these variables and no terminal."""
        given = shlex.join(f"{name}={value}" for name, value in variables.items())
        alone = shlex.join(
            [sys.executable, "-ISc", "import os, sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])"]
        )
        (self.folder / f"bin/beside-{workload}").write_text(f'exec {alone} env -i {given} "$@"\n')

    def secret(self, name: str, key: str) -> str:
        """A value as the cluster has it."""
        return base64.b64decode(self.api.object("Secret", NAMESPACE, name)["data"][key]).decode()

    def restarted(self) -> dict[str, str]:
        """When each workload was restarted, of those that were."""
        found = {
            name.removeprefix(PREFIX): restarted_at(manifest)
            for (kind, _, name), manifest in self.api.objects.items()
            if kind in CONTROLLERS
        }
        return {name: at for name, at in found.items() if at}

    def rotate(self, name: str, key: str, *more: str) -> tuple[int, str]:
        """Run the command, and return its status and all it said. No value of a Secret is in it, nor in an argument."""
        self.capfd.readouterr()
        consent = f"--confirm={self.environment}"
        words = [
            "rotate",
            self.environment,
            f"--name={name}",
            f"--key={key}",
            f"--context={CONTEXTS[self.environment]}",
        ]
        status = main("python -m ai_interviewer", OPERATED, [*words, consent, *more])
        said = self.capfd.readouterr()
        values = [
            base64.b64decode(value).decode()
            for (kind, _, _), secret in self.api.objects.items()
            if kind == "Secret"
            for value in secret["data"].values()
        ]
        for value in values:
            assert value not in said.out + said.err + self.log
        return status, said.out + said.err


def restarted_at(workload: Manifest) -> str:
    """When a workload was restarted, if it was."""
    annotations = workload["spec"]["template"]["metadata"].get("annotations", {})
    return str(annotations.get("kubectl.kubernetes.io/restartedAt", ""))


@contextmanager
def deployed(
    environment: str,
    values: Secrets,
    manifests: Manifests,
    kubectl: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Generator[Cluster, None, None]:
    """A cluster in which everything of an environment is deployed, and its Secrets hold these values."""
    with KubernetesApi() as api:
        programs = folder / "bin"
        programs.mkdir()
        text = KUBECTL.replace("PROGRAM", str(kubectl)).replace("CONTEXT", CONTEXTS[environment])
        (programs / "kubectl").write_text(text.replace("NAMESPACE", NAMESPACE))
        (programs / "kubectl").chmod(0o755)
        for name, value in kubeconfig(folder, {CONTEXTS[environment]: api.url}, current=CONTEXTS[environment]).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        cluster = Cluster(api, environment, folder, capfd)
        (operated,) = (one for one in OPERATED if one.name == environment)
        held: dict[str, dict[str, str]] = {}
        for entry in operated.application.secret_keys():
            name, key = entry.reference.secret, entry.reference.key
            held.setdefault(name, {})[key] = values[name, key]
        secrets = (secret_of(name, data) for name, data in held.items())
        api.hold([*manifests(environment), *secrets], manager="tests")
        (programs / "namespace").write_text(json.dumps(api.object("Namespace", "", NAMESPACE)))
        yield cluster


def secret_of(name: str, values: Mapping[str, str]) -> Manifest:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encoded}


@pytest.fixture
def dev(
    manifests: Manifests,
    needs_kubectl: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Generator[Cluster, None, None]:
    with deployed("dev", INVENTED, manifests, needs_kubectl, tmp_path, monkeypatch, capfd) as cluster:
        yield cluster


@pytest.fixture
def prod(
    manifests: Manifests,
    needs_kubectl: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Generator[Cluster, None, None]:
    with deployed("prod", INVENTED, manifests, needs_kubectl, tmp_path, monkeypatch, capfd) as cluster:
        yield cluster


@dataclass
class Pods:
    """The pods of a workload: they call with what the Secret held when they started, each call with a new session.

    A new pod comes when the workload is restarted. It waits until it is let in, as its init container does, and the
    old one calls until then. There are `every` seconds between two calls: a step of the rotation is a program, and
    takes longer.
    """

    cluster: Cluster
    workload: str
    secret: tuple[str, str]
    call: Callable[[str], bool]
    every: float = 0.01
    calls: int = 0
    refused: list[float] = field(default_factory=list[float])
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Pods":
        """Begin to call."""
        # A roll-out is done when the new pod is ready.
        key = ("Deployment", PREFIX + self.workload)
        self.cluster.api.statuses[key] = {"observedGeneration": 9, "replicas": 1, "updatedReplicas": 0}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert eventually(lambda: self.calls > 3, 20)
        return self

    def __exit__(self, *error: object) -> None:
        """Call a little longer, and end."""
        until = self.calls + 3
        assert eventually(lambda: self.calls > until, 20)
        self._end.set()
        self._thread.join()

    @property
    def away(self) -> float:
        """How long calls were refused, in seconds."""
        return max(self.refused) - min(self.refused) if self.refused else 0.0

    def _run(self) -> None:
        key = ("Deployment", NAMESPACE, PREFIX + self.workload)
        password, began = self.cluster.secret(*self.secret), restarted_at(self.cluster.api.object(*key))
        while not self._end.wait(self.every):
            if not self.call(password):
                self.refused.append(time.monotonic())
            self.calls += 1
            if (now := restarted_at(self.cluster.api.object(*key))) != began:
                fresh = self.cluster.secret(*self.secret)
                if self.call(fresh):
                    password, began = fresh, now
                    self.cluster.api.statuses.pop(("Deployment", PREFIX + self.workload))


# --- Redis ---


def resp(port: int, *commands: str) -> list[str]:
    """What Redis answers to commands of one new session."""
    with socket.create_connection((LOCALHOST, port), 5) as session:
        stream = session.makefile("rwb")
        answers = list[str]()
        for line in commands:
            stream.write(line.encode() + b"\r\n")
            stream.flush()
            answers.append(stream.readline().decode().strip())
        return answers


@pytest.fixture
def redis(dev: Cluster, manifests: Manifests, tmp_path: Path, needs_redis: Path) -> Generator[int, None, None]:
    """The port of the Redis of development, which knows the users of its Secret."""
    port, root = free_port(), tmp_path / "redis"
    root.mkdir()
    password = INVENTED[REDIS, "operator-password"]
    pod = start_redis(manifests("dev"), root, port)
    with serving(pod, lambda: "PONG" in redis_cli(port, password, "PING")):
        variables = {"PATH": pod.environment["PATH"], "REDISCLI_USER": "operator", "REDISCLI_AUTH": password}
        dev.beside(REDIS, variables)
        yield port


def test_a_user_of_redis_gets_another_password_and_no_call_fails(dev: Cluster, redis: int) -> None:
    dev.asks_for_all()
    old = dev.secret(REDIS, "backend-password")

    def call(password: str) -> bool:
        return resp(redis, f"AUTH backend {password}", "PING") == ["+OK", "+PONG"]

    with socket.create_connection((LOCALHOST, redis), 5) as session:
        stream = session.makefile("rwb")
        stream.write(f"AUTH backend {old}\r\n".encode())
        stream.flush()
        assert stream.readline() == b"+OK\r\n"
        with Pods(dev, "backend", (REDIS, "backend-password"), call) as pods:
            status, said = dev.rotate("redis", "backend-password")
        assert status == 0, said
        assert pods.refused == []
        assert pods.calls > 10
        # A session that was open goes on.
        stream.write(b"PING\r\n")
        stream.flush()
        assert stream.readline() == b"+PONG\r\n"
    new = dev.secret(REDIS, "backend-password")
    assert new != old
    assert call(new)
    assert resp(redis, f"AUTH backend {old}")[0].startswith("-WRONGPASS")
    # The stores and all other clients are spared.
    assert dev.restarted().keys() == {"backend"}
    assert "nobody is refused" in said
    assert resp(redis, f"AUTH registry {dev.secret(REDIS, 'registry-password')}") == ["+OK"]


def test_a_rotation_that_stops_half_way_leaves_both_passwords_and_is_finished_later(
    dev: Cluster, redis: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = dev.secret(REDIS, "mesh-password")
    stuck = ("Deployment", f"{PREFIX}claude-llm-agent")
    dev.api.statuses[stuck] = {"observedGeneration": 9, "replicas": 1, "updatedReplicas": 0}
    monkeypatch.setattr("mcpmesh_k8s.operations.deploy.patience", lambda *_: 1)
    status, said = dev.rotate("redis", "mesh-password")
    assert status == 1
    assert "claude-llm-agent did not become ready" in said
    later = "To finish: make k8s-rotate NAME=redis KEY=mesh-password PRESENT=1"
    assert f"{PREFIX}redis has the new value, and not everybody knows it yet. {later}" in said
    new = dev.secret(REDIS, "mesh-password")
    for password in (old, new):
        assert resp(redis, f"AUTH mesh {password}") == ["+OK"]
    dev.api.statuses.pop(stuck)
    status, said = dev.rotate("redis", "mesh-password", "--present")
    assert status == 0, said
    assert dev.secret(REDIS, "mesh-password") == new
    assert resp(redis, f"AUTH mesh {new}") == ["+OK"]
    assert resp(redis, f"AUTH mesh {old}")[0].startswith("-WRONGPASS")
    assert dev.restarted().keys() == {"pdf-extractor", "claude-llm-agent", "openai-llm-agent"}


def test_nothing_is_changed_where_the_server_does_not_answer(dev: Cluster) -> None:
    dev.beside(REDIS, {"PATH": os.environ["PATH"], "REDISCLI_AUTH": "wrong", "REDISCLI_USER": "operator"})
    old = dev.secret(REDIS, "backend-password")
    status, said = dev.rotate("redis", "backend-password")
    assert status == 1
    assert "user backend, redis of cluster (kind, namespace ai-interviewer): failed" in said
    assert dev.secret(REDIS, "backend-password") == old
    assert dev.restarted() == {}


@pytest.mark.parametrize("user", ["operator", "trimmer", "exporter"])
def test_a_redis_whose_data_would_be_lost_is_not_restarted_for_a_password(dev: Cluster, user: str) -> None:
    status, said = dev.rotate("redis", f"{user}-password")
    assert status == 1
    assert "its data lie in its pod" in said
    assert f"make k8s-secrets REPLACE=REDIS_{user.upper()}_PASSWORD" in said
    assert dev.secret(REDIS, f"{user}-password") == INVENTED[REDIS, f"{user}-password"]


# --- PostgreSQL ---


@pytest.fixture(scope="module")
def account(needs_postgresql: Path) -> Account:
    return Account.unprivileged()


@pytest.fixture(scope="module")
def served(manifests: Manifests, account: Account) -> Generator[Server, None, None]:
    """A real PostgreSQL with the databases of development, and passwords that a shell or SQL could trip over."""
    with (
        account.folder(of_data=True) as folder,
        starting(
            manifests("dev"), account, folder, free_port(), f"listen_addresses={LOCALHOST}", brought=True
        ) as server,
    ):
        yield server


@pytest.fixture
def postgres(
    served: Server,
    manifests: Manifests,
    needs_kubectl: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Generator[tuple[Cluster, Server], None, None]:
    """Development beside it. Each test asks of a role of its own: the server is the same for all."""
    with deployed("dev", PASSWORDS, manifests, needs_kubectl, tmp_path, monkeypatch, capfd) as cluster:
        cluster.beside(POSTGRES, served.pod.environment)
        yield cluster, served


def test_a_role_of_postgresql_gets_another_password_when_its_new_pod_waits_for_it(
    postgres: tuple[Cluster, Server],
) -> None:
    cluster, server = postgres
    url, old = server.client("backend")["url"], cluster.secret(POSTGRES, "backend-password")

    def call(password: str) -> bool:
        done = server.psql("SELECT 1", url=url, PGPASSWORD=password)
        assert done.returncode == 0 or "password authentication failed" in done.stderr, done.stderr
        return done.returncode == 0

    with Pods(cluster, "backend", (POSTGRES, "backend-password"), call, every=0.04) as pods:  # a call is a program too
        status, said = cluster.rotate("postgres", "backend-password")
    assert status == 0, said
    # From the change until the new pod is ready: here it is ready at once.
    assert len(pods.refused) <= 2
    assert pods.away < 2
    new = cluster.secret(POSTGRES, "backend-password")
    assert new != old
    assert call(new)
    assert not call(old)
    assert cluster.restarted().keys() == {"backend"}
    assert "open no new session" in said
    assert new not in server.pod.output
    # The task finds it done.
    assert "its password is now" not in server.bring(secrets={**PASSWORDS_OF_ALL, (POSTGRES, "backend-password"): new})


PASSWORDS_OF_ALL = {
    (POSTGRES, entry.reference.key): PASSWORDS[POSTGRES, entry.reference.key]
    for entry in AiInterviewer(DEV, outdir="unused").secret_keys()
    if entry.reference.secret == POSTGRES
}


def test_an_open_session_of_a_role_goes_on(postgres: tuple[Cluster, Server]) -> None:
    cluster, server = postgres
    client = server.client("registry")
    words = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", client["url"]]
    environment = {**server.pod.environment, "PGPASSWORD": client["PGPASSWORD"]}
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdin
        assert session.stdout
        print("SELECT 1;", file=session.stdin, flush=True)
        assert session.stdout.readline() == "1\n"
        status, said = cluster.rotate("postgres", "mcpmesh-password")
        assert status == 0, said
        assert session.communicate("SELECT 2;", timeout=20)[0] == "2\n"


def test_the_superuser_gets_another_password_and_nobody_is_restarted(postgres: tuple[Cluster, Server]) -> None:
    cluster, server = postgres
    status, said = cluster.rotate("postgres", "password")
    assert status == 0, said
    assert cluster.restarted() == {}
    new = cluster.secret(POSTGRES, "password")
    assert new != PASSWORDS[POSTGRES, "password"]
    server.bring(secrets={**PASSWORDS_OF_ALL, (POSTGRES, "password"): new})
    assert "refuses the password" in server.fails(secrets=PASSWORDS_OF_ALL)
    quoted = PASSWORDS[POSTGRES, "password"].replace("'", "''")
    server.ask(f"ALTER ROLE postgres PASSWORD '{quoted}'")


def test_a_role_that_the_server_does_not_have_ends_the_rotation(postgres: tuple[Cluster, Server]) -> None:
    cluster, server = postgres
    server.ask("DROP OWNED BY mcpmesh", "REASSIGN OWNED BY mcpmesh TO postgres", "DROP ROLE mcpmesh")
    status, said = cluster.rotate("postgres", "mcpmesh-password")
    assert status == 1
    assert 'role "mcpmesh" does not exist' in said


# --- MinIO ---

MC = """\
#!/bin/sh
# Writes down what it is asked, by whom, and what it reads.
{ echo "$MC_HOST_store: $*"; [ "$4" != add ] || cat; } >>"${0%/*}/mc.log"
"""


@pytest.fixture
def mc(dev: Cluster) -> Callable[[], list[str]]:
    program = dev.folder / "bin/mc"
    program.write_text(MC)
    program.chmod(0o755)
    keys = {f"MINIO_ROOT_{part.upper()}": dev.secret(MINIO, f"root-{part}") for part in ("user", "password")}
    dev.beside(MINIO, {"PATH": os.environ["PATH"], **keys})
    return lambda: (dev.folder / "bin/mc.log").read_text().splitlines()


@pytest.mark.parametrize("key", grid(["access-key", "secret-key"], short=["secret-key"]))
def test_a_user_of_minio_is_followed_by_another_with_the_same_rights(
    dev: Cluster, mc: Callable[[], list[str]], key: str
) -> None:
    old = dev.secret(MINIO, "access-key")
    status, said = dev.rotate("minio", key)
    assert status == 0, said
    root = f"http://{dev.secret(MINIO, 'root-user')}:{dev.secret(MINIO, 'root-password')}@127.0.0.1:9000"
    new = {one: dev.secret(MINIO, one) for one in ("access-key", "secret-key")}
    assert new["access-key"] != old
    assert mc() == [
        f"{root}: --quiet admin user add store",
        new["access-key"],
        new["secret-key"],
        f"{root}: --quiet admin policy attach store ai-interviewer-uploads --user {new['access-key']}",
        f"{root}: --quiet admin user remove store {old}",
    ]
    assert dev.restarted().keys() == {"backend"}


def test_a_user_of_minio_who_is_the_same_stays(dev: Cluster, mc: Callable[[], list[str]]) -> None:
    """What the Secret has by now is told to the server, and nobody is removed for it."""
    status, said = dev.rotate("minio", "access-key", "--present")
    assert status == 0, said
    assert any("admin user add store" in line for line in mc())
    assert not any("remove" in line for line in mc())
    assert dev.restarted().keys() == {"backend"}


def test_the_old_user_of_minio_stays_until_the_clients_run_again(
    dev: Cluster, mc: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dev.api.statuses["Deployment", f"{PREFIX}backend"] = {"observedGeneration": 9, "replicas": 1, "updatedReplicas": 0}
    monkeypatch.setattr("mcpmesh_k8s.operations.deploy.patience", lambda *_: 1)
    status, _ = dev.rotate("minio", "access-key")
    assert status == 1
    assert not any("remove" in line for line in mc())


def test_the_old_user_of_minio_stays_until_the_pods_of_before_have_ended(
    dev: Cluster, mc: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A roll-out is over when the new ones are ready, and the old ones may end calls for minutes more."""
    new = {"metadata": {"name": "backend-2"}, "status": {"phase": "Running"}}
    old = {"metadata": {"name": "backend-1", "deletionTimestamp": "2026-11-30T15:00:00Z"}}
    looks = [[old, new], [old, new], [new]]
    removed = list[bool]()

    def there(_: object, owners: Sequence[Workload]) -> list[dict[str, object]]:
        assert [owner.name for owner in owners] == ["backend"]
        removed.append(any("remove" in line for line in mc()))
        return [{**pod} for pod in looks[len(removed) - 1]]

    monkeypatch.setattr("mcpmesh_k8s.operations.clients.there", there)
    status, said = dev.rotate("minio", "access-key")
    assert status == 0, said
    assert "waiting for 1 pods to end: backend-1" in said
    assert removed == [False, False, False]
    assert "user remove" in mc()[-1]


def test_the_root_of_minio_changes_by_a_restart_of_minio(dev: Cluster) -> None:
    status, said = dev.rotate("minio", "root-password")
    assert status == 0, said
    assert dev.restarted().keys() == {"minio"}
    assert "MinIO restarts" in said


# --- what is only read ---


def test_grafana_is_told_its_password_and_not_restarted(dev: Cluster) -> None:
    program = dev.folder / "bin/grafana"
    program.write_text('#!/bin/sh\n{ echo "$*"; cat; } >"${0%/*}/grafana.log"\n')
    program.chmod(0o755)
    dev.beside(
        GRAFANA, {"PATH": f"{program.parent}:{os.environ['PATH']}", "GF_PATHS_CONFIG": "/etc/mcpmesh/grafana.ini"}
    )
    status, said = dev.rotate("grafana", "admin-password")
    assert status == 0, said
    homepath = "--homepath /usr/share/grafana --config /etc/mcpmesh/grafana.ini"
    told = f"cli {homepath} admin reset-admin-password --password-from-stdin\n{dev.secret(GRAFANA, 'admin-password')}"
    assert (program.parent / "grafana.log").read_text() == told
    assert dev.restarted() == {}
    status, said = dev.rotate("grafana", "admin-user")
    assert status == 1
    assert "Change it in Grafana" in said


def test_a_key_that_someone_issues_is_asked_for(dev: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpmesh_k8s.operations.secrets.can_ask", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda question: "sk-of-a-test")
    status, said = dev.rotate("claude", "api-key")
    assert status == 0, said
    assert dev.secret(f"{PREFIX}claude", "api-key") == "sk-of-a-test"
    assert dev.restarted().keys() == {"claude-llm-agent"}
    assert "The old value is valid until it is revoked: Anthropic, console.anthropic.com" in said


def test_of_two_rotations_at_once_the_second_is_refused(dev: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would write the Secret and tell the server, and of one key the two would not agree."""
    asked: list[tuple[int, str]] = []

    def typed(question: str) -> str:
        """While the first asks, another begins."""
        asked.append(dev.rotate("grafana", "admin-password"))
        return "sk-of-a-test"

    monkeypatch.setattr("mcpmesh_k8s.operations.secrets.can_ask", lambda: True)
    monkeypatch.setattr("getpass.getpass", typed)
    before = dev.secret(GRAFANA, "admin-password")
    status, said = dev.rotate("claude", "api-key")
    assert status == 0, said
    ((refused, why),) = asked
    assert refused == 1
    assert "rotate of dev is at work (" in why
    assert dev.secret(GRAFANA, "admin-password") == before
    assert not [key for key in dev.api.objects if key[2].endswith("data-move")]


def test_no_answer_changes_nothing(dev: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpmesh_k8s.operations.secrets.can_ask", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda question: "")
    status, said = dev.rotate("claude", "api-key")
    assert status == 1
    assert "CLAUDE_API_KEY is empty" in said
    assert dev.restarted() == {}


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("mysql", "password", "There is no Secret 'mysql', only: postgres, redis, minio, "),
        ("claude", "password", "ai-interviewer-claude has no key 'password', only: api-key."),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(dev: Cluster, name: str, key: str, said: str) -> None:
    status, found = dev.rotate(name, key)
    assert status == 2
    assert said in found


# --- where the values come from ---


@contextmanager
def external_secrets_operator(
    cluster: Cluster, name: str, stored: Mapping[str, str], takes: float = 0
) -> Generator[None, None, None]:
    """What copies values from a store into a Secret, whenever its annotation changes, within some seconds."""
    end = threading.Event()
    key = ("ExternalSecret", name)
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    cluster.api.statuses[key] = {**ready, "refreshTime": "2026-11-30T01:00:00Z"}

    def run() -> None:
        asked = None
        while not end.wait(0.02):
            annotations = cluster.api.object(key[0], NAMESPACE, name)["metadata"].get("annotations", {})
            if annotations.get("force-sync") != asked:
                asked = annotations["force-sync"]
                end.wait(takes)
                held = {one: cluster.secret(name, one) for one in cluster.api.object("Secret", NAMESPACE, name)["data"]}
                cluster.api.hold([secret_of(name, {**held, **stored})], manager="tests")
                cluster.api.statuses[key] = {**ready, "refreshTime": "2026-11-30T02:00:00Z"}

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


LOGIN = f"{PREFIX}oauth2-proxy"


def test_a_value_that_changed_in_its_store_is_fetched_and_read(prod: Cluster) -> None:
    """The object is Ready all the while, of the fetch before: only the time of it says that there was another."""
    prod.asks_for_all()
    with external_secrets_operator(prod, LOGIN, {"cookie-secret": "another-cookie-secret"}, takes=1.5):
        status, said = prod.rotate("oauth2-proxy", "cookie-secret")
    assert status == 0, said
    assert prod.secret(LOGIN, "cookie-secret") == "another-cookie-secret"
    assert prod.restarted().keys() == {"oauth2-proxy"}


def test_what_can_be_no_password_stops_before_anybody_is_restarted(prod: Cluster) -> None:
    with external_secrets_operator(prod, LOGIN, {"cookie-secret": "one\ntwo"}):
        status, said = prod.rotate("oauth2-proxy", "cookie-secret")
    assert status == 1
    assert "The new value for cookie-secret of ai-interviewer-oauth2-proxy is empty, or has several lines" in said
    assert prod.restarted() == {}


def test_a_store_without_another_value_is_named_and_nobody_is_restarted(prod: Cluster) -> None:
    with external_secrets_operator(prod, LOGIN, {}):
        status, said = prod.rotate("oauth2-proxy", "cookie-secret")
    assert status == 1
    assert "The store has no other value for cookie-secret of ai-interviewer/prod/oauth2-proxy" in said
    assert prod.restarted() == {}
    status, said = prod.rotate("oauth2-proxy", "cookie-secret", "--present")
    assert status == 0, said
    assert prod.restarted().keys() == {"oauth2-proxy"}


def test_an_operator_that_fetches_nothing_is_told(prod: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SYNC", 0)
    denied = {"type": "Ready", "status": "False", "message": "could not get secret data from provider"}
    prod.api.statuses["ExternalSecret", LOGIN] = {"conditions": [denied]}
    status, said = prod.rotate("oauth2-proxy", "cookie-secret")
    assert status == 1
    assert "was not fetched within 0 seconds" in said
    assert "could not get secret data from provider" in said
    assert prod.restarted() == {}


def test_a_shared_cluster_wants_consent(prod: Cluster) -> None:
    prod.asks_for_all()
    status, said = prod.rotate("oauth2-proxy", "cookie-secret", "--confirm=yes")
    assert status == 3
    assert "prod" in said
    assert prod.restarted() == {}


def test_in_production_what_redis_logs_in_with_itself_restarts_redis(prod: Cluster, tmp_path: Path) -> None:
    prod.beside(REDIS, {"PATH": os.environ["PATH"]})
    (prod.folder / f"bin/beside-{REDIS}").write_text("exit 0\n")
    with external_secrets_operator(prod, REDIS, {"trimmer-password": "another-password-of-the-trimmer"}):
        status, said = prod.rotate("redis", "trimmer-password")
    assert status == 0, said
    assert prod.restarted().keys() == {"redis"}
    assert "Redis restarts" in said


def test_a_task_reads_it_when_it_runs_next(prod: Cluster) -> None:
    (prod.folder / f"bin/beside-{POSTGRES}").write_text("exit 0\n")
    with external_secrets_operator(prod, POSTGRES, {"backup-password": "another-password-of-the-backup"}):
        status, said = prod.rotate("postgres", "backup-password")
    assert status == 0, said
    assert prod.restarted() == {}
    assert "read it when they start or run next: postgres-databases, postgres-backup" in said


def sealed_shop(folder: Path) -> Environment:
    """An application whose only Secret is sealed, and one workload that reads it."""
    application = Application(ApplicationSettings(name="shop"), outdir=folder / "shop")
    phase = Phase(application, "all")
    value = SealedValue(secret="token", key="token", ciphertext=ciphertext("a"))
    token = Secret(phase, SecretSettings(name="token", keys=("token",), source=SealedSecrets(values=(value,))))
    container = Container(
        name="web",
        image=Image(repository="registry.example.com/web", tag="1.0.0"),
        compute=Compute(cpu="10m", memory="32Mi", cpu_limit="20m", memory_limit="32Mi"),
        user=User(uid=1000, gid=1000),
        variables=variables({"TOKEN": token.key("token")}),
        probes=NoProbes(because="No test starts it."),
    )
    Workload(phase, WorkloadSettings(name="web", component="web", container=container))
    return Environment(name="shop", cluster=SharedCluster(context="shop"), make=lambda: application)


def test_what_is_sealed_is_sealed_anew_first(tmp_path: Path) -> None:
    nobody = Kubectl(context="shop", namespace="shop")
    with pytest.raises(OperationError, match=r'printf %s "\$TOKEN_TOKEN" \| kubeseal --raw .*Then deploy.*PRESENT=1'):
        command.rotate(sealed_shop(tmp_path), nobody, "token", "token", present=False)


# --- every key ---

ANSWERS = """
alertmanager page: alertmanager
alertmanager ticket: alertmanager
alertmanager watchdog: alertmanager
claude api-key: claude-llm-agent
grafana admin-password: told
minio access-key+secret-key: told backend
minio backup-access-key+backup-secret-key: told
minio root-password: minio
minio root-user: minio
oauth2-proxy client-id: oauth2-proxy
oauth2-proxy client-secret: oauth2-proxy
oauth2-proxy cookie-secret: oauth2-proxy
openai api-key: openai-llm-agent
postgres backend-password: told backend
postgres backup-password: told
postgres exporter-password: told postgres
postgres interview-agent-password: told interview-agent
postgres mcpmesh-password: told registry
postgres password: told
redis backend-password: told backend
redis backup-password: told
redis default-password: told interview-agent
redis exporter-password: told redis
redis mesh-password: told claude-llm-agent openai-llm-agent pdf-extractor
redis operator-password: told redis
redis registry-password: told registry
redis trimmer-password: told redis
"""
"""Of production: whether a program is told, and who restarts."""


def test_of_every_key_it_is_known_who_is_told_and_who_restarts() -> None:
    environment = next(one for one in OPERATED if one.name == "prod")
    nobody, lines = Kubectl(context="prod", namespace=NAMESPACE), set[str]()
    for secret in environment.application.find_all(Secret):
        for key in secret.settings.key_names:
            if (secret.name, key) == ("grafana", "admin-user"):
                continue
            keeper, rotation = command.rotation_of(environment, nobody, secret, key)
            keys = rotation.keys if rotation else (key,)
            held = {entry.reference: entry for entry in environment.application.secret_keys()}
            spared = keeper if rotation and not rotation.restarts else None
            readers = command.readers_of(environment, [held[secret.key(one)] for one in keys], spared)
            told = ["told"] if type(rotation) not in (Rotation, type(None)) else []
            lines.add(f"{secret.name} {'+'.join(keys)}: {' '.join([*told, *sorted(one.name for one in readers)])}")
    assert sorted(lines) == ANSWERS.split("\n")[1:-1]
