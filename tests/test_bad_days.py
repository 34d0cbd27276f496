"""On a bad day a command says what happened and what to do: it takes no failure for an answer, and waits for ever for
nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ai_interviewer import DEV, AiInterviewer
from conftest import ROOT, grid
from mcpmesh_k8s.operations import Environment, programs
from mcpmesh_k8s.operations.cli import main
from mcpmesh_k8s.operations.programs import Kubectl, OperationError, stream
from mcpmesh_k8s.operations.terminal import progress
from mesh_harness import eventually
from test_operations import Operate, Workplace
from test_operations import operate as operate  # fixtures
from test_operations import workplace as workplace

pytestmark = pytest.mark.usefixtures("commands_are_made_once")

UP = "docker compose --file "

# --- a failure is no answer ---

# What kubectl 1.34 and 1.20 said, word for word.
EXPIRED = "error: You must be logged in to the server (Unauthorized)\n"
NO_PLUGIN = (
    "Unable to connect to the server: getting credentials: exec: executable aws not found\n\n"
    "It looks like you are trying to use a client-go credential plugin that is not installed.\n\n"
    "To learn more about this feature, consult the documentation available at:\n"
    "      https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins\n"
)
REFUSED = "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?\n"
UNWELL = "Error from server (ServiceUnavailable): the server is currently unable to handle the request\n"
CLOCK = (
    "Unable to connect to the server: tls: failed to verify certificate: x509: certificate has expired or is not yet "
    "valid: current time 2031-01-01T00:00:00Z is after 2030-01-01T00:00:00Z\n"
)


@pytest.mark.parametrize(
    ("said", "told", "start"),
    [
        (EXPIRED, "does not let you in (You must be logged in to the server (Unauthorized)): sign in", False),
        (UNWELL, "is not in order (Error from server (ServiceUnavailable): the server is currently unable", False),
        (REFUSED, "does not answer (The connection to the server 10.0.0.1:6443 was refused", True),
        (
            NO_PLUGIN,
            "does not answer (Unable to connect to the server: getting credentials: exec: executable aws",
            True,
        ),
        (CLOCK, "x509: certificate has expired or is not yet valid: current time 2031", True),
    ],
    ids=["expired token", "unwell", "refused", "no plugin", "clock"],
)
@pytest.mark.parametrize("command", ["status", "rollback"])
def test_a_cluster_that_is_not_gone_is_not_called_gone(
    command: str, said: str, told: str, start: bool, operate: Operate, workplace: Workplace
) -> None:
    workplace.stand_ins.answer("kubectl", "readyz", stderr=said, status=1)
    result = operate(command, "dev")
    assert result.status == 1
    assert told in result.err
    assert ("Start it: minikube start" in result.err) is start
    assert (UP in result.err) is (command == "rollback")
    assert not [line for line in workplace.stand_ins.lines() if line.startswith("docker") or " scale " in line]


def test_who_may_not_ask_whether_the_cluster_is_ready_may_do_the_rest(operate: Operate, workplace: Workplace) -> None:
    said = 'Error from server (Forbidden): forbidden: User "joe" cannot get path "/readyz"\n'
    workplace.stand_ins.answer("kubectl", "readyz", stderr=said, status=1)
    assert operate("status", "dev").status == 0


@pytest.mark.parametrize(
    ("command", "asked"),
    [("status", "namespace ai-interviewer"), ("deploy", "ingressclass nginx"), ("setup", "ingressclass nginx")],
)
@pytest.mark.parametrize(
    "said",
    [
        'Error from server (Forbidden): User "joe" cannot get it\n',
        "Error from server (InternalError): leader changed\n",
    ],
    ids=["403", "500"],
)
def test_what_cannot_be_seen_is_not_called_missing(
    command: str, asked: str, said: str, operate: Operate, workplace: Workplace
) -> None:
    workplace.stand_ins.answer("kubectl", f"get {asked}", stderr=said, status=1)
    result = operate(command, "dev")
    assert result.status == 1
    assert said.strip() in result.err
    assert "has no" not in result.err
    assert "lacks" not in result.err
    assert not any(" apply " in line for line in workplace.stand_ins.lines())


@pytest.mark.parametrize("command", ["status", "diff", "deploy", "setup", "restart", "secrets"])
def test_a_namespace_that_is_being_deleted_is_not_deployed_to(
    command: str, operate: Operate, workplace: Workplace
) -> None:
    workplace.stand_ins.answer("kubectl", "get namespace ai-interviewer ", '{"status": {"phase": "Terminating"}}')
    result = operate(command, "dev")
    assert result.status == 1
    assert "Namespace 'ai-interviewer' of context 'minikube' is being deleted. Wait until it is gone" in result.err
    assert "kubectl --context minikube describe namespace ai-interviewer" in result.err
    assert not [line for line in workplace.stand_ins.lines() if " apply " in line or "addons enable" in line]


def test_what_is_no_json_is_named(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "get deployments,.* --output=json$", "asdf: no version is set\n")
    result = operate("status", "dev")
    assert result.status == 1
    assert "printed no JSON: 'asdf: no version is set" in result.err


# --- nothing waits for ever ---


@pytest.mark.parametrize("live", [False, True], ids=["plain", "with moving lines"])
def test_a_program_that_never_ends_is_stopped(live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpmesh_k8s.operations.terminal.is_fancy", lambda *_: live)
    with progress("a test"), pytest.raises(OperationError, match=r"`sleep 60` did not end within 0\.2 seconds\. What"):
        stream(["sleep", "60"], timeout=0.2)


@pytest.mark.parametrize(
    ("command", "endless"),
    [
        *((command, 0) for command in ("diff", "deploy dev", "restart", "logs", "setup", "clean", "describe-failing")),
        ("logs --follow", 1),
        ("port-forward", 1),
    ],
)
def test_every_call_that_people_watch_has_a_deadline_but_what_they_end_themselves(
    command: str, endless: int, operate: Operate, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = list[float | None]()

    def recorded(*given: object, timeout: float | None = None, **named: object) -> int:
        limits.append(timeout)
        return 0

    monkeypatch.setattr(programs, "stream", recorded)
    name, *more = command.split()
    operate(name, "dev", *(word for word in more if word.startswith("--")))
    assert limits.count(None) == endless
    # The longest is a roll-out of the backend, whose two pods may take 330 seconds each to end.
    assert all(limit is None or 60 <= limit <= 1600 for limit in limits)
    if name == "clean":
        assert limits[0] == 930, "of the backend's pods, which all end at once, each may take 330 seconds"


# --- a terminal of long ago ---


def test_a_sign_that_the_terminal_does_not_know_stops_nothing(workplace: Workplace) -> None:
    old = {
        "kind": "Deployment",
        "metadata": {"name": "ai-interviewer-old"},
        "spec": {"template": {"spec": {"containers": [{"image": "größer:1"}]}}},
    }
    workplace.stand_ins.answer("kubectl", "get deployments,.* --output=json$", json.dumps({"items": [old]}))
    done = subprocess.run(
        [sys.executable, "-m", "ai_interviewer", "status", "dev"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"gr\\xf6\\xdfer:1  no longer rendered\n" in done.stdout


# --- Ctrl-C ---


def test_ctrl_c_at_a_terminal_ends_without_a_traceback(tmp_path: Path, workplace: Workplace) -> None:
    """It goes to every program of the terminal's group: kubectl, and the Node that renders."""
    workplace.stand_ins.answer("kubectl", "readyz", seconds=60)
    with subprocess.Popen(
        [sys.executable, "-m", "ai_interviewer", "status", "dev"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    ) as process:
        assert eventually(lambda: any("readyz" in line for line in workplace.stand_ins.lines()), 60)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        nodes = [int(child) for child in children if "jsii" in Path(f"/proc/{child}/cmdline").read_text()]
        assert nodes
        groups = [os.getpgid(node) for node in nodes]
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    # In the group it would end at once. jsii says farewell to it when Python ends: a traceback, when that comes later.
    assert process.pid not in groups
    assert (process.returncode, out, err) == (130, "", "stopped\n")
    # Node has ended, and taken what it unpacked with it.
    assert eventually(lambda: not list(tmp_path.glob("tmp*")), 10)


def test_ctrl_c_in_the_middle_of_a_synthesis_is_no_traceback(tmp_path: Path) -> None:
    program = """
import os, signal, sys, main
from mcpmesh_k8s.kubernetes import application
application.ApiObjects.add = lambda *_: os.kill(os.getpid(), signal.SIGINT)
sys.exit(main.main())
"""
    ended = interrupted(tmp_path, "-c", program)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "stopped\n")


