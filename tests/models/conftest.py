"""A real store in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import models
from conf import Settings
from models import schema


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Settings]:
    """Migrated, with the models bound to it."""
    settings = Settings(data_dir=tmp_path)
    models.connect(settings)
    schema.migrate()
    yield settings
    models.disconnect()
