"""Hot generations: the tables `<measurement>__g<number>` that commits append to, until they become Parquet files.

Invariant: exactly one generation, the newest, is appended to and has a table for every measurement; older ones only wait to be exported and dropped.
No keys, no indexes, no constraints: replay of the write-ahead log must stay the simplest thing there is.
"""

import re
from collections.abc import Iterable, Sequence

import duckdb
import pyarrow as pa
from watchdesk_proto.catalogue import Column, Measurement, Type

from watchdesk_collector.history.columns import stream

SQL_TYPES = {Type.FLOAT64: "DOUBLE", Type.INT64: "BIGINT", Type.TEXT: "VARCHAR"}
TABLE_NAME = re.compile(r"(.+)__g(\d+)")
LIST_TABLES = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND NOT temporary AND NOT internal ORDER BY table_name"


def quoted(name: str) -> str:
    """An identifier; names are checked by the catalogue, yet some are SQL's own words."""
    return f'"{name}"'


def table(measurement: str, generation: int) -> str:
    """The table's name, quoted."""
    return quoted(f"{measurement}__g{generation}")


def read_tables(cursor: duckdb.DuckDBPyConnection) -> dict[int, list[str]]:
    """Generation → measurements that have a table in it, as of the cursor's transaction."""
    measurements: dict[int, list[str]] = {}
    for (name,) in cursor.execute(LIST_TABLES).fetchall():
        if match := TABLE_NAME.fullmatch(name):
            measurements.setdefault(int(match[2]), []).append(match[1])
    return dict(sorted(measurements.items()))


def read_rows(cursor: duckdb.DuckDBPyConnection, measurement: str, generation: int) -> int:
    """How many rows a table has."""
    ((rows,),) = cursor.execute(f"SELECT count(*) FROM {table(measurement, generation)}").fetchall()
    return int(rows)


def create(cursor: duckdb.DuckDBPyConnection, measurements: Iterable[Measurement], generation: int) -> None:
    """Begin a generation, or add measurements to it."""
    for measurement in measurements:
        columns = ", ".join(_column(column) for column in measurement.columns)
        cursor.execute(f"CREATE TABLE {table(measurement.name, generation)} (ts TIMESTAMPTZ, host_id BIGINT, {columns})")


def add_columns(cursor: duckdb.DuckDBPyConnection, measurement: str, columns: Sequence[Column], generation: int) -> None:
    """Columns that the rows so far have no value for."""
    for column in columns:
        cursor.execute(f"ALTER TABLE {table(measurement, generation)} ADD COLUMN {_column(column)}")


def _column(column: Column) -> str:
    return f"{quoted(column.name)} {SQL_TYPES[column.type]}"


def insert(cursor: duckdb.DuckDBPyConnection, measurement: str, generation: int, rows: pa.Table) -> None:
    """Append rows by column name; columns that are not among them become null."""
    arriving = stream(rows)  # noqa: F841  # DuckDB finds it by this name
    columns = ", ".join(map(quoted, rows.column_names))
    cursor.execute(f"INSERT INTO {table(measurement, generation)} ({columns}) SELECT * FROM arriving")


def drop(cursor: duckdb.DuckDBPyConnection, measurements: Iterable[str], generation: int) -> None:
    """Let go of a generation, or of some of its tables; rows are never deleted one by one."""
    for measurement in measurements:
        cursor.execute(f"DROP TABLE {table(measurement, generation)}")
