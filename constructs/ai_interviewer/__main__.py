"""This module is the operator's command line: `python -m ai_interviewer COMMAND ENV`, or `ai-interviewer …`."""

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


def run() -> int:
    """Run the command that was typed, and return its exit status."""
    called = Path(sys.argv[0]).name
    program = "python -m ai_interviewer" if called == "__main__.py" else called
    return main(program, [operated(settings) for settings in ENVIRONMENTS])


if __name__ == "__main__":
    sys.exit(run())
