from datetime import datetime

import pytest
from huey.registry import Message

from jobs.queue.payload import JsonSerializer, queued_ms


def test_a_message_survives_the_queue_as_json() -> None:
    following = Message("b", "jobs.tasks.drain", None, 0, 0, None, ("watch",), {})
    message = Message(
        "a", "jobs.tasks.drain", datetime(2026, 11, 21, 9, 30), 2, 1.5, 10, ("notify", 1), {"deep": [None, {"x": 1}]}, following
    )
    payload = JsonSerializer().serialize(message)
    assert payload.startswith(b'{"at":')
    read = JsonSerializer().deserialize(payload)
    assert tuple(read)[:8] == tuple(message)[:8]
    assert tuple(read.on_complete)[:3] == tuple(following)[:3]
    assert read.queued_ms == queued_ms(payload) > 0


def test_other_values_are_plain_json() -> None:
    assert JsonSerializer().deserialize(JsonSerializer().serialize([1.5, "x", None])) == [1.5, "x", None]


def test_what_json_cannot_hold_is_refused_when_it_is_queued() -> None:
    with pytest.raises(TypeError):
        JsonSerializer().serialize(Message("a", "jobs.tasks.drain", args=(object(),), kwargs={}))
