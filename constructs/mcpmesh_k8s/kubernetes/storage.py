"""This module is what is mounted into containers: scratch space, files, claims, and what exists in the cluster."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal

from .api import k8s
from .errors import SettingError
from .labels import label_key
from .names import MAX_KEY, MAX_LABEL, data_key, dns_label, dns_subdomain, once
from .quantity import bytes_text, in_bytes
from .values import dataclass
from .variable import secret_literal

CONFIG_MAP_LIMIT = 1024 * 1024
"""Most bytes that a ConfigMap may hold: the API server refuses more than 1 MiB."""

AccessMode = Literal["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"]
"""Who may mount a claim: one node, many that read, or many that write."""

_READABLE = 0o444
_EXECUTABLE = 0o555
_GROUP_READABLE = 0o440
"""What holds secrets is read by the owner and by the pod's group (fsGroup), which the process belongs to."""

_FIELDS = re.compile(r"metadata\.(name|namespace|uid|labels|annotations|(labels|annotations)\['(?P<key>[^']+)'\])")
_TOKEN_SECONDS = 600
"""The shortest life of a token that the API server grants."""


def _mount_path(where: str, path: str) -> None:
    if (
        not path.isprintable()
        or not path.startswith("/")
        or path != str(PurePosixPath(path))
        or ".." in path.split("/")
        or path == "/"
    ):
        raise SettingError(where, path, "Give an absolute path without '..', such as '/tmp'.")
    if path.split("/")[1] == "proc":
        raise SettingError(where, path, "It is the kernel's, where nothing is mounted. Give another folder.")


