"""This module is the proof of what the gateway counts: on a real nginx, Prometheus reads exactly what was asked for.

Its text is parsed by Prometheus' own client. What a test asks for is compared with what has grown since.
"""

import json
import re
import select
import signal
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import Manifests
from environments import EVERY, WITH_LOGIN
from gateway_harness import LOGIN, PREFIX, Answer, RunningGateway, read_response, running_gateway
from mesh_harness import LOCALHOST, eventually
from processes import START

Series = Mapping[str, float]
ALICE, ADMINISTRATOR = "alice@example.com", "admin@example.com"
PROD = WITH_LOGIN[0]
LOST = "gateway_metrics_lost_total"
SECRET = "s3cr3t"


@pytest.fixture(scope="module")
def gateways(manifests: Manifests, needs_nginx: Path) -> Generator[Callable[[str], RunningGateway], None, None]:
    """The gateway of each environment, with its rates."""
    with ExitStack() as stack:

        @cache
        def of(environment: str) -> RunningGateway:
            return stack.enter_context(running_gateway(manifests(environment)))

        yield of


@pytest.fixture
def gateway(gateways: Callable[[str], RunningGateway]) -> RunningGateway:
    """Production's, where nobody is signed in."""
    running = gateways(PROD)
    running.forget()
    # What another test asked last is counted when its connection has ended.
    assert eventually(lambda: connections_of(running)["active"] == 1, START)
    return running


@pytest.fixture
def own(manifests: Manifests, needs_nginx: Path) -> Generator[RunningGateway, None, None]:
    """A gateway that a test may change."""
    with running_gateway(manifests(PROD)) as running:
        running.sign_in(ADMINISTRATOR)
        yield running


def text_of(gateway: RunningGateway) -> str:
    """What Prometheus gets."""
    url = f"http://{LOCALHOST}:{gateway.pod.ports['metrics']}/metrics"
    with urllib.request.urlopen(url, timeout=START) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return str(answer.read().decode())


def series_of(gateway: RunningGateway) -> dict[str, float]:
    """Each series and its value, but for the connections, which a question changes."""
    found = dict[str, float]()
    for family in text_string_to_metric_families(text_of(gateway)):
        for sample in family.samples:
            name = f"{sample.name} {' '.join(f'{label}={value}' for label, value in sample.labels.items())}".strip()
            assert name not in found
            found[name] = sample.value
    return {name: value for name, value in found.items() if not name.startswith("gateway_connections")}


def connections_of(gateway: RunningGateway) -> dict[str, float]:
    """The connections of clients by their state, that of this question among them."""
    (family,) = (f for f in text_string_to_metric_families(text_of(gateway)) if f.name == "gateway_connections")
    return {sample.labels["state"]: sample.value for sample in family.samples}


def grown(gateway: RunningGateway, since: Series) -> dict[str, float]:
    """What has grown, and by how much; no sum of seconds, and of the buckets the last."""
    now = series_of(gateway)
    assert now.keys() == since.keys()
    times = re.compile(r"gateway_http_request_duration_seconds_(sum |count |bucket .*le=[^+])", re.DOTALL)
    return {name: value - since[name] for name, value in now.items() if value != since[name] and not times.match(name)}


def assert_grown(gateway: RunningGateway, since: Series, expected: Series) -> None:
    """This has grown and nothing else: a request is counted when its answer is out."""
    assert eventually(lambda: grown(gateway, since) == expected, START) or grown(gateway, since) == expected


def requests(route: str, service: str, status: str) -> str:
    return f"gateway_http_requests_total route={route} service={service} status={status}"


def timed(route: str, service: str, within: str = "+Inf") -> str:
    return f"gateway_http_request_duration_seconds_bucket route={route} service={service} le={within}"


def problem(words: str) -> str:
    return f"gateway_problems_total problem={words}"


def asked(result: str) -> str:
    return f"gateway_login_asked_total result={result}"


