"""Recorded conversations between real people, played over HTTP against a gateway and its worker."""

from tests.journeys.replay.replay import replay


def test_recorded_conversations_arrive_unchanged_and_are_counted_exactly() -> None:
    report = replay(conversations=25, away=0.2)
    assert report.faults == []
    assert report.sent == report.sendable > 100
    assert report.failed == 0
