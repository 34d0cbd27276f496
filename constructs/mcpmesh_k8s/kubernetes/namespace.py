"""This module is the ground of an application: its namespace, what may run in it, and how much of it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from constructs import Construct

from .api import ApiObjectMetadata, k8s
from .budget import Budget
from .capacity import Capacity, Share
from .component import GROUND_WAVE, Component
from .errors import SettingError
from .guest import Guest
from .manifest import Manifest
from .names import once
from .network import DNS_PROTOCOLS, Dns, PolicyKind, cilium_policy, egress_rule, needs_cilium, require_sayable
from .pod import Pod
from .pod_security import LEVELS, PodSecurityException
from .quantity import Amount, bytes_text, in_bytes
from .service_mesh import namespace_labels, namespace_policies, proxy
from .storage import ExistingClaim
from .transit import Linkerd
from .values import dataclass


@dataclass(frozen=True, kw_only=True)
class NamespaceSettings:
    """How much of the cluster the application may take.

    Args:
        budget: The cluster it must fit in: every autoscaler at its maximum, every task running.
        dns: Who answers DNS in this cluster.
        exceptions: The workloads that may do more than the restricted Pod Security Standard allows. None, as it should
            be: admission then holds the whole namespace to it.
    """

    budget: Budget
    dns: Dns = Dns.kube_dns()
    exceptions: tuple[PodSecurityException, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two exceptions of one workload."""
        once("NamespaceSettings.exceptions workload", [exception.workload for exception in self.exceptions])


