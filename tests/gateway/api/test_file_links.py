"""Signatures of links to files: nobody makes one without the secret, and none is good for longer than it says."""

import time_machine
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import file_links
from jobs.mail import unsubscribe

SECRET = "a secret for tests, long enough"
EXPIRES_S = 1_800_000_000
SIGNATURE = file_links.sign(SECRET, 7, 42, EXPIRES_S)


def read(signature: str, secret: str = SECRET, file: int = 7, *, at_s: float = EXPIRES_S - 1) -> int | None:
    """The user of a link at a time."""
    with time_machine.travel(at_s, tick=False):
        return file_links.read(secret, file, signature)


def test_a_link_is_good_until_it_ends() -> None:
    assert [read(SIGNATURE, at_s=EXPIRES_S + seconds) for seconds in (-3600, -0.001, 0, 3600)] == [42, 42, None, None]


def test_a_link_is_for_one_file_of_one_installation() -> None:
    assert read(SIGNATURE, file=8) is None
    assert read(SIGNATURE, "another secret, long enough") is None


def test_what_was_signed_for_another_use_is_no_link() -> None:
    assert read(unsubscribe.link("", SECRET, 42, "account").rpartition("=")[2]) is None


@given(st.text() | st.text(st.sampled_from("WzQyLCJ.-_\ud800")))
def test_anything_else_is_no_link(signature: str) -> None:
    assert read(signature) is None


@given(st.integers(min_value=0), st.text())
def test_a_changed_link_is_of_nobody_else(place: int, put: str) -> None:
    at = place % len(SIGNATURE)
    assert read(SIGNATURE[:at] + put + SIGNATURE[at + 1 :]) in (None, 42)
