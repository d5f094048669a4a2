"""One agent's open stream: what it declared, what it is owed, and the messages that go back to it.

Before it: `service`, which reads the stream. After it: `committer`, which hands back receipts. Invariant: an Ack or Reject leaves only for a receipt,
that is, after COMMIT. Answers wait in a queue of their own, so that a slow reader never holds up the commit; the queue is bounded because an agent
has at most `max_in_flight` batches under way and each costs one answer.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import grpc
from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_collector.history import Positions, RangeSet
from watchdesk_collector.ingest.committer import Receipt, Verdict
from watchdesk_collector.ingest.layouts import Shape
from watchdesk_collector.model import Arrival, Hole, Host, Outcome

CLOCK_QUERIES = 3  # some minutes


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a stream ends; the agent gets both."""

    code: grpc.StatusCode
    because: str


class Session:
    """State of one stream; lives on the event loop alone."""

    def __init__(self, *, host: Host, epoch: int, epochs: Iterable[int]) -> None:
        self.host = host
        self.epoch = epoch
        self.epochs = frozenset({epoch, *epochs})
        self.schemas: dict[int, Shape | str] = {}  # a text says why the declaration was refused
        self.seen_layouts: set[bytes] = set()
        self.answers: asyncio.Queue[pb.StreamResponse | None] = asyncio.Queue()
        self._clock_offsets_s: deque[float] = deque([host.clock_offset_s], maxlen=CLOCK_QUERIES)
        self.ending: Ending | None = None
        self.is_void = False
        self._is_welcome = False
        self._told_checkpointed: dict[int, list[tuple[int, int]]] = {}

    def receive(self, receipts: Sequence[Receipt]) -> None:
        """Turn the committer's receipts into answers: one Ack for all that is durable, a Reject each for what never will be."""
        acked: dict[int, RangeSet] = {}
        for receipt in receipts:
            if receipt.verdict is Verdict.UNAVAILABLE:
                return self.void(Ending(grpc.StatusCode.RESOURCE_EXHAUSTED, receipt.reason))
            if (reject := _reject_of(receipt)) is not None:
                self.answers.put_nowait(pb.StreamResponse(reject=reject))
            else:
                _add(acked, receipt.entry)
        if acked:
            self.answers.put_nowait(pb.StreamResponse(ack=pb.Ack(acked=_to_wire(acked))))
        return None

    def clock_offset_s(self, agent_us: int, collector_us: int) -> float:
        """How far the agent's clock is ahead, of a query that just came: one that was under way for long only makes it look behind."""
        self._clock_offsets_s.append((agent_us - collector_us) / 1e6)
        return max(self._clock_offsets_s)

    def tell_checkpointed(self, ranges_by_epoch: Mapping[int, RangeSet]) -> None:
        """Say what is checkpointed by now, if that is news to this agent; nothing before its Welcome."""
        if not self._is_welcome:
            return
        news = {
            epoch: ranges for epoch, ranges in ranges_by_epoch.items() if epoch in self.epochs and self._told_checkpointed.get(epoch) != list(ranges)
        }
        if not news:
            return
        self._told_checkpointed.update({epoch: list(ranges) for epoch, ranges in news.items()})
        self.answers.put_nowait(pb.StreamResponse(checkpointed=pb.Checkpointed(checkpointed=_to_wire(news))))

    def welcome(self, *, durable: Mapping[int, RangeSet], positions: Positions | None, limits: pb.Limits, clock_us: int) -> None:
        """Comes before any other answer."""
        ours = {epoch: ranges for epoch, ranges in durable.items() if epoch in self.epochs}
        log_positions = pb.LogPositions(epoch=positions.epoch, seq=positions.seq, values=positions.values) if positions else None
        welcome = pb.Welcome(clock_us=clock_us, durable=_to_wire(ours), limits=limits, log_positions=log_positions)
        self.answers.put_nowait(pb.StreamResponse(welcome=welcome))
        self._is_welcome = True

    def void(self, ending: Ending) -> None:
        """End the stream, and have nothing of it stored that is not stored yet: something sent before was not, or another stream has taken over."""
        self.is_void = True
        self.end(ending)

    def end(self, ending: Ending) -> None:
        """End the stream; what it still has under way is not acked and comes again."""
        self.ending = self.ending or ending
        self.answers.put_nowait(None)


def _reject_of(receipt: Receipt) -> pb.Reject | None:
    entry = receipt.entry
    if isinstance(entry, Hole):
        return pb.Reject(epoch=entry.epoch, seq=entry.first, reason=entry.reason) if entry.outcome is Outcome.REJECTED else None
    if receipt.verdict is Verdict.CONFLICT:
        return pb.Reject(epoch=entry.epoch, seq=entry.seq, reason=receipt.reason)
    return None


def _add(acked: dict[int, RangeSet], entry: Arrival | Hole) -> None:
    first, last = (entry.first, entry.last) if isinstance(entry, Hole) else (entry.seq, entry.seq)
    acked.setdefault(entry.epoch, RangeSet()).add(first, last)


def _to_wire(ranges_by_epoch: Mapping[int, RangeSet]) -> list[pb.EpochRanges]:
    return [
        pb.EpochRanges(epoch=epoch, ranges=[pb.SeqRange(first=first, last=last) for first, last in ranges])
        for epoch, ranges in ranges_by_epoch.items()
    ]
