"""Wall time driven by the monotonic clock: slots come evenly, and a clock that is set or a host that slept is noticed rather than followed blindly.

Before it: the clocks. After it: `schedule`. Invariant: between two calls of `realign`, time here passes exactly as the monotonic clock does.
"""

from dataclasses import dataclass

from watchdesk_agent.clock import Clock, to_us
from watchdesk_agent.model import Cause

NOTICED_S = 0.05  # the kernel slews both clocks alike, so that any difference is a step; this much may be the time between reading one and the other


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much, and why, wall time went another way than the monotonic clock."""

    cause: Cause
    seconds: float


@dataclass(frozen=True, slots=True)
class _Reading:
    wall_us: int
    monotonic_s: float
    boottime_s: float


class Timeline:
    """See the module."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._anchor = _read(clock)

    def now_us(self) -> int:
        """Microseconds since 1970 UTC."""
        return self._anchor.wall_us + round((self._clock.monotonic_s() - self._anchor.monotonic_s) * 1e6)

    def realign(self) -> Shift | None:
        """Follow the wall clock if it was set or the host was suspended since the last call, and say so."""
        reading = _read(self._clock)
        elapsed_s = reading.monotonic_s - self._anchor.monotonic_s
        jumped_s = (reading.wall_us - self._anchor.wall_us) / 1e6 - elapsed_s
        slept_s = reading.boottime_s - self._anchor.boottime_s - elapsed_s
        if abs(jumped_s) < NOTICED_S and slept_s < NOTICED_S:
            return None
        self._anchor = reading
        return Shift(Cause.SUSPEND if slept_s >= NOTICED_S else Cause.CLOCK_STEP, jumped_s)


def _read(clock: Clock) -> _Reading:
    """The clocks at one moment. Read again when the process was interrupted in between, which would look like a step."""
    for _ in range(5):
        before_s = clock.monotonic_s()
        reading = _Reading(to_us(clock.now()), clock.monotonic_s(), clock.boottime_s())
        if clock.monotonic_s() - before_s < NOTICED_S / 10:
            break
    return reading
