"""Start and stop processes, and read their CPU time and memory from /proc (Linux)."""

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_TIMEOUT_S = 30.0  # a worker may finish a drain first


def free_port() -> int:
    """Return a TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Return whether a TCP port of the loopback accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def launch(
    command: Sequence[str], folder: Path, output: IO[bytes], env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, its output into a file."""
    return subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output, start_new_session=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM, wait up to STOP_TIMEOUT_S, then kill the process group."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def tree(pid: int) -> list[int]:
    """Return `pid` and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    pids, left = [], [pid]
    while left:
        pids.append(left.pop())
        left += children.get(pids[-1], [])
    return pids


def arguments(pid: int) -> list[str]:
    """Return the command of a process, word by word; empty when it is gone."""
    with suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_text().split("\0")[:-1]
    return []


def listener(port: int, pids: Iterable[int]) -> int:
    """Return the process of `pids` that listens on the TCP port; raise LookupError when none does."""
    sockets = set()
    for line in (PROC / "net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port:  # 0A is LISTEN
            sockets.add(f"socket:[{fields[9]}]")
    for pid in pids:
        for descriptor in (PROC / str(pid) / "fd").iterdir():
            if descriptor.is_symlink() and os.readlink(descriptor) in sockets:
                return pid
    raise LookupError(f"none of the processes listens on port {port}")


def pss_bytes(pids: Iterable[int]) -> int:
    """Return the proportional set size of the processes: shared pages count by their share."""
    total = 0
    for pid in pids:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process: less exact than its proportional set size, and cheap to read."""
    return int((PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def pin(pids: Iterable[int], core: int) -> None:
    """Let the processes, with their threads, and those that they start, run on one core alone."""
    for pid in pids:
        for thread in (PROC / str(pid) / "task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time the processes and their reaped children have used, to 10 ms."""
    return sum(sum(map(int, fields[11:15])) for pid in pids if (fields := _stat(pid))) / TICKS_PER_SECOND


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the name, or None when the process is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None


def raise_open_files() -> None:
    """Raise the soft limit of open files to the hard one: 10,000 polls are 10,000 sockets."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class CpuMeter:
    """The CPU use of some processes, and of this one, from the meter's creation to `read`."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._start = self._now()

    def _now(self) -> tuple[float, float, float]:
        own = resource.getrusage(resource.RUSAGE_SELF)
        return time.perf_counter(), cpu_seconds(self._pids), own.ru_utime + own.ru_stime

    def read(self) -> tuple[float, float]:
        """Return percent of a core used by the processes, and by this client."""
        wall, theirs, ours = (end - start for start, end in zip(self._start, self._now(), strict=True))
        return 100 * theirs / wall, 100 * ours / wall
