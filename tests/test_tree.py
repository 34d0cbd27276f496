"""This module is the checks over the whole tree, tried on objects that people add with plain cdk8s."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cdk8s
import pytest
import yaml
from constructs import Construct
from jsii import _kernel

from conftest import close
from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    Application,
    ApplicationSettings,
    BuiltImage,
    Component,
    Compute,
    Container,
    External,
    Internet,
    Manifest,
    NoProbes,
    Phase,
    PodTemplatePath,
    Port,
    Readiness,
    SettingError,
    Target,
    TreeError,
    User,
    Workload,
    WorkloadSettings,
    harden,
    images,
    variables,
)
from mcpmesh_k8s import k8s as api
from mcpmesh_k8s.kubernetes.checks import hosts_in
from mcpmesh_k8s.kubernetes.manifest import name_of
from mcpmesh_k8s.kubernetes.variable import secret_literal
from plain_cdk8s import k8s, plus


def small(tmp_path: Path, **values: str) -> tuple[Application, Phase, Workload]:
    """An application with one service."""
    application = Application(ApplicationSettings(name="shop"), outdir=tmp_path / "shop")
    phase = Phase(application, "services")
    close(phase)
    container = Container(
        name="main",
        image=images.REGISTRY,
        user=User(uid=1, gid=1),
        compute=Compute(cpu="1", memory="1Gi"),
        ports=(Port(number=8000),),
        variables=variables(values),
        probes=NoProbes(because="No test starts it."),
    )
    return application, phase, Workload(phase, WorkloadSettings(name="api", container=container))


def restricted() -> k8s.SecurityContext:
    """What the restricted Pod Security Standard asks of a container."""
    return k8s.SecurityContext(
        run_as_non_root=True,
        allow_privilege_escalation=False,
        capabilities=k8s.Capabilities(drop=["ALL"]),
        seccomp_profile=k8s.SeccompProfile(type="RuntimeDefault"),
    )


def pod(**fields: object) -> k8s.PodTemplateSpec:
    given: dict[str, object] = {"name": "c", "image": "redis:7.4.5", "security_context": restricted(), **fields}
    container = k8s.Container(**given)  # type: ignore[arg-type]
    return k8s.PodTemplateSpec(
        metadata=k8s.ObjectMeta(labels={"app": "extra"}), spec=k8s.PodSpec(containers=[container])
    )


def twice() -> k8s.PodTemplateSpec:
    container = k8s.Container(name="c", image="redis:7.4.5", security_context=restricted())
    return k8s.PodTemplateSpec(
        metadata=k8s.ObjectMeta(labels={"app": "extra"}), spec=k8s.PodSpec(containers=[container, container])
    )


def mounting(volume: k8s.Volume) -> k8s.PodTemplateSpec:
    container = k8s.Container(name="c", image="redis:7.4.5", security_context=restricted())
    return k8s.PodTemplateSpec(
        metadata=k8s.ObjectMeta(labels={"app": "extra"}), spec=k8s.PodSpec(containers=[container], volumes=[volume])
    )


def beside(labels: dict[str, str]) -> k8s.PodTemplateSpec:
    term = k8s.PodAffinityTerm(
        topology_key="kubernetes.io/hostname", label_selector=k8s.LabelSelector(match_labels=labels)
    )
    affinity = k8s.PodAffinity(required_during_scheduling_ignored_during_execution=[term])
    container = k8s.Container(name="c", image="redis:7.4.5", security_context=restricted())
    return k8s.PodTemplateSpec(
        metadata=k8s.ObjectMeta(labels={"app": "extra"}),
        spec=k8s.PodSpec(containers=[container], affinity=k8s.Affinity(pod_affinity=affinity)),
    )


def deployment(phase: Phase, template: k8s.PodTemplateSpec, labels: dict[str, str] | None = None) -> None:
    k8s.KubeDeployment(
        phase,
        "extra",
        metadata=k8s.ObjectMeta(name="extra", namespace="shop"),
        spec=k8s.DeploymentSpec(selector=k8s.LabelSelector(match_labels=labels or {"app": "extra"}), template=template),
    )


def config_map(phase: Phase, name: str, text: str) -> None:
    k8s.KubeConfigMap(phase, name, metadata=k8s.ObjectMeta(name=name, namespace="shop"), data={"file": text})


def service(phase: Phase, selector: dict[str, str], target_port: int) -> None:
    k8s.KubeService(
        phase,
        "extra-service",
        metadata=k8s.ObjectMeta(name="extra", namespace="shop"),
        spec=k8s.ServiceSpec(
            selector=selector,
            ports=[k8s.ServicePort(port=80, target_port=k8s.IntOrString.from_number(target_port))],
        ),
    )


def env(name: str, value: str) -> k8s.EnvVar:
    return k8s.EnvVar(name=name, value=value)


def from_secret(name: str, key: str) -> k8s.EnvVar:
    reference = k8s.SecretKeySelector(name=name, key=key)
    return k8s.EnvVar(name="X", value_from=k8s.EnvVarSource(secret_key_ref=reference))


CASES: dict[str, tuple[Callable[[Phase], object], str]] = {
    "two objects of one identity": (
        lambda phase: service_account(phase, "shop-api"),
        "ServiceAccount shop-api is rendered twice",
    ),
    "an object without a name": (
        lambda phase: phase_object(phase),
        "ConfigMap has no metadata.name",
    ),
    "a ConfigMap that is not there": (
        lambda phase: deployment(
            phase,
            pod(env_from=[k8s.EnvFromSource(config_map_ref=k8s.ConfigMapEnvSource(name="settings"))]),
        ),
        "Deployment extra refers to ConfigMap 'settings', which nothing provides",
    ),
    "a Secret that is not there": (
        lambda phase: deployment(phase, pod(env=[from_secret("db", "password")])),
        "reads X from key 'password' of Secret 'db', which nothing provides",
    ),
    "a reference to a variable that comes later": (
        lambda phase: deployment(phase, pod(env=[env("URL", "db://me:$(WORD)@db"), env("WORD", "x")])),
        "has URL with $(WORD) in it, which comes later or not at all, and would stay as it stands: give WORD before it",
    ),
    "a reference to no variable": (
        lambda phase: deployment(phase, pod(env=[env("WORD", "x"), env("URL", "$(WORD) $(WORK)")])),
        "has URL with $(WORK) in it",
    ),
    "a volume that is not there": (
        lambda phase: deployment(phase, pod(volume_mounts=[k8s.VolumeMount(name="data", mount_path="/data")])),
        "Deployment extra mounts volume 'data', which its pod does not have",
    ),
    "a selector that misses its own pods": (
        lambda phase: deployment(phase, pod(), {"app": "other"}),
        "Deployment extra does not select its own pods",
    ),
    "a Service that selects nothing": (
        lambda phase: service(phase, {"app": "nobody"}, 80),
        "Service extra selects {'app': 'nobody'}, which no pod carries",
    ),
    "a Service port that is not served": (
        lambda phase: service(phase, {"app.kubernetes.io/name": "shop-api"}, 9999),
        "Service extra sends to port 9999, which its pods do not serve",
    ),
    "a variable twice": (
        lambda phase: deployment(phase, pod(env=[env("A", "1"), env("A", "2")])),
        "Deployment extra sets variable A twice",
    ),
    "a port twice": (
        lambda phase: deployment(
            phase,
            pod(
                ports=[
                    k8s.ContainerPort(container_port=80, name="a"),
                    k8s.ContainerPort(container_port=80, name="b"),
                ]
            ),
        ),
        "Deployment extra takes port 80 twice",
    ),
    "a literal secret in a variable": (
        lambda phase: deployment(phase, pod(env=[env("DB_PASSWORD", "hunter2")])),
        "Deployment extra has a literal secret in DB_PASSWORD",
    ),
    "a literal secret in a file": (
        lambda phase: config_map(phase, "ini", "[security]\nadmin_password = admin\n"),
        "ConfigMap ini has a literal secret in file",
    ),
    "a Secret with its values": (
        lambda phase: k8s.KubeSecret(
            phase, "s", metadata=k8s.ObjectMeta(name="s", namespace="shop"), string_data={"a": "b"}
        ),
        "Secret s holds its values",
    ),
    "an image that moves": (
        lambda phase: deployment(
            phase,
            pod(image="host:5000/redis:latest"),
        ),
        "Deployment extra: Image.tag of host:5000/redis: 'latest' was given",
    ),
    "a pod that is not restricted": (
        lambda phase: deployment(phase, pod(security_context=k8s.SecurityContext(run_as_non_root=True))),
        "Deployment extra does not hold the restricted Pod Security Standard: container c lacks "
        "allowPrivilegeEscalation: false; container c lacks seccompProfile.type: RuntimeDefault; container c lacks "
        "capabilities.drop: [ALL]. Run it with a Workload, mend it, or name it in NamespaceSettings.exceptions",
    ),
    "a CronJob whose pod is not restricted": (
        lambda phase: k8s.KubeCronJob(
            phase,
            "nightly",
            metadata=k8s.ObjectMeta(name="nightly", namespace="shop"),
            spec=k8s.CronJobSpec(
                schedule="0 3 * * *",
                job_template=k8s.JobTemplateSpec(spec=k8s.JobSpec(template=pod(security_context=None))),
            ),
        ),
        "CronJob nightly does not hold the restricted Pod Security Standard",
    ),
    "a bare pod that reads a Secret that is not there": (
        lambda phase: k8s.KubePod(
            phase,
            "bare",
            metadata=k8s.ObjectMeta(name="bare", namespace="shop"),
            spec=pod(env=[from_secret("db", "password")]).spec,
        ),
        "Pod bare reads X from key 'password' of Secret 'db', which nothing provides",
    ),
    "two containers of one name": (
        lambda phase: deployment(phase, twice()),
        "Deployment extra has two of container 'c'",
    ),
    "a literal secret for a CSI driver": (
        lambda phase: deployment(
            phase,
            mounting(
                k8s.Volume(
                    name="v",
                    csi=k8s.CsiVolumeSource(driver="csi.example.com", volume_attributes={"password": "hunter2"}),
                )
            ),
        ),
        "Deployment extra has a literal secret in password of volume v",
    ),
    "a projected Secret that is not there": (
        lambda phase: deployment(
            phase,
            mounting(
                k8s.Volume(
                    name="v",
                    projected=k8s.ProjectedVolumeSource(
                        sources=[k8s.VolumeProjection(secret=k8s.SecretProjection(name="gone"))]
                    ),
                )
            ),
        ),
        "Deployment extra mounts Secret 'gone', which nothing provides",
    ),
    "a projected ConfigMap that is not there": (
        lambda phase: deployment(
            phase,
            mounting(
                k8s.Volume(
                    name="v",
                    projected=k8s.ProjectedVolumeSource(
                        sources=[k8s.VolumeProjection(config_map=k8s.ConfigMapProjection(name="gone"))]
                    ),
                )
            ),
        ),
        "Deployment extra refers to ConfigMap 'gone', which nothing provides",
    ),
    "pods that must run beside nobody": (
        lambda phase: deployment(phase, beside({"app": "gone"})),
        "Deployment extra has podAffinity for {'app': 'gone'}, which no pod carries",
    ),
    "an autoscaler of nothing": (
        lambda phase: k8s.KubeHorizontalPodAutoscalerV2(
            phase,
            "h",
            metadata=k8s.ObjectMeta(name="h", namespace="shop"),
            spec=k8s.HorizontalPodAutoscalerSpecV2(
                max_replicas=2, scale_target_ref=k8s.CrossVersionObjectReferenceV2(kind="Deployment", name="gone")
            ),
        ),
        "HorizontalPodAutoscaler h scales Deployment 'gone', which nothing provides",
    ),
}


def service_account(phase: Phase, name: str) -> None:
    k8s.KubeServiceAccount(phase, "account", metadata=k8s.ObjectMeta(name=name, namespace="shop"))


def phase_object(phase: Phase) -> None:
    cdk8s.ApiObject(phase, "nameless", api_version="v1", kind="ConfigMap", metadata={"name": ""})


@pytest.mark.parametrize("name", CASES)
def test_the_tree_refuses(name: str, tmp_path: Path) -> None:
    break_it, message = CASES[name]
    application, phase, _ = small(tmp_path)
    break_it(phase)
    with pytest.raises(TreeError) as caught:
        application.synth()
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1, "one mistake is one problem"
    assert not (tmp_path / "shop").exists()


def test_a_sound_tree_is_written_with_what_plain_cdk8s_added(tmp_path: Path) -> None:
    application, phase, _ = small(tmp_path)
    config_map(phase, "settings", "colour = blue")
    deployment(phase, pod(env_from=[k8s.EnvFromSource(config_map_ref=k8s.ConfigMapEnvSource(name="settings"))]))
    application.synth()
    text = (tmp_path / "shop" / "0000-services.k8s.yaml").read_text()
    assert "name: settings" in text
    assert "name: shop-api" in text


def l2_objects(phase: Phase, image: str) -> None:
    metadata = cdk8s.ApiObjectMetadata(name="extra", namespace="shop")
    plus.ConfigMap(phase, "map", metadata=metadata, data={"colour": "blue"})
    deployment = plus.Deployment(phase, "extra", metadata=metadata)
    deployment.add_container(image=image)
    # The L2 classes know no seccomp profile, and no capability ALL.
    cdk8s.ApiObject.of(deployment).add_json_patch(
        cdk8s.JsonPatch.add("/spec/template/spec/securityContext/seccompProfile", {"type": "RuntimeDefault"}),
        cdk8s.JsonPatch.add("/spec/template/spec/containers/0/securityContext/capabilities", {"drop": ["ALL"]}),
    )


def nested_l1_object(phase: Phase, image: str) -> None:
    container = k8s.Container(name="c", image=image, security_context=restricted())
    k8s.KubePod(
        Construct(Construct(phase, "some"), "where"),
        "extra",
        metadata=k8s.ObjectMeta(name="extra", namespace="shop"),
        spec=k8s.PodSpec(containers=[container]),
    )


@pytest.mark.parametrize(
    ("add", "kinds"), [(l2_objects, {"ConfigMap", "Deployment"}), (nested_l1_object, {"Pod"})], ids=["L2", "nested L1"]
)
def test_objects_deep_in_the_tree_are_rendered_and_ordered_like_ours(
    add: Callable[[Phase, str], None], kinds: set[str], tmp_path: Path
) -> None:
    application, phase, _ = small(tmp_path)
    add(phase, "redis:7.4.5")
    application.synth()
    (written,) = (tmp_path / "shop").iterdir()
    objects = list(yaml.safe_load_all(written.read_text()))
    extra = {found["kind"]: found for found in objects if found["metadata"]["name"] == "extra"}
    assert extra.keys() == kinds
    assert {found["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] for found in extra.values()} == {"0"}
    given = [found["kind"] for found in application.manifests()["services"] if name_of(found) == "extra"]
    assert set(given) == kinds, "what is given to others, such as ArgoCD's project, is all that is written"


def test_objects_of_the_l2_classes_are_checked_like_ours(tmp_path: Path) -> None:
    application, phase, _ = small(tmp_path)
    l2_objects(phase, "redis:latest")
    with pytest.raises(TreeError, match=r"Deployment extra: Image\.tag of redis: 'latest' was given"):
        application.synth()


REPORT = Container(name="c", image=images.REDIS, user=User(uid=1, gid=1), compute=Compute(cpu="100m", memory="64Mi"))


class Report(Component):
    """An object of one's own."""

    def __init__(self, phase: Phase, given: list[object]) -> None:
        super().__init__(phase, "report", "report")
        self.given = given

    def manifests(self) -> list[Manifest]:
        """Whatever it was given, and a ConfigMap that is written by hand around structs."""
        by_hand = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self.metadata(), "data": {"a": "1"}}
        return [by_hand, *self.given]  # type: ignore[list-item]  # pyright: ignore[reportReturnType]


