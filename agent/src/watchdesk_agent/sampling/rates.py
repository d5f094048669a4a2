"""From counters to rates. A counter that went backwards (a reset, a wrap, a device that came back) has no rate in that tick."""


def increase(now: int | float, before: int | float | None) -> int | float | None:
    """How much a counter grew; None without an earlier reading, and when it went backwards."""
    if before is None or now < before:
        return None
    return now - before


def per_second(now: int | float, before: int | float | None, elapsed_s: float) -> float | None:
    """`increase` per second; None also when no time has passed."""
    grown = increase(now, before)
    return None if grown is None or elapsed_s <= 0 else grown / elapsed_s


def ratio(part: float | None, whole: float | None) -> float | None:
    """`part / whole`; None when either is unknown or the whole is nothing."""
    return None if part is None or not whole else part / whole
