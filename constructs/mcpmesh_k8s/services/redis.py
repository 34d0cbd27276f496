"""This module is Redis: the sessions, traces and data of a mesh, which no one may evict."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from constructs import Construct

from mcpmesh_k8s.images import REDIS_EXPORTER
from mcpmesh_k8s.kubernetes import (
    Alert,
    Choice,
    Claim,
    Compute,
    Container,
    Exec,
    File,
    Files,
    Image,
    MetricsEndpoint,
    Port,
    Probe,
    Probes,
    Readiness,
    Scratch,
    Secret,
    SecretKey,
    Server,
    SettingError,
    Severity,
    Side,
    Target,
    TcpSocket,
    User,
    Variable,
    Volume,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    bytes_text,
    dataclass,
    in_bytes,
    once,
    read_script,
    variables,
)

from ._redis_mover import RedisMover
from .backup import Backup, BackupProgram, StoreBackup

USER = User(uid=999, gid=1000)
"""The user ``redis`` of the alpine images (docker-library/redis)."""

_CONFIG = "/etc/redis"
_DATA = "/data"
_FILES = Path(__file__).with_name("redis_files")
_TRACE = 1024  # bytes of an entry of the stream: a span with its attributes
_MEBIBYTE = 2**20
_LEAST_MEMORY = 64 * _MEBIBYTE * 2 // 3
_FIRST_REWRITE = 64 * _MEBIBYTE  # auto-aof-rewrite-min-size of redis.conf
_USERS_FILE = "/run/redis/users.conf"

STREAM = "mesh:trace"
"""The stream that the mesh writes its traces to, and the registry reads."""

DASHBOARD_GROUP = "mcp-mesh-ui-dashboard"
"""The group that the mesh's dashboard reads it as, unless it is told another."""

_LOG = r"^\d+:[CMSX] \d\d \w{3} \d{4} [\d:.]+ (?P<level>[-.*#]) "
"""Its lines have a sign for the level: it has no other form."""

_TRIM = (
    "trap 'exit 0' TERM INT; while :; do "
    'timeout 10 redis-cli --user trimmer -e XTRIM "$STREAM" MAXLEN "~" "$MAX_LENGTH" >/dev/null || '
    'echo "level=error msg=\\"trim of $STREAM failed\\""; '
    "sleep 60 & wait $!; done"
)


OPERATOR = "operator"
"""Who may everything. Only the server's own container is given its password: for probes, and for whoever moves data."""


def _client(keys: Sequence[str] = (), commands: Sequence[str] = ()) -> str:
    """What a client may do: what the mesh's runtime does in its process, and something with keys of its own.

    The runtime writes spans, and remembers which pod has a session. It asks for all sessions' names, too, and shows
    them to whoever asks: that it may not, and it lives with that.
    """
    own = [*(f"~{pattern}" for pattern in keys), *(f"+{command}" for command in commands)]
    return " ".join(["+ping", *own, f"(+xadd %W~{STREAM})", f"(+xinfo|stream %R~{STREAM})", "(+get +setex ~session:*)"])


_OWN_USERS = {
    OPERATOR: "~* &* +@all",
    "mesh": _client(),
    "registry": f"~{STREAM} +ping +xgroup|create +xreadgroup +xack +xinfo|stream +xinfo|groups",
    "trimmer": f"%W~{STREAM} +xtrim",
}
# What the mesh's dashboard does with the stream: it reads it as a group of its own, looks after that, and trims the
# stream as the registry does.
_DASHBOARD = " ".join(
    [
        *(
            f"~{STREAM}",
            "+ping",
            "+xgroup|create",
            "+xgroup|delconsumer",
            "+xreadgroup",
            "+xack",
            "+xpending",
            "+xclaim",
        ),
        *("+xrevrange", "+xtrim", "+xinfo|stream", "+xinfo|groups", "+xinfo|consumers"),
    ]
)
# What the exporter asks, and nothing else: it reads the value of no key.
_EXPORTER = f"%R~{STREAM} +ping +info +select +latency|latest +slowlog|len +xinfo|stream +xinfo|groups +xinfo|consumers"
# What a replica asks before it is sent everything, and nothing else: it can neither name a key nor write one.
_BACKUP = "+ping +sync +psync +replconf"
_RULES = frozenset(
    {
        *("acl", "bgrewriteaof", "bgsave", "client", "cluster", "config", "debug", "failover", "flushall", "flushdb"),
        *("function", "migrate", "module", "monitor", "psync", "replconf", "replicaof", "save", "script", "shutdown"),
        *("slaveof", "slowlog", "swapdb", "sync"),
    }
)
"""Commands that rule the server, or reach data past the keys of a user."""


