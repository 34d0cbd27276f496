"""This module is the proof that the rendered gateway runs: on a real nginx, it serves the plan's routes."""

import base64
import gzip
import json
import os
import re
import select
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from http.client import IncompleteRead, RemoteDisconnected
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from ai_interviewer import PROD, AiInterviewer, EnvironmentSettings
from another_login import PortalSettings
from conftest import Manifests, close, grid, read_manifests, requires
from environments import EVERY, SHARED, STAGING, WITH_LOGIN, WITH_MESH, WITHOUT_LOGIN, WITHOUT_MESH
from gateway_harness import (
    DOMAIN,
    LOGIN,
    NAME,
    PREFIX,
    Answer,
    Request,
    Response,
    RunningGateway,
    StubUpstream,
    read_response,
    running_gateway,
)
from log_pipeline import Pipeline
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    Audience,
    Compute,
    Container,
    ContentSecurityPolicy,
    DevIdentity,
    ExistingSecrets,
    Gateway,
    GatewaySettings,
    Grafana,
    GrafanaSettings,
    IdentityHeaders,
    IssuedKey,
    Login,
    LoginSettings,
    NoLogin,
    NoProbes,
    OAuth2ProxySettings,
    Phase,
    Port,
    RandomKey,
    RateLimit,
    Route,
    Secret,
    SecretSettings,
    User,
    Workload,
    WorkloadSettings,
    images,
    variables,
)
from mcpmesh_k8s.access._configuration import quoted
from mesh_harness import LOCALHOST, eventually, find, free_port, probe
from processes import START

DATA, GRAFANA, PAGES = ContentSecurityPolicy.DATA, ContentSecurityPolicy.GRAFANA, ContentSecurityPolicy.PAGES
AGENTS = ("pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
MEBIBYTE = 2**20
UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "websocket"))
ALICE, ADMINISTRATOR, DEVELOPER = "alice@example.com", "admin@example.com", "developer@example.com"
HTTP = ("X-Forwarded-Proto", "http")
ELSEWHERE = "127.0.0.9"  # nobody listens there

# For what a client asks: the upstream where it arrives, as what, and what a browser may load for the answer.
PUBLIC = {
    "/static/app.js?v=3": ("backend", "/static/app.js?v=3", PAGES),
    "/static/": ("backend", "/static/", PAGES),
    "/health": ("backend", "/health", DATA),
    "/health?full=1": ("backend", "/health?full=1", DATA),
}
SIGNED_IN = {
    "/": ("backend", "/", PAGES),
    "/login?next=%2Fa%20b&x=1": ("backend", "/login?next=%2Fa%20b&x=1", PAGES),
    "/api/interviews/7?page=2": ("backend", "/api/interviews/7?page=2", DATA),
    # What is beside an exact route.
    "/health/": ("backend", "/health/", PAGES),
    "/api/registry/agents/7": ("backend", "/api/registry/agents/7", DATA),
    "/mcp/pdf-extractor/": ("backend", "/mcp/pdf-extractor/", PAGES),
    "/mcp/stranger": ("backend", "/mcp/stranger", PAGES),
}
FOR_ADMINISTRATORS = {
    "/grafana/": ("grafana", "/grafana/", GRAFANA),
    "/grafana/d/overview?orgId=1": ("grafana", "/grafana/d/overview?orgId=1", GRAFANA),
}
ROUTES = {**PUBLIC, **SIGNED_IN, **FOR_ADMINISTRATORS}
# The same, in dev only, for anyone. In prod the backend has to know what to do with it.
MESH = {
    "/api/registry/agents": ("registry", "/agents"),
    "/api/registry/agents?type=all": ("registry", "/agents?type=all"),
    **{f"/mcp/{agent}": (agent, "/mcp") for agent in AGENTS},
    f"/mcp/{AGENTS[0]}?session=1": (AGENTS[0], "/mcp?session=1"),
}
EVERY_ANSWER = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), payment=(), usb=()",
}


