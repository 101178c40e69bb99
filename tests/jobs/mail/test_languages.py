"""The words of mails: all of them in files of words, and the same ones in each language."""

import email
import email.policy
import re
import string
from typing import Any

import pytest

from jobs.mail import languages
from jobs.mail.compose import TEMPLATES, Composer
from jobs.mail.languages import PLURALS, Language

TAGS = sorted(path.stem for path in languages.WORDS.glob("*.toml"))
NUMBERS = (*range(201), 1_000, 10_005)
ITEM = {
    "grouping": "conversation:7",
    "title": "1",
    "body": "2 new messages",
    "priority": "urgent",
    "path": "#/3",
    "type": "message",
}
MAILS: dict[str, dict[str, Any]] = {
    "signup_code": {"code": "482913", "username": "1"},
    "login_code": {"code": "482913"},
    "address_known": {"username": "1"},
    "test": {},
    "account": {"title": "Your account is active again", "body": ""},
    "notification": {"items": [ITEM], "more": 0},
    "digest": {"items": [ITEM, ITEM], "more": 2},
}


def forms(text: languages.Text) -> dict[str, str]:
    return text if isinstance(text, dict) else {"": text}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_english_german_and_arabic_are_there() -> None:
    assert {"en", "de", "ar"} <= set(TAGS)


@pytest.mark.parametrize("tag", TAGS)
def test_a_language_has_the_keys_placeholders_and_plural_forms_that_it_needs(tag: str) -> None:
    language, english = languages.of(tag), languages.of("en")
    assert language.direction in ("ltr", "rtl")
    assert set(language.texts) == set(english.texts)
    needed = {PLURALS.get(tag, languages._english)(n) for n in NUMBERS}
    for key, text in language.texts.items():
        expected = set().union(*map(placeholders, forms(english.texts[key]).values()))
        assert isinstance(text, dict) == isinstance(english.texts[key], dict), key
        if isinstance(text, dict):
            assert set(text) == needed, key
        for form, words in forms(text).items():
            assert words.strip() == words != "", key
            assert placeholders(words) <= expected, (key, form)
            assert expected - placeholders(words) <= {"n"}, (key, form)


def test_each_text_is_used() -> None:
    sources = "".join(path.read_text("utf-8") for path in TEMPLATES.parent.rglob("*") if path.suffix in (".py", ".txt", ".html"))
    for other in ("gateway/http/page.py", "jobs/push/content.py"):
        sources += (TEMPLATES.parents[2] / other).read_text("utf-8")
    sources += (TEMPLATES.parents[2] / "gateway/api/preferences.py").read_text("utf-8")
    built = ("notification.", "account.", "type.", "page.")  # from a section and a name
    assert [key for key in languages.of("en").texts if not key.startswith(built) and f'"{key}"' not in sources] == [
        "signup_code.subject",
        "login_code.subject",
        "address_known.subject",
        "test.subject",
    ], "those of all kinds"


@pytest.mark.parametrize("path", sorted(TEMPLATES.iterdir()), ids=lambda path: path.name)
def test_a_template_has_no_words(path: Any) -> None:
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\[content\]|<style>.*?</style>|<[^>]*>", "", path.read_text("utf-8"), flags=re.DOTALL)
    assert not re.search(r"\w", text), text


@pytest.mark.parametrize("kind", MAILS)
def test_all_words_of_a_mail_are_from_the_file_of_its_language(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a language in which each text is its values and nothing else, a mail has no letters."""
    texts = {
        key: "".join(f"{{{name}}}" for name in placeholders("".join(forms(text).values()))) or "."
        for key, text in languages.of("en").texts.items()
    }
    empty = Language("xx", "rtl", texts)
    monkeypatch.setattr(languages, "of", lambda locale: empty)
    composed = Composer("a@b.example", "https://1").compose(kind, "a@b.example", "1", MAILS[kind], "<1@1>", 0, "https://1/2", "xx")
    plain, html = email.message_from_bytes(composed.message, policy=email.policy.default).iter_parts()
    assert 'dir="rtl"' in html.get_content()
    body = re.sub(r"<[^>]*>", "", html.get_content().partition("</style>")[2] or html.get_content())
    for text in (composed.subject, plain.get_content(), body):
        assert not re.search(r"[^\W\d_]", text.replace("https", "")), text


def test_a_locale_chooses_the_language() -> None:
    chosen = {locale: languages.of(locale).tag for locale in ("de-AT", "AR", "en-US", "tlh", "", None)}
    assert chosen == {"de-AT": "de", "AR": "ar", "en-US": "en", "tlh": "en", "": "en", None: "en"}


@pytest.mark.parametrize(("tag", "word"), [("de", "Registrierung"), ("ar", "التسجيل")])
def test_a_mail_is_in_the_language_of_its_receiver(tag: str, word: str) -> None:
    composed = Composer("a@b.example", "https://1.example").compose(
        "signup_code", "a@b.example", "", MAILS["signup_code"] | {"username": "<ana>"}, "<1@1>", 0, None, tag
    )
    assert word in composed.subject
    plain, html = email.message_from_bytes(composed.message, policy=email.policy.default).iter_parts()
    assert word in plain.get_content()
    assert f'<html lang="{tag}" dir="{languages.of(tag).direction}"' in html.get_content()
    assert '<b dir="auto">&lt;ana&gt;</b>' in html.get_content()
    assert "482913" in plain.get_content().splitlines()


def test_a_mail_about_notifications_says_why_it_comes() -> None:
    two = {"items": [ITEM, {**ITEM, "type": "community"}], "more": 0}
    for kind, data, is_said in (("digest", two, True), ("account", MAILS["account"], False)):
        composed = Composer("a@b.example", "https://1.example").compose(
            kind, "a@b.example", "1", data, "<1@1>", 0, "https://1.example/2", "en"
        )
        for part in email.message_from_bytes(composed.message, policy=email.policy.default).iter_parts():
            text = part.get_content().replace("\n", " ")
            assert ("e-mail about “Community, Messages” is on in your preferences" in text) == is_said
