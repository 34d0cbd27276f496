"""This module is Prometheus in the application's namespace: it collects what every pod says, and judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from constructs import Construct

from mcpmesh_k8s.access import Gateway
from mcpmesh_k8s.images import PROMETHEUS
from mcpmesh_k8s.kubernetes import (
    TOKEN_PATH,
    AddressRange,
    Alert,
    ApiAccess,
    ApiRule,
    Claim,
    Component,
    Compute,
    Container,
    External,
    File,
    Files,
    HttpGet,
    Image,
    MetricsEndpoint,
    Peer,
    Pod,
    Port,
    Probes,
    RequestCount,
    RequestRate,
    Scratch,
    SettingError,
    Target,
    User,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    authority,
    in_bytes,
    yaml_text,
)
from mcpmesh_k8s.services import DataSource, SourceKind

from .alertmanager import Alertmanager
from .alerts import NODE_LOST, OF_CONTAINERS, of_collection
from .blackbox import Blackbox, Configuration

USER = User(uid=65534, gid=65534)
"""The user ``nobody`` of the image (prometheus/prometheus, Dockerfile)."""

_DATA = "/prometheus"
_ETC = "/etc/prometheus"
_KUBELET_PORT = 10250
_FULL = 0.8
"""How much of its storage the blocks may take: the write-ahead log and a compaction need the rest."""


@dataclass(frozen=True, kw_only=True)
class Kubelet:
    """The kubelets of all nodes, which alone know how much CPU, memory and storage a container uses.

    Kubernetes has no smaller right for it than that to the metrics of all nodes (ClusterRole, ``nodes/metrics``). Of
    what they say, only what is about the application's own namespace is kept.

    Args:
        nodes: Where nodes are, as a policy sees them; all private addresses unless given. With Cilium give
            ``HostNetwork()``.
    """

    nodes: tuple[Peer, ...] = (
        AddressRange(cidr="10.0.0.0/8"),
        AddressRange(cidr="172.16.0.0/12"),
        AddressRange(cidr="192.168.0.0/16"),
        AddressRange(cidr="fc00::/7"),
    )

    def __post_init__(self) -> None:
        """Refuse kubelets that nobody could reach."""
        if not self.nodes:
            raise SettingError("Kubelet.nodes", self.nodes, "Give at least one peer, or kubelet=None.")


@dataclass(frozen=True, kw_only=True)
class PrometheusSettings(WorkloadOptions):
    """A Prometheus server for one namespace.

    Args:
        image: The image.
        compute: CPU and memory. Some 200 series a pod are little: 512Mi hold the plan's application.
        storage: Where samples lie: a claim, or scratch space that is lost with the pod; mounted at ``/prometheus``.
        retention_days: Days after which a sample is deleted. When the storage fills up before, the oldest go.
        interval_seconds: Seconds between two questions to a target, and between two judgements.
        runbooks: The URL below which people find the page of an alert, ``<name>.md``.
        kubelet: Where CPU, memory and storage of containers are read; nothing is known of them without.
        name: The short name.
    """

    image: Image = PROMETHEUS
    compute: Compute = Compute(cpu="100m", memory="384Mi", cpu_limit="500m", memory_limit="512Mi")
    storage: Claim | Scratch = Scratch(name="data", mount_path=_DATA, size="2Gi")
    retention_days: int = 15
    interval_seconds: int = 30
    runbooks: str = "docs/runbooks"
    kubelet: Kubelet | None = Kubelet()
    name: str = "prometheus"

    def __post_init__(self) -> None:
        """Refuse what Prometheus would not use, or would not start with."""
        super().__post_init__()
        if self.storage.mount_path != _DATA:
            raise SettingError("PrometheusSettings.storage", self.storage.mount_path, f"Mount it at {_DATA}.")
        if self.retention_days < 1:
            raise SettingError("PrometheusSettings.retention_days", self.retention_days, "Give 1 or more.")
        require_interval("PrometheusSettings.interval_seconds", self.interval_seconds)


def require_interval(where: str, seconds: int) -> None:
    """Refuse a time between two questions with which alerts would not see what they are about."""
    if not 5 <= seconds <= 120:
        raise SettingError(
            where, seconds, "Give 5 to 120: a series is taken for gone after five minutes without a sample."
        )


class Prometheus(Workload):
    """Prometheus: one pod that finds what to ask by the API, and asks everything that states a ``MetricsEndpoint``.

    It is let into each of these pods, and nowhere else.

    Args:
        scope: A Phase.
        settings: Image, storage, retention.
    """

    def __init__(self, scope: Construct, settings: PrometheusSettings) -> None:
        self.settings = settings
        size = int(in_bytes("PrometheusSettings.storage", settings.storage.size) * _FULL) // 2**20
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                availability=settings.availability,
                extras=settings.extras,
                component="metrics",
                administrators_only="It asks nobody who they are, and answers whatever is asked of it.",
                one_at_a_time="Two would write to one storage, and call people twice.",
                termination_grace_seconds=120,
                api_access=ApiAccess(
                    because="It finds the pods that it asks for their metrics.",
                    rules=(ApiRule(resources=("pods",), verbs=("list", "watch")),),
                    cluster_rules=(
                        ApiRule(resources=("nodes",), verbs=("list", "watch")),
                        ApiRule(resources=("nodes/metrics",), verbs=("get",)),
                    )
                    if settings.kubelet
                    else (),
                ),
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    args=(
                        f"--config.file={_ETC}/prometheus.yaml",
                        f"--storage.tsdb.path={_DATA}",
                        f"--storage.tsdb.retention.time={settings.retention_days}d",
                        f"--storage.tsdb.retention.size={size}MB",
                        "--web.enable-remote-write-receiver",
                        "--enable-feature=exemplar-storage",
                        "--log.format=json",
                    ),
                    ports=(Port(number=9090),),
                    probes=Probes.of(
                        HttpGet(path="/-/ready"), liveness=HttpGet(path="/-/healthy"), startup_seconds=300
                    ),
                    volumes=(settings.storage,),
                ),
            ),
        )
        if settings.kubelet:
            for peer in settings.kubelet.nodes:
                self.connects_to(External(name=f"kubelet {peer.title}", port=_KUBELET_PORT, peer=peer))

    def settle(self) -> None:
        """Connect to everything that has metrics, and take up the rules of all components."""
        pods = [pod for pod in self.application.find_all(Pod) if pod is not self]
        for pod in pods:
            for port in dict.fromkeys(endpoint.port for endpoint in pod.metrics):
                self.connects_to(Target(workload=pod, port=port, watched=True))
            for secret in dict.fromkeys(endpoint.certificate for endpoint in pod.metrics if endpoint.certificate):
                self.add_volume(authority(pod.name, secret))
        self.connects_to(*(target for target in self.application.find_all(Alertmanager) if not self._reaches(target)))
        self._count_requests()
        rules = alerting_rules(self.application.find_all(Component), self.settings.runbooks)
        files = [File(path="prometheus.yaml", content=_text(self.configuration(pods)))]
        if rules:
            files.append(File(path="rules/alerts.yaml", content=_text({"groups": rules})))
        self.add_volume(Files(mount_path=_ETC, files=tuple(files)))

    def _count_requests(self) -> None:
        """Tell workloads that scale by requests where gateways' counts of them are, and let in who asks."""
        gateways = self.application.find_all(Gateway)
        server = f"http://{self.full_name}.{self.application.settings.service_domain}:{self.main_port.number}"
        admitted = set[Peer]()
        for workload in self.application.find_all(Workload):
            scale = workload.availability.scale
            if not isinstance(scale, RequestRate):
                continue
            # One sample more than a rate needs: one may be missing.
            window = 4 * self.settings.interval_seconds
            counts = [gateway.requests_to(workload, within_seconds=window) for gateway in gateways if gateway.metrics]
            query = " + ".join(filter(None, counts))
            if query:
                workload.count_requests(RequestCount(server=server, query=query))
                if scale.keda not in admitted:
                    admitted.add(scale.keda)
                    self.accepts_from(scale.keda)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What it knows of its own work, and what kubelets show."""
        pods = self.application.find_all(Pod)
        jobs = tuple(job_name(pod, endpoint) for pod in pods for endpoint in pod.metrics)
        kubelets = ("kubelet", "cadvisor") if self.settings.kubelet else ()
        return (*of_collection((self.name, *jobs, *kubelets)), *((NODE_LOST, *OF_CONTAINERS) if kubelets else ()))

    @property
    def data_source(self) -> DataSource:
        """What it has collected, as Grafana asks for it."""
        every = self.settings.interval_seconds
        return DataSource(kind=SourceKind.PROMETHEUS, at=Target(workload=self), interval_seconds=every)

    @property
    def remote_write_url(self) -> str:
        """Where others write samples to it."""
        return f"{self.endpoint().url}/api/v1/write"

    def _reaches(self, workload: Workload) -> bool:
        return any(isinstance(target, Target) and target.workload is workload for target in self.connections)

    def configuration(self, pods: Sequence[Pod]) -> Configuration:
        """What Prometheus is told."""
        interval = f"{self.settings.interval_seconds}s"
        jobs: list[Configuration] = [
            {"job_name": self.name, "static_configs": [{"targets": ["localhost:9090"], "labels": {"pod": self.name}}]}
        ]
        jobs += [self._job(pod, endpoint) for pod in pods for endpoint in pod.metrics]
        jobs += [job for blackbox in self.application.find_all(Blackbox) for job in blackbox.scrape_jobs()]
        if self.settings.kubelet:
            jobs += [self._kubelet_job("kubelet", "/metrics", "kubelet_volume_stats_.*")]
            jobs += [self._kubelet_job("cadvisor", "/metrics/cadvisor", CONTAINER_METRICS)]
        told = [{"targets": [found.endpoint().authority]} for found in self.application.find_all(Alertmanager)]
        return {
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "rule_files": [f"{_ETC}/rules/*.yaml"],
            **({"alerting": {"alertmanagers": [{"static_configs": told}]}} if told else {}),
            "scrape_configs": jobs,
        }

    def _job(self, pod: Pod, endpoint: MetricsEndpoint) -> Configuration:
        """One endpoint of every pod of a workload. All jobs share one watch of the API, since they ask it alike."""
        job: Configuration = {"job_name": job_name(pod, endpoint)}
        if endpoint.interval_seconds:
            job["scrape_interval"] = f"{endpoint.interval_seconds}s"
        if endpoint.honor_labels:
            job["honor_labels"] = True
        if endpoint.certificate:
            ca = authority(pod.name, endpoint.certificate)
            # The address that is asked is a pod's, and the certificate is for the names of its Service.
            job |= {
                "scheme": "https",
                "tls_config": {"ca_file": f"{ca.mount_path}/ca.crt", "server_name": pod.full_name},
            }
        asked = Relabeling(
            source_labels=(
                "__meta_kubernetes_pod_label_app_kubernetes_io_name",
                "__meta_kubernetes_pod_container_port_name",
            ),
            regex=f"{pod.full_name};{endpoint.port}",
            action="keep",
        )
        job |= {
            "metrics_path": endpoint.path,
            "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [self.namespace]}}],
            "relabel_configs": [step.configuration() for step in (asked, *relabelings(pod, endpoint))],
        }
        return job

    def _kubelet_job(self, name: str, path: str, kept: str) -> Configuration:
        """What kubelets say of this namespace. Many sign their certificates themselves, so these are not verified."""
        return {
            "job_name": name,
            "metrics_path": path,
            "scheme": "https",
            "authorization": {"credentials_file": f"{TOKEN_PATH}/token"},
            "tls_config": {"insecure_skip_verify": True},
            "kubernetes_sd_configs": [{"role": "node"}],
            "relabel_configs": [{"source_labels": ["__meta_kubernetes_node_name"], "target_label": "node"}],
            "metric_relabel_configs": [
                {"source_labels": ["namespace"], "regex": self.namespace, "action": "keep"},
                {"source_labels": ["__name__"], "regex": kept, "action": "keep"},
            ],
        }


CONTAINER_METRICS = (
    "container_(cpu_usage_seconds_total|cpu_cfs_(throttled_)?periods_total|memory_working_set_bytes|oom_events_total)"
)
"""What is kept of cAdvisor's hundred metrics."""


