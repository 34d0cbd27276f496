"""This module is the proof of how services scale: by which measure, who is asked for it, and what may not."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import yaml

from ai_interviewer import DEV, PROD, AiInterviewer
from ai_interviewer.settings import EnvironmentSettings
from conftest import Manifest, requires
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Autoscaling,
    Availability,
    Budget,
    Claim,
    Compute,
    Container,
    ExistingClaim,
    Namespace,
    NamespacePods,
    NamespaceSettings,
    NoMetrics,
    NoProbes,
    Phase,
    Port,
    Replicas,
    RequestRate,
    SettingError,
    StatefulWorkload,
    TreeError,
    UpdateMode,
    User,
    VerticalScaling,
    Volume,
    Workload,
    WorkloadSettings,
    images,
    variables,
)
from mcpmesh_k8s.kubernetes import ApiObjectMetadata, Component, vertical
from mcpmesh_k8s.kubernetes import Manifest as Rendered
from mcpmesh_k8s.operations.upgrade import breaking_changes
from policy_evaluator import JSON, Cluster, Pod, namespaces_of, pods_of, policies_of
from reading import objects_of
from test_schemas import CUSTOM

BY_REQUESTS = RequestRate(minimum=3, maximum=5, per_pod=12.5)
WATCHED = VerticalScaling()


def scaled(scale: Replicas | Autoscaling, of: EnvironmentSettings = PROD, **more: Any) -> EnvironmentSettings:
    """An environment whose backend scales so."""
    availability = replace(of.backend.availability, scale=scale, **more)
    return replace(of, backend=replace(of.backend, availability=availability))


@pytest.fixture(scope="module")
def by_requests(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """All objects of production whose backend scales by requests."""
    folder = tmp_path_factory.mktemp("by-requests") / "prod"
    return objects_of(AiInterviewer(scaled(BY_REQUESTS), outdir=folder))


def named(manifests: list[Manifest], kind: str, name: str) -> dict[str, Any]:
    (found,) = [m for m in manifests if m["kind"] == kind and cast("Any", m)["metadata"]["name"] == name]
    return cast("dict[str, Any]", found)


def test_a_service_scales_by_the_requests_that_the_gateway_passes_on(by_requests: list[Manifest]) -> None:
    found = named(by_requests, "ScaledObject", "ai-interviewer-backend")
    assert found["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "ai-interviewer-backend"},
        "minReplicaCount": 3,
        "maxReplicaCount": 5,
        "triggers": [
            {
                "type": "prometheus",
                "metricType": "AverageValue",
                "metadata": {
                    "serverAddress": "http://ai-interviewer-prometheus.ai-interviewer.svc.cluster.local:9090",
                    "query": 'sum(rate(gateway_http_requests_total{job="nginx-gateway", '
                    'exported_service="backend"}[120s]))',
                    "threshold": "12.5",
                    "ignoreNullValues": "false",
                },
            },
            {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}},
        ],
    }
    jsonschema.validate(found, CUSTOM["keda.sh/v1alpha1", "ScaledObject"])
    assert not [m for m in by_requests if m["kind"] == "HorizontalPodAutoscaler"]
    assert "replicas" not in named(by_requests, "Deployment", "ai-interviewer-backend")["spec"]


def test_its_quota_is_that_of_an_autoscaler_by_cpu(
    by_requests: list[Manifest], manifests: Callable[[str], list[Manifest]]
) -> None:
    assert isinstance(PROD.backend.availability.scale, Autoscaling)
    assert PROD.backend.availability.scale.maximum == BY_REQUESTS.maximum
    quotas = [named(found, "ResourceQuota", "ai-interviewer") for found in (by_requests, manifests("prod"))]
    assert quotas[0] == quotas[1]
    more = scaled(replace(BY_REQUESTS, maximum=11))
    with pytest.raises(SettingError, match=re.escape("11 x backend 5500m CPU, 5632Mi")):
        AiInterviewer(more, outdir="unused").manifests()


def test_of_outside_only_the_operator_of_keda_reaches_prometheus(by_requests: list[Manifest]) -> None:
    rendered = cast("list[dict[str, JSON]]", by_requests)
    cluster = Cluster(
        namespaces=[*namespaces_of(rendered), *(replace(namespaces_of(rendered)[0], name=n) for n in ("keda", "x"))],
        policies=policies_of(rendered),
    )
    ours = {pod.name.removeprefix("ai-interviewer-"): replace(pod, ip="10.244.0.9") for pod in pods_of(rendered)}
    operator = Pod(name="operator", namespace="keda", labels={"app": "keda-operator"}, ip="192.0.2.1")
    another = replace(operator, labels={"app": "keda-admission-webhooks"})
    impostor = replace(operator, namespace="x")
    assert cluster.allows(operator, ours["prometheus"], 9090)
    assert not cluster.allows(another, ours["prometheus"], 9090)
    assert not cluster.allows(impostor, ours["prometheus"], 9090)
    assert not any(
        cluster.allows(operator, pod, p.number) for n, pod in ours.items() if n != "prometheus" for p in pod.ports
    )
    assert not cluster.allows(ours["prometheus"], operator, 9666)


def test_where_nothing_scales_by_requests_keda_reaches_nothing(manifests: Callable[[str], list[Manifest]]) -> None:
    for environment in ("dev", "prod"):
        assert "keda" not in json.dumps(manifests(environment))


@requires("prometheus")
def test_the_query_adds_up_what_every_gateway_counted_for_the_service(
    by_requests: list[Manifest], tmp_path: Path
) -> None:
    (trigger, _) = named(by_requests, "ScaledObject", "ai-interviewer-backend")["spec"]["triggers"]
    configuration = named(by_requests, "ConfigMap", "ai-interviewer-prometheus")["data"]["prometheus.yaml"]
    (job,) = [j for j in yaml.safe_load(configuration)["scrape_configs"] if j["job_name"] == "nginx-gateway"]
    # By this, Prometheus calls the gateway's own label `exported_service`.
    assert {"target_label": "service", "replacement": "nginx-gateway"} in job["relabel_configs"]
    assert "honor_labels" not in job

    def counted(pod: str, service: str, route: str, status: str) -> str:
        return (
            f'gateway_http_requests_total{{job="nginx-gateway", instance="{pod}", service="nginx-gateway", '
            f'exported_service="{service}", route="{route}", status="{status}"}}'
        )

    series = {
        counted("a", "backend", "/api/", "2xx"): "0+600x10",  # 20 a second, by samples each 30 seconds
        counted("a", "backend", "/", "4xx"): "0+150x10",  # 5
        counted("b", "backend", "/api/", "2xx"): "0+300x10",  # 10
        counted("a", "grafana", "/grafana/", "2xx"): "0+3000x10",
        counted("a", "none", "none", "4xx"): "0+3000x10",
        'gateway_http_requests_total{job="other", exported_service="backend"}': "0+3000x10",
    }
    file = tmp_path / "test.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "tests": [
                    {
                        "interval": "30s",
                        "input_series": [{"series": name, "values": values} for name, values in series.items()],
                        "promql_expr_test": [
                            {
                                "expr": f"round({trigger['metadata']['query']}, 0.001)",
                                "eval_time": "5m",
                                "exp_samples": [{"labels": "{}", "value": 35}],
                            }
                        ],
                    }
                ]
            }
        )
    )
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_agents_are_watched_in_production_as_the_plan_asks_and_nothing_is_changed(
    manifests: Callable[[str], list[Manifest]],
) -> None:
    found = {m["metadata"]["name"]: m["spec"] for m in cast("Any", manifests("prod")) if "Vertical" in m["kind"]}
    agents = ("pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent")
    assert list(found) == [f"ai-interviewer-{name}" for name in agents]
    for name in agents:
        assert found[f"ai-interviewer-{name}"] == {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"ai-interviewer-{name}"},
            "updatePolicy": {"updateMode": "Off"},
            "resourcePolicy": {
                "containerPolicies": [
                    {
                        "containerName": name,
                        "controlledResources": ["cpu", "memory"],
                        "controlledValues": "RequestsOnly",
                    },
                    {"containerName": "*", "mode": "Off"},
                ]
            },
        }
    assert not [m for m in manifests("dev") if "Vertical" in str(m["kind"])]


# What may not scale, on an application of one service.

SMALL = Compute(cpu="100m", memory="64Mi", cpu_limit="300m", memory_limit="256Mi")
SERVICE = WorkloadSettings(
    name="web",
    container=Container(
        name="web",
        image=images.REDIS,
        user=User(uid=1, gid=1),
        compute=SMALL,
        ports=(Port(number=80, container=8080),),
        probes=NoProbes(because="No test starts it."),
    ),
)


class Shop:
    """An application with room."""

    def __init__(self, budget: str = "8") -> None:
        self.application = Application(ApplicationSettings(name="shop"), outdir="unused")
        self.phase = Phase(self.application, "services")
        Namespace(self.phase, NamespaceSettings(budget=Budget(cpu=budget, memory="8Gi")))

    def objects(self) -> list[dict[str, Any]]:
        return [cast("dict[str, Any]", m) for group in self.application.manifests().values() for m in group]


ONE = Replicas()


def service(scale: Replicas | Autoscaling = ONE, seen: VerticalScaling | None = None) -> WorkloadSettings:
    return replace(SERVICE, availability=Availability(scale=scale, vertical=seen))


def store(*volumes: Volume, told: str = "") -> WorkloadSettings:
    """A store of three pods."""
    container = replace(SERVICE.container, volumes=volumes, variables=variables({"PEER": told} if told else {}))
    return replace(SERVICE, container=container, availability=Availability(scale=Replicas(count=3), min_available=2))


def test_each_pod_of_a_stateful_workload_has_a_claim_of_its_own_and_all_are_counted() -> None:
    shop = Shop()
    StatefulWorkload(shop.phase, store(Claim(size="5Gi"), Claim(name="log", mount_path="/log", size="1Gi")))
    objects = shop.objects()
    (found,) = [o["spec"] for o in objects if o["kind"] == "StatefulSet"]
    assert found["replicas"] == 3
    assert [one["metadata"]["name"] for one in found["volumeClaimTemplates"]] == ["data", "log"]
    (quota,) = [o["spec"]["hard"] for o in objects if o["kind"] == "ResourceQuota"]
    assert (quota["persistentvolumeclaims"], quota["requests.storage"]) == ("6", "18Gi")
    with pytest.raises(SettingError, match="ReadWriteOnce claim, which one pod can hold"):
        StatefulWorkload(Shop().phase, store(ExistingClaim(mount_path="/data", claim="archive", size="5Gi")))


def test_pods_of_one_store_reach_each_other_by_their_names_where_that_is_said() -> None:
    peer = f"http://shop-{SERVICE.name}-0.shop-{SERVICE.name}-pods:8080"
    alone = Shop()
    StatefulWorkload(alone.phase, store(Claim(size="5Gi"), told=peer))
    with pytest.raises(TreeError, match=f"has PEER={peer}, but no path to"):
        alone.objects()
    shop = Shop()
    made = StatefulWorkload(shop.phase, store(Claim(size="5Gi"), told=peer))
    made.connects_to(made)
    (policy,) = [o["spec"] for o in shop.objects() if o["kind"] == "NetworkPolicy" and "ingress" in o["spec"]]
    pods = [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": f"shop-{SERVICE.name}"}}}]
    assert [rule["from"] for rule in policy["ingress"]] == [rule["to"] for rule in policy["egress"]] == [pods]


def test_what_an_autoscaler_may_enlarge_is_reckoned_at_its_limits() -> None:
    shop = Shop()
    Workload(shop.phase, service(seen=VerticalScaling(mode=UpdateMode.RECREATE, resources=("cpu",))))
    objects = shop.objects()
    (quota,) = [o["spec"]["hard"] for o in objects if o["kind"] == "ResourceQuota"]
    # One pod, and one more in a rollout.
    assert (quota["requests.cpu"], quota["requests.memory"]) == ("600m", "128Mi")
    (found,) = [o["spec"] for o in objects if o["kind"] == "VerticalPodAutoscaler"]
    assert found["updatePolicy"] == {"updateMode": "Recreate", "minReplicas": 1}
    assert found["resourcePolicy"]["containerPolicies"][0]["maxAllowed"] == {"cpu": "300m"}
    memory = Shop()
    Workload(memory.phase, service(seen=VerticalScaling(mode=UpdateMode.INITIAL, resources=("memory",))))
    objects = memory.objects()
    (quota,) = [o["spec"]["hard"] for o in objects if o["kind"] == "ResourceQuota"]
    assert (quota["requests.cpu"], quota["requests.memory"]) == ("200m", "512Mi")
    (found,) = [o["spec"] for o in objects if o["kind"] == "VerticalPodAutoscaler"]
    assert found["updatePolicy"] == {"updateMode": "Initial"}
    assert found["resourcePolicy"]["containerPolicies"][0]["maxAllowed"] == {"memory": "256Mi"}
    only_read = Shop()
    Workload(only_read.phase, service(seen=WATCHED))
    (quota,) = [o["spec"]["hard"] for o in only_read.objects() if o["kind"] == "ResourceQuota"]
    assert (quota["requests.cpu"], quota["requests.memory"]) == ("200m", "128Mi")
    full = Shop(budget="200m")
    Workload(full.phase, service(seen=VerticalScaling(mode=UpdateMode.INITIAL)))
    with pytest.raises(SettingError, match=re.escape("All requests together are 300m CPU")):
        full.application.manifests()


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a VerticalPodAutoscaler beside one that follows the CPU": (
        lambda: Availability(scale=Autoscaling(minimum=1, maximum=2), vertical=WATCHED),
        "Availability.vertical: ('cpu', 'memory') was given. Autoscaling follows the use of the CPU that pods request",
    ),
    "the same, for requests": (
        lambda: Availability(scale=BY_REQUESTS, vertical=VerticalScaling(resources=("cpu",))),
        "Availability.vertical: ('cpu',) was given. RequestRate follows the use of the CPU",
    ),
    "nothing to watch": (lambda: VerticalScaling(resources=()), "VerticalScaling.resources: () was given."),
    "no requests for a pod": (
        lambda: RequestRate(minimum=1, maximum=2, per_pod=0.0),
        "RequestRate.per_pod: 0.0 was given. Give requests a second, such as 20 or 0.5.",
    ),
    "a maximum below the minimum": (
        lambda: RequestRate(minimum=3, maximum=2, per_pod=1.0),
        "RequestRate.maximum: 2 was given. Give at least the minimum, 3.",
    ),
    "two of a registry": (
        lambda: replace_part("registry", BY_REQUESTS),
        "It migrates its tables when it starts, and two would migrate them at once. Give Replicas(count=1).",
    ),
    "two of Redis": (
        lambda: replace_part("redis", Replicas(count=2)),
        "It is one store with one writer. Give Replicas(count=1).",
    ),
    "two of Tempo": (
        lambda: replace_part("tempo", Replicas(count=2)),
        "It is one store of traces, and blocks of one are unknown to another. Give Replicas(count=1).",
    ),
    "two of PostgreSQL": (
        lambda: replace_part("postgres", Replicas(count=2)),
        "It is one server, and two would know nothing of each other's data. Give Replicas(count=1).",
    ),
    "a PostgreSQL that follows requests": (
        lambda: replace_part("postgres", replace(BY_REQUESTS, minimum=1, maximum=1)),
        "Its pods keep state. Give Replicas(count=…).",
    ),
    "a MinIO that follows its CPU": (
        lambda: replace_part("minio", Autoscaling(minimum=1, maximum=2)),
        "It is one store, and two would know nothing of each other's objects. Give Replicas(count=1).",
    ),
    "a store that an autoscaler would restart": (
        lambda: StatefulWorkload(Shop().phase, service(seen=VerticalScaling(mode=UpdateMode.RECREATE))),
        "Its pod is gone before another comes, so each change of its size would be an outage. Give UpdateMode.OFF",
    ),
    "what holds a claim and an autoscaler would restart": (
        lambda: Workload(
            Shop().phase,
            replace(
                service(seen=VerticalScaling(mode=UpdateMode.RECREATE)),
                container=replace(SERVICE.container, volumes=(Claim(size="1Gi"),)),
            ),
        ),
        "Its pod is gone before another comes",
    ),
    "requests that nobody counts": (
        lambda: AiInterviewer(replace(scaled(BY_REQUESTS), metrics=NoMetrics()), outdir="unused").manifests(),
        "ai-interviewer-backend scales by requests, and nobody counts them: give it a route of a Gateway and the",
    ),
    "requests that no gateway passes on": (
        lambda: AiInterviewer(agent_by_requests(), outdir="unused").manifests(),
        "ai-interviewer-pdf-extractor scales by requests, and nobody counts them",
    ),
    "two autoscalers of one service": (lambda: contended(BY_ANOTHER), "both scale Deployment 'shop-web': take one out"),
    "another's size by CPU": (
        lambda: contended(BY_SIZE),
        "VerticalPodAutoscaler another sizes by CPU what HorizontalPodAutoscaler shop-web scales by CPU",
    ),
}


def replace_part(part: str, scale: Replicas | Autoscaling) -> object:
    """Production with another scale of one of its parts."""
    settings = getattr(PROD, part)
    changed = replace(settings, availability=replace(settings.availability, scale=scale))
    return AiInterviewer(replace(PROD, **{part: changed}), outdir="unused")


def agent_by_requests() -> EnvironmentSettings:
    """Production, where no route leads to agents."""
    first, *others = PROD.agents
    scale = RequestRate(minimum=1, maximum=1, per_pod=1.0)
    return replace(
        PROD, agents=(replace(first, availability=replace(first.availability, scale=scale, vertical=None)), *others)
    )


class Plain(Component):
    """An object of somebody else."""

    def __init__(self, shop: Shop, manifest: Rendered) -> None:
        super().__init__(shop.phase, "another", "another")
        self.manifest = manifest

    def manifests(self) -> list[Rendered]:
        return [self.manifest]


BY_ANOTHER: Rendered = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "another", "namespace": "shop"},
    "spec": {"scaleTargetRef": {"name": "shop-web"}, "triggers": []},
}
BY_SIZE: Rendered = vertical.VerticalPodAutoscaler.manifest(
    metadata=ApiObjectMetadata(name="another", namespace="shop"),
    spec=vertical.VerticalPodAutoscalerSpec(
        target_ref=vertical.VerticalPodAutoscalerSpecTargetRef(kind="Deployment", name="shop-web")
    ),
)


def contended(manifest: Rendered) -> object:
    """A service that scales by its CPU, and another's object that does something to it."""
    shop = Shop()
    Workload(shop.phase, service(Autoscaling(minimum=1, maximum=2)))
    Plain(shop, manifest)
    return shop.application.manifests()


