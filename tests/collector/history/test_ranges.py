"""RangeSet against a plain set of numbers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watchdesk_collector.history import RangeSet

small = st.integers(min_value=0, max_value=40)
pairs = st.lists(st.tuples(small, st.integers(min_value=0, max_value=6)).map(lambda p: (p[0], p[0] + p[1])), max_size=12)


def numbers(ranges: RangeSet) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


def plain(given_pairs: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in given_pairs for number in range(first, last + 1)}


@given(pairs)
def test_holds_what_was_added_in_ascending_ranges_that_never_touch(added: list[tuple[int, int]]) -> None:
    ranges = RangeSet(added)
    assert numbers(ranges) == plain(added)
    assert ranges.count == len(plain(added))
    assert all(number in ranges for number in plain(added))
    assert not any(number in ranges for number in range(-2, 50) if number not in plain(added))
    listed = ranges.to_list()
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(listed))
    assert len(ranges) == len(listed)


@given(pairs, pairs)
def test_merge_and_intersection_are_those_of_sets(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    merged = RangeSet(one)
    merged.merge(RangeSet(other))
    assert merged == RangeSet([*one, *other])
    assert RangeSet(one).intersection(RangeSet(other)) == RangeSet((n, n) for n in plain(one) & plain(other))


@given(pairs, small, small)
def test_missing_is_the_rest_of_the_stretch(added: list[tuple[int, int]], a: int, b: int) -> None:
    first, last = sorted((a, b))
    assert numbers(RangeSet(added).missing(first, last)) == set(range(first, last + 1)) - plain(added)


def test_a_copy_does_not_change_with_the_original() -> None:
    ranges = RangeSet([(1, 3)])
    copied = ranges.copy()
    ranges.add(4)
    assert copied.to_list() == [(1, 3)]
    assert ranges.to_list() == [(1, 4)]


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot end at 1"):
        RangeSet().add(2, 1)
