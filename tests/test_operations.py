"""The operator's commands call exactly what they must, in order, and stop with one clear line when they cannot go on.

docker, kubectl, minikube and sudo are stand-ins that record their calls (``stand_ins``).
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ai_interviewer import DEV, ENVIRONMENTS
from ai_interviewer.__main__ import operated
from conftest import ROOT, read_manifests, requires
from environments import EVERY
from mcpmesh_k8s import BuiltImage, Dns, Image, PolicyKind, SettingError
from mcpmesh_k8s.kubernetes import name_of
from mcpmesh_k8s.operations import pods
from mcpmesh_k8s.operations.cli import main
from mcpmesh_k8s.operations.cluster import measures_pods
from mcpmesh_k8s.operations.dns import opens
from mcpmesh_k8s.operations.programs import Kubectl, OperationError, captured, require
from mesh_harness import eventually, find
from stand_ins import StandIns

pytestmark = pytest.mark.usefixtures("commands_are_made_once")

OPERATED = [operated(settings) for settings in ENVIRONMENTS]
DEV_KUBECTL = "kubectl --context minikube --namespace ai-interviewer"
PROD_KUBECTL = "kubectl --context ai-interviewer-prod --namespace ai-interviewer"
APPLY = "apply --server-side --force-conflicts --field-manager=mcpmesh-k8s --filename=-"

MINIKUBE_VIEW = json.dumps(
    {"clusters": [{"cluster": {"extensions": [{"extension": {"provider": "minikube.sigs.k8s.io"}}]}}]}
)
PROD_VIEW = json.dumps({"clusters": [{"cluster": {"server": "https://10.0.0.1"}}]})
OTHER_VIEW = json.dumps({"clusters": [{"cluster": {"server": "https://10.0.0.2"}}]})
STORAGE_CLASS = {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
DOCKER_ENV = 'export DOCKER_TLS_VERIFY="1"\nexport DOCKER_HOST="tcp://192.168.49.2:2376"\n# To point your shell\n'
API_VERSIONS = "\n".join(
    (
        "apps/v1",
        "autoscaling.k8s.io/v1",
        "autoscaling/v2",
        "batch/v1",
        "external-secrets.io/v1",
        "networking.k8s.io/v1",
        "policy/v1",
        "rbac.authorization.k8s.io/v1",
        "scheduling.k8s.io/v1",
        "v1",
    )
)
BACKEND = Image(repository="ai-interviewer-fastapi", tag="1.0.0")
IMAGES = {
    "backend": ("ai-interviewer-fastapi:1.0.0", "backend/Dockerfile"),
    "pdf-extractor": ("ai-interviewer-pdf-extractor:1.0.0", "services/pdf_extractor_agent/Dockerfile"),
    "interview-agent": ("ai-interviewer-interview-agent:1.0.0", "services/interview_agent/Dockerfile"),
    "claude-llm-agent": ("ai-interviewer-claude-llm-agent:1.0.0", "services/claude_llm_agent/Dockerfile"),
    "openai-llm-agent": ("ai-interviewer-openai-llm-agent:1.0.0", "services/openai_llm_agent/Dockerfile"),
}
SECRET_KEYS = {
    "ai-interviewer-postgres": "backend-password exporter-password interview-agent-password mcpmesh-password password",
    "ai-interviewer-redis": (
        "backend-password default-password exporter-password mesh-password operator-password registry-password "
        "trimmer-password"
    ),
    "ai-interviewer-minio": "access-key root-password root-user secret-key",
    "ai-interviewer-grafana": "admin-password admin-user",
    "ai-interviewer-claude": "api-key",
    "ai-interviewer-openai": "api-key",
}
KEYS = sum(len(keys.split()) for keys in SECRET_KEYS.values())
EVERY_SECRET = "".join(f"{name} {keys}\n" for name, keys in SECRET_KEYS.items())
ACTIVE = json.dumps({"status": {"phase": "Active"}})
COUNTS = {"spec": {"hard": {"pods": "1"}}, "status": {"hard": {"pods": "1"}}}
"""A quota that counts already."""
PODS = json.dumps({"items": [{"metadata": {"name": "a"}, "status": {"phase": "Running"}}]})
COMPLETE = json.dumps({"status": {"conditions": [{"type": "Complete", "status": "True"}]}})


TAKES_A_CHECKOUT = (
    "quick-dev", "build", "quick-update", "export-data", "import-data", "verify-data", "rollback",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


def api_service(available: str) -> str:
    """An API of another program, as kubectl gets it."""
    return json.dumps({"status": {"conditions": [{"type": "Available", "status": available}]}})


class Workplace:
    """An operator's machine: stand-ins on PATH, an application's checkout, a hosts file, a ``.env``."""

    def __init__(self, folder: Path, *programs: str) -> None:
        self.stand_ins = StandIns(folder / "bin", *programs)
        self.path = os.environ["PATH"]
        self.checkout = folder / "app"
        for _, dockerfile in IMAGES.values():
            (self.checkout / dockerfile).parent.mkdir(parents=True)
            (self.checkout / dockerfile).write_text("FROM scratch\n")
        (self.checkout / "docker-compose.yml").write_text("services: {}\n")
        self.hosts = folder / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n")
        self.env_file = folder / ".env"
        self.env_file.write_text("CLAUDE_API_KEY=sk-claude\nOPENAI_API_KEY=sk-openai\n")
        self.env_file.chmod(0o600)

    def options(self, command: str) -> list[str]:
        """Where this machine's files are, for a command that asks for them."""
        return [
            *([f"--app-dir={self.checkout}"] if command in TAKES_A_CHECKOUT else []),
            *([f"--hosts-file={self.hosts}"] if command in ("quick-dev", "ingress-hosts") else []),
            *([f"--env-file={self.env_file}"] if command in ("quick-dev", "setup", "secrets") else []),
        ]

    def answers_well(self) -> None:
        """Everything works: a cluster that has all it needs, and Docker."""
        answer = self.stand_ins.answer
        answer("kubectl", "^config get-contexts", "minikube\nai-interviewer-prod\nother\n")
        answer("kubectl", "^config view .*--context minikube", MINIKUBE_VIEW)
        answer("kubectl", "^config view .*--context other", OTHER_VIEW)
        answer("kubectl", "^config view .*--context ai-interviewer-prod", PROD_VIEW)
        answer("kubectl", "^config use-context")
        answer("kubectl", "get --raw=/readyz", "ok")
        answer("kubectl", " api-versions$", API_VERSIONS)
        answer("kubectl", " get configmap ai-interviewer-data-move ")
        answer("kubectl", "get ingressclass nginx --ignore-not-found --output=json$", '{"kind": "IngressClass"}')
        answer("kubectl", "get ingressclass --output=name$", "ingressclass.networking.k8s.io/traefik\n")
        answer("kubectl", "get (namespace openshift-dns|nodes|daemonset node-local-dns) .*--ignore-not-found$", "")
        answer("kubectl", "kube-system get service kube-dns ", "10.96.0.10")
        answer("kubectl", "get storageclass", json.dumps({"items": [STORAGE_CLASS]}))
        answer("kubectl", "get apiservice v1beta1.metrics.k8s.io ", api_service("True"))
        answer("kubectl", "get namespace ai-interviewer --ignore-not-found --output=json$", ACTIVE)
        answer("kubectl", "get secrets --output=go-template", f"{EVERY_SECRET}registry-credentials .dockerconfigjson\n")
        answer("kubectl", "get statefulsets,persistentvolumeclaims --output=json$", '{"items": []}')
        answer("kubectl", " diff ", "-replicas: 1\n+replicas: 2\n", status=1)
        answer("kubectl", " apply ", "applied\n")
        answer("kubectl", " delete ", "deleted\n")
        answer("kubectl", " wait ", "ready\n")
        answer("kubectl", "rollout (status|restart)", "rolled out\n")
        answer("kubectl", "get job ", COMPLETE)
        answer("kubectl", "get .* --selector=app.kubernetes.io/part-of=ai-interviewer", '{"items": []}')
        answer("kubectl", "get deployments,statefulsets --selector=.* --output=name$", "deployment.apps/a\n")
        answer("kubectl", "get deployment/.* --output=jsonpath", "3")
        no_argocd = 'error: the server doesn\'t have a resource type "applications"'
        answer("kubectl", "get applications.argoproj.io", "", status=1, stderr=no_argocd)
        answer("kubectl", "get resourcequota ai-interviewer --output=json$", json.dumps(COUNTS))
        answer("kubectl", " (create|patch|scale|logs) ", "done\n")
        answer("kubectl", "get persistentvolumeclaims$", "done\n")
        answer("minikube", "^--profile minikube status$", "Running\n")
        answer("minikube", "^--profile minikube addons enable ")
        answer("minikube", "^--profile minikube ip$", "192.168.49.2\n")
        answer("minikube", "^--profile minikube docker-env --shell=bash$", DOCKER_ENV)
        answer("docker", "^image inspect ", "sha256:1\n")
        answer("docker", "^build ", "built\n")
        answer("docker", "^push ", "pushed\n")
        answer("docker", "^compose ", "up\n")
        answer("sudo", "^cp ", copies=((1, 2),))


Operate = Callable[..., Result]

LOOKS = ("context", "diff", "status", "logs", "logs-agents", "describe-failing")
"""Commands that change nothing, and so take no consent."""


