"""Numbers that look like measured ones, for every column of a measurement: what all the benchmarks of storage and ingest are fed with.

Counters grow by what a busy or idle second brings, gauges walk and are rounded as kernels and samplers round, and what hardly ever moves on a real
host (totals, errors, drops) stays as it is. The same generator gives the same numbers, whoever is measured. Nothing here is part of the product.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from watchdesk_collector.model import NULL_INT64, Table
from watchdesk_proto.catalogue import Column, Kind, Measurement, Type

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SECOND_US = 1_000_000
PAGE_BYTES, SECTOR_BYTES = 4096, 512
NEVER_MOVES = re.compile(r"total_bytes|commit_limit_bytes|cpus|mtu_bytes|speed_bytes_per_second|up|read_only|responding|inodes_total")
IS_MOSTLY_ZERO = re.compile(r".*(errors|drops|oom_kills|major_faults|steal|guest|nice|(?<!soft)irq).*")


def host_tables(measurements: tuple[Measurement, ...], *, host: int, first_us: int, ticks: int) -> list[Table]:
    """One row per measurement and second of one host; equal for equal arguments."""
    ts = first_us + np.arange(ticks, dtype=np.int64) * SECOND_US
    return [walk(measurement, ts, np.random.default_rng((host, number))) for number, measurement in enumerate(measurements)]


def walk(measurement: Measurement, ts: Ints, rng: np.random.Generator) -> Table:
    """A series of rows at these times (microseconds); every text is "part"."""
    columns = [ts, *(_column(column, measurement.name, len(ts), rng) for column in measurement.columns)]
    return Table(schema_id=measurement.schema_id, words=np.ascontiguousarray(np.stack(columns)), texts=["part"])


def slots(table: Table, first: int, last: int) -> Table:
    """The rows from `first` up to but without `last`."""
    return Table(schema_id=table.schema_id, words=np.ascontiguousarray(table.words[:, first:last]), texts=table.texts)


def between(table: Table, first_us: int, until_us: int) -> Table:
    """The rows of `first_us` up to but without `until_us`; the table is sorted by time."""
    first, last = np.searchsorted(table.words[0], [first_us, until_us])
    return slots(table, int(first), int(last))


def values_in(measurements: Sequence[Measurement], tables: Sequence[Table], first_us: int, until_us: int) -> int:
    """Numbers that are not null, ts and texts aside."""
    return sum(_values_of(between(table, first_us, until_us), measurement) for table, measurement in zip(tables, measurements, strict=True))


def _values_of(table: Table, measurement: Measurement) -> int:
    return sum(int(np.count_nonzero(known(column, row))) for column, row in zip(measurement.columns, table.words[1:], strict=True))


def known(column: Column, words: Ints) -> npt.NDArray[np.bool_]:
    """Where a column holds a number."""
    if column.type is Type.TEXT:
        return np.zeros(len(words), np.bool_)
    return ~np.isnan(words.view(np.float64)) if column.type is Type.FLOAT64 else words != NULL_INT64


def _column(column: Column, measurement: str, rows: int, rng: np.random.Generator) -> Ints:
    if column.type is Type.TEXT:
        return np.zeros(rows, np.int64)
    numbers = _numbers(column, measurement, rows, rng)
    return numbers.view(np.int64) if column.type is Type.FLOAT64 else numbers.astype(np.int64)


def _numbers(column: Column, measurement: str, rows: int, rng: np.random.Generator) -> Floats:
    if NEVER_MOVES.fullmatch(column.name):
        return np.full(rows, float(rng.integers(1, 2**24) * PAGE_BYTES if column.unit == "bytes" else rng.integers(0, 8)))
    if IS_MOSTLY_ZERO.fullmatch(column.name) or measurement == "swap":
        return np.zeros(rows)
    if column.kind is Kind.COUNTER:
        return _counter(column, rows, rng)
    return _gauge(column, rows, rng)


def _counter(column: Column, rows: int, rng: np.random.Generator) -> Floats:
    """From anywhere on, by a number of events a second that itself wanders."""
    per_second = rng.lognormal(3, 1.5) * np.exp(_steps(rows, rng, 0.05))
    events = rng.integers(1, 2**28) + np.cumsum(rng.poisson(np.minimum(per_second, 1e6)))
    if column.type is Type.FLOAT64:
        return np.round(events / 100, 2)
    if column.unit == "bytes":
        return events.astype(np.float64) * SECTOR_BYTES
    return events.astype(np.float64)


def _gauge(column: Column, rows: int, rng: np.random.Generator) -> Floats:
    if column.unit == "ratio":
        between_0_and_1: Floats = np.abs(np.mod(rng.random() + _steps(rows, rng, 0.02), 2) - 1)
        return np.round(between_0_and_1, 4)
    level = rng.lognormal(3, 1.5) * np.exp(_steps(rows, rng, 0.02))
    if column.unit == "bytes":
        return np.round(level * 1000) * PAGE_BYTES
    return np.round(level, 0 if column.type is Type.INT64 else 2)


def _steps(rows: int, rng: np.random.Generator, size: float) -> Floats:
    """A walk that is pulled back to zero, so that an hour of it stays in range; it stands still in one second of three."""
    moves = rng.normal(0, size, rows) * (rng.random(rows) > 1 / 3)
    summed: Floats = np.cumsum(moves)
    return summed - np.linspace(0.0, summed[-1], rows)
