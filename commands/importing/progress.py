"""The progress of an import, on standard error: how far it is, and the lines that are refused."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

import msgspec

from models.history.import_keys import MESSAGE
from models.history.lines import Refused
from models.history.written import Written

MAX_REFUSED_SHOWN = 100
LINE_EVERY_S = 0.2  # on a terminal, where it is written over
LOG_EVERY_S = 10.0


class Progress:
    """Prints the number of messages so far: one line on a terminal, else a line now and then. `refused` counts refused lines."""

    def __init__(self, refused_file: Path | None) -> None:
        self.refused = 0
        self._file_path = refused_file
        self._file: IO[bytes] | None = None
        self._files = ExitStack()
        self._terminal = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Self:
        if self._file_path is not None:
            self._file = self._files.enter_context(self._file_path.open("wb"))
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()
        self._print("")

    def show(self, total: Written) -> None:
        """Print what was refused since, and how far the import is. Refused lines are dropped from `total`."""
        for line in total.refused:
            self._refuse(line)
        total.refused.clear()
        now = time.monotonic()
        if now - self._shown < (LINE_EVERY_S if self._terminal else LOG_EVERY_S):
            return
        self._shown = now
        done = total.created[MESSAGE]
        text = f"{done:,} messages imported, {total.unchanged[MESSAGE]:,} there already, {done / (now - self._started):,.0f}/s"
        self._print(text, end="" if self._terminal else "\n")

    def _refuse(self, line: Refused) -> None:
        self.refused += 1
        if self._file is not None:
            self._file.write(msgspec.json.encode(line._asdict()) + b"\n")
        if self.refused <= MAX_REFUSED_SHOWN:
            self._print(": ".join(part for part in line if part) + "\n")
        elif self.refused == MAX_REFUSED_SHOWN + 1:
            self._print("more lines are refused: --refused FILE writes all of them to a file\n")

    def _print(self, text: str, end: str = "") -> None:
        erased = "\r\033[K" if self._terminal else ""
        print(f"{erased}{text}", end=end, file=sys.stderr, flush=True)
