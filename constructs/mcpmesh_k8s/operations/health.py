"""This module is the plan's health verification: the way in, the registry, every agent and its tools."""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import socket
import ssl
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcpmesh_k8s.kubernetes import each, name_of
from mcpmesh_k8s.services import HttpsClient, Registry

from .answers import Finding
from .environment import Environment
from .pods import pods_of, trouble_of
from .programs import Kubectl, OperationError, UsageError
from .terminal import show, show_table

if TYPE_CHECKING:
    from mcpmesh_k8s.access import Gateway
    from mcpmesh_k8s.kubernetes import Workload

TIMEOUT = 30
"""Seconds that an answer may take."""

# FastMCP wants both types accepted, and answers with either.
_ACCEPTED = {"Accept": "application/json, text/event-stream"}
_START = re.compile(r"-[0-9a-f]{8}$")
_POSTED = {"Content-Type": "application/json"}
_TOOLS_LIST = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer to an HTTP request."""

    status: int
    body: str


def health_of(environment: Environment, kubectl: Kubectl, address: str) -> tuple[Finding, ...]:
    """Check the gateway with the backend behind it, every pod, and that the registry lists every agent as healthy."""
    return (
        *(check(gateway.name, partial(gateway_health, gateway, address)) for gateway in environment.gateways),
        check("pods", lambda: pods_ready(kubectl)),
        *registry_lists(environment, kubectl, address),
    )


def tools_of_agents(environment: Environment, kubectl: Kubectl, address: str) -> tuple[Finding, ...]:
    """Ask each agent for its tools, by JSON-RPC on its route or, where it has none, past the gateway."""
    return tuple(
        check(agent.name, partial(tools_of, environment, kubectl, agent, address)) for agent in environment.agents
    )


def check(name: str, look: Callable[[], str]) -> Finding:
    """A finding: what ``look`` returns is good, what it raises is not."""
    try:
        return Finding(check=name, passed=True, found=look())
    except OperationError as error:
        return Finding(check=name, passed=False, found=str(error))


def show_findings(findings: Sequence[Finding]) -> None:
    """Show the table of what passed."""
    show_table(("check", "", "found"), [(one.check, "ok" if one.passed else "FAILED", one.found) for one in findings])
    show(f"{sum(one.passed for one in findings)} of {len(findings)} passed")


def gateway_health(gateway: Gateway, address: str) -> str:
    """``/health``, which the gateway passes on to the service behind it."""
    url = f"{gateway.settings.url}/health"
    expect_ok(url, ask(url, address=address))
    return f"{url} answers 200"


def pods_ready(kubectl: Kubectl) -> str:
    """Whether every pod is in order."""
    pods = pods_of(kubectl)
    reasons = {name_of(pod): trouble_of(pod) for pod in pods}
    troubled = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    if troubled or not pods:
        raise OperationError("; ".join(troubled) or "there are no pods")
    return f"{len(pods)} in order"


def registry_lists(environment: Environment, kubectl: Kubectl, address: str) -> list[Finding]:
    """One finding for each agent that is deployed: whether the registry lists it as healthy."""
    registries = [component for component in environment.application.components if isinstance(component, Registry)]
    if not registries:
        return []
    try:
        listed = parse_agents(_answer(environment, kubectl, registries[0], "/agents", address))
    except OperationError as error:
        return [Finding(check="registry", passed=False, found=str(error))]
    healthy = {name for name, state in listed if state == "healthy"}
    states = dict(listed)
    return [
        Finding(
            check=f"registry lists {agent.name}",
            passed=agent.name in healthy,
            found="healthy" if agent.name in healthy else states.get(agent.name, "not listed"),
        )
        for agent in environment.agents
    ]


def parse_agents(body: str) -> list[tuple[str, str]]:
    """Name and state of each agent that the registry lists. A restart leaves a row behind that stays unhealthy.

    Of 3.x the name may be another that the code has: the id begins with the one that it was given, and each start adds
    eight digits.
    """
    try:
        document = json.loads(body)
    except ValueError:
        raise OperationError(f"The registry's answer is no JSON: {body[:60]!r}") from None
    return [
        (name, str(agent.get("status")))
        for agent in each(document, "agents")
        for name in dict.fromkeys((str(agent.get("name")), _START.sub("", str(agent.get("id")))))
    ]


def tools_of(environment: Environment, kubectl: Kubectl, agent: Workload, address: str) -> str:
    """The names of an agent's tools."""
    return ", ".join(parse_tools(_answer(environment, kubectl, agent, "/mcp", address, _TOOLS_LIST)))


