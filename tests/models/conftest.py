"""A real store in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import models
from conf import Settings
from models import schema
from tests.stores import Database, settings_of


@pytest.fixture
def store(tmp_path: Path, database: Database) -> Iterator[Settings]:
    """Migrated, with the models bound to it."""
    with database.fresh() as named:
        settings = settings_of(tmp_path, named)
        models.connect(settings)
        schema.migrate()
        yield settings
        models.disconnect()
