from datetime import UTC

from hypothesis import given, settings
from hypothesis import strategies as st
from watchdesk_agent.logs.assemble import BLOCK_BYTES, JOIN_WAIT_S, PARTIAL_WAIT_S, Assembled, Reading, assemble
from watchdesk_agent.logs.parse import Format, Moment
from watchdesk_agent.logs.severity import Severity

READING = Reading(form=Format.AUTO, floor=Severity.ERROR)
INFO_READING = Reading(form=Format.AUTO, floor=Severity.INFO)


def take(data: bytes, *, inside: bool = False, waited_s: float = 0.0, room_bytes: int = 10**9, reading: Reading = READING) -> Assembled:
    return assemble(data, inside=inside, waited_s=waited_s, room_bytes=room_bytes, reading=reading, moment=Moment(1_795_525_205_000_000, UTC))


def messages(found: Assembled) -> list[str]:
    return [entry.message for entry in found.entries]


def test_a_line_without_its_end_is_not_consumed() -> None:
    found = take(b"INFO a\nERROR half")
    assert (found.consumed, messages(found)) == (7, [])


def test_a_last_line_stops_waiting_for_its_end() -> None:
    assert take(b"ERROR half", waited_s=PARTIAL_WAIT_S - 1).consumed == 0
    found = take(b"ERROR half", waited_s=PARTIAL_WAIT_S)
    assert (found.consumed, messages(found), found.inside) == (10, ["ERROR half"], False)


def test_an_entry_waits_for_further_lines_and_is_read_again_until_then() -> None:
    data = b"ERROR a\nERROR b\n"
    found = take(data)
    assert (found.consumed, messages(found), found.lines) == (8, ["ERROR a"], 1)
    found = take(data[8:], waited_s=JOIN_WAIT_S)
    assert (found.consumed, messages(found), found.lines) == (8, ["ERROR b"], 1)


def test_a_half_traceback_is_not_consumed() -> None:
    assert take(b'INFO a\nTraceback (most recent call last):\n  File "a.py"\n').consumed == 7


def test_room_stops_at_an_entry_and_the_rest_comes_again() -> None:
    data = b"".join(b"ERROR %d\n" % number for number in range(10))
    found = take(data, room_bytes=20)
    rest = take(data[found.consumed :], waited_s=JOIN_WAIT_S)
    assert 0 < len(found.entries) < 10
    assert messages(found) + messages(rest) == [f"ERROR {number}" for number in range(10)]


def test_a_line_longer_than_a_block_is_cut_counted_and_its_rest_skipped() -> None:
    found = take(b"INFO " + b"x" * (BLOCK_BYTES - 5))
    assert (found.consumed, found.inside, found.lines, found.truncated, messages(found)) == (BLOCK_BYTES, True, 1, 1, [])
    assert take(b"x" * 100, inside=True) == Assembled(consumed=100, inside=True)
    assert take(b"xx\nERROR b\n", inside=True) == Assembled(consumed=3, inside=False)


def test_a_long_line_that_matters_is_told() -> None:
    found = take((b"ERROR " + b"x" * BLOCK_BYTES)[:BLOCK_BYTES])
    assert (found.inside, found.truncated, len(found.entries)) == (True, 0, 1)


def test_nuls_and_bytes_that_are_no_utf8_are_replaced_and_counted() -> None:
    found = take(b"ERROR a\0b\nERROR \xff\xfe\n\0\0ERROR c\n", waited_s=JOIN_WAIT_S)
    assert messages(found) == ["ERROR a\ufffdb", "ERROR \ufffd\ufffd", "ERROR c"]
    assert found.undecodable == 3


def test_a_hole_is_passed_without_becoming_a_line() -> None:
    assert take(b"\0" * 5000 + b"ERROR a\n") == Assembled(consumed=5000)


def test_lines_that_end_in_cr_lf_are_lines() -> None:
    assert messages(take(b"ERROR a\r\n", waited_s=JOIN_WAIT_S)) == ["ERROR a"]


def test_a_block_full_of_one_entry_is_settled_rather_than_read_for_ever() -> None:
    data = (b"ERROR a\n" + b"  more\n" * BLOCK_BYTES)[:BLOCK_BYTES]
    found = take(data)
    assert found.consumed > 0
    assert found.entries


LINES = st.sampled_from(
    [
        b"INFO fine\n",
        b"ERROR a\n",
        b"  indented\n",
        b"Traceback (most recent call last):\n",
        b"ValueError: x\n",
        b"\n",
        b"\xff\0\n",
        b"Nov 24 13:00:00 h a[1]: error: x\n",
    ]
)


@given(st.lists(LINES, max_size=40), st.integers(min_value=1, max_value=60), st.booleans())
@settings(max_examples=300, deadline=None)
def test_reading_in_pieces_tells_the_same_as_reading_at_once(lines: list[bytes], room_bytes: int, all_of_it: bool) -> None:
    reading = INFO_READING if all_of_it else READING
    data = b"".join(lines)
    whole = take(data, waited_s=JOIN_WAIT_S, reading=reading)
    told: list[str] = []
    at = lines_read = 0
    while at < len(data):
        found = take(data[at:], room_bytes=room_bytes, reading=reading)
        if not found.consumed:
            found = take(data[at:], waited_s=JOIN_WAIT_S, reading=reading)
        at += found.consumed
        lines_read += found.lines
        told += messages(found)
    assert sorted(told) == sorted(messages(whole))
    assert lines_read == whole.lines == len(lines)


@given(st.binary(max_size=2000), st.booleans())
def test_any_bytes_are_read(data: bytes, inside: bool) -> None:
    found = take(data, inside=inside, waited_s=PARTIAL_WAIT_S, reading=INFO_READING)
    assert 0 <= found.consumed <= len(data)
