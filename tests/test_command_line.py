"""The command line has one shape: own options, plain output for programs, JSON for scripts, honest exit statuses."""

from __future__ import annotations

import functools
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator

from conftest import ROOT, grid
from environments import EVERY, SHARED
from mcpmesh_k8s.operations.cli import command_line, main
from mcpmesh_k8s.operations.commands import COMMANDS
from mcpmesh_k8s.operations.makefile import makefile
from mcpmesh_k8s.operations.moves import Row
from test_operations import OPERATED, Operate, Result, Workplace, controller, running
from test_operations import moves as moves  # fixtures
from test_operations import operate as operate
from test_operations import workplace as workplace

# What each command takes beside the environment: written out here, and nowhere derived.
TAKES = {
    "quick-dev": "--confirm --app-dir --env-file --hosts-file --address",
    "context": "--context",
    "build": "--context --app-dir --push",
    "setup": "--context --confirm --env-file",
    "secrets": "--context --confirm --env-file --replace --json",
    "diff": "--context",
    "deploy": "--context --confirm",
    "make-way": "--context --confirm",
    "ingress-hosts": "--context --address --hosts-file",
    "urls": "--json",
    "status": "--context --json",
    "logs": "--context --follow --lines --lines-of-log",
    "logs-agents": "--context --follow --lines --lines-of-log",
    "describe-failing": "--context",
    "test-health": "--context --address --json",
    "test-mcp-tools": "--context --address --json",
    "port-forward": "--context",
    "show": "--json",
    "quick-update": "--context --confirm --app-dir --push",
    "restart": "--context --confirm",
    "drain": "--context --confirm --seconds",
    "undrain": "--context --confirm",
    "rotate": "--name --key --context --confirm --present",
    "export-data": "--data --context --app-dir --from --live",
    "import-data": "--data --context --confirm --app-dir --to --owner --owners",
    "verify-data": "--data --context --app-dir --from --to --json",
    "restore": "--context --confirm --store --from --data --owner --owners",
    "rollback": "--data --context --confirm --app-dir --owner --owners",
    "clean": "--context --confirm",
}
EVERY_OPTION = sorted({option for options in TAKES.values() for option in options.split()})
FLAGS = {"--follow", "--json", "--live", "--push"}
ESCAPE = "\x1b"


