import hashlib

import pytest
from argon2 import PasswordHasher

from tests.commands.installation import Installation

ANA = ("create-admin", "--new", "--username", "Ana", "--email", "ana@example.org")


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def test_create_admin_on_an_empty_folder_prints_an_id_and_a_living_token(bellwire: Installation) -> None:
    lines = [line.split() for line in bellwire.succeed(*ANA).splitlines()]
    assert [line[0] for line in lines] == ["id", "token"]
    number, token = int(lines[0][1]), lines[1][1]
    assert bellwire.rows("SELECT id, username, email, role, status, password_hash FROM users") == [
        (number, "Ana", "ana@example.org", "admin", "active", None)
    ]
    assert bellwire.rows("SELECT user_id, hash FROM tokens") == [(number, digest(token))]
    assert bellwire.rows("SELECT count(*) FROM profiles") == bellwire.rows("SELECT count(*) FROM wallets") == [(1,)]


def test_the_password_is_read_from_standard_input_and_hashed(bellwire: Installation) -> None:
    done = bellwire.command(*ANA, "--password-stdin", stdin="correct horse é\r\nrest\n")
    assert done.returncode == 0, done.stderr
    ((hashed,),) = bellwire.rows("SELECT password_hash FROM users")
    assert PasswordHasher().verify(hashed, "correct horse é")
    assert "horse" not in done.stdout + done.stderr


@pytest.mark.parametrize("password", ["", "123456789\n"])
def test_a_short_password_makes_no_account(bellwire: Installation, password: str) -> None:
    done = bellwire.command(*ANA, "--password-stdin", stdin=password)
    assert (done.returncode, done.stdout) == (2, "")
    assert "10 to 200 characters" in done.stderr
    bellwire.succeed(*ANA)  # the name is still free


@pytest.mark.parametrize(
    ("username", "email", "wrong"),
    [
        ("aNA", "other@example.org", ["username is taken"]),
        ("bo", "ANA@example.org", ["email is taken"]),
        ("ana", "ana@example.org", ["username is taken", "email is taken"]),
        ("no spaces", "not-an-address", ["username 2 to 32", "email an e-mail address"]),
    ],
)
def test_what_is_wrong_with_an_account_is_said_by_field(
    bellwire: Installation, username: str, email: str, wrong: list[str]
) -> None:
    bellwire.succeed(*ANA)
    said = bellwire.refused("create-admin", "--new", "--username", username, "--email", email)
    assert all(part in said for part in wrong)
    assert said.count("is taken") == sum(part.endswith("is taken") for part in wrong)
    assert bellwire.rows("SELECT count(*) FROM users") == [(1,)]


def test_token_prints_a_new_token_and_nothing_else(bellwire: Installation) -> None:
    bellwire.succeed(*ANA)
    one, other = bellwire.succeed("token", "ana"), bellwire.succeed("token", "ana@example.org")
    assert len({one, other}) == 2
    for printed in (one, other):
        token = printed.removesuffix("\n")
        assert token.split() == [token]
        assert bellwire.rows("SELECT user_id FROM tokens WHERE hash=?", digest(token)) == [(1,)]


def test_token_is_for_active_accounts_that_are_there(bellwire: Installation) -> None:
    assert "run.py migrate" in bellwire.refused("token", "ana")
    bellwire.succeed(*ANA)
    assert "no user 'bo'" in bellwire.refused("token", "bo")
    bellwire.write("UPDATE users SET status='suspended'")
    assert "suspended" in bellwire.refused("token", "ana")
    assert bellwire.rows("SELECT count(*) FROM tokens") == [(1,)]


def test_rules_are_rehearsed_by_name(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    assert "users" in bellwire.succeed("rehearse", "like", "message")
    assert "no rule 'lick'" in bellwire.refused("rehearse", "lick")
