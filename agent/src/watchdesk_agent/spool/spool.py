"""Batches on disk, from when they are collected until the collector holds them for good.

Before it: `flush`, which appends encoded batches with the log positions they cover. After it: `uplink`, which reads them and reports what became of
them. Invariant: a batch is either here, or durable at the collector, or counted as dropped; never none of these.

A batch is unsent until the collector has stored or rejected it, then done; done batches stay, and count toward the bounds, until the collector says
that it has checkpointed them, because until then a lost write-ahead log there would lose them. What a batch contains is not known here.
"""

import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

from watchdesk_agent.clock import Clock, to_us
from watchdesk_agent.model import Cause
from watchdesk_agent.schedule import Cadence, Stretch, blame, join
from watchdesk_agent.spool import accounts, order
from watchdesk_agent.spool.accounts import Covered
from watchdesk_agent.spool.file import SpoolError, open_spool_file
from watchdesk_agent.spool.losses import REASONS, Losses
from watchdesk_agent.spool.model import Backlog, Entry, Hole, SpoolConfig, Spooled, SpoolStats, covering, runs
from watchdesk_agent.spool.order import TheirPositions
from watchdesk_agent.spool.statements import (
    READ_BACKLOG,
    READ_CONTENTS,
    READ_NOT_STORED,
    RECONCILE,
    Ranges,
    Statement,
    declaring,
    deleting,
    leaving,
    spans,
)

