"""Replacing the former names of a deleted user in what is about them, pure functions.

Names are replaced only where they certainly mean the user: in USER with their id, at the beginning of the title of a notification
of what they did, and in the fields of an admin's call that identify them. There it does not matter which name it is, so those that
they had changed before go, too. Other people may have the same name, and a name may be any word: what they wrote, and all other
fields, stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import msgspec

ACTIVITY_REPORTED = "user.activity"
NOTIFIED = ("notification.created", "notification.updated")
IDENTIFYING = ("username", "email", "external_id")  # no two accounts have the same
DISPLAYED = "display_name"
OF_CONVERSATION, OF_GROUP = "conversation:", "group:"  # before an id: what a name was that is not the user's own
FORMER = "former"  # of a name that the user had changed before
REFERENCE = "ext:"
MESSAGE, COMMUNITY = "message", "community"  # types of notifications whose titles begin with a name
IN_TALK = re.compile(r'"conversation":(\d+),"message":')  # in the data of one
# The title of one: a name, and an act in the words of jobs/rules/rules.py and models/notices/notifying.py.
ACT = re.compile(
    r"(.+?)((?: and (?:1 other|\d+ others))? (?:(?:liked|bookmarked|commented on) your post|answered your comment|joined .+"
    r"|did something more|did \d+ more things))"
)
MIN_MAILED_CHARS = 3  # of a name that is looked for in mails: shorter ones are words of every mail


class Origin(NamedTuple):
    """A message's sender, and the conversation's kind and title."""

    sender: int
    kind: str
    title: str | None


class FormerNames:
    """The names of a deleted user, each with what it was, and USER as it is now. `conversations` are those that they were in;
    `origin` finds a message's. `seen` are names of theirs that were replaced and are not among the given ones."""

    def __init__(
        self,
        user: int,
        names: Iterable[tuple[str, str]],
        view: dict[str, Any],
        *,
        erases: bool,
        conversations: Collection[int] = (),
        origin: Callable[[int], Origin | None] = lambda message: None,
    ) -> None:
        names = list(names)
        self._user = user
        self._view = view
        self._erases = erases
        self._conversations = conversations
        self._origin = origin
        self.seen = set[str]()
        self._known = {name for name, _ in names}
        self._is_titled = f'"id":{user},"username":"'  # how events begin USER
        self._own = {what: name for name, what in names if what in (*IDENTIFYING, DISPLAYED)}
        self._former = [name for name, what in names if what == FORMER]
        self._now = {name: view.get(name) or "" for name in (*IDENTIFYING, DISPLAYED)}
        self._of_places = {(what, name) for name, what in names if what.startswith((OF_CONVERSATION, OF_GROUP))}
        encoded = {msgspec.json.encode(name).decode()[1:-1] for name, _ in names} | {quote(name, safe="") for name, _ in names}
        self._anywhere = re.compile("|".join(map(re.escape, sorted(encoded))) or r"(?!)", re.I)
        self._path = re.compile(rf"/users/{user}(?![^/?])|(?<=\b{REFERENCE})[^/?&]+")

    def may_be_in(self, text: str) -> bool:
        """Whether a text or JSON may have one of the names, or USER."""
        return self._is_titled in text or self._anywhere.search(text) is not None

    def may_be_in_event(self, kind: str, text: str) -> bool:
        """Whether an event's data may have one of the names, or tell of an act of the user."""
        is_of_act = (kind == ACTIVITY_REPORTED and f'"user":{self._user}' in text) or (kind in NOTIFIED and self.may_be_act(text))
        return is_of_act or self.may_be_in(text)

    def may_be_act(self, data: str) -> bool:
        """Whether the data of a notification may be of an act of the user, in words that have a name of theirs."""
        talk = IN_TALK.search(data)
        return f'"user":{self._user}' in data or (talk is not None and int(talk[1]) in self._conversations)

    def may_be_call(self, text: str) -> bool:
        """Whether a path or record may be of a call about the user."""
        return f"/users/{self._user}" in text

    def is_mail(self, to: str, text: str) -> bool:
        """Whether a mail is to the user, or with `erase` has one of their own names as a whole word, also as somebody else's."""
        address = self._own.get("email")
        if address and self.in_error(to) != to:
            return True
        own = [re.escape(name) for name in (*self._own.values(), *self._former) if len(name) >= MIN_MAILED_CHARS]
        return self._erases and bool(own) and re.search(rf"(?<!\w)(?:{'|'.join(own)})(?!\w)", text) is not None

    def in_error(self, text: str) -> str:
        """The text of an error without the address."""
        address = self._own.get("email")
        return re.sub(rf"(?<![\w.+-]){re.escape(address)}(?!\w)", "", text, flags=re.I) if address else text

    def in_json(self, text: str) -> str:
        """A JSON text with USER as it is now."""
        return msgspec.json.encode(self._walk(msgspec.json.decode(text))).decode()

    def in_title(self, kind: str, title: str, data: dict[str, Any]) -> str:
        """The title of a notification without the name of the person who did it, or of a place of theirs."""
        conversation, group = data.get("conversation"), data.get("group")
        for what, name in self._of_places:
            if kind == MESSAGE and what == f"{OF_CONVERSATION}{conversation}":
                title = title.removesuffix(f" in {name}")
            elif kind == COMMUNITY and what == f"{OF_GROUP}{group}" and title.endswith(f" joined {name}"):
                title = f"{title.removesuffix(name)}Group {group}"
        if kind in (MESSAGE, COMMUNITY) and data.get("user") == self._user:
            act = ACT.fullmatch(title)
            return self._replaced(title, act[1]) if act else title
        message = data.get("message")
        if kind != MESSAGE or conversation not in self._conversations or not isinstance(message, int):
            return title
        origin = self._origin(message)
        if origin is None or origin.sender != self._user:
            return title
        return self._replaced(title, title if origin.kind == "direct" else title.removesuffix(f" in {origin.title}"))

    def _replaced(self, title: str, name: str) -> str:
        """A title that begins with a name, with the one of now."""
        self._note(name)
        return self._now[DISPLAYED] + title.removeprefix(name)

    def _note(self, name: Any) -> None:
        if isinstance(name, str) and name not in self._known and name not in self._now.values():
            self.seen.add(name)

    def in_event(self, kind: str, text: str) -> str:
        """An event's data without the names."""
        data = self._walk(msgspec.json.decode(text))
        if kind in NOTIFIED:
            data["title"] = self.in_title(data["type"], data["title"], data["data"])
        if kind.startswith("conversation.") and self._is_of_place(OF_CONVERSATION, data.get("id"), data.get("title")):
            data["title"] = None
        if kind == "conversation.updated" and self._erases and (data.get("by") or {}).get("id") == self._user:
            data["title"] = None
        group = data.get("group")
        if isinstance(group, dict) and self._is_of_place(OF_GROUP, group.get("id"), group.get("name")):
            group["name"] = f"Group {group['id']}"
        if kind == ACTIVITY_REPORTED and data.get("user") == self._user:
            data |= {"description": "", "metadata": {}}
        return msgspec.json.encode(data).decode()

    def in_record(self, line: bytes) -> bytes:
        """A line of an archive file without the names, and without what a record of the user describes."""
        text = line.decode()
        record = msgspec.json.decode(text)
        is_call = "address" in record
        if record["user"] == self._user:
            record |= {"metadata": {}, "site": None, "address" if is_call else "description": ""}
        elif not self.may_be_in(text) and not (is_call and self.may_be_call(text)):
            return line
        if is_call:
            path, metadata = self.in_call(record["description"], record["metadata"])
            record |= {"description": path, "metadata": metadata}
        return msgspec.json.encode(self._walk(record))

    def in_call(self, path: str, body: Any) -> tuple[str, Any]:
        """The path and body of an admin's call without what identifies the user, and without the name that it gave them."""
        own, is_theirs = self._own.get("external_id"), False

        def replaced(found: re.Match[str]) -> str:
            nonlocal is_theirs
            is_named = own is not None and unquote(found[0]) == own
            is_theirs |= is_named or found[0].startswith("/")
            return "" if is_named else found[0]

        path = self._path.sub(replaced, path)
        body = self._walk_call(body, is_theirs=is_theirs)
        if is_theirs and isinstance(body, dict) and isinstance(fields := body.get("body"), dict):  # whichever names it gave them
            body["body"] = {name: self._now.get(name, value) if isinstance(value, str) else value for name, value in fields.items()}
        return path, body

    def _is_of_place(self, what: str, number: Any, name: Any) -> bool:
        return (f"{what}{number}", name) in self._of_places

    def _walk(self, value: Any) -> Any:
        """The value with USER as it is now."""
        if isinstance(value, dict):
            if value.get("id") == self._user and "username" in value:
                self._note(value["username"])
                self._note(value.get(DISPLAYED))
                return self._view
            return {name: self._walk(inner) for name, inner in value.items()}
        return [self._walk(inner) for inner in value] if isinstance(value, list) else value

    def _walk_call(self, value: Any, *, is_theirs: bool) -> Any:
        """The body of a call. `is_theirs`: the call is about the user."""
        if isinstance(value, dict):
            if "id" in value and "username" in value and value["id"] != self._user:
                return value
            is_theirs |= any(self._is_own(name, value.get(name)) for name in IDENTIFYING)
            return {name: self._field(name, inner, is_theirs=is_theirs) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._walk_call(inner, is_theirs=is_theirs) for inner in value]
        is_reference = (
            isinstance(value, str) and value.startswith(REFERENCE) and self._is_own("external_id", value[len(REFERENCE) :])
        )
        return REFERENCE if is_reference else "" if self._is_own("email", value) else value

    def _field(self, name: str, value: Any, *, is_theirs: bool) -> Any:
        if name in IDENTIFYING or (name == DISPLAYED and is_theirs):
            return self._now[name] if self._is_own(name, value) else value
        return self._walk_call(value, is_theirs=is_theirs)

    def _is_own(self, what: str, value: Any) -> bool:
        own = self._own.get(what)
        if own is None or not isinstance(value, str):
            return False
        return value == own if what in ("external_id", DISPLAYED) else value.casefold() == own.casefold()


def in_notification(names: FormerNames, kind: str, title: str, data: str) -> tuple[str, ...]:
    """Return type, title and data without the names."""
    if not (names.may_be_in(title) or names.may_be_act(data)):
        return kind, title, data
    return kind, names.in_title(kind, title, msgspec.json.decode(data)), data


def in_record(names: FormerNames, is_call: bool, description: str, metadata: str) -> tuple[str, ...]:
    """Return description and metadata without the names."""
    is_named = names.may_be_in(metadata)
    if is_call and (is_named or names.may_be_in(description) or names.may_be_call(description)):
        description, body = names.in_call(description, msgspec.json.decode(metadata))
        metadata = msgspec.json.encode(body).decode()
    return description, names.in_json(metadata) if is_named else metadata


def in_event(names: FormerNames, kind: str, data: str) -> tuple[str, ...]:
    """Return type and data without the names."""
    return kind, names.in_event(kind, data) if names.may_be_in_event(kind, data) else data
