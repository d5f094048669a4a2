"""Every slot is accounted for: in a batch, or as a stretch that no batch will bring, with its cause, told once."""

from collections.abc import Iterable

import pytest
from agent.spool.conftest import OpenSpool
from fakes import FakeClock
from watchdesk_agent.clock import to_us
from watchdesk_agent.model import Cause
from watchdesk_agent.schedule import Cadence, Stretch, join
from watchdesk_agent.spool import Spool

SECOND = 1_000_000
START_US = to_us(FakeClock().now())  # on the minute
Lost = tuple[str, str, int, int]  # sampler, cause, first slot in seconds since the start, slots


def sampled(first: int, slots: int, *, sampler: str = "cpu", interval: int = 1) -> Stretch:
    return Stretch(sampler=sampler, first_us=START_US + first * SECOND, slots=slots, interval_us=interval * SECOND)


def missed(first: int, slots: int, cause: Cause) -> Stretch:
    return Stretch(sampler="cpu", first_us=START_US + first * SECOND, slots=slots, interval_us=SECOND, cause=cause)


def cadence(first: int, *, sampler: str = "cpu", interval: int = 1) -> Cadence:
    return Cadence(sampler=sampler, interval_us=interval * SECOND, first_us=START_US + first * SECOND)


def begin(spool: Spool, *cadences: Cadence, boot_id: str = "a", booted: int = -1_000_000) -> None:
    spool.begin(cadences, boot_id=boot_id, booted_us=START_US + booted * SECOND)


def append(spool: Spool, *stretches: Stretch, payload: bytes = b"x") -> bool:
    return spool.append([payload], declarations={}, positions={}, contents=[stretches])


def lost(spool: Spool) -> list[Lost]:
    return [summary(one) for one in join(spool.take_lost())]


def summary(stretch: Stretch) -> Lost:
    assert stretch.cause is not None
    return stretch.sampler, stretch.cause.value, (stretch.first_us - START_US) // SECOND, stretch.slots


@pytest.fixture(autouse=True)
def _later(clock: FakeClock) -> None:
    clock.advance(3600)  # what the tests lose is not in the future


def test_the_first_start_has_missed_nothing(open_spool: OpenSpool) -> None:
    spool = open_spool()
    begin(spool, cadence(0))
    assert lost(spool) == []


def test_what_nobody_sampled_between_two_runs_of_the_agent_is_agent_down(open_spool: OpenSpool) -> None:
    first = open_spool()
    begin(first, cadence(0), cadence(0, sampler="disk", interval=10))
    append(first, sampled(0, 5), sampled(0, 1, sampler="disk", interval=10))
    first.close()
    second = open_spool()
    begin(second, cadence(14), cadence(20, sampler="disk", interval=10))
    assert lost(second) == [("cpu", "agent_down", 5, 9), ("disk", "agent_down", 10, 1)]


def test_after_a_reboot_the_host_was_down_until_it_was_booted_and_the_agent_from_then_on(open_spool: OpenSpool) -> None:
    first = open_spool()
    begin(first, cadence(0))
    append(first, sampled(0, 5))
    first.close()
    second = open_spool()
    begin(second, cadence(300), boot_id="b", booted=240)
    assert lost(second) == [("cpu", "host_down", 5, 235), ("cpu", "agent_down", 240, 60)]


def test_a_boot_time_that_contradicts_the_samples_is_not_believed(open_spool: OpenSpool) -> None:
    first = open_spool()
    begin(first, cadence(0))
    append(first, sampled(0, 5))
    first.close()
    second = open_spool()
    begin(second, cadence(300), boot_id="b", booted=2)
    assert lost(second) == [("cpu", "host_down", 5, 295)]


def test_a_start_that_spooled_nothing_neither_hides_nor_doubles_what_was_missed(open_spool: OpenSpool) -> None:
    first = open_spool()
    begin(first, cadence(0))
    append(first, sampled(0, 5))
    first.close()
    for at in (10, 20, 30):
        spool = open_spool()
        begin(spool, cadence(at))
        spool.close()
    assert lost(open_spool()) == [("cpu", "agent_down", 5, 25)]


def test_a_sampler_that_has_never_told_anything_misses_nothing(open_spool: OpenSpool) -> None:
    first = open_spool()
    begin(first, cadence(0), cadence(0, sampler="pressure"))
    append(first, sampled(0, 5))
    first.close()
    second = open_spool()
    begin(second, cadence(10), cadence(10, sampler="pressure"))
    assert [sampler for sampler, *_ in lost(second)] == ["cpu"]


