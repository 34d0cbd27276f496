"""This module is Secrets: workloads name them, and no value is ever rendered.

Where the values come from is the environment's choice: Secrets that exist in the cluster, ExternalSecrets that an
operator fills from a store, or SealedSecrets that hold the values encrypted for one cluster.
"""

from __future__ import annotations

import base64
import binascii
import re

from constructs import Construct

from .api import ApiObjectMetadata, bitnami, external_secrets
from .choice import Choice
from .component import GROUND_WAVE, Component
from .errors import SettingError
from .manifest import Manifest
from .names import data_key, dns_subdomain, one_line
from .pod import Pod
from .quantity import duration_text, seconds
from .scope import ApplicationScope
from .values import dataclass
from .variable import SecretKey

_SMALLEST_RSA = 256
"""Bytes that a key of 2048 bits encrypts to. The controller's own have 4096 bits."""
_GCM_TAG = 16


class KeyForm(Choice):
    """How a made-up value is written. Each form's value is the command that makes one."""

    HEX = "openssl rand -hex 24", "48 hexadecimal digits: safe inside URLs."
    URL_SAFE_BASE64 = (
        "openssl rand -base64 32 | tr -- '+/' '-_'",
        "32 bytes in base64 with ``-`` and ``_``: what oauth2-proxy reads as a key.",
    )


@dataclass(frozen=True, kw_only=True)
class RandomKey:
    """A key whose value can be made up: nobody outside the application knows it.

    Args:
        key: The key.
        form: How its value is written.
    """

    key: str
    form: KeyForm = KeyForm.HEX

    def __post_init__(self) -> None:
        """Check the key."""
        data_key("RandomKey.key", self.key)


@dataclass(frozen=True, kw_only=True)
class IssuedKey:
    """A key whose value someone else issues, such as the key of an API.

    Args:
        key: The key.
        issued_by: Who issues it and where, such as ``Anthropic, console.anthropic.com``.
    """

    key: str
    issued_by: str

    def __post_init__(self) -> None:
        """Check the key and its issuer."""
        data_key("IssuedKey.key", self.key)
        one_line(f"IssuedKey.issued_by of {self.key!r}", self.issued_by, "Say who issues it and where, in one line.")


@dataclass(frozen=True, kw_only=True)
class SecretEntry:
    """What an application knows about one key of one of its Secrets. The value is not part of it.

    Args:
        reference: The Secret's full name and the key.
        origin: Whether the value is issued or made up.
        variable: The variable that holds the value in a ``.env`` file.
        readers: The short names of the workloads and tasks that read it.
    """

    reference: SecretKey
    origin: IssuedKey | RandomKey
    variable: str
    readers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ExistingSecrets:
    """The Secrets lie in the cluster already: someone creates them before the first deployment."""


@dataclass(frozen=True, kw_only=True)
class ExternalSecrets:
    """The External Secrets Operator copies the Secrets from a store (external-secrets.io/v1).

    Args:
        store: The name of the store.
        store_kind: ``ClusterSecretStore``, or ``SecretStore`` for one in the namespace.
        prefix: Where the application's secrets lie in the store; a Secret's remote key is ``<prefix>/<name>``, or its
            name alone where the prefix is empty.
        refresh_interval: How often the operator looks for a new value.
    """

    store: str
    store_kind: str = "ClusterSecretStore"
    prefix: str
    refresh_interval: str = "1h"

    def __post_init__(self) -> None:
        """Refuse a store that the operator would not find."""
        dns_subdomain("ExternalSecrets.store", self.store)
        if self.store_kind not in ("ClusterSecretStore", "SecretStore"):
            raise SettingError(
                "ExternalSecrets.store_kind", self.store_kind, "Give 'ClusterSecretStore' or 'SecretStore'."
            )
        if self.prefix:
            one_line("ExternalSecrets.prefix", self.prefix, "Give a place in the store, such as 'shop/prod', or ''.")
        seconds("ExternalSecrets.refresh_interval", self.refresh_interval)

    @property
    def duration(self) -> str:
        """The refresh interval as Kubernetes writes it back: ``1h0m0s``."""
        return duration_text(seconds("ExternalSecrets.refresh_interval", self.refresh_interval))


