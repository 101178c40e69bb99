"""Shortcuts for posts, comments and groups."""

from __future__ import annotations

from typing import Any

from tests.gateway.client import Client


def post(author: Client, body: str = "words", group: int | None = None) -> dict[str, Any]:
    """Create a post, and return its POST."""
    answer = author.post("/posts", {"body": body, **({"group": group} if group is not None else {})})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def comment(author: Client, on: int, body: str = "words", reply_to: int | None = None) -> dict[str, Any]:
    """Comment on a post, and return its COMMENT."""
    answer = author.post(f"/posts/{on}/comments", {"body": body, "reply_to": reply_to})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def group(owner: Client, *members: Client, name: str = "Hikers") -> int:
    """Create a group, let the members join in this order, and return its id."""
    answer = owner.post("/groups", {"name": name})
    assert answer.status_code == 201, answer.text
    number = int(answer.json()["id"])
    for member in members:
        join(member, number)
    return number


def join(member: Client, number: int) -> None:
    """Join a group."""
    assert member.put(f"/groups/{number}/members/me").json()["joined"] is True


def leave(member: Client, number: int) -> None:
    """Leave a group."""
    assert member.delete(f"/groups/{number}/members/me").json()["joined"] is False


def user(client: Client, role: str = "user") -> dict[str, Any]:
    """Return the USER that the API shows for a test's client."""
    name = client.name
    return {
        "id": client.id,
        "username": name,
        "display_name": name.capitalize(),
        "role": role,
        "status": "active",
        "external_id": None,
    }


def listed_posts(reader: Client, **params: Any) -> list[int]:
    """Return the ids of the posts on the first page of a user's list."""
    answer = reader.get("/posts", **params)
    assert answer.status_code == 200, answer.text
    return [post["id"] for post in answer.json()["items"]]
