"""Which of our fields node_exporter has too, and what they are called there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from watchdesk_agent.sampling.cpu import MODES
from watchdesk_agent.sampling.memory import BYTES_FIELDS

Labels: TypeAlias = Mapping[str, str]
NOWHERE: Labels = {}
_MEBIBYTE = 1 << 20


class Scrape:
    """What node_exporter said at one moment."""

    def __init__(self, series: Mapping[str, Mapping[frozenset[tuple[str, str]], float]]) -> None:
        self._series = series

    def value(self, metric: str, labels: Labels) -> float | None:
        """The sum over all series that carry these labels; None when there is none."""
        wanted = frozenset(labels.items())
        found = [value for carried, value in self._series.get(metric, {}).items() if wanted <= carried]
        return sum(found) if found else None

    def count(self, metric: str, labels: Labels) -> float:
        """How many series carry these labels."""
        return float(sum(frozenset(labels.items()) <= carried for carried in self._series.get(metric, {})))

    def text(self, metric: str, label: str) -> str | None:
        """A label of the metric's first series."""
        return next((dict(carried).get(label) for carried in self._series.get(metric, {})), None)


class Kind(StrEnum):
    """How a field is compared."""

    COUNTER = "counter"  # lies between the two scrapes
    GAUGE = "gauge"  # lies between the two scrapes, give or take the tolerance
    RATE = "rate"  # lies between the slowest and the fastest that the scrapes around this tick and the one before allow
    TEXT = "text"  # is the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`read` gets a scrape and the labels of our row. `per` reads what a rate is divided by; None: by the time. `rounding`: how far apart the two
    may be in what a rate is made of, because each cut it off elsewhere.
    """

    ours: str
    theirs: str
    kind: Kind
    read: Callable[[Scrape, Labels], float | str | None]
    per: Callable[[Scrape, Labels], float | str | None] | None = None
    tolerance: float = 0.0
    rounding: float = 0.0


def _metric(name: str, where: Labels = NOWHERE, scale: float = 1.0) -> tuple[str, Callable[[Scrape, Labels], float | None]]:
    """A metric by its labels: "=text" is that text, "text" is our label of that name. Returns how it is written, and how to read it."""
    fixed = {key: value[1:] for key, value in where.items() if value.startswith("=")}
    ours = {key: value for key, value in where.items() if not value.startswith("=")}

    def read(scrape: Scrape, row: Labels) -> float | None:
        value = scrape.value(name, fixed | {key: row[label] for key, label in ours.items()})
        return None if value is None else value * scale

    written = ",".join([*(f'{key}="{value}"' for key, value in fixed.items()), *ours])
    return f"{name}{{{written}}}" if written else name, read


def _field(kind: Kind, ours: str, name: str, where: Labels = NOWHERE, *, tolerance: float = 0.0, scale: float = 1.0) -> Field:
    theirs, read = _metric(name, where, scale)
    return Field(ours=ours, theirs=theirs, kind=kind, read=read, tolerance=tolerance)


def _counter_and_rate(ours: str, rate: str, name: str, where: Labels = NOWHERE, *, scale: float = 1.0) -> Iterable[Field]:
    yield _field(Kind.COUNTER, ours, name, where, scale=scale)
    yield _field(Kind.RATE, rate, name, where, scale=scale)


def _computed(kind: Kind, ours: str, theirs: str, read: Callable[[Scrape, Labels], float | str | None], *, tolerance: float = 0.0) -> Field:
    return Field(ours=ours, theirs=theirs, kind=kind, read=read, tolerance=tolerance)


def _number(scrape: Scrape, name: str, **labels: str) -> float:
    value = scrape.value(name, labels)
    return 0.0 if value is None else value


def _cpu(table: str, rounding_s: float, labels: Labels) -> Iterable[Field]:
    """`rounding_s`: the kernel cuts each processor's ticks before anybody can sum them, and the total after summing."""
    for mode in MODES:
        metric = "node_cpu_guest_seconds_total" if mode == "guest" else "node_cpu_seconds_total"
        where = labels if mode == "guest" else {"mode": f"={mode}", **labels}
        yield _field(Kind.COUNTER, f"{table}.{mode}_seconds_total", metric, where, tolerance=rounding_s)
        theirs, read = _metric(metric, where)
        _, per = _metric("node_cpu_seconds_total", labels)
        yield Field(ours=f"{table}.{mode}_ratio", theirs=f"{theirs} / all modes", kind=Kind.RATE, read=read, per=per, rounding=rounding_s)
    yield Field(
        ours=f"{table}.busy_ratio",
        theirs="all modes but idle and iowait / all modes",
        kind=Kind.RATE,
        read=lambda scrape, row: _busy(scrape, {key: row[label] for key, label in labels.items()}),
        per=_metric("node_cpu_seconds_total", labels)[1],
        rounding=rounding_s * len(MODES),
    )


