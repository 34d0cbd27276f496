"""This module is the proof of the login: people sign in with a provider, by a real oauth2-proxy, through the gateway.

The program is the oauth2-proxy whose image is pinned. It runs with the rendered variables. Only its own address and
the provider's are those of this machine, and its secrets are invented. The provider is oidc-provider-mock: it speaks
OpenID Connect and asks for no password.
"""

import base64
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from http.client import HTTPConnection
from itertools import count, cycle
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ai_interviewer import PROD, AiInterviewer
from conftest import ROOT, requires
from gateway_harness import LOGIN, PREFIX, Answer, Request, Response, RunningGateway, StubUpstream, running_gateway
from log_pipeline import Pipeline
from mcpmesh_k8s import GitHub, Google, OAuth2ProxySettings, OpenIdConnect
from mcpmesh_k8s.access.oauth2_proxy import Provider
from mesh_harness import (
    LOCALHOST,
    Loopback,
    Manifest,
    Pod,
    container_of,
    eventually,
    find,
    free_port,
    is_open,
    pod_environment,
    probe,
    start_pod,
)
from processes import START, Account, serving
from reading import objects_of

pytestmark = requires("nginx", "oauth2_proxy")
COOKIE = "__Host-login"
ISSUER = "https://id.example.com"
API, GRAFANA = "/api/interviews", "/grafana/"
PREFERRED = "Alice Example"
ALICE = {"sub": "alice-7", "email": "alice@example.com", "email_verified": True, "preferred_username": PREFERRED}
ADMINISTRATOR = {"sub": "admin-1", "email": "admin@example.com", "email_verified": True}
STRANGER = {"sub": "stranger-9", "email": "stranger@example.com.evil.test", "email_verified": True}
UNVERIFIED = {"sub": "unverified-8", "email": "admin@example.com", "email_verified": False}
MEMBER = {
    "sub": "member-3",
    "email": "member@example.com",
    "email_verified": True,
    "groups": [f"/departments/engineering/teams/platform-{number:03}" for number in range(120)],
}
"""Someone in 120 groups, which the provider tells whether it is asked for them or not."""

PEOPLE = (ALICE, ADMINISTRATOR, STRANGER, UNVERIFIED, MEMBER)
LINE = 8 * 1024
"""The longest line of a request's head."""

SECRETS = {
    (PREFIX + LOGIN, "client-id"): "a-client",
    (PREFIX + LOGIN, "client-secret"): "a-client-secret",
    # Of bytes that the two alphabets of base64 write differently: oauth2-proxy reads the URL-safe one.
    (PREFIX + LOGIN, "cookie-secret"): base64.urlsafe_b64encode(b"\xfb\xff\xbf" * 10 + b"\xfb\xff").decode(),
}
ADDRESSES = (f"203.0.113.{number}" for number in count(1))
"""Everyone has another address: the gateway limits how often one signs in."""


@dataclass(frozen=True, kw_only=True)
class Provided:
    """The provider, on a port of loopback."""

    port: int
    process: subprocess.Popen[bytes]

    def sign_in(self, address: str, person: Mapping[str, object]) -> str:
        """Fill in the form that this address shows: where the browser is sent."""
        parts = urlsplit(address)
        assert parts.netloc == f"{LOCALHOST}:{self.port}", address
        connection = HTTPConnection(LOCALHOST, self.port, timeout=START)
        try:
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", f"{parts.path}?{parts.query}", urlencode({"sub": person["sub"]}), form)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 302, (answer.status, body)
            return str(answer.headers["Location"])
        finally:
            connection.close()


@dataclass(frozen=True, kw_only=True)
class Way:
    """The way in: gateways, the login behind each, and the provider behind them."""

    gateways: tuple[RunningGateway, ...]
    logins: tuple[Pod, ...]
    provider: Provided


