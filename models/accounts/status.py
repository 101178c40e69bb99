"""The status of accounts: pending → active → suspended → active, changed by admins.

The owner is notified in the same transaction. Gateways read the change from the log and end the account's open connections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from models.accounts import invitation
from models.accounts.registration import announce, owned
from models.identity import code, email_address, token
from models.identity import user as users
from models.identity.user import COLUMNS, UserView, announce_change
from models.log.event import ACCOUNTS, Transaction, user_stream
from models.notices import audience, notifying, outbox, preference, push_subscriptions
from models.notices.causes import Cause, Words
from models.notices.outbox import NewMail
from models.notices.schedule import AT_ONCE, mail_due_ms
from models.records import activity
from models.records.activity import HOUR_MS
from models.store.database import chunks, execute, placeholders, rows

MAX_KEYS_PER_QUERY = 500
SUSPENDED = "Your account was suspended"
ACTIVE = "Your account is active again"
CHANGED = "Your password was changed"
REASON = "Reason: "  # begins the body that says one
NOT_YOU = "All other sessions were ended. If it was not you, ask for a login code, log in with it and set another password."


class Outcome(msgspec.Struct):
    """The result for each id, in the order of the request."""

    changed: list[int]
    unchanged: list[int]
    missing: list[int | str]

    def add(self, more: Outcome) -> None:
        """Append the result for further ids."""
        self.changed += more.changed
        self.unchanged += more.unchanged
        self.missing += more.missing


class _Account(msgspec.Struct):
    """An account whose status may change."""

    view: UserView
    address: str


def suspend(tx: Transaction, ids: Sequence[int], admin: int, reason: str = "") -> Outcome:
    """Suspend active accounts, delete their tokens and end their open polls. The admin's own account is never suspended."""
    there = _accounts(ids)
    chosen = [i for i in there if there[i].view.status == "active" and i != admin]
    _set_status(chosen, "suspended")
    token.revoke_all(tx, chosen)
    code.void(tx, chosen, code.LOGIN)
    _announce(tx, [there[i] for i in chosen], "suspended", SUSPENDED, admin, reason)
    _record(tx, chosen, "account.suspended", "Account suspended", admin, reason)
    return _outcome(ids, there, chosen)


def activate(tx: Transaction, ids: Sequence[int], admin: int, reason: str = "") -> Outcome:
    """Activate suspended accounts, and pending ones whose address does not belong to another account."""
    there = _accounts(ids)
    again = [i for i in there if there[i].view.status == "suspended"]
    new = _activatable({i: account for i, account in there.items() if account.view.status == "pending"})
    _set_status(again + new, "active")
    code.void(tx, new, code.SIGNUP)
    invitation.accept(tx, new)
    announce(tx, new)
    _announce(tx, [there[i] for i in again], "active", ACTIVE, admin, reason)
    _record(tx, [*again, *new], "account.activated", "Account activated", admin, reason)
    return _outcome(ids, there, [*again, *new])


def change_password(tx: Transaction, user: int, hashed: str, kept_token: int = 0) -> None:
    """Set a new password, end all sessions of the user but that of `kept_token`, and notify the owner, also by mail."""
    users.set_password(tx, user, hashed)
    token.revoke_others(tx, user, kept_token)
    causes = {user: f"password:{tx.next_event_id()}"}
    _notify(tx, list(_accounts([user]).values()), causes, CHANGED, NOT_YOU, b"{}")


def _accounts(ids: Sequence[int]) -> dict[int, _Account]:
    """Return the accounts that exist and are not deleted, in the order of the request."""
    found: dict[int, _Account] = {}
    for part in chunks(dict.fromkeys(ids), MAX_KEYS_PER_QUERY):
        sql = f"SELECT {COLUMNS}, email FROM users WHERE id IN ({placeholders(len(part))}) AND status<>'deleted'"
        for *view, address in rows(sql, part):
            found[view[0]] = _Account(UserView(*view), address)
    return {i: found[i] for i in dict.fromkeys(ids) if i in found}


