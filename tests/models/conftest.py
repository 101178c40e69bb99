"""A store in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conf import Settings
from models.store.database import disconnect
from tests.stores import Database, open_migrated, settings_of


@pytest.fixture
def store(tmp_path: Path, database: Database) -> Iterator[Settings]:
    """A migrated store that the models are connected to."""
    with database.fresh() as named:
        settings = settings_of(tmp_path, named)
        open_migrated(settings)
        yield settings
        disconnect()
