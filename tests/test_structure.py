"""What holds for the code as a whole."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.api.admin.base import AdminHandler
from gateway.app import ROUTES
from gateway.http.base import Handler
from tests.structure import FLOORS, ROOT, TOP, WINGS, circles, imports, modules, package_of, tree_of, wing_of

FILES = modules()
LINES_TO_ASK_AT = 400  # a longer file is on LONG with its reason, or is to be split where its subject changes
LONG: dict[str, str] = {}
PUBLIC = {
    "incoming.IncomingMessages",
    "openapi.Document",
    "instance.Instance",
    "instance.Setup",
    "operations.ErrorTelemetry",
    "operations.Health",
    "operations.Metrics",
    "operations.MetricsTargets",
    "operations.Readiness",
    "service_worker.ServiceWorker",
    "static_files.Index",
    "static_files.Docs",
    "static_files.Example",
    "static_files.Static",
    "preferences.Unsubscribe",
    "sessions.Login",
    "signup.LoginCode",
    "signup.InvitedSignup",
    "signup.Signup",
    "signup.SignupCode",
    "signup.Verify",
}
HTTP = {"asyncio", "tornado", "http", "httpx", "websockets"}


def test_imports_between_wings_go_one_way() -> None:
    graph = imports()
    wrong = [(m, i) for m in graph for i in graph[m] if wing_of(i) != wing_of(m) and wing_of(i) not in WINGS[wing_of(m)]]
    assert not wrong


@pytest.mark.parametrize("wing", FLOORS)
def test_imports_inside_a_wing_go_down(wing: str) -> None:
    floor = {package: number for number, package in enumerate(FLOORS[wing])}
    graph = imports()
    inside = [(m, i) for m in graph for i in graph[m] if wing_of(m) == wing_of(i) == wing]
    assert not [(m, i) for m, i in inside if floor[package_of(m)] > floor[package_of(i)]]


def test_no_import_circle_is_left() -> None:
    assert circles(imports()) == []


def test_every_package_has_a_floor_and_stands_in_the_map() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for wing, floors in FLOORS.items():
        packages = {
            ".".join(p.relative_to(ROOT / wing).parts) for p in (ROOT / wing).rglob("*") if p.is_dir() and list(p.glob("*.py"))
        }
        assert {p for p in packages if package_of(f"{wing}.{p}.x") == TOP} <= {"migrations", "__pycache__"}, wing
        for floor in floors:
            assert floor == TOP or f"`{floor.replace('.', '/')}/`" in text, f"{wing}/{floor} is not in ARCHITECTURE.md"


def rows_of_the_map(wing: str) -> dict[str, set[str]]:
    """Package -> the modules, and folders with a slash, that its row of the wing's table in ARCHITECTURE.md names."""
    table = (ROOT / "ARCHITECTURE.md").read_text().partition(f"\n### `{wing}/`\n")[2].partition("\n#")[0]
    cells = [line.split("|") for line in table.splitlines() if line.startswith(("| `", "| (top)"))]
    packages = [row[1].strip(" `/").replace("/", ".").replace("(top)", TOP) for row in cells]
    return {package: set(re.findall(r"`([\w/]+)`", row[2])) for package, row in zip(packages, cells, strict=True)}


@pytest.mark.parametrize("wing", FLOORS)
def test_the_map_names_each_module_in_the_row_of_its_package(wing: str) -> None:
    rows = rows_of_the_map(wing)
    assert list(rows) == list(FLOORS[wing])
    modules_by_package: dict[str, set[str]] = {package: set() for package in rows}
    for module in (name for name, path in FILES.items() if wing_of(name) == wing and path.stem != "__init__"):
        package = package_of(module)
        name, _, deeper = module.removeprefix(f"{wing}.{package}".rstrip(".") + ".").partition(".")
        modules_by_package[package].add(f"{name}/" if deeper else name)
    for package, names in rows.items():
        unknown = {name for name in names - modules_by_package[package] if not name.endswith("/")}
        assert (modules_by_package[package] - names, unknown) == (set(), set()), f"{package}: not named, and named but not there"


def test_the_client_package_imports_nothing_of_the_rest() -> None:
    for path in (ROOT / "clients/python/src").rglob("*.py"):
        assert not imported(path) & {*WINGS, "tests", "bench"}, path


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add((node.module or "").split(".")[0])
    return found


def test_nothing_imports_tests_or_benchmarks() -> None:
    assert not [name for name, path in FILES.items() if imported(path) & {"tests", "bench"}]


def test_models_know_no_loop_and_no_http() -> None:
    assert not [name for name, path in FILES.items() if wing_of(name) == "models" and imported(path) & HTTP]


def test_a_long_file_has_a_reason() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES.values()}
    assert {name for name, lines in lengths.items() if lines > LINES_TO_ASK_AT} == set(LONG)


def handlers() -> dict[str, type[Handler]]:
    return {f"{h.__module__.rpartition('.')[2]}.{h.__qualname__}": h for _, h in ROUTES}


def test_only_a_few_routes_are_public() -> None:
    assert {name for name, handler in handlers().items() if handler.access == "public"} == PUBLIC


def test_who_may_call_is_one_of_three() -> None:
    assert {handler.access for handler in handlers().values()} == {"public", "user", "admin"}


def test_admin_routes_are_for_admins_and_no_others_are() -> None:
    posts_activity = {r"/api/v1/activity"}
    for pattern, handler in ROUTES:
        if pattern not in posts_activity:
            assert (handler.access == "admin") == pattern.startswith("/api/v1/admin/"), pattern


def test_every_admin_route_is_audited() -> None:
    for name, handler in handlers().items():
        assert (handler.access == "admin") == issubclass(handler, AdminHandler), name


def test_no_handler_forgets_who_calls() -> None:
    for name, handler in handlers().items():
        overridden = [c for c in handler.__mro__ if issubclass(c, Handler) and c is not Handler and "prepare" in vars(c)]
        assert not overridden, f"{name} has a prepare of its own, which may skip the check of its caller"


FOLDERS = "bench|clients|commands|conf|deploy|docs|gateway|grafana|jobs|metrics|models|tests"
PATHS = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./-]+\.(?:py|md|js|yml|yaml|conf|env)\b")
TEXT_KINDS = {".py", ".md", ".toml", ".yml"}


def texts() -> Iterator[Path]:
    """The project's texts, without those of the tests and of installed packages."""
    for folder, inner, names in os.walk(ROOT):
        inner[:] = [name for name in inner if name not in {".venv", "tests", ".git", "node_modules"}]
        yield from (Path(folder, name) for name in names if Path(name).suffix in TEXT_KINDS)


def test_every_path_that_is_named_exists() -> None:
    named = [(path, name) for path in texts() for name in PATHS.findall(path.read_text())]
    assert len(named) > 100
    missing = [f"{name} in {path}" for path, name in named if not (ROOT / name).exists() and not (path.parent / name).exists()]
    assert not missing


def test_the_tests_in_the_table_of_failures_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/failures.md").read_text())
    assert len(named) > 30
    missing = [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text()]
    assert not missing