def test_a_component_of_ones_own_writes_objects_by_hand_and_with_structs(tmp_path: Path) -> None:
    application, phase, _ = small(tmp_path)
    template = api.PodTemplateSpec(
        metadata=api.ObjectMeta(labels={"app": "report"}),
        spec=api.PodSpec(
            restart_policy="Never",
            host_pid=False,
            containers=[api.Container(name="c", image="redis:7.4.5", security_context=harden(REPORT))],
        ),
    )
    spec = api.CronJobSpec(schedule="0 3 * * *", job_template=api.JobTemplateSpec(spec=api.JobSpec(template=template)))
    Report(phase, [api.KubeCronJob.manifest(metadata=api.ObjectMeta(name="nightly", namespace="shop"), spec=spec)])
    application.synth()
    (written,) = (tmp_path / "shop").iterdir()
    objects = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(written.read_text())}
    assert objects["ConfigMap", "shop-report"]["data"] == {"a": "1"}
    assert objects["ConfigMap", "shop-report"]["metadata"]["labels"]["app.kubernetes.io/name"] == "shop-report"
    nightly = objects["CronJob", "nightly"]
    assert nightly["apiVersion"] == "batch/v1"
    assert nightly["spec"]["jobTemplate"]["spec"]["template"]["spec"]["hostPID"] is False


