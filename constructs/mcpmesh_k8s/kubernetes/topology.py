"""This module is pictures of an application, as Mermaid: who talks to whom, and where CPU and memory go."""

from __future__ import annotations

from .errors import SettingError
from .namespace import Namespace
from .pod import Pod, Target
from .quantity import Amount
from .scope import ApplicationScope
from .workload import Workload

API_SERVER = "Kubernetes API"
"""What people call the cluster's API server."""


def topology(application: ApplicationScope) -> str:
    """A Mermaid flowchart of every path that the policies open, by phase; dotted where a client only watches.

    Args:
        application: The application; it need not be rendered yet.
    """
    application.look()
    application.settle()
    lines = ["flowchart LR"]
    for phase in application.phases:
        lines.append(f"  subgraph {phase.name}")
        lines += [f"    {pod.name}" for pod in application.find_all(Pod) if pod.phase is phase]
        lines.append("  end")
    outside: dict[str, None] = {}
    edges: list[str] = []
    for pod in application.find_all(Pod):
        if isinstance(pod, Workload):
            for peer, port in pod.accepted:
                outside[peer.title] = None
                edges.append(f"  {_id(peer.title)} -->|{pod.port(port).number}| {pod.name}")
        for target in pod.connections:
            if isinstance(target, Target):
                arrow = "-.->" if target.watched else "-->"
                edges.append(f"  {pod.name} {arrow}|{target.endpoint.port}| {target.workload.name}")
            else:
                outside[target.name] = None
                edges.append(f"  {pod.name} -->|{target.port}| {_id(target.name)}")
        if pod.api_access:
            outside[API_SERVER] = None
            edges.append(f"  {pod.name} -->|reads| {_id(API_SERVER)}")
    lines += [f"  {_id(name)}([{name}])" for name in outside]
    return "\n".join(lines + edges) + "\n"


def budget(application: ApplicationScope, what: str) -> str:
    """A Mermaid pie of what each workload requests at steady state, and what is left of the cluster.

    Args:
        application: The application.
        what: ``cpu`` in millicores, or ``memory`` in MiB.
    """
    application.look()
    application.settle()
    if what not in ("cpu", "memory"):
        raise SettingError("budget what", what, "Give 'cpu' or 'memory'.")
    unit = {"cpu": 1, "memory": 2**20}[what]
    (namespace,) = application.find_all(Namespace)
    parts = [(pod.name, pod.steady_pods, getattr(amount, what) // unit) for amount, pod in namespace.steady()]
    cluster = namespace.settings.budget.amount
    left = getattr(cluster, what) // unit - sum(size for _, _, size in parts)
    label = {"cpu": "CPU (millicores)", "memory": "Memory (MiB)"}[what]
    lines = ["pie showData", f"  title {label} of {_total(cluster, what)}"]
    for name, pods, size in sorted(parts, key=lambda part: (-part[2], part[0])):
        lines.append(f'  "{f"{pods} × " if pods > 1 else ""}{name}" : {size}')
    return "\n".join([*lines, f'  "free" : {left}']) + "\n"


def _total(amount: Amount, what: str) -> str:
    cpu, memory = str(amount).split(", ")
    return cpu if what == "cpu" else memory


def _id(name: str) -> str:
    """The node of something outside; the prefix keeps it apart from a workload of the same name."""
    return "outside-" + "".join(letter if letter.isalnum() else "-" for letter in name.lower())
