"""An environment is one file and one line, and everything that is proven of production is proven of it too.

It is added to a copy of this tree as CONTRIBUTING says.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ai_interviewer import ARGOCD, DEV, PROD, AiInterviewer, EnvironmentSettings
from conftest import ROOT, requires
from environments import EVERY, STAGING
from mcpmesh_k8s import SettingError
from mcpmesh_k8s.operations import Environment, Minikube, SharedCluster, check_environments
from mcpmesh_k8s.operations.cli import main
from stand_ins import StandIns

LEFT_OUT = (".git", ".venv", ".venv-mesh", ".venv-mesh3", "node_modules", "build", ".*_cache", "*.egg-info")
ADD = re.compile(r"tests/(\w+)\.py, (\w+) says nothing of 'staging'\. If this is meant, add the line: (.*)")
FAST = ("snapshots", "properties", "reachability", "argocd", "schemas", "examples", "gateway_lint")
ITS = ("-k", "staging or repository")
"""What is asked of the new environment, or of all at once. The rest holds as before."""
WRITTEN = ("docs/topology.md", "docs/access.md", "docs/environments.md", "docs/resources.md", "docs/operations.md")


ONE_AFTER_THE_OTHER = """
import runpy, sys
for run in (
    lambda: runpy.run_path("main.py", run_name="__main__"),
    lambda: runpy.run_module("ai_interviewer", run_name="__main__", alter_sys=True),
):
    try:
        run()
    except SystemExit as ended:
        print(ended.code)
    sys.argv[1:] = ["urls", *sys.argv[1:]]
