"""This module is the ground of an application: its namespace, what may run in it, and how much of it."""

from __future__ import annotations

from constructs import Construct

from .api import k8s
from .component import GROUND_WAVE, Component
from .errors import SettingError
from .manifest import Manifest
from .names import once
from .network import NamespacePods
from .pod import Pod
from .pod_security import LEVELS, PodSecurityException
from .quantity import Amount, Budget, bytes_text, cpu_text, in_bytes
from .storage import ExistingClaim
from .values import dataclass

DNS = NamespacePods(namespace="kube-system", labels=(("k8s-app", "kube-dns"),))
"""The cluster's DNS: CoreDNS and kube-dns carry this label alike."""


@dataclass(frozen=True, kw_only=True)
class NamespaceSettings:
    """How much of the cluster the application may take.

    Args:
        budget: The cluster it must fit in at steady state: every autoscaler at its maximum, every task running.
        dns: The pods that answer DNS.
        exceptions: The workloads that may do more than the restricted Pod Security Standard allows. None, as it should
            be: admission then holds the whole namespace to it.
    """

    budget: Budget
    dns: NamespacePods = DNS
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
    """

    def __init__(self, scope: Construct, settings: NamespaceSettings) -> None:
        super().__init__(scope, "namespace", "namespace")
        self.settings = settings

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
                        "pod-security.kubernetes.io/enforce": widest,
                        "pod-security.kubernetes.io/audit": "restricted",
                        "pod-security.kubernetes.io/warn": "restricted",
                    },
                    annotations={"argocd.argoproj.io/sync-options": "Prune=false,Delete=false"},
                )
            ),
            self.quota(),
            self.limit_range(),
            *self.baseline(),
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

    def quota(self) -> Manifest:
        """The ResourceQuota: what runs, and a rollout of everything at once."""
        pods = [(pod, pod.steady_pods + pod.surge_pods) for pod in self.application.find_all(Pod)]
        requests = sum((pod.requests * count for pod, count in pods), Amount())
        limits = sum((pod.limits * count for pod, count in pods), Amount())
        sizes = self.claim_sizes()
        hard = {
            "requests.cpu": cpu_text(requests.cpu),
            "requests.memory": bytes_text(requests.memory),
            "limits.cpu": cpu_text(limits.cpu),
            "limits.memory": bytes_text(limits.memory),
            "pods": str(sum(count for _, count in pods)),
            "persistentvolumeclaims": str(len(sizes)),
            "requests.storage": bytes_text(sum(sizes)),
            "services.nodeports": "0",
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
        made = [claim.size for pod in pods for claim in pod.claims]
        return [in_bytes("size of a claim", size) for size in (*made, *existing.values())]

    def limit_range(self) -> Manifest:
        """The LimitRange: no container and no claim larger than the largest of the application.

        Its defaults are for a container that someone starts by hand: the smallest that the application has.
        """
        containers = [
            container.compute
            for pod in self.application.find_all(Pod)
            for container in (*pod.containers, *pod.init_containers)
        ]
        largest, smallest = Amount(), Amount(cpu=10**9, memory=2**60)
        for compute in containers:
            limits = Amount.limits(compute)
            largest = largest.at_least(limits)
            smallest = Amount(cpu=min(smallest.cpu, limits.cpu), memory=min(smallest.memory, limits.memory))
        sizes = self.claim_sizes()

        def amounts(amount: Amount) -> dict[str, k8s.Quantity]:
            return {
                "cpu": k8s.Quantity.from_string(cpu_text(amount.cpu)),
                "memory": k8s.Quantity.from_string(bytes_text(amount.memory)),
            }

        items = []
        if containers:
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
        dns = k8s.NetworkPolicyEgressRule(
            to=self.settings.dns.render(),
            ports=[
                k8s.NetworkPolicyPort(port=k8s.IntOrString.from_number(53), protocol=protocol)
                for protocol in ("UDP", "TCP")
            ],
        )
        return [
            k8s.KubeNetworkPolicy.manifest(
                metadata=self.metadata(self.application.prefixed("default-deny")),
                spec=k8s.NetworkPolicySpec(pod_selector=everything, policy_types=["Ingress", "Egress"]),
            ),
            k8s.KubeNetworkPolicy.manifest(
                metadata=self.metadata(self.application.prefixed("allow-dns")),
                spec=k8s.NetworkPolicySpec(pod_selector=everything, policy_types=["Egress"], egress=[dns]),
            ),
        ]


@dataclass(frozen=True, kw_only=True)
class PriorityClassSettings:
    """How important pods are when the cluster is full.

    Args:
        name: Its name, without the application's prefix.
        value: Higher comes first. 0 is the default of pods without a class; system classes start at 2 billion.
        description: What it is for.
    """

    name: str
    value: int
    description: str

    def __post_init__(self) -> None:
        """Refuse what the API server would refuse."""
        if not -(10**9) <= self.value <= 10**9:
            raise SettingError(f"PriorityClass {self.name!r} value", self.value, "Give at most 1000000000.")


class PriorityClass(Component):
    """A PriorityClass of the application. It is an object of the whole cluster.

    Args:
        scope: A Phase.
        settings: Name and value.
    """

    def __init__(self, scope: Construct, settings: PriorityClassSettings) -> None:
        super().__init__(scope, f"priority-{settings.name}", settings.name)
        self.settings = settings

    @property
    def wave(self) -> int:
        """Before everything that names it: a pod of an unknown class is refused."""
        return GROUND_WAVE

    def manifests(self) -> list[Manifest]:
        """The PriorityClass."""
        return [
            k8s.KubePriorityClass.manifest(
                metadata=self.metadata(namespaced=False),
                value=self.settings.value,
                description=self.settings.description,
                preemption_policy="PreemptLowerPriority",
                global_default=False,
            )
        ]