@pytest.mark.parametrize(
    "given",
    [
        "kind: ConfigMap",
        {"kind": "ConfigMap", "data": {}},
        {"apiVersion": "v1", "metadata": {"name": "x"}},
        api.ObjectMeta(name="x"),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": {1, 2}}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {1: "x"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": float("nan")}},
        None,
    ],
    ids=str,
)
def test_what_is_no_object_is_refused_when_a_component_gives_it(given: object, tmp_path: Path) -> None:
    application, phase, _ = small(tmp_path)
    Report(phase, [given])
    with pytest.raises(SettingError, match=r"Report\.manifests of 'report'"):
        application.manifests()


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    application, phase, _ = small(tmp_path)
    deployment(phase, pod(env=[env("A", "1"), env("A", "2"), from_secret("db", "password")]))
    with pytest.raises(TreeError) as caught:
        application.synth()
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        ("http://shop-api:8000", False),  # itself
        ("localhost:6379", False),
        ("https://api.example.com/v1", False),
        ("http://api.example.com/v1", True),
        ("https://api.example.com:8443/v1", True),
        ("api.example.com:443", False),  # connected below
        ("http://api.example.net/v1", True),
        ("other.example.com:443", True),
        ("plain words", False),
        ("1.5", False),
    ],
)
def test_a_host_in_a_variable_must_be_connected(tmp_path: Path, value: str, refused: bool) -> None:
    application, _, api = small(tmp_path, UPSTREAM=value)
    api.connects_to(External(name="partner", hosts=("api.example.com",), peer=Internet()))
    if refused:
        with pytest.raises(TreeError, match="no path to"):
            application.manifests()
    else:
        application.manifests()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("http://a.example:80/x?y", [("a.example", 80)]),
        ("postgresql://me@db:5432/app?sslmode=disable", [("db", 5432)]),
        ("redis://:$(REDIS_PASSWORD)@redis:6379/0", [("redis", 6379)]),
        ("minio:9000", [("minio", 9000)]),
        ("10.0.0.1:53", [("10.0.0.1", 53)]),
        ("true", []),
        ("8000", []),
        ("--data-checksums --encoding=UTF8", []),
        ("~", []),
    ],
)
def test_hosts_are_found_in_the_values_that_name_them(value: str, found: list[tuple[str, int | None]]) -> None:
    assert list(hosts_in(value)) == found


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        ("API_KEY", "sk-1", True),
        ("MINIO_ROOT_PASSWORD", "minio123", True),
        ("GITHUB_TOKEN", "x", True),
        ("URL", "amqp://user:pw@host", True),
        ("URL", "amqp://user:$(PW)@host", False),
        ("REDISCLI_AUTH", "$(REDIS_PASSWORD)", False),
        ("DB_PASSWORD", "$(OTHER)", False),
        ("PASSWORD_FILE", "/run/secrets/x", False),
        ("CLAUDE_MAX_TOKENS", "8000", False),
        ("LOG_LEVEL", "INFO", False),
    ],
)
def test_a_literal_secret_is_known_by_name_or_form(name: str, value: str, is_secret: bool) -> None:
    assert secret_literal(name, value) is is_secret


