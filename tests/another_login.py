"""This module is another kind of login, as a library's user writes one: one file, and nothing else knows it.

A portal of the house vouches. It is asked at a path of its own, and answers with headers of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcpmesh_k8s import (
    Compute,
    Container,
    Image,
    Login,
    LoginPages,
    NewSecret,
    NoProbes,
    Person,
    Port,
    Question,
    SettingError,
    User,
    Workload,
    WorkloadSettings,
    variables,
)

if TYPE_CHECKING:
    from constructs import Construct

HEADERS = ("Remote-Email", "Remote-User", "Remote-Name")


@dataclass(frozen=True, kw_only=True)
class PortalSettings:
    """The portal of the house.

    Args:
        image: The image.
        administrator: Who administrates, whatever the gateway says.
    """

    image: Image
    administrator: str

    def create(self, scope: Construct, secret: NewSecret) -> Login:
        """The portal, with a Secret of its own."""
        key = secret("portal", "session").key("session")
        container = Container(
            name="portal",
            image=self.image,
            user=User(uid=1000, gid=1000),
            compute=Compute(cpu="100m", memory="64Mi"),
            ports=(Port(number=9091),),
            variables=variables({"SESSION_KEY": key}),
            probes=NoProbes(because="No test starts it."),
        )
        runs = Workload(scope, WorkloadSettings(name="portal", component="login", container=container))
        email, subject, name = HEADERS
        return AnsweredBy(
            vouching=Question(to=runs, path="/api/verify", email=email, subject=subject, name=name, tries=0),
            pages=LoginPages(
                to=runs,
                paths=("/oauth2/portal", "/oauth2/assets/"),
                start="/oauth2/portal",
                callback="/oauth2/portal",
                content_security_policy="default-src 'self'",
            ),
            administrators=(self.administrator,),
        )


@dataclass(frozen=True, kw_only=True)
class AnsweredBy:
    """A login made of what the gateway asks for.

    Args:
        vouching: What is asked, or who everyone is.
        pages: Its own pages.
        administrators: Who administrates because of it.
        provider: What services are told.
    """

    vouching: Question | Person
    pages: LoginPages | None = None
    administrators: tuple[str, ...] = ()
    provider: str = "portal"

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Whom it asks, and who serves its pages."""
        asked = self.vouching.to if isinstance(self.vouching, Question) else None
        return tuple({to.name: to for to in (asked, self.pages.to if self.pages else None) if to}.values())

    def check(self, *, host: str, https: bool) -> None:
        """Refuse plain HTTP."""
        if not https:
            raise SettingError("GatewaySettings.https", https, f"The portal of {host} needs HTTPS. Give True.")
