"""Batches on disk, from when they are collected until the collector holds them for good.

Before it: `flush`, which appends encoded batches with the log positions they cover. After it: `uplink`, which reads them and reports what became of
them. Invariant: a batch is either here, or durable at the collector, or counted as dropped; never none of these.

A batch is unsent until the collector has stored or rejected it, then done; done batches stay, and count toward the bounds, until the collector says
that it has checkpointed them, because until then a lost write-ahead log there would lose them. What a batch contains is not known here.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from watchdesk_proto.settings import Form, setting

from watchdesk_agent.clock import Clock, to_us
from watchdesk_agent.spool.file import open_spool_file
from watchdesk_agent.spool.losses import Losses

Ranges: TypeAlias = Mapping[int, Sequence[tuple[int, int]]]  # epoch to inclusive ranges of seqs
_Statement: TypeAlias = tuple[str, tuple[object, ...]]

CANNOT_WRITE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
NEWEST = 2**62

_RECONCILE = """
    UPDATE batch SET is_done = NOT is_done
    WHERE is_done <> EXISTS (SELECT 1 FROM durable d WHERE d.epoch = batch.epoch AND batch.seq BETWEEN d.first AND d.last)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolConfig:
    """How much an agent keeps while its collector is away, `[spool]`."""

    max_bytes: int = setting("256MiB", form=Form.SIZE, help="Bytes of batches kept on disk; beyond it the oldest are dropped and counted.")
    max_age: float = setting("7d", form=Form.DURATION, help="Older batches are dropped and counted.")


@dataclass(frozen=True, slots=True)
class Spooled:
    """One batch as it lies in the spool. `id` grows in the order of spooling."""

    id: int
    epoch: int
    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Hole:
    """Seqs that were given up, first to last inclusive."""

    epoch: int
    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolStats:
    """What the spool holds, and what it has lost since this agent started."""

    batches: int
    bytes: int
    dropped_batches: int
    at_risk_batches: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """A batch without its payload."""

    id: int
    epoch: int
    seq: int
    spooled_us: int
    bytes: int


