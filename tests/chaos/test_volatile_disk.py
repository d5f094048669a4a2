"""The guest's disk must really forget, or its power failures prove nothing."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volatile_disk import SECTOR, NbdExport, VolatileDisk

SECTORS = 8
Writes = list[tuple[int, int, int]]
writes = st.lists(st.tuples(st.integers(0, SECTORS - 1), st.integers(1, 3), st.integers(1, 255)), max_size=12)


def blank() -> VolatileDisk:
    return VolatileDisk(bytes((SECTORS + 3) * SECTOR))


def write_all(disk: VolatileDisk, wanted: Writes) -> None:
    for sector, count, value in wanted:
        disk.write(sector * SECTOR, bytes([value]) * count * SECTOR)


def values(disk: VolatileDisk) -> list[int]:
    """What each sector holds; every one is written in one piece."""
    found = [disk.read(sector * SECTOR, SECTOR) for sector in range(disk.size // SECTOR)]
    assert all(len(set(sector)) == 1 for sector in found)
    return [sector[0] for sector in found]


@given(flushed=writes, unflushed=writes)
def test_a_cut_that_keeps_nothing_takes_the_disk_back_to_its_last_flush(flushed: Writes, unflushed: Writes) -> None:
    disk = blank()
    write_all(disk, flushed)
    disk.flush()
    before = values(disk)
    write_all(disk, unflushed)
    disk.cut_power(random.Random(1), kept_share=0.0)
    assert values(disk) == before


@given(flushed=writes, unflushed=writes, seed=st.integers(0, 2**32))
def test_after_any_cut_each_sector_is_as_flushed_or_as_some_write_since_left_it(flushed: Writes, unflushed: Writes, seed: int) -> None:
    disk = blank()
    write_all(disk, flushed)
    disk.flush()
    allowed = [{value} for value in values(disk)]
    for sector, count, value in unflushed:
        for at in range(sector, sector + count):
            allowed[at].add(value)
    write_all(disk, unflushed)
    cut = disk.cut_power(random.Random(seed), kept_share=0.5)
    assert all(value in versions for value, versions in zip(values(disk), allowed, strict=True))
    assert cut.sectors_kept + cut.sectors_lost == sum(count for _, count, _ in unflushed)


@pytest.mark.skipif(shutil.which("qemu-io") is None, reason="needs Debian's qemu-utils")
def test_qemu_reads_back_what_it_wrote_and_a_flush_outlives_a_cut(tmp_path: Path) -> None:
    disk = blank()
    export = NbdExport(disk, tmp_path / "socket")
    try:
        ask(export, tmp_path, "write -P 7 0 512", "flush", "read -P 7 0 512")
        disk.write(0, b"\x08" * SECTOR)
        disk.cut_power(random.Random(1), kept_share=0.0)
        ask(export, tmp_path, "read -P 7 0 512")
    finally:
        export.close()


def ask(export: NbdExport, folder: Path, *commands: str) -> None:
    words = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(
        ["qemu-io", "-f", "raw", "-t", "none", *words, f"nbd+unix:///?socket={folder}/socket"], capture_output=True, text=True, check=True
    )
    export.wait_until_idle()
    assert "verification failed" not in done.stdout
