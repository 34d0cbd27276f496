"""This module is how other programs are called: named when they are missing, and never with a secret in an argument."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from mcpmesh_k8s.kubernetes import OperationError as OperationError

from .terminal import UnreadError, is_live, messages, show

INSTALL = {
    "docker": "Install Docker: it builds the images.",
    "git": "Install git.",
    "kubectl": "Install kubectl, and give it a context for the cluster.",
    "minikube": "Install minikube; for another cluster go step by step, with CONTEXT and CONFIRM.",
    "sudo": "Run this as root, or install sudo: only root may change the hosts file.",
}
"""Every program that a command may call, and what to do when it is missing. Stores add their own."""

PATIENCE = 300
"""Seconds that kubectl may take in people's sight, unless it waits for something: a server that took a request and does
not answer it keeps kubectl waiting for ever."""


class UsageError(OperationError):
    """What was asked for makes no sense, whatever the cluster says."""


class ConsentError(OperationError):
    """A change was asked for without the word that confirms it."""


def require(*programs: str, others: Mapping[str, str] | None = None) -> None:
    """Refuse to begin when a program is missing.

    Args:
        programs: Programs that are known here.
        others: More of them, each with what to do when it is missing.

    Raises:
        OperationError: Programs are missing; all of them are named.
    """
    advice = {program: INSTALL[program] for program in programs} | dict(others or {})
    missing = [program for program in advice if shutil.which(program) is None]
    if missing:
        raise OperationError(
            f"{', '.join(missing)} not found on PATH. " + " ".join(advice[program] for program in missing)
        )


def output(
    command: Sequence[str],
    *,
    stdin: str | None = None,
    variables: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> str:
    """What a command prints.

    Args:
        command: Program and arguments.
        stdin: What it reads: the way for a secret.
        variables: Environment variables beside our own: the other way for a secret.
        timeout: Seconds after which it is stopped.

    Raises:
        OperationError: It is missing, fails or takes too long; the message ends with what it said last.
    """
    return captured(command, stdin=stdin, variables=variables, timeout=timeout).stdout


def succeeds(command: Sequence[str], *, timeout: float = 120) -> bool:
    """Whether a command succeeds; what it prints is dropped."""
    return _captured(command, None, None, timeout).returncode == 0


def captured(
    command: Sequence[str],
    *,
    stdin: str | None = None,
    variables: Mapping[str, str] | None = None,
    timeout: float = 120,
    allowed: Sequence[int] = (0,),
) -> subprocess.CompletedProcess[str]:
    """A command's output and exit status; an ``OperationError`` when the status is none of those allowed."""
    result = _captured(command, stdin, variables, timeout)
    if result.returncode not in allowed:
        raise failed(command, result.returncode, result.stderr or result.stdout)
    return result


