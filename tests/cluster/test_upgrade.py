"""What a live cluster refuses of a change is what `make check-upgrade` names, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ai_interviewer import ENVIRONMENTS, AiInterviewer, EnvironmentSettings
from cluster.environment import APPLY, Deployed, as_text, read, read_folder
from mcpmesh_k8s import Autoscaling, IstioAmbient, NoLogs, Persistent
from mcpmesh_k8s.operations.rendered import hook_of
from mcpmesh_k8s.operations.upgrade import breaking_changes


def _instead(other: EnvironmentSettings, _: EnvironmentSettings) -> EnvironmentSettings:
    return other


CHANGES: dict[str, Callable[[EnvironmentSettings], EnvironmentSettings]] = {
    "claims that grow": lambda was: replace(
        was, postgres=replace(was.postgres, size="30Gi"), minio=replace(was.minio, size="40Gi")
    ),
    "a claim that shrinks": lambda was: replace(was, postgres=replace(was.postgres, size="2Gi")),
    "a volume that becomes a claim, or a smaller one": lambda was: replace(
        was, redis=replace(was.redis, storage=Persistent(size="3Gi"))
    ),
    "another class of storage": lambda was: replace(was, storage_class="other"),
    "an autoscaler": lambda was: replace(
        was,
        gateway=replace(
            was.gateway, availability=replace(was.gateway.availability, scale=Autoscaling(minimum=2, maximum=3))
        ),
    ),
    "a mesh": lambda was: replace(was, transit=IstioAmbient()),
    "no logs": lambda was: replace(was, logs=NoLogs()),
    "sidecars that go": lambda was: replace(was, redis=replace(was.redis, exporter=None)),
    **{f"what {other.name} is": partial(_instead, other) for other in ENVIRONMENTS},
}
_BOUNDS = re.compile("is forbidden: (exceeded quota|maximum storage usage)")


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_real_api_server_refuses_is_named_and_nothing_else_is(
    deployed: Deployed, tmp_path: Path, change: str
) -> None:
    AiInterviewer(CHANGES[change](deployed.settings), outdir=tmp_path / "after").synth()
    before, after = read(deployed.settings.name), read_folder(tmp_path / "after")
    # What a hook replaces is deleted first.
    objects = [manifest for manifest in after if not hook_of(manifest)]
    done = deployed.kubectl(*APPLY, "--dry-run=server", "--filename=-", stdin=as_text(objects))
    # Quota and limits are those that are there: the ones that come with it have room.
    wrong = [line for line in done.stderr.splitlines() if not _BOUNDS.search(line)]
    refused = {
        name for manifest in objects if (name := manifest["metadata"]["name"]) and f'"{name}" is' in "".join(wrong)
    }
    named = {found.name for found in breaking_changes(before, after) if "refuses" in found.why}
    assert refused == named, done.stderr
