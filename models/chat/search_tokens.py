"""The words of a text for PostgreSQL's search: runs of letters and digits, in lower case, without accents.

PostgreSQL's own parser reads `ana@example.org` or `/a/b` as one word each, so a search for `example` would find neither.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

WORD = re.compile(r"[^\W_]+")
MAX_WORD_CHARS = 100  # longer ones are cut; PostgreSQL accepts 2,046 bytes
MAX_POSITION = 16_383  # in a tsvector (PostgreSQL's documentation, section 12.11)
MAX_POSITIONS_PER_WORD = 255


def split(text: str) -> list[str]:
    """The words of a text, in order."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return [word[:MAX_WORD_CHARS] for word in WORD.findall(plain.lower())]


def vector(text: str) -> str:
    """The tsvector literal of a text: `'hello':1 'world':2,7`."""
    positions_by_word: dict[str, list[str]] = {}
    for position, word in enumerate(split(text), 1):
        positions = positions_by_word.setdefault(word, [])
        if len(positions) < MAX_POSITIONS_PER_WORD:
            positions.append(str(min(position, MAX_POSITION)))
    return " ".join(f"'{word}':{','.join(positions)}" for word, positions in positions_by_word.items())


def query(parts: Sequence[str]) -> str:
    """The tsquery literal for texts that contain all parts. The last part is a prefix; a part of several words is a phrase."""
    phrases = [phrase for part in parts if (phrase := " <-> ".join(f"'{word}'" for word in split(part)))]
    if phrases:
        phrases[-1] += ":*"
    return " & ".join(f"({phrase})" for phrase in phrases)
