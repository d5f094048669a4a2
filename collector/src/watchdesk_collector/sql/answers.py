"""Writing a query's rows as JSON, CSV or an Arrow stream, up to the limits; in the worker, so that what it costs is the worker's to bear.

DuckDB itself turns everything but numbers, booleans and texts into text first: exact (an interval keeps its months), and without pytz.
"""

import csv
import importlib
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import duckdb

_CHUNK_ROWS = 1000
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
_PLAIN = frozenset({"BOOLEAN", *_INTEGERS, "FLOAT", "DOUBLE", "VARCHAR"})
_NESTED = ("STRUCT", "MAP", "UNION", "JSON")


class Answer(NamedTuple):
    """A complete document, and which limit cut it short."""

    body: bytes
    rows: int
    truncated: str | None


def write_json(relation: duckdb.DuckDBPyRelation, max_rows: int, max_bytes: int) -> Answer:
    """**Shapes**: `{"columns": [{"name", "type"}], "rows": [[…]], "row_count", "truncated"}`. NaN and infinities are texts, nested values JSON."""
    types = [str(kind) for kind in relation.types]
    nested = [index for index, kind in enumerate(types) if _is_nested(kind)]
    texts = relation.project(", ".join(_json_column(index, kind) for index, kind in enumerate(types, start=1)))
    lines, truncated = _collect((_json_row(row, nested) for row in _rows(texts, max_rows)), max_rows, max_bytes)
    columns = [{"name": name, "type": kind} for name, kind in zip(relation.columns, types, strict=True)]
    head = f'{{"columns": {json.dumps(columns, ensure_ascii=False)},\n"rows": [\n'
    tail = f'\n],\n"row_count": {len(lines)}, "truncated": {json.dumps(truncated)}}}\n'
    return Answer(b"".join([head.encode(), b",\n".join(lines), tail.encode()]), len(lines), truncated)


def write_csv(relation: duckdb.DuckDBPyRelation, max_rows: int, max_bytes: int) -> Answer:
    """**Shapes**: a header line, then a line per row; null is an empty cell."""
    texts = relation.project(", ".join(_csv_column(index, str(kind)) for index, kind in enumerate(relation.types, start=1)))
    lines, truncated = _collect((_csv_row(row) for row in _rows(texts, max_rows)), max_rows, max_bytes)
    return Answer(b"".join([_csv_row(relation.columns), *lines]), len(lines), truncated)


def write_arrow(relation: duckdb.DuckDBPyRelation, max_rows: int, max_bytes: int) -> Answer:
    """**Shapes**: an IPC stream with DuckDB's own types; cut by bytes only between record batches."""
    import pyarrow as pa  # noqa: PLC0415  80 ms that only this format costs; `prepare` has loaded it by now

    sink = pa.BufferOutputStream()
    rows, truncated = 0, None
    with relation.limit(max_rows + 1).to_arrow_reader(_CHUNK_ROWS) as reader, pa.ipc.new_stream(sink, reader.schema) as stream:
        for batch in reader:
            if sink.tell() + batch.nbytes > max_bytes:
                truncated = "bytes"
                break
            stream.write_batch(batch.slice(0, max_rows - rows))
            rows += batch.num_rows
            if rows > max_rows:
                rows, truncated = max_rows, "rows"
                break
    return Answer(sink.getvalue().to_pybytes(), rows, truncated)


WRITERS = {"json": write_json, "csv": write_csv, "arrow": write_arrow}


def prepare(format: str) -> None:
    """Load what a format needs while modules can still be loaded."""
    if format == "arrow":
        importlib.import_module("pyarrow")


def _rows(relation: duckdb.DuckDBPyRelation, max_rows: int) -> Iterator[Sequence[Any]]:
    """One row more than is wanted, to know that there are more."""
    limited = relation.limit(max_rows + 1)
    while chunk := limited.fetchmany(_CHUNK_ROWS):
        yield from chunk


def _collect(lines: Iterator[bytes], max_rows: int, max_bytes: int) -> tuple[list[bytes], str | None]:
    kept: list[bytes] = []
    size = 0
    for line in lines:
        size += len(line) + 2
        if len(kept) == max_rows:
            return kept, "rows"
        if size > max_bytes:
            return kept, "bytes"
        kept.append(line)
    return kept, None


def _is_nested(kind: str) -> bool:
    return kind.startswith(_NESTED) or kind.endswith("]")


def _json_column(index: int, kind: str) -> str:
    if _is_nested(kind):
        return f"to_json(#{index})::VARCHAR"
    if kind.startswith("DECIMAL"):
        return f"#{index}::DOUBLE"
    return _csv_column(index, kind)


def _csv_column(index: int, kind: str) -> str:
    if kind in _PLAIN:
        return f"#{index}"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"replace(replace(#{index}::VARCHAR, ' ', 'T'), '+00', 'Z')"  # ISO 8601; the session's zone is UTC
    return f"#{index}::VARCHAR"


def _json_row(row: Sequence[Any], nested: Sequence[int]) -> bytes:
    values = list(row)
    for index in nested:
        if values[index] is not None:
            values[index] = json.loads(values[index], parse_constant=str)
    try:
        return json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return json.dumps([_finite(value) for value in values], ensure_ascii=False).encode()


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and value - value != 0 else value


def _csv_row(row: Sequence[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(row)
    return line.getvalue().encode()
