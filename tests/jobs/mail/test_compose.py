"""Composed mails as mail programs read them, and as they are sent."""

import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from jobs.mail import headers
from jobs.mail.compose import ComposedMail, Composer

SENDER = "Bellwire <bell@chat.example.org>"
URL = "https://chat.example.org"
UNSUBSCRIBE = f"{URL}/api/v1/unsubscribe?t=WzEsImFjY291bnQiXQ.c2lnbmVk"
MESSAGE_ID = "<0123456789abcdef0123456789abcdef@chat.example.org>"
AT_MS = 1_792_000_000_000
CODE = "482913"
DATA: dict[str, dict[str, Any]] = {
    "signup_code": {"code": CODE, "username": "ana"},
    "login_code": {"code": CODE},
    "address_known": {"username": "ana"},
    "account": {"title": "Your password was changed", "body": "It was changed just now.\nWas it you?"},
}
CODES = ("signup_code", "login_code")
NAMES = {"date", "from", "to", "subject", "message-id", "auto-submitted", "mime-version", "content-type"}

COMPOSER = Composer(SENDER, URL)


def written(kind: str, address: str = "ana@example.org", name: str = "Ana", **data: Any) -> ComposedMail:
    return COMPOSER.compose(kind, address, name, DATA[kind] | data, MESSAGE_ID, AT_MS, UNSUBSCRIBE)


def parsed(composed: ComposedMail) -> EmailMessage:
    return email.message_from_bytes(composed.message, policy=email.policy.default)


def texts(composed: ComposedMail) -> tuple[str, str]:
    """Return the plain text and the HTML."""
    plain, html = parsed(composed).iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    return plain.get_content().replace("\r\n", "\n"), html.get_content()


@pytest.mark.parametrize("kind", DATA)
def test_a_mail_has_the_headers_of_an_automatic_mail(kind: str) -> None:
    message = parsed(written(kind))
    assert message["From"] == SENDER
    assert message["To"] == "Ana <ana@example.org>"
    assert message["Date"] == "Wed, 14 Oct 2026 17:46:40 +0000"
    assert message["Message-ID"] == MESSAGE_ID
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    assert not [part for part in message.walk() if part.defects]


@pytest.mark.parametrize("kind", CODES)
def test_a_code_stands_on_a_line_of_its_own_and_nothing_else_looks_like_it(kind: str) -> None:
    composed = written(kind)
    plain, html = texts(composed)
    assert CODE in plain.splitlines()
    assert re.findall(r"\b\d{6}\b", plain) == re.findall(r"\b\d{6}\b", html) == [CODE]
    assert not re.search(r"\b\d{6}\b", composed.message.partition(b"\r\n\r\n")[0].decode())
    assert CODE not in composed.subject


@pytest.mark.parametrize("kind", CODES)
def test_a_mail_with_a_code_says_how_long_it_is_valid_and_not_to_share_it(kind: str) -> None:
    for text in texts(written(kind)):
        assert "10 minutes" in text
        assert "Do not share it with anyone" in text
        assert "ignore" in text


def test_a_code_to_sign_up_says_for_which_username() -> None:
    assert all("account ana" in re.sub("<.*?>", "", text) for text in texts(written("signup_code", username="ana")))


def test_an_account_that_is_there_already_is_named_when_that_is_known() -> None:
    assert "already, ana." in texts(written("address_known"))[0]
    composed = COMPOSER.compose("address_known", "ana@example.org", "", {}, MESSAGE_ID, AT_MS, None)
    assert "already.\n" in texts(composed)[0]


def test_a_change_of_an_account_has_its_title_as_subject() -> None:
    composed = written("account")
    assert composed.subject == parsed(composed)["Subject"] == "Your password was changed"
    assert "It was changed just now.\nWas it you?\n" in texts(composed)[0]


def test_the_same_mail_is_the_same_bytes_at_every_try() -> None:
    assert written("signup_code") == Composer(SENDER, URL).compose(
        "signup_code", "ana@example.org", "Ana", DATA["signup_code"], MESSAGE_ID, AT_MS, None
    )


@pytest.mark.parametrize("kind", ["address_known", "account"])
def test_who_was_not_asked_can_unsubscribe_with_one_click(kind: str) -> None:
    composed = written(kind)
    message = parsed(composed)
    assert message["List-Unsubscribe"] == f"<{UNSUBSCRIBE}>"
    assert f"\r\nList-Unsubscribe: <{UNSUBSCRIBE}>\r\n".encode() in composed.message, "no encoded words, and not folded"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "<bellwire.chat.example.org>"
    assert "\r\n-- \r\n" in message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert all(UNSUBSCRIBE in text for text in texts(composed))


@pytest.mark.parametrize("kind", CODES)
def test_nobody_can_unsubscribe_from_codes(kind: str) -> None:
    composed = written(kind)
    assert b"nsubscribe" not in composed.message


def test_letters_other_than_ascii_are_encoded_words_and_quoted_printable() -> None:
    composed = written("account", name="Ána Müller 日本", title="Straße geändert ✓", body="Grüße aus Köln")
    assert composed.message.isascii()
    assert b"base64" not in composed.message
    message = parsed(composed)
    assert message["Subject"] == composed.subject == "Straße geändert ✓"
    assert message["To"].addresses[0].display_name == "Ána Müller 日本"
    assert "Grüße aus Köln" in texts(composed)[0]
    assert "Grüße aus Köln" in texts(composed)[1]


