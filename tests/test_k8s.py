"""This module is the proof that the fast way to write manifests is the typed classes, field by field.

Those are the L1 classes of cdk8s-plus-27, and for custom resources the ones of ``imports/``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ai_interviewer import AiInterviewer, ArgoCd
from conftest import ROOT, read_manifests
from environments import EVERY
from gateway_api import BEHIND_GATEWAY_API
from many_clusters import MANY_CLUSTERS
from mcpmesh_k8s import synthesize


def test_the_real_l1_classes_write_the_same_bytes(tmp_path: Path) -> None:
    # The real classes check types and names themselves and refuse what they do not know.
    real, fast = tmp_path / "real", tmp_path / "fast"
    subprocess.run([sys.executable, str(ROOT / "tests" / "l1_synth.py"), str(real)], check=True, timeout=120)
    AiInterviewer(BEHIND_GATEWAY_API, outdir=fast / "gateway-api").synth()
    many = AiInterviewer(MANY_CLUSTERS, outdir=fast / "many-clusters")
    synthesize([many, ArgoCd([many], outdir=fast / "many-argocd")])
    rendered = [ROOT / "dist" / name for name in (*EVERY, "argocd")]
    rendered += [fast / name for name in ("gateway-api", "many-clusters", "many-argocd")]
    for expected in rendered:
        written = real / expected.name
        files = sorted(path.name for path in expected.iterdir())
        assert sorted(path.name for path in written.iterdir()) == files
        for file in files:
            assert (written / file).read_bytes() == (expected / file).read_bytes()
    kinds = {manifest["kind"] for manifest in read_manifests(real / "gateway-api")}
    assert {"CiliumNetworkPolicy", "HTTPRoute", "ExternalSecret"} <= kinds
    assert "Ingress" not in kinds
    kinds = {manifest["kind"] for name in ("many-clusters", "many-argocd") for manifest in read_manifests(real / name)}
    assert {"SealedSecret", "AppProject", "ApplicationSet"} <= kinds
