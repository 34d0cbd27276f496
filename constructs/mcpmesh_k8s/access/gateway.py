"""This module is the gateway: OpenResty in front of everything that people reach, configured from typed routes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Alert,
    Compute,
    Container,
    File,
    Files,
    HttpGet,
    Image,
    MetricsEndpoint,
    Port,
    Probes,
    Scratch,
    SettingError,
    Severity,
    Target,
    User,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    once,
    settings_of,
)

from ._configuration import Configuration, read
from .login import EMAIL, Login, Question
from .routes import USUAL_ANSWER, Audience, Limits, Route, distinct

USER = User(uid=65534, gid=65534)
"""``nobody``: the image starts as root, and needs nothing of it."""

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)+(?!\d+$){_LABEL}")
"""A name, and no address: an Ingress and an HTTPRoute take none."""

_MOST_WORKERS = 1024
"""nginx starts no more (``NGX_MAX_PROCESSES``)."""

_LISTEN = 8080
_METRICS = 9145
_HEALTH = "/-/healthy"
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The seconds by which it counts how long answers take."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """How well the gateway serves people, over a month. People are called when it will be missed.

    Args:
        answered: The share of requests that do not end in an error of ours (5xx). 99.5 % allow 3.6 hours a month.
        fast: The share of requests that are answered in time. Those that wait for a model take long.
        within_seconds: What is in time, in seconds: one of those that the gateway counts by.
    """

    answered: float = 0.995
    fast: float = 0.95
    within_seconds: float = 2.5

    def __post_init__(self) -> None:
        """Refuse what cannot be missed, or is never counted."""
        for field in ("answered", "fast"):
            if not 0.5 <= getattr(self, field) < 1:
                raise SettingError(f"Objective.{field}", getattr(self, field), "Give 0.5 to below 1, such as 0.995.")
        if self.within_seconds not in BOUNDS:
            raise SettingError(
                "Objective.within_seconds", self.within_seconds, f"Give one of {', '.join(map(str, BOUNDS))}."
            )


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(WorkloadOptions):
    """A gateway.

    Args:
        image: The image.
        compute: CPU and memory.
        host: The host name people type. Requests for any other are answered with 421.
        aliases: More host names, such as ``www.shop.example.com``: who comes by one is sent to ``host``, to the same
            path. Each needs DNS, and a place in the certificate.
        https: Whether people reach the host by HTTPS. A plain request is then sent there, and browsers told to stay.
        administrators: The addresses of those who may use routes for administrators.
        limits: What one client may do, beside the rate of each route.
        objective: How well it serves people.
        workers: Worker processes. nginx would start one for each core of the node, whatever its limit.
        name: The short name.
    """

    image: Image
    compute: Compute
    host: str
    aliases: tuple[str, ...] = ()
    https: bool = True
    administrators: tuple[str, ...] = ()
    limits: Limits = Limits()
    objective: Objective = Objective()
    workers: int = 2
    name: str = "nginx-gateway"

    def __post_init__(self) -> None:
        """Refuse a host or an administrator that cannot be, and a gateway without workers."""
        super().__post_init__()
        for field, hosts in (("host", (self.host,)), ("aliases", self.aliases)):
            for host in hosts:
                if not _HOST.fullmatch(host):
                    raise SettingError(
                        f"GatewaySettings.{field}",
                        host,
                        "Give a DNS name in lower case, such as 'shop.example.com': no address, scheme, port or last "
                        "dot.",
                    )
        once("GatewaySettings.aliases", self.hosts)
        for email in self.administrators:
            if not EMAIL.fullmatch(email):
                raise SettingError("GatewaySettings.administrators", email, "Give addresses, such as 'me@example.com'.")
        if not 1 <= self.workers <= _MOST_WORKERS:
            raise SettingError("GatewaySettings.workers", self.workers, f"Give 1 to {_MOST_WORKERS}.")

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host name that leads to it, that which people type first."""
        return (self.host, *self.aliases)

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
        login: Who vouches for people: an OAuth2Proxy, or on one's own machine a DevIdentity. Where everything is for
            everyone, NoLogin().
    """

    def __init__(self, scope: Construct, settings: GatewaySettings, routes: Sequence[Route], login: Login) -> None:
        self.settings = settings
        self.routes = distinct(routes)
        self.login = login
        login.check(host=settings.host, https=settings.https)
        if login.vouching is None:
            self._require_public()
        self._require_administrators((*settings.administrators, *login.administrators))
        configuration = Configuration(
            host=settings.host,
            aliases=settings.aliases,
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
                metrics=(MetricsEndpoint(),),
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
                    probes=Probes.of(HttpGet(path=_HEALTH), hung_grace_seconds=30),
                    # Requests are logged as JSON. nginx's own complaints have one form.
                    log_pattern=r"^\d{4}/\d\d/\d\d [\d:]{8} \[(?P<level>[a-z]+)\] ",
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
            if any(route.hand_over_identity for route in self.routes if route.to is to):
                to.believe_identity()
        # The routes name the services, so the targets' own introductions are not needed.
        self.connects_to(*(Target(workload=to) for to in reached.values()))

    def _require_administrators(self, administrators: Sequence[str]) -> None:
        """Refuse a route for administrators where nobody is one."""
        for route in self.routes:
            if route.audience is Audience.ADMINISTRATOR and not administrators:
                raise SettingError(
                    "GatewaySettings.administrators",
                    self.settings.administrators,
                    f"Nobody could use {route.path!r}, which is for them. Give addresses, such as ('me@example.com',).",
                )

    def _require_public(self) -> None:
        """Refuse what only somebody who is known may use, where nobody ever is."""
        instead = "Nobody signs in here. Give Audience.PUBLIC, or a login, such as OAuth2ProxySettings(…).create(…)."
        for route in self.routes:
            if route.audience is not Audience.PUBLIC:
                raise SettingError(f"Route {route.path!r} audience", route.audience, instead)
        if self.settings.administrators:
            raise SettingError(
                "GatewaySettings.administrators",
                self.settings.administrators,
                "Nobody signs in here, so none of them is ever known. Leave them out, or give a login.",
            )

    def problems(self) -> Sequence[str]:
        """Where it gives up before the service does that answers, or a roll-out ends that before."""
        return [*self._impatient(), *self._cut_short(), *self._forgeable()]

    def _forgeable(self) -> Sequence[str]:
        """A service that believes a gateway's token, and is told one that anybody may have written."""
        routes = [route for gateway in self.application.find_all(Gateway) for route in gateway.routes]
        tokens = [route for route in routes if route.hand_over_identity and not route.to.identity_headers]
        believing = {route.to.full_name for route in tokens}
        return [
            f"{self.full_name} tells {route.to.full_name} at {route.path!r} what a client writes in Authorization. It "
            "believes what a gateway writes there (hand_over_identity), so anybody could be anybody: give "
            "Route(authorization=False), or lead it to a service of its own."
            for route in self.routes
            if route.authorization and route.to.full_name in believing
        ]

    def _cut_short(self) -> Sequence[str]:
        """Whoever gives a route more than the usual time says that answers take it. A stream is only silent as long."""
        return [
            route.to.cut_short(
                f"{self.full_name}, at {route.path!r},", route.timeout_seconds, "a shorter Route(timeout_seconds=…)"
            )
            for route in self.routes
            if route.buffering and route.timeout_seconds > max(USUAL_ANSWER, route.to.finished_seconds)
        ]

    def _impatient(self) -> Sequence[str]:
        return [
            f"{self.full_name} passes {route.path!r} on to {route.to.full_name}, whose answer may take "
            f"{route.to.answer_seconds} seconds, and waits {route.timeout_seconds}: give "
            f"Route(timeout_seconds={route.to.answer_seconds}) or more."
            for route in self.routes
            if route.to.answer_seconds > route.timeout_seconds
        ]

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Whether its objective is kept, where it is watched."""
        if not self.metrics:
            return ()
        asked = isinstance(self.login.vouching, Question)
        return (*of_objective(self.name, self.settings.objective), *((_of_login(self.name),) if asked else ()))

    def requests_to(self, workload: Workload, *, within_seconds: int) -> str:
        """How many requests a second it passes on to a workload, as PromQL; nothing where no route leads there.

        Args:
            workload: Whose requests are counted.
            within_seconds: Over how long they are averaged: twice the time between two questions for them at least.
        """
        if all(route.to is not workload for route in self.routes):
            return ""
        # Prometheus calls the label so: `service` is the pod's own.
        counter = f'gateway_http_requests_total{{job="{self.name}", exported_service="{workload.name}"}}'
        return f"sum(rate({counter}[{within_seconds}s]))"

    @property
    def longest_timeout(self) -> int:
        """The longest that a route's answer may be silent, in seconds."""
        return max((route.timeout_seconds for route in self.routes), default=60)

    @property
    def health_path(self) -> str:
        """What it answers to anybody, at its host too, for as long as it works."""
        return _HEALTH

    @property
    def largest_body_mb(self) -> int:
        """The largest body that a route takes, in MiB."""
        return max((route.body_mb for route in self.routes), default=1)


