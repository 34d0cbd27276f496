"""This module is deployment: the difference first, then phase by phase, each waited for in people's sight."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from mcpmesh_k8s.kubernetes import Workload, at, each, name_of

from .clients import clients_of
from .environment import Environment
from .programs import Kubectl, OperationError
from .rendered import RenderedPhase, as_list, hook_of, reference
from .terminal import show, show_table

if TYPE_CHECKING:
    from mcpmesh_k8s.kubernetes import Manifest

APPLY = ("--server-side", "--force-conflicts", "--field-manager=mcpmesh-k8s")
"""What is rendered is ours, whoever changed it. What a controller owns, such as an autoscaler's replicas, is not
rendered."""

TIMEOUT = 600
"""Seconds that one workload may take until it is ready: the start of a slow image, with the pull."""

FETCHED = {
    "ExternalSecret": ("Ready", "The External Secrets Operator"),
    "SealedSecret": ("Synced", "The Sealed Secrets controller"),
}
"""Secrets that an operator makes: the condition that says it did, and who it is."""

CONTROLLERS = ("Deployment", "StatefulSet")
_UNPRIVILEGED = 1024
KEPT = ("Namespace", "PersistentVolumeClaim", "ExternalSecret", "SealedSecret")
"""What holds data or Secrets, or holds all the rest."""

PASSING = (
    "configmap",
    "deployment",
    "horizontalpodautoscaler",
    "ingress",
    "networkpolicy",
    "poddisruptionbudget",
    "service",
    "serviceaccount",
    "statefulset",
)
"""Kinds that every cluster knows, and of which a service that is gone may leave one behind."""


def show_difference(environment: Environment, kubectl: Kubectl, phases: Sequence[RenderedPhase]) -> bool:
    """Show what a deployment would change, and return whether there is anything. Jobs run anew each time.

    Before the first deployment the difference is all of it, and only counted.

    Raises:
        OperationError: The cluster refuses an object.
    """
    there = kubectl.output("get", "deployments,statefulsets", f"--selector={environment.selector}", "--output=name")
    if not there.strip():
        counts = Counter(str(manifest["kind"]) for phase in phases for manifest in phase.objects)
        show(f"Nothing of {environment.name} is deployed yet. New are:")
        show_table(("kind", "objects"), [(kind, str(count)) for kind, count in sorted(counts.items())])
        return True
    objects = [manifest for phase in phases for manifest in phase.objects if not hook_of(manifest)]
    status = kubectl.stream("diff", *APPLY, "--filename=-", stdin=as_list(objects))
    if status > 1:
        raise OperationError("The difference cannot be shown: see above. Nothing was changed.")
    return status == 1


def deploy(environment: Environment, kubectl: Kubectl, phases: Sequence[RenderedPhase]) -> None:
    """Apply all phases in their order, and wait for each before the next.

    Raises:
        OperationError: An object is refused, or a workload does not become ready. What the pods say is shown before.
    """
    last: list[Manifest] = []
    for phase in phases:
        show(f"--- {phase.name}: {len(phase.objects)} objects")
        hooks = [manifest for manifest in phase.objects if hook_of(manifest)]
        last += [manifest for manifest in hooks if hook_of(manifest) == "PostSync"]
        apply(kubectl, [manifest for manifest in phase.objects if not hook_of(manifest)])
        wake(kubectl, phase.of("HorizontalPodAutoscaler"))
        wait_for(kubectl, phase.of(*FETCHED), phase.of(*CONTROLLERS))
        run_jobs(kubectl, [manifest for manifest in hooks if hook_of(manifest) != "PostSync"])
    if last:
        show("--- after all phases")
        run_jobs(kubectl, last)
    show_leftovers(environment, kubectl, phases)


def apply(kubectl: Kubectl, objects: Sequence[Manifest]) -> None:
    """Apply objects on the server, in their order."""
    if objects:
        kubectl.do("apply", *APPLY, "--filename=-", stdin=as_list(objects))


def wake(kubectl: Kubectl, autoscalers: Sequence[Manifest]) -> None:
    """Start what was scaled to zero by hand: an autoscaler leaves that alone, and the count is not rendered."""
    for manifest in autoscalers:
        scaled = at(manifest, "spec", "scaleTargetRef")
        target = f"{str(scaled.get('kind')).lower()}/{scaled.get('name')}"
        if kubectl.output("get", target, "--output=jsonpath={.spec.replicas}").strip() == "0":
            kubectl.do("scale", target, f"--replicas={at(manifest, 'spec').get('minReplicas')}")


def wait_for(kubectl: Kubectl, secrets: Sequence[Manifest], workloads: Sequence[Manifest]) -> None:
    """Wait for the secrets that an operator fetches, then for workloads.

    Raises:
        OperationError: One of them does not become ready.
    """
    for kind, (condition, operator) in FETCHED.items():
        names = [reference(manifest) for manifest in secrets if manifest["kind"] == kind]
        if names and kubectl.stream("wait", f"--for=condition={condition}", "--timeout=120s", *names):
            raise OperationError(f"{operator} cannot make a Secret: {' '.join(kubectl.command('describe', *names))}")
    for manifest in workloads:
        if kubectl.stream("rollout", "status", reference(manifest), f"--timeout={TIMEOUT}s"):
            describe_failing(kubectl)
            raise OperationError(f"{reference(manifest)} did not become ready: see above.")


def run_jobs(kubectl: Kubectl, jobs: Sequence[Manifest]) -> None:
    """Run jobs anew, since a Job cannot be changed, and wait for each to end.

    Raises:
        OperationError: A job fails, or takes longer than its own deadline.
    """
    for job in jobs:
        kubectl.do("delete", reference(job), "--ignore-not-found", "--wait", "--cascade=foreground")
    apply(kubectl, jobs)
    for job in jobs:
        deadline = int(cast("int", at(job, "spec").get("activeDeadlineSeconds", TIMEOUT)))
        ended = wait_for_job(kubectl, name_of(job), deadline)
        if ended != "Complete":
            kubectl.stream("logs", reference(job), "--all-containers", "--tail=20")
            describe_failing(kubectl)
            raise OperationError(f"{reference(job)} {ended}: see above.")
        show(f"{reference(job)} completed")


def wait_for_job(kubectl: Kubectl, name: str, deadline: int, pause: float = 2) -> str:
    """How a Job ends: ``Complete``, or a word that says why not."""
    give_up = time.monotonic() + deadline + 30
    while time.monotonic() < give_up:
        job = json.loads(kubectl.output("get", "job", name, "--output=json"))
        for condition in each(job, "status", "conditions"):
            if condition.get("status") == "True" and condition.get("type") == "Complete":
                return "Complete"
            if condition.get("status") == "True" and condition.get("type") == "Failed":
                return f"failed ({condition.get('reason')})"
        time.sleep(pause)
    return f"did not end within {deadline} seconds"


def show_leftovers(environment: Environment, kubectl: Kubectl, phases: Sequence[RenderedPhase]) -> None:
    """Name what an earlier version rendered and this one does not. Nothing is deleted."""
    objects = [manifest for phase in phases for manifest in phase.objects]
    namespaced = [manifest for manifest in objects if "namespace" in at(manifest, "metadata")]
    rendered_kinds = {str(manifest["kind"]).lower() for manifest in namespaced}
    kinds = sorted(rendered_kinds.union(PASSING) - {"job", "persistentvolumeclaim"})
    rendered = {reference(manifest) for manifest in namespaced}
    found = json.loads(kubectl.output("get", ",".join(kinds), f"--selector={environment.selector}", "--output=json"))
    left = [
        reference(item)
        for item in each(found, "items")
        # What a controller made, such as the Secret of an ExternalSecret, belongs to its owner.
        if reference(item) not in rendered and not at(item, "metadata").get("ownerReferences")
    ]
    if left:
        show(f"No longer rendered, and still there: {' '.join(left)}")
        show(f"Delete it with: {' '.join(kubectl.command('delete', *left))}")


def status(kubectl: Kubectl) -> None:
    """Show what runs: workloads, pods, jobs, storage and the way in."""
    for kinds in (
        "deployments,statefulsets,jobs",
        "pods",
        "horizontalpodautoscalers,poddisruptionbudgets",
        "persistentvolumeclaims",
        "services,ingresses",
    ):
        show(f"--- {kinds.replace(',', ', ')}")
        kubectl.do("get", kinds, *(("--output=wide",) if kinds == "pods" else ()))


def logs(environment: Environment, kubectl: Kubectl, selector: str, *, follow: bool, lines: int) -> None:
    """Show the last lines of many pods' logs, each with the pod's name before it."""
    wanted = ",".join(filter(None, (environment.selector, selector)))
    more = ("--follow",) if follow else ()
    kubectl.do(
        "logs",
        f"--selector={wanted}",
        "--all-containers",
        "--prefix",
        "--ignore-errors",
        f"--tail={lines}",
        "--max-log-requests=50",
        *more,
    )


def describe_failing(kubectl: Kubectl) -> None:
    """Show each pod that is in trouble: why, its events and its last lines."""
    failing = [(pod, reason) for pod in pods_of(kubectl) if (reason := trouble_of(pod))]
    for pod, reason in failing:
        name = name_of(pod)
        show(f"--- pod {name}: {reason}")
        kubectl.stream("get", "events", f"--field-selector=involvedObject.name={name}", "--sort-by=.lastTimestamp")
        kubectl.stream("logs", name, "--all-containers", "--prefix", "--ignore-errors", "--tail=20")
        if any(restarts(container) for container in containers_of(pod)):
            show(f"--- pod {name}, before its last restart")
            kubectl.stream("logs", name, "--all-containers", "--prefix", "--ignore-errors", "--tail=20", "--previous")
    if not failing:
        show("No pod is in trouble. Warnings of the namespace:")
        kubectl.stream("get", "events", "--field-selector=type=Warning", "--sort-by=.lastTimestamp")


def pods_of(kubectl: Kubectl) -> list[Mapping[str, object]]:
    """The pods of the namespace."""
    return list(each(json.loads(kubectl.output("get", "pods", "--output=json")), "items"))


def containers_of(pod: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The states of a pod's containers, those that prepare it first."""
    return [*each(pod, "status", "initContainerStatuses"), *each(pod, "status", "containerStatuses")]


