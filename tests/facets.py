"""This module is facets of an environment: each a small table keyed by service, which a snapshot pins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from mcpmesh_k8s import Application, Namespace, NoProbes
from mcpmesh_k8s.kubernetes.manifest import at, containers_of, each, name_of, template_of

Table = dict[str, object]

POD_KINDS = ("Deployment", "StatefulSet", "Job", "CronJob")
PREFIX = "ai-interviewer-"


def short(name: object) -> str:
    """An object's name without the application's prefix."""
    return str(name).removeprefix(PREFIX)


def workloads(manifests: list[Table]) -> list[tuple[str, Table, Mapping[str, object]]]:
    """Every object that runs pods: its short name, itself, its pod template."""
    return [
        (short(name_of(manifest)), manifest, template_of(manifest))
        for manifest in manifests
        if manifest["kind"] in POD_KINDS
    ]


def containers(manifests: list[Table]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Every container, init containers too, as ``service/container``."""
    for service, _, template in workloads(manifests):
        for container in containers_of(template):
            yield f"{service}/{container['name']}", container


def resources(manifests: list[Table]) -> Table:
    """CPU and memory of every container, requests → limits, and how many pods."""
    table: Table = {}
    scaled = {
        at(manifest, "spec", "scaleTargetRef").get("name"): at(manifest, "spec")
        for manifest in manifests
        if manifest["kind"] == "HorizontalPodAutoscaler"
    }
    for service, manifest, template in workloads(manifests):
        spec = at(manifest, "spec")
        scale = scaled.get(name_of(manifest))
        pods = f"{scale['minReplicas']} to {scale['maxReplicas']}" if scale else spec.get("replicas", 1)
        row: Table = {"pods": pods}
        for container in containers_of(template):
            asked, most = (at(container, "resources", part) for part in ("requests", "limits"))
            row[str(container["name"])] = (
                f"{asked.get('cpu')} CPU, {asked.get('memory')} → {most.get('cpu')} CPU, {most.get('memory')}"
            )
        table[service] = row
    return table


def probes(manifests: list[Table]) -> Table:
    """What the kubelet asks, every how many seconds, and after how many failures it acts."""
    table: Table = {}
    for name, container in containers(manifests):
        row: Table = {}
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = at(container, kind)
            if probe:
                http, tcp, command = (at(probe, key) for key in ("httpGet", "tcpSocket", "exec"))
                what = (
                    f"GET {http.get('port')}{http.get('path')}"
                    if http
                    else f"connect {tcp.get('port')}"
                    if tcp
                    else " ".join(str(word) for word in list_of(command, "command"))
                )
                row[kind.removesuffix("Probe")] = (
                    f"{what}, every {probe['periodSeconds']} s, {probe['failureThreshold']} times, "
                    f"{probe['timeoutSeconds']} s each"
                    + (f", killed after {grace} s" if (grace := probe.get("terminationGracePeriodSeconds")) else "")
                )
        if row:
            table[name] = row
    return table


def security(manifests: list[Table]) -> Table:
    """Who every container runs as and what it may do; what is the same everywhere is said once."""
    table: Table = {}
    for service, _, template in workloads(manifests):
        pod = at(template, "spec", "securityContext")
        row: Table = {"fsGroup": pod.get("fsGroup")}
        for container in containers_of(template):
            context = dict(at(container, "securityContext"))
            user = f"{context.pop('runAsUser', None)}:{context.pop('runAsGroup', None)}"
            row[str(container["name"])] = user
            common = table.setdefault("every container", context)
            if common != context:
                row[f"{container['name']} differs"] = context
        table[service] = row
    return table


def connections(manifests: list[Table]) -> Table:
    """Who talks to whom, as the egress half of the policies has it."""
    table: Table = {}
    for manifest in manifests:
        if manifest["kind"] != "NetworkPolicy":
            continue
        row: Table = {}
        for direction, side in (("ingress", "from"), ("egress", "to")):
            lines = [
                f"{peer_text(peer)} {'/'.join(str(port['port']) for port in each(rule, 'ports')) or 'any port'}"
                for rule in each(manifest, "spec", direction)
                for peer in each(rule, side)
            ]
            if lines:
                row[direction] = lines
        table[short(name_of(manifest))] = row
    return table


