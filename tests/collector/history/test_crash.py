"""kill -9 at every step of history's work: what was acked is there once, and nothing else is."""

import collections
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from collector.history import crash_worker
from collector.history.crash_worker import OLD_SEQ
from collector.history.kit import EPOCH, HOST, START, batch, batch_seqs, history_at, log_positions, parquet_files, ranges, stored_seqs
from fakes import FakeClock
from watchdesk_collector.history import History, RangeSet, manifest
from watchdesk_collector.history.steps import Step

HOLES = {4, 5, 6}


def run_worker(folder: Path, step: str, occurrence: int) -> tuple[int, list[list[str]]]:
    """Its exit code and what it said."""
    command = [sys.executable, crash_worker.__file__, str(folder), step, str(occurrence)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    return done.returncode, [line.split() for line in done.stdout.decode().splitlines()]


@cache
def occurrences() -> collections.Counter[str]:
    """How often each step happens when nothing kills the worker."""
    with TemporaryDirectory() as folder:
        code, said = run_worker(Path(folder) / "history", "none", 1)
    assert code == 0
    return collections.Counter(words[1] for words in said if words[0] == "step")


def kept(history: History) -> tuple[list[int], list[int]]:
    """Seqs of rows and of batches that retention doesn't take."""
    return [seq for seq in stored_seqs(history) if seq != OLD_SEQ], batch_seqs(history)


def check(history: History, folder: Path, acked: set[int]) -> set[int]:
    """Every promise that a crash must not break; returns the seqs that are there."""
    rows, batches = kept(history)
    assert len(batches) == len(set(batches))
    assert acked <= set(batches)
    assert rows == [seq for seq in batches if seq not in HOLES | {OLD_SEQ}]
    assert stored_seqs(history).count(OLD_SEQ) <= 1
    assert log_positions(history) == ({"app": str(max(set(batches) - HOLES))} if batches else {})
    assert ranges(history.durable(HOST)) == ({EPOCH: RangeSet((seq, seq) for seq in batches).to_list()} if batches else {})
    assert set(parquet_files(folder)) == {folder / file.path for file in manifest.read(history._store.instance.writer)}
    return set(batches)


@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_after_a_kill_what_was_acked_is_there_once(tmp_path: Path, step: Step, which: str) -> None:
    times = occurrences()[step]
    assert times > 0
    occurrence = {"first": 1, "middle": (times + 1) // 2, "last": times}[which]
    folder = tmp_path / "history"
    code, said = run_worker(folder, step, occurrence)
    assert code == -signal.SIGKILL
    acked = {int(words[1]) for words in said if words[0] == "acked"}

    clock = FakeClock(START)
    history = history_at(folder, clock=clock)
    there = check(history, folder, acked)
    assert len(there - HOLES - acked) <= 1  # what was committed and not yet acked
    history.commit([batch(50)], [])
    history.seal()
    clock.advance(2 * 86400)
    history.compact()
    clock.advance(301)
    history.checkpoint()
    history.reopen()
    assert check(history, folder, acked | {50}) == there | {50}
    history.close()