def consent(command: str, word: str) -> tuple[str, ...]:
    """The consent that is given with a command."""
    return () if command in LOOKS else ("--confirm", word)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A machine where everything works."""
    place = Workplace(tmp_path, "docker", "kubectl", "minikube", "sudo")
    place.answers_well()
    monkeypatch.setenv("PATH", str(place.stand_ins.folder))
    monkeypatch.chdir(ROOT)
    return place


@pytest.fixture
def operate(workplace: Workplace, capfd: pytest.CaptureFixture[str]) -> Operate:
    """Run a command as the make target does."""

    def run(*arguments: str) -> Result:
        capfd.readouterr()
        status = main("python -m ai_interviewer", OPERATED, [*arguments, *workplace.options(arguments[0])])
        out, err = capfd.readouterr()
        return Result(status=status, out=out, err=err)

    return run


def controllers(environment: str, phase: str) -> list[str]:
    """The controllers of a phase as the file in dist/ has them."""
    (path,) = (ROOT / "dist" / environment).glob(f"*-{phase}.k8s.yaml")
    found = re.findall(r"^kind: (Deployment|StatefulSet)\nmetadata:(?:\n  .*)*?\n  name: (\S+)", path.read_text(), re.M)
    return [f"{kind.lower()}/{name}" for kind, name in found]


# --- every target of the plan, and what it runs ---

TARGETS = {
    "k8s-quick-dev": "quick-dev dev",
    "k8s-context": "context dev",
    "k8s-build-all": "build dev",
    "k8s-build-backend": "build dev backend",
    "k8s-build-pdf-extractor": "build dev pdf-extractor",
    "k8s-build-interview-agent": "build dev interview-agent",
    "k8s-build-claude-llm-agent": "build dev claude-llm-agent",
    "k8s-build-openai-llm-agent": "build dev openai-llm-agent",
    "k8s-setup": "setup dev",
    "k8s-deploy-dev": "deploy dev",
    "k8s-ingress-hosts": "ingress-hosts dev",
    "k8s-deploy-prod": "deploy prod",
    "k8s-status": "status dev",
    "k8s-logs": "logs dev",
    "k8s-logs-backend": "logs dev backend",
    "k8s-logs-agents": "logs-agents dev",
    "k8s-quick-update": "quick-update dev",
    "k8s-describe-failing": "describe-failing dev",
    "k8s-secrets": "secrets dev",
    "k8s-diff": "diff dev",
    "k8s-test-health": "test-health dev",
    "k8s-test-mcp-tools": "test-mcp-tools dev",
    "k8s-port-forward": "port-forward dev",
    "k8s-export-data": "export-data dev",
    "k8s-import-data": "import-data dev",
    "k8s-verify-data": "verify-data dev",
    "k8s-restart": "restart dev",
    "k8s-drain": "drain dev",
    "k8s-undrain": "undrain dev",
    "k8s-restore": "restore dev",
    "k8s-rotate": "rotate dev",
    "k8s-rollback": "rollback dev",
    "k8s-clean": "clean dev",
}


def dry_run(*arguments: str) -> list[str]:
    """The commands that make would run last."""
    command = ["make", "--dry-run", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return shlex.split(result.stdout.splitlines()[-1])


@requires("make")
@pytest.mark.parametrize("target", TARGETS)
def test_each_target_runs_its_command(target: str) -> None:
    assert dry_run(target) == [".venv/bin/python", "-m", "ai_interviewer", *TARGETS[target].split()]


MAKE_VARIABLES = {
    "k8s-build-all APP_DIR=/my app": "--app-dir|/my app",
    "k8s-logs CONTEXT=c": "--context|c",
    "k8s-setup CONFIRM=prod": "--confirm|prod",
    "k8s-ingress-hosts ADDRESS=10.0.0.1": "--address|10.0.0.1",
    "k8s-secrets ENV_FILE=e": "--env-file|e",
    "k8s-ingress-hosts HOSTS_FILE=h": "--hosts-file|h",
    "k8s-logs LINES=5": "--lines|5",
    "k8s-logs LINES_OF_LOG=5": "--lines|5",
    "k8s-logs FOLLOW=1": "--follow",
    "k8s-build-all PUSH=1": "--push",
    "k8s-export-data DATA=d": "--data|d",
    "k8s-export-data FROM=compose": "--from|compose",
    "k8s-import-data TO=compose": "--to|compose",
    "k8s-verify-data TO=compose": "--to|compose",
    "k8s-verify-data FROM=compose": "--from|compose",
    "k8s-export-data FROM=Compose": "--from|Compose",
    "k8s-export-data DATA=/it's here": "--data|/it's here",
    "k8s-export-data LIVE=1": "--live",
    "k8s-status JSON=1": "--json",
    "k8s-secrets REPLACE=A_KEY B_KEY": "--replace|A_KEY|--replace|B_KEY",
    "k8s-import-data OWNERS=a:b:c d:e:f": "--owner|a:b:c|--owner|d:e:f",
    "k8s-logs TARGET=backend redis": "backend|redis",
}


@requires("make")
@pytest.mark.parametrize("given", MAKE_VARIABLES)
def test_a_make_variable_becomes_an_option(given: str) -> None:
    target, _, variable = given.partition(" ")
    command = [".venv/bin/python", "-m", "ai_interviewer", TARGETS[target].split()[0], "prod"]
    assert dry_run(target, "ENV=prod", variable) == [*command, *MAKE_VARIABLES[given].split("|")]


@requires("make")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("k8s-urls FOLLOW=1", "k8s-urls takes no FOLLOW, only: ENV JSON"),
        ("k8s-deploy-prod CONFRIM=prod", "k8s-deploy-prod takes no CONFRIM, only: CONFIRM CONTEXT"),
        ("k8s-deploy-prod ENV=dev", "k8s-deploy-prod takes no ENV, only: CONFIRM CONTEXT"),
        ("k8s-logs-backend TARGET=redis", "k8s-logs-backend takes no TARGET, only:"),
        ("k8s-build-backend LIVE=1", "k8s-build-backend takes no LIVE, only:"),
        ("k8s-logs FOLLOW=no", "give FOLLOW=1, or leave it out"),
        ("k8s-status ENV=elsewhere", f"there is no environment elsewhere, only: {' '.join(EVERY)}"),
    ],
)
def test_a_make_variable_that_is_not_taken_is_refused_before_anything_is_done(given: str, said: str) -> None:
    result = subprocess.run(["make", *given.split()], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stdout == ""


@requires("make")
def test_a_variable_of_the_shell_is_not_one_for_make(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENV", "CONFIRM", "CONTEXT", "DATA", "FOLLOW", "FROM", "LINES", "TARGET"):
        monkeypatch.setenv(name, "prod")
    assert dry_run("k8s-logs") == [".venv/bin/python", "-m", "ai_interviewer", "logs", "dev"]


@requires("make")
def test_several_targets_take_what_one_of_them_takes() -> None:
    assert dry_run("k8s-deploy-dev", "k8s-test-health", "ADDRESS=10.0.0.1")[3:] == [
        "test-health", "dev", "--address", "10.0.0.1",
    ]  # fmt: skip


@requires("make")
def test_make_help_lists_every_target_in_its_group() -> None:
    text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    for target in TARGETS:
        name = re.sub(r"^k8s-(build|logs)-(?!all|agents).*", r"k8s-\1-%", target)
        assert f"  make {name} " in text, name
    for group in ("Deploy", "Look after it", "Change it"):
        assert f"\n{group}\n" in text


def make_for_real(workplace: Workplace, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make, with the stand-ins before all other programs; what is rendered and installed stays as it is."""
    kept = ("--old-file=synth", "--old-file=dist-check", "--old-file=.venv/.ready")
    return subprocess.run(
        ["make", *kept, *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{workplace.stand_ins.folder}:{workplace.path}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@requires("make")
def test_make_runs_the_whole_of_quick_dev(workplace: Workplace) -> None:
    given = (f"APP_DIR={workplace.checkout}", f"HOSTS_FILE={workplace.hosts}", f"ENV_FILE={workplace.env_file}")
    result = make_for_real(workplace, "k8s-quick-dev", *given)
    assert (result.returncode, result.stderr) == (0, "")
    assert "=== 5 of 5: hosts file" in result.stdout
    assert "192.168.49.2 ai-interviewer.local" in workplace.hosts.read_text()
    assert len([line for line in workplace.stand_ins.lines() if line.startswith("docker build")]) == 5


@requires("make")
def test_make_fails_when_its_command_does(workplace: Workplace, long: bool) -> None:
    result = make_for_real(workplace, "k8s-deploy-prod")
    assert result.returncode == 2
    assert result.stderr.startswith("error: This changes prod, in 'ai-interviewer-prod'. If you mean it: CONFIRM=prod")
    if long:  # that it does not when all is well, quick-dev shows, too
        assert make_for_real(workplace, "k8s-deploy-prod", "CONFIRM=prod").returncode == 0


# --- quick-dev: the plan's one command ---


def test_quick_dev_does_the_plans_steps_in_their_order(operate: Operate, workplace: Workplace) -> None:
    result = operate("quick-dev", "dev")
    assert (result.status, result.err) == (0, "")
    steps = re.findall(r"^=== (.*)$", result.out, re.M)
    assert steps == [
        "1 of 5: context",
        "2 of 5: images",
        "3 of 5: set-up",
        "4 of 5: deployment",
        "5 of 5: hosts file",
    ]
    changing = [
        line for line in workplace.stand_ins.lines() if re.search(r"use-context|build |enable|apply|sudo", line)
    ]
    assert changing[0] == "kubectl config use-context minikube"
    assert [line.split()[3] for line in changing[1:6]] == [image for image, _ in IMAGES.values()]
    assert changing[6:8] == [
        f"minikube --profile minikube addons enable {name}" for name in ("ingress", "metrics-server")
    ]
    assert changing[8] == f"{DEV_KUBECTL} {APPLY}"
    assert workplace.hosts.read_text().endswith(
        "# BEGIN ai-interviewer\n192.168.49.2 ai-interviewer.local\n# END ai-interviewer\n"
    )
    assert "http://ai-interviewer.local/health" in result.out


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        pytest.param(lambda place: (place.stand_ins.folder / "docker").unlink(), "docker not found", id="no docker"),
        pytest.param(
            lambda place: (place.stand_ins.folder / "minikube").unlink(), "minikube not found", id="no minikube"
        ),
        pytest.param(lambda place: (place.stand_ins.folder / "kubectl").unlink(), "kubectl not found", id="no kubectl"),
        pytest.param(
            lambda place: [path.unlink() for path in place.stand_ins.folder.iterdir()],
            "docker, kubectl, minikube not found on PATH. Install Docker",
            id="no program",
        ),
        pytest.param(
            lambda place: (place.checkout / "backend/Dockerfile").unlink(),
            "has no backend/Dockerfile",
            id="no Dockerfile",
        ),
        pytest.param(lambda place: place.env_file.write_text(""), "No value for CLAUDE_API_KEY", id="no API key"),
        pytest.param(lambda place: place.hosts.unlink(), "is no file. HOSTS_FILE", id="no hosts file"),
        pytest.param(
            lambda place: place.stand_ins.answer("kubectl", "^config get-contexts", "other\n"),
            "kubectl has no context 'minikube', only: other. Start the cluster: minikube start",
            id="no context",
        ),
        pytest.param(
            lambda place: place.stand_ins.answer("kubectl", "readyz", status=1), "does not answer", id="no answer"
        ),
    ],
)
def test_quick_dev_changes_nothing_when_something_is_missing(
    operate: Operate, workplace: Workplace, break_it: Callable[[Workplace], object], message: str
) -> None:
    workplace.stand_ins.answer("kubectl", "get secrets --output=go-template", "")
    before = workplace.hosts.read_text()
    break_it(workplace)
    result = operate("quick-dev", "dev")
    assert result.status == 1
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    looks = r"config (get-contexts|view)|get (--raw=/readyz|secrets)"
    assert [line for line in workplace.stand_ins.lines() if not re.search(looks, line)] == []
    assert not workplace.hosts.exists() or workplace.hosts.read_text() == before


def test_quick_dev_is_for_a_cluster_of_ones_own(operate: Operate, workplace: Workplace) -> None:
    result = operate("quick-dev", "prod", "--confirm", "prod")
    assert result.status == 2
    assert "This is for the minikube of the settings." in result.err
    assert workplace.stand_ins.calls == []


# --- context ---


def test_context_is_used_after_minikube_was_asked(operate: Operate, workplace: Workplace) -> None:
    assert operate("context", "dev").status == 0
    assert workplace.stand_ins.lines()[-3:] == [
        "minikube --profile minikube status",
        f"{DEV_KUBECTL} get --raw=/readyz --request-timeout=10s",
        "kubectl config use-context minikube",
    ]


