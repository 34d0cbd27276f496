"""This module is synthesis: the same bytes everywhere, all of an environment or nothing, and dist/ is current."""

from __future__ import annotations

import importlib.util
import json
import os
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ai_interviewer import DEV, AiInterviewer
from conftest import ROOT, Manifests, grid
from environments import EVERY, SETTINGS, WITH_LOGIN
from mcpmesh_k8s import (
    Application,
    ApplicationSettings,
    InClusterPrometheus,
    IngressExposure,
    Phase,
    PriorityClass,
    PriorityClassSettings,
    SettingError,
    Tls,
    synthesize,
)
from mcpmesh_k8s.kubernetes import yaml_text
from reading import objects_of

OURS = "metadata:\n  labels:\n    app.kubernetes.io/part-of: ai-interviewer\n"
"""What every file of the application holds somewhere."""


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file, but for what `python -m build` puts into dist/ and git ignores."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".gz" and (path.suffix != ".whl" or folder != ROOT / "dist")
    }


def synth(outdir: Path | str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run main.py as CI does, in a process of its own: pytest has a search path that can hide a broken import."""
    return subprocess.run(
        [sys.executable, str(ROOT / "main.py")],
        cwd=cwd,
        env={**os.environ, "CDK8S_OUTDIR": str(outdir), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


MACHINES = [
    {"PYTHONHASHSEED": "1", "LC_ALL": "C", "LANG": "C", "TZ": "UTC"},
    {"PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo"},
]


@pytest.mark.parametrize("machine", grid(MACHINES, short=MACHINES[:1]), ids=("here", "elsewhere"))
def test_dist_is_what_main_writes_over_what_was_there_before_whatever_seed_locale_folder_and_zone(
    tmp_path: Path, machine: dict[str, str]
) -> None:
    folder = tmp_path / "other/deeper"
    shutil.copytree(ROOT / "dist", folder / "dist")
    stale = folder / "dist/dev/0009-retired.k8s.yaml"
    stale.write_text("kind: ConfigMap\n")
    (folder / "dist/dev/0000-foundation.k8s.yaml").write_text("kind: ConfigMap\n")
    result = synth("", folder, HOME=str(tmp_path), PYTHONPROFILEIMPORTTIME="1", **machine)
    assert result.returncode == 0, result.stderr
    assert files_of(folder / "dist") == files_of(ROOT / "dist"), "run `make synth`, read the diff, commit both"
    assert not stale.exists(), "a service that is gone leaves no file behind"
    said, imports = (
        [line for line in result.stderr.splitlines() if line.startswith("import time:") is of_imports]
        for of_imports in (False, True)
    )
    assert said == [], "nothing is printed that nobody needs, such as an end-of-life banner"
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in imports}
    assert {"jsii", "mcpmesh_k8s"} <= imported
    assert "typeguard" not in imported, "it takes long, and types are compared already"
    assert not {"typer", "rich", "pydantic", "click"} & imported, "a synthesis imports nothing of the command line"


def test_a_wrong_setting_ends_with_1_and_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CDK8S_OUTDIR", str(tmp_path / "file" / "dist"))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "main.py"), run_name="__main__")
    assert ended.value.code == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: outdir: ")
    assert said.err.count("\n") == 1, "no traceback: the line says what to do"


def test_a_disk_that_is_full_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Node writes, and jsii tells of its errors in its own way."""
    application = AiInterviewer(DEV, outdir=tmp_path / "dev")
    said = "Error: ENOSPC: no space left on device, write"

    def full(_: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr("cdk8s.App.synth", full)
    with pytest.raises(SettingError, match=f"outdir: .* was given. Give a folder that can be written: {said}"):
        synthesize([application])
    said = "Error: something else"
    with pytest.raises(RuntimeError, match=said):
        synthesize([application])


def test_where_node_has_no_room_for_its_own_files_it_is_said_what_to_look_at(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text(f'#!/bin/sh\nTMPDIR=/nowhere exec {shlex.quote(os.environ["JSII_NODE"])} "$@"\n')
    node.chmod(0o755)
    result = synth(tmp_path / "dist", ROOT, JSII_NODE=str(node))
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("ImportError: mcpmesh_k8s: cdk8s works by Node, which did not run: ")
    assert "'/nowhere/jsii-kernel-" in last
    assert "Is there room in the temporary folder, which TMPDIR names or is /" in last


def test_a_failure_while_writing_leaves_every_environment_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("dev", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0000-earlier.k8s.yaml").write_text(f"# {name}\n{OURS}")
    good = AiInterviewer(DEV, outdir=tmp_path / "dev")
    bad = AiInterviewer(DEV, outdir=tmp_path / "second")

    def full() -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(bad, "stage", full)
    with pytest.raises(OSError, match="No space left"):
        synthesize([good, bad])
    assert files_of(tmp_path) == {
        f"{name}/0000-earlier.k8s.yaml": f"# {name}\n{OURS}".encode() for name in ("dev", "second")
    }


def test_phases_are_written_in_the_order_they_are_made(tmp_path: Path) -> None:
    application = Application(ApplicationSettings(name="shop"), outdir=tmp_path / "shop")
    for name in ("zebra", "middle", "alpha"):
        Phase(application, name)
    application.synth()
    assert sorted(files_of(tmp_path / "shop")) == ["0000-zebra.k8s.yaml", "0001-middle.k8s.yaml", "0002-alpha.k8s.yaml"]


def test_a_component_outside_a_phase_is_refused(tmp_path: Path) -> None:
    from mcpmesh_k8s import Registry, RegistrySettings, images

    application = Application(ApplicationSettings(name="shop"), outdir=tmp_path / "shop")
    with pytest.raises(SettingError, match="Give a Phase of an Application"):
        Registry(application, RegistrySettings(image=images.REGISTRY, compute=DEV.registry.compute))


@pytest.mark.parametrize("environment", EVERY)
def test_every_environment_has_the_same_construct_paths_but_for_login_and_certificate(environment: str) -> None:
    paths = {
        name: {component.path for component in AiInterviewer(SETTINGS[name], outdir="unused").components}
        for name in EVERY
    }
    everywhere = set[str].intersection(*paths.values())
    login = {"oauth2-proxy", "secret-oauth2-proxy"} if environment in WITH_LOGIN else set[str]()
    exposure = SETTINGS[environment].exposure
    # Whoever gets its certificate from an issuer that asks over HTTP has room for the pod that answers.
    answers = (
        {"http01-solver"} if isinstance(exposure, IngressExposure) and isinstance(exposure.tls, Tls) else set[str]()
    )
    metrics = SETTINGS[environment].metrics
    called = isinstance(metrics, InClusterPrometheus) and metrics.alertmanager is not None
    alerts = {"alertmanager", "secret-alertmanager"} if called else set[str]()
    stores = ("postgres", "redis", "minio")
    backups = {f"{name}-backup" for name in stores if getattr(SETTINGS[environment], name).backup}
    own = {path.rpartition("/")[2] for path in paths[environment] - everywhere}
    assert own == login | answers | alerts | backups


def test_a_program_that_forgets_to_write_is_told_and_one_that_writes_or_looks_is_not(tmp_path: Path) -> None:
    program = """
from mcpmesh_k8s import Application, ApplicationSettings, Phase
def shop(name):
    made = Application(ApplicationSettings(name=name), outdir=f"dist/{name}")
    Phase(made, "all")
    return made
shop("written").synth()
shop("seen").pods
shop("forgotten")
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stderr == "mcpmesh_k8s: dist/forgotten not written: call synth().\n"


def test_a_program_that_tells_what_was_refused_is_told_no_more(tmp_path: Path) -> None:
    program = """
from mcpmesh_k8s import Application, ApplicationSettings, Phase, SettingError
Phase(Application(ApplicationSettings(name="shop"), outdir="dist/shop"), "all")
try:
    ApplicationSettings(name="No Label")
except SettingError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "'No Label' was given" in ended.stdout
    assert ended.stderr == ""


def test_a_program_that_failed_is_not_told_that_it_wrote_nothing(tmp_path: Path) -> None:
    program = """
from mcpmesh_k8s import Application, ApplicationSettings, Phase
Phase(Application(ApplicationSettings(name="shop"), outdir="dist/shop"), "No Name")
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "not written" not in ended.stderr


# --- the folder ---


def shop(outdir: Path | str, name: str = "shop") -> Application:
    application = Application(ApplicationSettings(name=name), outdir=outdir)
    phase = Phase(application, "all")
    PriorityClass(phase, PriorityClassSettings(name="urgent", value=1, description="First."))
    return application


@pytest.mark.parametrize(
    "stranger",
    ["mcpmesh_k8s-0.1.0-py3-none-any.whl", "prod/0000-all.k8s.yaml", "notes.txt", ".gitkeep", "all.k8s.yaml"],
)
def test_a_folder_that_holds_anything_else_is_refused_and_left_as_it_was(tmp_path: Path, stranger: str) -> None:
    outdir = tmp_path / "dist"
    shop(outdir).synth()
    (outdir / stranger).parent.mkdir(exist_ok=True)
    (outdir / stranger).write_text("mine")
    before = files_of(tmp_path)
    with pytest.raises(
        SettingError, match=f"outdir: .* It holds {stranger.partition('/')[0]}, which no synthesis of shop"
    ):
        shop(outdir).synth()
    assert files_of(tmp_path) == before


def test_a_folder_of_another_application_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    shop(tmp_path / "dist", name="bakery").synth()
    before = files_of(tmp_path)
    with pytest.raises(SettingError, match=r"It holds 0000-all\.k8s\.yaml, which no synthesis of shop wrote"):
        shop(tmp_path / "dist").synth()
    assert files_of(tmp_path) == before


def test_a_folder_of_plain_cdk8s_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "0000-web.k8s.yaml").write_text("kind: ConfigMap\n")
    with pytest.raises(SettingError, match=r"It holds 0000-web\.k8s\.yaml"):
        shop(tmp_path / "dist").synth()
    assert files_of(tmp_path) == {"dist/0000-web.k8s.yaml": b"kind: ConfigMap\n"}


def test_a_file_in_place_of_the_folder_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("mine")
    with pytest.raises(SettingError, match="It is a file"):
        shop(tmp_path / "dist").synth()
    assert (tmp_path / "dist").read_text() == "mine"


def test_an_application_may_be_written_again_and_again(tmp_path: Path) -> None:
    shop(tmp_path / "dist").synth()
    first = files_of(tmp_path)
    shop(tmp_path / "dist").synth()
    assert files_of(tmp_path) == first


def test_phases_without_objects_of_ours_may_be_written_again(tmp_path: Path) -> None:
    for _ in range(2):
        application = Application(ApplicationSettings(name="shop"), outdir=tmp_path / "dist")
        Phase(application, "empty")
        application.synth()
    assert sorted(files_of(tmp_path)) == ["dist/0000-empty.k8s.yaml"]


def test_a_link_to_a_folder_is_kept_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    shop(tmp_path / "real").synth()
    (tmp_path / "dist").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "0001-gone.k8s.yaml").write_text("")
    shop(tmp_path / "dist").synth()
    assert (tmp_path / "dist").is_symlink()
    assert sorted(files_of(tmp_path / "real")) == ["0000-all.k8s.yaml"]


@pytest.mark.parametrize("outdir", [".", "", "..", "/", "~", "sub/.."])
def test_a_folder_that_cannot_be_its_own_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outdir: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = Path.home() if outdir == "~" else outdir
    with pytest.raises(SettingError, match="Give a folder of its own, such as 'dist/dev'"):
        shop(given)


@pytest.mark.parametrize(("one", "two"), [("dist", "dist"), ("dist", "dist/shop"), ("dist/shop", "dist/../dist")])
def test_two_applications_in_one_folder_are_refused(tmp_path: Path, one: str, two: str) -> None:
    applications = [shop(tmp_path / one), shop(tmp_path / two, name="bakery")]
    with pytest.raises(SettingError, match=r"Another application is written to .*Give each a folder of its own"):
        synthesize(applications)
    assert files_of(tmp_path) == {}


def test_the_benchmark_still_makes_its_agents(tmp_path: Path) -> None:
    """A program in a text: neither a type checker nor an import reads it."""
    spec = importlib.util.spec_from_file_location("bench", ROOT / "benchmarks/bench.py")
    assert spec
    assert spec.loader
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    _, printed = bench.run(bench.AGENTS, tmp_path / "out", "2")
    # Four objects an agent, and those of the namespace, Redis and the registry.
    assert json.loads(printed)["objects"] == 2 * 4 + 14


@pytest.mark.parametrize("environment", EVERY)
def test_what_is_written_are_the_objects_that_a_program_finds_in_an_application(
    manifests: Manifests, environment: str
) -> None:
    """So most tests look at these, and let Node write nothing."""
    assert objects_of(AiInterviewer(SETTINGS[environment], outdir="unused")) == manifests(environment)


@pytest.mark.parametrize("environment", EVERY)
def test_a_configuration_is_the_same_whether_or_not_this_machine_has_libyaml(
    manifests: Manifests, environment: str
) -> None:
    texts = [text for m in manifests(environment) if m["kind"] == "ConfigMap" for text in files_in(m).values()]
    values = [yaml.load(text, yaml.CSafeLoader) for text in texts]
    # Some are written by hand.
    ours = [(value, text) for value, text in zip(values, texts, strict=True) if yaml_text(value) == text]
    assert len(ours) >= len(texts) / 2
    for value, text in ours:
        assert yaml.dump(value, Dumper=yaml.SafeDumper, sort_keys=False, width=110, allow_unicode=True) == text


def files_in(manifest: dict[str, object]) -> dict[str, str]:
    """The YAML files of a ConfigMap."""
    data = manifest["data"]
    assert isinstance(data, dict)
    return {name: text for name, text in data.items() if name.endswith(".yaml")}
