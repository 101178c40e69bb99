"""An HTTP client that sends the requests of one user to a gateway."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.gateway.running import Gateway

API = "/api/v1"


class Client:
    """A user of a gateway. Paths are below /api/v1 unless they begin with two slashes."""

    def __init__(self, gateway: Gateway, user: int, name: str, token: str | None) -> None:
        self.gateway = gateway
        self.id = user
        self.name = name
        self.token = token

    def at(self, gateway: Gateway) -> Client:
        """Return a client of the same user at another gateway."""
        return Client(gateway, self.id, self.name, self.token)

    def with_token(self, token: str) -> Client:
        """Return a client of the same user with another token."""
        return Client(self.gateway, self.id, self.name, token)

    def call(self, method: str, path: str, body: Any = None, /, **options: Any) -> httpx.Response:
        """Send any request."""
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            options["json"] = body
        url = path[1:] if path.startswith("//") else API + path
        return self.gateway.http.request(method, url, headers=headers, **options)

    def get(self, path: str, /, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
        """GET with query arguments."""
        return self.call("GET", path, params=params, headers=headers or {})

    def post(self, path: str, body: Any = None, /, **options: Any) -> httpx.Response:
        """POST."""
        return self.call("POST", path, body, **options)

    def put(self, path: str, body: Any = None, /, **options: Any) -> httpx.Response:
        """PUT."""
        return self.call("PUT", path, body, **options)

    def patch(self, path: str, body: Any = None, /, **options: Any) -> httpx.Response:
        """PATCH."""
        return self.call("PATCH", path, body, **options)

    def delete(self, path: str, /, **options: Any) -> httpx.Response:
        """DELETE."""
        return self.call("DELETE", path, **options)

    # Shortcuts that most tests use

    def send(self, body: str, *, to: Client | None = None, at: int | None = None, **fields: Any) -> dict[str, Any]:
        """Send a message to a user (`to`) or into a conversation (`at`), and return its MESSAGE."""
        recipient = {"to": to.id} if to is not None else {"conversation": at}
        answer = self.post("/messages", {**recipient, "body": body, **fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def group(self, *members: Client, title: str | None = "Crew") -> int:
        """Create a group conversation and return its id."""
        answer = self.post("/conversations", {"members": [m.id for m in members], "title": title})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def conversation(self, number: int) -> dict[str, Any]:
        """Return the CONVERSATION of an id."""
        answer = self.get(f"/conversations/{number}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def now(self) -> str:
        """Return the cursor of the newest event."""
        return str(self.get("/events").json()["cursor"])

    def poll(self, cursor: str, timeout: float = 0, **params: Any) -> dict[str, Any]:
        """Send one long poll and return its answer."""
        answer = self.get("/events", cursor=cursor, timeout=timeout, **params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def polling(self, cursor: str, timeout: float = 30, **params: Any) -> Future[httpx.Response]:
        """Open a long poll on another thread. An earlier poll makes the gateway load the user, so this one waits at once."""
        self.poll(cursor)
        return self.gateway.later(self.get, "/events", cursor=cursor, timeout=timeout, **params)

    def events(self, cursor: str, **params: Any) -> list[dict[str, Any]]:
        """Return all stored events after a cursor; ephemeral events have no id and are left out."""
        events: list[dict[str, Any]] = []
        more = True
        while more:
            answer = self.poll(cursor, **params)
            events += [event for event in answer["events"] if event["id"] is not None]
            cursor, more = answer["cursor"], answer["more"]
        return events

    def event_types(self, cursor: str, **params: Any) -> list[str]:
        """Return the types of all stored events after a cursor."""
        return [event["type"] for event in self.events(cursor, **params)]


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """Return an answer's problem document (RFC 9457). Check its status and type, and that it reveals nothing internal."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-Id"]
    body = dict(answer.json())
    assert body["type"] == f"/problems/{slug}"
    assert body["status"] == status
    assert isinstance(body["title"], str)
    assert isinstance(body["detail"], str)
    assert ("errors" in body) == (status == 422)
    for internal in ("Traceback", "SELECT", "sqlite", "site-packages", ".py", "/home", "/tmp"):
        assert internal not in answer.text
    return body


def fields(answer: httpx.Response) -> list[str]:
    """Return the names of the fields that a 422 answer lists."""
    return [error["field"] for error in problem(answer, 422, "invalid")["errors"]]
