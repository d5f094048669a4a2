"""The agents' side of the books: what the launchers of agents wrote about each batch, read as it grows.

Before it: the launchers, which append one line per fact once it is true (`spooling` alone comes before its fact). After it: `oracle`. Invariant: a
batch that any collector can hold is known here before the collector can hold it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

MODULUS = 1_000_000_007  # keeps sums of microseconds within 64 bits
LINES = "log"  # its rows are told apart by what they say
UNCOUNTED = "selftest_past"  # the measurement of samples that history may drop at any time, for they are too old; in no ledger


class Key(NamedTuple):
    """What a batch is known by."""

    host: str
    epoch: int
    seq: int


class Fact(StrEnum):
    """What a line tells of its batches."""

    SPOOLING = "spooling"
    SPOOLED = "spooled"
    ACKED = "acked"
    DROPPED = "dropped"
    REJECTED = "rejected"
    FORGOTTEN = "forgotten"


class Rows(NamedTuple):
    """Samples of one measurement: how many, and the sum of their times (µs since 1970 UTC), each modulo `MODULUS`."""

    samples: int
    times: int
    again: int = 0  # of these, samples of slots that had been sampled when the clock was set back


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `times` of the samples by measurement, where the line tells them."""

    fact: Fact
    epoch: int
    seqs: Sequence[int]
    times: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Story:
    """What is known of one batch. `round` is the one in which it was first heard of."""

    round: int
    rows: Mapping[str, Rows] = field(default_factory=dict)
    facts: set[Fact] = field(default_factory=set)
    thrown_away: str = ""  # why the round itself destroyed the only copy, where it did

    @property
    def size(self) -> int:
        """Its samples."""
        return sum(rows.samples for rows in self.rows.values())


class Ledgers:
    """All ledgers of a run. `add` announces one before its file is there; what is read belongs to `current_round`."""

    def __init__(self) -> None:
        self.current_round = 0
        self.stories: dict[Key, Story] = {}
        self._files: dict[Path, str] = {}
        self._offsets: dict[Path, int] = {}
        self._sampled: defaultdict[tuple[str, str], set[int]] = defaultdict(set)  # slots by host and measurement
        self._set_clocks: set[str] = set()

    def add(self, path: Path, *, host: str) -> None:
        self._files[path] = host

    def read(self) -> None:
        """Take in what was written since the last time."""
        for path, host in self._files.items():
            for text in self._new_lines(path):
                self.take(host, parse(text))

    def take(self, host: str, line: Line) -> None:
        for seq in line.seqs:
            story = self.stories.setdefault(Key(host, line.epoch, seq), Story(round=self.current_round))
            story.facts.add(line.fact)
            if line.times:
                story.rows = {measurement: self._rows(host, measurement, times) for measurement, times in line.times.items()}

    def measurements(self) -> set[str]:
        """All that agents have sampled."""
        return {measurement for _, measurement in self._sampled}

    def note_set_clock(self, host: str) -> None:
        """From now on this host may rightly sample a slot again."""
        self._set_clocks.add(host)

    def throw_away(self, keys: Iterable[Key], *, why: str) -> None:
        """A round destroyed what may be the only copy of these."""
        for key in keys:
            if key in self.stories:
                self.stories[key].thrown_away = why

    def _rows(self, host: str, measurement: str, times: Sequence[int]) -> Rows:
        sampled = self._sampled[host, measurement]
        may_come_again = host in self._set_clocks and measurement != LINES
        again = sum(time in sampled for time in times) if may_come_again else 0
        sampled.update(times)
        return Rows(len(times), sum(time % MODULUS for time in times), again)

    def _new_lines(self, path: Path) -> Iterator[str]:
        """Whole lines alone: a killed writer may leave half of one."""
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._offsets.get(path, 0))
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._offsets[path] = self._offsets.get(path, 0) + len(whole)
        yield from whole.decode("utf-8").splitlines()


def parse(text: str) -> Line:
    """`spooling EPOCH SEQ ROWS`, `spooled EPOCH SEQ`, `acked|forgotten EPOCH FIRST LAST`, `dropped|rejected EPOCH FIRST LAST REASON`."""
    word, epoch, first, *rest = text.split(" ", 3)
    fact = Fact(word)
    match fact:
        case Fact.SPOOLING:
            return Line(fact, int(epoch), (int(first),), json.loads(rest[0]))
        case Fact.SPOOLED:
            return Line(fact, int(epoch), (int(first),))
        case Fact.ACKED | Fact.DROPPED | Fact.REJECTED | Fact.FORGOTTEN:
            return Line(fact, int(epoch), range(int(first), int(rest[0].split(" ", 1)[0]) + 1))
