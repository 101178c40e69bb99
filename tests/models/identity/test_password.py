from models.identity.password import NOBODY, hasher


def test_the_placeholder_hash_has_the_cost_of_a_current_one() -> None:
    assert not hasher.check_needs_rehash(NOBODY)
