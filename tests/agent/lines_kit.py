"""An agent's life from its logs to what it says on the stream, on a clock of its own, and what a collector holds of it."""

import itertools
from pathlib import Path

from agent.unpacking import tables_of
from fakes import FakeClock
from watchdesk_agent.flush import Flush
from watchdesk_agent.log_tail import LogTail
from watchdesk_agent.logs import LOG, LogConfig, LogReader
from watchdesk_agent.logs.config import StartAt
from watchdesk_agent.spool import Spool, SpoolConfig, TheirPositions
from watchdesk_agent.state import read_agent_id, read_marker
from watchdesk_agent.uplink import Introduction, Tally
from watchdesk_agent.uplink.conversation import Conversation
from watchdesk_proto.catalogue import Measurement, gauge
from watchdesk_proto.v1 import ingest_pb2 as pb

LEVEL = Measurement(name="level", help="A test.", columns=(gauge("value", "A number."),))
LIMITS = pb.Limits(max_batch_bytes=100_000, max_in_flight=4, max_future_seconds=300)
SETTLED_AFTER_S = 400.0  # entries wait for further lines, renamed files for further entries
EPOCHS = itertools.count(1)


def to_ranges(keys: set[tuple[int, int]]) -> list[pb.EpochRanges]:
    by_epoch: dict[int, list[pb.SeqRange]] = {}
    for epoch, seq in sorted(keys):
        by_epoch.setdefault(epoch, []).append(pb.SeqRange(first=seq, last=seq))
    return [pb.EpochRanges(epoch=epoch, ranges=ranges) for epoch, ranges in by_epoch.items()]


class Held:
    """What the collector holds: batches and holes as they were committed."""

    def __init__(self) -> None:
        self._committed: list[pb.Batch | pb.Dropped] = []
        self._checkpointed = 0
        self.rejects = False
        self.rejected_lines: set[str] = set()

    def take(self, request: pb.StreamRequest) -> pb.StreamResponse | None:
        """Commit what it says, if that is not done yet. Returns the answer."""
        if request.HasField("dropped"):
            self._committed.append(request.dropped)
            return _ack(_keys_of(request.dropped))
        if not request.HasField("batch"):
            return None
        batch = request.batch
        if _keys_of(batch) <= self.keys():
            return _ack(_keys_of(batch))
        if self.rejects:
            self.reject(batch.epoch, batch.seq)
            self.rejected_lines.update(_lines_of(batch))
            return pb.StreamResponse(reject=pb.Reject(epoch=batch.epoch, seq=batch.seq, reason="a test"))
        self._committed.append(batch)
        return _ack(_keys_of(batch))

    def keys(self, until: int | None = None) -> set[tuple[int, int]]:
        return {key for one in self._committed[:until] for key in _keys_of(one)}

    def positions(self) -> TheirPositions | None:
        told = [one for one in self._committed if isinstance(one, pb.Batch) and one.log_positions]
        if not told:
            return None
        values = {key: value for one in told for key, value in one.log_positions.items()}
        return TheirPositions(epoch=told[-1].epoch, seq=told[-1].seq, values={key: value for key, value in values.items() if value})

    def welcome(self, hello: pb.Hello) -> pb.Welcome:
        durable = {key for key in self.keys() if key[0] in hello.spooled_epochs}
        theirs = self.positions()
        positions = pb.LogPositions(epoch=theirs.epoch, seq=theirs.seq, values=theirs.values) if theirs else None
        return pb.Welcome(durable=to_ranges(durable), limits=LIMITS, log_positions=positions)

    def checkpoint(self) -> list[pb.EpochRanges]:
        self._checkpointed = len(self._committed)
        return to_ranges(self.keys())

    def lose_write_ahead_log(self) -> None:
        del self._committed[self._checkpointed :]

    def copy(self) -> "Held":
        copied = Held()
        copied._committed = list(self._committed)
        return copied

    def reject(self, epoch: int, seq: int) -> None:
        self._committed.append(pb.Dropped(epoch=epoch, seqs=pb.SeqRange(first=seq, last=seq)))

    def lines(self) -> list[str]:
        return [line for one in self._committed if isinstance(one, pb.Batch) for line in _lines_of(one)]


def _ack(keys: set[tuple[int, int]]) -> pb.StreamResponse:
    return pb.StreamResponse(ack=pb.Ack(acked=to_ranges(keys)))


def _lines_of(batch: pb.Batch) -> list[str]:
    tables = [table for table in tables_of(batch) if table.schema_id == LOG.schema_id]
    return [table.texts[code] for table in tables for code in memoryview(table.words).cast("q")[5 * table.rows : 6 * table.rows]]


def _keys_of(one: pb.Batch | pb.Dropped) -> set[tuple[int, int]]:
    if isinstance(one, pb.Batch):
        return {(one.epoch, one.seq)}
    return {(one.epoch, seq) for seq in range(one.seqs.first, one.seqs.last + 1)}


class Life:
    """One run of an agent on a state directory."""

    def __init__(self, state: Path, logs: Path, clock: FakeClock) -> None:
        state.mkdir(exist_ok=True)
        self.agent_id = read_agent_id(state)
        self.clock = clock
        self.spool = Spool(state / "spool.db", config=SpoolConfig(), epoch=next(EPOCHS), clock=clock)
        sources = [
            LogConfig(name=name, files=(f"{logs}/{name}.log",), start_at=StartAt.BEGINNING, max_lines_per_minute=10**6) for name in ("app", "web")
        ]
        reader = LogReader(sources, positions=self.spool.positions())
        self.tail = LogTail(reader, spool=self.spool, clock=clock, marker=read_marker(state))
        self.flush = Flush(
            spool=self.spool,
            logs=self.tail,
            clock=clock,
            interval_s=10.0,
            phase=0.0,
            max_batch_bytes=lambda: 100_000,
            is_connected=lambda: self.conversation is not None,
            on_spooled=lambda: None,
        )
        self.reader = reader
        self.conversation: Conversation | None = None

    def connect(self, held: Held) -> None:
        who = Introduction(agent_id=self.agent_id, host="web-1", boot_id="b", agent_version="0")
        conversation = Conversation(introduction=who, spool=self.spool, clock=self.clock, tally=Tally(), compare=self.flush.compare)
        hello = next(conversation.requests()).hello
        conversation.take(pb.StreamResponse(welcome=held.welcome(hello)))
        self.conversation = conversation

    def disconnect(self) -> None:
        if self.conversation is not None:
            self.conversation.close()
        self.conversation = None

    def send(self, held: Held, *, rounds: int, is_answered: bool) -> bool:
        """Say what is due; whether anything was. Without an answer the connection is lost as well."""
        assert self.conversation is not None
        said = False
        for _ in range(rounds):
            for request in self.conversation.due():
                said = True
                answer = held.take(request)
                if answer is not None and is_answered:
                    self.conversation.take(answer)
        if not is_answered:
            self.disconnect()
        return said

    def checkpoint(self, held: Held) -> None:
        assert self.conversation is not None
        self.conversation.take(pb.StreamResponse(checkpointed=pb.Checkpointed(checkpointed=held.checkpoint())))

    def kill(self) -> None:
        self.disconnect()
        self.reader.close()
        self.spool.close()
