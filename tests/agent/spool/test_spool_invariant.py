"""A batch is either in the spool, or durable at the collector, or counted as dropped; never none of these, whatever happens in whatever order."""

import tempfile
from pathlib import Path

from fakes import FakeClock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from watchdesk_agent.spool import Spool, SpoolConfig

Key = tuple[int, int]
BOUND = 1_000


def spans(keys: set[Key]) -> dict[int, list[tuple[int, int]]]:
    """As the collector says it: ranges that do not touch."""
    ranges: dict[int, list[tuple[int, int]]] = {}
    for epoch, seq in sorted(keys):
        known = ranges.setdefault(epoch, [])
        if known and known[-1][1] == seq - 1:
            known[-1] = (known[-1][0], seq)
        else:
            known.append((seq, seq))
    return ranges


class SpoolMachine(RuleBasedStateMachine):
    """An agent's spool and a collector that commits, checkpoints, and loses what is not checkpointed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm", prefix="spool-")
        self.path = Path(self.folder.name) / "spool.db"
        self.clock = FakeClock()
        self.epoch = 0
        self.appended: dict[Key, bytes] = {}
        self.stored: set[Key] = set()  # at the collector, in its write-ahead log or checkpointed
        self.checkpointed: set[Key] = set()
        self.under_way: list[Key] = []
        self.cursor = 0
        self.ever_dropped: set[Key] = set()
        self.dropped_before = self.at_risk_before = 0
        self.start()

    def start(self) -> None:
        self.epoch += 1
        self.seq = 0
        self.spool = Spool(self.path, config=SpoolConfig(max_bytes=BOUND, max_age=3600.0), epoch=self.epoch, clock=self.clock)
        self.connect()

    def connect(self) -> None:
        self.spool.reconcile(spans(self.stored))
        self.under_way, self.cursor = [], 0

    def teardown(self) -> None:
        self.spool.close()
        self.folder.cleanup()

    @rule(sizes=st.lists(st.integers(20, 300), min_size=1, max_size=4))
    def append(self, sizes: list[int]) -> None:
        payloads = []
        for size in sizes:
            self.seq += 1
            payloads.append(f"{self.epoch}/{self.seq}/".encode().ljust(size, b"."))
            self.appended[self.epoch, self.seq] = payloads[-1]
        assert self.spool.append(payloads, declarations={}, positions={})
        self.clock.advance(10)

    @rule()
    def send(self) -> None:
        spooled = self.spool.next_unsent(after=self.cursor)
        if spooled is not None:
            assert spooled.payload == self.appended[spooled.epoch, spooled.seq]
            assert (spooled.epoch, spooled.seq) not in self.checkpointed
            self.cursor = spooled.id
            self.under_way.append((spooled.epoch, spooled.seq))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def commit_and_ack(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(key)
        self.stored.add(key)
        self.spool.finish(spans({key}))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def commit_and_lose_the_ack(self, data: st.DataObject) -> None:
        self.stored.add(data.draw(st.sampled_from(self.under_way)))

    @rule()
    def checkpoint(self) -> None:
        self.checkpointed |= self.stored
        self.spool.release(spans(self.checkpointed))

    @rule()
    def checkpoint_and_lose_the_notice(self) -> None:
        self.checkpointed |= self.stored

    @rule()
    def reconnect(self) -> None:
        self.connect()

    @rule()
    def lose_the_write_ahead_log(self) -> None:
        self.stored = set(self.checkpointed)
        self.connect()

    @rule()
    def restart_the_agent(self) -> None:
        self.dropped_before += self.spool.stats().dropped_batches
        self.at_risk_before += self.spool.stats().at_risk_batches
        self.spool.close()
        self.start()

    @rule()
    def let_batches_get_too_old(self) -> None:
        self.clock.advance(4000)

    @rule()
    def declare_what_was_dropped(self) -> None:
        self.stored |= self.holes()

    @invariant()
    def nothing_is_unaccounted_for(self) -> None:
        missing = set(self.appended) - self.unsent() - self.stored - self.holes()
        assert len(missing) <= self.at_risk_before + self.spool.stats().at_risk_batches, f"neither here nor there: {sorted(missing)}"

    @invariant()
    def every_dropped_batch_is_counted_and_left_a_hole(self) -> None:
        self.ever_dropped |= self.holes()
        assert len(self.ever_dropped) == self.dropped_before + self.spool.stats().dropped_batches
        assert not self.holes() & self.unsent()

    @invariant()
    def the_bound_holds(self) -> None:
        assert self.spool.stats().bytes <= BOUND

    def holes(self) -> set[Key]:
        return {(hole.epoch, seq) for hole in self.spool.holes() for seq in range(hole.first, hole.last + 1)}

    def unsent(self) -> set[Key]:
        found: set[Key] = set()
        after = 0
        while (spooled := self.spool.next_unsent(after=after)) is not None:
            found.add((spooled.epoch, spooled.seq))
            after = spooled.id
        return found


TestSpoolInvariant = SpoolMachine.TestCase
TestSpoolInvariant.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
