"""A house for each journey."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.house import House
from tests.stores import Database


@pytest.fixture
def house(tmp_path: Path, database: Database) -> Iterator[House]:
    """A migrated store without processes; what is started ends with the test."""
    with database.fresh() as named:
        built = House(tmp_path, named)
        yield built
        built.close()
