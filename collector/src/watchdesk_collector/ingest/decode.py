"""From the wire to the model: a `PackedBatch`, found good as far as can be seen from outside, or the reason why not.

Before it: `stream`, which reads messages. After it: `committer`, which has groups of them unpacked. Invariant: everything that a hostile or broken
agent could send is refused with a sentence, never with an exception from below. A batch of plain tables, as earlier agents send, is decoded and
checked here and now; its numbers are not copied: tables view the message's bytes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from google.protobuf.message import DecodeError as ProtobufError
from watchdesk_proto.catalogue import Column, Kind, Measurement, Type
from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_collector.ingest.checks import check
from watchdesk_collector.ingest.layouts import Layouts, Shape, declared
from watchdesk_collector.ingest.packed import PackedBatch
from watchdesk_collector.ingest.refused import DecodeError
from watchdesk_collector.model import Arrival, Host, Lane, Table

KINDS = {pb.COLUMN_KIND_LABEL: Kind.LABEL, pb.COLUMN_KIND_GAUGE: Kind.GAUGE, pb.COLUMN_KIND_COUNTER: Kind.COUNTER, pb.COLUMN_KIND_TEXT: Kind.TEXT}
TYPES = {pb.COLUMN_TYPE_FLOAT64: Type.FLOAT64, pb.COLUMN_TYPE_INT64: Type.INT64, pb.COLUMN_TYPE_TEXT: Type.TEXT}
LANES = {pb.LANE_LIVE: Lane.LIVE, pb.LANE_BACKFILL: Lane.BACKFILL}


@dataclass(frozen=True, slots=True)
class Garbage:
    """A message that isn't protobuf of ours."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """What one batch may be."""

    max_bytes: int
    max_future_us: int


class Sender(Protocol):
    """Whose batch it is, and what was declared and seen on its stream."""

    @property
    def host(self) -> Host: ...

    @property
    def schemas(self) -> Mapping[int, Shape | str]: ...

    @property
    def seen_layouts(self) -> set[bytes]: ...


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


def decode_batch(batch: "pb.Batch", sender: Sender, *, received_at_us: int, layouts: Layouts, limits: BatchLimits) -> Arrival | PackedBatch:
    """What a batch is. **Errors**: DecodeError with the reason it is rejected for."""
    wire_bytes = batch.ByteSize()
    if (size := max(wire_bytes, batch.content_bytes)) > limits.max_bytes:
        raise DecodeError("oversized", f"batch of {size} bytes is over this collector's limit of {limits.max_bytes}")
    latest_us = received_at_us + limits.max_future_us
    layout = batch.layout
    if not layout:
        return _plain(batch, sender, received_at_us=received_at_us, wire_bytes=wire_bytes, latest_us=latest_us)
    known = layouts.find(layout, seen=sender.seen_layouts, schemas=sender.schemas, max_bytes=limits.max_bytes)
    deflated = batch.deflated
    data = deflated or batch.content
    content_bytes = batch.content_bytes if deflated else len(data)
    if content_bytes < 8 * known.layout.words + known.layout.columns:
        wanted = f"{known.layout.words} words and {known.layout.columns} columns"
        raise DecodeError("garbage", f"{content_bytes} bytes are packed where the layout has {wanted}")
    return PackedBatch(
        host=sender.host,
        epoch=batch.epoch,
        seq=batch.seq,
        lane=LANES.get(batch.lane, Lane.LIVE),
        received_at_us=received_at_us,
        latest_us=latest_us,
        wire_bytes=wire_bytes,
        layout=known,
        data=data,
        is_deflated=bool(deflated),
        content_bytes=content_bytes,
        log_positions=dict(batch.log_positions),
    )


def _plain(batch: "pb.Batch", sender: Sender, *, received_at_us: int, wire_bytes: int, latest_us: int) -> Arrival:
    digest = hashlib.blake2b(digest_size=8)
    checked = [_table(table, sender.schemas, latest_us, digest) for table in batch.tables]
    return Arrival(
        host_id=sender.host.host_id,
        epoch=batch.epoch,
        seq=batch.seq,
        lane=LANES.get(batch.lane, Lane.LIVE),
        received_at_us=received_at_us,
        content_hash=int.from_bytes(digest.digest()) >> 1,
        bytes=wire_bytes,
        tables=[table for table, _ in checked],
        log_positions=dict(batch.log_positions),
        times_us=(min(first for _, (first, _) in checked), max(last for _, (_, last) in checked)) if checked else None,
    )


def _table(table: "pb.Table", schemas: Mapping[int, Shape | str], latest_us: int, digest: "hashlib.blake2b") -> tuple[Table, tuple[int, int]]:
    """The table, checked, with its first and last time; what it says goes into the digest, so that the same batch sent twice has the same."""
    shape = declared(schemas, table.schema_id)
    rows, data = table.rows, table.words  # each look at a message's bytes copies them
    if rows == 0 or len(data) != shape.width * rows * 8:
        raise DecodeError("garbage", f"{shape.name}: {len(data)} bytes are not {rows} rows of {shape.width} columns")
    texts = list(table.texts)
    times_us = check(shape, memoryview(data).cast("q"), rows, texts=len(texts), latest_us=latest_us)
    digest.update(table.schema_id.to_bytes(8, "little"))
    digest.update(data)
    digest.update("\0".join(texts).encode())
    return Table(schema_id=table.schema_id, words=np.frombuffer(data, dtype="<i8").reshape(shape.width, rows), texts=texts), times_us
