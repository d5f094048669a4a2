"""Merging: many small files of one day become one, hourly while the day goes on and once more when it is over.

A file is rewritten at most once at each level, and again only when late rows follow a day later: an outage's backfill costs no storm of rewriting.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import duckdb

from watchdesk_collector.history import parquet
from watchdesk_collector.history.errors import ExportFailed
from watchdesk_collector.history.model import ParquetFile
from watchdesk_collector.history.relation import file_sources, rows_of
from watchdesk_collector.history.sealing import file_path
from watchdesk_collector.history.steps import Steps

HOURLY, DAILY = 1, 2
HOURLY_AFTER = timedelta(hours=1)
DAILY_AFTER = timedelta(hours=24)
LARGE_BYTES = 256 << 20  # merging larger files gains nothing and costs hours of sorting


@dataclass(frozen=True, slots=True)
class Choice:
    """Files of one measurement and day that should be one file of this level."""

    files: Sequence[ParquetFile]
    level: int


def choose(files: Iterable[ParquetFile], now: datetime) -> Choice | None:
    """What to merge next; None when nothing is worth it."""
    by_day = sorted(files, key=_measurement_and_day)
    for _, group in groupby(by_day, key=_measurement_and_day):
        small = [file for file in group if file.bytes < LARGE_BYTES]
        for chosen, level in ((_daily(small, now), DAILY), (_hourly(small, now), HOURLY)):
            if len(chosen) > 1:
                return Choice(_up_to_large(chosen), level)
    return None


def _measurement_and_day(file: ParquetFile) -> tuple[str, date]:
    return file.measurement, file.day


def _daily(files: Sequence[ParquetFile], now: datetime) -> Sequence[ParquetFile]:
    """All of a day that is over, once the oldest of its unmerged files has waited a day for late ones."""
    is_over = all(file.day < now.date() for file in files)
    return files if is_over and any(file.level < DAILY and file.created_at <= now - DAILY_AFTER for file in files) else ()


def _hourly(files: Sequence[ParquetFile], now: datetime) -> Sequence[ParquetFile]:
    """What was sealed since the last time, once the oldest of it is an hour old."""
    sealed = [file for file in files if file.level == 0]
    return sealed if any(file.created_at <= now - HOURLY_AFTER for file in sealed) else ()


def _up_to_large(files: Sequence[ParquetFile]) -> Sequence[ParquetFile]:
    """As many of the smallest as make one large file, at least two."""
    chosen: list[ParquetFile] = []
    for file in sorted(files, key=lambda file: file.bytes):
        if len(chosen) > 1 and sum(one.bytes for one in chosen) + file.bytes > LARGE_BYTES:
            break
        chosen.append(file)
    return chosen


def merge(cursor: duckdb.DuckDBPyConnection, choice: Choice, *, root: Path, number: int, at: datetime, steps: Steps) -> ParquetFile:
    """Write the one file that can take the place of the chosen; `number` names it. **Errors**: ExportFailed."""
    files, first = choice.files, choice.files[0]
    path = file_path(first.measurement, first.day, number)
    rows, size = parquet.write(cursor, rows_of(file_sources(files, root)), root / path, steps)
    if rows != sum(file.rows for file in files):
        (root / path).unlink()
        raise ExportFailed(f"merging {len(files)} files of {first.measurement} on {first.day} gave {rows} rows, not as many as they have")
    return ParquetFile(
        path=path,
        measurement=first.measurement,
        day=first.day,
        generation=number,
        level=choice.level,
        columns=max(file.columns for file in files),
        rows=rows,
        bytes=size,
        first_ts=min(file.first_ts for file in files),
        last_ts=max(file.last_ts for file in files),
        created_at=at,
    )
