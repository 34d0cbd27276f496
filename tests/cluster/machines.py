"""This module is what a control plane works with: nodes that run pods, disks, and the operators of other people.

Nothing is run. A pod whose image exists and whose Secrets and ConfigMaps hold what it refers to is said to be ready
after a moment, and one that shall end, to have ended well. The control plane believes it, as it believes a kubelet.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from mcpmesh_k8s import Nodes
from mcpmesh_k8s.kubernetes.quantity import in_bytes, millicores

from .api import STRATEGIC, Api, ApiError, Object
from .kubelet import LOCALHOST, Kubelet

BEGINNING = 0.4
"""Seconds from when a pod is assigned to a node until it is ready."""

ENDING = 0.2
"""Seconds that a pod takes to end."""

TRY_AGAIN = 1.0
HEARTBEAT = 5.0
STORAGE_CLASS = "disks"
FETCHED = {"externalsecrets": "Ready", "sealedsecrets": "Synced"}
"""Custom resources whose operators make a Secret: the condition that says it did."""

PODS = "/api/v1/pods"
CLAIMS = "/api/v1/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
METRICS = "/apis/metrics.k8s.io/v1beta1"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A node of a cluster.

    Args:
        name: Its name.
        zone: Where it stands.
        size: How large it is.
    """

    name: str
    zone: str
    size: Nodes


