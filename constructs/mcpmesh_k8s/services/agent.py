"""This module is what runs application code in the mesh: agents, and the API services that call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Alert,
    Compute,
    Container,
    File,
    Files,
    HttpCheck,
    Image,
    MetricsEndpoint,
    NamespacePods,
    Port,
    Probes,
    Scratch,
    SettingError,
    Target,
    TlsClient,
    User,
    Variable,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    dns_label,
    place_of,
    settings_of,
    variable_name,
    variables,
)

from .language import Python, Runtime, require_module
from .media import kept_alone
from .mesh import MeshRelease, mesh_of, traces_lost
from .mesh_tls import RUNTIME, HttpsClient
from .mesh_variables import RUNTIMES, MeshProgram, is_read, unread
from .registry import LOG_LEVELS, Registry

USER = User(uid=999, gid=999)
"""The user ``mcp-mesh`` of the runtimes' images of 3.x. Python's of 0.5 has no fixed number: 999 is the first system
user of its base, and its code under ``/app`` is readable by all, so any other number works too."""

_SOURCE = "/app/source"
_LEFT_OUT = ("__pycache__", "node_modules")
_HOST = "MCP_MESH_HTTP_HOST"
_PRE_STOP = 10
_LONGEST_CALL = 300
"""Seconds that a call of another agent may take unless said: what the runtimes of 3.x wait. Those of 0.5 wait as long
where they fall back to plain HTTP or to a stream, and less else."""
_LEAVING = 50
"""Seconds that the runtimes take to leave with jobs under way, at most.

