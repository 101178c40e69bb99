"""The sandbox of the host's templates: the filters, tests, operators and methods that they may use, each charged for its work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, pass_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from jobs.rules.template_work import PART, Work, check_integers, check_sum, weight

MAX_ROUNDS = 200
MAX_TEXT_CHARS = 20_000  # that a filter returns
MAX_ARGUMENT_CHARS = 200  # of methods and `trim`, which may look for each character in it
MAX_DIGITS = 300  # of a text that is an integer
LIMIT_LOOP, WEIGH = "loop_limit", "weigh"  # filters that are added: to what a loop is over, and to what is compared
WORK = "_work"  # the name of the work that is left, which no template can read
ALLOWED_METHODS = {"items", "keys", "values", "get", "upper", "lower", "title", "capitalize", "strip", "startswith", "endswith"}
ALLOWED_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "last", "length", "lower", "map", "max"),
    *("min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "string", "sum", "title", "trim", "truncate"),
    *("unique", "upper", "wordcount"),
)
EACH_FILTERS = (  # run Python code for each element, or word
    *("dictsort", "join", "list", "map", "max", "min", "reject", "rejectattr", "select", "selectattr", "sort", "sum", "title"),
    "unique",
)
FREE_FILTERS = ("count", "d", "default", "first", "last", "length", LIMIT_LOOP, WEIGH)  # whose cost does not depend on the values
FREE_TESTS = (
    *("boolean", "defined", "false", "float", "integer", "iterable", "mapping", "none", "number", "sequence", "string", "true"),
    "undefined",
)
ALLOWED_TESTS = tuple(name for name in TESTS if name not in ("callable", "filter", "test", "sameas"))
LONG_FORMAT = re.compile(r"\*|\d{3}")  # of `'%.2f'|format(price)`: a width from elsewhere, or a large one


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate with numbers, and add texts and lists: `*` could repeat these any number of times, and `%` formats a text."""
        check_integers(left, right)
        if isinstance(left, str | bytes | list | tuple) or isinstance(right, str | bytes | list | tuple):
            if operator != "+":
                raise SecurityError(f"`{operator}` is for numbers")
            if isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
                check_sum(left, right, MAX_TEXT_CHARS)
                _work(context).charge(len(left) + len(right))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, method: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call one of ALLOWED_METHODS."""
        _check_arguments(*args, *kwargs.values())
        _work(context).charge(weight(getattr(method, "__self__", None)))
        return super().call(context, method, *args, **kwargs)


def _work(context: Context) -> Work:
    work: Work = context[WORK]
    return work


def _check_arguments(*arguments: Any) -> None:
    if any(isinstance(argument, str) and len(argument) > MAX_ARGUMENT_CHARS for argument in arguments):
        raise SecurityError(f"this may have at most {MAX_ARGUMENT_CHARS} characters in brackets")


def _limited(values: Iterable[Any]) -> Iterator[Any]:
    iterator = iter(values)
    yield from islice(iterator, MAX_ROUNDS)
    if next(iterator, values) is not values:
        raise SecurityError(f"a loop may have at most {MAX_ROUNDS} rounds")


@pass_context
def _rounds(context: Context, values: Iterable[Any], parts: int) -> Iterator[Any]:
    for value in _limited(values):
        _work(context).charge(parts * PART)
        yield value


@pass_context
def _weighed(context: Context, value: Any) -> Any:
    _work(context).charge(weight(value))
    return value


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


def _int(value: Any, default: int = 0, base: int = 10) -> Any:
    return default if isinstance(value, str) and len(value) > MAX_DIGITS else FILTERS["int"](value, default, base)


def _trim(value: Any, chars: str | None = None) -> Any:
    _check_arguments(chars)
    return FILTERS["trim"](value, chars)


def _urlencode(value: Any) -> str:
    return quote(str(value), safe="")


def _list(values: Iterable[Any]) -> list[Any]:
    return list(_limited(values))


def _charged_filter(name: str) -> Callable[..., Any]:
    """Return a filter that is charged for. What it returns is complete: nothing is left to do for later."""

    @pass_context
    def charged(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        work = _work(context)
        if name in EACH_FILTERS:
            work.charge_each(value, (*args, *kwargs.values()))
        work.charge(weight(value, *args, *kwargs.values()))
        result = FREE.call_filter(name, value, args, kwargs, context=context)
        result = list(result) if isinstance(result, Iterator) else result
        work.charge(weight(result))
        return result

    return charged


def _charged_test(name: str) -> Callable[..., bool]:
    @pass_context
    def charged(context: Context, value: Any, *args: Any, **kwargs: Any) -> bool:
        _work(context).charge(weight(value, *args, *kwargs.values()))
        return bool(FREE.call_test(name, value, args, kwargs, context=context))

    return charged


def _sandbox(filters: Mapping[str, Any], tests: Mapping[str, Any]) -> _Sandbox:
    sandbox = _Sandbox(undefined=StrictUndefined, autoescape=False, optimized=False)
    sandbox.globals.clear()
    sandbox.filters, sandbox.tests = dict(filters), dict(tests)
    return sandbox


FREE = _sandbox(  # no template is rendered by it
    {name: FILTERS[name] for name in ALLOWED_FILTERS}
    | {
        **{LIMIT_LOOP: _rounds, WEIGH: _weighed, "join": _join, "replace": _replace, "format": _format, "round": _round},
        **{"int": _int, "trim": _trim, "list": _list, "urlencode": _urlencode},
    },
    {name: TESTS[name] for name in ALLOWED_TESTS},
)
# All that are charged for need the context, so Jinja runs none of them when it compiles a template.
ENVIRONMENT = _sandbox(
    {name: function if name in FREE_FILTERS else _charged_filter(name) for name, function in FREE.filters.items()},
    {name: function if name in FREE_TESTS else _charged_test(name) for name, function in FREE.tests.items()},
)
