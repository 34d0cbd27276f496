"""This module is the AI Interviewer's routes: what the gateway passes on, to whom and for whom."""

from __future__ import annotations

from collections.abc import Mapping

from mcpmesh_k8s import Agent, Api, Audience, Grafana, RateLimit, Registry, Route
from mcpmesh_k8s.access.routes import DATA, GRAFANA

PAGE = RateLimit(per_second=50, burst=200)
"""A page loads many files."""

CALL = RateLimit(per_second=20, burst=60)
"""A program or a model's answer is one request."""


def to_people(backend: Api, grafana: Grafana) -> list[Route]:
    """What people use."""
    return [
        Route(path="/", to=backend, audience=Audience.SIGNED_IN, hand_over_identity=True, rate=PAGE),
        Route(
            path="/api/",
            to=backend,
            audience=Audience.SIGNED_IN,
            hand_over_identity=True,
            body_mb=55,  # the PDF limit is 50 MB, and forms are a little larger than their files
            timeout_seconds=300,
            rate=CALL,
            content_security_policy=DATA,
        ),
        Route(path="/static/", to=backend, audience=Audience.PUBLIC),
        Route(path="/health", to=backend, audience=Audience.PUBLIC, content_security_policy=DATA),
        Route(
            path="/grafana/",
            to=grafana,
            audience=Audience.ADMINISTRATOR,
            cookies=True,
            rate=PAGE,
            websocket=True,
            content_security_policy=GRAFANA,
        ),
    ]


def to_mesh(registry: Registry, agents: Mapping[str, Agent]) -> list[Route]:
    """What the plan's health checks ask: the registry and every agent, which ask for no password themselves."""
    return [
        Route(
            path="/api/registry/agents",
            to=registry,
            audience=Audience.ADMINISTRATOR,
            upstream_path="/agents",
            rate=CALL,
            content_security_policy=DATA,
        ),
        *(
            Route(
                path=f"/mcp/{name}",
                to=agent,
                audience=Audience.ADMINISTRATOR,
                upstream_path="/mcp",
                timeout_seconds=300,
                rate=CALL,
                buffering=False,
                content_security_policy=DATA,
            )
            for name, agent in agents.items()
        ),
    ]
