"""Names of files in a header, read back as browsers read them."""

from __future__ import annotations

from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.content_disposition import content_disposition


def name_in(value: str) -> str:
    """The name that a browser finds, which prefers the one in UTF-8."""
    extended = value.partition("filename*=UTF-8''")[2]
    header = Message()
    header["Content-Disposition"] = value
    return unquote(extended, errors="strict") if extended else str(header.get_filename())


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50))
def test_every_name_arrives_and_adds_no_header(name: str) -> None:
    value = content_disposition(name, inline=False)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    if name == name.strip():
        assert name_in(value) == name


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("notes.txt", 'inline; filename="notes.txt"'),
        ("Größe.pdf", "inline; filename=\"Gr__e.pdf\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.pdf"),
        ('a"; filename="b.exe', "inline; filename=\"a_; filename=_b.exe\"; filename*=UTF-8''a%22%3B%20filename%3D%22b.exe"),
        ("a\r\nSet-Cookie: b", "inline; filename=\"a__Set-Cookie: b\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b"),
        ("50%41.txt", "inline; filename=\"50_41.txt\"; filename*=UTF-8''50%2541.txt"),
        ("a\\b", "inline; filename=\"a_b\"; filename*=UTF-8''a%5Cb"),
    ],
)
def test_names_that_browsers_could_misread(name: str, header: str) -> None:
    assert content_disposition(name, inline=True) == header