def stream(
    command: Sequence[str],
    *,
    stdin: str | IO[bytes] = "",
    stdout: IO[bytes] | None = None,
    variables: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> int:
    """Run a command whose output people see as it comes, and return its exit status.

    Args:
        command: Program and arguments.
        stdin: A text, or an open file, that it reads.
        stdout: An open file that it writes to; where people look unless given.
        variables: Environment variables beside our own.
        timeout: Seconds after which it is stopped; never unless given.

    Raises:
        OperationError: The program is missing, or takes too long.
        UnreadError: Nobody reads what it prints.
    """
    sys.stdout.flush()
    with tempfile.TemporaryFile() as given:
        if isinstance(stdin, str):
            given.write(stdin.encode())
            given.seek(0)
        source = given if isinstance(stdin, str) else stdin
        try:
            if stdout is None and is_live():
                status = _stream_between(command, source, variables, timeout)
            else:
                status = subprocess.run(
                    command,
                    env=_environment(variables),
                    stdin=source,
                    stdout=messages() if stdout is None else stdout,
                    timeout=timeout,
                    check=False,
                ).returncode
        except FileNotFoundError:
            raise _missing(command) from None
        except subprocess.TimeoutExpired:
            raise OperationError(
                f"`{shlex.join(command)}` did not end within {timeout:g} seconds. What it did until then stays: give "
                "the command again."
            ) from None
    if status == -signal.SIGPIPE:
        raise UnreadError
    return status


def _stream_between(
    command: Sequence[str], stdin: IO[bytes], variables: Mapping[str, str] | None, timeout: float | None
) -> int:
    """Show a command's lines one by one, so that they do not break the moving ones below."""
    late = threading.Event()
    with subprocess.Popen(
        command,
        env=_environment(variables),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout or 0, stop)
        if timeout is not None:
            timer.start()
        try:
            for line in process.stdout:
                show(line.rstrip("\n"))
            status = process.wait()
        finally:
            timer.cancel()
    if late.is_set():
        raise subprocess.TimeoutExpired(command, timeout or 0)
    return status


def failed(command: Sequence[str], status: int, said: str) -> OperationError:
    """The error for a command that failed, with what it said went wrong."""
    return OperationError(f"`{shlex.join(command)}` failed with status {status}: {told(said)}")


def told(said: str) -> str:
    """The line of what a program said that tells what went wrong: the last, unless one before begins as errors do."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("error: ", "Error from server", "Unable to connect"))]
    return [*lines, *errors][-1] if lines else "no word"


def read_object(command: Sequence[str], printed: str) -> Mapping[str, object]:
    """The object that a program printed as JSON.

    Raises:
        OperationError: It printed something else, such as a warning before it, or not all of it.
    """
    try:
        found = json.loads(printed)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise OperationError(f"`{shlex.join(command)}` printed no object in JSON: {printed[:60]!r}")
    return found


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """kubectl, always with the context and the namespace that are meant.

    Args:
        context: The context of the kubeconfig.
        namespace: The namespace of the application.
    """

    context: str
    namespace: str

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        return ["kubectl", "--context", self.context, "--namespace", self.namespace, *arguments]

    def output(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """What it prints; an ``OperationError`` when it fails."""
        return output(self.command(*arguments), stdin=stdin, timeout=timeout)

    def read(self, *arguments: str) -> Mapping[str, object]:
        """What ``get`` finds, as the server has it; empty where that may be, and nothing is there.

        Raises:
            OperationError: It fails, or what it prints is something else.
        """
        get = ("get", *arguments, "--output=json")
        return read_object(self.command(*get), self.output(*get) or "{}")

    def stream(self, *arguments: str, stdin: str = "", timeout: float | None = PATIENCE) -> int:
        """Run it in people's sight, and return its exit status; an ``OperationError`` when it takes too long."""
        return stream(self.command(*arguments), stdin=stdin, timeout=timeout)

    def do(self, *arguments: str, stdin: str = "", timeout: float | None = PATIENCE) -> None:
        """Run it in people's sight; an ``OperationError`` when it fails."""
        status = self.stream(*arguments, stdin=stdin, timeout=timeout)
        if status:
            raise OperationError(f"`{shlex.join(self.command(*arguments))}` failed with status {status}: see above.")

    @contextmanager
    def forwarded(self, target: str, port: int) -> Generator[int]:
        """A port of this machine, and of no other, that leads to a Service or a workload while the block runs.

        Raises:
            OperationError: kubectl opens none.
        """
        command = self.command("port-forward", target, f":{port}", "--address=127.0.0.1")
        with (
            tempfile.TemporaryFile("w+") as said,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, encoding="utf-8"
            ) as process,
        ):
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                match = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", line)
                if not match:
                    process.wait(10)
                    said.seek(0)
                    words = said.read().strip().splitlines() or [line.strip() or "no word"]
                    raise OperationError(f"No port is forwarded to {target}: {words[-1]}")
                # It writes a line for each connection, and stops when nobody reads them.
                threading.Thread(target=process.stdout.read, daemon=True).start()
                yield int(match[1])
            finally:
                process.terminate()


def _captured(
    command: Sequence[str], stdin: str | None, variables: Mapping[str, str] | None, timeout: float
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=_environment(variables),
            input=stdin or "",
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise _missing(command) from None
    except subprocess.TimeoutExpired:
        raise OperationError(f"`{shlex.join(command)}` gave no answer within {timeout:g} seconds.") from None
    except UnicodeDecodeError as error:
        raise OperationError(f"`{shlex.join(command)}` prints what is no text in UTF-8 ({error}).") from None


def _missing(command: Sequence[str]) -> OperationError:
    return OperationError(f"{command[0]} not found on PATH. {INSTALL.get(command[0], '')}".rstrip())


def _environment(variables: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(variables or {})}
