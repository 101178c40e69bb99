"""Lists that the server answers page by page."""

from __future__ import annotations

from typing import Generic, TypeVar

from bellwire_client.errors import UnexpectedAnswerError
from bellwire_client.reading import read
from bellwire_client.steps import Request, Steps, send_with_retries

T = TypeVar("T")


class Pages(Generic[T]):
    """One list, and the position in it."""

    def __init__(self, shape: type[T], path: str, patience_s: float, **params: str | int | None) -> None:
        self.is_over = False
        self._shape = shape
        self._path = path
        self._patience_s = patience_s
        self._params = params

    def load(self) -> Steps[list[T]]:
        """Load the next page and return its items."""
        body = (yield from send_with_retries(Request("GET", self._path, params=self._params), self._patience_s)).body
        if not isinstance(body, dict) or "items" not in body:
            raise UnexpectedAnswerError("this is not a list of Bellwire: is the address right?")
        self._params["page"] = body.get("next")
        self.is_over = body.get("next") is None
        return [read(self._shape, item) for item in body["items"]]