@dataclass(frozen=True, kw_only=True)
class SealedValue:
    """One encrypted value, as ``kubeseal --raw`` prints it.

    Args:
        secret: The Secret, without the application's prefix.
        key: The key.
        ciphertext: The value, encrypted for this Secret, its namespace and one cluster.
    """

    secret: str
    key: str
    ciphertext: str

    @property
    def is_sealed(self) -> bool:
        """Whether it has the form of a sealed value: a session key that RSA encrypted, by its length, and the rest."""
        try:
            data = base64.b64decode(self.ciphertext, validate=True)
        except (binascii.Error, ValueError):
            return False
        length = int.from_bytes(data[:2], "big")
        return length >= _SMALLEST_RSA and len(data) > 2 + length + _GCM_TAG


@dataclass(frozen=True, kw_only=True)
class SealedSecrets:
    """The values lie in the manifests, encrypted: the Sealed Secrets controller makes Secrets (bitnami.com/v1alpha1).

    Each is sealed strictly: under another name, in another namespace or in another cluster it is worth nothing.

    Args:
        values: A value for every key of every Secret.
    """

    values: tuple[SealedValue, ...]

    def __post_init__(self) -> None:
        """Refuse a value that is given twice."""
        places = [(value.secret, value.key) for value in self.values]
        for place in places:
            if places.count(place) > 1:
                raise SettingError("SealedSecrets.values", "/".join(place), "It is given twice. Give each key once.")


SecretSource = ExistingSecrets | ExternalSecrets | SealedSecrets
"""Where the values of Secrets come from."""


