"""Lines for a person at the terminal, on standard output."""

import contextlib
import os
import sys


def print_line(text: str) -> None:
    """Print a line at once. A standard output that is closed, a pipe without a reader or a full disk is no error of the caller's
    work: this line and all later output are dropped."""
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        discard_output()


def discard_output() -> None:
    """Drop what standard output has not accepted and all later output: at the end of the process it would fail again."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
