from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from conf import Settings
from gateway.background import Background
from jobs import tasks
from models.accounts import registration
from models.accounts.registration import NewUser
from models.chat.message import Draft, post
from models.log import event
from models.store.database import rows
from tests.waiting import until


@pytest.fixture
def background(store: Settings) -> Iterator[Background]:
    background = Background(store)
    yield background
    background.stop()
    tasks.huey.storage.close()


def send(count: int = 1) -> None:
    """Ana sends messages to Ben. Both are created if they do not exist."""
    with event.transaction() as tx:
        if not rows("SELECT 1 FROM users"):
            registration.create_active(tx, [NewUser("ana", "ana@example.org"), NewUser("ben", "ben@example.org")], [None, None])
        post(tx, [Draft(1, 0, "hi", to=2) for _ in range(count)])


def notified() -> int:
    return int(rows("SELECT coalesce(sum(count), 0) FROM notifications")[0][0])


def fallbacks() -> float:
    return REGISTRY.get_sample_value("bellwire_queue_fallback_total", {"task": "drain"}) or 0.0


def test_a_commit_queues_one_drain_and_the_gateway_runs_none(background: Background) -> None:
    background.start()
    for _ in range(5):
        send()
        background.wake()
    until(lambda: tasks.huey.pending_count() == 1)
    assert tasks.huey.dequeue().args == ("notify",)
    assert notified() == 0
    assert background.degraded is False


def is_replaced_by_a_folder(file: Path) -> bool:
    """Put a folder in a file's place; False when the gateway's thread made the file anew meanwhile."""
    file.unlink(missing_ok=True)
    try:
        file.mkdir()
    except FileExistsError:
        return False
    return True


@pytest.mark.only("sqlite")
def test_the_gateway_drains_itself_while_the_queue_fails(store: Settings, background: Background) -> None:
    background.start()
    send()
    background.wake()
    until(lambda: tasks.huey.pending_count() == 1)
    before = fallbacks()
    until(lambda: is_replaced_by_a_folder(store.queue_path))
    send(2)
    background.wake()
    until(lambda: notified() == 3)
    until(lambda: fallbacks() > before)
    assert background.degraded is True
    assert rows("SELECT count(*) FROM activities") == [(3,)], "every consumer is drained"
    send(2)  # without a wake-up
    until(lambda: notified() == 5)
    store.queue_path.rmdir()
    until(lambda: not background.degraded)
    send()
    background.wake()
    until(lambda: tasks.huey.pending_count() == 1)
    assert notified() == 5


@pytest.mark.only("sqlite")
def test_an_outage_is_logged_once_and_so_is_its_end(
    store: Settings, background: Background, capsys: pytest.CaptureFixture[str]
) -> None:
    store.queue_path.mkdir()
    background.start()
    send()
    background.wake()
    until(lambda: notified() == 1)
    send()
    background.wake()
    until(lambda: notified() == 2)
    store.queue_path.rmdir()
    until(lambda: not background.degraded)
    background.stop()
    log = "".join(capsys.readouterr())
    assert log.count("queue_failing") == 1
    assert log.count("queue_recovered") == 1


def test_sizes_and_lag_are_measured_without_a_worker(store: Settings, background: Background) -> None:
    with event.transaction() as tx:
        tx.now_ms -= 60_000
        registration.create_active(tx, [NewUser("ana", "ana@example.org"), NewUser("ben", "ben@example.org")], [None, None])
        post(tx, [Draft(1, 0, "hi", to=2)])
    background.start()
    sample = REGISTRY.get_sample_value
    until(lambda: (sample("bellwire_log_lag_seconds", {"consumer": "notify"}) or 0) >= 60)
    until(lambda: sample("bellwire_table_rows", {"table": "users"}) == 2)
    until(lambda: (sample("bellwire_database_bytes") or 0) > 4096)
    until(lambda: ((sample("bellwire_wal_bytes") or 0) > 0) == (store.database_url is None))


def test_stop_may_be_called_before_start(background: Background) -> None:
    background.stop()
