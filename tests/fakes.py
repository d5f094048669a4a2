"""Fakes for what tests cannot have for real: time."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Clocks that stand still until told otherwise; both programs' `Clock`."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic_s = 1000.0
        self._boottime_s = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def boottime_s(self) -> float:
        return self._boottime_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += seconds
        self._boottime_s += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock, as an administrator or NTP does; negative goes back."""
        self._now += timedelta(seconds=seconds)

    def suspend(self, seconds: float) -> None:
        """Put the machine to sleep: the monotonic clock stands still, the others go on."""
        self._now += timedelta(seconds=seconds)
        self._boottime_s += seconds