# --- every kind that has pods ---

BAD_SPEC: dict[str, object] = {
    "containers": [
        {
            "name": "c",
            "image": "redis:latest",
            "env": [
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "nobody", "key": "key"}}},
                {"name": "TWICE", "value": "1"},
                {"name": "TWICE", "value": "2"},
            ],
        }
    ]
}
BAD_POD: dict[str, object] = {"metadata": {"labels": {"app": "extra"}}, "spec": BAD_SPEC}
WRONG_IN_IT = ("'latest' was given", "Secret 'nobody', which nothing provides", "sets variable TWICE twice")
KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "CronJob": ("batch/v1", {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": BAD_POD}}}),
    "Job": ("batch/v1", {"template": BAD_POD}),
    "DaemonSet": ("apps/v1", {"selector": {"matchLabels": {"app": "extra"}}, "template": BAD_POD}),
    "ReplicaSet": ("apps/v1", {"selector": {"matchLabels": {"app": "extra"}}, "template": BAD_POD}),
    "ReplicationController": ("v1", {"template": BAD_POD}),
    "Pod": ("v1", BAD_SPEC),
    "Rollout": ("argoproj.io/v1alpha1", {"strategy": {}, "template": BAD_POD}),
}


def plain(phase: Phase, kind: str) -> None:
    """An object of plain cdk8s of a kind that has pods, with what must not be."""
    version, spec = KINDS[kind]
    extra = cdk8s.ApiObject(
        phase, "extra", api_version=version, kind=kind, metadata=cdk8s.ApiObjectMetadata(name="extra", namespace="shop")
    )
    extra.add_json_patch(cdk8s.JsonPatch.add("/spec", spec))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_has_pods_is_checked(tmp_path: Path, kind: str) -> None:
    settings = ApplicationSettings(name="shop", pod_templates=(PodTemplatePath(kind="Rollout"),))
    application = Application(settings, outdir=tmp_path / "shop")
    phase = Phase(application, "services")
    close(phase)
    plain(phase, kind)
    with pytest.raises(TreeError) as refused:
        application.synth()
    for words in WRONG_IN_IT:
        assert f"{kind} extra" in str(refused.value)
        assert words in str(refused.value)


def test_a_custom_kind_is_looked_into_only_where_a_setting_says_that_it_has_pods(tmp_path: Path) -> None:
    application, phase, _ = small(tmp_path)
    plain(phase, "Rollout")
    application.synth()


# --- what would never work ---


def test_two_that_wait_for_each_other_are_refused(tmp_path: Path) -> None:
    application, phase, first = small(tmp_path)
    second = Workload(phase, WorkloadSettings(name="web", container=first.container))
    for client, server in ((first, second), (second, first)):
        client.connects_to(Target(workload=server, readiness=Readiness(command=("ask",))), wait=True)
    with pytest.raises(TreeError, match=r"shop-(api|web) waits for shop-(web|api) waits for .*nobody starts"):
        application.synth()


def test_a_chain_of_those_who_wait_is_no_circle(tmp_path: Path) -> None:
    application, phase, first = small(tmp_path)
    second = Workload(phase, WorkloadSettings(name="web", container=first.container))
    first.connects_to(Target(workload=second, readiness=Readiness(command=("ask",))), wait=True)
    application.synth()


def test_an_application_without_a_namespace_of_its_own_is_refused(tmp_path: Path) -> None:
    application = Application(ApplicationSettings(name="shop"), outdir=tmp_path / "shop")
    _, _, like = small(tmp_path / "other")
    Workload(Phase(application, "services"), WorkloadSettings(name="api", container=like.container))
    with pytest.raises(TreeError, match=r"nothing closes the namespace shop.* Add Namespace"):
        application.synth()


def agent(phase: Phase) -> Agent:
    code = BuiltImage(image=images.PYTHON_RUNTIME)
    compute = Compute(cpu="100m", memory="64Mi")
    return Agent(phase, AgentSettings(name="prices", code=code, compute=compute, module="prices"))


def test_an_agent_that_reaches_no_registry_is_refused(tmp_path: Path) -> None:
    application, phase, _ = small(tmp_path)
    agent(phase)
    with pytest.raises(TreeError, match=r"shop-prices reaches no registry: connect it, prices\.connects_to"):
        application.synth()


def test_an_agent_may_reach_a_registry_that_others_run(tmp_path: Path) -> None:
    application, phase, _ = small(tmp_path)
    url = variables({"MCP_MESH_REGISTRY_URL": "http://registry.example.com:8000"})
    elsewhere = External(name="registry", hosts=("registry.example.com",), port=8000, peer=Internet(), introduction=url)
    agent(phase).connects_to(elsewhere)
    application.synth()


def test_what_a_class_overrides_of_cdk8s_is_looked_for_once(tmp_path: Path) -> None:
    """jsii looks for it at each object anew, which took a twelfth of all that Python does for a small application."""

    class Named(Phase):
        def to_string(self) -> str:
            return "a phase of ours"

    application, phase, _ = small(tmp_path)
    one, two = Named(application, "one"), Named(application, "two")
    find = _kernel.__dict__["_get_overides"]
    assert [(found.method, found.cookie) for found in find(cdk8s.Chart, one)] == [("toString", "to_string")]
    assert find(cdk8s.Chart, two) is find(cdk8s.Chart, one)
    assert find(cdk8s.Chart, phase) == []
