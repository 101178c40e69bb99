"""A parser for server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
from typing import Any


class SseParser:
    """A parser that gets the bytes of a stream piece by piece.

    Only a line feed ends a line: JSON may contain the other line separators of Unicode.
    """

    def __init__(self) -> None:
        self._incomplete = b""

    def feed(self, received: bytes) -> list[tuple[str | None, dict[str, Any] | None]]:
        """Return (id, data) of each block that is complete now; either is None if the block has none."""
        *blocks, self._incomplete = (self._incomplete + received).split(b"\n\n")
        return [self._parse(block) for block in blocks]

    def _parse(self, block: bytes) -> tuple[str | None, dict[str, Any] | None]:
        fields = dict(line.partition(b": ")[::2] for line in block.split(b"\n"))
        data = fields.get(b"data")
        return fields.get(b"id", b"").decode() or None, None if data is None else json.loads(data)
