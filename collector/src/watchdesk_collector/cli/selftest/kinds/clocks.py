"""Faults of clocks: an agent's wall clock is set while it runs.

What the product does: it follows the clock. Set ahead, the slots in between hold no sample and become rows of `missed` with the cause `clock_step`;
set back by less than ten seconds, it waits for the clock to come to new slots; by more, it takes slots again, so that a slot may rightly hold two
samples, each in a batch of its own. Doubled is what is stored more often than it was sampled.
"""

import random
from dataclasses import dataclass

from watchdesk_collector.cli.selftest.arena import Arena
from watchdesk_collector.cli.selftest.kinds.processes import MOMENT_S
from watchdesk_collector.cli.selftest.seats import AgentSeat

STEPS_S = (0.2, 200.0)
FURTHEST_S = 240.0  # the collector takes no samples from further ahead than five minutes
BETWEEN_S = (0.0, 2.0)
NOTICED_WITHIN_S = 20.0
NOTICE = b"the wall clock was set by"


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock of one agent is set twice, each time ahead or back by anything from tenths of a second to minutes, and stays so."""

    name: str = "clock_step"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        agent, moment_s, between_s = rng.choice(arena.agents), rng.uniform(0, MOMENT_S), rng.uniform(*BETWEEN_S)
        first_s, second_s = _step_s(rng), _step_s(rng)
        arena.pause(moment_s)
        _step(arena, agent, first_s)
        arena.pause(between_s)
        _step(arena, agent, second_s)


def _step_s(rng: random.Random) -> float:
    """As many small ones as large ones."""
    shortest_s, longest_s = STEPS_S
    return rng.choice((-1, 1)) * shortest_s * float((longest_s / shortest_s) ** rng.random())


def _step(arena: Arena, agent: AgentSeat, step_s: float) -> None:
    """In the other direction where this one would take it too far from the truth."""
    ahead_s = float(agent.clock.read_text(encoding="ascii")) if agent.clock.exists() else 0.0
    set_s = ahead_s + step_s if abs(ahead_s + step_s) <= FURTHEST_S else ahead_s - step_s
    noticed = _notices(agent)
    arena.ledgers.note_set_clock(agent.host)
    fresh = agent.clock.with_suffix(".new")
    fresh.write_text(f"{set_s}\n", encoding="ascii")
    fresh.rename(agent.clock)
    arena.until("An agent's notice of its clock", lambda: _notices(agent) > noticed, timeout_s=NOTICED_WITHIN_S)


def _notices(agent: AgentSeat) -> int:
    return agent.log.read_bytes().count(NOTICE)
