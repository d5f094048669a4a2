"""Ways to write one table as Parquet, for `bench_size.py --encodings`: DuckDB's options, and pyarrow's encodings per column. Nothing here is part
of the product.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from walks import SECOND_US, between, known, values_in
from watchdesk_collector.model import Table, host_id_of
from watchdesk_proto.catalogue import Measurement, Type

MAX_DECIMAL_DIGITS = 6
EXACT_INTEGERS = 2**53
ROW_GROUP_ROWS = 122_880  # DuckDB's own

Write = Callable[[pa.Table, Measurement, Path], None]


def compare(name: str, measurements: tuple[Measurement, ...], hosts: Sequence[Sequence[Table]], *, first_us: int, spans_s: Sequence[int]) -> None:
    """Print a line per way and span."""
    for span_s in spans_s:
        until_us = first_us + span_s * SECOND_US
        tables = [(one, to_arrow(one, [of[number] for of in hosts], first_us, until_us)) for number, one in enumerate(measurements)]
        values = sum(values_in(measurements, of, first_us, until_us) for of in hosts)
        print(f"\n{name}: {len(hosts)} hosts, {span_s // 60} minutes, {values / 1e6:.1f} M values", flush=True)
        for way, write in WAYS.items():
            costs = [cost(write, table, measurement) for measurement, table in tables]
            size, written_s, read_s = (sum(parts) for parts in zip(*costs, strict=True))
            print(f"  {way:62} {size / values:5.2f} bytes per value, CPU {written_s:5.2f} s to write, {read_s:5.2f} s to read", flush=True)


def to_arrow(measurement: Measurement, tables: Sequence[Table], first_us: int, until_us: int) -> pa.Table:
    """The rows of all hosts, sorted by host and time."""
    rows = pa.concat_tables([_host_rows(measurement, between(table, first_us, until_us), host) for host, table in enumerate(tables)])
    return rows.sort_by([("host_id", "ascending"), ("ts", "ascending")]).combine_chunks()


def _host_rows(measurement: Measurement, table: Table, host: int) -> pa.Table:
    columns = {"ts": pa.array(table.words[0], pa.timestamp("us", "UTC")), "host_id": pa.array(np.full(table.rows, host_id_of(f"host-{host}")))}
    for column, words in zip(measurement.columns, table.words[1:], strict=True):
        if column.type is Type.TEXT:
            columns[column.name] = pa.array([table.texts[code] if code >= 0 else None for code in words.tolist()], pa.string())
        else:
            columns[column.name] = pa.array(words.view(np.float64) if column.type is Type.FLOAT64 else words, mask=~known(column, words))
    return pa.table(columns)


def cost(write: Write, table: pa.Table, measurement: Measurement) -> tuple[int, float, float]:
    """Bytes, CPU to write, CPU to read every column."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        began_s = time.process_time()
        write(table, measurement, path)
        written_s = time.process_time() - began_s
        maxima = ", ".join(f'max("{column}")' for column in table.column_names)
        with duckdb.connect(config={"threads": "1"}) as connection:
            began_s = time.process_time()
            connection.execute(f"SELECT {maxima} FROM read_parquet('{path}')").fetchall()
            return path.stat().st_size, written_s, time.process_time() - began_s


def by_duckdb(options: str, *, by_labels: bool = False) -> Write:
    """As history does it, with these options of COPY; the sorting is in the CPU."""

    def write(table: pa.Table, measurement: Measurement, path: Path) -> None:
        order = ", ".join(["host_id", *(label.name for label in measurement.labels if by_labels), "ts"])
        with duckdb.connect(config={"threads": "1"}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("rows_to_write", table)
            connection.execute(f"COPY (SELECT * FROM rows_to_write ORDER BY {order}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, {options})")

    return write


def by_pyarrow(*, floats: str, integers: str, decimals: bool = False) -> Write:
    """One encoding for doubles and one for integers; what is sorted is not sorted again."""

    def write(table: pa.Table, measurement: Measurement, path: Path) -> None:
        if decimals:
            table = pa.table({name: scaled(table[name].combine_chunks()) for name in table.column_names})
        numbers = [field for field in table.schema if not pa.types.is_string(field.type)]
        encodings = {field.name: floats if field.type == pa.float64() else integers for field in numbers}
        pq.write_table(table, path, compression="zstd", use_dictionary=False, column_encoding=encodings, row_group_size=ROW_GROUP_ROWS)

    return write


def scaled(column: "pa.Array[Any]") -> "pa.Array[Any]":
    """Doubles that are all decimals of few digits as integers; anything else as it is."""
    if column.type != pa.float64():
        return column
    numbers = np.nan_to_num(column.to_numpy(zero_copy_only=False))
    for digits in range(MAX_DECIMAL_DIGITS + 1):
        integers = np.rint(numbers * 10.0**digits)
        if np.array_equal(integers / 10.0**digits, numbers) and np.abs(integers).max(initial=0) < EXACT_INTEGERS:
            as_integers: pa.Array[Any] = pa.array(integers.astype(np.int64), mask=column.is_null().to_numpy(zero_copy_only=False))
            return as_integers
    return column


V1 = "PARQUET_VERSION v1, WRITE_BLOOM_FILTER false"
WAYS: dict[str, Write] = {
    "v2": by_duckdb("PARQUET_VERSION v2"),
    "v2, no Bloom filters": by_duckdb("PARQUET_VERSION v2, WRITE_BLOOM_FILTER false"),
    "v1, no Bloom filters (what history does)": by_duckdb(V1),
    "v1, no dictionaries": by_duckdb(f"{V1}, DICTIONARY_SIZE_LIMIT 1"),
    "v1, zstd 6": by_duckdb(f"{V1}, COMPRESSION_LEVEL 6"),
    "v1, zstd 9": by_duckdb(f"{V1}, COMPRESSION_LEVEL 9"),
    "v1, zstd 12": by_duckdb(f"{V1}, COMPRESSION_LEVEL 12"),
    "v1, sorted by host, labels, time": by_duckdb(V1, by_labels=True),
    "v1, row groups of 500,000": by_duckdb(f"{V1}, ROW_GROUP_SIZE 500000"),
    "pyarrow: doubles PLAIN, integers DELTA_BINARY_PACKED": by_pyarrow(floats="PLAIN", integers="DELTA_BINARY_PACKED"),
    "pyarrow: doubles BYTE_STREAM_SPLIT, integers PLAIN": by_pyarrow(floats="BYTE_STREAM_SPLIT", integers="PLAIN"),
    "pyarrow: decimals as integers, DELTA_BINARY_PACKED": by_pyarrow(floats="PLAIN", integers="DELTA_BINARY_PACKED", decimals=True),
    "pyarrow: decimals as integers, PLAIN": by_pyarrow(floats="PLAIN", integers="PLAIN", decimals=True),
}
