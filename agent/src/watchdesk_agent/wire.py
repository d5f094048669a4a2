"""From rows to the wire: `Samples` become the tables of serialized batches, column after column.

Before it: `flush`, which collected the rows. After it: the spool, which keeps the bytes, and `conversation`, which numbers and sends them. Invariant:
what a sampler may rightly return (None, NaN, any text, any integer) is encodable; encoding never fails on a value, only on a row of the wrong shape.
"""

import struct
from collections.abc import Sequence

from watchdesk_proto.catalogue import Column, Kind, Measurement, Type
from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_agent.model import Samples, TimedRow, Value

NULL_INT64 = -(2**63)
MAX_INT64 = 2**63 - 1
NAN = float("nan")

KINDS = {
    Kind.LABEL: pb.COLUMN_KIND_LABEL,
    Kind.GAUGE: pb.COLUMN_KIND_GAUGE,
    Kind.COUNTER: pb.COLUMN_KIND_COUNTER,
    Kind.TEXT: pb.COLUMN_KIND_TEXT,
}
TYPES = {Type.FLOAT64: pb.COLUMN_TYPE_FLOAT64, Type.INT64: pb.COLUMN_TYPE_INT64, Type.TEXT: pb.COLUMN_TYPE_TEXT}


def encode_declaration(measurement: Measurement) -> bytes:
    """A serialized Declaration of a measurement."""
    columns = [pb.Column(name=c.name, kind=KINDS[c.kind], type=TYPES[c.type], unit=c.unit, help=c.help) for c in measurement.columns]
    declaration = pb.Declaration(schema_id=measurement.schema_id, measurement=measurement.name, help=measurement.help, columns=columns)
    return declaration.SerializeToString()


def encode_batches(collected: Sequence[Samples], *, max_bytes: int) -> list[bytes]:
    """Serialized Batches without number and lane, each at most `max_bytes` unless a single row is larger; none when there are no rows."""
    filled = [samples for samples in collected if samples.rows]
    if not filled:
        return []
    payload = pb.Batch(tables=[encode_table(samples) for samples in filled]).SerializeToString()
    if len(payload) <= max_bytes or sum(len(samples.rows) for samples in filled) == 1:
        return [payload]
    first, second = _halves(filled)
    return [*encode_batches(first, max_bytes=max_bytes), *encode_batches(second, max_bytes=max_bytes)]


def encode_table(samples: Samples) -> pb.Table:
    """**Errors**: ValueError when a row has not one value per column."""
    columns = samples.measurement.columns
    if any(len(row) != len(columns) for _, row in samples.rows):
        raise ValueError(f"a row of {samples.measurement.name} has not one value for each of its {len(columns)} columns")
    texts: dict[str, int] = {}
    times = _int64_words([ts for ts, _ in samples.rows])
    values_by_column = zip(*(row for _, row in samples.rows), strict=True)
    words = [_encode_column(column, values, texts) for column, values in zip(columns, values_by_column, strict=True)]
    return pb.Table(schema_id=samples.measurement.schema_id, rows=len(samples.rows), words=b"".join([times, *words]), texts=list(texts))


def _encode_column(column: Column, values: Sequence[Value], texts: dict[str, int]) -> bytes:
    if column.type is Type.FLOAT64:
        return struct.pack(f"<{len(values)}d", *[NAN if value is None else float(value) for value in values])
    if column.type is Type.INT64:
        return _int64_words([NULL_INT64 if value is None else _clamped(int(value)) for value in values])
    return _int64_words([-1 if value is None else texts.setdefault(_sound(str(value)), len(texts)) for value in values])


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
            first.append(Samples(samples.measurement, taken))
        if rest:
            second.append(Samples(samples.measurement, rest))
    return first, second
