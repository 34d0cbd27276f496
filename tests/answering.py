"""This module is how a server of a test answers from a thread of its own.

`serve_forever` looks many times a second whether it is to end, and there are twenty servers behind each gateway.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from socketserver import TCPServer


class Answering:
    """A server that waits until someone asks, or until it is closed."""

    def __init__(self, server: TCPServer) -> None:
        self._server = server
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                request, client = self._server.get_request()
            except OSError:  # it is closed, or who asked has gone
                if self._closed:
                    return
                continue
            if self._closed:
                return
            try:
                self._server.process_request(request, client)
            except Exception:  # as `serve_forever` does: the next one is answered
                self._server.handle_error(request, client)
                self._server.shutdown_request(request)

    def close(self) -> None:
        """Listen no longer."""
        self._closed = True
        with suppress(OSError):  # one that has no connections wakes, too, and says that it has none
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.server_close()
