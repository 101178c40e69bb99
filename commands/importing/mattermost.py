"""Reading a Mattermost bulk export: JSON lines of teams, channels, users, posts with their replies, and direct posts.

The format is that of Mattermost's documentation, "Bulk loading data": posts have no ids there, and no order.
"""

from __future__ import annotations

import hashlib
import zipfile
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from commands.errors import CommandError
from commands.importing.collected import UNREADABLE, Collected
from models.history.lines import RawLine, Refused

SYSTEM = "system_"  # the beginning of the types of posts by Mattermost itself
MAX_DIRECT_MEMBERS = 2
Object = Mapping[str, Any]


def read(args: Namespace) -> Iterator[RawLine | Refused]:
    """Yield the lines of an export. Posts by Mattermost itself and deleted ones are left out."""
    with Collected.temporary() as collected, _opened(args.file) as file:
        if not _is_version(file.readline()):
            raise CommandError(f"{args.file} is no Mattermost bulk export: its first line is not the version")
        for number, line in enumerate(file, 2):
            try:
                found: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
                ADDERS.get(found["type"], _ignore)(collected, found.get(found["type"]) or {}, f"line {number}")
            except UNREADABLE as error:
                yield Refused(f"line {number}", "", f"is not a line of a bulk export: {error!r}")
        collected.add_missing_users()
        yield from collected.lines()


def _is_version(line: bytes) -> bool:
    try:
        return msgspec.json.decode(line, type=dict[str, Any]).get("type") == "version"
    except msgspec.MsgspecError:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open the file, or the one in a zip."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jsonl")]
        if len(names) != 1:
            raise CommandError(f"{path} must have one .jsonl file, and has {len(names)}")
        with archive.open(names[0]) as member:
            yield member  # type: ignore[misc]  # it has what is used of a file


def _ignore(_collected: Collected, _found: Object, _place: str) -> None:
    """Leave a line out: the version, teams, emoji and the like."""


def _add_channel(collected: Collected, channel: Object, _place: str) -> None:
    title = channel.get("display_name") or channel["name"]
    collected.add_conversation(_channel_key(channel["team"], channel["name"]), "group", [], title)


def _add_user(collected: Collected, user: Object, _place: str) -> None:
    name = " ".join(part for part in (user.get("first_name"), user.get("last_name")) if part)
    shown, status = user.get("nickname") or name, "suspended" if user.get("delete_at") else None
    collected.add_user(
        user["username"],
        username=user["username"],
        display_name=shown,
        email=user.get("email"),
        locale=user.get("locale"),
        status=status,
    )
    for team in user.get("teams") or ():
        for channel in team.get("channels") or ():
            key = _channel_key(team["name"], channel["name"])
            collected.add_conversation(key, "group", [user["username"]], channel["name"])


def _add_post(collected: Collected, post: Object, place: str) -> None:
    key = _channel_key(post["team"], post["channel"])
    collected.add_conversation(key, "group", [], post["channel"])
    _add_with_replies(collected, key, post, place)


def _add_direct_channel(collected: Collected, channel: Object, _place: str) -> None:
    members = channel.get("members") or [member["username"] for member in channel.get("participants") or ()]
    _add_direct(collected, members)


def _add_direct_post(collected: Collected, post: Object, place: str) -> None:
    _add_with_replies(collected, _add_direct(collected, post["channel_members"]), post, place)


def _add_direct(collected: Collected, members: Sequence[str]) -> str:
    """Add the conversation of two or more people, and return its key. Notes to oneself become a group of one."""
    people = sorted(set(members))
    key = "direct:" + _digest(*people)
    kind = "direct" if len(people) == MAX_DIRECT_MEMBERS else "group"
    collected.add_conversation(key, kind, people, "Notes" if len(people) == 1 else None)
    return key


def _add_with_replies(collected: Collected, conversation: str, post: Object, place: str) -> None:
    parent = _add_message(collected, conversation, post, place)
    for reply in post.get("replies") or ():
        _add_message(collected, conversation, reply, place, parent)


def _add_message(collected: Collected, conversation: str, post: Object, place: str, parent: str | None = None) -> str:
    """Add a post or a reply, and return its key: Mattermost, too, knows a post by its channel, user and time."""
    at_ms, user = int(post["create_at"]), post["user"]
    key = f"{at_ms}-{_digest(conversation, user, str(at_ms))}"
    files = [attachment["path"] for attachment in post.get("attachments") or () if attachment.get("path")]
    body = "\n".join(part for part in (post.get("message") or "", *files) if part).replace("\0", "")
    if body and not post.get("delete_at") and not str(post.get("type") or "").startswith(SYSTEM):
        edited_ms = int(post.get("edit_at") or 0) or None
        collected.add_user(user, username=user)
        collected.add_message(conversation, key, user, body, at_ms, place, edited_ms=edited_ms, parent=parent)
    return key


def _channel_key(team: str, channel: str) -> str:
    return f"{team}/{channel}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


ADDERS = {
    "channel": _add_channel,
    "user": _add_user,
    "post": _add_post,
    "direct_channel": _add_direct_channel,
    "direct_post": _add_direct_post,
}
