"""This module is the checks over the whole tree: what no construct can see alone, found before a file is written."""

from __future__ import annotations

import graphlib
import re
from collections.abc import Iterator, Mapping, Sequence

from .component import Component, Manifest
from .errors import SettingError
from .image import Image
from .network import External
from .pod import Pod, Target
from .scope import ApplicationScope
from .secret import SealedSecrets, Secret, secret_entries
from .task import Hook, Task
from .variable import SecretKey, secret_literal
from .workload import Workload

_TEMPLATE = ("spec", "template")
_POD_TEMPLATES = {
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "DaemonSet": _TEMPLATE,
    "Deployment": _TEMPLATE,
    "Job": _TEMPLATE,
    "Pod": (),
    "PodTemplate": ("template",),
    "ReplicaSet": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
}
"""Where the kinds of Kubernetes hold the template of their pods. A Pod is one itself."""

_PROVIDED_BY_CLUSTER = {"ConfigMap": {"kube-root-ca.crt"}, "ServiceAccount": {"default"}}
_PRIVATE_KEY = "PRIVATE KEY-----"
_ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://(?:[^/@\s]*@)?)?(?P<host>[a-z0-9]([-a-z0-9.]*[a-z0-9])?)(?::(?P<port>\d+))?(?:[/?#,].*)?",
    re.I,
)

# Texts that cdk8s writes without quotes and kubectl takes for numbers, that no YAML may hold as they are, and those of
# several lines that begin with a tab.
_MISREAD = re.compile(
    r"[-+]?0(?:o[0-7_]+|O[0-7_]+|B[01_]+|X[0-9A-Fa-f_]+)|.*[\x7f-\x9f\u2028\u2029\ufffe\uffff].*|\t.*\n.*|\n+\t.*",
    re.DOTALL,
)


class Objects:
    """Manifests, found by kind, name and label without going through all of them each time."""

    def __init__(self, manifests: Sequence[Manifest], custom: Mapping[str, Sequence[str]] | None = None) -> None:
        self.all = manifests
        self._by_kind: dict[str, list[Manifest]] = {}
        for manifest in manifests:
            self._by_kind.setdefault(str(manifest["kind"]), []).append(manifest)
        self._names = {(kind, name_of(manifest)) for kind, found in self._by_kind.items() for manifest in found}
        templates = {**_POD_TEMPLATES, **(custom or {})}
        self.pods = [(manifest, at(manifest, *path)) for kind, path in templates.items() for manifest in self.of(kind)]
        self._by_label: dict[tuple[str, object], set[int]] = {}
        for index, (_, template) in enumerate(self.pods):
            for label in at(template, "metadata", "labels").items():
                self._by_label.setdefault(label, set()).add(index)

    def of(self, *kinds: str) -> list[Manifest]:
        """All objects of some kinds."""
        return [manifest for kind in kinds for manifest in self._by_kind.get(kind, [])]

    def has(self, kind: str, name: str) -> bool:
        """Whether the application or the cluster provides an object."""
        return (kind, name) in self._names or name in _PROVIDED_BY_CLUSTER.get(kind, ())

    def selected(self, selector: Mapping[str, object]) -> list[Manifest]:
        """The pod templates that carry every label of a selector."""
        found = [self._by_label.get(label, set()) for label in selector.items()]
        return [self.pods[index][1] for index in sorted(set.intersection(*found))] if found else []


def at(value: object, *path: str) -> Mapping[str, object]:
    """The mapping at a path, empty where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def each(value: object, *path: str) -> Iterator[Mapping[str, object]]:
    """The mappings of the list at a path, none where there is no list."""
    *parents, last = path
    entries = at(value, *parents).get(last)
    yield from (entry for entry in (entries if isinstance(entries, Sequence) else ()) if isinstance(entry, Mapping))


def name_of(manifest: Manifest) -> str:
    """An object's name."""
    return str(at(manifest, "metadata").get("name", ""))


