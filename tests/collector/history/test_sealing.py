"""From hot tables to files, from files to fewer files, and out: every row once at each moment."""

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
from collector.history.kit import EPOCH, HOST, START, batch, batch_seqs, cpu, disk, history_at, hole, parquet_files, ranges, stored_seqs
from fakes import FakeClock
from watchdesk_collector.clock import from_us, to_us
from watchdesk_collector.history import History, ParquetFile
from watchdesk_collector.history.merging import DAILY, HOURLY, LARGE_BYTES, choose
from watchdesk_collector.model import Table

AT = to_us(START)
DAY_US = 86_400_000_000


def commit_at(history: History, seq: int, ts_us: int) -> None:
    history.commit([batch(seq, tables=[cpu([ts_us], [0.5], [seq])])], [])


def test_sealed_rows_are_in_one_file_per_measurement_and_day_sorted_by_host_and_time(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    for seq, host_id, offset in ((1, 12, 5), (1, 11, 5), (2, 11, 3), (2, 12, DAY_US)):
        history.commit([batch(seq, host_id=host_id, tables=[cpu([AT + offset], [0.5], [seq])])], [])
    history.seal()
    names = [str(path.relative_to(tmp_path / "parquet")) for path in parquet_files(tmp_path)]
    assert names == ["batch/2026-01-01/1.parquet", "cpu/2026-01-01/1.parquet", "cpu/2026-01-02/1.parquet"]  # disk has no rows and no file
    rows = pq.read_table(tmp_path / "parquet" / "cpu" / "2026-01-01" / "1.parquet").to_pylist()
    assert [(row["host_id"], to_us(row["ts"])) for row in rows] == [(11, AT + 3), (11, AT + 5), (12, AT + 5)]
    history.close()


def test_rows_older_than_retention_share_one_file(tmp_path: Path) -> None:
    history = history_at(tmp_path, max_age=10 * 86400.0)
    days = [-4000, -900, -11, -10, -9]
    history.commit([batch(1, tables=[cpu([AT + day * DAY_US for day in days], [0.5] * 5, [1, 2, 3, 4, 5])])], [])
    history.seal()
    assert [path.parent.name for path in parquet_files(tmp_path) if path.parent.parent.name == "cpu"] == ["2025-12-22", "2025-12-23"]
    assert stored_seqs(history) == [1, 2, 3, 4, 5]
    history.close()


def test_sealing_keeps_ranges_batches_and_rows_through_a_restart(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    history.commit([batch(1), batch(2)], [hole(4, 6)])
    history.seal()
    history.commit([batch(8)], [])
    for _ in range(2):
        assert stored_seqs(history) == [1, 2, 8]
        assert batch_seqs(history) == [1, 2, 4, 5, 6, 8]
        assert ranges(history.durable(HOST)) == {EPOCH: [(1, 2), (4, 6), (8, 8)]}
        history.reopen()
    history.close()


def test_commits_go_on_between_rotation_and_the_end_of_sealing(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    history.commit([batch(1)], [])
    history.rotate()
    history.commit([batch(2)], [])
    change = history.export()
    assert change is not None
    history.commit([batch(3)], [])
    assert stored_seqs(history) == [1, 2, 3]
    assert history.apply(change)
    history.commit([batch(4)], [])
    assert stored_seqs(history) == [1, 2, 3, 4]
    assert history.export() is None
    assert [(size.hot_rows, size.sealed_rows, size.files) for size in history.sizes() if size.measurement == "cpu"] == [(3, 1, 1)]
    history.close()


def test_a_change_is_applied_once(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    history.commit([batch(1)], [])
    history.rotate()
    change = history.export()
    assert change is not None
    assert history.apply(change)
    assert not history.apply(change)
    assert stored_seqs(history) == [1]
    history.close()


def test_a_change_from_before_a_reopening_is_refused_and_can_be_made_again(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    history.commit([batch(1)], [])
    history.rotate()
    change = history.export()
    assert change is not None
    assert history.reopen().orphans_removed == 2
    assert not history.apply(change)
    assert stored_seqs(history) == [1]
    history.seal()
    assert stored_seqs(history) == [1]
    assert len(parquet_files(tmp_path)) == 2
    history.close()


def test_merging_makes_one_file_and_the_old_ones_stay_for_five_minutes_and_a_checkpoint(tmp_path: Path) -> None:
    clock = FakeClock(START)
    history = history_at(tmp_path, clock=clock)
    for seq in range(1, 5):
        history.commit([batch(seq)], [])
        history.seal()
    assert history.compact() == 0  # nothing has waited for an hour yet
    clock.advance(3600)
    assert history.compact() == 8
    assert [size.files for size in history.sizes() if size.measurement == "cpu"] == [1]
    assert len(parquet_files(tmp_path)) == 10
    clock.advance(299)
    history.checkpoint()
    assert len(parquet_files(tmp_path)) == 10
    clock.advance(1)
    history.checkpoint()
    assert len(parquet_files(tmp_path)) == 2
    assert (stored_seqs(history), batch_seqs(history)) == ([1, 2, 3, 4], [1, 2, 3, 4])
    history.close()


def test_late_rows_of_a_day_that_is_over_are_merged_with_it_a_day_later(tmp_path: Path) -> None:
    clock = FakeClock(START)
    history = history_at(tmp_path, clock=clock)
    commit_at(history, 1, AT)
    history.seal()
    clock.advance(86400)
    commit_at(history, 2, AT + 1)
    history.seal()
    history.compact()
    assert [size.files for size in history.sizes() if size.measurement == "cpu"] == [1]
    commit_at(history, 3, AT + 2)
    history.seal()
    clock.advance(3600)
    history.compact()
    assert [size.files for size in history.sizes() if size.measurement == "cpu"] == [2]
    clock.advance(86400)
    history.compact()
    assert [size.files for size in history.sizes() if size.measurement == "cpu"] == [1]
    assert stored_seqs(history) == [1, 2, 3]
    history.close()


def test_a_merge_whose_sources_were_retired_meanwhile_is_undone(tmp_path: Path) -> None:
    clock = FakeClock(START)
    history = history_at(tmp_path, clock=clock, max_age=7200.0)
    for seq in (1, 2):
        history.commit([batch(seq)], [])
        history.seal()
    clock.advance(7300)
    change = history.merge()
    assert change is not None
    assert len(history.retain()) == 4
    assert not history.apply(change)
    assert stored_seqs(history) == []
    assert not any((tmp_path / file.path).exists() for file in change.added)
    history.close()


def test_retention_by_age_takes_whole_files_whose_newest_row_is_too_old(tmp_path: Path) -> None:
    clock = FakeClock(START)
    history = history_at(tmp_path, clock=clock, max_age=86400.0)
    commit_at(history, 1, AT)
    history.seal()
    commit_at(history, 2, AT + DAY_US // 2)
    history.seal()
    assert history.retain() == []
    clock.advance(86402)
    removed = history.retain()
    assert {(one.file.measurement, one.file.rows, one.reason) for one in removed} == {("cpu", 1, "max_age"), ("batch", 1, "max_age")}
    assert stored_seqs(history) == [2]
    history.close()


def test_retention_by_size_takes_the_oldest_until_the_rest_fits(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    for seq in range(1, 5):
        commit_at(history, seq, AT + seq * DAY_US)
        history.seal()
    history.close()
    sealed = sum(path.stat().st_size for path in parquet_files(tmp_path))
    hot = sum(path.stat().st_size for path in tmp_path.glob("hot.duckdb*"))
    history = history_at(tmp_path, max_bytes=hot + sealed - 1)
    removed = history.retain()
    assert [one.reason for one in removed] == ["max_bytes"]
    assert history.retain() == []
    assert len(history.query("SELECT cores FROM cpu", tables=["cpu"])) + len(history.query("SELECT seq FROM batch", tables=["batch"])) == 7
    history.close()


def test_an_epoch_is_forgotten_once_its_rows_are_out_of_history(tmp_path: Path) -> None:
    clock = FakeClock(START)
    history = history_at(tmp_path, clock=clock, max_age=86400.0)
    history.commit([batch(1, epoch=1)], [])
    history.seal()
    clock.advance(2 * 86400)
    history.commit([batch(1, epoch=2, at=clock.now())], [])
    history.seal()
    assert ranges(history.durable(HOST)) == {2: [(1, 1)]}
    history.reopen()
    assert ranges(history.durable(HOST)) == {2: [(1, 1)]}
    history.close()


def test_texts_with_every_kind_of_sign_survive_sealing(tmp_path: Path) -> None:
    texts = ["", "ü€😀", "a\x00b", "line\nline", "'quoted\"", "\\", " "]
    history = history_at(tmp_path)
    rows = range(len(texts))
    table: Table = disk([AT + row for row in rows], list(rows), list(rows), [-1] * len(texts), texts)
    history.commit([batch(1, tables=[table])], [])
    for _ in range(2):
        assert history.query("SELECT mount FROM disk ORDER BY ts", tables=["disk"])["mount"].to_pylist() == texts
        history.seal()
    history.close()


def a_file(generation: int, *, level: int = 0, day_offset: int = 0, size: int = 1000, age: timedelta = timedelta(0)) -> ParquetFile:
    day = START + timedelta(days=day_offset)
    return ParquetFile(
        path=Path(f"{day:%F}/{generation}.parquet"),
        measurement="cpu",
        day=day.date(),
        generation=generation,
        level=level,
        columns=2,
        rows=1,
        bytes=size,
        first_ts=from_us(AT),
        last_ts=from_us(AT),
        created_at=START - age,
    )


def test_what_is_merged_is_one_days_small_files_that_have_waited() -> None:
    hours = timedelta(hours=1)
    fresh, waited, other = a_file(1), a_file(2, age=hours), a_file(3, age=hours, day_offset=-1)
    assert choose([fresh, other], START) is None
    choice = choose([fresh, waited, other], START)
    assert choice is not None
    assert (choice.level, {file.generation for file in choice.files}) == (HOURLY, {1, 2})
    yesterday = [a_file(4, level=2, day_offset=-1), a_file(5, age=24 * hours, day_offset=-1)]
    choice = choose(yesterday, START)
    assert choice is not None
    assert (choice.level, len(choice.files)) == (DAILY, 2)
    assert choose([a_file(6, age=hours, size=LARGE_BYTES), waited], START) is None


def test_merging_ends_even_when_files_add_up_to_more_than_a_large_one() -> None:
    files = [a_file(number, age=timedelta(hours=1), size=LARGE_BYTES * 3 // 4) for number in range(1, 6)]
    choice = choose(files, START)
    assert choice is not None
    assert len(choice.files) == 2
