"""This module is the checks over the whole tree: what no construct can see alone, found before a file is written."""

from __future__ import annotations

import graphlib
import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from .certificate import Certificate
from .component import Component
from .errors import SettingError
from .guest import Guest
from .image import Image
from .manifest import Manifest, Objects, at, containers_of, each, name_of, title
from .namespace import Namespace
from .network import External
from .pod import Pod, Target
from .pod_security import violations
from .quantity import Amount, in_bytes, millicores
from .scaling import SCALERS, RequestRate, scaled_by
from .scope import ApplicationScope
from .secret import SealedSecrets, Secret, secret_entries
from .store import Store
from .task import Hook, Task
from .transit import IstioAmbient, Linkerd, StoreTls
from .variable import ConfigMapKey, SecretKey, secret_literal
from .workload import StatefulWorkload, Workload

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


def problems_of(application: ApplicationScope, manifests: Sequence[Manifest]) -> tuple[str, ...]:
    """Everything that is wrong with the application as a whole, one sentence each."""
    objects = Objects(manifests, {each.kind: each.path.split(".") for each in application.settings.pod_templates})
    checks = (
        duplicate_identities(objects),
        dangling_references(objects, application),
        dangling_secrets(objects, application),
        shared_variables(application),
        sealed_for_nothing(application),
        waits_without_end(application),
        selectors_that_miss(objects, application),
        affinity_to_nobody(objects),
        repeated_names(objects),
        literal_secrets(objects),
        moving_images(objects, application),
        insecure_pods(objects, application),
        beyond_the_quota(objects),
        requests_that_would_change(objects, application),
        misread_texts(objects),
        unreachable_hosts(objects, application),
        unresolved_references(objects),
        waits_in_a_circle(application),
        uncounted_requests(application),
        contended_scales(objects),
        open_namespaces(objects),
        application.settings.problems(application),
        plain_stores(application),
        outside_the_mesh(application),
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


def dangling_references(objects: Objects, application: ApplicationScope) -> Iterator[str]:
    """A reference to what nothing provides leaves a pod waiting for ever."""
    existing = _existing(application)
    keys = {name_of(one): {*at(one, "data"), *at(one, "binaryData")} for one in objects.of("ConfigMap")}
    for manifest, template in objects.pods:
        spec = at(template, "spec")
        wanted = [("ServiceAccount", str(spec.get("serviceAccountName", "default")))]
        if spec.get("priorityClassName"):
            wanted.append(("PriorityClass", str(spec["priorityClassName"])))
        if manifest["kind"] == "StatefulSet":
            wanted.append(("Service", str(at(manifest, "spec").get("serviceName"))))
        for volume in each(spec, "volumes"):
            wanted += [
                ("ConfigMap", str(at(source, "configMap").get("name")))
                for source in _sources_of(volume)
                if "configMap" in source
            ]
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
        yield from _missing_keys(keys, manifest, template)
        for kind, name in wanted:
            if not objects.has(kind, name) and (kind, name) not in existing:
                yield f"{title(manifest)} refers to {kind} {name!r}, which nothing provides: add it or mend the name."
    for manifest in objects.of(*SCALERS):
        scaled = scaled_by(manifest)
        if not objects.has(scaled.kind, scaled.name):
            yield f"{title(manifest)} scales {scaled.kind} {scaled.name!r}, which nothing provides."
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


def _missing_keys(keys: Mapping[str, set[str]], manifest: Manifest, template: Manifest) -> Iterator[str]:
    """A key that a ConfigMap of the application does not hold stops the container from starting."""
    references = [
        (f"reads {variable.get('name')} from", at(variable, "valueFrom", "configMapKeyRef"))
        for container in containers_of(template)
        for variable in each(container, "env")
    ]
    references += [
        ("mounts", {"name": at(source, "configMap").get("name"), "key": item.get("key")})
        for volume in each(template, "spec", "volumes")
        for source in _sources_of(volume)
        for item in each(source, "configMap", "items")
    ]
    for does, reference in references:
        held = keys.get(str(reference.get("name")))
        if held is not None and reference.get("key") not in held:
            yield (
                f"{title(manifest)} {does} key {reference.get('key')!r} of ConfigMap {reference.get('name')!r}, which "
                f"holds {', '.join(sorted(held)) or 'nothing'}: mend the key."
            )


def _existing(application: ApplicationScope) -> set[tuple[str, str]]:
    """What volumes and variables say is in the cluster already, as kind and name."""
    mounted = {there for pod in application.find_all(Pod) for volume in pod.volumes for there in volume.existing}
    return mounted | {
        ("ConfigMap", value.config_map) for value in _values(application) if isinstance(value, ConfigMapKey)
    }


def _existing_keys(application: ApplicationScope) -> set[tuple[str, str]]:
    """The keys that variables say others made, as Secret and key."""
    return {
        (value.secret, value.key) for value in _values(application) if isinstance(value, SecretKey) and value.existing
    }


def _values(application: ApplicationScope) -> Iterator[str | SecretKey | ConfigMapKey]:
    """The values of all variables."""
    for pod in application.find_all(Pod):
        for container in (*pod.containers, *pod.init_containers):
            yield from (variable.value for variable in container.variables)


def dangling_secrets(objects: Objects, application: ApplicationScope) -> Iterator[str]:
    """A key that no Secret of the application holds stops the container from starting."""
    keys = {
        (component.full_name, key) for component in application.find_all(Secret) for key in component.settings.key_names
    }
    keys |= {(one.secret, key) for one in application.find_all(Certificate) for key in one.KEYS}
    keys |= {(name_of(secret), key) for secret in objects.of("Secret") for key in at(secret, "data")}
    names, existing, by_others = {name for name, _ in keys}, _existing(application), _existing_keys(application)
    others = {secret for secret, _ in by_others} | {secret for kind, secret in existing if kind == "Secret"}
    for secret in sorted(names & others):
        yield (
            f"Secret {secret!r} is said to be made by others, and the application declares it: take a variable from "
            "secret.key(...), and files from SecretFiles(...)."
        )
    keys |= by_others
    for manifest, template in objects.pods:
        for container in containers_of(template):
            for variable in each(container, "env"):
                reference = at(variable, "valueFrom", "secretKeyRef")
                if reference and (reference.get("name"), reference.get("key")) not in keys:
                    yield (
                        f"{title(manifest)} reads {variable.get('name')} from key {reference.get('key')!r} of Secret "
                        f"{reference.get('name')!r}, which nothing provides: declare it with Secret(...), or say that "
                        "others made it, SecretKey(..., existing=True)."
                    )
        for source in (source for volume in each(template, "spec", "volumes") for source in _sources_of(volume)):
            name = at(source, "secret").get("secretName", at(source, "secret").get("name"))
            if ("Secret", str(name)) in existing:
                continue
            if name is not None and name not in names:
                yield (
                    f"{title(manifest)} mounts Secret {name!r}, which nothing provides: declare it with Secret(...), "
                    "or mount what others made as an ExistingSecret(...)."
                )
            for item in each(source, "secret", "items") if name in names else ():
                if (name, item.get("key")) not in keys:
                    yield (
                        f"{title(manifest)} mounts key {item.get('key')!r} of Secret {name!r}, which it does not hold: "
                        "declare it with Secret(...)."
                    )


def _sources_of(volume: Manifest) -> Iterator[Manifest]:
    """A volume of a pod, and the parts that are projected into it."""
    yield volume
    yield from each(volume, "projected", "sources")


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


def uncounted_requests(application: ApplicationScope) -> Iterator[str]:
    """A number of pods that follows a figure which nobody has follows nothing."""
    for workload in application.find_all(Workload):
        if isinstance(workload.availability.scale, RequestRate) and workload.counted is None:
            yield (
                f"{workload.full_name} scales by requests, and nobody counts them: give it a route of a Gateway and "
                "the application an InClusterPrometheus, or scale it by Autoscaling(…)."
            )


def contended_scales(objects: Objects) -> Iterator[str]:
    """Two autoscalers of one object undo what the other does."""
    seen: dict[tuple[str, str], Manifest] = {}
    for manifest in objects.of(*SCALERS):
        scaled = scaled_by(manifest)
        first = seen.setdefault((scaled.kind, scaled.name), manifest)
        if first is not manifest:
            yield f"{title(first)} and {title(manifest)} both scale {scaled.kind} {scaled.name!r}: take one out."
    for manifest in objects.of("VerticalPodAutoscaler"):
        target = at(manifest, "spec", "targetRef")
        other = seen.get((str(target.get("kind")), str(target.get("name"))))
        policies: list[Manifest] = list(each(manifest, "spec", "resourcePolicy", "containerPolicies")) or [{}]
        watched = (
            list(_texts_at(one, "controlledResources")) or ["cpu"] for one in policies if one.get("mode") != "Off"
        )
        if other is not None and any("cpu" in resources for resources in watched):
            yield (
                f"{title(manifest)} sizes by CPU what {title(other)} scales by CPU: each undoes what the other does. "
                "Let it control memory alone."
            )


def plain_stores(application: ApplicationScope) -> Iterator[str]:
    """A store that stays plain where all are said to speak TLS, and a name of none, keep nothing from anyone."""
    transit = application.settings.transit
    if not isinstance(transit, StoreTls):
        return
    encrypted = {one.settings.workload for one in application.find_all(Certificate)}
    for name in transit.stores:
        if name not in encrypted:
            known = ", ".join(sorted(encrypted)) or "no other does"
            yield f"StoreTls.stores has {name!r}, and no store of that name speaks TLS ({known}): mend the name."
    if not transit.stores:
        for pod in application.find_all(Pod):
            if isinstance(pod, Store) and pod.name not in encrypted:
                yield (
                    f"{pod.full_name} is a store that speaks no TLS, and StoreTls is said of all: name those that do, "
                    f"StoreTls(stores={tuple(sorted(encrypted))}), or give IstioAmbient()."
                )


def outside_the_mesh(application: ApplicationScope) -> Iterator[str]:
    """Policies let tunnels of a service mesh through alone, so a namespace that is not in it would be silent."""
    transit = application.settings.transit
    if isinstance(transit, IstioAmbient | Linkerd) and application.ground is None and application.find_all(Pod):
        yield (
            f"ApplicationSettings.transit is {type(transit).__name__}, and nothing brings the namespace into it, so "
            "nobody would reach anybody: add Namespace(phase, NamespaceSettings(budget=…))."
        )


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


def selectors_that_miss(objects: Objects, application: ApplicationScope) -> Iterator[str]:
    """A selector that matches no pod serves, protects and allows nothing; that of a guest must match no other's."""
    guests = [dict(guest.settings.labels) for guest in application.find_all(Guest)]
    for labels in guests:
        if objects.selected(labels):
            yield f"a guest has the labels {labels}, which pods of this application carry: what it may, they would too."
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
        if selector and selector not in guests and not objects.selected(selector):
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


def affinity_to_nobody(objects: Objects) -> Iterator[str]:
    """A pod that must run beside pods that nobody runs waits for ever; away from nobody, it says nothing."""
    for manifest, template in objects.pods:
        for side in ("podAffinity", "podAntiAffinity"):
            rules = at(template, "spec", "affinity", side)
            terms = [
                *each(rules, "requiredDuringSchedulingIgnoredDuringExecution"),
                *(
                    at(term, "podAffinityTerm")
                    for term in each(rules, "preferredDuringSchedulingIgnoredDuringExecution")
                ),
            ]
            for term in terms:
                wanted = at(term, "labelSelector", "matchLabels")
                elsewhere = "namespaces" in term or "namespaceSelector" in term
                if wanted and not elsewhere and not objects.selected(wanted):
                    yield f"{title(manifest)} has {side} for {dict(wanted)}, which no pod carries."


def repeated_names(objects: Objects) -> Iterator[str]:
    """Of a variable or a port that is given twice, one is silently lost. Of other names, the API server refuses it."""
    for manifest, template in objects.pods:
        for what, names in (
            ("container", [container.get("name") for container in containers_of(template)]),
            ("volume", [volume.get("name") for volume in each(template, "spec", "volumes")]),
        ):
            for name in sorted({str(name) for index, name in enumerate(names) if name in names[:index]}):
                yield f"{title(manifest)} has two of {what} {name!r}: give each its own name."
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
        for volume in each(template, "spec", "volumes"):
            for name, value in at(volume, "csi", "volumeAttributes").items():
                if secret_literal(name, str(value)):
                    where = f"{name} of volume {volume.get('name')}"
                    yield f"{title(manifest)} has a literal secret in {where}: name where it lies."
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


def moving_images(objects: Objects, application: ApplicationScope) -> Iterator[str]:
    """An image that moves is not the one that was tested; ours are checked when they are named."""
    named = {
        container.image.reference
        for pod in application.find_all(Pod)
        for container in (*pod.containers, *pod.init_containers)
    }
    for manifest, template in objects.pods:
        for image in (str(container.get("image", "")) for container in containers_of(template)):
            name, _, digest = image.partition("@")
            repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
            try:
                _ = image in named or Image(repository=repository, tag=tag, digest=digest)
            except SettingError as error:
                yield f"{title(manifest)}: {error}"


def insecure_pods(objects: Objects, application: ApplicationScope) -> Iterator[str]:
    """A pod that is not restricted is refused by its namespace, or may do more than it needs where it is not."""
    exceptions = {
        exception.workload: exception
        for namespace in application.find_all(Namespace)
        for exception in namespace.settings.exceptions
    }
    for manifest, template in objects.pods:
        exception = exceptions.pop(name_of(manifest), None)
        level = exception.level if exception else "restricted"
        found = list(violations(template, level))
        if found:
            yield (
                f"{title(manifest)} does not hold the {level} Pod Security Standard: {'; '.join(found)}. Run it with a "
                "Workload, mend it, or name it in NamespaceSettings.exceptions with a reason."
            )
        elif exception and not any(violations(template, "restricted")):
            yield f"{title(manifest)} is restricted: take its PodSecurityException out."
    for name in exceptions:
        yield f"PodSecurityException of {name!r}: no pod is run by it. Take it out, or mend the name."


def beyond_the_quota(objects: Objects) -> Iterator[str]:
    """What the quota has no room for is not started. It is made of the settings, and this of what is rendered."""
    scaled = _scaled_to(objects)
    for quota in objects.of("ResourceQuota"):
        namespace = at(quota, "metadata").get("namespace")
        limit = next(
            (
                limit
                for limits in objects.of("LimitRange")
                if at(limits, "metadata").get("namespace") == namespace
                for limit in each(limits, "spec", "limits")
                if limit.get("type") == "Container"
            ),
            {},
        )
        totals = {"requests": Amount(), "limits": Amount()}
        pods = 0
        for manifest, template in objects.pods:
            if at(manifest, "metadata").get("namespace") != namespace:
                continue
            count = _most_pods(manifest, scaled)
            pods += count
            try:
                for what, usual in (("requests", "defaultRequest"), ("limits", "default")):
                    totals[what] += _amount(template, what, at(limit, usual)) * count
                for container in containers_of(template):
                    most, allowed = _read(at(container, "resources", "limits")), _read(at(limit, "max"))
                    if limit and most.at_least(allowed) != allowed:
                        yield (
                            f"{title(manifest)}: container {container.get('name')} may use {most}, and the LimitRange "
                            f"allows {allowed}. Give it its size with Compute(...)."
                        )
            except SettingError as error:
                yield f"{title(manifest)}: {error}"
        hard = at(quota, "spec", "hard")
        for what, total in totals.items():
            # What it does not name, it does not bound.
            bounds = {name: hard[f"{what}.{name}"] for name in Amount().resources if f"{what}.{name}" in hard}
            room = _read(bounds)
            if _read({name: total.resources[name] for name in bounds}).at_least(room) != room:
                yield f"All {what} together are {total}, and {title(quota)} allows {room}: {_COUNTED}"
        if pods > int(str(hard.get("pods", pods))):
            yield f"There are {pods} pods at most, and {title(quota)} allows {hard.get('pods')}: {_COUNTED}"


def requests_that_would_change(objects: Objects, application: ApplicationScope) -> Iterator[str]:
    """A cluster that raises what a pod asks for has another object than the file, and ArgoCD a difference for ever."""
    rules = application.settings.platform.requests
    for manifest, template in objects.pods if rules else ():
        asked = _amount(template, "requests", {})
        advice = list(rules.advice(asked)) if rules else []
        if advice:
            yield f"{title(manifest)} asks for {asked}, which the cluster would change: ask for {', '.join(advice)}."


_COUNTED = (
    "give sizes, scales and containers as settings, which are counted. What plain cdk8s or a patch adds is not: run it "
    "with a Workload or a Task."
)


def _scaled_to(objects: Objects) -> dict[tuple[str, str], int]:
    """The most pods that an autoscaler makes of an object, by its kind and name."""
    found = [scaled_by(scaler) for scaler in objects.of(*SCALERS)]
    return {(scaled.kind, scaled.name): scaled.maximum for scaled in found}


def _most_pods(manifest: Manifest, scaled: Mapping[tuple[str, str], int]) -> int:
    """How many pods of an object there are at most, in the middle of a rollout too."""
    spec = at(manifest, "spec")
    count = int(str(spec.get("replicas", spec.get("parallelism", 1))))
    count = scaled.get((str(manifest["kind"]), name_of(manifest)), count)
    if manifest["kind"] != "Deployment" or at(spec, "strategy").get("type") == "Recreate":
        return count
    surge = str(at(spec, "strategy", "rollingUpdate").get("maxSurge", "25%"))
    return count + (-(-count * int(surge[:-1]) // 100) if surge.endswith("%") else int(surge))


def _amount(template: Manifest, what: str, usual: Manifest) -> Amount:
    """What one pod of a template asks for: its containers, or its largest init container if that is more."""
    total = Amount()
    for container in each(template, "spec", "containers"):
        total += _read({**usual, **at(container, "resources", what)})
    for container in each(template, "spec", "initContainers"):
        total = total.at_least(_read({**usual, **at(container, "resources", what)}))
    return total


def _read(resources: Mapping[str, object]) -> Amount:
    """Amounts as numbers; nothing where nothing is said."""
    cpu, memory, disk = (resources.get(name) for name in Amount().resources)
    return Amount(
        cpu=0 if cpu in (None, "0") else millicores("cpu", str(cpu)),
        memory=0 if memory in (None, "0") else in_bytes("memory", str(memory)),
        disk=0 if disk in (None, "0") else in_bytes("ephemeral-storage", str(disk)),
    )


def misread_texts(objects: Objects) -> Iterator[str]:
    """A text that YAML cannot carry reaches the cluster as another value, or stops kubectl from reading the file."""
    # Most texts are there often and few are misread: where one is, is asked only then.
    misread = {text for text in _strings(*objects.all) if _MISREAD.fullmatch(text)}
    for manifest in objects.all if misread else ():
        for path, text in _texts(manifest):
            if text in misread:
                yield (
                    f"{title(manifest)} has {text[:40]!r} in {path}, which kubectl would not read as this text: "
                    "write a number in another base, and a file without such signs or a tab at its beginning."
                )


def _strings(*values: object) -> set[str]:
    """All texts in values as JSON has them."""
    found: set[str] = set()
    left = list(values)
    while left:
        inner = left.pop()
        if isinstance(inner, str):
            found.add(inner)
        elif isinstance(inner, dict):
            left += inner.values()
        elif isinstance(inner, list):
            left += inner
    return found


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


def unresolved_references(objects: Objects) -> Iterator[str]:
    """Kubernetes leaves a ``$(NAME)`` as it stands whose variable comes later, or is none."""
    for manifest, template in objects.pods:
        for container in containers_of(template):
            if "envFrom" in container:
                continue  # What these bring comes before all others, and is not known.
            known: set[str] = set()
            for variable in each(container, "env"):
                for name in _REFERENCE.findall(str(variable.get("value", ""))):
                    if name not in known:
                        yield (
                            f"{title(manifest)} has {variable.get('name')} with $({name}) in it, which comes later or "
                            f"not at all, and would stay as it stands: give {name} before it, or write $$({name})."
                        )
                known.add(str(variable.get("name")))


def unreachable_hosts(objects: Objects, application: ApplicationScope) -> Iterator[str]:
    """A variable that names a host the policies keep this client from can only lead to a timeout."""
    workloads = {pod.full_name for pod in application.find_all(Workload)}
    # Of these the name of a pod comes first, and leads to the port that it listens on itself.
    headless = {pod.headless_name for pod in application.find_all(StatefulWorkload)}
    templates = {(manifest["kind"], name_of(manifest)): template for manifest, template in objects.pods}
    public = {urlsplit(workload.public_url).hostname for workload in application.find_all(Workload)}
    for pod in application.find_all(Pod):
        own = pod.public_url if isinstance(pod, Workload) else ""
        inside = {
            (target.workload.full_name, target.endpoint.port)
            for target in pod.connections
            if isinstance(target, Target)
        } | {
            (target.workload.headless_name, target.workload.port(target.port).container)
            for target in pod.connections
            if isinstance(target, Target) and isinstance(target.workload, StatefulWorkload)
        }
        outside: dict[str, set[int]] = {}
        for target in pod.connections:
            if isinstance(target, External):
                for host in target.hosts:
                    outside.setdefault(host, set()).add(target.port)
        containers = containers_of(templates[pod.kind, pod.full_name])
        for variable in (variable for container in containers for variable in each(container, "env")):
            value = str(variable.get("value", ""))
            if own and value == own:
                continue  # It builds links with it, and dials nobody.
            for host, port in hosts_in(value):
                service = host.removesuffix(f".{application.settings.cluster_domain}").removesuffix(".svc")
                service = service.removesuffix(f".{application.settings.namespace}")
                if service == pod.full_name or host in ("localhost", "127.0.0.1", "0.0.0.0"):
                    continue
                if service.rpartition(".")[2] in headless:
                    service = service.rpartition(".")[2]
                if service in workloads | headless:
                    allowed = any(name == service and port in (None, number) for name, number in inside)
                elif "://" in value or port is not None:
                    dialled = port or _USUAL_PORTS.get(value.partition("://")[0])
                    allowed = host in outside and dialled in (None, *outside[host])
                else:
                    continue
                if not allowed:
                    instead = "connect it, or name the host in an External."
                    if host in outside:
                        instead = (
                            f"its External says port {', '.join(map(str, outside[host]))}. Give port={port} there."
                        )
                    elif host in public:
                        instead = "that is this application's own address. Dial a service inside: connects_to(...)."
                    yield (
                        f"{pod.full_name} has {variable.get('name')}={value}, but no path to {host}"
                        f"{f':{port}' if port else ''}: {instead}"
                    )


_REFERENCE = re.compile(r"(?<!\$)\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
"""A variable in the value of another. With two ``$`` it is none."""

_USUAL_PORTS = {"http": 80, "https": 443}
"""Where a URL leads that names no port. Of other schemes the program knows."""


def hosts_in(value: str) -> Iterator[tuple[str, int | None]]:
    """The hosts, each with its port where one is given, that a variable's value may name."""
    match = _ADDRESS.fullmatch(value)
    if match and not re.fullmatch(r"[\d.]+|true|false", match["host"], re.I):
        yield match["host"].lower(), int(match["port"]) if match["port"] else None
    elif match and match["host"].count(".") == 3:
        yield match["host"], int(match["port"]) if match["port"] else None
