"""What an arena is made of: small disks, the writer of log lines, a look into a dead agent's spool, and the configuration files."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from watchdesk_collector.cli.selftest import tmpfs
from watchdesk_collector.cli.selftest.kinds.states import unsent_batches
from watchdesk_collector.cli.selftest.writer import LineWriter

needs_root = pytest.mark.skipif(tmpfs.obstacle() is not None, reason="mounting a small disk needs root")


def free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


@pytest.mark.root
@needs_root
def test_a_disk_is_full_to_the_last_byte_or_nearly_so_and_has_room_again_afterwards(tmp_path: Path) -> None:
    with tmpfs.mounted(tmp_path / "disk", size_bytes=8 << 20):
        disk = tmp_path / "disk"
        with tmpfs.filled(disk, leaving_bytes=0):
            assert free_bytes(disk) == 0
            with pytest.raises(OSError, match="No space left"):
                (disk / "file").write_bytes(bytes(1 << 16))
        with tmpfs.filled(disk, leaving_bytes=1 << 20):
            assert 0 < free_bytes(disk) <= 1 << 20
        (disk / "file").write_bytes(bytes(1 << 20))
    assert list(disk.iterdir()) == []
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


@pytest.mark.root
@needs_root
def test_a_disk_is_gone_even_when_something_goes_wrong_on_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), tmpfs.mounted(tmp_path / "disk", size_bytes=1 << 20):
        raise RuntimeError
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


def test_lines_are_numbered_from_one_and_belong_to_the_round_that_wrote_them(tmp_path: Path) -> None:
    writer = LineWriter([tmp_path / "a.log", tmp_path / "b.log"])
    writer.note_round()
    writer.write_line()
    writer.write_line()
    writer.note_round()
    writer.write_line()
    writer.stop()
    assert [writer.round_of(number) for number in (1, 2, 3)] == [1, 1, 2]
    for log in (tmp_path / "a.log", tmp_path / "b.log"):
        assert [line.rpartition("writer: ")[2] for line in log.read_text().splitlines()] == ["line 1", "line 2", "line 3"]


def test_lines_before_the_first_round_belong_to_none(tmp_path: Path) -> None:
    writer = LineWriter([tmp_path / "a.log"])
    writer.write_line()
    writer.note_round()
    writer.stop()
    assert writer.round_of(1) == 0


def test_unsent_batches_are_read_without_touching_the_spool(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "spool.db")) as spool:
        spool.execute("PRAGMA journal_mode = WAL")
        spool.execute("CREATE TABLE batch (epoch INTEGER, seq INTEGER, is_done INTEGER)")
        spool.executemany("INSERT INTO batch VALUES (7, ?, ?)", [(1, 1), (2, 0), (3, 0)])
        spool.commit()
        before = sorted(path.name for path in tmp_path.iterdir())
        assert unsent_batches(tmp_path) == {(7, 2), (7, 3)}
        assert sorted(path.name for path in tmp_path.iterdir()) == before