def _relative_path(where: str, path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or not path.isprintable() or path != "/".join(parts):
        raise SettingError(where, path, "Give a relative path without '..', such as 'conf.d/main.conf'.")


def _apart(where: str, paths: Sequence[str]) -> None:
    """Refuse a path that is given twice, and a file where another path has a folder: no kubelet writes both."""
    once(where, paths)
    for path in paths:
        for folder in PurePosixPath(path).parents:
            if str(folder) in paths:
                raise SettingError(where, str(folder), f"It is a folder, too, by {path!r}. Give one of them another.")


def _size(where: str, text: str) -> str:
    return bytes_text(in_bytes(where, text))


def _keys(where: str, keys: tuple[str, ...]) -> None:
    for key in keys:
        data_key(where, key)
    once(where, keys)


def _items(keys: tuple[str, ...], paths: tuple[str, ...] = ()) -> list[k8s.KeyToPath] | None:
    return [k8s.KeyToPath(key=key, path=path) for key, path in zip(keys, paths or keys, strict=True)] or None


@dataclass(frozen=True, kw_only=True)
class Volume(ABC):
    """What a container mounts. Each kind says itself where its contents come from.

    None reaches the node's own files: the restricted Pod Security Standard has no place for them.

    Args:
        name: The volume's name in the pod.
        mount_path: Where it appears.
    """

    name: str
    mount_path: str

    def __post_init__(self) -> None:
        """Check name and path."""
        kind = type(self).__name__
        dns_label(f"{kind}.name", self.name)
        _mount_path(f"{kind}.mount_path of {self.name!r}", self.mount_path)

    @abstractmethod
    def source(self, owner: str) -> k8s.Volume:
        """The volume of a pod, given the full name of the component that it belongs to."""

    def mount(self) -> k8s.VolumeMount:
        """How a container mounts it."""
        return k8s.VolumeMount(name=self.name, mount_path=self.mount_path, read_only=True if self.only_read else None)

    @property
    def only_read(self) -> bool:
        """Whether nothing can be written to it."""
        return False

    @property
    def held_by_one(self) -> bool:
        """Whether one pod at a time can have it."""
        return False

    @property
    def disk(self) -> int:
        """The most bytes of the node's own disk that it takes."""
        return 0

    @property
    def existing(self) -> tuple[tuple[str, str], ...]:
        """The objects that it says are in the cluster already, as kind and name."""
        return ()

    @property
    def secrets(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The Secrets of the application that it shows: each with the keys, or with none for all of them."""
        return ()


@dataclass(frozen=True, kw_only=True)
class Scratch(Volume):
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
        super().__post_init__()
        object.__setattr__(self, "size", _size(f"Scratch.size of {self.name!r}", self.size))

    @property
    def disk(self) -> int:
        """It lies on the node."""
        return in_bytes("Scratch.size", self.size)

    def source(self, owner: str) -> k8s.Volume:
        """An emptyDir."""
        limit = k8s.Quantity.from_string(self.size)
        return k8s.Volume(name=self.name, empty_dir=k8s.EmptyDirVolumeSource(size_limit=limit))


@dataclass(frozen=True, kw_only=True)
class Claim(Volume):
    """Storage that outlives the pod: a PersistentVolumeClaim, mounted by one node at a time (ReadWriteOnce).

    Args:
        name: The volume's name.
        mount_path: Where it appears.
        size: How much is claimed. A live claim can grow, and never shrink.
        storage_class: The class; that of ``ApplicationSettings.storage_class`` unless given.
    """

    name: str = "data"
    mount_path: str = "/data"
    size: str
    storage_class: str = ""

    def __post_init__(self) -> None:
        """Check name, path, size and class."""
        super().__post_init__()
        object.__setattr__(self, "size", _size(f"Claim.size of {self.name!r}", self.size))
        if self.storage_class:
            dns_subdomain(f"Claim.storage_class of {self.name!r}", self.storage_class)

    @property
    def held_by_one(self) -> bool:
        """It is ReadWriteOnce."""
        return True

    def object_name(self, owner: str) -> str:
        """The name of the PersistentVolumeClaim: ``<component>-<volume>``, or ``<component>`` for ``data``."""
        return owner if self.name == "data" else f"{owner}-{self.name}"

    def source(self, owner: str) -> k8s.Volume:
        """The claim that is rendered beside the workload."""
        claim = k8s.PersistentVolumeClaimVolumeSource(claim_name=self.object_name(owner))
        return k8s.Volume(name=self.name, persistent_volume_claim=claim)

    def spec(self, usual_class: str = "") -> k8s.PersistentVolumeClaimSpec:
        """The claim as the API has it, with the defaults that the API server would add.

        Args:
            usual_class: The class where it names none.
        """
        return k8s.PersistentVolumeClaimSpec(
            access_modes=["ReadWriteOnce"],
            volume_mode="Filesystem",
            storage_class_name=self.storage_class or usual_class or None,
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
        _relative_path("File.path", self.path)
        if len(self.key) > MAX_KEY:
            raise SettingError(
                "File.path",
                self.path,
                f"As a key of a ConfigMap it has {len(self.key)} characters; give at most {MAX_KEY}.",
            )

    @property
    def key(self) -> str:
        """The file's key in the ConfigMap, which knows no folders."""
        return re.sub(r"[^-._a-zA-Z0-9]", "_", self.path.replace("/", "__"))


@dataclass(frozen=True, kw_only=True)
class Files(Volume):
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
        super().__post_init__()
        keys = [file.key for file in self.files]
        if not keys or len(set(keys)) != len(keys):
            raise SettingError(
                f"Files.files of {self.name!r}",
                keys,
                "Give at least one file, and names that differ in more than '/', '__' and signs.",
            )
        _apart(f"Files.files of {self.name!r} path", [file.path for file in self.files])
        size = sum(len(file.key) + len(file.content.encode()) for file in self.files)
        if size > CONFIG_MAP_LIMIT:
            raise SettingError(
                f"Files.files of {self.name!r}",
                f"{size} bytes",
                f"A ConfigMap holds at most {CONFIG_MAP_LIMIT}. Build an image with the files instead.",
            )

    @property
    def only_read(self) -> bool:
        """A ConfigMap cannot be written to."""
        return True

    @property
    def data(self) -> dict[str, str]:
        """What the ConfigMap holds."""
        return {file.key: file.content for file in self.files}

    def object_name(self, owner: str) -> str:
        """The name of the ConfigMap: ``<component>-<volume>``, or ``<component>`` for ``config``."""
        return owner if self.name == "config" else f"{owner}-{self.name}"

    def source(self, owner: str) -> k8s.Volume:
        """The ConfigMap that is rendered beside the workload."""
        return k8s.Volume(
            name=self.name,
            config_map=k8s.ConfigMapVolumeSource(
                name=self.object_name(owner),
                default_mode=_EXECUTABLE if self.executable else _READABLE,
                items=[k8s.KeyToPath(key=file.key, path=file.path) for file in self.files]
                if any(file.key != file.path for file in self.files)
                else None,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class ExistingConfigMap(Volume):
    """Read-only files from a ConfigMap that someone else made in the application's namespace.

    A change of it replaces no pod: the files change in the running container after about a minute.

    Args:
        name: The volume's name.
        mount_path: The folder they appear in.
        config_map: The ConfigMap's name. It must be there before the pod starts.
        keys: The keys that are shown, each as a file of its name; all of them unless given.
    """

    name: str = "existing-config"
    mount_path: str
    config_map: str
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        super().__post_init__()
        dns_subdomain("ExistingConfigMap.config_map", self.config_map)
        _keys("ExistingConfigMap.keys", self.keys)

    @property
    def only_read(self) -> bool:
        """A ConfigMap cannot be written to."""
        return True

    @property
    def existing(self) -> tuple[tuple[str, str], ...]:
        """The ConfigMap."""
        return (("ConfigMap", self.config_map),)

    def source(self, owner: str) -> k8s.Volume:
        """The ConfigMap by its name."""
        return k8s.Volume(
            name=self.name,
            config_map=k8s.ConfigMapVolumeSource(name=self.config_map, default_mode=_READABLE, items=_items(self.keys)),
        )


@dataclass(frozen=True, kw_only=True)
class ExistingClaim(Volume):
    """Storage that someone else claimed in the application's namespace.

    Args:
        name: The volume's name.
        mount_path: Where it appears.
        claim: The PersistentVolumeClaim's name.
        size: How large it is: the namespace's quota counts every claim that is in it.
        access_mode: How it was claimed. ReadWriteOnce is held by one pod; ReadOnlyMany is mounted read-only.
    """

    name: str = "existing-data"
    mount_path: str
    claim: str
    size: str
    access_mode: AccessMode = "ReadWriteOnce"

    def __post_init__(self) -> None:
        """Check the names, the size and the mode."""
        super().__post_init__()
        dns_subdomain("ExistingClaim.claim", self.claim)
        object.__setattr__(self, "size", _size(f"ExistingClaim.size of {self.name!r}", self.size))
        if self.access_mode not in ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"):
            raise SettingError(
                "ExistingClaim.access_mode",
                self.access_mode,
                "Give 'ReadWriteOnce', 'ReadOnlyMany' or 'ReadWriteMany'.",
            )

    @property
    def only_read(self) -> bool:
        """What many may read, none may write."""
        return self.access_mode == "ReadOnlyMany"

    @property
    def held_by_one(self) -> bool:
        """It is ReadWriteOnce."""
        return self.access_mode == "ReadWriteOnce"

    @property
    def existing(self) -> tuple[tuple[str, str], ...]:
        """The claim."""
        return (("PersistentVolumeClaim", self.claim),)

    def source(self, owner: str) -> k8s.Volume:
        """The claim by its name."""
        return k8s.Volume(
            name=self.name,
            persistent_volume_claim=k8s.PersistentVolumeClaimVolumeSource(
                claim_name=self.claim, read_only=True if self.only_read else None
            ),
        )


@dataclass(frozen=True, kw_only=True)
class ExistingSecret(Volume):
    """Read-only files from a Secret that someone else made in the application's namespace, under a name of theirs.

    The operator's commands neither make nor rotate it: what the application's own commands shall know is a `Secret` and
    `SecretFiles`. A change of it replaces no pod: the files change in the running container after about a minute. The
    process reads them by the volumes' group (``User.volume_gid``).

    Args:
        name: The volume's name.
        mount_path: The folder they appear in.
        secret: The Secret's name. It must be there before the pod starts.
        keys: The keys that are shown, each as a file of its name; all of them unless given.
    """

    name: str = "existing-secret"
    mount_path: str
    secret: str
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        super().__post_init__()
        dns_subdomain("ExistingSecret.secret", self.secret)
        _keys("ExistingSecret.keys", self.keys)

    @property
    def only_read(self) -> bool:
        """A Secret cannot be written to."""
        return True

    @property
    def existing(self) -> tuple[tuple[str, str], ...]:
        """The Secret."""
        return (("Secret", self.secret),)

    @property
    def secrets(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The same: what restarts pods when a Secret changes sees it too."""
        return ((self.secret, self.keys),)

    def source(self, owner: str) -> k8s.Volume:
        """The Secret by its name."""
        return k8s.Volume(
            name=self.name,
            secret=k8s.SecretVolumeSource(
                secret_name=self.secret, default_mode=_GROUP_READABLE, items=_items(self.keys)
            ),
        )


@dataclass(frozen=True, kw_only=True)
class SecretFiles(Volume):
    """Read-only files from a Secret that the application declares with ``Secret(...)``.

    The process reads them by the volumes' group (``User.volume_gid``).

    Args:
        name: The volume's name.
        mount_path: The folder they appear in.
        secret: The Secret's full name, as in ``secret.full_name``.
        keys: The keys that are shown, each as a file of its name; all of them unless given.
        paths: What the files are called instead, one for each key.
    """

    name: str = "secret"
    mount_path: str
    secret: str
    keys: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        super().__post_init__()
        dns_subdomain("SecretFiles.secret", self.secret)
        _keys("SecretFiles.keys", self.keys)
        for path in self.paths:
            _relative_path("SecretFiles.paths", path)
        _apart("SecretFiles.paths", self.paths)
        if self.paths and len(self.paths) != len(self.keys):
            raise SettingError("SecretFiles.paths", self.paths, f"Give one for each of the keys: {self.keys}.")

    @property
    def only_read(self) -> bool:
        """A Secret cannot be written to."""
        return True

    @property
    def secrets(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The Secret."""
        return ((self.secret, self.keys),)

    def source(self, owner: str) -> k8s.Volume:
        """The Secret by its name."""
        return k8s.Volume(
            name=self.name,
            secret=k8s.SecretVolumeSource(
                secret_name=self.secret, default_mode=_GROUP_READABLE, items=_items(self.keys, self.paths)
            ),
        )


class Projection(ABC):
    """A part of a Projected volume. Each kind says itself what it brings."""

    @property
    @abstractmethod
    def paths(self) -> tuple[str, ...]:
        """The files that it is known to bring."""

    @property
    def existing(self) -> tuple[tuple[str, str], ...]:
        """The objects that it says are in the cluster already, as kind and name."""
        return ()

    @property
    def secrets(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The Secrets of the application that it shows: each with the keys, or with none for all of them."""
        return ()

    @abstractmethod
    def render(self) -> k8s.VolumeProjection:
        """The source as the API has it."""


@dataclass(frozen=True, kw_only=True)
class ConfigMapProjection(Projection):
    """Files of a ConfigMap that someone else made, as a part of a Projected volume.

    Args:
        config_map: The ConfigMap's name.
        keys: The keys that are shown, each as a file of its name; all of them unless given.
    """

    config_map: str
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        dns_subdomain("ConfigMapProjection.config_map", self.config_map)
        _keys("ConfigMapProjection.keys", self.keys)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that it is known to bring."""
        return self.keys

    @property
    def existing(self) -> tuple[tuple[str, str], ...]:
        """The ConfigMap."""
        return (("ConfigMap", self.config_map),)

    def render(self) -> k8s.VolumeProjection:
        """The source as the API has it."""
        return k8s.VolumeProjection(config_map=k8s.ConfigMapProjection(name=self.config_map, items=_items(self.keys)))


@dataclass(frozen=True, kw_only=True)
class SecretProjection(Projection):
    """Files of a Secret that the application declares, as a part of a Projected volume.

    Args:
        secret: The Secret's full name.
        keys: The keys that are shown, each as a file of its name; all of them unless given.
    """

    secret: str
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        dns_subdomain("SecretProjection.secret", self.secret)
        _keys("SecretProjection.keys", self.keys)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that it is known to bring."""
        return self.keys

    @property
    def secrets(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The Secret."""
        return ((self.secret, self.keys),)

    def render(self) -> k8s.VolumeProjection:
        """The source as the API has it."""
        return k8s.VolumeProjection(secret=k8s.SecretProjection(name=self.secret, items=_items(self.keys)))


@dataclass(frozen=True, kw_only=True)
class DownwardApiProjection(Projection):
    """A file with a field of the pod itself, as a part of a Projected volume.

    Args:
        path: The file, below the mount point.
        field_path: The field, such as ``metadata.labels`` or ``metadata.name``.
    """

    path: str
    field_path: str

    def __post_init__(self) -> None:
        """Check the path and the field."""
        _relative_path("DownwardApiProjection.path", self.path)
        field = _FIELDS.fullmatch(self.field_path)
        if field is None:
            raise SettingError(
                "DownwardApiProjection.field_path",
                self.field_path,
                "Give 'metadata.' and name, namespace, uid, labels or annotations, of these two also one: "
                "\"metadata.labels['app']\".",
            )
        if field["key"]:
            label_key("DownwardApiProjection.field_path", field["key"])

    @property
    def paths(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)

    def render(self) -> k8s.VolumeProjection:
        """The source as the API has it."""
        file = k8s.DownwardApiVolumeFile(
            path=self.path, field_ref=k8s.ObjectFieldSelector(field_path=self.field_path, api_version="v1")
        )
        return k8s.VolumeProjection(downward_api=k8s.DownwardApiProjection(items=[file]))


@dataclass(frozen=True, kw_only=True)
class ServiceAccountTokenProjection(Projection):
    """A token by which someone outside the cluster's API knows the pod, as a part of a Projected volume.

    It is a token for its audience alone, such as a Vault or a cloud's identity service: the API server takes no other
    than its own, and no pod gets that.

    Args:
        audience: Whom the token is for.
        path: The file, below the mount point.
        expiration_seconds: Seconds that a token lives, at least 600. The kubelet renews it in time.
    """

    audience: str
    path: str = "token"
    expiration_seconds: int = 3600

    def __post_init__(self) -> None:
        """Refuse a token for anyone, and a life that the API server would refuse."""
        if not self.audience.strip():
            raise SettingError(
                "ServiceAccountTokenProjection.audience",
                self.audience,
                "Say whom the token is for, such as 'vault': without, it is one for the cluster's API.",
            )
        _relative_path("ServiceAccountTokenProjection.path", self.path)
        if self.expiration_seconds < _TOKEN_SECONDS:
            raise SettingError(
                "ServiceAccountTokenProjection.expiration_seconds",
                self.expiration_seconds,
                f"Give {_TOKEN_SECONDS} or more.",
            )

    @property
    def paths(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)

    def render(self) -> k8s.VolumeProjection:
        """The source as the API has it."""
        return k8s.VolumeProjection(
            service_account_token=k8s.ServiceAccountTokenProjection(
                path=self.path, audience=self.audience, expiration_seconds=self.expiration_seconds
            )
        )


@dataclass(frozen=True, kw_only=True)
class Projected(Volume):
    """Read-only files from several sources in one folder.

    Args:
        name: The volume's name.
        mount_path: The folder they appear in.
        sources: Where they come from. Of two files with one path, the later would win, so there may be one.
    """

    name: str = "projected"
    mount_path: str
    sources: tuple[Projection, ...]

    def __post_init__(self) -> None:
        """Refuse a folder of nothing, and a path that two sources bring."""
        super().__post_init__()
        if not self.sources:
            raise SettingError(f"Projected.sources of {self.name!r}", self.sources, "Give at least one.")
        _apart(f"Projected.sources of {self.name!r} path", [path for source in self.sources for path in source.paths])

    @property
    def only_read(self) -> bool:
        """Nothing that is projected can be written to."""
        return True

    @property
    def existing(self) -> tuple[tuple[str, str], ...]:
        """The ConfigMaps."""
        return tuple(entry for source in self.sources for entry in source.existing)

    @property
    def secrets(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The Secrets."""
        return tuple(shown for source in self.sources for shown in source.secrets)

    def source(self, owner: str) -> k8s.Volume:
        """The sources, in their order."""
        return k8s.Volume(
            name=self.name,
            projected=k8s.ProjectedVolumeSource(
                default_mode=_GROUP_READABLE, sources=[source.render() for source in self.sources]
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Csi(Volume):
    """What a CSI driver of the cluster brings for the life of the pod, such as secrets of a store.

    Args:
        name: The volume's name.
        mount_path: Where it appears.
        driver: The driver's name, such as ``secrets-store.csi.k8s.io``.
        attributes: What the driver is told, as ``(name, value)``.
        read_only: Whether nothing can be written to it.
    """

    name: str = "csi"
    mount_path: str
    driver: str
    attributes: tuple[tuple[str, str], ...] = ()
    read_only: bool = True

    def __post_init__(self) -> None:
        """Check the driver and its attributes."""
        super().__post_init__()
        dns_subdomain("Csi.driver", self.driver)
        if len(self.driver) > MAX_LABEL:
            raise SettingError("Csi.driver", self.driver, f"The name of a driver has at most {MAX_LABEL} characters.")
        once("Csi.attributes", [name for name, _ in self.attributes])
        for name, value in self.attributes:
            if secret_literal(name, value):
                raise SettingError(
                    f"Csi.attributes {name!r}", "(not shown)", "A literal secret would end in git. Name where it lies."
                )

    @property
    def only_read(self) -> bool:
        """As it was given."""
        return self.read_only

    def source(self, owner: str) -> k8s.Volume:
        """The driver and what it is told."""
        return k8s.Volume(
            name=self.name,
            csi=k8s.CsiVolumeSource(
                driver=self.driver, read_only=self.read_only, volume_attributes=dict(self.attributes) or None
            ),
        )
