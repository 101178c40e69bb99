"""Links to unsubscribe by: nobody makes one without the secret."""

from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from jobs.mail import unsubscribe

SECRET = "a secret for tests, long enough"
URL = "https://chat.example.org"


def token(link: str) -> str:
    return parse_qs(urlsplit(link).query)["t"][0]


def test_a_link_says_which_user_wants_no_more_of_which_mail() -> None:
    link = unsubscribe.link(URL, SECRET, 42, "account")
    assert link.startswith(f"{URL}/api/v1/unsubscribe?t=")
    assert unsubscribe.read(SECRET, token(link)) == (42, "account")


def test_a_link_stays_the_same_and_is_good_for_ever() -> None:
    assert unsubscribe.link(URL, SECRET, 42, "account") == unsubscribe.link(URL, SECRET, 42, "account")


def test_another_secret_reads_nothing() -> None:
    assert unsubscribe.read("another secret, long enough", token(unsubscribe.link(URL, SECRET, 42, "account"))) is None


def test_what_was_signed_for_another_use_is_not_a_link() -> None:
    assert unsubscribe.read(SECRET, str(URLSafeSerializer(SECRET, "session").dumps([42, "account"]))) is None


@given(st.text() | st.text(st.sampled_from("WzQyLCJ.-_\ud800")))
def test_anything_else_is_no_link(signed: str) -> None:
    assert unsubscribe.read(SECRET, signed) is None


@given(st.integers(min_value=0), st.text())
def test_a_changed_link_never_says_anything_else(place: int, put: str) -> None:
    signed = token(unsubscribe.link(URL, SECRET, 42, "account"))
    at = place % len(signed)
    assert unsubscribe.read(SECRET, signed[:at] + put + signed[at + 1 :]) in (None, (42, "account"))
