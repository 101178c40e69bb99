"""Descriptors by which one definition of a call serves both clients: one returns its result, the other an awaitable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from inspect import iscoroutinefunction, signature
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

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


class _Described:
    """A function for each client, with the name, text and parameters of the one that both are made from, for help() and editors."""

    def __init__(self, written: Callable[..., Any], function: Callable[..., Any], blocking: str, awaited: str) -> None:
        """Annotate the results, with `{}` in the place of T of `Steps[T]` or `Pages[T]`, which `written` returns."""
        self.__doc__ = written.__doc__
        annotation = written.__annotations__["return"]
        self._functions = []
        for result in (blocking, awaited):
            described: Any = wraps(written)(lambda client, *args, **kwargs: function(client, *args, **kwargs))
            described.__signature__ = signature(written).replace(
                return_annotation=result.format(annotation[annotation.index("[") + 1 : -1])
            )
            self._functions.append(described)

    def of(self, client: Any, owner: type) -> Any:
        """The method of a client, or the function of its class."""
        function = self._functions[iscoroutinefunction(getattr(owner, "run", None))]
        return function if client is None else MethodType(function, client)


class call(_Described, Generic[P, T]):
    """A method that is written as steps, and returns their result."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        def run(client: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(steps(client, *args, **kwargs))

        super().__init__(steps, run, "{}", "Coroutine[Any, Any, {}]")

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Any]: ...

    @overload
    def __get__(self, client: BlockingRunner, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: AsyncRunner, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        """Bind the method to a client."""
        return self.of(client, owner)


class listing(_Described, Generic[P, T]):
    """A method that returns an iterator over a list; each page is requested when it is needed."""

    def __init__(self, pages: Callable[Concatenate[Any, P], Pages[T]]) -> None:
        def each(client: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            return client.each(pages(client, *args, **kwargs))

        super().__init__(pages, each, "Iterator[{}]", "AsyncIterator[{}]")

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Any]: ...

    @overload
    def __get__(self, client: BlockingRunner, owner: type) -> Callable[P, Iterator[T]]: ...

    @overload
    def __get__(self, client: AsyncRunner, owner: type) -> Callable[P, AsyncIterator[T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        """Bind the method to a client."""
        return self.of(client, owner)
