"""A real store and queue in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import models
from conf import Settings
from jobs import tasks
from models import schema


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, worker_metrics_port=0, log_format="json")


@pytest.fixture
def store(settings: Settings) -> Iterator[Settings]:
    """Migrated, with the models, the queue and the consumers bound to it."""
    models.connect(settings)
    schema.migrate()
    tasks.bind(settings)
    yield settings
    tasks.huey.storage.close()
    models.disconnect()