@functools.cache
def commands() -> Any:
    """The commands as Typer has them, by their names."""
    return getattr(typer.main.get_command(command_line("shop", OPERATED)), "commands")  # noqa: B009


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a program whose output another program reads."""
    return subprocess.run(
        [sys.executable, "-m", "ai_interviewer", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def here(capfd: pytest.CaptureFixture[str], *arguments: str) -> Result:
    """The same without a program of its own, which takes most of the time to start."""
    capfd.readouterr()
    status = main("python -m ai_interviewer", OPERATED, arguments)
    said = capfd.readouterr()
    return Result(status, said.out, said.err)


def here_at_a_terminal(*arguments: str, **environment: str) -> str:
    """What the command line writes to a terminal, without a program of its own."""
    ours, theirs = pty.openpty()
    with (
        ThreadPoolExecutor(1) as reader,
        pytest.MonkeyPatch.context() as patch,
        open(theirs, "w", encoding="utf-8") as terminal,  # noqa: PTH123
    ):
        written = reader.submit(all_of, ours)
        for name, value in {"TERM": "xterm-256color", "COLUMNS": "200", **environment}.items():
            patch.setenv(name, value)
        for stream in ("stdout", "stderr"):
            patch.setattr(sys, stream, terminal)
        main("python -m ai_interviewer", OPERATED, arguments)
        terminal.close()
        return written.result().decode()


def all_of(terminal: int) -> bytes:
    """What is written to a terminal until its other end is closed."""
    written = b""
    try:
        while block := os.read(terminal, 65536):
            written += block
    except OSError:  # Linux ends a terminal that nobody writes to any more like this
        pass
    finally:
        os.close(terminal)
    return written


def at_a_terminal(*arguments: str, **environment: str) -> str:
    """What the command line, as a program, writes to a terminal."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", **environment}
    process = subprocess.Popen(
        [sys.executable, "-m", "ai_interviewer", *arguments],
        cwd=ROOT,
        env={name: value for name, value in variables.items() if value},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = all_of(ours)
    process.wait(60)
    return written.decode()


# --- options ---


def test_the_table_of_this_test_has_every_command() -> None:
    assert list(TAKES) == [one.name for one in COMMANDS]


@pytest.mark.parametrize("name", TAKES)
def test_a_command_takes_its_own_options_and_refuses_the_others(name: str) -> None:
    taken = {option for parameter in commands()[name].params for option in parameter.opts if option.startswith("--")}
    assert taken == set(TAKES[name].split())
    for option in sorted(set(EVERY_OPTION) - taken):
        given = [option] if option in FLAGS else [option, "1"]
        with pytest.raises(typer.TyperException, match=f"^No such option: {option}") as refused:
            commands()[name].make_context(name, ["dev", *given], obj=OPERATED)
        assert refused.value.exit_code == 2


def test_what_no_command_of_this_name_takes_ends_with_2(capfd: pytest.CaptureFixture[str]) -> None:
    result = here(capfd, "urls", "dev", "--push", "--live", "--replace", "NOPE", "--owner", "a:b:c")
    assert (result.status, result.out) == (2, "")
    assert result.err == "error: No such option: --push\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("dploy dev", "No such command 'dploy'. Did you mean 'deploy'?"),
        ("deploy", "Missing argument 'ENV'."),
        (
            "deploy elsewhere",
            f"Invalid value for 'ENV': there is no environment 'elsewhere', only: {', '.join(EVERY)}.",
        ),
        ("deploy dev backend", "Got unexpected extra argument(s) (backend)"),
        ("logs dev --lines many", "Invalid value for '--lines'"),
        ("logs dev --lines -1", "Invalid value for '--lines'"),
        ("urls dev --jso", "No such option: --jso"),
        ("import-data dev", "Missing option '--data'. (make: DATA=…)"),
        ("rollback dev --owner a:b:c", "Owners are for data that are taken along."),
        ("test-health dev --address [::1", "'[::1' is no address."),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    operate: Operate, workplace: Workplace, arguments: str, said: str
) -> None:
    name, *rest = arguments.split()
    result = operate(name, *rest)
    assert result.status == 2
    assert result.err.startswith(f"error: {said}"), result.err
    assert result.err.count("\n") == 1
    assert workplace.stand_ins.calls == []


@pytest.mark.parametrize("name", TAKES)
def test_each_example_of_the_help_can_be_given(name: str) -> None:
    (one,) = [one for one in COMMANDS if one.name == name]
    assert one.examples
    for example in one.examples:
        parsed = commands()[name].make_context(name, shlex.split(example), obj=OPERATED)
        assert parsed.params["environment"] in ("dev", "prod")


# --- help ---


def test_the_help_has_the_commands_by_group_and_the_exit_statuses(capfd: pytest.CaptureFixture[str]) -> None:
    text = here(capfd, "--help").out
    groups = re.split(r"\n(?=Deploy:|Look after it:|Change it:)", text)
    assert [group.partition(":")[0] for group in groups[1:]] == ["Deploy", "Look after it", "Change it"]
    found = [re.findall(r"^  ([a-z-]+)  ", group, re.M) for group in groups[1:]]
    assert [name for names in found for name in names] == list(TAKES)
    assert found[1][0] == "status"
    assert "2 wrong usage, 3 a change without consent" in " ".join(text.split())


def test_the_help_of_a_command_has_its_options_and_an_example(capfd: pytest.CaptureFixture[str]) -> None:
    text = " ".join(here(capfd, "logs", "--help").out.split())
    assert "logs [OPTIONS] {ENV} [TARGET]..." in text
    assert "--follow Go on with new log lines." in text
    assert "For example: python -m ai_interviewer logs dev; python -m ai_interviewer logs dev backend registry" in text
    assert "--push" not in text


