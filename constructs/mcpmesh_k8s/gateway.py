"""This module is the gateway: OpenResty in front of everything that people reach, with routes as typed values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .container import Container, User
from .endpoint import Port
from .errors import SettingError
from .image import Image
from .network import Target
from .probe import HttpGet, Probes
from .quantity import Compute
from .storage import File, Files, Scratch
from .workload import Replicas, Workload, WorkloadSettings

if TYPE_CHECKING:
    from constructs import Construct

USER = User(uid=65534, gid=65534)
"""``nobody``: the image starts as root, and needs nothing of it."""

_PATH = re.compile(r"/[A-Za-z0-9._/-]*")
_LISTEN = 8080
_HEALTH = "/-/healthy"
_STREAMED_MB = 8
"""Larger bodies are passed on while they arrive: a few of them would fill the pod's scratch space."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """A path that the gateway passes on.

    Args:
        path: A prefix that ends with ``/``, or one exact path.
        to: The workload that answers; its first port is used.
        upstream_path: What the path becomes on the way; the same unless given. Only for an exact path.
        body_mb: The largest request body, in MiB.
        timeout_seconds: How long the answer may be silent.
        buffering: Whether the answer is collected before it is passed on; off for streams.
        websocket: Whether a connection may be upgraded.
    """

    path: str
    to: Workload
    upstream_path: str = ""
    body_mb: int = 1
    timeout_seconds: int = 60
    buffering: bool = True
    websocket: bool = False

    def __post_init__(self) -> None:
        """Refuse what nginx would refuse or misread."""
        where = f"Route {self.path!r}"
        if not _PATH.fullmatch(self.path):
            raise SettingError("Route.path", self.path, "Give an absolute path of letters, digits and '._-/'.")
        if self.upstream_path and (self.path.endswith("/") or not _PATH.fullmatch(self.upstream_path)):
            raise SettingError(f"{where} upstream_path", self.upstream_path, "Give it for one exact path, as a path.")
        for field in ("body_mb", "timeout_seconds"):
            if getattr(self, field) < 1:
                raise SettingError(f"{where} {field}", getattr(self, field), "Give 1 or more.")

    @property
    def exact(self) -> bool:
        """Whether it is one path and not all below it."""
        return not self.path.endswith("/")


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """A gateway.

    Args:
        image: The image.
        compute: CPU and memory.
        scale: How many pods.
        min_available: How many must stay up while nodes are drained; none unless given.
        spread: Whether the pods are spread over nodes and zones.
        workers: Worker processes. nginx would start one for each core of the node, whatever its limit.
        name: The short name.
        priority_class: The name of a PriorityClass of the application.
    """

    image: Image
    compute: Compute
    scale: Replicas = Replicas()
    min_available: int = 0
    spread: bool = False
    workers: int = 2
    name: str = "nginx-gateway"
    priority_class: str = ""

    def __post_init__(self) -> None:
        """Refuse a gateway without workers."""
        if self.workers < 1:
            raise SettingError("GatewaySettings.workers", self.workers, "Give 1 or more.")


class Gateway(Workload):
    """OpenResty without privileges: it listens on 8080 behind port 80 of its Service.

    Args:
        scope: A Phase.
        settings: Image and scale.
        routes: What it passes on, and to whom. It is connected to each of them.
    """

    def __init__(self, scope: Construct, settings: GatewaySettings, routes: Sequence[Route]) -> None:
        from .application import Application

        self.settings = settings
        self.routes = tuple(routes)
        paths = [route.path for route in routes]
        for path in paths:
            if paths.count(path) > 1:
                raise SettingError("Gateway routes", path, "Two routes have this path. Give each its own.")
        application = Application.place_of(scope)[0].application.settings
        suffix = f"{application.namespace}.svc.{application.cluster_domain}"
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="gateway",
                scale=settings.scale,
                min_available=settings.min_available,
                spread=settings.spread,
                priority_class=settings.priority_class,
                # Longer than the longest answer, so that a rollout lets requests finish.
                termination_grace_seconds=30 + max((route.timeout_seconds for route in routes), default=0),
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    # The compiled-in error log lies on the read-only root, so it is moved before the file is read.
                    command=(
                        "openresty",
                        "-e",
                        "stderr",
                        "-c",
                        "/etc/gateway/nginx.conf",
                        "-g",
                        "daemon off;",
                    ),
                    ports=(Port(number=80, container=_LISTEN),),
                    probes=Probes.of(HttpGet(path=_HEALTH)),
                    volumes=(
                        Scratch(size="256Mi"),
                        Files(
                            mount_path="/etc/gateway",
                            files=(File(path="nginx.conf", content=configuration(settings, self.routes, suffix)),),
                        ),
                    ),
                    pre_stop_seconds=10,
                ),
            ),
        )
        reached = {route.to.name: route.to for route in routes}
        # The routes name the upstreams, so the targets' own introductions are not needed.
        self.connects_to(*(Target(workload=to, port=to.ports[0].name) for to in reached.values()))


_CONFIGURATION = """\
worker_processes {workers};
pid /tmp/nginx.pid;
error_log stderr warn;

