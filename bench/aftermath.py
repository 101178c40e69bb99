"""What a replay left behind: notifications and activity records, read through the API until they are complete."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from bench.client import Client

STALLED_S = 30.0  # no progress for so long means that nothing more will come
LOOK_S = 0.1
ALL_WATCHES = ("user.created", "user.status", "message.sent", "user.activity")


async def listed(client: Client, path: str, token: str, query: str) -> list[dict[str, Any]]:
    """Return all items of a list, page by page."""
    items: list[dict[str, Any]] = []
    page = ""
    while True:
        answer = await client.call("GET", f"{path}?limit=200&{query}{page}", token)
        items += answer["items"]
        if answer["next"] is None:
            return items
        page = f"&page={answer['next']}"


async def unread_counts(client: Client, token: str, kind: str) -> list[int]:
    """Return the sorted counts of a person's unread notifications of one type."""
    found = await listed(client, "/api/v1/notifications", token, f"unread=true&type={kind}")
    return sorted(item["count"] for item in found)


class AdminView:
    """What the admin hears and can look up."""

    def __init__(self, client: Client, token: str, since: str) -> None:
        """Count activity from `since`, an RFC 3339 time."""
        self._client, self._token, self._since = client.another(), token, since
        self._records_client = client.another()  # both waits go on at the same time
        self._heard_before = 0
        self._watches: dict[str, bool] = {}
        self._records: dict[int, int] = {}

    async def watch_messages_only(self) -> None:
        """Leave on only the watch on sent messages, and remember what was heard before."""
        self._watches = await self._client.call("GET", "/api/v1/admin/watches", self._token)
        only = {name: name == "message.sent" for name in ALL_WATCHES}
        await self._client.call("PUT", "/api/v1/admin/watches", self._token, only)
        self._heard_before = sum(await unread_counts(self._client, self._token, "admin"))

    async def leave(self) -> None:
        """Set the watches back as they were."""
        await self._client.call("PUT", "/api/v1/admin/watches", self._token, self._watches)
        self._client.close()
        self._records_client.close()

    async def heard(self) -> int:
        """Return how many sent messages the admin's notifications count."""
        return sum(await unread_counts(self._client, self._token, "admin")) - self._heard_before

    async def recorded(self) -> int:
        """Return how many messages the activity records hold: reads what is new, page by page, newest first."""
        query, page = f"limit=200&action=message.sent&since={self._since}", ""
        while True:
            answer = await self._records_client.call("GET", f"/api/v1/admin/activity?{query}{page}", self._token)
            fresh = {item["id"]: item["user"] for item in answer["items"] if item["id"] not in self._records}
            self._records |= fresh
            if answer["next"] is None or len(fresh) < len(answer["items"]):
                return len(self._records)
            page = f"&page={answer['next']}"

    async def recount(self) -> Counter[int]:
        """Read every record again; return how many there are for each user."""
        found = await listed(
            self._records_client, "/api/v1/admin/activity", self._token, f"action=message.sent&since={self._since}"
        )
        return Counter(item["user"] for item in found)

    async def wait_heard(self, wanted: int) -> tuple[int, float]:
        """Return what the notifications count once it is `wanted` or stalls, and the seconds until then."""
        return await self._wait(self.heard, wanted)

    async def wait_recorded(self, wanted: int) -> tuple[int, float]:
        """Return the number of activity records once it is `wanted` or stalls, and the seconds until then."""
        return await self._wait(self.recorded, wanted)

    @staticmethod
    async def _wait(look: Callable[[], Awaitable[int]], wanted: int) -> tuple[int, float]:
        start = moved = perf_counter()
        found = -1
        while perf_counter() - moved < STALLED_S:
            now_found = await look()
            if now_found != found:
                found, moved = now_found, perf_counter()
            if found >= wanted:
                break
            await asyncio.sleep(LOOK_S)
        return found, perf_counter() - start
