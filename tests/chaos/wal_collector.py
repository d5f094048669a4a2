"""The same with the real collector and the real agent: both are killed, the collector's log is damaged, both start, and the agent sends again.

The truth is what an undamaged start leads to. What is gone can only come from the agent's spool, so that this also shows that an agent keeps what the
collector has acked and not checkpointed.
"""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import Site, site
from wal_check import Damage, Result
from wal_history import LOG
from watchdesk_collector.cli.demo.waiting import DemoError

RECORD_S = 6.0
LINES = 40
START_S = 30
KINDS = ("cut", "flip", "cut", "flip", "twice")
NAMES = "SELECT DISTINCT measurement FROM catalog WHERE measurement NOT IN ('batch', 'completeness', 'gap') ORDER BY ALL"  # what is stored as rows
ROWS = "SELECT '{name}', count(*), sum(hash(one)::HUGEINT)::VARCHAR FROM {name} AS one WHERE epoch_us(ts) <= {until_us}"
BATCHES = "SELECT 'batch', count(*), sum(hash(seq, seq_to, outcome, content_hash)::HUGEINT)::VARCHAR FROM batch WHERE epoch = {epoch}"
STORED = "SELECT coalesce(sum(seq_to - seq + 1), 0) FROM batch WHERE epoch = {epoch}"
Digest = list[list[object]]


def check_collector(seed: int, starts: int) -> Iterator[tuple[Damage, Result]]:
    if not starts:
        return
    rng = random.Random(seed)
    with site(flush_interval="200ms") as here:
        recorded = _Recorded.make(here)
        size = recorded.log.stat().st_size
        for number in range(starts):
            damage = Damage(KINDS[number % len(KINDS)], rng.randrange(size), rng.randrange(8))
            yield damage, recorded.check(damage)


@dataclass
class _Recorded:
    """A site whose programs were killed, and what history is once they are back."""

    here: Site
    states: Path
    epoch: int
    batches: int
    until_us: int
    truth: Digest

    @property
    def log(self) -> Path:
        return self.states / "collector" / "history" / LOG

    @classmethod
    def make(cls, here: Site) -> "_Recorded":
        here.configure(collector='[history]\ncheckpoint_interval = "1h"\n')
        here.start()
        here.collector.stop()  # checkpoints: the agent may forget what it has sent so far
        here.start_collector()
        _write_lines(here)
        here.agent.kill()
        here.collector.kill()
        states = here.directory / "recorded"
        for name in ("collector", "agent"):
            shutil.copytree(here.directory / name, states / name)
        ((epoch, batches, until_us),) = here.spool("SELECT epoch, max(seq), max(spooled_us) FROM batch GROUP BY epoch")
        recorded = cls(here, states, epoch, batches, until_us, [])
        recorded._start(lambda log: log)
        recorded._await_all()
        recorded.truth = recorded._digest()
        return recorded

    def check(self, damage: Damage) -> Result:
        try:
            there = self._start(damage.apply)
        except DemoError as error:
            return Result(failure=str(error))
        try:
            self._await_all()
        except DemoError as error:
            return Result(difference=f"{self.batches - self._stored()} batches are missing: {error}")
        digest = self._digest()
        difference = "" if digest == self.truth else f"{[row for row in digest if row not in self.truth]} is not the truth"
        set_aside = sum(path.stat().st_size for path in self.here.collector_state.glob("history/set-aside/*/*"))
        return Result(difference=difference, sent_again=self.batches - there, set_aside=set_aside)

    def _start(self, damage: Callable[[bytes], bytes]) -> int:
        """Both programs, on the recorded states with a damaged log; how many batches were there before the agent came."""
        self.here.agent.kill()
        self.here.collector.kill()
        for name in ("collector", "agent"):
            shutil.rmtree(self.here.directory / name)
            shutil.copytree(self.states / name, self.here.directory / name)
        log = self.here.collector_state / "history" / LOG
        log.write_bytes(damage(log.read_bytes()))
        self.here.start_collector()
        there = self._stored()
        self.here.start_agent()
        return there

    def _await_all(self) -> None:
        self.here.wait("every batch", lambda: self._stored() >= self.batches, timeout_s=START_S)

    def _stored(self) -> int:
        return self.here.number(STORED.format(epoch=self.epoch))

    def _digest(self) -> Digest:
        """(table, rows, hash over all that is in them) of what the killed agent had sampled."""
        parts = [BATCHES.format(epoch=self.epoch), *(ROWS.format(name=name, until_us=self.until_us) for (name,) in self.here.rows(NAMES))]
        return self.here.rows(" UNION ALL ".join(parts) + " ORDER BY ALL")


def _write_lines(here: Site) -> None:
    """For some seconds, so that many commits are in the log."""
    with here.application_log.open("a", buffering=1) as log:
        for number in range(LINES):
            log.write(f"ERROR program: line {number}\n")
            time.sleep(RECORD_S / LINES)
    here.wait("the lines", lambda: here.number("SELECT count(*) FROM log WHERE source = 'application'") == LINES)