def test_without_a_command_the_help_is_shown_and_the_status_is_2(capfd: pytest.CaptureFixture[str]) -> None:
    result = here(capfd)
    assert result.status == 2
    assert result.out == here(capfd, "--help").out


def test_at_a_terminal_the_help_is_in_boxes_by_group() -> None:
    text = here_at_a_terminal("--help")
    assert ESCAPE in text
    for group in ("Deploy", "Look after it", "Change it"):
        assert re.search(rf"╭─ {group} ─+╮", re.sub(r"\x1b\[[0-9;]*m", "", text))


COMPLETED = [("ai-interviewer logs dev back", ("backend",)), ("ai-interviewer deploy ", EVERY)]


@pytest.mark.parametrize(("typed", "completed"), grid(COMPLETED, short=COMPLETED[:1]))
def test_a_shell_completes_environments_and_workloads(typed: str, completed: Sequence[str]) -> None:
    program = "import sys; from ai_interviewer.__main__ import run; sys.argv = ['bin/ai-interviewer']; sys.exit(run())"
    asked = {
        "_AI_INTERVIEWER_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(shlex.split(typed)) - (not typed.endswith(" "))),
    }
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **asked, "PYTHONPATH": str(ROOT / "constructs")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert set(result.stdout.split()) == set(completed), result.stderr


# --- terminals and pipes ---


def test_a_table_has_lines_and_colours_at_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fancy = here_at_a_terminal("urls", "dev")
    assert ESCAPE in fancy
    assert "│ /grafana/ " in re.sub(r"\x1b\[[0-9;]*m", "", fancy)
    for name, value in {"TERM": "xterm-256color", "FORCE_COLOR": "1", "GITHUB_ACTIONS": "true"}.items():
        monkeypatch.setenv(name, value)
    piped = here(capfd, "urls", "dev").out
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name)
    for plain in (
        piped,
        here_at_a_terminal("urls", "dev", NO_COLOR="1").replace("\r\n", "\n"),
        here_at_a_terminal("urls", "dev", TERM="dumb").replace("\r\n", "\n"),
        here_at_a_terminal("urls", "dev", TERM="").replace("\r\n", "\n"),
    ):
        assert re.search(r"^/grafana/ +grafana +administrator +http://", plain, re.M)
        assert ESCAPE not in plain
        assert "│" not in plain


def test_an_error_is_coloured_at_a_terminal_only() -> None:
    assert f"{ESCAPE}[1;31merror:" in here_at_a_terminal("urls", "nowhere")
    assert ESCAPE not in here_at_a_terminal("urls", "nowhere", NO_COLOR="1")


def test_a_roll_out_shows_at_a_terminal_that_it_goes_on(workplace: Workplace, operate: Operate) -> None:
    workplace.stand_ins.answer("kubectl", "rollout status", "half of it\nall of it\n", seconds=1.6)
    path = f"{workplace.stand_ins.folder}:/usr/bin:/bin"
    written = at_a_terminal("restart", "dev", "backend", PATH=path)
    assert re.search(r"\x1b\[[0-9;]*m", written), "a program at a terminal has colours"
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert "roll-out of deployment/ai-interviewer-backend" in text
    assert "0:00:01" in text
    assert "half of it" in text
    assert not re.search(r"\dhalf of it", text), "a line of kubectl stands in the moving one"
    plain = operate("restart", "dev", "backend").out
    assert "half of it\nall of it\n" in plain
    assert "0:00:01" not in plain


@pytest.mark.parametrize("arguments", grid(["--help", "urls dev"], short=["urls dev"]))
def test_a_reader_that_goes_away_ends_a_command_quietly(arguments: str) -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "ai_interviewer", *arguments.split()],
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(write)
    assert (process.returncode, process.stderr) == (141, "")


def test_a_reader_that_goes_away_ends_a_program_that_is_called_quietly(operate: Operate, workplace: Workplace) -> None:
    kubectl = workplace.stand_ins.folder / "kubectl"
    stand_in = kubectl.with_name("stand-in")
    kubectl.rename(stand_in)
    kubectl.write_text(f'#!/bin/sh\ncase "$*" in *" logs "*) kill -PIPE $$;; esac\nexec {stand_in} "$@"\n')
    kubectl.chmod(0o755)
    stand_in.write_text(stand_in.read_text().replace("${0##*/}", "kubectl"))
    result = operate("logs", "dev")
    assert (result.status, result.err) == (141, "")


