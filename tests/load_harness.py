"""This module is a place where the load test runs: Locust in a process of its own, and stubs of services.

Locust replaces what Python waits by when it is imported, so nothing here imports it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway_harness import MODULES
from mesh_harness import eventually, free_port, is_open

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "constructs/ai_interviewer/_interview_load.py"
STEPS = ("sign in", "upload a résumé", "start", "answer", "finish")
PERSON = "__Host-login=person-{n}"
"""The cookie of a person whom the stub of the login knows."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What became of a step of all interviews.

    Args:
        times: How many requests took how many milliseconds.
    """

    name: str
    requests: int
    failures: int
    times: Mapping[int, int]

    def within(self, share: float) -> int:
        """The milliseconds within which this share of the requests was answered."""
        left = share * sum(self.times.values())
        for milliseconds, count in sorted(self.times.items()):
            left -= count
            if left <= 0:
                return milliseconds
        return 0


@dataclass(frozen=True, kw_only=True)
class Load:
    """What became of a load test.

    Args:
        code: With which it ended.
        said: What it wrote beside its figures.
        errors: What went wrong, as ``step: problem``.
    """

    users: int
    seconds: float
    code: int
    said: str
    steps: tuple[Step, ...]
    errors: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def total(self) -> Step:
        """All steps together."""
        times: dict[int, int] = {}
        for step in self.steps:
            for milliseconds, count in step.times.items():
                times[milliseconds] = times.get(milliseconds, 0) + count
        return Step(
            name="all",
            requests=sum(step.requests for step in self.steps),
            failures=sum(step.failures for step in self.steps),
            times=times,
        )

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.total.requests / self.seconds

    @property
    def failed(self) -> float:
        """The share of requests that failed."""
        return self.total.failures / max(1, self.total.requests)

    def step(self, name: str) -> Step:
        """A step by its name."""
        return next(step for step in self.steps if step.name == name)


def run_locust(
    host: str, *, users: int, seconds: int, spawn: float = 100, more: Sequence[str] = (), program: Path = PROGRAM
) -> Load:
    """Run Locust, and read its figures."""
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        shutil.copy(program, folder)  # Locust takes a comma of a path for the end of it
        command = [
            *(sys.executable, "-m", "locust", "--locustfile", program.name, "--headless", "--only-summary"),
            *("--host", host, "--users", str(users), "--spawn-rate", str(spawn), "--run-time", f"{seconds}s"),
            *("--json-file", f"{folder}/load", *more),
        ]
        environment = {**os.environ, "HOME": folder}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        written = Path(folder) / "load.json"
        if not written.exists():
            raise AssertionError(done.stdout + done.stderr)
        found: list[dict[str, Any]] = json.loads(written.read_text())
    said = done.stdout + done.stderr
    errors = {what: int(count) for count, what in re.findall(r"^load test: (\d+) x (.*)$", said, re.MULTILINE)}
    steps = tuple(
        Step(
            name=one["name"],
            requests=one["num_requests"],
            failures=one["num_failures"],
            times={int(float(text)): count for text, count in one["response_times"].items()},
        )
        for one in sorted(found, key=lambda one: STEPS.index(one["name"]) if one["name"] in STEPS else len(STEPS))
    )
    # The clock of the whole process begins before anybody comes.
    last, first = (one["last_request_timestamp"] for one in found), (one["start_time"] for one in found)
    lasted = max(last, default=0.0) - min(first, default=0.0)
    return Load(users=users, seconds=lasted, code=done.returncode, said=said, steps=steps, errors=errors)


# The stubs: nginx too, so that they are not what is measured. Each waits as long as it is told, whoever else waits.

LATENCIES: Mapping[str, float] = {
    "/": 0.02,
    "/api/user/upload-resume": 0.2,
    "/api/interviews/start": 0.3,
    "/api/interviews/answer": 0.3,
    "/api/interviews/end": 0.05,
}
"""Seconds that the stub of the backend takes. Models take ten times as long, and more."""

_STUBS = """
{modules}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_max_body_size 60m;
    client_body_buffer_size 1m;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{backend};
{locations}
    }}
    server {{
        listen 127.0.0.1:{login};
        location / {{
            content_by_lua_block {{
                local number = (ngx.var.http_cookie or ""):match("__Host%-login=person%-(%d+)")
                if not number then return ngx.exit(401) end
                ngx.header["X-Auth-Request-Email"] = "person-" .. number .. "@example.com"
                ngx.header["X-Auth-Request-User"] = number
                ngx.status = 202
            }}
        }}
    }}
}}
"""
_LOCATION = """
        location = {path} {{
            content_by_lua_block {{
                ngx.req.read_body()
                ngx.sleep({seconds})
                ngx.header.content_type = "{kind}"
                ngx.print('{answer}')
            }}
        }}
"""


@contextmanager
def stub_services(latencies: Mapping[str, float] = LATENCIES) -> Generator[dict[str, int], None, None]:
    """The ports of the stubs, by the names of the services that they stand for."""
    backend, login = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="load-stubs-") as folder:
        Path(folder).chmod(0o755)
        locations = "".join(
            _LOCATION.format(
                path=path,
                seconds=seconds,
                kind="text/event-stream" if path.endswith("/answer") else "application/json",
                answer='data: {"type": "complete"}\\n\\n' if path.endswith("/answer") else "{}",
            )
            for path, seconds in latencies.items()
        )
        configuration = Path(folder) / "nginx.conf"
        modules = "\n".join(f"load_module {module};" for module in MODULES)
        configuration.write_text(
            _STUBS.format(folder=folder, backend=backend, login=login, locations=locations, modules=modules)
        )
        process = subprocess.Popen(
            ["nginx", "-p", folder, "-e", "stderr", "-c", str(configuration), "-g", "daemon off; "]
        )
        try:
            assert eventually(lambda: is_open(backend) and is_open(login), 10)
            yield {"backend": backend, "oauth2-proxy": login}
        finally:
            process.terminate()
            process.wait(10)


def cpu_seconds(pid: int) -> float:
    """The time of processors that a process and its children have taken."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ticks = 0
    for one in (str(pid), *children):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
