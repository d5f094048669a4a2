"""The alert state machine: `step(rule, state, samples) -> (state, transitions)`.

inactive → pending → firing → resolved, in event time, on the grid of the samples alone. Invariant: the transitions that samples cause do not depend
on how the stream is cut into steps, and a sample at or before the cursor causes none. Nothing here knows a clock, a database or a message.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from watchdesk_collector.alerting.rules import Fact, Hold
from watchdesk_collector.ops.states import AlertState


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What an alert is about, within its rule: a host and values of labels. `fingerprint` is unique for the two."""

    fingerprint: str
    host_id: int
    labels: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One point of a series and what the rule's conditions say of it."""

    series: Series
    at_us: int
    fires: bool
    clears: bool
    value: float | None
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesState:
    """A series that is pending or firing."""

    series: Series
    state: AlertState
    since_us: int  # the first sample of the unbroken row that fires
    fired_at_us: int | None
    sampled_at_us: int  # the newest sample
    samples: int  # in that row, up to firing
    absent_us: int  # for how long its host has been heard without a sample of it
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleState:
    """What a rule remembers: how far it has read, and every series that is not inactive, by fingerprint."""

    cursor_us: int
    series: Mapping[str, SeriesState]


class Reason(StrEnum):
    """Why a state changed."""

    FIRES = "the condition holds"
    CLEARS = "the condition is over"
    NO_DATA = "no data"
    HOST_REMOVED = "the host is not watched any more"
    RULE_REMOVED = "the rule is gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of one series' state, at a time on the sample grid."""

    series: Series
    from_state: AlertState
    to_state: AlertState
    at_us: int
    since_us: int
    value: float | None
    reason: Reason
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things must last in a rule."""

    hold: Hold
    no_data_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Until when each watched host has been heard, and since when anybody listened. A host that is absent here is not watched any more."""

    heard_us: Mapping[int, int]
    listening_since_us: int

    def present_us(self, host_id: int, after_us: int, until_us: int) -> int:
        """For how much of (after, until] the host was heard."""
        return max(0, min(until_us, self.heard_us.get(host_id, 0)) - max(after_us, self.listening_since_us))


def step(timing: Timing, state: RuleState, samples: Iterable[Sample], *, until_us: int, presence: Presence) -> tuple[RuleState, Sequence[Transition]]:
    """Take in the samples in (cursor, until], oldest first; others are passed over. The cursor moves to `until`."""
    if until_us <= state.cursor_us:
        return state, ()
    run = _Run(timing=timing, presence=presence, cursor_us=state.cursor_us, series=dict(state.series))
    for sample in samples:
        if state.cursor_us < sample.at_us <= until_us:
            run.take(sample)
    run.end_absent(until_us)
    return RuleState(cursor_us=until_us, series=run.series), run.transitions


def resolve_all(state: RuleState, *, at_us: int, reason: Reason) -> Sequence[Transition]:
    """The transitions that end every series of a rule that is not evaluated any more."""
    return [_end(remembered, at_us, reason) for remembered in state.series.values()]