def test_a_broken_pipe_of_another_program_is_an_error_and_not_silence(
    operate: Operate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("mcpmesh_k8s.operations.deploy.logs", lambda *_, **__: broken())
    result = operate("logs", "dev")
    assert result.status == 1
    assert result.err.startswith("error: A program ended before it had read all that it was given")


# --- JSON ---

SCHEMA = json.loads((ROOT / "docs/answers.schema.json").read_text(encoding="utf-8"))


def valid(name: str, text: str) -> Any:
    """The one JSON document that a text is, once the schema holds for it."""
    document = json.loads(text)
    Draft202012Validator(SCHEMA).validate({name: document})
    return document


def test_the_schema_is_one_and_knows_no_other_field() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert {name for name, options in TAKES.items() if "--json" in options.split()} == set(SCHEMA["properties"])
    assert {definition["additionalProperties"] for definition in SCHEMA["$defs"].values()} == {False}
    for definition in SCHEMA["$defs"].values():
        assert set(definition["required"]) == set(definition["properties"])


def test_status_answers_in_json(operate: Operate, workplace: Workplace) -> None:
    items = [controller("redis"), running("redis", restarts=2, reason="CrashLoopBackOff")]
    workplace.stand_ins.answer(
        "kubectl", "get deployments,statefulsets,jobs,cronjobs,pods ", json.dumps({"items": items})
    )
    result = operate("status", "dev", "--json")
    answer = valid("status", result.out)
    assert (answer["environment"], answer["context"], answer["namespace"]) == ("dev", "minikube", "ai-interviewer")
    services = {one["name"]: one for one in answer["services"]}
    assert (services["redis"]["restarts"], services["redis"]["wrong"]) == (2, "c waits: CrashLoopBackOff")
    assert services["postgres"]["kind"] == "StatefulSet"
    assert "context minikube, namespace ai-interviewer" in result.err


@pytest.mark.parametrize("environment", EVERY)
def test_show_and_urls_answer_in_json(operate: Operate, environment: str) -> None:
    result = operate("show", environment, "--json")
    assert result.err == ""
    backend = next(one for one in valid("show", result.out)["workloads"] if one["name"] == "backend")
    assert (backend["ports"], backend["dockerfile"]) == ([8080], "backend/Dockerfile")
    routes = valid("urls", operate("urls", environment, "--json").out)["addresses"]
    assert {"path": "/grafana/", "service": "grafana", "audience": "administrator"}.items() <= routes[4].items()


def test_secrets_answer_in_json_without_any_value(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "get secrets --output=go-template", "")
    result = operate("secrets", "dev", "--json")
    keys = {one["variable"]: one for one in valid("secrets", result.out)["keys"]}
    assert (keys["CLAUDE_API_KEY"]["origin"], keys["REDIS_MESH_PASSWORD"]["origin"]) == ("from .env", "made up")
    assert keys["CLAUDE_API_KEY"]["readers"] == ["claude-llm-agent"]
    assert "sk-claude" not in result.out + result.err
    stored = valid("secrets", operate("secrets", "prod", "--json").out)["stored"]
    assert "ai-interviewer/prod/oauth2-proxy" in {one["key"] for one in stored}


def test_a_failed_check_answers_in_json_too_and_ends_with_1(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "get pods --output=json", '{"items": []}')
    result = operate("test-health", "dev", "--address", "127.0.0.1:1", "--json")
    answer = valid("test-health", result.out)
    assert result.status == 1
    assert answer["passed"] is False
    assert {"check": "pods", "passed": False, "found": "there are no pods"} in answer["findings"]
    assert result.err.endswith("error: Not all is well: make k8s-describe-failing shows more.\n")
    workplace.stand_ins.answer("kubectl", "port-forward", stderr="no")
    tools = operate("test-mcp-tools", "dev", "--address", "127.0.0.1:1", "--json")
    assert [one["check"] for one in valid("test-mcp-tools", tools.out)["findings"]] == [
        "pdf-extractor", "interview-agent", "claude-llm-agent", "openai-llm-agent",
    ]  # fmt: skip


@pytest.mark.parametrize(("found", "status"), [(3, 0), (2, 1)])
def test_a_comparison_answers_in_json(
    operate: Operate, moves: list[str], monkeypatch: pytest.MonkeyPatch, found: int, status: int
) -> None:
    rows = [Row(what="mcpmesh: agents", exported=3, found=found, checksum="abc", ok=found == 3)]
    monkeypatch.setattr("mcpmesh_k8s.operations.commands.compare_data", lambda *_: rows)
    result = operate("verify-data", "dev", "--data", "../export", "--json")
    answer = valid("verify-data", result.out)
    assert (result.status, answer["same"], answer["compared"][0]["found"]) == (status, found == 3, found)
    assert ("Not the same as exported: mcpmesh: agents" in result.err) is (status == 1)


def test_what_goes_wrong_leaves_no_half_document(operate: Operate, workplace: Workplace) -> None:
    workplace.stand_ins.answer("kubectl", "readyz", status=1)
    result = operate("status", "dev", "--json")
    assert (result.status, result.out) == (1, "")
    assert "does not answer" in result.err


# --- exit statuses ---


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("urls dev", 0),
        ("status other-than-there-is", 2),
        ("restart prod", 3),
        ("restart prod --confirm dev", 3),
        ("restart prod --confirm prod", 0),
        ("restart prod nothing --confirm prod", 2),
        ("deploy dev --context ai-interviewer-prod", 1),
        ("clean dev --context other --confirm delete-data", 1),
    ],
)
def test_a_command_ends_as_the_docs_say(operate: Operate, arguments: str, status: int) -> None:
    assert operate(*arguments.split()).status == status
    documented = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| {status} \| ", documented, re.M)


