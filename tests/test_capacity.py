"""What is rendered has room on the nodes of its budget, or the synthesis says by name what has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

import facets
from ai_interviewer import ENVIRONMENTS, AiInterviewer, EnvironmentSettings
from ai_interviewer.application import PRIORITIES
from conftest import Manifests
from environments import EVERY
from mcpmesh_k8s import (
    Affinity,
    Application,
    ApplicationSettings,
    Autoscaling,
    Availability,
    Budget,
    Claim,
    Compute,
    Container,
    Image,
    Namespace,
    NamespaceSettings,
    Nodes,
    NoProbes,
    Phase,
    Placement,
    PodAffinityTerm,
    PodAntiAffinity,
    PodExtras,
    PriorityClass,
    PriorityClassSettings,
    Replicas,
    StatefulWorkload,
    SystemPods,
    TreeError,
    User,
    Workload,
    WorkloadSettings,
)
from mcpmesh_k8s.kubernetes.manifest import Manifest, at, name_of

Scale = Replicas | Autoscaling
ONE, NOTHING = Replicas(), PodExtras()
NODE = Nodes(count=1, cpu="1", memory="4Gi", ephemeral_storage="20Gi")


class Shop:
    """An application on some nodes; its services request CPU and little else."""

    def __init__(self, *nodes: Nodes, system: tuple[SystemPods, ...] = ()) -> None:
        self.application = Application(ApplicationSettings(name="shop"), outdir="unused")
        self.phase = Phase(self.application, "all")
        budget = Budget(cpu="100", memory="100Gi", nodes=nodes, system=system)
        self.namespace = Namespace(self.phase, NamespaceSettings(budget=budget))

    def order(self, *names: str, survive: tuple[str, ...] = ()) -> None:
        for value, name in enumerate(reversed(names), 1):
            settings = PriorityClassSettings(name=name, value=value, description=name, survives_a_node=name in survive)
            PriorityClass(self.phase, settings)

    def runs(
        self,
        name: str,
        cpu: str,
        scale: Scale = ONE,
        *,
        priority: str = "",
        keep: int = 0,
        extras: PodExtras = NOTHING,
        kind: type[Workload] = Workload,
        claim: bool = False,
    ) -> None:
        container = Container(
            name=name,
            image=Image(repository="acme/shop", tag="1.2.3"),
            user=User(uid=1000, gid=1000),
            compute=Compute(cpu=cpu, memory="16Mi", ephemeral_storage="1Mi"),
            volumes=(Claim(size="1Gi"),) if claim else (),
            probes=NoProbes(because="No test starts it."),
        )
        availability = Availability(scale=scale, min_available=keep, priority_class=priority)
        kind(self.phase, WorkloadSettings(name=name, container=container, extras=extras, availability=availability))

    def render(self) -> list[Manifest]:
        return [manifest for group in self.application.manifests().values() for manifest in group]

    def refusal(self) -> str:
        with pytest.raises(TreeError) as refused:
            self.render()
        return str(refused.value)

    def room(self) -> dict[str, tuple[int, int, int | None]]:
        shares = self.namespace.shares()
        return {share.pod.name: (share.steady, share.rolled_out, share.left) for share in shares}

    def strategies(self) -> dict[str, tuple[object, object]]:
        """By the name of each Deployment, how many pods more and how many less there may be: no number, if all go."""
        rolling = {
            name_of(one).removeprefix("shop-"): at(one, "spec", "strategy", "rollingUpdate")
            for one in self.render()
            if one["kind"] == "Deployment"
        }
        return {name: (found.get("maxSurge"), found.get("maxUnavailable")) for name, found in rolling.items()}


# --- steady ---


def test_what_fits_the_sum_and_no_node_is_refused_by_name() -> None:
    shop = Shop(replace(NODE, count=3))
    shop.runs("large", "1100m")
    refusal = shop.refusal()
    assert "shop-large may run 1 pods of 1100m CPU" in refusal
    assert "the nodes have room for 0 for sure" in refusal


def test_what_fits_only_when_a_scheduler_packs_well_is_refused() -> None:
    shop = Shop(replace(NODE, count=2))
    shop.runs("small", "400m", Replicas(count=2))
    shop.runs("large", "700m")  # beside both of the small ones, or beside none
    assert "shop-large may run 1 pods of 700m CPU" in shop.refusal()


def test_what_comes_first_has_room_where_others_make_way() -> None:
    shop = Shop(replace(NODE, count=2))
    shop.order("first", "second")
    shop.runs("small", "300m", Replicas(count=3), priority="second")
    shop.runs("large", "700m", priority="first")
    assert shop.room()["large"] == (1, 1, 1)
    shop.render()


def test_an_autoscaler_has_room_for_all_that_it_may_ask_for() -> None:
    shop = Shop(NODE)
    shop.runs("web", "300m", Autoscaling(minimum=1, maximum=4))
    assert "shop-web may run 4 pods of 300m CPU, 16Mi, 1Mi of disk, and the nodes have room for 3" in shop.refusal()


def test_what_the_system_keeps_is_taken_off() -> None:
    everywhere = SystemPods(name="network", cpu="200m", memory="64Mi")
    once = SystemPods(name="dns", cpu="200m", memory="64Mi", count=1)
    for system, room in (((), 3), ((everywhere,), 2), ((everywhere, once), 2)):
        shop = Shop(NODE, system=system)
        shop.runs("web", "300m", Replicas(count=3))
        assert shop.room()["web"][0] == room
    # One of the system's pods may be on either node, and takes room there once.
    shop = Shop(replace(NODE, count=2), system=(replace(once, cpu="500m"),))
    shop.runs("web", "600m")
    assert shop.room()["web"] == (1, 1, 0)


@pytest.mark.parametrize(
    ("nodes", "room"),
    [
        (NODE, 5),
        (replace(NODE, memory="48Mi"), 3),
        (replace(NODE, ephemeral_storage="4Mi"), 4),
        (replace(NODE, pods=2), 2),
        (replace(NODE, labels=(("disk", "fast"),)), 5),
    ],
    ids=["CPU", "memory", "disk", "pods", "labels"],
)
def test_each_resource_of_a_node_counts(nodes: Nodes, room: int) -> None:
    shop = Shop(nodes)
    shop.runs("web", "200m", Replicas(count=9))
    assert shop.room()["web"][0] == room


def test_a_pod_that_no_node_is_meant_for_is_told_of_the_labels_and_not_of_its_size() -> None:
    shop = Shop(Nodes(count=2, cpu="4", memory="8Gi", ephemeral_storage="40Gi", labels=(("disk", "slow"),)))
    shop.runs("index", "1", extras=PodExtras(placement=Placement(node_selector=(("disk", "fast"),))))
    refused = shop.refusal()
    assert "shop-index runs on nodes with disk=fast alone, and no node of Budget.nodes has that" in refused
    assert "Nodes(labels=…)" in refused
    assert "smaller requests" not in refused


def test_a_pod_that_asks_for_a_label_has_room_on_nodes_that_carry_it() -> None:
    fast = PodExtras(placement=Placement(node_selector=(("disk", "fast"),)))
    for labels, room in (((), 0), ((("disk", "fast"), ("arch", "arm")), 2)):
        shop = Shop(replace(NODE, count=5), replace(NODE, labels=labels))
        shop.runs("web", "500m", Replicas(count=2), extras=fast)
        assert shop.room()["web"][0] == room


def test_of_what_requires_more_than_labels_nothing_is_known() -> None:
    apart = Affinity(
        pod_anti_affinity=PodAntiAffinity(
            required=(PodAffinityTerm(match_labels=(("app.kubernetes.io/name", "shop-web"),)),)
        )
    )
    shop = Shop(replace(NODE, count=2))
    shop.runs("web", "100m", Replicas(count=2), extras=PodExtras(placement=Placement(affinity=apart)))
    (share,) = shop.namespace.shares()
    assert share.bound
    # A third pod would have no node, however small it is.
    assert shop.strategies() == {"web": (0, 1)}


def test_without_nodes_the_sum_alone_is_checked() -> None:
    shop = Shop()
    shop.runs("large", "60")
    assert shop.namespace.shares() == ()
    assert shop.strategies() == {"large": (1, 0)}


# --- a roll-out ---


def test_a_rollout_starts_a_new_pod_first_where_it_has_room_for_sure_and_ends_an_old_one_first_elsewhere() -> None:
    for cpu, expected in (("250m", (1, 0)), ("251m", (0, 1))):
        shop = Shop(NODE)
        shop.runs("web", cpu, Replicas(count=3))
        assert shop.strategies() == {"web": expected}


def test_all_new_pods_have_room_at_once_and_single_ones_before_others() -> None:
    shop = Shop(NODE)
    shop.runs("b-one", "200m")
    shop.runs("a-two", "200m", Replicas(count=2))
    # 400m are left: for one of each, or for none of a third.
    shop.runs("c-one", "1m")
    assert shop.strategies() == {"a-two": (0, 1), "b-one": (1, 0), "c-one": (1, 0)}


@pytest.mark.parametrize(
    ("scale", "expected"), [(Replicas(count=2), (None, None)), (Autoscaling(minimum=1, maximum=2), (1, 0))]
)
def test_a_new_pod_takes_the_room_of_nothing_but_what_an_autoscaler_added(
    scale: Scale, expected: tuple[object, object]
) -> None:
    shop = Shop(NODE)
    shop.order("first", "second")
    shop.runs("agent", "400m", priority="first")
    shop.runs("web", "200m", scale, priority="second")
    assert shop.strategies()["agent"] == expected


def test_what_may_run_once_only_is_not_asked() -> None:
    shop = Shop(NODE)
    shop.runs("store", "100m", kind=StatefulWorkload, claim=True)
    shop.runs("cache", "100m", claim=True)
    assert shop.strategies() == {"cache": (None, None)}
    assert not any(share.new_first for share in shop.namespace.shares())


# --- a node is lost ---


def test_what_survives_a_node_must_have_room_on_the_others() -> None:
    for cpu, refused in (("250m", False), ("251m", True)):
        shop = Shop(replace(NODE, count=2))
        shop.order("all", survive=("all",))
        for name in ("a", "b", "c", "d"):
            shop.runs(name, cpu, priority="all")
        if refused:
            assert "shop-a must keep 1 of its pods of 251m CPU" in shop.refusal()
        else:
            shop.render()


def test_a_budget_of_drains_is_a_promise_for_the_loss_of_a_node() -> None:
    shop = Shop(replace(NODE, count=2))
    shop.runs("web", "400m", Replicas(count=4), keep=3)
    assert "shop-web must keep 3 of its pods" in shop.refusal()
    assert "(min_available)" in shop.refusal()


def test_where_nothing_is_promised_nothing_is_refused() -> None:
    shop = Shop(replace(NODE, count=2))
    shop.runs("web", "400m", Replicas(count=4))
    shop.render()
    assert shop.room()["web"] == (4, 4, 2)


def test_with_a_zone_all_its_nodes_are_lost() -> None:
    # A node is shut to a pod of 200m by more than 800m: three by 2403m, and two by 1602m.
    for zones, left in ((1, 13), (2, 9)):
        shop = Shop(replace(NODE, count=4, zones=zones))
        shop.runs("web", "200m", Replicas(count=17))
        assert shop.room()["web"][2] == left


def test_with_the_only_node_all_is_lost() -> None:
    shop = Shop(NODE)
    shop.order("all", survive=("all",))
    shop.runs("web", "400m", priority="all")
    assert shop.room()["web"] == (1, 1, None)
    shop.render()


# --- what is deployed ---


def on_three_nodes(environment: EnvironmentSettings) -> bool:
    return sum(nodes.count for nodes in environment.budget.nodes) > 1


@pytest.mark.parametrize("environment", EVERY)
def test_every_pod_has_a_place_in_one_order(manifests: Manifests, environment: str) -> None:
    values = {name_of(one): one["value"] for one in manifests(environment) if one["kind"] == "PriorityClass"}
    assert len(set(values.values())) == len(values) == len(PRIORITIES)
    order: dict[int, set[str]] = {}
    for service, _, template in facets.workloads(manifests(environment)):
        value = values[str(at(template, "spec")["priorityClassName"])]
        assert isinstance(value, int)
        order.setdefault(value, set()).add(service)
    login = {"oauth2-proxy"} & set().union(*order.values())
    agents = {"pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent"}
    told = {"alertmanager"} & set().union(*order.values())
    backups = {"postgres-backup", "redis-backup", "minio-backup"} & set().union(*order.values())
    assert [order[value] for value in sorted(order, reverse=True)] == [
        {"postgres", "postgres-databases", "redis", "minio", "minio-bucket"},
        {"nginx-gateway"} | login,
        {"registry", "smoke-test"} | agents,
        {"backend"},
        {"tempo", "grafana", "prometheus", "kube-state-metrics", "blackbox", "loki", "alloy"} | told,
        *([backups] if backups else []),
    ]


def test_an_order_of_its_own_belongs_to_each_namespace() -> None:
    names: list[str] = []
    for namespace in ("shop", "shop-two"):
        application = Application(ApplicationSettings(name="shop", namespace=namespace), outdir="unused")
        phase = Phase(application, "all")
        Namespace(phase, NamespaceSettings(budget=Budget(cpu="1", memory="1Gi")))
        PriorityClass(phase, PriorityClassSettings(name="urgent", value=len(namespace), description="First."))
        container = Container(
            name="web",
            image=Image(repository="acme/shop", tag="1.2.3"),
            user=User(uid=1000, gid=1000),
            compute=Compute(cpu="100m", memory="16Mi"),
            probes=NoProbes(because="No test starts it."),
        )
        Workload(
            phase,
            WorkloadSettings(name="web", container=container, availability=Availability(priority_class="urgent")),
        )
        (rendered,) = application.manifests().values()
        (class_,) = (name_of(one) for one in rendered if one["kind"] == "PriorityClass")
        (used,) = (
            at(one, "spec", "template", "spec")["priorityClassName"] for one in rendered if one["kind"] == "Deployment"
        )
        assert used == class_
        names.append(class_)
    assert names == ["shop-urgent", "shop-two-urgent"]


@pytest.mark.parametrize(
    "settings", [one for one in ENVIRONMENTS if on_three_nodes(one)], ids=lambda settings: settings.name
)
def test_after_the_loss_of_a_node_interviews_can_be_held(settings: EnvironmentSettings) -> None:
    (namespace,) = AiInterviewer(settings, outdir="unused").find_all(Namespace)
    lost = {share.pod.name for share in namespace.shares() if not share.left}
    backups = {"postgres-backup", "redis-backup", "minio-backup"}
    watching = {"prometheus", "kube-state-metrics", "blackbox", "alertmanager", "loki", "alloy"}
    assert lost == {"tempo", "grafana"} | watching | backups
    # The figures of the plan as requests have no such room: they are limits, where they can be.
    plan = {"postgres": Compute(cpu="2", memory="2Gi"), "minio": Compute(cpu="1", memory="1Gi")}
    asked = replace(
        settings,
        postgres=replace(settings.postgres, compute=plan["postgres"]),
        minio=replace(settings.minio, compute=plan["minio"]),
    )
    with pytest.raises(TreeError, match="agent must keep 1 of its pods"):
        AiInterviewer(asked, outdir="unused").manifests()
