"""This module is people who go on asking while pods are stopped as the kubelet does."""

from __future__ import annotations

import subprocess
import threading
import time

from mesh3.stack import Mesh, Place
from mesh_harness import before_the_signal

PACE = 5.0
"""How many times as fast as in a cluster the kubelet's clock runs."""


class People:
    """People who ask one question after the other, each as soon as the one before is answered.

    Attributes:
        count: How many they are.
        answers: What they were told, and by which pod in the end.
        troubles: What was no answer.
    """

    def __init__(self, mesh: Mesh, count: int = 4) -> None:
        self.count = count
        self.answers: list[str] = []
        self.troubles: list[str] = []
        self._mesh, self._over = mesh, threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]

    def _ask(self) -> None:
        while not self._over.is_set():
            answer = self._mesh.says(seconds=0.1)
            (self.answers if answer.status == 200 else self.troubles).append(answer.text)

    def __enter__(self) -> People:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)


def stop_as_the_kubelet(mesh: Mesh, place: Place, other: Place, pace: float = PACE) -> float:
    """A pod is deleted: those who are led to it, what it does before, the signal.

    The cluster is told at once that nobody shall be led to it, and its nodes hear of it a moment later.

    Returns:
        The seconds that it took.
    """
    began = time.monotonic()
    grace: int = mesh.manifest(place.name)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    with subprocess.Popen(before_the_signal(place.pod, pace)) as before:
        time.sleep(5 / pace)
        mesh.service(place.name).leads_to(other.address)
        assert before.wait(grace / pace) == 0
    assert place.pod.terminate(began + grace - time.monotonic()) is not None, "it had to be killed"
    return time.monotonic() - began
