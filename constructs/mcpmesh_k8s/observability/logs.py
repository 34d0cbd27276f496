"""This module is the choice of what becomes of an application's logs."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

from constructs import Construct

from mcpmesh_k8s.access import NewSecret
from mcpmesh_k8s.kubernetes import (
    External,
    Internet,
    IssuedKey,
    Peer,
    SettingError,
    Target,
    dataclass,
)

from ._ranks import ranked
from .alloy import Alloy, AlloySettings, LogDestination, require_sender
from .loki import Loki, LokiSettings


class LogsSettings(Protocol):
    """The settings of what becomes of the logs, of any kind."""

    def create(self, scope: Construct, secret: NewSecret) -> Loki | None:
        """Make what collects them.

        Args:
            scope: A Phase, for what it runs.
            secret: Makes the Secret that it reads.

        Returns:
            The Loki that can be asked, where one runs here.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class InClusterLoki:
    """Loki in the application's namespace, and Alloy, which brings it the lines of all pods.

    Args:
        loki: The store.
        alloy: What collects.
        priority_class: The name of a PriorityClass of the application for both; each may name another.
    """

    loki: LokiSettings = LokiSettings()
    alloy: AlloySettings = AlloySettings()
    priority_class: str = ""

    def create(self, scope: Construct, secret: NewSecret) -> Loki:
        """Loki, and what brings it lines."""
        loki = Loki(scope, ranked(self.loki, self.priority_class))
        destination = LogDestination(url=loki.push_url, reached=Target(workload=loki))
        Alloy(scope, ranked(self.alloy, self.priority_class), destination)
        return loki


@dataclass(frozen=True, kw_only=True)
class ShippedLogs:
    """Alloy alone, which sends the lines of all pods to an address outside: a Loki of others, Grafana Cloud.

    Lines carry the namespace, too. Whose logs they are is shown by a password, the key ``password`` of the Secret of
    Alloy's name.

    Args:
        url: The address that takes lines as Loki does, by HTTPS: ``https://logs.example.com/loki/api/v1/push``.
        peer: Where it is, as a policy sees it.
        username: The name that goes with the password. Unless given, the password is sent as a bearer token.
        tenant: The tenant whose logs they are, ``X-Scope-OrgID``; none unless given.
        alloy: What collects.
        priority_class: The name of a PriorityClass of the application.
    """

    url: str
    peer: Peer = Internet()
    username: str = ""
    tenant: str = ""
    alloy: AlloySettings = AlloySettings()
    priority_class: str = ""

    def __post_init__(self) -> None:
        """Refuse an address that would show the password on the way, or in what is rendered."""
        instead = "Give an address without a password, such as 'https://logs.example.com/loki/api/v1/push'."
        try:
            url = urlsplit(self.url)
            port = url.port
        except ValueError:
            raise SettingError("ShippedLogs.url", self.url, instead) from None
        sound = url.scheme == "https" and url.hostname and "@" not in url.netloc and port != 0
        if not sound or not self.url.isprintable() or " " in self.url:
            raise SettingError("ShippedLogs.url", self.url, instead)
        require_sender("ShippedLogs", self.username, self.tenant)

    def create(self, scope: Construct, secret: NewSecret) -> None:
        """Alloy, with the Secret that it signs in by."""
        alloy, url = ranked(self.alloy, self.priority_class), urlsplit(self.url)
        host = url.hostname or ""
        destination = LogDestination(
            url=self.url,
            reached=External(name="store of logs", hosts=(host,), port=url.port or 443, peer=self.peer),
            username=self.username,
            secret=secret(alloy.name, IssuedKey(key="password", issued_by=f"Whoever takes the logs at {host}")),
            tenant=self.tenant,
            namespace_label=True,
        )
        Alloy(scope, alloy, destination)


@dataclass(frozen=True, kw_only=True)
class NoLogs:
    """Nothing of ours collects them: the nodes' own agents do, or they are read by ``kubectl logs`` alone."""

    def create(self, scope: Construct, secret: NewSecret) -> None:
        """Nothing."""
