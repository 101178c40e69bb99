"""The members of a conversation, page by page, also by a part of their names: CONVERSATION lists the first 50 only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peewee import Case, fn

from models.chat.conversation import Membership, MemberView, require_member
from models.identity.user import AFTER_ALL, VIEW_COLUMNS, SearchName, User, UserView
from models.store.database import fetch_rows, snapshot


def page(caller: int, conversation: int, words: Sequence[str], among: Sequence[int], after: int, limit: int) -> list[MemberView]:
    """Members with a larger id, by id: those with a name for each of the words, in search form, that begins so; with `among`, those
    of these users. Raises NotFoundError for a caller who is not a member."""
    condition: Any = (Membership.conversation == conversation) & Membership.to_event.is_null() & (Membership.user > after)
    for word in words:
        is_named = (SearchName.name >= word) & (SearchName.name < word + AFTER_ALL)
        condition &= Membership.user.in_(SearchName.select(SearchName.user).where(is_named))
    if among:
        condition &= Membership.user.in_(among)
    own = fn.NULLIF(fn.COALESCE(Membership.unread_after, Membership.read_message), 0)
    read = Case(None, [(Membership.user == caller, own)], Membership.read_message)
    query = Membership.select(*VIEW_COLUMNS, Membership.role.alias("member_role"), read).join(User)
    with snapshot():
        require_member(conversation, caller)
        found = fetch_rows(query.where(condition).order_by(Membership.user).limit(limit))
    return [MemberView(UserView(*user), role, mark) for *user, role, mark in found]
