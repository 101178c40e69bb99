"""End a worker together with the `serve` that started it, even when that is killed: the parent's end of a pipe closes then."""

from __future__ import annotations

import os
import signal
import threading

PARENT_FD_VARIABLE = "BELLWIRE_PARENT_FD"  # the number of the pipe's read end; passed between two processes, not a setting
GRACE_S = 3.0

inherited: int | None = None


def inherit_pipe() -> None:
    """Note the pipe that this process inherited, and remove the variable from the environment."""
    global inherited
    number = os.environ.pop(PARENT_FD_VARIABLE, "")
    inherited = int(number) if number.isdecimal() else None


def watch() -> None:
    """End this process when the pipe's other end closes: gracefully, and by force after GRACE_S. Does nothing without a pipe."""
    if inherited is not None:
        os.environ[PARENT_FD_VARIABLE] = str(inherited)  # for SIGHUP, on which Huey executes the same command again
        threading.Thread(target=_end_with_parent, args=(inherited,), name="parent", daemon=True).start()


def _end_with_parent(descriptor: int) -> None:
    try:
        while os.read(descriptor, 64):
            pass
    except OSError:  # not a pipe: treated as closed
        pass
    hard_exit = threading.Timer(GRACE_S, os._exit, (1,))
    hard_exit.daemon = True
    hard_exit.start()
    os.kill(os.getpid(), signal.SIGTERM)