CANNOT_WRITE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
NEWEST = 2**62


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
        self._held_up: list[Statement] = []  # what a full disk did not take; goes with the next transaction
        self._unwritten_from: int | None = None  # the first seq of those that a full disk did not take
        self._unwritten: list[Stretch] = []  # what those accounted for
        self._handed_out: dict[int, Stretch] = {}  # what is lost and on its way to a batch that tells it, by id
        self._under_way: Collection[tuple[int, int]] = ()
        self._uncertain_until = self._newest_id()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def begin(self, cadences: Sequence[Cadence], *, boot_id: str, booted_us: int, is_copy: bool = False) -> None:
        """A run of the agent begins to serve these: what nobody served since the last one is lost. `booted_us` is when the host was booted.

        In a copy of an older state it is not known how far slots were served.
        """
        with self._lock:
            covered = {row.sampler: row for row in self.covered()}
            is_rebooted = bool(self._read("SELECT 1 FROM boot WHERE boot_id <> ?", boot_id))
            lost = [] if is_copy else accounts.downtime(covered, cadences, booted_us=booted_us if is_rebooted else None)
            boot = ("DELETE FROM boot", ()), ("INSERT INTO boot VALUES (?)", (boot_id,))
            self._write_sometime([*self._losing(lost), *accounts.beginning(covered, cadences), *boot])

    def covered(self) -> list[Covered]:
        """How far each sampler's slots are accounted for."""
        return [Covered(*row) for row in self._read(accounts.READ_COVERED)]

    def append(
        self,
        payloads: Sequence[bytes],
        *,
        declarations: Mapping[int, bytes],
        positions: Mapping[str, str],
        contents: Sequence[Sequence[Stretch]] = (),
        lost: Sequence[Stretch] = (),
        ordered: int = 0,
    ) -> bool:
        """Keep batches, what each accounts for, the schemas they use and the log positions they cover, in one transaction.

        The last `ordered` of them hold log lines, and the very last one all positions that changed since there was such a one.

        Returns False when the disk is full: the batches are then dropped and counted, the positions stay as they were. What is `lost` beside the
        batches is remembered in any case. What `take_lost` handed out is taken to be in the batches.
        """
        with self._lock:
            first = self._last_seq + 1
            self._last_seq += len(payloads)
            accounted = [stretch for of_batch in contents for stretch in of_batch]
            self._unwritten = join([*self._unwritten, *lost])
            statements = [*self._filling(payloads, contents, first), *accounts.covering(accounted), *self._settling_lost()]
            statements += [*declaring(declarations), *order.positioning(positions, is_told=ordered > 0)]
            statements += order.chaining(self.epoch, self._last_seq - ordered + 1, self._last_seq) if ordered else ()
            if (error := self._write(statements)) is not None:
                self._note_unwritten(first, len(payloads), accounted, error)
                return False
            self._unwritten_from, self._unwritten, self._handed_out = None, [], {}
            self._losses.note_written()
            self._enforce_bounds()
            return True

    def take_lost(self) -> list[Stretch]:
        """Stretches that no batch will bring, for the next `append` to tell. Those that a clock dated ahead wait: the collector would refuse them."""
        with self._lock:
            rows = self._read(accounts.READ_LOST, to_us(self._clock.now()))
            self._handed_out = {
                id_: Stretch(sampler=sampler, first_us=first_us, slots=slots, interval_us=interval_us, cause=Cause(cause), reason=reason)
                for id_, sampler, first_us, slots, interval_us, cause, reason in rows
            }
            return list(self._handed_out.values())

    def watch(self, under_way: Collection[tuple[int, int]]) -> None:
        """These batches, as they change, may be at the collector already: it is not certain that they are lost when they are dropped."""
        self._under_way = under_way

    def positions(self) -> dict[str, str]:
        """How far each log is read, as of the newest batch."""
        return dict(self._read(order.READ_POSITIONS))

    def untold_positions(self) -> dict[str, str]:
        """Those that changed since the newest ordered batch; empty ones are forgotten."""
        return dict(self._read(order.READ_UNTOLD))

    def fits(self, theirs: TheirPositions) -> bool:
        """Whether what the collector holds of the logs, and what lies here to be sent, is all without a gap and without anything twice."""
        with self._lock:
            links, (head,) = self._read(order.READ_LINKS), self._read(order.READ_HEAD)
        return order.is_chain(links, start=(theirs.epoch, theirs.seq), end=head)

    def unsent_ordered(self) -> Iterator[Spooled]:
        """Ordered batches that the collector does not hold, oldest first."""
        after = 0
        while spooled := self.next_unsent(after=after, is_ordered=True):
            yield spooled
            after = spooled.id

    def adopt(self, theirs: TheirPositions, *, positions: Mapping[str, str], gives_up: bool) -> None:
        """Read on from these positions of the collector's; `gives_up` its own unsent ordered batches, whose lines then are read again.

        **Errors**: SpoolError when the disk is full; nothing has changed then.
        """
        with self._lock:
            unsent = self._read(order.READ_UNSENT)
            if gives_up or not unsent:
                holes = [hole for _, epoch, seq in unsent for hole in leaving(epoch, seq, seq, "superseded")]
                statements = [*(deleting(id_) for id_, _, _ in unsent), *holes, order.heading(theirs.epoch, theirs.seq)]
            else:
                (oldest, _, _), (_, *newest) = unsent[0], unsent[-1]
                statements = [order.following(oldest, theirs), order.heading(*newest)]
            if (error := self._write([*statements, *order.adopting(positions)])) is not None:
                raise SpoolError(f"cannot keep the log positions that the collector holds ({error}); make room in state_dir")

    def home(self) -> str | None:
        """Which marker lay beside this spool when its agent last knew where logs are read; None of a new one."""
        return next((marker for (marker,) in self._read("SELECT marker FROM home")), None)

    def settle(self, marker: str) -> None:
        """Remember the marker that lies beside it, for it is known where logs are read."""
        self._write_sometime([("DELETE FROM home", ()), ("INSERT INTO home VALUES (?)", (marker,))])

    def declarations(self) -> dict[int, bytes]:
        """Every schema that a batch in here may use, by its id."""
        return dict(self._read("SELECT schema_id, payload FROM declaration"))

    def epochs(self) -> set[int]:
        """Every epoch that batches or holes in here belong to."""
        return {epoch for (epoch,) in self._read("SELECT epoch FROM batch UNION SELECT epoch FROM hole")}

    def next_unsent(self, *, after: int, until: int = NEWEST, is_ordered: bool | None = None) -> Spooled | None:
        """The oldest unsent batch with an id above `after` and at most `until`; None for `is_ordered` means of either kind."""
        kind = "" if is_ordered is None else f"AND is_ordered = {is_ordered:d}"
        sql = f"SELECT id, epoch, seq, payload FROM batch WHERE is_done = 0 AND id > ? AND id <= ? {kind} ORDER BY id LIMIT 1"  # noqa: S608 - a digit
        return next((Spooled(*row) for row in self._read(sql, after, until)), None)

    def backlog(self) -> list[Backlog]:
        """What is unsent, by epoch."""
        return [
            Backlog(epoch, first, last, min((one.first_us for one in accounts.load(contents)), default=until_us), until_us)
            for epoch, first, last, until_us, contents in self._read(READ_BACKLOG)
        ]

    def newest_id_before(self, at_us: int) -> int:
        """The id of the newest batch that was spooled before a time, 0 when there is none."""
        return int(self._read("SELECT coalesce(max(id), 0) FROM batch WHERE spooled_us < ?", at_us)[0][0])

    def holes(self) -> list[Hole]:
        """What was given up, as long as the collector has not checkpointed that it knows."""
        return [Hole(*row) for row in self._read("SELECT epoch, first, last, reason FROM hole ORDER BY rowid")]

    def finish(self, ranges: Ranges) -> None:
        """The collector has stored these; those that were dropped while they were under way are not lost then."""
        done = "UPDATE batch SET is_done = 1 WHERE is_done = 0 AND epoch = ? AND seq BETWEEN ? AND ?"
        kept = "DELETE FROM dropped WHERE epoch = ? AND seq BETWEEN ? AND ?"
        self._write_sometime([(sql, span) for span in spans(ranges) for sql in (done, kept)])

    def reject(self, epoch: int, seq: int, reason: str) -> None:
        """The collector will never store this one."""
        with self._lock:
            lost = blame(self._contents(epoch, seq), Cause.REJECTED, reason)
            done = "UPDATE batch SET is_done = 1, contents = '[]' WHERE epoch = ? AND seq = ?"
            told = "DELETE FROM dropped WHERE epoch = ? AND seq = ?"
            self._write_sometime([(done, (epoch, seq)), (told, (epoch, seq)), *order.unlinking(epoch, seq), *self._losing(lost)])

    def release(self, ranges: Ranges) -> None:
        """The collector has checkpointed these: forget them."""
        done = "UPDATE batch SET is_done = 1 WHERE is_done = 0 AND epoch = ? AND seq BETWEEN ? AND ?"
        batches = "DELETE FROM batch WHERE epoch = ? AND seq BETWEEN ? AND ?"
        holes = "DELETE FROM hole WHERE epoch = ? AND first >= ? AND last <= ?"
        self._write_sometime([(sql, span) for span in spans(ranges) for sql in (done, batches, holes)])

    def reconcile(self, durable: Ranges) -> None:
        """Take the collector's word for what it holds: exactly that is done, all else is to be sent, even if it was acked before."""
        with self._lock:
            self._connection.execute("DELETE FROM durable")
            self._connection.executemany("INSERT INTO durable VALUES (?, ?, ?)", spans(durable))
            not_stored = [blame(accounts.load(contents), *REASONS[reason]) for contents, reason in self._read(READ_NOT_STORED)]
            lost = join(stretch for of_batch in not_stored for stretch in of_batch)
            self._write_sometime([(RECONCILE, ()), *self._losing(lost), ("DELETE FROM dropped", ())])
            self._uncertain_until = 0

    def give_up(self, spooled: Spooled) -> None:
        """Drop one batch that the collector says is too large to be sent."""
        with self._lock:
            lost = blame(self._contents(spooled.epoch, spooled.seq), *REASONS["too_large"])
            hole = leaving(spooled.epoch, spooled.seq, spooled.seq, "too_large")
            self._write_sometime([deleting(spooled.id), *hole, *self._losing(lost)])
            self._losses.note_drops(1, reason="too_large")

    def stats(self) -> SpoolStats:
        batches, stored = self._read("SELECT batches, bytes FROM total")[0]
        return SpoolStats(batches=batches, bytes=stored, dropped_batches=self._losses.dropped, at_risk_batches=self._losses.at_risk)

    def _filling(self, payloads: Sequence[bytes], contents: Sequence[Sequence[Stretch]], first_seq: int) -> Iterator[Statement]:
        if self._unwritten_from is not None:
            yield from leaving(self.epoch, self._unwritten_from, first_seq - 1, "disk_full")
        now_us = to_us(self._clock.now())
        insert = "INSERT INTO batch (epoch, seq, spooled_us, payload, contents) VALUES (?, ?, ?, ?, ?)"
        for seq, (payload, stretches) in enumerate(zip_longest(payloads, contents, fillvalue=()), first_seq):
            yield insert, (self.epoch, seq, now_us, payload, accounts.dump(stretches))

    def _settling_lost(self) -> Iterator[Statement]:
        """Remember what was lost in the meantime, and forget what is being told."""
        yield from self._losing(self._unwritten)
        for id_ in self._handed_out:
            yield "DELETE FROM lost WHERE id = ?", (id_,)

    def _note_unwritten(self, first_seq: int, batches: int, accounted: Sequence[Stretch], error: sqlite3.Error) -> None:
        """What was handed out is still in `lost`; all else that these batches held is lost as well."""
        handed_out = set(self._handed_out.values())
        lost = blame((stretch for stretch in accounted if stretch not in handed_out), *REASONS["disk_full"])
        self._unwritten = join([*self._unwritten, *lost])
        if batches:
            self._unwritten_from = self._unwritten_from or first_seq
        self._losses.note_full_disk(batches, error)

    def _losing(self, stretches: Sequence[Stretch]) -> Iterator[Statement]:
        return accounts.losing(stretches, after_id=max(self._handed_out, default=0))

    def _contents(self, epoch: int, seq: int) -> list[Stretch]:
        return [stretch for (text,) in self._read(READ_CONTENTS, epoch, seq) for stretch in accounts.load(text)]

    def _newest_id(self) -> int:
        return int(self._read("SELECT coalesce(max(id), 0) FROM batch")[0][0])

    def _enforce_bounds(self) -> None:
        for reason, is_done, oldest in self._beyond_bounds():
            given_up = [] if is_done else [*self._leaving(oldest, reason)]
            if self._write([*(deleting(entry.id) for entry in oldest), *given_up]) is not None:
                return  # nothing was dropped, so nothing is counted; the next append tries again
            if is_done:
                self._losses.note_at_risk(len(oldest))
            else:
                self._losses.note_drops(len(oldest), reason=reason)

    def _leaving(self, entries: Sequence[Entry], reason: str) -> Iterator[Statement]:
        """What stays of unsent batches that are dropped: their holes, and what they accounted for."""
        for run in runs(entries):
            yield from leaving(*run, reason)
        certain: list[Stretch] = []
        for entry in entries:
            ((contents,),) = self._read("SELECT contents FROM batch WHERE id = ?", entry.id)
            if entry.id <= self._uncertain_until or (entry.epoch, entry.seq) in self._under_way:
                yield "INSERT INTO dropped VALUES (?, ?, ?, ?)", (entry.epoch, entry.seq, reason, contents)
            else:
                certain += blame(accounts.load(contents), *REASONS[reason])
        yield from self._losing(join(certain))

    def _beyond_bounds(self) -> Iterator[tuple[str, bool, Sequence[Entry]]]:
        """What must go, in portions: reason, whether it is done, the batches. What the collector already holds goes first."""
        horizon_us = to_us(self._clock.now()) - round(self._config.max_age * 1e6)
        for is_done in (True, False):
            while aged := [entry for entry in self._oldest(is_done) if entry.spooled_us < horizon_us]:
                yield "spool_age", is_done, aged
        for is_done in (True, False):
            while (excess := self.stats().bytes - self._config.max_bytes) > 0 and (oldest := self._oldest(is_done)):
                yield "spool_overflow", is_done, covering(oldest, excess)

    def _oldest(self, is_done: bool) -> list[Entry]:
        sql = "SELECT id, epoch, seq, spooled_us, length(payload) FROM batch WHERE is_done = ? ORDER BY id LIMIT 64"
        return [Entry(*row) for row in self._read(sql, is_done)]

    def _read(self, sql: str, *parameters: object) -> list[Any]:
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def _write_sometime(self, statements: Sequence[Statement]) -> None:
        """Run statements now, or with the next transaction if the disk is full."""
        with self._lock:
            if self._write(statements) is not None:
                self._held_up.extend(statements)

    def _write(self, statements: Sequence[Statement]) -> sqlite3.Error | None:
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
