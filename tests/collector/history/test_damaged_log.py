"""A write-ahead log that was cut or changed: history always opens, and what it then says is durable is what it holds."""

import logging
import operator
import random
from pathlib import Path

import duckdb
import pytest
from collector.history.damage_kit import CHECKPOINTED, COMMITTED, LOG, Crashed, Outcome, change, check, flip, kept
from collector.history.kit import START, batch, batch_seqs, config, history_at, host, log_records, stored_seqs
from fakes import FakeClock
from watchdesk_collector.history import History, set_aside
from watchdesk_collector.history.instance import STORAGE_VERSION
from watchdesk_collector.metrics import Metrics


def test_an_undamaged_log_is_replayed_whole(crashed: Crashed, tmp_path: Path) -> None:
    folder = crashed.copy(tmp_path / "history")
    assert check(folder) == Outcome(set(range(1, COMMITTED + 1)), [])
    assert not (folder / "set-aside").exists()


@pytest.mark.parametrize("part", [0.0, 0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 0.9999])
def test_a_log_that_was_cut_anywhere_opens(crashed: Crashed, tmp_path: Path, part: float) -> None:
    folder = crashed.copy(tmp_path / "history")
    data = change(folder, lambda data: data[: int(len(data) * part)])
    outcome = check(folder)
    assert outcome.there == set(range(1, max(outcome.there) + 1))  # whatever is lost is lost from the end
    assert all(one.is_torn for one in outcome.unreplayed)
    assert all(data.endswith(end) for end in kept(folder))


@pytest.mark.parametrize("seed", range(16))
def test_a_log_with_a_flipped_bit_opens_with_what_was_before_it(crashed: Crashed, tmp_path: Path, seed: int) -> None:
    folder = crashed.copy(tmp_path / "history")
    place = random.Random(seed).randrange((folder / LOG).stat().st_size)
    data = change(folder, lambda data: flip(data, place, seed % 8))
    outcome = check(folder)
    assert outcome.there == set(range(1, max(outcome.there) + 1))
    assert [end for end in kept(folder) if data.endswith(end)] == kept(folder) != []


@pytest.mark.parametrize("place", range(16))
def test_a_log_with_a_damaged_header_is_set_aside_whole_and_unchanged(crashed: Crashed, tmp_path: Path, place: int) -> None:
    """Many a flipped bit there makes DuckDB forget the whole log without a word."""
    folder = crashed.copy(tmp_path / "history")
    data = change(folder, lambda data: flip(data, place))
    outcome = check(folder)
    assert (outcome.there, kept(folder)) == (set(range(1, CHECKPOINTED + 1)), [data])
    assert not outcome.unreplayed[0].is_torn


