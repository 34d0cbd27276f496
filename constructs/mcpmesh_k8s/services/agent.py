"""This module is what runs application code in the mesh: agents, and the API services that call them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Compute,
    Container,
    File,
    Files,
    HttpCheck,
    Image,
    MetricsEndpoint,
    Port,
    Probes,
    Scratch,
    SettingError,
    Target,
    User,
    Variable,
    Workload,
    WorkloadOptions,
    WorkloadSettings,
    dataclass,
    place_of,
    variables,
)

from .mesh import mesh_of, traces_lost
from .mesh_variables import MeshProgram, unread
from .registry import LOG_LEVELS, Registry

USER = User(uid=999, gid=999)
"""The user ``mcp-mesh`` of ``mcpmesh/python-runtime``, which has no fixed number: 999 is the first system user of its
base. The code under ``/app`` is readable by all, so any other number works too."""

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_SOURCE = "/app/source"


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """Code that was built into an image on top of ``mcpmesh/python-runtime``.

    Args:
        image: The image.
        working_directory: Where Python starts; the image's own unless given.
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

    It needs no build, and suits agents that need no library beyond the runtime's. Hidden files and caches are left
    out.

    Args:
        image: ``mcpmesh/python-runtime``.
        folder: The folder with the sources; Python starts in it.

    Raises:
        SettingError: The folder cannot be read, holds no file or one that is not text, or is larger than a
            ConfigMap may be.
    """

    image: Image
    folder: Path

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
                hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
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
        module: The Python module that is started with ``python -m``.
        args: Arguments of the module.
        variables: What the code reads, beside what its connections introduce.
        scratch: How much it may write to ``/tmp``.
        log_level: DEBUG, INFO, WARNING, ERROR or CRITICAL: of the mesh, and as ``LOG_LEVEL`` of the code.
        tracing: Whether every call is written to the stream of traces in Redis.
        debounce_seconds: Seconds that the mesh waits after the last decorator before it registers. Its own default,
            1, can run out in the middle of a slow import.
        mesh_namespace: The mesh's namespace, which is not the cluster's.
        termination_grace_seconds: Seconds from the start of the stop until the container is killed.
    """

    code: Code
    compute: Compute
    module: str
    args: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    scratch: str = "64Mi"
    log_level: str = "INFO"
    tracing: bool = True
    debounce_seconds: int = 5
    mesh_namespace: str = "default"
    termination_grace_seconds: int = 30

    def __post_init__(self) -> None:
        """Refuse a module and a level that would be refused later."""
        super().__post_init__()
        if not _MODULE.fullmatch(self.module) or self.module.endswith(".py"):
            raise SettingError(
                f"{self.name} module", self.module, "Give a Python module, such as 'pdf_extractor_agent'."
            )
        if self.log_level not in LOG_LEVELS:
            raise SettingError(f"{self.name} log_level", self.log_level, f"Give one of {', '.join(LOG_LEVELS)}.")
        if self.debounce_seconds < 0:
            raise SettingError(f"{self.name} debounce_seconds", self.debounce_seconds, "Give 0 or more.")


@dataclass(frozen=True, kw_only=True)
class AgentSettings(MeshSettings):
    """An agent.

    Args:
        url_variable: A variable that introduces the agent's URL to its clients. The mesh needs none: clients learn
            addresses from the registry.
    """

    url_variable: str = ""


@dataclass(frozen=True, kw_only=True)
class ApiSettings(MeshSettings):
    """An API service: code that serves people and calls agents.

    Args:
        port: The port it listens on.
        readiness_path: The path that answers 200 when it can serve; unless given that of the mesh: ``/ready``, or
            ``/health`` of 0.5.
        public_url_variable: The variable by which it learns the address that people type, where it builds links.
    """

    port: int = 8080
    readiness_path: str = ""
    public_url_variable: str = ""


_LOG = r"^(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL|Traceback)\b"
"""The lines of the runtime, which has no other form, and of uvicorn. What code logs as JSON is read as JSON."""