@pytest.mark.parametrize(
    ("target", "route", "service"),
    [
        ("/login?next=x", "/", "backend"),
        ("/api/interviews/7?page=2", "/api/", "backend"),
        ("/static/app.js", "/static/", "backend"),
        ("/health", "/health", "backend"),
        ("/grafana/d/overview?orgId=1", "/grafana/", "grafana"),
        ("/oauth2/start?rd=%2F", "/oauth2/start", LOGIN),
    ],
)
@pytest.mark.parametrize(("status", "classed"), [(200, "2xx"), (302, "3xx"), (404, "4xx"), (503, "5xx")])
def test_a_request_is_counted_at_its_route_and_by_its_status(
    gateway: RunningGateway, target: str, route: str, service: str, status: int, classed: str
) -> None:
    since = series_of(gateway)
    gateway.sign_in(ADMINISTRATOR)
    if service == LOGIN:
        gateway.upstreams[LOGIN].answer = lambda _: Answer(status=status)
    else:
        gateway.upstreams[service].answer = lambda _: Answer(status=status)
    # No other test has this cookie: the login is asked once, and remembered then.
    me = [("Cookie", f"__Host-login={route}{status}"), ("X-Forwarded-For", "192.0.2.1")]
    assert [gateway.request("GET", target, headers=me).status for _ in range(3)] == [status] * 3
    expected = {requests(route, service, classed): 3.0, timed(route, service): 3.0}
    if route in {"/", "/api/", "/grafana/"}:
        expected |= {asked("vouched"): 1.0, "gateway_login_remembered_total": 2.0}
    assert_grown(gateway, since, expected)


def test_what_no_route_took_is_counted_and_the_kubelet_is_not(gateway: RunningGateway) -> None:
    since = series_of(gateway)
    assert gateway.request("GET", "/x", headers=[("Host", "example.com")]).status == 421
    assert gateway.request("GET", "/oauth2/auth").status == 404
    assert gateway.send(b"NONSENSE\r\n\r\n").status == 400
    assert gateway.request("GET", "/-/healthy").status == 200
    assert gateway.request("GET", "/-/healthy", headers=[("Host", LOCALHOST)]).status == 200
    assert gateway.request("GET", "/api/x?" + "y" * 10_000).status == 414
    expected = {requests("none", "none", "4xx"): 4.0, problem("the request's first line is longer"): 1.0}
    assert_grown(gateway, since, expected)


def test_why_a_service_gave_no_answer_is_counted(gateway: RunningGateway) -> None:
    since = series_of(gateway)
    gateway.upstreams["backend"].answer = lambda _: Answer(status=0)
    assert gateway.request("GET", "/static/x").status == 502
    errors = "gateway_upstream_errors_total service=backend"
    expected = {requests("/static/", "backend", "5xx"): 1.0, timed("/static/", "backend"): 1.0, errors: 1.0}
    assert_grown(gateway, since, {**expected, problem("hung up without an answer"): 1.0})


def test_a_service_without_an_address_is_counted(manifests: Manifests, needs_nginx: Path) -> None:
    with running_gateway(manifests(PROD), resolvable=False) as gateway:
        since = series_of(gateway)
        assert gateway.request("GET", "/static/x").status == 503
        errors = {"gateway_upstream_errors_total service=backend": 1.0, problem("no address"): 1.0}
        assert_grown(gateway, since, {requests("/static/", "backend", "5xx"): 1.0, **errors})


@pytest.mark.parametrize(
    ("word", "status", "result", "told"),
    [
        (401, 401, "nobody", ""),
        (400, 401, "nobody", ""),
        (403, 403, "refused", ""),
        (500, 503, "failed", "the login failed"),
        (0, 503, "failed", "the login failed"),
        (202, 503, "failed", "the login vouched for a request without an identity"),
    ],
)
def test_a_refused_sign_in_is_counted_by_the_login_s_word(
    gateway: RunningGateway, word: int, status: int, result: str, told: str
) -> None:
    since = series_of(gateway)
    gateway.upstreams[LOGIN].answer = lambda _: Answer(status=word)
    assert gateway.request("GET", "/api/x", headers=[("X-Forwarded-For", "192.0.2.2")]).status == status
    expected = {requests("/api/", "backend", f"{status // 100}xx"): 1.0, asked(result): 1.0}
    assert_grown(gateway, since, {**expected, **({problem(told): 1.0} if told else {})})


