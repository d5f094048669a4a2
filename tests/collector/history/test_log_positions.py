"""Log positions are in history exactly as long as the lines before them, and come back for each host.

That they survive a kill at each step of sealing and a damaged write-ahead log as the rows do is held beside those, in `test_crash` and `damage_kit`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from collector.history.damage_kit import copy_as_if_killed
from collector.history.kit import EPOCH, HOST, START, batch, history_at, host, log_positions, parquet_files
from fakes import FakeClock
from watchdesk_collector.history import History, UnknownMeasurement
from watchdesk_collector.history.positions import MAX_BYTES
from watchdesk_collector.model import Arrival
from watchdesk_proto.catalogue import Measurement, gauge

OTHER = 12


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def history(tmp_path: Path, clock: FakeClock) -> Iterator[History]:
    history = history_at(tmp_path / "history", clock=clock, hosts=(host(), host(OTHER, "web2")))
    yield history
    history.close()


def with_lines(seq: int, positions: Mapping[str, str], *, host_id: int = HOST) -> Arrival:
    return replace(batch(seq, host_id=host_id), log_positions=positions)


def test_the_newest_position_of_each_log_comes_back_with_the_newest_batch_that_had_any(history: History) -> None:
    history.commit([with_lines(1, {"app": "1", "web": "1"}), with_lines(2, {"app": "2"}), with_lines(3, {})], [])
    positions = history.log_positions(HOST)
    assert positions is not None
    assert (positions.epoch, positions.seq, dict(positions.values)) == (EPOCH, 2, {"app": "2", "web": "1"})
    assert history.log_positions(OTHER) is None


def test_hosts_do_not_share_positions(history: History) -> None:
    history.commit([with_lines(1, {"app": "1"}), with_lines(1, {"app": "7"}, host_id=OTHER)], [])
    history.seal()
    history.reopen()
    assert (log_positions(history, HOST), log_positions(history, OTHER)) == ({"app": "1"}, {"app": "7"})


def test_an_empty_position_is_forgotten_also_across_sealing_and_a_restart(history: History) -> None:
    history.commit([with_lines(1, {"app": "1", "gone": "1"})], [])
    history.rotate()
    history.commit([with_lines(2, {"gone": ""})], [])
    history.reopen()
    assert log_positions(history) == {"app": "1"}
    history.seal()
    history.seal()
    history.reopen()
    assert log_positions(history) == {"app": "1"}


def test_positions_survive_while_one_generation_is_sealed_and_the_next_is_written(history: History) -> None:
    """What is sealed is written anew with all that is known by then; what is still hot is read over it after a restart, and ends the same."""
    history.commit([with_lines(1, {"app": "1", "web": "1"})], [])
    history.rotate()
    change = history.export()
    history.commit([with_lines(2, {"app": "2"})], [])
    history.commit([with_lines(3, {"app": "3"})], [])
    assert change is not None
    assert history.apply(change)
    history.reopen()
    positions = history.log_positions(HOST)
    assert positions is not None
    assert (positions.seq, dict(positions.values)) == (3, {"app": "3", "web": "1"})


def test_a_database_from_before_there_were_positions_keeps_them_from_now_on(history: History, tmp_path: Path) -> None:
    history.commit([with_lines(1, {})], [])
    for table in ("log_position", "log_position__g1"):
        history._store.instance.writer.execute(f"DROP TABLE {table}")
    history.checkpoint()
    copy_as_if_killed(tmp_path / "history", tmp_path / "older")
    older = history_at(tmp_path / "older")
    older.commit([with_lines(2, {"app": "2"})], [])
    older.seal()
    older.reopen()
    assert log_positions(older) == {"app": "2"}
    older.close()


def test_positions_are_no_measurement_that_anybody_could_query_or_declare(history: History, tmp_path: Path) -> None:
    history.commit([with_lines(1, {"app": "1"})], [])
    history.seal()
    assert "log_position" not in {measurement.name for measurement in history.catalogue()}
    assert not [path for path in parquet_files(tmp_path / "history") if "log_position" in str(path)]
    with pytest.raises(UnknownMeasurement):
        history.query("SELECT * FROM log_position", tables=["log_position"])
    assert "another meaning" in (history.declare(Measurement(name="log_position", help="Mine.", columns=(gauge("value", "A number."),))) or "")


def test_positions_of_a_host_are_bounded_and_those_that_have_not_changed_for_longest_go(history: History) -> None:
    long = "x" * (MAX_BYTES // 4)
    for seq, source in enumerate("abcda", start=1):
        history.commit([with_lines(seq, {source: long})], [])
    assert sorted(log_positions(history)) == ["a", "c", "d"]


def test_positions_are_forgotten_when_the_lines_before_them_have_left_history(history: History, clock: FakeClock) -> None:
    history.commit([with_lines(1, {"app": "1"})], [])
    clock.advance(91 * 86400)
    history.commit([with_lines(2, {"app": "7"}, host_id=OTHER)], [])
    history.seal()
    assert log_positions(history, HOST) == {}
