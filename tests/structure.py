"""The packages of the code, the floor that each stands on, and the imports between them. `python -m tests.structure` prints them.

A wing is a top-level package; FLOORS lists its packages from the top down. A module imports modules of its own package, of
packages further down, and of the wings that its own wing may use: never upwards, and never in a circle.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
WINGS = {  # a wing and the wings that it may import
    "conf": set(),
    "metrics": set(),
    "models": {"conf"},
    "jobs": {"models", "metrics", "conf"},
    "gateway": {"jobs", "models", "metrics", "conf"},
    "commands": {"gateway", "jobs", "models", "metrics", "conf"},
    "run": {"commands"},
}
TOP = ""  # the modules that are in no package of their wing
FLOORS = {  # from the top down; the tables of ARCHITECTURE.md say what each is for
    "models": (
        *(
            "transfer",
            TOP,
            "hooks",
            "sync",
            "history",
            "accounts",
            "ops",
            "chat",
            "notices",
            "community",
            "files",
            "blobs",
            "records",
            "identity",
            "log",
            "store",
        ),
    ),
    "jobs": (TOP, "insight", "consumers", "push", "mail", "hooks", "pictures", "upkeep", "queue", "rules", "drain", "infra"),
    "gateway": (TOP, "apidoc", "api.admin", "api", "http.wire", "http", "jwt", "delivery", "commit"),
}
WITHOUT_FLOORS = {"gateway.static"}  # no Python in it
Imports = Mapping[str, set[str]]  # a module -> the modules of ours that it imports, anywhere in it


def modules(wings: Iterator[str] | None = None) -> dict[str, Path]:
    """Dotted name -> file of every module of the wings."""
    found = {}
    for wing in wings or WINGS:
        files = [ROOT / f"{wing}.py"] if wing == "run" else sorted((ROOT / wing).rglob("*.py"))
        for path in files:
            found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file, which is parsed once for all tests."""
    return ast.parse(path.read_text())


@functools.cache
def imports() -> dict[str, set[str]]:
    """The imports between our modules, those inside functions and under TYPE_CHECKING included."""
    paths = modules()
    return {name: set(_imported(path, paths)) for name, path in paths.items()}


def _imported(path: Path, paths: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in paths)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            for name in (f"{module}.{alias.name}" for alias in node.names):
                if name in paths or module in paths:
                    yield name if name in paths else module


def wing_of(module: str) -> str:
    """`jobs` of `jobs.mail.smtp`."""
    return module.partition(".")[0]


def package_of(module: str) -> str:
    """`mail` of `jobs.mail.smtp`, TOP of `jobs.worker`; of nested packages the innermost that has a floor."""
    wing, _, rest = module.partition(".")
    names = [p for p in FLOORS.get(wing, ()) if p and (rest == p or rest.startswith(f"{p}."))]
    return max(names, key=len, default=TOP)


def circles(graph: Imports) -> list[list[str]]:
    """The import circles: each a list of modules of which the last one imports the first."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> None:
        if module in way:
            found.append(way[way.index(module) :])
        elif module not in done:
            for imported in sorted(graph[module]):
                visit(imported, [*way, module])
            done.add(module)

    for module in graph:
        visit(module, [])
    return found


def text() -> str:
    """Packages from the top floor down, with their modules and the packages that they import."""
    graph, lines = imports(), []
    for wing in reversed(WINGS):
        lines += ["", f"{wing} → {', '.join(sorted(WINGS[wing])) or 'nothing of ours'}"]
        for floor in FLOORS.get(wing, (TOP,)):
            members = [m for m in graph if wing_of(m) == wing and package_of(m) == floor]
            arrows = {package_of(i) or "(top)" for m in members for i in graph[m] if wing_of(i) == wing} - {floor or "(top)"}
            prefix = f"{wing}.{floor}.".replace("..", ".")
            names = " ".join(m.removeprefix(prefix) for m in members if m not in (wing, f"{wing}.{floor}"))
            lines.append(f"  {floor or '(top)':<12} {names}" + (f"\n  {'':<12} → {', '.join(sorted(arrows))}" if arrows else ""))
    return "\n".join(lines[1:])


if __name__ == "__main__":
    print(text())
