"""Rules for texts that users see of each other (names, titles, emoji), and the form by which texts are searched."""

from __future__ import annotations

import unicodedata

# Zero-width joiners combine several emoji into one and occur between letters in Persian; tags spell the flags of regions.
JOINERS = dict.fromkeys((0x200C, 0x200D, *range(0xE0020, 0xE0080)))

KANA_SOUND_MARKS = "\u3099\u309a"  # they make other letters, as か and が, and are no accents
LETTERS = {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t"}  # not decomposed


MAX_CACHED_LETTERS = 20_000  # about 2 MB; hostile texts have a million different ones


class _PlainLetters(dict[int, str | None]):
    """A table for `str.translate` that removes accents and formatting characters; it is filled as characters occur."""

    def __missing__(self, code: int) -> str | None:
        char = chr(code)
        is_mark = unicodedata.combining(char) != 0 and char not in KANA_SOUND_MARKS
        plain = None if is_mark or unicodedata.category(char) == "Cf" else LETTERS.get(char, char)
        if len(self) < MAX_CACHED_LETTERS:
            self[code] = plain
        return plain


_PLAIN_LETTERS = _PlainLetters()


def fold(text: str) -> str:
    """Return the form by which a text is searched: without regard to case, accents and Unicode form.

    `Łódź`, `LODZ` and `lodz` have one form, as have `ﬁne` and `fine`, `x²` and `x2`, `Straße` and `strasse`.
    """
    if text.isascii():
        return text.lower()
    caseless = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", caseless.translate(_PLAIN_LETTERS))


def is_displayable(text: str) -> bool:
    """Return whether the text has visible characters and, besides joiners, only those: no line breaks, controls or changes of
    direction."""
    visible = text.translate(JOINERS)
    return visible.isprintable() and not visible.isspace() and visible != ""
