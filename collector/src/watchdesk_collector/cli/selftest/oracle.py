"""The judgement: what was sampled and acked, by the ledgers, against what is stored, by SQL. Pure: it reads neither files nor sockets.

Lost is what was acked and is not stored, even if only until its agent sent it again; what was spooled and in the end neither stored nor declared
dropped or rejected; and a log line that is not there. Doubled is a batch, a sample or a log line that is there twice. What a round itself threw away
(it restored an older state directory over it) and nobody had acked is counted apart. Every finding is told once, with the round in which it came to
light.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from watchdesk_collector.cli.selftest.ledgers import UNCOUNTED, Fact, Key, Ledgers
from watchdesk_collector.cli.selftest.stored import Stored, StoredBatch, Tally


class Evil(StrEnum):
    """What must not be."""

    LOST = "lost"
    DOUBLED = "doubled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`samples` of them; `round` is the one to blame, as far as is known."""

    evil: Evil
    samples: int
    round: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.evil.upper()}: {self.sentence}"


class Outcomes:
    """What the collector says became of each batch."""

    def __init__(self, batches: Sequence[StoredBatch]) -> None:
        self.stored: Counter[Key] = Counter()
        self.rows: dict[Key, int] = {}
        self.given_up: set[Key] = set()
        for batch in batches:
            keys = [Key(batch.host, batch.epoch, seq) for seq in range(batch.seq, batch.seq_to + 1)]
            if batch.outcome == "stored":
                self.stored.update(keys)
                self.rows.update(dict.fromkeys(keys, batch.rows or 0))
            else:
                self.given_up.update(keys)

    def __contains__(self, key: Key) -> bool:
        return key in self.stored or key in self.given_up


class Oracle:
    """Judges one run. `findings` grows; an empty one at the end is a pass."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers
        self._told: set[tuple[object, ...]] = set()
        self._seen: Counter[tuple[str, ...]] = Counter()
        self.findings: list[Finding] = []

    def acked(self) -> frozenset[Key]:
        """What agents were told is stored. Ask before history is read: then it must be there."""
        return frozenset(key for key, story in self._ledgers.stories.items() if Fact.ACKED in story.facts)

    def spooled(self) -> frozenset[Key]:
        """What must arrive: all that was spooled, but what a round threw away."""
        return frozenset(key for key, story in self._ledgers.stories.items() if Fact.SPOOLED in story.facts and not story.thrown_away)

    def check(self, stored: Stored, *, acked: frozenset[Key], current_round: int) -> Sequence[Finding]:
        """What can be said while agents run. The ledgers were read after `stored` was. Returns what is new."""
        known = len(self.findings)
        outcomes = Outcomes(stored.batches)
        self._check_acked(outcomes, acked)
        self._check_batches(outcomes, current_round)
        self._check_tallies(stored.tallies, self._expected(outcomes), current_round)
        return self.findings[known:]

    def close(self, stored: Stored, *, missing_lines: Mapping[str, Sequence[int]]) -> Sequence[Finding]:
        """The end: nothing is under way any more. `missing_lines` has the rounds that lines which are not stored were written in, by host."""
        known = len(self.findings)
        self.check(stored, acked=self.acked(), current_round=0)
        outcomes = Outcomes(stored.batches)
        for key in self.spooled():
            story = self._ledgers.stories[key]
            if key not in outcomes:
                self._tell(Evil.LOST, story.size, story.round, f"batch {_name(key)} was spooled, and is neither stored nor given up", key, "gone")
        for host, rounds in missing_lines.items():
            for round_, lines in Counter(rounds).items():
                self._tell(Evil.LOST, lines, round_, f"{lines} log lines of {host} were never stored", host, round_, "lines")
        return self.findings[known:]

    def _check_acked(self, outcomes: Outcomes, acked: frozenset[Key]) -> None:
        for key in acked:
            story = self._ledgers.stories[key]
            if key not in outcomes:
                self._tell(Evil.LOST, story.size, story.round, f"batch {_name(key)} was acked and is not stored", key, "gone")
            if Fact.FORGOTTEN in story.facts:
                sentence = f"batch {_name(key)} was acked, and when its agent came back the collector did not know it"
                self._tell(Evil.LOST, story.size, story.round, sentence, key, "forgotten")

    def _check_batches(self, outcomes: Outcomes, current_round: int) -> None:
        for key, copies in outcomes.stored.items():
            rows = outcomes.rows[key]
            if copies > 1:
                self._tell(Evil.DOUBLED, rows * (copies - 1), current_round, f"batch {_name(key)} is stored {copies} times", key, "twice")
            story = self._ledgers.stories.get(key)
            if story is None:
                self._tell(Evil.DOUBLED, rows, current_round, f"batch {_name(key)} is stored and nobody spooled it", key, "unknown")
            elif story.rows and story.size != rows:
                evil = Evil.LOST if rows < story.size else Evil.DOUBLED
                sentence = f"batch {_name(key)} was spooled with {story.size} samples and stored with {rows}"
                self._tell(evil, abs(story.size - rows), story.round, sentence, key, "size")

    def _expected(self, outcomes: Outcomes) -> dict[tuple[str, str], Tally]:
        """What history should hold of each measurement of each host, going by the batches that it says are stored."""
        rows: Counter[tuple[str, str]] = Counter()
        again: Counter[tuple[str, str]] = Counter()
        times: Counter[tuple[str, str]] = Counter()
        for key in outcomes.stored:
            story = self._ledgers.stories.get(key)
            for measurement, spooled in story.rows.items() if story else ():
                rows[key.host, measurement] += spooled.samples
                again[key.host, measurement] += spooled.again
                times[key.host, measurement] += spooled.times
        return {series: Tally(count, count - again[series], times[series]) for series, count in rows.items()}

    def _check_tallies(self, there: Mapping[tuple[str, str], Tally], expected: Mapping[tuple[str, str], Tally], current_round: int) -> None:
        nothing = Tally(0, 0, 0)
        for series in sorted(series for series in {*there, *expected} if series[1] != UNCOUNTED):
            found, due = there.get(series, nothing), expected.get(series, nothing)
            what = f"{series[1]} of {series[0]}"
            twice = (found.rows - found.different) - (due.rows - due.different)
            self._tell_growth(Evil.DOUBLED, twice, current_round, f"{what} holds samples twice", *series, "apart")
            self._tell_growth(Evil.LOST, due.rows - found.rows, current_round, f"{what} lacks samples of stored batches", *series, "fewer")
            strange = found.rows - due.rows - max(0, twice)
            self._tell_growth(Evil.DOUBLED, strange, current_round, f"{what} holds samples that its batches do not", *series, "more")
            if found.rows == due.rows and found.times != due.times:
                self._tell(Evil.LOST, 1, current_round, f"{what} holds other samples than were spooled", *series, "others")

    def _tell_growth(self, evil: Evil, samples: int, round_: int, sentence: str, *about: str) -> None:
        """Tell by how much a shortcoming has grown since the last time."""
        if samples > self._seen[about]:
            self._tell(evil, samples - self._seen[about], round_, f"{sentence}: {samples}", *about, samples)
            self._seen[about] = samples

    def _tell(self, evil: Evil, samples: int, round_: int, sentence: str, *about: object) -> None:
        if about not in self._told:
            self._told.add(about)
            self.findings.append(Finding(evil=evil, samples=samples, round=round_, sentence=sentence))


def _name(key: Key) -> str:
    return f"{key.host} {key.epoch:x}/{key.seq}"
