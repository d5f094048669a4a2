"""Packed batches: what goes in comes out, and of a group only those are refused that deserve it."""

import math
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from collector.ingest.client import pack, table_of
from collector.ingest.conftest import TOY
from hypothesis import given
from hypothesis import strategies as st
from watchdesk_collector.history.rows import of_arrivals
from watchdesk_collector.ingest.decode import BatchLimits, decode_batch
from watchdesk_collector.ingest.layouts import MAX_WEIGHT, Layouts, Shape
from watchdesk_collector.ingest.packed import PackedBatch, unpack
from watchdesk_collector.ingest.refused import DecodeError
from watchdesk_collector.model import Arrival, Hole, Host, Outcome
from watchdesk_proto.catalogue import Measurement, Type, gauge, label
from watchdesk_proto.v1 import ingest_pb2 as pb

NOW_US = 1_767_225_600_000_000
PLAIN = Measurement(name="plain", help="Without texts.", columns=(gauge("count", "A number.", type=Type.INT64),))
LABELS = Measurement(name="labels", help="Two labels.", columns=(label("a", "A."), label("b", "B.")))
LIMITS = BatchLimits(max_bytes=1 << 20, max_future_us=300_000_000)
AT = datetime(2026, 1, 1, tzinfo=UTC)
HOST = Host(
    host_id=7, agent_id="a", name="web1", first_seen_at=AT, last_seen_at=AT, boot_id="b", agent_version="1", clock_offset_s=0.0, connected=True
)


@dataclass
class Stream:
    """One stream's side of `decode_batch`."""

    host: Host = HOST
    schemas: dict[int, Shape | str] = field(default_factory=lambda: {m.schema_id: Shape.of(m) for m in (TOY, PLAIN, LABELS)})
    seen_layouts: set[bytes] = field(default_factory=set)
    layouts: Layouts = field(default_factory=Layouts)

    def decode(self, batch: pb.Batch) -> PackedBatch:
        decoded = decode_batch(batch, self, received_at_us=NOW_US, layouts=self.layouts, limits=LIMITS)
        assert isinstance(decoded, PackedBatch)
        return decoded


def refuse(batch: PackedBatch, error: DecodeError) -> Hole:
    return Hole(
        host_id=7, epoch=batch.epoch, first=batch.seq, last=batch.seq, outcome=Outcome.REJECTED, reason=f"{error.kind}: {error}", received_at_us=0
    )


def outcomes(stream: Stream, batches: Sequence[pb.Batch]) -> list[Arrival | Hole]:
    packed = [stream.decode(batch) for batch in batches]
    unpacked = unpack(packed, refuse)
    return [unpacked[id(batch)] for batch in packed]


def stored(*arrivals: Arrival | Hole) -> list[dict[str, list[Any]]]:
    """The columns of each table but ts and host, as history gets them."""
    schemas = {measurement.schema_id: measurement for measurement in (TOY, PLAIN, LABELS)}
    tables = [table for _, table in of_arrivals([arrival for arrival in arrivals if isinstance(arrival, Arrival)], schemas)]
    return [table.drop_columns(["ts", "host_id"]).to_pydict() for table in tables]


def toys(*levels: float, at_us: int = NOW_US) -> pb.Table:
    return table_of(TOY, [at_us + second for second in range(len(levels))], [[f"p{level}" for level in levels], levels])


def decimals(*words: int) -> pb.Table:
    """Toys whose levels are integers yet."""
    table = toys(*words)
    return pb.Table(
        schema_id=table.schema_id, rows=table.rows, words=table.words[: 16 * len(words)] + struct.pack(f"<{len(words)}q", *words), texts=table.texts
    )


def plains(*counts: int) -> pb.Table:
    return table_of(PLAIN, [NOW_US] * len(counts), [counts])


