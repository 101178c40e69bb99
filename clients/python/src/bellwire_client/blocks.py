"""Server-sent events, from bytes as they come (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
from typing import Any


class Blocks:
    """What has come of a stream. Lines end with a line feed and nothing else: JSON may hold any other separator of Unicode."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, received: bytes) -> list[tuple[str | None, dict[str, Any] | None]]:
        """The id and the data of each block that is complete by now, None where it has none."""
        *blocks, self._rest = (self._rest + received).split(b"\n\n")
        return [self._read(block) for block in blocks]

    def _read(self, block: bytes) -> tuple[str | None, dict[str, Any] | None]:
        fields = dict(line.partition(b": ")[::2] for line in block.split(b"\n"))
        data = fields.get(b"data")
        return fields.get(b"id", b"").decode() or None, None if data is None else json.loads(data)