That of TypeScript gives up after 45 (agent.ts of 3.6). That of Python leaves its jobs at once (seen of 3.8)."""
_LEAVING_JOBS = 20
"""Seconds that the runtime of Python takes to leave, at most: it was seen to take one."""


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """Code that was built into an image on top of its language's runtime, such as ``mcpmesh/python-runtime``.

    Args:
        image: The image.
        working_directory: Where the program starts; the image's own unless given.
        dockerfile: Its Dockerfile in the application's checkout, such as ``backend/Dockerfile``. The operator's
            commands build it; without one, the image comes from elsewhere.
        build_context: The folder in the checkout that the Dockerfile copies from.

    Raises:
        SettingError: A path leads out of the checkout.
    """

    image: Image
    working_directory: str = ""
    dockerfile: str = ""
    build_context: str = "."

    def __post_init__(self) -> None:
        """Refuse a path that is not one inside the checkout."""
        for field, path in (("dockerfile", self.dockerfile), ("build_context", self.build_context)):
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or not self.build_context:
                raise SettingError(f"BuiltImage.{field}", path, "Give a path inside the application's checkout.")

    @property
    def files(self) -> tuple[Files, ...]:
        """Nothing is mounted."""
        return ()


@dataclass(frozen=True, kw_only=True)
class MountedSource:
    """Code that is mounted from a ConfigMap into the plain runtime image.

    It needs no build, and suits agents that need no library beyond the runtime's. Hidden files, caches and
    ``node_modules`` are left out.

    Args:
        folder: The folder with the sources; the program starts in it.
        image: The plain runtime of the code's language, of the mesh's release, unless given.

    Raises:
        SettingError: The folder cannot be read, holds no file or one that is not text, or is larger than a
            ConfigMap may be.
    """

    folder: Path
    image: Image | None = None

    def __post_init__(self) -> None:
        """Read the sources now, so that an error names this folder."""
        _ = self.files

    @property
    def working_directory(self) -> str:
        """Where the sources are mounted."""
        return _SOURCE

    @property
    def files(self) -> tuple[Files, ...]:
        """The sources, in the order of their paths."""
        where = "MountedSource.folder"
        if not self.folder.is_dir():
            raise SettingError(where, str(self.folder), "Give a folder that exists.")
        found = []
        try:
            for path in sorted(self.folder.rglob("*")):
                relative = path.relative_to(self.folder)
                hidden = any(part.startswith(".") or part in _LEFT_OUT for part in relative.parts)
                if path.is_file() and not hidden:
                    found.append(File(path=relative.as_posix(), content=path.read_bytes().decode("utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(where, str(self.folder), f"Give a folder of readable text files: {error}.") from None
        if not found:
            raise SettingError(where, str(self.folder), "Give a folder with at least one source file.")
        return (Files(name="source", mount_path=_SOURCE, files=tuple(found)),)


Code = BuiltImage | MountedSource
"""Where the code of an agent or an API service comes from."""


@dataclass(frozen=True, kw_only=True)
class MeshSettings(WorkloadOptions):
    """What agents and API services have in common.

    Args:
        code: Where the code comes from.
        compute: CPU and memory.
        module: The Python module that is started with ``python -m``: short for ``runtime=Python(module=…)``.
        args: Arguments of the module.
        runtime: What runs the code, where no ``module`` is given: `Python`, `TypeScript` or `Java`.
        variables: What the code reads, beside what its connections introduce.
        scratch: How much it may write to ``/tmp``; as its runtime needs unless given: 64Mi, or 256Mi for Java.
        log_level: DEBUG, INFO, WARNING, ERROR or CRITICAL: of the mesh, and as ``LOG_LEVEL`` of the code.
        tracing: Whether every call is written to the stream of traces in Redis.
        debounce_seconds: Of Python: seconds that the mesh waits after the last decorator before it registers. Its own
            default, 1, can run out in the middle of a slow import.
        mesh_namespace: The mesh's namespace, which is not the cluster's.
        termination_grace_seconds: Seconds from the start of the stop until the container is killed: unless given, as
            long as a call may take (``call_seconds``) and half a minute, or a minute for TypeScript and Java. A stop
            ends as soon as no call is under way.
        tls: To which stores the code, and the runtime with it, speaks TLS. To Redis the runtime of 0.5.3 does, by
            ``REDIS_URL``, and that of 3.x does not; what else the code has for clients, only its authors know.
        startup_seconds: How long a start may take; 120, or 300 for Java, unless given. Python of 3.x then waits as long
            for its server before it registers, where it waits 30 of its own.
        settle_seconds: Of 3.x: how long a call waits at the start for an agent that it needs and the mesh does not know
            yet; 20 unless given, and 0 not at all.
        call_seconds: Of 3.x: how long it waits for the answer of an agent; 300 unless given. Who calls it waits longer:
            a route's ``timeout_seconds`` is compared, and the ``termination_grace_seconds`` of those whom it calls.
        tool_workers: Of 3.x: in how many workers tools run beside the server. Unless given, 1 in Python, where
            connections are then shared by all tools, and 2 in TypeScript. Java has threads of its own.
    """

    code: Code
    compute: Compute
    module: str = ""
    args: tuple[str, ...] = ()
    runtime: Runtime | None = None
    variables: tuple[Variable, ...] = ()
    scratch: str = ""
    log_level: str = "INFO"
    tracing: bool = True
    debounce_seconds: int = 5
    mesh_namespace: str = "default"
    termination_grace_seconds: int | None = None
    tls: tuple[TlsClient, ...] = ()
    startup_seconds: int | None = None
    settle_seconds: int | None = None
    call_seconds: int | None = None
    tool_workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse code that nothing could start, and a level that would be refused later."""
        super().__post_init__()
        program = self.program
        program.require_memory(self.name, self.compute)
        if isinstance(self.code, MountedSource):
            self._require_mounted(program, self.code)
        for field, least in (("startup_seconds", 1), ("settle_seconds", 0), ("call_seconds", 1), ("tool_workers", 1)):
            value = getattr(self, field)
            if value is not None and value < least:
                raise SettingError(f"{self.name} {field}", value, f"Give {least} or more.")
        if self.tool_workers is not None and not program.has_tool_workers:
            raise SettingError(
                f"{self.name} tool_workers", self.tool_workers, f"{program.language} has threads of its own. Give none."
            )
        least = _PRE_STOP + (self.call_seconds or 0) + self.leaving_seconds
        if self.call_seconds and self.stop_seconds < least:
            raise SettingError(
                f"{self.name} termination_grace_seconds",
                self.termination_grace_seconds,
                f"A roll-out would cut an answer that takes its call_seconds, {self.call_seconds}. Give {least} or "
                "more, or none.",
            )
        if self.log_level not in LOG_LEVELS:
            raise SettingError(f"{self.name} log_level", self.log_level, f"Give one of {', '.join(LOG_LEVELS)}.")
        dns_label(f"{self.name} mesh_namespace", self.mesh_namespace)
        if self.debounce_seconds < 0:
            raise SettingError(f"{self.name} debounce_seconds", self.debounce_seconds, "Give 0 or more.")

    @property
    def program(self) -> Runtime:
        """What runs the code.

        Raises:
            SettingError: Nothing is given, or two things are.
        """
        if self.runtime and self.module:
            raise SettingError(
                f"{self.name} module", self.module, f"It has runtime={self.runtime.language}(…) too. Give one of both."
            )
        if self.runtime and self.args:
            raise SettingError(
                f"{self.name} args", self.args, f"Give them to its runtime: {self.runtime.language}(args=…)."
            )
        if not (self.runtime or self.module):
            raise SettingError(
                f"{self.name} module",
                self.module,
                "Give a Python module, such as 'pdf_extractor_agent', or runtime=TypeScript(entry=…) or Java(jar=…).",
            )
        if self.runtime:
            return self.runtime
        require_module(f"{self.name} module", self.module)
        return Python(module=self.module, args=self.args)

    def _require_mounted(self, program: Runtime, code: MountedSource) -> None:
        if program.unmounted_because:
            raise SettingError(
                f"{self.name} code", str(code.folder), f"Give a BuiltImage: {program.unmounted_because}."
            )
        paths = [file.path for files in code.files for file in files.files]
        if program.mounted and program.mounted not in paths:
            raise SettingError(f"{self.name} entry", program.mounted, f"Give a file of {code.folder}: {_some(paths)}.")

    @property
    def pre_stop_seconds(self) -> int:
        """Seconds from the start of the stop until the program is told: until then nobody sends it anything new."""
        return _PRE_STOP

    @property
    def stop_seconds(self) -> int:
        """Seconds from the start of the stop until the container is killed."""
        if self.termination_grace_seconds is not None:
            return self.termination_grace_seconds
        return _PRE_STOP + (self.call_seconds or _LONGEST_CALL) + self.leaving_seconds

    @property
    def leaving_seconds(self) -> int:
        """Seconds that its runtime takes to leave, at most, when no call is under way."""
        return _LEAVING_JOBS if isinstance(self.program, Python) else _LEAVING

    def quiet_seconds(self, release: MeshRelease) -> int:
        """Seconds to wait for calls that are under way, at most, before a runtime is told that would cut them.

        Args:
            release: Which it is of.
        """
        if self.program.ends_calls and not release.cuts_calls:
            return 0
        return max(self.stop_seconds - self.pre_stop_seconds - self.leaving_seconds, 0)