@dataclass(frozen=True, kw_only=True)
class SecretSettings:
    """A Secret and its keys.

    Args:
        name: Its name, without the application's prefix.
        keys: The keys that it holds. A plain name is a RandomKey.
        source: Where the values come from.
        remote_key: Its name in the store, when it is not ``<prefix>/<name>``.
    """

    name: str
    keys: tuple[str | IssuedKey | RandomKey, ...]
    source: SecretSource
    remote_key: str = ""

    def __post_init__(self) -> None:
        """Check the keys."""
        where = f"SecretSettings.keys of {self.name!r}"
        for key in self.keys:
            if isinstance(key, str):
                data_key(where, key)
        names = self.key_names
        if not names or len(set(names)) != len(names):
            raise SettingError(where, names, "Give each key once, at least one.")
        if self.remote_key:
            one_line(f"SecretSettings.remote_key of {self.name!r}", self.remote_key, "Give its name in the store.")

    @property
    def origins(self) -> tuple[IssuedKey | RandomKey, ...]:
        """The keys, each with where its value comes from."""
        return tuple(RandomKey(key=key) if isinstance(key, str) else key for key in self.keys)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of its keys."""
        return tuple(key if isinstance(key, str) else key.key for key in self.keys)


class Secret(Component):
    """A Secret that workloads may refer to, and the ExternalSecret or SealedSecret that makes it.

    Args:
        scope: A Phase.
        settings: Keys and source.

    Raises:
        SettingError: The source is SealedSecrets, and a value is missing, left over or not sealed; the message has the
            command that seals it.
    """

    def __init__(self, scope: Construct, settings: SecretSettings) -> None:
        super().__init__(scope, f"secret-{settings.name}", settings.name)
        self.settings = settings
        if isinstance(settings.source, SealedSecrets):
            self._sealed(settings.source)

    @property
    def wave(self) -> int:
        """Before everything that reads it."""
        return GROUND_WAVE

    def key(self, key: str) -> SecretKey:
        """The reference to one of its values.

        Raises:
            SettingError: The Secret does not hold this key.
        """
        if key not in self.settings.key_names:
            raise SettingError(
                f"Secret {self.full_name!r}", key, f"Give one of its keys: {', '.join(self.settings.key_names)}."
            )
        return SecretKey(secret=self.full_name, key=key)

    def variable(self, key: str) -> str:
        """The variable of a ``.env`` file that holds a value: ``POSTGRES_PASSWORD`` for ``password`` of ``postgres``.

        Raises:
            SettingError: The Secret does not hold this key.
        """
        return re.sub(r"[^A-Z0-9]", "_", f"{self.name}_{self.key(key).key}".upper())

    @property
    def remote_key(self) -> str:
        """Where its values lie in a store; empty for one that no operator fetches."""
        source = self.settings.source
        if not isinstance(source, ExternalSecrets):
            return ""
        return self.settings.remote_key or "/".join(filter(None, (source.prefix, self.name)))

    def _sealed(self, source: SealedSecrets) -> dict[str, str]:
        """The encrypted values by key."""
        values = {value.key: value for value in source.values if value.secret == self.name}
        for key in values:
            if key not in self.settings.key_names:
                raise SettingError(
                    f"SealedSecrets.values of {self.full_name!r}",
                    key,
                    f"It has no such key: {', '.join(self.settings.key_names)}. Take the value out.",
                )
        for key in self.settings.key_names:
            if key not in values or not values[key].is_sealed:
                raise SettingError(
                    f"SealedSecrets.values of {self.full_name!r}",
                    f"{key}: {'nothing' if key not in values else 'what kubeseal did not seal'}",
                    f"Give what this prints: {self.seal_command(key)}",
                )
        return {key: values[key].ciphertext for key in self.settings.key_names}

    def seal_command(self, key: str) -> str:
        """The command that seals a value. The value comes by standard input: arguments can be seen by others."""
        return (
            f'printf %s "${self.variable(key)}" | kubeseal --raw --scope strict --namespace {self.namespace} '
            f"--name {self.full_name} --from-file=/dev/stdin"
        )

    def manifests(self) -> list[Manifest]:
        """The ExternalSecret or the SealedSecret, or nothing where the Secret exists already."""
        source = self.settings.source
        metadata = ApiObjectMetadata(name=self.full_name, namespace=self.namespace, labels=self.labels())
        if isinstance(source, ExistingSecrets):
            return []
        if isinstance(source, SealedSecrets):
            return [
                bitnami.SealedSecret.manifest(
                    metadata=metadata,
                    spec=bitnami.SealedSecretSpec(
                        encrypted_data=self._sealed(source),
                        template=bitnami.SealedSecretSpecTemplate(
                            type="Opaque",
                            metadata=bitnami.SealedSecretSpecTemplateMetadata(
                                name=self.full_name, namespace=self.namespace, labels=self.labels()
                            ),
                        ),
                    ),
                )
            ]
        # What the API server would add is written out, so that ArgoCD sees no difference with any way to compare.
        reference = external_secrets.ExternalSecretSpecDataRemoteRef
        kinds = external_secrets.ExternalSecretSpecSecretStoreRefKind
        return [
            external_secrets.ExternalSecret.manifest(
                metadata=metadata,
                spec=external_secrets.ExternalSecretSpec(
                    refresh_interval=source.duration,
                    secret_store_ref=external_secrets.ExternalSecretSpecSecretStoreRef(
                        name=source.store,
                        kind=kinds.CLUSTER_SECRET_STORE
                        if source.store_kind == "ClusterSecretStore"
                        else kinds.SECRET_STORE,
                    ),
                    target=external_secrets.ExternalSecretSpecTarget(
                        name=self.full_name,
                        # The Secret goes with this object, and stays when the store is empty or away.
                        creation_policy=external_secrets.ExternalSecretSpecTargetCreationPolicy.OWNER,
                        deletion_policy=external_secrets.ExternalSecretSpecTargetDeletionPolicy.RETAIN,
                    ),
                    data=[
                        external_secrets.ExternalSecretSpecData(
                            secret_key=key,
                            remote_ref=reference(
                                key=self.remote_key,
                                property=key,
                                conversion_strategy=external_secrets.ExternalSecretSpecDataRemoteRefConversionStrategy.DEFAULT,
                                decoding_strategy=external_secrets.ExternalSecretSpecDataRemoteRefDecodingStrategy.NONE,
                                metadata_policy=external_secrets.ExternalSecretSpecDataRemoteRefMetadataPolicy.NONE,
                            ),
                        )
                        for key in self.settings.key_names
                    ],
                ),
            )
        ]


def secret_entries(application: ApplicationScope) -> tuple[SecretEntry, ...]:
    """Every key of every Secret: where its value comes from, its variable of a ``.env`` file, and who reads it."""
    readers: dict[SecretKey, dict[str, None]] = {}
    held = {secret.full_name: secret.settings.key_names for secret in application.find_all(Secret)}
    for pod in application.find_all(Pod):
        for container in (*pod.containers, *pod.init_containers):
            for variable in container.variables:
                if isinstance(variable.value, SecretKey):
                    readers.setdefault(variable.value, {})[pod.name] = None
        for name, keys in (shown for volume in pod.volumes for shown in volume.secrets):
            for key in keys or held.get(name, ()):
                readers.setdefault(SecretKey(secret=name, key=key), {})[pod.name] = None
    return tuple(
        SecretEntry(
            reference=(reference := secret.key(origin.key)),
            origin=origin,
            variable=secret.variable(origin.key),
            readers=tuple(readers.get(reference, ())),
        )
        for secret in application.find_all(Secret)
        for origin in secret.settings.origins
    )
