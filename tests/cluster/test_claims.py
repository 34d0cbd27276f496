"""A claim that became too small grows, with the data in it and the pod that uses it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ai_interviewer import AiInterviewer
from ai_interviewer.__main__ import operated
from cluster.environment import APPLY, CONTEXT, Deployed, as_text, eventually, workload_of
from mcpmesh_k8s import Claim, Persistent
from mcpmesh_k8s.kubernetes.quantity import bytes_text, in_bytes
from mcpmesh_k8s.operations.deploy import deploy, show_difference
from mcpmesh_k8s.operations.environment import Environment
from mcpmesh_k8s.operations.programs import Kubectl, OperationError
from mcpmesh_k8s.operations.rendered import RenderedPhase, read_phases
from mcpmesh_k8s.operations.way import clear, way_for

PREFIX = "ai-interviewer-"


@pytest.fixture
def kubectl(expendable: Deployed, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    """The real kubectl, as our commands call it."""
    for name in ("KUBECONFIG", "PATH", "HOME"):
        monkeypatch.setenv(name, expendable.variables[name])
    return Kubectl(context=CONTEXT, namespace=expendable.namespace)


@pytest.fixture
def environment(expendable: Deployed) -> Environment:
    """The environment as it is operated."""
    return operated(expendable.settings)


def larger(deployed: Deployed, folder: Path) -> tuple[tuple[RenderedPhase, ...], set[str]]:
    """The environment with every claim twice as large, and which claims those are."""
    settings = deployed.settings
    stores = {"data-postgres-0", "data-minio-0"}
    changed = replace(
        settings,
        postgres=replace(settings.postgres, size=doubled(settings.postgres.size)),
        minio=replace(settings.minio, size=doubled(settings.minio.size)),
    )
    if isinstance(settings.redis.storage, Persistent):
        storage = replace(settings.redis.storage, size=doubled(settings.redis.storage.size))
        changed, stores = replace(changed, redis=replace(settings.redis, storage=storage)), stores | {"redis"}
    if isinstance(settings.tempo.storage, Claim):
        claim = replace(settings.tempo.storage, size=doubled(settings.tempo.storage.size))
        changed, stores = replace(changed, tempo=replace(settings.tempo, storage=claim)), stores | {"tempo"}
    AiInterviewer(changed, outdir=folder).synth()
    names = {f"data-{PREFIX}{name[5:]}" if name.startswith("data-") else PREFIX + name for name in stores}
    return read_phases(folder), names


def test_claims_grow_by_a_deployment_with_the_pods_that_use_them(
    expendable: Deployed, kubectl: Kubectl, environment: Environment, tmp_path: Path
) -> None:
    before, pods = sizes(expendable), running(expendable)
    phases, names = larger(expendable, tmp_path / "larger")
    wanted = {name: doubled(size) if name in names else size for name, size in before.items()}
    # Why it takes more than that: our own quota is the exact sum of all claims.
    refused = expendable.kubectl(*patch(sorted(names)[0], wanted[sorted(names)[0]]))
    assert "exceeded quota" in refused.stderr or "maximum storage usage" in refused.stderr, refused
    assert {name for name, _, _ in way_for(kubectl, phases).grown} == names

    assert show_difference(environment, kubectl, phases)
    deploy(environment, kubectl, phases)
    # What a pod has mounted grows at once; a claim that still waits for its first one gets a disk of the new size.
    mounted = {name: size for name, size in wanted.items() if name in capacities(expendable)}
    assert names & mounted.keys()
    eventually(lambda: capacities(expendable) == mounted, 30, lambda: str(capacities(expendable)))
    expendable.settle()
    # The new StatefulSets took over the pods that ran. Only PostgreSQL has a file that follows from the size.
    minio = f"{PREFIX}minio-0"
    assert running(expendable)[minio] == pods[minio]
    assert way_for(kubectl, phases).refused == frozenset()
    assert not show_difference(environment, kubectl, phases)
    # A pod that is made from now on finds its claim.
    expendable.do("rollout", "restart", "statefulsets")
    expendable.settle()
    assert sizes(expendable) == wanted


def test_where_argocd_deploys_the_way_is_made_before_the_sync(
    expendable: Deployed, kubectl: Kubectl, tmp_path: Path
) -> None:
    before, pods = sizes(expendable), running(expendable)
    phases, names = larger(expendable, tmp_path / "larger")
    # The sync alone is refused.
    assert expendable.kubectl(*APPLY, "--filename", tmp_path / "larger").returncode
    clear(kubectl, way_for(kubectl, phases))
    # Once more does no harm: whoever was cut short begins again.
    clear(kubectl, way_for(kubectl, phases))
    assert {name: uid for name, uid in running(expendable).items() if "minio" in name} == {
        name: uid for name, uid in pods.items() if "minio" in name
    }
    expendable.do(*APPLY, "--filename", tmp_path / "larger")
    expendable.settle()
    assert sizes(expendable) == {name: doubled(size) if name in names else size for name, size in before.items()}


def test_a_class_of_storage_that_cannot_grow_is_named(
    expendable: Deployed, kubectl: Kubectl, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    phases, _ = larger(expendable, tmp_path / "larger")
    (storage_class,) = expendable.look("storageclass")
    name, pods = storage_class["metadata"]["name"], running(expendable)
    expendable.do("patch", "storageclass", name, '--patch={"allowVolumeExpansion":false}')
    try:
        with pytest.raises(OperationError, match=r"patch persistentvolumeclaim .* failed"):
            clear(kubectl, way_for(kubectl, phases))
    finally:
        expendable.do("patch", "storageclass", name, '--patch={"allowVolumeExpansion":true}')
    said = capfd.readouterr()
    assert "storageclass that provisions the pvc must support resize" in said.out + said.err
    assert running(expendable) == pods


def test_what_an_earlier_version_deployed_is_made_again_around_its_pods(
    expendable: Deployed, kubectl: Kubectl, environment: Environment
) -> None:
    """Until now their pods were managed in order, which no StatefulSet can change."""
    sets = [one for one in expendable.manifests() if one["kind"] == "StatefulSet"]
    for one in sets:
        one["spec"]["podManagementPolicy"] = "OrderedReady"
        expendable.do("delete", "statefulset", one["metadata"]["name"], "--cascade=orphan")
    expendable.do(*APPLY, "--filename=-", stdin=as_text(sets))
    expendable.settle()
    pods, claims = running(expendable), sizes(expendable)
    phases = environment.application.directory
    assert expendable.kubectl(*APPLY, "--filename", phases).returncode, (
        "The cluster takes it, and nothing is in the way."
    )
    assert show_difference(environment, kubectl, read_phases(phases))
    deploy(environment, kubectl, read_phases(phases))
    expendable.settle()
    assert running(expendable) == pods
    assert sizes(expendable) == claims
    assert {one["spec"]["podManagementPolicy"] for one in expendable.look("statefulsets")} == {"Parallel"}


def doubled(size: str) -> str:
    return bytes_text(2 * in_bytes("size", size))


def patch(name: str, size: str) -> tuple[str, ...]:
    body = json.dumps({"spec": {"resources": {"requests": {"storage": size}}}})
    return ("patch", "persistentvolumeclaim", name, f"--patch={body}")


def sizes(deployed: Deployed) -> dict[str, str]:
    """The size that each claim asks for."""
    return {
        one["metadata"]["name"]: str(one["spec"]["resources"]["requests"]["storage"])
        for one in deployed.look("persistentvolumeclaims")
    }


def capacities(deployed: Deployed) -> dict[str, str]:
    """The size of the disk of each claim that has one."""
    return {
        one["metadata"]["name"]: str(one["status"]["capacity"]["storage"])
        for one in deployed.look("persistentvolumeclaims")
        if one["status"]["phase"] == "Bound"
    }


def running(deployed: Deployed) -> dict[str, str]:
    """The pods of the StatefulSets, each with what tells it from another of its name."""
    names = {one["metadata"]["name"] for one in deployed.manifests() if one["kind"] == "StatefulSet"}
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in deployed.pods() if workload_of(pod) in names}
