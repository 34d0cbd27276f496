"""What was deployed by mistake is taken back: each way that we advise is walked to its end."""

from __future__ import annotations

from cluster.api import Object
from cluster.environment import APPLY, CONTROLLERS, Deployed, as_text, eventually, workload_of

TAG = "does-not-exist"


def test_a_bad_revision_of_every_deployment_is_rolled_back_by_deploying_the_good_one(expendable: Deployed) -> None:
    bad = with_bad_images(expendable, "Deployment")
    # Of how many pods a rollout may do without: of one, where a new one has no room beside the old ones.
    rolling = {
        one["metadata"]["name"]: one["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"]
        for one in bad
        if one["spec"]["strategy"]["type"] == "RollingUpdate"
    }
    assert rolling
    before = expendable.ready()
    expendable.do(*APPLY, "--filename=-", stdin=as_text(bad))
    # Not each new pod finds room beside the old ones. None that does gets its image.
    expendable.calm()
    assert troubled(expendable)
    # Who must not be two at a time is away meanwhile. All others still serve.
    serving = expendable.ready()
    assert {name: serving[name] for name in rolling} == {name: before[name] - less for name, less in rolling.items()}
    assert all(serving[name] for name in rolling if before[name] > 1)
    expendable.do(*APPLY, "--filename", expendable.rendered)
    expendable.settle()
    assert troubled(expendable) == {}


def test_a_bad_revision_of_every_stateful_set_is_rolled_back_by_deploying_the_good_one(expendable: Deployed) -> None:
    bad = with_bad_images(expendable, "StatefulSet")
    names = {one["metadata"]["name"] for one in bad}
    assert names
    claims = {one["metadata"]["uid"] for one in expendable.look("persistentvolumeclaims")}
    expendable.do(*APPLY, "--filename=-", stdin=as_text(bad))
    eventually(lambda: set(troubled(expendable).values()) == names, 60, lambda: str(troubled(expendable)))
    expendable.do(*APPLY, "--filename", expendable.rendered)
    expendable.settle()
    assert troubled(expendable) == {}
    assert {one["metadata"]["uid"] for one in expendable.look("persistentvolumeclaims")} == claims


def with_bad_images(deployed: Deployed, kind: str) -> list[Object]:
    """Every Deployment or StatefulSet with an image that no registry has, each in its main container."""
    assert kind in CONTROLLERS
    bad = [one for one in deployed.manifests() if one["kind"] == kind]
    for one in bad:
        container = one["spec"]["template"]["spec"]["containers"][0]
        container["image"] = f"{container['image'].rpartition(':')[0]}:{TAG}"
        deployed.machines.missing_images.add(container["image"])
    return bad


def troubled(deployed: Deployed) -> dict[str, str]:
    """The pods whose image cannot be had, each with its workload."""
    return {
        pod["metadata"]["name"]: workload_of(pod)
        for pod in deployed.pods()
        for container in pod["status"].get("containerStatuses", ())
        if container["state"].get("waiting", {}).get("reason") == "ErrImagePull"
    }
