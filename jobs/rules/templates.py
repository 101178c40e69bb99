"""The host's templates: Jinja2 in a sandbox, of which only a part is allowed, so that no template can take long or much memory.

What is left out: assignments, macros, blocks, other templates, loops in loops, powers, calls except for a few methods without
effects, and filters whose result may be much longer than what they are applied to. There are at most MAX_LOOPS loops of MAX_ROUNDS.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import StrictUndefined, Template, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

MAX_TEMPLATE_CHARS = 4_096
MAX_LOOPS, MAX_ROUNDS = 4, 200
MAX_TEXT_CHARS = 20_000  # that a filter returns
MAX_CACHED = 1_000
LIMIT_LOOP = "loop_limit"  # the filter that bounds what a loop is over

ALLOWED_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Filter),
    *(nodes.Test, nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat, nodes.For, nodes.List, nodes.Tuple),
    *(nodes.Dict, nodes.Pair, nodes.Slice, nodes.Keyword, nodes.Call),
)
ALLOWED_METHODS = {"items", "keys", "values", "get", "upper", "lower", "title", "capitalize", "strip", "startswith", "endswith"}
ALLOWED_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "last", "length", "lower", "map", "max"),
    *("min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "string", "sum", "title", "trim", "truncate"),
    *("unique", "upper", "wordcount"),
)
ALLOWED_TESTS = tuple(name for name in TESTS if name not in ("callable", "filter", "test", "sameas"))
LONG_FORMAT = re.compile(r"\*|\d{3}")  # of `'%.2f'|format(price)`: a width from elsewhere, or a large one


class BadTemplateError(ValueError):
    """A template that can't be rendered, with the line of it."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Multiply numbers only: a text or list could be repeated any number of times, and `%` formats a text."""
        if isinstance(left, str | bytes | list | tuple) or isinstance(right, str | bytes | list | tuple):
            raise SecurityError(f"`{operator}` is for numbers")
        return super().call_binop(context, operator, left, right)


def _limited(values: Iterable[Any]) -> Iterator[Any]:
    iterator = iter(values)
    yield from islice(iterator, MAX_ROUNDS)
    if next(iterator, values) is not values:
        raise SecurityError(f"a loop may have at most {MAX_ROUNDS} rounds")


def _join(values: Iterable[Any], between: str = "", attribute: Any = None) -> str:
    parts, size = [], 0
    for value in values if not isinstance(values, str) else [values]:
        parts.append(str(value if attribute is None else ENVIRONMENT.getitem(value, attribute)))
        size += len(parts[-1]) + len(str(between))
        if size > MAX_TEXT_CHARS:
            raise SecurityError(f"a joined text may have at most {MAX_TEXT_CHARS} characters")
    return str(between).join(parts)


def _replace(text: Any, old: str, new: str) -> str:
    text, old, new = str(text), str(old), str(new)
    if len(text) + text.count(old) * len(new) > MAX_TEXT_CHARS:
        raise SecurityError(f"a replaced text may have at most {MAX_TEXT_CHARS} characters")
    return str(text.replace(old, new))


def _format(pattern: Any, *values: Any) -> str:
    if not isinstance(pattern, str) or LONG_FORMAT.search(pattern):
        raise SecurityError("a format is a text such as '%.2f'")
    return pattern % values


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    if not isinstance(precision, int) or not 0 <= precision <= 15:
        raise SecurityError("round: the precision must be from 0 to 15")
    return FILTERS["round"](value, precision, method)


def _urlencode(value: Any) -> str:
    return quote(str(value), safe="")


def _list(values: Iterable[Any]) -> list[Any]:
    return list(_limited(values))


ENVIRONMENT = _Sandbox(undefined=StrictUndefined, autoescape=False, optimized=False)
ENVIRONMENT.globals.clear()
ENVIRONMENT.filters = {name: FILTERS[name] for name in ALLOWED_FILTERS} | {
    **{
        LIMIT_LOOP: _limited,
        "join": _join,
        "replace": _replace,
        "format": _format,
        "round": _round,
        "list": _list,
        "urlencode": _urlencode,
    }
}
ENVIRONMENT.tests = {name: TESTS[name] for name in ALLOWED_TESTS}


def render(source: str, values: Mapping[str, Any], max_chars: int) -> str:
    """Return a template's text with these values, at most the first `max_chars`. Raises BadTemplateError."""
    template, parts, size = _compiled(source), [], 0
    try:
        for part in template.generate(values):
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
        for loop in loops:
            limited = nodes.Filter(loop.iter, LIMIT_LOOP, [], [], None, None, lineno=loop.lineno)
            loop.iter = limited.set_environment(ENVIRONMENT)
        return ENVIRONMENT.from_string(parsed)
    except TemplateSyntaxError as error:
        raise BadTemplateError(error.lineno, _reason(error)) from None
    except (SyntaxError, RecursionError, MemoryError):  # of Python's compiler
        raise BadTemplateError(1, "has too many parts inside of each other") from None


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
        case nodes.Filter() if node.name == LIMIT_LOOP:
            return f"no filter named {LIMIT_LOOP!r}"
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
    for field, source in places:
        try:
            names = _names(source)
            render(source, {**dict.fromkeys(names, Sample()), **known}, MAX_TEXT_CHARS)
        except BadTemplateError as error:
            yield field, str(error)


def _names(source: str) -> set[str]:
    """The names of values in a template. Raises BadTemplateError."""
    _compiled(source)
    return {name.name for name in ENVIRONMENT.parse(source).find_all(nodes.Name) if name.ctx == "load"}
