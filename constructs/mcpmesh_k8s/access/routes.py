"""This module is the gateway's routes: which path goes to whom, who may use it, and within which limits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mcpmesh_k8s.kubernetes import Choice, SettingError, Workload, dataclass

_PATH = re.compile(r"/[A-Za-z0-9._/-]*")
_LARGEST_BODY = 1024 * 1024
"""In MiB: a tebibyte. nginx takes no number that is much larger."""
USUAL_ANSWER = 60
"""In seconds: what a route waits for unless more is given. It is not said then that anything takes so long."""
_LONGEST_ANSWER = 24 * 60 * 60
"""In seconds: a day. As long a pod of the gateway would wait before it ends."""
RESERVED = ("/-/", "/oauth2/")
"""Paths of the gateway itself and of the login."""


class ContentSecurityPolicy:
    """What a browser may load for the answers of a route: values for `Route.content_security_policy`.

    They are plain texts, as the header of that name has them: a route may be given any other.
    """

    PAGES: Final = (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
        "script-src 'self' 'unsafe-inline'; connect-src 'self'; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'self'"
    )
    """Pages that load from their own host only. Inline scripts are allowed: statically exported pages have them."""

    DATA: Final = "default-src 'none'; frame-ancestors 'none'"
    """Answers that are no pages."""

    GRAFANA: Final = (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    )
    """What Grafana needs: it evaluates scripts of its own, and starts workers from blobs."""


class Audience(Choice):
    """Who may use a route."""

    PUBLIC = "public", "Anyone who reaches the host."
    SIGNED_IN = "signed-in", "Anyone whom the login vouches for."
    ADMINISTRATOR = "administrator", "Those whom the gateway's settings name."


_MOST_REQUESTS = 10**9
"""nginx counts requests in thousandths, and a minute of them."""

_MOST_CONNECTIONS = 65535
"""nginx takes no greater ``limit_conn``."""


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """How many requests one client may make.

    A client is a person, where the login has vouched for one, from wherever they ask. Everyone else is an IPv4 address,
    or the /64 of an IPv6 one.

    Args:
        per_second: Requests a second, on average.
        burst: How many may come at once beyond that. The next is answered with 429.
    """

    per_second: int = 20
    burst: int = 40

    def __post_init__(self) -> None:
        """Refuse a limit that lets nothing through."""
        if not 1 <= self.per_second <= _MOST_REQUESTS or not 0 <= self.burst <= _MOST_REQUESTS:
            raise SettingError(
                "RateLimit",
                (self.per_second, self.burst),
                f"Give 1 a second or more, and no negative burst; at most {_MOST_REQUESTS} of each.",
            )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the gateway lets one client do, beside the rate of each route.

    Args:
        connections: How many requests may be under way at a time. The next is answered with 429.
        sign_in: How many requests for the login's own pages. Signing in takes two, and a whole office may do it at nine
            behind one address.
        head_kb: The longest line of a request's head, in KiB; all cookies are one line. And the longest head of an
            answer. What is longer is answered with 414, 431 or 502, and the log says so. ingress-nginx lets in 8.
    """

    connections: int = 100
    sign_in: RateLimit = RateLimit(per_second=10, burst=200)
    head_kb: int = 8

    def __post_init__(self) -> None:
        """Refuse a limit that lets nothing through."""
        if not 1 <= self.connections <= _MOST_CONNECTIONS:
            raise SettingError("Limits.connections", self.connections, f"Give 1 to {_MOST_CONNECTIONS}.")
        if not 4 <= self.head_kb <= 64:
            raise SettingError("Limits.head_kb", self.head_kb, "Give 4 to 64: a cookie alone may have 4.")