@given(levels=st.lists(st.lists(st.floats(allow_nan=False), min_size=1, max_size=4), min_size=1, max_size=6), is_deflated=st.booleans())
def test_what_is_packed_comes_out_as_it_was_whatever_else_is_in_the_group(levels: list[list[float]], is_deflated: bool) -> None:
    batches = [pack(seq, toys(*of), plains(*range(seq)), is_deflated=is_deflated) for seq, of in enumerate(levels, start=1)]
    for seq, (of, arrival) in enumerate(zip(levels, outcomes(Stream(), batches), strict=True), start=1):
        assert isinstance(arrival, Arrival)
        assert (arrival.host_id, arrival.epoch, arrival.seq, arrival.rows, arrival.values) == (7, 1, seq, len(of) + seq, 2 * len(of) + seq)
        toy, plain = stored(arrival)
        assert toy == {"part": [f"p{level}" for level in of], "level_ratio": of}
        assert plain == {"count": list(range(seq))}


def test_the_same_batch_has_the_same_hash_and_another_has_not() -> None:
    batches = [pack(1, toys(0.5)), pack(1, toys(0.5)), pack(1, toys(0.25)), pack(1, plains(1, 2, 3)), pack(1, plains(1), plains(2), plains(3))]
    first, again, *others = (arrival.content_hash for arrival in outcomes(Stream(), batches) if isinstance(arrival, Arrival))
    assert first == again
    assert len({first, *others}) == 4


def _layout(schema_id: int, width: int, *rows: int) -> bytes:
    return pb.Layout(schema_ids=[schema_id], widths=[width], rows=rows).SerializeToString()