@pytest.fixture(scope="module")
def gateways(manifests: Manifests, needs_nginx: Path) -> Generator[Callable[[str], RunningGateway], None, None]:
    """The gateway of each environment, started when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def of(environment: str) -> RunningGateway:
            return stack.enter_context(running_gateway(manifests(environment), limited=False))

        yield of


@pytest.fixture(scope="module")
def limited_gateways(manifests: Manifests, needs_nginx: Path) -> Generator[Callable[[str], RunningGateway], None, None]:
    """The same, with the rates of the settings."""
    with ExitStack() as stack:

        @cache
        def of(environment: str) -> RunningGateway:
            return stack.enter_context(running_gateway(manifests(environment)))

        yield of


@pytest.fixture(params=grid(EVERY, short=SHARED))
def limited(request: pytest.FixtureRequest, limited_gateways: Callable[[str], RunningGateway]) -> RunningGateway:
    """The gateway of an environment with its rates, as if no test had used it."""
    return fresh(limited_gateways(request.param))


@pytest.fixture(params=grid(EVERY, short=SHARED))
def gateway(request: pytest.FixtureRequest, gateways: Callable[[str], RunningGateway]) -> RunningGateway:
    """The gateway of an environment, as if no test had used it. Whoever asks is an administrator."""
    return fresh(gateways(request.param))


with_login = pytest.mark.parametrize("gateway", WITH_LOGIN, indirect=True)
over_http = pytest.mark.parametrize("gateway", WITHOUT_LOGIN, indirect=True)
limited_login = pytest.mark.parametrize("limited", WITH_LOGIN, indirect=True)


def fresh(gateway: RunningGateway, person: str = ADMINISTRATOR) -> RunningGateway:
    """As if it had not been used; where people sign in, this one has."""
    gateway.forget()
    if LOGIN in gateway.upstreams:
        gateway.sign_in(person)
    return gateway


def has_login(gateway: RunningGateway) -> bool:
    return LOGIN in gateway.upstreams


def arrives(
    gateway: RunningGateway,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Sequence[tuple[str, str]] = (),
) -> tuple[str, Request]:
    """The upstream where a request arrives, whose answer the client gets, and what arrives."""
    response = gateway.request(method, target, body=body, headers=headers)
    assert response.status == 200, response
    ((name, (request,)),) = gateway.arrived.items()
    assert response.body == (b"" if method == "HEAD" else name.encode())
    return name, request


def hang_up(_: Request) -> Answer:
    return Answer(status=0)


def claims(request: Request) -> dict[str, Any]:
    """What the gateway says of the person: the token has to be of the form that the backend reads."""
    scheme, token = request.headers["Authorization"].split(" ")
    header, payload, signature = token.split(".")
    assert (scheme, signature) == ("Bearer", "")
    assert re.fullmatch(r"[A-Za-z0-9_-]+", header + payload)
    decoded = [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (header, payload)]
    assert decoded[0] == {"alg": "none", "typ": "JWT"}
    return dict(decoded[1])


def failure(response: Response) -> tuple[int, str]:
    """The status of an answer of the gateway itself, and what it is told in: JSON or words."""
    kind = response.headers["Content-Type"]
    if kind == "application/json":
        told = json.loads(response.body)
        assert set(told) == {"error", "status", "request_id"}
        assert (told["status"], told["request_id"]) == (response.status, response.headers["X-Request-ID"])
        text = str(told["error"])
    else:
        assert kind == "text/plain; charset=utf-8"
        text = response.body.decode().removesuffix("\n")
    assert re.fullmatch(r"[A-Z][a-z ,:]+\.", text)
    assert text != "Something went wrong."
    return response.status, "JSON" if kind == "application/json" else "words"


def block(gateway: RunningGateway, location: str) -> list[str]:
    """The lines of a location in the rendered configuration."""
    text = (gateway.mounts["/etc/gateway"] / "nginx.conf").read_text()
    *_, found = re.findall(rf"^        location {re.escape(location)} \{{\n(.*?)^        \}}", text, re.M | re.S)
    return [line.strip() for line in str(found).splitlines()]


def problems(gateway: RunningGateway, answers: Iterable[Response], *, status: int) -> list[str]:
    """The problems that the log tells of the requests that were answered so."""
    return [line["problem"] for line in gateway.logged(*(answer for answer in answers if answer.status == status))]


# Routes and audiences


def test_a_user_whose_limit_of_files_is_low_finds_what_is_logged() -> None:
    said = "2026/11/30 19:44:56 [alert] 41#41: setrlimit(RLIMIT_NOFILE, 8192) failed (1: Operation not permitted)\n"
    pod = SimpleNamespace(output=f'{said}{{"request_id": "one", "status": 200}}\n')
    gateway: Any = SimpleNamespace(pod=pod)
    assert RunningGateway.logged(gateway, "one") == [{"request_id": "one", "status": 200}]


def test_its_configuration_is_valid_and_gives_no_warning(gateway: RunningGateway) -> None:
    code, output = gateway.check_configuration()
    assert (code, len(output.splitlines())) == (0, 2), output
    assert output.endswith(" test is successful\n")


@pytest.mark.parametrize("target", ROUTES)
def test_a_request_arrives_where_the_plan_says(gateway: RunningGateway, target: str) -> None:
    name, request = arrives(gateway, "GET", target)
    assert (name, request.target) == ROUTES[target][:2]


@pytest.mark.parametrize("target", PUBLIC)
def test_a_public_route_asks_for_no_login(gateway: RunningGateway, target: str) -> None:
    gateway.forget()
    arrives(gateway, "GET", target)
    assert not has_login(gateway) or not gateway.upstreams[LOGIN].requests


@with_login
@pytest.mark.parametrize("target", [*SIGNED_IN, *FOR_ADMINISTRATORS, *MESH])
def test_who_is_not_signed_in_gets_no_further(gateway: RunningGateway, target: str) -> None:
    gateway.forget()
    response = gateway.request("GET", target)
    if target.startswith(("/api/", "/mcp/")):
        assert failure(response) == (401, "JSON")
    else:
        escaped = target.translate({ord(c): f"%{ord(c):02X}" for c in "/?=&%"})
        assert (response.status, response.headers["Location"]) == (302, f"/oauth2/start?rd={escaped}")
    assert not gateway.arrived


@with_login
@pytest.mark.parametrize("target", SIGNED_IN)
def test_whoever_is_signed_in_gets_to_the_backend(gateway: RunningGateway, target: str) -> None:
    fresh(gateway, ALICE)
    assert arrives(gateway, "GET", target)[0] == "backend"


@with_login
@pytest.mark.parametrize("target", FOR_ADMINISTRATORS)
def test_only_an_administrator_gets_to_grafana(gateway: RunningGateway, target: str) -> None:
    fresh(gateway, ALICE)
    assert failure(gateway.request("GET", target)) == (403, "words")
    assert not gateway.arrived
    fresh(gateway, ADMINISTRATOR.upper())
    assert arrives(gateway, "GET", target)[0] == "grafana"


@with_login
def test_whoever_the_login_refuses_is_told_that_it_is_the_account(gateway: RunningGateway) -> None:
    gateway.upstreams[LOGIN].answer = lambda _: Answer(status=403)
    refused = [gateway.request("GET", target) for target in ("/", "/grafana/", "/api/interviews")]
    for response in refused:
        assert response.status == 403
        assert b"This account may not sign in." in response.body
    assert not gateway.arrived
    fresh(gateway, ALICE)
    curious = gateway.request("GET", "/grafana/")
    assert curious.body == b"This is for administrators.\n"
    # Who it was is known of the one that was too curious.
    assert [line["user"] for line in gateway.logged(*refused, curious)] == ["", "", "", ALICE]


@with_login
def test_the_login_is_asked_with_the_cookies_and_nothing_else_of_the_request(gateway: RunningGateway) -> None:
    said = (("Cookie", "__Host-login=x; a=b"), ("Authorization", "Basic x"), ("X-Forwarded-For", "203.0.113.9"))
    gateway.request("POST", "/api/interviews?page=2", body=b"secret", headers=(*said, ("X-Other", "1")))
    (asked,) = gateway.upstreams[LOGIN].requests
    assert (asked.method, asked.target, asked.body) == ("GET", "/oauth2/auth", b"")
    sent = {name: value for name, value in asked.headers.items() if name != "X-Request-ID"}
    assert sent == {
        "Host": gateway.host,
        "Connection": "close",
        "Cookie": "__Host-login=x; a=b",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": gateway.host,
        "X-Forwarded-For": "203.0.113.9",
    }


@with_login
def test_the_logins_own_pages_are_reached_without_login_and_keep_its_cookies(gateway: RunningGateway) -> None:
    gateway.forget()
    login = gateway.upstreams[LOGIN]
    login.answer = lambda _: Answer(status=302, headers={"Location": "https://p.example.com", "Set-Cookie": "a=b"})
    target = "/oauth2/callback?code=1&state=2"
    response = gateway.request("GET", target, headers=[("Cookie", "__Host-login_csrf=x")])
    got = (response.status, response.headers["Location"], response.headers["Set-Cookie"])
    assert got == (302, "https://p.example.com", "a=b")
    (request,) = login.requests
    assert (request.target, request.headers["Cookie"]) == (target, "__Host-login_csrf=x")
    assert failure(gateway.request("GET", "/oauth2/auth")) == (404, "words")
    assert len(login.requests) == 1


@pytest.mark.parametrize("gateway", WITH_MESH, indirect=True)
@pytest.mark.parametrize("target", MESH)
def test_with_routes_to_the_mesh_the_registry_and_the_agents_are_reached(gateway: RunningGateway, target: str) -> None:
    name, request = arrives(gateway, "POST", target, b'{"jsonrpc": "2.0"}')
    assert (name, request.target) == MESH[target]
    assert (request.method, request.body) == ("POST", b'{"jsonrpc": "2.0"}')
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("gateway", WITHOUT_MESH, indirect=True)
@pytest.mark.parametrize("target", MESH)
def test_without_routes_to_the_mesh_the_registry_and_the_agents_are_not_reached(
    gateway: RunningGateway, target: str
) -> None:
    name, request = arrives(gateway, "POST", target, b'{"jsonrpc": "2.0"}')
    assert (name, request.target) == ("backend", target)


@requires("nginx")
def test_where_people_sign_in_routes_to_the_mesh_are_for_administrators(tmp_path: Path) -> None:
    AiInterviewer(STAGING, outdir=tmp_path / "staging").synth()
    with running_gateway(read_manifests(tmp_path / "staging")) as gateway:
        for target, (name, path) in MESH.items():
            gateway.forget()
            assert failure(gateway.request("POST", target)) == (401, "JSON")
            fresh(gateway, ALICE)
            assert failure(gateway.request("POST", target)) == (403, "JSON")
            assert not gateway.arrived
            fresh(gateway, ADMINISTRATOR)
            arrived, request = arrives(gateway, "POST", target, b"{}")
            assert (arrived, request.target) == (name, path)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_arrives_with_its_body(gateway: RunningGateway, method: str) -> None:
    body = b"" if method in {"GET", "HEAD"} else b"said by the client"
    _, request = arrives(gateway, method, "/api/interviews", body)
    assert (request.method, request.body) == (method, body)


def test_the_client_gets_what_the_upstream_says(gateway: RunningGateway) -> None:
    backend = gateway.upstreams["backend"]
    for status in (418, 401, 403, 404, 500, 503):
        said = Answer(status=status, headers={"X-Kind": "teapot"}, body=b"short")
        backend.answer = partial(lambda said, _: said, said)
        response = gateway.request("GET", "/api/tea")
        assert (response.status, response.headers["X-Kind"], response.body) == (status, "teapot", b"short")


@pytest.mark.parametrize("path", ["/grafana", "/api", "/static"])
def test_a_folder_is_redirected_on_the_host_and_port_that_the_client_used(gateway: RunningGateway, path: str) -> None:
    response = gateway.request("GET", path)
    assert (response.status, response.headers["Location"]) == (301, f"{path}/")
    assert not gateway.arrived


def test_a_host_that_is_not_its_own_is_misdirected(gateway: RunningGateway) -> None:
    for host in ("example.com", f"www.{gateway.host}", LOCALHOST, f"{PREFIX}{NAME}"):
        for path, told in (("/", "words"), ("/static/", "words"), ("/api/interviews", "JSON")):
            response = gateway.request("GET", path, headers=[("Host", host)])
            assert failure(response) == (421, told), (host, path)
    assert not gateway.arrived


def test_the_kubelet_asks_by_address_and_plain_http(gateway: RunningGateway) -> None:
    assert {probe(gateway.pod.spec[kind], gateway.pod) for kind in PROBES} == {"200"}


def test_plain_http_is_sent_to_https_where_people_use_it(gateway: RunningGateway) -> None:
    for target in ("/", "/static/app.js?v=3", "/api/interviews?page=2", "/oauth2/start?rd=%2F"):
        if not has_login(gateway) and target.startswith("/oauth2/"):
            continue
        fresh(gateway)
        response = gateway.request("POST", target, body=b"x", headers=[HTTP])
        if has_login(gateway):
            assert (response.status, response.headers["Location"]) == (308, f"https://{gateway.host}{target}")
            assert not gateway.arrived
            assert not gateway.upstreams[LOGIN].requests
        else:
            assert response.status == 200


# What a service is told


@pytest.mark.parametrize(
    ("environment", "person", "told"),
    [
        ("dev", "", {"email": DEVELOPER, "name": "Developer", "provider": "dev", "sub": DEVELOPER}),
        ("prod", ALICE, {"email": ALICE, "name": "Alice", "provider": "google", "sub": "1234567"}),
        ("prod", ADMINISTRATOR, {"email": ADMINISTRATOR, "name": "Alice", "provider": "google", "sub": "1234567"}),
    ],
)
def test_the_backend_is_told_who_asks_for_five_minutes(
    gateways: Callable[[str], RunningGateway], environment: str, person: str, told: Mapping[str, str]
) -> None:
    gateway = fresh(gateways(environment), person)
    before = int(time.time())
    for target in SIGNED_IN:
        gateway.upstreams["backend"].forget()
        said = claims(arrives(gateway, "GET", target)[1])
        issued, expires = said.pop("iat"), said.pop("exp")
        assert said == told
        assert before <= issued <= time.time()
        assert expires == issued + 300


def test_who_has_no_name_is_called_by_the_address(gateways: Callable[[str], RunningGateway]) -> None:
    gateway = fresh(gateways("prod"))
    gateway.upstreams[LOGIN].answer = lambda _: Answer(status=202, headers={"X-Auth-Request-Email": ALICE})
    said = claims(arrives(gateway, "GET", "/api/me")[1])
    assert (said["email"], said["name"], said["sub"]) == (ALICE, ALICE, ALICE)


@pytest.mark.parametrize("target", [*PUBLIC, *FOR_ADMINISTRATORS])
def test_nobody_else_is_told_who_asks(gateway: RunningGateway, target: str) -> None:
    _, request = arrives(gateway, "GET", target, headers=[("Authorization", "Bearer x.y.z")])
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    ("environment", "told"),
    [("dev", [DEVELOPER, "Developer", "Admin"]), ("prod", [ADMINISTRATOR, "Alice", "Admin"])],
)
def test_grafana_is_told_who_asks_in_the_headers_that_it_reads_and_by_nobody_else(
    gateways: Callable[[str], RunningGateway], manifests: Manifests, environment: str, told: list[str]
) -> None:
    given = find(manifests(environment), "ConfigMap", "ai-interviewer-grafana")["data"]["grafana.ini"]
    proxy = ConfigParser()
    proxy.read_string(given)
    of_fields = dict(pair.split(":") for pair in proxy["auth.proxy"]["headers"].split())
    names = [proxy["auth.proxy"]["header_name"], of_fields["Name"], of_fields["Role"]]
    lies = [(name, lie) for name in names for lie in (ALICE, "Admin")]
    spelled = [(name.lower().replace("-", "_"), lie) for name, lie in lies]
    for headers in ([], lies, spelled, [(name.upper(), lie) for name, lie in lies]):
        gateway = fresh(gateways(environment))
        name, request = arrives(gateway, "GET", "/grafana/d/overview", headers=headers)
        assert name == "grafana"
        assert [request.headers.get_all(name) for name in names] == [[value] for value in told]
        # Nothing that a program may take for one of these.
        assert sum(name.lower().replace("_", "-").startswith("x-auth-request") for name in request.headers) == 3
        for target in (*SIGNED_IN, *PUBLIC):
            fresh(gateway)
            _, request = arrives(gateway, "GET", target, headers=headers)
            assert not [name for name in request.headers if name.lower().replace("_", "-").startswith("x-auth")]


def test_only_grafana_gets_cookies_and_those_are_its_own(gateway: RunningGateway) -> None:
    cookies = "a=b; __Host-login=x; grafana_session=s; __Host-login_csrf_1=y;__Host-login_0=z; c=d=e"
    for target, (name, _, _) in ROUTES.items():
        fresh(gateway)
        _, request = arrives(gateway, "GET", target, headers=[("Cookie", cookies)])
        expected = ["a=b; grafana_session=s; c=d=e"] if name == "grafana" else None
        assert request.headers.get_all("Cookie") == expected, target
        fresh(gateway)
        _, request = arrives(gateway, "GET", target, headers=[("Cookie", "__Host-login=x")])
        assert "Cookie" not in request.headers


def test_a_service_learns_who_asked_for_what_and_how(gateway: RunningGateway) -> None:
    for target in ROUTES:
        fresh(gateway)
        _, request = arrives(gateway, "GET", target, headers=[("X-Forwarded-For", "198.51.100.7, 203.0.113.9")])
        told = {n: request.headers.get_all(n) for n in ("Host", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Host")}
        client = ["203.0.113.9"]
        host = [gateway.host]
        assert told == {"Host": host, "X-Real-IP": client, "X-Forwarded-For": client, "X-Forwarded-Host": host}
        assert request.headers.get_all("X-Forwarded-Proto") == ["https"]


@over_http
def test_a_service_learns_of_plain_http_and_of_a_client_without_ingress(gateway: RunningGateway) -> None:
    for said in ("http", "https, http", "wss"):
        fresh(gateway)
        _, request = arrives(gateway, "GET", "/", headers=[("X-Forwarded-Proto", said)])
        assert (request.headers["X-Forwarded-For"], request.headers["X-Forwarded-Proto"]) == (LOCALHOST, "http")


def test_a_requests_id_is_kept_when_it_is_well_formed_and_returned(gateway: RunningGateway) -> None:
    for said in ("12345678", "0af7651916cd43dd8448eb211c80319c", "a" * 64, str("A-b-" * 3)):
        fresh(gateway)
        response = gateway.request("GET", "/api/interviews", headers=[("X-Request-ID", said)])
        ((request,),) = gateway.arrived.values()
        assert request.headers.get_all("X-Request-ID") == response.headers.get_all("X-Request-ID") == [said]
        if has_login(gateway):
            assert [asked.headers["X-Request-ID"] for asked in gateway.upstreams[LOGIN].requests] == [said]


def test_a_requests_id_is_made_when_there_is_none_or_a_strange_one(gateway: RunningGateway) -> None:
    made = list[str]()
    for said in ("", "1234567", "a" * 65, "12345678 9", '12345678"', "12345678%0d%0aX: y", "größer-als"):
        fresh(gateway)
        headers = [("X-Request-ID", said)] if said else []
        response = gateway.request("GET", "/", headers=headers)
        ((request,),) = gateway.arrived.values()
        assert request.headers.get_all("X-Request-ID") == response.headers.get_all("X-Request-ID")
        made.append(response.headers["X-Request-ID"])
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in made)
    assert len(set(made)) == len(made) == 7


def test_a_services_own_request_id_does_not_replace_the_clients(gateway: RunningGateway) -> None:
    gateway.upstreams["backend"].answer = lambda _: Answer(headers={"X-Request-ID": "from-the-backend"})
    response = gateway.request("GET", "/api/", headers=[("X-Request-ID", "from-the-client")])
    assert response.headers.get_all("X-Request-ID") == ["from-the-client"]


# What a client is told


def answers(gateway: RunningGateway, proto: str) -> Iterator[tuple[str, Response]]:
    """An answer of every kind, by what it is."""

    def ask(target: str, *headers: tuple[str, str], body: bytes = b"") -> Response:
        return gateway.request("POST", target, body=body, headers=[("X-Forwarded-Proto", proto), *headers])

    for target in ROUTES:
        yield target, ask(target)
    for target, status in (("/-/healthy", 200), ("/api", 301), ("/static/a;b", 400), ("/api/a;b", 400)):
        response = ask(target)
        assert response.status == (308 if (status, proto, has_login(gateway)) == (200, "", True) else status), target
        yield target, response
    response = ask("/", body=bytes(2 * MEBIBYTE))
    assert response.status == 413
    yield "too large", response
    response = ask("/", ("Host", "example.com"))
    assert response.status == 421
    yield "misdirected", response
    if proto == "https":
        for path in ("/static/x", "/api/x"):
            gateway.upstreams["backend"].answer = hang_up
            response = ask(path)
            assert response.status == 502
            yield f"bad gateway {path}", response
        gateway.upstreams["backend"].forget()
    if has_login(gateway):
        gateway.forget()
        for target in (*SIGNED_IN, *FOR_ADMINISTRATORS):
            yield f"signed out {target}", ask(target)
        gateway.sign_in(ALICE)
        yield "forbidden", ask("/grafana/")
        gateway.upstreams[LOGIN].answer = hang_up
        yield "login away", ask("/api/x")


def test_every_answer_has_the_security_headers_once_and_names_no_version(gateway: RunningGateway) -> None:
    theirs = {**dict.fromkeys(EVERY_ANSWER, "*"), "X-Powered-By": "x", "Strict-Transport-Security": "max-age=0"}
    for name in ("backend", "grafana"):
        gateway.upstreams[name].answer = lambda _: Answer(headers={**theirs, "Content-Security-Policy": "x"})
    for proto, stay in (("https", ["max-age=31536000; includeSubDomains"]), ("http", None)):
        for what, response in answers(fresh_keeping_answers(gateway), proto):
            got = {name: response.headers.get_all(name) for name in EVERY_ANSWER}
            assert got == {name: [value] for name, value in EVERY_ANSWER.items()}, (proto, what, response)
            assert response.headers.get_all("Strict-Transport-Security") == stay, (proto, what)
            assert len(response.headers.get_all("X-Request-ID") or ()) == 1, (proto, what)
            assert len(response.headers.get_all("Content-Security-Policy") or ()) == 1, (proto, what)
            assert "X-Powered-By" not in response.headers
            assert not re.search(r"\d", response.headers["Server"])


def fresh_keeping_answers(gateway: RunningGateway) -> RunningGateway:
    if has_login(gateway):
        gateway.sign_in(ADMINISTRATOR)
    return gateway


def test_a_browser_may_load_what_the_route_says(gateway: RunningGateway) -> None:
    for name in ("backend", "grafana"):
        gateway.upstreams[name].answer = lambda _: Answer(headers={"Content-Security-Policy": "default-src *"})
    for target, (_, _, policy) in ROUTES.items():
        response = gateway.request("GET", target)
        assert response.headers.get_all("Content-Security-Policy") == [policy], target
    assert "'unsafe-eval'" in GRAFANA
    assert "'unsafe-eval'" not in PAGES + DATA


@pytest.mark.parametrize(
    ("kind", "size", "accepted", "packed"),
    [
        ("application/json", 1025, "gzip", True),
        ("application/json", 1000, "gzip", False),
        ("application/json", 100_000, "br, gzip;q=0.5", True),
        ("application/json", 100_000, "identity", False),
        ("text/html", 100_000, "gzip", True),
        ("image/png", 100_000, "gzip", False),
        ("application/pdf", 100_000, "gzip", False),
    ],
)
def test_long_texts_are_packed_for_who_can_unpack_them(
    gateway: RunningGateway, kind: str, size: int, accepted: str, packed: bool
) -> None:
    body = b'"' + b"words " * (size // 6) + b"." * (size % 6 - 2 if size % 6 >= 2 else 0)
    body = (body + b"." * size)[: size - 1] + b'"'
    gateway.upstreams["backend"].answer = lambda _: Answer(headers={"Content-Type": kind}, body=body)
    for target in ("/api/interviews", "/"):
        headers = [("Accept-Encoding", accepted), ("Via", "1.1 ingress")]
        response = gateway.request("GET", target, headers=headers)
        assert response.headers["Content-Encoding"] == ("gzip" if packed else None)
        assert (gzip.decompress(response.body) if packed else response.body) == body
        assert len(response.body) < size / 10 or not packed or size < 2000
        assert response.headers["Vary"] == ("Accept-Encoding" if packed or accepted == "identity" else None)


# Limits


@pytest.mark.parametrize(("path", "fits", "too_much"), [("/", 0.9, 1.1), ("/api/resumes", 54, 56)])
def test_a_body_arrives_whole_or_is_refused(gateway: RunningGateway, path: str, fits: float, too_much: float) -> None:
    body = os.urandom(MEBIBYTE) * int(fits) + bytes(int(fits % 1 * MEBIBYTE))
    _, request = arrives(gateway, "POST", path, body)
    assert request.body == body
    fresh(gateway)
    response = gateway.request("POST", path, body=bytes(int(too_much * MEBIBYTE)))
    assert failure(response) == (413, "JSON" if path.startswith("/api/") else "words")
    assert not gateway.arrived


def test_a_body_of_unknown_length_is_refused_when_it_has_become_too_long(gateway: RunningGateway) -> None:
    for size, status in ((MEBIBYTE // 2, 200), (MEBIBYTE * 2, 413)):
        body = f"{size:x}\r\n".encode() + bytes(size) + b"\r\n0\r\n\r\n"
        head = f"POST / HTTP/1.1\r\nHost: {gateway.host}\r\nX-Forwarded-Proto: https\r\nTransfer-Encoding: chunked\r\n"
        assert gateway.send(f"{head}\r\n".encode() + body).status == status
    assert [len(request.body) for request in gateway.arrived["backend"]] == [MEBIBYTE // 2]


def test_an_upload_is_passed_on_while_it_arrives(gateway: RunningGateway) -> None:
    backend, size = gateway.upstreams["backend"], 54 * MEBIBYTE
    head = f"POST /api/resumes HTTP/1.1\r\nHost: {gateway.host}\r\nX-Forwarded-Proto: https\r\nContent-Length: {size}"
    with gateway.connect() as connection:
        connection.sendall(f"{head}\r\n\r\n".encode() + bytes(MEBIBYTE))
        assert eventually(lambda: backend.received == MEBIBYTE, START)
        connection.sendall(bytes(size - MEBIBYTE))
        assert read_response(connection).status == 200
    assert backend.received == size


def test_an_answer_in_pieces_is_passed_on_as_it_comes(gateways: Callable[[str], RunningGateway]) -> None:
    gateway, target = fresh(gateways("dev")), f"/mcp/{AGENTS[0]}"
    asked = threading.Event()
    headers = {"Content-Type": "text/event-stream"}

    def rest() -> bytes:
        assert asked.wait(START)
        return b"data: 2\n\n"

    gateway.upstreams[AGENTS[0]].answer = lambda _: Answer(headers=headers, body=b"data: 1\n\n", rest=rest)
    with gateway.connect() as connection:
        connection.sendall(f"POST {target} HTTP/1.1\r\nHost: {gateway.host}\r\n\r\n".encode())
        text = b""
        while b"data: 1\n\n" not in text:
            text += connection.recv(4096)
        asked.set()
        while b"data: 2\n\n" not in text:
            text += connection.recv(4096)


def test_a_client_may_ask_sixty_at_once_and_no_more_and_no_other_pays_for_it(limited: RunningGateway) -> None:
    gateway = limited

    def ask(client: str, target: str = "/api/interviews") -> Response:
        if has_login(gateway):
            gateway.sign_in(f"someone-at-{client}@example.com")
        return gateway.request("GET", target, headers=[("X-Forwarded-For", client)])

    assert [ask("203.0.113.61").status for _ in range(61)] == [200] * 61
    refused = next(response for _ in range(200) if (response := ask("203.0.113.61")).status != 200)
    assert failure(refused) == (429, "JSON")
    assert refused.headers["Retry-After"] == "1"
    assert ask("203.0.113.62").status == 200
    assert ask("203.0.113.61", "/").status == ask("203.0.113.61", "/static/").status == 200


def test_a_client_holds_a_hundred_connections_and_no_other_pays_for_it(gateway: RunningGateway) -> None:
    backend, slow, other = gateway.upstreams["backend"], "203.0.113.64", "203.0.113.65"
    head = f"POST /static/x HTTP/1.1\r\nHost: {gateway.host}\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: {slow}"

    def ask(target: str, client: str) -> Response:
        return gateway.request("GET", target, headers=[("X-Forwarded-For", client)])

    with ExitStack() as stack:
        opened = [stack.enter_context(gateway.connect()) for _ in range(110)]
        for connection in opened:
            connection.sendall(f"{head}\r\nContent-Length: 2\r\n\r\nx".encode())
        assert eventually(lambda: len(select.select(opened, [], [], 0)[0]) >= 10, START)
        refused = select.select(opened, [], [], 0)[0]
        assert [failure(read_response(connection)) for connection in refused] == [(429, "words")] * 10
        assert failure(ask("/api/interviews", slow)) == (429, "JSON")
        assert ask("/static/", other).status == ask("/", other).status == 200
        assert ask("/-/healthy", slow).status == 200
        assert {probe(gateway.pod.spec[kind], gateway.pod) for kind in PROBES} == {"200"}
        held = [connection for connection in opened if connection not in refused]
        for connection in held:
            connection.sendall(b"x")
            assert read_response(connection).status == 200
    assert ask("/static/", slow).status == 200
    assert len([request for request in backend.requests if request.body == b"xx"]) == 100


@limited_login
@pytest.mark.parametrize("target", grid(["/", "/grafana/"], short=["/"]))
def test_a_stranger_cannot_ask_the_login_as_often_as_it_likes(limited: RunningGateway, target: str) -> None:
    gateway = limited
    gateway.forget()
    headers = [("X-Forwarded-For", f"203.0.113.{70 + len(target)}")]
    began = time.monotonic()
    statuses = [gateway.request("GET", target, headers=headers).status for _ in range(600)]
    most = 201 + 50 * (time.monotonic() - began) + 1
    assert statuses[:201] == [302] * 201
    assert statuses.count(429) >= 600 - most
    assert set(statuses) == {302, 429}
    assert len(gateway.upstreams[LOGIN].requests) == statuses.count(302)


@limited_login
def test_signing_in_is_limited(limited: RunningGateway) -> None:
    gateway = limited
    headers = [("X-Forwarded-For", "203.0.113.63")]
    began = time.monotonic()
    statuses = [gateway.request("GET", "/oauth2/start", headers=headers).status for _ in range(400)]
    assert statuses[:201] == [202] * 201
    assert statuses.count(429) >= 400 - (201 + 10 * (time.monotonic() - began) + 1)
    # One in a tenth of a second is let through.
    told = (gateway.request("GET", "/oauth2/start", headers=headers) for _ in range(50))
    assert failure(next(answer for answer in told if answer.status != 202)) == (429, "words")


# Who is counted: people by who they are, strangers by where they are


def cookie_of(person: str) -> tuple[str, str]:
    return ("Cookie", f"__Host-login={person}")


def vouch_by_cookie(gateway: RunningGateway) -> None:
    """From now on the login vouches for whom the cookie names, and for nobody whose cookie names no person."""

    def answer(request: Request) -> Answer:
        named = re.match(r"__Host-login=(\w+@example\.com)$", request.headers["Cookie"] or "")
        return Answer(status=202, headers={"X-Auth-Request-Email": named[1]}) if named else Answer(status=401)

    gateway.upstreams[LOGIN].answer = answer


@limited_login
def test_people_behind_one_address_do_not_pay_for_each_other(limited: RunningGateway) -> None:
    vouch_by_cookie(limited)
    office = ("X-Forwarded-For", "192.0.2.7")

    def call(number: int) -> int:
        return limited.request(
            "GET", "/api/interviews", headers=[office, cookie_of(f"desk{number % 8}@example.com")]
        ).status

    with ThreadPoolExecutor(32) as clients:
        assert Counter(clients.map(call, range(8 * 12))) == {200: 96}
    # Eight times what one client may ask.
    with ThreadPoolExecutor(32) as clients:
        assert Counter(clients.map(call, range(8 * 48))) == {200: 8 * 48}


@limited_login
def test_one_person_is_counted_wherever_they_ask_from(limited: RunningGateway) -> None:
    vouch_by_cookie(limited)
    began = time.monotonic()

    def call(number: int) -> Response:
        came_from = ("X-Forwarded-For", f"192.0.{number % 250}.{number // 250 + 1}")
        # Signed in twice, in two browsers.
        headers = [came_from, ("Cookie", "__Host-login=busy@example.com"), ("X-Forwarded-Proto", "https")]
        return limited.request("GET", "/api/interviews", headers=headers)

    answers = [call(number) for number in range(400)]
    statuses = [answer.status for answer in answers]
    assert statuses[:61] == [200] * 61
    assert statuses.count(200) <= 61 + 20 * (time.monotonic() - began) + 1
    assert statuses.count(429) > 0
    assert set(problems(limited, answers, status=429)) == {"beyond the rate, counted by person"}
    # And nobody else at that address is.
    other = [("X-Forwarded-For", "192.0.1.1"), cookie_of("calm@example.com")]
    assert limited.request("GET", "/api/interviews", headers=other).status == 200


@limited_login
def test_a_stranger_who_invents_cookies_is_counted_by_the_address_and_keeps_nobody_out(limited: RunningGateway) -> None:
    vouch_by_cookie(limited)
    login, came_from = limited.upstreams[LOGIN], ("X-Forwarded-For", "192.0.2.9")
    known = [came_from, cookie_of("colleague@example.com")]
    assert limited.request("GET", "/api/interviews", headers=known).status == 200
    remembered_at = time.monotonic()
    login.requests.clear()
    began = time.monotonic()
    invented = [[came_from, ("Cookie", f"__Host-login={number}")] for number in range(400)]
    answers = [limited.request("GET", "/api/interviews", headers=headers) for headers in invented]
    statuses = [answer.status for answer in answers]
    assert statuses[:61] == [401] * 61
    asked = 61 + 20 * (time.monotonic() - began) + 1
    assert statuses.count(401) == len(login.requests) <= asked
    assert set(statuses) == {401, 429}
    assert set(problems(limited, answers, status=429)) == {"beyond the rate, counted by address"}
    # Whom the login has vouched for before is still asked about, when it is no longer remembered.
    time.sleep(max(0.0, remembered_at + 5.1 - time.monotonic()))
    while limited.request("GET", "/api/interviews", headers=invented[0]).status != 429:
        pass
    login.requests.clear()
    assert limited.request("GET", "/api/interviews", headers=known).status == 200
    assert len(login.requests) == 1


@limited_login
def test_whose_session_has_ended_is_a_stranger_again(limited: RunningGateway) -> None:
    """A cookie that is good no longer cannot use up what its person may ask."""
    vouch_by_cookie(limited)
    ended = [("X-Forwarded-For", "192.0.2.12"), cookie_of("ended@example.com")]
    assert limited.request("GET", "/api/x", headers=ended).status == 200
    limited.upstreams[LOGIN].answer = lambda _: Answer(status=401)
    assert eventually(lambda: limited.request("GET", "/api/x", headers=ended).status == 401, START)
    while (refused := limited.request("GET", "/api/x", headers=ended)).status != 429:
        pass
    assert problems(limited, [refused], status=429) == ["beyond the rate, counted by address"]
    limited.sign_in("ended@example.com")
    anew = [("X-Forwarded-For", "192.0.2.13"), ("Cookie", "__Host-login=another")]
    assert limited.request("GET", "/api/x", headers=anew).status == 200


@limited_login
def test_one_person_cannot_have_the_login_asked_as_often_as_they_like(limited: RunningGateway) -> None:
    login, came_from = limited.upstreams[LOGIN], ("X-Forwarded-For", "192.0.2.11")
    login.answer = lambda _: Answer(status=202, headers={"X-Auth-Request-Email": "restless@example.com"})
    began = time.monotonic()
    statuses = [
        limited.request(
            "GET", "/api/interviews", headers=[came_from, ("Cookie", f"__Host-login=x; other={number}")]
        ).status
        for number in range(500)
    ]
    most = 61 + 20 * (time.monotonic() - began) + 1
    assert statuses.count(200) <= most
    # As many again are asked about before the address is known for it, and then as many as a stranger has.
    assert statuses.count(200) < len(login.requests) <= 2 * most


@requires("nginx")
def test_what_fails_in_lua_is_refused_and_told_in_the_log(manifests: Manifests) -> None:
    with running_gateway(manifests("dev")) as gateway:
        lua = gateway.mounts["/etc/gateway"] / "gateway.lua"
        broken = lua.read_text().replace("    recall()\n", "    recall()\n    local _ = settings.none.there\n")
        assert broken != lua.read_text()
        lua.write_text(broken)
        before = workers_of(gateway)
        gateway.pod.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: not before & workers_of(gateway), START)
        failed = gateway.request("GET", "/api/x?token=s3cr3t")
        assert failure(failed) == (500, "JSON")
        (told,) = problems(gateway, [failed], status=500)
        assert re.search(r"^the gateway failed: .*gateway\.lua:\d+: attempt to index field 'none'", told)
        assert "s3cr3t" not in gateway.pod.output
        assert not gateway.arrived


@limited_login
def test_a_person_holds_a_hundred_connections_wherever_they_ask_from(limited: RunningGateway) -> None:
    vouch_by_cookie(limited)
    person, office = cookie_of("slow@example.com"), "192.0.2.10"
    for who in ("slow", "other"):
        known = [("X-Forwarded-For", office), cookie_of(f"{who}@example.com")]
        assert limited.request("GET", "/api/x", headers=known).status == 200
    with ExitStack() as stack:
        opened = list[socket.socket]()
        for number in range(105):
            connection = stack.enter_context(limited.connect())
            head = (
                f"POST /static/x HTTP/1.1\r\nHost: {limited.host}\r\nX-Forwarded-Proto: https\r\nContent-Length: 2\r\n"
            )
            head += f"X-Forwarded-For: 192.0.{number}.1\r\n{person[0]}: {person[1]}\r\n\r\nx"
            connection.sendall(head.encode())
            opened.append(connection)
        assert eventually(lambda: len(select.select(opened, [], [], 0)[0]) >= 5, START)
        time.sleep(0.2)
        refused = [read_response(connection) for connection in select.select(opened, [], [], 0)[0]]
        assert [failure(answer) for answer in refused] == [(429, "words")] * 5
        assert failure(limited.request("GET", "/api/x", headers=[person])) == (429, "JSON")
        for headers in ([("X-Forwarded-For", office)], [("X-Forwarded-For", office), cookie_of("other@example.com")]):
            assert limited.request("GET", "/static/", headers=headers).status == 200
    assert all("more requests under way" in problem for problem in problems(limited, refused, status=429))


# What is remembered of the login's word


@with_login
def test_the_login_is_asked_once_in_five_seconds_about_the_same_cookies(gateway: RunningGateway) -> None:
    vouch_by_cookie(gateway)
    login = gateway.upstreams[LOGIN]
    me = [cookie_of("remembered@example.com")]
    began = time.monotonic()
    for _ in range(50):
        assert claims(arrives_again(gateway, "/api/x", me))["email"] == "remembered@example.com"
    assert time.monotonic() - began < 4
    assert len(login.requests) == 1
    # Then it is asked anew, and what it says now counts.
    login.answer = lambda _: Answer(status=202, headers={"X-Auth-Request-Email": "renamed@example.com"})

    def renamed() -> bool:
        return bool(claims(arrives_again(gateway, "/api/x", me))["email"] == "renamed@example.com")

    assert eventually(renamed, START)
    assert 4 <= time.monotonic() - began <= 5.5


def arrives_again(gateway: RunningGateway, target: str, headers: Sequence[tuple[str, str]]) -> Request:
    """What arrives at the backend, for one of many requests."""
    backend = gateway.upstreams["backend"]
    backend.requests.clear()
    assert gateway.request("GET", target, headers=headers).status == 200
    (request,) = backend.requests
    return request


@with_login
def test_who_is_remembered_is_forgotten_in_five_seconds_whatever_the_login_says(gateway: RunningGateway) -> None:
    words = {"nobody": 401, "refused": 403, "broken": 500, "away": 0}
    refused = {"nobody": 401, "refused": 403, "broken": 503, "away": 503}

    def ask_all() -> dict[str, int]:
        return {
            person: gateway.request("GET", "/api/x", headers=[cookie_of(f"{person}@example.com")]).status
            for person in words
        }

    def says(request: Request) -> Answer:
        return Answer(status=words[request.headers["Cookie"].removeprefix("__Host-login=").partition("@")[0]])

    vouch_by_cookie(gateway)
    assert ask_all() == dict.fromkeys(words, 200)
    began = time.monotonic()
    gateway.upstreams[LOGIN].answer = says
    while (statuses := ask_all()) == dict.fromkeys(words, 200):
        assert time.monotonic() - began < 5.5
        time.sleep(0.05)  # they are remembered for seconds: to ask at every moment would take a whole processor
    assert time.monotonic() - began > 3.9
    # They were asked about one after the other.
    assert eventually(lambda: ask_all() == refused, 1), statuses
    # Only its word brings them back, at once.
    vouch_by_cookie(gateway)
    assert ask_all() == dict.fromkeys(words, 200)


@with_login
def test_nothing_is_remembered_of_a_refusal_or_for_other_cookies(gateway: RunningGateway) -> None:
    login = gateway.upstreams[LOGIN]
    gateway.forget()
    me = "__Host-login=late@example.com"
    for _ in range(3):
        assert gateway.request("GET", "/api/x", headers=[("Cookie", me)]).status == 401
    assert len(login.requests) == 3
    vouch_by_cookie(gateway)
    assert gateway.request("GET", "/api/x", headers=[("Cookie", me)]).status == 200
    asked = len(login.requests)
    # Every byte of the cookies belongs to the question.
    others = [
        me + "x",
        me[:-1],
        me.upper(),
        f"{me}; a=b",
        f"a=b; {me}",
        f" {me}",
        f"{me};",
        me.replace("late", "l\xe4te"),
    ]
    login.answer = lambda _: Answer(status=401)
    for other in others:
        assert gateway.request("GET", "/api/x", headers=[("Cookie", other)]).status == (
            200 if other.strip() == me else 401
        )
    assert len(login.requests) == asked + len(others) - 1
    assert gateway.request("GET", "/api/x", headers=[("Cookie", "__Host-login=x"), ("Cookie", me)]).status == 401
    assert gateway.request("GET", "/api/x").status == 401
    assert gateway.request("GET", "/api/x", headers=[("Cookie", me)]).status == 200


@with_login
def test_no_answer_about_one_person_is_given_for_another_among_many_at_once(
    gateway: RunningGateway, long: bool
) -> None:
    vouch_by_cookie(gateway)

    def ask(number: int) -> tuple[str, str]:
        person = f"person{number % 50}@example.com"
        response = gateway.request("GET", f"/api/{person}", headers=[cookie_of(person)])
        return str(response.status), person

    with ThreadPoolExecutor(16) as clients:
        assert {status for status, _ in clients.map(ask, range(1000 if long else 400))} == {"200"}
    for request in gateway.arrived["backend"]:
        assert claims(request)["email"] == request.target.removeprefix("/api/")
    assert 50 <= len(gateway.upstreams[LOGIN].requests) <= 50 * 16


@with_login
def test_a_person_is_remembered_by_the_address_that_services_are_told(gateway: RunningGateway) -> None:
    me = [("Cookie", "__Host-login=spelled")]
    gateway.sign_in("Mixed.Case@EXAMPLE.com")
    told = [claims(arrives_again(gateway, "/api/x", me))["email"] for _ in range(2)]
    assert told == ["mixed.case@example.com"] * 2
    assert len(gateway.upstreams[LOGIN].requests) == 1


@with_login
def test_what_is_remembered_decides_no_right_of_its_own(gateway: RunningGateway) -> None:
    vouch_by_cookie(gateway)
    for person, status in ((ALICE, 403), (ADMINISTRATOR, 200)):
        for _ in range(3):
            assert gateway.request("GET", "/grafana/", headers=[cookie_of(person)]).status == status
    assert len(gateway.upstreams[LOGIN].requests) == 2


@requires("nginx")
def test_the_login_is_asked_each_time_where_nothing_shall_be_remembered(tmp_path: Path) -> None:
    login = PROD.login
    assert isinstance(login, OAuth2ProxySettings)
    AiInterviewer(replace(PROD, login=replace(login, remembered_seconds=0)), outdir=tmp_path).synth()
    with running_gateway(read_manifests(tmp_path), limited=False) as gateway:
        vouch_by_cookie(gateway)
        for _ in range(10):
            assert gateway.request("GET", "/api/x", headers=[cookie_of("me@example.com")]).status == 200
        assert len(gateway.upstreams[LOGIN].requests) == 10


# The size of heads, at every link

HEAD = 8 * 1024


def ingress_nginx(gateway: RunningGateway, annotations: Mapping[str, str], folder: Path) -> str:
    """The part of ingress-nginx's configuration that bounds heads: its defaults, and what the Ingress says."""
    size = annotations.get("nginx.ingress.kubernetes.io/proxy-buffer-size", "4k")
    return f"""
        pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}
        http {{
            access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/a; uwsgi_temp_path {folder}/b; scgi_temp_path {folder}/c;
            large_client_header_buffers 4 8k;
            server {{
                listen {LOCALHOST}:PORT;
                location / {{
                    proxy_pass http://{LOCALHOST}:{gateway.port};
                    proxy_buffer_size {size}; proxy_buffers 4 {size};
                    proxy_set_header Host $host;
                    proxy_set_header X-Forwarded-Proto https;
                    proxy_set_header X-Forwarded-For $remote_addr;
                }}
            }}
        }}"""