def test_a_minikube_that_is_stopped_is_named_with_the_way_to_start_it(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("minikube", "status", "Stopped", status=7)
    result = operate("context", "dev")
    assert result.status == 1
    assert "profile 'minikube' is not running: minikube start --cni=calico" in result.err
    assert not any("use-context" in line for line in workplace.stand_ins.lines())


def test_another_context_can_be_given_for_development(operate: Operate, workplace: Workplace) -> None:
    assert operate("diff", "dev", "--context", "other").status == 0
    assert "kubectl --context other --namespace ai-interviewer get --raw=/readyz --request-timeout=10s" in (
        workplace.stand_ins.lines()
    )


def test_the_cluster_of_production_is_refused_for_development(operate: Operate) -> None:
    result = operate("deploy", "dev", "--context", "ai-interviewer-prod")
    assert result.status == 1
    assert "'ai-interviewer-prod' is the cluster of prod, not of dev" in result.err


@pytest.mark.parametrize("command", ["deploy", "clean", "status"])
def test_the_cluster_of_production_is_recognized_by_its_address(
    operate: Operate, workplace: Workplace, command: str
) -> None:
    workplace.stand_ins.answer("kubectl", "^config view .*--context other", PROD_VIEW)
    result = operate(command, "dev", "--context", "other", *consent(command, "delete-data"))
    assert result.status == 1
    assert "'other' is the cluster of prod, not of dev" in result.err
    assert not any(re.search(" (delete|apply) ", line) for line in workplace.stand_ins.lines())


@pytest.mark.parametrize("command", ["deploy", "clean", "restart", "setup"])
def test_a_change_of_a_cluster_that_is_no_minikube_wants_consent(
    operate: Operate, workplace: Workplace, command: str
) -> None:
    result = operate(command, "dev", "--context", "other")
    assert result.status == 3
    assert "If you mean it: CONFIRM=dev" in result.err
    assert [line for line in workplace.stand_ins.lines() if " config " not in line] == []


def test_data_are_deleted_on_a_minikube_only(operate: Operate, workplace: Workplace) -> None:
    result = operate("clean", "dev", "--context", "other", "--confirm", "delete-data")
    assert result.status == 1
    assert "'other' is no minikube: its data is never deleted from here." in result.err
    assert not any(" delete " in line for line in workplace.stand_ins.lines())


@pytest.mark.parametrize("command", ["status", "logs", "describe-failing", "restart", "rollback", "clean"])
def test_a_namespace_that_is_not_there_is_told(operate: Operate, workplace: Workplace, command: str) -> None:
    workplace.stand_ins.answer("kubectl", "get namespace ai-interviewer ", "")
    result = operate(command, "dev")
    assert result.status == 1
    assert "has no namespace 'ai-interviewer': make k8s-setup ENV=dev" in result.err


def test_images_for_another_cluster_are_not_built_into_minikube(operate: Operate, workplace: Workplace) -> None:
    assert operate("build", "dev", "backend", "--context", "other").status == 0
    assert workplace.stand_ins.lines("minikube") == []
    assert "Give ADDRESS=" in operate("ingress-hosts", "dev", "--context", "other").err


def test_that_argocd_cannot_be_seen_is_said(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "get applications.argoproj.io", stderr="is forbidden\n", status=1)
    result = operate("deploy", "dev")
    assert result.status == 0
    assert "Whether ArgoCD syncs this by itself cannot be seen: is forbidden" in result.out


@pytest.mark.parametrize("command", ["deploy", "diff", "status", "restart", "setup", "rollback"])
def test_production_refuses_a_minikube(operate: Operate, workplace: Workplace, command: str) -> None:
    result = operate(command, "prod", "--context", "minikube", *consent(command, "prod"))
    assert result.status == 1
    assert "'minikube' is a minikube, and prod is never deployed to one" in result.err
    assert [line for line in workplace.stand_ins.lines() if " config " not in line] == []


def test_a_minikube_is_recognized_by_its_name_alone(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "^config view .*--context minikube", OTHER_VIEW)
    assert "is a minikube" in operate("deploy", "prod", "--context", "minikube", "--confirm", "prod").err


def test_a_minikube_is_recognized_by_another_name(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "^config view .*--context other", MINIKUBE_VIEW)
    assert "is a minikube" in operate("deploy", "prod", "--context", "other", "--confirm", "prod").err


@pytest.mark.parametrize("command", ["deploy", "setup", "restart", "rollback", "clean"])
@pytest.mark.parametrize("given", [(), ("--confirm", "yes"), ("--confirm", "dev")])
def test_a_change_of_production_wants_consent(
    operate: Operate, workplace: Workplace, command: str, given: tuple[str, ...]
) -> None:
    result = operate(command, "prod", *given)
    assert result.status == 3
    assert "If you mean it: CONFIRM=prod" in result.err
    assert [line for line in workplace.stand_ins.lines() if " config " not in line] == []


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_every_call_of_kubectl_names_context_and_namespace(
    operate: Operate, workplace: Workplace, environment: str
) -> None:
    for command in ("setup", "secrets", "diff", "deploy", "status", "logs", "describe-failing", "restart", "rollback"):
        assert operate(command, environment, *consent(command, environment)).status in (0, 1), command
    named = {"dev": DEV_KUBECTL, "prod": PROD_KUBECTL}[environment]
    calls = [line for line in workplace.stand_ins.lines("kubectl") if not line.startswith("kubectl config ")]
    in_argocd = named.replace("--namespace ai-interviewer", "--namespace argocd")
    assert len(calls) > 50
    in_system = named.replace("--namespace ai-interviewer", "--namespace kube-system get")
    assert [line for line in calls if not line.startswith((f"{named} ", f"{in_argocd} ", f"{in_system} "))] == []


# --- images ---


def test_images_are_built_into_minikube(operate: Operate, workplace: Workplace) -> None:
    assert operate("build", "dev").status == 0
    builds = [call for call in workplace.stand_ins.calls if call.line.startswith("docker build")]
    assert [call.line for call in builds] == [
        f"docker build --tag {image} --file {workplace.checkout / dockerfile} {workplace.checkout}"
        for image, dockerfile in IMAGES.values()
    ]
    assert {call.environment["DOCKER_HOST"] for call in builds} == {"tcp://192.168.49.2:2376"}


def test_one_image_is_built_by_the_name_of_its_workload(operate: Operate, workplace: Workplace) -> None:
    assert operate("build", "dev", "pdf-extractor").status == 0
    (line,) = [line for line in workplace.stand_ins.lines() if line.startswith("docker build")]
    assert "ai-interviewer-pdf-extractor:1.0.0" in line


def test_an_image_is_built_in_its_own_build_context(workplace: Workplace) -> None:
    (workplace.checkout / "shared").mkdir()
    image = BuiltImage(image=BACKEND, dockerfile="backend/Dockerfile", build_context="shared")
    operated_otherwise = operated(replace(DEV, backend=replace(DEV.backend, code=image)))
    assert main("shop", [operated_otherwise], ["build", "dev", "backend", *workplace.options("build")]) == 0
    (line,) = [line for line in workplace.stand_ins.lines() if line.startswith("docker build")]
    assert line.endswith(f"--file {workplace.checkout}/backend/Dockerfile {workplace.checkout}/shared")


@pytest.mark.parametrize("path", ["/etc", "../other", "a/../../b"])
def test_a_path_that_leads_out_of_the_checkout_is_refused(path: str) -> None:
    with pytest.raises(SettingError, match=r"BuiltImage\.dockerfile"):
        BuiltImage(image=BACKEND, dockerfile=path)
    with pytest.raises(SettingError, match=r"BuiltImage\.build_context"):
        BuiltImage(image=BACKEND, build_context=path)


def test_images_of_production_are_built_here_and_pushed_when_asked(operate: Operate, workplace: Workplace) -> None:
    assert operate("build", "prod", "backend", "--push").status == 0
    image = "registry.example.com/ai-interviewer/ai-interviewer-fastapi:1.0.0"
    calls = [call for call in workplace.stand_ins.calls if call.arguments[0] in ("build", "push")]
    assert [call.line for call in calls] == [
        f"docker build --tag {image} --file {workplace.checkout}/backend/Dockerfile {workplace.checkout}",
        f"docker push {image}",
    ]
    assert [call.environment for call in calls] == [{}, {}]
    assert workplace.stand_ins.lines("minikube") == []


def test_there_is_nowhere_to_push_to_from_minikube(operate: Operate, workplace: Workplace) -> None:
    assert "There is nowhere to push to" in operate("build", "dev", "--push").err
    assert workplace.stand_ins.calls == []


def test_a_build_that_fails_ends_the_work(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("docker", "^build .*interview-agent", "no space left\n", status=1)
    result = operate("build", "dev")
    assert result.status == 1
    assert "ai-interviewer-interview-agent:1.0.0 was not built" in result.err
    assert "no space left" in result.out
    assert len([line for line in workplace.stand_ins.lines() if line.startswith("docker build")]) == 3


def test_an_unknown_image_is_named_with_those_there_are(operate: Operate) -> None:
    result = operate("build", "dev", "frontend")
    assert result.status == 2
    assert result.err.strip().endswith(
        "No image is built for frontend. There are: backend, pdf-extractor, interview-agent, claude-llm-agent, "
        "openai-llm-agent."
    )


def test_a_minikube_without_docker_is_named(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("minikube", "docker-env", "", stderr="only works with docker\n", status=1)
    result = operate("build", "dev")
    assert result.status == 1
    assert "only works with docker" in result.err


def test_quick_update_restarts_only_what_changed(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("docker", "^image inspect .*pdf-extractor", "sha256:2\n")
    workplace.stand_ins.answer("docker", "^image inspect .*pdf-extractor", "sha256:1\n", times=1)
    result = operate("quick-update", "dev")
    assert result.status == 0
    assert [line for line in workplace.stand_ins.lines() if "rollout" in line] == [
        f"{DEV_KUBECTL} rollout restart deployment/ai-interviewer-pdf-extractor",
        f"{DEV_KUBECTL} rollout status deployment/ai-interviewer-pdf-extractor --timeout=930s",
    ]


def test_quick_update_restarts_what_was_built_before_a_build_failed(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("docker", "^image inspect .*fastapi", "sha256:2\n")
    workplace.stand_ins.answer("docker", "^image inspect .*fastapi", "sha256:1\n", times=1)
    workplace.stand_ins.answer("docker", "^build .*pdf-extractor", status=1)
    assert operate("quick-update", "dev").status == 1
    assert [line for line in workplace.stand_ins.lines() if "rollout restart" in line] == [
        f"{DEV_KUBECTL} rollout restart deployment/ai-interviewer-backend"
    ]


def test_an_image_of_production_never_changes_under_its_name(operate: Operate, workplace: Workplace) -> None:
    result = operate("quick-update", "prod", "--confirm", "prod", "--push")
    assert result.status == 2
    assert "Raise VERSION, build with PUSH=1, and deploy." in result.err
    assert workplace.stand_ins.calls == []


def test_quick_update_restarts_nothing_when_no_image_changed(operate: Operate, workplace: Workplace) -> None:
    result = operate("quick-update", "dev")
    assert result.status == 0
    assert "No image changed" in result.out
    assert not any("rollout" in line for line in workplace.stand_ins.lines())


# --- deployment ---

ENDS = {
    "backend": 2 * 330,
    "nginx-gateway": 330,
    "pdf-extractor": 330,
    "interview-agent": 330,
    "claude-llm-agent": 330,
    "openai-llm-agent": 330,
    "postgres": 60,
    "loki": 60,
    "prometheus": 120,
}
"""How long the pods of a workload in dev may take to end, one after the other, where that is not 30 seconds."""


def test_a_deployment_shows_the_difference_then_applies_phase_by_phase(operate: Operate, workplace: Workplace) -> None:
    result = operate("deploy", "dev")
    assert (result.status, result.err) == (0, "")
    calls = [call for call in workplace.stand_ins.calls if re.search(r" (diff|apply|rollout|delete) ", call.line)]
    assert " diff --server-side " in calls[0].line
    expected: list[str] = []
    for phase in ("foundation", "mesh", "services", "access", "observability"):
        expected.append(f"{DEV_KUBECTL} {APPLY}")
        if phase == "foundation":
            # A client of the same phase may wait for what they make.
            jobs = ("job/ai-interviewer-postgres-databases", "job/ai-interviewer-minio-bucket")
            expected += [f"{DEV_KUBECTL} delete {job} --ignore-not-found --wait --cascade=foreground" for job in jobs]
            expected.append(f"{DEV_KUBECTL} {APPLY}")
        for controller in controllers("dev", phase):
            seconds = 600 + ENDS.get(controller.rpartition("ai-interviewer-")[2], 30)
            expected.append(f"{DEV_KUBECTL} rollout status {controller} --timeout={seconds}s")
    assert [call.line for call in calls[1:]][: len(expected)] == expected


def claimed(name: str, size: str) -> dict[str, object]:
    spec = {"resources": {"requests": {"storage": size}}}
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": f"data-ai-interviewer-{name}-0"}, "spec": spec}


def of_before(name: str, size: str) -> dict[str, object]:
    """A StatefulSet as an earlier version deployed it, with its claim of another size."""
    manifest = find(read_manifests(ROOT / "dist/dev"), "StatefulSet", f"ai-interviewer-{name}")
    spec = dict(manifest["spec"])
    (template,) = spec["volumeClaimTemplates"]
    old = {**template, "spec": {**template["spec"], "resources": {"requests": {"storage": size}}}}
    return {**manifest, "spec": {**spec, "podManagementPolicy": "OrderedReady", "volumeClaimTemplates": [old]}}


THERE = "get statefulsets,persistentvolumeclaims --output=json$"


@pytest.mark.parametrize("command", ["deploy", "make-way"])
def test_what_is_in_the_way_of_a_larger_claim_is_done_first_and_said(
    operate: Operate, workplace: Workplace, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("mcpmesh_k8s.operations.way.time.sleep", lambda _: None)
    items = [
        of_before("minio", "10Gi"),
        claimed("minio", "10Gi"),
        of_before("postgres", "10Gi"),
        claimed("postgres", "10Gi"),
    ]
    workplace.stand_ins.answer("kubectl", THERE, json.dumps({"items": items}))
    late = {**COUNTS, "status": {"hard": {"pods": "0"}}}
    workplace.stand_ins.answer("kubectl", "get resourcequota ai-interviewer --output=json$", json.dumps(late), times=2)
    result = operate(command, "dev")
    assert (result.status, result.err) == (0, "")
    again, policy = "is made again around its pods, which run on", "podManagementPolicy: OrderedReady → Parallel"
    for line in (
        "persistentvolumeclaim/data-ai-interviewer-minio-0 grows: 10Gi → 20Gi",
        f"statefulset/ai-interviewer-minio {again}: {policy}; data: 10Gi → 20Gi",
        f"statefulset/ai-interviewer-postgres {again}: {policy}",
    ):
        assert line in result.out.splitlines()
    calls = [
        call
        for call in workplace.stand_ins.calls
        if re.search(r" (diff|apply|patch|delete|rollout) |get resourcequota", call.line)
    ]
    if command == "deploy":
        shown = {(one["kind"], one["metadata"]["name"]) for one in json.loads(calls.pop(0).stdin)["items"]}
        assert not {kind for kind, _ in shown} & {"StatefulSet"}, "The cluster would refuse to show them."
        assert ("Service", "ai-interviewer-minio") in shown
    assert {one["kind"] for one in json.loads(calls[0].stdin)["items"]} == {"ResourceQuota", "LimitRange"}
    grow = json.dumps({"spec": {"resources": {"requests": {"storage": "20Gi"}}}})
    assert [call.line.removeprefix(f"{DEV_KUBECTL} ") for call in calls[1:7]] == [
        *["get resourcequota ai-interviewer --output=json"] * 3,
        f"patch persistentvolumeclaim data-ai-interviewer-minio-0 --patch={grow}",
        "delete statefulset/ai-interviewer-postgres --cascade=orphan --wait",
        "delete statefulset/ai-interviewer-minio --cascade=orphan --wait",
    ]
    assert len(calls) == 7 if command == "make-way" else " apply " in calls[7].line


def test_the_quota_counts_before_the_first_claim_is_made(operate: Operate, workplace: Workplace) -> None:
    """One that was just made refuses every claim, until the cluster has reckoned what it says."""
    assert operate("deploy", "prod", "--confirm", "prod").status == 0
    calls = [call for call in workplace.stand_ins.calls if re.search(r" apply |get resourcequota", call.line)]
    first = {one["kind"] for one in json.loads(calls[0].stdin)["items"]}
    assert first == {"ResourceQuota", "LimitRange"}
    assert "get resourcequota" in calls[1].line
    assert "PersistentVolumeClaim" in {one["kind"] for one in json.loads(calls[2].stdin)["items"]}


@pytest.mark.parametrize("command", ["deploy", "make-way", "diff"])
def test_claims_that_nothing_renders_any_more_are_named_when_they_leave_no_room_to_grow(
    operate: Operate, workplace: Workplace, command: str
) -> None:
    """The quota follows from what is rendered, and the cluster counts every claim that is there."""
    items = [of_before("minio", "10Gi"), claimed("minio", "10Gi"), claimed("old", "5Gi")]
    workplace.stand_ins.answer("kubectl", THERE, json.dumps({"items": items}))
    result = operate(command, "dev")
    words = (
        "All claims together are 35Gi, and the quota that is rendered has 30Gi: nothing is rendered any more of "
        "data-ai-interviewer-old-0. Delete what nobody needs, or mount it as an ExistingClaim"
    )
    assert words in (result.out if command == "diff" else result.err)
    assert (result.status == 1) or command == "diff"
    assert not any(re.search(" (apply|patch|delete) ", line) for line in workplace.stand_ins.lines())


def test_a_statefulset_is_not_taken_away_for_what_its_successor_could_not_have(
    operate: Operate, workplace: Workplace
) -> None:
    """A claim cannot shrink or change its class, and other pods are not adopted."""
    shrunk = of_before("minio", "40Gi")
    other = of_before("postgres", "10Gi")
    other["spec"]["selector"] = {"matchLabels": {"app": "another"}}  # type: ignore[index]
    workplace.stand_ins.answer("kubectl", THERE, json.dumps({"items": [shrunk, claimed("minio", "40Gi"), other]}))
    result = operate("make-way", "dev")
    assert "Nothing of dev is in the way." in result.out
    faster = of_before("minio", "20Gi")
    faster["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "fast"  # type: ignore[index]
    workplace.stand_ins.answer("kubectl", THERE, json.dumps({"items": [faster]}))
    assert "Nothing of dev is in the way." in operate("make-way", "dev").out
    assert not any(re.search(" (apply|patch|delete) ", line) for line in workplace.stand_ins.lines())


def test_exactly_what_was_rendered_is_applied(operate: Operate, workplace: Workplace) -> None:
    operate("deploy", "dev")
    applied = [
        (item["kind"], item["metadata"]["name"], json.dumps(item, sort_keys=True))
        for call in workplace.stand_ins.calls
        if " apply " in call.line
        for item in json.loads(call.stdin)["items"]
    ]
    rendered = [
        (str(item["kind"]), str(item["metadata"]["name"]), json.dumps(item, sort_keys=True))  # type: ignore[index]
        for item in read_manifests(ROOT / "dist/dev")
    ]
    assert sorted(applied) == sorted(rendered)
    assert len(applied) > 60


def test_a_workload_that_does_not_start_ends_the_deployment_with_its_events_and_logs(
    operate: Operate, workplace: Workplace
) -> None:
    pod = {
        "metadata": {"name": "registry-1"},
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {"name": "registry", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
            ],
        },
    }
    healthy = {"metadata": {"name": "redis-1"}, "status": {"phase": "Running"}}
    answer = workplace.stand_ins.answer
    answer("kubectl", "rollout status deployment/ai-interviewer-registry ", "Waiting…\n", status=1)
    answer("kubectl", "get pods --output=json", json.dumps({"items": [healthy, pod]}))
    answer("kubectl", "get events --field-selector=involvedObject.name=registry-1 ", "Back-off restarting\n")
    answer("kubectl", "logs registry-1 .*--tail=20$", "starting\n")
    answer("kubectl", "logs registry-1 .*--previous$", "cannot reach postgres\n")
    result = operate("deploy", "dev")
    assert result.status == 1
    assert result.err.strip() == ("error: deployment/ai-interviewer-registry did not become ready: see above.")
    for words in ("registry waits: CrashLoopBackOff", "Back-off restarting", "starting", "cannot reach postgres"):
        assert words in result.out
    assert "redis-1" not in result.out
    applied = [call.stdin for call in workplace.stand_ins.calls if " apply " in call.line]
    assert not any('"kind": "Ingress"' in text for text in applied), "a later phase was applied"


def test_an_apply_that_fails_half_way_ends_the_deployment(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer(
        "kubectl", " apply ", "service/a serverside-applied\nerror: forbidden\n", status=1, times=1
    )
    result = operate("deploy", "dev")
    assert result.status == 1
    assert re.search(r"apply .* failed with status 1: see above", result.err)
    assert "error: forbidden" in result.out
    assert len([line for line in workplace.stand_ins.lines() if " apply " in line]) == 1


def test_a_difference_that_the_cluster_refuses_ends_before_anything_is_applied(
    operate: Operate, workplace: Workplace
) -> None:
    workplace.stand_ins.answer("kubectl", " diff ", stderr="field is immutable\n", status=2)
    result = operate("deploy", "dev")
    assert result.status == 1
    assert "Nothing was changed" in result.err
    assert not any(" apply " in line for line in workplace.stand_ins.lines())


def test_a_job_that_fails_ends_the_deployment_with_its_logs(operate: Operate, workplace: Workplace) -> None:
    failed = {"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}}
    workplace.stand_ins.answer("kubectl", "get job ai-interviewer-minio-bucket", json.dumps(failed))
    workplace.stand_ins.answer("kubectl", "logs job/ai-interviewer-minio-bucket", "access denied\n")
    workplace.stand_ins.answer("kubectl", "get pods --output=json", PODS)
    workplace.stand_ins.answer("kubectl", "get events", '{"items": []}')
    result = operate("deploy", "dev")
    assert result.status == 1
    assert "job/ai-interviewer-minio-bucket failed (BackoffLimitExceeded)" in result.err
    assert "access denied" in result.out


def test_a_job_is_waited_for_while_it_runs(
    operate: Operate, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpmesh_k8s.operations.deploy.time.sleep", lambda _: None)
    workplace.stand_ins.answer("kubectl", "get job .*bucket", json.dumps({"status": {"active": 1}}), times=3)
    assert operate("deploy", "dev").status == 0
    assert len([line for line in workplace.stand_ins.lines() if "get job ai-interviewer-minio-bucket" in line]) >= 4


@pytest.mark.parametrize(
    ("pattern", "stdout", "status", "message"),
    [
        (" api-versions$", "v1\napps/v1\n", 0, "Ingress, NetworkPolicy (networking.k8s.io/v1): install its controller"),
        ("get ingressclass nginx ", "", 0, "IngressClass nginx: install an ingress controller"),
        ("get storageclass", '{"items": [{"metadata": {}}]}', 0, "a default StorageClass"),
        ("get namespace ai-interviewer ", "", 0, "has no namespace 'ai-interviewer': make k8s-setup ENV=dev"),
        (
            "get secrets --output=go-template",
            EVERY_SECRET.replace("ai-interviewer-claude api-key\n", ""),
            0,
            "The cluster has no <ai-interviewer-claude/api-key>. Make them: make k8s-secrets ENV=dev",
        ),
    ],
)
def test_a_deployment_is_refused_before_it_begins(
    operate: Operate, workplace: Workplace, pattern: str, stdout: str, status: int, message: str
) -> None:
    workplace.stand_ins.answer("kubectl", pattern, stdout, status=status)
    result = operate("deploy", "dev")
    assert result.status == 1
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert not any(re.search(" (apply|diff) ", line) for line in workplace.stand_ins.lines())


def test_what_is_missing_is_told_with_what_to_install_and_never_in_a_circle(
    operate: Operate, workplace: Workplace
) -> None:
    workplace.stand_ins.answer("kubectl", "get ingressclass nginx ", "")
    install = (
        "lacks IngressClass nginx: install an ingress controller whose class has this name, or let the settings name "
        "one that is there (traefik)."
    )
    deployed = operate("deploy", "dev").err
    assert install in deployed
    assert deployed.endswith("On this minikube: make k8s-setup ENV=dev\n")
    set_up = operate("setup", "dev").err
    assert install in set_up
    assert "k8s-setup" not in set_up
    assert set_up.endswith("for their pods, or look at them: kubectl --context minikube get pods --all-namespaces\n")
    for elsewhere in (
        operate("setup", "dev", "--context", "other", "--confirm", "dev").err,
        operate("deploy", "prod", "--confirm", "prod").err,
    ):
        assert elsewhere.endswith(f"{install}\n")


def node_local(*, host_network: bool, args: list[str]) -> str:
    spec = {"hostNetwork": host_network, "containers": [{"name": "node-cache", "args": args}]}
    return json.dumps({"spec": {"template": {"spec": spec}}})


NODE_CACHE = ["-localip", "169.254.20.10,10.96.0.10", "-conf", "/etc/Corefile"]


@pytest.mark.parametrize(
    ("pattern", "stdout", "said"),
    [
        ("service kube-dns ", "10.96.0.10", "DNS: kube-dns, in kube-system, as the settings say"),
        ("service kube-dns ", "", "DNS: neither kube-dns nor any other that is known was found."),
        (
            "namespace openshift-dns ",
            "namespace/openshift-dns",
            "DNS: OpenShift's, in openshift-dns. The settings do not let pods ask it, and nothing would resolve: "
            "dns=Dns.openshift()",
        ),
        (
            "daemonset node-local-dns ",
            node_local(host_network=True, args=NODE_CACHE),
            "node-local-dns of kube-system, at 169.254.20.10 and 10.96.0.10. The settings do not let pods ask it, and "
            "nothing would resolve: dns=Dns.node_local(addresses=('169.254.20.10', '10.96.0.10'))",
        ),
        (
            "daemonset node-local-dns ",
            node_local(host_network=True, args=["-localip=__PILLAR__LOCAL__DNS__"]),
            'nothing would resolve: dns=Dns.node_local(service_address="10.96.0.10")',
        ),
        (
            "daemonset node-local-dns ",
            node_local(host_network=False, args=NODE_CACHE),
            "node-local-dns of kube-system, in pods. The settings do not let pods ask it, and nothing would resolve: "
            "dns=Dns.cilium()",
        ),
        (
            "daemonset node-local-dns ",
            "W1130 kubectl is old\n{}",
            "Who answers DNS in this cluster cannot be seen: `kubectl --context minikube --namespace kube-system get "
            "daemonset node-local-dns` printed no object in JSON: 'W1130 kubectl is old",
        ),
        ("get nodes ", "node/a", 'nothing would resolve: dns=Dns.gke(service_address="10.96.0.10")'),
    ],
)
def test_set_up_names_the_dns_of_the_cluster_beside_the_setting(
    operate: Operate, workplace: Workplace, pattern: str, stdout: str, said: str
) -> None:
    workplace.stand_ins.answer("kubectl", f"{pattern}.*--ignore-not-found$", stdout)
    result = operate("setup", "dev")
    assert result.status == 0
    (line,) = (line for line in result.out.splitlines() if re.match("DNS: |Who answers DNS ", line))
    assert said in line


def test_set_up_goes_on_where_it_may_not_see_who_answers_dns(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "namespace openshift-dns ", stderr="is forbidden\n", status=1)
    result = operate("setup", "dev")
    assert result.status == 0
    assert "Who answers DNS in this cluster cannot be seen: " in result.out
    assert "is forbidden" in result.out


@pytest.mark.parametrize(
    ("dns", "policies", "opened"),
    [
        (Dns.node_local(service_address="10.96.0.10"), PolicyKind.KUBERNETES, True),
        (Dns.node_local(), PolicyKind.KUBERNETES, False),
        (Dns.node_local(), PolicyKind.CILIUM, True),
        (Dns.openshift(), PolicyKind.KUBERNETES, False),
    ],
)
def test_a_dns_is_opened_when_each_of_its_addresses_is(dns: Dns, policies: PolicyKind, opened: bool) -> None:
    wanted = Dns.node_local(addresses=("169.254.20.10", "10.96.0.10")).servers[0]
    assert opens(dns, wanted, policies) is opened


@pytest.mark.parametrize("answer", ["", "{}", api_service("False")], ids=["none", "new", "away"])
def test_an_autoscaler_without_metrics_is_refused_before_anything_is_made(
    operate: Operate, workplace: Workplace, answer: str
) -> None:
    workplace.stand_ins.answer("kubectl", "get apiservice v1beta1.metrics.k8s.io ", answer)
    for command in ("setup", "deploy"):
        result = operate(command, "prod", "--confirm", "prod")
        assert result.status == 1
        assert "lacks the metrics API (v1beta1.metrics.k8s.io), which autoscalers read: install metrics-" in result.err
    assert not any(re.search(" (apply|create) ", line) for line in workplace.stand_ins.lines())
    # Nothing follows the load in dev.
    assert operate("deploy", "dev").status == 0


def test_the_controller_of_a_missing_kind_is_named(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", " api-versions$", API_VERSIONS.replace("external-secrets.io/v1\n", ""))
    result = operate("deploy", "prod", "--confirm", "prod")
    assert "ExternalSecret (external-secrets.io/v1): install the External Secrets Operator." in result.err


def test_a_cluster_that_cannot_watch_sizes_is_told_what_to_install(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", " api-versions$", API_VERSIONS.replace("autoscaling.k8s.io/v1\n", ""))
    for command in ("setup", "deploy"):
        result = operate(command, "prod", "--confirm", "prod")
        assert result.status == 1
        assert (
            "lacks VerticalPodAutoscaler (autoscaling.k8s.io/v1): install the VerticalPodAutoscaler, of which its "
            "recommender alone must run where nothing is changed." in result.err
        )
    assert not any(re.search(" (apply|create) ", line) for line in workplace.stand_ins.lines())


@pytest.mark.parametrize(
    ("measure", "measured"),
    [
        ({"kind": "HorizontalPodAutoscaler", "spec": {"metrics": [{"type": "Resource"}]}}, True),
        ({"kind": "HorizontalPodAutoscaler", "spec": {"metrics": [{"type": "External"}]}}, False),
        ({"kind": "ScaledObject", "spec": {"triggers": [{"type": "prometheus"}, {"type": "cpu"}]}}, True),
        ({"kind": "ScaledObject", "spec": {"triggers": [{"type": "prometheus"}]}}, False),
        ({"kind": "VerticalPodAutoscaler", "spec": {}}, True),
        ({"kind": "Deployment", "spec": {"triggers": [{"type": "cpu"}]}}, False),
    ],
)
def test_who_measures_pods_needs_the_metrics_api(measure: dict[str, object], measured: bool) -> None:
    assert measures_pods([measure]) is measured


def test_a_secret_that_is_made_by_hand_is_missed_before_anything_is_applied(
    operate: Operate, workplace: Workplace
) -> None:
    workplace.stand_ins.answer("kubectl", "get secrets --output=go-template", EVERY_SECRET)
    result = operate("deploy", "prod", "--confirm", "prod")
    assert result.status == 1
    assert "The cluster has no Secret registry-credentials in namespace ai-interviewer." in result.err
    assert not any(" apply " in line for line in workplace.stand_ins.lines())


def test_production_waits_for_its_external_secrets(operate: Operate, workplace: Workplace) -> None:
    result = operate("deploy", "prod", "--confirm", "prod")
    assert (result.status, result.err) == (0, "")
    (line,) = [line for line in workplace.stand_ins.lines() if " wait " in line]
    assert line.startswith(f"{PROD_KUBECTL} wait --for=condition=Ready --timeout=120s externalsecret/")
    assert "externalsecret/ai-interviewer-oauth2-proxy" in line


def test_a_secret_that_cannot_be_fetched_ends_the_deployment(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", " wait ", "timed out\n", status=1)
    result = operate("deploy", "prod", "--confirm", "prod")
    assert result.status == 1
    assert "The External Secrets Operator cannot make a Secret: kubectl --context ai-interviewer-prod" in result.err
    assert not any("rollout" in line for line in workplace.stand_ins.lines())


def test_what_was_scaled_to_zero_by_hand_is_started_again(operate: Operate, workplace: Workplace) -> None:
    """An autoscaler leaves a Deployment of no replicas alone, and its count is not rendered."""
    workplace.stand_ins.answer("kubectl", "get deployment/ai-interviewer-backend --output=jsonpath", "0")
    assert operate("deploy", "prod", "--confirm", "prod").status == 0
    assert f"{PROD_KUBECTL} scale deployment/ai-interviewer-backend --replicas=3" in workplace.stand_ins.lines()


def test_what_runs_already_keeps_its_count(operate: Operate, workplace: Workplace) -> None:
    operate("deploy", "prod", "--confirm", "prod")
    assert not any(" scale " in line for line in workplace.stand_ins.lines())


def test_what_is_no_longer_rendered_is_named_and_left_alone(operate: Operate, workplace: Workplace) -> None:
    items = [
        {"kind": "Deployment", "metadata": {"name": "ai-interviewer-old-agent"}},
        {"kind": "Deployment", "metadata": {"name": "ai-interviewer-backend"}},
        {"kind": "ConfigMap", "metadata": {"name": "made-by-another", "ownerReferences": [{"kind": "X"}]}},
    ]
    pattern = "get configmap,.* --selector=app.kubernetes.io/part-of=ai-interviewer --output=json"
    workplace.stand_ins.answer("kubectl", pattern, json.dumps({"items": items}))
    result = operate("deploy", "dev")
    assert "No longer rendered, and still there: deployment/ai-interviewer-old-agent\n" in result.out
    assert f"{DEV_KUBECTL} delete deployment/ai-interviewer-old-agent" in result.out
    assert not any("delete deployment" in line for line in workplace.stand_ins.lines())


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("cilium.io/v2", "ciliumnetworkpolicy"),
        ("gateway.networking.k8s.io/v1", "httproute"),
        ("keda.sh/v1alpha1", "scaledobject"),
        ("policy.linkerd.io/v1beta3", "server"),
        ("security.istio.io/v1", "authorizationpolicy"),
    ],
)
@pytest.mark.parametrize("served", [False, True])
def test_what_works_on_when_it_is_left_behind_is_looked_for_where_the_cluster_knows_its_kind(
    operate: Operate, workplace: Workplace, served: bool, version: str, kind: str
) -> None:
    """An autoscaler, a route, a policy. Where the kind is not known, kubectl would fail."""
    workplace.stand_ins.answer("kubectl", " api-versions$", f"{API_VERSIONS}\n{version * served}\n")
    assert operate("deploy", "dev").status == 0
    (asked,) = [line for line in workplace.stand_ins.lines() if ",rolebinding," in line]
    kinds = asked.partition(" get ")[2].partition(" ")[0].split(",")
    assert (kind in kinds) is served
    assert {"ingress", "role", "rolebinding", "verticalpodautoscaler"} <= set(kinds)


def test_a_deployment_can_be_repeated(operate: Operate, workplace: Workplace) -> None:
    assert operate("deploy", "dev").status == 0
    first = workplace.stand_ins.lines()
    assert operate("deploy", "dev").status == 0
    assert workplace.stand_ins.lines() == first * 2


def test_without_manifests_nothing_is_deployed(
    operate: Operate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    result = operate("diff", "dev")
    assert result.status == 1
    assert "dist/dev holds no manifests. Write them: make synth" in result.err


def test_a_difference_alone_changes_nothing(operate: Operate, workplace: Workplace) -> None:
    result = operate("diff", "dev")
    assert result.status == 0
    assert "+replicas: 2" in result.out
    assert not any(re.search(" (apply|delete|create|patch) ", line) for line in workplace.stand_ins.lines())


def test_before_the_first_deployment_the_new_objects_are_counted(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "get deployments,statefulsets .* --output=name$", "")
    result = operate("diff", "dev")
    assert result.status == 0
    assert "Nothing of dev is deployed yet. New are:" in result.out
    assert re.search(r"^StatefulSet +2$", result.out, re.M)
    assert not any(" diff " in line for line in workplace.stand_ins.lines())


def test_no_difference_is_said(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", " diff ")
    assert "dev is as rendered." in operate("diff", "dev").out


# --- set-up and Secrets ---


def sent(workplace: Workplace, verb: str) -> dict[str, dict[str, str]]:
    """The values that went to kubectl, by the Secret's name."""
    found: dict[str, dict[str, str]] = {}
    for call in workplace.stand_ins.calls:
        if call.program == "kubectl" and f" {verb} " in call.line and "stringData" in call.stdin:
            document = json.loads(call.stdin)
            name = document["metadata"]["name"] if verb == "create" else call.arguments[6]
            found[name] = document["stringData"]
    return found


def test_secrets_are_made_from_the_env_file_and_made_up(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "get secrets --output=go-template", "unrelated tls.key\n")
    workplace.env_file.write_text("CLAUDE_API_KEY='sk-claude'\nOPENAI_API_KEY=sk-openai\nGRAFANA_ADMIN_USER=admin\n")
    result = operate("secrets", "dev")
    assert (result.status, result.err) == (0, "")
    made = sent(workplace, "create")
    assert {name: " ".join(sorted(values)) for name, values in made.items()} == SECRET_KEYS
    assert made["ai-interviewer-claude"]["api-key"] == "sk-claude"
    assert made["ai-interviewer-grafana"]["admin-user"] == "admin"
    generated = [
        value
        for name, values in made.items()
        for key, value in values.items()
        if (name, key) not in {("ai-interviewer-claude", "api-key"), ("ai-interviewer-openai", "api-key")}
        and value != "admin"
    ]
    assert all(re.fullmatch("[0-9a-f]{48}", value) for value in generated)
    # All but the two keys that are issued, and the administrator's name.
    assert len(set(generated)) == len(generated) == KEYS - 3


def test_no_value_is_ever_shown_or_put_on_a_command_line(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "get secrets --output=go-template", "")
    result = operate("secrets", "dev")
    values = {value for made in sent(workplace, "create").values() for value in made.values()}
    assert len(values) == KEYS
    for value in values:
        assert value not in result.out + result.err
        assert not any(value in line for line in workplace.stand_ins.lines())


def test_what_the_cluster_has_is_kept(operate: Operate, workplace: Workplace) -> None:
    present = EVERY_SECRET.replace("admin-password admin-user", "admin-user")
    workplace.stand_ins.answer("kubectl", "get secrets --output=go-template", present)
    result = operate("secrets", "dev")
    assert result.status == 0
    assert sent(workplace, "create") == {}
    changed = sent(workplace, "patch")
    assert {name: list(values) for name, values in changed.items()} == {"ai-interviewer-grafana": ["admin-password"]}
    (line,) = [line for line in workplace.stand_ins.lines() if " patch " in line]
    assert line == f"{DEV_KUBECTL} patch secret ai-interviewer-grafana --type=merge --patch-file=/dev/stdin"
    assert result.out.count("kept: the cluster has it") == KEYS - 1


def test_a_key_gets_a_new_value_when_that_is_asked_for(operate: Operate, workplace: Workplace) -> None:
    assert (
        operate("secrets", "dev", "--replace", "POSTGRES_BACKEND_PASSWORD", "--replace", "CLAUDE_API_KEY").status == 0
    )
    changed = sent(workplace, "patch")
    assert sent(workplace, "create") == {}
    assert changed["ai-interviewer-claude"] == {"api-key": "sk-claude"}
    assert list(changed["ai-interviewer-postgres"]) == ["backend-password"]
    assert len(changed) == 2


def test_where_it_stops_between_two_secrets_it_says_which_of_them_has_its_new_value(
    operate: Operate, workplace: Workplace
) -> None:
    away = " patch secret ai-interviewer-claude "
    workplace.stand_ins.answer("kubectl", away, stderr="the server is away\n", status=1)
    words = ("POSTGRES_BACKEND_PASSWORD", "CLAUDE_API_KEY", "OPENAI_API_KEY")
    result = operate("secrets", "dev", *(word for name in words for word in ("--replace", name)))
    assert result.status == 1
    assert "the server is away" in result.err
    assert (
        "Put into the cluster: POSTGRES_BACKEND_PASSWORD. Not, or nobody knows: CLAUDE_API_KEY, OPENAI_API_KEY.\n"
        in (result.out)
    )


def test_an_unknown_key_is_not_replaced(operate: Operate, workplace: Workplace) -> None:
    result = operate("secrets", "dev", "--replace", "NOBODYS_KEY")
    assert result.status == 2
    assert "No Secret is made here from NOBODYS_KEY. There are: POSTGRES_PASSWORD, " in result.err


def test_secrets_that_are_all_there_change_nothing(operate: Operate, workplace: Workplace) -> None:
    assert operate("secrets", "dev").status == 0
    assert not any(re.search(" (create|patch) ", line) for line in workplace.stand_ins.lines())


def test_the_table_says_who_reads_each_key(operate: Operate) -> None:
    out = operate("secrets", "dev").out
    assert re.search(r"ai-interviewer-claude +api-key .* claude-llm-agent$", out, re.M)
    assert re.search(r"ai-interviewer-postgres +mcpmesh-password .* postgres-databases, registry$", out, re.M)


def test_a_missing_key_is_asked_for(operate: Operate, workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    workplace.env_file.write_text("")
    workplace.stand_ins.answer("kubectl", "get secrets --output=go-template", "")
    monkeypatch.setattr("mcpmesh_k8s.operations.secrets.can_ask", lambda: True)

    def answer(question: str) -> str:
        asked.append(question)
        return f"value {len(asked)}"

    monkeypatch.setattr("mcpmesh_k8s.operations.secrets.ask_secret", answer)
    assert operate("secrets", "dev").status == 0
    assert [question.split(",")[0] for question in asked] == ["CLAUDE_API_KEY", "OPENAI_API_KEY"]
    assert sent(workplace, "create")["ai-interviewer-openai"] == {"api-key": "value 2"}


def test_an_empty_answer_changes_nothing(
    operate: Operate, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.env_file.write_text("")
    workplace.stand_ins.answer("kubectl", "get secrets --output=go-template", "")
    monkeypatch.setattr("mcpmesh_k8s.operations.secrets.can_ask", lambda: True)
    monkeypatch.setattr("mcpmesh_k8s.operations.secrets.ask_secret", lambda _: "")
    result = operate("secrets", "dev")
    assert result.status == 1
    assert "CLAUDE_API_KEY is empty. Nothing was changed." in result.err
    assert not any(re.search(" (create|patch) ", line) for line in workplace.stand_ins.lines())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("REDIS_MESH_PASSWORD=p@ss/word", "REDIS_MESH_PASSWORD becomes part of URLs"),
        ("REDIS_MESH_PASSWORD=sesame7", "REDIS_MESH_PASSWORD is short. Give 8 characters or more."),
        ("MINIO_ROOT_USER=ab", "MINIO_ROOT_USER becomes part of URLs. Give 3 or more"),
        ("CLAUDE_API_KEY=' sk '", "CLAUDE_API_KEY has blanks around it"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_without_being_shown(
    operate: Operate, workplace: Workplace, line: str, message: str
) -> None:
    workplace.stand_ins.answer("kubectl", "get secrets --output=go-template", "")
    with workplace.env_file.open("a") as file:
        file.write(f"{line}\n")
    result = operate("secrets", "dev")
    assert result.status == 1
    assert message in result.err
    assert line.partition("=")[2].strip("'") not in result.err
    assert not any(re.search(" (create|patch) ", line) for line in workplace.stand_ins.lines())


def test_an_env_file_that_was_named_must_be_there(operate: Operate, workplace: Workplace) -> None:
    workplace.env_file.unlink()
    result = operate("secrets", "dev")
    assert result.status == 1
    assert "is no file. ENV_FILE names the file with the values of Secrets." in result.err


def test_a_file_that_cannot_be_read_is_one_line(operate: Operate, workplace: Workplace) -> None:
    workplace.env_file.write_bytes(b"CLAUDE_API_KEY=\xff\n")
    result = operate("secrets", "dev")
    assert result.status == 1
    assert len(result.err.splitlines()) == 1


def test_an_env_file_that_others_can_read_is_named(operate: Operate, workplace: Workplace) -> None:
    workplace.env_file.chmod(0o644)
    assert f"chmod 600 {workplace.env_file}" in operate("secrets", "dev").out


def test_a_variable_of_the_env_file_is_not_expanded(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "get secrets --output=go-template", "")
    workplace.env_file.write_text("CLAUDE_API_KEY=a${HOME}b\nOPENAI_API_KEY=x\n")
    operate("secrets", "dev")
    assert sent(workplace, "create")["ai-interviewer-claude"]["api-key"] == "a${HOME}b"


def test_production_says_which_keys_the_store_must_hold(operate: Operate, workplace: Workplace) -> None:
    result = operate("secrets", "prod")
    assert result.status == 0
    assert re.search(r"^ai-interviewer/prod/oauth2-proxy +client-secret +.*Google.* oauth2-proxy$", result.out, re.M)
    assert re.search(r"^ai-interviewer/prod/redis +mesh-password +make it up: openssl rand -hex 24 ", result.out, re.M)
    assert not any(re.search(" (create|patch) ", line) for line in workplace.stand_ins.lines())


def test_setup_makes_the_namespace_before_the_secrets(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "get secrets --output=go-template", "")
    assert operate("setup", "dev").status == 0
    calls = workplace.stand_ins.calls
    (applied,) = [number for number, call in enumerate(calls) if " apply " in call.line]
    assert [item["kind"] for item in json.loads(calls[applied].stdin)["items"]] == ["Namespace"]
    assert min(number for number, call in enumerate(calls) if " create " in call.line) > applied


def test_setup_of_another_cluster_asks_no_minikube(operate: Operate, workplace: Workplace) -> None:
    assert operate("setup", "dev", "--context", "other", "--confirm", "dev").status == 0
    assert workplace.stand_ins.lines("minikube") == []


def test_the_example_of_an_env_file_names_every_variable_and_no_value_that_works() -> None:
    text = (ROOT / ".env.example").read_text()
    named = dict(re.findall(r"^#? ?([A-Z0-9_]+)=(.*)$", text, re.M))
    wanted = {
        f"{name.removeprefix('ai-interviewer-')}_{key}".upper().replace("-", "_")
        for name, keys in {
            **SECRET_KEYS,
            "ai-interviewer-oauth2-proxy": "client-id client-secret cookie-secret",
            "ai-interviewer-alertmanager": "page ticket watchdog",
        }.items()
        for key in keys.split()
    }
    backups = {
        "POSTGRES_BACKUP_PASSWORD",
        "REDIS_BACKUP_PASSWORD",
        "MINIO_BACKUP_ACCESS_KEY",
        "MINIO_BACKUP_SECRET_KEY",
    }
    assert set(named) == wanted | backups
    assert {value for name, value in named.items() if not name.endswith("_USER")} == {""}


# --- the hosts file ---

BLOCK = "# BEGIN ai-interviewer\n192.168.49.2 ai-interviewer.local\n# END ai-interviewer\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("127.0.0.1 localhost\n", f"127.0.0.1 localhost\n{BLOCK}"),
        ("127.0.0.1 localhost", f"127.0.0.1 localhost\n{BLOCK}"),
        ("", BLOCK),
        (f"a\n{BLOCK.replace('192.168.49.2', '10.9.9.9')}b\n", f"a\n{BLOCK}b\n"),
        (f"a\n{BLOCK}b\n", f"a\n{BLOCK}b\n"),
        (
            "# BEGIN ai-interviewer-two\nx\n# END ai-interviewer-two\n",
            f"# BEGIN ai-interviewer-two\nx\n# END ai-interviewer-two\n{BLOCK}",
        ),
    ],
)
def test_the_hosts_file_gets_one_block(operate: Operate, workplace: Workplace, before: str, after: str) -> None:
    workplace.hosts.write_text(before)
    for _ in range(2):
        assert operate("ingress-hosts", "dev").status == 0
        assert workplace.hosts.read_text() == after


def test_what_is_not_ours_in_the_hosts_file_is_kept_to_the_byte(operate: Operate, workplace: Workplace) -> None:
    for before, block in (
        (b"10.0.0.1 b\xfcro\n", BLOCK.encode()),
        (b"10.0.0.1 b\xfcro\r\n", BLOCK.replace("\n", "\r\n").encode()),
    ):
        workplace.hosts.write_bytes(before)
        for _ in range(2):
            assert operate("ingress-hosts", "dev").status == 0
            assert workplace.hosts.read_bytes() == before + block


@pytest.mark.parametrize(
    "broken",
    [
        "# BEGIN ai-interviewer\nx\n",
        "x\n# END ai-interviewer\n",
        f"{BLOCK}{BLOCK}",
        "# END ai-interviewer\n# BEGIN ai-interviewer\n",
    ],
)
def test_a_hosts_file_with_broken_marks_is_left_alone(operate: Operate, workplace: Workplace, broken: str) -> None:
    workplace.hosts.write_text(broken)
    result = operate("ingress-hosts", "dev")
    assert result.status == 1
    assert "by hand" in result.err
    assert workplace.hosts.read_text() == broken


def test_sudo_writes_a_hosts_file_that_is_not_ours(
    operate: Operate, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpmesh_k8s.operations.hosts.can_write", lambda _: False)
    assert operate("ingress-hosts", "dev").status == 0
    (line,) = workplace.stand_ins.lines("sudo")
    assert re.fullmatch(rf"sudo cp \S+ {workplace.hosts}", line)
    assert workplace.hosts.read_text().endswith(BLOCK)
    assert operate("ingress-hosts", "dev").status == 0
    assert len(workplace.stand_ins.lines("sudo")) == 1, "sudo was called for nothing"


def test_a_sudo_that_is_refused_is_told(
    operate: Operate, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpmesh_k8s.operations.hosts.can_write", lambda _: False)
    workplace.stand_ins.answer("sudo", "", status=1)
    result = operate("ingress-hosts", "dev")
    assert result.status == 1
    assert "was not written" in result.err


@pytest.mark.parametrize("address", ["no-address", "1.2.3", "1.2.3.4 evil.example"])
def test_what_is_no_address_never_reaches_the_hosts_file(operate: Operate, workplace: Workplace, address: str) -> None:
    result = operate("ingress-hosts", "dev", "--address", address)
    assert result.status == 2
    assert "is no IP address" in result.err
    assert "BEGIN" not in workplace.hosts.read_text()


def test_production_wants_the_address_to_be_given(operate: Operate) -> None:
    assert "Give ADDRESS=" in operate("ingress-hosts", "prod").err


# --- looking after it ---


def controller(name: str, kind: str = "Deployment", **more: object) -> dict[str, object]:
    """What the cluster has of a service that is well: one pod, with the image that is rendered."""
    image = next(pod.container.image.reference for pod in OPERATED[0].application.pods if pod.name == name)
    return {
        "kind": kind,
        "metadata": {"name": f"ai-interviewer-{name}"},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": image}]}}},
        "status": {"readyReplicas": 1, "succeeded": 1},
        **more,
    }


def running(name: str, *, restarts: int = 0, reason: str = "", **more: object) -> dict[str, object]:
    """A pod of a service, which is well unless there is a reason."""
    state: dict[str, object] = {"waiting": {"reason": reason}} if reason else {"running": {}}
    made = (datetime.now(UTC) - timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    labels = {"app.kubernetes.io/name": f"ai-interviewer-{name}"}
    return {
        "kind": "Pod",
        "metadata": {"name": f"{name}-1", "labels": labels, "creationTimestamp": made, **more},
        "status": {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": restarts, "state": state}]},
    }


def status_of(operate: Operate, workplace: Workplace, *items: dict[str, object]) -> dict[str, str]:
    """The rows of the table that `status` shows, by service."""
    kinds = "deployments,statefulsets,jobs,cronjobs,pods"
    pattern = f"get {kinds} --selector=app.kubernetes.io/part-of=ai-interviewer --output=json$"
    workplace.stand_ins.answer("kubectl", pattern, json.dumps({"items": items}))
    result = operate("status", "dev")
    assert (result.status, result.err) == (0, "")
    assert workplace.stand_ins.lines()[-1].startswith(f"{DEV_KUBECTL} get deployments,statefulsets,jobs,cronjobs,pods ")
    lines = result.out.splitlines()
    assert lines[1].split("  ")[0] == "service"
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines[3:]}


def test_status_is_one_line_for_each_service(operate: Operate, workplace: Workplace) -> None:
    rows = status_of(
        operate,
        workplace,
        controller("postgres", "StatefulSet"),
        running("postgres"),
        controller("registry", spec={"replicas": 3}, status={"readyReplicas": 2}),
        running("registry"),
        running("registry", restarts=4, reason="CrashLoopBackOff"),
        running("registry", restarts=5, reason="CrashLoopBackOff"),
        controller("smoke-test", "Job"),
        controller("grafana", spec={"replicas": 0}),
        {**controller("tempo"), "metadata": {"name": "ai-interviewer-old"}},
    )
    assert list(rows)[:4] == ["postgres", "postgres-databases", "redis", "minio"], "not in the order they are deployed"
    assert re.fullmatch(r"1 1 0 3h \S*postgres:\S+", rows["postgres"])
    assert rows["registry"].startswith("3 2 9 3h ")
    assert rows["registry"].endswith("c waits: CrashLoopBackOff (2 pods)")
    assert rows["redis"] == "1 0 0 not deployed"
    assert rows["smoke-test"].split()[:2] == ["1", "1"]
    assert rows["grafana"].endswith("stopped: deploy again")
    assert rows["old"].endswith("no longer rendered")


@pytest.mark.parametrize(
    ("spec", "state", "said"),
    [
        ({}, {}, ""),
        ({}, {"lastScheduleTime": "2026-11-30T02:30:00Z", "lastSuccessfulTime": "2026-11-30T02:31:00Z"}, ""),
        ({}, {"lastScheduleTime": "2026-11-30T02:30:00Z", "active": [{"name": "now"}]}, ""),
        (
            {},
            {"lastScheduleTime": "2026-11-30T02:30:00Z", "lastSuccessfulTime": "2026-11-29T02:31:00Z"},
            "its run of 2026-11-30T02:30:00Z has not succeeded",
        ),
        ({"suspend": True}, {}, "suspended: deploy again"),
    ],
)
def test_of_a_task_with_a_schedule_the_last_run_counts(
    spec: dict[str, object], state: dict[str, object], said: str
) -> None:
    found = {"kind": "CronJob", "metadata": {"name": "shop-nightly"}, "spec": spec, "status": state}
    service = pods.service_of("nightly", found, found, ())
    assert (service.kind, service.wanted, service.ready, service.wrong) == ("CronJob", 1, int(not said), said)


def test_status_names_an_image_that_is_not_the_rendered_one(operate: Operate, workplace: Workplace) -> None:
    other = {"replicas": 1, "template": {"spec": {"containers": [{"image": "redis:6"}]}}}
    rows = status_of(operate, workplace, controller("redis", spec=other), running("redis"))
    assert re.fullmatch(r"1 1 0 3h redis:6 not what is rendered: redis:7\S+", rows["redis"])


def test_status_tells_of_a_roll_out_that_fails_while_the_old_pods_serve(operate: Operate, workplace: Workplace) -> None:
    failing = running("redis", reason="ImagePullBackOff")
    rows = status_of(operate, workplace, controller("redis"), running("redis"), failing)
    assert rows["redis"].endswith("c waits: ImagePullBackOff")


def test_status_counts_no_pod_that_is_being_ended(operate: Operate, workplace: Workplace) -> None:
    ending = running("redis", restarts=7, reason="Error", deletionTimestamp="2026-01-01T00:00:00Z")
    rows = status_of(operate, workplace, controller("redis"), running("redis"), ending)
    assert rows["redis"].startswith("1 1 0 3h ")
    assert "Error" not in rows["redis"]


@pytest.mark.parametrize(
    ("arguments", "selector", "more"),
    [
        (("logs", "dev"), "", "--tail=100 --max-log-requests=50"),
        (
            ("logs", "dev", "backend", "redis"),
            ",app.kubernetes.io/name in (ai-interviewer-backend,ai-interviewer-redis)",
            "--tail=100 --max-log-requests=50",
        ),
        (
            ("logs-agents", "dev", "--follow", "--lines", "5"),
            ",app.kubernetes.io/component=agent",
            "--tail=5 --max-log-requests=50 --follow",
        ),
    ],
)
def test_logs_are_of_the_pods_that_are_meant(
    operate: Operate, workplace: Workplace, arguments: tuple[str, ...], selector: str, more: str
) -> None:
    assert operate(*arguments).status == 0
    assert workplace.stand_ins.lines()[-1] == (
        f"{DEV_KUBECTL} logs --selector=app.kubernetes.io/part-of=ai-interviewer{selector} "
        f"--all-containers --prefix --ignore-errors {more}"
    )


def test_logs_of_an_unknown_workload_name_those_there_are(operate: Operate) -> None:
    result = operate("logs", "dev", "frontend")
    assert result.status == 2
    assert "No workload is called frontend. There are: postgres, redis" in result.err


def pod(phase: str = "Running", *, kind: str = "container", **found: object) -> dict[str, object]:
    """A pod with one container's state, or with one condition."""
    if "type" in found:
        return {"status": {"phase": phase, "conditions": [found]}}
    return {"status": {"phase": phase, f"{kind}Statuses": [{"name": "c", "state": found}]}}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod("Succeeded"), ""),
        (pod(), ""),
        (pod("Pending"), "Pending"),
        ({"status": {"phase": "Failed"}}, "Failed"),
        (
            {"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "}},
            "Evicted: The node was low on resource: memory",
        ),
        (pod(waiting={"reason": "ImagePullBackOff"}), "c waits: ImagePullBackOff"),
        (pod("Pending", waiting={"reason": "ContainerCreating"}), "Pending"),
        (pod(kind="initContainer", terminated={"exitCode": 2}), "c ended with status 2"),
        (pod(kind="initContainer", terminated={"exitCode": 0}), ""),
        (pod(type="PodScheduled", status="False", message="0/1 nodes"), "not scheduled: 0/1 nodes"),
        (pod(type="Ready", status="False", reason="ContainersNotReady"), "not ready: ContainersNotReady"),
        (pod(type="Ready", status="True"), ""),
    ],
)
def test_a_pod_in_trouble_is_told_from_one_that_is_well(found: dict[str, object], reason: str) -> None:
    assert pods.trouble_of(found) == reason


def warning(kind: str, name: str, uid: str, message: str) -> dict[str, object]:
    return {
        "involvedObject": {"kind": kind, "name": name, "uid": uid},
        "message": message,
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }


def test_when_no_pod_is_in_trouble_warnings_about_what_is_there_are_shown(
    operate: Operate, workplace: Workplace
) -> None:
    events = [
        warning("Pod", "postgres-0", "new", "Readiness probe failed"),
        warning("Pod", "postgres-0", "old", "FailedScheduling of long ago"),
        warning("Pod", "backend-gone", "gone", "Back-off of long ago"),
        warning("ReplicaSet", "backend-1", "also-gone", "quota of long ago"),
        warning("Certificate", "tls", "unknown", "Issuing failed"),
    ]
    answer = workplace.stand_ins.answer
    answer("kubectl", "get pods --output=json", PODS)
    answer("kubectl", "get events --field-selector=type=Warning --output=json$", json.dumps({"items": events}))
    there = {"items": [{"metadata": {"uid": "new"}}]}
    answer("kubectl", "get pod,replicaset --output=json$", json.dumps(there))
    result = operate("describe-failing", "dev")
    assert (result.status, result.err) == (0, "")
    assert re.search(r"pod postgres-0 +Readiness probe failed$", result.out, re.M)
    assert re.search(r"certificate tls +Issuing failed$", result.out, re.M)
    assert "long ago" not in result.out


def test_the_events_of_a_failing_pod_are_not_those_of_the_pod_before(operate: Operate, workplace: Workplace) -> None:
    failing = running("postgres", reason="CrashLoopBackOff", uid="new")
    workplace.stand_ins.answer("kubectl", "get pods --output=json", json.dumps({"items": [failing]}))
    workplace.stand_ins.answer("kubectl", "get events ")
    assert operate("describe-failing", "dev").status == 0
    (line,) = [line for line in workplace.stand_ins.lines() if "get events" in line]
    assert "--field-selector=involvedObject.name=postgres-1,involvedObject.uid=new " in line


def test_port_forward_listens_on_this_machine_only(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", " port-forward ")
    assert operate("port-forward", "dev", "grafana").status == 0
    assert operate("port-forward", "dev").status == 0
    assert [line for line in workplace.stand_ins.lines() if "port-forward" in line] == [
        f"{DEV_KUBECTL} port-forward service/ai-interviewer-grafana 3000:3000 --address=127.0.0.1",
        f"{DEV_KUBECTL} port-forward service/ai-interviewer-nginx-gateway 8080:80 --address=127.0.0.1",
    ]
    assert "Give TARGET=<one of" in operate("port-forward", "dev", "minio-bucket").err


def test_restart_restarts_everything_but_the_stores(operate: Operate, workplace: Workplace) -> None:
    """The Redis of dev holds its data in the pod."""
    assert operate("restart", "dev").status == 0
    (line,) = [line for line in workplace.stand_ins.lines() if "rollout restart" in line]
    assert "deployment/ai-interviewer-backend" in line
    assert not re.search("statefulset|redis|postgres|minio", line)
    assert len([line for line in workplace.stand_ins.lines() if "rollout status" in line]) == line.count("deployment/")


def test_restart_of_one_workload(operate: Operate, workplace: Workplace) -> None:
    assert operate("restart", "dev", "postgres").status == 0
    assert f"{DEV_KUBECTL} rollout restart statefulset/ai-interviewer-postgres" in workplace.stand_ins.lines()


# --- the way back, and the end ---


def no_stores(environment: str) -> set[str]:
    """The short names of Deployments that are no store, as they are rendered."""
    found = (name_of(m) for m in read_manifests(ROOT / "dist" / environment) if m["kind"] == "Deployment")
    return {name.removeprefix("ai-interviewer-") for name in found} - {"redis"}


def test_rollback_stops_every_client_before_compose_starts(
    operate: Operate, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpmesh_k8s.operations.clients.time.sleep", lambda _: None)
    pods = {"items": [{"metadata": {"name": "backend-1"}, "status": {"phase": "Running"}}]}
    workplace.stand_ins.answer("kubectl", "get pods --selector", '{"items": []}')
    workplace.stand_ins.answer("kubectl", "get pods --selector", json.dumps(pods), times=2)
    result = operate("rollback", "dev")
    assert (result.status, result.err) == (0, "")
    lines = workplace.stand_ins.lines()
    (scale,) = [line for line in lines if " scale " in line]
    assert scale.startswith(f"{DEV_KUBECTL} scale --replicas=0 deployment/")
    scaled = set(re.findall(r"deployment/ai-interviewer-(\S+)", scale))
    assert scaled == no_stores("dev")
    assert {"backend", "registry", "nginx-gateway", "tempo", "prometheus"} <= scaled
    compose = f"docker compose --file {workplace.checkout}/docker-compose.yml up --detach --wait --wait-timeout 300"
    assert lines[-2] == compose
    assert len([line for line in lines if "get pods --selector" in line]) == 3
    assert "waiting for 1 pods to end: backend-1" in result.out


def test_pods_that_do_not_end_keep_compose_from_starting(
    operate: Operate, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpmesh_k8s.operations.clients.SLACK", -(10**6))
    monkeypatch.setattr("mcpmesh_k8s.operations.clients.time.sleep", lambda _: None)
    pods = {"items": [{"metadata": {"name": "backend-1"}, "status": {"phase": "Running"}}]}
    workplace.stand_ins.answer("kubectl", "get pods --selector", json.dumps(pods))
    result = operate("rollback", "dev")
    assert result.status == 1
    assert "These pods do not stop: backend-1" in result.err
    assert workplace.stand_ins.lines("docker") == []


@pytest.mark.parametrize("command", ["rollback", "clean", "deploy"])
def test_what_argocd_would_undo_is_refused(operate: Operate, workplace: Workplace, command: str) -> None:
    application = {
        "metadata": {"name": "ai-interviewer-dev"},
        "spec": {"destination": {"namespace": "ai-interviewer"}, "syncPolicy": {"automated": {"selfHeal": True}}},
    }
    elsewhere = {
        "metadata": {"name": "x"},
        "spec": {"destination": {"namespace": "y"}, "syncPolicy": {"automated": {"a": 1}}},
    }
    found = json.dumps({"items": [elsewhere, application]})
    workplace.stand_ins.answer("kubectl", "--namespace argocd get applications.argoproj.io", found)
    result = operate(command, "dev")
    assert result.status == 1
    assert "ArgoCD would undo this: its Application 'ai-interviewer-dev' syncs by itself" in result.err
    assert not any(re.search(" (scale|delete|apply) ", line) for line in workplace.stand_ins.lines())


def test_rollback_without_a_compose_file_changes_nothing(operate: Operate, workplace: Workplace) -> None:
    (workplace.checkout / "docker-compose.yml").unlink()
    result = operate("rollback", "dev")
    assert result.status == 1
    assert "holds no Compose file" in result.err
    assert workplace.stand_ins.calls == []


def test_clean_keeps_claims_secrets_and_namespace(operate: Operate, workplace: Workplace) -> None:
    assert operate("clean", "dev").status == 0
    deletions = [call for call in workplace.stand_ins.calls if " delete " in call.line]
    kinds = {item["kind"] for call in deletions for item in json.loads(call.stdin)["items"]}
    assert kinds & {"Namespace", "PersistentVolumeClaim", "Secret", "ExternalSecret"} == set()
    assert {"Deployment", "StatefulSet", "Service", "NetworkPolicy"} <= kinds
    assert [call.line for call in deletions] == [f"{DEV_KUBECTL} delete --ignore-not-found --wait --filename=-"]


def test_data_is_deleted_only_when_that_is_confirmed(operate: Operate, workplace: Workplace) -> None:
    assert operate("clean", "dev", "--confirm", "delete-data").status == 0
    assert workplace.stand_ins.lines()[-1] == f"{DEV_KUBECTL} delete namespace ai-interviewer --ignore-not-found --wait"


@pytest.mark.parametrize("confirm", ["prod", "delete-data"])
def test_the_data_of_production_is_never_deleted(operate: Operate, workplace: Workplace, confirm: str) -> None:
    operate("clean", "prod", "--confirm", confirm)
    assert not any("delete namespace" in line for line in workplace.stand_ins.lines())
    deletions = [call for call in workplace.stand_ins.calls if " delete " in call.line]
    kinds = {item["kind"] for call in deletions for item in json.loads(call.stdin)["items"]}
    assert kinds & {"PersistentVolumeClaim", "ExternalSecret"} == set()


# --- data (what is moved, and how, is proven in test_data_moves.py) ---


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch, workplace: Workplace) -> list[str]:
    """Each move of data that was made, with the number of calls before it; programs that answer well."""
    made: list[str] = []

    def move(name: str) -> Callable[..., None]:
        def record(side: object, stores: object, folder: Path, **more: object) -> None:
            kind = type(side).__name__
            made.append(f"{len(workplace.stand_ins.calls)}: {name} {kind} {folder.name} {more}")

        return record

    monkeypatch.setattr("mcpmesh_k8s.operations.commands.Manifest.read", lambda _: None)
    for name in ("export_data", "import_data", "compare_data"):
        monkeypatch.setattr(f"mcpmesh_k8s.operations.commands.{name}", move(name))
    (workplace.stand_ins.folder / "mc").write_text("#!/bin/sh\n")
    (workplace.stand_ins.folder / "mc").chmod(0o755)
    workplace.stand_ins.answer("kubectl", "get pods --selector", '{"items": []}')
    workplace.stand_ins.answer("docker", "compose .* ps ", "postgres\nredis\nminio\nfastapi\ninterview-agent\n")
    return made


def test_an_import_stops_the_clients_first_and_starts_them_after(
    operate: Operate, workplace: Workplace, moves: list[str], tmp_path: Path
) -> None:
    assert operate("import-data", "prod", "--confirm", "prod", "--data", str(tmp_path / "export")).status == 0
    lines = workplace.stand_ins.lines()
    (stop,) = [number for number, line in enumerate(lines) if "scale --replicas=0" in line]
    starts = [line for line in lines if " scale " in line and "--replicas=0" not in line]
    assert [move.partition(": ")[2] for move in moves] == ["import_data ClusterSide export {'owners': []}"]
    assert stop < int(moves[0].partition(":")[0]) <= lines.index(starts[0])
    counts = {line.split("/")[-1]: line.split()[-2] for line in starts}
    assert counts["ai-interviewer-backend"] == "--replicas=3"
    assert counts["ai-interviewer-nginx-gateway"] == "--replicas=2"
    assert counts["ai-interviewer-registry"] == "--replicas=1"
    assert {name.removeprefix("ai-interviewer-") for name in counts} == no_stores("prod")


def test_an_import_into_production_wants_consent(
    operate: Operate, workplace: Workplace, moves: list[str], tmp_path: Path
) -> None:
    assert "If you mean it: CONFIRM=prod" in operate("import-data", "prod", "--data", str(tmp_path)).err
    assert [line for line in workplace.stand_ins.lines() if " config " not in line] == []
    assert moves == []


def test_an_import_that_fails_leaves_the_clients_stopped(
    operate: Operate, workplace: Workplace, moves: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationError("the dump is damaged")

    monkeypatch.setattr("mcpmesh_k8s.operations.commands.import_data", fail)
    result = operate("import-data", "dev", "--data", str(tmp_path / "export"))
    assert (result.status, result.err) == (1, "error: the dump is damaged\n")
    assert result.out.endswith("The application is stopped. Give the command again, or deploy again to start it.\n")
    assert [line.split()[6] for line in workplace.stand_ins.lines() if " scale " in line] == ["--replicas=0"]


TAKEN = 'Error from server (AlreadyExists): error when creating "STDIN": configmaps "x" already exists\n'
TURN = "ai-interviewer-data-move"


def taken(workplace: Workplace, times: int | None = None, **by: str) -> None:
    """Let somebody be at it already."""
    workplace.stand_ins.answer("kubectl", " create --filename=-", stderr=TAKEN, status=1, times=times)
    said = {"by": "jane@laptop", "process": "7", "doing": "restore", "since": "2026-11-30T10:00:00+00:00", **by}
    workplace.stand_ins.answer("kubectl", f" get configmap {TURN} ", json.dumps({"data": said}))


def moving(environment: str, data: Path) -> dict[str, list[str]]:
    """The commands that change data."""
    consent = [] if environment == "dev" else ["--confirm", environment]
    return {
        "import-data": ["import-data", environment, "--data", str(data), *consent],
        "rollback": ["rollback", environment, *consent],
        "deploy": ["deploy", environment, *consent],
        "clean": ["clean", environment, *consent],
        "rotate": ["rotate", environment, "--name", "grafana", "--key", "admin-password", *consent],
    }


@pytest.mark.parametrize("command", ["import-data", "rollback", "deploy", "clean", "rotate"])
def test_of_two_that_change_data_at_once_the_second_is_refused_before_anything_stops(
    operate: Operate, workplace: Workplace, moves: list[str], tmp_path: Path, command: str
) -> None:
    taken(workplace)
    result = operate(*moving("dev", tmp_path / "export")[command])
    assert result.status == 1
    assert result.err == (
        "error: restore of dev is at work (jane@laptop, process 7, since 2026-11-30T10:00:00+00:00), and changes "
        f"its data or keys. Wait for it. Where it was killed: {DEV_KUBECTL} delete configmap {TURN}\n"
    )
    assert not [line for line in workplace.stand_ins.lines() if re.search(" (scale|patch|delete) ", line)]
    assert moves == []


def test_status_says_whose_turn_it_is_and_how_that_ends(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "get deployments,", json.dumps({"items": []}))
    said = "restore of dev is at work (jane@laptop, process 7, since 2026-11-30T10:00:00+00:00)"
    assert said not in operate("status", "dev").out
    taken(workplace)
    result = operate("status", "dev")
    assert said in result.out
    assert f"Where it was killed: {DEV_KUBECTL} delete configmap {TURN}\n" in result.out
    result = operate("status", "dev", "--json")
    assert json.loads(result.out)["services"]
    assert said in result.err


@pytest.mark.parametrize("runs", [True, False])
def test_the_turn_of_a_process_of_this_machine_is_taken_over_once_that_is_gone(
    operate: Operate, workplace: Workplace, moves: list[str], tmp_path: Path, runs: bool
) -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as other:
        if not runs:
            other.communicate()
        by = f"{getpass.getuser()}@{platform.node()}"
        taken(workplace, times=1, by=by, process=str(other.pid))
        status = operate(*moving("dev", tmp_path / "export")["import-data"]).status
        other.communicate() if runs else None
    assert status == (1 if runs else 0)
    assert len(moves) == (0 if runs else 1)


def test_a_turn_ends_with_the_command_whatever_ends_that(
    operate: Operate, workplace: Workplace, moves: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationError("the dump is damaged")

    monkeypatch.setattr("mcpmesh_k8s.operations.commands.import_data", fail)
    assert operate(*moving("dev", tmp_path / "export")["import-data"]).status == 1
    (made,) = [call for call in workplace.stand_ins.calls if "create" in call.arguments]
    said = json.loads(made.stdin)
    assert (said["kind"], said["metadata"]["name"], said["data"]["doing"]) == ("ConfigMap", TURN, "import-data")
    assert workplace.stand_ins.lines()[-1] == f"{DEV_KUBECTL} delete configmap {TURN} --ignore-not-found"


def test_nothing_stops_for_an_export_that_is_no_good(operate: Operate, workplace: Workplace, tmp_path: Path) -> None:
    (workplace.stand_ins.folder / "mc").symlink_to(workplace.stand_ins.folder / "docker")
    result = operate("import-data", "dev", "--data", str(tmp_path))
    assert result.status == 1
    assert "is no export: it has no manifest.json" in result.err
    assert workplace.stand_ins.calls == []


def test_an_import_into_compose_stops_all_but_the_stores(
    operate: Operate, workplace: Workplace, moves: list[str], tmp_path: Path
) -> None:
    options = ("--to", "compose", "--owner", "mcpmesh:public:mcpmesh", "--data", str(tmp_path / "export"))
    assert operate("import-data", "dev", *options).status == 0
    compose = f"docker compose --file {workplace.checkout}/docker-compose.yml"
    up = f"{compose} up --detach --wait --wait-timeout 300"
    assert workplace.stand_ins.lines("docker") == [
        f"{up} postgres redis minio",
        f"{compose} ps --services --status running",
        f"{compose} stop fastapi interview-agent",
        up,
    ]
    assert moves == [
        "3: import_data ComposeSide export {'owners': [Owner(database='mcpmesh', schema='public', role='mcpmesh')]}"
    ]


@pytest.mark.parametrize(("options", "side"), [((), "ClusterSide"), (("--from", "compose", "--live"), "ComposeSide")])
def test_an_export_stops_and_starts_nothing(
    operate: Operate, workplace: Workplace, moves: list[str], tmp_path: Path, options: tuple[str, ...], side: str
) -> None:
    assert operate("export-data", "prod", "--data", str(tmp_path / "new"), *options).status == 0
    assert moves[0].partition(": ")[2] == f"export_data {side} new {{'live': {bool(options)}}}"
    assert not any(re.search(" (scale|stop|up) ", line) for line in workplace.stand_ins.lines())


def test_a_rollback_with_data_takes_them_along(
    operate: Operate, workplace: Workplace, moves: list[str], tmp_path: Path
) -> None:
    assert operate("rollback", "dev", "--data", str(tmp_path / "back")).status == 0
    (stop,) = [n for n, line in enumerate(workplace.stand_ins.lines()) if "scale --replicas=0" in line]
    assert [move.split()[1:4] for move in moves] == [
        ["export_data", "ClusterSide", "back"],
        ["import_data", "ComposeSide", "back"],
    ]
    assert int(moves[0].partition(":")[0]) > stop
    assert workplace.stand_ins.lines()[-2].endswith("up --detach --wait --wait-timeout 300")


def test_a_rollback_never_restores_an_export_that_may_be_old(
    operate: Operate, workplace: Workplace, moves: list[str], tmp_path: Path
) -> None:
    result = operate("rollback", "dev", "--data", str(tmp_path))
    assert result.status == 1
    assert "exists, and may be old. Name a new folder" in result.err
    assert (moves, workplace.stand_ins.calls) == ([], [])


def test_a_rollback_of_a_dead_cluster_says_how_compose_starts(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "readyz", status=1)
    result = operate("rollback", "dev")
    assert result.status == 1
    assert re.search(r"does not answer .* without its data: docker compose --file \S+ up --detach$", result.err.strip())


@pytest.mark.parametrize(
    ("command", "option"), [("export-data", "--to"), ("import-data", "--from")], ids=["export", "import"]
)
def test_data_never_go_the_other_way_by_a_slip(
    operate: Operate, workplace: Workplace, moves: list[str], tmp_path: Path, command: str, option: str
) -> None:
    result = operate(command, "dev", option, "compose", "--data", str(tmp_path / "export"))
    assert result.status == 2
    assert (moves, workplace.stand_ins.calls) == ([], [])


def test_a_place_that_is_misspelled_is_refused(operate: Operate) -> None:
    result = operate("export-data", "dev", "--from", "Compose", "--data", "d")
    assert result.status == 2
    assert result.err.startswith("error: Invalid value for '--from': 'Compose' is not one of 'cluster', 'compose'")
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["export-data", "import-data", "verify-data"])
def test_without_a_folder_no_data_move(operate: Operate, moves: list[str], command: str) -> None:
    result = operate(command, "dev")
    assert result.status == 2
    assert result.err == "error: Missing option '--data'. (make: DATA=…)\n"
    assert moves == []


def test_an_owner_that_is_not_understood_is_refused_before_anything_stops(
    operate: Operate, workplace: Workplace, tmp_path: Path
) -> None:
    result = operate("import-data", "dev", "--owner", "mcpmesh", "--data", str(tmp_path))
    assert result.status == 2
    assert "'mcpmesh': give <database>:<schema>:<role>" in result.err
    assert workplace.stand_ins.calls == []


# --- how programs are called ---


def test_a_command_that_takes_too_long_is_stopped(workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "^slow$", seconds=30)
    with pytest.raises(OperationError, match=r"`kubectl slow` gave no answer within 0\.5 seconds"):
        captured(["kubectl", "slow"], timeout=0.5)


def test_the_last_words_of_a_command_that_fails_are_told(workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "^bad$", stderr="one\nUnauthorized\n\n", status=3)
    with pytest.raises(OperationError, match=r"`kubectl bad` failed with status 3: Unauthorized$"):
        captured(["kubectl", "bad"])


def test_a_forwarded_port_never_waits_for_a_reader(workplace: Workplace, tmp_path: Path) -> None:
    """kubectl writes a line for each connection, and a full pipe would stop it."""
    source, done = tmp_path / "source", tmp_path / "done"
    source.write_text("all was written")
    said = "Forwarding from 127.0.0.1:4567 -> 9000\n" + "Handling connection for 4567\n" * 20_000
    workplace.stand_ins.answer("kubectl", " port-forward ", said, copies=((5, 1),))
    with Kubectl(context=str(done), namespace="shop").forwarded(str(source), 9000) as port:
        assert port == 4567
        assert eventually(lambda: done.exists() and done.read_text() == "all was written", 20)


def test_all_missing_programs_are_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperationError, match=r"docker, kubectl not found on PATH\. Install Docker.*Install kubectl"):
        require("docker", "kubectl")


def test_ctrl_c_ends_without_a_traceback(operate: Operate, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("mcpmesh_k8s.operations.cluster.require_answer", interrupted)
    result = operate("status", "dev")
    assert (result.status, result.err) == (130, "stopped\n")


def test_the_command_line_names_what_there_is(operate: Operate) -> None:
    result = operate("deploy", "elsewhere")
    assert result.status == 2
    assert f"there is no environment 'elsewhere', only: {', '.join(EVERY)}." in result.err
