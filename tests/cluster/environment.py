"""This module is an environment on a control plane of its own, with the machines that it is planned for."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ai_interviewer import ENVIRONMENTS, EnvironmentSettings
from mcpmesh_k8s import Budget, SystemPods

from .api import Object
from .control_plane import ControlPlane, control_plane
from .machines import FETCHED, STORAGE_CLASS, VOLUMES, Machine, Machines, is_ready

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGER = "--field-manager=mcpmesh-k8s"
APPLY = ("apply", "--server-side", MANAGER, "--validate=strict")
SYSTEM_PODS = "/api/v1/namespaces/kube-system/pods"
CONTROLLERS = ("Deployment", "StatefulSet")
WORKLOADS = ("deployments", "statefulsets")
STEADY = 120.0
"""Seconds until everything is as wanted, on a busy machine; alone it takes about six."""

QUIET = 10.0
"""Seconds without any change after which none is waited for."""

OF_THE_CLUSTER = (("configmaps", "kube-root-ca.crt"), ("serviceaccounts", "default"))
"""What each namespace has from the cluster itself, and has again at once."""

CONTEXT = "loopback"
"""The context of the kubeconfig, beside the one that the settings name."""

Say = Callable[[str], None]
Done = subprocess.CompletedProcess[str]


@dataclass(kw_only=True)
class Deployed:
    """An environment and the cluster that it is deployed to.

    Args:
        settings: The environment.
        control_plane: Where.
        machines: With what.
        namespace: The namespace of the application.
        say: Tells people how far it is.
    """

    settings: EnvironmentSettings
    control_plane: ControlPlane
    machines: Machines
    namespace: str
    say: Say
    as_rendered: bool = False
    """Whether it is deployed as it is rendered, and nobody has changed anything since."""

    applied: Done = field(default_factory=lambda: Done((), 0, "", ""))
    """What kubectl said when it was deployed from nothing."""

    _variables: dict[str, str] = field(default_factory=dict)
    _paths: list[str] = field(default_factory=list)

    @property
    def rendered(self) -> Path:
        """The folder that is deployed."""
        return ROOT / "dist" / self.settings.name

    # kubectl.

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables with which kubectl, and all that calls it, finds this cluster."""
        if not self._variables:
            kubeconfig = self.control_plane.kubeconfig(CONTEXT, self.settings.cluster.context)
            path = f"{self.control_plane.programs}{os.pathsep}{os.environ['PATH']}"
            self._variables = {
                **os.environ,
                "KUBECONFIG": str(kubeconfig),
                "PATH": path,
                "HOME": str(self.control_plane.folder),
            }
        return self._variables

    def kubectl(self, *arguments: str | Path, stdin: str = "", timeout: float = 120) -> Done:
        """Run the real kubectl in the application's namespace."""
        command = [str(self.control_plane.programs / "kubectl"), "--namespace", self.namespace]
        return subprocess.run(
            [*command, *map(str, arguments)],
            env=self.variables,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def do(self, *arguments: str | Path, stdin: str = "", timeout: float = 120) -> str:
        """What kubectl prints.

        Raises:
            RuntimeError: It does not succeed.
        """
        done = self.kubectl(*arguments, stdin=stdin, timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
        return done.stdout

    def look(self, *arguments: str | Path, stdin: str = "") -> list[Object]:
        """Objects as kubectl gets them."""
        found: Object = json.loads(self.do("get", *arguments, "--output=json", stdin=stdin) or '{"items": []}')
        items: list[Object] = found["items"] if found.get("kind") == "List" or "items" in found else [found]
        return items

    # How it stands.

    def pods(self) -> list[Object]:
        """The pods of the application that are not on their way out."""
        found = self.control_plane.api.list(f"/api/v1/namespaces/{self.namespace}/pods")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pending(self) -> list[str]:
        """The workloads whose pods no node has room for, one entry a pod."""
        return sorted(
            workload_of(pod)
            for pod in self.pods()
            if any(
                one["type"] == "PodScheduled" and one["status"] == "False"
                for one in pod.get("status", {}).get("conditions", ())
            )
        )

    def unready(self) -> list[str]:
        """Everything that is not as wanted, each with what is wrong."""
        api, wrong = self.control_plane.api, list[str]()
        for plural in WORKLOADS:
            for one in api.list(f"/apis/apps/v1/namespaces/{self.namespace}/{plural}"):
                status, wanted = one.get("status", {}), one["spec"]["replicas"]
                seen = status.get("observedGeneration") == one["metadata"]["generation"]
                new = status.get("updateRevision") == status.get("currentRevision")
                counts = tuple(status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas"))
                if plural == "statefulsets" and new:
                    counts = (counts[0], counts[0], counts[2])
                if not seen or counts != (wanted, wanted, wanted):
                    wrong.append(f"{one['metadata']['name']}: {counts} of {wanted} are there, new, ready")
        for one in api.list(f"/apis/autoscaling/v2/namespaces/{self.namespace}/horizontalpodautoscalers"):
            status = one.get("status", {})
            if status.get("currentReplicas", 0) < one["spec"]["minReplicas"]:
                wrong.append(f"{one['metadata']['name']}: the autoscaler has not begun")
        for one in api.list(f"/apis/batch/v1/namespaces/{self.namespace}/jobs"):
            if not one.get("status", {}).get("succeeded"):
                wrong.append(f"{one['metadata']['name']}: has not ended")
        wrong += [f"{name}: no node has room" for name in self.pending()]
        return wrong

    def settle(self) -> None:
        """Wait until everything is as wanted; fail when it is not, and nothing changes any more."""
        self.calm()
        assert not self.unready(), "\n".join(self.unready())

    def calm(self, seconds: float = STEADY) -> None:
        """Wait until everything is as wanted, or nothing changes any more.

        Raises:
            TimeoutError: There is no rest.
        """
        give_up = time.monotonic() + seconds
        before, since = self._picture(), time.monotonic()
        while self.unready() and time.monotonic() - since < QUIET:
            if time.monotonic() > give_up:
                raise TimeoutError(f"no rest within {seconds:g} seconds:\n" + "\n".join(self.unready()))
            time.sleep(0.3)
            if (now := self._picture()) != before:
                before, since = now, time.monotonic()
        self.require_sound()

    def require_sound(self) -> None:
        """Refuse to conclude anything from a cluster that is not in order itself.

        Raises:
            RuntimeError: A program ended, or the machines made a mistake.
        """
        self.control_plane.require_running()
        if self.machines.errors:
            raise RuntimeError(self.machines.errors[0])

    def _picture(self) -> list[tuple[object, ...]]:
        return sorted((pod["metadata"]["uid"], pod["spec"].get("nodeName", ""), is_ready(pod)) for pod in self.pods())

    def ready(self) -> dict[str, int]:
        """How many pods of each Deployment and StatefulSet are ready."""
        counts = {one["metadata"]["name"]: 0 for one in self.manifests() if one["kind"] in CONTROLLERS}
        for pod in self.pods():
            if workload_of(pod) in counts:
                counts[workload_of(pod)] += is_ready(pod)
        return counts

    # What is done to it.

    def deploy(self) -> None:
        """Deploy what is rendered, from nothing, and wait until it is there."""
        begun = time.monotonic()
        self.clear()
        namespaces = [manifest for manifest in self.manifests() if manifest["kind"] == "Namespace"]
        self.do(*APPLY, "--filename=-", stdin=as_text(namespaces))
        if secrets := self.own_secrets():
            self.do("apply", "--server-side", "--filename=-", stdin=as_text(secrets))
        self.applied = self.kubectl(*APPLY, "--filename", self.rendered)
        assert self.applied.returncode == 0, self.applied.stdout + self.applied.stderr
        self.settle()
        self.as_rendered = True
        self.say(f"{self.settings.name}: deployed in {time.monotonic() - begun:.0f} seconds")

    def clear(self) -> None:
        """Take away what was deployed, and have every node take pods. The namespace stays, with nothing in it.

        Its deletion begins when the control plane has waited five seconds.
        """
        self.as_rendered = False
        self.machines.forget()
        api = self.control_plane.api
        for node in self.machines.nodes:
            api.patch(f"/api/v1/nodes/{node.name}", {"spec": {"unschedulable": None}})
        if api.find(f"/api/v1/namespaces/{self.namespace}") is None:
            return
        *others, pods, claims, events = self._kinds()
        # Who makes pods goes before them, and who mounts a claim before it.
        for path in others:
            api.delete(path, {"propagationPolicy": "Background"})
        api.delete(pods, {"gracePeriodSeconds": 0})
        api.delete(claims)

        def left() -> list[str]:
            found = [one for path in (*others, pods, claims, VOLUMES) for one in self._left(path)]
            for path in {path for path, _ in found} - {VOLUMES}:
                api.delete(path, {"propagationPolicy": "Background", "gracePeriodSeconds": 0})
            return [f"{path}/{name}" for path, name in found]

        eventually(lambda: not left(), 60, lambda: f"left over: {left()}")
        # Nobody is left of whom more could be said.
        api.delete(events)

    def forget_namespace(self) -> None:
        """Take away the namespace too, as if it had never been there."""
        self.clear()
        api, namespace = self.control_plane.api, f"/api/v1/namespaces/{self.namespace}"
        api.delete(namespace)
        eventually(lambda: api.find(namespace) is None, 60, lambda: str(api.find(namespace)))

    def _left(self, path: str) -> list[tuple[str, str]]:
        """What is there of a kind, but for what the cluster itself puts into each namespace."""
        names = [one["metadata"]["name"] for one in self.control_plane.api.list(path)]
        return [(path, name) for name in names if (path.rpartition("/")[2], name) not in OF_THE_CLUSTER]

    def _kinds(self) -> list[str]:
        """Where the namespace has objects of each kind; the last three are pods, claims and events."""
        if not self._paths:
            api, core = self.control_plane.api, f"/api/v1/namespaces/{self.namespace}"
            groups = api.get("/apis")["groups"]
            versions = [version["groupVersion"] for group in groups for version in group["versions"]]
            found = {
                (root.split("/")[2], one["name"]): f"{root}/namespaces/{self.namespace}/{one['name']}"
                for root in ("/api/v1", *(f"/apis/{version}" for version in versions))
                for one in api.get(root)["resources"]
                if one["namespaced"] and "deletecollection" in one["verbs"]
            }
            last = [f"{core}/{plural}" for plural in ("pods", "persistentvolumeclaims", "events")]
            # Events are there under two names.
            self._paths = [one for one in found.values() if one not in last and not one.endswith("/events")] + last
        return self._paths

    def own_secrets(self) -> list[Object]:
        """The Secrets that pods refer to and no operator makes: those that are made by hand."""
        wanted: dict[str, set[str]] = {}
        fetched: set[str] = set()
        for manifest in self.manifests():
            if manifest["kind"] in ("ExternalSecret", "SealedSecret"):
                fetched.add(manifest["spec"].get("target", {}).get("name") or manifest["metadata"]["name"])
            for name, key in referred(manifest):
                wanted.setdefault(name, set()).add(key)
        return [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": self.namespace},
                "stringData": dict.fromkeys(sorted(keys), "of-a-test"),
            }
            for name, keys in sorted(wanted.items())
            if name not in fetched
        ]

    def manifests(self) -> list[Object]:
        """All objects that are rendered, in the order they are applied."""
        return read(self.settings.name)


def read(name: str) -> list[Object]:
    """All objects of a folder of ``dist/``, in the order they are applied."""
    return read_folder(ROOT / "dist" / name)


def read_folder(folder: Path) -> list[Object]:
    """All objects of a folder's YAML files."""
    if folder not in _READ:
        paths = sorted(folder.glob("*.yaml"))
        assert paths, f"{folder} holds no YAML: run `make synth`"
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        _READ[folder] = [one for path in paths for one in yaml.load_all(path.read_text(encoding="utf-8"), loader)]
    return copy.deepcopy(_READ[folder])


_READ: dict[Path, list[Object]] = {}


def as_text(objects: Sequence[Object]) -> str:
    """Objects as one text that kubectl reads one by one: what is in a List, it would not let the server validate."""
    return "\n".join(map(json.dumps, objects))


def referred(value: object) -> Iterator[tuple[str, str]]:
    """Every key of a Secret that something refers to, with the Secret's name."""
    if isinstance(value, dict):
        reference = value.get("secretKeyRef")
        if isinstance(reference, dict):
            yield reference["name"], reference["key"]
        for inner in value.values():
            yield from referred(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from referred(inner)


def workload_of(pod: Object) -> str:
    """The name of the workload that a pod belongs to."""
    return str(pod["metadata"].get("labels", {}).get("app.kubernetes.io/name", pod["metadata"]["name"]))


def eventually(holds: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
    """Wait until something holds that must, before anything can be proven.

    Raises:
        TimeoutError: It does not; the message ends with what is the case instead.
    """
    give_up = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError(f"after {seconds:g} seconds: {otherwise()}")
        time.sleep(0.3)


@contextmanager
def over_and_over(look: Callable[[], None]) -> Generator[None]:
    """Look at something all the time while the block runs, once more at its end, and fail if that fails."""
    over, failed = threading.Event(), list[Exception]()

    def watch() -> None:
        try:
            while not over.wait(0.05):
                look()
            look()
        except Exception as error:
            failed.append(error)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    if failed:
        raise failed[0]


@contextmanager
def running(settings: EnvironmentSettings, programs: Path, folder: Path, say: Say) -> Generator[Deployed]:
    """A cluster for an environment, with everything that must be there before it is deployed."""
    budget = settings.budget
    nodes = machines_of(budget)
    assert nodes, f"the budget of {settings.name} says nothing of nodes: say for which it is planned"
    # One on every node, or as many as are said.
    system_pods = sum(len(nodes) if pods.count is None else pods.count for pods in budget.system)
    namespaces = {manifest["metadata"]["name"] for manifest in read(settings.name) if manifest["kind"] == "Namespace"}
    (namespace,) = namespaces
    begun = time.monotonic()
    with control_plane(programs, folder) as plane:
        definitions = custom_resources()
        operators = [
            (f"{one['spec']['group']}/{version['name']}", one["spec"]["names"]["plural"])
            for one in definitions
            for version in one["spec"]["versions"]
            if one["spec"]["names"]["plural"] in FETCHED
        ]
        machines = Machines(api=plane.api, nodes=nodes, operators=operators)
        deployed = Deployed(settings=settings, control_plane=plane, machines=machines, namespace=namespace, say=say)
        deployed.do("apply", "--server-side", "--filename=-", stdin=as_text(definitions))
        deployed.do("wait", "--for=condition=Established", "--timeout=60s", "customresourcedefinitions", "--all")
        apply = ("apply", "--server-side", "--namespace=kube-system", "--filename=-")
        deployed.do(*apply, stdin=as_text(prerequisites(budget.system)))
        machines.start()
        try:
            api = plane.api
            eventually(
                lambda: [one["status"]["phase"] for one in api.list(SYSTEM_PODS)] == ["Running"] * system_pods,
                60,
                lambda: f"the system's own pods do not run\n{plane.last_words('kube-scheduler')}",
            )
            say(f"{settings.name}: a cluster in {time.monotonic() - begun:.0f} seconds")
            yield deployed
        finally:
            machines.stop()


def machines_of(budget: Budget) -> tuple[Machine, ...]:
    """The nodes of a budget, spread over their zones."""
    sizes = [(size, number) for size in budget.nodes for number in range(size.count)]
    return tuple(
        Machine(name=f"node-{index}", zone=f"zone-{number % size.zones}", size=size)
        for index, (size, number) in enumerate(sizes)
    )


def custom_resources() -> list[Object]:
    """The project's schemas as a cluster takes them, and a form of the metrics API that needs no server of its own."""
    definitions: list[Object] = []
    for definition in read_folder(ROOT / "crds"):
        for version in definition["spec"]["versions"]:
            # The operators that are played say in the status what they did.
            schema = version["schema"]["openAPIV3Schema"]
            schema["properties"]["status"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            version["subresources"] = {"status": {}}
        # Groups of Kubernetes itself ask for it.
        definition["metadata"].setdefault("annotations", {})["api-approved.kubernetes.io"] = "unapproved, for a test"
        definitions.append(definition)
    free: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definitions.append(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": "pods.metrics.k8s.io",
                "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
            },
            "spec": {
                "group": "metrics.k8s.io",
                "scope": "Namespaced",
                "names": {"kind": "PodMetrics", "plural": "pods", "singular": "podmetrics"},
                "versions": [{"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": free}}],
            },
        }
    )
    return definitions


def prerequisites(system: Sequence[SystemPods]) -> list[Object]:
    """What a cluster has before anything is deployed: classes of storage and ingress, and its own pods."""
    classes: list[Object] = [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "tests.example.com/disk",
            "allowVolumeExpansion": True,
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": "nginx"},
            "spec": {"controller": "example.com/ingress"},
        },
    ]
    return [*classes, *map(_system_workload, system)]


def _system_workload(pods: SystemPods) -> Object:
    everywhere = pods.count is None
    labels = {"app": pods.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet" if everywhere else "Deployment",
        "metadata": {"name": pods.name, "namespace": "kube-system"},
        "spec": {
            **({} if everywhere else {"replicas": pods.count}),
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "priorityClassName": "system-node-critical" if everywhere else "system-cluster-critical",
                    "containers": [
                        {
                            "name": "system",
                            "image": pods.name,
                            "resources": {"requests": {"cpu": pods.cpu, "memory": pods.memory}},
                        }
                    ],
                },
            },
        },
    }


AUTOSCALED = [
    one for one in ENVIRONMENTS if any(manifest["kind"] == "HorizontalPodAutoscaler" for manifest in read(one.name))
]
"""The environments in which something follows the load."""


def named(settings: EnvironmentSettings) -> str:
    """How a test names an environment."""
    return settings.name
