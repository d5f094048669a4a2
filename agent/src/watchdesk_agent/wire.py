"""From rows to the wire: `Samples` become serialized batches, packed: table after table, column after column, and deflated once there is much of it.

Before it: `flush`, which collected the rows. After it: the spool, which keeps the bytes, and `conversation`, which numbers and sends them. Invariant:
what a sampler may rightly return (None, NaN, any text, any integer) is encodable; encoding never fails on a value, only on a row of the wrong shape.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan

from watchdesk_proto.catalogue import Column, Kind, Measurement, Type
from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_agent.model import Samples, TimedRow, Value

NULL_INT64 = -(2**63)
MAX_INT64 = 2**63 - 1
NAN = float("nan")
POSITION_BYTES = 16  # what the wire adds to a key and its position

DEFLATE_FROM_BYTES = 4096  # less is sent as it is: a second's samples would cost the collector more to inflate than they save
DEFLATE_LEVEL = 6

DIGITS = (0, 2, 4, 6)  # beyond the point, to be tried; samplers round to so many
MAX_DECIMAL = 2**53 / 10 ** DIGITS[-1]  # a double tells those below it apart

KINDS = {
    Kind.LABEL: pb.COLUMN_KIND_LABEL,
    Kind.GAUGE: pb.COLUMN_KIND_GAUGE,
    Kind.COUNTER: pb.COLUMN_KIND_COUNTER,
    Kind.TEXT: pb.COLUMN_KIND_TEXT,
}
TYPES = {Type.FLOAT64: pb.COLUMN_TYPE_FLOAT64, Type.INT64: pb.COLUMN_TYPE_INT64, Type.TEXT: pb.COLUMN_TYPE_TEXT}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A serialized Batch without number and lane, and what it holds."""

    payload: bytes
    samples: Sequence[Samples]


def encode_declaration(measurement: Measurement) -> bytes:
    """A serialized Declaration of a measurement."""
    columns = [pb.Column(name=c.name, kind=KINDS[c.kind], type=TYPES[c.type], unit=c.unit, help=c.help) for c in measurement.columns]
    declaration = pb.Declaration(schema_id=measurement.schema_id, measurement=measurement.name, help=measurement.help, columns=columns)
    return declaration.SerializeToString()


def encode_batches(collected: Sequence[Samples], *, max_bytes: int) -> list[Encoded]:
    """Batches, each at most `max_bytes` unless a single row is larger; none when there are no rows."""
    filled = [samples for samples in collected if samples.rows]
    if not filled:
        return []
    batch = _pack(filled)
    payload = batch.SerializeToString()
    if max(len(payload), batch.content_bytes) <= max_bytes or sum(len(samples.rows) for samples in filled) == 1:
        return [Encoded(payload, filled)]
    first, second = _halves(filled)
    return [*encode_batches(first, max_bytes=max_bytes), *encode_batches(second, max_bytes=max_bytes)]


def encode_ordered(lines: Samples, positions: Mapping[str, str], *, max_bytes: int) -> list[Encoded]:
    """Batches of log lines, to be stored in this order; the last, which may be without lines, holds the positions behind them all.

    There are several only when lines and positions together are larger than `max_bytes`.
    """
    room = max(1, max_bytes - sum(len(key) + len(value) + POSITION_BYTES for key, value in positions.items()))
    *before, last = encode_batches([lines], max_bytes=room) or [Encoded(b"", [])]
    payload = last.payload + pb.Batch(log_positions=positions).SerializeToString()  # serialized messages end to end are one merged message
    return [*before, Encoded(payload, last.samples)]


def position_keys(payload: bytes) -> set[str]:
    """Whose positions a serialized Batch holds; without those that it says to forget."""
    return {key for key, value in pb.Batch.FromString(payload).log_positions.items() if value}


