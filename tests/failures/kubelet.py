"""This module plays the kubelet for programs of this machine: it does what their manifests say, and nothing else.

Init containers come first, each until it ends well. Then the container is asked by its probes. One that ends, or whose
liveness fails, is started again, after the stop that its manifest describes and the kubelet's growing pause.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from mesh_harness import Manifest, Pod, before_the_signal, probe

WELL = frozenset({"open", "exit 0"})
PAUSE, LONGEST_PAUSE = 10.0, 300.0
"""Seconds before the second restart, doubled each time; the first is at once."""

SHORTEST = 1.0
"""Seconds that a probe waits for its answer at least, however fast the clock runs: a busy machine needs them."""


@dataclass(frozen=True, kw_only=True)
class Restart:
    """A container that was started again.

    Args:
        why: ``ended``, or the probe that failed.
        at: When it was, by the clock of this machine.
    """

    why: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Program:
    """What the kubelet is told to run.

    Args:
        manifest: Its workload, as rendered.
        container: The container's name.
        begin: Starts it for the first time.
        inits: Starts each of its init containers, by its name.
        stop: The image's STOPSIGNAL.
    """

    manifest: Manifest
    container: str
    begin: Callable[[], Pod]
    inits: Mapping[str, Callable[[], Pod]] = field(default_factory=dict[str, Callable[[], Pod]])
    stop: signal.Signals = signal.SIGTERM


NOBODY = 2**22 + 1
"""More than the number of any process."""


class Ends:
    """Waits for the end of a process, or until it is woken."""

    def __init__(self, process: subprocess.Popen[bytes], wake: int) -> None:
        self._descriptor = os.pidfd_open(process.pid)
        self._wake = wake

    def within(self, seconds: float) -> bool:
        """Whether it ends in this time."""
        both = [self._descriptor, self._wake]
        return self._descriptor in select.select(both, [], [], max(seconds, 0))[0]

    def close(self) -> None:
        """Wait for nothing any more."""
        os.close(self._descriptor)


def family(pid: int) -> Iterator[int]:
    """A process and all that descend from it: what a container's own list of processes would have."""
    yield pid
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from family(int(child))


