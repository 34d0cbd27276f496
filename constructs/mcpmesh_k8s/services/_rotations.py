"""This module is how the programs of the stores, and Grafana, take a new value of a key."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from mcpmesh_k8s.kubernetes import Rotation, Server, Side, dataclass, read_script

from ._minio_mover import MC, minio_client

_HERE = Path(__file__).parent


def _tell(side: Side, server: Server, doing: str, script: str, value: str, *arguments: str) -> None:
    """Run a script beside a server that reads a value from its input."""
    with tempfile.TemporaryFile() as file:
        file.write(value.encode())
        file.seek(0)
        side.run(server, doing, read_script(_HERE / script), *arguments, stdin=file)


@dataclass(kw_only=True)
class RedisRotation(Rotation):
    """A user of Redis has two passwords while its clients restart.

    Args:
        server: The server.
        user: The user.
    """

    server: Server
    user: str

    def _say(self, new: Mapping[str, str], *only: str) -> None:
        (value,) = new.values()
        _tell(self.side, self.server, f"user {self.user}", "redis_files/password.sh", value, self.user, *only)

    def admit(self, new: Mapping[str, str]) -> None:
        """Let the user in by the new password, too."""
        self._say(new)

    def replace(self, new: Mapping[str, str]) -> None:
        """Once more: a server that started meanwhile may have read the Secret before it was changed."""
        self._say(new)

    def dismiss(self, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Let the user in by the new password alone. Sessions go on."""
        self._say(new, "only")


@dataclass(kw_only=True)
class PostgresRotation(Rotation):
    """A role of PostgreSQL has one password. It changes when the new pods of its client wait for that.

    Args:
        server: The server.
        role: The role.
    """

    server: Server
    role: str

    def admit(self, new: Mapping[str, str]) -> None:
        """See that the server answers. Nothing is changed."""
        script = read_script(_HERE / "postgres_files/execute.sh")
        self.side.run(self.server, "a look at the server", script, "SELECT 1")

    def replace(self, new: Mapping[str, str]) -> None:
        """Change the password. Sessions go on."""
        (value,) = new.values()
        _tell(self.side, self.server, f"role {self.role}", "postgres_files/password.sh", value, self.role)


@dataclass(kw_only=True)
class MinioRotation(Rotation):
    """A user of MinIO is followed by another, with the same policies: both are let in meanwhile.

    Args:
        server: The server.
        policies: What the user may do.
        authority: Where its container has the CA of its certificate; empty where it speaks no TLS.
    """

    server: Server
    policies: tuple[str, ...]
    authority: str

    @property
    def programs(self) -> Mapping[str, str]:
        """Mc, which makes users."""
        return MC

    def admit(self, new: Mapping[str, str]) -> None:
        """Make the new user."""
        access, secret = (new[key] for key in self.keys)
        with minio_client(self.side, self.server, self.authority) as mc:
            script = read_script(_HERE / "minio_files/admit.sh")
            mc.run("sh", "-c", script, "admit", *self.policies, NEW_ACCESS_KEY=access, NEW_SECRET_KEY=secret)

    def dismiss(self, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Remove the old user."""
        name = self.keys[0]
        if old[name] != new[name]:
            with minio_client(self.side, self.server, self.authority) as mc:
                mc("admin", "user", "remove", "store", old[name])


@dataclass(kw_only=True)
class GrafanaRotation(Rotation):
    """Grafana keeps the administrator's password in its database. It is told there, and needs no restart.

    Args:
        server: Grafana.
    """

    server: Server

    def admit(self, new: Mapping[str, str]) -> None:
        """See that its pod is there. Nothing is changed."""
        self.side.run(self.server, "a look at Grafana", "true")

    def replace(self, new: Mapping[str, str]) -> None:
        """Change the password."""
        (value,) = new.values()
        _tell(self.side, self.server, "the administrator", "grafana_files/password.sh", value)
