"""The calls of the API, defined once for both clients. They raise ProblemError, UnreachableError and UnexpectedAnswerError."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

from bellwire_client.binding import call, listing
from bellwire_client.paging import Pages
from bellwire_client.reading import read
from bellwire_client.shapes import (
    Block,
    Conversation,
    Event,
    File,
    FileLink,
    Found,
    Level,
    Me,
    Member,
    MemberLevel,
    Message,
    Notification,
    Priority,
    State,
    User,
    UserRef,
)
from bellwire_client.steps import Method, Report, Request, Steps, Writable, download, send_with_retries
from bellwire_client.telemetry import Telemetry
from bellwire_client.transfers import Progress, ReadableFile, WritableFile, download_file, upload

PATIENCE_S = 60.0  # longer than the restart of a gateway, or of a database


class Calls:
    """The calls of both clients.

    `url` is the address of Bellwire without `/api/v1`; `login` sets the token if none is passed. A call that may be repeated is
    repeated for up to `patience_s` while the server cannot be reached or requests a wait.
    """

    def __init__(self, url: str, token: str | None, patience_s: float) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not an address: it must begin with http:// or https://")
        self.url = url.rstrip("/")
        self.token = token
        self.patience_s = patience_s
        self.telemetry = Telemetry()
        self._acting_as: UserRef | None = None

    def acting_as(self, user: UserRef) -> Self:
        """Return a client with the same connections, whose calls an administrator makes as this user: not those of `admin`, nor
        over a WebSocket."""
        other = copy(self)
        other._acting_as = user
        return other

    def _call(self, method: Method, path: str, body: Any = None) -> Steps[Any]:
        """Make a call, and return its decoded answer."""
        return (yield from send_with_retries(Request(method, path, body), self.patience_s)).body

    @call
    def request(self, method: Method, path: str, body: Any = None, params: Mapping[str, str | int] | None = None) -> Steps[Any]:
        """Make any call: `path` is below `/api/v1`, `params` is its query. Returns decoded JSON, or None."""
        return (yield from send_with_retries(Request(method, path, body, params or {}), self.patience_s)).body

    # The caller

    @call
    def login(self, login: str, password: str) -> Steps[User]:
        """Log in with a username or e-mail address, and set `token`. Raises UnauthorizedError."""
        session = yield from self._call("POST", "/login", {"login": login, "password": password})
        user = read(User, session.get("user") if isinstance(session, dict) else None)
        self.token = str(session["token"])
        return user

    @call
    def logout(self) -> Steps[None]:
        """End the session: the token becomes invalid."""
        yield from self._call("POST", "/logout")
        self.token = None

    @call
    def me(self) -> Steps[Me]:
        """Return the account of the caller."""
        return read(Me, (yield from self._call("GET", "/me")))

    @call
    def state(self) -> Steps[State]:
        """Return the present state; `events(state.cursor)` continues after it."""
        return read(State, (yield from self._call("GET", "/state")))

    @call
    def export(self, file: Writable) -> Steps[None]:
        """Write all that is the caller's to a file that is open for bytes, as a zip. After an error the file is incomplete."""
        yield from download("/me/export", file, self.patience_s)

    # People and conversations

    @listing
    def users(self, q: str = "") -> Pages[User]:
        """List active users of whose username or display name each word of `q` begins a word; `@` may stand before it."""
        return Pages(User, "/users", self.patience_s, q=q)

    @call
    def user(self, user: UserRef) -> Steps[User]:
        """Return an active user."""
        return read(User, (yield from self._call("GET", f"/users/{user_path(user)}")))

    @call
    def block(self, user: UserRef) -> Steps[None]:
        """Block a user, who is not told: their direct messages are refused, and they see no presence of the caller."""
        yield from self._call("PUT", f"/me/blocks/{user_path(user)}")

    @call
    def unblock(self, user: UserRef) -> Steps[None]:
        """Unblock a user."""
        yield from self._call("DELETE", f"/me/blocks/{user_path(user)}")

    @listing
    def blocks(self) -> Pages[Block]:
        """List the users whom the caller blocks, the latest first."""
        return Pages(Block, "/me/blocks", self.patience_s)

    @listing
    def conversations(self, q: str = "") -> Pages[Conversation]:
        """List the caller's conversations, newest activity first: those with the words of `q` in the title, or without a title, in
        the names of the others."""
        return Pages(Conversation, "/conversations", self.patience_s, q=q)

    @call
    def conversation(self, conversation: int) -> Steps[Conversation]:
        """Return one of the caller's conversations."""
        return read(Conversation, (yield from self._call("GET", f"/conversations/{conversation}")))

    @call
    def open_conversation(self, *members: UserRef, title: str | None = None) -> Steps[Conversation]:
        """Return the direct conversation with one other user; with several users or a title, create a group."""
        body = {"members": members, "title": title}
        request = Request("POST", "/conversations", body, repeatable=len(members) == 1 and title is None)
        return read(Conversation, (yield from send_with_retries(request, self.patience_s)).body)

    @listing
    def members(self, conversation: int, q: str = "") -> Pages[Member]:
        """List all members of a conversation, by id: those of whose names each word of `q` begins a word."""
        return Pages(Member, f"/conversations/{conversation}/members", self.patience_s, q=q)

    @call
    def rename(self, conversation: int, title: str) -> Steps[Conversation]:
        """Give a group another title. Its owners may."""
        return read(Conversation, (yield from self._call("PATCH", f"/conversations/{conversation}", {"title": title})))

    @call
    def add_member(self, conversation: int, user: UserRef) -> Steps[None]:
        """Add a user to a group. Its owners may."""
        yield from self._call("PUT", f"/conversations/{conversation}/members/{user_path(user)}")

    @call
    def remove_member(self, conversation: int, user: UserRef) -> Steps[None]:
        """Remove a user from a group: its owners may, and everybody themselves."""
        yield from self._call("DELETE", f"/conversations/{conversation}/members/{user_path(user)}")

    @listing
    def changes(self, conversation: int) -> Pages[Event]:
        """List who came to a conversation, who went, and its titles, newest first: `member.joined`, `member.left` and
        `conversation.updated`, as far as the log is kept."""
        return Pages(Event, f"/conversations/{conversation}/changes", self.patience_s)

    @call
    def typing(self, conversation: int, typing: bool = True) -> Steps[None]:
        """Show the other members that the caller is typing, or has stopped."""
        yield from self._call("POST", f"/conversations/{conversation}/typing", {"typing": typing})

    @call
    def mention_candidates(self, conversation: int, prefix: str, limit: int = 10) -> Steps[list[Member]]:
        """Return the first members whose username or display name begins with `prefix`, by id: for completing an `@`."""
        path = f"/conversations/{conversation}/members"
        return (yield from Pages(Member, path, self.patience_s, q=prefix, limit=limit).load())

    @call
    def set_level(self, conversation: int, level: Level | None, *, until: datetime | None = None) -> Steps[MemberLevel]:
        """Choose which messages the caller is notified of: `all`, those with `mentions` of them, `none`, or None for the default.
        With `until` they have the default again after that time."""
        body = {"level": level, "until": until.isoformat() if until else None}
        return read(MemberLevel, (yield from self._call("PUT", f"/conversations/{conversation}/level", body)))

    @call
    def mark_read(self, conversation: int, message: int) -> Steps[int]:
        """Mark all messages up to this one as read; return the number of unread ones. The mark never moves back."""
        request = Request("POST", f"/conversations/{conversation}/read", {"message": message}, repeatable=True)
        return int((yield from send_with_retries(request, self.patience_s)).body["unread"])

    @call
    def mark_unread(self, conversation: int, message: int) -> Steps[int]:
        """Mark this message and those after it as unread; return the number of unread ones. Others see no difference."""
        request = Request("POST", f"/conversations/{conversation}/read", {"message": message, "unread": True}, repeatable=True)
        return int((yield from send_with_retries(request, self.patience_s)).body["unread"])

    # Messages

    @call
    def send(
        self,
        body: str = "",
        *,
        to: UserRef | None = None,
        conversation: int | None = None,
        client_id: str | None = None,
        priority: Priority = "normal",
        reply_to: int | None = None,
        files: Sequence[File | int] = (),
    ) -> Steps[Message]:
        """Send a message to a user (`to`) or to a conversation. When this returns, the message is on the server's disk. `files` are
        up to 10 that were uploaded for it, or their ids; `body` may then be empty.

        All attempts have the same `client_id`, so there is one message even if connections break. Pass a `client_id` that is
        stored with the message, and the send can be repeated after this program was killed.
        """
        target = {"to": to} if conversation is None else {"conversation": conversation}
        message: dict[str, Any] = {
            **target,
            "body": body,
            "client_id": client_id or str(uuid4()),
            "priority": priority,
            "reply_to": reply_to,
        }
        if files:  # an older server knows no such field
            message["files"] = [file if isinstance(file, int) else file.id for file in files]
        start = time.monotonic()
        answer = yield from send_with_retries(Request("POST", "/messages", message, repeatable=True), self.patience_s)
        self.telemetry.record(time.monotonic() - start)
        if batch := self.telemetry.collect_due():
            yield Report(batch)
        return read(Message, answer.body)

    @call
    def write_by_hook(self, hook: str, text: str, *, key: str | None = None) -> Steps[Message]:
        """Write by an incoming hook: `hook` is its address, and no token is needed. All attempts have the same `key`; with one that
        was used before there is no second message."""
        path = f"/in/{quote(hook.rpartition('/')[2], safe='')}"
        headers = {"Idempotency-Key": key or str(uuid4())}
        request = Request("POST", path, {"text": text}, headers=headers, repeatable=True)
        return read(Message, (yield from send_with_retries(request, self.patience_s)).body)

    @call
    def message(self, message: int) -> Steps[Message]:
        """Return one message."""
        return read(Message, (yield from self._call("GET", f"/messages/{message}")))

    @call
    def edit(self, message: int, body: str) -> Steps[Message]:
        """Replace the text of the caller's own message."""
        return read(Message, (yield from self._call("PATCH", f"/messages/{message}", {"body": body})))

    @call
    def delete(self, message: int) -> Steps[None]:
        """Delete the text of the caller's own message."""
        yield from self._call("DELETE", f"/messages/{message}")

    @call
    def react(self, message: int, emoji: str, added: bool = True) -> Steps[None]:
        """Add the caller's emoji to a message, or remove it."""
        yield from self._call("PUT" if added else "DELETE", f"/messages/{message}/reactions/{quote(emoji, safe='')}")

    @call
    def report(self, message: int, reason: str) -> Steps[None]:
        """Report a message to the administrators, who see it as it is now, and why. Doing it again changes nothing."""
        request = Request("POST", f"/messages/{message}/report", {"reason": reason}, repeatable=True)
        yield from send_with_retries(request, self.patience_s)

    @listing
    def history(self, conversation: int, around: int | None = None) -> Pages[Message]:
        """List the messages of a conversation, newest first. With `around`, start near this message."""
        return Pages(Message, f"/conversations/{conversation}/messages", self.patience_s, around=around)

    @listing
    def search(
        self, q: str, *, sender: UserRef | None = None, conversation: int | None = None, before: int | None = None
    ) -> Pages[Found]:
        """List messages of the caller's conversations that contain the words, newest first: those of a sender, of one conversation,
        and older than the message `before`. `q` may have filters: `from:ana`, `in:crew`, `after:2026-11`, `before:2026-11-21`."""
        chosen = {"from": sender, "conversation": conversation, "before": before}
        return Pages(Found, "/search/messages", self.patience_s, q=q, **chosen)

    # Files

    @call
    def upload(self, file: ReadableFile, *, name: str | None = None, onprogress: Progress | None = None) -> Steps[File]:
        """Upload a file, for a message of the caller's. When this returns, it is on the server's disk, for a day if it is not sent.

        `file` is a path, or a file that is open for reading bytes. It is read as it is sent; after a broken connection, a 429, 502,
        503 or 504 it is sent again. `onprogress` is called with the bytes so far, and those of the whole file.
        """
        return (yield from upload(file, name, onprogress, self.patience_s))

    @call
    def download(self, file: int, to: WritableFile, *, thumbnail: bool = False, onprogress: Progress | None = None) -> Steps[None]:
        """Write a file, or its thumbnail, to a path or to a file that is open for writing bytes. A path has it when it is complete.
        After a broken connection it goes on where it was."""
        path = f"/files/{file}/thumbnail" if thumbnail else f"/files/{file}"
        yield from download_file(path, to, onprogress, self.patience_s)

    @call
    def file_link(self, file: int) -> Steps[FileLink]:
        """Return an address of a file that is good without a token for an hour, as long as the caller may see it."""
        return read(FileLink, (yield from self._call("GET", f"/files/{file}/link")))

    # Notifications

    @listing
    def notifications(self, *, unread: bool = False, type: str | None = None) -> Pages[Notification]:
        """List the caller's notifications, newest first."""
        return Pages(Notification, "/notifications", self.patience_s, unread="true" if unread else None, type=type)

    @call
    def mark_notifications_read(self, ids: Sequence[int] | None = None) -> Steps[int]:
        """Mark these notifications as read, or all; return the number of unread ones."""
        body = {"all": True} if ids is None else {"ids": ids}
        request = Request("POST", "/notifications/read", body, repeatable=True)
        return int((yield from send_with_retries(request, self.patience_s)).body["unread"])


def user_path(user: UserRef) -> str:
    """Return a user as a part of a path."""
    return quote(str(user), safe=":")