def _pack(filled: Sequence[Samples]) -> pb.Batch:
    code = _Code(wants_decimals=8 * sum(len(samples.rows) * (1 + len(samples.measurement.columns)) for samples in filled) >= DEFLATE_FROM_BYTES)
    words = [_words(samples, code) for samples in filled]
    layout = pb.Layout(
        schema_ids=[samples.measurement.schema_id for samples in filled],
        widths=[1 + len(samples.measurement.columns) for samples in filled],
        rows=[len(samples.rows) for samples in filled],
    ).SerializeToString()
    content = b"".join([*words, code.scales, pb.Texts(texts=list(code.texts)).SerializeToString()])
    if len(content) < DEFLATE_FROM_BYTES:
        return pb.Batch(layout=layout, content=content)
    return pb.Batch(layout=layout, deflated=zlib.compress(content, DEFLATE_LEVEL), content_bytes=len(content))


class _Code:
    """What a reader must know beside the words: the texts by their codes, and a scale for each column."""

    def __init__(self, *, wants_decimals: bool) -> None:
        self.wants_decimals = wants_decimals
        self.texts: dict[str, int] = {}
        self.scales = bytearray()

    def text(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))


def _words(samples: Samples, code: _Code) -> bytes:
    """A table's words. **Errors**: ValueError when a row has not one value per column."""
    columns = samples.measurement.columns
    if any(len(row) != len(columns) for _, row in samples.rows):
        raise ValueError(f"a row of {samples.measurement.name} has not one value for each of its {len(columns)} columns")
    times = _int64_words([ts for ts, _ in samples.rows])
    values_by_column = zip(*(row for _, row in samples.rows), strict=True)
    return b"".join([times, *(_encode_column(column, values, code) for column, values in zip(columns, values_by_column, strict=True))])


def schema_ids_of(batch: pb.Batch) -> Sequence[int]:
    """The schemas of a batch, packed or of plain tables, as an earlier version may have spooled it."""
    return pb.Layout.FromString(batch.layout).schema_ids if batch.layout else [table.schema_id for table in batch.tables]


def _encode_column(column: Column, values: Sequence[Value], code: _Code) -> bytes:
    if column.type is Type.FLOAT64:
        return _encode_doubles([NAN if value is None else float(value) for value in values], code)
    code.scales.append(0)
    if column.type is Type.INT64:
        return _int64_words([NULL_INT64 if value is None else _clamped(int(value)) for value in values])
    return _int64_words([-1 if value is None else code.text(_sound(str(value))) for value in values])


def _encode_doubles(values: Sequence[float], code: _Code) -> bytes:
    digits = digits_of([value for value in values if not isnan(value)]) if code.wants_decimals else None
    if digits is None:
        code.scales.append(0)
        return struct.pack(f"<{len(values)}d", *values)
    code.scales.append(1 + digits)
    power = 10.0**digits
    return _int64_words([NULL_INT64 if isnan(value) else round(value * power) for value in values])


def digits_of(numbers: Sequence[float]) -> int | None:
    """After how many digits beyond the point all of them end; None when one does not end soon."""
    if any(abs(number) >= MAX_DECIMAL for number in numbers):
        return None
    for digits in DIGITS:
        power = 10.0**digits
        if all(round(number * power) / power == number for number in numbers):
            return digits
    return None


def _int64_words(values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


def _clamped(value: int) -> int:
    """Some file systems and drivers report 2^64-1; the smallest integer means null."""
    return max(NULL_INT64 + 1, min(value, MAX_INT64))


def _sound(text: str) -> str:
    """Names from the kernel may hold bytes that are not UTF-8, which Python keeps as lone surrogates and protobuf refuses."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _halves(collected: Sequence[Samples]) -> tuple[list[Samples], list[Samples]]:
    """Two parts with about as many rows; no table is torn that need not be."""
    room = sum(len(samples.rows) for samples in collected) // 2
    first: list[Samples] = []
    second: list[Samples] = []
    for samples in collected:
        taken: Sequence[TimedRow] = samples.rows[:room]
        rest: Sequence[TimedRow] = samples.rows[len(taken) :]
        room -= len(taken)
        if taken:
            first.append(replace(samples, rows=taken))
        if rest:
            second.append(replace(samples, rows=rest))
    return first, second
