"""This module is environment variables: literal values, and values that come from a Secret."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .api import k8s
from .errors import SettingError
from .values import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIALS?)$", re.I)
_INLINE_PASSWORD = re.compile(r"://[^/@\s]*:(?!\$\()[^/@\s]+@")
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

    def __str__(self) -> str:
        return f"<{self.secret}/{self.key}>"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """An environment variable of a container.

    Args:
        name: Its name.
        value: A literal, in which ``$(OTHER)`` stands for a variable given before it, or a key of a Secret.

    Raises:
        SettingError: The name is not one, or a literal looks like a secret.
    """

    name: str
    value: str | SecretKey

    def __post_init__(self) -> None:
        """Refuse a malformed name and a literal secret."""
        if not _NAME.fullmatch(self.name):
            raise SettingError("Variable.name", self.name, "Give letters, digits and '_', no digit first.")
        if isinstance(self.value, str) and secret_literal(self.name, self.value):
            raise SettingError(
                f"Variable.value of {self.name}",
                "(not shown)",
                "A literal secret would end in git. Give a key of a Secret: secret.key('password').",
            )

    def render(self) -> k8s.EnvVar:
        """The variable as the API has it."""
        if isinstance(self.value, str):
            return k8s.EnvVar(name=self.name, value=self.value)
        reference = k8s.SecretKeySelector(name=self.value.secret, key=self.value.key)
        return k8s.EnvVar(name=self.name, value_from=k8s.EnvVarSource(secret_key_ref=reference))

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


def variables(values: Mapping[str, str | SecretKey]) -> tuple[Variable, ...]:
    """Variables by name, in the order given: ``variables({"LOG_LEVEL": "INFO"})``."""
    return tuple(Variable(name=name, value=value) for name, value in values.items())
