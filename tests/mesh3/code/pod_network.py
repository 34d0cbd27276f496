"""This module is a pod's network for a process of this machine: where a Service leads it, and where it listens.

The code of an agent imports it first. A pod has an address of its own and listens on all of it; here each has one of
loopback. What is written in Rust or Go resolves names itself, and is given addresses.

A node leads each connection to a pod as it is made, and then has no part in it. So a name has the address of a pod
here, another each time: nobody stands between the two, who would tell one late that the other has gone.
"""

from __future__ import annotations

import os
import random
import socket
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

SERVICES = Path(os.environ["POD_SERVICES"])  # a file for each, of the addresses that it leads to
POD = os.environ["POD_ADDRESS"]
# By chance, four connections would all lead to one of two pods each sixteenth time.
turns = defaultdict[str, Iterator[int]](lambda: count(random.randrange(1000)))
resolve, bind = socket.getaddrinfo, socket.socket.bind


def resolved(host: str | bytes | None, *others: Any, **named: Any) -> Any:
    """The addresses of a host; of a Service, where one connection is led to."""
    name = host.decode() if isinstance(host, bytes) else host
    if name and (service := SERVICES / name).is_file():
        pods = service.read_text().split()
        host = pods[next(turns[name]) % len(pods)]
    return resolve(host, *others, **named)


def bound(self: socket.socket, address: Any) -> None:
    """Listen: on the pod's own address, where it would be on all."""
    bind(self, (POD, address[1]) if address[0] == "0.0.0.0" else address)


socket.getaddrinfo = resolved
socket.socket.bind = bound  # type: ignore[assignment, method-assign]
