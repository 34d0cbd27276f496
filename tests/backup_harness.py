"""This module is the pods that back up and try backups, as processes of this machine, with their rendered scripts."""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ai_interviewer import PROD, AiInterviewer
from conftest import made_once
from mcpmesh_k8s import RestoreDrill
from mesh_harness import Loopback, Manifest, Secrets, container_of, find, free_port, mounted, pod_environment
from processes import START, Account
from reading import objects_of
from stand_ins import StandIns

BACKUPS = "/backups"
NO_OTHERS: Mapping[str, str] = {}
PLACES = ("BACKUPS", "SCRATCH", "AGE", "AGE_IDENTITY")


def job_of(manifests: Sequence[Manifest], name: str) -> Manifest:
    """The Job that a CronJob makes."""
    cron_job = find(manifests, "CronJob", name)
    return {**cron_job, "spec": cron_job["spec"]["jobTemplate"]["spec"]}


@dataclass(kw_only=True)
class BackupPod:
    """A pod of a CronJob. What it mounts stays between two runs.

    Args:
        manifests: The rendered manifests.
        name: The CronJob.
        root: The folder of what it mounts.
        secrets: The values of its Secrets.
        variables: Variables that are others on this machine, such as where the server is.
        before: What starts its commands as somebody else.
        account: Who that is.
        image: Files of its images, and the local file for each.
    """

    manifests: Sequence[Manifest]
    name: str
    root: Path
    secrets: Secrets
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    account: Account | None = None
    image: Mapping[str, Path] = field(default_factory=dict[str, Path])

    def __post_init__(self) -> None:
        """Mount its volumes."""
        self.job = job_of(self.manifests, self.name)
        spec = self.job["spec"]["template"]["spec"]
        self.containers = [c["name"] for c in (*spec.get("initContainers", []), *spec["containers"])]
        self.mounts: dict[str, Path] = {}
        for container in self.containers:
            self.mounts |= mounted(self.manifests, self.job, container, root=self.root, loopback=Loopback())
        if self.account:
            self.account.own(*(path for path in self.mounts.values()))

    @property
    def backups(self) -> Path:
        """Its claim, or what stands for it."""
        return self.mounts[BACKUPS]

    @property
    def names(self) -> list[str]:
        """What is in the claim."""
        return sorted(path.name for path in self.backups.iterdir())

    def command(self, container: str, *words: str) -> tuple[list[str], dict[str, str]]:
        """What a container starts, and its variables; another command of its image where words are given."""
        places = Loopback(mounts={**self.mounts, **self.image})
        environment = pod_environment(self.job, container, secrets=self.secrets, loopback=Loopback())
        environment |= {name: places.command(environment[name]) for name in (*PLACES, "HOME") if name in environment}
        command = words or container_of(self.job, container)["command"]
        before = self.account.command if self.account else ()
        return [*before, *(places.command(word) for word in command)], {**environment, **self.variables}

    def start(self, container: str, *words: str, variables: Mapping[str, str] = NO_OTHERS) -> subprocess.Popen[str]:
        """Start a container."""
        command, environment = self.command(container, *words)
        return subprocess.Popen(
            command,
            env={**environment, **variables},
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, variables: Mapping[str, str] = NO_OTHERS, *, status: int = 0) -> str:
        """Run its containers one after the other, and return what they say. The last, or one before it, ends so."""
        said, ended = "", 0
        for container in self.containers:
            process = self.start(container, variables=variables)
            said += process.communicate(timeout=START)[0]
            ended = process.returncode
            if ended:
                break
        assert ended == status, said
        return said

    def ask(self, script: str, *words: str, status: int = 0) -> bytes:
        """What one of its scripts prints, as an operator's command calls it in the last container."""
        command, environment = self.command(self.containers[-1], "/bin/sh", f"/etc/backup/{script}.sh", *words)
        done = subprocess.run(command, env=environment, cwd=self.root, capture_output=True, timeout=START)
        assert done.returncode == status, done.stderr.decode()
        return done.stdout if status == 0 else done.stderr

    def forget(self) -> None:
        """Empty the claim: a moment has one backup, and tests have many in a second."""
        for name in self.names:
            shutil.rmtree(self.backups / name)

    def script(self, name: str, text: str) -> None:
        """Let one of its scripts be another."""
        (self.mounts["/etc/backup"] / name).write_text(text)

    def limited(self, limit: str) -> tuple[str, ...]:
        """What the first container starts, with a limit of a shell."""
        command = container_of(self.job, self.containers[0])["command"]
        return ("/bin/sh", "-c", f"{limit}; exec {shlex.join(command)}")

    def listed(self) -> list[dict[str, Any]]:
        """The manifests of what there is."""
        return [json.loads(line) for line in self.ask("list").splitlines()]


@dataclass(kw_only=True)
class Clock:
    """A ``date`` that says what it is told, on a path of its own."""

    folder: Path
    path: str = ""

    def __post_init__(self) -> None:
        """Put it there."""
        self.folder.mkdir()
        script = self.folder / "date"
        script.write_text('#!/bin/sh\ncase "$*" in *%s) exec /bin/date "$@" ;; esac\ncat "${0%/*}/now"\n')
        script.chmod(0o755)

    def says(self, now: str) -> dict[str, str]:
        """The variables with which it is that moment, such as ``20261130T023000Z``."""
        (self.folder / "now").write_text(f"{now}\n")
        return {"PATH": f"{self.folder}:{self.path or os.environ['PATH']}"}


