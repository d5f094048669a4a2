"""What agents say of what they sample is kept, in eras; when the collector did not run is known after it starts again."""

from pathlib import Path

import pytest
from fakes import FakeClock
from watchdesk_collector.attendance import Backlog, Downtime
from watchdesk_collector.clock import to_us
from watchdesk_collector.ops.attendance import AttendanceBook, Sampler
from watchdesk_collector.ops.database import open_ops

HOST = 1
SECOND = 1_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def book(folder: Path, clock: FakeClock) -> AttendanceBook:
    return AttendanceBook(open_ops(folder / "ops.db"), clock)


def sampler(measurement: str = "cpu", *, interval: int = 1, since: int = 0) -> Sampler:
    return Sampler(measurement=measurement, interval_us=interval * SECOND, since_us=since * SECOND)


def eras(of: AttendanceBook) -> list[tuple[str, int, int, int | None, bool]]:
    """Measurement, interval, since, until, whether it is proven."""
    return [
        (one.measurement, one.interval_us // SECOND, one.since_us // SECOND, one.until_us and one.until_us // SECOND, one.is_proven)
        for one in sorted(of.read().cadences, key=lambda one: (one.measurement, one.since_us))
    ]


def test_a_host_that_says_the_same_again_goes_on_as_before(tmp_path: Path, clock: FakeClock) -> None:
    attendance = book(tmp_path, clock)
    attendance.introduce(HOST, [sampler(since=100)], ())
    attendance.prove(HOST, "cpu")
    attendance.introduce(HOST, [sampler(since=200)], ())
    assert eras(attendance) == [("cpu", 1, 100, None, True)]


def test_what_a_host_has_never_told_is_expected_from_its_newest_start_on(tmp_path: Path, clock: FakeClock) -> None:
    attendance = book(tmp_path, clock)
    for since in (100, 200):
        attendance.introduce(HOST, [sampler(since=since)], ())
    assert eras(attendance) == [("cpu", 1, 200, None, False)]


def test_another_interval_begins_another_era(tmp_path: Path, clock: FakeClock) -> None:
    attendance = book(tmp_path, clock)
    attendance.introduce(HOST, [sampler(since=100)], ())
    attendance.prove(HOST, "cpu")
    attendance.introduce(HOST, [sampler(interval=5, since=200)], ())
    assert eras(attendance) == [("cpu", 1, 100, 200, True), ("cpu", 5, 200, None, True)]


def test_what_a_host_no_longer_samples_is_no_longer_expected(tmp_path: Path, clock: FakeClock) -> None:
    attendance = book(tmp_path, clock)
    attendance.introduce(HOST, [sampler(), sampler("disk")], ())
    attendance.introduce(HOST, [sampler()], ())
    assert eras(attendance) == [("cpu", 1, 0, None, False), ("disk", 1, 0, to_us(clock.now()) // SECOND, False)]


def test_a_measurement_that_nobody_samples_is_proven_in_vain(tmp_path: Path, clock: FakeClock) -> None:
    attendance = book(tmp_path, clock)
    attendance.prove(HOST, "probe")
    assert eras(attendance) == []


def test_what_is_known_outlives_the_collector(tmp_path: Path, clock: FakeClock) -> None:
    first = book(tmp_path, clock)
    first.begin()
    first.introduce(HOST, [sampler(since=100)], ())
    first.introduce(HOST, [sampler(interval=5, since=200)], ())
    first.prove(HOST, "cpu")
    first.note_alive()
    assert eras(book(tmp_path, clock)) == eras(first) == [("cpu", 1, 100, 200, False), ("cpu", 5, 200, None, True)]


def test_the_newest_word_on_a_backlog_counts(tmp_path: Path, clock: FakeClock) -> None:
    attendance = book(tmp_path, clock)
    backlog = Backlog(host_id=HOST, epoch=7, first=1, last=9, since_us=0, until_us=90)
    attendance.introduce(HOST, [], [backlog])
    assert attendance.read().backlogs == [backlog]
    attendance.introduce(HOST, [], [])
    assert attendance.read().backlogs == []


def test_the_collector_was_down_from_when_it_was_last_alive_to_its_next_start(tmp_path: Path, clock: FakeClock) -> None:
    began_us = to_us(clock.now())
    first = book(tmp_path, clock)
    first.begin()
    clock.advance(60)
    first.note_alive()
    for _ in range(2):
        clock.advance(40)
        again = book(tmp_path, clock)
        again.begin()
    assert again.read().downtimes == [
        Downtime(since_us=began_us + 60 * SECOND, until_us=began_us + 100 * SECOND),
        Downtime(since_us=began_us + 100 * SECOND, until_us=began_us + 140 * SECOND),
    ]


def test_a_backlog_shrinks_with_what_has_arrived_of_it() -> None:
    backlog = Backlog(host_id=HOST, epoch=7, first=11, last=20, since_us=1000, until_us=2000)
    assert backlog.after(11) == backlog
    assert (backlog.after(16).first, backlog.after(16).since_us) == (16, 1500)