@dataclass(frozen=True, kw_only=True)
class Relabeling:
    """A step that changes the labels of what is asked, or leaves it out.

    Args:
        source_labels: The labels whose values are joined by ``;``.
        regex: What they must match as a whole.
        action: What is done; a label is written unless given.
        target_label: The label that is written.
        replacement: What is written; the joined values unless given.
    """

    source_labels: tuple[str, ...] = ()
    regex: str = ""
    action: Literal["", "keep", "drop", "labeldrop"] = ""
    target_label: str = ""
    replacement: str = ""

    def configuration(self) -> Configuration:
        """The step as Prometheus is told it."""
        given: Configuration = {
            "source_labels": list(self.source_labels),
            "regex": self.regex,
            "action": self.action,
            "target_label": self.target_label,
            "replacement": self.replacement,
        }
        return {name: value for name, value in given.items() if value}


def relabelings(pod: Pod, endpoint: MetricsEndpoint) -> tuple[Relabeling, ...]:
    """Which of a workload's pods are asked, and what their series are called, whoever collects them."""
    name = ("__meta_kubernetes_pod_name",)
    steps = [
        Relabeling(
            source_labels=("__meta_kubernetes_pod_phase",), regex="Pending|Succeeded|Failed|Unknown", action="drop"
        ),
        Relabeling(source_labels=name, target_label="instance"),
    ]
    # Who speaks of others says itself whom it means: an alert about a Job is not one about what reports it.
    if not endpoint.honor_labels:
        steps += [
            Relabeling(source_labels=name, target_label="pod"),
            Relabeling(source_labels=("__meta_kubernetes_pod_node_name",), target_label="node"),
            Relabeling(target_label="service", replacement=pod.name),
        ]
    return tuple(steps)


def job_name(pod: Pod, endpoint: MetricsEndpoint) -> str:
    """The name of an endpoint's job: that of its workload, with the port where a workload has several endpoints."""
    if pod.metrics[0] == endpoint:
        return pod.name
    return f"{pod.name}-{endpoint.port}"


def alerting_rules(components: Sequence[Component], runbooks: str) -> list[Configuration]:
    """The rules of all components, a group for each that has any.

    Two servers of one kind have rules of one name, each about its own job.
    """
    return [
        {"name": component.name, "rules": [_rule(alert, runbooks) for alert in component.alerts]}
        for component in components
        if component.alerts
    ]


def _rule(alert: Alert, runbooks: str) -> Mapping[str, object]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": f"{alert.for_minutes}m",
        "labels": {"severity": alert.severity.value},
        "annotations": annotations_of(alert, runbooks),
    }


def annotations_of(alert: Alert, runbooks: str) -> dict[str, str]:
    """What people read of an alert."""
    return {
        "summary": alert.summary,
        "description": alert.description,
        "runbook_url": f"{runbooks.rstrip('/')}/{alert.name}.md",
    }


def _text(configuration: Configuration) -> str:
    return yaml_text(configuration)
