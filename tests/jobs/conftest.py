"""A real store and queue in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conf import Settings
from jobs import tasks
from models.store.database import disconnect
from tests.smtp_server import SmtpServer
from tests.stores import Database, open_migrated, settings_of
from tests.waiting import LIMIT_S


@pytest.fixture
def settings(tmp_path: Path, database: Database) -> Iterator[Settings]:
    with database.fresh() as named:
        yield settings_of(tmp_path, {**named, "worker_metrics_port": 0, "log_format": "json"})


@pytest.fixture
def store(settings: Settings) -> Iterator[Settings]:
    """A migrated store, with the models, the queue and the consumers bound to it."""
    open_migrated(settings)
    tasks.bind(settings)
    yield settings
    tasks.huey.storage.close()
    disconnect()


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """A mail server for one test, without passwords or TLS."""
    server = SmtpServer().start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def shared_relay() -> Iterator[SmtpServer]:
    """One mail server for all tests of a file."""
    server = SmtpServer().start()
    yield server
    server.stop()


@pytest.fixture
def relay(shared_relay: SmtpServer) -> SmtpServer:
    """The shared mail server, without the mails of other tests."""
    shared_relay.mails.clear()
    return shared_relay


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each consumer run until it is done: on a busy machine its second is over before it has written anything."""
    monkeypatch.setattr(tasks, "MAX_CONSUMER_S", LIMIT_S)
