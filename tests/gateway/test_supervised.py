"""What ends a gateway under a supervisor: a signal, a successor, and the end of the supervisor."""

import asyncio
import os
import signal
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import supervised
from gateway.server import _watch_for_end
from gateway.supervised import SiblingQueues, Supervised
from tests.waiting import until_async


@pytest.mark.parametrize("signalled", [False, True])
def test_a_successor_lets_a_gateway_wait_for_files_unless_a_signal_came_first(
    monkeypatch: pytest.MonkeyPatch, *, signalled: bool
) -> None:
    monkeypatch.setattr(supervised, "EXIT_WITHIN_S", 1_000_000)
    services: Any = SimpleNamespace(is_replaced=False)
    replaced: list[bool] = []  # at the end of the supervisor
    server: Any = SimpleNamespace(stop=lambda: replaced.append(services.is_replaced))

    async def run() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            here = Supervised(number=1, control=theirs.fileno(), shared=[], own=[], siblings=[], ports=[1], key="key")
            stopping = _watch_for_end(services, server, SiblingQueues(None), here)
            if signalled:
                os.kill(os.getpid(), signal.SIGTERM)
                await stopping.wait()
            with ours:
                ours.send(b"r")
            await until_async(lambda: replaced)
            assert stopping.is_set()

    asyncio.run(run())
    assert replaced == [not signalled]
