"""The manifest: which Parquet files are history. A file without a row here is an orphan, whatever it holds.

Rows come and go in the transactions that make them true: with the DROP of the generation a file was written from, or with the rows of the files that
it replaces.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb

from watchdesk_collector.clock import from_us, to_us
from watchdesk_collector.history.model import ParquetFile, Span

CREATE = """
CREATE TABLE IF NOT EXISTS manifest (
    path VARCHAR, measurement VARCHAR, day INTEGER, generation BIGINT, level INTEGER, columns INTEGER,
    rows BIGINT, bytes BIGINT, first_us BIGINT, last_us BIGINT, created_us BIGINT
)
"""
ADD = "INSERT INTO manifest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
REMOVE = "DELETE FROM manifest WHERE path = ?"
READ = """
SELECT path, measurement, day, generation, level, columns, rows, bytes, first_us, last_us, created_us
FROM manifest
WHERE last_us >= $since AND first_us <= $until AND ($measurements IS NULL OR list_contains($measurements, measurement))
ORDER BY measurement, day, generation
"""
BEGINS = "SELECT measurement, min(first_us) FROM manifest GROUP BY measurement"
SIZES = "SELECT measurement, sum(rows)::BIGINT, sum(bytes)::BIGINT, count(*) FROM manifest GROUP BY measurement"

EVER = Span()
_FIRST_US, _LAST_US = -(2**63), 2**63 - 1
_FIRST_DAY = date(1970, 1, 1)


def day_of(number: int) -> date:
    """The UTC day, counted from 1970."""
    return _FIRST_DAY + timedelta(days=number)


def number_of(day: date) -> int:
    """The inverse of `day_of`."""
    return (day - _FIRST_DAY).days


def read(cursor: duckdb.DuckDBPyConnection, measurements: Sequence[str] | None = None, span: Span = EVER) -> list[ParquetFile]:
    """The files of these measurements (None: of all) that overlap the span, oldest first."""
    params = {
        "measurements": None if measurements is None else list(measurements),
        "since": to_us(span.since) if span.since else _FIRST_US,
        "until": to_us(span.until) if span.until else _LAST_US,
    }
    return [_file(row) for row in cursor.execute(READ, params).fetchall()]


def _file(row: tuple[str, str, int, int, int, int, int, int, int, int, int]) -> ParquetFile:
    path, measurement, day, generation, level, columns, rows, size, first_us, last_us, created_us = row
    return ParquetFile(
        path=Path(path),
        measurement=measurement,
        day=day_of(day),
        generation=generation,
        level=level,
        columns=columns,
        rows=rows,
        bytes=size,
        first_ts=from_us(first_us),
        last_ts=from_us(last_us),
        created_at=from_us(created_us),
    )


def read_begins(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Measurement → the time of the oldest row in its files."""
    return dict(cursor.execute(BEGINS).fetchall())


def add(cursor: duckdb.DuckDBPyConnection, files: Iterable[ParquetFile]) -> None:
    for file in files:
        row = [str(file.path), file.measurement, number_of(file.day), file.generation, file.level, file.columns, file.rows, file.bytes]
        cursor.execute(ADD, [*row, to_us(file.first_ts), to_us(file.last_ts), to_us(file.created_at)])


def remove(cursor: duckdb.DuckDBPyConnection, files: Iterable[ParquetFile]) -> None:
    """Take files out. A removed manifest row is no sample: deleting it is what a manifest is for."""
    for file in files:
        cursor.execute(REMOVE, [str(file.path)])


def has_all(cursor: duckdb.DuckDBPyConnection, files: Sequence[ParquetFile]) -> bool:
    """Whether each of them is still history."""
    ((count,),) = cursor.execute("SELECT count(*) FROM manifest WHERE list_contains(?, path)", [[str(file.path) for file in files]]).fetchall()
    return bool(count == len(files))


def read_sizes(cursor: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, int, int]]:
    """Measurement → rows, bytes, files."""
    return {measurement: (rows, size, files) for measurement, rows, size, files in cursor.execute(SIZES).fetchall()}
