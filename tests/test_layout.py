import ast
import graphlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import mcpmesh_k8s

PACKAGE = Path(mcpmesh_k8s.__file__).parent

MAY_IMPORT = {
    "images": {"kubernetes"},
    "kubernetes": set[str](),
    "services": {"images", "kubernetes"},
    "access": {"kubernetes"},
    "observability": {"images", "kubernetes", "services", "access"},
    "delivery": {"kubernetes", "services", "access"},
    "operations": {"images", "kubernetes", "services", "access", "observability", "delivery"},
}
"""Which room may know which. What the package exports is at its top, which knows them all."""


def module_of(path: Path) -> str:
    """A module's name inside the package: ``services.postgres``, and ``services`` for what the room exports."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_of(path): path for path in PACKAGE.rglob("*.py") if module_of(path) != "__init__"}


def imports_of(tree: ast.AST, module: str) -> Iterator[tuple[str, int]]:
    """Every module of the package that a piece of a module imports, for type checkers alone too, with its line."""
    package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            whole_names = [alias.name for alias in node.names if alias.name.partition(".")[0] == "mcpmesh_k8s"]
            named = [name.removeprefix("mcpmesh_k8s").lstrip(".") for name in whole_names]
        elif isinstance(node, ast.ImportFrom):
            base = f"mcpmesh_k8s.{package}".split(".")
            above = base[: len(base) - node.level + 1] if node.level else []
            whole = ".".join([*above, *([node.module] if node.module else [])])
            if whole.partition(".")[0] != "mcpmesh_k8s":
                continue
            inside = whole.partition(".")[2]
            names = [f"{inside}.{alias.name}".strip(".") for alias in node.names]
            named = [name if name in SOURCES else inside for name in names]
        else:
            continue
        yield from ((name, node.lineno) for name in named)


@cache
def parsed(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text(encoding="utf-8"))


def test_the_rooms_are_those_of_the_table() -> None:
    assert {module.partition(".")[0] for module in SOURCES} == set(MAY_IMPORT)


def test_a_room_imports_only_rooms_that_it_may_know() -> None:
    wrong = [
        f"{module}:{line} imports {name or 'the top of the package'}"
        for module in SOURCES
        for name, line in imports_of(parsed(module), module)
        if (room := name.partition(".")[0]) != module.partition(".")[0]
        and room not in MAY_IMPORT[module.partition(".")[0]]
    ]
    assert wrong == []


def test_between_rooms_only_what_a_room_exports_is_imported_by_the_library_rooms() -> None:
    """A room's modules may be moved and renamed without the others noticing."""
    wrong = [
        f"{module}:{line} imports {name}"
        for module in SOURCES
        for name, line in imports_of(parsed(module), module)
        if "." in name and name.partition(".")[0] != module.partition(".")[0]
    ]
    assert wrong == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: {name for name, _ in imports_of(parsed(module), module) if name in SOURCES} for module in SOURCES}
    assert any(graph.values()), "no import was found"
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert order.index("kubernetes.errors") < order.index("kubernetes.application")


def test_a_circle_would_be_found() -> None:
    with pytest.raises(graphlib.CycleError):
        list(graphlib.TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())


def test_no_function_imports_a_module_of_the_package() -> None:
    """An import inside a function hides a circle."""
    hidden = [
        f"{module}:{line} imports {name}"
        for module in SOURCES
        for function in ast.walk(parsed(module))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for name, line in imports_of(function, module)
    ]
    assert hidden == []
