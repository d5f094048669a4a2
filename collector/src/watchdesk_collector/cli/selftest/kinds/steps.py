"""Faults in the middle of history's work: the collector kills itself right after a step of it."""

import os
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from watchdesk_collector.cli.demo.waiting import DemoError
from watchdesk_collector.cli.selftest.arena import Arena
from watchdesk_collector.cli.selftest.collector_process import ARM, HURRY, last_words, orders
from watchdesk_collector.cli.selftest.kinds.kind import NotHit
from watchdesk_collector.cli.selftest.kinds.sending import settle
from watchdesk_collector.cli.selftest.rogue import PAST
from watchdesk_collector.cli.selftest.seats import CollectorSeat
from watchdesk_collector.history.steps import Step

REACHED_WITHIN_S = 40.0
FROM_START = 0.25
MOST = {Step.ROWS_INSERTED: 8, Step.ROWS_COMMITTED: 8, Step.FILE_WRITTEN: 12, Step.FILE_RENAMED: 12, Step.FILE_SYNCED: 12, Step.CHECKPOINTED: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class KillAt:
    """The collector dies at one of these steps, the first or a later time that it passes it, and is started again."""

    name: str
    steps: Sequence[Step]

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        step, from_its_start = rng.choice(self.steps), rng.random() < FROM_START
        count = rng.randint(1, MOST.get(step, 1))
        collector = arena.collector
        (_restart if from_its_start else _arm)(collector, step, count)
        is_reached = _is_reached(arena, step)
        collector.kill()
        collector.start()
        settle(arena.rogue)
        if not is_reached:
            raise NotHit(f"the collector did not come to the step {step} {count} times within {REACHED_WITHIN_S:.0f} s")


def _restart(collector: CollectorSeat, step: Step, count: int) -> None:
    """Have it die at a step of its start, or soon after it: also the start after a kill has such steps."""
    collector.kill()
    collector.start("--kill-at", step, "--count", str(count))


def _arm(collector: CollectorSeat, step: Step, count: int) -> None:
    """Have the one that runs die at a step."""
    orders(collector.config).write_text(f"{step} {count}\n", encoding="ascii")
    os.kill(collector.program.pid, ARM)


def _is_reached(arena: Arena, step: Step) -> bool:
    """Wait until the collector has killed itself there; False when it does not. **Errors**: DemoError when it ends in another way."""
    collector = arena.collector
    try:
        arena.until("The collector", lambda: collector.answers() or not collector.is_running, timeout_s=REACHED_WITHIN_S)
        PROVOKE.get(step, _wait)(arena)
        arena.until("The end of the collector", lambda: not collector.is_running, timeout_s=REACHED_WITHIN_S)
    except DemoError:
        return False
    if collector.program.exit_code == -signal.SIGKILL and last_words(step) in collector.program.last_words():
        return True
    raise DemoError(f"The collector ended by itself on the way to the step {step}:\n{collector.program.last_words()}")


def _wait(_: Arena) -> None:
    """The step comes by itself."""


def _declare(arena: Arena) -> None:
    """Send what comes with a declaration that is news."""
    arena.rogue.widen()
    arena.rogue.send(arena.rogue.make(1))


def _let_time_pass(arena: Arena) -> None:
    """Have files of long ago, and have the collector do what it does when hours have passed."""
    collector = arena.collector
    arena.rogue.send([arena.rogue.make_past()])
    sealed = collector.state_dir / "history" / "parquet" / PAST.name
    arena.until("A file of the past", lambda: any(sealed.rglob("*.parquet")) or not collector.is_running, timeout_s=REACHED_WITHIN_S)
    if collector.is_running:
        os.kill(collector.program.pid, HURRY)


PROVOKE: Mapping[Step, Callable[[Arena], None]] = {
    Step.TABLES_DECLARED: _declare,
    Step.FILES_RETIRED: _let_time_pass,
    Step.FILE_UNLINKED: _let_time_pass,
}
