"""Faults of disks: full, at the agent and at the collector, to the last byte or nearly so."""

import random
from dataclasses import dataclass

from watchdesk_collector.cli.selftest import tmpfs
from watchdesk_collector.cli.selftest.arena import Arena
from watchdesk_collector.cli.selftest.configs import FLOOR_BYTES
from watchdesk_collector.cli.selftest.kinds.processes import MOMENT_S

FULL_S = (1.0, 2.0)
DEATHS = 0.25  # how often the program is killed while its disk is full
SPOOL_ROOM_BYTES = 128 << 10


@dataclass(frozen=True, slots=True)
class SpoolFull:
    """No room for an agent's spool, from its start or later; samples that find none are dropped and counted, log lines wait in their file."""

    name: str = "spool_full"

    def obstacle(self) -> str | None:
        return tmpfs.obstacle()

    def inject(self, arena: Arena, rng: random.Random) -> None:
        agent, moment_s, full_s = rng.choice(arena.agents), rng.uniform(0, MOMENT_S), rng.uniform(*FULL_S)
        room_bytes, starts_full, dies = rng.choice([0, rng.randrange(SPOOL_ROOM_BYTES)]), rng.random() < 0.5, rng.random() < DEATHS
        agent.stop()  # a spool that has been open for long has room to itself within its files
        if not starts_full:
            agent.start()
            arena.pause(moment_s)
        with tmpfs.filled(agent.state_dir, leaving_bytes=room_bytes):
            if starts_full:
                agent.start()
            arena.pause(full_s)
            if dies:
                agent.kill()
        if dies:
            agent.start()


@dataclass(frozen=True, slots=True)
class HistoryFull:
    """No room for the collector's state: to the last byte, less than a checkpoint needs, or just below the floor."""

    name: str = "history_full"

    def obstacle(self) -> str | None:
        return tmpfs.obstacle()

    def inject(self, arena: Arena, rng: random.Random) -> None:
        moment_s, full_s = rng.uniform(0, MOMENT_S), rng.uniform(*FULL_S)
        room_bytes, dies = rng.choice([0, rng.randrange(1 << 20), rng.randrange(FLOOR_BYTES)]), rng.random() < DEATHS
        arena.pause(moment_s)
        with tmpfs.filled(arena.collector.state_dir, leaving_bytes=room_bytes):
            arena.pause(full_s)
            if dies:
                arena.collector.kill()
        if dies:
            arena.collector.start()
