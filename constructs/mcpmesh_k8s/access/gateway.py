"""This module is the gateway: OpenResty in front of everything that people reach, configured from typed routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Availability,
    Compute,
    Container,
    File,
    Files,
    HttpGet,
    Image,
    Port,
    Probes,
    Scratch,
    SettingError,
    Target,
    User,
    Workload,
    WorkloadSettings,
    settings_of,
)

from .login import COOKIE, EMAIL, Login
from .routes import Audience, Route, distinct

USER = User(uid=65534, gid=65534)
"""``nobody``: the image starts as root, and needs nothing of it."""

_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")
_FILES = Path(__file__).with_name("gateway_files")
_LISTEN = 8080
_HEALTH = "/-/healthy"
_ERRORS = "400 403 404 405 413 414 421 429 431 494 500 501 502 503 504 505"
_STREAMED_MB = 8
"""Larger bodies are passed on while they arrive: a few of them would fill the pod's scratch space."""


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """A gateway.

    Args:
        image: The image.
        compute: CPU and memory.
        host: The host name people type. Requests for any other are answered with 421.
        https: Whether people reach the host by HTTPS. A plain request is then sent there, and browsers told to stay.
        administrators: The addresses of those who may use routes for administrators.
        availability: How many pods, how many stay up, where, and how important they are.
        workers: Worker processes. nginx would start one for each core of the node, whatever its limit.
        name: The short name.
    """

    image: Image
    compute: Compute
    host: str
    https: bool = True
    administrators: tuple[str, ...] = ()
    availability: Availability = Availability()
    workers: int = 2
    name: str = "nginx-gateway"

    def __post_init__(self) -> None:
        """Refuse a host or an administrator that cannot be, and a gateway without workers."""
        if not _HOST.fullmatch(self.host):
            raise SettingError("GatewaySettings.host", self.host, "Give a DNS name, such as 'shop.example.com'.")
        for email in self.administrators:
            if not EMAIL.fullmatch(email):
                raise SettingError("GatewaySettings.administrators", email, "Give addresses, such as 'me@example.com'.")
        if self.workers < 1:
            raise SettingError("GatewaySettings.workers", self.workers, "Give 1 or more.")

    @property
    def scheme(self) -> str:
        """How people reach the host."""
        return "https" if self.https else "http"

    @property
    def url(self) -> str:
        """The address that people type, without a path."""
        return f"{self.scheme}://{self.host}"


