"""Contacts: the decisions, and the facts that they are made of."""

from collections.abc import Callable

import pytest

from conf import Settings
from models.chat import additions, conversation, message
from models.chat.message import Draft, Posted
from models.community import group as groups
from models.identity import contacts, user
from models.identity.contacts import ALLOWED, CLOSED, EVERYONE, FORBIDDEN, HIDDEN, MEET, SEE, SHARED, Bound
from models.log import event
from models.store.database import rows
from models.store.errors import ForbiddenError, NotFoundError
from tests.models.people import credentials, group, people, send

DECISIONS = [  # the setting, the act, and what is decided about strangers and about those with whom the caller shares
    (EVERYONE, SEE, ALLOWED, ALLOWED),
    (EVERYONE, MEET, ALLOWED, ALLOWED),
    (SHARED, SEE, HIDDEN, ALLOWED),
    (SHARED, MEET, HIDDEN, ALLOWED),
    (CLOSED, SEE, HIDDEN, ALLOWED),
    (CLOSED, MEET, HIDDEN, FORBIDDEN),
]


@pytest.mark.parametrize(("setting", "act", "stranger", "sharing"), DECISIONS)
def test_the_setting_decides_for_users_and_never_for_admins(setting: str, act: str, stranger: str, sharing: str) -> None:
    assert contacts.decide(setting, act, is_admin=False, shares=False) == stranger
    assert contacts.decide(setting, act, is_admin=False, shares=True) == sharing
    assert {contacts.decide(setting, act, is_admin=True, shares=shares) for shares in (False, True)} == {ALLOWED}


@pytest.mark.parametrize("setting", contacts.MODES)
def test_callers_are_bound_unless_they_are_admins_or_the_setting_is_everyone(setting: str) -> None:
    assert contacts.bound(setting, 7, is_admin=True) is None
    assert contacts.bound(setting, 7, is_admin=False) == (None if setting == EVERYONE else Bound(7, setting))


def community_group(owner: int, *others: int) -> int:
    """Create a group of the community."""
    with event.transaction() as tx:
        number = groups.create(tx, owner, "Walkers").id
        for other in others:
            groups.join(tx, other, number)
    return number


def write(verb: Callable[..., object], *args: object) -> None:
    with event.transaction() as tx:
        verb(tx, *args)


def test_users_share_by_present_memberships_of_conversations_and_groups(store: Settings) -> None:
    ana, ben, cleo, dora, eve, fay = people("ana", "ben", "cleo", "dora", "eve", "fay")
    crew = group(ana, ben, cleo)
    walkers = community_group(dora, ana)
    send(ana, to=eve)
    everybody, caller = [ana, ben, cleo, dora, eve, fay, 999], Bound(ana, SHARED)

    def check(*expected: int) -> None:
        assert contacts.shared_among(ana, everybody) == set(expected)
        assert contacts.seen_among(caller, everybody) == set(expected)
        assert [found.id for found in user.search("", 0, 50, caller)] == sorted(expected)
        named = {found.id for name in ("ana", "ben", "cleo", "dora", "eve", "fay") for found in user.search(name, 0, 50, caller)}
        assert named == set(expected)
        names = ("ana", "@ben", "c", "dora", "@eve", "f", "@fay")
        assert {number for name in names for number in user.ids_named(name, 50, caller)} == set(expected)

    check(ana, ben, cleo, dora, eve)
    write(conversation.remove_member, cleo, crew, cleo)
    check(ana, ben, dora, eve)
    write(groups.leave, dora, walkers)
    check(ana, ben, eve)
    write(conversation.remove_member, ana, crew, ben)
    check(ana, eve)


def test_lists_are_read_page_by_page_without_suspended_users(store: Settings) -> None:
    ana, ben, cleo, dora = people("ana", "ben", "cleo", "dora")
    for other in (dora, cleo, ben):
        send(ana, to=other)
    caller = Bound(ana, CLOSED)
    write(lambda tx: user.change(tx, cleo, status="suspended"))

    assert [found.id for found in user.search("", 0, 2, caller)] == [ana, ben]
    assert [found.id for found in user.search("", ben, 2, caller)] == [dora]


def test_one_hidden_user_hides_the_answer_and_only_then_is_an_act_forbidden(store: Settings) -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    send(ana, to=ben)

    contacts.require(None, MEET, [cleo, 999])
    contacts.require(Bound(ana, SHARED), MEET, [ben])
    contacts.require(Bound(ana, CLOSED), SEE, [ben, ana])
    with pytest.raises(ForbiddenError):
        contacts.require(Bound(ana, CLOSED), MEET, [ben])
    for hidden in (cleo, 999):
        for setting in (SHARED, CLOSED):
            with pytest.raises(NotFoundError, match="no such user"):
                contacts.require(Bound(ana, setting), MEET, [ben, hidden])


def test_a_leave_that_comes_first_in_the_log_counts_in_the_same_transaction(store: Settings) -> None:
    ana, ben, root = *people("ana", "ben"), *people("root", role="admin")
    credentials(ana, root)
    tokens = dict(rows("SELECT user_id, id FROM tokens"))
    crew = group(root, ana, ben)
    drafts = [Draft(sender, tokens[sender], "hello", to=ben, contacts=SHARED) for sender in (ana, root)]

    with event.transaction() as tx:
        conversation.remove_member(tx, ben, crew, ben)
        refused, posted = message.post(tx, drafts)
        with pytest.raises(NotFoundError):
            additions.create_conversation(tx, ana, [ben], "Us", Bound(ana, SHARED))

    assert isinstance(refused, NotFoundError)
    assert isinstance(posted, Posted)