@pytest.mark.parametrize("by", ["address", "person"])
def test_a_request_beyond_the_rate_is_counted_by_whom_it_was(gateway: RunningGateway, by: str) -> None:
    since = series_of(gateway)
    if by == "person":
        gateway.sign_in("busy@example.com")
    me = [("X-Forwarded-For", f"192.0.3.{len(by)}"), ("Cookie", "__Host-login=busy")]
    statuses = Counter(gateway.request("GET", "/api/x", headers=me).status for _ in range(120))
    assert statuses[429] > 0
    api = Counter({f"{status // 100}xx": 0 for status in statuses})
    for status, number in statuses.items():
        api[f"{status // 100}xx"] += number

    def counted() -> bool:
        now = grown(gateway, since)
        found = {name.rpartition("=")[2]: value for name, value in now.items() if "requests_total route=/api/" in name}
        limited = {name: value for name, value in now.items() if "limited" in name}
        return (found, limited, now.get(problem("beyond the rate"))) == (
            api,
            {f"gateway_limited_total by={by}": statuses[429]},
            statuses[429],
        )

    assert eventually(counted, START), grown(gateway, since)


def test_too_many_requests_under_way_are_counted(gateway: RunningGateway) -> None:
    since = series_of(gateway)
    head = f"POST /static/x HTTP/1.1\r\nHost: {gateway.host}\r\nX-Forwarded-Proto: https\r\nContent-Length: 2"
    with ExitStack() as stack:
        opened = [stack.enter_context(gateway.connect()) for _ in range(101)]
        for connection in opened:
            connection.sendall(f"{head}\r\nX-Forwarded-For: 192.0.2.4\r\n\r\nx".encode())
        assert eventually(lambda: bool(select.select(opened, [], [], 0)[0]), START)
        (refused,) = select.select(opened, [], [], 0)[0]
        assert read_response(refused).status == 429
        for connection in opened:
            if connection is not refused:
                connection.sendall(b"x")
                assert read_response(connection).status == 200
    words = problem("more requests under way than one client may have")
    expected = {requests("/static/", "backend", "4xx"): 1.0, requests("/static/", "backend", "2xx"): 100.0}
    expected |= {timed("/static/", "backend"): 100.0, words: 1.0, "gateway_limited_total by=connections": 1.0}
    assert_grown(gateway, since, expected)


def test_a_websocket_is_counted_when_it_ends_and_its_time_is_nobody_s(gateway: RunningGateway) -> None:
    since = series_of(gateway)
    gateway.sign_in(ADMINISTRATOR)
    lines = ["GET /grafana/api/live/ws HTTP/1.1", f"Host: {gateway.host}", "X-Forwarded-Proto: https"]
    lines += ["Connection: Upgrade", "Upgrade: websocket", "Cookie: __Host-login=socket", "", ""]
    with gateway.connect() as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")
        assert_grown(gateway, since, {asked("vouched"): 1.0})
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096) == b""
    assert_grown(gateway, since, {asked("vouched"): 1.0, requests("/grafana/", "grafana", "1xx"): 1.0})


