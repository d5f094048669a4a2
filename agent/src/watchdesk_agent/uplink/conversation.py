"""One stream, from Hello to its end: what is said to the collector, and what its answers mean for the spool.

Before it: `uplink`, which opens streams. After it: the collector. Invariant: a batch leaves the spool only because the collector said so; a batch is
sent once per stream, and at most `max_in_flight` are unanswered.

Two lanes: what is spooled from now on, and what was spooled within `FRESH_S` before, is live and goes first; what lay in the spool before that is
backfill, and leaves a quarter of the window to the live lane. How many bytes of backfill may be under way is the collector's word: what is live
waits behind them on the way. Batches with log lines keep their order whatever the lane (see `spool.order`), and go before backfill.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_agent.clock import Clock, to_us
from watchdesk_agent.spool import Hole, Ranges, Spool, Spooled, TheirPositions
from watchdesk_agent.uplink.tally import Tally
from watchdesk_agent.wire import schema_ids_of

log = logging.getLogger(__name__)

FRESH_S = 30.0
CLOCK_QUERY_EVERY_S = 60.0
DEFAULT_LIMITS = pb.Limits(max_batch_bytes=1024 * 1024, max_in_flight=16, max_future_seconds=300)
NUMBERING_BYTES = 64  # epoch, seq, lane and field headers, on top of what is spooled
_NUMBERS = re.compile(r"\d+")

Compare: TypeAlias = Callable[[TheirPositions | None], None]  # told the collector's log positions, if it has any; SpoolError ends the stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """Who this agent is."""

    agent_id: str
    host: str
    boot_id: str
    agent_version: str


class Conversation:
    """`requests` runs on one thread and `take` on another; `wake` may be called from any."""

    def __init__(self, *, introduction: Introduction, spool: Spool, clock: Clock, tally: Tally, compare: Compare) -> None:
        self._introduction = introduction
        self._spool = spool
        self._clock = clock
        self._tally = tally
        self._compare = compare
        self.limits = DEFAULT_LIMITS
        self.made_progress = False
        self._news = threading.Event()
        self._at_spool = threading.Lock()  # held by `requests` while it works with the spool
        self._is_closed = False
        self._is_welcome = False
        self._in_flight: dict[tuple[int, int], int] = {}  # to the bytes of it that are backfill
        self._live_cursor = 0
        self._backfill_cursor = 0
        self._backfill_end = 0
        self._ordered_cursor = 0
        self._ordered_backfill: set[tuple[int, int]] = set()
        self._told_holes: set[Hole] = set()
        self._told_rejects: set[str] = set()  # reasons without their numbers: each is logged once per stream, all are counted
        self._declared: set[int] = set()
        self._greeted_us = 0
        self._next_clock_query_s = 0.0

    def requests(self) -> Iterator[pb.StreamRequest]:
        """What to say, in order; waits while there is nothing. Ends after `close`."""
        yield pb.StreamRequest(hello=self._hello())
        while not self._is_closed:
            due = self.due()
            yield from due
            if not due:
                self._wait()

    def wake(self) -> None:
        """Something was spooled."""
        self._news.set()

    def close(self) -> None:
        """The stream is over; the spool is not touched any more when this returns."""
        self._is_closed = True
        self._news.set()
        with self._at_spool:
            pass

    def take(self, response: pb.StreamResponse) -> None:
        """Act on one answer."""
        match response.WhichOneof("message"):
            case "welcome":
                self._take_welcome(response.welcome)
            case "ack":
                self._take_ack(_ranges(response.ack.acked))
            case "reject":
                self._take_reject(response.reject)
            case "checkpointed":
                self._spool.release(_ranges(response.checkpointed.checkpointed))
            case "clock_reply":
                self._note_clocks(response.clock_reply.agent_us, response.clock_reply.collector_us)
        self._news.set()

    def _hello(self) -> pb.Hello:
        who = self._introduction
        self._greeted_us = to_us(self._clock.now())
        return pb.Hello(
            agent_id=who.agent_id,
            epoch=self._spool.epoch,
            host=who.host,
            boot_id=who.boot_id,
            agent_version=who.agent_version,
            clock_us=self._greeted_us,
            spooled_epochs=sorted({self._spool.epoch, *self._spool.epochs()}),
            samplers=[
                pb.Sampler(name=one.sampler, interval_us=one.interval_us, since_us=one.since_us, is_proven=one.is_proven)
                for one in self._spool.covered()
            ],
            backlog=[
                pb.Backlog(epoch=one.epoch, seqs=pb.SeqRange(first=one.first, last=one.last), since_us=one.since_us, until_us=one.until_us)
                for one in self._spool.backlog()
            ],
        )

    def _wait(self) -> None:
        """Wait for news, or until it is time to ask for the clock."""
        self._news.wait(max(0.0, self._next_clock_query_s - self._clock.monotonic_s()) if self._is_welcome else None)
        self._news.clear()

    def due(self) -> list[pb.StreamRequest]:
        """What can be said now: at most one batch, and what must come before it."""
        with self._at_spool:
            if self._is_closed or not self._is_welcome:
                return []
            return [*self._due_clock_query(), *self._untold_holes(), *self._due_batch()]

    def _due_clock_query(self) -> Iterator[pb.StreamRequest]:
        if self._clock.monotonic_s() >= self._next_clock_query_s:
            self._next_clock_query_s = self._clock.monotonic_s() + CLOCK_QUERY_EVERY_S
            yield pb.StreamRequest(clock_query=pb.ClockQuery(agent_us=to_us(self._clock.now())))

    def _untold_holes(self) -> Iterator[pb.StreamRequest]:
        """A batch that was dropped while it is under way is a hole once it is answered: until then the collector may store it."""
        for hole in self._spool.holes():
            if hole not in self._told_holes and not self._is_under_way(hole):
                self._told_holes.add(hole)
                yield pb.StreamRequest(dropped=pb.Dropped(epoch=hole.epoch, seqs=pb.SeqRange(first=hole.first, last=hole.last), reason=hole.reason))

    def _is_under_way(self, hole: Hole) -> bool:
        return any(epoch == hole.epoch and hole.first <= seq <= hole.last for epoch, seq in tuple(self._in_flight))

    def _due_batch(self) -> Iterator[pb.StreamRequest]:
        next_batch = self._next_batch()
        if next_batch is None:
            return
        spooled, lane = next_batch
        batch = pb.Batch.FromString(spooled.payload)
        if max(len(spooled.payload) + NUMBERING_BYTES, batch.content_bytes) > self.limits.max_batch_bytes:
            self._spool.give_up(spooled)
            yield from self._untold_holes()
            return
        batch.epoch, batch.seq, batch.lane = spooled.epoch, spooled.seq, lane
        yield from self._undeclared(schema_ids_of(batch))
        self._in_flight[spooled.epoch, spooled.seq] = len(spooled.payload) if lane == pb.LANE_BACKFILL else 0
        self._tally.sent_batches += 1
        yield pb.StreamRequest(batch=batch)

    def _next_batch(self) -> "tuple[Spooled, pb.Lane.ValueType] | None":
        """The next batch that there is room for: live samples, then log lines in their order, then backfill."""
        if not self._has_room(pb.LANE_LIVE) and not self._has_room(pb.LANE_BACKFILL):
            return None
        if self._has_room(pb.LANE_LIVE) and (spooled := self._spool.next_unsent(after=self._live_cursor, is_ordered=False)):
            self._live_cursor = spooled.id
            return spooled, pb.LANE_LIVE
        if ordered := self._next_ordered():
            self._ordered_cursor = ordered[0].id
            return ordered
        if not self._has_room(pb.LANE_BACKFILL):
            return None
        spooled = self._spool.next_unsent(after=self._backfill_cursor, until=self._backfill_end, is_ordered=False)
        if spooled and self._has_room(pb.LANE_BACKFILL, len(spooled.payload)):
            self._backfill_cursor = spooled.id
            return spooled, pb.LANE_BACKFILL
        return None

    def _next_ordered(self) -> "tuple[Spooled, pb.Lane.ValueType] | None":
        """The next batch that holds log lines. The collector keeps the order within a lane, so those of one lane wait for those of the other."""
        spooled = self._spool.next_unsent(after=self._ordered_cursor, is_ordered=True)
        if spooled is None:
            return None
        lane = pb.LANE_LIVE if spooled.id > self._backfill_end else pb.LANE_BACKFILL
        if lane == pb.LANE_LIVE and not self._ordered_backfill.isdisjoint(tuple(self._in_flight)):
            return None
        if not self._has_room(lane, len(spooled.payload)):
            return None
        if lane == pb.LANE_BACKFILL:
            self._ordered_backfill.add((spooled.epoch, spooled.seq))
        return spooled, lane

    def _has_room(self, lane: "pb.Lane.ValueType", size: int = 0) -> bool:
        """Backfill leaves a quarter of the window, and has a bound of its own in bytes; with nothing of it under way, one goes whatever its size."""
        window = self.limits.max_in_flight
        if lane == pb.LANE_LIVE:
            return len(self._in_flight) < window
        under_way, limit = sum(tuple(self._in_flight.values())), self.limits.max_backfill_bytes
        return len(self._in_flight) < max(1, window - window // 4) and (not under_way or not limit or under_way + size <= limit)

    def _undeclared(self, schema_ids: Iterable[int]) -> Iterator[pb.StreamRequest]:
        missing = set(schema_ids) - self._declared
        if not missing:
            return
        payloads = self._spool.declarations()
        for schema_id in missing:
            yield pb.StreamRequest(declaration=pb.Declaration.FromString(payloads[schema_id]))
        self._declared |= missing

    def _take_welcome(self, welcome: pb.Welcome) -> None:
        self.limits = welcome.limits
        self._note_clocks(self._greeted_us, welcome.clock_us)
        self._spool.reconcile(_ranges(welcome.durable))
        self._compare(_positions(welcome))
        self._spool.watch(self._in_flight)
        self._backfill_end = self._live_cursor = self._spool.newest_id_before(to_us(self._clock.now()) - round(FRESH_S * 1e6))
        self._tally.is_connected = True
        self._is_welcome = True

    def _take_ack(self, ranges: Ranges) -> None:
        self._spool.finish(ranges)
        self._tally.acked_batches += self._settle(ranges)

    def _take_reject(self, reject: pb.Reject) -> None:
        kind = _NUMBERS.sub("", reject.reason)
        if kind not in self._told_rejects:
            self._told_rejects.add(kind)
            log.error("the collector rejects batch %x/%d, its samples are lost: %s", reject.epoch, reject.seq, reject.reason)
        self._spool.reject(reject.epoch, reject.seq, reject.reason)
        self._tally.rejected_batches += self._settle({reject.epoch: [(reject.seq, reject.seq)]})

    def _settle(self, ranges: Ranges) -> int:
        """The collector is done with these seqs. Returns how many batches of this stream were among them."""
        settled = [(epoch, seq) for epoch, seq in tuple(self._in_flight) if any(first <= seq <= last for first, last in ranges.get(epoch, ()))]
        for number in settled:
            self._in_flight.pop(number, None)
        self.made_progress = True
        return len(settled)

    def _note_clocks(self, asked_us: int, collector_us: int) -> None:
        """The collector read its clock about halfway between the question and now."""
        self._tally.clock_offset_s = ((asked_us + to_us(self._clock.now())) / 2 - collector_us) / 1e6


def _positions(welcome: pb.Welcome) -> TheirPositions | None:
    if not welcome.HasField("log_positions"):
        return None
    theirs = welcome.log_positions
    return TheirPositions(epoch=theirs.epoch, seq=theirs.seq, values=dict(theirs.values))


def _ranges(message: Iterable[pb.EpochRanges]) -> Ranges:
    return {entry.epoch: [(span.first, span.last) for span in entry.ranges] for entry in message}
