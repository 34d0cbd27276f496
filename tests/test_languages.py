"""This module is agents in any language: what runs them, where they listen, how many they are, and how they stop."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import mcpmesh_k8s
from conftest import ROOT, close
from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    Api,
    ApiSettings,
    Application,
    ApplicationSettings,
    Audience,
    Autoscaling,
    Availability,
    Blackbox,
    BlackboxSettings,
    BuiltImage,
    Compute,
    Container,
    DevIdentity,
    Gateway,
    GatewaySettings,
    Image,
    Java,
    Mesh,
    MeshRelease,
    MountedSource,
    Phase,
    Platform,
    Port,
    Probes,
    Python,
    RateLimit,
    Registry,
    RegistrySettings,
    Replicas,
    RequestRate,
    Route,
    Runtime,
    SettingError,
    TcpSocket,
    TreeError,
    TypeScript,
    User,
    Workload,
    WorkloadSettings,
    images,
)
from mcpmesh_k8s.kubernetes.api import to_json
from mcpmesh_k8s.kubernetes.platforms import IpFamily
from mesh_harness import LOCALHOST, eventually, free_port, is_open
from registry_room import ROOM

CODE = BuiltImage(image=Image(repository="acme/prices", tag="1.4.2"))
ROOMY = Compute(cpu="100m", memory="256Mi", memory_limit="512Mi")
PYTHON = AgentSettings(name="prices", code=CODE, compute=ROOMY, module="prices")
TYPESCRIPT = AgentSettings(name="offers", code=CODE, compute=ROOMY, runtime=TypeScript(entry="dist/index.js"))
JAVA = AgentSettings(name="stock", code=CODE, compute=ROOMY, runtime=Java(jar="target/stock-1.0.0.jar"))
GUIDE = ROOT / "docs/agents.md"
NEW, OLD = Mesh(), Mesh(release=MeshRelease.V0_5)


def phase_of(mesh: Mesh = NEW) -> Phase:
    phase = Phase(Application(ApplicationSettings(name="shop", mesh=mesh), outdir="unused"), "all")
    close(phase)
    return phase


def registry_of(phase: Phase) -> Registry:
    return Registry(phase, RegistrySettings(image=images.REGISTRY, compute=ROOMY, extras=ROOM))


def agent_of(settings: AgentSettings, mesh: Mesh = NEW) -> Agent:
    agent = Agent(phase_of(mesh), settings)
    agent.connects_to(registry_of_scope(agent))
    return agent


def registry_of_scope(agent: Agent | Api) -> Registry:
    phase = agent.node.scope
    assert isinstance(phase, Phase)
    return registry_of(phase)


def of_kind(agent: Agent | Api, kind: str) -> Any:
    """The one object of a kind that is rendered for it."""
    (found,) = (made for manifest in agent.manifests() if (made := json_of(manifest))["kind"] == kind)
    return found


def json_of(manifest: Mapping[str, object]) -> Any:
    return to_json(manifest)


def main_of(agent: Agent | Api) -> Any:
    (container,) = of_kind(agent, "Deployment")["spec"]["template"]["spec"]["containers"]
    return container


def environment_of(agent: Agent | Api) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in main_of(agent)["env"]}


# --- what runs the code ---


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        (PYTHON, ["python", "-m", "prices"]),
        (
            replace(PYTHON, module="", runtime=Python(module="prices", args=("--fast",))),
            ["python", "-m", "prices", "--fast"],
        ),
        # 60 % of 512Mi, of which new objects have 48.
        (TYPESCRIPT, ["node", "--max-old-space-size=259", "--max-semi-space-size=16", "dist/index.js"]),
        (
            replace(TYPESCRIPT, runtime=TypeScript(entry="src/index.ts", heap_percent=50, args=("--fast",))),
            [
                *("node", "--max-old-space-size=208", "--max-semi-space-size=16"),
                *("--import", "/usr/local/lib/node_modules/tsx/dist/loader.mjs", "src/index.ts", "--fast"),
            ],
        ),
        (JAVA, ["java", "-Xmx307m", "-XX:+ExitOnOutOfMemoryError", "-jar", "target/stock-1.0.0.jar"]),
    ],
    ids=["module", "Python", "built", "sources", "jar"],
)
def test_each_language_is_started_as_its_image_can(settings: AgentSettings, command: list[str]) -> None:
    container = main_of(agent_of(settings))
    assert [*container["command"], *container["args"]] == command
    assert "workingDir" not in container, "it starts where the image says"
    assert container["securityContext"]["runAsUser"] == container["securityContext"]["runAsGroup"] == 999
    assert container["securityContext"]["readOnlyRootFilesystem"]


@pytest.mark.parametrize(
    ("settings", "own"),
    [
        (PYTHON, {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}),
        # As many as the node has processors would each take a heap.
        (TYPESCRIPT, {"MCP_MESH_TOOL_WORKERS": "2"}),
        (
            replace(TYPESCRIPT, runtime=TypeScript(entry="src/index.ts")),
            {"MCP_MESH_TOOL_WORKERS": "2", "NODE_PATH": "/usr/local/lib/node_modules"},
        ),
        (JAVA, {"SERVER_PORT": "8090", "LOGGING_LEVEL_ROOT": "WARN"}),
    ],
    ids=["Python", "TypeScript", "sources", "Java"],
)
def test_what_only_one_language_reads_is_given_to_it_alone(settings: AgentSettings, own: dict[str, str]) -> None:
    environment = environment_of(agent_of(replace(settings, log_level="WARNING")))
    every = (
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
        "MCP_MESH_TOOL_WORKERS",
        "NODE_PATH",
        "SERVER_PORT",
        "LOGGING_LEVEL_ROOT",
    )
    assert {name: environment[name] for name in every if name in environment} == own
    assert environment["HOME"] == "/tmp"
    assert environment["MCP_MESH_HTTP_PORT"] == "8090"
    assert "POD_IP" not in environment


@pytest.mark.parametrize(
    ("settings", "writable", "seconds"),
    [
        (PYTHON, {"/tmp": "64Mi", "/app/logs": "64Mi"}, 120),
        (TYPESCRIPT, {"/tmp": "64Mi"}, 120),
        (JAVA, {"/tmp": "256Mi"}, 300),
        (replace(JAVA, scratch="1Gi", startup_seconds=600), {"/tmp": "1Gi"}, 600),
    ],
    ids=["Python", "TypeScript", "Java", "given"],
)
def test_each_language_has_its_room_and_its_time(
    settings: AgentSettings, writable: dict[str, str], seconds: int
) -> None:
    agent = agent_of(settings)
    pod, container = of_kind(agent, "Deployment")["spec"]["template"]["spec"], main_of(agent)
    sizes = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"]}
    assert {mount["mountPath"]: sizes[mount["name"]] for mount in container["volumeMounts"]} == writable
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == seconds


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-11-30T10:15:02.123Z  INFO 1 --- [main] c.e.Stock : Started Stock in 4.2 seconds", "INFO"),
        ("2026-11-30 10:15:02.123 ERROR 1 --- [main] c.e.Stock : no", "ERROR"),
        ("2026-11-30T10:15:02.123456Z  WARN mcp_mesh_core::tracing_publish: no", "WARN"),
        ("TypeError: prices is not a function", "E"),
        ("Error: ENOENT: no such file or directory, mkdir '/tmp/tsx-999'", "E"),
        ('Exception in thread "Thread-3" java.lang.OutOfMemoryError: Java heap space', "E"),
        ("Started in 2 seconds, no Error", None),
        ("Everything is well", None),
        ("no time, INFO", None),
    ],
)
@pytest.mark.parametrize("settings", [TYPESCRIPT, JAVA], ids=["TypeScript", "Java"])
def test_the_level_of_a_line_is_found_as_spring_and_the_core_write_it(
    settings: AgentSettings, line: str, level: str | None
) -> None:
    found = re.match(agent_of(settings).container.log_pattern, line)
    assert (found["level"] if found else None) == level


@pytest.mark.parametrize(
    ("runtime", "memory", "instead"),
    [
        (TypeScript(entry="a.js"), "192Mi", "256Mi"),
        (TypeScript(entry="a.ts"), "256Mi", "320Mi"),
        (TypeScript(entry="a.js", heap_percent=20), "512Mi", "640Mi"),
        (Java(jar="a.jar"), "448Mi", "512Mi"),
        (Java(jar="a.jar", heap_percent=80), "512Mi", "960Mi"),
    ],
    ids=str,
)
def test_a_limit_that_a_heap_does_not_fit_into_is_refused_with_one_that_does(
    runtime: Runtime, memory: str, instead: str
) -> None:
    small = Compute(cpu="100m", memory="64Mi", memory_limit=memory)
    with pytest.raises(SettingError, match=rf"prices compute: .*{memory}.*memory_limit='{instead}'"):
        replace(PYTHON, module="", runtime=runtime, compute=small)
    replace(PYTHON, module="", runtime=runtime, compute=replace(small, memory_limit=instead))
    assert replace(PYTHON, compute=small).compute == small, "Python has no heap of a size"


@pytest.mark.parametrize(("make", "says"), [
    (lambda: TypeScript(entry="src"), "TypeScript.entry: 'src' was given. Give the path of one file"),
    (lambda: TypeScript(entry="../index.js"), "without '..'"),
    (lambda: TypeScript(entry="dist/.js"), "'dist/index.js' or 'src/index.ts'"),
    (lambda: TypeScript(entry=""), "TypeScript.entry: '' was given"),
    (lambda: TypeScript(entry="-e.js"), "TypeScript.entry: '-e.js' was given"),
    (lambda: TypeScript(entry="dist/my index.js"), "TypeScript.entry"),
    (lambda: TypeScript(entry="index.js", heap_percent=95), "TypeScript.heap_percent: 95 was given. Give 10 to 90."),
    (lambda: Java(jar="target/*.jar"), "without '..' and '*': 'target/prices-1.0.0.jar'"),
    (lambda: Java(jar="target/stock.war"), "ends in .jar"),
    (lambda: Java(jar="stock.jar", heap_percent=0), "Java.heap_percent: 0 was given"),
    (lambda: Python(module="main.py"), "Python.module: 'main.py' was given. Give a Python module"),
    (lambda: replace(PYTHON, module=""), "prices module: '' was given. Give a Python module, such as"),
    (lambda: replace(PYTHON, runtime=Java(jar="a.jar")), "It has runtime=Java(…) too. Give one of both."),
    (lambda: replace(JAVA, args=("--fast",)), "Give them to its runtime: Java(args=…)."),
    (lambda: replace(JAVA, tool_workers=2), "stock tool_workers: 2 was given. Java has threads of its own."),
    (lambda: replace(PYTHON, tool_workers=0), "prices tool_workers: 0 was given. Give 1 or more."),
    (lambda: replace(PYTHON, jobs_grace_seconds=-1), "prices jobs_grace_seconds: -1 was given. Give 0 or more."),
    (lambda: replace(PYTHON, settle_seconds=-1), "prices settle_seconds: -1 was given. Give 0 or more."),
    (lambda: replace(PYTHON, startup_seconds=0), "prices startup_seconds: 0 was given. Give 1 or more."),
])  # fmt: skip
def test_what_nothing_could_start_is_refused_in_words_that_help(make: Callable[[], object], says: str) -> None:
    with pytest.raises(SettingError) as refused:
        make()
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("runtime", "program", "named"),
    [
        (Python(module="web"), "python", "MCP_MESH_API_NAME"),
        (TypeScript(entry="dist/web.js"), "node", "MCP_MESH_AGENT_NAME"),
        (Java(jar="target/web.jar"), "java", "MCP_MESH_AGENT_NAME"),
    ],
    ids=["Python", "TypeScript", "Java"],
)
def test_an_api_service_is_of_any_language_too(runtime: Runtime, program: str, named: str) -> None:
    api = Api(phase_of(), ApiSettings(name="web", code=CODE, compute=ROOMY, runtime=runtime, port=8081))
    container, environment = main_of(api), environment_of(api)
    assert container["command"] == [program]
    assert {name for name, value in environment.items() if value == "web"} == {named}
    # The starter takes the mesh's port for agents alone: an API of Spring has Spring's own.
    assert environment.get("SERVER_PORT") == ("8081" if program == "java" else None)
    assert [container[f"{one}Probe"]["httpGet"]["path"] for one in ("startup", "readiness", "liveness")] == [
        "/startupz",
        "/ready",
        "/livez",
    ]


def test_an_express_of_ones_own_has_none_of_the_meshs_probes_and_is_asked_by_its_own_path() -> None:
    """With ``mesh.route``, as the SDK recommends: the runtime adds no route then (api-runtime.ts of 3.6)."""

    def asked(runtime: Runtime) -> list[str]:
        settings = ApiSettings(name="web", code=CODE, compute=ROOMY, runtime=runtime, readiness_path="/healthz")
        container = main_of(Api(phase_of(), settings))
        probes = (container[f"{one}Probe"] for one in ("startup", "readiness", "liveness"))
        return [probe["httpGet"]["path"] if "httpGet" in probe else "tcp" for probe in probes]

    assert asked(TypeScript(entry="dist/web.js")) == ["tcp", "/healthz", "tcp"]
    # To every FastAPI and every Spring the mesh adds its own.
    for runtime in (Python(module="web"), Java(jar="target/web.jar")):
        assert asked(runtime) == ["/startupz", "/healthz", "/livez"]


# --- sources that are mounted ---


def test_sources_are_mounted_into_the_runtime_of_their_language(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/index.ts").write_text("serve();\n")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/large.js").write_text("no\n")
    source = MountedSource(folder=tmp_path)
    agent = agent_of(replace(TYPESCRIPT, code=source, runtime=TypeScript(entry="src/index.ts")))
    assert main_of(agent)["image"] == images.TYPESCRIPT_RUNTIME.reference
    assert main_of(agent)["workingDir"] == "/app/source"
    assert list(of_kind(agent, "ConfigMap")["data"].values()) == ["serve();\n"]
    for mesh, image in ((Mesh(), images.PYTHON_RUNTIME), (OLD, images.PYTHON_RUNTIME_0_5)):
        assert main_of(agent_of(replace(PYTHON, code=source), mesh))["image"] == image.reference


def test_sources_that_lack_the_entry_and_a_jar_are_refused(tmp_path: Path) -> None:
    (tmp_path / "index.ts").write_text("serve();\n")
    source = MountedSource(folder=tmp_path)
    with pytest.raises(SettingError, match=r"offers entry: 'dist/index.js' was given. Give a file of .*: index.ts"):
        replace(TYPESCRIPT, code=source)
    with pytest.raises(SettingError, match=r"stock code: .* Give a BuiltImage: a jar is no text"):
        replace(JAVA, code=source)


# --- what 0.5 does not have ---


@pytest.mark.parametrize(("settings", "says"), [
    (TYPESCRIPT, "offers runtime: 'TypeScript' was given. 0.5 has a runtime for Python alone."),
    (JAVA, "stock runtime: 'Java' was given."),
    (replace(PYTHON, settle_seconds=5), "prices settle_seconds: 5 was given. The runtime of 0.5 does not read it."),
    (replace(PYTHON, call_seconds=60), "prices call_seconds: 60 was given."),
    (replace(PYTHON, tool_workers=4), "prices tool_workers: 4 was given."),
    (replace(PYTHON, jobs_grace_seconds=60), "prices jobs_grace_seconds: 60 was given. 0.5 has no jobs."),
])  # fmt: skip
def test_what_0_5_does_not_have_is_refused(settings: AgentSettings, says: str) -> None:
    with pytest.raises(SettingError) as refused:
        agent_of(settings, OLD)
    assert says in str(refused.value)


def test_what_3_reads_of_calls_is_rendered_when_it_is_given() -> None:
    given = replace(PYTHON, settle_seconds=0, call_seconds=600, tool_workers=4, startup_seconds=240)
    of_calls = {
        "MCP_MESH_SETTLE_TIMEOUT": "0",
        "MCP_MESH_CALL_TIMEOUT": "600",
        "MCP_MESH_TOOL_WORKERS": "4",
        "MCP_MESH_SERVER_STARTUP_TIMEOUT": "240",
    }
    environment, usual = environment_of(agent_of(given)), environment_of(agent_of(PYTHON))
    assert environment == usual | of_calls
    assert not usual.keys() & of_calls
    java = environment_of(agent_of(replace(JAVA, call_seconds=600, startup_seconds=240)))
    assert java["MCP_MESH_CALL_TIMEOUT"] == "600"
    assert "MCP_MESH_SERVER_STARTUP_TIMEOUT" not in java, "Python alone reads it"
    assert "MCP_MESH_SERVER_STARTUP_TIMEOUT" not in environment_of(agent_of(replace(PYTHON, startup_seconds=240), OLD))


# --- where it listens ---


def test_a_port_is_said_once_and_all_else_follows() -> None:
    phase = phase_of()
    registry = registry_of(phase)
    agents = [Agent(phase, replace(settings, port=8091 + i)) for i, settings in enumerate((PYTHON, TYPESCRIPT, JAVA))]
    client = Agent(phase, replace(PYTHON, name="client", url_variable="CLIENT_URL"))
    for agent in agents:
        agent.connects_to(registry)
    client.connects_to(registry, *agents)
    for agent, port in zip(agents, (8091, 8092, 8093), strict=True):
        container = main_of(agent)
        assert [one["containerPort"] for one in container["ports"]] == [port]
        assert environment_of(agent)["MCP_MESH_HTTP_PORT"] == str(port)
        assert [one["port"] for one in of_kind(agent, "Service")["spec"]["ports"]] == [port]
        probes = [container[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "readiness", "liveness")]
        assert probes == ["http"] * 3 == [one["name"] for one in container["ports"]] * 3
        (rule,) = of_kind(agent, "NetworkPolicy")["spec"]["ingress"]
        assert [one["port"] for one in rule["ports"]] == [port]
    out = of_kind(client, "NetworkPolicy")["spec"]["egress"]
    assert sorted(one["port"] for rule in out for one in rule["ports"]) == [8000, 8091, 8092, 8093]
    assert environment_of(agents[2])["SERVER_PORT"] == "8093"


def test_java_listens_on_addresses_of_both_families_and_the_others_on_those_of_ipv4() -> None:
    def service(settings: AgentSettings, *families: IpFamily) -> Any:
        platform = Platform(ip_families=families)
        phase = Phase(Application(ApplicationSettings(name="shop", platform=platform), outdir="unused"), "all")
        return of_kind(Agent(phase, settings), "Service")["spec"]

    for settings, policy, families in (
        (PYTHON, "SingleStack", ["IPv4"]),
        (TYPESCRIPT, "SingleStack", ["IPv4"]),
        (JAVA, "PreferDualStack", None),
    ):
        both = service(settings, "IPv4", "IPv6")
        assert (both["ipFamilyPolicy"], both.get("ipFamilies")) == (policy, families)
    assert service(JAVA, "IPv6")["ports"][0]["port"] == 8090

    def api(settings: AgentSettings) -> Any:
        platform = Platform(ip_families=("IPv4", "IPv6"))
        phase = Phase(Application(ApplicationSettings(name="shop", platform=platform), outdir="unused"), "all")
        web = ApiSettings(name="web", code=CODE, compute=ROOMY, runtime=settings.program)
        return of_kind(Api(phase, web), "Service")["spec"]["ipFamilyPolicy"]

    # Of Python the code listens itself. Of TypeScript and Java the runtime does, for APIs as for agents.
    assert [api(settings) for settings in (PYTHON, TYPESCRIPT, JAVA)] == [
        "PreferDualStack",
        "SingleStack",
        "PreferDualStack",
    ]
    with pytest.raises(SettingError, match="shop-offers listens on IPv4 alone"):
        service(TYPESCRIPT, "IPv6")


# --- how many ---


@pytest.mark.parametrize("mesh", [Mesh(), OLD], ids=["3", "0.5"])
def test_an_agent_runs_as_often_as_it_is_said(mesh: Mesh) -> None:
    three = Availability(scale=Replicas(count=3), min_available=2, spread=True)
    agent = agent_of(replace(PYTHON, availability=three), mesh)
    deployment = of_kind(agent, "Deployment")["spec"]
    assert deployment["replicas"] == 3
    assert deployment["strategy"]["type"] == "RollingUpdate"
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert of_kind(agent, "PodDisruptionBudget")["spec"]["minAvailable"] == 2
    # All are one to others: an address of a pod would take all calls, and outlive it.
    environment = environment_of(agent)
    assert environment["MCP_MESH_HTTP_HOST"] == of_kind(agent, "Service")["metadata"]["name"] == "shop-prices"
    assert "POD_IP" not in environment


def test_an_agent_follows_its_load() -> None:
    agent = agent_of(replace(JAVA, availability=Availability(scale=Autoscaling(minimum=2, maximum=5))))
    assert "replicas" not in of_kind(agent, "Deployment")["spec"]
    scaler = of_kind(agent, "HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)
    assert scaler["scaleTargetRef"]["name"] == "shop-stock"


def test_an_agent_that_only_agents_call_is_not_scaled_by_requests_that_nobody_counts() -> None:
    scale = RequestRate(minimum=1, maximum=3, per_pod=5.0)
    agent = agent_of(replace(PYTHON, availability=Availability(scale=scale)))
    with pytest.raises(TreeError, match="shop-prices scales by requests, and nobody counts them"):
        Application.of(agent).manifests()


# --- how it stops ---


def test_jobs_have_their_time_before_the_runtime_is_told_and_who_hangs_has_not() -> None:
    def stop(settings: AgentSettings) -> tuple[int, int, set[int | None]]:
        agent = agent_of(settings)
        container, pod = main_of(agent), of_kind(agent, "Deployment")["spec"]["template"]["spec"]
        hung = {container[f"{one}Probe"].get("terminationGracePeriodSeconds") for one in ("startup", "liveness")}
        waits = container["lifecycle"]["preStop"]["exec"]["command"]
        return pod["terminationGracePeriodSeconds"], int(waits[1] if waits[0] == "sleep" else waits[3]), hung

    assert stop(PYTHON) == (330, 10, {30})
    assert stop(replace(PYTHON, termination_grace_seconds=30)) == (30, 10, {None})
    # The runtime is told when jobs had their time, and has fifty seconds to leave.
    assert stop(replace(PYTHON, jobs_grace_seconds=600)) == (650, 600, {30})
    assert stop(replace(PYTHON, jobs_grace_seconds=5)) == (330, 10, {30})
    assert stop(replace(PYTHON, jobs_grace_seconds=60, termination_grace_seconds=310)) == (310, 60, {30})
    assert stop(replace(JAVA, termination_grace_seconds=90)) == (90, 10, {30})


@pytest.mark.parametrize(
    ("settings", "mesh", "grace", "quiet"),
    [
        # That of Python of 3.x ends its calls itself: it is told at once, and has their time.
        (PYTHON, NEW, 330, ""),
        (replace(PYTHON, call_seconds=60), NEW, 90, ""),
        (PYTHON, OLD, 330, "300"),
        (replace(PYTHON, termination_grace_seconds=90), OLD, 90, "60"),
        (replace(PYTHON, termination_grace_seconds=30), OLD, 30, ""),
        # These take up to fifty seconds to leave.
        (TYPESCRIPT, NEW, 360, "300"),
        (JAVA, NEW, 360, "300"),
        (replace(JAVA, call_seconds=60), NEW, 120, "60"),
        # Calls have the time of the jobs, too.
        (replace(TYPESCRIPT, jobs_grace_seconds=600), NEW, 650, ""),
    ],
)
def test_a_runtime_that_would_cut_calls_is_told_when_nobody_is_connected(
    settings: AgentSettings, mesh: Mesh, grace: int, quiet: str
) -> None:
    agent = agent_of(replace(settings, port=8097), mesh)
    command = main_of(agent)["lifecycle"]["preStop"]["exec"]["command"]
    assert of_kind(agent, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == grace
    if not quiet:
        assert command[0] == "sleep"
        return
    assert command[:2] == ["sh", "-c"]
    # 8097 is 1FA1: at the end of the local address, of a connection that is established.
    assert command[3:] == ["10", quiet, ":(1FA1) [0-9A-F]+:[0-9A-F]+ 01 "]


def refusal(phase: Phase, route: Route) -> str:
    """What is said where a gateway has this route; nothing where it may."""
    settings = GatewaySettings(image=images.OPENRESTY, compute=ROOMY, host="shop.local", https=False)
    Gateway(phase, settings, [route], DevIdentity(email="me@example.com"))
    try:
        Application.of(phase).manifests()
    except TreeError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", ["api", "agent"])
@pytest.mark.parametrize(("waits", "allowed"), [(60, False), (599, False), (600, True)])
def test_a_gateway_waits_as_long_as_the_answer_may_take(kind: str, waits: int, allowed: bool) -> None:
    phase = phase_of()
    registry = registry_of(phase)
    served: Api | Agent = (
        Api(phase, ApiSettings(name="web", code=CODE, compute=ROOMY, module="web", call_seconds=600))
        if kind == "api"
        else Agent(phase, AgentSettings(name="web", code=CODE, compute=ROOMY, module="web", call_seconds=600))
    )
    served.connects_to(registry)
    route = Route(path="/", to=served, audience=Audience.SIGNED_IN, rate=RateLimit(), timeout_seconds=waits)
    said = refusal(phase, route)
    assert (said == "") == allowed
    if not allowed:
        assert f"passes '/' on to shop-web, whose answer may take 600 seconds, and waits {waits}: give" in said


# --- a roll-out cuts no answer that somebody waits for ---


def called(grace: int | None) -> tuple[Application, Agent, Agent]:
    """An agent that calls another, and waits 600 seconds."""
    phase = phase_of()
    registry = registry_of(phase)
    planner, fares = (
        Agent(
            phase,
            AgentSettings(
                name=name, code=CODE, compute=ROOMY, module=name, call_seconds=seconds, termination_grace_seconds=kept
            ),
        )
        for name, seconds, kept in (("planner", 600, None), ("fares", None, grace))
    )
    for agent in (planner, fares):
        agent.connects_to(registry)
    planner.connects_to(fares)
    return Application.of(phase), planner, fares


@pytest.mark.parametrize("grace", [None, 629])
def test_an_agent_that_is_killed_before_a_caller_gives_up_is_refused(grace: int | None) -> None:
    application, planner, fares = called(grace)
    assert (planner.grace_seconds, fares.grace_seconds) == (630, grace or 330)
    with pytest.raises(TreeError) as refused:
        application.manifests()
    assert (
        "shop-planner waits 600 seconds for shop-fares, and a roll-out would cut an answer that takes more than "
        f"{599 if grace else 300}: it is killed {grace or 330} seconds after its stop begins. Give it "
        "termination_grace_seconds=630 or more, or planner a shorter call_seconds."
    ) in str(refused.value)


def test_an_agent_that_may_answer_for_as_long_as_a_caller_waits_is_rendered() -> None:
    assert called(630)[0].manifests()


@pytest.mark.parametrize(("settings", "least"), [(PYTHON, 630), (TYPESCRIPT, 660)], ids=["Python", "TypeScript"])
def test_who_is_killed_before_its_own_answer_is_refused_at_once(settings: AgentSettings, least: int) -> None:
    replace(settings, call_seconds=600, termination_grace_seconds=least)
    with pytest.raises(SettingError) as refused:
        replace(settings, call_seconds=600, termination_grace_seconds=least - 1)
    assert str(refused.value) == (
        f"{settings.name} termination_grace_seconds: {least - 1} was given. A roll-out would cut an answer that takes "
        f"its call_seconds, 600. Give {least} or more, or none."
    )


def test_a_service_that_is_killed_before_its_own_answer_is_refused_at_once() -> None:
    WorkloadSettings(name="pages", container=PAGES, answer_seconds=30)
    with pytest.raises(
        SettingError, match=r"pages termination_grace_seconds: 30 .*may take 31 seconds.*Give 31 or more"
    ):
        WorkloadSettings(name="pages", container=PAGES, answer_seconds=31)


PAGES = Container(
    name="pages",
    image=Image(repository="acme/pages", tag="1.0.0"),
    user=User(uid=1000, gid=1000),
    compute=ROOMY,
    ports=(Port(number=8000),),
    probes=Probes.of(TcpSocket()),
)


@pytest.mark.parametrize(
    ("waits", "grace", "buffering", "allowed"),
    [
        (300, 30, True, False),
        (300, 299, True, False),
        (300, 300, True, True),
        (61, 30, True, False),
        (60, 30, True, True),  # what a route waits unless told: nobody says that anything takes so long
        (300, 30, False, True),  # a stream: how long it is silent says nothing of when it ends
    ],
)
def test_a_service_that_is_killed_before_its_gateway_gives_up_is_refused(
    waits: int, grace: int, buffering: bool, allowed: bool
) -> None:
    phase = phase_of()
    pages = Workload(phase, WorkloadSettings(name="pages", container=PAGES, termination_grace_seconds=grace))
    route = Route(path="/", to=pages, audience=Audience.PUBLIC, timeout_seconds=waits, buffering=buffering)
    said = refusal(phase, route)
    assert (said == "") == allowed
    if not allowed:
        assert (
            f"shop-nginx-gateway, at '/', waits {waits} seconds for shop-pages, and a roll-out would cut an answer "
            f"that takes more than {grace}: it is killed {grace} seconds after its stop begins. Give it "
            f"termination_grace_seconds={waits} or more, or a shorter Route(timeout_seconds=…)."
        ) in said


# --- who watches it ---


def test_of_3_no_metrics_are_asked_for_that_nobody_has_and_the_registry_is_asked() -> None:
    assert [agent_of(PYTHON, OLD).metrics[0].path] == ["/metrics"]
    for settings in (PYTHON, TYPESCRIPT, JAVA):
        agent = agent_of(settings)
        assert agent.metrics == ()
        (check,) = agent.http_checks
        assert check.path == "/agents"
        assert f"'^{agent.name}(-[0-9a-f]{{8}})?$'" in check.condition


def test_a_runtime_of_ones_own_can_be_given() -> None:
    class Deno(TypeScript):
        def command(self, memory: int) -> tuple[str, ...]:
            return ("deno", "run", self.entry)

    runtime: Runtime = Deno(entry="main.ts")
    container = main_of(agent_of(replace(TYPESCRIPT, runtime=runtime)))
    assert [*container["command"], *container["args"]] == ["deno", "run", "main.ts"]


def test_the_example_of_the_guide_is_an_application() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    known = {name: getattr(mcpmesh_k8s, name) for name in mcpmesh_k8s.__all__}
    known |= {"FLIGHTS": CODE, "OFFERS": CODE, "STOCK": CODE, "COMPUTE": ROOMY}
    exec(example, known)
    for settings, port, pods in zip(known["AGENTS"], (8090, 8091, 8092), (1, 1, 3), strict=True):
        agent = agent_of(settings)
        assert (agent.main_port.number, of_kind(agent, "Deployment")["spec"]["replicas"]) == (port, pods)


def entry(name: str, digits: str, status: str) -> dict[str, str]:
    """One of the registry's list, of 3.x."""
    return {"id": f"{name}-{digits}", "name": name, "status": status}


