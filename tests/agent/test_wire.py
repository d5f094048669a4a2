"""Rows come off the wire as they went on."""

import math
import struct
from collections.abc import Sequence

import pytest
from agent.unpacking import tables_of
from hypothesis import given
from hypothesis import strategies as st
from watchdesk_agent.model import Samples, TimedRow, Value
from watchdesk_agent.wire import DEFLATE_FROM_BYTES, digits_of, encode_batches, encode_declaration, schema_ids_of
from watchdesk_proto.catalogue import Measurement, Type, gauge, label, text
from watchdesk_proto.v1 import ingest_pb2 as pb

MIXED = Measurement(
    name="mixed",
    help="One of each.",
    columns=(label("part", "A label."), gauge("level", "A double."), gauge("count", "An integer.", type=Type.INT64), text("note", "A text.")),
)
ROWS = st.tuples(
    st.integers(0, 2**62),
    st.tuples(
        st.one_of(st.none(), st.text(max_size=20)),
        st.one_of(st.none(), st.floats()),
        st.one_of(st.none(), st.integers(-(2**63) + 1, 2**63 - 1)),
        st.one_of(st.none(), st.text(max_size=20)),
    ),
)


def batch_of(*collected: Samples) -> pb.Batch:
    [encoded] = encode_batches(collected, max_bytes=10**9)
    return pb.Batch.FromString(encoded.payload)


def table_of(samples: Samples) -> pb.Table:
    [table] = tables_of(batch_of(samples))
    return table


def decode(table: pb.Table) -> list[TimedRow]:
    """As any reader of the wire would."""
    width = len(table.words) // 8 // table.rows
    assert width == 1 + len(MIXED.columns)
    words = [table.words[8 * i : 8 * i + 8] for i in range(width * table.rows)]
    columns = [words[c * table.rows : (c + 1) * table.rows] for c in range(width)]
    times = [struct.unpack("<q", word)[0] for word in columns[0]]
    values = [[_value(column.type, word, table.texts) for word in columns[1 + index]] for index, column in enumerate(MIXED.columns)]
    return list(zip(times, zip(*values, strict=True), strict=True))


def _value(type_: Type, word: bytes, texts: Sequence[str]) -> Value:
    if type_ is Type.FLOAT64:
        number = float(struct.unpack("<d", word)[0])
        return None if math.isnan(number) else number
    integer = int(struct.unpack("<q", word)[0])
    if type_ is Type.INT64:
        return None if integer == -(2**63) else integer
    return None if integer == -1 else texts[integer]


@given(st.lists(ROWS, min_size=1, max_size=20))
def test_every_value_comes_back(rows: list[TimedRow]) -> None:
    table = table_of(Samples(MIXED, rows))
    nan_is_null = [(ts, tuple(None if isinstance(v, float) and math.isnan(v) else v for v in row)) for ts, row in rows]
    assert decode(table) == nan_is_null
    assert table.schema_id == MIXED.schema_id
    assert len(table.texts) == len(set(table.texts))


@given(
    st.lists(st.tuples(st.integers(0, 99), st.tuples(st.none(), st.none(), st.integers(), st.text(max_size=400))), max_size=40),
    st.integers(200, 4000),
)
def test_batches_are_split_by_rows_to_fit_and_no_row_is_lost(rows: list[TimedRow], max_bytes: int) -> None:
    encoded = encode_batches([Samples(MIXED, rows), Samples(MIXED, [])], max_bytes=max_bytes)
    batches = [pb.Batch(tables=tables_of(pb.Batch.FromString(one.payload))) for one in encoded]
    assert [[len(samples.rows) for samples in one.samples] for one in encoded] == [[table.rows for table in batch.tables] for batch in batches]
    assert sum(table.rows for batch in batches for table in batch.tables) == len(rows)
    assert [ts for batch in batches for table in batch.tables for ts, _ in decode(table)] == [ts for ts, _ in rows]
    assert all(fits(one.payload, max_bytes) or sum(len(samples.rows) for samples in one.samples) == 1 for one in encoded)


def fits(payload: bytes, max_bytes: int) -> bool:
    """As it travels, and unpacked."""
    return max(len(payload), pb.Batch.FromString(payload).content_bytes) <= max_bytes


