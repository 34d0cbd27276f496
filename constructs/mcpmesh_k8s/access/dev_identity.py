"""This module is the login of one's own machine: nobody is asked, and everyone is the developer."""

from __future__ import annotations

from constructs import Construct

from mcpmesh_k8s.kubernetes import SettingError, Workload, dataclass

from .login import Login, NewSecret, Person

OWN_MACHINE = (".local", ".localhost", ".test")
"""How hosts end that only a machine of one's own resolves."""


@dataclass(frozen=True, kw_only=True)
class DevIdentity(Person):
    """Everyone is this person: for a cluster on one's own machine, where no provider is asked.

    It is settings and login in one: nothing runs for it.

    Args:
        email: The person's address. They are an administrator.
        name: The person's name.
    """

    email: str
    name: str = "Developer"

    def create(self, scope: Construct, secret: NewSecret) -> Login:
        """Itself."""
        del scope, secret
        return self

    @property
    def provider(self) -> str:
        """Nobody vouches: the environment does."""
        return "dev"

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Nobody is asked."""
        return ()

    @property
    def administrators(self) -> tuple[str, ...]:
        """The person."""
        return (self.email,)

    @property
    def vouching(self) -> Person:
        """Who everyone is."""
        return self

    @property
    def pages(self) -> None:
        """It has none."""
        return None

    def check(self, *, host: str, https: bool) -> None:
        """Refuse a gateway that others than oneself can reach."""
        if https or not host.endswith(OWN_MACHINE):
            raise SettingError(
                "Gateway login",
                self,
                f"It lets everyone in at {host}. Give an OAuth2Proxy, or plain HTTP on a host that ends with "
                f"{', '.join(OWN_MACHINE)}.",
            )
