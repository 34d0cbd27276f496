"""This module is the program that the smoke test runs in the cluster. It is mounted as a file: nothing else is there.

It asks the gateway and the registry until all is well or the time is over, and ends with 0 or 1. It says what it found
as a table.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import sys
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

TIMEOUT = 5.0  # seconds for one answer
PAUSE = 3.0  # seconds between two rounds
LARGEST = 16 * 2**20  # bytes of an answer that are read


def get(url: str, headers: Mapping[str, str], until: float, context: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    """The status and body of an answer. It follows no redirect: that would lead out of the cluster.

    Raises:
        OSError, http.client.HTTPException: There is no answer.
    """
    address = urlsplit(url)
    left = max(0.1, min(TIMEOUT, until - time.monotonic()))
    host = address.hostname or ""
    connection = (
        http.client.HTTPSConnection(host, address.port or 443, timeout=left, context=context)
        if context
        else http.client.HTTPConnection(host, address.port or 80, timeout=left)
    )
    try:
        connection.request("GET", address.path or "/", headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read(LARGEST)
    finally:
        connection.close()


def gateway(environment: Mapping[str, str], until: float) -> dict[str, str]:
    """What is wrong with the way in, by what was asked; an empty text for what is well."""
    url = environment["GATEWAY_URL"] + environment["GATEWAY_PATH"]
    headers = {"Host": environment["GATEWAY_HOST"], "X-Forwarded-Proto": environment["GATEWAY_SCHEME"]}
    try:
        status, _ = get(url, headers, until)
    except (OSError, http.client.HTTPException) as error:
        problem = f"no answer: {str(error) or type(error).__name__}"
    else:
        problem = "" if status == 200 else f"it answered {status}"
    return {f"gateway {environment['GATEWAY_PATH']}": problem}


def certificate(environment: Mapping[str, str]) -> ssl.SSLContext | None:
    """With what it shows the registry who it is, where the mesh demands that."""
    if not environment.get("MCP_MESH_TLS_CA"):
        return None
    context = ssl.create_default_context(cafile=environment["MCP_MESH_TLS_CA"])
    context.load_cert_chain(environment["MCP_MESH_TLS_CERT"], environment["MCP_MESH_TLS_KEY"])
    return context


def agents(environment: Mapping[str, str], until: float) -> dict[str, str]:
    """What is wrong with each agent, as the registry knows it."""
    names = environment["AGENTS"].split(",") if environment["AGENTS"] else []
    found: list[object] = []
    problem = ""
    try:
        status, body = get(environment["MCP_MESH_REGISTRY_URL"] + "/agents", {}, until, certificate(environment))
        if status == 200:
            found = list(json.loads(body)["agents"] or [])  # null where there is none
        else:
            problem = f"it answered {status}"
    except (OSError, http.client.HTTPException) as error:
        problem = f"no answer: {str(error) or type(error).__name__}"
    except (ValueError, KeyError, TypeError):
        problem = "its answer is no list of agents"
    if problem:
        return {"registry /agents": problem, **{f"agent {name}": "not known" for name in names}}
    return {"registry /agents": "", **{f"agent {name}": registered(name, found) for name in names}}


def registered(name: str, found: list[object]) -> str:
    """What is wrong with an agent. Each of its starts is an entry of its own, and those of the past stay."""
    statuses = [
        str(entry.get("status"))
        for entry in found
        if isinstance(entry, dict)
        and any(re.fullmatch(rf"{re.escape(name)}(-[0-9a-f]{{8}})?", str(entry.get(field))) for field in ("id", "name"))
    ]
    if "healthy" in statuses:
        return ""
    return f"it is {', '.join(sorted(set(statuses)))}" if statuses else "it is not registered"


def table(checks: Mapping[str, str]) -> str:
    """The checks, one a line."""
    width = max(map(len, checks))
    return "\n".join(f"{name:<{width}}  {problem or 'ok'}" for name, problem in checks.items())


def main(environment: Mapping[str, str]) -> int:
    """Ask until all is well or the time is over."""
    started = time.monotonic()
    until = started + float(environment["DEADLINE_SECONDS"])
    before: dict[str, str] = {}
    while True:
        checks = {**gateway(environment, until), **agents(environment, until)}
        failed = [name for name, problem in checks.items() if problem]
        over = time.monotonic() + PAUSE >= until
        if checks != before:
            print(f"after {time.monotonic() - started:.0f} s:\n{table(checks)}\n", flush=True)
            before = checks
        if not failed:
            print("all is well", flush=True)
            return 0
        if over:
            print(f"failed: {', '.join(failed)}", flush=True)
            return 1
        time.sleep(PAUSE)


if __name__ == "__main__":
    sys.exit(main(os.environ))
