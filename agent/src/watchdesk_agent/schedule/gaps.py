"""Slots that hold no sample: gathered per sampler while they follow one another, and told as rows of `missed`.

Before it: `schedule` and its workers, which find that a slot cannot be served. After it: `deliver`, as for samples. Invariant: every slot that was
noted is in exactly one row of `missed`, at the latest when the gap has lasted `TELL_AFTER_US` or the agent stops.
"""

import threading
from collections.abc import Callable
from dataclasses import replace

from watchdesk_agent.model import Cause, Samples
from watchdesk_agent.schedule.health import Health
from watchdesk_agent.schedule.stretch import Stretch, missed_samples

TELL_AFTER_US = 10_000_000


class Gaps:
    """At most one open gap per sampler; any thread may note."""

    def __init__(self, *, health: Health, deliver: Callable[[Samples], None]) -> None:
        self._health = health
        self._deliver = deliver
        self._lock = threading.Lock()
        self._open: dict[str, Stretch] = {}

    def note(self, sampler: str, first_us: int, *, slots: int, interval_us: int, cause: Cause) -> None:
        """Slots from `first_us` on hold no sample."""
        self._health.note_missed(sampler, slots)
        with self._lock:
            gap = self._open.get(sampler)
            if gap is not None and gap.cause is cause and gap.until_us == first_us:
                gap = replace(gap, slots=gap.slots + slots)
            else:
                self._tell(sampler)
                gap = Stretch(sampler=sampler, first_us=first_us, slots=slots, interval_us=interval_us, cause=cause)
            self._open[sampler] = gap
            if gap.slots * interval_us >= TELL_AFTER_US:
                self._tell(sampler)

    def end(self, sampler: str) -> None:
        """The sampler has delivered."""
        with self._lock:
            self._tell(sampler)

    def end_all(self) -> None:
        """The agent stops."""
        with self._lock:
            for sampler in list(self._open):
                self._tell(sampler)

    def _tell(self, sampler: str) -> None:
        gap = self._open.pop(sampler, None)
        if gap is not None:
            self._deliver(missed_samples([gap]))
