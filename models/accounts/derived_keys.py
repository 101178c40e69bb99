"""The keys of accounts, which follow from other columns, corrected where an earlier version wrote them.

During an upgrade both versions write to one store, so the migration alone does not reach every account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from models.accounts.registration import owned
from models.identity import email_address
from models.identity.user import SearchName, User, insert_search_names, search_names
from models.log.event import Transaction
from models.store.database import fetch_rows

USERS_PER_TRANSACTION = 200


def correct(tx: Transaction, after: int) -> int:
    """Correct the keys of the accounts after this id, a few, and return the id to go on after; 0 at the end."""
    columns = (User.id, User.username, User.display_name, User.email, User.email_key, User.status)
    accounts = fetch_rows(User.select(*columns).where(User.id > after).order_by(User.id).limit(USERS_PER_TRANSACTION))
    for user, _, _, address, stored, status in accounts:
        if address and stored != email_address.key(address):
            _correct_email_key(user, email_address.key(address), is_pending=status == "pending")
    _correct_search_names([names for *names, _, _, _ in accounts])
    return accounts[-1][0] if accounts else 0


def _correct_search_names(accounts: Sequence[Sequence[Any]]) -> None:
    """Correct the names by which users are found, each with id, username and display name."""
    users = [user for user, *_ in accounts]
    stored: defaultdict[int, set[str]] = defaultdict(set)
    for user, name in fetch_rows(SearchName.select(SearchName.user, SearchName.name).where(SearchName.user.in_(users))):
        stored[user].add(name)
    wrong = [(user, *names) for user, *names in accounts if stored[user] != search_names(*names)]
    SearchName.delete().where(SearchName.user.in_([user for user, *_ in wrong])).execute()
    insert_search_names(wrong)


def _correct_email_key(user: int, key: str, *, is_pending: bool) -> None:
    """Set the key, unless another account has it: of two with one mailbox the second keeps its old key, which no address has, and
    logs in by its username."""
    if is_pending or not owned([key]):
        User.update(email_key=key).where(User.id == user).execute()
