"""The work that a template may do: a number of units, each of about 50 ns, that its loops, filters, tests, operators and calls use
up before they run.

Costs are upper bounds of what the operation does with these values: by the characters that it reads, by the elements that it runs
Python code for, and by the parts of a loop's body in each round.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, KeysView, Sized, ValuesView
from typing import Any

from jinja2.exceptions import SecurityError

MAX_WORK = 2_000_000
PART, ELEMENT, ELEMENT_CHAR = 10, 50, 10  # of a loop; of a list that a filter runs Python code for; of the texts in brackets
VALUE = 4  # in a list or object, besides its characters
MAX_INTEGER_BITS = 1_024
LISTS: Any = (list, tuple, KeysView, ValuesView, ItemsView)
COUNTED: Any = (str, dict, *LISTS)


class Work:
    """The work that is left."""

    def __init__(self) -> None:
        self._left = MAX_WORK

    def charge(self, units: int) -> None:
        """Raises SecurityError when nothing is left."""
        self._left -= units
        if self._left < 0:
            raise SecurityError("this is too much work: loops, lists or texts are too long")

    def charge_each(self, value: Any, arguments: Iterable[Any]) -> None:
        """Charge for Python code for each element or character of a value. Raises SecurityError."""
        count = len(value) if isinstance(value, COUNTED) else 1
        size = sum(len(argument) for argument in arguments if isinstance(argument, str))
        self.charge(count * (ELEMENT + ELEMENT_CHAR * size))


def weight(*values: Any) -> int:
    """Return the units for reading these values with all that is in them; some number above MAX_WORK if there are more."""
    total, waiting = 0, list(values)
    while waiting and total <= MAX_WORK:
        value = waiting.pop()
        total += VALUE
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, int):
            total += value.bit_length()
        elif isinstance(value, dict):
            waiting += value
            waiting += value.values()
        elif isinstance(value, LISTS):
            waiting += value
    return total


def check_sum(left: Sized, right: Sized, max_size: int) -> None:
    """Raise SecurityError when two texts or lists are too long to be one."""
    if len(left) + len(right) > max_size:
        raise SecurityError(f"a text or list may have at most {max_size} characters or elements")


def check_integers(*values: Any) -> None:
    """Raise SecurityError for integers that are too large to calculate with."""
    if any(isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS for value in values):
        raise SecurityError(f"integers of more than {MAX_INTEGER_BITS} bits can't be calculated with")