@pytest.fixture
def behind_ingress(
    manifests: Manifests, gateways: Callable[[str], RunningGateway], tmp_path: Path
) -> Generator[RunningGateway, None, None]:
    """Production's gateway, reached by way of what ingress-nginx would be."""
    gateway = fresh(gateways(WITH_LOGIN[0]))
    (ingress,) = (manifest for manifest in manifests(WITH_LOGIN[0]) if manifest["kind"] == "Ingress")
    annotations = cast("dict[str, dict[str, str]]", ingress["metadata"])["annotations"]
    port = free_port()
    text = ingress_nginx(gateway, annotations, tmp_path).replace("PORT", str(port))
    (tmp_path / "nginx.conf").write_text(text)
    program = shutil.which("nginx")
    assert program, "nginx was not asked for"
    command = [program, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-g", "daemon off;"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            assert eventually(lambda: listens(port), START)
            pod = replace(
                gateway.pod, loopback=replace(gateway.pod.loopback, ports={**gateway.pod.loopback.ports, 8080: port})
            )
            yield replace(gateway, pod=pod)
        finally:
            process.terminate()


def head_of(size: int, status: int = 200) -> dict[str, str]:
    """Headers that make the head of a stub's answer this long, from the first line to the empty one."""
    usual = {"Content-Length": "4", "X-Filling": ""}
    stub = len(f"HTTP/1.1 {status} OK\r\nServer: \r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n")
    stub += len(f"{BaseHTTPRequestHandler.server_version} {BaseHTTPRequestHandler.sys_version}")
    stub += sum(len(f"{name}: {value}\r\n") for name, value in usual.items())
    return {"X-Filling": "x" * (size - stub)}


@pytest.mark.parametrize("status", [200, 302, 404])
def test_the_head_of_an_answer_arrives_as_long_as_it_may_be(behind_ingress: RunningGateway, status: int) -> None:
    """Less what the gateway itself says, to which the controller adds nothing."""
    # A browser is sent cookies of 4 KiB at most, so two of them.
    for size in (HEAD // 2, HEAD - 1000):
        filling = head_of(size)
        behind_ingress.upstreams["backend"].answer = partial(
            lambda said, _: said, Answer(status=status, headers=filling, body=b"body")
        )
        response = behind_ingress.request("GET", "/api/x")
        assert (response.status, response.body) == (status, b"body")
        assert response.headers["X-Filling"] == filling["X-Filling"]


@pytest.mark.parametrize(
    ("path", "upstream"), [("/api/x", "backend"), ("/grafana/", "grafana"), ("/oauth2/start", LOGIN)]
)
def test_an_answer_with_a_longer_head_is_refused_and_the_log_says_why(
    behind_ingress: RunningGateway, path: str, upstream: str
) -> None:
    longer = head_of(HEAD + 1)
    behind_ingress.upstreams[upstream].answer = lambda _: Answer(headers=longer, body=b"body")
    refused = behind_ingress.request("GET", f"{path}?code=s3cr3t")
    assert refused.status == 502
    (line,) = behind_ingress.logged(refused)
    assert (line["service"], line["problem"]) == (upstream, "the head of its answer is longer than 8192 bytes")
    assert "s3cr3t" not in behind_ingress.pod.output


def test_the_gateway_takes_a_head_that_just_fits(gateway: RunningGateway) -> None:
    gateway.upstreams["backend"].answer = lambda _: Answer(headers=head_of(HEAD - 1), body=b"body")
    assert gateway.request("GET", "/api/x").body == b"body"


@with_login
def test_the_login_s_answer_is_as_long_as_any_other(gateway: RunningGateway) -> None:
    def vouched(size: int) -> Callable[[Request], Answer]:
        headers = {"X-Auth-Request-Email": ALICE}
        extra = sum(len(f"{name}: {value}\r\n") for name, value in headers.items())
        return lambda _: Answer(status=202, headers={**headers, **head_of(size - extra, 202)}, body=b"body")

    gateway.upstreams[LOGIN].answer = vouched(HEAD - 100)
    assert gateway.request("GET", "/api/x").status == 200
    gateway.upstreams[LOGIN].answer = vouched(HEAD + 100)
    refused = gateway.request("GET", "/api/x")
    assert refused.status == 503
    (told,) = problems(gateway, [refused], status=503)
    assert told == "the login failed: a head that is longer than 8192 bytes"


def test_a_request_s_head_arrives_as_long_as_it_may_be(behind_ingress: RunningGateway) -> None:
    cookie = "a=" + "b" * (HEAD - len("Cookie: a=\r\n") - 1)
    _, request = arrives(behind_ingress, "GET", "/grafana/", headers=[("Cookie", cookie)])
    assert request.headers["Cookie"] == cookie
    behind_ingress.forget()
    behind_ingress.sign_in(ADMINISTRATOR)
    target = "/api/x?" + "y" * (HEAD - len("GET /api/x? HTTP/1.1\r\n") - 1)
    assert arrives(behind_ingress, "GET", target)[1].target == target


@requires("nginx")
def test_the_longest_head_that_the_gateway_passes_on_is_one_that_uvicorn_takes(
    manifests: Manifests, tmp_path: Path
) -> None:
    """The backend and the agents are served by it."""
    (tmp_path / "app.py").write_text(
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'http':\n"
        "        size = sum(len(name) + len(value) + 4 for name, value in scope['headers'])\n"
        "        await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "        await send({'type': 'http.response.body', 'body': str(size).encode()})\n"
    )
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "--host", LOCALHOST, "--port", str(port), "--lifespan", "off"]
    words += ["--http", "h11", "--app-dir", str(tmp_path), "app:app"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            assert eventually(lambda: listens(port), START)
            with running_gateway(manifests("dev"), real={"backend": port}) as gateway:
                target = "/api/x?" + "y" * (HEAD - 200)
                lines = [(f"X-{number}", "z" * (HEAD - 100)) for number in range(2)]
                response = gateway.request("GET", target, headers=lines)
                assert response.status == 200
                assert int(response.body) > 2 * (HEAD - 100)
        finally:
            process.terminate()


def test_a_longer_line_of_a_request_s_head_is_refused_and_the_log_says_why(gateway: RunningGateway) -> None:
    refused = [
        gateway.request("GET", "/api/x?" + "s3cr3t" * HEAD),
        gateway.request("GET", "/api/x", headers=[("Cookie", "s3cr3t" * HEAD)]),
        gateway.request("GET", "/x", headers=[(f"X-{n}", "y" * 7000) for n in range(9)]),
    ]
    assert [failure(answer) for answer in refused] == [(414, "words"), (431, "JSON"), (431, "words")]
    assert [line["problem"] for line in gateway.logged(*refused)] == [
        "the request's first line is longer than 8192 bytes",
        *["a line of the request's head, or all of it, is too long: a line may have 8192 bytes"] * 2,
    ]
    assert "s3cr3t" not in gateway.pod.output
    assert not gateway.arrived


# What is stored of its log


def test_a_line_is_found_by_its_level_and_by_the_request(gateway: RunningGateway, manifests: Manifests) -> None:
    answers = [gateway.request("GET", path) for path in ("/api/interviews", "/api/x//y", "/api/interviews")]
    gateway.logged(*answers)
    lines = Pipeline.of(manifests("prod")).read("nginx-gateway", "nginx-gateway", gateway.pod.output)
    levels = {line.metadata["request_id"]: line.level for line in lines}
    wanted = {answer.request_id: "warn" if answer.status >= 400 else "info" for answer in answers}
    assert {request_id: levels[request_id] for request_id in wanted} == wanted
    assert set(wanted.values()) == {"info", "warn"}


# Why a service gave no answer


@requires("nginx")
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "hung up without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "its answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\n\r\n", "the head of its answer is longer than 8192 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", "the answer was cut short"),
    ],
    ids=["nothing", "noise", "too long a head", "half"],
)
def test_why_a_service_gave_no_answer_is_in_the_log_and_the_query_is_not(
    manifests: Manifests, answer: bytes, problem: str
) -> None:
    class Broken(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer((LOCALHOST, 0), Broken) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with running_gateway(manifests("dev"), real={"backend": int(server.server_address[1])}) as gateway:
            paths = {"called-it": "/api/x?token=s3cr3t", "looked-at": "/static/x?token=s3cr3t"}
            for request_id, path in paths.items():
                with suppress(IncompleteRead, RemoteDisconnected):
                    assert gateway.request("GET", path, headers=[("X-Request-ID", request_id)]).status == 502
            lines = gateway.logged(*paths)
            assert [(line["service"], line["problem"]) for line in lines] == [("backend", problem)] * 2
            assert "s3cr3t" not in gateway.pod.output
            stored = Pipeline.of(manifests("dev")).read("nginx-gateway", "nginx-gateway", gateway.pod.output)
            assert [line.level for line in stored] == ["error"] * 2
        server.shutdown()


# A WebSocket


def test_grafana_speaks_through_a_websocket(gateway: RunningGateway) -> None:
    head = f"GET /grafana/api/live/ws HTTP/1.1\r\nHost: {gateway.host}\r\nX-Forwarded-Proto: https\r\n"
    asked = str(uuid4())
    with gateway.connect() as connection:
        sent = (*UPGRADE, ("X-Request-ID", asked))
        connection.sendall((head + "".join(f"{name}: {value}\r\n" for name, value in sent) + "\r\n").encode())
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nUpgrade: websocket\r\n" in answer
        for said in (b"\x81\x05hello", b"\x81\x05again"):
            connection.sendall(said)
            assert connection.recv(4096) == said
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096) == b""
    (line,) = gateway.logged(asked)
    assert (line["status"], line["problem"]) == (101, "")
    assert [request.target for request in gateway.arrived["grafana"]] == ["/grafana/api/live/ws"]


