"""This module is Secrets: workloads name them, and no value is ever rendered.

Where the values come from is the environment's choice: Secrets that exist in the cluster, or ExternalSecrets
that an operator fills from a store.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from ._k8s import ApiObjectMetadata, external_secrets
from .component import Component, Manifest
from .errors import SettingError
from .names import dns_label

if TYPE_CHECKING:
    from constructs import Construct

_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


@dataclass(frozen=True, kw_only=True)
class SecretKey:
    """One value in a Secret, by the Secret's full name and the key."""

    secret: str
    key: str

    def __str__(self) -> str:
        return f"<{self.secret}/{self.key}>"


class KeyForm(Enum):
    """How a made-up value is written. Each form's value is the command that makes one."""

    HEX = "openssl rand -hex 24"
    """48 hexadecimal digits: safe inside URLs."""
    URL_SAFE_BASE64 = "openssl rand -base64 32 | tr -- '+/' '-_'"
    """32 bytes in base64 with ``-`` and ``_``: what oauth2-proxy reads as a key."""


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
        _check_key("RandomKey.key", self.key)


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
        _check_key("IssuedKey.key", self.key)
        if not self.issued_by.strip() or not self.issued_by.isprintable():
            raise SettingError(
                f"IssuedKey.issued_by of {self.key!r}", self.issued_by, "Say who issues it and where, in one line."
            )


def _check_key(where: str, key: str) -> None:
    if not _KEY.fullmatch(key):
        raise SettingError(where, key, "Give letters, digits, '-', '_', '.'.")


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
        prefix: Where the application's secrets lie in the store; a Secret's remote key is ``<prefix>/<name>``.
        refresh_interval: How often the operator looks for a new value.
    """

    store: str
    store_kind: str = "ClusterSecretStore"
    prefix: str
    refresh_interval: str = "1h"

    def __post_init__(self) -> None:
        """Refuse a store that the operator would not find."""
        dns_label("ExternalSecrets.store", self.store)
        if self.store_kind not in ("ClusterSecretStore", "SecretStore"):
            raise SettingError(
                "ExternalSecrets.store_kind", self.store_kind, "Give 'ClusterSecretStore' or 'SecretStore'."
            )
        if not re.fullmatch(r"\d+(s|m|h)", self.refresh_interval):
            raise SettingError("ExternalSecrets.refresh_interval", self.refresh_interval, "Give '30s', '5m' or '1h'.")


SecretSource = ExistingSecrets | ExternalSecrets
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
                _check_key(where, key)
        names = self.key_names
        if not names or len(set(names)) != len(names):
            raise SettingError(where, names, "Give each key once, at least one.")

    @property
    def origins(self) -> tuple[IssuedKey | RandomKey, ...]:
        """The keys, each with where its value comes from."""
        return tuple(RandomKey(key=key) if isinstance(key, str) else key for key in self.keys)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of its keys."""
        return tuple(key if isinstance(key, str) else key.key for key in self.keys)


class Secret(Component):
    """A Secret that workloads may refer to; in an environment with a store, the ExternalSecret that makes it."""

    def __init__(self, scope: Construct, settings: SecretSettings) -> None:
        super().__init__(scope, f"secret-{settings.name}", settings.name)
        self.settings = settings

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
        return self.settings.remote_key or f"{source.prefix}/{self.name}"

    def manifests(self) -> list[Manifest]:
        """The ExternalSecret, or nothing where the Secret exists already."""
        source = self.settings.source
        if isinstance(source, ExistingSecrets):
            return []
        kinds = external_secrets.ExternalSecretSpecSecretStoreRefKind
        remote_key = self.settings.remote_key or f"{source.prefix}/{self.name}"
        return [
            external_secrets.ExternalSecret.manifest(
                metadata=ApiObjectMetadata(name=self.full_name, namespace=self.namespace, labels=self.labels()),
                spec=external_secrets.ExternalSecretSpec(
                    refresh_interval=source.refresh_interval,
                    secret_store_ref=external_secrets.ExternalSecretSpecSecretStoreRef(
                        name=source.store,
                        kind=kinds.CLUSTER_SECRET_STORE
                        if source.store_kind == "ClusterSecretStore"
                        else kinds.SECRET_STORE,
                    ),
                    target=external_secrets.ExternalSecretSpecTarget(name=self.full_name),
                    data=[
                        external_secrets.ExternalSecretSpecData(
                            secret_key=key,
                            remote_ref=external_secrets.ExternalSecretSpecDataRemoteRef(key=remote_key, property=key),
                        )
                        for key in self.settings.key_names
                    ],
                ),
            )
        ]
