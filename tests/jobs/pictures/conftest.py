"""Workers that make pictures ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from conf import Settings
from jobs.pictures.processor import PictureProcessor


@pytest.fixture
def start(store: Settings) -> Iterator[Callable[[], PictureProcessor]]:
    """Start a processor, which ends with the test."""
    started: list[PictureProcessor] = []

    def begin() -> PictureProcessor:
        started.append(PictureProcessor(store))
        started[-1].start()
        return started[-1]

    yield begin
    for processor in started:
        processor.stop()
    for processor in started:
        processor.join(30)
        assert not processor.is_alive()
