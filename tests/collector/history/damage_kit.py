"""A history folder as a kill -9 leaves it, ways to damage its write-ahead log, and what must hold after any of them."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.history.crash_worker import WIDER
from collector.history.kit import EPOCH, HOST, START, batch, batch_seqs, config, history_at, hole, log_positions, ranges, stored_seqs
from fakes import FakeClock
from watchdesk_collector.history import History, RangeSet, Unreplayed
from watchdesk_collector.metrics import Metrics

CHECKPOINTED = 10
COMMITTED = 30
LOG = "hot.duckdb.wal"


@dataclass(frozen=True)
class Crashed:
    """A folder as a kill -9 leaves it: some batches checkpointed, more only in the log, which also holds a sealing."""

    folder: Path

    def copy(self, to: Path) -> Path:
        return Path(shutil.copytree(self.folder, to))


def copy_as_if_killed(source: Path, target: Path) -> None:
    """By another process: this one must not open a database that it has open in DuckDB."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def crash(folder: Path) -> Crashed:
    """Make one in this folder."""
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
    assert (folder / "dead" / LOG).stat().st_size > 5_000
    return Crashed(folder / "dead")


@dataclass(frozen=True)
class Outcome:
    """What a start found."""

    there: set[int]  # seqs, each once
    unreplayed: Sequence[Unreplayed]


def check(folder: Path) -> Outcome:
    """Open, have agents send again what is missing, and find history whole."""
    history = History(path=folder, config=config(), catalogue=(), hosts=list, clock=FakeClock(START), metrics=Metrics())
    recovery = history.open()
    history.close()
    history = history_at(folder)
    batches = batch_seqs(history)
    assert len(batches) == len(set(batches))
    assert stored_seqs(history) == [seq for seq in batches if seq != COMMITTED]
    assert ranges(history.durable(HOST)) == {EPOCH: RangeSet((seq, seq) for seq in batches).to_list()}
    assert set(range(1, CHECKPOINTED + 1)) <= set(batches)
    assert log_positions(history) == {"app": str(max(stored_seqs(history)))}
    resent = [batch(seq) for seq in range(1, COMMITTED) if seq not in batches]
    history.commit(resent, [hole(COMMITTED, COMMITTED)] if COMMITTED not in batches else [])
    history.seal()
    assert stored_seqs(history) == list(range(1, COMMITTED))
    history.close()
    assert all(one.kept_as is not None and one.kept_as.stat().st_size == one.bytes for one in recovery.unreplayed)
    return Outcome(set(batches), recovery.unreplayed)


def change(folder: Path, how: Callable[[bytes], bytes]) -> bytes:
    """Damage the log of a folder; returns it as it is then."""
    log = folder / LOG
    log.write_bytes(how(log.read_bytes()))
    return log.read_bytes()


def flip(data: bytes, place: int, bit: int = 0) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def kept(folder: Path) -> list[bytes]:
    """What was set aside, oldest first."""
    return [path.read_bytes() for path in sorted(folder.glob("set-aside/*/*"))]