class Repair(Choice):
    """What becomes of an append-only file that is damaged, before the server starts. One that is sound is not touched.

    All of it is kept in a folder ``damaged-1``, ``damaged-2``, … of the claim.
    """

    CUT_OFF = "cut-off", "It is cut off where the damage begins. Redis can do so at the end of its last file alone."
    PUT_ASIDE = "put-aside", "The server begins empty, for an import of what was exported before."


@dataclass(frozen=True, kw_only=True)
class Persistent:
    """Data on a claim, written as an append-only file.

    Args:
        size: How much storage is claimed: five times what the server may hold in memory and 64Mi, or more. Redis says
            so of its own clusters ("Disk size requirements for extreme write scenarios", ``X (1 + 3Y + Y²)`` for Y
            shards of X bytes). While the file is written anew, the old one, which had doubled, and the new one lie
            there with what is written meanwhile; a file grows to 64Mi before it is first written anew. Where clients
            write more than all of it in the second that this takes, give more: a full disk ends writing.
        storage_class: The storage class; the cluster's default unless given.
        repair: What to do with a damaged file. Unless given, the server ends at damage that is not at the very end: a
            last command that was cut short is dropped, and the log says so.
    """

    size: str
    storage_class: str = ""
    repair: Repair | None = None


@dataclass(frozen=True, kw_only=True)
class Ephemeral:
    """Data that is lost with the pod.

    Args:
        size: The most it may hold on disk.
    """

    size: str = "256Mi"


@dataclass(frozen=True, kw_only=True)
class RedisExporter:
    """What tells a collector of metrics how Redis is: a sidecar, whose user can read statistics and nothing else.

    Args:
        image: The image.
        compute: CPU and memory.
    """

    image: Image = REDIS_EXPORTER
    compute: Compute = Compute(cpu="10m", memory="32Mi", cpu_limit="100m", memory_limit="64Mi")


