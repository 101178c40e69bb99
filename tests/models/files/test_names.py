"""Names keep their letters, and nothing that leads elsewhere or looks like another name."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.files.names import MAX_NAME_BYTES, clean

FAMILY, SCOTLAND = "👨\u200d👩\u200d👧.png", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f.png"


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("photo.jpg", "photo.jpg"),
        ("Größe 世界 صورة עברית हिन्दी.pdf", "Größe 世界 صورة עברית हिन्दी.pdf"),
        ("🎉 party.png", "🎉 party.png"),
        ("🎉", "🎉"),
        (FAMILY, FAMILY),
        (SCOTLAND, SCOTLAND),
        ("می\u200cخواهم.txt", "می\u200cخواهم.txt"),
        ("e\u0301te\u0301.txt", "été.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system32\\cmd.exe", "cmd.exe"),
        ("a\uff0fb\u2215c.txt", "c.txt"),
        ("/", "file.pdf"),
        ("..", "file.pdf"),
        (".", "file.pdf"),
        ("", "file.pdf"),
        ("   ", "file.pdf"),
        ("\u200b\u202e\ufeff", "file.pdf"),
        ("\u200d\u200d", "file.pdf"),
        ("???", "file.pdf"),
        (".htaccess", "htaccess"),
        ("name.", "name"),
        ("name. . ", "name"),
        (" a  b\tc\nd\r\ne\u00a0f\u2028g.txt ", "a b c d e f g.txt"),
        ("annual\u202etxt.exe", "annualtxt.exe"),
        ("a\u2066b\u2069\u200e\u200f\u061c.txt", "ab.txt"),
        ("a\u200bb\u00adc\ufeff.txt", "abc.txt"),
        ("pay\u200dpal.txt", "paypal.txt"),
        ("a\0b\x1b[31m\x7f\x9b.txt", "ab[31m.txt"),
        ('a<b>:"|?*.txt', "a_b______.txt"),
        ("\ud800a.txt", "a.txt"),
        ("\ue000a\U0010ffff.txt", "a.txt"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("lpt1.tar.gz", "_lpt1.tar.gz"),
        ("console.txt", "console.txt"),
        ("a" * 300 + ".jpeg", "a" * 250 + ".jpeg"),
        ("é" * 300 + ".jpeg", "é" * 125 + ".jpeg"),
        ("a" * 100 + "." + "b" * 300, "a" * 100 + "." + "b" * 154),
    ],
)
def test_a_name_is_cleaned(name: str, cleaned: str) -> None:
    assert clean(name, "application/pdf") == cleaned
    assert clean(cleaned, "application/pdf") == cleaned


def test_a_file_without_a_name_is_named_by_its_type() -> None:
    assert clean("", "image/jpeg") == "file.jpg"
    assert clean("", "application/octet-stream") == "file"


@given(st.text(max_size=400))
@example("A" * 254 + "🎉")
@example("a." + "\u0301" * 300)
@example("con\u0301.txt")
@example("a" * 250 + ". . . .txt")
def test_any_name_is_safe_and_stays_as_it_is(name: str) -> None:
    cleaned = clean(name, "text/plain")

    assert 1 <= len(cleaned.encode()) <= MAX_NAME_BYTES
    assert cleaned == unicodedata.normalize("NFC", cleaned)
    assert cleaned.strip(" .") == cleaned
    assert not set(cleaned) & set('/\\<>:"|?*\0\r\n\t')
    assert all(unicodedata.category(c) not in ("Cc", "Cs") for c in cleaned)
    assert not set(cleaned) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u200b\ufeff")
    assert clean(cleaned, "text/plain") == cleaned
