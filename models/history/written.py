"""The counts of an import: of one transaction, and of all."""

from __future__ import annotations

from collections import Counter

import msgspec

from models.history.lines import Refused


class Written(msgspec.Struct):
    """The number of users, conversations and messages that were created, changed and there already, by kind of line; the lines that
    were refused; and the groups some of whose members are still to be added, by id."""

    created: Counter[str] = msgspec.field(default_factory=Counter)
    changed: Counter[str] = msgspec.field(default_factory=Counter)
    unchanged: Counter[str] = msgspec.field(default_factory=Counter)
    refused: list[Refused] = []
    growing: list[int] = []

    def add(self, other: Written) -> None:
        """Add the counts of a transaction that was committed."""
        self.created += other.created
        self.changed += other.changed
        self.unchanged += other.unchanged
        self.refused += other.refused