def _some(paths: Sequence[str]) -> str:
    return ", ".join((*paths[:5], *(["…"] if len(paths) > 5 else [])))


@dataclass(frozen=True, kw_only=True)
class AgentSettings(MeshSettings):
    """An agent.

    Args:
        port: The port it listens on.
        jobs_grace_seconds: Of 3.x: how long its long-running jobs (``task=True``) may go on when a pod is to stop,
            before the runtime is told. It goes on taking jobs meanwhile, unless the registry is drained. What is not
            done by then begins anew on another of its pods. Who works on one that is cancelled ends at once
            where the registry may call the agent, by ``registry.connects_to(agent)``, and else goes on for nothing.
        url_variable: A variable that introduces the agent's URL to its clients. The mesh needs none: clients learn
            addresses from the registry.
    """

    port: int = 8090
    jobs_grace_seconds: int = 0
    url_variable: str = ""

    def __post_init__(self) -> None:
        """Refuse a time that is none, and a variable that cannot be."""
        super().__post_init__()
        if self.url_variable:
            variable_name(f"{self.name} url_variable", self.url_variable)
        if self.jobs_grace_seconds < 0:
            raise SettingError(f"{self.name} jobs_grace_seconds", self.jobs_grace_seconds, "Give 0 or more.")

    @property
    def pre_stop_seconds(self) -> int:
        """As long as jobs are given, for no runtime waits for them when it is told to stop."""
        return max(super().pre_stop_seconds, self.jobs_grace_seconds)

    @property
    def stop_seconds(self) -> int:
        """As long as is given, and as jobs are given with the time to leave."""
        return max(super().stop_seconds, self.jobs_grace_seconds + _LEAVING if self.jobs_grace_seconds else 0)


