"""This module is what is mounted into containers: scratch space, files, claims."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from .api import k8s
from .errors import SettingError
from .names import dns_label
from .quantity import bytes_text, in_bytes

CONFIG_MAP_LIMIT = 1024 * 1024
"""Most bytes that a ConfigMap may hold: the API server refuses more than 1 MiB."""


def _mount_path(where: str, path: str) -> None:
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise SettingError(where, path, "Give an absolute path without '..', such as '/tmp'.")


def _size(where: str, text: str) -> str:
    return bytes_text(in_bytes(where, text))


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A folder that is writable and lost with the pod: the root file system is read-only.

    Args:
        name: The volume's name.
        mount_path: Where it appears.
        size: The most it may hold; a pod that writes more is evicted.
    """

    name: str = "tmp"
    mount_path: str = "/tmp"
    size: str = "64Mi"

    def __post_init__(self) -> None:
        """Check name, path and size."""
        dns_label("Scratch.name", self.name)
        _mount_path(f"Scratch.mount_path of {self.name!r}", self.mount_path)
        object.__setattr__(self, "size", _size(f"Scratch.size of {self.name!r}", self.size))


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Storage that outlives the pod: a PersistentVolumeClaim, mounted by one node at a time (ReadWriteOnce).

    Args:
        name: The volume's name.
        mount_path: Where it appears.
        size: How much is claimed. A live claim can grow, and never shrink.
        storage_class: The class; the cluster's default unless given.
    """

    name: str = "data"
    mount_path: str = "/data"
    size: str
    storage_class: str = ""

    def __post_init__(self) -> None:
        """Check name, path and size."""
        dns_label("Claim.name", self.name)
        _mount_path(f"Claim.mount_path of {self.name!r}", self.mount_path)
        object.__setattr__(self, "size", _size(f"Claim.size of {self.name!r}", self.size))

    def spec(self) -> k8s.PersistentVolumeClaimSpec:
        """The claim as the API has it, with the defaults that the API server would add."""
        return k8s.PersistentVolumeClaimSpec(
            access_modes=["ReadWriteOnce"],
            volume_mode="Filesystem",
            storage_class_name=self.storage_class or None,
            resources=k8s.ResourceRequirements(requests={"storage": k8s.Quantity.from_string(self.size)}),
        )


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a Files volume.

    Args:
        path: Its path below the mount point; folders are allowed.
        content: Its text.
    """

    path: str
    content: str

    def __post_init__(self) -> None:
        """Refuse a path that leaves the folder."""
        parts = PurePosixPath(self.path).parts
        if not parts or self.path.startswith("/") or ".." in parts:
            raise SettingError("File.path", self.path, "Give a relative path without '..'.")

    @property
    def key(self) -> str:
        """The file's key in the ConfigMap, which knows no folders."""
        return re.sub(r"[^-._a-zA-Z0-9]", "_", self.path.replace("/", "__"))


@dataclass(frozen=True, kw_only=True)
class Files:
    """Read-only files from a ConfigMap that is rendered beside the workload.

    A change of any file changes a checksum on the pods, so that they are replaced.

    Args:
        name: The volume's name; the ConfigMap is ``<workload>-<name>``, or ``<workload>`` for ``config``.
        mount_path: The folder they appear in. It hides what the image has there.
        files: The files.
        executable: Whether the files are programs.
    """

    name: str = "config"
    mount_path: str
    files: tuple[File, ...]
    executable: bool = False

    def __post_init__(self) -> None:
        """Check name, path and size."""
        dns_label("Files.name", self.name)
        _mount_path(f"Files.mount_path of {self.name!r}", self.mount_path)
        keys = [file.key for file in self.files]
        if not keys or len(set(keys)) != len(keys):
            raise SettingError(
                f"Files.files of {self.name!r}",
                keys,
                "Give at least one file, and names that differ in more than '/', '__' and signs.",
            )
        size = sum(len(file.key) + len(file.content.encode()) for file in self.files)
        if size > CONFIG_MAP_LIMIT:
            raise SettingError(
                f"Files.files of {self.name!r}",
                f"{size} bytes",
                f"A ConfigMap holds at most {CONFIG_MAP_LIMIT}. Build an image with the files instead.",
            )


Volume = Scratch | Claim | Files
"""What a container mounts."""


def volume_source(volume: Volume, *, config_map: str = "", claim: str = "") -> k8s.Volume:
    """The volume of a pod, given the name of its ConfigMap or claim."""
    if isinstance(volume, Scratch):
        return k8s.Volume(
            name=volume.name,
            empty_dir=k8s.EmptyDirVolumeSource(size_limit=k8s.Quantity.from_string(volume.size)),
        )
    if isinstance(volume, Files):
        return k8s.Volume(
            name=volume.name,
            config_map=k8s.ConfigMapVolumeSource(
                name=config_map,
                default_mode=0o555 if volume.executable else 0o444,
                items=[k8s.KeyToPath(key=file.key, path=file.path) for file in volume.files]
                if any(file.key != file.path for file in volume.files)
                else None,
            ),
        )
    return k8s.Volume(name=volume.name, persistent_volume_claim=k8s.PersistentVolumeClaimVolumeSource(claim_name=claim))


def mounts_of(volumes: tuple[Volume, ...]) -> list[k8s.VolumeMount]:
    """How a container mounts its volumes; what comes from a ConfigMap is read-only."""
    return [
        k8s.VolumeMount(
            name=volume.name,
            mount_path=volume.mount_path,
            read_only=True if isinstance(volume, Files) else None,
        )
        for volume in volumes
    ]
