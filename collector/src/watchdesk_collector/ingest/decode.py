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


def decode_batch(batch: "pb.Batch", *, host_id: int, received_at_us: int, schemas: Mapping[int, Measurement | str], limits: BatchLimits) -> Arrival:
    """Check a batch and view its tables. **Errors**: DecodeError with the reason it is rejected for."""
    size = batch.ByteSize()
    if size > limits.max_bytes:
        raise DecodeError("oversized", f"batch of {size} bytes is over this collector's limit of {limits.max_bytes}")
    tables = [_table(table, schemas, limits.latest_us) for table in batch.tables]
    return Arrival(
        host_id=host_id,
        epoch=batch.epoch,
        seq=batch.seq,
        lane=LANES.get(batch.lane, Lane.LIVE),
        received_at_us=received_at_us,
        content_hash=_content_hash(batch),
        bytes=size,
        tables=tables,
    )


def _table(table: "pb.Table", schemas: Mapping[int, Measurement | str], latest_us: int) -> Table:
    schema = schemas.get(table.schema_id)
    if schema is None:
        raise DecodeError("undeclared", f"a table refers to schema {table.schema_id:016x}, which was not declared on this stream")
    if isinstance(schema, str):
        raise DecodeError("undeclared", schema)
    width = 1 + len(schema.columns)
    if table.rows == 0 or len(table.words) != width * table.rows * 8:
        raise DecodeError("garbage", f"{schema.name}: {len(table.words)} bytes are not {table.rows} rows of {width} columns")
    words = np.frombuffer(table.words, dtype="<i8").reshape(width, table.rows)
    _check_times(schema.name, words, latest_us)
    _check_texts(schema, words, len(table.texts))
    return Table(schema_id=table.schema_id, words=words, texts=table.texts)


def _check_times(name: str, words: "np.ndarray[tuple[int, int], np.dtype[np.int64]]", latest_us: int) -> None:
    ts = words[0]
    if ts.min() < EARLIEST_US:
        raise DecodeError("garbage", f"{name}: a sample is dated before the year 2000")
    if ts.max() > latest_us:
        ahead_s = (int(ts.max()) - latest_us) / 1e6
        raise DecodeError(
            "future", f"{name}: a sample is dated {ahead_s:.0f} s beyond what this collector accepts; set the host's clock (chrony, timesyncd)"
        )


def _check_texts(schema: Measurement, words: "np.ndarray[tuple[int, int], np.dtype[np.int64]]", texts: int) -> None:
    for index, column in enumerate(schema.columns, start=1):
        if column.type is Type.TEXT:
            codes = words[index]
            if codes.min() < -1 or codes.max() >= texts:
                raise DecodeError("garbage", f"{schema.name}.{column.name}: a text index points outside the batch's {texts} texts")


def _content_hash(batch: "pb.Batch") -> int:
    """63 bits over what the batch says, apart from its key and lane: the same batch sent twice has the same."""
    digest = hashlib.blake2b(digest_size=8)
    for table in batch.tables:
        digest.update(table.schema_id.to_bytes(8, "little"))
        digest.update(table.words)
        for text in table.texts:
            digest.update(text.encode())
            digest.update(b"\0")
    return int.from_bytes(digest.digest()) >> 1