@dataclass(slots=True, kw_only=True)
class _Run:
    """One step in the making."""

    timing: Timing
    presence: Presence
    cursor_us: int
    series: dict[str, SeriesState]
    transitions: list[Transition] = field(default_factory=list)

    def take(self, sample: Sample) -> None:
        """Move one series along by one sample."""
        before = self.series.pop(sample.series.fingerprint, None)
        if before is not None and (ended := self._ended_before(before, sample)):
            self.transitions.append(ended)
            before = None
        is_firing = before is not None and before.state is AlertState.FIRING
        after = self._firing(before, sample) if before is not None and is_firing else self._unfired(before, sample)
        if after is not None:
            self.series[sample.series.fingerprint] = after

    def end_absent(self, until_us: int) -> None:
        """End series of hosts that are not watched any more, and those that their hosts have stopped sending."""
        for fingerprint, remembered in list(self.series.items()):
            if remembered.series.host_id not in self.presence.heard_us:
                self.transitions.append(_end(remembered, until_us, Reason.HOST_REMOVED))
                del self.series[fingerprint]
            elif ended := self._ended_by_absence(remembered, until_us):
                self.transitions.append(ended)
                del self.series[fingerprint]
            else:
                self.series[fingerprint] = replace(remembered, absent_us=self._absent_us(remembered, until_us))

    def _firing(self, before: SeriesState, sample: Sample) -> SeriesState | None:
        if sample.clears:
            self.transitions.append(_end(replace(before, value=sample.value), sample.at_us, Reason.CLEARS))
            return None
        return replace(before, sampled_at_us=sample.at_us, absent_us=0, value=sample.value)

    def _unfired(self, before: SeriesState | None, sample: Sample) -> SeriesState | None:
        """Inactive or pending: one sample that does not fire breaks the row."""
        if not sample.fires:
            if before is not None:
                self.transitions.append(_end(replace(before, value=sample.value), sample.at_us, Reason.CLEARS))
            return None
        pending = _pending(before, sample)
        if _has_held(self.timing.hold, pending):
            came_from = AlertState.INACTIVE if before is None else AlertState.PENDING
            self.transitions.append(_begin(pending, came_from, AlertState.FIRING, sample))
            return replace(pending, state=AlertState.FIRING, fired_at_us=sample.at_us)
        if before is None:
            self.transitions.append(_begin(pending, AlertState.INACTIVE, AlertState.PENDING, sample))
        return pending

    def _ended_before(self, remembered: SeriesState, sample: Sample) -> Transition | None:
        """The end of a series before its next sample: by absence, or, while pending, by a hole over which nobody knows whether it held."""
        if ended := self._ended_by_absence(remembered, sample.at_us):
            return ended
        no_data_us = self.timing.no_data_us
        is_pending = remembered.state is AlertState.PENDING
        if is_pending and no_data_us is not None and sample.at_us - remembered.sampled_at_us > no_data_us:
            return _end(remembered, sample.at_us, Reason.NO_DATA)
        return None

    def _ended_by_absence(self, remembered: SeriesState, until_us: int) -> Transition | None:
        if self.timing.no_data_us is None:
            return None
        excess_us = self._absent_us(remembered, until_us) - self.timing.no_data_us
        return _end(remembered, until_us - excess_us, Reason.NO_DATA) if excess_us > 0 else None

    def _absent_us(self, remembered: SeriesState, until_us: int) -> int:
        """For how long, up to `until`, the host was heard without a sample of the series; not counted where absence ends nothing."""
        if self.timing.no_data_us is None:
            return 0
        after_us = max(self.cursor_us, remembered.sampled_at_us)
        return remembered.absent_us + self.presence.present_us(remembered.series.host_id, after_us, until_us)


def _pending(before: SeriesState | None, sample: Sample) -> SeriesState:
    if before is not None:
        return replace(before, sampled_at_us=sample.at_us, samples=before.samples + 1, absent_us=0, value=sample.value)
    return SeriesState(
        series=sample.series,
        state=AlertState.PENDING,
        since_us=sample.at_us,
        fired_at_us=None,
        sampled_at_us=sample.at_us,
        samples=1,
        absent_us=0,
        value=sample.value,
    )


def _has_held(hold: Hold, pending: SeriesState) -> bool:
    return pending.sampled_at_us - pending.since_us >= hold.us and pending.samples >= hold.samples


def _begin(pending: SeriesState, from_state: AlertState, to_state: AlertState, sample: Sample) -> Transition:
    return Transition(
        series=pending.series,
        from_state=from_state,
        to_state=to_state,
        at_us=sample.at_us,
        since_us=pending.since_us,
        value=sample.value,
        reason=Reason.FIRES,
        facts=sample.facts,
    )


def _end(remembered: SeriesState, at_us: int, reason: Reason) -> Transition:
    return Transition(
        series=remembered.series,
        from_state=remembered.state,
        to_state=AlertState.RESOLVED if remembered.state is AlertState.FIRING else AlertState.INACTIVE,
        at_us=at_us,
        since_us=remembered.since_us,
        value=remembered.value,
        reason=reason,
    )