class Gateway(Workload):
    """OpenResty without privileges: it listens on 8080 behind port 80 of its Service.

    It forgets who a client says it is, asks the login, and tells a service who asks. When the login is away, slow or
    wrong, nobody gets in. Another site's page may read what anyone may, and nothing it asks for is done in the name of
    the person who looks at it. A client may have 100 requests under way at a time.

    Args:
        scope: A Phase.
        settings: Image, host and scale.
        routes: What it passes on, to whom and for whom. It is connected to each of them.
        login: Who vouches for people: an OAuth2Proxy, or on one's own machine a DevIdentity.
    """

    def __init__(self, scope: Construct, settings: GatewaySettings, routes: Sequence[Route], login: Login) -> None:
        self.settings = settings
        self.routes = distinct(routes)
        self.login = login
        login.check(host=settings.host, https=settings.https)
        suffix = settings_of(scope).service_domain
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="gateway",
                availability=settings.availability,
                # Longer than the longest answer, so that a rollout lets requests finish.
                termination_grace_seconds=30 + self.longest_timeout,
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    # The compiled-in error log lies on the read-only root, so it is moved before the file is read.
                    command=("openresty", "-e", "stderr", "-c", "/etc/gateway/nginx.conf", "-g", "daemon off;"),
                    ports=(Port(number=80, container=_LISTEN),),
                    probes=Probes.of(HttpGet(path=_HEALTH)),
                    volumes=(
                        Scratch(size="256Mi"),
                        Files(
                            mount_path="/etc/gateway",
                            files=(
                                File(path="nginx.conf", content=self.configuration(suffix)),
                                File(path="proxy.conf", content=(_FILES / "proxy.conf").read_text(encoding="utf-8")),
                                File(path="gateway.lua", content=(_FILES / "gateway.lua").read_text(encoding="utf-8")),
                            ),
                        ),
                    ),
                    pre_stop_seconds=10,
                ),
            ),
        )
        reached = {to.name: to for to in (*(route.to for route in routes), *login.workloads)}
        # The routes name the services, so the targets' own introductions are not needed.
        self.connects_to(*(Target(workload=to) for to in reached.values()))

    @property
    def longest_timeout(self) -> int:
        """The longest that a route's answer may be silent, in seconds."""
        return max((route.timeout_seconds for route in self.routes), default=60)

    @property
    def largest_body_mb(self) -> int:
        """The largest body that a route takes, in MiB."""
        return max((route.body_mb for route in self.routes), default=1)

    def configuration(self, suffix: str) -> str:
        """``nginx.conf``, given the DNS suffix of Services."""
        values = {
            "WORKERS": str(self.settings.workers),
            "DRAIN": str(self.longest_timeout + 15),
            "LISTEN": str(_LISTEN),
            "HEALTH": _HEALTH,
            "HOST": self.settings.host,
            "ERRORS": _ERRORS,
            "SETTINGS": self._lua_settings(suffix),
            "ZONES": "".join(route.rate.zone(f"route{index}") for index, route in enumerate(self.routes) if route.rate)
            + self.login.zones,
            "LOGIN": self.login.server(suffix),
            "LOCATIONS": "".join(self._location(index, route, suffix) for index, route in enumerate(self.routes)),
        }
        text = (_FILES / "nginx.conf").read_text(encoding="utf-8")
        return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], text)

    def _lua_settings(self, suffix: str) -> str:
        administrators = [email.lower() for email in (*self.settings.administrators, *self.login.administrators)]
        https = str(self.settings.https).lower()
        named = ", ".join(f'["{email}"] = true' for email in administrators)
        who = f"administrators = {{ {named} }}, {self.login.vouching(suffix)}"
        return f'{{ {who}, cookies = {{ "{COOKIE}" }}, https = {https} }}'

    def _location(self, index: int, route: Route, suffix: str) -> str:
        endpoint = route.to.endpoint()
        cookies = "true" if route.cookies else "false"
        lines = [
            f"set $service {route.to.name};",
            "set $identity '';",
            "set $problem '';",
            "set $upstream_authorization '';",
            "set $upstream_cookie '';",
            f"set $passed_upgrade {'$websocket' if route.websocket else repr('')};",
            f"set $passed_connection {'$connection_upgrade' if route.websocket else repr('')};",
            f'set $content_security_policy "{route.content_security_policy}";',
            f'rewrite_by_lua_block {{ gateway.pass("{endpoint.host}.{suffix}", {endpoint.port}, {cookies}) }}',
        ]
        if route.rate:
            lines += [f"limit_req zone=route{index} burst={route.rate.burst} nodelay;", "limit_req_status 429;"]
        if route.audience is not Audience.PUBLIC:
            hand_over = "true" if route.hand_over_identity else "false"
            lines.append(f'access_by_lua_block {{ gateway.authorize("{route.audience.value}", {hand_over}) }}')
        upstream_path = f"{route.upstream_path}$is_args$args" if route.upstream_path else ""
        lines += [
            f"proxy_pass http://service{upstream_path};",
            "include /etc/gateway/proxy.conf;",
            "header_filter_by_lua_block { gateway.keep_login() }",
            f"client_max_body_size {route.body_mb}m;",
            f"proxy_read_timeout {route.timeout_seconds}s;",
            f"proxy_send_timeout {route.timeout_seconds}s;",
        ]
        if not route.buffering:
            lines.append("proxy_buffering off;")
        if route.body_mb > _STREAMED_MB:
            lines.append("proxy_request_buffering off;")
        modifier = "= " if route.exact else ""
        body = "".join(f"            {line}\n" for line in lines)
        return f"\n        location {modifier}{route.path} {{\n{body}        }}\n"
