"""The texts of mails about notifications and accounts, in each language. Names that users chose are quoted, and are no links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.mail import languages, translation
from jobs.mail.quoting import linkable
from jobs.rules.rules import RULES
from jobs.rules.watches import WATCHES
from models.accounts import status

ENGLISH, GERMAN, ARABIC = (languages.of(tag) for tag in ("en", "de", "ar"))
REPORTED = [rule for rule in RULES if rule.event_type == "report.closed"]  # whose words name nobody
WORDS = {word for rule in RULES for words in rule.words for word in words.split()} | {"New", "message", "from", "4", "5", "others"}


def translated(
    grouping: str, title: str, body: str = "", priority: str = "normal", language: languages.Language = ENGLISH
) -> tuple[str, str]:
    """Return a notification's title and body as a mail has them."""
    item = {"grouping": grouping, "title": title, "body": body, "priority": priority}
    return translation.notification(language, item)


# The rules whose groupings begin with another word than their names.
PREFIXES = {"message": "conversation", "mention": "conversation", "comment": "comments", "reply": "replies"}


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
        ("welcome", "Welcome, Ana", "Welcome, Ana"),
        ("welcome", "a title of another version", "a title of another version"),
    ],
)
def test_names_in_titles_are_quoted(grouping: str, title: str, expected: str) -> None:
    assert translated(grouping, title)[0] == expected


@given(st.text(min_size=1, max_size=80), st.sampled_from([rule for rule in RULES if rule.type in ("message", "community")]))
def test_nothing_of_a_name_is_outside_the_quotes(name: str, rule: object) -> None:
    prefixes = PREFIXES
    words, kind = rule.words, prefixes.get(rule.name, rule.name)  # type: ignore[attr-defined]
    for count in (1, 5):
        values = {"name": name, "title": name, "group": name}
        plain = linkable(translated(f"{kind}:1", words.filled(count, values)[0])[0])
        outside = "".join(part.partition("”")[2] if n else part for n, part in enumerate(plain.split("“")))
        assert set(outside.split()) <= WORDS


def test_the_words_of_every_rule_and_watch_are_recognized() -> None:
    """In another language nothing of the English is left."""
    prefixes = {**PREFIXES, **{rule.name: "report" for rule in REPORTED}}
    values = {"name": "Öö", "title": "Öö", "group": "Üü"}
    for rule in RULES:
        for count in (1, 2, 5):
            title, body = rule.words.filled(count, values)
            said = " ".join(translated(f"{prefixes.get(rule.name, rule.name)}:3", title, body, language=ARABIC))
            assert not {letter for letter in said if letter.isascii() and letter.isalpha()}, (rule.name, said)
            assert rule in REPORTED or "Öö" in said or (count > 1 and rule.name in ("comment", "reply"))
    for watch, words in WATCHES.items():
        for count in (1, 7):
            title = translated(f"watch:{watch}", words.filled(count, {})[0], language=ARABIC)[0]
            assert not {letter for letter in title if letter.isascii() and letter.isalpha()}, title


@pytest.mark.parametrize(
    ("count", "german", "arabic"),
    [
        (1, "1 neue Nachricht", "رسالة جديدة واحدة"),
        (2, "2 neue Nachrichten", "رسالتان جديدتان"),
        (5, "5 neue Nachrichten", "5 رسائل جديدة"),
        (11, "11 neue Nachrichten", "11 رسالة جديدة"),
        (100, "100 neue Nachrichten", "100 رسالة جديدة"),
    ],
)
def test_a_number_has_the_plural_form_of_the_language(count: int, german: str, arabic: str) -> None:
    body = "1 new message" if count == 1 else f"{count} new messages"
    assert translated("conversation:7", "Ana", body, language=GERMAN) == ("Neue Nachricht von „Ana“", german)
    assert translated("conversation:7", "Ana", body, language=ARABIC) == ("رسالة جديدة من «Ana»", arabic)


def test_an_urgent_message_is_called_one() -> None:
    title, body = translated("conversation:7", "Ana", "5 new messages", "urgent")
    assert title == "Urgent message from “Ana”"
    assert body.splitlines() == ["It is marked as urgent. That is why you get this mail at once.", "5 new messages"]
    assert translated("conversation:7", "Ana", "1 new message", "important")[0] == "Important message from “Ana”"


@pytest.mark.parametrize(
    ("title", "body", "first", "following"),
    [
        (status.ACTIVE, "", "", "You can log in again"),
        (status.ACTIVE, "Reason: {a mistake}", "Reason: {a mistake}", "You can log in again"),
        (status.SUSPENDED, "Reason: Spam", "Reason: Spam", "You can't log in until"),
        (status.CHANGED, status.NOT_YOU, "", "All other sessions were ended."),
    ],
)
def test_a_change_of_an_account_says_what_to_do(title: str, body: str, first: str, following: str) -> None:
    for said in (translation.account(ENGLISH, title, body), translated("status:12", title, body)):
        assert said[0] == title
        lines = said[1].splitlines()
        assert lines[:-1] == ([first] if first else [])
        assert lines[-1].startswith(following)
    assert translation.account(GERMAN, title, "Reason: Spam")[1].startswith("Grund: Spam\n")


def test_a_title_of_another_version_stays_as_it_is() -> None:
    assert translation.account(GERMAN, "Something else", "was done") == ("Something else", "was done")
