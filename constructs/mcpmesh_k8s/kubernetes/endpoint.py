"""This module is network ports: stated once, used by container, Service, probes, policies and clients."""

from __future__ import annotations

import re

from .errors import SettingError
from .names import dns_label
from .platforms import bracketed
from .transit import TlsClient
from .values import dataclass


def port_number(where: str, number: int) -> int:
    """Return the number when it is a port, else raise a SettingError."""
    if not 1 <= number <= 65535:
        raise SettingError(where, number, "Give a port from 1 to 65535.")
    return number


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port that a workload serves.

    Args:
        name: Its name in the container and the Service, at most 15 characters.
        number: The Service's port: what clients dial.
        container: The port the process listens on; the same number unless given. A process without
            privileges cannot listen below 1024.
        scheme: The URL scheme clients use, such as ``http`` or ``redis``.
        tls: What a client must speak that dials it, where it speaks TLS; anything unless given.
    """

    name: str = "http"
    number: int
    container: int = 0
    scheme: str = "http"
    tls: TlsClient | None = None

    def __post_init__(self) -> None:
        """Check name and numbers; the container's port defaults to the Service's."""
        dns_label("Port.name", self.name, 15)
        if "--" in self.name or not re.search("[a-z]", self.name):
            raise SettingError("Port.name", self.name, "Give one with a letter in it, and no two dashes in a row.")
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*", self.scheme):
            raise SettingError("Port.scheme", self.scheme, "Give what a URL begins with, such as 'http'.")
        port_number(f"Port.number of {self.name!r}", self.number)
        if self.container == 0:
            object.__setattr__(self, "container", self.number)
        port_number(f"Port.container of {self.name!r}", self.container)
        if self.container < 1024:
            raise SettingError(
                f"Port.container of {self.name!r}",
                self.container,
                "A process without privileges cannot listen there: give 1024 or more, and keep number as it is.",
            )


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a client finds a server: scheme, host and port."""

    scheme: str
    host: str
    port: int

    def __post_init__(self) -> None:
        """Check the port."""
        port_number(f"Endpoint.port of {self.host}", self.port)

    @property
    def authority(self) -> str:
        """``host:port``, as many clients want it; an address of IPv6 is in brackets."""
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def url(self) -> str:
        """``scheme://host:port``."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return self.url
