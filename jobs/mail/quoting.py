"""Titles of notifications as mails have them: the names that users chose are in quotes, apart from Bellwire's own words.

A name may be any text, such as "Your password was changed". In the app it is beside its user; a mail's subject has nothing beside
it, and comes from the operator.
"""

from __future__ import annotations

import re

from jobs.rules.rules import RULES
from models.notices.causes import PLACEHOLDER
from models.notices.notification import MAIL_ONLY_PREFIX, UnreadNotification

COMMUNITY = ("like", "bookmark", "comments", "replies", "join")  # begin the groupings of titles that a user's name is in
WORD_JOINER = "\u2060"  # invisible; a mail program takes what is before and after it for two words
QUOTES = {ord("“"): "‘", ord("”"): "’"}
COUNTS = {"others": r"(?:1 other|\d+ others)", "n": r"\d+"}  # what `Words` inserts besides names


def unlinked(text: str) -> str:
    """Return the text with addresses and domains divided, so that no mail program makes links of them."""
    return re.sub(r"(?<=\S)[.:/@](?=\S)", rf"\g<0>{WORD_JOINER}", text)


def linkable(text: str) -> str:
    """Return the text without the divisions of `unlinked`, for subjects."""
    return text.replace(WORD_JOINER, "")


def mail_title(notification: UnreadNotification) -> str:
    """Return the title with the names in it quoted and unlinked."""
    kind = notification.grouping.removeprefix(MAIL_ONLY_PREFIX).partition(":")[0]
    if kind == "conversation":
        return f"New message from {_quoted(notification.title)}"
    if kind not in COMMUNITY:
        return notification.title
    matches = (pattern.fullmatch(notification.title) for pattern in _PATTERNS)
    match = next((match for match in matches if match), None)
    return _quoted(notification.title) if match is None else _with_quoted_names(match)


def _quoted(name: str) -> str:
    return f"“{unlinked(name.translate(QUOTES))}”"


def _with_quoted_names(match: re.Match[str]) -> str:
    """Return the title with each name that the pattern found in quotes."""
    parts, end = [], 0
    for group in range(1, match.re.groups + 1):
        parts += [match.string[end : match.start(group)], _quoted(match[group])]
        end = match.end(group)
    return "".join([*parts, match.string[end:]])


def _pattern(words: str) -> re.Pattern[str]:
    """Return the pattern of a rule's words, with a group for each name."""
    parts = re.split(PLACEHOLDER, words)  # text, placeholder, text, …
    names = [COUNTS.get(name, "(.+)") for name in parts[1::2]]
    texts = [re.escape(text) for text in parts[::2]]
    return re.compile("".join(part for pair in zip(texts, [*names, ""], strict=True) for part in pair))


_PATTERNS = [  # those with counts first: a name would match them, too
    *(_pattern(rule.words.title_more) for rule in RULES if rule.type == "community"),
    *(_pattern(rule.words.title) for rule in RULES if rule.type == "community"),
]
