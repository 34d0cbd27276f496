"""This module is deployment: the difference first, then phase by phase, each waited for in people's sight."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from mcpmesh_k8s.kubernetes import SCALERS, Workload, at, each, name_of, scaled_by

from .clients import clients_of
from .environment import Environment
from .pods import describe_failing
from .programs import PATIENCE, Kubectl, OperationError, UsageError
from .rendered import APPLY, RenderedPhase, as_list, hook_of, reference
from .terminal import progress, show, show_table
from .way import clear, way_for

if TYPE_CHECKING:
    from mcpmesh_k8s.kubernetes import Manifest

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
    "cronjob",
    "deployment",
    "horizontalpodautoscaler",
    "ingress",
    "networkpolicy",
    "poddisruptionbudget",
    "role",
    "rolebinding",
    "service",
    "serviceaccount",
    "statefulset",
)
"""Kinds that every cluster knows, and of which a service that is gone may leave one behind."""

PASSING_OF_OTHERS: Mapping[str, tuple[str, ...]] = {
    "autoscaling.k8s.io/v1": ("verticalpodautoscaler",),
    "cilium.io/v2": ("ciliumnetworkpolicy",),
    "gateway.networking.k8s.io/v1": ("httproute",),
    "keda.sh/v1alpha1": ("scaledobject",),
    "policy.linkerd.io/v1alpha1": ("authorizationpolicy", "meshtlsauthentication", "networkauthentication"),
    "policy.linkerd.io/v1beta3": ("server",),
    "security.istio.io/v1": ("authorizationpolicy", "peerauthentication"),
}
"""Such kinds that a cluster may know: what is left of one goes on scaling, serving, letting in or keeping out. By the
API that serves each."""


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
    way = way_for(kubectl, phases)
    way.show()
    objects = [
        manifest
        for phase in phases
        for manifest in phase.objects
        if not hook_of(manifest) and reference(manifest) not in way.refused
    ]
    status = kubectl.stream("diff", *APPLY, "--filename=-", stdin=as_list(objects))
    if status > 1:
        raise OperationError("The difference cannot be shown: see above. Nothing was changed.")
    return status == 1 or bool(way.refused)


def deploy(environment: Environment, kubectl: Kubectl, phases: Sequence[RenderedPhase]) -> None:
    """Apply all phases in their order, and wait for each before the next.

    Raises:
        OperationError: An object is refused, or a workload does not become ready. What the pods say is shown before.
    """
    last: list[Manifest] = []
    clear(kubectl, way_for(kubectl, phases))
    for phase in phases:
        show(f"--- {phase.name}: {len(phase.objects)} objects")
        hooks = [manifest for manifest in phase.objects if hook_of(manifest)]
        last += [manifest for manifest in hooks if phase.runs_later(manifest)]
        jobs = [manifest for manifest in hooks if not phase.runs_later(manifest)]
        apply(kubectl, [manifest for manifest in phase.objects if not hook_of(manifest)])
        wake(kubectl, phase.of(*SCALERS))
        # A workload of the phase may wait for what a job of the phase makes, and the job for another workload.
        start_jobs(kubectl, jobs)
        wait_for(environment, kubectl, phase.of(*FETCHED), phase.of(*CONTROLLERS))
        wait_for_jobs(kubectl, jobs)
    if last:
        show("--- after all phases")
        start_jobs(kubectl, last)
        wait_for_jobs(kubectl, last)
    show_leftovers(environment, kubectl, phases)


def apply(kubectl: Kubectl, objects: Sequence[Manifest]) -> None:
    """Apply objects on the server, in their order."""
    if objects:
        kubectl.do("apply", *APPLY, "--filename=-", stdin=as_list(objects))


def wake(kubectl: Kubectl, autoscalers: Sequence[Manifest]) -> None:
    """Start what was scaled to zero by hand: an autoscaler leaves that alone, and the count is not rendered."""
    for scaled in map(scaled_by, autoscalers):
        target = f"{scaled.kind.lower()}/{scaled.name}"
        if kubectl.output("get", target, "--output=jsonpath={.spec.replicas}").strip() == "0":
            kubectl.do("scale", target, f"--replicas={scaled.minimum}")


def wait_for(
    environment: Environment, kubectl: Kubectl, secrets: Sequence[Manifest], workloads: Sequence[Manifest]
) -> None:
    """Wait for the secrets that an operator fetches, then for workloads.

    Raises:
        OperationError: One of them does not become ready.
    """
    for kind, (condition, operator) in FETCHED.items():
        names = [reference(manifest) for manifest in secrets if manifest["kind"] == kind]
        if names and kubectl.stream("wait", f"--for=condition={condition}", "--timeout=120s", *names):
            raise OperationError(f"{operator} cannot make a Secret: {' '.join(kubectl.command('describe', *names))}")
    with progress("roll-out", len(workloads)) as steps:
        for manifest in workloads:
            steps.step(f"roll-out of {reference(manifest)}")
            seconds = patience(environment, name_of(manifest))
            said = ("rollout", "status", reference(manifest), f"--timeout={seconds}s")
            if kubectl.stream(*said, timeout=seconds + PATIENCE):
                describe_failing(kubectl)
                raise OperationError(f"{reference(manifest)} did not become ready: see above.")


def patience(environment: Environment, full_name: str) -> int:
    """Seconds that the roll-out of a workload may take.

    Each of its pods may take as long as it is given to end: where nodes have no room, the next one waits for that.
    """
    ends = {pod.full_name: pod.steady_pods * pod.grace_seconds for pod in environment.application.find_all(Workload)}
    return TIMEOUT + ends.get(full_name, 0)


def start_jobs(kubectl: Kubectl, jobs: Sequence[Manifest]) -> None:
    """Start jobs anew, since a Job cannot be changed."""
    for job in jobs:
        kubectl.do("delete", reference(job), "--ignore-not-found", "--wait", "--cascade=foreground", timeout=TIMEOUT)
    apply(kubectl, jobs)


def wait_for_jobs(kubectl: Kubectl, jobs: Sequence[Manifest]) -> None:
    """Wait for each job to end.

    Raises:
        OperationError: A job fails, or takes longer than its own deadline.
    """
    for job in jobs:
        deadline = int(cast("int", at(job, "spec").get("activeDeadlineSeconds", TIMEOUT)))
        with progress(f"{reference(job)} runs"):
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
        job = kubectl.read("job", name)
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
    served = kubectl.output("api-versions").split()
    known = {kind for version in served for kind in PASSING_OF_OTHERS.get(version, ())}
    kinds = sorted(rendered_kinds.union(PASSING, known) - {"job", "persistentvolumeclaim"})
    rendered = {reference(manifest) for manifest in namespaced}
    found = kubectl.read(",".join(kinds), f"--selector={environment.selector}")
    left = [
        reference(item)
        for item in each(found, "items")
        # What a controller made, such as the Secret of an ExternalSecret, belongs to its owner.
        if reference(item) not in rendered and not at(item, "metadata").get("ownerReferences")
    ]
    if left:
        show(f"No longer rendered, and still there: {' '.join(left)}")
        show(f"Delete it with: {' '.join(kubectl.command('delete', *left))}")


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
        timeout=None if follow else PATIENCE,
    )


def restart(environment: Environment, kubectl: Kubectl, names: Sequence[str]) -> None:
    """Restart workloads one pod at a time, and wait for them: all but the stores unless some are named.

    Raises:
        OperationError: There is no such workload, or one does not become ready.
    """
    begun = begin_restart(environment, kubectl, names or [one.name for one in clients_of(environment)])
    wait_for(environment, kubectl, (), begun)


def begin_restart(environment: Environment, kubectl: Kubectl, names: Sequence[str]) -> list[Manifest]:
    """Begin to restart workloads, and return their controllers."""
    objects = workloads_of(environment, names)
    kubectl.do("rollout", "restart", *(reference(manifest) for manifest in objects))
    return objects


def workloads_of(environment: Environment, names: Sequence[str]) -> list[Manifest]:
    """The controllers of workloads by their short names.

    Raises:
        UsageError: There is no such workload.
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
        raise UsageError(f"No workload is called {', '.join(unknown)}. There are: {known}.")
    return [found[application.prefixed(name)] for name in names]