def restarts(container: Mapping[str, object]) -> int:
    """How often a container was started again."""
    count = container.get("restartCount", 0)
    return count if isinstance(count, int) else 0


def trouble_of(pod: Mapping[str, object]) -> str:
    """Why a pod does not serve; empty when it does, or when it ended well."""
    phase = at(pod, "status").get("phase")
    if phase == "Succeeded":
        return ""
    for container in containers_of(pod):
        waiting, terminated = at(container, "state", "waiting"), at(container, "state", "terminated")
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return f"{container.get('name')} waits: {waiting.get('reason')}"
        if terminated.get("exitCode", 0) != 0:
            return f"{container.get('name')} ended with status {terminated.get('exitCode')}"
    for condition in each(pod, "status", "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"not scheduled: {condition.get('message')}"
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            return f"not ready: {condition.get('message') or condition.get('reason')}"
    return "" if phase == "Running" else f"{phase}"


def restart(environment: Environment, kubectl: Kubectl, names: Sequence[str]) -> None:
    """Restart workloads one pod at a time, and wait for them: all but the stores unless some are named.

    Raises:
        OperationError: There is no such workload, or one does not become ready.
    """
    wait_for(kubectl, (), begin_restart(environment, kubectl, names or [one.name for one in clients_of(environment)]))


def begin_restart(environment: Environment, kubectl: Kubectl, names: Sequence[str]) -> list[Manifest]:
    """Begin to restart workloads, and return their controllers."""
    objects = workloads_of(environment, names)
    kubectl.do("rollout", "restart", *(reference(manifest) for manifest in objects))
    return objects


def workloads_of(environment: Environment, names: Sequence[str]) -> list[Manifest]:
    """The controllers of workloads by their short names.

    Raises:
        OperationError: There is no such workload.
    """
    application = environment.application
    found: dict[str, Manifest] = {
        name_of(manifest): manifest
        for group in application.manifests().values()
        for manifest in group
        if manifest["kind"] in CONTROLLERS
    }
    unknown = [name for name in names if application.prefixed(name) not in found]
    if unknown:
        prefix = application.prefixed("")
        known = ", ".join(name.removeprefix(prefix) for name in found)
        raise OperationError(f"No workload is called {', '.join(unknown)}. There are: {known}.")
    return [found[application.prefixed(name)] for name in names]


def remove(kubectl: Kubectl, phases: Sequence[RenderedPhase], *, data: bool) -> None:
    """Delete what was deployed. Namespace and claims go only with ``data``, and with them everything stored."""
    objects: Iterable[Manifest] = [manifest for phase in reversed(phases) for manifest in reversed(phase.objects)]
    kubectl.do(
        "delete",
        "--ignore-not-found",
        "--wait",
        "--filename=-",
        stdin=as_list(manifest for manifest in objects if manifest["kind"] not in KEPT),
    )
    if data:
        kubectl.do("delete", "namespace", kubectl.namespace, "--ignore-not-found", "--wait")
        return
    show("Claims, Secrets and the namespace are still there. With all data: CONFIRM=delete-data")
    kubectl.stream("get", "persistentvolumeclaims")


def show_addresses(environment: Environment) -> None:
    """Show where the application is reached."""
    rows = [
        (route.path, route.to.name, route.audience.value, f"{gateway.settings.url}{route.path}")
        for gateway in environment.gateways
        for route in gateway.routes
    ]
    show_table(("path", "answered by", "for", "address"), rows)


def forward(environment: Environment, kubectl: Kubectl, names: Sequence[str]) -> None:
    """Open a workload's port on this machine, and nowhere else, until Ctrl-C.

    Raises:
        OperationError: There is not exactly one workload, or it serves nothing.
    """
    workloads = {pod.name: pod for pod in environment.application.pods if isinstance(pod, Workload) and pod.ports}
    if len(names) != 1 or names[0] not in workloads:
        raise OperationError(f"Give TARGET=<one of {', '.join(workloads)}>.")
    workload = workloads[names[0]]
    port = workload.main_port.number
    local = port if port >= _UNPRIVILEGED else port + 8000
    for gateway in environment.gateways:
        if gateway is workload:
            show(f"curl --header 'Host: {gateway.settings.host}' http://127.0.0.1:{local}/health")
    kubectl.do("port-forward", f"service/{workload.full_name}", f"{local}:{port}", "--address=127.0.0.1")
