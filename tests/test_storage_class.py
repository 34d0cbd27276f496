"""This module is the proof of storage that is encrypted at rest: the class, and that every claim has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from ai_interviewer import PROD, AiInterviewer, ArgoCd
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    AwsEbs,
    AzureDisk,
    Budget,
    EncryptedStorageClass,
    GcePd,
    Longhorn,
    Namespace,
    NamespaceSettings,
    Phase,
    SettingError,
    VolumeDriver,
)
from mcpmesh_k8s.kubernetes.manifest import at, each, name_of
from mcpmesh_k8s.operations.cluster import needs_default_storage_class, storage_drivers

KEY = "arn:aws:kms:eu-central-1:123456789012:key/0aa1b2c3"
RING = "projects/shop/locations/europe-west3/keyRings/shop/cryptoKeys/disks"
SET = "/subscriptions/1-2/resourceGroups/shop/providers/Microsoft.Compute/diskEncryptionSets/disks"
DRIVERS: dict[str, tuple[VolumeDriver, str, dict[str, str]]] = {
    "AWS": (AwsEbs(kms_key=KEY), "ebs.csi.aws.com", {"type": "gp3", "encrypted": "true", "kmsKeyId": KEY}),
    "AWS with the account's key": (AwsEbs(), "ebs.csi.aws.com", {"type": "gp3", "encrypted": "true"}),
    "Google Cloud": (
        GcePd(kms_key=RING),
        "pd.csi.storage.gke.io",
        {"type": "pd-balanced", "disk-encryption-kms-key": RING},
    ),
    "Azure": (
        AzureDisk(encryption_set=SET),
        "disk.csi.azure.com",
        {"skuName": "Premium_LRS", "diskEncryptionSetID": SET},
    ),
    "Longhorn": (
        Longhorn(secret="passphrase"),
        "driver.longhorn.io",
        {
            "numberOfReplicas": "3",
            "encrypted": "true",
            **{
                f"csi.storage.k8s.io/{step}-secret-{what}": value
                for step in ("provisioner", "node-publish", "node-stage", "node-expand")
                for what, value in (("name", "passphrase"), ("namespace", "longhorn-system"))
            },
        },
    ),
}
ENCRYPTED = EncryptedStorageClass(driver=AwsEbs(kms_key=KEY))


@cache
def rendered(storage_class: str | EncryptedStorageClass) -> AiInterviewer:
    return AiInterviewer(replace(PROD, storage_class=storage_class), outdir="unused/prod")


def objects(application: Application) -> Sequence[Mapping[str, Any]]:
    return [manifest for group in application.manifests().values() for manifest in group]


def class_of(storage_class: EncryptedStorageClass) -> Mapping[str, Any]:
    """The class of an application of nothing else."""
    settings = ApplicationSettings(name="shop", namespace="trade", storage_class=storage_class)
    application = Application(settings, outdir="unused/shop")
    budget = Budget(cpu="1", memory="1Gi")
    Namespace(Phase(application, "all"), NamespaceSettings(budget=budget))
    (found,) = (m for m in objects(application) if m["kind"] == "StorageClass")
    return found


@pytest.mark.parametrize("case", DRIVERS)
def test_a_class_says_what_its_driver_reads_and_keeps_what_it_holds(case: str) -> None:
    driver, provisioner, parameters = DRIVERS[case]
    found = class_of(EncryptedStorageClass(driver=driver))
    assert found["apiVersion"] == "storage.k8s.io/v1"
    # One of the whole cluster's: its name says whose it is.
    assert name_of(found) == "trade-encrypted"
    assert "namespace" not in at(found, "metadata")
    assert at(found, "metadata", "annotations") == {
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "argocd.argoproj.io/sync-wave": "-1",
    }
    rest = {key: value for key, value in found.items() if key not in ("apiVersion", "kind", "metadata")}
    assert rest == {
        "provisioner": provisioner,
        "parameters": parameters,
        "reclaimPolicy": "Retain",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }


def test_what_is_easily_made_anew_may_go_with_its_claim() -> None:
    assert class_of(EncryptedStorageClass(driver=AwsEbs(), keep=False))["reclaimPolicy"] == "Delete"


def claims(manifests: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    for manifest in manifests:
        if manifest["kind"] == "PersistentVolumeClaim":
            yield name_of(manifest), at(manifest, "spec").get("storageClassName")
        for template in each(manifest, "spec", "volumeClaimTemplates"):
            yield f"{name_of(manifest)}/{name_of(template)}", at(template, "spec").get("storageClassName")


ALL = {
    *("ai-interviewer-postgres/data", "ai-interviewer-minio/data", "ai-interviewer-redis"),
    *("ai-interviewer-tempo", "ai-interviewer-grafana", "ai-interviewer-prometheus", "ai-interviewer-loki"),
    *(f"ai-interviewer-{store}-backup-backups" for store in ("postgres", "redis", "minio")),
}


@pytest.mark.parametrize(("given", "named"), [(ENCRYPTED, "ai-interviewer-encrypted"), ("fast", "fast"), ("", None)])
def test_one_place_gives_every_claim_its_class(given: str | EncryptedStorageClass, named: str | None) -> None:
    found = dict(claims(objects(rendered(given))))
    assert found == dict.fromkeys(ALL, named)
    assert needs_default_storage_class(objects(rendered(given))) is (named is None)


def test_a_claim_that_names_a_class_keeps_it() -> None:
    postgres = replace(PROD.postgres, storage_class="local")
    application = AiInterviewer(replace(PROD, storage_class="fast", postgres=postgres), outdir="unused")
    found = dict(claims(objects(application)))
    assert found.pop("ai-interviewer-postgres/data") == "local"
    assert set(found.values()) == {"fast"}


def test_argocd_may_make_the_class_and_a_deployment_looks_for_its_driver() -> None:
    application = rendered(ENCRYPTED)
    (group,) = ArgoCd([application], outdir="unused/argocd").manifests().values()
    (project,) = (m for m in group if m["kind"] == "AppProject")
    assert {"group": "storage.k8s.io", "kind": "StorageClass"} in list(
        each(project, "spec", "clusterResourceWhitelist")
    )
    assert storage_drivers(objects(application)) == ["ebs.csi.aws.com"]
    assert storage_drivers(objects(rendered("fast"))) == []


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a key of AWS by its id": (lambda: AwsEbs(kms_key="0aa1b2c3"), "AwsEbs.kms_key: .* Give an ARN"),
    "a key of Google by its name": (lambda: GcePd(kms_key="disks"), "GcePd.kms_key: .*cryptoKeys"),
    "a set of Azure by its name": (lambda: AzureDisk(encryption_set="disks"), "diskEncryptionSets/<name>"),
    "no replica": (lambda: Longhorn(secret="passphrase", replicas=0), "Longhorn.replicas"),
    "a kind with a blank": (lambda: AwsEbs(type="gp3 fast"), "AwsEbs.type"),
    "a class of no name": (lambda: rendered("Fast Disks"), "ApplicationSettings.storage_class"),
    "an own class of no name": (
        lambda: EncryptedStorageClass(driver=AwsEbs(), name="a.b"),
        "EncryptedStorageClass.name",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_driver_takes_is_refused(case: str) -> None:
    make, said = REFUSED[case]
    with pytest.raises(SettingError, match=said):
        make()


def test_every_setting_with_a_size_has_a_class() -> None:
    """What claims storage says of which class, where it says how much."""
    import dataclasses

    import mcpmesh_k8s

    for name in ("PostgresSettings", "MinioSettings", "Persistent", "ClaimTarget", "Claim"):
        fields = {field.name for field in dataclasses.fields(getattr(mcpmesh_k8s, name))}
        assert {"size", "storage_class"} <= fields, name