def test_a_request_is_counted_between_the_seconds_that_it_took(gateway: RunningGateway) -> None:
    since = series_of(gateway)
    never = threading.Event()

    def slow(_: object) -> Answer:
        never.wait(1.2)
        return Answer()

    gateway.upstreams["backend"].answer = slow
    began = time.monotonic()
    assert gateway.request("GET", "/health").status == 200
    took = time.monotonic() - began
    assert_grown(gateway, since, {requests("/health", "backend", "2xx"): 1.0, timed("/health", "backend"): 1.0})
    now = series_of(gateway)
    buckets = {
        name.rpartition("=")[2]: value - since[name]
        for name, value in now.items()
        if name.startswith(timed("/health", "backend", ""))
    }
    within = {bound: float(float(bound) >= took) for bound in buckets if float(bound) < 1 or float(bound) > took}
    assert list(buckets) == ["0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "+Inf"]
    assert {bound: buckets[bound] for bound in within} == within
    assert buckets["1"] == 0
    place = "gateway_http_request_duration_seconds_{} route=/health service=backend"
    assert 1.1 < now[place.format("sum")] - since[place.format("sum")] < took + 0.1
    assert now[place.format("count")] - since[place.format("count")] == 1


def test_both_workers_count_in_one_memory_and_lose_nothing(gateway: RunningGateway) -> None:
    since = series_of(gateway)
    with ThreadPoolExecutor(16) as clients:
        assert set(clients.map(lambda n: gateway.request("GET", f"/static/{n}").status, range(1000))) == {200}
    assert_grown(gateway, since, {requests("/static/", "backend", "2xx"): 1000.0, timed("/static/", "backend"): 1000.0})


def test_nothing_that_a_client_sends_makes_a_series_or_stands_in_one(gateway: RunningGateway) -> None:
    before = series_of(gateway)
    gateway.sign_in(f"{SECRET}@example.com")
    said = [(name, SECRET) for name in ("Authorization", "X-Request-ID", "Referer", "User-Agent", "Origin")]
    said += [("Cookie", f"__Host-login={SECRET}; a={SECRET}"), ("X-Forwarded-For", "203.0.113.77")]
    for method in ("GET", "POST", "BREW"):
        for path in (f"/{SECRET}", f"/api/{SECRET}", f"/static/{SECRET};", f"/{SECRET}//x", f"/oauth2/{SECRET}"):
            gateway.request(method, f"{path}?token={SECRET}", headers=said)
        gateway.request(method, f"/{SECRET}", headers=[*said, ("Host", f"{SECRET}.example.com")])
    assert eventually(lambda: gateway.pod.output.count(f"/oauth2/{SECRET}") == 3, START)
    assert series_of(gateway).keys() == before.keys()
    text = text_of(gateway)
    assert SECRET not in text
    assert "203.0.113" not in text
    assert gateway.host not in text
    assert "@" not in text


@pytest.mark.parametrize("environment", EVERY)
def test_all_that_is_told_has_a_type_and_is_named_as_prometheus_wants_it(
    gateways: Callable[[str], RunningGateway], environment: str
) -> None:
    gateway = gateways(environment)
    families = list(text_string_to_metric_families(text_of(gateway)))
    told = {family.name: (family.type, {label for s in family.samples for label in s.labels}) for family in families}
    route = {"route", "service"}
    login = {"gateway_login_asked": ("counter", {"result"}), "gateway_login_remembered": ("counter", set[str]())}
    assert told == {
        "gateway_http_requests": ("counter", {*route, "status"}),
        "gateway_http_request_duration_seconds": ("histogram", {*route, "le"}),
        "gateway_upstream_errors": ("counter", {"service"}),
        "gateway_problems": ("counter", {"problem"}),
        "gateway_limited": ("counter", {"by"}),
        "gateway_metrics_lost": ("counter", set()),
        "gateway_connections": ("gauge", {"state"}),
        "gateway_info": ("gauge", {"nginx", "configuration"}),
        **(login if environment in WITH_LOGIN else {}),
    }
    assert all(family.documentation for family in families)
    # The parser would mend the name of a counter.
    counters = re.findall(r"^# TYPE (\w+) counter$", text_of(gateway), re.MULTILINE)
    assert counters == [f"{family.name}_total" for family in families if family.type == "counter"]
    assert series_of(gateway)[LOST] == 0


def test_every_problem_of_the_log_is_counted_and_no_other(gateway: RunningGateway) -> None:
    lua = (gateway.mounts["/etc/gateway"] / "gateway.lua").read_text()
    words = set(re.findall(r'complain\("([^"]*)"', lua))
    _, _, reasons = lua.partition("local function silence()")
    words |= set(re.findall(r'(?:return|and|or) "([a-z][^"]*)"', reasons.partition("local function give_reason")[0]))
    begun = {name.partition("problem=")[2] for name in series_of(gateway) if "problem=" in name}
    assert words | {"from another site"} == begun
    assert len(begun) == 17


def test_the_connections_of_clients_are_told(gateway: RunningGateway) -> None:
    def told() -> dict[str, float]:
        return connections_of(gateway)

    with ExitStack() as stack:
        for _ in range(20):
            idle = stack.enter_context(gateway.connect())
            idle.sendall(f"GET /health HTTP/1.1\r\nHost: {gateway.host}\r\nX-Forwarded-Proto: https\r\n\r\n".encode())
            assert read_response(idle).status == 200
        # And that of the question itself.
        busy = {"active": 21, "reading": 0, "writing": 1, "waiting": 20}
        assert eventually(lambda: told() == busy, START), told()
    assert eventually(lambda: told() == {"active": 1, "reading": 0, "writing": 1, "waiting": 0}, START), told()


def test_prometheus_reads_what_a_name_has_of_its_own_signs(own: RunningGateway) -> None:
    odd = 'a"b\\c\nd{e="f"}'
    file = own.mounts["/etc/gateway"] / "gateway.json"
    settings = json.loads(file.read_text())
    settings["routes"]["/static/"]["service"] = odd
    file.write_text(json.dumps(settings))
    reload(own)
    since = series_of(own)
    assert own.request("GET", "/static/x").status == 200
    assert_grown(own, since, {requests("/static/", odd, "2xx"): 1.0, timed("/static/", odd): 1.0})


def reload(gateway: RunningGateway) -> None:
    """Let new workers take over."""
    children = Path(f"/proc/{gateway.pod.process.pid}/task/{gateway.pod.process.pid}/children")
    before = set(children.read_text().split())
    gateway.pod.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: not before & set(children.read_text().split()), START)


