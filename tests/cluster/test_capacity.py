"""What we render has room on the machines it is planned for: steady, rolled out anew, and when a node is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from ai_interviewer import ENVIRONMENTS
from cluster.api import STRATEGIC, Object
from cluster.environment import (
    AUTOSCALED,
    CONTROLLERS,
    Deployed,
    eventually,
    machines_of,
    named,
    over_and_over,
    workload_of,
)
from cluster.machines import is_ready
from mcpmesh_k8s.kubernetes.quantity import millicores

DRAIN = ("drain", "--ignore-daemonsets", "--delete-emptydir-data")
ALL = "deployments,statefulsets"
MANY_NODES = [one for one in ENVIRONMENTS if len(machines_of(one.budget)) > 1]
LAST = "ai-interviewer-observability"
"""The priority of what nobody needs for an interview."""


def test_the_system_keeps_what_the_plan_says(cluster: Deployed) -> None:
    pods = cluster.control_plane.api.list("/api/v1/namespaces/kube-system/pods")
    assert sum(millicores("cpu", requests_of(pod)["cpu"]) for pod in pods) == 1100


def test_every_pod_is_admitted_and_has_a_node_beside_the_systems_own(deployed: Deployed) -> None:
    wanted = {one["metadata"]["name"]: one["spec"]["replicas"] for one in deployed.look(ALL) if one["spec"]["replicas"]}
    rendered = {one["metadata"]["name"] for one in deployed.manifests() if one["kind"] in CONTROLLERS}
    assert wanted.keys() == rendered
    running = [pod for pod in deployed.pods() if pod["status"]["phase"] != "Succeeded"]
    assert Counter(map(workload_of, running)) == wanted
    assert {pod["spec"]["nodeName"] for pod in running} == {node.name for node in deployed.machines.nodes}
    assert all(map(is_ready, running))
    # Refused by the quota, the limits or Pod Security: the controller that wanted the pod says so.
    refused = deployed.look("events", "--field-selector=reason=FailedCreate")
    assert [event["message"] for event in refused] == []


# --- a roll-out of everything ---


def test_a_roll_out_of_everything_ends_and_a_second_one_too(expendable: Deployed) -> None:
    roll_out(expendable)
    roll_out(expendable)


@pytest.mark.parametrize("cluster", MANY_NODES, indirect=True, ids=named)
def test_after_each_roll_out_the_gateways_are_on_two_nodes_though_there_are_no_more(expendable: Deployed) -> None:
    """A third node hides it: the first new pod goes there."""
    gateway = "ai-interviewer-nginx-gateway"
    expendable.do("cordon", expendable.machines.nodes[-1].name)
    for _ in range(6):
        expendable.do("rollout", "restart", f"deployment/{gateway}")
        expendable.do("rollout", "status", f"deployment/{gateway}", "--timeout=60s")
        nodes = [pod["spec"]["nodeName"] for pod in expendable.pods() if workload_of(pod) == gateway]
        assert len(nodes) == len(set(nodes)) == 2


@pytest.mark.parametrize("cluster", MANY_NODES, indirect=True, ids=named)
def test_a_node_can_be_drained_where_all_pods_that_a_budget_keeps_are_broken(expendable: Deployed) -> None:
    login = "ai-interviewer-oauth2-proxy"
    api, broken = expendable.control_plane.api, [pod for pod in expendable.pods() if workload_of(pod) == login]
    for pod in broken:
        path = f"/api/v1/namespaces/{expendable.namespace}/pods/{pod['metadata']['name']}/status"
        api.patch(path, {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, STRATEGIC)

    def healthy() -> int:
        (found,) = expendable.look("poddisruptionbudgets", login)
        return int(found["status"]["currentHealthy"])

    eventually(lambda: healthy() == 0, 30, lambda: str(healthy()))
    node, label = broken[0]["spec"]["nodeName"], f"--pod-selector=app.kubernetes.io/name={login}"
    done = expendable.kubectl(*DRAIN, node, label, "--timeout=20s")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("cluster", AUTOSCALED, indirect=True, ids=named)
def test_a_roll_out_of_everything_ends_when_as_many_pods_run_as_the_autoscalers_may_ask_for(
    expendable: Deployed,
) -> None:
    be_busy(expendable)
    roll_out(expendable)


def be_busy(deployed: Deployed) -> None:
    """Let every autoscaler ask for all it may."""
    autoscalers = deployed.look("horizontalpodautoscalers")
    most = {one["metadata"]["name"]: one["spec"]["maxReplicas"] for one in autoscalers}
    for one in autoscalers:
        deployed.machines.use_cpu(one["spec"]["scaleTargetRef"]["name"], 200)
    eventually(
        lambda: (
            {one["metadata"]["name"]: one["spec"]["replicas"] for one in deployed.look("deployments", *most)} == most
        ),
        60,
        lambda: deployed.do("describe", "horizontalpodautoscalers"),
    )
    deployed.settle()


def roll_out(deployed: Deployed) -> None:
    """Replace every pod."""
    before = {pod["metadata"]["uid"] for pod in deployed.pods() if pod["status"]["phase"] == "Running"}
    deployed.do("rollout", "restart", ALL)
    deployed.settle()
    assert before
    assert not before & {pod["metadata"]["uid"] for pod in deployed.pods()}


# --- the loss of a node ---


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What came of the drain of a node.

    Args:
        node: The node.
        ended: Whether the drain ended, and was not held up.
        said: What kubectl said.
        lowest: The fewest pods that were ready meanwhile, of each workload with a budget.
        preempted: The workloads whose pods had to make room for others.
        ready: How many pods of each workload were ready in the end.
        pending: The workloads whose pods no node had room for in the end, one entry a pod.
        missing: What was not as wanted after the node was back.
    """

    node: str
    ended: bool
    said: str
    lowest: dict[str, int]
    preempted: set[str]
    ready: dict[str, int]
    pending: list[str]
    missing: list[str]