def _with(**fields: object) -> Callable[[], pb.Batch]:
    def make() -> pb.Batch:
        batch = pack(2, toys(0.5, 0.75), is_deflated="deflated" in fields)
        changed = {name: change(getattr(batch, name)) if callable(change) else change for name, change in fields.items()}
        return pb.Batch(**{descriptor.name: value for descriptor, value in batch.ListFields()} | changed)

    return make


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: pack(2, toys(0.5, 0.75, at_us=5)), "garbage: toy: a sample is dated before the year 2000"),
        (lambda: pack(2, toys(0.5, 0.75, at_us=NOW_US + 3_600_000_000)), "future: toy: a sample is dated 3300 s beyond"),
        (_with(content=lambda content: content[: 6 * 8 + 2]), "garbage: toy.part: a text index points outside the batch's 0 texts"),
        (_with(content=lambda content: content + b"\xff"), "garbage: the dictionary of a packed batch cannot be read"),
        (_with(content=lambda content: content + b"\x0a\x01\xff"), "garbage: the dictionary of a packed batch cannot be read"),
        (_with(deflated=b"\x78\x9cno"), "garbage: what is packed does not inflate:"),
        (_with(deflated=lambda deflated: deflated[:-1]), "garbage: what is packed does not inflate to the"),
        (_with(deflated=lambda deflated: deflated + b"x"), "garbage: what is packed does not inflate to the"),
        (_with(deflated=zlib.compress(b"\0" * (1 << 28))), "garbage: what is packed does not inflate to the"),
        (_with(deflated=lambda d: d, content_bytes=lambda size: size + 1), "garbage: what is packed does not inflate to the"),
        (_with(deflated=lambda d: d, content_bytes=lambda size: size - 1), "garbage: what is packed does not inflate to the"),
    ],
)
def test_of_a_group_the_bad_batch_alone_is_refused_with_its_reason(make: Callable[[], pb.Batch], reason: str) -> None:
    before, bad, after = outcomes(Stream(), [pack(1, toys(0.5, 0.75)), make(), pack(3, toys(0.5, 0.75))])
    assert isinstance(before, Arrival)
    assert isinstance(after, Arrival)
    assert isinstance(bad, Hole)
    assert bad.reason.startswith(reason)
    assert bad.first == bad.last == 2


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_with(layout=b"\xff"), "a layout that cannot be read"),
        (_with(layout=b"\x20\x00"), "a packed batch holds no table"),
        (_with(layout=_layout(TOY.schema_id, 3)), "a layout that cannot be read"),
        (_with(layout=_layout(99, 3, 2)), "not declared"),
        (_with(layout=_layout(TOY.schema_id, 4, 2)), "toy: 2 rows of 4 columns are packed"),
        (_with(layout=_layout(TOY.schema_id, 3, 0)), "toy: 0 rows"),
        (
            _with(layout=_layout(TOY.schema_id, 3, 9)),
            "bytes are packed where the layout has 27 words and 2 columns",
        ),
        (_with(layout=_layout(TOY.schema_id, 3, 2**32 - 1)), "over this collector's limit"),
        (_with(deflated=zlib.compress(b"\0" * (2 << 20)), content_bytes=2 << 20), "over this collector's limit"),
        (_with(deflated=lambda d: d, content_bytes=0), "0 bytes are packed where the layout has 6 words"),
    ],
)
def test_what_can_be_seen_from_outside_is_refused_before_anything_is_unpacked(make: Callable[[], pb.Batch], reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        Stream().decode(make())


@given(layout=st.binary(max_size=40), content=st.binary(max_size=80), deflated=st.binary(max_size=80), content_bytes=st.integers(0, 2**32 - 1))
def test_any_bytes_at_all_are_stored_or_refused(layout: bytes, content: bytes, deflated: bytes, content_bytes: int) -> None:
    for known in (pack(1, toys(0.5)).layout, layout or b"\0"):
        try:
            (outcome,) = outcomes(Stream(), [pb.Batch(epoch=1, seq=1, layout=known, content=content, deflated=deflated, content_bytes=content_bytes)])
        except DecodeError as error:
            assert str(error)
        else:
            assert isinstance(outcome, Arrival) or outcome.reason


def test_a_layout_that_another_stream_has_used_still_needs_its_declarations_here() -> None:
    first = Stream()
    first.decode(pack(1, toys(0.5)))
    with pytest.raises(DecodeError, match="not declared"):
        Stream(schemas={}, layouts=first.layouts).decode(pack(1, toys(0.5)))
    with pytest.raises(DecodeError, match="its type changed"):
        Stream(schemas={TOY.schema_id: "its type changed"}, layouts=first.layouts).decode(pack(1, toys(0.5)))


def test_an_agent_that_invents_layouts_fills_no_memory() -> None:
    stream = Stream()
    invented = range(60_000, 60_001 + MAX_WEIGHT // (8 * 60_000))
    layouts = [stream.decode(pack(rows, plains(*range(rows)))).layout for rows in (1, *invented, 1)]
    assert layouts[0] is not layouts[-1]
    assert len(stream.seen_layouts) <= 64


def test_a_batch_is_a_table_for_each_of_its_measurements() -> None:
    arrivals = outcomes(Stream(), [pack(1, toys(0.5), table_of(LABELS, [NOW_US], [["x"], ["y"]]), plains(3))])
    assert stored(*arrivals) == [{"part": ["p0.5"], "level_ratio": [0.5]}, {"a": ["x"], "b": ["y"]}, {"count": [3]}]


def test_decimals_are_doubles_again_whatever_the_scale_of_others_in_the_group() -> None:
    null = -(2**63)
    scaled = [
        pack(seq, decimals(*words), scales=bytes([0, scale])) for seq, (scale, words) in enumerate([(3, (1, 7)), (5, (-1, null)), (1, (10**15,))])
    ]
    together = outcomes(Stream(), [*scaled, pack(9, toys(0.1, math.nan))])
    assert stored(*together)[0]["level_ratio"] == [0.01, 0.07, -0.0001, None, 0.1, None, 1e15]
    assert stored(*outcomes(Stream(), scaled[:1]))[0]["level_ratio"] == [0.01, 0.07]


@given(scales=st.binary(min_size=2, max_size=2))
def test_no_scale_is_beyond_reading(scales: bytes) -> None:
    (toy,) = stored(*outcomes(Stream(), [pack(1, toys(0.5, 0.25), scales=scales)]))
    assert toy["part"] == ["p0.5", "p0.25"]
    assert len(toy["level_ratio"]) == 2
