"""Faults of the network between agents and the collector, made by each agent's relay."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from watchdesk_collector.cli.demo.waiting import DemoError
from watchdesk_collector.cli.selftest.arena import Arena
from watchdesk_collector.cli.selftest.kinds.kind import NotHit
from watchdesk_collector.cli.selftest.kinds.processes import MOMENT_S
from watchdesk_collector.cli.selftest.relay import Relay
from watchdesk_collector.cli.selftest.seats import AgentSeat

CUT_S = (0.0, 2.5)
STALLED_S = (0.3, 6.0)  # longer than keepalive allows, sometimes
UNDER_WAY_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Cut:
    """Connections are closed, and new ones too for a while."""

    name: str = "cut"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        relays, moment_s, cut_s = _some(arena, rng), rng.uniform(0, MOMENT_S), rng.uniform(*CUT_S)
        wait_for_connections(arena, relays)
        arena.pause(moment_s)
        for relay in relays:
            relay.cut()
        arena.pause(cut_s)
        _heal(relays)


@dataclass(frozen=True, slots=True)
class Stall:
    """Connections stay, and carry nothing either way for a while."""

    name: str = "stall"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        relays, moment_s, stalled_s = _some(arena, rng), rng.uniform(0, MOMENT_S), rng.uniform(*STALLED_S)
        wait_for_connections(arena, relays)
        arena.pause(moment_s)
        for relay in relays:
            relay.stall()
        arena.pause(stalled_s)
        _heal(relays)


@dataclass(frozen=True, slots=True)
class Reset:
    """Connections are reset, with what is under way on them."""

    name: str = "reset"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        relays, moment_s = _some(arena, rng), rng.uniform(0, MOMENT_S)
        wait_for_connections(arena, relays)
        arena.pause(moment_s)
        for relay in relays:
            relay.reset()


@dataclass(frozen=True, slots=True)
class Truncate:
    """Connections end in the middle of what they carry, in one direction or both."""

    name: str = "truncate"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        relays, moment_s = _some(arena, rng), rng.uniform(0, MOMENT_S)
        wait_for_connections(arena, relays)
        arena.pause(moment_s)
        before = {relay: relay.truncated for relay in relays}  # read first: what it carries next may come at once
        marked = [relay for relay in relays if relay.truncate()]
        _until(arena, "A truncated connection", lambda: all(relay.truncated > before[relay] for relay in marked))


def wait_for_connections(arena: Arena, relays: list[Relay]) -> None:
    """A fault of connections needs some. **Errors**: NotHit, Interrupted."""
    _until(arena, "A connection of each agent", lambda: all(relay.connections for relay in relays))


def _until(arena: Arena, what: str, is_there: Callable[[], bool]) -> None:
    try:
        arena.until(what, is_there, timeout_s=UNDER_WAY_WITHIN_S)
    except DemoError as error:
        raise NotHit(f"on this busy machine, {str(error).rstrip('.')}") from error


def _some(arena: Arena, rng: random.Random) -> list[Relay]:
    """At least one."""
    agents: list[AgentSeat] = rng.sample(arena.agents, rng.randint(1, len(arena.agents)))
    return [agent.relay for agent in agents]


def _heal(relays: list[Relay]) -> None:
    for relay in relays:
        relay.heal()
