"""Group commit: all agents' batches of a quarter second in one DuckDB transaction, and acks after COMMIT has returned.

Before it: `stream`, which submits decoded batches. After it: `history`, on the one writer thread. Invariant: a receipt says `stored` only for what a
COMMIT holds; what fails is not acked, so the agent still has it.
Each lane's queue is bounded by bytes: `submit` waits while it is full, the stream is then not read, and the agent spools.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias, TypeVar

from watchdesk_collector.clock import Clock
from watchdesk_collector.history import CommitFailed, History, HistoryFailed, HistoryFull
from watchdesk_collector.ingest.lane_queue import LaneQueue
from watchdesk_collector.ingest.packed import PackedBatch, unpack
from watchdesk_collector.ingest.refused import DecodeError, reject
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Hole, Lane, Outcome

T = TypeVar("T")
Entry: TypeAlias = Arrival | Hole | PackedBatch
ALL_ROWS = 2**62
HOLE_BYTES = 64
log = logging.getLogger(__name__)


class Verdict(StrEnum):
    """What became of one submitted entry."""

    DURABLE = "durable"
    CONFLICT = "conflict"  # another batch is already stored under this key: two agents share an identity
    UNAVAILABLE = "unavailable"  # not stored, try again later


@dataclass(frozen=True, slots=True)
class Receipt:
    """The committer's answer to one entry."""

    entry: Arrival | Hole
    verdict: Verdict
    reason: str = ""


class Recipient(Protocol):
    """Who is told what became of its entries; called on the event loop. If void, its entries are neither stored nor told of."""

    @property
    def is_void(self) -> bool: ...

    def receive(self, receipts: Sequence[Receipt]) -> None: ...


class OnWriter(Protocol):
    """Runs a function on the history's one writer thread."""

    def __call__(self, function: Callable[..., T], *args: object) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class _Queued:
    entry: Entry
    recipient: Recipient
    bytes: int
    rows: int

    @classmethod
    def of(cls, entry: Entry, recipient: Recipient) -> "_Queued":
        match entry:
            case PackedBatch():
                return cls(entry, recipient, entry.content_bytes, entry.layout.layout.rows)
            case Arrival():
                return cls(entry, recipient, entry.bytes, entry.rows)
            case Hole():
                return cls(entry, recipient, HOLE_BYTES, 1)


