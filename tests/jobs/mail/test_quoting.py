"""Names that users chose, in mails: they are quoted, and no links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.mail.quoting import linkable, mail_title, unlinked
from jobs.rules.rules import RULES
from models.notices.notification import UnreadNotification

WORDS = {word for rule in RULES for words in rule.words for word in words.split()} | {"New", "message", "from", "4", "5", "others"}


def titled(grouping: str, title: str) -> str:
    """Return a notification's title as a mail has it."""
    return mail_title(UnreadNotification(1, "", title, "1 new message", {}, grouping))


@pytest.mark.parametrize(
    ("grouping", "title", "expected"),
    [
        ("conversation:7", "Your password was changed", "New message from “Your password was changed”"),
        ("~conversation:7", "Ana in Crew", "New message from “Ana in Crew”"),
        ("conversation:7", "Me” – urgent: “pay", "New message from “Me’ – urgent: ‘pay”"),
        ("like:3", "Ana liked your post", "“Ana” liked your post"),
        ("like:3", "Ana and 4 others liked your post", "“Ana” and 4 others liked your post"),
        ("bookmark:3", "Ana and 1 other bookmarked your post", "“Ana” and 1 other bookmarked your post"),
        ("comments:3", "Ana commented on your post", "“Ana” commented on your post"),
        ("comments:3", "12 new comments on your post", "12 new comments on your post"),
        ("replies:3", "{n} answered your comment", "“{n}” answered your comment"),
        ("join:3", "Ana joined Crew", "“Ana” joined “Crew”"),
        ("join:3", "Ana and 2 others joined Crew", "“Ana” and 2 others joined “Crew”"),
        ("join:3", "a title of another version", "“a title of another version”"),
        ("fanout:3", "Read https://wiki.example.org", "Read https://wiki.example.org"),
    ],
)
def test_names_in_titles_are_quoted(grouping: str, title: str, expected: str) -> None:
    assert titled(grouping, title) == expected


@given(st.text(min_size=1, max_size=80), st.sampled_from([rule for rule in RULES if rule.type in ("message", "community")]))
def test_nothing_of_a_name_is_outside_the_quotes(name: str, rule: object) -> None:
    prefixes = {"message": "conversation", "comment": "comments", "reply": "replies"}
    words, kind = rule.words, prefixes.get(rule.name, rule.name)  # type: ignore[attr-defined]
    for count in (1, 5):
        values = {"name": name, "title": name, "group": name}
        plain = linkable(titled(f"{kind}:1", words.filled(count, values)[0]))
        outside = "".join(part.partition("”")[2] if n else part for n, part in enumerate(plain.split("“")))
        assert set(outside.split()) <= WORDS


@pytest.mark.parametrize("text", ["https://evil.example/x", "www.evil.example", "mail evil@example.org", "evil.example:8080"])
def test_addresses_and_domains_in_names_are_divided(text: str) -> None:
    assert unlinked(text) != text
    assert linkable(unlinked(text)) == text
    assert "l.e" not in unlinked(text)
    assert "://" not in unlinked(text)
    assert "@e" not in unlinked(text)


def test_initials_and_sentences_stay_as_they_are() -> None:
    assert unlinked("J. R. Smith: hello") == "J. R. Smith: hello"
