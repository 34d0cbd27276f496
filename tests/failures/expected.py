"""This module is what happens when programs end or hang, written out by hand: who restarts, and how soon all works.

Seconds are those of a cluster. The limits are what probes and pauses make of it at worst, and time to start in.
"""

from __future__ import annotations

from dataclasses import dataclass

PACE = 5.0
"""How many times as fast as in a cluster the kubelet's clock runs here, and that of the mesh."""

AGENT = "pdf-extractor"
"""The agent that stands for all."""

AGENTS = frozenset({AGENT, "interview-agent", "claude-llm-agent", "openai-llm-agent"})
MESH, WAY_IN = "the mesh", "the gateway"
NOTHING = frozenset[str]()

STARTS = 60
"""Seconds for programs to start, on a busy machine."""

SOON = 28 + 10
"""Seconds until who hangs is started again whom others wait for: five questions, and the stop."""

LATER = 63 + 30
"""Seconds of all others: three questions at intervals of 20, and the stop."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What happens to programs at the same moment, and what comes of it.

    Args:
        ends: Who ends without a word.
        pause: Seconds until the first of them is started again, as it has ended before; the others are at once.
        hangs: Who stands still: he takes connections, and says nothing.
        away: What may fail meanwhile. Nothing else may.
        within: Seconds until all works again by itself.
        by_hand: Whether it does not, for no probe sees it.
        untraced: Which agents leave no trace from then on, and the registry if it reads none.
        alerts: What tells people of what does not come back by itself.
    """

    ends: tuple[str, ...] = ()
    pause: int = 0
    hangs: tuple[str, ...] = ()
    away: frozenset[str] = NOTHING
    within: int = STARTS
    by_hand: bool = False
    untraced: frozenset[str] = NOTHING
    alerts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How it is called."""
        again = " again and again" if self.pause else ""
        return " and ".join(
            (
                *(f"{one} ends{again if one == self.ends[0] else ''}" for one in self.ends),
                *(f"{one} hangs" for one in self.hangs),
            )
        )


# Who was struck is started again, and nobody else: an agent least of all, whoever else is away.
FAILURES = (
    Failure(ends=("redis",)),
    Failure(ends=("postgres",), away=frozenset({MESH})),
    Failure(ends=("registry",), away=frozenset({MESH})),
    Failure(ends=(AGENT,), away=frozenset({MESH, AGENT})),
    Failure(ends=("backend",), away=frozenset({WAY_IN})),
    Failure(ends=("oauth2-proxy",), away=frozenset({WAY_IN})),
    Failure(ends=("nginx-gateway",), away=frozenset({WAY_IN})),
    Failure(ends=("trim-traces",)),
    Failure(ends=("exporter of redis",)),
    Failure(ends=("exporter of postgres",)),
    Failure(ends=("postgres", "exporter of postgres"), away=frozenset({MESH})),
    Failure(hangs=("redis",), away=AGENTS | {MESH}, within=SOON + STARTS),
    Failure(hangs=("postgres",), away=AGENTS | {MESH}, within=SOON + STARTS),
    Failure(hangs=("registry",), away=AGENTS | {MESH}, within=SOON + STARTS),
    Failure(hangs=(AGENT,), away=frozenset({MESH, AGENT}), within=LATER + STARTS),
    Failure(hangs=("backend",), away=frozenset({WAY_IN}), by_hand=True, alerts=("PodNotReady", "ServiceNotAnswering")),
    Failure(hangs=("oauth2-proxy",), away=frozenset({WAY_IN}), within=LATER + STARTS),
    Failure(hangs=("nginx-gateway",), away=frozenset({WAY_IN}), within=LATER + STARTS),
    Failure(ends=("redis", "postgres"), away=frozenset({MESH})),
    Failure(ends=("redis", "registry"), away=frozenset({MESH})),
    Failure(ends=("postgres", "registry"), away=frozenset({MESH})),
    Failure(ends=("redis", AGENT), away=frozenset({MESH, AGENT})),
    # Init containers run once for each pod, and a container that is started again waits for nobody.
    Failure(
        ends=("redis", AGENT),
        pause=120,
        away=frozenset({MESH, AGENT}),
        within=120 + STARTS,
        untraced=frozenset({AGENT}),
        alerts=("RedisUnreachable",),
    ),
    Failure(
        ends=("redis", "registry"),
        pause=40,
        away=frozenset({MESH}),
        within=40 + STARTS,
    ),
    Failure(ends=("nginx-gateway", "oauth2-proxy"), away=frozenset({WAY_IN})),
    Failure(ends=("nginx-gateway", "backend"), away=frozenset({WAY_IN})),
    Failure(hangs=("redis", "postgres"), away=AGENTS | {MESH}, within=SOON + STARTS),
    Failure(hangs=("redis", "registry"), away=AGENTS | {MESH}, within=SOON + STARTS),
    Failure(ends=("registry",), hangs=("postgres",), away=AGENTS | {MESH}, within=SOON + STARTS),
    Failure(ends=(AGENT,), hangs=("registry",), away=AGENTS | {MESH}, within=SOON + STARTS),
)
