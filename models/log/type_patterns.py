"""Patterns of event types, by which a reader of the whole log chooses: `message.created`, `message.*` or `*`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from models.store.database import placeholders

PATTERN = re.compile(r"\*|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?")
EXPECTED = "must be types of events such as message.created, or beginnings of them such as message.*"
MAX_PATTERNS, MAX_PATTERN_CHARS = 50, 60


class TypePatterns(NamedTuple):
    """Whole types, and beginnings that end with a dot. Without any of both it matches all types."""

    types: frozenset[str] = frozenset()
    beginnings: tuple[str, ...] = ()

    def matches(self, event_type: str) -> bool:
        """Whether an event of this type is chosen."""
        return not (self.types or self.beginnings) or event_type in self.types or event_type.startswith(self.beginnings)

    def condition(self) -> tuple[str, list[str]]:
        """SQL of the same, with its parameters. Ranges: LIKE would ignore case on SQLite."""
        parts = [f"type IN ({placeholders(len(self.types))})"] if self.types else []
        parts += ["(type>=? AND type<?)"] * len(self.beginnings)
        ranges = [value for start in self.beginnings for value in (start, start[:-1] + "/")]  # the character after the dot
        return " OR ".join(parts) or "1=1", [*sorted(self.types), *ranges]


ALL_TYPES = TypePatterns()


def parse(patterns: Sequence[str]) -> TypePatterns:
    """Read patterns. None at all means all types. Raises ValueError with what is expected."""
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"must be at most {MAX_PATTERNS} types of events")
    if any(len(pattern) > MAX_PATTERN_CHARS or not PATTERN.fullmatch(pattern) for pattern in patterns):
        raise ValueError(EXPECTED)
    if "*" in patterns:
        return ALL_TYPES
    beginnings = tuple(sorted({pattern[:-1] for pattern in patterns if pattern.endswith("*")}))
    return TypePatterns(frozenset(pattern for pattern in patterns if not pattern.endswith("*")), beginnings)