def title(manifest: Manifest) -> str:
    """An object as people name it."""
    return f"{manifest['kind']} {name_of(manifest)}"


def containers_of(template: Manifest) -> list[Mapping[str, object]]:
    """All containers of a pod template."""
    return [*each(template, "spec", "initContainers"), *each(template, "spec", "containers")]


def problems_of(application: ApplicationScope, manifests: Sequence[Manifest]) -> tuple[str, ...]:
    """Everything that is wrong with the application as a whole, one sentence each."""
    objects = Objects(manifests, {each.kind: each.path.split(".") for each in application.settings.pod_templates})
    checks = (
        duplicate_identities(objects),
        dangling_references(objects),
        dangling_secrets(objects, application),
        shared_variables(application),
        sealed_for_nothing(application),
        waits_without_end(application),
        selectors_that_miss(objects),
        repeated_names(objects),
        literal_secrets(objects),
        moving_images(objects),
        misread_texts(objects),
        unreachable_hosts(application),
        waits_in_a_circle(application),
        open_namespaces(objects),
        (problem for component in application.find_all(Component) for problem in component.problems()),
    )
    return tuple(problem for check in checks for problem in check)


def duplicate_identities(objects: Objects) -> Iterator[str]:
    """Two objects of one kind, namespace and name would overwrite each other."""
    seen: set[tuple[str, str, str, str]] = set()
    for manifest in objects.all:
        group = str(manifest["apiVersion"]).rpartition("/")[0]
        identity = (
            group,
            str(manifest["kind"]),
            str(at(manifest, "metadata").get("namespace", "")),
            name_of(manifest),
        )
        if not name_of(manifest):
            yield f"{manifest['kind']} has no metadata.name: give one, or it changes with the construct's path."
        elif identity in seen:
            yield f"{title(manifest)} is rendered twice: give each its own name."
        seen.add(identity)


def dangling_references(objects: Objects) -> Iterator[str]:
    """A reference to what nothing provides leaves a pod waiting for ever."""
    for manifest, template in objects.pods:
        spec = at(template, "spec")
        wanted = [("ServiceAccount", str(spec.get("serviceAccountName", "default")))]
        if spec.get("priorityClassName"):
            wanted.append(("PriorityClass", str(spec["priorityClassName"])))
        if manifest["kind"] == "StatefulSet":
            wanted.append(("Service", str(at(manifest, "spec").get("serviceName"))))
        for volume in each(spec, "volumes"):
            if "configMap" in volume:
                wanted.append(("ConfigMap", str(at(volume, "configMap").get("name"))))
            if "persistentVolumeClaim" in volume:
                wanted.append(("PersistentVolumeClaim", str(at(volume, "persistentVolumeClaim").get("claimName"))))
        for container in containers_of(template):
            wanted += [
                ("ConfigMap", str(at(source, "configMapRef").get("name")))
                for source in each(container, "envFrom")
                if "configMapRef" in source
            ]
            wanted += [
                ("ConfigMap", str(at(variable, "valueFrom", "configMapKeyRef").get("name")))
                for variable in each(container, "env")
                if "configMapKeyRef" in at(variable, "valueFrom")
            ]
            claimed = [name_of(claim) for claim in each(manifest, "spec", "volumeClaimTemplates")]
            volumes = {str(volume.get("name")) for volume in each(spec, "volumes")} | set(claimed)
            for mount in each(container, "volumeMounts"):
                if mount.get("name") not in volumes:
                    yield f"{title(manifest)} mounts volume {mount.get('name')!r}, which its pod does not have."
        for kind, name in wanted:
            if not objects.has(kind, name):
                yield f"{title(manifest)} refers to {kind} {name!r}, which nothing provides: add it or mend the name."
    for manifest in objects.of("HorizontalPodAutoscaler"):
        reference = at(manifest, "spec", "scaleTargetRef")
        if not objects.has(str(reference.get("kind")), str(reference.get("name"))):
            yield f"{title(manifest)} scales {reference.get('kind')} {reference.get('name')!r}, which nothing provides."
    services = {name_of(service): service for service in objects.of("Service")}
    for manifest in objects.of("Ingress"):
        for rule in each(manifest, "spec", "rules"):
            for path in each(rule, "http", "paths"):
                backend = at(path, "backend", "service")
                service = services.get(str(backend.get("name")))
                ports = [at(backend, "port").get("name"), at(backend, "port").get("number")]
                if service is None or not any(
                    port.get("name") in ports or port.get("port") in ports for port in each(service, "spec", "ports")
                ):
                    yield f"{title(manifest)} sends to {dict(backend)}, which no Service provides."