@dataclass(kw_only=True)
class Browser:
    """Someone at a browser: it keeps cookies, and follows no redirect by itself.

    Attributes:
        said: The Set-Cookie headers it was sent, by the name of the cookie.
        secrets: What nobody else may learn.
    """

    way: Way
    replica: int = 0
    cookies: dict[str, str] = field(default_factory=dict[str, str])
    said: dict[str, str] = field(default_factory=dict[str, str])
    secrets: list[str] = field(default_factory=list[str])
    address: str = field(default_factory=lambda: next(ADDRESSES))

    @property
    def gateway(self) -> RunningGateway:
        return self.way.gateways[self.replica]

    def get(self, target: str) -> Response:
        sent = [("X-Forwarded-For", self.address)]
        if self.cookies:
            sent.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        response = self.gateway.request("GET", target, headers=sent)
        for header in response.headers.get_all("Set-Cookie") or []:
            name, _, value = header.partition(";")[0].partition("=")
            self.said[name] = header
            if value:  # oauth2-proxy clears a cookie by an empty value that may not be kept
                self.cookies[name] = value
                self.secrets.append(value)
            else:
                self.cookies.pop(name, None)
        return response

    def ask_provider(self, *, at: str = "/") -> str:
        """Go to a page, and be sent to the provider: its address."""
        start = self.get(at)
        assert start.status == 302, start
        asked = self.get(start.headers["Location"])
        assert asked.status == 302, asked
        return str(asked.headers["Location"])

    def callback(self, person: Mapping[str, object], *, at: str = "/", nonce: str = "") -> str:
        """Where the provider sends this browser when the person has signed in there.

        Args:
            nonce: What someone on the way made of the nonce that the provider is asked for.
        """
        address = self.ask_provider(at=at)
        if nonce:
            path, _, asked = address.partition("?")
            address = f"{path}?{urlencode({**dict(parse_qsl(asked)), 'nonce': nonce})}"
        back = urlsplit(self.way.provider.sign_in(address, person))
        assert f"{back.scheme}://{back.netloc}" == f"https://{self.gateway.host}"
        query = parse_qs(back.query)
        self.secrets += [query["code"][0], query["state"][0].partition(":")[0]]
        return f"{back.path}?{back.query}"

    def sign_in(self, person: Mapping[str, object], *, at: str = "/") -> Response:
        """All the way to the answer of the callback."""
        return self.get(self.callback(person, at=at))

    def comes_back(self, address: str, person: Mapping[str, object]) -> str:
        """Where a window ends that was sent to this address of the provider."""
        returned = urlsplit(self.way.provider.sign_in(address, person))
        response = self.get(f"{returned.path}?{returned.query}")
        assert response.status == 302, response
        return str(response.headers["Location"])

    @property
    def tries(self) -> list[str]:
        """The cookies of logins that are under way."""
        return [name for name in self.cookies if name.endswith("_csrf")]

    def is_signed_in(self) -> bool:
        """Whether this browser gets to the backend: a program that does not is told so, and nothing arrives."""
        self.gateway.forget()
        status = self.get(API).status
        assert (status, set(self.gateway.arrived)) in ((200, {"backend"}), (401, set[str]()))
        return status == 200


@contextmanager
def provider(folder: Path) -> Generator[Provided, None, None]:
    """An OpenID provider that knows our people."""
    port = free_port()
    words = [sys.executable, str(ROOT / "tests/oidc_provider.py"), "--port", str(port), "--host", LOCALHOST]
    for person in PEOPLE:
        words += ["--user-claims", json.dumps(person)]
    log = folder / "provider.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        assert eventually(lambda: is_open(port) or process.poll() is not None, START)
        assert is_open(port), log.read_text()
        yield Provided(port=port, process=process)
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def login(
    manifests: Sequence[Manifest],
    provider: Provided,
    port: int,
    *,
    metrics: int = 0,
    expires: str = "",
    more: Mapping[str, str] | None = None,
) -> Generator[Pod, None, None]:
    """The rendered login on a port of loopback.

    Args:
        metrics: The port of its metrics; any unless given.
        expires: How long a session lasts, where a test cannot wait as long as the settings say.
        more: Variables that are not rendered.
    """
    manifest = find(manifests, "Deployment", PREFIX + LOGIN)
    loopback = Loopback(ports={4180: port, 44180: metrics or free_port()})
    environment = pod_environment(manifest, LOGIN, secrets=SECRETS, loopback=loopback)
    rewritten = {
        f"OAUTH2_PROXY_{of}_ADDRESS": (f"0.0.0.0:{there}", f"{LOCALHOST}:{here}")
        for of, (there, here) in zip(("HTTP", "METRICS"), loopback.ports.items(), strict=True)
    }
    if environment["OAUTH2_PROXY_PROVIDER"] == "oidc":
        rewritten["OAUTH2_PROXY_OIDC_ISSUER_URL"] = (ISSUER, f"http://{LOCALHOST}:{provider.port}")
    if expires:
        rewritten["OAUTH2_PROXY_COOKIE_EXPIRE"] = ("12h", expires)
    for name, (rendered, local) in rewritten.items():
        assert environment[name] == rendered
        environment[name] = local
    assert not (more or {}).keys() & environment.keys()
    environment |= more or {}
    security = container_of(manifest, LOGIN)["securityContext"]
    account = Account(security["runAsUser"], security["runAsGroup"])
    with account.folder() as folder:
        # Where this account may read it. Another thread that starts something would keep our own copy open for writing.
        program = folder / "oauth2-proxy"
        subprocess.run(["cp", str(shutil.which(program.name)), program], check=True)
        pod = start_pod(
            manifest,
            LOGIN,
            environment=environment,
            loopback=loopback,
            root=folder,
            entrypoint=(*account.command, str(program)),
        )
        with serving(pod, lambda: is_open(port)):
            yield pod


@cache
def render(provider: Provider) -> list[Manifest]:
    """Production, where this provider vouches."""
    assert isinstance(PROD.login, OAuth2ProxySettings)
    settings = replace(PROD, login=replace(PROD.login, provider=provider))
    return list(objects_of(AiInterviewer(settings, outdir="unused")))


