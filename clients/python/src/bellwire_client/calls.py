"""The calls, each defined once for both clients. They raise ProblemError, UnreachableError and UnexpectedAnswerError."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from bellwire_client.binding import call, listing
from bellwire_client.paging import Pages
from bellwire_client.reading import read
from bellwire_client.shapes import Conversation, Me, Message, Notification, Priority, State, User
from bellwire_client.steps import Method, Report, Request, Steps, ask
from bellwire_client.telemetry import Telemetry

PATIENCE_S = 60.0  # longer than the restart of a gateway, or of a database


class Calls:
    """What both clients can do.

    `url` is where Bellwire is, without `/api/v1`; `token` may be left to `login`. A call that may be done twice is tried again for
    up to `patience_s` while the server is away or asks to wait.
    """

    def __init__(self, url: str, token: str | None, patience_s: float) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is no address: it begins with http:// or https://")
        self.url = url.rstrip("/")
        self.token = token
        self.patience_s = patience_s
        self.telemetry = Telemetry()

    def _ask(self, method: Method, path: str, body: Any = None) -> Steps[Any]:
        """What is answered, decoded."""
        return (yield from ask(Request(method, path, body), self.patience_s)).body

    @call
    def request(self, method: Method, path: str, body: Any = None, params: Mapping[str, str | int] | None = None) -> Steps[Any]:
        """Any call that has no method here: `path` is below `/api/v1`, `params` its query. Returns decoded JSON, or None."""
        return (yield from ask(Request(method, path, body, params or {}), self.patience_s)).body

    # Oneself

    @call
    def login(self, login: str, password: str) -> Steps[User]:
        """Logs in by username or e-mail address, and keeps the token in `token`. Raises UnauthorizedError."""
        made = yield from self._ask("POST", "/login", {"login": login, "password": password})
        user = read(User, made.get("user") if isinstance(made, dict) else None)
        self.token = str(made["token"])
        return user

    @call
    def logout(self) -> Steps[None]:
        """The token is dead from now on."""
        yield from self._ask("POST", "/logout")
        self.token = None

    @call
    def me(self) -> Steps[Me]:
        """Who calls."""
        return read(Me, (yield from self._ask("GET", "/me")))

    @call
    def state(self) -> Steps[State]:
        """Everything as it is now; `events(state.cursor)` goes on from there."""
        return read(State, (yield from self._ask("GET", "/state")))

    # People and conversations

    @listing
    def users(self, q: str = "") -> Pages[User]:
        """Active users whose username or display name begins with `q`."""
        return Pages(User, "/users", self.patience_s, q=q)

    @call
    def user(self, user: int) -> Steps[User]:
        """An active user."""
        return read(User, (yield from self._ask("GET", f"/users/{user}")))

    @listing
    def conversations(self) -> Pages[Conversation]:
        """The caller's, newest activity first."""
        return Pages(Conversation, "/conversations", self.patience_s)

    @call
    def conversation(self, conversation: int) -> Steps[Conversation]:
        """One of them."""
        return read(Conversation, (yield from self._ask("GET", f"/conversations/{conversation}")))

    @call
    def open_conversation(self, *members: int, title: str | None = None) -> Steps[Conversation]:
        """With one other user and no title, the one direct conversation of the two; else a new group."""
        body = {"members": members, "title": title}
        opened = Request("POST", "/conversations", body, repeatable=len(members) == 1 and title is None)
        return read(Conversation, (yield from ask(opened, self.patience_s)).body)

    @call
    def typing(self, conversation: int, typing: bool = True) -> Steps[None]:
        """Tells those who are there that the caller types."""
        yield from self._ask("POST", f"/conversations/{conversation}/typing", {"typing": typing})

    @call
    def mark_read(self, conversation: int, message: int) -> Steps[int]:
        """Read up to this message; returns how many are unread. A mark never goes back."""
        marked = Request("POST", f"/conversations/{conversation}/read", {"message": message}, repeatable=True)
        return int((yield from ask(marked, self.patience_s)).body["unread"])

    # Messages

    @call
    def send(
        self,
        body: str,
        *,
        to: int | None = None,
        conversation: int | None = None,
        client_id: str | None = None,
        priority: Priority = "normal",
        reply_to: int | None = None,
    ) -> Steps[Message]:
        """Sends to exactly one of a user and a conversation; when it returns, the message is on the server's disk.

        All tries carry the same `client_id` (made here unless it is given), so that there is one message however often the
        connection broke. Give one that is kept with what is sent, and a send can be taken up again after this program was killed.
        """
        place = {"to": to} if conversation is None else {"conversation": conversation}
        asked = {**place, "body": body, "client_id": client_id or str(uuid4()), "priority": priority, "reply_to": reply_to}
        began = time.monotonic()
        answer = yield from ask(Request("POST", "/messages", asked, repeatable=True), self.patience_s)
        self.telemetry.record(time.monotonic() - began)
        if batch := self.telemetry.due():
            yield Report(batch)
        return read(Message, answer.body)

    @call
    def message(self, message: int) -> Steps[Message]:
        """One message."""
        return read(Message, (yield from self._ask("GET", f"/messages/{message}")))

    @call
    def edit(self, message: int, body: str) -> Steps[Message]:
        """Gives the caller's own message a new text."""
        return read(Message, (yield from self._ask("PATCH", f"/messages/{message}", {"body": body})))

    @call
    def delete(self, message: int) -> Steps[None]:
        """Empties the caller's own message."""
        yield from self._ask("DELETE", f"/messages/{message}")

    @call
    def react(self, message: int, emoji: str, added: bool = True) -> Steps[None]:
        """Adds the caller's emoji to a message, or takes it away."""
        yield from self._ask("PUT" if added else "DELETE", f"/messages/{message}/reactions/{quote(emoji, safe='')}")

    @listing
    def history(self, conversation: int, around: int | None = None) -> Pages[Message]:
        """A conversation's messages, newest first, or beginning around one."""
        return Pages(Message, f"/conversations/{conversation}/messages", self.patience_s, around=around)

    @listing
    def search(self, q: str) -> Pages[Message]:
        """Messages of the caller's conversations that hold the words, newest first."""
        return Pages(Message, "/search/messages", self.patience_s, q=q)

    # Notifications

    @listing
    def notifications(self, *, unread: bool = False, type: str | None = None) -> Pages[Notification]:
        """What the caller was told, newest first."""
        return Pages(Notification, "/notifications", self.patience_s, unread="true" if unread else None, type=type)

    @call
    def mark_notifications_read(self, ids: Sequence[int] | None = None) -> Steps[int]:
        """These, or all; returns how many are unread."""
        body = {"all": True} if ids is None else {"ids": ids}
        marked = Request("POST", "/notifications/read", body, repeatable=True)
        return int((yield from ask(marked, self.patience_s)).body["unread"])
