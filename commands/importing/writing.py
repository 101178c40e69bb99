"""Writing an import: one small transaction after the other, with pauses while others write, too."""

from __future__ import annotations

import time
from collections.abc import Iterable

from commands.importing.progress import Progress
from jobs.drain.pacing import PAUSE_FACTOR
from models.history import importing, lines
from models.history.lines import RawLine, Refused
from models.history.written import Written
from models.log import event

BUSY_S = 1.0  # so long after others have written, they are expected to go on


def write(source: str, raw_lines: Iterable[RawLine | Refused], progress: Progress) -> Written:
    """Import lines, and return the counts."""
    total = Written()
    steps = importing.steps(source, lines.parse(raw_lines), total)
    newest, busy_until = None, 0.0
    step = next(steps, None)
    while step is not None:
        with event.transaction() as tx:
            began = time.monotonic()
            if newest not in (None, tx.head):
                busy_until = began + BUSY_S
            done = step(tx)
            newest = tx.events[-1].id if tx.events else tx.head
        ended = time.monotonic()
        if ended < busy_until:
            time.sleep(PAUSE_FACTOR * (ended - began))
        try:
            step = steps.send(done)
        except StopIteration:
            step = None
        progress.show(total)
    return total