@dataclass(frozen=True, kw_only=True)
class RedisUser:
    """A client with data of its own in Redis: what it may do beside what the mesh's runtime does for it.

    Args:
        name: Its name. ``default`` is who gives a password and no name, as programs do that know no users.
        keys: The patterns of the keys that are its own, such as ``user:*``.
        commands: What it does with them, as Redis calls it: ``get``, ``set``, ``scan``, ``xinfo|stream``. Those that
            name no key, such as ``scan``, see the names of all keys.
    """

    name: str
    keys: tuple[str, ...]
    commands: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a name that is taken, patterns that are none, and commands that rule the server."""
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.name):
            raise SettingError("RedisUser.name", self.name, "Give lower-case letters, digits and inner dashes.")
        if self.name in (*_OWN_USERS, "dashboard", "exporter", "backup"):
            raise SettingError("RedisUser.name", self.name, "The server has one of this name. Give another.")
        where = f"of {self.name!r}"
        if not self.keys or not self.commands:
            raise SettingError(
                f"RedisUser.keys and commands {where}",
                (*self.keys, *self.commands),
                "Give keys and commands; who has none of its own connects to the Redis itself.",
            )
        once(f"RedisUser.keys {where}", self.keys)
        once(f"RedisUser.commands {where}", self.commands)
        for pattern in self.keys:
            if not re.fullmatch(r"[A-Za-z0-9:_./*?-]+", pattern):
                raise SettingError(
                    f"RedisUser.keys {where}", pattern, "Give letters, digits, ':_./-', and '*' or '?' for any."
                )
        for command in self.commands:
            if not re.fullmatch(r"[a-z]+(\|[a-z]+)?", command):
                raise SettingError(
                    f"RedisUser.commands {where}", command, "Give a command in lower case, such as 'get'; no category."
                )
            if command.partition("|")[0] in _RULES:
                raise SettingError(
                    f"RedisUser.commands {where}", command, "It rules the server. Only its operator may do so."
                )


@dataclass(frozen=True, kw_only=True)
class RedisSettings(WorkloadOptions):
    """A Redis server.

    Args:
        image: The image.
        compute: CPU and memory; ``maxmemory`` follows from the memory limit.
        storage: Whether data outlives the pod.
        trace_length: About how many entries the stream of traces keeps. The mesh appends to ``mesh:trace`` for
            ever, and nothing is evicted, so the stream is trimmed every minute. The registry reads it at once. At 1 KiB
            an entry they may take half of what the server holds.
        exporter: Its metrics; none with ``None``, and its Secret needs one key less.
        backup: How it is backed up; not at all with ``None``, and its Secret needs one key less.
        dashboard: Whether a ``MeshDashboard`` reads the traces. Its Secret then needs one key more.
        users: Who keeps data of its own here. Every other client is the user ``mesh``, which sessions and traces of the
            mesh's runtime are enough for.
        name: The short name.
    """

    image: Image
    compute: Compute
    storage: Persistent | Ephemeral = Ephemeral()
    trace_length: int = 10_000
    exporter: RedisExporter | None = RedisExporter()
    backup: Backup | None = None
    dashboard: bool = False
    users: tuple[RedisUser, ...] = ()
    name: str = "redis"

    def __post_init__(self) -> None:
        """Refuse a user that is named twice, a stream without entries, and sizes that cannot work together."""
        super().__post_init__()
        once("RedisSettings.users", [user.name for user in self.users])
        if self.trace_length < 1:
            raise SettingError("RedisSettings.trace_length", self.trace_length, "Give 1 or more.")
        held = most_memory(self.compute)
        if held < _LEAST_MEMORY:
            raise SettingError("RedisSettings.compute memory", self.compute.memory_limit, "Give at least 64Mi.")
        if self.trace_length * _TRACE > held // 2:
            raise SettingError(
                "RedisSettings.trace_length",
                self.trace_length,
                f"So many traces fill the memory of {self.compute.memory_limit}, and nothing is evicted. Give at most "
                f"{held // 2 // _TRACE}, or more memory.",
            )
        disk, needed = in_bytes("RedisSettings.storage size", self.storage.size), 5 * held + _FIRST_REWRITE
        if isinstance(self.storage, Persistent) and disk < needed:
            most = bytes_text(-(-needed // _MEBIBYTE) * _MEBIBYTE)
            raise SettingError(
                "RedisSettings.storage size",
                self.storage.size,
                f"With {self.compute.memory_limit} of memory the append-only file may take {most} while it is written "
                "anew. Give that, or less memory.",
            )

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The keys its Secret must hold: each user's password.

        They appear in URLs: letters, digits, ``-``, ``_``, ``~``, ``.``.
        """
        return tuple(map(_password_key, self.rights))

    @property
    def rights(self) -> Mapping[str, str]:
        """What each user of the server may do, as ``ACL SETUSER`` has it. All else is refused."""
        return {
            **_OWN_USERS,
            **({"dashboard": _DASHBOARD} if self.dashboard else {}),
            **({"exporter": _EXPORTER} if self.exporter else {}),
            **({"backup": _BACKUP} if self.backup else {}),
            **{user.name: _client(user.keys, user.commands) for user in self.users},
        }


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
        storage, exporter, backup = settings.storage, settings.exporter, settings.backup
        if isinstance(storage, Persistent):
            data: Volume = Claim(mount_path=_DATA, size=storage.size, storage_class=storage.storage_class)
        else:
            data = Scratch(name="data", mount_path=_DATA, size=storage.size)
        # Without -e an error is an answer too: alive is who says that he still loads. One that hangs takes connections.
        alive = Exec(command=("redis-cli", "--user", OPERATOR, "ping"))
        repairs: tuple[Container, ...] = ()
        if isinstance(storage, Persistent) and storage.repair is not None:
            script = read_script(_FILES / "repair.sh")
            repair = Container(
                name="repair",
                image=settings.image,
                user=USER,
                compute=settings.compute,
                command=("/bin/sh", "-c", script, "repair", storage.repair.value, _DATA),
                volumes=(data,),
            )
            repairs = (repair,)
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="cache",
                availability=settings.availability,
                extras=settings.extras,
                init_containers=repairs,
                one_at_a_time="It is one store with one writer.",
                container=Container(
                    name=settings.name,
                    image=settings.image,
                    user=USER,
                    compute=settings.compute,
                    command=("/bin/sh", "-c", read_script(_FILES / "start.sh"), "start", _CONFIG, _USERS_FILE),
                    ports=(Port(name="redis", number=6379, scheme="redis"),),
                    log_pattern=_LOG,
                    variables=(
                        *(Variable(name=_variable(user), value=self._password(user)) for user in settings.rights),
                        *variables({"REDISCLI_USER": OPERATOR, "REDISCLI_AUTH": f"$({_variable(OPERATOR)})"}),
                    ),
                    probes=replace(
                        Probes.of(
                            Exec(command=("redis-cli", "--user", OPERATOR, "-e", "ping")),
                            liveness=alive,
                            startup_seconds=300,
                            hung_grace_seconds=10,
                        ),
                        # Agents wait for it too, and are taken for dead after 43 seconds.
                        liveness=Probe(check=alive, period_seconds=5, failure_threshold=5),
                    ),
                    volumes=(
                        data,
                        Scratch(name="run", mount_path="/run/redis", size="1Mi"),
                        Files(
                            mount_path=_CONFIG,
                            files=(
                                File(path="redis.conf", content=configuration(settings)),
                                File(path="users", content=_users(settings)),
                            ),
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
                                "REDISCLI_AUTH": self._password("trimmer"),
                                "STREAM": STREAM,
                                "MAX_LENGTH": str(settings.trace_length),
                            }
                        ),
                    ),
                    *([_exporter(exporter, secret)] if exporter else ()),
                ),
                metrics=(MetricsEndpoint(),) if exporter else (),
            ),
        )
        self.backup = StoreBackup(scope, self, "redis", backup, self._backup_program()) if backup else None
        """What backs it up, where something does."""

    def _backup_program(self) -> BackupProgram:
        """A dump that the server sends as to a replica."""
        endpoint = self.endpoint("redis")
        return BackupProgram(
            image=self.settings.image,
            user=USER,
            files=tuple(File(path=name, content=read_script(_FILES / name)) for name in ("take.sh", "try.sh")),
            variables=variables(
                {
                    "REDIS_HOST": endpoint.host,
                    "REDIS_PORT": str(endpoint.port),
                    "REDIS_USER": "backup",
                    "REDISCLI_AUTH": self._password("backup"),
                }
            ),
        )

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What its exporter shows: nothing is evicted, so a full server refuses writes."""
        return self._alerts() if self.settings.exporter else ()

    def _alerts(self) -> tuple[Alert, ...]:
        job, longest = f'job="{self.name}"', self.settings.trace_length * 3
        # Nobody needs what the dashboard has not read, and its group stays when it is gone.
        others = f', group!="{DASHBOARD_GROUP}"' if self.settings.dashboard else ""
        return (
            Alert(
                name="RedisUnreachable",
                expression=f"redis_up{{{job}}} == 0",
                for_minutes=2,
                severity=Severity.PAGE,
                summary="Redis does not answer",
                description="Sessions, and the calls between agents, need it. Its exporter has had no answer.",
            ),
            Alert(
                name="RedisMemoryNearLimit",
                expression=f"redis_memory_used_bytes{{{job}}} / (redis_memory_max_bytes{{{job}}} > 0) > 0.85",
                for_minutes=10,
                severity=Severity.PAGE,
                summary="Redis is almost full",
                description="It holds {{ $value | humanizePercentage }} of what it may. When full it refuses writes.",
            ),
            Alert(
                name="RedisConnectionsNearLimit",
                expression=f"redis_connected_clients{{{job}}} / redis_max_clients{{{job}}} > 0.8",
                for_minutes=5,
                severity=Severity.TICKET,
                summary="Redis has almost all the clients it takes",
                description="{{ $value | humanizePercentage }} of its connections are open.",
            ),
            Alert(
                name="RedisNotPersisting",
                expression=(
                    f"redis_aof_last_write_status{{{job}}} == 0 or redis_aof_last_bgrewrite_status{{{job}}} == 0"
                ),
                for_minutes=5,
                severity=Severity.PAGE,
                summary="Redis cannot write its append-only file",
                description="Its disk is full or broken: what changes now is lost with the pod.",
            ),
            Alert(
                name="TraceStreamLong",
                expression=f'redis_stream_length{{{job}, stream="{STREAM}"}} > {longest}',
                for_minutes=10,
                severity=Severity.TICKET,
                summary="The stream of traces grows",
                description=(
                    "It has {{ $value | humanize }} entries, three times what it is trimmed to: the trimming fails."
                ),
            ),
            Alert(
                name="TracesNotRead",
                # Identifiers are milliseconds. The lag that Redis counts is 0 where it cannot tell, as after a trim.
                expression=(
                    f'(redis_stream_last_generated_id{{{job}, stream="{STREAM}"}} - on (instance, stream) group_right '
                    f'redis_stream_group_last_delivered_id{{{job}, stream="{STREAM}"{others}}}) / 1000 > 300'
                ),
                for_minutes=10,
                severity=Severity.TICKET,
                summary="The registry does not keep up with the traces",
                description="It is {{ $value | humanizeDuration }} behind. What is trimmed before it is read is lost.",
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
        """The server, as the mesh's runtime sees it: its sessions, and the stream that it writes traces to."""
        return self._target("mesh")

    @property
    def traces(self) -> Target:
        """The server, as the registry sees it: the stream of traces, which it reads. ``Registry`` takes this itself."""
        return self._target("registry")

    @property
    def dashboard(self) -> Target:
        """The server, as the mesh's dashboard sees it: the stream of traces. ``MeshDashboard`` takes this itself.

        Raises:
            SettingError: There is no such user.
        """
        if not self.settings.dashboard:
            raise SettingError(f"{self.full_name} user", "dashboard", "Give RedisSettings(dashboard=True).")
        return self._target("dashboard")

    def user(self, name: str) -> Target:
        """The server, as one of ``settings.users`` sees it: what the mesh's runtime does, and keys of its own.

        The client is introduced by ``REDIS_HOST``, ``_PORT``, ``_DB``, ``_USERNAME``, ``_PASSWORD`` and ``REDIS_URL``,
        as every client is.

        Raises:
            SettingError: There is no such user.
        """
        names = [user.name for user in self.settings.users]
        if name not in names:
            known = f"one of the server's: {', '.join(names)}" if names else "RedisSettings.users first"
            raise SettingError(f"{self.full_name} user", name, f"Give {known}.")
        return self._target(name)

    def _target(self, user: str) -> Target:
        endpoint, password = self.endpoint("redis"), self._password(user)
        where = ("-h", endpoint.host, "-p", str(endpoint.port))
        return Target(
            workload=self,
            port="redis",
            introduction=variables(
                {
                    "REDIS_HOST": endpoint.host,
                    "REDIS_PORT": str(endpoint.port),
                    "REDIS_DB": "0",
                    "REDIS_USERNAME": user,
                    "REDIS_PASSWORD": password,
                    "REDIS_URL": f"redis://{user}:$(REDIS_PASSWORD)@{endpoint.authority}/0",
                }
            ),
            readiness=Readiness(
                command=("redis-cli", "--user", user, "-e", *where, "ping"),
                variables=variables({"REDISCLI_AUTH": password}),
            ),
        )

    def _password(self, user: str) -> SecretKey:
        return self.secret.key(_password_key(user))


