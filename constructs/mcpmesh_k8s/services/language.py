"""This module is what runs the code of agents and API services: Python, Node or Java, each as its image has it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from pathlib import PurePosixPath
from typing import Literal

from mcpmesh_k8s import images
from mcpmesh_k8s.kubernetes import Compute, Image, Scratch, SettingError, dataclass

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_FILE = re.compile(r"[A-Za-z0-9_./@+][A-Za-z0-9_./@+-]*")
_SOURCES = (".ts", ".mts", ".cts", ".tsx")
_BUILT = (".js", ".mjs", ".cjs")
_MIB = 1024**2
_NODE_MODULES = "/usr/local/lib/node_modules"
"""Where ``mcpmesh/typescript-runtime`` has ``tsx`` (``npm install --global`` in its Dockerfile)."""
_SEMI_SPACE = 16
"""MiB of a space of new objects in Node 22."""

_OF_PYTHON = r"^(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL|Traceback)\b"
"""The lines of the runtime, which has no other form, and of uvicorn. What code logs as JSON is read as JSON."""

_AFTER_THE_TIME = (
    r"^(?:\d{4}-\d\d-\d\d[T ]\S+ +|[\w.]*?)"
    r"(?P<level>TRACE|DEBUG|INFO|WARN|ERROR|FATAL|E)(?:\b|rror\b|xception in thread\b)"
)
"""The lines of Spring Boot and of the mesh's core, which is the same in every language: the time, then the level.

And what Node and Java say when they fail, without a time: ``TypeError: …``, ``Exception in thread …``."""


Language = Literal["Python", "TypeScript", "Java"]
"""What the mesh has runtimes for."""


@dataclass(frozen=True, kw_only=True)
class Runtime(ABC):
    """What runs the code: a language, and where the code begins.

    Args:
        args: Arguments of the program.
    """

    args: tuple[str, ...] = ()

    @property
    @abstractmethod
    def language(self) -> Language:
        """Which of the mesh's runtimes it is."""

    @property
    @abstractmethod
    def image(self) -> Image:
        """The plain runtime of 3.x, which a built image begins with."""

    @abstractmethod
    def command(self, memory: int) -> tuple[str, ...]:
        """The program and its arguments, given the most memory that the container may use."""

    @property
    def startup_seconds(self) -> int:
        """How long a start may take."""
        return 120

    @property
    def scratch(self) -> str:
        """How much it may write to ``/tmp``."""
        return "64Mi"

    @property
    def folders(self) -> tuple[Scratch, ...]:
        """What it writes to beside ``/tmp``."""
        return ()

    @property
    def log_pattern(self) -> str:
        """How the level of a line of its log is found."""
        return _AFTER_THE_TIME

    @property
    def ipv4_only(self) -> bool:
        """Whether the mesh's server in it listens on addresses of IPv4 alone."""
        return True

    @property
    def api_name_variable(self) -> str:
        """The variable that names an API service; an agent has ``MCP_MESH_AGENT_NAME`` in every language."""
        return "MCP_MESH_AGENT_NAME"

    @property
    def mounted(self) -> str:
        """The file that must be among sources that are mounted; any unless said."""
        return ""

    @property
    def unmounted_because(self) -> str:
        """Why its code cannot be mounted as sources; empty where it can."""
        return ""

    @property
    def serves_people(self) -> bool:
        """Whether an API service serves who has no certificate, where the mesh speaks TLS.

        Java's demands one (``MeshEnvironmentPostProcessor``), and so does that of TypeScript (``express.ts``).
        """
        return False

    @property
    def ends_calls(self) -> bool:
        """Whether the runtime of 3.x, told to stop, ends the calls that are under way before it leaves.

        That of TypeScript does not (``shutdown`` of ``agent.ts``), and of Java's it is not known.
        """
        return False

    @property
    def probes_every_api(self) -> bool:
        """Whether every API service answers the mesh's probes, whatever server the code starts."""
        return True

    @property
    def has_tool_workers(self) -> bool:
        """Whether the runtime runs tools in workers, whose number can be given."""
        return True

    @property
    def tool_workers(self) -> int | None:
        """How many workers there are unless given; as the runtime has it where nothing is said."""
        return None

    def variables(self, port: int, log_level: str) -> dict[str, str]:
        """What it reads itself, beside what the mesh reads."""
        return {}

    @abstractmethod
    def require_memory(self, name: str, compute: Compute) -> None:
        """Refuse a memory limit that it cannot live in."""


