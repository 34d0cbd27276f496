"""This module is the examples that people read first: they are run as they are printed."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import kubernetes_validate
import pytest

import mcpmesh_k8s
from ai_interviewer import DEV, PROD, AiInterviewer, EnvironmentSettings
from conftest import ROOT, read_manifests
from environments import EVERY, SETTINGS, WITH_LOGIN, WITH_MESH
from mcpmesh_k8s import DevIdentity, Gateway, Route, budget, topology
from mcpmesh_k8s.kubernetes.manifest import at, containers_of, each, name_of

pytestmark = pytest.mark.usefixtures("schemas_are_read_once")

README = (ROOT / "README.md").read_text(encoding="utf-8")
ACCESS = (ROOT / "docs" / "access.md").read_text(encoding="utf-8")
IMAGES = (ROOT / "docs" / "images.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "shop.py"


def test_the_readmes_example_is_forty_lines_and_renders_a_whole_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (printed,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(printed.splitlines()) <= 40
    (tmp_path / "shop.py").write_text(printed, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("shop.py", run_name="__main__")
    manifests = read_manifests(tmp_path / "dist" / "shop")
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.27", strict=True)
    running = {name_of(manifest) for manifest in manifests if manifest["kind"] in ("Deployment", "StatefulSet")}
    assert running == {"shop-postgres", "shop-redis", "shop-registry", "shop-prices"}
    policies = {name_of(manifest) for manifest in manifests if manifest["kind"] == "NetworkPolicy"}
    assert policies == running | {"shop-postgres-databases", "shop-default-deny", "shop-allow-dns"}


def test_an_object_of_ones_own_is_written_with_the_same_structs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "examples" / "nightly.py"), run_name="__main__")
    closed, manifest = read_manifests(tmp_path / "dist" / "nightly")
    assert at(closed, "spec") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for written in (closed, manifest):
        kubernetes_validate.validate(written, "1.34", strict=True)
    spec = at(manifest, "spec", "jobTemplate", "spec", "template", "spec")
    assert at(spec, "securityContext") == {"runAsNonRoot": True, "runAsUser": 1000}
    (container,) = each(spec, "containers")
    assert at(container, "securityContext")["readOnlyRootFilesystem"] is True


def test_a_managed_s3_takes_the_place_of_minio_as_the_document_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (printed,) = re.findall(r"```python\n(.*?)```", IMAGES, re.DOTALL)
    (tmp_path / "managed_s3.py").write_text(printed, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("managed_s3.py", run_name="__main__")
    manifests = read_manifests(tmp_path / "dist" / "files")
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.34", strict=True)
    (agent,) = (manifest for manifest in manifests if manifest["kind"] == "Deployment")
    (container,) = containers_of(at(agent, "spec", "template"))
    told = {str(one["name"]): one for one in each(container, "env")}
    assert told["MINIO_ENDPOINT"]["value"] == "s3.eu-central-1.amazonaws.com:443"
    assert at(told["MINIO_SECRET_KEY"], "valueFrom", "secretKeyRef") == {"name": "files-s3", "key": "secret-key"}
    (policy,) = (one for one in manifests if (one["kind"], name_of(one)) == ("NetworkPolicy", "files-files"))
    ports = {port["port"] for rule in each(at(policy, "spec"), "egress") for port in each(rule, "ports")}
    assert ports == {443, 8000}


ONE_AFTER_THE_OTHER = """
import runpy, sys
for sys.argv[1:] in ([], ["deploy", "dev"]):
    try:
        runpy.run_path("operate.py", run_name="__main__")
    except SystemExit as ended:
        print("ended with", ended.code)
