"""This module is what is asked of MCP Mesh 3 as it is rendered, written out by hand: what probes answer, in each state.

The documentation has it as tables. The tests bring each state about, and compare.
"""

from __future__ import annotations

from dataclasses import dataclass

Answers = tuple[str, str, str]
"""What ``startup``, ``readiness`` and ``liveness`` are told: a status, or nothing."""

WELL: Answers = ("200", "200", "200")
NOTHING: Answers = ("nothing", "nothing", "nothing")


@dataclass(frozen=True, kw_only=True)
class State:
    """A state of the mesh, and what the probes of what runs are told in it.

    Args:
        name: What is so.
        registry: What those of the registry are told.
        agent: Those of an agent.
        api: Those of an API service.
        called: Whether a call goes by an agent to another one.
    """

    name: str
    registry: Answers = WELL
    agent: Answers = WELL
    api: Answers = WELL
    called: bool = True


STATES = (
    State(name="all is well"),
    State(name="the registry is away", registry=NOTHING),
    State(name="the registry hangs", registry=NOTHING),
    State(name="Redis is away"),
    State(name="Redis hangs"),
    State(name="PostgreSQL is away"),
    State(name="PostgreSQL hangs"),
)
"""What was there before goes on."""

BEGINNINGS = (
    State(name="all is well"),
    State(name="the registry is away"),
    State(name="the registry hangs"),
    State(name="Redis hangs"),
    State(name="its check of a start fails", agent=("503", "200", "200")),
)
"""What an agent and an API service are told a while after they began; Redis is awaited before."""

STOPPING = State(name="a call of it lasts", agent=NOTHING, api=NOTHING)
"""What one is told that was asked to stop."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A variable that is rendered, and what shows that it is read.

    Args:
        of: Whose it is: ``agent``, ``caller``, which is an agent that calls others, ``api`` or ``registry``.
        name: Its name.
        instead: What it is in the place of what is rendered; it is missing unless given. So are those tried whose
            rendered value is what the program takes without it, too.
        fails: What no longer holds then. All else does.
        more: Whether more may fail.
    """

    of: str
    name: str
    fails: tuple[str, ...]
    instead: str | None = None
    more: bool = False


REGISTERED, BY_NAME, AT_HOST, AT_PORT = (
    "it is registered",
    "it is registered by its name",
    "it is registered at the host of its Service",
    "it is registered at the port of its Service",
)
ANSWERS = "it answers at the port of its Service"
TRACED, CALLS_TRACED, CUT, IN_NAMESPACE = (
    "a call leaves a span",
    "a call of another agent leaves a span",
    "who writes a span cuts the stream",
    "a span names the mesh's namespace",
)
SAYS, PAUSES, PRINTS, WRITES_NOTHING = (
    "its log says what is of the level INFO",
    "it registers when the code has been loaded",
    "what the code prints is in the log at once",
    "it writes nothing beside its code",
)
SHARED, STARTS, MODEST, PASSED_ON, FETCHED, RULED, PATIENT, KEEPS = (
    "another registry knows the same agents",
    "it starts",
    "it takes no more sessions of PostgreSQL than its role may",
    "it passes on spans",
    "it fetches a trace for who asks for it",
    "what rules it is refused on the port that all reach",
    "an agent is unhealthy after the seconds that are set",
    "it drops spans after the hours that are set",
)
_NOWHERE = (REGISTERED, BY_NAME, AT_HOST, AT_PORT)
_UNTRACED = (TRACED, CUT, IN_NAMESPACE)
_SILENT = (ANSWERS, *_UNTRACED)