def _busy(scrape: Scrape, labels: Labels) -> float:
    idle = sum(_number(scrape, "node_cpu_seconds_total", mode=mode, **labels) for mode in ("idle", "iowait"))
    return _number(scrape, "node_cpu_seconds_total", **labels) - idle


def _cpus(scrape: Scrape) -> float:
    return scrape.count("node_cpu_seconds_total", {"mode": "idle"})


def _load(span: str) -> Iterable[Field]:
    yield _field(Kind.GAUGE, f"load.load{span}", f"node_load{span}", tolerance=0.01)
    yield _computed(
        Kind.GAUGE, f"load.load{span}_per_cpu", f"node_load{span} / cpus", lambda s, _: _number(s, f"node_load{span}") / _cpus(s), tolerance=0.01
    )


def _memory() -> Iterable[Field]:
    steady = {"buffers_bytes", "shared_bytes", "mapped_bytes", "slab_bytes", "slab_reclaimable_bytes", "page_tables_bytes"}
    tolerances = dict.fromkeys(BYTES_FIELDS, 64 * _MEBIBYTE) | dict.fromkeys(steady, 4 * _MEBIBYTE) | {"commit_limit_bytes": 0}
    for name, (source, _) in BYTES_FIELDS.items():
        yield _field(Kind.GAUGE, f"memory.{name}", f"node_memory_{source}_bytes", tolerance=tolerances[name])
    yield _field(Kind.GAUGE, "memory.total_bytes", "node_memory_MemTotal_bytes")
    yield _field(Kind.GAUGE, "memory.available_bytes", "node_memory_MemAvailable_bytes", tolerance=64 * _MEBIBYTE)
    yield _computed(Kind.GAUGE, "memory.used_bytes", "MemTotal - MemAvailable", lambda s, _: _used_memory(s), tolerance=64 * _MEBIBYTE)
    yield _computed(
        Kind.GAUGE,
        "memory.used_ratio",
        "1 - MemAvailable / MemTotal",
        lambda s, _: _used_memory(s) / _number(s, "node_memory_MemTotal_bytes"),
        tolerance=0.01,
    )
    yield _field(Kind.COUNTER, "memory.oom_kills_total", "node_vmstat_oom_kill")
    yield from _counter_and_rate("memory.major_faults_total", "memory.major_faults_per_second", "node_vmstat_pgmajfault")


def _used_memory(scrape: Scrape) -> float:
    return _number(scrape, "node_memory_MemTotal_bytes") - _number(scrape, "node_memory_MemAvailable_bytes")


def _swap(page_bytes: int) -> Iterable[Field]:
    yield _field(Kind.GAUGE, "swap.total_bytes", "node_memory_SwapTotal_bytes")
    yield _field(Kind.GAUGE, "swap.free_bytes", "node_memory_SwapFree_bytes", tolerance=_MEBIBYTE)
    yield _computed(Kind.GAUGE, "swap.used_bytes", "SwapTotal - SwapFree", lambda s, _: _used_swap(s), tolerance=_MEBIBYTE)
    yield _computed(Kind.GAUGE, "swap.used_ratio", "1 - SwapFree / SwapTotal", lambda s, _: _used_swap_ratio(s), tolerance=0.01)
    yield from _counter_and_rate("swap.in_bytes_total", "swap.in_bytes_per_second", "node_vmstat_pswpin", scale=page_bytes)
    yield from _counter_and_rate("swap.out_bytes_total", "swap.out_bytes_per_second", "node_vmstat_pswpout", scale=page_bytes)


