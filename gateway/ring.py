"""The ring: the log's newest events in memory, from which most catch-ups are answered."""

from __future__ import annotations

from bisect import bisect_right

from models.event import Event

RING_EVENTS = 10_000
RING_BYTES = 16 * 1024 * 1024
MESSAGE_EVENTS = ("message.created", "message.updated")


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

    def after(self, position: int) -> list[Event]:
        """The events after a position that is not below `low`."""
        return self._events[bisect_right(self._ids, position) :]

    def forget_text(self, deleted: Event) -> None:
        """Takes a deleted message's text out of memory: its earlier events carry what `message.deleted` carries."""
        same = deleted.data[: deleted.data.index(b",") + 1]  # MESSAGE begins with its id: {"id":12,
        for event in self._events:
            if event.stream == deleted.stream and event.type in MESSAGE_EVENTS and event.data.startswith(same):
                self._bytes += len(deleted.data) - len(event.data)
                event.data, event.json = deleted.data, b""
