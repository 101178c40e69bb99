"""The words of a text by which it is searched, the same on both stores: folded words, pairs of Chinese, Japanese and Korean
characters, which are written without spaces, and emoji.

PostgreSQL's own parser reads `ana@example.org` or `/a/b` as one word each, so a search for `example` would find neither.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from models.store.text_rules import CJK, fold

SYMBOLS = "\u2190-\u2bff\U0001f000-\U0001fbff"  # arrows, dingbats and emoji, by ranges: each Python knows other ones
TOKEN = re.compile(f"([{CJK}]+)|([{SYMBOLS}]|[^\\W_{CJK}{SYMBOLS}]+)")
ASCII_WORD = re.compile("[A-Za-z0-9]+")
ENDS_IN_PAIR = re.compile(f"[{CJK}]{{2}}[^\\w{SYMBOLS}]*$")
PRIVATE = "\ue000"  # SQLite's tokenizer reads private characters as letters, but not emoji and the newest letters
MAX_CACHED_WORDS = 5_000  # about 1 MB
MAX_WORD_CHARS = 100  # longer ones are cut; PostgreSQL accepts 2,046 bytes
MAX_QUERY_WORDS = 32  # PostgreSQL has no room on its stack for ten thousand
MAX_POSITION = 16_383  # in a tsvector (PostgreSQL's documentation, section 12.11)
MAX_POSITIONS_PER_WORD = 255


def split(text: str) -> list[str]:
    """The words of a text, in order. A run of characters is its pairs: `上海市` is `上海`, `海市` and `市`."""
    folded = fold(text)
    if folded.isascii():  # the same words, in a third of the time
        return [word[:MAX_WORD_CHARS] for word in ASCII_WORD.findall(folded)]
    words: list[str] = []
    for run, word in TOKEN.findall(folded):
        found = [run[start : start + 2] for start in range(len(run))] if run else [word[:MAX_WORD_CHARS]]
        words += found if is_portable(run or word) else map(portable, found)
    return words


def is_portable(word: str) -> bool:
    """Return whether both stores read all characters of a word as letters."""
    return word.isascii() or (word.isalnum() and max(word) < "\U00010000")


@lru_cache(MAX_CACHED_WORDS)
def portable(word: str) -> str:
    """Return a word as the index has it: of characters that both stores read as letters."""
    return "".join(char if is_portable(char) else f"{PRIVATE}{ord(char):x}" for char in word)


def phrases(parts: Sequence[str]) -> list[list[str]]:
    """The words that a text must contain to be found: those of a part follow each other, and the last of them may be the beginning
    of a longer word. At most MAX_QUERY_WORDS are used."""
    required: list[list[str]] = []
    left = MAX_QUERY_WORDS
    for part in parts:
        words = split(part)
        if len(words) > 1 and ENDS_IN_PAIR.search(fold(part)):
            words.pop()  # the text may go on after the last pair
        if words:
            required.append(words[:left])
            left -= len(required[-1])
        if left == 0:
            break
    return required


def vector(text: str) -> str:
    """The tsvector literal of a text: `'hello':1 'world':2,7`."""
    positions_by_word: dict[str, list[str]] = {}
    for position, word in enumerate(split(text), 1):
        positions = positions_by_word.setdefault(word, [])
        if len(positions) < MAX_POSITIONS_PER_WORD:
            positions.append(str(min(position, MAX_POSITION)))
    return " ".join(f"'{word}':{','.join(positions)}" for word, positions in positions_by_word.items())


def query(required: Sequence[Sequence[str]]) -> str:
    """The tsquery literal for texts that contain all phrases."""
    return " & ".join("(" + " <-> ".join(f"'{word}'" for word in words) + ":*)" for words in required)


def match_expression(required: Sequence[Sequence[str]]) -> str:
    """The same for SQLite's FTS5."""
    return " ".join(f'"{" ".join(words)}"*' for words in required)
