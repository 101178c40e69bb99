"""The results of the background work on a replay: notifications and activity records, read through the API."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from bench.load.client import Client

STALLED_S = 30.0  # without progress for so long, nothing more will come
CHECK_INTERVAL_S = 0.1
ALL_WATCHES = ("user.created", "user.status", "message.sent", "user.activity")


async def read_list(client: Client, path: str, token: str, query: str) -> list[dict[str, Any]]:
    """Return all items of a list, page by page."""
    items: list[dict[str, Any]] = []
    page = ""
    while True:
        answer = await client.call("GET", f"{path}?limit=200&{query}{page}", token)
        items += answer["items"]
        if answer["next"] is None:
            return items
        page = f"&page={answer['next']}"


async def unread_counts(client: Client, token: str, notification_type: str) -> list[int]:
    """Return the sorted counts of a person's unread notifications of one type."""
    items = await read_list(client, "/api/v1/notifications", token, f"unread=true&type={notification_type}")
    return sorted(item["count"] for item in items)


class AdminView:
    """The admin's notifications and the activity records, from a time on."""

    def __init__(self, port: int, token: str, since: str) -> None:
        """Count activity from `since`, an RFC 3339 time."""
        self._client, self._token, self._since = Client(port), token, since
        self._records_client = Client(port)  # notifications and records are awaited at the same time
        self._records: dict[int, int] = {}

    async def watch_only_messages(self) -> None:
        """Turn on the watch on sent messages, and all others off."""
        watches = {name: name == "message.sent" for name in ALL_WATCHES}
        await self._client.call("PUT", "/api/v1/admin/watches", self._token, watches)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._records_client.close()

    async def count_notified(self) -> int:
        """Return how many sent messages the admin's notifications count."""
        return sum(await unread_counts(self._client, self._token, "admin"))

    async def count_recorded(self) -> int:
        """Return how many messages the activity records hold; only new records are read, page by page, newest first."""
        query, page = f"limit=200&action=message.sent&since={self._since}", ""
        while True:
            answer = await self._records_client.call("GET", f"/api/v1/admin/activity?{query}{page}", self._token)
            fresh = {item["id"]: item["user"] for item in answer["items"] if item["id"] not in self._records}
            self._records |= fresh
            if answer["next"] is None or len(fresh) < len(answer["items"]):
                return len(self._records)
            page = f"&page={answer['next']}"

    async def count_by_user(self) -> Counter[int]:
        """Read every record again; return the number of each user's."""
        query = f"action=message.sent&since={self._since}"
        items = await read_list(self._records_client, "/api/v1/admin/activity", self._token, query)
        return Counter(item["user"] for item in items)


async def wait_for_count(count: Callable[[], Awaitable[int]], expected: int) -> tuple[int, float]:
    """Return the count once it is `expected` or has not moved for STALLED_S, and the seconds until then."""
    start = moved = perf_counter()
    last = -1
    while perf_counter() - moved < STALLED_S:
        now = await count()
        if now != last:
            last, moved = now, perf_counter()
        if last >= expected:
            break
        await asyncio.sleep(CHECK_INTERVAL_S)
    return last, perf_counter() - start