class Spool:
    """See the module. Any thread may call; there is one transaction at a time."""

    def __init__(self, path: Path, *, config: SpoolConfig, epoch: int, clock: Clock) -> None:
        self.epoch = epoch
        self._config = config
        self._clock = clock
        self._losses = Losses(path=path, max_bytes=config.max_bytes, clock=clock)
        self._lock = threading.RLock()
        self._connection = open_spool_file(path, at=clock.now())
        self._last_seq = 0
        self._held_up: list[_Statement] = []  # what a full disk did not take; goes with the next transaction
        self._unwritten_from: int | None = None  # the first seq of those that a full disk did not take

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def append(self, payloads: Sequence[bytes], *, declarations: Mapping[int, bytes], positions: Mapping[str, str]) -> bool:
        """Keep batches, the schemas they use and the log positions they cover, in one transaction.

        Returns False when the disk is full: the batches are then dropped and counted, the positions stay as they were.
        """
        with self._lock:
            first = self._last_seq + 1
            self._last_seq += len(payloads)
            statements = [*self._filling(payloads, first), *_declaring(declarations), *_positioning(positions)]
            if (error := self._write(statements)) is not None:
                if payloads:
                    self._unwritten_from = self._unwritten_from or first
                self._losses.note_full_disk(len(payloads), error)
                return False
            self._unwritten_from = None
            self._losses.note_written()
            self._enforce_bounds()
            return True

    def positions(self) -> dict[str, str]:
        """How far each log is read, as of the newest batch."""
        return dict(self._read("SELECT source, value FROM position"))

    def declarations(self) -> dict[int, bytes]:
        """Every schema that a batch in here may use, by its id."""
        return dict(self._read("SELECT schema_id, payload FROM declaration"))

    def epochs(self) -> set[int]:
        """Every epoch that batches or holes in here belong to."""
        return {epoch for (epoch,) in self._read("SELECT epoch FROM batch UNION SELECT epoch FROM hole")}

    def next_unsent(self, *, after: int, until: int = NEWEST) -> Spooled | None:
        """The oldest unsent batch with an id above `after` and at most `until`."""
        sql = "SELECT id, epoch, seq, payload FROM batch WHERE is_done = 0 AND id > ? AND id <= ? ORDER BY id LIMIT 1"
        return next((Spooled(*row) for row in self._read(sql, after, until)), None)

    def newest_id_before(self, at_us: int) -> int:
        """The id of the newest batch that was spooled before a time, 0 when there is none."""
        return int(self._read("SELECT coalesce(max(id), 0) FROM batch WHERE spooled_us < ?", at_us)[0][0])

    def holes(self) -> list[Hole]:
        """What was given up, as long as the collector has not checkpointed that it knows."""
        return [Hole(*row) for row in self._read("SELECT epoch, first, last, reason FROM hole ORDER BY rowid")]

    def finish(self, ranges: Ranges) -> None:
        """The collector has stored these."""
        sql = "UPDATE batch SET is_done = 1 WHERE is_done = 0 AND epoch = ? AND seq BETWEEN ? AND ?"
        self._write_sometime([(sql, span) for span in _spans(ranges)])

    def reject(self, epoch: int, seq: int, reason: str) -> None:
        """The collector will never store this one; why is for whoever listens in, the spool is done with it all the same."""
        self.finish({epoch: [(seq, seq)]})

    def release(self, ranges: Ranges) -> None:
        """The collector has checkpointed these: forget them."""
        batches = "DELETE FROM batch WHERE epoch = ? AND seq BETWEEN ? AND ?"
        holes = "DELETE FROM hole WHERE epoch = ? AND first >= ? AND last <= ?"
        self._write_sometime([(sql, span) for span in _spans(ranges) for sql in (batches, holes)])

    def reconcile(self, durable: Ranges) -> None:
        """Take the collector's word for what it holds: exactly that is done, all else is to be sent, even if it was acked before."""
        with self._lock:
            self._connection.execute("DELETE FROM durable")
            self._connection.executemany("INSERT INTO durable VALUES (?, ?, ?)", _spans(durable))
            self._write_sometime([(_RECONCILE, ())])

    def give_up(self, spooled: Spooled) -> None:
        """Drop one batch that the collector says is too large to be sent."""
        self._write_sometime([_deleting(spooled.id), *_leaving(spooled.epoch, spooled.seq, spooled.seq, "too_large")])
        self._losses.note_drops(1, reason="too_large")

    def stats(self) -> SpoolStats:
        batches, stored = self._read("SELECT batches, bytes FROM total")[0]
        return SpoolStats(batches=batches, bytes=stored, dropped_batches=self._losses.dropped, at_risk_batches=self._losses.at_risk)

    def _filling(self, payloads: Sequence[bytes], first_seq: int) -> Iterator[_Statement]:
        if self._unwritten_from is not None:
            yield from _leaving(self.epoch, self._unwritten_from, first_seq - 1, "disk_full")
        now_us = to_us(self._clock.now())
        for seq, payload in enumerate(payloads, first_seq):
            yield "INSERT INTO batch (epoch, seq, spooled_us, payload) VALUES (?, ?, ?, ?)", (self.epoch, seq, now_us, payload)

    def _enforce_bounds(self) -> None:
        for reason, is_done, oldest in self._beyond_bounds():
            holes = [] if is_done else [leaving for run in _runs(oldest) for leaving in _leaving(*run, reason)]
            if self._write([*(_deleting(entry.id) for entry in oldest), *holes]) is not None:
                return  # nothing was dropped, so nothing is counted; the next append tries again
            if is_done:
                self._losses.note_at_risk(len(oldest))
            else:
                self._losses.note_drops(len(oldest), reason=reason)

    def _beyond_bounds(self) -> Iterator[tuple[str, bool, Sequence[_Entry]]]:
        """What must go, in portions: reason, whether it is done, the batches. What the collector already holds goes first."""
        horizon_us = to_us(self._clock.now()) - round(self._config.max_age * 1e6)
        for is_done in (True, False):
            while aged := [entry for entry in self._oldest(is_done) if entry.spooled_us < horizon_us]:
                yield "spool_age", is_done, aged
        for is_done in (True, False):
            while (excess := self.stats().bytes - self._config.max_bytes) > 0 and (oldest := self._oldest(is_done)):
                yield "spool_overflow", is_done, _covering(oldest, excess)

    def _oldest(self, is_done: bool) -> list[_Entry]:
        sql = "SELECT id, epoch, seq, spooled_us, length(payload) FROM batch WHERE is_done = ? ORDER BY id LIMIT 64"
        return [_Entry(*row) for row in self._read(sql, is_done)]

    def _read(self, sql: str, *parameters: object) -> list[Any]:
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def _write_sometime(self, statements: Sequence[_Statement]) -> None:
        """Run statements now, or with the next transaction if the disk is full."""
        with self._lock:
            if self._write(statements) is not None:
                self._held_up.extend(statements)

    def _write(self, statements: Sequence[_Statement]) -> sqlite3.Error | None:
        """Run statements in one transaction, after those that a full disk held up; returns the error when it is full still."""
        try:
            with self._transaction():
                for sql, parameters in (*self._held_up, *statements):
                    self._connection.execute(sql, parameters)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in CANNOT_WRITE:
                raise
            return error
        self._held_up.clear()
        return None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:  # SQLite itself has rolled back when the disk is full
                self._connection.execute("ROLLBACK")


def _spans(ranges: Ranges) -> list[tuple[int, int, int]]:
    return [(epoch, first, last) for epoch, spans in ranges.items() for first, last in spans]


def _declaring(declarations: Mapping[int, bytes]) -> Iterator[_Statement]:
    for schema_id, payload in declarations.items():
        yield "INSERT OR IGNORE INTO declaration VALUES (?, ?)", (schema_id, payload)


def _positioning(positions: Mapping[str, str]) -> Iterator[_Statement]:
    for source, value in positions.items():
        yield "INSERT OR REPLACE INTO position VALUES (?, ?)", (source, value)


def _deleting(id_: int) -> _Statement:
    return "DELETE FROM batch WHERE id = ?", (id_,)


def _leaving(epoch: int, first: int, last: int, reason: str) -> Iterator[_Statement]:
    """Leave a hole; one that continues an earlier one extends it."""
    yield "UPDATE hole SET last = ? WHERE epoch = ? AND last = ? AND reason = ?", (last, epoch, first - 1, reason)
    known = "SELECT 1 FROM hole WHERE epoch = ? AND first <= ? AND last >= ?"
    yield f"INSERT INTO hole SELECT ?, ?, ?, ? WHERE NOT EXISTS ({known})", (epoch, first, last, reason, epoch, first, last)


def _covering(oldest: Sequence[_Entry], excess: int) -> Sequence[_Entry]:
    """As few of the oldest as make up for the excess, or all of them."""
    freed = 0
    for count, entry in enumerate(oldest, start=1):
        freed += entry.bytes
        if freed >= excess:
            return oldest[:count]
    return oldest


def _runs(entries: Sequence[_Entry]) -> Iterator[tuple[int, int, int]]:
    """Epoch, first and last of each run of consecutive seqs."""
    start = previous = entries[0]
    for entry in entries[1:]:
        if entry.epoch != previous.epoch or entry.seq != previous.seq + 1:
            yield start.epoch, start.seq, previous.seq
            start = entry
        previous = entry
    yield start.epoch, start.seq, previous.seq