events {{
    worker_connections 1024;
}}

http {{
    client_body_temp_path /tmp/client_body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;

    access_log /dev/stdout;
    server_tokens off;
    default_type application/octet-stream;
    # A path without its last '/' is redirected on the host and port that the client sees, which are not ours.
    absolute_redirect off;

    # The pod's own resolv.conf: no address is written down, and a Service that appears later is found.
    resolver local=on valid=10s ipv6=off;
    resolver_timeout 5s;

    map $http_upgrade $connection_upgrade {{
        default upgrade;
        '' '';
    }}

    # TLS ends before the gateway, at the Ingress, which says so.
    map $http_x_forwarded_proto $forwarded_proto {{
        default $scheme;
        https https;
    }}

    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $forwarded_proto;
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header Connection '';
    proxy_connect_timeout 5s;
    # An answer that its client reads slowly waits in memory, and not in the pod's scratch space.
    proxy_max_temp_file_size 0;

    server {{
        listen {listen};

        location = {health} {{
            access_log off;
            default_type text/plain;
            return 200 'healthy\\n';
        }}
{locations}    }}
}}
"""


def configuration(settings: GatewaySettings, routes: Sequence[Route], suffix: str) -> str:
    """``nginx.conf`` for the routes, given the DNS suffix of the application's Services."""
    return _CONFIGURATION.format(
        workers=settings.workers,
        listen=_LISTEN,
        health=_HEALTH,
        locations="".join(_location(route, suffix) for route in routes),
    )


def _location(route: Route, suffix: str) -> str:
    endpoint = route.to.endpoint(route.to.ports[0].name)
    lines = [
        # In a variable, so that nginx looks the name up while it serves and starts without the upstream.
        f"set $upstream {endpoint.host}.{suffix}:{endpoint.port};",
        f"proxy_pass http://$upstream{route.upstream_path + '$is_args$args' if route.upstream_path else ''};",
        f"client_max_body_size {route.body_mb}m;",
        f"proxy_read_timeout {route.timeout_seconds}s;",
        f"proxy_send_timeout {route.timeout_seconds}s;",
    ]
    if not route.buffering:
        lines.append("proxy_buffering off;")
    if route.body_mb > _STREAMED_MB:
        lines.append("proxy_request_buffering off;")
    if route.websocket:
        lines += [
            "proxy_set_header Host $host;",
            "proxy_set_header X-Real-IP $remote_addr;",
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "proxy_set_header X-Forwarded-Proto $forwarded_proto;",
            "proxy_set_header X-Request-ID $request_id;",
            "proxy_set_header Upgrade $http_upgrade;",
            "proxy_set_header Connection $connection_upgrade;",
        ]
    modifier = "= " if route.exact else ""
    body = "".join(f"            {line}\n" for line in lines)
    return f"\n        location {modifier}{route.path} {{\n{body}        }}\n"
