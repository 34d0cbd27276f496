"""This module is what any workload and task may be given beside its program: one value, handed on by all of them.

The services are those of ``test_settings.py``: each class of settings of a workload or a task is found there, so that a
new one that does not hand the value on fails here by its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import kubernetes_validate
import pytest

import facets
from conftest import at_each
from mcpmesh_k8s import (
    Affinity,
    Application,
    Autoscaling,
    Availability,
    ConfigMapProjection,
    Container,
    Csi,
    DownwardApiProjection,
    ExistingClaim,
    ExistingConfigMap,
    ExistingSecret,
    File,
    Files,
    Image,
    LabelSelectorRequirement,
    Manifest,
    Namespace,
    NamespacePods,
    NamespaceSettings,
    NodeAffinity,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    NoProbes,
    Patch,
    Placement,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    PodExtras,
    PodOptions,
    PodSecurityException,
    PodSettings,
    Port,
    PreferredSchedulingTerm,
    Probes,
    Projected,
    Scratch,
    SecretFiles,
    SecretKey,
    SecretProjection,
    ServiceAccountTokenProjection,
    SettingError,
    StatefulWorkload,
    Target,
    Task,
    TcpSocket,
    Toleration,
    TreeError,
    Variable,
    WeightedPodAffinityTerm,
    Workload,
    WorkloadSettings,
    variables,
)
from mcpmesh_k8s.kubernetes.manifest import at, containers_of, each, name_of
from test_properties import EVERY_CONTAINER
from test_schemas import VERSIONS
from test_settings import CASES, MAIN, PLENTY, REDIS, SERVICE, SIDECAR, SMALL, TWO, Shop

pytestmark = pytest.mark.usefixtures("schemas_are_read_once")

EXPORTER = Container(
    name="statsd",
    image=Image(repository="acme/exporter", tag="1.0.0"),
    user=MAIN.user,
    compute=SMALL,
    ports=(Port(name="statsd", number=9102),),
    volumes=(Scratch(name="cache", mount_path="/cache"),),
    probes=NoProbes(because="No test starts it."),
)
MIGRATE = Container(
    name="migrate",
    image=Image(repository="acme/migrate", tag="1.0.0"),
    user=MAIN.user,
    compute=SMALL,
    command=("migrate",),
    volumes=(Scratch(name="cache", mount_path="/cache"),),
)
EXTRAS = PodExtras(
    labels=(("example.com/team", "payments"),),
    annotations=(("example.com/owner", "Jane Doe <jane@example.com>"),),
    pod_labels=(("example.com/cost-centre", "4711"),),
    pod_annotations=(("example.com/scrape", "true"),),
    account_annotations=(("eks.amazonaws.com/role-arn", "arn:aws:iam::123456789012:role/shop"),),
    placement=Placement(
        node_selector=(("kubernetes.io/arch", "amd64"),),
        tolerations=(Toleration(key="dedicated", value="payments", effect="NoSchedule"),),
        affinity=Affinity(
            node_affinity=NodeAffinity(
                required=(
                    NodeSelectorTerm(match_expressions=(NodeSelectorRequirement(key="disk", values=("ssd", "nvme")),)),
                ),
                preferred=(
                    PreferredSchedulingTerm(
                        weight=10,
                        preference=NodeSelectorTerm(
                            match_expressions=(NodeSelectorRequirement(key="cores", operator="Gt", values=("4",)),)
                        ),
                    ),
                ),
            ),
            pod_affinity=PodAffinity(
                preferred=(
                    WeightedPodAffinityTerm(
                        weight=20,
                        pod_affinity_term=PodAffinityTerm(match_labels=(("app.kubernetes.io/name", "shop-web"),)),
                    ),
                ),
            ),
            pod_anti_affinity=PodAntiAffinity(
                required=(
                    PodAffinityTerm(
                        match_expressions=(LabelSelectorRequirement(key="noisy", operator="Exists"),),
                        topology_key="topology.kubernetes.io/zone",
                        namespaces=("batch",),
                    ),
                ),
            ),
        ),
        runtime_class="gvisor",
    ),
    sidecars=(EXPORTER,),
    init_containers=(MIGRATE,),
    volumes=(
        ExistingConfigMap(name="theme", mount_path="/mnt/theme", config_map="corporate-theme", keys=("logo.svg",)),
        SecretFiles(name="keys", mount_path="/mnt/keys", secret="shop-keys", keys=("tls.key",)),
        ExistingSecret(name="partner", mount_path="/mnt/partner", secret="partner-client", keys=("tls.key",)),
        ExistingClaim(
            name="archive", mount_path="/mnt/archive", claim="archive", size="5Gi", access_mode="ReadOnlyMany"
        ),
        Projected(
            name="identity",
            mount_path="/mnt/identity",
            sources=(
                ConfigMapProjection(config_map="corporate-ca", keys=("ca.crt",)),
                SecretProjection(secret="shop-keys", keys=("tls.crt",)),
                DownwardApiProjection(path="labels", field_path="metadata.labels"),
                ServiceAccountTokenProjection(audience="vault"),
            ),
        ),
        Csi(name="csi", mount_path="/mnt/csi", driver="csi.example.com", attributes=(("class", "payments"),)),
    ),
    ports=(Port(name="figures", number=9464),),
    image_pull_policy="Always",
    image_pull_secrets=("partner-registry",),
    patches=(),
)

# What the pod is then, as the API has it.
PLACED = {
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "payments", "effect": "NoSchedule"}],
    "runtimeClassName": "gvisor",
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}]}
                ]
            },
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 10,
                    "preference": {"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["4"]}]},
                }
            ],
        },
        "podAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 20,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "shop-web"}},
                    },
                }
            ]
        },
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "topologyKey": "topology.kubernetes.io/zone",
                    "labelSelector": {"matchExpressions": [{"key": "noisy", "operator": "Exists"}]},
                    "namespaces": ["batch"],
                }
            ]
        },
    },
}
VOLUMES = [
    {
        "name": "theme",
        "configMap": {
            "name": "corporate-theme",
            "defaultMode": 0o444,
            "items": [{"key": "logo.svg", "path": "logo.svg"}],
        },
    },
    {
        "name": "keys",
        "secret": {
            "secretName": "shop-keys",
            "defaultMode": 0o440,
            "items": [{"key": "tls.key", "path": "tls.key"}],
        },
    },
    {"name": "archive", "persistentVolumeClaim": {"claimName": "archive", "readOnly": True}},
    {
        "name": "identity",
        "projected": {
            "defaultMode": 0o440,
            "sources": [
                {"configMap": {"name": "corporate-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"secret": {"name": "shop-keys", "items": [{"key": "tls.crt", "path": "tls.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels", "apiVersion": "v1"}}]
                    }
                },
                {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 3600}},
            ],
        },
    },
    {
        "name": "csi",
        "csi": {"driver": "csi.example.com", "readOnly": True, "volumeAttributes": {"class": "payments"}},
    },
]
MOUNTED = ["/mnt/theme", "/mnt/keys", "/mnt/archive", "/mnt/identity", "/mnt/csi"]

TAKING = {cls.__name__: cls for cls in CASES if issubclass(cls, PodOptions)}
"""Every class of settings that runs a pod."""


def stateful(shop: Shop, settings: PodSettings) -> StatefulWorkload:
    assert isinstance(settings, WorkloadSettings)
    return StatefulWorkload(shop.phase, settings)


def rendered(name: str, extras: PodExtras) -> dict[tuple[str, str], Manifest]:
    """All objects of a shop in which one kind of workload or task has extras, by kind and name."""
    case = CASES[TAKING[name]]
    return {(str(manifest["kind"]), name_of(manifest)): dict(manifest) for manifest in case.render({"extras": extras})}


def with_keys(name: str, extras: PodExtras) -> dict[tuple[str, str], Manifest]:
    """The same, in a shop that declares the Secret which the extras show."""
    before = Shop.secret
    declared = Shop.__init__

    def init(self: Shop, *args: object) -> None:
        declared(self, *args)  # type: ignore[arg-type]
        before(self, "keys", "tls.key", "tls.crt")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shop, "__init__", init)
        return rendered(name, extras)


def the_one_that_runs(objects: Mapping[tuple[str, str], Manifest]) -> Manifest:
    """The one object whose pods carry the added label."""
    (found,) = (
        manifest
        for manifest in objects.values()
        if "example.com/cost-centre" in at(manifest, "spec", "template", "metadata", "labels")
    )
    return found


def test_every_settings_class_of_a_workload_or_a_task_is_tried() -> None:
    assert set(TAKING) >= {
        *("AgentSettings", "ApiSettings", "BucketSettings", "GatewaySettings", "GrafanaSettings", "MinioSettings"),
        *("OAuth2ProxySettings", "PostgresSettings", "RedisSettings", "RegistrySettings", "SmokeTestSettings"),
        *("TaskSettings", "TempoSettings", "WorkloadSettings"),
    }


@pytest.mark.parametrize("name", TAKING)
def test_any_workload_and_any_task_is_given_all_of_it(name: str) -> None:
    objects = with_keys(name, EXTRAS)
    running = the_one_that_runs(objects)
    own = name_of(running)
    template = at(running, "spec", "template")
    spec = at(template, "spec")
    annotations = at(running, "metadata", "annotations")
    assert annotations["example.com/owner"] == "Jane Doe <jane@example.com>"
    assert at(template, "metadata", "annotations")["example.com/scrape"] == "true"
    assert "example.com/team" not in at(template, "metadata", "labels")
    for manifest in objects.values():
        if at(manifest, "metadata", "labels").get("app.kubernetes.io/name") == own:
            assert at(manifest, "metadata", "labels")["example.com/team"] == "payments", manifest["kind"]
    assert {key: spec[key] for key in PLACED} == PLACED

    main, *others = each(spec, "containers")
    assert [container["name"] for container in others][-1] == "statsd"
    assert [container["name"] for container in each(spec, "initContainers")][-1] == "migrate"
    mounts = [str(mount["mountPath"]) for mount in each(main, "volumeMounts")]
    assert [mount for mount in mounts if mount in MOUNTED] == MOUNTED
    volumes = [dict(volume) for volume in each(spec, "volumes")]
    assert [volume for volume in volumes if volume in VOLUMES] == VOLUMES
    assert {"name": "figures", "containerPort": 9464, "protocol": "TCP"} in list(each(main, "ports"))
    assert {container.get("imagePullPolicy") for container in containers_of(template)} == {"Always"}
    account = objects["ServiceAccount", own]
    assert list(each(account, "imagePullSecrets")) == [{"name": "partner-registry"}]
    role = "arn:aws:iam::123456789012:role/shop"
    assert at(account, "metadata", "annotations")["eks.amazonaws.com/role-arn"] == role
    assert "eks.amazonaws.com/role-arn" not in {*annotations, *at(template, "metadata", "annotations")}
    if running["kind"] != "Job":
        served = {port["name"] for port in each(objects["Service", own], "spec", "ports")}
        assert {"figures", "statsd"} <= served


@pytest.mark.parametrize("name", TAKING)
def test_added_containers_are_hardened_and_the_pod_is_valid_in_every_version(name: str) -> None:
    objects = with_keys(name, EXTRAS)
    running = the_one_that_runs(objects)
    for container in containers_of(at(running, "spec", "template")):
        context = dict(at(container, "securityContext"))
        assert int(str(context.pop("runAsUser"))) > 0
        context.pop("runAsGroup")
        assert context == EVERY_CONTAINER, container["name"]
    for manifest in objects.values():
        for version in (VERSIONS[0], VERSIONS[-1]):
            kubernetes_validate.validate(dict(manifest), version, strict=True)


def test_a_stateful_workload_is_given_all_of_it_too() -> None:
    shop = Shop()
    shop.secret("keys", "tls.key", "tls.crt")
    stateful(shop, replace(SERVICE, extras=EXTRAS))
    spec = at(pod_of(shop, "StatefulSet", "shop-extra"), "spec")
    assert {key: spec[key] for key in PLACED} == PLACED


@pytest.mark.parametrize("name", TAKING)
def test_without_extras_nothing_of_it_is_there(name: str) -> None:
    fields = {"affinity", "nodeSelector", "tolerations", "runtimeClassName", "imagePullSecrets"}
    for manifest in rendered(name, PodExtras()).values():
        template = at(manifest, "spec", "template")
        assert not fields & at(template, "spec").keys()
        assert [container for container in containers_of(template) if "imagePullPolicy" in container] == []


# --- a shop, and what is added to one of its workloads ---


def objects_of(shop: Shop) -> dict[tuple[str, str], Manifest]:
    manifests = [m for group in Application.of(shop.phase).manifests().values() for m in group]
    return {(str(manifest["kind"]), name_of(manifest)): manifest for manifest in manifests}


def pod_of(shop: Shop, kind: str, name: str) -> Mapping[str, object]:
    return at(objects_of(shop)[kind, name], "spec", "template")


def test_an_added_port_is_closed_until_a_connection_opens_it() -> None:
    ports = PodExtras(ports=(Port(name="metrics", number=9464),))

    def ways_in(shop: Shop) -> object:
        return at(objects_of(shop)["NetworkPolicy", "shop-extra"], "spec").get("ingress")

    closed = Shop()
    closed.adds(ports)
    assert ways_in(closed) is None
    asked = Shop()
    extra = asked.adds(ports)
    asked.web.connects_to(Target(workload=extra, port="metrics"))
    extra.accepts_from(NamespacePods(namespace="monitoring"), "metrics")
    peers = [
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "shop-web"}}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
    ]
    assert ways_in(asked) == [{"from": [peer], "ports": [{"port": 9464, "protocol": "TCP"}]} for peer in peers]
    assert extra.main_port.name == "http", "the main port stays the one that clients dial"


def quota_of(extras: PodExtras) -> Mapping[str, object]:
    shop = Shop()
    Workload(shop.phase, replace(SERVICE, extras=extras))
    shop.fits(PLENTY)
    return at(objects_of(shop)["ResourceQuota", "shop"], "spec", "hard")


def test_quota_and_limits_count_what_is_added() -> None:
    # Three workloads, each with one pod and one more while it is replaced, of 100m CPU and 64Mi.
    assert quota_of(PodExtras())["requests.cpu"] == "600m"
    assert quota_of(PodExtras(sidecars=(SIDECAR,)))["requests.cpu"] == "800m"
    large = replace(SIDECAR, name="first", compute=replace(SMALL, memory="1Gi", memory_limit="1Gi"))
    assert quota_of(PodExtras(init_containers=(large,)))["requests.memory"] == f"{4 * 64 + 2 * 1024}Mi"
    claim = ExistingClaim(mount_path="/data", claim="archive", size="5Gi")
    assert quota_of(PodExtras())["persistentvolumeclaims"] == "0"
    counted = quota_of(PodExtras(volumes=(claim,)))
    assert (counted["persistentvolumeclaims"], counted["requests.storage"]) == ("1", "5Gi")


def test_what_is_added_can_exceed_the_budget() -> None:
    shop = Shop()
    shop.adds(PodExtras(sidecars=(replace(SIDECAR, compute=replace(SMALL, cpu="100", cpu_limit="100")),)))
    shop.fits(PLENTY)
    with pytest.raises(SettingError, match=r"Budget\.cpu of shop.*Largest: 1 x extra"):
        objects_of(shop)


def test_a_claim_of_one_pod_is_never_held_by_two() -> None:
    claim = ExistingClaim(mount_path="/data", claim="archive", size="5Gi")
    shop = Shop()
    shop.adds(PodExtras(volumes=(claim,)))
    assert at(objects_of(shop)["Deployment", "shop-extra"], "spec", "strategy") == {"type": "Recreate"}
    both = replace(SERVICE, availability=TWO, extras=PodExtras(volumes=(claim,)))
    with pytest.raises(SettingError, match=r"ReadWriteOnce claim, which one pod can hold"):
        Workload(Shop().phase, both)
    many = replace(claim, access_mode="ReadWriteMany")
    Workload(Shop().phase, replace(both, extras=PodExtras(volumes=(many,))))


def test_who_mounts_a_secret_is_told_with_its_keys() -> None:
    shop = Shop()
    shop.secret("keys", "tls.key", "tls.crt", "other")
    shop.adds(EXTRAS)
    readers = {entry.reference.key: entry.readers for entry in Application.of(shop.phase).secret_keys()}
    assert readers == {"tls.key": ("extra",), "tls.crt": ("extra",), "other": ()}
    whole = Shop()
    whole.secret("keys", "tls.key", "tls.crt")
    whole.adds(PodExtras(volumes=(SecretFiles(mount_path="/keys", secret="shop-keys"),)))
    readers = {entry.reference.key: entry.readers for entry in Application.of(whole.phase).secret_keys()}
    assert readers == {"tls.key": ("extra",), "tls.crt": ("extra",)}


def test_one_volume_can_be_mounted_by_several_containers() -> None:
    shop = Shop()
    shared = Scratch(name="shared", mount_path="/out")
    reader = replace(SIDECAR, volumes=(replace(shared, mount_path="/in"),))
    shop.adds(PodExtras(volumes=(shared,), sidecars=(reader,), init_containers=(replace(reader, name="first"),)))
    spec = at(pod_of(shop, "Deployment", "shop-extra"), "spec")
    assert [volume["name"] for volume in each(spec, "volumes")] == ["shared"]
    mounts = [mount["mountPath"] for c in containers_of({"spec": spec}) for mount in each(c, "volumeMounts")]
    assert mounts == ["/in", "/out", "/in"]


def test_added_init_containers_run_when_what_the_pod_waits_for_is_there() -> None:
    shop = Shop()
    extra = shop.adds(PodExtras(init_containers=(MIGRATE,)))
    redis = shop.redis(REDIS)
    extra.connects_to(redis, wait=True)
    spec = at(pod_of(shop, "Deployment", "shop-extra"), "spec")
    assert [container["name"] for container in each(spec, "initContainers")] == ["wait-for-redis", "migrate"]


def test_the_kind_of_object_is_told_as_it_is_rendered() -> None:
    shop = Shop()
    stateful(shop, replace(SERVICE, name="store"))
    Task(shop.phase, CASES[TAKING["TaskSettings"]].value(shop))  # type: ignore[arg-type]
    whole = Application.of(shop.phase)
    objects = objects_of(shop)
    told = {(pod.kind, pod.full_name) for pod in whole.pods}
    assert told == {key for key, manifest in objects.items() if at(manifest, "spec", "template")}
    assert {kind for kind, _ in told} == {"Deployment", "StatefulSet", "Job"}


# --- what is refused when it is given ---

DNS = Patch(
    kind="Deployment",
    operation="add",
    path="/spec/template/spec/dnsPolicy",
    value="Default",
    because="It asks the node's own resolver.",
)
HOST = PodSecurityException(workload="shop-extra", level="baseline", because="It is a test.")
TAINT = Toleration(key="dedicated", value="payments")
TERM = PodAffinityTerm(match_labels=(("app", "x"),))
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a label's key with a space": (
        lambda: PodExtras(labels=(("my team", "x"),)),
        "PodExtras.labels key: 'my team' was given. Give a name of letters",
    ),
    "a label's key that is too long": (lambda: PodExtras(labels=(("a" * 64, "x"),)), "PodExtras.labels key"),
    "a label's prefix that is no DNS name": (
        lambda: PodExtras(pod_labels=(("Example_Com/team", "x"),)),
        "PodExtras.pod_labels key: 'Example_Com' was given. Give a DNS name",
    ),
    "a label's value with a space": (
        lambda: PodExtras(labels=(("team", "two words"),)),
        "PodExtras.labels value of 'team': 'two words' was given",
    ),
    "a label's value that ends with a dash": (lambda: PodExtras(labels=(("team", "x-"),)), "value of 'team'"),
    "a label twice": (lambda: PodExtras(labels=(("a", "x"), ("a", "y"))), "PodExtras.labels key: 'a' was given. It is"),
    "the label that selects": (
        lambda: PodExtras(labels=(("app.kubernetes.io/name", "other"),)),
        "PodExtras.labels key: 'app.kubernetes.io/name' was given. Selectors",
    ),
    "the label that selects, on the pod": (
        lambda: PodExtras(pod_labels=(("app.kubernetes.io/name", "other"),)),
        "PodExtras.pod_labels key: 'app.kubernetes.io/name' was given. Selectors",
    ),
    "a label of a controller": (lambda: PodExtras(pod_labels=(("pod-template-hash", "1"),)), "rely on it"),
    "an annotation of the library": (
        lambda: PodExtras(annotations=(("argocd.argoproj.io/sync-wave", "9"),)),
        "PodExtras.annotations key: 'argocd.argoproj.io/sync-wave' was given. The library says it",
    ),
    "the checksum of files": (lambda: PodExtras(pod_annotations=(("checksum/config", "0"),)), "The library says it"),
    "an annotation of an account that is none": (
        lambda: PodExtras(account_annotations=(("role arn", "x"),)),
        "PodExtras.account_annotations key: 'role arn' was given.",
    ),
    "annotations that are too large": (
        lambda: PodExtras(annotations=(("a", "x" * 256 * 1024),)),
        "PodExtras.annotations: '262145 bytes' was given. An object holds at most 262144",
    ),
    "a pull policy that is none": (
        lambda: PodExtras(image_pull_policy="Sometimes"),  # type: ignore[arg-type]
        "PodExtras.image_pull_policy: 'Sometimes' was given. Give 'Always'",
    ),
    "a pull secret that is no name": (lambda: PodExtras(image_pull_secrets=("My Key",)), "image_pull_secrets"),
    "an init container with a port": (
        lambda: PodExtras(init_containers=(EXPORTER,)),
        "PodExtras.init_containers 'statsd' ports",
    ),
    "two patches of one place": (lambda: PodExtras(patches=(DNS, DNS)), "PodExtras.patches"),
    "a toleration's operator": (
        lambda: Toleration(key="a", operator="In"),  # type: ignore[arg-type]
        "Toleration.operator: 'In' was given. Give 'Equal' or 'Exists'.",
    ),
    "a toleration's effect": (
        lambda: Toleration(key="a", effect="Never"),  # type: ignore[arg-type]
        "Toleration.effect: 'Never' was given",
    ),
    "a toleration of nothing": (lambda: Toleration(), "Toleration.key: '' was given"),
    "a toleration of any value with a value": (
        lambda: Toleration(key="a", operator="Exists", value="b"),
        "Toleration.value: 'b' was given",
    ),
    "a toleration with seconds that nothing ends": (
        lambda: replace(TAINT, effect="NoSchedule", toleration_seconds=5),
        "Toleration.toleration_seconds: 5 was given",
    ),
    "a toleration with less than no seconds": (
        lambda: replace(TAINT, effect="NoExecute", toleration_seconds=-1),
        "Toleration.toleration_seconds: -1 was given",
    ),
    "a node selector with a wrong value": (
        lambda: Placement(node_selector=(("disk", "very fast"),)),
        "Placement.node_selector value of 'disk'",
    ),
    "a runtime class that is no name": (lambda: Placement(runtime_class="gVisor"), "Placement.runtime_class"),
    "a node requirement without values": (
        lambda: NodeSelectorRequirement(key="disk"),
        "NodeSelectorRequirement.values of 'disk': () was given. In needs at least one value.",
    ),
    "a presence with values": (
        lambda: NodeSelectorRequirement(key="disk", operator="Exists", values=("x",)),
        "Exists takes none",
    ),
    "a comparison with a word": (
        lambda: NodeSelectorRequirement(key="cores", operator="Gt", values=("many",)),
        "Gt takes one whole number",
    ),
    "a comparison of pods": (
        lambda: LabelSelectorRequirement(key="cores", operator="Gt", values=("4",)),  # type: ignore[arg-type]
        "LabelSelectorRequirement.operator: 'Gt' was given",
    ),
    "a term of no node": (lambda: NodeSelectorTerm(match_expressions=()), "NodeSelectorTerm.match_expressions"),
    "a term of every pod": (
        lambda: PodAffinityTerm(),
        "PodAffinityTerm.match_labels: () was given",
    ),
    "a weight of nothing": (
        lambda: WeightedPodAffinityTerm(weight=0, pod_affinity_term=TERM),
        "WeightedPodAffinityTerm.weight: 0 was given. Give 1 to 100.",
    ),
    "a weight beyond 100": (
        lambda: PreferredSchedulingTerm(
            weight=101,
            preference=NodeSelectorTerm(match_expressions=(NodeSelectorRequirement(key="a", operator="Exists"),)),
        ),
        "PreferredSchedulingTerm.weight: 101",
    ),
    "a mount that leaves its folder": (
        lambda: ExistingConfigMap(mount_path="/a/../etc", config_map="x"),
        "ExistingConfigMap.mount_path of 'existing-config'",
    ),
    "a ConfigMap that is no name": (
        lambda: ExistingConfigMap(mount_path="/a", config_map="My Theme"),
        "ExistingConfigMap.config_map",
    ),
    "a Secret that is no name": (
        lambda: ExistingSecret(mount_path="/a", secret="My Keys"),
        "ExistingSecret.secret",
    ),
    "a key of a Secret of others that is none": (
        lambda: ExistingSecret(mount_path="/a", secret="x", keys=("a b",)),
        "ExistingSecret.keys",
    ),
    "a key that is none": (lambda: SecretFiles(mount_path="/a", secret="x", keys=("a b",)), "SecretFiles.keys"),
    "a claim's mode": (
        lambda: ExistingClaim(mount_path="/a", claim="x", size="1Gi", access_mode="ReadWriteTwice"),  # type: ignore[arg-type]
        "ExistingClaim.access_mode: 'ReadWriteTwice' was given",
    ),
    "a claim's size": (lambda: ExistingClaim(mount_path="/a", claim="x", size="much"), "ExistingClaim.size"),
    "projected files of nothing": (lambda: Projected(mount_path="/a", sources=()), "Projected.sources of 'projected'"),
    "two projected files with one path": (
        lambda: Projected(
            mount_path="/a",
            sources=(
                ConfigMapProjection(config_map="x", keys=("token",)),
                ServiceAccountTokenProjection(audience="vault"),
            ),
        ),
        "Projected.sources of 'projected' path: 'token' was given. It is given twice",
    ),
    "a field that a file cannot have": (
        lambda: DownwardApiProjection(path="ip", field_path="status.podIP"),
        "DownwardApiProjection.field_path: 'status.podIP' was given",
    ),
    "a token for the cluster's own API": (
        lambda: ServiceAccountTokenProjection(audience=" "),
        "ServiceAccountTokenProjection.audience: ' ' was given",
    ),
    "a token that ends too soon": (
        lambda: ServiceAccountTokenProjection(audience="vault", expiration_seconds=599),
        "Give 600 or more",
    ),
    "a literal secret for a driver": (
        lambda: Csi(mount_path="/a", driver="csi.example.com", attributes=(("password", "hunter2"),)),
        "Csi.attributes 'password': '(not shown)' was given",
    ),
    "a driver that is no name": (lambda: Csi(mount_path="/a", driver="My Driver"), "Csi.driver"),
    "a peer's label": (
        lambda: NamespacePods(namespace="a", labels=(("my app", "x"),)),
        "NamespacePods.labels key: 'my app' was given",
    ),
    "two containers of one name": (
        lambda: replace(SERVICE, extras=PodExtras(sidecars=(replace(SIDECAR, name="main"),))),
        "extra container name: 'main' was given. It is given twice",
    ),
    "an init container with a sidecar's name": (
        lambda: replace(SERVICE, extras=PodExtras(sidecars=(SIDECAR,), init_containers=(SIDECAR,))),
        "extra container name: 'sidecar' was given. It is given twice",
    ),
    "a port that the program has": (
        lambda: replace(SERVICE, extras=PodExtras(ports=(Port(name="more", number=8000),))),
        "Container 'main' port: 8000 was given. It is given twice",
    ),
    "a port that a sidecar has": (
        lambda: replace(SERVICE, extras=PodExtras(ports=(Port(name="more", number=9102),), sidecars=(EXPORTER,))),
        "extra port: 9102 was given. It is given twice",
    ),
    "a volume's name that the program has": (
        lambda: replace(
            SERVICE,
            container=replace(MAIN, volumes=(Scratch(),)),
            extras=PodExtras(volumes=(Scratch(mount_path="/other"),)),
        ),
        "Container 'main' volume name: 'tmp' was given. It is given twice",
    ),
    "a place where the program has a volume": (
        lambda: replace(
            SERVICE,
            container=replace(MAIN, volumes=(Scratch(),)),
            extras=PodExtras(volumes=(Scratch(name="other"),)),
        ),
        "Container 'main' mount path: '/tmp' was given. It is given twice",
    ),
    "a sidecar's pause that outlasts the stop": (
        lambda: replace(SERVICE, extras=PodExtras(sidecars=(replace(SIDECAR, pre_stop_seconds=30),))),
        "extra pre_stop_seconds: 30 was given",
    ),
    "no time at all to stop for a container that hangs": (
        lambda: hung_for(0),
        "Probes.hung_grace_seconds: 0 was given. Give 1 or more.",
    ),
    "an init container by whose name the pod waits": (
        lambda: waiting(replace(MIGRATE, name="wait-for-redis")),
        "shop-extra container name: 'wait-for-redis' was given",
    ),
    "an exception without a reason": (
        lambda: PodSecurityException(workload="shop-web", level="baseline", because=" "),
        "PodSecurityException.because: ' ' was given",
    ),
    "an exception of an unknown level": (
        lambda: PodSecurityException(workload="shop-web", level="lax", because="x"),  # type: ignore[arg-type]
        "PodSecurityException.level: 'lax' was given",
    ),
    "two exceptions of one workload": (
        lambda: NamespaceSettings(budget=PLENTY, exceptions=(HOST, replace(HOST, level="privileged"))),
        "NamespaceSettings.exceptions workload",
    ),
}


def hung_for(seconds: int) -> Probes:
    return Probes.of(TcpSocket(), hung_grace_seconds=seconds)


def waiting(init: Container) -> None:
    shop = Shop()
    extra = shop.adds(PodExtras(init_containers=(init,)))
    extra.connects_to(shop.redis(REDIS), wait=True)


@at_each("name", REFUSED)
def test_it_is_refused_when_it_is_given(name: str) -> None:
    build, words = REFUSED[name]
    with pytest.raises(SettingError, match=re.escape(words)):
        build()


# --- what only the whole tree shows ---


def tried(extras: PodExtras) -> Callable[[Shop], object]:
    return lambda shop: shop.adds(extras)


UNSOUND: dict[str, tuple[Callable[[Shop], object], str]] = {
    "a Secret of others that the application declares": (
        lambda shop: (
            shop.secret("keys", "tls.key"),
            shop.adds(PodExtras(volumes=(ExistingSecret(mount_path="/keys", secret="shop-keys"),))),
        ),
        "Secret 'shop-keys' is said to be made by others, and the application declares it: take a variable from "
        "secret.key(...), and files from SecretFiles(...).",
    ),
    "a Secret that nobody declared": (
        tried(PodExtras(volumes=(SecretFiles(mount_path="/keys", secret="shop-keys"),))),
        "Deployment shop-extra mounts Secret 'shop-keys', which nothing provides: declare it with Secret(...), or "
        "mount what others made as an ExistingSecret(...).",
    ),
    "a key that its Secret does not hold": (
        lambda shop: (
            shop.secret("keys", "tls.crt"),
            shop.adds(PodExtras(volumes=(SecretFiles(mount_path="/keys", secret="shop-keys", keys=("tls.key",)),))),
        ),
        "Deployment shop-extra mounts key 'tls.key' of Secret 'shop-keys', which it does not hold",
    ),
    "a projected Secret that nobody declared": (
        tried(
            PodExtras(volumes=(Projected(mount_path="/keys", sources=(SecretProjection(secret="shop-keys"),)),)),
        ),
        "Deployment shop-extra mounts Secret 'shop-keys', which nothing provides",
    ),
    "a sidecar that reads a Secret that nobody declared": (
        tried(
            PodExtras(
                sidecars=(replace(SIDECAR, variables=(Variable(name="A", value=SecretKey(secret="x", key="y")),)),)
            )
        ),
        "reads A from key 'y' of Secret 'x', which nothing provides",
    ),
    "an init container that dials where no path is": (
        tried(PodExtras(init_containers=(replace(MIGRATE, variables=variables({"API": "http://shop-api:8000"})),))),
        "shop-extra has API=http://shop-api:8000, but no path to shop-api:8000",
    ),
    "pods that must run beside nobody": (
        tried(
            PodExtras(placement=Placement(affinity=Affinity(pod_affinity=PodAffinity(required=(TERM,))))),
        ),
        "Deployment shop-extra has podAffinity for {'app': 'x'}, which no pod carries.",
    ),
    "pods that stay away from nobody": (
        tried(
            PodExtras(
                placement=Placement(
                    affinity=Affinity(
                        pod_anti_affinity=PodAntiAffinity(
                            preferred=(WeightedPodAffinityTerm(weight=1, pod_affinity_term=TERM),)
                        )
                    )
                )
            ),
        ),
        "Deployment shop-extra has podAntiAffinity for {'app': 'x'}, which no pod carries.",
    ),
    "an exception of a pod that needs none": (
        lambda shop: Namespace(
            shop.phase, NamespaceSettings(budget=PLENTY, exceptions=(replace(HOST, workload="shop-web"),))
        ),
        "Deployment shop-web is restricted: take its PodSecurityException out.",
    ),
    "an exception of nobody": (
        lambda shop: Namespace(
            shop.phase, NamespaceSettings(budget=PLENTY, exceptions=(replace(HOST, workload="shop-gone"),))
        ),
        "PodSecurityException of 'shop-gone': no pod is run by it.",
    ),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_the_whole_tree_refuses(name: str) -> None:
    build, words = UNSOUND[name]
    shop = Shop()
    build(shop)
    with pytest.raises(TreeError) as caught:
        objects_of(shop)
    assert [problem for problem in caught.value.problems if words in problem] == list(caught.value.problems)


def test_what_is_said_to_exist_is_not_missed_and_what_is_not_said_is() -> None:
    shop = Shop()
    theme = ExistingConfigMap(mount_path="/theme", config_map="corporate-theme")
    keys = ExistingSecret(mount_path="/keys", secret="partner-client", keys=("tls.key",))
    shop.adds(PodExtras(volumes=(theme, keys, ExistingClaim(mount_path="/data", claim="archive", size="1Gi"))))
    objects_of(shop)
    assert "partner-client" not in {entry.reference.secret for entry in Application.of(shop.web).secret_keys()}
    other = Shop()
    other.adds(PodExtras(volumes=(theme,)))
    other.web.patch(
        Patch(
            kind="Deployment",
            operation="add",
            path="/spec/template/spec/volumes",
            value=[{"name": "more", "configMap": {"name": "corporate-colours"}}],
            because="It is a test.",
        )
    )
    with pytest.raises(TreeError, match="refers to ConfigMap 'corporate-colours', which nothing provides"):
        objects_of(other)


def test_two_containers_cannot_mean_two_volumes_by_one_name() -> None:
    shop = Shop()
    sidecar = replace(SIDECAR, volumes=(Scratch(name="shared", mount_path="/in", size="1Mi"),))
    with pytest.raises(SettingError, match=r"size='64Mi'\) and Scratch\(.*size='1Mi'\).* one of them another name"):
        shop.adds(PodExtras(volumes=(Scratch(name="shared", mount_path="/out"),), sidecars=(sidecar,)))


# --- patches ---


@dataclass(frozen=True)
class Change:
    """A patch, where to look, and what is there then."""

    patch: Patch
    kind: str
    path: tuple[str, ...]
    field: str
    becomes: object


CHANGES = {
    "a field is added": Change(DNS, "Deployment", ("spec", "template", "spec"), "dnsPolicy", "Default"),
    "a field is replaced": Change(
        replace(DNS, operation="replace", path="/spec/revisionHistoryLimit", value=1),
        "Deployment",
        ("spec",),
        "revisionHistoryLimit",
        1,
    ),
    "a field is removed": Change(
        replace(DNS, operation="remove", path="/spec/revisionHistoryLimit", value=None),
        "Deployment",
        ("spec",),
        "revisionHistoryLimit",
        None,
    ),
    "a mapping is added": Change(
        replace(DNS, path="/spec/template/spec/dnsConfig", value={"options": [{"name": "ndots", "value": "1"}]}),
        "Deployment",
        ("spec", "template", "spec"),
        "dnsConfig",
        {"options": [{"name": "ndots", "value": "1"}]},
    ),
    "an entry is added in front": Change(
        replace(DNS, kind="Service", path="/spec/ports/0", value={"name": "first", "port": 1, "targetPort": "http"}),
        "Service",
        ("spec",),
        "ports",
        [
            {"name": "first", "port": 1, "targetPort": "http"},
            {"name": "http", "port": 8000, "targetPort": "http", "protocol": "TCP"},
            {"name": "admin", "port": 8001, "targetPort": "admin", "protocol": "TCP"},
        ],
    ),
    "an entry is removed": Change(
        replace(DNS, kind="Service", operation="remove", path="/spec/ports/1", value=None),
        "Service",
        ("spec",),
        "ports",
        [{"name": "http", "port": 8000, "targetPort": "http", "protocol": "TCP"}],
    ),
    "a key with a slash is added": Change(
        replace(DNS, kind="Service", path="/metadata/annotations/example.com~1a~0b", value="x"),
        "Service",
        ("metadata", "annotations"),
        "example.com/a~b",
        "x",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_patch_changes_one_place_and_nothing_else(name: str) -> None:
    change = CHANGES[name]
    shop = Shop()
    shop.adds(PodExtras(patches=(change.patch,)))
    other = Shop()
    other.adds(PodExtras())
    after, before = objects_of(shop), objects_of(other)
    key = (change.kind, "shop-extra")
    assert at(after[key], *change.path).get(change.field) == change.becomes
    assert at(before[key], *change.path).get(change.field) != change.becomes
    assert {each for each in after if after[each] != before[each]} == {key}
    for version in VERSIONS:
        kubernetes_validate.validate(dict(after[key]), version, strict=True)


def test_any_component_can_be_patched_after_it_was_made() -> None:
    shop = Shop()
    namespace = shop.fits(PLENTY)
    namespace.patch(
        Patch(
            kind="Namespace",
            operation="add",
            path="/metadata/labels/example.com~1tier",
            value="gold",
            because="The platform bills by it.",
        )
    )
    assert at(objects_of(shop)["Namespace", "shop"], "metadata", "labels")["example.com/tier"] == "gold"


def test_every_patch_is_listed_with_its_reason() -> None:
    shop = Shop()
    host = replace(DNS, path=f"{MAIN_CONTAINER}/ports/0/hostPort", value=8000, because="The node's agent asks it.")
    shop.adds(
        PodExtras(patches=(DNS, host), sidecars=(replace(SIDECAR, writable_root_because="It keeps a pid file."),))
    )
    Namespace(shop.phase, NamespaceSettings(budget=PLENTY, exceptions=(replace(HOST, because="It is asked there."),)))
    whole = Application.of(shop.phase)
    assert [(component.full_name, patch) for component, patch in whole.patches] == [
        ("shop-extra", DNS),
        ("shop-extra", host),
    ]
    assert facets.exceptions(whole) == {
        "patch of extra: add Deployment /spec/template/spec/dnsPolicy Default": "It asks the node's own resolver.",
        f"patch of extra: add Deployment {MAIN_CONTAINER}/ports/0/hostPort 8000": "The node's agent asks it.",
        "pod security of shop-extra: baseline": "It is asked there.",
        "writable root of extra/sidecar": "It keeps a pid file.",
        **{
            f"no probes of {name}": "No test starts it."
            for name in ("api/main", "extra/main", "extra/sidecar", "web/main")
        },
    }


MAIN_CONTAINER = "/spec/template/spec/containers/0"


def patched(**changes: object) -> Callable[[], Patch]:
    return lambda: replace(DNS, **changes)  # type: ignore[arg-type]


def test_a_patch_may_name_the_version_that_brought_its_field() -> None:
    newer = replace(DNS, path="/spec/template/spec/hostnameOverride", value="shop", since="1.34")
    shop = Shop()
    shop.adds(PodExtras(patches=(newer,)))
    manifest = objects_of(shop)["Deployment", "shop-extra"]
    assert at(manifest, "spec", "template", "spec")["hostnameOverride"] == "shop"
    kubernetes_validate.validate(dict(manifest), "1.34", strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(dict(manifest), "1.33", strict=True)
    other = Shop()
    other.adds(PodExtras(patches=(replace(newer, since=""),)))
    with pytest.raises(TreeError, match="say in since which version"):
        objects_of(other)


NO_PATCH: dict[str, tuple[Callable[[], Patch], str]] = {
    "no reason": (patched(because=""), "because: '' was given. Say in one line why no setting does."),
    "a reason of spaces": (patched(because=" \t"), "Say in one line"),
    "the API version": (patched(operation="replace", path="/apiVersion", value="apps/v2"), "object's identity"),
    "the kind": (patched(operation="replace", path="/kind", value="DaemonSet"), "object's identity"),
    "the name": (patched(operation="replace", path="/metadata/name", value="other"), "object's identity"),
    "the namespace": (patched(operation="remove", path="/metadata/namespace", value=None), "object's identity"),
    "the selector": (patched(operation="replace", path="/spec/selector", value={}), "which pods are meant"),
    "a part of the selector": (
        patched(path="/spec/selector/matchLabels/app", value="x"),
        "which pods are meant",
    ),
    "the label that is selected": (
        patched(operation="replace", path="/spec/template/metadata/labels/app.kubernetes.io~1name", value="x"),
        "which pods are meant",
    ),
    "all labels of the pod": (
        patched(operation="replace", path="/spec/template/metadata/labels", value={}),
        "Give the path of the one field",
    ),
    "all of the spec": (patched(operation="replace", path="/spec", value={}), "Give the path of the one field"),
    "all of the metadata": (patched(operation="replace", path="/metadata", value={}), "Give the path of the one field"),
    "the label by which it is found": (
        patched(operation="remove", path="/metadata/labels/app.kubernetes.io~1part-of", value=None),
        "people find the object by it",
    ),
    "when it is applied": (
        patched(operation="replace", path="/metadata/annotations/argocd.argoproj.io~1sync-wave", value="0"),
        "The phase says",
    ),
    "a policy": (patched(kind="NetworkPolicy", path="/spec/ingress/-", value={}), "Open it with connects_to(...)"),
    "a version that has been there": (patched(since="1.27"), "Patch.since: '1.27' was given. Leave it out"),
    "a version that is none": (patched(since="30"), "Patch.since: '30' was given"),
    "an unknown operation": (patched(operation="move"), "Patch.operation: 'move' was given"),
    "a path without a slash": (patched(path="spec.replicas"), "Patch.path: 'spec.replicas' was given"),
    "a path with a lone tilde": (patched(path="/spec/a~b"), "Give a JSON pointer"),
    "everything": (patched(path=""), "Give a JSON pointer"),
    "no value to add": (patched(value=None), "Give a value to add"),
    "a value to remove": (patched(operation="remove"), "and none to remove"),
    "a value that JSON does not have": (patched(value={"a": {1, 2}}), "Give text, a number"),
    "a number that is none": (patched(value=float("nan")), "Give text, a number"),
    "a kind that is none": (patched(kind="deployment"), "Patch.kind: 'deployment' was given"),
}


@at_each("name", NO_PATCH)
def test_a_patch_is_refused_when_it_is_given(name: str) -> None:
    build, words = NO_PATCH[name]
    with pytest.raises(SettingError, match=re.escape(words)):
        build()


LOST_PATCH: dict[str, tuple[Patch, str]] = {
    "of a kind that is not there": (
        replace(DNS, kind="StatefulSet"),
        "Patch of shop-extra: 'StatefulSet' was given. Give one that there is: ServiceAccount shop-extra, Deployment",
    ),
    "that meets nothing on the way": (
        replace(DNS, path="/spec/templat/spec/dnsPolicy"),
        "There is no /spec/templat.",
    ),
    "that replaces what is not there": (
        replace(DNS, operation="replace"),
        "There is nothing to replace. There are: serviceAccountName,",
    ),
    "that removes what is not there": (
        replace(DNS, operation="remove", value=None),
        "There is nothing to remove.",
    ),
    "that adds what is there": (
        replace(DNS, path="/spec/revisionHistoryLimit", value=4),
        "It is 3 already. Replace it, or take the patch out.",
    ),
    "that changes nothing": (
        replace(DNS, operation="replace", path="/spec/revisionHistoryLimit", value=3),
        "It has this value without the patch. Take the patch out.",
    ),
    "that adds beyond the end of a list": (
        replace(DNS, kind="Service", path="/spec/ports/5", value={}),
        "Give '-' for the end, or a place from 0 to 2.",
    ),
    "that adds a field by a wrong name": (
        replace(DNS, path="/spec/template/spec/dnsPolcy"),
        "Patch of Deployment shop-extra: '/spec/template/spec/dnsPolcy' was given. k8s.PodSpec has no field "
        "'dnsPolcy'. Did you mean 'dnsPolicy'? Mend it, or say in since which version of Kubernetes brought it.",
    ),
    "that adds a field by a wrong name inside": (
        replace(DNS, path="/spec/template/spec/dnsConfig", value={"options": [{"nam": "ndots"}]}),
        "k8s.PodDnsConfigOption has no field 'nam'. Did you mean 'name'?",
    ),
    "that gives a value of another type": (
        replace(DNS, operation="replace", path="/spec/replicas", value="one"),
        "/spec/replicas is 'one', and int below 2147483648 is wanted.",
    ),
    "that gives one value for a list": (
        replace(DNS, path="/spec/template/spec/hostAliases", value={"ip": "10.0.0.1"}),
        "/spec/template/spec/hostAliases is {'ip': '10.0.0.1'}, and Sequence[HostAlias] is wanted.",
    ),
    "that gives what is no amount": (
        replace(DNS, path="/spec/template/spec/overhead", value={"cpu": "much"}),
        "/spec/template/spec/overhead/cpu: Quantity: 'much' was given.",
    ),
    "that leaves out what must be there": (
        replace(
            DNS,
            path="/spec/template/spec/topologySpreadConstraints",
            value=[{"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}],
        ),
        "/topologySpreadConstraints/0 lacks topology_key, which k8s.TopologySpreadConstraint must have.",
    ),
    "that goes into a text": (
        replace(DNS, kind="Service", path="/spec/type/a", value="x"),
        "which holds nothing",
    ),
}


@pytest.mark.parametrize("name", LOST_PATCH)
def test_a_patch_that_does_not_do_what_it_says_stops_the_synthesis(name: str) -> None:
    patch, words = LOST_PATCH[name]
    shop = Shop()
    shop.adds(PodExtras(patches=(patch,)))
    with pytest.raises(TreeError) as caught:
        objects_of(shop)
    assert len(caught.value.problems) == 1
    assert words in caught.value.problems[0]


def test_of_two_objects_of_a_kind_the_patch_names_one() -> None:
    label = Patch(
        kind="Service", operation="add", path="/metadata/labels/example.com~1a", value="x", because="It is a test."
    )
    shop = Shop()
    stateful(shop, replace(SERVICE, extras=PodExtras(patches=(label,))))
    with pytest.raises(TreeError, match=r"'Service' was given\. Give the name of one: .*Service shop-extra-pods"):
        objects_of(shop)
    named = Shop()
    stateful(named, replace(SERVICE, extras=PodExtras(patches=(replace(label, name="shop-extra-pods"),))))
    objects = objects_of(named)
    assert at(objects["Service", "shop-extra-pods"], "metadata", "labels").get("example.com/a") == "x"
    assert "example.com/a" not in at(objects["Service", "shop-extra"], "metadata", "labels")


SEEN: dict[str, tuple[Patch, str]] = {
    "a literal secret": (
        replace(DNS, path=f"{MAIN_CONTAINER}/env", value=[{"name": "DB_PASSWORD", "value": "hunter2"}]),
        "has a literal secret in DB_PASSWORD",
    ),
    "a Secret that is not there": (
        replace(DNS, path="/spec/template/spec/volumes", value=[{"name": "a", "secret": {"secretName": "gone"}}]),
        "mounts Secret 'gone', which nothing provides",
    ),
    "an image that moves": (
        replace(DNS, operation="replace", path=f"{MAIN_CONTAINER}/image", value="acme/shop:latest"),
        "Deployment shop-extra: Image.tag of acme/shop: 'latest' was given",
    ),
    "a host without a path": (
        replace(DNS, path=f"{MAIN_CONTAINER}/env", value=[{"name": "API", "value": "http://shop-api:8000"}]),
        "shop-extra has API=http://shop-api:8000, but no path to shop-api:8000",
    ),
    "a port twice": (
        replace(DNS, path=f"{MAIN_CONTAINER}/ports/-", value={"name": "more", "containerPort": 8000}),
        "takes port 8000 twice",
    ),
    "a container of its own": (
        replace(
            DNS,
            path="/spec/template/spec/containers/-",
            value={"name": "more", "image": "acme/more:1.0.0"},
        ),
        "does not hold the restricted Pod Security Standard: container more lacks allowPrivilegeEscalation: false",
    ),
    "the node's network": (
        replace(DNS, path="/spec/template/spec/hostNetwork", value=True),
        "does not hold the restricted Pod Security Standard: hostNetwork is true.",
    ),
    "the node's files": (
        replace(DNS, path="/spec/template/spec/volumes", value=[{"name": "node", "hostPath": {"path": "/var/log"}}]),
        "does not hold the restricted Pod Security Standard: volume node is a hostPath.",
    ),
    "root": (
        replace(DNS, operation="replace", path=f"{MAIN_CONTAINER}/securityContext/runAsUser", value=0),
        "does not hold the restricted Pod Security Standard: container main has runAsUser 0.",
    ),
    "a priority that is not there": (
        replace(DNS, path="/spec/template/spec/priorityClassName", value="gone"),
        "refers to PriorityClass 'gone', which nothing provides",
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_the_checks_of_the_tree_see_what_a_patch_makes(name: str) -> None:
    patch, words = SEEN[name]
    shop = Shop()
    shop.adds(PodExtras(patches=(patch,)))
    with pytest.raises(TreeError) as caught:
        objects_of(shop)
    assert len(caught.value.problems) == 1
    assert words in caught.value.problems[0]


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (
            replace(DNS, operation="replace", path="/spec/replicas", value=9),
            "All requests together are 1400m CPU, 896Mi, 1792Mi of disk, and ResourceQuota shop allows 600m CPU, "
            "384Mi, 768Mi of disk: give sizes",
        ),
        (
            replace(DNS, operation="replace", path="/spec/replicas", value=9),
            "There are 14 pods at most, and ResourceQuota shop allows 6: give sizes",
        ),
        (
            replace(DNS, operation="replace", path=f"{MAIN_CONTAINER}/resources/limits/memory", value="1Gi"),
            "container main may use 200m CPU, 1Gi, 128Mi of disk, and the LimitRange allows 200m CPU, 128Mi, "
            "128Mi of disk.",
        ),
        (
            replace(DNS, operation="replace", path=f"{MAIN_CONTAINER}/resources/limits/memory", value="lots"),
            "Deployment shop-extra: memory: 'lots' was given.",
        ),
    ],
    ids=["requests", "pods", "the largest container", "no amount"],
)
def test_the_quota_is_compared_with_what_a_patch_makes(patch: Patch, words: str) -> None:
    shop = Shop()
    shop.adds(PodExtras(patches=(patch,)))
    shop.fits(PLENTY)
    with pytest.raises(TreeError, match=re.escape(words)):
        objects_of(shop)


def test_an_autoscaler_is_counted_at_its_maximum_also_when_a_patch_moves_it() -> None:
    scaled = replace(SERVICE, availability=Availability(scale=Autoscaling(minimum=1, maximum=3)))
    shop = Shop()
    Workload(shop.phase, scaled)
    shop.fits(PLENTY)
    objects_of(shop)
    more = replace(DNS, kind="HorizontalPodAutoscaler", operation="replace", path="/spec/maxReplicas", value=4)
    other = Shop()
    Workload(other.phase, replace(scaled, extras=PodExtras(patches=(more,))))
    other.fits(PLENTY)
    # Two workloads of one pod, each with one more in a rollout, and three of the third with one more.
    with pytest.raises(TreeError, match="There are 9 pods at most, and ResourceQuota shop allows 8"):
        objects_of(other)


def test_a_stateful_workload_that_serves_nothing_has_the_service_that_names_its_pods_alone() -> None:
    shop = Shop()
    stateful(shop, replace(SERVICE, container=replace(MAIN, ports=())))
    assert [name for kind, name in objects_of(shop) if kind == "Service" and "extra" in name] == ["shop-extra-pods"]


def test_a_named_exception_lets_one_workload_through_and_no_other() -> None:
    port = replace(DNS, path=f"{MAIN_CONTAINER}/ports/0/hostPort", value=8000)
    shop = Shop()
    shop.adds(PodExtras(patches=(port,)))
    Namespace(shop.phase, NamespaceSettings(budget=PLENTY, exceptions=(replace(HOST, level="privileged"),)))
    labels = at(objects_of(shop)["Namespace", "shop"], "metadata", "labels")
    told = {mode: labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")}
    assert told == {"enforce": "privileged", "audit": "restricted", "warn": "restricted"}
    other = Shop()
    other.adds(PodExtras(patches=(port,)))
    other.web.patch(port)
    Namespace(other.phase, NamespaceSettings(budget=PLENTY, exceptions=(replace(HOST, level="privileged"),)))
    with pytest.raises(TreeError) as caught:
        objects_of(other)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "Deployment shop-web does not hold the restricted Pod Security Standard"
    ]


def test_a_component_is_not_patched_after_it_was_rendered() -> None:
    shop = Shop()
    objects_of(shop)
    with pytest.raises(SettingError, match=r"Make it before synth\(\)"):
        shop.web.patch(DNS)


def test_files_are_rendered_once_for_the_object_and_its_checksum() -> None:
    """A Files volume of a sidecar is the workload's ConfigMap too, and replaces its pods when it changes."""

    def checksum(text: str) -> object:
        shop = Shop()
        files = Files(name="rules", mount_path="/rules", files=(File(path="rules.yaml", content=text),))
        shop.adds(PodExtras(sidecars=(replace(SIDECAR, volumes=(files,)),)))
        objects = objects_of(shop)
        assert at(objects["ConfigMap", "shop-extra-rules"], "data") == {"rules.yaml": text}
        return at(objects["Deployment", "shop-extra"], "spec", "template", "metadata", "annotations")["checksum/config"]

    assert checksum("a: 1\n") == checksum("a: 1\n") != checksum("a: 2\n")
