"""This module is the network of a cluster on loopback: each pod has an address of its own, and a Service has many pods.

So every program listens on the port that is rendered, as in its pod.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from itertools import count, cycle
from pathlib import Path
from typing import Any


class Network:
    """Addresses of loopback that nobody else has, and who passes connections on.

    Args:
        names: A folder: a file for each Service that has a name, of the addresses that it leads to.
    """

    def __init__(self, names: Path) -> None:
        names.mkdir()
        self.names = names
        # Others run the same tests at the same time.
        self._prefix = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}"
        self._numbers = count(1)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def address(self) -> str:
        """One more."""
        return f"{self._prefix}.{next(self._numbers)}"

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something where connections are passed on, and wait until it is done."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        """Pass nothing on any more."""
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Service:
    """A Service, as the cluster makes it work: each connection goes to one of the pods that are ready.

    Connections that there are stay when a pod is no longer ready. Where none is, a connection is refused.

    Args:
        network: Where it is.
        address: Where it listens.
        port: Where it listens.
        pods_port: Where its pods do.
        name: What it is called by who asks for its name, and is then led to a pod by the node.
    """

    def __init__(self, network: Network, address: str, port: int, pods_port: int, name: str = "") -> None:
        self.address, self.port, self._pods_port, self._name = address, port, pods_port, name
        self._network = network
        self._pods: tuple[str, ...] = ()
        self._turn: Iterator[str] = iter(())
        self._server: asyncio.Server | None = None
        self.leads_to()

    def leads_to(self, *pods: str) -> None:
        """The addresses of the pods that are ready."""
        self._pods, self._turn = pods, cycle(pods)
        if self._name:
            # At its own address nobody listens when there are none.
            written = self._network.names / f".{self._name}"
            written.write_text(" ".join(pods or [self.address]))
            written.replace(self._network.names / self._name)
        self._network.run(self._listen(bool(pods)))

    async def _listen(self, wanted: bool) -> None:
        if wanted and self._server is None:
            self._server = await asyncio.start_server(self._pass_on, self.address, self.port)
        elif not wanted and self._server is not None:
            self._server.close()
            self._server = None

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._pods:
            await between(reader, writer, next(self._turn), self._pods_port)


class Proxy:
    """Who asks Services for a program that cannot be told what a Service's name is: one of Go.

    Args:
        network: Where it is.
        services: The Services, by their names.
    """

    def __init__(self, network: Network, services: dict[str, Service]) -> None:
        self.address, self.port = network.address(), 3128
        self._services = services
        network.run(self._listen())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, self.address, self.port)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, url, version = (await reader.readline()).decode().split()
        authority, _, path = url.removeprefix("http://").partition("/")
        service = self._services[authority.partition(":")[0]]
        await between(reader, writer, service.address, service.port, f"{method} /{path} {version}\r\n".encode())


async def between(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, port: int, first: bytes = b""
) -> None:
    """Pass on what two ends say to each other, until both are silent for good."""
    try:
        other_reader, other_writer = await asyncio.open_connection(address, port)
    except OSError:
        writer.transport.abort()
        return
    other_writer.write(first)
    try:
        await asyncio.gather(_one_way(reader, other_writer), _one_way(other_reader, writer))
    finally:
        other_writer.close()
        writer.close()


async def _one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while said := await reader.read(65536):
            writer.write(said)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
