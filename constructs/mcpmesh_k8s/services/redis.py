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
    Certificate,
    Choice,
    Claim,
    Compute,
    Container,
    Exec,
    File,
    Files,
    Image,
    MetricsEndpoint,
    NoProbes,
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
    TlsClient,
    User,
    Variable,
    Volume,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    bytes_text,
    client_files,
    dataclass,
    in_bytes,
    once,
    one_line,
    read_script,
    store_certificate,
    variables,
)

from ._redis_mover import RedisMover
from ._rotations import RedisRotation
from .backup import Backup, BackupProgram, StoreBackup
from .mesh import Mesh, MeshRelease, mesh_of

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


_READERS = ("registry", "dashboard")
"""Users of programs of Go that read the stream. They write no span: all others do."""

OPERATOR = "operator"
"""Who may everything. Only the server's own container is given its password: for probes, and for whoever moves data."""


def _client(keys: Sequence[str] = (), commands: Sequence[str] = ()) -> str:
    """What a client may do: what the mesh's runtime does in its process, and something with keys of its own.

    The runtime writes spans, and remembers which pod has a session. It asks for all sessions' names, too, and shows
    them to whoever asks: that it may not, and it lives with that.
    """
    own = [*(f"~{pattern}" for pattern in keys), *(f"+{command}" for command in commands)]
    return " ".join(["+ping", *own, f"(+xadd %W~{STREAM})", f"(+xinfo|stream %R~{STREAM})", "(+get +setex ~session:*)"])


