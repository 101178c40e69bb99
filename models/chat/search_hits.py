"""The messages that a search has found, with the places of the words that it was for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from models.chat import message as messages
from models.chat.message import MessageView
from models.chat.search_tokens import MAX_WORD_CHARS, TOKEN, is_portable, portable
from models.store.text_rules import fold_letters

MAX_MARKS = 200  # in one message
MAX_MARKED_CHARS = 4_000  # of a text, its first ones: 6 ms where they are not ASCII
Mark = Annotated[list[int], Meta(min_length=2, max_length=2)]


class SearchHit(MessageView, kw_only=True):
    """MESSAGE. `marks` are the places of the words in the first 4,000 code points of its body, in order: [start, length]."""

    marks: list[Mark]


class IndexedWords(NamedTuple):
    """The words of a folded text as the index has them, each with its start and end in that text: a pair of Chinese, Japanese or
    Korean characters is a word."""

    words: list[str]
    starts: list[int]
    ends: list[int]
    is_pair: list[bool]


def hits(ids: Sequence[int], phrases: Sequence[Sequence[str]]) -> list[SearchHit]:
    """Return messages, newest first, with the places of the phrases' words."""
    return [SearchHit(**msgspec.structs.asdict(view), marks=marks(view.body, phrases)) for view in messages.views(ids)]


def marks(text: str, phrases: Sequence[Sequence[str]]) -> list[Mark]:
    """Return the places of the words of phrases within the first MAX_MARKED_CHARS of a text, at most MAX_MARKS of them, each from
    the first word of a phrase to its last.

    A word is marked to its end when a phrase's last word is its beginning, a pair of characters only as far as it was searched.
    """
    if not phrases:
        return []
    folded = fold_letters(text[:MAX_MARKED_CHARS])
    places = sorted(_places(index(folded.text), phrases))
    merged: list[Mark] = []
    for start, end in ((folded.starts[start], folded.ends[end - 1]) for start, end in places[:MAX_MARKS]):
        if merged and start <= sum(merged[-1]):
            merged[-1][1] = max(sum(merged[-1]), end) - merged[-1][0]
        else:
            merged.append([start, end - start])
    return merged


def index(text: str) -> IndexedWords:
    """Find the words of a folded text, as models.chat.search_tokens splits it."""
    found = IndexedWords([], [], [], [])
    for match in TOKEN.finditer(text):
        start, end = match.span()
        run, word = match.groups()
        words = [run[n : n + 2] for n in range(end - start)] if run else [word[:MAX_WORD_CHARS]]
        found.words.extend(words if is_portable(run or word) else map(portable, words))
        found.starts.extend(range(start, end) if run else [start])
        found.ends.extend([*range(start + 2, end + 1), end] if run else [end])
        found.is_pair.extend([run is not None] * len(words))
    return found


def _places(indexed: IndexedWords, phrases: Sequence[Sequence[str]]) -> Iterator[tuple[int, int]]:
    """The start and end in the folded text of each occurrence of a phrase, about MAX_MARKS of them at most."""
    words, count = indexed.words, 0
    initials = {phrase[0][0] for phrase in phrases}
    for n in (n for n, word in enumerate(words) if word[0] in initials):
        for *firsts, last in phrases:
            ending = n + len(firsts)
            if words[n:ending] == firsts and ending < len(words) and words[ending].startswith(last):
                is_part = indexed.is_pair[ending] and words[ending] != last
                yield indexed.starts[n], indexed.starts[ending] + 1 if is_part else indexed.ends[ending]
                count += 1
        if count >= MAX_MARKS:
            return
