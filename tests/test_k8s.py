"""This module is the proof that the fast way to write manifests is the L1 classes of cdk8s-plus-27, field by field."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import ROOT, read_manifests


def test_the_real_l1_classes_write_the_same_bytes(tmp_path: Path) -> None:
    # The real classes check types and names themselves and refuse what they do not know.
    subprocess.run([sys.executable, str(ROOT / "tests" / "l1_synth.py"), str(tmp_path)], check=True, timeout=120)
    for environment in ("dev", "prod"):
        files = sorted(path.name for path in (ROOT / "dist" / environment).iterdir())
        assert sorted(path.name for path in (tmp_path / environment).iterdir()) == files
        for file in files:
            assert (tmp_path / environment / file).read_bytes() == (ROOT / "dist" / environment / file).read_bytes()
    assert read_manifests(tmp_path / "dev")
