"""This module is a Kubernetes API server on loopback, as far as kubectl needs one to deploy and to look.

It stores what it is sent and gives it back with the status of an object whose controllers have done their work. It
has no controllers, defaults or validation, and reads no protobuf: of `kubectl create`, only `--filename` works. Every
request is recorded. A test can have requests refused or left
unanswered, or give an object the status of one that never becomes ready::

    with KubernetesApi() as api:
        api.refuse("Deployment", "backend", 403, "exceeded quota")
        environment = kubeconfig(tmp_path, {"minikube": api.url}, current="minikube")
        subprocess.run([kubectl, "apply", "--server-side", "--filename", "dist/dev"], env=environment)
        assert ("Service", "ai-interviewer", "ai-interviewer-redis") in api.objects
"""

from __future__ import annotations

import base64
import copy
import json
import os
import re
import select
import sys
import threading
import traceback
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from answering import Answering

Manifest = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace (empty where there is none) and name."""

RESOURCES: Mapping[str, str] = {
    "v1": "Namespace ConfigMap Secret Service ServiceAccount PersistentVolumeClaim Pod Event ResourceQuota LimitRange",
    "apps/v1": "Deployment StatefulSet ReplicaSet DaemonSet",
    "batch/v1": "Job CronJob",
    "networking.k8s.io/v1": "NetworkPolicy Ingress IngressClass",
    "policy/v1": "PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "autoscaling.k8s.io/v1": "VerticalPodAutoscaler",
    "scheduling.k8s.io/v1": "PriorityClass",
    "storage.k8s.io/v1": "StorageClass",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "external-secrets.io/v1": "ExternalSecret",
    "gateway.networking.k8s.io/v1": "HTTPRoute",
}
"""The kinds that the server knows unless it is told others, by apiVersion."""

_CLUSTER_SCOPED = (
    *("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "IngressClass", "Namespace"),
    *("PriorityClass", "StorageClass"),
)
_SCALED = ("Deployment", "StatefulSet", "ReplicaSet")
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_REASONS = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 415: "UnsupportedMediaType", 422: "Invalid"}
_PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<version>[^/]+/[^/]+))(?:/namespaces/(?P<namespace>[^/]+)(?=/.))?"
    r"/(?P<word>[a-z]+)(?:/(?P<name>[^/]+))?(?P<scale>/scale)?"
)


@dataclass(frozen=True)
class Request:
    """What was asked about one object or, with an empty name, about all of a kind."""

    method: str
    kind: str
    namespace: str
    name: str
    scale: bool
    query: Mapping[str, str]
    body: Manifest
    applies: bool
    manager: str

    @property
    def key(self) -> Key:
        """The key of the object."""
        return self.kind, self.namespace, self.name


@dataclass
class _Stored:
    """An object: what each field manager has set, and what the server adds."""

    uid: str
    managed: dict[str, Manifest] = field(default_factory=dict[str, Manifest])
    version: int = 0
    generation: int = 1


class Refusal(Exception):  # noqa: N818
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def plural(kind: str) -> str:
    """The word for a kind in paths."""
    word = kind.lower()
    return word[:-1] + "ies" if word.endswith("y") else word + ("es" if word.endswith("s") else "s")


def merged(onto: object, patch: object) -> Any:
    """Maps are merged, null removes, everything else replaces."""
    if not isinstance(onto, dict) or not isinstance(patch, dict):
        return patch
    result = {**onto, **{key: merged(onto.get(key), value) for key, value in patch.items()}}
    return {key: value for key, value in result.items() if value is not None or key not in patch}


def leaves(value: object, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    """The fields of an object by their paths. A list is one field."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {at: leaf for key, inner in value.items() for at, leaf in leaves(inner, (*path, key)).items()}


def without(value: Manifest, path: tuple[str, ...]) -> Manifest:
    """An object without one field."""
    key, *rest = path
    return {k: without(v, tuple(rest)) if k == key else v for k, v in value.items() if k != key or rest}


