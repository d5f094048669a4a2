"""Slots: aligned, each served once or recorded as missed with its cause, whatever the clocks and the samplers do."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from fakes import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st
from watchdesk_agent.model import Instant, Row, Samples
from watchdesk_agent.schedule import Health, Schedule
from watchdesk_proto.catalogue import Measurement, gauge

SECOND = 1_000_000
START = datetime(2026, 1, 1, 0, 0, 0, 400_000, tzinfo=UTC)
START_US = round(START.timestamp() * 1e6)
DEADLINE_S = 10.0


@dataclass
class Ticker:
    """A sampler that does what the test says."""

    name: str = "ticker"
    interval_s: float = 1.0
    may_block: bool = False
    act: Callable[[Instant], Sequence[Row]] = lambda at: [(1.0,)]

    @property
    def measurement(self) -> Measurement:
        return Measurement(name=self.name, help="A test.", columns=(gauge("value", "A number."),))

    def sample(self, at: Instant) -> Sequence[Row]:
        return self.act(at)


@dataclass
class Taken:
    """What a schedule delivered; slots count seconds since the start of the test's minute."""

    delivered: list[Samples] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def take(self, samples: Samples) -> None:
        with self.arrived:
            self.delivered.append(samples)
            self.arrived.notify_all()

    def slots(self, name: str = "ticker") -> list[float]:
        return [seconds(ts) for samples in self.delivered if samples.measurement.name == name for ts, _ in samples.rows]

    def missed(self) -> list[tuple[float, object, object]]:
        """First slot, cause, number of slots."""
        return [(seconds(ts), row[1], row[2]) for samples in self.delivered if samples.measurement.name == "missed" for ts, row in samples.rows]

    def wait_for(self, done: Callable[[], bool]) -> None:
        with self.arrived:
            assert self.arrived.wait_for(done, DEADLINE_S)


