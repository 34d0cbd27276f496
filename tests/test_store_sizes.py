"""This module is the proof that sizes of stores that cannot work together are refused, with what to give instead."""

import re
from collections.abc import Callable

import pytest

from conftest import Manifests
from environments import EVERY
from mcpmesh_k8s import (
    Claim,
    Compute,
    Ephemeral,
    GrafanaSettings,
    MinioSettings,
    Persistent,
    RedisSettings,
    Scratch,
    SettingError,
    TempoSettings,
    images,
)

SMALL = Compute(cpu="100m", memory="256Mi")
GIBIBYTE = 2**30


def redis(memory: str, size: str, trace_length: int = 10_000) -> RedisSettings:
    compute = Compute(cpu="100m", memory=memory)
    return RedisSettings(image=images.REDIS, compute=compute, storage=Persistent(size=size), trace_length=trace_length)


def tempo(storage: Claim | Scratch, hours: int) -> TempoSettings:
    return TempoSettings(image=images.TEMPO, compute=SMALL, storage=storage, retention_hours=hours)


def grafana(size: str) -> GrafanaSettings:
    storage = Claim(mount_path="/var/lib/grafana", size=size)
    return GrafanaSettings(image=images.GRAFANA, compute=SMALL, storage=storage)


def minio(size: str) -> MinioSettings:
    return MinioSettings(image=images.MINIO, compute=SMALL, size=size)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "8Gi of Redis on 1Gi": (
        lambda: redis("8Gi", "1Gi"),
        "RedisSettings.storage size: '1Gi' was given. With 8Gi of memory "
        "the append-only file may take 27371Mi while it is written anew. Give that, or less memory.",
    ),
    "a little too little for Redis": (lambda: redis("1Gi", "3477Mi"), "may take 3478Mi"),
    "a Redis of nothing": (lambda: redis("32Mi", "1Gi"), "Give at least 64Mi"),
    "more traces than memory": (
        lambda: redis("256Mi", "5Gi", 10**6),
        "RedisSettings.trace_length: 1000000 was given. So "
        "many traces fill the memory of 256Mi, and nothing is evicted. Give at most 87381, or more memory.",
    ),
    "traces for longer than the claim": (
        lambda: tempo(Claim(mount_path="/var/tempo", size="10Gi"), 24 * 30),
        "TempoSettings.storage size: '10Gi' was given. For 720 hours of traces give 23040Mi or more, or keep them for "
        "less.",
    ),
    "traces for longer than the folder": (
        lambda: tempo(Scratch(name="data", mount_path="/var/tempo", size="1Gi"), 33),
        "give 1056Mi or more",
    ),
    "a MinIO that takes no upload": (lambda: minio("1Gi"), "Give at least 2Gi"),
    "a Grafana without room": (lambda: grafana("16Mi"), "Give at least 64Mi"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_work_together_is_refused(what: str) -> None:
    make, sentence = REFUSED[what]
    with pytest.raises(SettingError, match=re.escape(sentence)):
        make()


def test_what_works_together_is_taken() -> None:
    redis("1Gi", "3478Mi")
    redis("64Mi", "278Mi")
    RedisSettings(image=images.REDIS, compute=Compute(cpu="1", memory="8Gi"), storage=Ephemeral())
    tempo(Scratch(name="data", mount_path="/var/tempo", size="1Gi"), 32)
    minio("2Gi")
    grafana("64Mi")


@pytest.mark.parametrize("environment", EVERY)
def test_no_scratch_space_is_memory_of_a_pod(manifests: Manifests, environment: str) -> None:
    """What is written there would count against the memory that the sizes of a server were computed from."""
    text = str(manifests(environment))
    assert "'emptyDir': {" in text
    assert "'medium'" not in text