@dataclass(frozen=True, kw_only=True)
class ApiSettings(MeshSettings):
    """An API service: code that serves people and calls agents.

    Args:
        port: The port it listens on.
        readiness_path: The path that answers 200 when it can serve; unless given that of the mesh: ``/ready``, or
            ``/health`` of 0.5. In TypeScript the mesh's paths are there where ``meshExpress`` serves: whoever starts an
            Express of their own, with ``mesh.route``, gives a path of theirs, and startup and liveness are connections.
        public_url_variable: The variable by which it learns the address that people type, where it builds links.
    """

    port: int = 8080
    readiness_path: str = ""
    public_url_variable: str = ""

    def __post_init__(self) -> None:
        """Refuse arguments by which it would not listen where it is asked."""
        super().__post_init__()
        program = self.program
        told = _listens(program.args)
        # Where it is told nothing, it listens on its own loopback, and on another port.
        if isinstance(program, Python) and program.module == "uvicorn" and not told.keys() & {"uds", "fd"}:
            known = {variable.name for variable in self.variables}
            usual = {"host": "127.0.0.1", "port": "8000"}
            told = {name: value for name, value in usual.items() if f"UVICORN_{name.upper()}" not in known} | told
        if told.get("host") in ("127.0.0.1", "localhost", "::1"):
            raise SettingError(
                f"{self.name} args", program.args, "It would listen for its own pod alone. Give '--host', '0.0.0.0'."
            )
        if told.get("port", "").isdecimal() and told["port"] != str(self.port):
            raise SettingError(
                f"{self.name} port",
                self.port,
                f"By its arguments it listens on {told['port']}. Give port={told['port']}, or '--port', '{self.port}'.",
            )


def _listens(args: tuple[str, ...]) -> dict[str, str]:
    """What arguments say of where a server listens: ``--port 8080`` or ``--port=8080``."""
    told: dict[str, str] = {}
    for index, argument in enumerate(args):
        name, given, value = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and name in ("host", "port", "uds", "fd"):
            told[name] = value if given else "".join(args[index + 1 : index + 2])
    return told


def _require_release(release: MeshRelease, settings: MeshSettings) -> None:
    """Refuse what the mesh's release does not have: it would be left out without a word."""
    program = settings.program
    if not release.has_every_language and not isinstance(program, Python):
        raise SettingError(
            f"{settings.name} runtime",
            program.language,
            "0.5 has a runtime for Python alone. Give Python(module=…), or Mesh(release=MeshRelease.V3).",
        )
    if TlsClient.REDIS in settings.tls and not release.dials_redis_by_tls:
        raise SettingError(
            f"{settings.name} tls",
            TlsClient.REDIS,
            "The runtime of 3.x speaks no TLS to Redis, and would lose its traces without a word. Name other stores in "
            "StoreTls.stores, or give IstioAmbient().",
        )
    if release.reads_call_settings:
        return
    for field in ("settle_seconds", "call_seconds", "tool_workers"):
        if getattr(settings, field) is not None:
            raise SettingError(
                f"{settings.name} {field}",
                getattr(settings, field),
                "The runtime of 0.5 does not read it. Give none, or Mesh(release=MeshRelease.V3).",
            )
    if isinstance(settings, AgentSettings) and settings.jobs_grace_seconds:
        raise SettingError(
            f"{settings.name} jobs_grace_seconds",
            settings.jobs_grace_seconds,
            "0.5 has no jobs. Give none, or Mesh(release=MeshRelease.V3).",
        )


