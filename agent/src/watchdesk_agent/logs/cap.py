"""A bound on how many entries of a source leave the host in a minute."""


class RateCap:
    """Allows bursts of one minute's worth and refills evenly; a clock that steps back refills nothing."""

    def __init__(self, *, per_minute: int) -> None:
        self._most = float(per_minute)
        self._left = float(per_minute)
        self._refilled_us: int | None = None

    def allows(self, *, now_us: int) -> bool:
        """Whether one more may go now; it is then counted as gone."""
        elapsed_us = 0 if self._refilled_us is None else max(0, now_us - self._refilled_us)
        self._refilled_us = now_us
        self._left = min(self._most, self._left + self._most * elapsed_us / 60_000_000)
        if self._left < 1:
            return False
        self._left -= 1
        return True
