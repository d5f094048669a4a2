"""The charts of a host's page. Adding one: an entry in `PANELS`.

A panel's query gives one row per slot (and per `part`, such as a device); each of its `lines` names a column of it and how it is drawn.
"""

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """How values are written."""

    RATIO = "ratio"
    BYTES = "bytes"
    BYTES_PER_SECOND = "bytes_per_second"
    SECONDS = "seconds"
    NUMBER = "number"


class Role(StrEnum):
    """How a series is drawn."""

    LINE = "line"
    AREA = "area"  # on top of the areas before it
    BELOW = "below"  # downwards from zero, for the other direction of traffic
    PEAK = "peak"  # a thin line: the worst within each slot
    LIMIT = "limit"  # a thin dashed line that others are read against


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A column of a panel's query. `low` and `high` name the columns of the band within which the samples of a slot lay."""

    column: str
    name: str
    role: Role = Role.LINE
    low: str | None = None
    high: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart; `ceiling` is where the value axis ends when values themselves have an end."""

    id: str
    title: str
    table: str
    unit: Unit
    sql: str
    lines: tuple[Line, ...]
    ceiling: float | None = None


CPU = Panel(
    id="cpu",
    title="CPU",
    table="cpu",
    unit=Unit.RATIO,
    ceiling=1.0,
    sql="""
        SELECT (epoch_us(ts) - $1) // $2 AS slot,
               avg(user_ratio + nice_ratio) AS user,
               avg(system_ratio) AS system,
               avg(irq_ratio + softirq_ratio) AS irq,
               avg(iowait_ratio) AS iowait,
               avg(steal_ratio) AS steal,
               max(busy_ratio) AS peak
        FROM cpu
        WHERE host_id = $3
        GROUP BY slot
        ORDER BY slot
    """,
    lines=(
        Line(column="user", name="user", role=Role.AREA),
        Line(column="system", name="system", role=Role.AREA),
        Line(column="irq", name="interrupts", role=Role.AREA),
        Line(column="iowait", name="waiting for I/O", role=Role.AREA),
        Line(column="steal", name="stolen", role=Role.AREA),
        Line(column="peak", name="busiest moment", role=Role.PEAK),
    ),
)

MEMORY = Panel(
    id="memory",
    title="Memory",
    table="memory",
    unit=Unit.BYTES,
    sql="""
        SELECT (epoch_us(ts) - $1) // $2 AS slot,
               avg(used_bytes) AS used,
               avg(greatest(available_bytes - free_bytes, 0)) AS cache,
               max(total_bytes) AS total
        FROM memory
        WHERE host_id = $3
        GROUP BY slot
        ORDER BY slot
    """,
    lines=(
        Line(column="used", name="used", role=Role.AREA),
        Line(column="cache", name="cache and buffers", role=Role.AREA),
        Line(column="total", name="installed", role=Role.LIMIT),
    ),
)

LOAD = Panel(
    id="load",
    title="Load",
    table="load",
    unit=Unit.NUMBER,
    sql="""
        SELECT (epoch_us(ts) - $1) // $2 AS slot,
               avg(load1) AS load1,
               min(load1) AS load1_low,
               max(load1) AS load1_high,
               avg(load15) AS load15,
               max(cpus) AS cpus
        FROM load
        WHERE host_id = $3
        GROUP BY slot
        ORDER BY slot
    """,
    lines=(
        Line(column="load1", name="1 min", low="load1_low", high="load1_high"),
        Line(column="load15", name="15 min"),
        Line(column="cpus", name="CPUs", role=Role.LIMIT),
    ),
)

DISK = Panel(
    id="disk",
    title="Disk space used",
    table="disk",
    unit=Unit.RATIO,
    ceiling=1.0,
    sql="""
        SELECT (epoch_us(ts) - $1) // $2 AS slot, mount AS part, max(used_ratio) AS used
        FROM disk
        WHERE host_id = $3
        GROUP BY slot, mount
        ORDER BY slot
    """,
    lines=(Line(column="used", name=""),),
)

DISK_IO = Panel(
    id="disk_io",
    title="Disk traffic",
    table="disk_io",
    unit=Unit.BYTES_PER_SECOND,
    sql="""
        SELECT (epoch_us(ts) - $1) // $2 AS slot,
               device AS part,
               avg(read_bytes_per_second) AS read,
               avg(write_bytes_per_second) AS written
        FROM disk_io
        WHERE host_id = $3
        GROUP BY slot, device
        ORDER BY slot
    """,
    lines=(Line(column="read", name="read"), Line(column="written", name="written", role=Role.BELOW)),
)

DISK_BUSY = Panel(
    id="disk_busy",
    title="Disk busy",
    table="disk_io",
    unit=Unit.RATIO,
    ceiling=1.0,
    sql="""
        SELECT (epoch_us(ts) - $1) // $2 AS slot,
               device AS part,
               avg(utilisation_ratio) AS busy,
               min(utilisation_ratio) AS busy_low,
               max(utilisation_ratio) AS busy_high
        FROM disk_io
        WHERE host_id = $3
        GROUP BY slot, device
        ORDER BY slot
    """,
    lines=(Line(column="busy", name="", low="busy_low", high="busy_high"),),
)

NETWORK = Panel(
    id="network",
    title="Network traffic",
    table="network",
    unit=Unit.BYTES_PER_SECOND,
    sql="""
        SELECT (epoch_us(ts) - $1) // $2 AS slot,
               interface AS part,
               avg(receive_bytes_per_second) AS received,
               avg(transmit_bytes_per_second) AS sent
        FROM network
        WHERE host_id = $3
        GROUP BY slot, interface
        ORDER BY slot
    """,
    lines=(Line(column="received", name="received"), Line(column="sent", name="sent", role=Role.BELOW)),
)

PRESSURE = Panel(
    id="pressure",
    title="Pressure: share of time that work had to wait",
    table="pressure",
    unit=Unit.RATIO,
    sql="""
        SELECT (epoch_us(ts) - $1) // $2 AS slot,
               resource AS part,
               avg(some_ratio) AS waiting,
               min(some_ratio) AS waiting_low,
               max(some_ratio) AS waiting_high
        FROM pressure
        WHERE host_id = $3
        GROUP BY slot, resource
        ORDER BY slot
    """,
    lines=(Line(column="waiting", name="", low="waiting_low", high="waiting_high"),),
)

PROBE = Panel(
    id="probe",
    title="Probe latency",
    table="probe",
    unit=Unit.SECONDS,
    sql="""
        SELECT (epoch_us(ts) - $1) // $2 AS slot,
               probe AS part,
               avg(duration_seconds) FILTER (success = 1) AS latency,
               min(duration_seconds) FILTER (success = 1) AS latency_low,
               max(duration_seconds) FILTER (success = 1) AS latency_high
        FROM probe
        WHERE host_id = $3
        GROUP BY slot, probe
        ORDER BY slot
    """,
    lines=(Line(column="latency", name="", low="latency_low", high="latency_high"),),
)

PANELS: tuple[Panel, ...] = (CPU, MEMORY, LOAD, DISK, DISK_IO, DISK_BUSY, NETWORK, PRESSURE, PROBE)
