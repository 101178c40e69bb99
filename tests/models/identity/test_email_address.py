"""The one definition of an e-mail address: which ones can be mailed, and which are the same mailbox."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.identity.email_address import AddressError, is_mailable, key, mailable

ADDRESSES = st.one_of(
    st.emails(),
    st.builds("{}@{}".format, st.text(max_size=20), st.text(max_size=20)),
    st.text(st.sampled_from('akKſ\u212a.@-_xn–ßςüÜ。\u200b\u200d \n\0日<>"'), max_size=30),
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("Mike@Example.ORG", "mike@example.org"),
        ("mi\u212ae@example.org", "mi\u212ae@example.org"),
        ("ÄNNE@example.org", "Änne@example.org"),
        ("ana@Bücher.example", "ana@xn--bcher-kva.example"),
        ("ana@bu\u0308cher.example", "ana@xn--bcher-kva.example"),
        ("ana@XN--BCHER-KVA.example", "ana@xn--bcher-kva.example"),
        ("ana@example.org.", "ana@example.org"),
        ("ana@日本.example", "ana@xn--wgv71a.example"),
    ],
)
def test_only_the_case_of_ascii_letters_and_the_writing_of_the_domain_are_disregarded(address: str, expected: str) -> None:
    assert is_mailable(address)
    assert key(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        *("", "ana", "@", "ana@", "@example.org", "ana@.", "ana@a..b", "ana@-a.b", "ana@a-.b", "a b@c.d", "a@b@c", "x@a!b"),
        *("anna@straße.example", "user@example。org", "a@example.org\u200b", "a\u200b@b.c", "ana@☕.example", "ana@Ⅷ.example"),
        *("a\u3000b@c.d", "a\u202eb@c.d", "\ud800@c.d", "a@\ud800.d", f"{'ü' * 33}@b.c", f"a@{'b' * 64}.c", f"a@{'b.' * 127}c"),
    ],
)
def test_what_cannot_be_mailed_is_no_address(address: str) -> None:
    assert not is_mailable(address)
    assert key(address) == key(key(address))


@given(ADDRESSES)
def test_the_key_of_an_address_is_an_address_with_itself_as_key(address: str) -> None:
    assert key(key(address)) == key(address)
    assert is_mailable(address) == is_mailable(key(address))
    try:
        envelope = mailable(address)
    except AddressError:
        return
    assert mailable(envelope) == envelope
    assert key(envelope) == key(address)
    assert envelope.rpartition("@")[2].isascii()
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zs", "Zl", "Zp") for char in envelope)


@given(ADDRESSES, ADDRESSES)
def test_addresses_with_different_local_parts_never_share_a_key(one: str, other: str) -> None:
    if key(one) == key(other):
        local, other_local = one.rpartition("@")[0], other.rpartition("@")[0]
        assert local.encode().lower() == other_local.encode().lower(), "bytes.lower() changes ASCII letters alone"