"""
"""The synthesis, and then a command, in one Python: it takes longer to start than they do to stop."""


class Tree:
    """A copy of this tree, with an environment more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        for shared in (".venv", "node_modules"):
            (folder / shared).symlink_to(ROOT / shared)
        contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        section = contributing.partition("## Add an environment")[2].partition("\n## ")[0]
        (program,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        (line,) = re.findall(r"`(ENVIRONMENTS: .*)`", section)
        (folder / "constructs/ai_interviewer/staging.py").write_text(textwrap.dedent(program), encoding="utf-8")
        self.edit("constructs/ai_interviewer/__init__.py", r"^ENVIRONMENTS: .*$", line)
        self.edit(
            "constructs/ai_interviewer/__init__.py",
            r"^from \.settings import",
            "from .staging import STAGING\nfrom .settings import",
        )

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace one line, or what begins so."""
        text, count = re.subn(old, lambda _: new, (self.folder / path).read_text(), count=1, flags=re.MULTILINE)
        assert count == 1, f"{path} has no {old}"
        (self.folder / path).write_text(text)

    def run(self, *command: str, path: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program in it."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder / "constructs"), "PATH": path or os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, *arguments)

    def pytest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *arguments)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A copy with staging in it, synthesized and otherwise as it was."""
    tree = Tree(tmp_path_factory.mktemp("copy") / "tree")
    synthesized = tree.python("main.py")
    assert synthesized.returncode == 0, synthesized.stdout + synthesized.stderr
    assert "wrote dist/staging: " in synthesized.stdout
    return tree


@requires("make")
def test_a_new_environment_is_looked_at_by_everything(tree: Tree, long: bool) -> None:
    # What is committed says nothing of it yet.
    targets = tree.python("-m", "ai_interviewer", "makefile").stdout
    assert targets != (tree.folder / "k8s.mk").read_text()

    # Tables that are written by hand fail with the line to add, and snapshots because there is none.
    tables = ("reachability", "properties", "argocd", "snapshots")
    failing = tree.pytest(*(f"tests/test_{name}.py" for name in tables), *ITS)
    lines = {table: (file, line) for file, table, line in ADD.findall(failing.stdout)}
    assert lines == {
        "ALLOWED": (
            "test_reachability",
            '"staging": EVERYWHERE + TO_THE_CLUSTER + TO_THE_MESH + SIGN_IN + TELLS_PEOPLE + ASKS_OUTSIDE + BACKS_UP,',
        ),
        "CLUSTERS": ("test_properties", '"staging": (<CPU>, <memory in GiB>),'),
        "DESTINATIONS": ("test_argocd", '"staging": {"name": "…"},'),
    }
    new = re.findall(r"FAILED tests/test_snapshots\.py::(\S+)", failing.stdout)
    assert len(new) == 10, failing.stdout
    assert all("staging" in name for name in new)

    # With these lines, and what is generated, all of it holds.
    for table, (file, line) in lines.items():
        line = line.replace("<CPU>, <memory in GiB>", "8, 16").replace("…", "staging")
        tree.edit(f"tests/{file}.py", rf"^{table} = \{{$", f"{table} = {{\n    {line}")
    documents = tree.python("docs/generate.py", *(() if long else WRITTEN))
    assert documents.returncode == 0
    for document in WRITTEN:
        assert f"wrote {document}\n" in documents.stdout, f"{document} was not out of date"
    (tree.folder / "k8s.mk").write_text(targets)
    proven = tree.pytest("--snapshot-update", *(f"tests/test_{name}.py" for name in FAST), *ITS)
    assert proven.returncode == 0, proven.stdout
    for document in (*WRITTEN, "k8s.mk"):
        assert "staging" in (tree.folder / document).read_text(encoding="utf-8"), document

    # It is operated as production is: what is deployed was committed, and a change wants its name.
    for target in (("k8s-deploy-staging",), ("k8s-setup", "ENV=staging")):
        planned = tree.run("make", "--dry-run", "--old-file=.venv/.ready", *target).stdout
        assert "dist/ is out of date: run make synth" in planned, "dist-check is left out"
    stand_ins = StandIns(tree.folder / "bin", "kubectl")
    stand_ins.answer("kubectl", "^config get-contexts", "ai-interviewer-staging\n")
    stand_ins.answer("kubectl", "^config view", "{}")
    refused = tree.run(sys.executable, "-m", "ai_interviewer", "restart", "staging", path=str(stand_ins.folder))
    assert refused.returncode == 3
    assert "If you mean it: CONFIRM=staging" in refused.stderr


def test_what_must_hold_in_production_fails_for_a_shared_environment_of_any_name(tree: Tree) -> None:
    """Here: that a person starts each sync."""
    careless = tree.folder / "constructs/ai_interviewer/staging.py"
    before = {path: path.read_bytes() for path in (careless, *tree.folder.glob("dist/*/*"))}
    try:
        tree.edit(
            "constructs/ai_interviewer/staging.py", r"sync=Manual\(\)", "sync=Automated(prune=True, self_heal=True)"
        )
        tree.edit("constructs/ai_interviewer/staging.py", r"import ArgoCdSettings", "import ArgoCdSettings, Automated")
        assert tree.python("main.py").returncode == 0
        failing = tree.pytest("tests/test_argocd.py", "-k", "waits_for_a_person").stdout
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    assert re.findall(r"FAILED tests/test_argocd.py::(\S+)", failing) == [
        "test_a_cluster_of_ones_own_heals_itself_and_a_shared_one_waits_for_a_person[staging]"
    ]


# --- environments that would be taken for another, or for something else ---


def operated(settings: EnvironmentSettings) -> Environment:
    return Environment(
        name=settings.name,
        cluster=settings.cluster,
        make=lambda: AiInterviewer(settings, outdir=Path("dist") / settings.name),
    )


REFUSED = [
    pytest.param([DEV, replace(PROD, name="dev")], "Another environment is called so", id="one name"),
    pytest.param([replace(PROD, name="Staging Area")], "Give a DNS label", id="no folder"),
    pytest.param([replace(PROD, name="../prod")], "Give a DNS label", id="another folder"),
    pytest.param([replace(PROD, name="")], "Give a DNS label", id="no name"),
    pytest.param([PROD, replace(PROD, name="staging")], "That is the cluster of 'prod'", id="one cluster"),
    pytest.param([DEV, replace(PROD, cluster=Minikube())], "That is the cluster of 'dev'", id="one minikube"),
    pytest.param(
        [DEV, replace(PROD, cluster=SharedCluster(context="minikube"))],
        "That is the cluster of 'dev'",
        id="one context",
    ),
]


@pytest.mark.parametrize(("environments", "sentence"), REFUSED)
def test_environments_that_would_be_taken_for_one_another_are_refused_in_one_line(
    environments: Sequence[EnvironmentSettings], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingError, match=re.escape(sentence)):
        check_environments(environments)
    assert main("shop", [operated(settings) for settings in environments], ["urls", "prod"]) == 1
    said = capfd.readouterr().err
    assert said.startswith("error: ")
    assert sentence in said
    assert said.count("\n") == 1


def test_the_folder_of_argocd_is_taken() -> None:
    with pytest.raises(SettingError, match=r"'argocd' was given\. dist/argocd holds what ArgoCD is told"):
        AiInterviewer(replace(STAGING, name=ARGOCD), outdir="unused")


def test_a_name_that_is_taken_stops_the_synthesis_with_one_line_and_nothing_is_written(tree: Tree) -> None:
    settings = tree.folder / "constructs/ai_interviewer/staging.py"
    before = settings.read_text()
    written = sorted(tree.folder.glob("dist/*/*"))
    try:
        for name, sentence in (("argocd", "dist/argocd holds what ArgoCD is told"), ("prod", "Another environment")):
            settings.write_text(before.replace('name="staging",\n', f'name="{name}",\n'))
            stopped = tree.python("-c", ONE_AFTER_THE_OTHER, name)
            assert (stopped.returncode, stopped.stdout) == (0, "1\n1\n")
            lines = stopped.stderr.splitlines()
            assert len(lines) == 2
            for line in lines:
                assert line.startswith("error: ")
                assert sentence in line
    finally:
        settings.write_text(before)
    assert sorted(tree.folder.glob("dist/*/*")) == written


def test_the_environments_of_this_tree_are_told_apart() -> None:
    check_environments([DEV, PROD, STAGING])
    assert len(set(EVERY)) == len(EVERY)
