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