def remove(environment: Environment, kubectl: Kubectl, phases: Sequence[RenderedPhase], *, data: bool) -> None:
    """Delete what was deployed. Namespace and claims go only with ``data``, and with them everything stored."""
    # All pods end beside each other, each within the time that it is given.
    timeout = TIMEOUT + max((pod.grace_seconds for pod in environment.application.pods), default=0)
    objects: Iterable[Manifest] = [manifest for phase in reversed(phases) for manifest in reversed(phase.objects)]
    kubectl.do(
        "delete",
        "--ignore-not-found",
        "--wait",
        "--filename=-",
        stdin=as_list(manifest for manifest in objects if manifest["kind"] not in KEPT),
        timeout=timeout,
    )
    if data:
        kubectl.do("delete", "namespace", kubectl.namespace, "--ignore-not-found", "--wait", timeout=timeout)
        return
    show("Claims, Secrets and the namespace are still there. With all data: CONFIRM=delete-data")
    kubectl.stream("get", "persistentvolumeclaims")


def choose_forwarded(environment: Environment, name: str) -> Workload:
    """The workload whose port is opened: the only gateway unless one is named.

    Raises:
        UsageError: There is no such workload, or it serves nothing.
    """
    workloads = {pod.name: pod for pod in environment.application.pods if isinstance(pod, Workload) and pod.ports}
    names = [name] if name else [gateway.name for gateway in environment.gateways]
    if len(names) != 1 or names[0] not in workloads:
        raise UsageError(f"Give TARGET=<one of {', '.join(workloads)}>.")
    return workloads[names[0]]


def forward(environment: Environment, kubectl: Kubectl, workload: Workload) -> None:
    """Open a workload's port on this machine, and nowhere else, until Ctrl-C."""
    port = workload.main_port.number
    local = port if port >= _UNPRIVILEGED else port + 8000
    for gateway in environment.gateways:
        if gateway is workload:
            show(f"curl --header 'Host: {gateway.settings.host}' http://127.0.0.1:{local}/health")
    kubectl.do("port-forward", f"service/{workload.full_name}", f"{local}:{port}", "--address=127.0.0.1", timeout=None)
