"""This module is a Kubernetes control plane on loopback: the real programs, without a machine to run pods on."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mesh_harness import LOCALHOST, free_port

from .api import Api, ApiError, Object

START = 120.0
"""Seconds that the API server may take until it answers, on a busy machine."""

STOP = 2.0
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}],
}
"""What the API server writes down: all that pods ask, as they would ask with their tokens."""

_REQUESTS = ("--kube-api-qps=300", "--kube-api-burst=600")


@dataclass(kw_only=True)
class ControlPlane:
    """A control plane that runs.

    Args:
        programs: The folder with the programs.
        folder: Where it keeps its data, logs and keys.
    """

    programs: Path
    folder: Path
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    _running: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)
    _url: str = ""

    @property
    def api(self) -> Api:
        """Its API server."""
        return Api(url=self._url, token=self.token, authority=self.authority)

    @property
    def authority(self) -> Path:
        """Whose certificate the API server has: it signs it with a key of its own, and puts both here."""
        return self.folder / "certificates" / "apiserver.crt"

    @property
    def _asked(self) -> Path:
        return self.folder / "audit.log"

    def asked_by(self, namespace: str, account: str) -> list[Object]:
        """What was asked by a ServiceAccount, and what it was told, as the API server wrote it down."""
        who = f"system:serviceaccount:{namespace}:{account}"
        # The last line may be half written.
        lines = self._asked.read_text().splitlines(keepends=True) if self._asked.exists() else []
        events: list[Object] = [json.loads(line) for line in lines if line.endswith("\n")]
        return [event for event in events if event["user"]["username"] == who]

    def token_of(self, namespace: str, account: str) -> str:
        """A token as the kubelet gives it to a pod of a ServiceAccount."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        asked: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return str(self.api.create(path, asked)["status"]["token"])

    def kubeconfig(self, *contexts: str, token: str = "") -> Path:
        """A kubeconfig whose contexts all lead here; the first is the current one.

        Args:
            token: Whose it is; the administrator's unless given.
        """
        path = self.folder / f"{contexts[0]}.kubeconfig"
        cluster = {"server": self._url, "certificate-authority": str(self.authority)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "loopback", "cluster": cluster}],
            "users": [{"name": "administrator", "user": {"token": token or self.token}}],
            "contexts": [
                {"name": name, "context": {"cluster": "loopback", "user": "administrator"}} for name in contexts
            ],
            "current-context": contexts[0],
        }
        path.touch(0o600)
        path.write_text(json.dumps(document))
        return path

    def start(self) -> None:
        """Start everything, and return when the API server answers."""
        client, peers, secure = (free_port() for _ in range(3))
        etcd = f"http://{LOCALHOST}:{client}"
        self._url = f"https://{LOCALHOST}:{secure}"
        key = self.folder / "service-accounts.pem"
        private = ec.generate_private_key(ec.SECP256R1())
        key.touch(0o600)
        key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        tokens = self.folder / "tokens.csv"
        tokens.touch(0o600)
        tokens.write_text(f'{self.token},administrator,administrator,"system:masters"\n')
        self._run(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls=http://{LOCALHOST}:{peers}",
            f"--initial-advertise-peer-urls=http://{LOCALHOST}:{peers}",
            f"--initial-cluster=default=http://{LOCALHOST}:{peers}",
            "--unsafe-no-fsync",
        )
        policy = self.folder / "audit.json"
        policy.write_text(json.dumps(_AUDIT))
        self._run(
            "kube-apiserver",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self._asked}",
            f"--etcd-servers={etcd}",
            f"--bind-address={LOCALHOST}",
            f"--advertise-address={LOCALHOST}",
            f"--secure-port={secure}",
            f"--cert-dir={self.authority.parent}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            # As everywhere: who may not is told so by Pod Security.
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            # The address of a server on loopback is none that a Service may have.
            "--endpoint-reconciler-type=none",
        )
        self._wait_for_answer()
        # A file of their own: who asks by kubectl writes another one while they begin.
        kubeconfig = self.kubeconfig("control-plane")
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            "--secure-port=0",
            "--leader-elect=false",
            f"--service-account-private-key-file={key}",
            f"--root-ca-file={self.authority}",
            # Autoscalers read metrics from a custom resource here, which has no other form.
            "--kube-api-content-type=application/json",
            "--horizontal-pod-autoscaler-sync-period=2s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=1s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=1s",
            *_REQUESTS,
        )
        self._run("kube-scheduler", f"--kubeconfig={kubeconfig}", "--secure-port=0", "--leader-elect=false", *_REQUESTS)

    def stop(self) -> None:
        """End every program, the last that was started first. Nothing of it is worth a long farewell."""
        for _, process in reversed(self._running):
            process.terminate()
        while self._running:
            _, process = self._running.pop()
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def require_running(self) -> None:
        """Make sure that nothing has ended.

        Raises:
            RuntimeError: A program ended; its last words are in the message.
        """
        for name, process in self._running:
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with status {process.returncode}:\n{self.last_words(name)}")

    def last_words(self, program: str) -> str:
        """The end of a program's log."""
        return (self.folder / f"{program}.log").read_text(errors="replace")[-3000:]

    def _run(self, program: str, *arguments: str) -> None:
        # Whatever becomes of us, they end with us.
        guard = [setpriv, "--pdeathsig", "KILL"] if (setpriv := shutil.which("setpriv")) else []
        with (self.folder / f"{program}.log").open("wb") as log:
            process = subprocess.Popen(
                [*guard, str(self.programs / program), *arguments],
                cwd=self.folder,
                # They look for garbage less often than by themselves, for a sixth less of a processor.
                env={**os.environ, "GOGC": "400"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is ours alone: we end them in their order.
                start_new_session=True,
            )
        self._running.append((program, process))

    def _wait_for_answer(self) -> None:
        give_up = time.monotonic() + START
        while time.monotonic() < give_up:
            self.require_running()
            with suppress(OSError, ApiError):
                if self.api.get("/readyz").get("text") == "ok":
                    return
            time.sleep(0.2)
        raise RuntimeError(f"kube-apiserver does not answer:\n{self.last_words('kube-apiserver')}")


@contextmanager
def control_plane(programs: Path, folder: Path) -> Generator[ControlPlane]:
    """A control plane while the block runs."""
    started = ControlPlane(programs=programs, folder=folder)
    try:
        started.start()
        yield started
    finally:
        started.stop()
