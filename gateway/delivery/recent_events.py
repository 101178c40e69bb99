"""The log's newest events in memory, from which most catch-ups are answered."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from heapq import merge
from itertools import islice
from operator import attrgetter

import msgspec

from models.log.event import Event

MAX_RECENT_EVENTS = 10_000
MAX_RECENT_BYTES = 16 * 1024 * 1024
EVENTS_WITH_DELETED_TEXT = {  # type of a deletion -> types of the earlier events that carry the deleted text
    "message.deleted": ("message.created", "message.updated"),
    "post.deleted": ("post.created", "post.updated"),
    "comment.deleted": ("comment.created",),
}


class _Identified(msgspec.Struct):
    id: int


class _OfPost(msgspec.Struct):
    post: int


_id = attrgetter("id")
_identified = msgspec.json.Decoder(_Identified)
_of_post = msgspec.json.Decoder(_OfPost)


class RecentEvents:
    """All events with `low` < id <= head, in id order."""

    def __init__(self, head: int) -> None:
        self.low = head
        self._ids: list[int] = []
        self._events: list[Event] = []
        self._by_stream: dict[str, list[Event]] = {}
        self._bytes = 0

    def append(self, event: Event) -> None:
        """Append the next event. Past the bound of events or bytes, drop the oldest eighth."""
        self._ids.append(event.id)
        self._events.append(event)
        self._by_stream.setdefault(event.stream, []).append(event)
        self._bytes += len(event.data)
        if len(self._ids) > MAX_RECENT_EVENTS or self._bytes > MAX_RECENT_BYTES:
            self._drop_oldest(max(1, len(self._ids) // 8))

    def _drop_oldest(self, count: int) -> None:
        dropped = self._events[:count]
        self.low = dropped[-1].id
        self._bytes -= sum(len(e.data) for e in dropped)
        del self._ids[:count], self._events[:count]
        for stream, number in Counter(e.stream for e in dropped).items():
            of_stream = self._by_stream[stream]
            del of_stream[:number]
            if not of_stream:
                del self._by_stream[stream]

    def reset(self, head: int) -> None:
        """Drop all events; the next one follows `head`."""
        self.low, self._bytes = head, 0
        self._ids.clear()
        self._events.clear()
        self._by_stream.clear()

    def after(self, position: int) -> list[Event]:
        """The events after a position that is not below `low`."""
        return self._events[bisect_right(self._ids, position) :]

    def first_of_all(self, position: int, limit: int) -> list[Event]:
        """The first events of all streams after a position that is not below `low`, at most `limit`."""
        start = bisect_right(self._ids, position)
        return self._events[start : start + limit]

    def first(self, streams: Mapping[str, object], position: int, limit: int) -> list[Event]:
        """The first events of some streams after a position that is not below `low`, in order, and at most `limit`.

        It reads the events after the position or looks the streams up, whichever are fewer.
        """
        start = bisect_right(self._ids, position)
        if len(self._ids) - start <= len(streams):
            return [e for e in self._events[start:] if e.stream in streams][:limit]
        parts = (self._of_stream(stream, position, limit) for stream in streams if stream in self._by_stream)
        return list(islice(merge(*parts, key=_id), limit))

    def _of_stream(self, stream: str, position: int, limit: int) -> list[Event]:
        events = self._by_stream[stream]
        start = bisect_right(events, position, key=_id)
        return events[start : start + limit]

    def erase_text(self, deletion: Event) -> None:
        """Erase a deleted text from memory.

        Earlier events of the same message, post or comment get the data of the deletion, and the comments of a
        deleted post an empty body.
        """
        deleted = _identified.decode(deletion.data).id
        types = EVENTS_WITH_DELETED_TEXT[deletion.type]
        for event in self._by_stream.get(deletion.stream, ()):
            if event.type in types and _identified.decode(event.data).id == deleted:
                self._replace(event, deletion.data)
        if deletion.type == "post.deleted":
            self._erase_comments(deletion.stream, deleted)

    def _erase_comments(self, stream: str, post: int) -> None:
        for event in self._by_stream.get(stream, ()):
            if event.type == "comment.created" and _of_post.decode(event.data).post == post:
                self._replace(event, msgspec.json.encode({**msgspec.json.decode(event.data), "body": ""}))

    def _replace(self, event: Event, data: bytes) -> None:
        self._bytes += len(data) - len(event.data)
        event.data, event.json = data, b""
