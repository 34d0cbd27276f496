"""This module is the cluster's platform: what differs between clusters of one Kubernetes, as far as pods notice it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from .errors import SettingError
from .names import once
from .quantity import Amount, Compute, bytes_text, cpu_text, in_bytes, millicores
from .values import dataclass

IpFamily = Literal["IPv4", "IPv6"]
"""A family of addresses, as a Service names it."""

Architecture = Literal["", "amd64", "arm64"]
"""A kind of processor, as the label ``kubernetes.io/arch`` of a node says it."""


@dataclass(frozen=True, kw_only=True)
class RequestRules:
    """What a cluster makes of the requests of a pod before it takes it in.

    What is below is raised there, and then the cluster has other objects than the ones that were applied.

    Args:
        cpu: The least CPU of a pod.
        memory: The least memory of a pod.
        least_memory_per_cpu: The least memory for each CPU.
        most_memory_per_cpu: The most memory for each CPU.
    """

    cpu: str
    memory: str
    least_memory_per_cpu: str
    most_memory_per_cpu: str

    def __post_init__(self) -> None:
        """Refuse bounds that are none."""
        millicores("RequestRules.cpu", self.cpu)
        in_bytes("RequestRules.memory", self.memory)
        least = in_bytes("RequestRules.least_memory_per_cpu", self.least_memory_per_cpu)
        if in_bytes("RequestRules.most_memory_per_cpu", self.most_memory_per_cpu) < least:
            raise SettingError(
                "RequestRules.most_memory_per_cpu",
                self.most_memory_per_cpu,
                f"Give at least the least, {self.least_memory_per_cpu}.",
            )

    def advice(self, asked: Amount) -> Iterator[str]:
        """What to ask for where a pod asks for what the cluster would change."""
        cpu, memory = millicores("cpu", self.cpu), in_bytes("memory", self.memory)
        if asked.cpu < cpu:
            yield f"at least {self.cpu} of CPU"
        if asked.memory < memory:
            yield f"at least {self.memory} of memory"
        least = in_bytes("memory", self.least_memory_per_cpu) * asked.cpu // 1000
        most = in_bytes("memory", self.most_memory_per_cpu) * asked.cpu // 1000
        if asked.memory < least:
            yield f"at least {self.least_memory_per_cpu} of memory for each CPU"
        if asked.memory > most:
            yield f"at most {self.most_memory_per_cpu} of memory for each CPU, so more CPU"

    def raised(self, compute: Compute) -> Compute:
        """What a pod of one container, that asks for so much, is given."""
        asked, most = compute.requests, compute.limits
        cpu = max(asked.cpu, millicores("cpu", self.cpu))
        least = in_bytes("memory", self.least_memory_per_cpu) * cpu // 1000
        memory = max(asked.memory, in_bytes("memory", self.memory), least)
        return replace(
            compute,
            cpu=cpu_text(cpu),
            memory=bytes_text(memory),
            cpu_limit=cpu_text(max(cpu, most.cpu)),
            memory_limit=bytes_text(max(memory, most.memory)),
        )


@dataclass(frozen=True, kw_only=True)
class Platform:
    """What a cluster gives its pods that others do not. The default is what most clusters do.

    ``platforms`` has names for some; ``docs/clusters.md`` says which cluster needs what.

    Args:
        assigns_users: Whether the cluster gives each namespace a range of user ids, and refuses a pod that names one
            of its own (OpenShift). Pods then name no user, group or group of volumes, and run as whom they are given,
            in the root group, which has no privilege of its own.
        ip_families: The families of addresses that pods and Services have, the first one first. A program listens on
            these and no others: on a node without IPv6, one that asks for it would not start.
        architecture: The processor that the images are made for, where nodes have several. Pods run on such nodes only.
        requests: What the cluster makes of a pod's requests (GKE Autopilot). A pod that it would change is refused.
    """

    assigns_users: bool = False
    ip_families: tuple[IpFamily, ...] = ("IPv4",)
    architecture: Architecture = ""
    requests: RequestRules | None = None

    def __post_init__(self) -> None:
        """Refuse a cluster without addresses."""
        if not self.ip_families:
            raise SettingError("Platform.ip_families", self.ip_families, "Give ('IPv4',), ('IPv6',) or both.")
        once("Platform.ip_families", list(self.ip_families))

    @property
    def dual_stack(self) -> bool:
        """Whether there are addresses of both families."""
        return len(self.ip_families) == 2

    def raised(self, compute: Compute) -> Compute:
        """What a small pod asks for here: for those whose need lies below what the cluster gives any pod."""
        return self.requests.raised(compute) if self.requests else compute

    @property
    def node_selector(self) -> dict[str, str]:
        """The labels of the nodes that the images are made for."""
        return {"kubernetes.io/arch": self.architecture} if self.architecture else {}

    @property
    def every_host(self) -> str:
        """Every address, as the ``--host`` of uvicorn: to it ``::`` is IPv6 alone, and nothing is both.

        Programs in Go need no other word: to them ``0.0.0.0`` is every address of both.
        """
        return "" if self.dual_stack else "::" if "IPv6" in self.ip_families else "0.0.0.0"


def bracketed(host: str) -> str:
    """A host as it stands before a port: an address of IPv6 in brackets."""
    try:
        return f"[{ipaddress.IPv6Address(host)}]"
    except ValueError:
        return host


OPENSHIFT = Platform(assigns_users=True)
"""OpenShift 4.11 and newer, under its SCC ``restricted-v2``."""

AUTOPILOT = Platform(
    requests=RequestRules(cpu="50m", memory="52Mi", least_memory_per_cpu="1Gi", most_memory_per_cpu="6656Mi")
)
"""GKE Autopilot with bursting, in its class for all purposes (cloud.google.com, Resource requests in Autopilot)."""
