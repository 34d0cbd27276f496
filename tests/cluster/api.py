"""This module is a client of the Kubernetes API, as much as the tests need: one object, all of a kind, what changes."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_TIMEOUT = 30.0
_WATCH = 300


class ApiError(Exception):
    """The API server refuses a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass(frozen=True)
class Api:
    """The API server as an administrator sees it.

    Args:
        url: Where it listens.
        token: The administrator's token.
        authority: The file with the certificate of who signed the server's.
    """

    url: str
    token: str
    authority: Path
    _connections: threading.local = field(default_factory=threading.local)

    def get(self, path: str) -> Object:
        """One object, by its path."""
        return self.request("GET", path)

    def find(self, path: str) -> Object | None:
        """One object, or none when it is not there."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def list(self, path: str, **query: str) -> list[Object]:
        """All objects of a kind."""
        items: list[Object] = self.request("GET", f"{path}?{urlencode(query)}" if query else path)["items"]
        return items

    def create(self, path: str, body: Object) -> Object:
        """Make an object; the path is its kind's."""
        return self.request("POST", path, body)

    def patch(self, path: str, body: Object, kind: str = MERGE) -> Object:
        """Change some fields of an object."""
        return self.request("PATCH", path, body, kind)

    def delete(self, path: str, body: Object | None = None) -> None:
        """Delete an object; it may be gone already."""
        try:
            self.request("DELETE", path, body or {})
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def request(
        self, method: str, path: str, body: Object | None = None, content_type: str = "application/json"
    ) -> Object:
        """What the server answers.

        Raises:
            ApiError: It refuses.
        """
        headers = {**self._headers, "Content-Type": content_type}
        text = None if body is None else json.dumps(body)
        try:
            response, content = self._send(method, path, text, headers)
        except (OSError, http.client.HTTPException):
            # A connection that was kept may have been closed meanwhile.
            response, content = self._send(method, path, text, headers)
        answer: Object = json.loads(content) if content.startswith(b"{") else {"text": content.decode()}
        if response.status >= 300:
            raise ApiError(response.status, str(answer.get("message") or answer))
        return answer

    def _send(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection: http.client.HTTPSConnection | None = getattr(self._connections, "kept", None)
        if connection is None:
            connection = self._connections.kept = self.connection(_TIMEOUT)
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            response = connection.getresponse()
            return response, response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self._connections.kept = None
            raise

    def watch(self, path: str, version: str) -> Iterator[tuple[str, Object]]:
        """What happens to objects of a kind after a version: ``ADDED``, ``MODIFIED`` or ``DELETED``, and the object."""
        connection = self.connection(_WATCH + _TIMEOUT)
        query = urlencode({"watch": "1", "resourceVersion": version, "timeoutSeconds": _WATCH})
        try:
            connection.request("GET", f"{path}?{query}", headers=self._headers)
            response = connection.getresponse()
            if response.status != 200:
                raise ApiError(response.status, response.read().decode())
            for line in response:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["type"], event["object"]
        finally:
            connection.close()

    def connection(self, timeout: float) -> http.client.HTTPSConnection:
        """A new connection."""
        parts = urlsplit(self.url)
        context = ssl.create_default_context(cafile=str(self.authority))
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout, context=context)

    @property
    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
