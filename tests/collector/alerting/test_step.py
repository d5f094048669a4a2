"""The alert state machine alone: examples, then what holds for any stream of samples, however it is cut."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from watchdesk_collector.alerting.rules import Hold
from watchdesk_collector.alerting.step import Presence, Reason, RuleState, Sample, Series, Timing, Transition, resolve_all, step
from watchdesk_collector.ops.states import AlertState

S = 1_000_000
END_US = 400 * S
ALWAYS = Presence(heard_us={1: END_US, 2: END_US}, listening_since_us=0)
TIMING = Timing(hold=Hold(us=30 * S, samples=1), no_data_us=100 * S)
A = Series(fingerprint="a", host_id=1, labels={"mount": "/"})
B = Series(fingerprint="b", host_id=2, labels={"mount": "/"})
EMPTY = RuleState(cursor_us=0, series={})


def sample(second: int, verdict: str, *, series: Series = A) -> Sample:
    """`verdict`: + fires, - clears, 0 neither."""
    return Sample(series=series, at_us=second * S, fires=verdict == "+", clears=verdict == "-", value=float(second))


def walk(samples: Sequence[Sample], *, timing: Timing = TIMING, ends: Sequence[int] = (END_US,), presence: Presence = ALWAYS) -> list[Transition]:
    """Step to each end in turn, each time with the samples that are new."""
    state, found = EMPTY, list[Transition]()
    for end_us in ends:
        new = [one for one in samples if state.cursor_us < one.at_us <= end_us]
        state, transitions = step(timing, state, new, until_us=end_us, presence=presence)
        found += transitions
    return found


def told(transitions: Sequence[Transition]) -> list[tuple[str, int]]:
    return [(str(one.to_state), one.at_us // S) for one in transitions]


def test_fires_at_the_first_sample_that_completes_the_period() -> None:
    samples = [sample(second, "+") for second in range(10, 71, 10)] + [sample(80, "-")]
    assert told(walk(samples)) == [("pending", 10), ("firing", 40), ("resolved", 80)]


def test_one_sample_that_does_not_fire_breaks_the_row() -> None:
    samples = [sample(10, "+"), sample(20, "+"), sample(30, "0"), sample(40, "+"), sample(60, "+"), sample(70, "+"), sample(80, "-")]
    assert told(walk(samples)) == [("pending", 10), ("inactive", 30), ("pending", 40), ("firing", 70), ("resolved", 80)]


def test_without_a_period_it_fires_at_once() -> None:
    timing = replace(TIMING, hold=Hold(us=0, samples=1))
    assert told(walk([sample(10, "+"), sample(20, "-")], timing=timing)) == [("firing", 10), ("resolved", 20)]


def test_samples_in_a_row_may_be_counted_instead() -> None:
    timing = replace(TIMING, hold=Hold(us=0, samples=3))
    samples = [sample(second, verdict) for second, verdict in zip(range(10, 80, 10), "++-+++-", strict=True)]
    assert told(walk(samples, timing=timing)) == [("pending", 10), ("inactive", 30), ("pending", 40), ("firing", 60), ("resolved", 70)]


def test_a_value_between_the_two_levels_keeps_it_firing() -> None:
    samples = [sample(10, "+"), sample(40, "+"), sample(50, "0"), sample(60, "0"), sample(70, "-")]
    assert told(walk(samples)) == [("pending", 10), ("firing", 40), ("resolved", 70)]


def test_a_hole_while_pending_begins_the_row_anew() -> None:
    away = Presence(heard_us={1: 0}, listening_since_us=0)
    assert told(walk([sample(10, "+"), sample(120, "+"), sample(150, "+")], presence=away)) == [
        ("pending", 10),
        ("inactive", 120),
        ("pending", 120),
        ("firing", 150),
    ]


def test_a_series_that_stays_away_while_its_host_is_there_ends_when_the_period_is_over() -> None:
    transitions = walk([sample(10, "+"), sample(40, "+")])
    assert told(transitions) == [("pending", 10), ("firing", 40), ("resolved", 140)]
    assert transitions[-1].reason is Reason.NO_DATA


def test_time_in_which_the_host_was_not_heard_or_nobody_listened_is_no_absence() -> None:
    samples = [sample(10, "+"), sample(40, "+")]
    assert told(walk(samples, presence=Presence(heard_us={1: 100 * S}, listening_since_us=0))) == [("pending", 10), ("firing", 40)]
    assert told(walk(samples, presence=Presence(heard_us={1: END_US}, listening_since_us=350 * S))) == [("pending", 10), ("firing", 40)]


def test_series_of_hosts_that_are_not_watched_end() -> None:
    transitions = walk([sample(10, "+"), sample(40, "+")], presence=Presence(heard_us={}, listening_since_us=0))
    assert (transitions[-1].to_state, transitions[-1].reason) == (AlertState.RESOLVED, Reason.HOST_REMOVED)


def test_stepping_back_or_to_the_same_place_changes_nothing() -> None:
    state, _ = step(TIMING, EMPTY, [sample(10, "+")], until_us=50 * S, presence=ALWAYS)
    for until_us in (0, 10 * S, 50 * S):
        assert step(TIMING, state, [sample(40, "+")], until_us=until_us, presence=ALWAYS) == (state, ())


def test_a_rule_that_is_gone_ends_all_its_series() -> None:
    state, _ = step(TIMING, EMPTY, [sample(10, "+"), sample(40, "+"), sample(40, "+", series=B)], until_us=50 * S, presence=ALWAYS)
    assert told(resolve_all(state, at_us=60 * S, reason=Reason.RULE_REMOVED)) == [("resolved", 60), ("inactive", 60)]


verdicts = st.dictionaries(st.integers(1, 399), st.sampled_from("+-0"), max_size=60)
cuts = st.sets(st.integers(1, 400), max_size=20)
timings = st.builds(
    Timing,
    hold=st.builds(Hold, us=st.integers(0, 90).map(lambda seconds: seconds * S), samples=st.integers(1, 3)),
    no_data_us=st.one_of(st.none(), st.integers(5, 120).map(lambda seconds: seconds * S)),
)


def stream(a: dict[int, str], b: dict[int, str]) -> list[Sample]:
    samples = [sample(second, verdict) for second, verdict in a.items()] + [sample(second, verdict, series=B) for second, verdict in b.items()]
    return sorted(samples, key=lambda one: (one.at_us, one.series.fingerprint))


def by_series(transitions: Sequence[Transition]) -> list[Transition]:
    """In which order two series end in one step is of no matter."""
    return sorted(transitions, key=lambda one: one.series.fingerprint)


@given(a=verdicts, b=verdicts, cuts=cuts, timing=timings)
def test_how_the_stream_is_cut_does_not_matter(a: dict[int, str], b: dict[int, str], cuts: set[int], timing: Timing) -> None:
    samples, ends = stream(a, b), [cut * S for cut in sorted(cuts | {400})]
    assert by_series(walk(samples, timing=timing, ends=ends)) == by_series(walk(samples, timing=timing))


@given(a=verdicts, b=verdicts, cut=st.integers(1, 399), timing=timings)
def test_samples_at_or_before_the_cursor_are_passed_over(a: dict[int, str], b: dict[int, str], cut: int, timing: Timing) -> None:
    samples = stream(a, b)
    halfway, first = step(timing, EMPTY, samples, until_us=cut * S, presence=ALWAYS)
    again, second = step(timing, halfway, samples, until_us=END_US, presence=ALWAYS)
    assert by_series([*first, *second]) == by_series(walk(samples, timing=timing))
    assert again.cursor_us == END_US


@given(a=verdicts, b=verdicts, cuts=cuts, timing=timings)
def test_leaving_quiet_series_out_does_not_matter(a: dict[int, str], b: dict[int, str], cuts: set[int], timing: Timing) -> None:
    """What `reading` does in SQL: series that neither fire in a step nor are remembered before it may stay at home."""
    samples, state, found = stream(a, b), EMPTY, list[Transition]()
    for cut in sorted(cuts | {400}):
        new = [one for one in samples if state.cursor_us < one.at_us <= cut * S]
        interesting = {one.series.fingerprint for one in new if one.fires} | set(state.series)
        kept = [one for one in new if one.series.fingerprint in interesting]
        state, transitions = step(timing, state, kept, until_us=cut * S, presence=ALWAYS)
        found += transitions
    assert by_series(found) == by_series(walk(samples, timing=timing))


@given(a=verdicts, timing=timings)
def test_each_transition_begins_where_the_one_before_it_ended(a: dict[int, str], timing: Timing) -> None:
    state = AlertState.INACTIVE
    at_us = 0
    for transition in walk(stream(a, {}), timing=timing):
        assert transition.from_state is state
        assert transition.at_us >= at_us
        state = AlertState.INACTIVE if transition.to_state is AlertState.RESOLVED else transition.to_state
        at_us = transition.at_us


@given(a=verdicts, timing=timings)
def test_nothing_fires_before_its_condition_held_for_the_whole_period(a: dict[int, str], timing: Timing) -> None:
    for transition in walk(stream(a, {}), timing=timing):
        if transition.to_state is not AlertState.FIRING:
            continue
        row = [verdict for second, verdict in sorted(a.items()) if transition.since_us <= second * S <= transition.at_us]
        assert set(row) == {"+"}
        assert len(row) >= timing.hold.samples
        assert transition.at_us - transition.since_us >= timing.hold.us