@dataclass(kw_only=True)
class Machines:
    """All nodes of a cluster, and who else works there.

    Args:
        api: The API server.
        nodes: The nodes.
        operators: The API versions and plural names of custom resources whose operators are played.
    """

    api: Api
    nodes: Sequence[Machine]
    operators: Sequence[tuple[str, str]] = ()
    missing_images: set[str] = field(default_factory=set)
    """Images that no registry has."""

    measuring: bool = True
    """Whether what new pods use is known at once."""

    _kubelet: Kubelet = field(default_factory=Kubelet)
    _load: dict[str, int] = field(default_factory=dict)
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _over: bool = False
    _starting: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    """What went wrong here, as traces: a test must end with none."""

    def start(self) -> None:
        """Join the cluster, and work until ``stop``."""
        self._kubelet.start()
        for node in self.nodes:
            self.api.create("/api/v1/nodes", _node(node, self._kubelet.port))
            self.api.create(LEASES, _lease(node))
        self._later(HEARTBEAT, self._beat)
        watched: list[tuple[str, Callable[[str, Object], None]]] = [(PODS, self._on_pod), (CLAIMS, self._on_claim)]
        watched += [(f"/apis/{version}/{plural}", self._fetcher(plural)) for version, plural in self.operators]
        for path, handle in watched:
            threading.Thread(target=self._follow, args=(path, handle), daemon=True).start()
        threading.Thread(target=self._work, daemon=True).start()

    def stop(self) -> None:
        """Work no more."""
        with self._wake:
            self._over = True
            self._wake.notify_all()
        self._kubelet.stop()

    def use_cpu(self, workload: str, percent: int) -> None:
        """Let the pods of a workload use this much of the CPU that they request."""
        self._load[workload] = percent
        self.measure()

    def measure(self) -> None:
        """Say of every pod what it uses."""
        for pod in self.api.list(PODS):
            if is_ready(pod):
                self._measure(pod)

    def forget(self) -> None:
        """Have every image again, and an even load."""
        self.missing_images.clear()
        self._load.clear()

    # Work that is due.

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        with self._wake:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), action))
            self._wake.notify_all()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._over and (not self._due or self._due[0][0] > time.monotonic()):
                    self._wake.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._over:
                    return
                _, _, action = heapq.heappop(self._due)
            self._carefully(action)

    def _carefully(self, action: Callable[[], None]) -> None:
        """What is gone or going, or was changed by another meanwhile, is seen again when it matters."""
        try:
            action()
        except ApiError as error:
            passes = error.status in (404, 409) or "is being terminated" in str(error)
            if not passes and not self._over:
                self.errors.append(traceback.format_exc())
        except Exception:
            if not self._over:
                self.errors.append(traceback.format_exc())

    def _follow(self, path: str, handle: Callable[[str, Object], None]) -> None:
        while not self._over:
            try:
                listed = self.api.get(path)
                for item in listed["items"]:
                    self._carefully(partial(handle, "ADDED", item))
                for kind, item in self.api.watch(path, listed["metadata"]["resourceVersion"]):
                    self._carefully(partial(handle, kind, item))
            except Exception:
                if not self._over:
                    time.sleep(TRY_AGAIN)

    # Nodes.

    def _beat(self) -> None:
        for node in self.nodes:
            self.api.patch(f"{LEASES}/{node.name}", {"spec": {"renewTime": _now(micro=True)}})
        self._later(HEARTBEAT, self._beat)

    def _on_pod(self, event: str, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if event == "DELETED":
            self._starting.discard(uid)
            return
        if pod["spec"].get("nodeName") not in {node.name for node in self.nodes}:
            return
        if "deletionTimestamp" in pod["metadata"]:
            self._later(ENDING, lambda: self._end(pod))
        elif uid not in self._starting:
            self._starting.add(uid)
            self._later(BEGINNING, lambda: self._begin(pod))

    def _end(self, pod: Object) -> None:
        with suppress(ApiError):
            self.api.delete(f"{METRICS}/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}")
        self.api.delete(_path(pod), {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}})

    def _begin(self, given: Object) -> None:
        pod = self.api.find(_path(given))
        if pod is None or pod["metadata"]["uid"] != given["metadata"]["uid"] or "deletionTimestamp" in pod["metadata"]:
            return
        troubles = {name: trouble for name, trouble in self._troubles(pod) if trouble}
        prepared = not any(one["name"] in troubles for one in pod["spec"].get("initContainers", ()))
        ready = not troubles
        states = {
            one["name"]: troubles.get(one["name"]) or ("" if prepared else "PodInitializing")
            for one in pod["spec"]["containers"]
        }
        now = _now()
        status: Object = {
            "phase": "Running" if ready else "Pending",
            "startTime": pod["status"].get("startTime", now),
            "hostIP": LOCALHOST,
            "podIP": _address(next(self._numbers)),
            "initContainerStatuses": [
                _container(one, now, waits=troubles.get(one["name"], ""), ended=True)
                for one in pod["spec"].get("initContainers", ())
            ],
            "containerStatuses": [_container(one, now, waits=states[one["name"]]) for one in pod["spec"]["containers"]],
            "conditions": [
                _condition("Initialized", prepared, now),
                _condition("ContainersReady", ready, now, "ContainersNotReady"),
                _condition("Ready", ready, now, "ContainersNotReady"),
            ],
        }
        self.api.patch(f"{_path(pod)}/status", {"status": status}, STRATEGIC)
        if not ready:
            self._warn(pod, ", ".join(f"{name}: {trouble}" for name, trouble in sorted(troubles.items())))
            self._later(TRY_AGAIN, lambda: self._begin(pod))
        elif pod["spec"].get("restartPolicy", "Always") != "Always":
            self._later(ENDING, lambda: self._complete(pod))
        else:
            self._later(0, lambda: self._measure(pod) if self.measuring else None)

    def _warn(self, pod: Object, message: str) -> None:
        metadata, now = pod["metadata"], _now()
        event: Object = {
            "metadata": {"name": f"{metadata['name']}.failed"},
            "involvedObject": {"kind": "Pod", "apiVersion": "v1", **_named(pod)},
            "type": "Warning",
            "reason": "Failed",
            "message": message,
            "source": {"component": "kubelet", "host": pod["spec"]["nodeName"]},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        with suppress(ApiError):
            self.api.create(f"/api/v1/namespaces/{metadata['namespace']}/events", event)

    def _complete(self, pod: Object) -> None:
        now = _now()
        status = {
            "phase": "Succeeded",
            "containerStatuses": [_container(one, now, ended=True) for one in pod["spec"]["containers"]],
            "conditions": [_condition("Ready", False, now, "PodCompleted")],
        }
        self.api.patch(f"{_path(pod)}/status", {"status": status}, STRATEGIC)

    def _troubles(self, pod: Object) -> Iterator[tuple[str, str]]:
        """The containers of a pod, each with why it cannot start."""
        namespace = pod["metadata"]["namespace"]
        mounted = [trouble for volume in pod["spec"].get("volumes", ()) if (trouble := self._lacks(namespace, volume))]
        for container in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]:
            name = str(container["name"])
            if container["image"] in self.missing_images:
                yield name, "ErrImagePull"
            elif mounted:
                yield name, "ContainerCreating"
            elif any(self._lacks_key(namespace, one) for one in container.get("env", ())) or any(
                self._lacks_all(namespace, one) for one in container.get("envFrom", ())
            ):
                yield name, "CreateContainerConfigError"
            else:
                yield name, ""

    def _lacks(self, namespace: str, volume: Object) -> str:
        for kind, plural, key in (("secret", "secrets", "secretName"), ("configMap", "configmaps", "name")):
            if kind in volume and not volume[kind].get("optional"):
                data = self._data(namespace, plural, volume[kind][key])
                lacking = {one["key"] for one in volume[kind].get("items", ())} - data
                if not data or lacking:
                    return f"{plural}/{volume[kind][key]} lacks {', '.join(sorted(lacking)) or 'everything'}"
        return ""

    def _lacks_key(self, namespace: str, variable: Object) -> bool:
        source = variable.get("valueFrom", {})
        return any(
            source[kind]["key"] not in self._data(namespace, plural, source[kind]["name"])
            for kind, plural in (("secretKeyRef", "secrets"), ("configMapKeyRef", "configmaps"))
            if kind in source and not source[kind].get("optional")
        )

    def _lacks_all(self, namespace: str, source: Object) -> bool:
        return any(
            not self._data(namespace, plural, source[kind]["name"])
            for kind, plural in (("secretRef", "secrets"), ("configMapRef", "configmaps"))
            if kind in source and not source[kind].get("optional")
        )

    def _data(self, namespace: str, plural: str, name: str) -> set[str]:
        found = self.api.find(f"/api/v1/namespaces/{namespace}/{plural}/{name}") or {}
        return {*found.get("data", {}), *found.get("binaryData", {})}

    def _measure(self, pod: Object) -> None:
        """Say how much CPU a pod uses, as the metrics API has it."""
        metadata = pod["metadata"]
        workload = metadata.get("labels", {}).get("app.kubernetes.io/name", "")
        percent = self._load.get(workload, 50)
        used = [
            (one["name"], millicores("cpu", requests["cpu"]) * percent // 100)
            for one in pod["spec"]["containers"]
            if "cpu" in (requests := one.get("resources", {}).get("requests", {}))
        ]
        measured: Object = {
            "apiVersion": "metrics.k8s.io/v1beta1",
            "kind": "PodMetrics",
            "metadata": {"name": metadata["name"], "labels": metadata.get("labels", {})},
            "timestamp": _now(),
            "window": "1s",
            "containers": [{"name": name, "usage": {"cpu": f"{cpu}m", "memory": "1Mi"}} for name, cpu in used],
        }
        path = f"{METRICS}/namespaces/{metadata['namespace']}/pods"
        try:
            self.api.create(path, measured)
        except ApiError as error:
            if error.status != 409:
                raise
            self.api.patch(f"{path}/{metadata['name']}", measured)

    # Disks.

    def _on_claim(self, event: str, claim: Object) -> None:
        metadata, spec, status = claim["metadata"], claim["spec"], claim.get("status", {})
        volume = f"{VOLUMES}/pvc-{metadata['uid']}"
        if event == "DELETED":
            self.api.delete(volume)
        elif status.get("phase") == "Pending" and "volume.kubernetes.io/selected-node" in metadata.get(
            "annotations", {}
        ):
            self.api.create(VOLUMES, _volume(claim))
        elif status.get("phase") == "Bound":
            wanted, has = spec["resources"]["requests"]["storage"], status["capacity"]["storage"]
            if in_bytes("claim", wanted) > in_bytes("claim", has):
                self.api.patch(volume, {"spec": {"capacity": {"storage": wanted}}})
                path = f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims/{metadata['name']}"
                self.api.patch(f"{path}/status", {"status": {"capacity": {"storage": wanted}}})

    # Operators.

    def _fetcher(self, plural: str) -> Callable[[str, Object], None]:
        def fetch(event: str, wanted: Object) -> None:
            metadata, spec = wanted["metadata"], wanted["spec"]
            conditions = wanted.get("status", {}).get("conditions", ())
            if event == "DELETED" or any(one["type"] == FETCHED[plural] for one in conditions):
                return
            keys = [one["secretKey"] for one in spec.get("data", ())] or list(spec.get("encryptedData", ()))
            owner = {key: wanted[key] for key in ("apiVersion", "kind")}
            owner |= {"name": metadata["name"], "uid": metadata["uid"]}
            secret: Object = {
                "metadata": {
                    "name": spec.get("target", {}).get("name") or metadata["name"],
                    "ownerReferences": [{**owner, "controller": True}],
                },
                "data": {key: base64.b64encode(b"fetched").decode() for key in keys},
            }
            with suppress(ApiError):
                self.api.create(f"/api/v1/namespaces/{metadata['namespace']}/secrets", secret)
            condition = {**_condition(FETCHED[plural], True, _now()), "reason": "Done"}
            path = f"/apis/{wanted['apiVersion']}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
            self.api.patch(f"{path}/status", {"status": {"conditions": [condition]}})

        return fetch


def _named(pod: Object) -> Object:
    return {key: pod["metadata"][key] for key in ("namespace", "name", "uid")}


def _path(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _now(*, micro: bool = False) -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S" + (".%fZ" if micro else "Z"))


def _address(number: int) -> str:
    return f"10.128.{number // 250 % 250}.{number % 250 + 1}"


def is_ready(pod: Object) -> bool:
    """Whether a pod is ready."""
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _condition(kind: str, holds: bool, now: str, reason: str = "") -> Object:
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "lastTransitionTime": now,
        "reason": "" if holds else reason,
    }


def _container(container: Object, now: str, *, waits: str = "", ended: bool = False) -> Object:
    state: Object = {"running": {"startedAt": now}}
    if waits:
        state = {"waiting": {"reason": waits}}
    elif ended and container.get("restartPolicy") != "Always":
        state = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "restartCount": 0,
        "ready": not waits,
        "started": "running" in state,
        "state": state,
    }


