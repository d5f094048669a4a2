"""A full disk, on a real one: small, in memory, and filled."""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from collector.history.kit import EPOCH, HOST, START, batch, batch_seqs, cpu, history_at, parquet_files, ranges, stored_seqs
from watchdesk_collector.clock import to_us
from watchdesk_collector.history import CommitFailed, ExportFailed, History, HistoryFailed, HistoryFull
from watchdesk_collector.model import Arrival

MIB = 1 << 20
AT = to_us(START)

pytestmark = pytest.mark.root


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """64 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(disk: Path, *, leave: int) -> Path:
    """A file that leaves this much space."""
    status = os.statvfs(disk)
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        for _ in range((status.f_bavail * status.f_frsize - leave) // 4096):
            file.write(b"\0" * 4096)
    return ballast


def large(seq: int, rows: int) -> Arrival:
    chance = random.Random(seq)  # so that nothing compresses
    return batch(seq, tables=[cpu([AT + row for row in range(rows)], [chance.random() for _ in range(rows)], [seq] * rows)])


def rows_by_seq(history: History) -> dict[int, int]:
    found = history.query("SELECT cores, count(*) AS n FROM cpu GROUP BY cores", tables=["cpu"]).to_pylist()
    return {row["cores"]: row["n"] for row in found}


def test_a_full_disk_in_a_commit_leaves_nothing_half_in_and_the_commit_can_be_repeated(small_disk: Path) -> None:
    history = history_at(small_disk / "history", free_space_floor=0)
    history.commit([large(1, 10)], [])
    ballast = fill(small_disk, leave=MIB)
    with pytest.raises(CommitFailed, match="could not be written"):
        history.commit([large(2, 100_000)], [])
    assert (rows_by_seq(history), ranges(history.durable(HOST))) == ({1: 10}, {EPOCH: [(1, 1)]})
    with pytest.raises(HistoryFull, match="a checkpoint may need"):
        history.checkpoint()
    ballast.unlink()
    history.commit([large(2, 100_000)], [])
    history.reopen()
    assert (rows_by_seq(history), batch_seqs(history)) == ({1: 10, 2: 100_000}, [1, 2])
    history.close()


def test_an_instance_that_died_in_a_checkpoint_is_reopened_without_loss(small_disk: Path) -> None:
    history = history_at(small_disk / "history", free_space_floor=0)
    for seq in range(1, 11):
        history.commit([large(seq, 50_000)], [])
    ballast = fill(small_disk, leave=256 << 10)
    with pytest.raises(duckdb.FatalException):
        history._store.instance.writer.execute("CHECKPOINT")  # the product would refuse to
    with pytest.raises(HistoryFailed):
        history.commit([batch(11)], [])
    for failing in (lambda: stored_seqs(history), history.sizes, history.retain, history.rotate, history.checkpoint):
        with pytest.raises((HistoryFailed, HistoryFull)):
            failing()
    ballast.unlink()
    history.reopen()
    assert rows_by_seq(history) == dict.fromkeys(range(1, 11), 50_000)
    history.commit([batch(11)], [])
    assert ranges(history.durable(HOST)) == {EPOCH: [(1, 11)]}
    history.close()


def test_opening_on_a_full_disk_works_and_leaves_the_rest_for_later(small_disk: Path) -> None:
    history = history_at(small_disk / "history", free_space_floor=0)
    history.commit([large(1, 10)], [])
    history._close()
    ballast = fill(small_disk, leave=MIB)
    history = history_at(small_disk / "history", free_space_floor=0)
    assert rows_by_seq(history) == {1: 10}
    assert history.checkpointed(HOST) == {}
    ballast.unlink()
    assert history.checkpoint()
    assert ranges(history.checkpointed(HOST)) == {EPOCH: [(1, 1)]}
    history.close()


def test_on_a_full_disk_a_torn_log_is_cut_even_though_its_end_cannot_be_kept(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = small_disk / "history"
    history = history_at(folder, free_space_floor=0)
    history.commit([large(1, 10)], [])
    history.commit([large(2, 50_000)], [])
    history._close()
    log = folder / "hot.duckdb.wal"
    os.truncate(log, log.stat().st_size - 1)
    ballast = fill(small_disk, leave=256 << 10)
    history = history_at(folder, free_space_floor=0)
    assert rows_by_seq(history) == {1: 10}
    assert "cannot be kept" in caplog.text
    assert not list(folder.glob("set-aside/*/*"))
    ballast.unlink()
    history.commit([large(2, 50_000)], [])
    assert rows_by_seq(history) == {1: 10, 2: 50_000}
    history.close()


def test_an_export_to_a_full_disk_leaves_no_file_and_can_be_repeated(small_disk: Path) -> None:
    history = history_at(small_disk / "history", free_space_floor=0)
    history.commit([large(1, 200_000)], [])
    history.rotate()
    ballast = fill(small_disk, leave=64 << 10)
    with pytest.raises(ExportFailed, match="could not be written"):
        history.export()
    assert [path for path in parquet_files(small_disk / "history") if path.suffix != ".parquet"] == []
    ballast.unlink()
    history.seal()
    assert rows_by_seq(history) == {1: 200_000}
    history.close()