def peer_text(peer: Mapping[str, object]) -> str:
    """A peer of a policy in a few words."""
    if "ipBlock" in peer:
        block = at(peer, "ipBlock")
        return f"{block['cidr']} without {len(list_of(block, 'except'))} ranges"
    namespace = at(peer, "namespaceSelector", "matchLabels").get("kubernetes.io/metadata.name")
    labels = at(peer, "podSelector", "matchLabels")
    pods = short(labels.get("app.kubernetes.io/name") or labels.get("k8s-app") or "any pod")
    return f"{pods} in {namespace}" if namespace else pods


def environment(manifests: list[Table]) -> Table:
    """The variables of every container, in order."""
    table: Table = {}
    for name, container in containers(manifests):
        row: Table = {}
        for variable in each(container, "env"):
            reference = at(variable, "valueFrom", "secretKeyRef")
            row[str(variable["name"])] = (
                f"<{short(reference['name'])}/{reference['key']}>" if reference else variable.get("value")
            )
        if row:
            table[name] = row
    return table


def storage(manifests: list[Table]) -> Table:
    """Where every container may write, and what is mounted to be read."""
    table: Table = {}
    sizes = {
        name_of(manifest): at(manifest, "spec", "resources", "requests").get("storage")
        for manifest in manifests
        if manifest["kind"] == "PersistentVolumeClaim"
    }
    for service, manifest, template in workloads(manifests):
        volumes: Table = {}
        for volume in each(template, "spec", "volumes"):
            if "emptyDir" in volume:
                text = f"scratch, {at(volume, 'emptyDir').get('sizeLimit')}"
            elif "configMap" in volume:
                text = f"files of {short(at(volume, 'configMap')['name'])}"
            elif "persistentVolumeClaim" not in volume:
                text = next(kind for kind in volume if kind != "name")
            else:
                claim = str(at(volume, "persistentVolumeClaim")["claimName"])
                text = f"claim {short(claim)}, {sizes.get(claim, 'made by others')}"
            volumes[str(volume["name"])] = text
        for wanted in each(manifest, "spec", "volumeClaimTemplates"):
            size = at(wanted, "spec", "resources", "requests").get("storage")
            volumes[name_of(wanted)] = f"claim template, {size}"
        row: Table = {}
        for container in containers_of(template):
            for mount in each(container, "volumeMounts"):
                row[f"{container['name']}:{mount['mountPath']}"] = volumes[str(mount["name"])]
        table[service] = row
    return table


def availability(manifests: list[Table]) -> Table:
    """How every workload is replaced, kept up, spread and stopped."""
    budgets = {
        name_of(manifest): at(manifest, "spec").get("minAvailable")
        for manifest in manifests
        if manifest["kind"] == "PodDisruptionBudget"
    }
    table: Table = {}
    for service, manifest, template in workloads(manifests):
        spec, pod = at(manifest, "spec"), at(template, "spec")
        strategy = at(spec, "strategy") or at(spec, "updateStrategy")
        row: Table = {"kind": manifest["kind"], "update": strategy.get("type", "–")}
        if name_of(manifest) in budgets:
            row["stay up"] = budgets[name_of(manifest)]
        row["spread"] = [constraint["topologyKey"] for constraint in each(pod, "topologySpreadConstraints")]
        row["priority"] = short(pod.get("priorityClassName", "–"))
        main = next(iter(each(pod, "containers")))
        before = list_of(at(main, "lifecycle", "preStop", "exec"), "command")
        pause, *quiet = before[3:5] if before[:1] == ["sh"] else before[1:2] or [""]
        row["stop"] = (
            f"{f'sleep {pause} s, ' if pause else ''}{f'{quiet[0]} s until nobody is connected, ' if quiet else ''}"
            f"{pod['terminationGracePeriodSeconds']} s at most"
        )
        row["waits for"] = [str(container["name"]) for container in each(pod, "initContainers")]
        table[service] = {key: value for key, value in row.items() if value not in ([], "–")}
    return table


