"""The terminal: lines for a person there, on standard output, and whether it has been closed."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable


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


def closing_of_terminal() -> Callable[[], bool]:
    """Return a function that says whether the terminal of this process has been closed since: SIGHUP means that, too.

    Never after `nohup`, and for a process without a terminal. Call it before a handler of SIGHUP is set.
    """
    had_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return lambda: had_terminal and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
