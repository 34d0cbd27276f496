"""What backs up is admitted by a real API server: each run of a schedule, and the pod that reads what there is."""

from __future__ import annotations

import json
from functools import partial

import pytest

from ai_interviewer.__main__ import operated
from cluster.environment import CONTEXT, Deployed, eventually
from mcpmesh_k8s.operations.backups import backups_of, reading
from mcpmesh_k8s.operations.programs import Kubectl


@pytest.fixture
def kubectl(expendable: Deployed, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    """The real kubectl, as our commands call it."""
    for name in ("KUBECONFIG", "PATH", "HOME"):
        monkeypatch.setenv(name, expendable.variables[name])
    return Kubectl(context=CONTEXT, namespace=expendable.namespace)


def test_backups_are_made_and_read_within_quota_and_the_restricted_standard(
    expendable: Deployed, kubectl: Kubectl
) -> None:
    environment = operated(expendable.settings)
    for backup in backups_of(environment).values():
        # The run binds the claim, which waits for its first pod.
        job = f"{backup.full_name}-now"
        kubectl.output("create", "job", job, f"--from={backup.reference}")
        eventually(partial(ended, kubectl, job), 60, lambda: kubectl.output("get", "jobs,pods,events"))
        with reading(environment, kubectl, backup) as reader:
            pod = json.loads(kubectl.output("get", reader.pod, "--output=json"))
            # What is here played for a pod that need not restart ends after a moment.
            assert pod["status"]["phase"] in ("Running", "Succeeded")
            assert pod["spec"]["serviceAccountName"] == backup.full_name
            mounted = {
                v["persistentVolumeClaim"]["claimName"]
                for v in pod["spec"]["volumes"]
                if len(v) > 1 and "persistentVolumeClaim" in v
            }
            assert mounted == {f"{backup.full_name}-backups"}
        assert not kubectl.output("get", "pods", f"{backup.full_name}-reader", "--ignore-not-found")


def ended(kubectl: Kubectl, job: str) -> bool:
    """Whether a Job has come to its good end."""
    state = json.loads(kubectl.output("get", "job", job, "--output=json"))["status"]
    return int(state.get("succeeded", 0)) == 1
