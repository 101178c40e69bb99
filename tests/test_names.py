"""What can be checked of how the code reads: class names, identifiers, booleans and docstrings."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.structure import ROOT, modules, wing_of

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


def words(name: str) -> set[str]:
    """The words of `snake_case` and `CamelCase` names, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


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


@pytest.mark.parametrize("name", FILES)
def test_names_are_the_domains(name: str) -> None:
    tree = ast.parse(FILES[name].read_text())
    assert not {i for i in [*identifiers(tree), *name.split(".")] if words(i) & FORBIDDEN} - SETTINGS
    assert list(bare_booleans(tree)) == []


@pytest.mark.parametrize("name", FILES)
def test_docstrings_have_a_subject(name: str) -> None:
    text = FILES[name].read_text()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, documented)]
    assert [doc for doc in docs if NO_SUBJECT.match(doc)] == []
    assert VAGUE.findall(text) == []


@pytest.mark.parametrize("wing", ["models", "jobs", "gateway", "commands"])
def test_no_two_classes_of_a_wing_share_a_name(wing: str) -> None:
    trees = [ast.parse(path.read_text()) for name, path in FILES.items() if wing_of(name) == wing]
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
