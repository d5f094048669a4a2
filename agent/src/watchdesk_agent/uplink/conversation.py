"""One stream, from Hello to its end: what is said to the collector, and what its answers mean for the spool.

Before it: `uplink`, which opens streams. After it: the collector. Invariant: a batch leaves the spool only because the collector said so; a batch is
sent once per stream, and at most `max_in_flight` are unanswered.

Two lanes: what is spooled from now on, and what was spooled within `FRESH_S` before, is live and goes first; what lay in the spool before that is
backfill, and leaves a quarter of the window to the live lane.
"""

import logging
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_agent.clock import Clock, to_us
from watchdesk_agent.spool import Hole, Ranges, Spool, Spooled
from watchdesk_agent.uplink.tally import Tally
from watchdesk_agent.wire import schema_ids_of

log = logging.getLogger(__name__)

FRESH_S = 30.0
CLOCK_QUERY_EVERY_S = 60.0
DEFAULT_LIMITS = pb.Limits(max_batch_bytes=1024 * 1024, max_in_flight=16, max_future_seconds=300)
NUMBERING_BYTES = 64  # epoch, seq, lane and field headers, on top of what is spooled
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """Who this agent is."""

    agent_id: str
    host: str
    boot_id: str
    agent_version: str


class Conversation:
    """`requests` runs on one thread and `take` on another; `wake` may be called from any."""

    def __init__(self, *, introduction: Introduction, spool: Spool, clock: Clock, tally: Tally) -> None:
        self._introduction = introduction
        self._spool = spool
        self._clock = clock
        self._tally = tally
        self.limits = DEFAULT_LIMITS
        self.made_progress = False
        self._news = threading.Event()
        self._at_spool = threading.Lock()  # held by `requests` while it works with the spool
        self._is_closed = False
        self._is_welcome = False
        self._in_flight: set[tuple[int, int]] = set()
        self._live_cursor = 0
        self._backfill_cursor = 0
        self._backfill_end = 0
        self._told_holes: set[Hole] = set()
        self._told_rejects: set[str] = set()  # reasons without their numbers: each is logged once per stream, all are counted
        self._declared: set[int] = set()
        self._greeted_us = 0
        self._next_clock_query_s = 0.0

    def requests(self) -> Iterator[pb.StreamRequest]:
        """What to say, in order; waits while there is nothing. Ends after `close`."""
        yield pb.StreamRequest(hello=self._hello())
        while not self._is_closed:
            due = self._take_due()
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
        )

    def _wait(self) -> None:
        """Wait for news, or until it is time to ask for the clock."""
        self._news.wait(max(0.0, self._next_clock_query_s - self._clock.monotonic_s()) if self._is_welcome else None)
        self._news.clear()

    def _take_due(self) -> list[pb.StreamRequest]:
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
        for hole in self._spool.holes():
            if hole not in self._told_holes:
                self._told_holes.add(hole)
                yield pb.StreamRequest(dropped=pb.Dropped(epoch=hole.epoch, seqs=pb.SeqRange(first=hole.first, last=hole.last), reason=hole.reason))

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
        self._in_flight.add((spooled.epoch, spooled.seq))
        self._tally.sent_batches += 1
        yield pb.StreamRequest(batch=batch)

    def _next_batch(self) -> "tuple[Spooled, pb.Lane.ValueType] | None":
        """The next batch that the window has room for, live before backfill."""
        under_way, window = len(self._in_flight), self.limits.max_in_flight
        if under_way < window and (spooled := self._spool.next_unsent(after=self._live_cursor)):
            self._live_cursor = spooled.id
            return spooled, pb.LANE_LIVE
        if under_way < max(1, window - window // 4) and (spooled := self._spool.next_unsent(after=self._backfill_cursor, until=self._backfill_end)):
            self._backfill_cursor = spooled.id
            return spooled, pb.LANE_BACKFILL
        return None

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
        settled = {(epoch, seq) for epoch, seq in tuple(self._in_flight) if any(first <= seq <= last for first, last in ranges.get(epoch, ()))}
        self._in_flight -= settled
        self.made_progress = True
        return len(settled)

    def _note_clocks(self, asked_us: int, collector_us: int) -> None:
        """The collector read its clock about halfway between the question and now."""
        self._tally.clock_offset_s = ((asked_us + to_us(self._clock.now())) / 2 - collector_us) / 1e6


def _ranges(message: Iterable[pb.EpochRanges]) -> Ranges:
    return {entry.epoch: [(span.first, span.last) for span in entry.ranges] for entry in message}
