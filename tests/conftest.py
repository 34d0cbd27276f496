"""This module is what all tests share: what is rendered, what a test asks for, and what is said of a skipped one."""

from __future__ import annotations

import fcntl
import gc
import importlib
import inspect
import os
import pickle
import pkgutil
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Container, Generator, Iterable, Mapping, Sequence
from functools import cache, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import pytest

from only_asked import OnlyAsked
from processes import memory
from programs import PROGRAMS, Program, how_to_get, named
from reading import Manifest as Manifest
from reading import objects_of
from reading import read_manifests as read_manifests

if TYPE_CHECKING:  # who only collects, or runs what knows no manifests, need not start Node
    from mcpmesh_k8s import Phase

ROOT = Path(__file__).parent.parent
IN_CI = os.environ.get("CI") == "true"
NEEDS = "needs_"
LACKS = "lacks"
KEPT = "MCPMESH_TESTS_KEPT"
"""The variable that says where all workers of a run keep what takes long to make: a folder that goes with the run."""
OF_TESTS = ("CI", "HOME", "JSII_", "MCPMESH_", "PATH", "PYTEST", "PYTHON", "TERM", "TMPDIR", "TZ", "USER", "XDG_")
"""How the variables begin that reach tests. What else a person has set is for others: a proxy, a cluster."""
KEPT_IN = pytest.StashKey[tempfile.TemporaryDirectory[str]]()
# Modules whose tests stay together and take long begin first: the last worker ends soon after the others. Those that
# wait for servers stand between those that compute, so that both cores always have something to do.
LONGEST = (
    *("test_gateway_runtime", "test_data_moves", "test_mesh_tls", "test_operations", "test_gateway_attacks"),
    *("test_postgres_databases", "test_login_runtime", "test_rotation", "test_watching", "test_new_environment"),
    *("test_other_machines", "test_settings", "test_smoke_runtime", "test_language_runtimes", "test_failures"),
    *("test_load", "test_kubectl", "test_platforms", "test_redis_runtime", "test_redis_backup"),
    *("test_command_line", "test_age", "test_repository", "test_digests", "test_synthesis", "test_health_runtime"),
    *("test_programs", "test_backups", "test_postgres_exporter", "test_mesh_dashboard", "test_mesh_runtime"),
    *("test_stores", "test_bad_days"),
    # Of `make test-mesh`.
    *("test_roll_out", "test_traffic", "test_states", "test_beside_0_5", "test_variables"),
)
ONLY_ASKED = pytest.StashKey[OnlyAsked]()

Manifests = Callable[[str], list[Manifest]]
T = TypeVar("T")


@pytest.fixture(scope="session")
def manifests() -> Manifests:
    """All objects of an environment, as they lie in dist/: what is deployed is what is tested."""
    read: dict[str, list[Manifest]] = {}

    def of(environment: str) -> list[Manifest]:
        if environment not in read:
            read[environment] = read_manifests(ROOT / "dist" / environment)
        return read[environment]

    return of


def made_once(name: str, make: Callable[[], T]) -> T:
    """What takes long, made by the first worker that asks for it and read by the others of the run."""
    place = Path(os.environ[KEPT]) / f"{name}.pickle"
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            place.write_bytes(pickle.dumps(make()))
    found: T = pickle.loads(place.read_bytes())
    return found


@pytest.fixture(scope="session")
def behind_gateway_api() -> list[Manifest]:
    """All objects of production with an HTTPRoute in place of the Ingress."""

    def make() -> list[Manifest]:
        from ai_interviewer import AiInterviewer
        from gateway_api import BEHIND_GATEWAY_API

        return objects_of(AiInterviewer(BEHIND_GATEWAY_API, outdir="unused"))

    return made_once("behind-gateway-api", make)


@pytest.fixture(scope="session")
def for_many_clusters() -> list[Manifest]:
    """All objects of production with sealed values, and of ArgoCD that deploys it to many clusters."""

    def make() -> list[Manifest]:
        from ai_interviewer import AiInterviewer, ArgoCd
        from many_clusters import MANY_CLUSTERS

        deployed = AiInterviewer(MANY_CLUSTERS, outdir=Path("unused") / MANY_CLUSTERS.name)
        return [*objects_of(deployed), *objects_of(ArgoCd([deployed], outdir="unused/argocd"))]

    return made_once("for-many-clusters", make)


@pytest.fixture(scope="session")
def in_transit() -> dict[str, list[Manifest]]:
    """All objects of production as each choice encrypts what pods say."""

    def make() -> dict[str, list[Manifest]]:
        from ai_interviewer import AiInterviewer
        from encrypted import ENCRYPTED

        return {name: objects_of(AiInterviewer(one, outdir=f"unused/{name}")) for name, one in ENCRYPTED.items()}

    return made_once("in-transit", make)


