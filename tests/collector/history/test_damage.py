"""A database that is damaged, missing or in use: history says so, and throws nothing away."""

import subprocess
import sys
from pathlib import Path

import pytest
from collector.history.damage_kit import LOG, Crashed
from collector.history.kit import START, config, parquet_files
from fakes import FakeClock
from watchdesk_collector.history import History, HistoryLocked, HistoryUnusable
from watchdesk_collector.metrics import Metrics


def test_a_damaged_database_is_said_to_be_unusable_and_nothing_is_moved(crashed: Crashed, tmp_path: Path) -> None:
    folder = crashed.copy(tmp_path / "history")
    database = folder / "hot.duckdb"
    database.write_bytes(b"\0" * database.stat().st_size)
    before = sorted(path.name for path in folder.iterdir())
    history = History(path=folder, config=config(), catalogue=(), hosts=list, clock=FakeClock(START), metrics=Metrics())
    with pytest.raises(HistoryUnusable, match="restore a backup"):
        history.open()
    assert sorted(path.name for path in folder.iterdir() if path.name != "set-aside") == before
    assert len(parquet_files(folder)) == len(parquet_files(crashed.folder))


def test_files_without_their_database_are_set_aside_not_deleted(crashed: Crashed, tmp_path: Path) -> None:
    folder = crashed.copy(tmp_path / "history")
    (folder / "hot.duckdb").unlink()
    (folder / LOG).unlink()
    history = History(path=folder, config=config(), catalogue=(), hosts=list, clock=FakeClock(START), metrics=Metrics())
    recovery = history.open()
    assert recovery.parquet_set_aside is not None
    kept = [path for path in recovery.parquet_set_aside.rglob("*") if path.is_file()]
    assert len(kept) == len(parquet_files(crashed.folder))
    history.close()


def test_a_history_in_use_is_refused_in_one_sentence(tmp_path: Path) -> None:
    holder = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holder, str(tmp_path / "hot.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        (tmp_path / LOG).write_bytes(b"being written")
        history = History(path=tmp_path, config=config(), catalogue=(), hosts=list, clock=FakeClock(START), metrics=Metrics())
        with pytest.raises(HistoryLocked, match="stop the collector that runs on it"):
            history.open()
        assert (tmp_path / LOG).read_bytes() == b"being written"
        process.communicate()
