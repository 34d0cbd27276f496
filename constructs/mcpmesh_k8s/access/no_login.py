"""This module is the login of what is for everyone: there is none."""

from __future__ import annotations

from constructs import Construct

from mcpmesh_k8s.kubernetes import Workload, dataclass

from .login import Login, NewSecret


@dataclass(frozen=True, kw_only=True)
class NoLogin:
    """Nobody signs in: for a public API, whose routes are all ``Audience.PUBLIC``. The gateway refuses any other.

    It is settings and login in one: nothing runs for it. An API that asks for tokens of its own is told them with
    ``Route(authorization=True)``; any other header, such as ``X-Api-Key``, is passed on in any case. What browsers send
    from pages of another site is refused, as with every login, unless it only reads.
    """

    def create(self, scope: Construct, secret: NewSecret) -> Login:
        """Itself."""
        del scope, secret
        return self

    @property
    def provider(self) -> str:
        """Nobody vouches."""
        return "none"

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Nobody is asked."""
        return ()

    @property
    def administrators(self) -> tuple[str, ...]:
        """Nobody."""
        return ()

    @property
    def vouching(self) -> None:
        """Nobody is known."""
        return None

    @property
    def pages(self) -> None:
        """It has none."""
        return None

    def check(self, *, host: str, https: bool) -> None:
        """What is for everyone may be anywhere: what is served, the gateway looks at."""
        del host, https
