"""From wire words to Arrow columns: all rows of one schema in a group become one Arrow table, without touching a value in Python.

**Shapes**: ts, host_id, then the measurement's columns in its own order. Nulls travel in band (NaN, the smallest integer, text code -1) and become
Arrow nulls here; a column without any gets no bitmap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from watchdesk_proto.catalogue import Measurement, Type

from watchdesk_collector.model import NULL_INT64, Table

Words = npt.NDArray[np.int64]
Scales = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Number = TypeVar("Number", np.int64, np.uint8)

TIMESTAMP = pa.timestamp("us", "UTC")
DIVISORS = np.concatenate([[1.0], 10.0 ** np.arange(255)])  # by scale


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one schema: tables of equal length, from one batch or many.

    **Shapes**: words int64[1 + columns, rows of all tables]; scales uint8[columns, tables], see `Tables`; of each table whose it is, and where its
    texts begin; `rows` is the length of each.
    """

    words: Words
    rows: int
    scales: Scales
    host_ids: Words
    text_starts: Words

    @classmethod
    def of_table(cls, table: Table, host_id: int, text_start: int) -> "Block":
        scales = np.zeros((table.words.shape[0] - 1, 1), np.uint8)
        return cls(table.words, table.rows, scales, np.array([host_id], np.int64), np.array([text_start], np.int64))

    @classmethod
    def of_stack(cls, stack: Words, scales: Scales, host_ids: Words, text_starts: Words) -> "Block":
        """From int64[tables, 1 + columns, rows] and uint8[tables, columns]."""
        tables, width, rows = stack.shape
        words = np.ascontiguousarray(stack.transpose(1, 0, 2)).reshape(width, tables * rows)
        return cls(words, rows, scales.T, host_ids, text_starts)


class Dictionary:
    """The texts of a group of batches end to end; the same dictionary is taken once."""

    def __init__(self) -> None:
        self._starts: dict[int, int] = {}
        self._texts: list[str] = []

    def start_of(self, texts: Sequence[str]) -> int:
        """Where these begin. They are told apart by identity, so they have to live as long as this does."""
        start = self._starts.setdefault(id(texts), len(self._texts))
        if start == len(self._texts):
            self._texts += texts
        return start

    def to_arrow(self) -> "pa.Array[Any]":
        return pa.array(self._texts, pa.string())


def to_arrow(measurement: Measurement, blocks: Sequence[Block], dictionary: "pa.Array[Any]") -> pa.Table:
    """The rows of these blocks, which all have the measurement's schema."""
    words = _joined([block.words for block in blocks], axis=1)
    scales = _joined([block.scales for block in blocks], axis=1)
    rows = np.repeat([block.rows for block in blocks], [len(block.host_ids) for block in blocks])
    host_ids = np.repeat(_joined([block.host_ids for block in blocks], axis=0), rows)
    text_starts = np.repeat(_joined([block.text_starts for block in blocks], axis=0), rows)
    columns = [from_words(TIMESTAMP, words[0]), from_words(pa.int64(), host_ids)]
    for column, row, scale in zip(measurement.columns, words[1:], scales, strict=True):
        if column.type is Type.FLOAT64:
            columns.append(_floats(row, scale, rows))
        elif column.type is Type.INT64:
            columns.append(from_words(pa.int64(), row, row == NULL_INT64))
        else:
            columns.append(_texts(row, text_starts, dictionary))
    return pa.Table.from_arrays(columns, names=["ts", "host_id", *(column.name for column in measurement.columns)])


def _joined(arrays: "Sequence[npt.NDArray[Number]]", *, axis: int) -> "npt.NDArray[Number]":
    return np.concatenate(arrays, axis=axis) if len(arrays) > 1 else arrays[0]


def stream(rows: pa.Table) -> object:
    """Rows as DuckDB takes them with the least ado: a query names the local variable that holds this. A registered table costs half as much again."""
    return rows.__arrow_c_stream__()  # type: ignore[no-untyped-call]


def from_words(type_: pa.DataType, words: Words, nulls: Mask | None = None) -> "pa.Array[Any]":
    """An Arrow array over the words themselves."""
    return pa.Array.from_buffers(type_, len(words), [_bitmap(nulls), pa.py_buffer(words.data)])


def _floats(words: Words, scales: Scales, rows: Words) -> "pa.Array[Any]":
    """`scales` has one for each table, `rows` how many rows each has."""
    numbers = words.view(np.float64)
    if not scales.any():
        return from_words(pa.float64(), words, np.isnan(numbers))
    if (scales == scales[0]).all():
        return from_words(pa.float64(), (words / DIVISORS[scales[0]]).view(np.int64), words == NULL_INT64)
    each = np.repeat(scales, rows)
    is_scaled = each > 0
    nulls = np.where(is_scaled, words == NULL_INT64, np.isnan(numbers))
    return from_words(pa.float64(), np.where(is_scaled, words / DIVISORS[each], numbers).view(np.int64), nulls)


def _bitmap(nulls: Mask | None) -> pa.Buffer | None:
    if nulls is None or not nulls.any():
        return None
    return pa.py_buffer(np.packbits(~nulls, bitorder="little").data)


def _texts(codes: Words, starts: Words, dictionary: "pa.Array[Any]") -> "pa.Array[Any]":
    return pa.DictionaryArray.from_arrays(from_words(pa.int64(), codes + starts, codes < 0), dictionary)
