"""This module is how the tests run servers: without privileges, until a port answers, stopped as the image asks."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mesh_harness import (
    LOCALHOST,
    SECRETS,
    Loopback,
    Manifest,
    Pod,
    Secrets,
    eventually,
    find,
    mounted,
    pod_environment,
    start_pod,
)

START = 30.0  # seconds that a server may take on a busy machine
REDIS = "ai-interviewer-redis"


def memory() -> Path | None:
    """Where data of PostgreSQL lie in memory, if there is room: a new database is some hundred files."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() and shutil.disk_usage(shared).free > 4 * 2**30 else None


@dataclass(frozen=True)
class Account:
    """Whom a server runs as, by number. Only root can choose: a server of anyone else runs as himself."""

    uid: int
    gid: int

    @classmethod
    def unprivileged(cls) -> "Account":
        """Who runs what refuses to be root: nobody, and whoever is not root himself."""
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.getuid())
        return cls(user.pw_uid, user.pw_gid)

    @property
    def command(self) -> tuple[str, ...]:
        """What to put before a command."""
        if os.geteuid() != 0:
            return ()
        return ("setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", "--no-new-privs")

    def own(self, *paths: Path | int) -> None:
        """Hand over files or folders that are there, by their path or descriptor."""
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, self.uid, self.gid)

    @contextmanager
    def folder(self, *, of_data: bool = False) -> Generator[Path, None, None]:
        """A folder of its own, which others may enter; its path is short enough for a socket.

        Args:
            of_data: Whether PostgreSQL keeps its data there.
        """
        with tempfile.TemporaryDirectory(prefix="mcpmesh-", dir=memory() if of_data else None) as name:
            folder = Path(name)
            folder.chmod(0o755)
            self.own(folder)
            yield folder


@contextmanager
def serving(
    pod: Pod, ready: Callable[[], bool], *, stop: signal.Signals = signal.SIGTERM, seconds: float = START
) -> Generator[Pod, None, None]:
    """A server from when it is ready; at the end it is asked to stop, and killed if it does not.

    Args:
        stop: The image's STOPSIGNAL.
    """
    with pod:
        eventually(lambda: ready() or pod.process.poll() is not None, seconds)
        assert pod.process.poll() is None, pod.output
        assert ready(), pod.output
        try:
            yield pod
        finally:
            pod.process.send_signal(stop)
            with suppress(subprocess.TimeoutExpired):
                pod.process.wait(10)


def start_redis(
    manifests: Sequence[Manifest],
    root: Path,
    port: int,
    *,
    secrets: Secrets = SECRETS,
    account: Account | None = None,
    alone: bool = False,
) -> Pod:
    """The rendered Redis with its rendered configuration, on this port of loopback only.

    Args:
        account: Whom it runs as; who runs the tests unless given.
        alone: Whether it is in a network of its own, and listens as it is told to.
    """
    manifest = find(manifests, "Deployment", REDIS)
    loopback = Loopback(ports={6379: port})
    mounts = mounted(manifests, manifest, "redis", root=root, loopback=loopback)
    (configuration,) = root.rglob("redis.conf")
    if not alone:
        configuration.write_text(f"port {port}\n{configuration.read_text()}\nbind {LOCALHOST}\n")
    loopback = Loopback(ports=loopback.ports, mounts=mounts)
    if account:
        account.own(*(path for mount, path in mounts.items() if not mount.startswith("/etc/")))
    return start_beside_redis(manifest, "redis", root, port, loopback=loopback, secrets=secrets, account=account)


def start_beside_redis(
    manifest: Manifest,
    container: str,
    root: Path,
    port: int,
    *,
    loopback: Loopback,
    secrets: Secrets = SECRETS,
    account: Account | None = None,
) -> Pod:
    """A container whose redis-cli dials this port where it would dial 6379."""
    environment = pod_environment(manifest, container, secrets=secrets, loopback=loopback)
    root.mkdir(parents=True, exist_ok=True)
    script = root / "redis-cli"
    script.write_text(f'#!/bin/sh\nexec {shutil.which("redis-cli")} -p {port} "$@"\n')
    script.chmod(0o755)
    environment["PATH"] = f"{root}:{environment['PATH']}"
    return start_pod(
        manifest,
        container,
        environment=environment,
        loopback=loopback,
        root=root,
        before=account.command if account else (),
    )
