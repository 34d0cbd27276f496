"""This module is the gateway's files: nginx.conf, with one template of a location, and the settings of its Lua as JSON.

What a route says lies in ``gateway.json``, where any text is safe. ``nginx.conf`` has only what nginx itself must know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from mcpmesh_k8s.kubernetes import Platform, dataclass

from .login import LOGIN_COOKIE, LOGIN_PATH, Login, Question
from .routes import Limits, Route

_FILES = Path(__file__).with_name("gateway_files")
_ERRORS = "400 403 404 405 413 414 421 429 431 500 501 502 503 504 505"
_STREAMED_MB = 8
"""Larger bodies are passed on while they arrive: a few of them would fill the pod's scratch space."""


def read(name: str) -> str:
    """A file of the gateway, as it lies beside this module."""
    return (_FILES / name).read_text(encoding="utf-8")


def quoted(text: str) -> str:
    """A text as nginx reads it between quotes. There is no way to write a ``$`` that is not a variable's."""
    if not text.isprintable() or "$" in text:
        raise ValueError(f"nginx cannot be told {text!r}")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """All that the gateway's files are made of.

    Args:
        host: The host name people type.
        aliases: More host names, which lead there.
        https: Whether people reach it by HTTPS.
        administrators: The addresses of those who may use routes for administrators.
        limits: What one client may do.
        workers: Worker processes.
        drain_seconds: How long a worker that is told to stop goes on serving what it has begun.
        listen: The port that it listens on.
        metrics: The port on which it tells what it has counted.
        platform: Which families of addresses it listens on: on a node without IPv6, nginx would not start with it.
        health: The path that the kubelet asks for.
        routes: What it passes on.
        login: Who vouches for people.
        service_domain: What follows a Service's name in its full DNS name.
    """

    host: str
    aliases: tuple[str, ...]
    https: bool
    administrators: tuple[str, ...]
    limits: Limits
    workers: int
    drain_seconds: int
    listen: int
    metrics: int
    platform: Platform
    health: str
    routes: tuple[Route, ...]
    login: Login
    service_domain: str

    @property
    def pages(self) -> tuple[Route, ...]:
        """The login's own pages, with the rate at which people may sign in."""
        pages = self.login.pages
        return tuple(replace(page, rate=self.limits.sign_in) for page in pages.routes) if pages else ()

    @property
    def nginx_conf(self) -> str:
        """``nginx.conf``."""
        callback = self.login.pages.callback if self.login.pages else ""
        locations = [location(page, _TRY_AGAIN if page.path == callback else "") for page in self.pages]
        locations += [location(route) for route in self.routes]
        if self.pages:
            locations.insert(0, _SIGNING_IN)
        values = {
            "WORKERS": str(self.workers),
            "DRAIN": str(self.drain_seconds),
            "LISTENDEFAULT": self._listening(self.listen, " default_server"),
            "LISTEN": self._listening(self.listen),
            "METRICS": self._listening(self.metrics),
            "HEALTH": self.health,
            "HOST": quoted(self.host),
            "ALIASES": self._aliases,
            "ERRORS": _ERRORS,
            "CONNECTIONS": str(self.limits.connections),
            "HEAD": f"{self.limits.head_kb}k",
            "LOCATIONS": "".join(locations),
        }
        return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], read("nginx.conf"))

    @property
    def _aliases(self) -> str:
        """The server that sends people on who come by another name."""
        if not self.aliases:
            return ""
        values = {
            "LISTEN": self._listening(self.listen),
            "NAMES": " ".join(map(quoted, self.aliases)),
            "URL": quoted(f"{'https' if self.https else 'http'}://{self.host}").strip('"'),
            "ERRORS": _ERRORS,
            "CONNECTIONS": str(self.limits.connections),
        }
        return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], _ALIASES)

    def _listening(self, port: int, more: str = "") -> str:
        """The lines that say where a server listens."""
        addresses = {"IPv4": str(port), "IPv6": f"[::]:{port}"}
        return "\n        ".join(f"listen {addresses[family]}{more};" for family in self.platform.ip_families)

    @property
    def gateway_json(self) -> str:
        """``gateway.json``: what ``gateway.lua`` decides by."""
        pages, vouching = self.login.pages, self.login.vouching
        told: dict[str, object] = {
            "https": self.https,
            "head": self.limits.head_kb * 1024,
            "administrators": [email.lower() for email in self.administrators],
            "cookie": LOGIN_COOKIE,
            "provider": self.login.provider,
        }
        if isinstance(vouching, Question):
            told["login"] = self._question(vouching)
        elif vouching:
            told["person"] = {"email": vouching.email, "subject": vouching.email, "name": vouching.name}
        if pages:
            told["sign_in"] = pages.start
        routes = {
            **{page.path: self._told(page, of_login=True) for page in self.pages},
            **{route.path: self._told(route, of_login=False) for route in self.routes},
        }
        return f'{{\n{_lines(told, 1)},\n  "routes": {{\n{_lines(routes, 2)}\n  }}\n}}\n'

    def _question(self, question: Question) -> dict[str, object]:
        endpoint = question.to.endpoint()
        return {
            "host": f"{endpoint.host}.{self.service_domain}",
            "port": endpoint.port,
            "path": question.path,
            "tries": question.tries,
            "remembered": question.remembered_seconds,
            "email": question.email.lower(),
            "subject": question.subject.lower(),
            "name": question.name.lower(),
        }

    def _told(self, route: Route, *, of_login: bool) -> dict[str, object]:
        endpoint, vouching, headers = route.to.endpoint(), self.login.vouching, route.to.identity_headers
        return {
            "service": route.to.name,
            "host": f"{endpoint.host}.{self.service_domain}",
            "port": endpoint.port,
            "tries": vouching.tries if of_login and isinstance(vouching, Question) else 0,
            "of_login": of_login,
            "audience": route.audience.value,
            "hand_over_identity": route.hand_over_identity,
            # In headers, with its own words for a role; or else in a token.
            **(
                {"roles": {"administrator": headers.administrator, "other": headers.other}}
                if headers and route.hand_over_identity
                else {}
            ),
            **({"authorization": True} if route.authorization else {}),
            "cookies": route.cookies,
            "websocket": route.websocket,
            "content_security_policy": route.content_security_policy,
            # All pages of the login are counted together.
            **({"counter": LOGIN_PATH if of_login else route.path, "rate": asdict(route.rate)} if route.rate else {}),
        }