@pytest.fixture(scope="session")
def losses(cluster: Deployed) -> list[Loss]:
    """Every node is drained once and comes back, from an environment as it is rendered each time."""
    return [lose(cluster, node.name) for node in cluster.machines.nodes]


def lose(cluster: Deployed, node: str) -> Loss:
    """Drain a node, and let it come back."""
    cluster.deploy()
    cluster.as_rendered = False
    seconds = 60 if len(cluster.machines.nodes) > 1 else 15  # alone, it cannot end
    lowest = {name: cluster.ready()[name] for name in budgets(cluster)}
    with over_and_over(lambda: lower(lowest, cluster.ready())):
        drained = cluster.kubectl(*DRAIN, f"--timeout={seconds}s", node)
        cluster.calm()
    ready, pending = cluster.ready(), cluster.pending()
    made_room = {one["involvedObject"]["name"] for one in cluster.look("events", "--field-selector=reason=Preempted")}
    counted = ", ".join(f"{count} {name}" for name, count in sorted(Counter(pending).items()))
    cluster.say(f"without {node}, no node has room for: {counted or 'nothing'}")
    cluster.do("uncordon", node)
    cluster.calm()
    return Loss(
        node=node,
        ended=drained.returncode == 0,
        said=drained.stderr,
        lowest=lowest,
        preempted={name for name in ready for pod in made_room if pod.startswith(f"{name}-")},
        ready=ready,
        pending=pending,
        missing=cluster.unready(),
    )


def lower(lowest: dict[str, int], ready: dict[str, int]) -> None:
    """Take over the counts that are lower."""
    for name in lowest:
        lowest[name] = min(lowest[name], ready[name])


def budgets(deployed: Deployed) -> dict[str, int]:
    """The least number of pods of each workload that has a budget, as it is rendered."""
    return {
        one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]: one["spec"]["minAvailable"]
        for one in deployed.manifests()
        if one["kind"] == "PodDisruptionBudget"
    }


def test_a_drain_ends_or_a_budget_holds_it_up_whose_pods_have_no_room(losses: list[Loss], cluster: Deployed) -> None:
    for loss in losses:
        held = {name for name in budgets(cluster) if name in loss.pending}
        assert loss.ended or (held and "would violate the pod's disruption budget" in loss.said), loss.said


def test_a_drain_takes_no_more_pods_at_once_than_the_budgets_allow(losses: list[Loss], cluster: Deployed) -> None:
    least = budgets(cluster)
    assert least
    for loss in losses:
        low = {name for name, count in loss.lowest.items() if count < least[name]}
        # A pod of higher priority that needs the room is not asked for a budget: that is another test's matter.
        assert low <= loss.preempted, loss


def test_when_a_node_comes_back_everything_comes_back(losses: list[Loss]) -> None:
    for loss in losses:
        assert loss.missing == [], loss.node


@pytest.mark.parametrize("cluster", MANY_NODES, indirect=True, ids=named)
def test_when_one_node_of_several_is_lost_interviews_can_be_held(losses: list[Loss], cluster: Deployed) -> None:
    least = budgets(cluster)
    for loss in losses:
        wrong = [f"no {name} is left" for name in needed(cluster) if not loss.ready[name]]
        # A more important pod takes the room of the least important needed ones at once, whatever their budget says:
        # they may be away until their next pod is ready.
        away = loss.preempted & first_to_make_way(cluster)
        low = {name: count for name, count in loss.lowest.items() if count < least[name] and name not in away}
        wrong += [f"{name} fell to {count}" for name, count in low.items()]
        wrong += [] if loss.ended else ["the drain is held up"]
        assert wrong == [], loss.node


@pytest.mark.parametrize("cluster", [one for one in MANY_NODES if one in AUTOSCALED], indirect=True, ids=named)
def test_when_the_node_of_the_database_is_lost_at_the_busiest_interviews_can_be_held(expendable: Deployed) -> None:
    be_busy(expendable)
    (node,) = (pod["spec"]["nodeName"] for pod in expendable.pods() if workload_of(pod).endswith("-postgres"))
    expendable.do(*DRAIN, "--timeout=120s", node, timeout=180)
    expendable.calm()
    assert node not in {pod["spec"]["nodeName"] for pod in expendable.pods() if "nodeName" in pod["spec"]}
    ready = expendable.ready()
    assert [name for name in needed(expendable) if not ready[name]] == []


def needed(deployed: Deployed) -> list[str]:
    """The workloads without which no interview can be held."""
    found = [
        one["metadata"]["name"]
        for one in deployed.manifests()
        if one["kind"] in CONTROLLERS and one["spec"]["template"]["spec"]["priorityClassName"] != LAST
    ]
    assert {name.rpartition("-")[2] for name in found} >= {"postgres", "registry", "agent", "backend", "gateway"}
    return found


def first_to_make_way(deployed: Deployed) -> set[str]:
    """Of the needed workloads the least important ones."""
    manifests = deployed.manifests()
    values = {one["metadata"]["name"]: one["value"] for one in manifests if one["kind"] == "PriorityClass"}
    ranks = {
        one["metadata"]["name"]: values[one["spec"]["template"]["spec"]["priorityClassName"]]
        for one in manifests
        if one["kind"] in CONTROLLERS and one["metadata"]["name"] in needed(deployed)
    }
    return {name for name, rank in ranks.items() if rank == min(ranks.values())}


def requests_of(pod: Object) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    requests: dict[str, str] = container["resources"]["requests"]
    return requests
