"""Rules for texts: the form by which they are searched."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.store.text_rules import fold


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("José", "jose"),
        ("Jose\u0301", "jose"),
        ("Łódź", "lodz"),
        ("Straße", "strasse"),
        ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
        ("İstanbul", "istanbul"),
        ("ﬁne", "fine"),
        ("x²", "x2"),
        ("Ａｎａ", "ana"),
        ("Ørsted, Þór, Æon, đ", "orsted, thor, aeon, d"),
        ("co\u00adoperate", "cooperate"),
        ("上海 会议 🎉", "上海 会议 🎉"),
        ("がか", "がか"),
        ("한국", "한국"),
    ],
)
def test_a_text_is_searched_without_regard_to_case_accents_and_unicode_form(text: str, form: str) -> None:
    assert fold(text) == form


def test_every_letter_that_folds_has_one_form() -> None:
    hangul = range(0xAC00, 0xD7A4)
    for char in (chr(code) for code in range(0x30000) if code not in hangul):
        folded = fold(char)
        if folded != char:
            assert fold(folded) == fold(unicodedata.normalize("NFKD", char)) == folded, hex(ord(char))


@given(st.text())
def test_any_text_and_its_forms_fold_to_the_same(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert fold(unicodedata.normalize(form, text)) == folded
