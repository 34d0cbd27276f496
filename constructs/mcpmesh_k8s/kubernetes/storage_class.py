"""This module is classes of storage whose volumes are encrypted at rest, by the drivers that are common."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from .api import k8s
from .errors import SettingError
from .manifest import Manifest
from .names import dns_label, dns_subdomain
from .values import dataclass

_MOST_REPLICAS = 20
"""As many as Longhorn makes of a volume."""


class VolumeDriver(ABC):
    """A CSI driver that encrypts volumes. Each kind says itself what it is told; one of your own is a subclass."""

    @property
    @abstractmethod
    def provisioner(self) -> str:
        """Its name in the cluster."""

    @property
    @abstractmethod
    def parameters(self) -> dict[str, str]:
        """What it is told."""


@dataclass(frozen=True, kw_only=True)
class AwsEbs(VolumeDriver):
    """Volumes of AWS (``ebs.csi.aws.com``). The driver's role must be allowed to use the key.

    Args:
        kms_key: The ARN of the KMS key; the account's own for EBS unless given.
        type: The kind of the volumes.
    """

    kms_key: str = ""
    type: str = "gp3"

    def __post_init__(self) -> None:
        """Refuse a key that is none."""
        if self.kms_key and not re.fullmatch(r"arn:aws[\w-]*:kms:[\w-]+:\d{12}:(key|alias)/[\w/-]+", self.kms_key):
            raise SettingError(
                "AwsEbs.kms_key", self.kms_key, "Give an ARN: 'arn:aws:kms:<region>:<account>:key/<id>'."
            )
        _word("AwsEbs.type", self.type)

    @property
    def provisioner(self) -> str:
        """The driver of EBS."""
        return "ebs.csi.aws.com"

    @property
    def parameters(self) -> dict[str, str]:
        """Kind and key."""
        return {"type": self.type, "encrypted": "true", **({"kmsKeyId": self.kms_key} if self.kms_key else {})}


@dataclass(frozen=True, kw_only=True)
class GcePd(VolumeDriver):
    """Disks of Google Cloud (``pd.csi.storage.gke.io``). All are encrypted by Google; these by a key of your own.

    Args:
        kms_key: The key, as ``projects/<project>/locations/<region>/keyRings/<ring>/cryptoKeys/<key>``. The service
            agent of Compute Engine must be allowed to use it.
        type: The kind of the disks.
    """

    kms_key: str
    type: str = "pd-balanced"

    def __post_init__(self) -> None:
        """Refuse a key that is none."""
        if not re.fullmatch(r"projects/[\w:.-]+/locations/[\w-]+/keyRings/[\w-]+/cryptoKeys/[\w-]+", self.kms_key):
            raise SettingError(
                "GcePd.kms_key",
                self.kms_key,
                "Give 'projects/<project>/locations/<region>/keyRings/<ring>/cryptoKeys/<key>'.",
            )
        _word("GcePd.type", self.type)

    @property
    def provisioner(self) -> str:
        """The driver of Persistent Disk."""
        return "pd.csi.storage.gke.io"

    @property
    def parameters(self) -> dict[str, str]:
        """Kind and key."""
        return {"type": self.type, "disk-encryption-kms-key": self.kms_key}


@dataclass(frozen=True, kw_only=True)
class AzureDisk(VolumeDriver):
    """Disks of Azure (``disk.csi.azure.com``). All are encrypted by Azure; these by a key of your own.

    Args:
        encryption_set: The DiskEncryptionSet, as ``/subscriptions/…/diskEncryptionSets/<name>``. The cluster's identity
            must be allowed to read it.
        sku: The kind of the disks.
    """

    encryption_set: str
    sku: str = "Premium_LRS"

    def __post_init__(self) -> None:
        """Refuse a set that is none."""
        if not re.fullmatch(
            r"/subscriptions/[\w-]+/resourceGroups/[^/\s]+/providers/Microsoft\.Compute/diskEncryptionSets/[\w.-]+",
            self.encryption_set,
        ):
            raise SettingError(
                "AzureDisk.encryption_set",
                self.encryption_set,
                "Give '/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Compute/diskEncryptionSets/"
                "<name>'.",
            )
        _word("AzureDisk.sku", self.sku)

    @property
    def provisioner(self) -> str:
        """The driver of Azure Disk."""
        return "disk.csi.azure.com"

    @property
    def parameters(self) -> dict[str, str]:
        """Kind and set."""
        return {"skuName": self.sku, "diskEncryptionSetID": self.encryption_set}


@dataclass(frozen=True, kw_only=True)
class Longhorn(VolumeDriver):
    """Volumes of Longhorn (``driver.longhorn.io``), for clusters of your own: dm-crypt encrypts them on the nodes.

    Each node needs ``cryptsetup`` and the kernel's ``dm_crypt``.

    Args:
        secret: The Secret with the passphrase, as ``CRYPTO_KEY_VALUE``. It is made outside the application.
        namespace: Where that lies.
        replicas: On how many nodes each volume lies.
    """

    secret: str
    namespace: str = "longhorn-system"
    replicas: int = 3

    def __post_init__(self) -> None:
        """Check the names and the number."""
        dns_subdomain("Longhorn.secret", self.secret)
        dns_label("Longhorn.namespace", self.namespace)
        if not 1 <= self.replicas <= _MOST_REPLICAS:
            raise SettingError("Longhorn.replicas", self.replicas, f"Give 1 to {_MOST_REPLICAS}.")

    @property
    def provisioner(self) -> str:
        """The driver of Longhorn."""
        return "driver.longhorn.io"

    @property
    def parameters(self) -> dict[str, str]:
        """Where the passphrase is, for each step of a volume's life."""
        steps = ("provisioner", "node-publish", "node-stage", "node-expand")
        secrets = {
            f"csi.storage.k8s.io/{step}-secret-{what}": value
            for step in steps
            for what, value in (("name", self.secret), ("namespace", self.namespace))
        }
        return {"numberOfReplicas": str(self.replicas), "encrypted": "true", **secrets}


def _word(where: str, text: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", text, re.A):
        raise SettingError(where, text, "Give letters, digits, '-' and '_'.")


@dataclass(frozen=True, kw_only=True)
class EncryptedStorageClass:
    """A StorageClass of the application's own, whose volumes are encrypted at rest. They grow, and lie where pods run.

    Nothing of a StorageClass can be changed but by another name: what is claimed keeps the class that it has.

    Args:
        driver: What makes the volumes.
        keep: Whether a volume stays, with its data, when its claim is deleted (``Retain``). Somebody deletes it then.
        name: The name, which the namespace's comes before: a class is the whole cluster's.
    """

    driver: VolumeDriver
    keep: bool = True
    name: str = "encrypted"

    def __post_init__(self) -> None:
        """Check the name."""
        dns_label("EncryptedStorageClass.name", self.name)

    def manifest(self, metadata: k8s.ObjectMeta) -> Manifest:
        """The StorageClass."""
        return k8s.KubeStorageClass.manifest(
            metadata=metadata,
            provisioner=self.driver.provisioner,
            parameters=self.driver.parameters,
            reclaim_policy="Retain" if self.keep else "Delete",
            # A volume has its zone: it is made where the pod is to run.
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
        )
