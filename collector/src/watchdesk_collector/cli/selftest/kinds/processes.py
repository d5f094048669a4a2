"""Faults of processes: killed, and frozen, at any moment."""

import random
from dataclasses import dataclass

from watchdesk_collector.cli.selftest.arena import Arena
from watchdesk_collector.cli.selftest.seats import Seat

MOMENT_S = 1.0  # a fault comes within this time: before, in or after a flush, a commit, a checkpoint
AWAY_S = 0.8
FROZEN_S = (0.3, 2.5)  # longer than keepalive allows, sometimes


@dataclass(frozen=True, slots=True)
class KillAgent:
    """Kill -9 of one agent."""

    name: str = "kill_agent"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        agent, moment_s, away_s = rng.choice(arena.agents), rng.uniform(0, MOMENT_S), rng.uniform(0, AWAY_S)
        arena.pause(moment_s)
        agent.kill()
        arena.pause(away_s)
        agent.start()


@dataclass(frozen=True, slots=True)
class KillCollector:
    """Kill -9 of the collector."""

    name: str = "kill_collector"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        moment_s, away_s = rng.uniform(0, MOMENT_S), rng.uniform(0, AWAY_S)
        arena.pause(moment_s)
        arena.collector.kill()
        arena.pause(away_s)
        arena.collector.start()


@dataclass(frozen=True, slots=True)
class KillBoth:
    """Kill -9 of the collector and of one agent, in either order, as when a machine that runs both loses power."""

    name: str = "kill_both"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        agent, moment_s, away_s = rng.choice(arena.agents), rng.uniform(0, MOMENT_S), rng.uniform(0, AWAY_S)
        seats: list[Seat] = rng.sample([agent, arena.collector], 2)
        arena.pause(moment_s)
        for seat in seats:
            seat.kill()
        arena.pause(away_s)
        for seat in seats:
            seat.start()


@dataclass(frozen=True, slots=True)
class StopAgent:
    """One agent gets no processor for a while."""

    name: str = "stop_agent"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        agent, moment_s, frozen_s = rng.choice(arena.agents), rng.uniform(0, MOMENT_S), rng.uniform(*FROZEN_S)
        freeze(arena, agent, moment_s=moment_s, frozen_s=frozen_s)


@dataclass(frozen=True, slots=True)
class StopCollector:
    """The collector gets no processor for a while."""

    name: str = "stop_collector"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        moment_s, frozen_s = rng.uniform(0, MOMENT_S), rng.uniform(*FROZEN_S)
        freeze(arena, arena.collector, moment_s=moment_s, frozen_s=frozen_s)


def freeze(arena: Arena, seat: Seat, *, moment_s: float, frozen_s: float) -> None:
    """SIGSTOP after a moment, SIGCONT some time later."""
    arena.pause(moment_s)
    seat.freeze()
    arena.pause(frozen_s)
    seat.thaw()
