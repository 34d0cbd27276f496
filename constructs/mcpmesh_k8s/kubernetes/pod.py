"""This module is what everything that runs has: a pod, its identity, its connections and its policy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from constructs import Construct

from .api import k8s
from .api_access import ApiAccess, ApiToken
from .component import NAME_LABEL, Component
from .container import Container, harden_pod
from .endpoint import Endpoint, Port
from .errors import SettingError
from .extras import PodExtras, require_ending
from .manifest import Manifest
from .names import dns_label, once, url_path
from .network import (
    External,
    Listener,
    Peer,
    PolicyKind,
    egress_rule,
    ingress_rule,
    pod_policies,
    pods_peer,
    require_sayable,
)
from .probe import HttpGet, TcpSocket
from .quantity import Amount, Compute
from .service_mesh import (
    carried,
    path_of,
    pod_annotations,
    pod_policies_of,
    probe_rules,
    proxy,
    require_free,
    require_unsaid,
)
from .signals import MetricsEndpoint
from .storage import Claim, Files, Volume
from .transit import TlsClient
from .values import dataclass
from .variable import SecretKey, Variable, told, variables

WAIT = (
    'until said="$(timeout 5 "$@" 2>&1)"; do '
    'said="$(printf %s "${said:-no answer within 5 seconds}" | head -n 1)"; '
    'echo "waiting for $TARGET: $said${ADVICE:+ ($ADVICE)}"; sleep 2; done; echo "$TARGET is ready"'
)
"""The program of an init container that waits: the arguments are the target's readiness command."""

IGNORE_HEALTH = {"argocd.argoproj.io/ignore-healthcheck": "true"}
"""The annotation by which ArgoCD leaves an object out of the application's health."""

WAIT_COMPUTE = Compute(cpu="10m", memory="32Mi", cpu_limit="100m", memory_limit="64Mi")
"""Enough for a command-line client such as ``redis-cli`` or ``pg_isready``."""


@dataclass(frozen=True, kw_only=True)
class PodOptions:
    """What every workload and every task takes, whatever runs in it.

    Args:
        name: The short name, such as ``redis``; objects carry it with the application's prefix.
        extras: What is added to its pods beside what their program needs: labels, placement, sidecars and the like.
    """

    name: str
    extras: PodExtras = PodExtras()

    def __post_init__(self) -> None:
        """Check the name."""
        dns_label(f"{type(self).__name__}.name", self.name)