def seconds(ts_us: int) -> float:
    return (ts_us - START_US // (60 * SECOND) * 60 * SECOND) / SECOND


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def taken() -> Taken:
    return Taken()


def schedule(clock: FakeClock, taken: Taken, *samplers: Ticker, health: Health | None = None) -> Schedule:
    return Schedule(samplers, interval_s=lambda sampler: sampler.interval_s, clock=clock, health=health or Health(), deliver=taken.take)


def test_slots_are_whole_intervals_of_utc_however_late_they_are_served(clock: FakeClock, taken: Taken) -> None:
    ticking = schedule(clock, taken, Ticker(), Ticker(name="slow", interval_s=5.0))
    for _ in range(12):
        clock.advance(ticking.delay_s() + 0.03)
        ticking.tick()
    assert taken.slots() == [float(second) for second in range(1, 13)]
    assert taken.slots("slow") == [5.0, 10.0]
    assert taken.missed() == []


def test_nothing_is_sampled_before_its_slot(clock: FakeClock, taken: Taken) -> None:
    ticking = schedule(clock, taken, Ticker())
    clock.advance(0.599)
    ticking.tick()
    assert taken.slots() == []
    assert ticking.delay_s() == pytest.approx(0.001)


def test_slots_that_the_agent_did_not_get_to_are_recorded_as_overload(clock: FakeClock, taken: Taken) -> None:
    ticking = schedule(clock, taken, Ticker())
    clock.advance(0.7)
    ticking.tick()
    clock.advance(4.0)
    ticking.tick()
    ticking.close()
    assert taken.slots() == [1.0, 5.0]
    assert taken.missed() == [(2.0, "overload", 3)]


def test_slots_that_the_host_slept_through_are_recorded_as_suspend(clock: FakeClock, taken: Taken) -> None:
    ticking = schedule(clock, taken, Ticker())
    clock.advance(0.7)
    ticking.tick()
    clock.suspend(3600.0)
    clock.advance(1.0)
    ticking.tick()
    ticking.close()
    assert taken.slots() == [1.0, 3602.0]
    assert taken.missed() == [(2.0, "suspend", 3600)]


def test_slots_that_the_wall_clock_was_set_across_are_recorded_as_clock_step(clock: FakeClock, taken: Taken) -> None:
    ticking = schedule(clock, taken, Ticker())
    clock.advance(0.7)
    ticking.tick()
    clock.step(10.0)
    clock.advance(1.0)
    ticking.tick()
    ticking.close()
    assert taken.slots() == [1.0, 12.0]
    assert taken.missed() == [(2.0, "clock_step", 10)]


def test_no_slot_is_taken_twice_when_the_clock_is_set_back_a_little(clock: FakeClock, taken: Taken) -> None:
    ticking = schedule(clock, taken, Ticker())
    for _ in range(3):
        clock.advance(1.0)
        ticking.tick()
    clock.step(-2.0)
    for _ in range(4):
        clock.advance(1.0)
        ticking.tick()
    assert taken.slots() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_the_agent_does_not_fall_silent_when_the_clock_is_set_back_a_lot(clock: FakeClock, taken: Taken) -> None:
    ticking = schedule(clock, taken, Ticker())
    clock.advance(1.0)
    ticking.tick()
    clock.step(-3600.0)
    for _ in range(3):
        clock.advance(1.0)
        ticking.tick()
    assert taken.slots() == [1.0, -3597.0, -3596.0]


def test_a_slewed_clock_is_no_step(clock: FakeClock, taken: Taken) -> None:
    ticking = schedule(clock, taken, Ticker())
    for _ in range(5):
        clock.step(0.001)
        clock.advance(1.0)
        ticking.tick()
    assert taken.slots() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert taken.missed() == []


def test_a_failing_sampler_costs_its_own_slots_and_is_told_once(clock: FakeClock, taken: Taken, caplog: pytest.LogCaptureFixture) -> None:
    def fail(at: Instant) -> Sequence[Row]:
        raise OSError("no such device")

    health = Health()
    ticking = schedule(clock, taken, Ticker(name="broken", act=fail), Ticker(), health=health)
    for _ in range(3):
        clock.advance(1.0)
        ticking.tick()
    ticking.close()
    assert taken.slots() == [1.0, 2.0, 3.0]
    assert taken.missed() == [(1.0, "failure", 3)]
    rows = {row[0]: row for row in health.take_rows()}
    assert rows["broken"][1:4] == (0, 0, 0.0)
    assert rows["broken"][4] == pytest.approx(0.4)
    assert rows["broken"][5:] == (3, 3, 3, "no such device")
    assert rows["ticker"][1:3] == (1, 0)
    assert len([record for record in caplog.records if "broken" in record.message]) == 1


@pytest.mark.parametrize("row", [(), (1.0, 2.0), ("text",)])
def test_rows_that_do_not_fit_their_measurement_are_a_failure_of_the_sampler(clock: FakeClock, taken: Taken, row: Row) -> None:
    ticking = schedule(clock, taken, Ticker(act=lambda at: [row]))
    clock.advance(1.0)
    ticking.tick()
    ticking.close()
    assert taken.missed() == [(1.0, "failure", 1)]


def test_a_hanging_sampler_becomes_stale_and_holds_up_nobody(clock: FakeClock, taken: Taken) -> None:
    release = threading.Event()
    entered = threading.Event()

    def hang(at: Instant) -> Sequence[Row]:
        entered.set()
        assert release.wait(DEADLINE_S)
        return [(1.0,)]

    health = Health()
    ticking = schedule(clock, taken, Ticker(name="mount", may_block=True, act=hang), Ticker(), health=health)
    clock.advance(1.0)
    ticking.tick()
    assert entered.wait(DEADLINE_S)
    for _ in range(3):
        clock.advance(1.0)
        ticking.tick()
    assert taken.slots() == [1.0, 2.0, 3.0, 4.0]
    assert {row[0]: row[2] for row in health.take_rows()} == {"mount": 1, "ticker": 0}
    release.set()
    ticking.close()
    assert taken.slots("mount") == [], "what comes back late is not passed off as that slot's"
    assert taken.missed() == [(1.0, "stale", 4)]


def test_a_sampler_that_comes_back_is_sampled_again(clock: FakeClock, taken: Taken) -> None:
    release = threading.Event()
    health = Health()
    calls: list[int] = []

    def hang_once(at: Instant) -> Sequence[Row]:
        calls.append(at.slot_us)
        assert len(calls) > 1 or release.wait(DEADLINE_S)
        return [(1.0,)]

    ticking = schedule(clock, taken, Ticker(name="mount", may_block=True, act=hang_once), health=health)
    for _ in range(2):
        clock.advance(1.0)
        ticking.tick()
    release.set()

    with taken.arrived:
        while not taken.slots("mount"):
            clock.advance(1.0)
            ticking.tick()
            taken.arrived.wait(0.01)
    assert taken.missed()[0][:2] == (1.0, "stale")


def test_open_gaps_are_told_while_they_last(clock: FakeClock, taken: Taken) -> None:
    def fail(at: Instant) -> Sequence[Row]:
        raise OSError("gone")

    ticking = schedule(clock, taken, Ticker(act=fail))
    for _ in range(25):
        clock.advance(1.0)
        ticking.tick()
    assert taken.missed() == [(1.0, "failure", 10), (11.0, "failure", 10)]


def test_a_schedule_that_is_not_served_is_overdue(clock: FakeClock, taken: Taken) -> None:
    ticking = schedule(clock, taken, Ticker())
    assert ticking.overdue_s() == 0.0
    clock.advance(7.6)
    assert ticking.overdue_s() == pytest.approx(7.0)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("advance"), st.floats(0.0, 9.0)),
            st.tuples(st.just("suspend"), st.floats(0.1, 500.0)),
            st.tuples(st.just("step"), st.floats(0.1, 500.0)),
            st.tuples(st.just("fail"), st.just(0.0)),
        ),
        max_size=40,
    )
)
def test_every_slot_is_sampled_once_or_recorded_as_missed_once(events: list[tuple[str, float]]) -> None:
    clock, taken = FakeClock(START), Taken()
    fails = [False]

    def act(at: Instant) -> Sequence[Row]:
        if fails[0]:
            raise OSError("now and then")
        return [(1.0,)]

    ticking = schedule(clock, taken, Ticker(act=act))
    for what, amount in events:
        fails[0] = what == "fail"
        if what == "fail":
            clock.advance(1.0)
        else:
            {"advance": clock.advance, "suspend": clock.suspend, "step": clock.step}[what](amount)
        ticking.tick()
    ticking.close()
    missed = [first + number for first, _, slots in taken.missed() for number in range(int(str(slots)))]
    accounted = sorted([*taken.slots(), *missed])
    assert accounted == [float(slot) for slot in range(1, len(accounted) + 1)]
