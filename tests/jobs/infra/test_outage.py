"""Steps of a background loop, of which some fail."""

import threading

import pytest
from prometheus_client import REGISTRY

from conf import Settings
from jobs import tasks
from jobs import worker as worker_module
from jobs.infra.outage import Outage
from jobs.worker import WorkerConsumer
from tests.waiting import until


def failures(name: str) -> float:
    return REGISTRY.get_sample_value("bellwire_failures_total", {"what": name}) or 0.0


def fail() -> None:
    raise ZeroDivisionError


def test_the_series_of_failures_begins_at_0() -> None:
    Outage("never_fails", "nothing happens")
    assert REGISTRY.get_sample_value("bellwire_failures_total", {"what": "never_fails"}) == 0


def test_each_step_runs_although_others_fail_and_the_failures_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    outage, done = Outage("steps", "it is tried again"), []
    for _ in range(3):
        outage.run_each(fail, lambda: done.append(1), fail, lambda: done.append(2))
    assert done == [1, 2] * 3
    assert failures("steps") == 6
    assert outage.ongoing
    outage.run_each(lambda: done.append(3))
    assert not outage.ongoing
    log = "".join(capsys.readouterr())
    assert (log.count("steps_failing"), log.count("steps_recovered")) == (1, 1)


@pytest.mark.parametrize("failing", ["renew", "run_pending", "renew_mail", "send", "measure_disk", "measure_queue"])
def test_the_checker_of_a_worker_survives_an_error_of_each_of_its_calls(
    store: Settings, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    monkeypatch.setattr(worker_module, "CHECK_INTERVAL_S", 0.001)
    monkeypatch.setattr(worker_module, "MEASURE_INTERVAL_S", -1.0)
    calls = dict.fromkeys(("renew", "run_pending", "renew_mail", "send", "measure_disk", "measure_queue"), 0)
    before = failures("log_check") + failures("gauges")
    worker = WorkerConsumer(tasks.huey, store, workers=1, periodic=False)

    def replace(owner: object, name: str, call: str) -> None:
        def count(*_: object) -> None:
            calls[call] += 1
            if call == failing and calls[call] == 1:
                raise ZeroDivisionError

        monkeypatch.setattr(owner, name, count)

    replace(worker.huey.scheduler, "renew", "renew")
    replace(tasks, "run_pending", "run_pending")
    replace(worker._mailer, "renew", "renew_mail")
    replace(worker._heartbeat, "send", "send")
    replace(worker_module, "measure_disk", "measure_disk")
    replace(worker_module, "measure_queue", "measure_queue")
    thread = threading.Thread(target=worker._check_repeatedly)
    thread.start()
    until(lambda: min(calls.values()) > 2)
    worker.stop_flag.set()
    thread.join()
    assert failures("log_check") + failures("gauges") == before + 1