def _node(node: Machine, port: int) -> Object:
    size = node.size
    capacity = {
        "cpu": size.cpu,
        "memory": size.memory,
        "pods": str(size.pods),
        "ephemeral-storage": size.ephemeral_storage,
    }
    now = _now()
    kubelet = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    return {
        "metadata": {
            "name": node.name,
            "labels": {
                "kubernetes.io/hostname": node.name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": node.zone,
                "topology.kubernetes.io/region": "region",
            },
        },
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [{"type": "InternalIP", "address": LOCALHOST}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "KubeletReady", **kubelet},
                *(
                    {"type": kind, "status": "False", "reason": "KubeletHasEnough", **kubelet}
                    for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
                ),
            ],
        },
    }


def _lease(node: Machine) -> Object:
    return {
        "metadata": {"name": node.name},
        "spec": {"holderIdentity": node.name, "leaseDurationSeconds": 40, "renewTime": _now(micro=True)},
    }


def _volume(claim: Object) -> Object:
    """A disk that any node can reach, as long as its claim is there."""
    metadata, spec = claim["metadata"], claim["spec"]
    return {
        "metadata": {
            "name": f"pvc-{metadata['uid']}",
            "annotations": {"pv.kubernetes.io/provisioned-by": "tests.example.com/disk"},
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": spec["storageClassName"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "hostPath": {"path": f"/disks/{metadata['uid']}"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }
