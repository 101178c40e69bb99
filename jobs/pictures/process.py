"""The process that decodes one picture and ends: `python -m jobs.pictures.process`, with a socket as its standard input.

It is started before there is a picture, loads the decoders, and waits. A request brings open files: the picture, and where to write
its thumbnail and its clean copy. From then on it can open no file and no connection, start no process or thread, and use only
so much memory and time: the kernel ends it if it tries. It has no secrets, neither in its environment nor in its memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import os
import resource
import signal
import socket
from pathlib import Path
from typing import IO

import msgspec

MAX_MEMORY_BYTES = 1 << 30  # of address space: 50 megapixels of a phone's format need 0.7 GiB
MAX_REQUEST_BYTES = 4096
FILES = 3
NICENESS = 10
THREADED = ("image/heic",)  # its decoder starts a thread
SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
PREPARED = b"\n"  # sent before a request is awaited
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
OUT_OF_MEMORY_SCORE = b"1000"  # the kernel ends this process before any other


class PictureRequest(msgspec.Struct):
    """The type of a picture, whether it is to be cleaned, and for how many seconds it may be computed."""

    type: str
    private: bool
    cpu_s: int
    max_bytes: int


class PictureAnswer(msgspec.Struct):
    """A picture's size as it is shown; its type, if it was cleaned; or why it is unfit."""

    width: int | None = None  # None, with no thumbnail, for a type whose decoder is not installed
    height: int | None = None
    type: str | None = None
    error: str | None = None
    disk_failed: bool = False  # which is no fault of the picture


def main() -> None:
    """Prepare, wait for a request, and answer it."""
    _end_with_parent()
    from jobs.pictures import picture

    picture.prepare()
    with socket.socket(fileno=os.dup(0)) as link:
        link.sendall(PREPARED)
        data, descriptors, _, _ = socket.recv_fds(link, MAX_REQUEST_BYTES, FILES)
        if len(descriptors) < FILES:
            return  # the worker has ended
        request = msgspec.json.decode(data, type=PictureRequest)
        files = [os.fdopen(number, mode) for number, mode in zip(descriptors, ("rb", "wb", "wb"), strict=True)]
        limit(request.cpu_s, request.max_bytes, has_threads=request.type in THREADED)
        link.sendall(msgspec.json.encode(_answer(request, *files)))


def _end_with_parent() -> None:
    """Have the kernel end this process when the worker ends, however that is. Elsewhere than on Linux it ends with its picture."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(OUT_OF_MEMORY_SCORE)
    os.nice(NICENESS)


def limit(cpu_s: int, max_bytes: int, *, has_threads: bool) -> None:
    """Set the limits under which a picture is decoded."""
    limits = [
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_s + 1),
        (resource.RLIMIT_FSIZE, max_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),  # those that are open stay open
    ]
    for kind, value in limits if has_threads else [*limits, (resource.RLIMIT_NPROC, 0)]:
        hard = resource.getrlimit(kind)[1]
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        grace = kind == resource.RLIMIT_CPU and lower > 1  # the signal of the lower limit says which one it was
        resource.setrlimit(kind, (lower - grace, lower))


def _answer(request: PictureRequest, source: IO[bytes], thumbnail: IO[bytes], copy: IO[bytes]) -> PictureAnswer:
    from jobs.pictures import picture

    type_, delivered = None, source
    try:
        if request.private:
            type_, data = picture.clean(source, request.type)
            copy.write(data)
            copy.flush()
            delivered = io.BytesIO(data)  # a photo of a phone is decoded faster as the JPEG that it has become
        if not picture.can_decode(type_ or request.type):
            return PictureAnswer(type=type_)
        width, height = picture.write_thumbnail(delivered, type_ or request.type, thumbnail)
        thumbnail.flush()
    except Exception as error:  # of a decoder, of any kind: the picture is broken
        return PictureAnswer(error=type(error).__name__, disk_failed=getattr(error, "errno", None) in DISK_ERRORS)
    return PictureAnswer(width, height, type_)


if __name__ == "__main__":
    main()
