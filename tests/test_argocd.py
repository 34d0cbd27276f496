"""This module is the proof of what ArgoCD is told: what it may deploy, when, in which order, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ai_interviewer import DEV, PROD, AiInterviewer, ArgoCd
from conftest import ROOT, Manifest, Manifests, at_each, close
from environments import EVERY, SHARED, said_of
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    ArgoCdApplication,
    ArgoCdProject,
    ArgoCdProjectSettings,
    ArgoCdSettings,
    ClusterName,
    ClusterSelector,
    ClusterServer,
    Compute,
    Container,
    Hook,
    NoProbes,
    Phase,
    Port,
    Readiness,
    SettingError,
    Target,
    Task,
    TaskSettings,
    TreeError,
    User,
    Workload,
    WorkloadSettings,
    images,
)
from mcpmesh_k8s.kubernetes.manifest import at, containers_of, each, name_of, template_of
from plain_cdk8s import k8s

WAVE = "argocd.argoproj.io/sync-wave"
OPTIONS = "argocd.argoproj.io/sync-options"
HOOK = "argocd.argoproj.io/hook"
PREFIX = "ai-interviewer-"
KEPT = "Prune=false,Delete=false"
RUN_PODS = ("Deployment", "StatefulSet", "Job", "CronJob")

# Which wave everything that runs is in. It is written out here and nowhere derived.
WAVES = {
    0: {"postgres", "postgres-databases", "redis", "minio", "minio-bucket", "tempo"},
    1: {"registry"},
    2: {"backend", "pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent"},
    3: {"nginx-gateway", "oauth2-proxy"},
    4: {"grafana", "prometheus", "kube-state-metrics", "blackbox", "alertmanager", "loki", "alloy"},
    5: {"smoke-test"},
    6: {"postgres-backup", "redis-backup", "minio-backup"},
}
GROUND, LAST = -1, 6

# What ArgoCD calls Degraded at first, or Progressing for ever: its own checks of health, as of 2026.
UNSTEADY = {"HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress", "VerticalPodAutoscaler"}

# Where ArgoCD deploys each environment.
DESTINATIONS = {
    "dev": {"server": "https://kubernetes.default.svc"},
    "prod": {"name": "production"},
}
NAMESPACE = {"namespace": "ai-interviewer"}


@pytest.fixture(params=EVERY)
def rendered(request: pytest.FixtureRequest, manifests: Manifests) -> list[Manifest]:
    return manifests(str(request.param))


def notes(manifest: Manifest) -> Mapping[str, object]:
    return at(manifest, "metadata", "annotations")


def named(manifest: Manifest) -> object:
    return at(manifest, "metadata", "labels").get("app.kubernetes.io/name")


def wave(manifest: Manifest) -> int:
    text = notes(manifest)[WAVE]
    assert isinstance(text, str), "ArgoCD reads text"
    return int(text)


def argocd(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if (manifest["apiVersion"], manifest["kind"]) == (API, kind)]


API = "argoproj.io/v1alpha1"


# --- the project ---


def group_and_kind(manifest: Manifest) -> tuple[str, str]:
    group, slash, _ = str(manifest["apiVersion"]).partition("/")
    return (group if slash else "", str(manifest["kind"]))


def whitelist(project: Manifest, field: str) -> set[tuple[str, str]]:
    found = [(str(entry["group"]), str(entry["kind"])) for entry in each(project, "spec", field)]
    assert len(found) == len(set(found))
    return set(found)


def test_the_project_allows_exactly_the_kinds_that_are_rendered_and_the_pods_made_of_them(manifests: Manifests) -> None:
    (project,) = argocd(manifests("argocd"), "AppProject")
    kinds = {group_and_kind(manifest) for name in EVERY for manifest in manifests(name)}
    rights = "rbac.authorization.k8s.io"
    cluster_wide = {("", "Namespace"), ("scheduling.k8s.io", "PriorityClass")}
    # By name, whose are known: tests/test_properties.py has a table of who may read the API.
    cluster_wide |= {(rights, "ClusterRole"), (rights, "ClusterRoleBinding")}
    assert cluster_wide <= kinds
    assert whitelist(project, "clusterResourceWhitelist") == cluster_wide
    # ArgoCD hides what is not allowed: without these two nobody would see a pod or its log.
    assert whitelist(project, "namespaceResourceWhitelist") == kinds - cluster_wide | {
        ("", "Pod"),
        ("apps", "ReplicaSet"),
    }
    # Nobody can slip in a Secret.
    allowed = {kind for _, kind in whitelist(project, "namespaceResourceWhitelist")}
    assert not allowed & {"Secret", "*"}


def test_the_project_allows_one_repository_and_the_two_namespaces_and_warns_of_strangers(manifests: Manifests) -> None:
    (project,) = argocd(manifests("argocd"), "AppProject")
    spec = at(project, "spec")
    assert spec["sourceRepos"] == ["https://git.example.com/ai-interviewer/deployment.git"]
    where = "tests/test_argocd.py, DESTINATIONS"
    assert spec["destinations"] == [
        {**said_of(name, DESTINATIONS, where, f'"{name}": {{"name": "…"}},'), **NAMESPACE} for name in EVERY
    ]
    assert spec["orphanedResources"] == {"warn": True}


def test_the_project_follows_what_is_rendered(tmp_path: Path, manifests: Manifests) -> None:
    deployed = AiInterviewer(DEV, outdir=tmp_path / "dev")
    k8s.KubePodTemplate(
        Phase(deployed, "more"), "more", metadata=k8s.ObjectMeta(name="ai-interviewer-more", namespace="ai-interviewer")
    )
    ((group,),) = (ArgoCd([deployed], outdir=tmp_path / "argocd").manifests().values(),)
    (project,) = argocd([dict(manifest) for manifest in group], "AppProject")
    (before,) = argocd(manifests("argocd"), "AppProject")
    field = "namespaceResourceWhitelist"
    added = whitelist(project, field) - whitelist(before, field)
    assert added == {("", "PodTemplate")}
    assert ("external-secrets.io", "ExternalSecret") not in whitelist(project, field), "dev has none"


# --- the Applications ---


def application(manifests: Manifests, name: str) -> Manifest:
    (found,) = (m for m in argocd(manifests("argocd"), "Application") if name_of(m) == PREFIX + name)
    return found


@pytest.mark.parametrize("name", EVERY)
def test_a_cluster_of_ones_own_heals_itself_and_a_shared_one_waits_for_a_person(
    manifests: Manifests, name: str
) -> None:
    policy = at(application(manifests, name), "spec", "syncPolicy")
    assert policy.get("automated") == (None if name in SHARED else {"prune": True, "selfHeal": True})
    other = at(application(manifests, EVERY[0]), "spec", "syncPolicy")
    assert {key: policy[key] for key in policy if key != "automated"} == {
        key: other[key] for key in other if key != "automated"
    }


@pytest.mark.parametrize("name", EVERY)
def test_an_application_deploys_a_folder_of_this_repository_into_its_namespace(manifests: Manifests, name: str) -> None:
    spec = at(application(manifests, name), "spec")
    source, destination = at(spec, "source"), at(spec, "destination")
    assert list((ROOT / str(source["path"])).glob("*.yaml"))
    assert source["path"] == f"dist/{name}"
    assert source["directory"] == {"recurse": True}
    (namespace,) = (m for m in manifests(name) if m["kind"] == "Namespace")
    assert destination["namespace"] == name_of(namespace)
    assert len(destination.keys() & {"server", "name"}) == 1
    (project,) = argocd(manifests("argocd"), "AppProject")
    assert spec["project"] == name_of(project)
    assert dict(destination) in each(project, "spec", "destinations")
    assert source["repoURL"] in (at(project, "spec")["sourceRepos"] or [])  # type: ignore[operator]


@pytest.mark.parametrize("name", EVERY)
def test_a_sync_is_the_servers_own_apply_without_surprises(manifests: Manifests, name: str) -> None:
    found = application(manifests, name)
    assert at(found, "spec", "syncPolicy")["syncOptions"] == [
        "CreateNamespace=false",
        "FailOnSharedResource=true",
        "PruneLast=true",
        "ServerSideApply=true",
    ]
    assert notes(found)["argocd.argoproj.io/compare-options"] == "ServerSideDiff=true"
    assert at(found, "spec", "syncPolicy")["retry"] == {
        "limit": 5,
        "backoff": {"duration": "30s", "factor": 2, "maxDuration": "5m"},
    }


@pytest.mark.parametrize("name", EVERY)
def test_only_replicas_that_an_autoscaler_sets_are_not_compared(manifests: Manifests, name: str) -> None:
    scaled = [name_of(m) for m in manifests(name) if m["kind"] == "HorizontalPodAutoscaler"]
    assert list(each(application(manifests, name), "spec", "ignoreDifferences")) == [
        {"group": "apps", "kind": "Deployment", "name": target, "jsonPointers": ["/spec/replicas"]} for target in scaled
    ]


def test_the_end_of_an_application_takes_nothing_down(manifests: Manifests, for_many_clusters: list[Manifest]) -> None:
    for found in argocd(manifests("argocd"), "Application"):
        assert "finalizers" not in at(found, "metadata"), "ArgoCD would delete what it deployed"
    (many,) = argocd(for_many_clusters, "ApplicationSet")
    assert at(many, "spec")["syncPolicy"] == {"preserveResourcesOnDeletion": True}
    assert "finalizers" not in at(many, "spec", "template", "metadata")
    (project,) = argocd(manifests("argocd"), "AppProject")
    # ArgoCD would take off only one whose name the API server warns of.
    assert "finalizers" not in at(project, "metadata")


def test_namespace_and_claims_are_never_deleted_and_everything_else_can_be(rendered: list[Manifest]) -> None:
    kept = {(str(m["kind"]), name_of(m)) for m in rendered if notes(m).get(OPTIONS) == KEPT}
    data = {(str(m["kind"]), name_of(m)) for m in rendered if m["kind"] in ("Namespace", "PersistentVolumeClaim")}
    assert kept == data
    assert ("Namespace", "ai-interviewer") in kept
    assert [m for m in rendered if OPTIONS in notes(m) and notes(m)[OPTIONS] != KEPT] == []


def test_for_many_clusters_there_is_an_application_for_each(for_many_clusters: list[Manifest]) -> None:
    assert argocd(for_many_clusters, "Application") == []
    (many,) = argocd(for_many_clusters, "ApplicationSet")
    spec = at(many, "spec")
    assert spec["generators"] == [{"clusters": {"selector": {"matchLabels": {"environment": "prod"}}}}]
    assert (spec["goTemplate"], spec["goTemplateOptions"]) == (True, ["missingkey=error"])
    assert at(spec, "template", "metadata")["name"] == "ai-interviewer-many-clusters-{{.nameNormalized}}"
    template = at(spec, "template", "spec")
    assert template["destination"] == {"server": "{{.server}}", "namespace": "ai-interviewer"}
    assert at(template, "syncPolicy")["automated"] == {"prune": False, "selfHeal": True}
    (project,) = argocd(for_many_clusters, "AppProject")
    assert at(project, "spec")["destinations"] == [{"server": "*", "namespace": "ai-interviewer"}]


# --- waves ---


def runners(rendered: list[Manifest]) -> dict[str, Manifest]:
    """Everything that runs pods by its name."""
    return {name_of(m): m for m in rendered if m["kind"] in RUN_PODS}


def test_everything_that_runs_is_in_the_wave_of_the_table(rendered: list[Manifest]) -> None:
    found: dict[int, set[str]] = {}
    for name, manifest in runners(rendered).items():
        found.setdefault(wave(manifest), set()).add(name.removeprefix(PREFIX))
    only_there = {"oauth2-proxy", "alertmanager", *WAVES[LAST]}
    absent = {name for name in only_there if f"{PREFIX}{name}" not in runners(rendered)}
    assert found == {number: names - absent for number, names in WAVES.items() if names - absent}


def test_the_ground_is_before_everything_and_the_entry_after_it(rendered: list[Manifest]) -> None:
    waves: dict[int, set[str]] = {}
    for manifest in rendered:
        waves.setdefault(wave(manifest), set()).add(str(manifest["kind"]))
    close = {"Namespace", "LimitRange", "ResourceQuota", "NetworkPolicy", "PriorityClass", "ExternalSecret"}
    assert {"Namespace", "PriorityClass"} <= waves[GROUND] <= close
    # What has a schedule comes with all that it needs: ArgoCD waits for neither a first run nor a good one.
    scheduled = {name_of(m) for m in rendered if m["kind"] == "CronJob"}
    others = {str(m["kind"]) for m in rendered if wave(m) == LAST and named(m) not in scheduled}
    assert {"Ingress"} <= others <= UNSTEADY
    assert set(waves) - {LAST} == {GROUND, *WAVES} - {LAST}


def test_nothing_waits_for_what_is_not_healthy_at_once(rendered: list[Manifest]) -> None:
    """ArgoCD looks at the health of every wave, but of the last one when no hook comes after it."""
    assert [str(m["kind"]) for m in rendered if m["kind"] in UNSTEADY and wave(m) != LAST] == []
    assert {str(notes(m)[HOOK]) for m in rendered if HOOK in notes(m)} == {"Sync"}, "PostSync comes after the last wave"
    assert max(wave(m) for m in rendered if HOOK in notes(m)) < LAST == max(map(wave, rendered))


def needed(manifest: Manifest, rendered: list[Manifest]) -> Iterator[tuple[str, str]]:
    """What must be there for a pod to start, as (kind, name)."""
    template = template_of(manifest)
    spec = at(template, "spec")
    yield "ServiceAccount", str(spec["serviceAccountName"])
    if "priorityClassName" in spec:
        yield "PriorityClass", str(spec["priorityClassName"])
    for volume in each(spec, "volumes"):
        if "configMap" in volume:
            yield "ConfigMap", str(at(volume, "configMap")["name"])
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", str(at(volume, "persistentVolumeClaim")["claimName"])
    stored = {name_of(m) for m in rendered if m["kind"] == "ExternalSecret"}
    for container in containers_of(template):
        for variable in each(container, "env"):
            secret = at(variable, "valueFrom", "secretKeyRef").get("name")
            if secret is not None and stored:
                yield "ExternalSecret", str(secret)
        if str(container["name"]).startswith("wait-for-"):
            (address,) = (v["value"] for v in each(container, "env") if v["name"] == "TARGET")
            yield "Service", str(address).partition(":")[0]


def test_a_pod_needs_nothing_of_a_later_wave(rendered: list[Manifest]) -> None:
    there = {(str(m["kind"]), name_of(m)): m for m in rendered}
    kinds: set[str] = set()
    for name, manifest in runners(rendered).items():
        for kind, needed_name in needed(manifest, rendered):
            found = there[kind, needed_name]
            kinds.add(kind)
            if kind == "PersistentVolumeClaim":
                # Many a claim is bound only when a pod wants it: in a wave of its own, ArgoCD would wait for ever.
                assert wave(found) == wave(manifest), f"{name} and its claim {needed_name}"
            else:
                assert wave(found) <= wave(manifest), f"{name} needs {kind} {needed_name}"
            if kind == "Service":
                assert wave(runners(rendered)[needed_name]) <= wave(manifest), f"{name} waits for {needed_name}"
    assert kinds >= {"ServiceAccount", "PriorityClass", "ConfigMap", "Service"}


def test_a_policy_is_there_with_the_pods_it_opens(rendered: list[Manifest]) -> None:
    names = runners(rendered)
    own = [m for m in rendered if m["kind"] == "NetworkPolicy" and name_of(m) in names]
    assert len(own) == len(names)
    for policy in own:
        assert wave(policy) == wave(names[name_of(policy)])


def hooks(rendered: list[Manifest]) -> dict[str, Manifest]:
    return {name_of(m).removeprefix(PREFIX): m for m in rendered if HOOK in notes(m)}


def test_every_job_is_a_hook_and_each_hook_can_end_in_its_time(rendered: list[Manifest]) -> None:
    found = hooks(rendered)
    assert set(found) == {"postgres-databases", "minio-bucket", "smoke-test"}
    assert {name_of(m) for m in found.values()} == {name_of(m) for m in rendered if m["kind"] == "Job"}
    for hook, job in found.items():
        assert notes(job)["argocd.argoproj.io/hook-delete-policy"] == "BeforeHookCreation", hook
    # It must end before the next wave: whatever it may dial is there by then.
    for hook, targets in (
        ("postgres-databases", {"postgres"}),
        ("minio-bucket", {"minio"}),
        ("smoke-test", {"nginx-gateway", "registry"}),
    ):
        (policy,) = (m for m in rendered if m["kind"] == "NetworkPolicy" and name_of(m) == f"{PREFIX}{hook}")
        dialled = {
            str(at(peer, "podSelector", "matchLabels")["app.kubernetes.io/name"])
            for rule in each(policy, "spec", "egress")
            for peer in each(rule, "to")
        }
        assert dialled == {f"{PREFIX}{name}" for name in targets}
        assert all(wave(runners(rendered)[name]) <= wave(found[hook]) for name in dialled)


def test_an_object_of_plain_cdk8s_is_in_the_wave_of_its_phase_unless_it_has_its_own(tmp_path: Path) -> None:
    shop = Application(ApplicationSettings(name="shop"), outdir=tmp_path / "shop")
    for number in range(3):
        phase = Phase(shop, f"phase-{number}")
        own = {"note": "x"} if number == 1 else {WAVE: "7"} if number == 2 else None
        metadata = k8s.ObjectMeta(name=f"map-{number}", namespace="shop", annotations=own)
        k8s.KubeConfigMap(phase, "map", metadata=metadata)
    shop.synth()
    written = [dict(manifest) for manifests in shop.manifests().values() for manifest in manifests]
    assert [dict(notes(manifest)) for manifest in written] == [
        {WAVE: "0"},
        {"note": "x", WAVE: "1"},
        {WAVE: "7"},
    ]
    assert 'sync-wave: "1"' in (tmp_path / "shop" / "0001-phase-1.k8s.yaml").read_text()


def test_what_is_not_healthy_at_once_is_in_the_last_wave_though_it_is_of_plain_cdk8s() -> None:
    shop = Application(ApplicationSettings(name="shop"), outdir="unused")
    first, _ = Phase(shop, "first"), Phase(shop, "second")
    metadata = k8s.ObjectMeta(name="shop", namespace="shop")
    k8s.KubePodDisruptionBudget(first, "budget", metadata=metadata, spec=k8s.PodDisruptionBudgetSpec())
    (budget,) = shop.manifests()["first"]
    assert wave(dict(budget)) == 3


# --- a sync that could never end ---

MAIN = Container(
    name="main",
    image=images.REGISTRY,
    user=User(uid=1, gid=1),
    compute=Compute(cpu="1", memory="1Gi"),
    ports=(Port(number=8000),),
    probes=NoProbes(because="No test starts it."),
)


def two_phases() -> tuple[Phase, Target]:
    """The first of two phases, and a service of the second."""
    shop = Application(ApplicationSettings(name="shop"), outdir="unused")
    first, second = Phase(shop, "first"), Phase(shop, "second")
    close(first)
    late = Workload(second, WorkloadSettings(name="late", container=MAIN))
    return first, Target(workload=late, readiness=Readiness(command=("true",)))


def test_a_pod_that_waits_for_a_later_phase_is_refused() -> None:
    first, late = two_phases()
    Workload(first, WorkloadSettings(name="early", container=MAIN)).connects_to(late, wait=True)
    with pytest.raises(TreeError, match=r"shop-early of phase first needs shop-late .* the later phase second: move"):
        Application.of(first).manifests()


def test_a_pod_that_is_ready_without_a_later_one_may_dial_it() -> None:
    first, late = two_phases()
    Workload(first, WorkloadSettings(name="early", container=MAIN)).connects_to(late)
    assert Application.of(first).manifests()


@pytest.mark.parametrize(("hook", "refused"), [(Hook.SYNC, True), (Hook.AFTER_ALL, False)])
def test_a_task_of_a_phase_may_not_need_a_later_one_but_one_after_the_sync_may(hook: Hook, refused: bool) -> None:
    first, late = two_phases()
    Task(first, TaskSettings(name="early", container=replace(MAIN, ports=()), hook=hook)).connects_to(late)
    if refused:
        with pytest.raises(TreeError, match="shop-early of phase first needs shop-late"):
            Application.of(first).manifests()
    else:
        assert Application.of(first).manifests()


# --- what is refused ---


def project(url: str) -> Callable[[], object]:
    return lambda: ArgoCdProjectSettings(repo_url=url)


def settings(revision: str = "main", path: str = "dist/dev") -> Callable[[], object]:
    return lambda: ArgoCdSettings(target_revision=revision, path=path, destination=ClusterServer())


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a token in the repository": (project("https://token@git.example.com/shop.git"), "credentials"),
    "a password in the repository": (project("https://me:hunter2@git.example.com/shop.git"), "credentials"),
    "a password over SSH": (project("ssh://git:hunter2@git.example.com/shop.git"), "credentials"),
    "a repository without encryption": (project("http://git.example.com/shop.git"), "https://"),
    "any repository": (project("*"), "https://"),
    "no repository": (project(""), "https://"),
    "a revision of nothing": (settings(revision=""), "Give a branch, a tag or a commit"),
    "a revision that is an option": (settings(revision="--upload-pack=x"), "Give a branch, a tag or a commit"),
    "a range": (settings(revision="main..next"), "Give a branch, a tag or a commit"),
    "whatever is the default": (settings(revision="HEAD"), "Name the branch"),
    "a path out of the repository": (settings(path="../dist/dev"), "inside the repository"),
    "a path through its parent": (settings(path="dist/../../dev"), "inside the repository"),
    "an absolute path": (settings(path="/dist/dev"), "inside the repository"),
    "the whole repository": (settings(path="."), "inside the repository"),
    "no path": (settings(path=""), "inside the repository"),
    "a cluster without encryption": (lambda: ClusterServer(server="http://10.0.0.1"), "https"),
    "a cluster without a name": (lambda: ClusterName(name=""), "name in ArgoCD"),
    "every cluster": (lambda: ClusterSelector(labels=()), "at least one label"),
    "a label of nothing": (lambda: ClusterSelector(labels=(("", "prod"),)), "at least one label"),
}


@at_each("case", REFUSED)
def test_argocd_is_not_told(case: str) -> None:
    make, words = REFUSED[case]
    with pytest.raises(SettingError, match=words) as caught:
        make()
    assert "hunter2" not in str(caught.value)
    assert "token@" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/team/shop.git",
        "https://git.example.com:8443/team/shop",
        "ssh://git@git.example.com:22/team/shop.git",
        "git@git.example.com:team/shop.git",
    ],
)
def test_a_repository_is_named_as_git_does(url: str) -> None:
    assert ArgoCdProjectSettings(repo_url=url).repo_url == url


def test_two_environments_of_one_namespace_are_refused(tmp_path: Path) -> None:
    same = replace(PROD, argocd=replace(PROD.argocd, destination=DEV.argocd.destination))
    environments = [AiInterviewer(e, outdir=tmp_path / e.name) for e in (DEV, same)]
    with pytest.raises(SettingError, match="'dev' has the same cluster and namespace"):
        ArgoCd(environments, outdir=tmp_path / "argocd")


def test_an_environment_is_not_deployed_from_the_folder_of_another(tmp_path: Path) -> None:
    wrong = replace(PROD, argocd=replace(PROD.argocd, path="dist/dev"))
    with pytest.raises(SettingError, match=r"'dist/dev' was given\. Give a folder with the name 'prod'"):
        ArgoCd([AiInterviewer(wrong, outdir=tmp_path / "prod")], outdir=tmp_path / "argocd")


def test_one_folder_is_deployed_to_two_clusters_each_at_a_revision_of_its_own(tmp_path: Path) -> None:
    shop = Application(ApplicationSettings(name="shop"), outdir=tmp_path / "prod")
    close(Phase(shop, "all"))
    told = Application(ApplicationSettings(name="shop", namespace="argocd"), outdir=tmp_path / "argocd")
    phase = Phase(told, "applications")
    project = ArgoCdProject(phase, ArgoCdProjectSettings(repo_url="https://git.example.com/shop.git"))
    for cluster, revision in (("europe", "v1.1.0"), ("america", "v1.0.0")):
        destination = ClusterName(name=cluster)
        told_of_it = ArgoCdSettings(target_revision=revision, path="dist/prod", destination=destination, name=cluster)
        ArgoCdApplication(phase, told_of_it, project, shop)
    applications: dict[str, Any] = {
        name_of(manifest): manifest["spec"]
        for manifest in told.manifests()["applications"]
        if manifest["kind"] == "Application"
    }
    assert {
        name: (spec["destination"]["name"], spec["source"]["targetRevision"], spec["source"]["path"])
        for name, spec in applications.items()
    } == {
        "shop-europe": ("europe", "v1.1.0", "dist/prod"),
        "shop-america": ("america", "v1.0.0", "dist/prod"),
    }