@pytest.mark.parametrize("target", [*PUBLIC, *SIGNED_IN])
def test_nothing_else_is_upgraded(gateway: RunningGateway, target: str) -> None:
    _, request = arrives(gateway, "GET", target, headers=UPGRADE)
    assert (request.headers["Upgrade"], request.headers["Connection"]) == (None, None)


# Time: a gateway whose routes have little of it


ALIASES = ("www.shop.local", "shop.example.com")


@contextmanager
def before_one_service(
    folder: Path, login: Login, routes_to: Callable[[Workload], tuple[Route, ...]], aliases: tuple[str, ...] = ()
) -> Generator[RunningGateway, None, None]:
    """A gateway of an application that has but one service."""
    application = Application(ApplicationSettings(name="ai-interviewer"), outdir=folder)
    phase = Phase(application, "access")
    compute = Compute(cpu="100m", memory="64Mi", cpu_limit="200m", memory_limit="128Mi")
    image, user = images.OPENRESTY, User(uid=1000, gid=1000)
    container = Container(
        name="backend",
        image=image,
        user=user,
        compute=compute,
        ports=(Port(number=8000),),
        probes=NoProbes(because="No test starts it."),
    )
    backend = Workload(phase, WorkloadSettings(name="backend", container=container))
    settings = GatewaySettings(image=image, compute=compute, host="shop.local", aliases=aliases, https=False)
    Gateway(phase, settings, routes_to(backend), login)
    close(phase)
    application.synth()
    with running_gateway(read_manifests(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory, needs_nginx: Path) -> Generator[RunningGateway, None, None]:
    def routes_to(backend: Workload) -> tuple[Route, ...]:
        public, signed_in = Audience.PUBLIC, Audience.SIGNED_IN
        return (
            Route(path="/", to=backend, audience=public, timeout_seconds=2),
            Route(path="/api/", to=backend, audience=signed_in, timeout_seconds=2, rate=RateLimit()),
            Route(path="/api/few/", to=backend, audience=public, rate=RateLimit(per_second=1, burst=3)),
        )

    folder = tmp_path_factory.mktemp("hurried")
    with before_one_service(folder, DevIdentity(email=DEVELOPER), routes_to, ALIASES) as running:
        yield running


@pytest.fixture(scope="module")
def open_to_all(tmp_path_factory: pytest.TempPathFactory, needs_nginx: Path) -> Generator[RunningGateway, None, None]:
    """A gateway before which nobody signs in."""

    def routes_to(backend: Workload) -> tuple[Route, ...]:
        limited = RateLimit(per_second=1, burst=3)
        return (
            Route(path="/", to=backend, audience=Audience.PUBLIC, rate=limited),
            Route(path="/v1/", to=backend, audience=Audience.PUBLIC, authorization=True),
        )

    with before_one_service(tmp_path_factory.mktemp("open"), NoLogin(), routes_to) as running:
        yield running


def test_without_a_login_everyone_is_served_and_nobody_is_taken_at_their_word(open_to_all: RunningGateway) -> None:
    said = [("X-Auth-Request-Email", "me@example.com"), ("Authorization", "Bearer me"), ("X-Api-Key", "mine")]
    service, request = arrives(open_to_all, "POST", "/api/trips", headers=[*said, ("Cookie", "__Host-login=me")])
    assert service == "backend"
    assert (request.headers["X-Auth-Request-Email"], request.headers["Authorization"]) == (None, None)
    assert (request.headers["X-Api-Key"], request.headers["Cookie"]) == ("mine", None)
    answers = [open_to_all.request("GET", "/api/trips", headers=[]) for _ in range(5)]
    assert [answer.status for answer in answers][-1] == 429


FORGERIES = (
    *("X-Auth-Request-Email", "X-Auth-Request-Role", "X-Forwarded-User", "X-Forwarded-Email", "Remote-User"),
    *("X-Remote-User", "X-User-Id", "X-Authorization", "Proxy-Authorization", "X-Auth-Token", "X-Grafana-Id"),
)


@pytest.mark.parametrize("value", ["Bearer a.b-c_d/e+f==", "Basic bWU6eA==", "bearer x"])
def test_a_service_that_asks_for_tokens_of_its_own_is_told_them_and_nothing_else_that_says_who_one_is(
    open_to_all: RunningGateway, value: str
) -> None:
    forged = [(name, "admin@example.com") for name in FORGERIES]
    open_to_all.forget()
    said = [*forged, ("authorization", value), ("Cookie", "a=b")]
    _, request = arrives(open_to_all, "POST", "/v1/trips", headers=said)
    assert request.headers.get_all("Authorization") == [value]
    assert not [name for name in (*FORGERIES, "Cookie") if name in request.headers]
    open_to_all.forget()
    _, request = arrives(open_to_all, "GET", "/v1/trips", headers=[])
    assert "Authorization" not in request.headers
    # Nobody can say which of two is meant.
    both = [("Authorization", value), ("authorization", "Bearer other")]
    assert open_to_all.request("GET", "/v1/trips", headers=both).status == 400


def test_the_refusal_of_a_service_that_asks_itself_comes_back_as_it_is(open_to_all: RunningGateway) -> None:
    open_to_all.forget()
    said = Answer(status=401, headers={"WWW-Authenticate": 'Bearer realm="trips"'}, body=b"a token, please")
    open_to_all.upstreams["backend"].answer = lambda _: said
    answer = open_to_all.request("GET", "/v1/trips", headers=[("Authorization", "Bearer old")])
    open_to_all.forget()
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="trips"')
    assert answer.body == b"a token, please"


@pytest.mark.parametrize("target", ["/", "/api/x?y=z", "/static/a;b", "/-/healthy", "/oauth2/start"])
def test_another_name_leads_to_the_same_path_of_the_host_and_serves_nothing(
    hurried: RunningGateway, target: str
) -> None:
    hurried.forget()
    for alias in ALIASES:
        response = hurried.request("GET", target, headers=[("Host", alias)])
        assert (response.status, response.headers["Location"]) == (308, f"http://shop.local{target}"), alias
    stranger = hurried.request("GET", "/", headers=[("Host", f"x.{ALIASES[0]}")])
    assert failure(stranger) == (421, "words")
    assert not hurried.arrived


def test_an_answer_may_take_as_long_as_its_route_says_and_no_longer(hurried: RunningGateway) -> None:
    hurried.forget()
    over = threading.Event()

    def after(seconds: float) -> Answer:
        over.wait(seconds)
        return Answer(body=b"at last")

    hurried.upstreams["backend"].answer = lambda request: after(1.5 if "soon" in request.target else 3)
    with ThreadPoolExecutor() as clients:
        targets = ("/api/soon", "/soon", "/api/late", "/late")
        told = [clients.submit(hurried.request, "GET", target) for target in targets]
        assert [(answer.result().status, answer.result().body) for answer in told[:2]] == [(200, b"at last")] * 2
        late = [answer.result() for answer in told[2:]]
        assert [failure(answer) for answer in late] == [(504, "JSON"), (504, "words")]
        over.set()
    assert problems(hurried, late, status=504) == ["silent for too long"] * 2


def test_a_client_gets_what_the_limit_says_and_one_more_is_refused(hurried: RunningGateway) -> None:
    hurried.forget()
    statuses = [hurried.request("GET", "/api/few/").status for _ in range(5)]
    assert statuses == [200, 200, 200, 200, 429]
    assert len(hurried.arrived["backend"]) == 4
    assert hurried.request("GET", "/api/few/", headers=[("X-Forwarded-For", "203.0.113.9")]).status == 200


def test_calls_that_wait_for_a_model_may_take_five_minutes(gateway: RunningGateway) -> None:
    waits = ['"/api/"'] if has_login(gateway) else ['"/api/"', *(f'= "/mcp/{agent}"' for agent in AGENTS)]
    for location in waits:
        lines = block(gateway, location)
        assert {"proxy_read_timeout 300s;", "proxy_send_timeout 300s;"} <= set(lines)
    assert "proxy_read_timeout 60s;" in block(gateway, '"/"')


# Services that come, move and stay away


@requires("nginx")
@pytest.mark.parametrize("environment", grid(EVERY, short=SHARED))
def test_it_starts_without_services_and_finds_one_that_appears(manifests: Manifests, environment: str) -> None:
    with running_gateway(manifests(environment), resolvable=False) as gateway:
        addresses = gateway.dns.addresses
        fresh(gateway)
        assert {probe(gateway.pod.spec[kind], gateway.pod) for kind in PROBES} == {"200"}
        if has_login(gateway):
            addresses[f"{PREFIX}{LOGIN}.{DOMAIN}"] = LOCALHOST
        assert failure(gateway.request("GET", "/api/interviews")) == (503, "JSON")
        missing = gateway.request("GET", "/static/")
        assert failure(missing) == (503, "words")
        addresses[f"{PREFIX}backend.{DOMAIN}"] = LOCALHOST
        assert eventually(lambda: gateway.request("GET", "/api/interviews").status == 200, START)
        found = gateway.request("GET", "/static/")
        assert found.status == 200
        assert failure(gateway.request("GET", "/grafana/")) == (503, "words")
        addresses[f"{PREFIX}grafana.{DOMAIN}"] = ELSEWHERE
        away = gateway.request("GET", "/grafana/")
        assert failure(away) == (502, "words")
        assert [line["problem"] for line in gateway.logged(missing, found, away)] == [
            f"no address for {PREFIX}backend.{DOMAIN}: code 3",
            "",
            "no connection",
        ]
        assert gateway.pod.process.poll() is None


@requires("nginx")
@pytest.mark.parametrize("environment", ["dev"])
def test_a_service_that_moves_is_followed_and_one_that_the_dns_forgets_is_kept(
    manifests: Manifests, environment: str
) -> None:
    """One wait for both: a known address is used for seconds without asking."""
    with running_gateway(manifests(environment)) as gateway, ExitStack() as stack:
        old = gateway.upstreams["backend"]
        new = stack.enter_context(StubUpstream("moved", "127.0.0.2", old.port))
        assert gateway.request("GET", "/").body == b"backend"
        gateway.dns.addresses[f"{PREFIX}backend.{DOMAIN}"] = "127.0.0.2"
        moved = time.monotonic()
        assert eventually(lambda: gateway.request("GET", "/").body == b"moved", START)
        assert time.monotonic() - moved < 10
        assert new.requests

        # Each of these was learned before the DNS fell silent, and has to be asked for again by now.
        gateway.dns.silent = True
        asked = len(gateway.dns.asked)
        statuses = list[int]()

        def asks_again() -> bool:
            statuses.append(gateway.request("GET", "/").status)
            return len(gateway.dns.asked) > asked

        assert eventually(asks_again, START)
        began = time.monotonic()
        statuses += [gateway.request("GET", "/").status for _ in range(3)]
        assert set(statuses) == {200}
        assert time.monotonic() - began < 3  # and nobody waits for the DNS


def test_connections_to_services_are_kept_open(gateway: RunningGateway) -> None:
    backend = gateway.upstreams["backend"]
    gateway.request("GET", "/")
    before, began = backend.connections, time.monotonic()
    for target in ("/", "/static/app.js", "/api/interviews") * 10:
        assert gateway.request("GET", target).status == 200
    assert len(backend.requests) == 31
    # Each worker has connections of its own, and another one each three seconds.
    turns = 1 + (time.monotonic() - began) // 3
    assert backend.connections - before <= worker_count(gateway) * turns


def test_no_connection_is_kept_for_longer_than_a_pod_that_is_to_end_waits(gateway: RunningGateway) -> None:
    """It leads to that pod however often it is used: who asks all the time would go on to ask there."""
    backend = gateway.upstreams["backend"]
    before, began = backend.connections, time.monotonic()
    while time.monotonic() - began < 3.5 * worker_count(gateway):
        assert gateway.request("GET", "/health").status == 200
        time.sleep(0.02)
    assert backend.connections - before > worker_count(gateway)


def worker_count(gateway: RunningGateway) -> int:
    """How many workers it has."""
    configuration = (gateway.mounts["/etc/gateway"] / "nginx.conf").read_text()
    return int(re.findall(r"worker_processes (\d+);", configuration)[0])


@with_login
def test_the_login_is_asked_over_a_connection_of_its_own_for_each_request(gateway: RunningGateway) -> None:
    login = gateway.upstreams[LOGIN]
    before = login.connections
    for _ in range(20):
        assert gateway.request("GET", "/").status == 200
    assert (len(login.requests), login.connections - before) == (20, 20)


def test_a_kept_connection_that_the_service_closed_costs_no_answer(gateway: RunningGateway) -> None:
    backend = gateway.upstreams["backend"]
    for _ in range(10):
        backend.answer = lambda _: Answer(headers={"Connection": "close"})
        assert gateway.request("GET", "/").status == 200
        backend.forget()
        assert gateway.request("GET", "/").status == 200


# Its own coming and going


@pytest.fixture
def passing(manifests: Manifests, needs_nginx: Path) -> Generator[RunningGateway, None, None]:
    """A gateway that a test may end."""
    with running_gateway(manifests("prod")) as running:
        yield fresh(running)


def workers_of(gateway: RunningGateway) -> set[str]:
    pid = gateway.pod.process.pid
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def test_who_is_being_served_when_it_is_told_to_stop_gets_the_answer(passing: RunningGateway) -> None:
    backend, go = passing.upstreams["backend"], threading.Event()

    def slow(request: Request) -> Answer:
        assert go.wait(START)
        return Answer(body=request.target.encode() * 10_000)

    backend.answer = slow
    targets = [f"/page/{number}" for number in range(20)]
    with ThreadPoolExecutor(len(targets)) as clients:
        told = [clients.submit(passing.request, "GET", target) for target in targets]
        assert eventually(lambda: len(backend.requests) == len(targets), START)
        passing.pod.process.send_signal(signal.SIGQUIT)
        assert eventually(lambda: not listens(passing.port), START)
        assert passing.pod.process.poll() is None
        go.set()
        assert [answer.result().body for answer in told] == [target.encode() * 10_000 for target in targets]
    assert passing.pod.process.wait(START) == 0


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((LOCALHOST, port)) == 0


def test_reloading_under_load_loses_no_request(passing: RunningGateway) -> None:
    backend, over, numbers = passing.upstreams["backend"], threading.Event(), count()

    def somebody(_: Request) -> Answer:
        return Answer(status=202, headers={"X-Auth-Request-Email": f"person-{next(numbers)}@example.com"})

    def load() -> list[int]:
        statuses = list[int]()
        while not over.is_set():
            statuses.append(passing.request("GET", "/").status)
        return statuses

    # Each from a person of their own, so that no limit is met.
    passing.upstreams[LOGIN].answer = somebody

    def renewed(old: set[str]) -> bool:
        return not old & workers_of(passing)

    def answered(number: int) -> bool:
        return len(backend.requests) > number

    first = workers_of(passing)
    with ThreadPoolExecutor(4) as clients:
        loads: list[Future[list[int]]] = [clients.submit(load) for _ in range(4)]
        try:
            for _ in range(3):
                before, seen = workers_of(passing), len(backend.requests)
                passing.pod.process.send_signal(signal.SIGHUP)
                assert eventually(partial(renewed, before), START)
                assert eventually(partial(answered, seen + 100), START)
        finally:
            over.set()
        statuses = [status for answers in loads for status in answers.result()]
    assert not first & workers_of(passing)
    assert len(statuses) == len(backend.requests) > 300
    assert set(statuses) == {200}


# What it writes


def test_it_writes_a_line_of_json_for_each_request_without_secrets(gateway: RunningGateway) -> None:
    secret = "s3cr3t"
    said = [
        ("Authorization", f"Bearer {secret}"),
        ("Cookie", f"__Host-login={secret}; session={secret}"),
        ("X-Request-ID", f'"{secret}'),
        ("Referer", f"https://{gateway.host}/?{secret}"),
        ("User-Agent", secret),
        ("X-Api-Key", secret),
        ("X-Forwarded-For", "203.0.113.77"),
    ]
    backend = gateway.upstreams["backend"]
    backend.answer = lambda _: Answer(headers={"Set-Cookie": f"a={secret}", "X-Token": secret}, body=secret.encode())
    got = list[Response]()

    def ask(method: str, path: str, *, body: bytes = b"", headers: Sequence[tuple[str, str]] = said) -> None:
        got.append(gateway.request(method, f"{path}?token={secret}&code={secret}", body=body, headers=headers))

    asked = [
        ("GET", "/", 200),
        ("POST", "/api/interviews", 200),
        ("GET", "/static/a%22b%5b", 200),
        ("GET", "/api", 301),
    ]
    asked += [("GET", "/api/a;b", 400), ("PUT", "/grafana/", 200)]
    for method, path, _ in asked:
        ask(method, path, body=secret.encode())
    # Failures are where a log tells most.
    handed_over = [request.headers["Authorization"] for request in gateway.arrived["backend"]]
    backend.answer = hang_up
    refused = [("POST", "/api/x", 502), ("GET", "/static/x", 502)]
    for method, path, _ in refused:
        ask(method, path, body=secret.encode())
    too_large = bytes(2 * MEBIBYTE)
    ask("POST", "/", body=too_large)
    asked += [*refused, ("POST", "/", 413)]
    if has_login(gateway):
        gateway.upstreams[LOGIN].answer = hang_up
        other = [("Cookie", f"__Host-login=not-{secret}"), *(header for header in said if header[0] != "Cookie")]
        ask("GET", "/api/y", headers=other)
        ask("GET", "/oauth2/callback")
        asked += [("GET", "/api/y", 503), ("GET", "/oauth2/callback", 502)]
    healthy = gateway.request("GET", "/-/healthy")
    assert healthy.status == 200
    lines = gateway.logged(*got)
    assert [answer.status for answer in got] == [status for _, _, status in asked]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == asked
    assert healthy.request_id not in gateway.pod.output, "is not worth a line"
    assert {line["client"] for line in lines} == {"203.0.113.77"}
    assert {line["host"] for line in lines} == {gateway.host}
    assert all(re.fullmatch(r"[0-9a-f]{32}", line["request_id"]) for line in lines)
    (page,) = (line for line in lines if (line["path"], line["status"]) == ("/", 200))
    assert page["user"] == (ADMINISTRATOR if has_login(gateway) else DEVELOPER)
    assert (page["service"], page["service_status"].split(" ")[-1]) == ("backend", "200")
    assert {line["user"] for line in lines if line["path"].startswith("/static/")} == {""}
    told = {(line["path"], line["status"]): line["problem"] for line in lines}
    assert {problem for (_, status), problem in told.items() if status < 500} == {""}
    assert told["/api/x", 502] == told["/static/x", 502] == "hung up without an answer"
    written = gateway.pod.output
    assert secret not in written
    for token in filter(None, handed_over):
        assert token.split(".")[1] not in written


def test_its_log_stays_json_whatever_arrives(gateway: RunningGateway) -> None:
    sent = [
        b"GET / HTTP/1.0\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b'G"ET / HTTP/1.1\r\n\r\n',
        b'GET /static/"\\\x01\xff?s3cr3t HTTP/1.1\r\nHost: x"y\r\n\r\n',
        b"GET /static/\xc3\xa4\xff?s3cr3t HTTP/1.1\r\nHost: " + gateway.host.encode() + b"\r\n\r\n",
        b"GET /?" + b"s3cr3t" * 20_000 + b" HTTP/1.1\r\nHost: " + gateway.host.encode() + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + gateway.host.encode() + b"\r\nX: " + b"s3cr3t" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ]
    answers = [gateway.send(raw) for raw in sent]
    assert all(answer.status >= 400 or b"static" in raw for answer, raw in zip(answers, sent, strict=True))
    assert all(isinstance(line["status"], int) for line in gateway.logged(*answers))
    assert "s3cr3t" not in gateway.pod.output


def test_a_line_that_is_written_late_is_found_and_taken_for_no_other(gateway: RunningGateway) -> None:
    """The gateway reads on after it has refused a body: the line is written when the client has gone."""
    head = f"POST / HTTP/1.1\r\nHost: {gateway.host}\r\nX-Forwarded-Proto: https\r\n"
    with gateway.connect() as connection:
        connection.sendall(f"{head}Content-Length: {2 * MEBIBYTE}\r\n\r\n".encode())
        refused = read_response(connection)
        assert refused.status == 413
        later = gateway.request("GET", "/static/x")
        (line,) = gateway.logged(later)
        assert (line["path"], line["status"]) == ("/static/x", 200)
        assert refused.request_id not in gateway.pod.output
    assert [line["status"] for line in gateway.logged(refused, later)] == [413, 200]


@pytest.mark.parametrize(("path", "told"), [("/api/x", "JSON"), ("/static/x", "words")])
def test_what_cannot_be_read_is_refused_in_the_clients_own_terms(gateway: RunningGateway, path: str, told: str) -> None:
    assert failure(gateway.request("GET", f"{path};y")) == (400, told)
    assert failure(gateway.request("GET", f"{path}?{'y' * 20_000}"))[0] == 414
    assert failure(gateway.request("GET", path, headers=[("X-Long", "y" * 20_000)])) == (431, told)
    assert not gateway.arrived


def test_what_nginx_itself_cannot_do_is_told_without_a_page_of_its_own(gateway: RunningGateway) -> None:
    head = f"Host: {gateway.host}\r\nX-Forwarded-Proto: https\r\n"
    for path, told in (("/api/x", "JSON"), ("/static/x", "words")):
        coded = f"POST {path} HTTP/1.1\r\n{head}Transfer-Encoding: gzip\r\n\r\n"
        assert failure(gateway.send(coded.encode())) == (501, told)
    # It has not read the path when it meets the version.
    assert failure(gateway.send(f"GET /api/x HTTP/3.0\r\n{head}\r\n".encode())) == (505, "words")
    assert not gateway.arrived


def test_it_runs_as_the_user_of_the_manifest(gateway: RunningGateway) -> None:
    expected = gateway.pod.spec["securityContext"]["runAsUser"] if os.geteuid() == 0 else os.geteuid()
    processes = {str(gateway.pod.process.pid), *workers_of(gateway)}
    assert len(processes) == 3
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in processes} == {expected} != {0}


