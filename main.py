"""This module is what `cdk8s synth` runs: it writes every environment, all of them or none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "constructs"))

from ai_interviewer import ARGOCD, ENVIRONMENTS, AiInterviewer, ArgoCd
from mcpmesh_k8s import Application, SettingError, TreeError, synthesize
from mcpmesh_k8s.operations import check_environments


def main() -> int:
    """Write the environments and say where they are."""
    outdir = Path(os.environ.get("CDK8S_OUTDIR") or "dist")
    try:
        check_environments(ENVIRONMENTS)
        environments = [AiInterviewer(environment, outdir=outdir / environment.name) for environment in ENVIRONMENTS]
        applications: list[Application] = [*environments, ArgoCd(environments, outdir=outdir / ARGOCD)]
        synthesize(applications)
    except (SettingError, TreeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    for application in applications:
        phases = application.manifests().values()
        print(f"wrote {application.directory}: {sum(map(len, phases))} objects in {len(phases)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
