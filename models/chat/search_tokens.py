"""The words of a text for PostgreSQL's search: runs of letters and digits, in lower case, without accents.

PostgreSQL's own parser reads `ana@example.org` or `/a/b` as one word each, so a search for `example` would find neither.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

WORD = re.compile(r"[^\W_]+")
WORD_CHARS = 100  # longer runs are no words; PostgreSQL takes 2,046 bytes
PLACE_MAX = 16_383  # of a tsvector (PostgreSQL's documentation, section 12.11)
PLACES_A_WORD = 255


def split(text: str) -> list[str]:
    """The words of a text, in order."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return [word[:WORD_CHARS] for word in WORD.findall(plain.lower())]


def vector(text: str) -> str:
    """A text as a tsvector literal: `'hello':1 'world':2,7`."""
    places: dict[str, list[str]] = {}
    for place, word in enumerate(split(text), 1):
        at = places.setdefault(word, [])
        if len(at) < PLACES_A_WORD:
            at.append(str(min(place, PLACE_MAX)))
    return " ".join(f"'{word}':{','.join(at)}" for word, at in places.items())


def query(parts: Sequence[str]) -> str:
    """A tsquery literal for texts that hold all the parts, the last one's end open. A part of several words is a phrase."""
    phrases = [phrase for part in parts if (phrase := " <-> ".join(f"'{word}'" for word in split(part)))]
    if phrases:
        phrases[-1] += ":*"
    return " & ".join(f"({phrase})" for phrase in phrases)
