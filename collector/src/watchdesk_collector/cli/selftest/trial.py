"""One run: round after round breaks something, the oracle looks after each, and at the end everything is drained and counted once more."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from watchdesk_collector.cli.demo.waiting import DemoError
from watchdesk_collector.cli.selftest.arena import Arena
from watchdesk_collector.cli.selftest.kinds import Kind, NotHit
from watchdesk_collector.cli.selftest.ledgers import Key
from watchdesk_collector.cli.selftest.oracle import Finding, Oracle, Outcomes
from watchdesk_collector.cli.selftest.stored import Stored, StoredReader, missing_lines

ANSWER_WITHIN_S = 150.0  # longer than a query may take
DRAIN_WITHIN_S = 60.0
T = TypeVar("T")
LAST_BATCHES = 3  # how often an agent that was stopped with something unsent is started again to send it


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is stored, what had been acked before that was asked, and whether something that had been spooled before is not there."""

    stored: Stored
    acked: frozenset[Key]
    is_lacking: bool


class Trial:
    """A run under way; `kinds` has the kind of each round so far, `misses` the rounds whose fault did not come about, in sentences.

    `outcomes` is what history said last.
    """

    def __init__(self, arena: Arena) -> None:
        self.kinds: list[str] = []
        self.oracle = Oracle(arena.ledgers)
        self.outcomes = Outcomes(())
        self.misses: list[str] = []
        self._arena = arena
        self._reader = StoredReader(arena.collector.api)

    def play(self, kind: Kind, rng: random.Random) -> Sequence[Finding]:
        """One round, and what came to light after it. **Errors**: DemoError, Interrupted."""
        self._begin_round(kind)
        try:
            kind.inject(self._arena, rng)
        except NotHit as miss:
            self.kinds[-1] = f"{kind.name}, missed"
            self.misses.append(f"Round {len(self.kinds)} was no {kind.name}: {miss}.")
        self._arena.settle()
        look = self._look()
        return self.oracle.check(look.stored, acked=look.acked, current_round=len(self.kinds))

    def finish(self) -> Sequence[Finding]:
        """Let everything arrive, stop the agents, and judge what is there. **Errors**: DemoError, Interrupted."""
        self._arena.ledgers.read()
        self._arena.ledgers.current_round = 0
        self._arena.writer.stop()
        self._await_arrivals()
        look = self._look_at_the_last()
        return self.oracle.close(look.stored, missing_lines={agent.host: self._missing_lines(agent.host) for agent in self._arena.agents})

    def _begin_round(self, kind: Kind) -> None:
        self._arena.ledgers.read()
        self.kinds.append(kind.name)
        self._arena.ledgers.current_round = len(self.kinds)
        self._arena.writer.note_round()

    def _await_arrivals(self) -> None:
        """Until nothing is lacking, or for as long as an agent may need; the judgement comes later."""
        try:
            self._arena.until("The end of the backlog", self._has_arrived, timeout_s=DRAIN_WITHIN_S)
        except DemoError:
            return

    def _has_arrived(self) -> bool:
        return not self._look().is_lacking and not any(self._missing_lines(agent.host) for agent in self._arena.agents)

    def _look_at_the_last(self) -> Look:
        """With all agents stopped; those that had no time to send everything get some."""
        for _ in range(LAST_BATCHES):
            look = self._stop_and_look()
            if not look.is_lacking:
                return look
            for agent in self._arena.agents:
                agent.start()
            self._arena.settle()
            self._await_arrivals()
        return self._stop_and_look()

    def _stop_and_look(self) -> Look:
        for agent in self._arena.agents:
            agent.stop()
        return self._look()

    def _look(self) -> Look:
        ledgers = self._arena.ledgers
        ledgers.read()
        acked, spooled = self.oracle.acked(), self.oracle.spooled()
        stored = self._answer(lambda: self._reader.read(sampled=ledgers.measurements()))
        ledgers.read()
        self.outcomes = Outcomes(stored.batches)
        return Look(stored=stored, acked=acked, is_lacking=any(key not in self.outcomes for key in spooled))

    def _missing_lines(self, host: str) -> list[int]:
        """The rounds in which the lines were written that are not stored."""
        writer = self._arena.writer
        missing = self._answer(lambda: list(missing_lines(self._arena.collector.api, host=host, written=writer.lines)))
        return [writer.round_of(number) for number in missing]

    def _answer(self, question: Callable[[], T]) -> T:
        """Ask until the collector answers; it may be away, or have too much to do. **Errors**: DemoError, Interrupted."""
        refusal = ""

        def ask() -> T | None:
            nonlocal refusal
            try:
                return question()
            except OSError as error:
                refusal = str(error)
                return None

        try:
            return self._arena.until("History's answer", ask, timeout_s=ANSWER_WITHIN_S)
        except DemoError as error:
            raise DemoError(f"{error} It said last: {refusal}") from error