def test_the_status_reaches_the_shell(workplace: Workplace) -> None:
    path = f"{workplace.stand_ins.folder}:/usr/bin:/bin"
    assert run("restart", "prod", PATH=path).returncode == 3


# --- make and imports ---


def test_the_make_targets_are_those_of_the_commands() -> None:
    assert (ROOT / "k8s.mk").read_text(encoding="utf-8") == makefile(OPERATED), "run `make targets`"


def test_a_shared_cluster_gets_only_what_was_committed() -> None:
    text = makefile(OPERATED)
    for name in EVERY:
        before, after = ("dist-check", f"; wants CONFIRM={name}") if name in SHARED else ("synth", "")
        assert re.search(rf"^k8s-deploy-{name}: {before} ##.* wait for each{after}$", text, re.M)
        assert re.search(rf"^rendered-{name} := {before}$", text, re.M)


def test_what_a_make_variable_means_is_said_for_every_command_that_takes_it() -> None:
    """One that is a backup to one command is the source of an export to another."""
    text = " ".join(makefile(OPERATED).partition("# Only what is given")[0].replace("\n#", " ").split())
    for said in (
        "FROM=cluster|compose|BACKUP What is exported: the cluster, or the stack of Docker Compose. Unless given: "
        "cluster. Of restore: the backup by its name, or newest",
        "DATA=FOLDER The folder of an export: where it is, or where a new one shall be. Of restore: where the backup ",
        "CONFIRM=WORD Your consent: the environment's name, to change a cluster that is no minikube. Of restore: and "
        "to replace data. Of clean: delete-data, to delete data on one that is.",
        "Of port-forward: a workload by its short name; the gateway unless given.",
    ):
        assert said in text


def test_the_shop_of_the_examples_has_the_same_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    def given(*arguments: str) -> Sequence[str]:
        return arguments

    assert main("python operate.py", OPERATED[:1], given("urls", "prod")) == 2
    assert "there is no environment 'prod', only: dev." in capfd.readouterr().err
    assert main("python operate.py", OPERATED[:1], given("makefile")) == 0
    assert "ENVIRONMENTS := dev\n" in capfd.readouterr().out
