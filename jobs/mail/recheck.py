"""Whether a mail is still wanted at the moment it is to be sent, and what it says by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.log.event import Transaction
from models.notices import audience, pending_mail, preference
from models.notices.notification import UnreadNotification, find_unread, mark_mail_only_read
from models.notices.outbox import Mail
from models.notices.pending_mail import DIGEST, SINGLE
from models.notices.preference import Choice
from models.notices.schedule import mail_due_ms

TYPES = {"address_known": "account", "account": "account"}  # kinds of mail by the preference that decides of them; codes have none
ITEMS = 50  # of a digest; more are counted
SUBJECT_TYPES = ("conversation", "post", "group")  # what a notification may be about, as its data names it


def current_mail(tx: Transaction, mail: Mail) -> Mail | None:
    """The mail as it is to be sent now; None when nobody wants it any more. A code that has expired helps nobody, preferences are
    read at the moment of sending, and what was read meanwhile needs no mail."""
    if mail.expires_ms is not None and mail.expires_ms <= tx.now_ms:
        return None
    if mail.kind in (SINGLE, DIGEST) and mail.receiver is not None:
        return _of_notifications(tx, mail, mail.receiver)
    kind = TYPES.get(mail.kind)
    unwanted = kind is not None and mail.receiver is not None and preference.all_choices(mail.receiver)[kind].email == "off"
    return None if unwanted else mail


def preference_types(mail: Mail) -> list[str]:
    """The preferences that decide of the mail; none for what was asked for."""
    if mail.kind in TYPES:
        return [TYPES[mail.kind]]
    return sorted({item["type"] for item in mail.data.get("items", ())})


def _of_notifications(tx: Transaction, mail: Mail, user: int) -> Mail | None:
    ids, again = mail.data["notifications"], mail.data.get("again", False)
    people, wanted = audience.people([user]), preference.all_choices(user)
    active = user in people and people[user].active
    unread = [one for one in find_unread(user, ids) if active and wanted[one.type].email != "off"]
    if unread and mail.kind == SINGLE and not again and wanted[unread[0].type].email != "instant":
        _put_off(tx, user, unread, wanted, people[user].timezone)
        return None
    if not unread:
        mark_mail_only_read(tx, ids)
        return None
    return mail._replace(data={"notifications": ids, **_told(unread)})


def _put_off(tx: Transaction, user: int, unread: Sequence[UnreadNotification], wanted: Mapping[str, Choice], timezone: str) -> None:
    """Its owner wants digests by now."""
    for one in unread:
        at = mail_due_ms(wanted[one.type].email, tx.now_ms, timezone)
        if at:
            pending_mail.add(tx, [(one.id, user, at, False)])


def _told(unread: Sequence[UnreadNotification]) -> dict[str, Any]:
    """What the templates are filled with: `title`, and `items` of type, title, body and path (`#/posts/7`), newest first."""
    newest = unread[::-1]
    items = [{"type": one.type, "title": one.title, "body": one.body, "path": _path(one.data)} for one in newest[:ITEMS]]
    title = newest[0].title if len(newest) == 1 else f"{len(newest)} things you have not read"
    return {"title": title, "items": items, "more": len(newest) - len(items)}


def _path(data: Mapping[str, Any]) -> str:
    """Where on the page a notification leads."""
    for name in SUBJECT_TYPES:
        if isinstance(number := data.get(name), int):
            return f"#/{name}s/{number}"
    return ""
