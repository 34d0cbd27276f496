"""An environment is one file and one line, and everything that is proven of production is proven of it too.

It is added to a copy of this tree as CONTRIBUTING says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ai_interviewer import ARGOCD, DEV, PROD, AiInterviewer, EnvironmentSettings
from conftest import ROOT, grid, requires
from environments import EVERY, STAGING
from mcpmesh_k8s import SettingError
from mcpmesh_k8s.operations import Environment, Minikube, SharedCluster, check_environments
from mcpmesh_k8s.operations.cli import main
from stand_ins import StandIns

LEFT_OUT = (".git", ".venv", ".venv-mesh", ".venv-mesh3", "node_modules", "build", ".*_cache", "*.egg-info")
ADD = re.compile(r"tests/(\w+)\.py, (\w+) says nothing of 'staging'\. If this is meant, add the line: (.*)")
TABLES = ("reachability", "properties", "argocd", "snapshots")
FAST = (*TABLES, "schemas", "examples", "gateway_lint")
ITS = ("-k", "staging or repository")
"""What is asked of the new environment, or of all at once. The rest holds as before."""
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider", "-n", "0")
WRITTEN = ("docs/topology.md", "docs/access.md", "docs/environments.md", "docs/resources.md", "docs/operations.md")


ONE_AFTER_THE_OTHER = """
import json, runpy, sys
for words in json.loads(sys.argv[1]):
    sys.argv[:] = words
    status = 0
    try:
        if words[0].endswith(".py"):
            runpy.run_path(words[0], run_name="__main__")
        else:
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = int(ended.code or 0)
    print("\\nended with", status, flush=True)
"""
"""Several programs in one Python: it takes longer to start than most of them do."""


@dataclass(frozen=True)
class Ended:
    """Programs that ran one after the other: what each printed and how it ended, and what all of them complained."""

    printed: Sequence[str]
    statuses: Sequence[int]
    stderr: str


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

    def one_after_the_other(self, *programs: Sequence[str], path: str = "") -> Ended:
        """Run modules of Python, and files, in one process."""
        done = self.run(sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(programs), path=path)
        *printed, rest = re.split(r"\nended with (\d+)\n", done.stdout)
        assert (done.returncode, rest, len(printed)) == (0, "", 2 * len(programs)), done.stdout + done.stderr
        return Ended(printed[::2], [int(status) for status in printed[1::2]], done.stderr)


@dataclass(frozen=True)
class Made:
    """A copy with staging in it, synthesized and otherwise as it was."""

    tree: Tree
    targets: str
    refused: tuple[int, str]
    """How a command that changes it ended without consent, and what it said."""
    failing: str
    """What the tests with tables said of it."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("copy")
    tree = Tree(folder / "tree")
    stand_ins = StandIns(folder / "bin", "kubectl")
    stand_ins.answer("kubectl", "^config get-contexts", "ai-interviewer-staging\n")
    stand_ins.answer("kubectl", "^config view", "{}")
    ended = tree.one_after_the_other(
        ["main.py"],
        ["ai_interviewer", "makefile"],
        ["ai_interviewer", "restart", "staging"],
        [*PYTEST, *(f"tests/test_{name}.py" for name in TABLES), *ITS],
        path=f"{stand_ins.folder}{os.pathsep}{os.environ['PATH']}",
    )
    synthesized, targets, _, failing = ended.printed
    assert ended.statuses[:2] == [0, 0], ended.stderr
    assert "wrote dist/staging: " in synthesized
    return Made(tree, targets, (ended.statuses[2], ended.stderr), failing)


@pytest.fixture
def tree(made: Made) -> Tree:
    return made.tree


