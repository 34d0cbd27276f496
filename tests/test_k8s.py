"""This module is the proof that the fast way to write manifests is the typed classes, field by field.

Those are the L1 classes of cdk8s-plus-27, and for custom resources the ones of ``imports/``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ai_interviewer import AiInterviewer, ArgoCd
from conftest import ROOT, read_manifests
from environments import EVERY
from many_clusters import OTHERWISE
from mcpmesh_k8s import synthesize


@pytest.mark.long  # test_api.py asks each kind and field by what the package says of them
def test_the_real_l1_classes_write_the_same_bytes(tmp_path: Path) -> None:
    # The real classes check types and names themselves and refuse what they do not know.
    real, fast = tmp_path / "real", tmp_path / "fast"
    subprocess.run([sys.executable, str(ROOT / "tests" / "l1_synth.py"), str(real)], check=True, timeout=120)
    otherwise = AiInterviewer(OTHERWISE, outdir=fast / OTHERWISE.name)
    synthesize([otherwise, ArgoCd([otherwise], outdir=fast / "many-argocd")])
    rendered = [ROOT / "dist" / name for name in (*EVERY, "argocd")]
    rendered += [fast / name for name in (OTHERWISE.name, "many-argocd")]
    for expected in rendered:
        written = real / expected.name
        files = sorted(path.name for path in expected.iterdir())
        assert sorted(path.name for path in written.iterdir()) == files
        for file in files:
            assert (written / file).read_bytes() == (expected / file).read_bytes()
    kinds = {manifest["kind"] for folder in rendered for manifest in read_manifests(real / folder.name)}
    assert {"CiliumNetworkPolicy", "HTTPRoute", "Ingress", "NetworkPolicy"} <= kinds
    assert {"ExternalSecret", "SealedSecret", "AppProject", "ApplicationSet"} <= kinds
