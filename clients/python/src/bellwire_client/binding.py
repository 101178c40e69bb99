"""Makes one definition of a call serve both clients: the blocking one gives its result, the other one something to await."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from bellwire_client.paging import Pages
from bellwire_client.steps import Steps

P = ParamSpec("P")
T = TypeVar("T")


class Blocking(Protocol):
    """A client that waits for what comes of a call."""

    def run(self, steps: Steps[T]) -> T:
        """Takes the steps."""

    def each(self, pages: Pages[T]) -> Iterator[T]:
        """Asks for one page after the other."""


class Awaiting(Protocol):
    """A client on an event loop."""

    async def run(self, steps: Steps[T]) -> T:
        """Takes the steps."""

    def each(self, pages: Pages[T]) -> AsyncIterator[T]:
        """Asks for one page after the other."""


class call(Generic[P, T]):
    """A method, written as steps: returns what they give."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self._steps = steps
        self.__doc__, self.__wrapped__ = steps.__doc__, steps  # what help() shows

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        """The method of a client."""
        if client is None:
            return self

        @wraps(self._steps)
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(self._steps(client, *args, **kwargs))

        return bound


class listing(Generic[P, T]):
    """A method that names a list: iterates over its items, asking for a page when it is needed."""

    def __init__(self, pages: Callable[Concatenate[Any, P], Pages[T]]) -> None:
        self._pages = pages
        self.__doc__, self.__wrapped__ = pages.__doc__, pages

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, Iterator[T]]: ...

    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, AsyncIterator[T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        """The method of a client."""
        if client is None:
            return self

        @wraps(self._pages)
        def bound(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.each(self._pages(client, *args, **kwargs))

        return bound
