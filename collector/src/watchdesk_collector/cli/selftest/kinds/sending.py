"""Faults of senders: batches that come twice, and batches that come in no order."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watchdesk_collector.cli.demo.waiting import DemoError
from watchdesk_collector.cli.selftest.arena import Arena
from watchdesk_collector.cli.selftest.kinds.processes import MOMENT_S
from watchdesk_collector.cli.selftest.rogue import Parcel, Rogue

MAX_BATCHES = 8
ANSWERED_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class SentTwice:
    """The same batches again: at once, after their ack, on a new stream while they are under way, and after the collector was killed."""

    name: str = "sent_twice"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        again, batches, moment_s = rng.choice(AGAIN), rng.randint(1, MAX_BATCHES), rng.uniform(0, MOMENT_S)
        parcels = arena.rogue.make(batches)
        arena.rogue.send(parcels)
        again(arena, parcels, moment_s)
        settle(arena.rogue)


@dataclass(frozen=True, slots=True)
class OutOfOrder:
    """Batches shuffled, some kept back for a stream or a collector later, so that gaps are filled afterwards, all of it twice over."""

    name: str = "out_of_order"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        parcels = arena.rogue.make(rng.randint(2, MAX_BATCHES))
        kept_back = rng.sample(parcels, rng.randint(1, len(parcels) - 1))
        moment_s, dies = rng.uniform(0, MOMENT_S), rng.random() < 0.5
        first = [parcel for parcel in parcels if parcel not in kept_back]
        rng.shuffle(first)
        arena.rogue.send(first)
        arena.pause(moment_s)
        if dies:
            arena.collector.kill()
            arena.collector.start()
        arena.rogue.send([*kept_back, *first])
        settle(arena.rogue)


def settle(rogue: Rogue) -> None:
    """Until all that the rogue made is acked or rejected. **Errors**: DemoError, when the collector leaves it unanswered."""
    if not rogue.settle(within_s=ANSWERED_WITHIN_S):
        raise DemoError(f"{rogue.unanswered} batches of {rogue.host} were neither acked nor rejected within {ANSWERED_WITHIN_S:.0f} s.")


def _at_once(arena: Arena, parcels: Sequence[Parcel], moment_s: float) -> None:
    arena.rogue.send(parcels)


def _while_under_way(arena: Arena, parcels: Sequence[Parcel], moment_s: float) -> None:
    arena.pause(moment_s / 4)  # a group is committed each quarter of a second
    arena.rogue.send(parcels)


def _after_the_ack(arena: Arena, parcels: Sequence[Parcel], moment_s: float) -> None:
    arena.rogue.wait_answered(within_s=ANSWERED_WITHIN_S)
    arena.rogue.send(parcels)
    arena.pause(moment_s)


def _on_a_new_stream(arena: Arena, parcels: Sequence[Parcel], moment_s: float) -> None:
    arena.pause(moment_s / 4)
    arena.rogue.hang_up()
    arena.rogue.send(parcels)
    arena.pause(moment_s)


def _to_a_collector_that_was_killed(arena: Arena, parcels: Sequence[Parcel], moment_s: float) -> None:
    arena.pause(moment_s / 2)
    arena.collector.kill()
    arena.collector.start()
    arena.rogue.send(parcels)
    arena.pause(moment_s)


AGAIN: Sequence[Callable[[Arena, Sequence[Parcel], float], None]] = (
    _at_once,
    _while_under_way,
    _after_the_ack,
    _on_a_new_stream,
    _to_a_collector_that_was_killed,
)