_READS = f"~{STREAM} +ping +xgroup|create +xreadgroup +xack +xinfo|stream +xinfo|groups"
_OWN_USERS = {OPERATOR: "~* &* +@all", "mesh": _client(), "registry": _READS}
_TRIMMER = f"%W~{STREAM} +xtrim"
# A registry that bounds the stream itself drops what is old, and takes over what one that is gone has not read.
_BOUNDS = f"{_READS} +xtrim +xpending +xclaim +xinfo|consumers +xgroup|delconsumer"
# The dashboard does the same as a group of its own, and reads what was there before it.
_DASHBOARD = f"{_BOUNDS} +xrevrange"
# What the exporter asks, and nothing else: it reads the value of no key.
_EXPORTER = f"%R~{STREAM} +ping +info +select +latency|latest +slowlog|len +xinfo|stream +xinfo|groups +xinfo|consumers"
# What a replica asks before it is sent everything, and nothing else: it can neither name a key nor write one.
_BACKUP = "+ping +sync +psync +replconf"
_WHO_AM_I = "+acl|whoami"
"""What only those may ask who have a password, where somebody needs none: whose password is wrong is that somebody."""
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
        storage_class: The storage class; that of ``ApplicationSettings.storage_class`` unless given.
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
        without_password_because: Why there is code that gives no password. Empty, as it should be, asks for one. Such a
            user is ``default``, and has its keys alone: whatever the policies let to the server may use them, without
            a trace of who did. The mesh's runtime beside that code logs in as any other.
    """

    name: str
    keys: tuple[str, ...]
    commands: tuple[str, ...]
    without_password_because: str = ""

    def __post_init__(self) -> None:
        """Refuse a name that is taken, patterns that are none, and commands that rule the server."""
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.name):
            raise SettingError("RedisUser.name", self.name, "Give lower-case letters, digits and inner dashes.")
        if self.name in (*_OWN_USERS, "trimmer", "dashboard", "exporter", "backup"):
            raise SettingError("RedisUser.name", self.name, "The server has one of this name. Give another.")
        where = f"of {self.name!r}"
        if self.without_password_because:
            one_line(
                f"RedisUser.without_password_because {where}", self.without_password_because, "Say in one line why."
            )
        if self.without_password_because and self.name != "default":
            raise SettingError(
                f"RedisUser.without_password_because {where}",
                self.without_password_because,
                "Who gives no password is 'default'. Give that name, or a password.",
            )
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
        trace_length: About how many entries the stream of traces keeps. Nothing is evicted, so who appends a span to
            ``mesh:trace`` cuts it to this length; of 0.5 nobody does, and a sidecar trims it every minute. The registry
            reads it at once. At 1 KiB an entry they may take half of what the server holds.
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
        """The keys its Secret must hold: each user's password. Of another mesh than the usual, ``secret_keys_of`` it.

        They appear in URLs: letters, digits, ``-``, ``_``, ``~``, ``.``.
        """
        return self.secret_keys_of(Mesh())

    def secret_keys_of(self, mesh: Mesh) -> tuple[str, ...]:
        """The keys its Secret must hold in an application with this mesh."""
        return tuple(map(_password_key, self.rights_in(mesh.release)))

    def rights_in(self, release: MeshRelease) -> Mapping[str, str]:
        """What each user who has a password may do, as ``ACL SETUSER`` has it. All else is refused."""
        rights = {
            **_OWN_USERS,
            **({"registry": _BOUNDS} if release.bounds_traces else {"trimmer": _TRIMMER}),
            **({"dashboard": _DASHBOARD} if self.dashboard else {}),
            **({"exporter": _EXPORTER} if self.exporter else {}),
            **({"backup": _BACKUP} if self.backup else {}),
            **{
                user.name: _client(user.keys, user.commands) for user in self.users if not user.without_password_because
            },
        }
        return {user: f"{may} {_WHO_AM_I}" for user, may in rights.items()} if self.open_user else rights

    @property
    def open_user(self) -> RedisUser | None:
        """Who needs no password."""
        return next((user for user in self.users if user.without_password_because), None)


class Redis(Workload):
    """Redis 7 as a Deployment of one pod: it is the primary store of the mesh, and has a single writer.

    Args:
        scope: A Phase.
        settings: Image, memory and storage.
        secret: A Secret that holds ``settings.secret_keys``, or ``secret_keys_of`` the application's mesh.

    Raises:
        SettingError: The Secret lacks the password of a user.
    """

    def __init__(self, scope: Construct, settings: RedisSettings, secret: Secret) -> None:
        self.settings = settings
        self.secret = secret
        mesh = mesh_of(scope)
        self.release = mesh.release
        """Which MCP Mesh its clients run."""
        self.rights = settings.rights_in(mesh.release)
        """What each of its users may do who has a password."""
        needed = settings.secret_keys_of(mesh)
        if lacking := [key for key in needed if key not in secret.settings.key_names]:
            raise SettingError(
                f"Redis {settings.name!r} secret",
                ", ".join(secret.settings.key_names),
                f"It lacks {', '.join(lacking)}, which MCP Mesh {mesh.release.value} needs. Give it "
                "RedisSettings.secret_keys_of(mesh), with the mesh of the ApplicationSettings.",
            )
        self.certificate = store_certificate(scope, settings.name, local=True)
        """The certificate that it shows, where the application says that its stores speak TLS."""
        # On the loopback of its own pod: it is asked too while certificate and CA are renewed.
        inside = ("--tls", "--insecure") if self.certificate else ()
        storage, exporter, backup = settings.storage, settings.exporter, settings.backup
        if isinstance(storage, Persistent):
            data: Volume = Claim(mount_path=_DATA, size=storage.size, storage_class=storage.storage_class)
        else:
            data = Scratch(name="data", mount_path=_DATA, size=storage.size)
        # Without -e an error is an answer too: alive is who says that he still loads. One that hangs takes connections.
        alive = Exec(command=("redis-cli", *inside, "--user", OPERATOR, "ping"))
        ready = Exec(command=("redis-cli", "--user", OPERATOR, "-e", "ping"))
        if self.certificate:
            ready = Exec(command=("/bin/sh", f"{_CONFIG}/ready.sh", Certificate.FOLDER, "/run/redis/tls.crt"))
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
                    ports=(
                        Port(
                            name="redis",
                            number=6379,
                            scheme="rediss" if self.certificate else "redis",
                            tls=TlsClient.REDIS if self.certificate else None,
                        ),
                    ),
                    log_pattern=_LOG,
                    variables=(
                        *(Variable(name=_variable(user), value=self._password(user)) for user in self.rights),
                        *variables({"REDISCLI_USER": OPERATOR, "REDISCLI_AUTH": f"$({_variable(OPERATOR)})"}),
                        # What moves data asks by it, and the probe.
                        *(variables({"REDIS_TLS": " ".join(inside)}) if inside else ()),
                    ),
                    probes=replace(
                        Probes.of(
                            ready,
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
                                File(
                                    path="redis.conf",
                                    content=configuration(settings, encrypted=self.certificate is not None),
                                ),
                                File(path="users", content=_users(self.rights)),
                                *(
                                    [File(path="ready.sh", content=read_script(_FILES / "ready.sh"))]
                                    if self.certificate
                                    else []
                                ),
                            ),
                        ),
                        *([self.certificate.files()] if self.certificate else []),
                    ),
                ),
                sidecars=(
                    *(() if self.release.bounds_traces else [self._trimmer()]),
                    *([_exporter(exporter, secret, self.certificate)] if exporter else ()),
                ),
                metrics=(MetricsEndpoint(),) if exporter else (),
            ),
        )
        self.backup = StoreBackup(scope, self, "redis", backup, self._backup_program()) if backup else None
        """What backs it up, where something does."""

    def _trimmer(self) -> Container:
        """The sidecar that bounds the stream of traces, where the mesh does not."""
        return Container(
            name="trim-traces",
            image=self.settings.image,
            user=USER,
            compute=Compute(cpu="10m", memory="16Mi", cpu_limit="50m", memory_limit="32Mi"),
            command=("/bin/sh", "-c", _verifying(_TRIM, self.certificate)),
            variables=variables(
                {
                    "REDISCLI_AUTH": self._password("trimmer"),
                    "STREAM": STREAM,
                    "MAX_LENGTH": str(self.settings.trace_length),
                }
            ),
            probes=NoProbes(
                because="It serves nobody, and a turn that hangs is ended after ten seconds; an alert says when the "
                "stream grows."
            ),
            volumes=client_files(self.certificate),
        )

    def _backup_program(self) -> BackupProgram:
        """A dump that the server sends as to a replica."""
        endpoint = self.endpoint("redis")
        return BackupProgram(
            image=self.settings.image,
            user=USER,
            files=(
                File(path="take.sh", content=_verifying(read_script(_FILES / "take.sh"), self.certificate)),
                File(path="try.sh", content=read_script(_FILES / "try.sh")),
            ),
            volumes=client_files(self.certificate),
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
        fails = "who writes spans does not cut it" if self.release.bounds_traces else "the trimming fails"
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
                description=f"It has {{{{ $value | humanize }}}} entries, three times what it is trimmed to: {fails}.",
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

    def rotation(self, key: SecretKey, side: Side) -> RedisRotation | None:
        """How a user gets another password: two are valid while its clients restart."""
        user = next((user for user in self.rights if self._password(user) == key), None)
        if user is None:
            return None
        own = user in (OPERATOR, "trimmer", "exporter")
        return RedisRotation(
            side=side,
            keys=(key.key,),
            meanwhile=(
                "the server's own pod logs in with it, so Redis restarts, and is away until it has loaded its data"
                if own
                else "nobody is refused: both passwords are valid until all clients have the new one"
            ),
            restarts=own,
            server=Server.of(self),
            user=user,
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
        as every client is; of 3 by ``MCP_MESH_TRACE_STREAM_MAXLEN`` too. One without a password is introduced by
        ``REDIS_HOST``, ``_PORT`` and ``_DB`` alone, and ``REDIS_URL`` is for the mesh's runtime, which has one.

        Raises:
            SettingError: There is no such user.
        """
        names = [user.name for user in self.settings.users]
        if name not in names:
            known = f"one of the server's: {', '.join(names)}" if names else "RedisSettings.users first"
            raise SettingError(f"{self.full_name} user", name, f"Give {known}.")
        if self.settings.open_user and self.settings.open_user.name == name:
            return _for_code_without_password(self.target)
        return self._target(name)

    def _target(self, user: str) -> Target:
        endpoint, password = self.endpoint("redis"), self._password(user)
        length = {"MCP_MESH_TRACE_STREAM_MAXLEN": str(self.settings.trace_length)}
        where: tuple[str, ...] = ("-h", endpoint.host, "-p", str(endpoint.port))
        question = ("acl", "whoami") if self.settings.open_user else ("ping",)
        url = f"{endpoint.scheme}://{user}:$(REDIS_PASSWORD)@{endpoint.authority}/0"
        encryption, known = dict[str, str](), tuple[Volume, ...]()
        if self.certificate:
            ca = self.certificate.authority_file
            encryption, known = {"REDIS_CA_FILE": ca}, (self.certificate.authority,)
            if user in _READERS:
                # Programs of Go name no CA in a URL. They know those of this file.
                encryption["SSL_CERT_FILE"] = ca
            else:
                # As redis-py reads it, which the mesh's runtime has.
                url = f"{url}?ssl_ca_certs={ca}"
            where = ("--tls", "--cacert", ca, *where)
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
                    "REDIS_URL": url,
                    **encryption,
                    **(length if self.release.bounds_traces and user not in _READERS else {}),
                }
            ),
            volumes=known,
            readiness=Readiness(
                command=("redis-cli", "--user", user, "-e", *where, *question),
                variables=variables({"REDISCLI_AUTH": password}),
                volumes=known,
            ),
        )

    def _password(self, user: str) -> SecretKey:
        return self.secret.key(_password_key(user))


