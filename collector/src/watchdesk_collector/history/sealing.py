"""Sealing: the rows of generations that nobody appends to any more, written as one Parquet file per measurement and UTC day.

Before it: `History.rotate`. After it: `History.apply`, which puts the files into the manifest and drops the tables in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from watchdesk_collector.clock import from_us
from watchdesk_collector.history import generation, manifest, parquet
from watchdesk_collector.history.errors import ExportFailed
from watchdesk_collector.history.model import ParquetFile
from watchdesk_collector.history.steps import Steps

DAY_US = 86_400_000_000
DAYS = """
SELECT {day} AS day, count(*) AS rows, epoch_us(min(ts)), epoch_us(max(ts))
FROM {table}
GROUP BY day
ORDER BY day
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealer:
    """Writes files below `root`."""

    root: Path
    steps: Steps

    def export(self, cursor: duckdb.DuckDBPyConnection, tables: Mapping[int, Sequence[str]], *, oldest_day: date, at: datetime) -> list[ParquetFile]:
        """Seal these tables (generation → measurements). **Errors**: ExportFailed.

        Rows dated before `oldest_day`, which leave with the next retention anyway, share its file: a file per day of garbage is never made.
        """
        files: list[ParquetFile] = []
        for number, measurements in tables.items():
            for measurement in measurements:
                files += self._export_table(cursor, measurement, number, oldest_day=oldest_day, at=at)
        return files

    def _export_table(self, cursor: duckdb.DuckDBPyConnection, measurement: str, number: int, *, oldest_day: date, at: datetime) -> list[ParquetFile]:
        table = generation.table(measurement, number)
        day_of_row = f"greatest(epoch_us(ts) // {DAY_US}, {manifest.number_of(oldest_day)})"
        columns = len(cursor.execute(f"SELECT * FROM {table} LIMIT 0").description or ()) - 2
        files = []
        for day_number, rows, first_us, last_us in cursor.execute(DAYS.format(day=day_of_row, table=table)).fetchall():
            day = manifest.day_of(day_number)
            path = file_path(measurement, day, number)
            written, size = parquet.write(cursor, f"SELECT * FROM {table} WHERE {day_of_row} = {day_number}", self.root / path, self.steps)
            if written != rows:
                raise ExportFailed(f"sealing {measurement} of {day} wrote {written} of {rows} rows")
            files.append(
                ParquetFile(
                    path=path,
                    measurement=measurement,
                    day=day,
                    generation=number,
                    level=0,
                    columns=columns,
                    rows=rows,
                    bytes=size,
                    first_ts=from_us(first_us),
                    last_ts=from_us(last_us),
                    created_at=at,
                )
            )
        return files


def file_path(measurement: str, day: date, number: int) -> Path:
    """Relative to the history folder."""
    return Path(parquet.FOLDER, measurement, day.isoformat(), f"{number}.parquet")


def oldest_day(now: datetime, max_age_s: float) -> date:
    """The first day that retention keeps all of."""
    return (now - timedelta(seconds=max_age_s)).date()
