"""Rules for texts: what people see, and the form by which texts are searched."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.store.text_rules import fold, is_displayable, is_emoji_or_word


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


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Ana",
            "Ana 🫨",
            "🫨",
            "José",
            "Jose\u0301",
            "علي",
            "می\u200cخواهم",
            "山田\u3000太郎",
            "葛\U000e0100城",
            "1\ufe0f\u20e3",
            "❤️\u200d🔥",
        ),
        *("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "ก็", "हिन्दी", "བསྒྲུབས", "שָׁלוֹם", "⠃⠀⠗", "\U0003fff0"),
    ],
)
def test_names_of_all_scripts_are_displayable(text: str) -> None:
    assert is_displayable(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "\u3000",
            "\u2800",
            "\u3164",
            "\u115f",
            "\uffa0",
            "\u200b",
            "\u200d\u200c",
            "\ufe0f",
            "\u0301",
            "\u2060",
            "\ufeff",
        ),
        *(
            "a" + "\u0301" * 79,
            "ก" + "็" * 20,
            "a" + "\ufe0f" * 9,
            "a\u202eb",
            "a\u2066b",
            "\u200fa",
            "a\nb",
            "a\u2028b",
            "a\x00",
            "a\x7f",
        ),
        *("a\u00a0b", "a\u2003b", "\ue000", "\ufdd0", "\U0010ffff", "\ud800", "a\u00adb", "a\u3164b", "a\U000e0001b"),
    ],
)
def test_what_people_do_not_see_is_not_displayable(text: str) -> None:
    assert not is_displayable(text)


@pytest.mark.parametrize(
    ("text", "fits"), [("🫨", True), ("👩‍👩‍👧‍👧", True), ("yes!", True), ("a b", False), ("a\u3000b", False), ("", False)]
)
def test_a_reaction_is_an_emoji_or_a_word(text: str, fits: bool) -> None:
    assert is_emoji_or_word(text) is fits


@given(st.text(max_size=20))
def test_a_displayable_text_has_a_visible_character_and_no_control(text: str) -> None:
    if is_displayable(text):
        assert text.strip()
        assert not any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Zl", "Zp") for char in text)
        assert text.isprintable() or any(unicodedata.category(char) in ("Cn", "Cf", "Zs") for char in text)
    elif text.strip() and text.isascii():
        assert not text.isprintable()
