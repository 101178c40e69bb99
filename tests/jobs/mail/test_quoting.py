"""Addresses and domains in texts that users chose are no links."""

from __future__ import annotations

import pytest

from jobs.mail.quoting import linkable, unlinked


@pytest.mark.parametrize("text", ["https://evil.example/x", "www.evil.example", "mail evil@example.org", "evil.example:8080"])
def test_addresses_and_domains_in_names_are_divided(text: str) -> None:
    assert unlinked(text) != text
    assert linkable(unlinked(text)) == text
    assert "l.e" not in unlinked(text)
    assert "://" not in unlinked(text)
    assert "@e" not in unlinked(text)


def test_initials_and_sentences_stay_as_they_are() -> None:
    assert unlinked("J. R. Smith: hello") == "J. R. Smith: hello"
