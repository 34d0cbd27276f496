"""This module is what runs: one line for each service, and why something does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from mcpmesh_k8s.kubernetes import NAME_LABEL, Manifest, Pod, at, each, name_of, template_of

from .answers import Service
from .environment import Environment
from .programs import Kubectl
from .terminal import show, show_table

CONTROLLERS = ("Deployment", "StatefulSet", "Job", "CronJob")
"""What runs the pods of a service."""

KNOWN = (
    "Pod",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "Job",
    "CronJob",
    "HorizontalPodAutoscaler",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "Service",
    "Ingress",
)
"""Kinds that every cluster has. Whether an object of one of these is still there can be asked."""


def services_of(environment: Environment, kubectl: Kubectl) -> tuple[Service, ...]:
    """Every service, in the order it is deployed, then what is no longer rendered."""
    kinds = [f"{kind.lower()}s" for kind in (*CONTROLLERS, "Pod")]
    found = kubectl.read(",".join(kinds), f"--selector={environment.selector}")
    controllers: dict[str, Mapping[str, object]] = {}
    pods: dict[str, list[Mapping[str, object]]] = {}
    for item in each(found, "items"):
        if item.get("kind") == "Pod":
            service = str(at(item, "metadata", "labels").get("app.kubernetes.io/name"))
            pods.setdefault(service, []).append(item)
        else:
            controllers[name_of(item)] = item
    rendered: dict[str, Manifest] = {
        name_of(manifest): manifest
        for group in environment.application.manifests().values()
        for manifest in group
        if manifest["kind"] in CONTROLLERS
    }
    prefix = environment.application.prefixed("")
    return tuple(
        service_of(name.removeprefix(prefix), rendered.get(name), controllers.get(name), pods.get(name, ()))
        for name in dict.fromkeys([*rendered, *controllers])
    )


def service_of(
    name: str, rendered: Manifest | None, found: Mapping[str, object] | None, pods: Sequence[Mapping[str, object]]
) -> Service:
    """A service, from what is rendered, what the cluster has, and its pods."""
    controller = found or rendered or {}
    kind = str(controller.get("kind"))
    is_job = kind == "Job"
    spec, state = at(controller, "spec"), at(found, "status")
    wanted = _number(spec, "completions" if is_job else "replicas", 1)
    ready = _number(state, "succeeded" if is_job else "readyReplicas", 0)
    late = ""
    if kind == "CronJob":
        late = late_of(spec, state)
        ready = 0 if late else 1
    # A pod that is being ended no longer counts, nor one that failed where another took its place.
    alive = [
        pod
        for pod in pods
        if not is_leaving(pod) and not (ready >= wanted and at(pod, "status").get("phase") == "Failed")
    ]
    image = _image(found)
    if found is None:
        wrong = "not deployed"
    elif rendered is None:
        wrong = "no longer rendered"
    elif wanted == 0:
        wrong = "stopped: deploy again"
    else:
        wrong = "; ".join(_reasons([] if is_job and ready >= wanted else alive)) or late
        if not wrong and ready < wanted and not (is_job and state.get("active")):
            wrong = f"{ready} of {wanted} ready"
        if not wrong and image != _image(rendered):
            wrong = f"not what is rendered: {_image(rendered)}"
    return Service(
        name=name,
        kind=kind,
        wanted=wanted,
        ready=ready,
        restarts=sum(restarts(container) for pod in alive for container in containers_in(pod)),
        created=max((str(at(pod, "metadata").get("creationTimestamp", "")) for pod in alive), default=""),
        image=image,
        wrong=wrong,
    )


def late_of(spec: Mapping[str, object], state: Mapping[str, object]) -> str:
    """Why a task with a schedule is not as it should be: its last run failed, or there is none any more."""
    if spec.get("suspend"):
        return "suspended: deploy again"
    last, good = str(state.get("lastScheduleTime") or ""), str(state.get("lastSuccessfulTime") or "")
    return f"its run of {last} has not succeeded" if last > good and not state.get("active") else ""


def show_services(services: Sequence[Service]) -> None:
    """Show one line for each service."""
    now = datetime.now(UTC)
    rows = [
        (one.name, str(one.wanted), str(one.ready), str(one.restarts), age(one.created, now), one.image, one.wrong)
        for one in services
    ]
    wrong = "what is wrong"
    show_table(("service", "wanted", "ready", "restarts", "age", "image", wrong), rows, bad=wrong)


def age(created: str, now: datetime) -> str:
    """How long ago a time of Kubernetes was, in its largest unit; empty for none."""
    if not created:
        return ""
    seconds = int((now - datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"


def describe_failing(kubectl: Kubectl) -> None:
    """Show each pod that is in trouble: why, its events and its last lines."""
    failing = [(pod, reason) for pod in pods_of(kubectl) if (reason := trouble_of(pod))]
    for pod, reason in failing:
        name = name_of(pod)
        show(f"--- pod {name}: {reason}")
        # A StatefulSet gives a name again: the events of the pod before are not this one's.
        fields = {"name": name, **{key: uid for key, uid in at(pod, "metadata").items() if key == "uid"}}
        selector = ",".join(f"involvedObject.{key}={value}" for key, value in fields.items())
        kubectl.stream("get", "events", f"--field-selector={selector}", "--sort-by=.lastTimestamp")
        kubectl.stream("logs", name, "--all-containers", "--prefix", "--ignore-errors", "--tail=20")
        if any(restarts(container) for container in containers_in(pod)):
            show(f"--- pod {name}, before its last restart")
            kubectl.stream("logs", name, "--all-containers", "--prefix", "--ignore-errors", "--tail=20", "--previous")
    if not failing:
        show_warnings(kubectl)


def show_warnings(kubectl: Kubectl) -> None:
    """Show the warnings about what is still there. Kubernetes keeps those of what is long gone for an hour."""
    found = kubectl.read("events", "--field-selector=type=Warning")
    events = list(each(found, "items"))
    kinds = sorted({str(at(event, "involvedObject").get("kind")) for event in events}.intersection(KNOWN))
    present: set[object] = set()
    if kinds:
        listed = kubectl.read(",".join(kind.lower() for kind in kinds))
        present = {at(item, "metadata").get("uid") for item in each(listed, "items")}
    rows: list[tuple[str, ...]] = []
    now = datetime.now(UTC)
    for event in sorted(events, key=_last_seen):
        about = at(event, "involvedObject")
        if about.get("kind") not in KNOWN or about.get("uid") in present:
            text = " ".join(str(event.get("message", "")).split())
            rows.append((age(_last_seen(event), now), f"{about.get('kind')} {about.get('name')}".lower(), text))
    if rows:
        show("No pod is in trouble. Warnings about what is there:")
        show_table(("ago", "object", "warning"), rows)
    else:
        show("No pod is in trouble, and there is no warning.")


def _last_seen(event: Mapping[str, object]) -> str:
    seen = event.get("lastTimestamp") or event.get("eventTime") or at(event, "metadata").get("creationTimestamp") or ""
    # The time of an event may have fractions of a second.
    return f"{str(seen)[:19]}Z" if seen else ""


def pods_of(kubectl: Kubectl) -> list[Mapping[str, object]]:
    """The pods of the namespace."""
    return list(each(kubectl.read("pods"), "items"))


def there(kubectl: Kubectl, owners: Iterable[Pod]) -> list[Mapping[str, object]]:
    """The pods of workloads and tasks that have not ended: those that are about to end, too."""
    names = ",".join(owner.full_name for owner in owners)
    selector = f"--selector={NAME_LABEL} in ({names})"
    found = kubectl.read("pods", selector)
    return [pod for pod in each(found, "items") if at(pod, "status").get("phase") not in ("Succeeded", "Failed")]


def is_leaving(pod: Mapping[str, object]) -> bool:
    """Whether a pod is about to end."""
    return "deletionTimestamp" in at(pod, "metadata")


def containers_in(pod: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The states of a pod's containers, those that prepare it first."""
    return [*each(pod, "status", "initContainerStatuses"), *each(pod, "status", "containerStatuses")]


def restarts(container: Mapping[str, object]) -> int:
    """How often a container was started again."""
    return _number(container, "restartCount", 0)


def trouble_of(pod: Mapping[str, object]) -> str:
    """Why a pod does not serve; empty when it does, or when it ended well."""
    status = at(pod, "status")
    phase = status.get("phase")
    if phase == "Succeeded":
        return ""
    if phase == "Failed" and status.get("reason"):  # of the pod, not of a container: its node ended it
        return ": ".join(str(status[key]).rstrip(". ") for key in ("reason", "message") if status.get(key))
    for container in containers_in(pod):
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


def _reasons(pods: Iterable[Mapping[str, object]]) -> list[str]:
    """What is wrong with pods, each reason once."""
    counts = Counter(filter(None, map(trouble_of, pods)))
    return [reason if count == 1 else f"{reason} ({count} pods)" for reason, count in counts.items()]


def _image(controller: Mapping[str, object] | None) -> str:
    """The image of a controller's main container; empty when there is none."""
    containers = list(each(template_of(controller), "spec", "containers")) if controller else []
    return str(containers[0].get("image", "")) if containers else ""


def _number(mapping: Mapping[str, object], key: str, default: int) -> int:
    value = mapping.get(key)
    return value if isinstance(value, int) else default
