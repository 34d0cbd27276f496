"""This module is the AI Interviewer's routes: what the gateway passes on, to whom and for whom."""

from __future__ import annotations

from collections.abc import Mapping

from mcpmesh_k8s import Agent, Api, Audience, ContentSecurityPolicy, Grafana, Registry, Route

from .settings import EnvironmentSettings


def to_people(environment: EnvironmentSettings, backend: Api, grafana: Grafana) -> list[Route]:
    """What people use."""
    return [
        Route(path="/", to=backend, audience=Audience.SIGNED_IN, hand_over_identity=True, rate=environment.page_rate),
        Route(
            path="/api/",
            to=backend,
            audience=Audience.SIGNED_IN,
            hand_over_identity=True,
            body_mb=55,  # the PDF limit is 50 MB, and forms are a little larger than their files
            timeout_seconds=300,
            rate=environment.call_rate,
            content_security_policy=ContentSecurityPolicy.DATA,
        ),
        Route(path="/static/", to=backend, audience=Audience.PUBLIC),
        Route(path="/health", to=backend, audience=Audience.PUBLIC, content_security_policy=ContentSecurityPolicy.DATA),
        Route(
            path="/grafana/",
            to=grafana,
            audience=Audience.ADMINISTRATOR,
            hand_over_identity=True,
            cookies=True,
            rate=environment.page_rate,
            websocket=True,
            content_security_policy=ContentSecurityPolicy.GRAFANA,
        ),
    ]


def to_mesh(environment: EnvironmentSettings, registry: Registry, agents: Mapping[str, Agent]) -> list[Route]:
    """What the plan's health checks ask: the registry and every agent, which ask for no password themselves.

    Production has none of these.
    """
    if not environment.routes_to_mesh:
        return []
    return [
        Route(
            path="/api/registry/agents",
            to=registry,
            audience=Audience.ADMINISTRATOR,
            upstream_path="/agents",
            rate=environment.call_rate,
            content_security_policy=ContentSecurityPolicy.DATA,
        ),
        *(
            Route(
                path=f"/mcp/{name}",
                to=agent,
                audience=Audience.ADMINISTRATOR,
                upstream_path="/mcp",
                timeout_seconds=300,
                rate=environment.call_rate,
                buffering=False,
                content_security_policy=ContentSecurityPolicy.DATA,
            )
            for name, agent in agents.items()
        ),
    ]