def access(manifests: list[Table]) -> Table:
    """What is reached from outside, and what comes from a store of secrets."""
    table: Table = {}
    for manifest in manifests:
        spec = at(manifest, "spec")
        if manifest["kind"] == "Ingress":
            for rule in each(spec, "rules"):
                tls = [str(entry["secretName"]) for entry in each(spec, "tls")]
                table[f"host {rule['host']}"] = {"class": spec["ingressClassName"], "tls": tls or "none"}
        if manifest["kind"] == "HTTPRoute":
            for host in list_of(spec, "hostnames"):
                parents = [f"{parent['namespace']}/{parent['name']}" for parent in each(spec, "parentRefs")]
                table[f"host {host}"] = {"gateways": parents}
        if manifest["kind"] == "ExternalSecret":
            store = at(spec, "secretStoreRef")
            table[f"secret {short(name_of(manifest))}"] = {
                "store": f"{store['kind']} {store['name']}",
                "keys": [f"{at(entry, 'remoteRef')['key']}#{entry['secretKey']}" for entry in each(spec, "data")],
            }
        if manifest["kind"] == "Service" and spec["type"] != "ClusterIP":
            table[f"service {short(name_of(manifest))}"] = spec["type"]
    return table


def list_of(value: Mapping[str, object], key: str) -> list[object]:
    """A list in a mapping, empty where there is none."""
    found = value.get(key)
    return list(found) if isinstance(found, list) else []


def exceptions(application: Application) -> Table:
    """What goes beyond what the library allows by itself, each with its reason. No manifest says it."""
    table: Table = {}
    for component, patch in application.patches:
        value = "" if patch.operation == "remove" else f" {patch.value}"
        what = f"{patch.operation} {patch.kind} {patch.name}{patch.path}{value}"
        table[f"patch of {component.path}: {what}"] = patch.because
    for namespace in application.find_all(Namespace):
        for exception in namespace.settings.exceptions:
            table[f"pod security of {exception.workload}: {exception.level}"] = exception.because
    for pod in application.pods:
        for container in (*pod.containers, *pod.init_containers):
            if container.writable_root_because:
                table[f"writable root of {pod.name}/{container.name}"] = container.writable_root_because
            if isinstance(container.probes, NoProbes):
                table[f"no probes of {pod.name}/{container.name}"] = container.probes.because
    return table


FACETS: dict[str, Callable[[list[Table]], Table]] = {
    "resources": resources,
    "probes": probes,
    "security": security,
    "connections": connections,
    "environment": environment,
    "storage": storage,
    "availability": availability,
    "access": access,
}


def difference(one: list[Table], other: list[Table]) -> Table:
    """What differs between two environments, facet by facet; images and kinds of objects too."""
    table: Table = {}
    both: list[tuple[str, Table, Table]] = [
        ("objects", objects(one), objects(other)),
        *((name, facet(one), facet(other)) for name, facet in FACETS.items()),
        ("images", images(one), images(other)),
    ]
    for name, left, right in both:
        rows = dict(differing(left, right))
        if rows:
            table[name] = rows
    return table


def differing(left: object, right: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every place in two tables that differs, with ``one | other``."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in [*left, *(key for key in right if key not in left)]:
            yield from differing(left.get(key), right.get(key), f"{path}{' ' if path else ''}{key}")
    elif isinstance(left, list) and isinstance(right, list):
        gone = [f"-{entry}" for entry in left if entry not in right]
        new = [f"+{entry}" for entry in right if entry not in left]
        if gone or new:
            yield path, ", ".join(gone + new)
    elif left != right:
        yield path, f"{left if left is not None else '–'} | {right if right is not None else '–'}"


def objects(manifests: list[Table]) -> Table:
    """How many objects there are of each kind."""
    kinds = sorted({str(manifest["kind"]) for manifest in manifests})
    return {kind: sum(manifest["kind"] == kind for manifest in manifests) for kind in kinds}


def images(manifests: list[Table]) -> Table:
    """The image of every container."""
    return {name: container["image"] for name, container in containers(manifests)}