def _mesh_variables(
    release: MeshRelease, settings: MeshSettings, full_name: str, port: Port, named: dict[str, str]
) -> tuple[Variable, ...]:
    """What the mesh runtime reads. ``POD_IP`` is left out: it ties sessions to a pod that may be gone."""
    program = settings.program
    calls = {
        "MCP_MESH_SETTLE_TIMEOUT": settings.settle_seconds,
        "MCP_MESH_CALL_TIMEOUT": settings.call_seconds,
        "MCP_MESH_TOOL_WORKERS": settings.tool_workers or program.tool_workers,
        "MCP_MESH_SERVER_STARTUP_TIMEOUT": settings.startup_seconds if isinstance(program, Python) else None,
    }
    told = {
        "MCP_MESH_ENABLED": "true",
        "MCP_MESH_NAMESPACE": settings.mesh_namespace,
        # What is advertised to others: the Service, so that calls are balanced and no pod's address outlives it.
        _HOST: full_name,
        "MCP_MESH_HTTP_PORT": str(port.number),
        "MCP_MESH_DEBOUNCE_DELAY": str(settings.debounce_seconds),
        "MCP_MESH_LOG_LEVEL": settings.log_level,
        "MCP_MESH_DISTRIBUTED_TRACING_ENABLED": str(settings.tracing).lower(),
        "MCP_MESH_TELEMETRY_ENABLED": str(settings.tracing).lower(),
        "MCP_MESH_REDIS_TRACE_PUBLISHING": str(settings.tracing).lower(),
        "LOG_LEVEL": settings.log_level,
        "HOME": "/tmp",
        **program.variables(port.number, settings.log_level),
        **named,
        **{name: str(value) for name, value in calls.items() if value is not None},
    }
    reader = RUNTIMES[program.language]
    return variables({name: value for name, value in told.items() if is_read(name, release, reader)})


def _mesh_container(
    release: MeshRelease, settings: MeshSettings, full_name: str, port: Port, probes: Probes, named: dict[str, str]
) -> Container:
    _require_release(release, settings)
    program = settings.program
    command, *args = program.command(settings.compute.limits.memory)
    return Container(
        name=settings.name,
        image=settings.code.image or release.runtime_image(program),
        user=USER,
        compute=settings.compute,
        command=(command,),
        args=tuple(args),
        working_directory=settings.code.working_directory,
        ports=(port,),
        variables=(*_mesh_variables(release, settings, full_name, port, named), *settings.variables),
        # Who hangs ends nothing in the time that a stop gives to what is under way.
        probes=replace(probes, hung_grace_seconds=30) if settings.stop_seconds > 30 else probes,
        volumes=(Scratch(size=settings.scratch or program.scratch), *program.folders, *settings.code.files),
        pre_stop_seconds=settings.pre_stop_seconds,
        quiet_seconds=settings.quiet_seconds(release),
        log_pattern=program.log_pattern,
    )