def test_it_writes_nothing_but_its_scratch_space(gateway: RunningGateway) -> None:
    arrives(gateway, "POST", "/", bytes(MEBIBYTE // 2))  # more than it keeps in memory
    scratch, root = gateway.mounts["/tmp"], gateway.prefix.parent
    assert "client_body" in {path.name for path in scratch.iterdir()}
    others = {path for path in root.rglob("*") if path.is_file() and scratch not in path.parents}
    assert {str(path.relative_to(root)) for path in others} == {
        "bin/openresty",
        "etc/gateway/gateway.json",
        "etc/gateway/gateway.lua",
        "etc/gateway/location.conf",
        "etc/gateway/metrics.lua",
        "etc/gateway/nginx.conf",
        "output.txt",
        "resolv.conf",
    }


# Another kind of login, of one file that nothing else knows


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory, needs_nginx: Path) -> Generator[RunningGateway, None, None]:
    folder = tmp_path_factory.mktemp("portal")
    application = Application(ApplicationSettings(name="ai-interviewer"), outdir=folder)
    phase = Phase(application, "access")
    compute = Compute(cpu="100m", memory="64Mi")
    container = Container(
        name="backend",
        image=images.OPENRESTY,
        user=User(uid=1, gid=1),
        compute=compute,
        ports=(Port(number=8000),),
        probes=NoProbes(because="No test starts it."),
    )
    backend = Workload(phase, WorkloadSettings(name="backend", container=container))
    boards = Workload(
        phase,
        WorkloadSettings(
            name="boards",
            container=replace(container, name="boards"),
            identity_headers=IdentityHeaders(
                administrator="owner", other="guest", variables=variables({"BELIEVE_HEADERS": "true"})
            ),
        ),
    )

    def secret(name: str, *keys: str | IssuedKey | RandomKey) -> Secret:
        return Secret(phase, SecretSettings(name=name, keys=keys, source=ExistingSecrets()))

    kind: LoginSettings = PortalSettings(image=images.OPENRESTY, administrator=ADMINISTRATOR)
    login = kind.create(phase, secret)
    rate = RateLimit(per_second=50, burst=50)
    routes = (
        Route(path="/", to=backend, audience=Audience.SIGNED_IN, rate=rate, hand_over_identity=True),
        Route(path="/admin/", to=backend, audience=Audience.ADMINISTRATOR, rate=rate),
        Route(path="/boards/", to=boards, audience=Audience.SIGNED_IN, rate=rate, hand_over_identity=True),
        Route(path="/boards/public/", to=boards, audience=Audience.PUBLIC),
        # What nginx or Lua would take for something else, if it were not told as data.
        Route(path="/odd", to=backend, audience=Audience.PUBLIC, content_security_policy=ODD),
    )
    Gateway(phase, GatewaySettings(image=images.OPENRESTY, compute=compute, host="shop.example.com"), routes, login)
    close(phase)
    application.synth()
    with running_gateway(read_manifests(folder)) as running:
        running.upstreams["portal"].answer = lambda _: Answer(status=401)
        yield running


ODD = r"default-src 'self'; report-uri /\x2e/$host/${uri}/]]/@HOST@/%0a/--{}/\\"


def test_another_kind_of_login_vouches_at_its_own_path_with_its_own_headers(portal: RunningGateway) -> None:
    asked = portal.upstreams["portal"]
    portal.forget()
    asked.answer = lambda _: Answer(
        status=202, headers={"remote-email": ALICE, "REMOTE-USER": "7", "Remote-Name": "Alice"}
    )
    assert claims(arrives_at_backend(portal, "/x")) | {"iat": 0, "exp": 0} == {
        "email": ALICE,
        "name": "Alice",
        "provider": "portal",
        "sub": "7",
        "iat": 0,
        "exp": 0,
    }
    assert [request.target for request in asked.requests] == ["/api/verify"]
    assert portal.request("GET", "/admin/").status == 403
    # What vouches elsewhere is nobody's word here.
    asked.answer = lambda _: Answer(status=202, headers={"X-Auth-Request-Email": ADMINISTRATOR})
    assert portal.request("GET", "/admin/").status == 503
    asked.answer = lambda _: Answer(status=202, headers={"Remote-Email": ADMINISTRATOR})
    assert portal.request("GET", "/admin/").status == 200


@pytest.mark.parametrize(
    ("email", "name", "told"),
    [
        (ADMINISTRATOR, "Ann", [ADMINISTRATOR, "Ann", "owner"]),
        (ALICE.upper(), "Zoë", [ALICE, "Zoë", "guest"]),
        (ALICE, "", [ALICE, ALICE, "guest"]),
    ],
)
def test_what_reads_headers_is_told_who_asks_in_its_own_words(
    portal: RunningGateway, email: str, name: str, told: list[str]
) -> None:
    portal.forget()
    # As bytes: http.server writes Latin-1.
    said = {"Remote-Email": email, "Remote-Name": name.encode().decode("latin-1"), "Remote-User": "7"}
    portal.upstreams["portal"].answer = lambda _: Answer(status=202, headers=said)
    assert portal.request("GET", "/boards/x", headers=[("X-Auth-Request-Role", "owner")]).status == 200
    (request,) = portal.upstreams["boards"].requests
    heard = [request.headers.get_all(f"X-Auth-Request-{of}") for of in ("Email", "Name", "Role")]
    assert [[value.encode("latin-1").decode() for value in values or []] for values in heard] == [[v] for v in told]
    assert "Authorization" not in request.headers
    # Where nobody has to sign in, nobody is known, and what one says of oneself is not passed on.
    assert portal.request("GET", "/boards/public/x", headers=[("X-Auth-Request-Email", ADMINISTRATOR)]).status == 200
    (*_, request) = portal.upstreams["boards"].requests
    assert not [name for name in request.headers if name.lower().startswith("x-auth")]


def test_what_reads_headers_believes_them_where_a_gateway_sends_them_and_nowhere_else(
    tmp_path: Path, manifests: Manifests
) -> None:
    def believing(environment: str) -> dict[str, str]:
        deployment = find(manifests(environment), "Deployment", "ai-interviewer-grafana")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        return {v["name"]: v["value"] for v in container["env"] if v["name"].startswith("GF_AUTH_")}

    told = {"GF_AUTH_PROXY_ENABLED": "true", "GF_AUTH_DISABLE_SIGNOUT_MENU": "true"}
    assert believing("dev") == believing("prod") == told
    alone = Application(ApplicationSettings(name="shop"), outdir=tmp_path / "shop")
    phase = Phase(alone, "all")
    secret = Secret(
        phase, SecretSettings(name="grafana", keys=("admin-user", "admin-password"), source=ExistingSecrets())
    )
    grafana = Grafana(phase, GrafanaSettings(image=images.GRAFANA, compute=Compute(cpu="1", memory="1Gi")), secret)
    close(phase)
    alone.synth()
    names = {variable.name for variable in grafana.variables}
    assert "GF_SECURITY_ADMIN_PASSWORD" in names
    assert not names & set(told)


def arrives_at_backend(gateway: RunningGateway, target: str) -> Request:
    assert gateway.request("GET", target).status == 200
    (request,) = gateway.upstreams["backend"].requests
    return request


def test_another_kind_of_login_has_pages_of_its_own_and_no_others(portal: RunningGateway) -> None:
    asked = portal.upstreams["portal"]
    portal.forget()
    asked.answer = lambda _: Answer(status=401)
    sent = portal.request("GET", "/x?y=z")
    assert (sent.status, sent.headers["Location"]) == (302, "/oauth2/portal?rd=%2Fx%3Fy%3Dz")
    asked.answer = lambda _: Answer(body=b"page", headers={"Set-Cookie": "__Host-login=1; Secure"})
    for path, status in (("/oauth2/portal", 200), ("/oauth2/assets/x.css", 200), ("/oauth2/start", 404)):
        page = portal.request("GET", path, headers=[("Cookie", "__Host-login=0; a=b")])
        assert page.status == status, path
        if status == 200:
            assert asked.requests[-1].headers["Cookie"] == "__Host-login=0; a=b"
            assert page.headers.get_all("Set-Cookie") == ["__Host-login=1; Secure"]
            assert page.headers.get_all("Content-Security-Policy") == ["default-src 'self'"]


def test_what_a_setting_says_is_data_to_nginx_and_to_lua(portal: RunningGateway) -> None:
    portal.forget()
    answer = portal.request("GET", "/odd")
    assert (answer.status, answer.headers.get_all("Content-Security-Policy")) == (200, [ODD])


@pytest.mark.parametrize("text", ["a$b", "a\nb", "a\x00b", "a\x1bb"])
def test_what_nginx_cannot_be_told_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be told"):
        quoted(text)
    assert quoted('a "b" \\c; {d}') == '"a \\"b\\" \\\\c; {d}"'


def test_a_rate_that_one_environment_says_changes_its_own_lines_and_no_other(tmp_path: Path) -> None:
    def lines(folder: str, environment: EnvironmentSettings) -> list[str]:
        AiInterviewer(environment, outdir=tmp_path / folder).synth()
        return [line for path in sorted((tmp_path / folder).glob("*.yaml")) for line in path.read_text().splitlines()]

    usual = lines("usual", PROD)
    changed = lines("changed", replace(PROD, call_rate=RateLimit(per_second=41, burst=123)))
    differ = [(one, other) for one, other in zip(usual, changed, strict=True) if one != other]
    # Beside it the ConfigMap's content has another name, so that the pods are replaced.
    assert len(differ) == 2
    ((was, now),) = ((one, other) for one, other in differ if '"/api/": {' in other)
    assert now == was.replace('{"per_second": 20, "burst": 60}', '{"per_second": 41, "burst": 123}') != was
