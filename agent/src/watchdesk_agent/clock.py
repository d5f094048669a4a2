"""Time as an argument: everything that asks for the time gets a `Clock`, so that tests advance it instead of sleeping."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that only grow, and stand still while the host is suspended."""
        ...

    def boottime_s(self) -> float:
        """Seconds that only grow, and go on while the host is suspended."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def boottime_s(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def to_us(at: datetime) -> int:
    """Microseconds since 1970 UTC of an aware time."""
    return round(at.timestamp() * 1_000_000)
