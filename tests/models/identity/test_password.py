import pytest

from models.identity import password
from models.identity.password import NOBODY, hasher


def test_the_placeholder_hash_has_the_cost_of_a_current_one() -> None:
    assert not hasher.check_needs_rehash(NOBODY)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("e\u0301t\u00e9 \u212b", "\u00e9t\u00e9 \u00c5"),
        ("a\u00a0b\u3000c\u2003d", "a b c d"),
        ("\uff21\ufb01", "\uff21\ufb01"),  # compatibility forms stay as they are
        ("Two  Spaces ", "Two  Spaces "),
        ("e\u0301" * 2_000, "e\u0301" * 2_000),
    ],
)
def test_passwords_are_prepared_by_rfc_8265(typed: str, stored: str) -> None:
    assert password.prepared(typed) == stored


def test_the_length_of_a_password_is_that_of_its_prepared_form() -> None:
    assert password.invalid("e\u0301t" * 70) == []
    assert password.invalid("e\u0301" * 9) == [("password", "10 to 200 characters")]
    assert password.invalid("\u0344\u0359" * 101 + "abc")[0][0] == "password"


def test_a_password_has_no_control_characters() -> None:
    assert password.invalid("a long\x07 enough one") == [("password", "must not contain control characters")]
