"""What a process costs, from /proc: for benchmarks."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of one process. `private_dirty` is what nobody else shares and no file backs: what it really takes from the host."""

    rss_bytes: int
    private_dirty_bytes: int


def memory(pid: int) -> Memory:
    """Source: /proc/PID/smaps_rollup."""
    kib = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        kib[name.rstrip(":")] = int(value)
    return Memory(rss_bytes=1024 * kib["Rss"], private_dirty_bytes=1024 * kib["Private_Dirty"])


def cpu_s(pid: int) -> float:
    """User and system time of a process and all its threads. Source: /proc/PID/stat; in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_with_children_s(pid: int) -> float:
    """As `cpu_s`, and of the child processes that have ended and were waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def count() -> int:
    """Processes on this machine."""
    return sum(entry.name.isdecimal() for entry in Path("/proc").iterdir())


class Watch:
    """Looks at a process's resident memory each second."""

    def __init__(self, pid: int) -> None:
        self.last_bytes = self.highest_bytes = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.last_bytes = memory(self._pid).rss_bytes
            self.highest_bytes = max(self.highest_bytes, self.last_bytes)
            if self._ended.wait(1.0):
                return
