"""From the wire to the model: one decoded, checked `Arrival` per batch, or the reason why not.

Before it: `stream`, which reads messages. After it: `committer`. Invariant: what passes here can be stored; everything that a hostile or broken agent
could send is refused with a sentence, never with an exception from below. Numbers are not copied: tables view the message's bytes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError as ProtobufError
from watchdesk_proto.catalogue import Column, Kind, Measurement, Type
from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_collector.model import Arrival, Lane, Table

EARLIEST_US = 946_684_800_000_000  # 2000-01-01: no host that samples itself is older, but garbage is

KINDS = {pb.COLUMN_KIND_LABEL: Kind.LABEL, pb.COLUMN_KIND_GAUGE: Kind.GAUGE, pb.COLUMN_KIND_COUNTER: Kind.COUNTER, pb.COLUMN_KIND_TEXT: Kind.TEXT}
TYPES = {pb.COLUMN_TYPE_FLOAT64: Type.FLOAT64, pb.COLUMN_TYPE_INT64: Type.INT64, pb.COLUMN_TYPE_TEXT: Type.TEXT}
LANES = {pb.LANE_LIVE: Lane.LIVE, pb.LANE_BACKFILL: Lane.BACKFILL}


class DecodeError(Exception):
    """Input that can't be stored. `kind` is one of garbage, oversized, future, undeclared; the message is for people."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Garbage:
    """A message that isn't protobuf of ours."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """What one batch may be; `latest_us` bounds its timestamps."""

    max_bytes: int
    latest_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What decoding needs of a declared measurement: `width` columns with ts, and at which of them texts stand."""

    name: str
    width: int
    text_columns: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, measurement: Measurement) -> "Shape":
        texts = [(index, column.name) for index, column in enumerate(measurement.columns, start=1) if column.type is Type.TEXT]
        return cls(name=measurement.name, width=1 + len(measurement.columns), text_columns=tuple(texts))


def parse_request(data: bytes) -> "pb.StreamRequest | Garbage":
    """The stream's deserializer. An exception here would end the stream, so garbage is a value."""
    try:
        return pb.StreamRequest.FromString(data)
    except ProtobufError:
        return Garbage(len(data))


def decode_declaration(declaration: "pb.Declaration") -> Measurement:
    """The measurement that a Declaration describes. **Errors**: DecodeError when it isn't one, or its id isn't its hash."""
    try:
        columns = tuple(Column(name=c.name, kind=KINDS[c.kind], type=TYPES[c.type], unit=c.unit, help=c.help) for c in declaration.columns)
        measurement = Measurement(name=declaration.measurement, help=declaration.help, columns=columns)
    except KeyError as error:
        raise DecodeError("garbage", f"declaration of {declaration.measurement!r} names an unknown column kind or type") from error
    except ValueError as error:
        raise DecodeError("garbage", f"declaration is refused: {error}") from error
    if measurement.schema_id != declaration.schema_id:
        raise DecodeError("garbage", f"declaration of {measurement.name!r} carries an id that isn't the hash of its columns")
    return measurement


def decode_batch(batch: "pb.Batch", *, host_id: int, received_at_us: int, schemas: Mapping[int, Shape | str], limits: BatchLimits) -> Arrival:
    """Check a batch and view its tables. **Errors**: DecodeError with the reason it is rejected for."""
    size = batch.ByteSize()
    if size > limits.max_bytes:
        raise DecodeError("oversized", f"batch of {size} bytes is over this collector's limit of {limits.max_bytes}")
    digest = hashlib.blake2b(digest_size=8)
    tables = [_table(table, schemas, limits.latest_us, digest) for table in batch.tables]
    return Arrival(
        host_id=host_id,
        epoch=batch.epoch,
        seq=batch.seq,
        lane=LANES.get(batch.lane, Lane.LIVE),
        received_at_us=received_at_us,
        content_hash=int.from_bytes(digest.digest()) >> 1,
        bytes=size,
        tables=tables,
    )


def _table(table: "pb.Table", schemas: Mapping[int, Shape | str], latest_us: int, digest: "hashlib.blake2b") -> Table:
    """The table, checked; what it says goes into the digest, so that the same batch sent twice has the same."""
    shape = schemas.get(table.schema_id)
    if shape is None:
        raise DecodeError("undeclared", f"a table refers to schema {table.schema_id:016x}, which was not declared on this stream")
    if isinstance(shape, str):
        raise DecodeError("undeclared", shape)
    rows, data = table.rows, table.words  # each look at a message's bytes copies them
    if rows == 0 or len(data) != shape.width * rows * 8:
        raise DecodeError("garbage", f"{shape.name}: {len(data)} bytes are not {rows} rows of {shape.width} columns")
    texts = list(table.texts)
    _check(shape, memoryview(data).cast("q"), rows, texts=len(texts), latest_us=latest_us)
    digest.update(table.schema_id.to_bytes(8, "little"))
    digest.update(data)
    digest.update("\0".join(texts).encode())
    return Table(schema_id=table.schema_id, words=np.frombuffer(data, dtype="<i8").reshape(shape.width, rows), texts=texts)


def _check(shape: Shape, words: "memoryview[int]", rows: int, *, texts: int, latest_us: int) -> None:
    """Refuse what would poison history. Plain min and max: most tables have few rows, and numpy costs more there."""
    times = words[:rows]
    if min(times) < EARLIEST_US:
        raise DecodeError("garbage", f"{shape.name}: a sample is dated before the year 2000")
    if (latest := max(times)) > latest_us:
        ahead_s = (latest - latest_us) / 1e6
        raise DecodeError(
            "future", f"{shape.name}: a sample is dated {ahead_s:.0f} s beyond what this collector accepts; set the host's clock (chrony, timesyncd)"
        )
    for column, name in shape.text_columns:
        codes = words[column * rows : (column + 1) * rows]
        if min(codes) < -1 or max(codes) >= texts:
            raise DecodeError("garbage", f"{shape.name}.{name}: a text index points outside the batch's {texts} texts")