def _activatable(pending: dict[int, _Account]) -> list[int]:
    """Return the pending accounts whose address is free; of several with the same address, the first."""
    by_address: dict[str, int] = {}
    for i, account in pending.items():
        by_address.setdefault(email_address.key(account.address), i)
    there = owned(list(by_address))
    return [i for address, i in by_address.items() if address not in there]


def _set_status(users: Sequence[int], status: str) -> None:
    for part in chunks(users, MAX_KEYS_PER_QUERY):
        execute(f"UPDATE users SET status=? WHERE id IN ({placeholders(len(part))})", (status, *part))


def _record(tx: Transaction, changed: Sequence[int], action: str, description: str, admin: int, reason: str) -> None:
    """Insert an activity record for each account that changed. These are never sampled."""
    site_of, metadata = audience.sites(changed), msgspec.json.encode({"reason": reason or None}).decode()
    activity.record([(user, action, description, metadata, admin, site_of.get(user), tx.now_ms) for user in changed])
    hour_ms = tx.now_ms - tx.now_ms % HOUR_MS
    activity.add_hourly_counts(tx, Counter((hour_ms, action, site_of.get(user) or "") for user in changed))


def _announce(tx: Transaction, accounts: Sequence[_Account], status: str, title: str, admin: int, reason: str) -> None:
    """Notify the owners, also by mail, and append the events for gateways and watching admins."""
    if not accounts:
        return
    body = f"{REASON}{reason}" if reason else ""
    data = msgspec.json.encode({"status": status, "reason": reason or None})
    causes = {}
    for account in accounts:
        account.view.status = status
        causes[account.view.id] = f"status:{tx.next_event_id()}"
        tx.append(user_stream(account.view.id), "account.updated", msgspec.json.encode(account.view))
    _notify(tx, accounts, causes, title, body, data)
    for account in accounts:
        announce_change(tx, account.view)
    users = [account.view.id for account in accounts]
    tx.append(ACCOUNTS, "user.status", msgspec.json.encode({"users": users, "status": status, "by": admin}))


def _notify(tx: Transaction, accounts: Sequence[_Account], cause_of: Mapping[int, str], title: str, body: str, data: bytes) -> None:
    """Notify in the app, by mail and by push, according to each owner's preferences.

    An immediate mail is sent even when the notification is read before: the reader may be an intruder.
    """
    users = [account.view.id for account in accounts]
    chosen, people, subscribed = preference.find_choices(users), audience.people(users), push_subscriptions.subscribed(users)
    text, usual = {"title": title, "body": body}, preference.default_choice("account")
    causes, letters = [], []
    for account in accounts:
        user = account.view.id
        choice = chosen.get((user, "account"), usual)
        mail_ms = mail_due_ms(choice.email, tx.now_ms, people[user].timezone)
        if mail_ms == AT_ONCE:
            letters.append(NewMail("account", user, account.address, account.view.display_name, text))
        later_ms = mail_ms or None
        push_ms = AT_ONCE if choice.push and user in subscribed else None
        if choice.in_app or later_ms is not None or push_ms is not None:
            words, cause = Words("{title}", "{body}"), cause_of[user]
            made = Cause(user, cause, cause, "account", words, text, data, in_app=choice.in_app, mail_ms=later_ms, push_ms=push_ms)
            causes.append(made)
    notifying.add_causes(tx, causes)
    outbox.queue(tx, letters)


def _outcome(ids: Sequence[int], there: dict[int, _Account], chosen: Sequence[int]) -> Outcome:
    requested, changed = list(dict.fromkeys(ids)), set(chosen)
    return Outcome(
        [i for i in requested if i in changed],
        [i for i in requested if i in there and i not in changed],
        [i for i in requested if i not in there],
    )
