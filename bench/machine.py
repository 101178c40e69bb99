"""The machine that the figures come from: its CPU, its versions, and how long its disk takes to be sure."""

import os
import platform
import sqlite3
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import gmtime, perf_counter, strftime

SYNCS = 200
COMMITS = 500


def cpu_model() -> str:
    """Return the processor's name as the kernel gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def fdatasync_s(folder: str) -> float:
    """Return the median time in seconds to write 4 KiB at a file's end and be sure that they are on disk."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            os.write(file.fileno(), b"x" * 4096)
            start = perf_counter()
            os.fdatasync(file.fileno())
            times.append(perf_counter() - start)
    return median(times)


def commit_s(folder: str) -> float:
    """Return the median time in seconds of an SQLite commit of one row of 200 bytes: WAL, synchronous=FULL."""
    times = []
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        connection = sqlite3.connect(Path(scratch) / "commit.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, body TEXT)")
        for _ in range(COMMITS):
            start = perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO entry (body) VALUES (?)", ("x" * 200,))
            connection.execute("COMMIT")
            times.append(perf_counter() - start)
        connection.close()
    return median(times)


def describe() -> str:
    """Return a paragraph about the machine, with the date."""
    folder = tempfile.gettempdir()
    return (
        f"{cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; "
        f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}; "
        f"disk: fdatasync {1000 * fdatasync_s(folder):.2f} ms, a commit of one row {1000 * commit_s(folder):.2f} ms; "
        f"{strftime('%Y-%m-%d', gmtime())}."
    )
