"""A broker of the local channel, for tests of what it connects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commands.channel import ChannelBroker


@contextmanager
def running_broker(path: Path) -> Iterator[ChannelBroker]:
    """Run a broker at a path."""
    broker = ChannelBroker(path)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
