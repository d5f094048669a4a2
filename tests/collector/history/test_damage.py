"""A write-ahead log that was cut or changed: history always opens, and what it then says is durable is what it holds."""

import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from collector.history.crash_worker import WIDER
from collector.history.kit import EPOCH, HOST, START, batch, batch_seqs, config, history_at, hole, parquet_files, ranges, stored_seqs
from fakes import FakeClock
from watchdesk_collector.history import History, HistoryLocked, HistoryUnusable, RangeSet
from watchdesk_collector.metrics import Metrics

CHECKPOINTED = 10
COMMITTED = 30


@dataclass(frozen=True)
class Crashed:
    """A folder as a kill -9 leaves it: some batches checkpointed, more only in the log, which also holds a sealing."""

    folder: Path

    def copy(self, to: Path) -> Path:
        return Path(shutil.copytree(self.folder, to))


def copy_as_if_killed(source: Path, target: Path) -> None:
    """By another process: this one must not open a database that it has open in DuckDB."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Crashed:
    folder = tmp_path_factory.mktemp("crashed")
    history = history_at(folder / "live")
    history.commit([batch(seq) for seq in range(1, 6)], [])
    assert history.declare(WIDER) is None
    history.commit([batch(seq) for seq in range(6, CHECKPOINTED + 1)], [])
    history.rotate()
    change = history.export()
    history.commit([batch(seq) for seq in range(CHECKPOINTED + 1, 21)], [])
    assert change is not None
    assert history.apply(change)
    for seq in range(21, COMMITTED):
        history.commit([batch(seq)], [])
    history.commit([], [hole(COMMITTED, COMMITTED)])
    assert ranges(history.checkpointed(HOST)) == {EPOCH: [(1, CHECKPOINTED)]}
    copy_as_if_killed(folder / "live", folder / "dead")
    history.close()
    assert (folder / "dead" / "hot.duckdb.wal").stat().st_size > 5_000
    return Crashed(folder / "dead")


def check(folder: Path) -> tuple[set[int], bool]:
    """Open; the seqs that are there, each once, and whether the log was set aside."""
    history = History(path=folder, config=config(), catalogue=(), hosts=list, clock=FakeClock(START), metrics=Metrics())
    recovery = history.open()
    history.close()
    history = history_at(folder)
    batches = batch_seqs(history)
    assert len(batches) == len(set(batches))
    assert stored_seqs(history) == [seq for seq in batches if seq != COMMITTED]
    assert ranges(history.durable(HOST)) == {EPOCH: RangeSet((seq, seq) for seq in batches).to_list()}
    assert set(range(1, CHECKPOINTED + 1)) <= set(batches)
    resent = [batch(seq) for seq in range(1, COMMITTED) if seq not in batches]
    history.commit(resent, [hole(COMMITTED, COMMITTED)] if COMMITTED not in batches else [])
    history.seal()
    assert stored_seqs(history) == list(range(1, COMMITTED))
    history.close()
    if recovery.wal_set_aside is not None:
        assert recovery.wal_set_aside.exists()
    return set(batches), recovery.wal_set_aside is not None


def test_an_undamaged_log_is_replayed_whole(crashed: Crashed, tmp_path: Path) -> None:
    assert check(crashed.copy(tmp_path / "history")) == (set(range(1, COMMITTED + 1)), False)


@pytest.mark.parametrize("part", [0.0, 0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 0.9999])
def test_a_log_that_was_cut_anywhere_opens(crashed: Crashed, tmp_path: Path, part: float) -> None:
    folder = crashed.copy(tmp_path / "history")
    log = folder / "hot.duckdb.wal"
    data = log.read_bytes()
    log.write_bytes(data[: int(len(data) * part)])
    there, _ = check(folder)
    assert there == set(range(1, max(there) + 1))  # whatever is lost is lost from the end


@pytest.mark.parametrize("seed", range(16))
def test_a_log_with_a_flipped_bit_opens(crashed: Crashed, tmp_path: Path, seed: int) -> None:
    folder = crashed.copy(tmp_path / "history")
    log = folder / "hot.duckdb.wal"
    data = bytearray(log.read_bytes())
    place = random.Random(seed).randrange(len(data))
    data[place] ^= 1 << (seed % 8)
    log.write_bytes(bytes(data))
    check(folder)


def test_a_log_that_does_not_replay_is_set_aside_unchanged_and_told(crashed: Crashed, tmp_path: Path) -> None:
    folder = crashed.copy(tmp_path / "history")
    log = folder / "hot.duckdb.wal"
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(bytes(data))
    there, set_aside = check(folder)
    assert (there, set_aside) == (set(range(1, CHECKPOINTED + 1)), True)
    assert [path.read_bytes() for path in folder.glob("set-aside/*/*.wal")] == [bytes(data)]


def test_a_log_that_is_garbage_from_its_start_holds_nothing(crashed: Crashed, tmp_path: Path) -> None:
    folder = crashed.copy(tmp_path / "history")
    (folder / "hot.duckdb.wal").write_bytes(random.Random(1).randbytes(100_000))
    there, _ = check(folder)
    assert there == set(range(1, CHECKPOINTED + 1))


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
    (folder / "hot.duckdb.wal").unlink()
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
        history = History(path=tmp_path, config=config(), catalogue=(), hosts=list, clock=FakeClock(START), metrics=Metrics())
        with pytest.raises(HistoryLocked, match="stop the collector that runs on it"):
            history.open()
        process.communicate()
