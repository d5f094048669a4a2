"""What a process costs, from /proc: for benchmarks."""

import os
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


def count() -> int:
    """Processes on this machine."""
    return sum(entry.name.isdecimal() for entry in Path("/proc").iterdir())
