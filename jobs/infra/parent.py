"""A worker that was started by `serve` ends with it, even when that is killed: its parent's end of a pipe closes then."""

from __future__ import annotations

import os
import signal
import threading

VARIABLE = "BELLWIRE_PARENT_FD"  # the read end's number; a detail between two processes, no setting
GRACE_S = 3.0


inherited: int | None = None


def inherit_pipe() -> None:
    """Remembers the pipe that this process inherited. The variable is gone from the environment then."""
    global inherited
    number = os.environ.pop(VARIABLE, "")
    inherited = int(number) if number.isdecimal() else None


def watch() -> None:
    """Ends this process when the pipe's other end closes: gracefully, and after GRACE_S in any case. Nothing without a pipe."""
    if inherited is not None:
        os.environ[VARIABLE] = str(inherited)  # for SIGHUP, by which Huey executes the same command again
        threading.Thread(target=_wait, args=(inherited,), name="parent", daemon=True).start()


def _wait(descriptor: int) -> None:
    try:
        while os.read(descriptor, 64):
            pass
    except OSError:  # no pipe at all: as good as closed
        pass
    hard = threading.Timer(GRACE_S, os._exit, (1,))
    hard.daemon = True
    hard.start()
    os.kill(os.getpid(), signal.SIGTERM)