PODS = [entry("prices", digits, "unhealthy") for digits in ("0a1b2c3d", "4e5f6a7b", "8c9d0e1f")]


@pytest.mark.parametrize(
    ("agents", "well"),
    [
        ([*PODS[:2], entry("prices", "8c9d0e1f", "healthy")], 1),
        (PODS, 0),
        ([*PODS, entry("prices-eu", "0a1b2c3d", "healthy")], 0),
        ([*PODS, entry("all-prices", "0a1b2c3d", "healthy")], 0),
        # Nobody is there, as the registry of 3.x says it.
        (None, 0),
    ],
    ids=["one of three", "none of three", "a longer name", "a name that ends so", "nobody"],
)
def test_of_several_pods_one_that_is_healthy_is_the_agent(
    agents: list[dict[str, str]] | None, well: int, needs_watching: Path, tmp_path: Path
) -> None:
    """The real exporter asks as it is rendered."""
    phase = phase_of()
    agent = Agent(phase, replace(PYTHON, availability=Availability(scale=Replicas(count=3))))
    agent.connects_to(registry_of(phase))
    Blackbox(phase, BlackboxSettings())
    every = (json_of(one) for phases in Application.of(agent).manifests().values() for one in phases)
    (text,) = (one["data"]["blackbox.yaml"] for one in every if "blackbox.yaml" in one.get("data", {}))
    (tmp_path / "blackbox.yaml").write_text(text)
    port = free_port()
    words = [f"--config.file={tmp_path}/blackbox.yaml", f"--web.listen-address={LOCALHOST}:{port}"]
    with answering({"agents": agents}) as registry:
        program = subprocess.Popen([needs_watching.parent / "blackbox_exporter", *words], stderr=subprocess.DEVNULL)
        try:
            assert eventually(lambda: is_open(port), 10)
            target = f"http://{LOCALHOST}:{registry}/agents"
            with urllib.request.urlopen(f"http://{LOCALHOST}:{port}/probe?module=prices&target={target}") as answer:
                assert f"\nprobe_success {well}\n" in answer.read().decode()
        finally:
            program.terminate()
            program.wait(10)


@contextmanager
def answering(body: object) -> Generator[int, None, None]:
    """A server that says the same to everybody: its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((LOCALHOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()
