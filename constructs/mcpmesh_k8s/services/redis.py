"""This module is Redis: the sessions, traces and data of a mesh, which no one may evict."""

from __future__ import annotations

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Claim,
    Compute,
    Container,
    Exec,
    File,
    Files,
    Image,
    Port,
    Probes,
    Readiness,
    Scratch,
    Secret,
    Server,
    SettingError,
    Side,
    Target,
    TcpSocket,
    User,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    in_bytes,
    variables,
)

from ._redis_mover import RedisMover

USER = User(uid=999, gid=1000)
"""The user ``redis`` of the alpine images (docker-library/redis)."""

_CONFIG = "/etc/redis"
_PASSWORD_FILE = "/run/redis/password.conf"

_START = (
    ': "${REDIS_PASSWORD:?is not set}"; umask 077; '
    f'printf \'requirepass "%s"\\n\' "$REDIS_PASSWORD" > {_PASSWORD_FILE}; '
    f"exec redis-server {_CONFIG}/redis.conf"
)
_TRIM = (
    "trap 'exit 0' TERM INT; while :; do "
    'timeout 10 redis-cli -e XTRIM "$STREAM" MAXLEN "~" "$MAX_LENGTH" >/dev/null || echo "trim of $STREAM failed"; '
    "sleep 60 & wait $!; done"
)


@dataclass(frozen=True, kw_only=True)
class Persistent:
    """Data on a claim, written as an append-only file.

    Args:
        size: How much storage is claimed.
        storage_class: The storage class; the cluster's default unless given.
    """

    size: str
    storage_class: str = ""


@dataclass(frozen=True, kw_only=True)
class Ephemeral:
    """Data that is lost with the pod.

    Args:
        size: The most it may hold on disk.
    """

    size: str = "256Mi"


@dataclass(frozen=True, kw_only=True)
class RedisSettings(WorkloadOptions):
    """A Redis server.

    Args:
        image: The image.
        compute: CPU and memory; ``maxmemory`` follows from the memory limit.
        storage: Whether data outlives the pod.
        trace_length: About how many entries the stream of traces keeps. The mesh appends to ``mesh:trace`` for
            ever, and nothing is evicted, so the stream is trimmed every minute. The registry reads it at once.
        name: The short name.
    """

    image: Image
    compute: Compute
    storage: Persistent | Ephemeral = Ephemeral()
    trace_length: int = 10_000
    name: str = "redis"

    def __post_init__(self) -> None:
        """Refuse a stream without entries."""
        super().__post_init__()
        if self.trace_length < 1:
            raise SettingError("RedisSettings.trace_length", self.trace_length, "Give 1 or more.")

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The keys its Secret must hold. The password appears in URLs: letters, digits, ``-``, ``_``, ``~``, ``.``."""
        return ("password",)


class Redis(Workload):
    """Redis 7 as a Deployment of one pod: it is the primary store of the mesh, and has a single writer.

    Args:
        scope: A Phase.
        settings: Image, memory and storage.
        secret: A Secret that holds ``settings.secret_keys``.
    """

    def __init__(self, scope: Construct, settings: RedisSettings, secret: Secret) -> None:
        self.settings = settings
        self.secret = secret
        password = secret.key("password")
        storage = settings.storage
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="cache",
                availability=settings.availability,
                extras=settings.extras,
                one_at_a_time=True,
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    command=("/bin/sh", "-c", _START),
                    ports=(Port(name="redis", number=6379, scheme="redis"),),
                    variables=variables({"REDIS_PASSWORD": password, "REDISCLI_AUTH": "$(REDIS_PASSWORD)"}),
                    probes=Probes.of(
                        Exec(command=("redis-cli", "-e", "ping")), liveness=TcpSocket(port="redis"), startup_seconds=300
                    ),
                    volumes=(
                        Claim(size=storage.size, storage_class=storage.storage_class)
                        if isinstance(storage, Persistent)
                        else Scratch(name="data", mount_path="/data", size=storage.size),
                        Scratch(name="run", mount_path="/run/redis", size="1Mi"),
                        Files(
                            mount_path=_CONFIG,
                            files=(File(path="redis.conf", content=configuration(settings)),),
                        ),
                    ),
                ),
                sidecars=(
                    Container(
                        name="trim-traces",
                        image=settings.image,
                        user=USER,
                        compute=Compute(cpu="10m", memory="16Mi", cpu_limit="50m", memory_limit="32Mi"),
                        command=("/bin/sh", "-c", _TRIM),
                        variables=variables(
                            {
                                "REDISCLI_AUTH": password,
                                "STREAM": "mesh:trace",
                                "MAX_LENGTH": str(settings.trace_length),
                            }
                        ),
                    ),
                ),
            ),
        )

    def mover(self, side: Side) -> RedisMover:
        """How its keys move: as a dump, which the target takes over from a second server beside it."""
        return RedisMover(
            side=side,
            server=Server.of(self),
            memory=in_bytes("memory", self.settings.compute.memory_limit),
            disk=in_bytes("storage", self.settings.storage.size),
        )

    @property
    def target(self) -> Target:
        """The server: ``REDIS_HOST``, ``_PORT``, ``_DB``, ``_PASSWORD`` and ``REDIS_URL``."""
        endpoint = self.endpoint("redis")
        password = self.secret.key("password")
        return Target(
            workload=self,
            port="redis",
            introduction=variables(
                {
                    "REDIS_HOST": endpoint.host,
                    "REDIS_PORT": str(endpoint.port),
                    "REDIS_DB": "0",
                    "REDIS_PASSWORD": password,
                    "REDIS_URL": f"redis://:$(REDIS_PASSWORD)@{endpoint.authority}/0",
                }
            ),
            readiness=Readiness(
                command=("redis-cli", "-e", "-h", endpoint.host, "-p", str(endpoint.port), "ping"),
                variables=variables({"REDISCLI_AUTH": password}),
            ),
        )


def configuration(settings: RedisSettings) -> str:
    """``redis.conf``: bounded below the container's limit, and nothing is ever evicted.

    ``maxmemory`` is two thirds of the limit. The rest is for what Redis does not count: the copies that a fork
    makes while it rewrites the append-only file, replication and client buffers, fragmentation.
    """
    persistent = isinstance(settings.storage, Persistent)
    lines = (
        "port 6379",
        "bind * -::*",
        "dir /data",
        f"maxmemory {in_bytes('memory', settings.compute.memory_limit) * 2 // 3}",
        "maxmemory-policy noeviction",
        f"appendonly {'yes' if persistent else 'no'}",
        "appendfsync everysec",
        'save ""',
        "tcp-keepalive 60",
        f"include {_PASSWORD_FILE}",
    )
    return "".join(f"{line}\n" for line in lines)
