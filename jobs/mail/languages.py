"""The languages of mails: their words, one file each in `words/`, and the plural forms that they need.

A person's locale decides; English stands in for a language without a file. A new language is one file, and a line of PLURALS if its
plural forms are not those of English.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup, escape

WORDS = Path(__file__).with_name("words")
DEFAULT = "en"


def _english(n: int) -> str:
    return "one" if n == 1 else "other"


def _french(n: int) -> str:
    return "one" if n in (0, 1) else "other"


def _without_forms(n: int) -> str:
    return "other"


def _arabic(n: int) -> str:
    if n <= 2:
        return ("zero", "one", "two")[n]
    return "few" if 3 <= n % 100 <= 10 else "many" if n % 100 >= 11 else "other"


def _russian(n: int) -> str:
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14 else "many"


def _polish(n: int) -> str:
    return "one" if n == 1 else "few" if _russian(n) == "few" else "many"


def _czech(n: int) -> str:
    return "one" if n == 1 else "few" if 2 <= n <= 4 else "other"


# The forms of whole numbers by CLDR 46 (unicode.org/cldr, plurals.xml); all other languages here are like English.
PLURALS: Mapping[str, Callable[[int], str]] = {
    **dict.fromkeys(("fr", "pt", "hy"), _french),
    **dict.fromkeys(("id", "ja", "ko", "ms", "th", "vi", "zh"), _without_forms),
    **dict.fromkeys(("be", "ru", "uk"), _russian),
    **dict.fromkeys(("cs", "sk"), _czech),
    "ar": _arabic,
    "pl": _polish,
}

Text = str | dict[str, str]  # a text, or one for each plural form


class Language(NamedTuple):
    """A language: its tag, the direction of its script (`ltr` or `rtl`), and its texts by `section.key`."""

    tag: str
    direction: str
    texts: Mapping[str, Text]

    def text(self, key: str, **values: object) -> str:
        """Return a text, in plain text, with `{name}` replaced by values. Raises KeyError for an unknown key or a missing value."""
        return self._chosen(key, values).format(**values)

    def html(self, key: str, **values: object) -> Markup:
        """Return a text in HTML. Values are escaped, except for Markup."""
        return Markup(escape(self._chosen(key, values))).format(**values)  # noqa: S704 - the text is escaped

    def quoted(self, name: str) -> str:
        """Return a name in the quotes of the language, with no quotes in it that could end them."""
        return self.text("layout.quoted", name=name.translate(INNER_QUOTES))

    def _chosen(self, key: str, values: Mapping[str, object]) -> str:
        found = self.texts[key]
        if isinstance(found, str):
            return found
        n = values["n"]
        assert isinstance(n, int)
        return found[PLURALS.get(self.tag, _english)(n)]


INNER_QUOTES = str.maketrans("“”„«»", "‘’‚‹›")


def of(locale: str | None) -> Language:
    """Return the language of a locale such as `de-AT`, English if there are no words in it."""
    return _all().get((locale or "").partition("-")[0].lower(), _all()[DEFAULT])


def tags() -> Collection[str]:
    """Return the tags of the languages that there are words in."""
    return _all().keys()


@cache
def _all() -> dict[str, Language]:
    """Return all languages by their tags."""
    return {path.stem: _read(path) for path in sorted(WORDS.glob("*.toml"))}


def _read(path: Path) -> Language:
    sections = tomllib.loads(path.read_text("utf-8"))
    direction = sections.pop("direction")
    return Language(path.stem, direction, dict(_flat(sections)))


def _flat(sections: Mapping[str, Any]) -> Iterator[tuple[str, Text]]:
    for section, texts in sections.items():
        for key, text in texts.items():
            yield f"{section}.{key}", text