def _used_swap(scrape: Scrape) -> float:
    return _number(scrape, "node_memory_SwapTotal_bytes") - _number(scrape, "node_memory_SwapFree_bytes")


def _used_swap_ratio(scrape: Scrape) -> float | None:
    total = _number(scrape, "node_memory_SwapTotal_bytes")
    return _used_swap(scrape) / total if total else None


def _disk() -> Iterable[Field]:
    at = {"mountpoint": "mount"}
    yield _field(Kind.GAUGE, "disk.total_bytes", "node_filesystem_size_bytes", at)
    yield _field(Kind.GAUGE, "disk.available_bytes", "node_filesystem_avail_bytes", at, tolerance=64 * _MEBIBYTE)
    yield _computed(Kind.GAUGE, "disk.used_bytes", "size - free {mountpoint}", lambda s, row: _used_disk(s, row["mount"]), tolerance=64 * _MEBIBYTE)
    yield _computed(
        Kind.GAUGE,
        "disk.used_ratio",
        "(size - free) / (size - free + avail) {mountpoint}",
        lambda s, row: _used_disk_ratio(s, row["mount"]),
        tolerance=0.001,
    )
    yield _field(Kind.GAUGE, "disk.inodes_total", "node_filesystem_files", at)
    yield _field(Kind.GAUGE, "disk.inodes_free", "node_filesystem_files_free", at, tolerance=1000)
    yield _computed(
        Kind.GAUGE,
        "disk.inodes_used_ratio",
        "1 - files_free / files {mountpoint}",
        lambda s, row: _used_inodes_ratio(s, row["mount"]),
        tolerance=0.001,
    )
    yield _field(Kind.GAUGE, "disk.read_only", "node_filesystem_readonly", at)
    yield _computed(
        Kind.GAUGE,
        "disk.responding",
        "1 - device_error {mountpoint}",
        lambda s, row: 1 - _number(s, "node_filesystem_device_error", mountpoint=row["mount"]),
    )


def _used_disk(scrape: Scrape, mount: str) -> float:
    return _number(scrape, "node_filesystem_size_bytes", mountpoint=mount) - _number(scrape, "node_filesystem_free_bytes", mountpoint=mount)


def _used_disk_ratio(scrape: Scrape, mount: str) -> float:
    used = _used_disk(scrape, mount)
    return used / (used + _number(scrape, "node_filesystem_avail_bytes", mountpoint=mount))


def _used_inodes_ratio(scrape: Scrape, mount: str) -> float | None:
    files = _number(scrape, "node_filesystem_files", mountpoint=mount)
    return 1 - _number(scrape, "node_filesystem_files_free", mountpoint=mount) / files if files else None


def _disk_io() -> Iterable[Field]:
    of = {"device": "device"}
    yield from _counter_and_rate("disk_io.reads_total", "disk_io.reads_per_second", "node_disk_reads_completed_total", of)
    yield from _counter_and_rate("disk_io.writes_total", "disk_io.writes_per_second", "node_disk_writes_completed_total", of)
    yield from _counter_and_rate("disk_io.read_bytes_total", "disk_io.read_bytes_per_second", "node_disk_read_bytes_total", of)
    yield from _counter_and_rate("disk_io.write_bytes_total", "disk_io.write_bytes_per_second", "node_disk_written_bytes_total", of)
    yield from _counter_and_rate("disk_io.busy_seconds_total", "disk_io.utilisation_ratio", "node_disk_io_time_seconds_total", of)
    yield from _counter_and_rate("disk_io.queued_seconds_total", "disk_io.queue_length", "node_disk_io_time_weighted_seconds_total", of)
    yield _field(Kind.COUNTER, "disk_io.read_seconds_total", "node_disk_read_time_seconds_total", of)
    yield _field(Kind.COUNTER, "disk_io.write_seconds_total", "node_disk_write_time_seconds_total", of)
    yield _field(Kind.GAUGE, "disk_io.in_progress", "node_disk_io_now", of, tolerance=64)