class Committer:
    """Gathers entries and commits them in groups, live before backfill."""

    def __init__(
        self,
        *,
        history: History,
        on_writer: OnWriter,
        on_durable: Callable[[Sequence[Arrival | Hole]], None],
        clock: Clock,
        metrics: Metrics,
        interval_s: float,
        max_rows: int,
        max_queued_bytes: int,
    ) -> None:
        self._history = history
        self._on_writer = on_writer
        self._on_durable = on_durable
        self._clock = clock
        self._metrics = metrics
        self._interval_s = interval_s
        self._max_rows = max_rows
        self._live: LaneQueue[_Queued] = LaneQueue(max_queued_bytes // 2)
        self._backfill: LaneQueue[_Queued] = LaneQueue(max_queued_bytes // 2)
        metrics.queue_batches.set_function(lambda: len(self._live) + len(self._backfill))
        metrics.queue_bytes.set_function(lambda: self._live.bytes + self._backfill.bytes)
        self._ailment: str | None = None
        self._work = asyncio.Event()

    def ailment(self) -> str | None:
        """Why the last group could not be stored, in a sentence; None when it was."""
        return self._ailment

    async def submit(self, entry: Entry, recipient: Recipient) -> None:
        """Queue an entry; waits while its lane is full."""
        backfill = not isinstance(entry, Hole) and entry.lane is Lane.BACKFILL
        await (self._backfill if backfill else self._live).put(_Queued.of(entry, recipient))
        self._work.set()

    async def run(self) -> None:
        """Commit group after group until cancelled; a group under way when cancelled is finished first."""
        while True:
            await self._work.wait()
            await asyncio.sleep(self._interval_s)
            group = self._take()
            await asyncio.shield(asyncio.ensure_future(self._commit(group)))

    async def drain(self) -> None:
        """Commit what is queued; for an orderly stop."""
        while self._live or self._backfill:
            await self._commit(self._take())

    def _take(self) -> list[_Queued]:
        taken = [*self._live.take(max_rows=ALL_ROWS), *self._backfill.take(max_rows=self._max_rows)]
        group = [queued for queued in taken if not queued.recipient.is_void]
        if not self._backfill:
            self._work.clear()
        return group

    def _commit(self, group: Sequence[_Queued]) -> Coroutine[None, None, None]:
        """Hands the group to the writer before anybody else can ask it for anything: what it is asked from now on, it answers after this commit."""
        started_s = self._clock.monotonic_s()
        committing = self._on_writer(commit_group, self._history, self._metrics, [queued.entry for queued in group])
        return self._answer(group, committing, started_s)

    async def _answer(self, group: Sequence[_Queued], committing: Awaitable[list[Receipt]], started_s: float) -> None:
        receipts = await committing
        self._metrics.commit_seconds.observe(self._clock.monotonic_s() - started_s)
        durable = [receipt.entry for receipt in receipts if receipt.verdict is Verdict.DURABLE]
        self._ailment = next((receipt.reason for receipt in receipts if receipt.verdict is Verdict.UNAVAILABLE), None)
        self._count(durable)
        self._on_durable(durable)
        receipts_by_recipient: dict[Recipient, list[Receipt]] = {}
        for queued, receipt in zip(group, receipts, strict=True):
            receipts_by_recipient.setdefault(queued.recipient, []).append(receipt)
        for recipient, its_receipts in receipts_by_recipient.items():
            recipient.receive(its_receipts)

    def _count(self, durable: Sequence[Arrival | Hole]) -> None:
        arrivals = [entry for entry in durable if isinstance(entry, Arrival)]
        self._metrics.batches.labels(Outcome.STORED).inc(len(arrivals))
        self._metrics.values.inc(sum(arrival.values for arrival in arrivals))
        for entry in durable:
            if isinstance(entry, Hole):
                self._metrics.batches.labels(entry.outcome).inc(entry.last - entry.first + 1)


def commit_group(history: History, metrics: Metrics, received: Sequence[Entry]) -> list[Receipt]:
    """Store what isn't stored yet, in one transaction; one receipt per entry, in order. Runs on the writer thread."""
    entries = _unpacked(received, metrics)
    sorted_out = _sort_out(history, entries)
    before, within = sorted_out.before, sorted_out.within
    try:
        history.commit(sorted_out.arrivals, sorted_out.holes)
    except (HistoryFull, CommitFailed) as error:
        log.error("history takes nothing, agents will send again: %s", error)
        return [before.get(id(e)) or Receipt(e, Verdict.UNAVAILABLE, str(error)) for e in entries]
    except HistoryFailed as error:
        log.error("history failed and is reopened, agents will send again: %s", error)
        history.reopen()
        return [Receipt(e, Verdict.UNAVAILABLE, "the collector reopened its history") for e in entries]
    return [before.get(id(e)) or within.get(id(e)) or Receipt(e, Verdict.DURABLE) for e in entries]


def _unpacked(received: Sequence[Entry], metrics: Metrics) -> list[Arrival | Hole]:
    def refuse(batch: PackedBatch, error: DecodeError) -> Hole:
        return reject(error, host=batch.host, epoch=batch.epoch, seq=batch.seq, received_at_us=batch.received_at_us, metrics=metrics)

    unpacked = unpack([entry for entry in received if isinstance(entry, PackedBatch)], refuse)
    return [unpacked[id(entry)] if isinstance(entry, PackedBatch) else entry for entry in received]


@dataclass(frozen=True, slots=True)
class _SortedOut:
    """A group, split into what must be stored and what need not: stored before, or there twice within the group. Receipts by id of the entry."""

    arrivals: list[Arrival]
    holes: list[Hole]
    before: dict[int, Receipt]
    within: dict[int, Receipt]


def _sort_out(history: History, entries: Sequence[Arrival | Hole]) -> _SortedOut:
    result = _SortedOut([], [], {}, {})
    hashes: dict[tuple[int, int, int], int] = {}
    for entry in entries:
        if isinstance(entry, Hole):
            result.holes.extend(_unfilled(history, entry))
            continue
        key = (entry.host_id, entry.epoch, entry.seq)
        if key in hashes:
            result.within[id(entry)] = _duplicate(entry, hashes[key])
        elif _is_durable(history, entry):
            result.before[id(entry)] = _duplicate(entry, history.content_hash(*key))
        else:
            hashes[key] = entry.content_hash
            result.arrivals.append(entry)
    return result


def _is_durable(history: History, entry: Arrival) -> bool:
    ranges = history.durable(entry.host_id).get(entry.epoch)
    return ranges is not None and entry.seq in ranges


def _unfilled(history: History, hole: Hole) -> list[Hole]:
    """A hole declared again (its ack was lost) is already filled."""
    ranges = history.durable(hole.host_id).get(hole.epoch)
    return [] if ranges is not None and not ranges.missing(hole.first, hole.last) else [hole]


def _duplicate(entry: Arrival, stored_hash: int | None) -> Receipt:
    """The same content again is acked again; other content under the same key is a cloned identity, never swallowed."""
    if stored_hash is None or stored_hash == entry.content_hash:
        return Receipt(entry, Verdict.DURABLE)
    reason = "another batch with this number is already stored: two agents use one identity; remove the state directory of the copy"
    return Receipt(entry, Verdict.CONFLICT, reason)
