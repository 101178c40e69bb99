"""The words of a mail about a notification or a change of an account, in the language of its receiver.

Notifications are stored in English, as the rules word them. Their words are recognized and said again in another language; the
names in them are in quotes, apart from Bellwire's own words: a name may be any text, such as "Your password was changed". What is
not recognized, such as an announcement, stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jobs.mail.languages import Language
from jobs.mail.quoting import unlinked
from jobs.rules.rules import RULES
from models.accounts import status
from models.notices.causes import PLACEHOLDER
from models.notices.notification import MAIL_ONLY_PREFIX

RULE_OF = {  # by the beginning of a notification's grouping; titles of these have names of users in them
    "like": "like",
    "bookmark": "bookmark",
    "comments": "comment",
    "replies": "reply",
    "join": "join",
}
WORDS = {rule.name: rule.words for rule in RULES}
REPORTED = {rule.words.title: rule.name for rule in RULES if rule.event_type == "report.closed"}
COUNTS = {"others": r"(?P<n>\d+) others?", "n": r"(?P<n>\d+)"}  # what `Words` inserts besides names
ACCOUNT = {status.SUSPENDED: "suspended", status.ACTIVE: "active", status.CHANGED: "password"}


def notification(language: Language, item: Mapping[str, Any]) -> tuple[str, str]:
    """Return title and body of a notification: an item with `grouping`, `title` and `body` as stored, and `priority`, that of the
    message which a mail of its own is about."""
    kind, _, subject = item["grouping"].removeprefix(MAIL_ONLY_PREFIX).partition(":")
    title, body = item["title"], item["body"]
    if kind == "conversation":
        return _message(language, title, body, item["priority"])
    if kind in RULE_OF:
        return _community(language, RULE_OF[kind], title), body
    if kind == "welcome" and (match := _pattern(WORDS["welcome"].title).fullmatch(title)):
        return language.text("notification.welcome", name=unlinked(match["name"])), language.text("notification.welcome_body")
    if kind == "report" and (rule := REPORTED.get(title)) is not None:
        return language.text(f"notification.{rule}"), body
    if kind == "watch" and (count := _number(title)) is not None:
        return language.text(f"notification.{subject.replace('.', '_')}", n=count), body
    if kind in ("status", "password"):
        return account(language, title, body)
    return title, body


def account(language: Language, title: str, body: str) -> tuple[str, str]:
    """Return title and body of a change of an account. The body says the reason, if there is one, and what to do."""
    key = ACCOUNT.get(title)
    if key is None:
        return title, body
    words, following = language.text(f"account.{key}"), language.text(f"account.{key}_next")
    if body.startswith(status.REASON):
        return words, language.text("account.reason", reason=body.removeprefix(status.REASON)) + "\n" + following
    return words, following if body in ("", status.NOT_YOU) else body


def _message(language: Language, title: str, body: str, priority: str) -> tuple[str, str]:
    """`title` is the sender's name, with the group's if it has one."""
    suffix = "" if priority == "normal" else f"_{priority}"
    words = language.text(f"notification.message{suffix}", name=language.quoted(unlinked(title)))
    count = _number(body)
    lines = [] if priority == "normal" else [language.text(f"notification.{priority}")]
    return words, "\n".join([*lines, body if count is None else language.text("notification.messages", n=count)])


def _community(language: Language, rule: str, title: str) -> str:
    """The one with a count is tried first: a name would match it, too."""
    words = WORDS[rule]
    for key, pattern in ((f"{rule}_more", _pattern(words.title_more)), (rule, _pattern(words.title))):
        if match := pattern.fullmatch(title):
            values = match.groupdict()
            count = {"n": int(values.pop("n"))} if "n" in values else {}
            names = {name: language.quoted(unlinked(value)) for name, value in values.items()}
            return language.text(f"notification.{key}", **count, **names)
    return language.quoted(unlinked(title))


def _number(text: str) -> int | None:
    """Return the number that a text begins with."""
    match = re.match(r"\d{1,15}(?= )", text, re.ASCII)
    return int(match[0]) if match else None


@cache
def _pattern(words: str) -> re.Pattern[str]:
    """Return the pattern of a rule's words, with a group for each name and count."""
    parts = re.split(PLACEHOLDER, words)  # text, placeholder, text, …
    groups = [COUNTS.get(name, f"(?P<{name}>.+)") for name in parts[1::2]]
    texts = [re.escape(text) for text in parts[::2]]
    return re.compile("".join(part for pair in zip(texts, [*groups, ""], strict=True) for part in pair), re.ASCII)
