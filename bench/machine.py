"""The machine and the versions that the figures come from."""

import os
import platform
import sqlite3
import subprocess
import tempfile
import tomllib
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.results import Machine
from bench.servers.bellwire import ROOT, StartFailed
from bench.servers.stores import program

SYNCS = 200
COMMITS = 500
PROGRAMS = {"postgres": "postgres", "redis": "redis-server"}


def describe() -> Machine:
    """Return the machine, with times of the disk of the temporary folder, where the benchmarks keep their data."""
    folder = tempfile.gettempdir()
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        kernel=f"{platform.system()} {platform.release()}",
        fdatasync_ms=round(1000 * fdatasync_s(folder), 3),
        sqlite_commit_ms=round(1000 * commit_s(folder), 3),
    )


def versions() -> dict[str, str]:
    """Return the versions of Bellwire and of everything that its speed depends on."""
    return {
        "bellwire": _bellwire_version(),
        "python": platform.python_version(),
        "tornado": version("tornado"),
        "peewee": version("peewee"),
        "sqlite": sqlite3.sqlite_version,
        **{name: _program_version(command) for name, command in PROGRAMS.items()},
    }


def _bellwire_version() -> str:
    """Return the version of pyproject.toml, with the commit where there is a checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return f"{project['version']}+{git.stdout.strip()}" if git.returncode == 0 else str(project["version"])


def _program_version(command: str) -> str:
    with suppress(StartFailed):
        printed = subprocess.run([program(command), "--version"], capture_output=True, text=True, check=True).stdout
        return next((word.removeprefix("v=") for word in printed.split() if word.removeprefix("v=")[:1].isdigit()), printed.strip())
    return "not installed"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def fdatasync_s(folder: str) -> float:
    """Return the median time in seconds of writing 4 KiB at a file's end and waiting until they are on disk."""
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