@pytest.fixture(scope="module")
def rendered() -> list[Manifest]:
    """Production, with a provider that can be played: nobody can play Google."""
    return render(OpenIdConnect(issuer=ISSUER))


@pytest.fixture(scope="module")
def provided(tmp_path_factory: pytest.TempPathFactory) -> Generator[Provided, None, None]:
    with provider(tmp_path_factory.mktemp("provider")) as running:
        yield running


@contextmanager
def way_in(manifests: Sequence[Manifest], provider: Provided, *logins: Pod) -> Generator[Way, None, None]:
    """A gateway before each login."""
    with ExitStack() as stack:
        gateways = [stack.enter_context(running_gateway(manifests, real={LOGIN: pod.ports["http"]})) for pod in logins]
        yield Way(gateways=tuple(gateways), logins=logins, provider=provider)


@pytest.fixture(scope="module")
def way(rendered: list[Manifest], provided: Provided) -> Generator[Way, None, None]:
    """Two replicas of gateway and login, which share nothing but the secrets."""
    with (
        login(rendered, provided, free_port()) as one,
        login(rendered, provided, free_port()) as two,
        way_in(rendered, provided, one, two) as way,
    ):
        yield way


@pytest.fixture
def alice(way: Way) -> Browser:
    """Alice, signed in."""
    browser = Browser(way=way)
    assert browser.sign_in(ALICE).status == 302
    assert browser.cookies.keys() == {COOKIE}
    return browser


def told(browser: Browser) -> dict[str, Any]:
    """Whom the backend takes the browser for."""
    assert browser.is_signed_in()
    ((request,),) = browser.gateway.arrived.values()
    kind, _, token = request.headers["Authorization"].partition(" ")
    header, payload, signature = token.split(".")
    assert (kind, signature) == ("Bearer", "")
    parts = [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (header, payload)]
    assert parts[0] == {"alg": "none", "typ": "JWT"}
    assert request.headers["Cookie"] is None
    return dict(parts[1])


# What it counts


