"""The result of one of `doctor`'s checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line: the level, the thing that was checked, and what to do about it."""

    level: Literal["ok", "warn", "FAIL"]
    what: str
    advice: str = ""

    def __str__(self) -> str:
        """Return the line, with line breaks in a library's message replaced by spaces."""
        text = f"{self.what}: {self.advice}" if self.advice else self.what
        return f"{self.level:<4}  {' '.join(text.split())}"


def ok(what: str) -> Finding:
    """Report that nothing needs to be done."""
    return Finding("ok", what)


def warn(what: str, advice: str) -> Finding:
    """Report something that works but needs attention."""
    return Finding("warn", what, advice)


def fail(what: str, advice: str) -> Finding:
    """Report something that does not work."""
    return Finding("FAIL", what, advice)
