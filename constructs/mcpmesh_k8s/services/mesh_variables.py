"""This module is which variables of MCP Mesh each of its programs reads, in each line: another is a mistake.

What they read is in their sources, and a test compares it with the programs themselves where they can be had.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from mcpmesh_k8s.kubernetes import Choice, Variable

from .mesh import MeshRelease

PREFIX = "MCP_MESH_"
"""What the names of the mesh begin with: all others may be the code's own."""


class MeshProgram(Choice):
    """What is of one mesh, as it is asked for variables."""

    PYTHON = "the Python runtime", "Agents and API services in Python."
    TYPESCRIPT = "the TypeScript runtime", "Agents and API services in TypeScript."
    JAVA = "the Java runtime", "Agents and API services in Java."
    REGISTRY = "the registry", "The registry."
    DASHBOARD = "the dashboard", "The dashboard."


RUNTIMES = {"Python": MeshProgram.PYTHON, "TypeScript": MeshProgram.TYPESCRIPT, "Java": MeshProgram.JAVA}
"""The program of each language."""


def _names(text: str) -> frozenset[str]:
    return frozenset(f"{PREFIX}{name}" for name in text.split())


# In 3.x below all three: mcp-mesh-core 3.8.0 (src/runtime/core/src: config.rs, tls.rs, tracing_publish.rs).
_CORE = _names(
    """AGENT_ID AGENT_NAME DISTRIBUTED_TRACING_ENABLED HEALTH_INTERVAL HTTP_HOST HTTP_PORT NAMESPACE REGISTRY_URL
    MEDIA_STORAGE MEDIA_STORAGE_BUCKET MEDIA_STORAGE_ENDPOINT MEDIA_STORAGE_PATH MEDIA_STORAGE_PREFIX
    SCHEMA_MAX_INLINED_NODES SPIRE_SOCKET TRACE_STREAM_MAXLEN TRUST_DOMAIN
    TLS_CA TLS_CERT TLS_KEY TLS_MODE TLS_PROVIDER VAULT_ADDR VAULT_PKI_PATH VAULT_TTL"""
)
# In both lines: the wheels mcp-mesh 0.5.3 and 3.8.0.
_PYTHON = _names(
    """AGENT_ID AGENT_NAME API_NAME AUTO_RUN AUTO_RUN_INTERVAL DEBOUNCE_DELAY DEBUG DEBUG_MODE
    DISTRIBUTED_TRACING_ENABLED ENABLED HEALTH_INTERVAL HTTP_ENABLED HTTP_ENDPOINT HTTP_HOST HTTP_PORT LOG_LEVEL
    NAMESPACE REDIS_TRACE_PUBLISHING REGISTRY_URL STANDALONE TELEMETRY_ENABLED VERSION"""
)
# In both: src/core/config, src/core/registry of v0.5.3 and v3.6.0, and mcp-mesh-registry 3.7.1.
_REGISTRY = _names("DEBUG_MODE DISTRIBUTED_TRACING_ENABLED LOG_LEVEL")