def _mesh_variables(settings: MeshSettings, full_name: str, port: Port) -> tuple[Variable, ...]:
    """What the mesh runtime reads. ``POD_IP`` is left out: it ties sessions to a pod that may be gone."""
    return variables(
        {
            "MCP_MESH_ENABLED": "true",
            "MCP_MESH_NAMESPACE": settings.mesh_namespace,
            # What is advertised to others: the Service, so that calls are balanced and no pod's address outlives it.
            "MCP_MESH_HTTP_HOST": full_name,
            "MCP_MESH_HTTP_PORT": str(port.number),
            "MCP_MESH_DEBOUNCE_DELAY": str(settings.debounce_seconds),
            "MCP_MESH_LOG_LEVEL": settings.log_level,
            "MCP_MESH_DISTRIBUTED_TRACING_ENABLED": str(settings.tracing).lower(),
            "MCP_MESH_TELEMETRY_ENABLED": str(settings.tracing).lower(),
            "MCP_MESH_REDIS_TRACE_PUBLISHING": str(settings.tracing).lower(),
            "LOG_LEVEL": settings.log_level,
            "HOME": "/tmp",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
    )


def _mesh_container(
    settings: MeshSettings, full_name: str, port: Port, probes: Probes, added: tuple[Variable, ...]
) -> Container:
    return Container(
        name=settings.name,
        image=settings.code.image,
        user=USER,
        compute=settings.compute,
        command=("python",),
        args=("-m", settings.module, *settings.args),
        working_directory=settings.code.working_directory,
        ports=(port,),
        variables=(*_mesh_variables(settings, full_name, port), *added, *settings.variables),
        probes=probes,
        volumes=(
            Scratch(size=settings.scratch),
            Scratch(name="logs", mount_path="/app/logs"),
            *settings.code.files,
        ),
        pre_stop_seconds=10,
        log_pattern=_LOG,
    )


class _MeshWorkload(Workload):
    """What registers with the mesh."""

    def problems(self) -> Sequence[str]:
        """Where it would not be there for others, or others for it."""
        release = mesh_of(self).release
        return (
            *self._no_registry(),
            *self._deaf(),
            *self._before_its_registry(),
            *unread(self.full_name, release, MeshProgram.PYTHON, self.variables),
            *traces_lost(self.full_name, release, self.variables),
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

    PORT = 8090

    def __init__(self, scope: Construct, settings: AgentSettings) -> None:
        self.settings = settings
        port = Port(number=self.PORT)
        full_name = place_of(scope)[0].application.prefixed(settings.name)
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="agent",
                metrics=(MetricsEndpoint(port="http"),),
                availability=settings.availability,
                extras=settings.extras,
                termination_grace_seconds=settings.termination_grace_seconds,
                # The runtime listens on 0.0.0.0, whatever it is told.
                ipv4_only=True,
                container=_mesh_container(
                    settings,
                    full_name,
                    port,
                    mesh_of(scope).release.agent_probes(startup_seconds=120),
                    variables({"MCP_MESH_AGENT_NAME": settings.name}),
                ),
            ),
        )

    @property
    def http_checks(self) -> tuple[HttpCheck, ...]:
        """Whether its registry knows it, and takes it for healthy."""
        # Each of its starts is an entry of its own, whose id has eight digits more. Those of the past stay.
        known = f"[a.id, a.name].exists(n, n.matches('^{self.name}(-[0-9a-f]{{8}})?$'))"
        condition = f"body.agents.exists(a, a.status == 'healthy' && {known})"
        return tuple(
            HttpCheck(name=self.name, target=Target(workload=registry), path="/agents", condition=condition)
            for registry in self._registries()
        )

    def settle(self) -> None:
        """Let the registry that it is known to call it, where that does."""
        for registry in self._registries():
            registry.call(self)

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
        release = mesh_of(scope).release
        self._readiness_path = settings.readiness_path or release.api_readiness_path
        port = Port(number=settings.port)
        full_name = place_of(scope)[0].application.prefixed(settings.name)
        super().__init__(
            scope,
            WorkloadSettings(
                name=settings.name,
                component="api",
                public_url_variable=settings.public_url_variable,
                availability=settings.availability,
                extras=settings.extras,
                termination_grace_seconds=settings.termination_grace_seconds,
                container=_mesh_container(
                    settings,
                    full_name,
                    port,
                    release.api_probes(settings.readiness_path, startup_seconds=120),
                    variables({"MCP_MESH_API_NAME": settings.name}),
                ),
            ),
        )

    @property
    def http_checks(self) -> tuple[HttpCheck, ...]:
        """Whether it answers."""
        return (HttpCheck(name=self.name, target=Target(workload=self), path=self._readiness_path),)