def dangling_secrets(objects: Objects, application: ApplicationScope) -> Iterator[str]:
    """A key that no Secret of the application holds stops the container from starting."""
    keys = {
        (component.full_name, key) for component in application.find_all(Secret) for key in component.settings.key_names
    }
    keys |= {(name_of(secret), key) for secret in objects.of("Secret") for key in at(secret, "data")}
    names = {name for name, _ in keys}
    for manifest, template in objects.pods:
        for container in containers_of(template):
            for variable in each(container, "env"):
                reference = at(variable, "valueFrom", "secretKeyRef")
                if reference and (reference.get("name"), reference.get("key")) not in keys:
                    yield (
                        f"{title(manifest)} reads {variable.get('name')} from key {reference.get('key')!r} of Secret "
                        f"{reference.get('name')!r}, which nothing provides: declare it with Secret(...)."
                    )
        for volume in each(template, "spec", "volumes"):
            name = at(volume, "secret").get("secretName")
            if name is not None and name not in names:
                yield f"{title(manifest)} mounts Secret {name!r}, which nothing provides: declare it with Secret(...)."


def shared_variables(application: ApplicationScope) -> Iterator[str]:
    """Two keys with one variable of a ``.env`` file would be given one value."""
    holders: dict[str, SecretKey] = {}
    for entry in secret_entries(application):
        first = holders.setdefault(entry.variable, entry.reference)
        if first != entry.reference:
            yield f"{first} and {entry.reference} would both be {entry.variable} in a .env file: rename one."


def sealed_for_nothing(application: ApplicationScope) -> Iterator[str]:
    """A sealed value of no Secret is one that a name was misspelled for."""
    secrets = application.find_all(Secret)
    sources = {secret.settings.source: None for secret in secrets if isinstance(secret.settings.source, SealedSecrets)}
    names = {secret.name for secret in secrets}
    for value in (value for source in sources for value in source.values):
        if value.secret not in names:
            yield (
                f"SealedSecrets.values has {value.secret}/{value.key}, and there is no such Secret: take it out, "
                f"or give one of {', '.join(sorted(names))}."
            )


def waits_without_end(application: ApplicationScope) -> Iterator[str]:
    """ArgoCD starts a phase when the one before is healthy: what waits there for a later one waits for ever."""
    for pod in application.find_all(Pod):
        needed = list(pod.awaited)
        if isinstance(pod, Task) and pod.hook is Hook.SYNC:
            # It must end before the next phase, and it cannot end without what it talks to.
            needed += [target for target in pod.connections if isinstance(target, Target) and target not in needed]
        for target in needed:
            if target.workload.wave > pod.wave:
                yield (
                    f"{pod.full_name} of phase {pod.phase.name} needs {target.workload.full_name} before it is ready, "
                    f"which comes with the later phase {target.workload.phase.name}: move one of them."
                )


def waits_in_a_circle(application: ApplicationScope) -> Iterator[str]:
    """Pods that wait for each other before they start all wait for ever."""
    awaited = {
        pod.full_name: {target.workload.full_name for target in pod.awaited} for pod in application.find_all(Pod)
    }
    try:
        graphlib.TopologicalSorter(awaited).prepare()
    except graphlib.CycleError as error:
        # Its last name is the first again, and each comes before the one that waits for it.
        circle = list(reversed(error.args[1]))
        yield f"{' waits for '.join(circle)}: nobody starts. Take wait=True from one of these connections."