def _answer(
    environment: Environment, kubectl: Kubectl, workload: Workload, path: str, address: str, body: str | None = None
) -> str:
    """What a workload answers. One that demands a certificate is asked from inside its pod, with its own."""
    if workload.main_port.scheme != "https":
        with reach(environment, kubectl, workload, path, address) as (url, dial):
            return expect_ok(url, ask(url, address=dial, body=body))
    client = HttpsClient.WGET if isinstance(workload, Registry) else HttpsClient.CURL
    headers = [word for pair in {**_ACCEPTED, **_POSTED}.items() for word in ("--header", ": ".join(pair))]
    posted = (*headers, "--data", body) if body is not None else ()
    command = client.asks(workload.main_port.container, path, TIMEOUT, *posted)
    return kubectl.output("exec", workload.reference, f"--container={workload.name}", "--", *command)


def parse_tools(body: str) -> list[str]:
    """The names of the tools in an answer to ``tools/list``, be it JSON or a stream of events."""
    events = re.findall(r"^data: ?(.*)$", body, re.MULTILINE)
    try:
        document = json.loads(events[-1] if events else body)
    except ValueError:
        raise OperationError(f"The answer is no JSON-RPC: {body[:60]!r}") from None
    tools = [str(tool.get("name")) for tool in each(document, "result", "tools")]
    if not tools:
        raise OperationError(f"It names no tool: {json.dumps(document)[:100]}")
    return sorted(tools)


@contextmanager
def reach(
    environment: Environment, kubectl: Kubectl, workload: Workload, path: str, address: str
) -> Generator[tuple[str, str]]:
    """A URL for a path of a workload, and the address to dial.

    It leads through the gateway where that has a route, as people come. Else it leads through kubectl, which needs
    no policy to let it in.
    """
    for gateway in environment.gateways:
        for route in gateway.routes:
            if route.to is workload and route.exact and (route.upstream_path or route.path) == path:
                yield f"{gateway.settings.url}{route.path}", address
                return
    with kubectl.forwarded(f"service/{workload.full_name}", workload.main_port.number) as port:
        yield f"http://{workload.full_name}:{port}{path}", "127.0.0.1"


def ask(url: str, *, address: str = "", body: str | None = None, method: str = "") -> Answer:
    """The answer to a GET, or to a POST of JSON, unless another method is given.

    Args:
        url: The URL, with the name that the server is asked for.
        address: The address to dial in place of that name, with a port where it is another one.
        body: JSON to post.
        method: Another method than that.

    Raises:
        OperationError: There is no answer.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    dialled = dialled_at(address or f"{host}:{port}")
    headers = {"Host": host if address else parts.netloc, **_ACCEPTED, **(_POSTED if body is not None else {})}
    connection = http.client.HTTPConnection(dialled[0], dialled[1] or port, timeout=TIMEOUT)
    try:
        connection.connect()
        if parts.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(connection.sock, server_hostname=host)
        connection.request(method or ("GET" if body is None else "POST"), parts.path, body=body, headers=headers)
        response = connection.getresponse()
        return Answer(status=response.status, body=response.read().decode("utf-8", "replace"))
    except socket.gaierror:
        raise OperationError(f"{host} has no address here: make k8s-ingress-hosts, or give ADDRESS=…") from None
    except (OSError, http.client.HTTPException) as error:
        raise OperationError(f"{url} gives no answer: {str(error) or type(error).__name__}") from None
    finally:
        connection.close()


def check_address(address: str) -> None:
    """Refuse what is given in place of an address.

    Raises:
        UsageError: It is none.
    """
    if address:
        dialled_at(address)


def dialled_at(address: str) -> tuple[str, int | None]:
    """Host and port of an address, which may be an IPv6 address alone.

    Raises:
        UsageError: It is none.
    """
    try:
        return str(ipaddress.IPv6Address(address)), None
    except ValueError:
        pass
    try:
        parts = urlsplit(f"//{address}")
        return parts.hostname or "", parts.port
    except ValueError:
        raise UsageError(f"{address!r} is no address. Give ADDRESS=<IP> or <IP>:<port>.") from None


def expect_ok(url: str, answer: Answer) -> str:
    """The body of an answer that is 200.

    Raises:
        OperationError: It is another one.
    """
    if answer.status != 200:
        said = " ".join(answer.body.split())[:100]
        raise OperationError(f"{url} answers {answer.status}{f': {said}' if said else ''}")
    return answer.body
