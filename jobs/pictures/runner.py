"""Running the process of a picture from the worker: started ahead, given one picture, and killed when its time is over."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import IO

import msgspec

from conf.settings import ROOT
from jobs.pictures.process import PREPARED, PictureAnswer, PictureRequest

COMMAND = (sys.executable, "-m", "jobs.pictures.process")
MAX_ANSWER_BYTES = 4096
OUT_OF_CPU_TIME = signal.SIGXCPU.name
CHECK_S = 0.1  # from one check whether the worker ends to the next


class ProcessEndedError(Exception):
    """The process ended without an answer: killed by a limit, or by a defect of a decoder."""


class StoppedError(Exception):
    """The worker ends: the process was killed, which says nothing about its picture."""


class PictureProcess:
    """One process, for one picture."""

    def __init__(self) -> None:
        self.started_at = time.monotonic()
        self._link, child = socket.socketpair()
        with child:
            self._process = subprocess.Popen(
                COMMAND,
                stdin=child.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=ROOT,
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},  # no secrets
                start_new_session=True,  # an interrupt from the terminal is for the worker
            )

    def is_alive(self) -> bool:
        """Return whether it runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self._process.pid)

    def run(
        self, request: PictureRequest, files: tuple[IO[bytes], IO[bytes], IO[bytes]], max_s: float, stop: Callable[[], bool]
    ) -> PictureAnswer:
        """Have a picture decoded; the process ends with it. `files`: the picture, and two for its thumbnail and its clean copy.

        Raises ProcessEndedError, also after `max_s` seconds, StoppedError when `stop` returns True, and OSError if the process did
        not start or the disk failed, which are no faults of the picture.
        """
        try:
            if self._received(time.monotonic() + max_s, stop) != PREPARED:
                raise OSError(f"{' '.join(COMMAND[1:])} ended while it started")
            answer = self._answer(request, files, time.monotonic() + max_s, stop)
        finally:
            self.close()
        if answer.disk_failed:
            raise OSError(answer.error)
        return answer

    def _answer(
        self, request: PictureRequest, files: tuple[IO[bytes], IO[bytes], IO[bytes]], deadline: float, stop: Callable[[], bool]
    ) -> PictureAnswer:
        try:
            socket.send_fds(self._link, [msgspec.json.encode(request)], [file.fileno() for file in files])
            return msgspec.json.decode(self._received(deadline, stop), type=PictureAnswer)
        except (OSError, msgspec.MsgspecError) as error:
            self.close()
            raise ProcessEndedError(self._reason()) from error

    def _received(self, deadline: float, stop: Callable[[], bool]) -> bytes:
        self._link.settimeout(CHECK_S)
        while True:
            try:
                return self._link.recv(MAX_ANSWER_BYTES)
            except TimeoutError:
                if stop():
                    raise StoppedError from None
                if time.monotonic() > deadline:
                    raise

    def _reason(self) -> str:
        """How it ended: `SIGXCPU` and `SIGKILL` are those of limits."""
        status = self._process.returncode
        return signal.Signals(-status).name if status < 0 else f"status {status}"

    def close(self) -> None:
        """End the process, which may have ended already."""
        self._process.kill()
        self._process.wait()
        self._link.close()
