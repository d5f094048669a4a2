"""One run: round after round breaks something, the oracle looks after each, and at the end everything is drained and counted once more."""

import random
from collections.abc import Sequence

from watchdesk_collector.cli.demo.waiting import DemoError
from watchdesk_collector.cli.selftest.arena import Arena
from watchdesk_collector.cli.selftest.kinds import Kind, NotHit
from watchdesk_collector.cli.selftest.ledgers import Key
from watchdesk_collector.cli.selftest.oracle import Finding, Oracle, Outcomes
from watchdesk_collector.cli.selftest.stored import Stored, missing_lines, read_stored

ANSWER_WITHIN_S = 60.0
DRAIN_WITHIN_S = 60.0
LAST_BATCHES = 3  # how often an agent that was stopped with something unsent is started again to send it


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
        self._refusal = ""

    def play(self, kind: Kind, rng: random.Random) -> Sequence[Finding]:
        """One round, and what came to light after it. **Errors**: DemoError, Interrupted."""
        self._begin_round(kind)
        try:
            kind.inject(self._arena, rng)
        except NotHit as miss:
            self.kinds[-1] = f"{kind.name}, missed"
            self.misses.append(f"Round {len(self.kinds)} was no {kind.name}: {miss}.")
        self._arena.settle()
        stored, acked = self._look()
        return self.oracle.check(stored, acked=acked, current_round=len(self.kinds))

    def finish(self) -> Sequence[Finding]:
        """Let everything arrive, stop the agents, and judge what is there. **Errors**: DemoError, Interrupted."""
        self._arena.ledgers.read()
        self._arena.ledgers.current_round = 0
        self._arena.writer.stop()
        self._await_arrivals()
        for agent in self._arena.agents:
            agent.stop()
        for _ in range(LAST_BATCHES):
            stored, _ = self._look()
            if not self._lacking():
                break
            self._send_the_last()
        return self.oracle.close(stored, missing_lines={agent.host: self._missing_lines(agent.host) for agent in self._arena.agents})

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
        self._look()
        return not self._lacking() and not any(self._missing_lines(agent.host) for agent in self._arena.agents)

    def _send_the_last(self) -> None:
        for agent in self._arena.agents:
            agent.start()
        self._arena.settle()
        self._await_arrivals()
        for agent in self._arena.agents:
            agent.stop()

    def _lacking(self) -> bool:
        return any(not story.thrown_away for story in self.oracle.unresolved(self.outcomes).values())

    def _missing_lines(self, host: str) -> list[int]:
        """The rounds in which the lines were written that are not stored."""
        writer = self._arena.writer
        return [writer.round_of(number) for number in missing_lines(self._arena.collector.api, host=host, written=writer.lines)]

    def _look(self) -> tuple[Stored, frozenset[Key]]:
        """What is stored now, and what had been acked before."""
        ledgers = self._arena.ledgers
        ledgers.read()
        acked = self.oracle.acked()
        stored = self._arena.until("History's answer", self._ask, timeout_s=ANSWER_WITHIN_S)
        ledgers.read()
        self.outcomes = Outcomes(stored.batches)
        return stored, acked

    def _ask(self) -> Stored | None:
        try:
            return read_stored(self._arena.collector.api)
        except OSError as error:
            self._refusal = str(error)
            return None
