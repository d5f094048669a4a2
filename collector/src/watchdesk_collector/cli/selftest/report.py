"""The table of a run, per kind of fault and in total, in samples; and the findings, a sentence each. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from watchdesk_collector.cli.selftest.ledgers import Fact, Key, Story
from watchdesk_collector.cli.selftest.oracle import Evil, Finding, Outcomes

NO_FAULT = "(no fault)"
COLUMNS = ("kind", "rounds", "sampled", "acked", "stored", "dropped", "lost", "doubled")
MAX_SENTENCES = 20


@dataclass(slots=True, kw_only=True)
class Figures:
    """Of the samples that were spooled in the rounds of one kind."""

    rounds: int = 0
    sampled: int = 0
    acked: int = 0
    stored: int = 0
    dropped: int = 0  # given up by the agent or rejected by the collector, and counted
    thrown_away: int = 0  # destroyed by the round itself before anybody had acked it
    lost: int = 0
    doubled: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All there is to tell. `kinds` has the kind of each round that was played, from the first; `skipped` the reasons by kind, `misses` the rounds
    whose fault did not come about.
    """

    seed: int
    kinds: Sequence[str]
    stories: Mapping[Key, Story]
    outcomes: Outcomes
    findings: Sequence[Finding]
    lines: int
    skipped: Mapping[str, str]
    misses: Sequence[str] = ()

    @property
    def is_clean(self) -> bool:
        return not self.findings

    def figures(self) -> dict[str, Figures]:
        """By kind, in the order of the first round of each; what no round is to blame for comes last."""
        figures = {kind: Figures(rounds=rounds) for kind, rounds in Counter(self.kinds).items()}
        figures[NO_FAULT] = Figures()
        for key, story in self.stories.items():
            self._count(figures[self._kind(story.round)], key, story)
        for finding in self.findings:
            figure = figures[self._kind(finding.round)]
            if finding.evil is Evil.LOST:
                figure.lost += finding.samples
            else:
                figure.doubled += finding.samples
        return figures

    def rows(self) -> list[list[str]]:
        """The table, the total last."""
        figures = self.figures()
        total = sum(figures.values(), Figures())
        return [[kind, *(f"{getattr(figure, column):,}" for column in COLUMNS[1:])] for kind, figure in [*figures.items(), ("total", total)]]

    def sentences(self) -> Iterator[str]:
        """What goes with the table."""
        yield f"{self.lines:,} log lines were written, and each is looked for once."
        thrown_away = Counter(self._thrown_away())
        for why, samples in thrown_away.items():
            yield f"Thrown away by the rounds themselves, before anybody had acked them: {samples:,} samples {why}."
        for kind, why in self.skipped.items():
            yield f"Not tried here: {kind}, which {why}."
        yield from self.misses
        for finding in self.findings[:MAX_SENTENCES]:
            yield f"{finding} (round {finding.round}, {self._kind(finding.round)})"
        if len(self.findings) > MAX_SENTENCES:
            yield f"… and {len(self.findings) - MAX_SENTENCES} more findings."

    def verdict(self) -> str:
        total = sum(self.figures().values(), Figures())
        return f"{len(self.kinds)} rounds, seed {self.seed}: {total.lost:,} lost, {total.doubled:,} doubled."

    def _kind(self, round_: int) -> str:
        return self.kinds[round_ - 1] if 0 < round_ <= len(self.kinds) else NO_FAULT

    def _count(self, figures: Figures, key: Key, story: Story) -> None:
        is_stored, is_given_up = key in self.outcomes.stored, key in self.outcomes.given_up or Fact.DROPPED in story.facts
        if not (is_stored or is_given_up or Fact.SPOOLED in story.facts):
            return  # its agent was killed before it was spooled
        figures.sampled += story.size
        figures.acked += story.size if Fact.ACKED in story.facts and is_stored else 0
        figures.stored += story.size if is_stored else 0
        figures.dropped += story.size if is_given_up and not is_stored else 0
        figures.thrown_away += story.size if self._is_thrown_away(key, story) else 0

    def _is_thrown_away(self, key: Key, story: Story) -> bool:
        return bool(story.thrown_away) and key not in self.outcomes

    def _thrown_away(self) -> dict[str, int]:
        samples: Counter[str] = Counter()
        for key, story in self.stories.items():
            if self._is_thrown_away(key, story):
                samples[story.thrown_away] += story.size
        return samples
