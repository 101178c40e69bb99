from models.identity.password import NOBODY, hasher


def test_nobodys_hash_takes_as_long_as_anybodys() -> None:
    assert not hasher.check_needs_rehash(NOBODY)
