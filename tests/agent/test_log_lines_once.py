"""Every log line is stored once, whatever becomes of agent, connection, collector and state directory.

The agent's parts are the real ones, from the log file to what is said on the stream; time and the collector are not: it is a list of the batches that
it committed, in their order, with a mark behind those that are checkpointed.
"""

import itertools
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from agent.unpacking import tables_of
from fakes import FakeClock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from watchdesk_agent.flush import Flush
from watchdesk_agent.log_tail import LogTail
from watchdesk_agent.logs import LOG, LogConfig, LogReader
from watchdesk_agent.logs.config import StartAt
from watchdesk_agent.model import Samples
from watchdesk_agent.spool import Spool, SpoolConfig
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

    def take(self, request: pb.StreamRequest) -> set[tuple[int, int]]:
        """Commit what it says, if that is not done yet. Returns what is to be acked."""
        if request.HasField("dropped"):
            self._committed.append(request.dropped)
            return _keys_of(request.dropped)
        if not request.HasField("batch"):
            return set()
        keys = _keys_of(request.batch)
        if not keys <= self.keys():
            self._committed.append(request.batch)
        return keys

    def keys(self, until: int | None = None) -> set[tuple[int, int]]:
        return {key for one in self._committed[:until] for key in _keys_of(one)}

    def welcome(self, hello: pb.Hello) -> pb.Welcome:
        told = [one for one in self._committed if isinstance(one, pb.Batch) and one.log_positions]
        positions = None
        if told:
            values = {key: value for one in told for key, value in one.log_positions.items()}
            kept = {key: value for key, value in values.items() if value}
            positions = pb.LogPositions(epoch=told[-1].epoch, seq=told[-1].seq, values=kept)
        durable = {key for key in self.keys() if key[0] in hello.spooled_epochs}
        return pb.Welcome(durable=to_ranges(durable), limits=LIMITS, log_positions=positions)

    def checkpoint(self) -> list[pb.EpochRanges]:
        self._checkpointed = len(self._committed)
        return to_ranges(self.keys())

    def lose_write_ahead_log(self) -> None:
        del self._committed[self._checkpointed :]

    def lines(self) -> list[str]:
        batches = [one for one in self._committed if isinstance(one, pb.Batch)]
        tables = [table for batch in batches for table in tables_of(batch) if table.schema_id == LOG.schema_id]
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
        self.flush = Flush(
            spool=self.spool,
            logs=LogTail(reader, spool=self.spool, clock=clock, marker=read_marker(state)),
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
                acked = held.take(request)
                if acked and is_answered:
                    self.conversation.take(pb.StreamResponse(ack=pb.Ack(acked=to_ranges(acked))))
        if not is_answered:
            self.disconnect()
        return said

    def kill(self) -> None:
        self.disconnect()
        self.reader.close()
        self.spool.close()


class LinesMachine(RuleBasedStateMachine):
    """Two programs that log, one host, one collector, and whatever may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm", prefix="lines-")
        root = Path(self.folder.name)
        self.state, self.logs, self.copies = root / "state", root / "logs", root / "copies"
        self.logs.mkdir()
        self.copies.mkdir()
        self.clock = FakeClock()
        self.held = Held()
        self.written: list[str] = []
        self.made_copies = 0
        self.life = Life(self.state, self.logs, self.clock)
        for name in ("app", "web"):
            (self.logs / f"{name}.log").touch()
        self.everything_is_there_once()  # nothing yet, but the files were seen once, and the collector holds where they are read from
        self.held.checkpoint()

    def teardown(self) -> None:
        try:
            self.everything_is_there_once()
        finally:
            self.life.kill()
            self.folder.cleanup()

    @rule(name=st.sampled_from(["app", "web"]), count=st.integers(1, 5))
    def write(self, name: str, count: int) -> None:
        with (self.logs / f"{name}.log").open("a") as file:
            for _ in range(count):
                self.written.append(f"error: {len(self.written)} of {name} {'x' * 60}")
                file.write(self.written[-1] + "\n")

    @rule(name=st.sampled_from(["app", "web"]))
    def rotate(self, name: str) -> None:
        for number in range(9, 0, -1):
            if (older := self.logs / f"{name}.log.{number}").exists():
                older.rename(self.logs / f"{name}.log.{number + 1}")
        if (newest := self.logs / f"{name}.log").exists():
            newest.rename(self.logs / f"{name}.log.1")
        newest.touch()

    @rule(passed_s=st.sampled_from([0.0, 10.0, 100.0]))
    def flush(self, passed_s: float) -> None:
        self.clock.advance(passed_s)
        self.life.flush.add(Samples(LEVEL, [(0, (1.0,))]))
        self.life.flush.flush()

    @precondition(lambda self: self.life.conversation is None)
    @rule()
    def connect(self) -> None:
        self.life.connect(self.held)

    @precondition(lambda self: self.life.conversation is not None)
    @rule(rounds=st.integers(1, 8), is_answered=st.booleans())
    def send(self, rounds: int, is_answered: bool) -> None:
        self.life.send(self.held, rounds=rounds, is_answered=is_answered)

    @precondition(lambda self: self.life.conversation is not None)
    @rule()
    def checkpoint(self) -> None:
        assert self.life.conversation is not None
        self.life.conversation.take(pb.StreamResponse(checkpointed=pb.Checkpointed(checkpointed=self.held.checkpoint())))

    @rule()
    def checkpoint_in_silence(self) -> None:
        self.held.checkpoint()

    @rule()
    def lose_write_ahead_log(self) -> None:
        self.life.disconnect()
        self.held.lose_write_ahead_log()

    @rule()
    def restart_agent(self) -> None:
        self.life.kill()
        self.life = Life(self.state, self.logs, self.clock)

    @rule()
    def copy_state(self) -> None:
        self.made_copies += 1
        copy = self.copies / str(self.made_copies)
        copy.mkdir()
        for name in ("agent_id", "spool.db", "spool.db-wal"):
            if (self.state / name).exists():
                shutil.copy2(self.state / name, copy / name)

    @precondition(lambda self: self.made_copies > 0)
    @rule(data=st.data(), way=st.sampled_from(["anew", "in place", "only the spool"]))
    def restore_state(self, data: st.DataObject, way: str) -> None:
        """Possibly over a life that has more to tell than the copy, and possibly one that is more recent than what ran last."""
        copy = self.copies / str(data.draw(st.integers(1, self.made_copies)))
        self.life.kill()
        for file in self.state.iterdir():
            if way == "anew" or file.name.startswith("spool.db-"):
                file.unlink()
        for file in copy.iterdir():
            if way != "only the spool" or file.name != "agent_id":
                shutil.copy2(file, self.state / file.name)
        self.life = Life(self.state, self.logs, self.clock)

    @rule()
    def everything_is_there_once(self) -> None:
        for _ in range(4):
            self.life.disconnect()
            self.life.connect(self.held)
            self.flush(SETTLED_AFTER_S)
            while self.life.send(self.held, rounds=1, is_answered=True):
                pass
        counts = Counter(self.held.lines())
        assert {line for line in self.written if counts[line] == 0} == set(), "lost"
        assert {line: count for line, count in counts.items() if count > 1} == {}, "doubled"


LinesMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_every_line_is_stored_once = LinesMachine.TestCase
