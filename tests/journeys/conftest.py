"""A cluster for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.cluster import Cluster
from tests.stores import Database


@pytest.fixture
def cluster(tmp_path: Path, database: Database) -> Iterator[Cluster]:
    """A migrated store without processes. Processes that the test starts end with it."""
    with database.fresh() as named:
        built = Cluster(tmp_path, named)
        yield built
        built.close()
