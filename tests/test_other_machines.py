"""The two commands work, or say why not, in any folder and whatever a person has set for other programs.

A stand-in plays Python, and with it pip and npm: what is tried here is what make tells them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, grid, requires, temporary_folder
from mesh_harness import eventually
from networks import needs_root

pytestmark = requires("make")

STAND_IN = """\
#!/bin/sh
echo "$*" >>"$CALLS"
env >"$CALLS.environment"
case "$*" in
tests/alone.py*) exec "$REAL_PYTHON" -S "$@" ;;
"-m venv --clear "*)
  sleep "${SLOW:-0.2}"
  rm -rf "$4"/* "$4"/.[!.]*
  mkdir -p "$4/bin"
  cp "$0" "$4/bin/python"
  printf '#!/bin/sh\\necho "$HOME $*" >"$CALLS.npm"; mkdir -p node_modules; test ! -e offline\\n' >"$4/bin/npm"
  chmod +x "$4/bin/npm"
  echo "command = python -m venv --clear $PWD/$4" >"$4/pyvenv.cfg" ;;
*" install --progress-bar off -r "*)
  printf 'Collecting one==1 (from -r requirements.txt)\\n  Downloading one-1.whl\\nCollecting two==2\\n'
  test ! -e offline ;;
*--editable*) echo "$PWD/constructs" >.venv/__editable__.mcpmesh_k8s-1.pth ;;
*purelib*) echo .venv ;;
*find_go.py) echo "$PWD/go" ;;
esac
"""
GO = """\
#!/bin/sh
test "$1" = version && exit
mkdir -p build/bin
for word in "$@"; do echo "$word" >>"$CALLS.go"; test "$before" != -o || echo half >"$word"; before=$word; done
test ! -e killed || kill -9 $(ps -o ppid= -p "$PPID") "$PPID"
"""
ODD = "it's a, clone #1 50% [ü] (x)&;=b ~ *"


class Clone:
    """What make reads of a clone, in a folder of this name."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._calls = folder, folder.parent / "calls"
        folder.mkdir()
        for name in (
            "Makefile",
            "k8s.mk",
            "requirements.txt",
            "requirements-mesh.txt",
            "package.json",
            "package-lock.json",
            ".npmrc",
        ):
            shutil.copy(ROOT / name, folder)
        registry = (f"tests/mesh_registry/{name}" for name in ("package.json", "package-lock.json"))
        alone = "tests/alone.py"
        for name in ("constructs/mcpmesh_k8s_node.pth", "tests/age/go.mod", "tests/age/go.sum", alone, *registry):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        self.program("python", STAND_IN)
        self.program("go", GO)

    def program(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def make(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        with self.begin(*words, **environment) as process:
            said, complaint = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, said, complaint)

    def begin(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start make."""
        return subprocess.Popen(
            ["make", "PYTHON=./python", *words],
            cwd=self.folder,
            env={**os.environ, "CALLS": str(self._calls), "REAL_PYTHON": sys.executable, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def calls(self, suffix: str = "") -> list[str]:
        path = Path(f"{self._calls}{suffix}")
        return path.read_text().splitlines() if path.exists() else []


# --- the folder ---


def test_a_folder_of_any_other_name_is_set_up_and_programs_are_built_into_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path / ODD)
    done = clone.make("node_modules/.ready", "build/bin/age")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (clone.folder / "node_modules/.ready").exists()
    # Python would not start in a locale without ü, where its letters stood there.
    assert (clone.folder / ".venv/__editable__.mcpmesh_k8s-1.pth").read_text() == "../../../../constructs\n"
    assert clone.calls(".go")[-3:] == ["-o", f"{clone.folder}/build/bin/age.new", "tool"]
    assert (clone.folder / "build/bin/age").exists()


@pytest.mark.parametrize(
    ("character", "target"), [*((character, "synth") for character in ':$`"\\{}'), (":", "test"), ("$", "setup")]
)
def test_a_folder_in_which_python_makes_no_environment_is_refused_in_one_sentence(
    tmp_path: Path, character: str, target: str
) -> None:
    clone = Clone(tmp_path / f"a{character}b")
    done = clone.make(target)
    assert done.returncode == 2
    assert 'The path of this folder has one of : $ ` " \\ { } in it, with which Python' in done.stdout
    assert clone.calls() == []


def test_programs_are_found_in_a_folder_whose_name_could_be_a_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "[a] *"
    for module in ("age", "oauth2_proxy", "postgres_exporter"):
        (folder / "tests" / module).mkdir(parents=True)
        shutil.copy(ROOT / "tests" / module / "go.mod", folder / "tests" / module)
    shutil.copy(ROOT / "tests/programs.py", folder / "tests")
    tsx, mesh = folder / "node_modules/.bin/tsx", folder / ".venv-mesh/lib/python3.11/site-packages/mesh"
    tsx.parent.mkdir(parents=True)
    tsx.touch(0o755)
    mesh.mkdir(parents=True)
    (folder / ".venv-mesh/bin").mkdir()
    asked = "from programs import find, named; print(*(find(named(name)).path for name in ('tsx', 'mesh')), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", asked], cwd=folder / "tests", capture_output=True, text=True)
    assert done.stdout.splitlines() == [str(tsx), str(folder / ".venv-mesh/bin")], done.stderr


# --- an environment that came along ---


@pytest.fixture
def ready(tmp_path: Path) -> Clone:
    clone = Clone(tmp_path / "clone")
    assert clone.make(".venv/.ready").returncode == 0
    return clone


def made_anew(clone: Clone) -> bool:
    before = clone.calls().count("-m venv --clear .venv")
    assert clone.make(".venv/.ready").returncode == 0
    return clone.calls().count("-m venv --clear .venv") > before


def moved(clone: Clone) -> Clone:
    clone.folder = clone.folder.rename(clone.folder.with_name("elsewhere"))
    return clone


def copied(clone: Clone) -> Clone:
    clone.folder = Path(shutil.copytree(clone.folder, clone.folder.with_name("copy")))
    return clone


def without_its_python(clone: Clone) -> Clone:
    (clone.folder / ".venv/bin/python").unlink()
    (clone.folder / ".venv/bin/python").symlink_to("/nowhere/python3")
    return clone


def reached_by_a_link(clone: Clone) -> Clone:
    link = clone.folder.with_name("link")
    link.symlink_to(clone.folder)
    clone.folder = link
    return clone


def linked_to_that_of_another(clone: Clone) -> Clone:
    another = clone.folder.with_name("another")
    (clone.folder / ".venv").rename(another)
    (clone.folder / ".venv").symlink_to(another)
    return clone


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        (moved, True),
        (copied, True),
        (without_its_python, True),
        (reached_by_a_link, False),
        (linked_to_that_of_another, False),
        (lambda clone: clone, False),
    ],
    ids=["moved", "copied", "its Python is gone", "reached by a link", "a link to another", "as it was"],
)
def test_an_environment_of_another_folder_or_of_no_python_is_made_anew(
    ready: Clone, change: Callable[[Clone], Clone], anew: bool
) -> None:
    assert made_anew(change(ready)) == anew


def test_an_environment_of_another_folder_is_left_alone_when_ones_own_is_made_anew(ready: Clone) -> None:
    linked_to_that_of_another(ready)
    mine = ready.folder.with_name("another") / "mine"
    mine.touch()
    requirements = ready.folder / "requirements.txt"
    os.utime(requirements, (requirements.stat().st_atime, time.time() + 1))
    assert made_anew(ready)
    assert mine.exists()
    assert not (ready.folder / ".venv").is_symlink()


def test_make_says_what_it_installs_a_line_for_each_package(tmp_path: Path) -> None:
    said = Clone(tmp_path / "clone").make(".venv/.ready").stdout
    assert said == "--- .venv: the Python packages of requirements.txt\n  one==1\n  two==2\n"


def test_a_program_whose_build_is_killed_is_built_anew(ready: Clone) -> None:
    (ready.folder / "killed").touch()
    assert "Killed" in ready.make("build/bin/age").stderr
    (ready.folder / "killed").unlink()
    assert "--- build/bin/age" in ready.make("build/bin/age").stdout, "the half of it is taken for done"


@pytest.mark.parametrize("target", ["node_modules/.ready", "build/mesh-registry/.ready", ".venv-mesh/.ready"])
def test_what_could_not_be_brought_is_asked_for_again(ready: Clone, target: str) -> None:
    (ready.folder / "offline").touch()
    assert ready.make(target).returncode == 2
    (ready.folder / "offline").unlink()
    done = ready.make(target)
    assert done.returncode == 0
    assert "--- " in done.stdout, "it is taken for done"


# --- what a person has set ---


def test_what_is_set_for_other_programs_does_not_reach_those_of_make(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    python = ("HOME", "INSPECT", "OPTIMIZE", "PATH", "PLATLIBDIR", "SAFEPATH", "UTF8", "WARNINGS")
    pip = ("CONSTRAINT", "DRY_RUN", "PREFIX", "PYTHON", "REQUIRE_HASHES", "ROOT", "TARGET")
    go = ("ARCH", "FLAGS", "OS", "ROOT", "TOOLCHAIN", "WORK")
    hostile = {
        f"{tool}{name}": "1" for tool, names in (("PYTHON", python), ("PIP_", pip), ("GO", go)) for name in names
    }
    hostile |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": "/nowhere"}
    kept = {
        "HTTPS_PROXY": "http://proxy.example.com",
        "PIP_CERT": "/etc/ours.pem",
        "PIP_INDEX_URL": "https://pypi.example.com",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    set_too = {"PIP_NO_BINARY": ":all:", "PIP_USER": "1", "LC_ALL": "C"}
    assert clone.make(".venv/.ready", **set_too, **hostile, **kept).returncode == 0
    seen = {name: value for name, _, value in (line.partition("=") for line in clone.calls(".environment"))}
    assert hostile.keys() & seen.keys() == set()
    assert seen.items() >= {"PIP_NO_BINARY": ":none:", "PIP_USER": "0", "LC_ALL": "C.UTF-8", **kept}.items()


def test_a_temporary_folder_that_is_there_is_kept(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    assert clone.make(".venv/.ready", TMPDIR=str(tmp_path)).returncode == 0
    assert f"TMPDIR={tmp_path}" in clone.calls(".environment")


@pytest.mark.parametrize("target", ["node_modules/.ready", "build/mesh-registry/.ready"])
def test_npm_brings_all_tools_and_here_whatever_it_was_told_of_other_projects(ready: Clone, target: str) -> None:
    """By NODE_ENV=production, by variables, or in a file in one's home: words of the command come before them."""
    assert ready.make(target).returncode == 0
    (called,) = ready.calls(".npm")
    words = {"--bin-links", "--install-strategy=hoisted", "--no-dry-run", "--no-global", "--location=project"}
    assert words <= set(called.split())
    assert ("--include=dev" in called) == target.startswith("node_modules")


@pytest.mark.parametrize("home", ["", "/nowhere", "own"])
def test_npm_gets_a_home_that_it_can_write_to(ready: Clone, home: str) -> None:
    """Without one it fails, or tries for ever."""
    own = ready.folder.with_name("own")
    own.mkdir()
    assert ready.make("node_modules/.ready", HOME=str(own) if home == "own" else home).returncode == 0
    (called,) = ready.calls(".npm")
    assert called.startswith(f"{own if home == 'own' else ready.folder / 'build'} ci ")


@pytest.mark.parametrize("target", ["synth", "test", "setup"])
@pytest.mark.parametrize("given", ["PYTHON=./old", "PYTHON=no-such-python"])
def test_a_python_that_is_too_old_is_refused_before_it_runs_anything(tmp_path: Path, given: str, target: str) -> None:
    clone = Clone(tmp_path / "clone")
    clone.program("old", '#!/bin/sh\necho "$*" >>"$CALLS"\nexit 1\n')
    done = clone.make(given, target)
    assert done.returncode == 2
    name = given.removeprefix("PYTHON=")
    assert f"{name} is not Python 3.11 or newer. Name one that is: make PYTHON=python3.12\n" in done.stdout
    assert [call for call in clone.calls() if "version_info" not in call] == []


@pytest.mark.parametrize("target", ["synth", "test", "k8s-urls"])
def test_a_folder_that_cannot_be_written_to_is_refused_in_one_sentence(tmp_path: Path, target: str) -> None:
    """As one that another user has made, or a medium that is only read. Root is stopped by a file in its place."""
    clone = Clone(tmp_path / "clone")
    (clone.folder / "build").write_text("")
    before = sorted(path.name for path in clone.folder.iterdir())
    done = clone.make(target)
    assert done.returncode == 2
    assert done.stderr.startswith("What make installs comes into this folder, and it cannot be written to: [Errno 17] ")
    assert done.stderr.count("\n") == 2, done.stderr  # and make's own
    assert sorted(path.name for path in clone.folder.iterdir()) == before


def test_targets_that_are_asked_for_at_once_set_up_one_after_the_other(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    done = clone.make("--jobs=4", "synth", "setup", "lint", "SYSTEM_PACKAGES=no")
    assert clone.calls().count("-m venv --clear .venv") == 1, done.stdout


def test_of_two_makes_that_set_up_one_folder_at_once_one_waits_and_finds_all_made(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    both = [clone.begin("node_modules/.ready", SLOW="1") for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    calls = clone.calls()
    assert calls.count("-m venv --clear .venv") == 1, calls
    waited = sum("--- waits: another make sets up this folder\n" in out for out, _ in said)
    assert waited in (1, 2), said


def test_who_waits_for_a_set_up_that_fails_does_it_anew(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    (clone.folder / "offline").touch()
    both = [clone.begin("node_modules/.ready", SLOW="1") for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [2, 2], said
    (clone.folder / "offline").unlink()
    assert clone.make("node_modules/.ready").returncode == 0, "nobody holds the lock any more"


def test_a_set_up_that_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    with clone.begin(".venv/.ready", SLOW="30") as process:
        assert eventually(lambda: "-m venv --clear .venv" in clone.calls(), 30)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    assert clone.make(".venv/.ready").returncode == 0


# --- the Node that cdk8s needs ---

RENDERS = """
import mcpmesh_k8s as m
shop = m.Application(m.ApplicationSettings(name="shop"), outdir="shop")
m.Namespace(m.Phase(shop, "all"), m.NamespaceSettings(budget=m.Budget(cpu="1", memory="1Gi")))
shop.synth()
"""


def rendering(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RENDERS]
    return subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True)


@pytest.mark.parametrize("folder", grid(["nowhere", "own"], short=["nowhere"]))
def test_what_a_person_has_set_for_a_node_of_their_own_does_not_reach_that_of_cdk8s(
    tmp_path: Path, folder: str
) -> None:
    (tmp_path / "own").mkdir()
    done = rendering(tmp_path, NODE_OPTIONS="--no-such-option", TMPDIR=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "shop/0000-all.k8s.yaml").exists()


@pytest.mark.parametrize(
    ("node", "why"),
    [("/nowhere/node", "[Errno 2] No such file or directory: '/nowhere/node'"), ("/bin/false", "it ended at once")],
)
def test_a_node_that_does_not_start_is_named_in_one_sentence(tmp_path: Path, node: str, why: str) -> None:
    done = rendering(tmp_path, JSII_NODE=node)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: cdk8s needs Node, and {node} does not start: {why}")
    assert done.stderr.count("\n") == 1


@needs_root  # that of another
@pytest.mark.parametrize(
    "home",
    grid(["of a group", "of another", "of a group, below", "a file", "nowhere"], short=["nowhere"]),
)
def test_a_home_in_which_jsii_would_keep_nothing_is_left_alone(tmp_path: Path, home: str) -> None:
    """As of a container whose user is any, of a machine with umask 002, and of a user without one."""
    below = tmp_path / "home/.cache/aws"
    below.mkdir(parents=True)
    if home == "of a group":
        (tmp_path / "home").chmod(0o775)
    elif home == "of a group, below":
        below.chmod(0o775)
    elif home == "of another":
        os.chown(tmp_path / "home", 4242, 4242)
    given = {"a file": "/dev/null", "nowhere": "/proc/nowhere"}.get(home, str(tmp_path / "home"))
    done = rendering(tmp_path, HOME=given)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "shop/0000-all.k8s.yaml").exists()
    assert not list(below.rglob("*.js"))


@pytest.mark.long  # it is unpacked twice
def test_a_home_of_ones_own_keeps_once_what_jsii_has_unpacked(tmp_path: Path) -> None:
    """Of our own JavaScript too: each synthesis left another copy, for a month."""
    (tmp_path / "home").mkdir(0o700)
    for _ in range(2):
        assert rendering(tmp_path, HOME=str(tmp_path / "home")).returncode == 0
        time.sleep(1)  # a gzip says in which second it was made
    kept = tmp_path / "home/.cache/aws/jsii/package-cache"
    assert (kept / "cdk8s").is_dir()
    assert len(list((kept / "mcpmesh-k8s-api-objects/1.0.0").iterdir())) == 1


# --- where the tests keep what is temporary ---


def test_servers_are_given_paths_that_end_at_no_blank_fit_a_socket_and_can_be_entered(tmp_path: Path) -> None:
    own = Path("/tmp") / f"mcpmesh-{os.getpid()}"
    own.mkdir()
    try:
        assert temporary_folder(str(own)) == str(own)
        own.chmod(0o700)
        assert temporary_folder(str(own)) == ("/tmp" if os.geteuid() == 0 else str(own))
    finally:
        own.rmdir()
    for odd in (
        "/var/tmp/of a person",
        "relative",
        "/var/tmp/" + "long/" * 10,
        "/var/tmp/a'b",
        "/var/tmp/{a}",
        "/tmp/ü",
    ):
        assert temporary_folder(odd) == "/tmp", odd
