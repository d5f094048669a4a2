"""memory: who holds the host's memory.

**Source**: `/proc/meminfo` and `/proc/vmstat` (proc(5)).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from watchdesk_proto.catalogue import Measurement, Type, counter, gauge

from watchdesk_agent.model import Instant, Row
from watchdesk_agent.sampling.context import SamplingContext
from watchdesk_agent.sampling.rates import per_second, ratio

BYTES_FIELDS = {
    "free_bytes": ("MemFree", "Memory that nothing uses at all."),
    "buffers_bytes": ("Buffers", "Cached blocks of block devices."),
    "cached_bytes": ("Cached", "Cached content of files, shared memory and tmpfs included."),
    "shared_bytes": ("Shmem", "Shared memory and tmpfs; cannot be dropped like the rest of the cache."),
    "anonymous_bytes": ("AnonPages", "Memory of programs that no file stands behind: heaps and stacks."),
    "mapped_bytes": ("Mapped", "Files mapped into programs."),
    "dirty_bytes": ("Dirty", "Cached content that waits to be written to disk."),
    "writeback_bytes": ("Writeback", "Cached content that is being written to disk."),
    "slab_bytes": ("Slab", "The kernel's own data structures."),
    "slab_reclaimable_bytes": ("SReclaimable", "The part of slab_bytes that the kernel gives back under pressure."),
    "page_tables_bytes": ("PageTables", "Page tables of all programs."),
    "committed_bytes": ("Committed_AS", "Memory promised to programs, used or not."),
    "commit_limit_bytes": ("CommitLimit", "How much may be promised where vm.overcommit_memory is 2."),
}

MEASUREMENT = Measurement(
    name="memory",
    help="Who holds the host's memory.",
    columns=(
        gauge("total_bytes", "Memory that the kernel manages.", unit="bytes", type=Type.INT64),
        gauge("available_bytes", "Memory that programs can get without swapping; the kernel's estimate.", unit="bytes", type=Type.INT64),
        gauge("used_bytes", "total_bytes less available_bytes.", unit="bytes", type=Type.INT64),
        gauge("used_ratio", "used_bytes divided by total_bytes.", unit="ratio"),
        *(gauge(name, help, unit="bytes", type=Type.INT64) for name, (_, help) in BYTES_FIELDS.items()),
        counter("oom_kills_total", "Processes that the kernel killed because memory ran out."),
        counter("major_faults_total", "Page faults that had to read from disk."),
        gauge("major_faults_per_second", "Page faults that had to read from disk, per second since the previous sample."),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What a rate is made of."""

    major: int
    monotonic_s: float


def parse_meminfo(meminfo: str) -> dict[str, int]:
    """Bytes by name; the few plain counts (HugePages_Total) stay counts."""
    values = {}
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        number, _, unit = rest.strip().partition(" ")
        values[name] = int(number) << 10 if unit == "kB" else int(number)
    return values


def parse_vmstat(vmstat: str, names: Sequence[str]) -> dict[str, int]:
    """The named counters of /proc/vmstat; those that this kernel lacks are absent."""
    wanted = frozenset(names)
    pairs = (line.partition(" ") for line in vmstat.splitlines())
    return {name: int(number) for name, _, number in pairs if name in wanted}


def measure_memory(meminfo: dict[str, int], *, oom_kills: int | None, now: Faults, before: Faults | None) -> Row:
    """Fields that this kernel does not tell are None, and rates without an earlier reading, for then no time has passed."""
    total, available = meminfo["MemTotal"], meminfo.get("MemAvailable")
    used = None if available is None else total - available
    before = before or now
    elapsed_s = now.monotonic_s - before.monotonic_s
    return (
        total,
        available,
        used,
        ratio(used, total),
        *(meminfo.get(source) for source, _ in BYTES_FIELDS.values()),
        oom_kills,
        now.major,
        per_second(now.major, before.major, elapsed_s),
    )


class MemorySampler:
    """Holds the previous reading."""

    name = "memory"
    measurement = MEASUREMENT
    interval_s = 1.0
    may_block = False

    def __init__(self, context: SamplingContext) -> None:
        self._meminfo = context.meminfo
        self._vmstat = context.vmstat
        self._before: Faults | None = None

    def sample(self, at: Instant) -> Sequence[Row]:
        counts = parse_vmstat(self._vmstat.read(at), ("oom_kill", "pgmajfault"))
        now = Faults(major=counts["pgmajfault"], monotonic_s=at.monotonic_s)
        row = measure_memory(parse_meminfo(self._meminfo.read(at)), oom_kills=counts.get("oom_kill"), now=now, before=self._before)
        self._before = now
        return [row]
