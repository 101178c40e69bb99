"""A house for each journey."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A migrated store without processes; what is started ends with the test."""
    built = House(tmp_path)
    yield built
    built.close()