def test_a_domain_of_other_letters_is_written_in_ascii() -> None:
    composed = written("login_code", "ana@bücher.example")
    assert not composed.smtputf8
    assert parsed(composed)["To"].addresses[0].addr_spec == "ana@xn--bcher-kva.example"
    assert headers.envelope_address("ana@bücher.example") == "ana@xn--bcher-kva.example"


def test_other_letters_before_the_at_sign_need_smtputf8() -> None:
    composed = written("login_code", "änne@example.org", "Änne")
    assert composed.smtputf8
    assert "To: =?utf-8?b?w4RubmU=?=\r\n <änne@example.org>\r\n".encode() in composed.message
    read = email.message_from_string(composed.message.decode(), policy=email.policy.default)  # as RFC 6532 has it
    assert read["To"].addresses[0].addr_spec == "änne@example.org"


@pytest.mark.parametrize(
    "address",
    [
        "ana",
        "@example.org",
        "ana@",
        "ana@exa mple.org",
        "a@b@example.org",
        "ana,eve@example.org",
        'ana"@example.org',
        "ana\r\nBcc: eve@example.org",
        "ana\x00@example.org",
        "ana@example.org\n",
        "ana@a..bü.example",
        "ana@straße.example",
        "ana@example。org",
        "ana@example.org\u200b",
        "ana@a!b",
        f"ana@{'a' * 300}.org",
        "änne\ud800@example.org",
    ],
)
def test_what_is_no_single_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"address|label"):
        written("login_code", address)


def test_a_long_title_is_folded_into_short_lines() -> None:
    for title in ("word " * 100, "x" * 500, "日" * 200):
        composed = written("account", title=title)
        assert parsed(composed)["Subject"] == title.strip()
        head = composed.message.partition(b"\r\n\r\n")[0]
        assert max(map(len, head.split(b"\r\n"))) <= 100  # the URL to unsubscribe at can't be folded


def test_a_name_that_looks_like_a_code_is_left_out() -> None:
    assert parsed(written("login_code", name="123456"))["To"] == "ana@example.org"


def test_what_users_write_is_text_in_html() -> None:
    evil = '<script>alert("1")</script>{{ 7 * 7 }}'
    html = texts(written("account", name=evil, title=evil, body=evil))[1]
    assert "<script" not in html
    assert html.count("{{ 7 * 7 }}") == 3


@pytest.mark.parametrize("kind", DATA)
def test_html_asks_for_nothing_and_has_its_styles_inside(kind: str) -> None:
    html = texts(written(kind))[1]
    assert not re.search(r"<(img|link|style|script)|url\(|@import", html)
    assert '<main style="' in html


def test_a_mail_needs_its_data() -> None:
    with pytest.raises(UndefinedError):
        COMPOSER.compose("signup_code", "ana@example.org", "Ana", {"code": CODE}, MESSAGE_ID, AT_MS, None)
    with pytest.raises(KeyError):
        COMPOSER.compose("digest", "ana@example.org", "Ana", {}, MESSAGE_ID, AT_MS, None)


def test_the_sender_may_be_a_bare_address_or_have_any_name() -> None:
    for sender, name in (
        ("a@b.example", ""),
        ("Acme, Inc. <a@b.example>", "Acme, Inc."),
        ('"Glöckchen" <a@b.example>', "Glöckchen"),
    ):
        composed = Composer(sender, URL).compose(
            "login_code", "ana@example.org", "Ana", DATA["login_code"], MESSAGE_ID, AT_MS, None
        )
        (address,) = parsed(composed)["From"].addresses
        assert (address.display_name, address.addr_spec) == (name, "a@b.example")


ANYTHING = st.text(max_size=120) | st.text(st.sampled_from('a1ä\r\n\0\t\u2028 :<>@"\\=?_-\ud800'), max_size=60)


@given(name=ANYTHING, title=ANYTHING, body=ANYTHING, message_id=ANYTHING, unsubscribe=ANYTHING)
def test_nothing_that_is_written_becomes_a_header_or_a_part(
    name: str, title: str, body: str, message_id: str, unsubscribe: str
) -> None:
    data = {"title": title, "body": f"{body}\r\n.\r\nBcc: eve@example.org"}
    composed = COMPOSER.compose(
        "account", "ana@example.org", name, data, message_id.encode("utf-8", "replace").decode(), AT_MS, unsubscribe
    )
    head, _, rest = composed.message.partition(b"\r\n\r\n")
    assert {line.partition(":")[0].lower() for line in re.sub("\r\n ", " ", head.decode()).split("\r\n")} <= NAMES | {
        "list-id",
        "list-unsubscribe",
        "list-unsubscribe-post",
    }
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", composed.message)
    message = parsed(composed)
    assert message["Subject"] == composed.subject == headers.one_line(title)
    assert [address.addr_spec for address in message["To"].addresses] == ["ana@example.org"]
    assert len(list(message.iter_parts())) == 2
    assert rest.count(b"Content-Type:") == 2 + body.count("Content-Type:")


@given(st.text(max_size=40))
def test_an_address_is_refused_or_stands_alone_in_its_header(local: str) -> None:
    try:
        composed = written("login_code", f"{local}@example.org")
    except ValueError:
        return
    assert f"\r\nTo: Ana <{local}@example.org>\r\n".encode() in composed.message