class Namespace(Component):
    """The namespace, with what may run in it, how much, and who may talk.

    It has Pod Security Admission, the quota and limits that follow from what runs in it, and the baseline policies:
    every pod is closed in both directions, and may ask the DNS.

    Args:
        scope: The first Phase.
        settings: Budget and DNS.

    Raises:
        SettingError: No policy of this cluster can say who answers DNS.
    """

    def __init__(self, scope: Construct, settings: NamespaceSettings) -> None:
        super().__init__(scope, "namespace", "namespace")
        self.settings = settings
        self._capacity: tuple[int, Capacity] | None = None
        self.application.ground = self
        kind = self.application.settings.policies
        for server in settings.dns.servers:
            require_sayable("Dns.servers", server.peer, kind)
        if isinstance(self.application.settings.transit, Linkerd) and self.application.settings.platform.assigns_users:
            raise SettingError(
                "ApplicationSettings.transit",
                "Linkerd",
                "Its proxies run as a user of their own, and Platform.assigns_users says that the cluster gives pods "
                "theirs. Give IstioAmbient().",
            )
        if settings.dns.proxied and kind is not PolicyKind.CILIUM:
            raise SettingError(
                "Dns.proxied", True, "Only Cilium reads questions: say ApplicationSettings(policies=PolicyKind.CILIUM)."
            )

    @property
    def wave(self) -> int:
        """Before everything that lies in it."""
        return GROUND_WAVE

    def manifests(self) -> list[Manifest]:
        """The namespace's objects."""
        self.require_budget()
        widest = min(
            (exception.level for exception in self.settings.exceptions), key=LEVELS.index, default="restricted"
        )
        return [
            k8s.KubeNamespace.manifest(
                metadata=k8s.ObjectMeta(
                    name=self.namespace,
                    labels={
                        "app.kubernetes.io/part-of": self.application.settings.name,
                        "app.kubernetes.io/managed-by": "cdk8s",
                        **dict(self.application.settings.labels),
                        "pod-security.kubernetes.io/enforce": widest,
                        "pod-security.kubernetes.io/audit": "restricted",
                        "pod-security.kubernetes.io/warn": "restricted",
                        **namespace_labels(self.application.settings.transit),
                    },
                    annotations={"argocd.argoproj.io/sync-options": "Prune=false,Delete=false"},
                )
            ),
            *self.storage_classes(),
            self.quota(),
            self.limit_range(),
            *self.baseline(),
            *namespace_policies(
                self.application.settings.transit, self.metadata(self.application.prefixed("service-mesh"))
            ),
        ]

    def steady(self) -> list[tuple[Amount, Pod]]:
        """What each pod component requests at steady state, the largest first."""
        amounts = [(pod.requests * pod.steady_pods, pod) for pod in self.application.find_all(Pod)]
        return sorted(amounts, key=lambda part: (-part[0].cpu, -part[0].memory, part[1].name))

    def require_budget(self) -> None:
        """Refuse an application that does not fit its cluster.

        Raises:
            SettingError: The sum of all requests exceeds the budget; the message names the largest parts.
        """
        budget = self.settings.budget.amount
        parts = self.steady()
        total = sum((amount for amount, _ in parts), Amount())
        for what, over in (("cpu", total.cpu > budget.cpu), ("memory", total.memory > budget.memory)):
            if over:
                largest = sorted(parts, key=lambda part: getattr(part[0], what), reverse=True)[:4]
                listing = "; ".join(f"{pod.steady_pods} x {pod.name} {amount}" for amount, pod in largest)
                raise SettingError(
                    f"Budget.{what} of {self.application.settings.name}",
                    str(budget),
                    f"All requests together are {total}. Give a larger budget, or smaller parts. Largest: {listing}.",
                )

    @property
    def capacity(self) -> Capacity | None:
        """What the nodes of the budget have room for, as the application stands; nothing when it names none."""
        if not self.settings.budget.nodes:
            return None
        changes = self.application.changes
        if self._capacity is None or self._capacity[0] != changes:
            self._capacity = changes, Capacity(self.application, self.settings.budget)
        return self._capacity[1]

    def shares(self) -> tuple[Share, ...]:
        """For how many pods of each workload the nodes have room for sure; nothing where the budget names none."""
        self.application.look()
        return self.capacity.shares if self.capacity else ()

    def may_surge(self, name: str) -> bool:
        """Whether a new pod of a component has room beside the old ones, while everything is rolled out."""
        return self.capacity is None or self.capacity.may_surge(name)

    def problems(self) -> Sequence[str]:
        """What the nodes of the budget have no room for."""
        return list(self.capacity.problems()) if self.capacity else []

    def storage_classes(self) -> list[Manifest]:
        """The class of the claims, where it is the application's own. ArgoCD leaves it: what is claimed needs it."""
        given = self.application.settings.storage_class
        if isinstance(given, str):
            return []
        keep = {"argocd.argoproj.io/sync-options": "Prune=false,Delete=false"}
        return [given.manifest(self.metadata(self.application.storage_class, annotations=keep, namespaced=False))]

    def quota(self) -> Manifest:
        """The ResourceQuota: what runs, a rollout of everything at once, and guests."""
        pods = [(pod, pod.steady_pods + pod.passing_pods) for pod in self.application.find_all(Pod)]
        guests = self.application.find_all(Guest)
        requests = sum((pod.requests * count for pod, count in pods), Amount())
        requests = sum((guest.requests for guest in guests), requests)
        limits = sum((pod.limits * count for pod, count in pods), Amount())
        limits = sum((guest.limits for guest in guests), limits)
        sizes = self.claim_sizes()
        hard = {
            **{f"requests.{name}": text for name, text in requests.resources.items()},
            **{f"limits.{name}": text for name, text in limits.resources.items()},
            "pods": str(sum(count for _, count in pods) + sum(guest.settings.pods for guest in guests)),
            "persistentvolumeclaims": str(len(sizes)),
            "requests.storage": bytes_text(sum(sizes)),
            "services.nodeports": str(sum(guest.settings.node_ports for guest in guests)),
            "services.loadbalancers": "0",
        }
        return k8s.KubeResourceQuota.manifest(
            metadata=self.metadata(self.application.settings.name),
            spec=k8s.ResourceQuotaSpec(hard={name: k8s.Quantity.from_string(amount) for name, amount in hard.items()}),
        )

    def claim_sizes(self) -> list[int]:
        """The size of every claim in the namespace, in bytes: those that are made, and those that exist."""
        pods = self.application.find_all(Pod)
        existing = {
            volume.claim: volume.size for pod in pods for volume in pod.volumes if isinstance(volume, ExistingClaim)
        }
        made = [claim.size for pod in pods for claim in pod.all_claims]
        return [in_bytes("size of a claim", size) for size in (*made, *existing.values())]

    def limit_range(self) -> Manifest:
        """The LimitRange: no container and no claim larger than the largest of the application.

        Its defaults are for a container that someone starts by hand: the smallest that the application has.
        """
        limits = [
            container.limits
            for pod in self.application.find_all(Pod)
            for container in (*pod.containers, *pod.init_containers)
        ]
        sizes = self.claim_sizes()

        def amounts(amount: Amount) -> dict[str, k8s.Quantity]:
            return {name: k8s.Quantity.from_string(text) for name, text in amount.resources.items()}

        items = []
        if limits:
            guests = [guest.settings.compute.limits for guest in self.application.find_all(Guest)]
            largest = functools.reduce(Amount.at_least, [*limits, *guests, proxy(self.application.settings.transit)[1]])
            smallest = functools.reduce(Amount.at_most, limits)
            items.append(
                k8s.LimitRangeItem(
                    type="Container",
                    max=amounts(largest),
                    default=amounts(smallest),
                    default_request=amounts(smallest),
                )
            )
        if sizes:
            items.append(
                k8s.LimitRangeItem(
                    type="PersistentVolumeClaim",
                    max={"storage": k8s.Quantity.from_string(bytes_text(max(sizes)))},
                )
            )
        return k8s.KubeLimitRange.manifest(
            metadata=self.metadata(self.application.settings.name), spec=k8s.LimitRangeSpec(limits=items)
        )

    def baseline(self) -> list[Manifest]:
        """Default deny for every pod of the namespace, and DNS."""
        everything = k8s.LabelSelector()
        kind, dns = self.application.settings.policies, self.settings.dns
        by_cilium = [server for server in dns.servers if dns.proxied or needs_cilium(server.peer, kind)]
        rules = [
            egress_rule(server.peer.render(), [server.port], DNS_PROTOCOLS)
            for server in dns.servers
            if server not in by_cilium
        ]
        closed = k8s.KubeNetworkPolicy.manifest(
            metadata=self.metadata(self.application.prefixed("default-deny")),
            spec=k8s.NetworkPolicySpec(pod_selector=everything, policy_types=["Ingress", "Egress"]),
        )
        name = self.application.prefixed("allow-dns")
        allowed = k8s.KubeNetworkPolicy.manifest(
            metadata=self.metadata(name),
            spec=k8s.NetworkPolicySpec(pod_selector=everything, policy_types=["Egress"], egress=rules),
        )
        metadata = ApiObjectMetadata(name=name, namespace=self.namespace, labels=self.labels())
        return [closed, *([allowed] if rules else []), *cilium_policy(metadata, {}, outgoing=by_cilium, dns=dns)]
