"""Packed batches: what is known of one at once, and how a group of them is unpacked.

Before it: `decode`, on the event loop, which looks at no more than a batch's number, size and layout. After it: `committer`, which has a group
unpacked on the writer thread: all batches of a layout are one matrix there, checked at the price of one. Invariant: what comes out can be stored; a
batch that does not unpack or does not pass is refused alone.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError as ProtobufError
from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_collector.ingest.checks import EARLIEST_US, check
from watchdesk_collector.ingest.layouts import KnownLayout
from watchdesk_collector.ingest.refused import DecodeError
from watchdesk_collector.model import Arrival, Hole, Host, Lane, Tables

Words = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """A batch as it came: `data` is its content, or what inflates to it; samples after `latest_us` are refused."""

    host: Host
    epoch: int
    seq: int
    lane: Lane
    received_at_us: int
    latest_us: int
    wire_bytes: int
    layout: KnownLayout
    data: bytes
    is_deflated: bool
    content_bytes: int
    log_positions: Mapping[str, str]


Refuse = Callable[[PackedBatch, DecodeError], Hole]


def unpack(batches: Sequence[PackedBatch], refuse: Refuse) -> dict[int, Arrival | Hole]:
    """What became of each, by its id: an arrival, or what `refuse` makes of it."""
    alike: dict[KnownLayout, list[PackedBatch]] = {}
    for batch in batches:
        alike.setdefault(batch.layout, []).append(batch)
    unpacked: dict[int, Arrival | Hole] = {}
    for layout, members in alike.items():
        opened = _Opened()
        for batch in members:
            try:
                opened.add(batch)
            except DecodeError as error:
                unpacked[id(batch)] = refuse(batch, error)
        for batch, tables, times_us, is_suspect in opened.tables(layout):
            try:
                if is_suspect:
                    _check(layout, tables, batch.latest_us)
                unpacked[id(batch)] = _arrival(batch, tables, times_us)
            except DecodeError as error:
                unpacked[id(batch)] = refuse(batch, error)
    return unpacked


class _Opened:
    """Batches of one layout, with what they hold."""

    def __init__(self) -> None:
        self._batches: list[PackedBatch] = []
        self._words: list[bytes] = []
        self._scales: list[bytes] = []
        self._texts: list[Sequence[str]] = []
        self._dictionaries: dict[bytes, Sequence[str]] = {}

    def add(self, batch: PackedBatch) -> None:
        """**Errors**: DecodeError when it does not unpack."""
        content = _inflated(batch) if batch.is_deflated else batch.data
        layout = batch.layout.layout
        end_of_words = 8 * layout.words
        end_of_scales = end_of_words + layout.columns
        texts = self._dictionary(content[end_of_scales:])
        self._batches.append(batch)
        self._words.append(content[:end_of_words])
        self._scales.append(content[end_of_words:end_of_scales])
        self._texts.append(texts)

    def _dictionary(self, data: bytes) -> Sequence[str]:
        texts = self._dictionaries.get(data)
        if texts is None:
            texts = self._dictionaries[data] = _parse_texts(data)
        return texts

    def tables(self, layout: KnownLayout) -> Iterator[tuple[PackedBatch, Tables, tuple[int, int], bool]]:
        """Each batch with its tables, the times of its first and its last row, and whether it needs a closer look."""
        if not self._batches:
            return
        stack = np.frombuffer(b"".join(self._words), "<i8").reshape(len(self._batches), layout.layout.words)
        times = stack[:, layout.times]
        first, last = times.min(axis=1), times.max(axis=1)
        spans = zip(first.tolist(), last.tolist(), strict=True)
        suspects = self._suspects(layout, stack, first, last)
        for batch, words, scales, texts, span, is_suspect in zip(self._batches, stack, self._scales, self._texts, spans, suspects, strict=True):
            yield batch, Tables(layout.layout, words, scales, texts), span, is_suspect

    def _suspects(self, layout: KnownLayout, stack: Words, first: Words, last: Words) -> list[bool]:
        latest = np.array([batch.latest_us for batch in self._batches], np.int64)
        suspects = (first < EARLIEST_US) | (last > latest)
        if layout.codes.size:
            codes = stack[:, layout.codes]
            counts = np.array([len(texts) for texts in self._texts], np.int64)
            suspects |= (codes.min(axis=1) < -1) | (codes.max(axis=1) >= counts)
        verdict: list[bool] = suspects.tolist()
        return verdict


def _inflated(batch: PackedBatch) -> bytes:
    """At most one byte more than it says, so that a bomb is not unpacked."""
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(batch.data, batch.content_bytes + 1)
    except zlib.error as error:
        raise DecodeError("garbage", f"what is packed does not inflate: {error}") from error
    if len(content) != batch.content_bytes or not inflater.eof or inflater.unused_data:
        raise DecodeError("garbage", f"what is packed does not inflate to the {batch.content_bytes} bytes that it says")
    return content


def _parse_texts(data: bytes) -> Sequence[str]:
    try:
        return tuple(pb.Texts.FromString(data).texts)
    except ProtobufError as error:
        raise DecodeError("garbage", "the dictionary of a packed batch cannot be read") from error


def _check(layout: KnownLayout, tables: Tables, latest_us: int) -> None:
    for part, shape in zip(layout.layout.parts, layout.shapes, strict=True):
        check(shape, tables.words[part.start : part.end].data, part.rows, texts=len(tables.texts), latest_us=latest_us)


def _arrival(batch: PackedBatch, tables: Tables, times_us: tuple[int, int]) -> Arrival:
    digest = hashlib.blake2b(batch.layout.data, digest_size=8)
    digest.update(batch.data)
    return Arrival(
        host_id=batch.host.host_id,
        epoch=batch.epoch,
        seq=batch.seq,
        lane=batch.lane,
        received_at_us=batch.received_at_us,
        content_hash=int.from_bytes(digest.digest()) >> 1,
        bytes=batch.wire_bytes,
        tables=tables,
        log_positions=batch.log_positions,
        times_us=times_us,
    )
