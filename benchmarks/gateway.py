"""This module is the benchmark of the gateway: what login, limits and logs cost, beside a bare proxy on the same nginx.

The rendered configuration runs as in the tests. Upstream and login are answered by another nginx, so that neither is
what is measured. `wrk` asks both in turns.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "constructs"), str(ROOT)]

from conftest import read_manifests  # noqa: E402
from gateway_harness import running_gateway  # noqa: E402
from mesh_harness import LOCALHOST, eventually, free_port, is_open  # noqa: E402
from programs import PLACES  # noqa: E402

os.environ["PATH"] = os.pathsep.join(PLACES)  # nginx lies where not every user looks

COMMON = """
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
    access_log {log};
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{servers}
}}
"""
UPSTREAM = """
    keepalive_requests 1000000;
    server {{ listen {backend} reuseport; location / {{ return 200 '{{"answer": "of the backend"}}'; }} }}
    server {{ listen {login} reuseport;
        add_header X-Auth-Request-Email alice@example.com always;
        location / {{ return 202; }} }}
"""
BARE = """
    upstream kept {{ server 127.0.0.1:{backend}; keepalive 64; }}
    server {{ listen {listen};
        location / {{ proxy_pass http://127.0.0.1:{backend}; }}
        location /kept/ {{ proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://kept/; }} }}
"""


@contextmanager
def nginx(servers: str, port: int, log: str = "off") -> Generator[None, None, None]:
    """An nginx with these servers."""
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(COMMON.format(folder=folder, servers=servers, log=log))
        process = subprocess.Popen(["nginx", "-p", folder, "-e", "stderr", "-c", configuration, "-g", "daemon off;"])
        try:
            assert eventually(lambda: is_open(port), 10)
            yield
        finally:
            process.terminate()
            process.wait(10)


def ask(url: str, host: str, seconds: int) -> tuple[float, float]:
    """Requests a second, and milliseconds within which 99 of 100 are answered."""
    headers = ("-H", f"Host: {host}", "-H", "X-Forwarded-Proto: https", "-H", "Cookie: __Host-login=x")
    command = ["wrk", "--threads", "1", "--connections", "16", "--duration", f"{seconds}s", "--latency", *headers, url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    assert refused is None, output
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", output)[0])
    value, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", output)[0]
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="turns")
    parser.add_argument("--seconds", type=int, default=3, help="seconds for each measurement")
    arguments = parser.parse_args()
    backend, login, bare = free_port(), free_port(), free_port()
    manifests = read_manifests(ROOT / "dist" / "prod")
    with (
        nginx(UPSTREAM.format(backend=backend, login=login), backend),
        nginx(BARE.format(listen=bare, backend=backend), bare, log="/dev/null"),
        running_gateway(manifests, real={"backend": backend, "oauth2-proxy": login}, limited=False) as gateway,
    ):
        places = {
            "bare proxy_pass": f"http://{LOCALHOST}:{bare}/static/app.js",
            "with keepalive": f"http://{LOCALHOST}:{bare}/kept/static/app.js",
            "public route": f"http://{LOCALHOST}:{gateway.port}/static/app.js",
            "signed-in route": f"http://{LOCALHOST}:{gateway.port}/page",
        }
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in places}
        for turn in range(arguments.rounds + 1):
            print(f"\rround {turn} of {arguments.rounds}", end="", file=sys.stderr, flush=True)
            for name, url in places.items():
                measured = ask(url, gateway.host, arguments.seconds if turn else 1)
                if turn:
                    results[name].append(measured)
                time.sleep(0.1)
        print("\r" + " " * 20 + "\r", end="", file=sys.stderr)
    base = results["bare proxy_pass"]
    print(f"{'median of ' + str(arguments.rounds):18} {'requests/s':>11} {'÷ bare':>8} {'99 % within':>12} {'more':>8}")
    for name, values in results.items():
        rate, late = (statistics.median(part) for part in zip(*values, strict=True))
        ratio = statistics.median(one[0] / other[0] for one, other in zip(values, base, strict=True))
        more = late - statistics.median(one[1] for one in base)
        print(f"{name:18} {rate:11.0f} {ratio:8.2f} {late:9.2f} ms {more:5.2f} ms")


if __name__ == "__main__":
    main()