def _password_key(user: str) -> str:
    return f"{user}-password"


def _variable(user: str) -> str:
    """The variable of the server's container that holds a user's password."""
    return f"{user.replace('-', '_').upper()}_PASSWORD"


def _users(settings: RedisSettings) -> str:
    return "".join(f"{user} {rights}\n" for user, rights in settings.rights.items())


def _exporter(settings: RedisExporter, secret: Secret) -> Container:
    """The sidecar. It does not ask for what its user may not have: the configuration, the list of clients."""
    return Container(
        name="exporter",
        image=settings.image,
        user=User(uid=59000, gid=59000),
        compute=settings.compute,
        args=(
            "--redis.addr=redis://localhost:6379",
            "--redis.user=exporter",
            # Before Prometheus gives up after ten seconds: that Redis hangs is said by redis_up.
            "--connection-timeout=4s",
            f"--check-single-streams={STREAM}",
            "--streams-exclude-consumer-metrics",
            "--config-command=-",
            "--set-client-name=false",
            "--exclude-latency-histogram-metrics",
            "--include-metrics-for-empty-databases=false",
            # Whoever reaches /scrape could have it send its password to any address.
            "--disable-scrape-endpoint",
            "--log-format=json",
        ),
        ports=(Port(name="metrics", number=9121),),
        variables=variables({"REDIS_PASSWORD": secret.key(_password_key("exporter"))}),
        probes=Probes.of(TcpSocket(port="metrics")),
    )


def most_memory(compute: Compute) -> int:
    """``maxmemory``: two thirds of the limit, in bytes.

    The rest is for what Redis does not count: the copies that a fork makes while it rewrites the append-only file,
    replication and client buffers, fragmentation.
    """
    return in_bytes("memory", compute.memory_limit) * 2 // 3


def configuration(settings: RedisSettings) -> str:
    """``redis.conf``: bounded below the container's limit, and nothing is ever evicted."""
    persistent = isinstance(settings.storage, Persistent)
    lines = (
        "port 6379",
        "bind * -::*",
        f"dir {_DATA}",
        f"maxmemory {most_memory(settings.compute)}",
        "maxmemory-policy noeviction",
        f"appendonly {'yes' if persistent else 'no'}",
        "appendfsync everysec",
        'save ""',
        "tcp-keepalive 60",
        # Who gives no name, unless it is one of the users.
        *(() if "default" in settings.rights else ("user default off",)),
        f"include {_USERS_FILE}",
    )
    return "".join(f"{line}\n" for line in lines)