def interrupted(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A Python that finds modules of this folder first."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


# --- what is deployed ---


def spoiled_yaml(folder: Path) -> None:
    path = folder / "0002-services.k8s.yaml"
    path.write_text(path.read_text() + "\n  bad: [yaml\n")


def no_text(folder: Path) -> None:
    (folder / "0002-services.k8s.yaml").write_bytes(b"\xff\xfe")


def something_else(folder: Path) -> None:
    with (folder / "0002-services.k8s.yaml").open("a") as file:
        file.write("\n---\njust a text\n")


def without_a_name(folder: Path) -> None:
    with (folder / "0002-services.k8s.yaml").open("a") as file:
        file.write("\n---\napiVersion: v1\nkind: ConfigMap\n")


def edited(folder: Path) -> None:
    path = folder / "0002-services.k8s.yaml"
    path.write_text(path.read_text().replace("ai-interviewer-fastapi:1.0.0", "ai-interviewer-fastapi:9.9.9"))


def incomplete(folder: Path) -> None:
    (folder / "0001-mesh.k8s.yaml").unlink()


def stale(folder: Path) -> None:
    with (folder / "0001-mesh.k8s.yaml").open("a") as file:
        file.write("\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-long-ago\n")


def of_another(folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(ROOT / "dist/prod", folder)


SPOILT = [
    (
        spoiled_yaml,
        r"0002-services\.k8s\.yaml cannot be read \(.*line \d+, column 1.*\)\. Write it anew: make synth",
    ),
    (no_text, r"0002-services\.k8s\.yaml cannot be read \('utf-8' codec.*\)\. Write it anew: make synth"),
    (something_else, r"0002-services\.k8s\.yaml holds what is no manifest: 'just a text'\. Write it anew"),
    (without_a_name, r"0002-services\.k8s\.yaml holds what is no manifest: .*ConfigMap"),
    (edited, r"is not what the sources give: deployment/ai-interviewer-backend\. .*make synth"),
    (incomplete, r"is not what the sources give: serviceaccount/ai-interviewer-registry, .* and \d+ more\."),
    (stale, r"is not what the sources give: configmap/from-long-ago\. .*make synth"),
    (of_another, r"is not what the sources give: .* and \d+ more\. .*make synth"),
]
OF_ANY_COMMAND = [(command, *spoilt) for command in ("deploy", "diff") for spoilt in SPOILT]


@pytest.mark.parametrize(("command", "spoil", "told"), grid(OF_ANY_COMMAND, short=OF_ANY_COMMAND[: len(SPOILT) + 1]))
def test_what_is_not_what_the_sources_give_is_not_deployed(
    command: str,
    spoil: Callable[[Path], None],
    told: str,
    tmp_path: Path,
    workplace: Workplace,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "dist"
    shutil.copytree(ROOT / "dist/dev", folder)
    spoil(folder)
    dev = Environment(name="dev", cluster=DEV.cluster, make=lambda: AiInterviewer(DEV, outdir=folder))
    status = main("python -m ai_interviewer", [dev], [command, "dev"])
    said = capfd.readouterr().err
    assert status == 1
    assert said.count("\n") == 1
    assert re.search(told, said), said
    assert not [line for line in workplace.stand_ins.lines() if " apply " in line or " diff " in line]


# --- Secrets ---


def test_without_a_terminal_nobody_is_asked_for_a_key(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "get secret ai-interviewer-claude ", '{"data": {"api-key": "b2xk"}}')
    result = operate("rotate", "dev", "--name", "claude", "--key", "api-key")
    assert (result.status, result.err) == (
        1,
        "error: CLAUDE_API_KEY comes from Anthropic, console.anthropic.com, and there is no terminal to ask for it. "
        "Write it into .env, give it by make k8s-secrets REPLACE=CLAUDE_API_KEY, then this again with PRESENT=1.\n",
    )
    assert not [line for line in workplace.stand_ins.lines() if " patch " in line]


def test_an_env_file_that_is_no_text_is_named(operate: Operate, workplace: Workplace) -> None:
    workplace.env_file.write_bytes(b"CLAUDE_API_KEY=\xff\xfe\x00\n")
    result = operate("secrets", "dev")
    assert (result.status, result.err) == (1, f"error: {workplace.env_file} is no text in UTF-8. Save it as such.\n")


def test_an_answer_of_kubectl_is_read_as_it_is(workplace: Workplace) -> None:
    kubectl = Kubectl(context="minikube", namespace="shop")
    workplace.stand_ins.answer("kubectl", "get pods --output=json$", '{"items": []}')
    workplace.stand_ins.answer("kubectl", "get daemonset away --ignore-not-found --output=json$", "")
    assert kubectl.read("pods") == {"items": []}
    assert kubectl.read("daemonset", "away", "--ignore-not-found") == {}