def test_what_was_counted_outlives_a_reload(own: RunningGateway) -> None:
    assert own.request("GET", "/static/x").status == 200
    place = requests("/static/", "backend", "2xx")
    assert eventually(lambda: series_of(own)[place] == 1, START)
    reload(own)
    assert own.request("GET", "/static/x").status == 200
    assert eventually(lambda: series_of(own)[place] == 2, START)


def test_no_request_fails_where_the_memory_is_full_and_what_is_lost_is_counted(
    manifests: Manifests, needs_nginx: Path
) -> None:
    small = json.loads(
        json.dumps(list(manifests(PROD))).replace("lua_shared_dict metrics 1m;", "lua_shared_dict metrics 16k;")
    )
    with running_gateway(small) as gateway:
        gateway.sign_in(ADMINISTRATOR)
        before = series_of(gateway)
        assert before[LOST] > 50
        for target in ("/", "/api/x", "/static/x", "/health", "/grafana/") * 5:
            assert gateway.request("GET", target).status == 200
        assert eventually(lambda: series_of(gateway)[LOST] >= before[LOST] + 25, START)
        assert series_of(gateway).keys() == before.keys()
        assert gateway.pod.process.poll() is None


# Who gets them


@pytest.mark.parametrize("environment", EVERY)
def test_the_public_port_knows_no_metrics_of_the_gateway(
    gateways: Callable[[str], RunningGateway], environment: str
) -> None:
    gateway = gateways(environment)
    for host, status in ((gateway.host, 200), (LOCALHOST, 421), (f"{PREFIX}nginx-gateway:9145", 421), ("metrics", 421)):
        gateway.forget()
        if LOGIN in gateway.upstreams:
            gateway.sign_in(ADMINISTRATOR)
        for path in ("/metrics", "/metrics/", "/metrics?x", "/unknown"):
            response = gateway.request("GET", path, headers=[("Host", host)])
            assert (response.status, b"gateway_" in response.body) == (status, False)
        # As any path that no route names: by the route for all others.
        arrived = [request.target for request in gateway.upstreams["backend"].requests]
        assert arrived == (["/metrics", "/metrics/", "/metrics?x", "/unknown"] if status == 200 else [])
    gateway.forget()
    if LOGIN in gateway.upstreams:
        assert gateway.request("GET", "/metrics").status == gateway.request("GET", "/unknown").status == 302


@pytest.mark.parametrize("path", ["/", "/api/x", "/static/x", "/-/healthy", "/-/explain", "/metrics/", "/oauth2/start"])
def test_the_port_of_metrics_serves_nothing_else(gateway: RunningGateway, path: str) -> None:
    gateway.sign_in(ADMINISTRATOR)
    since = series_of(gateway)
    for host in (gateway.host, LOCALHOST):
        with socket.create_connection((LOCALHOST, gateway.pod.ports["metrics"]), timeout=START) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: https\r\n\r\n".encode())
            assert read_response(connection).status == 404
    assert not gateway.arrived
    assert grown(gateway, since) == {}
