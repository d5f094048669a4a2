"""Stretches: consecutive slots of one sampler that were all served, or all missed for one cause. The unit in which slots are accounted for.

Before it: rows, of samples and of `missed`. After it: the spool, which keeps for each batch what it accounts for, so that what is lost with a batch
is told as rows of `missed` later. Invariant: `stretches_of` and `missed_samples` are inverse for stretches with a cause.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from watchdesk_agent.model import Cause, Samples, TimedRow
from watchdesk_agent.self_measurements import MISSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """From `first_us` on, in steps of `interval_us`. `cause` is None for slots that were served."""

    sampler: str
    first_us: int
    slots: int
    interval_us: int
    cause: Cause | None = None
    reason: str | None = None

    @property
    def until_us(self) -> int:
        """The first slot after it."""
        return self.first_us + self.slots * self.interval_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often a sampler runs, and the first slot that is its to serve."""

    sampler: str
    interval_us: int
    first_us: int


def _missed_row(stretch: Stretch) -> TimedRow:
    """The row of `missed` that tells a stretch."""
    cause = None if stretch.cause is None else stretch.cause.value
    return stretch.first_us, (stretch.sampler, cause, stretch.slots, stretch.interval_us / 1e6, stretch.reason)


def missed_samples(stretches: Iterable[Stretch]) -> Samples:
    return Samples(MISSED, [_missed_row(stretch) for stretch in stretches])


def stretches_of(collected: Iterable[Samples]) -> list[Stretch]:
    """What rows account for; rows without slots (of probes, of logs) account for none."""
    found: list[Stretch] = []
    for samples in collected:
        if samples.measurement.name == MISSED.name:
            found += [_stretch_of(row) for row in samples.rows]
        elif samples.interval_us is not None:
            found += _runs(samples.measurement.name, [ts for ts, _ in samples.rows], samples.interval_us)
    return found


def blame(stretches: Iterable[Stretch], cause: Cause, reason: str | None) -> list[Stretch]:
    """What was sampled is now missing for this cause; what was missing before keeps its own."""
    return [one if one.cause else replace(one, cause=cause, reason=reason) for one in stretches]


def join(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Those that follow each other as one, whatever their reasons say. Of two that end together, as after a clock was set back, the longer stays."""
    joined: dict[tuple[str, Cause | None, int, int], Stretch] = {}
    for one in stretches:
        before = joined.pop((one.sampler, one.cause, one.interval_us, one.first_us), None)
        whole = one if before is None else replace(before, slots=before.slots + one.slots)
        key = (whole.sampler, whole.cause, whole.interval_us, whole.until_us)
        joined[key] = max(whole, joined.get(key, whole), key=lambda stretch: stretch.slots)
    return list(joined.values())


def _stretch_of(row: TimedRow) -> Stretch:
    first_us, (sampler, cause, slots, interval_s, reason) = row
    return Stretch(
        sampler=str(sampler),
        first_us=first_us,
        slots=int(slots or 0),
        interval_us=round(float(interval_s or 0) * 1e6),
        cause=Cause(str(cause)),
        reason=None if reason is None else str(reason),
    )


def _runs(sampler: str, times: Sequence[int], interval_us: int) -> list[Stretch]:
    """Times in the order of sampling; a clock that was set back begins a new run."""
    runs: list[tuple[int, int]] = []
    for at in times:
        if runs and at in (runs[-1][1], runs[-1][1] + interval_us):
            runs[-1] = (runs[-1][0], at)
        else:
            runs.append((at, at))
    return [Stretch(sampler=sampler, first_us=first, slots=(last - first) // interval_us + 1, interval_us=interval_us) for first, last in runs]
