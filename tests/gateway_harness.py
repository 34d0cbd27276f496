"""This module is a place where the rendered gateway runs: on Debian's nginx with Lua, before stub upstreams.

Of the configuration only paths, ports and the resolver are rewritten. Names of Services stay, and are answered by a
stub DNS server: to this nginx, every Service lies on loopback.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import socketserver
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypedDict

from answering import Answering
from mesh_harness import (
    LOCALHOST,
    SECRETS,
    Loopback,
    Manifest,
    Pod,
    container_of,
    eventually,
    find,
    free_port,
    is_open,
    mounted,
    pod_environment,
    start_pod,
)
from processes import START, Account, serving
from programs import named

PREFIX = "ai-interviewer-"
NAME = "nginx-gateway"
LOGIN = "oauth2-proxy"
DOMAIN = "ai-interviewer.svc.cluster.local"
MODULES = [file for file in named("nginx").files if "/modules/" in file]


def family(address: str) -> socket.AddressFamily:
    """Which family an address is of."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@dataclass(frozen=True, kw_only=True)
class Request:
    """What arrived at an upstream."""

    method: str
    target: str
    headers: Message
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an upstream says; with the status 0 nothing: it hangs up."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    rest: Callable[[], bytes] | None = None
    """What follows the body: asked for when the body is on its way."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """What a client got."""

    status: int
    headers: Message
    body: bytes

    @property
    def request_id(self) -> str:
        """How the log names the request."""
        return str(self.headers["X-Request-ID"])


class LogLine(TypedDict):
    """What the gateway's log says of a request, as far as tests read it."""

    request_id: str
    client: str
    method: str
    host: str
    path: str
    status: int
    service: str
    service_status: str
    problem: str
    user: str