@dataclass(frozen=True, kw_only=True)
class Route:
    """A path that the gateway passes on.

    Args:
        path: A prefix that ends with ``/``, or one exact path.
        to: The workload that answers; its first port is used.
        audience: Who may use it.
        hand_over_identity: Whether the service is told who asks: by headers, where it reads them
            (``WorkloadSettings.identity_headers``), and else by an unsigned bearer token.
        authorization: Whether the service is told the client's own ``Authorization``: for an API that asks for tokens
            or passwords of its own. Only on a public route, and to nobody who believes what a gateway says there.
        cookies: Whether the service has cookies of its own. The login's cookies are never passed on.
        upstream_path: What the path becomes on the way; the same unless given. Only for an exact path.
        body_mb: The largest request body, in MiB.
        timeout_seconds: How long the answer may be silent. Where more than the usual is given, and it is no stream, the
            service's ``termination_grace_seconds`` are compared: a roll-out would cut it.
        rate: How many requests a client may make. A public route may go without: as many as it likes. Any other needs
            one, since each of its requests asks the login, a stranger's too.
        buffering: Whether the answer is collected before it is passed on; off for streams.
        websocket: Whether a connection may be upgraded.
        content_security_policy: What a browser may load for its answers: one of `ContentSecurityPolicy`, or a text
            of your own.
    """

    path: str
    to: Workload
    audience: Audience
    hand_over_identity: bool = False
    authorization: bool = False
    cookies: bool = False
    upstream_path: str = ""
    body_mb: int = 1
    timeout_seconds: int = USUAL_ANSWER
    rate: RateLimit | None = None
    buffering: bool = True
    websocket: bool = False
    content_security_policy: str = ContentSecurityPolicy.PAGES

    def __post_init__(self) -> None:
        """Refuse what nginx would refuse or misread."""
        where = f"Route {self.path!r}"
        if not _PATH.fullmatch(self.path) or "//" in self.path or {".", ".."} & set(self.path.split("/")):
            raise SettingError(
                "Route.path", self.path, "Give an absolute path of letters, digits and '._-/', without '//' or dots."
            )
        if self.upstream_path and (not self.exact or not _PATH.fullmatch(self.upstream_path)):
            raise SettingError(f"{where} upstream_path", self.upstream_path, "Give it for one exact path, as a path.")
        if self.hand_over_identity and self.audience is Audience.PUBLIC:
            raise SettingError(f"{where} hand_over_identity", True, "Nobody is known on a public route.")
        if self.authorization and self.audience is not Audience.PUBLIC:
            raise SettingError(
                f"{where} authorization",
                True,
                "Who signs in at the gateway is known by that. Give Audience.PUBLIC, where the service asks itself.",
            )
        if self.to.ports and self.to.main_port.scheme == "https":
            raise SettingError(
                f"{where} to",
                self.to.full_name,
                "It speaks TLS alone, and the gateway does not speak it to services. Leave the route out, or put an "
                "API service before it.",
            )
        if self.to.ports and self.to.main_port.scheme != "http":
            raise SettingError(
                f"{where} to",
                self.to.full_name,
                f"It speaks {self.to.main_port.scheme}, and a gateway passes on HTTP. Give what serves people.",
            )
        if self.to.administrators_only and self.audience is not Audience.ADMINISTRATOR:
            raise SettingError(
                f"{where} audience", self.audience, f"{self.to.administrators_only} Give Audience.ADMINISTRATOR."
            )
        passed = self.upstream_path or self.path
        for hidden, why in self.to.unshown.items():
            if hidden == passed or (hidden.startswith(passed) and not self.exact):
                raise SettingError(f"{where} path", passed, f"{hidden}: {why} Give one exact path, of another answer.")
        if self.rate is None and self.audience is not Audience.PUBLIC:
            raise SettingError(
                f"{where} rate",
                None,
                "Each of its requests asks the login. Give one, such as RateLimit(per_second=50, burst=200) for pages.",
            )
        for field, value, most in (
            ("body_mb", self.body_mb, _LARGEST_BODY),
            ("timeout_seconds", self.timeout_seconds, _LONGEST_ANSWER),
        ):
            if not 1 <= value <= most:
                raise SettingError(f"{where} {field}", value, f"Give 1 or more, at most {most}.")
        policy = self.content_security_policy
        if not policy.isascii() or not policy.isprintable() or '"' in policy:
            raise SettingError(f"{where} content_security_policy", policy, "Give one line of ASCII without quotes.")

    @property
    def exact(self) -> bool:
        """Whether it is one path and not all below it."""
        return not self.path.endswith("/")


def distinct(routes: Sequence[Route]) -> tuple[Route, ...]:
    """The routes, when each can be reached and none hides another.

    Raises:
        SettingError: Two routes differ only in case or in their last ``/``, or one takes a path of the gateway's own.
    """
    if not routes:
        raise SettingError(
            "Gateway routes", routes, "Nothing would be served. Give at least one Route(path=…, to=…, …)."
        )
    seen: dict[str, str] = {}
    for route in routes:
        plain = route.path.rstrip("/").lower() or "/"
        if plain in seen:
            raise SettingError("Gateway routes", route.path, f"It overlaps {seen[plain]!r}. Give each path once.")
        seen[plain] = route.path
        for reserved in RESERVED:
            if f"{plain}/".startswith(reserved) or plain == reserved.rstrip("/"):
                raise SettingError("Gateway routes", route.path, f"{reserved} is the gateway's own. Give another path.")
    return tuple(routes)