def _for_code_without_password(target: Target) -> Target:
    """The server as the mesh's runtime sees it, by its URL alone: code that found a password would give it."""
    known, own = "REDIS_PASSWORD", "MESH_REDIS_PASSWORD"
    told = {one.name: one.value for one in target.introduction if one.name not in ("REDIS_USERNAME", known)}
    url = told.pop("REDIS_URL")
    password = next(one.value for one in target.introduction if one.name == known)
    assert isinstance(url, str)
    renamed = {own: password, "REDIS_URL": url.replace(f"$({known})", f"$({own})")}
    return replace(target, introduction=variables({**told, **renamed}))


def _password_key(user: str) -> str:
    return f"{user}-password"


def _variable(user: str) -> str:
    """The variable of the server's container that holds a user's password."""
    return f"{user.replace('-', '_').upper()}_PASSWORD"


def _users(rights: Mapping[str, str]) -> str:
    return "".join(f"{user} {may}\n" for user, may in rights.items())


def _verifying(script: str, certificate: Certificate | None) -> str:
    """A script whose ``redis-cli`` knows the server by its CA, where the server has a certificate."""
    if certificate is None:
        return script
    return script.replace("redis-cli ", f"redis-cli --tls --cacert {certificate.authority_file} ")


def _exporter(settings: RedisExporter, secret: Secret, certificate: Certificate | None) -> Container:
    """The sidecar. It does not ask for what its user may not have: the configuration, the list of clients."""
    return Container(
        name="exporter",
        image=settings.image,
        user=User(uid=59000, gid=59000),
        compute=settings.compute,
        args=(
            f"--redis.addr={'rediss' if certificate else 'redis'}://localhost:6379",
            *([f"--tls-ca-cert-file={certificate.authority_file}"] if certificate else []),
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
        volumes=client_files(certificate),
    )


def most_memory(compute: Compute) -> int:
    """``maxmemory``: two thirds of the limit, in bytes.

    The rest is for what Redis does not count: the copies that a fork makes while it rewrites the append-only file,
    replication and client buffers, fragmentation.
    """
    return in_bytes("memory", compute.memory_limit) * 2 // 3


_ENCRYPTED = (
    "port 0",
    "tls-port 6379",
    f"tls-cert-file {Certificate.FOLDER}/tls.crt",
    f"tls-key-file {Certificate.FOLDER}/tls.key",
    f"tls-ca-cert-file {Certificate.FOLDER}/ca.crt",
    # Clients are known by their passwords.
    "tls-auth-clients no",
    'tls-protocols "TLSv1.2 TLSv1.3"',
)


def _open(user: RedisUser) -> tuple[str, ...]:
    """A user who needs no password. With one, Redis by itself takes connections from its own machine alone."""
    keys, commands = (f"~{pattern}" for pattern in user.keys), (f"+{command}" for command in user.commands)
    return ("protected-mode no", f"user {user.name} on nopass {' '.join(('+ping', *keys, *commands))}")


def configuration(settings: RedisSettings, *, encrypted: bool = False) -> str:
    """``redis.conf``: bounded below the container's limit, and nothing is ever evicted."""
    persistent = isinstance(settings.storage, Persistent)
    named = any(user.name == "default" for user in settings.users)
    lines = (
        *(_ENCRYPTED if encrypted else ("port 6379",)),
        "bind * -::*",
        f"dir {_DATA}",
        f"maxmemory {most_memory(settings.compute)}",
        "maxmemory-policy noeviction",
        f"appendonly {'yes' if persistent else 'no'}",
        "appendfsync everysec",
        'save ""',
        "tcp-keepalive 60",
        # Who gives no name, unless it is one of the users.
        *(() if named else ("user default off",)),
        *(_open(settings.open_user) if settings.open_user else ()),
        f"include {_USERS_FILE}",
    )
    return "".join(f"{line}\n" for line in lines)