class StubUpstream:
    """A web server on a port of loopback. It records requests, and echoes what is sent over a WebSocket.

    Attributes:
        requests: What arrived so far.
        received: How many bytes of bodies arrived so far, those of an unfinished request included.
        connections: How many connections were opened so far.
        answer: What it says to a request; unless replaced, its name.
    """

    def __init__(self, name: str, address: str = LOCALHOST, port: int = 0) -> None:
        self.name = name
        self.requests: list[Request] = []
        self.received = 0
        self.connections = 0
        self.answer: Callable[[Request], Answer] = self._say_name
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                upstream.connections += 1
                super().setup()

            def __getattr__(self, name: str) -> Callable[[], None]:
                if name.startswith("do_"):  # any method
                    return self.serve
                raise AttributeError(name)

            def serve(self) -> None:
                body = b"".join(self.chunks())
                request = Request(method=self.command, target=self.path, headers=self.headers, body=body)
                upstream.requests.append(request)
                if self.headers["Upgrade"] == "websocket":
                    self.echo()
                else:
                    with suppress(ConnectionError):  # the gateway has heard enough
                        self.say(upstream.answer(request))

            def chunks(self) -> Generator[bytes, None, None]:
                if self.headers["Transfer-Encoding"] != "chunked":
                    left = int(self.headers["Content-Length"] or 0)
                    while left and (piece := self.rfile.read1(min(left, 2**16))):
                        upstream.received += len(piece)
                        left -= len(piece)
                        yield piece
                    return
                while size := int(self.rfile.readline(), 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()

            def say(self, answer: Answer) -> None:
                if answer.status == 0:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                length = {"Content-Length": str(len(answer.body))} if answer.rest is None else {"Connection": "close"}
                for name, value in {**length, **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)
                    if answer.rest is not None:
                        self.wfile.write(answer.rest())

            def echo(self) -> None:
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.end_headers()
                while data := self.rfile.read1(4096):
                    self.wfile.write(data)
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            address_family = family(address)

        self._server = Server((address, port), Handler)
        self.port = int(self._server.server_address[1])
        self._answering = Answering(self._server)

    def _say_name(self, _: Request) -> Answer:
        return Answer(body=self.name.encode())

    def forget(self) -> None:
        """As if nothing had happened."""
        self.requests.clear()
        self.received = 0
        self.answer = self._say_name

    def __enter__(self) -> "StubUpstream":
        return self

    def __exit__(self, *_: object) -> None:
        self._answering.close()


class StubDns:
    """A DNS server on a port of loopback that knows one address of each name.

    Attributes:
        addresses: What it knows; names are added and removed at will.
        silent: Whether it says nothing.
        asked: The names that were asked for.
    """

    def __init__(self, addresses: Mapping[str, str], address: str = LOCALHOST, port: int = 0) -> None:
        self.addresses = dict(addresses)
        self.asked: list[str] = []
        self.silent = False
        dns = self

        class Handler(socketserver.DatagramRequestHandler):
            def handle(self) -> None:
                self.wfile.write(dns.reply(self.rfile.read()))

            def finish(self) -> None:
                if not dns.silent:
                    super().finish()

        class Server(socketserver.UDPServer):
            address_family = family(address)

        self._server = Server((address, port), Handler)
        self.port = int(self._server.server_address[1])
        self._answering = Answering(self._server)

    def reply(self, query: bytes) -> bytes:
        """The reply to a query (RFC 1035, section 4)."""
        labels, at = list[str](), 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        question = query[12 : at + 5]
        name = ".".join(labels)
        self.asked.append(name)
        address, found = self.addresses.get(name, ""), b""
        kind = b"\0\x1c" if ":" in address else b"\0\1"
        if address and question[-4:] == kind + b"\0\1":
            data = socket.inet_pton(family(address), address)
            found = b"\xc0\x0c" + kind + b"\0\1\0\0\0\5" + len(data).to_bytes(2, "big") + data
        flags = b"\x81\x80" if name in self.addresses else b"\x81\x83"
        return query[:2] + flags + b"\0\1" + (b"\0\1" if found else b"\0\0") + b"\0\0\0\0" + question + found

    def __enter__(self) -> "StubDns":
        return self

    def __exit__(self, *_: object) -> None:
        self._answering.close()


@dataclass(frozen=True, kw_only=True)
class RunningGateway:
    """The gateway, and what lies behind it.

    Args:
        upstreams: A stub for each Service, by the name of the service; those the gateway must not reach, too.
        mounts: The folder for each mounted path.
        prefix: The folder of nginx itself, which it may not write.
        host: The host that it serves.
        at: The address of loopback at which it is asked.
    """

    pod: Pod
    account: Account
    dns: StubDns
    upstreams: Mapping[str, StubUpstream]
    mounts: Mapping[str, Path]
    prefix: Path
    host: str
    at: str

    @property
    def port(self) -> int:
        """Its port of loopback."""
        return self.pod.ports["http"]

    @property
    def arrived(self) -> dict[str, list[Request]]:
        """The requests that arrived, by upstream; an upstream without any is left out, and so is the login."""
        return {
            name: upstream.requests for name, upstream in self.upstreams.items() if upstream.requests and name != LOGIN
        }

    def forget(self) -> None:
        """As if no request had been made; the login vouches for nobody."""
        for upstream in self.upstreams.values():
            upstream.forget()
        if login := self.upstreams.get(LOGIN):
            login.answer = lambda _: Answer(status=401)

    def sign_in(self, email: str = "alice@example.com") -> None:
        """From now on the login vouches for this person."""
        vouched = {
            "X-Auth-Request-Email": email,
            "X-Auth-Request-User": "1234567",
            "X-Auth-Request-Preferred-Username": "Alice",
        }
        self.upstreams[LOGIN].answer = lambda _: Answer(status=202, headers=vouched)

    def connect(self) -> socket.socket:
        """A connection, for a client that says what it likes."""
        return socket.create_connection((self.at, self.port), timeout=START)

    def send(self, raw: bytes) -> Response:
        """The response to these bytes."""
        with self.connect() as connection:
            # A server that refuses a request may close the connection before it has read it all.
            with suppress(ConnectionError):
                connection.sendall(raw)
            return read_response(connection, raw.partition(b" ")[0].decode())

    def request(
        self, method: str, target: str, *, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
    ) -> Response:
        """The response to a request.

        Args:
            headers: What is sent beside Host and X-Forwarded-Proto, which may be replaced, and Content-Length.
        """
        lines = [f"{method} {target} HTTP/1.1"]
        for name, value in (("Host", self.host), ("X-Forwarded-Proto", "https")):
            if all(given != name for given, _ in headers):
                lines.append(f"{name}: {value}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in headers]
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def logged(self, *requests: Response | str) -> list[LogLine]:
        """The line of each request, in their order: it may be written after the answer, and after later ones.

        Args:
            requests: The answers, or the X-Request-ID of what gets none.
        """
        wanted = [asked if isinstance(asked, str) else asked.request_id for asked in requests]
        found = dict[str, list[LogLine]]()

        def are_there() -> bool:
            found.clear()
            for text in self.pod.output.splitlines(keepends=True):
                # Otherwise half of it is there, or nginx says that a user whose limit is lower may not raise it.
                if text.endswith("\n") and "setrlimit(RLIMIT_NOFILE" not in text:
                    line: LogLine = json.loads(text)
                    found.setdefault(line["request_id"], []).append(line)
            return all(request_id in found for request_id in wanted)

        assert eventually(are_there, START), (wanted, self.pod.output)
        lines = [found[request_id] for request_id in wanted]
        assert [len(several) for several in lines] == [1] * len(lines), lines
        return [line for (line,) in lines]

    def check_configuration(self) -> tuple[int, str]:
        """The exit code and the output of ``nginx -t``, run as the container's command is."""
        name, *arguments = [self.pod.loopback.command(word) for word in self.pod.spec["command"]]
        program = shutil.which(name, path=self.pod.environment["PATH"]) or name
        read, write = os.pipe()
        with os.fdopen(read) as output, os.fdopen(write, "w") as end:
            self.account.own(write)  # it opens its standard output once more
            done = subprocess.run([program, *arguments, "-t"], env=dict(self.pod.environment), stdout=end, stderr=end)
            end.close()
            return done.returncode, output.read()


def read_response(connection: socket.socket, method: str = "GET") -> Response:
    """Read one response."""
    with HTTPResponse(connection, method=method) as response:
        response.begin()
        return Response(status=response.status, headers=response.headers, body=response.read())


def localize_settings(text: str, upstreams: Mapping[str, int], *, limited: bool) -> str:
    """The settings of the gateway's Lua with a local port for each ``host:port``; the host stays."""
    settings = json.loads(text)
    for place in (*settings["routes"].values(), *([settings["login"]] if "login" in settings else [])):
        place["port"] = upstreams[f"{place['host']}:{place['port']}"]
        if "rate" in place and not limited:
            place["rate"] = {"per_second": 1_000_000, "burst": 1_000_000}
    return json.dumps(settings)


def localize(text: str, *, listen: Mapping[int, int], resolv_conf: Path) -> str:
    """The configuration with local ports and a local resolver.

    Args:
        listen: The ports that are listened on, and the local ones; as it is told to unless given.
        resolv_conf: The file that names the local resolver.
    """
    if listen:
        text, listening = re.subn(r"\blisten (\d+)\b", lambda port: f"listen {LOCALHOST}:{listen[int(port[1])]}", text)
        assert listening == len(re.findall(r"^    server \{", text, re.MULTILINE)), text
    text, resolving = re.subn('"/etc/resolv.conf"', f'"{resolv_conf}"', text)
    assert resolving == 1, text
    return "".join(f"load_module {module};\n" for module in MODULES) + text


@contextmanager
def running_gateway(
    manifests: Sequence[Manifest],
    *,
    resolvable: bool = True,
    real: Mapping[str, int] | None = None,
    limited: bool = True,
    account: Account | None = None,
    alone_at: str = "",
) -> Generator[RunningGateway, None, None]:
    """The gateway, started as its pod would be, with a stub for every Service.

    Args:
        resolvable: Whether the names of the Services are known from the start.
        real: Ports of loopback where real programs stand in for a stub, by the name of the service.
        limited: Whether the rates are those of the settings. Otherwise one client may ask as often as a test likes.
        account: Whom it runs as, where its manifest says nothing.
        alone_at: In a network of its own, the address of loopback at which it is asked, and at which all that it
            reaches is. It then listens as it is told to.
    """
    nginx = shutil.which("nginx")
    assert nginx, "nginx was not asked for"
    manifest = find(manifests, "Deployment", PREFIX + NAME)
    spec = container_of(manifest, NAME)
    security = spec["securityContext"]
    account = account or Account(security["runAsUser"], security["runAsGroup"])
    listening = [port["containerPort"] for port in spec["ports"]]
    ports = {port: port if alone_at else free_port() for port in listening}
    there = alone_at or LOCALHOST
    with ExitStack() as stack:
        root = stack.enter_context(account.folder())
        upstreams = dict[str, StubUpstream]()
        upstream_ports = dict[str, int]()
        for service in (m for m in manifests if m["kind"] == "Service" and m["metadata"]["name"] != PREFIX + NAME):
            name = service["metadata"]["name"]
            stub = stack.enter_context(StubUpstream(name.removeprefix(PREFIX), there))
            upstreams[stub.name] = stub
            behind = (real or {}).get(stub.name, stub.port)
            upstream_ports |= {f"{name}.{DOMAIN}:{p['port']}": behind for p in service["spec"]["ports"]}
        names = {address.partition(":")[0]: there for address in upstream_ports}
        dns = stack.enter_context(StubDns(names if resolvable else {}, there, 53 if alone_at else 0))

        mounts = mounted(manifests, manifest, NAME, root=root, loopback=Loopback())
        account.own(mounts["/tmp"])
        configuration = mounts["/etc/gateway"] / "nginx.conf"
        resolv_conf = root / "resolv.conf"
        resolv_conf.write_text(f"nameserver {there if alone_at else f'{LOCALHOST}:{dns.port}'}\n")
        text = configuration.read_text()
        host = re.findall(r'server_name "([^"]*)";', text)[-1]
        listen = {} if alone_at else ports
        configuration.write_text(localize(text, listen=listen, resolv_conf=resolv_conf))
        settings = mounts["/etc/gateway"] / "gateway.json"
        settings.write_text(localize_settings(settings.read_text(), upstream_ports, limited=limited))
        prefix = root / "prefix"
        prefix.mkdir(mode=0o555)
        program = root / "bin/openresty"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shlex.join([*account.command, nginx, "-p", f"{prefix}/"])} "$@"\n')
        program.chmod(0o555)
        # A container's own output is open to it.
        output = root / "output.txt"
        output.touch()
        account.own(output)

        loopback = Loopback(ports=ports, mounts=mounts)
        environment = pod_environment(manifest, NAME, secrets=SECRETS, loopback=loopback)
        environment["PATH"] = f"{program.parent}:{environment['PATH']}"
        pod = start_pod(manifest, NAME, environment=environment, loopback=loopback, root=root)
        stack.enter_context(serving(pod, lambda: is_open(pod.ports["http"], there), stop=signal.SIGQUIT))
        yield RunningGateway(
            pod=pod, account=account, dns=dns, upstreams=upstreams, mounts=mounts, prefix=prefix, host=host, at=there
        )
