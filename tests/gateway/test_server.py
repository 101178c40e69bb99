import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.server import LARGE_BLOCK_BYTES, return_memory
from models.log import event
from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway
from tests.gateway.transports import stream
from tests.waiting import LIMIT_S, until

SENT = "message.created"


@pytest.fixture(params=["gateway", "serve"])
def gateway(make_gateway: Callable[..., Gateway], request: pytest.FixtureRequest) -> Gateway:
    """A gateway to stop, without and with a worker beside it."""
    return make_gateway(str(request.param))


def test_stopping_answers_open_polls_serves_requests_a_little_longer_and_ends(gateway: Gateway, ana: Client, ben: Client) -> None:
    conversation = ana.group(ben)  # a message would make a worker notify Ben, which his polls would hear of
    cursor = ben.now()
    polls = [ben.polling(cursor, timeout=60) for _ in range(3)]
    gateway.waiting(3)
    assert gateway.process is not None

    with stream(ben) as opened:
        blocks = opened.blocks()
        next(blocks)
        gateway.terminate()
        for poll in polls:
            answer = poll.result()
            assert answer.status_code == 200
            assert [e for e in answer.json()["events"] if e["id"] is not None] == []
            assert answer.json()["cursor"] == cursor
            assert answer.headers["Connection"] == "close"
        assert list(blocks) in ([], [None])

    readiness = gateway.anonymous().get("//readyz")
    assert problem(readiness, 503, "unavailable")["failing"] == ["shutdown"]
    assert gateway.anonymous().get("//healthz").headers["Connection"] == "close"
    sent = ana.post("/messages", {"conversation": conversation, "body": "in the last moment"})
    assert (sent.status_code, sent.headers["Connection"]) == (201, "close")
    late = ben.get("/events", cursor=cursor, timeout=60, types=SENT)
    assert [e["data"]["body"] for e in late.json()["events"] if e["id"] is not None] == ["in the last moment"]
    assert ben.poll(late.json()["cursor"], timeout=60, types=SENT)["events"] == []

    assert gateway.process.wait(LIMIT_S) == 0
    assert gateway.rows("SELECT body FROM messages ORDER BY id DESC LIMIT 1") == [("in the last moment",)]
    assert "Traceback" not in gateway.stderr()


def test_a_send_that_was_answered_survives_a_kill(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    ana, ben = gateway.users(2)
    cursor = ben.now()
    answers = [gateway.later(ana.post, "/messages", {"to": ben.id, "body": str(n), "client_id": str(n)}) for n in range(60)]
    until(lambda: any(a.done() for a in answers))
    gateway.kill()
    answered = {a.result().json()["id"] for a in answers if a.exception() is None and a.result().status_code == 201}
    gateway.start()

    assert answered <= {e["data"]["id"] for e in ben.events(cursor) if e["type"] == "message.created"}
    retries = [ana.post("/messages", {"to": ben.id, "body": str(n), "client_id": str(n)}) for n in range(60)]
    assert {a.status_code for a in retries} <= {200, 201}
    bodies = [e["data"]["body"] for e in ben.events(cursor) if e["type"] == "message.created"]
    assert sorted(bodies, key=int) == [str(n) for n in range(60)]


def test_an_answered_send_is_stored_when_the_gateway_then_ends(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    ana, ben = gateway.users(2)
    ana.send("hi", to=ben)
    gateway.terminate()
    assert gateway.process is not None
    assert gateway.process.wait(LIMIT_S) == 0
    gateway.start()
    assert [e["type"] for e in ben.events("begin")] == ["conversation.created", "message.created"]


def test_users_stay_online_until_the_lease_of_a_gateway_that_ended_runs_out(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    ana, ben = gateway.users(2)
    ana.send("hi", to=ben)
    ben.poll("begin")
    until(lambda: gateway.rows("SELECT 1 FROM online WHERE user_id=?", ben.id))
    assert ana.get("/state").json()["presence"] == {str(ben.id): True}

    gateway.terminate()
    assert gateway.process is not None
    gateway.process.wait(LIMIT_S)
    gateway.start()
    again = Client(gateway, ana.id, ana.name, ana.token)
    assert again.get("/state").json()["presence"] == {str(ben.id): True}
    gateway.execute("UPDATE leases SET until_ms=1000")
    assert again.get("/state").json()["presence"] == {str(ben.id): False}


@pytest.mark.only("sqlite")  # PostgreSQL ends a transaction that stays idle
def test_the_gateway_ends_although_another_transaction_locks_the_store(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    ana, ben = gateway.users(2)
    ana.send("before", to=ben)
    with gateway.store(), event.transaction():
        waiting = gateway.later(ana.post, "/messages", {"to": ben.id, "body": "never answered", "client_id": "held"})
        until(lambda: gateway.metric("bellwire_commit_queue") > 0)
        gateway.terminate()
        assert gateway.process is not None
        assert gateway.process.wait(LIMIT_S) == 0
    assert waiting.exception() is not None or waiting.result().status_code == 503
    assert gateway.rows("SELECT count(*) FROM messages") == [(1,)]


def resident_bytes() -> int:
    """Return the memory of this process that is in use, from /proc."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_memory_of_long_texts_that_are_freed_is_returned_although_short_ones_between_them_stay() -> None:
    return_memory()
    _ = bytes([1]) * 2**20  # the C library would from now on keep what is smaller
    del _
    before = resident_bytes()
    blocks = [(bytes([1]) * (4 * LARGE_BLOCK_BYTES), bytes([1]) * 600) for _ in range(500)]
    grown = resident_bytes() - before
    kept = [short for _, short in blocks]
    del blocks
    assert resident_bytes() - before < grown / 4
    assert len(kept) == 500