KUBECTL = """\
#!/bin/sh
# Executes beside a server, or in a pod that reads backups, what it is asked to. All else a stand-in answers.
here=${0%/*}
case "$*" in
CASES*) exec "$here/others/kubectl" "$@" ;;
esac
while [ "$1" != -- ]; do shift; done
shift
for word; do
    shift
    case "$word" in
    /etc/backup/*) word="$root$word" ;;
    16379) word=BESIDE ;;
    esac
    set -- "$@" "$word"
done
cd "$root" && . "$environment" "$@"
"""


class Cluster:
    """A ``kubectl`` for a cluster whose containers are processes of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.others = StandIns(folder / "others", "kubectl")
        self._cases = ""
        self._beside = str(free_port())
        answer = self.others.answer
        answer("kubectl", "^config get-contexts", "trial\n")
        answer("kubectl", "^config view ", json.dumps({"clusters": [{"cluster": {"extensions": [MINIKUBE]}}]}))
        answer("kubectl", "get --raw=/readyz", "ok")
        answer("kubectl", "get namespace ai-interviewer ", '{"status": {"phase": "Active"}}')
        missing = 'error: the server doesn\'t have a resource type "applications"'
        answer("kubectl", "get applications.argoproj.io", status=1, stderr=missing)
        answer("kubectl", " (apply|create|delete|wait|patch|scale) ", "done\n")
        answer("kubectl", " get .* --output(=| )json$", '{"items": []}')

    def executes(self, target: str, container: str, environment: Mapping[str, str], root: Path) -> None:
        """Let a container be a process with these variables, started in this folder."""
        number = self._cases.count("\n")
        file = self.folder / f"environment.{number}"
        words = shlex.join(f"{name}={value}" for name, value in environment.items())
        file.write_text(f'exec {shutil.which("env")} -i {words} "$@"\n')
        pattern = f'*" exec -i {target} --container {container} -- "*'
        self._cases += f"{pattern}) root={shlex.quote(str(root))} environment={shlex.quote(str(file))} ;;\n"
        program = self.folder / "kubectl"
        program.write_text(KUBECTL.replace("CASES", self._cases).replace("BESIDE", self._beside))
        program.chmod(0o755)

    def forwards(self, target: str, port: int) -> None:
        """Let a port be one of this machine."""
        self.others.answer("kubectl", f"port-forward {target} ", f"Forwarding from 127.0.0.1:{port} -> 1\n")

    def reads(self, pod: BackupPod) -> None:
        """Let the backups of a pod be read."""
        _, environment = pod.command(pod.containers[-1])
        self.executes(f'pod/{pod.name}-reader-"*"', pod.containers[-1], environment, pod.root)


MINIKUBE = {"extension": {"provider": "minikube.sigs.k8s.io"}}


MC = """\
#!/bin/sh
# Stands in for mc: an alias is a folder beside, and its keys are compared. There is no command that removes anything.
set -eu
here=${0%/*}
[ "$1" = --quiet ] || { [ "$1" = --version ] && echo "mc version stand-in" && exit; exit 1; }
shift
printf '%s\\n' "$*" >>"$here/said"
place() {
    alias=${1%%/*}
    eval "url=\\${MC_HOST_$alias:-}"
    [ "$url" = "$(cat "$here/$alias.url")" ] || { echo "error: access denied to $alias" >&2; exit 1; }
    echo "$here/$1"
}
case "$1" in
ls)
    at=$(place "$2")
    cd "$at" 2>/dev/null || exit 0
    for name in *; do [ ! -d "$name" ] || echo "[2026-11-30 02:30:00 UTC]     0B $name/"; done ;;
cat) cat "$(place "$2")" ;;
cp)
    [ ! -e "$here/fault" ] || . "$here/fault"
    to=$(place "$3")
    mkdir -p "${to%/*}"
    cat "$2" >"$to" ;;
*) echo "error: $*" >&2; exit 1 ;;
esac
"""


class Bucket:
    """A bucket out of the cluster, and a stand-in for ``mc`` that knows its keys."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "mc").write_text(MC)
        (folder / "mc").chmod(0o755)
        (folder / "target.url").write_text(url)
        self.path = f"{folder}:{os.environ['PATH']}"

    def fails(self, how: str) -> None:
        """Let the next copies meet this."""
        (self.folder / "fault").write_text(how)

    @property
    def said(self) -> list[str]:
        """What mc was asked, in its order."""
        return (self.folder / "said").read_text().splitlines()


def drilled() -> Sequence[Manifest]:
    """Production, whose newest backups are tried."""
    return made_once("drilled", _drilled)


def _drilled() -> Sequence[Manifest]:
    assert PROD.postgres.backup
    assert PROD.redis.backup
    assert PROD.minio.backup
    drill = RestoreDrill()
    environment = replace(
        PROD,
        postgres=replace(PROD.postgres, backup=replace(PROD.postgres.backup, drill=drill)),
        redis=replace(PROD.redis, backup=replace(PROD.redis.backup, drill=drill)),
        minio=replace(PROD.minio, backup=replace(PROD.minio.backup, drill=drill)),
    )
    return objects_of(AiInterviewer(environment, outdir="unused"))


def copy_claim(pod: BackupPod, drill: BackupPod) -> None:
    """Give a drill what a backup wrote, as its own: in a cluster the group of the claim may read it."""
    shutil.copytree(pod.backups, drill.backups, dirs_exist_ok=True)
    if drill.account:
        drill.account.own(*drill.backups.rglob("*"))


def seal(folder: Path) -> None:
    """Let the checksums of a backup be those of its files, as of one who changed both."""
    lines = [line.split(" ", 2) for line in (folder / "sums").read_text().splitlines()]
    files = {path: (folder / "data" / path).read_bytes() for _, _, path in lines}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()} {len(data)} {path}\n" for path, data in files.items())
    (folder / "sums").write_text(sums)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sums"] = hashlib.sha256(sums.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest, separators=(",", ":")) + "\n")
