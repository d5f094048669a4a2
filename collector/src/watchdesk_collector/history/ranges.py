"""Ranges of seqs: what is durable of an epoch, kept as few numbers as there are holes.

Invariant: ranges are inclusive, ascending, and never touch. A set may be read from any thread while one thread adds to it: each change replaces the
numbers as a whole.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class RangeSet:
    """A set of whole numbers, as inclusive (first, last) ranges."""

    __slots__ = ("_bounds",)

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._bounds: tuple[int, ...] = ()  # first, last, first, last, …
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Add `first`, or all of first to last inclusive. ValueError when last is before first."""
        last = first if last is None else last
        if last < first:
            raise ValueError(f"a range cannot end at {last}, before it starts at {first}")
        bounds = self._bounds
        start = bisect_left(bounds, first - 1) >> 1
        end = (bisect_right(bounds, last + 1) + 1) >> 1
        if start < end:
            first, last = min(first, bounds[2 * start]), max(last, bounds[2 * end - 1])
        self._bounds = (*bounds[: 2 * start], first, last, *bounds[2 * end :])

    def merge(self, other: "RangeSet") -> None:
        """Add everything that is in the other."""
        for first, last in other:
            self.add(first, last)

    def intersection(self, other: "RangeSet") -> "RangeSet":
        """What is in both."""
        common = RangeSet()
        for first, last in self:
            common._bounds += other._within(first, last)
        return common

    def missing(self, first: int, last: int) -> "RangeSet":
        """What of first to last inclusive is not in the set."""
        holes = RangeSet()
        at = first
        for have_first, have_last in self._pairs(self._within(first, last)):
            if at < have_first:
                holes.add(at, have_first - 1)
            at = have_last + 1
        if at <= last:
            holes.add(at, last)
        return holes

    def copy(self) -> "RangeSet":
        """A set of its own with the same numbers; costs nothing."""
        copied = RangeSet()
        copied._bounds = self._bounds
        return copied

    def to_list(self) -> list[tuple[int, int]]:
        """(first, last), inclusive, ascending, not touching."""
        return list(self)

    @property
    def count(self) -> int:
        """How many numbers are in it."""
        return sum(last - first + 1 for first, last in self)

    def _within(self, first: int, last: int) -> tuple[int, ...]:
        """The bounds, cut to first and last."""
        bounds = self._bounds
        start = bisect_left(bounds, first) >> 1
        end = (bisect_right(bounds, last) + 1) >> 1
        if start >= end:
            return ()
        cut = bounds[2 * start : 2 * end]
        return (max(first, cut[0]), *cut[1:-1], min(last, cut[-1]))

    @staticmethod
    def _pairs(bounds: tuple[int, ...]) -> Iterator[tuple[int, int]]:
        return zip(bounds[::2], bounds[1::2], strict=True)

    def __contains__(self, number: int) -> bool:
        at = bisect_left(self._bounds, number)
        return at % 2 == 1 or (at < len(self._bounds) and self._bounds[at] == number)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return self._pairs(self._bounds)

    def __len__(self) -> int:
        """How many ranges there are."""
        return len(self._bounds) // 2

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and self._bounds == other._bounds

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"RangeSet({self.to_list()})"
