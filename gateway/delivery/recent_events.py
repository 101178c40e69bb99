"""The ring: the log's newest events in memory, from which most catch-ups are answered."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from models.log.event import Event

RING_EVENTS = 10_000
RING_BYTES = 16 * 1024 * 1024
FORGETTING = {  # what is deleted -> the events that carried its text
    "message.deleted": ("message.created", "message.updated"),
    "post.deleted": ("post.created", "post.updated"),
    "comment.deleted": ("comment.created",),
}


class Ring:
    """All events with `low` < id <= head, in id order."""

    def __init__(self, head: int) -> None:
        self.low = head
        self._ids: list[int] = []
        self._events: list[Event] = []
        self._bytes = 0

    def append(self, event: Event) -> None:
        """Adds the next event; the oldest eighth goes when there are too many, or too large ones."""
        self._ids.append(event.id)
        self._events.append(event)
        self._bytes += len(event.data)
        if len(self._ids) > RING_EVENTS or self._bytes > RING_BYTES:
            gone = max(1, len(self._ids) // 8)
            self.low = self._ids[gone - 1]
            self._bytes -= sum(len(e.data) for e in self._events[:gone])
            del self._ids[:gone], self._events[:gone]

    def begin_anew(self, head: int) -> None:
        """Forgets all."""
        self.low, self._bytes = head, 0
        self._ids.clear()
        self._events.clear()

    def after(self, position: int) -> list[Event]:
        """The events after a position that is not below `low`."""
        return self._events[bisect_right(self._ids, position) :]

    def forget_text(self, deleted: Event) -> None:
        """Takes a deleted text out of memory: the earlier events carry what the one that deletes it carries, and the comments of a
        deleted post lose theirs."""
        same = deleted.data[: deleted.data.index(b",") + 1]  # MESSAGE, POST and COMMENT begin with their id: {"id":12,
        kinds = FORGETTING[deleted.type]
        for event in self._events:
            if event.stream == deleted.stream and event.type in kinds and event.data.startswith(same):
                self._replace(event, deleted.data)
        if deleted.type == "post.deleted":
            self._forget_comments(deleted.stream, b'"post":%b' % same[len(b'{"id":') :])

    def _forget_comments(self, stream: str, on: bytes) -> None:
        for event in self._events:
            if event.stream == stream and event.type == "comment.created" and event.data.split(b",", 1)[1].startswith(on):
                self._replace(event, msgspec.json.encode({**msgspec.json.decode(event.data), "body": ""}))

    def _replace(self, event: Event, data: bytes) -> None:
        self._bytes += len(data) - len(event.data)
        event.data, event.json = data, b""
