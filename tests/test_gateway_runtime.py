"""This module is the proof that the rendered gateway runs: on a real nginx, it serves the plan's routes."""

import os
import re
from collections.abc import Callable, Generator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from conftest import Manifests
from gateway_harness import DOMAIN, PREFIX, Answer, Request, RunningGateway, running_gateway
from mesh_harness import LOCALHOST, eventually, probe
from processes import START

ENVIRONMENTS = ("dev", "prod")
AGENTS = ("pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
MEBIBYTE = 2**20
WEBSOCKET = "Host: ai-interviewer.local\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

# For what a client asks: the upstream where it arrives, and as what.
ROUTES = {
    "/": ("backend", "/"),
    "/login?next=%2Fa%20b&x=1": ("backend", "/login?next=%2Fa%20b&x=1"),
    "/api/interviews/7?page=2": ("backend", "/api/interviews/7?page=2"),
    "/static/app.js?v=3": ("backend", "/static/app.js?v=3"),
    "/health": ("backend", "/health"),
    "/grafana/": ("grafana", "/grafana/"),
    "/grafana/d/overview?orgId=1": ("grafana", "/grafana/d/overview?orgId=1"),
    # What is beside an exact route.
    "/health/": ("backend", "/health/"),
    "/api/registry/agents/7": ("backend", "/api/registry/agents/7"),
    "/mcp/pdf-extractor/": ("backend", "/mcp/pdf-extractor/"),
    "/mcp/stranger": ("backend", "/mcp/stranger"),
}
# The same, in dev only. In prod the backend has to know what to do with it.
MESH = {
    "/api/registry/agents": ("registry", "/agents"),
    "/api/registry/agents?type=all": ("registry", "/agents?type=all"),
    **{f"/mcp/{agent}": (agent, "/mcp") for agent in AGENTS},
    f"/mcp/{AGENTS[0]}?session=1": (AGENTS[0], "/mcp?session=1"),
}


@pytest.fixture(scope="module")
def gateways(manifests: Manifests) -> Generator[Callable[[str], RunningGateway], None, None]:
    """The gateway of each environment, started when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def of(environment: str) -> RunningGateway:
            return stack.enter_context(running_gateway(manifests(environment)))

        yield of


@pytest.fixture(params=ENVIRONMENTS)
def gateway(request: pytest.FixtureRequest, gateways: Callable[[str], RunningGateway]) -> RunningGateway:
    """The gateway of an environment, as if no test had used it."""
    running = gateways(request.param)
    running.forget()
    return running


only_dev = pytest.mark.parametrize("gateway", ["dev"], indirect=True)
only_prod = pytest.mark.parametrize("gateway", ["prod"], indirect=True)


def arrives(gateway: RunningGateway, method: str, target: str, body: bytes = b"") -> tuple[str, Request]:
    """The upstream where a request arrives, whose answer the client gets, and what arrives."""
    response = gateway.request(method, target, body=body)
    ((name, (request,)),) = gateway.arrived.items()
    assert (response.status, response.body) == (200, b"" if method == "HEAD" else name.encode())
    return name, request


def test_its_configuration_is_valid_and_gives_no_warning(gateway: RunningGateway) -> None:
    code, output = gateway.check_configuration()
    assert (code, len(output.splitlines())) == (0, 2), output
    assert output.endswith(" test is successful\n")


@pytest.mark.parametrize("target", ROUTES)
def test_a_request_arrives_where_the_plan_says(gateway: RunningGateway, target: str) -> None:
    name, request = arrives(gateway, "GET", target)
    assert (name, request.target) == ROUTES[target]


@only_dev
@pytest.mark.parametrize("target", MESH)
def test_in_dev_the_registry_and_the_agents_are_reached(gateway: RunningGateway, target: str) -> None:
    name, request = arrives(gateway, "POST", target, b'{"jsonrpc": "2.0"}')
    assert (name, request.target) == MESH[target]
    assert (request.method, request.body) == ("POST", b'{"jsonrpc": "2.0"}')


@only_prod
@pytest.mark.parametrize("target", MESH)
def test_in_prod_the_registry_and_the_agents_are_not_reached(gateway: RunningGateway, target: str) -> None:
    name, request = arrives(gateway, "POST", target, b'{"jsonrpc": "2.0"}')
    assert (name, request.target) == ("backend", target)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_arrives_with_its_body(gateway: RunningGateway, method: str) -> None:
    body = b"" if method in {"GET", "HEAD"} else b"said by the client"
    _, request = arrives(gateway, method, "/api/interviews", body)
    assert (request.method, request.body) == (method, body)


def test_the_client_gets_what_the_upstream_says(gateway: RunningGateway) -> None:
    backend = gateway.upstreams["backend"]
    backend.answer = lambda _: Answer(status=418, headers={"X-Kind": "teapot"}, body=b"short and stout")
    response = gateway.request("GET", "/api/tea")
    assert (response.status, response.headers["X-Kind"], response.body) == (418, "teapot", b"short and stout")


@pytest.mark.parametrize("path", ["/grafana", "/api", "/static"])
def test_a_folder_is_redirected_on_the_host_and_port_that_the_client_used(gateway: RunningGateway, path: str) -> None:
    response = gateway.request("GET", path)
    assert (response.status, response.headers["Location"]) == (301, f"{path}/")


def test_an_upstream_learns_who_asked_for_what_and_how(gateway: RunningGateway) -> None:
    for path in ("/", "/api/interviews", "/grafana/"):
        gateway.forget()
        name, request = arrives(gateway, "GET", path)
        assert request.headers["Host"] == "ai-interviewer.local", name
        assert request.headers["X-Forwarded-For"] == request.headers["X-Real-IP"] == LOCALHOST
        assert request.headers["X-Forwarded-Proto"] == "http"


def test_an_upstream_learns_what_the_ingress_says_of_the_client(gateway: RunningGateway) -> None:
    for path in ("/", "/api/interviews", "/grafana/"):
        gateway.forget()
        said = (("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"))
        gateway.request("GET", path, headers=said)
        ((request,),) = gateway.arrived.values()
        assert request.headers["X-Forwarded-For"] == f"203.0.113.9, {LOCALHOST}"
        assert request.headers["X-Forwarded-Proto"] == "https"


def test_each_request_has_an_id_of_its_own(gateway: RunningGateway) -> None:
    for path in ("/", "/api/interviews", "/grafana/") * 2:
        gateway.request("GET", path)
    ids = [request.headers["X-Request-ID"] for requests in gateway.arrived.values() for request in requests]
    assert len(set(ids)) == len(ids) == 6
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)


@pytest.mark.parametrize(("path", "fits", "too_much"), [("/", 0.9, 1.1), ("/api/resumes", 54, 56)])
def test_a_body_arrives_whole_or_is_refused(gateway: RunningGateway, path: str, fits: float, too_much: float) -> None:
    body = os.urandom(int(fits * MEBIBYTE))
    _, request = arrives(gateway, "POST", path, body)
    assert request.body == body
    gateway.forget()
    body = bytes(int(too_much * MEBIBYTE))
    assert gateway.request("POST", path, body=body).status == 413
    assert not gateway.arrived


def test_a_body_of_unknown_length_is_refused_when_it_has_become_too_long(gateway: RunningGateway) -> None:
    for size, status in ((MEBIBYTE // 2, 200), (MEBIBYTE * 2, 413)):
        head = "POST / HTTP/1.1\r\nHost: ai-interviewer.local\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert gateway.send(f"{head}{size:x}\r\n".encode() + bytes(size) + b"\r\n0\r\n\r\n").status == status
    assert [len(request.body) for request in gateway.arrived["backend"]] == [MEBIBYTE // 2]


def test_grafana_speaks_through_a_websocket(gateway: RunningGateway) -> None:
    with gateway.connect() as connection:
        connection.sendall(f"GET /grafana/api/live/ws HTTP/1.1\r\n{WEBSOCKET}".encode())
        head = connection.recv(4096)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nUpgrade: websocket\r\n" in head
        for said in (b"\x81\x05hello", b"\x81\x05again"):
            connection.sendall(said)
            assert connection.recv(4096) == said
    assert [request.target for request in gateway.arrived["grafana"]] == ["/grafana/api/live/ws"]


def test_nothing_else_is_upgraded(gateway: RunningGateway) -> None:
    response = gateway.send(f"GET /api/interviews HTTP/1.1\r\n{WEBSOCKET}".encode())
    assert response.status == 200
    (request,) = gateway.arrived["backend"]
    assert (request.headers["Upgrade"], request.headers["Connection"]) == (None, None)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_it_starts_without_upstreams_and_finds_one_that_appears(manifests: Manifests, environment: str) -> None:
    with running_gateway(manifests(environment), resolvable=False) as gateway:
        assert {probe(gateway.pod.spec[kind], gateway.pod) for kind in PROBES} == {"200"}
        assert gateway.request("GET", "/api/interviews").status == 502
        name = f"{PREFIX}backend.{DOMAIN}"
        assert set(gateway.dns.asked) == {name}
        gateway.dns.addresses[name] = LOCALHOST
        assert eventually(lambda: gateway.request("GET", "/api/interviews").status == 200, START)
        assert gateway.request("GET", "/grafana/").status == 502
        assert gateway.pod.process.poll() is None


def test_it_runs_as_the_user_of_the_manifest(gateway: RunningGateway) -> None:
    runs_as = Path(f"/proc/{gateway.pod.process.pid}").stat().st_uid
    expected = gateway.pod.spec["securityContext"]["runAsUser"] if os.geteuid() == 0 else os.geteuid()
    assert runs_as == expected != 0


def test_it_writes_nothing_but_its_scratch_space(gateway: RunningGateway) -> None:
    arrives(gateway, "POST", "/api/resumes", bytes(2 * MEBIBYTE))  # more than it keeps in memory
    scratch, root = gateway.mounts["/tmp"], gateway.prefix.parent
    assert "client_body" in {path.name for path in scratch.iterdir()}
    others = {path for path in root.rglob("*") if path.is_file() and scratch not in path.parents}
    assert {str(path.relative_to(root)) for path in others} == {
        "bin/openresty",
        "etc/gateway/nginx.conf",
        "output.txt",
    }
