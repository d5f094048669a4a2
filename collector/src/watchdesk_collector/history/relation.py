"""The SELECT that a measurement is: hot generations and Parquet files as one relation. Text only, so that a process of its own can build it too.

Invariant: all sources come from one moment (one transaction's manifest and tables), so no row is seen twice or not at all.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.history.generation import quoted
from watchdesk_collector.history.model import ParquetFile, Span


def rows_of(sources: Sequence[str]) -> str:
    """All rows of the sources; columns that one lacks are null there. The first source should have every column."""
    return "\nUNION ALL BY NAME\n".join(f"SELECT * FROM {source}" for source in sources)


def file_sources(files: Iterable[ParquetFile], folder: Path) -> list[str]:
    """One source per version of the schema, widest first: within a version DuckDB plans from one footer instead of reading them all."""
    widest_first = sorted(files, key=lambda file: -file.columns)
    return [
        f"read_parquet([{', '.join(literal(folder / file.path) for file in group)}])"
        for _, group in groupby(widest_first, key=lambda file: file.columns)
    ]


def select(measurement: Measurement, sources: Sequence[str], *, hosts: str, span: Span) -> str:
    """What SQL sees under the measurement's name: ts, host, host_id and its columns, of the hosts in `hosts` (host_id, host), within the span."""
    columns = "".join(f", sample.{quoted(column.name)}" for column in measurement.columns)
    return (
        f"SELECT sample.ts, known.host, sample.host_id{columns}\n"
        f"FROM (\n{rows_of(sources)}\n) AS sample\n"
        f"JOIN {hosts} AS known ON known.host_id = sample.host_id\n"
        f"WHERE {within('sample.ts', span)}"
    )


def no_rows(columns: Iterable[tuple[str, str]]) -> str:
    """A relation with these columns (name, SQL type) that is empty."""
    selected = ", ".join(f"NULL::{type_} AS {quoted(name)}" for name, type_ in columns)
    return f"SELECT {selected} WHERE false"


def within(ts: str, span: Span) -> str:
    """A condition; both ends belong to the range."""
    conditions = [f"{ts} {sign} {_timestamp(at)}" for sign, at in ((">=", span.since), ("<=", span.until)) if at is not None]
    return " AND ".join(conditions) or "true"


def _timestamp(at: datetime) -> str:
    return f"TIMESTAMPTZ '{at.astimezone(UTC).isoformat(sep=' ')}'"


def literal(path: Path) -> str:
    """A path as SQL text; also keeps read_parquet from taking it for a glob."""
    return "'" + "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path)).replace("'", "''") + "'"