def open_namespaces(objects: Objects) -> Iterator[str]:
    """Without a policy that closes every pod, a pod without one of its own is open in both directions."""
    closed = {
        at(policy, "metadata").get("namespace")
        for policy in objects.of("NetworkPolicy")
        if at(policy, "spec").get("podSelector") == {}
        and set(_texts_at(policy, "spec", "policyTypes")) == {"Ingress", "Egress"}
        and not at(policy, "spec").keys() & {"ingress", "egress"}
    }
    used = dict.fromkeys(at(manifest, "metadata").get("namespace") for manifest, _ in objects.pods)
    for namespace in used:
        if namespace not in closed:
            yield (
                f"nothing closes the namespace {namespace}: a pod without a policy of its own is open in both "
                "directions. Add Namespace(...) to the first phase."
            )


def _texts_at(value: object, *path: str) -> Iterator[str]:
    """The texts of the list at a path."""
    *parents, last = path
    entries = at(value, *parents).get(last)
    yield from (str(entry) for entry in (entries if isinstance(entries, Sequence) else ()))


def selectors_that_miss(objects: Objects) -> Iterator[str]:
    """A selector that matches no pod serves, protects and allows nothing."""
    for manifest in objects.of("Deployment", "StatefulSet"):
        own = at(manifest, "spec", "template", "metadata", "labels")
        selector = at(manifest, "spec", "selector", "matchLabels")
        if not selector or any(own.get(key) != value for key, value in selector.items()):
            yield f"{title(manifest)} does not select its own pods: give its template the labels {dict(selector)}."
    for manifest in objects.of("Service", "PodDisruptionBudget", "NetworkPolicy"):
        spec = at(manifest, "spec")
        selector = {
            "Service": at(spec, "selector"),
            "PodDisruptionBudget": at(spec, "selector", "matchLabels"),
            "NetworkPolicy": at(spec, "podSelector", "matchLabels"),
        }[str(manifest["kind"])]
        if selector and not objects.selected(selector):
            yield f"{title(manifest)} selects {dict(selector)}, which no pod carries."
    for manifest in objects.of("NetworkPolicy"):
        for rule, side in (("ingress", "from"), ("egress", "to")):
            for entry in each(manifest, "spec", rule):
                for peer in each(entry, side):
                    wanted = at(peer, "podSelector", "matchLabels")
                    if wanted and "namespaceSelector" not in peer and not objects.selected(wanted):
                        yield f"{title(manifest)} allows {rule} {side} {dict(wanted)}, which no pod carries."
    for manifest in objects.of("Service"):
        for template in objects.selected(at(manifest, "spec", "selector")):
            served = {
                value
                for container in each(template, "spec", "containers")
                for port in each(container, "ports")
                for value in (port.get("name"), port.get("containerPort"))
            }
            for port in each(manifest, "spec", "ports"):
                target = port.get("targetPort", port.get("port"))
                if target not in served:
                    yield f"{title(manifest)} sends to port {target!r}, which its pods do not serve."


def repeated_names(objects: Objects) -> Iterator[str]:
    """Of a variable or a port that is given twice, one is silently lost."""
    for manifest, template in objects.pods:
        ports: set[object] = set()
        for container in containers_of(template):
            variables: set[object] = set()
            for variable in each(container, "env"):
                if variable.get("name") in variables:
                    yield f"{title(manifest)} sets variable {variable.get('name')} twice: set it in one place."
                variables.add(variable.get("name"))
            for port in each(container, "ports"):
                if port.get("containerPort") in ports:
                    yield f"{title(manifest)} takes port {port.get('containerPort')} twice in one pod."
                ports.add(port.get("containerPort"))