@dataclass(frozen=True, kw_only=True)
class PodSettings(PodOptions):
    """What runs, beside the connections that are made later.

    Args:
        container: The main container.
        sidecars: More containers that belong to the program.
        init_containers: What the program needs to be done first, one after the other, when what the pod waits for is
            there. Those that are added with the extras come after them.
        component: Its role, as the label ``app.kubernetes.io/component``.
        termination_grace_seconds: Seconds from the start of the stop until the container is killed.
        metrics: Where it serves metrics.
        api_access: What it may read of the cluster's API: nothing, and it has no token, unless given.
        tls: To which stores the program speaks TLS, as the variables of its connections tell it to. Where stores speak
            TLS, another is refused.
    """

    container: Container
    sidecars: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    component: str = ""
    termination_grace_seconds: int = 30
    metrics: tuple[MetricsEndpoint, ...] = ()
    api_access: ApiAccess | None = None
    tls: tuple[TlsClient, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what contradicts itself inside one pod."""
        super().__post_init__()
        containers = (self.main_container, *self.all_sidecars)
        once(
            f"{self.name} container name",
            [container.name for container in (*containers, *self.all_init_containers)],
        )
        require_ending(f"{self.name} init_containers", self.init_containers)
        once(f"{self.name} port", [port.container for container in containers for port in container.ports])
        once(f"{self.name} Service port", [port.number for container in containers for port in container.ports])
        once(f"{self.name} port name", [port.name for container in containers for port in container.ports])
        for container in containers:
            # One that hangs is killed in the middle of a longer pause: it would do nothing with it.
            for field, seconds in (
                ("pre_stop_seconds", container.pre_stop_seconds),
                ("quiet_seconds", container.pre_stop_seconds + container.quiet_seconds),
            ):
                if seconds >= self.termination_grace_seconds:
                    raise SettingError(
                        f"{self.name} {field}",
                        getattr(container, field),
                        f"Give less than termination_grace_seconds, {self.termination_grace_seconds}, together.",
                    )

    @property
    def main_container(self) -> Container:
        """The main container, with the ports and volumes that are added to it."""
        ports = self.extras.ports
        volumes = (*([ApiToken()] if self.api_access else []), *self.extras.volumes)
        if not (ports or volumes):
            return self.container
        given = self.container
        return replace(given, ports=(*given.ports, *ports), volumes=(*given.volumes, *volumes))

    @property
    def all_sidecars(self) -> tuple[Container, ...]:
        """The containers beside the main one: those of the program, then those that are added."""
        return (*self.sidecars, *self.extras.sidecars)

    @property
    def all_init_containers(self) -> tuple[Container, ...]:
        """What runs before them: what the program needs, then those that are added."""
        return (*self.init_containers, *self.extras.init_containers)


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """How a client waits for a target: a command in the target's own image that ends with 0 when it is there.

    Args:
        command: The command and its arguments, run without a shell of its own.
        variables: What the command needs, such as a password.
        what: What is waited for behind the target's address, such as a database; nothing in particular unless given.
        advice: Whoever waits in vain is told this in the log.
        volumes: What the command reads, such as the CA of the server.
    """

    command: tuple[str, ...]
    variables: tuple[Variable, ...] = ()
    what: str = ""
    advice: str = ""
    volumes: tuple[Volume, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a command that is none."""
        if not self.command:
            raise SettingError("Readiness.command", self.command, "Give a program and its arguments.")
        for word in (*self.command, self.what, self.advice):
            told("Readiness", word)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A port of a workload, with the variables that introduce it to a client.

    Args:
        workload: The workload that serves it.
        port: The name of its port; the main one unless given.
        introduction: The variables by which a client finds it.
        readiness: How to wait for it; a target without cannot be waited for.
        watched: Whether the client only looks how it is, and uses nothing of it.
        volumes: What the client mounts to know it, such as the CA of its certificate.
    """

    workload: Pod
    port: str = ""
    introduction: tuple[Variable, ...] = ()
    readiness: Readiness | None = None
    watched: bool = False
    volumes: tuple[Volume, ...] = ()

    def __post_init__(self) -> None:
        """Fill in the main port."""
        if not self.port:
            object.__setattr__(self, "port", self.workload.main_port.name)

    @property
    def endpoint(self) -> Endpoint:
        """Where clients dial."""
        return self.workload.endpoint(self.port)


@dataclass(frozen=True, kw_only=True)
class HttpCheck:
    """What shows from outside whether something works that has no metrics of its own.

    Args:
        name: What it shows, such as ``backend``; the label ``check`` of its metrics.
        target: Whom it asks: a workload, or by HTTPS a host outside the application.
        path: What it asks for.
        condition: What the JSON of the answer must be, in CEL: ``body.agents.exists(a, a.name == 'x')``. Any answer
            with a status of 200 to 299 unless given.
    """

    name: str
    target: Target | External
    path: str
    condition: str = ""

    def __post_init__(self) -> None:
        """Refuse a check that asks for nothing."""
        dns_label("HttpCheck.name", self.name)
        url_path(f"HttpCheck.path of {self.name!r}", self.path)
        if isinstance(self.target, External) and not self.target.hosts:
            raise SettingError(
                f"HttpCheck.target of {self.name!r}", self.target.name, "Give it the host that is asked: hosts=(…,)."
            )

    @property
    def url(self) -> str:
        """What is asked for."""
        if isinstance(self.target, Target):
            return f"{self.target.endpoint.url}{self.path}"
        port = "" if self.target.port == 443 else f":{self.target.port}"
        return f"https://{self.target.hosts[0]}{port}{self.path}"


class Pod(Component):
    """A pod with an identity of its own: ServiceAccount, NetworkPolicy, connections.

    Args:
        scope: A Phase, or a construct inside one.
        settings: What runs.
    """

    def __init__(self, scope: Construct, settings: PodSettings) -> None:
        super().__init__(scope, settings.name, settings.name, settings.component)
        self.extras = settings.extras
        """What is added to the pod beside what its program needs."""
        self.container = settings.main_container
        """The main container, without the variables of its connections."""
        self.sidecars = settings.all_sidecars
        """The containers beside it."""
        self.api_access = settings.api_access
        """What it may read of the cluster's API, if anything."""
        self._firsts = settings.all_init_containers
        self._tls = settings.tls
        transit = self.application.settings.transit
        require_unsaid(f"{self.full_name} pod_labels", dict(self.extras.pod_labels), transit)
        require_unsaid(f"{self.full_name} pod_annotations", dict(self.extras.pod_annotations), transit)
        require_free(f"{self.full_name} port", (port.container for port in self.ports), transit)
        self.patch(*settings.extras.patches)
        self._metrics = (*settings.metrics, *settings.extras.metrics)
        self.grace_seconds = settings.termination_grace_seconds
        """Seconds from the start of a stop until it is killed."""
        self._introduced: list[Variable] = []
        self._main: Container | None = None
        self._waits: dict[str, Container] = {}
        self._connections: list[Target | External] = []
        self._awaited: list[Target] = []
        self._clients: dict[str, set[str]] = {}
        self._peers: list[tuple[Peer, str]] = []
        for endpoint in self._metrics:
            self.port(endpoint.port)
        if self.api_access:
            for peer in self.application.settings.api_server.peers:
                require_sayable("ApplicationSettings.api_server", peer, self._policies)

    @property
    def kind(self) -> str:
        """The kind of the object that runs it, such as ``Deployment``."""
        raise TypeError(f"{type(self).__name__} must say which kind of object runs it")

    @property
    def reference(self) -> str:
        """What runs it, as kubectl names it, such as ``deployment/shop-backend``."""
        return f"{self.kind.lower()}/{self.full_name}"

    @property
    def connections(self) -> Sequence[Target | External]:
        """Every target this pod may reach, in the order they were connected."""
        return tuple(self._connections)

    @property
    def awaited(self) -> Sequence[Target]:
        """The targets that it waits for before it starts."""
        return tuple(self._awaited)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The environment of the main container: its introductions, then its own settings."""
        return (*self._introduced, *self.container.variables)

    def add_variables(self, added: Sequence[Variable]) -> None:
        """Add variables to the main container; they can be referred to as ``$(NAME)`` by the container's own.

        Raises:
            SettingError: A variable is set twice.
        """
        self.application.require_open(self.full_name)
        for variable in added:
            if any(variable.name == present.name for present in self.variables):
                raise SettingError(f"{self.full_name} variable", variable.name, "It is set twice. Set it in one place.")
            self._introduced.append(variable)
            self._main = None

    def connects_to(self, *targets: Pod | Target | External, wait: bool = False) -> None:
        """Open a path to each target: the only way to open one.

        The client's policy lets it out, the target's policy lets it in, and the target's introduction comes into
        the client's environment.

        Args:
            targets: Workloads (their usual port), single ports of theirs, or externals.
            wait: Whether the client cannot survive the target's absence when it starts. An init container then
                runs the target's readiness command, from the target's own image, until it succeeds.

        Raises:
            SettingError: The target is of another application, was connected before, introduces a variable that is
                set already, cannot be waited for, is where no policy of this cluster can say, or speaks TLS alone and
                the client does not.
        """
        self.application.require_open(self.full_name)
        for given in targets:
            target = given.target if isinstance(given, Pod) else given
            if isinstance(target, Target):
                self._connect(target, wait)
            elif wait:
                raise SettingError(f"{self.full_name} connects_to", target.name, "An external cannot be waited for.")
            elif target in self._connections:
                raise SettingError(f"{self.full_name} connects_to", target.name, "It is connected already.")
            else:
                for listener in target.listeners:
                    require_sayable(f"{self.full_name} connects_to {target.name!r}", listener.peer, self._policies)
            self.add_variables(target.introduction)
            for volume in target.volumes:
                if volume not in self.container.volumes:
                    self.add_volume(volume)
            self._connections.append(target)

    @property
    def target(self) -> Target:
        """What a client reaches when it connects to this pod."""
        raise SettingError("connects_to", self.full_name, "It serves nothing. Give a workload with a Service.")

    # What clients see.

    @property
    def ports(self) -> tuple[Port, ...]:
        """Every port that its containers serve."""
        return tuple(port for container in (self.container, *self.sidecars) for port in container.ports)

    @property
    def main_port(self) -> Port:
        """The first port of its main container: what is meant where no port is named.

        Raises:
            SettingError: It serves nothing.
        """
        if not self.ports:
            raise SettingError(f"{self.full_name} port", "its main one", "It serves nothing. Give a pod with a port.")
        return self.ports[0]

    def port(self, name: str) -> Port:
        """One of its ports by name.

        Raises:
            SettingError: It has no port of this name.
        """
        for port in self.ports:
            if port.name == name:
                return port
        raise SettingError(
            f"{self.full_name} port",
            name,
            f"Give one of its ports: {', '.join(port.name for port in self.ports)}.",
        )

    def endpoint(self, port: str = "") -> Endpoint:
        """Where clients dial one of its ports, the main one unless given."""
        found = self.port(port) if port else self.main_port
        return Endpoint(scheme=found.scheme, host=self.full_name, port=found.number)

    # Who watches it.

    @property
    def metrics(self) -> tuple[MetricsEndpoint, ...]:
        """Where it serves metrics."""
        return self._metrics

    @property
    def http_checks(self) -> tuple[HttpCheck, ...]:
        """What shows from outside whether it works, where its metrics do not say so."""
        return ()

    def add_volume(self, volume: Volume) -> None:
        """Mount one more volume into the main container, for what depends on all other components.

        Raises:
            SettingError: Its name, or its folder, is taken.
        """
        self.application.require_open(self.full_name)
        self.container = replace(self.container, volumes=(*self.container.volumes, volume))
        self._main = None

    # Who may come in.

    def admit(self, client: Pod, port: str) -> None:
        """Let a client in; ``connects_to`` calls it."""
        self._clients.setdefault(self.port(port).name, set()).add(client.full_name)

    def accepts_from(self, peer: Peer, port: str = "") -> None:
        """Let a peer of outside the application in, such as the ingress controller; to the main port unless given.

        Raises:
            SettingError: No policy of this cluster can say who it is.
        """
        self.application.require_open(self.full_name)
        require_sayable(f"{self.full_name} accepts_from", peer, self._policies)
        self._peers.append((peer, self.port(port).name if port else self.main_port.name))

    @property
    def accepted(self) -> tuple[tuple[Peer, str], ...]:
        """The peers from outside the application, with the port each may reach."""
        return tuple(self._peers)

    @property
    def never_speaks(self) -> tuple[TlsClient, ...]:
        """With whom its program speaks no TLS, whatever its settings say."""
        return ()

    @property
    def _policies(self) -> PolicyKind:
        return self.application.settings.policies

    def _connect(self, target: Target, wait: bool) -> None:
        workload = target.workload
        where = f"{self.full_name} connects_to"
        if workload.application is not self.application:
            raise SettingError(
                where,
                workload.full_name,
                f"Unknown target: it is not part of the application {self.application.directory}. One of another is an "
                f"External(peer=NamespacePods(namespace={workload.namespace!r}, …)), and lets this in by accepts_from.",
            )
        same = (
            present
            for present in self.connections
            if isinstance(present, Target) and (present.workload, present.port) == (workload, target.port)
        )
        # Behind one port there may be several databases, each with variables of its own.
        if any(not (present.introduction and target.introduction) or present == target for present in same):
            raise SettingError(where, workload.full_name, f"Its port {target.port!r} is connected already.")
        needed = workload.port(target.port).tls
        if needed and needed not in self._tls and not target.watched:
            may = f"is not known to: where its program does, say tls=(TlsClient.{needed.name},), else"
            raise SettingError(
                where,
                workload.full_name,
                f"That speaks TLS alone, and {self.full_name} {'cannot:' if needed in self.never_speaks else may} name "
                "other stores in StoreTls.stores, or give IstioAmbient().",
            )
        workload.admit(self, target.port)
        if wait:
            if target.readiness is None:
                raise SettingError(
                    where,
                    workload.full_name,
                    "Nothing tells from outside when it is ready, so wait=True cannot be: connect to it in a call of "
                    f"its own, {self.name}.connects_to({workload.name}), and let the program try until it is there.",
                )
            self._awaited.append(target)
            name, number = f"wait-for-{workload.name}", 1
            while name in self._waits:
                number += 1
                name = f"wait-for-{workload.name}-{number}"
            present = (self.container, *self.sidecars, *self._firsts)
            if any(name == container.name for container in present):
                raise SettingError(f"{self.full_name} container name", name, "What it waits by has it. Give another.")
            readiness = target.readiness
            self._waits[name] = Container(
                name=name,
                image=workload.container.image,
                user=workload.container.user,
                compute=WAIT_COMPUTE,
                command=("/bin/sh", "-c", WAIT, "wait", *readiness.command),
                variables=(
                    Variable(name="TARGET", value=", ".join(filter(None, (target.endpoint.authority, readiness.what)))),
                    *(variables({"ADVICE": readiness.advice}) if readiness.advice else ()),
                    *readiness.variables,
                ),
                volumes=readiness.volumes,
            )

    @property
    def init_containers(self) -> tuple[Container, ...]:
        """What runs before the pod's containers: one for each target it waits for, then its own and those added."""
        return (*self._waits.values(), *self._firsts)

    @property
    def containers(self) -> tuple[Container, ...]:
        """The pod's containers, the main one first, with the variables of its connections."""
        if self._main is None:
            self._main = replace(self.container, variables=self.variables)
        return (self._main, *self.sidecars)

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """The pod's volumes: one that several containers mount is one volume."""
        found: dict[str, Volume] = {}
        for container in (*self.containers, *self.init_containers):
            for volume in container.volumes:
                present = found.setdefault(volume.name, volume)
                if present is not volume and replace(present, mount_path=volume.mount_path) != volume:
                    raise SettingError(
                        f"{self.full_name} volume",
                        volume.name,
                        f"Two containers mean different ones by it, {present} and {volume}. What has one name is one "
                        "volume, which they share: give both the same, or one of them another name.",
                    )
        return tuple(found.values())

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The storage that it keeps."""
        return tuple(volume for volume in self.volumes if isinstance(volume, Claim))

    @property
    def all_claims(self) -> tuple[Claim, ...]:
        """The storage of all its pods."""
        return self.claims

    @property
    def held_by_one(self) -> bool:
        """Whether it has storage that one pod at a time can have."""
        return any(volume.held_by_one for volume in self.volumes)

    @property
    def requests(self) -> Amount:
        """What the scheduler reserves for one pod: its containers, or its largest init container if that is more."""
        return self._sum(lambda container: container.requests) + proxy(self.application.settings.transit)[0]

    @property
    def limits(self) -> Amount:
        """The most that one pod may use."""
        return self._sum(lambda container: container.limits) + proxy(self.application.settings.transit)[1]

    def _sum(self, measure: Callable[[Container], Amount]) -> Amount:
        total = Amount()
        for container in self.containers:
            total += measure(container)
        for container in self.init_containers:
            total = total.at_least(measure(container))
        return total

    @property
    def priority_class(self) -> str:
        """The name of its PriorityClass, without the namespace's prefix; the cluster's default when empty."""
        return ""

    @property
    def steady_pods(self) -> int:
        """How many of its pods run at most when nothing is being rolled out."""
        return 1

    @property
    def lasting_pods(self) -> int:
        """How many of its pods always run when nothing is being rolled out."""
        return self.steady_pods

    @property
    def kept_pods(self) -> int:
        """How many of its pods must stay up while nodes are drained; 0 where nothing is said."""
        return 0

    @property
    def may_surge(self) -> bool:
        """Whether a new pod of it may run beside the old ones."""
        return False

    @property
    def surge_pods(self) -> int:
        """How many more run during a rollout: one, where the nodes have room for it when all others roll out too."""
        ground = self.application.ground
        return int(self.may_surge and (ground is None or ground.may_surge(self.full_name)))

    @property
    def passing_pods(self) -> int:
        """How many more there may be for a moment during a rollout, with those that are ending.

        A pod has its room until it has ended. Where the successor of a single one has no room beside it, it waits for
        that: else it would drive others out.
        """
        return int(self.may_surge and (self.surge_pods > 0 or self.steady_pods > 1))

    # What is rendered.

    def labels(self) -> dict[str, str]:
        """The labels of its objects."""
        return super().labels() | dict(self.extras.labels)

    def annotations(self, *own: tuple[str, str]) -> dict[str, str]:
        """The annotations of the object that runs its pod."""
        return dict((*own, *self.extras.annotations))

    @property
    def files(self) -> tuple[Files, ...]:
        """The files that it mounts."""
        return tuple(volume for volume in self.volumes if isinstance(volume, Files))

    @property
    def reads_secrets(self) -> bool:
        """Whether it reads anything of a Secret, by a variable or a file."""
        containers = (*self.containers, *self.init_containers)
        return any(isinstance(one.value, SecretKey) for container in containers for one in container.variables) or any(
            volume.secrets for volume in self.volumes
        )

    def config_maps(self) -> list[Manifest]:
        """The ConfigMaps of its Files volumes."""
        return [
            k8s.KubeConfigMap.manifest(
                metadata=self.metadata(files.object_name(self.full_name)),
                data=files.data,
            )
            for files in self.files
        ]

    def claim_annotations(self) -> dict[str, str]:
        """What tells ArgoCD that its claims outlive it."""
        return {"argocd.argoproj.io/sync-options": "Prune=false,Delete=false"}

    def claim_manifests(self) -> list[Manifest]:
        """The claims that it mounts. They outlive it: ArgoCD never deletes them."""
        return [
            k8s.KubePersistentVolumeClaim.manifest(
                metadata=self.metadata(claim.object_name(self.full_name), annotations=self.claim_annotations()),
                spec=claim.spec(self.application.storage_class),
            )
            for claim in self.claims
        ]

    def identity(self) -> list[Manifest]:
        """Its ServiceAccount, and what that may read of the cluster's API."""
        access = self.api_access
        if access is None:
            return [self.service_account()]
        subject = k8s.Subject(kind="ServiceAccount", name=self.full_name, namespace=self.namespace)
        group = "rbac.authorization.k8s.io"
        # A ClusterRole is one of the whole cluster's: its name says whose it is.
        wide = f"{self.namespace}-{self.full_name}"
        made: list[Manifest] = [self.service_account()]
        if access.rules:
            made += [
                k8s.KubeRole.manifest(metadata=self.metadata(), rules=[rule.render() for rule in access.rules]),
                k8s.KubeRoleBinding.manifest(
                    metadata=self.metadata(),
                    role_ref=k8s.RoleRef(api_group=group, kind="Role", name=self.full_name),
                    subjects=[subject],
                ),
            ]
        if access.cluster_rules:
            made += [
                k8s.KubeClusterRole.manifest(
                    metadata=self.metadata(wide, namespaced=False),
                    rules=[rule.render() for rule in access.cluster_rules],
                ),
                k8s.KubeClusterRoleBinding.manifest(
                    metadata=self.metadata(wide, namespaced=False),
                    role_ref=k8s.RoleRef(api_group=group, kind="ClusterRole", name=wide),
                    subjects=[subject],
                ),
            ]
        return made

    def service_account(self) -> Manifest:
        """Its own identity, without a token: whoever may ask the Kubernetes API mounts one itself."""
        because = {"kubernetes.io/description": self.api_access.because} if self.api_access else {}
        pull_secrets = [self.application.settings.image_pull_secret, *self.extras.image_pull_secrets]
        references = [k8s.LocalObjectReference(name=name) for name in dict.fromkeys(filter(None, pull_secrets))]
        return k8s.KubeServiceAccount.manifest(
            metadata=self.metadata(annotations=because | dict(self.extras.account_annotations)),
            automount_service_account_token=False,
            image_pull_secrets=references or None,
        )

    @property
    def opaque_ports(self) -> list[int]:
        """Those that speak no HTTP."""
        return sorted(port.container for port in self.ports if not port.scheme.startswith("http"))

    @property
    def _probed_ports(self) -> list[int]:
        """Those that the kubelet asks."""
        found = set[int]()
        for container in (self.container, *self.sidecars):
            numbers = {port.name: port.container for port in container.ports}
            for probe in container.asked.all if container.asked else ():
                if isinstance(probe.check, HttpGet | TcpSocket):
                    found.add(numbers[probe.check.port])
        return sorted(found)

    def network_policies(self) -> list[Manifest]:
        """Its policy: both directions closed but for its connections. Beside it Cilium's, where a peer needs that.

        One rule for each port that has clients, each workload that it connects to, each peer and each listener of
        outside. Whoever may ask the cluster's API reaches its server. DNS is in the baseline. In a mesh a path is that
        of its tunnel, and the mesh's own policy says which port is behind it.
        """
        transit = self.application.settings.transit
        admitted = {port.container: self._clients[port.name] for port in self.ports if port.name in self._clients}
        through: dict[tuple[int, ...], set[str]] = {}
        for number, names in admitted.items():
            through.setdefault(tuple(carried(transit, [number])), set()).update(names)
        clients = [
            ingress_rule([pods_peer({NAME_LABEL: client}) for client in sorted(names)], numbers)
            for numbers, names in through.items()
        ]
        clients += probe_rules(transit, self._probed_ports, self.application.settings.platform.ip_families)
        ports: dict[str, set[int]] = {}
        outgoing: list[Listener] = []
        for target in self.connections:
            if isinstance(target, Target):
                number = target.workload.port(target.port).container
                ports.setdefault(target.workload.full_name, set()).update(carried(transit, [number]))
            else:
                outgoing += [
                    Listener(peer=one.peer, port=number)
                    for one in target.listeners
                    for number in path_of(transit, one.peer, one.port)
                ]
        if self.api_access:
            server = self.application.settings.api_server
            outgoing += [Listener(peer=peer, port=port) for port in server.ports for peer in server.peers]
        peers = [(peer, self.port(port).container) for peer, port in self._peers]
        return [
            *pod_policies(
                self.metadata(),
                self.selector,
                self._policies,
                incoming=[(peer, number) for peer, port in peers for number in path_of(transit, peer, port)],
                outgoing=outgoing,
                clients=clients,
                targets=[egress_rule([pods_peer({NAME_LABEL: name})], ports[name]) for name in sorted(ports)],
            ),
            *pod_policies_of(transit, self.metadata(), self.selector, admitted, peers, self.opaque_ports),
        ]

    def pod_template(
        self,
        *,
        claims_are_templates: bool = False,
        restart_policy: str | None = None,
        spread: Sequence[k8s.TopologySpreadConstraint] = (),
    ) -> k8s.PodTemplateSpec:
        """The pod, hardened."""
        extras, placement = self.extras, self.extras.placement
        platform = self.application.settings.platform
        labels = super().labels() | {"app.kubernetes.io/version": self.container.image.version}
        config = [files.data for files in self.files]
        checksum = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        annotations = ({"checksum/config": checksum} if config else {}) | dict(extras.pod_annotations)
        annotations |= pod_annotations(self.application.settings.transit, self.opaque_ports)

        def rendered(containers: Sequence[Container]) -> list[k8s.Container]:
            return [
                container.render(extras.image_pull_policy, assigns_users=platform.assigns_users)
                for container in containers
            ]

        return k8s.PodTemplateSpec(
            metadata=k8s.ObjectMeta(labels=labels | dict(extras.pod_labels), annotations=annotations or None),
            spec=k8s.PodSpec(
                service_account_name=self.full_name,
                automount_service_account_token=False,
                enable_service_links=False,
                security_context=harden_pod(self.container.user, assigns_users=platform.assigns_users),
                priority_class_name=self.application.cluster_wide(self.priority_class) if self.priority_class else None,
                runtime_class_name=placement.runtime_class or None,
                node_selector=platform.node_selector | dict(placement.node_selector) or None,
                tolerations=[toleration.render() for toleration in placement.tolerations] or None,
                affinity=placement.affinity.render(),
                restart_policy=restart_policy,
                termination_grace_period_seconds=self.grace_seconds,
                topology_spread_constraints=list(spread) or None,
                init_containers=rendered(self.init_containers) or None,
                containers=rendered(self.containers),
                volumes=[
                    volume.source(self.full_name)
                    for volume in self.volumes
                    if not (claims_are_templates and isinstance(volume, Claim))
                ]
                or None,
            ),
        )
