"""A process that has imported the product and becomes, by a fork, each program that the tests start: see `tests/python.py`.

The imports of a gateway cost 1.5 s of CPU time, a fork some 10 ms. It has no threads, no settings and no open store.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

PACKAGES = ("conf", "metrics", "models", "jobs", "gateway", "commands")
READS_SETTINGS = {"jobs.app"}  # while it is imported
OTHERS = ("uvloop", "huey.bin.huey_consumer")  # that are imported when a program needs them
MAX_REQUEST_BYTES = 1 << 20
MAX_FDS = 8  # of a request: the three of the standard streams, and others that are passed
FORKS_THE_WORKER = "TESTS_FORK_THE_WORKER"  # in the environment of a `serve`


def load() -> None:
    """Import every module that a program may need."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            if module.name not in READS_SETTINGS:
                import_module(module.name)
    for name in OTHERS:
        import_module(name)
    gc.collect()
    gc.freeze()  # a collection would write to the pages that the processes share


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Answer with the id of a new child, or with the status of one that has ended; return None at the end.

    In a child, return the request.
    """
    while True:
        text, fds, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, MAX_FDS)
        if not text:
            return None
        request = json.loads(text)
        if "ended" in request:
            answer = os.waitpid(request["ended"], 0)[1]
        elif (answer := os.fork()) == 0:
            requests.close()
            replace(fds[:3])
            renumber(fds[3:], request.pop("passed"))
            return dict(request)
        for fd in fds:
            os.close(fd)
        requests.send(str(answer).encode())


def replace(fds: Sequence[int]) -> None:
    """Make these the standard input, output and error output of this process."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)


def renumber(fds: Sequence[int], numbers: Sequence[int]) -> None:
    """Give files that are passed the numbers by which they are known."""
    apart = [fcntl.fcntl(fd, fcntl.F_DUPFD, max(*numbers, *fds) + 1) for fd in fds]
    for fd in fds:
        os.close(fd)
    for fd, number in zip(apart, numbers, strict=True):
        os.dup2(fd, number)
        os.close(fd)


def run(argv: Sequence[str], cwd: str | None, env: Mapping[str, str], *, new_session: bool) -> None:
    """Be the interpreter: run `-c CODE …` or `FILE …`, as the main module."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if new_session:
        os.setsid()
    if cwd is not None:
        os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    if os.environ.pop(FORKS_THE_WORKER, ""):
        serve_this_process()
    if argv[0] == "-c":
        sys.argv = ["-c", *argv[2:]]
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(argv[1], "<string>", "exec", dont_inherit=True), vars(main))
    else:
        sys.argv = list(argv)
        runpy.run_path(argv[0], run_name="__main__")


def serve_this_process() -> None:
    """Start a process that forks for this one, as long as this one has no threads."""
    own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        own.close()
        fork(theirs)
        os._exit(0)
    theirs.close()
    import_module("tests.python").fork_the_worker(own)


def end(status: int) -> None:
    """End as the interpreter does, but free nothing: that would copy the pages shared with the other processes, for 70 ms."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are not daemons
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # the interpreter's own attempt fails too, and is reported
        sys.exit(status)
    os._exit(status)


def fork(requests: socket.socket) -> None:
    """Fork until the socket is closed; in a child, run its program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal interrupts the whole group; this process ends with the tests
    if (request := serve(requests)) is None:
        return
    try:
        run(**request)
    except SystemExit as error:
        if not isinstance(error.code, int | None):
            raise
        end(error.code or 0)
    end(0)


if __name__ == "__main__":
    load()
    fork(socket.socket(fileno=int(sys.argv[1])))
