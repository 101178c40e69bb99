"""Lists that come in pages."""

from __future__ import annotations

from typing import Generic, TypeVar

from bellwire_client.errors import UnexpectedAnswerError
from bellwire_client.reading import read
from bellwire_client.steps import Request, Steps, ask

T = TypeVar("T")


class Pages(Generic[T]):
    """One list, and how much of it was read."""

    def __init__(self, shape: type[T], path: str, patience_s: float, **params: str | int | None) -> None:
        self.is_over = False
        self._shape = shape
        self._path = path
        self._patience_s = patience_s
        self._params = params

    def load(self) -> Steps[list[T]]:
        """The items of the next page."""
        body = (yield from ask(Request("GET", self._path, params=self._params), self._patience_s)).body
        if not isinstance(body, dict) or "items" not in body:
            raise UnexpectedAnswerError("not a list of Bellwire: is the address right?")
        self._params["page"] = body.get("next")
        self.is_over = body.get("next") is None
        return [read(self._shape, item) for item in body["items"]]
