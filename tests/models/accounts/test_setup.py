"""The code of the first admin."""

from __future__ import annotations

from conf import Settings
from models.accounts import setup
from models.log import event
from models.store import facts
from tests.models.people import people


def test_the_code_is_deleted_with_the_first_admin_however_they_are_made(store: Settings) -> None:
    with event.transaction():
        setup.new_code()
    people("ana")
    assert setup.is_needed()
    people("root", role="admin")
    assert facts.read(facts.SETUP_CODE) is None
