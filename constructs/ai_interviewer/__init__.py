"""This module is the AI Interviewer: which services it has, who connects to whom, and its environments."""

from .application import ARGOCD, AiInterviewer, ArgoCd
from .dev import DEV
from .prod import PROD
from .settings import EnvironmentSettings

ENVIRONMENTS: tuple[EnvironmentSettings, ...] = (DEV, PROD)
"""Every environment that is rendered, each into the folder of its name."""

__all__ = ["ARGOCD", "DEV", "ENVIRONMENTS", "PROD", "AiInterviewer", "ArgoCd", "EnvironmentSettings"]
