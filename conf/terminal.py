"""Lines for a person at the terminal, on standard output."""

import contextlib


def print_line(text: str) -> None:
    """Print a line at once. A standard output that is closed, a pipe without a reader or a full disk is no error of the caller's
    work."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)
