"""From wire words to Arrow columns: all tables of one schema in a group become one Arrow table, without touching a value in Python.

**Shapes**: ts, host_id, then the measurement's columns in its own order. Nulls travel in band (NaN, the smallest integer, text code -1) and become
Arrow nulls here; a column without any gets no bitmap.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from watchdesk_proto.catalogue import Measurement, Type

from watchdesk_collector.model import NULL_INT64, Table

Words = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

TIMESTAMP = pa.timestamp("us", "UTC")


def to_arrow(measurement: Measurement, tables: Sequence[Table], host_ids: Sequence[int]) -> pa.Table:
    """The rows of these tables, which all have the measurement's schema; `host_ids` says whose each table is."""
    blocks = [table.words for table in tables]
    rows = np.fromiter((block.shape[1] for block in blocks), np.int64, len(blocks))
    words = np.concatenate(blocks, axis=1)
    codes = _TextCodes(tables, rows) if any(column.type is Type.TEXT for column in measurement.columns) else None
    columns = [from_words(TIMESTAMP, words[0]), from_words(pa.int64(), np.repeat(np.array(host_ids, np.int64), rows))]
    for column, row in zip(measurement.columns, words[1:], strict=True):
        if column.type is Type.FLOAT64:
            columns.append(_floats(row))
        elif column.type is Type.INT64:
            columns.append(from_words(pa.int64(), row, row == NULL_INT64))
        elif codes is not None:
            columns.append(codes.texts(row))
    return pa.Table.from_arrays(columns, names=["ts", "host_id", *(column.name for column in measurement.columns)])


def stream(rows: pa.Table) -> object:
    """Rows as DuckDB takes them with the least ado: a query names the local variable that holds this. A registered table costs half as much again."""
    return rows.__arrow_c_stream__()  # type: ignore[no-untyped-call]


def from_words(type_: pa.DataType, words: Words, nulls: Mask | None = None) -> "pa.Array[Any]":
    """An Arrow array over the words themselves."""
    return pa.Array.from_buffers(type_, len(words), [_bitmap(nulls), pa.py_buffer(words.data)])


def _floats(words: Words) -> "pa.Array[Any]":
    return from_words(pa.float64(), words, np.isnan(words.view(np.float64)))


def _bitmap(nulls: Mask | None) -> pa.Buffer | None:
    if nulls is None or not nulls.any():
        return None
    return pa.py_buffer(np.packbits(~nulls, bitorder="little").data)


class _TextCodes:
    """The dictionaries of all tables end to end, and where each row's begins."""

    def __init__(self, tables: Sequence[Table], rows: Words) -> None:
        counts = [len(table.texts) for table in tables]
        starts = np.fromiter(accumulate(counts, initial=0), np.int64, len(counts) + 1)
        self._starts = np.repeat(starts[:-1], rows)
        self._dictionary = pa.array([text for table in tables for text in table.texts], pa.string())

    def texts(self, codes: Words) -> "pa.Array[Any]":
        nulls = codes < 0
        indices = from_words(pa.int64(), codes + self._starts, nulls)
        return pa.DictionaryArray.from_arrays(indices, self._dictionary)