def _awaits() -> Iterable[Field]:
    for ours, ways in {"read_await": ["read"], "write_await": ["write"], "await": ["read", "write"]}.items():
        times = [f"node_disk_{way}_time_seconds_total" for way in ways]
        yield Field(
            ours=f"disk_io.{ours}_seconds",
            theirs=f"{' + '.join(times)} / completed {{device}}",
            kind=Kind.RATE,
            read=_sum_of_device(times),
            per=_sum_of_device([f"node_disk_{way}s_completed_total" for way in ways]),
        )


def _sum_of_device(names: Sequence[str]) -> Callable[[Scrape, Labels], float]:
    return lambda scrape, row: sum(_number(scrape, name, device=row["device"]) for name in names)


def _network() -> Iterable[Field]:
    for ours, theirs in (("bytes", "bytes"), ("packets", "packets"), ("errors", "errs"), ("drops", "drop")):
        for way in ("receive", "transmit"):
            name = f"network.{way}_{ours}"
            yield from _counter_and_rate(f"{name}_total", f"{name}_per_second", f"node_network_{way}_{theirs}_total", {"device": "interface"})
    yield _field(Kind.GAUGE, "network.up", "node_network_up", {"device": "interface"})
    yield _field(Kind.GAUGE, "network.mtu_bytes", "node_network_mtu_bytes", {"device": "interface"})


def _pressure() -> Iterable[Field]:
    names = {("cpu", "some"): "cpu_waiting", ("memory", "some"): "memory_waiting", ("io", "some"): "io_waiting"}
    names |= {("memory", "full"): "memory_stalled", ("io", "full"): "io_stalled"}
    for kind in ("some", "full"):

        def read(scrape: Scrape, row: Labels, kind: str = kind) -> float | None:
            name = names.get((row["resource"], kind))
            return scrape.value(f"node_pressure_{name}_seconds_total", {}) if name else None

        theirs = f"node_pressure_<resource>_{'waiting' if kind == 'some' else 'stalled'}_seconds_total"
        yield _computed(Kind.COUNTER, f"pressure.{kind}_seconds_total", theirs, read)
        yield _computed(Kind.RATE, f"pressure.{kind}_ratio", theirs, read)


def _host() -> Iterable[Field]:
    yield _computed(
        Kind.GAUGE,
        "host.uptime_seconds",
        "node_time_seconds - node_boot_time_seconds",
        lambda s, _: _number(s, "node_time_seconds") - _boot(s),
        tolerance=1.0,
    )
    yield _field(Kind.GAUGE, "host.boot_at_seconds", "node_boot_time_seconds")
    yield _computed(Kind.TEXT, "host.kernel", "node_uname_info{release}", lambda s, _: s.text("node_uname_info", "release"))
    yield _computed(Kind.TEXT, "host.os", "node_os_info{pretty_name}", lambda s, _: s.text("node_os_info", "pretty_name"))
    yield _computed(Kind.TEXT, "host.architecture", "node_uname_info{machine}", lambda s, _: s.text("node_uname_info", "machine"))


def _boot(scrape: Scrape) -> float:
    return _number(scrape, "node_boot_time_seconds")


def fields(*, cpus: int, page_bytes: int) -> tuple[Field, ...]:
    """Every field that both have."""
    return (
        *_cpu("cpu", cpus * 0.01, {}),
        *_cpu("cpu_core", 0.0, {"cpu": "core"}),
        *(field for span in ("1", "5", "15") for field in _load(span)),
        _computed(Kind.GAUGE, "load.cpus", "count(node_cpu_seconds_total{mode=idle})", lambda s, _: _cpus(s)),
        _field(Kind.GAUGE, "load.running", "node_procs_running", tolerance=16),
        _field(Kind.GAUGE, "load.blocked", "node_procs_blocked", tolerance=16),
        _field(Kind.GAUGE, "load.threads", "node_processes_threads", tolerance=16),
        *_counter_and_rate("load.context_switches_total", "load.context_switches_per_second", "node_context_switches_total"),
        *_counter_and_rate("load.forks_total", "load.forks_per_second", "node_forks_total"),
        *_memory(),
        *_swap(page_bytes),
        *_disk(),
        *_disk_io(),
        *_awaits(),
        *_network(),
        *_pressure(),
        *_host(),
    )