"""


def test_another_application_is_operated_by_the_same_commands(tmp_path: Path) -> None:
    for name in ("shop.py", "operate.py"):
        (tmp_path / name).write_text((ROOT / "examples" / name).read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "constructs"), "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    shown, _, refused = done.stdout.partition("ended with 0\n")
    assert re.search(r"^prices +acme/prices:1\.4\.2 +8090$", shown, re.MULTILINE)
    assert refused == "ended with 1\n"
    assert done.stderr.startswith("error: kubectl not found on PATH.")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("environment", SETTINGS.values(), ids=EVERY)
def test_the_topology_shows_every_workload_and_names_no_node_twice(environment: EnvironmentSettings) -> None:
    whole = AiInterviewer(environment, outdir="unused")
    picture = topology(whole)
    inside = [line.strip() for line in picture.splitlines() if re.fullmatch(r" {4}[a-z0-9-]+", line)]
    assert sorted(inside) == sorted(pod.name for pod in whole.pods)
    edges = re.findall(r"^  ([a-z0-9-]+) -\.?->\|(?:\d+|reads)\| ([a-z0-9-]+)$", picture, re.MULTILINE)
    assert ("outside-ingress-nginx", "nginx-gateway") in edges
    assert ("claude-llm-agent", "outside-anthropic-api") in edges
    assert (("nginx-gateway", "registry") in edges) is environment.routes_to_mesh
    for edge in (("nginx-gateway", "oauth2-proxy"), ("oauth2-proxy", "outside-google-login")):
        assert (edge in edges) is (environment.name in WITH_LOGIN)
    known = {*inside, *re.findall(r"^  ([a-z0-9-]+)\(\[", picture, re.MULTILINE)}
    assert {end for edge in edges for end in edge} == known


def test_the_readmes_page_of_ones_own_is_a_workload_and_a_route_to_it() -> None:
    (printed,) = re.findall(r"```py\n(.*?)```", ACCESS, re.DOTALL)
    whole = AiInterviewer(DEV, outdir="unused")
    services = next(phase for phase in whole.phases if phase.name == "services")
    known = {name: getattr(mcpmesh_k8s, name) for name in mcpmesh_k8s.__all__}
    found: dict[str, object] = {}
    exec(printed, known | {"services": services}, found)
    page = found["page"]
    assert isinstance(page, Route)
    Gateway(services, replace(DEV.gateway, name="second"), [page], DevIdentity(email="developer@example.com"))
    edges = topology(whole)
    assert "  second -->|8080| ui\n" in edges
    assert "ui -->" not in edges, "a page needs no way out"
    whole.manifests()


def in_words(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def test_the_readme_lists_every_route_with_its_audience_and_where_it_is() -> None:
    (listed,) = re.findall(r"<!-- generated: routes -->\n(.*?)<!-- end -->", ACCESS, re.DOTALL)
    everywhere = in_words(EVERY)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in listed.splitlines()[2:]]
    assert {(path, to.split()[0], audience, where) for path, to, audience, *_, where in rows} == {
        ("`/…`", "backend", "signed in", everywhere),
        ("`/api/…`", "backend", "signed in", everywhere),
        ("`/static/…`", "backend", "everyone", everywhere),
        ("`/health`", "backend", "everyone", everywhere),
        ("`/grafana/…`", "grafana", "administrators", everywhere),
        ("`/api/registry/agents`", "registry", "administrators", in_words(WITH_MESH)),
        *(
            (f"`/mcp/{agent}`", agent, "administrators", in_words(WITH_MESH))
            for agent in ("pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent")
        ),
    }


def test_the_budget_adds_up_to_the_cluster() -> None:
    whole = AiInterviewer(PROD, outdir="unused")
    slices = [int(size) for size in re.findall(r'" : (-?\d+)$', budget(whole, "cpu"), re.MULTILINE)]
    assert sum(slices) == 8000
    slices = [int(size) for size in re.findall(r'" : (-?\d+)$', budget(whole, "memory"), re.MULTILINE)]
    assert sum(slices) == 16 * 1024
    assert '"5 × backend" : 2500' in budget(whole, "cpu")