def _lines(values: Mapping[str, object], depth: int) -> str:
    """The inside of a JSON object, a line for each key: a change of one route is a change of one line."""
    return ",\n".join(f"{'  ' * depth}{json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())


def location(route: Route, more: str = "") -> str:
    """A location: what is passed on, whoever asked for it and wherever it goes, with more lines where it needs any."""
    lines = [
        f"set $route {quoted(route.path)};",
        f"set $service {quoted(route.to.name)};",
        "include /etc/gateway/location.conf;",
        f"proxy_pass http://service{f'{route.upstream_path}$is_args$args' if route.upstream_path else ''};",
        f"client_max_body_size {route.body_mb}m;",
        f"proxy_read_timeout {route.timeout_seconds}s;",
        f"proxy_send_timeout {route.timeout_seconds}s;",
    ]
    if not route.buffering:
        lines.append("proxy_buffering off;")
    if route.body_mb > _STREAMED_MB:
        lines.append("proxy_request_buffering off;")
    lines += more.splitlines()
    body = "".join(f"            {line}\n" for line in lines)
    return f"\n        location {'= ' if route.exact else ''}{quoted(route.path)} {{\n{body}        }}\n"


_ALIASES = """
    # Other names, which lead to the one that everything is served by.
    server {
        @LISTEN@
        server_name @NAMES@;
        error_page @ERRORS@ /-/explain;
        error_page 494 =431 /-/explain;
        log_by_lua_block { gateway.log() }
        limit_conn connections @CONNECTIONS@;

        location / {
            # As it was sent, whatever it is: the host that it leads to refuses what can be read in two ways.
            return 308 @URL@$request_uri;
        }
        location = /-/explain {
            internal;
            content_by_lua_block { gateway.explain() }
        }
    }
"""

_SIGNING_IN = f"""
        error_page 401 = @sign_in;
        location @sign_in {{
            content_by_lua_block {{ gateway.sign_in() }}
        }}
        location = /-/again {{
            internal;
            content_by_lua_block {{ gateway.again() }}
        }}
        # Beside the pages that browsers need, the login tells who someone is: that is for the gateway to ask.
        location {LOGIN_PATH} {{
            return 404;
        }}
"""

_TRY_AGAIN = f"""\
proxy_intercept_errors on;
error_page {_ERRORS} /-/again;
error_page 494 =431 /-/again;
"""
