"""This module is what there is to see of an application: its services, and who tells of them."""

from __future__ import annotations

from mcpmesh_k8s.access import Gateway, OAuth2Proxy
from mcpmesh_k8s.kubernetes import ApplicationScope, External, Pod
from mcpmesh_k8s.observability.alertmanager import Alertmanager
from mcpmesh_k8s.observability.blackbox import Blackbox
from mcpmesh_k8s.observability.kube_state_metrics import KubeStateMetrics
from mcpmesh_k8s.observability.monitors import Monitors
from mcpmesh_k8s.observability.prometheus import Prometheus
from mcpmesh_k8s.services import Agent, Minio, Postgres, Redis, Tempo

EVERY = "$__rate_interval"
"""The time over which Grafana lets Prometheus count: never less than four questions to a target."""

_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
_ENDS = f"{_SAFE}{{6,10}}-{_SAFE}{{5}}|[0-9]{{8}}-{_SAFE}{{5}}|{_SAFE}{{5}}|[0-9]+"
"""How Kubernetes goes on after a workload's name: pods of Deployments, CronJobs, Jobs and StatefulSets."""


class Seen:
    """What dashboards can be about.

    Args:
        application: The application, with all of its components.
    """

    def __init__(self, application: ApplicationScope) -> None:
        self.application = application
        self.pods = application.find_all(Pod)
        self.agents = application.find_all(Agent)
        self.gateways = application.find_all(Gateway)
        self.logins = application.find_all(OAuth2Proxy)
        self.tempos = application.find_all(Tempo)
        self.minios = application.find_all(Minio)
        self.redises = tuple(redis for redis in application.find_all(Redis) if redis.metrics)
        self.postgreses = tuple(postgres for postgres in application.find_all(Postgres) if postgres.metrics)

    @property
    def span_metrics(self) -> bool:
        """Whether spans are counted."""
        return any(tempo.span_metrics for tempo in self.tempos)

    @property
    def confined(self) -> bool:
        """Whether the Prometheus that is asked is one of the cluster, which knows of other namespaces too."""
        return not self.application.find_all(Prometheus)

    @property
    def _cluster(self) -> bool:
        """Whether the cluster's Prometheus asks its kubelets, and a kube-state-metrics of its own."""
        return any(monitors.settings.cluster_metrics for monitors in self.application.find_all(Monitors))

    @property
    def objects(self) -> bool:
        """Whether the cluster's objects are counted."""
        return self._cluster or bool(self.application.find_all(KubeStateMetrics))

    @property
    def kubelets(self) -> bool:
        """Whether it is known how much containers and claims use."""
        return self._cluster or any(one.settings.kubelet for one in self.application.find_all(Prometheus))

    @property
    def checks(self) -> bool:
        """Whether services are asked from outside."""
        return bool(self.application.find_all(Blackbox))

    @property
    def alertmanagers(self) -> tuple[Alertmanager, ...]:
        """Who tells people of alerts."""
        return self.application.find_all(Alertmanager)

    @property
    def models(self) -> dict[str, tuple[str, ...]]:
        """The agents that stand before an API outside, each with what they call."""
        return {
            agent.name: outside
            for agent in self.agents
            if (outside := tuple(target.name for target in agent.connections if isinstance(target, External)))
        }

    def by_workload(self, ask: str) -> str:
        """What is known of pods, with the short name of their workload as the label ``workload``."""
        prefix = self.application.prefixed("")
        return f'label_replace({ask}, "workload", "$1", "pod", "{prefix}(.+?)-(?:{_ENDS})")'

    def pods_of(self, variable: str) -> str:
        """The selector of the pods of the workloads that are chosen."""
        return f'pod=~"{self.application.prefixed("")}{variable}-.+"'


def names_of(pods: tuple[Pod, ...]) -> tuple[str, ...]:
    """Their short names."""
    return tuple(pod.name for pod in pods)


def job(pods: tuple[Pod, ...]) -> str:
    """The selector of what these pods tell."""
    names = names_of(pods)
    return f'job="{names[0]}"' if len(names) == 1 else f'job=~"{"|".join(names)}"'


def ratio(part: str, whole: str) -> str:
    """A part of a whole, where there is one."""
    return f"{part} / ({whole} > 0)"


def quantile(share: float, buckets: str, by: str = "") -> str:
    """Within how many seconds this share of a histogram was."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({buckets}[{EVERY}])))"
