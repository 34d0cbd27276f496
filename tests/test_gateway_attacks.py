"""This module is the proof that the rendered gateway holds: on a real nginx, attacks on it come to nothing.

A service must get nothing that it would not get from an honest client. Most tests therefore sign in as the
administrator first, so that it is not the login that stops the attack.
"""

import base64
import json
import re
import signal
import socketserver
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from answering import Answering
from conftest import Manifests, at_each, grid, requires
from environments import EVERY, SHARED
from gateway_harness import DOMAIN, LOGIN, PREFIX, Answer, Request, Response, RunningGateway, running_gateway
from mesh_harness import LOCALHOST, free_port

Header = tuple[str, str]
Arrival = tuple[str, str, str, list[Header], dict[str, object], bytes]
"""The service, and what it got: method, target, headers, whom it takes the client for, and body."""

AGENTS = ("pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent")
ADMIN = "admin@example.com"
ALICE = "alice@example.com"
HOST = {"dev": "ai-interviewer.local", "prod": "ai-interviewer.example.com"}
PUBLIC = ("/health", "/static/app.js")
PROTECTED = ("/", "/api/interviews", "/grafana/d/overview")
ADDRESSES = count(1)

FORGED = tuple(
    (name, ADMIN)
    for name in (
        *("Authorization", "Proxy-Authorization", "Authorization_", "X-Authorization"),
        *(f"X-Forwarded-{of}" for of in ("Host", "User", "Email", "Groups", "Preferred-Username", "Access-Token")),
        *(f"X-Forwarded-{of}" for of in ("Uri", "Prefix", "Port", "Server", "Proto-Version", "Client-Cert")),
        *(f"X-Auth-Request-{of}" for of in ("Email", "User", "Groups", "Preferred-Username", "Access-Token")),
        *("X-Auth-Request-Name", "X-Auth-Request-Role", "X_Auth_Request_Role", "X-Auth_Request_Name"),
        *("X-Auth-Request-Redirect", "X-Auth-User", "X-Auth-Email", "X-Auth-Token", "X-Auth", "X-Authenticated-User"),
        *("X-User", "X-User-Id", "X-User-Email", "X-UserName", "X-Email", "X-Groups", "X-Access-Token"),
        *("Remote-User", "Remote-Groups", "Remote-Email", "X-Remote-User", "X-Remote-Group", "X-WEBAUTH-USER"),
        *("X-Grafana-Id", "X-Grafana-Org-Id", "X-Grafana-Device-Id", "Forwarded", "Forwarded-For", "X-Real-IP"),
        *("X-Client-IP", "True-Client-IP", "Proxy", "X-Original-URL", "X-Rewrite-URL", "X-Original-Method"),
        *("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "HTTP2-Settings"),
        *("X_Forwarded_Email", "X_Auth_Request_Email", "X-Auth_Request-Email", "Remote_User", "HTTP_REMOTE_USER"),
        *("HTTP_AUTHORIZATION", "HTTP_X_FORWARDED_EMAIL", "X_Original_URL", "X_HTTP_Method_Override", "Content_Length"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """A client that comes through the ingress, from an address of its own: no other test uses up its rate."""

    gateway: RunningGateway
    address: str
    email: str = ""

    def afresh(self) -> "Visitor":
        """The same person from another address, after nothing."""
        return visitor_of(self.gateway, self.email)

    def ask(self, target: str, *headers: Header, method: str = "GET", body: bytes = b"") -> Response:
        came_from = [] if "X-Forwarded-For" in dict(headers) else [("X-Forwarded-For", self.address)]
        return self.gateway.request(method, target, headers=[*came_from, *headers], body=body)

    def arrives(self, target: str, *headers: Header, method: str = "GET", body: bytes = b"") -> list[Arrival]:
        """All that arrives for a request, at whichever service, without what differs each time."""
        forget_requests(self.gateway)
        assert self.ask(target, *headers, method=method, body=body).status == 200
        return seen(self.gateway)

    def say(self, raw: bytes) -> bytes:
        """What comes back for these bytes, and for an honest request behind them, until the connection ends."""
        behind = f"GET /-/healthy HTTP/1.1\r\nHost: {self.gateway.host}\r\nConnection: close\r\n\r\n"
        return self.exchange(raw + behind.encode())

    def exchange(self, raw: bytes) -> bytes:
        with self.gateway.connect() as connection, suppress(ConnectionError):
            connection.settimeout(3)
            connection.sendall(raw)
            answer = b""
            while data := connection.recv(65536):
                answer += data
            return answer
        return b""

    def head(self, target: str, *headers: bytes, method: str = "POST", version: str = "1.1") -> bytes:
        lines = [f"{method} {target} HTTP/{version}", f"Host: {self.gateway.host}", "X-Forwarded-Proto: https"]
        lines += [f"X-Forwarded-For: {self.address}"]
        return b"\r\n".join([*(line.encode("latin-1") for line in lines), *headers, b"", b""])


def forget_requests(gateway: RunningGateway) -> None:
    """As if nothing had been asked; whoever is signed in stays."""
    for upstream in gateway.upstreams.values():
        upstream.requests.clear()


def seen(gateway: RunningGateway) -> list[Arrival]:
    """The requests that services got, or for a path of the login, the login."""
    arrived = gateway.arrived
    if not arrived and (login := gateway.upstreams.get(LOGIN)):
        arrived = {LOGIN: login.requests}
    return [(name, *plain(request)) for name, requests in arrived.items() for request in requests]


def claims_of(request: Request) -> dict[str, object]:
    """Whom a service takes the request for; nobody unless it has a token."""
    tokens = request.headers.get_all("Authorization", [])
    if not tokens:
        return {}
    (token,) = tokens
    head, claims, signature = token.removeprefix("Bearer ").split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    assert (header, signature) == ({"alg": "none", "typ": "JWT"}, "")
    found = dict(json.loads(base64.urlsafe_b64decode(claims + "==")))
    assert 0 < found.pop("exp") - found.pop("iat") <= 300
    return found


def plain(request: Request) -> tuple[str, str, list[Header], dict[str, object], bytes]:
    varying = {"authorization", "x-request-id"}
    headers = [(name.lower(), value) for name, value in request.headers.items() if name.lower() not in varying]
    return request.method, request.target, sorted(headers), claims_of(request), request.body


@pytest.fixture(scope="module")
def gateways(manifests: Manifests, needs_nginx: Path) -> Generator[Callable[[str], RunningGateway], None, None]:
    with ExitStack() as stack:

        @cache
        def of(environment: str) -> RunningGateway:
            return without_delay(stack.enter_context(running_gateway(manifests(environment), limited=False)))

        yield of


@pytest.fixture(scope="module")
def limited(manifests: Manifests, needs_nginx: Path) -> Generator[Callable[[str], RunningGateway], None, None]:
    """As they are, but with the rates of the settings."""
    with ExitStack() as stack:

        @cache
        def of(environment: str) -> RunningGateway:
            return stack.enter_context(running_gateway(manifests(environment)))

        yield of


def without_delay(gateway: RunningGateway) -> RunningGateway:
    """The gateway before stubs that do not wait for 40 ms between the head of an answer and its body."""
    for upstream in gateway.upstreams.values():
        handler: Any = upstream._server.RequestHandlerClass
        handler.disable_nagle_algorithm = True
    return gateway


def visitor_of(gateway: RunningGateway, email: str = "") -> Visitor:
    """Somebody whom the gateway has not seen, signed in as this person if it is one."""
    gateway.forget()
    if email:
        gateway.sign_in(email)
    number = next(ADDRESSES)
    return Visitor(gateway=gateway, address=f"203.0.{number // 250}.{number % 250 + 1}", email=email)


@pytest.fixture(params=grid(EVERY, short=SHARED))
def admin(request: pytest.FixtureRequest, gateways: Callable[[str], RunningGateway]) -> Visitor:
    """The administrator. In dev it is everyone."""
    gateway = gateways(request.param)
    return visitor_of(gateway, ADMIN if LOGIN in gateway.upstreams else "")


@pytest.fixture
def alice(gateways: Callable[[str], RunningGateway]) -> Visitor:
    """Someone who is signed in, in prod, and is no administrator."""
    return visitor_of(gateways("prod"), ALICE)


@pytest.fixture
def stranger(gateways: Callable[[str], RunningGateway]) -> Visitor:
    """Someone who is not signed in, in prod."""
    return visitor_of(gateways("prod"))


def assert_turned_away(visitor: Visitor, target: str, response: Response) -> None:
    """The answer is to sign in, as a program or a person is told, and no service heard of it."""
    if re.match("/(api|mcp)/", target, re.IGNORECASE):
        assert response.status == 401
        assert json.loads(response.body)["status"] == 401
    else:
        assert response.status == 302
        start, _, rd = response.headers["Location"].partition("?rd=")
        assert (start, unquote(rd)) == ("/oauth2/start", target)
        assert re.fullmatch(r"%2F([\w.~'()!*-]|%[0-9A-F]{2})*", rd), rd
    assert not visitor.gateway.arrived


# Who a client says it is.


def forgeries() -> Generator[list[Header], None, None]:
    """All forged headers: once, twice, in another case, and as those that end with the connection."""
    half = len(FORGED) // 2
    yield list(FORGED)
    for some in (FORGED[2:half], FORGED[half:]):  # without those that may be there once
        yield [*some, *((name, ALICE) for name, _ in some)]
    others = [(name.swapcase(), value) for name, value in FORGED]
    yield [*others, ("Connection", ", ".join(("close", *(name for name, _ in FORGED))))]


@at_each("target", [*PUBLIC, *PROTECTED])
def test_a_forged_header_changes_nothing_that_a_service_gets(admin: Visitor, target: str) -> None:
    honest = admin.arrives(target)
    for headers in forgeries():
        assert admin.arrives(target, *headers) == honest


@at_each("target", PROTECTED)
def test_a_forged_header_signs_nobody_in(stranger: Visitor, target: str) -> None:
    for headers in forgeries():
        assert_turned_away(stranger, target, stranger.ask(target, *headers))


def test_a_forged_header_makes_nobody_an_administrator(alice: Visitor) -> None:
    for headers in forgeries():
        assert alice.ask("/grafana/", *headers).status == 403
    assert not alice.gateway.arrived


@at_each("target", ["/oauth2/start?rd=%2F", "/api/x"])
def test_a_forged_header_does_not_reach_the_login(stranger: Visitor, target: str) -> None:
    login = stranger.gateway.upstreams[LOGIN]
    stranger.ask(target)
    for headers in forgeries():
        stranger.ask(target, *headers)
    honest, *asked = map(plain, login.requests)
    assert asked == [honest] * 4


@at_each("target", [*PUBLIC, "/mcp/pdf-extractor", "/api/registry/agents"])
def test_a_route_without_login_gets_no_identity_and_no_cookie(
    gateways: Callable[[str], RunningGateway], target: str
) -> None:
    visitor = visitor_of(gateways("dev"))
    sent = [header for header in FORGED if header[0] != "Content_Length"]
    assert visitor.ask(target, *sent, ("Cookie", "__Host-login=secret; a=b")).status == 200
    ((request,),) = visitor.gateway.arrived.values()
    allowed = {"Host", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-ID"}
    assert set(request.headers) <= allowed
    assert ADMIN not in str(request.headers)


def test_what_arrives_is_the_token_of_the_gateway_and_of_nobody_else(alice: Visitor) -> None:
    forged = base64.urlsafe_b64encode(json.dumps({"email": ADMIN}).encode()).decode()
    for value in ("", "Bearer", f"Bearer e30.{forged}.", f"Basic {forged}", "Bearer a, Bearer b"):
        forget_requests(alice.gateway)
        assert alice.ask("/api/x", ("Authorization", value), ("authorization", value)).status == 400
        assert not alice.gateway.arrived
        assert alice.ask("/api/x", ("aUTHORIZATION", value)).status == 200
        ((request,),) = alice.gateway.arrived.values()
        who = {"email": ALICE, "name": "Alice", "provider": "google", "sub": "1234567"}
        assert claims_of(request) == who


def test_an_identity_behind_many_headers_is_still_found(admin: Visitor) -> None:
    many = [(f"X-Harmless-{number}", "1") for number in range(90)]
    assert admin.arrives("/health", *many, ("X-Auth-Request-Email", ADMIN)) == admin.arrives("/health", *many)


@at_each("name", ["X-Auth-Request-Email", "Authorization", "Host", "Content-Length", "X-Harmless"])
@at_each("space", [" ", "\t", "  "])
def test_a_space_before_the_colon_is_refused(admin: Visitor, name: str, space: str) -> None:
    for target in (*PUBLIC, *PROTECTED):
        assert admin.ask(target, (name + space, "0")).status == 400
    assert not admin.gateway.arrived


@at_each("fold", ["\r\n ", "\r\n\t", "\n "])
def test_a_folded_header_is_refused(admin: Visitor, fold: str) -> None:
    for target in (*PUBLIC, *PROTECTED):
        assert admin.ask(target, ("X-Harmless", f"1{fold}X-Auth-Request-Email: {ADMIN}")).status == 400
    assert not admin.gateway.arrived


def test_the_cookie_of_the_login_goes_to_no_service(admin: Visitor) -> None:
    cookies = "__Host-login=secret; a=b;__Host-login_0=secret;\t__Host-login_csrf=secret;;c=d"
    for target in (*PUBLIC, *PROTECTED):
        forget_requests(admin.gateway)
        admin.ask(target, ("Cookie", cookies), ("Cookie", "__Host-login=secret"))
        ((request,),) = admin.gateway.arrived.values()
        assert request.headers.get_all("Cookie", []) == (["a=b; c=d"] if target.startswith("/grafana") else [])


def test_the_login_is_asked_with_the_cookie_and_nothing_else_of_the_client(alice: Visitor) -> None:
    for body in (b"", b"a body"):
        forget_requests(alice.gateway)
        headers = [
            ("Cookie", f"__Host-login={len(body)}"),
            ("User-Agent", "curl"),
            ("Accept", "a/b"),
            ("Upgrade", "websocket"),
        ]
        assert alice.ask("/api/x", *headers, method="POST", body=body).status == 200
        (question,) = alice.gateway.upstreams[LOGIN].requests
        assert (question.method, question.target, question.body) == ("GET", "/oauth2/auth", b"")
        told = {"X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-For", "X-Request-ID"}
        assert set(question.headers) == {"Host", "Cookie", "Connection", *told}


# What only the gateway itself may call.


@at_each(
    "target",
    [
        "/-/auth",
        "/-/auth?x",
        "/%2d/auth",
        "/-/%61uth",
        "/oauth2/auth",
        "/oauth2/auth?x",
        "/oauth2/auth/",
        "/oauth2/AUTH",
        "/oauth2/auth%20",
        "/oauth2/userinfo",
        "/oauth2/STATIC/x",
        "/oauth2/start/",
        "/oauth2/start%20",
        "/oauth2/",
        "/oauth2/%61uth",
        "/-/explain",
    ],
)
def test_a_client_cannot_go_where_only_the_gateway_goes(alice: Visitor, target: str) -> None:
    assert alice.ask(target).status == 404
    assert not alice.gateway.upstreams[LOGIN].requests
    assert not alice.gateway.arrived


@at_each("path", ["start", "callback?code=1", "sign_in", "sign_out?rd=%2F", "static/css/bulma.min.css", "st%61rt"])
def test_a_browser_reaches_what_it_needs_of_the_login(stranger: Visitor, path: str) -> None:
    login = stranger.gateway.upstreams[LOGIN]
    login.answer = lambda _: Answer(body=b"page")
    assert stranger.ask(f"/oauth2/{path}").body == b"page"
    assert [request.target for request in login.requests] == [f"/oauth2/{path}"]


@at_each("target", ["/@explain", "/@sign_in"])
def test_what_the_gateway_says_is_no_place_to_go_to(stranger: Visitor, target: str) -> None:
    assert_turned_away(stranger, target, stranger.ask(target))


@at_each(
    "target",
    [
        *("/-/", "/-/sign_in", "/-/auth/", "/-/explain/", "/-/healthy/", "/-/healthy/x", "/-/HEALTHY", "/-/x?y=/api/"),
        *("/%2d/x", "/-/%68ealthyx", "/%2D/healthy/", "/-/api/interviews", "/-/static/app.js"),
    ],
)
@at_each("method", ["GET", "POST"])
def test_below_the_gateways_own_path_there_is_nothing_else(admin: Visitor, target: str, method: str) -> None:
    assert admin.ask(target, method=method).status == 404
    admin.gateway.forget()
    assert admin.ask(target, method=method).status == 404
    assert not admin.gateway.arrived


@at_each("target", ["@explain", "@sign_in", "*", "-/auth"])
def test_a_name_is_no_path(admin: Visitor, target: str) -> None:
    assert admin.ask(target).status == 400
    assert not admin.gateway.arrived


@at_each("target", ["/-/auth", "/-/healthy", "/grafana/secret", "/static/x", "/-/explain", "@sign_in"])
def test_a_service_cannot_send_the_gateway_elsewhere(admin: Visitor, target: str) -> None:
    backend = admin.gateway.upstreams["backend"]
    backend.answer = lambda _: Answer(headers={"X-Accel-Redirect": target}, body=b"its own")
    for path in ("/", "/api/x", "/health"):
        forget_requests(admin.gateway)
        response = admin.ask(path)
        assert (response.status, response.body) == (200, b"its own")
        assert "X-Accel-Redirect" not in response.headers
        assert [request.target for request in backend.requests] == [path]
        assert list(admin.gateway.arrived) == ["backend"]


def test_a_service_cannot_change_how_the_gateway_answers(admin: Visitor) -> None:
    said = {"X-Accel-Limit-Rate": "5000", "X-Accel-Buffering": "no", "X-Accel-Charset": "utf-7", "X-Accel-Expires": "9"}
    answer = Answer(headers={**said, "Content-Type": "text/html"}, body=bytes(20_000))
    admin.gateway.upstreams["backend"].answer = lambda _: answer
    started = time.monotonic()
    response = admin.ask("/api/x")
    assert (response.status, response.body) == (200, answer.body)
    assert time.monotonic() - started < 2
    assert response.headers["Content-Type"] == "text/html"
    assert not [name for name in response.headers if name.lower().startswith("x-accel")]


@at_each(
    "cookie",
    [
        *("__Host-login=x; Path=/; Secure", "__Host-login=; Max-Age=0; Path=/", "__Host-login", "__Host-login =x"),
        *("__Host-login_0=x; Path=/", "__Host-login_1=", "__Host-login_csrf=x; HttpOnly", "__Host-login_csrf_a1b2=x"),
        # A cookie without a name is sent back as its value alone.
        *("=__Host-login=x", " = __Host-login=x; Path=/", "==__Host-login_0=x", "\t__Host-login=x", "=\t=__Host-login"),
    ],
)
def test_a_service_cannot_touch_the_login_s_cookies_and_keeps_its_own(admin: Visitor, cookie: str) -> None:
    own = ["session=__Host-login; Path=/", "my__Host-login=x; Secure", "__Host-other=; Max-Age=0"]
    for target in (*PUBLIC, *PROTECTED):
        for name in ("Set-Cookie", "set-cookie", "SET-COOKIE"):
            says(admin, {name: cookie})
            assert admin.ask(target).headers.get_all("Set-Cookie") is None
        says(admin, {"Set-Cookie": own[0], "set-cookie": cookie, "SET-COOKIE": own[1], "Set-cookie": own[2]})
        assert admin.ask(target).headers.get_all("Set-Cookie") == own
        says(admin, {"Set-Cookie": cookie, "SET-cookie": cookie, "set-cookie": own[0], "sEt-cookie": cookie})
        assert admin.ask(target).headers.get_all("Set-Cookie") == own[:1]
        says(admin, {"Clear-Site-Data": '"cookies"', "clear-site-data": '"*"'})
        assert "Clear-Site-Data" not in admin.ask(target).headers


def says(visitor: Visitor, headers: dict[str, str]) -> None:
    """From now on every service says this; names that differ in case are headers of their own."""
    for name, upstream in visitor.gateway.upstreams.items():
        if name != LOGIN:
            upstream.answer = lambda _: Answer(headers=headers)


@at_each("status", [401, 403, 500, 503])
def test_an_error_of_a_service_is_not_taken_for_the_login_s(admin: Visitor, status: int) -> None:
    admin.gateway.upstreams["backend"].answer = lambda _: Answer(status=status, body=b"its own")
    response = admin.ask("/")
    assert (response.status, response.body, response.headers["Location"]) == (status, b"its own", None)


def test_what_a_service_says_of_an_identity_is_not_the_login_s_word(alice: Visitor) -> None:
    vouched = {"X-Auth-Request-Email": ADMIN}
    for upstream in ("backend", "grafana"):
        alice.gateway.upstreams[upstream].answer = lambda _: Answer(headers=vouched)
    for _ in range(4):
        assert alice.ask("/api/x").status == 200
        assert alice.ask("/grafana/").status == 403
    assert {str(claims_of(request)["email"]) for request in alice.gateway.arrived["backend"]} == {ALICE}


# Paths that can be read in two ways.

AMBIGUOUS = (
    *("/api/..%2fgrafana/", "/api/..%2Fgrafana/", "/api/%2e%2e/grafana/", "/api/%2E%2e/grafana/", "/api/.%2e/grafana/"),
    *("/static/../api/x", "/static/./x", "/static/..", "/static/.", "/static/..?x", "/static/.?x", "/..", "/./api/x"),
    *("/static/%2e/x", "/static/%2e%2e%2fapi/x", "/static/..;/api", "/static/..;x=1/api", "/api;x/y", "/api/x;a=b"),
    *("/health;x", "/health%3bx", "//api/x", "//", "///health", "/api//x", "//health", "/health//"),
    *("/api%2fx", "/%2fapi/x", "/%2f%2fapi/x", "/api/x%00", "/static/x%00.js", "/health%00", "/%00"),
    *("/api\\x", "/static\\..\\api", "/static/..\\api", "/static%5c..%5capi", "/static/..%5Capi", "/\\api/x"),
    *("/api%252fx", "/static/..%252fapi/x", "/static/%252e%252e/api", "/static/%255c", "/static/%2500", "/api%253bx"),
    *("/static/..%25252fapi", "/static/%2525252e%2525252e/api", "/grafana/../api/x", "/grafana/..", "/grafana/%2e%2e/"),
    *("/health#x", "/static/x#/../../api", "/static/#?x", "/#", "/health?x#y", "/grafana/#/api"),
    *("?", "?x=1", "?/api/x", "#", "api/x", "health", "\\", ".", "..", ";", "%2fhealth", "localhost:80", "a:1"),
)


@at_each("method", ["GET", "POST"])
def test_a_path_that_can_be_read_in_two_ways_reaches_nobody(admin: Visitor, method: str) -> None:
    answers = {target: admin.ask(target, method=method).status for target in AMBIGUOUS}
    assert answers == dict.fromkeys(AMBIGUOUS, 400)
    assert not admin.gateway.arrived


@at_each("scheme", ["http", "HTTPS"])
def test_such_a_path_is_no_better_behind_a_host(admin: Visitor, scheme: str) -> None:
    for target in AMBIGUOUS:
        if target[0] in "/?#":  # anything else is a part of the host
            assert admin.ask(f"{scheme}://{admin.gateway.host}{target}").status == 400, target
    assert not admin.gateway.arrived


@at_each("target", ["/API/x", "/Api/x", "/STATIC/x", "/Health", "/HEALTH", "/Grafana/", "/GRAFANA/"])
def test_a_route_in_another_case_is_not_that_route(stranger: Visitor, target: str) -> None:
    assert_turned_away(stranger, target, stranger.ask(target))
    stranger.gateway.sign_in(ALICE)
    ((name, _, path, _, who, _),) = stranger.arrives(target)
    assert (name, path, who["email"]) == ("backend", target, ALICE)


@at_each("target", ["/%67rafana/", "/grafan%61/", "/%47rafana/../", "/grafana/%20", "/grafana/?/api/x"])
def test_a_path_that_is_spelled_in_codes_needs_the_same_rights(alice: Visitor, target: str) -> None:
    assert alice.ask(target).status == (400 if ".." in target else 403)
    alice.gateway.forget()
    response = alice.ask(target)
    assert response.status in {302, 400}
    assert not alice.gateway.arrived


@at_each("target", ["/health%3f", "/health%23", "/health%20", "/healt%68/", "/healthy", "/static", "/api"])
def test_what_resembles_a_public_route_is_not_public(stranger: Visitor, target: str) -> None:
    response = stranger.ask(target)
    if response.status == 301:  # to the folder
        assert (response.headers["Location"], stranger.gateway.arrived) == (f"{target}/", {})
    else:
        assert_turned_away(stranger, target, response)


@at_each("query", ["/../grafana/", "..%2fgrafana", "//evil.example", "a;b", "\\", "%00", "?", "x=%0d%0ay"])
def test_a_query_does_not_change_the_route(admin: Visitor, query: str) -> None:
    for target in (*PUBLIC, *PROTECTED):
        (one,) = admin.arrives(f"{target}?{query}")
        (without,) = admin.arrives(target)
        assert one[:3] == (*without[:2], f"{target}?{query}")
        assert one[3:] == without[3:]


@at_each("target", ["/" + "a" * 17_000, "/health?" + "a" * 17_000, "/static/" + "a/" * 20_000])
def test_a_very_long_path_is_refused(admin: Visitor, target: str) -> None:
    assert admin.ask(target).status in {400, 414}
    assert not admin.gateway.arrived


def test_a_path_with_a_host_needs_the_same_rights(stranger: Visitor) -> None:
    for scheme in ("http", "https", "ws"):
        for target in PROTECTED:
            assert_turned_away(stranger, target, stranger.ask(f"{scheme}://{stranger.gateway.host}{target}"))
    assert_turned_away(stranger, "/", stranger.ask(f"http://{stranger.gateway.host}"))


@at_each("path", [*PUBLIC, *PROTECTED])
def test_a_path_with_another_host_is_not_served(admin: Visitor, path: str) -> None:
    host = admin.gateway.host
    for other in ("evil.example", LOCALHOST, f"evil.{host}", f"{host}.evil.example", "[::1]", "backend:8080"):
        assert admin.ask(f"http://{other}{path}").status == 421
    for other in (f"evil.example@{host}", f"{host}@evil.example", f"{host}:80@evil.example", "", ":80"):
        assert admin.ask(f"http://{other}{path}").status in {400, 421}
    assert not admin.gateway.arrived


# Hosts, methods and what the ingress says.


@at_each("path", [*PUBLIC, *PROTECTED, "/oauth2/start", "/-/auth"])
def test_another_host_is_not_served(admin: Visitor, path: str) -> None:
    host = admin.gateway.host
    others = ["evil.example", LOCALHOST, f"{LOCALHOST}:8080", "localhost", f"x.{host}", f"{host}.x", "_", "[::1]"]
    for other in [*others, f"{PREFIX}backend.{DOMAIN}"]:
        assert admin.ask(path, ("Host", other)).status == 421
    for other in (
        "",
        f"evil@{host}",
        f"{host}/x",
        f"{host}\\x",
        f"{host} x",
        f"{host},evil.example",
        f"{host}\0",
        "..",
    ):
        assert admin.ask(path, ("Host", other)).status in {400, 421}
    for pair in ((host, host), (host, "evil.example"), ("evil.example", host)):
        assert admin.ask(path, *(("Host", one) for one in pair)).status == 400
    assert not admin.gateway.arrived
    assert all(not stub.requests for stub in admin.gateway.upstreams.values())


def test_a_service_learns_the_host_of_the_settings_however_it_is_spelled(admin: Visitor) -> None:
    host = admin.gateway.host
    for target in (*PUBLIC, *PROTECTED):
        honest = admin.arrives(target)
        for spelled in (host.upper(), f"{host}:80", f"{host}:65000", f"{host}."):
            assert admin.arrives(target, ("Host", spelled)) == honest
        # Newer nginx knows that this is none.
        forget_requests(admin.gateway)
        status = admin.ask(target, ("Host", f"{host}:80@evil.example")).status
        assert (status, seen(admin.gateway)) in ((200, honest), (400, []))
        (one,) = admin.arrives(f"http://{host}{target}", ("Host", "evil.example"))
        assert [one] == honest


def test_a_request_without_a_host_is_not_served(admin: Visitor) -> None:
    for raw, status in ((b"GET /health HTTP/1.1\r\n\r\n", b"400"), (b"GET /health HTTP/1.0\r\n\r\n", b"421")):
        assert admin.exchange(raw).split(b" ")[1] == status
    assert not admin.gateway.arrived


@at_each("method", ["TRACE", "TRACK", "CONNECT", "DEBUG", "PROPFIND", "MOVE", "PURGE", "FOO", "G-T", "_"])
def test_a_method_that_no_service_has_is_refused(admin: Visitor, method: str) -> None:
    for target in (*PUBLIC, *PROTECTED):
        # Newer nginx takes what follows CONNECT for no path.
        refused = {400, 405} if method == "CONNECT" else {405}
        assert admin.ask(target, method=method).status in refused
        assert admin.ask(f"http://{admin.gateway.host}{target}", method=method).status in refused
    assert not admin.gateway.arrived


@at_each("method", ["get", "Get", "GET\t", "G\0T", "G;T", "ÄÖ", ""])
def test_a_method_that_is_none_is_refused(admin: Visitor, method: str) -> None:
    for target in (*PUBLIC, *PROTECTED):
        assert admin.exchange(admin.head(target, method=method)).split(b" ")[1] == b"400"
    assert not admin.gateway.arrived


@at_each("raw", [b"CONNECT backend:8080 HTTP/1.1\r\nHost: backend:8080\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n\r\n"])
def test_the_gateway_is_no_proxy_to_elsewhere(admin: Visitor, raw: bytes) -> None:
    assert admin.exchange(raw + admin.head("/health", b"Connection: close")).split(b" ")[1] in {b"400", b"405"}
    assert not admin.gateway.arrived


def test_of_the_addresses_a_request_came_from_the_last_counts(admin: Visitor) -> None:
    own = admin.address
    for target in (*PUBLIC, *PROTECTED):
        honest = admin.arrives(target)
        assert f"('x-forwarded-for', '{own}')" in str(honest)
        for spoofed in (f"127.0.0.1, {own}", f"1.2.3.4,5.6.7.8,{own}", f"junk, {own}", f", {own}", f"::1, {own}"):
            assert admin.arrives(target, ("X-Forwarded-For", spoofed)) == honest
        assert admin.arrives(target, ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", own)) == honest


@at_each("junk", ["", ",", "junk", "1.2.3.4.5", "999.1.1.1", "' or 1=1", "${jndi}", "unix:", "a" * 8000, "ÿ"])
def test_an_address_that_is_none_is_not_believed(admin: Visitor, junk: str) -> None:
    for target in (*PUBLIC, *PROTECTED[1:]):
        (one,) = admin.arrives(target, ("X-Forwarded-For", junk))
        assert {("x-forwarded-for", LOCALHOST), ("x-real-ip", LOCALHOST)} <= set(one[3])


def test_nobody_has_more_requests_by_naming_other_addresses(limited: Callable[[str], RunningGateway]) -> None:
    stranger = visitor_of(limited("prod"))
    own = stranger.address
    asked = [
        f"GET /api/x HTTP/1.1\r\nHost: {stranger.gateway.host}\r\nX-Forwarded-Proto: https\r\n"
        f"X-Forwarded-For: 10.0.0.{number}, {own}\r\n\r\n"
        for number in range(150)
    ]
    answers = stranger.say("".join(asked).encode())
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answers)
    assert set(statuses) == {b"401", b"429", b"200"}
    assert len(statuses) == 151


@at_each("said", ["http", "", "https, http", "http, https", "https,https", "httpsx", "https ;", "junk", "\xff"])
def test_in_prod_what_did_not_come_by_https_is_sent_there(stranger: Visitor, said: str) -> None:
    stranger.gateway.sign_in(ADMIN)
    for target in (*PUBLIC, *PROTECTED, "/oauth2/start?rd=%2F"):
        response = stranger.ask(target, ("X-Forwarded-Proto", said), ("X_Forwarded_Proto", "https"))
        assert (response.status, response.headers["Location"]) == (308, f"https://{stranger.gateway.host}{target}")
    assert not stranger.gateway.arrived
    assert not stranger.gateway.upstreams[LOGIN].requests


@at_each("target", ["/api/registry/agents", *(f"/mcp/{agent}" for agent in AGENTS)])
def test_in_prod_nobody_reaches_the_mesh(stranger: Visitor, target: str) -> None:
    for spelled in (target, f"{target}?x", f"{target}/", target.replace("e", "%65")):
        assert_turned_away(stranger, spelled, stranger.ask(spelled, method="POST", body=b"{}"))
    stranger.gateway.sign_in(ADMIN)
    for spelled in (target, f"{target}?x", f"{target}/", target.replace("e", "%65")):
        stranger.ask(spelled, method="POST", body=b"{}")
    assert list(stranger.gateway.arrived) == ["backend"]


# Where the gateway sends people.

EVIL = (
    *(
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\\/evil.example",
        "/;//evil.example",
    ),
    *("/%2f%2fevil.example", "/%2f/evil.example", "/%2Fevil.example", "/%5cevil.example", "/%5C%5Cevil.example"),
    *("/.evil.example", "/@evil.example", "/:80@evil.example", "/%09/evil.example", "/%0a/evil.example", "/%20/evil"),
    *("/%0d%0aLocation:%20//evil.example", "/x%0d%0aSet-Cookie:%20a=b", "/x?%0d%0aSet-Cookie:%20a=b", "/%E5%98%8A"),
    *("/?rd=//evil.example", "/x?rd=https://evil.example&rd=/", "/x&rd=//evil.example", "/x?&rd=/y", "/x%26rd=//evil"),
    *(
        "/x#@evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/javascript:alert(1)",
        "/<script>",
        '/"x',
        "/'x",
    ),
)


@at_each("target", EVIL)
def test_people_are_sent_to_sign_in_and_back_to_where_they_were(stranger: Visitor, target: str) -> None:
    response = stranger.ask(target)
    if response.status == 400:
        assert response.headers["Location"] is None
        assert target[0] != "/" or target in AMBIGUOUS or re.search(r"(?i)//|\\|%2f|%5c|;|#", target.partition("?")[0])
    else:
        assert_turned_away(stranger, target, response)
        assert "Set-Cookie" not in response.headers


@at_each("target", EVIL)
def test_a_plain_request_is_sent_to_its_own_host_only(stranger: Visitor, target: str) -> None:
    host = stranger.gateway.host
    for spelled in (host, f"{host}:8080", f"{host}:80@evil.example", host.upper()):
        response = stranger.ask(target, ("X-Forwarded-Proto", "http"), ("Host", spelled))
        location = response.headers["Location"]
        assert (response.status, location) in {(400, None), (308, f"https://{host}{target}")}
        assert "Set-Cookie" not in response.headers
    assert not stranger.gateway.arrived


@at_each(
    "target",
    ["//evil.example/..%2f", "//api", "/x/../api", "/static//../api", "/x/../static", "//evil.example/../../api"],
)
def test_a_folder_is_redirected_to_itself_and_nowhere_else(stranger: Visitor, target: str) -> None:
    response = stranger.ask(target)
    assert (response.status, response.headers["Location"]) in {(400, None), (301, "/api/"), (301, "/static/")}
    assert not stranger.gateway.arrived


# Too much.


@at_each(
    "headers",
    [
        [("X-Harmless", "a" * 17_000)],
        [("X-" + "a" * 17_000, "1")],
        [("Cookie", "a=" + "b" * 17_000)],
        [(f"X-{number}", "a" * 9_000) for number in range(9)],
    ],
)
def test_headers_that_are_too_large_are_refused(admin: Visitor, headers: list[Header]) -> None:
    for target in (*PUBLIC, *PROTECTED):
        assert admin.ask(target, *headers).status in {400, 431}
    assert not admin.gateway.arrived


@at_each("number", [101, 500, 3000])
@at_each("name", ["X-Harmless", "X-Harmless-{}", "X-Auth-Request-Email"])
def test_headers_that_are_too_many_are_refused(admin: Visitor, number: int, name: str) -> None:
    headers = [(name.format(index), "1") for index in range(number)]
    for target in (*PUBLIC, *PROTECTED):
        assert admin.ask(target, *headers, ("X-Auth-Request-User", ADMIN)).status in {400, 431}
    assert not admin.gateway.arrived


# Bytes that end a line, or a request, for one and not for the other.


@at_each("bad", ["\0", "\r", "\rX-Auth-Request-Email: a@b.c", "a\0b"])
def test_a_byte_that_no_header_may_hold_is_refused(admin: Visitor, bad: str) -> None:
    for target in (*PUBLIC, *PROTECTED):
        assert admin.ask(target, ("X-Harmless", f"1{bad}x")).status == 400
    assert not admin.gateway.arrived


@at_each("bad", ["\0", "\r", " ", "\t", "\x7f", "\x1b[2J"])
def test_a_byte_that_no_path_may_hold_is_refused(admin: Visitor, bad: str) -> None:
    for target in (*PUBLIC, *PROTECTED):
        assert admin.exchange(admin.head(f"{target}{bad}x", method="GET")).split(b" ")[1] == b"400"
    assert not admin.gateway.arrived


@at_each("line", ["\n", "\r\n"])
def test_a_header_behind_a_line_end_of_any_kind_is_forged_as_well(admin: Visitor, line: str) -> None:
    for target in (*PUBLIC, *PROTECTED):
        forged = f"1{line}X-Auth-Request-Email: {ADMIN}{line}Authorization: Bearer x"
        assert admin.arrives(target, ("X-Harmless", forged)) == admin.arrives(target, ("X-Harmless", "1"))


@at_each("code", ["%0d%0a", "%0a", "%0d", "%250d%250a", "%e5%98%8d%e5%98%8a", "%c0%8a"])
def test_a_coded_line_end_in_a_path_or_a_value_stays_coded(admin: Visitor, code: str) -> None:
    text = f"x{code}X-Auth-Request-Email:{ADMIN}{code}{code}GET"
    for target in ("/static/x", "/api/x", "/grafana/x"):
        (one,), (honest,) = admin.arrives(f"{target}?{text}"), admin.arrives(target)
        assert (one[2], one[3:]) == (f"{target}?{text}", honest[3:])
        (one,) = admin.arrives(f"{target}{text}")
        assert (one[2], one[3:]) == (f"{target}{text}", honest[3:])
        (one,) = admin.arrives(target, ("X-Harmless", text))
        assert set(one[3]) - set(honest[3]) == {("x-harmless", text)}


HIDDEN = b"GET /grafana/hidden HTTP/1.1\r\nHost: %s\r\nX-Forwarded-Proto: https\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
# The headers and the body of a request that hides another; whether a service gets it. What hides is never served.
SMUGGLED: dict[str, tuple[Sequence[bytes], bytes, bool]] = {
    "CL.TE": ((b"Content-Length: 6", CHUNKED), b"0\r\n\r\n" + HIDDEN, False),
    "CL.TE, the other way round": ((CHUNKED, b"Content-Length: 6"), b"0\r\n\r\n" + HIDDEN, False),
    "TE.CL": ((b"Content-Length: 4", CHUNKED), b"5c\r\n" + HIDDEN + b"\r\n0\r\n\r\n", False),
    "TE.TE": ((CHUNKED, b"Transfer-Encoding: identity"), b"0\r\n\r\n" + HIDDEN, False),
    "TE twice": ((CHUNKED, CHUNKED), b"0\r\n\r\n" + HIDDEN, False),
    **{
        f"TE as {value!r}": ((b"Transfer-Encoding:" + value, *more), b"0\r\n\r\n" + HIDDEN, False)
        for value in (
            b" xchunked",
            b" chunked, identity",
            b" identity",
            b"\x0bchunked",
            b' "chunked"',
            b" gzip, chunked",
        )
        for more in ((), (b"Content-Length: 5",))
    },
    **{
        f"TE as {name!r}": ((name + b": chunked", b"Content-Length: 5"), b"0\r\n\r\n", got)
        for name, got in (
            (b"Transfer-Encoding ", False),
            (b" Transfer-Encoding", False),
            (b"X: y\rTransfer-Encoding", False),
            (b"X: y\nTransfer-Encoding", False),
            (b"Transfer\0-Encoding", False),
            (b"Transfer_Encoding", True),
            (b"Transfer-Encoding\xff", True),
            (b"X-Transfer-Encoding", True),
        )
    },
    "CL twice": ((b"Content-Length: 0", b"Content-Length: 5"), HIDDEN, False),
    "CL twice, alike": ((b"Content-Length: 5", b"Content-Length: 5"), b"abcde" + HIDDEN, False),
    **{
        f"CL as {value!r}": ((b"Content-Length:" + value,), b"abcde" + HIDDEN, False)
        for value in (
            b" +5",
            b" 5 5",
            b" -5",
            b" 0x5",
            b" 5,5",
            b" 5, 5",
            b" 5.0",
            b" 5e0",
            b"",
            b" 99999999999999999999",
        )
    },
    "CL with spaces": ((b"Content-Length:  5 ",), b"abcde", True),
    "a chunk extension": ((CHUNKED,), b'5;x="y"\r\nabcde\r\n0;z\r\n\r\n', True),
    "a chunk with a plus": ((CHUNKED,), b"+5\r\nabcde\r\n0\r\n\r\n" + HIDDEN, False),
    "a chunk with a prefix": ((CHUNKED,), b"0x5\r\nabcde\r\n0\r\n\r\n" + HIDDEN, False),
    "a chunk that is too large": ((CHUNKED,), b"ffffffffffffffff5\r\nabcde\r\n0\r\n\r\n" + HIDDEN, False),
    "a chunk without its end": ((CHUNKED,), b"5\r\nabcdeXX0\r\n\r\n" + HIDDEN, False),
    "trailers": ((CHUNKED,), b"5\r\nabcde\r\n0\r\nX-Auth-Request-Email: a@b.c\r\nAuthorization: x\r\n\r\n", True),
    "in a body": ((b"Content-Length: %d" % (len(HIDDEN) - 2 + len(HOST["prod"])),), HIDDEN, True),
    "behind a body": ((b"Content-Length: 5",), b"abcde" + HIDDEN, True),
    "behind no body": ((), HIDDEN, True),
    "behind a chunked body": ((CHUNKED,), b"5\r\nabcde\r\n0\r\n\r\n" + HIDDEN, True),
    "in an upgrade": ((b"Upgrade: websocket", b"Connection: Upgrade"), HIDDEN, True),
    "behind 100-continue": ((b"Expect: 100-continue", b"Content-Length: 5"), b"abcde" + HIDDEN, True),
}


@at_each("how", SMUGGLED)
def test_a_service_gets_the_request_that_was_let_in_and_none_that_it_hides(stranger: Visitor, how: str) -> None:
    headers, body, got = SMUGGLED[how]
    if b"%s" in body:
        body = body.replace(b"%s", stranger.gateway.host.encode())
    for method in ("POST", "GET"):
        forget_requests(stranger.gateway)
        stranger.say(stranger.head("/health", *headers, method=method) + body)
        arrived = stranger.gateway.arrived.get("backend", [])
        assert [request.target for request in arrived] == ["/health"] * got
        assert list(stranger.gateway.arrived) == ["backend"] * got
        for request in arrived:
            lengths = request.headers.get_all("Content-Length", [])
            codings = request.headers.get_all("Transfer-Encoding", [])
            assert (lengths, codings) in (([str(len(request.body))], []), ([], ["chunked"]), ([], []))
            assert request.headers["X-Auth-Request-Email"] is None


@at_each("how", SMUGGLED)
def test_a_request_that_is_turned_away_hides_none_that_is_let_in(stranger: Visitor, how: str) -> None:
    headers, body, _ = SMUGGLED[how]
    if b"%s" in body:
        body = body.replace(b"%s", stranger.gateway.host.encode())
    for target in ("/api/x", "/", "/grafana/", "/oauth2/auth", "/static/..%2f"):
        stranger.say(stranger.head(target, *headers) + body)
    assert not stranger.gateway.arrived


@at_each("version", ["1.0", "0.9", "2.0", "3", "1.x", ""])
def test_an_old_or_unknown_version_of_http_hides_nothing(admin: Visitor, version: str) -> None:
    hidden = HIDDEN.replace(b"%s", admin.gateway.host.encode())
    for headers in ((CHUNKED,), (CHUNKED, b"Content-Length: 5")):
        answer = admin.exchange(admin.head("/health", *headers, version=version) + b"0\r\n\r\n" + hidden)
        assert answer.split(b" ")[1] in {b"400", b"505"}
    assert not admin.gateway.arrived


@at_each(
    "raw", [b"GET /health\r\n", b"GET /health\r\nHost: x HTTP/1.1\r\n", b"GET /\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
def test_what_has_no_headers_reaches_nobody(admin: Visitor, raw: bytes) -> None:
    admin.exchange(raw + admin.head("/health", b"Connection: close"))
    assert not admin.gateway.arrived


# Connections that become something else.


@at_each("version", ["", "Sec-WebSocket-Version: 777", "Sec-WebSocket-Version: 13"])
def test_without_the_right_nothing_of_a_websocket_reaches_anyone(stranger: Visitor, version: str) -> None:
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", version.encode() or b"X: y")
    expected = {"/grafana/api/live/ws": (b"302", b"403"), "/api/ws": (b"401", b""), "/ws": (b"302", b"")}
    for target, (signed_out, signed_in) in expected.items():
        stranger.gateway.forget()
        raw = stranger.head(target, *upgrade, method="GET") + b"\x81\x05hello"
        assert stranger.say(raw).split(b" ")[1] == signed_out
        if signed_in:
            stranger.gateway.sign_in(ALICE)
            assert stranger.say(raw).split(b" ")[1] == signed_in
        assert not stranger.gateway.arrived


@at_each("upgrade", ["h2c", "H2C", "h2c, websocket", "websocket, h2c", "TLS/1.3", "websocketx"])
def test_no_upgrade_but_a_websocket_reaches_a_service(admin: Visitor, upgrade: str) -> None:
    settings = ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")
    for target in (*PUBLIC, *PROTECTED):
        honest = admin.arrives(target)
        for connection in ("Upgrade", "Upgrade, HTTP2-Settings", "close, Upgrade, HTTP2-Settings"):
            asked = (("Connection", connection), ("Upgrade", upgrade), settings)
            assert admin.arrives(target, *asked) == honest


@at_each("target", [*PUBLIC, *PROTECTED[:2]])
def test_a_websocket_is_for_routes_that_have_one(admin: Visitor, target: str) -> None:
    asked = (("Connection", "Upgrade"), ("Upgrade", "websocket"))
    assert admin.arrives(target, *asked) == admin.arrives(target)


# Another site's page, in the browser of someone who is signed in


def origins(gateway: RunningGateway) -> list[str]:
    host = gateway.host
    return [
        *("https://evil.example", "null", "", f"http://{host}", f"https://{host}.evil.example", f"https://x.{host}"),
        *(f"https://{host}:8443", f"https://{host}/", f"HTTPS://{host}", f"https://x@{host}", f"{host}"),
        *(f"https://{host}, https://{host}", f"https://{host} https://evil.example", f"https://{host[1:]}"),
    ]


UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "websocket"))


@at_each("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_another_site_cannot_act_as_the_person(admin: Visitor, method: str) -> None:
    login = admin.gateway.upstreams.get(LOGIN)
    own = f"https://{admin.gateway.host}"
    said = [[("Origin", origin)] for origin in origins(admin.gateway)]
    said += [[("Sec-Fetch-Site", site)] for site in ("cross-site", "same-site")]
    said += [[("Origin", own), ("Sec-Fetch-Site", site)] for site in ("cross-site", "same-site")]
    said += [[("Origin", own), ("Origin", "https://evil.example")], [("oRIGIN", "null")]]
    paths = (*PUBLIC, *PROTECTED, *(("/oauth2/start",) if login else ("/mcp/pdf-extractor",)))
    for number, headers in enumerate(said):
        client = ("X-Forwarded-For", f"198.51.101.{number}")
        for target in paths:
            response = admin.ask(target, client, *headers, method=method, body=b"x")
            assert response.status == 403, (target, headers)
            assert b"This comes from another site." in response.body
            assert (response.headers["Content-Type"] == "application/json") == target.startswith(("/api/", "/mcp/"))
    assert not admin.gateway.arrived
    assert not login or not login.requests


@at_each("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_application_s_own_pages_and_programs_act(admin: Visitor, method: str) -> None:
    host = admin.gateway.host
    own = ("Origin", f"https://{host}")
    for headers in (
        (),
        (own,),
        (own, ("Sec-Fetch-Site", "same-origin")),
        (("Sec-Fetch-Site", "none"),),
        (("Host", f"{host}:8443"), ("Origin", f"https://{host}:8443")),
    ):
        for target in (*PUBLIC, *PROTECTED):
            assert admin.arrives(target, *headers, method=method, body=b"x"), (target, headers)
    assert admin.ask("/api/x", ("Host", f"{host}:8443"), own, method=method).status == 403


@at_each("method", ["GET", "HEAD", "OPTIONS"])
def test_another_site_may_link_here(admin: Visitor, method: str) -> None:
    for headers in ([("Origin", "https://evil.example")], [("Sec-Fetch-Site", "cross-site")]):
        for target in (*PUBLIC, *PROTECTED):
            assert admin.arrives(target, *headers, method=method)


def test_another_site_opens_no_websocket(admin: Visitor) -> None:
    for number, origin in enumerate(origins(admin.gateway)):
        client = ("X-Forwarded-For", f"198.51.102.{number}")
        for target in ("/grafana/api/live/ws", "/api/x", "/static/x"):
            assert admin.ask(target, client, *UPGRADE, ("Origin", origin)).status == 403, (target, origin)
            assert admin.ask(target, client, *UPGRADE, ("Sec-Fetch-Site", "same-site")).status == 403
    assert not admin.gateway.arrived
    own = ("Origin", f"https://{admin.gateway.host}")
    raw = admin.head(
        "/grafana/api/live/ws", *(f"{name}: {value}".encode() for name, value in (*UPGRADE, own)), method="GET"
    )
    with admin.gateway.connect() as connection:
        connection.sendall(raw)
        assert connection.recv(65536).startswith(b"HTTP/1.1 101 ")


def test_in_dev_the_scheme_is_the_one_that_people_see(gateways: Callable[[str], RunningGateway]) -> None:
    visitor = visitor_of(gateways("dev"))
    host = visitor.gateway.host
    for seen_as, origin, status in (("http", "http", 200), ("http", "https", 403), ("https", "http", 403)):
        said = (("X-Forwarded-Proto", seen_as), ("Origin", f"{origin}://{host}"))
        assert visitor.ask("/api/x", *said, method="POST").status == status


# A login that is away, late or wrong. What it says depends on the cookie, so that all can be tried at once.


def vouches(*lines: str, status: str = "202 Accepted", body: str = "") -> bytes:
    head = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}", *lines, "", body]
    return "\r\n".join(head).encode("latin-1")


def email(value: str) -> bytes:
    return vouches(f"X-Auth-Request-Email: {value}", "X-Auth-Request-User: 1")


SAYS_ADMIN = f"X-Auth-Request-Email: {ADMIN}"
LIES: dict[str, bytes] = {
    "nothing": b"",
    "half_a_head": f"HTTP/1.1 202 Accepted\r\n{SAYS_ADMIN}\r\n".encode(),
    "noise": b"\0\xff\r\n\r\n",
    "only_a_header": f"{SAYS_ADMIN}\r\n\r\n".encode(),
    "no_status": f"HTTP/1.1\r\n{SAYS_ADMIN}\r\n\r\n".encode(),
    "error_500": vouches(SAYS_ADMIN, status="500 Broken"),
    "error_503": vouches(SAYS_ADMIN, status="503 Away"),
    "error_400": vouches(SAYS_ADMIN, status="400 Bad"),
    "error_404": vouches(SAYS_ADMIN, status="404 Not Found"),
    "error_429": vouches(SAYS_ADMIN, status="429 Too Many"),
    "redirect": vouches(SAYS_ADMIN, "Location: /", status="302 Found"),
    "not_modified": vouches(SAYS_ADMIN, status="304 Not Modified"),
    "continue": f"HTTP/1.1 100 Continue\r\n{SAYS_ADMIN}\r\n\r\n".encode() + vouches(status="401 No"),
    "switching": vouches(SAYS_ADMIN, status="101 Switching"),
    "forbidden": vouches(SAYS_ADMIN, status="403 Forbidden"),
    "unauthorized": vouches(SAYS_ADMIN, status="401 Unauthorized"),
    "sent_elsewhere": vouches("X-Accel-Redirect: /-/healthy", status="200 OK"),
    "nobody": vouches(status="200 OK"),
    "nobody_202": vouches(),
    "only_a_name": vouches("X-Auth-Request-User: 1", "X-Auth-Request-Preferred-Username: admin"),
    "other_headers": vouches(f"X-Forwarded-Email: {ADMIN}", f"Remote-User: {ADMIN}"),
    "in_the_body": vouches(body=f"{SAYS_ADMIN}\r\n\r\n"),
    "in_a_trailer": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Auth-Request-Email\r\n\r\n0\r\n"
        + f"{SAYS_ADMIN}\r\n\r\n".encode()
    ),
    "folded": vouches("X-Auth-Request-Email:", f" {ADMIN}"),
    "space_before_the_colon": vouches(f"X-Auth-Request-Email : {ADMIN}"),
    "another_success": vouches(SAYS_ADMIN, status="200 OK"),
    "no_content": vouches(SAYS_ADMIN, status="204 No Content"),
    **{
        f"malformed_{number}": vouches(SAYS_ADMIN, line)
        for number, line in enumerate(
            ("X-Other: 1\n2", "X-Other: 1\r2", "X-Other: \0", "X-Other", "X Other: 1", ": 1", " 1")
        )
    },
    "twice": vouches(SAYS_ADMIN, SAYS_ADMIN),
    "twice_and_once_empty": vouches(SAYS_ADMIN, "X-Auth-Request-Email:"),
    "once_as_another": vouches(f"X-Auth-Request-Email: {ALICE}", f"x-auth-request-email: {ADMIN}"),
    "a_line_feed_inside": vouches(f"X-Other: 1\n{SAYS_ADMIN}"),
    "line_feeds_alone": f"HTTP/1.1 202 Accepted\n{SAYS_ADMIN}\n\n".encode(),
    "a_carriage_return_inside": vouches(f"X-Other: 1\r{SAYS_ADMIN}"),
    "old_version": vouches(SAYS_ADMIN).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "other_protocol": vouches(SAYS_ADMIN).replace(b"HTTP/1.1", b"ICY"),
    "long_status": vouches(SAYS_ADMIN, status="2022 Accepted"),
    "no_name": vouches(f": {ADMIN}", f" {SAYS_ADMIN}"),
    "endless_head": vouches(SAYS_ADMIN).removesuffix(b"\r\n") + b"X-Filling: 1\r\n" * 5_000,
    "large_head": vouches(SAYS_ADMIN, f"X-Filling: {'a' * 70_000}"),
    **{
        f"email_{number}": email(value)
        for number, value in enumerate(
            (
                *(
                    "",
                    " ",
                    "@",
                    "admin",
                    "@example.com",
                    "admin@",
                    "admin@@example.com",
                    "a@b@example.com",
                    "a b@example.com",
                ),
                *(f"{ADMIN}, {ALICE}", f"{ADMIN},{ALICE}", f"{ADMIN} {ALICE}", f"{ADMIN};", f'"{ADMIN}"', f"<{ADMIN}>"),
                *(f"Admin <{ADMIN}>", f"{ADMIN}\t.evil.example", f"{ADMIN}\\n", f"{ADMIN}%00", "admin@example.com\0"),
                *(
                    "a" * 254 + "@example.com",
                    "a@" + "b" * 300,
                    "a" * 9_000 + "@example.com",
                    "ädmin@example.com",
                    "none",
                    "-",
                ),
                *(
                    'a"b@example.com',
                    "a(b)@example.com",
                    "a:b@example.com",
                    "a@exa mple.com",
                    'a@example.com"}',
                    "a@ex_ample",
                ),
            )
        )
    },
}
REFUSED = {"forbidden": 403, "unauthorized": 401, "error_400": 401}


class LyingLogin(socketserver.ThreadingTCPServer):
    """It says what the cookie names, and hangs or dawdles before, amid or after it."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        self.released = threading.Event()
        released = self.released

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                head = b""
                while not head.endswith(b"\r\n\r\n") and (line := self.rfile.readline()):
                    head += line
                kind = re.search(rb"Cookie: __Host-login=x; kind=(\w+?)(?:__(\w+))?\r\n", head)
                if not kind:
                    return
                answer = LIES.get(kind[1].decode()) or email(ADMIN)
                how = kind[2]
                with suppress(ConnectionError):
                    if how == b"silent":
                        released.wait(30)
                    elif how == b"slow":
                        time.sleep(1)
                    elif how and how.startswith(b"trickles"):
                        start, pause = {b"status": (9, 0.2), b"head": (40, 0.2), b"name": (60, 4)}[how[9:]]
                        self.wfile.write(answer[:start])
                        while not released.wait(pause):
                            self.wfile.write(b"a")
                        return
                    elif how:  # a part of the answer, and then nothing
                        self.wfile.write(answer[: {b"a_byte": 1, b"status": 20, b"head": 60}[how]])
                        released.wait(30)
                        return
                    self.wfile.write(b"" if kind[1] == b"nothing" else answer)

        super().__init__((LOCALHOST, 0), Handler)
        self._answering = Answering(self)

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._answering.close()


@pytest.fixture(scope="module")
def lied_to(manifests: Manifests, needs_nginx: Path) -> Generator[RunningGateway, None, None]:
    """The gateway of prod with a login that lies."""
    with LyingLogin() as login, running_gateway(manifests("prod"), real={LOGIN: login.server_address[1]}) as gateway:
        yield gateway


FORGERIES = [header for header in FORGED if header[0].startswith(("X-Auth-Request", "Authorization"))]


def ask_as(gateway: RunningGateway, kind: str, target: str) -> tuple[int, float]:
    """The answer when the login does this, and after how long, for one who forges what it does not say."""
    started = time.monotonic()
    visitor = Visitor(gateway=gateway, address=f"198.51.100.{next(ADDRESSES) % 250}")
    response = visitor.ask(target, ("Cookie", f"__Host-login=x; kind={kind}"), *FORGERIES)
    if response.status == 302:
        assert_turned_away(visitor, target, response)
    return response.status, time.monotonic() - started


@at_each("kind", LIES)
def test_a_login_that_lies_lets_nobody_in(lied_to: RunningGateway, kind: str) -> None:
    lied_to.forget()
    expected = REFUSED.get(kind, 503)
    for target in PROTECTED:
        status, _ = ask_as(lied_to, kind, target)
        assert status == (302 if (expected, target) != (401, "/api/interviews") and expected == 401 else expected)
    assert not lied_to.arrived


def test_a_login_that_hangs_lets_nobody_in_and_is_given_up_after_five_seconds(lied_to: RunningGateway) -> None:
    lied_to.forget()
    ways = ("silent", "a_byte", "status", "head", "trickles_status", "trickles_head", "trickles_name")
    hangs = [(f"truth__{how}", target) for how in ways for target in PROTECTED]
    with ThreadPoolExecutor(len(hangs)) as pool:
        answers = list(pool.map(lambda one: ask_as(lied_to, *one), hangs))
    assert [status for status, _ in answers] == [503] * len(hangs)
    assert all(4.5 < seconds < 7 for _, seconds in answers), answers
    assert not lied_to.arrived


@at_each("length", ["2", "0", "1000", "02", "2, 2", "", "-1", "two"])
def test_what_the_login_says_beyond_its_answer_is_not_its_next_answer(stranger: Visitor, length: str) -> None:
    said = Answer(status=401, headers={"Content-Length": length}, body=b"no" + vouches(SAYS_ADMIN) * 3)
    stranger.gateway.upstreams[LOGIN].answer = lambda _: said
    for _ in range(4):
        for target in PROTECTED:
            assert_turned_away(stranger, target, stranger.ask(target))


def test_an_answer_that_the_login_sends_too_much_is_not_told_of_the_next_person(stranger: Visitor) -> None:
    login, told = stranger.gateway.upstreams[LOGIN], threading.Event()

    def surplus() -> bytes:
        told.wait(2)
        return vouches(SAYS_ADMIN)

    late = Answer(status=401, headers={"Content-Length": "0", "Connection": "keep-alive"}, rest=surplus)
    login.answer = lambda _: late
    # Each worker has connections of its own.
    for _ in range(8):
        assert_turned_away(stranger, "/", stranger.ask("/"))
    told.set()
    time.sleep(0.3)
    login.answer = lambda _: Answer(status=401)
    for _ in range(8):
        assert_turned_away(stranger, "/grafana/", stranger.ask("/grafana/"))
    assert not stranger.gateway.arrived


def test_another_is_asked_in_time_when_one_pod_of_the_login_hangs(stranger: Visitor) -> None:
    login, over = stranger.gateway.upstreams[LOGIN], threading.Event()
    vouched = Answer(status=202, headers={"X-Auth-Request-Email": ADMIN})

    def hangs_first(_: Request) -> Answer:
        if len(login.requests) == 1:
            over.wait(30)
        return vouched

    login.answer = hangs_first
    began = time.monotonic()
    assert stranger.ask("/grafana/").status == 200
    assert 1.4 < time.monotonic() - began < 3
    over.set()


@requires("nginx")
def test_the_login_s_time_begins_before_its_address_is_known(
    manifests: Manifests, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        LyingLogin() as login,
        running_gateway(manifests("prod"), real={LOGIN: login.server_address[1]}) as gateway,
    ):
        reply = gateway.dns.reply

        def slow(query: bytes) -> bytes:
            time.sleep(1.7 if LOGIN.encode() in query else 0)
            return reply(query)

        monkeypatch.setattr(gateway.dns, "reply", slow)
        status, seconds = ask_as(gateway, "truth__silent", "/api/interviews")
        assert status == 503
        assert 4.5 < seconds < 6


@requires("nginx")
def test_a_dns_that_is_silent_takes_no_longer_than_the_login_has(manifests: Manifests) -> None:
    with running_gateway(manifests("prod")) as gateway:
        gateway.dns.silent = True
        resolv_conf = gateway.prefix.parent / "resolv.conf"
        resolv_conf.write_text(resolv_conf.read_text() * 3)
        gateway.pod.process.send_signal(signal.SIGHUP)
        time.sleep(1)
        began = time.monotonic()
        assert Visitor(gateway=gateway, address="198.51.100.1").ask("/health").status == 503
        assert 4.5 < time.monotonic() - began < 6


def test_a_name_that_is_no_text_is_replaced_by_the_address(stranger: Visitor) -> None:
    for name, called in (("J\xfcrgen", ALICE), ("\xc3\xbc", "ü"), ("\xed\xa0\x80", ALICE), ("\xc3", ALICE), ("A", "A")):
        vouched = {
            "X-Auth-Request-Email": ALICE,
            "X-Auth-Request-Preferred-Username": name,
            "X-Auth-Request-User": name,
        }
        answer = Answer(status=202, headers=vouched)
        forget_requests(stranger.gateway)
        stranger.gateway.upstreams[LOGIN].answer = partial(lambda answer, _: answer, answer)
        assert stranger.ask("/api/x").status == 200
        claims = claims_of(stranger.gateway.arrived["backend"][0])
        assert (claims["name"], claims["sub"]) == (called, called)


@pytest.mark.parametrize(("environment", "told"), [("dev", 200), ("prod", 401)])
def test_one_ipv6_network_is_one_stranger_and_every_ipv4_address_another(
    limited: Callable[[str], RunningGateway], environment: str, told: int
) -> None:
    visitor = visitor_of(limited(environment))

    def ask(address: str) -> int:
        status = visitor.ask("/api/x", ("X-Forwarded-For", address)).status
        return 200 if status == told else status

    # Spelled in every way, and with bytes that a pattern may trip over: a line's end, and zeros.
    number = next(ADDRESSES)
    network = [f"2001:db8:0:{number:x}::1", f"2001:0db8::{number:x}:a:b:c:d", f"2001:db8:0:{number:x}:ffff::0a0a"]
    network += [f"2001:DB8:0:{number:x}:0:0:0:a", f"2001:db8:0:{number:x}::"]
    assert {ask(network[turn % len(network)]) for turn in range(61)} == {200}
    assert 429 in {ask(network[turn % len(network)]) for turn in range(60)}
    others = [f"2001:db8:0:{number + 4096:x}::1", f"2001:db8:1:{number:x}::1", f"2001:db8:a0a:{number:x}::a", "::1"]
    others += ["::ffff:192.0.2.1", "192.0.2.10", "::ffff:192.0.2.2", "2001:a0a:a0a:a0a:a0a:a0a:a0a:a0a"]
    assert [ask(other) for other in others] == [200] * len(others)
    # The same address in both forms is one client.
    assert {ask("::ffff:192.0.2.200") for _ in range(61)} == {200}
    assert 429 in {ask("192.0.2.200") for _ in range(60)}
    assert [ask(f"192.0.2.{turn}") for turn in range(20, 120)] == [200] * 100
    assert [ask(f"::ffff:192.0.2.{turn}") for turn in range(20, 120)] == [200] * 100


@at_each("target", PROTECTED)
def test_a_login_that_hangs_up_is_asked_again_and_not_for_ever(stranger: Visitor, target: str) -> None:
    login, vouched = stranger.gateway.upstreams[LOGIN], Answer(status=202, headers={"X-Auth-Request-Email": ADMIN})
    login.answer = lambda _: vouched if len(login.requests) > 2 else Answer(status=0)
    assert stranger.ask(target).status == 200
    stranger.gateway.forget()
    login.answer = lambda _: Answer(status=0)
    assert stranger.ask(target).status == 503
    assert 3 <= len(login.requests) <= 5
    assert not stranger.gateway.arrived


def test_a_login_that_is_slow_lets_in_whom_it_knows(lied_to: RunningGateway) -> None:
    lied_to.forget()
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda target: ask_as(lied_to, "truth__slow", target), PROTECTED))
    assert [status for status, _ in answers] == [200] * 3
    assert {name: len(requests) for name, requests in lied_to.arrived.items()} == {"backend": 2, "grafana": 1}
    assert ask_as(lied_to, "truth", "/grafana/")[0] == 200


@requires("nginx")
def test_a_login_that_refuses_connections_lets_nobody_in(manifests: Manifests) -> None:
    with running_gateway(manifests("prod"), real={LOGIN: free_port()}) as gateway:
        assert [ask_as(gateway, "truth", target)[0] for target in PROTECTED] == [503] * 3
        assert not gateway.arrived
        assert {Visitor(gateway=gateway, address="198.51.100.1").ask(target).status for target in PUBLIC} == {200}


@requires("nginx")
def test_a_login_whose_name_is_gone_lets_nobody_in(manifests: Manifests) -> None:
    with running_gateway(manifests("prod")) as gateway:
        gateway.sign_in(ADMIN)
        del gateway.dns.addresses[f"{PREFIX}{LOGIN}.{DOMAIN}"]
        assert [ask_as(gateway, "truth", target)[0] for target in PROTECTED] == [503] * 3
        assert not gateway.arrived
        assert not gateway.upstreams[LOGIN].requests
        assert {Visitor(gateway=gateway, address="198.51.100.1").ask(target).status for target in PUBLIC} == {200}


@at_each("spelled", ["ADMIN@EXAMPLE.COM", "Admin@Example.com", "admin@example.COM"])
def test_the_administrator_is_known_in_any_case(stranger: Visitor, spelled: str) -> None:
    stranger.gateway.sign_in(spelled)
    assert stranger.ask("/grafana/").status == 200
    assert stranger.ask("/api/x").status == 200
    assert claims_of(stranger.gateway.arrived["backend"][0])["email"] == ADMIN


@at_each(
    "address",
    [
        *(f"x{ADMIN}", f"{ADMIN}.evil.example", f"x.{ADMIN}", f"admin+x{ADMIN[5:]}", "admin@xexample.com", f"{ADMIN}."),
        *(
            "admin@example.co",
            "dmin@example.com",
            "admin@mail.example.com",
            "admin%example.com@evil.example",
            f"'{ADMIN}",
        ),
    ],
)
def test_an_address_that_resembles_the_administrator_s_is_not_the_administrator(
    stranger: Visitor, address: str
) -> None:
    stranger.gateway.sign_in(address)
    assert stranger.ask("/grafana/").status == 403
    assert not stranger.gateway.arrived
    assert stranger.ask("/api/x").status == 200
    assert claims_of(stranger.gateway.arrived["backend"][0])["email"] == address