class _MeshWorkload(Workload):
    """What registers with the mesh."""

    _runs: MeshProgram
    _leaving_seconds: int

    def __init__(self, scope: Construct, settings: WorkloadSettings, serves: HttpsClient | None = None) -> None:
        super().__init__(scope, mesh_of(scope).secured(scope, settings, RUNTIME, serves))

    @property
    def finished_seconds(self) -> int:
        """As long as nobody is left over from before the stop, and its runtime has time to leave."""
        return self.grace_seconds - _PRE_STOP - self._leaving_seconds

    @property
    def never_speaks(self) -> tuple[TlsClient, ...]:
        """The runtime's core has its word in it, too."""
        return () if mesh_of(self).release.dials_redis_by_tls else (TlsClient.REDIS,)

    def problems(self) -> Sequence[str]:
        """Where it would not be there for others, or others for it."""
        release = mesh_of(self).release
        return (
            *self._no_registry(),
            *self._plain_registry(),
            *self._deaf(),
            *self._cut_short(),
            *self._before_its_registry(),
            *unread(self.full_name, release, self._runs, self.variables),
            *self._untraced(),
            *traces_lost(self.full_name, release, self.variables, settings_of(self).transit),
            *kept_alone(self.full_name, self.availability.scale.most, self.variables),
        )

    def _plain_registry(self) -> Sequence[str]:
        """Where the mesh speaks TLS, a registry of others does too."""
        told = [str(one.value) for one in self.variables if one.name == "MCP_MESH_REGISTRY_URL"]
        if mesh_of(self).tls is None or not any(url.startswith("http://") for url in told):
            return ()
        return (
            f"{self.full_name} has MCP_MESH_REGISTRY_URL={told[0]}, and Mesh(tls=…) says that it speaks TLS: give "
            "https:// and certificates of the same CA, or take tls out.",
        )

    def _untraced(self) -> Sequence[str]:
        """Where its registry reads spans from a Redis that it is not connected to."""
        told = {one.name for one in self.variables}
        traced = ("MCP_MESH_DISTRIBUTED_TRACING_ENABLED", "true") in ((one.name, one.value) for one in self.variables)
        read = any(one.name == "REDIS_URL" for registry in self._registries() for one in registry.variables)
        if not (traced and read) or told & {"REDIS_URL", "REDIS_HOST"}:
            return ()
        return (
            f"{self.full_name} writes spans to the Redis of its mesh, and is not connected to it: connect it, "
            f"{self.name}.connects_to(redis), or give tracing=False.",
        )

    def _deaf(self) -> Sequence[str]:
        """A server of Python that listens on 0.0.0.0 is not there for who comes by IPv6."""
        platform = self.application.settings.platform
        if "IPv6" not in platform.ip_families or "0.0.0.0" not in self.container.args:
            return ()
        return (
            f"{self.full_name} listens on 0.0.0.0, which is IPv4 alone, while pods have "
            f"{' and '.join(platform.ip_families)}: give {platform.every_host!r}, Platform.every_host.",
        )

    def _cut_short(self) -> Sequence[str]:
        """Whom it calls and waits for longer than a roll-out would let it answer."""
        called = {one.workload: None for one in self.connections if isinstance(one, Target)}
        return [
            other.cut_short(self.full_name, self.answer_seconds, f"{self.name} a shorter call_seconds")
            for other in called
            if isinstance(other, _MeshWorkload) and other.finished_seconds < self.answer_seconds
        ]

    def _before_its_registry(self) -> Sequence[str]:
        """A registry brings its tables up first: then what a newer runtime says has a place."""
        return [
            f"{self.full_name} of phase {self.phase.name} comes before its registry, which must be the first to be "
            f"upgraded: move it to the phase {registry.phase.name}, or a later one."
            for registry in self._registries()
            if registry.wave > self.wave
        ]

    def _registries(self) -> Sequence[Registry]:
        reached = (target.workload for target in self.connections if isinstance(target, Target))
        return [workload for workload in reached if isinstance(workload, Registry)]

    def _no_registry(self) -> Sequence[str]:
        """Without a registry nobody finds it, and it finds nobody."""
        if any(variable.name == "MCP_MESH_REGISTRY_URL" for variable in self.variables):
            return ()
        return (
            f"{self.full_name} reaches no registry: connect it, {self.name}.connects_to(registry), or set "
            "MCP_MESH_REGISTRY_URL by an External.",
        )


