"""This module is the operator's command line: `python -m ai_interviewer COMMAND ENVIRONMENT`."""

from __future__ import annotations

import sys
from pathlib import Path

from mcpmesh_k8s.operations import Environment
from mcpmesh_k8s.operations.cli import main

from . import ENVIRONMENTS, AiInterviewer, EnvironmentSettings


def operated(settings: EnvironmentSettings) -> Environment:
    """An environment as it is operated, with its manifests in ``dist/``."""
    return Environment(
        name=settings.name,
        cluster=settings.cluster,
        make=lambda: AiInterviewer(settings, outdir=Path("dist") / settings.name),
    )


if __name__ == "__main__":
    sys.exit(main("python -m ai_interviewer", [operated(settings) for settings in ENVIRONMENTS]))
