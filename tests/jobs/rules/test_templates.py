"""The host's templates: what they may do, and that none of them gets out, takes long or much memory."""

from typing import Any

import pytest

from jobs.rules.host import safe_url
from jobs.rules.templates import BadTemplateError, Place, problems, render

VALUES: dict[str, Any] = {
    "name": "Ana",
    "price": 9.5,
    "items": [{"name": "pen", "n": 2}, {"name": "ink", "n": 1}],
    "long": "x" * 8_000,
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ name }} <{{ name.upper() }}>", "Ana <ANA>"),
        ("{{ '%.2f'|format(price) }} {{ price * 2 }} {{ price|round }}", "9.50 19.0 10.0"),
        ("{% for item in items %}{{ item.n }} {{ item.name }}{% if not loop.last %}, {% endif %}{% endfor %}", "2 pen, 1 ink"),
        ("{{ items|map(attribute='name')|join(', ') }}", "pen, ink"),
        ("{{ other|default('none') }}{% if other is defined %}!{% endif %}", "none"),
        ("{{ name|urlencode }}{{ 'a b'|urlencode }}", "Anaa%20b"),
        ("{{ long }}", "x" * 100),
    ],
)
def test_a_template_is_rendered(source: str, text: str) -> None:
    assert list(problems([Place("f", source)], {})) == []
    assert render(source, VALUES, 100) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ name.format(1) }}",
        "{{ self }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for a in items %}{% for b in items %}{% endfor %}{% endfor %}",
        "{% for c in 'x' ~ long %}{% endfor %}" * 5,
        "{{ 'x' * 1000000000 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%999999999d'|format(1) }}",
        "{{ 'x'|center(1000000000) }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ 1|round(1000000000) }}",
        "{% set x = long ~ long %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{{ lipsum() }}",
        "{{ " + "(" * 1_000 + "1" + ")" * 1_000 + " }}",
        "{{ 1 / 0 }}",
        "x" * 5_000,
    ],
)
def test_a_template_that_does_more_is_refused(source: str) -> None:
    [(field, message)] = problems([Place("f", source)], {})
    assert (field, message[:5]) == ("f", "line ")


@pytest.mark.parametrize(
    "source", ["{{ missing }}", "{% for c in long %}{% endfor %}", "{{ items|map('upper')|join(long)|replace('x', long) }}"]
)
def test_what_is_too_much_for_values_fails_when_it_is_rendered(source: str) -> None:
    with pytest.raises(BadTemplateError):
        render(source, VALUES, 100)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in many %}" + "{% if long|sort %}{% endif %}" * 100 + "{% endfor %}",
        "{{ (many|map('replace', 0, long)|map('replace', 'x', long)|sort)|length }}",
        "{% for i in many %}" + "{% if long in long ~ 'y' %}{% endif %}" * 100 + "{% endfor %}",
        "{% for i in many %}" + "{% if long.title() %}{% endif %}" * 100 + "{% endfor %}",
        "{{ (" + "+".join(["long"] * 4) + ")|length }}",
        "{{ (" + "~".join(["long"] * 4) + ")|length }}",
    ],
)
def test_what_is_too_much_work_fails(source: str) -> None:
    with pytest.raises(BadTemplateError, match=r"too much work|at most"):
        render(source, {**VALUES, "many": [0] * 200}, 100)


def test_what_no_store_and_no_json_has_is_left_out() -> None:
    assert render(r"{{ '\x00a\ud800' }}", {}, 100) == "a?"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://a.example/ü?x=1#y", "https://a.example/%C3%BC?x=1#y"),
        (" /orders/4 2 ", "/orders/4%202"),
        ("javascript:alert(1)", None),
        ("java\tscript:alert(1)", None),
        ("//evil.example", None),
        ("/\\evil.example", "/%5Cevil.example"),
        ("data:text/html,x", None),
        ("https://", None),
        ("orders", None),
        ("", None),
    ],
)
def test_an_address_is_on_the_web_or_a_path(text: str, url: str | None) -> None:
    assert safe_url(text) == url
