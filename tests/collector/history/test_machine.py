"""Any interleaving of what history does, restarts and crashes included, keeps every row once and the ranges equal to the rows."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from collector.history.kit import CPU, EPOCH, HOST, START, batch, batch_seqs, history_at, hole, ranges, stored_seqs
from fakes import FakeClock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from watchdesk_collector.history import Change, RangeSet
from watchdesk_proto.catalogue import Measurement, gauge


class HistoryMachine(RuleBasedStateMachine):
    """The model is two sets of seqs: those stored and those that are holes."""

    changes = Bundle("changes")

    @initialize()
    def begin(self) -> None:
        self.place = TemporaryDirectory()
        self.crashes = 0
        self.folder = Path(self.place.name) / "0"
        self.clock = FakeClock(START)
        self.history = history_at(self.folder, clock=self.clock)
        self.next_seq = 1
        self.columns = 0
        self.stored: set[int] = set()
        self.holes: set[int] = set()
        self.checkpointed: set[int] = set()

    @rule(batches=st.integers(0, 4), holes=st.integers(0, 3), skip=st.integers(0, 2))
    def commit(self, batches: int, holes: int, skip: int) -> None:
        first = self.next_seq + skip
        self.next_seq = first + batches + holes
        stored = range(first, first + batches)
        last = self.next_seq - 1
        self.history.commit([batch(seq) for seq in stored], [hole(first + batches, last)] if holes else [])
        self.stored |= set(stored)
        self.holes |= set(range(first + batches, last + 1))

    @rule()
    def fill_a_gap(self) -> None:
        gaps = sorted(set(range(1, self.next_seq)) - self.stored - self.holes)
        if gaps:
            self.history.commit([batch(gaps[0])], [])
            self.stored.add(gaps[0])

    @rule()
    def declare(self) -> None:
        self.columns += 1
        wider = Measurement(name="cpu", help="Processors.", columns=(*CPU.columns, gauge(f"extra{self.columns}", "Extra.")))
        assert self.history.declare(wider) is None
        self.checkpointed = self.stored | self.holes

    @rule()
    def checkpoint(self) -> None:
        assert self.history.checkpoint()
        self.checkpointed = self.stored | self.holes

    @rule()
    def rotate(self) -> None:
        self.history.rotate()

    @rule(target=changes)
    def export(self) -> Change | None:
        return self.history.export()

    @rule(target=changes)
    def merge(self) -> Change | None:
        return self.history.merge()

    @rule(change=consumes(changes))
    def apply(self, change: Change | None) -> None:
        if change is not None:
            self.history.apply(change)

    @rule()
    def seal(self) -> None:
        self.history.seal()

    @rule()
    def compact(self) -> None:
        self.history.compact()

    @rule(seconds=st.sampled_from([1, 301, 3601, 86401]))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def reopen(self) -> None:
        self.history.reopen()

    @rule()
    def restart(self) -> None:
        self.history.close()
        self.history = history_at(self.folder, clock=self.clock)

    @rule(loses_the_log=st.booleans())
    def crash(self, loses_the_log: bool) -> None:
        """What a kill -9 leaves, copied by another process; a lost log takes back what was not checkpointed."""
        self.crashes += 1
        copied = Path(self.place.name) / str(self.crashes)
        subprocess.run(["cp", "-a", str(self.folder), str(copied)], check=True)
        certain = self.history.checkpointed(HOST).get(EPOCH, RangeSet())
        self.history.close()
        self.folder = copied
        if loses_the_log:
            (copied / "hot.duckdb.wal").unlink(missing_ok=True)
            self.stored = {seq for seq in self.stored if seq in certain}
            self.holes = {seq for seq in self.holes if seq in certain}
        self.history = history_at(self.folder, clock=self.clock)

    @invariant()
    def every_row_is_there_once_and_the_ranges_say_so(self) -> None:
        everything = self.stored | self.holes
        assert stored_seqs(self.history) == sorted(self.stored)
        assert batch_seqs(self.history) == sorted(everything)
        assert ranges(self.history.durable(HOST)) == ({EPOCH: RangeSet((seq, seq) for seq in everything).to_list()} if everything else {})
        certain = self.history.checkpointed(HOST).get(EPOCH, RangeSet())
        assert all(seq in certain for seq in self.checkpointed & everything)

    def teardown(self) -> None:
        if hasattr(self, "history"):
            self.history.close()
            self.place.cleanup()


HistoryMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
test_any_interleaving_keeps_every_row_once = HistoryMachine.TestCase