def of_objective(job: str, objective: Objective) -> tuple[Alert, ...]:
    """How fast the month's allowance is used up: all of it in two days calls people, in five is a ticket.

    The long window says that it matters, the short one that it goes on. A few requests at night are no ratio, so in the
    long window at least ten must have failed, or been slow.
    """
    requests = f'gateway_http_requests_total{{job="{job}", status!="1xx"}}'
    errors = f'gateway_http_requests_total{{job="{job}", status="5xx"}}'
    answers = f'gateway_http_request_duration_seconds_count{{job="{job}"}}'
    # Prometheus 3 says 1.0 where others say 1.
    bound = f"{objective.within_seconds:g}".replace(".", "[.]") + "([.]0)?"
    in_time = f'gateway_http_request_duration_seconds_bucket{{job="{job}", le=~"{bound}"}}'

    def failed(window: str) -> str:
        return f"sum(rate({errors}[{window}])) / sum(rate({requests}[{window}]))"

    def slow(window: str) -> str:
        return f"1 - sum(rate({in_time}[{window}])) / sum(rate({answers}[{window}]))"

    def burning(name: str, severity: Severity, times: float, windows: tuple[str, str], *, of_errors: bool) -> Alert:
        long, short = windows
        ratio, aim = (failed, objective.answered) if of_errors else (slow, objective.fast)
        limit = f"{times * (1 - aim):.4g}"
        count = (
            f"sum(increase({errors}[{long}]))"
            if of_errors
            else f"sum(increase({answers}[{long}])) - sum(increase({in_time}[{long}]))"
        )
        what = "end in an error" if of_errors else f"take more than {objective.within_seconds:g} seconds"
        return Alert(
            name=name,
            expression=f"({ratio(long)}) > {limit} and ({ratio(short)}) > {limit} and ({count}) > 10",
            for_minutes=2 if severity is Severity.PAGE else 15,
            severity=severity,
            summary=f"{'Far more' if severity is Severity.PAGE else 'More'} requests {what} than the objective allows",
            description=(
                f"{{{{ $value | humanizePercentage }}}} did within {long}. "
                f"The objective allows {100 * (1 - aim):.3g} %."
            ),
        )

    fast, gradual = ("1h", "5m"), ("6h", "30m")
    # 14.4 times: a fiftieth of the month's allowance in an hour; 6 times: a twentieth in six hours. With an objective
    # of 95 % that is 72 % and 30 % of all requests, which is what slowness for everyone looks like.
    return (
        burning("GatewayErrorsFast", Severity.PAGE, 14.4, fast, of_errors=True),
        burning("GatewayErrorsSlow", Severity.TICKET, 6, gradual, of_errors=True),
        burning("GatewayLatencyFast", Severity.PAGE, 14.4, fast, of_errors=False),
        burning("GatewayLatencySlow", Severity.TICKET, 6, gradual, of_errors=False),
    )


def _of_login(job: str) -> Alert:
    asked = f'gateway_login_asked_total{{job="{job}"}}'
    failed = f'gateway_login_asked_total{{job="{job}", result="failed"}}'
    return Alert(
        name="LoginNotAnswering",
        expression=(f"sum(rate({failed}[5m])) / sum(rate({asked}[5m])) > 0.1 and sum(increase({failed}[5m])) > 5"),
        for_minutes=5,
        severity=Severity.PAGE,
        summary="The gateway gets no word from the login",
        description=(
            "{{ $value | humanizePercentage }} of its questions failed. Nobody gets in whom it does not remember."
        ),
    )
