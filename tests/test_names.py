"""What can be checked of how the code reads: class names, identifiers, booleans and docstrings."""

import ast
import functools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.structure import ROOT, WINGS, modules, tree_of, wing_of

FILES = {name: path for name, path in modules().items() if "migrations" not in path.parts}  # those are frozen
VERBS = {
    *("tell", "tells", "told", "telling", "hear", "hears", "heard", "hearing", "heed", "heeds", "heeded"),
    *("ask", "asks", "asked", "asking", "look", "looks", "looked", "looking", "hold", "holds", "held", "holding"),
    *("take", "takes", "took", "taken", "taking", "stand", "stands", "stood", "standing"),
    *("want", "wants", "wanted", "wanting", "give", "gives", "gave", "given", "giving"),
}
METAPHORS = {"utils", "helpers", "manager", "common", "misc", "ring", "turn", "roll", "growth", "hung", "duty"}
FORBIDDEN = VERBS | METAPHORS
SETTINGS = {"webhook_hold_days"}  # a name that operators know
ALLOWED = {"set", "put", "labels"}  # methods of others that take a bare boolean
NO_SUBJECT = re.compile(r"(Who|What|Whose|Whom|Whoever|Whatever)\b(?!.*\?)")
VAGUE = re.compile(r"\b(whoever|whatever|whomever)\b", re.IGNORECASE)


def files_of(wing: str) -> list[tuple[str, Path]]:
    """The modules of a wing, and their files."""
    return [(name, path) for name, path in FILES.items() if wing_of(name) == wing]


@functools.cache
def words(name: str) -> frozenset[str]:
    """The words of `snake_case` and `CamelCase` names, in lower case."""
    return frozenset(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))


def identifiers(tree: ast.AST) -> Iterator[str]:
    """The names that a file defines: classes, functions, parameters, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def bare_booleans(tree: ast.AST) -> Iterator[int]:
    """The lines of calls that pass True or False by position."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and any(isinstance(a, ast.Constant) and isinstance(a.value, bool) for a in node.args):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in ALLOWED:
                yield node.lineno


@pytest.mark.parametrize("wing", WINGS)
def test_names_are_the_domains(wing: str) -> None:
    names = [(name, i) for name, path in files_of(wing) for i in [*identifiers(tree_of(path)), *name.split(".")]]
    assert [(name, i) for name, i in names if words(i) & FORBIDDEN and i not in SETTINGS] == []


@pytest.mark.parametrize("wing", WINGS)
def test_booleans_are_passed_by_name(wing: str) -> None:
    assert [(name, line) for name, path in files_of(wing) for line in bare_booleans(tree_of(path))] == []


@pytest.mark.parametrize("wing", WINGS)
def test_docstrings_have_a_subject(wing: str) -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [(name, node) for name, path in files_of(wing) for node in ast.walk(tree_of(path)) if isinstance(node, documented)]
    assert [(name, doc) for name, node in nodes if NO_SUBJECT.match(doc := ast.get_docstring(node) or "")] == []
    assert [(name, vague) for name, path in files_of(wing) for vague in VAGUE.findall(path.read_text())] == []


@pytest.mark.parametrize("wing", ["models", "jobs", "gateway", "commands"])
def test_no_two_classes_of_a_wing_share_a_name(wing: str) -> None:
    trees = [tree_of(path) for _, path in files_of(wing)]
    names = Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1 and name != "Meta"] == []


def test_pages_and_documents_are_plain() -> None:
    texts = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *static("*.js"),
        *static("*.html"),
    ]
    assert [path.name for path in texts if VAGUE.search(path.read_text())] == []


def static(pattern: str) -> Iterator[Path]:
    """The page's files."""
    return (ROOT / "gateway/static").rglob(pattern)
