"""This module is login: what the gateway asks of whoever vouches for people, of whatever kind they are.

A kind of login is one file beside this one: its settings, which are a `LoginSettings`, and what they create, which is
a `Login`. The gateway and the application know no kind.
"""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

from constructs import Construct

from mcpmesh_k8s.kubernetes import IssuedKey, RandomKey, Secret, SettingError, Workload, dataclass

from .routes import RESERVED, Audience, Route

LOGIN_PATH = RESERVED[1]
"""No application has a path below it, whatever its login: an environment may get another kind."""

LOGIN_COOKIE = "__Host-login"
"""How the names of every login's cookies begin: no service gets one, and none may set one. The prefix ``__Host-`` makes
browsers refuse a cookie without TLS, for another path, or from a subdomain."""

LONGEST_MEMORY = 60
"""For how many seconds at most the gateway may take a login's word without asking again."""

EMAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Someone who uses the application.

    Args:
        email: The address: it decides who is an administrator, and services are told it.
        name: The name that services are told.
    """

    email: str
    name: str

    def __post_init__(self) -> None:
        """Refuse what is no address, and a name that no page should show."""
        kind = type(self).__name__
        if not EMAIL.fullmatch(self.email):
            raise SettingError(f"{kind}.email", self.email, "Give an address, such as 'dev@example.com'.")
        if not re.fullmatch(r"[\w .'-]+", self.name):
            raise SettingError(f"{kind}.name", self.name, "Give letters, digits, spaces and '.-'.")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the gateway asks a login for each request: whose cookies are these?

    It is a GET request with the cookies of the person, and `X-Forwarded-Host`, `-Proto` and `-For`. The answer 202
    vouches for whom its headers name; 401 and 400 are nobody, 403 is somebody who may not come in. Any other answer
    lets nobody in, and so does none within 5 seconds.

    Args:
        to: The workload that is asked, on its main port.
        path: The path that is asked for.
        email: The header of the answer that holds the person's address.
        subject: The header that holds what the provider calls them; they are called by the address when there is none.
        name: The header that holds their name; as above.
        tries: How often another pod is tried when one fails or hangs: one that stops gets requests for a moment.
        remembered_seconds: For how long the gateway remembers whom the login vouched for, by a digest of the cookies,
            and does not ask again: 60 at most. So much longer a session may go on that was just ended. With 0 it asks
            about each request.
    """

    to: Workload
    path: str
    email: str
    subject: str
    name: str
    tries: int = 3
    remembered_seconds: int = 5

    def __post_init__(self) -> None:
        """Refuse what would be no request, or no header."""
        if not re.fullmatch(r"/[A-Za-z0-9._/-]*", self.path):
            raise SettingError("Question.path", self.path, "Give a path, such as '/auth'.")
        for header in (self.email, self.subject, self.name):
            if not re.fullmatch(r"[A-Za-z0-9-]+", header):
                raise SettingError("Question", header, "Give the name of a header, such as 'X-Auth-Request-Email'.")
        if self.tries < 0:
            raise SettingError("Question.tries", self.tries, "Give 0 or more.")
        if not 0 <= self.remembered_seconds <= LONGEST_MEMORY:
            raise SettingError("Question.remembered_seconds", self.remembered_seconds, f"Give 0 to {LONGEST_MEMORY}.")


@dataclass(frozen=True, kw_only=True)
class LoginPages:
    """The pages of a login itself, which people reach without being signed in.

    Args:
        to: The workload that serves them, on its main port.
        paths: The paths that browsers need, each exact, or a prefix that ends with ``/``. All lie below ``/oauth2/``,
            where nothing else is served.
        start: Where people are sent to sign in. The parameter ``rd`` is the page that they come back to.
        callback: Which of the paths the provider sends people back to. Where it ends in an error, the gateway shows a
            page that lets them try again.
        content_security_policy: What a browser may load for them.
        timeout_seconds: How long an answer may be silent.
    """

    to: Workload
    paths: tuple[str, ...]
    start: str
    callback: str
    content_security_policy: str
    timeout_seconds: int = 30

    def __post_init__(self) -> None:
        """Refuse paths that an application may have, too."""
        for path in (*self.paths, self.start):
            if not path.startswith(LOGIN_PATH):
                raise SettingError("LoginPages.paths", path, f"Give a path below {LOGIN_PATH}.")
        if self.callback not in self.paths:
            raise SettingError("LoginPages.callback", self.callback, f"Give one of {', '.join(self.paths)}.")

    @property
    def routes(self) -> tuple[Route, ...]:
        """Each as the gateway passes it on."""
        return tuple(
            Route(
                path=path,
                to=self.to,
                audience=Audience.PUBLIC,
                timeout_seconds=self.timeout_seconds,
                content_security_policy=self.content_security_policy,
            )
            for path in self.paths
        )


@runtime_checkable
class Login(Protocol):
    """Who vouches for people, of any kind."""

    @property
    def provider(self) -> str:
        """Who vouches, in a word: services are told it beside the person."""
        ...

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """What the gateway must reach."""
        ...

    @property
    def administrators(self) -> tuple[str, ...]:
        """The addresses of those who administrate because of the login."""
        ...

    @property
    def vouching(self) -> Question | Person | None:
        """What the gateway asks about each request; or else who everyone is, or that nobody is known."""
        ...

    @property
    def pages(self) -> LoginPages | None:
        """Its own pages; none where nobody has to sign in."""
        ...

    def check(self, *, host: str, https: bool) -> None:
        """Refuse a gateway that it would not work with, or not be safe with.

        Raises:
            SettingError: It says what the gateway or the login must be given instead.
        """
        ...


@runtime_checkable
class NewSecret(Protocol):
    """How an application makes a Secret: from where its environment keeps the values."""

    def __call__(self, name: str, /, *keys: str | IssuedKey | RandomKey) -> Secret:
        """The Secret of this short name, with these keys."""
        ...


@runtime_checkable
class LoginSettings(Protocol):
    """The settings of a login, of any kind."""

    def create(self, scope: Construct, secret: NewSecret) -> Login:
        """The login that they describe.

        Args:
            scope: A Phase, for what it runs.
            secret: Makes the Secret that it reads.
        """
        ...
