"""Recheck pushes at the moment they are sent: whether each is still to be sent, and with which text, in its receiver's language."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from jobs.mail import languages, translation
from jobs.mail.languages import Language
from jobs.mail.recheck import path_of
from jobs.rules.facts import Facts, with_receivers
from models.chat import presence, unread_texts
from models.chat.unread_texts import Pair, UnreadText
from models.files.file import in_words
from models.notices import unseen
from models.notices.notification import Notification
from models.notices.push_outbox import DuePush
from models.notices.quiet import quiet_until_ms
from models.store.database import engine, fetch_rows

MESSAGE = "message"  # the type of notifications that are about messages
MAX_BODY_CHARS = 200
MAX_TITLE_CHARS = 200
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MAX_PAYLOAD_BYTES = 3_993  # 4,096 when it is encrypted, which services must accept (RFC 8030, section 7.2)


class Ready(NamedTuple):
    """A push to be sent. `short` is what is sent if the payload is too large. `is_last`: no mail about it follows, so that a
    notification which is not shown in the application has done its part. `message` is the one whose text it has."""

    push: DuePush
    payload: bytes
    short: bytes
    is_last: bool = False
    message: int | None = None


class PushPlan(NamedTuple):
    """The pushes to be sent, those that are not to be sent any more, and those that wait: (push, until when in Unix ms)."""

    ready: list[Ready]
    dropped: list[DuePush]
    postponed: list[tuple[DuePush, int]]


class Subject(NamedTuple):
    """An unread notification that is to be pushed."""

    id: int
    user: int
    type: str
    title: str
    body: str
    data: dict[str, Any]
    grouping: str
    url: str | None
    mail_only: bool | None


def _watching(subjects: Collection[Subject], users: Collection[int]) -> set[int]:
    """The users who are online, without those who were notified since they had not seen a message."""
    online = presence.online_now(users)
    about = [subject.id for subject in subjects if subject.user in online]
    return online - unseen.with_unseen(sorted(online), about) if about else online


class PushComposer:
    """Composes the payloads of pushes. With `base_url` their links are whole addresses; `has_content`: they have texts."""

    def __init__(self, base_url: str | None, *, has_content: bool) -> None:
        self._base_url = base_url or ""
        self._has_content = has_content

    def plan(self, due: Sequence[DuePush]) -> PushPlan:
        """Decide about pushes, by a number of queries that does not depend on theirs."""
        subjects = _unread({push.notification for push in due})
        users = {subject.user for subject in subjects.values()}
        facts = with_receivers(Facts(engine().now_ms()), users, {subject.type for subject in subjects.values()})
        facts = facts._replace(online=_watching(subjects.values(), users))
        pairs = [pair for subject in subjects.values() if (pair := _pair(subject)) is not None]
        texts = unread_texts.newest(pairs, facts.now_ms)
        plan = PushPlan([], [], [])
        for push in due:
            self._decide(plan, push, subjects.get(push.notification), facts, texts)
        return plan

    def _decide(
        self, plan: PushPlan, push: DuePush, subject: Subject | None, facts: Facts, texts: Mapping[Pair, UnreadText]
    ) -> None:
        """Add a push to one of the plan's lists. What is shown and is read or deleted is recalled, or something unread takes its
        place."""
        text = None if subject is None or (pair := _pair(subject)) is None else texts.get(pair)
        is_over = subject is None or subject.user != push.user or (text is None and _pair(subject) is not None)
        person = facts.people.get(push.user)
        until_ms = None if push.urgent or person is None else quiet_until_ms(person.quiet, facts.now_ms, person.timezone)
        if subject is None or is_over or person is None or until_ms is not None or not self._may_show(push.user, subject, facts):
            if push.recall or (is_over and push.sent_ms is not None):
                plan.ready.append(_recalling(push))
            elif until_ms is not None and not is_over:
                plan.postponed.append((push, until_ms))
            else:
                plan.dropped.append(push)
            return
        plan.ready.append(self._ready(push, subject, text, languages.of(person.locale), facts))

    def _may_show(self, user: int, subject: Subject, facts: Facts) -> bool:
        """Whether a user wants pushes of this type and is not looking."""
        return facts.people[user].active and facts.choice(user, subject.type).push and user not in facts.online

    def _ready(self, push: DuePush, subject: Subject, text: UnreadText | None, language: Language, facts: Facts) -> Ready:
        title, body = self._words(language, subject, text)
        is_mailed = facts.choice(push.user, subject.type).email != "off"
        is_last = subject.mail_only is True and subject.type != MESSAGE and not is_mailed
        message = text.id if text is not None and body else None
        payload, short = (self._payload(push, subject, title, part) for part in (body, ""))
        return Ready(push._replace(recall=False), payload, short, is_last, message)

    def _words(self, language: Language, subject: Subject, text: UnreadText | None) -> tuple[str, str]:
        """Title and body: of a message the group or the sender, and its text, or without one its files."""
        if not self._has_content:
            return language.text("push.message" if text is not None else "push.notification"), ""
        if text is None:
            item = {"grouping": subject.grouping, "title": subject.title, "body": subject.body, "priority": "normal"}
            return translation.notification(language, item)
        if text.kind == "direct" or not text.title:
            return text.sender, _said(language, text)
        return text.title, f"{text.sender}: {_said(language, text)}"

    def _payload(self, push: DuePush, subject: Subject, title: str, body: str) -> bytes:
        """Return the payload, without its body and then its title's end if it would be too large. With `urgent` a browser also
        alerts if it shows an earlier one about the subject."""
        path = subject.url or f"/{path_of(subject.data)}"
        url = self._base_url + path if path.startswith("/") else path
        required = {"title": shortened(title, MAX_TITLE_CHARS), "url": url, "tag": push.tag}
        optional = {"body": shortened(body, MAX_BODY_CHARS), "urgent": push.urgent}
        encoded = msgspec.json.encode(required | {name: value for name, value in optional.items() if value})
        if len(encoded) <= MAX_PAYLOAD_BYTES:
            return encoded
        return msgspec.json.encode(required | {"url": url[: MAX_PAYLOAD_BYTES // 2]})


def _said(language: Language, text: UnreadText) -> str:
    if text.body.strip() or not text.files:
        return text.body
    return in_words(text.files) if len(text.files) == 1 else language.text("push.files", n=len(text.files))


def _recalling(push: DuePush) -> Ready:
    payload = msgspec.json.encode({"tag": push.tag, "recall": True})
    return Ready(push._replace(recall=True), payload, payload)


def _unread(notifications: set[int]) -> dict[int, Subject]:
    columns = (Notification.id, Notification.user, Notification.type, Notification.title, Notification.body, Notification.data)
    query = Notification.select(*columns, Notification.grouping, Notification.url, Notification.mail_only)
    found = fetch_rows(query.where(Notification.id.in_(sorted(notifications)), Notification.read_ms.is_null()))
    subjects = [Subject(*row) for row in found]
    return {subject.id: subject._replace(data=msgspec.json.decode(str(subject.data))) for subject in subjects}


def _pair(subject: Subject) -> Pair | None:
    """The user and conversation of a notification about messages."""
    conversation = subject.data.get("conversation")
    return (subject.user, conversation) if subject.type == MESSAGE and isinstance(conversation, int) else None


def shortened(text: str, chars: int) -> str:
    """Return a text on one line, of at most so many characters."""
    line = " ".join(CONTROL.sub(" ", text[: 4 * chars]).split())
    return line if len(line) <= chars else line[: chars - 1].rstrip() + "…"
