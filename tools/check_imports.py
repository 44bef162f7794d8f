"""Checks that imports point downwards and never form a cycle, imports inside functions included.

    python tools/check_imports.py

Exits with 1 and names every offending import. The layers are listed below, lowest first; packages
of one layer may import each other as long as no modules form a cycle.
"""

import ast
import sys
from collections.abc import Mapping
from pathlib import Path

LAYERS = (
    (
        "keras_has.version",
        "keras_has.deprecation",
        "keras_has.atomic_files",
        "keras_has.json_files",
        "keras_has.error_causes",
        "keras_has.expansion",
        "keras_has.hdf5_check",
    ),
    ("keras_has.ops",),
    (
        "keras_has.layers",
        "keras_has.optimizers",
        "keras_has.data",
        "keras_has.metrics",
        "keras_has.models",
        "keras_has.cams",
    ),
    ("keras_has.evaluation", "keras_has.drawing", "keras_has.timelines"),
    ("keras_has.callbacks", "keras_has.export", "keras_has.temporal_export"),
    ("trainers",),
    ("benchmarks",),
)


def modules_of(root: Path) -> dict[str, Path]:
    """Returns the file of each module of the project, by the module's name."""
    files = [
        path
        for top in ("keras_has", "trainers", "benchmarks")
        for path in (root / top).rglob("*.py")
    ]
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(files)
    }


def imports_of(name: str, path: Path, modules: Mapping[str, Path]) -> dict[str, int]:
    """Returns the modules of the project that a module imports, with the line of the import.

    `from a import b` counts as an import of the module `a.b` if there is one, otherwise of `a`;
    `import_module("a.b")` counts as one of `a.b`.
    """
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
                base = ".".join(filter(None, [*package[: len(package) - node.level + 1], base]))
            names = [f"{base}.{alias.name}" for alias in node.names]
            names = [full if full in modules else base for full in names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", None))
            names = [str(node.args[0].value)] if called == "import_module" else []
        for imported in names:
            if imported in modules and imported != name:
                found.setdefault(imported, node.lineno)
    return found


def layer_of(name: str) -> int | None:
    """Returns the number of a module's layer, or `None` for the top of `keras_has`."""
    for number, packages in enumerate(LAYERS):
        if any(name == package or name.startswith(f"{package}.") for package in packages):
            return number
    return None


def upward_imports(root: Path) -> list[str]:
    """Returns the imports that point to a higher layer, as `file:line: text`."""
    modules = modules_of(root)
    problems = []
    for name, path in modules.items():
        own = layer_of(name)
        if own is None:
            if name != "keras_has":
                problems.append(f"{path}:1: {name} belongs to no layer: add it to LAYERS.")
            continue
        for imported, line in imports_of(name, path, modules).items():
            other = layer_of(imported)
            if other is not None and other > own:
                problems.append(f"{path}:{line}: {name} imports {imported} from a higher layer.")
    return problems


def cycles(root: Path) -> list[list[str]]:
    """Returns the groups of modules that import each other in a circle, sorted."""
    modules = modules_of(root)
    graph = {name: list(imports_of(name, path, modules)) for name, path in modules.items()}
    # Tarjan's strongly connected components.
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return sorted(found)


def main() -> int:
    """Prints every problem and returns the exit status."""
    root = Path(__file__).resolve().parent.parent
    problems = upward_imports(root)
    problems += [f"These modules import each other: {', '.join(group)}" for group in cycles(root)]
    print(
        "\n".join(problems)
        or f"{len(modules_of(root))} modules: imports point downwards, no cycles"
    )
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
