"""Rules for texts that users see of each other (names, titles, emoji), and the form by which texts are searched."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

# By ranges, and not by the tables of the running Python: each version knows other characters. Unassigned ones are allowed, since
# a later version of Unicode may assign them.
BLANKS = " \u3000\u2800"  # the spaces of ASCII and of Chinese and Japanese, and Braille's
ATTACHED = (  # invisible, and they change the character before them: joiners, variation selectors, and tags, which spell flags
    "\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)
ACCENTS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"  # the blocks of combining marks
FORBIDDEN = (
    "\x00-\x1f\x7f-\xa0\xad\u2028\u2029\ufff0-\ufffb"  # controls, line breaks, formatting
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # changes of direction
    "\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"  # fillers and other invisible letters
    "\u1680\u2000-\u200a\u202f\u205f"  # other spaces
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e001f\U000e0080-\U000e00ff"  # of shorthand, music and tags
    "\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000e01f0-\U0010ffff"  # surrogates, private use, no characters
)
MAX_MARKS = 8  # on one letter; the tallest stacks of Tibetan have six


def _marks() -> str:
    """Return the combining marks of all scripts, as Unicode 3.2 has them in every version of Python."""
    category = unicodedata.ucd_3_2_0.category
    return "".join(char for char in map(chr, range(0x300, 0x3100)) if category(char) in ("Mn", "Me"))


_FORBIDDEN = re.compile(f"[{FORBIDDEN}]")
_TOO_MANY_MARKS = re.compile(f"[{ATTACHED}{ACCENTS}{_marks()}]{{{MAX_MARKS + 1}}}")
_VISIBLE = re.compile(f"[^{BLANKS}{ATTACHED}{ACCENTS}{_marks()}]")
_BLANK = re.compile(f"[{BLANKS}]")

CJK = (  # the characters of Chinese, Japanese and Korean, which are written without spaces
    "\u3005-\u3007\u3041-\u30ff\u3131-\u318e\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
KANA_SOUND_MARKS = "\u3099\u309a"  # they make other letters, as か and が, and are no accents
LETTERS = {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t"}  # not decomposed


ASCII_MAX = "\x7f"
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


class _Extensions(dict[str, bool]):
    """Whether a character belongs to the one before it when a text is folded: marks and the later letters of Korean syllables."""

    def __missing__(self, char: str) -> bool:
        first = unicodedata.normalize("NFKD", char)[0]
        extends = unicodedata.category(first).startswith("M") or "\u1160" <= first <= "\u11ff"
        if len(self) < MAX_CACHED_LETTERS:
            self[char] = extends
        return extends


_EXTENSIONS = _Extensions()
_fold_letter = lru_cache(MAX_CACHED_LETTERS)(fold)


class FoldedText(NamedTuple):
    """A folded text. Its character n is of the letter `starts[n]` to `ends[n]` (in code points, the end excluded) of the text."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]


def fold_letters(text: str) -> FoldedText:
    """Fold a text letter by letter, with the place of each: one letter may become two (ß), or two code points one (e and ´)."""
    if text.isascii():
        return FoldedText(text.lower(), range(len(text)), range(1, len(text) + 1))
    folded: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    start, length = 0, len(text)
    while start < length:
        end = start + 1
        while end < length and text[end] > ASCII_MAX and _EXTENSIONS[text[end]]:
            end += 1
        letter = _fold_letter(text[start:end])
        folded.append(letter)
        starts += [start] * len(letter)
        ends += [end] * len(letter)
        start = end
    return FoldedText("".join(folded), starts, ends)


def has_only_visible(text: str) -> bool:
    """Return whether the text has no control characters, line breaks, changes of direction, invisible letters and unusual spaces,
    and no letter under a heap of marks."""
    return not (_FORBIDDEN.search(text) or _TOO_MANY_MARKS.search(text))


def is_displayable(text: str) -> bool:
    """Return whether people see the text, and all of it: a name, a title, a label."""
    return has_only_visible(text) and _VISIBLE.search(text) is not None


def is_emoji_or_word(text: str) -> bool:
    """Return whether people see the text and there is no space in it."""
    return is_displayable(text) and not _BLANK.search(text)
