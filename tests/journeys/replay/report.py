"""The report of a replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.load.loops import percentile
from tests.journeys.replay.exactness import Copies

SHARES = (0.5, 0.95, 0.99)


def milliseconds(values_s: Sequence[float]) -> str:
    """Return p50 / p95 / p99 / max of times in seconds, shown in milliseconds."""
    if not values_s:
        return "nothing measured"
    figures = [*(percentile(values_s, share) for share in SHARES), max(values_s)]
    return "p50 / p95 / p99 / max " + " / ".join(f"{1000 * value:.1f}" for value in figures) + " ms"


@dataclass
class Report:
    """Figures and checks; times in seconds."""

    people: int
    away: int
    conversations: int
    unsendable: int
    sendable: int
    sent: int = 0
    retried: int = 0
    failed: int = 0
    seconds: float = 0.0
    client_cpu_percent: float = 0.0
    send_s: list[float] = field(default_factory=list)
    delivery_s: list[float] = field(default_factory=list)
    database_bytes: int | None = None
    copies: Copies = field(default_factory=Copies)
    notifications_lag_s: float = 0.0
    records_lag_s: float = 0.0
    poll_failures: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether every check holds."""
        return not self.faults

    def expect(self, subject: str, actual: object, expected: object) -> None:
        """Enter a fault unless both are equal."""
        if actual != expected:
            self.faults.append(f"{subject}: {str(actual)[:200]} instead of {str(expected)[:200]}")

    def __str__(self) -> str:
        """Return the report as lines of text."""
        copies, size = self.copies, self.database_bytes
        lines = [
            f"{self.people:,} people, {self.away:,} of them away; {self.conversations:,} conversations",
            f"{self.sent:,} messages sent of {self.sendable:,} in {self.seconds:.1f} s: "
            f"{self.sent / self.seconds if self.seconds else 0:,.0f}/s; {self.retried} retries, {self.failed} failed; "
            f"this client used {self.client_cpu_percent:.0f} % of a core; {self.unsendable} more are empty or too long",
            f"send      {milliseconds(self.send_s)}",
            f"delivery  {milliseconds(self.delivery_s)} (to people looking; {self.poll_failures} polls failed)",
            f"copies    {copies.expected:,} expected: {copies.lost} lost, {copies.doubled} doubled, "
            f"{copies.unexpected} unexpected, {copies.altered} altered, {copies.misplaced} out of order",
            f"drains    notifications complete {self.notifications_lag_s:.1f} s after the last send, "
            f"activity records {self.records_lag_s:.1f} s (reading them included)",
            f"data      {'unknown' if size is None else f'{size / 1e6:,.1f} MB'}",
        ]
        verdict = ["exact: every check holds"] if self.exact else [f"{len(self.faults)} checks failed:", *self.faults[:20]]
        return "\n".join([*lines, *verdict])
