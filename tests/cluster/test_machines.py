"""What the other tests rest on: this control plane refuses what any would, and its machines are not lenient."""

from __future__ import annotations

import pytest

from ai_interviewer import ENVIRONMENTS
from cluster.api import Object
from cluster.environment import APPLY, Deployed, as_text, eventually, named
from cluster.machines import is_ready

pytestmark = pytest.mark.parametrize("cluster", ENVIRONMENTS[:1], indirect=True, ids=named)
"""One will do: this is about the cluster, and not about what is deployed to it."""


def pod(name: str, **spec: object) -> Object:
    """A pod that Pod Security lets in, unless fields of its container say otherwise."""
    container: Object = {
        "name": "main",
        "image": "image",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{**container, **spec}], "restartPolicy": "Never"},
    }


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        ({"securityContext": {"privileged": True}}, 'violates PodSecurity "restricted:latest"'),
        ({"resources": {"requests": {"cpu": "100"}, "limits": {"cpu": "100"}}}, "maximum cpu usage per Container is"),
        ({"imagePullPolice": "Always"}, "field not declared in schema"),
    ],
    ids=["pod security", "limits", "an unknown field"],
)
def test_a_pod_is_refused(spec: Object, refusal: str, deployed: Deployed) -> None:
    done = deployed.kubectl(*APPLY, "--filename=-", stdin=as_text([pod("refused", **spec)]))
    assert done.returncode == 1
    assert refusal in done.stderr


def test_more_pods_than_the_quota_counts_are_refused(expendable: Deployed) -> None:
    many = [pod(f"filler-{number}") for number in range(60)]
    done = expendable.kubectl(*APPLY, "--filename=-", stdin=as_text(many))
    assert done.returncode == 1
    assert "exceeded quota" in done.stderr


def test_a_pod_starts_once_what_it_refers_to_is_there(expendable: Deployed) -> None:
    variable = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "late", "key": "key"}}}
    waiting = pod("waiting", env=[variable])
    waiting["spec"]["restartPolicy"] = "Always"
    expendable.do(*APPLY, "--filename=-", stdin=as_text([waiting]))

    def reason() -> str:
        (found,) = expendable.look("pods", "waiting")
        (status,) = found["status"].get("containerStatuses") or [{"state": {}}]
        return "ready" if is_ready(found) else str(status["state"].get("waiting", {}).get("reason"))

    eventually(lambda: reason() == "CreateContainerConfigError", 20, reason)
    expendable.do("create", "secret", "generic", "late", "--from-literal=other=1")
    expendable.do("delete", "secret", "late")
    expendable.do("create", "secret", "generic", "late", "--from-literal=key=1")
    eventually(lambda: reason() == "ready", 20, reason)


def test_a_roll_out_that_has_no_room_is_seen(expendable: Deployed) -> None:
    one = next(one for one in expendable.manifests() if one["kind"] == "Deployment")
    resources = one["spec"]["template"]["spec"]["containers"][0]["resources"]
    one["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "nowhere"}
    assert resources
    expendable.do(*APPLY, "--force-conflicts", "--filename=-", stdin=as_text([one]))
    expendable.calm()
    assert any(line.startswith(one["metadata"]["name"]) for line in expendable.unready())
