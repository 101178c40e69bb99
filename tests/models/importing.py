"""Imports for tests: lines as Python objects, written in transactions as an import does."""

from collections.abc import Callable
from typing import Any

import msgspec

from models.history import importing, lines
from models.history.lines import RawLine
from models.history.written import Written
from models.log import event

AT = "2024-05-01T10:00:{:02d}Z"


def user(external_id: str, **fields: Any) -> dict[str, Any]:
    return {"user": {"external_id": external_id, **fields}}


def conversation(key: str, *members: str, kind: str = "direct", **fields: Any) -> dict[str, Any]:
    return {"conversation": {"key": key, "kind": kind, "members": [f"ext:{member}" for member in members], **fields}}


def message(key: str, where: str, sender: str, second: int = 0, body: str = "old words", **fields: Any) -> dict[str, Any]:
    return {
        "message": {"key": key, "conversation": where, "sender": f"ext:{sender}", "body": body, "at": AT.format(second), **fields}
    }


def import_lines(*objects: Any, source: str = "shop", max_weight: int = 500, after: Callable[[], None] = lambda: None) -> Written:
    """Import lines (bytes are lines as they are), and call `after` after each transaction; return the counts."""
    raw = [o if isinstance(o, bytes) else msgspec.json.encode(o) for o in objects]
    total = Written()
    parsed = lines.parse(RawLine(str(number), line) for number, line in enumerate(raw, 1))
    steps = importing.steps(source, parsed, total, max_weight)
    step = next(steps, None)
    while step is not None:
        with event.transaction() as tx:
            done = step(tx)
        after()
        try:
            step = steps.send(done)
        except StopIteration:
            step = None
    return total