def test_a_new_interval_counts_from_the_slot_after_the_last_one(open_spool: OpenSpool) -> None:
    first = open_spool()
    begin(first, cadence(0))
    append(first, sampled(0, 5))
    first.close()
    second = open_spool()
    begin(second, cadence(30, interval=10))
    assert lost(second) == [("cpu", "agent_down", 10, 2)]
    assert [(one.interval_us // SECOND, (one.since_us - START_US) // SECOND) for one in second.covered()] == [(10, 10)]


def test_a_clock_that_stood_at_1970_makes_no_gap_of_half_a_century(open_spool: OpenSpool) -> None:
    first = open_spool()
    first.begin([Cadence(sampler="cpu", interval_us=SECOND, first_us=0)], boot_id="a", booted_us=0)
    append(first, Stretch(sampler="cpu", first_us=0, slots=5, interval_us=SECOND))
    first.close()
    second = open_spool()
    begin(second, cadence(0))
    assert lost(second) == []


def test_what_is_told_is_forgotten_with_the_batch_that_tells_it(open_spool: OpenSpool) -> None:
    first = open_spool()
    begin(first, cadence(0))
    append(first, sampled(0, 5))
    first.close()
    spool = open_spool()
    begin(spool, cadence(10))
    append(spool, *spool.take_lost())
    assert lost(spool) == []


def test_stretches_that_end_together_join_to_the_longer_one() -> None:
    """As when a clock was set back and slots were taken again."""
    longer, shorter = missed(0, 3, Cause.SPOOL_OVERFLOW), missed(1, 2, Cause.SPOOL_OVERFLOW)
    assert join([longer, shorter]) == join([shorter, longer]) == [longer]


def test_a_loss_told_after_newer_samples_does_not_make_them_missed(open_spool: OpenSpool) -> None:
    first = open_spool()
    begin(first, cadence(0))
    append(first, sampled(0, 3))
    append(first, sampled(5, 1))
    append(first, missed(3, 2, Cause.SPOOL_OVERFLOW))
    first.close()
    second = open_spool()
    begin(second, cadence(8))
    assert lost(second) == [("cpu", "agent_down", 6, 2)]


def test_slots_of_batches_that_the_bound_dropped_are_lost_to_it_and_join_to_one_stretch(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=30)
    begin(spool, cadence(0))
    for first in range(0, 60, 10):
        append(spool, sampled(first, 10), payload=b"0" * 10)
    assert lost(spool) == [("cpu", "spool_overflow", 0, 30)]


def test_what_a_dropped_batch_told_as_missed_keeps_its_cause(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=10)
    begin(spool, cadence(0))
    append(spool, sampled(0, 4), missed(4, 6, Cause.OVERLOAD), payload=b"0" * 10)
    append(spool, sampled(10, 10), payload=b"1" * 10)
    assert lost(spool) == [("cpu", "spool_overflow", 0, 4), ("cpu", "overload", 4, 6)]


def test_a_dropped_batch_that_turns_out_to_have_been_stored_has_lost_nothing(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=20)
    begin(spool, cadence(0))
    append(spool, sampled(0, 10), payload=b"0" * 10)
    append(spool, sampled(10, 10), payload=b"1" * 10)
    spool.watch({(1, 1), (1, 2)})
    append(spool, sampled(20, 10), payload=b"2" * 10)
    append(spool, sampled(30, 10), payload=b"3" * 10)
    assert lost(spool) == []
    spool.reconcile({1: [(1, 1)]})
    assert lost(spool) == [("cpu", "spool_overflow", 10, 10)]


def test_a_batch_that_is_dropped_on_its_way_is_lost_or_not_as_the_collector_answers(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=20)
    begin(spool, cadence(0))
    append(spool, sampled(0, 10), payload=b"0" * 10)
    append(spool, sampled(10, 10), payload=b"1" * 10)
    spool.watch({(1, 1), (1, 2)})
    append(spool, sampled(20, 10), payload=b"2" * 20)
    assert [(hole.first, hole.last) for hole in spool.holes()] == [(1, 2)]
    spool.finish({1: [(1, 1)]})
    assert lost(spool) == []
    spool.reject(1, 2, "too far ahead")
    assert lost(spool) == [("cpu", "rejected", 10, 10)]


def test_what_an_earlier_run_may_have_sent_is_lost_only_once_the_collector_says_so(open_spool: OpenSpool) -> None:
    first = open_spool(max_bytes=20)
    begin(first, cadence(0))
    append(first, sampled(0, 10), payload=b"0" * 10)
    first.close()
    second = open_spool(max_bytes=20)
    append(second, sampled(10, 10), payload=b"1" * 20)
    assert lost(second) == []
    second.reconcile({1: [(1, 1)]})
    assert lost(second) == []


def test_a_rejected_batch_has_lost_its_slots_once_however_often_it_is_rejected(open_spool: OpenSpool) -> None:
    spool = open_spool()
    begin(spool, cadence(0))
    append(spool, sampled(0, 10))
    for _ in range(2):
        spool.reject(1, 1, "too far ahead")
        spool.reconcile({})
    assert [(one.cause, one.reason) for one in spool.take_lost()] == [(Cause.REJECTED, "too far ahead")]
    assert lost(spool) == [("cpu", "rejected", 0, 10)]


def test_a_batch_that_is_too_large_has_lost_its_slots(open_spool: OpenSpool) -> None:
    spool = open_spool()
    begin(spool, cadence(0))
    append(spool, sampled(0, 10))
    spooled = spool.next_unsent(after=0)
    assert spooled is not None
    spool.give_up(spooled)
    assert lost(spool) == [("cpu", "rejected", 0, 10)]


def test_what_is_dated_ahead_is_told_when_its_time_has_come(open_spool: OpenSpool, clock: FakeClock) -> None:
    spool = open_spool()
    begin(spool, cadence(0))
    append(spool, sampled(7200, 10))
    spool.reject(1, 1, "too far ahead")
    assert lost(spool) == []
    clock.advance(3610)
    assert lost(spool) == [("cpu", "rejected", 7200, 10)]


def test_a_loss_that_comes_while_another_is_being_told_is_kept_for_the_next_batch(open_spool: OpenSpool) -> None:
    spool = open_spool()
    begin(spool, cadence(0))
    append(spool, sampled(0, 10))
    append(spool, sampled(10, 10))
    spool.reject(1, 1, "")
    told = spool.take_lost()
    spool.reject(1, 2, "")
    append(spool, *told)
    assert told_slots(told) == [(0, 10)]
    assert lost(spool) == [("cpu", "rejected", 10, 10)]


def told_slots(stretches: Iterable[Stretch]) -> list[tuple[int, int]]:
    return [((one.first_us - START_US) // SECOND, one.slots) for one in stretches]
