"""This module is environment variables: literal values, and values that come from a Secret or a ConfigMap."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .api import k8s
from .errors import SettingError
from .names import data_key, dns_subdomain
from .values import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIALS?)$", re.I)
_INLINE_PASSWORD = re.compile(r"://[^/@\s]*:(?!\$\()[^/@\s]+@")
_LONGEST_TEXT = 131_071
"""Most bytes of an argument, and of a variable with name and ``=``: Linux' ``MAX_ARG_STRLEN``, less the zero behind."""

_REFERENCE = re.compile(r"\$\([A-Za-z_][A-Za-z0-9_]*\)")


def secret_literal(name: str, value: str) -> bool:
    """Whether a literal looks like a secret: by the variable's name, or a password inside a URL.

    A value made only of references such as ``$(REDIS_PASSWORD)`` and a path of a mounted file hold none.
    """
    if _INLINE_PASSWORD.search(value):
        return True
    if not value or value.startswith("/"):
        return False
    return bool(_SECRET_NAME.search(name)) and bool(_REFERENCE.sub("", value))


@dataclass(frozen=True, kw_only=True)
class SecretKey:
    """One value in a Secret. ``secret.key(...)`` gives that of a Secret of the application.

    Args:
        secret: The Secret's full name.
        key: The key.
        existing: Whether someone else made the Secret in the application's namespace, such as an operator of databases,
            under a name of theirs. The operator's commands neither make nor rotate it.
    """

    secret: str
    key: str
    existing: bool = False

    def __post_init__(self) -> None:
        """Refuse names that no Secret has."""
        dns_subdomain("SecretKey.secret", self.secret)
        data_key("SecretKey.key", self.key)

    def __str__(self) -> str:
        return f"<{self.secret}/{self.key}>"

    def render(self) -> k8s.EnvVarSource:
        """Where a variable has it from, as the API has it."""
        return k8s.EnvVarSource(secret_key_ref=k8s.SecretKeySelector(name=self.secret, key=self.key))


@dataclass(frozen=True, kw_only=True)
class ConfigMapKey:
    """One value in a ConfigMap that someone else made in the application's namespace.

    A container reads it when it starts: of a later change it learns by the next restart.

    Args:
        config_map: The ConfigMap's full name.
        key: The key. A container does not start while it is not there.
    """

    config_map: str
    key: str

    def __post_init__(self) -> None:
        """Refuse names that no ConfigMap has."""
        dns_subdomain("ConfigMapKey.config_map", self.config_map)
        data_key("ConfigMapKey.key", self.key)

    def __str__(self) -> str:
        return f"<{self.config_map}/{self.key}>"

    def render(self) -> k8s.EnvVarSource:
        """Where a variable has it from, as the API has it."""
        return k8s.EnvVarSource(config_map_key_ref=k8s.ConfigMapKeySelector(name=self.config_map, key=self.key))


def told(where: str, text: str) -> None:
    """Refuse what no program can be told by a variable or an argument: its container would never start."""
    if "\0" in text:
        raise SettingError(where, text, "Leave the NUL out: it would end there.")
    size = len(text.encode(errors="replace"))
    if size > _LONGEST_TEXT:
        raise SettingError(
            where, f"{size} bytes", f"Linux takes {_LONGEST_TEXT} at most. Give it as a file: Files(…), or a Secret."
        )


def variable_name(where: str, name: str) -> str:
    """Return the name when a variable can have it, else raise a SettingError."""
    if not _NAME.fullmatch(name):
        raise SettingError(where, name, "Give letters, digits and '_', no digit first.")
    return name


@dataclass(frozen=True, kw_only=True)
class Variable:
    """An environment variable of a container.

    Args:
        name: Its name.
        value: A literal, in which ``$(OTHER)`` stands for a variable given before it, a key of a Secret, or a key of a
            ConfigMap of others.

    Raises:
        SettingError: The name is not one, or a literal looks like a secret.
    """

    name: str
    value: str | SecretKey | ConfigMapKey

    def __post_init__(self) -> None:
        """Refuse a malformed name and a literal secret."""
        variable_name("Variable.name", self.name)
        if isinstance(self.value, str) and secret_literal(self.name, self.value):
            raise SettingError(
                f"Variable.value of {self.name}",
                "(not shown)",
                "A literal secret would end in git. Give a key of a Secret: secret.key('password').",
            )
        told(f"Variable.value of {self.name}", f"{self.name}={self.value}" if isinstance(self.value, str) else "")

    def render(self) -> k8s.EnvVar:
        """The variable as the API has it."""
        if isinstance(self.value, str):
            return k8s.EnvVar(name=self.name, value=self.value)
        return k8s.EnvVar(name=self.name, value_from=self.value.render())

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


def variables(values: Mapping[str, str | SecretKey | ConfigMapKey]) -> tuple[Variable, ...]:
    """Variables by name, in the order given: ``variables({"LOG_LEVEL": "INFO"})``."""
    return tuple(Variable(name=name, value=value) for name, value in values.items())