def signal_all(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and all that descend from it."""
    for one in list(family(pid)):
        with suppress(ProcessLookupError):
            os.kill(one, number)


class Container:
    """A container, and a thread that looks after it.

    Args:
        program: What is run.
        pace: How many times as fast as it should the kubelet's clock runs.

    Attributes:
        ready: Whether the Service would send it requests.
        restarts: How often it was started again, and why.
        waited: The log of each init container.
        trouble: What went wrong in the harness.
    """

    def __init__(self, program: Program, pace: float) -> None:
        self.program = program
        self.pace = pace
        self.ready = False
        self.restarts: list[Restart] = []
        self.waited: dict[str, str] = {}
        self.trouble: BaseException | None = None
        self.generation = 0
        self._waiting: dict[str, Pod] = {}
        self._wake = os.eventfd(0)
        self._stop = threading.Event()
        self._deleted = threading.Event()
        self._gone = threading.Event()
        self._pause = 0.0
        self._failed = 0
        self._pod: Pod | None = None
        self._thread = threading.Thread(target=self._look_after, daemon=True)

    @property
    def pod(self) -> Pod:
        """What runs now."""
        assert self._pod, "it has not begun"
        return self._pod

    @property
    def begun(self) -> bool:
        """Whether it has been started."""
        return self._pod is not None

    def start(self) -> None:
        """Begin to look after it."""
        self._thread.start()

    def close(self) -> None:
        """End it, and whoever looks after it."""
        self._stop.set()
        os.eventfd_write(self._wake, 1)
        if self._pod:
            signal_all(self._pod.process.pid, signal.SIGKILL)
        for waiting in list(self._waiting.values()):
            signal_all(waiting.process.pid, signal.SIGKILL)
        if self._thread.is_alive():
            self._thread.join(30)

    def kill(self, pause: float = 0) -> None:
        """It ends without a word, and all of it with it, as in a container.

        Args:
            pause: Seconds until it is started again, as it has ended before.
        """
        self._pause = pause
        signal_all(self.pod.process.pid, signal.SIGKILL)

    def hang(self) -> None:
        """All of it stands still."""
        signal_all(self.pod.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """It goes on, as if somebody had found what it hung on."""
        signal_all(self.pod.process.pid, signal.SIGCONT)

    def delete(self) -> float:
        """Its pod is deleted, as a roll-out does, and another one takes its place: the seconds that the stop took."""
        began = time.monotonic()
        self._gone.clear()
        self._deleted.set()
        os.eventfd_write(self._wake, 1)
        assert self._gone.wait(120), "it did not stop"
        return time.monotonic() - began

    def calm(self) -> None:
        """It has run for so long that the kubelet has forgotten its restarts, and the last question went well."""
        self.restarts = []
        self._pause = 0.0
        self._failed = 0

    def waiting_log(self, name: str) -> str:
        """What an init container has said so far."""
        return self._waiting[name].output if name in self._waiting else ""

    def _look_after(self) -> None:
        try:
            for name, init in self.program.inits.items():
                self._run(name, init)
            if self._stop.is_set():
                return
            self._pod = self.program.begin()
            while True:
                why = self._watch()
                self.ready = False
                if self._stop.is_set():
                    return
                ended = time.monotonic()
                self._pause_before_restart(why, ended)
                if self._stop.is_set():
                    return
                self._pod = self._again()
                if why != "deleted":
                    self.restarts.append(Restart(why=why, at=time.monotonic()))
        except BaseException as error:
            self.trouble = error

    def _run(self, name: str, init: Callable[[], Pod]) -> None:
        while not self._stop.is_set():
            with init() as pod:
                self._waiting[name] = pod
                code = pod.process.wait()
                self.waited[name] = pod.output
            if code == 0:
                return

    def _pause_before_restart(self, why: str, ended: float) -> None:
        if why == "deleted":
            return
        if self._pause:
            self._stop.wait(max(ended + self._pause / self.pace - time.monotonic(), 0))
        self._pause = min(max(self._pause * 2, PAUSE), LONGEST_PAUSE)

    def _again(self) -> Pod:
        """Start the same command with the same variables in the same folders: they outlive a container."""
        before = self.pod
        with before.log.open("ab") as output:
            process = subprocess.Popen(
                before.process.args,
                cwd=before.log.parent,
                env=dict(before.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.generation += 1
        return replace(before, process=process)

    def _watch(self) -> str:
        """Ask the probes until it has to be started again: why."""
        pod = self.pod
        ends = Ends(pod.process, self._wake)
        try:
            why = self._ask(pod, ends)
            if why not in ("ended", "stopped"):
                self._stop_container(pod, ends, why)
        finally:
            signal_all(pod.process.pid, signal.SIGKILL)
            ends.close()
            pod.process.wait(10)
            # Its number may soon be somebody else's, whom whoever started it must not end.
            pod.process.pid = NOBODY
        return why

    def _ask(self, pod: Pod, ends: Ends) -> str:
        """Ask whether it has started, and from then on whether it is alive, until either fails: why it ends."""
        if "livenessProbe" not in pod.spec:
            # Of one that has no probes the kubelet knows that it runs, and no more.
            self.ready = True
            while not ends.within(LONGEST_PAUSE):
                if self._stop.is_set():
                    return "stopped"
            return "ended"
        over = threading.Event()
        try:
            for kind in ("startupProbe", "livenessProbe"):
                self._failed, question = 0, pod.spec[kind]
                due = time.monotonic()
                while True:
                    if ends.within(due - time.monotonic()):
                        return "ended"
                    if self._stop.is_set():
                        return "stopped"
                    if self._deleted.is_set():
                        os.eventfd_read(self._wake)
                        return "deleted"
                    due = max(due + question["periodSeconds"] / self.pace, time.monotonic())
                    well = self._is_well(question, pod)
                    self._failed = 0 if well else self._failed + 1
                    if self._failed >= question["failureThreshold"]:
                        return "ended" if ends.within(0) else kind
                    if well and kind == "startupProbe":
                        break
                if kind == "startupProbe":
                    threading.Thread(target=self._ask_readiness, args=(pod, over), daemon=True).start()
            raise AssertionError
        finally:
            over.set()

    def _ask_readiness(self, pod: Pod, over: threading.Event) -> None:
        failed, question = 0, pod.spec["readinessProbe"]
        due = time.monotonic()
        while not over.wait(max(due - time.monotonic(), 0)):
            due = max(due + question["periodSeconds"] / self.pace, time.monotonic())
            well = self._is_well(question, pod)
            failed = 0 if well else failed + 1
            if (well or failed >= question["failureThreshold"]) and not over.is_set():
                self.ready = well

    def _is_well(self, question: Manifest, pod: Pod) -> bool:
        seconds: float = question["timeoutSeconds"]
        said = probe({**question, "timeoutSeconds": max(seconds / self.pace, min(seconds, SHORTEST))}, pod)
        return said in WELL or (said.isdecimal() and 200 <= int(said) < 400)

    def _stop_container(self, pod: Pod, ends: Ends, why: str) -> None:
        """Stop it as its manifest says: what it does before, the signal, and the time until it is killed."""
        spec = self.program.manifest["spec"]["template"]["spec"]
        grace: float = spec["terminationGracePeriodSeconds"]
        if why in ("livenessProbe", "startupProbe"):
            grace = pod.spec[why].get("terminationGracePeriodSeconds", grace)
        deadline = time.monotonic() + grace / self.pace
        if before := before_the_signal(pod, self.pace):
            with subprocess.Popen(before, start_new_session=True) as hook:
                while hook.poll() is None and not ends.within(0.1) and time.monotonic() < deadline:
                    pass
                signal_all(hook.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(pod.process.pid, self.program.stop)
        ends.within(deadline - time.monotonic())
        if why == "deleted":
            self._deleted.clear()
            self._gone.set()
