"""Recheck a mail at the moment it is sent: whether it is still to be sent, and with which content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.mail.urgency import ACCOUNT, MESSAGE, unread_priorities, urgent_among
from models.log.event import Transaction
from models.notices import audience, outbox, pending_mail, preference
from models.notices.audience import Person
from models.notices.notification import UnreadNotification, find_unread, mark_mail_only_read
from models.notices.outbox import Mail
from models.notices.pending_mail import DIGEST, SINGLE
from models.notices.preference import Choice
from models.notices.quiet import quiet_until_ms
from models.notices.schedule import mail_due_ms

TYPES = {"address_known": "account", "account": "account"}  # the preference that decides on a kind of mail; codes have none
MAX_DIGEST_ITEMS = 50  # the rest is counted
MAX_TYPES_CHARS = 300  # in an unsubscribe link, which is one line of a mail's header
SUBJECT_TYPES = ("conversation", "post", "group")  # keys of a notification's data that link to a page


def current_mail(tx: Transaction, mail: Mail) -> Mail | None:
    """Return the mail with its current content, or None when it is not to be sent any more: its code has expired, its receiver's
    preferences exclude it, everything in it has been read, or it waits for the end of quiet hours."""
    if mail.expires_ms is not None and mail.expires_ms <= tx.now_ms:
        return None
    if mail.kind in (SINGLE, DIGEST) and mail.receiver is not None:
        return _current_notifications(tx, mail, mail.receiver)
    type_ = TYPES.get(mail.kind)
    is_off = type_ is not None and mail.receiver is not None and preference.choices_of(mail.receiver, [type_])[type_].email == "off"
    return None if is_off else mail


def preference_types(mail: Mail) -> list[str]:
    """Return the types of preference that decide on the mail; none for a code, which its receiver has requested. When they are too
    many for a link, HOST is all of the host's."""
    if mail.kind in TYPES:
        return [TYPES[mail.kind]]
    types = {item["type"] for item in mail.data.get("items", ())}
    if sum(map(len, types)) > MAX_TYPES_CHARS:
        types = {preference.metric_type(type_) for type_ in types}
    return sorted(types)


def _current_notifications(tx: Transaction, mail: Mail, user: int) -> Mail | None:
    ids, again = mail.data["notifications"], mail.data.get("again")
    people, items = audience.people([user]), find_unread(user, ids)
    choices = preference.choices_of(user, {item.type for item in items})
    active = user in people and people[user].active
    unread = [item for item in items if active and choices[item.type].email != "off"]
    if unread and mail.kind == SINGLE and not again and choices[unread[0].type].email != "instant":
        _move_to_digest(tx, user, unread, choices, people[user].timezone)
        return None
    if not unread:
        mark_mail_only_read(tx, ids)
        return None
    if (until_ms := _quiet_until_ms(tx, mail, people[user], unread)) is not None:
        pending_mail.add(tx, [(item.id, user, until_ms, bool(again)) for item in unread])
        return None
    content = _content(unread)
    if mail.kind == SINGLE and again and unread[0].type == MESSAGE:
        content["items"][0]["priority"] = _priority(user, unread[0].data.get("conversation"))
    return mail._replace(data={"notifications": ids, **content})


def _move_to_digest(
    tx: Transaction, user: int, unread: Sequence[UnreadNotification], choices: Mapping[str, Choice], timezone: str
) -> None:
    """Add the notifications to the digests that their owner has chosen since."""
    for item in unread:
        due_ms = mail_due_ms(choices[item.type].email, tx.now_ms, timezone)
        if due_ms:
            pending_mail.add(tx, [(item.id, user, due_ms, False)])


def _quiet_until_ms(tx: Transaction, mail: Mail, person: Person, unread: Sequence[UnreadNotification]) -> int | None:
    """Return the end of the quiet hours that a mail waits for, None when it does not wait: it is urgent or about the account, or it
    may have been sent already, since its sender was killed. Sent once more, it must have the same Message-ID."""
    until_ms = quiet_until_ms(person.quiet, tx.now_ms, person.timezone)
    if until_ms is None or outbox.is_interrupted(mail.id) or (mail.kind == SINGLE and unread[0].type == ACCOUNT):
        return None
    is_urgent = mail.data.get("again") and mail.receiver is not None and urgent_among(mail.receiver, unread)
    return None if is_urgent else until_ms


def _content(unread: Sequence[UnreadNotification]) -> dict[str, Any]:
    """Return the data of the mail: `items`, as jobs/mail/translation.py reads them, with type and path (`#/posts/7`) or url,
    newest first, and `more`, the number of those left out."""
    items = [
        {
            **{"type": n.type, "grouping": n.grouping, "title": n.title, "body": n.body, "priority": "normal"},
            **{"path": path_of(n.data), "url": n.url},
        }
        for n in unread[: -MAX_DIGEST_ITEMS - 1 : -1]
    ]
    return {"items": items, "more": len(unread) - len(items)}


def _priority(user: int, conversation: Any) -> str:
    """Return the priority of the newest message to a user that is unread and not normal; `normal` if there is none."""
    return next((priority for priority in unread_priorities(user, conversation) if priority != "normal"), "normal")


def path_of(data: Mapping[str, Any]) -> str:
    """Return the path of the page that a notification links to."""
    for name in SUBJECT_TYPES:
        if isinstance(number := data.get(name), int):
            return f"#/{name}s/{number}"
    return ""
