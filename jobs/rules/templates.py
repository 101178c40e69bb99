"""The host's templates: Jinja2 in a sandbox, of which only a part is allowed, so that no template can take long or much memory.

What is left out: assignments, macros, blocks, other templates, loops in loops, powers, calls except for a few methods without
effects, and filters whose result may be much longer than what they are applied to. There are at most MAX_LOOPS loops of
MAX_ROUNDS. What is not in a loop runs once, and a template has at most MAX_TEMPLATE_CHARS.

What is left is bounded when it runs, by a number of units of work (template_work.py) for the whole template: each round of a loop
is charged for its body, and each filter, test, operator and method for what it reads and returns, except for those whose cost does
not depend on the values.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.visitor import NodeTransformer

from jobs.rules.template_sandbox import ALLOWED_METHODS, ENVIRONMENT, LIMIT_LOOP, MAX_TEXT_CHARS, WEIGH, WORK
from jobs.rules.template_work import Work

MAX_TEMPLATE_CHARS = 4_096
MAX_LOOPS = 4
MAX_CACHED = 1_000
ALLOWED_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Filter),
    *(nodes.Test, nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat, nodes.For, nodes.List, nodes.Tuple),
    *(nodes.Dict, nodes.Pair, nodes.Slice, nodes.Keyword, nodes.Call),
)


class BadTemplateError(ValueError):
    """A template that can't be rendered, with the line of it."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


def render(source: str, values: Mapping[str, Any], max_chars: int, work: Work | None = None) -> str:
    """Return a template's text with these values, at most the first `max_chars`. Raises BadTemplateError, also when there is not
    enough work left: by default, each template has its own."""
    template, parts, size = _compiled(source), [], 0
    try:
        for part in template.generate({**values, WORK: work or Work()}):
            parts.append(part)
            size += len(part)
            if size >= max_chars:
                break
    except Exception as error:
        raise BadTemplateError(_line_of(error), _reason(error)) from error
    text = "".join(parts)[:max_chars]
    return text.encode(errors="replace").decode().replace("\0", "")  # which JSON or the store has no form for


def _line_of(error: Exception) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return (lines[-1] if lines else None) or 1


def _reason(error: Exception) -> str:
    text = str(error).replace("jinja2.runtime.", "")[:200]
    return text or type(error).__name__


@lru_cache(MAX_CACHED)
def _compiled(source: str) -> Template:
    if len(source) > MAX_TEMPLATE_CHARS:
        raise BadTemplateError(1, f"must have at most {MAX_TEMPLATE_CHARS} characters")
    try:
        parsed = ENVIRONMENT.parse(source)
        _check(parsed, in_loop=False)
        loops = list(parsed.find_all(nodes.For))
        if len(loops) > MAX_LOOPS:
            raise BadTemplateError(loops[-1].lineno, f"there may be at most {MAX_LOOPS} loops")
        return ENVIRONMENT.from_string(_Charging().visit(parsed).set_environment(ENVIRONMENT))
    except TemplateSyntaxError as error:
        raise BadTemplateError(error.lineno, _reason(error)) from None
    except (SyntaxError, RecursionError, MemoryError):  # of Python's compiler
        raise BadTemplateError(1, "has too many parts inside of each other") from None


class _Charging(NodeTransformer):
    """Adds filters where Jinja itself runs what no filter, test or operator of the sandbox is told of."""

    def visit_For(self, loop: nodes.For) -> nodes.Node:
        """Charge each round for all parts of the loop, and bound their number."""
        parts = sum(1 for _ in loop.find_all(nodes.Node))
        self.generic_visit(loop)
        loop.iter = _filtered(loop.iter, LIMIT_LOOP, nodes.Const(parts))
        return loop

    def visit_Concat(self, concat: nodes.Concat) -> nodes.Node:
        """Join what `~` is between."""
        self.generic_visit(concat)
        return _filtered(nodes.List(concat.nodes, lineno=concat.lineno), "join")

    def visit_Compare(self, compare: nodes.Compare) -> nodes.Node:
        """Charge for what is compared, or searched."""
        self.generic_visit(compare)
        compare.expr = _filtered(compare.expr, WEIGH)
        for operand in compare.ops:
            operand.expr = _filtered(operand.expr, WEIGH)
        return compare


def _filtered(node: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Expr:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


def _check(node: nodes.Node, *, in_loop: bool) -> None:
    """Raise BadTemplateError for a part of the language that is not allowed."""
    problem = _problem(node, in_loop=in_loop)
    if problem:
        raise BadTemplateError(node.lineno, problem)
    for child in node.iter_child_nodes():
        _check(child, in_loop=in_loop or isinstance(node, nodes.For))


def _problem(node: nodes.Node, *, in_loop: bool) -> str:
    name = type(node).__name__.lower()
    match node:
        case nodes.For() if in_loop:
            return "a loop may not be inside another"
        case nodes.For() if node.recursive:
            return "a loop may not be recursive"
        case nodes.Name() if node.name.startswith("_") or node.name == "self":
            return f"{node.name!r} is not allowed"
        case nodes.Getattr() if node.attr.startswith("_"):
            return f"{node.attr!r} is not allowed"
        case nodes.Getitem(arg=nodes.Const(value=str(key))) if key.startswith("_"):
            return f"{key!r} is not allowed"
        case nodes.Call(node=nodes.Getattr(attr=attr)) if attr in ALLOWED_METHODS:
            return ""
        case nodes.Call():
            return "only these may be called: " + ", ".join(sorted(ALLOWED_METHODS))
        case nodes.Filter() if node.name in (LIMIT_LOOP, WEIGH):
            return f"no filter named {node.name!r}"
        case nodes.Tuple(ctx="store") | nodes.Name(ctx="store"):
            return ""
    return "" if isinstance(node, ALLOWED_NODES) else f"{name!r} is not allowed"


class Sample:
    """Any value, to try a template with: a text, a number, a list of one and an object at once."""

    unsafe_callable = alters_data = False  # of Jinja

    def items(self) -> list[tuple[Any, Any]]:
        """Like a dictionary's."""
        return [(self, self)]

    def __getattr__(self, name: str) -> Sample:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: object) -> Sample:
        return self

    def __call__(self, *args: object) -> Sample:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter((self,))

    def __len__(self) -> int:
        return 1

    def __str__(self) -> str:
        return "sample"

    def __int__(self) -> int:
        return 1

    __index__ = __abs__ = __int__

    def __float__(self) -> float:
        return 1.0

    def __round__(self, digits: int | None = None) -> float:
        return 1.0

    def __contains__(self, value: object) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return other is self

    def __lt__(self, other: object) -> bool:
        return True

    __le__ = __gt__ = __ge__ = __lt__

    def __hash__(self) -> int:
        return 1

    def __add__(self, other: object) -> Sample:
        return self

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __add__

    def __neg__(self) -> Sample:
        return self

    __pos__ = __neg__


class Place(NamedTuple):
    """A template and the field of a request that has it."""

    field: str
    source: str


def problems(places: Iterable[Place], known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (field, what is wrong and in which line) of each template that can't be rendered with samples and `known` values."""
    work = Work()  # for all of them, since there may be many
    for field, source in places:
        try:
            names = _names(source)
            render(source, {**dict.fromkeys(names, Sample()), **known}, MAX_TEXT_CHARS, work)
        except BadTemplateError as error:
            yield field, str(error)


def _names(source: str) -> set[str]:
    """The names of values in a template. Raises BadTemplateError."""
    _compiled(source)
    return {name.name for name in ENVIRONMENT.parse(source).find_all(nodes.Name) if name.ctx == "load"}
