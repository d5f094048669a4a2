"""disk_io: what each disk does.

**Source**: `/proc/diskstats` (Documentation/admin-guide/iostats.rst of the kernel). Whole devices only: `/sys/block` tells them from partitions.
Volumes that lie on other devices (`dm-0`, `md0`) are whole devices too, so sums over devices count their traffic twice.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdesk_proto.catalogue import Measurement, Type, counter, gauge, label

from watchdesk_agent.model import Instant, Row, Value
from watchdesk_agent.sampling.config import selector
from watchdesk_agent.sampling.context import SamplingContext, read_text
from watchdesk_agent.sampling.rates import RATIO_DIGITS, increase, per_second

MEASUREMENT = Measurement(
    name="disk_io",
    help="What each disk does. Rates, awaits and the utilisation span the time since the previous sample.",
    columns=(
        label("device", "The kernel's name of the whole block device, such as sda, nvme0n1 or dm-0."),
        counter("reads_total", "Reads completed."),
        counter("writes_total", "Writes completed."),
        counter("read_bytes_total", "Bytes read.", unit="bytes"),
        counter("write_bytes_total", "Bytes written.", unit="bytes"),
        counter("read_seconds_total", "Time that reads took, summed over reads.", unit="seconds", type=Type.FLOAT64),
        counter("write_seconds_total", "Time that writes took, summed over writes.", unit="seconds", type=Type.FLOAT64),
        counter("busy_seconds_total", "Time with at least one request under way.", unit="seconds", type=Type.FLOAT64),
        counter("queued_seconds_total", "Time of all requests under way, summed over requests.", unit="seconds", type=Type.FLOAT64),
        gauge("in_progress", "Requests under way.", type=Type.INT64),
        gauge("reads_per_second", "Reads completed per second."),
        gauge("writes_per_second", "Writes completed per second."),
        gauge("read_bytes_per_second", "Bytes read per second.", unit="bytes_per_second"),
        gauge("write_bytes_per_second", "Bytes written per second.", unit="bytes_per_second"),
        gauge("await_seconds", "Mean time that a read or write took; null when none completed.", unit="seconds"),
        gauge("read_await_seconds", "Mean time that a read took; null when none completed.", unit="seconds"),
        gauge("write_await_seconds", "Mean time that a write took; null when none completed.", unit="seconds"),
        gauge("queue_length", "Mean number of requests under way."),
        gauge(
            "utilisation_ratio",
            "Share of the time with at least one request under way; SSDs serve many at once, so 1 need not mean full.",
            unit="ratio",
        ),
    ),
)

_AWAIT_DIGITS = 6
_SECTOR_BYTES = 512  # the unit of /proc/diskstats, whatever the device's own sectors are


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskStats:
    """One device's counters since boot."""

    reads: int
    writes: int
    read_bytes: int
    write_bytes: int
    read_ms: int
    write_ms: int
    busy_ms: int
    queued_ms: int
    in_progress: int


def parse_diskstats(diskstats: str, wanted: Callable[[str], bool]) -> dict[str, DiskStats]:
    """The wanted devices by kernel name."""
    devices = {}
    for line in diskstats.splitlines():
        words = line.split()
        if wanted(words[2]):
            devices[words[2]] = _parse_device([int(word) for word in words[3:14]])
    return devices


def _parse_device(numbers: Sequence[int]) -> DiskStats:
    reads, _, sectors_read, read_ms, writes, _, sectors_written, write_ms, in_progress, busy_ms, queued_ms = numbers
    return DiskStats(
        reads=reads,
        writes=writes,
        read_bytes=sectors_read * _SECTOR_BYTES,
        write_bytes=sectors_written * _SECTOR_BYTES,
        read_ms=read_ms,
        write_ms=write_ms,
        busy_ms=busy_ms,
        queued_ms=queued_ms,
        in_progress=in_progress,
    )


def measure_disk_io(now: Mapping[str, DiskStats], before: Mapping[str, DiskStats], elapsed_s: float) -> list[Row]:
    """One row per device."""
    return [(device, *_counters(stats), *_rates(stats, before.get(device), elapsed_s)) for device, stats in now.items()]


def _counters(stats: DiskStats) -> Iterable[Value]:
    return (
        stats.reads,
        stats.writes,
        stats.read_bytes,
        stats.write_bytes,
        stats.read_ms / 1000,
        stats.write_ms / 1000,
        stats.busy_ms / 1000,
        stats.queued_ms / 1000,
        stats.in_progress,
    )


def _rates(now: DiskStats, before: DiskStats | None, elapsed_s: float) -> Iterable[Value]:
    if before is None or elapsed_s <= 0:
        return (None,) * 9
    reads, writes = increase(now.reads, before.reads), increase(now.writes, before.writes)
    read_ms, write_ms = increase(now.read_ms, before.read_ms), increase(now.write_ms, before.write_ms)
    busy = per_second(now.busy_ms / 1000, before.busy_ms / 1000, elapsed_s, digits=RATIO_DIGITS)
    return (
        per_second(now.reads, before.reads, elapsed_s),
        per_second(now.writes, before.writes, elapsed_s),
        per_second(now.read_bytes, before.read_bytes, elapsed_s),
        per_second(now.write_bytes, before.write_bytes, elapsed_s),
        _await_seconds(_sum(read_ms, write_ms), _sum(reads, writes)),
        _await_seconds(read_ms, reads),
        _await_seconds(write_ms, writes),
        per_second(now.queued_ms / 1000, before.queued_ms / 1000, elapsed_s, digits=RATIO_DIGITS),
        None if busy is None else min(1.0, busy),
    )


def _await_seconds(took_ms: float | None, completed: float | None) -> float | None:
    return None if took_ms is None or not completed else round(took_ms / completed / 1000, _AWAIT_DIGITS)


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


class DiskIoSampler:
    """Holds the previous reading, and which names have turned out to be disks."""

    name = "disk_io"
    measurement = MEASUREMENT
    interval_s = 1.0
    may_block = False

    def __init__(self, context: SamplingContext) -> None:
        self._diskstats = context.proc_root / "diskstats"
        self._wanted = _WantedDevices(
            block=context.sys_root / "block",
            selected=selector(include=context.filters.devices.include, exclude=context.filters.devices.exclude),
        )
        self._before: Mapping[str, DiskStats] = {}
        self._before_s = 0.0

    def sample(self, at: Instant) -> Sequence[Row]:
        now = parse_diskstats(read_text(self._diskstats), self._wanted)
        rows = measure_disk_io(now, self._before, at.monotonic_s - self._before_s)
        self._before, self._before_s = now, at.monotonic_s
        return rows


class _WantedDevices:
    """Asks `/sys/block` once per name: a name never turns from a disk into a partition."""

    def __init__(self, *, block: Path, selected: Callable[[str], bool]) -> None:
        self._block = block
        self._selected = selected
        self._known: dict[str, bool] = {}

    def __call__(self, device: str) -> bool:
        if device not in self._known:
            self._known[device] = self._selected(device) and (self._block / device.replace("/", "!")).exists()
        return self._known[device]
