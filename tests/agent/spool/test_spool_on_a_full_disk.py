"""A disk without room: what cannot be kept is counted and told once, and everything goes on when there is room again."""

import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent.spool.conftest import OpenSpool
from watchdesk_agent.spool import Hole

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return filler


def test_a_full_disk_costs_new_batches_which_are_counted_until_there_is_room_again(
    small_disk: Path, open_spool: OpenSpool, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool(folder=small_disk)
    assert spool.append([b"kept"], declarations={}, positions={"a.log": "1"})
    filler = fill(small_disk)
    refused = 0
    while refused < 5:
        refused += not spool.append([os.urandom(50_000)], declarations={}, positions={"a.log": "2"})
    assert spool.stats().dropped_batches == 5
    assert spool.positions()["a.log"] == "1" or spool.stats().batches > 1
    spool.finish({1: [(1, 1)]})
    filler.unlink()
    assert spool.append([b"kept again"], declarations={}, positions={})
    first_refused = spool.stats().batches
    assert spool.holes() == [Hole(1, first_refused, first_refused + 4, "disk_full")]
    waiting = spool.next_unsent(after=0)
    assert waiting is not None
    assert waiting.payload != b"kept", "an ack that the full disk did not take is taken later"
    assert [r.levelno for r in caplog.records if "cannot write the spool" in r.message] == [logging.ERROR]
    assert [r.levelno for r in caplog.records if "can be written again; 5 batches" in r.message] == [logging.WARNING]


def test_a_spool_opens_on_a_disk_that_is_full(small_disk: Path, open_spool: OpenSpool) -> None:
    first = open_spool(folder=small_disk)
    first.append([b"a"], declarations={}, positions={})
    first.close()
    fill(small_disk)
    second = open_spool(folder=small_disk)
    waiting = second.next_unsent(after=0)
    assert waiting is not None
    assert waiting.payload == b"a"