def test_damage_in_the_middle_costs_what_comes_after_and_is_told_apart_from_a_crash(
    crashed: Crashed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = crashed.copy(tmp_path / "history")
    data = change(folder, lambda data: flip(data, len(data) * 3 // 4))
    outcome = check(folder)
    assert set(range(1, 21)) <= outcome.there < set(range(1, COMMITTED + 1))
    (end,) = kept(folder)
    assert data.endswith(end)
    assert len(end) < len(data) / 2
    (record,) = [record for record in caplog.records if "does not replay" in record.message]
    assert "the checksum of the record at byte" in record.message
    assert "agents send again" in record.message
    assert record.levelname == "ERROR"


def test_a_log_that_a_crash_tore_is_no_alarm(crashed: Crashed, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folder = crashed.copy(tmp_path / "history")
    change(folder, lambda data: data[:-3])
    assert check(folder).there == set(range(1, COMMITTED))
    assert [record.levelname for record in caplog.records if "ends within a transaction, as after a crash" in record.message] == ["INFO"]
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_a_log_that_is_garbage_is_set_aside(crashed: Crashed, tmp_path: Path) -> None:
    folder = crashed.copy(tmp_path / "history")
    data = change(folder, lambda data: random.Random(1).randbytes(100_000))
    outcome = check(folder)
    assert (outcome.there, kept(folder)) == (set(range(1, CHECKPOINTED + 1)), [data])


def test_garbage_and_zeros_after_the_last_transaction_cost_nothing(crashed: Crashed, tmp_path: Path) -> None:
    for number, rest in enumerate((b"\0" * 4096, b"\0", random.Random(2).randbytes(5000), b"\xff" * 16)):
        folder = crashed.copy(tmp_path / str(number))
        change(folder, operator.methodcaller("__add__", rest))
        assert (check(folder).there, kept(folder)) == (set(range(1, COMMITTED + 1)), [rest])


def test_a_tail_that_is_there_twice_is_replayed_once(crashed: Crashed, tmp_path: Path) -> None:
    """Records are whole and their checksums right: DuckDB would store the rows again."""
    data = (crashed.folder / LOG).read_bytes()
    starts = [record.start for record in log_records(data)]
    for number, start in enumerate(starts[-30:-1]):
        folder = crashed.copy(tmp_path / str(number))
        change(folder, operator.methodcaller("__add__", data[start:]))
        outcome = check(folder)
        assert outcome.there == set(range(1, COMMITTED + 1))
        assert [one.because for one in outcome.unreplayed] == ["a transaction is there twice"]


def test_an_empty_log_and_a_missing_one_hold_nothing_and_are_nothing_to_tell(crashed: Crashed, tmp_path: Path) -> None:
    folder = crashed.copy(tmp_path / "empty")
    change(folder, lambda data: b"")
    assert check(folder) == Outcome(set(range(1, CHECKPOINTED + 1)), [])
    folder = crashed.copy(tmp_path / "missing")
    (folder / LOG).unlink()
    assert check(folder) == Outcome(set(range(1, CHECKPOINTED + 1)), [])


def test_the_log_of_another_database_is_set_aside(crashed: Crashed, tmp_path: Path) -> None:
    other = history_at(tmp_path / "other")
    other.commit([batch(1)], [])
    folder = crashed.copy(tmp_path / "history")
    (folder / LOG).write_bytes((tmp_path / "other" / LOG).read_bytes())
    outcome = check(folder)
    assert outcome.there == set(range(1, CHECKPOINTED + 1))
    assert [one.because for one in outcome.unreplayed if "does not match database file" in one.because]
    other.close()


@pytest.mark.parametrize("checkpoints", [1, 2])
def test_the_log_of_an_earlier_time_is_set_aside(crashed: Crashed, tmp_path: Path, checkpoints: int) -> None:
    folder = crashed.copy(tmp_path / "history")
    old_log = (folder / LOG).read_bytes()
    history = history_at(folder)
    for seq in range(checkpoints):
        history.commit([batch(100 + seq)], [])
        history.checkpoint()
    history.close()
    (folder / LOG).write_bytes(old_log)
    history = History(path=folder, config=config(), catalogue=(), hosts=lambda: [host()], clock=FakeClock(START), metrics=Metrics())
    (unreplayed,) = history.open().unreplayed
    assert "checkpoint iteration does not match" in unreplayed.because
    assert stored_seqs(history) == [*range(1, COMMITTED), *range(100, 100 + checkpoints)]
    history.close()


def fail_checkpoint(folder: Path, moment: str) -> None:
    database = duckdb.connect(str(folder / "hot.duckdb"), config={"storage_compatibility_version": STORAGE_VERSION})
    database.execute(f"SET debug_checkpoint_abort = '{moment}'")
    with pytest.raises(duckdb.FatalException):
        database.execute("CHECKPOINT")
    database.close()


@pytest.mark.parametrize("moment", ["before_header", "before_truncate", "before_wal_finish"])
def test_a_checkpoint_that_failed_twice_is_no_damage(crashed: Crashed, tmp_path: Path, moment: str) -> None:
    """Both may leave the very same mark in the log."""
    folder = crashed.copy(tmp_path / "history")
    for abort in ("before_header", moment):
        fail_checkpoint(folder, abort)
    assert check(folder) == Outcome(set(range(1, COMMITTED + 1)), [])


@pytest.mark.parametrize(("lost", "there"), [(0, {50}), (1, set()), (10**6, set())])
def test_what_was_committed_while_a_checkpoint_ran_is_in_a_second_log(crashed: Crashed, tmp_path: Path, lost: int, there: set[int]) -> None:
    folder = crashed.copy(tmp_path / "history")
    fail_checkpoint(folder, "before_header")
    history = history_at(crashed.copy(tmp_path / "later"))  # once opened, it is checkpointed
    history.commit([batch(50)], [])
    data = (tmp_path / "later" / LOG).read_bytes()
    history.close()
    (folder / f"{LOG}.checkpoint").write_bytes(data[: max(5, len(data) - lost)])
    history = History(path=folder, config=config(), catalogue=(), hosts=lambda: [host()], clock=FakeClock(START), metrics=Metrics())
    recovery = history.open()
    assert set(batch_seqs(history)) == set(range(1, COMMITTED + 1)) | there
    assert [one.log.name for one in recovery.unreplayed] == ([f"{LOG}.checkpoint"] if lost else [])
    history.close()


def test_a_second_log_without_its_first_is_set_aside(crashed: Crashed, tmp_path: Path) -> None:
    """DuckDB would leave it, and take it for the continuation of another log after a later crash."""
    folder = crashed.copy(tmp_path / "history")
    (folder / LOG).rename(folder / f"{LOG}.checkpoint")
    outcome = check(folder)
    assert [one.because for one in outcome.unreplayed] == ["the log that it continues is missing or damaged"]
    assert outcome.there == set(range(1, CHECKPOINTED + 1))


def test_a_log_without_its_database_is_kept(crashed: Crashed, tmp_path: Path) -> None:
    folder = tmp_path / "history"
    folder.mkdir()
    data = (crashed.folder / LOG).read_bytes()
    (folder / LOG).write_bytes(data)
    history = history_at(folder)
    assert (stored_seqs(history), kept(folder)) == ([], [data])
    history.close()


def test_old_parts_of_logs_make_room_and_parquet_files_stay(tmp_path: Path) -> None:
    aside = tmp_path / "set-aside"
    for day in range(1, 31):
        (aside / f"202601{day:02}T000000.000000Z").mkdir(parents=True)
        (aside / f"202601{day:02}T000000.000000Z" / LOG).write_bytes(b"x" * 10)
    parquet = aside / "20260101T000000.000000Z" / "parquet"
    parquet.mkdir()
    set_aside.forget_old(tmp_path)
    assert sorted(path.parent.name[6:8] for path in aside.glob(f"*/{LOG}")) == [f"{day:02}" for day in range(11, 31)]
    assert [path.parent.name[6:8] for path in aside.glob("*/parquet")] == ["01"]
    assert len(list(aside.iterdir())) == 21


def test_one_large_part_of_a_log_is_kept_until_the_next(tmp_path: Path) -> None:
    for day, size in (("01", 10), ("02", 300 << 20)):
        folder = tmp_path / "set-aside" / f"202601{day}T000000.000000Z"
        folder.mkdir(parents=True)
        with (folder / LOG).open("wb") as file:
            file.truncate(size)
    set_aside.forget_old(tmp_path)
    assert [path.name for path in (tmp_path / "set-aside").iterdir()] == ["20260102T000000.000000Z"]
