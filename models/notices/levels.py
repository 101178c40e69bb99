"""Levels: of which messages of a conversation a member is notified, of all, of those that mention them, or of none."""

from __future__ import annotations

from typing import Literal

Level = Literal["all", "mentions", "none"]
LEVELS: tuple[Level, ...] = ("all", "mentions", "none")
MAX_MEMBERS_FOR_ALL = 50  # of a larger conversation, a member who has set no level is notified of mentions


def default_level(members_count: int) -> Level:
    """Return the level of a member who has set none."""
    return "all" if members_count <= MAX_MEMBERS_FOR_ALL else "mentions"


def effective_level(level: str | None, until_ms: int | None, now_ms: int, members_count: int) -> Level:
    """Return a member's level at a time: the one that they have set, unless it has ended, else the default."""
    if until_ms is not None and until_ms <= now_ms:
        return default_level(members_count)
    match level:
        case "all" | "mentions" | "none":
            return level
    return default_level(members_count)
