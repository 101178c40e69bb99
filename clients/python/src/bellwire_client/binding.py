"""Descriptors by which one definition of a call serves both clients: one returns its result, the other an awaitable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from bellwire_client.paging import Pages
from bellwire_client.steps import Steps

P = ParamSpec("P")
T = TypeVar("T")


class BlockingRunner(Protocol):
    """A client that waits for the result of a call."""

    def run(self, steps: Steps[T]) -> T:
        """Perform the steps of a call, and return its result."""

    def each(self, pages: Pages[T]) -> Iterator[T]:
        """Yield the items of a list, page by page."""


class AsyncRunner(Protocol):
    """A client for asyncio."""

    async def run(self, steps: Steps[T]) -> T:
        """Perform the steps of a call, and return its result."""

    def each(self, pages: Pages[T]) -> AsyncIterator[T]:
        """Yield the items of a list, page by page."""


class call(Generic[P, T]):
    """A method that is written as steps, and returns their result."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self._steps = steps
        self.__doc__, self.__wrapped__ = steps.__doc__, steps  # for help()

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    @overload
    def __get__(self, client: BlockingRunner, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: AsyncRunner, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        """Bind the method to a client."""
        if client is None:
            return self

        @wraps(self._steps)
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(self._steps(client, *args, **kwargs))

        return bound


class listing(Generic[P, T]):
    """A method that returns an iterator over a list; each page is requested when it is needed."""

    def __init__(self, pages: Callable[Concatenate[Any, P], Pages[T]]) -> None:
        self._pages = pages
        self.__doc__, self.__wrapped__ = pages.__doc__, pages

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    @overload
    def __get__(self, client: BlockingRunner, owner: type) -> Callable[P, Iterator[T]]: ...

    @overload
    def __get__(self, client: AsyncRunner, owner: type) -> Callable[P, AsyncIterator[T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        """Bind the method to a client."""
        if client is None:
            return self

        @wraps(self._pages)
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.each(self._pages(client, *args, **kwargs))

        return bound