def test_the_login_tells_its_metrics_on_a_port_of_their_own(alice: Browser) -> None:
    (pod, _) = alice.way.logins

    def ask(port: int, path: str) -> tuple[int, str]:
        connection = HTTPConnection(LOCALHOST, port, timeout=START)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    assert alice.is_signed_in()
    status, text = ask(pod.ports["metrics"], "/metrics")
    assert status == 200
    values = {
        (sample.name, *sample.labels.items()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert values["oauth2_proxy_requests_total", ("code", "202")] > 0
    assert values["oauth2_proxy_response_duration_seconds_count", ("method", "get")] > 0
    assert not [secret for secret in (*alice.secrets, str(ALICE["email"])) if secret in text]
    # Where people come, it has none, and the gateway passes none on.
    assert "oauth2_proxy_requests" not in ask(pod.ports["http"], "/metrics")[1]
    assert b"oauth2_proxy_requests" not in alice.get("/metrics").body
    assert alice.get("/oauth2/metrics").status == 404


# What it is told


def loads(settings: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Let oauth2-proxy read settings from a file. A name that it does not know stops it; as a variable it would not."""
    file = folder / "oauth2-proxy.cfg"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    words = [str(shutil.which("oauth2-proxy")), "--config", str(file), "--convert-config-to-alpha"]
    return subprocess.run(words, env={}, capture_output=True, text=True, timeout=START)


@pytest.mark.parametrize("asked", [Google(), GitHub(organization="acme"), OpenIdConnect(issuer=ISSUER)], ids=repr)
def test_it_knows_every_variable_that_it_is_given(asked: Provider, tmp_path: Path) -> None:
    manifest = find(render(asked), "Deployment", PREFIX + LOGIN)
    variables = pod_environment(manifest, LOGIN, secrets=SECRETS, loopback=Loopback())
    del variables["PATH"]
    assert all(name.startswith("OAUTH2_PROXY_") for name in variables)
    settings = {name.removeprefix("OAUTH2_PROXY_").lower(): value for name, value in variables.items()}
    assert loads(settings, tmp_path).returncode == 0
    for name in settings:
        misspelled = loads({f"{name}x" if key == name else key: value for key, value in settings.items()}, tmp_path)
        assert misspelled.returncode != 0, name
        assert f"invalid keys: {name}x" in misspelled.stdout + misspelled.stderr


@pytest.mark.parametrize("kind", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_it_answers_its_probes(way: Way, kind: str) -> None:
    assert [probe(pod.spec[kind], pod) for pod in way.logins] == ["200", "200"]


# The way in


def test_a_person_is_sent_to_sign_in_and_a_program_is_told(way: Way) -> None:
    browser = Browser(way=way)
    page, program = browser.get("/jobs?title=%C3%BCber"), browser.get(API)
    assert (page.status, page.headers["Location"]) == (302, "/oauth2/start?rd=%2Fjobs%3Ftitle%3D%25C3%25BCber")
    assert program.status == 401
    assert json.loads(program.body)["error"] == "Sign in first."
    assert not browser.is_signed_in()


def test_the_provider_is_asked_with_a_proof_key_and_a_nonce_to_come_back_by_https(way: Way) -> None:
    query = parse_qs(urlsplit(Browser(way=way).ask_provider()).query)
    assert query["response_type"] == ["code"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["client_id"] == [SECRETS[PREFIX + LOGIN, "client-id"]]
    assert query["redirect_uri"] == [f"https://{way.gateways[0].host}/oauth2/callback"]
    assert {"openid", "email"} <= set(query["scope"][0].split())
    assert len(query["code_challenge"][0]) == 43
    assert query["nonce"][0]


@pytest.mark.parametrize(
    ("at", "back"),
    [
        ("/jobs?page=2", "/jobs?page=2"),
        ("/oauth2/start?rd=https%3A%2F%2Fevil.test%2F", "/"),
        ("/oauth2/start?rd=%2F%2Fevil.test%2F", "/"),
    ],
)
def test_signing_in_leads_back_to_the_page_and_to_no_other_host(way: Way, at: str, back: str) -> None:
    browser = Browser(way=way)
    address = browser.get(at).headers["Location"]
    if address.startswith("/"):
        address = browser.get(address).headers["Location"]
    returned = urlsplit(way.provider.sign_in(address, ALICE))
    assert browser.get(f"{returned.path}?{returned.query}").headers["Location"] == back


def test_the_cookie_is_for_this_host_by_tls_and_not_for_scripts(alice: Browser) -> None:
    attributes = {part.strip().lower() for part in alice.said[COOKIE].split(";")[1:]}
    assert {"path=/", "httponly", "secure", "samesite=lax"} <= attributes
    assert not any(attribute.startswith("domain") for attribute in attributes)


def test_the_backend_is_told_who_signed_in_and_gets_no_cookie(alice: Browser) -> None:
    before = int(time.time())
    said = told(alice)
    issued, expires = said.pop("iat"), said.pop("exp")
    assert said == {"email": ALICE["email"], "name": PREFERRED, "provider": "oidc", "sub": ALICE["sub"]}
    assert before <= issued <= time.time() < expires


def test_any_replica_knows_who_signed_in_at_another(alice: Browser) -> None:
    alice.replica = 1
    assert told(alice)["email"] == ALICE["email"]


def test_a_login_that_began_at_one_replica_ends_at_another(way: Way) -> None:
    browser = Browser(way=way)
    callback = browser.callback(ALICE)
    browser.replica = 1
    assert browser.get(callback).status == 302
    assert browser.is_signed_in()


def test_its_own_page_leads_straight_to_the_provider(way: Way) -> None:
    asked = Browser(way=way).get("/oauth2/sign_in")
    assert (asked.status, asked.headers["Location"].partition("?")[0]) == (
        302,
        f"http://{LOCALHOST}:{way.provider.port}/oauth2/authorize",
    )


@pytest.mark.parametrize(
    "path", ["auth", "auth/", "AUTH", "auth%20", "%61uth", "userinfo", "userinfo/", "robots.txt", ""]
)
def test_a_browser_cannot_ask_it_who_someone_is(alice: Browser, path: str) -> None:
    response = alice.get(f"/oauth2/{path}")
    assert response.status == 404
    assert "alice" not in f"{response.headers}{response.body!r}".lower()


def test_administrators_alone_reach_grafana(alice: Browser) -> None:
    administrator = Browser(way=alice.way)
    administrator.sign_in(ADMINISTRATOR)
    alice.gateway.forget()
    refused = alice.get(GRAFANA)
    assert (refused.status, refused.body) == (403, b"This is for administrators.\n")
    assert not alice.gateway.arrived
    assert administrator.get(GRAFANA).status == 200
    assert alice.gateway.arrived.keys() == {"grafana"}


# Windows


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["the first first", "the last first"])
def test_two_windows_sign_in_at_once(way: Way, order: tuple[int, int]) -> None:
    browser = Browser(way=way)
    begun = [browser.ask_provider(at="/jobs?page=0"), browser.ask_provider(at="/jobs?page=1")]
    for window in order:
        assert browser.comes_back(begun[window], ALICE) == f"/jobs?page={window}"
        assert browser.is_signed_in()
    assert not browser.tries


def test_a_window_that_is_left_open_does_not_disturb_the_next(way: Way) -> None:
    browser = Browser(way=way)
    left_open = browser.ask_provider(at="/left")
    for _ in range(3):
        browser.cookies.pop(COOKIE, None)  # the session is over
        assert browser.comes_back(browser.ask_provider(at="/next"), ALICE) == "/next"
        assert browser.is_signed_in()
    assert browser.comes_back(left_open, ALICE) == "/left"
    assert browser.is_signed_in()


def test_a_browser_keeps_few_tries_and_the_newest_are_good(way: Way) -> None:
    browser = Browser(way=way)
    begun = list[str]()
    for number in range(20):
        begun.append(browser.ask_provider(at=f"/jobs?page={number}"))
        assert len(browser.tries) == min(number + 1, 5)
    assert len("; ".join(f"{name}={value}" for name, value in browser.cookies.items())) < LINE / 2
    assert browser.comes_back(begun[-1], ALICE) == "/jobs?page=19"
    assert browser.is_signed_in()
    oldest = urlsplit(way.provider.sign_in(begun[0], ALICE))
    assert_can_try_again(browser, f"{oldest.path}?{oldest.query}", at="/jobs?page=0")


def assert_can_try_again(browser: Browser, callback: str, *, at: str) -> None:
    """The way back fails with a page that says so, and what it offers ends signed in, where the person wanted to go."""
    page = browser.get(callback)
    assert (page.status, page.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    assert page.headers["Cache-Control"] == "no-store"
    text = page.body.decode()
    assert "Signing in was begun too long ago, twice, or in another browser" in text
    (link,) = re.findall(r'<a href="([^"]*)">Try again</a>', text)
    assert link.startswith("/oauth2/start?rd=")
    begun = browser.get(link)
    assert browser.comes_back(begun.headers["Location"], ALICE) == at
    assert browser.is_signed_in()


def test_a_login_that_was_begun_yesterday_ends_with_a_page_that_begins_anew(way: Way) -> None:
    browser = Browser(way=way)
    callback = browser.callback(ALICE, at="/jobs?page=2&x=%2F")
    browser.cookies.clear()  # the browser has forgotten it
    assert_can_try_again(browser, callback, at="/jobs?page=2&x=%2F")


def test_a_login_whose_time_is_over_ends_with_a_page_that_begins_anew(
    rendered: list[Manifest], provided: Provided
) -> None:
    hurried = login(rendered, provided, free_port(), more={"OAUTH2_PROXY_COOKIE_CSRF_EXPIRE": "1s"})
    with hurried as pod, way_in(rendered, provided, pod) as way:
        browser = Browser(way=way)
        callback = browser.callback(ALICE, at="/late")
        time.sleep(2.1)
        page = browser.get(callback)
        assert (page.status, page.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
        assert re.findall(r'<a href="([^"]*)">Try again</a>', page.body.decode()) == ["/oauth2/start?rd=%2Flate"]


def test_a_login_that_comes_back_twice_ends_with_a_page_that_begins_anew(way: Way) -> None:
    browser = Browser(way=way)
    callback = browser.callback(ALICE, at="/twice")
    assert browser.get(callback).status == 302
    assert_can_try_again(browser, callback, at="/twice")


def test_a_login_that_comes_back_in_another_browser_ends_with_a_page_that_begins_anew(way: Way) -> None:
    other = Browser(way=way)
    assert_can_try_again(other, Browser(way=way).callback(ALICE, at="/there"), at="/there")


def test_who_says_no_at_the_provider_may_try_again(way: Way) -> None:
    browser = Browser(way=way)
    state = dict(parse_qsl(urlsplit(browser.ask_provider(at="/no")).query))["state"]
    assert_can_try_again(browser, f"/oauth2/callback?{urlencode({'error': 'access_denied', 'state': state})}", at="/no")


@pytest.mark.parametrize(
    "back",
    ["//evil.test/", "/\\evil.test", "https://evil.test/", "", "javascript:alert(1)", "/x\r\nSet-Cookie: a=b", "evil"],
)
def test_the_page_that_begins_anew_leads_to_no_other_host(way: Way, back: str) -> None:
    for spelled in (back, quote(back, safe="")):
        state = {"code": "x", "state": f"abcdefghijkl:{spelled}"}
        page = Browser(way=way).get(f"/oauth2/callback?{urlencode(state)}")
        assert re.findall(r'href="([^"]*)"', page.body.decode()) == ["/oauth2/start?rd=%2F"]
        assert page.headers["Set-Cookie"] is None


def test_the_page_that_begins_anew_repeats_nothing_that_a_browser_would_run(way: Way) -> None:
    for target in ("/'><script>alert(1)</script>", '/"onmouseover="alert(1)', "/&quot;<b>"):
        page = Browser(way=way).get(f"/oauth2/callback?{urlencode({'state': f'abcdefghijkl:{quote(target)}'})}")
        text = page.body.decode()
        assert not {"<script", "<b>", "onmouseover="} & set(re.findall(r"<\w+|<b>|onmouseover=", text))
        (link,) = re.findall(r'<a href="([^"]*)">Try again</a>', text)
        assert re.fullmatch(r"/oauth2/start\?rd=[\w.~%'()!*-]+", link)


# Many groups, and heads that are too long


def test_a_person_in_many_groups_signs_in_and_carries_none_of_them(way: Way) -> None:
    browser = Browser(way=way)
    assert browser.sign_in(MEMBER).status == 302
    assert browser.cookies.keys() == {COOKIE}
    assert len(browser.cookies[COOKIE]) < 1024
    assert told(browser)["email"] == MEMBER["email"]


@pytest.mark.parametrize(
    ("at", "back"),
    [
        (f"/jobs?{'%22' * 150}", f"/jobs?{'%22' * 150}"),
        (f"/jobs?filter={'%22' * 2000}", "/jobs"),
        (f"/jobs?filter={'x' * 7000}", "/jobs"),
        (f"/{'x' * 7000}", "/"),
    ],
    ids=["short", "codes", "letters", "path"],
)
def test_a_long_address_keeps_nobody_from_signing_in(way: Way, at: str, back: str) -> None:
    browser = Browser(way=way)
    begun = browser.ask_provider(at=at)
    assert len(begun) < LINE / 2
    assert browser.comes_back(begun, ALICE) == back
    assert browser.is_signed_in()


def test_the_provider_is_not_asked_for_groups(way: Way) -> None:
    query = parse_qs(urlsplit(Browser(way=way).ask_provider()).query)
    assert query["scope"] == ["openid email profile"]


class StandInForGitHub(StubUpstream):
    """As much of GitHub as a sign-in asks for, and someone who is in this many teams of two organizations."""

    def __init__(self, teams: int) -> None:
        super().__init__("github")
        self.teams = teams
        self.answer = self._say

    def _say(self, request: Request) -> Answer:
        path, _, query = request.target.partition("?")
        page = int(dict(parse_qsl(query)).get("page", "1"))
        said: object = {
            "/login/oauth/access_token": {
                "access_token": "a-token",
                "token_type": "bearer",
                "scope": "user:email,read:org",
            },
            "/user/orgs": [{"login": "acme"}, {"login": "acme-labs"}] if page == 1 else [],
            "/user/teams": [
                {"name": f"T{number}", "slug": f"platform-team-{number:04}", "organization": {"login": "acme"}}
                for number in range((page - 1) * 100, min(page * 100, self.teams))
            ],
            "/user/emails": [{"email": ALICE["email"], "primary": True, "verified": True}],
            "/": {},
            "/user": {"login": "alice", "email": ALICE["email"]},
        }[path]
        return Answer(headers={"Content-Type": "application/json"}, body=json.dumps(said).encode())


@pytest.mark.parametrize(
    ("teams", "statuses", "problem"),
    [
        (120, (302, 200), ""),
        (400, (302, 503), "the login failed: a head that is longer than 8192 bytes"),
        (2000, (502, 401), "the head of its answer is longer than 8192 bytes"),
    ],
)
def test_github_tells_groups_unasked_and_whoever_has_too_many_is_named(
    provided: Provided, teams: int, statuses: tuple[int, int], problem: str
) -> None:
    manifests = render(GitHub(organization="acme"))
    with StandInForGitHub(teams) as github:
        place = f"http://{LOCALHOST}:{github.port}"
        elsewhere = {
            "OAUTH2_PROXY_LOGIN_URL": f"{place}/login/oauth/authorize",
            "OAUTH2_PROXY_REDEEM_URL": f"{place}/login/oauth/access_token",
            "OAUTH2_PROXY_VALIDATE_URL": f"{place}/",
        }
        with (
            login(manifests, provided, free_port(), more=elsewhere) as pod,
            way_in(manifests, provided, pod) as way,
        ):
            browser = Browser(way=way)
            state = dict(parse_qsl(urlsplit(browser.ask_provider()).query))["state"]
            came_back = browser.get(f"/oauth2/callback?{urlencode({'code': 's3cr3t', 'state': state})}")
            called = browser.get(API)
            assert (came_back.status, called.status) == statuses
            assert (b">Try again</a>" in came_back.body) == (came_back.status == 502)
            problems = [line["problem"] for line in browser.gateway.logged(came_back, called)]
            assert problems == ["" if status < 500 else problem for status in statuses]


def test_its_log_is_logfmt_and_names_the_request(way: Way, rendered: list[Manifest]) -> None:
    browser = Browser(way=way)
    assert browser.sign_in(ALICE).status == 302
    refused = browser.get("/oauth2/callback?code=none&state=none:%2F")
    assert refused.status >= 400
    stored = Pipeline.of(rendered).read("oauth2-proxy", "oauth2-proxy", way.logins[0].output)
    assert all(re.match(r'time="[^"]+" (level|file)=', line.text) for line in stored), way.logins[0].output
    signed_in = [line for line in stored if "status=AuthSuccess" in line.text]
    assert {line.level for line in signed_in} == {"info"}
    assert any(line.metadata.get("request_id") == refused.request_id for line in stored), way.logins[0].output
    (alone,) = {line.level for line in stored if "status=AuthFailure" in line.text}
    assert alone == "warn"


# Everyone behind one address


def test_an_office_signs_in_at_nine(way: Way) -> None:
    """40 people behind one address, all at once, and each makes the calls of a page."""

    def one(number: int) -> list[int]:
        person = Browser(way=way, replica=number % 2, address="198.51.100.77")
        statuses = [person.sign_in(ALICE).status]
        return statuses + [person.get("/").status for _ in range(3)]

    with ThreadPoolExecutor(8) as clients:
        statuses = list(clients.map(one, range(40)))
    assert statuses == [[302, 200, 200, 200]] * 40


# Whom it refuses


@pytest.mark.parametrize("person", [STRANGER, UNVERIFIED], ids=["stranger", "unverified"])
def test_who_may_not_sign_in_gets_no_cookie(way: Way, person: Mapping[str, object]) -> None:
    browser = Browser(way=way)
    assert browser.sign_in(person).status == 403
    assert COOKIE not in browser.cookies
    assert not browser.is_signed_in()


def test_the_providers_answer_to_one_browser_is_worth_nothing_in_another(way: Way) -> None:
    attacker, victim = Browser(way=way), Browser(way=way)
    callback = attacker.callback(ADMINISTRATOR)
    assert victim.get(callback).status == 403  # without a login of its own that is under way
    victim.ask_provider()
    assert victim.get(callback).status in {403, 500}  # in place of its own
    assert not victim.is_signed_in()


def test_a_changed_state_ends_the_login(way: Way) -> None:
    browser = Browser(way=way)
    path, _, query = browser.callback(ALICE).partition("?")
    state, _, back = dict(parse_qsl(query))["state"].partition(":")
    changed = {**dict(parse_qsl(query)), "state": f"{'A' if state[0] != 'A' else 'B'}{state[1:]}:{back}"}
    assert browser.get(f"{path}?{urlencode(changed)}").status == 403
    assert not browser.is_signed_in()


def test_a_token_that_was_made_for_another_login_is_refused(way: Way) -> None:
    browser = Browser(way=way)
    assert browser.get(browser.callback(ALICE, nonce="of-another-login")).status == 403
    assert not browser.is_signed_in()


def test_a_callback_is_good_once(way: Way) -> None:
    browser = Browser(way=way)
    callback = browser.callback(ALICE)
    before = dict(browser.cookies)
    assert browser.get(callback).status == 302
    assert browser.get(callback).status == 403
    thief = Browser(way=way, cookies=before)  # who has seen the cookie of the pending login, too
    assert thief.get(callback).status == 500
    assert not thief.is_signed_in()


@pytest.mark.parametrize("where", [0, 0.3, 0.6, 0.9])
def test_a_cookie_with_another_letter_is_none(alice: Browser, where: float) -> None:
    value = alice.cookies[COOKIE]
    at = int(where * len(value))
    at += value[at] == "|"
    alice.cookies[COOKIE] = value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1 :]
    page = alice.get("/")
    assert (page.status, page.headers["Location"]) == (302, "/oauth2/start?rd=%2F")
    assert not alice.is_signed_in()


def test_a_session_ends(rendered: list[Manifest], provided: Provided) -> None:
    with (
        login(rendered, provided, free_port(), expires="4s") as hurried,
        way_in(rendered, provided, hurried) as way,
    ):
        browser = Browser(way=way)
        browser.sign_in(ALICE)
        kept, began = dict(browser.cookies), time.monotonic()
        assert browser.is_signed_in()

        def is_over() -> bool:
            browser.cookies = dict(kept)  # a browser would have forgotten it by itself
            return not browser.is_signed_in()

        assert eventually(is_over, START)
        # Its four seconds, and the five for which the gateway remembers.
        assert 2 < time.monotonic() - began < 4 + 5 + 3


def test_signing_out_takes_the_cookie_away_and_what_led_to_it_is_over(way: Way) -> None:
    browser = Browser(way=way)
    callback = browser.callback(ALICE)
    browser.get(callback)
    assert browser.is_signed_in()
    left = browser.get("/oauth2/sign_out")
    assert (left.status, left.headers["Location"]) == (302, "/")
    assert not browser.cookies
    assert not browser.is_signed_in()
    assert browser.get(callback).status == 403
    assert not browser.is_signed_in()


# Its coming and going


def test_without_it_nobody_gets_in_and_with_it_again_everyone_does(
    rendered: list[Manifest], provided: Provided
) -> None:
    port = free_port()
    with ExitStack() as stack:
        first = stack.enter_context(login(rendered, provided, port))
        way = stack.enter_context(way_in(rendered, provided, first))
        alice, stranger = Browser(way=way), Browser(way=way)
        alice.sign_in(ALICE)
        assert alice.is_signed_in()
        alice.gateway.forget()
        assert first.terminate(START) == 0
        assert eventually(lambda: alice.get("/").status == 503, 5 + 3)  # when she is no longer remembered
        alice.gateway.forget()
        for browser in (alice, stranger):
            assert (browser.get("/").status, browser.get(API).status, browser.get(GRAFANA).status) == (503, 503, 503)
        assert alice.get("/oauth2/start").status == 502
        assert not alice.gateway.arrived
        stack.enter_context(login(rendered, provided, port))
        assert alice.is_signed_in()
        assert not stranger.is_signed_in()


def test_who_is_signing_in_while_it_is_told_to_stop_gets_in(rendered: list[Manifest], provided: Provided) -> None:
    port = free_port()
    with (
        login(rendered, provided, port) as stopped,
        way_in(rendered, provided, stopped) as way,
        ThreadPoolExecutor() as clients,
    ):
        browser = Browser(way=way)
        callback = browser.callback(ALICE)
        try:
            provided.process.send_signal(signal.SIGSTOP)
            answer = clients.submit(browser.get, callback)
            time.sleep(0.5)  # the login asks, and waits for the provider
            stopped.process.terminate()
            assert eventually(lambda: not is_open(port), START)
            assert stopped.process.poll() is None
            assert not answer.done()
        finally:
            provided.process.send_signal(signal.SIGCONT)
        assert answer.result().status == 302
        assert stopped.process.wait(START) == 0
        with login(rendered, provided, port):
            assert browser.is_signed_in()


class ClusterIp:
    """One address before several ports of loopback, each in turn, whoever listens there: a Service amid a rollout.

    Attributes:
        accepted: How many connections were opened.
        refused: How many of them found nobody.
    """

    def __init__(self, *ports: int) -> None:
        self.accepted = self.refused = 0
        self._ports = cycle(ports)
        self._server = socket.create_server((LOCALHOST, 0))
        self._open = list[socket.socket]()
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                there = socket.create_connection((LOCALHOST, next(self._ports)))
            except ConnectionRefusedError:
                self.refused += 1
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends by a reset
                client.close()
                continue
            self._open += [client, there]
            for one, other in ((client, there), (there, client)):
                threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """End all connections, so that the next request needs a new one."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def __enter__(self) -> "ClusterIp":
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


def test_a_rollout_of_the_login_turns_nobody_away(rendered: list[Manifest], provided: Provided) -> None:
    """A pod that stops still gets connections for a moment: the gateway tries another."""
    ports = (free_port(), free_port())
    with ExitStack() as stack:
        pods = [stack.enter_context(login(rendered, provided, port)) for port in ports]
        address = stack.enter_context(ClusterIp(*ports))
        gateway = stack.enter_context(running_gateway(rendered, real={LOGIN: address.port}))
        way = Way(gateways=(gateway,), logins=tuple(pods), provider=provided)
        alice = Browser(way=way)
        alice.sign_in(ALICE)

        def everyone_gets_in() -> None:
            for _ in range(6):
                address.hang_up()
                assert alice.is_signed_in()
                assert alice.get("/").status == 200
            bob = Browser(way=way)
            for _ in range(3):
                address.hang_up()
                bob.ask_provider()
            address.hang_up()
            bob.sign_in(ALICE)
            assert bob.is_signed_in()

        assert all(alice.get("/").status == 200 and Browser(way=way).get("/").status == 302 for _ in range(10))
        everyone_gets_in()
        assert address.refused == 0
        for pod, port in zip(pods, ports, strict=True):
            before = address.refused
            assert pod.terminate(START) == 0
            everyone_gets_in()
            assert address.refused >= before + 4
            stack.enter_context(login(rendered, provided, port))
        everyone_gets_in()


# What it writes


def test_its_log_says_who_signed_in_and_from_which_address(alice: Browser) -> None:
    def lines() -> list[str]:
        return [line for line in alice.way.logins[0].output.splitlines() if f" client={alice.address} " in line]

    assert eventually(lambda: bool(lines()), START)
    (line,) = lines()
    assert " status=AuthSuccess " in line
    assert f' user="{ALICE["email"]}" ' in line


def test_no_log_holds_a_code_a_state_a_cookie_or_a_token(way: Way) -> None:
    browser = Browser(way=way)
    callback = browser.callback(ALICE, at="/jobs?secret=in-the-query")
    answers = [browser.get(callback) for _ in range(2)]
    assert [answer.status for answer in answers] == [302, 403]
    browser.gateway.forget()
    answers.append(browser.get(API))
    assert answers[-1].status == 200
    ((request,),) = browser.gateway.arrived.values()
    private = [*browser.secrets, request.headers["Authorization"].split(".")[1], "in-the-query", *SECRETS.values()]
    private.remove(SECRETS[PREFIX + LOGIN, "client-id"])
    assert len(private) >= 8
    assert [line["path"] for line in browser.gateway.logged(*answers)] == ["/oauth2/callback"] * 2 + [API]
    written = "".join(pod.output for pod in (*(gateway.pod for gateway in way.gateways), *way.logins))
    assert [secret for secret in private if secret in written] == []