def test_tables_of_a_batch_share_one_dictionary() -> None:
    other = Measurement(name="other", help="Another.", columns=(label("part", "A label."),))
    first, second = tables_of(batch_of(Samples(MIXED, [(1, ("a", 0.5, 7, "b"))]), Samples(other, [(1, ("b",)), (2, ("c",))])))
    assert list(first.texts) == list(second.texts) == ["a", "b", "c"]
    assert decode(first) == [(1, ("a", 0.5, 7, "b"))]
    assert struct.unpack("<4q", second.words) == (1, 2, 1, 2)


def test_much_is_deflated_and_little_is_not() -> None:
    little, much = (batch_of(Samples(MIXED, [(second, ("a", 0.5, second, "b")) for second in range(seconds)])) for seconds in (1, 1000))
    assert not little.deflated
    assert not much.content
    assert len(much.deflated) * 4 < much.content_bytes > DEFLATE_FROM_BYTES


@pytest.mark.parametrize(
    ("numbers", "digits"),
    [
        ((1.0, -3.0), 0), ((0.25, 1e9), 2), ((0.1234,), 4), ((0.5, 0.123457), 6), ((), 0), ((0.1234567,), None), ((1 / 3,), None),
        ((1e10,), None), ((float("inf"),), None),
    ],
)  # fmt: skip
def test_numbers_that_end_soon_are_known_by_their_digits(numbers: Sequence[float], digits: int | None) -> None:
    assert digits_of(numbers) == digits


@given(
    st.lists(
        st.one_of(st.none(), st.floats(), st.decimals(-(10**9), 10**9, places=5).map(float), st.integers(-(2**40), 2**40)), min_size=200, max_size=250
    )
)
def test_numbers_of_a_large_batch_come_back_to_the_bit(numbers: list[float | None]) -> None:
    rows: list[TimedRow] = [(second, ("a", number, 1, "b")) for second, number in enumerate(numbers)]
    batch = batch_of(Samples(MIXED, rows))
    assert batch.deflated
    [table] = tables_of(batch)
    assert [row[1] for _, row in decode(table)] == [None if number is None or math.isnan(number) else number for number in numbers]


def test_the_schemas_of_a_batch_are_known_whether_it_is_packed_or_was_spooled_by_an_earlier_version() -> None:
    assert list(schema_ids_of(batch_of(Samples(MIXED, [(1, ("a", 0.5, 7, "b"))])))) == [MIXED.schema_id]
    assert list(schema_ids_of(pb.Batch(tables=[pb.Table(schema_id=7), pb.Table(schema_id=8)]))) == [7, 8]


def test_nothing_to_send_is_no_batch() -> None:
    assert encode_batches([], max_bytes=1000) == []
    assert encode_batches([Samples(MIXED, [])], max_bytes=1000) == []


@pytest.mark.parametrize(
    ("value", "read"), [(2**64 - 1, 2**63 - 1), (-(2**70), -(2**63) + 1), (True, 1)], ids=["too large", "too small", "a boolean"]
)
def test_integers_beyond_64_bits_come_as_the_nearest_that_is_not_null(value: int, read: int) -> None:
    assert decode(table_of(Samples(MIXED, [(0, (None, None, value, None))]))) == [(0, (None, None, read, None))]


def test_names_that_are_not_utf8_come_with_replacement_characters() -> None:
    mount = b"/mnt/caf\xe9".decode("utf-8", "surrogateescape")
    [(_, row)] = decode(table_of(Samples(MIXED, [(0, (mount, None, None, "NUL \0 is a character"))])))
    assert row == ("/mnt/caf\N{REPLACEMENT CHARACTER}", None, None, "NUL \0 is a character")


def test_a_row_of_the_wrong_width_is_refused() -> None:
    with pytest.raises(ValueError, match="mixed"):
        encode_batches([Samples(MIXED, [(0, ("a", 1.0))])], max_bytes=1000)


def test_a_declaration_says_all_that_the_catalogue_does() -> None:
    declaration = pb.Declaration.FromString(encode_declaration(MIXED))
    assert (declaration.schema_id, declaration.measurement, declaration.help) == (MIXED.schema_id, "mixed", "One of each.")
    assert [(c.name, c.kind, c.type) for c in declaration.columns] == [
        ("part", pb.COLUMN_KIND_LABEL, pb.COLUMN_TYPE_TEXT),
        ("level", pb.COLUMN_KIND_GAUGE, pb.COLUMN_TYPE_FLOAT64),
        ("count", pb.COLUMN_KIND_GAUGE, pb.COLUMN_TYPE_INT64),
        ("note", pb.COLUMN_KIND_TEXT, pb.COLUMN_TYPE_TEXT),
    ]