@pytest.mark.parametrize("what", REFUSED)
def test_what_may_not_scale_is_refused_with_the_reason(what: str) -> None:
    attempt, words = REFUSED[what]
    with pytest.raises((SettingError, TreeError), match=re.escape(words)):
        attempt()


def test_memory_may_be_watched_beside_an_autoscaler() -> None:
    shop = Shop()
    Workload(shop.phase, service(Autoscaling(minimum=1, maximum=2), VerticalScaling(resources=("memory",))))
    assert {"HorizontalPodAutoscaler", "VerticalPodAutoscaler"} <= {o["kind"] for o in shop.objects()}


def test_argocd_takes_it_last_since_it_is_degraded_until_pods_are_measured(by_requests: list[Manifest]) -> None:
    found = named(by_requests, "ScaledObject", "ai-interviewer-backend")
    assert found["metadata"]["annotations"] == {"argocd.argoproj.io/sync-wave": "6"}


def test_a_service_whose_autoscaler_changes_its_kind_is_named_before_an_upgrade(by_requests: list[Manifest]) -> None:
    by_cpu = [m for group in AiInterviewer(PROD, outdir="unused").manifests().values() for m in group]
    there = breaking_changes(by_cpu, by_requests)
    assert [change.allowance for change in there] == ["HorizontalPodAutoscaler/ai-interviewer-backend:kind"]
    assert "KEDA refuses" in there[0].why
    back = breaking_changes(by_requests, by_cpu)
    assert [change.allowance for change in back] == ["ScaledObject/ai-interviewer-backend:kind"]


def test_dev_can_scale_by_requests_too() -> None:
    # It has no room for a third backend, and needs none.
    AiInterviewer(
        scaled(RequestRate(minimum=2, maximum=2, per_pod=5.0, keda=NamespacePods(namespace="kube-system")), DEV),
        outdir="unused",
    ).manifests()
