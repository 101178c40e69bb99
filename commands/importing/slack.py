"""Reading a Slack export: a folder or zip with users.json, lists of conversations, and a folder of days for each of them.

The format is that of Slack's help page "How to read Slack data exports" and of the message events of its API.
"""

from __future__ import annotations

import html
import re
import zipfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from commands.errors import CommandError
from commands.importing.collected import UNREADABLE, Collected
from models.history.lines import RawLine, Refused

GROUP_LISTS = ("channels.json", "groups.json", "mpims.json")
DIRECT_LIST = "dms.json"
SPOKEN = (None, "me_message", "thread_broadcast", "reply_broadcast", "file_share", "file_comment", "bot_message")
REFERENCE = re.compile(r"<([@#!])?([^>|]+)(?:\|([^>]*))?>")
EVERYBODY = ("here", "channel", "everyone")
Folder = Path | zipfile.Path


def read(args: Namespace) -> Iterator[RawLine | Refused]:
    """Yield the lines of an export. Joins, leaves and other notes of Slack's own are left out."""
    root = _root(args.file)
    with Collected.temporary() as collected:
        names = _add_users(collected, root)
        for name in GROUP_LISTS:
            for channel in _load(root / name):
                is_unnamed = name == "mpims.json"
                collected.add_conversation(
                    channel["id"], "group", _members(channel), None if is_unnamed else channel["name"], _created_ms(channel)
                )
                yield from _add_messages(collected, root / channel["name"], channel["id"], names)
        for direct in _load(root / DIRECT_LIST):
            members = _members(direct)
            is_own = len(members) < 2
            collected.add_conversation(
                direct["id"], "group" if is_own else "direct", members, "Notes" if is_own else None, _created_ms(direct)
            )
            yield from _add_messages(collected, root / direct["id"], direct["id"], names)
        collected.add_missing_users()
        yield from collected.lines()


def _root(path: Path) -> Folder:
    """Return the export's folder, which may be the only one of a zip."""
    if path.is_dir():
        root: Folder = path
    elif zipfile.is_zipfile(path):
        root = zipfile.Path(path)
    else:
        raise CommandError(f"{path} is neither a folder nor a zip")
    inner = [entry for entry in root.iterdir() if entry.is_dir()]
    if not (root / "users.json").exists() and len(inner) == 1:
        root = inner[0]
    if not (root / "users.json").exists():
        raise CommandError(f"{path} is no Slack export: it has no users.json")
    return root


def _load(file: Folder) -> list[dict[str, Any]]:
    """Return a list of objects; an empty one if the file is not there, as in exports of public channels alone."""
    if not file.exists():
        return []
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[dict[str, Any]])
    except msgspec.MsgspecError as error:
        raise CommandError(f"{file} is not a list of objects: {error}") from None


def _add_users(collected: Collected, root: Folder) -> dict[str, str]:
    """Add the users, and return their names as mentions have them."""
    names = {}
    for user in _load(root / "users.json"):
        profile = user.get("profile") or {}
        shown = profile.get("display_name") or profile.get("real_name") or user.get("real_name") or user.get("name")
        status = "suspended" if user.get("deleted") else None
        address = profile.get("email")
        collected.add_user(
            user["id"], username=user.get("name"), display_name=shown, email=address, status=status, timezone=user.get("tz")
        )
        names[user["id"]] = user.get("name") or shown or user["id"]
    return names


def _members(conversation: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(conversation.get("members") or []))


def _created_ms(conversation: Mapping[str, Any]) -> int:
    return int(conversation.get("created") or 0) * 1000


def _add_messages(collected: Collected, folder: Folder, conversation: str, names: Mapping[str, str]) -> Iterator[Refused]:
    """Add the messages of a conversation, and yield those that can't be read."""
    days: list[Folder] = list(folder.iterdir()) if folder.exists() else []
    for file in sorted(days, key=lambda day: day.name):
        for number, message in enumerate(_load(file), 1) if file.name.endswith(".json") else ():
            if message.get("type") == "message" and message.get("subtype") in SPOKEN:
                place = f"{folder.name}/{file.name} message {number}"
                try:
                    _add_message(collected, conversation, message, names, place)
                except UNREADABLE as error:
                    yield Refused(place, "message", f"can't be read: {error!r}")


def _add_message(collected: Collected, conversation: str, message: Mapping[str, Any], names: Mapping[str, str], place: str) -> None:
    body = _body(message, names)
    if not body:
        return
    sender = _sender(collected, message)
    thread, edited = message.get("thread_ts"), message.get("edited") or {}
    collected.add_message(
        conversation,
        f"{conversation}:{message['ts']}",
        sender,
        body,
        _ms(message["ts"]),
        place,
        edited_ms=_ms(edited["ts"]) if "ts" in edited else None,
        parent=f"{conversation}:{thread}" if thread and thread != message["ts"] else None,
    )


def _sender(collected: Collected, message: Mapping[str, Any]) -> str:
    """Return the external id of a message's sender, who is added if users.json has no such user, as of bots and guests."""
    profile = message.get("user_profile") or message.get("bot_profile") or {}
    sender = message.get("user") or (message.get("comment") or {}).get("user") or message.get("bot_id") or "USLACKBOT"
    shown = message.get("username") or profile.get("real_name") or profile.get("name")
    collected.add_user(sender, display_name=shown or ("Slackbot" if sender == "USLACKBOT" else sender))
    return str(sender)


def _ms(ts: str) -> int:
    """Convert Slack's time, `1355517523.000005` in seconds."""
    seconds, _, fraction = str(ts).partition(".")
    return int(seconds) * 1000 + int((fraction + "000")[:3])


def _body(message: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return the text of a message, its attachments' if it has none of its own, and the names and addresses of its files."""
    text = message.get("text") or ""
    if not text:
        texts = (part.get("text") or part.get("fallback") or "" for part in message.get("attachments") or ())
        text = "\n".join(part for part in texts if part)
    text = _plain(text, names)
    if message.get("subtype") == "me_message":
        text = f"_{text}_"
    files = [" ".join(part for part in (file.get("name"), file.get("url_private")) if part) for file in message.get("files") or ()]
    return "\n".join(part for part in (text, *files) if part).replace("\0", "")


def _plain(text: str, names: Mapping[str, str]) -> str:
    """Return Slack's markup as people read it: `<@U123>` is `@ana`, `<https://a.example|here>` is `here (https://a.example)`."""

    def written(found: re.Match[str]) -> str:
        sign, target, label = found.groups()
        if sign == "@":
            return f"@{names.get(target, label or target)}"
        if sign == "#":
            return f"#{label or target}"
        if sign == "!":
            return label or f"@{target}" if target in EVERYBODY or not label else label
        address = target.removeprefix("mailto:")
        return address if not label or label == address else f"{label} ({address})"

    return html.unescape(REFERENCE.sub(written, text))