@dataclass(frozen=True, kw_only=True)
class Python(Runtime):
    """Python, on ``mcpmesh/python-runtime``.

    Args:
        module: The module that is started with ``python -m``.
    """

    module: str

    def __post_init__(self) -> None:
        """Refuse what is no module."""
        require_module("Python.module", self.module)

    @property
    def ends_calls(self) -> bool:
        """It does: seen of 3.8."""
        return True

    @property
    def language(self) -> Language:
        """Which of the mesh's runtimes it is."""
        return "Python"

    @property
    def image(self) -> Image:
        """The plain runtime of 3.x."""
        return images.PYTHON_RUNTIME

    def command(self, memory: int) -> tuple[str, ...]:
        """The module. Python's memory has no limit of its own."""
        return ("python", "-m", self.module, *self.args)

    def require_memory(self, name: str, compute: Compute) -> None:
        """Any: how much it takes is the code's."""

    @property
    def serves_people(self) -> bool:
        """The code starts its own server, and the mesh changes nothing of it."""
        return True

    @property
    def api_name_variable(self) -> str:
        """A variable of its own."""
        return "MCP_MESH_API_NAME"

    @property
    def folders(self) -> tuple[Scratch, ...]:
        """Where code that was written for Compose logs to."""
        return (Scratch(name="logs", mount_path="/app/logs"),)

    @property
    def log_pattern(self) -> str:
        """Its lines begin with the level."""
        return _OF_PYTHON

    def variables(self, port: int, log_level: str) -> dict[str, str]:
        """Lines come at once, and no bytecode is written to a root that is read-only."""
        return {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, kw_only=True)
