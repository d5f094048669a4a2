"""Which kind of fault each round has: whole decks of all kinds, shuffled, so that none is forgotten. Pure: the seed decides everything."""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

K = TypeVar("K")


def deal(kinds: Sequence[K], *, rounds: int, seed: int) -> Iterator[tuple[K, random.Random]]:
    """A kind for each round, with the numbers that its victims and delays come from: a round's own, whatever the rounds before it drew."""
    shuffler = random.Random(f"{seed}: the deck")  # noqa: S311  a fault must be repeatable, not unpredictable
    deck: list[K] = []
    for number in range(1, rounds + 1):
        if not deck:
            deck = shuffler.sample(kinds, len(kinds))
        yield deck.pop(), random.Random(f"{seed}: round {number}")  # noqa: S311  the same
