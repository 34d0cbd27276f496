"""This module is the gateway: OpenResty in front of everything that people reach, configured from typed routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
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
    WorkloadOptions,
    WorkloadSettings,
    settings_of,
)

from ._configuration import Configuration, read
from .login import EMAIL, Login
from .routes import Limits, Route, distinct

USER = User(uid=65534, gid=65534)
"""``nobody``: the image starts as root, and needs nothing of it."""

_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")
_LISTEN = 8080
_METRICS = 9145
_HEALTH = "/-/healthy"


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(WorkloadOptions):
    """A gateway.

    Args:
        image: The image.
        compute: CPU and memory.
        host: The host name people type. Requests for any other are answered with 421.
        https: Whether people reach the host by HTTPS. A plain request is then sent there, and browsers told to stay.
        administrators: The addresses of those who may use routes for administrators.
        limits: What one client may do, beside the rate of each route.
        workers: Worker processes. nginx would start one for each core of the node, whatever its limit.
        name: The short name.
    """

    image: Image
    compute: Compute
    host: str
    https: bool = True
    administrators: tuple[str, ...] = ()
    limits: Limits = Limits()
    workers: int = 2
    name: str = "nginx-gateway"

    def __post_init__(self) -> None:
        """Refuse a host or an administrator that cannot be, and a gateway without workers."""
        super().__post_init__()
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

    On 9145, a port of its own, it tells Prometheus what it has counted, at ``/metrics``. Nobody gets there unless a
    connection says so: ``Target(workload=gateway, port="metrics")``.

    It forgets who a client says it is, asks the login, and tells a service who asks. When the login is away, slow or
    wrong, nobody gets in. Another site's page may read what anyone may, and nothing it asks for is done in the name of
    the person who looks at it.

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
        configuration = Configuration(
            host=settings.host,
            https=settings.https,
            administrators=(*settings.administrators, *login.administrators),
            limits=settings.limits,
            workers=settings.workers,
            drain_seconds=self.longest_timeout + 15,
            listen=_LISTEN,
            metrics=_METRICS,
            platform=settings_of(scope).platform,
            health=_HEALTH,
            routes=self.routes,
            login=login,
            service_domain=settings_of(scope).service_domain,
        )
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="gateway",
                availability=settings.availability,
                extras=settings.extras,
                # Longer than the longest answer, so that a rollout lets requests finish.
                termination_grace_seconds=30 + self.longest_timeout,
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    # The compiled-in error log lies on the read-only root, so it is moved before the file is read.
                    command=("openresty", "-e", "stderr", "-c", "/etc/gateway/nginx.conf", "-g", "daemon off;"),
                    ports=(Port(number=80, container=_LISTEN), Port(name="metrics", number=_METRICS)),
                    probes=Probes.of(HttpGet(path=_HEALTH)),
                    volumes=(
                        Scratch(size="256Mi"),
                        Files(
                            mount_path="/etc/gateway",
                            files=(
                                File(path="nginx.conf", content=configuration.nginx_conf),
                                File(path="location.conf", content=read("location.conf")),
                                File(path="gateway.json", content=configuration.gateway_json),
                                File(path="gateway.lua", content=read("gateway.lua")),
                                File(path="metrics.lua", content=read("metrics.lua")),
                            ),
                        ),
                    ),
                    pre_stop_seconds=10,
                ),
            ),
        )
        reached = {to.name: to for to in (*(route.to for route in routes), *login.workloads)}
        for to in reached.values():
            # Links lead below the shortest prefix: the others are below it, or are no place of its own.
            if paths := [route.path for route in self.routes if route.to is to and not route.exact]:
                to.serve_at(f"{settings.url}{min(paths, key=len)}")
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