class Agent(_MeshWorkload):
    """An MCP agent: one pod that registers its tools and answers calls on ``/mcp``.

    It needs the registry, and Redis for sessions and traces:
    ``agent.connects_to(registry)`` and ``agent.connects_to(redis, wait=True)``.

    Args:
        scope: A Phase.
        settings: Code, compute and variables.
    """

    def __init__(self, scope: Construct, settings: AgentSettings) -> None:
        self.settings = settings
        release, program = mesh_of(scope).release, settings.program
        self._runs = RUNTIMES[program.language]
        self._leaving_seconds = settings.leaving_seconds
        full_name = place_of(scope)[0].application.prefixed(settings.name)
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="agent",
                metrics=(MetricsEndpoint(port="http"),) if release.agents_have_metrics else (),
                availability=settings.availability,
                extras=settings.extras,
                tls=settings.tls,
                termination_grace_seconds=settings.stop_seconds,
                answer_seconds=settings.call_seconds or 0,
                ipv4_only=program.ipv4_only,
                container=_mesh_container(
                    release,
                    settings,
                    full_name,
                    Port(number=settings.port),
                    release.agent_probes(startup_seconds=settings.startup_seconds or program.startup_seconds),
                    {"MCP_MESH_AGENT_NAME": settings.name},
                ),
            ),
            HttpsClient.CURL,
        )

    @property
    def http_checks(self) -> tuple[HttpCheck, ...]:
        """Whether its registry knows it, and takes it for healthy."""
        # Each of its pods, and each start of one, is an entry of its own, whose id has eight digits more. Those of the
        # past stay. One that is healthy is enough: calls go to the Service of all.
        known = f"[a.id, a.name].exists(n, n.matches('^{self.name}(-[0-9a-f]{{8}})?$'))"
        condition = f"body.agents.exists(a, a.status == 'healthy' && {known})"
        return tuple(
            HttpCheck(name=self.name, target=Target(workload=registry), path="/agents", condition=condition)
            for registry in self._registries()
        )

    def settle(self) -> None:
        """Let the registry that it is known to call it, where that does; advertise what its callers can resolve."""
        for registry in self._registries():
            registry.call(self)
        if self._has_distant_callers():
            whole = f"{self.full_name}.{self.application.settings.service_domain}"
            told = self.container.variables
            self.container = replace(
                self.container, variables=tuple(replace(one, value=whole) if one.name == _HOST else one for one in told)
            )
            self._main = None

    def _has_distant_callers(self) -> bool:
        """Whether it may be called from another namespace, where the name of its Service alone leads nowhere.

        By whom is said to it; whoever else knows it learns of it from a registry that this application does not run.
        """
        if not self._registries():
            return True
        peers = (peer for peer, port in self.accepted if port == self.main_port.name)
        return any(isinstance(peer, NamespacePods) and peer.namespace != self.namespace for peer in peers)

    @property
    def target(self) -> Target:
        """The agent's ``/mcp``, which asks for no password: only the policy keeps others out."""
        name = self.settings.url_variable
        return Target(workload=self, introduction=variables({name: self.endpoint().url}) if name else ())


class Api(_MeshWorkload):
    """An API service of the mesh: several pods behind a Service.

    Args:
        scope: A Phase.
        settings: Code, compute, scale and variables.
    """

    def __init__(self, scope: Construct, settings: ApiSettings) -> None:
        self.settings = settings
        self._runs = RUNTIMES[settings.program.language]
        self._leaving_seconds = settings.leaving_seconds
        mesh, release = mesh_of(scope), mesh_of(scope).release
        if mesh.tls and not settings.program.serves_people:
            raise SettingError(
                f"{settings.name} runtime",
                settings.program.language,
                "Where the mesh speaks TLS, its API services would demand a certificate of people, too. Give an Agent, "
                "and an Api in Python before it, or Mesh(tls=None).",
            )
        self._readiness_path = settings.readiness_path or release.api_readiness_path
        # Who gives a path of its own has a server of its own, where the runtime adds nothing to that.
        own = bool(settings.readiness_path) and not settings.program.probes_every_api
        full_name = place_of(scope)[0].application.prefixed(settings.name)
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="api",
                public_url_variable=settings.public_url_variable,
                availability=settings.availability,
                extras=settings.extras,
                tls=settings.tls,
                termination_grace_seconds=settings.stop_seconds,
                answer_seconds=settings.call_seconds or 0,
                # Of Python the code listens itself, where its arguments say, and so does an Express of its own.
                ipv4_only=settings.program.ipv4_only and not (settings.program.serves_people or own),
                container=_mesh_container(
                    release,
                    settings,
                    full_name,
                    Port(number=settings.port),
                    release.api_probes(
                        settings.readiness_path,
                        startup_seconds=settings.startup_seconds or settings.program.startup_seconds,
                        own=own,
                    ),
                    {settings.program.api_name_variable: settings.name},
                ),
            ),
        )

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """That its certificate may end, where the mesh speaks TLS: it shows it to the mesh alone."""
        tls = mesh_of(self).tls
        return tls.alerts_of(self) if tls else ()

    @property
    def http_checks(self) -> tuple[HttpCheck, ...]:
        """Whether it answers."""
        return (HttpCheck(name=self.name, target=Target(workload=self), path=self._readiness_path),)