@pytest.fixture(scope="module")
def schemas_are_read_once() -> Generator[None, None, None]:
    """For each object the package reads all definitions of a version again, and lists the versions."""
    import kubernetes_validate

    with pytest.MonkeyPatch.context() as patch:
        for name in ("schema_contents", "all_versions"):
            reader = f"{kubernetes_validate.validate.__module__}.{name}"
            patch.setattr(reader, cache(pkgutil.resolve_name(reader)))
        yield


@pytest.fixture(scope="module")
def commands_are_made_once() -> Generator[None, None, None]:
    """A process makes the command line once, and reads dist/ once. In a test that runs a hundred commands, too."""
    import typer

    from mcpmesh_k8s.operations import Environment, cli, rendered
    from mcpmesh_k8s.operations.terminal import is_fancy

    make, read, build = cli.command_line, rendered.load, typer.main.get_command

    @cache
    def made(program: str, environments: Sequence[Environment], fancy: bool) -> typer.Typer:
        return make(program, environments)

    @cache
    def pickled(text: str) -> bytes:
        return pickle.dumps(read(text))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "command_line", lambda program, of: made(program, tuple(of), is_fancy()))
        patch.setattr(typer.main, "get_command", cache(build))
        # A copy each time: whoever changes what he was given changes nothing for others.
        patch.setattr(rendered, "load", lambda text: pickle.loads(pickled(text)))
        yield


def close(phase: Phase) -> None:
    """Close the namespace, as every application must that runs pods, without the quota of a Namespace."""
    from closed import Closed

    Closed(phase)