def done(manifest: Manifest) -> Manifest:
    """The status of an object when all that it asks for has happened."""
    count = manifest.get("spec", {}).get("replicas", 1)
    if manifest["kind"] in ("Deployment", "StatefulSet"):
        fields = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "currentReplicas")
        status: Manifest = dict.fromkeys(fields, count) | {"observedGeneration": manifest["metadata"]["generation"]}
        conditions = [{"type": "Available", "status": "True"}, {"type": "Progressing", "status": "True"}]
        return status | {"currentRevision": "1", "updateRevision": "1", "conditions": conditions}
    if manifest["kind"] == "Job":
        return {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
    phase = {"Namespace": "Active", "PersistentVolumeClaim": "Bound", "Pod": "Running"}.get(manifest["kind"])
    return {"phase": phase} if phase else {}


class KubernetesApi:
    """The server. It listens while its block is entered.

    Fields belong to the manager who set them last. To apply a field that is another's, with another value, is a
    conflict unless it is forced. What a manager no longer applies is gone. A list is one field.

    Args:
        resources: The kinds that it knows, by apiVersion. Leave some out to have a cluster without them.

    Attributes:
        url: Where it listens.
        requests: All requests in their order, discovery left out.
        statuses: The status of an object, by kind and name, where it shall not be that of success.
    """

    def __init__(self, resources: Mapping[str, str] = RESOURCES) -> None:
        self._kinds = {(api, plural(kind)): kind for api, kinds in resources.items() for kind in kinds.split()}
        self.requests: list[Request] = []
        self.statuses: dict[tuple[str, str], Manifest] = {}
        self._stored: dict[Key, _Stored] = {}
        self._refusals: dict[tuple[str, str], Refusal | None] = {}
        self._version = 1
        self._lock = threading.RLock()
        self._closing = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer is sent in one piece, or each waits for an acknowledgement

            def answer(self) -> None:
                api.answer(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Requests are recorded, not printed."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Who waited has gone, which is nothing to tell."""
                if not isinstance(sys.exc_info()[1], ConnectionError):
                    traceback.print_exc()

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> KubernetesApi:
        """Listen."""
        self._answering = Answering(self._server)
        return self

    def __exit__(self, *error: object) -> None:
        """Stop, and let go of those who still wait."""
        self._closing.set()
        self._answering.close()

    @property
    def objects(self) -> dict[Key, Manifest]:
        """What is stored, as GET gives it."""
        return self._of()

    def object(self, kind: str, namespace: str, name: str) -> Manifest:
        """One object, as GET gives it."""
        key = kind, namespace, name
        with self._lock:
            return self._seen(key, self._stored[key])

    def hold(self, manifests: Iterable[Mapping[str, Any]], *, manager: str) -> None:
        """Store objects as if this manager had applied them: who is not about `kubectl apply` is spared its work."""
        with self._lock:
            for manifest in manifests:
                metadata = manifest["metadata"]
                key = manifest["kind"], metadata.get("namespace", ""), metadata["name"]
                stored = self._stored.setdefault(key, _Stored(uid=str(uuid.uuid4())))
                stored.managed[manager] = dict(manifest)
                self._version += 1
                stored.version = self._version

    def _of(self, kind: str = "") -> dict[Key, Manifest]:
        """All objects, or those of a kind."""
        with self._lock:
            return {key: self._seen(key, stored) for key, stored in self._stored.items() if kind in ("", key[0])}

    def hold_what(self, other: KubernetesApi) -> None:
        """Store what another server stores, as its clients left it there."""
        with self._lock:
            self._stored, self._version = copy.deepcopy(other._stored), other._version

    def refuse(self, kind: str, name: str, status: int, message: str) -> None:
        """Answer every request that would change this object with an error, dry runs too."""
        self._refusals[kind, name] = Refusal(status, message)

    def hang(self, kind: str, name: str) -> None:
        """Leave every request that would change this object unanswered."""
        self._refusals[kind, name] = None

    def mend(self) -> None:
        """Refuse nothing any more, and answer everything from now on."""
        self._refusals.clear()

    def answer(self, http: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        url, text = urlsplit(http.path), http.rfile.read(int(http.headers.get("Content-Length", 0)))
        try:
            status, content = 200, self._discovery(url.path)
            if content is None:
                if text.startswith(b"k8s\0"):
                    raise Refusal(415, "this server reads no protobuf")
                request = self._request(http, url.path, dict(parse_qsl(url.query)), json.loads(text or "{}"))
                self.requests.append(request)
                if "watch" in request.query:
                    return self._watch(http, request)
                content = self._serve(request)
        except Refusal as refusal:
            status = refusal.status
            content = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status}
            exists = str(refusal).endswith(" already exists")
            reason = "AlreadyExists" if exists else _REASONS.get(status, "InternalError")
            content |= {"reason": reason, "message": str(refusal)}
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        http.send_response(status)
        http.send_header("Content-Type", "application/json")
        http.send_header("Content-Length", str(len(data)))
        http.end_headers()
        http.wfile.write(data)
        return None

    def _discovery(self, path: str) -> Manifest | bytes | None:
        """What the server is and which kinds it knows, or None for a request about objects."""
        if path == "/version":
            return {"major": "1", "minor": "32", "gitVersion": "v1.32.0"}
        if path == "/readyz":
            return b"ok"
        if path == "/openapi/v2":
            return b"".join(
                _patch_accepts(api, kind, "dryRun", "fieldValidation") for (api, _), kind in self._kinds.items()
            )
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        versions = dict.fromkeys(version for version, _ in self._kinds)
        if path == "/apis":
            named = [{"groupVersion": name, "version": name.partition("/")[2]} for name in versions if "/" in name]
            groups = [{"name": name["groupVersion"].partition("/")[0], "versions": [name]} for name in named]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if version not in versions:
            return None
        resources: list[Manifest] = []
        for word, kind in ((word, kind) for (api, word), kind in self._kinds.items() if api == version):
            resource: Manifest = {"name": word, "kind": kind, "namespaced": kind not in _CLUSTER_SCOPED}
            resources.append(resource | {"verbs": _VERBS})
            if kind in _SCALED:
                scale = {"name": f"{word}/scale", "group": "autoscaling", "version": "v1", "kind": "Scale"}
                resources.append(resource | scale | {"verbs": _VERBS})
        return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}

    def _request(self, http: BaseHTTPRequestHandler, path: str, query: dict[str, str], body: Manifest) -> Request:
        match = _PATH.fullmatch(path)
        kind = self._kinds.get((match["core"] or match["version"], match["word"])) if match else None
        if match is None or kind is None:
            raise Refusal(404, "the server could not find the requested resource")
        name = body["metadata"]["name"] if http.command == "POST" else match["name"] or ""
        applies = http.headers.get("Content-Type", "").startswith("application/apply-patch")
        namespace, scale = match["namespace"] or "", bool(match["scale"])
        manager = query.get("fieldManager", http.headers.get("User-Agent", "").partition("/")[0])
        return Request(http.command, kind, namespace, name, scale, query, body, applies, manager)

    def _serve(self, request: Request) -> Manifest:
        """Read or change what is stored."""
        if not request.name:
            items = [manifest for key, manifest in self._of(request.kind).items() if _asked_for(request, key, manifest)]
            metadata = {"resourceVersion": "1"}
            return {"kind": f"{request.kind}List", "apiVersion": "v1", "metadata": metadata, "items": items}
        unknown = Refusal(404, f'{plural(request.kind)} "{request.name}" not found')
        changes = request.method != "GET"
        if changes and (refusal := self._refusals.get((request.kind, request.name), unknown)) is not unknown:
            self._closing.wait(None if refusal is None else 0)
            raise refusal or ConnectionAbortedError
        with self._lock:
            if changes and request.namespace and ("Namespace", "", request.namespace) not in self._stored:
                raise Refusal(404, f'namespaces "{request.namespace}" not found')
            stored = copy.deepcopy(self._stored.get(request.key))
            if request.method in ("PATCH", "PUT", "POST") and (request.applies or request.method == "POST" or stored):
                stored = self._changed(request, stored)
            if stored is None:
                raise unknown
            seen = self._seen(request.key, stored)
            if request.method == "DELETE" and "dryRun" not in request.query:
                inside = [key for key in self._stored if request.kind == "Namespace" and key[1] == request.name]
                for key in (request.key, *inside):
                    del self._stored[key]
            elif changes and "dryRun" not in request.query:
                self._stored[request.key] = stored
        if request.scale:
            count = {"replicas": seen["spec"].get("replicas", 1)}
            return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": seen["metadata"], "spec": count}
        return seen

    def _changed(self, request: Request, stored: _Stored | None) -> _Stored:
        """The object after a request, each field with the manager who set it."""
        if stored is None:
            stored = _Stored(uid=str(uuid.uuid4()))
        elif request.method == "POST":
            raise Refusal(409, f'{plural(request.kind)} "{request.name}" already exists')
        manager, before = request.manager, merged({}, self._seen(request.key, stored))
        body = {"spec": {"replicas": request.body["spec"]["replicas"]}} if request.scale else request.body
        mine = leaves(body)
        for other in stored.managed.keys() - {manager}:
            theirs = leaves(stored.managed[other])
            disputed = sorted(path for path, value in mine.items() if path in theirs and theirs[path] != value)
            if disputed and request.applies and request.query.get("force") != "true":
                fields = ", ".join("." + ".".join(path) for path in disputed)
                raise Refusal(409, f'Apply failed with {len(disputed)} conflicts: conflict with "{other}": {fields}')
            for path in disputed:
                stored.managed[other] = without(stored.managed[other], path)
        stored.managed[manager] = body if request.applies else merged(stored.managed.get(manager, {}), body)
        after = self._seen(request.key, stored)
        if after != before and "dryRun" not in request.query:
            self._version += 1
            stored.version = self._version
        stored.generation += before.get("spec", after.get("spec")) != after.get("spec")
        return stored

    def _seen(self, key: Key, stored: _Stored) -> Manifest:
        """An object as GET gives it."""
        seen: Manifest = {}
        for manifest in stored.managed.values():
            seen = merged(seen, manifest)
        if not seen:
            return seen
        if texts := seen.pop("stringData", {}):
            seen["data"] = seen.get("data", {}) | {k: base64.b64encode(v.encode()).decode() for k, v in texts.items()}
        server = {"uid": stored.uid, "resourceVersion": str(stored.version), "generation": stored.generation}
        seen["metadata"] = {**seen["metadata"], **server, "creationTimestamp": "2024-01-01T00:00:00Z"}
        status = self.statuses.get((key[0], key[2]), done(seen))
        return {**seen, "status": status} if status else seen

    def _all_told(self, kind: str) -> Manifest:
        """The end of what was there, for which newer clients wait, such as kubectl 1.36."""
        version = next(api for (api, _), of in self._kinds.items() if of == kind)
        metadata = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
        return {"kind": kind, "apiVersion": version, "metadata": metadata}

    def _watch(self, http: BaseHTTPRequestHandler, request: Request) -> None:
        """Tell what is there and what changes, until the client or the server goes."""
        http.send_response(200)
        http.send_header("Content-Type", "application/json")
        http.send_header("Connection", "close")
        http.end_headers()
        told: dict[Key, Manifest] = {}
        told_all = request.query.get("sendInitialEvents") != "true"
        while not self._closing.is_set():
            now = {
                key: manifest for key, manifest in self._of(request.kind).items() if _asked_for(request, key, manifest)
            }
            events = [
                ("ADDED" if key not in told else "MODIFIED", now[key]) for key in now if told.get(key) != now[key]
            ]
            events += [("DELETED", told[key]) for key in told.keys() - now.keys()]
            if not told_all:
                events.append(("BOOKMARK", self._all_told(request.kind)))
                told_all = True
            for kind, manifest in events:
                http.wfile.write(json.dumps({"type": kind, "object": manifest}).encode() + b"\n")
            http.wfile.flush()
            told = now
            # A client says no more, so what can be read is its end.
            if select.select([http.connection], [], [], 0.05)[0]:
                return


def _field(number: int, *parts: bytes) -> bytes:
    """A field of a protobuf message that holds text or a message of less than 16 KiB."""
    data = b"".join(parts)
    return bytes([number << 3 | 2, len(data) % 128 | 128, len(data) // 128]) + data


def _patch_accepts(api: str, kind: str, *parameters: str) -> bytes:
    """The part of an OpenAPI document where kubectl looks whether it may ask for a dry run of a PATCH."""
    group, _, version = api.rpartition("/")
    which = json.dumps({"group": group, "version": version, "kind": kind}).encode()
    names = [_field(8, _field(1, _field(2, _field(3, _field(4, name.encode()))))) for name in parameters]
    extension = _field(13, _field(1, b"x-kubernetes-group-version-kind"), _field(2, _field(2, which)))
    return _field(8, _field(2, _field(1, b"/"), _field(2, _field(8, *names, extension))))


def _asked_for(request: Request, key: Key, manifest: Manifest) -> bool:
    """Whether a list or a watch wants an object."""
    labels, name = manifest["metadata"].get("labels", {}), f"metadata.name={key[2]}"
    selectors = [part.partition("=") for part in request.query.get("labelSelector", "").split(",") if part]
    return (
        request.kind == key[0]
        and request.namespace in ("", key[1])
        and request.query.get("fieldSelector", name) == name
        and all(labels.get(label) == value.lstrip("=") for label, _, value in selectors)
    )


def kubeconfig(folder: Path, clusters: Mapping[str, str], *, current: str) -> dict[str, str]:
    """Write a kubeconfig with a context for each cluster, by name and URL.

    Returns:
        The environment in which kubectl reads it and keeps its caches in the folder too.
    """
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in clusters],
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in clusters.items()],
        "users": [{"name": name, "user": {}} for name in clusters],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    # A program that ends at once has nothing to collect: it is a fifth of its time.
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": str(path), "GOGC": "off"}
