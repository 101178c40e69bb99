"""Thread pools: nobody's work keeps the others' waiting."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPServerRequest, RequestStartLine

from conf import Settings
from gateway.api.conversations import Conversations
from gateway.api.notifications import MessageSearch
from gateway.commit.threads import MAX_SEARCHES_PER_ACCOUNT, SearchPool, ThreadPool
from gateway.http import base
from gateway.http.base import Handler
from models.store.errors import LimitedError
from tests.models.people import index_messages, people, send
from tests.waiting import LIMIT_S, until


def test_an_account_has_one_reader_however_much_it_reads() -> None:
    ran: list[str] = []
    free = threading.Event()

    def read(name: str) -> None:
        ran.append(name)
        if name.startswith("ana"):
            free.wait(LIMIT_S)

    async def scenario() -> None:
        pool = ThreadPool("reader", 3, 100)
        many = [asyncio.ensure_future(pool.of_account(1, read, f"ana {n}")) for n in range(5)]
        await pool.of_account(2, read, "ben")
        await pool(read, "nobody")
        before = list(ran)
        free.set()
        await asyncio.gather(*many)
        pool.close()
        assert sorted(before) == ["ana 0", "ben", "nobody"]

    asyncio.run(scenario())
    assert ran[3:] == [f"ana {n}" for n in range(1, 5)]


def test_an_account_with_many_searches_delays_another_by_one() -> None:
    ran: list[str] = []
    began, free = threading.Event(), threading.Event()

    def search(name: str) -> None:
        began.set()
        free.wait(120)
        ran.append(name)

    async def scenario() -> None:
        pool = SearchPool()
        many = [asyncio.ensure_future(pool.of_account(1, search, f"ana {n}")) for n in range(MAX_SEARCHES_PER_ACCOUNT)]
        await asyncio.to_thread(began.wait, 120)
        other = asyncio.ensure_future(pool.of_account(2, search, "ben"))
        await asyncio.sleep(0)
        with pytest.raises(LimitedError):
            await pool.of_account(1, search, "one too many")
        free.set()
        await asyncio.gather(*many, other)
        await pool.of_account(1, search, "later")
        pool.close()

    asyncio.run(scenario())
    assert ran == ["ana 0", "ben", *[f"ana {n}" for n in range(1, MAX_SEARCHES_PER_ACCOUNT)], "later"]


class NamedCalls:
    """A pool in the place of others, with the names of the functions that it has run."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def of_account(self, account: int, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a function."""
        self.names.append(function.__name__)
        return function(*args, **kwargs)


@pytest.mark.parametrize(
    ("handler_type", "q", "searched", "read"),
    [
        (MessageSearch, "words", ["find", "hits", "hits"], []),
        (Conversations, "b", ["find"], ["conversation_list", "conversation_list"]),
    ],
)
def test_searches_are_no_work_of_readers(
    store: Settings, handler_type: type[Handler], q: str, searched: list[str], read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "MAX_ITEMS_PER_FIRST_READ", 1)
    ana, *others = people("ana", "ben", "bert", "bea")
    index_messages([send(ana, "words", to=other) for other in others])
    handler = handler_type.__new__(handler_type)
    start_line = RequestStartLine("GET", f"/?q={q}", "HTTP/1.1")
    headers = HTTPHeaders({"Host": "localhost"})
    handler.request = HTTPServerRequest(start_line=start_line, headers=headers, connection=HTTPConnection())
    handler.actor = SimpleNamespace(user=ana)
    handler.services = SimpleNamespace(
        search=NamedCalls(), read=NamedCalls(), assembled_bytes=0, settings=SimpleNamespace(contacts="everyone")
    )
    answers: list[bytes] = []
    monkeypatch.setattr(handler, "answer", answers.append)
    asyncio.run(handler.get())
    assert len(msgspec.json.decode(answers[0])["items"]) == len(others)
    assert (handler.services.search.names, handler.services.read.names) == (searched, read)


class CountingSemaphore(threading.Semaphore):
    """A semaphore that counts the attempts to acquire it."""

    attempts = 0

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        self.attempts += 1
        return super().acquire(blocking, timeout)


def test_threads_wait_for_the_loop_to_take_their_results() -> None:
    ran: list[int] = []

    async def scenario() -> None:
        pool = ThreadPool("reader", 2, 10)
        pool._untaken = semaphore = CountingSemaphore(2)
        calls = [asyncio.ensure_future(pool(ran.append, number)) for number in range(6)]
        await asyncio.sleep(0)
        until(lambda: semaphore.attempts == 4)  # the loop is busy meanwhile
        assert len(ran) == 2
        await asyncio.gather(*calls)
        pool.close()

    asyncio.run(scenario())
    assert sorted(ran) == list(range(6))