@pytest.fixture(scope="session")
def repository(needs_git: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The variables with which git takes this folder for a repository: none in a clone."""
    if (ROOT / ".git").exists():
        return {}
    variables = {"GIT_DIR": str(tmp_path_factory.mktemp("repository")), "GIT_WORK_TREE": str(ROOT)}
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    for command in (("init", "--quiet"), ("add", "dist"), ("commit", "--quiet", "--message", "What is rendered")):
        subprocess.run(["git", *who, *command], cwd=ROOT, env={**os.environ, **variables}, check=True)
    return variables


# --- a proof at many points: at all of them in CI, at some elsewhere ---


def grid(points: Iterable[object], *, short: Container[object]) -> list[object]:
    """The points at which one proof is tried, for `parametrize`: those in `short` always, the others with --long."""
    marks = {True: (), False: (pytest.mark.long,)}
    tried = [(point if isinstance(point, tuple) else (point,), marks[point in short]) for point in points]
    assert any(not long for _, long in tried), "None of them is tried."
    return [pytest.param(*values, marks=long) for values, long in tried]


def try_each(cases: Iterable[tuple[str, Callable[[], object]]]) -> None:
    """Try every case of one table in one test, which takes a tenth of a test for each, and name all that fail."""
    failed: list[str] = []
    for name, attempt in cases:
        try:
            attempt()
        except (Exception, pytest.fail.Exception) as error:  # a case that fails, however, hides no other
            failed.append(f"{name}: {type(error).__name__}: {error}")
    if failed:
        pytest.fail("\n\n".join(failed), pytrace=False)


@runtime_checkable
class Fresh(Protocol):
    """What a test is given and changes, so that each case of `at_each` wants it as it was."""

    def afresh(self) -> object:
        """The same, as if nothing had happened."""


def at_each(
    names: str | tuple[str, ...], cases: Iterable[object], ids: Iterable[str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Try a test at every case of a table, as `parametrize` does, but in one test, which names each case that fails.

    For cases that take no time. What is `Fresh` is so at each; of other fixtures all cases have the same.
    """
    arguments = (names,) if isinstance(names, str) else names
    table = list(cases)
    called = [repr(case)[:200] for case in table] if ids is None else list(ids)

    def tried_at_each(test: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(test)

        @wraps(test)
        def all_of_them(**fixtures: object) -> None:
            def attempt(case: object) -> None:
                values = (case,) if isinstance(names, str) else case
                given = {name: one.afresh() if isinstance(one, Fresh) else one for name, one in fixtures.items()}
                test(**given, **dict(zip(arguments, values, strict=True)))  # type: ignore[call-overload]

            try_each((name, partial(attempt, case)) for name, case in zip(called, table, strict=True))

        others = [one for name, one in signature.parameters.items() if name not in arguments]
        all_of_them.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return all_of_them

    return tried_at_each


# --- programs: a test asks for what it starts, and is skipped where that is not ---


def requires(*programs: str) -> pytest.MarkDecorator:
    """Mark a test, or by `pytestmark` a whole module, as one that starts these programs of tests/programs.py."""
    return pytest.mark.usefixtures(*(NEEDS + named(program).name for program in programs))


def _needing(program: Program) -> Callable[..., Path]:
    """The fixture that asks for a program, for other fixtures: the path of its first command."""

    @pytest.fixture(scope="session", name=NEEDS + program.name)
    def needs(pytestconfig: pytest.Config) -> Path:
        return pytestconfig.stash[ONLY_ASKED].path(program.name)

    return needs


globals().update({NEEDS + program.name: _needing(program) for program in PROGRAMS})


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without-programs",
        action="store_true",
        help="as on a machine that has no program of tests/programs.py",
    )
    parser.addoption(
        "--long",
        action="store_true",
        default=IN_CI,
        help="each proof that is tried at many points, at all of them, as CI does without this; else at some",
    )


def temporary_folder(chosen: str) -> str:
    """Where the tests keep what is temporary: where this machine does, if servers can be given paths of it.

    They have it in their configuration, where a blank ends it, and in the path of a socket, which has 107 bytes; and
    they may run as others.
    """
    if not re.fullmatch(r"/[\w./+-]{0,50}", chosen, re.ASCII):
        return "/tmp"
    entered = os.geteuid() != 0 or all(path.stat().st_mode & 0o001 for path in (Path(chosen), *Path(chosen).parents))
    return chosen if entered else "/tmp"


@pytest.fixture(scope="session")
def long(pytestconfig: pytest.Config) -> bool:
    """Whether a proof of one kind is tried at each of its points, and not just at some."""
    return bool(pytestconfig.getoption("--long"))


def pytest_configure(config: pytest.Config) -> None:
    os.umask(0o022)  # servers run as others, and read what is written here
    for name in [name for name in os.environ if not name.startswith(OF_TESTS)]:
        del os.environ[name]
    os.environ["LC_ALL"] = "C.UTF-8"
    os.environ["TMPDIR"] = tempfile.tempdir = temporary_folder(tempfile.gettempdir())
    # What tests make is kept by few cycles: to look for them as often as Python does takes a twentieth of all.
    gc.set_threshold(100_000, 20, 20)
    importlib.import_module("mcpmesh_k8s_node")  # chooses the Node that jsii starts, before a test imports cdk8s
    config.stash[ONLY_ASKED] = OnlyAsked(nothing=bool(config.getoption("--without-programs")))
    sys.addaudithook(config.stash[ONLY_ASKED].hook)
    config.addinivalue_line(
        "markers", "long: one of many points of one proof, by `grid`, or one that another has: tried with --long"
    )
    config.addinivalue_line("markers", "asks: starts a program of tests/programs.py; set by itself")
    if not hasattr(config, "workerinput"):
        config.stash[KEPT_IN] = tempfile.TemporaryDirectory(prefix="mcpmesh-kept-", dir=memory())
        Path(config.stash[KEPT_IN].name).chmod(0o755)
        os.environ[KEPT] = config.stash[KEPT_IN].name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [] if config.getoption("--long") else [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    for item in items:
        if asked(item):
            item.add_marker("asks")
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_collection_finish() -> None:
    gc.freeze()  # modules and tests stay until the end: nobody need look there for garbage


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three workers for each core that we may use: more than half of what the tests of servers do is waiting."""
    return 3 * len(os.sched_getaffinity(0))


def asked(item: pytest.Item) -> list[str]:
    """The programs that a test, or a fixture of it, asks for."""
    fixtures: list[str] = getattr(item, "fixturenames", [])
    return [name.removeprefix(NEEDS) for name in fixtures if name.startswith(NEEDS)]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    only = item.config.stash[ONLY_ASKED]
    lacking = [name for name in asked(item) if only.found[name] is None]
    if lacking:
        item.user_properties += [(LACKS, name) for name in lacking]
        pytest.skip(f"no {', '.join(lacking)} here: {how_to_get(lacking)}")
    only.begin(asked(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    try:
        yield
    finally:
        item.config.stash[ONLY_ASKED].end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one: everything it needs is installed there."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


def pytest_sessionfinish() -> None:
    gc.freeze()  # pytest looks for garbage when it ends: through all that there is, for half a second


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[ONLY_ASKED].close()
    if KEPT_IN in config.stash:
        config.stash[KEPT_IN].cleanup()
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and not hasattr(config, "workerinput"):
        reports = [
            report for kind in ("passed", "failed", "skipped", "error") for report in terminal.stats.get(kind, [])
        ]
        if reports:
            terminal.write_line(last_line(reports))


def last_line(reports: Sequence[pytest.TestReport]) -> str:
    """How many tests were skipped, for want of what, and how they would run."""
    lacking = [
        [str(value) for name, value in getattr(report, "user_properties", ()) if name == LACKS] for report in reports
    ]
    count = sum(bool(programs) for programs in lacking)
    if not count:
        return "Every test found the programs that it starts."
    missing = [program.name for program in PROGRAMS if any(program.name in programs for programs in lacking)]
    tests = "1 test was" if count == 1 else f"{count} tests were"
    return f"{tests} skipped for want of {', '.join(missing)}. To run them: {how_to_get(missing)} && make test"