@requires("make")
def test_a_new_environment_is_looked_at_by_everything(made: Made, long: bool) -> None:
    # What is committed says nothing of it yet.
    tree = made.tree
    assert made.targets != (tree.folder / "k8s.mk").read_text()

    # Tables that are written by hand fail with the line to add, and snapshots because there is none.
    lines = {table: (file, line) for file, table, line in ADD.findall(made.failing)}
    assert lines == {
        "ALLOWED": (
            "test_reachability",
            '"staging": EVERYWHERE + TO_THE_CLUSTER + TO_THE_MESH + SIGN_IN + TELLS_PEOPLE + ASKS_OUTSIDE + BACKS_UP,',
        ),
        "CLUSTERS": ("test_properties", '"staging": (<CPU>, <memory in GiB>),'),
        "DESTINATIONS": ("test_argocd", '"staging": {"name": "…"},'),
    }
    new = re.findall(r"FAILED tests/test_snapshots\.py::(\S+)", made.failing)
    assert len(new) == 10, made.failing
    assert all("staging" in name for name in new)

    # With these lines, and what is generated, all of it holds.
    for table, (file, line) in lines.items():
        line = line.replace("<CPU>, <memory in GiB>", "8, 16").replace("…", "staging")
        tree.edit(f"tests/{file}.py", rf"^{table} = \{{$", f"{table} = {{\n    {line}")
    (tree.folder / "k8s.mk").write_text(made.targets)
    ended = tree.one_after_the_other(
        ["docs/generate.py", *(() if long else WRITTEN)],
        [*PYTEST, "--snapshot-update", *(f"tests/test_{name}.py" for name in (FAST if long else TABLES)), *ITS],
    )
    documents, proven = ended.printed
    assert ended.statuses == [0, 0], proven + ended.stderr
    for document in WRITTEN:
        assert f"wrote {document}\n" in documents, f"{document} was not out of date"
    for document in (*WRITTEN, "k8s.mk"):
        assert "staging" in (tree.folder / document).read_text(encoding="utf-8"), document

    # It is operated as production is: what is deployed was committed, and a change wants its name.
    for target in (("k8s-deploy-staging",), ("k8s-setup", "ENV=staging")):
        planned = tree.run("make", "--dry-run", "--old-file=.venv/.ready", *target).stdout
        assert "dist/ is out of date: run make synth" in planned, "dist-check is left out"
    status, said = made.refused
    assert status == 3
    assert "If you mean it: CONFIRM=staging" in said


def test_what_must_hold_in_production_fails_for_a_shared_environment_of_any_name(tree: Tree) -> None:
    """Here: that a person starts each sync."""
    careless = tree.folder / "constructs/ai_interviewer/staging.py"
    before = {path: path.read_bytes() for path in (careless, *tree.folder.glob("dist/*/*"))}
    try:
        tree.edit(
            "constructs/ai_interviewer/staging.py", r"sync=Manual\(\)", "sync=Automated(prune=True, self_heal=True)"
        )
        tree.edit("constructs/ai_interviewer/staging.py", r"import ArgoCdSettings", "import ArgoCdSettings, Automated")
        ended = tree.one_after_the_other(["main.py"], [*PYTEST, "tests/test_argocd.py", "-k", "waits_for_a_person"])
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    assert ended.statuses == [0, 1], ended.stderr
    assert re.findall(r"FAILED tests/test_argocd.py::(\S+)", ended.printed[1]) == [
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


TAKEN = (("argocd", "dist/argocd holds what ArgoCD is told"), ("prod", "Another environment"))


@pytest.mark.parametrize(("name", "sentence"), grid(TAKEN, short=TAKEN[:1]))
def test_a_name_that_is_taken_stops_the_synthesis_with_one_line_and_nothing_is_written(
    tree: Tree, name: str, sentence: str
) -> None:
    settings = tree.folder / "constructs/ai_interviewer/staging.py"
    before = settings.read_text()
    written = sorted(tree.folder.glob("dist/*/*"))
    try:
        settings.write_text(before.replace('name="staging",\n', f'name="{name}",\n'))
        stopped = tree.one_after_the_other(["main.py"], ["ai_interviewer", "urls", name])
    finally:
        settings.write_text(before)
    assert (stopped.statuses, stopped.printed) == ([1, 1], ["", ""])
    lines = stopped.stderr.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("error: ")
        assert sentence in line
    assert sorted(tree.folder.glob("dist/*/*")) == written


def test_the_environments_of_this_tree_are_told_apart() -> None:
    check_environments([DEV, PROD, STAGING])
    assert len(set(EVERY)) == len(EVERY)
