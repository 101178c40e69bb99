"""Starting and stopping processes, and what they use, read from /proc (Linux)."""

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

PROC = Path("/proc")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
STOP_S = 30.0  # a worker may finish a drain first


def free_port() -> int:
    """Return a TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(command: Sequence[str], folder: Path, tx: IO[bytes], env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, its output into `log`."""
    return subprocess.Popen(command, cwd=folder, env=env, stdout=tx, stderr=tx, start_new_session=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, wait up to STOP_S, then kill what is left of its process group."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def tree(pid: int) -> list[int]:
    """Return `pid` and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left += children.get(found[-1], [])
    return found


def listener(port: int, among: Iterable[int]) -> int:
    """Return which of the processes `among` listens on the TCP port; raise LookupError if none does."""
    sockets = set()
    for line in (PROC / "net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port:  # 0A is LISTEN
            sockets.add(f"socket:[{fields[9]}]")
    for pid in among:
        for descriptor in (PROC / str(pid) / "fd").iterdir():
            if descriptor.is_symlink() and os.readlink(descriptor) in sockets:
                return pid
    raise LookupError(f"no process of ours listens on port {port}")


def pss_bytes(pids: Iterable[int]) -> int:
    """Return the proportional set size of the processes: shared pages count by their share."""
    total = 0
    for pid in pids:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time the processes and their reaped children have used, to 10 ms."""
    return sum(sum(map(int, fields[11:15])) for pid in pids if (fields := _stat(pid))) / TICKS_A_SECOND


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the name, or None when the process is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None


class CpuMeter:
    """The CPU use of some processes, and of this one, from its making to `read`."""

    def __init__(self, pids: Sequence[int]) -> None:
        """Start counting."""
        self._pids = pids
        self._start = self._now()

    def _now(self) -> tuple[float, float, float]:
        own = resource.getrusage(resource.RUSAGE_SELF)
        return time.perf_counter(), cpu_seconds(self._pids), own.ru_utime + own.ru_stime

    def read(self) -> tuple[float, float]:
        """Return percent of a core used by the processes, and by this client."""
        wall, theirs, ours = (end - start for start, end in zip(self._start, self._now(), strict=True))
        return 100 * theirs / wall, 100 * ours / wall
