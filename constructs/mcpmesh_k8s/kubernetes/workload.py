"""This module is services: Deployments and StatefulSets with everything that makes them one."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct

from .api import ApiObjectMetadata, k8s
from .errors import SettingError
from .identity import IdentityHeaders
from .manifest import Manifest
from .names import MAX_STATEFUL_SET, dns_label
from .pod import Pod, PodOptions, PodSettings, Target
from .quantity import Amount
from .scaling import (
    Autoscaling,
    Replicas,
    RequestCount,
    RequestRate,
    UpdateMode,
    VerticalScaling,
    horizontal_autoscaler,
    scaled_object,
    vertical_autoscaler,
)
from .service_mesh import proxy, service_annotations
from .storage import Claim
from .store import Store
from .values import dataclass
from .variable import Variable, variable_name


@dataclass(frozen=True, kw_only=True)
class Availability:
    """How many pods of a service run, and how they are kept apart and up.

    Args:
        scale: How many pods: `Replicas`, `Autoscaling` by CPU, or `RequestRate` by requests a second too.
        vertical: Whether what each pod requests follows what it uses; nobody watches it unless given.
        min_available: How many must stay up while nodes are drained (PodDisruptionBudget); none unless given.
            It must be fewer than always run, or no node could ever be drained.
        spread: Whether the pods are spread over nodes and zones.
        priority_class: The name of a PriorityClass of the application; the cluster's default unless given.
    """

    scale: Replicas | Autoscaling = Replicas()
    vertical: VerticalScaling | None = None
    min_available: int = 0
    spread: bool = False
    priority_class: str = ""

    def __post_init__(self) -> None:
        """Refuse a budget that blocks every drain, and two autoscalers that each undo what the other does."""
        if self.vertical and "cpu" in self.vertical.resources and isinstance(self.scale, Autoscaling):
            raise SettingError(
                "Availability.vertical",
                self.vertical.resources,
                f"{type(self.scale).__name__} follows the use of the CPU that pods request, and this would change that "
                "request by the same use. Give resources=('memory',), or scale=Replicas(…).",
            )
        if self.min_available < 0 or (self.min_available and self.min_available >= self.scale.least):
            raise SettingError(
                "Availability.min_available",
                self.min_available,
                f"With {self.scale.least} pods this blocks every drain of a node. Give fewer than "
                f"{self.scale.least}, or 0 for no budget.",
            )


@dataclass(frozen=True, kw_only=True)
class WorkloadOptions(PodOptions):
    """What every service takes, whatever program it is.

    A construct hands both to its ``WorkloadSettings``, so what is new in them reaches every service.

    Args:
        availability: How many pods, how many stay up, where, and how important they are. A service that runs one pod
            takes no other scale.
    """

    availability: Availability = Availability()


@dataclass(frozen=True, kw_only=True)
class WorkloadSettings(PodSettings, WorkloadOptions):
    """A service: a pod, how many of it, and how they are kept apart and available.

    Args:
        one_at_a_time: Whether the old pod must be gone before a new one starts: two would both write. A claim asks
            for it in any case. Give the reason, as a sentence: whoever asks for more pods is told.
        public_url_variable: The variable by which it learns the address that people type, where it builds links with
            it. A gateway sets it.
        identity_headers: How it is told who asks, where it reads that from headers. A gateway tells it.
        administrators_only: Why a gateway may show it to administrators alone, as a sentence: whoever gives it another
            route is told. Nothing is said of a program that asks people who they are, or shows nothing of others.
        ipv4_only: Whether its program listens on addresses of IPv4 alone. Where a cluster has both families, its
            Service has one of IPv4; where IPv6 is the first or the only one, it is refused.
        answer_seconds: How long an answer of it may take, where its program knows: a gateway waits as long, and a stop
            does.
    """

    one_at_a_time: bool | str = False
    public_url_variable: str = ""
    identity_headers: IdentityHeaders | None = None
    administrators_only: str = ""
    ipv4_only: bool = False
    answer_seconds: int = 0

    def __post_init__(self) -> None:
        """Refuse what contradicts itself inside one service, and a container that nobody would ask after."""
        super().__post_init__()
        for container in (self.container, *self.all_sidecars):
            if container.probes is None:
                raise SettingError(
                    f"{self.name} probes of container {container.name!r}",
                    None,
                    "Nobody would see that it hangs, and requests would come before it can serve. Give "
                    "Probes.of(HttpGet(path=…)) with a path that it answers, or Exec(command=…) or TcpSocket() in the "
                    "place of that; or why it has none, NoProbes(because=…).",
                )
        scale = self.availability.scale
        if self.one_at_a_time and scale.most > 1:
            why = self.one_at_a_time if isinstance(self.one_at_a_time, str) else "Only one may run at a time."
            raise SettingError(f"{self.name} scale", scale, f"{why} Give Replicas(count=1).")
        if self.termination_grace_seconds < self.answer_seconds:
            raise SettingError(
                f"{self.name} termination_grace_seconds",
                self.termination_grace_seconds,
                f"An answer of it may take {self.answer_seconds} seconds, and a roll-out would cut it. Give "
                f"{self.answer_seconds} or more.",
            )
        if self.public_url_variable:
            variable_name(f"{self.name} public_url_variable", self.public_url_variable)
        if self.answer_seconds < 0:
            raise SettingError(f"{self.name} answer_seconds", self.answer_seconds, "Give 0 or more.")


class Workload(Pod):
    """A service that we run: ServiceAccount, Deployment, Service and NetworkPolicy.

    Where settings call for them, claims, a PodDisruptionBudget and autoscalers are added.

    Args:
        scope: A Phase, or a construct inside one.
        settings: What runs.
    """

    def __init__(self, scope: Construct, settings: WorkloadSettings) -> None:
        super().__init__(scope, settings)
        self.availability = settings.availability
        """How many pods, how many stay up, where, and how important they are."""
        self._one_at_a_time = bool(settings.one_at_a_time)
        self._public_url_variable = settings.public_url_variable
        self.public_url = ""
        """Where people reach it, when a gateway serves it below a path."""
        self._request_count: RequestCount | None = None
        self.identity_headers = settings.identity_headers
        """How a gateway tells it who asks; by a token where nothing is said."""
        self.answer_seconds = settings.answer_seconds
        """How long an answer of it may take; 0 where its program does not know."""
        self.administrators_only = settings.administrators_only
        """Why it is for administrators alone; empty where it is not."""
        self._ipv4_only = settings.ipv4_only
        families = self.application.settings.platform.ip_families
        if self._ipv4_only and families[0] != "IPv4":
            raise SettingError(
                "Platform.ip_families",
                families,
                f"{self.full_name} listens on IPv4 alone, and the kubelet would ask it by IPv6. Give ('IPv4', 'IPv6') "
                "and a cluster whose first family is IPv4.",
            )
        if self.held_by_one and self.availability.scale.most > 1:
            raise SettingError(
                f"{self.full_name} scale",
                self.availability.scale,
                "Its storage is a ReadWriteOnce claim, which one pod can hold. Give Replicas(count=1).",
            )
        vertical = self.availability.vertical
        if vertical and vertical.mode is UpdateMode.RECREATE and not self.may_surge:
            raise SettingError(
                f"{self.full_name} vertical",
                vertical.mode,
                "Its pod is gone before another comes, so each change of its size would be an outage. Give "
                "UpdateMode.OFF, or UpdateMode.INITIAL.",
            )

    @property
    def kind(self) -> str:
        """A Deployment runs it."""
        return "Deployment"

    @property
    def finished_seconds(self) -> int:
        """How long an answer may take that is under way when a stop begins, and is still given."""
        return self.grace_seconds

    def cut_short(self, who: str, seconds: int, instead: str) -> str:
        """What is said where somebody waits longer than that.

        Args:
            who: Who waits, and for what.
            seconds: How long.
            instead: What else would do.
        """
        needed = self.grace_seconds + seconds - self.finished_seconds
        return (
            f"{who} waits {seconds} seconds for {self.full_name}, and a roll-out would cut an answer that takes more "
            f"than {max(self.finished_seconds, 0)}: it is killed {self.grace_seconds} seconds after its stop begins. "
            f"Give it termination_grace_seconds={needed} or more, or {instead}."
        )

    @property
    def target(self) -> Target:
        """Its main port, without an introduction. Services that introduce themselves say so here."""
        if not self.ports:
            raise SettingError("connects_to", self.full_name, "It serves nothing. Give a workload with a port.")
        return Target(workload=self)

    @property
    def unshown(self) -> Mapping[str, str]:
        """The paths of it that no gateway may pass on, to nobody, each with the reason as a sentence."""
        return {}

    def serve_at(self, url: str) -> None:
        """Tell it where people reach it; the gateway calls it.

        Args:
            url: The address of everything that it serves, with the path.

        Raises:
            SettingError: It is told twice: a link can lead to one place.
        """
        if self.public_url and self._public_url_variable:
            raise SettingError(
                f"{self.full_name} public address", url, f"It is served at {self.public_url} already. Give one gateway."
            )
        self.public_url = url
        self.add_variables(self.public_variables())

    def public_variables(self) -> tuple[Variable, ...]:
        """The variables that tell it its public address."""
        name = self._public_url_variable
        return (Variable(name=name, value=self.public_url),) if name else ()

    def believe_identity(self) -> None:
        """Have it believe who a gateway says that asks; the gateway calls it."""
        if self.identity_headers:
            self.add_variables(self.identity_headers.variables)

    # How many run.

    def count_requests(self, counted: RequestCount) -> None:
        """Tell it where requests to it are counted, for a `RequestRate`; what counts them calls it."""
        self.application.require_open(self.full_name)
        self._request_count = counted

    @property
    def counted(self) -> RequestCount | None:
        """Where requests to it are counted, if anybody counts them."""
        return self._request_count

    @property
    def requests(self) -> Amount:
        """What the scheduler reserves for one pod, at most: as an autoscaler may enlarge it."""
        vertical = self.availability.vertical
        if not (vertical and vertical.changes):
            return super().requests
        return self._sum(vertical.largest) + proxy(self.application.settings.transit)[0]

    @property
    def priority_class(self) -> str:
        """The name of its PriorityClass, without the namespace's prefix; the cluster's default when empty."""
        return self.availability.priority_class

    @property
    def steady_pods(self) -> int:
        """How many of its pods run at most when nothing is being rolled out."""
        return self.availability.scale.most

    @property
    def recreated(self) -> bool:
        """Whether the old pod goes before the new one comes: it writes alone, or holds a claim."""
        return self._one_at_a_time or self.held_by_one

    @property
    def lasting_pods(self) -> int:
        """How many of its pods always run when nothing is being rolled out."""
        return self.availability.scale.least

    @property
    def kept_pods(self) -> int:
        """How many of its pods must stay up while nodes are drained; 0 where nothing is said."""
        return self.availability.min_available

    @property
    def may_surge(self) -> bool:
        """Whether a new pod of it may run beside the old ones: unless only one may run."""
        return not self.recreated

    # What is rendered.

    def annotations(self, *own: tuple[str, str]) -> dict[str, str]:
        """With what lets a reloader restart it when a Secret of it changes. A store is never restarted so."""
        reloader = self.application.settings.reloader
        if reloader and self.reads_secrets and not isinstance(self, Store):
            own = (reloader.annotation, *own)
        return super().annotations(*own)

    def manifests(self) -> list[Manifest]:
        """All its objects."""
        return [
            *self.identity(),
            *self.config_maps(),
            *self.claim_manifests(),
            self.controller(),
            *self.services(),
            *self.network_policies(),
            *self.autoscaler(),
            *self.disruption_budget(),
        ]

    def controller(self) -> Manifest:
        """The Deployment. A rollout starts a new pod first where there is room for one, and else ends an old one."""
        surge = self.surge_pods
        rolling = k8s.DeploymentStrategy(
            type="RollingUpdate",
            rolling_update=k8s.RollingUpdateDeployment(
                max_surge=k8s.IntOrString.from_number(surge), max_unavailable=k8s.IntOrString.from_number(1 - surge)
            ),
        )
        return k8s.KubeDeployment.manifest(
            metadata=self.metadata(annotations=self.annotations()),
            spec=k8s.DeploymentSpec(
                replicas=self.availability.scale.replicas,
                revision_history_limit=3,
                progress_deadline_seconds=self._progress_seconds,
                selector=k8s.LabelSelector(match_labels=self.selector),
                strategy=rolling if self.passing_pods else k8s.DeploymentStrategy(type="Recreate"),
                template=self.pod_template(spread=self.spread_constraints()),
            ),
        )

    @property
    def _progress_seconds(self) -> int | None:
        """After how long without progress a rollout has failed, where the usual 600 seconds are too few.

        A pod for which quota or nodes have no room until another has ended is tried again after pauses that double, so
        within twice the time that it takes. What is taken for failed, ArgoCD gives up.
        """
        longest = 2 * self.grace_seconds
        return longest + 300 if longest > 600 else None

    def spread_constraints(self) -> list[k8s.TopologySpreadConstraint]:
        """Over nodes and zones as evenly as the cluster can; a small cluster still runs every pod."""
        if not self.availability.spread:
            return []
        return [
            k8s.TopologySpreadConstraint(
                max_skew=1,
                topology_key=key,
                when_unsatisfiable="ScheduleAnyway",
                label_selector=k8s.LabelSelector(match_labels=self.selector),
                # Those of one revision: counted with the pods that they replace, all new ones may end on one node.
                match_label_keys=["pod-template-hash"] if self.kind == "Deployment" else None,
            )
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ]

    def services(self) -> list[Manifest]:
        """Its Service, or none when it serves nothing."""
        return [self.service(self.full_name)] if self.ports else []

    def service(self, name: str, *, headless: bool = False) -> Manifest:
        """A Service over its pods."""
        dual_stack = self.application.settings.platform.dual_stack
        return k8s.KubeService.manifest(
            metadata=self.metadata(
                name, annotations=service_annotations(self.application.settings.transit, self.opaque_ports)
            ),
            spec=k8s.ServiceSpec(
                type="ClusterIP",
                cluster_ip="None" if headless else None,
                publish_not_ready_addresses=True if headless else None,
                ip_family_policy=("SingleStack" if self._ipv4_only else "PreferDualStack") if dual_stack else None,
                ip_families=["IPv4"] if dual_stack and self._ipv4_only else None,
                selector=self.selector,
                ports=[
                    k8s.ServicePort(
                        name=port.name,
                        port=port.number,
                        target_port=k8s.IntOrString.from_string(port.name),
                        protocol="TCP",
                    )
                    for port in self.ports
                ],
            ),
        )

    def autoscaler(self) -> list[Manifest]:
        """What scales it: HorizontalPodAutoscaler, ScaledObject or VerticalPodAutoscaler, where settings say so."""
        scale, vertical, made = self.availability.scale, self.availability.vertical, list[Manifest]()
        metadata = ApiObjectMetadata(name=self.full_name, namespace=self.namespace, labels=self.labels())
        if isinstance(scale, RequestRate):
            if self._request_count:
                made.append(scaled_object(metadata, self.kind, self.full_name, scale, self._request_count))
        elif isinstance(scale, Autoscaling):
            made.append(horizontal_autoscaler(self.metadata(), self.kind, self.full_name, scale))
        if vertical:
            made.append(
                vertical_autoscaler(metadata, self.kind, self.full_name, vertical, scale.least, *self.containers)
            )
        return made

    def disruption_budget(self) -> list[Manifest]:
        """The PodDisruptionBudget, where settings ask for one."""
        if not self.availability.min_available:
            return []
        return [
            k8s.KubePodDisruptionBudget.manifest(
                metadata=self.metadata(),
                spec=k8s.PodDisruptionBudgetSpec(
                    min_available=k8s.IntOrString.from_number(self.availability.min_available),
                    selector=k8s.LabelSelector(match_labels=self.selector),
                    # What is not ready serves nobody: a node with nothing but broken pods can be drained, too.
                    unhealthy_pod_eviction_policy="AlwaysAllow",
                ),
            )
        ]


class StatefulWorkload(Workload):
    """A service whose storage belongs to it: a StatefulSet with claim templates. Each pod has claims of its own.

    Several pods reach each other when it is connected to itself, ``store.connects_to(store)``: the first is
    ``<full name>-0.<full name>-pods``.

    Args:
        scope: A Phase, or a construct inside one.
        settings: What runs.
    """

    def __init__(self, scope: Construct, settings: WorkloadSettings) -> None:
        super().__init__(scope, settings)
        dns_label(f"{type(self).__name__} name", self.full_name, MAX_STATEFUL_SET)
        scale = self.availability.scale
        if isinstance(scale, Autoscaling):
            raise SettingError(f"{self.full_name} scale", scale, "Its pods keep state. Give Replicas(count=…).")

    @property
    def kind(self) -> str:
        """A StatefulSet runs it."""
        return "StatefulSet"

    @property
    def may_surge(self) -> bool:
        """A StatefulSet stops a pod before it starts the next."""
        return False

    @property
    def held_by_one(self) -> bool:
        """Whether it has storage that one pod at a time can have: a claim of its own is made for each."""
        return any(volume.held_by_one and not isinstance(volume, Claim) for volume in self.volumes)

    @property
    def all_claims(self) -> tuple[Claim, ...]:
        """The storage of all its pods."""
        return self.claims * self.availability.scale.most

    @property
    def headless_name(self) -> str:
        """The Service that gives the pods their names."""
        return f"{self.full_name}-pods"

    def claim_manifests(self) -> list[Manifest]:
        """None: the StatefulSet makes them from its templates."""
        return []

    def services(self) -> list[Manifest]:
        """The Service that clients dial, and the headless one that names the pods."""
        return [*super().services(), self.service(self.headless_name, headless=True)]

    def controller(self) -> Manifest:
        """The StatefulSet.

        The claim templates carry the fields that the API server adds, so ArgoCD sees no difference.
        """
        return k8s.KubeStatefulSet.manifest(
            metadata=self.metadata(annotations=self.annotations()),
            spec=k8s.StatefulSetSpec(
                service_name=self.headless_name,
                replicas=self.availability.scale.least,
                revision_history_limit=3,
                # Ordered, it would wait for a broken pod to become ready before it replaced it, and no revision that is
                # good again could mend it. An update still replaces one pod at a time.
                pod_management_policy="Parallel",
                update_strategy=k8s.StatefulSetUpdateStrategy(type="RollingUpdate"),
                selector=k8s.LabelSelector(match_labels=self.selector),
                template=self.pod_template(claims_are_templates=True, spread=self.spread_constraints()),
                volume_claim_templates=[
                    k8s.KubePersistentVolumeClaimProps(
                        metadata=k8s.ObjectMeta(
                            name=claim.name,
                            labels=self.selector,
                            annotations=self.claim_annotations(),
                        ),
                        spec=claim.spec(self.application.storage_class),
                    )
                    for claim in self.claims
                ]
                or None,
            ),
        )