def literal_secrets(objects: Objects) -> Iterator[str]:
    """What is rendered is committed, so a secret in it is a secret that is known."""
    for manifest, template in objects.pods:
        for container in containers_of(template):
            for variable in each(container, "env"):
                if secret_literal(str(variable.get("name")), str(variable.get("value") or "")):
                    yield f"{title(manifest)} has a literal secret in {variable.get('name')}: use a key of a Secret."
    for manifest in objects.of("Secret"):
        yield f"{title(manifest)} holds its values: keep them out of git, and declare it with mcpmesh_k8s.Secret(...)."
    for manifest in objects.of("ConfigMap"):
        for key, text in at(manifest, "data").items():
            found = _PRIVATE_KEY in str(text) or any(
                secret_literal(match[1], match[2].strip("\"' ;"))
                for match in re.finditer(r"^\s*([A-Za-z_][\w-]*)\s*[:=]\s*([^\s{$#]+)", str(text), re.M)
            )
            if found:
                yield f"{title(manifest)} has a literal secret in {key}: mount or read it from a Secret."


def moving_images(objects: Objects) -> Iterator[str]:
    """An image that moves is not the one that was tested; ours are checked when they are named."""
    for manifest, template in objects.pods:
        owned = at(manifest, "metadata", "labels").get("app.kubernetes.io/managed-by") == "cdk8s"
        for container in containers_of(template) if not owned else ():
            name, _, digest = str(container.get("image", "")).partition("@")
            repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
            try:
                Image(repository=repository, tag=tag, digest=digest)
            except SettingError as error:
                yield f"{title(manifest)}: {error}"


def misread_texts(objects: Objects) -> Iterator[str]:
    """A text that YAML cannot carry reaches the cluster as another value, or stops kubectl from reading the file."""
    for manifest in objects.all:
        for path, text in _texts(manifest):
            if _MISREAD.fullmatch(text):
                yield (
                    f"{title(manifest)} has {text[:40]!r} in {path}, which kubectl would not read as this text: "
                    "write a number in another base, and a file without such signs or a tab at its beginning."
                )


def _texts(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a value, each with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, Sequence):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{index}]")


def unreachable_hosts(application: ApplicationScope) -> Iterator[str]:
    """A variable that names a host the policies keep this client from can only lead to a timeout."""
    workloads = {pod.full_name: pod for pod in application.find_all(Workload)}
    for pod in application.find_all(Pod):
        inside = {
            (target.workload.full_name, target.endpoint.port)
            for target in pod.connections
            if isinstance(target, Target)
        }
        outside = {host for target in pod.connections if isinstance(target, External) for host in target.hosts}
        for variable in (variable for container in pod.containers for variable in container.variables):
            if isinstance(variable.value, SecretKey):
                continue
            for host, port in hosts_in(variable.value):
                service = host.removesuffix(f".{application.settings.cluster_domain}").removesuffix(".svc")
                service = service.removesuffix(f".{application.settings.namespace}")
                if service == pod.full_name or host in ("localhost", "127.0.0.1", "0.0.0.0"):
                    continue
                if service in workloads:
                    allowed = any(name == service and port in (None, number) for name, number in inside)
                elif "://" in variable.value or port is not None:
                    allowed = host in outside
                else:
                    continue
                if not allowed:
                    yield (
                        f"{pod.full_name} has {variable.name}={variable.value}, but no path to {host}"
                        f"{f':{port}' if port else ''}: connect it, or name the host in an External."
                    )


def hosts_in(value: str) -> Iterator[tuple[str, int | None]]:
    """The hosts, each with its port where one is given, that a variable's value may name."""
    match = _ADDRESS.fullmatch(value)
    if match and not re.fullmatch(r"[\d.]+|true|false", match["host"], re.I):
        yield match["host"].lower(), int(match["port"]) if match["port"] else None
    elif match and match["host"].count(".") == 3:
        yield match["host"], int(match["port"]) if match["port"] else None