class _Heaped(Runtime):
    """A runtime that takes a heap of a size that it is told."""

    heap_percent: int

    def _refuse_percent(self) -> None:
        if not 10 <= self.heap_percent <= 90:
            raise SettingError(f"{type(self).__name__}.heap_percent", self.heap_percent, "Give 10 to 90.")

    def heap(self, memory: int) -> int:
        """The heap in MiB, given the most memory that the container may use."""
        return memory * self.heap_percent // 100 // _MIB

    @property
    @abstractmethod
    def least(self) -> tuple[int, int]:
        """The smallest heap that it works with, and what it takes beside the heap, in MiB."""

    def require_memory(self, name: str, compute: Compute) -> None:
        """Refuse a limit whose heap is too small, or that the rest would not fit beside: the kernel would kill it."""
        heap, beside = self.least
        memory = compute.limits.memory
        whole = memory // _MIB
        if self.heap(memory) >= heap and whole - self.heap(memory) >= beside:
            return
        enough = max(-(-heap * 100 // self.heap_percent), -(-beside * 100 // (100 - self.heap_percent)))
        # The next that people would write.
        enough = -(-enough // 64) * 64
        raise SettingError(
            f"{name} compute",
            f"a memory limit of {compute.memory_limit}",
            f"{self.language} gets {self.heap_percent} % of it as its heap, and needs {heap}Mi there and {beside}Mi "
            f"beside it. Give Compute(memory_limit='{enough}Mi') or more.",
        )


@dataclass(frozen=True, kw_only=True)
class TypeScript(_Heaped):
    """TypeScript or JavaScript in Node, on ``mcpmesh/typescript-runtime``.

    Args:
        entry: The file that is started, from the working directory. What was built, such as ``dist/index.js``, is run
            as it is, and starts sooner in less memory; sources, such as ``src/index.ts``, are read by ``tsx``.
        heap_percent: How much of the memory limit the heap may be. Beside it are Node itself, buffers, the mesh's core,
            and each worker that tools run in, with a heap of its own.
    """

    entry: str
    heap_percent: int = 60

    def __post_init__(self) -> None:
        """Refuse what Node does not run."""
        _path("TypeScript.entry", self.entry, (*_BUILT, *_SOURCES), "'dist/index.js' or 'src/index.ts'")
        self._refuse_percent()

    @property
    def language(self) -> Language:
        """Which of the mesh's runtimes it is."""
        return "TypeScript"

    @property
    def image(self) -> Image:
        """The plain runtime of 3.x."""
        return images.TYPESCRIPT_RUNTIME

    @property
    def least(self) -> tuple[int, int]:
        """A small server of Node, and beside it Node itself: 60Mi were seen, and 85Mi where it reads sources."""
        return 128, 128 if self._from_sources else 96

    @property
    def _from_sources(self) -> bool:
        return self.entry.endswith(_SOURCES)

    def command(self, memory: int) -> tuple[str, ...]:
        """Node, which reads sources by the ``tsx`` of the image.

        Not the command ``tsx``, as the image has it: that runs Node beside itself, and where Node does not tell it
        within 30 ms that it was asked to stop, it kills Node, with the calls that are under way. And not ``npx``, which
        would write a cache, and ask npm for news.
        """
        # New objects lie in three spaces of one size beside the old ones. Unless it is given, it follows the machine's.
        old = self.heap(memory) - 3 * _SEMI_SPACE
        sizes = (f"--max-old-space-size={old}", f"--max-semi-space-size={_SEMI_SPACE}")
        reading = ("--import", f"{_NODE_MODULES}/tsx/dist/loader.mjs") if self._from_sources else ()
        return ("node", *sizes, *reading, self.entry, *self.args)

    def variables(self, port: int, log_level: str) -> dict[str, str]:
        """Where workers of tools find ``tsx``: the image has it, and the code's own libraries may be without."""
        return {"NODE_PATH": _NODE_MODULES} if self._from_sources else {}

    @property
    def probes_every_api(self) -> bool:
        """``meshExpress`` answers them; an Express of the code's own, with ``mesh.route``, does not (3.6)."""
        return False

    @property
    def tool_workers(self) -> int | None:
        """The runtime makes one for each processor, up to eight, and each has a heap of its own."""
        return 2

    @property
    def mounted(self) -> str:
        """The entry, where it lies below the working directory."""
        return "" if self.entry.startswith("/") else str(PurePosixPath(self.entry))


@dataclass(frozen=True, kw_only=True)
class Java(_Heaped):
    """Java with Spring Boot, on ``mcpmesh/java-runtime``.

    Args:
        jar: The jar that is started, from the working directory, such as ``target/prices-1.0.0.jar``.
        heap_percent: How much of the memory limit the heap may be. Beside it are classes, compiled code, threads and
            the mesh's core.
    """

    jar: str
    heap_percent: int = 60

    def __post_init__(self) -> None:
        """Refuse what Java does not start."""
        _path("Java.jar", self.jar, (".jar",), "'target/prices-1.0.0.jar'")
        self._refuse_percent()

    @property
    def language(self) -> Language:
        """Which of the mesh's runtimes it is."""
        return "Java"

    @property
    def image(self) -> Image:
        """The plain runtime of 3.x."""
        return images.JAVA_RUNTIME

    @property
    def least(self) -> tuple[int, int]:
        """A small Spring Boot, and its classes, compiled code and threads."""
        return 128, 192

    def command(self, memory: int) -> tuple[str, ...]:
        """The jar, with its heap. It ends when that is full, where it would go on without the threads that failed."""
        return ("java", f"-Xmx{self.heap(memory)}m", "-XX:+ExitOnOutOfMemoryError", "-jar", self.jar, *self.args)

    @property
    def startup_seconds(self) -> int:
        """As long as the mesh's own chart allows."""
        return 300

    @property
    def scratch(self) -> str:
        """Each start leaves the mesh's native library there, and Tomcat keeps uploads there."""
        return "256Mi"

    @property
    def ipv4_only(self) -> bool:
        """Tomcat listens on addresses of both families."""
        return False

    @property
    def unmounted_because(self) -> str:
        """A ConfigMap holds a mebibyte of text."""
        return "a jar is no text, and larger than a ConfigMap may be"

    @property
    def has_tool_workers(self) -> bool:
        """Spring has threads of its own."""
        return False

    def variables(self, port: int, log_level: str) -> dict[str, str]:
        """What Spring Boot reads: an API service has its port by no other way."""
        level = {"WARNING": "WARN", "CRITICAL": "FATAL"}.get(log_level, log_level)
        return {"SERVER_PORT": str(port), "LOGGING_LEVEL_ROOT": level}


def require_module(where: str, module: str) -> None:
    """Refuse what ``python -m`` does not take."""
    if not _MODULE.fullmatch(module) or module.endswith(".py"):
        raise SettingError(where, module, "Give a Python module, such as 'pdf_extractor_agent'.")


def _path(where: str, path: str, endings: tuple[str, ...], example: str) -> None:
    parts = PurePosixPath(path).parts
    if path.endswith(endings) and _FILE.fullmatch(path) and ".." not in parts and PurePosixPath(path).stem[0] != ".":
        return
    raise SettingError(
        where,
        path,
        f"Give the path of one file in the image that ends in {' or '.join(endings[:4])}, without '..' and '*': "
        f"{example}.",
    )
