"""What a check of `doctor` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line: how it is, what was looked at, and what to do when it is not well."""

    level: Literal["ok", "warn", "FAIL"]
    what: str
    advice: str = ""

    def __str__(self) -> str:
        """The line; what a library's message brings of further ones is joined."""
        text = f"{self.what}: {self.advice}" if self.advice else self.what
        return f"{self.level:<4}  {' '.join(text.split())}"


def ok(what: str) -> Finding:
    """All is well."""
    return Finding("ok", what)


def warn(what: str, advice: str) -> Finding:
    """It works, but should be looked at."""
    return Finding("warn", what, advice)


def fail(what: str, advice: str) -> Finding:
    """It does not work."""
    return Finding("FAIL", what, advice)
