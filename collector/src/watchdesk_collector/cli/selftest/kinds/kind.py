"""What a kind of fault is."""

import random
from typing import Protocol

from watchdesk_collector.cli.selftest.arena import Arena


class NotHit(Exception):
    """The fault did not come about, for a reason in a sentence; everything runs, and the round does not count as one of its kind."""


class Kind(Protocol):
    """One kind of fault. It draws as many numbers whatever happens, so that a seed repeats a run."""

    @property
    def name(self) -> str:
        """As the report calls it, like `kill_agent`."""
        ...

    def obstacle(self) -> str | None:
        """Why it cannot be tried on this machine, in a sentence; None when it can."""
        ...

    def inject(self, arena: Arena, rng: random.Random) -> None:
        """Break something at a random moment and mend it again; everything runs when it returns. **Errors**: NotHit; DemoError, Interrupted."""
        ...
