"""This module is a pod's network for a process of this machine: what DNS says of Services, and where it listens.

The code of an agent imports it first. A pod has an address of its own and listens on all of it; here each has one of
loopback. What is written in Rust or Go resolves names itself, and is given addresses.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

SERVICES: dict[str, str] = json.loads(os.environ["POD_SERVICES"])  # the address of each, by its name
POD = os.environ["POD_ADDRESS"]
resolve, bind = socket.getaddrinfo, socket.socket.bind


def resolved(host: str | bytes | None, *others: Any, **named: Any) -> Any:
    """The addresses of a host; of a Service as a cluster's DNS has them."""
    name = host.decode() if isinstance(host, bytes) else host
    return resolve(SERVICES.get(name or "", host), *others, **named)


def bound(self: socket.socket, address: Any) -> None:
    """Listen: on the pod's own address, where it would be on all."""
    bind(self, (POD, address[1]) if address[0] == "0.0.0.0" else address)


socket.getaddrinfo = resolved
socket.socket.bind = bound  # type: ignore[assignment, method-assign]