VARIABLES = (
    Variable(of="agent", name="MCP_MESH_REGISTRY_URL", fails=_NOWHERE),
    Variable(of="agent", name="MCP_MESH_ENABLED", instead="false", fails=(*_NOWHERE, *_SILENT, PAUSES, SAYS)),
    Variable(of="agent", name="MCP_MESH_AGENT_NAME", fails=(BY_NAME,)),
    Variable(of="agent", name="MCP_MESH_HTTP_HOST", fails=(AT_HOST,)),
    Variable(of="agent", name="MCP_MESH_HTTP_PORT", fails=(AT_PORT, *_SILENT)),
    Variable(of="agent", name="MCP_MESH_NAMESPACE", instead="shop", fails=(IN_NAMESPACE,)),
    # On a busy machine it begins in the middle of its code, and takes any port.
    Variable(of="agent", name="MCP_MESH_DEBOUNCE_DELAY", fails=(PAUSES,), more=True),
    Variable(of="agent", name="MCP_MESH_LOG_LEVEL", instead="ERROR", fails=(SAYS,)),
    Variable(of="agent", name="MCP_MESH_DISTRIBUTED_TRACING_ENABLED", fails=_UNTRACED),
    Variable(of="agent", name="PYTHONUNBUFFERED", fails=(PRINTS,)),
    Variable(of="agent", name="MCP_MESH_TRACE_STREAM_MAXLEN", fails=(CUT,)),
    Variable(of="agent", name="REDIS_URL", fails=_UNTRACED),
    Variable(of="agent", name="REDIS_PASSWORD", fails=_UNTRACED),
    Variable(of="agent", name="PYTHONDONTWRITEBYTECODE", fails=(WRITES_NOTHING,)),
    Variable(of="caller", name="MCP_MESH_TELEMETRY_ENABLED", instead="false", fails=(CALLS_TRACED,)),
    Variable(of="api", name="MCP_MESH_API_NAME", fails=(BY_NAME,)),
    Variable(of="api", name="MCP_MESH_HTTP_HOST", fails=(AT_HOST,)),
    Variable(of="api", name="MCP_MESH_HTTP_PORT", instead="8081", fails=(AT_PORT,)),
    # Everybody must register with it anew, which takes a while.
    Variable(of="registry", name="DATABASE_URL", fails=(SHARED,), more=True),
    Variable(of="registry", name="PGPASSWORD", fails=(STARTS,), more=True),
    Variable(of="registry", name="DB_MAX_OPEN_CONNECTIONS", instead="20", fails=(MODEST,)),
    Variable(of="registry", name="REDIS_URL", fails=(PASSED_ON,)),
    Variable(of="registry", name="REDIS_PASSWORD", fails=(PASSED_ON,)),
    Variable(of="registry", name="MCP_MESH_DISTRIBUTED_TRACING_ENABLED", fails=(PASSED_ON, FETCHED, KEEPS)),
    Variable(of="registry", name="TRACE_EXPORTER_TYPE", instead="console", fails=(PASSED_ON, FETCHED)),
    Variable(of="registry", name="TELEMETRY_ENDPOINT", fails=(PASSED_ON,)),
    Variable(of="registry", name="TELEMETRY_PROTOCOL", instead="http", fails=(PASSED_ON,)),
    Variable(of="registry", name="TEMPO_URL", fails=(FETCHED,)),
    Variable(of="registry", name="MCP_MESH_LOG_LEVEL", instead="ERROR", fails=(SAYS, PATIENT)),
    Variable(of="registry", name="DEFAULT_TIMEOUT_THRESHOLD", instead="40", fails=(PATIENT,)),
    Variable(of="registry", name="MCP_MESH_ADMIN_PORT", fails=(RULED,)),
    Variable(of="registry", name="MCP_MESH_TRACE_RETENTION", instead="7h", fails=(KEEPS,)),
)

FOR_THE_CODE = (
    *("LOG_LEVEL", "HOME", "REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_USERNAME"),
    # It is read, and written to the log, and that is all.
    "MCP_MESH_REDIS_TRACE_PUBLISHING",
)
"""What the runtime does not read: code of agents and API services may."""

UNREAD = (
    *("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"),
    *("REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_USERNAME"),
)
"""What the registry is told as every client of these stores is, and does not read."""