READ: Mapping[MeshRelease, Mapping[MeshProgram, frozenset[str]]] = {
    MeshRelease.V0_5: {
        # No runtime reads host and port of the registry. Examples of 0.5 do, so clients are told both.
        MeshProgram.PYTHON: _PYTHON | _names("AUTH_TOKEN REGISTRY_HOST REGISTRY_PORT"),
        MeshProgram.REGISTRY: _REGISTRY,
    },
    MeshRelease.V3: {
        MeshProgram.PYTHON: _CORE
        | _PYTHON
        | _names(
            """A2A_NAME CALL_TIMEOUT CLAUDE_FORCE_RESPONSE_FORMAT CLAUDE_HINT_FALLBACK_TIMEOUT
            GEMINI_NATIVE_STRUCTURED_TOOLS HEALTH_CHECK_TTL HINT_FALLBACK_TIMEOUT JOBPROXY_CACHE_MAX
            LLM_SYNTHETIC_RETRY_MAX MEDIA_STORAGE_VALIDATE NATIVE_LLM PROPAGATE_HEADERS RELOAD_DEBOUNCE
            RELOAD_PORT_DELAY SCHEMA_STRICT SERVER_STARTUP_TIMEOUT SESSION_TTL SETTLE_TIMEOUT STRICT_DI TOOL_ISOLATION
            TOOL_WORKERS"""
        ),
        # src/runtime/typescript/src of v3.6.0.
        MeshProgram.TYPESCRIPT: _CORE
        | _names(
            """CALL_TIMEOUT DEBUG_MODE HEALTH_CHECK_TTL JOBPROXY_CACHE_MAX LOG_LEVEL PROPAGATE_HEADERS SCHEMA_STRICT
            SETTLE_TIMEOUT TOOL_ISOLATION TOOL_WORKERS"""
        ),
        # src/runtime/java of v3.6.0.
        MeshProgram.JAVA: _CORE
        | _names(
            """CALL_TIMEOUT DEBUG HEALTH_CHECK_TTL JOBPROXY_CACHE_MAX LOG_LEVEL PROPAGATE_HEADERS SCHEMA_STRICT
            SETTLE_TIMEOUT STRICT_DI"""
        ),
        MeshProgram.REGISTRY: _REGISTRY
        | _names(
            """ADMIN_PORT CANCEL_EVENT_GRACE_MS EVENT_MAX_ROWS JOB_STALE_TIMEOUT K8S_LABEL_SELECTOR K8S_NAMESPACE
            PROPAGATE_HEADERS PROXY_TIMEOUT PUBLIC_URL_PREFIX RETENTION SPIRE_SOCKET SWEEP_INTERVAL
            TELEMETRY_AGGREGATE_MAX_ENTRIES TELEMETRY_AGGREGATE_RETENTION TLS_CA TLS_CERT TLS_KEY TLS_MODE
            TRACE_CONSUMER_GROUP TRACE_RETENTION TRUST_BACKEND TRUST_DIR"""
        ),
        # cmd/mcp-mesh-ui, src/core/ui of v3.6.0, and meshui 3.7.1.
        MeshProgram.DASHBOARD: _names(
            """CORS_ORIGIN DEBUG_MODE DISTRIBUTED_TRACING_ENABLED LOG_LEVEL REGISTRY_TLS_CA REGISTRY_TLS_CERT
            REGISTRY_TLS_KEY REGISTRY_TLS_SKIP_VERIFY REGISTRY_URL TELEMETRY_AGGREGATE_MAX_ENTRIES
            TELEMETRY_AGGREGATE_RETENTION TRACE_CONSUMER_GROUP TRACE_RETENTION UI_BASE_PATH UI_PORT
            UI_TRACE_CONSUMER_GROUP"""
        ),
    },
}
"""The names that begin with `PREFIX`, as each program of each line reads them."""


def is_read(name: str, release: MeshRelease, program: MeshProgram) -> bool:
    """Whether a program of a line of MCP Mesh can read a variable: one that is not of the mesh, the code may read."""
    return not name.startswith(PREFIX) or name in READ[release].get(program, ())


def unread(full_name: str, release: MeshRelease, program: MeshProgram, given: Sequence[Variable]) -> Iterator[str]:
    """What is wrong with the variables of a workload: those of the mesh that its program does not read.

    Args:
        full_name: The workload.
        release: Which line of MCP Mesh it is of.
        program: What runs in it.
        given: Its variables.
    """
    read = READ[release].get(program, frozenset[str]())
    for name in (one.name for one in given if not is_read(one.name, release, program)):
        yield (
            f"{full_name} has {name}, which {program.value} of MCP Mesh {release.value} does not read: "
            f"{_instead(name, release, read)}."
        )


def _instead(name: str, release: MeshRelease, read: frozenset[str]) -> str:
    """What is known of a name that a program does not read."""
    readers = [program.value for program, names in READ[release].items() if name in names]
    if readers:
        return f"give it to {' or '.join(readers)}"
    suffixes = sorted(one.removeprefix(PREFIX) for one in read)
    near = [f"{PREFIX}{one}" for one in difflib.get_close_matches(name.removeprefix(PREFIX), suffixes, 1, 0.7)]
    others = [other.value for other, programs in READ.items() if any(name in names for names in programs.values())]
    if others:
        known = f"{' and '.join(others)} does. Leave it out"
        return f"{known}, or give {near[0]}" if near else known
    return f"give {near[0]}" if near else "leave it out; what the code itself reads needs another name"
