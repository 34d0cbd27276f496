"""This module is the generated parts of README.md: pictures, tables and the example come from the sources.

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``. ``--check`` says whether they are current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "constructs"))

from ai_interviewer import DEV, PROD, AiInterviewer, EnvironmentSettings  # noqa: E402
from mcpmesh_k8s import Compute, Image, Secret, Target, Workload, budget, topology  # noqa: E402

README = ROOT / "README.md"


def application(environment: EnvironmentSettings) -> AiInterviewer:
    """The application, which is looked at and never written."""
    return AiInterviewer(environment, outdir=ROOT / "dist" / environment.name)


def mermaid(text: str) -> str:
    """A picture that GitHub draws."""
    return f"```mermaid\n{text}```"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def who_talks_to_whom() -> str:
    """Every path, and in which environment it is open."""
    opened: dict[tuple[str, str], list[str]] = {}
    for environment in (DEV, PROD):
        for pod in application(environment).pods:
            if isinstance(pod, Workload):
                for peer, port in pod.accepted:
                    name = getattr(peer, "namespace", str(peer))
                    path = (f"pods of `{name}`", f"{pod.name} {pod.port(port).number}")
                    opened.setdefault(path, []).append(environment.name)
            for target in pod.connections:
                end = (
                    f"{target.workload.name} {target.endpoint.port}"
                    if isinstance(target, Target)
                    else f"{target.name}, the internet on {target.port}"
                )
                opened.setdefault((pod.name, end), []).append(environment.name)
    grouped: dict[tuple[str, str], list[str]] = {}
    for (source, target_), environments in opened.items():
        grouped.setdefault((source, " and ".join(environments)), []).append(target_)
    return table(
        ("from", "to", "in"), [(source, ", ".join(targets), where) for (source, where), targets in grouped.items()]
    )


def differences() -> str:
    """Every setting that dev and prod give differently."""
    rows = [(f"`{path}`", f"`{dev}`", f"`{prod}`") for path, dev, prod in differing(DEV, PROD)]
    return table(("setting", "dev", "prod"), rows)


def differing(dev: object, prod: object, path: str = "") -> Iterator[tuple[str, object, object]]:
    """Every field, however deep, that differs."""
    if isinstance(dev, (Compute, Image)) and dev != prod:
        yield path, str(dev), str(prod)
    elif is_dataclass(dev) and type(dev) is type(prod):
        for field in fields(dev):
            inner = f"{path}.{field.name}" if path else field.name
            yield from differing(getattr(dev, field.name), getattr(prod, field.name), inner)
    elif isinstance(dev, tuple) and isinstance(prod, tuple) and len(dev) == len(prod):
        for index, (left, right) in enumerate(zip(dev, prod, strict=True)):
            name = getattr(left, "name", str(index))
            yield from differing(left, right, f"{path}[{name}]")
    elif dev != prod:
        yield path, dev if dev != "" else "none", prod if prod != "" else "none"


def secrets() -> str:
    """The Secrets that must exist before the first deployment, and who reads them."""
    whole = application(DEV)
    readers: dict[str, list[str]] = {}
    for pod in whole.pods:
        for container in (*pod.containers, *pod.init_containers):
            for variable in container.variables:
                name = getattr(variable.value, "secret", None)
                if name is not None and pod.name not in readers.setdefault(name, []):
                    readers[name].append(pod.name)
    rows = [
        (
            f"`{secret.full_name}`",
            ", ".join(f"`{key}`" for key in secret.settings.keys),
            ", ".join(readers[secret.full_name]),
        )
        for secret in whole.components
        if isinstance(secret, Secret)
    ]
    return table(("Secret", "keys", "read by"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "topology": lambda: mermaid(topology(application(PROD))),
    "budget cpu dev": lambda: mermaid(budget(application(DEV), "cpu")),
    "budget cpu prod": lambda: mermaid(budget(application(PROD), "cpu")),
    "budget memory prod": lambda: mermaid(budget(application(PROD), "memory")),
    "who talks to whom": who_talks_to_whom,
    "differences": differences,
    "secrets": secrets,
    "example": lambda: f"```python\n{(ROOT / 'examples' / 'shop.py').read_text(encoding='utf-8')}```",
}


def generated(text: str) -> str:
    """The text with every part made anew."""

    def part(match: re.Match[str]) -> str:
        return f"<!-- generated: {match[1]} -->\n{PARTS[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- generated: (.+?) -->\n.*?<!-- end -->", part, text, flags=re.DOTALL)


def main() -> int:
    """Write README.md, or check it."""
    text = README.read_text(encoding="utf-8")
    missing = [name for name in PARTS if f"<!-- generated: {name} -->" not in text]
    if missing:
        print(f"README.md has no place for: {', '.join(missing)}", file=sys.stderr)
        return 1
    current = generated(text)
    if "--check" in sys.argv[1:]:
        if current != text:
            print("README.md is out of date: run `make docs` and commit the result.", file=sys.stderr)
            return 1
        print("README.md is current")
    elif current != text:
        README.write_text(current, encoding="utf-8")
        print("wrote README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
