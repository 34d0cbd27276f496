"""This module is the environments that tests go over, by what they are: none is meant by its name.

A table that is written out by hand has a line for each. Where one is missing, the failure is the line to add.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import pytest

from ai_interviewer import ENVIRONMENTS, PROD
from mcpmesh_k8s import ArgoCdSettings, ClusterName, Manual, OAuth2ProxySettings
from mcpmesh_k8s.operations import SharedCluster

SETTINGS = {environment.name: environment for environment in ENVIRONMENTS}
EVERY = tuple(SETTINGS)
"""Every environment."""

SHARED = tuple(name for name, settings in SETTINGS.items() if isinstance(settings.cluster, SharedCluster))
"""Those in a cluster that others use: what must hold in production is asked of each."""

OWN = tuple(name for name in EVERY if name not in SHARED)
"""Those in a cluster of one's own."""

WITH_LOGIN = tuple(name for name, settings in SETTINGS.items() if isinstance(settings.login, OAuth2ProxySettings))
"""Those where people sign in."""

WITHOUT_LOGIN = tuple(name for name in EVERY if name not in WITH_LOGIN)
"""Those where everyone is the developer."""

WITH_MESH = tuple(name for name, settings in SETTINGS.items() if settings.routes_to_mesh)
"""Those whose gateway has routes to the registry and the agents, for administrators."""

WITHOUT_MESH = tuple(name for name in EVERY if name not in WITH_MESH)
"""Those where registry and agents are reached from inside alone."""

STAGING = replace(
    PROD,
    name="staging",
    cluster=SharedCluster(context="ai-interviewer-staging"),
    argocd=ArgoCdSettings(
        target_revision="main", path="dist/staging", destination=ClusterName(name="staging"), sync=Manual()
    ),
    routes_to_mesh=True,
)
"""An environment that there is not: a shared cluster with a login, whose gateway reaches the mesh."""

T = TypeVar("T")


def said_of(environment: str, table: Mapping[str, T], where: str, line: str) -> T:
    """What a table says of an environment.

    Args:
        environment: Which environment.
        table: The table, by the names of environments.
        where: Its file and name.
        line: The line to add when it says nothing.
    """
    if environment not in table:
        pytest.fail(f"{where} says nothing of {environment!r}. If this is meant, add the line: {line}", pytrace=False)
    return table[environment]
